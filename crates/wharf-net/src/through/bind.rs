//! BIND: the proxy listens for one connection, the server's, and hands it to us on the connection that asked for it.

use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use async_trait::async_trait;
use tokio_socks::tcp::{Socks4Listener, Socks5Listener};

use super::connect::{address, login, refusal};
use super::{Destination, Protocol, Proxy, ProxyError};
use crate::conn::{Conn, canonical};
use crate::net::Listener;

/// A listener on the proxy. It takes one connection, which is all that a data connection needs.
struct Bound {
    /// Where the proxy listens
    local: SocketAddr,
    arriving: Option<Pin<Box<dyn Future<Output = io::Result<Conn>> + Send>>>,
}

/// Asks the proxy to listen for `expected`, which is `destination` in the proxy's words.
///
/// # Errors
/// What the proxy says; [`ProxyError`] inside.
pub(super) async fn listen(
    proxy: &Proxy,
    conn: Conn,
    destination: &Destination,
    expected: SocketAddr,
) -> io::Result<Box<dyn Listener>> {
    let target = destination.target(proxy)?;
    let login = login(proxy)?;
    let by = conn.peer_addr();
    let named = matches!(destination, Destination::Name(..));
    let refused = |error| refusal(proxy, &error);
    let proxy = proxy.clone();
    let socks4 = matches!(proxy.protocol, Protocol::Socks4 | Protocol::Socks4a);
    let (told, arriving): (_, Pin<Box<dyn Future<Output = _> + Send>>) = if socks4 {
        let bound = match login {
            Some((user, _)) => Socks4Listener::bind_with_user_and_socket(conn, target, user).await,
            None => Socks4Listener::bind_with_socket(conn, target).await,
        };
        let bound = bound.map_err(refused)?;
        let told = address(&bound.bind_addr());
        let arriving = async move {
            let stream = bound.accept().await?;
            let peer = address(&stream.target_addr());
            Ok((stream.into_inner(), peer))
        };
        (told, Box::pin(arriving))
    } else {
        let bound = match login {
            Some((user, password)) => {
                Socks5Listener::bind_with_password_and_socket(conn, target, user, password).await
            }
            None => Socks5Listener::bind_with_socket(conn, target).await,
        };
        let bound = bound.map_err(refused)?;
        let told = address(&bound.bind_addr());
        let arriving = async move {
            let stream = bound.accept().await?;
            let peer = address(&stream.target_addr());
            Ok((stream.into_inner(), peer))
        };
        (told, Box::pin(arriving))
    };
    let Some(told) = told.filter(|it| it.port() != 0) else {
        let what = "it does not say where it listens";
        return Err(ProxyError::boxed(io::ErrorKind::InvalidData, &proxy, what));
    };
    // 0.0.0.0 is the address at which the proxy is known.
    let local = match told.ip() {
        ip if ip.is_unspecified() => SocketAddr::new(by.ip(), told.port()),
        _ => canonical(told),
    };
    let arriving = async move {
        let arrived: Result<(Conn, Option<SocketAddr>), tokio_socks::Error> = arriving.await;
        let (conn, told) = arrived.map_err(|error| refusal(&proxy, &error))?;
        // Whom we know by a name alone only the proxy can recognise, and it was told whom to let in.
        let peer = match told {
            Some(told) if !named && !told.ip().is_unspecified() => told,
            told => SocketAddr::new(expected.ip(), told.map_or(0, |it| it.port())),
        };
        Ok(conn.with_addresses(local, peer))
    };
    Ok(Box::new(Bound {
        local,
        arriving: Some(Box::pin(arriving)),
    }))
}

#[async_trait]
impl Listener for Bound {
    async fn accept(&mut self) -> io::Result<Conn> {
        let Some(arriving) = &mut self.arriving else {
            return pending().await;
        };
        let arrived = arriving.await;
        self.arriving = None;
        arrived
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}
