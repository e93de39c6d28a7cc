//! The table of checks. A row looks at one thing and says at least one line; what must be put right is a finding.

mod addresses;
mod kernel;
mod ports;
mod rules;

use std::net::SocketAddr;

use super::offered::Offered;
use super::seen::Seen;
use crate::finding::Finding;
use crate::report::Outcome;

/// A check.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Its word: lower case with hyphens, the same in every version.
    pub word: &'static str,
    /// Its name for people, short.
    pub name: &'static str,
    /// What it looks at.
    pub what: &'static str,
    /// The judgement; pure.
    pub judge: fn(&Offered, &Seen) -> Vec<Checked>,
}

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// How it is.
    pub outcome: Outcome,
    /// What it is about.
    pub at: Vec<SocketAddr>,
    /// What is so.
    pub what: String,
    /// What follows.
    pub finding: Option<Finding>,
}

impl Checked {
    fn new(outcome: Outcome, what: impl Into<String>) -> Self {
        Self {
            outcome,
            at: Vec::new(),
            what: what.into(),
            finding: None,
        }
    }

    fn good(what: impl Into<String>) -> Self {
        Self::new(Outcome::Works, what)
    }

    fn unknown(what: impl Into<String>) -> Self {
        Self::new(Outcome::Skipped, what)
    }

    fn finds(mut self, finding: Finding) -> Self {
        self.finding = Some(finding);
        self
    }

    fn at(mut self, at: Vec<SocketAddr>) -> Self {
        self.at = at;
        self
    }
}

/// Every check, in the order of the report.
pub const CHECKS: &[Check] = &[
    Check {
        word: "control-listener",
        name: "control port",
        what: "who listens on the control ports: this server, another program, nobody",
        judge: ports::control,
    },
    Check {
        word: "passive-range",
        name: "passive ports",
        what: "whether other programs use ports of the range, and whether it is large enough",
        judge: ports::passive,
    },
    Check {
        word: "rules-control",
        name: "rules: control",
        what: "whether loaded nftables rules let clients reach the control ports",
        judge: rules::control,
    },
    Check {
        word: "rules-passive",
        name: "rules: passive",
        what: "whether they let clients reach every port that a 227 or 229 may name",
        judge: rules::passive,
    },
    Check {
        word: "rules-active",
        name: "rules: active",
        what: "whether they let the server call clients, from the port that it uses",
        judge: rules::active,
    },
    Check {
        word: "rules-elsewhere",
        name: "rules: elsewhere",
        what: "whether iptables-legacy has tables besides, which nft does not list",
        judge: rules::elsewhere,
    },
    Check {
        word: "helper",
        name: "conntrack helper",
        what: "whether a rule assigns the kernel's FTP helper, and whether that helps",
        judge: rules::helper,
    },
    Check {
        word: "route",
        name: "route",
        what: "whether there is a way out, for each family that is served",
        judge: addresses::routes,
    },
    Check {
        word: "advertise",
        name: "told address",
        what: "whether the address that a 227 names can be one that clients reach",
        judge: addresses::told,
    },
    Check {
        word: "reverse-path",
        name: "reverse path",
        what: "whether strict filtering throws away what comes by another interface",
        judge: addresses::reverse_path,
    },
    Check {
        word: "source-port",
        name: "source port",
        what: "whether active data connections can come from the port that they should come from",
        judge: kernel::source_port,
    },
    Check {
        word: "idle",
        name: "idle time",
        what: "whether a silent control connection is probed before connection tracking forgets it",
        judge: kernel::idle,
    },
    Check {
        word: "descriptors",
        name: "descriptors",
        what: "whether there is room for the sessions that are allowed",
        judge: kernel::descriptors,
    },
];
