//! The article's first line, `ftp: bind: Address already in use`: what BSD clients say when a server refuses the
//! private address in PORT. Told to be active behind a NAT, wharf's client says what is the matter, and
//! gets the file anyway. The witness is the article's own client.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::payload;
use crate::process::{Outcome, run as run_bounded};
use crate::server::{Kind, PASSWORD, USER};
use crate::stage::Stage;
use crate::tally::{Tally, concurrently};
use crate::topology::{PLAIN, TOPOLOGIES, Topology};
use crate::wire::listen;
use crate::{Result, Settings};

/// The words that must never be said.
const PUZZLE: &str = "Address already in use";

/// The client's address in its own network.
const PRIVATE: &str = "192.168.10.2";

/// Local ports for active data, all of them taken.
const TAKEN: (u16, u16) = (45_200, 45_203);

const LIMIT: Duration = Duration::from_secs(15);

/// How the user asks for active mode.
#[derive(Clone, Copy)]
enum Asks {
    /// `wharf ftp -A`, the article's command.
    Ftp,
    /// `wharf get --mode port`.
    Get,
}

impl Asks {
    fn name(self) -> &'static str {
        match self {
            Self::Ftp => "wharf ftp -A",
            Self::Get => "wharf get --mode port",
        }
    }

    /// Downloads `payload.bin`.
    fn run(self, stage: &Stage, arguments: &[&str]) -> Result<Outcome> {
        let local = stage.work.path().join("local.bin");
        let _ = fs::remove_file(&local);
        let host = stage.network.host();
        let mut command = stage.client(&stage.wharf);
        match self {
            Self::Ftp => {
                command.args(["ftp", "-A", "-n"]).args(arguments).arg(host);
                let file = local.display();
                let input =
                    format!("user {USER} {PASSWORD}\nbinary\nget payload.bin {file}\nquit\n");
                run_bounded(command, input.as_bytes(), LIMIT)
            }
            Self::Get => {
                command.args(["get", "--mode", "port"]).args(arguments);
                command.arg("--password-file").arg(&stage.secret);
                command.arg(format!("ftp://{USER}@{host}/payload.bin"));
                command.arg("-o").arg(&local);
                run_bounded(command, b"", LIMIT)
            }
        }
    }
}

const ASKS: [Asks; 2] = [Asks::Ftp, Asks::Get];

/// Everything that was said, on one line for messages.
fn said(outcome: &Outcome) -> String {
    let mut text = String::from_utf8_lossy(&outcome.stderr).into_owned();
    text.push_str(&String::from_utf8_lossy(&outcome.stdout));
    text.lines().collect::<Vec<_>>().join(" / ")
}

/// The servers that refuse, one that does not and fails later, and ours.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let row = |name: &str| TOPOLOGIES.iter().find(|row| row.name == name).copied();
    let nat = row("client-nat").ok_or("no topology client-nat")?;
    println!("\nactive mode behind a NAT");
    let kinds = [Kind::Vsftpd, Kind::PureFtpd, Kind::ProFtpd, Kind::Wharf];
    let behind_nat = concurrently(&kinds, kinds.len(), |kind| {
        let stage = prepare(settings, nat, *kind)?;
        let _server = stage.serve()?;
        let mut told: Vec<(String, Result<String>)> = ASKS
            .map(|asks| {
                let what = format!("{} behind NAT with {}", asks.name(), kind.name());
                (what, told(&stage, *kind, asks))
            })
            .into();
        if *kind == Kind::Vsftpd {
            let what = "the article's client says the puzzle".to_owned();
            told.push((what, witness(&stage)));
        }
        Ok::<_, crate::Failure>(told)
    });
    let mut results: Vec<_> = Vec::new();
    for answers in behind_nat {
        results.extend(answers?);
    }
    for asks in ASKS {
        let what = format!("{} without a free local port", asks.name());
        results.push((what, without_port(settings, asks)));
    }
    for (what, result) in results {
        tally.check(&what, result);
    }
    Ok(())
}

fn prepare(settings: &Settings, row: Topology, kind: Kind) -> Result<Stage> {
    let stage = Stage::in_topology(settings, &format!("refusal-{}", kind.name()), row, kind)?;
    payload::write(&stage.root.join("payload.bin"), 20_000)?;
    Ok(stage)
}

fn arrived(stage: &Stage, outcome: &Outcome) -> Result<()> {
    let local = stage.work.path().join("local.bin");
    payload::same(&stage.root.join("payload.bin"), &local)
        .map_err(|error| format!("{error}; {}", said(outcome)))?;
    if outcome.succeeded() {
        Ok(())
    } else {
        Err(format!("arrived, and no success: {}", said(outcome)).into())
    }
}

fn told(stage: &Stage, kind: Kind, asks: Asks) -> Result<String> {
    // What one run remembers must not make the next one silent: each has to say it.
    let outcome = asks.run(stage, &["--no-memory"])?;
    let said = said(&outcome);
    if said.contains(PUZZLE) {
        return Err(format!("says the puzzle: {said}").into());
    }
    arrived(stage, &outcome)?;
    // ProFTPD takes the control connection's address in place of a private one, and connects in vain.
    let words: &[&str] = match kind {
        Kind::ProFtpd => &["note: "],
        _ => &["behind NAT", "refused", PRIVATE],
    };
    for word in words {
        if !said.contains(word) {
            return Err(format!("does not say {word:?}: {said}").into());
        }
    }
    Ok(format!("{:.1} s", outcome.elapsed.as_secs_f64()))
}

fn witness(stage: &Stage) -> Result<String> {
    let mut command = stage.client("inetutils-ftp");
    command.args(["-n", "-i", "-v"]).arg(stage.network.host());
    let input = format!("user {USER} {PASSWORD}\nbinary\nget payload.bin witness.bin\nquit\n");
    let outcome = run_bounded(command, input.as_bytes(), LIMIT)?;
    let said = said(&outcome);
    if said.contains(PUZZLE) {
        Ok(String::new())
    } else {
        Err(said.into())
    }
}

/// All ports that the user allows are taken: the message names them.
fn without_port(settings: &Settings, asks: Asks) -> Result<String> {
    let stage = prepare(settings, PLAIN, Kind::Wharf)?;
    let _server = stage.serve()?;
    let _taken = (TAKEN.0..=TAKEN.1)
        .map(|port| {
            let at = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
            listen(&stage.network.client, at)
        })
        .collect::<Result<Vec<_>>>()?;
    let range = format!("{}-{}", TAKEN.0, TAKEN.1);
    let outcome = asks.run(&stage, &["--no-memory", "--port-range", &range])?;
    let said = said(&outcome);
    if said.contains(PUZZLE) || !said.contains(&range) {
        return Err(format!("does not say that {range} is taken: {said}").into());
    }
    if outcome.succeeded() {
        arrived(&stage, &outcome)?;
        return Ok("arrived".to_owned());
    }
    // 7 of the one-shot command; the interactive one says it and goes on.
    if matches!(outcome.code, Some(1 | 7)) {
        Ok("said, and ended".to_owned())
    } else {
        Err(format!("status {:?}: {said}", outcome.code).into())
    }
}
