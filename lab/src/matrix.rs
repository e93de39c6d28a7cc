//! The article on the real kernel: every topology, every data mode, what arrives and how long it
//! takes; and that `auto` arrives wherever anything can.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::network::Network;
use crate::payload::{self, Workspace};
use crate::process::{Outcome, isolate, run as run_bounded};
use crate::server::{self, Kind, PASSWORD, Place, Server, ServerPlan, USER};
use crate::tally::{Matrix, Tally, concurrently, seconds};
use crate::topology::{Expected, TOPOLOGIES, Topology};
use crate::{Result, Settings};

/// Patience told to the client for one attempt, so that hanging cells end.
const PATIENCE: Duration = Duration::from_secs(3);

/// Within this time `auto` has to arrive, or to say why nothing can.
const AUTO: Duration = Duration::from_secs(8);

/// No cell lasts longer.
const LIMIT: Duration = Duration::from_secs(14);

/// A refusal that takes longer than this is not one.
const AT_ONCE: Duration = Duration::from_millis(2800);

/// Silence that is noticed sooner than this was none.
const NOT_AT_ONCE: Duration = Duration::from_secs(1);

/// What a column does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Get,
    Put,
    List,
}

/// A column of the matrix: a client told to use one way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    name: &'static str,
    does: Does,
    /// Arguments of `wharf`, or of `curl` if they begin with that word.
    arguments: &'static [&'static str],
    expected: fn(&Topology) -> Expected,
    auto: bool,
}

impl Column {
    fn is_curl(&self) -> bool {
        self.arguments.first() == Some(&"curl")
    }
}

const fn mode(
    name: &'static str,
    arguments: &'static [&'static str],
    expected: fn(&Topology) -> Expected,
) -> Column {
    Column {
        name,
        does: Does::Get,
        arguments,
        expected,
        auto: false,
    }
}

fn automatic(row: &Topology) -> Expected {
    if row.ways.any() {
        Expected::Works
    } else {
        Expected::Fails
    }
}

/// wharf's client in each mode, then curl as a witness that is not ours.
pub(crate) static WHARF: &[Column] = &[
    mode("epsv", &["--mode", "epsv"], |row| row.ways.epsv),
    mode("pasv", &["--mode", "pasv"], |row| row.ways.pasv),
    mode(
        "pasv reply",
        &["--mode", "pasv", "--data-host", "reply"],
        |row| row.ways.reply,
    ),
    mode("port", &["--mode", "port"], |row| row.ways.port),
    mode("eprt", &["--mode", "eprt"], |row| row.ways.eprt),
    Column {
        name: "auto get",
        does: Does::Get,
        arguments: &["--mode", "auto"],
        expected: automatic,
        auto: true,
    },
    Column {
        name: "auto put",
        does: Does::Put,
        arguments: &["--mode", "auto"],
        expected: automatic,
        auto: true,
    },
    Column {
        name: "auto ls",
        does: Does::List,
        arguments: &["--mode", "auto"],
        expected: automatic,
        auto: true,
    },
    CURL[0],
    CURL[1],
];

/// curl passive (EPSV, then PASV) and active (EPRT, then PORT).
pub(crate) static CURL: &[Column; 2] = &[
    mode("curl passive", &["curl"], |row| row.ways.epsv),
    mode("curl active", &["curl", "-P", "-"], |row| row.ways.eprt),
];

/// wharf's server and client in every topology.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    print(
        settings,
        tally,
        Kind::Wharf,
        WHARF,
        "topologies x data modes, wharf with wharf",
    )
}

/// Fills and prints the matrix of a server with some columns.
pub(crate) fn print(
    settings: &Settings,
    tally: &Tally,
    kind: Kind,
    columns: &[Column],
    title: &str,
) -> Result<()> {
    let rows: Vec<&Topology> = TOPOLOGIES
        .iter()
        .filter(|row| settings.wants(row.name))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let work = Workspace::create("topologies", false)?;
    let payload = work.path().join("payload.bin");
    payload::write(&payload, 300_000)?;
    fs::write(work.path().join("secret"), PASSWORD)?;
    let answers = concurrently(&rows, 4, |row| {
        fill(settings, kind, columns, row, &work, &payload)
    });
    let mut heads = vec!["topology"];
    heads.extend(columns.iter().map(|column| column.name));
    let mut matrix = Matrix::new(&heads);
    for (row, answer) in rows.iter().zip(answers) {
        let cells = match answer {
            Ok(cells) => cells,
            Err(failure) => {
                tally.fail(row.name, &failure.to_string());
                matrix.push(row.name, vec!["?".to_owned(); columns.len()]);
                continue;
            }
        };
        let mut shown = Vec::new();
        for (column, cell) in columns.iter().zip(cells) {
            let mark = match &cell.fault {
                None => {
                    tally.pass();
                    ""
                }
                Some(fault) => {
                    tally.fail(&format!("{} / {}", row.name, column.name), fault);
                    " !!"
                }
            };
            shown.push(format!("{} {}{mark}", cell.verdict, seconds(cell.elapsed)));
        }
        matrix.push(row.name, shown);
    }
    matrix.print(&format!(
        "{title} (ok: arrived, no: did not; seconds; !! not what must be)"
    ));
    Ok(())
}

/// A filled cell.
struct Cell {
    verdict: &'static str,
    elapsed: Duration,
    /// Why this is not what must be.
    fault: Option<String>,
}

