//! A connection inside TLS, which is a [`Conn`] inside a stream of records inside a [`Conn`].

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustls::CommonState;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsStream;

use crate::conn::Conn;

/// A record's head: type, version, length (RFC 8446 §5.1).
const HEAD: usize = 5;

/// The type of a record of application data, which in TLS 1.3 is that of everything protected (RFC 8446 §5.2).
const PROTECTED: u8 = 23;

/// So much is held back: tickets take a few hundred bytes.
const HELD: usize = 16 * 1024;

/// The types of records (RFC 8446 §5.1); no command and no reply begins with one of these bytes.
const KINDS: std::ops::RangeInclusive<u8> = 20..=24;

/// TLS over a connection.
pub(crate) struct Secured {
    stream: TlsStream<Gate>,
}

impl Secured {
    pub(super) fn new(stream: TlsStream<Gate>) -> Self {
        Self { stream }
    }

    /// What carries the records.
    pub(crate) fn below(&self) -> &Conn {
        &self.stream.get_ref().0.conn
    }

    /// What carries the records.
    pub(crate) fn below_mut(&mut self) -> &mut Conn {
        &mut self.stream.get_mut().0.conn
    }

    /// What the handshake came to.
    pub(crate) fn state(&self) -> &CommonState {
        self.stream.get_ref().1
    }

