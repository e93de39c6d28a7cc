//! `wharf doctor --server`: a server's own host, examined from inside.
//!
//! * [`offered`]: what the configuration offers
//! * [`seen`]: what the host is found to be like; [`gather`] looks, and is the only one who does
//! * [`checks`]: the table of checks, each a pure function of the two
//!
//! What can only be seen from outside (is the port forwarded? does the provider filter?) is no matter for here:
//! another wharf proves or refutes that, see `wharf doctor --listen`.

pub mod checks;
pub mod gather;
pub mod offered;
mod proc_net;
pub mod seen;

use std::time::Duration;

use crate::ask::conclusion::Conclusion;
use crate::finding::{Severity, WhoActs};
use crate::report::{PathLine, Report, Verdict};
use offered::Offered;
use seen::Seen;

/// Runs every check. Pure; `took` is how long it took to look.
pub fn examine(offered: &Offered, seen: &Seen, took: Duration) -> Report {
    let mut paths = Vec::new();
    let mut findings = Vec::new();
    for check in checks::CHECKS {
        for checked in (check.judge)(offered, seen) {
            paths.push(PathLine {
                way: check.word.to_owned(),
                name: check.name.to_owned(),
                outcome: checked.outcome,
                at: checked.at,
                what: checked.what,
                took: Duration::ZERO,
            });
            findings.extend(checked.finding);
        }
    }
    findings.sort_by_key(|finding| finding.severity);
    let verdict = verdict(&findings);
    Report {
        subject: "this server".to_owned(),
        facts: offered.facts(),
        paths,
        findings,
        unfinished: seen.not_seen.clone(),
        took,
        verdict,
    }
}

/// Adds what another host found out, and concludes anew.
pub fn add(report: &mut Report, found: Conclusion) {
    report.paths.extend(found.paths);
    // What is known from there is not supposed any more.
    let known = |word: &str| found.findings.iter().any(|finding| finding.word == word);
    report.findings.retain(|finding| !known(finding.word));
    report.findings.extend(found.findings);
    report.findings.sort_by_key(|finding| finding.severity);
    report.verdict = verdict(&report.findings);
    if report.verdict.works {
        let line = "nothing to do: the other host reached what this server advertises";
        line.clone_into(&mut report.verdict.line);
    }
}

/// Works unless somebody must act.
fn verdict(findings: &[crate::finding::Finding]) -> Verdict {
    let to_do = |severity: Severity| {
        let of_it = findings.iter().filter(|it| it.severity == severity);
        of_it.filter(|it| it.side != WhoActs::Nobody).count()
    };
    let (fatal, weak) = (to_do(Severity::Fatal), to_do(Severity::Weak));
    let line = match (fatal, weak) {
        (0, 0) => "nothing to do on this host; whether clients get as far as here, another host can tell: \
                   `wharf doctor --listen` there"
            .to_owned(),
        (0, 1) => "one thing should be put right".to_owned(),
        (0, weak) => format!("{weak} things should be put right"),
        (1, 0) => "one thing must be put right".to_owned(),
        (fatal, weak) => format!("{} things must be put right", fatal + weak),
    };
    Verdict {
        works: fatal + weak == 0,
        line,
        uses: None,
    }
}

#[cfg(test)]
mod tests;
