//! The network changes between two runs of wharf's client: what it remembers must help, and never harm.

use std::time::Duration;

use crate::payload;
use crate::process::{Outcome, run as run_bounded};
use crate::server::{Kind, USER};
use crate::stage::Stage;
use crate::tally::{Tally, concurrently, seconds};
use crate::topology::TOPOLOGIES;
use crate::{Result, Settings};

/// The whole of a run that has to find another way.
const AGAIN: Duration = Duration::from_secs(8);

/// The whole of a run that has nothing to find.
const DIRECT: Duration = Duration::from_secs(1);

const LIMIT: Duration = Duration::from_secs(20);

/// No data connection came about.
const NO_WAY: i32 = 7;

/// Nothing is filtered any more; addresses stay translated.
const OPENED: &str = "flush ruleset";

/// 21 and the passive range go in, and nothing new out.
const CLOSED: &str = r#"
flush ruleset
table inet lab {
  chain forward { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "wan" tcp dport { 21, 50000-50199 } accept
  }
}"#;

type Check = fn(&Settings) -> Result<String>;

const CHECKS: &[(&str, Check)] = &[
    (
        "what failed once is tried again when nothing else works",
        repaired,
    ),
    (
        "a way that worked and works no more costs one attempt",
        moved,
    ),
    ("wharf forget: the search begins anew", forgotten),
    ("--no-memory: nothing is used, nothing is kept", without),
];

/// Every check has a network and a memory of its own.
#[allow(clippy::unnecessary_wraps)] // a part may fail; this one has nothing to fail by
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    println!("\nthe network changes between two runs");
    let wanted: Vec<_> = CHECKS
        .iter()
        .filter(|(name, _)| settings.wants(name))
        .collect();
    let results = concurrently(&wanted, wanted.len(), |(_, check)| check(settings));
    for ((name, _), result) in wanted.into_iter().zip(results) {
        tally.check(name, result);
    }
    Ok(())
}

fn prepare(settings: &Settings, name: &str) -> Result<Stage> {
    let row = TOPOLOGIES.iter().find(|row| row.name == name);
    let row = *row.ok_or_else(|| format!("no topology {name}"))?;
    let stage = Stage::in_topology(settings, "changes", row, Kind::Vsftpd)?;
    payload::write(&stage.root.join("payload.bin"), 20_000)?;
    Ok(stage)
}

fn get(stage: &Stage, further: &[&str]) -> Result<Outcome> {
    let local = stage.work.path().join("local.bin");
    let _ = std::fs::remove_file(&local);
    let mut command = stage.client(&stage.wharf);
    command.arg("get").args(further);
    command.arg("--password-file").arg(&stage.secret);
    command.arg(format!("ftp://{USER}@{}/payload.bin", stage.network.host()));
    command.arg("-o").arg(&local);
    run_bounded(command, b"", LIMIT)
}

/// The file has to arrive within this time; how long it took.
fn arrives(stage: &Stage, further: &[&str], within: Duration) -> Result<Duration> {
    let outcome = get(stage, further)?;
    let local = stage.work.path().join("local.bin");
    payload::same(&stage.root.join("payload.bin"), &local)
        .map_err(|error| format!("{error}; {}", outcome.last_words()))?;
    if outcome.succeeded() && outcome.elapsed <= within {
        Ok(outcome.elapsed)
    } else {
        Err(outcome.last_words().into())
    }
}

/// Nothing works; then the administrator opens the ports.
fn repaired(settings: &Settings) -> Result<String> {
    let stage = prepare(settings, "server-fw-21-strict")?;
    let _server = stage.serve()?;
    let before = get(&stage, &[])?;
    if before.code != Some(NO_WAY) {
        return Err(before.last_words().into());
    }
    stage.network.gateway("sgw")?.nft(OPENED)?;
    let after = arrives(&stage, &[], AGAIN)?;
    let then = arrives(&stage, &[], DIRECT)?;
    Ok(format!(
        "no {}, {} after the repair, then {}",
        seconds(before.elapsed),
        seconds(after),
        seconds(then)
    ))
}

/// Active is what works; then it is passive.
fn moved(settings: &Settings) -> Result<String> {
    let stage = prepare(settings, "server-fw-21")?;
    let _server = stage.serve()?;
    let first = arrives(&stage, &[], AGAIN)?;
    let second = arrives(&stage, &[], DIRECT)?;
    stage.network.gateway("sgw")?.nft(CLOSED)?;
    let third = arrives(&stage, &[], AGAIN)?;
    let fourth = arrives(&stage, &[], DIRECT)?;
    Ok(format!(
        "{} {}, after the change {} {}",
        seconds(first),
        seconds(second),
        seconds(third),
        seconds(fourth)
    ))
}

fn forgotten(settings: &Settings) -> Result<String> {
    let stage = prepare(settings, "server-fw-21")?;
    let _server = stage.serve()?;
    let first = arrives(&stage, &[], AGAIN)?;
    let second = arrives(&stage, &[], DIRECT)?;
    let mut command = stage.client(&stage.wharf);
    command.arg("forget").arg(stage.network.dial.to_string());
    let outcome = run_bounded(command, b"", LIMIT)?;
    if !outcome.succeeded() {
        return Err(outcome.last_words().into());
    }
    let third = arrives(&stage, &[], AGAIN)?;
    if third < DIRECT {
        return Err(format!(
            "the third run took {}: nothing was forgotten",
            seconds(third)
        )
        .into());
    }
    Ok(format!(
        "{} {}, {} again",
        seconds(first),
        seconds(second),
        seconds(third)
    ))
}

fn without(settings: &Settings) -> Result<String> {
    let stage = prepare(settings, "server-fw-21")?;
    let _server = stage.serve()?;
    let first = arrives(&stage, &["--no-memory"], AGAIN)?;
    let second = arrives(&stage, &["--no-memory"], AGAIN)?;
    let state = stage.work.path().join(".local/state/wharf");
    if second < DIRECT || state.exists() {
        return Err(format!("{} {}: remembered", seconds(first), seconds(second)).into());
    }
    Ok(format!("{} {}", seconds(first), seconds(second)))
}
