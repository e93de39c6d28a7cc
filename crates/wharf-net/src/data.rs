//! The data connection: from what PASV, EPSV, PORT or EPRT left behind to two connected DTPs.
//!
//! The one opener for both data modes and both roles: whoever waits for a connection waits here (with a guard against
//! strangers), whoever opens one opens it here. Deliberately absent: the decision which way to try, which is
//! `wharf_proto::data_connection`'s.

mod passage;
mod secured;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use wharf_proto::data_connection::Opener;
use wharf_proto::data_connection::guard::Guard;
use wharf_proto::data_connection::sorting::Refusal;
use wharf_proto::trace::{DataEnd, GIVEN_UP, TlsOn, What};

use crate::conn::{Conn, Heard, SourceNote};
use crate::net::{Flow, ListenAt, Listener, Net, Source};
use crate::rate::{RateLimit, Throttle};
use crate::tls::{Handshake, TlsError, TlsSession};
use crate::trace::Trace;

/// So many strangers are named in an error; further ones are only counted.
const STRANGERS_NAMED: usize = 16;

/// After so many strangers the wait ends: somebody is not scanning but attacking, and each of them costs a reset.
const STRANGERS_BORNE: usize = 1_000;

/// From where the next data connection comes.
pub enum DataPort {
    /// We wait for it: a server after PASV or EPSV, a user after PORT or EPRT.
    Listening(Box<dyn Listener>),
    /// We open it: a server after PORT or EPRT, a user after 227 or 229.
    Target {
        /// Our end.
        source: Source,
        /// The peer's end.
        to: SocketAddr,
    },
}

impl DataPort {
    /// Listens for the next data connection.
    ///
    /// # Errors
    /// Those of [`Net::listen`]; a used-up range is [`RangeExhausted`](crate::RangeExhausted).
    pub async fn listen(net: &dyn Net, at: ListenAt) -> io::Result<Self> {
        Ok(Self::Listening(net.listen(at).await?))
    }

    /// Makes the data connection, or says within `patience` why there is none.
    ///
    /// While listening, connections that `guard` does not admit are reset and logged, and the wait goes on: a
    /// stranger who is quicker than the peer takes nothing from it (RFC 2577 §4). A target has been judged by
    /// [`Guard`] before it became a `DataPort` and is not judged again.
    ///
    /// Dropping the future closes the listener or gives the connect up.
    ///
    /// # Errors
    /// [`OpenError`]: what was tried, what was seen, for how long.
    pub async fn open(
        self,
        net: &dyn Net,
        guard: &Guard,
        patience: Duration,
    ) -> Result<DataConnection, OpenError> {
        self.open_traced(net, guard, patience, &Trace::off()).await
    }

    /// As [`open`](Self::open), and tells the session's trace of the wait, of strangers, and of the connection's
    /// beginning and end.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open_traced(
        self,
        net: &dyn Net,
        guard: &Guard,
        patience: Duration,
        trace: &Trace,
    ) -> Result<DataConnection, OpenError> {
        let (opener, at, opened) = match self {
            Self::Listening(listener) => {
                let (opener, at) = (trace.opener(true), listener.local_addr());
                trace.record(|| What::DataAwaited { opener, at });
                let mut unsettled = Unsettled::new(trace, opener, at);
                let opened = wait_for(listener, guard, patience, trace).await;
                unsettled.trace = None;
                (opener, at, opened)
            }
            Self::Target { source, to } => {
                let opener = trace.opener(false);
                let mut unsettled = Unsettled::new(trace, opener, to);
                let opened = connect(net, source, to, patience).await;
                unsettled.trace = None;
                (opener, to, opened)
            }
        };
        match opened {
            Ok(conn) => {
                let (local, peer) = (conn.local_addr(), conn.peer_addr());
                trace.record(|| What::DataOpened {
                    opener,
                    local,
                    peer,
                });
                Ok(DataConnection::traced(conn, trace.clone()))
            }
            Err(error) => {
                trace.record(|| What::DataFailed {
                    opener,
                    at,
                    reason: error.to_string(),
                });
                Err(error)
            }
        }
    }

    /// Says that the transfer command has come: whoever is there, and whoever comes, is for this transfer. For those who
    /// cannot [`announce`](Self::announce) it soon, because somebody else has to be asked first; a shared port would
    /// greet a connection that nobody claims as one for control.
    pub fn foretell(&mut self, flow: Flow) {
        if let Self::Listening(listener) = self {
            listener.announce(flow);
        }
    }

    /// Says that the transfer is about to begin, and which way its bytes will flow. A listener with a port of its own
    /// need not know; one that shares its port finds out whether the data connection is among those that came.
    ///
    /// # Errors
    /// [`OpenError::SharedPort`]: it cannot come about.
    pub async fn announce(&mut self, flow: Flow, trace: &Trace) -> Result<(), OpenError> {
        let Self::Listening(listener) = self else {
            return Ok(());
        };
        listener.announce(flow);
        let Err(source) = listener.settle().await else {
            return Ok(());
        };
        let at = listener.local_addr();
        let error = listener_error(at, source);
        trace.record(|| What::DataFailed {
            opener: trace.opener(true),
            at,
            reason: error.to_string(),
        });
        Err(error)
    }

    /// Gives back a port that was not used: whether nobody had come to it, neither the peer nor a stranger.
    pub async fn is_unused(self, guard: &Guard) -> bool {
        let Self::Listening(mut listener) = self else {
            return false;
        };
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = std::future::ready(()) => return true,
        };
        if let Ok(conn) = accepted {
            let peer = conn.peer_addr();
            if !guard.admits(peer.ip()) {
                tracing::warn!(%peer, at = %listener.local_addr(), "stranger at the data port: dropped");
            }
            conn.abort();
        }
        false
    }

    /// Where we listen, if we do.
    pub fn listening_at(&self) -> Option<SocketAddr> {
        match self {
            Self::Listening(listener) => Some(listener.local_addr()),
            Self::Target { .. } => None,
        }
    }
}

