//! What a caller may set: the data mode, addresses and ports for it, and how long each phase may take.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use wharf_net::{RateLimit, Recorder};
use wharf_proto::ReplyLimits;
use wharf_proto::data_connection::passive::PortRange;
use wharf_proto::data_connection::{Offer, policy};

use crate::charset::Charset;
use crate::memory::Memory;
use crate::target::Scheme;
use crate::tls::{Tls, TlsChoice};
use crate::via::FtpProxy;

/// Settings of one client. All of them have working defaults; change fields and keep the rest with `..Options::default()`.
#[derive(Clone)]
pub struct Options {
    /// Which ways to a data connection may be tried, and in which order.
    pub data_mode: DataModeChoice,
    /// The address told to the server in PORT and EPRT; default: the local address of the control connection. To be set
    /// behind a NAT that forwards [`port_range`](Self::port_range).
    pub active_addr: Option<IpAddr>,
    /// Ports to listen on for active data connections; default: the system chooses.
    pub port_range: Option<PortRange>,
    /// EPSV and EPRT with IPv4 servers. Default on; off: PASV and PORT only.
    pub extended_ipv4: bool,
    /// EPSV and EPRT with IPv6 servers. Default on; off: LPRT only, which few servers know.
    pub extended_ipv6: bool,
    /// Line ends of text (TYPE A) stay as they came, CRLF. Default off: they become those of this system.
    pub keep_line_ends: bool,
    /// Whose address a passive data connection goes to.
    pub data_host: DataHost,
    /// How long a silent way to a data connection is waited for; default: 1 s and three round trips, at least 1.3 s and at
    /// most 3 s, and a second more where the server opens it.
    pub data_timeout: Option<Duration>,
    /// Resolving the name and opening the control connection, all addresses together. Default 15 s.
    pub connect_timeout: Duration,
    /// Waiting for one reply, the greeting included. Default 60 s: some servers look names up before they greet.
    pub reply_timeout: Duration,
    /// A transfer in which no byte moves for so long has failed. Default 30 s.
    pub stall_timeout: Duration,
    /// Waiting for the final reply after the last byte of a transfer, before the length of the remote file is asked for on
    /// a new control connection. Default 10 s.
    pub completion_timeout: Duration,
    /// Waiting for the final reply or for a remote file of the right length, both together: a server may be writing its
    /// file to a slow disk. Default 60 s.
    pub confirmation_timeout: Duration,
    /// IPv4, IPv6, or what the resolver prefers.
    pub family: FamilyChoice,
    /// Limits of one reply. Default: 4 KiB a line, 1,000 lines, 64 KiB; replies that are neither banners nor answers to
    /// FEAT, HELP, STAT or SITE are refused above [`SHORT_REPLY_LINES`].
    pub reply_limits: ReplyLimits,
    /// Most bytes of one listing. Default 256 MiB, about two million entries.
    pub listing_limit: u64,
    /// Adds `-a` to LIST and NLST, for servers that hide names with a leading dot. MLSD needs nothing. Default off,
    /// because some servers take `-a` for a name.
    pub list_hidden: bool,
    /// How fast files may come, all clients together that share this; may be changed while they do. Default: no limit.
    pub download_limit: Option<RateLimit>,
    /// How fast files may go, likewise.
    pub upload_limit: Option<RateLimit>,
    /// What the server writes names in. `None`: UTF-8, which is negotiated where it is offered (RFC 2640), and names that
    /// are none stay the bytes that they are. With a charset every name in and out is UTF-8 and converted on the way.
    pub charset: Option<Charset>,
    /// Receives every line of the control connection (secrets masked) and every data connection.
    pub recorder: Option<Arc<dyn Recorder>>,
    /// TLS on the control connection and its data connections. Default: off, which is what `ftp://` has always meant to a
    /// library; the addresses `ftpes://` and `ftps://` require it ([`Options::for_scheme`]).
    pub tls: Tls,
    /// An FTP proxy to log in through; default: none. Proxies that lead connections are a [`Net`](wharf_net::Net) instead:
    /// [`wharf_net::through`]. TLS, where it is wanted, is with the proxy, and judged by the proxy's name.
    pub ftp_proxy: Option<FtpProxy>,
    /// Where it is remembered which way to a data connection works; default: nowhere.
    pub memory: Option<Arc<Memory>>,
}

/// Lines that an ordinary reply may have.
pub const SHORT_REPLY_LINES: usize = 100;

