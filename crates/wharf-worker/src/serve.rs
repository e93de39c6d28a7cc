//! The worker's side: a store, served to whoever is at the other end of a connection.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use tokio::task::{AbortHandle, JoinSet};
use wharf_storage::{Entry, Error, ErrorKind, Listing, Storage, Upload};

use crate::channel::{Channel, Packet};
use crate::message::{Answer, Ask, Reply, Request, fitting};

/// Questions of one connection that are worked on at the same time; the next ones wait in the socket.
const AT_ONCE: usize = 32;

/// Listings and uploads that one connection may have open. A session of FTP has one at a time.
const HELD: usize = 64;

/// Serves the store until the other end is gone. Uploads that are on their way then are dropped.
///
/// # Errors
/// The connection does not work, or something came that no server of ours sends.
pub async fn serve(store: Arc<dyn Storage>, connection: OwnedFd) -> io::Result<()> {
    let channel = Channel::new(connection)?;
    let mut served = Served {
        store,
        held: HashMap::new(),
        running: HashMap::new(),
        tasks: JoinSet::new(),
    };
    loop {
        let busy = served.tasks.len() >= AT_ONCE;
        tokio::select! {
            done = served.tasks.join_next(), if !served.tasks.is_empty() => {
                if let Some(Ok(done)) = done {
                    served.answer(&channel, done).await?;
                }
            }
            packet = channel.receive(), if !busy => match packet? {
                None => return Ok(()),
                Some(packet) => served.begin(packet)?,
            },
        }
    }
}

/// What there is for one connection.
struct Served {
    store: Arc<dyn Storage>,
    /// Open, by the number of the question that opened it.
    held: HashMap<u32, Held>,
    /// Worked on.
    running: HashMap<u32, AbortHandle>,
    tasks: JoinSet<Done>,
}

enum Held {
    Listing(OpenListing),
    Upload(Box<dyn Upload>),
}

struct OpenListing {
    listing: Box<dyn Listing>,
    /// Did not fit in the last packet.
    waiting: VecDeque<Entry>,
}

/// A question that has been worked on.
struct Done {
    number: u32,
    outcome: Result<Outcome, Error>,
    /// Goes back to those that are held.
    back: Option<(u32, Held)>,
}

struct Outcome {
    answer: Answer,
    descriptor: Option<OwnedFd>,
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        Self {
            answer,
            descriptor: None,
        }
    }
}

impl Served {
    fn begin(&mut self, packet: Packet) -> io::Result<()> {
        let strange = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
        if packet.descriptor.is_some() {
            return Err(strange("a descriptor beside a question"));
        }
        let Request { number, ask } =
            Request::decode(&packet.bytes).map_err(|error| strange(&error.to_string()))?;
        if let Ask::Forget(forgotten) = ask {
            self.held.remove(&forgotten);
            if let Some(running) = self.running.remove(&forgotten) {
                running.abort();
            }
            return Ok(());
        }
        if self.running.contains_key(&number) || self.held.contains_key(&number) {
            return Err(strange("a number that is in use"));
        }
        let used = match ask {
            Ask::Next(it) | Ask::Commit(it) | Ask::Abandon(it) => self.held.remove(&it),
            _ => None,
        };
        let room = self.held.len() + self.tasks.len() < HELD;
        let work = work(Arc::clone(&self.store), number, ask, used, room);
        self.running.insert(number, self.tasks.spawn(work));
        Ok(())
    }

    async fn answer(&mut self, channel: &Channel, done: Done) -> io::Result<()> {
        let Done {
            number,
            outcome,
            back,
        } = done;
        if self.running.remove(&number).is_none() {
            // Forgotten at the moment at which it was done.
            return Ok(());
        }
        self.held.extend(back);
        let Outcome { answer, descriptor } = outcome.unwrap_or_else(|error| refusal(&error).into());
        let reply = Reply { number, answer }.encode();
        let descriptor = descriptor.as_ref().map(AsFd::as_fd);
        channel.send(&reply, descriptor).await
    }
}

