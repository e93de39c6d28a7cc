//! Ports of this host: who listens where.

use std::net::{IpAddr, SocketAddr};

use wharf_firewall::Passive;
use wharf_proto::data_connection::passive::PortRange;

use super::Checked;
use crate::finding::{Finding, Remedy, Severity, WhoActs};
use crate::host::offered::Offered;
use crate::host::seen::{Listening, Seen};
use crate::report::Outcome;

/// Whether the process is a wharf: by its name, which a copy under another name has not.
fn is_wharf(name: &str) -> bool {
    name.starts_with("wharf")
}

fn who(listening: &Listening) -> String {
    match &listening.owner {
        Some(owner) => format!("{} (process {})", owner.name, owner.pid),
        None => "a program of another user (only root sees which)".to_owned(),
    }
}

pub(super) fn control(offered: &Offered, seen: &Seen) -> Vec<Checked> {
    offered
        .listen
        .iter()
        .map(|at| listener(*at, seen))
        .collect()
}

fn listener(at: SocketAddr, seen: &Seen) -> Checked {
    let meant = |it: &&Listening| {
        it.takes(at.port(), at.ip()) || at.ip().is_unspecified() && it.at.port() == at.port()
    };
    let found = seen.listening.iter().find(meant);
    let checked = match found {
        None => Checked::new(Outcome::Fails, "nobody listens").finds(
            Finding::new(
                "not-listening",
                Severity::Fatal,
                WhoActs::ServerConfiguration,
                format!("nobody listens on {at}: the server does not run, or listens elsewhere"),
            )
            .because("no such socket in /proc/net/tcp and tcp6")
            .cure(Remedy::say(
                WhoActs::ServerConfiguration,
                "start it: `wharf serve` with the same configuration",
            )),
        ),
        Some(listening) => match &listening.owner {
            None => Checked::new(Outcome::Partly, format!("{} listens", who(listening))),
            Some(owner) if is_wharf(&owner.name) => {
                Checked::good(format!("{} listens", who(listening)))
            }
            Some(owner) => Checked::new(Outcome::Fails, format!("{} listens", who(listening)))
                .finds(
                    Finding::new(
                        "port-taken",
                        Severity::Fatal,
                        WhoActs::ServerConfiguration,
                        format!("{} has the port of wharf's control connections", owner.name),
                    )
                    .because(format!("{} listens on {}", who(listening), listening.at))
                    .cure(Remedy::say(
                        WhoActs::ServerConfiguration,
                        format!("stop {}, or let wharf listen on another port", owner.name),
                    )),
                ),
        },
    };
    checked.at(vec![at])
}

pub(super) fn passive(offered: &Offered, seen: &Seen) -> Vec<Checked> {
    let range = match offered.passive {
        Passive::OnePort => {
            return vec![Checked::good("none besides the control port")];
        }
        Passive::DataPorts(range) => return vec![shared(range, offered, seen)],
        Passive::Range(range) => range,
    };
    vec![others(range, offered, seen), outgoing(range, offered, seen)]
}

/// Sockets of other programs among these ports.
fn strangers<'a>(range: PortRange, seen: &'a Seen) -> Vec<&'a Listening> {
    let foreign = |it: &&'a Listening| {
        let ours = it.owner.as_ref().is_some_and(|owner| is_wharf(&owner.name));
        range.contains(it.at.port()) && !ours
    };
    seen.listening.iter().filter(foreign).collect()
}

/// What a wharf would listen on itself.
fn own_ip(offered: &Offered) -> IpAddr {
    let first = offered.listen.first();
    first.map_or(std::net::Ipv6Addr::UNSPECIFIED.into(), SocketAddr::ip)
}

