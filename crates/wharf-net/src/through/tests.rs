//! What is said to proxies and what is made of their answers, as tables of bytes.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use wharf_proto::Text;

use super::*;

const OWN: &str = "192.0.2.10:40000";
const PROXY: &str = "192.0.2.1:1080";
const SERVER: &str = "198.51.100.9:21";

/// A network in which everybody who is called is the proxy.
struct ToProxy(Mutex<Option<DuplexStream>>);

#[async_trait]
impl Net for ToProxy {
    async fn connect(&self, _: Source, to: SocketAddr) -> io::Result<Conn> {
        let near = self.0.lock().unwrap().take();
        let near = near.ok_or(io::ErrorKind::ConnectionRefused)?;
        Ok(Conn::foreign(Box::new(near), at(OWN), to))
    }

    async fn listen(&self, _: ListenAt) -> io::Result<Box<dyn Listener>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        match host {
            "proxy.example" => Ok(vec![at(PROXY)]),
            "both.example" => Ok(vec![
                SocketAddr::new("2001:db8::9".parse().unwrap(), port),
                SocketAddr::new(at(SERVER).ip(), port),
            ]),
            _ => match host.parse() {
                Ok(ip) => Ok(vec![SocketAddr::new(ip, port)]),
                Err(_) => Err(io::ErrorKind::NotFound.into()),
            },
        }
    }
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn proxy(protocol: Protocol, login: Option<(&str, &str)>) -> Proxy {
    Proxy {
        protocol,
        host: "proxy.example".to_owned(),
        port: 1080,
        user: login.map(|(user, _)| user.to_owned()),
        password: login.map(|(_, password)| Secret::new(Text::lossy(password))),
    }
}

fn through(proxy: Proxy) -> (Through, DuplexStream) {
    let (near, far) = tokio::io::duplex(4096);
    let net = Arc::new(ToProxy(Mutex::new(Some(near))));
    (Through::new(net, proxy, None), far)
}

/// The proxy's part: what it must hear and what it says then, in turns.
async fn plays(mut far: DuplexStream, turns: &[(&[u8], &[u8])]) -> DuplexStream {
    for (heard, said) in turns {
        let mut request = vec![0; heard.len()];
        far.read_exact(&mut request).await.unwrap();
        assert_eq!(request, *heard, "{}", request.escape_ascii());
        far.write_all(said).await.unwrap();
    }
    far
}

const HELLO5: (&[u8], &[u8]) = (b"\x05\x01\x00", b"\x05\x00");
/// 198.51.100.9:21
const SERVER5: &[u8] = b"\x05\x01\x00\x01\xc6\x33\x64\x09\x00\x15";

type Login = Option<(&'static str, &'static str)>;
type Dialogue = Vec<(&'static [u8], &'static [u8])>;

#[tokio::test]
async fn every_protocol_leads_to_the_server_and_takes_nothing_of_its_greeting() {
    use Protocol::*;
    let some = Some(("me", "secret"));
    let outside = "203.0.113.1:50000";
    let cases: Vec<(Protocol, Login, &str, Dialogue, &str)> = vec![
        (
            Socks5,
            None,
            "198.51.100.9",
            vec![
                HELLO5,
                (SERVER5, b"\x05\x00\x00\x01\xcb\x00\x71\x01\xc3\x50220 hello"),
            ],
            outside,
        ),
        (
            Socks5h,
            some,
            "ftp.example",
            vec![
                (b"\x05\x02\x00\x02", b"\x05\x02"),
                (b"\x01\x02me\x06secret", b"\x01\x00"),
                (
                    b"\x05\x01\x00\x03\x0bftp.example\x00\x15",
                    b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00220 hello",
                ),
            ],
            OWN,
        ),
        (
            Socks4,
            None,
            "198.51.100.9",
            vec![(
                b"\x04\x01\x00\x15\xc6\x33\x64\x09\x00",
                b"\x00\x5a\x00\x00\x00\x00\x00\x00220 hello",
            )],
            OWN,
        ),
        (
            Socks4a,
            Some(("me", "")),
            "ftp.example",
            vec![(
                b"\x04\x01\x00\x15\x00\x00\x00\x01me\x00ftp.example\x00",
                b"\x00\x5a\x00\x00\x00\x00\x00\x00220 hello",
            )],
            OWN,
        ),
        (
            Http,
            None,
            "ftp.example",
            vec![(
                b"CONNECT ftp.example:21 HTTP/1.1\r\nHost: ftp.example:21\r\n\r\n",
                b"HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n220 hello",
            )],
            OWN,
        ),
        (
            Http,
            some,
            "2001:db8::9",
            vec![(
                b"CONNECT [2001:db8::9]:21 HTTP/1.1\r\nHost: [2001:db8::9]:21\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n",
                b"HTTP/1.1 200 OK\r\n\r\n220 hello",
            )],
            OWN,
        ),
    ];
    for (protocol, login, host, turns, local) in cases {
        let (net, far) = through(proxy(protocol, login));
        let led = async {
            let to = net.resolve(host, 21).await.unwrap();
            let mut conn = net.connect(Source::Any, to[0]).await.unwrap();
            assert_eq!(conn.peer_addr(), to[0], "{protocol:?}");
            assert_eq!(conn.local_addr(), at(local), "{protocol:?}");
            let mut greeting = [0; 9];
            conn.read_exact(&mut greeting).await.unwrap();
            assert_eq!(&greeting, b"220 hello", "{protocol:?}");
        };
        tokio::join!(led, plays(far, &turns));
    }
}

