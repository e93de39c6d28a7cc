//! A server as a file store: [`RemoteStorage`] is `wharf_storage::Storage` over a [`Pool`].
//!
//! Whatever compares, copies or serves stores can thereby have an FTP server on either side. Every operation takes a session
//! of its own from the pool and gives it back; a file that is read or written keeps one until it has ended. Names are
//! bytes, and stay them. What the servers say in their own ways is brought to the kinds of a store (`refusal.rs`), and where
//! their words say too little they are asked again.

mod facts;
mod listing;
mod reader;
mod refusal;
mod upload;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::sync::OnceCell;
use wharf_proto::{Pathname, Text, Timestamp};
use wharf_storage::{
    Error, ErrorKind, ListOrder, Listing, Metadata, Reader, Result, Storage, Upload, Write,
};

use crate::entry::{Entry, EntryKind, Modified};
use crate::error;
use crate::pool::{Lent, Pool};
use crate::transfer::Known;
use refusal::{Wanted, refined, told};
use upload::{Job, Refused, Rename, Verb};

/// How the names begin under which uploads wait for their commit. They are not listed. Not `.wharf-`: a wharf that serves a
/// directory keeps those names to itself.
pub(crate) const HIDDEN: &[u8] = b".upload-by-wharf.";

/// Where the data of an upload goes before its commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemoteUploads {
    /// A new file gets a hidden name and is renamed at the commit; an upload that is given up is removed. Where the server
    /// does not take such a name, as with [`Direct`](Self::Direct). To continue a file always is direct: no server copies
    /// for us what is there.
    #[default]
    Hidden,
    /// The name itself. What is cut off stays there, for a later [`Write::At`]; for those who have names of their own for
    /// what is incomplete.
    Direct,
}

/// A directory of a server, as a store. Cheap to clone.
///
/// # What it cannot promise
/// * Servers whose MLST follows symbolic links (wharf, Pure-FTPd) tell a link as one in listings only.
/// * [`Write::New`] looks twice whether the name is free; between the second look and RNTO somebody may take it.
/// * Copying from one file of a server to another needs two sessions at once: with a server that allows one, it never ends.
#[derive(Clone)]
pub struct RemoteStorage {
    shared: Arc<Shared>,
    uploads: RemoteUploads,
}

struct Shared {
    pool: Pool,
    base: Option<Pathname>,
    root: OnceCell<Root>,
    /// Times of the last listing came from LIST.
    listed: AtomicBool,
    /// The server sets no times.
    no_times: AtomicBool,
    /// It takes no hidden names.
    no_hidden: AtomicBool,
}

/// Where the store's root is.
struct Root {
    /// Before every name; empty: names are relative to the login directory.
    prefix: Vec<u8>,
    /// The login directory, where it can be named.
    home: Option<Pathname>,
}

impl RemoteStorage {
    /// The directory `base` of the pool's server; a relative one begins in the login directory, and `None` is that. Nothing
    /// is asked before it is used, not even whether it exists.
    pub fn new(pool: Pool, base: Option<Pathname>) -> Self {
        let shared = Shared {
            pool,
            base,
            root: OnceCell::new(),
            listed: AtomicBool::new(false),
            no_times: AtomicBool::new(false),
            no_hidden: AtomicBool::new(false),
        };
        Self {
            shared: Arc::new(shared),
            uploads: RemoteUploads::default(),
        }
    }

    /// The same store with another way of uploading.
    #[must_use]
    pub fn uploads(mut self, uploads: RemoteUploads) -> Self {
        self.uploads = uploads;
        self
    }

    /// Where its sessions come from.
    pub fn pool(&self) -> &Pool {
        &self.shared.pool
    }

    async fn take(&self) -> Result<(Lent, &Root)> {
        let mut lent = self.shared.pool.take().await.map_err(told)?;
        if let Some(root) = self.shared.root.get() {
            return Ok((lent, root));
        }
        let root = self.find_root(&mut lent).await.map_err(told)?;
        Ok((lent, self.shared.root.get_or_init(async || root).await))
    }

    /// Asks for the login directory where names are not absolute anyway, or where it must be found again. A server whose
    /// directories are no pathnames (VMS, z/OS) gets names that begin in it.
    async fn find_root(&self, lent: &mut Lent) -> error::Result<Root> {
        let base = self.shared.base.as_ref();
        let absolute = base.is_some_and(Pathname::is_absolute);
        let home = if absolute && lent.offers("MLSD") {
            None
        } else {
            match lent.current_dir().await {
                Ok(home) => Some(home).filter(Pathname::is_absolute),
                Err(error) if error.reply().is_some() => None,
                Err(error) => return Err(error),
            }
        };
        let whole = match (&home, base) {
            (Some(home), Some(base)) => Some(home.join(base)),
            (Some(home), None) => Some(home.clone()),
            (None, base) => base.cloned(),
        };
        let mut prefix = whole.map(Pathname::into_bytes).unwrap_or_default();
        while prefix.last() == Some(&b'/') {
            prefix.pop();
        }
        if prefix.is_empty() && (absolute || home.is_some()) {
            prefix.push(b'/');
        }
        Ok(Root { prefix, home })
    }

