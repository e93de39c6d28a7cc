//! Every connection of a deployment is let pass by its rules, and nothing else is: a small evaluator of rules, asked
//! about packets in and around what is needed.

use std::net::IpAddr;

use proptest::prelude::*;
use wharf_firewall::{
    Action, Active, Chain, Deployment, Direction, Family, Flow, Match, Passive, Protocol, RuleSet,
    Scope, ServerAt, Side, State,
};
use wharf_proto::data_connection::advertise::Network;

use crate::cases::{CASES, range};

/// The first packet of a TCP connection, at one chain
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packet {
    chain: Chain,
    source: IpAddr,
    destination: IpAddr,
    source_port: u16,
    destination_port: u16,
    state: State,
    was_translated: bool,
}

fn matches(of: &Match, packet: &Packet) -> bool {
    let family = of.family.is_none_or(|it| it == Family::of(packet.source));
    let protocol = match of.protocol {
        Protocol::Any => true,
        Protocol::Tcp => {
            of.source_ports.contains(packet.source_port)
                && of.destination_ports.contains(packet.destination_port)
        }
        Protocol::IcmpErrors | Protocol::Neighbours => false,
    };
    family
        && protocol
        && !of.loopback
        && of.source.contains(packet.source)
        && of.destination.contains(packet.destination)
        && (of.state == State::Any || of.state == packet.state)
        && (!of.was_translated || packet.was_translated)
}

/// What the first matching rule says; the chain's policy otherwise
fn passes(rules: &RuleSet, packet: &Packet) -> bool {
    let mut chain = rules.chain(packet.chain);
    match chain.find(|it| matches(&it.matching, packet)) {
        Some(rule) => rule.action == Action::Accept,
        None => !rules.closed_chains().contains(&packet.chain),
    }
}

/// Takes a packet as client and server know it through the NAT and the filter of the deployment's side
fn arrives(rules: &RuleSet, flow: &Flow, packet: Packet) -> bool {
    let mut packet = packet;
    let translated = |packet: &Packet, chain| {
        let at = Packet {
            chain,
            state: State::Any,
            ..*packet
        };
        let mut rules = rules.chain(chain);
        rules
            .find(|it| matches(&it.matching, &at))
            .map(|it| it.action)
    };
    if packet.state == State::New
        && let Some(Action::DestinationNat(to)) = translated(&packet, Chain::DestinationNat)
    {
        packet.destination = to;
        packet.was_translated = true;
    }
    let deployment = &rules.deployment;
    let family = Family::of(packet.source);
    if deployment.is_translated(family) {
        let inside = deployment.server.inside_of(family).unwrap();
        match flow.opener {
            // The helper translates what it announced.
            wharf_proto::data_connection::Opener::User
                if packet.state == State::RelatedByHelper =>
            {
                packet.destination = inside;
            }
            wharf_proto::data_connection::Opener::User if !packet.was_translated => return false,
            wharf_proto::data_connection::Opener::User => {}
            wharf_proto::data_connection::Opener::Server => packet.source = inside,
        }
    }
    if !passes(rules, &packet) {
        return false;
    }
    if deployment.is_translated(family)
        && flow.opener == wharf_proto::data_connection::Opener::Server
        && packet.state == State::New
    {
        let at = translated(&packet, Chain::SourceNat);
        if rules.scope == Scope::Beside && flow.source_ports.is_any() {
            return at.is_none(); // everything that the server sends is not FTP's
        }
        return matches!(at, Some(Action::SourceNat(to)) if deployment.server.addresses.contains(&to));
    }
    true
}

fn filter(rules: &RuleSet, flow: &Flow) -> Chain {
    match (rules.deployment.side.is_gateway(), flow.direction) {
        (true, _) => Chain::Forward,
        (false, Direction::Inbound) => Chain::Input,
        (false, Direction::Outbound) => Chain::Output,
    }
}

fn address(family: Family, number: u16) -> IpAddr {
    match family {
        Family::V4 => format!("198.18.{}.{}", number >> 8, number & 255)
            .parse()
            .unwrap(),
        Family::V6 => format!("2001:db8:ffff::{number:x}").parse().unwrap(),
    }
}

/// An address that is meant
fn meant(addresses: &wharf_firewall::Addresses, family: Family, number: u16) -> IpAddr {
    addresses
        .iter()
        .next()
        .map_or(address(family, number), Network::address)
}

