//! `wharf mirror` with five servers, both ways: identical trees, also after it was killed, with fewer sessions than jobs,
//! and in every time zone nothing to do in the second run.

mod tree;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::namespace::Namespace;
use crate::payload::{Random, Workspace};
use crate::process::{Outcome, isolate, run as run_bounded};
use crate::server::{self, Kind, PASSWORD, Place, Server, ServerPlan, USER};
use crate::tally::{Tally, concurrently, seconds};
use crate::{Result, Settings};

use tree::{Size, Tree, Unlike};

const KINDS: [Kind; 5] = [
    Kind::Wharf,
    Kind::Vsftpd,
    Kind::ProFtpd,
    Kind::PureFtpd,
    Kind::Pyftpdlib,
];

/// Nothing takes longer, ten thousand files on a loaded machine included.
const LIMIT: Duration = Duration::from_mins(15);

/// As POSIX writes them, so that no table of zones is needed.
const ZONES: [&str; 6] = [
    "UTC0",
    "NST3:30",
    "IST-5:30",
    "NZST-12NZDT,M9.5.0,M4.1.0/3",
    "PST8PDT,M3.2.0,M11.1.0",
    "LINT-14",
];

/// Mirrors.
#[expect(clippy::unnecessary_wraps, reason = "as every part")]
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let size = if settings.full {
        Size {
            directories: 500,
            files: 10_000,
            kills: 20,
        }
    } else {
        Size {
            directories: 20,
            files: 240,
            kills: 4,
        }
    };
    println!(
        "\nwharf mirror: {} files in {} directories with hostile names, {} kills",
        size.files, size.directories, size.kills
    );
    let mut rows: Vec<(String, Row)> = Vec::new();
    for kind in KINDS {
        rows.push((
            format!("mirror both ways, {}", kind.name()),
            Row::BothWays(kind),
        ));
        rows.push((format!("mirror killed, {}", kind.name()), Row::Killed(kind)));
        // Pure-FTPd is started with fifty sessions at least.
        if kind != Kind::PureFtpd {
            rows.push((
                format!("mirror -j 8 with three sessions, {}", kind.name()),
                Row::ThreeSessions(kind),
            ));
        }
        if settings.full || matches!(kind, Kind::Wharf | Kind::Vsftpd) {
            rows.push((
                format!("mirror in six time zones, {}", kind.name()),
                Row::Zones(kind),
            ));
        }
    }
    rows.retain(|(name, _)| settings.wants(name));
    let done = concurrently(&rows, 3, |(name, row)| {
        let began = Instant::now();
        let result = match *row {
            Row::BothWays(kind) => both_ways(settings, kind, &size),
            Row::Killed(kind) => killed(settings, kind, &size),
            Row::ThreeSessions(kind) => three_sessions(settings, kind),
            Row::Zones(kind) => zones(settings, kind),
        };
        (
            name.clone(),
            result.map(|note| format!("{note} ({})", seconds(began.elapsed()))),
        )
    });
    for (name, result) in done {
        tally.check(&name, result);
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Row {
    BothWays(Kind),
    Killed(Kind),
    ThreeSessions(Kind),
    Zones(Kind),
}

/// A server and a client beside it.
struct Scene {
    /// Last to go, with all that runs in it.
    _server: Server,
    namespace: Namespace,
    work: Workspace,
    /// The server's files.
    root: PathBuf,
    wharf: PathBuf,
}

impl Scene {
    fn build(
        settings: &Settings,
        kind: Kind,
        sessions: u32,
        zone: Option<&str>,
        lines: &[&str],
    ) -> Result<Self> {
        let work = Workspace::create("mirror", false)?;
        let root = work.directory("root")?;
        let namespace = Namespace::create("mirror")?;
        let plan = ServerPlan {
            wharf: &settings.wharf,
            directory: &root,
            work: &work.directory("server")?,
            port: 21,
            user: USER,
            password: PASSWORD,
            passive: (40_000, 40_999),
            advertise: None,
            max_sessions: sessions,
            further: &[],
            lines,
            tls: None,
        };
        let server = server::start_in_zone(kind, Place::Namespace(&namespace), &plan, zone)?;
        Ok(Self {
            _server: server,
            namespace,
            root,
            wharf: settings.wharf.clone(),
            work,
        })
    }

    fn url(name: &str) -> String {
        format!("ftp://{USER}:{PASSWORD}@127.0.0.1/{name}/")
    }

    fn mirror(
        &self,
        source: &str,
        destination: &str,
        flags: &[&str],
        zone: Option<&str>,
    ) -> Command {
        let mut command = self.namespace.command(&self.wharf);
        command.args(["mirror", source, destination, "--any-names"]);
        command.args(flags).current_dir(self.work.path());
        isolate(&mut command, self.work.path());
        command.env("WHARF_QUIET", "1");
        if let Some(zone) = zone {
            command.env("TZ", zone);
        }
        command
    }

    /// A mirror that has to succeed.
    fn must(
        &self,
        source: &str,
        destination: &str,
        flags: &[&str],
        zone: Option<&str>,
    ) -> Result<Outcome> {
        let outcome = run_bounded(self.mirror(source, destination, flags, zone), b"", LIMIT)?;
        if outcome.succeeded() {
            return Ok(outcome);
        }
        Err(format!(
            "{} {source} {destination}: {}",
            flags.join(" "),
            outcome.last_words()
        )
        .into())
    }

    /// Nothing differs, as the program itself says.
    fn unchanged(&self, source: &str, destination: &str, zone: Option<&str>) -> Result<()> {
        let flags = ["--check", "-j4", "--delete"];
        let mut command = self.mirror(source, destination, &flags, zone);
        // With -q the plan would not be printed.
        command.env("WHARF_QUIET", "0");
        let outcome = run_bounded(command, b"", LIMIT)?;
        if outcome.succeeded() {
            return Ok(());
        }
        let plan = String::from_utf8_lossy(&outcome.stdout).into_owned();
        let first: Vec<&str> = plan.lines().take(3).collect();
        Err(format!(
            "the second run {source} {destination} has something to do: {} {}",
            outcome.last_words(),
            first.join(" / ")
        )
        .into())
    }

    /// A directory of this machine, by name.
    fn local(&self, name: &str) -> Result<String> {
        Ok(self.work.directory(name)?.to_string_lossy().into_owned())
    }

    fn served(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

/// There and back, and nothing to do afterwards.
fn both_ways(settings: &Settings, kind: Kind, size: &Size) -> Result<String> {
    let scene = Scene::build(settings, kind, 0, None, &[])?;
    let (source, back) = (scene.local("source")?, scene.local("back")?);
    let tree = Tree::plant(Path::new(&source), kind, size)?;
    let there = Scene::url("deep/up");
    let began = Instant::now();
    scene.must(&source, &there, &["-j4"], None)?;
    let up = began.elapsed();
    tree.must_be(&scene.served("deep/up"), Unlike::ToTheSecond)?;
    scene.unchanged(&source, &there, None)?;
    let began = Instant::now();
    scene.must(&there, &back, &["-j4"], None)?;
    let down = began.elapsed();
    tree.must_be(Path::new(&back), Unlike::ToTheSecond)?;
    scene.unchanged(&there, &back, None)?;
    // What is gone at one end goes at the other.
    fs::remove_dir_all(Path::new(&source).join(tree::GOES))?;
    scene.must(&source, &there, &["-j4", "--delete"], None)?;
    scene.must(&there, &back, &["-j4", "--delete"], None)?;
    let rest = Tree::read(Path::new(&source))?;
    rest.must_be(Path::new(&back), Unlike::ToTheSecond)?;
    Ok(format!(
        "{} files, up {}, down {}",
        tree.files(),
        seconds(up),
        seconds(down)
    ))
}

/// Killed at random moments and run again, each way, with new files and with files that replace others.
fn killed(settings: &Settings, kind: Kind, size: &Size) -> Result<String> {
    let scene = Scene::build(settings, kind, 0, None, &[])?;
    let source = scene.local("source")?;
    let before = Tree::plant(Path::new(&source), kind, size)?;
    let (there, back) = (Scene::url("up"), scene.local("back")?);
    let mut random = Random::from_clock();
    let mut kills = 0;
    let quarter = (size.kills / 4).max(1);
    let mut last = before.clone();
    for round in 0..2 {
        let now = if round == 0 {
            before.clone()
        } else {
            before.change(Path::new(&source))?
        };
        let (old, new) = (&last, &now);
        let served = scene.served("up");
        kills += kill_and_finish(
            &scene,
            (&source, &there),
            &served,
            (old, new),
            quarter,
            &mut random,
        )?;
        let local = Path::new(&back).to_owned();
        kills += kill_and_finish(
            &scene,
            (&there, &back),
            &local,
            (old, new),
            quarter,
            &mut random,
        )?;
        last = now;
    }
    Ok(format!("{} files, {kills} kills", before.files()))
}

/// Kills so many runs, looks after each, and lets the last one end. How many were really killed.
fn kill_and_finish(
    scene: &Scene,
    (source, destination): (&str, &str),
    there: &Path,
    (old, new): (&Tree, &Tree),
    times: u32,
    random: &mut Random,
) -> Result<u32> {
    let mut kills = 0;
    // Runs that end before are no loss; the next are killed earlier.
    let mut longest = if new.files() > 1000 { 20_000 } else { 1500 };
    for _ in 0..times {
        let moment = Duration::from_millis(random.between(60, longest));
        let outcome = run_bounded(
            scene.mirror(source, destination, &["-j4"], None),
            b"",
            moment,
        )?;
        if outcome.killed {
            kills += 1;
        } else if !outcome.succeeded() {
            return Err(format!("{source} {destination}: {}", outcome.last_words()).into());
        } else {
            longest = (longest / 2).max(80);
        }
        if there.exists() {
            Tree::read(there)?.must_be_of(old, new)?;
        }
    }
    scene.must(source, destination, &["-j4", "--delete"], None)?;
    new.must_be(there, Unlike::ToTheSecond)?;
    scene.unchanged(source, destination, None)?;
    Ok(kills)
}

/// The server admits three sessions, and eight are wanted.
fn three_sessions(settings: &Settings, kind: Kind) -> Result<String> {
    let lines: &[&str] = match kind {
        Kind::Vsftpd => &["max_per_ip=3"],
        Kind::ProFtpd => &["MaxClientsPerHost 3"],
        _ => &[],
    };
    let scene = Scene::build(settings, kind, 3, None, lines)?;
    let (source, back) = (scene.local("source")?, scene.local("back")?);
    let size = Size {
        directories: 12,
        files: 120,
        kills: 0,
    };
    let tree = Tree::plant(Path::new(&source), kind, &size)?;
    let there = Scene::url("up");
    scene.must(&source, &there, &["-j8"], None)?;
    tree.must_be(&scene.served("up"), Unlike::ToTheSecond)?;
    scene.must(&there, &back, &["-j8"], None)?;
    tree.must_be(Path::new(&back), Unlike::ToTheSecond)?;
    Ok(format!("{} files each way", tree.files()))
}

/// Server and client in different zones; the second run has nothing to do.
fn zones(settings: &Settings, kind: Kind) -> Result<String> {
    let lines: &[&str] = match kind {
        Kind::Vsftpd => &["use_localtime=YES"],
        Kind::ProFtpd => &["TimesGMT off"],
        _ => &[],
    };
    for (at, zone) in ZONES.iter().enumerate() {
        let here = ZONES[(at + 2) % ZONES.len()];
        let scene = Scene::build(settings, kind, 0, Some(zone), lines)?;
        let (source, back) = (scene.local("source")?, scene.local("back")?);
        let size = Size {
            directories: 3,
            files: 40,
            kills: 0,
        };
        let tree = Tree::plant(Path::new(&source), kind, &size)?;
        let there = Scene::url("up");
        let wrong =
            |failure: crate::Failure| format!("server in {zone}, client in {here}: {failure}");
        scene
            .must(&source, &there, &["-j2"], Some(here))
            .map_err(wrong)?;
        scene
            .unchanged(&source, &there, Some(here))
            .map_err(wrong)?;
        scene
            .must(&there, &back, &["-j2"], Some(here))
            .map_err(wrong)?;
        scene.unchanged(&there, &back, Some(here)).map_err(wrong)?;
        // vsftpd with use_localtime tells and takes even MDTM in its own zone.
        let unlike = if kind == Kind::Vsftpd {
            Unlike::Content
        } else {
            Unlike::ToTheSecond
        };
        tree.must_be(Path::new(&back), unlike).map_err(wrong)?;
    }
    Ok(format!(
        "{} zones, nothing to do in any second run",
        ZONES.len()
    ))
}
