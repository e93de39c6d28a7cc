//! A file that is written: a task owns the session and the upload, the writer has the other end of a pipe and says at the
//! end whether it meant it.
//!
//! A commit tells the truth. It succeeds when the server has confirmed the file and its length agrees, and it stands under
//! its name. It fails with [`Unconfirmed`](StoreKind::Unconfirmed) when all of it was sent and nothing tells what became of
//! it, and with any other kind when the file is not there as it was meant.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::oneshot;
use wharf_proto::Pathname;
use wharf_storage::{Error as StoreError, ErrorKind as StoreKind, Result, Upload};

use super::reader::{CHUNK, PIPE, come_in_step};
use super::refusal::{kind, told};
use crate::entry::EntryKind;
use crate::error::{Error, ErrorKind};
use crate::pool::{Lent, Pool};

/// What is to be done on the server.
pub(super) struct Job {
    /// Where the data goes.
    pub(super) to: Pathname,
    pub(super) verb: Verb,
    /// Under which name it appears at the commit, where that is another one.
    pub(super) then: Option<Rename>,
}

pub(super) enum Verb {
    /// STOR, with REST where it does not begin at 0.
    Store(u64),
    /// APPE.
    Append,
}

pub(super) struct Rename {
    pub(super) to: Pathname,
    /// Somebody else's file of that name is not touched.
    pub(super) new: bool,
    /// The permission bits of the file that is replaced.
    pub(super) mode: Option<u32>,
}

struct RemoteUpload {
    pipe: DuplexStream,
    meant: Option<oneshot::Sender<()>>,
    end: oneshot::Receiver<Result<()>>,
    /// As the store calls it.
    name: Pathname,
    failed: Option<StoreKind>,
}

/// What the server said at the beginning, and the session, to try again.
pub(super) struct Refused {
    pub(super) error: Error,
    pub(super) lent: Option<Lent>,
}

/// Begins it; the server has opened the file when this returns.
pub(super) async fn begin(
    lent: Lent,
    job: Job,
    name: Pathname,
) -> std::result::Result<Box<dyn Upload>, Refused> {
    let (pipe, far) = duplex(PIPE);
    let (begun, begins) = oneshot::channel();
    let (meant, means) = oneshot::channel();
    let (ends, end) = oneshot::channel();
    tokio::spawn(async move {
        let outcome = send(lent, job, far, begun, means).await;
        // Nobody is left to be told when that fails.
        let _ = outcome.map(|outcome| ends.send(outcome));
    });
    match begins.await {
        Ok(None) => Ok(Box::new(RemoteUpload {
            pipe,
            meant: Some(meant),
            end,
            name,
            failed: None,
        })),
        Ok(Some(refused)) => Err(refused),
        // Only when the runtime is shutting down, which drops tasks in any order.
        Err(_) => Err(Refused {
            error: Error::new(ErrorKind::Aborted, "the upload was stopped"),
            lent: None,
        }),
    }
}

/// `None`: refused at the beginning, which was told in another way.
async fn send(
    mut lent: Lent,
    job: Job,
    mut far: DuplexStream,
    begun: oneshot::Sender<Option<Refused>>,
    means: oneshot::Receiver<()>,
) -> Option<Result<()>> {
    let began = match job.verb {
        Verb::Store(at) => lent.store(&job.to, at).await,
        Verb::Append => lent.append(&job.to).await,
    };
    let mut upload = match began {
        Ok(upload) => upload,
        Err(error) => {
            let lent = Some(lent);
            let _ = begun.send(Some(Refused { error, lent }));
            return None;
        }
    };
    let mut unwanted = begun.send(None).is_err();
    let mut chunk = vec![0; CHUNK];
    let failed = loop {
        if unwanted {
            break None;
        }
        let n = match far.read(&mut chunk).await {
            Ok(0) | Err(_) => break None,
            Ok(n) => n,
        };
        if let Err(error) = upload.write_all(chunk.get(..n).unwrap_or_default()).await {
            break Some(error);
        }
    };
    if let Some(error) = failed {
        let error = upload.explain(error).await;
        tidy(lent, &job).await;
        return Some(Err(told(error)));
    }
    unwanted |= means.await.is_err();
    if unwanted {
        drop(upload); // resets the data connection: a clean end would tell the server that this was all
        tidy(lent, &job).await;
        return Some(Ok(()));
    }
    let sent = upload.progress().clone();
    match upload.finish().await {
        Ok(_) => {}
        Err(error) => {
            let hidden = job.then.is_some();
            tidy(lent, &job).await;
            // Under a name that nobody looks at it is not there, whatever became of it.
            return Some(Err(if hidden && error.is_unconfirmed() {
                StoreError::with_source(StoreKind::Io, error)
            } else {
                told(error)
            }));
        }
    }
    let Some(then) = &job.then else {
        return Some(Ok(()));
    };
    let pool = lent.pool().clone();
    match appear(&mut lent, &job.to, then).await {
        Ok(()) => Some(Ok(())),
        Err(error) if lost(&error) => {
            drop(lent);
            Some(look_again(&pool, &job.to, then, sent.moved(), error).await)
        }
        Err(error) => {
            tidy(lent, &job).await;
            Some(Err(told(error)))
        }
    }
}

