//! The data connection that is identified by the TLS session it resumes.
//!
//! In clear a data connection is known by its address alone. In TLS whoever comes is shaken hands with, several side by
//! side, and the one that resumes the control connection's session is the peer's, whatever address it has: it alone knows
//! the secret in the ticket. A stranger who holds a connection without a word blocks nobody, and whoever shows a ticket of
//! another session, or one that was sniffed, does not get through the handshake.

use std::collections::VecDeque;
use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use wharf_proto::data_connection::guard::Guard;
use wharf_proto::trace::{TlsOn, What};

use super::{
    DataConnection, DataPort, OpenError, STRANGERS_BORNE, STRANGERS_NAMED, Unsettled,
    is_about_one_peer, listener_error,
};
use crate::conn::Conn;
use crate::net::{Listener, Net};
use crate::tls::{DataSession, Handshake, TlsError, TlsSession};
use crate::trace::Trace;

/// Handshakes at once. When one more comes, the oldest is given up, strangers' first.
const AT_ONCE: usize = 16;

/// For so long the right one may take after one of the peer's address has failed: curl and lftp begin the handshake only
/// when they have heard the 150, which whoever wants to be quicker need not wait for.
const GRACE: Duration = Duration::from_secs(2);

/// The same while another one of the peer's address is in its handshake.
const GRACE_SHAKING: Duration = Duration::from_secs(5);

/// So many that came from the peer's address and are refused are parted with in peace.
const FAREWELLS: usize = 4;

/// For so long, and so many bytes, one of them may go on sending.
const FAREWELL: Duration = Duration::from_secs(5);
const FAREWELL_BYTES: usize = 64 * 1024 * 1024;

/// For so long, under [`DataSession::Prefer`], one that did not resume waits for one that does.
const PREFERENCE: Duration = Duration::from_millis(250);

