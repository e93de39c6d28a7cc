//! What a deployment needs, compared with what the kernel has loaded: is every connection let pass, by whatever rules?

use std::fmt;
use std::net::IpAddr;

use wharf_proto::data_connection::Opener;

use crate::deployment::{Deployment, Family, Side};
use crate::flow::{Direction, Flow, Ports, Step};
use crate::loaded::{self, Helper, Hook, Judgement, Probe, Protocol, Ruleset, State, Translation};
use crate::rule::{Addresses, Chain, Reason};
use crate::rule_set::RuleSet;

/// Ports of a range that are asked for one by one at most, to tell which of them are closed
const ONE_BY_ONE: u16 = 4096;

/// One thing that was asked of the loaded rules
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The step that needs it
    pub step: Step,
    /// The family of the connection
    pub family: Family,
    /// What was asked
    pub question: Question,
    /// What the loaded rules make of it
    pub verdict: Verdict,
}

/// What is asked
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Does the connection's first packet pass?
    Opens {
        /// Which way it is opened
        direction: Direction,
        /// The opener's ports
        source_ports: Ports,
        /// The ports that are opened to
        destination_ports: Ports,
    },
    /// Do the packets of the way back pass?
    Replies,
    /// Is the destination translated to the server's own address?
    IsTranslated,
    /// Does the FTP helper read the control connection?
    HelperReads,
}

/// What the loaded rules make of it
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As needed; by what, fit for a terminal
    AsNeeded(String),
    /// Not as needed; by what, fit for a terminal
    Differs(String),
    /// It cannot be said; what stands in the way, fit for a terminal
    Unknown(String),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = family_word(self.family);
        match &self.question {
            Question::Opens {
                direction,
                source_ports,
                destination_ports,
            } => {
                let way = match direction {
                    Direction::Inbound => "in",
                    Direction::Outbound => "out",
                };
                write!(f, "{}, {family}, {way}", self.step)?;
                if !source_ports.is_any() {
                    write!(f, " from port {source_ports}")?;
                }
                write!(f, " to port {destination_ports}")?;
            }
            Question::Replies => write!(f, "{}, {family}, the way back", self.step)?,
            Question::IsTranslated => {
                write!(f, "{}, {family}, translated to the server", self.step)?;
            }
            Question::HelperReads => write!(f, "{}, {family}, FTP helper assigned", self.step)?,
        }
        match &self.verdict {
            Verdict::AsNeeded(by) | Verdict::Differs(by) | Verdict::Unknown(by) => {
                write!(f, ": {by}")
            }
        }
    }
}

/// Asks the loaded rules for everything that the deployment needs; they are those of the deployment's own side
pub fn compare(needed: &RuleSet, loaded: &Ruleset) -> Vec<Answer> {
    let mut answers = Vec::new();
    for flow in &needed.flows {
        let families = match flow.family {
            Some(family) => vec![family],
            None => Family::ALL.to_vec(),
        };
        for family in families {
            let comparison = Comparison {
                needed,
                loaded,
                flow,
                family,
            };
            comparison.ask(&mut answers);
        }
    }
    answers.dedup();
    answers
}

/// What passes although nobody who is meant needs it: strangers at FTP's own ports, one sentence each without full stop
pub fn open_to_strangers(needed: &RuleSet, loaded: &Ruleset) -> Vec<String> {
    let mut found = Vec::new();
    for rule in &needed.rules {
        let hook = match rule.chain {
            Chain::Input => Hook::Input,
            Chain::Forward => Hook::Forward,
            _ => continue, // few hosts hold back what they send themselves
        };
        if !rule.reasons.contains(&Reason::Guard) {
            continue;
        }
        let of = &rule.matching;
        for family in Family::ALL.into_iter().filter(|it| of.is_about(*it)) {
            let flow = Flow {
                step: Step::Control,
                opener: Opener::User,
                direction: Direction::Inbound,
                family: Some(family),
                from: of.source.clone(),
                to: of.destination.clone(),
                source_ports: of.source_ports.clone(),
                destination_ports: of.destination_ports.clone(),
                by_helper: false,
                is_reply: false,
            };
            let comparison = Comparison {
                needed,
                loaded,
                flow: &flow,
                family,
            };
            let passes = comparison.all(hook).into_iter().find_map(|mut probe| {
                // Whoever it is, it is not one of the clients; who that is only matters where some are meant.
                if !needed.deployment.clients.is_empty() {
                    probe.source = stranger(&needed.deployment, family);
                }
                let judgement = loaded.judge(&probe);
                (judgement.admits() == Some(true)).then(|| judgement.to_string())
            });
            if let Some(by) = passes {
                let ports = of.destination_ports.texts("-");
                let word = match ports.as_slice() {
                    [one] if !one.contains('-') => "port",
                    _ => "ports",
                };
                found.push(format!(
                    "wider than needed, {}: anybody gets to {word} {}, {by}",
                    family_word(family),
                    of.destination_ports
                ));
            }
        }
    }
    found
}

