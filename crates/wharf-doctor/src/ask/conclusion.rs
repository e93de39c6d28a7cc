//! What the answers mean: lines and findings for the report. Pure.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wharf_firewall::{Deployment, Passive, RuleSet, Scope, ServerAt, Side, Style, dialect};

use super::asker::{Answer, Call, Knock};
use super::line::Saw;
use crate::finding::{Finding, Remedy, Severity, WhoActs};
use crate::host::offered::{Offered, Told};
use crate::report::{Outcome, PathLine};

/// Lines and findings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conclusion {
    /// What was tried.
    pub paths: Vec<PathLine>,
    /// What follows.
    pub findings: Vec<Finding>,
}

/// Ports of one address with the same fate.
struct Group {
    what: String,
    ports: Vec<u16>,
    good: bool,
    silent: bool,
}

/// What the answer means for what is offered.
pub fn conclude(offered: &Offered, answer: &Answer) -> Conclusion {
    let mut conclusion = Conclusion::default();
    let (Some(seen), Some(own)) = (answer.seen, answer.own) else {
        return conclusion;
    };
    let seen = seen.ip().to_canonical();
    conclusion.path(
        "seen",
        "seen from there",
        Outcome::Works,
        Vec::new(),
        if seen == own {
            format!("at {seen}: no NAT is between")
        } else {
            format!("at {seen}, and this host is {own}: a NAT is between")
        },
    );
    let translated = seen != own;
    let mut addresses: Vec<IpAddr> = answer.knocks.iter().map(|knock| knock.to.ip()).collect();
    addresses.dedup();
    addresses.sort_unstable();
    addresses.dedup();
    for address in addresses {
        let at = |knock: &&Knock| knock.to.ip() == address;
        let control = offered.control_ports();
        let (controls, data): (Vec<&Knock>, Vec<&Knock>) = answer
            .knocks
            .iter()
            .filter(at)
            .partition(|knock| control.contains(&knock.to.port()));
        if address != seen
            && !answer
                .knocks
                .iter()
                .filter(at)
                .any(|it| it.saw == Some(Saw::Matched))
        {
            conclusion.not_ours(address, seen, &data);
            continue;
        }
        let place = Place {
            address,
            own,
            translated,
        };
        conclusion.ports(offered, &place, &controls, true);
        conclusion.ports(offered, &place, &data, false);
    }
    conclusion.told(offered, seen, own);
    if let Some(call) = &answer.call {
        conclusion.call(call, own);
    }
    conclusion.findings.sort_by_key(|finding| finding.severity);
    conclusion
}

struct Place {
    address: IpAddr,
    own: IpAddr,
    translated: bool,
}

impl Conclusion {
    fn path(&mut self, way: &str, name: &str, outcome: Outcome, at: Vec<SocketAddr>, what: String) {
        self.paths.push(PathLine {
            way: way.to_owned(),
            name: name.to_owned(),
            outcome,
            at,
            what,
            took: Duration::ZERO,
        });
    }

    fn ports(&mut self, offered: &Offered, place: &Place, knocks: &[&Knock], control: bool) {
        if knocks.is_empty() {
            return;
        }
        let (way, name) = if control {
            ("reach-control", "control port")
        } else {
            ("reach-data", "data ports")
        };
        let of_how_many = match offered.passive {
            Passive::Range(range) | Passive::DataPorts(range) if !control => {
                format!("{} of {} tried", knocks.len(), range.len())
            }
            _ => format!("{} tried", knocks.len()),
        };
        let groups = grouped(knocks, control);
        let good: usize = groups
            .iter()
            .filter(|it| it.good)
            .map(|it| it.ports.len())
            .sum();
        for group in &groups {
            let outcome = if group.good {
                Outcome::Works
            } else {
                Outcome::Fails
            };
            let what = format!(
                "{}:{}: {} ({of_how_many})",
                place.address,
                spans(&group.ports),
                group.what
            );
            self.path(way, name, outcome, Vec::new(), what);
        }
        if good == knocks.len() {
            return;
        }
        let (word, severity) = match (control, good, offered.one_port_auto) {
            (true, _, _) => ("control-unreachable", Severity::Fatal),
            (false, 0, false) => ("data-unreachable", Severity::Fatal),
            (false, 0, true) => ("data-unreachable", Severity::Weak),
            (false, _, _) => ("data-partly-unreachable", Severity::Weak),
        };
        let side = if place.translated {
            WhoActs::ServerNat
        } else {
            WhoActs::ServerFirewall
        };
        let what = if control {
            "the control port"
        } else {
            "passive ports"
        };
        let cause = match (good, place.translated) {
            (0, true) => format!("the NAT in front does not forward {what} to this host"),
            (0, false) => format!("{what} of this server cannot be reached from there"),
            (_, _) => format!(
                "only {good} of {} {what} can be reached from there",
                knocks.len()
            ),
        };
        let mut finding = Finding::new(word, severity, side, cause);
        for group in groups.iter().filter(|it| !it.good) {
            finding = finding.because(format!(
                "{}:{}: {}",
                place.address,
                spans(&group.ports),
                group.what
            ));
        }
        if place.translated {
            finding = finding.or(WhoActs::ServerFirewall);
        } else if groups.iter().all(|it| it.good || !it.silent) {
            finding = finding.because(
                "a reset comes back: a firewall rejects (on this host, where nobody listened, too)",
            );
        }
        self.findings.push(finding.cure(opening(offered, place)));
    }