#[tokio::test]
async fn refusals_are_what_connect_would_have_said() {
    use io::ErrorKind::*;
    let socks5 = |code: u8| -> Vec<(&[u8], Vec<u8>)> {
        let reply = vec![5, code, 0, 1, 0, 0, 0, 0, 0, 0];
        vec![(HELLO5.0, HELLO5.1.to_vec()), (SERVER5, reply)]
    };
    let http = |answer: &[u8]| -> Vec<(&[u8], Vec<u8>)> {
        let request: &[u8] = b"CONNECT 198.51.100.9:21 HTTP/1.1\r\nHost: 198.51.100.9:21\r\n\r\n";
        vec![(request, answer.to_vec())]
    };
    let (five, web) = (Protocol::Socks5, Protocol::Http);
    let cases = [
        (five, socks5(5), ConnectionRefused, "connection refused"),
        (five, socks5(4), HostUnreachable, "host unreachable"),
        (five, socks5(3), NetworkUnreachable, "network unreachable"),
        (five, socks5(6), TimedOut, "TTL expired"),
        (five, socks5(2), PermissionDenied, "not allowed by ruleset"),
        (five, socks5(99), PermissionDenied, "no meaning"),
        (
            five,
            vec![(HELLO5.0, vec![5, 255])],
            PermissionDenied,
            "wants a user",
        ),
        (
            five,
            vec![(HELLO5.0, b"HT".to_vec())],
            InvalidData,
            "no SOCKS proxy",
        ),
        (five, vec![(HELLO5.0, Vec::new())], UnexpectedEof, "broke"),
        (
            web,
            http(b"HTTP/1.1 407 No\r\n\r\n"),
            PermissionDenied,
            "wants a user",
        ),
        (
            web,
            http(b"HTTP/1.1 403 \x1b[2J\r\n\r\n"),
            InvalidData,
            "no HTTP proxy",
        ),
        (
            web,
            http(b"HTTP/1.1 403 Forbidden\r\n\r\n"),
            PermissionDenied,
            "port 443",
        ),
        (web, http(b"HTTP/1.1 503 x\r\n\r\n"), HostUnreachable, "503"),
        (web, http(b"HTTP/1.1 504 x\r\n\r\n"), TimedOut, "504"),
        (
            web,
            http(b"HTTP/1.1 302 Found\r\n\r\n"),
            PermissionDenied,
            "302",
        ),
        (
            web,
            http(b"220 FTP here\r\n\r\n"),
            InvalidData,
            "no HTTP proxy",
        ),
        (
            web,
            http(&b"HTTP/1.1 200 OK\r\nx: y\r\n".repeat(999)),
            InvalidData,
            "no HTTP proxy",
        ),
        (web, http(b"HTTP/1.1 200 OK"), UnexpectedEof, "broke"),
    ];
    for (protocol, turns, kind, words) in cases {
        let (net, mut far) = through(proxy(protocol, None));
        let playing = async move {
            for (heard, said) in turns {
                let mut request = vec![0; heard.len()];
                far.read_exact(&mut request).await.unwrap();
                assert_eq!(request, heard);
                // A head without an end: whoever reads may leave.
                if far.write_all(&said).await.is_err() {
                    return;
                }
            }
        };
        let (led, ()) = tokio::join!(net.connect(Source::Any, at(SERVER)), playing);
        let error = led.unwrap_err();
        assert_eq!(error.kind(), kind, "{words}: {error}");
        assert!(ProxyError::of(&error).is_some(), "{error}");
        let text = error.to_string();
        assert!(
            text.starts_with("the proxy ") && text.contains(words),
            "{words}: {text}"
        );
    }
}

