//! One byte stream with two addresses: a TCP connection, or something foreign that behaves like one (the simulated
//! network), alone or below TLS.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::tls::{Parting, Secured};

mod beginning;
pub(crate) use beginning::Beginning;

/// For so long a peer may take to end TLS.
const PARTING: Duration = Duration::from_secs(10);

/// What a foreign connection must be able to do.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static> Stream for T {}

/// A connection. Dropping it closes it the way the system does (for TCP a FIN unless unread bytes remain);
/// [`abort`](Self::abort) makes sure that the peer cannot take the end for a clean one.
pub struct Conn {
    carrier: Carrier,
    /// Where the socket is, whatever a balancer in front of it tells
    bound: SocketAddr,
    local: SocketAddr,
    peer: SocketAddr,
    /// `local` is not this host's: its packet filter led the connection here
    intercepted: bool,
    /// In a box: it is rare
    note: Option<Box<SourceNote>>,
}

enum Carrier {
    Tcp(TcpStream),
    /// In a box: real connections are what there are many of.
    Foreign(Box<Foreign>),
    /// TLS over a connection of the other two kinds. In a box likewise
    Tls(Box<Secured>),
    /// Was taken away, to come back inside TLS or out of it
    Gone,
}

struct Foreign {
    stream: Box<dyn Stream>,
    reset: Option<Box<dyn FnOnce() + Send + Sync>>,
    keepalive: Option<Box<dyn Fn(Option<Duration>) + Send + Sync>>,
    look: Option<Box<dyn Fn() -> Heard + Send + Sync>>,
    peek: Option<Box<Peek>>,
}

/// Copies what has arrived, from its beginning, without taking it; how many bytes that were.
type Peek = dyn Fn(&mut [u8]) -> usize + Send + Sync;

/// What a connection's peer has done so far, found out without reading; see [`Conn::heard`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Heard {
    /// It is there and silent.
    Nothing,
    /// Bytes can be read; it may have ended after them.
    Bytes,
    /// It has ended the connection and left nothing to read.
    End,
}

impl Conn {
    /// A TCP connection.
    ///
    /// # Errors
    /// `NotConnected` when the peer is gone before its address could be read.
    pub fn tcp(stream: TcpStream) -> io::Result<Self> {
        let peer = stream.peer_addr()?;
        Self::accepted(stream, peer)
    }

    /// A TCP connection whose peer is known from `accept(2)`: a peer that has reset the connection already has no
    /// address any more, and yet it must be found out by reading that it came and went.
    pub(crate) fn accepted(stream: TcpStream, peer: SocketAddr) -> io::Result<Self> {
        let local = canonical(stream.local_addr()?);
        Ok(Self {
            carrier: Carrier::Tcp(stream),
            bound: local,
            local,
            peer: canonical(peer),
            intercepted: false,
            note: None,
        })
    }

    /// Any other stream, with the addresses that it stands for.
    pub fn foreign(stream: Box<dyn Stream>, local: SocketAddr, peer: SocketAddr) -> Self {
        Self {
            carrier: Carrier::Foreign(Box::new(Foreign {
                stream,
                reset: None,
                keepalive: None,
                look: None,
                peek: None,
            })),
            bound: canonical(local),
            local: canonical(local),
            peer: canonical(peer),
            intercepted: false,
            note: None,
        }
    }

    /// TLS over a connection, whose addresses and notes it keeps.
    pub(crate) fn secured(stream: Secured) -> Self {
        let below = stream.below();
        Self {
            bound: below.bound,
            local: below.local,
            peer: below.peer,
            intercepted: below.intercepted,
            note: below.note.clone(),
            carrier: Carrier::Tls(Box::new(stream)),
        }
    }

