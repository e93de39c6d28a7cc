//! What the doctor hands over: a line for every path, the findings, the verdict; for people and for programs.
//!
//! The JSON object is documented in [`json()`]; [`VERSION`] changes when a field changes its meaning or vanishes, not when
//! one is added.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::finding::{Finding, Severity, WhoActs};

/// Version of the JSON report.
pub const VERSION: u32 = 1;

/// So many lines of a rule are shown where nothing has to be repaired.
const SHORT: usize = 4;

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It carries data.
    Works,
    /// It does not.
    Fails,
    /// It works partly: some ports of several, for instance.
    Partly,
    /// It was not tried, for the reason given.
    Skipped,
    /// The time was over before it was known.
    Unfinished,
}

impl Outcome {
    /// The word of the JSON report.
    pub fn word(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Fails => "fails",
            Self::Partly => "partly",
            Self::Skipped => "skipped",
            Self::Unfinished => "unfinished",
        }
    }

    /// The sign of the text.
    fn sign(self) -> &'static str {
        match self {
            Self::Works => "✓",
            Self::Fails => "✗",
            Self::Partly => "!",
            Self::Skipped => "-",
            Self::Unfinished => "?",
        }
    }
}

/// One line: a way that was tried and what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathLine {
    /// The way: a word of `wharf_proto`'s paths (`epsv`, `pasv-replied`, `port-mapped`), or what else was tried.
    pub way: String,
    /// The way for people: `EPSV`, `PORT (mapped port)`.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Where the connection went or was asked to; several ports if several were tried.
    pub at: Vec<SocketAddr>,
    /// What happened, in a few words.
    pub what: String,
    /// How long it took, commands included.
    pub took: Duration,
}

/// The conclusion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Some data path works (or, where a server examines itself: nothing fatal was found).
    pub works: bool,
    /// In one line: `passive (EPSV) works; nothing to do`.
    pub line: String,
    /// What a client will do: `wharf get uses EPSV`; empty where that is no question.
    pub uses: Option<String>,
}

/// Everything that was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What was examined: an address without password, or `this server`.
    pub subject: String,
    /// Facts about it, for people: who is where, which server software, whether a NAT is between.
    pub facts: Vec<String>,
    /// Every way that was tried.
    pub paths: Vec<PathLine>,
    /// What it means, the worst first.
    pub findings: Vec<Finding>,
    /// What was not done, and why.
    pub unfinished: Vec<String>,
    /// How long all of it took.
    pub took: Duration,
    /// The conclusion.
    pub verdict: Verdict,
}

/// Colours, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// ANSI colours; they only repeat what signs and words say.
    pub color: bool,
}

