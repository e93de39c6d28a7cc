//! From the connections that must pass to rules: nothing wider than needed.

use std::net::IpAddr;

use wharf_proto::data_connection::Opener;

use crate::deployment::{Contradiction, Deployment, Family, Side};
use crate::flow::{Flow, Ports, Step};
use crate::rule::{Action, Addresses, Chain, Match, Protocol, Reason, Rule, State};

/// What the rules are about besides FTP
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scope {
    /// Nothing: they stand beside the rules of others, and what is not FTP's is not touched. FTP's own ports are closed
    /// for whoever is not meant
    #[default]
    Beside,
    /// Everything: what is not let pass here is dropped. A host's input and output, a gateway's forwarding; for a
    /// machine that does nothing but FTP, and it cuts off SSH
    Complete,
}

/// The rules of a deployment
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSet {
    /// What they follow from
    pub deployment: Deployment,
    /// What they are about besides FTP: with [`Scope::Complete`] the filter chains drop what no rule accepts
    pub scope: Scope,
    /// The connections that must pass, see [`Deployment::flows`]
    pub flows: Vec<Flow>,
    /// The rules, in the order in which they must stand within their chains; no two with the same chain, match and
    /// action
    pub rules: Vec<Rule>,
}

impl RuleSet {
    /// The rules that let pass what the deployment needs
    pub fn new(deployment: &Deployment, scope: Scope) -> Result<Self, Contradiction> {
        deployment.check()?;
        let mut set = Self {
            deployment: deployment.clone(),
            scope,
            flows: deployment.flows(),
            rules: Vec::new(),
        };
        if scope == Scope::Complete {
            set.housekeeping();
        }
        set.helper();
        set.translation();
        for flow in &set.flows.clone() {
            set.admit(flow);
        }
        set.hairpin();
        if scope == Scope::Beside && deployment.side.is_servers() {
            set.guards();
        }
        Ok(set)
    }

