//! The server-PI's end of a control connection: lines in, replies out.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;
use wharf_proto::trace::{Side, TlsOn, TlsStep, What};
use wharf_proto::{Line, LineDecoder, Reply, ReplyClass};

use super::keepalive::{self, Keepalive};
use super::outbox::{Farewell, Outbox, READ_SIZE, part, read, redacted};
use crate::conn::Conn;
use crate::tcp::prepare_control;
use crate::tls::{Handshake, Parting, ServerSession, TlsError};
use crate::trace::Trace;

/// Replies to a pipelined burst are collected up to here before they are written.
const BURST: usize = 16 * 1024;

/// After the reply to CCC the user has so long to end TLS by itself, before we do: a round trip to anywhere.
const COURTESY: Duration = Duration::from_secs(1);

/// A control connection as the server-PI sees it. One owner, no locks.
pub struct ServerControl {
    conn: Conn,
    decoder: LineDecoder,
    out: Outbox,
    keepalive: Keepalive,
    end: Farewell,
}

impl ServerControl {
    /// `line_limit`: bytes that a command line may have; a longer one is skipped and told as [`Line::TooLong`].
    pub fn new(conn: Conn, line_limit: usize, trace: impl Into<Trace>) -> Self {
        let trace = trace.into().on_side(Side::Server);
        prepare_control(&conn);
        let keepalive = Keepalive::new(keepalive::USUAL);
        keepalive.apply(&conn);
        let (local, peer) = (conn.local_addr(), conn.peer_addr());
        trace.record(|| What::Connected {
            side: Side::Server,
            local,
            peer,
        });
        Self {
            conn,
            decoder: LineDecoder::new(line_limit),
            out: Outbox::new(),
            keepalive,
            end: Farewell::new(trace),
        }
    }

    /// How long the peer may leave our replies unread before [`next_line`](Self::next_line) and
    /// [`send`](Self::send) fail with `TimedOut`. 60 s unless set.
    pub fn set_write_patience(&mut self, patience: Duration) {
        self.out.set_patience(patience);
    }

    /// How long the connection is silent before it is probed (TCP keepalive), so that no NAT on the way forgets it.
    /// 30 s unless set; zero is never.
    pub fn set_keepalive(&mut self, interval: Duration) {
        self.keepalive.set(&self.conn, interval);
    }

    /// While a transfer runs nothing is said here, and the peer waits for the final reply. Warm, the connection is probed every
    /// two seconds (or as often as is set, where that is more): there are NATs that forget in seconds.
    pub fn keep_warm(&mut self, warm: bool) {
        self.keepalive.warm(&self.conn, warm);
    }

