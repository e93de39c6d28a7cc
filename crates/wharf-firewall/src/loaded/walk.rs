//! Follows a probe through the chains.
//!
//! Every chain is looked at once for a probe, and what may come of it is a handful of possibilities; so the time is
//! linear in the number of rules also where conditions cannot be decided and where chains jump to each other a lot.

use std::collections::HashMap;
use std::net::IpAddr;

use super::condition::Conditions;
use super::expression::{Data, Span, Truth};
use super::judgement::{Helper, Judgement, RuleAt, Translation};
use super::model::{Chain, Kind, Nat, NatTo, Rule, Ruleset, Statement, Verdict};
use super::probe::{Family, Hook, Ports, Probe};

/// The kernel allows 16.
const MOST_DEPTH: usize = 16;

/// A chain, and in it a rule or the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct By {
    chain: usize,
    rule: Option<usize>,
}

/// What may come of a chain; several, if something could not be decided.
#[derive(Clone, Debug, Default)]
struct Ends {
    accepted: Option<By>,
    dropped: Option<By>,
    refused: Option<By>,
    translated: Vec<(Target, By)>,
    /// Anything at all may have happened there.
    anything: bool,
    /// The packet may leave at the end of the chain.
    falls: bool,
    /// A rule that may apply returns.
    returns: bool,
    /// The first thing that could not be decided.
    doubt: Option<(By, String)>,
    /// Helpers that are assigned on the way: surely or perhaps.
    helpers: Vec<(Truth, String, By)>,
}

type Target = (Option<IpAddr>, Option<u16>);

/// A translation whose target hangs on something that is not known.
struct CannotSay;

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
    fn base_chains(&self, probe: &Probe, hook: &str, only: Option<Kind>) -> Vec<usize> {
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

struct Walk<'a> {
    rules: &'a Ruleset,
    conditions: Conditions<'a>,
    known: HashMap<usize, Ends>,
    /// The chains through which we came here.
    way: Vec<usize>,
}

/// What follows in the chain.
#[derive(PartialEq, Eq)]
enum Next {
    Rule,
    Leave,
}

impl<'a> Walk<'a> {
    fn new(rules: &'a Ruleset, probe: &'a Probe) -> Self {
        Self {
            rules,
            conditions: Conditions { rules, probe },
            known: HashMap::new(),
            way: Vec::new(),
        }
    }

    /// A base chain with its policy.
    fn whole(&mut self, index: usize) -> Ends {
        let mut ends = self.chain(index);
        if ends.falls {
            let by = By {
                chain: index,
                rule: None,
            };
            let base = self.rules.chains.get(index).and_then(|it| it.base.as_ref());
            if base.is_some_and(|base| base.drops) {
                ends.dropped.get_or_insert(by);
            } else {
                ends.accepted.get_or_insert(by);
            }
        }
        ends
    }

    /// Whether tracking is switched off for the probe, perhaps; then its state is another.
    fn untracked(&mut self) -> Option<String> {
        let probe = self.conditions.probe;
        let hooks = match probe.hook {
            Hook::Output | Hook::Postrouting => "output",
            _ => "prerouting",
        };
        for index in self.rules.base_chains(probe, hooks, None) {
            let chain = self.rules.chains.get(index)?;
            for rule in &chain.rules {
                let mut truth = Truth::Yes;
                for statement in &rule.statements {
                    match statement {
                        Statement::Match {
                            operator,
                            left,
                            right,
                        } => {
                            let it = self.conditions.applies(left, *operator, right, &chain.name);
                            truth = truth.and(it);
                        }
                        Statement::NoTrack if truth != Truth::No => {
                            return Some(format!(
                                "{} may switch connection tracking off",
                                chain.at(rule)
                            ));
                        }
                        _ => {}
                    }
                }
            }
        }
        None
    }

    fn chain(&mut self, index: usize) -> Ends {
        if let Some(known) = self.known.get(&index) {
            return known.clone();
        }
        let rules = self.rules;
        let Some(chain) = rules.chains.get(index) else {
            return Ends::anything(index, None, "a chain that is not in the list");
        };
        if self.way.len() > MOST_DEPTH || self.way.contains(&index) {
            return Ends::anything(index, None, "the chains call each other without an end");
        }
        self.way.push(index);
        let mut ends = Ends {
            falls: true,
            ..Ends::default()
        };
        for (place, rule) in chain.rules.iter().enumerate() {
            let by = By {
                chain: index,
                rule: Some(place),
            };
            if self.rule(chain, rule, by, &mut ends) == Next::Leave {
                break;
            }
        }
        self.way.pop();
        self.known.insert(index, ends.clone());
        ends
    }

