//! `ftp://` addresses: RFC 1738 §3.2 with the generic syntax of RFC 3986; `ftpes://` and `ftps://` (which no RFC has, and
//! FileZilla, WinSCP and curl know) are the same with TLS, after AUTH or from the first byte on.
//!
//! `ftp://[user[:password]@]host[:port]/path[;type=a|i|d]`. The path is relative to the directory in which the login
//! leaves the user; `%2F` at its beginning (or an empty first segment, `ftp://host//etc`, as curl and tnftp read it)
//! makes it absolute. Each segment is percent-decoded to bytes. RFC 1738 asks for one CWD a segment; the client sends
//! one pathname instead, which every common server understands and which saves a round trip a segment.
//!
//! Not here: bookmarks, `host:path`, and percent-*encoding* of names for display.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use wharf_proto::{Pathname, Secret, Text};

/// Port of the control connection when the address names none (RFC 959 §8).
pub const CONTROL_PORT: u16 = 21;

/// The same for TLS from the first byte on (IANA `ftps`).
pub const IMPLICIT_TLS_PORT: u16 = 990;

/// What stands before `://`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `ftp`: nothing is said about TLS.
    #[default]
    Ftp,
    /// `ftpes`: TLS after AUTH TLS, required.
    Ftpes,
    /// `ftps`: TLS from the first byte on, required.
    Ftps,
}

impl Scheme {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ftp => "ftp",
            Self::Ftpes => "ftpes",
            Self::Ftps => "ftps",
        }
    }

    /// The port of the control connection when none is named.
    pub fn port(self) -> u16 {
        match self {
            Self::Ftp | Self::Ftpes => CONTROL_PORT,
            Self::Ftps => IMPLICIT_TLS_PORT,
        }
    }
}

/// A parsed `ftp://` address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    scheme: Scheme,
    endpoint: Endpoint,
    user: Option<Text>,
    password: Option<Secret>,
    path: Option<Pathname>,
    directory: bool,
    code: Option<TypeCode>,
}

/// Host and port of a control connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Name or address; IPv6 addresses without brackets, a zone after `%` is kept.
    pub host: String,
    /// Port of the server-PI.
    pub port: u16,
}

/// What `;type=` asked for (RFC 1738 §3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeCode {
    /// `;type=a`: TYPE A, line ends are converted.
    Ascii,
    /// `;type=i`: TYPE I, bytes as they are.
    Image,
    /// `;type=d`: a directory, listed with NLST.
    Directory,
}

/// Why a text is not an address wharf can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// No scheme, or one that is not FTP.
    #[error("not an ftp:// address: {0}")]
    Scheme(String),
    /// The host is missing or malformed.
    #[error("bad host in address: {0}")]
    Host(String),
    /// The port is not a number from 1 to 65535.
    #[error("bad port in address: {0}")]
    Port(String),
    /// A `%` that two hexadecimal digits do not follow.
    #[error("bad percent-encoding in address: {0}")]
    Encoding(String),
    /// CR, LF or NUL, encoded or not: they would end the command and begin another (RFC 959 §5.3).
    #[error("{0} contains a line break or NUL byte")]
    Forbidden(&'static str),
    /// `#` is not a part of FTP addresses; in a name it is written `%23`.
    #[error("address contains '#'; a name with that character is written with %23")]
    Fragment,
    /// `;type=` with something else than a, i or d.
    #[error("unknown ;type= in address: {0}")]
    TypeCode(String),
    /// The pathname is too long.
    #[error("pathname in address is too long")]
    Long,
}

impl Target {
    /// Whether it demands TLS.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The server the address names.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// User name before `@`, decoded.
    pub fn user(&self) -> Option<&Text> {
        self.user.as_ref()
    }

    /// Password before `@`, decoded.
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// The pathname, relative to the login directory unless it begins with `/`; `None` is the login directory.
    pub fn path(&self) -> Option<&Pathname> {
        self.path.as_ref()
    }

    /// Whether the address itself says that it is a directory: trailing slash, no path, or `;type=d`.
    pub fn is_directory(&self) -> bool {
        self.directory || self.path.is_none() || self.code == Some(TypeCode::Directory)
    }

    /// What `;type=` asked for.
    pub fn type_code(&self) -> Option<TypeCode> {
        self.code
    }

    /// The last component of the path, for naming a local file; `None` for a directory.
    pub fn file_name(&self) -> Option<&[u8]> {
        if self.is_directory() {
            None
        } else {
            self.path.as_ref()?.file_name()
        }
    }

