//! The questions that a ruleset answers: what its chains make of a probe, in the order in which the kernel asks them.

use super::expression::Truth;
use super::judgement::{Helper, Judgement, RuleAt, Translation};
use super::model::{Chain, Kind, Ruleset};
use super::probe::{Family, Hook, Ports, Probe};
use super::walk::{By, Walk};

impl Ruleset {
    /// What becomes of the probe at its hook.
    pub fn judge(&self, probe: &Probe) -> Judgement {
        if let Some(why) = self.not_known() {
            return Judgement::Unknown { why };
        }
        let mut walk = Walk::new(self, probe);
        let mut admitted = Vec::new();
        let mut doubt = None;
        for index in self.base_chains(probe, probe.hook.name(), None) {
            let ends = walk.whole(index);
            let may_pass = ends.anything || ends.accepted.is_some() || !ends.translated.is_empty();
            let refusal = match (ends.dropped, ends.refused) {
                (Some(by), _) => Some((by, false)),
                (None, Some(by)) => Some((by, true)),
                (None, None) => None,
            };
            match (may_pass, refusal) {
                (false, Some((by, false))) => return Judgement::Dropped { by: self.at(by) },
                (false, Some((by, true))) => return Judgement::Refused { by: self.at(by) },
                (true, None) if !ends.anything => {
                    let nat = ends.translated.first().map(|(_, by)| *by);
                    admitted.extend(ends.accepted.or(nat).map(|by| self.at(by)));
                }
                _ => doubt = doubt.or(ends.doubt),
            }
        }
        if let Some(why) = walk.untracked() {
            return Judgement::Unknown { why };
        }
        match doubt {
            None => Judgement::Admitted { by: admitted },
            Some((by, why)) => Judgement::Unknown {
                why: format!("{}: {why}", self.at(by)),
            },
        }
    }

    /// The same for each of these ports of the destination; neighbours with the same answer are one line. For
    /// 65,536 ports and thousands of rules this takes seconds.
    pub fn judge_ports(&self, probe: &Probe, lo: u16, hi: u16) -> Vec<(u16, u16, Judgement)> {
        let mut found: Vec<(u16, u16, Judgement)> = Vec::new();
        for port in lo..=hi {
            let judgement = self.judge(&Probe {
                destination_port: Ports::One(port),
                ..probe.clone()
            });
            match found.last_mut() {
                Some((_, last, same)) if *same == judgement => *last = port,
                _ => found.push((port, port, judgement)),
            }
        }
        found
    }

    /// What becomes of a packet from outside that is for this host: prerouting, a rewritten destination, input. The
    /// answer for a destination that is rewritten to another host is unknown, since another host gives it.
    pub fn judge_arrival(&self, probe: &Probe) -> Judgement {
        let mut probe = probe.clone().at(Hook::Prerouting);
        if let Some(judgement) = self.at_the_door(&probe) {
            return judgement;
        }
        match self.judge(&probe) {
            Judgement::Admitted { .. } => {}
            other => return other,
        }
        match self.translate(&probe) {
            Translation::Unchanged => {}
            Translation::Changed {
                address: None,
                port,
                ..
            } => {
                if let Some(port) = port {
                    probe.destination_port = Ports::One(port);
                }
                probe.destination_rewritten = true;
            }
            Translation::Changed {
                address: Some(address),
                by,
                ..
            } => {
                return Judgement::Unknown {
                    why: format!("{by} sends it on to {address}"),
                };
            }
            Translation::Unknown { why } => return Judgement::Unknown { why },
        }
        self.judge(&probe.at(Hook::Input))
    }