fn lost(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Closed | ErrorKind::Connect | ErrorKind::Timeout
    )
}

/// Gives the complete file its name.
async fn appear(lent: &mut Lent, from: &Pathname, then: &Rename) -> std::result::Result<(), Error> {
    if let Some(mode) = then.mode {
        // Where the server does not let us, the file has the mode of new files.
        match lent.chmod(from, mode & 0o777).await {
            Err(error) if lost(&error) => return Err(error),
            _ => {}
        }
    }
    if then.new && lent.entry(&then.to).await.is_ok() {
        let what = format!("{}: exists meanwhile", then.to.display());
        return Err(Error::new(ErrorKind::Exists, what));
    }
    let refused = match lent.rename(from, &then.to).await {
        Ok(_) => return Ok(()),
        Err(error) if lost(&error) || then.new => return Err(error),
        Err(error) => error,
    };
    // Some servers do not replace (Windows); for them the old file goes first.
    match lent.entry(&then.to).await {
        Ok(there) if there.kind == EntryKind::File => {}
        _ => return Err(refused),
    }
    lent.remove_file(&then.to).await?;
    lent.rename(from, &then.to).await.map(drop)
}

/// The answer to RNTO was lost: what is there tells whether it was carried out.
async fn look_again(
    pool: &Pool,
    from: &Pathname,
    then: &Rename,
    length: u64,
    error: Error,
) -> Result<()> {
    let unknown = |error| Err(StoreError::with_source(StoreKind::Unconfirmed, error));
    let Ok(mut lent) = pool.take().await else {
        return unknown(error);
    };
    match lent.entry(from).await {
        Ok(_) => {
            // Best effort, as everywhere where something is tidied.
            let _ = lent.remove_file(from).await;
            Err(StoreError::with_source(StoreKind::Io, error))
        }
        Err(gone) if kind(&gone) == StoreKind::NotFound => match lent.entry(&then.to).await {
            Ok(there) if there.size == Some(length) => Ok(()),
            _ => unknown(error),
        },
        Err(_) => unknown(error),
    }
}

/// Removes what nobody will look for, and leaves the session in step.
async fn tidy(mut lent: Lent, job: &Job) {
    if lent.comes_in_step().await.is_err() {
        let pool = lent.pool().clone();
        lent.discard();
        if job.then.is_none() {
            return;
        }
        let Ok(another) = pool.take().await else {
            return;
        };
        lent = another;
    }
    if job.then.is_some() {
        // Servers that forget what was cut off answer 550.
        let _ = lent.remove_file(&job.to).await;
    }
    come_in_step(lent).await;
}

impl RemoteUpload {
    /// The task has ended although nobody told it to: why.
    fn poll_why(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if let Some(kind) = self.failed {
            return Poll::Ready(StoreError::new(kind).into());
        }
        let outcome = ready!(Pin::new(&mut self.end).poll(cx));
        let error = match outcome {
            Ok(Err(error)) => error,
            Ok(Ok(())) | Err(_) => StoreError::new(StoreKind::Io),
        };
        self.failed = Some(error.kind());
        Poll::Ready(error.into())
    }

    async fn ended(&mut self) -> Result<()> {
        match (&mut self.end).await {
            Ok(outcome) => outcome,
            Err(_) => Err(StoreError::new(StoreKind::Io)),
        }
    }
}

impl AsyncWrite for RemoteUpload {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.failed.is_none() {
            match ready!(Pin::new(&mut self.pipe).poll_write(cx, bytes)) {
                Ok(n) => return Poll::Ready(Ok(n)),
                Err(error) => tracing::debug!(%error, "the upload has ended"),
            }
        }
        self.poll_why(cx).map(Err)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The end is for [`Upload::commit`] to say.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[async_trait]
impl Upload for RemoteUpload {
    fn name(&self) -> &Pathname {
        &self.name
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        if let Some(kind) = self.failed {
            return Err(StoreError::new(kind));
        }
        if let Some(meant) = self.meant.take() {
            // A task that has ended already tells why below.
            let _ = meant.send(());
        }
        let _ = self.pipe.shutdown().await;
        self.ended().await
    }

    async fn abandon(mut self: Box<Self>) -> Result<()> {
        self.meant = None;
        let _ = self.pipe.shutdown().await;
        match self.ended().await {
            // Whatever went wrong, it is given up.
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
