//! A network some of whose listening sockets somebody else has opened: a service manager, before this process began.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use async_trait::async_trait;

use crate::conn::Conn;
use crate::handed;
use crate::mapping::PortMapper;
use crate::net::{ListenAt, Listener, Net, Ports, Source};
use crate::tcp::TcpNet;

/// [`TcpNet`] with sockets that listen already. Each can be taken any number of times: closing one of them closes a copy.
#[derive(Debug)]
pub struct InheritedNet {
    sockets: Vec<(SocketAddr, OwnedFd)>,
    own: TcpNet,
}

impl InheritedNet {
    /// Sockets with the addresses that they are bound to.
    pub fn new(sockets: Vec<(SocketAddr, OwnedFd)>) -> Self {
        Self {
            sockets,
            own: TcpNet,
        }
    }
}

#[async_trait]
impl Net for InheritedNet {
    async fn connect(&self, from: Source, to: SocketAddr) -> io::Result<Conn> {
        self.own.connect(from, to).await
    }

    async fn connect_within(&self, from: Source, to: SocketAddr, hops: u8) -> io::Result<Conn> {
        self.own.connect_within(from, to, hops).await
    }

    async fn listen(&self, at: ListenAt) -> io::Result<Box<dyn Listener>> {
        let Ports::One(port) = at.ports else {
            return self.own.listen(at).await;
        };
        let wanted = SocketAddr::new(at.ip, port);
        match self.sockets.iter().find(|(bound, _)| *bound == wanted) {
            Some((_, socket)) => handed::listener(socket.try_clone()?),
            None => self.own.listen(at).await,
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn what_listens_already_is_used() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let bound = std::net::TcpListener::bind(any).unwrap();
        let address = bound.local_addr().unwrap();
        let at = ListenAt {
            ip: address.ip(),
            ports: Ports::One(address.port()),
            only_ipv6: false,
            expecting: None,
        };
        assert!(TcpNet.listen(at).await.is_err(), "it is taken");
        let net = InheritedNet::new(vec![(address, bound.into())]);
        for _ in 0..2 {
            let mut door = net.listen(at).await.unwrap();
            assert_eq!(door.local_addr(), address);
            let going = net.connect(Source::Any, address);
            let (came, went) = tokio::join!(door.accept(), going);
            assert_eq!(came.unwrap().peer_addr(), went.unwrap().local_addr());
        }
    }
}
