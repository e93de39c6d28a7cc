//! One control connection from the greeting to the goodbye: next line, parse, admit, execute, answer.
//!
//! One task owns everything here (law 2): nothing is locked, and an ABOR can never wait for the
//! transfer that it is to stop. How a transfer and the control connection live side by side is
//! `dtp.rs`; what each command does is in `commands/`.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::Instrument;
use wharf_accounts::{Granted, Offence};
use wharf_net::shared_port::{Entrance, Place, WayToPorter};
use wharf_net::tls::ServerSession;
use wharf_net::{Conn, DataPort, ServerControl, Stop, Trace};
use wharf_proto::data_connection::passive_choice::{PassiveChoice, PassivePort};
use wharf_proto::facts::FactSet;
use wharf_proto::server_pi::ServerPi;
use wharf_proto::trace::Side;
use wharf_proto::{Command, CommandErrorKind, Digest, Line, Reply, Verb};
use wharf_storage::Storage;

use crate::commands::digest;
use crate::commands::lines::OFFERED;
use crate::descriptors::Share;
use crate::dtp::LONG;
use crate::failure::{Circumstances, Failure, Outcome, Told};
use crate::limits::UserSeat;
use crate::protection::Switch;
use crate::setup::Setup;

/// So many lines that are no FTP command may come before the login; then it is no FTP client
const NONSENSE_BEFORE_LOGIN: u32 = 10;

/// So long a port of the passive range waits for the next command of its session: clients send it at
/// once, and a range is small
const UNUSED_PORT: Duration = Duration::from_mins(1);

/// So many octets of a download may still wait in the kernels when it is over for us. The client is busy
/// with them for a while, and silent
const UNREAD: u64 = 64 * 1024;

/// So long a client may be busy with what it has not read yet, and its control connection is kept warm
const UNREAD_FOR: Duration = Duration::from_mins(1);

/// One control connection and all that belongs to it
pub(crate) struct Session {
    pub(crate) number: u64,
    pub(crate) setup: Arc<Setup>,
    pub(crate) control: ServerControl,
    pub(crate) pi: ServerPi,
    pub(crate) stop: watch::Receiver<Stop>,
    /// Where the next data connection comes from: what PASV, EPSV, PORT or EPRT left behind
    pub(crate) data_port: Option<DataPort>,
    /// What the transfer command being executed, or refused, took from `data_port`
    ///
    /// One that was refused keeps it until the next command: many clients connect before they send
    /// the command, and a port closed under them is a reset that some take for the end of the
    /// session (basic-ftp).
    pub(crate) claimed_port: Option<DataPort>,
    /// The command being executed has taken it
    pub(crate) claimed: bool,
    /// What the last 227, 228 or 229 said
    pub(crate) told: Option<Told>,
    /// What the last PORT, EPRT or LPRT named
    pub(crate) asked: Option<(&'static str, SocketAddr)>,
    /// Octets that the data connection of the last transfer command has moved
    pub(crate) moved: u64,
    pub(crate) login: Option<Login>,
    pub(crate) failed_logins: u32,
    /// The user name that failed last in this session, and how often in a row
    pub(crate) failed_as: Option<(Vec<u8>, u32)>,
    /// May be changed with SITE IDLE
    pub(crate) idle: Duration,
    /// Lines that came during a transfer and are answered after it, in order
    pub(crate) waiting: VecDeque<Line>,
    /// The client sent its last line; what is in `waiting` is still answered
    pub(crate) hung_up: bool,
    /// No further command is read; the loop ends after the reply being made
    pub(crate) closing: bool,
    /// The command being executed, for the law that its replies are of its row
    pub(crate) verb: Option<&'static Verb>,
    /// Which kind of port the next 227 or 229 names
    pub(crate) passive: PassiveChoice,
    /// When it was last named
    pub(crate) passive_since: Instant,
    /// Its way to shared ports; none without a server around it
    pub(crate) place: Option<Place>,
    pub(crate) totals: Totals,
    /// What ALLO announced for the next upload
    pub(crate) announced: Option<u64>,
    /// The TLS of both its connections, once there was a handshake
    pub(crate) tls: Option<ServerSession>,
    /// It came in by a door for implicit TLS
    pub(crate) implicit: bool,
    /// What HASH computes
    pub(crate) digest: Digest,
    /// What RANG said about the next HASH: its first byte, and its last
    pub(crate) range: Option<(u64, u64)>,
    /// What the reply being made announces
    pub(crate) switch: Option<Switch>,
    nonsense: u32,
    /// Since when nobody is logged in, if so
    pub(crate) nobody_since: Instant,
    /// Its descriptors, counted
    pub(crate) share: Share,
}

/// What a login gave
pub(crate) struct Login {
    pub(crate) granted: Granted,
    pub(crate) anonymous: bool,
    /// Held for its Drop
    pub(crate) _seat: Option<UserSeat>,
}

/// What a session has moved, for STAT and the log
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Totals {
    pub(crate) files: u64,
    pub(crate) octets: u64,
}

/// What ends the wait for a command
enum Wake {
    Line(Option<Line>),
    Idle,
    NoLogin,
    Stop,
}

impl Session {
    pub(crate) fn new(
        setup: Arc<Setup>,
        conn: Conn,
        share: Share,
        stop: watch::Receiver<Stop>,
    ) -> Self {
        let number = setup.shared.next_session();
        let trace = Trace::new(setup.config.recorder.clone(), number).on_side(Side::Server);
        let outside = &setup.shared.outside;
        outside.reached(conn.local_addr().ip(), conn.bound_addr().ip());
        let mut control = ServerControl::new(conn, setup.config.line_limit, trace);
        control.set_write_patience(setup.config.stall);
        control.set_keepalive(setup.config.keepalive);
        Self {
            number,
            control,
            pi: new_pi(),
            stop,
            data_port: None,
            claimed_port: None,
            claimed: false,
            told: None,
            asked: None,
            moved: 0,
            login: None,
            failed_logins: 0,
            failed_as: None,
            idle: setup.config.idle,
            waiting: VecDeque::new(),
            hung_up: false,
            closing: false,
            verb: None,
            passive_since: Instant::now(),
            passive: PassiveChoice::beginning_with(PassivePort::Data),
            place: None,
            totals: Totals::default(),
            announced: None,
            tls: None,
            implicit: false,
            digest: digest::DEFAULT,
            range: None,
            switch: None,
            nonsense: 0,
            nobody_since: Instant::now(),
            share,
            setup,
        }
    }

