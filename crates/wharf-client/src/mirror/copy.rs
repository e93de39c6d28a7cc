//! One file, from one store to the other: under a temporary name until it is whole, resumed where an earlier run was cut,
//! tried again when the connection broke.

use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use wharf_proto::Pathname;
use wharf_storage::{Error, ErrorKind, Metadata, Reader, Result, Write};

use super::account::{Event, Failed};
use super::job::Context;
use super::part::part_name;
use super::plan::Copy;

/// Bytes at a time.
const BUFFER: usize = 256 * 1024;

/// How much of what an earlier run has left is compared with the source before it is continued.
const OVERLAP: u64 = 64 * 1024;

/// After a copy that took longer the source is asked whether it is still the same file.
const LONG: Duration = Duration::from_secs(1);

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A file that has arrived.
pub(super) struct Copied {
    pub(super) bytes: u64,
    pub(super) resumed_at: u64,
    /// It was found changed so many times on the way.
    pub(super) changed: u64,
}

enum Trouble {
    Changed,
    Failed(&'static str, Error),
}

/// Says what was tried when it failed.
trait Doing<T> {
    fn doing(self, what: &'static str) -> std::result::Result<T, Trouble>;
}

impl<T> Doing<T> for Result<T> {
    fn doing(self, what: &'static str) -> std::result::Result<T, Trouble> {
        self.map_err(|error| Trouble::Failed(what, error))
    }
}

/// Copies the file, as often as it takes and is allowed.
pub(super) async fn copy(
    context: &Context,
    mut wanted: Copy,
) -> std::result::Result<Copied, Failed> {
    let mut changed = 0;
    let mut attempt = 1;
    context.observer.see(&Event::Begins(&wanted));
    loop {
        let failed = |doing, error| Failed {
            path: wanted.path.clone(),
            doing,
            error,
        };
        let mut moved = 0;
        let trouble = match once(context, &wanted, &mut moved).await {
            Ok(resumed_at) => {
                return Ok(Copied {
                    bytes: moved,
                    resumed_at,
                    changed,
                });
            }
            Err(trouble) => trouble,
        };
        context.totals.lost(moved);
        match trouble {
            Trouble::Changed => {
                changed += 1;
                let _ = context.destination.remove_file(&wanted.part).await;
                if attempt >= context.how.attempts {
                    let error = Error::with_source(
                        ErrorKind::Busy,
                        "it changes faster than it can be copied",
                    );
                    return Err(failed("copy", error));
                }
                context.observer.see(&Event::Changed { path: &wanted.path });
                let now = context.source.metadata(&wanted.path).await;
                let now = now.map_err(|error| failed("read", error))?;
                wanted = anew(&wanted, &now)
                    .ok_or_else(|| failed("copy", ErrorKind::NameNotAllowed.into()))?;
            }
            Trouble::Failed(doing, error) if !may_pass(error.kind()) => {
                // What is there is of no use to anybody, and the store may need the room.
                let _ = context.destination.remove_file(&wanted.part).await;
                return Err(failed(doing, error));
            }
            Trouble::Failed(doing, error) if attempt >= context.how.attempts => {
                return Err(failed(doing, error));
            }
            Trouble::Failed(_, error) => {
                let path = &wanted.path;
                context.observer.see(&Event::Retried {
                    path,
                    error: &error,
                });
                pause(context.how.first_pause, attempt).await;
                let left = context.destination.metadata(&wanted.part).await;
                wanted.have = left.map_or(0, |left| left.size);
            }
        }
        attempt += 1;
    }
}

/// Whether the same may work in a moment.
pub(super) fn may_pass(kind: ErrorKind) -> bool {
    // What nobody has confirmed is looked at: the next attempt finds how much is there.
    matches!(
        kind,
        ErrorKind::Io | ErrorKind::Busy | ErrorKind::Unconfirmed
    )
}

/// Waits longer each time.
pub(super) async fn pause(first: Duration, attempt: u32) {
    let longer = first.saturating_mul(1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX));
    tokio::time::sleep(longer.min(LONGEST_PAUSE)).await;
}

/// The same copy of what the file has become.
fn anew(wanted: &Copy, now: &Metadata) -> Option<Copy> {
    let name = wanted.path.file_name()?;
    let part = part_name(name, now.size, now.modified);
    Some(Copy {
        part: wanted.path.parent()?.child(&part).ok()?,
        have: 0,
        size: now.size,
        modified: now.modified,
        ..wanted.clone()
    })
}

/// One attempt; tells from which byte on it copied.
async fn once(
    context: &Context,
    wanted: &Copy,
    moved: &mut u64,
) -> std::result::Result<u64, Trouble> {
    let Context {
        source,
        destination,
        ..
    } = context;
    let began = Instant::now();
    let mut modified = wanted.modified;
    if source.time_precision(modified) > Duration::from_secs(1) {
        // The listing could not tell; the copy is to have the true time.
        let exact = source.metadata(&wanted.path).await.doing("read")?;
        if exact.size != wanted.size {
            return Err(Trouble::Changed);
        }
        modified = exact.modified;
    }
    let at = if continues(context, wanted).await {
        wanted.have
    } else {
        0
    };
    if at < wanted.size || at == 0 {
        let reader = source.open(&wanted.path, at).await.doing("read")?;
        send(context, wanted, reader, at, moved).await?;
    }
    if at + *moved != wanted.size {
        return Err(Trouble::Changed);
    }
    if began.elapsed() > LONG {
        let now = source.metadata(&wanted.path).await.doing("read")?;
        if now.size != wanted.size || apart(now.modified, modified) > LONG {
            return Err(Trouble::Changed);
        }
    }
    if context.rules.times {
        context.set_time(&wanted.part, modified).await;
    }
    if let Some(mode) = wanted.mode {
        context.set_mode(&wanted.part, mode).await;
    }
    if let Some(kind) = wanted
        .replaces
        .filter(|kind| *kind == wharf_storage::Kind::Directory)
    {
        context
            .make_room(&wanted.path, kind)
            .await
            .doing("replace")?;
    }
    match destination.rename(&wanted.part, &wanted.path).await {
        Ok(()) => Ok(at),
        // Servers on Windows do not replace. What is new is whole already, under a name that the next run knows.
        Err(error) if error.kind() == ErrorKind::Exists => {
            let removed = destination.remove_file(&wanted.path).await;
            removed.doing("replace")?;
            let renamed = destination.rename(&wanted.part, &wanted.path).await;
            renamed.doing("rename into place").map(|()| at)
        }
        Err(error) => Err(Trouble::Failed("rename into place", error)),
    }
}

/// Moves the bytes from `at` on.
async fn send(
    context: &Context,
    wanted: &Copy,
    mut reader: Reader,
    at: u64,
    moved: &mut u64,
) -> std::result::Result<(), Trouble> {
    let how = if at > 0 {
        Write::At(at)
    } else {
        Write::Replace
    };
    let upload = context.destination.create(&wanted.part, how).await;
    let mut upload = upload.doing("write")?;
    let most = usize::try_from(wanted.size - at).unwrap_or(usize::MAX);
    let mut buffer = vec![0; BUFFER.min(most.saturating_add(1))];
    loop {
        let count = match reader.read(&mut buffer).await {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => {
                let _ = upload.abandon().await;
                return Err(Trouble::Failed("read", error.into()));
            }
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        if let Err(error) = upload.write_all(bytes).await {
            // What the store has to say about it comes with the end.
            let error = match upload.commit().await {
                Err(told) => told,
                Ok(()) => error.into(),
            };
            return Err(Trouble::Failed("write", error));
        }
        *moved += count as u64;
        context.totals.moved(count as u64);
        if at + *moved > wanted.size {
            let _ = upload.abandon().await;
            return Err(Trouble::Changed);
        }
    }
    drop(reader);
    upload.commit().await.doing("write")
}

/// Whether what an earlier run has left is the beginning of this file: its last bytes are compared.
async fn continues(context: &Context, wanted: &Copy) -> bool {
    let have = wanted.have;
    if have < OVERLAP || have > wanted.size {
        return false;
    }
    let from = have - OVERLAP;
    let tail = async |store: &dyn wharf_storage::Storage, path: &Pathname| -> Result<Vec<u8>> {
        let reader = store.open(path, from).await?;
        let mut tail = Vec::new();
        reader.take(OVERLAP).read_to_end(&mut tail).await?;
        Ok(tail)
    };
    let here = tail(&*context.source, &wanted.path).await;
    let there = tail(&*context.destination, &wanted.part).await;
    matches!((here, there), (Ok(here), Ok(there)) if here == there && here.len() as u64 == OVERLAP)
}

/// Whether both files have the same bytes.
pub(super) async fn same_content(context: &Context, path: &Pathname) -> Result<bool> {
    let mut here = context.source.open(path, 0).await?;
    let mut there = context.destination.open(path, 0).await?;
    let (mut left, mut right) = (Vec::with_capacity(BUFFER), Vec::with_capacity(BUFFER));
    loop {
        left.clear();
        right.clear();
        (&mut here)
            .take(BUFFER as u64)
            .read_to_end(&mut left)
            .await?;
        (&mut there)
            .take(BUFFER as u64)
            .read_to_end(&mut right)
            .await?;
        if left != right {
            return Ok(false);
        }
        if left.is_empty() {
            return Ok(true);
        }
    }
}

fn apart(one: SystemTime, other: SystemTime) -> Duration {
    match one.duration_since(other) {
        Ok(after) => after,
        Err(before) => before.duration(),
    }
}
