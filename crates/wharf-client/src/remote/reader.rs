//! A file that is read: a task owns the session and the download, the reader has the other end of a pipe.
//!
//! The task lives until the server has confirmed the transfer, or until the reader is dropped; then it stops the transfer,
//! comes in step and gives the session back.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::sync::oneshot;
use wharf_proto::Pathname;
use wharf_storage::{Error as StoreError, ErrorKind as StoreKind, ReadFile, Reader, Result};

use super::refusal::told;
use crate::error::Error;
use crate::pool::Lent;
use crate::transfer::Known;

/// Bytes between the task and its reader.
pub(super) const PIPE: usize = 256 * 1024;

/// Bytes that are moved at once.
pub(super) const CHUNK: usize = 64 * 1024;

/// A plain file on the server.
struct RemoteReader {
    pipe: DuplexStream,
    end: oneshot::Receiver<std::result::Result<(), Error>>,
    ended: bool,
    length: Option<u64>,
}

/// Nothing to read, and nothing was asked for.
struct Nothing(u64);

/// Opens it; the data connection stands when this returns.
pub(super) async fn open(lent: Lent, path: Pathname, at: u64, known: Known) -> Result<Reader> {
    if known.size == Some(at) {
        return Ok(Box::new(Nothing(at)));
    }
    let (pipe, far) = duplex(PIPE);
    let (begun, begins) = oneshot::channel();
    let (ends, end) = oneshot::channel();
    tokio::spawn(bring(lent, path, at, known, far, begun, ends));
    match begins.await {
        Ok(Ok(())) => Ok(Box::new(RemoteReader {
            pipe,
            end,
            ended: false,
            length: known.size,
        })),
        Ok(Err(error)) => Err(told(error)),
        Err(_) => Err(StoreError::new(StoreKind::Io)),
    }
}

async fn bring(
    mut lent: Lent,
    path: Pathname,
    at: u64,
    known: Known,
    mut far: DuplexStream,
    begun: oneshot::Sender<std::result::Result<(), Error>>,
    mut ends: oneshot::Sender<std::result::Result<(), Error>>,
) {
    let outcome = {
        let mut download = match lent.retrieve_known(&path, at, known).await {
            Ok(download) => download,
            Err(error) => {
                // Nobody is left to be told when that fails.
                let _ = begun.send(Err(error));
                return;
            }
        };
        // A reader that has gone already closes `ends`, too.
        let _ = begun.send(Ok(()));
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = tokio::select! {
                read = download.read(&mut chunk) => read,
                () = ends.closed() => break None,
            };
            match read {
                Ok(0) => break Some(download.finish().await.map(drop)),
                Ok(n) => {
                    let bytes = chunk.get(..n).unwrap_or_default();
                    if far.write_all(bytes).await.is_err() {
                        break None;
                    }
                }
                Err(error) => break Some(Err(download.explain(error).await)),
            }
        }
    };
    match outcome {
        Some(outcome) => {
            // Told before the pipe ends, and the session is free before either is seen.
            drop(lent);
            let _ = ends.send(outcome);
        }
        None => come_in_step(lent).await,
    }
}

/// Now, so that the next taker need not wait for it.
pub(super) async fn come_in_step(mut lent: Lent) {
    if lent.comes_in_step().await.is_err() {
        lent.discard();
    }
}

impl AsyncRead for RemoteReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ended || buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.pipe).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            return Poll::Ready(Ok(()));
        }
        let outcome = ready!(Pin::new(&mut self.end).poll(cx));
        self.ended = true;
        Poll::Ready(match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(told(error).into()),
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        })
    }
}

impl ReadFile for RemoteReader {
    fn length(&self) -> Option<u64> {
        self.length
    }
}

impl AsyncRead for Nothing {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl ReadFile for Nothing {
    fn length(&self) -> Option<u64> {
        Some(self.0)
    }
}
