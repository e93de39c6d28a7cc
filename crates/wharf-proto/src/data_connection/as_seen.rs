//! User side: our own address as the server sees it, read from what servers say, and the NAT that it gives away.
//!
//! The server compares the address in PORT with the one our control connection comes from. Many tell that address when
//! asked or when they refuse another one; no third party is needed to learn it.

use std::net::{IpAddr, SocketAddr};

use super::advertise::{is_private, is_public};
use super::canonical;
use crate::reply::Reply;

/// The address in the answer to `SITE WHOAMI`: wharf's `200 You are 198.51.100.1:40123, logged in as ann`.
pub fn from_whoami(reply: &Reply) -> Option<IpAddr> {
    if reply.code() != 200 {
        return None;
    }
    address_after(&text_of(reply), "You are ")
}

/// The address in the answer to STAT without an argument: `Connected to 198.51.100.1` (vsftpd, BSD ftpd),
/// `Connected from host (198.51.100.1)` (ProFTPD), `Connected from 198.51.100.1:40123` (wharf). A name is no address.
pub fn from_status(reply: &Reply) -> Option<IpAddr> {
    if !matches!(reply.code(), 211..=213) {
        return None;
    }
    let text = text_of(reply);
    let mut lines = text.lines().filter_map(|line| {
        ["Connected from ", "Connected to "]
            .iter()
            .find_map(|marker| line.trim_start().strip_prefix(marker))
    });
    lines.find_map(|rest| address_after(rest, "(").or_else(|| address(rest)))
}

/// The address in a refusal of PORT or EPRT: Pure-FTPd's `500 I won't open a connection to 192.168.10.2 (only to
/// 198.51.100.1)`, wharf's `501 data connections go only to 198.51.100.1, where ...`.
pub fn from_refusal(reply: &Reply) -> Option<IpAddr> {
    address_after(&text_of(reply), "only to ")
}

/// The address of the data connection as the server has named or read it, from wharf's STAT: `Data connection: expected at
/// 10.20.0.2:50017, named by the 227 as 203.0.113.5:50017`. Where the other end read or named another one, somebody between
/// rewrites it.
pub fn named_in_status(reply: &Reply) -> Option<SocketAddr> {
    if !matches!(reply.code(), 211..=213) {
        return None;
    }
    let text = text_of(reply);
    let mut lines = text.lines();
    let (_, named) = lines
        .find_map(|line| line.trim_start().strip_prefix("Data connection: "))?
        .split_once(", named by ")?;
    let (_, at) = named.split_once(" as ")?;
    at.trim_end().parse().ok()
}

/// All lines of the reply.
fn text_of(reply: &Reply) -> String {
    let lines: Vec<_> = reply
        .lines()
        .iter()
        .map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned())
        .collect();
    lines.join("\n")
}

fn address_after(text: &str, marker: &str) -> Option<IpAddr> {
    text.split_once(marker).and_then(|(_, rest)| address(rest))
}

/// The address at the beginning of the text: with or without a port, IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let (bare, bracketed) = match text.strip_prefix('[') {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let end = bare
        .find(|c: char| !(c.is_ascii_hexdigit() || matches!(c, '.' | ':')))
        .unwrap_or(bare.len());
    let word = bare.get(..end)?.trim_end_matches(['.', ':']);
    let parsed = word.parse::<IpAddr>().ok().or_else(|| {
        let (host, _port) = word.rsplit_once(':').filter(|_| !bracketed)?;
        host.parse::<std::net::Ipv4Addr>().ok().map(IpAddr::V4)
    });
    parsed
        .map(canonical)
        .filter(|address| !address.is_unspecified() && !address.is_multicast())
}

/// Is there a translation between us and the server?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nat {
    /// Nothing has been heard.
    Unknown,
    /// The server sees the address that we have.
    None,
    /// The server sees another address, or at least refuses ours.
    Behind {
        /// The address that it sees, if it told.
        outside: Option<IpAddr>,
    },
}

impl Nat {
    /// What it means that the server sees `told` where we have `own`.
    pub fn judge(own: IpAddr, told: IpAddr) -> Self {
        let told = canonical(told);
        if canonical(own) == told {
            Self::None
        } else {
            Self::Behind {
                outside: Some(told),
            }
        }
    }

    /// The address that the server sees, where it is not ours.
    pub fn outside(self) -> Option<IpAddr> {
        match self {
            Self::Behind { outside } => outside,
            Self::Unknown | Self::None => None,
        }
    }

