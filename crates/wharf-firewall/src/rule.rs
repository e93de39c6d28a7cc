//! Rules in no dialect. What a stateful packet filter can say, and nothing that only one of them can.

use std::fmt;
use std::net::IpAddr;

use wharf_proto::data_connection::advertise::Network;

use crate::deployment::Family;
use crate::flow::{Ports, Step, host};

/// Where a rule stands
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Chain {
    /// Assigns the FTP helper to control connections that come in or pass through, before addresses are translated
    HelperIn,
    /// Assigns the FTP helper to control connections that this host opens
    HelperOut,
    /// Translates destinations, before routing
    DestinationNat,
    /// Filters what is for this host
    Input,
    /// Filters what passes through; addresses of the server are its inside ones here
    Forward,
    /// Filters what this host sends
    Output,
    /// Translates sources, after routing
    SourceNat,
}

impl Chain {
    /// Every chain, in the order in which a packet meets them
    pub const ALL: [Self; 7] = [
        Self::HelperIn,
        Self::DestinationNat,
        Self::Input,
        Self::Forward,
        Self::HelperOut,
        Self::Output,
        Self::SourceNat,
    ];

    /// Whether it lets pass or drops
    pub fn is_filter(self) -> bool {
        matches!(self, Self::Input | Self::Forward | Self::Output)
    }
}

/// A set of addresses: any, or these networks (all of the family of the rule)
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses(Vec<Network>);

impl Addresses {
    /// Any address
    pub fn any() -> Self {
        Self::default()
    }

    /// These hosts
    pub fn hosts(hosts: impl IntoIterator<Item = IpAddr>) -> Self {
        Self::networks(hosts.into_iter().filter_map(host))
    }

    /// These networks
    pub fn networks(networks: impl IntoIterator<Item = Network>) -> Self {
        let mut found: Vec<Network> = Vec::new();
        for network in networks {
            let network = truncated(network);
            if !found.contains(&network) {
                found.push(network);
            }
        }
        Self(found)
    }

    /// Whether every address is meant
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    /// The networks; nothing when any address is meant
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Network> + '_ {
        self.0.iter().copied()
    }

    /// Is this address meant?
    pub fn contains(&self, address: IpAddr) -> bool {
        self.is_any() || self.0.iter().any(|it| it.contains(address))
    }

    /// Each as text: an address alone where one host is meant, else `ADDRESS/BITS`
    pub fn texts(&self) -> Vec<String> {
        self.iter().map(text).collect()
    }

    /// Each as text, always `ADDRESS/BITS`
    pub fn cidrs(&self) -> Vec<String> {
        self.iter().map(|it| it.to_string()).collect()
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_any() {
            return f.write_str("any");
        }
        f.write_str(&self.texts().join(", "))
    }
}

/// A network as most dialects write it: one host without its prefix length
pub fn text(network: Network) -> String {
    let whole = if network.address().is_ipv4() { 32 } else { 128 };
    if network.prefix() == whole {
        network.address().to_string()
    } else {
        network.to_string()
    }
}

/// The bits behind the prefix cleared: some dialects refuse the others
fn truncated(network: Network) -> Network {
    let prefix = u32::from(network.prefix());
    let address = match network.address() {
        IpAddr::V4(it) => {
            let mask = u32::MAX.checked_shl(32 - prefix.min(32)).unwrap_or(0);
            IpAddr::V4((it.to_bits() & mask).into())
        }
        IpAddr::V6(it) => {
            let mask = u128::MAX.checked_shl(128 - prefix.min(128)).unwrap_or(0);
            IpAddr::V6((it.to_bits() & mask).into())
        }
    };
    Network::new(address, network.prefix()).unwrap_or(network)
}

/// What a rule looks at besides addresses
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Everything
    Any,
    /// TCP; ports have a meaning with it alone
    Tcp,
    /// ICMP errors: destination unreachable (with the path MTU), time exceeded, parameter problem; for IPv6 packet too
    /// big as well
    IcmpErrors,
    /// IPv6 only, link-local: neighbour and router discovery, multicast listener discovery (RFC 4890 §4.4.1)
    Neighbours,
}

/// What connection tracking knows of a packet
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Not asked
    Any,
    /// The first packet of a connection
    New,
    /// Part of a connection that was let pass
    Established,
    /// An ICMP error about a connection that was let pass
    Related,
    /// A connection that the FTP helper announced, and no other helper
    RelatedByHelper,
}

/// What a rule applies to: all of it together
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// One family, or both
    pub family: Option<Family>,
    /// Only the loopback interface
    pub loopback: bool,
    /// Protocol
    pub protocol: Protocol,
    /// Source
    pub source: Addresses,
    /// Destination
    pub destination: Addresses,
    /// Source ports of TCP
    pub source_ports: Ports,
    /// Destination ports of TCP
    pub destination_ports: Ports,
    /// Connection state
    pub state: State,
    /// Only connections whose destination was translated
    pub was_translated: bool,
}

impl Match {
    /// Everything
    pub fn everything() -> Self {
        Self {
            family: None,
            loopback: false,
            protocol: Protocol::Any,
            source: Addresses::any(),
            destination: Addresses::any(),
            source_ports: Ports::any(),
            destination_ports: Ports::any(),
            state: State::Any,
            was_translated: false,
        }
    }

    /// Whether the rule is about packets of this family
    pub fn is_about(&self, family: Family) -> bool {
        self.family.is_none_or(|it| it == family)
    }
}

/// What is done
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Let pass
    Accept,
    /// Drop without a word
    Drop,
    /// Let the FTP helper read this control connection
    AssignHelper,
    /// Send it to this host; ports stay
    DestinationNat(IpAddr),
    /// Let it come from this address; the port stays where it can
    SourceNat(IpAddr),
    /// Let it come from the address of the interface it leaves by
    Masquerade,
}

/// Why a rule is there
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The host's conversation with itself
    Loopback,
    /// Packets of connections that were let pass, both ways
    Replies,
    /// ICMP errors, without which large packets are lost silently (path MTU) and failures take minutes
    PathMtu,
    /// IPv6 does not work without neighbour discovery
    Neighbours,
    /// A connection that must pass
    Step(Step),
    /// The helper no longer comes by itself
    Helper,
    /// The NAT in front of the server
    Mapping(Step),
    /// The server's active data connections must come from the address that clients know
    MappingBack,
    /// Hosts beside the server use its outside address
    Hairpin,
    /// FTP's own ports are closed for everybody else, also where other rules would let pass
    Guard,
}

/// A rule in no dialect
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Where it stands
    pub chain: Chain,
    /// What it applies to
    pub matching: Match,
    /// What is done
    pub action: Action,
    /// Why, at least one reason; several where steps share a rule
    pub reasons: Vec<Reason>,
}
