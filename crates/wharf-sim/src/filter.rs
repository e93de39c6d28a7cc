//! What a border lets through: stateful filters, and access lists that know no connections.

use std::net::SocketAddr;

use wharf_proto::data_connection::passive::PortRange;

use crate::gateway::{range, within};

/// What happens to a new connection that no rule allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Allow,
    /// It is lost: the opener hears nothing until its own patience or the kernel's 127 s are over.
    Drop,
    /// It is answered with a reset: `ConnectionRefused` at once.
    Reject,
}

/// A stateful filter for one direction; what belongs to an established connection always passes.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Destination ports that pass.
    pub ports: Vec<PortRange>,
    /// Source ports that pass, whatever the destination (the article's "out from port 20").
    pub from_ports: Vec<PortRange>,
    /// Everything else.
    pub otherwise: Verdict,
}

impl Filter {
    /// No filter.
    pub fn open() -> Self {
        Self::nothing(Verdict::Allow)
    }

    /// Nothing new passes.
    pub fn nothing(otherwise: Verdict) -> Self {
        Self {
            ports: Vec::new(),
            from_ports: Vec::new(),
            otherwise,
        }
    }

    /// Only these destination ports pass, `LO-HI` or a single port each.
    pub fn only(ranges: &[(u16, u16)], otherwise: Verdict) -> Self {
        Self {
            ports: ranges.iter().map(|&(lo, hi)| range(lo, hi)).collect(),
            ..Self::nothing(otherwise)
        }
    }

    /// The judgement on a new connection.
    pub(crate) fn judge(&self, src: SocketAddr, dst: SocketAddr) -> Verdict {
        let passes = self.ports.iter().any(|r| within(*r, dst.port()))
            || self.from_ports.iter().any(|r| within(*r, src.port()));
        if passes {
            Verdict::Allow
        } else {
            self.otherwise
        }
    }
}

/// An access list without state: every packet is judged by its ports alone, so that a connection comes about where both its
/// own packets and the answers pass. What passes nowhere is dropped.
#[derive(Clone, Debug, Default)]
pub struct AccessList {
    inbound: Vec<Rule>,
    outbound: Vec<Rule>,
}

/// Source and destination ports.
#[derive(Clone, Copy, Debug)]
struct Rule {
    from: PortRange,
    to: PortRange,
}

impl AccessList {
    /// Nothing passes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Packets into the site pass from these source ports to these destination ports.
    #[must_use]
    pub fn inward(mut self, from: (u16, u16), to: (u16, u16)) -> Self {
        self.inbound.push(Rule::new(from, to));
        self
    }

    /// Packets out of the site pass from these source ports to these destination ports.
    #[must_use]
    pub fn outward(mut self, from: (u16, u16), to: (u16, u16)) -> Self {
        self.outbound.push(Rule::new(from, to));
        self
    }

    /// Whether a connection into the site comes about.
    pub(crate) fn admits(&self, src: SocketAddr, dst: SocketAddr) -> bool {
        passes(&self.inbound, src, dst) && passes(&self.outbound, dst, src)
    }

    /// Whether a connection out of the site comes about.
    pub(crate) fn releases(&self, src: SocketAddr, dst: SocketAddr) -> bool {
        passes(&self.outbound, src, dst) && passes(&self.inbound, dst, src)
    }
}

impl Rule {
    fn new(from: (u16, u16), to: (u16, u16)) -> Self {
        Self {
            from: range(from.0, from.1),
            to: range(to.0, to.1),
        }
    }
}

fn passes(rules: &[Rule], src: SocketAddr, dst: SocketAddr) -> bool {
    rules
        .iter()
        .any(|rule| within(rule.from, src.port()) && within(rule.to, dst.port()))
}
