//! A ruleset in memory: chains, rules, sets.

use std::collections::HashMap;

use super::expression::{Element, Field, Operator, Source};
use super::judgement::RuleAt;

/// What the kernel has loaded, read once and asked often. Made by [`Ruleset::from_nft_json`].
#[derive(Clone, Debug, Default)]
pub struct Ruleset {
    /// All chains; base chains of a hook in the order of their priority.
    pub(super) chains: Vec<Chain>,
    /// Place of a chain in `chains`.
    pub(super) by_name: HashMap<Name, usize>,
    pub(super) sets: HashMap<Name, Vec<Element>>,
    /// Type of each `ct helper` object.
    pub(super) helpers: HashMap<Name, String>,
    /// What nft told and nobody here knows; makes every answer unknown.
    pub(super) strange: Vec<String>,
    /// A table of iptables-nft is among them.
    pub(super) iptables: bool,
}

/// Something that has a name in a table.
#[expect(clippy::struct_field_names, reason = "a name is what it is")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) family: String,
    pub(super) table: String,
    pub(super) name: String,
}

#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) name: Name,
    pub(super) base: Option<Base>,
    pub(super) rules: Vec<Rule>,
}

/// How a chain hangs on the kernel.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) kind: Kind,
    pub(super) hook: String,
    pub(super) priority: i64,
    pub(super) drops: bool,
    /// Only for `ingress` and `egress`: empty is not known.
    pub(super) devices: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Filter,
    Nat,
}

#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) handle: Option<u64>,
    pub(super) text: String,
    pub(super) statements: Vec<Statement>,
}

#[derive(Clone, Debug)]
pub(super) enum Statement {
    Match {
        operator: Operator,
        left: Vec<Field>,
        right: Source,
    },
    /// Goes on only if the rate or count is exceeded; an ordinary probe does not exceed it.
    Exceeds,
    /// Nothing that decides.
    Neutral,
    /// May match or not.
    Unclear(String),
    /// Who knows what happens.
    Opaque(String),
    Verdict(Verdict),
    VerdictMap {
        key: Vec<Field>,
        entries: Source,
    },
    Nat(Nat),
    /// Assigns a `ct helper` object.
    Helper(String),
    /// An iptables target that may assign one.
    PerhapsHelper(String),
    /// The connection is not tracked, so that `ct state` is another than the probe says.
    NoTrack,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accept,
    Drop,
    Reject,
    Return,
    Continue,
    Jump(String),
    Goto(String),
}

/// Rewrites addresses.
#[derive(Clone, Debug)]
pub(super) struct Nat {
    pub(super) address: NatTo,
    pub(super) port: NatTo,
    /// `dnat ip to`, in a table for both families.
    pub(super) family: Option<String>,
}

/// A constant part of a translation, or one that is looked up.
#[derive(Clone, Debug)]
pub(super) enum NatTo {
    /// Is left as it is, or the host's own.
    Nothing,
    Address(std::net::IpAddr),
    /// The packet keeps its port if it is one of these.
    Ports(u16, u16),
    Map {
        key: Vec<Field>,
        entries: Source,
    },
    Unclear,
}

impl Ruleset {
    /// Whether rules of iptables-nft are among them: `iptables-save` tells what `nft -j` keeps to itself.
    pub fn has_iptables(&self) -> bool {
        self.iptables
    }

    /// Whether there is a chain of type filter or nat that packets come through at all.
    pub fn is_empty(&self) -> bool {
        self.chains.iter().all(|chain| chain.base.is_none())
    }
}

impl Chain {
    /// For a place that does not exist, which does not happen.
    pub(super) fn nowhere() -> RuleAt {
        RuleAt {
            family: String::new(),
            table: String::new(),
            chain: String::new(),
            handle: None,
            text: "?".to_owned(),
        }
    }

    pub(super) fn at(&self, rule: &Rule) -> RuleAt {
        RuleAt {
            handle: rule.handle,
            text: rule.text.clone(),
            ..self.policy_at()
        }
    }

    /// The policy as what decided.
    pub(super) fn policy_at(&self) -> RuleAt {
        let drops = self.base.as_ref().is_some_and(|base| base.drops);
        RuleAt {
            family: self.name.family.clone(),
            table: self.name.table.clone(),
            chain: self.name.name.clone(),
            handle: None,
            text: if drops {
                "policy drop".to_owned()
            } else {
                "policy accept".to_owned()
            },
        }
    }
}
