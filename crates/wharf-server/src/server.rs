//! Listeners, the sessions they start, a new configuration without a restart, and a graceful end.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::task::TaskTracker;
use wharf_accounts::Authenticator;
use wharf_net::proxy_protocol::{Balancers, ProxyProtocol};
use wharf_net::{Conn, ListenAt, Listener, Net};

use crate::config::Config;
use crate::limits::Full;
use crate::log;
use crate::outside::Outside;
use crate::session::{self, Session};
use crate::setup::{Setup, Shared, Stop, cut, stopping};

/// Sessions that outlive the deadline of a stop by this much hang in their storage, and are left behind
const OVERDUE: Duration = Duration::from_secs(5);

/// After `accept` fails for want of descriptors there is no use in trying again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often the log is told that `accept` fails
const ACCEPT_WARNING: Duration = Duration::from_secs(10);

/// Room for fewer sessions is worth a warning
const FEW: usize = 1000;

/// How long a client that is turned away may take to read why
const REFUSAL: Duration = Duration::from_secs(5);

/// Why a server could not be started or given a new configuration
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on: taken, not of this host, or not permitted (ports below 1024)
    #[error("cannot listen on {at}: {source}")]
    Listen {
        /// The address that was asked for
        at: SocketAddr,
        /// What the system said
        source: io::Error,
    },
    /// The configuration names no address to listen on
    #[error("no address to listen on")]
    NoAddress,
    /// The xferlog file cannot be opened for appending
    #[error("cannot write the transfer log {}: {source}", path.display())]
    Xferlog {
        /// The file
        path: std::path::PathBuf,
        /// What the system said
        source: io::Error,
    },
    /// The server has ended
    #[error("the server has ended")]
    Ended,
}

/// A bound server that has not accepted anybody yet
pub struct Server {
    listeners: Vec<(SocketAddr, Box<dyn Listener>)>,
    addresses: Vec<SocketAddr>,
    handle: Handle,
    orders: mpsc::Receiver<Order>,
}

/// Steers a running server from elsewhere: a signal handler, an administration interface
#[derive(Clone)]
pub struct Handle {
    setup: Arc<RwLock<Arc<Setup>>>,
    stop: watch::Sender<Stop>,
    orders: mpsc::Sender<Order>,
}

enum Order {
    Listen(Vec<SocketAddr>, oneshot::Sender<Result<(), Error>>),
}

impl Server {
    /// Listens on every address of the configuration, or on none when one of them fails
    pub async fn bind(
        config: Config,
        net: Arc<dyn Net>,
        accounts: Arc<dyn Authenticator>,
    ) -> Result<Self, Error> {
        if config.listen.is_empty() {
            return Err(Error::NoAddress);
        }
        let (net, balancers) = behind_balancers(net, &config);
        let mut listeners = Vec::new();
        for &at in &config.listen {
            listeners.push((at, listen(&*net, at, &config.listen).await?));
        }
        let shared = Arc::new(Shared::new(net.descriptors(), balancers));
        if shared.seats < config.max_sessions.min(FEW) {
            tracing::warn!(
                sessions = shared.seats,
                "the limit of open files leaves room for fewer sessions"
            );
        }
        shared.xferlog.install(open_xferlog(&config)?);
        let (stop, _) = watch::channel(Stop::No);
        let (orders_in, orders) = mpsc::channel(1);
        let addresses = listeners.iter().map(|(_, l)| l.local_addr()).collect();
        Ok(Self {
            listeners,
            addresses,
            handle: Handle {
                setup: Arc::new(RwLock::new(Arc::new(Setup {
                    config,
                    accounts,
                    net,
                    shared,
                }))),
                stop,
                orders: orders_in,
            },
            orders,
        })
    }

    /// Where it listens, in the order of the configuration; ports are the real ones
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// To steer the server while [`run`](Self::run) owns it
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until [`Handle::stop`]; returns when the last session has ended
    pub async fn run(mut self) {
        let sessions = TaskTracker::new();
        let mut doors = Doors::default();
        for (wanted, listener) in std::mem::take(&mut self.listeners) {
            doors.open(wanted, listener);
        }
        let mut stopped = self.handle.stop.subscribe();
        let mut chores = JoinSet::new();
        chores.spawn(Outside::keep_asking(self.handle.clone()));
        loop {
            tokio::select! {
                biased;
                () = stopping(&mut stopped) => break,
                Some(order) = self.orders.recv() => match order {
                    Order::Listen(wanted, done) => {
                        let net = Arc::clone(&self.handle.setup().net);
                        // The asker may have gone; the doors are changed all the same.
                        let _ = done.send(doors.rearrange(&*net, &wanted).await);
                    }
                },
                conn = doors.accepted() => {
                    let setup = self.handle.setup();
                    let stop = self.handle.stop.subscribe();
                    sessions.spawn(receive(setup, conn, stop));
                }
            }
        }
        drop((doors, chores));
        // A reload that comes now is told that it is over.
        drop(self.orders);
        sessions.close();
        let overdue = async {
            cut(&mut stopped).await;
            sleep(OVERDUE).await;
        };
        tokio::select! {
            () = sessions.wait() => {}
            () = overdue => tracing::warn!(sessions = sessions.len(), "sessions do not end: left behind"),
        }
    }
}

