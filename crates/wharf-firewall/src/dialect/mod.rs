//! The rules as text. One file and one row of [`DIALECTS`] a dialect; `tests/rules/golden.rs` wants a golden file for every
//! dialect and every case.
//!
//! A dialect decides the wording, never what is let pass: that is in the rules. What it cannot say it says in a comment
//! of its own syntax where the output is a little wider for it (no source ports in a security group), and as
//! [`Unsupported`] where the output would be useless. Output is deterministic, ends with a newline, and is loadable as it
//! stands, comments included; names that only the reader knows (an interface, a network, an image) are variables with a
//! comment.

mod firewalld;
mod iptables;
mod nftables;
mod pf;
mod ufw;

mod aws;
mod azure;
mod cisco;
mod docker;
mod gcp;
mod haproxy;
mod kubernetes;
mod routeros;
mod systemd;
mod windows;

mod placeholder;
mod serve_flags;
mod steps;
mod terraform;

use crate::explain;
use crate::rule::Rule;
use crate::rule_set::RuleSet;

/// A language of firewall rules
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// The word of `--dialect`
    pub name: &'static str,
    /// What it is, for `--help`: a few words
    pub what: &'static str,
    /// The usual ending of a file with it, without the dot
    pub extension: &'static str,
    /// How the output is loaded: a command line with `FILE` in it
    pub load: &'static str,
    /// Writes the rules
    pub write: fn(&RuleSet, Style) -> Result<String, Unsupported>,
}

/// Every dialect, in the order of the documentation
pub const DIALECTS: &[Dialect] = &[
    nftables::DIALECT,
    iptables::DIALECT,
    firewalld::DIALECT,
    ufw::DIALECT,
    pf::DIALECT,
    windows::DIALECT,
    cisco::DIALECT,
    routeros::DIALECT,
    aws::DIALECT,
    azure::DIALECT,
    gcp::DIALECT,
    kubernetes::DIALECT,
    docker::DIALECT,
    haproxy::DIALECT,
    systemd::DIALECT,
];

/// The dialect of this name
pub fn find(name: &str) -> Option<&'static Dialect> {
    DIALECTS.iter().find(|it| it.name == name)
}

/// How rules are written
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// Every rule has a comment: which step of which data mode needs it
    pub explain: bool,
}

impl Style {
    /// The comment for a rule, whole lines that begin with `mark`; nothing unless it is to be explained
    pub fn comment(self, rule: &Rule, rules: &RuleSet, mark: &str) -> String {
        if !self.explain {
            return String::new();
        }
        let sentences = explain::rule(rule, &rules.deployment);
        let lines = sentences.iter();
        lines.map(|it| explain::comment(it, mark, WIDTH)).collect()
    }

    /// The comment at the head of the output: where it belongs, how it is loaded, and the notes if it is to be
    /// explained; whole lines that begin with `mark`
    pub fn head(self, dialect: &Dialect, rules: &RuleSet, mark: &str) -> String {
        let title = format!(
            "wharf firewall: FTP, side {}, {}. Load: {}",
            rules.deployment.side, dialect.name, dialect.load
        );
        let mut out = explain::comment(&title, mark, WIDTH);
        if self.explain {
            for note in rules.notes() {
                out.push_str(&explain::comment(&format!("Note: {note}."), mark, WIDTH));
            }
        }
        out
    }
}

/// Comments are broken here
const WIDTH: usize = 110;

/// A dialect has no words for this deployment. Displays as `WHY; INSTEAD`
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}; {instead}")]
pub struct Unsupported {
    /// What it cannot say, without full stop
    pub why: String,
    /// What can be done instead, without full stop
    pub instead: String,
}

impl Unsupported {
    /// Why not, and what can be done instead
    pub fn new(why: impl Into<String>, instead: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            instead: instead.into(),
        }
    }
}
