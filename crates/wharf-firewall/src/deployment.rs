//! Who stands where, and what is offered: all that the rules follow from.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use wharf_proto::data_connection::advertise::Network;
use wharf_proto::data_connection::passive::PortRange;

use crate::flow::Ports;

/// The place whose firewall is to be written
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The host that the server runs on
    Server,
    /// The router in front of the server; with an inside address it is a NAT (DNAT, and hairpin if wanted)
    ServerGateway,
    /// The host that the client runs on
    Client,
    /// The router in front of the clients
    ClientGateway,
}

impl Side {
    /// Every side, in the order of the documentation
    pub const ALL: [Self; 4] = [
        Self::Server,
        Self::ServerGateway,
        Self::Client,
        Self::ClientGateway,
    ];

    /// Whether the server stands behind this firewall
    pub fn is_servers(self) -> bool {
        matches!(self, Self::Server | Self::ServerGateway)
    }

    /// Whether the firewall forwards for others
    pub fn is_gateway(self) -> bool {
        matches!(self, Self::ServerGateway | Self::ClientGateway)
    }

    /// The word of the command line
    pub fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::ServerGateway => "server-gateway",
            Self::Client => "client",
            Self::ClientGateway => "client-gateway",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Side {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|it| it.word() == text).ok_or(())
    }
}

/// One of the two internets
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// Both
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an address
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }
}

/// Where the server is
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerAt {
    /// The addresses that clients reach it at; for a server behind a NAT those of the NAT. None: any address (of
    /// this host, on the server's side; of the world, on the client's)
    pub addresses: Vec<IpAddr>,
    /// Its own addresses behind a NAT, at most one of each family. None: nothing is translated
    pub inside: Vec<IpAddr>,
}

impl ServerAt {
    /// The server's own address of this family behind a NAT
    pub fn inside_of(&self, family: Family) -> Option<IpAddr> {
        let mut inside = self.inside.iter().copied();
        inside.find(|it| Family::of(*it) == family)
    }
}

/// How passive data connections are offered
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Passive {
    /// A port of this range for each transfer (`--passive-ports`)
    Range(PortRange),
    /// A few ports that all sessions share (`--data-port`)
    DataPorts(PortRange),
    /// The control port itself (`--one-port on`)
    OnePort,
}

impl Passive {
    /// The data ports besides the control port
    pub fn ports(self) -> Option<PortRange> {
        match self {
            Self::Range(ports) | Self::DataPorts(ports) => Some(ports),
            Self::OnePort => None,
        }
    }
}

/// How active data connections are offered
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Active {
    /// The server's end: 20 (RFC 959 §8), or any port. A default ProFTPD since 1.3.7 uses any
    pub source_port: Option<u16>,
    /// The client's end: where it listens
    pub client_ports: PortRange,
}

/// Who stands where, and what is offered
///
/// ```
/// use wharf_firewall::{Deployment, Passive};
///
/// let deployment = Deployment { passive: Some(Passive::OnePort), active: None, ..Deployment::server() };
/// assert_eq!(deployment.flows().len(), 2); // control and data, both to port 21
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Whose firewall it is
    pub side: Side,
    /// Where the server is
    pub server: ServerAt,
    /// The networks that clients come from. None: anywhere
    pub clients: Vec<Network>,
    /// The families that are served, besides what the addresses above tell; at least one
    pub families: Vec<Family>,
    /// Ports of control connections, at least one. A port of implicit TLS is one more
    pub control_ports: Vec<u16>,
    /// Passive data connections, if any
    pub passive: Option<Passive>,
    /// Besides `passive`: clients to which the data ports do not work are sent to the control port
    /// (`--one-port auto`)
    pub one_port_auto: bool,
    /// Active data connections, if any
    pub active: Option<Active>,
    /// Data connections are let in by the kernel's or the router's FTP helper, which reads the control connection:
    /// plaintext only. On the server's side no data port stays open then; on the client's side it is what makes
    /// active data connections pass without an open range
    pub helper: bool,
    /// Server gateway with NAT: networks beside the server whose hosts use its outside address, too
    pub hairpin: Vec<Network>,
    /// The server's program, for dialects that bind rules to a program (a path), a container image or a unit
    pub program: String,
}

