//! Network namespaces of this run, made and removed with `ip netns`.
//!
//! Names carry the process id of the run and a number, so runs do not meet; what a killed run left
//! behind is removed by [`sweep`] at the next start.

use std::fs;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::Result;
use crate::process::{is_lab, must, run};

const PREFIX: &str = "wharflab";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// `ip netns add` and `del` touch one directory of mounts: one at a time.
static MOUNTS: Mutex<()> = Mutex::new(());

/// A network namespace; dropped, its processes are ended and it is removed.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A new namespace with its loopback up; `role` is the readable end of its name.
    pub fn create(role: &str) -> Result<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{number}-{role}", std::process::id());
        let _one = MOUNTS.lock().unwrap_or_else(PoisonError::into_inner);
        let mut command = Command::new("ip");
        command.args(["netns", "add", &name]);
        must(command, b"")?;
        let namespace = Self { name };
        // Duplicate address detection would keep IPv6 silent for the first seconds.
        namespace.set(
            "0",
            &["ipv6/conf/all/accept_dad", "ipv6/conf/default/accept_dad"],
        )?;
        namespace.ip("link set lo up\n")?;
        Ok(namespace)
    }

    /// Its name as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that will run inside; its process id is that of the program itself, `ip` execs it.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs a batch of `ip` commands inside, one a line.
    pub fn ip(&self, batch: &str) -> Result<()> {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name, "-batch", "-"]);
        must(command, batch.as_bytes()).map(drop)
    }

    /// Runs a batch of `tc` commands inside, one a line.
    pub fn tc(&self, batch: &str) -> Result<()> {
        let mut command = Command::new("tc");
        command.args(["-n", &self.name, "-batch", "-"]);
        must(command, batch.as_bytes()).map(drop)
    }

    /// Loads nftables rules inside; nothing for an empty text.
    pub fn nft(&self, rules: &str) -> Result<()> {
        if rules.trim().is_empty() {
            return Ok(());
        }
        let mut command = self.command("nft");
        command.args(["-f", "-"]);
        must(command, rules.as_bytes()).map(drop)
    }

    /// Packets counted so far by the named nftables counter.
    pub fn counted(&self, family: &str, table: &str, counter: &str) -> Result<u64> {
        let mut command = self.command("nft");
        command.args(["list", "counter", family, table, counter]);
        let shown = String::from_utf8_lossy(&must(command, b"")?).into_owned();
        let mut words = shown.split_whitespace();
        words
            .find(|word| *word == "packets")
            .and_then(|_| words.next())
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| format!("no packets in: {shown}").into())
    }

    /// Runs `what` on a thread that lives in the namespace; sockets made there stay there.
    pub fn inside<T: Send>(&self, what: impl FnOnce() -> T + Send) -> Result<T> {
        let path = Path::new("/run/netns").join(&self.name);
        let handle =
            fs::File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(handle.as_fd(), Some(LinkNameSpaceType::Network))
                    .map(|()| what())
            });
            match thread.join() {
                Ok(result) => Ok(result.map_err(|error| format!("{}: {error}", self.name))?),
                Err(_) => Err(format!("{}: the thread inside panicked", self.name).into()),
            }
        })
    }

    /// Gives settings under /proc/sys/net a value.
    pub fn set(&self, value: &str, settings: &[&str]) -> Result<()> {
        self.inside(|| {
            for setting in settings {
                fs::write(format!("/proc/sys/net/{setting}"), value)
                    .map_err(|error| format!("{setting}: {error}"))?;
            }
            Ok::<(), String>(())
        })??;
        Ok(())
    }

    /// Waits until something inside listens at this address, at most five seconds.
    pub fn await_listener(&self, at: SocketAddr) -> Result<()> {
        self.inside(|| await_listener(at))?
    }

    /// Joins two namespaces with a veth pair, one named end in each.
    pub fn join(&self, end: &str, other: &Self, other_end: &str) -> Result<()> {
        self.ip(&format!(
            "link add {end} type veth peer name {other_end} netns {}\nlink set {end} up\n",
            other.name
        ))?;
        other.ip(&format!("link set {other_end} up\n"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Waits until something in the calling thread's namespace listens at this address.
pub(crate) fn await_listener(at: SocketAddr) -> Result<()> {
    for _ in 0..500 {
        // Read instead of connecting: a probe would cost a session and show in the server's log.
        let file = if at.is_ipv4() {
            "/proc/thread-self/net/tcp"
        } else {
            "/proc/thread-self/net/tcp6"
        };
        let wanted = format!(":{:04X}", at.port());
        let listening = |file: &str| {
            fs::read_to_string(file).is_ok_and(|table| {
                table.lines().any(|line| {
                    let mut fields = line.split_whitespace().skip(1);
                    let local = fields.next().is_some_and(|local| local.ends_with(&wanted));
                    local && fields.nth(1) == Some("0A")
                })
            })
        };
        if listening(file) || listening("/proc/thread-self/net/tcp6") {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Err(format!("nothing listens at {at} after five seconds").into())
}

fn remove(name: &str) {
    let mut command = Command::new("ip");
    command.args(["netns", "pids", name]);
    if let Ok(outcome) = run(command, b"", Duration::from_secs(10)) {
        for pid in String::from_utf8_lossy(&outcome.stdout).split_whitespace() {
            if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw)
                && pid != rustix::process::getpid()
            {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
    let _one = MOUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut command = Command::new("ip");
    command.args(["netns", "del", name]);
    match run(command, b"", Duration::from_secs(10)) {
        Ok(outcome) if outcome.succeeded() => {}
        Ok(outcome) => eprintln!("note: ip netns del {name}: {}", outcome.last_words()),
        Err(error) => eprintln!("note: ip netns del {name}: {error}"),
    }
}

/// Removes the namespaces of earlier runs whose process is gone.
pub fn sweep() -> Result<()> {
    let Ok(directory) = fs::read_dir("/run/netns") else {
        return Ok(());
    };
    for entry in directory {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let mut parts = name.split('-');
        if parts.next() != Some(PREFIX) {
            continue;
        }
        let Some(owner) = parts.next() else { continue };
        if !is_lab(owner) {
            eprintln!("note: removing {name}, left behind by an earlier run");
            remove(&name);
        }
    }
    Ok(())
}
