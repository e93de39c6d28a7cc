//! Records real sessions with tcpdump and draws them with `wharf ladder`: the pictures have to be those that are checked
//! in, which README and docs/modes.md show.
//!
//! The sessions are those of the article, by its own client (GNU inetutils' `ftp`). Ports, addresses and files are
//! fixed, so that two recordings differ in nothing that is drawn. The new captures are left in `lab/cache/captures`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::namespace::Namespace;
use crate::process::{Daemon, isolate, run as run_bounded, tail};
use crate::server::{Kind, PASSWORD, USER};
use crate::stage::Stage;
use crate::tally::{Tally, concurrently};
use crate::topology::{TOPOLOGIES, Topology};
use crate::{Result, Settings, setup};

/// The user's port of every control connection.
const CONTROL_PORT: u16 = 40_000;

/// Local ports of what comes after it: of the data connection.
const DATA_PORT: u16 = 47_312;

/// The one passive port of the servers.
const PASSIVE_PORT: u16 = 50_213;

/// How long a user waits before he gives up; the picture says 2 s for everything from 1.5 to 2.5.
const PATIENCE: Duration = Duration::from_millis(1900);

const LIMIT: Duration = Duration::from_secs(10);

/// Which interface is listened to.
#[derive(Clone, Copy)]
enum Tap {
    /// The client's.
    Client,
    /// That of the client's gateway towards the world.
    Outside,
}

/// A session to record.
struct Recording {
    /// Name of the files.
    name: &'static str,
    topology: &'static str,
    kind: Kind,
    /// Further arguments of the server.
    further: &'static [&'static str],
    /// How the client is told its data mode.
    mode: &'static str,
    /// The data connection never comes: how the user puts an end to it.
    given_up: Option<Signal>,
    tap: Tap,
}

const RECORDINGS: [Recording; 6] = [
    Recording {
        name: "active",
        topology: "open",
        kind: Kind::Vsftpd,
        further: &[],
        mode: "-A",
        given_up: None,
        tap: Tap::Client,
    },
    Recording {
        name: "passive",
        topology: "open",
        kind: Kind::Vsftpd,
        further: &[],
        mode: "-p",
        given_up: None,
        tap: Tap::Client,
    },
    Recording {
        name: "passive-blocked",
        topology: "server-fw-21",
        kind: Kind::Vsftpd,
        further: &[],
        mode: "-p",
        given_up: Some(Signal::INT),
        tap: Tap::Client,
    },
    Recording {
        name: "active-blocked",
        topology: "client-fw-drop",
        kind: Kind::Vsftpd,
        further: &[],
        mode: "-A",
        // Control-C would be told to the server, which hears nothing while it connects.
        given_up: Some(Signal::KILL),
        tap: Tap::Outside,
    },
    Recording {
        name: "active-behind-nat",
        topology: "client-nat",
        kind: Kind::Vsftpd,
        further: &[],
        mode: "-A",
        given_up: None,
        tap: Tap::Outside,
    },
    Recording {
        name: "one-port",
        topology: "server-fw-21-strict",
        kind: Kind::Wharf,
        further: &["--one-port", "on"],
        mode: "-p",
        given_up: None,
        tap: Tap::Client,
    },
];

/// The kinds of picture: what `wharf ladder` calls them, how their files end.
const PICTURES: [(&str, &str); 3] = [("text", "txt"), ("svg", "svg"), ("mermaid", "mmd")];

/// Where captures and pictures are checked in.
fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/wharf-ladder/tests/captures")
}

/// All of them at once: each has a network of its own.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    println!("\nsessions recorded and drawn");
    let kept = setup::cache().join("captures");
    fs::create_dir_all(&kept)?;
    let wanted: Vec<&Recording> = RECORDINGS
        .iter()
        .filter(|row| settings.wants(row.name))
        .collect();
    let results = concurrently(&wanted, wanted.len(), |row| {
        let capture = kept.join(format!("{}.pcap", row.name));
        record(settings, row, &capture).and_then(|()| compare(settings, row, &capture))
    });
    for (row, result) in wanted.iter().zip(results) {
        tally.check(&format!("picture of {}", row.name), result);
    }
    Ok(())
}

fn record(settings: &Settings, row: &Recording, capture: &Path) -> Result<()> {
    let topology = TOPOLOGIES
        .iter()
        .find(|known| known.name == row.topology)
        .ok_or("no such topology")?;
    let topology = Topology {
        passive: (PASSIVE_PORT, PASSIVE_PORT),
        ..*topology
    };
    let what = format!("captures-{}", row.name);
    let stage = Stage::in_topology(settings, &what, topology, row.kind)?;
    fs::write(
        stage.root.join("notes.txt"),
        "ship sails wharf\n".repeat(64),
    )?;
    let _server = stage.serve_with(row.further)?;
    let client = &stage.network.client;
    ports(client, CONTROL_PORT)?;
    let _ = fs::remove_file(capture);
    let mut recorder = match row.tap {
        Tap::Client => Recorder::start(client, "eth", capture)?,
        Tap::Outside => Recorder::start(stage.network.gateway("cgw")?, "wan", capture)?,
    };
    let mut command = stage.client("inetutils-ftp");
    command
        .args(["-n", "-i", "-v", row.mode])
        .arg(stage.network.host());
    let mut user = User::start(command)?;
    await_connection(client, 21, ESTABLISHED)?;
    ports(client, DATA_PORT)?;
    user.types(&format!(
        "user {USER} {PASSWORD}\nbinary\nget notes.txt {}\n",
        stage.work.path().join("copy.txt").display()
    ))?;
    if let Some(signal) = row.given_up {
        let (opener, port) = match row.mode {
            "-A" => (&stage.network.server, DATA_PORT),
            _ => (client, PASSIVE_PORT),
        };
        await_connection(opener, port, SYN_SENT)?;
        thread::sleep(PATIENCE);
        user.sends(signal)?;
    }
    if row.given_up != Some(Signal::KILL) {
        user.types("quit\n")?;
    }
    user.leaves()?;
    recorder.finish(capture)
}

