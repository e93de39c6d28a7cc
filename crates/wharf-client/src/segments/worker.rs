//! One of several connections that fetch a file together.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::AsyncReadExt as _;
use tokio::sync::Notify;
use tokio::time::sleep;
use wharf_net::pump::Progress;
use wharf_proto::Pathname;

use super::blocking;
use super::journal::Identity;
use super::plan::{PieceId, Plan, Task};
use super::ranges::{Range, Ranges};
use super::{Notes, SegmentOptions};
use crate::client::Client;
use crate::download::Download;
use crate::error::{Error, ErrorKind, Result};
use crate::file::changed;
use crate::pool::Pool;
use crate::retry::{Repeat, RetryPlan, RetryPolicy};
use crate::transfer::Known;

/// One read.
const CHUNK: usize = 256 * 1024;

/// What the connections share. The locks are held for moments and never over an `await`.
pub(super) struct Shared {
    pool: Pool,
    remote: Pathname,
    identity: Identity,
    file: Arc<File>,
    plan: Mutex<Plan>,
    /// What was read behind the end of a piece, until the bytes are there that it is compared with.
    witnesses: Mutex<Vec<(u64, Vec<u8>)>>,
    retry: RetryPolicy,
    notes: Notes,
    progress: Progress,
    /// There may be something to do, or nothing any more.
    changed: Notify,
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(
        pool: Pool,
        remote: Pathname,
        identity: Identity,
        file: Arc<File>,
        plan: Plan,
        how: &SegmentOptions,
    ) -> Self {
        Self {
            pool,
            remote,
            identity,
            file,
            plan: Mutex::new(plan),
            witnesses: Mutex::new(Vec::new()),
            retry: how.retry,
            notes: how.notes.clone(),
            progress: how.progress.clone(),
            changed: Notify::new(),
        }
    }

    /// What is there, and which places are not compared: of one moment.
    pub(super) fn snapshot(&self) -> (Ranges, BTreeSet<u64>) {
        let plan = held(&self.plan);
        (plan.got().clone(), plan.open().clone())
    }

    pub(super) fn size(&self) -> u64 {
        self.identity.size
    }

    pub(super) fn note(&self, what: &str) {
        self.notes
            .tell(format!("{}: {what}", self.remote.display()));
    }

    /// Whether the server still tells of the version that was fetched.
    pub(super) async fn still_the_same(&self, address: &str) -> Result<()> {
        let mut client = self.pool.take().await?;
        let now = client.identity(address, &self.remote).await?;
        // One that has nothing to say any more has not said that it is another.
        match now.and_then(|now| self.identity.differs(&now)) {
            None => Ok(()),
            Some(why) => Err(Error::new(
                ErrorKind::Changed,
                format!(
                    "{} changed while it was fetched: {why}",
                    self.remote.display()
                ),
            )),
        }
    }

    async fn on_disk(&self, range: Range) -> Result<Vec<u8>> {
        let file = Arc::clone(&self.file);
        blocking(move || {
            let mut bytes = vec![0; usize::try_from(range.length()).unwrap_or_default()];
            let read = file.read_exact_at(&mut bytes, range.start);
            read.map_err(|error| Error::from_source(ErrorKind::Local, "the partial file", error))?;
            Ok(bytes)
        })
        .await
    }

    async fn write(&self, bytes: Vec<u8>, at: u64) -> Result<Vec<u8>> {
        let file = Arc::clone(&self.file);
        blocking(move || {
            file.write_all_at(&bytes, at)
                .map_err(|error| Error::from_source(ErrorKind::Local, "the partial file", error))?;
            Ok(bytes)
        })
        .await
    }

    /// Compares what was read behind the ends of pieces, as far as the other bytes are there.
    async fn compare_witnesses(&self) -> Result<()> {
        loop {
            let next = {
                let plan = held(&self.plan);
                let mut witnesses = held(&self.witnesses);
                let ready = witnesses.iter().position(|(seam, bytes)| {
                    let end = seam.saturating_add(bytes.len() as u64);
                    plan.got().contains(Range::new(*seam, end))
                });
                ready.map(|at| witnesses.swap_remove(at))
            };
            let Some((seam, bytes)) = next else {
                return Ok(());
            };
            let end = seam.saturating_add(bytes.len() as u64);
            if self.on_disk(Range::new(seam, end)).await? != bytes {
                return Err(self.disagree(seam));
            }
            held(&self.plan).agreed(seam);
            self.changed.notify_waiters();
        }
    }

    fn disagree(&self, seam: u64) -> Error {
        let what = format!(
            "{}: two connections brought different bytes around offset {seam}: the file changes, or the server does not begin where REST says",
            self.remote.display()
        );
        Error::new(ErrorKind::Mismatch, what)
    }

