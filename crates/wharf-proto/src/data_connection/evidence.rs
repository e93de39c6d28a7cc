//! User side: what was seen when no data connection came about, and which replies say something about the path at all.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::path::Path;
use super::{Offer, Opener};

/// What was seen when an attempt did not lead to a data connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The arranging command was answered with this code, which says nothing about addresses.
    CommandRefused {
        /// 4yz or 5yz.
        code: u16,
    },
    /// PORT or EPRT was answered 501 or 504, or with another code and a text that blames the address.
    AddressRefused {
        /// The code.
        code: u16,
    },
    /// EPRT or EPSV was answered 522.
    FamilyRefused,
    /// The 227 or 229 could not be read.
    ReplyUnreadable,
    /// The 227 names an address that must not be used: see [`Paths::target`](super::path::Paths::target).
    AddressUnusable {
        /// The address in the 227.
        named: SocketAddr,
    },
    /// Our connect was not answered within the patience.
    Silent,
    /// The network told us that there is no way (ICMP).
    Unreachable,
    /// Our connect was answered with RST.
    Refused,
    /// Nobody who may came to our listener within the patience.
    NobodyCame,
    /// The transfer command was answered 425 or 426 while there was no data connection.
    NoDataConnection {
        /// The code.
        code: u16,
    },
    /// We could not listen: no port left, no permission.
    CannotListen,
}

/// Which command a reply answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The arranging command itself (PASV, EPSV, PORT, EPRT).
    Offer,
    /// The transfer command, while no data connection had come about.
    Transfer,
}

impl Evidence {
    /// What a reply says about the path. `None`: it is positive, or it is not about the path (login, file, server going
    /// down) and no other path will help.
    pub fn from_reply(offer: Offer, asked: Asked, code: u16) -> Option<Self> {
        match (asked, code) {
            (Asked::Transfer, 425 | 426) => Some(Self::NoDataConnection { code }),
            (Asked::Transfer, _) | (Asked::Offer, ..=399 | 421 | 530 | 532) => None,
            (Asked::Offer, 522) if offer.speaks_ipv6() => Some(Self::FamilyRefused),
            (Asked::Offer, 501 | 504) if offer.opener() == Opener::Server => {
                Some(Self::AddressRefused { code })
            }
            (Asked::Offer, _) => Some(Self::CommandRefused { code }),
        }
    }

    /// Did time decide? Then more patience might help.
    pub(super) fn by_time(self) -> bool {
        matches!(self, Self::Silent | Self::NobodyCame)
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandRefused { code } => write!(f, "command answered {code}"),
            Self::AddressRefused { code } => write!(f, "our address refused with {code}"),
            Self::FamilyRefused => f.write_str("protocol family refused with 522"),
            Self::ReplyUnreadable => f.write_str("reply not understood"),
            Self::AddressUnusable { named } => write!(f, "reply names {named}, not followed"),
            Self::Silent => f.write_str("no answer"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Refused => f.write_str("connection refused"),
            Self::NobodyCame => f.write_str("the server did not connect"),
            Self::NoDataConnection { code } => write!(f, "the server answered {code}"),
            Self::CannotListen => f.write_str("cannot listen here"),
        }
    }
}

/// One attempt that failed, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// The way.
    pub path: Path,
    /// Where the connection went or was asked to, as far as it got.
    pub target: Option<SocketAddr>,
    /// The address in the 227, if it is not the one that was used.
    pub replied: Option<SocketAddr>,
    /// What was seen.
    pub evidence: Evidence,
    /// How long it took, commands included.
    pub took: Duration,
}

impl fmt::Display for Tried {
    /// One line: `EPSV 203.0.113.9:51213: no answer, 1.5 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        if let Some(target) = self.target {
            write!(f, " {target}")?;
        }
        write!(f, ": {}, {:.1} s", self.evidence, self.took.as_secs_f64())?;
        if let Some(replied) = self.replied {
            write!(f, " (the reply named {replied})")?;
        }
        Ok(())
    }
}
