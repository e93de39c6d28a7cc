//! Sockets that one process makes and another one uses: ports below 1024 and connections take rights that the process
//! which talks to the network has given away. The first half blocks and needs no runtime, the second half belongs to one.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use crate::conn::{Conn, canonical};
use crate::net::Listener;
use crate::tcp::{self, BACKLOG, adopted, fitting};

/// A socket that listens.
///
/// # Errors
/// Those of `bind(2)` and `listen(2)`.
pub fn listening(at: SocketAddr, only_ipv6: bool) -> io::Result<OwnedFd> {
    let (ip, only_ipv6) = match at.ip() {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => (Ipv6Addr::UNSPECIFIED.into(), true),
        ip => (ip, only_ipv6 || !ip.is_unspecified()),
    };
    let socket = socket_for(ip)?;
    socket.set_reuse_address(true)?;
    if ip.is_ipv6() {
        socket.set_only_v6(only_ipv6)?;
    }
    socket.bind(&SocketAddr::new(ip, at.port()).into())?;
    socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// A socket that is about to be connected: what comes of it is for its user to wait for.
///
/// # Errors
/// Those of `bind(2)`, and of `connect(2)` as far as they are known at once.
pub fn on_its_way(from: SocketAddr, to: SocketAddr) -> io::Result<OwnedFd> {
    let (from, to) = (canonical(from), canonical(to));
    let socket = socket_for(to.ip())?;
    if !(from.ip().is_unspecified() && from.port() == 0) {
        // See `TcpNet`: a port is the source of one transfer after the other.
        socket.set_reuse_address(true)?;
        socket.bind(&fitting(from, to).into())?;
    }
    match socket.connect(&to.into()) {
        Ok(()) => Ok(socket.into()),
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {
            Ok(socket.into())
        }
        Err(error) => Err(error),
    }
}

/// What [`listening`] made, in a runtime.
///
/// # Errors
/// The runtime cannot watch it.
pub fn listener(socket: OwnedFd) -> io::Result<Box<dyn Listener>> {
    let socket = TcpListener::from(socket);
    socket.set_nonblocking(true)?;
    adopted(tokio::net::TcpListener::from_std(socket)?)
}

/// What [`on_its_way`] made, once it has arrived.
///
/// # Errors
/// Those of `connect(2)`.
pub async fn connection(socket: OwnedFd) -> io::Result<Conn> {
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(true)?;
    let stream = tokio::net::TcpStream::from_std(stream)?;
    stream.writable().await?;
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    let _ = stream.set_nodelay(true);
    Conn::tcp(stream)
}

/// Whether the system objects to the source port rather than the network to the connection: another port may do.
pub fn port_was_denied(error: &io::Error) -> bool {
    tcp::port_was_denied(error)
}

/// A number that nobody can guess, for the order in which the ports of a range are tried.
pub fn unguessable() -> u64 {
    tcp::random()
}

fn socket_for(ip: IpAddr) -> io::Result<Socket> {
    let domain = match ip {
        IpAddr::V4(_) => Domain::IPV4,
        IpAddr::V6(_) => Domain::IPV6,
    };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_another_made_is_used() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut door = listener(listening(any, false).unwrap()).unwrap();
        let going = on_its_way(any, door.local_addr()).unwrap();
        let (came, went) = tokio::join!(door.accept(), connection(going));
        let (mut came, mut went) = (came.unwrap(), went.unwrap());
        assert_eq!(came.peer_addr(), went.local_addr());
        went.write_all(b"!").await.unwrap();
        assert_eq!(came.read_u8().await.unwrap(), b'!');
    }

    #[tokio::test]
    async fn a_refusal_is_found_when_it_arrives() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let closed = listener(listening(any, false).unwrap()).unwrap();
        let to = closed.local_addr();
        drop(closed);
        let refused = match on_its_way(any, to) {
            Ok(going) => connection(going).await.map(drop),
            Err(error) => Err(error),
        };
        assert_eq!(
            refused.unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
    }
}