    async fn fetch(&self, client: &mut Client, id: PieceId, start: u64, before: u64) -> Result<()> {
        let mut download = self.begin(client, start - before).await?;
        if before > 0 {
            let there = self.on_disk(Range::new(start - before, start)).await?;
            let mut seen = vec![0; there.len()];
            if let Err(error) = download.read_exact(&mut seen).await {
                return Err(download.explain(error).await);
            }
            if seen != there {
                return Err(changed(
                    &self.remote,
                    "its bytes differ from those of the partial file",
                ));
            }
            held(&self.plan).agreed(start);
        }
        let mut buffer = Vec::with_capacity(CHUNK);
        loop {
            buffer.clear();
            let read = match download.read_buf(&mut buffer).await {
                Ok(read) => read as u64,
                Err(error) => return Err(download.explain(error).await),
            };
            if read == 0 {
                return Err(self.ended_early(download).await);
            }
            let claim = held(&self.plan).claim(id, read);
            let own = usize::try_from(claim.bytes).unwrap_or(buffer.len());
            let behind = buffer.split_off(own.min(buffer.len()));
            if claim.bytes > 0 {
                buffer = self.write(buffer, claim.at).await?;
                let range = Range::new(claim.at, claim.at + claim.bytes);
                held(&self.plan).written(range);
                self.progress.add(claim.bytes);
            }
            let end = held(&self.plan).end_of(id);
            if claim.at + claim.bytes >= end {
                return self.end(download, end, behind).await;
            }
        }
    }

    async fn begin<'c>(&self, client: &'c mut Client, from: u64) -> Result<Download<'c>> {
        let known = Known {
            size: Some(self.identity.size),
            modified: None,
        };
        client.retrieve_known(&self.remote, from, known).await
    }

    /// The end of a piece: of the whole file, or a few bytes before the connection is given up.
    async fn end(&self, mut download: Download<'_>, end: u64, mut behind: Vec<u8>) -> Result<()> {
        if end >= self.identity.size {
            if !behind.is_empty() {
                return Err(Error::new(
                    ErrorKind::Changed,
                    format!("{} grew while it was fetched", self.remote.display()),
                ));
            }
            download.finish().await?;
            return Ok(());
        }
        let wanted = held(&self.plan).behind(end);
        let mut rest = wanted.saturating_sub(behind.len() as u64);
        while rest > 0 {
            match (&mut download).take(rest).read_buf(&mut behind).await {
                Ok(0) => return Err(self.ended_early(download).await),
                Ok(read) => rest = rest.saturating_sub(read as u64),
                Err(error) => return Err(download.explain(error).await),
            }
        }
        behind.truncate(usize::try_from(wanted).unwrap_or(usize::MAX));
        held(&self.plan).witnessed(end);
        held(&self.witnesses).push((end, behind));
        // What becomes of this connection is the next one's to find out.
        let _ = download.abort().await;
        Ok(())
    }

    async fn ended_early(&self, download: Download<'_>) -> Error {
        match download.finish().await {
            Err(error) => error,
            Ok(_) => Error::new(
                ErrorKind::Truncated,
                format!("RETR {}: ended early", self.remote.display()),
            ),
        }
    }

    /// Reads once more what two connections have brought.
    async fn look(&self, client: &mut Client, seam: u64, range: Range) -> Result<()> {
        let there = self.on_disk(range).await?;
        let mut download = self.begin(client, range.start).await?;
        let mut seen = vec![0; there.len()];
        if let Err(error) = download.read_exact(&mut seen).await {
            return Err(download.explain(error).await);
        }
        if seen != there {
            return Err(self.disagree(seam));
        }
        held(&self.plan).agreed(seam);
        if range.end >= self.identity.size {
            download.finish().await?;
        } else {
            let _ = download.abort().await;
        }
        Ok(())
    }

    /// A task is over. `Ok`: go on.
    async fn settle(&self, retry: &mut RetryPlan, outcome: Result<()>) -> Result<()> {
        self.changed.notify_waiters();
        let Err(error) = outcome else {
            return Ok(());
        };
        let there = held(&self.plan).got().total();
        let wait = retry.after(Repeat::of(&error), there, None);
        let Some(wait) = wait else {
            return Err(error);
        };
        self.note(&format!("{error}; again in {} s", wait.as_secs_f32()));
        sleep(wait).await;
        Ok(())
    }
}

/// Works until the file is whole.
pub(super) async fn work(shared: Arc<Shared>) -> Result<()> {
    // Each its own: a server that goes away fails all of them at once, and that is one failure.
    let mut retry = RetryPlan::new(shared.retry);
    loop {
        let mut changed = pin!(shared.changed.notified());
        changed.as_mut().enable();
        shared.compare_witnesses().await?;
        if held(&shared.plan).is_done() {
            return Ok(());
        }
        // Before a piece is taken: nobody shall wait for a session with a piece in hand that another could fetch.
        let taken = tokio::select! {
            taken = shared.pool.take() => taken,
            () = changed.as_mut() => continue,
        };
        let mut client = match taken {
            Ok(client) => client,
            Err(error) => {
                shared.settle(&mut retry, Err(error)).await?;
                continue;
            }
        };
        let task = held(&shared.plan).take();
        let outcome = match task {
            Task::Done => return Ok(()),
            Task::Wait => {
                drop(client);
                changed.await;
                continue;
            }
            Task::Fetch { id, start, before } => {
                let outcome = shared.fetch(&mut client, id, start, before).await;
                held(&shared.plan).release(id);
                outcome
            }
            Task::Look { seam, range } => {
                let outcome = shared.look(&mut client, seam, range).await;
                if outcome.is_err() {
                    held(&shared.plan).not_looked(seam);
                }
                outcome
            }
        };
        drop(client);
        shared.settle(&mut retry, outcome).await?;
    }
}