    /// By this door, so that its data connections may come the same way
    pub(crate) fn came_in(mut self, entrance: Entrance, way: WayToPorter) -> Self {
        let client = self.setup.config.counted_as(self.peer().ip());
        self.implicit = self.setup.config.is_implicit(entrance.wanted);
        self.place = Some(Place::new(self.number, client, entrance, way));
        self.recall_passive_port();
        self
    }

    /// Serves until the client leaves or is sent away
    pub(crate) async fn serve(mut self) -> io::Result<()> {
        if self.implicit {
            Box::pin(self.begin_in_tls()).await?;
        }
        let greeting = Reply::new(220, &self.setup.config.greeting);
        self.control.queue(&greeting);
        while !self.closing {
            match self.wake().await? {
                Wake::Line(Some(line)) => self.answer(line).await?,
                Wake::Line(None) => break,
                Wake::Idle => {
                    let text = format!("Nothing heard for {} s, goodbye", self.idle.as_secs());
                    self.dismiss(&text);
                }
                Wake::NoLogin => self.dismiss("No login in time, goodbye"),
                Wake::Stop => self.dismiss("The server is stopping, goodbye"),
            }
        }
        self.leave_passive_port().await;
        tracing::debug!(
            files = self.totals.files,
            octets = self.totals.octets,
            "session ends"
        );
        self.control.close().await
    }

    /// The storage of the login; the table of verbs lets no command without a login ask for it
    pub(crate) fn storage(&self) -> Result<Arc<dyn Storage>, Failure> {
        match &self.login {
            Some(login) => Ok(Arc::clone(&login.granted.storage)),
            None => Err(Failure::Refused(Reply::new(530, "Log in first"))),
        }
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.control.peer_addr()
    }

    /// 421, and the end
    pub(crate) fn dismiss(&mut self, text: &str) {
        self.control.queue(&Reply::new(421, text));
        self.closing = true;
    }

    async fn wake(&mut self) -> io::Result<Wake> {
        let wake = self.wait().await;
        self.control.keep_warm(false);
        wake
    }

    async fn wait(&mut self) -> io::Result<Wake> {
        if *self.stop.borrow() != Stop::No {
            return Ok(Wake::Stop);
        }
        if let Some(line) = self.waiting.pop_front() {
            return Ok(Wake::Line(Some(line)));
        }
        if self.hung_up {
            return Ok(Wake::Line(None));
        }
        let now = Instant::now();
        let (deadline, late) = match self.login {
            Some(_) => (now + self.idle, Wake::Idle),
            None => (
                (now + self.idle).min(self.nobody_since + self.setup.config.no_login),
                Wake::NoLogin,
            ),
        };
        let mut unread = self.moved > UNREAD;
        let mut warm = false;
        loop {
            let listens = [&self.data_port, &self.claimed_port]
                .into_iter()
                .any(|port| matches!(port, Some(DataPort::Listening(_))));
            let Self { control, stop, .. } = self;
            tokio::select! {
                biased;
                // Writes the queued replies first, unless another command waits: a burst costs one write.
                line = control.next_line() => return Ok(Wake::Line(line?)),
                () = Stop::stopping(stop) => return Ok(Wake::Stop),
                () = sleep_until(deadline) => return Ok(late),
                () = sleep_until(now + LONG), if unread && !warm => {
                    warm = true;
                    control.keep_warm(true);
                }
                () = sleep_until(now + UNREAD_FOR), if warm => {
                    (warm, unread) = (false, false);
                    control.keep_warm(false);
                }
                () = sleep_until(now + UNUSED_PORT), if listens => {
                    self.give_back().await;
                    self.claimed_port = None;
                }
            }
        }
    }

