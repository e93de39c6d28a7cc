//! A control connection for finding out: asks the server questions and tries one way to a data connection after the
//! other, each with a listing of the login directory and never with a file. What it means is judged elsewhere
//! (`wharf-doctor`); a [`Client`](crate::Client) that wants a file does not come here.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep_until, timeout};
use wharf_net::tls::TlsSession;
use wharf_net::{DataConnection, DataPort, ListenAt, Net, Source, Touch};
use wharf_proto::command::ListArgument;
use wharf_proto::data_connection::as_seen;
use wharf_proto::data_connection::guard::Guard;
use wharf_proto::data_connection::passive::PortRange;
use wharf_proto::data_connection::path::{Attempt, Path};
use wharf_proto::data_connection::plan::{Asked, Evidence};
use wharf_proto::data_connection::policy::PathPolicy;
use wharf_proto::data_connection::{Offer, Opener};
use wharf_proto::{Command, Reply, ReplyClass, host_port};

use crate::active::Invitation;
use crate::connect::{Greeting, Login, Place, log_in};
use crate::dialogue::{Dialogue, seconds};
use crate::error::{Error, ErrorKind, Result};
use crate::options::Options;
use crate::reach::evidence;
use crate::target::Endpoint;

/// Bytes of a listing that prove that data flows; what comes after them is cut off.
const ENOUGH: usize = 64 * 1024;

/// What a server that broke the data connection off may still have to say about it.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A router where a packet's hops are used up says so within this time; lost, it is sent again after one second.
const HOLE: Duration = Duration::from_millis(1200);

/// The server's end of active data connections (RFC 959 §3.2), as a rule.
const DATA_PORT: u16 = 20;

/// A logged-in control connection that only asks.
pub struct Examiner {
    place: Place,
    login: Login,
    dialogue: Dialogue,
    greeting: Reply,
    /// Whether STAT tells what arrived.
    tells: bool,
}

/// Why a way did not carry data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// What was seen says something about the way.
    Path(Evidence),
    /// The server refused the listing for a reason of its own (550, 530).
    Refused(Reply),
    /// The control connection fell silent, or broke; in words.
    Control(String),
}

/// What came of one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// The way.
    pub path: Path,
    /// Where the data connection went, or was asked to.
    pub target: Option<SocketAddr>,
    /// What the 227 named, or the control peer with the port of the 229.
    pub replied: Option<SocketAddr>,
    /// What the 227 named as the server sent it, or what PORT or EPRT named as the server read it: another address than
    /// the one at this end says that somebody between rewrites it. Only where the server was asked
    /// ([`Examiner::ask_what_arrives`]) and tells.
    pub arrived: Option<SocketAddr>,
    /// The server's end of the data connection, where there was one.
    pub peer: Option<SocketAddr>,
    /// The answer to PASV, EPSV, PORT or EPRT.
    pub arranged: Option<Reply>,
    /// The last answer to LIST.
    pub listed: Option<Reply>,
    /// In TLS: whether the data connection resumed the control connection's session.
    pub resumed: Option<bool>,
    /// Whether data came through.
    pub result: std::result::Result<(), Obstacle>,
    /// How long it took, commands included.
    pub took: Duration,
}

/// Connects and logs in for finding out; all of it within this time.
///
/// # Errors
/// Those of [`connect`](crate::connect) and [`Greeting::login`]; [`ErrorKind::Timeout`] when the time is over.
pub async fn open(
    net: Arc<dyn Net>,
    endpoint: &Endpoint,
    options: Options,
    login: Login,
    within: Duration,
) -> Result<Examiner> {
    let opened = timeout(within, async {
        let greeting = crate::connect(net, endpoint, options).await?;
        greeting.examine(login, within).await
    });
    opened.await.unwrap_or_else(|_| {
        let what = format!("no session with {endpoint} within {} s", seconds(within));
        Err(Error::new(ErrorKind::Timeout, what))
    })
}

impl Greeting {
    /// Logs in on this control connection for finding out.
    ///
    /// # Errors
    /// Those of [`Greeting::login`].
    pub async fn examine(self, login: Login, within: Duration) -> Result<Examiner> {
        let greeting = self.reply().clone();
        let mut place = self.place().clone();
        // Further control connections must come to the same machine.
        place.addresses = vec![self.peer_addr()];
        let mut dialogue = self.into_dialogue();
        log_in(&mut dialogue, &place, &login, within).await?;
        Ok(Examiner {
            place,
            login,
            dialogue,
            greeting,
            tells: false,
        })
    }
}

