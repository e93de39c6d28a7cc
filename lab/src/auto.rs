//! wharf's client left to itself, with wharf's server and foreign ones, in every topology, three times: a
//! download, an upload, a download.
//!
//! Where some data mode physically can work with *that* server the first run arrives within
//! [`FIRST`], and the others, which remember, make no failed attempt: one control connection, one
//! arranging command, one data connection. Everywhere else the run ends within [`LAST_WORD`] with status 7, a
//! line for each path that was tried, the likely cause and what to do next.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use crate::payload;
use crate::process::{Outcome, last_lines, run as run_bounded};
use crate::server::{Kind, USER};
use crate::stage::Stage;
use crate::tally::{Judged, Tally, by_peers, seconds};
use crate::topology::{Middlebox, TOPOLOGIES, Topology};
use crate::{Result, Settings};

/// Within this time the whole first run is over where something can work; the first byte came before.
const FIRST: Duration = Duration::from_secs(5);

/// Within this time a run that remembers is over.
const SECOND: Duration = Duration::from_secs(3);

/// Handshakes on two control connections and the data connection take so long at most, on a busy machine.
const HANDSHAKES: Duration = Duration::from_secs(1);

/// Within this time a run ends that finds no way.
const LAST_WORD: Duration = Duration::from_secs(8);

/// No run lasts longer.
const LIMIT: Duration = Duration::from_secs(20);

/// Exit status "no data connection came about".
const NO_WAY: i32 = 7;

/// Small, so that the time of a run is the time to the first byte.
const SIZE: u64 = 20_000;

/// The servers that the client meets. Wharf's without one-port: what is tried here is the client.
const PEERS: [Kind; 4] = [Kind::Wharf, Kind::Vsftpd, Kind::ProFtpd, Kind::PureFtpd];

/// What differs from the topology's own table, which is about a server that sends active data from port 20 and
/// takes data only from the address of the control connection, and about modes without a mapped port: topology,
/// servers, whether anything can work.
const DIFFERENT: &[(&str, &[Kind], bool)] = &[
    // ProFTPD's active data does not come from port 20: nothing is left behind the four active rules.
    ("acl-active", &[Kind::ProFtpd], false),
    // ProFTPD takes passive data from any address.
    ("cgnat-pool", &[Kind::ProFtpd], true),
    // Active by a port that the client's router maps.
    ("both-nat-upnp", &PEERS, true),
];

/// What the likely cause is, where it is another than closed passive ports: topology, words that say it.
const CAUSES: &[(&str, &str)] = &[
    ("cgnat-pool", "another address than our control connection"),
    ("haproxy-21", "a balancer or proxy in front of it hides us"),
];

/// Whether some data mode physically works with this server.
fn possible(row: &Topology, kind: Kind) -> bool {
    let different = DIFFERENT
        .iter()
        .find(|(name, servers, _)| *name == row.name && servers.contains(&kind));
    let ways = if kind == Kind::Wharf {
        row.ways
    } else {
        row.foreign.unwrap_or(row.ways)
    };
    different.map_or(ways.any(), |(_, _, possible)| *possible)
}

/// Whether a control connection comes about at all: not where a balancer speaks first to a server that does
/// not understand it.
fn meets(row: &Topology, kind: Kind) -> bool {
    let header = matches!(
        row.middlebox,
        Some(Middlebox::Balancer {
            header: Some(_),
            ..
        })
    );
    kind == Kind::Wharf || !header
}

/// Fills and prints the matrix.
#[allow(clippy::unnecessary_wraps)] // a part may fail; this one has nothing to fail by
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    print(settings, tally, false);
    Ok(())
}

/// The same over TLS, which no helper on the way can read.
pub(crate) fn secured(settings: &Settings, tally: &Tally) {
    print(settings, tally, true);
}

fn print(settings: &Settings, tally: &Tally, secured: bool) {
    let rows: Vec<Topology> = TOPOLOGIES
        .iter()
        .filter(|row| settings.wants(row.name))
        // A transfer that takes its time is the part `nat-idle`.
        .filter(|row| row.takes.is_zero())
        .copied()
        .collect();
    if rows.is_empty() {
        return;
    }
    let (part, over) = if secured {
        ("auto over TLS", " over TLS")
    } else {
        ("auto", "")
    };
    let matrix = by_peers(part, &rows, &PEERS, tally, |row, kind| {
        meet(settings, row, kind, secured)
    });
    matrix.print(&format!(
        "wharf's client in auto{over} (seconds: get, put, get with one memory; no: no way; !! not what must be)"
    ));
}

fn meet(settings: &Settings, row: Topology, kind: Kind, secured: bool) -> Result<Judged> {
    if !meets(&row, kind) {
        return Ok(Judged {
            text: "-".to_owned(),
            fault: None,
        });
    }
    let name = format!("auto-{}-{}", row.name, kind.name());
    let mut stage = Stage::in_topology(settings, &name, row, kind)?;
    let row = if secured {
        stage = stage.secured()?;
        row.over_tls(kind == Kind::Wharf)
    } else {
        row
    };
    payload::write(&stage.root.join("payload.bin"), SIZE)?;
    let _server = stage.serve_with(&["--one-port", "off"])?;
    let first = Run::of(&stage, "first", Does::Get)?;
    let handshakes = if secured { HANDSHAKES } else { Duration::ZERO };
    if !possible(&row, kind) {
        return Ok(Judged {
            text: format!("no {}", seconds(first.outcome.elapsed)),
            fault: first
                .wrong_failure(&row)
                .map(|fault| first.with_dialogue(&fault)),
        });
    }
    let elapsed = first.outcome.elapsed;
    if let Some(fault) = first.wrong_success(FIRST + handshakes) {
        return Ok(Judged {
            text: format!("? {}", seconds(elapsed)),
            fault: Some(first.with_dialogue(&fault)),
        });
    }
    let mut text = seconds(elapsed);
    let mut fault = first.unannounced();
    // The upload in between leaves an active client's port in TIME_WAIT.
    for (name, does) in [("second", Does::Put), ("third", Does::Get)] {
        let run = Run::of(&stage, name, does)?;
        let _ = write!(text, " {}", seconds(run.outcome.elapsed));
        let wrong = run
            .wrong_success(SECOND + handshakes)
            .or_else(|| run.wasted());
        let wrong = wrong.map(|wrong| format!("{name} run: {}", run.with_dialogue(&wrong)));
        fault = fault.or(wrong);
    }
    Ok(Judged { text, fault })
}

