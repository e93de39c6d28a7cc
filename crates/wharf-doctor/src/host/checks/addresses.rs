//! Addresses and routes.

use std::net::IpAddr;

use wharf_firewall::Passive;
use wharf_firewall::loaded::Family;
use wharf_proto::data_connection::advertise::is_public;

use super::Checked;
use super::rules::families;
use crate::finding::{Finding, Remedy, Severity, WhoActs};
use crate::host::offered::{Offered, Told};
use crate::host::seen::Seen;
use crate::report::Outcome;

pub(super) fn routes(offered: &Offered, seen: &Seen) -> Vec<Checked> {
    let mut lines = Vec::new();
    for family in families(offered, seen) {
        let name = match family {
            Family::Ipv4 => "IPv4",
            Family::Ipv6 => "IPv6",
        };
        let interface = seen.interface(family);
        lines.push(match (interface, seen.address(family)) {
            (Some(interface), Some(address)) => Checked::good(format!(
                "{name}: everywhere by {interface}, this host is {address}"
            )),
            (Some(interface), None) => Checked::new(
                Outcome::Partly,
                format!("{name}: a way by {interface}, but no address"),
            ),
            (None, Some(address)) => Checked::new(
                Outcome::Partly,
                format!("{name}: this host is {address}, but only its own networks are reached"),
            )
            .finds(
                Finding::new(
                    "no-route",
                    Severity::Note,
                    WhoActs::Nobody,
                    format!("over {name} there is no default route: clients of other networks get no answer"),
                )
                .because("no default route in /proc/net/route and ipv6_route"),
            ),
            (None, None) => Checked::unknown(format!("{name}: not on this host")),
        });
    }
    lines
}

pub(super) fn told(offered: &Offered, seen: &Seen) -> Vec<Checked> {
    let own: Vec<IpAddr> = seen
        .addresses
        .iter()
        .copied()
        .filter(IpAddr::is_ipv4)
        .collect();
    let public = own.iter().copied().find(|it| is_public(*it));
    let line = match &offered.told {
        Told::Address(told) if own.contains(told) => {
            Checked::good(format!("{told}, an address of this host"))
        }
        Told::Address(told) => elsewhere(*told, public, &own),
        Told::Name(name) => Checked::good(format!("what `{name}` stands for at the time")),
        Told::Auto => Checked::good("found out while the server runs (--advertise auto)"),
        Told::Reached => match (public, own.first()) {
            (Some(public), _) => Checked::good(format!(
                "the one that the client reached; {public} is public"
            )),
            (None, None) => Checked::unknown("this host has no IPv4 address"),
            (None, Some(_)) if offered.balanced => {
                Checked::good("the one that the client called, as the balancer tells it")
            }
            (None, Some(own)) => private(*own, offered),
        },
    };
    vec![line]
}

/// The told address is that of a NAT in front, or of nobody.
fn elsewhere(told: IpAddr, public: Option<IpAddr>, own: &[IpAddr]) -> Checked {
    match (public, is_public(told)) {
        (None, true) => Checked::good(format!(
            "{told}, of a NAT in front of this host: it has to forward every passive port with its number"
        )),
        (None, false) => Checked::new(Outcome::Partly, format!("{told}, a private address of another host"))
            .finds(
                Finding::new(
                    "told-private",
                    Severity::Weak,
                    WhoActs::ServerConfiguration,
                    format!("a 227 names {told}, which is private and not this host's"),
                )
                .because(format!("this host has {}", listed(own)))
                .cure(Remedy::say(
                    WhoActs::ServerConfiguration,
                    "tell the address that clients reach: --advertise ADDRESS, or --advertise auto",
                )),
            ),
        (Some(public), _) => Checked::new(
            Outcome::Partly,
            format!("{told}, but this host itself has the public address {public}"),
        )
        .finds(
            Finding::new(
                "told-elsewhere",
                Severity::Weak,
                WhoActs::ServerConfiguration,
                format!("a 227 names {told}, which is not an address of this host, though it has a public one"),
            )
            .because(format!("this host has {}", listed(own)))
            .cure(Remedy::say(
                WhoActs::ServerConfiguration,
                format!("leave --advertise out, or name {public}; right as it is only if a NAT or balancer has {told}"),
            )),
        ),
    }
}

fn private(own: IpAddr, offered: &Offered) -> Checked {
    let what = format!("the one that the client reached; {own} is private");
    let rules = if offered.told_by_network {
        "clients that no rule of --advertise names"
    } else {
        "clients from outside"
    };
    // Only a note: from here nobody can tell whether anyone comes from outside.
    let mut finding = Finding::new(
        "told-private",
        Severity::Note,
        WhoActs::ServerConfiguration,
        format!(
            "this host has only private addresses: if a NAT forwards to it, advertise must be set, else a 227 names \
             {own} to {rules}, and PASV fails for clients that do not repair it"
        ),
    )
    .because(format!("this host is {own}"))
    .cure(Remedy::say(
        WhoActs::ServerConfiguration,
        "tell the public address: --advertise ADDRESS (a name, or auto: asks the router); nothing to do where all \
         clients are of the same private network",
    ));
    if offered.passive != Passive::OnePort {
        finding = finding.because("EPSV (229) names no address and works all the same");
    }
    Checked::new(Outcome::Partly, what).finds(finding)
}

fn listed(own: &[IpAddr]) -> String {
    let words: Vec<String> = own.iter().take(6).map(ToString::to_string).collect();
    words.join(", ")
}

pub(super) fn reverse_path(_offered: &Offered, seen: &Seen) -> Vec<Checked> {
    let mut interfaces: Vec<&str> = seen
        .default_routes
        .iter()
        .filter(|route| route.family == Family::Ipv4)
        .map(|route| route.interface.as_str())
        .collect();
    interfaces.sort_unstable();
    interfaces.dedup();
    if seen.strict_reverse_path.is_empty() || interfaces.len() < 2 {
        return vec![Checked::good("nothing comes by another way than it goes")];
    }
    let strict = seen.strict_reverse_path.join(", ");
    vec![
        Checked::new(Outcome::Partly, format!("strict on {strict}, and there are several ways out"))
            .finds(
                Finding::new(
                    "reverse-path",
                    Severity::Note,
                    WhoActs::Nobody,
                    "clients who come by one interface and are answered by another are dropped by the kernel, without a rule",
                )
                .because(format!("rp_filter is 1 on {strict}; default routes by {}", interfaces.join(", ")))
                .cure(Remedy::copy(
                    WhoActs::ServerFirewall,
                    "if such clients exist: check loosely",
                    "sysctl -w net.ipv4.conf.all.rp_filter=2",
                )),
            ),
    ]
}
