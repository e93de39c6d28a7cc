//! The article on the real kernel: every topology, every data mode, what arrives and how long it
//! takes; and that `auto` arrives wherever anything can.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::certificates::Certificates;
use crate::network::Network;
use crate::payload::{self, Workspace};
use crate::process::{Outcome, isolate, last_lines, run as run_bounded};
use crate::server::{self, Kind, PASSWORD, Place, Server, ServerPlan, Tls, USER};
use crate::stage::speak;
use crate::tally::{Matrix, Tally, concurrently, seconds};
use crate::topology::{Expected, Middlebox, POOLS, TOPOLOGIES, Topology};
use crate::{Result, Settings};

/// Patience told to the client for one attempt, so that hanging cells end.
const PATIENCE: Duration = Duration::from_secs(3);

/// Within this time `auto` has to arrive, or to say why nothing can.
const AUTO: Duration = Duration::from_secs(8);

/// No cell lasts longer.
const LIMIT: Duration = Duration::from_secs(14);

/// What curl is told.
const CURL_LIMIT: Duration = Duration::from_secs(5);

/// The article's client would wait for minutes.
const FTP_LIMIT: Duration = Duration::from_secs(4);

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

/// Who fills a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// wharf's client, told one way and its patience.
    Wharf,
    /// wharf's client, left to itself.
    Auto(Does),
    /// curl.
    Curl,
    /// lftp; its arguments are one, its commands.
    Lftp,
    /// GNU inetutils' `ftp`, the article's client: no fallback, no patience of its own, exit status 0
    /// whatever happens; passive, it takes the address in the 227 and refuses any but the server's.
    Ftp,
}

/// A column of the matrix: a client told to use one way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    name: &'static str,
    by: By,
    arguments: &'static [&'static str],
    expected: fn(&Topology) -> Expected,
}

const fn column(
    name: &'static str,
    by: By,
    arguments: &'static [&'static str],
    expected: fn(&Topology) -> Expected,
) -> Column {
    Column {
        name,
        by,
        arguments,
        expected,
    }
}

fn automatic(row: &Topology) -> Expected {
    if row.ways.any() || row.middlebox == Some(Middlebox::PortMapper) {
        Expected::Works
    } else {
        Expected::Fails
    }
}

/// wharf's client, told to be active, has a port mapped where a router does that; and where the server
/// refuses the address it goes on passively, and says so.
fn told_to_be_active(row: &Topology, way: Expected) -> Expected {
    match way {
        Expected::Misaddressed if row.middlebox == Some(Middlebox::PortMapper) => Expected::Works,
        Expected::Misaddressed if row.ways.epsv == Expected::Works => Expected::Works,
        Expected::Misaddressed => Expected::Fails,
        way => way,
    }
}

/// `--data-host reply` begins with the address in the 227 and goes on with the server's own.
fn reply_then_peer(row: &Topology) -> Expected {
    if [row.ways.reply, row.ways.pasv].contains(&Expected::Works) {
        Expected::Works
    } else {
        Expected::Fails
    }
}

const REPLY: &[&str] = &["--mode", "pasv", "--data-host", "reply"];

/// wharf's client in each mode.
const WHARF_WAYS: [Column; 8] = [
    column("epsv", By::Wharf, &["--mode", "epsv"], |row| row.ways.epsv),
    column("pasv", By::Wharf, &["--mode", "pasv"], |row| row.ways.pasv),
    column("pasv reply", By::Wharf, REPLY, reply_then_peer),
    column("port", By::Wharf, &["--mode", "port"], |row| {
        told_to_be_active(row, row.ways.port)
    }),
    column("eprt", By::Wharf, &["--mode", "eprt"], |row| {
        told_to_be_active(row, row.ways.eprt)
    }),
    column("auto get", By::Auto(Does::Get), &[], automatic),
    column("auto put", By::Auto(Does::Put), &[], automatic),
    column("auto ls", By::Auto(Does::List), &[], automatic),
];

