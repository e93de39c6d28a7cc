//! User side: what a failed search means. The likely cause, who must act, and the rule or command that helps.

use std::net::IpAddr;

use super::Opener;
use super::advertise::{is_private, is_public};
use super::as_seen::Nat;
use super::evidence::{Evidence, NoListener, Tried};
use super::guard::LOWEST_TARGET_PORT;
use super::path::Address;
use super::policy::PathPolicy;

/// What went wrong on one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Nothing answered at any of the server's passive ports.
    PassivePortsDropped,
    /// The server's passive ports answered with a reset.
    PassivePortsRefused,
    /// The connection stood, and the server did not accept it: 425, 426, or it broke it off or greeted it.
    PassiveNotAccepted,
    /// The 227 names a private address, or one that is not the server's.
    WrongAddressTold {
        /// The address in the 227.
        told: IpAddr,
    },
    /// The server refuses the address that we have: NAT on our side.
    BehindNat {
        /// The address that the server sees, if it told.
        outside: Option<IpAddr>,
    },
    /// The server refuses the address that the user told us to name.
    GivenAddressRefused {
        /// The address that the server sees, if it told.
        seen: Option<IpAddr>,
    },
    /// The server refuses to connect to a port so low (RFC 2577 §3).
    LowPortRefused,
    /// The server sees an address that is nobody's on our side: something in front of it hides us.
    HiddenFromServer {
        /// The address that the server sees.
        seen: IpAddr,
    },
    /// The server's connections do not reach us.
    InboundDropped,
    /// The server's connections are answered with a reset or never leave it: 425.
    InboundRefused,
    /// We could not listen.
    CannotListen(NoListener),
    /// The server refuses every command of this data mode.
    NotOffered(Opener),
}

/// What a failed search means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    server: IpAddr,
    causes: Vec<Cause>,
}

impl Diagnosis {
    /// From the failed attempts of one search.
    pub fn of(policy: &PathPolicy, nat: Nat, tried: &[Tried]) -> Self {
        let mut causes: Vec<Cause> = Vec::new();
        causes.extend(passive(tried));
        causes.extend(told(policy, tried));
        causes.extend(active(policy, nat, tried));
        Self {
            server: policy.control_peer,
            causes,
        }
    }

    /// The causes, those on the server's side first.
    pub fn causes(&self) -> &[Cause] {
        &self.causes
    }

    /// Lines for people: causes with who must act, then what to try.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for cause in &self.causes {
            lines.push(format!("likely cause: {}", cause.told()));
            lines.extend(cause.remedy(self.server));
        }
        lines
    }
}

fn passive(tried: &[Tried]) -> Option<Cause> {
    let mut seen = tried
        .iter()
        .filter(|it| it.path.opener == Opener::User)
        .map(|it| it.evidence)
        .peekable();
    seen.peek()?;
    let seen: Vec<Evidence> = seen.collect();
    let some = |which: fn(&Evidence) -> bool| seen.iter().any(which);
    let not_accepted = |it: &Evidence| {
        matches!(
            it,
            Evidence::NoDataConnection { .. } | Evidence::Dropped | Evidence::Greeted
        )
    };
    if some(not_accepted) {
        Some(Cause::PassiveNotAccepted)
    } else if some(|it| matches!(it, Evidence::Silent | Evidence::Unreachable)) {
        Some(Cause::PassivePortsDropped)
    } else if some(|it| matches!(it, Evidence::Refused)) {
        Some(Cause::PassivePortsRefused)
    } else if seen.iter().all(|it| {
        matches!(
            it,
            Evidence::CommandRefused { .. } | Evidence::FamilyRefused
        )
    }) {
        Some(Cause::NotOffered(Opener::User))
    } else {
        None
    }
}

fn told(policy: &PathPolicy, tried: &[Tried]) -> Option<Cause> {
    tried
        .iter()
        .filter_map(|it| match it.evidence {
            Evidence::AddressUnusable { named } => Some(named.ip()),
            _ => it.replied.map(|at| at.ip()),
        })
        .find(|told| {
            *told != policy.control_peer
                && !told.is_unspecified()
                && (is_public(*told) || is_public(policy.control_peer))
        })
        .map(|told| Cause::WrongAddressTold { told })
}

