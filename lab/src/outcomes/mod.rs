//! How transfers end when something goes wrong: one row a fault, wharf's column always, and beside it what other clients
//! make of the rows about truncation.
//!
//! A row says what wharf has to do: the exit status, whether the file is there, and how long it may take. docs/outcomes.md
//! is this table for people.

mod faulty;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use faulty::{Fault, Faulty};

use crate::client::{self, Client, Job};
use crate::payload;
use crate::process::{Outcome, isolate, must, run as run_bounded};
use crate::server::{Kind, PASSWORD, USER};
use crate::stage::Stage;
use crate::tally::{Matrix, Tally, concurrently, seconds};
use crate::topology::PLAIN;
use crate::{Result, Settings};

/// Bytes of the file.
const SIZE: u64 = 4 << 20;

/// Others are not waited for any longer.
const PEER_LIMIT: Duration = Duration::from_secs(20);

/// What is asked of wharf.
#[derive(Clone, Copy)]
enum Asks {
    /// `wharf get` with these arguments.
    Get(&'static [&'static str]),
    /// `wharf get` of a file that is not there.
    GetMissing,
    /// `wharf get` from a port where nobody listens.
    GetNowhere,
    /// `wharf get` into a file system that is too small.
    GetToFullDisk,
    /// `wharf put` with these arguments.
    Put(&'static [&'static str]),
}

struct Row {
    name: &'static str,
    fault: Fault,
    asks: Asks,
    /// The exit status that it must have. 0: and the file is whole; else nothing stands under its final name.
    exit: i32,
    /// It must not take longer.
    within: u64,
    /// Other clients are shown, too.
    peers: bool,
}

const fn row(name: &'static str, fault: Fault, asks: Asks, exit: i32, within: u64) -> Row {
    Row {
        name,
        fault,
        asks,
        exit,
        within,
        peers: false,
    }
}

const fn with_peers(name: &'static str, fault: Fault, exit: i32, within: u64) -> Row {
    Row {
        peers: true,
        ..row(name, fault, Asks::Get(&[]), exit, within)
    }
}

/// The rows of research/clients.md §1.3 and §1.4, and the further ones of the goal.
const ROWS: &[Row] = &[
    row(
        "EPSV port reset, PASV works",
        Fault::EpsvReset,
        Asks::Get(&[]),
        0,
        8,
    ),
    row(
        "EPSV port dropped, PASV works",
        Fault::EpsvDropped,
        Asks::Get(&[]),
        0,
        8,
    ),
    row(
        "EPSV+PASV dropped, active works",
        Fault::PassiveDropped,
        Asks::Get(&[]),
        0,
        12,
    ),
    row(
        "EPSV+PASV refused, active works",
        Fault::PassiveRefused,
        Asks::Get(&[]),
        0,
        8,
    ),
    row(
        "PORT+EPRT refused, passive works",
        Fault::ActiveRefused,
        Asks::Get(&["--mode", "active"]),
        0,
        8,
    ),
    row(
        "active: 150, never connects",
        Fault::ActiveSilent,
        Asks::Get(&["--mode", "active"]),
        7,
        40,
    ),
    row(
        "stalls after 1,000 bytes",
        Fault::Stall,
        Asks::Get(&[]),
        0,
        45,
    ),
    with_peers("short data, 226", Fault::ShortConfirmed, 10, 10),
    with_peers("short data, 426", Fault::ShortAborted, 10, 45),
    with_peers("short data once, 226", Fault::ShortConfirmedOnce, 0, 10),
    with_peers(
        "all data, control closed, no 226",
        Fault::ControlClosed,
        0,
        20,
    ),
    row(
        "all data, 226 lost",
        Fault::LostReply,
        Asks::Get(&[]),
        0,
        25,
    ),
    with_peers("login refused 530", Fault::LoginRefused, 4, 5),
    row("no such file 550", Fault::Nothing, Asks::GetMissing, 5, 5),
    row("connection refused", Fault::Nothing, Asks::GetNowhere, 3, 5),
    with_peers("file grows meanwhile", Fault::Grows, 15, 10),
    row(
        "file replaced, then resumed",
        Fault::Replaced,
        Asks::Get(&[]),
        15,
        10,
    ),
    row("disk full here", Fault::Nothing, Asks::GetToFullDisk, 12, 5),
    row(
        "disk full here, in segments",
        Fault::Nothing,
        Asks::GetToFullDisk,
        12,
        5,
    ),
    row(
        "upload: disk full there 452",
        Fault::Full,
        Asks::Put(&[]),
        13,
        5,
    ),
    row(
        "upload: disk full there, --temp-suffix",
        Fault::Full,
        Asks::Put(&["--temp-suffix", ".part"]),
        13,
        5,
    ),
    row(
        "upload: all data, 226 lost",
        Fault::LostReply,
        Asks::Put(&[]),
        0,
        25,
    ),
    row(
        "upload: 226, half is there, --temp-suffix",
        Fault::LosesHalf,
        Asks::Put(&["--temp-suffix", ".part"]),
        10,
        8,
    ),
];

