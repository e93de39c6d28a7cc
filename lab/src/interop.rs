//! Programs against programs, in a network that hinders nobody: every foreign client with wharf's
//! server, wharf's client with every foreign server. Listing, download and upload, every data mode,
//! both families, bytes compared.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::client::{self, Client, Family, Job, Recipe, Way};
use crate::network::Network;
use crate::payload::{self, Workspace};
use crate::process::{isolate, last_lines, run as run_bounded};
use crate::server::{self, Kind, PASSWORD, Place, Server, ServerPlan, USER};
use crate::tally::{Matrix, Tally, concurrently, seconds};
use crate::{Result, Settings, topology};

/// The sizes that cross, as the columns have them; the last is the large one.
const SIZES: [(&str, u64); 3] = [("0 B", 0), ("1 B", 1), ("8 MiB", 8 << 20)];
const FULL: (&str, u64) = ("1 GiB", 1 << 30);

/// One client in one way: a row of the matrix.
struct Row {
    client: &'static Client,
    way: &'static Way,
    number: usize,
}

impl Row {
    fn name(&self) -> String {
        let family = if self.way.family == Family::V6 {
            "IPv6"
        } else {
            "IPv4"
        };
        format!("{} {} {family}", self.client.name, self.way.name)
    }
}

/// The foreign clients with wharf's server, then wharf's client with the foreign servers.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    meet(
        settings,
        tally,
        Kind::Wharf,
        client::FOREIGN,
        "foreign clients with wharf serve",
    )?;
    for kind in server::FOREIGN {
        let title = format!("wharf's client with {}", kind.name());
        meet(
            settings,
            tally,
            kind,
            std::slice::from_ref(&client::WHARF),
            &title,
        )?;
    }
    Ok(())
}

/// Everything that one meeting of a server with some clients needs.
struct Ground<'a> {
    settings: &'a Settings,
    network: Network,
    _server: Server,
    work: Workspace,
    root: PathBuf,
    payloads: Vec<(&'static str, PathBuf)>,
    limit: Duration,
}

/// Every way of some clients with one server, as a matrix.
pub(crate) fn meet(
    settings: &Settings,
    tally: &Tally,
    kind: Kind,
    clients: &'static [Client],
    title: &str,
) -> Result<()> {
    let rows: Vec<Row> = clients
        .iter()
        .flat_map(|client| client.ways.iter().map(move |way| (client, way)))
        .enumerate()
        .map(|(number, (client, way))| Row {
            client,
            way,
            number,
        })
        .filter(|row| settings.wants(&format!("{} {}", row.name(), kind.name())))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let ground = Ground::prepare(settings, kind)?;
    let sizes: Vec<&str> = ground.payloads.iter().map(|payload| payload.0).collect();
    let mut columns = vec!["client".to_owned(), "list".to_owned()];
    columns.extend(sizes.iter().map(|size| format!("get {size}")));
    columns.extend(sizes.iter().map(|size| format!("put {size}")));
    // Large files are in memory several times over: one row at a time then.
    // pyftpdlib 2.2.0 loses sessions when active and passive ones overlap (curl hangs on it as well).
    let workers = if settings.full || kind == Kind::Pyftpdlib {
        1
    } else {
        3
    };
    let answers = concurrently(&rows, workers, |row| ground.row(row));
    let mut matrix = Matrix::new(&columns.iter().map(String::as_str).collect::<Vec<_>>());
    let mut reasons = Vec::new();
    for (row, cells) in rows.iter().zip(answers) {
        let name = row.name();
        let mut shown = Vec::new();
        for (column, cell) in columns.iter().skip(1).zip(cells) {
            match cell {
                Cell::Works(elapsed) => {
                    tally.pass();
                    shown.push(seconds(elapsed));
                }
                Cell::Fails(why) => {
                    tally.fail(&format!("{} / {name} / {column}", kind.name()), &why);
                    shown.push("FAIL".to_owned());
                }
                Cell::Cannot(reason) => {
                    reasons.push(reason);
                    shown.push("-".to_owned());
                }
            }
        }
        matrix.push(&name, shown);
    }
    matrix.print(&format!("{title} (seconds; - the client cannot)"));
    reasons.sort_unstable();
    reasons.dedup();
    for reason in reasons {
        eprintln!("note: - {reason}");
    }
    Ok(())
}

