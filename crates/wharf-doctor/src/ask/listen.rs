//! The wharf that waits elsewhere: for one conversation with somebody who has the token, and no longer than it was told.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use wharf_net::{Conn, ListenAt, Listener, Net, Source};

use super::line::{Line, Lines, Saw, short, write};
use super::rules::{Refusal, Visit};
use super::token::{Challenge, Challenges, Purpose, Token};

/// For the first line of whoever connects.
const FIRST_LINE: Duration = Duration::from_secs(5);
/// For a whole conversation.
const CONVERSATION: Duration = Duration::from_secs(90);
/// For a knocked port to answer. Covers a lost SYN (repeated after 1 s).
const CONNECTS: Duration = Duration::from_millis(2500);
/// For a knocked port to say who it is.
const SPEAKS: Duration = Duration::from_secs(2);
/// For an awaited call.
const CALLS: Duration = Duration::from_secs(5);
/// Connections that have not said who they are, at once; more are closed.
const MOST_STRANGERS: usize = 16;
/// Knocks at once.
const MOST_AT_ONCE: usize = 24;

/// Listens and waits.
pub struct Waiting {
    net: Arc<dyn Net>,
    listener: Box<dyn Listener>,
    token: Token,
    random: fn() -> io::Result<[u8; 16]>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Somebody with the token came.
    Asked {
        /// From here.
        peer: SocketAddr,
        /// So many ports were tried for it.
        knocks: usize,
    },
    /// Nobody came in time.
    Nobody {
        /// So many came without the token.
        strangers: usize,
    },
}

struct Shared {
    net: Arc<dyn Net>,
    token: Token,
    conversation: Mutex<Conversation>,
}

#[derive(Default)]
struct Conversation {
    /// Set when it begins: a token is used once.
    challenges: Option<Challenges>,
    awaited: HashMap<u32, oneshot::Sender<SocketAddr>>,
}

