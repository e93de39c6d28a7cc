//! Which address a command names, and whether the connection really goes there: where a NAT shows.

use std::net::{IpAddr, SocketAddr};

use wharf_proto::command::{Command, EprtArgument, LprtArgument};
use wharf_proto::data_connection::{Opener, canonical};
use wharf_proto::host_port;
use wharf_proto::trace::Side;

/// Where the listening side says that it listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Named {
    /// By PORT, EPRT, LPRT, or the code of the reply to PASV, EPSV, LPSV.
    pub(crate) by: By,
    /// A reply to EPSV names no address.
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Command(&'static str),
    Reply(u16),
}

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Command(word) => f.write_str(word),
            Self::Reply(code) => write!(f, "{code}"),
        }
    }
}

impl Named {
    /// What a command names.
    pub(crate) fn by_command(line: &[u8]) -> Option<Self> {
        let command = Command::parse(line).ok()?;
        let address: SocketAddr = match &command {
            Command::Port(address) => (*address).into(),
            Command::Eprt(EprtArgument::Address(address))
            | Command::Lprt(LprtArgument::Address(address)) => *address,
            _ => return None,
        };
        Some(Self {
            by: By::Command(command.word()),
            address: Some(canonical(address.ip())),
            port: address.port(),
        })
    }

    /// What a reply names.
    pub(crate) fn by_reply(code: u16, line: &[u8]) -> Option<Self> {
        let text = line.get(4..)?;
        let (address, port) = match code {
            227 => host_port::read_227(text).map(|it| (Some(IpAddr::V4(*it.ip())), it.port()))?,
            228 => host_port::read_228(text).map(|it| (Some(it.ip()), it.port()))?,
            229 => (None, host_port::read_229(text)?),
            _ => return None,
        };
        Some(Self {
            by: By::Reply(code),
            address: address.map(canonical),
            port,
        })
    }

    /// The port, where it stands there in two numbers that nobody multiplies in his head.
    pub(crate) fn reckoned(self) -> Option<u16> {
        match self.by {
            By::Command("PORT" | "LPRT") | By::Reply(227 | 228) => Some(self.port),
            By::Command(_) | By::Reply(_) => None,
        }
    }

    /// Who will open the data connection.
    pub(crate) fn opener(self) -> Opener {
        match self.by {
            By::Command(_) => Opener::Server,
            By::Reply(_) => Opener::User,
        }
    }

    /// What the recorder finds strange about the address: `seen` is where the listening side is on the control
    /// connection.
    pub(crate) fn strangeness(
        self,
        seen: Option<IpAddr>,
        recorder: Option<Side>,
    ) -> Option<String> {
        let (named, seen) = (self.address?, canonical(seen?));
        if named == seen {
            return None;
        }
        let by = self.by;
        Some(match (self.opener(), recorder) {
            (Opener::Server, Some(Side::Server)) => {
                format!("{by} names {named}, the server sees the user at {seen}")
            }
            (Opener::Server, _) => format!("{by} names {named}, the user is {seen} here"),
            (Opener::User, Some(Side::Server)) => {
                format!("{by} names {named}, the server is {seen} here")
            }
            (Opener::User, _) => format!("{by} names {named}, the user sees the server at {seen}"),
        })
    }

    /// Whether the data connection went where it was said: `end` is its listening end, `seen` as above.
    pub(crate) fn remark(self, end: SocketAddr, seen: Option<IpAddr>) -> Option<String> {
        let real = canonical(end.ip());
        if self.address.is_some_and(|named| named != real) {
            return Some(format!("to {real}"));
        }
        if self.port != end.port() {
            return Some(format!("{} named port {}", self.by, self.port));
        }
        seen.filter(|seen| canonical(*seen) != real)
            .map(|_| format!("to {real}"))
    }
}
