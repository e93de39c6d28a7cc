//! What was seen: plain values that the checks judge. Nothing here is a conclusion.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wharf_client::examine::{Obstacle, Probed};
use wharf_net::Touch;
use wharf_proto::Reply;
use wharf_proto::data_connection::advertise::{is_private, is_public};
use wharf_proto::data_connection::as_seen::Nat;
use wharf_proto::data_connection::evidence::Evidence;
use wharf_proto::data_connection::path::{Address, Path};
use wharf_proto::data_connection::{Opener, canonical};

use crate::software::Software;

/// Everything that was seen of one server.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Each family in which a session came about.
    pub families: Vec<Seen>,
    /// Families in which the server has an address, and no session came about: whether it is IPv6, and why.
    pub absent: Vec<(bool, String)>,
}

/// What was seen in one family.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The server's end of the control connection.
    pub peer: SocketAddr,
    /// Our end.
    pub own: IpAddr,
    /// The shortest round trip.
    pub round_trip: Duration,
    /// The server's program, as far as it tells.
    pub software: Software,
    /// Our address as the server sees it, where it told.
    pub told: Option<IpAddr>,
    /// Every way that was tried, in the order in which the answers came; the same way several times for several ports.
    pub probes: Vec<Probed>,
    /// Active once more, after a packet of ours had gone the other way: a firewall that remembers connections lets the
    /// server's connection in then. What became of our packet is told first: a router that speaks up shows that it got as
    /// far as it should.
    pub punched: Option<(Touch, Probed)>,
    /// Other ports of the server's address, and how they answered.
    pub touched: Vec<(u16, Touch)>,
    /// How far packets to the control port get, by hops.
    pub near: Vec<(u8, Touch)>,
    /// How far packets to a passive port that does not answer get, by hops.
    pub far: Vec<(u8, Touch)>,
    /// What the server said when it did not want one more session.
    pub refused_session: Option<String>,
    /// What was left when the time was over.
    pub unfinished: Vec<String>,
    /// The silent control connection at the end: for how long, and whether it lived.
    pub idle: Option<(Duration, Result<(), String>)>,
}

impl Seen {
    /// Nothing yet.
    pub fn new(peer: SocketAddr, own: IpAddr, software: Software) -> Self {
        Self {
            peer,
            own: canonical(own),
            round_trip: Duration::ZERO,
            software,
            told: None,
            probes: Vec::new(),
            punched: None,
            touched: Vec::new(),
            near: Vec::new(),
            far: Vec::new(),
            refused_session: None,
            unfinished: Vec::new(),
            idle: None,
        }
    }

    /// Whether it is IPv6.
    pub fn is_ipv6(&self) -> bool {
        canonical(self.peer.ip()).is_ipv6()
    }

    /// The server's address.
    pub fn server(&self) -> IpAddr {
        canonical(self.peer.ip())
    }

    /// The attempts on this way.
    pub fn on(&self, path: Path) -> impl Iterator<Item = &Probed> {
        self.probes.iter().filter(move |it| it.path == path)
    }

    /// Whether data came through on this way, at least once.
    pub fn works(&self, path: Path) -> bool {
        self.on(path).any(|it| it.result.is_ok())
    }

    /// The first way that carries data, in the order in which a client tries them.
    pub fn winner(&self) -> Option<Path> {
        let mut paths = Path::WORDS.iter().map(|(_, path)| *path);
        paths.find(|path| self.works(*path))
    }

    /// Whether any way of this opener carries data.
    pub fn carries(&self, opener: Opener) -> bool {
        self.probes
            .iter()
            .any(|it| it.path.opener == opener && it.result.is_ok())
    }

    /// The attempts that this side opened to the address of the control connection.
    pub fn passive(&self) -> impl Iterator<Item = &Probed> {
        self.probes
            .iter()
            .filter(|it| it.path.opener == Opener::User && it.path.address == Address::ControlPeer)
    }

    /// The attempts in which the server was to come to our own address.
    pub fn active(&self) -> impl Iterator<Item = &Probed> {
        self.probes
            .iter()
            .filter(|it| it.path.opener == Opener::Server && it.path.address == Address::Own)
    }

    /// Whether the server sees us where we are.
    pub fn nat(&self) -> Nat {
        if let Some(told) = self.told {
            return Nat::judge(self.own, told);
        }
        let refused = self.active().find_map(|it| match path_evidence(it) {
            Some(Evidence::AddressRefused { outside, .. }) => Some(outside),
            _ => None,
        });
        match refused {
            Some(outside) => Nat::Behind {
                outside: outside.map(canonical),
            },
            // Private addresses lead nowhere from where the public ones are.
            None if is_private(self.own) && is_public(self.server()) => {
                Nat::Behind { outside: None }
            }
            None => Nat::Unknown,
        }
    }

    /// The address that the server sees, if it is another one than ours.
    pub fn outside(&self) -> Option<IpAddr> {
        self.nat().outside()
    }

    /// The address in the 227, if it is not the control connection's.
    pub fn other_address_told(&self) -> Option<SocketAddr> {
        let told = self.on(Path::PASV).chain(self.on(Path::PASV_AS_REPLIED));
        told.filter_map(|it| it.replied)
            .find(|at| canonical(at.ip()) != self.server())
    }

    /// The ports that the server named for passive data connections, lowest first.
    pub fn passive_ports(&self) -> Vec<u16> {
        let named = self.passive().filter_map(|it| it.replied);
        let mut ports: Vec<u16> = named.map(|at| at.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// Every reply that an attempt was answered with.
    pub fn replies(&self) -> impl Iterator<Item = &Reply> {
        self.probes
            .iter()
            .flat_map(|it| it.arranged.iter().chain(&it.listed))
    }
}

/// What was seen on the way, where an attempt failed because of it.
pub fn path_evidence(probed: &Probed) -> Option<Evidence> {
    match probed.result {
        Err(Obstacle::Path(evidence)) => Some(evidence),
        _ => None,
    }
}
