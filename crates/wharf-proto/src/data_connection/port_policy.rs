//! What becomes of a PORT that names an address which only means something behind the client's NAT.

use std::net::{IpAddr, SocketAddr};

use super::advertise::{is_private, is_public};
use super::guard::{TargetRefusal, check_target};

/// What a server makes of a PORT that names an address which only means something behind the client's NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PortPolicy {
    /// It is refused, as everything is that is not the peer's address.
    #[default]
    Refuse,
    /// The peer's address is taken in its place, with the port that was named (ProFTPD has done so since 1.3).
    Repair,
}

/// Where the data connection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The address to connect to; its host is always the peer of the control connection.
    pub to: SocketAddr,
    /// What the command named instead, if it was repaired.
    pub instead_of: Option<SocketAddr>,
}

/// As [`check_target`]; with [`PortPolicy::Repair`] a private IPv4 address named by a peer with a public one stands for
/// that peer.
///
/// Nothing but the peer is ever connected to, so a repair opens no way to bounce; it only spares the client a refusal
/// that its NAT is to blame for. Whether anything listens at that port of the NAT is another matter. A foreign public
/// address is meant as it is written, and refused; so is a private one from a private peer, who knows its network.
pub fn settle_target(
    control_peer: IpAddr,
    target: SocketAddr,
    policy: PortPolicy,
) -> Result<Target, TargetRefusal> {
    let as_named = Target {
        to: target,
        instead_of: None,
    };
    match check_target(control_peer, target) {
        Ok(()) => Ok(as_named),
        Err(TargetRefusal::OtherHost { named, peer })
            if policy == PortPolicy::Repair && is_of_a_nat(named) && is_public(peer) =>
        {
            let to = SocketAddr::new(peer, target.port());
            check_target(peer, to)?;
            Ok(Target {
                to,
                instead_of: Some(target),
            })
        }
        Err(refusal) => Err(refusal),
    }
}

/// An IPv4 address that a host behind NAT has: private, or of the hosts behind an IPv6-only access network
/// (192.0.0.0/29, RFC 7335: 464XLAT, DS-Lite).
pub(super) fn is_of_a_nat(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_private(address) || matches!(v4.octets(), [192, 0, 0, 0..=7]),
        IpAddr::V6(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_address_of_a_public_peer_may_be_repaired_and_nothing_else() {
        use PortPolicy::{Refuse, Repair};
        let table = [
            // control peer, target, policy, where to ("" = refused), repaired
            (
                "198.51.100.1",
                "192.168.10.2:40001",
                Repair,
                "198.51.100.1:40001",
                true,
            ),
            (
                "::ffff:198.51.100.1",
                "192.168.10.2:40001",
                Repair,
                "198.51.100.1:40001",
                true,
            ),
            (
                "198.51.100.1",
                "10.0.0.1:1024",
                Repair,
                "198.51.100.1:1024",
                true,
            ),
            (
                "198.51.100.1",
                "172.16.0.1:40001",
                Repair,
                "198.51.100.1:40001",
                true,
            ),
            (
                "198.51.100.1",
                "100.64.0.1:40001",
                Repair,
                "198.51.100.1:40001",
                true,
            ),
            (
                "198.51.100.1",
                "169.254.0.1:40001",
                Repair,
                "198.51.100.1:40001",
                true,
            ),
            (
                "198.51.100.1",
                "127.0.0.1:40001",
                Repair,
                "198.51.100.1:40001",
                true,
            ),
            (
                "198.51.100.1",
                "192.0.0.4:40001",
                Repair,
                "198.51.100.1:40001",
                true,
            ),
            // as it was named
            (
                "198.51.100.1",
                "198.51.100.1:40001",
                Repair,
                "198.51.100.1:40001",
                false,
            ),
            (
                "192.168.10.2",
                "192.168.10.2:40001",
                Repair,
                "192.168.10.2:40001",
                false,
            ),
            (
                "2001:db8::1",
                "[2001:db8::1]:40001",
                Repair,
                "[2001:db8::1]:40001",
                false,
            ),
            // refused as ever
            ("198.51.100.1", "192.168.10.2:40001", Refuse, "", false),
            ("198.51.100.1", "192.168.10.2:1023", Repair, "", false),
            ("198.51.100.1", "192.168.10.2:0", Repair, "", false),
            ("198.51.100.1", "203.0.113.7:40001", Repair, "", false),
            ("198.51.100.1", "8.8.8.8:40001", Repair, "", false),
            ("198.51.100.1", "0.0.0.0:40001", Repair, "", false),
            ("198.51.100.1", "224.0.0.1:40001", Repair, "", false),
            ("198.51.100.1", "255.255.255.255:40001", Repair, "", false),
            ("198.51.100.1", "240.0.0.1:40001", Repair, "", false),
            ("198.51.100.1", "198.18.0.1:40001", Repair, "", false),
            ("198.51.100.1", "192.0.0.8:40001", Repair, "", false),
            ("192.168.10.2", "192.168.10.3:40001", Repair, "", false),
            ("192.168.10.2", "10.0.0.1:40001", Repair, "", false),
            ("127.0.0.1", "192.168.10.2:40001", Repair, "", false),
            ("100.64.0.9", "192.168.10.2:40001", Repair, "", false),
            // IPv6 has no NAT that anybody should repair
            ("2001:db8::1", "[fd00::2]:40001", Repair, "", false),
            ("2001:db8::1", "[::1]:40001", Repair, "", false),
            ("2001:db8::1", "192.168.10.2:40001", Repair, "", false),
            (
                "198.51.100.1",
                "[::ffff:192.168.10.2]:40001",
                Repair,
                "",
                false,
            ),
            ("198.51.100.1", "[fd00::2]:40001", Repair, "", false),
        ];
        for (peer, target, policy, to, repaired) in table {
            let named: SocketAddr = target.parse().unwrap();
            let got = settle_target(peer.parse().unwrap(), named, policy);
            let want = (!to.is_empty()).then(|| Target {
                to: to.parse().unwrap(),
                instead_of: repaired.then_some(named),
            });
            assert_eq!(got.ok(), want, "{peer} {target} {policy:?}");
            if let Some(Target { to, .. }) = want {
                assert_eq!(check_target(peer.parse().unwrap(), to), Ok(()));
            }
        }
    }
}
