//! The handshakes by which a proxy leads a connection on. Not a byte behind them is read: a server speaks first.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_socks::tcp::{Socks4Stream, Socks5Stream};
use tokio_socks::{Error, TargetAddr};

use super::{Destination, Protocol, Proxy, ProxyError};
use crate::conn::Conn;

/// The longest head of an answer to CONNECT.
const LONGEST_HEAD: usize = 8 * 1024;

/// Header lines that it may have.
const MOST_HEADERS: usize = 64;

/// The longest user, password or name that SOCKS can carry.
pub(super) const LONGEST_FIELD: usize = 255;

/// Asks the proxy at the other end of `conn` to go on to `destination`. Gives back the address from which it does that,
/// where it tells.
///
/// # Errors
/// What the proxy says, as the error that `connect(2)` would have had; [`ProxyError`] inside.
pub(super) async fn lead(
    proxy: &Proxy,
    mut conn: Conn,
    destination: &Destination,
) -> io::Result<(Conn, Option<SocketAddr>)> {
    let refused = |error| refusal(proxy, &error);
    match proxy.protocol {
        Protocol::Socks4 | Protocol::Socks4a => {
            let target = destination.target(proxy)?;
            let stream = match login(proxy)? {
                Some((user, _)) => {
                    Socks4Stream::connect_with_userid_and_socket(conn, target, user).await
                }
                None => Socks4Stream::connect_with_socket(conn, target).await,
            };
            let stream = stream.map_err(refused)?;
            let outside = address(&stream.target_addr());
            Ok((stream.into_inner(), outside))
        }
        Protocol::Socks5 | Protocol::Socks5h => {
            let target = destination.target(proxy)?;
            let stream = match login(proxy)? {
                Some((user, password)) => {
                    Socks5Stream::connect_with_password_and_socket(conn, target, user, password)
                        .await
                }
                None => Socks5Stream::connect_with_socket(conn, target).await,
            };
            let stream = stream.map_err(refused)?;
            let outside = address(&stream.target_addr());
            Ok((stream.into_inner(), outside))
        }
        Protocol::Http | Protocol::Https => {
            tunnel(proxy, &mut conn, &destination.authority()).await?;
            Ok((conn, None))
        }
    }
}

impl Destination {
    /// As SOCKS sends it.
    pub(super) fn target(&self, proxy: &Proxy) -> io::Result<TargetAddr<'static>> {
        match self {
            Self::Address(to) => Ok(TargetAddr::Ip(*to)),
            Self::Name(name, port) if name.len() <= LONGEST_FIELD => {
                Ok(TargetAddr::Domain(Cow::Owned(name.clone()), *port))
            }
            Self::Name(..) => Err(ProxyError::boxed(
                io::ErrorKind::InvalidInput,
                proxy,
                "the server's name is longer than SOCKS can carry",
            )),
        }
    }

    /// As HTTP has it.
    fn authority(&self) -> String {
        match self {
            Self::Address(to) => to.to_string(),
            Self::Name(name, port) => format!("{name}:{port}"),
        }
    }
}

/// User and password as SOCKS can carry them.
pub(super) fn login(proxy: &Proxy) -> io::Result<Option<(&str, &str)>> {
    let unfit = |what: &str| {
        let what = format!("SOCKS cannot carry this {what}");
        Err(ProxyError::boxed(io::ErrorKind::InvalidInput, proxy, what))
    };
    let Some(user) = proxy.user.as_deref() else {
        return Ok(None);
    };
    let socks4 = matches!(proxy.protocol, Protocol::Socks4 | Protocol::Socks4a);
    if user.is_empty() || user.len() > LONGEST_FIELD || socks4 && user.contains('\0') {
        return unfit("user");
    }
    let password = proxy.password.as_ref();
    let password = password.map_or(Ok(""), |it| std::str::from_utf8(it.expose()));
    match password {
        // A user without a password cannot be told to SOCKS 5, which wants 1 to 255 bytes of each.
        Ok("") if !socks4 => unfit("empty password"),
        Ok(password) if password.len() <= LONGEST_FIELD => Ok(Some((user, password))),
        _ => unfit("password"),
    }
}

/// An address in a proxy's reply; a name is of no use there.
pub(super) fn address(told: &TargetAddr<'_>) -> Option<SocketAddr> {
    match told {
        TargetAddr::Ip(address) => Some(*address),
        TargetAddr::Domain(..) => None,
    }
}

