//! The two data connections of a session, and the pump between them.
//!
//! Every piece of work (opening a port, a connection, moving bytes) is a future that is kept here until it is done, so
//! that the session can wait for all of them beside its control connections. Dropping a piece of work undoes it: a
//! data connection that was not ended is reset, on both sides.

use std::future::{Future, pending};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use wharf_net::pump::{self, Conversion, Progress, PumpError};
use wharf_net::shared_port::{DataIdentity, Place};
use wharf_net::tls::{DataSession, ServerSession, TlsSession, UserSession};
use wharf_net::{
    DataConnection, DataPort, Flow, ListenAt, Net, OpenError, RangeExhausted, Source, Trace,
};
use wharf_proto::data_connection::guard::Guard;
use wharf_proto::data_connection::passive::PortRange;
use wharf_proto::data_connection::sorting::SharedAddress;
use wharf_proto::user_transfer::Direction;

use crate::translate::{Input, Trouble, Unopened};

/// A way to a shared port, and the port that was asked for.
type Asked = (Option<Place>, Result<DataPort, String>);

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A passive connect to the server takes at most so long: there may be other ways.
const CONNECT: Duration = Duration::from_millis(2_500);

/// The receiver of a file in TLS may take so long for its own end, which brings the ticket for the next data connection.
const TICKET: Duration = Duration::from_secs(2);

/// One end of the middle.
pub(crate) struct Side {
    /// Who may come, or is gone to.
    pub(crate) guard: Guard,
    /// Our address on this side, as our sockets have it.
    pub(crate) own: IpAddr,
    pub(crate) trace: Trace,
}

/// What stays the same for a session.
pub(crate) struct Terms {
    pub(crate) net: Arc<dyn Net>,
    pub(crate) client: Side,
    pub(crate) server: Side,
    /// The address that the client reached.
    pub(crate) reached: SocketAddr,
    /// The address that a 227 tells the client.
    pub(crate) told_client: IpAddr,
    /// The address that PORT and EPRT tell the server.
    pub(crate) told_server: IpAddr,
    pub(crate) passive_ports: PortRange,
    pub(crate) upstream_ports: Option<PortRange>,
    pub(crate) active_port: Option<u16>,
    pub(crate) patience: Duration,
    pub(crate) stall: Duration,
}

/// The data connections of one session.
pub(crate) struct Joint {
    terms: Arc<Terms>,
    /// The way to a port that sessions share.
    place: Option<Place>,
    /// For the client's data connections, where they are protected.
    client_tls: Option<(TlsSession, DataSession)>,
    /// Where the bytes of the transfer that is being arranged will flow.
    direction: Option<Direction>,
    /// The same for the server's data connections.
    server_tls: Option<TlsSession>,
    client_port: Option<DataPort>,
    server_port: Option<DataPort>,
    client: Option<DataConnection>,
    server: Option<DataConnection>,
    asking: Option<Work<Asked>>,
    listening: Option<Work<Result<DataPort, String>>>,
    announcing: Option<Work<(DataPort, Result<(), OpenError>)>>,
    opening_client: Option<Work<Result<DataConnection, OpenError>>>,
    opening_server: Option<Work<Result<DataConnection, OpenError>>>,
    moving: Option<Work<Result<(), Trouble>>>,
    pub(crate) progress: Progress,
    pub(crate) began: Instant,
}

impl Joint {
    pub(crate) fn new(terms: Terms, place: Option<Place>, server_tls: Option<UserSession>) -> Self {
        Self {
            terms: Arc::new(terms),
            place,
            client_tls: None,
            direction: None,
            server_tls: server_tls.map(TlsSession::from),
            client_port: None,
            server_port: None,
            client: None,
            server: None,
            asking: None,
            listening: None,
            announcing: None,
            opening_client: None,
            opening_server: None,
            moving: None,
            progress: Progress::new(),
            began: Instant::now(),
        }
    }

    /// From now on the client's data connections are protected with this; `None` is in clear.
    pub(crate) fn protect_client(&mut self, tls: Option<ServerSession>, data_session: DataSession) {
        self.client_tls = tls.map(|tls| (tls.into(), data_session));
    }

    /// The way to a shared port, to tell it who is logged in.
    pub(crate) fn place(&mut self) -> Option<&mut Place> {
        self.place.as_mut()
    }

    pub(crate) fn is_moving(&self) -> bool {
        self.moving.is_some()
    }

