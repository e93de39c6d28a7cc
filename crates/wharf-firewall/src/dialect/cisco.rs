//! Cisco IOS: extended access lists of the router in front of the server or of the clients, in and out.
//!
//! Written from Cisco's documentation; no router has seen it. The lists have no state: each way of a connection is a
//! line of its own, and `established` (a segment with ACK or RST) keeps the way back from being a way in. That closes
//! the hole of the well-known article's rule 4, by which whoever comes from the right port opens connections at will;
//! forged segments with ACK still pass. Inwards the list comes before NAT and outwards after it, so that the
//! lists on the outside interface have the outside addresses.

use std::fmt::Write as _;
use std::net::IpAddr;

use wharf_proto::data_connection::Opener;
use wharf_proto::data_connection::advertise::Network;

use super::{Dialect, Style, Unsupported, placeholder};
use crate::deployment::{Deployment, Family};
use crate::explain;
use crate::flow::{Direction, Flow, Ports};
use crate::rule::{Addresses, Reason};
use crate::rule_set::{RuleSet, Scope};

pub(super) const DIALECT: Dialect = Dialect {
    name: "cisco",
    what: "Cisco IOS, extended access lists",
    extension: "ios",
    load: "configure terminal, then the lines of FILE",
    write,
};

/// The most static translations that are written port by port
const MAPPED: u32 = 32;

fn write(rules: &RuleSet, style: Style) -> Result<String, Unsupported> {
    let of = &rules.deployment;
    refuse(rules)?;
    let mut out = style.head(&DIALECT, rules, "! ");
    let remark = match rules.scope {
        Scope::Beside => {
            "Put these lines into the lists that are on the outside interface already, before what they deny: a list \
             alone denies everything that is not in it, for every host behind the interface."
        }
        Scope::Complete => {
            "Everything else is denied, for every host behind the interface. On the outside interface: ip access-group \
             WHARF-IN in, ip access-group WHARF-OUT out; ipv6 traffic-filter WHARF6-IN in, ipv6 traffic-filter \
             WHARF6-OUT out."
        }
    };
    out.push_str(&explain::comment(remark, "! ", 110));
    if is_unnamed(of) {
        let families: Vec<Family> = of.families().collect();
        let remark = placeholder::remark("server", &families);
        out.push_str(&explain::comment(&remark, "! ", 110));
    }
    out.push_str(&translation(of));
    for family in of.families() {
        for direction in [Direction::Inbound, Direction::Outbound] {
            out.push_str(&list(rules, style, family, direction));
        }
    }
    Ok(out)
}

/// A router's list is for all hosts behind it and must know which one is the server
fn is_unnamed(of: &Deployment) -> bool {
    of.side.is_servers() && of.server.addresses.is_empty()
}

/// The connections that must pass, in one family, of a server that has a name
fn flows(rules: &RuleSet, family: Family) -> Vec<Flow> {
    let flows = rules.flows.iter();
    let of_it = flows.filter(|it| it.family.is_none_or(|it| it == family));
    of_it
        .map(|flow| {
            let mut flow = flow.clone();
            if is_unnamed(&rules.deployment) {
                let server = match flow.opener {
                    Opener::User => &mut flow.to,
                    Opener::Server => &mut flow.from,
                };
                *server = Addresses::hosts([placeholder::host(family)]);
            }
            flow
        })
        .collect()
}

/// What a list without state cannot say
fn refuse(rules: &RuleSet) -> Result<(), Unsupported> {
    let of = &rules.deployment;
    if rules.uses_helper() {
        return Err(Unsupported::new(
            "access lists have no state and nobody who reads the control connection",
            "leave --helper out: open a range, or --one-port on; or use an inspecting firewall (inspect ftp on ASA, a \
             zone-based policy on IOS)",
        ));
    }
    if of.is_translated(Family::V6) {
        return Err(Unsupported::new(
            "IOS translates IPv6 prefixes, not single hosts and ports",
            "give the server an IPv6 address of its own and leave out its --inside",
        ));
    }
    Ok(())
}

/// The NAT in front of the server
fn translation(of: &Deployment) -> String {
    let (Some(inside), true) = (
        of.server.inside_of(Family::V4),
        of.is_translated(Family::V4),
    ) else {
        return String::new();
    };
    let outside = of.server.addresses.iter().find(|it| it.is_ipv4());
    let Some(outside) = outside else {
        return String::new();
    };
    let mut out = String::new();
    let ports = of.passive.and_then(crate::deployment::Passive::ports);
    let width = ports.map_or(0, |it| u32::from(it.hi()) - u32::from(it.lo()) + 1);
    let mut remark = "Interfaces: ip nat outside, ip nat inside.".to_owned();
    if width > MAPPED || of.active.is_some() {
        remark.push_str(
            " The whole address is translated, because static NAT has no ranges and active data connections must leave \
             with it; what may come in is for the list to say.",
        );
    }
    if !of.hairpin.is_empty() {
        remark.push_str(
            " Hairpin is not written: with inside and outside interfaces hosts beside the server do not come back to it. \
             Tell them its inside address (--advertise NET=ADDR, DNS).",
        );
    }
    out.push_str(&explain::comment(&remark, "! ", 110));
    if width > MAPPED || of.active.is_some() {
        let _ = writeln!(out, "ip nat inside source static {inside} {outside}");
        return out;
    }
    let data = ports.into_iter().flat_map(|it| it.lo()..=it.hi());
    for port in of.control_ports.iter().copied().chain(data) {
        let _ = writeln!(
            out,
            "ip nat inside source static tcp {inside} {port} {outside} {port} extendable"
        );
    }
    out
}

