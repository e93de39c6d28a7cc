//! What the host's own packet filter makes of control and data connections.

use wharf_firewall::Passive;
use wharf_firewall::loaded::{Family, Helper, Hook, Judgement, Ports, Probe, RuleAt, Ruleset};

use super::Checked;
use crate::finding::{Finding, Remedy, Severity, WhoActs};
use crate::host::offered::Offered;
use crate::host::seen::{Rules, Seen};
use crate::report::Outcome;

fn name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}

/// The families in which somebody could come: there is a listener and an address.
pub(super) fn families(offered: &Offered, seen: &Seen) -> Vec<Family> {
    let listens = |family: Family| {
        offered.listen.iter().any(|at| match family {
            Family::Ipv4 => at.is_ipv4() || at.ip().is_unspecified(),
            Family::Ipv6 => at.is_ipv6(),
        })
    };
    let both = [Family::Ipv4, Family::Ipv6];
    let mut found: Vec<Family> = both
        .into_iter()
        .filter(|family| listens(*family) && seen.address(*family).is_some())
        .collect();
    if found.is_empty() {
        found.extend(both.into_iter().filter(|family| listens(*family)));
    }
    found
}

/// A stranger who comes the usual way.
fn arriving(seen: &Seen, family: Family, port: u16) -> Probe {
    Probe {
        destination: seen.address(family),
        input_interface: seen.interface(family).map(str::to_owned),
        ..Probe::arriving(family, port)
    }
}

/// So many stretches of ports are named one by one.
const NAMED: usize = 3;

/// Ports of which the same is said, in order: a patchwork of rules makes few lines.
struct Alike {
    stretches: Vec<(u16, u16)>,
    judgement: Judgement,
    /// Not every port of them is let in by the same rule, or in doubt because of the same one.
    by_several: bool,
}

/// What is said of the ports of a range.
fn alike(rules: &Ruleset, seen: &Seen, family: Family, lo: u16, hi: u16) -> Vec<Alike> {
    let mut found: Vec<Alike> = Vec::new();
    for port in lo..=hi {
        let judgement = rules.judge_arrival(&arriving(seen, family, port));
        match found.iter_mut().find(|it| it.takes(&judgement)) {
            Some(alike) => {
                alike.by_several |= alike.judgement != judgement;
                match alike.stretches.last_mut() {
                    Some((_, last)) if last.checked_add(1) == Some(port) => *last = port,
                    _ => alike.stretches.push((port, port)),
                }
            }
            None => found.push(Alike {
                stretches: vec![(port, port)],
                judgement,
                by_several: false,
            }),
        }
    }
    found
}

impl Alike {
    /// Of a port that is closed it matters by which rule: there it must be opened.
    fn takes(&self, judgement: &Judgement) -> bool {
        match (&self.judgement, judgement) {
            (Judgement::Admitted { .. }, Judgement::Admitted { .. })
            | (Judgement::Unknown { .. }, Judgement::Unknown { .. }) => true,
            (known, other) => known == other,
        }
    }

    /// For people.
    fn ports(&self) -> String {
        let named = self.stretches.iter().take(NAMED);
        let named: Vec<String> = named.map(|(lo, hi)| span(*lo, *hi)).collect();
        match self.stretches.len().saturating_sub(NAMED) {
            0 => named.join(", "),
            more => format!("{} and {more} stretches more", named.join(", ")),
        }
    }

    /// For a rule that lets all of them in. What lies between belongs to the range as well.
    fn span(&self) -> String {
        match (self.stretches.first(), self.stretches.last()) {
            (Some((lo, _)), Some((_, hi))) => span(*lo, *hi),
            _ => String::new(),
        }
    }

    fn refuser(&self) -> Option<(&RuleAt, &'static str)> {
        match &self.judgement {
            Judgement::Dropped { by } => Some((by, "dropped")),
            Judgement::Refused { by } => Some((by, "refused")),
            Judgement::Admitted { .. } | Judgement::Unknown { .. } => None,
        }
    }
}

fn span(lo: u16, hi: u16) -> String {
    if lo == hi {
        lo.to_string()
    } else {
        format!("{lo}-{hi}")
    }
}