    /// What has come to its end first. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Input {
        tokio::select! {
            (place, port) = done(&mut self.asking) => {
                self.place = place;
                Input::ClientPort(port.and_then(|port| {
                    let at = port.listening_at().ok_or("the port is gone")?;
                    self.client_port = Some(port);
                    Ok(SocketAddr::new(self.terms.told_client, at.port()))
                }))
            }
            port = done(&mut self.listening) => Input::ServerPort(port.and_then(|port| {
                let at = port.listening_at().ok_or("the port is gone")?;
                self.server_port = Some(port);
                Ok(SocketAddr::new(self.terms.told_server, at.port()))
            })),
            (port, outcome) = done(&mut self.announcing) => {
                self.client_port = Some(port);
                Input::ClientReady(outcome.map_err(|error| self.client_failed(&error).why))
            }
            opened = done(&mut self.opening_client) => Input::ClientData(match opened {
                Ok(data) => {
                    self.client = Some(data);
                    Ok(())
                }
                Err(error) => Err(self.client_failed(&error)),
            }),
            opened = done(&mut self.opening_server) => Input::ServerData(match opened {
                Ok(data) => {
                    self.server = Some(data);
                    Ok(())
                }
                Err(error) => {
                    tracing::info!(%error, "no data connection to the server");
                    Err(Unopened {
                        silent: matches!(error, OpenError::Silent { .. }),
                        why: told_of_server(&error),
                    })
                }
            }),
            moved = done(&mut self.moving) => {
                let (bytes, seconds) = (self.progress.moved(), self.began.elapsed().as_secs_f64());
                match &moved {
                    Ok(()) => tracing::info!(bytes, seconds, "transfer"),
                    Err(Trouble { why, .. }) => tracing::info!(bytes, seconds, why, "transfer incomplete"),
                }
                Input::Moved(moved)
            }
        }
    }

    fn client_failed(&self, error: &OpenError) -> Trouble {
        let client = self.terms.client.guard.control_peer();
        tracing::info!(%client, %error, "no data connection to the client");
        trouble_of(error)
    }

    /// A port for the client's data connection.
    pub(crate) fn listen_for_client(&mut self) {
        self.client_port = None;
        let terms = Arc::clone(&self.terms);
        let tls = self.client_tls.as_ref();
        let identity = DataIdentity::of(tls.map(|(session, policy)| (session, *policy)));
        self.asking = Some(match self.place.take() {
            Some(mut place) => Box::pin(async move {
                let door = place.entrance.door;
                let reached = terms.reached;
                let asked = place
                    .ask(vec![door], SharedAddress::OneUser, identity, |_| reached)
                    .await;
                let port = match asked {
                    Ok(listener) => Ok(DataPort::Listening(listener)),
                    Err(refusal) => Err(format!("No data connection: {refusal}")),
                };
                (Some(place), port)
            }),
            None => Box::pin(async move {
                let at = ListenAt::range(terms.client.own, terms.passive_ports);
                let port = DataPort::listen(&*terms.net, at).await;
                (None, port.map_err(|error| no_port(&error)))
            }),
        });
    }

    pub(crate) fn aim_at_client(&mut self, to: SocketAddr) {
        let own = self.terms.client.own;
        let source = match self.terms.active_port {
            // A balancer has translated: the client is of a family that this socket is not of.
            _ if own.is_ipv4() != to.is_ipv4() => Source::Any,
            Some(port) => Source::Port(SocketAddr::new(own, port)),
            None => Source::Address(own),
        };
        self.client_port = Some(DataPort::Target { source, to });
    }

    pub(crate) fn listen_for_server(&mut self) {
        self.server_port = None;
        let terms = Arc::clone(&self.terms);
        self.listening = Some(Box::pin(async move {
            let at = match terms.upstream_ports {
                Some(range) => ListenAt::range(terms.server.own, range),
                None => ListenAt::any(terms.server.own),
            };
            let port = DataPort::listen(&*terms.net, at).await;
            port.map_err(|error| {
                tracing::warn!(%error, "no port for the server's data connection");
                "the proxy has no port left for it".to_owned()
            })
        }));
    }

    pub(crate) fn connect_server(&mut self, to: SocketAddr) {
        let own = self.terms.server.own;
        let source = if own.is_ipv4() == to.is_ipv4() {
            Source::Address(own)
        } else {
            Source::Any
        };
        let patience = self.terms.patience.min(CONNECT);
        self.open_server(DataPort::Target { source, to }, patience);
    }

    pub(crate) fn accept_server(&mut self) {
        if let Some(port) = self.server_port.take() {
            self.open_server(port, self.terms.patience);
        }
    }

    fn open_server(&mut self, port: DataPort, patience: Duration) {
        let terms = Arc::clone(&self.terms);
        self.opening_server = Some(Box::pin(async move {
            let side = &terms.server;
            port.open_traced(&*terms.net, &side.guard, patience, &side.trace)
                .await
        }));
    }

    /// The transfer command has come, and the server may take its time. A connection that the client has made for it
    /// must not wait undecided at a shared port meanwhile: it would be greeted.
    pub(crate) fn foretell_to_client(&mut self, direction: Direction) {
        if let Some(port) = &mut self.client_port {
            port.foretell(flow(direction));
        }
    }

    pub(crate) fn announce_to_client(&mut self, direction: Direction) {
        let Some(mut port) = self.client_port.take() else {
            return;
        };
        self.direction = Some(direction);
        let flow = flow(direction);
        let terms = Arc::clone(&self.terms);
        self.announcing = Some(Box::pin(async move {
            let outcome = port.announce(flow, &terms.client.trace).await;
            (port, outcome)
        }));
    }

    /// What the client's data connection of this transfer is protected with.
    fn secure_client_with(&self) -> Option<(TlsSession, DataSession)> {
        let (session, policy) = self.client_tls.clone()?;
        let session = match (session, self.direction) {
            (TlsSession::Server(session), Some(Direction::Upload)) => session.for_upload().into(),
            (session, _) => session,
        };
        Some((session, policy))
    }

    pub(crate) fn open_client(&mut self) {
        let Some(port) = self.client_port.take() else {
            return;
        };
        let terms = Arc::clone(&self.terms);
        // An active client begins its handshake when it hears 150, which it has not heard yet.
        let listens = port.listening_at().is_some();
        let tls = self.secure_client_with().filter(|_| listens);
        self.opening_client = Some(Box::pin(async move {
            let side = &terms.client;
            let (net, patience) = (&*terms.net, terms.patience);
            match tls {
                Some((session, policy)) => {
                    let opened = port.open_secured(
                        net,
                        &side.guard,
                        patience,
                        &side.trace,
                        &session,
                        policy,
                    );
                    Ok(opened.await?.0)
                }
                None => {
                    port.open_traced(net, &side.guard, patience, &side.trace)
                        .await
                }
            }
        }));
    }

    /// Joins what there is.
    pub(crate) fn begin_to_move(&mut self, direction: Direction) {
        let Some(mut client) = self.client.take() else {
            return;
        };
        self.progress = Progress::new();
        self.began = Instant::now();
        let stall = self.terms.stall;
        let progress = self.progress.clone();
        let began = self.began;
        let mut server = self.server.take();
        let client_tls = self.secure_client_with();
        let server_tls = self.server_tls.clone();
        let patience = self.terms.patience;
        self.moving = Some(Box::pin(async move {
            // The one side's handshake need not wait for the other's.
            tokio::try_join!(
                secure_client(&mut client, client_tls.as_ref(), patience),
                secure_server(server.as_mut(), server_tls.as_ref(), patience),
            )?;
            let moved = match (server, direction) {
                (Some(server), Direction::Download) => {
                    let names = ["server", "client"];
                    relay(server, client, names, &progress, stall, None).await
                }
                (Some(server), Direction::Upload) => {
                    let names = ["client", "server"];
                    relay(client, server, names, &progress, stall, Some(began)).await
                }
                (None, _) => close(client, "client", stall).await,
            };
            Ok(moved?)
        }));
    }

    /// Resets and forgets everything but the client's unused port.
    pub(crate) fn cut(&mut self) {
        self.listening = None;
        self.announcing = None;
        self.opening_client = None;
        self.opening_server = None;
        self.moving = None;
        self.server_port = None;
        self.client = None;
        self.server = None;
    }

    /// Closes the client's unused port.
    pub(crate) fn release(&mut self) {
        self.client_port = None;
    }
}

