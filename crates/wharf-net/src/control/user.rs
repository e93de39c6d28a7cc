//! The user-PI's end of a control connection: commands out, replies in.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;
use wharf_proto::trace::{Side, TlsOn, TlsStep, What};
use wharf_proto::{Command, Reply, ReplyDecoder, ReplyError, ReplyLimits, Text};

use super::keepalive::{self, Keepalive};
use super::outbox::{Farewell, Outbox, READ_SIZE, part, read, redacted};
use crate::conn::Conn;
use crate::tcp::{prepare_control, send_urgent};
use crate::tls::{Handshake, Parting, TlsError, UserSession};
use crate::trace::Trace;

/// Telnet: interpret as command, interrupt process, data mark (RFC 854).
const IAC: u8 = 255;
const IP: u8 = 244;
const DM: u8 = 242;

/// A control connection as the user-PI sees it.
pub struct UserControl {
    conn: Conn,
    decoder: ReplyDecoder,
    out: Outbox,
    keepalive: Keepalive,
    end: Farewell,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The connection broke.
    #[error("control connection: {0}")]
    Io(#[from] io::Error),
    /// The server ended the connection.
    #[error("the server closed the control connection")]
    Closed,
    /// What the server sends is not a reply, or too much of one. The connection is of no use any more.
    #[error("not an FTP reply: {0}")]
    Reply(#[from] ReplyError),
}

impl UserControl {
    /// `limits`: what a reply may measure before the server is taken for something else.
    pub fn new(conn: Conn, limits: ReplyLimits, trace: impl Into<Trace>) -> Self {
        let trace = trace.into().on_side(Side::User);
        prepare_control(&conn);
        let keepalive = Keepalive::new(keepalive::USUAL);
        keepalive.apply(&conn);
        let (local, peer) = (conn.local_addr(), conn.peer_addr());
        trace.record(|| What::Connected {
            side: Side::User,
            local,
            peer,
        });
        Self {
            conn,
            decoder: ReplyDecoder::new(limits),
            out: Outbox::new(),
            keepalive,
            end: Farewell::new(trace),
        }
    }

    /// How long the server may leave our commands unread before sending fails with `TimedOut`. 60 s unless set.
    pub fn set_write_patience(&mut self, patience: Duration) {
        self.out.set_patience(patience);
    }

    /// How long the connection is silent before it is probed (TCP keepalive), so that no NAT on the way forgets it.
    /// 30 s unless set; zero is never.
    pub fn set_keepalive(&mut self, interval: Duration) {
        self.keepalive.set(&self.conn, interval);
    }

    /// While a transfer runs nothing is said here, and the final reply is still to come. Warm, the connection is probed every
    /// two seconds (or as often as is set, where that is more): there are NATs that forget in seconds.
    pub fn keep_warm(&mut self, warm: bool) {
        self.keepalive.warm(&self.conn, warm);
    }

    /// Middle lines of replies keep the code that some servers put before each of them: for whoever passes replies on.
    pub fn keep_replies_as_written(&mut self) {
        self.decoder.keep_as_written();
    }

    /// Sends a command. When the future is dropped half-way, the rest of the line goes out before whatever is sent or
    /// awaited next.
    ///
    /// # Errors
    /// The connection broke, or the server does not read (`TimedOut`).
    pub async fn send(&mut self, command: &Command) -> io::Result<()> {
        self.end
            .trace
            .record(|| What::Command(command.redacted().into_bytes()));
        self.out.push(&command.encode());
        self.flush().await
    }

    /// Sends a line of the person at the keyboard (`quote`), whatever it means.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_line(&mut self, line: &Text) -> io::Result<()> {
        self.end
            .trace
            .record(|| What::Command(redacted(line.as_bytes()).into_bytes()));
        for &byte in line.as_bytes() {
            self.out.push(if byte == IAC {
                &[IAC, IAC]
            } else {
                std::slice::from_ref(&byte)
            });
        }
        self.out.push(b"\r\n");
        self.flush().await
    }

    /// The next reply. Cancel-safe: a reply that has half arrived is not lost when the future is dropped.
    ///
    /// # Errors
    /// [`ControlError`]; none of them leaves a connection that can be used further.
    pub async fn next_reply(&mut self) -> Result<Reply, ControlError> {
        loop {
            if let Some(reply) = self.decoder.next()? {
                self.end.trace.record(|| What::reply(&reply));
                return Ok(reply);
            }
            self.out.push(&self.decoder.take_answers());
            self.flush().await?;
            let mut buffer = [0; READ_SIZE];
            let n = self.end.note(read(&mut self.conn, &mut buffer).await)?;
            match buffer.get(..n) {
                Some(bytes) if n > 0 => self.decoder.push(bytes),
                _ => {
                    self.end.peer_ended();
                    return Err(ControlError::Closed);
                }
            }
        }
    }

    /// Sends ABOR the way RFC 959 §4.1.3 wants it where that is possible: Telnet IP and Synch first, so that a server
    /// which is busy with the transfer looks at its control connection. Over anything but plain TCP just ABOR.
    ///
    /// The urgent byte is the IAC of the data mark, as BSD's ftp has always sent it: a server that takes urgent bytes
    /// out of the stream then sees `IAC IP DM ABOR` and not a bare IAC which would swallow the A.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_abort(&mut self) -> io::Result<()> {
        self.flush().await?;
        if let Some(stream) = self.conn.as_tcp() {
            send_urgent(stream, &[IAC, IP, IAC]).await?;
            self.out.push(&[DM]);
        }
        self.send(&Command::Abor).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush(&mut self.conn).await;
        self.end.note(flushed)
    }