/// Somebody who is no client; the networks are those for documentation, so that no real host is meant
fn stranger(deployment: &Deployment, family: Family) -> Option<IpAddr> {
    let known = Addresses::networks(
        deployment
            .clients
            .iter()
            .chain(&deployment.hairpin)
            .copied(),
    );
    let candidates = [
        "192.0.2.253",
        "198.51.100.253",
        "203.0.113.253",
        "2001:db8:ffff:fffd::1",
        "3fff::fd",
    ];
    let mut candidates = candidates.iter().filter_map(|it| it.parse::<IpAddr>().ok());
    candidates.find(|it| Family::of(*it) == family && !known.contains(*it))
}

struct Comparison<'a> {
    needed: &'a RuleSet,
    loaded: &'a Ruleset,
    flow: &'a Flow,
    family: Family,
}

impl Comparison<'_> {
    fn ask(&self, answers: &mut Vec<Answer>) {
        let flow = self.flow;
        let opens = || Question::Opens {
            direction: flow.direction,
            source_ports: flow.source_ports.clone(),
            destination_ports: flow.destination_ports.clone(),
        };
        let mut first = Vec::new();
        let mut back = Vec::new();
        for probe in self.probes() {
            first.push(self.judged(&probe));
            back.push(verdict(&self.loaded.judge(&reply(&probe))));
        }
        answers.push(self.answer(opens(), worst(first)));
        answers.push(self.answer(Question::Replies, worst(back)));
        if let Some(inside) = self.inside()
            && flow.opener == Opener::User
            && !flow.by_helper
        {
            let asked = self
                .arriving()
                .into_iter()
                .map(|it| self.translated(&it, inside));
            answers.push(self.answer(Question::IsTranslated, worst(asked.collect())));
        }
        if self.needed.uses_helper() && flow.step == Step::Control {
            let asked = self.arriving().into_iter().map(|it| self.helped(&it));
            answers.push(self.answer(Question::HelperReads, worst(asked.collect())));
        }
    }

    fn answer(&self, question: Question, verdict: Verdict) -> Answer {
        Answer {
            step: self.flow.step,
            family: self.family,
            question,
            verdict,
        }
    }

    /// The server's own address behind the NAT
    fn inside(&self) -> Option<IpAddr> {
        let deployment = &self.needed.deployment;
        let translated = deployment.is_translated(self.family);
        translated.then(|| deployment.server.inside_of(self.family))?
    }

    /// First packets of the flow where they are filtered, one for each pair of addresses and range of ports
    fn probes(&self) -> Vec<Probe> {
        let side = self.needed.deployment.side;
        let hook = match (side.is_gateway(), self.flow.direction) {
            (true, _) => Hook::Forward,
            (false, Direction::Inbound) => Hook::Input,
            (false, Direction::Outbound) => Hook::Output,
        };
        let mut probes = self.all(hook);
        if let Some(inside) = self.inside() {
            for probe in &mut probes {
                match self.flow.opener {
                    Opener::User => {
                        probe.destination = Some(inside);
                        probe.destination_rewritten = !self.flow.by_helper;
                    }
                    Opener::Server => probe.source = Some(inside),
                }
            }
            probes.dedup();
        }
        probes
    }

    /// First packets where they first appear, untranslated
    fn arriving(&self) -> Vec<Probe> {
        self.all(if self.needed.deployment.side == Side::Client {
            Hook::Output
        } else {
            Hook::Prerouting
        })
    }

    fn all(&self, hook: Hook) -> Vec<Probe> {
        let mut probes = Vec::new();
        for source in each(&self.flow.from) {
            for destination in each(&self.flow.to) {
                for source_port in spans(&self.flow.source_ports) {
                    for destination_port in spans(&self.flow.destination_ports) {
                        probes.push(Probe {
                            hook,
                            family: match self.family {
                                Family::V4 => loaded::Family::Ipv4,
                                Family::V6 => loaded::Family::Ipv6,
                            },
                            protocol: Protocol::Tcp,
                            source,
                            source_port,
                            destination,
                            destination_port,
                            input_interface: None,
                            output_interface: None,
                            state: if self.flow.by_helper {
                                State::Related
                            } else {
                                State::New
                            },
                            helper: self.flow.by_helper.then(|| "ftp".to_owned()),
                            destination_rewritten: false,
                        });
                    }
                }
            }
        }
        probes
    }

    /// The verdict on a first packet; where the ports of a range differ, which of them
    fn judged(&self, probe: &Probe) -> Verdict {
        let judgement = self.loaded.judge(probe);
        let loaded::Ports::Between(lo, hi) = probe.destination_port else {
            return verdict(&judgement);
        };
        if judgement.admits().is_some() || hi - lo >= ONE_BY_ONE {
            return verdict(&judgement);
        }
        let parts = self.loaded.judge_ports(probe, lo, hi);
        let bad = parts.iter().filter(|(_, _, it)| it.admits() != Some(true));
        let bad: Vec<String> = bad
            .map(|(lo, hi, it)| {
                if lo == hi {
                    format!("port {lo} {it}")
                } else {
                    format!("ports {lo}-{hi} {it}")
                }
            })
            .collect();
        if bad.is_empty() {
            return match parts.first() {
                Some((_, _, first)) => verdict(first),
                None => verdict(&judgement),
            };
        }
        let text = bad.join("; ");
        if parts.iter().any(|(_, _, it)| it.admits() == Some(false)) {
            Verdict::Differs(text)
        } else {
            Verdict::Unknown(text)
        }
    }

    fn translated(&self, probe: &Probe, inside: IpAddr) -> Verdict {
        match self.loaded.translate(probe) {
            Translation::Changed {
                address: Some(to),
                port: None,
                by,
            } if to == inside => Verdict::AsNeeded(format!("by {by}")),
            Translation::Changed { by, .. } => {
                Verdict::Differs(format!("it goes elsewhere, by {by}"))
            }
            Translation::Unchanged => Verdict::Differs(format!("no rule sends it to {inside}")),
            Translation::Unknown { why } => Verdict::Unknown(why),
        }
    }

    fn helped(&self, probe: &Probe) -> Verdict {
        match self.loaded.helper(probe) {
            Helper::Assigned { kind, by } if kind == "ftp" => Verdict::AsNeeded(format!("by {by}")),
            Helper::Assigned { kind, by } => {
                Verdict::Differs(format!("the helper {kind} reads it, by {by}"))
            }
            Helper::Nobody => Verdict::Differs(
                "no rule assigns it, and kernels no longer do it by themselves".to_owned(),
            ),
            Helper::Unknown { why } => Verdict::Unknown(why),
        }
    }
}