/// Draws it in every way and compares with what is checked in.
fn compare(settings: &Settings, row: &Recording, capture: &Path) -> Result<String> {
    let mut differs = Vec::new();
    for (format, extension) in PICTURES {
        let mut command = Command::new(&settings.wharf);
        command.arg("ladder").arg(capture);
        command.args(["--format", format]);
        isolate(&mut command, &setup::cache());
        command.env("LC_ALL", "C.UTF-8").env("COLUMNS", "80");
        let outcome = run_bounded(command, b"", LIMIT)?;
        if !outcome.succeeded() {
            return Err(format!("wharf ladder: {}", outcome.last_words()).into());
        }
        let drawn = capture.with_extension(extension);
        fs::write(&drawn, &outcome.stdout)?;
        let expected = golden().join(format!("{}.{extension}", row.name));
        if fs::read(&expected).unwrap_or_default() != outcome.stdout {
            differs.push(format!("{} is not {}", drawn.display(), expected.display()));
        }
    }
    if differs.is_empty() {
        Ok(PICTURES.map(|(format, _)| format).join(", "))
    } else {
        Err(differs.join("; ").into())
    }
}

/// The only local port that the kernel may choose in there from now on.
fn ports(namespace: &Namespace, port: u16) -> Result<()> {
    namespace.set(&format!("{port} {port}"), &["ipv4/ip_local_port_range"])
}

/// States of /proc/net/tcp.
const ESTABLISHED: &str = "01";
const SYN_SENT: &str = "02";

/// Waits until a connection to this port is in this state.
fn await_connection(namespace: &Namespace, port: u16, state: &str) -> Result<()> {
    let wanted = format!(":{port:04X}");
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        // A server's socket may be one of both families.
        let table = namespace.inside(|| {
            let table = |name| fs::read_to_string(format!("/proc/thread-self/net/{name}"));
            Ok::<_, std::io::Error>(table("tcp")? + &table("tcp6")?)
        })??;
        let there = table.lines().any(|line| {
            let mut fields = line.split_whitespace().skip(2);
            fields.next().is_some_and(|peer| peer.ends_with(&wanted))
                && fields.next() == Some(state)
        });
        if there {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Err(format!("no connection to port {port} in state {state}").into())
}

/// tcpdump, on one interface, without promiscuous mode.
struct Recorder {
    daemon: Daemon,
}

impl Recorder {
    fn start(namespace: &Namespace, interface: &str, to: &Path) -> Result<Self> {
        let mut command = namespace.command("/usr/bin/tcpdump");
        // As another user it could not write here.
        command.args([
            "-p",
            "-U",
            "--immediate-mode",
            "-Z",
            "root",
            "-i",
            interface,
        ]);
        command.arg("-w").arg(to).arg("tcp or icmp");
        let daemon = Daemon::start(command)?;
        let start = Instant::now();
        while !daemon.said().contains("listening on") {
            if start.elapsed() > LIMIT {
                return Err(format!("tcpdump: {}", tail(&daemon.said())).into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Self { daemon })
    }

    /// Waits until the end of the control connection is in the file.
    fn finish(&mut self, file: &Path) -> Result<()> {
        let start = Instant::now();
        loop {
            let events = wharf_ladder::source::capture::read(&fs::read(file)?);
            let ended = events.is_ok_and(|events| {
                let closed = |event: &wharf_proto::trace::Event| {
                    matches!(event.what, wharf_proto::trace::What::Closed(_))
                };
                events.iter().any(closed)
            });
            if ended {
                // What still belongs to it, the last acknowledgement, is not drawn.
                self.daemon.kill_9();
                return Ok(());
            }
            if start.elapsed() > LIMIT {
                return Err(format!("tcpdump: {}", tail(&self.daemon.said())).into());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A client program and the one who types.
struct User {
    child: Child,
}

impl User {
    fn start(mut command: Command) -> Result<Self> {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child })
    }

    fn types(&mut self, text: &str) -> Result<()> {
        let stdin = self.child.stdin.as_mut().ok_or("nothing to type into")?;
        Ok(stdin.write_all(text.as_bytes())?)
    }

    /// Control-C, or worse.
    fn sends(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.ok_or("no process")?, signal)?)
    }

    fn leaves(&mut self) -> Result<()> {
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            if start.elapsed() > LIMIT {
                return Err("the client does not leave".into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
