//! User side: what was seen when no data connection came about, and which replies say something about the path at all.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::as_seen::from_refusal;
use super::guard::LOWEST_TARGET_PORT;
use super::passive::PortRange;
use super::path::{Address, Path};
use super::{Offer, Opener};
use crate::reply::Reply;

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
        /// The address that the server would have taken, where its text tells it.
        outside: Option<IpAddr>,
    },
    /// EPRT or EPSV was answered 522 (vsftpd: `500 Bad EPRT protocol.`).
    FamilyRefused,
    /// The 227 or 229 could not be read.
    ReplyUnreadable,
    /// The 227 names an address that must not be used: see [`PathPolicy::targets`](super::policy::PathPolicy::targets).
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
    /// The connection stood, and the server broke it off before a byte had moved: it took us for a stranger.
    Dropped,
    /// The connection stood, at the control port, and the server greeted it: it took it for a control connection.
    Greeted,
    /// We could not listen.
    CannotListen(NoListener),
    /// No router in front of us forwards ports on request.
    NoMapper,
    /// The router in front of us did not want to forward a port, or did not say so in time.
    MappingRefused,
    /// The router in front of us forwards a port of an address that is not the one the server sees: there is another
    /// NAT behind it (a carrier's).
    MappedElsewhere {
        /// The router's outside address.
        mapped: IpAddr,
    },
}

/// Why there is no port to listen at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoListener {
    /// Every port is in use: of the range that was asked for, or (`None`) of this machine.
    InUse(Option<PortRange>),
    /// The system does not permit it: ports below 1024, a sandbox.
    Forbidden(Option<PortRange>),
    /// A proxy stands between, and takes no connections for us.
    Proxy,
    /// Another reason; the address is not ours any more, for example.
    Other,
}

impl fmt::Display for NoListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(Some(range)) => write!(f, "no free port in {range} (--port-range)"),
            Self::InUse(None) => f.write_str("no free port on this machine"),
            Self::Forbidden(Some(range)) => {
                write!(f, "no permission to listen in {range} (--port-range)")
            }
            Self::Forbidden(None) => f.write_str("no permission to listen"),
            Self::Proxy => f.write_str("the proxy takes no connections for us (SOCKS BIND)"),
            Self::Other => f.write_str("cannot listen here"),
        }
    }
}

/// Which command a reply answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The arranging command itself (PASV, EPSV, PORT, EPRT, LPRT).
    Offer,
    /// The transfer command, while no data connection had come about.
    Transfer,
}

/// How servers say that it is the address in PORT or EPRT they do not like; lower case. vsftpd and ProFTPD `Illegal PORT
/// command`, BSD `Illegal PORT rejected (address wrong)`, Pure-FTPd `I won't open a connection to`, wharf.
const BLAMES_ADDRESS: &[&str] = &[
    "illegal port",
    "illegal eprt",
    "won't open a connection",
    "data connections go only to",
];

impl Evidence {
    /// What a reply says about the path. `None`: it is positive, or it is not about the path (login, file, server going
    /// down) and no other path will help.
    pub fn from_reply(offer: Offer, asked: Asked, reply: &Reply) -> Option<Self> {
        let code = reply.code();
        match (asked, code) {
            (Asked::Transfer, 425 | 426) => Some(Self::NoDataConnection { code }),
            (Asked::Transfer, _) | (Asked::Offer, ..=399 | 421 | 530 | 532) => None,
            (Asked::Offer, 522) if offer.speaks_ipv6() => Some(Self::FamilyRefused),
            (Asked::Offer, _) if offer.opener() == Opener::Server => {
                let text = String::from_utf8_lossy(reply.text().as_bytes()).to_lowercase();
                Some(
                    if offer == Offer::Eprt && text.contains("bad eprt protocol") {
                        Self::FamilyRefused
                    } else if matches!(code, 501 | 504)
                        || BLAMES_ADDRESS.iter().any(|words| text.contains(words))
                    {
                        let outside = from_refusal(reply);
                        Self::AddressRefused { code, outside }
                    } else {
                        Self::CommandRefused { code }
                    },
                )
            }
            (Asked::Offer, _) => Some(Self::CommandRefused { code }),
        }
    }