impl Default for Options {
    fn default() -> Self {
        Self {
            data_mode: DataModeChoice::Auto,
            active_addr: None,
            port_range: None,
            extended_ipv4: true,
            extended_ipv6: true,
            keep_line_ends: false,
            data_host: DataHost::Peer,
            data_timeout: None,
            connect_timeout: Duration::from_secs(15),
            reply_timeout: Duration::from_mins(1),
            stall_timeout: Duration::from_secs(30),
            completion_timeout: Duration::from_secs(10),
            confirmation_timeout: Duration::from_mins(1),
            family: FamilyChoice::Any,
            reply_limits: ReplyLimits {
                line: 4096,
                lines: 1000,
                bytes: 64 * 1024,
            },
            listing_limit: 256 << 20,
            list_hidden: false,
            charset: None,
            download_limit: None,
            upload_limit: None,
            recorder: None,
            tls: Tls::default(),
            ftp_proxy: None,
            memory: None,
        }
    }
}

impl Options {
    /// The same with what the scheme of an address demands: `ftpes://` requires TLS, `ftps://` from the first byte on,
    /// whatever [`Tls::choice`] says.
    #[must_use]
    pub fn for_scheme(mut self, scheme: Scheme) -> Self {
        match scheme {
            Scheme::Ftp => self.tls.implicit = false,
            Scheme::Ftpes => {
                self.tls.choice = TlsChoice::Require;
                self.tls.implicit = false;
            }
            Scheme::Ftps => {
                self.tls.choice = TlsChoice::Require;
                self.tls.implicit = true;
            }
        }
        self
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Options")
            .field("data_mode", &self.data_mode)
            .field("active_addr", &self.active_addr)
            .field("port_range", &self.port_range)
            .field("data_host", &self.data_host)
            .field("data_timeout", &self.data_timeout)
            .field("family", &self.family)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// The user's choice of data modes; the words of `--mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DataModeChoice {
    /// EPSV, PASV at the control peer's address, then active, tried on a second control connection; what works is kept.
    #[default]
    Auto,
    /// EPSV, then PASV.
    Passive,
    /// PORT, then EPRT (helpers in NATs know PORT better), then LPRT; over IPv6 not PORT. Behind a NAT whose address the
    /// server refuses: a port that the router forwards on request, else passive.
    Active,
    /// EPSV only.
    Epsv,
    /// PASV only.
    Pasv,
    /// EPRT only.
    Eprt,
    /// PORT only.
    Port,
}

impl DataModeChoice {
    /// Every choice with its word.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("passive", Self::Passive),
        ("active", Self::Active),
        ("epsv", Self::Epsv),
        ("pasv", Self::Pasv),
        ("eprt", Self::Eprt),
        ("port", Self::Port),
    ];

    pub(crate) fn planned(self) -> policy::DataModeChoice {
        match self {
            Self::Auto => policy::DataModeChoice::Auto,
            Self::Passive => policy::DataModeChoice::Passive,
            Self::Active => policy::DataModeChoice::Active,
            Self::Epsv => policy::DataModeChoice::Only(Offer::Epsv),
            Self::Pasv => policy::DataModeChoice::Only(Offer::Pasv),
            Self::Eprt => policy::DataModeChoice::Only(Offer::Eprt),
            Self::Port => policy::DataModeChoice::Only(Offer::Port),
        }
    }
}

impl FromStr for DataModeChoice {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        find(Self::WORDS, word)
    }
}

/// The host of a passive data connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DataHost {
    /// The peer of the control connection, whatever a 227 says: safe, and right behind nearly every NAT.
    #[default]
    Peer,
    /// The address in the 227 reply. A server can thereby send the client to any host (RFC 2577 §3 seen from the other
    /// side): for servers that are trusted and really spread over several addresses.
    Reply,
}

impl DataHost {
    /// Every choice with its word.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("peer", Self::Peer), ("reply", Self::Reply)];

    pub(crate) fn planned(self) -> policy::DataHost {
        match self {
            Self::Peer => policy::DataHost::Peer,
            Self::Reply => policy::DataHost::Reply,
        }
    }
}

impl FromStr for DataHost {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        find(Self::WORDS, word)
    }
}

/// Which of a host's addresses are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FamilyChoice {
    /// All, in the resolver's order, families alternating.
    #[default]
    Any,
    /// IPv4 first, then IPv6.
    PreferIpv4,
    /// IPv6 first, then IPv4.
    PreferIpv6,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
}

/// A word that none of the choices has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown word: {word}; known: {known}")]
pub struct UnknownWord {
    word: String,
    known: String,
}

pub(crate) fn find<T: Copy>(words: &[(&'static str, T)], word: &str) -> Result<T, UnknownWord> {
    words
        .iter()
        .find(|(known, _)| *known == word)
        .map(|(_, choice)| *choice)
        .ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|(known, _)| *known).collect();
            UnknownWord {
                word: wharf_proto::visible(word.as_bytes()),
                known: known.join(", "),
            }
        })
}
