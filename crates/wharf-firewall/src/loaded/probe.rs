//! A packet that begins or continues a connection, as far as it is known.

use std::net::IpAddr;

/// The place in the kernel where the packet is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Everything that arrives, before it is clear whether it stays; also where destinations are rewritten.
    Prerouting,
    /// What is for this host.
    Input,
    /// What passes through this host.
    Forward,
    /// What this host sends.
    Output,
    /// Everything that leaves; where sources are rewritten.
    Postrouting,
}

impl Hook {
    /// As nft calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
        }
    }
}

/// Internet protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Version 4.
    Ipv4,
    /// Version 6.
    Ipv6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() {
            Self::Ipv4
        } else {
            Self::Ipv6
        }
    }
}

/// What the packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// TCP, which is all that FTP uses.
    Tcp,
    /// UDP.
    Udp,
}

/// How the packet stands to connections that the kernel knows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The first packet of a connection.
    New,
    /// A further packet, in either direction.
    Established,
    /// The first packet of a connection that a helper expects.
    Related,
}

/// Which ports are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// This one.
    One(u16),
    /// Any of these, ends included: the rules are asked for all at once, and differing answers are no answer.
    Between(u16, u16),
}

impl Ports {
    /// What a system takes when nobody names a port: anything above the privileged ones.
    pub const UNPRIVILEGED: Self = Self::Between(1024, u16::MAX);

    pub(super) fn span(self) -> (u16, u16) {
        match self {
            Self::One(port) => (port, port),
            Self::Between(lo, hi) => (lo.min(hi), lo.max(hi)),
        }
    }
}

/// What is asked about. `None` is "whichever": a rule that depends on it cannot be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Where it is judged.
    pub hook: Hook,
    /// Version of the internet protocol.
    pub family: Family,
    /// What it carries.
    pub protocol: Protocol,
    /// Who sends it.
    pub source: Option<IpAddr>,
    /// From which port.
    pub source_port: Ports,
    /// To whom.
    pub destination: Option<IpAddr>,
    /// To which port.
    pub destination_port: Ports,
    /// The interface by which it came.
    pub input_interface: Option<String>,
    /// The interface by which it leaves.
    pub output_interface: Option<String>,
    /// How it stands to known connections.
    pub state: State,
    /// The helper of its connection, or of the connection that it is related to; `None` is none.
    pub helper: Option<String>,
    /// Its destination has been rewritten before (`ct status dnat`).
    pub destination_rewritten: bool,
}

impl Probe {
    /// A client of anywhere opens a TCP connection to this host's port.
    pub fn arriving(family: Family, port: u16) -> Self {
        Self {
            hook: Hook::Input,
            family,
            protocol: Protocol::Tcp,
            source: None,
            source_port: Ports::UNPRIVILEGED,
            destination: None,
            destination_port: Ports::One(port),
            input_interface: None,
            output_interface: None,
            state: State::New,
            helper: None,
            destination_rewritten: false,
        }
    }

    /// This host opens a TCP connection from this port to any unprivileged port of anybody.
    pub fn leaving(family: Family, source_port: Ports) -> Self {
        Self {
            hook: Hook::Output,
            source_port,
            destination_port: Ports::UNPRIVILEGED,
            ..Self::arriving(family, 0)
        }
    }

    /// The same at another place.
    #[must_use]
    pub fn at(self, hook: Hook) -> Self {
        Self { hook, ..self }
    }
}
