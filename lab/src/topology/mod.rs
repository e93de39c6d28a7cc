//! The topologies of the article and its successors, as data: who stands behind what, which rules
//! hold there, and which way of making a data connection works.
//!
//! The names are those of the simulated network. Every topology is the same chain,
//! client - client's gateway - (carrier) - server's gateway - server, with other addresses and rules:
//! what a gateway does is nftables text, loaded into its namespace, and at most one program.

mod balancers;
mod filters;
mod ipv6;
pub(crate) mod nats;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;
use std::time::Duration;

/// Where the client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientSide {
    /// An address of its own behind a gateway that only forwards or filters.
    Public,
    /// A private address behind a gateway that masquerades.
    Nat,
    /// Like `Nat`, and the gateway's own address is the carrier's, masqueraded once more.
    CarrierNat,
    /// In the server's own network; it dials the server's public address.
    ServerNetwork,
    /// IPv6 alone, behind a gateway that translates: it dials the server's address behind the
    /// translator's prefix.
    Ipv6Only,
}

/// Where the server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerSide {
    /// An address of its own.
    Public,
    /// A private address behind a gateway that forwards ports to it.
    Forwarded,
}

/// A program that stands on a gateway, besides its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Middlebox {
    /// miniupnpd on the client's gateway: PCP, NAT-PMP and UPnP-IGD. It refuses to map where the
    /// public address is private or one for documentation.
    PortMapper,
    /// `HAProxy` on the server's gateway, for the control port and, if so, the passive range; the
    /// word of its configuration that sends a PROXY header, if it sends one.
    Balancer {
        /// The range as well, connection by connection.
        range: bool,
        /// `send-proxy` (version 1) or `send-proxy-v2`.
        header: Option<&'static str>,
    },
    /// tayga on the client's gateway: IPv6 to IPv4.
    Translator,
}

/// What a way of making the data connection comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The file arrives.
    Works,
    /// It cannot; refused quickly.
    Refused,
    /// It cannot, because the address in PORT or EPRT is not the one that the server sees; refused at
    /// once, before anybody connects.
    Misaddressed,
    /// It cannot; packets vanish, so only patience ends it.
    Silent,
    /// It cannot, and whether at once or late is not this table's business.
    Fails,
}

use Expected::{Misaddressed, Refused, Silent, Works};

/// What each data mode comes to, in the order of the matrix's columns.
#[derive(Clone, Copy, Debug)]
pub struct Ways {
    /// EPSV: the control connection's peer, the port of the 229.
    pub epsv: Expected,
    /// PASV with the control connection's peer as address, the port of the 227.
    pub pasv: Expected,
    /// PASV with the address that the 227 names.
    pub reply: Expected,
    /// Active, PORT.
    pub port: Expected,
    /// Active, EPRT.
    pub eprt: Expected,
}

impl Ways {
    /// Whether any of them works: then `auto` has to.
    pub fn any(&self) -> bool {
        [self.epsv, self.pasv, self.reply, self.port, self.eprt].contains(&Works)
    }
}

/// One topology.
#[derive(Clone, Copy, Debug)]
pub struct Topology {
    /// Its name, the same as in the simulated network.
    pub name: &'static str,
    /// What it is, in one line.
    pub what: &'static str,
    /// Where the client stands.
    pub client: ClientSide,
    /// Where the server stands.
    pub server: ServerSide,
    /// Whether the client dials the server's IPv6 address.
    pub ipv6: bool,
    /// Rules of the client's gateway; interfaces `lan` and `wan`.
    pub client_gateway: &'static str,
    /// Rules of the server's gateway; interfaces `lan` and `wan`.
    pub server_gateway: &'static str,
    /// Rules of the client's own machine; interface `eth`.
    pub client_host: &'static str,
    /// Rules of the server's own machine; interface `eth`.
    pub server_host: &'static str,
    /// A program on one of the gateways.
    pub middlebox: Option<Middlebox>,
    /// Public address of the client's gateway.
    pub outside: &'static str,
    /// The client's gateway forgets a connection that is silent for four seconds, and lets through so
    /// little that the payload takes this long; zero: neither.
    pub takes: Duration,
    /// Passive ports the server is told to use.
    pub passive: (u16, u16),
    /// Address the server is told to announce.
    pub advertise: Option<&'static str>,
    /// What `wharf serve` is told besides, because of this topology.
    pub wharf: &'static [&'static str],
    /// What each data mode comes to with wharf's server.
    pub ways: Ways,
    /// The same with a server that knows neither keepalive nor the PROXY protocol, where that differs.
    pub foreign: Option<Ways>,
    /// The same over TLS, where a helper on the way sees nothing of the dialogue that it is there for.
    pub blind: Option<Ways>,
    /// The same over TLS with a server that knows a data connection by its session and not by its address.
    pub proved: Option<Ways>,
}

