//! A translation between us and the server: ours, a carrier's, one that both stand behind, or a balancer that hides us.

use std::net::IpAddr;

use wharf_proto::data_connection::Opener;
use wharf_proto::data_connection::advertise::{is_private, is_public};
use wharf_proto::data_connection::as_seen::Nat;
use wharf_proto::data_connection::evidence::Evidence;
use wharf_proto::data_connection::path::{Address, Path};

use super::{Case, Check, told};
use crate::facts::{Seen, path_evidence};
use crate::finding::{Finding, Remedy, Severity, WhoActs};

pub(super) const CHECK: Check = Check {
    words: &[
        "helper-at-work",
        "mapped-port",
        "nat64",
        "client-hidden",
        "hairpin",
        "carrier-nat",
        "client-nat",
    ],
    judge,
};

/// Whether something in front of the server hides us from it: it sees a private address, and ours is public.
pub(super) fn hides(seen: &Seen) -> bool {
    matches!(seen.nat(), Nat::Behind { outside: Some(_) }) && !seen.nat().is_on_our_side(seen.own)
}

fn judge(case: Case<'_>) -> Option<Finding> {
    let seen = case.seen;
    let Nat::Behind { outside } = seen.nat() else {
        return None;
    };
    let fact = match outside {
        Some(outside) => format!("our address is {}, the server sees {outside}", seen.own),
        None => format!(
            "our address is {}; the server, at {}, does not see that one",
            seen.own,
            seen.server()
        ),
    };
    let tried = || {
        let active = seen.probes.iter();
        told(active.filter(|it| it.path.opener == Opener::Server && it.result.is_err()))
    };
    let nobody = |word, cause: String| Finding::new(word, Severity::Note, WhoActs::Nobody, cause);
    if let Some(probed) = seen.active().find(|it| it.result.is_ok()) {
        let offer = probed.path.offer;
        let read = match (probed.target, probed.arrived) {
            (Some(sent), Some(read)) if read != sent => {
                format!("{offer} named {sent}, the server read {read}")
            }
            _ => format!("{offer} named our own address, and the data connection came"),
        };
        return Some(
            nobody(
                "helper-at-work",
                "a NAT translates our address, and a helper in it rewrites PORT and EPRT: active works in plaintext, and fails with TLS".to_owned(),
            )
            .because(fact)
            .because(read),
        );
    }
    if outside.is_some_and(|it| it.is_ipv4() && seen.own.is_ipv6()) {
        return Some(
            nobody(
                "nat64",
                "an IPv6 network with NAT64 in front of an IPv4 server: only EPSV can work"
                    .to_owned(),
            )
            .because(fact)
            .because_of(tried()),
        );
    }
    if hides(seen) {
        return Some(hidden(case, fact).because_of(tried()));
    }
    if seen.works(Path::PORT_MAPPED)
        || seen.works(Path::EPRT_MAPPED)
        || seen.works(Path::PORT_OUTSIDE)
    {
        return Some(
            nobody(
                "mapped-port",
                "a NAT translates our address, and lets active data connections in at a forwarded port".to_owned(),
            )
            .because(fact),
        );
    }
    if let Some(outside) =
        outside.filter(|it| is_private(*it) && is_private(seen.own) && is_public(seen.server()))
    {
        return Some(hairpin(case, fact, outside).because_of(tried()));
    }
    Some(ours(case, fact).because_of(tried()))
}

fn hidden(case: Case<'_>, fact: String) -> Finding {
    Finding::new(
        "client-hidden",
        case.minor(),
        WhoActs::ServerNat,
        "a balancer or NAT in front of the server hides our address from it: active cannot work, and the server's limits and logs take all clients for one",
    )
    .because(fact)
    .cure(Remedy::say(
        WhoActs::ServerNat,
        "let the balancer keep the client's address (externalTrafficPolicy: Local, transparent proxying), or send the PROXY protocol",
    ))
    .cure(Remedy::copy(
        WhoActs::ServerConfiguration,
        "and let the server read the PROXY protocol",
        &format!(
            "wharf serve --proxy-protocol {}",
            case.seen.outside().map_or("ADDRESS".to_owned(), |it| it.to_string())
        ),
    ))
}

fn hairpin(case: Case<'_>, fact: String, outside: IpAddr) -> Finding {
    let inside = case.seen.other_address_told().map(|it| it.ip());
    let finding = Finding::new(
        "hairpin",
        case.minor(),
        WhoActs::ServerNat,
        format!("client and server stand behind the same router, which shows the server its own address {outside} for ours: active cannot work this way round"),
    )
    .because(fact);
    finding.cure(Remedy::say(
        WhoActs::ClientConfiguration,
        match inside {
            Some(inside) => format!("reach the server at its inside address {inside}"),
            None => {
                "reach the server at its inside address (a name with an inside view, split DNS)"
                    .to_owned()
            }
        },
    ))
}

fn ours(case: Case<'_>, fact: String) -> Finding {
    let seen = case.seen;
    let mapped = seen
        .probes
        .iter()
        .filter(|it| it.path.address == Address::Mapped);
    let elsewhere = mapped.clone().find_map(|it| match path_evidence(it) {
        Some(Evidence::MappedElsewhere { mapped }) => Some(mapped),
        _ => None,
    });
    if let Some(mapped) = elsewhere {
        return Finding::new(
            "carrier-nat",
            case.minor(),
            WhoActs::ClientNat,
            "two NATs translate our address, the second one a carrier's: nobody can reach us, active cannot work",
        )
        .because(fact)
        .because(format!("the router's own outside address is {mapped}"))
        .cure(Remedy::say(
            WhoActs::ClientNat,
            "use passive; or ask the carrier for a public address, or IPv6",
        ));
    }
    Finding::new(
        "client-nat",
        case.minor(),
        WhoActs::ClientNat,
        "a NAT translates our address: the server cannot connect to us, active cannot work",
    )
    .because(fact)
    .cure(Remedy::say(
        WhoActs::ClientNat,
        "where active is needed: switch on PCP, NAT-PMP or UPnP in the router",
    ))
    .cure(Remedy::copy(
        WhoActs::ClientNat,
        "or forward ports to this machine and name them",
        &format!(
            "wharf get --mode active --active-addr {} --port-range 50000-50009 URL",
            seen.outside()
                .map_or("OUTSIDE-ADDRESS".to_owned(), |it| it.to_string())
        ),
    ))
}