impl fmt::Debug for DataPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listening(listener) => {
                write!(f, "DataPort::Listening({})", listener.local_addr())
            }
            Self::Target { source, to } => write!(f, "DataPort::Target({source:?} -> {to})"),
        }
    }
}

/// An attempt whose end is not known. Who gives it up (another way was quicker, the server refused, ABOR) drops it, and
/// the trace must not be silent about that.
struct Unsettled<'a> {
    trace: Option<&'a Trace>,
    opener: Opener,
    at: SocketAddr,
}

impl<'a> Unsettled<'a> {
    fn new(trace: &'a Trace, opener: Opener, at: SocketAddr) -> Self {
        Self {
            trace: Some(trace),
            opener,
            at,
        }
    }
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        if let Some(trace) = self.trace {
            let (opener, at) = (self.opener, self.at);
            trace.record(|| What::DataFailed {
                opener,
                at,
                reason: GIVEN_UP.to_owned(),
            });
        }
    }
}

async fn wait_for(
    mut listener: Box<dyn Listener>,
    guard: &Guard,
    patience: Duration,
    trace: &Trace,
) -> Result<Conn, OpenError> {
    let at = listener.local_addr();
    let began = Instant::now();
    let mut strangers = Vec::new();
    let mut count = 0;
    // The peer's, but it has hung up already
    let mut hung_up = None;
    loop {
        let left = patience.saturating_sub(began.elapsed());
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = std::future::ready(()), if hung_up.is_some() => match hung_up.take() {
                Some(conn) => return Ok(conn),
                None => continue,
            },
            () = tokio::time::sleep(left) => {
                return Err(OpenError::NobodyCame {
                    at,
                    waited: began.elapsed(),
                    strangers,
                });
            }
        };
        let conn = match accepted {
            Ok(conn) => conn,
            // One peer was gone before it was served; the next one may be the right one.
            Err(e) if is_about_one_peer(&e) => continue,
            Err(source) => return Err(listener_error(at, source)),
        };
        let peer = conn.peer_addr();
        if guard.admits(peer.ip()) {
            if !conn.has_ended() {
                return Ok(conn);
            }
            // Perhaps an empty file, sent before we looked. But who hung up and called again means the later call: to
            // take the first one would be to confirm an upload of nothing.
            hung_up = Some(conn);
            continue;
        }
        conn.abort();
        trace.record(|| What::Stranger { peer });
        count += 1;
        if strangers.len() < STRANGERS_NAMED {
            tracing::warn!(%peer, %at, "stranger at the data port: dropped");
            strangers.push(peer);
        }
        if count >= STRANGERS_BORNE {
            tracing::warn!(%at, count, "too many strangers at the data port: closed");
            return Err(OpenError::NobodyCame {
                at,
                waited: began.elapsed(),
                strangers,
            });
        }
        tokio::task::coop::consume_budget().await;
    }
}

