//! Whether a match applies to a probe, in three-valued logic.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::expression::{Carrier, Data, Element, Field, OnlyFamily, Operator, Source, Span, Truth};
use super::model::{Name, Ruleset};
use super::probe::{Family, Hook, Ports, Probe, Protocol, State};

/// tcp flags.
const SYN: u8 = 2;
const ACK: u8 = 16;

/// Looks things up for one probe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conditions<'a> {
    pub(super) rules: &'a Ruleset,
    pub(super) probe: &'a Probe,
}

impl<'a> Conditions<'a> {
    /// Whether the match applies; `place` is the chain in which the rule stands.
    pub(super) fn applies(
        self,
        left: &[Field],
        operator: Operator,
        right: &'a Source,
        place: &Name,
    ) -> Truth {
        if left.iter().any(|field| !self.has(field)) {
            // The kernel goes on to the next rule, whatever the operator.
            return Truth::No;
        }
        let Some(members) = self.members(right, place) else {
            return Truth::Maybe;
        };
        match operator {
            Operator::Equal | Operator::AnyOf => self.among(left, operator, members),
            Operator::NotEqual => self.among(left, Operator::Equal, members).negated(),
            _ => self.ordered(left, operator, members),
        }
    }

    /// The entries of a map for this key; with [`Truth::Maybe`] several.
    pub(super) fn entries(
        self,
        key: &[Field],
        entries: &'a Source,
        place: &Name,
    ) -> Option<Vec<(Truth, &'a Data)>> {
        if key.iter().any(|field| !self.has(field)) {
            return Some(Vec::new());
        }
        let mut found = Vec::new();
        let mut others = None;
        let mut truth = Truth::No;
        for element in self.members(entries, place)? {
            if element.parts.is_empty() {
                others = Some(&element.data);
                continue;
            }
            let it = self.is(key, Operator::Equal, element);
            truth = truth.or(it);
            if it != Truth::No {
                found.push((it, &element.data));
            }
        }
        // Members do not overlap: whoever is surely meant is meant alone.
        if let Some(sure) = found.iter().find(|(it, _)| *it == Truth::Yes) {
            return Some(vec![*sure]);
        }
        if let Some(others) = others {
            found.push((truth.negated(), others));
        }
        Some(found)
    }

    /// Why it cannot be said whether a match applies.
    pub(super) fn obstacle(self, left: &[Field], right: &Source, place: &Name) -> String {
        if let Source::Unclear(why) = right {
            return why.clone();
        }
        if let Source::Named(name) = right
            && self.members(right, place).is_none()
        {
            return format!("the set {name} is not in the list");
        }
        let unknown = left.iter().find_map(|field| match field {
            Field::Unknown(text) => Some(format!("`{text}` cannot be judged from here")),
            _ => None,
        });
        if let Some(unknown) = unknown {
            return unknown;
        }
        let probe = self.probe;
        for field in left {
            let what = match field {
                Field::SourceAddress(_) if probe.source.is_none() => "the sender's address",
                Field::DestinationAddress(_) if probe.destination.is_none() => {
                    "the address that is called"
                }
                Field::InputInterface | Field::OutputInterface => "the interface",
                Field::SourcePort(_) if matches!(probe.source_port, Ports::Between(..)) => {
                    "the sender's port"
                }
                Field::DestinationPort(_)
                    if matches!(probe.destination_port, Ports::Between(..)) =>
                {
                    "the port that is called"
                }
                _ => continue,
            };
            return format!("it depends on {what}");
        }
        "it depends on more than is known here".to_owned()
    }