impl Topology {
    /// The row as it is over TLS, for wharf's server or another one.
    #[must_use]
    pub fn over_tls(self, ours: bool) -> Self {
        let plain = if ours { self } else { self.for_foreign() };
        let ways = self.blind.unwrap_or(plain.ways);
        Self {
            ways: self.proved.filter(|_| ours).unwrap_or(ways),
            foreign: None,
            ..self
        }
    }

    /// The row as it is for a server that is not wharf's.
    #[must_use]
    pub fn for_foreign(self) -> Self {
        Self {
            ways: self.foreign.unwrap_or(self.ways),
            ..self
        }
    }
}

/// The range that the firewalls open.
pub const RANGE: (u16, u16) = (50_000, 50_199);

/// A range that no firewall opens.
const OTHER_RANGE: (u16, u16) = (40_000, 40_199);

/// Address of a server with an address of its own.
pub const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 130));
/// The same server's IPv6 address.
pub const SERVER_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 2));
/// Address of the gateway of a server that has none of its own.
pub const SERVER_GATEWAY: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
/// The server's address as a client behind the translator dials it.
pub const SERVER_TRANSLATED: IpAddr =
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x64, 0, 0, 0, 0xcb00, 0x7182));

const fn ways(
    epsv: Expected,
    pasv: Expected,
    reply: Expected,
    port: Expected,
    eprt: Expected,
) -> Ways {
    Ways {
        epsv,
        pasv,
        reply,
        port,
        eprt,
    }
}

const ALL: Ways = ways(Works, Works, Works, Works, Works);
const NONE: Ways = ways(Silent, Silent, Silent, Silent, Silent);
const PASSIVE_ACTIVE_SILENT: Ways = ways(Works, Works, Works, Silent, Silent);
const PASSIVE_ACTIVE_REFUSED: Ways = ways(Works, Works, Works, Refused, Refused);
const PASSIVE_ACTIVE_MISADDRESSED: Ways = ways(Works, Works, Works, Misaddressed, Misaddressed);

const OPEN: Topology = Topology {
    name: "open",
    what: "no filter, no NAT",
    client: ClientSide::Public,
    server: ServerSide::Public,
    ipv6: false,
    client_gateway: "",
    server_gateway: "",
    client_host: "",
    server_host: "",
    middlebox: None,
    outside: "198.51.100.1",
    takes: Duration::ZERO,
    passive: RANGE,
    advertise: None,
    wharf: &[],
    ways: ALL,
    foreign: None,
    blind: None,
    proved: None,
};

/// The table: row by row what the research measured, for a server that sends active data from port
/// 20 and refuses a PORT that does not name the control connection's peer.
pub static TOPOLOGIES: LazyLock<Vec<Topology>> = LazyLock::new(|| {
    let kinds = [
        &[OPEN],
        filters::ROWS,
        nats::ROWS,
        balancers::ROWS,
        ipv6::ROWS,
    ];
    kinds.concat()
});

/// Where addresses say nothing, and TLS does: for wharf's server alone.
pub static POOLS: &[Topology] = nats::POOLS;

/// The topology without filter or NAT, where programs are compared rather than networks.
pub static PLAIN: Topology = OPEN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = TOPOLOGIES.iter().map(|row| row.name).collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(before, names.len());
    }

    #[test]
    fn the_article_says_active_fails_behind_the_clients_firewall_and_passive_does_not() {
        let row = TOPOLOGIES
            .iter()
            .find(|row| row.name == "client-fw-drop")
            .unwrap();
        assert_eq!(row.ways.port, Silent);
        assert_eq!(row.ways.epsv, Works);
    }
}
