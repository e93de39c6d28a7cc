//! `kill -9` at random moments: what stands under a final name afterwards is whole, or what stood
//! there before, or nothing.
//!
//! Twenty times each: the server in mid-upload, with each way to put an upload on the disk; a foreign client in mid-upload (its kernel closes
//! both connections with FIN, which on the data connection alone looks like a complete file);
//! wharf's client in mid-upload and in mid-download.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::payload::{self, Random};
use crate::process::{Daemon, isolate, tail};
use crate::server::{PASSWORD, USER};
use crate::stage::Stage;
use crate::tally::Tally;
use crate::topology;
use crate::wire::{Wire, dial};
use crate::{Result, Settings};

const TIMES: u32 = 20;

/// Long enough for a server to notice that a client is gone and to do the wrong thing about it.
const AFTERMATH: Duration = Duration::from_millis(250);

/// What stood under the name before; every second time.
const BEFORE: &[u8] = b"what stood here before";

/// What may stand under a name after the server was killed in mid-upload.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// All of it, what was there before, or nothing.
    Whole,
    /// As much of it as came, for it is written in place; nothing else, and nothing of what was there before behind it.
    Beginning,
}

const POLICIES: &[(&str, &[&str], Kept)] = &[
    ("server in mid-upload", &[], Kept::Whole),
    (
        "server in mid-upload, --fsync full",
        &["--fsync", "full"],
        Kept::Whole,
    ),
    (
        "server in mid-upload, --uploads direct",
        &["--uploads", "direct"],
        Kept::Beginning,
    ),
    (
        "server in mid-upload, --uploads direct --fsync data",
        &["--uploads", "direct", "--fsync", "data"],
        Kept::Beginning,
    ),
];

type Killing = fn(&Stage, &Path) -> Result<String>;

/// Kills and looks.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let stage = Stage::build(settings, "crash")?;
    let source = stage.work.path().join("source.bin");
    payload::write(&source, 4 << 20)?;
    let large = stage.root.join("large.bin");
    payload::write(&large, 192 << 20)?;
    println!("\nkill -9, {TIMES} times each");
    for (name, arguments, kept) in POLICIES {
        tally.check(name, server_killed(&stage, &source, arguments, *kept));
    }
    let server = stage.serve()?;
    let killings: [(&str, &Path, Killing); 3] = [
        ("python's ftplib in mid-upload", &source, ftplib_killed),
        ("wharf put in mid-upload", &large, put_killed),
        ("wharf get in mid-download", &large, get_killed),
    ];
    for (name, file, killing) in killings {
        tally.check(name, killing(&stage, file));
    }
    tally.check("the server is still in order", {
        Wire::login(&stage.network.client, stage.network.control())
            .and_then(|mut wire| wire.command("NOOP"))
            .map(|_| format!("pid {}", server.pid()))
    });
    Ok(())
}

/// How often the final name was found in which state.
#[derive(Default)]
struct Found {
    nothing: u32,
    before: u32,
    beginning: u32,
    whole: u32,
}

impl Found {
    /// Looks at a final name, and tells apart what may be there from what may not.
    fn look(&mut self, name: &Path, whole: &Path, had_before: bool) -> Result<()> {
        match fs::metadata(name) {
            Err(_) if had_before => return Err("the file that was to be replaced is gone".into()),
            Err(_) => self.nothing += 1,
            Ok(_) if had_before && fs::read(name)? == BEFORE => self.before += 1,
            Ok(metadata) => {
                payload::same(whole, name).map_err(|error| {
                    format!("partial file of {} bytes: {error}", metadata.len())
                })?;
                self.whole += 1;
            }
        }
        let _ = fs::remove_file(name);
        Ok(())
    }

    /// Looks at a name into which is written in place.
    fn look_at_beginning(&mut self, name: &Path, whole: &[u8]) -> Result<()> {
        match fs::read(name) {
            Err(_) => self.nothing += 1,
            Ok(found) if found == BEFORE => self.before += 1,
            Ok(found) if found == whole => self.whole += 1,
            Ok(found) if whole.starts_with(&found) => self.beginning += 1,
            Ok(found) => return Err(format!("{} bytes that nobody sent", found.len()).into()),
        }
        let _ = fs::remove_file(name);
        Ok(())
    }

    fn summary(&self) -> Result<String> {
        let summary = format!(
            "{} nothing, {} as before, {} beginnings, {} whole",
            self.nothing, self.before, self.beginning, self.whole
        );
        // If every transfer had ended before the kill, nothing would have been tried.
        if self.nothing + self.before + self.beginning == 0 {
            return Err(format!("no kill came in time: {summary}").into());
        }
        Ok(summary)
    }
}

fn prepare(name: &Path, round: u32) -> Result<bool> {
    let had_before = round % 2 == 1;
    if had_before {
        fs::write(name, BEFORE)?;
    }
    Ok(had_before)
}

