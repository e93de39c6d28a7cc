//! The seam: what a file store can do, whatever keeps the files.
//!
//! All pathnames are absolute in the store's own view; a relative one is read from the store's root, and `.`
//! and `..` are resolved before anything is touched. No operation knows a user: permissions and homes are
//! wrappers (see [`Scoped`](crate::Scoped)) put around a store when somebody logs in.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use wharf_proto::Pathname;

use crate::{Entry, Error, Metadata, Permissions, Result};

/// Listings are sorted by name up to this many entries; a larger directory comes in the store's own order, so
/// that its listing starts at once and needs no more memory than a small one.
pub const SORT_LIMIT: usize = 20_000;

/// The most entries that [`Listing::next`] returns at once.
pub const BATCH: usize = 256;

/// In which order a listing is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ListOrder {
    /// By the bytes of the name, for directories of at most [`SORT_LIMIT`] entries.
    #[default]
    Name,
    /// As it comes: the first entries arrive without reading the whole directory.
    Unsorted,
}

/// What an upload does with what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Becomes the whole content, whether or not the name exists (STOR).
    Replace,
    /// Becomes a new file; [`Exists`](crate::ErrorKind::Exists) when the name is taken, at the start or at the commit.
    New,
    /// Continues at the end; a missing file begins empty (APPE).
    Append,
    /// Keeps the first n bytes and continues there; what followed them is cut off (REST n, STOR).
    /// [`InvalidOffset`](crate::ErrorKind::InvalidOffset) when the file is shorter, a missing one counting as empty.
    At(u64),
    /// Becomes a new file in the directory that the pathname names, under a name that the store makes up and tells
    /// through [`Upload::name`] (STOU).
    Unique {
        /// How the name begins; empty for the store's choice.
        prefix: Vec<u8>,
    },
}

/// A file store.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// The facts about a name, symbolic links followed.
    async fn metadata(&self, path: &Pathname) -> Result<Metadata>;

    /// The facts about the name itself: a symbolic link is told as one.
    async fn link_metadata(&self, path: &Pathname) -> Result<Metadata>;

    /// Where a symbolic link points, exactly as stored; [`WrongKind`](crate::ErrorKind::WrongKind) for anything else.
    async fn read_link(&self, path: &Pathname) -> Result<Vec<u8>> {
        let _ = path;
        Err(Error::unsupported())
    }

    /// The entries of a directory, in batches; never `.` or `..`.
    async fn list(&self, path: &Pathname, order: ListOrder) -> Result<Box<dyn Listing>>;

    /// Opens a plain file for reading from byte `at` on; `at` equal to the length reads nothing,
    /// beyond it is [`InvalidOffset`](crate::ErrorKind::InvalidOffset).
    async fn open(&self, path: &Pathname, at: u64) -> Result<Reader>;

    /// Begins an upload. Nothing changes under the name before [`Upload::commit`].
    async fn create(&self, path: &Pathname, how: Write) -> Result<Box<dyn Upload>>;

    /// Removes a file or a symbolic link, never a directory.
    async fn remove_file(&self, path: &Pathname) -> Result<()>;

    /// Makes a directory; its parent must exist.
    async fn create_dir(&self, path: &Pathname) -> Result<()>;

    /// Removes an empty directory; the root is [`Denied`](crate::ErrorKind::Denied).
    async fn remove_dir(&self, path: &Pathname) -> Result<()>;

    /// Gives a file or directory another name. A file that has the new name is replaced, as Unix servers do.
    async fn rename(&self, from: &Pathname, to: &Pathname) -> Result<()>;

    /// Makes a symbolic link that holds exactly these bytes; nobody asks where it leads.
    /// [`Exists`](crate::ErrorKind::Exists) when the name is taken.
    async fn create_link(&self, path: &Pathname, target: &[u8]) -> Result<()> {
        let _ = (path, target);
        Err(Error::unsupported())
    }

    /// Sets the time of the last change, links followed.
    async fn set_modified(&self, path: &Pathname, to: SystemTime) -> Result<()> {
        let _ = (path, to);
        Err(Error::unsupported())
    }

    /// Sets the permission bits, links followed. Bits above `0o777` are [`Denied`](crate::ErrorKind::Denied).
    async fn set_mode(&self, path: &Pathname, mode: u32) -> Result<()> {
        let _ = (path, mode);
        Err(Error::unsupported())
    }

    /// Bytes that can still be written near that place; `None` when nobody knows. The path need not exist.
    async fn free_space(&self, path: &Pathname) -> Result<Option<u64>> {
        let _ = path;
        Ok(None)
    }

    /// What policy allows at that place. Cheap: it is asked for every line of a listing.
    fn access(&self, path: &Pathname) -> Permissions {
        let _ = path;
        Permissions::FULL
    }

    /// How far the truth may lie from a time that a listing of this store told: nothing here, a minute or a day where a
    /// server's LIST said no more. Whoever compares times allows for it; [`metadata`](Self::metadata) may know better.
    fn time_precision(&self, listed: SystemTime) -> Duration {
        let _ = listed;
        Duration::ZERO
    }

    /// Whether files keep the times that [`set_modified`](Self::set_modified) gives them, as far as is known.
    fn keeps_times(&self) -> bool {
        true
    }

    /// A store of its own rooted at that directory, from which not even a symbolic link leads back up; `None` when
    /// this store cannot make one and a wrapper must do.
    async fn subtree(&self, base: &Pathname) -> Result<Option<Arc<dyn Storage>>> {
        let _ = base;
        Ok(None)
    }
}

