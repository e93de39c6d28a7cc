//! A network without hindrance, one server that speaks TLS, and the sessions that clients have with it.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::caller::{Call, Caller, Step, Terms};
use crate::certificates::Certificates;
use crate::network::Network;
use crate::payload::{self, Workspace};
use crate::process::{Outcome, isolate, last_lines, run as run_bounded};
use crate::server::{self, Kind, PASSWORD, Place, Server, ServerPlan, Tls, USER};
use crate::{Result, Settings, topology};

/// Counts the control connections that reach the server.
const COUNT: &str = "
table inet lab-ftps {
  counter control { }
  chain input { type filter hook input priority filter;
    tcp dport { 21, 990 } tcp flags & (syn | ack) == syn counter name control
  }
}";

/// Bytes of each file that crosses.
const SIZE: u64 = 50_000;

/// No session lasts longer. curl loses up to a second a transfer.
const LIMIT: Duration = Duration::from_mins(3);

/// What the listings are looked through for.
const WITNESS: &str = "payload.bin";

/// The server and what it serves.
pub(crate) struct Ground {
    network: Network,
    _server: Server,
    certificates: Certificates,
    work: Workspace,
    root: PathBuf,
    secret: PathBuf,
    wharf: PathBuf,
    number: AtomicU32,
}

/// How many transfers a session has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount {
    pub(crate) puts: u32,
    pub(crate) gets: u32,
    pub(crate) lists: u32,
    /// The uploads come after everything else, instead of before.
    pub(crate) puts_last: bool,
}

impl Amount {
    /// As many of each.
    pub(crate) const fn each(number: u32) -> Self {
        Self {
            puts: number,
            gets: number,
            lists: number,
            puts_last: false,
        }
    }
}

/// How a session went.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) outcome: Outcome,
    /// What did not cross, first of all.
    pub(crate) fault: Option<String>,
    /// Control connections that it took.
    pub(crate) controls: u64,
    /// What wharf's client has noted of it.
    pub(crate) trace: String,
}

impl Session {
    /// Why it failed, if it did.
    pub(crate) fn failure(&self) -> Option<String> {
        if self.fault.is_none() && self.outcome.succeeded() {
            return None;
        }
        Some(format!(
            "{}; {}; {}",
            self.fault.as_deref().unwrap_or("all has crossed, and yet"),
            self.outcome.last_words(),
            last_lines(&self.trace, 8)
        ))
    }
}

impl Ground {
    /// Lays the network and starts the server.
    pub(crate) fn prepare(
        settings: &Settings,
        kind: Kind,
        implicit: bool,
        data_session: &str,
    ) -> Result<Self> {
        let work = Workspace::create(&format!("ftps-{}", kind.name()), false)?;
        let root = work.directory("root")?;
        payload::write(&root.join(WITNESS), SIZE)?;
        let secret = work.path().join("secret");
        fs::write(&secret, PASSWORD)?;
        let certificates = Certificates::make(&work.path().join("certificates"))?;
        let network = Network::build(&topology::PLAIN)?;
        network.server.nft(COUNT)?;
        let server = server::start(
            kind,
            Place::Namespace(&network.server),
            &ServerPlan {
                wharf: &settings.wharf,
                directory: &root,
                work: &work.directory("server")?,
                port: if implicit { 990 } else { 21 },
                user: USER,
                password: PASSWORD,
                passive: topology::RANGE,
                advertise: None,
                max_sessions: 0,
                lines: &[],
                further: &[],
                tls: Some(Tls {
                    certificates: &certificates,
                    implicit,
                    data_session,
                }),
            },
        )?;
        Ok(Self {
            network,
            _server: server,
            certificates,
            work,
            root,
            secret,
            wharf: settings.wharf.clone(),
            number: AtomicU32::new(0),
        })
    }

    /// That many uploads, downloads and listings, in this order, on one control connection.
    pub(crate) fn session(&self, caller: &Caller, terms: Terms, amount: Amount) -> Result<Session> {
        let Amount {
            puts, gets, lists, ..
        } = amount;
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let here = self.work.directory(&format!("session-{number}"))?;
        let payload = self.root.join(WITNESS);
        let stored = |at: u32| format!("put-{number}-{at}.bin");
        let mut steps = Vec::new();
        steps.extend((0..puts).map(|at| Step::Put(payload.clone(), stored(at))));
        let got = |at: u32| here.join(format!("got-{at}.bin"));
        steps.extend((0..gets).map(|at| Step::Get(WITNESS.to_owned(), got(at))));
        let listing = |at: u32| here.join(format!("listing-{at}"));
        steps.extend((0..lists).map(|at| Step::List(listing(at))));
        if amount.puts_last {
            steps.rotate_left(usize::try_from(puts)?);
        }
        let host: IpAddr = topology::SERVER;
        let call = Call {
            terms,
            host,
            certificates: &self.certificates,
            steps: &steps,
            wharf: &self.wharf,
            secret: &self.secret,
            here: &here,
        };
        let script = (caller.script)(&call);
        fs::write(call.script(), &script.text)?;
        let Some((program, arguments)) = script.command.split_first() else {
            return Err("the caller has nothing to run".into());
        };
        let trace = here.join("trace");
        let mut command = self.network.client.command(program);
        command.args(arguments).current_dir(&here);
        isolate(&mut command, &here);
        command.env("WHARF_TRACE", &trace);
        let before = self.controls()?;
        let outcome = run_bounded(command, script.input.as_bytes(), LIMIT)?;
        let controls = self.controls()? - before;
        let mut fault = None;
        for at in 0..puts {
            let path = self.root.join(stored(at));
            fault = fault.or(payload::same(&payload, &path)
                .err()
                .map(|why| format!("upload {}: {why}", at + 1)));
            let _ = fs::remove_file(path);
        }
        for at in 0..gets {
            fault = fault.or(payload::same(&payload, &got(at))
                .err()
                .map(|why| format!("download {}: {why}", at + 1)));
        }
        for at in 0..lists {
            let shown = fs::read_to_string(listing(at)).unwrap_or_default();
            let lacks = (!shown.contains(WITNESS)).then(|| format!("listing {} lacks it", at + 1));
            fault = fault.or(lacks);
        }
        let session = Session {
            outcome,
            fault,
            controls,
            trace: fs::read_to_string(&trace).unwrap_or_default(),
        };
        let _ = fs::remove_dir_all(&here);
        Ok(session)
    }

    fn controls(&self) -> Result<u64> {
        self.network.server.counted("inet", "lab-ftps", "control")
    }
}
