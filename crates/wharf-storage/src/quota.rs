//! How much a user may keep: bytes and names, counted around any store.
//!
//! What is there is counted once, when the store is made ([`Usage::count`]), and followed from then on; all sessions of
//! a user share one [`Usage`]. An upload is charged while it is written, so that several at once cannot get past the
//! limit together; what it replaces is taken off. What changes behind the server's back, and what a store keeps of
//! broken uploads under hidden names, is only seen by the next count. What cannot be counted is refused, never let
//! through.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::io::AsyncWrite;
use wharf_proto::Pathname;

use crate::{
    Error, ErrorKind, ListOrder, Listing, Metadata, Permissions, Reader, Result, Storage, Upload,
    Write,
};

/// What a user may keep; `None` is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaLimits {
    /// Bytes in all files together.
    pub bytes: Option<u64>,
    /// Files, links and directories.
    pub names: Option<u64>,
}

/// What a user keeps now, shared by the user's sessions.
#[derive(Debug, Default)]
pub struct Usage {
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    bytes: u64,
    names: u64,
    /// Charged for uploads that broke, which the store may keep: taken off when that name is continued
    broken: HashMap<Pathname, u64>,
}

/// Broken uploads that are remembered; of more than that the charge stays until the next count
const MOST_BROKEN: usize = 1000;

/// A store with limits.
pub struct Quota {
    inner: Arc<dyn Storage>,
    limits: QuotaLimits,
    usage: Arc<Usage>,
    /// The store keeps what arrived of a broken upload
    keeps: bool,
}

impl Usage {
    /// Counts everything in a store, links not followed. Takes as long as a recursive listing.
    ///
    /// # Errors
    /// A directory cannot be listed: then nobody knows.
    pub async fn count(storage: &dyn Storage) -> Result<Self> {
        let mut used = Used::default();
        let mut waiting = vec![Pathname::root()];
        while let Some(directory) = waiting.pop() {
            let mut listing = match storage.list(&directory, ListOrder::Unsorted).await {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                other => other?,
            };
            while let Some(batch) = listing.next().await? {
                for entry in batch {
                    used.names += 1;
                    if entry.metadata.is_dir() {
                        let inside = directory.child(&entry.name);
                        waiting.push(inside.map_err(|error| {
                            Error::with_source(ErrorKind::NameNotAllowed, error)
                        })?);
                    } else if entry.metadata.is_file() {
                        used.bytes = used.bytes.saturating_add(entry.metadata.size);
                    }
                }
            }
        }
        Ok(Self {
            used: Mutex::new(used),
        })
    }