/// What a run does with the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Get,
    Put,
}

/// A run of the client in `auto`, and what it left.
struct Run {
    outcome: Outcome,
    /// The transcript.
    trace: String,
    /// What is wrong with the file.
    file: Result<()>,
    exists: bool,
}

impl Run {
    fn of(stage: &Stage, name: &str, does: Does) -> Result<Self> {
        let local = stage.work.path().join(name);
        let trace = local.with_extension("trace");
        let mut command = stage.client(&stage.wharf);
        let payload = stage.root.join("payload.bin");
        let url = format!("ftp://{USER}@{}", stage.network.host());
        let arrived = match does {
            Does::Get => {
                command.arg("get").arg(format!("{url}/payload.bin"));
                command.arg("-o").arg(&local);
                local
            }
            Does::Put => {
                command
                    .arg("put")
                    .arg(&payload)
                    .arg(format!("{url}/{name}"));
                stage.root.join(name)
            }
        };
        command.arg("--password-file").arg(&stage.secret);
        command.arg("--trace").arg(&trace);
        let outcome = run_bounded(command, b"", LIMIT)?;
        Ok(Self {
            outcome,
            trace: fs::read_to_string(&trace).unwrap_or_default(),
            file: payload::same(&payload, &arrived),
            exists: arrived.exists(),
        })
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&self.outcome.stderr).into_owned()
    }

    /// What is wrong with a run that has to arrive.
    fn wrong_success(&self, within: Duration) -> Option<String> {
        if let Err(why) = &self.file {
            return Some(why.to_string());
        }
        if !self.outcome.succeeded() {
            return Some("arrived, but failed".to_owned());
        }
        (self.outcome.elapsed > within).then(|| format!("took {}", seconds(self.outcome.elapsed)))
    }

    /// What is wrong with a run that cannot arrive.
    fn wrong_failure(&self, row: &Topology) -> Option<String> {
        let outcome = &self.outcome;
        if self.file.is_ok() {
            return Some("worked, and must not".to_owned());
        }
        if self.exists {
            return Some("failed, and left a file under the final name".to_owned());
        }
        if outcome.killed || outcome.elapsed > LAST_WORD {
            return Some(format!("took {}", seconds(outcome.elapsed)));
        }
        if outcome.code != Some(NO_WAY) {
            return Some(format!("status {:?}", outcome.code));
        }
        let said = self.said();
        // A line for each way that was tried, by the word of its command.
        let verbs = ["EPSV", "PASV", "PORT", "EPRT", "LPRT"];
        let silent = verbs
            .iter()
            .find(|verb| self.sent(verb) > 0 && !said.lines().any(|line| line.contains(*verb)));
        if let Some(verb) = silent {
            return Some(format!("no line about {verb}"));
        }
        let cause = CAUSES.iter().find(|(name, _)| *name == row.name);
        let cause = cause.map_or("passive ports", |(_, cause)| *cause);
        let lacks = |words: &[&str]| !words.iter().any(|word| said.contains(word));
        // Why, who has to act, and where more is to be read.
        [
            &["likely cause: "][..],
            &[cause],
            &["administrator: ", "here: "],
            &["hint: "],
        ]
        .into_iter()
        .find(|words| lacks(words))
        .map(|words| format!("does not say {}", words.join(" or ")))
    }

    /// What a run that remembers did in vain.
    fn wasted(&self) -> Option<String> {
        let sessions = self.events("+ user ");
        let arranged: usize = ["EPSV", "PASV", "PORT", "EPRT", "LPRT", "LPSV"]
            .iter()
            .map(|verb| self.sent(verb))
            .sum();
        let opened = self.events("! opened ");
        let failed = self.events("! failed ");
        ((sessions, arranged, opened, failed) != (1, 1, 1, 0)).then(|| {
            format!(
                "{sessions} sessions, {arranged} arranging commands, {opened} data connections, {failed} failures"
            )
        })
    }

    /// A detour is announced, once, in one line; the direct way is not.
    fn unannounced(&self) -> Option<String> {
        let notes = self
            .said()
            .lines()
            .filter(|line| line.starts_with("note:"))
            .count();
        let detour = usize::from(self.wasted().is_some());
        (notes != detour).then(|| {
            format!(
                "{notes} notes, {detour} change of path; it says: {}",
                last_lines(&self.said(), 6)
            )
        })
    }

    /// How often the client sent this command.
    fn sent(&self, verb: &str) -> usize {
        let lines = self.trace.lines().filter_map(|line| line.split_once(" > "));
        lines
            .filter(|(_, command)| command.split(' ').next() == Some(verb))
            .count()
    }

    fn events(&self, word: &str) -> usize {
        self.trace
            .lines()
            .filter(|line| line.contains(&format!(" {word}")))
            .count()
    }

    fn with_dialogue(&self, fault: &str) -> String {
        let said = self.outcome.last_words();
        format!("{fault}; {said}; {}", last_lines(&self.trace, 12))
    }
}
