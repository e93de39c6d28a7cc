//! Listeners, the sessions they start, and a graceful end.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tracing::Instrument;
use wharf_net::proxy_protocol::{Balancers, ProxyProtocol};
use wharf_net::seats::Seats;
use wharf_net::shared_port::{Admitted, NewDoor, Place, Reception, WayToPorter};
use wharf_net::{ListenAt, Net, Stop};

use crate::bridge::{self, Arrival};
use crate::config::Config;
use crate::translate::ways::{Learnt, ServerMemory};

/// A session at work: two control connections, two data connections, two listeners.
const DESCRIPTORS_OF_A_SESSION: usize = 6;

/// Listeners, the log, the runtime, clients that are being turned away.
const DESCRIPTORS_OF_THE_PROXY: usize = 16 + COURTESY;

/// Room for fewer sessions is worth a warning.
const FEW: usize = 1000;

/// So many clients that are turned away at the same time are given the time to read why.
const COURTESY: usize = 8;

/// How long a client that is turned away may take to read why.
const REFUSAL: Duration = Duration::from_secs(5);

/// Sessions that outlive the deadline of a stop by this much are left behind.
const OVERDUE: Duration = Duration::from_secs(5);

/// Why a proxy could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on: taken, not of this host, or not permitted (ports below 1024).
    #[error("cannot listen on {at}: {source}")]
    Listen {
        /// The address that was asked for.
        at: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration names no address to listen on.
    #[error("no address to listen on")]
    NoAddress,
}

/// What sessions are started with.
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) net: Arc<dyn Net>,
    taken: Arc<Seats>,
    seats: usize,
    courtesy: Semaphore,
    sessions: AtomicU64,
    began: Instant,
    /// Never held across an `await`.
    servers: Mutex<ServerMemory>,
}

impl Setup {
    /// The numbers of a session's two control connections in a trace: this one and the next.
    fn next_session(&self) -> u64 {
        self.sessions.fetch_add(2, Ordering::Relaxed) + 1
    }

    /// What earlier sessions have learnt about this server.
    pub(crate) fn recall(&self, server: IpAddr) -> Learnt {
        self.servers().recall(server, self.began.elapsed())
    }

    /// For later sessions.
    pub(crate) fn learn(&self, server: IpAddr, learnt: &Learnt) {
        self.servers().learn(server, self.began.elapsed(), learnt);
    }

    fn servers(&self) -> MutexGuard<'_, ServerMemory> {
        // An entry is there or not, so a poisoned lock is still good.
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A bound proxy that has not accepted anybody yet.
pub struct Proxy {
    doors: Vec<NewDoor>,
    addresses: Vec<SocketAddr>,
    handle: Handle,
}

/// Steers a running proxy from elsewhere.
#[derive(Clone)]
pub struct Handle {
    setup: Arc<Setup>,
    stop: watch::Sender<Stop>,
}

impl Handle {
    /// Stops accepting; idle sessions are told 421, running transfers may finish within `patience`. A second call with a
    /// shorter patience hurries the first.
    pub fn stop(&self, patience: Duration) {
        let by = Instant::now() + patience;
        self.stop.send_modify(|stop| *stop = stop.at_latest(by));
    }

