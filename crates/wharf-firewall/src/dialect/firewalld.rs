//! firewalld (Fedora, RHEL, SUSE): commands of a shell script that define a service `wharf` and let it in.
//!
//! firewalld lets out what a host opens itself, and tracks connections; so only what comes in needs a rule. Its own
//! service `ftp` is port 21 with the helper: enough for plaintext only.

use std::fmt::Write as _;

use super::{Dialect, Style, Unsupported};
use crate::deployment::{Family, Side};
use crate::explain;
use crate::flow::{Direction, Flow, Ports, Step};
use crate::rule::{Action, Addresses, Chain, Reason};
use crate::rule_set::{RuleSet, Scope};

pub(super) const DIALECT: Dialect = Dialect {
    name: "firewalld",
    what: "Fedora, RHEL and SUSE, a script of firewall-cmd commands",
    extension: "sh",
    load: "sh FILE",
    write,
};

fn write(rules: &RuleSet, style: Style) -> Result<String, Unsupported> {
    if rules.scope == Scope::Complete {
        return Err(Unsupported::new(
            "a zone of firewalld holds what others let in, too, and outgoing connections are not filtered",
            "print the rules without --complete, and give the interface to a zone that lets in nothing else",
        ));
    }
    let mut out = String::from("#!/bin/sh\n");
    out.push_str(&style.head(&DIALECT, rules, "# "));
    out.push_str("set -e\n");
    match rules.deployment.side {
        Side::Server => server(rules, style, &mut out),
        Side::ServerGateway => server_gateway(rules, style, &mut out)?,
        Side::Client => client(rules, style, &mut out)?,
        Side::ClientGateway => client_gateway(rules, style, &mut out)?,
    }
    out.push_str("firewall-cmd --reload\n");
    Ok(out)
}

/// The comments of the rules for a step
fn why(rules: &RuleSet, style: Style, step: Step, out: &mut String) {
    let about = |it: &&crate::Rule| it.reasons.contains(&Reason::Step(step));
    if let Some(rule) = rules.rules.iter().find(about) {
        out.push_str(&style.comment(rule, rules, "# "));
    }
}

/// Defines the service: ports that are open all the time, and the helper for the others
fn service(rules: &RuleSet, style: Style, out: &mut String) {
    out.push_str(
        "firewall-cmd --permanent --delete-service=wharf 2>/dev/null || true\n\
         firewall-cmd --permanent --new-service=wharf\n",
    );
    let mut written: Vec<Ports> = Vec::new();
    for flow in &rules.flows {
        let known = written.contains(&flow.destination_ports);
        if flow.direction != Direction::Inbound || flow.by_helper || known {
            continue;
        }
        why(rules, style, flow.step, out);
        for port in flow.destination_ports.texts("-") {
            let _ = writeln!(
                out,
                "firewall-cmd --permanent --service=wharf --add-port={port}/tcp"
            );
        }
        written.push(flow.destination_ports.clone());
    }
    if rules.uses_helper() {
        if let Some(rule) = rules
            .rules
            .iter()
            .find(|it| it.action == Action::AssignHelper)
        {
            out.push_str(&style.comment(rule, rules, "# "));
        }
        out.push_str("firewall-cmd --permanent --service=wharf --add-helper=ftp\n");
    }
}

fn server(rules: &RuleSet, style: Style, out: &mut String) {
    service(rules, style, out);
    zone(out);
    for flow in &rules.flows {
        if flow.step != Step::Control {
            continue;
        }
        if flow.family.is_none() {
            out.push_str("firewall-cmd --permanent --zone=\"$ZONE\" --add-service=wharf\n");
        }
        for rule in rich(flow, &flow.to, "service name=\"wharf\" accept") {
            add_rich(&rule, out);
        }
    }
    if rules.deployment.active.is_some() {
        let remark = "Active data connections: firewalld lets out what this host opens, unless a policy of yours (HOST to ANY) \
                      says otherwise.";
        out.push_str(&explain::comment(remark, "# ", 110));
    }
}

