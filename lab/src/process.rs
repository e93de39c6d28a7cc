//! Child processes that cannot outlive their welcome: every one is bounded by time or by a scope.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};

use crate::Result;

/// How much of a child's output is kept; the rest is read and dropped.
const KEPT: usize = 4 << 20;

/// How often a running child is looked at.
const LOOK: Duration = Duration::from_millis(4);

/// How a bounded run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Exit status; `None` when a signal ended it.
    pub code: Option<i32>,
    /// It did not end by itself within the limit.
    pub killed: bool,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it said.
    pub stderr: Vec<u8>,
    /// From start to end.
    pub elapsed: Duration,
}

impl Outcome {
    /// Ended by itself with status 0.
    pub fn succeeded(&self) -> bool {
        !self.killed && self.code == Some(0)
    }

    /// How it ended, with the end of what it said, on one line.
    pub fn last_words(&self) -> String {
        let end = match (self.killed, self.code) {
            (true, _) => "killed".to_owned(),
            (false, Some(code)) => format!("exit {code}"),
            (false, None) => "ended by a signal".to_owned(),
        };
        let mut said = String::from_utf8_lossy(&self.stderr).into_owned();
        if said.trim().is_empty() {
            said = String::from_utf8_lossy(&self.stdout).into_owned();
        }
        format!(
            "{end} after {:.1} s: {}",
            self.elapsed.as_secs_f64(),
            tail(&said)
        )
    }
}

/// The last three non-empty lines, joined, at most 400 characters.
pub fn tail(text: &str) -> String {
    last_lines(text, 3)
}

/// The last non-empty lines, joined, at most 400 characters.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let joined = lines[lines.len().saturating_sub(count)..].join(" / ");
    let skip = joined.chars().count().saturating_sub(400);
    joined.chars().skip(skip).collect()
}

/// Runs a command with the given input; its whole process group is killed at the limit.
pub fn run(mut command: Command, input: &[u8], limit: Duration) -> Result<Outcome> {
    let name = command.get_program().to_string_lossy().into_owned();
    let start = Instant::now();
    let mut child = command
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{name}: {error}"))?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let writer = stdin.map(|mut pipe| {
            scope.spawn(move || {
                // A client that leaves early closes the pipe; that is its business.
                let _ = pipe.write_all(input);
            })
        });
        let out = stdout.map(|pipe| scope.spawn(move || read_bounded(pipe)));
        let err = stderr.map(|pipe| scope.spawn(move || read_bounded(pipe)));
        let mut killed = false;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if !killed && start.elapsed() >= limit {
                killed = true;
                end_group(&child);
            }
            thread::sleep(LOOK);
        };
        let elapsed = start.elapsed();
        // What it left behind would hold the pipes open.
        end_group(&child);
        if let Some(writer) = writer {
            let _ = writer.join();
        }
        let collect = |reader: Option<thread::ScopedJoinHandle<'_, Vec<u8>>>| {
            reader
                .and_then(|reader| reader.join().ok())
                .unwrap_or_default()
        };
        let killed = killed && status.signal().is_some();
        Ok(Outcome {
            code: status.code(),
            killed,
            stdout: collect(out),
            stderr: collect(err),
            elapsed,
        })
    })
}

/// Gives a program a home of its own, no proxy and no `WHARF_*`, so that nothing of this machine's
/// user steers it.
pub fn isolate(command: &mut Command, home: &std::path::Path) {
    for name in [
        "ftp_proxy",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
    ] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WHARF_") {
            command.env_remove(name);
        }
    }
    command
        .env("HOME", home)
        // Plaintext, as helpers in NATs can read it; cells with TLS have ftpes:// or ftps:// addresses or say --tls.
        .env("WHARF_TLS", "off")
        // Else a server that is root keeps its state where this machine's services do.
        .env("STATE_DIRECTORY", home.join(".local/state/wharf"))
        .env("LC_ALL", "C")
        .env("NO_COLOR", "1")
        .env("TERM", "dumb");
    for name in [
        "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
        "XDG_CACHE_HOME",
        "XDG_DATA_HOME",
    ] {
        command.env_remove(name);
    }
}

