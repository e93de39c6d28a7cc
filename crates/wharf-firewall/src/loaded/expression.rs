//! What a rule compares, and with what: the left and the right of a match.

use std::net::IpAddr;

/// Something that a packet has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// `meta l4proto`, `ip protocol`, `ip6 nexthdr`; the latter two of their family only.
    Protocol(OnlyFamily),
    /// `meta nfproto`.
    Family,
    /// `meta protocol`: the same as an ethernet type.
    EtherType,
    SourceAddress(OnlyFamily),
    DestinationAddress(OnlyFamily),
    SourcePort(Carrier),
    DestinationPort(Carrier),
    InputInterface,
    OutputInterface,
    State,
    Status,
    Direction,
    Helper,
    /// `tcp flags`, of which those of the mask count.
    TcpFlags(u8),
    /// `pkttype`.
    PacketType,
    /// `fib daddr type`.
    DestinationType,
    /// `fib saddr . iif oif`: by which interface the source is reached.
    WayBack,
    /// Only packets of another protocol have it (icmp, sctp, dccp).
    OfOtherProtocol,
    /// Nobody here can tell.
    Unknown(String),
}

/// The family to which a field belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnlyFamily {
    Any,
    Ipv4,
    Ipv6,
}

/// The protocol to which a field belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    Tcp,
    Udp,
    /// `th`.
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// `==`; with a set, membership.
    Equal,
    NotEqual,
    /// `in`: any of the flags is set.
    AnyOf,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
}

/// The right side: written in the rule, or a named set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Here(Vec<Element>),
    Named(String),
    Unclear(String),
}

/// A member of a set or an entry of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// One for each part of a concatenation; empty is the catch-all `*`.
    pub(super) parts: Vec<Span>,
    /// What a map has for it.
    pub(super) data: Data,
}

/// Values from one to another, ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Numbers(u64, u64),
    Addresses(IpAddr, IpAddr),
    /// A name of an interface, a state, a protocol; for interfaces a `*` at the end is whatever follows.
    Word(String),
    /// Flags, each its bit; only for tcp flags.
    Flags(u8),
    Boolean(bool),
    Unclear,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    None,
    Verdict(super::model::Verdict),
    Value(Vec<Span>),
    Unclear,
}

/// What three-valued logic knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    Yes,
    No,
    Maybe,
}

impl Truth {
    pub(super) fn of(it: bool) -> Self {
        if it { Self::Yes } else { Self::No }
    }

    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Maybe,
        }
    }

    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::No, Self::No) => Self::No,
            _ => Self::Maybe,
        }
    }

    pub(super) fn negated(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
        }
    }
}
