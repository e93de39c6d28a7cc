//! `wharf doctor` in every topology × {wharf without one-port, vsftpd, ProFTPD, Pure-FTPd}: the causes that it names, and
//! the side that must act, within eight seconds. The truth is the table of topologies; what it means for a doctor that
//! stands on the client's side alone is the table below.

use std::time::Duration;

use serde_json::Value;

use crate::process::{Outcome, run as run_bounded};
use crate::server::{Kind, USER};
use crate::stage::Stage;
use crate::tally::{Matrix, Tally, concurrently, seconds};
use crate::topology::{Middlebox, TOPOLOGIES, Topology};
use crate::{Result, Settings, payload};

/// The verdict is there within this time.
const VERDICT: Duration = Duration::from_secs(8);

/// No run lasts longer.
const LIMIT: Duration = Duration::from_secs(20);

/// The servers that are examined.
const PEERS: [Kind; 4] = [Kind::Wharf, Kind::Vsftpd, Kind::ProFtpd, Kind::PureFtpd];

/// Fills and prints the matrix.
#[allow(clippy::unnecessary_wraps)] // a part may fail; this one has nothing to fail by
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let rows: Vec<Topology> = TOPOLOGIES
        .iter()
        .filter(|row| settings.wants(row.name))
        .copied()
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let meetings: Vec<(Topology, Kind)> = rows
        .iter()
        .flat_map(|row| PEERS.map(|kind| (*row, kind)))
        .collect();
    // Nearly all of a cell is waiting.
    let answers = concurrently(&meetings, 10, |(row, kind)| meet(settings, *row, *kind));
    let mut heads = vec!["topology"];
    heads.extend(PEERS.map(Kind::name));
    let mut matrix = Matrix::new(&heads);
    let mut answers = meetings.iter().zip(answers);
    for row in rows {
        let mut shown = Vec::new();
        for ((_, kind), answer) in answers.by_ref().take(PEERS.len()) {
            let (text, fault) = match answer {
                Ok(Cell { text, fault }) => (text, fault),
                Err(failure) => ("?".to_owned(), Some(failure.to_string())),
            };
            match fault {
                None => {
                    tally.pass();
                    shown.push(text);
                }
                Some(fault) => {
                    tally.fail(&format!("doctor / {} / {}", row.name, kind.name()), &fault);
                    shown.push(format!("{text} !!"));
                }
            }
        }
        matrix.push(row.name, shown);
    }
    matrix
        .print("wharf doctor (the worst finding and the side that must act; !! not what must be)");
    Ok(())
}

struct Cell {
    text: String,
    /// Why this is not what must be.
    fault: Option<String>,
}

/// Whether a control connection comes about at all: not where a balancer speaks first to a server that does not
/// understand it.
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

fn meet(settings: &Settings, row: Topology, kind: Kind) -> Result<Cell> {
    if !meets(&row, kind) {
        return Ok(Cell {
            text: "-".to_owned(),
            fault: None,
        });
    }
    let stage = Stage::in_topology(
        settings,
        &format!("doctor-{}-{}", row.name, kind.name()),
        row,
        kind,
    )?;
    payload::write(&stage.root.join("payload.bin"), 1000)?;
    let _server = stage.serve_with(&["--one-port", "off"])?;
    let mut command = stage.client(&stage.wharf);
    command.args(["doctor", "--json"]);
    command.arg(format!("ftp://{USER}@{}/", stage.network.host()));
    command.arg("--password-file").arg(&stage.secret);
    command.arg("--trace").arg(stage.work.path().join("trace"));
    let outcome = run_bounded(command, b"", LIMIT)?;
    let report: Value = serde_json::from_slice(&outcome.stdout)
        .map_err(|error| format!("no report: {error}; {}", outcome.last_words()))?;
    Ok(judge(&report, &outcome))
}

/// `cause@side`, with `/side` for each other that it may be.
fn findings(report: &Value) -> Vec<String> {
    let list = report["findings"].as_array().cloned().unwrap_or_default();
    list.iter()
        .map(|finding| {
            let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
            let mut text = format!("{}@{}", word(&finding["word"]), word(&finding["side"]));
            for side in finding["perhaps"].as_array().into_iter().flatten() {
                text.push('/');
                text.push_str(&word(side));
            }
            text
        })
        .collect()
}

fn judge(report: &Value, outcome: &Outcome) -> Cell {
    let found = findings(report).join(" ");
    eprintln!("{} {}", seconds(outcome.elapsed), report["verdict"]["uses"]);
    let fault = (outcome.elapsed > VERDICT).then(|| format!("took {}", seconds(outcome.elapsed)));
    Cell { text: found, fault }
}
