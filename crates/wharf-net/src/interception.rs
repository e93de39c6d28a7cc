//! Transparent interception: this host's packet filter leads connections here that were meant for somebody else.
//!
//! nftables does it in two ways, and in both the kernel can tell where a connection was going:
//!
//! | rule | where the socket is | the original destination |
//! |---|---|---|
//! | `redirect`, `dnat` | at an address of this host | kept by conntrack: `SO_ORIGINAL_DST`, `IP6T_SO_ORIGINAL_DST` |
//! | `tproxy` | at the original destination itself, which is no address of this host | the local address |
//!
//! `tproxy` needs a listener with `IP_TRANSPARENT`, and with it this host may also listen at and connect from the
//! intercepted address: data connections then look like the server's own. That takes `CAP_NET_ADMIN`; `redirect` takes
//! nothing.
//!
//! A connection that was meant for this host itself is not intercepted, and neither is one that comes from it: those are
//! our own, come round once more through a rule that is too wide. Whoever asks for the original destination gets none then,
//! and nothing goes in circles.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use async_trait::async_trait;
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};

use crate::conn::{Conn, canonical};
use crate::mapping::PortMapper;
use crate::net::{ListenAt, Listener, Net, Source};
use crate::tcp::{self, Owner, TcpNet};

/// Sockets of this machine, for what its packet filter leads here as well as for what was meant for it:
/// [`Conn::original_destination`] tells.
#[derive(Clone, Copy, Debug, Default)]
pub struct TransparentNet;

#[async_trait]
impl Net for TransparentNet {
    async fn connect(&self, from: Source, to: SocketAddr) -> io::Result<Conn> {
        tcp::connect(Owner::Anybody, from, to).await
    }

    async fn listen(&self, at: ListenAt) -> io::Result<Box<dyn Listener>> {
        tcp::listen(Owner::Anybody, at)
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        TcpNet.resolve(host, port).await
    }

    fn descriptors(&self) -> usize {
        TcpNet.descriptors()
    }

    fn own_address(&self) -> Option<IpAddr> {
        TcpNet.own_address()
    }

    fn mapper(&self) -> Option<Arc<dyn PortMapper>> {
        TcpNet.mapper()
    }
}

/// Gives an accepted connection its original destination, unless it was meant for this host or comes from it.
pub(crate) fn recognise(conn: Conn) -> Conn {
    let (bound, peer) = (conn.bound_addr(), conn.peer_addr());
    let meant = conn
        .as_tcp()
        .and_then(|stream| judge(bound, translated(stream, bound), peer, is_own));
    match meant {
        Some(destination) => conn.intercepted(destination),
        None => conn,
    }
}

/// What the table says. `translated` is what conntrack has kept.
fn judge(
    bound: SocketAddr,
    translated: Option<SocketAddr>,
    peer: SocketAddr,
    is_own: impl Fn(IpAddr) -> bool,
) -> Option<SocketAddr> {
    let meant = translated.unwrap_or(bound);
    let elsewhere = !is_own(meant.ip()) && !is_own(peer.ip());
    elsewhere.then_some(meant)
}

fn translated(stream: &TcpStream, bound: SocketAddr) -> Option<SocketAddr> {
    let socket = SockRef::from(stream);
    // Fails where conntrack is absent, and then nothing was translated.
    let kept = match bound {
        SocketAddr::V4(_) => socket.original_dst_v4(),
        SocketAddr::V6(_) => socket.original_dst_v6(),
    };
    kept.ok()?.as_socket().map(canonical)
}

/// Whether this host has the address: only then a socket can be bound to it. With `ip_nonlocal_bind` it can be bound to
/// any, and every connection passes for one that was meant for this host; better refused than sent in circles.
fn is_own(ip: IpAddr) -> bool {
    // A link-local address cannot be bound without its interface, and nobody forwards it: it is ours.
    let link_local = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
    link_local || UdpSocket::bind((ip, 0)).is_ok()
}

/// Lets a socket that will be bound to `ip` have an address that is not this host's, if this process may.
pub(crate) fn prepare(owner: Owner, socket: &TcpSocket, ip: IpAddr) {
    if owner == Owner::Us {
        return;
    }
    let socket = SockRef::from(socket);
    let made = match ip {
        IpAddr::V4(_) => socket.set_ip_transparent_v4(true),
        IpAddr::V6(_) => socket.set_ip_transparent_v6(true),
    };
    if let Err(error) = made {
        tracing::debug!(%error, "IP_TRANSPARENT not set: only redirected connections can be taken in");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_meant_for_others_and_comes_from_others_is_intercepted() {
        // This host is 198.51.100.1 and 2001:db8::1.
        let own = ["198.51.100.1", "2001:db8::1", "127.0.0.1"];
        let own = own.map(|ip| ip.parse::<IpAddr>().unwrap());
        let table = [
            // redirected
            (
                "198.51.100.1:2121",
                Some("203.0.113.5:21"),
                "192.0.2.7:4000",
                Some("203.0.113.5:21"),
            ),
            (
                "[2001:db8::1]:2121",
                Some("[2001:db8:5::2]:21"),
                "[2001:db8:c::2]:4000",
                Some("[2001:db8:5::2]:21"),
            ),
            // by tproxy, with and without conntrack
            (
                "203.0.113.5:21",
                Some("203.0.113.5:21"),
                "192.0.2.7:4000",
                Some("203.0.113.5:21"),
            ),
            (
                "203.0.113.5:21",
                None,
                "192.0.2.7:4000",
                Some("203.0.113.5:21"),
            ),
            // dialled here
            ("198.51.100.1:2121", None, "192.0.2.7:4000", None),
            (
                "198.51.100.1:2121",
                Some("198.51.100.1:2121"),
                "192.0.2.7:4000",
                None,
            ),
            (
                "198.51.100.1:2121",
                Some("198.51.100.1:21"),
                "192.0.2.7:4000",
                None,
            ),
            // our own, come round
            (
                "198.51.100.1:2121",
                Some("203.0.113.5:21"),
                "198.51.100.1:4000",
                None,
            ),
            (
                "127.0.0.1:2121",
                Some("203.0.113.5:21"),
                "127.0.0.1:4000",
                None,
            ),
        ];
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (bound, kept, peer, meant) in table {
            let told = judge(at(bound), kept.map(at), at(peer), |ip| own.contains(&ip));
            assert_eq!(told, meant.map(at), "{bound} {kept:?} from {peer}");
        }
    }

    #[test]
    fn an_address_of_this_host_is_known_and_one_for_documentation_is_not() {
        assert!(is_own("127.0.0.1".parse().unwrap()));
        assert!(is_own("fe80::1".parse().unwrap()));
        assert!(!is_own("203.0.113.77".parse().unwrap()));
    }
}