#[tokio::test]
async fn what_socks_cannot_carry_is_refused_before_a_word() {
    let long = "x".repeat(256);
    for (protocol, login, host) in [
        (Protocol::Socks5, Some(("me", "")), SERVER),
        (Protocol::Socks5, Some((long.as_str(), "secret")), SERVER),
        (Protocol::Socks5, Some(("me", long.as_str())), SERVER),
        (Protocol::Socks5, Some(("", "secret")), SERVER),
        (Protocol::Socks4a, Some((long.as_str(), "")), SERVER),
        (Protocol::Socks4a, Some(("a\0b", "")), SERVER),
        (Protocol::Socks5h, None, long.as_str()),
        (Protocol::Socks4a, None, long.as_str()),
    ] {
        let (net, _far) = through(proxy(protocol, login));
        let to = match host.parse() {
            Ok(address) => address,
            Err(_) => net.resolve(host, 21).await.unwrap()[0],
        };
        let error = net.connect(Source::Any, to).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    }
}

#[tokio::test]
async fn names_stand_in_only_where_the_proxy_resolves() {
    for (protocol, expected) in [
        (Protocol::Socks5, vec!["[2001:db8::9]:21", SERVER]),
        (Protocol::Socks4, vec![SERVER]),
        (Protocol::Socks5h, vec!["240.0.0.1:21"]),
        (Protocol::Http, vec!["240.0.0.1:21"]),
    ] {
        let (net, _far) = through(proxy(protocol, None));
        let found = net.resolve("both.example", 21).await.unwrap();
        let expected: Vec<SocketAddr> = expected.into_iter().map(at).collect();
        assert_eq!(found, expected, "{protocol:?}");
        // The same name has the same one, and an address is an address.
        if protocol.resolves() {
            let again = net.resolve("BOTH.example", 21).await.unwrap();
            assert_eq!(again, expected);
            assert_eq!(net.resolve("::1", 2).await.unwrap(), [at("[::1]:2")]);
            let other = net.resolve("other.example", 2).await.unwrap();
            assert_eq!(other, [at("240.0.0.2:2")]);
            assert!(is_stand_in(other[0].ip()) && !is_stand_in(at(SERVER).ip()));
        }
    }
    let many = StandIns::default();
    let given = (0..9999).filter_map(|it| many.stand_in(&it.to_string()));
    assert_eq!(given.count(), 4096, "a table with an end");
}

#[tokio::test]
async fn a_proxy_listens_in_our_place() {
    let bind = b"\x05\x02\x00\x01\xc6\x33\x64\x09\x00\x15".as_slice();
    let bind_name = b"\x05\x02\x00\x03\x0bftp.example\x00\x15".as_slice();
    for (protocol, host, request, first, second, listening, peer) in [
        (
            Protocol::Socks5,
            "198.51.100.9",
            bind,
            b"\x05\x00\x00\x01\xcb\x00\x71\x01\xc3\x50".as_slice(),
            b"\x05\x00\x00\x01\xc6\x33\x64\x09\x00\x14data".as_slice(),
            "203.0.113.1:50000",
            "198.51.100.9:20",
        ),
        (
            // Without an address of its own it is where we know it to be.
            Protocol::Socks5,
            "198.51.100.9",
            bind,
            b"\x05\x00\x00\x01\x00\x00\x00\x00\xc3\x50",
            b"\x05\x00\x00\x01\x0a\x00\x00\x07\x00\x14data",
            "192.0.2.1:50000",
            "10.0.0.7:20", // a stranger, for the guard to see
        ),
        (
            Protocol::Socks5h,
            "ftp.example",
            bind_name,
            b"\x05\x00\x00\x01\xcb\x00\x71\x01\xc3\x50",
            b"\x05\x00\x00\x01\xc6\x33\x64\x09\x00\x14data",
            "203.0.113.1:50000",
            "240.0.0.1:20",
        ),
    ] {
        let (net, far) = through(proxy(protocol, None));
        let expected = net.resolve(host, 21).await.unwrap()[0];
        let listening_at = ListenAt::any(at(OWN).ip()).expecting(expected);
        let binding = async {
            let mut listener = net.listen(listening_at).await.unwrap();
            assert_eq!(listener.local_addr(), at(listening));
            let mut conn = listener.accept().await.unwrap();
            assert_eq!(conn.peer_addr(), at(peer));
            let mut data = [0; 4];
            conn.read_exact(&mut data).await.unwrap();
            assert_eq!(&data, b"data");
        };
        let turns: &[(&[u8], &[u8])] = &[HELLO5, (request, first), (b"", second)];
        tokio::join!(binding, plays(far, turns));
    }
    for (net, listening_at) in [
        (
            through(proxy(Protocol::Http, None)).0,
            ListenAt::any(at(OWN).ip()).expecting(at(SERVER)),
        ),
        (
            through(proxy(Protocol::Socks5, None)).0,
            ListenAt::any(at(OWN).ip()),
        ),
    ] {
        let error = net.listen(listening_at).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
    }
}