    /// Whether a router in front of *us* may help: not if the server sees a private address where ours is public, for
    /// then something in front of the server hides us from it (a balancer, a container's proxy).
    pub fn is_on_our_side(self, own: IpAddr) -> bool {
        match self {
            Self::Behind { outside } => {
                outside.is_none_or(|outside| !(is_private(outside) && is_public(own)))
            }
            Self::Unknown | Self::None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Text;

    fn reply(code: u16, lines: &[&str]) -> Reply {
        Reply::with_lines(code, lines.iter().map(Text::lossy).collect())
    }

    #[test]
    fn wharf_tells_what_it_has_named_or_read() {
        for (line, named) in [
            (
                " Data connection: expected at 10.20.0.2:50017, named by the 227 as 203.0.113.5:50017",
                Some("203.0.113.5:50017"),
            ),
            (
                " Data connection: will be opened to you, named by EPRT as [2001:db8::1]:40000",
                Some("[2001:db8::1]:40000"),
            ),
            (" Data connection: expected at 10.20.0.2:50017", None),
            (" Data connection: none", None),
            (" Data connection: x, named by the 227 as y", None),
        ] {
            let lines = ["wharf FTP server", " Session 1", line, "End of status"];
            let read = named_in_status(&reply(211, &lines));
            assert_eq!(read, named.map(|it| it.parse().unwrap()), "{line}");
        }
        assert_eq!(named_in_status(&reply(500, &["STAT not understood"])), None);
    }

    #[test]
    fn servers_tell_the_address_that_they_see() {
        let check = |reply: Reply, expected: Option<&str>| {
            let read = match reply.code() {
                200 => from_whoami(&reply),
                211 => from_status(&reply),
                _ => from_refusal(&reply),
            };
            assert_eq!(read, expected.map(|it| it.parse().unwrap()), "{reply:?}");
        };
        let v4 = Some("198.51.100.1");
        let wharf = ["You are 198.51.100.1:40123, logged in as ann"];
        check(reply(200, &wharf), v4);
        let wharf6 = ["You are [2001:db8::1]:40123, logged in as ann"];
        check(reply(200, &wharf6), Some("2001:db8::1"));
        check(reply(200, &["You are welcome"]), None);
        check(reply(200, &["You are ::ffff:198.51.100.1 here"]), v4);
        // vsftpd 3.0.3
        let vsftpd = [
            "FTP server status:",
            "     Connected to 198.51.100.1",
            "     Logged in as ann",
            "     TYPE: ASCII",
            "     No session bandwidth limit",
            "     Session timeout in seconds is 300",
            "     Control connection is plain text",
            "End of status",
        ];
        check(reply(211, &vsftpd), v4);
        check(
            reply(211, &["x", "     Connected to ::ffff:198.51.100.1", "end"]),
            v4,
        );
        // ProFTPD 1.3.8
        let proftpd = [
            "Status of 'ProFTPD'",
            " Connected from gate.example (198.51.100.1)",
            " Logged in as ann",
            "End of status",
        ];
        check(reply(211, &proftpd), v4);
        let by_address = [
            "Status of 'ProFTPD'",
            " Connected from 198.51.100.1 (198.51.100.1)",
            "End of status",
        ];
        check(reply(211, &by_address), v4);
        check(
            reply(211, &["x", " Connected from 198.51.100.1:40123", "e"]),
            v4,
        );
        check(
            reply(211, &["x", " Connected from [2001:db8::1]:40123", "e"]),
            Some("2001:db8::1"),
        );
        check(reply(211, &["x", " Connected to gate.example", "e"]), None);
        check(reply(211, &["x", " Connected to fe.example", "e"]), None);
        check(reply(211, &["http://www.pureftpd.org/"]), None);
        // Pure-FTPd 1.0.50, wharf
        let pure = ["I won't open a connection to 192.168.10.2 (only to 198.51.100.1)"];
        check(reply(500, &pure), v4);
        let only = [
            "data connections go only to 198.51.100.1, where this control connection comes from, not to 192.168.10.2",
        ];
        check(reply(501, &only), v4);
        check(reply(500, &["Illegal PORT command."]), None);
        check(reply(500, &["only to 0.0.0.0"]), None);
    }

    #[test]
    fn a_nat_is_another_address_and_may_be_on_the_other_side() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let judge = |own: &str, told: &str| Nat::judge(ip(own), ip(told));
        assert_eq!(judge("198.51.100.7", "198.51.100.7"), Nat::None);
        assert_eq!(judge("198.51.100.7", "::ffff:198.51.100.7"), Nat::None);
        let ours = judge("192.168.10.2", "198.51.100.1");
        assert_eq!(ours.outside(), Some(ip("198.51.100.1")));
        assert!(ours.is_on_our_side(ip("192.168.10.2")));
        let theirs = judge("198.51.100.7", "10.20.0.1");
        assert!(!theirs.is_on_our_side(ip("198.51.100.7")));
    }
}
