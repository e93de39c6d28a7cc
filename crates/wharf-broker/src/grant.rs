//! What the broker does for the network process, from the configuration: which ports, which clients, which files. Pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use wharf_proto::data_connection::advertise::Network;
use wharf_proto::data_connection::passive::PortRange;

use crate::message::Kept;

/// The lowest port of a client that is connected to: below are services, and no client waits there for data
/// (RFC 2577 §3).
const LOWEST_CLIENT_PORT: u16 = 1024;

/// Everything that may be asked for. What is not in it is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Addresses for control connections and for data connections that share a port.
    pub listen: Vec<SocketAddr>,
    /// Ports of data connections, at any address of this host.
    pub data: Vec<PortRange>,
    /// The source port of active data connections (0: any); `None` connects to nobody.
    pub active: Option<u16>,
    /// Networks whose addresses count as one client.
    pub pools: Vec<Network>,
    /// Networks of balancers: who stands behind one is not known here, so that a client of theirs may have any address.
    pub balancers: Vec<Network>,
    /// The files that are opened.
    pub files: BTreeMap<Kept, PathBuf>,
}

impl Grant {
    /// Whether a socket may be bound there for listening.
    ///
    /// # Errors
    /// The reason.
    pub fn listens(&self, at: SocketAddr) -> Result<(), String> {
        let named = self
            .listen
            .iter()
            .any(|it| it.port() == at.port() && (it.ip() == at.ip() || it.ip().is_unspecified()));
        if named || self.data.iter().any(|range| range.contains(at.port())) {
            return Ok(());
        }
        Err(format!(
            "{at} is not among the configured addresses and ports"
        ))
    }

    /// Whether a connection may be made, `clients` being the other ends of the control connections.
    ///
    /// # Errors
    /// The reason.
    pub fn connects(
        &self,
        from: SocketAddr,
        to: SocketAddr,
        clients: &[IpAddr],
    ) -> Result<(), String> {
        let Some(source) = self.active else {
            return Err("active data connections are off".to_owned());
        };
        if from.port() != 0 && from.port() != source {
            return Err(format!(
                "port {} is not the one of active data",
                from.port()
            ));
        }
        if to.port() < LOWEST_CLIENT_PORT {
            return Err(format!("no client waits for data at port {}", to.port()));
        }
        let target = canonical(to.ip());
        let is_theirs = |client: &IpAddr| {
            let client = canonical(*client);
            let pooled = |pool: &Network| pool.contains(client) && pool.contains(target);
            // Behind a balancer may be anybody, but nobody who is this machine or its neighbour.
            let here = |ip: IpAddr| ip.is_loopback() || is_local(ip);
            let balanced = |network: &Network| {
                network.contains(client) && (!here(target) || (here(client) && !is_local(target)))
            };
            client == target || self.pools.iter().any(pooled) || self.balancers.iter().any(balanced)
        };
        if clients.iter().any(is_theirs) {
            Ok(())
        } else {
            Err(format!("{target} has no control connection here"))
        }
    }

    /// The path of a file that may be opened.
    ///
    /// # Errors
    /// The configuration names no such file.
    pub fn file(&self, kept: Kept) -> Result<&Path, String> {
        let path = self.files.get(&kept);
        path.map(PathBuf::as_path)
            .ok_or_else(|| format!("the configuration names no {kept:?} file"))
    }

    /// Whether connections to that port of ours may be control connections.
    pub(crate) fn is_control(&self, port: u16) -> bool {
        self.listen.iter().any(|it| it.port() == port)
    }
}

/// Addresses that name no client wherever they are seen: this machine in other words, neighbours of the link, many.
fn is_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            v4.is_unspecified() || v4.is_link_local() || v4.is_multicast() || v4.is_broadcast()
        }
        IpAddr::V6(v6) => v6.is_unspecified() || v6.is_unicast_link_local() || v6.is_multicast(),
    }
}

pub(crate) fn canonical(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn grant() -> Grant {
        Grant {
            listen: vec![at("[::]:21"), at("192.0.2.1:990"), at("127.0.0.1:0")],
            data: vec![PortRange::new(800, 900).unwrap()],
            active: Some(20),
            pools: vec![Network::new("198.51.100.0".parse().unwrap(), 24).unwrap()],
            ..Grant::default()
        }
    }

    #[test]
    fn only_what_is_configured_is_listened_on() {
        let table = [
            ("[::]:21", true),
            ("192.0.2.7:21", true),
            ("192.0.2.1:990", true),
            ("192.0.2.2:990", false),
            ("192.0.2.2:850", true),
            ("192.0.2.2:22", false),
            ("[::]:0", false),
            ("127.0.0.1:0", true),
        ];
        for (place, expected) in table {
            assert_eq!(grant().listens(at(place)).is_ok(), expected, "{place}");
        }
    }

    #[test]
    fn only_clients_are_connected_to() {
        let clients: Vec<IpAddr> = ["203.0.113.5", "::ffff:203.0.113.6", "198.51.100.9"]
            .map(|text| text.parse().unwrap())
            .to_vec();
        let table = [
            ("0.0.0.0:20", "203.0.113.5:5000", true),
            ("0.0.0.0:0", "203.0.113.6:5000", true),
            ("0.0.0.0:21", "203.0.113.5:5000", false),
            ("0.0.0.0:20", "203.0.113.5:25", false),
            ("0.0.0.0:20", "203.0.113.7:5000", false),
            ("0.0.0.0:20", "198.51.100.200:5000", true),
            ("0.0.0.0:20", "127.0.0.1:5432", false),
        ];
        for (from, to, expected) in table {
            let outcome = grant().connects(at(from), at(to), &clients);
            assert_eq!(outcome.is_ok(), expected, "{from} {to}: {outcome:?}");
        }
        let passive_only = Grant {
            active: None,
            ..grant()
        };
        let outcome = passive_only.connects(at("0.0.0.0:20"), at("203.0.113.5:5000"), &clients);
        assert!(outcome.is_err());
    }

    /// Who stands behind a balancer is not known here; that it is not this machine is.
    #[test]
    fn behind_a_balancer_is_anybody_but_this_machine() {
        let network = |text: &str, bits| Network::new(text.parse().unwrap(), bits).unwrap();
        let outside = Grant {
            balancers: vec![network("192.0.2.0", 24)],
            ..grant()
        };
        let inside = Grant {
            balancers: vec![network("127.0.0.0", 8)],
            ..grant()
        };
        let table = [
            (&outside, "192.0.2.1", "203.0.113.9:5000", true),
            (&outside, "192.0.2.1", "10.1.1.1:5000", true),
            (&outside, "192.0.2.1", "127.0.0.1:5432", false),
            (&outside, "192.0.2.1", "[::ffff:127.0.0.1]:5432", false),
            (&outside, "192.0.2.1", "0.0.0.0:5432", false),
            (&outside, "192.0.2.1", "[::1]:5432", false),
            (&outside, "192.0.2.1", "169.254.169.254:5000", false),
            (&outside, "203.0.113.5", "203.0.113.9:5000", false),
            (&inside, "127.0.0.1", "127.0.0.2:5000", true),
            (&inside, "127.0.0.1", "0.0.0.0:5000", false),
        ];
        for (grant, client, to, expected) in table {
            let outcome = grant.connects(at("0.0.0.0:0"), at(to), &[client.parse().unwrap()]);
            assert_eq!(outcome.is_ok(), expected, "{client} {to}: {outcome:?}");
        }
    }
}