    /// The pathname of `name` below this directory: `put FILE ftp://host/dir/`.
    ///
    /// # Errors
    /// [`TargetError::Forbidden`] when the name holds CR, LF or NUL, [`TargetError::Long`] when the result is too long.
    pub fn child(&self, name: &[u8]) -> Result<Pathname, TargetError> {
        match &self.path {
            Some(directory) => directory
                .child(name)
                .map_err(|_| TargetError::Forbidden("file name")),
            None => pathname(name.to_vec()),
        }
    }

    /// The same server and user with another path.
    #[must_use]
    pub fn with_path(mut self, path: Option<Pathname>) -> Self {
        self.directory = path.is_none();
        self.path = path;
        self
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(address: &str) -> Result<Self, TargetError> {
        let (scheme, rest) = address
            .split_once("://")
            .ok_or_else(|| TargetError::Scheme(shown(address)))?;
        let scheme = [Scheme::Ftp, Scheme::Ftpes, Scheme::Ftps]
            .into_iter()
            .find(|it| scheme.eq_ignore_ascii_case(it.word()))
            .ok_or_else(|| TargetError::Scheme(shown(scheme)))?;
        if rest.contains('#') {
            return Err(TargetError::Fragment);
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, ""),
        };
        // The last '@' ends the user part: mail addresses as user names are common and often typed unencoded.
        let (userinfo, host_port) = match authority.rsplit_once('@') {
            Some((userinfo, host_port)) => (Some(userinfo), host_port),
            None => (None, authority),
        };
        let (user, password) = match userinfo {
            None => (None, None),
            Some(userinfo) => {
                let (user, password) = match userinfo.split_once(':') {
                    Some((user, password)) => (user, Some(password)),
                    None => (userinfo, None),
                };
                let user = text(user, "user name")?;
                let password = password
                    .map(|it| text(it, "password"))
                    .transpose()?
                    .map(Secret::new);
                (
                    if user.as_bytes().is_empty() {
                        None
                    } else {
                        Some(user)
                    },
                    password,
                )
            }
        };
        let endpoint = endpoint(host_port, scheme.port())?;
        let (path, code) = split_type(path)?;
        let (path, directory) = decode_path(path)?;
        Ok(Self {
            scheme,
            endpoint,
            user,
            password,
            path,
            directory,
            code,
        })
    }
}

impl fmt::Display for Target {
    /// For messages: the password is left out.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://", self.scheme.word())?;
        if let Some(user) = &self.user {
            // A mail address as a name: so that the text can be pasted as an address again.
            let user = user.display().to_string();
            write!(out, "{}@", user.replace('@', "%40"))?;
        }
        let Endpoint { host, port } = &self.endpoint;
        if host.contains(':') {
            write!(out, "[{host}]")?;
        } else {
            out.write_str(host)?;
        }
        if *port != self.scheme.port() {
            write!(out, ":{port}")?;
        }
        out.write_str("/")?;
        if let Some(path) = &self.path {
            write!(out, "{}", path.display())?;
            if self.directory && path.as_bytes() != b"/" {
                out.write_str("/")?;
            }
        }
        Ok(())
    }
}

impl Endpoint {
    /// An endpoint from its parts.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(out, "[{}]", self.host)?;
        } else {
            out.write_str(&self.host)?;
        }
        if self.port == CONTROL_PORT {
            Ok(())
        } else {
            write!(out, ":{}", self.port)
        }
    }
}

impl From<std::net::SocketAddr> for Endpoint {
    fn from(address: std::net::SocketAddr) -> Self {
        Self::new(address.ip().to_string(), address.port())
    }
}

fn endpoint(host_port: &str, usual_port: u16) -> Result<Endpoint, TargetError> {
    let bad = || TargetError::Host(shown(host_port));
    let (host, port) = if let Some(rest) = host_port.strip_prefix('[') {
        let (inside, after) = rest.split_once(']').ok_or_else(bad)?;
        let inside = decode(inside).and_then(|it| String::from_utf8(it).map_err(|_| bad()))?;
        let address = inside
            .split_once('%')
            .map_or(inside.as_str(), |(address, _zone)| address);
        if !matches!(IpAddr::from_str(address), Ok(IpAddr::V6(_))) {
            return Err(bad());
        }
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => return Err(bad()),
        };
        (inside, port)
    } else {
        let (host, port) = match host_port.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host_port, None),
        };
        (String::from_utf8(decode(host)?).map_err(|_| bad())?, port)
    };
    let printable = |c: char| !c.is_control() && !c.is_whitespace() && !"/\\@<>\"".contains(c);
    if host.is_empty() || !host.chars().all(printable) {
        return Err(bad());
    }
    let port = match port {
        None | Some("") => usual_port, // RFC 3986 §3.2.3: an empty port is the default one
        Some(digits) => match digits.parse::<u16>() {
            Ok(port) if port > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => port,
            _ => return Err(TargetError::Port(shown(digits))),
        },
    };
    Ok(Endpoint { host, port })
}