/// An open file.
pub trait ReadFile: AsyncRead + Send + Unpin {
    /// The kernel's file behind it and the position of the next byte, for `sendfile`. Purely an optimisation: a
    /// store without one returns `None`, and whoever uses it reads nothing more through `AsyncRead`.
    fn as_file(&self) -> Option<(&std::fs::File, u64)> {
        None
    }

    /// Length of the whole file in bytes when it was opened, where known.
    fn length(&self) -> Option<u64> {
        None
    }
}

/// What [`Storage::open`] returns.
pub type Reader = Box<dyn ReadFile>;

/// An upload on its way: a transaction that either is committed or leaves nothing under the name.
///
/// Errors of writing arrive as [`std::io::Error`] through `AsyncWrite`, `Error::from` gives back their kind.
/// `poll_flush` forces nothing, since nothing is visible before the commit; large chunks are the point.
/// Dropping it is abandoning it without the last buffered bytes.
#[async_trait]
pub trait Upload: AsyncWrite + Send + Unpin {
    /// Under which name it will appear.
    fn name(&self) -> &Pathname;

    /// The kernel's file behind it and the position of the next byte, for whoever writes to it by himself, in another
    /// process; nothing more is then written through `AsyncWrite`. A store without one returns `None`, and so does a
    /// wrapper that counts bytes.
    fn as_file(&self) -> Option<(&std::fs::File, u64)> {
        None
    }

    /// Writes what is still buffered and makes the file appear. The error of an earlier write comes back here too.
    async fn commit(self: Box<Self>) -> Result<()>;

    /// Gives up. A store that was told to keep partial data writes what is buffered and keeps all of it for a later
    /// [`Write::At`] or [`Write::Append`]; every other store forgets it.
    async fn abandon(self: Box<Self>) -> Result<()>;
}

/// A directory being read.
#[async_trait]
pub trait Listing: Send {
    /// The next at most [`BATCH`] entries, `None` at the end. Entries that vanish meanwhile are left out.
    async fn next(&mut self) -> Result<Option<Vec<Entry>>>;
}

/// Collects a whole listing; for directories that are known to be small.
pub async fn collect(mut listing: Box<dyn Listing>) -> Result<Vec<Entry>> {
    let mut all = Vec::new();
    while let Some(batch) = listing.next().await? {
        all.extend(batch);
    }
    Ok(all)
}