fn active(policy: &PathPolicy, nat: Nat, tried: &[Tried]) -> Option<Cause> {
    let mut seen = tried
        .iter()
        .filter(|it| it.path.opener == Opener::Server)
        .peekable();
    seen.peek()?;
    let seen: Vec<&Tried> = seen.collect();
    let some = |which: fn(&Evidence) -> bool| seen.iter().any(|it| which(&it.evidence));
    if let Nat::Behind { outside } = nat {
        return Some(match outside {
            Some(seen) if !nat.is_on_our_side(policy.own) => Cause::HiddenFromServer { seen },
            outside => Cause::BehindNat { outside },
        });
    }
    let own_refused = seen.iter().find_map(|it| match it.evidence {
        Evidence::AddressRefused { outside, .. } if it.path.address == Address::Own => {
            Some((outside, it.target))
        }
        _ => None,
    });
    if let Some((seen, target)) = own_refused {
        Some(if target.is_some_and(|it| it.port() < LOWEST_TARGET_PORT) {
            Cause::LowPortRefused
        } else if policy.external_address {
            Cause::GivenAddressRefused { seen }
        } else {
            Cause::BehindNat { outside: None }
        })
    } else if some(|it| matches!(it, Evidence::NobodyCame)) {
        let likely = is_private(policy.own) && !is_private(policy.control_peer);
        Some(if likely && !policy.external_address {
            Cause::BehindNat { outside: None }
        } else {
            Cause::InboundDropped
        })
    } else if some(|it| matches!(it, Evidence::NoDataConnection { .. })) {
        Some(Cause::InboundRefused)
    } else if let Some(why) = seen.iter().find_map(|it| match it.evidence {
        Evidence::CannotListen(why) => Some(why),
        _ => None,
    }) {
        Some(Cause::CannotListen(why))
    } else {
        Some(Cause::NotOffered(Opener::Server))
    }
}

impl Cause {
    fn told(self) -> String {
        match self {
            Self::PassivePortsDropped => "the server's firewall (or one in front of it, or this network's own) drops \
                 connections to its passive ports"
                .to_owned(),
            Self::PassivePortsRefused => "only the control port reaches the server: its passive ports are rejected by a \
                 firewall or not forwarded by the NAT in front of it"
                .to_owned(),
            Self::PassiveNotAccepted => "the server saw our data connection come from another address than our control \
                 connection (a NAT with several addresses), or did not see it at all"
                .to_owned(),
            Self::WrongAddressTold { told } => format!(
                "the server stands behind NAT and tells the wrong address, {told}"
            ),
            Self::BehindNat { outside: Some(outside) } => format!(
                "this machine is behind NAT: the server sees {outside} and cannot connect to us"
            ),
            Self::BehindNat { outside: None } => {
                "this machine is behind NAT: the server cannot connect to us".to_owned()
            }
            Self::GivenAddressRefused { seen: Some(seen) } => {
                format!("the server sees us at {seen} and refuses the address of --active-addr")
            }
            Self::GivenAddressRefused { seen: None } => {
                "the server refuses the address of --active-addr: servers connect only to the address they see us at"
                    .to_owned()
            }
            Self::LowPortRefused => "the server connects to no port below 1024".to_owned(),
            Self::HiddenFromServer { seen } => format!(
                "the server sees us as {seen}: a balancer or proxy in front of it hides us, so that it cannot connect to us"
            ),
            Self::InboundDropped => {
                "a firewall on this side (or the server's, outbound) drops the server's connections to us".to_owned()
            }
            Self::InboundRefused => {
                "the server's connections to us are refused: by a firewall on this side, or its own".to_owned()
            }
            Self::CannotListen(why) => format!("active data connections need a port to listen at: {why}"),
            Self::NotOffered(opener) => format!(
                "the server offers no {} data connections",
                match opener {
                    Opener::User => "passive",
                    Opener::Server => "active",
                }
            ),
        }
    }