    /// The next line, or `None` when the peer has ended the connection. Before it waits for the peer it writes what
    /// is still to be written. Cancel-safe: neither bytes nor lines are lost when the future is dropped.
    ///
    /// # Errors
    /// The connection broke, or the peer does not read its replies.
    pub async fn next_line(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(line) = self.decoder.next() {
                self.end.trace.record(|| describe(&line));
                return Ok(Some(line));
            }
            self.out.push(&self.decoder.take_answers());
            self.flush().await?;
            let mut buffer = [0; READ_SIZE];
            let room = self.decoder.room().min(READ_SIZE);
            let into = buffer.get_mut(..room).unwrap_or_default();
            let n = self.end.note(read(&mut self.conn, into).await)?;
            let Some(bytes) = into.get(..n).filter(|bytes| !bytes.is_empty()) else {
                self.end.peer_ended();
                return Ok(None);
            };
            self.decoder.push(bytes);
        }
    }

    /// Whether a complete line waits already: [`next_line`](Self::next_line) would return at once.
    pub fn has_line(&mut self) -> bool {
        self.decoder.has_line()
    }

    /// Sends a reply. The final replies to a pipelined burst are collected and written together once no complete line
    /// waits any more; a preliminary reply (1yz) is written at once, because a transfer follows.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub async fn send(&mut self, reply: &Reply) -> io::Result<()> {
        self.queue(reply);
        let more_to_come = self.decoder.has_line() && reply.class() != ReplyClass::Preliminary;
        if more_to_come && self.out.len() < BURST {
            return Ok(());
        }
        self.flush().await
    }

    /// Puts a reply behind those that wait to be written. The next [`flush`](Self::flush), [`send`](Self::send) or
    /// [`next_line`](Self::next_line) writes it.
    pub fn queue(&mut self, reply: &Reply) {
        reply.encode(self.out.end());
        self.end.trace.record(|| What::reply(reply));
    }

    /// Writes everything that waits. Cancel-safe.
    ///
    /// # Errors
    /// The connection broke, or the peer does not read (`TimedOut`).
    pub async fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush(&mut self.conn).await;
        self.end.note(flushed)
    }

    /// Our end: the address that the user has reached (after the last NAT before us).
    pub fn local_addr(&self) -> SocketAddr {
        self.conn.local_addr()
    }

    /// Where our socket is on this host. Not what the user has reached when a balancer stands before us.
    pub fn bound_addr(&self) -> SocketAddr {
        self.conn.bound_addr()
    }

    /// The user's end, as it is seen from here.
    pub fn peer_addr(&self) -> SocketAddr {
        self.conn.peer_addr()
    }

    /// The session's trace, for events of its data connections.
    pub fn trace(&self) -> &Trace {
        &self.end.trace
    }

    /// Writes what waits and ends the connection so that the user still gets the last reply.
    ///
    /// # Errors
    /// The connection broke first.
    pub async fn close(mut self) -> io::Result<()> {
        self.flush().await?;
        part(self.conn).await
    }

    /// Goes on in TLS, from the next byte on (RFC 4217 §4). What waits to be written goes out first, in clear.
    ///
    /// # Errors
    /// [`TlsError::Injected`] when the user has sent more than the line that was read last: nothing that came in clear may
    /// be taken for protected. Others of [`TlsError`]. After any of them the connection is of no use.
    pub async fn secure(
        &mut self,
        session: &ServerSession,
        patience: Duration,
    ) -> Result<Handshake, TlsError> {
        self.flush().await.map_err(TlsError::Handshake)?;
        let began = Instant::now();
        let shaken = self.shake(session, patience).await;
        self.end.trace.tls(TlsOn::Control, began, shaken.as_ref());
        shaken
    }

    async fn shake(
        &mut self,
        session: &ServerSession,
        patience: Duration,
    ) -> Result<Handshake, TlsError> {
        if !self.decoder.is_empty() {
            return Err(TlsError::Injected);
        }
        self.conn = session.secure_control(self.conn.take(), patience).await?;
        self.conn.handshake().ok_or(TlsError::Injected)
    }

    /// Goes on in clear (CCC, RFC 4217 §12.3), which is for the sake of NATs that must read along. A user may take `patience`
    /// to end TLS, or say its next command without having done so (curl).
    ///
    /// # Errors
    /// `InvalidData` when the user has sent more in TLS after the line that was read last; others when it does not end TLS.
    /// After any of them the connection is of no use.
    pub async fn unsecure(&mut self, patience: Duration) -> io::Result<()> {
        self.flush().await?;
        if !self.decoder.is_empty() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let parting = Parting {
            courtesy: COURTESY,
            patience,
            peer_speaks_first: true,
            silence_is_an_end: false,
        };
        let parted = self.conn.take().part_from_tls(parting).await;
        let (conn, first) = self.end.note(parted)?;
        self.conn = conn;
        self.decoder.push(first.as_slice());
        self.end.trace.record(|| What::Tls {
            on: TlsOn::Control,
            step: TlsStep::Cleared,
        });
        Ok(())
    }

    /// What the TLS handshake came to; `None` in clear.
    pub fn handshake(&self) -> Option<Handshake> {
        self.conn.handshake()
    }

    /// Whether it is in TLS.
    pub fn is_secured(&self) -> bool {
        self.conn.is_secured()
    }
}

fn describe(line: &Line) -> What {
    match line {
        Line::Command(bytes) => What::Command(redacted(bytes).into_bytes()),
        Line::TooLong => What::Note("line too long: skipped".to_owned()),
        Line::Synch => What::Note("telnet synch".to_owned()),
    }
}
