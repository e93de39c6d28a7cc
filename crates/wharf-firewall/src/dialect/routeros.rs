//! MikroTik RouterOS 7: filter and NAT rules of the router in front of the server or of the clients.
//!
//! Written from MikroTik's documentation; no router has seen it. Connection tracking is Linux's, so the rules are those
//! of nftables in other words; the FTP helper is one for the whole router (`service-port`), and `connection-type=ftp`
//! tells what it announced from what others did.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::{Dialect, Style, Unsupported, placeholder};
use crate::deployment::{Deployment, Family, Side};
use crate::explain;
use crate::flow::Ports;
use crate::rule::{Action, Addresses, Chain, Match, Protocol, Rule, State};
use crate::rule_set::{RuleSet, Scope};

pub(super) const DIALECT: Dialect = Dialect {
    name: "routeros",
    what: "MikroTik RouterOS 7",
    extension: "rsc",
    load: "/import FILE",
    write,
};

#[expect(clippy::unnecessary_wraps, reason = "other rows fail")]
fn write(rules: &RuleSet, style: Style) -> Result<String, Unsupported> {
    let of = &rules.deployment;
    let mut out = style.head(&DIALECT, rules, "# ");
    let remark = match rules.scope {
        Scope::Beside => {
            "The rules are added at the end of their chains: move them before the rules that drop (or fasttrack) what is \
             forwarded. What earlier imports added is removed first."
        }
        Scope::Complete => {
            "Everything else that would be forwarded is dropped; what is for the router itself is not looked at. What \
             earlier imports added is removed first; rules of others that stand before these stay in force."
        }
    };
    out.push_str(&explain::comment(remark, "# ", 110));
    let families: Vec<Family> = of.families().collect();
    if let Some(whose) = unnamed(of) {
        let remark = format!(
            "The router in front of the {whose}. {}",
            placeholder::remark(whose, &families)
        );
        out.push_str(&explain::comment(&remark, "# ", 110));
    }
    for &family in &families {
        for table in ["filter", "nat"] {
            let _ = writeln!(
                out,
                "/{} firewall {table} remove [find comment=\"wharf\"]",
                word(family)
            );
        }
    }
    if rules.uses_helper() {
        let ports = Ports::list(&of.control_ports).texts("-").join(",");
        out.push_str(&explain::comment(
            "The helper reads every control connection on these ports, whoever's it is.",
            "# ",
            110,
        ));
        let _ = writeln!(
            out,
            "/ip firewall service-port set [find name=ftp] disabled=no ports={ports}"
        );
    }
    let mut written: Vec<String> = Vec::new();
    for chain in Chain::ALL {
        let Some((table, name)) = place(chain) else {
            continue;
        };
        for rule in rules.chain(chain).filter(|it| is_forwarded(it)) {
            let mut lines: Vec<String> = Vec::new();
            for &family in families.iter().filter(|it| rule.matching.is_about(**it)) {
                let rule = named(rule, of, family);
                let menu = word(family);
                lines.extend(self::lines(&rule, family).iter().map(|line| {
                    format!("/{menu} firewall {table} add chain={name} {line} comment=\"wharf\"")
                }));
            }
            // What a host says of its input and of its output, a router says once.
            lines.retain(|it| !written.contains(it));
            if !lines.is_empty() {
                out.push_str(&style.comment(rule, rules, "# "));
            }
            for line in lines {
                let _ = writeln!(out, "{line}");
                written.push(line);
            }
        }
    }
    if rules.scope == Scope::Complete {
        for family in families {
            let _ = writeln!(
                out,
                "/{} firewall filter add chain=forward action=drop comment=\"wharf\"",
                word(family)
            );
        }
    }
    Ok(out)
}

fn word(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ipv6",
    }
}

/// The host in front of which the router stands, if nobody named it
fn unnamed(of: &Deployment) -> Option<&'static str> {
    match of.side {
        Side::Server if of.server.addresses.is_empty() => Some("server"),
        Side::Client if of.clients.is_empty() => Some("client"),
        _ => None,
    }
}

