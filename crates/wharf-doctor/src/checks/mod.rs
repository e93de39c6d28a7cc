//! The judgement: from what was seen to findings. One file and one row in [`CHECKS`] a check; a check is a pure function
//! of what was seen, and each of its words needs a case in the test below.

mod active;
mod address;
mod commands;
mod epsv;
mod family;
mod idle;
mod nat;
mod passive;
mod pool;
mod range;
mod rewritten;
mod sessions;
mod source_port;
mod verdict;

use std::net::SocketAddr;

use wharf_client::examine::{Obstacle, Probed};
use wharf_proto::Reply;
use wharf_proto::data_connection::evidence::Evidence;
use wharf_proto::data_connection::path::Path;

use crate::facts::{Facts, Seen};
use crate::finding::{Finding, Severity};
use crate::remedy::Wording;
use crate::report::places;

pub use verdict::report;

/// What a check looks at.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// What was seen in one family.
    pub seen: &'a Seen,
    /// What was seen in all.
    pub facts: &'a Facts,
    /// How remedies are worded.
    pub wording: &'a Wording,
}

/// A question to the facts.
pub struct Check {
    /// The words of the findings it can come to: the causes, stable for scripts.
    pub words: &'static [&'static str],
    /// The judgement.
    pub judge: fn(Case<'_>) -> Option<Finding>,
}

/// Every check, the likeliest cause of trouble first.
pub const CHECKS: &[Check] = &[
    passive::CHECK,
    pool::CHECK,
    range::CHECK,
    address::CHECK,
    epsv::CHECK,
    nat::CHECK,
    rewritten::PORT,
    rewritten::REPLY,
    active::CHECK,
    commands::PASSIVE,
    commands::ACTIVE,
    commands::NO_LISTENER,
    commands::SESSION_NOT_RESUMED,
    source_port::CHECK,
    sessions::CHECK,
    idle::CHECK,
    family::CHECK,
];

/// All findings, the worst first; the same finding in both families once, and where only one of two families has it, its
/// cause says which one.
pub fn findings(facts: &Facts, wording: &Wording) -> Vec<Finding> {
    let mut findings: Vec<(Finding, Option<bool>)> = Vec::new();
    let several = facts.families.len() > 1;
    for seen in &facts.families {
        let case = Case {
            seen,
            facts,
            wording,
        };
        for finding in CHECKS.iter().filter_map(|check| (check.judge)(case)) {
            match findings.iter_mut().find(|(it, _)| it.word == finding.word) {
                Some((known, family)) => {
                    known.join(finding);
                    *family = None;
                }
                None => findings.push((finding, several.then_some(seen.is_ipv6()))),
            }
        }
    }
    findings.sort_by_key(|(finding, _)| finding.severity);
    findings
        .into_iter()
        .map(|(finding, family)| of_one_family(finding, family))
        .collect()
}

/// `is_ipv6`: the only one of two families in which it was found.
fn of_one_family(mut finding: Finding, is_ipv6: Option<bool>) -> Finding {
    let family = match is_ipv6 {
        None => return finding,
        Some(true) => "IPv6",
        Some(false) => "IPv4",
    };
    finding.cause = format!("over {family}, {}", finding.cause);
    finding
}

impl Case<'_> {
    /// Fatal where nothing else carries data in this family, else weak.
    fn grave(self) -> Severity {
        match self.seen.winner() {
            None => Severity::Fatal,
            Some(_) => Severity::Weak,
        }
    }

    /// Fatal where nothing else carries data in this family, else only worth knowing.
    fn minor(self) -> Severity {
        match self.seen.winner() {
            None => Severity::Fatal,
            Some(_) => Severity::Note,
        }
    }
}

/// `EPSV 203.0.113.130:50012, :50077: no answer`: a line for each way and outcome, the ports together.
pub(crate) fn told<'a>(probes: impl IntoIterator<Item = &'a Probed>) -> Vec<String> {
    let mut told: Vec<(Path, String, Vec<SocketAddr>)> = Vec::new();
    for probed in probes {
        let what = outcome(probed);
        let known = told
            .iter_mut()
            .find(|(path, said, _)| *path == probed.path && *said == what);
        match known {
            Some((_, _, at)) => at.extend(probed.target),
            None => told.push((probed.path, what, probed.target.into_iter().collect())),
        }
    }
    let lines = told.into_iter();
    lines
        .map(|(path, what, at)| {
            let gap = if at.is_empty() { "" } else { " " };
            format!("{path}{gap}{}: {what}", places(&at))
        })
        .collect()
}

/// What happened, in a few words.
pub(crate) fn outcome(probed: &Probed) -> String {
    let refusal = probed
        .listed
        .as_ref()
        .or(probed.arranged.as_ref())
        .filter(|reply| reply.code() >= 400);
    let said = |reply: &Reply| {
        let text = wharf_proto::visible(reply.text().as_bytes());
        format!("{} {text}", reply.code())
    };
    let evidence = match &probed.result {
        Ok(()) => return "data came through".to_owned(),
        Err(Obstacle::Control(why)) => return format!("control connection: {why}"),
        Err(Obstacle::Refused(reply)) => return format!("listing refused: {}", said(reply)),
        Err(Obstacle::Path(evidence)) => evidence,
    };
    match (evidence, refusal) {
        // No reply is about these.
        (Evidence::Silent | Evidence::Refused | Evidence::Unreachable, _) | (_, None) => {
            evidence.to_string()
        }
        (Evidence::CommandRefused { .. }, Some(reply)) => {
            format!("refused by command: {}", said(reply))
        }
        (Evidence::AddressRefused { .. }, Some(reply)) => {
            format!("our address refused: {}", said(reply))
        }
        (Evidence::NoDataConnection { .. }, Some(reply)) => {
            format!("the server answered {}", said(reply))
        }
        (_, Some(reply)) => format!("{evidence}: {}", said(reply)),
    }
}
