//! Windows: Defender Firewall by PowerShell (`New-NetFirewallRule`, Windows 8 and Server 2012 or later).
//!
//! Written from Microsoft's documentation; not run, there is no Windows in the lab. The firewall filters the machine it
//! runs on and remembers connections. A rule that blocks beats every rule that allows, so FTP's ports are not closed
//! for others by rules here: the default for what comes in does that. Server rules are bound to the program.

use std::fmt::Write as _;

use super::steps::{first_step, steps};
use super::{Dialect, Style, Unsupported};
use crate::deployment::{Family, Side};
use crate::explain;
use crate::flow::Step;
use crate::rule::{Chain, Rule, State};
use crate::rule_set::{RuleSet, Scope};

pub(super) const DIALECT: Dialect = Dialect {
    name: "windows",
    what: "Windows Defender Firewall, PowerShell",
    extension: "ps1",
    load: "powershell -File FILE (as administrator)",
    write,
};

fn write(rules: &RuleSet, style: Style) -> Result<String, Unsupported> {
    let side = rules.deployment.side;
    if side.is_gateway() {
        return Err(Unsupported::new(
            "Windows' firewall filters the machine it runs on, not what that machine forwards",
            format!(
                "load the rules of --side {} there, and write the gateway's own in its own dialect",
                if side.is_servers() {
                    "server"
                } else {
                    "client"
                }
            ),
        ));
    }
    let mut out = style.head(&DIALECT, rules, "# ");
    let defaults = match rules.scope {
        Scope::Beside => {
            "Windows blocks what comes in and allows what goes out unless it is told otherwise: outbound rules have a \
             meaning where outbound is blocked, too. Rules of others that allow more stay in force."
        }
        Scope::Complete => {
            "Everything else is blocked both ways by default, but rules of others stay in force: disable those that \
             allow more (Get-NetFirewallRule -Enabled True -Action Allow)."
        }
    };
    out.push_str(&explain::comment(defaults, "# ", 110));
    out.push_str("Remove-NetFirewallRule -Group 'wharf' -ErrorAction SilentlyContinue\n");
    if rules.scope == Scope::Complete {
        out.push_str(
            "Set-NetFirewallProfile -All -Enabled True -DefaultInboundAction Block -DefaultOutboundAction Block\n",
        );
    }
    if rules.uses_helper() {
        out.push_str(&explain::comment(
            "Windows reads the control connection itself, on port 21 and in plaintext, and opens the data ports that are \
             named there.",
            "# ",
            110,
        ));
        out.push_str("netsh advfirewall set global StatefulFTP enable\n");
    }
    if side == Side::Server {
        let _ = writeln!(out, "$program = {}", program(&rules.deployment.program));
    }
    for rule in steps(rules) {
        if rule.matching.state == State::RelatedByHelper {
            continue; // that is what the inspection above does
        }
        out.push_str(&style.comment(rule, rules, "# "));
        out.push_str(&line(rule, side));
    }
    Ok(out)
}

/// The program as a PowerShell expression: a path as it is, a name as the path that it is found at
fn program(program: &str) -> String {
    if program.contains(['\\', '/']) {
        quoted(program)
    } else {
        format!(
            "(Get-Command {} -CommandType Application)[0].Source",
            quoted(program)
        )
    }
}

fn line(rule: &Rule, side: Side) -> String {
    let of = &rule.matching;
    let inbound = rule.chain == Chain::Input;
    let (local, remote) = if inbound {
        (&of.destination_ports, &of.source_ports)
    } else {
        (&of.source_ports, &of.destination_ports)
    };
    let (here, there) = if inbound {
        (&of.destination, &of.source)
    } else {
        (&of.source, &of.destination)
    };
    let family = match of.family {
        None => "",
        Some(Family::V4) => ", IPv4",
        Some(Family::V6) => ", IPv6",
    };
    let name = match first_step(rule) {
        Step::Control => "FTP control connection",
        Step::PassiveData => "FTP passive data connection",
        Step::ActiveData => "FTP active data connection",
    };
    let direction = if inbound { "Inbound" } else { "Outbound" };
    let mut words = format!(
        "New-NetFirewallRule -Group 'wharf' -DisplayName '{name}{family}' -Direction {direction} -Action Allow \
         -Protocol TCP"
    );
    for (parameter, ports) in [("LocalPort", local), ("RemotePort", remote)] {
        if !ports.is_any() {
            let _ = write!(words, " -{parameter} {}", list(&ports.texts("-")));
        }
    }
    if !here.is_any() {
        let _ = write!(words, " -LocalAddress {}", list(&here.texts()));
    }
    if !there.is_any() {
        let _ = write!(words, " -RemoteAddress {}", list(&there.texts()));
    } else if let Some(family) = of.family {
        // Both halves: a prefix of no bits is not a subnet to every version.
        let halves = match family {
            Family::V4 => "'0.0.0.0/1','128.0.0.0/1'",
            Family::V6 => "'::/1','8000::/1'",
        };
        let _ = write!(words, " -RemoteAddress {halves}");
    }
    if side == Side::Server {
        words.push_str(" -Program $program");
    }
    words.push_str(" | Out-Null\n");
    words
}

fn list(items: &[String]) -> String {
    let quoted: Vec<String> = items.iter().map(|it| quoted(it)).collect();
    quoted.join(",")
}

/// A PowerShell string that nothing is replaced in
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
