//! HOST-PORT in all its spellings: PORT and 227 (RFC 959 §5.3.2), EPRT and 229 (RFC 2428), LPRT and 228 (RFC 1639).
//! Strict where a command names a target, tolerant where a reply of a foreign server is read, strict in writing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

use crate::text::decimal;

/// The bytes are not of the form that the RFC gives the argument: 501.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostPortError;

impl fmt::Display for HostPortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed address and port")
    }
}

impl std::error::Error for HostPortError {}

/// The argument of EPRT (RFC 2428 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EprtArgument {
    /// `|1|192.0.2.1|5000|` or `|2|2001:db8::1|5000|`.
    Address(SocketAddr),
    /// A well-formed argument with a network protocol that is neither 1 nor 2: 522.
    UnknownProtocol(u32),
}

/// The argument of EPSV (RFC 2428 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EpsvArgument {
    /// None: the protocol of the control connection.
    Unspecified,
    /// `1`
    Ipv4,
    /// `2`
    Ipv6,
    /// Any other number: 522.
    UnknownProtocol(u32),
    /// `ALL`: from now on nothing but EPSV opens data connections (RFC 2428 §4).
    All,
}

/// The argument of LPRT (RFC 1639).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LprtArgument {
    /// Address family 4 or 6 with a port of two bytes.
    Address(SocketAddr),
    /// A well-formed argument of another family: 521.
    UnknownFamily(u8),
}

/// Reads the argument of PORT: six numbers 0 to 255 with commas between, nothing else. Port 0 is refused.
///
/// # Errors
/// [`HostPortError`].
pub fn read_port(argument: &[u8]) -> Result<SocketAddrV4, HostPortError> {
    let mut rest = argument.trim_ascii();
    let mut six = [0; 6];
    for (index, number) in six.iter_mut().enumerate() {
        if index > 0 {
            rest = rest.strip_prefix(b",").ok_or(HostPortError)?;
        }
        (*number, rest) = read_number(rest).ok_or(HostPortError)?;
    }
    if !rest.is_empty() {
        return Err(HostPortError);
    }
    address_of(six).ok_or(HostPortError)
}

/// Writes the argument of PORT: `192,0,2,1,19,136`.
pub fn write_port(address: SocketAddrV4) -> String {
    let [a, b, c, d] = address.ip().octets();
    let [high, low] = address.port().to_be_bytes();
    format!("{a},{b},{c},{d},{high},{low}")
}

/// Finds the address in the text of a 227 reply, wherever it stands.
///
/// RFC 1123 §4.1.2.6 tells the user-PI to scan for the six numbers, since servers disagree about parentheses. Numbers in
/// parentheses win over others, so that digits in the text before do no harm; spaces around the commas, `=a,b,…` and a
/// lost `)` are understood. Port 0 is no address.
pub fn read_227(text: &[u8]) -> Option<SocketAddrV4> {
    let in_parentheses = (0..text.len())
        .filter(|at| text.get(*at) == Some(&b'('))
        .find_map(|at| text.get(at + 1..).and_then(six_numbers));
    in_parentheses.or_else(|| {
        (0..text.len())
            .filter(|at| {
                let before = at.checked_sub(1).and_then(|before| text.get(before));
                !before.is_some_and(u8::is_ascii_digit)
            })
            .find_map(|at| text.get(at..).and_then(six_numbers))
    })
}

/// Writes the text of a 227 reply. The form with parentheses is the one that every client and every connection tracking
/// helper knows.
pub fn write_227_text(address: SocketAddrV4) -> String {
    format!("Entering Passive Mode ({})", write_port(address))
}

