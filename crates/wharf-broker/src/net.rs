//! The network of a process that may not do everything itself: ports that it lacks the right to, and connections, come
//! from the broker, already bound or on their way.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use wharf_net::mapping::PortMapper;
use wharf_net::{
    Conn, ListenAt, Listener, Net, Ports, RangeExhausted, Source, SourceNote, TcpNet, handed,
};

use crate::link::Link;
use crate::message::Request;

/// [`TcpNet`], with the broker for ports that are refused, and for every connection: it looks to whom.
#[derive(Clone, Debug)]
pub struct BrokeredNet {
    link: Link,
    own: TcpNet,
}

impl BrokeredNet {
    /// With the broker at the other end of `link`.
    pub fn new(link: Link) -> Self {
        Self { link, own: TcpNet }
    }

    async fn listen_one(&self, at: ListenAt, port: u16) -> io::Result<Box<dyn Listener>> {
        let mut one = at;
        one.ports = Ports::One(port);
        match self.own.listen(one).await {
            // Taken perhaps by the broker itself, which has inherited it.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::AddrInUse
                ) => {}
            outcome => return outcome,
        }
        let request = Request::Listen {
            at: SocketAddr::new(at.ip, port),
            only_ipv6: at.only_ipv6,
        };
        handed::listener(self.link.descriptor(&request)?)
    }

    async fn connect_once(&self, from: SocketAddr, to: SocketAddr) -> io::Result<Conn> {
        let socket = self.link.descriptor(&Request::Connect { from, to })?;
        handed::connection(socket).await
    }
}

#[async_trait]
impl Net for BrokeredNet {
    async fn connect(&self, from: Source, to: SocketAddr) -> io::Result<Conn> {
        let any_address = match to {
            SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let wanted = match from {
            Source::Any => SocketAddr::new(any_address, 0),
            Source::Address(ip) => SocketAddr::new(ip, 0),
            Source::Port(wanted) => wanted,
        };
        let denied = match self.connect_once(wanted, to).await {
            Err(error) if wanted.port() != 0 && handed::port_was_denied(&error) => error,
            outcome => return outcome,
        };
        let any_port = SocketAddr::new(wanted.ip(), 0);
        let conn = self.connect_once(any_port, to).await?;
        let used = conn.local_addr();
        Ok(conn.with_source_note(SourceNote {
            wanted,
            used,
            reason: denied.to_string(),
        }))
    }

    async fn listen(&self, at: ListenAt) -> io::Result<Box<dyn Listener>> {
        match at.ports {
            Ports::Any => {
                // Of a control port that the system chooses the broker must know: it looks who is connected to it.
                let request = Request::Listen {
                    at: SocketAddr::new(at.ip, 0),
                    only_ipv6: at.only_ipv6,
                };
                match self.link.descriptor(&request) {
                    Ok(socket) => handed::listener(socket),
                    Err(_) => self.own.listen(at).await,
                }
            }
            Ports::One(port) => self.listen_one(at, port).await,
            Ports::Range(range) => {
                match self.own.listen(at).await {
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                    outcome => return outcome,
                }
                for port in range.order(handed::unguessable()) {
                    match self.listen_one(at, port).await {
                        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                        outcome => return outcome,
                    }
                }
                Err(RangeExhausted { ip: at.ip, range }.into_error())
            }
        }
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.own.resolve(host, port).await
    }

    fn descriptors(&self) -> usize {
        self.own.descriptors()
    }

    fn own_address(&self) -> Option<IpAddr> {
        self.own.own_address()
    }

    fn mapper(&self) -> Option<Arc<dyn PortMapper>> {
        self.own.mapper()
    }
}