    /// What stands under the name, a symbolic link followed.
    async fn followed(&self, lent: &mut Lent, path: &Pathname) -> error::Result<Entry> {
        let entry = lent.entry(path).await?;
        if !matches!(entry.kind, EntryKind::Symlink { .. }) {
            return Ok(entry);
        }
        let known = lent.size(path).await;
        match known {
            Ok(Some(size)) => {
                let modified = lent.modified(path).await.unwrap_or_default();
                Ok(Entry {
                    size: Some(size),
                    modified: modified.map(Modified::Utc),
                    ..Entry::new(entry.name, EntryKind::File)
                })
            }
            Ok(None) | Err(_) => {
                // No plain file: a directory, or nothing.
                let before = lent.directory().cloned();
                lent.change_dir(path).await?;
                if let Some(home) = self.shared.root.get().and_then(|it| it.home.as_ref()) {
                    lent.come_back(home, before).await?;
                }
                let kind = EntryKind::Directory;
                Ok(Entry { kind, ..entry })
            }
        }
    }

    /// A quick look, for uploads: what stands there, as far as one question tells it.
    async fn glance(lent: &mut Lent, path: &Pathname) -> Result<Option<Entry>> {
        let seen = if lent.offers("MLST") {
            lent.entry_of_mlst(path).await.map(Some)
        } else {
            let name = path.file_name().unwrap_or_default().to_vec();
            lent.size(path).await.map(|size| {
                size.map(|size| Entry {
                    size: Some(size),
                    ..Entry::new(name, EntryKind::File)
                })
            })
        };
        match seen {
            Ok(entry) => Ok(entry),
            // The upload itself will say what is wrong.
            Err(error) if error.reply().is_some() => match refusal::kind(&error) {
                kind @ (ErrorKind::NotDirectory | ErrorKind::Busy) => {
                    Err(Error::with_source(kind, error))
                }
                _ => Ok(None),
            },
            Err(error) => Err(told(error)),
        }
    }

    /// Begins an upload under a hidden name, or under its own where the server does not take that.
    async fn begin(
        &self,
        lent: Lent,
        to: Pathname,
        own: Pathname,
        (new, mode): (bool, Option<u32>),
    ) -> Result<Box<dyn Upload>> {
        let job = |to, then| Job {
            to,
            verb: Verb::Store(0),
            then,
        };
        let hides = self.uploads == RemoteUploads::Hidden;
        if !hides || self.shared.no_hidden.load(Ordering::Relaxed) {
            let begun = upload::begin(lent, job(to, None), own).await;
            return begun.map_err(|refused| told(refused.error));
        }
        let then = Rename {
            to: to.clone(),
            new,
            mode,
        };
        let begun = upload::begin(lent, job(beside(&to)?, Some(then)), own.clone()).await;
        match begun {
            Err(Refused {
                error,
                lent: Some(lent),
            }) if is_about_the_name(&error) => {
                let begun = upload::begin(lent, job(to, None), own).await;
                let upload = begun.map_err(|refused| told(refused.error))?;
                self.shared.no_hidden.store(true, Ordering::Relaxed);
                Ok(upload)
            }
            begun => begun.map_err(|refused| told(refused.error)),
        }
    }
}

/// Whether a refusal may be about the name alone.
fn is_about_the_name(error: &error::Error) -> bool {
    error.reply().is_some_and(|it| it.code() == 553)
        || refusal::kind(error) == ErrorKind::NameNotAllowed
}

impl Root {
    /// The name on the server.
    fn at(&self, path: &Pathname) -> Result<Pathname> {
        let path = path.normalize();
        let inside = path.as_bytes().strip_prefix(b"/").unwrap_or_default();
        let mut whole = self.prefix.clone();
        if !inside.is_empty() {
            if !whole.is_empty() && !whole.ends_with(b"/") {
                whole.push(b'/');
            }
            whole.extend_from_slice(inside);
        }
        if whole.is_empty() {
            whole.push(b'.');
        }
        Pathname::new(whole).map_err(|error| Error::with_source(ErrorKind::NameNotAllowed, error))
    }

    /// The same for a listing: `None` is the login directory.
    fn listed_at(&self, path: &Pathname) -> Result<Option<Pathname>> {
        if self.prefix.is_empty() && path.normalize().is_root() {
            return Ok(None);
        }
        self.at(path).map(Some)
    }
}