/// The rules, or that they are not known.
fn loaded(seen: &Seen) -> Result<&Ruleset, Vec<Checked>> {
    match &seen.rules {
        Rules::Read(rules) => Ok(rules),
        Rules::NoProgram => Err(vec![Checked::unknown("not known: nft is not installed")]),
        Rules::Denied(_) => Err(vec![Checked::unknown("not known: only root may read them")]),
        Rules::Failed(_) => Err(vec![Checked::unknown("not known: nft did not tell")]),
    }
}

pub(super) fn control(offered: &Offered, seen: &Seen) -> Vec<Checked> {
    let rules = match loaded(seen) {
        Ok(rules) => rules,
        Err(line) => return line,
    };
    let mut lines = Vec::new();
    for family in families(offered, seen) {
        for port in offered.control_ports() {
            let found = alike(rules, seen, family, port, port);
            lines.extend(judged(rules, family, &found, true, "control"));
        }
    }
    lines
}

pub(super) fn passive(offered: &Offered, seen: &Seen) -> Vec<Checked> {
    let rules = match loaded(seen) {
        Ok(rules) => rules,
        Err(line) => return line,
    };
    let range = match offered.passive {
        Passive::Range(range) | Passive::DataPorts(range) => range,
        Passive::OnePort => return vec![Checked::good("the control port is all that is needed")],
    };
    let mut lines = Vec::new();
    for family in families(offered, seen) {
        let found = alike(rules, seen, family, range.lo(), range.hi());
        // With --one-port auto the control port stands in for them.
        let fatal = !offered.one_port_auto;
        lines.extend(judged(rules, family, &found, fatal, "passive"));
    }
    lines
}

/// A line for what is let in, one for what is in doubt, and one for each rule that closes.
fn judged(
    rules: &Ruleset,
    family: Family,
    found: &[Alike],
    fatal: bool,
    what: &str,
) -> Vec<Checked> {
    let mut lines = Vec::new();
    for alike in found {
        let ports = alike.ports();
        let about = format!("{}, {ports}", name(family));
        let Some((by, how)) = alike.refuser() else {
            let others = if alike.by_several {
                ", and other rules"
            } else {
                ""
            };
            lines.push(match &alike.judgement {
                Judgement::Unknown { why } => Checked::new(
                    Outcome::Unfinished,
                    format!("{about}: cannot be said, {why}{others}"),
                ),
                admitted => Checked::good(format!("{about}: {admitted}{others}")),
            });
            continue;
        };
        let (word, severity) = match (what, fatal) {
            ("control", _) => ("control-closed", Severity::Fatal),
            (_, true) => ("passive-closed", Severity::Fatal),
            (_, false) => ("passive-closed", Severity::Weak),
        };
        let mut finding = Finding::new(
            word,
            severity,
            WhoActs::ServerFirewall,
            format!(
                "this host's own firewall lets nobody reach {} {ports} over {}",
                if alike.span().contains('-') {
                    "ports"
                } else {
                    "port"
                },
                name(family)
            ),
        )
        .because(format!("{how} by {by}"))
        .cure(opening(rules, by, family, &alike.span()));
        if severity == Severity::Weak {
            finding = finding.because(
                "clients are then sent to the control port (--one-port auto), after they have waited once",
            );
        }
        lines.push(Checked::new(Outcome::Fails, format!("{about}: {how} by {by}")).finds(finding));
    }
    lines
}

/// A rule in front of the one that closes. An accept in a table of its own would not help: every table is asked.
fn opening(rules: &Ruleset, by: &RuleAt, family: Family, ports: &str) -> Remedy {
    let side = WhoActs::ServerFirewall;
    let colon = ports.replace('-', ":");
    if by.table == "firewalld" {
        return Remedy::copy(
            side,
            "let them in",
            &format!("firewall-cmd --permanent --add-port={ports}/tcp\nfirewall-cmd --reload"),
        );
    }
    if by.chain.starts_with("ufw") || by.chain.contains("ufw-") {
        return Remedy::copy(side, "let them in", &format!("ufw allow {colon}/tcp"));
    }
    if rules.has_iptables() && matches!(by.table.as_str(), "filter" | "raw" | "mangle") {
        let program = match family {
            Family::Ipv4 => "iptables",
            Family::Ipv6 => "ip6tables",
        };
        return Remedy::copy(
            side,
            "let them in, before the rule that closes",
            &format!(
                "{program} -t {} -I {} -p tcp --dport {colon} -j ACCEPT",
                by.table, by.chain
            ),
        );
    }
    Remedy::copy(
        side,
        "let them in, before the rule that closes (`wharf firewall --dialect nftables` prints a whole ruleset)",
        &format!(
            "nft insert rule {} {} {} tcp dport {ports} ct state new accept",
            by.family, by.table, by.chain
        ),
    )
}

