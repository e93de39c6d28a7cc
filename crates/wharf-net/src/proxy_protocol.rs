//! The PROXY protocol, versions 1 and 2: a TCP balancer tells who has really connected, and to where.
//!
//! Without it a server behind a balancer takes the balancer for its client: PORT names a foreign address, 227 names
//! one that no client can reach, and all clients share the limits of one. With it every connection from a balancer,
//! control and data alike, begins with a header; [`ProxyProtocol`] reads it below everything else, so that whoever
//! accepts a connection sees the told addresses and nothing of the header.
//!
//! The specification wants a receiver that expects the header to accept nothing without one, and one that does not to
//! look for none: otherwise anybody could claim any address. Who is a balancer is therefore a matter of networks that
//! the administrator lists. Deliberately absent: sending the header, and all that version 2 can carry besides addresses.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;
use tracing::Instrument;
use wharf_proto::data_connection::advertise::Network;

use crate::conn::Conn;
use crate::mapping::PortMapper;
use crate::net::{Flow, ListenAt, Listener, Net, Source};

/// A balancer sends its header at once; whoever does not is none.
const PATIENCE: Duration = Duration::from_secs(5);

/// So many connections of one listener may be without their header at the same time; a further one is reset.
const AT_ONCE: usize = 256;

/// The longest header of version 1, line end included.
const LONGEST_V1: usize = 107;

/// The most that may follow the fixed part of version 2. Addresses take 216 at most; TLS details, names and checksums
/// that balancers add come to some hundred.
const LONGEST_V2: usize = 4096;

/// How much every header has at least: `PROXY UNKNOWN` without its line end is longer, and so is the fixed part of
/// version 2. Never a byte too many is read: what follows is the client's.
const BEGINNING: usize = 12;
const SIGNATURE_V2: &[u8; BEGINNING] = b"\r\n\r\n\0\r\nQUIT\n";

/// The networks whose connections begin with a header. Shared between a server and its listeners, so that a new
/// configuration holds for the next connection.
#[derive(Clone, Debug, Default)]
pub struct Balancers(Arc<RwLock<Vec<Network>>>);

impl Balancers {
    /// These networks and no others.
    pub fn new(networks: Vec<Network>) -> Self {
        Self(Arc::new(RwLock::new(networks)))
    }

    /// These networks from now on.
    pub fn set(&self, networks: Vec<Network>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = networks;
    }

    /// Whether this is the address of a balancer.
    pub fn include(&self, address: IpAddr) -> bool {
        let networks = self.0.read().unwrap_or_else(PoisonError::into_inner);
        networks.iter().any(|network| network.contains(address))
    }
}

/// A network whose listeners read the headers of balancers.
pub struct ProxyProtocol {
    below: Arc<dyn Net>,
    balancers: Balancers,
}

impl ProxyProtocol {
    /// `below`, with headers on connections from `balancers`.
    pub fn new(below: Arc<dyn Net>, balancers: Balancers) -> Self {
        Self { below, balancers }
    }
}

#[async_trait]
impl Net for ProxyProtocol {
    async fn connect(&self, from: Source, to: std::net::SocketAddr) -> io::Result<Conn> {
        self.below.connect(from, to).await
    }

    async fn listen(&self, at: ListenAt) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(Fronted {
            below: self.below.listen(at).await?,
            balancers: self.balancers.clone(),
            reading: JoinSet::new(),
        }))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<std::net::SocketAddr>> {
        self.below.resolve(host, port).await
    }

    fn descriptors(&self) -> usize {
        self.below.descriptors()
    }

    fn own_address(&self) -> Option<IpAddr> {
        self.below.own_address()
    }

    fn mapper(&self) -> Option<Arc<dyn PortMapper>> {
        self.below.mapper()
    }
}

/// A listener some of whose connections come from balancers.
struct Fronted {
    below: Box<dyn Listener>,
    balancers: Balancers,
    /// One task a header, for a slow balancer must not keep others waiting
    reading: JoinSet<Option<Conn>>,
}

#[async_trait]
impl Listener for Fronted {
    async fn accept(&mut self) -> io::Result<Conn> {
        loop {
            let conn = tokio::select! {
                biased;
                Some(read) = self.reading.join_next() => match read {
                    Ok(Some(conn)) => return Ok(conn),
                    Ok(None) | Err(_) => continue,
                },
                accepted = self.below.accept() => accepted?,
            };
            let balancer = conn.peer_addr();
            if !self.balancers.include(balancer.ip()) {
                return Ok(conn);
            }
            if self.reading.len() >= AT_ONCE {
                tracing::warn!(%balancer, "too many connections without a PROXY header: reset");
                conn.abort();
                continue;
            }
            let reading = async move {
                match read_header(conn, PATIENCE).await {
                    Ok(conn) => Some(conn),
                    // A health check that only wants to know whether somebody listens
                    Err(HeaderError::Nothing) => None,
                    Err(error) => {
                        tracing::warn!(%balancer, %error, "no PROXY header from a balancer: reset");
                        None
                    }
                }
            };
            self.reading.spawn(reading.in_current_span());
        }
    }

