//! Which probes are sent, and which of them may be seen behind the rules.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::packet::{Kind, Packet};
use super::rows::{Party, Passes, Row, Rules, Side, Way};
use super::witness::Seen;

/// Ports that somebody might find open: FTP's own and their neighbours, other services', the ends of what is
/// unprivileged, the ports of the article's figures, the range and its neighbours.
const PORTS: [u16; 24] = [
    1, 19, 20, 21, 22, 23, 25, 80, 443, 990, 1023, 1024, 1025, 2024, 2121, 20_001, 40_000, 45_099,
    45_105, 45_110, 49_999, 50_000, 50_199, 50_200,
];

/// Source ports that a rule might mistake for a reason.
const SOURCES: [u16; 6] = [20, 21, 22, 1_023, 50_000, 65_535];

/// Source ports of the probes of each kind; out of the range that kernels choose from, so that no transfer's
/// traces meet a probe.
const OWN: [(Kind, u16); 4] = [
    (Kind::Syn, 61_001),
    (Kind::Ack, 61_002),
    (Kind::SynAck, 61_003),
    (Kind::Udp, 61_004),
];

/// Somebody with a party's place in the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    /// The address.
    pub(super) ip: IpAddr,
    /// The party itself, or only a neighbour.
    pub(super) is_peer: bool,
}

/// Both sides of one address family, as a probe names them.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    /// The client and its neighbour.
    pub(super) clients: Vec<Address>,
    /// The server and its neighbour, as the client dials them.
    pub(super) servers: Vec<Address>,
    /// Behind a gateway that translates: the server and its neighbour as they are themselves.
    pub(super) inside: Option<Vec<Address>>,
    /// The address that a masquerading gateway gives the client.
    pub(super) masquerade: Option<IpAddr>,
}

/// A probe, and whether a connection like this may be opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    /// What is sent.
    pub(super) packet: Packet,
    /// Whether the row says that it passes.
    pub(super) passes: bool,
}

impl Ends {
    /// All probes of a row in this direction; `every` port from the client to the server, or only the likely
    /// ones.
    pub(super) fn probes(&self, row: &Row, way: Way, every: bool) -> Vec<Probe> {
        let (mut from, mut to) = match way {
            Way::ToServer => (self.clients.as_slice(), self.servers.as_slice()),
            Way::ToClient => (
                self.inside.as_deref().unwrap_or(&self.servers),
                self.clients.as_slice(),
            ),
        };
        let other_family = row.translated && self.inside.is_none();
        // A machine does not send with its neighbour's address, nor receive what is for it.
        let (own_source, own_destination) = match (row.side, way) {
            (Side::Server, Way::ToServer) | (Side::Client, Way::ToClient) => (false, true),
            (Side::Server, Way::ToClient) | (Side::Client, Way::ToServer) => (true, false),
            (Side::ServerGateway | Side::ClientGateway, _) => (false, false),
        };
        if own_source {
            from = &from[..1];
        }
        if own_destination {
            to = &to[..1];
        }
        let mut probes = Vec::new();
        let mut add = |kind, from: Address, source, to: Address, destination| {
            let udp = kind == Kind::Udp;
            let passes = udp && row.rules == Rules::Beside
                || !udp
                    && !other_family
                    && row
                        .passes
                        .iter()
                        .any(|it| it.way == way && admits(it, from, source, to, destination));
            let packet = Packet {
                kind,
                from: SocketAddr::new(from.ip, source),
                to: SocketAddr::new(to.ip, destination),
            };
            probes.push(Probe { packet, passes });
        };
        for &from in from {
            for &to in to {
                for (kind, source) in OWN {
                    for port in PORTS {
                        add(kind, from, source, to, port);
                    }
                }
                for source in SOURCES {
                    for port in PORTS {
                        add(Kind::Syn, from, source, to, port);
                    }
                }
            }
        }
        if every {
            for port in 1..=u16::MAX {
                // Port 53 is closed in the lab's namespaces themselves.
                if port != 53 && !PORTS.contains(&port) {
                    add(Kind::Syn, from[0], OWN[0].1, to[0], port);
                }
            }
        }
        probes
    }

    /// Behind a masquerading gateway nobody is reached by an address of his own.
    pub(super) fn is_hidden(&self, way: Way) -> bool {
        self.masquerade.is_some() && way == Way::ToClient
    }

    /// What the witness sees of a probe that passes.
    pub(super) fn behind(&self, packet: &Packet) -> Seen {
        let Packet {
            kind,
            mut from,
            mut to,
        } = *packet;
        if let Some(inside) = &self.inside {
            if to.ip() == self.servers[0].ip {
                to.set_ip(inside[0].ip);
            } else if from.ip() == inside[0].ip {
                from.set_ip(self.servers[0].ip);
            }
        }
        if let Some(outside) = self.masquerade {
            from.set_ip(outside);
        }
        (kind.protocol(), from, to)
    }
}

fn admits(passes: &Passes, from: Address, source: u16, to: Address, destination: u16) -> bool {
    let is = |party, address: Address| party == Party::Anybody || address.is_peer;
    let within = |ports: (u16, u16), port| (ports.0..=ports.1).contains(&port);
    is(passes.from, from)
        && is(passes.to, to)
        && within(passes.sources, source)
        && within(passes.destinations, destination)
}

/// Without the probes that are answers to earlier ones: connection tracking takes those for what they are.
pub(super) fn without_answers(probes: Vec<Probe>, earlier: &[Probe]) -> Vec<Probe> {
    let admitted: BTreeSet<(SocketAddr, SocketAddr)> = earlier
        .iter()
        .filter(|it| it.passes)
        .map(|it| (it.packet.to, it.packet.from))
        .collect();
    let answers = |it: &Probe| admitted.contains(&(it.packet.from, it.packet.to));
    probes.into_iter().filter(|it| !answers(it)).collect()
}
