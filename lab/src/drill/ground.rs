//! Where the drill takes place: a namespace, listeners that an attacker would like to reach, files that it would like to
//! have, and a server started in each way.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, chown};
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rcgen::KeyPair;

use crate::Result;
use crate::certificates::Certificates;
use crate::namespace::Namespace;
use crate::payload::Workspace;
use crate::process::{Daemon, isolate, must, tail};
use crate::server::{PASSWORD, USER};
use crate::wire::Wire;

/// Nobody's number on this machine: the server's and the served directory's.
pub(super) const UID: u32 = 64_123;

/// An address that is not the client's, and what listens there.
pub(super) const STRANGER: &str = "192.0.2.9:7777";

/// A name among abstract sockets.
pub(super) const ABSTRACT: &str = "wharf-lab-drill";

/// A variable of whoever starts the server, and nothing to do with it.
pub(super) const SECRET: &str = "DRILL_SECRET";

/// How `wharf serve` is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By root: a broker, and a process with the user's number.
    Root,
    /// By root, whose the served directory is, too: then both processes are root's, the other one without capabilities.
    RootOwn,
    /// By an ordinary user who insists: two processes of that user.
    UserStrict,
    /// By an ordinary user: one process.
    User,
    /// By root, without a sandbox.
    RootOff,
    /// By an ordinary user, without a sandbox.
    UserOff,
}

impl Way {
    pub(super) const ALL: [Self; 6] = [
        Self::Root,
        Self::RootOwn,
        Self::UserStrict,
        Self::User,
        Self::RootOff,
        Self::UserOff,
    ];

    pub(super) fn head(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::RootOwn => "root, root's",
            Self::UserStrict => "user, strict",
            Self::User => "user, alone",
            Self::RootOff => "(root, off)",
            Self::UserOff => "(user, off)",
        }
    }

    pub(super) fn has_broker(self) -> bool {
        matches!(self, Self::Root | Self::RootOwn | Self::UserStrict)
    }

    pub(super) fn is_witness(self) -> bool {
        matches!(self, Self::RootOff | Self::UserOff)
    }

    fn is_root(self) -> bool {
        matches!(self, Self::Root | Self::RootOwn | Self::RootOff)
    }

    fn sandbox(self) -> &'static str {
        match self {
            Self::Root | Self::RootOwn | Self::UserStrict => "strict",
            Self::User => "best-effort",
            Self::RootOff | Self::UserOff => "off",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::RootOwn => "root-own",
            Self::UserStrict => "user-strict",
            Self::User => "user",
            Self::RootOff => "root-off",
            Self::UserOff => "user-off",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Root => 21,
            Self::RootOwn => 2125,
            Self::UserStrict => 2121,
            Self::User => 2122,
            Self::RootOff => 2123,
            Self::UserOff => 2124,
        }
    }
}

/// What all ways share.
pub(super) struct Ground {
    work: Workspace,
    space: Namespace,
    program: PathBuf,
    certificates: Certificates,
    /// The private number of the server's key.
    secret: Vec<u8>,
    /// A directory where everybody may write.
    pub(super) outside: PathBuf,
    /// A socket in the file system that everybody may connect to.
    pub(super) socket: PathBuf,
    _listeners: (TcpListener, UdpSocket, UnixListener, UnixListener),
}

