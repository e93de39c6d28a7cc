//! What both directions of a transfer share: the data connection that runs, and the judgement at its end.
//!
//! In stream mode the end of the data connection is the end of the file (RFC 959 §3.4.1), so an end alone proves nothing:
//! success is only what the server confirms with 2yz *and* whose length agrees with what SIZE or MLST told; or, when no
//! final reply comes, what has exactly the right length on the server (`confirmation.rs`). The judgement is
//! [`UserTransfer`]'s; here it gets its events. A transfer that is dropped half-way resets its data connection (a FIN
//! would tell the server that an upload is complete) and leaves a mark; the client's next operation comes in step.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, Sleep, timeout};
use wharf_net::DataConnection;
use wharf_net::mapping::Mapping;
use wharf_net::pump::{Progress, PumpError};
use wharf_proto::data_connection::plan::Evidence;
use wharf_proto::user_transfer::{DataEvent, Direction, Step, Timeout, UserTransfer, Verdict};
use wharf_proto::{Command, Pathname, Reply, Timestamp};

use crate::client::Client;
use crate::confirmation::{Comparison, Heard};
use crate::data::Opened;
use crate::dialogue::{LEAST_PATIENCE, seconds};
use crate::error::{Access, Error, ErrorKind, Result};
use crate::experience::Fresh;
use crate::overheard::Overheard;

/// What is known about a remote file before it is transferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Length in bytes, as it will be transferred in TYPE I.
    pub size: Option<u64>,
    /// Last modification (UTC).
    pub modified: Option<Timestamp>,
}

/// Told once for a transfer whose final reply never came.
const VERIFIED: &str = "complete, verified by size; control connection lost (idle NAT?)";

/// The same after a 421.
const ENDED: &str = "complete, verified by size; the server ended the control connection";

/// How a transfer was found to be complete.
pub(crate) enum Settled {
    /// The server says so.
    Confirmed(Reply),
    /// The length of the remote file does.
    Verified,
}

impl Settled {
    pub(crate) fn reply(self) -> Option<Reply> {
        match self {
            Self::Confirmed(reply) => Some(reply),
            Self::Verified => None,
        }
    }
}

/// A transfer between its first reply and its last.
pub(crate) struct Running<'c> {
    pub(crate) client: &'c mut Client,
    pub(crate) command: String,
    access: Access,
    pub(crate) data: Option<DataConnection>,
    pub(crate) overheard: Overheard,
    pub(crate) judge: UserTransfer,
    comparison: Option<Comparison>,
    /// Text that can be had again, not a file.
    pub(crate) listing: bool,
    /// Where in the remote file the data begins.
    pub(crate) offset: u64,
    pub(crate) progress: Progress,
    /// What `progress` had counted before this transfer.
    before: u64,
    pub(crate) stall: Stall,
    /// The port of the router that the data connection came through.
    mapping: Option<Box<dyn Mapping>>,
    /// The way is used for the first time.
    fresh: Option<Box<Fresh>>,
    /// The data connection is in TLS and has not resumed the session.
    unresumed: bool,
}

impl<'c> Running<'c> {
    /// `expected`: bytes that a download should bring, when they are known.
    pub(crate) fn new(
        client: &'c mut Client,
        command: &Command,
        direction: Direction,
        expected: Option<u64>,
        opened: Opened,
    ) -> Self {
        let mut judge = UserTransfer::new(direction, expected);
        if opened.data.is_some() {
            judge.on_data(DataEvent::Connected);
        }
        let access = match direction {
            Direction::Download => Access::Reads,
            Direction::Upload => Access::Writes,
        };
        let shaken = opened.data.as_ref().and_then(DataConnection::handshake);
        let unresumed = shaken.is_some_and(|it| !it.resumed);
        let stall = Stall::new(client.options().stall_timeout);
        client.dialogue.keep_warm(true);
        Self {
            client,
            command: command.redacted(),
            access,
            data: opened.data,
            overheard: Overheard::new(direction, opened.completion),
            judge,
            comparison: None,
            listing: false,
            offset: 0,
            progress: Progress::new(),
            before: 0,
            stall,
            mapping: opened.mapping,
            fresh: opened.fresh,
            unresumed,
        }
    }