/// `1.3 s`.
fn seconds(time: Duration) -> String {
    let tenths = (time.as_millis() + 50) / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

/// Control characters from the network must not reach a terminal.
fn plain(text: &str) -> String {
    wharf_proto::visible(text.as_bytes())
}

impl Look {
    fn paint(self, color: &str, text: &str) -> String {
        if self.color {
            format!("\x1b[{color}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// `203.0.113.130:50012, :50077, :50190`.
pub(crate) fn places(at: &[SocketAddr]) -> String {
    let mut text = String::new();
    let mut before = None;
    for place in at {
        if before == Some(place.ip()) {
            let _ = write!(text, ", :{}", place.port());
        } else {
            let separator = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{separator}{place}");
        }
        before = Some(place.ip());
    }
    text
}

/// For people.
pub fn text(report: &Report, look: Look) -> String {
    let mut out = format!("{}\n", look.paint("1", &plain(&report.subject)));
    for fact in &report.facts {
        let _ = writeln!(out, "  {}", plain(fact));
    }
    if !report.paths.is_empty() {
        out.push('\n');
    }
    let names: Vec<String> = report.paths.iter().map(|path| plain(&path.name)).collect();
    let width = names.iter().map(|it| it.chars().count()).max().unwrap_or(0);
    for (path, name) in report.paths.iter().zip(&names) {
        let color = match path.outcome {
            Outcome::Works => "32",
            Outcome::Fails => "31",
            Outcome::Partly | Outcome::Unfinished => "33",
            Outcome::Skipped => "2",
        };
        let sign = look.paint(color, path.outcome.sign());
        let mut line = format!("  {sign} {name:width$}");
        if !path.at.is_empty() {
            let _ = write!(line, "  {}", places(&path.at));
        }
        let _ = write!(line, "  {}", plain(&path.what));
        if path.outcome != Outcome::Skipped && !path.took.is_zero() {
            let _ = write!(line, " ({})", seconds(path.took));
        }
        let _ = writeln!(out, "{line}");
    }
    for finding in &report.findings {
        out.push('\n');
        told(&mut out, finding, look);
    }
    if !report.unfinished.is_empty() {
        out.push('\n');
    }
    for line in &report.unfinished {
        let _ = writeln!(out, "not done: {}", plain(line));
    }
    let color = if report.verdict.works { "1;32" } else { "1;31" };
    let label = look.paint(color, "verdict:");
    let _ = writeln!(out, "\n{label} {}", plain(&report.verdict.line));
    if let Some(uses) = &report.verdict.uses {
        let _ = writeln!(out, "         {}", plain(uses));
    }
    out
}

fn told(out: &mut String, finding: &Finding, look: Look) {
    let (label, color) = match finding.severity {
        Severity::Fatal => ("cause", "1;31"),
        Severity::Weak => ("weak", "1;33"),
        Severity::Note => ("note", "1;36"),
    };
    let label = look.paint(color, &format!("{label}:"));
    let _ = writeln!(out, "{label} {}", plain(&finding.cause));
    for line in &finding.evidence {
        let _ = writeln!(out, "  seen: {}", plain(line));
    }
    // What works need not be repaired.
    let who = match finding.severity {
        Severity::Note => "who could act",
        Severity::Fatal | Severity::Weak => "who acts",
    };
    if let Some((last, before)) = finding.perhaps.split_last() {
        let mut sides = finding.side.to_string();
        for side in before {
            let _ = write!(sides, ", {side}");
        }
        let _ = writeln!(out, "  {who}: likely {sides}, perhaps {last}");
    } else if finding.side != WhoActs::Nobody {
        let _ = writeln!(out, "  {who}: {}", finding.side);
    }
    for remedy in &finding.remedy {
        let _ = writeln!(out, "  do: {}", plain(&remedy.what));
        if finding.severity == Severity::Note && remedy.lines.len() > SHORT {
            let _ = writeln!(out, "      ({} lines, see --json)", remedy.lines.len());
            continue;
        }
        for line in &remedy.lines {
            let _ = writeln!(out, "      {}", plain(&line.replace('\t', "    ")));
        }
    }
}

/// For programs: one object.
///
/// * `version`: [`VERSION`]
/// * `subject`: what was examined, without password
/// * `facts`: strings for people
/// * `paths`: objects of `way`, `name`, `outcome` (`works`, `fails`, `partly`, `skipped`, `unfinished`), `at` (array of
///   `address:port`), `what`, `seconds`
/// * `findings`: objects of `word` (the cause; stable), `severity` (`fatal`, `weak`, `note`), `cause`, `evidence`
///   (strings), `side` and `perhaps` (words of [`WhoActs`]), `remedy` (objects of `side`, `what`,
///   `lines`)
/// * `unfinished`: strings
/// * `seconds`: how long it took
/// * `verdict`: object of `works`, `line`, `uses` (null where that is no question)
pub fn json(report: &Report) -> Value {
    json!({
        "version": VERSION,
        "subject": report.subject,
        "facts": report.facts,
        "paths": report.paths.iter().map(path_json).collect::<Vec<_>>(),
        "findings": report.findings.iter().map(finding_json).collect::<Vec<_>>(),
        "unfinished": report.unfinished,
        "seconds": rounded(report.took),
        "verdict": {
            "works": report.verdict.works,
            "line": report.verdict.line,
            "uses": report.verdict.uses,
        },
    })
}

/// Milliseconds are all that a clock is worth here.
fn rounded(time: Duration) -> f64 {
    f64::from(u32::try_from(time.as_millis()).unwrap_or(u32::MAX)) / 1000.0
}

fn path_json(path: &PathLine) -> Value {
    json!({
        "way": path.way,
        "name": path.name,
        "outcome": path.outcome.word(),
        "at": path.at.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "what": path.what,
        "seconds": rounded(path.took),
    })
}

fn finding_json(finding: &Finding) -> Value {
    let remedy = finding.remedy.iter().map(|remedy| {
        json!({
            "side": remedy.side.word(),
            "what": remedy.what,
            "lines": remedy.lines,
        })
    });
    json!({
        "word": finding.word,
        "severity": finding.severity.word(),
        "cause": finding.cause,
        "evidence": finding.evidence,
        "side": finding.side.word(),
        "perhaps": finding.perhaps.iter().map(|side| side.word()).collect::<Vec<_>>(),
        "remedy": remedy.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
#[allow(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes the text"
)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::finding::Remedy;

    fn sample() -> Report {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        Report {
            subject: "ftp://203.0.113.130/".to_owned(),
            facts: vec!["server: 203.0.113.130:21, vsftpd 3.0.3\x1b[2J".to_owned()],
            paths: vec![
                PathLine {
                    way: "epsv".to_owned(),
                    name: "EPSV".to_owned(),
                    outcome: Outcome::Fails,
                    at: vec![at("203.0.113.130:50012"), at("203.0.113.130:50077")],
                    what: "no answer".to_owned(),
                    took: Duration::from_millis(1320),
                },
                PathLine {
                    way: "port".to_owned(),
                    name: "PORT".to_owned(),
                    outcome: Outcome::Works,
                    at: vec![at("198.51.100.130:40000")],
                    what: "data arrived".to_owned(),
                    took: Duration::from_millis(40),
                },
            ],
            findings: vec![
                Finding::new(
                    "passive-dropped",
                    Severity::Weak,
                    WhoActs::ServerFirewall,
                    "the server's passive ports do not answer",
                )
                .because("two ports of two were silent")
                .or(WhoActs::ClientFirewall)
                .cure(Remedy::copy(
                    WhoActs::ServerFirewall,
                    "open the range",
                    "tcp dport 50000-50999 accept",
                )),
            ],
            unfinished: vec!["IPv6: no address".to_owned()],
            took: Duration::from_millis(1500),
            verdict: Verdict {
                works: true,
                line: "active (PORT) works".to_owned(),
                uses: Some("wharf get uses PORT".to_owned()),
            },
        }
    }

    #[test]
    fn the_text_is_for_people_and_carries_no_control_characters() {
        expect![[r#"
            ftp://203.0.113.130/
              server: 203.0.113.130:21, vsftpd 3.0.3␛[2J

              ✗ EPSV  203.0.113.130:50012, :50077  no answer (1.3 s)
              ✓ PORT  198.51.100.130:40000  data arrived (0.0 s)

            weak: the server's passive ports do not answer
              seen: two ports of two were silent
              who acts: likely the server's firewall, perhaps the client's firewall
              do: open the range
                  tcp dport 50000-50999 accept

            not done: IPv6: no address

            verdict: active (PORT) works
                     wharf get uses PORT
        "#]]
        .assert_eq(&text(&sample(), Look::default()));
        let colored = text(&sample(), Look { color: true });
        assert!(colored.contains("\x1b[31m✗\x1b[0m"));
    }

    #[test]
    fn the_object_is_versioned() {
        let object = json(&sample());
        assert_eq!(object["version"], VERSION);
        expect![[r#"{"evidence":["two ports of two were silent"],"perhaps":["client-firewall"],"remedy":[{"lines":["tcp dport 50000-50999 accept"],"side":"server-firewall","what":"open the range"}],"severity":"weak","side":"server-firewall","word":"passive-dropped"}"#]]
            .assert_eq(&{
                let mut finding = object["findings"][0].clone();
                finding.as_object_mut().unwrap().remove("cause");
                finding.to_string()
            });
        assert_eq!(object["paths"][0]["outcome"], "fails");
        assert_eq!(object["paths"][0]["seconds"], 1.32);
    }
}