/// A packet of the way back. A NAT has undone its translation by then
fn reply(probe: &Probe) -> Probe {
    Probe {
        hook: match probe.hook {
            Hook::Input => Hook::Output,
            Hook::Output => Hook::Input,
            other => other,
        },
        source: probe.destination,
        source_port: probe.destination_port,
        destination: probe.source,
        destination_port: probe.source_port,
        state: State::Established,
        ..probe.clone()
    }
}

fn family_word(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

fn verdict(judgement: &Judgement) -> Verdict {
    match judgement.admits() {
        Some(true) => Verdict::AsNeeded(judgement.to_string()),
        Some(false) => Verdict::Differs(judgement.to_string()),
        None => Verdict::Unknown(judgement.to_string()),
    }
}

/// What counts of several verdicts: the first that differs, else the first that is unknown
fn worst(verdicts: Vec<Verdict>) -> Verdict {
    let rank = |it: &Verdict| match it {
        Verdict::Differs(_) => 0,
        Verdict::Unknown(_) => 1,
        Verdict::AsNeeded(_) => 2,
    };
    let verdicts = verdicts.into_iter();
    verdicts
        .min_by_key(rank)
        .unwrap_or_else(|| Verdict::Unknown("nothing to ask".to_owned()))
}

/// An address of each network; `None` is whichever
fn each(addresses: &Addresses) -> Vec<Option<IpAddr>> {
    if addresses.is_any() {
        return vec![None];
    }
    addresses.iter().map(|it| Some(it.address())).collect()
}

fn spans(ports: &Ports) -> Vec<loaded::Ports> {
    if ports.is_any() {
        return vec![loaded::Ports::UNPRIVILEGED];
    }
    let span = |(lo, hi)| {
        if lo == hi {
            loaded::Ports::One(lo)
        } else {
            loaded::Ports::Between(lo, hi)
        }
    };
    ports.ranges().map(span).collect()
}
