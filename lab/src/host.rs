//! `wharf doctor --server` on the server's own host: what it finds by itself, and what it finds when a `wharf doctor
//! --listen` on the client's machine connects back. The first sees the host's own rules and addresses, the second what
//! stands in front of it; the table says which topology is whose.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{Daemon, Outcome, run as run_bounded};
use crate::server::Kind;
use crate::stage::{CLIENT, Stage};
use crate::tally::{Matrix, Tally, concurrently, seconds};
use crate::topology::{TOPOLOGIES, Topology};
use crate::{Result, Settings};

/// No run lasts longer.
const LIMIT: Duration = Duration::from_secs(40);
/// Where the wharf on the client's machine listens.
const PORT: u16 = 2120;

/// A server whose own firewall lets clients reach 21 alone.
const CLOSED: &str = r#"
table inet lab {
  chain input { type filter hook input priority filter; policy drop;
    iif "lo" accept
    ct state established,related accept
    tcp dport 21 ct state new accept
  }
}"#;

struct Row {
    topology: &'static str,
    /// The server's own rules, instead of the topology's.
    rules: Option<&'static str>,
    /// Words of the findings on the host alone; notes are left out but for the told address.
    alone: &'static str,
    /// The same with the other wharf's help; `None`: it cannot be asked from here, and that is said.
    asked: Option<&'static str>,
}

const fn row(topology: &'static str, alone: &'static str, asked: &'static str) -> Row {
    Row {
        topology,
        rules: None,
        alone,
        asked: Some(asked),
    }
}

const ROWS: &[Row] = &[
    row("open", "", ""),
    Row {
        rules: Some(CLOSED),
        ..row("open", "passive-closed", "data-unreachable passive-closed")
    },
    // Only port 20 is let out, so the other wharf is asked from there.
    row("server-hostfw", "", ""),
    row("server-fw-21", "", "data-unreachable"),
    Row {
        asked: None,
        ..row("server-fw-range", "", "")
    },
    row("server-dnat-leak", "(told-private)", "told-private"),
    row("server-dnat-fixed", "", ""),
    row("server-dnat-wrongaddr", "", "told-wrong"),
    row("server-dnat-21", "", "data-unreachable"),
];

struct Cells {
    alone: Result<(String, Duration)>,
    asked: Result<(String, Duration)>,
}

/// Every row, a few at once.
#[allow(clippy::unnecessary_wraps)] // a part may fail; this one has nothing to fail by
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let rows: Vec<&Row> = ROWS
        .iter()
        .filter(|row| settings.wants(row.topology))
        .collect();
    let cells = concurrently(&rows, 4, |row| examine(settings, row));
    let mut matrix = Matrix::new(&["topology", "alone", "", "asked", ""]);
    for (row, cells) in rows.iter().zip(cells) {
        let name = match row.rules {
            Some(_) => format!("{}, own rules close", row.topology),
            None => row.topology.to_owned(),
        };
        let expected = [row.alone, row.asked.unwrap_or("unreachable")];
        let mut shown = Vec::new();
        for (what, cell, expected) in [
            ("alone", cells.alone, expected[0]),
            ("asked", cells.asked, expected[1]),
        ] {
            let (words, time) = match cell {
                Ok((words, took)) if words == expected => {
                    tally.pass();
                    (words, seconds(took))
                }
                Ok((words, took)) => {
                    let why = format!("found `{words}`, expected `{expected}`");
                    tally.fail(&format!("host {name} {what}"), &why);
                    (format!("! {words}"), seconds(took))
                }
                Err(failure) => {
                    tally.fail(&format!("host {name} {what}"), &failure.to_string());
                    ("FAIL".to_owned(), String::new())
                }
            };
            shown.push(if words.is_empty() {
                "-".to_owned()
            } else {
                words
            });
            shown.push(time);
        }
        matrix.push(&name, shown);
    }
    matrix.print("wharf doctor --server on the server's host");
    Ok(())
}

fn examine(settings: &Settings, row: &Row) -> Cells {
    let built = || -> Result<Stage> {
        let topology = TOPOLOGIES.iter().find(|it| it.name == row.topology);
        let mut topology: Topology = *topology.ok_or("no such topology")?;
        if let Some(rules) = row.rules {
            topology.server_host = rules;
        }
        let name = format!("host-{}-{}", row.topology, row.rules.is_some());
        Stage::in_topology(settings, &name, topology, Kind::Wharf)
    };
    let stage = match built() {
        Ok(stage) => stage,
        Err(failure) => {
            let why = failure.to_string();
            return Cells {
                alone: Err(failure),
                asked: Err(why.into()),
            };
        }
    };
    let served = stage.serve_with(&["--one-port", "off"]);
    let _server = match served {
        Ok(server) => server,
        Err(failure) => {
            let why = failure.to_string();
            return Cells {
                alone: Err(failure),
                asked: Err(why.into()),
            };
        }
    };
    Cells {
        alone: examined(&stage, &[]),
        asked: asked(&stage),
    }
}

/// Runs the doctor on the server's host: the words that it found, sorted, and how long it took.
fn examined(stage: &Stage, ask: &[&str]) -> Result<(String, Duration)> {
    let outcome = doctor(stage, ask)?;
    let report: Value = serde_json::from_slice(&outcome.stdout)
        .map_err(|error| format!("{error}: {}", outcome.last_words()))?;
    if outcome.code == Some(3) {
        let said = String::from_utf8_lossy(&outcome.stderr);
        return if said.contains("no connection to the wharf that listens") {
            Ok(("unreachable".to_owned(), outcome.elapsed))
        } else {
            Err(outcome.last_words().into())
        };
    }
    let findings = report["findings"].as_array().ok_or("no findings")?;
    let mut words: Vec<String> = findings
        .iter()
        .filter_map(|finding| {
            let word = finding["word"].as_str()?;
            match finding["severity"].as_str()? {
                "note" if word == "told-private" => Some(format!("({word})")),
                "note" => None,
                _ => Some(word.to_owned()),
            }
        })
        .collect();
    words.sort_unstable();
    words.dedup();
    let to_do = words.iter().any(|word| !word.starts_with('('));
    if outcome.code != Some(i32::from(to_do)) {
        return Err(format!("{words:?}, but {}", outcome.last_words()).into());
    }
    Ok((words.join(" "), outcome.elapsed))
}

fn doctor(stage: &Stage, ask: &[&str]) -> Result<Outcome> {
    let mut command = stage.network.server.command(&stage.wharf);
    crate::process::isolate(&mut command, stage.work.path());
    command.args(["doctor", "--server", "--json"]).args(ask);
    command.args(["--", "--one-port", "off", "--listen", "0.0.0.0:21"]);
    command.args(stage.told());
    run_bounded(command, b"", LIMIT)
}

/// The same while a wharf on the client's machine listens.
fn asked(stage: &Stage) -> Result<(String, Duration)> {
    let at = format!("{CLIENT}:{PORT}");
    let mut command = stage.client(&stage.wharf);
    command.args(["doctor", "--listen", &at, "--wait", "1m"]);
    let listener = Daemon::start(command)?;
    let deadline = Instant::now() + LIMIT;
    let token = loop {
        let said = listener.said();
        let line = said.lines().find(|line| line.starts_with("wharf doctor "));
        if let Some(token) = line.and_then(|line| line.split(' ').next_back()) {
            break token.to_owned();
        }
        if Instant::now() > deadline {
            return Err(format!("no token: {said}").into());
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    examined(stage, &["--ask", &at, &token])
}