    /// Does it say that packets do not get through, so that the other direction is worth trying?
    pub(super) fn is_about_the_network(self) -> bool {
        matches!(
            self,
            Self::Silent
                | Self::Unreachable
                | Self::NobodyCame
                | Self::NoDataConnection { .. }
                | Self::Dropped
                | Self::Greeted
        )
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandRefused { code } => write!(f, "command answered {code}"),
            Self::AddressRefused { code, .. } => write!(f, "our address refused with {code}"),
            Self::FamilyRefused => f.write_str("protocol family refused"),
            Self::ReplyUnreadable => f.write_str("reply not understood"),
            Self::AddressUnusable { named } => write!(f, "reply names {named}, not followed"),
            Self::Silent => f.write_str("no answer"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Refused => f.write_str("connection refused"),
            Self::NobodyCame => f.write_str("the server did not connect"),
            Self::NoDataConnection { code } => write!(f, "the server answered {code}"),
            Self::Dropped => f.write_str("the server broke the connection off"),
            Self::Greeted => f.write_str("the server took it for a control connection"),
            Self::CannotListen(why) => why.fmt(f),
            Self::NoMapper => {
                f.write_str("no router here forwards ports on request (PCP, NAT-PMP, UPnP)")
            }
            Self::MappingRefused => f.write_str("the router did not forward a port"),
            Self::MappedElsewhere { mapped } => {
                write!(
                    f,
                    "the router's outside address is {mapped}, not the one the server sees"
                )
            }
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

impl Tried {
    /// How long it was waited, with one digit.
    pub(super) fn seconds(&self) -> String {
        let tenths = (self.took.as_millis() + 50) / 100;
        format!("{}.{} s", tenths / 10, tenths % 10)
    }

    /// What was seen, without the way: `no answer, 1.3 s`.
    pub fn reason(&self) -> String {
        format!("{}, {}", self.evidence, self.seconds())
    }

    /// `no answer from 203.0.113.5:50123 (EPSV) in 1.3 s`: the cause first, for the middle of a sentence.
    pub(super) fn as_cause(&self) -> String {
        let at = self.target.map_or(String::new(), |at| at.to_string());
        let (by, took) = (self.path.offer, self.seconds());
        match self.evidence {
            Evidence::Silent => format!("no answer from {at} ({by}) in {took}"),
            Evidence::Unreachable => format!("{at} cannot be reached ({by})"),
            Evidence::Refused => format!("{at} refused the connection ({by})"),
            Evidence::Dropped => format!("the server broke off the connection to {at} ({by})"),
            Evidence::Greeted => {
                format!("the server took the connection to {at} ({by}) for a control connection")
            }
            Evidence::NobodyCame => format!("the server did not connect to {at} ({by}) in {took}"),
            Evidence::AddressRefused { .. } if self.path.address == Address::Own => {
                match self.target {
                    // Not for its address: servers connect to no port below 1024 (RFC 2577 §3).
                    Some(at) if at.port() < LOWEST_TARGET_PORT => {
                        format!("the server refused port {} ({by})", at.port())
                    }
                    Some(at) if at.ip().is_loopback() => format!("the server refused {at} ({by})"),
                    Some(at) => format!("behind NAT, the server refused {} ({by})", at.ip()),
                    None => format!("behind NAT, the server refused our address ({by})"),
                }
            }
            Evidence::CommandRefused { code } => format!("the server answers {by} with {code}"),
            evidence => format!("{}: {evidence}", self.path),
        }
    }
}

impl fmt::Display for Tried {
    /// One line: `EPSV 203.0.113.9:51213: no answer, 1.5 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        if let Some(target) = self.target {
            write!(f, " {target}")?;
        }
        write!(f, ": {}", self.reason())?;
        if let Some(replied) = self.replied {
            write!(f, " (the reply named {replied})")?;
        }
        Ok(())
    }
}