    /// `ends.falls` says, when this returns [`Next::Leave`], whether the packet may leave at the end.
    fn rule(&mut self, chain: &'a Chain, rule: &'a Rule, by: By, ends: &mut Ends) -> Next {
        let mut sure = Truth::Yes;
        for statement in &rule.statements {
            match statement {
                Statement::Neutral | Statement::NoTrack => {}
                Statement::Match {
                    operator,
                    left,
                    right,
                } => {
                    let name = &chain.name;
                    match self.conditions.applies(left, *operator, right, name) {
                        Truth::Yes => {}
                        Truth::No => return Next::Rule,
                        Truth::Maybe => {
                            sure = Truth::Maybe;
                            ends.doubts(by, || self.conditions.obstacle(left, right, name));
                        }
                    }
                }
                Statement::Exceeds => return Next::Rule,
                Statement::Unclear(why) => {
                    sure = Truth::Maybe;
                    ends.doubts(by, || why.clone());
                }
                Statement::Opaque(why) => {
                    sure = Truth::Maybe;
                    ends.doubts(by, || why.clone());
                    ends.anything = true;
                }
                Statement::Helper(name) => {
                    let name = super::model::Name {
                        name: name.clone(),
                        ..chain.name.clone()
                    };
                    let kind = self.rules.helpers.get(&name).cloned();
                    let kind = kind.unwrap_or(name.name);
                    ends.helpers.push((sure, kind, by));
                }
                Statement::PerhapsHelper(why) => {
                    ends.helpers.push((Truth::Maybe, why.clone(), by));
                }
                Statement::Nat(nat) => {
                    match self.target(nat, chain) {
                        Ok(Some(target)) => ends.translated.push((target, by)),
                        // Nothing in the map for it.
                        Ok(None) => return Next::Rule,
                        Err(CannotSay) => {
                            ends.anything = true;
                            ends.doubts(by, || "the new address cannot be said".to_owned());
                        }
                    }
                    return ends.decided(sure);
                }
                Statement::Verdict(verdict) => {
                    return self.verdict(verdict, sure, chain, by, ends);
                }
                Statement::VerdictMap { key, entries } => {
                    let Some(found) = self.conditions.entries(key, entries, &chain.name) else {
                        ends.anything = true;
                        ends.doubts(by, || self.conditions.obstacle(key, entries, &chain.name));
                        return Next::Rule;
                    };
                    let [(Truth::Yes, data)] = found.as_slice() else {
                        for (_, data) in found {
                            ends.doubts(by, || self.conditions.obstacle(key, entries, &chain.name));
                            self.entry(data, Truth::Maybe, chain, by, ends);
                        }
                        return Next::Rule;
                    };
                    return self.entry(data, sure, chain, by, ends);
                }
            }
        }
        Next::Rule
    }

    fn entry(&mut self, data: &Data, sure: Truth, chain: &Chain, by: By, ends: &mut Ends) -> Next {
        if let Data::Verdict(verdict) = data {
            return self.verdict(verdict, sure, chain, by, ends);
        }
        ends.anything = true;
        ends.doubts(by, || "the map holds no verdicts".to_owned());
        Next::Rule
    }