/// Takes `;type=X` off the end. Only an unencoded semicolon counts: `%3Btype=a` is a part of the name.
fn split_type(path: &str) -> Result<(&str, Option<TypeCode>), TargetError> {
    let Some((name, parameter)) = path.rsplit_once(';') else {
        return Ok((path, None));
    };
    let Some((key, value)) = parameter.split_once('=') else {
        return Ok((path, None));
    };
    if !key.eq_ignore_ascii_case("type") {
        return Ok((path, None));
    }
    let code = match value {
        "a" | "A" => TypeCode::Ascii,
        "i" | "I" => TypeCode::Image,
        "d" | "D" => TypeCode::Directory,
        _ => return Err(TargetError::TypeCode(shown(value))),
    };
    Ok((name, Some(code)))
}

fn decode_path(path: &str) -> Result<(Option<Pathname>, bool), TargetError> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut segments = path.split('/').peekable();
    let mut first = true;
    let mut directory = path.is_empty();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if segment.is_empty() {
            if last {
                directory = true;
            } else if first {
                bytes.push(b'/');
            }
            first = false;
            continue;
        }
        if !bytes.is_empty() && !bytes.ends_with(b"/") {
            bytes.push(b'/');
        }
        bytes.extend(decode(segment)?);
        first = false;
    }
    if bytes.is_empty() {
        return Ok((None, true));
    }
    directory |= bytes.ends_with(b"/");
    while bytes.len() > 1 && bytes.ends_with(b"/") {
        bytes.pop();
    }
    Ok((Some(pathname(bytes)?), directory))
}

fn pathname(bytes: Vec<u8>) -> Result<Pathname, TargetError> {
    if bytes.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
        return Err(TargetError::Forbidden("path"));
    }
    Pathname::new(bytes).map_err(|_| TargetError::Long)
}

fn text(encoded: &str, what: &'static str) -> Result<Text, TargetError> {
    Text::new(decode(encoded)?).map_err(|_| TargetError::Forbidden(what))
}

/// Percent-decoding that refuses what RFC 3986 §2.1 does not allow, instead of passing it through.
fn decode(encoded: &str) -> Result<Vec<u8>, TargetError> {
    let mut rest = encoded.as_bytes();
    while let Some(at) = rest.iter().position(|b| *b == b'%') {
        match rest.get(at + 1..at + 3) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => rest = &rest[at + 3..],
            _ => return Err(TargetError::Encoding(shown(encoded))),
        }
    }
    let bytes: Vec<u8> = percent_decode_str(encoded).collect();
    Ok(bytes)
}

