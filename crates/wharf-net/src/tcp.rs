//! The real network: TCP sockets of the operating system.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use async_trait::async_trait;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::conn::{Conn, SourceNote, canonical};
use crate::interception;
use crate::mapping::{self, PortMapper};
use crate::net::{ListenAt, Listener, Net, Ports, RangeExhausted, Source};

/// Connections that may wait to be accepted. The kernel cuts it to `net.core.somaxconn` (4096 since Linux 5.4).
pub(crate) const BACKLOG: u32 = 1024;

/// Sockets of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpNet;

impl TcpNet {
    /// There is nothing to set.
    pub const fn new() -> Self {
        Self
    }
}

#[async_trait]
impl Net for TcpNet {
    async fn connect(&self, from: Source, to: SocketAddr) -> io::Result<Conn> {
        connect(Owner::Us, from, to).await
    }

    async fn connect_within(&self, from: Source, to: SocketAddr, hops: u8) -> io::Result<Conn> {
        let from = match from {
            Source::Any => None,
            Source::Address(ip) => Some(SocketAddr::new(ip, 0)),
            Source::Port(port) => Some(port),
        };
        attempt(Owner::Us, from, to, Some(hops)).await
    }

    /// The soft limit of the process is raised to its hard limit, as far as that is granted: it is 1024 on most
    /// systems for the sake of programs that use `select(2)`, of which this is none.
    fn descriptors(&self) -> usize {
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            ..limit
        };
        let granted = match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit.maximum,
            Err(_) => limit.current,
        };
        granted.map_or(usize::MAX, |most| {
            usize::try_from(most).unwrap_or(usize::MAX)
        })
    }

    async fn listen(&self, at: ListenAt) -> io::Result<Box<dyn Listener>> {
        listen(Owner::Us, at)
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let found: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
        if found.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the name has no address",
            ));
        }
        Ok(found)
    }

    fn own_address(&self) -> Option<IpAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        // A documentation address (RFC 5737): routed like any outside one. To connect a UDP socket sends nothing.
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
        let address = socket.local_addr().ok()?.ip();
        (!address.is_unspecified()).then_some(address)
    }

    fn mapper(&self) -> Option<Arc<dyn PortMapper>> {
        Some(mapping::shared())
    }
}

/// Whose the addresses may be that sockets are bound to and that arrivals were meant for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This machine's.
    Us,
    /// Anybody's: the packet filter leads here what was meant for others.
    Anybody,
}

pub(crate) async fn connect(owner: Owner, from: Source, to: SocketAddr) -> io::Result<Conn> {
    match from {
        Source::Any => attempt(owner, None, to, None).await,
        Source::Address(ip) => attempt(owner, Some(SocketAddr::new(ip, 0)), to, None).await,
        Source::Port(wanted) => match attempt(owner, Some(wanted), to, None).await {
            Err(denied) if port_was_denied(&denied) => {
                let mut any_port = wanted;
                any_port.set_port(0);
                let conn = attempt(owner, Some(any_port), to, None).await?;
                let used = conn.local_addr();
                Ok(conn.with_source_note(SourceNote {
                    wanted,
                    used,
                    reason: denied.to_string(),
                }))
            }
            outcome => outcome,
        },
    }
}

pub(crate) fn listen(owner: Owner, at: ListenAt) -> io::Result<Box<dyn Listener>> {
    let bound = match at.ports {
        Ports::Any => bind(owner, at, 0)?,
        Ports::One(port) => bind(owner, at, port)?,
        Ports::Range(range) => {
            let free = range
                .order(random())
                .find_map(|port| match bind(owner, at, port) {
                    Err(e) if e.kind() == io::ErrorKind::AddrInUse => None,
                    outcome => Some(outcome),
                });
            match free {
                Some(outcome) => outcome?,
                None => return Err(RangeExhausted { ip: at.ip, range }.into_error()),
            }
        }
    };
    let local = bound.local_addr()?;
    Ok(Box::new(Listening {
        inner: bound,
        local,
        owner,
    }))
}

/// A listener that came here by another way.
pub(crate) fn adopted(bound: TcpListener) -> io::Result<Box<dyn Listener>> {
    let local = bound.local_addr()?;
    Ok(Box::new(Listening {
        inner: bound,
        local,
        owner: Owner::Us,
    }))
}

struct Listening {
    inner: TcpListener,
    local: SocketAddr,
    owner: Owner,
}