async fn connect(
    net: &dyn Net,
    source: Source,
    to: SocketAddr,
    patience: Duration,
) -> Result<Conn, OpenError> {
    let began = Instant::now();
    let error = match tokio::time::timeout(patience, net.connect(source, to)).await {
        Ok(Ok(conn)) => return Ok(conn),
        Ok(Err(error)) => error,
        Err(_elapsed) => {
            return Err(OpenError::Silent {
                to,
                waited: began.elapsed(),
            });
        }
    };
    Err(match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
            OpenError::Refused { to }
        }
        io::ErrorKind::TimedOut => OpenError::Silent {
            to,
            waited: began.elapsed(),
        },
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            OpenError::Unreachable { to, source: error }
        }
        _ => OpenError::Connect { to, source: error },
    })
}

fn listener_error(at: SocketAddr, source: io::Error) -> OpenError {
    let refusal = source.get_ref().and_then(|inner| inner.downcast_ref());
    match refusal.cloned() {
        Some(why) => OpenError::SharedPort { at, why },
        None => OpenError::Listener { at, source },
    }
}

fn is_about_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotConnected
            | io::ErrorKind::Interrupted
    )
}

/// Why there is no data connection. The text is meant for the 425 reply as well as for people: it says what was tried
/// and what was seen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// We listened and the peer did not come.
    #[error("nobody connected to {at} within {}{}", Seconds(*.waited), Strangers(.strangers))]
    NobodyCame {
        /// Where we listened.
        at: SocketAddr,
        /// For how long.
        waited: Duration,
        /// Who came and was not the peer of the control connection, at most the first 16.
        strangers: Vec<SocketAddr>,
    },
    /// The listening socket broke, or the process has no descriptor left.
    #[error("cannot accept at {at}: {source}")]
    Listener {
        /// Where we listened.
        at: SocketAddr,
        /// What `accept(2)` said.
        source: io::Error,
    },
    /// We shared the port with other sessions, and the data connection was refused to this one.
    #[error("{why}")]
    SharedPort {
        /// The port.
        at: SocketAddr,
        /// Why.
        why: Refusal,
    },
    /// The target answered with a reset: nobody listens there, or a firewall rejects.
    #[error("{to} refused the connection")]
    Refused {
        /// The target.
        to: SocketAddr,
    },
    /// The target did not answer at all: a firewall drops, or the address is wrong.
    #[error("no answer from {to} within {}", Seconds(*.waited))]
    Silent {
        /// The target.
        to: SocketAddr,
        /// How long we waited.
        waited: Duration,
    },
    /// A router or our own system says that there is no way to the target.
    #[error("{to} cannot be reached: {source}")]
    Unreachable {
        /// The target.
        to: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// It came from where the peer is, and could not show that it belongs to this control connection.
    #[error("the data connection from {} did not resume the TLS session of this control connection", .peer.ip())]
    NotResumed {
        /// Its other end.
        peer: SocketAddr,
    },
    /// It came, and there is no TLS on it.
    #[error("data connection from {}: {error}", .peer.ip())]
    Handshake {
        /// Its other end.
        peer: SocketAddr,
        /// Why.
        error: TlsError,
    },
    /// Anything else that `connect(2)` may say.
    #[error("cannot connect to {to}: {source}")]
    Connect {
        /// The target.
        to: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// `10 s`, `1.5 s`.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0.as_millis() + 50) / 100;
        if tenths.is_multiple_of(10) {
            write!(f, "{} s", tenths / 10)
        } else {
            write!(f, "{}.{} s", tenths / 10, tenths % 10)
        }
    }
}

struct Strangers<'a>(&'a [SocketAddr]);

impl fmt::Display for Strangers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, rest)) = self.0.split_first() else {
            return Ok(());
        };
        write!(f, "; a stranger did and was dropped: {}", first.ip())?;
        if !rest.is_empty() {
            write!(f, " and {} more", rest.len())?;
        }
        Ok(())
    }
}

/// A data connection.
///
/// Only [`close`](Self::close), or having read the peer's end of file, makes a clean end (FIN). In any other state the
/// connection is reset when it is dropped, or when this process dies: in stream mode the end of the connection *is* the
/// end of the file (RFC 959 §3.4.1), so a transfer that was given up half-way must not look finished.
pub struct DataConnection {
    conn: Conn,
    ended: bool,
    broken: bool,
    /// An end without close_notify is read as an end
    takes_cut: bool,
    /// and was
    cut: bool,
    bytes: AtomicU64,
    throttle: Option<Throttle>,
    trace: Trace,
}

impl DataConnection {
    /// Takes a connection that has been judged already.
    pub fn new(conn: Conn) -> Self {
        Self::traced(conn, Trace::off())
    }

    fn traced(conn: Conn, trace: Trace) -> Self {
        conn.reset_on_close(true);
        Self {
            conn,
            ended: false,
            broken: false,
            takes_cut: false,
            cut: false,
            bytes: AtomicU64::new(0),
            throttle: None,
            trace,
        }
    }