fn server_gateway(rules: &RuleSet, style: Style, out: &mut String) -> Result<(), Unsupported> {
    let translated = |it: &Flow| {
        it.family
            .is_some_and(|it| rules.deployment.is_translated(it))
    };
    if rules.uses_helper() || !rules.flows.iter().all(translated) {
        return Err(Unsupported::new(
            "firewalld forwards by policies between zones, which cannot hold a single server and its ports without a helper \
             or NAT",
            "--dialect nftables: its table stands beside firewalld's",
        ));
    }
    zone(out);
    for rule in rules.chain(Chain::DestinationNat) {
        let Action::DestinationNat(to) = rule.action else {
            continue;
        };
        out.push_str(&style.comment(rule, rules, "# "));
        for port in rule.matching.destination_ports.texts("-") {
            let what = format!(
                "forward-port port=\"{port}\" protocol=\"tcp\" to-port=\"{port}\" to-addr=\"{to}\""
            );
            let of = &rule.matching;
            for rule in rich_of(of.family, &of.source, &of.destination, &what) {
                add_rich(&rule, out);
            }
        }
    }
    for rule in rules.chain(Chain::SourceNat) {
        let of = &rule.matching;
        if rule.action == Action::Masquerade {
            out.push_str(&style.comment(rule, rules, "# "));
            for rule in rich_of(of.family, &of.source, &of.destination, "masquerade") {
                add_rich(&rule, out);
            }
        }
    }
    if rules.deployment.active.is_some() {
        let remark = "Active data connections: the zone's own masquerade gives them the outside address; a policy that \
                      denies the server outgoing connections must let pass those from its data port.";
        out.push_str(&explain::comment(remark, "# ", 110));
    }
    Ok(())
}

fn client(rules: &RuleSet, style: Style, out: &mut String) -> Result<(), Unsupported> {
    if rules.uses_helper() {
        out.push_str(
            "firewall-cmd --permanent --delete-service=wharf 2>/dev/null || true\n\
             firewall-cmd --permanent --new-service=wharf\n",
        );
        for port in Ports::list(&rules.deployment.control_ports).texts("-") {
            let _ = writeln!(
                out,
                "firewall-cmd --permanent --service=wharf --add-port={port}/tcp"
            );
        }
        why(rules, style, Step::ActiveData, out);
        out.push_str("firewall-cmd --permanent --service=wharf --add-helper=ftp\n");
        let remark = "A policy, because the helper has to read connections that this host opens (firewalld 0.9 and later).";
        out.push_str(&explain::comment(remark, "# ", 110));
        out.push_str(
            "firewall-cmd --permanent --delete-policy=wharf 2>/dev/null || true\n\
             firewall-cmd --permanent --new-policy=wharf\n\
             firewall-cmd --permanent --policy=wharf --add-ingress-zone=HOST\n\
             firewall-cmd --permanent --policy=wharf --add-egress-zone=ANY\n\
             firewall-cmd --permanent --policy=wharf --add-service=wharf\n",
        );
        return Ok(());
    }
    let mut comes_in = false;
    for flow in &rules.flows {
        if flow.direction != Direction::Inbound {
            continue;
        }
        if flow.from.is_any() {
            return Err(Unsupported::new(
                "a rich rule cannot hold a source port and a destination port together, so these ports would be open to \
                 everybody",
                "name the server with --server, or --helper",
            ));
        }
        if !comes_in {
            zone(out);
        }
        comes_in = true;
        why(rules, style, flow.step, out);
        if !flow.source_ports.is_any() {
            let remark = format!(
                "Wider than needed: a rich rule cannot ask for the source port {} as well.",
                flow.source_ports
            );
            out.push_str(&explain::comment(&remark, "# ", 110));
        }
        for port in flow.destination_ports.texts("-") {
            let what = format!("port port=\"{port}\" protocol=\"tcp\" accept");
            for rule in rich(flow, &flow.to, &what) {
                add_rich(&rule, out);
            }
        }
    }
    if !comes_in {
        let remark = "Nothing to add: passive data connections are opened by this host, and firewalld lets them out.";
        out.push_str(&explain::comment(remark, "# ", 110));
    }
    Ok(())
}

