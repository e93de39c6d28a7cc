//! At which address clients beyond a NAT reach this server, when nobody has configured it.

use std::fmt;
use std::net::IpAddr;

use super::advertise::is_public;
use super::canonical;

/// Who says where clients beyond a NAT reach this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Witnesses {
    /// A public address that the control connection of some client has reached.
    pub reached: Option<IpAddr>,
    /// The outside address of the router in front, as the router tells it.
    pub router: Option<IpAddr>,
}

/// Why an address was chosen when none was configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// This client has reached it.
    Reached,
    /// Another client has reached it.
    ReachedByOthers,
    /// The router tells it.
    Router,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reached => "the address reached",
            Self::ReachedByOthers => "a public address that other clients reached",
            Self::Router => "the router's outside address",
        })
    }
}

/// What was found out for one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The address for the 227.
    pub address: IpAddr,
    /// Who says so.
    pub origin: Origin,
    /// Whether the client comes from beyond the NAT, so that the witnesses were asked.
    pub from_outside: bool,
}

/// The address for the client at `client`, who reached us at `reached`, when nothing is configured.
///
/// Whoever reached a public address can reach it again, and whoever is private itself is on our side of the NAT: both
/// are told what they reached. For all others it is of no use, and the witnesses are asked: a public address of this
/// host that has been reached before the router's, which may be the first of several. A witness with a private address
/// is none.
pub fn find_out(client: IpAddr, reached: IpAddr, witnesses: Witnesses) -> Found {
    let (client, reached) = (canonical(client), canonical(reached));
    let from_outside = is_public(client) && !is_public(reached);
    let usable = |witness: Option<IpAddr>| {
        witness
            .map(canonical)
            .filter(|address| is_public(*address) && address.is_ipv4() == reached.is_ipv4())
    };
    let told = [
        (usable(witnesses.reached), Origin::ReachedByOthers),
        (usable(witnesses.router), Origin::Router),
    ];
    let told = told
        .into_iter()
        .find_map(|(address, origin)| Some((address?, origin)));
    match told.filter(|_| from_outside) {
        Some((address, origin)) => Found {
            address,
            origin,
            from_outside,
        },
        None => Found {
            address: reached,
            origin: Origin::Reached,
            from_outside,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::advertise::Advertise;
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn without_configuration_the_address_is_found_out() {
        use Origin::{Reached, ReachedByOthers, Router};
        let table = [
            // client, reached, reached by others, router's, told, by whom, warned
            ("8.8.8.8", "20.0.0.1", "", "", "20.0.0.1", Reached, false),
            (
                "8.8.8.8", "20.0.0.1", "20.0.0.2", "20.0.0.3", "20.0.0.1", Reached, false,
            ),
            (
                "192.168.1.4",
                "192.168.1.10",
                "20.0.0.2",
                "20.0.0.3",
                "192.168.1.10",
                Reached,
                false,
            ),
            (
                "127.0.0.1",
                "127.0.0.1",
                "20.0.0.2",
                "20.0.0.3",
                "127.0.0.1",
                Reached,
                false,
            ),
            (
                "100.64.1.1",
                "192.168.1.10",
                "",
                "20.0.0.3",
                "192.168.1.10",
                Reached,
                false,
            ),
            (
                "192.168.1.4",
                "20.0.0.1",
                "",
                "",
                "20.0.0.1",
                Reached,
                false,
            ),
            (
                "8.8.8.8",
                "192.168.1.10",
                "20.0.0.2",
                "20.0.0.3",
                "20.0.0.2",
                ReachedByOthers,
                false,
            ),
            (
                "8.8.8.8",
                "::ffff:192.168.1.10",
                "::ffff:20.0.0.2",
                "",
                "20.0.0.2",
                ReachedByOthers,
                false,
            ),
            (
                "8.8.8.8",
                "192.168.1.10",
                "",
                "20.0.0.3",
                "20.0.0.3",
                Router,
                false,
            ),
            (
                "8.8.8.8",
                "192.168.1.10",
                "10.0.0.1",
                "20.0.0.3",
                "20.0.0.3",
                Router,
                false,
            ),
            (
                "8.8.8.8",
                "192.168.1.10",
                "2001:db8::1",
                "20.0.0.3",
                "20.0.0.3",
                Router,
                false,
            ),
            // NAT behind NAT: what the first router tells is of no use
            (
                "8.8.8.8",
                "192.168.1.10",
                "",
                "100.64.0.5",
                "192.168.1.10",
                Reached,
                true,
            ),
            (
                "8.8.8.8",
                "192.168.1.10",
                "",
                "10.0.0.1",
                "192.168.1.10",
                Reached,
                true,
            ),
            (
                "8.8.8.8",
                "192.168.1.10",
                "",
                "0.0.0.0",
                "192.168.1.10",
                Reached,
                true,
            ),
            (
                "8.8.8.8",
                "192.168.1.10",
                "",
                "",
                "192.168.1.10",
                Reached,
                true,
            ),
            (
                "8.8.8.8",
                "100.64.0.5",
                "",
                "20.0.0.3",
                "20.0.0.3",
                Router,
                false,
            ),
            (
                "2001:db8::7",
                "2001:db8::1",
                "20.0.0.2",
                "",
                "2001:db8::1",
                Reached,
                false,
            ),
            (
                "2001:db8::7",
                "fd00::1",
                "20.0.0.2",
                "20.0.0.3",
                "fd00::1",
                Reached,
                true,
            ),
        ];
        for (client, reached, others, router, told, by, warned) in table {
            let witness = |text: &str| (!text.is_empty()).then(|| ip(text));
            let witnesses = Witnesses {
                reached: witness(others),
                router: witness(router),
            };
            let found = find_out(ip(client), ip(reached), witnesses);
            let choice = Advertise::fixed(found.address).choose(ip(client), ip(reached));
            assert_eq!(
                (found.address, found.origin, choice.warning.is_some()),
                (ip(told), by, warned),
                "{client} {reached} {witnesses:?}"
            );
        }
    }
}
