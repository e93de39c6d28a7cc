//! Which server a session goes to: always the same, the one named in USER, or the one that the client meant to reach.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use wharf_net::{Conn, Net, Source};
use wharf_proto::data_connection::advertise::{Network, is_public};

/// The standard port (RFC 959 §8).
const FTP: u16 = 21;

/// One of several addresses may not take all the time.
const ONE_ADDRESS: Duration = Duration::from_secs(5);

/// Which server sessions go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// Always this one. The name is looked up for every session.
    Fixed(Place),
    /// The one that the client names: `USER joe@ftp.example.org`.
    UserAtHost(Allowed),
    /// The one that the client meant to reach before its connection was redirected to us.
    OriginalDestination,
}

/// A host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Name or address.
    pub host: String,
    /// Control port.
    pub port: u16,
}

impl FromStr for Place {
    type Err = String;

    /// `HOST`, `HOST:PORT`, `ADDRESS`, `[V6]:PORT`; port 21 where none is named.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no HOST or HOST:PORT");
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(bad)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
                match rest {
                    "" => (host, None),
                    rest => (host, Some(rest.strip_prefix(':').ok_or_else(bad)?)),
                }
            }
            None if text.parse::<std::net::Ipv6Addr>().is_ok() => (text, None),
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c) || !c.is_ascii();
        if host.is_empty() || host.len() > 253 || !host.chars().all(plain) {
            return Err(bad());
        }
        let port = match port {
            None => FTP,
            Some(digits) => {
                let number = digits.bytes().all(|byte| byte.is_ascii_digit());
                let port = digits.parse().ok().filter(|port| number && *port != 0);
                port.ok_or_else(bad)?
            }
        };
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.port, self.host.contains(':')) {
            (FTP, _) => f.write_str(&self.host),
            (port, true) => write!(f, "[{}]:{port}", self.host),
            (port, false) => write!(f, "{}:{port}", self.host),
        }
    }
}

/// Where `user@host` may lead.
///
/// With no rule at all: to port 21 of public addresses, so that nobody reaches our own network through us. With rules: to
/// what one of them names, and nowhere else. A rule with a name leads to public addresses only, for names are the
/// business of whoever owns the zone; a private address needs a rule with its network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// The rules; any one of them suffices.
    pub rules: Vec<Rule>,
}

/// `ftp.example.org`, `*.example.org`, `10.1.0.0/16`, each also with `:PORT` (`[2001:db8::/32]:2121`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    what: What,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Name(String),
    /// Every name below this one.
    Below(String),
    Network(Network),
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let inner = text
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
            .map(|(network, rest)| (network, rest.strip_prefix(':')));
        let (what, port) = match inner {
            Some(split) => split,
            None if text.parse::<Network>().is_ok() => (text, None),
            None => match text.rsplit_once(':') {
                Some((what, port)) => (what, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            None => FTP,
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| format!("{digits:?} is no port"))?,
        };
        let what = if let Ok(network) = what.parse::<Network>() {
            What::Network(network)
        } else {
            // The syntax of a place tells what may be a name.
            let name = what.strip_prefix("*.").unwrap_or(what);
            let place = name.parse::<Place>().ok();
            let place = place.filter(|_| !name.contains(['/', '*', ':']));
            let place = place.ok_or_else(|| format!("{text:?} is neither a name nor a network"))?;
            if what.starts_with("*.") {
                What::Below(place.host)
            } else {
                What::Name(place.host)
            }
        };
        Ok(Self { what, port })
    }
}

impl Allowed {
    /// Whether this address, found under this name, may be connected to.
    pub fn admits(&self, name: &str, at: SocketAddr) -> bool {
        if self.rules.is_empty() {
            return at.port() == FTP && is_public(at.ip());
        }
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        self.rules.iter().any(|rule| {
            rule.port == at.port()
                && match &rule.what {
                    What::Network(network) => network.contains(at.ip()),
                    What::Name(it) => name.eq_ignore_ascii_case(it) && is_public(at.ip()),
                    What::Below(it) => {
                        let it = it.to_ascii_lowercase();
                        let above = name.strip_suffix(&it).unwrap_or_default();
                        above.len() > 1 && above.ends_with('.') && is_public(at.ip())
                    }
                }
        })
    }
}

/// `joe@ftp.example.org` as the name and the place; the last `@` divides, for names may be addresses of mail.
pub(crate) fn user_at_host(argument: &[u8]) -> Option<(&[u8], Result<Place, String>)> {
    let at = argument.iter().rposition(|byte| *byte == b'@')?;
    let (user, host) = argument.split_at_checked(at)?;
    let host = host.get(1..)?;
    let place = std::str::from_utf8(host)
        .map_err(|_| "a host name is UTF-8".to_owned())
        .and_then(str::parse);
    Some((user, place))
}

/// Why a server cannot be had. Two texts: for the client, who need not know addresses of our network, and for the log.
#[derive(Debug)]
pub(crate) struct Unreachable {
    pub(crate) told: String,
    pub(crate) logged: String,
}

impl Unreachable {
    fn new(told: String, logged: impl fmt::Display) -> Self {
        Self {
            logged: logged.to_string(),
            told,
        }
    }
}

/// Who may be connected to, apart from what the operator has fixed.
pub(crate) struct Scruples<'a> {
    /// The rules for `user@host`.
    pub(crate) allowed: Option<&'a Allowed>,
    /// Our own addresses: without a rule that says so nobody comes to them through us.
    pub(crate) own: &'a [IpAddr],
}