    /// The rules of one chain, in order
    pub fn chain(&self, chain: Chain) -> impl Iterator<Item = &Rule> + '_ {
        self.rules.iter().filter(move |it| it.chain == chain)
    }

    /// Whether the FTP helper takes part
    pub fn uses_helper(&self) -> bool {
        self.flows.iter().any(|it| it.by_helper)
    }

    /// The chains that drop what no rule accepts
    pub fn closed_chains(&self) -> &'static [Chain] {
        match (self.scope, self.deployment.side.is_gateway()) {
            (Scope::Beside, _) => &[],
            (Scope::Complete, true) => &[Chain::Forward],
            (Scope::Complete, false) => &[Chain::Input, Chain::Output],
        }
    }

    /// Adds a rule; one that is there already gets the reasons instead
    fn push(&mut self, chain: Chain, matching: Match, action: Action, reason: Reason) {
        let same =
            |it: &&mut Rule| it.chain == chain && it.matching == matching && it.action == action;
        match self.rules.iter_mut().find(same) {
            Some(rule) if rule.reasons.contains(&reason) => {}
            Some(rule) => rule.reasons.push(reason),
            None => self.rules.push(Rule {
                chain,
                matching,
                action,
                reasons: vec![reason],
            }),
        }
    }

    /// What no connection can do without
    fn housekeeping(&mut self) {
        let families: Vec<Family> = self.deployment.families().collect();
        let family = match families.as_slice() {
            [one] => Some(*one),
            _ => None,
        };
        let all = Match {
            family,
            ..Match::everything()
        };
        for &chain in self.closed_chains() {
            if chain != Chain::Forward {
                self.rules.push(loopback(chain));
            }
            let replies = Match {
                state: State::Established,
                ..all.clone()
            };
            self.push(chain, replies, Action::Accept, Reason::Replies);
            let errors = Match {
                protocol: Protocol::IcmpErrors,
                state: State::Related,
                ..all.clone()
            };
            self.push(chain, errors, Action::Accept, Reason::PathMtu);
            if chain != Chain::Forward && families.contains(&Family::V6) {
                let neighbours = Match {
                    family: Some(Family::V6),
                    protocol: Protocol::Neighbours,
                    ..Match::everything()
                };
                self.push(chain, neighbours, Action::Accept, Reason::Neighbours);
            }
        }
    }

    /// The helper is assigned to control connections by name: the kernel no longer does it by itself
    fn helper(&mut self) {
        if !self.uses_helper() {
            return;
        }
        let chain = if self.deployment.side == Side::Client {
            Chain::HelperOut
        } else {
            Chain::HelperIn
        };
        for flow in &self.flows.clone() {
            if flow.step == Step::Control {
                let matching = Match {
                    state: State::Any,
                    ..matching(flow)
                };
                self.push(chain, matching, Action::AssignHelper, Reason::Helper);
            }
        }
    }

    /// NAT in front of the server, both ways; what the helper announces it translates itself
    fn translation(&mut self) {
        for flow in &self.flows.clone() {
            let Some(inside) = self.inside(flow) else {
                continue;
            };
            if flow.by_helper {
                continue;
            }
            let mut matching = matching(flow);
            matching.state = State::Any; // only first packets come here
            let outside = matching.source.iter().next();
            if flow.opener == Opener::User {
                if !matching.source.is_any() {
                    let beside = self.deployment.hairpin.iter().copied();
                    let beside = beside.filter(|it| Family::of(it.address()) == Family::of(inside));
                    matching.source = Addresses::networks(matching.source.iter().chain(beside));
                }
                let action = Action::DestinationNat(inside);
                let reason = Reason::Mapping(flow.step);
                self.push(Chain::DestinationNat, matching, action, reason);
            } else if self.scope == Scope::Beside && matching.source_ports.is_any() {
                // It would be about everything that the server sends; what the gateway does with that anyhow is right.
            } else if let Some(outside) = outside {
                matching.source = Addresses::hosts([inside]);
                let action = Action::SourceNat(outside.address());
                self.push(Chain::SourceNat, matching, action, Reason::MappingBack);
            }
        }
    }

    /// Lets a connection pass that must
    fn admit(&mut self, flow: &Flow) {
        let matching = self.filtered(flow);
        let chain = self.chain_of(flow);
        self.push(chain, matching, Action::Accept, Reason::Step(flow.step));
    }

    /// Hosts beside the server that use its outside address: the way back must lead over the gateway as well
    fn hairpin(&mut self) {
        for flow in &self.flows.clone() {
            let Some(inside) = self.inside(flow) else {
                continue;
            };
            let beside = self.deployment.hairpin.iter().copied();
            let beside = beside.filter(|it| Family::of(it.address()) == Family::of(inside));
            let beside = Addresses::networks(beside);
            if beside.is_any() || flow.opener == Opener::Server {
                continue;
            }
            let from_beside = Match {
                source: beside,
                was_translated: true,
                ..self.filtered(flow)
            };
            if !flow.from.is_any() {
                self.push(
                    Chain::Forward,
                    from_beside.clone(),
                    Action::Accept,
                    Reason::Hairpin,
                );
            }
            let masked = Match {
                state: State::Any,
                ..from_beside
            };
            self.push(
                Chain::SourceNat,
                masked,
                Action::Masquerade,
                Reason::Hairpin,
            );
        }
    }

    /// FTP's own ports are closed for whoever is not meant
    fn guards(&mut self) {
        let mut guards: Vec<(Chain, Match)> = Vec::new();
        // What anybody could do, in both families, also in one that none of the clients has.
        let anybody = Deployment {
            clients: Vec::new(),
            ..self.deployment.clone()
        };
        let everybody_is_meant = self.deployment.clients.is_empty();
        for flow in &anybody.flows() {
            let mut matching = self.filtered(flow);
            match flow.opener {
                Opener::User if everybody_is_meant && !flow.by_helper => continue,
                Opener::User => {}
                Opener::Server if matching.source_ports.is_any() => continue,
                Opener::Server => matching.destination_ports = Ports::any(),
            }
            matching.state = State::New;
            let chain = self.chain_of(flow);
            let beside = |(other, it): &&mut (Chain, Match)| {
                *other == chain
                    && it.family == matching.family
                    && it.source == matching.source
                    && it.destination == matching.destination
                    && it.source_ports == matching.source_ports
            };
            match guards.iter_mut().find(beside) {
                Some((_, it)) => {
                    it.destination_ports = it.destination_ports.with(&matching.destination_ports);
                }
                None => guards.push((chain, matching)),
            }
        }
        // A host's conversation with itself is nobody else's.
        for chain in [Chain::Output, Chain::Input] {
            if guards.iter().any(|(other, _)| *other == chain) {
                self.rules.insert(0, loopback(chain));
            }
        }
        for (chain, matching) in guards {
            self.push(chain, matching, Action::Drop, Reason::Guard);
        }
    }

    /// Where the first packet of a connection is judged
    fn chain_of(&self, flow: &Flow) -> Chain {
        use crate::flow::Direction::{Inbound, Outbound};
        match (self.deployment.side.is_gateway(), flow.direction) {
            (true, _) => Chain::Forward,
            (false, Inbound) => Chain::Input,
            (false, Outbound) => Chain::Output,
        }
    }

    /// The server's own address where this flow is translated
    fn inside(&self, flow: &Flow) -> Option<IpAddr> {
        let family = flow.family?;
        let translated = self.deployment.is_translated(family);
        translated.then(|| self.deployment.server.inside_of(family))?
    }

    /// A flow as the filter sees it: with the server's own address
    fn filtered(&self, flow: &Flow) -> Match {
        let mut matching = matching(flow);
        if let Some(inside) = self.inside(flow) {
            match flow.opener {
                Opener::User => matching.destination = Addresses::hosts([inside]),
                Opener::Server => matching.source = Addresses::hosts([inside]),
            }
        }
        matching
    }
}

/// Accepts what a host says to itself
fn loopback(chain: Chain) -> Rule {
    Rule {
        chain,
        matching: Match {
            loopback: true,
            ..Match::everything()
        },
        action: Action::Accept,
        reasons: vec![Reason::Loopback],
    }
}

/// A flow as a match, untranslated
fn matching(flow: &Flow) -> Match {
    Match {
        family: flow.family,
        protocol: Protocol::Tcp,
        source: flow.from.clone(),
        destination: flow.to.clone(),
        source_ports: flow.source_ports.clone(),
        destination_ports: flow.destination_ports.clone(),
        state: if flow.by_helper {
            State::RelatedByHelper
        } else {
            State::New
        },
        ..Match::everything()
    }
}