/// Protects the client's data connection, if that has not been done when it came.
async fn secure_client(
    data: &mut DataConnection,
    tls: Option<&(TlsSession, DataSession)>,
    patience: Duration,
) -> Result<(), Trouble> {
    let Some((session, policy)) = tls.filter(|_| !data.is_secured()) else {
        return Ok(());
    };
    let shaken = data.secure_as(session, *policy, patience).await;
    shaken.map_err(|error| Trouble {
        why: format!("The client's data connection: {error}"),
        ..trouble_of(&error)
    })?;
    Ok(())
}

/// Protects the server's. Whether the session is resumed is the server's concern.
async fn secure_server(
    data: Option<&mut DataConnection>,
    tls: Option<&TlsSession>,
    patience: Duration,
) -> Result<(), Trouble> {
    let (Some(data), Some(session)) = (data, tls) else {
        return Ok(());
    };
    let shaken = data.secure(session, patience).await;
    shaken.map_err(|error| Trouble::from(format!("The server's data connection: {error}")))?;
    Ok(())
}

/// What the client is told of a data connection that did not come about.
fn trouble_of(error: &OpenError) -> Trouble {
    Trouble {
        unprotected: matches!(
            error,
            OpenError::NotResumed { .. } | OpenError::Handshake { .. }
        ),
        why: error.to_string(),
    }
}

