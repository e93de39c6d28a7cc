//! User side: what the search for a data connection may try. Settings of the user and facts about the control
//! connection, nothing that changes.

use std::net::IpAddr;
use std::time::Duration;

use super::advertise::Network;
use super::{Offer, Opener};

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
    /// Networks whose addresses in a 227 may be followed even with [`DataHost::Peer`], after the peer itself failed.
    pub trusted: Vec<Network>,
    /// The peer of the control connection. Its family decides which commands there are.
    pub control_peer: IpAddr,
    /// Our own address to name in PORT and EPRT differs from the local one because the user configured it
    /// (`--active-addr`): then a refused address may be a wrong setting, and the other command is still asked.
    pub external_address: bool,
    /// A fixed patience per attempt instead of the computed one (`--data-timeout`); it switches off the second round
    /// and the limit on the search.
    pub patience: Option<Duration>,
}

impl PathPolicy {
    /// Everything allowed, the control peer's address only, computed patience.
    pub fn auto(control_peer: IpAddr) -> Self {
        Self {
            choice: DataModeChoice::Auto,
            data_host: DataHost::Peer,
            trusted: Vec::new(),
            control_peer,
            external_address: false,
            patience: None,
        }
    }
}