/// What a SOCKS proxy says, as what `connect(2)` would say.
pub(super) fn refusal(proxy: &Proxy, error: &Error) -> io::Error {
    use io::ErrorKind;
    let (kind, what) = match error {
        Error::Io(error) => (error.kind(), format!("the connection to it broke: {error}")),
        Error::ConnectionRefused => (
            ErrorKind::ConnectionRefused,
            "connection refused".to_owned(),
        ),
        Error::HostUnreachable => (ErrorKind::HostUnreachable, "host unreachable".to_owned()),
        Error::NetworkUnreachable => (
            ErrorKind::NetworkUnreachable,
            "network unreachable".to_owned(),
        ),
        Error::TtlExpired => (ErrorKind::TimedOut, "no answer (TTL expired)".to_owned()),
        Error::CommandNotSupported => (
            ErrorKind::Unsupported,
            "it does not know this command".to_owned(),
        ),
        Error::NoAcceptableAuthMethods if proxy.user.is_none() => (
            ErrorKind::PermissionDenied,
            "it wants a user and a password".to_owned(),
        ),
        // Also what the library makes of an unknown reply to the request itself
        Error::UnknownAuthMethod => (
            ErrorKind::PermissionDenied,
            "it refuses, with a code that has no meaning".to_owned(),
        ),
        Error::NoAcceptableAuthMethods => (
            ErrorKind::PermissionDenied,
            "it wants another kind of login".to_owned(),
        ),
        Error::PasswordAuthFailure(_) => (
            ErrorKind::PermissionDenied,
            "user and password refused".to_owned(),
        ),
        Error::InvalidResponseVersion => (
            ErrorKind::InvalidData,
            "what answers is no SOCKS proxy of this version".to_owned(),
        ),
        other => (ErrorKind::PermissionDenied, other.to_string()),
    };
    ProxyError::boxed(kind, proxy, what)
}

/// CONNECT and its answer.
async fn tunnel(proxy: &Proxy, conn: &mut Conn, authority: &str) -> io::Result<()> {
    let fail = |kind, what: String| Err(ProxyError::boxed(kind, proxy, what));
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some(user) = &proxy.user {
        let mut plain = format!("{user}:").into_bytes();
        plain.extend(proxy.password.as_ref().map_or(&[][..], |it| it.expose()));
        request.push_str("Proxy-Authorization: Basic ");
        BASE64_STANDARD.encode_string(plain, &mut request);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    let spoken = async {
        conn.write_all(request.as_bytes()).await?;
        conn.flush().await?;
        let mut head = Vec::with_capacity(256);
        // Byte by byte: what follows the empty line is the server's greeting.
        while !head.ends_with(b"\r\n\r\n") && head.len() < LONGEST_HEAD {
            head.push(conn.read_u8().await?);
        }
        io::Result::Ok(head)
    };
    let head = match spoken.await {
        Ok(head) => head,
        Err(error) => {
            let what = format!("the connection to it broke: {error}");
            return fail(error.kind(), what);
        }
    };
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let code = match answer.parse(&head) {
        Ok(httparse::Status::Complete(_)) => answer.code.unwrap_or_default(),
        _ => {
            let what = "what answers is no HTTP proxy";
            return fail(io::ErrorKind::InvalidData, what.to_owned());
        }
    };
    let said = wharf_proto::visible(answer.reason.unwrap_or_default().as_bytes());
    match code {
        200..=299 => Ok(()),
        407 => fail(
            io::ErrorKind::PermissionDenied,
            match proxy.user {
                Some(_) => "user and password refused (407)".to_owned(),
                None => "it wants a user and a password (407)".to_owned(),
            },
        ),
        403 | 405 => fail(
            io::ErrorKind::PermissionDenied,
            format!(
                "it does not permit CONNECT to {authority} ({code} {said}); many permit port 443 alone, and FTP needs 21 \
                 and the server's passive ports"
            ),
        ),
        504 => fail(io::ErrorKind::TimedOut, format!("{code} {said}")),
        500..=599 => fail(
            io::ErrorKind::HostUnreachable,
            format!("no connection to {authority} ({code} {said})"),
        ),
        _ => fail(io::ErrorKind::PermissionDenied, format!("{code} {said}")),
    }
}