    /// From now on it reads and writes no faster than `limit` allows, together with everybody else who has it.
    pub fn limit(&mut self, limit: RateLimit) {
        self.throttle = Some(Throttle::new(limit));
    }

    /// Bytes that have gone through it, in both directions.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts what `sendfile` moves.
    pub(crate) fn count(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn end(&mut self) {
        self.ended = true;
        self.conn.reset_on_close(false);
    }

    /// Protects it (PROT P). Whether the control connection's session was resumed is in the answer; what to make of one that
    /// was not is the caller's affair.
    ///
    /// From then on a clean end is a close_notify, and reading an end without one fails with `UnexpectedEof`: somebody may
    /// have cut the file.
    ///
    /// # Errors
    /// [`TlsError`]; the connection is gone.
    pub async fn secure(
        &mut self,
        session: &TlsSession,
        patience: Duration,
    ) -> Result<Handshake, TlsError> {
        let began = Instant::now();
        let secured = session.secure_data(self.conn.take(), patience).await;
        let shaken = secured.and_then(|conn| {
            self.conn = conn;
            self.conn.handshake().ok_or(TlsError::Injected)
        });
        self.trace.tls(TlsOn::Data, began, shaken.as_ref());
        self.broken |= shaken.is_err();
        shaken
    }

    /// Whether it is in TLS.
    pub fn is_secured(&self) -> bool {
        self.conn.is_secured()
    }

    /// What the handshake came to; `None` in clear.
    pub fn handshake(&self) -> Option<Handshake> {
        self.conn.handshake()
    }

    /// From now on an end without close_notify reads like any end, so that all of what came before is had;
    /// [`was_cut`](Self::was_cut) tells that it was one. A reset stays an error.
    pub fn take_cut_for_end(&mut self) {
        self.takes_cut = true;
    }

    /// Whether the end that was read came without close_notify: somebody on the way may have cut the file.
    pub fn was_cut(&self) -> bool {
        self.cut
    }

    /// Our end.
    pub fn local_addr(&self) -> SocketAddr {
        self.conn.local_addr()
    }

    /// The peer's end.
    pub fn peer_addr(&self) -> SocketAddr {
        self.conn.peer_addr()
    }

    /// Why the connection does not come from the port that was wanted, if it does not.
    pub fn source_note(&self) -> Option<&SourceNote> {
        self.conn.source_note()
    }

    /// Whether the peer has ended it, with nothing left to read. Never a guess: `false` where that cannot be seen.
    pub fn has_ended(&self) -> bool {
        self.conn.has_ended()
    }

    /// Whether the peer has said something that nobody has read yet. Never a guess: `false` where that cannot be seen.
    pub fn has_heard(&self) -> bool {
        self.conn.heard() == Heard::Bytes
    }

    /// Whether it has been reset. Never a guess: `false` where that cannot be seen.
    pub fn is_reset(&self) -> bool {
        self.conn.is_reset()
    }

    /// The TCP socket, when nothing lies between it and the bytes, a limit of the rate included.
    pub fn as_tcp(&self) -> Option<&TcpStream> {
        match self.throttle {
            None => self.conn.as_tcp(),
            Some(_) => None,
        }
    }

    /// Clean end: what was written is flushed and followed by a FIN. Does not wait for the peer to read it.
    ///
    /// # Errors
    /// The connection was broken before; the peer may lack bytes. Never an error after the peer's end of file.
    pub async fn close(mut self) -> io::Result<()> {
        if self.ended {
            if self.conn.is_secured() {
                // There are clients that wait for our close_notify after an upload (Python's ftplib).
                let _ = self.conn.shutdown().await;
            }
            return Ok(());
        }
        self.conn.shutdown().await?;
        self.end();
        Ok(())
    }

    /// Ends with a reset, so that the peer cannot take what it has for the whole.
    pub fn abort(mut self) {
        self.ended = false;
        // The rest is done by dropping.
    }
}

impl fmt::Debug for DataConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "DataConnection({} - {})",
            self.local_addr(),
            self.peer_addr()
        )
    }
}

impl Drop for DataConnection {
    fn drop(&mut self) {
        if !self.ended {
            self.conn.reset();
        }
        self.trace.record(|| What::DataClosed {
            bytes: self.bytes(),
            end: match (self.ended, self.broken) {
                (true, _) => DataEnd::Clean,
                (false, true) => DataEnd::Broken,
                (false, false) => DataEnd::Aborted,
            },
        });
    }
}
