//! pf (OpenBSD's syntax; FreeBSD takes the filter rules as they are and has rdr and nat rules of its own).
//!
//! Beside others' rules they stand in the anchor `wharf`. pf keeps state by default and lets ICMP errors of known
//! connections pass with it. It has no helper in the kernel: a gateway sends control connections through ftp-proxy(8),
//! which adds rules for the data connections.

use std::fmt::Write as _;

use super::{Dialect, Style, Unsupported};
use crate::deployment::{Family, Side};
use crate::explain;
use crate::flow::{Ports, Step};
use crate::rule::{Action, Addresses, Chain, Match, Protocol, Reason, Rule, State};
use crate::rule_set::{RuleSet, Scope};

pub(super) const DIALECT: Dialect = Dialect {
    name: "pf",
    what: "OpenBSD, FreeBSD, pfctl -f",
    extension: "conf",
    load: "pfctl -a wharf -f FILE, with the line `anchor \"wharf\"` in /etc/pf.conf",
    write,
};

const LOAD_COMPLETE: &str = "pfctl -f FILE";

fn write(rules: &RuleSet, style: Style) -> Result<String, Unsupported> {
    let helper = rules.uses_helper();
    if helper && rules.deployment.side != Side::ClientGateway {
        return Err(Unsupported::new(
            "pf has no helper in the kernel; ftp-proxy(8) stands on a gateway in front of clients, or as `ftp-proxy -R` in \
             front of one server",
            "open the data ports instead (without --helper)",
        ));
    }
    let dialect = Dialect {
        load: match rules.scope {
            Scope::Beside => DIALECT.load,
            Scope::Complete => LOAD_COMPLETE,
        },
        ..DIALECT
    };
    let mut out = style.head(&dialect, rules, "# ");
    if rules.rules.iter().any(|it| it.action == Action::Masquerade) {
        out.push_str("inside = \"em1\" # the interface towards the server: put in yours\n");
    }
    if rules.scope == Scope::Complete {
        complete(rules, &mut out);
    }
    if helper {
        ftp_proxy(rules, &mut out);
    }
    for chain in [
        Chain::DestinationNat,
        Chain::SourceNat,
        Chain::Input,
        Chain::Forward,
        Chain::Output,
    ] {
        for rule in rules.chain(chain) {
            if rule.reasons.contains(&Reason::Step(Step::Control)) && helper {
                continue; // goes through ftp-proxy
            }
            let Some(line) = line(rule) else {
                continue;
            };
            out.push_str(&style.comment(rule, rules, "# "));
            let _ = writeln!(out, "{line}");
        }
    }
    Ok(out)
}

fn complete(rules: &RuleSet, out: &mut String) {
    let remark = if rules.deployment.side.is_gateway() {
        "Everything else is dropped, also what is for the gateway itself: pf does not tell the two apart."
    } else {
        "Everything else is dropped, SSH included: for a machine that does nothing but FTP."
    };
    out.push_str(&explain::comment(remark, "# ", 110));
    out.push_str("set skip on lo\nblock drop all\n");
    if rules.deployment.families().any(|it| it == Family::V6) {
        out.push_str(
            "pass quick inet6 proto icmp6 icmp6-type { neighbrsol neighbradv routersol routeradv }\n",
        );
    }
}

/// Control connections through ftp-proxy(8), whose anchor lets the data connections pass
fn ftp_proxy(rules: &RuleSet, out: &mut String) {
    let remark = "Active data connections: rcctl enable ftpproxy; rcctl start ftpproxy (IPv6: a second one, ftp-proxy -6). It \
                  reads the control connection (plaintext only) and adds rules to its anchor.";
    out.push_str(&explain::comment(remark, "# ", 110));
    out.push_str("anchor \"ftp-proxy/*\"\n");
    for flow in &rules.flows {
        if flow.step != Step::Control {
            continue;
        }
        let families = match flow.family {
            Some(family) => vec![family],
            None => Family::ALL.to_vec(),
        };
        let from = set(&flow.from);
        let to = set(&flow.to);
        let ports = port_set(&flow.destination_ports);
        for family in families {
            let (word, proxy) = match family {
                Family::V4 => ("inet", "127.0.0.1"),
                Family::V6 => ("inet6", "::1"),
            };
            let _ = writeln!(
                out,
                "pass in quick {word} proto tcp from {from} to {to}{ports} divert-to {proxy} port 8021"
            );
            let _ = writeln!(
                out,
                "pass out quick {word} proto tcp from self to {to}{ports}"
            );
        }
    }
}

/// A rule as a line; nothing where pf does it by itself
fn line(rule: &Rule) -> Option<String> {
    let of = &rule.matching;
    if of.protocol != Protocol::Tcp || of.state == State::RelatedByHelper {
        return None;
    }
    let verb = match (rule.chain, rule.action) {
        (Chain::Input, Action::Drop) => "block drop in quick",
        (Chain::Output, Action::Drop) => "block drop out quick",
        (_, Action::Drop) => "block drop quick",
        (Chain::Input | Chain::DestinationNat, _) => "pass in quick",
        (Chain::Output | Chain::SourceNat, _) => "pass out quick",
        _ => "pass quick", // a gateway: in and out again
    };
    let mut line = String::from(verb);
    match of.family {
        Some(Family::V4) => line.push_str(" inet"),
        Some(Family::V6) => line.push_str(" inet6"),
        None => {}
    }
    let _ = write!(
        line,
        " proto tcp from {}{} to {}{}",
        set(&of.source),
        port_set(&of.source_ports),
        set(&of.destination),
        port_set(&of.destination_ports)
    );
    match rule.action {
        Action::DestinationNat(to) => {
            let _ = write!(line, " rdr-to {to}");
        }
        Action::SourceNat(to) => {
            // The client's firewall may ask for the server's port.
            let keeps = if keeps_port(of) { " static-port" } else { "" };
            let _ = write!(line, " nat-to {to}{keeps}");
        }
        Action::Masquerade => line.push_str(" nat-to ($inside)"),
        Action::Accept | Action::Drop | Action::AssignHelper => {}
    }
    Some(line)
}

fn keeps_port(of: &Match) -> bool {
    !of.source_ports.is_any()
}

fn set(addresses: &Addresses) -> String {
    if addresses.is_any() {
        "any".to_owned()
    } else {
        braced(&addresses.texts())
    }
}

fn port_set(ports: &Ports) -> String {
    if ports.is_any() {
        String::new()
    } else {
        format!(" port {}", braced(&ports.texts(":")))
    }
}

fn braced(items: &[String]) -> String {
    match items {
        [one] => one.clone(),
        several => format!("{{ {} }}", several.join(" ")),
    }
}