impl Deployment {
    /// What `wharf serve` offers without any flag, as the host sees it that it runs on: port 21, passive
    /// 50000-50999, the control port for those to whom that does not work, active from port 20, anybody, both families
    pub fn server() -> Self {
        Self {
            side: Side::Server,
            server: ServerAt::default(),
            clients: Vec::new(),
            families: Family::ALL.to_vec(),
            control_ports: vec![21],
            passive: ports(50_000, 50_999).map(Passive::Range),
            one_port_auto: true,
            active: unprivileged().map(|client_ports| Active {
                source_port: Some(20),
                client_ports,
            }),
            helper: false,
            hairpin: Vec::new(),
            program: "wharf".to_owned(),
        }
    }

    /// The families in which a connection between the server and a client can exist
    pub fn families(&self) -> impl Iterator<Item = Family> + '_ {
        Family::ALL.into_iter().filter(|&family| {
            let has = |addresses: &mut dyn Iterator<Item = IpAddr>| {
                let mut families = addresses.map(Family::of).peekable();
                families.peek().is_none() || families.any(|it| it == family)
            };
            self.families.contains(&family)
                && has(&mut self.server.addresses.iter().copied())
                && has(&mut self.clients.iter().map(|it| it.address()))
        })
    }

    /// Whether the server stands behind a NAT, in this family
    pub fn is_translated(&self, family: Family) -> bool {
        self.side == Side::ServerGateway && self.server.inside_of(family).is_some()
    }

    /// What is wrong with it: the first thing
    pub fn check(&self) -> Result<(), Contradiction> {
        if self.control_ports.is_empty() {
            return Err(Contradiction::NoControlPort);
        }
        if self.control_ports.contains(&0) {
            return Err(Contradiction::PortZero);
        }
        if self.passive.is_none() && self.active.is_none() {
            return Err(Contradiction::NoDataMode);
        }
        if let Some(ports) = self.passive.and_then(Passive::ports)
            && let Some(&port) = self.control_ports.iter().find(|it| ports.contains(**it))
        {
            return Err(Contradiction::ControlAmongData { port, ports });
        }
        if self.families().next().is_none() {
            return Err(Contradiction::NoFamily);
        }
        if self.side == Side::ServerGateway && self.server.addresses.is_empty() {
            return Err(Contradiction::GatewayOfWhom);
        }
        if self.side != Side::ServerGateway && !self.server.inside.is_empty() {
            return Err(Contradiction::InsideWithoutGateway);
        }
        if !self.hairpin.is_empty() && self.server.inside.is_empty() {
            return Err(Contradiction::HairpinWithoutNat);
        }
        for family in Family::ALL {
            let of_it = |it: &&IpAddr| Family::of(**it) == family;
            match self.server.inside.iter().filter(of_it).count() {
                0 => {}
                1 if self.server.addresses.iter().any(|it| of_it(&it)) => {}
                1 => return Err(Contradiction::InsideOfOtherFamily),
                _ => return Err(Contradiction::SeveralInside),
            }
        }
        Ok(())
    }
}

/// Why no rules follow from a deployment
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Contradiction {
    /// No control port
    #[error("there is no control port")]
    NoControlPort,
    /// Port 0 is chosen anew at every start
    #[error("port 0 is another port at every start: name the control port")]
    PortZero,
    /// Neither data mode
    #[error(
        "neither passive nor active data connections are offered: nothing could be transferred"
    )]
    NoDataMode,
    /// A control port in the range of data ports
    #[error("the control port {port} is among the data ports ({})", Ports::these([*ports]))]
    ControlAmongData {
        /// The control port
        port: u16,
        /// The data ports
        ports: PortRange,
    },
    /// Server and clients have no address family in common
    #[error("the server and its clients have no address family in common")]
    NoFamily,
    /// A server's gateway without the server's address
    #[error("a gateway needs the address at which clients reach the server")]
    GatewayOfWhom,
    /// An inside address where nothing is translated
    #[error("an inside address only has a meaning at the server's gateway")]
    InsideWithoutGateway,
    /// Hairpin without NAT
    #[error("hairpin is a matter of a NAT: it needs the server's inside address")]
    HairpinWithoutNat,
    /// Inside address without an outside address of its family
    #[error("the inside address has no outside address of the same family")]
    InsideOfOtherFamily,
    /// Two inside addresses of one family
    #[error("a server has one inside address of each family")]
    SeveralInside,
}

/// A range that is one
fn ports(lo: u16, hi: u16) -> Option<PortRange> {
    PortRange::new(lo, hi).ok()
}

/// Where programs without a privilege listen: 1024-65535
pub(crate) fn unprivileged() -> Option<PortRange> {
    ports(1024, 65_535)
}