impl Examiner {
    /// The 220.
    pub fn greeting(&self) -> &Reply {
        &self.greeting
    }

    /// The server's end of the control connection.
    pub fn peer_addr(&self) -> SocketAddr {
        self.dialogue.control().peer_addr()
    }

    /// Our end of it.
    pub fn local_addr(&self) -> SocketAddr {
        self.dialogue.control().local_addr()
    }

    /// The shortest time between a command and its reply so far.
    pub fn round_trip(&self) -> Duration {
        self.dialogue.round_trip()
    }

    /// Whether it can be asked something more. Not after a server was left alone with a data connection.
    pub fn is_ready(&self) -> bool {
        self.dialogue.in_step()
    }

    /// Who can be sent for another control connection; outlives this one.
    pub fn door(&self) -> Door {
        Door {
            place: self.place.clone(),
            login: self.login.clone(),
        }
    }

    /// A command and its final reply.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`], [`ErrorKind::Closed`] and the like;
    /// negative replies are none.
    pub async fn ask(&mut self, command: &Command, within: Duration) -> Result<Reply> {
        self.dialogue.exchange(command, within).await
    }

    /// Before every data connection the server is asked (STAT) which address it has named or read: for servers that tell,
    /// which wharf's does. Costs a round trip a way.
    pub fn ask_what_arrives(&mut self) {
        self.tells = true;
    }

    /// Tries a way. Afterwards [`is_ready`](Self::is_ready) tells whether this control connection can go on.
    pub async fn try_path(&mut self, attempt: &Attempt) -> Probed {
        let began = Instant::now();
        let mut probed = Probed {
            path: attempt.path,
            target: None,
            replied: None,
            arrived: None,
            peer: None,
            arranged: None,
            listed: None,
            resumed: None,
            result: Ok(()),
            took: Duration::ZERO,
        };
        probed.result = match attempt.path.opener {
            Opener::User => self.passive(attempt, &mut probed).await,
            Opener::Server => self.active(attempt, &mut probed).await,
        };
        probed.took = began.elapsed();
        probed
    }

    /// Tries a server-opened way after a packet has gone from the port that will listen towards the server's data port,
    /// so many hops far: a firewall of this side that remembers connections takes the server's for its answer then. Says what
    /// became of that packet, too. `None`: no such packet can be sent here.
    pub async fn try_punched(&mut self, attempt: &Attempt, hops: u8) -> Option<(Touch, Probed)> {
        let local = self.local_addr().ip();
        let net = Arc::clone(&self.place.net);
        let free = DataPort::listen(&*net, ListenAt::any(local)).await.ok()?;
        let own = free.listening_at()?;
        drop(free);
        let to = SocketAddr::new(self.peer_addr().ip(), DATA_PORT);
        let from = Source::Port(SocketAddr::new(local, own.port()));
        let sent = wharf_net::touch(&*net, from, to, Some(hops), HOLE).await;
        if sent == Touch::Unknown {
            return None;
        }
        let options = Arc::make_mut(&mut self.place.options);
        let range = options.port_range;
        options.port_range = PortRange::new(own.port(), own.port()).ok();
        let probed = self.try_path(attempt).await;
        Arc::make_mut(&mut self.place.options).port_range = range;
        Some((sent, probed))
    }

    /// QUIT, if there is anybody to say it to.
    pub async fn quit(mut self) {
        if !self.is_ready() {
            return;
        }
        let within = self.dialogue.patience();
        if self.dialogue.exchange(&Command::Quit, within).await.is_ok() {
            self.dialogue.close().await;
        }
    }

    async fn passive(
        &mut self,
        attempt: &Attempt,
        probed: &mut Probed,
    ) -> std::result::Result<(), Obstacle> {
        let path = attempt.path;
        let command = match path.offer {
            Offer::Epsv => Command::Epsv(host_port::EpsvArgument::Unspecified),
            _ => Command::Pasv,
        };
        let reply = self.arrange(attempt, &command, probed).await?;
        let peer = self.peer_addr();
        let text = reply.text().as_bytes();
        let named = match (path.offer, reply.code()) {
            (Offer::Epsv, 229) => {
                host_port::read_229(text).map(|port| SocketAddr::new(peer.ip(), port))
            }
            (Offer::Pasv, 227) => host_port::read_227(text).map(SocketAddr::V4),
            _ => None,
        };
        let named = named.ok_or(Obstacle::Path(Evidence::ReplyUnreadable))?;
        probed.replied = Some(named);
        let policy = PathPolicy::auto(peer.ip(), self.local_addr().ip());
        let targets = policy.targets(path, named).map_err(Obstacle::Path)?;
        let target = Guard::scoped(peer, targets.first);
        probed.target = Some(target);
        let source = match self.local_addr().ip() {
            // Means nothing without its interface, which the target names.
            IpAddr::V6(ip) if ip.is_unicast_link_local() => Source::Any,
            ip => Source::Address(ip),
        };
        let port = DataPort::Target { source, to: target };
        let guard = Guard::new(peer.ip());
        let trace = self.dialogue.control().trace().clone();
        let opened = port
            .open_traced(&*self.place.net, &guard, attempt.patience, &trace)
            .await;
        let data = opened.map_err(|error| Obstacle::Path(evidence(&error)))?;
        probed.peer = Some(data.peer_addr());
        self.command(&list()).await?;
        self.listing(Some(data), attempt.patience, probed).await
    }