    /// The connection without its place, where one that is gone stays behind.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            carrier: std::mem::replace(&mut self.carrier, Carrier::Gone),
            bound: self.bound,
            local: self.local,
            peer: self.peer,
            intercepted: self.intercepted,
            note: self.note.clone(),
        }
    }

    /// Whether it is in TLS.
    pub fn is_secured(&self) -> bool {
        self.tls().is_some()
    }

    /// The TLS that it is in, if it is.
    pub(crate) fn tls(&self) -> Option<&Secured> {
        match &self.carrier {
            Carrier::Tls(stream) => Some(stream),
            _ => None,
        }
    }

    /// Ends TLS and goes on in clear (CCC, RFC 4217 §12.3); for control connections only.
    ///
    /// # Errors
    /// `Unsupported` when it is in clear or a data connection; `TimedOut`, `InvalidData` and others when the peer does not
    /// end TLS on its side within ten seconds.
    pub async fn into_clear(self) -> io::Result<Self> {
        let strict = Parting {
            courtesy: Duration::ZERO,
            patience: PARTING,
            peer_speaks_first: false,
            silence_is_an_end: false,
        };
        self.part_from_tls(strict).await.map(|(conn, _)| conn)
    }

    /// As [`into_clear`](Self::into_clear), with a peer that may do it in its own way. Gives back the first byte that it has
    /// sent in clear already.
    pub(crate) async fn part_from_tls(self, parting: Parting) -> io::Result<(Self, Option<u8>)> {
        match self.carrier {
            Carrier::Tls(stream) => stream.into_clear(parting).await,
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// What carries the bytes at the very bottom: socket options, resets and keepalive are its business.
    fn bottom(&self) -> &Carrier {
        match &self.carrier {
            Carrier::Tls(stream) => stream.below().bottom(),
            carrier => carrier,
        }
    }

    fn bottom_mut(&mut self) -> &mut Carrier {
        match &mut self.carrier {
            Carrier::Tls(stream) => stream.below_mut().bottom_mut(),
            carrier => carrier,
        }
    }

    /// For a foreign stream that can be reset: what [`abort`](Self::abort) does before the stream is dropped.
    #[must_use]
    pub fn on_abort(mut self, act: impl FnOnce() + Send + Sync + 'static) -> Self {
        if let Carrier::Foreign(foreign) = &mut self.carrier {
            foreign.reset = Some(Box::new(act));
        }
        self
    }

    /// For a foreign stream whose way forgets silent connections: is told at what interval TCP would probe it (`None`:
    /// not at all).
    #[must_use]
    pub fn on_keepalive(mut self, act: impl Fn(Option<Duration>) + Send + Sync + 'static) -> Self {
        if let Carrier::Foreign(foreign) = &mut self.carrier {
            foreign.keepalive = Some(Box::new(act));
        }
        self
    }

    /// For a foreign stream that can be looked into: what [`heard`](Self::heard) answers.
    #[must_use]
    pub fn on_look(mut self, tell: impl Fn() -> Heard + Send + Sync + 'static) -> Self {
        if let Carrier::Foreign(foreign) = &mut self.carrier {
            foreign.look = Some(Box::new(tell));
        }
        self
    }

    /// For a foreign stream whose first bytes can be looked at without reading them: copies them, as many as there are and
    /// fit, and says how many. Belongs to [`on_look`](Self::on_look).
    #[must_use]
    pub fn on_peek(mut self, copy: impl Fn(&mut [u8]) -> usize + Send + Sync + 'static) -> Self {
        if let Carrier::Foreign(foreign) = &mut self.carrier {
            foreign.peek = Some(Box::new(copy));
        }
        self
    }

    /// Tells a foreign stream at what interval it is probed.
    pub(crate) fn keep_alive(&self, every: Option<Duration>) {
        if let Carrier::Foreign(foreign) = self.bottom()
            && let Some(told) = &foreign.keepalive
        {
            told(every);
        }
    }

    /// Remembers that the connection does not come from the port that was wanted.
    #[must_use]
    pub fn with_source_note(mut self, note: SourceNote) -> Self {
        self.note = Some(Box::new(note));
        self
    }

    /// Our end. IPv4-mapped IPv6 addresses are told as IPv4, so that 227 and PORT can be used on a dual-stack socket.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Where the socket is on this host: what further sockets of the same dialogue are bound to. The same as
    /// [`local_addr`](Self::local_addr) unless a balancer told which address of its own the peer has reached, or the
    /// connection was [intercepted](Self::intercepted).
    pub fn bound_addr(&self) -> SocketAddr {
        self.bound
    }

    /// The same connection with the addresses that a balancer tells: `local` is what the peer has reached, `peer` the
    /// peer's own end.
    #[must_use]
    pub fn with_addresses(mut self, local: SocketAddr, peer: SocketAddr) -> Self {
        self.local = canonical(local);
        self.peer = canonical(peer);
        self
    }

    /// The same connection, which its peer opened to `destination`: the packet filter of this host has led it here.
    #[must_use]
    pub fn intercepted(mut self, destination: SocketAddr) -> Self {
        self.local = canonical(destination);
        self.intercepted = true;
        self
    }

    /// Where the peer wanted to go, if that is not this host: then [`local_addr`](Self::local_addr) is the same, what the
    /// peer takes us for, and [`bound_addr`](Self::bound_addr) where the socket is. Only [`TransparentNet`] looks.
    ///
    /// `None` for a connection that was meant for this host, and for one that comes from it: to go on to where that was
    /// going could go in circles.
    ///
    /// [`TransparentNet`]: crate::TransparentNet
    pub fn original_destination(&self) -> Option<SocketAddr> {
        self.intercepted.then_some(self.local)
    }

    /// The peer's end, IPv4-mapped addresses as IPv4.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// The TCP socket, for `sendfile` and urgent data; `None` when something else carries the bytes, or TLS lies between.
    pub fn as_tcp(&self) -> Option<&TcpStream> {
        match &self.carrier {
            Carrier::Tcp(stream) => Some(stream),
            _ => None,
        }
    }

    /// The TCP socket at the bottom, for its options.
    pub(crate) fn socket(&self) -> Option<&TcpStream> {
        match self.bottom() {
            Carrier::Tcp(stream) => Some(stream),
            _ => None,
        }
    }

    /// Why the connection does not come from the preferred source port, if it does not.
    pub fn source_note(&self) -> Option<&SourceNote> {
        self.note.as_deref()
    }

    /// Whether the peer has ended it and left nothing to read.
    pub(crate) fn has_ended(&self) -> bool {
        self.heard() == Heard::End
    }

    /// What the peer has done so far. Foreign streams that cannot be looked into: [`Heard::Nothing`]. Inside TLS it is about
    /// the records: bytes may be a close_notify.
    ///
    /// Nothing is read for it, not even with `MSG_PEEK`: that would take the error of a reset off the socket, and the
    /// next read would find a clean end.
    pub fn heard(&self) -> Heard {
        let stream = match self.bottom() {
            Carrier::Tcp(stream) => stream,
            Carrier::Tls(_) | Carrier::Gone => return Heard::End, // TLS is never at the bottom
            Carrier::Foreign(foreign) => {
                let look = foreign.look.as_ref();
                return look.map_or(Heard::Nothing, |look| look());
            }
        };
        let mut seen = [PollFd::new(stream, PollFlags::IN | PollFlags::RDHUP)];
        if rustix::event::poll(&mut seen, Some(&Timespec::default())).is_err() {
            return Heard::Nothing;
        }
        let [seen] = seen.map(|fd| fd.revents());
        if seen.intersects(PollFlags::ERR | PollFlags::HUP) {
            return Heard::End;
        }
        if !seen.intersects(PollFlags::IN | PollFlags::RDHUP) {
            return Heard::Nothing;
        }
        match rustix::io::ioctl_fionread(stream) {
            Ok(0) if seen.contains(PollFlags::RDHUP) => Heard::End,
            Ok(0) | Err(_) => Heard::Nothing,
            Ok(_) => Heard::Bytes,
        }
    }

    /// Whether the peer, or somebody on the way, has broken it off. Foreign streams cannot be looked into: `false`.
    pub(crate) fn is_reset(&self) -> bool {
        let Some(stream) = self.socket() else {
            return false;
        };
        let mut seen = [PollFd::new(stream, PollFlags::RDHUP)];
        let polled = rustix::event::poll(&mut seen, Some(&Timespec::default()));
        let [seen] = seen.map(|fd| fd.revents());
        polled.is_ok() && seen.intersects(PollFlags::ERR | PollFlags::HUP)
    }

    /// Closes with a reset (`SO_LINGER` 0): the peer sees an error, never an end of file.
    pub fn abort(mut self) {
        self.reset();
    }

    /// What the system does when it closes the socket, be it because this process was killed: a reset (`true`) or a FIN.
    /// Nothing for foreign streams, which do not outlive the process.
    pub(crate) fn reset_on_close(&self, reset: bool) {
        if let Some(stream) = self.socket() {
            // Fails only on a socket that is already dead, and then there is nobody to tell.
            let _ = socket2::SockRef::from(stream).set_linger(reset.then_some(Duration::ZERO));
        }
    }

    /// The reset before the drop.
    pub(crate) fn reset(&mut self) {
        self.reset_on_close(true);
        if let Carrier::Foreign(foreign) = self.bottom_mut()
            && let Some(reset) = foreign.reset.take()
        {
            reset();
        }
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn")
            .field("tcp", &self.as_tcp().is_some())
            .field("local", &self.local)
            .field("peer", &self.peer)
            .field("note", &self.note)
            .finish_non_exhaustive()
    }
}

impl AsyncRead for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Carrier::Foreign(foreign) => Pin::new(&mut foreign.stream).poll_read(cx, buf),
            Carrier::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
            Carrier::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Conn {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Carrier::Foreign(foreign) => Pin::new(&mut foreign.stream).poll_write(cx, buf),
            Carrier::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
            Carrier::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Carrier::Foreign(foreign) => Pin::new(&mut foreign.stream).poll_flush(cx),
            Carrier::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Carrier::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Carrier::Foreign(foreign) => Pin::new(&mut foreign.stream).poll_shutdown(cx),
            Carrier::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Carrier::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

/// A connection could not come from the preferred port and comes from another one. A firewall that lets only the
/// preferred port out will stop it, therefore somebody should be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceNote {
    /// The address and port that were asked for.
    pub wanted: SocketAddr,
    /// The address and port that were used instead.
    pub used: SocketAddr,
    /// What the system said to the wanted port.
    pub reason: String,
}

impl fmt::Display for SourceNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "from port {} instead of {}: {}",
            self.used.port(),
            self.wanted.port(),
            self.reason
        )
    }
}

/// IPv4-mapped IPv6 addresses as the IPv4 addresses that they are.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(IpAddr::V4(v4), address.port()),
            None => address,
        },
        IpAddr::V4(_) => address,
    }
}
