//! A store in memory, for tests: the same semantics as a directory, with a pretended capacity and slowness.

mod tree;
mod upload;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::io::{AsyncRead, ReadBuf};
use wharf_proto::Pathname;

use self::tree::{Content, LastLink, Tree};
use self::upload::MemoryUpload;
use crate::{
    BATCH, Entry, Error, ErrorKind, Kind, ListOrder, Listing, Metadata, ReadFile, Reader, Result,
    Storage, Upload, Write,
};

/// How a memory store pretends to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryOptions {
    /// Bytes of content that fit, unfinished uploads included; beyond it is [`ErrorKind::NoSpace`].
    pub capacity: Option<u64>,
    /// How long every operation takes, reading and writing excepted, in the time of tokio.
    pub latency: Option<Duration>,
    /// The time of everything that is made or changed, instead of the clock's.
    pub now: Option<SystemTime>,
    /// As [`LocalOptions::resume`](crate::LocalOptions::resume).
    pub resume: bool,
}

/// A store in memory. Clones share the content.
#[derive(Clone)]
pub struct Memory {
    tree: Arc<Mutex<Tree>>,
    options: MemoryOptions,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::with_options(MemoryOptions::default())
    }

    /// An empty store that pretends.
    pub fn with_options(options: MemoryOptions) -> Self {
        let now = options.now.unwrap_or_else(SystemTime::now);
        Self {
            tree: Arc::new(Mutex::new(Tree::new(now))),
            options,
        }
    }

    /// Puts a file there, as a test's first step; its parent must exist.
    pub fn add_file(&self, path: &Pathname, data: impl Into<Vec<u8>>) -> Result<()> {
        self.add(path, Content::File(Arc::new(data.into())))
    }

    /// Puts a directory there; its parent must exist.
    pub fn add_dir(&self, path: &Pathname) -> Result<()> {
        self.add(path, Content::Directory)
    }

    /// Puts a symbolic link there, which no FTP command can.
    pub fn add_link(&self, path: &Pathname, target: impl Into<Vec<u8>>) -> Result<()> {
        self.add(path, Content::Link(target.into()))
    }

    fn add(&self, path: &Pathname, content: Content) -> Result<()> {
        let now = self.now();
        let mut tree = self.lock();
        let key = tree.key(path, LastLink::Keep)?;
        tree.check_parent(&key)?;
        tree.put(key, content, now);
        Ok(())
    }

    fn now(&self) -> SystemTime {
        self.options.now.unwrap_or_else(SystemTime::now)
    }

    fn lock(&self) -> MutexGuard<'_, Tree> {
        // A test that panicked with the lock in its hand must not hide its message behind a second one.
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pause(&self) {
        if let Some(latency) = self.options.latency {
            tokio::time::sleep(latency).await;
        }
    }

    fn facts(&self, path: &Pathname, last: LastLink) -> Result<Metadata> {
        let tree = self.lock();
        let key = tree.key(path, last)?;
        if let Some(node) = tree.node(&key) {
            return Ok(node.metadata());
        }
        let partial = tree.partial.get(&key);
        let partial = partial.filter(|_| last == LastLink::Follow);
        let partial = partial.ok_or(ErrorKind::NotFound)?;
        Ok(Metadata {
            kind: Kind::File,
            size: partial.len() as u64,
            modified: self.now(),
            mode: None,
            uid: None,
            gid: None,
            links: 1,
            unique: None,
        })
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Storage for Memory {
    async fn metadata(&self, path: &Pathname) -> Result<Metadata> {
        self.pause().await;
        self.facts(path, LastLink::Follow)
    }

    async fn link_metadata(&self, path: &Pathname) -> Result<Metadata> {
        self.pause().await;
        self.facts(path, LastLink::Keep)
    }

    async fn read_link(&self, path: &Pathname) -> Result<Vec<u8>> {
        self.pause().await;
        let tree = self.lock();
        let key = tree.key(path, LastLink::Keep)?;
        match tree.node(&key).map(|node| &node.content) {
            Some(Content::Link(target)) => Ok(target.clone()),
            Some(_) => Err(ErrorKind::WrongKind.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    async fn list(&self, path: &Pathname, _: ListOrder) -> Result<Box<dyn Listing>> {
        self.pause().await;
        let tree = self.lock();
        let key = tree.key(path, LastLink::Follow)?;
        match tree.node(&key).map(|node| &node.content) {
            Some(Content::Directory) => Ok(Box::new(MemoryListing {
                entries: tree.entries(&key),
            })),
            Some(_) => Err(ErrorKind::NotDirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    async fn open(&self, path: &Pathname, at: u64) -> Result<Reader> {
        self.pause().await;
        let tree = self.lock();
        let key = tree.key(path, LastLink::Follow)?;
        match tree.node(&key).map(|node| &node.content) {
            Some(Content::File(data)) if at > data.len() as u64 => {
                Err(ErrorKind::InvalidOffset.into())
            }
            Some(Content::File(data)) => Ok(Box::new(MemoryReader {
                data: Arc::clone(data),
                at: usize::try_from(at).unwrap_or(usize::MAX),
            })),
            Some(Content::Directory) => Err(ErrorKind::IsDirectory.into()),
            Some(Content::Link(_)) | None => Err(ErrorKind::NotFound.into()),
        }
    }

    async fn create(&self, path: &Pathname, how: Write) -> Result<Box<dyn Upload>> {
        self.pause().await;
        let mut tree = self.lock();
        let path = path.normalize();
        let (name, fresh) = match &how {
            Write::Unique { prefix } => (unique(&tree, &path, prefix)?, true),
            Write::New => (path, true),
            Write::Replace | Write::Append | Write::At(_) => (path, false),
        };
        let last = if fresh {
            LastLink::Keep
        } else {
            LastLink::Follow
        };
        let key = tree.key(&name, last)?;
        tree.check_parent(&key)?;
        let old = match tree.node(&key).map(|node| &node.content) {
            Some(_) if fresh => return Err(ErrorKind::Exists.into()),
            Some(Content::File(data)) => Some(Arc::clone(data)),
            Some(Content::Directory) => return Err(ErrorKind::IsDirectory.into()),
            Some(Content::Link(_)) => return Err(ErrorKind::WrongKind.into()),
            None => None,
        };

        let busy = tree.uploading.contains(&key);
        let continues = matches!(how, Write::Append | Write::At(1..));
        if busy && continues && old.is_none() {
            return Err(ErrorKind::Busy.into());
        }
        let leaves_partial =
            self.options.resume && old.is_none() && !busy && !matches!(how, Write::Unique { .. });
        let mut data = match &old {
            Some(old) if continues => old.as_ref().clone(),
            None if leaves_partial => tree.partial.get(&key).cloned().unwrap_or_default(),
            _ => Vec::new(),
        };
        let keep = match how {
            Write::At(n) => usize::try_from(n).unwrap_or(usize::MAX),
            Write::Append => data.len(),
            Write::Replace | Write::New | Write::Unique { .. } => 0,
        };
        if keep > data.len() {
            return Err(ErrorKind::InvalidOffset.into());
        }
        data.truncate(keep);
        if leaves_partial && let Some(partial) = tree.partial.remove(&key) {
            tree.used -= partial.len() as u64;
        }
        // A made-up name is taken from now on: two uploads at the same time must not get the same one.
        let claims = leaves_partial || matches!(how, Write::Unique { .. });
        if claims {
            tree.uploading.insert(key.clone());
        }
        tree.used += data.len() as u64;
        drop(tree);
        Ok(Box::new(MemoryUpload {
            store: self.clone(),
            name,
            key,
            data,
            fresh,
            leaves_partial,
            claims,
            over: false,
        }))
    }

    async fn remove_file(&self, path: &Pathname) -> Result<()> {
        self.pause().await;
        let now = self.now();
        let mut tree = self.lock();
        let key = tree.key(path, LastLink::Keep)?;
        let found = tree.node(&key).map(tree::Node::metadata);
        if found.as_ref().is_some_and(Metadata::is_dir) {
            return Err(ErrorKind::IsDirectory.into());
        }
        tree.remove(&key, now);
        match (found, tree.partial.remove(&key)) {
            (_, Some(partial)) => tree.used -= partial.len() as u64,
            (Some(_), None) => {}
            (None, None) => return Err(ErrorKind::NotFound.into()),
        }
        Ok(())
    }

    async fn create_dir(&self, path: &Pathname) -> Result<()> {
        self.pause().await;
        let now = self.now();
        let mut tree = self.lock();
        let key = tree.key(path, LastLink::Keep)?;
        if tree.node(&key).is_some() {
            return Err(ErrorKind::Exists.into());
        }
        tree.check_parent(&key)?;
        tree.put(key, Content::Directory, now);
        Ok(())
    }

    async fn remove_dir(&self, path: &Pathname) -> Result<()> {
        self.pause().await;
        let now = self.now();
        let mut tree = self.lock();
        let key = tree.key(path, LastLink::Keep)?;
        if key == b"/" {
            return Err(ErrorKind::Denied.into());
        }
        let node = tree.node(&key).ok_or(ErrorKind::NotFound)?;
        if !node.metadata().is_dir() {
            return Err(ErrorKind::NotDirectory.into());
        }
        if !tree.is_empty_dir(&key) {
            return Err(ErrorKind::NotEmpty.into());
        }
        tree.remove(&key, now);
        let first = tree::child_key(&key, b"");
        tree.partial.retain(|name, _| !name.starts_with(&first));
        Ok(())
    }

    async fn rename(&self, from: &Pathname, to: &Pathname) -> Result<()> {
        self.pause().await;
        let now = self.now();
        let mut tree = self.lock();
        let from = tree.key(from, LastLink::Keep)?;
        let to = tree.key(to, LastLink::Keep)?;
        if from == b"/" || to == b"/" {
            return Err(ErrorKind::Denied.into());
        }
        let moved = tree.node(&from).ok_or(ErrorKind::NotFound)?.metadata();
        tree.check_parent(&to)?;
        if from == to {
            return Ok(());
        }
        if to.starts_with(&tree::child_key(&from, b"")) {
            return Err(ErrorKind::NameNotAllowed.into());
        }
        if let Some(there) = tree.node(&to) {
            match (moved.is_dir(), there.metadata().is_dir()) {
                (false, true) => return Err(ErrorKind::IsDirectory.into()),
                (true, false) => return Err(ErrorKind::NotDirectory.into()),
                (true, true) if !tree.is_empty_dir(&to) => {
                    return Err(ErrorKind::NotEmpty.into());
                }
                _ => {}
            }
        }
        tree.rename(&from, &to, now);
        Ok(())
    }

    async fn create_link(&self, path: &Pathname, target: &[u8]) -> Result<()> {
        self.pause().await;
        let now = self.now();
        let mut tree = self.lock();
        let key = tree.key(path, LastLink::Keep)?;
        if tree.node(&key).is_some() {
            return Err(ErrorKind::Exists.into());
        }
        tree.check_parent(&key)?;
        tree.put(key, Content::Link(target.to_vec()), now);
        Ok(())
    }

    async fn set_modified(&self, path: &Pathname, to: SystemTime) -> Result<()> {
        self.pause().await;
        let mut tree = self.lock();
        let key = tree.key(path, LastLink::Follow)?;
        tree.node_mut(&key).ok_or(ErrorKind::NotFound)?.modified = to;
        Ok(())
    }

    async fn set_mode(&self, path: &Pathname, mode: u32) -> Result<()> {
        self.pause().await;
        if mode > 0o777 {
            return Err(ErrorKind::Denied.into());
        }
        let mut tree = self.lock();
        let key = tree.key(path, LastLink::Follow)?;
        tree.node_mut(&key).ok_or(ErrorKind::NotFound)?.mode = mode;
        Ok(())
    }

    async fn free_space(&self, _: &Pathname) -> Result<Option<u64>> {
        self.pause().await;
        let used = self.lock().used;
        Ok(self
            .options
            .capacity
            .map(|capacity| capacity.saturating_sub(used)))
    }
}

fn unique(tree: &Tree, dir: &Pathname, prefix: &[u8]) -> Result<Pathname> {
    let prefix = if prefix.is_empty() { b"stou" } else { prefix };
    for number in 1_u32..=u32::MAX {
        let name = [prefix, format!(".{number}").as_bytes()].concat();
        let path = dir
            .child(&name)
            .map_err(|error| Error::with_source(ErrorKind::NameNotAllowed, error))?;
        let key = tree.key(&path, LastLink::Keep)?;
        if tree.node(&key).is_none() && !tree.uploading.contains(&key) {
            return Ok(path);
        }
    }
    Err(ErrorKind::Exists.into())
}

struct MemoryListing {
    entries: Vec<Entry>,
}

#[async_trait]
impl Listing for MemoryListing {
    async fn next(&mut self) -> Result<Option<Vec<Entry>>> {
        if self.entries.is_empty() {
            return Ok(None);
        }
        let rest = self.entries.split_off(self.entries.len().min(BATCH));
        Ok(Some(std::mem::replace(&mut self.entries, rest)))
    }
}

struct MemoryReader {
    data: Arc<Vec<u8>>,
    at: usize,
}

impl AsyncRead for MemoryReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let n = rest.len().min(out.remaining());
        out.put_slice(rest.get(..n).unwrap_or_default());
        self.at += n;
        Poll::Ready(Ok(()))
    }
}

impl ReadFile for MemoryReader {
    fn length(&self) -> Option<u64> {
        Some(self.data.len() as u64)
    }
}
