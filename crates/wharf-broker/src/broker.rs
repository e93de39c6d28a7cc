//! The process that keeps the rights: it starts the network process, answers it, passes signals on, and ends with it.
//!
//! One thread and no runtime: a question is answered before the next one is heard, and each takes microseconds.

use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use wharf_net::handed;

use crate::channel::Channel;
use crate::clients;
use crate::grant::Grant;
use crate::keys::Keys;
use crate::link::PASSED_ON;
use crate::logins::Logins;
use crate::message::{Answer, Order, Request};
use crate::opening;
use crate::sandbox::{InForce, Own};

/// What SIGHUP brings.
#[derive(Debug)]
pub struct Reloaded {
    /// What is granted from now on.
    pub grant: Grant,
    /// See [`Broker::stops_within`].
    pub stops_within: Duration,
}

/// How the network process has ended.
#[derive(Debug)]
pub enum End {
    /// By itself, or by a signal of somebody else.
    Ended(ExitStatus),
    /// It asked for something that no honest one asks for, and was killed.
    Killed(String),
    /// It did not stop in its time, and was killed.
    Stuck,
}

impl End {
    /// The exit status to pass on; a signal as shells tell it.
    pub fn code(&self) -> Option<u8> {
        let Self::Ended(status) = self else {
            return None;
        };
        let code = status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal));
        code.and_then(|code| u8::try_from(code).ok())
    }
}

/// What the service manager wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Clients are served; a reload is over.
    Ready,
    /// SIGHUP came.
    Reloading,
    /// SIGTERM or SIGINT came.
    Stopping,
}

/// The broker with its network process.
#[derive(Debug)]
pub struct Broker {
    grant: Grant,
    keys: Keys,
    child: Child,
    process: OwnedFd,
    orders: Arc<Channel>,
    requests: Channel,
    signatures: Channel,
    signals: SignalFd,
    /// Control ports that the configuration does not name: the system has chosen them, or an earlier configuration.
    chosen: Vec<u16>,
    /// How many requests have been refused.
    refused: u64,
    /// How long the network process may take to stop; `None`: as long as it likes.
    stops_within: Option<Duration>,
    /// A signal to stop has come.
    stopping: bool,
    /// When it must have ended.
    deadline: Option<Instant>,
    /// Taken by the network process, once.
    logins: Option<Logins>,
    /// Listened on since before the broker began.
    inherited: Vec<(SocketAddr, OwnedFd)>,
    /// Who hears how far the server is.
    tells: fn(Progress),
    /// The network process has something to do of which it will tell that it is done.
    unready: bool,
}

/// So many control ports that the system has chosen are known; an honest process asks for as many as are configured.
const CHOSEN: usize = 64;

/// So many refusals are told one by one; of those that follow every power of two.
const TOLD_REFUSALS: u64 = 64;

/// Time to stop after a second signal, and beyond the time that was set.
pub const AT_ONCE: Duration = Duration::from_secs(5);

/// Tells the network process, from any thread, that there are other certificates.
#[derive(Clone, Debug)]
pub struct Teller(Arc<Channel>);

impl Teller {
    /// To be called when [`Keys`] has them.
    pub fn certificates(&self) {
        // Gone or stuck: then nobody has to know.
        let _ = self.0.send_at_once(&Order::Certificates.encode(), &[]);
    }
}

impl Broker {
    /// Starts the network process. To be called while this process has one thread: the signals that the two share are
    /// blocked from here on.
    ///
    /// # Errors
    /// No process, no descriptors.
    pub fn start(mut network: Command, grant: Grant, keys: Keys) -> io::Result<Self> {
        let mut passed_on = SigSet::empty();
        for signal in PASSED_ON {
            passed_on.add(signal);
        }
        passed_on.thread_block()?;
        let signals = SignalFd::new(&passed_on)?;
        let (orders, theirs) = Channel::pair()?;
        let (requests, their_requests) = Channel::pair()?;
        let (signatures, their_signatures) = Channel::pair()?;
        let beside = [their_requests.as_fd(), their_signatures.as_fd()];
        orders.send(&Order::Begin.encode(), &beside)?;
        // What this process was given by whoever started it is not for the network: files, and secrets among the variables.
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        for (name, _) in std::env::vars_os() {
            if !is_told(&name) {
                network.env_remove(name);
            }
        }
        let child = network.stdin(Stdio::from(theirs.into_fd())).spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the process has no number"))?;
        Ok(Self {
            grant,
            keys,
            process: pidfd_open(pid, PidfdFlags::empty())?,
            child,
            orders: Arc::new(orders),
            requests,
            signatures,
            signals,
            chosen: Vec::new(),
            refused: 0,
            stops_within: None,
            stopping: false,
            deadline: None,
            logins: None,
            inherited: Vec::new(),
            tells: drop,
            unready: true,
        })
    }

    /// Gives away what is not needed any more, for this thread and those that it starts. See [`Own::keep`]. To be called
    /// before there is another thread, and after [`lets_in`](Self::lets_in).
    pub fn gives_up(&self, own: &Own) -> InForce {
        let mut own = own.clone();
        own.users |= self.logins.is_some();
        own.keep()
    }