fn list(rules: &RuleSet, style: Style, family: Family, direction: Direction) -> String {
    let way = match direction {
        Direction::Inbound => "IN",
        Direction::Outbound => "OUT",
    };
    let mut out = match family {
        Family::V4 => format!("ip access-list extended WHARF-{way}\n"),
        Family::V6 => format!("ipv6 access-list WHARF6-{way}\n"),
    };
    let mut written: Vec<String> = Vec::new();
    for flow in flows(rules, family)
        .into_iter()
        .flat_map(|it| [it.clone(), it.reply()])
    {
        if flow.direction != direction {
            continue;
        }
        let lines: Vec<String> = lines("permit", &flow, family)
            .into_iter()
            .filter(|it| !written.contains(it))
            .collect();
        if style.explain && !lines.is_empty() {
            out.push_str(&comment(&flow, &rules.deployment));
        }
        for line in lines {
            let _ = writeln!(out, " {line}");
            written.push(line);
        }
    }
    match rules.scope {
        Scope::Complete => out.push_str(errors(family)),
        Scope::Beside => out.push_str(&guards(rules, family, direction)),
    }
    out.push_str("exit\n");
    out
}

/// FTP's own ports are closed for whoever is not meant, also where later lines of the list permit more
fn guards(rules: &RuleSet, family: Family, direction: Direction) -> String {
    let mut written: Vec<String> = Vec::new();
    let mut out = String::new();
    for flow in flows(rules, family)
        .into_iter()
        .filter(|it| it.direction == direction)
    {
        let servers = rules.deployment.side.is_servers();
        let open = match direction {
            Direction::Inbound => flow.from.is_any(),
            Direction::Outbound => flow.source_ports.is_any(),
        };
        if !servers || open {
            continue;
        }
        let mut guard = flow.clone();
        match direction {
            Direction::Inbound => guard.from = Addresses::any(),
            Direction::Outbound => {
                guard.to = Addresses::any();
                guard.destination_ports = Ports::any();
            }
        }
        for line in lines("deny", &guard, family) {
            if !written.contains(&line) {
                let _ = writeln!(out, " {line}");
                written.push(line);
            }
        }
    }
    out
}

/// ICMP errors, without which large packets are lost silently; IPv6 lists let neighbour discovery pass by themselves
fn errors(family: Family) -> &'static str {
    match family {
        Family::V4 => {
            " permit icmp any any unreachable\n permit icmp any any time-exceeded\n permit icmp any any \
             parameter-problem\n"
        }
        Family::V6 => {
            " permit icmp any any unreachable\n permit icmp any any packet-too-big\n permit icmp any any \
             time-exceeded\n permit icmp any any parameter-problem\n"
        }
    }
}

fn comment(flow: &Flow, deployment: &Deployment) -> String {
    if flow.is_reply {
        return format!(" ! the way back of the {}\n", flow.step);
    }
    explain::comment(
        &explain::reason(Reason::Step(flow.step), deployment),
        " ! ",
        110,
    )
}

/// One line for each pair of networks and of port ranges
fn lines(action: &str, flow: &Flow, family: Family) -> Vec<String> {
    let mut lines = Vec::new();
    for source in addresses(&flow.from) {
        for destination in addresses(&flow.to) {
            for from in ports(&flow.source_ports) {
                for to in ports(&flow.destination_ports) {
                    let source = address(source, family);
                    let destination = address(destination, family);
                    let established = if flow.is_reply { " established" } else { "" };
                    lines.push(format!(
                        "{action} tcp {source}{from} {destination}{to}{established}"
                    ));
                }
            }
        }
    }
    lines
}

fn addresses(addresses: &Addresses) -> Vec<Option<Network>> {
    if addresses.is_any() {
        vec![None]
    } else {
        addresses.iter().map(Some).collect()
    }
}

fn address(network: Option<Network>, family: Family) -> String {
    let Some(network) = network else {
        return "any".to_owned();
    };
    let whole = if family == Family::V4 { 32 } else { 128 };
    if network.prefix() == whole {
        return format!("host {}", network.address());
    }
    match network.address() {
        IpAddr::V4(it) => {
            // a wildcard: the bits that do not matter
            let bits = u32::MAX
                .checked_shr(u32::from(network.prefix()))
                .unwrap_or(0);
            format!("{it} {}", std::net::Ipv4Addr::from(bits))
        }
        IpAddr::V6(_) => network.to_string(),
    }
}

fn ports(ports: &Ports) -> Vec<String> {
    if ports.is_any() {
        return vec![String::new()];
    }
    let text = |(lo, hi)| match (lo, hi) {
        (lo, hi) if lo == hi => format!(" eq {lo}"),
        (lo, u16::MAX) if lo > 0 => format!(" gt {}", lo - 1),
        (lo, hi) => format!(" range {lo} {hi}"),
    };
    ports.ranges().map(text).collect()
}