fn client_gateway(rules: &RuleSet, style: Style, out: &mut String) -> Result<(), Unsupported> {
    if !rules.uses_helper() {
        return Err(Unsupported::new(
            "firewalld forwards by policies between zones and has no rule for single ports from a server to its clients",
            "--helper, or --dialect nftables: its table stands beside firewalld's",
        ));
    }
    out.push_str(
        "# The zones of the clients and of the world: put in yours.\n\
         INSIDE=internal\nOUTSIDE=external\n\
         firewall-cmd --permanent --delete-service=wharf 2>/dev/null || true\n\
         firewall-cmd --permanent --new-service=wharf\n",
    );
    let mut written: Vec<Ports> = Vec::new();
    for flow in &rules.flows {
        let known = written.contains(&flow.destination_ports);
        if flow.direction != Direction::Outbound || known {
            continue;
        }
        why(rules, style, flow.step, out);
        for port in flow.destination_ports.texts("-") {
            let _ = writeln!(
                out,
                "firewall-cmd --permanent --service=wharf --add-port={port}/tcp"
            );
        }
        written.push(flow.destination_ports.clone());
    }
    why(rules, style, Step::ActiveData, out);
    out.push_str(
        "firewall-cmd --permanent --service=wharf --add-helper=ftp\n\
         firewall-cmd --permanent --delete-policy=wharf 2>/dev/null || true\n\
         firewall-cmd --permanent --new-policy=wharf\n\
         firewall-cmd --permanent --policy=wharf --add-ingress-zone=\"$INSIDE\"\n\
         firewall-cmd --permanent --policy=wharf --add-egress-zone=\"$OUTSIDE\"\n",
    );
    for flow in &rules.flows {
        if flow.step != Step::Control {
            continue;
        }
        if flow.family.is_none() {
            out.push_str("firewall-cmd --permanent --policy=wharf --add-service=wharf\n");
        }
        for rule in rich(flow, &flow.to, "service name=\"wharf\" accept") {
            let _ = writeln!(
                out,
                "firewall-cmd --permanent --policy=wharf --add-rich-rule='{rule}'"
            );
        }
    }
    Ok(())
}

fn zone(out: &mut String) {
    out.push_str(
        "# The zone of the interface that others come in by: the default zone, or put in yours.\n\
         ZONE=$(firewall-cmd --get-default-zone)\n",
    );
}

fn add_rich(rule: &str, out: &mut String) {
    let _ = writeln!(
        out,
        "firewall-cmd --permanent --zone=\"$ZONE\" --add-rich-rule='{rule}'"
    );
}

/// Rich rules for a flow; none where no family and so no address is named
fn rich(flow: &Flow, to: &Addresses, what: &str) -> Vec<String> {
    if flow.family.is_none() {
        return Vec::new();
    }
    rich_of(flow.family, &flow.from, to, what)
}

/// One for each pair of addresses
fn rich_of(family: Option<Family>, from: &Addresses, to: &Addresses, what: &str) -> Vec<String> {
    let family = match family {
        Some(Family::V6) => "ipv6",
        _ => "ipv4",
    };
    let mut found = Vec::new();
    for from in element("source", from) {
        for to in element("destination", to) {
            found.push(format!("rule family=\"{family}\"{from}{to} {what}"));
        }
    }
    found
}

fn element(name: &str, addresses: &Addresses) -> Vec<String> {
    if addresses.is_any() {
        return vec![String::new()];
    }
    let texts = addresses.texts();
    let element = |it: &String| format!(" {name} address=\"{it}\"");
    texts.iter().map(element).collect()
}