/// What a message may show of what was typed: no control characters, and never the part before `@`.
fn shown(typed: &str) -> String {
    let safe = typed.rsplit_once('@').map_or(typed, |(_, after)| after);
    wharf_proto::visible(safe.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `host port user password path(dir) type`, or the error.
    fn check(address: &str, expected: &str) {
        let seen = match address.parse::<Target>() {
            Err(error) => format!("error: {error}"),
            Ok(it) => format!(
                "{} {} user={} password={} path={}{}{}",
                it.endpoint().host,
                it.endpoint().port,
                it.user()
                    .map_or("-".into(), |it| String::from_utf8_lossy(it.as_bytes())
                        .into_owned()),
                it.password()
                    .map_or("-".into(), |it| String::from_utf8_lossy(it.expose())
                        .into_owned()),
                it.path().map_or("-".into(), |it| it.display().to_string()),
                if it.is_directory() { " directory" } else { "" },
                it.type_code()
                    .map_or(String::new(), |it| format!(" {it:?}")),
            ),
        };
        assert_eq!(seen, expected, "{address}");
    }

    #[test]
    fn addresses_are_read_as_rfc_1738_and_3986_say() {
        check("ftp://h", "h 21 user=- password=- path=- directory");
        check("ftp://h/", "h 21 user=- password=- path=- directory");
        check("FTP://h/a/b", "h 21 user=- password=- path=a/b");
        check(
            "ftp://h:2121/a/b/",
            "h 2121 user=- password=- path=a/b directory",
        );
        check("ftp://h:/a", "h 21 user=- password=- path=a");
        check(
            "ftp://h/%2Fetc/motd",
            "h 21 user=- password=- path=/etc/motd",
        );
        check(
            "ftp://h/%2fetc/motd",
            "h 21 user=- password=- path=/etc/motd",
        );
        check("ftp://h//etc/motd", "h 21 user=- password=- path=/etc/motd");
        check("ftp://h/%2F", "h 21 user=- password=- path=/ directory");
        check("ftp://h/%2F/etc", "h 21 user=- password=- path=/etc");
        check("ftp://h/a%20b/c%25", "h 21 user=- password=- path=a b/c%");
        check("ftp://h/a?b", "h 21 user=- password=- path=a?b");
        check("ftp://u:p@h/x", "h 21 user=u password=p path=x");
        check("ftp://u:p%40%3A%2F@h/x", "h 21 user=u password=p@:/ path=x");
        check(
            "ftp://me@work.org:pw@h/x",
            "h 21 user=me@work.org password=pw path=x",
        );
        check("ftp://u:@h/x", "h 21 user=u password= path=x");
        check("ftp://u@h", "h 21 user=u password=- path=- directory");
        check("ftp://[::1]:2121/x", "::1 2121 user=- password=- path=x");
        check(
            "ftp://[fe80::1%25eth0]/x",
            "fe80::1%eth0 21 user=- password=- path=x",
        );
        check("ftp://h/x;type=a", "h 21 user=- password=- path=x Ascii");
        check("ftp://h/x;type=I", "h 21 user=- password=- path=x Image");
        check(
            "ftp://h/x;type=d",
            "h 21 user=- password=- path=x directory Directory",
        );
        check("ftp://h/x%3Btype=a", "h 21 user=- password=- path=x;type=a");
        check("ftp://h/a;b", "h 21 user=- password=- path=a;b");
        check("ftp://h/a/./../b", "h 21 user=- password=- path=a/./../b");
    }

    #[test]
    fn addresses_with_tls_have_ports_of_their_own() {
        check("ftpes://u@h/x", "h 21 user=u password=- path=x");
        check("FTPS://u@h/x", "h 990 user=u password=- path=x");
        check("ftps://u@h:21/x", "h 21 user=u password=- path=x");
        for (address, expected) in [
            ("ftps://h:990/x", "ftps://h/x"),
            ("ftps://h:21/x", "ftps://h:21/x"),
            ("ftpes://[::1]:21/x", "ftpes://[::1]/x"),
            ("ftp://h:990/x", "ftp://h:990/x"),
        ] {
            let target: Target = address.parse().unwrap();
            assert_eq!(target.to_string(), expected);
            assert_eq!(target.to_string().parse::<Target>(), Ok(target));
        }
    }

    #[test]
    fn what_could_forge_a_command_or_is_no_address_is_refused() {
        check(
            "ftp://h/a%0D%0ADELE%20b",
            "error: path contains a line break or NUL byte",
        );
        check(
            "ftp://h/a%00",
            "error: path contains a line break or NUL byte",
        );
        check(
            "ftp://u%0aX:p@h/",
            "error: user name contains a line break or NUL byte",
        );
        check(
            "ftp://u:p%0d@h/",
            "error: password contains a line break or NUL byte",
        );
        check("ftp://h%0d%0aX/", "error: bad host in address: h%0d%0aX");
        check("ftp://h:0/", "error: bad port in address: 0");
        check("ftp://h:65536/", "error: bad port in address: 65536");
        check("ftp://h:+21/", "error: bad port in address: +21");
        check("ftp://h/%zz", "error: bad percent-encoding in address: %zz");
        check("ftp://h/%2", "error: bad percent-encoding in address: %2");
        check("ftp:///x", "error: bad host in address: ");
        check("ftp://[1.2.3.4]/x", "error: bad host in address: [1.2.3.4]");
        check("ftp://[::1/x", "error: bad host in address: [::1");
        check("ftp://h/x;type=z", "error: unknown ;type= in address: z");
        check(
            "ftp://h/a#b",
            "error: address contains '#'; a name with that character is written with %23",
        );
        check("http://h/x", "error: not an ftp:// address: http");
        check("h/x", "error: not an ftp:// address: h/x");
        check("sftp://h/x", "error: not an ftp:// address: sftp");
    }

    #[test]
    fn messages_never_show_the_password() {
        let target: Target = "ftp://u:geheim@h:2121/a/".parse().unwrap();
        assert_eq!(target.to_string(), "ftp://u@h:2121/a/");
        assert!(!format!("{target:?}").contains("geheim"));
        let error = "ftp//u:geheim@h".parse::<Target>().unwrap_err();
        assert!(!error.to_string().contains("geheim"));
    }
}
