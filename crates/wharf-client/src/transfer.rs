//! What both directions of a transfer share: the data connection that runs, and the judgement at its end.
//!
//! In stream mode the end of the data connection is the end of the file (RFC 959 §3.4.1), so an end alone proves nothing:
//! success is only what the server confirms with 2yz *and* whose length agrees with what SIZE or MLST told. The judgement
//! is [`UserTransfer`]'s; here it gets its events. A transfer that is dropped half-way resets its data connection (a FIN
//! would tell the server that an upload is complete) and leaves a mark; the client's next operation comes in step.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use wharf_net::DataConnection;
use wharf_net::pump::{Progress, PumpError};
use wharf_proto::user_transfer::{DataEvent, Direction, Step, Timeout, UserTransfer, Verdict};
use wharf_proto::{Command, Reply, Timestamp};

use crate::client::Client;
use crate::data::Opened;
use crate::dialogue::seconds;
use crate::error::{Access, Error, ErrorKind, Result};

/// What is known about a remote file before it is transferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Length in bytes, as it will be transferred in TYPE I.
    pub size: Option<u64>,
    /// Last modification (UTC).
    pub modified: Option<Timestamp>,
}

/// A transfer between its first reply and its last.
pub(crate) struct Running<'c> {
    pub(crate) client: &'c mut Client,
    pub(crate) command: String,
    access: Access,
    pub(crate) data: Option<DataConnection>,
    completion: Option<Reply>,
    judge: UserTransfer,
    /// Where in the remote file the data begins.
    pub(crate) offset: u64,
    pub(crate) progress: Progress,
    /// What `progress` had counted before this transfer.
    before: u64,
    pub(crate) stall: Stall,
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
        let stall = Stall::new(client.options().stall_timeout);
        Self {
            client,
            command: command.redacted(),
            access,
            data: opened.data,
            completion: opened.completion,
            judge,
            offset: 0,
            progress: Progress::new(),
            before: 0,
            stall,
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

    /// After the end of the data connection: the final reply, and what both together mean.
    pub(crate) async fn settle(&mut self, end: DataEvent) -> Result<Reply> {
        let within = match end {
            DataEvent::Broken { .. } => self.client.dialogue.patience(),
            _ => self.client.options().completion_timeout,
        };
        let (mut reply, mut lost) = (None, None);
        let mut step = self.judge.on_data(end);
        while step == Step::Wait {
            let heard = match self.completion.take() {
                Some(reply) => Ok(reply),
                None => self.client.dialogue.final_reply(within).await,
            };
            step = match heard {
                Ok(heard) => {
                    self.client.in_transfer = false;
                    let step = self.judge.on_reply(&heard);
                    reply = Some(heard);
                    if step == Step::Wait {
                        self.judge.on_control_lost()
                    } else {
                        step
                    }
                }
                Err(error) if error.kind() == ErrorKind::Timeout => {
                    self.judge.on_timeout(Timeout::Reply)
                }
                Err(error) => {
                    lost = Some(error);
                    self.judge.on_control_lost()
                }
            };
        }
        let (Step::Done(verdict) | Step::Abort(verdict)) = step else {
            return Err(self.error(ErrorKind::Protocol, "no verdict"));
        };
        match (verdict, reply) {
            (Verdict::Complete { .. }, Some(reply)) => Ok(reply),
            (verdict, reply) => Err(self.failure(verdict, reply, lost, within)),
        }
    }

    fn failure(
        &self,
        verdict: Verdict,
        reply: Option<Reply>,
        lost: Option<Error>,
        within: Duration,
    ) -> Error {
        let lost_kind = match &lost {
            Some(lost) if lost.kind() == ErrorKind::Protocol => ErrorKind::Protocol,
            _ => ErrorKind::Closed,
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
                &format!("{bytes} of {expected} bytes came, although the server reports success"),
            ),
            Verdict::WrongSize { bytes, expected } => self.error(
                ErrorKind::Changed,
                &format!("{bytes} bytes came, {expected} were announced: the file grew meanwhile"),
            ),
            Verdict::CutShort => self.error(
                ErrorKind::Truncated,
                "the server stopped before everything was sent",
            ),
            Verdict::Broken { bytes } => self.error(
                ErrorKind::Truncated,
                &format!("data connection broke after {bytes} bytes"),
            ),
            Verdict::Unconfirmed { bytes } if lost.is_none() => {
                let what = format!(
                    "{bytes} bytes moved, but no final reply came within {} s",
                    seconds(within)
                );
                self.error(ErrorKind::Timeout, &what)
            }
            Verdict::Unconfirmed { bytes } if lost_kind == ErrorKind::Protocol => self.error(
                lost_kind,
                &format!("no final reply that could be understood, after {bytes} bytes"),
            ),
            Verdict::Unconfirmed { bytes } => self.error(
                lost_kind,
                &format!("control connection lost before the final reply, after {bytes} bytes"),
            ),
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
        match self.settle(DataEvent::Broken { bytes }).await {
            Err(told) if told.reply().is_some() => told,
            // Also when the server reports success: bytes may have been lost on their way to the caller.
            _ => self
                .error(
                    ErrorKind::Truncated,
                    &format!("data connection broke after {bytes} bytes"),
                )
                .with_source(error),
        }
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

    /// An operation on the data connection that is pending: becomes an error when the stall time is over.
    pub(crate) fn poll_stall<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.stall.poll(cx));
        let error = self.stalled(self.stall.after);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, error)))
    }
}

/// Notices that nothing moves. The timer is touched only when an operation has to wait, never once a chunk.
pub(crate) struct Stall {
    pub(crate) after: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl Stall {
    fn new(after: Duration) -> Self {
        Self {
            after,
            timer: None,
            armed: false,
        }
    }

    pub(crate) fn moved(&mut self) {
        self.armed = false;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let at = Instant::now() + self.after;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if !self.armed {
            timer.as_mut().reset(at);
            self.armed = true;
        }
        timer.as_mut().poll(cx)
    }
}