/// Reads the argument of EPRT. Any printable delimiter is allowed (RFC 2428 §2). Port 0 is refused, and so are scope
/// identifiers.
///
/// # Errors
/// [`HostPortError`].
pub fn read_eprt(argument: &[u8]) -> Result<EprtArgument, HostPortError> {
    let argument = argument.trim_ascii();
    let delimiter = *argument.first().ok_or(HostPortError)?;
    if !is_delimiter(delimiter) {
        return Err(HostPortError);
    }
    let mut parts = argument.split(|byte| *byte == delimiter);
    let mut part = || parts.next().ok_or(HostPortError);
    let (empty, protocol, host, port, end) = (part()?, part()?, part()?, part()?, part()?);
    if !empty.is_empty() || !end.is_empty() || parts.next().is_some() {
        return Err(HostPortError);
    }
    let protocol = decimal(protocol)
        .and_then(|n| u32::try_from(n).ok())
        .ok_or(HostPortError)?;
    let port = read_port_number(port).ok_or(HostPortError)?;
    let host = std::str::from_utf8(host).map_err(|_| HostPortError)?;
    let ip = match protocol {
        1 => host.parse().map(IpAddr::V4),
        2 => host.parse().map(IpAddr::V6),
        other => return Ok(EprtArgument::UnknownProtocol(other)),
    };
    ip.map(|ip| EprtArgument::Address(SocketAddr::new(ip, port)))
        .map_err(|_| HostPortError)
}

/// Writes the argument of EPRT: `|2|2001:db8::1|5000|`.
pub fn write_eprt(address: SocketAddr) -> String {
    let protocol = if address.is_ipv4() { 1 } else { 2 };
    format!("|{protocol}|{}|{}|", address.ip(), address.port())
}

/// Reads the argument of EPSV; what follows the verb, nothing included.
///
/// # Errors
/// [`HostPortError`].
pub fn read_epsv(argument: &[u8]) -> Result<EpsvArgument, HostPortError> {
    let argument = argument.trim_ascii();
    if argument.is_empty() {
        return Ok(EpsvArgument::Unspecified);
    }
    if argument.eq_ignore_ascii_case(b"ALL") {
        return Ok(EpsvArgument::All);
    }
    match decimal(argument).and_then(|n| u32::try_from(n).ok()) {
        Some(1) => Ok(EpsvArgument::Ipv4),
        Some(2) => Ok(EpsvArgument::Ipv6),
        Some(other) => Ok(EpsvArgument::UnknownProtocol(other)),
        None => Err(HostPortError),
    }
}

/// Finds the port in the text of a 229 reply: `(|||5000|)` with any delimiter (IBM i writes `!`). Servers that fill in
/// protocol and address, or forget the parentheses, are understood. Port 0 is no port.
pub fn read_229(text: &[u8]) -> Option<u16> {
    let opened = (0..text.len()).filter(|at| text.get(*at) == Some(&b'('));
    for at in opened {
        let inside = text.get(at + 1..).unwrap_or_default();
        let end = inside
            .iter()
            .rposition(|byte| *byte == b')')
            .unwrap_or(inside.len());
        let inside = inside.get(..end).unwrap_or_default().trim_ascii();
        if let Some(port) = read_229_argument(inside) {
            return Some(port);
        }
    }
    // No parentheses: three times the same sign, then the port.
    (0..text.len()).find_map(|at| {
        let rest = text.get(at..)?;
        let delimiter = *rest.first()?;
        if !is_delimiter(delimiter) || delimiter.is_ascii_alphanumeric() {
            return None;
        }
        let rest = rest.strip_prefix(&[delimiter; 3])?;
        let digits = rest.split(|byte| *byte == delimiter).next()?;
        read_port_number(digits)
    })
}

/// Writes the text of a 229 reply.
pub fn write_229_text(port: u16) -> String {
    format!("Entering Extended Passive Mode (|||{port}|)")
}

/// Reads the argument of LPRT: `4,4,h1,…,h4,2,p1,p2` or `6,16,h1,…,h16,2,p1,p2`. Port 0 is refused.
///
/// # Errors
/// [`HostPortError`].
pub fn read_lprt(argument: &[u8]) -> Result<LprtArgument, HostPortError> {
    let numbers: Vec<u8> = argument
        .trim_ascii()
        .split(|byte| *byte == b',')
        .map(|digits| match read_number(digits) {
            Some((number, [])) => Ok(number),
            _ => Err(HostPortError),
        })
        .collect::<Result<_, _>>()?;
    let [family, host_length, rest @ ..] = numbers.as_slice() else {
        return Err(HostPortError);
    };
    let (host, rest) = rest
        .split_at_checked(usize::from(*host_length))
        .ok_or(HostPortError)?;
    let [port_length, port @ ..] = rest else {
        return Err(HostPortError);
    };
    if port.len() != usize::from(*port_length) {
        return Err(HostPortError);
    }
    let ip: IpAddr = match family {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(host).map_err(|_| HostPortError)?).into(),
        6 => Ipv6Addr::from(<[u8; 16]>::try_from(host).map_err(|_| HostPortError)?).into(),
        other => return Ok(LprtArgument::UnknownFamily(*other)),
    };
    let port = u16::from_be_bytes(<[u8; 2]>::try_from(port).map_err(|_| HostPortError)?);
    if port == 0 {
        return Err(HostPortError);
    }
    Ok(LprtArgument::Address(SocketAddr::new(ip, port)))
}

