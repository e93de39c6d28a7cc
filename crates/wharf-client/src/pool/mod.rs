//! Several sessions with one server, lent one at a time.
//!
//! [`Pool::take`] gives a [`Lent`] session: an idle one, a new one, or the next that is given back; who asked first is
//! served first. The pool asks for no more sessions than the server lets it have: a refusal as "too many" while others are
//! open shrinks the pool instead of failing a taker, is told once ([`Pool::take_notes`]) and remembered for later runs
//! ([`Options::memory`]). How that is judged stands in `sizing.rs`.
//!
//! Nobody may hold a session while waiting for a second one of the same pool: with a server that allows one session only
//! that would wait for ever. [`Pool::take_within`] has an end.

mod lent;
mod sizing;

pub use lent::Lent;

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};
use wharf_net::Net;
use wharf_proto::data_connection::plan::Plan;

use crate::client::Client;
use crate::connect::{Login, Place, connect};
use crate::dialogue::seconds;
use crate::error::{Error, ErrorKind, Result};
use crate::listing::Listings;
use crate::options::Options;
use crate::target::{Endpoint, Target};
use sizing::{After, Next, Sizing, Trouble};

/// Sessions with one server, for one user. Clones share them.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    net: Arc<dyn Net>,
    endpoint: Endpoint,
    login: Login,
    options: Options,
    books: Mutex<Books>,
    /// Something changed that a waiting taker should look at.
    changed: Notify,
}

/// What the takers share. The lock is held for moments and never over an `await`; a session that is lent is not in it.
struct Books {
    sizing: Sizing,
    /// The one that was used last at the end: the others may grow old.
    #[expect(
        clippy::vec_box,
        reason = "a client is large, and is lent in the box it is kept in"
    )]
    idle: Vec<Box<Client>>,
    /// Tickets of those who wait, the next one first.
    queue: VecDeque<u64>,
    tickets: u64,
    /// The machine that the first session came to, and what was found out about it.
    place: Option<Place>,
    /// Our own address, as that machine is reached from it.
    own: Option<IpAddr>,
    /// The ways to a data connection, once one of them has carried something.
    plan: Option<Box<Plan>>,
    /// The dialect and the zone of its listings.
    listings: Listings,
    closed: bool,
    /// Why the last login failed that was nobody's failure.
    refusal: String,
    told: BTreeSet<String>,
    notes: Vec<String>,
    warnings: Vec<String>,
}

/// What a taker does now.
enum Step {
    Lend(Lent),
    Dial(Option<Place>),
    Wait(Option<Instant>),
    Closed,
}

impl Pool {
    /// A pool for the server of `target`, in the TLS that its scheme demands ([`Options::for_scheme`]); its user and its path
    /// play no part. At most `most` sessions. Nothing is connected before somebody takes one.
    pub fn new(
        net: Arc<dyn Net>,
        target: &Target,
        login: Login,
        options: Options,
        most: NonZeroUsize,
    ) -> Self {
        let books = Books {
            sizing: Sizing::new(most.get()),
            idle: Vec::new(),
            queue: VecDeque::new(),
            tickets: 0,
            place: None,
            own: None,
            plan: None,
            listings: Listings::default(),
            closed: false,
            refusal: String::new(),
            told: BTreeSet::new(),
            notes: Vec::new(),
            warnings: Vec::new(),
        };
        let shared = Shared {
            net,
            endpoint: target.endpoint().clone(),
            login,
            options: options.for_scheme(target.scheme()),
            books: Mutex::new(books),
            changed: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// A session that is logged in, in the login directory, in step, with TYPE I for the next transfer. Cancel-safe.
    ///
    /// # Errors
    /// Those of a login. [`ErrorKind::Busy`] and lost connections only after a few repetitions with growing pauses (about
    /// half a minute), and only while no session is open; a password that is refused at once. [`ErrorKind::Aborted`] after
    /// [`Pool::close`].
    pub async fn take(&self) -> Result<Lent> {
        let mut turn = Turn::new(self);
        loop {
            let mut changed = pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            match self.step(&mut turn) {
                Step::Lend(mut lent) => {
                    if lent.is_fit(&self.shared.options).await {
                        return Ok(lent);
                    }
                    lent.discard();
                    turn.again();
                }
                Step::Dial(place) => {
                    if let Some(client) = Box::pin(self.dial(place)).await? {
                        return Ok(Lent::new(client, self.clone()));
                    }
                    turn.again();
                }
                Step::Wait(Some(at)) => {
                    // Either way the books are looked at again.
                    let _ = timeout_at(at, changed).await;
                }
                Step::Wait(None) => changed.await,
                Step::Closed => {
                    return Err(Error::new(ErrorKind::Aborted, "the pool was closed"));
                }
            }
        }
    }

    /// As [`take`](Self::take), waited for so long at most.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] when none became free in that time.
    pub async fn take_within(&self, within: Duration) -> Result<Lent> {
        let taken = timeout(within, self.take()).await;
        taken.unwrap_or_else(|_| {
            let what = format!(
                "none of the {} sessions with {} became free within {} s",
                self.limit(),
                self.endpoint(),
                seconds(within)
            );
            Err(Error::new(ErrorKind::Busy, what))
        })
    }

    /// The server.
    pub fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }

    /// The settings of its sessions.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// How many sessions there may be at once: what was asked for, or less, where the server allows less.
    pub fn limit(&self) -> usize {
        self.books().sizing.limit()
    }

    /// How many sessions there are, lent or idle.
    pub fn open(&self) -> usize {
        self.books().sizing.open()
    }

    /// What happened that a person may want to know, of the pool and of its sessions; each is told once, whichever session
    /// it was.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut self.books().notes)
    }