    /// Our end: the address that a PORT command names when there is no NAT on the way.
    pub fn local_addr(&self) -> SocketAddr {
        self.conn.local_addr()
    }

    /// The server's end.
    pub fn peer_addr(&self) -> SocketAddr {
        self.conn.peer_addr()
    }

    /// The session's trace, for events of its data connections.
    pub fn trace(&self) -> &Trace {
        &self.end.trace
    }

    /// Ends the connection, after QUIT or without it.
    ///
    /// # Errors
    /// The connection broke first.
    pub async fn close(self) -> io::Result<()> {
        part(self.conn).await
    }

    /// Goes on in TLS, from the next byte on (RFC 4217 §4). What waits to be written goes out first, in clear.
    ///
    /// # Errors
    /// [`TlsError::Injected`] when the server has sent more than the reply that was read last: nothing that came in clear may
    /// be taken for protected. Others of [`TlsError`]. After any of them the connection is of no use.
    pub async fn secure(
        &mut self,
        session: &UserSession,
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
        session: &UserSession,
        patience: Duration,
    ) -> Result<Handshake, TlsError> {
        if !self.decoder.is_empty() {
            return Err(TlsError::Injected);
        }
        self.conn = session.secure_control(self.conn.take(), patience).await?;
        self.conn.handshake().ok_or(TlsError::Injected)
    }

    /// Goes on in clear (CCC, RFC 4217 §12.3), which is for the sake of NATs and firewalls that must read along. A server
    /// that does not say its close_notify within `patience` has ended TLS without it.
    ///
    /// # Errors
    /// `InvalidData` when the server has sent more after the reply that was read last, in TLS or in clear: nobody has asked
    /// for it, and it could be somebody else's. Others when the connection ends. After any of them it is of no use.
    pub async fn unsecure(&mut self, patience: Duration) -> io::Result<()> {
        self.flush().await?;
        if !self.decoder.is_empty() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let parting = Parting {
            courtesy: Duration::ZERO,
            patience,
            peer_speaks_first: false,
            silence_is_an_end: true,
        };
        let parted = self.conn.take().part_from_tls(parting).await;
        (self.conn, _) = self.end.note(parted)?;
        let mut early = [0];
        let early = std::future::poll_fn(|cx| {
            let mut early = ReadBuf::new(&mut early);
            let polled = Pin::new(&mut self.conn).poll_read(cx, &mut early);
            Poll::Ready(polled.is_ready() && !early.filled().is_empty())
        });
        if early.await {
            return Err(io::ErrorKind::InvalidData.into());
        }
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