/// Writes the argument of LPRT.
pub fn write_lprt(address: SocketAddr) -> String {
    let (family, octets) = match address.ip() {
        IpAddr::V4(ip) => (4, ip.octets().to_vec()),
        IpAddr::V6(ip) => (6, ip.octets().to_vec()),
    };
    let mut out = format!("{family},{}", octets.len());
    let [high, low] = address.port().to_be_bytes();
    for number in octets.iter().chain(&[2, high, low]) {
        out.push(',');
        out.push_str(&number.to_string());
    }
    out
}

/// Finds the address in the text of a 228 reply (LPSV), in parentheses as RFC 1639 writes it or bare at the end.
pub fn read_228(text: &[u8]) -> Option<SocketAddr> {
    let start = match text.iter().rposition(|byte| *byte == b'(') {
        Some(at) => at + 1,
        None => text
            .iter()
            .rposition(|byte| *byte == b' ')
            .map_or(0, |at| at + 1),
    };
    let inside = text.get(start..)?;
    let end = inside
        .iter()
        .position(|byte| !byte.is_ascii_digit() && *byte != b',')
        .unwrap_or(inside.len());
    match read_lprt(inside.get(..end)?) {
        Ok(LprtArgument::Address(address)) => Some(address),
        _ => None,
    }
}

/// Writes the text of a 228 reply.
pub fn write_228_text(address: SocketAddr) -> String {
    format!("Entering Long Passive Mode ({})", write_lprt(address))
}

/// Six numbers with commas and any spaces between, at the very beginning.
fn six_numbers(text: &[u8]) -> Option<SocketAddrV4> {
    let mut rest = text.trim_ascii_start();
    let mut six = [0; 6];
    for (index, number) in six.iter_mut().enumerate() {
        if index > 0 {
            rest = rest
                .trim_ascii_start()
                .strip_prefix(b",")?
                .trim_ascii_start();
        }
        (*number, rest) = read_number(rest)?;
    }
    address_of(six)
}

/// A number 0 to 255 of one to three digits, and what follows it, which is no digit.
fn read_number(text: &[u8]) -> Option<(u8, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length > 3 {
        return None;
    }
    let (digits, rest) = text.split_at_checked(length)?;
    Some((u8::try_from(decimal(digits)?).ok()?, rest))
}

fn address_of([a, b, c, d, high, low]: [u8; 6]) -> Option<SocketAddrV4> {
    let port = u16::from_be_bytes([high, low]);
    (port != 0).then(|| SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port))
}

/// `|||5000|` with any delimiter, digits included (RFC 2428 §2 allows ASCII 33 to 126).
fn read_229_argument(inside: &[u8]) -> Option<u16> {
    let delimiter = *inside.first()?;
    if !is_delimiter(delimiter) {
        return None;
    }
    let plain = inside
        .strip_prefix(&[delimiter; 3])
        .and_then(|rest| read_port_number(rest.strip_suffix(&[delimiter]).unwrap_or(rest)));
    plain.or_else(|| read_port_number(inside.split(|byte| *byte == delimiter).nth(3)?))
}

fn read_port_number(digits: &[u8]) -> Option<u16> {
    decimal(digits)
        .and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port != 0)
}