/// Runs a command that has to succeed, within thirty seconds, and returns what it printed.
pub fn must(command: Command, input: &[u8]) -> Result<Vec<u8>> {
    let shown = format!("{command:?}");
    let outcome = run(command, input, Duration::from_secs(30))?;
    if outcome.succeeded() {
        Ok(outcome.stdout)
    } else {
        Err(format!("{shown}: {}", outcome.last_words()).into())
    }
}

/// Whether a process of this number is alive and is a laboratory; a dead one that nobody has waited for
/// has no program any more.
pub(crate) fn is_lab(pid: &str) -> bool {
    std::fs::read_link(format!("/proc/{pid}/exe"))
        .is_ok_and(|program| program.to_string_lossy().contains("wharf-lab"))
}

fn read_bounded(mut pipe: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut chunk = [0; 16 * 1024];
    while let Ok(n) = pipe.read(&mut chunk) {
        if n == 0 {
            break;
        }
        if kept.len() < KEPT {
            kept.extend_from_slice(&chunk[..n]);
        }
    }
    kept
}

fn end_group(child: &Child) {
    if let Some(pid) = pid_of(child) {
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// A server: runs until it is dropped, then it and its process group are ended.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Daemon {
    /// Starts a command in its own process group; both outputs are collected as they come.
    pub fn start(mut command: Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{name}: {error}"))?;
        let said = Arc::new(Mutex::new(String::new()));
        if let Some(pipe) = child.stdout.take() {
            follow(pipe, Arc::clone(&said));
        }
        if let Some(pipe) = child.stderr.take() {
            follow(pipe, Arc::clone(&said));
        }
        Ok(Self { child, said })
    }

    /// Process id of what was started.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed and said so far.
    pub fn said(&self) -> String {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether it is still running.
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its exit status when it has ended by itself; -1 for a signal.
    pub fn ended(&mut self) -> Option<i32> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(status.code().unwrap_or(-1))
    }

    /// `kill -9` of the process alone, and waits for its end.
    pub fn kill_9(&mut self) {
        let below = below(&self.child);
        if let Some(pid) = pid_of(&self.child) {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.child.wait();
        await_end(&below);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let below = below(&self.child);
        end_group(&self.child);
        let _ = self.child.wait();
        await_end(&below);
    }
}

/// The processes that it has started: one of them may hold its ports, and goes a moment later than itself.
fn below(child: &Child) -> Vec<OwnedFd> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", child.id())) else {
        return Vec::new();
    };
    let children = tasks.flatten().filter_map(|task| {
        let listed = std::fs::read_to_string(task.path().join("children"));
        listed.ok()
    });
    let pids: Vec<i32> = children
        .flat_map(|listed| {
            let pids = listed.split_ascii_whitespace().map(str::parse);
            pids.flatten().collect::<Vec<_>>()
        })
        .collect();
    pids.into_iter()
        .filter_map(|pid| pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok())
        .collect()
}

fn await_end(processes: &[OwnedFd]) {
    let limit = Timespec {
        tv_sec: 2,
        tv_nsec: 0,
    };
    for process in processes {
        // Readable when it has ended.
        let _ = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&limit));
    }
}

/// Collects a pipe line by line in a thread of its own, which ends with the pipe.
fn follow(pipe: impl Read + Send + 'static, said: Arc<Mutex<String>>) {
    thread::spawn(move || {
        let mut lines = BufReader::new(pipe);
        let mut line = Vec::new();
        while matches!(lines.read_until(b'\n', &mut line), Ok(n) if n > 0) {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.len() < KEPT {
                said.push_str(&String::from_utf8_lossy(&line));
            }
            line.clear();
        }
    });
}