/// Shows and judges every row.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let rows: Vec<&Row> = ROWS.iter().filter(|row| settings.wants(row.name)).collect();
    if rows.is_empty() {
        return Err("no row of this name".into());
    }
    let names = [
        "curl",
        "wget",
        "aria2",
        "lftp",
        "ncftp",
        "tnftp",
        "inetutils",
        "ftplib",
    ];
    let peers: Vec<&Client> = names
        .iter()
        .filter_map(|name| client::FOREIGN.iter().find(|client| client.name == *name))
        .collect();
    let answers = concurrently(&rows, 6, |row| cells(settings, row, &peers));
    let mut heads = vec!["fault", "wharf"];
    heads.extend(peers.iter().map(|client| client.name));
    let mut matrix = Matrix::new(&heads);
    for (row, answer) in rows.iter().zip(answers) {
        let (judged, shown) = match answer {
            Ok(answer) => answer,
            Err(failure) => (Err(failure), Vec::new()),
        };
        let own = match judged {
            Ok(text) => {
                tally.pass();
                text
            }
            Err(failure) => {
                tally.fail(&format!("outcomes / {}", row.name), &failure.to_string());
                "!!".to_owned()
            }
        };
        let mut line = vec![own];
        line.extend(shown);
        matrix.push(row.name, line);
    }
    matrix.print("how transfers end: exit status and seconds; `0 wrong` calls a file success that is not the one on the server");
    Ok(())
}

type Cells = (Result<String>, Vec<String>);

fn cells(settings: &Settings, row: &Row, peers: &[&Client]) -> Result<Cells> {
    let stage = Stage::in_topology(settings, "outcomes", PLAIN, Kind::Wharf)?;
    let source = stage.work.path().join("source.bin");
    payload::write(&source, SIZE)?;
    let content = fs::read(&source)?;
    let server = &stage.network.server;
    let own = Faulty::beside(server, row.fault, content.clone(), |faulty| {
        judge(&stage, row, &source, faulty)
    })?;
    let mut shown = Vec::new();
    for client in peers.iter().filter(|_| row.peers) {
        let cell = Faulty::beside(server, row.fault, content.clone(), |_| {
            peer(&stage, client, &source)
        })?;
        shown.push(cell.unwrap_or_else(|failure| failure.to_string()));
    }
    Ok((own, shown))
}

