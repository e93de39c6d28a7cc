//! Addresses of proxies, and for which hosts none is used. Pure; whoever has read the environment decides.
//!
//! `[protocol://][user[:password]@]host[:port]`, with `socks4`, `socks4a`, `socks5`, `socks5h`, `http` and `https`, which
//! lead every connection, and `ftp` for an FTP proxy, which is logged in to. Without a protocol it is `http`, as curl has it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use wharf_net::through::{Protocol, Proxy};
use wharf_proto::data_connection::advertise::Network;
use wharf_proto::ftp_proxy::Dialogue;
use wharf_proto::{Secret, Text};

use crate::target::Endpoint;

/// A proxy that speaks FTP itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FtpProxy {
    /// Where it is.
    pub endpoint: Endpoint,
    /// The user that the proxy itself asks for, if it does.
    pub user: Option<Text>,
    /// The password of that user.
    pub password: Option<Secret>,
    /// How it is told where to go on to.
    pub dialogue: Dialogue,
}

/// A proxy of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// Leads connections: the network is another one.
    Connections(Proxy),
    /// Is logged in to: [`Options::ftp_proxy`](crate::Options::ftp_proxy).
    Login(FtpProxy),
}

/// Why a text is not the address of a proxy. It never shows the text, for a password may be in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ViaError {
    /// An unknown word before `://`.
    #[error(
        "a proxy is socks4://, socks4a://, socks5://, socks5h://, http://, https:// or ftp://, and not {0}://"
    )]
    Protocol(String),
    /// The host is missing or malformed.
    #[error("the proxy's address has no host, or one that cannot be")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the proxy's address has a port that cannot be")]
    Port,
    /// A bad percent-encoding, or a control character.
    #[error("the user or password in the proxy's address cannot be read")]
    User,
}

impl FromStr for Via {
    type Err = ViaError;

    fn from_str(text: &str) -> Result<Self, ViaError> {
        let (protocol, rest) = text.split_once("://").unwrap_or(("http", text));
        let word = protocol.to_ascii_lowercase();
        // As some write it
        let word = if word == "socks" { "socks5" } else { &word };
        let leads = Protocol::ALL.into_iter().find(|it| it.word() == word);
        if leads.is_none() && word != "ftp" {
            return Err(ViaError::Protocol(wharf_proto::visible(word.as_bytes())));
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (userinfo, host_port) = match authority.rsplit_once('@') {
            Some((userinfo, host_port)) => (Some(userinfo), host_port),
            None => (None, authority),
        };
        let usual = leads.map_or(21, Protocol::port);
        let (host, port) = host_and_port(host_port, usual)?;
        let (user, password) = match userinfo.map(|it| it.split_once(':').unwrap_or((it, ""))) {
            Some((user, password)) => (
                Some(decoded(user)?),
                Some(decoded(password)?).filter(|it| !it.is_empty()),
            ),
            None => (None, None),
        };
        let user = user.filter(|it| !it.is_empty());
        let password = password.map(|it| Secret::new(Text::lossy(it)));
        Ok(match leads {
            Some(protocol) => Self::Connections(Proxy {
                protocol,
                host,
                port,
                user,
                password,
            }),
            None => Self::Login(FtpProxy {
                endpoint: Endpoint::new(host, port),
                user: user.map(Text::lossy),
                password,
                dialogue: Dialogue::default(),
            }),
        })
    }
}

impl fmt::Display for Via {
    /// For messages: without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connections(proxy) => proxy.fmt(f),
            Self::Login(proxy) => write!(f, "ftp://{}", proxy.endpoint),
        }
    }
}

fn decoded(text: &str) -> Result<String, ViaError> {
    let bytes = percent_decode_str(text).decode_utf8();
    let text = bytes.map_err(|_| ViaError::User)?;
    if text.chars().any(char::is_control) {
        return Err(ViaError::User);
    }
    Ok(text.into_owned())
}

fn host_and_port(text: &str, usual: u16) -> Result<(String, u16), ViaError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or(ViaError::Host)?;
            if host.parse::<IpAddr>().is_err() {
                return Err(ViaError::Host);
            }
            match rest.strip_prefix(':') {
                None if !rest.is_empty() => return Err(ViaError::Host),
                port => (host, port),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let odd = |c: char| c.is_control() || c.is_whitespace() || "%\\@<>\"[]".contains(c);
    if host.is_empty() || host.contains(odd) {
        return Err(ViaError::Host);
    }
    let port = match port {
        None | Some("") => usual,
        Some(digits) => match digits.parse() {
            Ok(port) if port != 0 && !digits.starts_with('+') => port,
            _ => return Err(ViaError::Port),
        },
    };
    Ok((host.to_owned(), port))
}

