//! One file over several connections.
//!
//! [`retrieve_in_segments`] shares a file among the sessions of a [`Pool`]. What is pure stands in `plan.rs` (who fetches
//! what, and which places were compared) and `journal.rs` (what an earlier run has left); `disk.rs` keeps both true
//! through crashes, `worker.rs` is one connection at work.
//!
//! A download gets its final name when every byte is there, every place where two connections met was read across by one
//! of them and found to agree, and the server still tells the same size, time and identity as at the beginning.

pub(crate) mod disk;
mod journal;
mod plan;
mod ranges;
mod worker;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};
use wharf_net::pump::Progress;
use wharf_proto::{Pathname, Text};

use crate::client::Client;
use crate::digest::{Sum, Verify};
use crate::error::{Error, ErrorKind, Result};
use crate::file::{FileOptions, Moved, RESUME_OVERLAP};
use crate::local::Part;
use crate::pool::Pool;
use crate::retry::RetryPolicy;
use crate::verbs::is_about_the_file;
use disk::Disk;
pub use journal::Identity;
use plan::Plan;
use worker::{Shared, work};

/// A piece that is shorter than twice this is not shared: opening a data connection costs more than it wins.
pub const LEAST_SEGMENT: u64 = 1024 * 1024;

/// How often what has come is written down.
const RECORD: Duration = Duration::from_millis(500);

/// How a file is fetched over several connections.
#[derive(Clone, Debug)]
pub struct SegmentOptions {
    /// Connections at most; the pool may allow fewer.
    pub segments: NonZeroUsize,
    /// Go on with what an earlier download has left, in one piece or in several.
    pub resume: bool,
    /// Give the copy the time of the original, where it is known. Default on.
    pub keep_time: bool,
    /// Pieces shorter than twice this are not shared. Default [`LEAST_SEGMENT`].
    pub least: u64,
    /// How the copy is compared with the original. Default: by a digest where the server tells one.
    pub verify: Verify,
    /// The digest that the copy must have.
    pub expected: Option<Sum>,
    /// When a connection that broke is tried again.
    pub retry: RetryPolicy,
    /// Counts the bytes of the file that are there, those of earlier runs included.
    pub progress: Progress,
    /// Hears what a person may want to know while it runs: a connection that broke and is tried again.
    pub notes: Notes,
}

/// Who hears notes while something runs. Default: nobody.
#[derive(Clone, Default)]
pub struct Notes(Option<Arc<dyn Fn(String) + Send + Sync>>);

impl Notes {
    /// `hear` is called with each note, from whichever task it arises in.
    pub fn to(hear: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hear)))
    }

    pub(crate) fn tell(&self, note: String) {
        tracing::info!("{note}");
        if let Some(hear) = &self.0 {
            hear(note);
        }
    }
}

impl std::fmt::Debug for Notes {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Notes({})", self.0.is_some())
    }
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self {
            segments: NonZeroUsize::MIN,
            resume: false,
            keep_time: true,
            least: LEAST_SEGMENT,
            verify: Verify::Auto,
            expected: None,
            retry: RetryPolicy::default(),
            progress: Progress::new(),
            notes: Notes::default(),
        }
    }
}

/// Whether a download in segments has left something beside `local` that it can go on with.
pub fn has_journal(local: &Path) -> bool {
    Part::new(local, None).is_ok_and(|part| part.journal().is_file() && part.path.is_file())
}