    /// The chains of a device (hook ingress), if one of them may throw the packet away.
    fn at_the_door(&self, probe: &Probe) -> Option<Judgement> {
        let mut walk = Walk::new(self, probe);
        for (index, chain) in self.chains.iter().enumerate() {
            let base = chain.base.as_ref().filter(|it| it.hook == "ingress");
            let Some(base) = base else {
                continue;
            };
            let here = probe.input_interface.as_ref();
            if here.is_some_and(|it| !base.devices.is_empty() && !base.devices.contains(it)) {
                continue;
            }
            let ends = walk.whole(index);
            let by = ends.dropped.or(ends.refused);
            let sure = here.is_some() && ends.accepted.is_none() && !ends.anything;
            return Some(match by {
                Some(by) if sure => Judgement::Dropped { by: self.at(by) },
                Some(by) => Judgement::Unknown {
                    why: format!("{} may throw it away", self.at(by)),
                },
                None => continue,
            });
        }
        None
    }

    /// How the addresses of the probe's connection are rewritten at its hook.
    pub fn translate(&self, probe: &Probe) -> Translation {
        if let Some(why) = self.not_known() {
            return Translation::Unknown { why };
        }
        let mut walk = Walk::new(self, probe);
        for index in self.base_chains(probe, probe.hook.name(), Some(Kind::Nat)) {
            let ends = walk.whole(index);
            let others = ends.accepted.is_some() || ends.anything;
            match ends.translated.as_slice() {
                [] if ends.anything => {}
                [] => continue,
                [(target, by)] if !others => {
                    let (address, port) = *target;
                    return Translation::Changed {
                        address,
                        port,
                        by: self.at(*by),
                    };
                }
                _ => {}
            }
            let by = ends.translated.first().map(|(_, by)| self.at(*by));
            let why = match (ends.doubt, by) {
                (Some((by, why)), _) => format!("{}: {why}", self.at(by)),
                (None, Some(by)) => format!("{by} may or may not rewrite it"),
                (None, None) => "a rule of type nat is not understood".to_owned(),
            };
            return Translation::Unknown { why };
        }
        Translation::Unchanged
    }

    /// Which conntrack helper reads along on the connection that the probe opens, by the rules of the hook where the
    /// packet first appears: [`Hook::Prerouting`] or [`Hook::Output`].
    pub fn helper(&self, probe: &Probe) -> Helper {
        if let Some(why) = self.not_known() {
            return Helper::Unknown { why };
        }
        let mut walk = Walk::new(self, probe);
        let mut perhaps = None;
        for index in self.base_chains(probe, probe.hook.name(), None) {
            for (truth, kind, by) in walk.whole(index).helpers {
                if truth == Truth::Yes {
                    return Helper::Assigned {
                        kind,
                        by: self.at(by),
                    };
                }
                perhaps = perhaps.or(Some(format!("{}: {kind}", self.at(by))));
            }
        }
        match perhaps {
            None => Helper::Nobody,
            Some(why) => Helper::Unknown { why },
        }
    }

    fn not_known(&self) -> Option<String> {
        let strange = self.strange.first()?;
        Some(format!(
            "nft lists an object `{strange}`, which is not known here"
        ))
    }

    /// Base chains of a hook in the order in which the kernel asks them.
    pub(super) fn base_chains(&self, probe: &Probe, hook: &str, only: Option<Kind>) -> Vec<usize> {
        let mut found: Vec<(i64, usize)> = Vec::new();
        for (index, chain) in self.chains.iter().enumerate() {
            let Some(base) = &chain.base else {
                continue;
            };
            let family = match chain.name.family.as_str() {
                "inet" => true,
                "ip" => probe.family == Family::Ipv4,
                "ip6" => probe.family == Family::Ipv6,
                _ => false,
            };
            if family && base.hook == hook && only.is_none_or(|only| only == base.kind) {
                found.push((base.priority, index));
            }
        }
        found.sort_unstable();
        found.into_iter().map(|(_, index)| index).collect()
    }

    fn at(&self, by: By) -> RuleAt {
        let Some(chain) = self.chains.get(by.chain) else {
            return Chain::nowhere();
        };
        match by.rule.and_then(|rule| chain.rules.get(rule)) {
            Some(rule) => chain.at(rule),
            None => chain.policy_at(),
        }
    }
}
