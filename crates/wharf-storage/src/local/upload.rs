//! Writing an upload from async code: one large buffer fills from the network while the other one is written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use tokio::io::AsyncWrite;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};
use wharf_proto::Pathname;

use super::blocking;
use super::draft::Draft;
use crate::{Error, ErrorKind, Result, Upload};

/// Bytes per write call. Below 64 KiB the thread hop costs more than the copy; above 1 MiB nothing was gained.
/// An upload holds at most two such buffers, and less while it is small.
const CHUNK: usize = 512 << 10;

/// An upload into a directory.
pub(super) struct LocalUpload {
    name: Pathname,
    /// Taken by the commit.
    draft: Option<Draft>,
    file: Arc<File>,
    /// Where the filling buffer belongs in the file.
    position: u64,
    filling: Vec<u8>,
    spare: Vec<u8>,
    writing: Option<JoinHandle<(Vec<u8>, io::Result<()>)>>,
    failed: Option<ErrorKind>,
}

impl LocalUpload {
    pub(super) fn new(name: Pathname, draft: Draft) -> Result<Self> {
        let file = Arc::new(draft.file()?);
        let position = draft.begins_at();
        Ok(Self {
            name,
            draft: Some(draft),
            file,
            position,
            filling: Vec::new(),
            spare: Vec::new(),
            writing: None,
            failed: None,
        })
    }

    /// Hands the full buffer to a thread. Only when none is on its way.
    fn start_writing(&mut self) {
        let buffer = std::mem::replace(&mut self.filling, std::mem::take(&mut self.spare));
        let (file, at) = (Arc::clone(&self.file), self.position);
        self.position += buffer.len() as u64;
        self.writing = Some(spawn_blocking(move || {
            let written = file.write_all_at(&buffer, at);
            (buffer, written)
        }));
    }

    /// Ready when no write is on its way and none has failed.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(writing) = &mut self.writing {
            let outcome = ready!(Pin::new(writing).poll(cx));
            self.writing = None;
            let failure = match outcome {
                Ok((mut buffer, Ok(()))) => {
                    buffer.clear();
                    self.spare = buffer;
                    None
                }
                Ok((_, Err(error))) => Some(Error::from(error)),
                Err(stopped) => Some(Error::with_source(ErrorKind::Io, stopped)),
            };
            if let Some(error) = failure {
                self.failed = Some(error.kind());
                return Poll::Ready(Err(error.into()));
            }
        }
        match self.failed {
            Some(kind) => Poll::Ready(Err(Error::new(kind).into())),
            None => Poll::Ready(Ok(())),
        }
    }

    async fn written(&mut self) -> Result<()> {
        std::future::poll_fn(|cx| self.poll_written(cx)).await?;
        Ok(())
    }
}

impl AsyncWrite for LocalUpload {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let upload = self.get_mut();
        if upload.filling.len() >= CHUNK {
            ready!(upload.poll_written(cx))?;
            upload.start_writing();
        } else if let Some(kind) = upload.failed {
            return Poll::Ready(Err(Error::new(kind).into()));
        }
        let taken = data.len().min(CHUNK - upload.filling.len());
        upload
            .filling
            .extend_from_slice(data.get(..taken).unwrap_or_default());
        // Begin at once if the disk is idle, instead of with the next call.
        if upload.filling.len() >= CHUNK
            && let Poll::Ready(written) = upload.poll_written(cx)
        {
            written?;
            upload.start_writing();
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.failed {
            Some(kind) => Poll::Ready(Err(Error::new(kind).into())),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let upload = self.get_mut();
        ready!(upload.poll_written(cx))?;
        if !upload.filling.is_empty() {
            upload.start_writing();
            ready!(upload.poll_written(cx))?;
        }
        Poll::Ready(Ok(()))
    }
}

#[async_trait]
impl Upload for LocalUpload {
    fn name(&self) -> &Pathname {
        &self.name
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        self.written().await?;
        let Some(draft) = self.draft.take() else {
            return Ok(());
        };
        let (file, rest, at) = (
            Arc::clone(&self.file),
            std::mem::take(&mut self.filling),
            self.position,
        );
        blocking(move || {
            file.write_all_at(&rest, at)?;
            draft.publish()
        })
        .await
    }

    async fn abandon(mut self: Box<Self>) -> Result<()> {
        let written = self.written().await;
        let Some(draft) = self.draft.take() else {
            return Ok(());
        };
        let keep = draft.keeps_partial_data() && written.is_ok();
        let (file, rest, at) = (
            Arc::clone(&self.file),
            std::mem::take(&mut self.filling),
            self.position,
        );
        blocking(move || {
            let kept = if keep {
                file.write_all_at(&rest, at)
            } else {
                Ok(())
            };
            drop(draft);
            Ok(kept?)
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Every write fails: the file is open for reading only.
    fn failing() -> Box<LocalUpload> {
        Box::new(LocalUpload {
            name: Pathname::root(),
            draft: None,
            file: Arc::new(File::open("/dev/null").unwrap()),
            position: 0,
            filling: Vec::new(),
            spare: Vec::new(),
            writing: None,
            failed: None,
        })
    }

    #[tokio::test]
    async fn a_failed_write_is_told_and_told_again() {
        let mut upload = failing();
        let data = vec![0; 4 * CHUNK];
        let error = upload.write_all(&data).await.unwrap_err();
        assert_eq!(Error::from(error).kind(), ErrorKind::Io);
        for _ in 0..2 {
            assert!(upload.write_all(b"more").await.is_err());
            assert!(upload.flush().await.is_err());
            assert!(upload.shutdown().await.is_err());
        }
        assert_eq!(upload.commit().await.unwrap_err().kind(), ErrorKind::Io);
    }

    #[tokio::test]
    async fn a_failure_on_its_way_is_told_by_the_commit() {
        let mut upload = failing();
        upload.write_all(&vec![0; CHUNK]).await.unwrap();
        assert_eq!(upload.commit().await.unwrap_err().kind(), ErrorKind::Io);
    }
}