    fn verdict(
        &mut self,
        verdict: &Verdict,
        sure: Truth,
        chain: &Chain,
        by: By,
        ends: &mut Ends,
    ) -> Next {
        match verdict {
            Verdict::Accept => {
                ends.accepted.get_or_insert(by);
                ends.decided(sure)
            }
            Verdict::Drop => {
                ends.dropped.get_or_insert(by);
                ends.decided(sure)
            }
            Verdict::Reject => {
                ends.refused.get_or_insert(by);
                ends.decided(sure)
            }
            // The packet may leave at the end anyway, while the chain is followed.
            Verdict::Return if sure == Truth::Yes => Next::Leave,
            Verdict::Return => {
                ends.returns = true;
                Next::Rule
            }
            Verdict::Continue => Next::Rule,
            Verdict::Jump(name) | Verdict::Goto(name) => {
                let name = super::model::Name {
                    name: name.clone(),
                    ..chain.name.clone()
                };
                let there = match self.rules.by_name.get(&name) {
                    Some(index) => self.chain(*index),
                    None => Ends::anything(by.chain, by.rule, "the chain is not in the list"),
                };
                let comes_back = there.falls;
                ends.merge(there);
                let goes = matches!(verdict, Verdict::Goto(_));
                match (sure, goes, comes_back) {
                    (Truth::Yes, false, false) => {
                        ends.falls = ends.returns;
                        Next::Leave
                    }
                    (Truth::Yes, true, _) => {
                        ends.falls = comes_back || ends.returns;
                        Next::Leave
                    }
                    (_, true, true) => {
                        ends.returns = true;
                        Next::Rule
                    }
                    _ => Next::Rule,
                }
            }
        }
    }

    /// What addresses are rewritten to; `None` if a map has nothing for the probe.
    fn target(&self, nat: &Nat, chain: &Chain) -> Result<Option<Target>, CannotSay> {
        let family = match nat.family.as_deref() {
            Some("ip") => Some(Family::Ipv4),
            Some("ip6") => Some(Family::Ipv6),
            _ => None,
        };
        if family.is_some_and(|family| family != self.conditions.probe.family) {
            return Ok(None);
        }
        let mut target: Target = (None, None);
        for part in [&nat.address, &nat.port] {
            match part {
                NatTo::Nothing => {}
                NatTo::Unclear => return Err(CannotSay),
                NatTo::Address(address) => target.0 = Some(*address),
                NatTo::Ports(lo, hi) => target.1 = self.port(*lo, *hi)?,
                NatTo::Map { key, entries } => {
                    let found = self.conditions.entries(key, entries, &chain.name);
                    let found = found.ok_or(CannotSay)?;
                    let values = match found.as_slice() {
                        [] => return Ok(None),
                        [(Truth::Yes, Data::Value(values))] => values,
                        _ => return Err(CannotSay),
                    };
                    for value in values {
                        match value {
                            Span::Addresses(from, to) if from == to => target.0 = Some(*from),
                            Span::Numbers(from, to) => {
                                let port = |it: u64| u16::try_from(it).map_err(|_| CannotSay);
                                target.1 = self.port(port(*from)?, port(*to)?)?;
                            }
                            _ => return Err(CannotSay),
                        }
                    }
                }
            }
        }
        Ok(Some(target))
    }

    /// The port to which one of these leads: a packet keeps its own if it is among them.
    fn port(&self, lo: u16, hi: u16) -> Result<Option<u16>, CannotSay> {
        if lo == hi {
            return Ok(Some(lo));
        }
        let (from, to) = match self.conditions.probe.hook {
            Hook::Postrouting => self.conditions.probe.source_port.span(),
            _ => self.conditions.probe.destination_port.span(),
        };
        if lo <= from && to <= hi {
            Ok(None)
        } else {
            Err(CannotSay)
        }
    }
}

impl Ends {
    fn anything(chain: usize, rule: Option<usize>, why: &str) -> Self {
        Self {
            anything: true,
            falls: true,
            doubt: Some((By { chain, rule }, why.to_owned())),
            ..Self::default()
        }
    }

    fn doubts(&mut self, by: By, why: impl FnOnce() -> String) {
        if self.doubt.is_none() {
            self.doubt = Some((by, why()));
        }
    }

    /// After a verdict: if it is sure, nothing behind it counts.
    fn decided(&mut self, sure: Truth) -> Next {
        if sure == Truth::Yes {
            self.falls = self.returns;
            Next::Leave
        } else {
            Next::Rule
        }
    }

    fn merge(&mut self, other: Self) {
        self.accepted = self.accepted.or(other.accepted);
        self.dropped = self.dropped.or(other.dropped);
        self.refused = self.refused.or(other.refused);
        self.anything |= other.anything;
        self.doubt = self.doubt.take().or(other.doubt);
        self.translated.extend(other.translated);
        self.translated.truncate(4);
        self.helpers.extend(other.helpers);
        self.helpers.truncate(16);
    }
}
