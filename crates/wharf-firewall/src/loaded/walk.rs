//! Follows a probe through the chains.
//!
//! Every chain is looked at once for a probe, and what may come of it is a handful of possibilities; so the time is
//! linear in the number of rules also where conditions cannot be decided and where chains jump to each other a lot.

use std::collections::HashMap;
use std::net::IpAddr;

use super::condition::Conditions;
use super::expression::{Data, Span, Truth};
use super::model::{Chain, Nat, NatTo, Rule, Ruleset, Statement, Verdict};
use super::probe::{Family, Hook, Probe};

/// The kernel allows 16.
const MOST_DEPTH: usize = 16;

/// A chain, and in it a rule or the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct By {
    pub(super) chain: usize,
    pub(super) rule: Option<usize>,
}

/// What may come of a chain; several, if something could not be decided.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends {
    pub(super) accepted: Option<By>,
    pub(super) dropped: Option<By>,
    pub(super) refused: Option<By>,
    pub(super) translated: Vec<(Target, By)>,
    /// Anything at all may have happened there.
    pub(super) anything: bool,
    /// The packet may leave at the end of the chain.
    falls: bool,
    /// A rule that may apply returns.
    returns: bool,
    /// The first thing that could not be decided.
    pub(super) doubt: Option<(By, String)>,
    /// Helpers that are assigned on the way: surely or perhaps.
    pub(super) helpers: Vec<(Truth, String, By)>,
}

pub(super) type Target = (Option<IpAddr>, Option<u16>);

/// A translation whose target hangs on something that is not known.
struct CannotSay;

pub(super) struct Walk<'a> {
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
    pub(super) fn new(rules: &'a Ruleset, probe: &'a Probe) -> Self {
        Self {
            rules,
            conditions: Conditions { rules, probe },
            known: HashMap::new(),
            way: Vec::new(),
        }
    }

    /// A base chain with its policy.
    pub(super) fn whole(&mut self, index: usize) -> Ends {
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
    pub(super) fn untracked(&mut self) -> Option<String> {
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