impl Handle {
    /// Stops accepting; idle sessions are told 421, running transfers may finish within `patience`
    ///
    /// A second call with a shorter patience hurries the first.
    pub fn stop(&self, patience: Duration) {
        let by = Instant::now() + patience;
        self.stop.send_modify(|stop| {
            *stop = match *stop {
                Stop::By(earlier) => Stop::By(earlier.min(by)),
                Stop::No => Stop::By(by),
            };
        });
    }

    /// Gives sessions that begin from now on another configuration, and other accounts if given
    ///
    /// Addresses to listen on are opened and closed as `config` says; sessions that run are not
    /// touched. The transfer log is opened anew, for all sessions. On an error the old
    /// configuration stays in force; to add an IPv4 address beside a `[::]` that hears both
    /// families is one, since the open listener is in its way.
    pub async fn reload(
        &self,
        config: Config,
        accounts: Option<Arc<dyn Authenticator>>,
    ) -> Result<(), Error> {
        let old = self.setup();
        if config.listen.is_empty() {
            return Err(Error::NoAddress);
        }
        let xferlog = open_xferlog(&config)?;
        let (done, result) = oneshot::channel();
        self.orders
            .send(Order::Listen(config.listen.clone(), done))
            .await
            .map_err(|_| Error::Ended)?;
        result.await.map_err(|_| Error::Ended)??;
        old.shared.xferlog.install(xferlog);
        old.shared.balancers.set(config.proxy_protocol.clone());
        let new = Arc::new(Setup {
            config,
            accounts: accounts.unwrap_or_else(|| Arc::clone(&old.accounts)),
            net: Arc::clone(&old.net),
            shared: Arc::clone(&old.shared),
        });
        *self.setup.write().unwrap_or_else(PoisonError::into_inner) = new;
        old.shared.outside.reconsider();
        tracing::info!("configuration reloaded");
        Ok(())
    }

    /// Sessions now
    pub fn sessions(&self) -> usize {
        self.setup().shared.limits.sessions()
    }