async fn work(
    store: Arc<dyn Storage>,
    number: u32,
    ask: Ask,
    used: Option<Held>,
    room: bool,
) -> Done {
    let mut back = None;
    let outcome = match (ask, used) {
        (Ask::List(..) | Ask::Create(..), _) if !room => Err(ErrorKind::Busy.into()),
        (Ask::List(path, order), _) => store.list(&path, order).await.map(|listing| {
            let waiting = VecDeque::new();
            back = Some((number, Held::Listing(OpenListing { listing, waiting })));
            Answer::Done.into()
        }),
        (Ask::Next(its), Some(Held::Listing(mut open))) => {
            let entries = open.next().await;
            if matches!(&entries, Ok(entries) if !entries.is_empty()) {
                back = Some((its, Held::Listing(open)));
            }
            entries.map(|entries| Answer::Entries(entries).into())
        }
        (Ask::Create(path, how), _) => match store.create(&path, how).await {
            Ok(upload) => begun(&*upload).inspect(|_| {
                back = Some((number, Held::Upload(upload)));
            }),
            Err(error) => Err(error),
        },
        (Ask::Commit(_), Some(Held::Upload(upload))) => done(upload.commit().await),
        (Ask::Abandon(_), Some(Held::Upload(upload))) => done(upload.abandon().await),
        (Ask::Next(_) | Ask::Commit(_) | Ask::Abandon(_), _) => Err(Error::with_source(
            ErrorKind::Io,
            "no listing or upload has that number",
        )),
        (ask, _) => once(&*store, ask).await,
    };
    Done {
        number,
        outcome,
        back,
    }
}

/// What leaves nothing open.
async fn once(store: &dyn Storage, ask: Ask) -> Result<Outcome, Error> {
    match ask {
        Ask::Metadata(path) => Ok(Answer::Metadata(store.metadata(&path).await?).into()),
        Ask::LinkMetadata(path) => Ok(Answer::Metadata(store.link_metadata(&path).await?).into()),
        Ask::ReadLink(path) => Ok(Answer::Target(store.read_link(&path).await?).into()),
        Ask::Open(path, at) => {
            let reader = store.open(&path, at).await?;
            let (file, _) = reader.as_file().ok_or_else(Error::unsupported)?;
            let length = reader.length().ok_or_else(Error::unsupported)?;
            Ok(Outcome {
                answer: Answer::Reader { length },
                descriptor: Some(file.try_clone()?.into()),
            })
        }
        Ask::RemoveFile(path) => done(store.remove_file(&path).await),
        Ask::CreateDir(path) => done(store.create_dir(&path).await),
        Ask::RemoveDir(path) => done(store.remove_dir(&path).await),
        Ask::Rename(from, to) => done(store.rename(&from, &to).await),
        Ask::SetModified(path, to) => done(store.set_modified(&path, to).await),
        Ask::SetMode(path, mode) => done(store.set_mode(&path, mode).await),
        Ask::FreeSpace(path) => Ok(Answer::Space(store.free_space(&path).await?).into()),
        Ask::List(..)
        | Ask::Next(_)
        | Ask::Create(..)
        | Ask::Commit(_)
        | Ask::Abandon(_)
        | Ask::Forget(_) => Err(Error::unsupported()),
    }
}

fn done(outcome: Result<(), Error>) -> Result<Outcome, Error> {
    outcome.map(|()| Answer::Done.into())
}

fn begun(upload: &dyn Upload) -> Result<Outcome, Error> {
    let (file, begins_at) = upload.as_file().ok_or_else(Error::unsupported)?;
    Ok(Outcome {
        descriptor: Some(file.try_clone()?.into()),
        answer: Answer::Upload {
            name: upload.name().clone(),
            begins_at,
        },
    })
}

fn refusal(error: &Error) -> Answer {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    Answer::Refused {
        kind: error.kind(),
        why: cause.unwrap_or_default(),
    }
}

impl OpenListing {
    /// As many entries as fit in a packet; none at the end.
    async fn next(&mut self) -> Result<Vec<Entry>, Error> {
        while self.waiting.is_empty() {
            match self.listing.next().await? {
                None => return Ok(Vec::new()),
                Some(batch) => self.waiting.extend(batch),
            }
        }
        Ok(fitting(&mut self.waiting))
    }
}
