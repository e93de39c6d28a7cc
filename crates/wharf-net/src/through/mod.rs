//! A network that is reached through a proxy: SOCKS 4, 4a and 5 (RFC 1928, 1929), HTTP CONNECT (RFC 9110 §9.3.6).
//!
//! [`Through`] is a [`Net`] over another: control and data connections alike go to the proxy, say where they want to be
//! led, and have from then on the addresses of the two ends that matter. Behind the handshake a connection is what it was
//! (a TCP connection stays one). Connections *from* the server (active data connections) are possible where the proxy
//! knows BIND, which is SOCKS; HTTP proxies open connections only outwards.
//!
//! Names that the proxy shall resolve get a [stand-in](is_stand_in) for an address, from a block that nobody has, so that
//! everything above can go on to think in addresses; on the way to the proxy it becomes the name again.
//!
//! Deliberately absent: which proxy is used for whom, the FTP dialogue of FTP proxies, UDP, chains of proxies.

mod bind;
mod connect;
mod stand_in;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use wharf_proto::Secret;

use crate::conn::Conn;
use crate::net::{ListenAt, Listener, Net, Source};
use crate::tls::UserTls;

use stand_in::StandIns;
pub use stand_in::is_stand_in;

/// So long a proxy may take over its own part: TLS with it, or a listener of its own.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// SOCKS 4: IPv4 addresses alone.
    Socks4,
    /// SOCKS 4a: the proxy resolves names.
    Socks4a,
    /// SOCKS 5, names are resolved here.
    Socks5,
    /// SOCKS 5, the proxy resolves names.
    Socks5h,
    /// HTTP/1.1 CONNECT; the proxy resolves names.
    Http,
    /// The same in TLS.
    Https,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Socks4,
        Self::Socks4a,
        Self::Socks5,
        Self::Socks5h,
        Self::Http,
        Self::Https,
    ];

    /// What stands before `://`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Socks4 => "socks4",
            Self::Socks4a => "socks4a",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port when none is named: as curl has it, 1080, and 443 in TLS.
    pub fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            _ => 1080,
        }
    }

    /// Whether it is the proxy that resolves names.
    pub fn resolves(self) -> bool {
        !matches!(self, Self::Socks4 | Self::Socks5)
    }

    /// Whether it can take connections for us (BIND), which active data connections need.
    pub fn listens(self) -> bool {
        !matches!(self, Self::Http | Self::Https)
    }
}

/// Where a proxy is and who asks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// What it speaks.
    pub protocol: Protocol,
    /// Its name or address; IPv6 addresses without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User, at most 255 bytes. SOCKS 4 sends it as the user id.
    pub user: Option<String>,
    /// Password of the user, at most 255 bytes of UTF-8.
    pub password: Option<Secret>,
}

impl fmt::Display for Proxy {
    /// For messages: without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        write!(f, "{}://", self.protocol.word())?;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

/// Why a connection through a proxy did not come about; found inside an `io::Error`, see [`ProxyError::of`].
#[derive(Debug)]
pub struct ProxyError {
    proxy: String,
    what: String,
}

impl ProxyError {
    fn boxed(kind: io::ErrorKind, proxy: &Proxy, what: impl Into<String>) -> io::Error {
        io::Error::new(
            kind,
            Self {
                proxy: proxy.to_string(),
                what: what.into(),
            },
        )
    }

    /// The proxy's refusal inside an error of [`Net::connect`] or [`Net::listen`], if that is what it is.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy {}: {}", self.proxy, self.what)
    }
}

impl std::error::Error for ProxyError {}

/// The network behind a proxy.
pub struct Through {
    below: Arc<dyn Net>,
    proxy: Proxy,
    /// For [`Protocol::Https`]
    tls: Option<UserTls>,
    names: StandIns,
}

/// Where a connection shall lead.
enum Destination {
    Address(SocketAddr),
    /// To be resolved by the proxy
    Name(String, u16),
}

impl Through {
    /// `below` leads to the proxy. `tls` judges the certificate of a [`Protocol::Https`] proxy and is of no use to others.
    pub fn new(below: Arc<dyn Net>, proxy: Proxy, tls: Option<UserTls>) -> Self {
        Self {
            below,
            proxy,
            tls,
            names: StandIns::default(),
        }
    }