/// Whether a list of hosts that are reached directly names this one, as curl reads `no_proxy`: names and networks separated
/// by commas or blanks. A name stands for itself and everything below it, with or without a dot before it; `*` alone stands
/// for all hosts; an address stands for itself, and with `/N` for its network.
pub fn is_direct(list: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    let address: Option<IpAddr> = host.parse().ok();
    if list.trim() == "*" {
        return true;
    }
    list.split([',', ' ', '\t'])
        .filter(|it| !it.is_empty())
        .any(|item| {
            let item = item.trim_start_matches('[').trim_end_matches(']');
            match address {
                Some(address) => match item.parse::<IpAddr>() {
                    Ok(it) => it == address,
                    Err(_) => item
                        .parse::<Network>()
                        .is_ok_and(|network| item.contains('/') && network.contains(address)),
                },
                None => {
                    let item = item.trim_start_matches('.').trim_end_matches('.');
                    let Some(at) = host.len().checked_sub(item.len()) else {
                        return false;
                    };
                    let (before, tail) = host.split_at_checked(at).unwrap_or((host, ""));
                    !item.is_empty()
                        && tail.eq_ignore_ascii_case(item)
                        && (before.is_empty() || before.ends_with('.'))
                }
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_proxies() {
        for (text, shown, user) in [
            ("proxy", "http://proxy:1080", None),
            ("proxy:3128", "http://proxy:3128", None),
            (
                "HTTP://me:a%20b@proxy:3128/",
                "http://proxy:3128",
                Some(("me", "a b")),
            ),
            ("https://proxy", "https://proxy:443", None),
            ("socks5h://[::1]:9050", "socks5h://[::1]:9050", None),
            ("socks://proxy", "socks5://proxy:1080", None),
            (
                "socks4a://me@proxy",
                "socks4a://proxy:1080",
                Some(("me", "")),
            ),
            ("ftp://gate", "ftp://gate", None),
            (
                "ftp://me@corp:x@gate:2121",
                "ftp://gate:2121",
                Some(("me@corp", "x")),
            ),
            ("socks5://:@proxy:1", "socks5://proxy:1", None),
        ] {
            let via: Via = text
                .parse()
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(via.to_string(), shown, "{text}");
            let (name, password) = match &via {
                Via::Connections(proxy) => (proxy.user.clone(), proxy.password.clone()),
                Via::Login(proxy) => (
                    proxy.user.as_ref().map(|it| it.display().to_string()),
                    proxy.password.clone(),
                ),
            };
            let password = password.map(|it| String::from_utf8_lossy(it.expose()).into_owned());
            let known = name.map(|name| (name, password.unwrap_or_default()));
            let known = known
                .as_ref()
                .map(|(name, password)| (&**name, &**password));
            assert_eq!(known, user, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_proxy() {
        for (text, error) in [
            ("", ViaError::Host),
            ("gopher://proxy", ViaError::Protocol("gopher".to_owned())),
            ("http://", ViaError::Host),
            ("http://a b", ViaError::Host),
            ("http://[::1", ViaError::Host),
            ("http://[nonsense]", ViaError::Host),
            ("http://[::1]x", ViaError::Host),
            ("http://proxy:0", ViaError::Port),
            ("http://proxy:99999", ViaError::Port),
            ("http://proxy:+1", ViaError::Port),
            ("http://a%00b@proxy", ViaError::User),
            ("http://a:%ff@proxy", ViaError::User),
            ("http://a%0d%0aX:y@proxy", ViaError::User),
        ] {
            assert_eq!(text.parse::<Via>(), Err(error), "{text}");
        }
    }

    #[test]
    fn hosts_without_a_proxy_as_curl_reads_them() {
        for (list, host, direct) in [
            ("*", "anything", true),
            ("example.org", "example.org", true),
            ("example.org", "ftp.EXAMPLE.org", true),
            (".example.org", "ftp.example.org", true),
            (".example.org", "example.org", true),
            ("example.org", "notexample.org", false),
            ("example.org.", "example.org.", true),
            ("a, b,c d", "d", true),
            ("a,*", "x", false),
            ("192.0.2.0/24", "192.0.2.7", true),
            ("192.0.2.0/24", "192.0.3.7", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("[::1]", "::1", true),
            ("2001:db8::/32", "2001:db8::9", true),
            ("0.2.7", "192.0.2.7", false),
            ("", "host", false),
            (",", "host", false),
            (".", "host", false),
            ("é", "xé", false),
        ] {
            assert_eq!(is_direct(list, host), direct, "{list:?} {host}");
        }
    }
}