/// Runs wharf, and says whether it did what it has to.
fn judge(stage: &Stage, row: &Row, source: &Path, faulty: &Faulty<'_>) -> Result<String> {
    let work = stage.work.directory("wharf")?;
    let goal = work.join("file.bin");
    let host = stage.network.host();
    let limit = Duration::from_secs(row.within + 20);
    let (command, stored, _full) = match row.asks {
        Asks::Get(arguments) => (get(stage, &host, "file.bin", &goal, arguments), false, None),
        Asks::GetMissing => (get(stage, &host, "missing.bin", &goal, &[]), false, None),
        Asks::GetNowhere => {
            let nowhere = format!("{host}:2121");
            (get(stage, &nowhere, "file.bin", &goal, &[]), false, None)
        }
        Asks::GetToFullDisk => {
            let full = FullDisk::mount(&work)?;
            let segments: &[&str] = if row.name.ends_with("segments") {
                &["-n", "4"]
            } else {
                &[]
            };
            (
                get(stage, &host, "file.bin", &goal, segments),
                false,
                Some(full),
            )
        }
        Asks::Put(arguments) => {
            let mut command = wharf(stage, "put");
            command.args(arguments).arg(source);
            command.arg(format!("ftp://{USER}@{host}/up.bin"));
            (command, true, None)
        }
    };
    let outcome = run_bounded(command, b"", limit)?;
    let whole = if stored {
        faulty.stored("up.bin") == Some(fs::read(source)?)
    } else {
        payload::same(source, &goal).is_ok()
    };
    // Without another name the final one is written to, with what that brings.
    let in_place = matches!(row.asks, Asks::Put([]));
    let absent = if stored {
        in_place || faulty.stored("up.bin").is_none()
    } else {
        !goal.exists()
    };
    let wrong = |why: &str| Err(format!("{why}: {}", outcome.last_words()).into());
    if outcome.killed || outcome.code != Some(row.exit) {
        return wrong(&format!("expected exit {}", row.exit));
    }
    if row.exit == 0 && !whole {
        return wrong("success, and the file is not whole");
    }
    if row.exit != 0 && !absent {
        return wrong("something stands under the final name");
    }
    if outcome.elapsed > Duration::from_secs(row.within) {
        return wrong(&format!("took longer than {} s", row.within));
    }
    Ok(format!("{} {}", row.exit, seconds(outcome.elapsed)))
}

fn wharf(stage: &Stage, verb: &str) -> Command {
    let mut command = stage.client(&stage.wharf);
    command.args([verb, "--password-file"]).arg(&stage.secret);
    command
}

fn get(stage: &Stage, host: &str, remote: &str, goal: &Path, arguments: &[&str]) -> Command {
    let mut command = wharf(stage, "get");
    command.args(arguments);
    command.arg(format!("ftp://{USER}@{host}/{remote}"));
    command.arg("-o").arg(goal);
    command
}

/// How another client ends, and what it has left.
fn peer(stage: &Stage, client: &Client, source: &Path) -> Result<String> {
    let here = stage.work.directory(client.name)?;
    let local = here.join("file.bin");
    let shown = |path: &Path| path.to_string_lossy().into_owned();
    let job = Job {
        host: stage.network.host(),
        user: USER.to_owned(),
        password: PASSWORD.to_owned(),
        secret: shown(&stage.secret),
        remote: "file.bin".to_owned(),
        local: shown(&local),
        ..Job::default()
    };
    let passive = client.ways.iter().find(|way| matches!(way.name, "PASV"));
    let way = passive.or(client.ways.first()).ok_or("no way")?;
    let Some((arguments, input)) = client.get.fill(way, &job) else {
        return Ok("-".to_owned());
    };
    let mut command = stage.network.client.command(&arguments[0]);
    command.args(&arguments[1..]).current_dir(&here);
    isolate(&mut command, stage.work.path());
    let outcome: Outcome = run_bounded(command, input.as_bytes(), PEER_LIMIT)?;
    let exit = match (outcome.killed, outcome.code) {
        (true, _) => return Ok(format!(">{}s", PEER_LIMIT.as_secs())),
        (_, Some(code)) => code.to_string(),
        (_, None) => "signal".to_owned(),
    };
    let wrong = local.exists() && payload::same(source, &local).is_err();
    Ok(if exit == "0" && wrong {
        "0 wrong".to_owned()
    } else if exit == "0" && !local.exists() {
        "0 nothing".to_owned()
    } else {
        exit
    })
}

/// A file system with room for a quarter of the file.
struct FullDisk<'p>(&'p Path);

impl<'p> FullDisk<'p> {
    fn mount(at: &'p Path) -> Result<Self> {
        let mut command = Command::new("mount");
        command
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(at);
        must(command, b"")?;
        Ok(Self(at))
    }
}

impl Drop for FullDisk<'_> {
    fn drop(&mut self) {
        let mut command = Command::new("umount");
        command.arg("-l").arg(self.0);
        if let Err(failure) = must(command, b"") {
            eprintln!("note: {failure}");
        }
    }
}