    fn members(self, source: &'a Source, place: &Name) -> Option<&'a [Element]> {
        match source {
            Source::Here(members) => Some(members),
            Source::Named(name) => {
                let name = Name {
                    name: name.clone(),
                    ..place.clone()
                };
                self.rules.sets.get(&name).map(Vec::as_slice)
            }
            Source::Unclear(_) => None,
        }
    }

    /// Whether the packet has such a field at all.
    fn has(self, field: &Field) -> bool {
        let family = |only: OnlyFamily| match only {
            OnlyFamily::Any => true,
            OnlyFamily::Ipv4 => self.probe.family == Family::Ipv4,
            OnlyFamily::Ipv6 => self.probe.family == Family::Ipv6,
        };
        let carried = |carrier: Carrier| match carrier {
            Carrier::Any => true,
            Carrier::Tcp => self.probe.protocol == Protocol::Tcp,
            Carrier::Udp => self.probe.protocol == Protocol::Udp,
        };
        match field {
            Field::Protocol(only)
            | Field::SourceAddress(only)
            | Field::DestinationAddress(only) => family(*only),
            Field::SourcePort(carrier) | Field::DestinationPort(carrier) => carried(*carrier),
            Field::TcpFlags(_) => self.probe.protocol == Protocol::Tcp,
            Field::OfOtherProtocol => false,
            _ => true,
        }
    }

    fn among(self, left: &[Field], operator: Operator, members: &[Element]) -> Truth {
        if let [field] = left
            && let Some((lo, hi)) = self.ports(field)
        {
            return covered(lo, hi, members);
        }
        members
            .iter()
            .map(|member| self.is(left, operator, member))
            .fold(Truth::No, Truth::or)
    }

    fn is(self, left: &[Field], operator: Operator, member: &Element) -> Truth {
        if member.parts.is_empty() {
            return Truth::Yes;
        }
        if member.parts.len() != left.len() {
            return Truth::Maybe;
        }
        left.iter()
            .zip(&member.parts)
            .map(|(field, span)| self.field_is(field, operator, span))
            .fold(Truth::Yes, Truth::and)
    }

    fn ports(self, field: &Field) -> Option<(u16, u16)> {
        match field {
            Field::SourcePort(_) => Some(self.probe.source_port.span()),
            Field::DestinationPort(_) => Some(self.probe.destination_port.span()),
            _ => None,
        }
    }

    fn ordered(self, left: &[Field], operator: Operator, members: &[Element]) -> Truth {
        let ([field], [member]) = (left, members) else {
            return Truth::Maybe;
        };
        let (Some((lo, hi)), [Span::Numbers(limit, _)]) = (self.ports(field), &*member.parts)
        else {
            return Truth::Maybe;
        };
        let holds = |port: u16| {
            let port = u64::from(port);
            match operator {
                Operator::Less => port < *limit,
                Operator::Greater => port > *limit,
                Operator::LessOrEqual => port <= *limit,
                _ => port >= *limit,
            }
        };
        match (holds(lo), holds(hi)) {
            (true, true) => Truth::Yes,
            (false, false) => Truth::No,
            _ => Truth::Maybe,
        }
    }

    fn field_is(self, field: &Field, operator: Operator, span: &Span) -> Truth {
        let probe = self.probe;
        let word = match span {
            Span::Word(word) => Some(word.as_str()),
            _ => None,
        };
        match (field, span) {
            (_, Span::Unclear) | (Field::Unknown(_), _) => Truth::Maybe,
            (Field::SourcePort(_) | Field::DestinationPort(_), Span::Numbers(from, to)) => {
                match self.ports(field) {
                    Some((lo, hi)) => within(lo, hi, *from, *to),
                    None => Truth::Maybe,
                }
            }
            (Field::SourceAddress(_), Span::Addresses(from, to)) => {
                address(probe.family, probe.source, *from, *to)
            }
            (Field::DestinationAddress(_), Span::Addresses(from, to)) => {
                address(probe.family, probe.destination, *from, *to)
            }
            (Field::Protocol(_), _) => protocol(probe.protocol, span),
            (Field::Family, _) => match (word, span) {
                (Some("ipv4"), _) | (_, Span::Numbers(2, 2)) => {
                    Truth::of(probe.family == Family::Ipv4)
                }
                (Some("ipv6"), _) | (_, Span::Numbers(10, 10)) => {
                    Truth::of(probe.family == Family::Ipv6)
                }
                _ => Truth::No,
            },
            (Field::EtherType, _) => match word {
                Some("ip") => Truth::of(probe.family == Family::Ipv4),
                Some("ip6") => Truth::of(probe.family == Family::Ipv6),
                Some(_) => Truth::No,
                None => Truth::Maybe,
            },
            (Field::InputInterface, Span::Word(name)) => match probe.hook {
                Hook::Output | Hook::Postrouting => Truth::No,
                _ => interface(probe.input_interface.as_deref(), name),
            },
            (Field::OutputInterface, Span::Word(name)) => match probe.hook {
                Hook::Input | Hook::Prerouting => Truth::No,
                _ => interface(probe.output_interface.as_deref(), name),
            },
            (Field::State, Span::Word(name)) => Truth::of(match probe.state {
                State::New => name == "new",
                State::Established => name == "established",
                State::Related => name == "related",
            }),
            (Field::Status, Span::Word(name)) => self.status(name),
            (Field::Direction, _) => match (word, probe.state) {
                (_, State::Established) | (None, _) => Truth::Maybe,
                (Some(name), _) => Truth::of(name == "original"),
            },
            (Field::Helper, Span::Word(name)) => {
                Truth::of(probe.helper.as_deref() == Some(name.as_str()))
            }
            (Field::TcpFlags(mask), _) => tcp_flags(probe.state, operator, *mask, span),
            (Field::PacketType, Span::Word(name)) => match (probe.hook, name.as_str()) {
                (Hook::Output | Hook::Postrouting, _) => Truth::Maybe,
                (_, "host" | "unicast") => Truth::Yes,
                _ => Truth::No,
            },
            (Field::DestinationType, Span::Word(name)) => match (probe.hook, name.as_str()) {
                (Hook::Input, "local") | (Hook::Forward | Hook::Output, "unicast") => Truth::Yes,
                (Hook::Prerouting | Hook::Postrouting, "local" | "unicast") => Truth::Maybe,
                _ => Truth::No,
            },
            (Field::WayBack, Span::Boolean(found)) => Truth::of(*found),
            _ => Truth::Maybe,
        }
    }

    fn status(self, name: &str) -> Truth {
        let state = self.probe.state;
        match name {
            "dnat" => Truth::of(self.probe.destination_rewritten),
            "expected" if state == State::New => Truth::No,
            "expected" if state == State::Related => Truth::Yes,
            "assured" | "seen-reply" | "confirmed" if state != State::Established => Truth::No,
            _ => Truth::Maybe,
        }
    }
}

/// How these ports lie to those.
fn within(lo: u16, hi: u16, from: u64, to: u64) -> Truth {
    let (lo, hi) = (u64::from(lo), u64::from(hi));
    if from <= lo && hi <= to {
        Truth::Yes
    } else if to < lo || hi < from {
        Truth::No
    } else {
        Truth::Maybe
    }
}

/// Whether the ports are all among the members, several of which may be needed, or none is.
fn covered(lo: u16, hi: u16, members: &[Element]) -> Truth {
    let mut spans = Vec::new();
    for member in members {
        match &*member.parts {
            [] => return Truth::Yes,
            [Span::Numbers(from, to)] => spans.push((*from, *to)),
            _ => return Truth::Maybe,
        }
    }
    spans.sort_unstable();
    let mut next = u64::from(lo);
    let mut touched = false;
    for (from, to) in spans {
        touched |= within(lo, hi, from, to) != Truth::No;
        if from <= next && next <= to {
            next = to.saturating_add(1);
        }
    }
    if next > u64::from(hi) {
        Truth::Yes
    } else if touched {
        Truth::Maybe
    } else {
        Truth::No
    }
}

fn address(family: Family, it: Option<IpAddr>, from: IpAddr, to: IpAddr) -> Truth {
    if Family::of(from) != family {
        return Truth::No;
    }
    if let Some(it) = it {
        return Truth::of(Family::of(it) == family && from <= it && it <= to);
    }
    // Whichever: another host, so neither loopback nor a group.
    let all = match family {
        Family::Ipv4 => (
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V4(Ipv4Addr::BROADCAST),
        ),
        Family::Ipv6 => (
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)),
        ),
    };
    let nobody = |ip: IpAddr| ip.is_loopback() || ip.is_multicast() || ip == all.1;
    if (from, to) == all {
        Truth::Yes
    } else if nobody(from) && nobody(to) {
        Truth::No
    } else {
        Truth::Maybe
    }
}