    /// What is less protected than was hoped for, see [`Client::take_warnings`]; each is told once.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.books().warnings)
    }

    /// Ends the idle sessions with QUIT, and those that are lent when they come back. Whoever waits for one gets
    /// [`ErrorKind::Aborted`].
    pub async fn close(self) {
        let idle = {
            let mut books = self.books();
            books.closed = true;
            let idle = std::mem::take(&mut books.idle);
            for _ in &idle {
                books.sizing.lost(Instant::now());
            }
            idle
        };
        self.shared.changed.notify_waiters();
        let mut ending = tokio::task::JoinSet::new();
        for client in idle {
            ending.spawn(client.quit());
        }
        while ending.join_next().await.is_some() {}
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // Whoever panicked with it had changed one thing at a time.
        let books = self.shared.books.lock();
        books.unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, turn: &mut Turn<'_>) -> Step {
        let mut books = self.books();
        if books.closed {
            return Step::Closed;
        }
        if books.queue.front() != Some(&turn.ticket) {
            return Step::Wait(None);
        }
        let step = if let Some(client) = books.idle.pop() {
            Step::Lend(Lent::new(client, self.clone()))
        } else {
            match books.sizing.next(Instant::now()) {
                Next::Dial => Step::Dial(books.place.clone()),
                Next::Wait(until) => return Step::Wait(until),
            }
        };
        books.queue.pop_front();
        drop(books);
        self.shared.changed.notify_waiters();
        step
    }

    /// `None`: refused, and the caller waits for its turn again.
    async fn dial(&self, place: Option<Place>) -> Result<Option<Box<Client>>> {
        let dialing = Dialing(self);
        let opened = self.log_in(place).await;
        std::mem::forget(dialing);
        let now = Instant::now();
        let mut books = self.books();
        let outcome = match opened {
            Ok(mut client) => {
                let more = books.sizing.opened(now);
                if let Some(plan) = &books.plan {
                    client.plan.clone_from(plan);
                    client.recalled = true;
                }
                client.listings = books.listings.clone();
                let first = books.place.is_none();
                books.place = Some(client.place.clone());
                books.own = Some(client.local_addr().ip());
                books.hear(&mut client);
                if first || more {
                    self.compare_notes(&mut books, &client, more, now);
                }
                Ok(Some(client))
            }
            Err(error) => match books.sizing.failed(trouble(error.kind()), now) {
                After::Fail => Err(error),
                After::Again => {
                    books.refusal = error.to_string();
                    tracing::info!(%error, "no further session");
                    Ok(None)
                }
            },
        };
        if let Some((limit, said)) = books.sizing.news() {
            let reason = std::mem::take(&mut books.refusal);
            let endpoint = &self.shared.endpoint;
            let word = if limit == 1 { "session" } else { "sessions" };
            books.note(format!(
                "{endpoint} allows no more than {limit} {word} at once; going on with {limit} ({reason})"
            ));
            if said {
                self.remember(&books, limit);
            }
        }
        drop(books);
        self.shared.changed.notify_waiters();
        outcome
    }

    async fn log_in(&self, place: Option<Place>) -> Result<Box<Client>> {
        let Shared { net, endpoint, .. } = &*self.shared;
        let greeting = match place {
            Some(place) => place.dial(Instant::now()).await?,
            None => connect(Arc::clone(net), endpoint, self.shared.options.clone()).await?,
        };
        let client = greeting.login(self.shared.login.clone()).await?;
        Ok(Box::new(client))
    }

    /// What earlier runs were told about the number of sessions, or what is known better now.
    fn compare_notes(&self, books: &mut Books, client: &Client, more: bool, now: Instant) {
        let Some(memory) = &self.shared.options.memory else {
            return;
        };
        let (peer, own) = (client.peer_addr().ip(), client.local_addr().ip());
        let endpoint = &self.shared.endpoint;
        let known = memory.sessions(endpoint, peer, own, SystemTime::now());
        match known {
            Some(known) if more && known < books.sizing.limit() => {
                self.remember(books, books.sizing.limit());
            }
            Some(known) if !more && books.sizing.recalled(known, now) => {
                let word = if known == 1 { "session" } else { "sessions" };
                books.note(format!(
                    "{endpoint} allowed no more than {known} {word} at once before; going on with {known}"
                ));
            }
            _ => {}
        }
    }

    fn remember(&self, books: &Books, limit: usize) {
        let (Some(memory), Some(place)) = (&self.shared.options.memory, &books.place) else {
            return;
        };
        let (Some(peer), Some(own)) = (place.addresses.first(), books.own) else {
            return;
        };
        let endpoint = &self.shared.endpoint;
        memory.learn_sessions(endpoint, peer.ip(), own, limit, SystemTime::now());
    }

    /// A session comes back.
    fn give_back(&self, mut client: Box<Client>) {
        let mut books = self.books();
        books.hear(&mut client);
        if client.is_lost() || client.has_moved() || books.closed {
            let closed = books.closed;
            books.sizing.lost(Instant::now());
            drop(books);
            self.shared.changed.notify_waiters();
            if closed && let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(client.quit());
            }
            return;
        }
        let own_choice = client.options().data_mode == self.shared.options.data_mode;
        if own_choice && client.plan.proven().is_some() {
            books.plan = Some(client.plan.clone());
        }
        if client.listings.asked >= books.listings.asked {
            books.listings = client.listings.clone();
        }
        books.idle.push(client);
        drop(books);
        self.shared.changed.notify_waiters();
    }

    /// A session is closed instead of coming back.
    fn gone(&self, mut client: Box<Client>) {
        let mut books = self.books();
        books.hear(&mut client);
        books.sizing.lost(Instant::now());
        drop(books);
        drop(client);
        self.shared.changed.notify_waiters();
    }
}

