//! ufw (Ubuntu, Debian): commands of a shell script.
//!
//! ufw tracks connections itself (its before.rules accept what is established or related), so only first packets need a
//! rule. It has no commands for NAT and for the FTP helper.

use std::fmt::Write as _;

use super::{Dialect, Style, Unsupported};
use crate::deployment::Family;
use crate::explain;
use crate::flow::Ports;
use crate::rule::{Action, Addresses, Chain, Match, Protocol, Rule, State};
use crate::rule_set::{RuleSet, Scope};

pub(super) const DIALECT: Dialect = Dialect {
    name: "ufw",
    what: "Ubuntu and Debian, a script of ufw commands",
    extension: "sh",
    load: "sh FILE",
    write,
};

fn write(rules: &RuleSet, style: Style) -> Result<String, Unsupported> {
    if rules.uses_helper() {
        return Err(Unsupported::new(
            "ufw has no command that assigns the FTP helper",
            "open the data ports instead (without --helper), or put the raw part of --dialect iptables into \
             /etc/ufw/before.rules",
        ));
    }
    let translates = |it: &Rule| matches!(it.chain, Chain::DestinationNat | Chain::SourceNat);
    if rules.rules.iter().any(translates) {
        return Err(Unsupported::new(
            "ufw has no command for NAT",
            "put the nat part of --dialect iptables into /etc/ufw/before.rules, and let the rest pass with `ufw route` \
             (this dialect without --inside)",
        ));
    }
    let mut out = String::from("#!/bin/sh\n");
    out.push_str(&style.head(&DIALECT, rules, "# "));
    out.push_str("set -e\n");
    match (rules.scope, rules.deployment.side.is_gateway()) {
        (Scope::Beside, _) => {}
        (Scope::Complete, true) => out.push_str("ufw default deny routed\n"),
        (Scope::Complete, false) => {
            let remark = "Everything else is denied, SSH included. What ufw's own before.rules let pass stays (ping, DHCP, \
                          mDNS).";
            out.push_str(&explain::comment(remark, "# ", 110));
            out.push_str("ufw default deny incoming\nufw default deny outgoing\n");
        }
    }
    for rule in &rules.rules {
        if rule.matching.protocol != Protocol::Tcp || rule.matching.state != State::New {
            continue; // ufw's own rules
        }
        out.push_str(&style.comment(rule, rules, "# "));
        for line in lines(rule) {
            let _ = writeln!(out, "{line}");
        }
    }
    if rules.deployment.side == crate::Side::Server && rules.deployment.active.is_some() {
        let remark = "Rules for `out` have an effect where outgoing connections are denied by default; ufw allows them \
                      unless told otherwise.";
        out.push_str(&explain::comment(remark, "# ", 110));
    }
    Ok(out)
}

/// One command for each pair of addresses and ranges of ports
fn lines(rule: &Rule) -> Vec<String> {
    let of = &rule.matching;
    let verb = match (rule.chain, rule.action) {
        (Chain::Forward, Action::Drop) => "route deny",
        (Chain::Forward, _) => "route allow",
        (Chain::Output, Action::Drop) => "deny out",
        (Chain::Output, _) => "allow out",
        (_, Action::Drop) => "deny in",
        _ => "allow in",
    };
    let mut lines = Vec::new();
    for from in addresses(of, &of.source) {
        for to in addresses(of, &of.destination) {
            for from_port in ports(&of.source_ports) {
                for to_port in ports(&of.destination_ports) {
                    lines.push(format!(
                        "ufw {verb} proto tcp from {from}{from_port} to {to}{to_port}"
                    ));
                }
            }
        }
    }
    lines
}

/// An address tells the family; `any` is both
fn addresses(of: &Match, addresses: &Addresses) -> Vec<String> {
    if !addresses.is_any() {
        return addresses.texts();
    }
    vec![
        match of.family {
            None => "any",
            Some(Family::V4) => "0.0.0.0/0",
            Some(Family::V6) => "::/0",
        }
        .to_owned(),
    ]
}

fn ports(ports: &Ports) -> Vec<String> {
    if ports.is_any() {
        return vec![String::new()];
    }
    let texts = ports.texts(":");
    texts.iter().map(|it| format!(" port {it}")).collect()
}