    fn not_ours(&mut self, address: IpAddr, seen: IpAddr, data: &[&Knock]) {
        self.path(
            "reach-told",
            "told address",
            Outcome::Fails,
            Vec::new(),
            format!(
                "{address}: none of {} ports there is this server's",
                data.len()
            ),
        );
        self.findings.push(
            Finding::new(
                "told-wrong",
                Severity::Weak,
                WhoActs::ServerConfiguration,
                format!(
                    "a 227 names {address}, and nothing proves that clients reach this server there"
                ),
            )
            .because(format!("the other wharf sees this server at {seen}"))
            .cure(Remedy::copy(
                WhoActs::ServerConfiguration,
                "tell the address at which clients reach it",
                &format!("--advertise {seen}"),
            )),
        );
    }

    fn told(&mut self, offered: &Offered, seen: IpAddr, own: IpAddr) {
        if offered.told != Told::Reached || seen == own || !seen.is_ipv4() || offered.balanced {
            return;
        }
        self.findings.push(
            Finding::new(
                "told-private",
                Severity::Weak,
                WhoActs::ServerConfiguration,
                format!("a 227 names {own} to clients from outside, who reach this server at {seen}: advertise must be set"),
            )
            .because(format!("the other wharf sees this server at {seen}"))
            .because("EPSV (229) names no address and works all the same")
            .cure(Remedy::copy(
                WhoActs::ServerConfiguration,
                "tell the outside address",
                &format!("--advertise {seen}"),
            )),
        );
    }

    fn call(&mut self, call: &Call, own: IpAddr) {
        let wanted = call
            .wanted
            .map_or("any port".to_owned(), |port| format!("port {port}"));
        let (outcome, what) = match (&call.saw, call.from) {
            (Some(Saw::Called(seen)), Some(from)) => {
                let mut what = format!("from {from} here, seen there as {seen}");
                if seen.ip().to_canonical() != own {
                    what.push_str(": a NAT is between");
                }
                let denied = call.wanted.is_some_and(|port| port != from.port());
                let moved = call.wanted.is_some_and(|port| port != seen.port());
                if denied {
                    let note = call.note.clone().unwrap_or_default();
                    let _ = write!(what, "; {wanted} could not be used ({note})");
                } else if moved {
                    what.push_str(
                        "; the NAT changes the port, so rules on the source port do not fit",
                    );
                }
                let outcome = if denied || moved {
                    Outcome::Partly
                } else {
                    Outcome::Works
                };
                (outcome, what)
            }
            _ => {
                let note = call.note.clone();
                let note = note.unwrap_or_else(|| "it did not arrive there".to_owned());
                (Outcome::Fails, format!("from {wanted}: {note}"))
            }
        };
        self.path("reach-active", "active", outcome, Vec::new(), what.clone());
        if outcome != Outcome::Fails {
            return;
        }
        let sport = call
            .wanted
            .map_or(String::new(), |port| format!("tcp sport {port} "));
        self.findings.push(
            Finding::new(
                "active-unreachable",
                Severity::Weak,
                WhoActs::ServerFirewall,
                format!(
                    "the server cannot open connections from {wanted}: active data connections fail"
                ),
            )
            .because(what)
            .because("the same place answered from another port a moment before")
            .cure(Remedy::copy(
                WhoActs::ServerFirewall,
                "let them out, on this host and on its gateway",
                &format!("{sport}tcp dport 1024-65535 ct state new accept"),
            )),
        );
    }
}