/// Then the witnesses that are not ours.
static WHARF: &[Column] = &[
    WHARF_WAYS[0],
    WHARF_WAYS[1],
    WHARF_WAYS[2],
    WHARF_WAYS[3],
    WHARF_WAYS[4],
    WHARF_WAYS[5],
    WHARF_WAYS[6],
    WHARF_WAYS[7],
    FOREIGN[0],
    FOREIGN[1],
    FOREIGN[2],
    FOREIGN[3],
];

/// Over TLS the article's client is none: it knows no TLS.
static SECURED: &[Column] = &[
    WHARF_WAYS[0],
    WHARF_WAYS[1],
    WHARF_WAYS[2],
    WHARF_WAYS[3],
    WHARF_WAYS[4],
    WHARF_WAYS[5],
    WHARF_WAYS[6],
    WHARF_WAYS[7],
    SECURED_FOREIGN[0],
    SECURED_FOREIGN[1],
    SECURED_FOREIGN[2],
];

/// The witnesses over TLS. curl's active mode hangs there (curl#10666).
pub(crate) static SECURED_FOREIGN: &[Column; 3] = &[
    FOREIGN[0],
    column(
        "lftp passive",
        By::Lftp,
        &["set ftp:passive-mode on; set ftp:prefer-epsv on"],
        |row| row.ways.epsv,
    ),
    column(
        "lftp active",
        By::Lftp,
        &["set ftp:passive-mode off"],
        |row| {
            if row.ipv6 {
                row.ways.eprt
            } else {
                row.ways.port
            }
        },
    ),
];

/// curl passive (EPSV, then PASV) and active (EPRT, then PORT); the article's `ftp -p` and `ftp`.
pub(crate) static FOREIGN: &[Column; 4] = &[
    column("curl passive", By::Curl, &[], |row| row.ways.epsv),
    column("curl active", By::Curl, &["-P", "-"], |row| row.ways.eprt),
    column("ftp -p", By::Ftp, &["-p"], |row| {
        if row.ipv6 {
            row.ways.epsv
        } else {
            row.ways.reply
        }
    }),
    column("ftp", By::Ftp, &[], |row| {
        if row.ipv6 {
            row.ways.eprt
        } else {
            row.ways.port
        }
    }),
];

/// wharf's server and client in every topology.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    print(
        settings,
        tally,
        Kind::Wharf,
        WHARF,
        "topologies x data modes, wharf with wharf",
        false,
    )
}

/// The same over TLS, which no helper on the way can read, and where a data connection may come from anywhere.
pub(crate) fn secured(settings: &Settings, tally: &Tally) -> Result<()> {
    print(
        settings,
        tally,
        Kind::Wharf,
        SECURED,
        "topologies x data modes over TLS, wharf with wharf",
        true,
    )
}