impl Books {
    fn note(&mut self, note: String) {
        tracing::info!("{note}");
        if self.told.insert(note.clone()) {
            self.notes.push(note);
        }
    }

    /// What a session has to tell, unless another one has told it.
    fn hear(&mut self, client: &mut Client) {
        for note in client.take_notes() {
            self.note(note);
        }
        for warning in client.take_warnings() {
            if self.told.insert(warning.clone()) {
                self.warnings.push(warning);
            }
        }
    }
}

/// What a failed login says about the number of sessions.
fn trouble(kind: ErrorKind) -> Trouble {
    match kind {
        ErrorKind::Busy => Trouble::TooMany,
        ErrorKind::Login => Trouble::Login,
        ErrorKind::Closed | ErrorKind::Connect | ErrorKind::Timeout => Trouble::Cut,
        _ => Trouble::Fatal,
    }
}

/// A place in the queue; given up when the taker is dropped.
struct Turn<'p> {
    pool: &'p Pool,
    ticket: u64,
}

impl<'p> Turn<'p> {
    fn new(pool: &'p Pool) -> Self {
        let mut books = pool.books();
        books.tickets += 1;
        let ticket = books.tickets;
        books.queue.push_back(ticket);
        Self { pool, ticket }
    }

    /// It was this one's turn, and nothing came of it.
    fn again(&mut self) {
        self.pool.books().queue.push_front(self.ticket);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.pool.books().queue.retain(|it| *it != self.ticket);
        self.pool.shared.changed.notify_waiters();
    }
}

/// A login that is counted; dropped: its taker has gone.
struct Dialing<'p>(&'p Pool);

impl Drop for Dialing<'_> {
    fn drop(&mut self) {
        self.0.books().sizing.given_up();
        self.0.shared.changed.notify_waiters();
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let books = self.books();
        out.debug_struct("Pool")
            .field("endpoint", &self.shared.endpoint)
            .field("limit", &books.sizing.limit())
            .field("open", &books.sizing.open())
            .finish_non_exhaustive()
    }
}