impl DataPort {
    /// As [`open_traced`](Self::open_traced), and the connection is in TLS.
    ///
    /// While listening, everybody who comes is shaken hands with, at most 16 at a time; the first who resumes `session`
    /// is taken, from whatever address. Who does not is turned away, but under [`DataSession::Prefer`] and
    /// [`DataSession::Off`] it is taken if `guard` admits it. In the user's role `guard` is asked before the
    /// handshake: a server's data connections come from where the server is.
    ///
    /// A target is connected to and shaken hands with at once. A server that must say 150 in between uses `open_traced`
    /// and [`DataConnection::secure_as`].
    ///
    /// # Errors
    /// [`OpenError`]. [`OpenError::NotResumed`] and [`OpenError::Handshake`] when one that `guard` admits came and
    /// failed, and no better one came in the two seconds after it. Of several failures the worst is told: whoever ended the
    /// connection without a word (an empty upload, perhaps) comes last.
    pub async fn open_secured(
        self,
        net: &dyn Net,
        guard: &Guard,
        patience: Duration,
        trace: &Trace,
        session: &TlsSession,
        policy: DataSession,
    ) -> Result<(DataConnection, Handshake), OpenError> {
        let listener = match self {
            Self::Listening(listener) => listener,
            Self::Target { .. } => {
                let mut data = self.open_traced(net, guard, patience, trace).await?;
                let handshake = data.secure_as(session, policy, patience).await?;
                return Ok((data, handshake));
            }
        };
        let (opener, at) = (trace.opener(true), listener.local_addr());
        trace.record(|| What::DataAwaited { opener, at });
        let mut unsettled = Unsettled::new(trace, opener, at);
        let mut lobby = Lobby {
            at,
            guard,
            trace,
            session,
            policy,
            began: Instant::now(),
            patience,
            shaking: JoinSet::new(),
            present: VecDeque::new(),
            strangers: Vec::new(),
            turned_away: 0,
            parted: 0,
            failed: None,
            second_best: None,
            taken: None,
        };
        let opened = lobby.wait(listener).await;
        unsettled.trace = None;
        match opened {
            Ok(conn) => {
                let (local, peer) = (conn.local_addr(), conn.peer_addr());
                trace.record(|| What::DataOpened {
                    opener,
                    local,
                    peer,
                });
                let data = DataConnection::traced(conn, trace.clone());
                let handshake = data.conn.handshake();
                let handshake = handshake.ok_or(OpenError::Handshake {
                    peer,
                    error: TlsError::Injected,
                })?;
                let began = lobby.taken.unwrap_or_else(Instant::now);
                trace.tls(TlsOn::Data, began, Ok(&handshake));
                Ok((data, handshake))
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
}

impl DataConnection {
    /// As [`secure`](Self::secure), and judges whether the control connection's session was resumed.
    ///
    /// # Errors
    /// [`OpenError::Handshake`], and under [`DataSession::Require`] [`OpenError::NotResumed`]; the connection is of no use.
    pub async fn secure_as(
        &mut self,
        session: &TlsSession,
        policy: DataSession,
        patience: Duration,
    ) -> Result<Handshake, OpenError> {
        let peer = self.peer_addr();
        let handshake = self.secure(session, patience).await;
        let handshake = handshake.map_err(|error| OpenError::Handshake { peer, error })?;
        if policy == DataSession::Require && !handshake.resumed {
            tokio::spawn(part(Conn::take(&mut self.conn)));
            return Err(OpenError::NotResumed { peer });
        }
        Ok(handshake)
    }
}

/// Whoever came to one listener, until one of them is taken
struct Lobby<'a> {
    at: SocketAddr,
    guard: &'a Guard,
    trace: &'a Trace,
    session: &'a TlsSession,
    policy: DataSession,
    began: Instant,
    patience: Duration,
    shaking: JoinSet<Shaken>,
    /// Those in `shaking`, the oldest first
    present: VecDeque<Present>,
    /// Who came from elsewhere and could not show the session, at most the first ones
    strangers: Vec<SocketAddr>,
    turned_away: usize,
    /// Who came from the peer's address, was refused, and may read why on the control connection
    parted: usize,
    /// The peer's address failed like this first, and worst
    failed: Option<(Instant, OpenError)>,
    /// [`DataSession::Prefer`]: did not resume, and is taken if nobody does
    second_best: Option<(Instant, Conn)>,
    /// When the handshake began of the connection that is, or would be, taken
    taken: Option<Instant>,
}

struct Present {
    peer: SocketAddr,
    admitted: bool,
    began: Instant,
    task: AbortHandle,
}

/// How one handshake ended
struct Shaken {
    peer: SocketAddr,
    outcome: Result<Conn, TlsError>,
}

enum Next {
    Came(std::io::Result<Conn>),
    Shaken(Box<Shaken>),
    Time,
}

impl Lobby<'_> {
    async fn wait(&mut self, mut listener: Box<dyn Listener>) -> Result<Conn, OpenError> {
        loop {
            let until = self.until();
            let next = tokio::select! {
                biased;
                accepted = listener.accept() => Next::Came(accepted),
                shaken = shaken(&mut self.shaking) => Next::Shaken(Box::new(shaken)),
                () = sleep_until(until) => Next::Time,
            };
            match next {
                Next::Came(Ok(conn)) => self.welcome(conn),
                // One peer was gone before it was served; the next one may be the right one.
                Next::Came(Err(error)) if is_about_one_peer(&error) => {}
                Next::Came(Err(source)) => {
                    return Err(
                        match (listener_error(self.at, source), self.failed.take()) {
                            (OpenError::Listener { .. }, Some((_, failed))) => failed,
                            (error, _) => error,
                        },
                    );
                }
                Next::Shaken(shaken) => {
                    if let Some(conn) = self.judge(*shaken) {
                        return Ok(conn);
                    }
                }
                Next::Time => return self.give_up(),
            }
            if self.turned_away >= STRANGERS_BORNE {
                tracing::warn!(at = %self.at, count = self.turned_away, "too many strangers at the data port: closed");
                return self.give_up();
            }
            tokio::task::coop::consume_budget().await;
        }
    }

    /// When the wait is over as things are
    fn until(&self) -> Instant {
        let end = self.began + self.patience;
        if let Some((since, _)) = &self.second_best {
            let wait = if self.present.is_empty() {
                Duration::ZERO
            } else {
                PREFERENCE
            };
            return end.min(*since + wait);
        }
        let Some((since, _)) = &self.failed else {
            return end;
        };
        let shaking = self.present.iter().any(|it| it.admitted);
        let grace = if shaking { GRACE_SHAKING } else { GRACE };
        end.min(*since + grace)
    }

    fn welcome(&mut self, conn: Conn) {
        let peer = conn.peer_addr();
        let admitted = self.guard.admits(peer.ip());
        let by_address = matches!(self.session, TlsSession::User(_));
        if !admitted && (by_address || !self.make_room(false)) {
            conn.abort();
            self.turn_away(peer);
            return;
        }
        self.make_room(admitted);
        // Whoever is given up sees that it is no end of a file.
        conn.reset_on_close(true);
        let session = self.session.clone();
        let left = self.patience.saturating_sub(self.began.elapsed());
        let task = self.shaking.spawn(async move {
            let outcome = session.secure_data(conn, left).await;
            Shaken { peer, outcome }
        });
        self.present.push_back(Present {
            peer,
            admitted,
            began: Instant::now(),
            task,
        });
    }

    /// Whether there is room for one more: the oldest of the strangers gives it, and for the peer's own address the oldest
    /// of all if there is no stranger
    fn make_room(&mut self, for_peer: bool) -> bool {
        if self.present.len() < AT_ONCE {
            return true;
        }
        let oldest = self.present.iter().position(|it| !it.admitted);
        let Some(oldest) = oldest.or(for_peer.then_some(0)) else {
            return false;
        };
        if let Some(present) = self.present.remove(oldest) {
            present.task.abort();
            self.turn_away(present.peer);
        }
        true
    }

    /// The connection, if it is to be taken now
    fn judge(&mut self, shaken: Shaken) -> Option<Conn> {
        let Shaken { peer, outcome } = shaken;
        let present = self.present.iter().find(|it| it.peer == peer);
        let began = present.map_or_else(Instant::now, |it| it.began);
        self.present.retain(|it| it.peer != peer);
        if outcome.is_ok() {
            self.taken = Some(began);
        }
        let admitted = self.guard.admits(peer.ip());
        let error = match outcome {
            Ok(conn) if conn.handshake().is_some_and(|it| it.resumed) => {
                if let Some((_, other)) = self.second_best.take() {
                    other.abort();
                }
                return Some(conn);
            }
            Ok(conn) if admitted && self.policy == DataSession::Off => return Some(conn),
            Ok(conn) if admitted && self.policy == DataSession::Prefer => {
                self.second_best.get_or_insert((Instant::now(), conn));
                return None;
            }
            Ok(conn) => {
                if admitted && self.parted < FAREWELLS {
                    self.parted += 1;
                    tokio::spawn(part(conn));
                } else {
                    conn.abort();
                }
                OpenError::NotResumed { peer }
            }
            Err(error) => OpenError::Handshake { peer, error },
        };
        if !admitted {
            self.turn_away(peer);
            return None;
        }
        self.turned_away += 1;
        tracing::warn!(%peer, at = %self.at, "{error}");
        match &error {
            OpenError::Handshake { error, .. } => self.trace.tls(TlsOn::Data, began, Err(error)),
            error => self.trace.record(|| What::Note(error.to_string())),
        }
        match &mut self.failed {
            Some((_, worst)) if badness(&error) > badness(worst) => *worst = error,
            Some(_) => {}
            None => self.failed = Some((Instant::now(), error)),
        }
        None
    }

    fn turn_away(&mut self, peer: SocketAddr) {
        self.turned_away += 1;
        self.trace.record(|| What::Stranger { peer });
        if self.strangers.len() < STRANGERS_NAMED {
            tracing::warn!(%peer, at = %self.at, "stranger at the data port: dropped");
            self.strangers.push(peer);
        }
    }

    fn give_up(&mut self) -> Result<Conn, OpenError> {
        if let Some((_, conn)) = self.second_best.take() {
            return Ok(conn);
        }
        if let Some((_, failed)) = self.failed.take() {
            return Err(failed);
        }
        if let Some(silent) = self.present.iter().find(|it| it.admitted) {
            return Err(OpenError::Handshake {
                peer: silent.peer,
                error: TlsError::Silent(self.patience.as_secs()),
            });
        }
        Err(OpenError::NobodyCame {
            at: self.at,
            waited: self.began.elapsed(),
            strangers: std::mem::take(&mut self.strangers),
        })
    }
}

/// Of several failures one is told
fn badness(error: &OpenError) -> u8 {
    match error {
        OpenError::NotResumed { .. } => 2,
        OpenError::Handshake { error, .. } if !error.is_end() => 1,
        _ => 0,
    }
}

/// Ends a connection that is refused so that its peer finds out by the reply, not by a reset: curl gives up reading replies
/// when its data connection is reset. It got no byte of the file, and what it sends is thrown away.
async fn part(mut conn: Conn) {
    let parting = async {
        conn.shutdown().await?;
        let mut thrown_away = 0;
        let mut buffer = vec![0; 16 * 1024];
        while thrown_away < FAREWELL_BYTES {
            match conn.read(&mut buffer).await? {
                0 => break,
                read => thrown_away += read,
            }
        }
        std::io::Result::Ok(())
    };
    // However it ends, it has ended.
    let _ = tokio::time::timeout(FAREWELL, parting).await;
    conn.abort();
}

/// The next handshake to end; never, when there is none
async fn shaken(shaking: &mut JoinSet<Shaken>) -> Shaken {
    loop {
        match shaking.join_next().await {
            Some(Ok(shaken)) => return shaken,
            // Given up
            Some(Err(_)) => {}
            None => pending().await,
        }
    }
}
