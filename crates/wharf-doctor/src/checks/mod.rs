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
mod sessions;
mod source_port;
mod verdict;

use wharf_client::examine::{Obstacle, Probed};
use wharf_proto::data_connection::evidence::Evidence;

use crate::facts::{Facts, Seen};
use crate::finding::{Finding, Severity};
use crate::remedy::Wording;

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

/// All findings, the worst first; the same finding in both families once.
pub fn findings(facts: &Facts, wording: &Wording) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for seen in &facts.families {
        let case = Case {
            seen,
            facts,
            wording,
        };
        for finding in CHECKS.iter().filter_map(|check| (check.judge)(case)) {
            match findings.iter_mut().find(|it| it.word == finding.word) {
                Some(known) => known.evidence.extend(finding.evidence),
                None => findings.push(finding),
            }
        }
    }
    findings.sort_by_key(|finding| finding.severity);
    findings
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

/// `EPSV 203.0.113.130:50012: no answer, 1.3 s`.
pub(crate) fn told(probed: &Probed) -> String {
    let at = probed.target.map(|at| format!(" {at}")).unwrap_or_default();
    format!("{}{at}: {}", probed.path, outcome(probed))
}

/// What happened, in a few words.
pub(crate) fn outcome(probed: &Probed) -> String {
    let said = probed
        .listed
        .as_ref()
        .or(probed.arranged.as_ref())
        .filter(|reply| reply.code() >= 400)
        .map(|reply| {
            format!(
                "{} {}",
                reply.code(),
                wharf_proto::visible(reply.text().as_bytes())
            )
        });
    let evidence = match &probed.result {
        Ok(()) => return "data came through".to_owned(),
        Err(Obstacle::Control(why)) => return format!("control connection: {why}"),
        Err(Obstacle::Refused(reply)) => {
            let said = said.unwrap_or_else(|| reply.code().to_string());
            return format!("listing refused: {said}");
        }
        Err(Obstacle::Path(evidence)) => evidence,
    };
    match (evidence, said) {
        // No reply is about these.
        (Evidence::Silent | Evidence::Refused | Evidence::Unreachable, _) | (_, None) => {
            evidence.to_string()
        }
        (Evidence::CommandRefused { .. }, Some(said)) => format!("refused by command: {said}"),
        (_, Some(said)) => format!("{evidence}: {said}"),
    }
}