    fn local_addr(&self) -> std::net::SocketAddr {
        self.below.local_addr()
    }

    fn announce(&mut self, flow: Flow) {
        self.below.announce(flow);
    }
}

/// Why a connection has no header. It has been reset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The connection ended without a byte.
    #[error("ended without a byte")]
    Nothing,
    /// It begins with something else.
    #[error("it does not begin with a PROXY protocol header")]
    Missing,
    /// It begins like one and is none, or is not about TCP.
    #[error("malformed header")]
    Malformed,
    /// It is longer than any that balancers send.
    #[error("header of {0} bytes")]
    TooLong(usize),
    /// It did not arrive in time.
    #[error("no header in {} s", .0.as_secs())]
    Silent(Duration),
    /// The connection ended before it was complete.
    #[error("ended before the header was complete")]
    Ended,
    /// The connection broke.
    #[error(transparent)]
    Io(io::Error),
}

/// Reads the header at the beginning of `conn`, exactly and within `patience`, and gives the connection the addresses
/// that it tells. A header that tells none (`UNKNOWN`, `LOCAL`: the balancer speaks for itself) leaves them.
///
/// # Errors
/// [`HeaderError`]; the connection has then been reset.
pub async fn read_header(mut conn: Conn, patience: Duration) -> Result<Conn, HeaderError> {
    let read = tokio::time::timeout(patience, read(&mut conn)).await;
    match read.unwrap_or(Err(HeaderError::Silent(patience))) {
        Ok(None) => Ok(conn),
        Ok(Some(told)) => {
            tracing::debug!(balancer = %conn.peer_addr(), peer = %told.source, reached = %told.destination, "told by PROXY protocol");
            Ok(conn.with_addresses(told.destination, told.source))
        }
        Err(error) => {
            conn.abort();
            Err(error)
        }
    }
}

async fn read(conn: &mut Conn) -> Result<Option<proxy_header::ProxiedAddress>, HeaderError> {
    let mut header = vec![0; 1];
    fill(conn, &mut header, 0)
        .await
        .map_err(|error| match error {
            HeaderError::Ended => HeaderError::Nothing,
            other => other,
        })?;
    header.resize(BEGINNING, 0);
    fill(conn, &mut header, 1).await?;
    if header == SIGNATURE_V2 {
        header.resize(BEGINNING + 4, 0);
        fill(conn, &mut header, BEGINNING).await?;
        let [.., high, low] = *header.as_slice() else {
            return Err(HeaderError::Malformed);
        };
        let rest = usize::from(u16::from_be_bytes([high, low]));
        if rest > LONGEST_V2 {
            return Err(HeaderError::TooLong(BEGINNING + 4 + rest));
        }
        header.resize(BEGINNING + 4 + rest, 0);
        fill(conn, &mut header, BEGINNING + 4).await?;
    } else if header.starts_with(b"PROXY ") {
        // Byte by byte: the length is not known, and what follows the line end is not ours.
        while !header.ends_with(b"\r\n") {
            let length = header.len();
            if length >= LONGEST_V1 {
                return Err(HeaderError::TooLong(length));
            }
            header.push(0);
            fill(conn, &mut header, length).await?;
        }
    } else {
        return Err(HeaderError::Missing);
    }
    let config = ParseConfig {
        include_tlvs: false,
        ..ParseConfig::default()
    };
    let (parsed, length) =
        ProxyHeader::parse(&header, config).map_err(|_| HeaderError::Malformed)?;
    if length != header.len() {
        return Err(HeaderError::Malformed);
    }
    match parsed.proxied_address() {
        Some(told) if told.protocol != Protocol::Stream => Err(HeaderError::Malformed),
        told => Ok(told.cloned()),
    }
}

/// Reads `into` full from `at` on.
async fn fill(conn: &mut Conn, into: &mut [u8], at: usize) -> Result<(), HeaderError> {
    let Some(rest) = into.get_mut(at..) else {
        return Ok(());
    };
    match conn.read_exact(rest).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(HeaderError::Ended),
        Err(error) => Err(HeaderError::Io(error)),
    }
}

#[cfg(test)]
mod tests;
