//! The report: a line for every way, the findings, and one sentence that says it all.

use std::time::Duration;

use wharf_client::examine::Probed;
use wharf_proto::data_connection::Opener;
use wharf_proto::data_connection::as_seen::Nat;
use wharf_proto::data_connection::path::Path;

use super::{findings, outcome};
use crate::facts::{Facts, Seen};
use crate::finding::{Finding, Severity, WhoActs};
use crate::remedy::Wording;
use crate::report::{Outcome, PathLine, Report, Verdict};

/// Judges everything that was seen.
pub fn report(facts: &Facts, wording: &Wording, subject: String, took: Duration) -> Report {
    let findings = findings(facts, wording);
    let several = facts.families.len() + facts.absent.len() > 1;
    let mut report = Report {
        subject,
        facts: facts.families.iter().flat_map(about).collect(),
        paths: Vec::new(),
        unfinished: Vec::new(),
        took,
        verdict: verdict(facts, &findings, several),
        findings,
    };
    for seen in &facts.families {
        let family = if seen.is_ipv6() { "IPv6" } else { "IPv4" };
        let before = if several {
            format!("{family} ")
        } else {
            String::new()
        };
        report.paths.extend(lines(seen, &before));
        let left = seen.unfinished.iter();
        report
            .unfinished
            .extend(left.map(|what| format!("{before}{what}: the time was over")));
    }
    for (ipv6, why) in &facts.absent {
        report.paths.push(PathLine {
            way: "control".to_owned(),
            name: format!("{} control connection", if *ipv6 { "IPv6" } else { "IPv4" }),
            outcome: Outcome::Fails,
            at: Vec::new(),
            what: why.clone(),
            took: Duration::ZERO,
        });
    }
    report
}

/// Who is where.
fn about(seen: &Seen) -> Vec<String> {
    let mut facts = vec![format!("server: {}, {}", seen.peer, seen.software)];
    facts.push(match seen.nat() {
        Nat::Unknown => format!(
            "this machine: {}; the server does not tell where it sees us",
            seen.own
        ),
        Nat::None => format!(
            "this machine: {}, and so the server sees it: no NAT between",
            seen.own
        ),
        Nat::Behind {
            outside: Some(outside),
        } => {
            format!(
                "this machine: {}, the server sees {outside}: NAT between",
                seen.own
            )
        }
        Nat::Behind { outside: None } => {
            format!(
                "this machine: {}, an address that the server does not see: NAT between",
                seen.own
            )
        }
    });
    facts
}

/// One line for each way, the ports of several attempts together.
fn lines(seen: &Seen, before: &str) -> Vec<PathLine> {
    let ways = Path::WORDS.iter().map(|(word, path)| (*word, *path));
    ways.filter_map(|(word, path)| {
        let tries: Vec<&Probed> = seen.on(path).collect();
        let first = tries.first()?;
        let working = tries.iter().filter(|it| it.result.is_ok()).count();
        let outcome_of_all = match working {
            0 => Outcome::Fails,
            all if all == tries.len() => Outcome::Works,
            _ => Outcome::Partly,
        };
        // The failure is what is interesting.
        let telling = tries.iter().find(|it| it.result.is_err()).unwrap_or(first);
        let what = match outcome_of_all {
            Outcome::Partly => format!("{working} of {} ports; {}", tries.len(), outcome(telling)),
            _ => outcome(telling),
        };
        Some(PathLine {
            way: word.to_owned(),
            name: format!("{before}{path}"),
            outcome: outcome_of_all,
            at: tries.iter().filter_map(|it| it.target).collect(),
            what,
            took: tries.iter().map(|it| it.took).sum(),
        })
    })
    .collect()
}

fn verdict(facts: &Facts, findings: &[Finding], several: bool) -> Verdict {
    let winners = facts.families.iter().filter_map(|seen| {
        let path = seen.winner()?;
        Some((seen, path))
    });
    // What a client would try first.
    let best = winners.min_by_key(|(seen, path)| {
        let place = Path::WORDS.iter().position(|(_, known)| known == path);
        (place, seen.is_ipv6())
    });
    let problem = findings.first();
    let Some((seen, path)) = best else {
        let line = match problem {
            Some(finding) => format!(
                "no data connection comes about: {}; {}",
                finding.cause,
                who(finding)
            ),
            None if facts
                .families
                .iter()
                .any(|seen| !seen.unfinished.is_empty()) =>
            {
                "no data connection came about in time".to_owned()
            }
            None => "no data connection comes about, and nothing that was seen says why".to_owned(),
        };
        return Verdict {
            works: false,
            line,
            uses: None,
        };
    };
    let mode = match path.opener {
        Opener::User => "passive",
        Opener::Server => "active",
    };
    let family = match (several, seen.is_ipv6()) {
        (false, _) => "",
        (true, true) => " over IPv6",
        (true, false) => " over IPv4",
    };
    let weak: Vec<&Finding> = findings
        .iter()
        .filter(|it| it.severity != Severity::Note)
        .collect();
    let line = match weak.first() {
        None => format!("{mode} ({path}) works{family}; nothing to do"),
        Some(finding) => format!(
            "{mode} ({path}) works{family}; but {}; {}",
            finding.cause,
            who(finding)
        ),
    };
    Verdict {
        works: true,
        line,
        uses: Some(format!("wharf get uses {path}{family}")),
    }
}

fn who(finding: &Finding) -> String {
    match (finding.side, finding.perhaps.as_slice()) {
        (WhoActs::Nobody, _) => "nothing can be done about it".to_owned(),
        (side, []) => format!("{side} must act"),
        (side, _) => format!("likely {side} must act"),
    }
}
