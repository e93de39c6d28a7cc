//! The events of one file on its way: `file.start`, `file.progress`, `file.end`.

use std::future::Future;
use std::time::{Duration, Instant};

use wharf_client::Moved;
use wharf_net::pump::Progress;

use super::{Direction, Event, Outcome, Stream};
use crate::exit::Failure;
use crate::output::Output;

/// How often progress is told.
const TICK: Duration = Duration::from_secs(1);

/// A transfer that has begun. Dropped without [`complete`](Self::complete) or [`failed`](Self::failed) it was interrupted, and
/// ends `incomplete`.
pub(crate) struct Transfer {
    output: Output,
    file: u64,
    direction: Direction,
    remote: String,
    local: String,
    size: Option<u64>,
    progress: Progress,
    began: Instant,
    ended: bool,
}

/// What a transfer that ended well did.
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    /// `none`, `size`, or the name of the digest that agreed; see [`Event::FileEnd`].
    pub(crate) verified: String,
    /// Where it was continued.
    pub(crate) resumed_at: u64,
}

impl Default for Whole {
    /// From its beginning, and nothing was compared.
    fn default() -> Self {
        Self {
            verified: "none".to_owned(),
            resumed_at: 0,
        }
    }
}

impl From<Moved> for Whole {
    fn from(moved: Moved) -> Self {
        Self {
            verified: if moved.verified { "size" } else { "none" }.to_owned(),
            resumed_at: moved.resumed_at,
        }
    }
}

impl Transfer {
    /// Tells that a file begins to move. `remote` and `local` are fit for a terminal; `progress` counts its bytes; `size` is
    /// what it will count in the end, where that is known.
    pub(crate) fn begin(
        output: &Output,
        direction: Direction,
        remote: &str,
        local: &str,
        size: Option<u64>,
        progress: &Progress,
    ) -> Self {
        let transfer = Self {
            output: output.clone(),
            file: output.stream().map_or(0, Stream::next_transfer),
            direction,
            remote: remote.to_owned(),
            local: local.to_owned(),
            size,
            progress: progress.clone(),
            began: Instant::now(),
            ended: false,
        };
        output.event(&Event::FileStart {
            file: transfer.file,
            direction,
            remote: transfer.remote.clone(),
            local: transfer.local.clone(),
            size,
        });
        transfer
    }

    /// Does `work`, and tells once a second how far it is.
    pub(crate) fn watch<F: Future>(&self, work: F) -> impl Future<Output = F::Output> {
        // Not part of the future that waits for it, which would double its size.
        let mut work = Box::pin(work);
        async move {
            if self.output.stream().is_none() {
                return work.await;
            }
            let mut tick = tokio::time::interval(TICK);
            // The first tick is now, when nothing has moved.
            tick.tick().await;
            loop {
                tokio::select! {
                    result = &mut work => return result,
                    _ = tick.tick() => self.output.event(&Event::FileProgress {
                        file: self.file,
                        bytes: self.progress.moved(),
                        size: self.size,
                    }),
                }
            }
        }
    }

    /// It ended well.
    pub(crate) fn complete(mut self, whole: Whole) {
        self.end(Outcome::Complete, whole, None);
    }

    /// It did not; [`Failure::unconfirmed`] says whether everything moved and only the confirmation is missing.
    pub(crate) fn failed(mut self, failure: &Failure) {
        let outcome = if failure.unconfirmed {
            Outcome::Unknown
        } else {
            Outcome::Incomplete
        };
        self.end(outcome, Whole::default(), Some(failure));
    }

    /// [`complete`](Self::complete) or [`failed`](Self::failed), whichever it was; hands the result on.
    pub(crate) fn settle<T: Clone + Into<Whole>>(
        self,
        result: Result<T, Failure>,
    ) -> Result<T, Failure> {
        match &result {
            Ok(done) => self.complete(done.clone().into()),
            Err(failure) => self.failed(failure),
        }
        result
    }

    fn end(&mut self, outcome: Outcome, whole: Whole, failure: Option<&Failure>) {
        self.ended = true;
        self.output.event(&Event::FileEnd {
            file: self.file,
            direction: self.direction,
            remote: std::mem::take(&mut self.remote),
            local: std::mem::take(&mut self.local),
            outcome,
            verified: whole.verified,
            bytes: self.progress.moved(),
            resumed_at: whole.resumed_at,
            seconds: self.began.elapsed().as_secs_f64(),
            code: failure.map(|it| it.cause().code()),
            exit: failure.map(Failure::code),
            message: failure.map(|it| it.message.clone()),
        });
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Outcome::Incomplete, Whole::default(), None);
        }
    }
}