pub(super) fn active(offered: &Offered, seen: &Seen) -> Vec<Checked> {
    if !offered.active {
        return vec![Checked::unknown("active data connections are not offered")];
    }
    let rules = match loaded(seen) {
        Ok(rules) => rules,
        Err(line) => return line,
    };
    let port = offered.active_port.map_or(Ports::UNPRIVILEGED, Ports::One);
    let from = offered
        .active_port
        .map_or("any port".to_owned(), |port| format!("port {port}"));
    let mut lines = Vec::new();
    for family in families(offered, seen) {
        let probe = Probe {
            source: seen.address(family),
            output_interface: seen.interface(family).map(str::to_owned),
            ..Probe::leaving(family, port)
        };
        let about = format!("{}, from {from}", name(family));
        let judgement = rules.judge(&probe);
        let (Judgement::Dropped { by } | Judgement::Refused { by }) = &judgement else {
            lines.push(match judgement {
                Judgement::Unknown { why } => Checked::new(
                    Outcome::Unfinished,
                    format!("{about}: cannot be said, {why}"),
                ),
                admitted => Checked::good(format!("{about}: {admitted}")),
            });
            continue;
        };
        let sport = offered
            .active_port
            .map_or(String::new(), |port| format!("tcp sport {port} "));
        lines.push(
            Checked::new(Outcome::Fails, format!("{about}: {judgement}")).finds(
                Finding::new(
                    "active-closed",
                    Severity::Weak,
                    WhoActs::ServerFirewall,
                    format!(
                        "this host's own firewall does not let the server open active data connections over {}",
                        name(family)
                    ),
                )
                .because(judgement.to_string())
                .cure(Remedy::copy(
                    WhoActs::ServerFirewall,
                    "let them out, before the rule that closes; or do not offer them (--no-active)",
                    &format!(
                        "nft insert rule {} {} {} {sport}tcp dport 1024-65535 ct state new accept",
                        by.family, by.table, by.chain
                    ),
                )),
            ),
        );
    }
    lines
}

pub(super) fn elsewhere(_offered: &Offered, seen: &Seen) -> Vec<Checked> {
    let mut lines = Vec::new();
    if seen.legacy_tables.is_empty() {
        lines.push(Checked::good("no tables of iptables-legacy are loaded"));
    } else {
        lines.push(Checked::new(
            Outcome::Unfinished,
            format!(
                "iptables-legacy has tables here ({}), which nft does not list: see `iptables-legacy-save`",
                seen.legacy_tables.join(", ")
            ),
        ));
    }
    if let Rules::Read(rules) = &seen.rules
        && rules.has_iptables()
    {
        lines.push(Checked::new(
            Outcome::Unfinished,
            "some rules are iptables', of whose extensions nft tells nothing: see `iptables-save`",
        ));
    }
    lines
}

pub(super) fn helper(offered: &Offered, seen: &Seen) -> Vec<Checked> {
    let Rules::Read(rules) = &seen.rules else {
        return loaded(seen).err().unwrap_or_default();
    };
    let loaded = if seen.helper_loaded {
        "nf_conntrack_ftp is loaded"
    } else {
        "nf_conntrack_ftp is not loaded"
    };
    let automatic = seen.automatic_helper == Some(true);
    let mut lines = Vec::new();
    for port in offered.control_ports() {
        let probe = arriving(seen, Family::Ipv4, port).at(Hook::Prerouting);
        lines.push(match rules.helper(&probe) {
            _ if automatic => Checked::good(format!("{loaded}; assigned to port 21 automatically")),
            Helper::Assigned { kind, by } if kind == "ftp" => {
                Checked::good(format!("{loaded}; port {port} has it, by {by}"))
            }
            Helper::Assigned { .. } | Helper::Nobody if seen.helper_loaded => Checked::good(format!(
                "{loaded}, but no rule assigns it to port {port}: it does nothing (wharf needs none)"
            )),
            Helper::Assigned { .. } | Helper::Nobody => {
                Checked::good(format!("none for port {port}, and wharf needs none"))
            }
            Helper::Unknown { why } => {
                Checked::new(Outcome::Unfinished, format!("{loaded}; {why}"))
            }
        });
    }
    lines
}