/// One topology with its server; the cells run four at a time.
struct Scene<'a> {
    settings: &'a Settings,
    row: &'a Topology,
    network: Network,
    _server: Server,
    directory: PathBuf,
    root: PathBuf,
    secret: PathBuf,
    payload: &'a Path,
}

fn fill(
    settings: &Settings,
    kind: Kind,
    columns: &[Column],
    row: &Topology,
    work: &Workspace,
    payload: &Path,
) -> Result<Vec<Cell>> {
    let directory = work.directory(row.name)?;
    let root = work.directory(&format!("{}/root", row.name))?;
    fs::hard_link(payload, root.join("payload.bin"))?;
    let network = Network::build(row)?;
    let server = server::start(
        kind,
        Place::Namespace(&network.server),
        &ServerPlan {
            wharf: &settings.wharf,
            directory: &root,
            work: &work.directory(&format!("{}/server", row.name))?,
            port: 21,
            user: USER,
            password: PASSWORD,
            passive: row.passive,
            advertise: row.advertise,
            max_sessions: 0,
        },
    )?;
    let secret = work.path().join("secret");
    let place = Scene {
        settings,
        row,
        network,
        _server: server,
        directory,
        root,
        secret,
        payload,
    };
    let numbered: Vec<(usize, &Column)> = columns.iter().enumerate().collect();
    Ok(concurrently(&numbered, 4, |(number, column)| {
        place.cell(*number, column).unwrap_or_else(|failure| Cell {
            verdict: "?",
            elapsed: Duration::ZERO,
            fault: Some(failure.to_string()),
        })
    }))
}

impl Scene<'_> {
    fn cell(&self, number: usize, column: &Column) -> Result<Cell> {
        let local = self.directory.join(format!("cell-{number}.bin"));
        let outcome = self.operate(column, &local)?;
        let arrived = outcome.succeeded() && self.arrived(column, &local, &outcome).is_ok();
        let expected = (column.expected)(self.row);
        let elapsed = outcome.elapsed;
        let fault = match expected {
            Expected::Works if !outcome.succeeded() => Some(outcome.last_words()),
            Expected::Works => match self.arrived(column, &local, &outcome) {
                Err(why) => Some(why.to_string()),
                Ok(()) if column.auto && elapsed > AUTO => {
                    Some(format!("took {}", seconds(elapsed)))
                }
                Ok(()) => None,
            },
            _ if outcome.succeeded() => Some("worked, and must not".to_owned()),
            _ if outcome.killed => Some("did not end by itself".to_owned()),
            _ if column.auto && elapsed > AUTO => Some(format!(
                "took {} to say that nothing works",
                seconds(elapsed)
            )),
            _ if outcome.stderr.is_empty() => Some("failed without a word".to_owned()),
            _ if column.does == Does::Get && local.exists() && !column.is_curl() => {
                Some("failed, and left a file under the final name".to_owned())
            }
            Expected::Refused if elapsed > AT_ONCE => Some(format!(
                "took {}: {}",
                seconds(elapsed),
                outcome.last_words()
            )),
            Expected::Silent if elapsed < NOT_AT_ONCE => {
                Some(format!("gave up too soon: {}", outcome.last_words()))
            }
            _ => None,
        };
        Ok(Cell {
            verdict: if arrived { "ok" } else { "no" },
            elapsed,
            fault,
        })
    }

    fn operate(&self, column: &Column, local: &Path) -> Result<Outcome> {
        let host = self.network.host();
        let mut command = if column.is_curl() {
            let mut command = self.network.client.command("curl");
            command.args(["-sS", "-g", "--connect-timeout", "3", "--max-time", "5"]);
            command.args(&column.arguments[1..]).arg("-o").arg(local);
            command.arg("-u").arg(format!("{USER}:{PASSWORD}"));
            command.arg(format!("ftp://{host}/payload.bin"));
            command
        } else {
            let mut command = self.network.client.command(&self.settings.wharf);
            command.arg(match column.does {
                Does::Get => "get",
                Does::Put => "put",
                Does::List => "ls",
            });
            command
                .args(column.arguments)
                .arg("--password-file")
                .arg(&self.secret);
            if !column.auto {
                command.args(["--data-timeout", &format!("{}s", PATIENCE.as_secs())]);
            }
            let url = format!("ftp://{USER}@{host}/");
            match column.does {
                Does::Get => command
                    .arg(format!("{url}payload.bin"))
                    .arg("-o")
                    .arg(local),
                Does::Put => {
                    fs::hard_link(self.payload, local)?;
                    command.arg(local).arg(url)
                }
                Does::List => command.arg(url),
            };
            command
        };
        command.current_dir(&self.directory);
        isolate(&mut command, &self.directory);
        run_bounded(command, b"", LIMIT)
    }

    /// Whether the bytes are where they were to go.
    fn arrived(&self, column: &Column, local: &Path, outcome: &Outcome) -> Result<()> {
        match column.does {
            Does::Get => payload::same(self.payload, local),
            Does::Put => {
                let name = local.file_name().ok_or("the cell's file has no name")?;
                payload::same(self.payload, &self.root.join(name))
            }
            Does::List if String::from_utf8_lossy(&outcome.stdout).contains("payload.bin") => {
                Ok(())
            }
            Does::List => Err("the listing lacks payload.bin".into()),
        }
    }
}