    /// The file can be looked at when no final reply comes: `base` bytes long without this transfer.
    pub(crate) fn may_compare(&mut self, path: &Pathname, base: u64) {
        let size = self.client.offers("SIZE");
        if size || self.client.offers("MLST") {
            self.judge = self.judge.clone().comparable(base);
            self.overheard.comparable = true;
            let path = path.clone();
            // MLST tells the time with the length.
            let tells_times = !size || self.client.offers("MDTM");
            let since = (self.access == Access::Writes && tells_times).then(SystemTime::now);
            self.comparison = Some(Comparison {
                path,
                size,
                base,
                since,
            });
        }
    }

    /// Bytes on the data connection so far.
    pub(crate) fn moved(&self) -> u64 {
        self.progress.moved() - self.before
    }

    pub(crate) fn count_into(&mut self, progress: Progress) {
        self.before = progress.moved();
        self.progress = progress;
    }

    /// After the end of the data connection: the final reply, or what stands for it, and what both together mean.
    pub(crate) async fn settle(&mut self, end: DataEvent) -> Result<Settled> {
        let began = Instant::now();
        let within = match end {
            DataEvent::Broken { .. } => self.client.dialogue.patience(),
            // There is another way to find out.
            _ if self.listing || self.comparison.is_some() => {
                self.client.options().completion_timeout
            }
            _ => self.client.options().confirmation_timeout,
        };
        if let Some(mapping) = self.mapping.take() {
            // Nothing comes through it any more. A router that does not answer is left to its lifetime.
            let _ = timeout(LEAST_PATIENCE, mapping.remove()).await;
        }
        let mut heard = Heard::default();
        let mut step = self.judge.on_data(end);
        while step == Step::Wait {
            let next = match self.overheard.take() {
                Some(reply) => Ok(reply),
                None => self.client.dialogue.final_reply(within).await,
            };
            step = match next {
                Ok(reply) => {
                    self.client.in_transfer = false;
                    match self.judge.on_reply(&reply) {
                        // 421: no word about the file.
                        Step::Check => {
                            heard.lost = Some(self.ended_with(reply));
                            Step::Check
                        }
                        step => {
                            heard.reply = Some(reply);
                            if step == Step::Wait {
                                self.judge.on_control_lost()
                            } else {
                                step
                            }
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::Timeout => {
                    self.judge.on_timeout(Timeout::Reply)
                }
                Err(error) => self.nothing_more(error, &mut heard),
            };
        }
        let mut seen = None;
        if let (Step::Check, Some(comparison)) = (step, self.comparison.clone()) {
            let comparing = self.compare(comparison, began, &mut heard);
            let (found, second) = Box::pin(comparing).await;
            step = found;
            seen = Some(second.seen.clone());
            if heard.reply.is_none()
                && let Some(dialogue) = second.into_dialogue()
            {
                self.client.go_on_with(dialogue);
            }
        }
        self.client.dialogue.keep_warm(false);
        let (Step::Done(verdict) | Step::Abort(verdict)) = step else {
            return Err(self.error(ErrorKind::Protocol, "no verdict"));
        };
        match (verdict, heard.reply.take()) {
            (Verdict::Complete { .. }, Some(reply)) => {
                self.client.unresumed_borne |= self.unresumed;
                Ok(Settled::Confirmed(reply))
            }
            (Verdict::Verified { .. }, _) => {
                let name = match &self.comparison {
                    Some(comparison) => comparison.path.display().to_string(),
                    None => self.command.clone(),
                };
                let ended = heard.lost.as_ref().is_some_and(|it| it.reply().is_some());
                let what = if ended { ENDED } else { VERIFIED };
                self.client.note(format!("{name}: {what}"));
                Ok(Settled::Verified)
            }
            (verdict, reply) => {
                heard.reply = reply;
                Err(self.failure(verdict, heard, began.elapsed(), seen))
            }
        }
    }

    /// The server says that it ends the control connection.
    pub(crate) fn ended_with(&mut self, reply: Reply) -> Error {
        self.client.dialogue.give_up();
        Error::new(ErrorKind::Closed, "the server says").with_reply(reply)
    }

    /// The control connection is of no use any more.
    pub(crate) fn nothing_more(&mut self, error: Error, heard: &mut Heard) -> Step {
        let nonsense = error.kind() == ErrorKind::Protocol;
        heard.lost = Some(error);
        if nonsense {
            self.judge.on_nonsense()
        } else {
            self.judge.on_control_lost()
        }
    }

    fn failure(
        &self,
        verdict: Verdict,
        heard: Heard,
        waited: Duration,
        seen: Option<String>,
    ) -> Error {
        let Heard { reply, lost } = heard;
        let lost_kind = match &lost {
            Some(lost) if lost.kind() == ErrorKind::Protocol => ErrorKind::Protocol,
            _ => ErrorKind::Closed,
        };
        let whose_word = if reply.is_some() {
            "although the server reports success"
        } else {
            "and the control connection was lost"
        };
        let error = match verdict {
            Verdict::Refused { .. } | Verdict::Failed { .. } | Verdict::NoDataConnection { .. } => {
                return match reply {
                    Some(reply) => Error::refused(self.access, &self.command, reply),
                    None => self.error(ErrorKind::DataConnection, "no data connection"),
                };
            }
            Verdict::WrongSize { bytes, expected } if bytes < expected => self.error(
                ErrorKind::Truncated,
                &format!("{bytes} of {expected} bytes came, {whose_word}"),
            ),
            Verdict::WrongSize { bytes, expected } if reply.is_some() => self.error(
                ErrorKind::Changed,
                &format!("{bytes} bytes came, {expected} were announced: the file grew meanwhile"),
            ),
            Verdict::WrongSize { bytes, expected } => self.error(
                ErrorKind::Changed,
                &format!("{bytes} bytes came, but the server has {expected} now, {whose_word}"),
            ),
            Verdict::CutShort => self.error(
                ErrorKind::Truncated,
                "the server stopped before everything was sent",
            ),
            Verdict::Broken { bytes } => self.error(
                ErrorKind::Truncated,
                &format!("data connection broke after {bytes} bytes"),
            ),
            Verdict::Unconfirmed { bytes } => {
                let (kind, mut what) = if lost.is_none() {
                    let waited = seconds(waited);
                    let what =
                        format!("{bytes} bytes moved, but no final reply came within {waited} s");
                    (ErrorKind::Timeout, what)
                } else if lost_kind == ErrorKind::Protocol {
                    let what =
                        format!("no final reply that could be understood, after {bytes} bytes");
                    (lost_kind, what)
                } else {
                    let what = format!(
                        "control connection lost before the final reply (idle NAT?), after {bytes} bytes"
                    );
                    (lost_kind, what)
                };
                if let Some(seen) = seen {
                    what = format!("{what}; {seen}");
                } else if !self.listing {
                    what = format!("{what}; nothing tells whether the file is complete");
                }
                self.error(kind, &what).unconfirmed()
            }
            Verdict::ControlLost => self.error(lost_kind, "control connection lost"),
            Verdict::Stalled => self.stalled(self.stall.after),
            _ => self.error(ErrorKind::Aborted, "given up"),
        };
        let error = match reply {
            Some(reply) => error.with_reply(reply),
            None => error,
        };
        match lost {
            Some(lost) => error.with_source(lost),
            None => error,
        }
    }

    fn error(&self, kind: ErrorKind, what: &str) -> Error {
        Error::new(kind, format!("{}: {what}", self.command))
    }

    /// Why the data connection broke: the server usually says it on the control connection.
    pub(crate) async fn explain(&mut self, error: io::Error) -> Error {
        self.data = None;
        let error = match error.downcast::<Error>() {
            Ok(ours) => return ours,
            Err(error) => error,
        };
        let bytes = self.moved();
        let fresh = self.fresh.take().map(|it| (it.since.elapsed(), it));
        match self.settle(DataEvent::Broken { bytes }).await {
            Err(told) if let Some(reply) = told.reply().cloned() => match (fresh, reply.code()) {
                // It waited for a data connection, and this one was none to it.
                (Some((lived, fresh)), code) if code == 425 || code == 426 && bytes == 0 => {
                    let evidence = Evidence::NoDataConnection { code };
                    let error = self.client.fell_through(&fresh, evidence, lived);
                    error.with_reply(reply)
                }
                _ => told,
            },
            _ if bytes == 0
                && let Some((lived, fresh)) = fresh =>
            {
                self.client
                    .fell_through(&fresh, Evidence::Dropped, lived)
                    .with_source(error)
            }
            // Also when the server reports success: bytes may have been lost on their way to the caller.
            _ => self
                .error(
                    ErrorKind::Truncated,
                    &format!("data connection broke after {bytes} bytes"),
                )
                .with_source(error),
        }
    }

    /// The server has ended the transfer, and says why.
    pub(crate) async fn ended_by_server(&mut self) -> Error {
        self.explain(io::ErrorKind::ConnectionAborted.into()).await
    }

    pub(crate) async fn pump_failed(&mut self, error: PumpError) -> Error {
        match error {
            PumpError::File(error) => {
                self.data = None;
                Error::from_source(ErrorKind::Local, "local file", error)
            }
            PumpError::Stalled(after) => {
                self.data = None;
                self.stalled(after)
            }
            PumpError::Connection(error) => self.explain(error).await,
            error => Error::from_source(ErrorKind::Truncated, self.command.clone(), error),
        }
    }

    fn stalled(&self, after: Duration) -> Error {
        let bytes = self.moved();
        let what = format!(
            "no byte moved for {} s, after {bytes} bytes",
            seconds(after)
        );
        self.error(ErrorKind::Stalled, &what)
    }

    /// So little moved that nobody can mean it.
    pub(crate) fn too_slow(&mut self, dripped: Dripped) -> Error {
        self.data = None;
        let Dripped { bytes, within } = dripped;
        let all = self.moved();
        let what = format!(
            "only {bytes} bytes moved within {} s, after {all} bytes",
            seconds(within)
        );
        self.error(ErrorKind::Stalled, &what)
    }

    /// An operation on the data connection that is pending: becomes an error when the server has ended the transfer, or
    /// when the stall time is over. [`Self::explain`] tells which.
    pub(crate) fn poll_stall<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let moved = self.moved();
        let ended = self.overheard.poll_end(self.client, moved, cx);
        if ended.is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let error = match ready!(self.stall.poll(cx)) {
            0 => self.stalled(self.stall.after),
            bytes => self.too_slow(Dripped {
                bytes,
                within: self.stall.after,
            }),
        };
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, error)))
    }
}

