//! The seam to the network: who connects, who listens, who resolves names.
//!
//! [`TcpNet`](crate::TcpNet) is the real one; the simulated network of `wharf-sim` is the other.
//! Deliberately absent: UDP, Unix sockets, and any knowledge of FTP beyond "source port".

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
pub use wharf_proto::data_connection::Flow;
use wharf_proto::data_connection::passive::PortRange;

use crate::conn::Conn;
use crate::mapping::PortMapper;

/// A place in a network: what a host can do there.
#[async_trait]
pub trait Net: Send + Sync + 'static {
    /// Opens a connection to `to`. Takes as long as the network takes (Linux gives up a silent address after
    /// about 127 s with `TimedOut`); callers bring their own patience.
    ///
    /// # Errors
    /// Those of `connect(2)`: `ConnectionRefused`, `TimedOut`, `HostUnreachable`, `NetworkUnreachable`, ...
    async fn connect(&self, from: Source, to: SocketAddr) -> io::Result<Conn>;

    /// Opens a connection whose packets are forwarded by so many hosts on the way at most (TTL, hop limit). The router
    /// at which the limit is used up says so, as a rule, and that is `HostUnreachable` at once: how far a SYN to one port
    /// gets, compared with another port of the same host, tells on whose side of the way it is dropped.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); `Unsupported` where nothing counts hops.
    async fn connect_within(&self, from: Source, to: SocketAddr, hops: u8) -> io::Result<Conn> {
        let _ = (from, to, hops);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Starts to listen.
    ///
    /// # Errors
    /// Those of `bind(2)` and `listen(2)`; a used-up [`Ports::Range`] is `AddrInUse` with [`RangeExhausted`] inside.
    async fn listen(&self, at: ListenAt) -> io::Result<Box<dyn Listener>>;

    /// The addresses of a host name, in the order in which they should be tried. An IP address as text is answered
    /// without asking anybody.
    ///
    /// # Errors
    /// What the resolver says; an empty answer is `NotFound`.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;

    /// How many descriptors (sockets and files) may be open at once, for who decides how many sessions there is room
    /// for. `usize::MAX` where nothing is counted.
    fn descriptors(&self) -> usize {
        usize::MAX
    }

    /// The IPv4 address from which this place reaches the internet, as its routes say; nothing is sent for it. `None`
    /// where nobody can tell.
    fn own_address(&self) -> Option<IpAddr> {
        None
    }

    /// Who asks the router in front of this place to forward ports; `None` where there is nobody to ask.
    fn mapper(&self) -> Option<Arc<dyn PortMapper>> {
        None
    }
}

/// A listening socket. Dropping it closes it and resets whoever was waiting to be accepted.
#[async_trait]
pub trait Listener: Send {
    /// The next connection. Cancel-safe: a connection is not lost when the future is dropped.
    ///
    /// # Errors
    /// Those of `accept(2)`; `ConnectionAborted` and the like are about one peer, not about the listener.
    async fn accept(&mut self) -> io::Result<Conn>;

    /// Where it listens; the port is the real one also when [`Ports::Any`] was asked for.
    fn local_addr(&self) -> SocketAddr;

    /// The transfer that will use the next connection has been announced (its 150 goes out), and this is how its bytes
    /// will flow. A listener that shares its port with others judges arrivals by it; an ordinary one need not know.
    fn announce(&mut self, flow: Flow) {
        let _ = flow;
    }

    /// After [`announce`](Self::announce): waits until it is clear whose the connections are that came before it. One
    /// that is ours is kept for [`accept`](Self::accept). With nobody there yet this returns at once: the peer may be
    /// waiting to hear of the transfer. An ordinary listener has nothing to find out. Cancel-safe.
    ///
    /// # Errors
    /// The transfer is refused; a [`Refusal`](wharf_proto::data_connection::sorting::Refusal) inside says why.
    async fn settle(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// From where a connection shall come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The system chooses address and port.
    Any,
    /// This address, any port.
    Address(IpAddr),
    /// This address and preferably this port (20 for a server's active data connections, RFC 959 §3.2); any other
    /// port of the same address where that one is denied or in use. [`Conn::source_note`] tells which it was.
    Port(SocketAddr),
}

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenAt {
    /// The address; `0.0.0.0` is every IPv4 address, `::` is every address of both families.
    pub ip: IpAddr,
    /// The port or ports.
    pub ports: Ports,
    /// For `::`: IPv6 alone, so that a listener on `0.0.0.0` with the same port is possible beside it.
    pub only_ipv6: bool,
    /// Who will connect, for a proxy that listens in our place and must be told; nobody else asks.
    pub expecting: Option<SocketAddr>,
}

impl ListenAt {
    /// This address and these ports.
    pub fn new(ip: IpAddr, ports: Ports) -> Self {
        Self {
            ip,
            ports,
            only_ipv6: false,
            expecting: None,
        }
    }

    /// The same for a connection of this peer alone.
    #[must_use]
    pub fn expecting(self, peer: SocketAddr) -> Self {
        Self {
            expecting: Some(peer),
            ..self
        }
    }

    /// Exactly this address; port 0 lets the system choose.
    pub fn one(at: SocketAddr) -> Self {
        let ports = match at.port() {
            0 => Ports::Any,
            port => Ports::One(port),
        };
        Self::new(at.ip(), ports)
    }

    /// Any port of this address.
    pub fn any(ip: IpAddr) -> Self {
        Self::new(ip, Ports::Any)
    }

    /// A random port of the range.
    pub fn range(ip: IpAddr, range: PortRange) -> Self {
        Self::new(ip, Ports::Range(range))
    }

    /// The same for IPv6 alone (`IPV6_V6ONLY`); without a meaning for anything but `::`.
    #[must_use]
    pub fn only_ipv6(self) -> Self {
        Self {
            only_ipv6: true,
            ..self
        }
    }
}

/// Which port to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// The system chooses.
    Any,
    /// This one or none.
    One(u16),
    /// One of these in random order, never another one: a firewall has been told this range.
    Range(PortRange),
}

/// Every port of the range is in use. Found inside an `io::Error` of kind `AddrInUse`, see [`RangeExhausted::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeExhausted {
    /// The address on which a port was looked for.
    pub ip: IpAddr,
    /// The range that has no free port.
    pub range: PortRange,
}

impl RangeExhausted {
    /// The exhaustion inside an error of [`Net::listen`], if that is what it is.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// As the error that [`Net::listen`] returns.
    pub fn into_error(self) -> io::Error {
        io::Error::new(io::ErrorKind::AddrInUse, self)
    }
}

impl fmt::Display for RangeExhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "every port of the range {} is in use on {}",
            self.range, self.ip
        )
    }
}

impl std::error::Error for RangeExhausted {}