/// Fills and prints the matrix of a server with some columns.
pub(crate) fn print(
    settings: &Settings,
    tally: &Tally,
    kind: Kind,
    columns: &[Column],
    title: &str,
    secured: bool,
) -> Result<()> {
    // A server that goes by addresses works there at times: which one a connection gets is chance.
    let pools = if secured && kind == Kind::Wharf {
        POOLS
    } else {
        &[]
    };
    let rows: Vec<Topology> = TOPOLOGIES
        .iter()
        .chain(pools)
        .filter(|row| settings.wants(row.name))
        // With a foreign server it is shown that helpers are blind, no more.
        .filter(|row| !secured || kind == Kind::Wharf || row.blind.is_some())
        .map(|row| match kind {
            _ if secured => row.over_tls(kind == Kind::Wharf),
            Kind::Wharf => *row,
            _ => row.for_foreign(),
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let work = Workspace::create("topologies", false)?;
    let payload = work.path().join("payload.bin");
    payload::write(&payload, payload::SMALL)?;
    fs::write(work.path().join("secret"), PASSWORD)?;
    let certificates = if secured {
        Some(Certificates::make(&work.path().join("certificates"))?)
    } else {
        None
    };
    let certificates = certificates.as_ref();
    let answers = concurrently(&rows, 8, |row| {
        fill(settings, kind, columns, row, &work, &payload, certificates)
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
    certificates: Option<&'a Certificates>,
}

fn fill(
    settings: &Settings,
    kind: Kind,
    columns: &[Column],
    row: &Topology,
    work: &Workspace,
    payload: &Path,
    certificates: Option<&Certificates>,
) -> Result<Vec<Cell>> {
    let directory = work.directory(row.name)?;
    let root = work.directory(&format!("{}/root", row.name))?;
    fs::hard_link(payload, root.join("payload.bin"))?;
    let network = Network::build(row)?;
    // What a data mode comes to, not what the server may do about it: that is the part `one-port`.
    let further = [row.wharf, &["--one-port", "off"]].concat();
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
            further: &further,
            lines: &[],
            tls: certificates.map(Tls::explicit),
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
        certificates,
    };
    let numbered: Vec<(usize, &Column)> = columns.iter().enumerate().collect();
    // A slow topology costs waiting, not work.
    let workers = if row.takes.is_zero() {
        4
    } else {
        columns.len()
    };
    Ok(concurrently(&numbered, workers, |(number, column)| {
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
        let arrived = self.arrived(column, &local, &outcome);
        let takes = self.row.takes;
        // The article's client says nothing with its exit status; that it ends tells that it heard 226.
        let ended =
            outcome.succeeded() || (column.by == By::Ftp && (takes.is_zero() || !outcome.killed));
        let works = arrived.is_ok() && ended;
        let elapsed = outcome.elapsed;
        let auto = matches!(column.by, By::Auto(_));
        let mut fault = match ((column.expected)(self.row), arrived) {
            (Expected::Works, _) if works => {
                (auto && elapsed > AUTO + takes).then(|| format!("took {}", seconds(elapsed)))
            }
            (Expected::Works, Ok(())) => Some(outcome.last_words()),
            (Expected::Works, Err(why)) => Some(format!("{why}; {}", outcome.last_words())),
            _ if works => Some("worked, and must not".to_owned()),
            (expected, _) => self.wrong_failure(column, expected, &local, &outcome),
        };
        if let Some(fault) = &mut fault {
            let dialogue = fs::read_to_string(trace_of(&local)).unwrap_or_default();
            fault.push_str("; ");
            fault.push_str(&last_lines(&dialogue, 12));
        }
        Ok(Cell {
            verdict: if works { "ok" } else { "no" },
            elapsed,
            fault,
        })
    }

    /// What is wrong with the way in which something failed that has to fail.
    fn wrong_failure(
        &self,
        column: &Column,
        expected: Expected,
        local: &Path,
        outcome: &Outcome,
    ) -> Option<String> {
        let elapsed = outcome.elapsed;
        let ours = matches!(column.by, By::Wharf | By::Auto(_));
        if ours && outcome.killed {
            return Some("did not end by itself".to_owned());
        }
        if column.by == By::Auto(Does::Put) && self.root.join(name_of(local)).exists() {
            return Some("failed, and left a file on the server".to_owned());
        }
        if column.by != By::Auto(Does::Put) && ours && local.exists() {
            return Some("failed, and left a file under the final name".to_owned());
        }
        if matches!(column.by, By::Auto(_)) && elapsed > AUTO + self.row.takes {
            return Some(format!(
                "took {:.2} s to say that nothing works",
                elapsed.as_secs_f64()
            ));
        }
        if ours && outcome.stderr.is_empty() {
            return Some("failed without a word".to_owned());
        }
        match expected {
            Expected::Refused | Expected::Misaddressed if elapsed > AT_ONCE => Some(format!(
                "took {}: {}",
                seconds(elapsed),
                outcome.last_words()
            )),
            Expected::Silent if elapsed < NOT_AT_ONCE => {
                Some(format!("gave up too soon: {}", outcome.last_words()))
            }
            _ => None,
        }
    }

    fn operate(&self, column: &Column, local: &Path) -> Result<Outcome> {
        let host = self.network.host();
        let takes = self.row.takes;
        let in_client = |program: &Path| {
            let mut command = self.network.client.command(program);
            command.current_dir(&self.directory);
            isolate(&mut command, &self.directory);
            speak(&mut command, self.certificates);
            command
        };
        let does = match column.by {
            By::Curl => {
                let mut command = in_client(Path::new("curl"));
                let longest = (CURL_LIMIT + takes).as_secs().to_string();
                command.args([
                    "-sS",
                    "-g",
                    "--connect-timeout",
                    "3",
                    "--max-time",
                    &longest,
                ]);
                if let Some(certificates) = self.certificates {
                    command.arg("--ssl-reqd").arg("--cacert");
                    command.arg(&certificates.authority);
                }
                command.args(column.arguments).arg("-o").arg(local);
                command.arg("-u").arg(format!("{USER}:{PASSWORD}"));
                command.arg(format!("ftp://{host}/payload.bin"));
                return run_bounded(command, b"", LIMIT + takes);
            }
            By::Lftp => {
                let mut command = in_client(Path::new("lftp"));
                let authority = self
                    .certificates
                    .map(|files| files.authority.display().to_string());
                let commands = format!(
                    "{}; set net:timeout 3; set net:max-retries 1; set ftp:auto-passive-mode off; set ftp:ssl-force on; \
                     set ftp:ssl-protect-data on; set ssl:ca-file {}; set ssl:verify-certificate on; \
                     open -u {USER},{PASSWORD} ftp://{host}; get payload.bin -o {}",
                    column.arguments.join("; "),
                    authority.unwrap_or_default(),
                    local.display(),
                );
                command.args(["--norc", "-c", &commands]);
                return run_bounded(command, b"", CURL_LIMIT + takes);
            }
            By::Ftp => {
                let mut command = in_client(Path::new("inetutils-ftp"));
                command.args(["-n", "-i", "-v"]).args(column.arguments);
                command.arg(self.network.dial.to_string());
                let (user, local) = (format!("user {USER} {PASSWORD}"), local.display());
                let input = format!("{user}\nbinary\nget payload.bin {local}\nquit\n");
                return run_bounded(command, input.as_bytes(), FTP_LIMIT + takes);
            }
            By::Wharf => Does::Get,
            By::Auto(does) => does,
        };
        let mut command = in_client(&self.settings.wharf);
        command.arg(match does {
            Does::Get => "get",
            Does::Put => "put",
            Does::List => "ls",
        });
        command
            .args(column.arguments)
            .arg("--password-file")
            .arg(&self.secret);
        if column.by == By::Wharf {
            command.args(["--data-timeout", &format!("{}s", PATIENCE.as_secs())]);
        }
        let url = format!("ftp://{USER}@{host}/");
        match does {
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
        command.env("WHARF_TRACE", trace_of(local));
        run_bounded(command, b"", LIMIT + takes)
    }

    /// Whether the bytes are where they were to go.
    fn arrived(&self, column: &Column, local: &Path, outcome: &Outcome) -> Result<()> {
        match column.by {
            By::Auto(Does::Put) => payload::same(self.payload, &self.root.join(name_of(local))),
            By::Auto(Does::List) => {
                if String::from_utf8_lossy(&outcome.stdout).contains("payload.bin") {
                    Ok(())
                } else {
                    Err("the listing lacks payload.bin".into())
                }
            }
            _ => payload::same(self.payload, local),
        }
    }
}

/// Where a cell's dialogue is kept, for the message when it is wrong.
fn trace_of(local: &Path) -> PathBuf {
    local.with_extension("trace")
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
