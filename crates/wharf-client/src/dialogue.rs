//! The control connection with its book-keeping: which commands still await their final reply, how long a round trip
//! takes, and how both sides come in step again after a transfer was given up.
//!
//! Every command gets exactly one final reply (RFC 959 §4.2); as long as the count is right, a reply is never taken for
//! the answer to another command, even when the future that waited for it was dropped. Where the count cannot be
//! restored the control connection is given up and the client logs in anew.

use std::future::Future;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};
use wharf_net::tls::{TlsError, TlsSession};
use wharf_net::{ControlError, UserControl};
use wharf_proto::reply::ReplyError;
use wharf_proto::trace::What;
use wharf_proto::user_pi::{Heard, UserPi};
use wharf_proto::{Command, Reply, ReplyClass, RepresentationType, Text};

use crate::charset::Charset;
use crate::error::{Error, ErrorKind, Result};
use crate::options::SHORT_REPLY_LINES;
use crate::tls::Protection;

/// The least time that a server gets to answer ABOR, and that a silent path costs.
pub(crate) const LEAST_PATIENCE: Duration = Duration::from_millis(1500);

/// So many round trips are enough for a SYN, its two early repetitions and a slow server.
pub(crate) const PATIENT_ROUND_TRIPS: u32 = 8;

/// More than any server needs to say that it is still busy; without an end it would hold us for ever.
const PRELIMINARY_LIMIT: usize = 16;

/// Assumed until something has been measured.
const UNMEASURED: Duration = Duration::from_millis(100);

/// One control connection and what is owed on it.
pub(crate) struct Dialogue {
    control: UserControl,
    pi: UserPi,
    lost: bool,
    round_trip: Option<Duration>,
    last: Option<Reply>,
    /// The TLS that it is in, or has left with CCC.
    pub(crate) protection: Option<Protection>,
    /// What a person must be told about its protection.
    warnings: Vec<String>,
    /// What the server writes names in, when it is not UTF-8.
    charset: Option<Charset>,
}

impl Dialogue {
    pub(crate) fn new(control: UserControl) -> Self {
        Self {
            control,
            pi: UserPi::new(),
            lost: false,
            round_trip: None,
            last: None,
            protection: None,
            warnings: Vec::new(),
            charset: None,
        }
    }

    /// From here on names are converted on the way, in commands and replies.
    pub(crate) fn write_names_in(&mut self, charset: Option<Charset>) {
        self.charset = charset;
    }

    pub(crate) fn charset(&self) -> Option<Charset> {
        self.charset
    }

    /// Something is less protected than it could be. In the trace, too.
    pub(crate) fn warn(&mut self, what: String) {
        self.control.trace().record(|| What::Note(what.clone()));
        self.warnings.push(what);
    }

    pub(crate) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    pub(crate) fn control(&self) -> &UserControl {
        &self.control
    }

    pub(crate) fn control_mut(&mut self) -> &mut UserControl {
        &mut self.control
    }

    /// What its data connections are protected with; `None`: they are in clear.
    pub(crate) fn data_session(&self) -> Option<TlsSession> {
        self.protection.as_ref()?.of_data()
    }

    /// Probes the connection more often, as long as a transfer leaves it silent.
    pub(crate) fn keep_warm(&mut self, warm: bool) {
        self.control.keep_warm(warm);
    }

    /// Whether the next reply will be the answer to the next command.
    pub(crate) fn in_step(&self) -> bool {
        self.pi.in_step() && !self.lost
    }