const fn is_delimiter(byte: u8) -> bool {
    matches!(byte, 33..=126)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v4(text: &str) -> SocketAddrV4 {
        text.parse().unwrap()
    }

    #[test]
    fn port_is_read_strictly() {
        assert_eq!(read_port(b"192,0,2,1,19,136"), Ok(v4("192.0.2.1:5000")));
        assert_eq!(read_port(b"192,0,2,1,19,136 "), Ok(v4("192.0.2.1:5000")));
        for bad in [
            "",
            "192,0,2,1,19",
            "192,0,2,1,19,136,7",
            "256,0,2,1,19,136",
            "192,0,2,1,19,",
            "192, 0,2,1,19,136",
            "-1,0,2,1,19,136",
            "192.0.2.1,19,136",
            "192,0,2,1,0,0",
            "0192,0,2,1,19,136",
            "(192,0,2,1,19,136)",
        ] {
            assert_eq!(read_port(bad.as_bytes()), Err(HostPortError), "{bad}");
        }
    }

    #[test]
    fn every_form_of_227_is_understood() {
        for (text, address) in [
            (
                "Entering Passive Mode (192,0,2,1,19,136)",
                Some("192.0.2.1:5000"),
            ),
            (
                "Entering Passive Mode (192,0,2,1,19,136).",
                Some("192.0.2.1:5000"),
            ),
            (
                "Entering Passive Mode 192,0,2,1,19,136",
                Some("192.0.2.1:5000"),
            ),
            ("=192,0,2,1,19,136", Some("192.0.2.1:5000")),
            (
                "Entering Passive Mode (192,0,2,1,19,136",
                Some("192.0.2.1:5000"),
            ),
            ("Passive 1 mode (192,0,2,1,19,136)", Some("192.0.2.1:5000")),
            ("Mode 1, (192,0,2,1,19,136)", Some("192.0.2.1:5000")),
            ("(8 lines) 192,0,2,1,19,136", Some("192.0.2.1:5000")),
            (
                "Entering Passive Mode (192, 0, 2, 1, 19, 136)",
                Some("192.0.2.1:5000"),
            ),
            (
                "Entering Passive Mode ( 192,0,2,1,19,136 )",
                Some("192.0.2.1:5000"),
            ),
            (
                "Entering Passive Mode (0,0,0,0,19,136)",
                Some("0.0.0.0:5000"),
            ),
            (
                "Entering Passive Mode (127,0,0,1,30,97)",
                Some("127.0.0.1:7777"),
            ),
            (
                "Entering Passive Mode (192,168,77,5,255,255)",
                Some("192.168.77.5:65535"),
            ),
            ("Entering Passive Mode (192,0,2,1,0,0)", None),
            ("Entering Passive Mode (192,0,2,256,19,136)", None),
            ("Entering Passive Mode (1192,0,2,1,19,136)", None),
            ("Entering Passive Mode (192,0,2,1,19,1360)", None),
            ("Entering Passive Mode", None),
            ("", None),
        ] {
            assert_eq!(read_227(text.as_bytes()), address.map(v4), "{text}");
        }
    }

    #[test]
    fn every_form_of_229_is_understood() {
        for (text, port) in [
            ("Entering Extended Passive Mode (|||6446|)", Some(6446)),
            ("Entering Extended Passive Mode (!!!6446!).", Some(6446)),
            ("Entering Extended Passive Mode (###6446#)", Some(6446)),
            ("Entering Extended Passive Mode (11164461)", Some(6446)),
            ("Entering Extended Passive Mode (|||6446)", Some(6446)),
            ("Entering Extended Passive Mode (|||6446|", Some(6446)),
            ("Entering Extended Passive Mode |||6446|", Some(6446)),
            ("Entering (extended) Passive Mode (|||6446|)", Some(6446)),
            (
                "Entering Extended Passive Mode (|1|192.0.2.1|6446|)",
                Some(6446),
            ),
            (
                "Entering Extended Passive Mode (|2|2001:db8::1|6446|)",
                Some(6446),
            ),
            ("Entering Extended Passive Mode (|||0|)", None),
            ("Entering Extended Passive Mode (|||65536|)", None),
            ("Entering Extended Passive Mode (|||-1|)", None),
            ("Entering Extended Passive Mode", None),
            ("", None),
        ] {
            assert_eq!(read_229(text.as_bytes()), port, "{text}");
        }
    }

    #[test]
    fn eprt_is_read_strictly() {
        let address = |text: &str| Ok(EprtArgument::Address(text.parse().unwrap()));
        for (text, read) in [
            ("|1|132.235.1.2|6275|", address("132.235.1.2:6275")),
            (
                "|2|1080::8:800:200C:417A|5282|",
                address("[1080::8:800:200c:417a]:5282"),
            ),
            ("!1!132.235.1.2!6275!", address("132.235.1.2:6275")),
            ("|2|::ffff:192.0.2.1|80|", address("[::ffff:192.0.2.1]:80")),
            ("|3|x|6275|", Ok(EprtArgument::UnknownProtocol(3))),
            ("|1|2001:db8::1|6275|", Err(HostPortError)),
            ("|2|192.0.2.1|6275|", Err(HostPortError)),
            ("|2|fe80::1%eth0|6275|", Err(HostPortError)),
            ("|1|132.235.1.2|6275", Err(HostPortError)),
            ("|1|132.235.1.2|6275||", Err(HostPortError)),
            ("1|132.235.1.2|6275|", Err(HostPortError)),
            ("|1|132.235.1.2|0|", Err(HostPortError)),
            ("|1|132.235.1.2|65536|", Err(HostPortError)),
            ("|x|132.235.1.2|6275|", Err(HostPortError)),
            ("||||", Err(HostPortError)),
            ("", Err(HostPortError)),
        ] {
            assert_eq!(read_eprt(text.as_bytes()), read, "{text}");
        }
    }

    #[test]
    fn epsv_arguments() {
        for (text, read) in [
            ("", Ok(EpsvArgument::Unspecified)),
            ("1", Ok(EpsvArgument::Ipv4)),
            ("2", Ok(EpsvArgument::Ipv6)),
            ("3", Ok(EpsvArgument::UnknownProtocol(3))),
            ("all", Ok(EpsvArgument::All)),
            ("x", Err(HostPortError)),
            ("-1", Err(HostPortError)),
        ] {
            assert_eq!(read_epsv(text.as_bytes()), read, "{text}");
        }
    }

    #[test]
    fn long_addresses() {
        for (text, read) in [
            (
                "4,4,192,0,2,1,2,19,136",
                Ok(LprtArgument::Address("192.0.2.1:5000".parse().unwrap())),
            ),
            (
                "6,16,32,1,13,184,0,0,0,0,0,0,0,0,0,0,0,1,2,19,136",
                Ok(LprtArgument::Address("[2001:db8::1]:5000".parse().unwrap())),
            ),
            ("16,2,1,2,2,19,136", Ok(LprtArgument::UnknownFamily(16))),
            ("4,4,192,0,2,1,2,19", Err(HostPortError)),
            ("4,4,192,0,2,1,3,0,19,136", Err(HostPortError)),
            ("4,16,192,0,2,1,2,19,136", Err(HostPortError)),
            ("4,4,192,0,2,1,2,0,0", Err(HostPortError)),
            ("4", Err(HostPortError)),
            ("", Err(HostPortError)),
        ] {
            assert_eq!(read_lprt(text.as_bytes()), read, "{text}");
        }
        let address = "192.0.2.1:5000".parse().unwrap();
        assert_eq!(
            read_228(b"Entering Long Passive Mode (4,4,192,0,2,1,2,19,136)."),
            Some(address)
        );
        assert_eq!(
            read_228(b"Entering Long Passive Mode 4,4,192,0,2,1,2,19,136"),
            Some(address)
        );
        assert_eq!(read_228(b"Entering Long Passive Mode"), None);
    }

    fn any_address() -> impl Strategy<Value = SocketAddr> {
        (any::<IpAddr>(), 1u16..).prop_map(|(ip, port)| SocketAddr::new(ip, port))
    }

    proptest! {
        #[test]
        fn addresses_round_trip(address in any_address()) {
            prop_assert_eq!(read_eprt(write_eprt(address).as_bytes()), Ok(EprtArgument::Address(address)));
            prop_assert_eq!(read_lprt(write_lprt(address).as_bytes()), Ok(LprtArgument::Address(address)));
            prop_assert_eq!(read_228(write_228_text(address).as_bytes()), Some(address));
            prop_assert_eq!(read_229(write_229_text(address.port()).as_bytes()), Some(address.port()));
            if let SocketAddr::V4(address) = address {
                prop_assert_eq!(read_port(write_port(address).as_bytes()), Ok(address));
                prop_assert_eq!(read_227(write_227_text(address).as_bytes()), Some(address));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(prop::sample::select(b"0123456789,,,|||()! =:.x\xff".to_vec()), 0..60)) {
            let _ = (read_port(&bytes), read_227(&bytes), read_eprt(&bytes), read_epsv(&bytes));
            let _ = (read_229(&bytes), read_lprt(&bytes), read_228(&bytes));
        }
    }
}