impl Ground {
    pub(super) fn lay(program: &Path) -> Result<Self> {
        let work = Workspace::create("drill", false)?;
        let space = Namespace::create("drill")?;
        space.ip("address add 192.0.2.9/32 dev lo\n")?;
        // Where every user can reach it.
        let copy = work.path().join("wharf");
        fs::copy(program, &copy)?;
        let certificates = Certificates::make(&work.directory("certificates")?)?;
        let key = KeyPair::from_pem(&fs::read_to_string(&certificates.key)?)?;
        let secret = private_number(key.serialized_der())?;
        let outside = work.directory("outside")?;
        let socket = outside.join("socket");
        let listeners = space.inside(|| {
            let at = UnixAddr::from_abstract_name(ABSTRACT)?;
            Ok::<_, std::io::Error>((
                TcpListener::bind(STRANGER)?,
                UdpSocket::bind(STRANGER)?,
                UnixListener::bind(&socket)?,
                UnixListener::bind_addr(&at)?,
            ))
        })??;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o777))?;
        Ok(Self {
            work,
            space,
            program: copy,
            certificates,
            secret,
            outside,
            socket,
            _listeners: listeners,
        })
    }

    /// A program of this user in the namespace.
    fn command(&self, as_root: bool, program: &Path) -> Command {
        if as_root {
            return self.space.command(program);
        }
        let mut command = self.space.command("setpriv");
        let number = UID.to_string();
        command.args(["--reuid", &number, "--regid", &number, "--clear-groups"]);
        command.arg(program);
        command
    }
}

/// A server started in one way, with files of its own, and a session with it.
pub(super) struct Seat<'g> {
    pub(super) ground: &'g Ground,
    pub(super) way: Way,
    folder: PathBuf,
    pub(super) server: Daemon,
    wire: Wire,
    victim: Option<Daemon>,
}

/// What came of an attempt.
pub(super) struct Came {
    pub(super) done: bool,
    pub(super) said: String,
}

impl Came {
    /// The system's word for it, where it has one.
    pub(super) fn cell(&self) -> String {
        if self.done {
            return "done".to_owned();
        }
        let number = |text: &str| {
            let (_, rest) = text.split_once("(os error ")?;
            rest.split(')').next()?.parse::<i32>().ok()
        };
        let first = self.said.split(':').next().unwrap_or_default();
        if first == "killed" {
            return first.to_owned();
        }
        match number(&self.said) {
            Some(1) => "EPERM".to_owned(),
            Some(13) => "EACCES".to_owned(),
            Some(other) => format!("error {other}"),
            None if first.starts_with('E') => first.to_owned(),
            None => "refused".to_owned(),
        }
    }
}

impl<'g> Seat<'g> {
    pub(super) fn take(ground: &'g Ground, way: Way) -> Result<Self> {
        let folder = ground.work.path().join(way.folder());
        if folder.exists() {
            // An earlier seat's.
            fs::remove_dir_all(&folder)?;
        }
        let folder = ground.work.directory(way.folder())?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        let served = folder.join("served");
        fs::create_dir_all(&served)?;
        let whose = if way == Way::RootOwn { 0 } else { UID };
        chown(&served, Some(whose), Some(whose))?;
        let owner = if way.is_root() { 0 } else { UID };
        // What is the server's alone: its key, its users, its state.
        for name in ["own", "state"] {
            let own = folder.join(name);
            fs::create_dir_all(&own)?;
            fs::set_permissions(&own, fs::Permissions::from_mode(0o700))?;
            chown(&own, Some(owner), Some(owner))?;
        }
        let secret = folder.join("own/secret");
        let users = folder.join("own/users.toml");
        fs::write(&secret, PASSWORD)?;
        let mut command = Command::new(&ground.program);
        command.args(["user", "add", "--file"]).arg(&users);
        command.arg("--password-file").arg(&secret).arg(USER);
        isolate(&mut command, &folder);
        must(command, b"")?;
        let key = folder.join("own/key.pem");
        fs::copy(&ground.certificates.key, &key)?;
        for file in [&secret, &users, &key] {
            fs::set_permissions(file, fs::Permissions::from_mode(0o600))?;
            chown(file, Some(owner), Some(owner))?;
        }
        let (server, wire) = started(ground, way, &folder)?;
        Ok(Self {
            ground,
            way,
            folder,
            server,
            wire,
            victim: None,
        })
    }

    /// A path below this seat's own folder.
    pub(super) fn path(&self, below: &str) -> String {
        self.folder.join(below).to_string_lossy().into_owned()
    }

