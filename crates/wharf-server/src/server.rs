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
use wharf_net::seats::Full;
use wharf_net::shared_port::{Admitted, DataDoor, DataDoors, NewDoor, Reception, WayToPorter};
use wharf_net::{Conn, ListenAt, Listener, Net, Stop};
use wharf_proto::security::Requirement;

use crate::bans;
use crate::config::Config;
use crate::log;
use crate::outside::Outside;
use crate::session::{self, Session};
use crate::setup::{Setup, Shared};

/// Sessions that outlive the deadline of a stop by this much hang in their storage, and are left behind
const OVERDUE: Duration = Duration::from_secs(5);

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
    /// An address for implicit TLS without TLS
    #[error("implicit TLS is asked for, and there is no TLS")]
    ImplicitWithoutTls,
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
    /// To be opened when it runs
    doors: Vec<NewDoor>,
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
    Listen(Box<Config>, oneshot::Sender<Result<DataDoors, Error>>),
}

impl Server {
    /// Listens on every address of the configuration, or on none when one of them fails
    pub async fn bind(
        config: Config,
        net: Arc<dyn Net>,
        accounts: Arc<dyn Authenticator>,
    ) -> Result<Self, Error> {
        check_doors(&config)?;
        let (net, balancers) = behind_balancers(net, &config);
        let shared = Arc::new(Shared::new(net.descriptors(), balancers));
        let mut doors = Vec::new();
        for at in config.doors() {
            doors.push(control_door(&*net, at, &config, &shared).await?);
        }
        let addresses = doors.iter().map(NewDoor::local_addr).collect();
        let (data_doors, new) = open_data_doors(&*net, &config, &[], &shared).await?;
        doors.extend(new);
        if shared.descriptors.sessions() < config.max_sessions.min(FEW) {
            tracing::warn!(
                sessions = shared.descriptors.sessions(),
                "the limit of open files leaves room for fewer sessions"
            );
        }
        shared.xferlog.install(open_xferlog(&config)?);
        let (stop, _) = watch::channel(Stop::No);
        let (orders_in, orders) = mpsc::channel(1);
        Ok(Self {
            doors,
            addresses,
            handle: Handle {
                setup: Arc::new(RwLock::new(Arc::new(Setup {
                    config,
                    accounts,
                    net,
                    shared,
                    data_doors,
                }))),
                stop,
                orders: orders_in,
            },
            orders,
        })
    }