/// Downloads `remote` to `local` over up to [`SegmentOptions::segments`] sessions of `pool`, through `local` + `.part` and a
/// journal beside it. In one piece, as [`Client::retrieve_to_file`] does, where the server tells no size or refuses REST,
/// where the file is short, and where `local` is a device.
///
/// `address` says in the journal where the bytes are from; without password.
///
/// # Errors
/// Those of [`Client::retrieve_to_file`]. [`ErrorKind::Changed`] also when the remote file became another one meanwhile;
/// [`ErrorKind::Mismatch`] when two connections brought different bytes for the same place.
pub async fn retrieve_in_segments(
    pool: &Pool,
    address: &str,
    remote: &Pathname,
    local: &Path,
    how: &SegmentOptions,
) -> Result<Moved> {
    let mut client = pool.take().await?;
    client.still_hopeless(remote.display())?;
    let identity = client.identity(address, remote).await?;
    let part = Part::new(local, None)?;
    let left = has_journal(local) && how.resume;
    let whole = !part.path.exists() && local.exists() && how.resume;
    let identity = identity
        .filter(|it| left || it.size / 2 >= how.least)
        .filter(|_| client.offers_restart() && client.is_binary() && !part.direct && !whole);
    drop(part);
    let Some(identity) = identity else {
        return in_one_piece(&mut client, remote, local, how, how.resume).await;
    };
    drop(client);
    let (path, name, version) = (local.to_owned(), remote.clone(), identity.clone());
    let resume = how.resume;
    let disk = blocking(move || Disk::open(&path, &name, version, resume)).await?;
    let before = disk.recorded().clone();
    how.progress.add(before.got.total());
    let resumed_at = before.got.total();
    let plan = Plan::new(
        identity.size,
        before.got,
        before.open,
        how.least,
        RESUME_OVERLAP,
    );
    let shared = Arc::new(Shared::new(
        pool.clone(),
        remote.clone(),
        identity,
        disk.file(),
        plan,
        how,
    ));
    if disk.distrusted {
        shared.note("what an earlier download had left could not be trusted; begun anew");
    }
    let (mut disk, fetched) = fetch(&shared, disk, how.segments).await;
    // Whatever came of it: the next run need not fetch it again.
    let (got, open) = shared.snapshot();
    let nothing = got.total() == 0;
    let (back, recorded) = blocking(move || {
        let recorded = disk.record(&got, &open);
        Ok((disk, recorded))
    })
    .await?;
    disk = back;
    let restart_refused = fetched
        .as_ref()
        .is_err_and(|error| error.kind() == ErrorKind::Unsupported);
    if restart_refused && nothing {
        disk.discard();
        let mut client = pool.take().await?;
        client.note(format!(
            "{}: the server does not begin in the middle of files; in one piece",
            remote.display()
        ));
        return in_one_piece(&mut client, remote, local, how, false).await;
    }
    if let Err(error) = fetched {
        if nothing {
            disk.discard();
        }
        return Err(error);
    }
    recorded?;
    shared.still_the_same(address).await?;
    let options = in_one_piece_options(how, false);
    let compared = {
        let mut client = pool.take().await?;
        client.compared(disk.path(), remote, &options, true).await
    };
    if let Err(error) = compared {
        if error.kind() == ErrorKind::Mismatch {
            disk.discard();
        }
        return Err(error);
    }
    let (path, keep_time) = (local.to_owned(), how.keep_time);
    let length = shared.size();
    blocking(move || disk.finish(&path, keep_time)).await?;
    Ok(Moved {
        length,
        resumed_at,
        verified: true,
        complete_before: false,
    })
}

/// Lets the connections work, and writes down what comes meanwhile.
async fn fetch(shared: &Arc<Shared>, mut disk: Disk, segments: NonZeroUsize) -> (Disk, Result<()>) {
    let mut workers = JoinSet::new();
    for _ in 0..segments.get() {
        workers.spawn(work(Arc::clone(shared)));
    }
    let mut tick = interval(RECORD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let ended = tokio::select! {
            ended = workers.join_next() => ended,
            _ = tick.tick() => {
                let (got, open) = shared.snapshot();
                let recorded = spawn_blocking(move || {
                    let recorded = disk.record(&got, &open);
                    (disk, recorded)
                })
                .await;
                match recorded {
                    Ok((back, Ok(()))) => disk = back,
                    Ok((back, Err(error))) => return (back, Err(error)),
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                }
                continue;
            }
        };
        match ended {
            None => return (disk, Ok(())),
            Some(Ok(Ok(()))) => {}
            // The others are dropped with the set.
            Some(Ok(Err(error))) => return (disk, Err(error)),
            Some(Err(error)) => {
                return (
                    disk,
                    Err(Error::from_source(
                        ErrorKind::Aborted,
                        "a connection",
                        error,
                    )),
                );
            }
        }
    }
}

async fn in_one_piece(
    client: &mut Client,
    remote: &Pathname,
    local: &Path,
    how: &SegmentOptions,
    resume: bool,
) -> Result<Moved> {
    let options = in_one_piece_options(how, resume);
    client.retrieve_to_file(remote, local, &options).await
}

fn in_one_piece_options(how: &SegmentOptions, resume: bool) -> FileOptions {
    FileOptions {
        resume,
        keep_time: how.keep_time,
        progress: how.progress.clone(),
        verify: how.verify,
        expected: how.expected.clone(),
        ..FileOptions::default()
    }
}

/// Does what may wait for a disk beside the connections.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Error::from_source(ErrorKind::Local, "local file", error)))
}

impl Client {
    /// What tells this version of a remote file from others: SIZE, MDTM, and `unique` of MLST. `None` when the server does
    /// not tell its size.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn identity(&mut self, address: &str, remote: &Pathname) -> Result<Option<Identity>> {
        let known = self.known_exactly(remote).await?;
        let Some(size) = known.size else {
            return Ok(None);
        };
        let mut unique = None;
        if self.offers("MLST") {
            match self.entry_of_mlst(remote).await {
                Ok(entry) => unique = entry.unique.as_ref().map(Text::to_string),
                Err(error) if is_about_the_file(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(Identity {
            address: address.to_owned(),
            size,
            modified: known.modified,
            unique,
        }))
    }
}
