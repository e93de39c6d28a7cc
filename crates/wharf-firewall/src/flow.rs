//! The connections that must pass, each with the step of a data mode that needs it.

use std::fmt;
use std::net::IpAddr;

use wharf_proto::data_connection::Opener;
use wharf_proto::data_connection::advertise::Network;
use wharf_proto::data_connection::passive::PortRange;

use crate::deployment::{Deployment, Family, Passive};
use crate::rule::Addresses;

/// What a connection is for
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Commands and replies, in every data mode: the client connects to the control port
    Control,
    /// A passive data connection: the client connects to the port of the 227 or 229
    PassiveData,
    /// An active data connection: the server connects to the port of the PORT or EPRT
    ActiveData,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Control => "control connection",
            Self::PassiveData => "passive data connection",
            Self::ActiveData => "active data connection",
        })
    }
}

/// Seen from what the firewall protects
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Towards the protected host or network
    Inbound,
    /// Away from it
    Outbound,
}

/// A set of ports: any, or these ranges (sorted, none empty, none touching)
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ports(Vec<(u16, u16)>);

impl Ports {
    /// Any port
    pub fn any() -> Self {
        Self(Vec::new())
    }

    /// One port
    pub fn one(port: u16) -> Self {
        Self(vec![(port, port)])
    }

    /// These ports; neighbours become a range
    pub fn these(ports: impl IntoIterator<Item = PortRange>) -> Self {
        let mut ranges: Vec<(u16, u16)> = ports.into_iter().map(|it| (it.lo(), it.hi())).collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::new();
        for (lo, hi) in ranges {
            match merged.last_mut() {
                Some(last) if lo <= last.1.saturating_add(1) => last.1 = last.1.max(hi),
                _ => merged.push((lo, hi)),
            }
        }
        Self(merged)
    }

    /// The single ports of a list
    pub fn list(ports: &[u16]) -> Self {
        Self::these(ports.iter().filter_map(|&it| PortRange::new(it, it).ok()))
    }

    /// Whether every port is meant
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    /// First and last port of each range, ascending; nothing when any is meant
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = (u16, u16)> + '_ {
        self.0.iter().copied()
    }

    /// Is this port meant?
    pub fn contains(&self, port: u16) -> bool {
        self.is_any() || self.0.iter().any(|&(lo, hi)| (lo..=hi).contains(&port))
    }

    /// The ports of both; any port if one of them is any
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        if self.is_any() || other.is_any() {
            return Self::any();
        }
        let all = self.ranges().chain(other.ranges());
        Self::these(all.filter_map(|(lo, hi)| PortRange::new(lo, hi).ok()))
    }

    /// The ranges as text, `21` or `50000-50999` each, with `dash` between first and last
    pub fn texts(&self, dash: &str) -> Vec<String> {
        let text = |(lo, hi)| {
            if lo == hi {
                format!("{lo}")
            } else {
                format!("{lo}{dash}{hi}")
            }
        };
        self.ranges().map(text).collect()
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_any() {
            return f.write_str("any");
        }
        f.write_str(&self.texts("-").join(", "))
    }
}

/// A kind of connection that must pass, as opened; replies go the other way ([`Flow::reply`])
///
/// Addresses are those that client and server know of each other: behind a NAT the server's are the outside ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// What it is for
    pub step: Step,
    /// Who opens it: sends the SYN
    pub opener: Opener,
    /// Which way the SYN goes
    pub direction: Direction,
    /// The family, if one alone is meant; addresses are of that family
    pub family: Option<Family>,
    /// Where it is opened from
    pub from: Addresses,
    /// Where it is opened to
    pub to: Addresses,
    /// The opener's ports
    pub source_ports: Ports,
    /// The ports that are opened to
    pub destination_ports: Ports,
    /// Only as the FTP helper announced it (`related`), not whenever somebody opens one
    pub by_helper: bool,
    /// This is the way back: no SYN alone may go this way (what stateless dialects call `established`)
    pub is_reply: bool,
}

impl Flow {
    /// The way back of the same connection: what a stateless dialect needs a rule of its own for
    #[must_use]
    pub fn reply(&self) -> Self {
        Self {
            direction: match self.direction {
                Direction::Inbound => Direction::Outbound,
                Direction::Outbound => Direction::Inbound,
            },
            from: self.to.clone(),
            to: self.from.clone(),
            source_ports: self.destination_ports.clone(),
            destination_ports: self.source_ports.clone(),
            is_reply: !self.is_reply,
            ..self.clone()
        }
    }
}

impl Deployment {
    /// Every connection that must pass, in the order of the steps: control, passive data, active data; once for each
    /// family where addresses are named
    pub fn flows(&self) -> Vec<Flow> {
        let mut flows = Vec::new();
        let families: Vec<Family> = self.families().collect();
        let named = !self.server.addresses.is_empty() || !self.clients.is_empty();
        if families.len() == 2 && !named {
            self.flows_in(None, &mut flows);
        } else {
            for family in families {
                self.flows_in(Some(family), &mut flows);
            }
        }
        flows.sort_by_key(|it| it.step); // stable: families stay in order
        flows
    }

    fn flows_in(&self, family: Option<Family>, flows: &mut Vec<Flow>) {
        let server = Addresses::hosts(self.server.addresses.iter().copied().filter(of(family)));
        let clients = self.clients.iter().copied();
        let client = Addresses::networks(clients.filter(|it| of(family)(&it.address())));
        let by_user = |step, ports: Ports, by_helper| Flow {
            step,
            opener: Opener::User,
            direction: if self.side.is_servers() {
                Direction::Inbound
            } else {
                Direction::Outbound
            },
            family,
            from: client.clone(),
            to: server.clone(),
            source_ports: Ports::any(),
            destination_ports: ports,
            by_helper,
            is_reply: false,
        };
        let control = Ports::list(&self.control_ports);
        flows.push(by_user(Step::Control, control.clone(), false));
        match self.passive {
            Some(Passive::Range(ports) | Passive::DataPorts(ports)) => {
                // A client may always open connections to the server's data ports: that works in TLS, too.
                let by_helper = self.helper && self.side.is_servers();
                flows.push(by_user(Step::PassiveData, Ports::these([ports]), by_helper));
            }
            Some(Passive::OnePort) => flows.push(by_user(Step::PassiveData, control, false)),
            None => {}
        }
        if let Some(active) = self.active {
            flows.push(Flow {
                step: Step::ActiveData,
                opener: Opener::Server,
                direction: if self.side.is_servers() {
                    Direction::Outbound
                } else {
                    Direction::Inbound
                },
                family,
                from: server,
                to: client,
                source_ports: active.source_port.map_or_else(Ports::any, Ports::one),
                destination_ports: Ports::these([active.client_ports]),
                by_helper: self.helper,
                is_reply: false,
            });
        }
    }
}

fn of(family: Option<Family>) -> impl Fn(&IpAddr) -> bool {
    move |it| family.is_none_or(|family| Family::of(*it) == family)
}

/// The network that holds one host
pub(crate) fn host(address: IpAddr) -> Option<Network> {
    Network::new(address, if address.is_ipv4() { 32 } else { 128 }).ok()
}
