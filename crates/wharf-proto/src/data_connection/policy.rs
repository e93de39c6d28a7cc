//! User side: what the search for a data connection may try. Settings of the user and facts about the control
//! connection, nothing that changes.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::advertise::{Network, is_public};
use super::evidence::Evidence;
use super::guard::LOWEST_TARGET_PORT;
use super::path::{Address, Path};
use super::{Offer, Opener, canonical};

/// Which data mode, or which command, the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataModeChoice {
    /// Whatever works: user-opened paths first.
    Auto,
    /// Only user-opened paths.
    Passive,
    /// Only server-opened paths.
    Active,
    /// Only this command.
    Only(Offer),
}

impl DataModeChoice {
    pub(super) fn allows(self, offer: Offer) -> bool {
        match self {
            Self::Auto => true,
            Self::Passive => offer.opener() == Opener::User,
            Self::Active => offer.opener() == Opener::Server,
            Self::Only(only) => offer == only,
        }
    }

    /// Asks for server-opened paths and nothing else.
    pub(super) fn is_active(self) -> bool {
        match self {
            Self::Auto | Self::Passive => false,
            Self::Active => true,
            Self::Only(only) => only.opener() == Opener::Server,
        }
    }
}

/// Whose word counts for the address of a user-opened connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataHost {
    /// The peer of the control connection: safe, and right behind almost every NAT.
    Peer,
    /// The 227: needed where a balancer hands out other hosts; lets the server send us anywhere, so only on request.
    Reply,
}

/// What a search may try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPolicy {
    /// The data mode or command asked for.
    pub choice: DataModeChoice,
    /// May the address in a 227 be followed?
    pub data_host: DataHost,
    /// Networks whose addresses in a 227 may be followed although they are private.
    pub trusted: Vec<Network>,
    /// The peer of the control connection. Its family decides which commands there are.
    pub control_peer: IpAddr,
    /// Our end of the control connection.
    pub own: IpAddr,
    /// Our own address to name in PORT and EPRT differs from the local one because the user configured it
    /// (`--active-addr`): then a refused address may be a wrong setting, and the other command is still asked. Neither
    /// the server nor a router is asked for another one.
    pub external_address: bool,
    /// There is somebody who can ask a router to forward ports.
    pub mapper: bool,
    /// May the control connection leave TLS (CCC, RFC 4217 §12.3) when nothing else leads to a data connection? Its commands
    /// can be read and changed by anybody then; what was said before, the password above all, and data connections cannot.
    pub ccc: bool,
    /// May EPSV and EPRT be used? Some servers and firewalls have had trouble with them; without them IPv6 has only LPRT.
    pub extended: bool,
    /// A fixed patience per attempt instead of the computed one (`--data-timeout`); it switches off the limit on the
    /// search.
    pub patience: Option<Duration>,
}

/// Where to connect after a 227 or 229.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Targets {
    /// At once.
    pub first: SocketAddr,
    /// A little later beside it, as [`Path::PASV_AS_REPLIED`]; the first connection that stands is used.
    pub beside: Option<SocketAddr>,
}

impl PathPolicy {
    /// Everything allowed, the control peer's address first, computed patience, no port mapping.
    pub fn auto(control_peer: IpAddr, own: IpAddr) -> Self {
        Self {
            choice: DataModeChoice::Auto,
            data_host: DataHost::Peer,
            trusted: Vec::new(),
            control_peer,
            own,
            external_address: false,
            mapper: false,
            ccc: false,
            extended: true,
            patience: None,
        }
    }

    /// Where to connect after a 227 that names `replied` (for EPSV: the control peer and the port of the 229), on this
    /// path.
    ///
    /// The unspecified address in a 227 means "the address you know" (AWS Transfer Family; vsftpd with `listen_ipv6`).
    /// Addresses that are no host, or this very machine while the control peer is another, are never followed, private
    /// ones only on request or in a trusted network, and a well-known port of another host never: the server shall not
    /// send us to whatever else listens there.
    ///
    /// # Errors
    /// The evidence, where nothing is left to connect to.
    pub fn targets(&self, path: Path, replied: SocketAddr) -> Result<Targets, Evidence> {
        let peer = canonical(self.control_peer);
        let named = canonical(replied.ip());
        if replied.port() == 0 {
            return Err(Evidence::ReplyUnreadable);
        }
        let at_peer = SocketAddr::new(peer, replied.port());
        let other = (named != peer && !named.is_unspecified())
            .then(|| SocketAddr::new(named, replied.port()));
        match (path.address, other) {
            (Address::AsReplied, Some(other)) if self.may_follow(other) => Ok(Targets {
                first: other,
                beside: None,
            }),
            (Address::AsReplied, Some(_)) => Err(Evidence::AddressUnusable { named: replied }),
            (_, other) => Ok(Targets {
                first: at_peer,
                beside: other.filter(|other| {
                    path == Path::PASV
                        && self.data_host == DataHost::Peer // else it has been tried alone
                        && self.may_follow(*other)
                }),
            }),
        }
    }

    /// May a data connection go to this host, which is not the control peer?
    fn may_follow(&self, to: SocketAddr) -> bool {
        let named = to.ip();
        let this_machine = named.is_loopback() && !self.control_peer.is_loopback();
        let no_host = named.is_multicast()
            || matches!(named, IpAddr::V4(v4) if v4.is_broadcast() || matches!(v4.octets(), [0, ..]));
        if this_machine || no_host {
            return false;
        }
        self.data_host == DataHost::Reply
            || (to.port() >= LOWEST_TARGET_PORT
                && (is_public(named) || self.trusted.iter().any(|it| it.contains(named))))
    }
}
