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

/// For so long the peer may take to answer our close_notify before we go on in clear.
const PARTING: Duration = Duration::from_secs(10);

/// So much may still come inside TLS after we have ended it.
const PARTING_BYTES: usize = 64 * 1024;

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

    /// Ends TLS on both sides and gives back what carried it (CCC). Nothing that the peer sends in clear after its
    /// close_notify has been read, which only a gated connection can promise.
    pub(crate) async fn into_clear(mut self) -> io::Result<Conn> {
        // Not `shutdown`: that would end the connection below as well.
        let (gate, state) = self.stream.get_mut();
        if !gate.gated {
            return Err(io::ErrorKind::Unsupported.into());
        }
        gate.open_only = true;
        state.send_close_notify();
        self.stream.flush().await?;
        let mut rest = [0; 1024];
        let mut read = 0;
        let ended = tokio::time::timeout(PARTING, async {
            loop {
                match self.stream.read(&mut rest).await? {
                    0 => return Ok(()),
                    n => read += n,
                }
                if read > PARTING_BYTES {
                    return Err(io::Error::from(io::ErrorKind::InvalidData));
                }
            }
        });
        ended.await.map_err(|_| io::ErrorKind::TimedOut)??;
        let gate = match self.stream {
            TlsStream::Client(stream) => stream.into_inner().0,
            TlsStream::Server(stream) => stream.into_inner().0,
        };
        Ok(gate.conn)
    }
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
    /// Shutting down ends TLS, not the connection
    open_only: bool,
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
            open_only: false,
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
    /// What is written after the handshake waits until TLS is ended. For the server's side of an upload: there it is
    /// nothing but tickets (TLS 1.3), and there are clients that do not read while they send (lftp 4.9.2). They close
    /// the connection with the tickets unread, at which the kernel throws away what they have not sent yet.
    pub(super) fn holding_tickets(mut self) -> Self {
        self.hold = Hold::Handshake;
        self
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
        let in_head = this.left == 0;
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
        if self.open_only {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.conn).poll_shutdown(cx)
    }
}
