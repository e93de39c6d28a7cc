//! nftables (Linux): a table `inet wharf` of its own, replaced as one transaction. Nobody else's rules are touched.
//!
//! An accept in one table does not override a drop in another one: where another table drops by default, the lines of
//! the chains belong there. The comment at the head says so.

use std::fmt::Write as _;

use super::{Dialect, Style, Unsupported};
use crate::deployment::Family;
use crate::explain;
use crate::flow::Ports;
use crate::rule::{Action, Addresses, Chain, Match, Protocol, Rule, State};
use crate::rule_set::{RuleSet, Scope};

pub(super) const DIALECT: Dialect = Dialect {
    name: "nftables",
    what: "Linux, nft -f",
    extension: "nft",
    load: "nft -f FILE",
    write,
};

#[expect(clippy::unnecessary_wraps, reason = "other rows fail")]
fn write(rules: &RuleSet, style: Style) -> Result<String, Unsupported> {
    let mut out = style.head(&DIALECT, rules, "# ");
    let remark = match rules.scope {
        Scope::Beside => {
            "What is not FTP's passes through this table untouched. An accept here does not override the drop of another \
             table: where one drops by default (`nft list chains` shows which), put the accept lines there, too: \
             `nft insert rule FAMILY TABLE CHAIN LINE`."
        }
        Scope::Complete if rules.deployment.side.is_gateway() => {
            "Everything else that would be forwarded is dropped; what is for the gateway itself is not looked at."
        }
        Scope::Complete => {
            "Everything else is dropped, SSH included: for a machine that does nothing but FTP."
        }
    };
    out.push_str(&explain::comment(remark, "# ", 110));
    out.push_str("add table inet wharf\ndelete table inet wharf\ntable inet wharf {\n");
    if rules.uses_helper() {
        out.push_str("\tct helper ftp {\n\t\ttype \"ftp\" protocol tcp\n\t}\n");
    }
    for chain in Chain::ALL {
        let closed = rules.closed_chains().contains(&chain);
        if !closed && rules.chain(chain).next().is_none() {
            continue;
        }
        let (name, hook) = place(chain);
        let _ = writeln!(out, "\tchain {name} {{");
        let policy = if closed { "drop" } else { "accept" };
        let _ = writeln!(out, "\t\ttype {hook}; policy {policy};");
        for rule in rules.chain(chain) {
            out.push_str(&style.comment(rule, rules, "\t\t# "));
            for line in lines(rule) {
                let _ = writeln!(out, "\t\t{line}");
            }
        }
        out.push_str("\t}\n");
    }
    out.push_str("}\n");
    Ok(out)
}

/// Name, type, hook and priority of a chain
fn place(chain: Chain) -> (&'static str, &'static str) {
    match chain {
        // after connection tracking (-200), before addresses are translated (-100)
        Chain::HelperIn => ("helper_in", "filter hook prerouting priority mangle"),
        Chain::HelperOut => ("helper_out", "filter hook output priority mangle"),
        Chain::DestinationNat => ("destination_nat", "nat hook prerouting priority dstnat"),
        Chain::SourceNat => ("source_nat", "nat hook postrouting priority srcnat"),
        Chain::Input => ("input", "filter hook input priority filter"),
        Chain::Forward => ("forward", "filter hook forward priority filter"),
        Chain::Output => ("output", "filter hook output priority filter"),
    }
}

/// A rule as one line or, where it speaks of ICMP of both families, two
fn lines(rule: &Rule) -> Vec<String> {
    let of = &rule.matching;
    match of.protocol {
        Protocol::IcmpErrors => Family::ALL
            .into_iter()
            .filter(|it| of.is_about(*it))
            .map(|family| line(rule, Some(family)))
            .collect(),
        _ => vec![line(rule, None)],
    }
}

fn line(rule: &Rule, icmp: Option<Family>) -> String {
    let of = &rule.matching;
    let mut words: Vec<String> = Vec::new();
    if of.loopback {
        let side = if rule.chain == Chain::Output {
            "oif"
        } else {
            "iif"
        };
        words.push(format!("{side} \"lo\""));
    }
    words.extend(addresses(of));
    match (of.protocol, icmp) {
        (Protocol::Any, _) => {}
        (Protocol::Tcp, _) => words.extend(tcp(of)),
        (Protocol::IcmpErrors, Some(Family::V4)) => words.push(
            "icmp type { destination-unreachable, time-exceeded, parameter-problem }".to_owned(),
        ),
        (Protocol::IcmpErrors, _) => words.push(
            "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem }"
                .to_owned(),
        ),
        (Protocol::Neighbours, _) => words.push(
            "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert, \
             mld-listener-query, mld2-listener-report }"
                .to_owned(),
        ),
    }
    if of.was_translated {
        words.push("ct status dnat".to_owned());
    }
    match of.state {
        State::Any => {}
        State::New => words.push("ct state new".to_owned()),
        State::Established => words.push("ct state established".to_owned()),
        State::Related => words.push("ct state related".to_owned()),
        State::RelatedByHelper => words.push("ct state related ct helper \"ftp\"".to_owned()),
    }
    words.push(match rule.action {
        Action::Accept => "accept".to_owned(),
        Action::Drop => "drop".to_owned(),
        Action::AssignHelper => "ct helper set \"ftp\"".to_owned(),
        Action::DestinationNat(to) => format!("dnat {} to {to}", word(Family::of(to))),
        Action::SourceNat(to) => format!("snat {} to {to}", word(Family::of(to))),
        Action::Masquerade => "masquerade".to_owned(),
    });
    words.join(" ")
}

/// The family and the addresses; an address tells its family itself
fn addresses(of: &Match) -> Vec<String> {
    let Some(family) = of.family else {
        return Vec::new();
    };
    let mut words = Vec::new();
    for (side, addresses) in [("saddr", &of.source), ("daddr", &of.destination)] {
        if !addresses.is_any() {
            words.push(format!("{} {side} {}", word(family), set(addresses)));
        }
    }
    let told = matches!(of.protocol, Protocol::IcmpErrors | Protocol::Neighbours);
    if words.is_empty() && !told {
        words.push(match family {
            Family::V4 => "meta nfproto ipv4".to_owned(),
            Family::V6 => "meta nfproto ipv6".to_owned(),
        });
    }
    words
}

fn tcp(of: &Match) -> Vec<String> {
    let mut words = Vec::new();
    for (side, ports) in [
        ("sport", &of.source_ports),
        ("dport", &of.destination_ports),
    ] {
        if !ports.is_any() {
            words.push(format!("tcp {side} {}", port_set(ports)));
        }
    }
    if words.is_empty() {
        words.push("meta l4proto tcp".to_owned());
    }
    words
}

fn word(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}

fn set(addresses: &Addresses) -> String {
    braced(&addresses.texts())
}

fn port_set(ports: &Ports) -> String {
    braced(&ports.texts("-"))
}

fn braced(items: &[String]) -> String {
    match items {
        [one] => one.clone(),
        several => format!("{{ {} }}", several.join(", ")),
    }
}