    /// Sockets that listen already, with the addresses that they are bound to.
    pub fn inherits(&mut self, sockets: Vec<(SocketAddr, OwnedFd)>) {
        self.inherited = sockets;
    }

    /// Who hears how far the server is.
    pub fn tells(&mut self, whom: fn(Progress)) {
        self.tells = whom;
    }

    /// Lets users of this system in, too.
    pub fn lets_in(&mut self, logins: Logins) {
        self.logins = Some(logins);
    }

    /// How long after SIGTERM or SIGINT the network process may go on, with transfers for instance. It is killed
    /// afterwards, and [`AT_ONCE`] after a second signal: it may be stuck, or somebody else's.
    pub fn stops_within(&mut self, time: Duration) {
        self.stops_within = Some(time);
    }

    /// For whoever renews certificates.
    pub fn teller(&self) -> Teller {
        Teller(Arc::clone(&self.orders))
    }

    /// Serves until the network process has ended. `reload` is asked on SIGHUP what holds from then on; with `None`,
    /// of which it has told the reason, nothing changes and the network process does not hear of it.
    ///
    /// # Errors
    /// Those of `poll(2)`; the network process is killed.
    pub fn run(mut self, mut reload: impl FnMut() -> Option<Reloaded>) -> io::Result<End> {
        let end = self.serve(&mut reload);
        if !matches!(end, Ok(End::Ended(_))) {
            // Dead already, perhaps.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        end
    }

    fn serve(&mut self, reload: &mut dyn FnMut() -> Option<Reloaded>) -> io::Result<End> {
        let mut open = true;
        loop {
            let asked = PollFlags::IN;
            let mut watched = vec![
                PollFd::new(&self.process, asked),
                PollFd::new(&self.signals, asked),
            ];
            if open {
                watched.push(PollFd::new(&self.requests, asked));
                watched.push(PollFd::new(&self.signatures, asked));
            }
            let left = self
                .deadline
                .map(|at| at.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(End::Stuck);
            }
            let left = left.and_then(|it| Timespec::try_from(it).ok());
            match poll(&mut watched, left.as_ref()) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            let ready: Vec<bool> = watched.iter().map(|it| !it.revents().is_empty()).collect();
            let is_ready = |at: usize| ready.get(at).copied().unwrap_or_default();
            if is_ready(0) {
                return Ok(End::Ended(self.child.wait()?));
            }
            if is_ready(1) {
                self.pass_on(reload)?;
            }
            for (at, requests) in [(2, true), (3, false)] {
                if is_ready(at) {
                    match self.answer(requests) {
                        Ok(more) => open &= more,
                        Err(why) => return Ok(End::Killed(why)),
                    }
                }
            }
        }
    }

    /// The network process does not take these signals from anybody else: a terminal and systemd send them to both.
    fn pass_on(&mut self, reload: &mut dyn FnMut() -> Option<Reloaded>) -> io::Result<()> {
        let Some(got) = self.signals.read_signal()? else {
            return Ok(());
        };
        let signal = i32::try_from(got.ssi_signo).ok();
        let order = match signal.and_then(|number| Signal::try_from(number).ok()) {
            Some(Signal::SIGHUP) => {
                (self.tells)(Progress::Reloading);
                let Some(new) = reload() else {
                    (self.tells)(Progress::Ready);
                    return Ok(());
                };
                self.unready = true;
                self.grant(new.grant);
                self.stops_within = Some(new.stops_within);
                Order::Reload
            }
            Some(_) => {
                let again = std::mem::replace(&mut self.stopping, true);
                if !again {
                    (self.tells)(Progress::Stopping);
                }
                let time = if again {
                    Some(Duration::ZERO)
                } else {
                    self.stops_within
                };
                let at = time.and_then(|it| Instant::now().checked_add(it.saturating_add(AT_ONCE)));
                self.deadline = match (self.deadline, at) {
                    (Some(earlier), Some(at)) => Some(earlier.min(at)),
                    (earlier, at) => earlier.or(at),
                };
                Order::Stop
            }
            None => return Ok(()),
        };
        // Gone: it is waited for. Full: it reads none, and its time runs out.
        let _ = self.orders.send_at_once(&order.encode(), &[]);
        Ok(())
    }

    /// Sessions that came to a port of before go on, and may still want data.
    fn grant(&mut self, new: Grant) {
        let before = std::mem::replace(&mut self.grant, new);
        for port in before.listen.iter().map(SocketAddr::port) {
            let known = self.grant.is_control(port) || self.chosen.contains(&port);
            if port != 0 && !known && self.chosen.len() < CHOSEN {
                self.chosen.push(port);
            }
        }
    }

    /// Whether there may be more. An error is the end of the network process.
    fn answer(&mut self, requests: bool) -> Result<bool, String> {
        let packet = match self.channel(requests).receive() {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
            Err(error) => return Err(error.to_string()),
        };
        if !packet.descriptors.is_empty() {
            return Err("a descriptor beside a request".to_owned());
        }
        let request = Request::decode(&packet.bytes).map_err(|error| error.to_string())?;
        let (answer, descriptor) = match &request {
            Request::Sign {
                key,
                generation,
                scheme,
                message,
            } => (self.keys.sign(*key, *generation, *scheme, message), None),
            Request::Certificate(number) => (self.keys.certificate(*number), None),
            Request::Ready => {
                // Once each time: the manager is not to be talked to by whoever has taken the other process over.
                if std::mem::take(&mut self.unready) && !self.stopping {
                    (self.tells)(Progress::Ready);
                }
                (Answer::Noted, None)
            }
            other => match self.make(other) {
                Ok(descriptor) => (Answer::Descriptor, Some(descriptor)),
                Err(refused) => (refused, None),
            },
        };
        if let Answer::Refused { errno: 0, why } = &answer {
            self.tell_of_refusal(why);
        }
        let beside: Vec<_> = descriptor.iter().map(AsFd::as_fd).collect();
        // An honest one reads each answer before it asks again. Nobody waits here for one that does not: signals are heard.
        let sent = self
            .channel(requests)
            .send_at_once(&answer.encode(), &beside);
        match sent {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err("it asks and does not read the answers".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Who asks a million times must not fill the disk with the log of it.
    fn tell_of_refusal(&mut self, why: &str) {
        self.refused = self.refused.saturating_add(1);
        if self.refused <= TOLD_REFUSALS || self.refused.is_power_of_two() {
            let times = self.refused;
            tracing::warn!(why, times, "refused to the network process");
        }
    }

    fn channel(&self, requests: bool) -> &Channel {
        if requests {
            &self.requests
        } else {
            &self.signatures
        }
    }

    fn make(&mut self, request: &Request) -> Result<OwnedFd, Answer> {
        let system = |error: io::Error| Answer::Refused {
            errno: error.raw_os_error().unwrap_or(libc::EIO),
            why: error.to_string(),
        };
        let policy = |why: String| Answer::Refused { errno: 0, why };
        match request {
            Request::Listen { at, only_ipv6 } => {
                self.grant.listens(*at).map_err(policy)?;
                if let Some((_, socket)) = self.inherited.iter().find(|(bound, _)| bound == at) {
                    return socket.try_clone().map_err(system);
                }
                if at.port() == 0 && self.chosen.len() >= CHOSEN {
                    return Err(policy("too many ports chosen by the system".to_owned()));
                }
                let socket = handed::listening(*at, *only_ipv6).map_err(system)?;
                if at.port() == 0 {
                    let bound = std::net::TcpListener::from(socket);
                    self.chosen.push(bound.local_addr().map_err(system)?.port());
                    return Ok(bound.into());
                }
                Ok(socket)
            }
            Request::Connect { from, to } => {
                let clients = clients::connected(|port| {
                    self.grant.is_control(port) || self.chosen.contains(&port)
                });
                self.grant.connects(*from, *to, &clients).map_err(policy)?;
                handed::on_its_way(*from, *to).map_err(system)
            }
            Request::Open(kept) => {
                let path = self.grant.file(*kept).map_err(policy)?;
                opening::open(*kept, path)
                    .map(OwnedFd::from)
                    .map_err(system)
            }
            Request::Logins => {
                let logins = self.logins.take();
                let none =
                    || policy("no system users are let in, or somebody has asked".to_owned());
                let logins = logins.ok_or_else(none)?;
                let (own, theirs) = Channel::pair().map_err(system)?;
                logins.answer(own).map_err(system)?;
                Ok(theirs.into_fd())
            }
            Request::Certificate(_) | Request::Sign { .. } | Request::Ready => {
                Err(policy("no descriptor belongs to it".to_owned()))
            }
        }
    }
}

/// Whether the network process is told a variable: those of wharf, and what words, times and places look like.
fn is_told(name: &OsStr) -> bool {
    const NAMES: [&str; 9] = [
        "COLUMNS",
        "HOME",
        "LANG",
        "LANGUAGE",
        "NO_COLOR",
        "RUST_BACKTRACE",
        "STATE_DIRECTORY",
        "TERM",
        "TZ",
    ];
    const FAMILIES: [&str; 3] = ["WHARF_", "LC_", "XDG_"];
    let name = name.to_string_lossy();
    NAMES.contains(&&*name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Whatever ended us, nobody is left behind. Dead already, as a rule.
        let _ = pidfd_send_signal(&self.process, rustix::process::Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_others_are_not_told() {
        let table = [
            ("WHARF_USERS", true),
            ("LC_ALL", true),
            ("TZ", true),
            ("STATE_DIRECTORY", true),
            ("AWS_SECRET_ACCESS_KEY", false),
            ("NOTIFY_SOCKET", false),
            ("LISTEN_FDS", false),
            ("SSH_AUTH_SOCK", false),
            ("LD_PRELOAD", false),
        ];
        for (name, told) in table {
            assert_eq!(is_told(OsStr::new(name)), told, "{name}");
        }
    }
}