fn flow(direction: Direction) -> Flow {
    match direction {
        Direction::Download => Flow::Outgoing,
        Direction::Upload => Flow::Incoming,
    }
}

/// Waits for a piece of work, or for ever where there is none.
async fn done<T>(work: &mut Option<Work<T>>) -> T {
    match work {
        Some(running) => {
            let out = running.as_mut().await;
            *work = None;
            out
        }
        None => pending().await,
    }
}

/// Everything from one data connection to the other, then an orderly end. On an error both are reset.
async fn relay(
    mut from: DataConnection,
    mut to: DataConnection,
    [sender, receiver]: [&str; 2],
    progress: &Progress,
    stall: Duration,
    upload_since: Option<Instant>,
) -> Result<(), String> {
    let moved = pump::send(&mut from, &mut to, Conversion::Verbatim, progress, stall)
        .await
        .map_err(|error| {
            let bytes = progress.moved();
            match error {
                PumpError::Stalled(waited) => format!(
                    "Nothing moved for {} s after {bytes} bytes from {sender} to {receiver}; transfer incomplete",
                    waited.as_secs()
                ),
                PumpError::File(error) => broken(sender, &error, bytes),
                PumpError::Connection(error) => broken(receiver, &error, bytes),
                other => format!("{other} after {bytes} bytes; transfer incomplete"),
            }
        })?;
    if let Some(began) = upload_since {
        // Whoever was killed meanwhile has reset it by now, or has ended the session and this with it.
        pump::doubt(moved, began).await;
        if from.is_reset() {
            return Err(broken(
                sender,
                &std::io::ErrorKind::ConnectionReset.into(),
                moved.wire,
            ));
        }
    }
    close(to, receiver, stall).await
}

async fn close(data: DataConnection, whose: &str, stall: Duration) -> Result<(), String> {
    let bytes = data.bytes();
    let ended = async {
        // We are the user there: behind our end comes the next ticket.
        if whose == "server" && data.is_secured() {
            pump::end_upload(data, TICKET).await
        } else {
            data.close().await
        }
    };
    match timeout(stall, ended).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(broken(whose, &error, bytes)),
        Err(_) => Err(format!("The {whose}'s data connection does not end")),
    }
}

fn broken(whose: &str, error: &std::io::Error, bytes: u64) -> String {
    use std::io::ErrorKind;
    let how = match error.kind() {
        ErrorKind::ConnectionReset => "was reset, by it or something between,",
        ErrorKind::BrokenPipe | ErrorKind::WriteZero | ErrorKind::ConnectionAborted => {
            "was closed by it"
        }
        ErrorKind::TimedOut => "is dead: nothing answers any more",
        _ => "broke",
    };
    format!("The {whose}'s data connection {how} after {bytes} bytes; transfer incomplete")
}

fn no_port(error: &std::io::Error) -> String {
    match RangeExhausted::of(error) {
        Some(full) => format!(
            "Every passive port of {} is in use; try again later",
            full.range
        ),
        None => {
            tracing::warn!(%error, "no port for the client's data connection");
            "The proxy cannot open a port for a data connection now".to_owned()
        }
    }
}

/// Without addresses: those of the server's network are not the client's business.
fn told_of_server(error: &OpenError) -> String {
    match error {
        OpenError::NobodyCame { waited, .. } => {
            format!(
                "the server did not connect within {:.1} s",
                waited.as_secs_f32()
            )
        }
        OpenError::Refused { .. } => "the server's data port refuses the connection".to_owned(),
        OpenError::Silent { waited, .. } => format!(
            "the server's data port did not answer within {:.1} s, something drops",
            waited.as_secs_f32()
        ),
        OpenError::Unreachable { .. } => "no way leads to the server's data port".to_owned(),
        _ => "the proxy cannot connect".to_owned(),
    }
}