    /// Runs an attempt inside the process that talks to the network.
    pub(super) fn attempt(&mut self, words: &str) -> Result<Came> {
        if !self.server.alive() {
            self.again()?;
        }
        self.wire.send(&format!("SITE DRILL {words}"))?;
        let Some(reply) = self.wire.next(Duration::from_secs(20))? else {
            // Another program is there now, which has no client.
            self.ended()?;
            return Ok(Came {
                done: true,
                said: "the process has become another program".to_owned(),
            });
        };
        let text = reply.text.trim_end();
        match text.strip_prefix("200 ").and_then(|it| it.split_once(": ")) {
            Some(("done", said)) => Ok(Came {
                done: true,
                said: said.to_owned(),
            }),
            Some(("refused", said)) => Ok(Came {
                done: false,
                said: said.to_owned(),
            }),
            _ => Err(format!("SITE DRILL {words}: {text}").into()),
        }
    }

    /// An attempt that must be the end of the server: its broker ends the other one, and says so.
    pub(super) fn last_attempt(&mut self, words: &str) -> Result<Came> {
        let came = self.attempt(words);
        let code = self.code(Duration::from_secs(20))?;
        let said = self.server.said();
        if code == 70 && said.contains("no honest one asks for") {
            return Ok(Came {
                done: false,
                said: "killed".to_owned(),
            });
        }
        Err(format!("exit {code}, {}; {}", came?.said, tail(&said)).into())
    }

