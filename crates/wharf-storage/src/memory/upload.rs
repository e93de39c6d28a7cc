//! An upload on its way into memory.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use tokio::io::AsyncWrite;
use wharf_proto::Pathname;

use super::Memory;
use super::tree::{Content, Tree};
use crate::{Error, ErrorKind, Result, Upload};

pub(super) struct MemoryUpload {
    pub(super) store: Memory,
    pub(super) name: Pathname,
    pub(super) key: Vec<u8>,
    pub(super) data: Vec<u8>,
    pub(super) fresh: bool,
    pub(super) leaves_partial: bool,
    /// Stands in the tree's list of uploads on their way.
    pub(super) claims: bool,
    pub(super) over: bool,
}

impl MemoryUpload {
    /// Gives back what was counted, and ends.
    fn end(&mut self, tree: &mut Tree) -> Vec<u8> {
        self.over = true;
        tree.used -= self.data.len() as u64;
        if self.claims {
            tree.uploading.remove(&self.key);
        }
        std::mem::take(&mut self.data)
    }
}

impl AsyncWrite for MemoryUpload {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut tree = self.store.lock();
        let used = tree.used + data.len() as u64;
        if self
            .store
            .options
            .capacity
            .is_some_and(|capacity| used > capacity)
        {
            return Poll::Ready(Err(Error::new(ErrorKind::NoSpace).into()));
        }
        tree.used = used;
        drop(tree);
        self.data.extend_from_slice(data);
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[async_trait]
impl Upload for MemoryUpload {
    fn name(&self) -> &Pathname {
        &self.name
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        self.store.pause().await;
        let store = self.store.clone();
        let now = store.now();
        let mut tree = store.lock();
        tree.check_parent(&self.key)?;
        match tree.node(&self.key).map(|node| &node.content) {
            Some(_) if self.fresh => return Err(ErrorKind::Exists.into()),
            Some(Content::Directory) => return Err(ErrorKind::IsDirectory.into()),
            _ => {}
        }
        let data = self.end(&mut tree);
        tree.put(self.key.clone(), Content::File(Arc::new(data)), now);
        Ok(())
    }

    async fn abandon(self: Box<Self>) -> Result<()> {
        self.store.pause().await;
        Ok(())
    }
}

impl Drop for MemoryUpload {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let store = self.store.clone();
        let mut tree = store.lock();
        let data = self.end(&mut tree);
        if self.leaves_partial && !data.is_empty() && tree.node(&self.key).is_none() {
            tree.used += data.len() as u64;
            tree.partial.insert(self.key.clone(), data);
        }
    }
}
