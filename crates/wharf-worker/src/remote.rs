//! The server's side: a store that somebody else serves.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::SystemTime;

use async_trait::async_trait;
use tokio::io::AsyncWrite;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use wharf_proto::Pathname;
use wharf_storage::{
    Entry, Error, ErrorKind, FileReader, FileWriter, ListOrder, Listing, Metadata, Reader, Result,
    Storage, Upload, Write,
};

use crate::channel::Channel;
use crate::message::{Answer, Ask, Reply, Request};

/// A store in another process. When that process ends, every operation is refused as [`ErrorKind::Io`].
///
/// Files are read and written here, by their descriptors; the other process names, opens and commits them. Whoever uses
/// it waits at its end for as many answers as he has asked questions, so nothing here grows beyond that.
pub struct Remote {
    asker: Arc<Asker>,
}

/// Ends the connection with its last user.
struct Asker {
    questions: mpsc::UnboundedSender<Question>,
    last: AtomicU32,
    gone: Arc<Gone>,
}

struct Question {
    request: Request,
    /// What is forgotten has none.
    answer: Option<oneshot::Sender<Answered>>,
}

struct Answered {
    answer: Answer,
    descriptor: Option<OwnedFd>,
}

/// Why the connection has ended, once it has.
#[derive(Default)]
struct Gone(Mutex<Option<String>>);

impl Gone {
    fn because(&self, why: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    fn error(&self) -> Error {
        let why = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let why = why.as_deref().unwrap_or("it has ended");
        Error::with_source(ErrorKind::Io, format!("the storage worker: {why}"))
    }
}

impl Remote {
    /// Asks at the other end of that connection.
    ///
    /// # Errors
    /// The runtime cannot watch it.
    ///
    /// # Panics
    /// Outside of a runtime of tokio.
    pub fn new(connection: OwnedFd) -> io::Result<Self> {
        let channel = Channel::new(connection)?;
        let (questions, asked) = mpsc::unbounded_channel();
        let gone = Arc::new(Gone::default());
        let told = Arc::clone(&gone);
        tokio::spawn(async move {
            let why = match converse(&channel, asked).await {
                Ok(()) => "it has ended".to_owned(),
                Err(error) => error.to_string(),
            };
            told.because(why);
        });
        Ok(Self {
            asker: Arc::new(Asker {
                questions,
                last: AtomicU32::new(0),
                gone,
            }),
        })
    }

    async fn ask(&self, ask: Ask) -> Result<Answered> {
        self.asker.ask(ask).await
    }

    async fn done(&self, ask: Ask) -> Result<()> {
        match self.ask(ask).await?.answer {
            Answer::Done => Ok(()),
            _ => Err(unexpected()),
        }
    }

    async fn facts(&self, ask: Ask) -> Result<Metadata> {
        match self.ask(ask).await?.answer {
            Answer::Metadata(facts) => Ok(facts),
            _ => Err(unexpected()),
        }
    }
}

/// One task owns the connection: it sends the questions and gives out the answers. It never stops reading to send, so the
/// two ends cannot wait for each other.
async fn converse(
    channel: &Channel,
    mut asked: mpsc::UnboundedReceiver<Question>,
) -> io::Result<()> {
    let mut waiting: HashMap<u32, oneshot::Sender<Answered>> = HashMap::new();
    let mut outgoing: Option<Vec<u8>> = None;
    loop {
        tokio::select! {
            sent = async { channel.send(outgoing.as_deref().unwrap_or_default(), None).await },
                if outgoing.is_some() =>
            {
                sent?;
                outgoing = None;
            }
            question = asked.recv(), if outgoing.is_none() => {
                let Some(Question { request, answer }) = question else {
                    return Ok(());
                };
                if let Ask::Forget(number) = request.ask {
                    waiting.remove(&number);
                }
                waiting.extend(answer.map(|answer| (request.number, answer)));
                outgoing = Some(request.encode());
            }
            packet = channel.receive() => {
                let Some(packet) = packet? else {
                    return Ok(());
                };
                let Reply { number, answer } = Reply::decode(&packet.bytes)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                let descriptor = packet.descriptor;
                if let Some(waits) = waiting.remove(&number) {
                    // Given up at this moment: what has come of it is forgotten there.
                    let _ = waits.send(Answered { answer, descriptor });
                }
            }
        }
    }
}

impl Asker {
    fn send(&self, ask: Ask, answer: Option<oneshot::Sender<Answered>>) -> Result<u32> {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let request = Request { number, ask };
        match self.questions.send(Question { request, answer }) {
            Ok(()) => Ok(number),
            Err(_) => Err(self.gone.error()),
        }
    }

    /// What leaves nothing open.
    async fn ask(self: &Arc<Self>, ask: Ask) -> Result<Answered> {
        let (came, mut open) = self.opening(ask).await?;
        open.number = None;
        Ok(came)
    }