    /// The server's exit status, which must come within this time.
    pub(super) fn code(&mut self, patience: Duration) -> Result<i32> {
        let start = Instant::now();
        loop {
            if let Some(code) = self.server.ended() {
                // Its last words may still be on their way through the pipe.
                std::thread::sleep(Duration::from_millis(50));
                return Ok(code);
            }
            if start.elapsed() > patience {
                return Err(format!("it goes on: {}", tail(&self.server.said())).into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The next server at the same port.
    pub(super) fn again(&mut self) -> Result<()> {
        (self.server, self.wire) = started(self.ground, self.way, &self.folder)?;
        Ok(())
    }

    fn ended(&mut self) -> Result<()> {
        let start = Instant::now();
        while self.server.alive() {
            if start.elapsed() > Duration::from_secs(20) {
                return Err(format!("the server goes on: {}", tail(&self.server.said())).into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The broker; `None` where there is none.
    pub(super) fn broker(&self) -> Option<u32> {
        self.way.has_broker().then(|| self.server.pid())
    }

    /// The process that talks to the network.
    pub(super) fn network(&self) -> Result<u32> {
        let pid = self.server.pid();
        if !self.way.has_broker() {
            return Ok(pid);
        }
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let first = children.split_whitespace().next().map(str::parse);
        Ok(first.ok_or("the broker has no network process")??)
    }

    /// A process of the user as whom the network is talked to.
    pub(super) fn victim(&mut self) -> Result<u32> {
        if let Some(victim) = &mut self.victim
            && victim.alive()
        {
            return Ok(victim.pid());
        }
        let as_root = matches!(self.way, Way::RootOwn | Way::RootOff);
        let mut command = self.ground.command(as_root, Path::new("sleep"));
        command.arg("600");
        let victim = Daemon::start(command)?;
        let pid = victim.pid();
        // Not before it has become that program and that user.
        let start = Instant::now();
        let is_asleep = || {
            fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sleep")
        };
        while !is_asleep() && start.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.victim = Some(victim);
        Ok(pid)
    }

    /// Whether the key can be found in the memory of the process that talks to the network: looked at from outside, by
    /// root, as the number itself (in either order of its bytes) and as the text of its file.
    pub(super) fn key_in_memory(&mut self) -> Result<Came> {
        let pid = self.network()?;
        let text = fs::read_to_string(&self.ground.certificates.key)?;
        let line = text
            .lines()
            .nth(1)
            .ok_or("the key's file has no second line")?;
        let mut turned = self.ground.secret.clone();
        turned.reverse();
        let wanted = [&self.ground.secret[..], &turned, line.as_bytes()];
        let memory = fs::File::open(format!("/proc/{pid}/mem"))?;
        let mut looked_at = 0;
        for (from, to) in ranges(pid)? {
            let length = usize::try_from(to - from)?;
            let mut bytes = vec![0; length];
            let mut got = 0;
            while got < length {
                match memory.read_at(&mut bytes[got..], from + got as u64) {
                    Ok(count @ 1..) => got += count,
                    // Guard pages have no content.
                    _ => break,
                }
            }
            looked_at += got;
            for key in wanted {
                if find(&bytes[..got], key) {
                    return Ok(Came {
                        done: true,
                        said: "found".to_owned(),
                    });
                }
            }
        }
        if looked_at < 1 << 20 {
            return Err(format!("only {looked_at} bytes of memory were seen").into());
        }
        Ok(Came {
            done: false,
            said: format!("not among {looked_at} bytes"),
        })
    }

    /// The key's number as it lies in memory, the last byte first, inverted, in hexadecimal digits.
    pub(super) fn inverted_key(&self) -> String {
        let digits = self
            .ground
            .secret
            .iter()
            .rev()
            .map(|byte| format!("{:02x}", !byte));
        digits.collect()
    }
}

/// An address in a process's memory that holds something.
pub(super) fn an_address(pid: u32) -> Result<u64> {
    let found = ranges(pid)?.first().map(|(from, _)| *from);
    Ok(found.ok_or("a process without memory")?)
}

/// The writable parts of a process's memory.
fn ranges(pid: u32) -> Result<Vec<(u64, u64)>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let writable = maps.lines().filter_map(|line| {
        let (range, rights) = line.split_once(' ')?;
        let (from, to) = range.split_once('-')?;
        let bounds = (
            u64::from_str_radix(from, 16).ok()?,
            u64::from_str_radix(to, 16).ok()?,
        );
        rights.starts_with("rw").then_some(bounds)
    });
    Ok(writable.collect())
}

fn find(bytes: &[u8], wanted: &[u8]) -> bool {
    let Some((first, _)) = wanted.split_first() else {
        return false;
    };
    let starts = bytes.iter().enumerate().filter(|(_, byte)| *byte == first);
    starts
        .map(|(at, _)| at)
        .any(|at| bytes[at..].starts_with(wanted))
}

/// The number of an elliptic key in PKCS #8: behind its version and the tag of 32 octets (RFC 5915).
fn private_number(der: &[u8]) -> Result<Vec<u8>> {
    let before = [2, 1, 1, 4, 32];
    let at = der.windows(before.len()).position(|it| it == before);
    let number = at.and_then(|at| der.get(at + before.len()..at + before.len() + 32));
    Ok(number.ok_or("no elliptic key")?.to_vec())
}

fn started(ground: &Ground, way: Way, folder: &Path) -> Result<(Daemon, Wire)> {
    let mut command = ground.command(way.is_root(), &ground.program);
    command.arg("serve").arg(folder.join("served"));
    let listen = format!("127.0.0.1:{}", way.port());
    command.args(["--listen", &listen, "--tls", "allowed", "--tls-cert"]);
    command.arg(&ground.certificates.chain).arg("--tls-key");
    command.arg(folder.join("own/key.pem")).arg("--users");
    command.arg(folder.join("own/users.toml"));
    command.args(["--passive-ports", "40000-40009"]);
    command.args(["--sandbox", way.sandbox(), "--stop-timeout", "1s"]);
    isolate(&mut command, folder);
    command.env("STATE_DIRECTORY", folder.join("state"));
    command.env(SECRET, "nobody's business");
    command.current_dir(folder);
    let mut daemon = Daemon::start(command)?;
    let start = Instant::now();
    while !daemon.said().contains("listening on ") {
        if !daemon.alive() || start.elapsed() > Duration::from_secs(20) {
            return Err(format!("{}: {}", way.head(), tail(&daemon.said())).into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let at: SocketAddr = listen.parse()?;
    let wire = Wire::login(&ground.space, at)?;
    Ok((daemon, wire))
}