    /// Sessions now.
    pub fn sessions(&self) -> usize {
        self.setup.taken.sessions()
    }
}

impl Proxy {
    /// Listens on every address of the configuration, or on none when one of them fails. The upstream is not asked.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn bind(config: Config, net: Arc<dyn Net>) -> Result<Self, Error> {
        if config.listen.is_empty() {
            return Err(Error::NoAddress);
        }
        let balancers = Balancers::new(config.proxy_protocol.clone());
        let net: Arc<dyn Net> = Arc::new(ProxyProtocol::new(net, balancers));
        let mut doors = Vec::new();
        for (number, &at) in (1..).zip(&config.listen) {
            // Beside an IPv4 address with the same port `[::]` is for IPv6 only: the two would collide.
            let beside_ipv4 = config
                .listen
                .iter()
                .any(|other| other.is_ipv4() && other.port() == at.port());
            let place = match ListenAt::one(at) {
                place if at.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && beside_ipv4 => {
                    place.only_ipv6()
                }
                place => place,
            };
            let listener = net.listen(place).await;
            let listener = listener.map_err(|source| Error::Listen { at, source })?;
            let tls = config.tls.as_ref();
            doors.push(if tls.is_some_and(|tls| tls.implicit.contains(&at)) {
                NewDoor::implicit(number, at, listener)
            } else {
                NewDoor::control(number, at, listener)
            });
        }
        let descriptors = net.descriptors().saturating_sub(DESCRIPTORS_OF_THE_PROXY);
        let seats = (descriptors / DESCRIPTORS_OF_A_SESSION).max(1);
        if seats < config.max_sessions.min(FEW) {
            tracing::warn!(
                sessions = seats,
                "the limit of open files leaves room for fewer sessions"
            );
        }
        let (stop, _) = watch::channel(Stop::No);
        Ok(Self {
            addresses: doors.iter().map(NewDoor::local_addr).collect(),
            doors,
            handle: Handle {
                setup: Arc::new(Setup {
                    config,
                    net,
                    taken: Arc::default(),
                    seats,
                    courtesy: Semaphore::new(COURTESY),
                    sessions: AtomicU64::new(0),
                    began: Instant::now(),
                    servers: Mutex::default(),
                }),
                stop,
            },
        })
    }

    /// Where it listens, in the order of the configuration; ports are the real ones.
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// To steer the proxy while [`run`](Self::run) owns it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until [`Handle::stop`]; returns when the last session has ended.
    pub async fn run(self) {
        let Self { doors, handle, .. } = self;
        let mut sessions = JoinSet::new();
        let mut reception = Reception::new();
        for door in doors {
            reception.open(door);
        }
        let mut stopped = handle.stop.subscribe();
        loop {
            tokio::select! {
                biased;
                () = Stop::stopping(&mut stopped) => break,
                Some(_) = sessions.join_next() => {}
                step = reception.next() => reception.take(step, |client| client),
            }
            let way = reception.way();
            for admitted in reception.admitted() {
                let setup = Arc::clone(&handle.setup);
                let stop = handle.stop.subscribe();
                sessions.spawn(receive(setup, admitted, way.clone(), stop));
            }
        }
        let overdue = async {
            Stop::cut(&mut stopped).await;
            sleep(OVERDUE).await;
        };
        let ended = async {
            // Transfers that are under way may wait for their data connection at the control port.
            while reception.is_busy() {
                tokio::select! {
                    joined = sessions.join_next() => if joined.is_none() {
                        break;
                    },
                    step = reception.next() => reception.take(step, |client| client),
                }
                for Admitted { conn, .. } in reception.admitted() {
                    conn.abort();
                }
            }
            drop(reception);
            while sessions.join_next().await.is_some() {}
        };
        tokio::select! {
            () = ended => {}
            () = overdue => tracing::warn!("sessions do not end: left behind"),
        }
    }
}

/// A connection at the control port: a session if there is room, a 421 if not.
async fn receive(
    setup: Arc<Setup>,
    admitted: Admitted,
    way: WayToPorter,
    stop: watch::Receiver<Stop>,
) {
    let Admitted { conn, entrance } = admitted;
    let peer = conn.peer_addr();
    let config = &setup.config;
    let number = setup.next_session();
    let seat = setup.taken.admit(
        peer.ip(),
        config.max_sessions.min(setup.seats),
        config.max_per_address,
    );
    let text = match seat {
        Ok(_seat) => {
            let place = config
                .one_port
                .then(|| Place::new(number, peer.ip(), entrance, way));
            let tls = config.tls.as_ref();
            let arrival = Arrival {
                number,
                conn,
                place,
                implicit: tls.is_some_and(|tls| tls.implicit.contains(&entrance.wanted)),
            };
            let span = tracing::info_span!("session", id = number, client = %peer);
            let session = bridge::serve(Arc::clone(&setup), arrival, stop);
            if let Err(error) = session.instrument(span).await {
                tracing::debug!(%error, "control connection is gone");
            }
            return;
        }
        Err(full) => full.to_string(),
    };
    tracing::info!(client = %peer, text, "session refused");
    let permit = setup.courtesy.try_acquire();
    // A crowd at the door shall not hold the descriptors that are left.
    let patience = if permit.is_ok() {
        REFUSAL
    } else {
        Duration::ZERO
    };
    bridge::refuse(&setup, conn, number, &text, patience).await;
}