/// A packet that the flow needs; `seed` chooses among ports
fn needed(rules: &RuleSet, flow: &Flow, family: Family, seed: u16) -> Packet {
    let port = |ports: &wharf_firewall::Ports| {
        let ranges: Vec<(u16, u16)> = ports.ranges().collect();
        match ranges.as_slice() {
            [] => seed.max(1),
            some => {
                let (lo, hi) = some[usize::from(seed) % some.len()];
                lo + u16::try_from(u32::from(seed) % (u32::from(hi - lo) + 1)).unwrap()
            }
        }
    };
    Packet {
        chain: filter(rules, flow),
        source: meant(&flow.from, family, 7),
        destination: meant(&flow.to, family, 9),
        source_port: port(&flow.source_ports),
        destination_port: port(&flow.destination_ports),
        state: if flow.by_helper {
            State::RelatedByHelper
        } else {
            State::New
        },
        was_translated: false,
    }
}

fn families(flow: &Flow) -> Vec<Family> {
    flow.family.map_or(Family::ALL.to_vec(), |it| vec![it])
}

/// Whether some flow of the deployment is this packet
fn is_needed(rules: &RuleSet, packet: &Packet) -> bool {
    rules.flows.iter().any(|flow| {
        let family = flow.family.is_none_or(|it| it == Family::of(packet.source));
        let state = if flow.by_helper {
            State::RelatedByHelper
        } else {
            State::New
        };
        family
            && filter(rules, flow) == packet.chain
            && flow.from.contains(packet.source)
            && flow.to.contains(packet.destination)
            && flow.source_ports.contains(packet.source_port)
            && flow.destination_ports.contains(packet.destination_port)
            && state == packet.state
    })
}

fn every_flow_passes(rules: &RuleSet, seed: u16) {
    for flow in &rules.flows {
        for family in families(flow) {
            let packet = needed(rules, flow, family, seed);
            assert!(
                arrives(rules, flow, packet),
                "{flow:?}\n{packet:?}\n{:?}",
                rules.rules
            );
            if rules.scope == Scope::Complete {
                let chain = match packet.chain {
                    Chain::Input => Chain::Output,
                    Chain::Output => Chain::Input,
                    other => other,
                };
                let back = Packet {
                    chain,
                    source: packet.destination,
                    destination: packet.source,
                    source_port: packet.destination_port,
                    destination_port: packet.source_port,
                    state: State::Established,
                    was_translated: false,
                };
                assert!(passes(rules, &back), "the way back of {packet:?}");
            }
        }
    }
}

#[test]
fn every_case_lets_pass_what_it_needs() {
    for case in CASES {
        for scope in [Scope::Beside, Scope::Complete] {
            let rules = RuleSet::new(&(case.deployment)(), scope).unwrap();
            for seed in [0, 1, 2, 500, 1023, 1024, 65535] {
                every_flow_passes(&rules, seed);
            }
        }
    }
}

#[test]
fn no_case_says_anything_twice() {
    for case in CASES {
        for scope in [Scope::Beside, Scope::Complete] {
            let rules = RuleSet::new(&(case.deployment)(), scope).unwrap().rules;
            for (at, rule) in rules.iter().enumerate() {
                assert!(!rule.reasons.is_empty(), "{}: {rule:?}", case.name);
                let same = |it: &&wharf_firewall::Rule| {
                    (it.chain, &it.matching, it.action) == (rule.chain, &rule.matching, rule.action)
                };
                assert!(
                    !rules[at + 1..].iter().any(|it| same(&it)),
                    "{}: {rule:?}",
                    case.name
                );
            }
        }
    }
}

fn port_range() -> impl Strategy<Value = wharf_proto::data_connection::passive::PortRange> {
    (22_u16..=u16::MAX, 0_u16..2000).prop_map(|(lo, more)| range(lo, lo.saturating_add(more)))
}

