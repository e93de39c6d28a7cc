//! An upload into a directory: the bytes go to the draft's file, and the draft gets its name or goes.

use std::fs::File;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use tokio::io::AsyncWrite;
use tokio::runtime::Handle;
use wharf_proto::Pathname;

use super::blocking;
use super::draft::Draft;
use super::writer::FileWriter;
use crate::{Result, Upload};

/// An upload into a directory.
pub(super) struct LocalUpload {
    name: Pathname,
    /// Taken by the commit.
    draft: Option<Draft>,
    writer: FileWriter,
}

impl LocalUpload {
    pub(super) fn new(name: Pathname, draft: Draft) -> Result<Self> {
        let writer = FileWriter::new(draft.file()?, draft.begins_at());
        Ok(Self {
            name,
            draft: Some(draft),
            writer,
        })
    }
}

impl AsyncWrite for LocalUpload {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }
}

#[async_trait]
impl Upload for LocalUpload {
    fn name(&self) -> &Pathname {
        &self.name
    }

    fn as_file(&self) -> Option<(&File, u64)> {
        Some(self.writer.file())
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        self.writer.written().await?;
        let Some(draft) = self.draft.take() else {
            return Ok(());
        };
        let rest = self.writer.take_rest();
        blocking(move || {
            rest.write()?;
            draft.publish()
        })
        .await
    }

    async fn abandon(mut self: Box<Self>) -> Result<()> {
        let written = self.writer.written().await;
        let Some(draft) = self.draft.take() else {
            return Ok(());
        };
        let keep = draft.keeps_partial_data() && written.is_ok();
        let rest = self.writer.take_rest();
        blocking(move || {
            let kept = if keep { rest.write() } else { Ok(()) };
            drop(draft);
            kept
        })
        .await
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        // Removing a large file takes the kernel a while. If the runtime is going down, the closure is dropped
        // instead of run, and the draft with it.
        if let Some(draft) = self.draft.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn_blocking(move || drop(draft));
        }
    }
}