    fn destination(&self, to: SocketAddr) -> Destination {
        match self.names.name(to.ip()) {
            Some(name) => Destination::Name(name, to.port()),
            None => Destination::Address(to),
        }
    }

    fn error(&self, kind: io::ErrorKind, what: impl Into<String>) -> io::Error {
        ProxyError::boxed(kind, &self.proxy, what)
    }

    /// A connection to the proxy itself. From any address of ours: where the server sees us is the proxy's business.
    async fn to_proxy(&self) -> io::Result<Conn> {
        let Proxy { host, port, .. } = &self.proxy;
        let unreachable =
            |error: io::Error| self.error(error.kind(), format!("it cannot be reached: {error}"));
        let addresses = self.below.resolve(host, *port).await.map_err(unreachable)?;
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in addresses {
            match self.below.connect(Source::Any, address).await {
                Ok(conn) if self.proxy.protocol == Protocol::Https => {
                    return self.in_tls(conn).await;
                }
                Ok(conn) => return Ok(conn),
                Err(error) => last = error,
            }
        }
        Err(unreachable(last))
    }

    /// The TLS of the proxy. What comes out says of itself that it is in clear: that of the server comes inside it.
    async fn in_tls(&self, conn: Conn) -> io::Result<Conn> {
        let failed =
            |what: String| self.error(io::ErrorKind::PermissionDenied, format!("no TLS: {what}"));
        let tls = self
            .tls
            .as_ref()
            .ok_or_else(|| failed("not set up".to_owned()))?;
        let session = tls.session(&self.proxy.host);
        let session = session.map_err(|error| failed(error.to_string()))?;
        let secured = session.secure_control(conn, PATIENCE).await;
        let secured = secured.map_err(|error| failed(error.to_string()))?;
        let (local, peer) = (secured.local_addr(), secured.peer_addr());
        Ok(Conn::foreign(Box::new(secured), local, peer))
    }
}

#[async_trait]
impl Net for Through {
    /// `from` is not asked for: the proxy chooses where its connection comes from.
    async fn connect(&self, _: Source, to: SocketAddr) -> io::Result<Conn> {
        let destination = self.destination(to);
        let conn = self.to_proxy().await?;
        let (conn, outside) = connect::lead(&self.proxy, conn, &destination).await?;
        // What the server sees of us, where the proxy tells it
        let local = outside
            .filter(|it| !it.ip().is_unspecified())
            .unwrap_or_else(|| conn.local_addr());
        Ok(conn.with_addresses(local, to))
    }

    /// The proxy listens, at an address and port of its own choice; `at` says only who is expected.
    async fn listen(&self, at: ListenAt) -> io::Result<Box<dyn Listener>> {
        let unsupported = |what| Err(self.error(io::ErrorKind::Unsupported, what));
        if !self.proxy.protocol.listens() {
            return unsupported("it opens connections and takes none");
        }
        let Some(expected) = at.expecting else {
            return unsupported("it must be told who is expected");
        };
        let destination = self.destination(expected);
        let binding = async {
            let conn = self.to_proxy().await?;
            bind::listen(&self.proxy, conn, &destination, expected).await
        };
        match tokio::time::timeout(PATIENCE, binding).await {
            Ok(bound) => bound,
            Err(_elapsed) => Err(self.error(io::ErrorKind::TimedOut, "no answer to BIND")),
        }
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if !self.proxy.protocol.resolves() {
            let mut found = self.below.resolve(host, port).await?;
            if self.proxy.protocol == Protocol::Socks4 {
                found.retain(SocketAddr::is_ipv4);
            }
            return Ok(found);
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let stand_in = self.names.stand_in(host).ok_or_else(|| {
            self.error(io::ErrorKind::QuotaExceeded, "too many names for one run")
        })?;
        Ok(vec![SocketAddr::new(stand_in.into(), port)])
    }

    fn descriptors(&self) -> usize {
        self.below.descriptors()
    }
}

#[cfg(test)]
mod tests;