    /// Bytes and names now.
    pub fn now(&self) -> (u64, u64) {
        let used = self.used();
        (used.bytes, used.names)
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        // Counters are never left half-changed, so a poisoned lock is still good.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Quota {
    /// `keeps`: the store keeps what arrived of a broken upload, for a later continuation.
    pub fn new(
        inner: Arc<dyn Storage>,
        limits: QuotaLimits,
        usage: Arc<Usage>,
        keeps: bool,
    ) -> Self {
        Self {
            inner,
            limits,
            usage,
            keeps,
        }
    }

    /// The size of a file that is there, `None` where nothing has the name.
    async fn size(&self, path: &Pathname) -> Result<Option<u64>> {
        match self.inner.link_metadata(path).await {
            Ok(found) if found.is_file() => Ok(Some(found.size)),
            // Through a link: what it leads to is what is written.
            Ok(_) => match self.inner.metadata(path).await {
                Ok(found) if found.is_file() => Ok(Some(found.size)),
                _ => Ok(Some(0)),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn take_name(&self) -> Result<()> {
        let mut used = self.usage.used();
        if self.limits.names.is_some_and(|most| used.names >= most) {
            return Err(ErrorKind::Quota.into());
        }
        used.names += 1;
        Ok(())
    }

    fn give_back(&self, names: u64, bytes: u64) {
        let mut used = self.usage.used();
        used.names = used.names.saturating_sub(names);
        used.bytes = used.bytes.saturating_sub(bytes);
    }
}

#[async_trait]
impl Storage for Quota {
    async fn metadata(&self, path: &Pathname) -> Result<Metadata> {
        self.inner.metadata(path).await
    }

    async fn link_metadata(&self, path: &Pathname) -> Result<Metadata> {
        self.inner.link_metadata(path).await
    }

    async fn read_link(&self, path: &Pathname) -> Result<Vec<u8>> {
        self.inner.read_link(path).await
    }

    async fn list(&self, path: &Pathname, order: ListOrder) -> Result<Box<dyn Listing>> {
        self.inner.list(path, order).await
    }

    async fn open(&self, path: &Pathname, at: u64) -> Result<Reader> {
        self.inner.open(path, at).await
    }

    async fn create(&self, path: &Pathname, how: Write) -> Result<Box<dyn Upload>> {
        let there = match how {
            Write::Unique { .. } => None,
            _ => self.size(path).await?,
        };
        // What the file will hold before the first byte is written, and what may be written without a charge.
        let (kept, credit) = match (&how, there) {
            (Write::Append, size) => (size.unwrap_or(0), 0),
            (Write::At(at), size) => {
                let size = size.unwrap_or(0);
                (size.min(*at), size.saturating_sub(*at))
            }
            (_, size) => (0, size.unwrap_or(0)),
        };
        let broken = match how {
            Write::Append | Write::At(_) => self.usage.used().broken.remove(path).unwrap_or(0),
            _ => 0,
        };
        if there.is_none() {
            self.take_name()?;
        }
        let inner = match self.inner.create(path, how).await {
            Ok(inner) => inner,
            Err(error) => {
                self.give_back(u64::from(there.is_none()), 0);
                return Err(error);
            }
        };
        Ok(Box::new(QuotaUpload {
            inner: Some(inner),
            usage: Arc::clone(&self.usage),
            most: self.limits.bytes,
            new: there.is_none(),
            replaced: there.unwrap_or(0).saturating_sub(kept),
            credit: credit.saturating_add(broken),
            written: 0,
            charged: broken,
            keeps: self.keeps,
            path: path.clone(),
            done: false,
        }))
    }

    async fn remove_file(&self, path: &Pathname) -> Result<()> {
        // Of a file with several names nothing comes free: counted by the next count.
        let found = self.inner.link_metadata(path).await.ok();
        self.inner.remove_file(path).await?;
        let size = found.filter(|it| it.is_file() && it.links <= 1);
        self.give_back(1, size.map_or(0, |it| it.size));
        Ok(())
    }

    async fn create_dir(&self, path: &Pathname) -> Result<()> {
        self.take_name()?;
        let made = self.inner.create_dir(path).await;
        if made.is_err() {
            self.give_back(1, 0);
        }
        made
    }

    async fn remove_dir(&self, path: &Pathname) -> Result<()> {
        self.inner.remove_dir(path).await?;
        self.give_back(1, 0);
        Ok(())
    }

    async fn rename(&self, from: &Pathname, to: &Pathname) -> Result<()> {
        let replaced = if from.normalize() == to.normalize() {
            None
        } else {
            self.inner.link_metadata(to).await.ok()
        };
        self.inner.rename(from, to).await?;
        if let Some(replaced) = replaced {
            let size = if replaced.is_file() { replaced.size } else { 0 };
            self.give_back(1, size);
        }
        Ok(())
    }

    async fn create_link(&self, path: &Pathname, target: &[u8]) -> Result<()> {
        self.take_name()?;
        let made = self.inner.create_link(path, target).await;
        if made.is_err() {
            self.give_back(1, 0);
        }
        made
    }

    async fn set_modified(&self, path: &Pathname, to: SystemTime) -> Result<()> {
        self.inner.set_modified(path, to).await
    }

    async fn set_mode(&self, path: &Pathname, mode: u32) -> Result<()> {
        self.inner.set_mode(path, mode).await
    }

    async fn free_space(&self, path: &Pathname) -> Result<Option<u64>> {
        let free = self.inner.free_space(path).await?;
        let Some(most) = self.limits.bytes else {
            return Ok(free);
        };
        let own = most.saturating_sub(self.usage.now().0);
        Ok(Some(free.map_or(own, |free| free.min(own))))
    }

    fn time_precision(&self, listed: SystemTime) -> Duration {
        self.inner.time_precision(listed)
    }

    fn keeps_times(&self) -> bool {
        self.inner.keeps_times()
    }

    fn access(&self, path: &Pathname) -> Permissions {
        self.inner.access(path)
    }
}

/// An upload that is charged while it is written.
struct QuotaUpload {
    /// None once it is over
    inner: Option<Box<dyn Upload>>,
    usage: Arc<Usage>,
    most: Option<u64>,
    /// Makes a name that was not there
    new: bool,
    /// Bytes of the old content that will be gone
    replaced: u64,
    /// Bytes that may be written before anything is charged
    credit: u64,
    written: u64,
    charged: u64,
    keeps: bool,
    path: Pathname,
    done: bool,
}

impl QuotaUpload {
    /// Charges for so many more bytes; how many of them fit
    fn charge(&mut self, wanted: usize) -> usize {
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
        let free = self.credit.saturating_sub(self.written).min(wanted);
        let mut used = self.usage.used();
        let room = self
            .most
            .map_or(u64::MAX, |most| most.saturating_sub(used.bytes));
        let paid = (wanted - free).min(room);
        used.bytes = used.bytes.saturating_add(paid);
        self.charged = self.charged.saturating_add(paid);
        usize::try_from(free + paid).unwrap_or(usize::MAX)
    }

    fn uncharge(&mut self, bytes: u64) {
        let mut used = self.usage.used();
        used.bytes = used.bytes.saturating_sub(bytes);
        self.charged = self.charged.saturating_sub(bytes);
    }

    fn inner(&mut self) -> io::Result<Pin<&mut Box<dyn Upload>>> {
        let inner = self.inner.as_mut();
        inner
            .map(Pin::new)
            .ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// It is over, and nothing of it stands under its name
    fn broken(&mut self) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        let mut used = self.usage.used();
        used.names = used.names.saturating_sub(u64::from(self.new));
        if !self.keeps {
            used.bytes = used.bytes.saturating_sub(self.charged);
        } else if self.charged > 0 && used.broken.len() < MOST_BROKEN {
            used.broken.insert(self.path.clone(), self.charged);
        }
    }
}

impl Drop for QuotaUpload {
    fn drop(&mut self) {
        self.broken();
    }
}

impl AsyncWrite for QuotaUpload {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let before = this.charged;
        let fits = this.charge(data.len());
        let Some(part) = data
            .get(..fits)
            .filter(|part| !part.is_empty() || data.is_empty())
        else {
            return Poll::Ready(Err(Error::new(ErrorKind::Quota).into()));
        };
        let written = this.inner()?.poll_write(cx, part);
        let taken = match &written {
            Poll::Ready(Ok(taken)) => *taken,
            _ => 0,
        };
        // What the store did not take is charged when it comes again.
        let taken = u64::try_from(taken).unwrap_or(u64::MAX);
        let free = this.credit.saturating_sub(this.written).min(taken);
        let due = before.saturating_add(taken - free);
        this.uncharge(this.charged.saturating_sub(due));
        this.written = this.written.saturating_add(taken);
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().inner()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().inner()?.poll_shutdown(cx)
    }
}

#[async_trait]
impl Upload for QuotaUpload {
    fn name(&self) -> &Pathname {
        self.inner.as_ref().map_or(&self.path, |inner| inner.name())
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        let Some(inner) = self.inner.take() else {
            return Err(ErrorKind::Io.into());
        };
        inner.commit().await?;
        self.done = true;
        // The new content was shorter than what it replaces.
        let mut used = self.usage.used();
        let gone = self.replaced.saturating_sub(self.written);
        used.bytes = used.bytes.saturating_sub(gone);
        Ok(())
    }

    async fn abandon(mut self: Box<Self>) -> Result<()> {
        match self.inner.take() {
            Some(inner) => inner.abandon().await,
            None => Ok(()),
        }
    }
}