#[async_trait]
impl Listener for Listening {
    async fn accept(&mut self) -> io::Result<Conn> {
        let (stream, peer) = self.inner.accept().await?;
        // Fails only when the peer is gone again, which its first use will tell.
        let _ = stream.set_nodelay(true);
        let conn = Conn::accepted(stream, peer)?;
        Ok(match self.owner {
            Owner::Us => conn,
            Owner::Anybody => interception::recognise(conn),
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

async fn attempt(
    owner: Owner,
    from: Option<SocketAddr>,
    to: SocketAddr,
    hops: Option<u8>,
) -> io::Result<Conn> {
    let to = canonical(to);
    let socket = socket_for(to.ip())?;
    match hops {
        Some(hops) if to.is_ipv4() => SockRef::from(&socket).set_ttl_v4(hops.into())?,
        Some(hops) => SockRef::from(&socket).set_unicast_hops_v6(hops.into())?,
        None => {}
    }
    if let Some(from) = from.map(canonical)
        && !(from.ip().is_unspecified() && from.port() == 0)
    {
        // Without this a port could be the source of one connection at a time, and for a minute after it (TIME_WAIT)
        // of none: the second transfer in a row would fail with "Address already in use".
        socket.set_reuseaddr(true)?;
        let from = fitting(from, to);
        interception::prepare(owner, &socket, from.ip());
        socket.bind(from)?;
    }
    let stream = socket.connect(to).await?;
    let _ = stream.set_nodelay(true);
    Conn::tcp(stream)
}

/// Did the system object to the source port (rather than the network to the connection)?
///
/// At bind: in use, or below 1024 without the right to it. At connect: Linux finds only then that the pair of
/// addresses is still in TIME_WAIT from the previous transfer (`EADDRNOTAVAIL`).
pub(crate) fn port_was_denied(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrInUse
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::PermissionDenied
    )
}

/// The source as it can be bound for this target: `0.0.0.0` means "any" for an IPv6 target as well, and a link-local
/// address needs the interface that the target names (RFC 4007 §6).
pub(crate) fn fitting(from: SocketAddr, to: SocketAddr) -> SocketAddr {
    match (from, to) {
        (SocketAddr::V4(v4), SocketAddr::V6(_)) if v4.ip().is_unspecified() => {
            SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), v4.port())
        }
        (SocketAddr::V6(v6), SocketAddr::V4(_)) if v6.ip().is_unspecified() => {
            SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), v6.port())
        }
        (SocketAddr::V6(mut v6), SocketAddr::V6(target))
            if v6.ip().is_unicast_link_local() && v6.scope_id() == 0 =>
        {
            v6.set_scope_id(target.scope_id());
            SocketAddr::V6(v6)
        }
        (from, _) => from,
    }
}

fn bind(owner: Owner, at: ListenAt, port: u16) -> io::Result<TcpListener> {
    let (ip, only_ipv6) = match at.ip {
        // Alone it does not name an interface (RFC 4007 §6); the guard keeps the other interfaces' hosts out.
        IpAddr::V6(ip) if ip.is_unicast_link_local() => (Ipv6Addr::UNSPECIFIED.into(), true),
        ip => (ip, at.only_ipv6 || !ip.is_unspecified()),
    };
    let socket = socket_for(ip)?;
    // A restarted server takes its port again although old connections are in TIME_WAIT. On Linux this does not allow
    // two listeners on one port.
    socket.set_reuseaddr(true)?;
    if ip.is_ipv6() {
        SockRef::from(&socket).set_only_v6(only_ipv6)?;
    }
    interception::prepare(owner, &socket, ip);
    socket.bind(SocketAddr::new(ip, port))?;
    socket.listen(BACKLOG)
}

fn socket_for(ip: IpAddr) -> io::Result<TcpSocket> {
    match ip {
        IpAddr::V4(_) => TcpSocket::new_v4(),
        IpAddr::V6(_) => TcpSocket::new_v6(),
    }
}

/// Entropy of the process's hash keys; passive ports shall not be guessable (RFC 2577 §5), nothing more hangs on it.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Prepares a socket for a control connection; foreign streams need nothing.
///
/// Telnet's Synch arrives as urgent data (RFC 959 §4.1.3 ABOR, RFC 854): in line, else its bytes would be missing
/// from the stream.
pub(crate) fn prepare_control(conn: &Conn) {
    let Some(stream) = conn.socket() else { return };
    if let Err(error) = SockRef::from(stream).set_out_of_band_inline(true) {
        tracing::debug!(peer = %conn.peer_addr(), %error, "SO_OOBINLINE not set");
    }
}

/// Sends all of `bytes`, the last one marked urgent.
pub(crate) async fn send_urgent(stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let sent = stream
            .async_io(tokio::io::Interest::WRITABLE, || {
                SockRef::from(stream).send_out_of_band(rest)
            })
            .await?;
        rest = rest.get(sent..).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_fits_its_target() {
        let table = [
            ("0.0.0.0:20", "[2001:db8::1]:5000", "[::]:20"),
            ("[::]:20", "192.0.2.1:5000", "0.0.0.0:20"),
            ("192.0.2.9:20", "192.0.2.1:5000", "192.0.2.9:20"),
            ("[fe80::9]:20", "[fe80::1%3]:5000", "[fe80::9%3]:20"),
            ("[2001:db8::9]:0", "[fe80::1%3]:5000", "[2001:db8::9]:0"),
        ];
        for (from, to, fits) in table {
            let [from, to, fits]: [SocketAddr; 3] = [from, to, fits].map(|t| t.parse().unwrap());
            assert_eq!(fitting(from, to), fits, "{from} -> {to}");
        }
    }
}