/// An interface that is not named is any but the loopback.
fn interface(it: Option<&str>, name: &str) -> Truth {
    let start = name.strip_suffix('*');
    match (it, start) {
        (Some(it), Some(start)) => Truth::of(it.starts_with(start)),
        (Some(it), None) => Truth::of(it == name),
        (None, _) if name == "lo" => Truth::No,
        (None, Some("")) => Truth::Yes,
        (None, _) => Truth::Maybe,
    }
}

fn protocol(it: Protocol, span: &Span) -> Truth {
    match span {
        Span::Word(name) => Truth::of(match it {
            Protocol::Tcp => name == "tcp",
            Protocol::Udp => name == "udp",
        }),
        Span::Numbers(from, to) => {
            let number = match it {
                Protocol::Tcp => 6,
                Protocol::Udp => 17,
            };
            Truth::of(*from <= number && number <= *to)
        }
        _ => Truth::Maybe,
    }
}

fn tcp_flags(state: State, operator: Operator, mask: u8, span: &Span) -> Truth {
    let wanted = match span {
        Span::Flags(bits) => *bits,
        Span::Numbers(bits, _) => match u8::try_from(*bits) {
            Ok(bits) => bits,
            Err(_) => return Truth::No,
        },
        _ => return Truth::Maybe,
    };
    let is = |flags: u8| match operator {
        Operator::AnyOf => flags & wanted != 0,
        _ => flags & mask == wanted,
    };
    match state {
        State::New | State::Related => Truth::of(is(SYN)),
        State::Established => match (is(ACK), is(SYN | ACK)) {
            (true, true) => Truth::Yes,
            (false, false) => Truth::No,
            _ => Truth::Maybe,
        },
    }
}