fn shared(range: PortRange, offered: &Offered, seen: &Seen) -> Checked {
    let strangers = strangers(range, seen);
    let Some(first) = strangers.first() else {
        return Checked::good(format!("{range}, shared by all sessions"));
    };
    Checked::new(Outcome::Fails, format!("{} listens", who(first)))
        .at(vec![SocketAddr::new(own_ip(offered), first.at.port())])
        .finds(
            Finding::new(
                "data-port-taken",
                Severity::Fatal,
                WhoActs::ServerConfiguration,
                format!("a shared data port of {range} belongs to another program"),
            )
            .because(format!("{} listens on {}", who(first), first.at))
            .cure(Remedy::say(
                WhoActs::ServerConfiguration,
                "name other data ports: --data-port",
            )),
        )
}

fn others(range: PortRange, offered: &Offered, seen: &Seen) -> Checked {
    let strangers = strangers(range, seen);
    let mut taken: Vec<u16> = strangers.iter().map(|it| it.at.port()).collect();
    taken.sort_unstable();
    taken.dedup();
    let size = usize::from(range.len());
    let free = size.saturating_sub(taken.len());
    let what = match taken.len() {
        0 => format!("{range}: no other program listens there"),
        1 => format!("{range}: 1 of {size} belongs to another program"),
        several => format!("{range}: {several} of {size} belong to other programs"),
    };
    if free == 0 {
        return Checked::new(Outcome::Fails, what).finds(
            Finding::new(
                "range-taken",
                Severity::Fatal,
                WhoActs::ServerConfiguration,
                format!("no passive port of {range} is left: other programs listen on all of them"),
            )
            .because_of(
                strangers
                    .iter()
                    .take(4)
                    .map(|it| format!("{} listens on {}", who(it), it.at)),
            )
            .cure(Remedy::say(
                WhoActs::ServerConfiguration,
                "choose another range: --passive-ports LO-HI",
            )),
        );
    }
    let sessions = offered.max_sessions;
    if !offered.one_port_auto && free < 10 && sessions.is_none_or(|most| most > free) {
        let most = sessions.map_or("any number of".to_owned(), |most| most.to_string());
        return Checked::new(Outcome::Partly, format!("{what}; room for {free} transfers at once"))
            .finds(
                Finding::new(
                    "range-small",
                    Severity::Weak,
                    WhoActs::ServerConfiguration,
                    format!(
                        "with {free} passive ports only {free} transfers go on at once, but {most} sessions are allowed: \
                         the next client gets a 425"
                    ),
                )
                .cure(Remedy::say(
                    WhoActs::ServerConfiguration,
                    "a larger range (--passive-ports), ports that sessions share (--data-port), or --one-port auto",
                )),
            );
    }
    Checked::good(what)
}

/// Whether the system takes ports of the range for connections that go out.
fn outgoing(range: PortRange, _offered: &Offered, seen: &Seen) -> Checked {
    let Some((lo, hi)) = seen.local_ports else {
        return Checked::unknown("which ports outgoing connections take is not known");
    };
    let (from, to) = (lo.max(range.lo()), hi.min(range.hi()));
    let reserved = |port: u16| {
        let mut reserved = seen.reserved_ports.iter();
        reserved.any(|(lo, hi)| (*lo..=*hi).contains(&port))
    };
    let overlap = (from..=to).filter(|port| !reserved(*port)).count();
    if overlap == 0 {
        return Checked::good("none of them is taken for outgoing connections");
    }
    let what = format!("{overlap} of them may be taken by outgoing connections ({lo}-{hi})");
    if usize::from(range.len()) >= 100 {
        return Checked::good(format!("{what}; wharf then takes the next free one"));
    }
    Checked::new(Outcome::Partly, what).finds(
        Finding::new(
            "range-ephemeral",
            Severity::Note,
            WhoActs::Nobody,
            format!("outgoing connections of this host may use up passive ports of {range}"),
        )
        .because(format!("net.ipv4.ip_local_port_range is {lo} {hi}"))
        .cure(Remedy::copy(
            WhoActs::ServerConfiguration,
            "keep them free",
            &format!("sysctl -w net.ipv4.ip_local_reserved_ports={range}"),
        )),
    )
}