/// A paced upload by hand; the server is killed while it runs.
fn server_killed(stage: &Stage, source: &Path, arguments: &[&str], kept: Kept) -> Result<String> {
    let mut random = Random::from_clock();
    let mut found = Found::default();
    let bytes = fs::read(source)?;
    for round in 0..TIMES {
        let name = stage.root.join(format!("server-{round}.bin"));
        let had_before = prepare(&name, round)?;
        let mut server = stage.serve_with(arguments)?;
        let mut wire = Wire::login(&stage.network.client, stage.network.control())?;
        let at = wire.passive()?;
        wire.send(&format!("STOR server-{round}.bin"))?;
        let mut data = dial(&stage.network.client, at)?;
        wire.expect(&[150, 125])?;
        let over = AtomicBool::new(false);
        let moment = Duration::from_millis(random.between(1, 420));
        thread::scope(|scope| {
            scope.spawn(|| {
                for chunk in bytes.chunks(64 << 10) {
                    if over.load(Ordering::Relaxed) || data.write_all(chunk).is_err() {
                        return;
                    }
                    thread::sleep(Duration::from_millis(5));
                }
                let _ = data.shutdown(std::net::Shutdown::Write);
            });
            thread::sleep(moment);
            server.daemon.kill_9();
            over.store(true, Ordering::Relaxed);
        });
        let looked = match kept {
            Kept::Whole => found.look(&name, source, had_before),
            Kept::Beginning => found.look_at_beginning(&name, &bytes),
        };
        looked.map_err(|error| format!("killed after {} ms: {error}", moment.as_millis()))?;
    }
    found.summary()
}

const PACED: &str = "
import ftplib, sys, time
host, user, password, local, remote = sys.argv[1:]
class Paced:
    def __init__(self, path):
        self.file = open(path, 'rb')
    def read(self, size):
        time.sleep(0.005)
        return self.file.read(size)
ftp = ftplib.FTP(timeout=20)
ftp.connect(host, 21)
ftp.login(user, password)
print('begin', flush=True)
ftp.storbinary('STOR ' + remote, Paced(local), 64 * 1024)
ftp.quit()
";

fn ftplib_killed(stage: &Stage, source: &Path) -> Result<String> {
    let mut random = Random::from_clock();
    let mut found = Found::default();
    for round in 0..TIMES {
        let remote = format!("ftplib-{round}.bin");
        let name = stage.root.join(&remote);
        let had_before = prepare(&name, round)?;
        let mut command = stage.network.client.command("/usr/bin/python3");
        command.args(["-c", PACED, &topology::SERVER.to_string(), USER, PASSWORD]);
        command.arg(source).arg(&remote);
        let mut client = begin(stage, command)?;
        let start = Instant::now();
        while !client.said().contains("begin") && start.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(2));
        }
        kill_after(&mut client, random.between(5, 380), || {
            found.look(&name, source, had_before)
        })?;
    }
    found.summary()
}

fn put_killed(stage: &Stage, large: &Path) -> Result<String> {
    let mut random = Random::from_clock();
    let mut found = Found::default();
    for round in 0..TIMES {
        let local = stage.work.path().join(format!("put-{round}.bin"));
        fs::hard_link(large, &local)?;
        let name = stage.root.join(format!("put-{round}.bin"));
        let had_before = prepare(&name, round)?;
        let mut command = wharf(stage, "put");
        command
            .arg(&local)
            .arg(format!("ftp://{USER}@{}/", topology::SERVER));
        let mut client = begin(stage, command)?;
        kill_after(&mut client, random.between(15, 220), || {
            found.look(&name, large, had_before)
        })?;
        fs::remove_file(&local)?;
    }
    found.summary()
}

fn get_killed(stage: &Stage, large: &Path) -> Result<String> {
    let mut random = Random::from_clock();
    let mut found = Found::default();
    for round in 0..TIMES {
        let name = stage.work.path().join(format!("get-{round}.bin"));
        let had_before = prepare(&name, round)?;
        let mut command = wharf(stage, "get");
        command.arg(format!("ftp://{USER}@{}/large.bin", topology::SERVER));
        command.arg("-o").arg(&name);
        let mut client = begin(stage, command)?;
        kill_after(&mut client, random.between(15, 220), || {
            found.look(&name, large, had_before)
        })?;
        remove_parts(stage.work.path(), &format!("get-{round}.bin"))?;
    }
    found.summary()
}

fn wharf(stage: &Stage, verb: &str) -> Command {
    let mut command = stage.network.client.command(&stage.wharf);
    command
        .args([verb, "-q", "--password-file"])
        .arg(&stage.secret);
    command
}

fn begin(stage: &Stage, mut command: Command) -> Result<Daemon> {
    command.current_dir(stage.work.path());
    isolate(&mut command, stage.work.path());
    Daemon::start(command)
}

/// Kills the client, and then judges; a client that had ended before must have been successful.
fn kill_after(
    client: &mut Daemon,
    milliseconds: u64,
    look: impl FnOnce() -> Result<()>,
) -> Result<()> {
    thread::sleep(Duration::from_millis(milliseconds));
    let ended = client.ended();
    client.kill_9();
    if let Some(code) = ended
        && code != 0
    {
        return Err(format!("ended by itself, status {code}: {}", tail(&client.said())).into());
    }
    thread::sleep(AFTERMATH);
    look()
}

/// What the client keeps for resuming is large; the name under which it does is its own affair.
fn remove_parts(directory: &Path, of: &str) -> Result<()> {
    let parts: Vec<PathBuf> = fs::read_dir(directory)?
        .filter_map(std::result::Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains(of))
        .collect();
    for part in parts {
        fs::remove_file(part)?;
    }
    Ok(())
}