enum Cell {
    Works(Duration),
    Fails(String),
    Cannot(&'static str),
}

impl<'a> Ground<'a> {
    fn prepare(settings: &'a Settings, kind: Kind) -> Result<Self> {
        let work = Workspace::create(kind.name(), settings.full)?;
        let root = work.directory("root")?;
        let source = work.directory("source")?;
        let mut sizes = SIZES;
        if settings.full {
            sizes[2] = FULL;
        }
        let mut payloads = Vec::new();
        for ((label, size), name) in sizes.iter().zip(["zero.bin", "one.bin", "large.bin"]) {
            let path = source.join(name);
            payload::write(&path, *size)?;
            fs::hard_link(&path, root.join(name))?;
            payloads.push((*label, path));
        }
        fs::write(work.path().join("secret"), PASSWORD)?;
        let network = Network::build(&topology::PLAIN)?;
        let server = server::start(
            kind,
            Place::Namespace(&network.server),
            &ServerPlan {
                wharf: &settings.wharf,
                directory: &root,
                work: &work.directory("server")?,
                port: 21,
                user: USER,
                password: PASSWORD,
                passive: topology::RANGE,
                advertise: None,
                max_sessions: 0,
                further: &[],
                lines: &[],
                tls: None,
            },
        )?;
        let limit = Duration::from_secs(if settings.full { 180 } else { 30 });
        Ok(Self {
            settings,
            network,
            _server: server,
            work,
            root,
            payloads,
            limit,
        })
    }

    fn row(&self, row: &Row) -> Vec<Cell> {
        let mut cells = vec![self.cell(row, &row.client.list, None, |ground, said| {
            let said = String::from_utf8_lossy(said);
            let missing = ground
                .payloads
                .iter()
                .find(|(_, path)| !said.contains(&*name_of(path)));
            missing.map_or(Ok(()), |(_, path)| {
                Err(format!("the listing lacks {}", name_of(path)).into())
            })
        })];
        for (_, payload) in &self.payloads {
            let local = self
                .work
                .path()
                .join(format!("got-{}-{}", row.number, name_of(payload)));
            let job = Some((name_of(payload), local.clone()));
            cells.push(self.cell(row, &row.client.get, job, |_, _| {
                payload::same(payload, &local)
            }));
            let _ = fs::remove_file(&local);
        }
        for (_, payload) in &self.payloads {
            let name = format!("put-{}-{}", row.number, name_of(payload));
            let local = self.work.path().join(&name);
            let stored = self.root.join(&name);
            let job = Some((name, local.clone()));
            if let Err(error) = fs::hard_link(payload, &local) {
                cells.push(Cell::Fails(error.to_string()));
                continue;
            }
            cells.push(self.cell(row, &row.client.put, job, |_, _| {
                payload::same(payload, &stored)
            }));
            let _ = fs::remove_file(&local);
            let _ = fs::remove_file(&stored);
        }
        cells
    }

    /// Does one operation and judges it; `job` is the remote name and the local path.
    fn cell(
        &self,
        row: &Row,
        recipe: &Recipe,
        job: Option<(String, PathBuf)>,
        judge: impl FnOnce(&Self, &[u8]) -> Result<()>,
    ) -> Cell {
        if let Some(reason) = recipe.reason(row.way) {
            return Cell::Cannot(reason);
        }
        let (remote, local) = job.unwrap_or_default();
        let host = match row.way.family {
            Family::V4 => topology::SERVER.to_string(),
            Family::V6 => format!("[{}]", topology::SERVER_V6),
        };
        let job = Job {
            host,
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
            secret: self
                .work
                .path()
                .join("secret")
                .to_string_lossy()
                .into_owned(),
            remote,
            local: local.to_string_lossy().into_owned(),
            wharf: self.settings.wharf.to_string_lossy().into_owned(),
            authority: String::new(),
        };
        let Some((arguments, input)) = recipe.fill(row.way, &job) else {
            return Cell::Fails("the recipe has nothing to run".to_owned());
        };
        // A directory of its own: rows run side by side, and wget keeps its `.listing` where it stands.
        let stand = match self.work.directory(&format!("row-{}", row.number)) {
            Ok(stand) => stand,
            Err(error) => return Cell::Fails(error.to_string()),
        };
        let mut command = self.network.client.command(&arguments[0]);
        command.args(&arguments[1..]).current_dir(stand);
        isolate(&mut command, self.work.path());
        let trace = self.work.path().join(format!("trace-{}", row.number));
        let _ = fs::remove_file(&trace);
        command.env("WHARF_TRACE", &trace);
        let outcome = match run_bounded(command, input.as_bytes(), self.limit) {
            Ok(outcome) => outcome,
            Err(error) => return Cell::Fails(error.to_string()),
        };
        if !outcome.succeeded() {
            let dialogue = fs::read_to_string(&trace).unwrap_or_default();
            return Cell::Fails(format!(
                "{} {}",
                outcome.last_words(),
                last_lines(&dialogue, 8)
            ));
        }
        match judge(self, &outcome.stdout) {
            Ok(()) => Cell::Works(outcome.elapsed),
            Err(why) => Cell::Fails(format!("{why} ({})", outcome.last_words())),
        }
    }
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