/// The rules that let clients in: of a gateway with NAT, or of the firewall in front.
fn opening(offered: &Offered, place: &Place) -> Remedy {
    let side = if place.translated {
        WhoActs::ServerNat
    } else {
        WhoActs::ServerFirewall
    };
    let what = if place.translated {
        "forward and let in, on the gateway"
    } else {
        "let them in, on this host and on its gateway"
    };
    let deployment = Deployment {
        side: if place.translated {
            Side::ServerGateway
        } else {
            Side::Server
        },
        server: ServerAt {
            addresses: vec![place.address],
            inside: if place.translated {
                vec![place.own]
            } else {
                Vec::new()
            },
        },
        control_ports: offered.control_ports(),
        passive: Some(offered.passive),
        one_port_auto: offered.one_port_auto,
        ..Deployment::server()
    };
    let rules = RuleSet::new(&deployment, Scope::Beside).ok();
    let text = rules
        .zip(dialect::find("nftables"))
        .and_then(|(rules, dialect)| (dialect.write)(&rules, Style::default()).ok());
    Remedy::copy(side, what, &text.unwrap_or_default())
}

fn grouped(knocks: &[&Knock], control: bool) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for knock in knocks {
        let (what, good) = fate(knock, control);
        let silent = knock.saw == Some(Saw::Silent);
        match groups.iter_mut().find(|group| group.what == what) {
            Some(group) => group.ports.push(knock.to.port()),
            None => groups.push(Group {
                what,
                ports: vec![knock.to.port()],
                good,
                silent,
            }),
        }
    }
    for group in &mut groups {
        group.ports.sort_unstable();
    }
    groups
}

/// In words, and whether it is as it should be.
fn fate(knock: &Knock, control: bool) -> (String, bool) {
    let text = |what: &str| what.to_owned();
    match &knock.saw {
        None => (text("not tried"), false),
        Some(Saw::Matched) => (text("reached, and proved to be this server's"), true),
        Some(Saw::Refused) if knock.ours || control => (text("refused"), false),
        Some(Saw::Refused) => (
            text("refused, and nobody could listen here for the proof"),
            false,
        ),
        Some(Saw::Silent) => (text("silent"), false),
        Some(Saw::Unreachable) => (text("no way there"), false),
        Some(Saw::Unproven) => (
            text("not tried: not proved to be this server's address"),
            false,
        ),
        Some(Saw::Called(_)) => (text("a strange answer"), false),
        Some(Saw::Mute) if control => (text("reached, but it said nothing"), true),
        Some(Saw::Mute) if !knock.ours => (text("reached; the server itself has the port"), true),
        Some(Saw::Mute) => (text("reached, but closed by something in between"), false),
        Some(Saw::Other(said)) if control && said.starts_with("220") => {
            (format!("reached: `{said}`"), true)
        }
        Some(Saw::Other(said)) => (format!("another program answered: `{said}`"), false),
    }
}

/// `21`, `50000, 50008-50012`.
fn spans(ports: &[u16]) -> String {
    let mut text = String::new();
    let mut rest = ports;
    let mut shown = 0;
    while let Some((first, _)) = rest.split_first() {
        let run = rest
            .iter()
            .zip(*first..)
            .take_while(|(port, expected)| *port == expected)
            .count()
            .max(1);
        let last = rest.get(run - 1).copied().unwrap_or(*first);
        if shown == 6 {
            let final_port = rest.last().copied().unwrap_or(last);
            let _ = write!(text, ", ..., {final_port}");
            return text;
        }
        if shown > 0 {
            text.push_str(", ");
        }
        let _ = if last == *first {
            write!(text, "{first}")
        } else {
            write!(text, "{first}-{last}")
        };
        shown += 1;
        rest = rest.get(run..).unwrap_or_default();
    }
    text
}
