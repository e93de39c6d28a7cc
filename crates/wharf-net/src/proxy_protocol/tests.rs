//! What headers do to a connection, table by table.

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