/// A rule with the address of the host in front of which the router stands
fn named(rule: &Rule, of: &Deployment, family: Family) -> Rule {
    let mut rule = rule.clone();
    if unnamed(of).is_some() && rule.matching.protocol == Protocol::Tcp {
        let host = Addresses::hosts([placeholder::host(family)]);
        match rule.chain {
            Chain::Input => rule.matching.destination = host,
            Chain::Output => rule.matching.source = host,
            _ => {}
        }
    }
    rule
}

/// Not what a host says to itself and to its neighbours
fn is_forwarded(rule: &Rule) -> bool {
    !rule.matching.loopback && rule.matching.protocol != Protocol::Neighbours
}

/// Table and chain; nothing where the router has no rule for it
fn place(chain: Chain) -> Option<(&'static str, &'static str)> {
    match chain {
        // a host's input and output are what its router forwards
        Chain::Forward | Chain::Input | Chain::Output => Some(("filter", "forward")),
        Chain::DestinationNat => Some(("nat", "dstnat")),
        Chain::SourceNat => Some(("nat", "srcnat")),
        Chain::HelperIn | Chain::HelperOut => None,
    }
}

/// A rule as one line for each pair of networks: a rule takes one of each
fn lines(rule: &Rule, family: Family) -> Vec<String> {
    let mut lines = Vec::new();
    for source in each(&rule.matching.source) {
        for destination in each(&rule.matching.destination) {
            let mut words = vec![action(rule.action)];
            words.extend(source.as_ref().map(|it| format!("src-address={it}")));
            words.extend(destination.as_ref().map(|it| format!("dst-address={it}")));
            words.extend(protocol(&rule.matching, family));
            words.extend(state(&rule.matching));
            lines.push(words.join(" "));
        }
    }
    lines
}

fn each(addresses: &Addresses) -> Vec<Option<String>> {
    if addresses.is_any() {
        vec![None]
    } else {
        addresses.texts().into_iter().map(Some).collect()
    }
}

fn action(action: Action) -> String {
    match action {
        Action::Accept => "action=accept".to_owned(),
        Action::Drop => "action=drop".to_owned(),
        // assigned by port, see above
        Action::AssignHelper => "action=passthrough".to_owned(),
        Action::DestinationNat(IpAddr::V4(to)) => format!("action=dst-nat to-addresses={to}"),
        Action::DestinationNat(IpAddr::V6(to)) => format!("action=dst-nat to-address={to}/128"),
        Action::SourceNat(IpAddr::V4(to)) => format!("action=src-nat to-addresses={to}"),
        Action::SourceNat(IpAddr::V6(to)) => format!("action=src-nat to-address={to}/128"),
        Action::Masquerade => "action=masquerade".to_owned(),
    }
}

fn protocol(of: &Match, family: Family) -> Vec<String> {
    let mut words = Vec::new();
    match of.protocol {
        Protocol::Any => {}
        Protocol::Tcp => {
            words.push("protocol=tcp".to_owned());
            for (word, ports) in [
                ("src-port", &of.source_ports),
                ("dst-port", &of.destination_ports),
            ] {
                if !ports.is_any() {
                    words.push(format!("{word}={}", ports.texts("-").join(",")));
                }
            }
        }
        // with connection-state=related these are errors alone
        Protocol::IcmpErrors | Protocol::Neighbours => words.push(
            match family {
                Family::V4 => "protocol=icmp",
                Family::V6 => "protocol=icmpv6",
            }
            .to_owned(),
        ),
    }
    words
}

fn state(of: &Match) -> Vec<String> {
    let mut words = Vec::new();
    if of.was_translated {
        words.push("connection-nat-state=dstnat".to_owned());
    }
    words.extend(match of.state {
        State::Any => None,
        State::New => Some("connection-state=new".to_owned()),
        State::Established => Some("connection-state=established".to_owned()),
        State::Related => Some("connection-state=related".to_owned()),
        State::RelatedByHelper => Some("connection-state=related connection-type=ftp".to_owned()),
    });
    words
}
