//! Where one server is attacked, and what a row says of it.

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::certificates::Certificates;
use crate::server::{self, Kind, PASSWORD, Place, Server, ServerPlan, Tls, USER};
use crate::stage::{CLIENT, STRANGER, Stage};
use crate::topology::{self, RANGE};
use crate::wire::{Wire, connect_from};
use crate::{Failure, Result, Settings, payload};

/// What a row comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Safe,
    Unsafe,
    /// The server does not have what is attacked.
    Inapplicable,
    /// The attack itself went wrong.
    Unknown,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Unsafe => "UNSAFE",
            Self::Inapplicable => "n.a.",
            Self::Unknown => "?",
        }
    }
}

/// A verdict and what was seen, in a few words.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) verdict: Verdict,
    pub(super) word: String,
}

#[expect(clippy::unnecessary_wraps, reason = "what probes end with, beside `?`")]
impl Seen {
    pub(super) fn safe(word: impl Into<String>) -> Result<Self> {
        Ok(Self {
            verdict: Verdict::Safe,
            word: word.into(),
        })
    }

    pub(super) fn bad(word: impl Into<String>) -> Result<Self> {
        Ok(Self {
            verdict: Verdict::Unsafe,
            word: word.into(),
        })
    }

    /// Safe if `holds`.
    pub(super) fn if_so(holds: bool, word: impl Into<String>) -> Result<Self> {
        if holds {
            Self::safe(word)
        } else {
            Self::bad(word)
        }
    }

    pub(super) fn inapplicable(word: impl Into<String>) -> Result<Self> {
        Ok(Self {
            verdict: Verdict::Inapplicable,
            word: word.into(),
        })
    }

    pub(super) fn unknown(failure: &Failure) -> Self {
        Self {
            verdict: Verdict::Unknown,
            word: failure.to_string(),
        }
    }
}

/// A network with one kind of server.
pub(super) struct Scene {
    pub(super) stage: Stage,
    pub(super) kind: Kind,
    pub(super) certificates: Certificates,
    number: AtomicU32,
}

impl Scene {
    pub(super) fn build(settings: &Settings, kind: Kind) -> Result<Self> {
        let what = format!("attacks-{}", kind.name());
        let stage = Stage::in_topology(settings, &what, topology::PLAIN, kind)?;
        payload::write(&stage.root.join("small.bin"), 100_000)?;
        payload::write(&stage.root.join("large.bin"), 64 << 20)?;
        let certificates = Certificates::make(&stage.work.directory("certificates")?)?;
        Ok(Self {
            stage,
            kind,
            certificates,
            number: AtomicU32::new(0),
        })
    }

    pub(super) fn is_wharf(&self) -> bool {
        self.kind == Kind::Wharf
    }

    /// A directory that no other row has.
    pub(super) fn own_directory(&self) -> Result<PathBuf> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        self.stage.work.directory(&format!("row-{number}"))
    }

    /// A server of its own, with these flags of `wharf serve` or these lines of the peer's configuration.
    pub(super) fn serve(&self, flags: &[&str], lines: &[&str]) -> Result<Server> {
        self.start(flags, lines, None)
    }

    /// The same in TLS, required on both connections.
    pub(super) fn serve_tls(&self) -> Result<Server> {
        let tls = Tls {
            certificates: &self.certificates,
            implicit: false,
            data_session: "require",
        };
        self.start(&[], &[], Some(tls))
    }

    fn start(&self, flags: &[&str], lines: &[&str], tls: Option<Tls<'_>>) -> Result<Server> {
        let work = self.own_directory()?;
        let list = work.join("bans").to_string_lossy().into_owned();
        let mut further: Vec<&str> = flags.to_vec();
        further.extend(["--ban-list", &list]);
        server::start(
            self.kind,
            Place::Namespace(&self.stage.network.server),
            &ServerPlan {
                wharf: &self.stage.wharf,
                directory: &self.stage.root,
                work: &work,
                port: 21,
                user: USER,
                password: PASSWORD,
                passive: RANGE,
                advertise: None,
                max_sessions: 0,
                further: &further,
                lines,
                tls,
            },
        )
    }

    pub(super) fn control(&self) -> SocketAddr {
        self.stage.network.control()
    }

    /// A session of the client, logged in.
    pub(super) fn login(&self) -> Result<Wire> {
        Wire::login(&self.stage.network.client, self.control())
    }

    /// A greeted connection of the client.
    pub(super) fn greet(&self) -> Result<Wire> {
        Wire::greet(&self.stage.network.client, self.control())
    }

    pub(super) fn connect(&self, from: std::net::Ipv4Addr, to: SocketAddr) -> Result<TcpStream> {
        self.stage
            .network
            .client
            .inside(|| connect_from(IpAddr::V4(from), to))?
    }

    /// A greeted connection of somebody else.
    pub(super) fn greet_stranger(&self) -> Result<Wire> {
        Wire::over(self.connect(STRANGER, self.control())?)
    }

    pub(super) fn dial(&self, to: SocketAddr) -> Result<TcpStream> {
        self.connect(CLIENT, to)
    }

    /// A whole download.
    pub(super) fn get(&self, wire: &mut Wire, name: &str) -> Result<Vec<u8>> {
        wire.listing(&self.stage.network.client, &format!("RETR {name}"))
    }

    /// How long somebody else waits for a login and a NOOP; an error when it takes too long altogether.
    pub(super) fn others_wait(&self) -> Result<Duration> {
        let start = Instant::now();
        let mut wire = self.greet_stranger()?;
        wire.enter()?;
        wire.send("NOOP")?;
        wire.expect(&[200])?;
        Ok(start.elapsed())
    }
}

/// Memory of the server and all its children, in kibibytes; what they share is counted once.
pub(super) fn resident(server: &Server) -> u64 {
    let mut wanted = vec![server.pid()];
    let mut sum = 0;
    while let Some(pid) = wanted.pop() {
        if let Ok(text) = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")) {
            wanted.extend(
                text.split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
        let status = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("Pss:"));
        let size = line.and_then(|rest| rest.split_whitespace().next());
        sum += size.and_then(|size| size.parse::<u64>().ok()).unwrap_or(0);
    }
    sum
}