/// Finds the server and connects to it: one address after the other until one answers.
pub(crate) async fn connect(
    net: &dyn Net,
    place: &Place,
    source: Option<IpAddr>,
    scruples: Scruples<'_>,
    patience: Duration,
) -> Result<Conn, Unreachable> {
    let until = Instant::now() + patience;
    let found = match timeout_at(until, net.resolve(&place.host, place.port)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            return Err(Unreachable::new(
                format!("The server {place} is not known"),
                error,
            ));
        }
        Err(_) => {
            return Err(Unreachable::new(
                format!("The server {place} is not known"),
                "the name was not resolved in time",
            ));
        }
    };
    let is_allowed = |at: &SocketAddr| {
        scruples.allowed.is_none_or(|rules| {
            let ourselves = rules.rules.is_empty() && scruples.own.contains(&at.ip());
            rules.admits(&place.host, *at) && !ourselves
        })
    };
    let allowed: Vec<SocketAddr> = found.iter().copied().filter(is_allowed).collect();
    if allowed.is_empty() {
        return Err(Unreachable::new(
            format!("This proxy does not lead to {place}"),
            format!("not allowed: {found:?}"),
        ));
    }
    let mut last = None;
    for to in allowed {
        let from = match source {
            Some(ip) if ip.is_ipv4() == to.is_ipv4() => Source::Address(ip),
            _ => Source::Any,
        };
        let this = until.min(Instant::now() + ONE_ADDRESS);
        match timeout_at(this, net.connect(from, to)).await {
            Ok(Ok(conn)) => return Ok(conn),
            Ok(Err(error)) => last = Some((to, error)),
            Err(_) => last = Some((to, io::ErrorKind::TimedOut.into())),
        }
        if Instant::now() >= until {
            break;
        }
    }
    let (why, logged) = match last {
        Some((to, error)) => {
            let why = match error.kind() {
                io::ErrorKind::ConnectionRefused => "it refuses the connection",
                io::ErrorKind::TimedOut => "it does not answer",
                _ => "there is no way to it",
            };
            (why, format!("{to}: {error}"))
        }
        None => ("it does not answer", "no time left".to_owned()),
    };
    Err(Unreachable::new(
        format!("The server cannot be reached, {why}; try again later"),
        logged,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        for (text, read) in [
            ("ftp.example.org", Some(("ftp.example.org", 21))),
            ("ftp.example.org:2121", Some(("ftp.example.org", 2121))),
            ("192.0.2.1:2121", Some(("192.0.2.1", 2121))),
            ("2001:db8::1", Some(("2001:db8::1", 21))),
            ("[2001:db8::1]", Some(("2001:db8::1", 21))),
            ("[2001:db8::1]:2121", Some(("2001:db8::1", 2121))),
            ("", None),
            (":21", None),
            ("host:", None),
            ("host:0", None),
            ("host:+21", None),
            ("host:70000", None),
            ("ho st", None),
            ("host/../x", None),
            ("[host]:21", None),
            ("[2001:db8::1]21", None),
        ] {
            let want = read.map(|(host, port)| Place {
                host: host.to_owned(),
                port,
            });
            assert_eq!(text.parse::<Place>().ok(), want, "{text}");
        }
    }

    #[test]
    fn the_last_at_sign_divides() {
        let (user, place) = user_at_host(b"joe@example.com@ftp.example.org:2121").unwrap();
        assert_eq!(user, b"joe@example.com");
        assert_eq!(place.unwrap().to_string(), "ftp.example.org:2121");
        assert!(user_at_host(b"joe").is_none());
        assert!(user_at_host(b"joe@").unwrap().1.is_err());
        assert!(user_at_host(b"joe@\xff").unwrap().1.is_err());
    }

    #[test]
    fn where_user_at_host_may_lead() {
        let rules = |texts: &[&str]| Allowed {
            rules: texts.iter().map(|text| text.parse().unwrap()).collect(),
        };
        let none = rules(&[]);
        let some = rules(&[
            "ftp.example.org",
            "*.example.net:2121",
            "10.1.0.0/16",
            "[2001:db8::/32]:990",
        ]);
        for (rules, name, at, admitted) in [
            (&none, "a.test", "93.184.216.34:21", true),
            (&none, "a.test", "93.184.216.34:25", false),
            (&none, "a.test", "127.0.0.1:21", false),
            (&none, "a.test", "10.1.2.3:21", false),
            (&none, "a.test", "[::1]:21", false),
            (&none, "a.test", "[::ffff:10.0.0.1]:21", false),
            (&none, "a.test", "169.254.169.254:21", false),
            (&none, "a.test", "[fe80::1]:21", false),
            (&none, "a.test", "[fd00::1]:21", false),
            (&none, "a.test", "0.0.0.0:21", false),
            (&none, "a.test", "[64:ff9b::a00:1]:21", false),
            (&some, "FTP.example.org", "93.184.216.34:21", true),
            (&some, "ftp.example.org", "93.184.216.34:22", false),
            (&some, "ftp.example.org", "10.2.0.1:21", false),
            (&some, "ftp.example.org", "10.1.0.1:21", true),
            (&some, "a.example.net", "93.184.216.34:2121", true),
            (&some, "example.net", "93.184.216.34:2121", false),
            (&some, "aexample.net", "93.184.216.34:2121", false),
            (&some, "other.test", "93.184.216.34:21", false),
            (&some, "x", "[2001:db8::1]:990", true),
        ] {
            let at: SocketAddr = at.parse().unwrap();
            assert_eq!(rules.admits(name, at), admitted, "{name} {at}");
        }
        for bad in ["", "10.0.0.0/33", "a b", "*.", "host:0", "*", "ho*st"] {
            assert!(bad.parse::<Rule>().is_err(), "{bad:?}");
        }
    }
}