    pub(crate) fn setup(&self) -> Arc<Setup> {
        Arc::clone(&self.setup.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Runs one session over a connection that came about elsewhere: embedding, tests, fuzzing
///
/// Serves until the client leaves or is sent away. Counts against no limit but its own, and
/// nothing stops it but dropping the future.
pub async fn serve_connection(
    conn: Conn,
    config: Config,
    accounts: Arc<dyn Authenticator>,
    net: Arc<dyn Net>,
) -> io::Result<()> {
    let (net, balancers) = behind_balancers(net, &config);
    let shared = Arc::new(Shared::new(usize::MAX, balancers));
    let setup = Arc::new(Setup {
        config,
        accounts,
        net,
        shared,
    });
    let (_never, stop) = watch::channel(Stop::No);
    Session::new(setup, conn, stop).serve().await
}

/// The network whose connections from balancers are taken for what their headers tell
fn behind_balancers(net: Arc<dyn Net>, config: &Config) -> (Arc<dyn Net>, Balancers) {
    let balancers = Balancers::new(config.proxy_protocol.clone());
    let net = ProxyProtocol::new(net, balancers.clone());
    (Arc::new(net), balancers)
}

/// A connection at the control port: a session if there is room, a 421 if not
async fn receive(setup: Arc<Setup>, conn: Conn, stop: watch::Receiver<Stop>) {
    let peer = conn.peer_addr();
    let config = &setup.config;
    let seat = setup.shared.limits.admit(
        peer.ip(),
        config.max_sessions.min(setup.shared.seats),
        config.max_per_address,
    );
    let text = match seat {
        Ok(_seat) => {
            session::run(Session::new(Arc::clone(&setup), conn, stop)).await;
            return;
        }
        Err(Full::Server) => "Too many sessions, try again later",
        Err(Full::Address) => "Too many sessions from your address",
    };
    tracing::info!(client = %peer, text, "session refused");
    let permit = setup.shared.courtesy.try_acquire();
    // A crowd at the door shall not hold the descriptors that are left.
    let patience = if permit.is_ok() {
        REFUSAL
    } else {
        Duration::ZERO
    };
    session::refuse(&setup, conn, text, patience).await;
}

fn open_xferlog(config: &Config) -> Result<Option<File>, Error> {
    let Some(path) = &config.xferlog else {
        return Ok(None);
    };
    match log::open_xferlog(path) {
        Ok(file) => Ok(Some(file)),
        Err(source) => Err(Error::Xferlog {
            path: path.clone(),
            source,
        }),
    }
}

/// Listens on one of the `wanted` addresses
///
/// `[::]` alone hears both families. Beside an IPv4 address with the same port it is for IPv6 only:
/// on Linux the two would collide, whichever comes first.
async fn listen(
    net: &dyn Net,
    at: SocketAddr,
    wanted: &[SocketAddr],
) -> Result<Box<dyn Listener>, Error> {
    let beside_ipv4 = wanted
        .iter()
        .any(|other| other.is_ipv4() && other.port() == at.port());
    let place = match ListenAt::one(at) {
        place if at.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && beside_ipv4 => place.only_ipv6(),
        place => place,
    };
    net.listen(place)
        .await
        .map_err(|source| Error::Listen { at, source })
}

/// The control listeners, each accepting in a task of its own
#[derive(Default)]
struct Doors {
    open: Vec<Door>,
    tasks: JoinSet<()>,
    conns: Accepted,
}

struct Door {
    wanted: SocketAddr,
    task: tokio::task::AbortHandle,
}

struct Accepted {
    sender: mpsc::Sender<Conn>,
    receiver: mpsc::Receiver<Conn>,
}

impl Default for Accepted {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(1);
        Self { sender, receiver }
    }
}

impl Doors {
    fn open(&mut self, wanted: SocketAddr, listener: Box<dyn Listener>) {
        let sender = self.conns.sender.clone();
        let task = self.tasks.spawn(accept(listener, sender));
        self.open.push(Door { wanted, task });
    }

    async fn accepted(&mut self) -> Conn {
        match self.conns.receiver.recv().await {
            Some(conn) => conn,
            // Not reached: a sender lives in `self.conns`.
            None => std::future::pending().await,
        }
    }

    /// Opens what is new in `wanted`, then closes what is no longer in it; all or nothing
    async fn rearrange(&mut self, net: &dyn Net, wanted: &[SocketAddr]) -> Result<(), Error> {
        let mut new = Vec::new();
        for &at in wanted {
            if !self.open.iter().any(|door| door.wanted == at) {
                new.push((at, listen(net, at, wanted).await?));
            }
        }
        self.open.retain(|door| {
            let stays = wanted.contains(&door.wanted);
            if !stays {
                door.task.abort();
            }
            stays
        });
        while self.tasks.try_join_next().is_some() {}
        for (at, listener) in new {
            tracing::info!(address = %listener.local_addr(), "listening");
            self.open(at, listener);
        }
        Ok(())
    }
}

async fn accept(mut listener: Box<dyn Listener>, conns: mpsc::Sender<Conn>) {
    let mut warned: Option<Instant> = None;
    loop {
        match listener.accept().await {
            Ok(conn) => {
                if conns.send(conn).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                if warned.is_none_or(|when| when.elapsed() >= ACCEPT_WARNING) {
                    tracing::warn!(%error, address = %listener.local_addr(), "cannot accept");
                    warned = Some(Instant::now());
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wharf_accounts::Anonymous;
    use wharf_net::TcpNet;
    use wharf_proto::Pathname;
    use wharf_storage::Memory;

    use super::*;

    /// Idle sessions are what a server has most of
    #[test]
    fn a_session_that_waits_is_small() {
        let (_ours, theirs) = tokio::io::duplex(64);
        let at = "192.0.2.1:21".parse().expect("an address");
        let conn = Conn::foreign(Box::new(theirs), at, at);
        let accounts = Anonymous::new(Arc::new(Memory::new()), Pathname::root());
        let session = serve_connection(
            conn,
            Config::default(),
            Arc::new(accounts),
            Arc::new(TcpNet::new()),
        );
        let size = size_of_val(&session);
        assert!(size < 6 * 1024, "{size}");
    }
}