    /// Where it listens, in the order of the configuration, implicit TLS last; ports are the real ones
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
        let mut reception = Reception::new();
        for new in std::mem::take(&mut self.doors) {
            reception.open(new);
        }
        let mut stopped = self.handle.stop.subscribe();
        let mut chores = JoinSet::new();
        chores.spawn(Outside::keep_asking(self.handle.clone()));
        loop {
            tokio::select! {
                biased;
                () = Stop::stopping(&mut stopped) => break,
                Some(order) = self.orders.recv() => match order {
                    Order::Listen(config, done) => {
                        let setup = self.handle.setup();
                        // The asker may have gone; the doors are changed all the same.
                        let _ = done.send(rearrange(&mut reception, &setup, &config).await);
                    }
                },
                step = reception.next() => {
                    reception.take(step, |client| self.handle.counted_as(client));
                }
            }
            let way = reception.way();
            for admitted in reception.admitted() {
                let setup = self.handle.setup();
                let stop = self.handle.stop.subscribe();
                sessions.spawn(receive(setup, admitted, way.clone(), stop));
            }
        }
        drop(chores);
        // A reload that comes now is told that it is over.
        drop(self.orders);
        sessions.close();
        let ended = async {
            // Transfers that are under way may wait for their data connection at the control port.
            while reception.is_busy() {
                tokio::select! {
                    () = sessions.wait() => break,
                    step = reception.next() => {
                        reception.take(step, |client| self.handle.counted_as(client));
                    }
                }
                for Admitted { conn, .. } in reception.admitted() {
                    conn.abort();
                }
            }
            // Who asks for a port now is refused.
            drop(reception);
            sessions.wait().await;
        };
        let overdue = async {
            Stop::cut(&mut stopped).await;
            sleep(OVERDUE).await;
        };
        tokio::select! {
            () = ended => {}
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
        self.stop.send_modify(|stop| *stop = stop.at_latest(by));
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
        check_doors(&config)?;
        let xferlog = open_xferlog(&config)?;
        let (done, result) = oneshot::channel();
        self.orders
            .send(Order::Listen(Box::new(config.clone()), done))
            .await
            .map_err(|_| Error::Ended)?;
        let data_doors = result.await.map_err(|_| Error::Ended)??;
        old.shared.xferlog.install(xferlog);
        old.shared.balancers.set(config.proxy_protocol.clone());
        let new = Arc::new(Setup {
            config,
            accounts: accounts.unwrap_or_else(|| Arc::clone(&old.accounts)),
            net: Arc::clone(&old.net),
            shared: Arc::clone(&old.shared),
            data_doors,
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

    /// The address that a client counts as, as the configuration of now says
    fn counted_as(&self, client: IpAddr) -> IpAddr {
        self.setup().config.counted_as(client)
    }

    pub(crate) fn setup(&self) -> Arc<Setup> {
        Arc::clone(&self.setup.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Runs one session over a connection that came about elsewhere: embedding, tests, fuzzing
///
/// Serves until the client leaves or is sent away. Counts against no limit but its own, and
/// nothing stops it but dropping the future. No door belongs to it that data connections could come
/// in by: one-port passive and shared data ports are not available, `passive_ports` is used.
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
        data_doors: DataDoors::default(),
    });
    let (_never, stop) = watch::channel(Stop::No);
    let share = setup.shared.descriptors.admit();
    let share = share.ok_or_else(|| io::Error::other(Full::All.to_string()))?;
    Session::new(setup, conn, share, stop).serve().await
}

/// The network whose connections from balancers are taken for what their headers tell
fn behind_balancers(net: Arc<dyn Net>, config: &Config) -> (Arc<dyn Net>, Balancers) {
    let balancers = Balancers::new(config.proxy_protocol.clone());
    let net = ProxyProtocol::new(net, balancers.clone());
    (Arc::new(net), balancers)
}

/// A connection at the control port: a session if there is room, a 421 if not
async fn receive(
    setup: Arc<Setup>,
    admitted: Admitted,
    way: WayToPorter,
    stop: watch::Receiver<Stop>,
) {
    let Admitted { conn, entrance } = admitted;
    let peer = conn.peer_addr();
    let config = &setup.config;
    if let Some(text) = bans::at_the_door(&setup, peer.ip()).await {
        tracing::info!(client = %peer, text, "client turned away: banned");
        send_away(&setup, Admitted { conn, entrance }, &text).await;
        return;
    }
    let (sessions, of_address) = (config.max_sessions, config.max_per_address);
    let seat = setup.shared.limits.admit(peer.ip(), sessions, of_address);
    let admitted = seat.and_then(|seat| {
        let share = setup.shared.descriptors.admit().ok_or(Full::All)?;
        Ok((seat, share))
    });
    let text = match admitted {
        Ok((_seat, share)) => {
            let session =
                Session::new(Arc::clone(&setup), conn, share, stop).came_in(entrance, way);
            session::run(session).await;
            return;
        }
        Err(full) => full.to_string(),
    };
    tracing::info!(client = %peer, text, "session refused");
    send_away(&setup, Admitted { conn, entrance }, &text).await;
}

/// 421; the first few get the time to read it
async fn send_away(setup: &Setup, who: Admitted, text: &str) {
    let Admitted { conn, entrance } = who;
    if setup.config.is_implicit(entrance.wanted) {
        // It waits for a handshake, and would take the reply for a broken one.
        return;
    }
    let permit = setup.shared.courtesy.try_acquire();
    // A crowd at the door shall not hold the descriptors that are left.
    let patience = if permit.is_ok() {
        REFUSAL
    } else {
        Duration::ZERO
    };
    session::refuse(setup, conn, text, patience).await;
}

/// Whether there is a door at all, and TLS for those that need it
fn check_doors(config: &Config) -> Result<(), Error> {
    let tls = config.tls.as_ref();
    let offered = tls.is_some_and(|tls| tls.control != Requirement::Off);
    if config.doors().is_empty() {
        Err(Error::NoAddress)
    } else if !config.implicit_listen.is_empty() && !offered {
        Err(Error::ImplicitWithoutTls)
    } else {
        Ok(())
    }
}

fn open_xferlog(config: &Config) -> Result<Option<File>, Error> {
    let Some(path) = &config.xferlog else {
        return Ok(None);
    };
    let opened = match &config.open_xferlog {
        Some(open) => open(path),
        None => log::open_xferlog(path),
    };
    match opened {
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

async fn control_door(
    net: &dyn Net,
    at: SocketAddr,
    config: &Config,
    shared: &Shared,
) -> Result<NewDoor, Error> {
    let listener = listen(net, at, &config.doors()).await?;
    let number = shared.next_door();
    Ok(if config.is_implicit(at) {
        NewDoor::implicit(number, at, listener)
    } else {
        NewDoor::control(number, at, listener)
    })
}

/// The shared data ports of a configuration, those of `old` that it has in common with it left open
async fn open_data_doors(
    net: &dyn Net,
    config: &Config,
    old: &[Arc<DataDoor>],
    shared: &Shared,
) -> Result<(DataDoors, Vec<NewDoor>), Error> {
    let mut doors = Vec::new();
    let mut new = Vec::new();
    let mut places: Vec<IpAddr> = config.doors().iter().map(SocketAddr::ip).collect();
    places.sort_unstable();
    places.dedup();
    let ports = config.data_port.map(|range| range.lo()..=range.hi());
    for port in ports.into_iter().flatten() {
        let wanted: Vec<_> = places.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
        for &at in &wanted {
            if let Some(open) = old.iter().find(|it| (it.ip, it.port) == (at.ip(), port)) {
                doors.push(Arc::clone(open));
                continue;
            }
            let listener = listen(net, at, &wanted).await?;
            let (door, closed) = DataDoor::new(shared.next_door(), at.ip(), listener);
            doors.push(door);
            new.push(closed);
        }
    }
    Ok((doors.into(), new))
}

/// Opens what is new in `config`, then closes what is no longer in it; all or nothing
async fn rearrange(
    reception: &mut Reception,
    setup: &Setup,
    config: &Config,
) -> Result<DataDoors, Error> {
    let mut new = Vec::new();
    let wanted = config.doors();
    for &at in &wanted {
        if !reception.has_control(at) {
            new.push(control_door(&*setup.net, at, config, &setup.shared).await?);
        }
    }
    let old = &setup.data_doors;
    let (data_doors, more) = open_data_doors(&*setup.net, config, old, &setup.shared).await?;
    reception.keep(&wanted);
    for door in new.into_iter().chain(more) {
        tracing::info!(address = %door.local_addr(), "listening");
        reception.open(door);
    }
    Ok(data_doors)
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