    /// Rules are inserted, not added: behind a last "drop" they would do nothing. `--mode active` fits both families.
    fn remedy(self, server: IpAddr) -> Vec<String> {
        let family = if server.is_ipv4() { "ip" } else { "ip6" };
        match self {
            Self::PassivePortsDropped | Self::PassivePortsRefused => vec![
                "the server's administrator: open a range of ports and tell the server the same range (wharf serve --passive-ports), \
                 or let it use its control port alone (--one-port on)"
                    .to_owned(),
                "with nftables: nft insert rule inet filter input tcp dport 50000-50999 ct state new accept".to_owned(),
            ],
            Self::PassiveNotAccepted => vec![
                "the NAT's administrator: one outside address per inside host (paired address pooling)".to_owned(),
            ],
            Self::WrongAddressTold { .. } => vec![
                "the server's administrator: tell the server its public address (wharf serve --advertise)".to_owned(),
            ],
            Self::BehindNat { .. } => vec![
                "here: switch on PCP, NAT-PMP or UPnP in the router, or forward ports and name them: \
                 --mode active --active-addr OUTSIDE-ADDRESS --port-range 50000-50009"
                    .to_owned(),
            ],
            Self::GivenAddressRefused { .. } => vec![
                "here: correct --active-addr, or leave it out: wharf asks the server and the router".to_owned(),
            ],
            Self::LowPortRefused => vec!["here: choose a --port-range from 1024 on".to_owned()],
            Self::HiddenFromServer { .. } => vec![
                "the server's administrator: passive mode through the balancer (all ports, or wharf's one-port), or the PROXY protocol"
                    .to_owned(),
            ],
            Self::InboundDropped | Self::InboundRefused => vec![
                "here: let the server's connections in, then try --mode active --port-range 50000-50009".to_owned(),
                format!(
                    "with nftables: nft insert rule inet filter input {family} saddr {server} tcp dport 50000-50009 ct state new accept"
                ),
            ],
            Self::CannotListen(
                NoListener::InUse(None) | NoListener::Forbidden(None) | NoListener::Proxy,
            ) => {
                vec!["here: try --mode passive, which needs none".to_owned()]
            }
            Self::CannotListen(NoListener::InUse(Some(_)) | NoListener::Forbidden(Some(_))) => vec![
                "here: choose another or a wider --port-range, or --mode passive, which needs none".to_owned(),
            ],
            Self::CannotListen(NoListener::Other) | Self::NotOffered(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::data_connection::path::Path;

    /// Whoever names an address or a range himself hears about that, not about a NAT that nobody has seen.
    #[test]
    fn a_refused_address_is_put_down_to_who_chose_it() {
        let (server, own) = (
            "203.0.113.5".parse().unwrap(),
            "203.0.113.9".parse().unwrap(),
        );
        let refused = |target: &str| Tried {
            path: Path::PORT,
            target: Some(target.parse().unwrap()),
            replied: None,
            evidence: Evidence::AddressRefused {
                code: 500,
                outside: None,
            },
            took: Duration::ZERO,
        };
        for (external_address, target, cause) in [
            (
                false,
                "203.0.113.9:40000",
                Cause::BehindNat { outside: None },
            ),
            (
                true,
                "203.0.113.77:40000",
                Cause::GivenAddressRefused { seen: None },
            ),
            (false, "203.0.113.9:900", Cause::LowPortRefused),
            (true, "203.0.113.77:900", Cause::LowPortRefused),
        ] {
            let policy = PathPolicy {
                external_address,
                ..PathPolicy::auto(server, own)
            };
            let found = Diagnosis::of(&policy, Nat::Unknown, &[refused(target)]);
            assert_eq!(found.causes(), [cause], "{target}");
            assert!(found.lines().len() >= 2, "{target}: cause and remedy");
        }
    }
}