    /// The answer, and what holds open at the other end what has come of it.
    async fn opening(self: &Arc<Self>, ask: Ask) -> Result<(Answered, Open)> {
        let (answer, answered) = oneshot::channel();
        let number = self.send(ask, Some(answer))?;
        // Dropped while it waits, it gives the question up.
        let mut open = Open {
            asker: Arc::clone(self),
            number: Some(number),
        };
        let Ok(came) = answered.await else {
            open.number = None;
            return Err(self.gone.error());
        };
        if let Answer::Refused { kind, why } = came.answer {
            open.number = None;
            return Err(Error::with_source(kind, why));
        }
        Ok((came, open))
    }
}

/// The number of something that the other end is told to forget when nobody needs it any more.
struct Open {
    asker: Arc<Asker>,
    number: Option<u32>,
}

impl Open {
    /// Uses it up.
    async fn end(mut self, ask: fn(u32) -> Ask) -> Result<()> {
        let Some(number) = self.number.take() else {
            return Err(unexpected());
        };
        match self.asker.ask(ask(number)).await?.answer {
            Answer::Done => Ok(()),
            _ => Err(unexpected()),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            // Gone: it has forgotten everything.
            let _ = self.asker.send(Ask::Forget(number), None);
        }
    }
}

fn unexpected() -> Error {
    Error::with_source(ErrorKind::Io, "the storage worker answers something else")
}

fn file_of(descriptor: Option<OwnedFd>) -> Result<File> {
    descriptor.map(File::from).ok_or_else(unexpected)
}

#[async_trait]
impl Storage for Remote {
    async fn metadata(&self, path: &Pathname) -> Result<Metadata> {
        self.facts(Ask::Metadata(path.clone())).await
    }

    async fn link_metadata(&self, path: &Pathname) -> Result<Metadata> {
        self.facts(Ask::LinkMetadata(path.clone())).await
    }

    async fn read_link(&self, path: &Pathname) -> Result<Vec<u8>> {
        match self.ask(Ask::ReadLink(path.clone())).await?.answer {
            Answer::Target(target) => Ok(target),
            _ => Err(unexpected()),
        }
    }

    async fn list(&self, path: &Pathname, order: ListOrder) -> Result<Box<dyn Listing>> {
        let ask = Ask::List(path.clone(), order);
        let (came, open) = self.asker.opening(ask).await?;
        match came.answer {
            Answer::Done => Ok(Box::new(RemoteListing { open: Some(open) })),
            _ => Err(unexpected()),
        }
    }

    async fn open(&self, path: &Pathname, at: u64) -> Result<Reader> {
        let came = self.ask(Ask::Open(path.clone(), at)).await?;
        let Answer::Reader { length } = came.answer else {
            return Err(unexpected());
        };
        let file = file_of(came.descriptor)?;
        match spawn_blocking(move || FileReader::new(file, length, at)).await {
            Ok(reader) => Ok(Box::new(reader?)),
            Err(stopped) => Err(Error::with_source(ErrorKind::Io, stopped)),
        }
    }

    async fn create(&self, path: &Pathname, how: Write) -> Result<Box<dyn Upload>> {
        let ask = Ask::Create(path.clone(), how);
        let (came, open) = self.asker.opening(ask).await?;
        let Answer::Upload { name, begins_at } = came.answer else {
            return Err(unexpected());
        };
        Ok(Box::new(RemoteUpload {
            name,
            writer: FileWriter::new(file_of(came.descriptor)?, begins_at),
            open,
        }))
    }

    async fn remove_file(&self, path: &Pathname) -> Result<()> {
        self.done(Ask::RemoveFile(path.clone())).await
    }

    async fn create_dir(&self, path: &Pathname) -> Result<()> {
        self.done(Ask::CreateDir(path.clone())).await
    }

    async fn remove_dir(&self, path: &Pathname) -> Result<()> {
        self.done(Ask::RemoveDir(path.clone())).await
    }

    async fn rename(&self, from: &Pathname, to: &Pathname) -> Result<()> {
        self.done(Ask::Rename(from.clone(), to.clone())).await
    }

    async fn set_modified(&self, path: &Pathname, to: SystemTime) -> Result<()> {
        self.done(Ask::SetModified(path.clone(), to)).await
    }

    async fn set_mode(&self, path: &Pathname, mode: u32) -> Result<()> {
        self.done(Ask::SetMode(path.clone(), mode)).await
    }

    async fn free_space(&self, path: &Pathname) -> Result<Option<u64>> {
        match self.ask(Ask::FreeSpace(path.clone())).await?.answer {
            Answer::Space(bytes) => Ok(bytes),
            _ => Err(unexpected()),
        }
    }
}

struct RemoteListing {
    /// `None` when all is read, or a read failed.
    open: Option<Open>,
}

#[async_trait]
impl Listing for RemoteListing {
    async fn next(&mut self) -> Result<Option<Vec<Entry>>> {
        let Some(mut open) = self.open.take() else {
            return Ok(None);
        };
        let Some(number) = open.number else {
            return Ok(None);
        };
        let asked = open.asker.ask(Ask::Next(number)).await;
        match asked.map(|came| came.answer) {
            Ok(Answer::Entries(entries)) if entries.is_empty() => {
                open.number = None;
                Ok(None)
            }
            Ok(Answer::Entries(entries)) => {
                self.open = Some(open);
                Ok(Some(entries))
            }
            Ok(_) => Err(unexpected()),
            Err(error) => Err(error),
        }
    }
}

/// Written here, named there.
struct RemoteUpload {
    name: Pathname,
    writer: FileWriter,
    open: Open,
}

impl AsyncWrite for RemoteUpload {
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
impl Upload for RemoteUpload {
    fn name(&self) -> &Pathname {
        &self.name
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        self.writer.finish().await?;
        let Self { writer, open, .. } = *self;
        // The lock on what can be continued goes with the last descriptor.
        drop(writer);
        open.end(Ask::Commit).await
    }

    async fn abandon(mut self: Box<Self>) -> Result<()> {
        // What could not be written is not kept, and the kind of that failure is known already.
        let written = self.writer.finish().await;
        let Self { writer, open, .. } = *self;
        drop(writer);
        open.end(Ask::Abandon).await.and(written)
    }
}