    async fn answer(&mut self, line: Line) -> io::Result<()> {
        let line = match line {
            Line::Command(line) => line,
            Line::TooLong => {
                let limit = self.setup.config.line_limit;
                let reply = Reply::new(500, format!("Line longer than {limit} octets"));
                self.control.queue(&reply);
                self.nonsense();
                return Ok(());
            }
            // Telnet's "listen now": whoever reads promptly has nothing more to do (RFC 959 §4.1.3 ABOR).
            Line::Synch => return Ok(()),
        };
        let command = match Command::parse(&line) {
            Ok(command) => command,
            Err(error) => {
                let reply = error.reply();
                self.pi.finish_unreadable();
                match error.verb {
                    Some(verb) => {
                        check_reply(verb, &reply);
                        self.control.queue(&reply);
                    }
                    None if error.kind == CommandErrorKind::ForeignProtocol => {
                        tracing::warn!(client = %self.peer(), "not FTP: closed");
                        self.note_offence(Offence::NotFtp);
                        self.control.queue(&reply);
                        self.closing = true;
                    }
                    None => {
                        self.control.queue(&reply);
                        self.nonsense();
                    }
                }
                return Ok(());
            }
        };
        let verb = command.verb();
        self.verb = Some(verb);
        self.claimed_port = None;
        self.moved = 0;
        self.consider_demands(&command);
        let outcome = match self.pi.admit(&command) {
            // Boxed: the largest handler would else be part of every idle session.
            Ok(()) => Box::pin(self.execute(command)).await,
            Err(reply) => Err(Failure::Refused(reply)),
        };
        self.pi.finish(verb);
        self.verb = None;
        if std::mem::take(&mut self.claimed) {
            self.learn_from(&outcome);
        }
        match reply_to(verb, outcome, &self.circumstances()) {
            Ok(reply) => {
                check_reply(verb, &reply);
                self.control.queue(&reply);
            }
            Err(gone) => return Err(gone),
        }
        match self.switch.take() {
            Some(switch) => Box::pin(self.switch(switch)).await,
            None => Ok(()),
        }
    }

    /// What its failures do not know of themselves
    fn circumstances(&self) -> Circumstances {
        let config = &self.setup.config;
        Circumstances {
            peer: self.peer().ip(),
            control_port: self.control.local_addr().port(),
            told: self.told,
            range: config.data_port.unwrap_or(config.passive_ports),
            active: config.active && !self.pi.epsv_all(),
            control_port_next: self.next_is_control_port(),
            moved: self.moved,
        }
    }

    /// Counts a line that is no command: web browsers and mail servers are sent away before they do harm
    fn nonsense(&mut self) {
        self.nonsense += 1;
        if self.login.is_none() && self.nonsense > NONSENSE_BEFORE_LOGIN {
            tracing::warn!(client = %self.peer(), "too many unknown commands before login: closed");
            self.note_offence(Offence::Nonsense);
            self.dismiss("Too many unknown commands, goodbye");
        }
    }
}

/// The state after the greeting, with the facts that this server can tell
pub(crate) fn new_pi() -> ServerPi {
    let mut pi = ServerPi::new();
    pi.set_facts(FactSet::of(OFFERED));
    pi
}

/// Runs a session in a span of its own
pub(crate) async fn run(session: Session) {
    let span = tracing::info_span!(
        "session",
        id = session.number,
        client = %session.peer(),
    );
    async {
        tracing::debug!("session begins");
        if let Err(error) = session.serve().await {
            tracing::debug!(%error, "control connection is gone");
        }
    }
    .instrument(span)
    .await;
}

/// 421 instead of a session, and `patience` for the client to read it and leave
pub(crate) async fn refuse(setup: &Setup, conn: Conn, text: &str, patience: Duration) {
    let trace = Trace::new(setup.config.recorder.clone(), setup.shared.next_session())
        .on_side(Side::Server);
    let mut control = ServerControl::new(conn, setup.config.line_limit, trace);
    control.queue(&Reply::new(421, text));
    // Whether a client that is turned away reads why is its own affair.
    let _ = timeout(patience, control.close()).await;
}

/// The reply of an outcome; an error when nobody is left to read one
fn reply_to(verb: &Verb, outcome: Outcome, now: &Circumstances) -> io::Result<Reply> {
    let failure = match outcome {
        Ok(reply) => return Ok(reply),
        Err(failure) => failure,
    };
    failure.log(now);
    match (failure.reply(verb, now), failure) {
        (Some(reply), _) => Ok(reply),
        (None, Failure::Gone(error)) => Err(error),
        (None, _) => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

/// Law 4: every reply is one that the RFC allows for its command (RFC 959 §5.4)
pub(crate) fn check_reply(verb: &Verb, reply: &Reply) {
    debug_assert!(
        verb.allows(reply.code()),
        "{} does not answer {}: {:?}",
        verb.word,
        reply.code(),
        reply,
    );
}
