//! A subdirectory and a set of permissions around any store: what a user gets.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::io::AsyncWrite;
use wharf_proto::Pathname;

use crate::{
    Error, ErrorKind, ListOrder, Listing, Metadata, Permissions, Reader, Result, Storage, Upload,
    Write,
};

/// A part of another store, with fewer rights.
///
/// The root of this store is a directory of the other one. Pathnames cannot climb out of it; symbolic links that the
/// other store follows could, which is why [`Scoped::home`] asks the store for a jail of its own first.
pub struct Scoped {
    inner: Arc<dyn Storage>,
    base: Pathname,
    permissions: Permissions,
}

impl Scoped {
    /// A view of the directory `base`, which should exist.
    pub fn new(inner: Arc<dyn Storage>, base: &Pathname, permissions: Permissions) -> Self {
        Self {
            inner,
            base: base.normalize(),
            permissions,
        }
    }

    /// The home of a user: the directory `base` of a store as a store of its own, jailed where the store can do that.
    ///
    /// Errors: those of [`Storage::metadata`] for `base`, and [`ErrorKind::NotDirectory`].
    pub async fn home(
        inner: Arc<dyn Storage>,
        base: &Pathname,
        permissions: Permissions,
    ) -> Result<Arc<dyn Storage>> {
        let base = base.normalize();
        if !inner.metadata(&base).await?.is_dir() {
            return Err(ErrorKind::NotDirectory.into());
        }
        let (inner, base) = if base.is_root() {
            (inner, base)
        } else {
            match inner.subtree(&base).await? {
                Some(jailed) => (jailed, Pathname::root()),
                None => (inner, base),
            }
        };
        if base.is_root() && permissions == Permissions::FULL {
            return Ok(inner);
        }
        Ok(Arc::new(Self::new(inner, &base, permissions)))
    }

    /// The same place in the other store.
    fn inner_path(&self, path: &Pathname) -> Result<Pathname> {
        let path = path.normalize();
        if self.base.is_root() {
            return Ok(path);
        }
        if path.is_root() {
            return Ok(self.base.clone());
        }
        // Longer than a pathname may be: as the kernel says it.
        Pathname::new([self.base.as_bytes(), path.as_bytes()].concat())
            .map_err(|error| Error::with_source(ErrorKind::NameNotAllowed, error))
    }

    /// The place in this store's view.
    fn own_path(&self, inner: &Pathname) -> Pathname {
        if self.base.is_root() {
            return inner.clone();
        }
        inner
            .as_bytes()
            .strip_prefix(self.base.as_bytes())
            .and_then(|rest| Pathname::new(rest).ok())
            .unwrap_or_else(Pathname::root)
    }

    /// For changes that the root of a store refuses.
    fn below_root(&self, path: &Pathname) -> Result<Pathname> {
        if path.normalize().is_root() {
            return Err(ErrorKind::Denied.into());
        }
        self.inner_path(path)
    }

