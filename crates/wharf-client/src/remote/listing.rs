//! A directory of the server: a task owns the session and the listing, batches come through a channel.

use async_trait::async_trait;
use tokio::sync::mpsc;
use wharf_proto::Pathname;
use wharf_storage::{BATCH, Entry as StoreEntry, ListOrder, Listing, Result, SORT_LIMIT};

use super::HIDDEN;
use super::facts::listed;
use super::reader::come_in_step;
use super::refusal::{Wanted, refined, told};
use crate::error::{Error, ErrorKind};
use crate::pool::Lent;

/// Batches that wait for their reader.
const AHEAD: usize = 2;

struct RemoteListing {
    /// Sorted, or read before it was known that they are too many to be sorted; the next one last.
    first: Vec<Vec<StoreEntry>>,
    rest: mpsc::Receiver<Result<Vec<StoreEntry>>>,
}

/// Begins it: when this returns the server has opened the directory. `home` is where the session is to be afterwards, for
/// servers with LIST only, which is asked for inside the directory: as an argument the name could be a pattern, an option or
/// a file, and of a missing one some servers make an empty directory.
pub(super) async fn begin(
    lent: Lent,
    path: Option<Pathname>,
    home: Option<Pathname>,
    order: ListOrder,
) -> Result<Box<dyn Listing>> {
    let (sender, mut rest) = mpsc::channel(AHEAD);
    tokio::spawn(bring(lent, path, home, sender));
    let mut first = Vec::new();
    let mut sortable = 0;
    while let Some(batch) = rest.recv().await {
        let batch = batch?;
        sortable += batch.len();
        first.push(batch);
        if order == ListOrder::Unsorted || sortable > SORT_LIMIT {
            break;
        }
    }
    if order == ListOrder::Name && sortable <= SORT_LIMIT {
        let mut all: Vec<StoreEntry> = first.into_iter().flatten().collect();
        all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        first = Vec::new();
        while !all.is_empty() {
            first.push(all.drain(..all.len().min(BATCH)).collect());
        }
    }
    first.reverse();
    Ok(Box::new(RemoteListing { first, rest }))
}

async fn bring(
    mut lent: Lent,
    path: Option<Pathname>,
    home: Option<Pathname>,
    sender: mpsc::Sender<Result<Vec<StoreEntry>>>,
) {
    let listed = if lent.offers("MLSD") {
        read(&mut lent, path.as_ref(), &sender).await
    } else {
        read_inside(&mut lent, path.as_ref(), home, &sender).await
    };
    match listed {
        // The session is free before the end is seen.
        Ok(()) => come_in_step(lent).await,
        Err(error) => {
            let error = match &path {
                Some(path) => refined(&mut lent, path, Wanted::Directory, error).await,
                None => told(error),
            };
            come_in_step(lent).await;
            // Nobody is left to be told when that fails.
            let _ = sender.send(Err(error)).await;
        }
    }
}

async fn read_inside(
    lent: &mut Lent,
    path: Option<&Pathname>,
    home: Option<Pathname>,
    sender: &mpsc::Sender<Result<Vec<StoreEntry>>>,
) -> std::result::Result<(), Error> {
    let Some(path) = path else {
        return read(lent, None, sender).await;
    };
    let before = lent.directory().cloned();
    lent.change_dir(path).await?;
    let listed = read(lent, None, sender).await;
    if let Some(home) = home {
        lent.come_back(&home, before).await?;
    }
    listed
}

/// Ends early when nobody listens any more.
async fn read(
    lent: &mut Lent,
    path: Option<&Pathname>,
    sender: &mpsc::Sender<Result<Vec<StoreEntry>>>,
) -> std::result::Result<(), Error> {
    let exact = lent.offers("MLSD");
    let mut listing = lent.listing(path).await?;
    let mut some = Vec::new();
    while let Some(entry) = listing.next().await? {
        if entry.name.starts_with(HIDDEN) {
            continue;
        }
        some.push(entry);
        if exact && some.len() == BATCH {
            let batch = some.drain(..).map(listed).collect();
            if sender.send(Ok(batch)).await.is_err() {
                return Ok(());
            }
        }
    }
    if listing.unread() > 0 {
        // Whoever removes what is not listed must not take this for all there is.
        let what = format!(
            "{} lines of the listing are not understood",
            listing.unread()
        );
        return Err(Error::new(ErrorKind::Protocol, what));
    }
    drop(listing);
    if !exact {
        // One of the files may have to be asked for its time, which is possible only now.
        lent.learn_zone(path, &mut some).await?;
    }
    while !some.is_empty() {
        let batch = some.drain(..some.len().min(BATCH)).map(listed).collect();
        if sender.send(Ok(batch)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

#[async_trait]
impl Listing for RemoteListing {
    async fn next(&mut self) -> Result<Option<Vec<StoreEntry>>> {
        match self.first.pop() {
            Some(batch) => Ok(Some(batch)),
            None => self.rest.recv().await.transpose(),
        }
    }
}