impl Waiting {
    /// Starts to listen. `random` gives 16 unpredictable bytes.
    ///
    /// # Errors
    /// Those of [`Net::listen`].
    pub async fn open(
        net: Arc<dyn Net>,
        at: ListenAt,
        token: Token,
        random: fn() -> io::Result<[u8; 16]>,
    ) -> io::Result<Self> {
        let listener = net.listen(at).await?;
        Ok(Self {
            net,
            listener,
            token,
            random,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Waits this long for a conversation to begin, and has it. Dropping the future ends everything.
    ///
    /// # Errors
    /// When nothing can be accepted any more, or the system has no randomness.
    pub async fn serve(mut self, wait: Duration) -> io::Result<Ended> {
        let shared = Arc::new(Shared {
            net: Arc::clone(&self.net),
            token: self.token.clone(),
            conversation: Mutex::default(),
        });
        let (began, mut begins) = mpsc::channel(1);
        let (ended, mut ends) = mpsc::channel(1);
        let mut connections = JoinSet::new();
        let mut strangers = 0;
        let mut deadline = Instant::now() + wait;
        loop {
            tokio::select! {
                biased;
                Some(end) = ends.recv() => return Ok(end),
                Some(()) = begins.recv() => deadline = Instant::now() + CONVERSATION + FIRST_LINE,
                Some(_) = connections.join_next() => {}
                accepted = timeout_at(deadline, self.listener.accept()) => {
                    let conn = match accepted {
                        Err(_) => return Ok(Ended::Nobody { strangers }),
                        Ok(Ok(conn)) => conn,
                        Ok(Err(error)) if of_one_peer(&error) => continue,
                        Ok(Err(error)) => return Err(error),
                    };
                    strangers += 1;
                    if connections.len() >= MOST_STRANGERS {
                        conn.abort();
                        continue;
                    }
                    let challenge = Challenge::new((self.random)()?);
                    let shared = Arc::clone(&shared);
                    let (began, ended) = (began.clone(), ended.clone());
                    connections.spawn(async move {
                        let peer = conn.peer_addr();
                        if let Some(knocks) = shared.receive(conn, challenge, began).await {
                            let _ = ended.send(Ended::Asked { peer, knocks }).await;
                        }
                    });
                }
            }
        }
    }
}

/// An error of accept that says nothing about the listener.
fn of_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

type Writer = WriteHalf<Conn>;
type Reader = Lines<ReadHalf<Conn>>;

impl Shared {
    /// Hears who it is. `Some` is the end of the conversation.
    async fn receive(
        &self,
        conn: Conn,
        listener: Challenge,
        began: mpsc::Sender<()>,
    ) -> Option<usize> {
        let peer = conn.peer_addr();
        let (reader, mut writer) = tokio::io::split(conn);
        let mut lines = Lines::new(reader);
        write(&mut writer, &Line::Greeting(listener)).await.ok()?;
        match lines.line(FIRST_LINE).await.ok()? {
            Line::Hello(asker, proof) => {
                let challenges = Challenges { listener, asker };
                if !self.token.accepts(&proof, Purpose::Asker, &challenges) {
                    let no = Line::No("that is not the token".to_owned());
                    let _ = write(&mut writer, &no).await;
                    return None;
                }
                let first = {
                    let mut conversation = self.conversation();
                    let first = conversation.challenges.is_none();
                    conversation.challenges.get_or_insert(challenges);
                    first
                };
                if !first {
                    let no = Line::No("the token has been used".to_owned());
                    let _ = write(&mut writer, &no).await;
                    return None;
                }
                let _ = began.send(()).await;
                let proof = self.token.prove(Purpose::Listener, &challenges);
                write(&mut writer, &Line::Welcome(proof, peer)).await.ok()?;
                let mut visit = Visit::new(peer.ip());
                let talk = self.talk(&mut lines, &mut writer, &mut visit, challenges);
                let _ = timeout(CONVERSATION, talk).await;
                Some(visit.knocks())
            }
            Line::Call(id, proof) => {
                let awaited = {
                    let mut conversation = self.conversation();
                    let challenges = conversation.challenges?;
                    if !self.token.accepts(&proof, Purpose::Call(id), &challenges) {
                        return None;
                    }
                    conversation.awaited.remove(&id)
                };
                let _ = awaited?.send(peer);
                let _ = write(&mut writer, &Line::Saw(id, Saw::Called(peer))).await;
                None
            }
            _ => None,
        }
    }

    fn conversation(&self) -> std::sync::MutexGuard<'_, Conversation> {
        let locked = self.conversation.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what it is asked until `BYE`, the end, or nonsense.
    async fn talk(
        &self,
        lines: &mut Reader,
        writer: &mut Writer,
        visit: &mut Visit,
        challenges: Challenges,
    ) -> io::Result<()> {
        let room = Arc::new(Semaphore::new(MOST_AT_ONCE));
        let mut knocks: JoinSet<(u32, Option<SocketAddr>, Saw)> = JoinSet::new();
        loop {
            let line = tokio::select! {
                Some(done) = knocks.join_next() => {
                    if let Ok((id, to, saw)) = done {
                        let saw = match to {
                            Some(to) => visit.tell(to, saw),
                            None => saw,
                        };
                        write(writer, &Line::Saw(id, saw)).await?;
                    }
                    continue;
                }
                line = lines.line(CONVERSATION) => line?,
            };
            match line {
                Line::Knock(id, to) => match visit.knock(to) {
                    Ok(()) => {
                        let net = Arc::clone(&self.net);
                        let (token, room) = (self.token.clone(), Arc::clone(&room));
                        knocks.spawn(async move {
                            let _turn = room.acquire().await;
                            let saw = knock(&*net, to, &token, &challenges).await;
                            (id, Some(to), saw)
                        });
                    }
                    Err(Refusal::Unproven) => {
                        write(writer, &Line::Saw(id, Saw::Unproven)).await?;
                    }
                    Err(Refusal::TooMany) => {
                        let no =
                            Line::No("that is more ports than one conversation has".to_owned());
                        return write(writer, &no).await;
                    }
                },
                Line::Await(id) if visit.call() => {
                    let (comes, came) = oneshot::channel();
                    self.conversation().awaited.insert(id, comes);
                    knocks.spawn(async move {
                        match timeout(CALLS, came).await {
                            Ok(Ok(from)) => (id, None, Saw::Called(from)),
                            _ => (id, None, Saw::Silent),
                        }
                    });
                }
                _ => return Ok(()),
            }
        }
    }
}

/// Connects and reads one line. Nothing is sent.
async fn knock(net: &dyn Net, to: SocketAddr, token: &Token, challenges: &Challenges) -> Saw {
    let conn = match timeout(CONNECTS, net.connect(Source::Any, to)).await {
        Err(_) => return Saw::Silent,
        Ok(Ok(conn)) => conn,
        Ok(Err(error)) => {
            return match error.kind() {
                io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Saw::Refused,
                io::ErrorKind::TimedOut => Saw::Silent,
                _ => Saw::Unreachable,
            };
        }
    };
    let mut lines = Lines::new(conn);
    match lines.text(SPEAKS).await {
        Ok(text) => match Line::parse(&text) {
            Some(Line::Here(proof))
                if token.accepts(&proof, Purpose::Knock(to.port()), challenges) =>
            {
                Saw::Matched
            }
            Some(Line::Here(_)) => Saw::Other("a wharf, but another port of it".to_owned()),
            _ => Saw::Other(short(&text)),
        },
        Err(_) => match lines.begun() {
            [] => Saw::Mute,
            begun => Saw::Other(short(&String::from_utf8_lossy(begun))),
        },
    }
}