    async fn active(
        &mut self,
        attempt: &Attempt,
        probed: &mut Probed,
    ) -> std::result::Result<(), Obstacle> {
        let (local, peer) = (self.local_addr().ip(), self.peer_addr());
        let (net, options) = (&*self.place.net, &self.place.options);
        let prepared = Invitation::prepare(net, options, local, peer, attempt).await;
        let invitation = prepared.map_err(|(told, evidence)| {
            probed.target = told;
            Obstacle::Path(evidence)
        })?;
        probed.target = Some(invitation.told);
        self.arrange(attempt, &invitation.command, probed).await?;
        self.command(&list()).await?;
        let guard = Guard::new(self.peer_addr().ip());
        let trace = self.dialogue.control().trace().clone();
        let net = Arc::clone(&self.place.net);
        let opening = invitation
            .port
            .open_traced(&*net, &guard, attempt.patience, &trace);
        tokio::pin!(opening);
        let mut announced = false;
        loop {
            tokio::select! {
                opened = &mut opening => {
                    let data = opened.map_err(|error| Obstacle::Path(evidence(&error)))?;
                    probed.peer = Some(data.peer_addr());
                    return self.listing(Some(data), attempt.patience, probed).await;
                }
                reply = self.dialogue.any_reply() => {
                    let reply = reply.map_err(|error| Obstacle::Control(error.to_string()))?;
                    probed.listed = Some(reply.clone());
                    match reply.class() {
                        ReplyClass::Preliminary => announced = true,
                        // A short listing may be over before we have looked at our listener.
                        ReplyClass::Completion => {
                            let opened = timeout(LAST_WORDS.min(attempt.patience), &mut opening).await;
                            return match opened {
                                Ok(Ok(data)) => {
                                    probed.peer = Some(data.peer_addr());
                                    Ok(())
                                }
                                // It says that it has sent, and not to us: whoever came was a stranger.
                                _ if announced => Err(Obstacle::Path(Evidence::NobodyCame)),
                                // An empty listing, for which some open nothing.
                                _ => Ok(()),
                            };
                        }
                        _ => return Err(refused(attempt.path.offer, &reply)),
                    }
                }
            }
        }
    }

    /// The arranging command, positively answered.
    async fn arrange(
        &mut self,
        attempt: &Attempt,
        command: &Command,
        probed: &mut Probed,
    ) -> std::result::Result<Reply, Obstacle> {
        // As patient with the reply as with the connection, and a moment more.
        let within = attempt.patience + LAST_WORDS;
        let reply = self.dialogue.exchange(command, within).await;
        let reply = reply.map_err(|error| Obstacle::Control(error.to_string()))?;
        probed.arranged = Some(reply.clone());
        if let Some(evidence) = Evidence::from_reply(attempt.path.offer, Asked::Offer, &reply) {
            return Err(Obstacle::Path(evidence));
        }
        if reply.class() != ReplyClass::Completion {
            return Err(Obstacle::Refused(reply));
        }
        if self.tells {
            let status = self.dialogue.exchange(&Command::Stat(None), within).await;
            let status = status.map_err(|error| Obstacle::Control(error.to_string()))?;
            probed.arrived = as_seen::named_in_status(&status);
        }
        Ok(reply)
    }

    async fn command(&mut self, command: &Command) -> std::result::Result<(), Obstacle> {
        let sent = self.dialogue.send(command).await;
        sent.map_err(|error| Obstacle::Control(error.to_string()))
    }

