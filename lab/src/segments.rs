//! Downloads in segments, killed at random: what gets the final name is whole, always.
//!
//! `wharf get -c -n 4` is killed with `kill -9` at a random moment, again and again, and goes on with what it has left;
//! every now and then the end of the journal is cut off as well, as a crash of the machine in mid-write would. Whenever it
//! comes to an end the file is compared. Twenty kills a server, two hundred with `--full`.

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::payload::{self, Random};
use crate::process::{self, Daemon, isolate, tail};
use crate::server::{Kind, USER};
use crate::stage::Stage;
use crate::tally::Tally;
use crate::topology::PLAIN;
use crate::{Result, Settings};

const TIMES: u32 = 20;
const FULL_TIMES: u32 = 200;

/// Bytes of the file, and the rate at which it comes: about a second for all of it.
const SIZE: u64 = 12 << 20;
const RATE: &str = "10M";

/// A kill comes at most so late; some downloads shall come to their end.
const LATEST: u64 = 900;

const LIMIT: Duration = Duration::from_mins(1);

type Row = (&'static str, fn(&Settings) -> Result<String>);

const ROWS: [Row; 2] = [
    ("a server that allows three sessions, -n 8", few_sessions),
    ("a file that changes between two runs", changed),
];

/// The kills, the limit of sessions, the changed file.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let times = if settings.full { FULL_TIMES } else { TIMES };
    if !settings.wharf.is_file() {
        return Err(format!("{} is not a program", settings.wharf.display()).into());
    }
    println!("\ndownloads in segments, killed with kill -9 {times} times each");
    for kind in [Kind::Wharf, Kind::Vsftpd] {
        let what = format!("wharf get -n 4 from {}", kind.name());
        if settings.wants(&what) {
            tally.check(&what, killed(settings, kind, times));
        }
    }
    for (what, row) in ROWS {
        if settings.wants(what) {
            tally.check(what, row(settings));
        }
    }
    Ok(())
}

fn stage(settings: &Settings, kind: Kind) -> Result<Stage> {
    let stage = Stage::in_topology(settings, &format!("segments-{}", kind.name()), PLAIN, kind)?;
    payload::write(&stage.root.join("large.bin"), SIZE)?;
    Ok(stage)
}

fn get(stage: &Stage, arguments: &[&str]) -> Command {
    let mut command = stage.network.client.command(&stage.wharf);
    command
        .args(["get", "--password-file"])
        .arg(&stage.secret)
        .args(arguments)
        .arg(format!("ftp://{USER}@{}/large.bin", stage.network.host()))
        .arg("-o")
        .arg(stage.work.path().join("copy.bin"));
    command.current_dir(stage.work.path());
    isolate(&mut command, stage.work.path());
    command
}

fn killed(settings: &Settings, kind: Kind, times: u32) -> Result<String> {
    let stage = stage(settings, kind)?;
    let _server = stage.serve()?;
    let source = stage.root.join("large.bin");
    let copy = stage.work.path().join("copy.bin");
    let journal = stage.work.path().join("copy.bin.part.journal");
    let mut random = Random::from_clock();
    let (mut kills, mut torn, mut whole, mut resumed) = (0, 0, 0, 0);
    let arguments = ["-c", "-n", "4", "--limit-rate", RATE];
    while kills < times {
        let mut client = Daemon::start(get(&stage, &arguments))?;
        let moment = Duration::from_millis(random.between(20, LATEST));
        let start = Instant::now();
        while start.elapsed() < moment && client.alive() {
            thread::sleep(Duration::from_millis(2));
        }
        let ended = client.ended();
        client.kill_9();
        match ended {
            Some(0) => {
                whole += 1;
                compared(&source, &copy)?;
                fs::remove_file(&copy)?;
                continue;
            }
            Some(code) => {
                let said = tail(&client.said());
                return Err(format!("after {kills} kills it ended with {code}: {said}").into());
            }
            None => kills += 1,
        }
        if copy.exists() {
            // Killed between its last step and its end.
            whole += 1;
            compared(&source, &copy)?;
            fs::remove_file(&copy)?;
        }
        resumed += u32::from(journal.exists());
        if random.between(0, 3) == 0 && cut(&journal, &mut random)? {
            torn += 1;
        }
    }
    let outcome = process::run(get(&stage, &arguments), b"", LIMIT)?;
    if !outcome.succeeded() {
        return Err(outcome.last_words().into());
    }
    compared(&source, &copy)?;
    if resumed == 0 {
        return Err("no kill came in mid-transfer".into());
    }
    Ok(format!(
        "{kills} kills, {resumed} with a journal left, {torn} of them cut off, {} whole files, none wrong",
        whole + 1
    ))
}

fn compared(source: &Path, copy: &Path) -> Result<()> {
    payload::same(source, copy).map_err(|error| format!("under the final name: {error}").into())
}

/// Cuts some bytes off the end; whether there was something to cut.
fn cut(journal: &Path, random: &mut Random) -> Result<bool> {
    let Ok(metadata) = fs::metadata(journal) else {
        return Ok(false);
    };
    let keep = metadata.len().saturating_sub(random.between(1, 60));
    OpenOptions::new()
        .write(true)
        .open(journal)?
        .set_len(keep)?;
    Ok(true)
}

fn few_sessions(settings: &Settings) -> Result<String> {
    let stage = stage(settings, Kind::Wharf)?;
    let _server = stage.serve_with(&["--max-per-address", "3"])?;
    let outcome = process::run(get(&stage, &["-n", "8"]), b"", LIMIT)?;
    if !outcome.succeeded() {
        return Err(outcome.last_words().into());
    }
    compared(
        &stage.root.join("large.bin"),
        &stage.work.path().join("copy.bin"),
    )?;
    Ok(String::new())
}

fn changed(settings: &Settings) -> Result<String> {
    let stage = stage(settings, Kind::Vsftpd)?;
    let _server = stage.serve()?;
    let source = stage.root.join("large.bin");
    let copy = stage.work.path().join("copy.bin");
    let mut client = Daemon::start(get(&stage, &["-n", "4", "--limit-rate", "2M"]))?;
    thread::sleep(Duration::from_millis(1500));
    if client.ended().is_some() {
        return Err(format!("it had ended: {}", tail(&client.said())).into());
    }
    client.kill_9();
    // Another file of the same length.
    let mut bytes = fs::read(&source)?;
    bytes.reverse();
    fs::write(&source, &bytes)?;
    let later = SystemTime::now() + Duration::from_secs(10);
    File::options()
        .write(true)
        .open(&source)?
        .set_modified(later)?;
    let outcome = process::run(get(&stage, &["-c", "-n", "4"]), b"", LIMIT)?;
    if outcome.code != Some(15) || copy.exists() {
        return Err(format!("-c: expected exit 15: {}", outcome.last_words()).into());
    }
    let outcome = process::run(get(&stage, &["-n", "4"]), b"", LIMIT)?;
    if !outcome.succeeded() {
        return Err(outcome.last_words().into());
    }
    compared(&source, &copy)?;
    Ok("-c: exit 15, nothing under the final name; without -c: whole".to_owned())
}