fn deployments() -> impl Strategy<Value = Deployment> {
    let passive = prop_oneof![
        Just(None),
        port_range().prop_map(|it| Some(Passive::Range(it))),
        port_range().prop_map(|it| Some(Passive::DataPorts(it))),
        Just(Some(Passive::OnePort)),
    ];
    let active = proptest::option::of((proptest::option::of(Just(20)), port_range()));
    let server = prop_oneof![
        Just(vec![]),
        Just(vec!["203.0.113.5"]),
        Just(vec!["2001:db8::5"]),
        Just(vec!["203.0.113.5", "2001:db8::5"]),
    ];
    let clients = prop_oneof![
        Just(vec![]),
        Just(vec!["198.51.100.0/24"]),
        Just(vec!["2001:db8:c::/48", "192.0.2.7"]),
    ];
    (
        0..4_usize,
        any::<[bool; 4]>(),
        passive,
        active,
        server,
        clients,
    )
        .prop_map(
            |(side, [helper, inside, hairpin, other_port], passive, active, server, clients)| {
                let side = Side::ALL[side];
                let translated =
                    inside && side == Side::ServerGateway && server.contains(&"203.0.113.5");
                Deployment {
                    side,
                    server: ServerAt {
                        addresses: server.iter().map(|it| it.parse().unwrap()).collect(),
                        inside: if translated {
                            vec!["10.20.0.2".parse().unwrap()]
                        } else {
                            vec![]
                        },
                    },
                    clients: clients.iter().map(|it| it.parse().unwrap()).collect(),
                    control_ports: if other_port { vec![21, 20] } else { vec![21] },
                    passive,
                    active: active.map(|(source_port, client_ports)| Active {
                        source_port,
                        client_ports,
                    }),
                    helper,
                    hairpin: if translated && hairpin {
                        vec!["10.20.0.0/24".parse().unwrap()]
                    } else {
                        vec![]
                    },
                    ..Deployment::server()
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1024) })]

    #[test]
    fn whatever_is_deployed_passes(deployment in deployments(), seed: u16, complete: bool) {
        let scope = if complete { Scope::Complete } else { Scope::Beside };
        if let Ok(rules) = RuleSet::new(&deployment, scope) {
            every_flow_passes(&rules, seed);
        }
    }

    /// With a default drop, a packet that no flow needs does not pass: other ports, other directions, other addresses,
    /// not announced by the helper
    #[test]
    fn nothing_else_passes(
        deployment in deployments(),
        chain in prop_oneof![Just(Chain::Input), Just(Chain::Output), Just(Chain::Forward)],
        near in any::<(u16, u16)>(),
        six: bool,
        peers in (0..4_usize, 0..4_usize),
        related: bool,
    ) {
        let Ok(rules) = RuleSet::new(&deployment, Scope::Complete) else { return Ok(()) };
        // A gateway's own input and output are not its matter, a host's forwarding is not either.
        if !rules.closed_chains().contains(&chain) {
            return Ok(());
        }
        let family = if six { Family::V6 } else { Family::V4 };
        let addresses = match family {
            Family::V4 => ["203.0.113.5", "198.51.100.9", "192.0.2.7", "198.18.0.1"],
            Family::V6 => ["2001:db8::5", "2001:db8:c::9", "2001:db8:d::7", "2001:db8:ffff::1"],
        };
        // ports around the edges of what is needed are more telling than any
        let mut edges = vec![1, 19, 20, 21, 22, 1023, 1024, 65535];
        for flow in &rules.flows {
            for (lo, hi) in flow.destination_ports.ranges() {
                edges.extend([lo.saturating_sub(1), lo, hi, hi.saturating_add(1)]);
            }
        }
        let port = |number: u16| if number.is_multiple_of(3) { number } else { edges[usize::from(number) % edges.len()] };
        let packet = Packet {
            chain,
            source: addresses[peers.0].parse().unwrap(),
            destination: addresses[peers.1].parse().unwrap(),
            source_port: port(near.0),
            destination_port: port(near.1),
            state: if related { State::RelatedByHelper } else { State::New },
            was_translated: false,
        };
        if rules.deployment.is_translated(family) {
            return Ok(()); // the filter sees the inside address: below
        }
        prop_assert_eq!(passes(&rules, &packet), is_needed(&rules, &packet), "{:?}\n{:?}", packet, rules.rules);
    }

    /// One thing changed about a packet that is needed, and it is another question
    #[test]
    fn one_thing_changed_is_judged_anew(
        deployment in deployments(),
        which: usize,
        seed: u16,
        change in 0..6_usize,
        number: u16,
    ) {
        let Ok(rules) = RuleSet::new(&deployment, Scope::Complete) else { return Ok(()) };
        let flow = &rules.flows[which % rules.flows.len()];
        let family = families(flow)[which % families(flow).len()];
        if rules.deployment.is_translated(family) {
            return Ok(());
        }
        let mut packet = needed(&rules, flow, family, seed);
        match change {
            0 => packet.source = address(family, number),
            1 => packet.destination = address(family, number),
            2 => packet.source_port = number,
            3 => packet.destination_port = number,
            4 => packet.state = if packet.state == State::New { State::RelatedByHelper } else { State::New },
            _ => {
                packet.chain = match packet.chain {
                    Chain::Input => Chain::Output,
                    Chain::Output => Chain::Input,
                    other => other,
                };
            }
        }
        prop_assert_eq!(passes(&rules, &packet), is_needed(&rules, &packet), "{:?}\n{:?}", packet, rules.rules);
    }

    /// Behind a NAT only what is for the server's ports is forwarded to it, and nothing else
    #[test]
    fn a_gateway_forwards_nothing_else(deployment in deployments(), port: u16, source_port: u16, from_server: bool) {
        let Ok(rules) = RuleSet::new(&deployment, Scope::Complete) else { return Ok(()) };
        if !rules.deployment.is_translated(Family::V4) {
            return Ok(());
        }
        let (stranger, server, inside) = ("198.51.100.9", "203.0.113.5", "10.20.0.2");
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        let as_known = Packet {
            chain: Chain::Forward,
            source: parse(if from_server { server } else { stranger }),
            destination: parse(if from_server { stranger } else { server }),
            source_port,
            destination_port: port,
            state: State::New,
            was_translated: false,
        };
        let filtered = Packet {
            source: parse(if from_server { inside } else { stranger }),
            destination: parse(if from_server { stranger } else { inside }),
            ..as_known
        };
        prop_assert_eq!(passes(&rules, &filtered), is_needed(&rules, &as_known), "{:?}", filtered);
    }

    /// Beside others' rules: FTP's own ports are closed for whoever is not meant, everything else is not touched (SSH!)
    #[test]
    fn beside_others_only_what_is_ftps_is_touched(
        deployment in deployments(),
        chain in prop_oneof![Just(Chain::Input), Just(Chain::Output), Just(Chain::Forward)],
        ports: (u16, u16),
        related: bool,
    ) {
        let Ok(rules) = RuleSet::new(&deployment, Scope::Beside) else { return Ok(()) };
        let stranger = |port: u16| Packet {
            chain,
            source: "192.0.2.99".parse().unwrap(),
            destination: "203.0.113.5".parse().unwrap(),
            source_port: ports.0,
            destination_port: port,
            state: if related { State::RelatedByHelper } else { State::New },
            was_translated: false,
        };
        let servers = |port: u16| {
            let passive = deployment.passive.and_then(Passive::ports).is_some_and(|it| it.contains(port));
            passive || deployment.control_ports.contains(&port)
        };
        let packet = stranger(ports.1);
        if ports.0 != 20 && !servers(ports.1) {
            prop_assert!(passes(&rules, &packet), "{:?}\n{:?}", packet, rules.rules);
        }
        prop_assert!(passes(&rules, &stranger(22)) || servers(22) || ports.0 == 20);
        // A family that no client has is closed as well.
        let closed = deployment.side == Side::Server && !deployment.clients.is_empty();
        if closed && deployment.server.addresses.is_empty() && chain == Chain::Input {
            for (source, destination) in [("192.0.2.99", "203.0.113.5"), ("2001:db8:ffff::1", "2001:db8::5")] {
                let packet = Packet {
                    source: source.parse().unwrap(),
                    destination: destination.parse().unwrap(),
                    state: State::New,
                    ..stranger(21)
                };
                prop_assert!(!passes(&rules, &packet), "{:?}\n{:?}", packet, rules.rules);
            }
        }
        for flow in &rules.flows {
            let at_server = deployment.side.is_servers() && chain == filter(&rules, flow);
            let (lo, _) = flow.destination_ports.ranges().next().unwrap();
            let packet = Packet { state: State::New, ..stranger(lo) };
            let translated = rules.deployment.is_translated(Family::V4);
            if at_server && flow.direction == Direction::Inbound && !translated && flow.to.contains(packet.destination)
                && families(flow).contains(&Family::V4)
            {
                prop_assert_eq!(passes(&rules, &packet), is_needed(&rules, &packet), "{:?}\n{:?}", packet, rules.rules);
            }
        }
    }
}
