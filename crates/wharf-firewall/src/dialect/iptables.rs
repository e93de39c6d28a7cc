//! iptables (Linux, iptables-nft and legacy) in the format of iptables-save.
//!
//! One file for both families: lines with `-4` are left out by ip6tables-restore, those with `-6` by iptables-restore
//! (iptables(8)). Beside others' rules it uses chains of its own, which `--noflush` empties and fills again.

use std::fmt::Write as _;

use super::{Dialect, Style, Unsupported};
use crate::deployment::Family;
use crate::explain;
use crate::flow::Ports;
use crate::rule::{Action, Addresses, Chain, Match, Protocol, Rule, State};
use crate::rule_set::{RuleSet, Scope};

pub(super) const DIALECT: Dialect = Dialect {
    name: "iptables",
    what: "Linux, iptables-restore and ip6tables-restore",
    extension: "rules",
    load: "iptables-restore --noflush FILE; ip6tables-restore --noflush FILE",
    write,
};

/// The same without `--noflush`: the tables are replaced
const LOAD_COMPLETE: &str = "iptables-restore FILE; ip6tables-restore FILE";

/// A match of many ports takes so many, a range counts as two
const MULTIPORT: usize = 15;

#[expect(clippy::unnecessary_wraps, reason = "other rows fail")]
fn write(rules: &RuleSet, style: Style) -> Result<String, Unsupported> {
    let beside = rules.scope == Scope::Beside;
    let dialect = Dialect {
        load: if beside { DIALECT.load } else { LOAD_COMPLETE },
        ..DIALECT
    };
    let mut out = style.head(&dialect, rules, "# ");
    let remark = if beside {
        "--noflush matters: without it everybody else's rules go. Loaded twice, the jumps at the head of the chains \
         stand there twice, which changes nothing."
    } else if rules.deployment.side.is_gateway() {
        "Replaces the tables named here; everything else that would be forwarded is dropped."
    } else {
        "Replaces the tables named here; everything else is dropped, SSH included: for a machine that does nothing but \
         FTP."
    };
    out.push_str(&explain::comment(remark, "# ", 110));
    for (table, chains) in [
        ("raw", &[Chain::HelperIn, Chain::HelperOut][..]),
        ("nat", &[Chain::DestinationNat, Chain::SourceNat]),
        ("filter", &[Chain::Input, Chain::Forward, Chain::Output]),
    ] {
        let used: Vec<Chain> = chains
            .iter()
            .copied()
            .filter(|it| rules.chain(*it).next().is_some() || rules.closed_chains().contains(it))
            .collect();
        if used.is_empty() {
            continue;
        }
        let _ = writeln!(out, "*{table}");
        for &chain in &used {
            let closed = rules.closed_chains().contains(&chain);
            let policy = match (beside, closed) {
                (true, _) => "-",
                (false, true) => "DROP",
                (false, false) => "ACCEPT",
            };
            let _ = writeln!(out, ":{} {policy} [0:0]", name(chain, beside));
        }
        for &chain in &used {
            let name = name(chain, beside);
            if beside {
                let _ = writeln!(out, "-I {} -j {name}", builtin(chain));
            }
            for rule in rules.chain(chain) {
                out.push_str(&style.comment(rule, rules, "# "));
                for line in lines(rule) {
                    let _ = writeln!(out, "-A {name} {line}");
                }
            }
        }
        out.push_str("COMMIT\n");
    }
    Ok(out)
}

/// The kernel's chain
fn builtin(chain: Chain) -> &'static str {
    match chain {
        Chain::HelperIn | Chain::DestinationNat => "PREROUTING",
        Chain::HelperOut | Chain::Output => "OUTPUT",
        Chain::SourceNat => "POSTROUTING",
        Chain::Input => "INPUT",
        Chain::Forward => "FORWARD",
    }
}

/// The chain that the rules stand in
fn name(chain: Chain, beside: bool) -> String {
    if beside {
        format!("WHARF-{}", builtin(chain))
    } else {
        builtin(chain).to_owned()
    }
}