    /// Ends TLS on both sides and gives back what carried it, with the first byte that the peer has sent in clear instead of
    /// its own end (CCC). Nothing that it sends in clear after its close_notify has been read, which only a gated connection
    /// can promise.
    pub(crate) async fn into_clear(mut self, parting: Parting) -> io::Result<(Conn, Option<u8>)> {
        // Not `shutdown`: that would end the connection below as well.
        let (gate, _) = self.stream.get_mut();
        if !gate.gated {
            return Err(io::ErrorKind::Unsupported.into());
        }
        gate.parting = true;
        let mut rest = [0; 1];
        let mut ended = tokio::time::timeout(parting.courtesy, self.stream.read(&mut rest)).await;
        let (gate, state) = self.stream.get_mut();
        if gate.in_clear.is_none() {
            state.send_close_notify();
            self.stream.flush().await?;
        }
        if ended.is_err() {
            ended = tokio::time::timeout(parting.patience, self.stream.read(&mut rest)).await;
        }
        let gate = match self.stream {
            TlsStream::Client(stream) => stream.into_inner().0,
            TlsStream::Server(stream) => stream.into_inner().0,
        };
        match (ended, gate.in_clear) {
            (_, Some(byte)) if parting.peer_speaks_first => Ok((gate.conn, Some(byte))),
            // What nobody has asked for, or what still came inside: nobody knows what it would be taken for.
            (_, Some(_)) | (Ok(Ok(1..)), None) => Err(io::ErrorKind::InvalidData.into()),
            (Ok(Ok(0)), None) => Ok((gate.conn, None)),
            (Ok(Err(error)), None) => Err(error),
            (Err(_), None) if parting.silence_is_an_end && gate.between_records() => {
                Ok((gate.conn, None))
            }
            (Err(_), None) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// How a peer may end TLS where the connection goes on. All say close_notify, but for some.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parting {
    /// For so long it is left to the peer to say close_notify first; zero is not at all. There are users that take one that
    /// arrives together with the reply for the end of the connection (lftp 4.9.2), and others that wait for ours (curl 7.88).
    pub(crate) courtesy: Duration,
    /// For so long it may take after our own.
    pub(crate) patience: Duration,
    /// It may go on in clear without a word (curl does).
    pub(crate) peer_speaks_first: bool,
    /// It may say nothing until it is spoken to.
    pub(crate) silence_is_an_end: bool,
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Hands the TLS library bytes of the connection below; gated, never more than the rest of one record, so that what
/// follows the last record stays in the connection.
pub(crate) struct Gate {
    conn: Conn,
    gated: bool,
    /// TLS ends, not the connection: shutting down leaves it, and what does not begin like a record is not TLS any more
    parting: bool,
    /// That one's first byte
    in_clear: Option<u8>,
    hold: Hold,
    head: [u8; HEAD],
    have: usize,
    /// Of the record whose head was read
    left: usize,
}

impl Gate {
    /// `gated`: TLS may end before the connection does (control connections, CCC). It costs a second read a record.
    pub(super) fn new(conn: Conn, gated: bool) -> Self {
        Self {
            conn,
            gated,
            parting: false,
            in_clear: None,
            hold: Hold::No,
            head: [0; HEAD],
            have: 0,
            left: 0,
        }
    }
}

/// Whether what the server writes after the handshake waits for the end, see [`Gate::holding_tickets`]
enum Hold {
    No,
    /// Until the user has protected something for the first time: its Finished in TLS 1.3
    Handshake,
    /// This waits
    Held(Vec<u8>),
}

impl Gate {
    /// Nothing of a record has been read whose rest is still to come.
    fn between_records(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// What is written after the handshake waits until TLS is ended. For the server's side of an upload: there it is
    /// nothing but tickets (TLS 1.3), and there are clients that do not read while they send (lftp 4.9.2). They close
    /// the connection with the tickets unread, at which the kernel throws away what they have not sent yet.
    pub(super) fn holding_tickets(mut self) -> Self {
        self.hold = Hold::Handshake;
        self
    }

    /// What carries the records, after a handshake that failed.
    pub(super) fn into_conn(self) -> Conn {
        self.conn
    }

    fn poll_release(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Hold::Held(held) = &mut self.hold {
            while !held.is_empty() {
                match ready!(Pin::new(&mut self.conn).poll_write(cx, held))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    written => drop(held.drain(..written)),
                }
            }
            self.hold = Hold::No;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Gate {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.gated && !matches!(this.hold, Hold::Handshake) {
            return Pin::new(&mut this.conn).poll_read(cx, buf);
        }
        if this.in_clear.is_some() {
            return Poll::Ready(Ok(())); // the end, as far as TLS is concerned
        }
        let in_head = this.left == 0;
        if this.parting && this.between_records() && buf.remaining() > 0 {
            let mut first = [0];
            let mut part = ReadBuf::new(&mut first);
            ready!(Pin::new(&mut this.conn).poll_read(cx, &mut part))?;
            match part.filled() {
                [kind] if KINDS.contains(kind) => {
                    if let Some(head) = this.head.first_mut() {
                        *head = *kind;
                    }
                    this.have = 1;
                    buf.put_slice(&[*kind]);
                }
                [byte] => this.in_clear = Some(*byte),
                _ => {}
            }
            return Poll::Ready(Ok(()));
        }
        let wanted = if in_head {
            HEAD.saturating_sub(this.have)
        } else {
            this.left
        };
        let room = wanted.min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        ready!(Pin::new(&mut this.conn).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        if in_head {
            for (into, from) in this.head.iter_mut().skip(this.have).zip(part.filled()) {
                *into = *from;
            }
            this.have += read;
            if this.have == HEAD {
                let [kind, _, _, high, low] = this.head;
                if kind == PROTECTED && matches!(this.hold, Hold::Handshake) {
                    this.hold = Hold::Held(Vec::new());
                }
                this.left = usize::from(u16::from_be_bytes([high, low]));
                this.have = 0;
            }
        } else {
            this.left = this.left.saturating_sub(read);
        }
        buf.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Gate {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Hold::Held(held) = &mut this.hold {
            if held.len() + buf.len() <= HELD {
                held.extend_from_slice(buf);
                return Poll::Ready(Ok(buf.len()));
            }
            ready!(this.poll_release(cx))?;
        }
        Pin::new(&mut this.conn).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.conn).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_release(cx))?;
        if self.parting {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.conn).poll_shutdown(cx)
    }
}
