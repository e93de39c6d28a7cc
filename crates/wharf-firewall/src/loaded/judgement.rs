//! The answers.

use std::fmt;
use std::net::IpAddr;

/// A rule, or the policy of a chain, by which something was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleAt {
    /// Family of the table: `ip`, `ip6`, `inet`, `netdev`.
    pub family: String,
    /// Name of the table.
    pub table: String,
    /// Name of the chain.
    pub chain: String,
    /// The rule's handle (`nft -a list ruleset`); `None` for a policy.
    pub handle: Option<u64>,
    /// The rule as nft writes it, shortened if it is long; fit for a terminal.
    pub text: String,
}

impl fmt::Display for RuleAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            family,
            table,
            chain,
            handle,
            text,
        } = self;
        write!(f, "`{text}` in chain {family} {table} {chain}")?;
        match handle {
            Some(handle) => write!(f, " (handle {handle})"),
            None => Ok(()),
        }
    }
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It passes.
    Admitted {
        /// What let it pass, one for each chain of the hook; empty where there is none.
        by: Vec<RuleAt>,
    },
    /// It is thrown away in silence; the sender waits.
    Dropped {
        /// By this.
        by: RuleAt,
    },
    /// It is thrown away, and the sender is told.
    Refused {
        /// By this.
        by: RuleAt,
    },
    /// It cannot be said.
    Unknown {
        /// What stands in the way, fit for a terminal.
        why: String,
    },
}

impl Judgement {
    /// Whether it passes; `None` if that is unknown.
    pub fn admits(&self) -> Option<bool> {
        match self {
            Self::Admitted { .. } => Some(true),
            Self::Dropped { .. } | Self::Refused { .. } => Some(false),
            Self::Unknown { .. } => None,
        }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admitted { by } => match by.as_slice() {
                [] => f.write_str("admitted: no rule is about it"),
                [only] => write!(f, "admitted by {only}"),
                [.., last] => write!(f, "admitted, last by {last}"),
            },
            Self::Dropped { by } => write!(f, "dropped by {by}"),
            Self::Refused { by } => write!(f, "refused by {by}"),
            Self::Unknown { why } => write!(f, "unknown: {why}"),
        }
    }
}

/// What becomes of a connection's addresses in the chains of type nat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Translation {
    /// Nothing.
    Unchanged,
    /// They are rewritten: the destination at prerouting and output, the source at postrouting.
    Changed {
        /// To this address; `None`: to this host's own (redirect, masquerade).
        address: Option<IpAddr>,
        /// To this port; `None`: it stays.
        port: Option<u16>,
        /// By this rule.
        by: RuleAt,
    },
    /// It cannot be said.
    Unknown {
        /// What stands in the way.
        why: String,
    },
}

/// Whether connections get a conntrack helper, which reads along and lets data connections in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Helper {
    /// None is assigned.
    Nobody,
    /// This one.
    Assigned {
        /// Type of the helper: `ftp`.
        kind: String,
        /// By this rule.
        by: RuleAt,
    },
    /// It cannot be said.
    Unknown {
        /// What stands in the way.
        why: String,
    },
}