    /// The handshake on a data connection, once the server has announced it: a ClientHello that nobody answers would cost a
    /// ticket.
    async fn secure(
        &mut self,
        data: &mut DataConnection,
        session: &TlsSession,
        patience: Duration,
        probed: &mut Probed,
    ) -> std::result::Result<(), Obstacle> {
        let offer = probed.path.offer;
        if probed.listed.is_none() {
            self.last_word(offer, patience, probed).await?;
        }
        // A certificate is to be looked at, and a signature made.
        match Box::pin(data.secure(session, patience + LAST_WORDS)).await {
            Ok(handshake) => {
                probed.resumed = Some(handshake.resumed);
                if !handshake.resumed {
                    self.last_word(offer, LAST_WORDS, probed).await?;
                }
                Ok(())
            }
            Err(error) => {
                self.last_word(offer, LAST_WORDS, probed).await?;
                if error.distrust().is_some() {
                    return Err(Obstacle::Control(error.to_string()));
                }
                Err(Obstacle::Path(Evidence::Dropped))
            }
        }
    }

    /// What the server says within this time. A refusal is the obstacle.
    async fn last_word(
        &mut self,
        offer: Offer,
        within: Duration,
        probed: &mut Probed,
    ) -> std::result::Result<(), Obstacle> {
        let Ok(reply) = timeout(within, self.dialogue.any_reply()).await else {
            return Ok(());
        };
        let reply = reply.map_err(|error| Obstacle::Control(error.to_string()))?;
        probed.listed = Some(reply.clone());
        match reply.class() {
            ReplyClass::Preliminary | ReplyClass::Completion => Ok(()),
            _ => Err(refused(offer, &reply)),
        }
    }

    /// Reads the listing and the replies to it until it is clear whether data flows.
    async fn listing(
        &mut self,
        data: Option<DataConnection>,
        patience: Duration,
        probed: &mut Probed,
    ) -> std::result::Result<(), Obstacle> {
        let offer = probed.path.offer;
        let mut data = data;
        if let (Some(session), Some(data)) = (self.dialogue.data_session(), &mut data) {
            self.secure(data, &session, patience, probed).await?;
            if matches!(&probed.listed, Some(said) if said.class() == ReplyClass::Completion) {
                return Ok(());
            }
        }
        let mut deadline = Instant::now() + patience;
        let mut buffer = vec![0; 4096];
        let mut beginning: Vec<u8> = Vec::new();
        let mut bytes = 0;
        let mut broken = false;
        loop {
            tokio::select! {
                reply = self.dialogue.any_reply() => {
                    let reply = reply.map_err(|error| Obstacle::Control(error.to_string()))?;
                    probed.listed = Some(reply.clone());
                    match reply.class() {
                        ReplyClass::Preliminary => {}
                        ReplyClass::Completion => return Ok(()),
                        _ => return Err(refused(offer, &reply)),
                    }
                }
                read = read(&mut data, &mut buffer), if data.is_some() => match read {
                    Ok(0) => data = None,
                    Ok(n) => {
                        if beginning.len() < 4 {
                            beginning.extend(buffer.iter().take(n).take(4));
                        }
                        bytes += n;
                        if bytes > ENOUGH {
                            return Ok(());
                        }
                    }
                    Err(_) => {
                        data = None;
                        broken = true;
                    }
                },
                () = sleep_until(deadline) => {
                    let greeted = probed.listed.is_none() && beginning.starts_with(b"220");
                    return match (greeted, bytes > 0, data.is_some()) {
                        (true, ..) => Err(Obstacle::Path(Evidence::Greeted)),
                        (_, true, _) => Ok(()),
                        (_, _, false) => Err(Obstacle::Path(Evidence::Dropped)),
                        _ => Err(Obstacle::Control("no reply to LIST".to_owned())),
                    };
                }
            }
            if broken && bytes == 0 {
                deadline = deadline.min(Instant::now() + LAST_WORDS);
            }
        }
    }
}

/// The way to another control connection of the same user to the same address.
#[derive(Clone)]
pub struct Door {
    place: Place,
    login: Login,
}

impl Door {
    /// Connects and logs in once more.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] and those of connecting and logging in.
    pub async fn enter(&self, within: Duration) -> Result<Examiner> {
        let greeting = self.place.dial(Instant::now()).await?;
        greeting.examine(self.login.clone(), within).await
    }
}

fn list() -> Command {
    Command::List(ListArgument::of(None))
}

fn refused(offer: Offer, reply: &Reply) -> Obstacle {
    match Evidence::from_reply(offer, Asked::Transfer, reply) {
        Some(evidence) => Obstacle::Path(evidence),
        None => Obstacle::Refused(reply.clone()),
    }
}

async fn read(data: &mut Option<DataConnection>, buffer: &mut [u8]) -> std::io::Result<usize> {
    match data {
        Some(data) => data.read(buffer).await,
        None => std::future::pending().await,
    }
}
