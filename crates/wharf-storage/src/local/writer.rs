//! A file written from async code: one large buffer fills from the network while the other one is written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;
use tokio::task::{JoinHandle, spawn_blocking};

use super::blocking;
use crate::{Error, ErrorKind, Result};

/// Bytes per write call. Below 64 KiB the thread hop costs more than the copy; above 1 MiB nothing was gained.
/// A file holds at most two such buffers, and less while it is small.
const CHUNK: usize = 512 << 10;

/// An open file that is written from a position on. Whoever ends it without [`finish`](Self::finish) loses what is
/// buffered.
pub struct FileWriter {
    file: Arc<File>,
    /// Where the filling buffer belongs in the file.
    position: u64,
    filling: Vec<u8>,
    spare: Vec<u8>,
    writing: Option<JoinHandle<(Vec<u8>, io::Result<()>)>>,
    failed: Option<ErrorKind>,
}

impl FileWriter {
    /// Writes from byte `at` on.
    pub fn new(file: File, at: u64) -> Self {
        Self {
            file: Arc::new(file),
            position: at,
            filling: Vec::new(),
            spare: Vec::new(),
            writing: None,
            failed: None,
        }
    }

    /// The file, and where the next byte goes that this writer is given.
    pub(super) fn file(&self) -> (&File, u64) {
        (&self.file, self.position + self.filling.len() as u64)
    }

    /// Writes what is still buffered. The error of an earlier write comes back here too.
    pub async fn finish(&mut self) -> Result<()> {
        self.written().await?;
        let rest = self.take_rest();
        blocking(move || rest.write()).await
    }

    /// The last piece, for whoever is on a thread of the blocking pool anyway. Only when everything else is
    /// [`written`](Self::written).
    pub(super) fn take_rest(&mut self) -> Rest {
        let at = self.position;
        let bytes = std::mem::take(&mut self.filling);
        self.position += bytes.len() as u64;
        Rest {
            file: Arc::clone(&self.file),
            bytes,
            at,
        }
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

    /// Waits for the write that is on its way.
    pub(super) async fn written(&mut self) -> Result<()> {
        std::future::poll_fn(|cx| self.poll_written(cx)).await?;
        Ok(())
    }
}

impl AsyncWrite for FileWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let writer = self.get_mut();
        if writer.filling.len() >= CHUNK {
            ready!(writer.poll_written(cx))?;
            writer.start_writing();
        } else if let Some(kind) = writer.failed {
            return Poll::Ready(Err(Error::new(kind).into()));
        }
        let taken = data.len().min(CHUNK - writer.filling.len());
        writer
            .filling
            .extend_from_slice(data.get(..taken).unwrap_or_default());
        // Begin at once if the disk is idle, instead of with the next call.
        if writer.filling.len() >= CHUNK
            && let Poll::Ready(written) = writer.poll_written(cx)
        {
            written?;
            writer.start_writing();
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
        let writer = self.get_mut();
        ready!(writer.poll_written(cx))?;
        if !writer.filling.is_empty() {
            writer.start_writing();
            ready!(writer.poll_written(cx))?;
        }
        Poll::Ready(Ok(()))
    }
}

/// What is written last. Dropped, it lets the file go.
pub(super) struct Rest {
    file: Arc<File>,
    bytes: Vec<u8>,
    at: u64,
}

impl Rest {
    /// Blocks.
    pub(super) fn write(self) -> Result<()> {
        Ok(self.file.write_all_at(&self.bytes, self.at)?)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Every write fails: the file is open for reading only.
    fn failing() -> FileWriter {
        FileWriter::new(File::open("/dev/null").unwrap(), 0)
    }

    #[tokio::test]
    async fn a_failed_write_is_told_and_told_again() {
        let mut writer = failing();
        let data = vec![0; 4 * CHUNK];
        let error = writer.write_all(&data).await.unwrap_err();
        assert_eq!(Error::from(error).kind(), ErrorKind::Io);
        for _ in 0..2 {
            assert!(writer.write_all(b"more").await.is_err());
            assert!(writer.flush().await.is_err());
            assert!(writer.shutdown().await.is_err());
        }
        assert_eq!(writer.finish().await.unwrap_err().kind(), ErrorKind::Io);
    }

    #[tokio::test]
    async fn a_failure_on_its_way_is_told_at_the_end() {
        let mut writer = failing();
        writer.write_all(&vec![0; CHUNK]).await.unwrap();
        assert_eq!(writer.finish().await.unwrap_err().kind(), ErrorKind::Io);
    }
}