/// A transfer that moves, but fewer than this many bytes in the stall time, has stalled, too: a server that sends a byte now
/// and then must not hold us for ever.
const LEAST: u64 = 512;

/// What little has moved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dripped {
    pub(crate) bytes: u64,
    pub(crate) within: Duration,
}

/// Moves data until that is done, or until [`Dripped`]. That nothing moves at all is found out by the work itself.
pub(crate) async fn paced<T>(
    within: Duration,
    progress: Progress,
    work: impl Future<Output = T>,
) -> std::result::Result<T, Dripped> {
    let mut work = std::pin::pin!(work);
    loop {
        let before = progress.moved();
        if let Ok(done) = timeout(within, &mut work).await {
            return Ok(done);
        }
        let bytes = progress.moved() - before;
        if (1..LEAST).contains(&bytes) {
            return Err(Dripped { bytes, within });
        }
    }
}

/// Notices that nothing moves, or hardly anything. The timer is touched only when an operation has to wait, never once a
/// chunk, and only such waits count: what the caller takes for itself is not the server's.
pub(crate) struct Stall {
    pub(crate) after: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// Since when an operation waits.
    waits: Option<Instant>,
    /// So long was waited, and so much came, since enough has moved for the last time.
    waited: Duration,
    moved: u64,
}

impl Stall {
    fn new(after: Duration) -> Self {
        Self {
            after,
            timer: None,
            waits: None,
            waited: Duration::ZERO,
            moved: 0,
        }
    }

    /// Bytes have moved.
    pub(crate) fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.waits.take() {
            self.waited += since.elapsed();
        }
        self.moved += bytes as u64;
        // Somebody who looks only now has waited for something else meanwhile.
        if self.moved >= LEAST || self.waited >= self.after {
            (self.waited, self.moved) = (Duration::ZERO, 0);
        }
    }

    /// Ready when it is over, with the bytes that have moved in dribs.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<u64> {
        let at = Instant::now() + self.after.saturating_sub(self.waited);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if self.waits.is_none() {
            timer.as_mut().reset(at);
            self.waits = Some(Instant::now());
        }
        ready!(timer.as_mut().poll(cx));
        // Silence nearly all the time is silence.
        let silent = self.waited < self.after / 10;
        Poll::Ready(if silent { 0 } else { self.moved })
    }
}
