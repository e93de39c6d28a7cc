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
mod tests {
    use std::net::SocketAddr;

    use tokio::io::AsyncWriteExt;

    use super::*;

    const BALANCER: &str = "10.0.0.2:33000";
    const OWN: &str = "10.0.0.9:2121";

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let mut header = SIGNATURE_V2.to_vec();
        header.extend([command, family]);
        header.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        header.extend(body);
        header
    }

    /// What becomes of a connection that begins with these bytes, and the bytes that are left of it
    async fn play(bytes: &[u8]) -> Result<(SocketAddr, SocketAddr, Vec<u8>), HeaderError> {
        let (mut far, near) = tokio::io::duplex(64);
        let conn = Conn::foreign(Box::new(near), at(OWN), at(BALANCER));
        let bytes = bytes.to_vec();
        let writing = tokio::spawn(async move {
            // In pieces, and the end of a stream that was given up is no error of the test.
            for piece in bytes.chunks(5) {
                if far.write_all(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
        let mut conn = read_header(conn, PATIENCE).await?;
        let mut left = Vec::new();
        conn.read_to_end(&mut left).await.unwrap();
        writing.await.unwrap();
        assert_eq!(conn.bound_addr(), at(OWN));
        Ok((conn.peer_addr(), conn.local_addr(), left))
    }

    #[tokio::test(start_paused = true)]
    async fn headers_tell_who_has_connected_and_to_where() {
        let v4 = [203, 0, 113, 7, 198, 51, 100, 9, 0x9c, 0x40, 0, 21];
        let mut v6 = [0; 36];
        v6[..4].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
        v6[15] = 7;
        v6[16..20].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
        v6[31] = 9;
        v6[32..].copy_from_slice(&[0x9c, 0x40, 0, 21]);
        let mut tlvs = v4.to_vec();
        tlvs.extend([4, 0, 100]);
        tlvs.extend([0; 100]);
        let long = |length: usize| {
            let mut body = v4.to_vec();
            body.resize(length, 0);
            v2(0x21, 0x11, &body)
        };
        let (told_v4, told_v6) = (
            ("203.0.113.7:40000", "198.51.100.9:21"),
            ("[2001:db8::7]:40000", "[2001:db8::9]:21"),
        );
        let own = (BALANCER, OWN);
        let table: &[(&str, Vec<u8>, (&str, &str))] = &[
            (
                "v1 IPv4",
                b"PROXY TCP4 203.0.113.7 198.51.100.9 40000 21\r\n".to_vec(),
                told_v4,
            ),
            (
                "v1 IPv6",
                b"PROXY TCP6 2001:db8::7 2001:db8::9 40000 21\r\n".to_vec(),
                told_v6,
            ),
            ("v1 unknown", b"PROXY UNKNOWN\r\n".to_vec(), own),
            (
                "v1, the longest one",
                b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n".to_vec(),
                own,
            ),
            ("v2 IPv4", v2(0x21, 0x11, &v4), told_v4),
            ("v2 IPv6", v2(0x21, 0x21, &v6), told_v6),
            (
                "v2 with more behind the addresses",
                v2(0x21, 0x11, &tlvs),
                told_v4,
            ),
            ("v2, a long one", long(LONGEST_V2), told_v4),
            ("v2 local", v2(0x20, 0x00, &[]), own),
            ("v2 local with addresses", v2(0x20, 0x11, &v4), own),
            ("v2 unspecified", v2(0x21, 0x00, &[]), own),
            ("v2 Unix", v2(0x21, 0x31, &[0; 216]), own),
        ];
        for (name, header, (peer, local)) in table {
            for rest in [&b""[..], b"USER ann\r\n", SIGNATURE_V2, b"PROXY "] {
                let bytes = [header, rest].concat();
                let (told, reached, left) = play(&bytes).await.expect(name);
                assert_eq!((told, reached), (at(peer), at(local)), "{name}");
                assert_eq!(left, rest, "{name}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_header_is_reset() {
        let v4 = [203, 0, 113, 7, 198, 51, 100, 9, 0x9c, 0x40, 0, 21];
        let mut endless = b"PROXY TCP4 ".to_vec();
        endless.resize(4000, b'1');
        let table: &[(&str, Vec<u8>, &str)] = &[
            ("nothing", Vec::new(), "Nothing"),
            ("FTP", b"USER ann\r\nPASS secret\r\n".to_vec(), "Missing"),
            (
                "TLS",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00".to_vec(),
                "Missing",
            ),
            (
                "no space",
                b"PROXYTCP4 1.2.3.4 1.2.3.4 1 1\r\n".to_vec(),
                "Missing",
            ),
            (
                "small letters",
                b"proxy tcp4 1.2.3.4 1.2.3.4 1 1\r\n".to_vec(),
                "Missing",
            ),
            ("half", b"PROXY TCP4 203.0.113.7 198".to_vec(), "Ended"),
            (
                "no such family",
                b"PROXY UDP4 203.0.113.7 198.51.100.9 40000 21\r\n".to_vec(),
                "Malformed",
            ),
            (
                "no address",
                b"PROXY TCP4 nobody 198.51.100.9 40000 21\r\n".to_vec(),
                "Malformed",
            ),
            (
                "wrong family",
                b"PROXY TCP4 2001:db8::7 2001:db8::9 40000 21\r\n".to_vec(),
                "Malformed",
            ),
            (
                "no port",
                b"PROXY TCP4 203.0.113.7 198.51.100.9 70000 21\r\n".to_vec(),
                "Malformed",
            ),
            ("endless", endless, "TooLong"),
            ("v2, half a signature", SIGNATURE_V2[..8].to_vec(), "Ended"),
            ("v2, half", v2(0x21, 0x11, &v4)[..20].to_vec(), "Ended"),
            (
                "v2, too short for its addresses",
                v2(0x21, 0x11, &v4[..8]),
                "Malformed",
            ),
            ("v2, version 3", v2(0x31, 0x11, &v4), "Malformed"),
            ("v2, no such command", v2(0x22, 0x11, &v4), "Malformed"),
            ("v2, no such family", v2(0x21, 0x41, &v4), "Malformed"),
            ("v2, UDP", v2(0x21, 0x12, &v4), "Malformed"),
            (
                "v2, too long",
                v2(0x21, 0x11, &[0; LONGEST_V2 + 1]),
                "TooLong",
            ),
        ];
        for (name, bytes, want) in table {
            let error = play(bytes).await.expect_err(name);
            let got = match error {
                HeaderError::Nothing => "Nothing",
                HeaderError::Missing => "Missing",
                HeaderError::Malformed => "Malformed",
                HeaderError::TooLong(_) => "TooLong",
                HeaderError::Silent(_) => "Silent",
                HeaderError::Ended => "Ended",
                HeaderError::Io(_) => "Io",
            };
            assert_eq!(got, *want, "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_says_nothing_is_no_balancer() {
        for beginning in [&b""[..], b"PROXY ", b"PROXY TCP4 203.0.113.7", SIGNATURE_V2] {
            let (mut far, near) = tokio::io::duplex(64);
            far.write_all(beginning).await.unwrap();
            let conn = Conn::foreign(Box::new(near), at(OWN), at(BALANCER));
            let error = read_header(conn, PATIENCE).await.unwrap_err();
            assert!(matches!(error, HeaderError::Silent(PATIENCE)), "{error}");
        }
    }

    /// Whatever a parser is given, it answers
    #[tokio::test(start_paused = true)]
    async fn damaged_headers_do_no_harm() {
        let v4 = [203, 0, 113, 7, 198, 51, 100, 9, 0x9c, 0x40, 0, 21];
        for header in [
            b"PROXY TCP4 203.0.113.7 198.51.100.9 40000 21\r\n".to_vec(),
            v2(0x21, 0x11, &v4),
        ] {
            for place in 0..header.len() {
                for byte in [0, b' ', b'\r', b'\n', b'9', 0x21, 0xff] {
                    let mut damaged = header.clone();
                    damaged[place] = byte;
                    let _ = play(&damaged).await;
                }
            }
        }
    }

    #[test]
    fn balancers_are_networks_that_may_change() {
        let balancers = Balancers::default();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(!balancers.include(ip("10.0.0.2")));
        let listener = balancers.clone();
        balancers.set(vec![
            "10.0.0.0/24".parse().unwrap(),
            "2001:db8::/64".parse().unwrap(),
        ]);
        for (address, want) in [
            ("10.0.0.2", true),
            ("::ffff:10.0.0.2", true),
            ("10.0.1.2", false),
            ("2001:db8::2", true),
            ("2001:db8:1::2", false),
        ] {
            assert_eq!(listener.include(ip(address)), want, "{address}");
        }
    }
}