/// A rule as lines: one for each pair of addresses, each kind of ICMP, each fifteen ports
fn lines(rule: &Rule) -> Vec<String> {
    let of = &rule.matching;
    let mut lines = Vec::new();
    for source in words("-s", &of.source) {
        for destination in words("-d", &of.destination) {
            for (family, protocol) in protocols(of) {
                let mut line = String::new();
                match family {
                    Some(Family::V4) => line.push_str("-4 "),
                    Some(Family::V6) => line.push_str("-6 "),
                    None => {}
                }
                if of.loopback {
                    line.push_str(if rule.chain == Chain::Output {
                        "-o lo "
                    } else {
                        "-i lo "
                    });
                }
                for words in [&source, &destination, &protocol] {
                    line.push_str(words);
                }
                line.push_str(&state(of));
                line.push_str(&target(rule.action));
                lines.push(line);
            }
        }
    }
    lines
}

/// `-s ADDRESS ` for each, or nothing once
fn words(flag: &str, addresses: &Addresses) -> Vec<String> {
    if addresses.is_any() {
        return vec![String::new()];
    }
    let texts = addresses.cidrs();
    texts.iter().map(|it| format!("{flag} {it} ")).collect()
}

fn protocols(of: &Match) -> Vec<(Option<Family>, String)> {
    match of.protocol {
        Protocol::Any => vec![(of.family, String::new())],
        Protocol::Tcp => ports(of).into_iter().map(|it| (of.family, it)).collect(),
        Protocol::IcmpErrors => {
            let four = [
                "destination-unreachable",
                "time-exceeded",
                "parameter-problem",
            ];
            let six = [
                "destination-unreachable",
                "packet-too-big",
                "time-exceeded",
                "parameter-problem",
            ];
            let mut found = Vec::new();
            if of.is_about(Family::V4) {
                found.extend(four.map(|it| {
                    (
                        Some(Family::V4),
                        format!("-p icmp -m icmp --icmp-type {it} "),
                    )
                }));
            }
            if of.is_about(Family::V6) {
                found.extend(six.map(|it| (Some(Family::V6), icmp_v6(it))));
            }
            found
        }
        // multicast listener query and report; router and neighbour solicitation and advertisement
        Protocol::Neighbours => ["130", "143", "133", "134", "135", "136"]
            .map(|it| (Some(Family::V6), icmp_v6(it)))
            .to_vec(),
    }
}

fn icmp_v6(kind: &str) -> String {
    format!("-p ipv6-icmp -m icmp6 --icmpv6-type {kind} ")
}

fn ports(of: &Match) -> Vec<String> {
    let mut found = Vec::new();
    for source in port_words("sport", &of.source_ports) {
        for destination in port_words("dport", &of.destination_ports) {
            let tcp = if source.starts_with("--") || destination.starts_with("--") {
                "-m tcp "
            } else {
                ""
            };
            found.push(format!("-p tcp {tcp}{source}{destination}"));
        }
    }
    found
}

fn port_words(flag: &str, ports: &Ports) -> Vec<String> {
    if ports.is_any() {
        return vec![String::new()];
    }
    let texts = ports.texts(":");
    if let [one] = texts.as_slice() {
        return vec![format!("--{flag} {one} ")];
    }
    let mut lists: Vec<(usize, String)> = Vec::new();
    for ((lo, hi), text) in ports.ranges().zip(texts) {
        let weight = if lo == hi { 1 } else { 2 };
        match lists.last_mut() {
            Some((sum, list)) if *sum + weight <= MULTIPORT => {
                *sum += weight;
                list.push(',');
                list.push_str(&text);
            }
            _ => lists.push((weight, text)),
        }
    }
    let lists = lists.into_iter();
    lists
        .map(|(_, it)| format!("-m multiport --{flag}s {it} "))
        .collect()
}

fn state(of: &Match) -> String {
    let mut words = String::new();
    if of.was_translated {
        words.push_str("-m conntrack --ctstate DNAT ");
    }
    words.push_str(match of.state {
        State::Any => "",
        State::New => "-m conntrack --ctstate NEW ",
        State::Established => "-m conntrack --ctstate ESTABLISHED ",
        State::Related => "-m conntrack --ctstate RELATED ",
        State::RelatedByHelper => "-m conntrack --ctstate RELATED -m helper --helper ftp ",
    });
    words
}

fn target(action: Action) -> String {
    match action {
        Action::Accept => "-j ACCEPT".to_owned(),
        Action::Drop => "-j DROP".to_owned(),
        Action::AssignHelper => "-j CT --helper ftp".to_owned(),
        Action::DestinationNat(to) => format!("-j DNAT --to-destination {to}"),
        Action::SourceNat(to) => format!("-j SNAT --to-source {to}"),
        Action::Masquerade => "-j MASQUERADE".to_owned(),
    }
}
