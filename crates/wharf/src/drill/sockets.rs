//! Ways out, and ways in that nobody has configured.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixStream};
use std::time::Duration;

use rustix::net::{AddressFamily, Protocol, SocketType, ipproto};

use super::{Outcome, argument, number, said};

/// Nobody is further away than the same machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// `tcp ADDR:PORT`
pub(super) fn tcp(arguments: &[&str]) -> Outcome {
    let to: SocketAddr = number(arguments, 0)?;
    TcpStream::connect_timeout(&to, PATIENCE).map_err(said)?;
    Ok("connected".to_owned())
}

/// `mptcp ADDR:PORT`: TCP by a name that landlock does not know.
pub(super) fn mptcp(arguments: &[&str]) -> Outcome {
    let to: SocketAddr = number(arguments, 0)?;
    let socket = opened(
        AddressFamily::INET,
        SocketType::STREAM,
        Some(ipproto::MPTCP),
    )?;
    rustix::net::connect(&socket, &to).map_err(said)?;
    Ok("connected".to_owned())
}

/// `udp ADDR:PORT`
pub(super) fn udp(arguments: &[&str]) -> Outcome {
    let to: SocketAddr = number(arguments, 0)?;
    let socket = UdpSocket::bind("0.0.0.0:0").map_err(said)?;
    socket.send_to(b"drill", to).map_err(said)?;
    Ok("sent".to_owned())
}

/// `unix PATH`
pub(super) fn unix(arguments: &[&str]) -> Outcome {
    UnixStream::connect(argument(arguments, 0)?).map_err(said)?;
    Ok("connected".to_owned())
}

/// `abstract NAME`
pub(super) fn abstract_name(arguments: &[&str]) -> Outcome {
    let at = UnixAddr::from_abstract_name(argument(arguments, 0)?).map_err(said)?;
    UnixStream::connect_addr(&at).map_err(said)?;
    Ok("connected".to_owned())
}

/// `netlink`
pub(super) fn netlink(_: &[&str]) -> Outcome {
    opened(AddressFamily::NETLINK, SocketType::RAW, None)?;
    Ok("a socket".to_owned())
}

/// `raw`
pub(super) fn raw(_: &[&str]) -> Outcome {
    opened(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP))?;
    Ok("a socket".to_owned())
}

/// `packet`
pub(super) fn packet(_: &[&str]) -> Outcome {
    opened(AddressFamily::PACKET, SocketType::RAW, None)?;
    Ok("a socket".to_owned())
}

/// `vsock`: to the hypervisor.
pub(super) fn vsock(_: &[&str]) -> Outcome {
    opened(AddressFamily::VSOCK, SocketType::STREAM, None)?;
    Ok("a socket".to_owned())
}

/// `bind ADDR:PORT`
pub(super) fn bind(arguments: &[&str]) -> Outcome {
    let at: SocketAddr = number(arguments, 0)?;
    TcpListener::bind(at).map_err(said)?;
    Ok("listens".to_owned())
}

/// `listen`: at a port of the system's choice, without having bound one.
pub(super) fn listen(_: &[&str]) -> Outcome {
    let socket = opened(AddressFamily::INET, SocketType::STREAM, None)?;
    rustix::net::listen(&socket, 1).map_err(said)?;
    Ok("listens".to_owned())
}

fn opened(
    family: AddressFamily,
    kind: SocketType,
    protocol: Option<Protocol>,
) -> Result<std::os::fd::OwnedFd, String> {
    rustix::net::socket(family, kind, protocol).map_err(said)
}