    /// Whether the connection is of no use any more.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost
    }

    /// From here on the connection is of no use any more.
    pub(crate) fn give_up(&mut self) {
        self.lost = true;
    }

    /// The last reply, whatever it answered.
    pub(crate) fn last(&self) -> Option<&Reply> {
        self.last.as_ref()
    }

    /// The shortest time between a command and its reply so far.
    pub(crate) fn round_trip(&self) -> Duration {
        self.round_trip.unwrap_or(UNMEASURED)
    }

    pub(crate) fn measured(&mut self, took: Duration) {
        self.round_trip = Some(self.round_trip.map_or(took, |it| it.min(took)));
    }

    /// How long something that should take one round trip is waited for.
    pub(crate) fn patience(&self) -> Duration {
        LEAST_PATIENCE.max(self.round_trip() * PATIENT_ROUND_TRIPS)
    }

    pub(crate) async fn send(&mut self, command: &Command) -> Result<()> {
        // Counted first: when this future is dropped half-way, the line still goes out and its reply still comes.
        self.pi.sent(command);
        let converted = self.charset.and_then(|charset| charset.of_command(command));
        let sent = match converted {
            Some(line) => self.control.send_line(&line).await,
            None => self.control.send(command).await,
        };
        self.sent(sent)
    }

    fn sent(&mut self, sent: std::io::Result<()>) -> Result<()> {
        sent.map_err(|error| {
            self.lost = true;
            gone(error)
        })
    }

    /// The next reply of any class. Cancel-safe.
    pub(crate) async fn reply(&mut self, within: Duration) -> Result<Reply> {
        let seen = timeout(within, self.control.next_reply()).await;
        let Ok(seen) = seen else {
            return Err(Error::new(
                ErrorKind::Timeout,
                format!("no reply within {} s", seconds(within)),
            ));
        };
        let reply = seen.map_err(|error| self.broken(error))?;
        let reply = self.in_utf8(reply);
        self.heard(&reply);
        Ok(reply)
    }

    /// The next reply, waited for without a limit; to be used inside `select!`. Cancel-safe.
    pub(crate) async fn any_reply(&mut self) -> Result<Reply> {
        let seen = self.control.next_reply().await;
        let reply = seen.map_err(|error| self.broken(error))?;
        let reply = self.in_utf8(reply);
        self.heard(&reply);
        Ok(reply)
    }

    fn in_utf8(&self, reply: Reply) -> Reply {
        match self.charset {
            Some(charset) => charset.of_reply(reply),
            None => reply,
        }
    }

    fn heard(&mut self, reply: &Reply) {
        let unasked = self.pi.heard(reply) == Heard::Unasked;
        self.lost |= self.pi.closing();
        if !unasked {
            self.last = Some(reply.clone());
        }
    }

    /// Whether TYPE must be sent before a transfer in this representation type.
    pub(crate) fn needs_type(&self, wanted: RepresentationType) -> bool {
        self.pi.needs_type(wanted)
    }

    /// Whether REST 0 must stand before a transfer that begins at the beginning.
    pub(crate) fn may_hold_marker(&self) -> bool {
        self.pi.may_hold_marker()
    }

    fn broken(&mut self, error: ControlError) -> Error {
        self.lost = true;
        match error {
            ControlError::Closed => Error::new(
                ErrorKind::Closed,
                "the server closed the control connection",
            ),
            ControlError::Reply(error) => Error::new(ErrorKind::Protocol, not_a_reply(&error)),
            ControlError::Io(error) => gone(error),
            error => Error::from_source(ErrorKind::Closed, "control connection", error),
        }
    }

    /// Reads what the server has said since the last reply without having been asked: a 421 and its end of the connection,
    /// as a rule. Waits for nothing.
    pub(crate) async fn overhear(&mut self) {
        tokio::task::yield_now().await; // lets the runtime look at its sockets
        while self.in_step() {
            let heard = {
                let mut next = std::pin::pin!(self.any_reply());
                std::future::poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await
            };
            match heard {
                Poll::Ready(Ok(reply)) => tracing::debug!(code = reply.code(), "unasked reply"),
                Poll::Ready(Err(error)) => tracing::debug!(%error, "the session has ended"),
                Poll::Pending => return,
            }
        }
    }

    /// A command and its final reply; preliminary replies are passed over (120 to USER, 150 that nobody asked for).
    pub(crate) async fn exchange(&mut self, command: &Command, within: Duration) -> Result<Reply> {
        let began = Instant::now();
        self.send(command).await?;
        let reply = self
            .final_reply(within)
            .await
            .map_err(|error| match error.kind() {
                ErrorKind::Timeout => error.at(&command.redacted()),
                _ => error,
            })?;
        self.measured(began.elapsed());
        if reply.lines().len() > SHORT_REPLY_LINES && !may_be_long(command) {
            self.lost = true;
            let what = format!(
                "{}: a reply of {} lines",
                command.redacted(),
                reply.lines().len()
            );
            return Err(Error::new(ErrorKind::Protocol, what));
        }
        Ok(reply)
    }

    /// A line as it was typed, and its final reply.
    pub(crate) async fn exchange_line(&mut self, line: &Text, within: Duration) -> Result<Reply> {
        // What is no command of ours is answered like one, with one final reply.
        self.pi
            .sent(&Command::parse(line.as_bytes()).unwrap_or(Command::Noop));
        let converted = self.charset.and_then(|charset| charset.of_line(line));
        let line = converted.as_ref().unwrap_or(line);
        let sent = self.control.send_line(line).await;
        self.sent(sent)?;
        self.final_reply(within).await
    }

    pub(crate) async fn final_reply(&mut self, within: Duration) -> Result<Reply> {
        for _ in 0..=PRELIMINARY_LIMIT {
            let reply = self.reply(within).await?;
            if reply.class() != ReplyClass::Preliminary {
                return Ok(reply);
            }
        }
        self.lost = true;
        Err(Error::new(
            ErrorKind::Protocol,
            format!("more than {PRELIMINARY_LIMIT} preliminary replies, and no final one"),
        ))
    }

    /// Comes in step again: reads what is owed, with ABOR first when a transfer may still be running. `false` when the
    /// server does not answer in time (one that sits in a `connect` or `accept` of its own often does not): then only a
    /// new control connection helps. The data connection must be closed already.
    ///
    /// Servers answer an ABOR during a transfer with 426 and 226, with 226 and 225, with 226 twice or with one reply
    /// only. After one reply and a silence one more command settles it (see [`UserPi`]).
    pub(crate) async fn resynchronise(&mut self, abort: bool) -> bool {
        if self.in_step() {
            return true;
        }
        let deadline = Instant::now() + self.patience();
        if abort && !self.lost && self.send(&Command::Abor).await.is_err() {
            return false;
        }
        self.pi.abandon();
        let mut heard = false;
        while !self.in_step() && !self.lost {
            let silence = if heard && self.pi.wants_fence() {
                Instant::now() + self.round_trip() * 2 + LEAST_PATIENCE / 5
            } else {
                deadline
            };
            match timeout_at(silence.min(deadline), self.any_reply()).await {
                Ok(Ok(_)) => heard = true,
                Ok(Err(_)) => return false,
                Err(_) if silence < deadline => {
                    let fence = self.pi.fence();
                    if self.control.send(&fence).await.is_err() {
                        self.lost = true;
                    }
                }
                Err(_) => self.lost = true,
            }
        }
        self.in_step()
    }

    /// Ends the connection after QUIT.
    pub(crate) async fn close(self) {
        // The connection is of no further use; how exactly it ends concerns nobody.
        let _ = self.control.close().await;
    }
}

/// Verbs whose replies have as many lines as the server has things to tell.
fn may_be_long(command: &Command) -> bool {
    matches!(
        command,
        Command::Feat
            | Command::Help(_)
            | Command::Stat(_)
            | Command::Site(_)
            | Command::User(_)
            | Command::Pass(_)
            | Command::Acct(_)
            | Command::Cwd(_) // ProFTPD shows .message files here
    )
}

/// `60` or `1.5`.
pub(crate) fn seconds(time: Duration) -> String {
    let tenths = (time.as_millis() + 50) / 100;
    if tenths.is_multiple_of(10) {
        (tenths / 10).to_string()
    } else {
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}
/// What came instead of a reply, said once.
fn not_a_reply(error: &ReplyError) -> String {
    match error {
        ReplyError::NotAReply(_) => error.to_string(),
        _ => format!("not an FTP reply: {error}"),
    }
}

/// What a broken control connection is.
fn gone(error: std::io::Error) -> Error {
    // Under TLS 1.3 a server judges our certificate when the handshake is over for us.
    match TlsError::after_handshake(error) {
        Ok(refused) => Error::from_source(ErrorKind::Tls, "control connection", refused),
        Err(error) => Error::from_source(ErrorKind::Closed, "control connection", error),
    }
}