/// A name for an upload that waits for its commit.
fn beside(to: &Pathname) -> Result<Pathname> {
    let mut name = HIDDEN.to_vec();
    name.extend_from_slice(format!("{:016x}", unlikely()).as_bytes());
    sibling(to, &name)
}

/// Another name in the same directory.
fn sibling(of: &Pathname, name: &[u8]) -> Result<Pathname> {
    let named = match of.parent() {
        Some(parent) => parent.child(name),
        None => Pathname::new(name),
    };
    named.map_err(|error| Error::with_source(ErrorKind::NameNotAllowed, error))
}

/// A number that nobody else has: `RandomState` has keys from the system.
fn unlikely() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[async_trait]
impl Storage for RemoteStorage {
    async fn metadata(&self, path: &Pathname) -> Result<Metadata> {
        let (mut lent, root) = self.take().await?;
        let at = root.at(path)?;
        let entry = self.followed(&mut lent, &at).await.map_err(told)?;
        Ok(facts::metadata(&entry))
    }

    async fn link_metadata(&self, path: &Pathname) -> Result<Metadata> {
        let (mut lent, root) = self.take().await?;
        let entry = lent.entry(&root.at(path)?).await.map_err(told)?;
        Ok(facts::metadata(&entry))
    }

    /// From the listing of its directory.
    async fn read_link(&self, path: &Pathname) -> Result<Vec<u8>> {
        let (mut lent, root) = self.take().await?;
        let at = root.at(path)?;
        let Some(name) = at.file_name() else {
            return Err(ErrorKind::WrongKind.into());
        };
        let entries = lent.list(at.parent().as_ref()).await.map_err(told)?;
        let found = entries.into_iter().find(|it| it.name == name);
        match found.map(|it| it.kind) {
            Some(EntryKind::Symlink { target }) => target.ok_or_else(Error::unsupported),
            Some(_) => Err(ErrorKind::WrongKind.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    async fn list(&self, path: &Pathname, order: ListOrder) -> Result<Box<dyn Listing>> {
        let (lent, root) = self.take().await?;
        let by_list = !lent.offers("MLSD");
        self.shared.listed.store(by_list, Ordering::Relaxed);
        listing::begin(lent, root.listed_at(path)?, root.home.clone(), order).await
    }

    async fn open(&self, path: &Pathname, at: u64) -> Result<Reader> {
        let (mut lent, root) = self.take().await?;
        let from = root.at(path)?;
        let seen = if lent.offers("MLST") {
            self.followed(&mut lent, &from).await.map_err(told)?
        } else {
            // SIZE is one question; that it is no file the transfer will say.
            let size = match lent.size(&from).await {
                Ok(size) => size,
                Err(error) if error.reply().is_some() => None,
                Err(error) => return Err(told(error)),
            };
            Entry {
                size,
                ..Entry::new(Vec::new(), EntryKind::File)
            }
        };
        match seen.kind {
            EntryKind::File => {}
            EntryKind::Directory => return Err(ErrorKind::IsDirectory.into()),
            EntryKind::Symlink { .. } | EntryKind::Other => return Err(ErrorKind::WrongKind.into()),
        }
        if seen.size.is_some_and(|size| at > size) {
            return Err(ErrorKind::InvalidOffset.into());
        }
        let known = Known {
            size: seen.size,
            modified: seen.modified_utc(),
        };
        reader::open(lent, from, at, known).await
    }

    async fn create(&self, path: &Pathname, how: Write) -> Result<Box<dyn Upload>> {
        let own = match &how {
            Write::Unique { prefix } => {
                let mut name = prefix.clone();
                name.extend_from_slice(format!(".{:08x}", unlikely() >> 32).as_bytes());
                if prefix.is_empty() {
                    name.splice(..1, *b"file.");
                }
                let named = path.normalize().child(&name);
                named.map_err(|error| Error::with_source(ErrorKind::NameNotAllowed, error))?
            }
            _ => path.normalize(),
        };
        if own.is_root() {
            return Err(ErrorKind::IsDirectory.into());
        }
        let (mut lent, root) = self.take().await?;
        let to = root.at(&own)?;
        let there = Self::glance(&mut lent, &to).await?;
        if there.as_ref().is_some_and(Entry::is_directory) {
            return Err(ErrorKind::IsDirectory.into());
        }
        let length = there.as_ref().map_or(Some(0), |it| it.size);
        let continued = |lent, verb| async {
            let job = Job {
                to: to.clone(),
                verb,
                then: None,
            };
            let upload = upload::begin(lent, job, own.clone()).await;
            upload.map_err(|refused| told(refused.error))
        };
        match how {
            Write::New | Write::Unique { .. } if there.is_some() => Err(ErrorKind::Exists.into()),
            Write::New | Write::Unique { .. } => {
                self.begin(lent, to.clone(), own.clone(), (true, None))
                    .await
            }
            Write::Replace => {
                let mode = there.and_then(|it| it.mode);
                self.begin(lent, to.clone(), own.clone(), (false, mode))
                    .await
            }
            Write::Append => continued(lent, Verb::Append).await,
            Write::At(at) if length.is_some_and(|length| at > length) => {
                Err(ErrorKind::InvalidOffset.into())
            }
            Write::At(at) => continued(lent, Verb::Store(at)).await,
        }
    }

    async fn remove_file(&self, path: &Pathname) -> Result<()> {
        if path.normalize().is_root() {
            return Err(ErrorKind::IsDirectory.into());
        }
        let (mut lent, root) = self.take().await?;
        let at = root.at(path)?;
        match lent.remove_file(&at).await {
            Ok(_) => Ok(()),
            Err(error) => Err(refined(&mut lent, &at, Wanted::File, error).await),
        }
    }

    async fn create_dir(&self, path: &Pathname) -> Result<()> {
        if path.normalize().is_root() {
            return Err(ErrorKind::Exists.into());
        }
        let (mut lent, root) = self.take().await?;
        let at = root.at(path)?;
        match lent.make_dir(&at).await {
            Ok(_) => Ok(()),
            Err(error) => Err(refined(&mut lent, &at, Wanted::Nothing, error).await),
        }
    }

    async fn remove_dir(&self, path: &Pathname) -> Result<()> {
        if path.normalize().is_root() {
            return Err(ErrorKind::Denied.into());
        }
        let (mut lent, root) = self.take().await?;
        let at = root.at(path)?;
        match lent.remove_dir(&at).await {
            Ok(_) => Ok(()),
            Err(error) => Err(refined(&mut lent, &at, Wanted::Empty, error).await),
        }
    }

    async fn rename(&self, from: &Pathname, to: &Pathname) -> Result<()> {
        let (from, to) = (from.normalize(), to.normalize());
        if from.is_root() || to.is_root() {
            return Err(ErrorKind::Denied.into());
        }
        let below = to.as_bytes().strip_prefix(from.as_bytes());
        if below.is_some_and(|it| it.starts_with(b"/")) {
            return Err(ErrorKind::NameNotAllowed.into());
        }
        let (mut lent, root) = self.take().await?;
        let renamed = lent.rename(&root.at(&from)?, &root.at(&to)?).await;
        renamed.map(drop).map_err(told)
    }

    /// SITE SYMLINK, which ProFTPD's `mod_site_misc` has; names with white space cannot be said in it.
    async fn create_link(&self, path: &Pathname, target: &[u8]) -> Result<()> {
        let (mut lent, root) = self.take().await?;
        let at = root.at(path)?;
        let sayable = |name: &[u8]| !name.is_empty() && !name.iter().any(u8::is_ascii_whitespace);
        if !sayable(at.as_bytes()) || !sayable(target) {
            return Err(Error::unsupported());
        }
        let line = [b"SYMLINK ", target, b" ", at.as_bytes()].concat();
        let line = Text::new(line).map_err(|_| ErrorKind::NameNotAllowed)?;
        lent.site(line).await.map(drop).map_err(told)
    }

    /// MFMT, MDTM with a time or SITE UTIME: whole seconds.
    async fn set_modified(&self, path: &Pathname, to: SystemTime) -> Result<()> {
        let (mut lent, root) = self.take().await?;
        let at = root.at(path)?;
        match lent.set_modified(&at, Timestamp::from(to)).await {
            Ok(_) => Ok(()),
            Err(error) => {
                if error.kind() == error::ErrorKind::Unsupported {
                    self.shared.no_times.store(true, Ordering::Relaxed);
                }
                Err(refined(&mut lent, &at, Wanted::File, error).await)
            }
        }
    }

    /// SITE CHMOD.
    async fn set_mode(&self, path: &Pathname, mode: u32) -> Result<()> {
        if mode > 0o777 {
            return Err(ErrorKind::Denied.into());
        }
        let (mut lent, root) = self.take().await?;
        let at = root.at(path)?;
        lent.chmod(&at, mode).await.map(drop).map_err(told)
    }

    fn time_precision(&self, listed: SystemTime) -> Duration {
        let by_list = self.shared.listed.load(Ordering::Relaxed);
        facts::precision(listed, by_list, SystemTime::now())
    }

    fn keeps_times(&self) -> bool {
        !self.shared.no_times.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for RemoteStorage {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("RemoteStorage")
            .field("pool", &self.shared.pool)
            .field("base", &self.shared.base)
            .field("uploads", &self.uploads)
            .finish_non_exhaustive()
    }
}