    async fn is_missing(&self, inner_path: &Pathname) -> Result<bool> {
        match self.inner.link_metadata(inner_path).await {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// What remains of a wish to write when the user may only create or only change.
    async fn allowed(&self, inner_path: &Pathname, how: Write) -> Result<Write> {
        let Permissions { create, change, .. } = self.permissions;
        if create && change {
            return Ok(how);
        }
        let makes = matches!(how, Write::New | Write::Unique { .. });
        match how {
            _ if !create && !change => Err(ErrorKind::Denied.into()),
            Write::Replace | Write::At(0) if create => Ok(Write::New),
            // A new file of which an earlier, interrupted upload left a part may be continued.
            Write::Append | Write::At(_) if create => {
                need(self.is_missing(inner_path).await?)?;
                Ok(how)
            }
            how if create => Ok(how),
            how => {
                need(!makes && !self.is_missing(inner_path).await?)?;
                Ok(how)
            }
        }
    }

    fn facts_allowed(&self, found: Metadata) -> Result<Metadata> {
        // Directories can always be walked; what is in them is another matter.
        need(found.is_dir() || self.permissions.list || self.permissions.read)?;
        Ok(found)
    }
}

fn need(allowed: bool) -> Result<()> {
    if allowed {
        Ok(())
    } else {
        Err(ErrorKind::Denied.into())
    }
}

#[async_trait]
impl Storage for Scoped {
    async fn metadata(&self, path: &Pathname) -> Result<Metadata> {
        let found = self.inner.metadata(&self.inner_path(path)?).await?;
        self.facts_allowed(found)
    }

    async fn link_metadata(&self, path: &Pathname) -> Result<Metadata> {
        let path = self.inner_path(path)?;
        let found = if path == self.base {
            self.inner.metadata(&path).await?
        } else {
            self.inner.link_metadata(&path).await?
        };
        self.facts_allowed(found)
    }

    async fn read_link(&self, path: &Pathname) -> Result<Vec<u8>> {
        need(self.permissions.list)?;
        self.inner.read_link(&self.inner_path(path)?).await
    }

    async fn list(&self, path: &Pathname, order: ListOrder) -> Result<Box<dyn Listing>> {
        need(self.permissions.list)?;
        self.inner.list(&self.inner_path(path)?, order).await
    }

    async fn open(&self, path: &Pathname, at: u64) -> Result<Reader> {
        need(self.permissions.read)?;
        self.inner.open(&self.inner_path(path)?, at).await
    }

    async fn create(&self, path: &Pathname, how: Write) -> Result<Box<dyn Upload>> {
        let path = self.inner_path(path)?;
        let narrowed = self.permissions.create && !self.permissions.change;
        let asked_for_new = matches!(how, Write::New | Write::Unique { .. });
        let how = self.allowed(&path, how).await?;
        let inner = match self.inner.create(&path, how).await {
            // It exists, and would have had to be replaced.
            Err(error) if narrowed && !asked_for_new && error.kind() == ErrorKind::Exists => {
                return Err(Error::with_source(ErrorKind::Denied, error));
            }
            other => other?,
        };
        let name = self.own_path(inner.name());
        Ok(Box::new(ScopedUpload { name, inner }))
    }

    async fn remove_file(&self, path: &Pathname) -> Result<()> {
        need(self.permissions.remove)?;
        self.inner.remove_file(&self.below_root(path)?).await
    }

    async fn create_dir(&self, path: &Pathname) -> Result<()> {
        need(self.permissions.create)?;
        self.inner.create_dir(&self.inner_path(path)?).await
    }

    async fn remove_dir(&self, path: &Pathname) -> Result<()> {
        need(self.permissions.remove)?;
        self.inner.remove_dir(&self.below_root(path)?).await
    }

    async fn rename(&self, from: &Pathname, to: &Pathname) -> Result<()> {
        need(self.permissions.remove && self.permissions.create)?;
        let (from, to) = (self.below_root(from)?, self.below_root(to)?);
        if !self.permissions.change {
            need(self.is_missing(&to).await?)?;
        }
        self.inner.rename(&from, &to).await
    }

    async fn set_modified(&self, path: &Pathname, to: SystemTime) -> Result<()> {
        need(self.permissions.change)?;
        self.inner.set_modified(&self.inner_path(path)?, to).await
    }

    async fn set_mode(&self, path: &Pathname, mode: u32) -> Result<()> {
        need(self.permissions.change)?;
        self.inner.set_mode(&self.inner_path(path)?, mode).await
    }

    async fn free_space(&self, path: &Pathname) -> Result<Option<u64>> {
        self.inner.free_space(&self.inner_path(path)?).await
    }

    // `create_link` stays refused: a link made here could lead out of the subdirectory.

    fn time_precision(&self, listed: SystemTime) -> Duration {
        self.inner.time_precision(listed)
    }

    fn keeps_times(&self) -> bool {
        self.permissions.change && self.inner.keeps_times()
    }

    fn access(&self, path: &Pathname) -> Permissions {
        match self.inner_path(path) {
            Ok(path) => self.permissions.and(self.inner.access(&path)),
            Err(_) => self.permissions,
        }
    }

    async fn subtree(&self, base: &Pathname) -> Result<Option<Arc<dyn Storage>>> {
        let base = self.inner_path(base)?;
        let scoped = match self.inner.subtree(&base).await? {
            Some(jailed) => Self::new(jailed, &Pathname::root(), self.permissions),
            None => Self::new(Arc::clone(&self.inner), &base, self.permissions),
        };
        Ok(Some(Arc::new(scoped)))
    }
}

/// An upload that is known under the name of this store's view.
struct ScopedUpload {
    name: Pathname,
    inner: Box<dyn Upload>,
}

impl AsyncWrite for ScopedUpload {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[async_trait]
impl Upload for ScopedUpload {
    fn name(&self) -> &Pathname {
        &self.name
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.inner.commit().await
    }

    async fn abandon(self: Box<Self>) -> Result<()> {
        self.inner.abandon().await
    }
}
