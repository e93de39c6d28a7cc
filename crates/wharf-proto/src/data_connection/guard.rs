//! May this address take part in a data connection of this control connection?
//!
//! Two questions, one answer each. *Who came to our listener* ([`Guard::admits`]): only the peer of the control
//! connection, so that a stranger who guesses the port gets nothing (RFC 2577 §8 "stealing ports"). *Where does PORT or
//! EPRT send us* ([`check_target`]): only back to the peer of the control connection and never to a well-known port, so
//! that nobody can bounce connections off this host (RFC 2577 §3, CERT CA-1997-27).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::advertise::Network;
use super::advertise::is_public;
use super::port_policy::is_of_a_nat;
use super::{Offer, canonical};
use crate::reply::Reply;

/// The lowest port a data connection may be sent to: below live the services that a bounced connection would be aimed
/// at (RFC 2577 §3).
pub const LOWEST_TARGET_PORT: u16 = 1024;

/// Judges the addresses of data connections for one control connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    control_peer: IpAddr,
    pool: Option<Network>,
}

impl Guard {
    /// A guard for the control connection with this peer. A v4-mapped address counts as the IPv4 address in it.
    pub fn new(control_peer: IpAddr) -> Self {
        Self {
            control_peer: canonical(control_peer),
            pool: None,
        }
    }

    /// Data connections may come from any address of this network: the peer stands behind a carrier's NAT that gives
    /// each of its connections another one of them.
    #[must_use]
    pub fn or_pool(self, pool: Option<Network>) -> Self {
        Self { pool, ..self }
    }

    /// The peer of the control connection, v4-mapped forms resolved.
    pub fn control_peer(&self) -> IpAddr {
        self.control_peer
    }

    /// May a data connection with this peer be used? Only if it comes from the peer of the control connection, or from
    /// its pool; its port says nothing.
    pub fn admits(&self, peer: IpAddr) -> bool {
        canonical(peer) == self.control_peer || self.pool.is_some_and(|pool| pool.contains(peer))
    }

    /// May the server-DTP connect to this target? As [`check_target`].
    pub fn check_target(&self, target: SocketAddr) -> Result<(), TargetRefusal> {
        check_target(self.control_peer, target)
    }

    /// The target with the interface (IPv6 scope) over which the control connection runs: EPRT has no place for it, and
    /// a link-local address is meaningless without (RFC 4007 §6).
    pub fn scoped(control_peer: SocketAddr, target: SocketAddr) -> SocketAddr {
        match (control_peer, target) {
            (SocketAddr::V6(peer), SocketAddr::V6(mut target))
                if is_link_local(*target.ip()) && target.scope_id() == 0 =>
            {
                target.set_scope_id(peer.scope_id());
                SocketAddr::V6(target)
            }
            _ => target,
        }
    }
}

/// May the server-DTP connect to `target`, named by PORT or EPRT on a control connection with `control_peer`?
///
/// The checks go from the form of the address to its meaning, so that the refusal names the first thing that is wrong.
/// No packet may be sent to a refused target.
pub fn check_target(control_peer: IpAddr, target: SocketAddr) -> Result<(), TargetRefusal> {
    let peer = canonical(control_peer);
    let named = target.ip();
    match named {
        IpAddr::V4(v4) => check_v4(v4)?,
        IpAddr::V6(v6) => check_v6(v6)?,
    }
    if named.is_ipv4() != peer.is_ipv4() {
        return Err(TargetRefusal::OtherFamily { named, peer });
    }
    if named != peer {
        return Err(TargetRefusal::OtherHost { named, peer });
    }
    if target.port() < LOWEST_TARGET_PORT {
        return Err(TargetRefusal::LowPort {
            port: target.port(),
        });
    }
    Ok(())
}

/// The IPv4 address in a NAT64 one (64:ff9b::/96, RFC 6052 §2.1).
fn behind_nat64(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V6(v6) => match v6.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
            }
            _ => None,
        },
        IpAddr::V4(_) => None,
    }
}

fn check_v4(address: Ipv4Addr) -> Result<(), TargetRefusal> {
    let named = IpAddr::V4(address);
    let [first, ..] = address.octets();
    if first == 0 {
        return Err(TargetRefusal::Unspecified { named });
    }
    if address.is_broadcast() {
        return Err(TargetRefusal::Broadcast { named });
    }
    if address.is_multicast() {
        return Err(TargetRefusal::Multicast { named });
    }
    Ok(())
}

fn check_v6(address: Ipv6Addr) -> Result<(), TargetRefusal> {
    let named = IpAddr::V6(address);
    if address.is_unspecified() {
        return Err(TargetRefusal::Unspecified { named });
    }
    if address.is_loopback() {
        return Ok(()); // the one address of ::/96 that is no IPv4 address in disguise
    }
    if address.is_multicast() {
        return Err(TargetRefusal::Multicast { named });
    }
    // ::a.b.c.d (compatible), ::ffff:a.b.c.d (mapped), ::ffff:0:a.b.c.d (translated, RFC 2765): an IPv4 address under
    // another name, which would slip past a comparison with an IPv4 peer.
    let embedded = matches!(
        address.segments(),
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0, 0, 0, 0, 0xffff, 0, _, _]
    );
    if embedded {
        return Err(TargetRefusal::Embedded { named });
    }
    Ok(())
}

/// `fe80::/10` (RFC 4291 §2.5.6).
fn is_link_local(address: Ipv6Addr) -> bool {
    let [first, ..] = address.segments();
    first & 0xffc0 == 0xfe80
}

/// Why a PORT or EPRT target was refused. Its text is for the peer and names the cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetRefusal {
    /// The address is not the one the control connection comes from: a bounce, or a user behind NAT who names a private
    /// address.
    OtherHost {
        /// The address in the command.
        named: IpAddr,
        /// The peer of the control connection.
        peer: IpAddr,
    },
    /// The address is of another family than the control connection.
    OtherFamily {
        /// The address in the command.
        named: IpAddr,
        /// The peer of the control connection.
        peer: IpAddr,
    },
    /// The port is below [`LOWEST_TARGET_PORT`] (0 included).
    LowPort {
        /// The port in the command.
        port: u16,
    },
    /// `0.0.0.0/8` or `::`: no host; a connect to it reaches this host on many systems.
    Unspecified {
        /// The address in the command.
        named: IpAddr,
    },
    /// An IPv4 address written as an IPv6 one.
    Embedded {
        /// The address in the command.
        named: IpAddr,
    },
    /// A multicast group.
    Multicast {
        /// The address in the command.
        named: IpAddr,
    },
    /// `255.255.255.255`.
    Broadcast {
        /// The address in the command.
        named: IpAddr,
    },
}

impl TargetRefusal {
    /// The reply code: 504 for a low port (RFC 2577 §3 suggests it), 522 for EPRT with the wrong family (RFC 2428 §2),
    /// 501 for the rest.
    pub fn code(&self, offer: Offer) -> u16 {
        match self {
            Self::LowPort { .. } => 504,
            Self::OtherFamily { .. } if offer == Offer::Eprt => 522,
            _ => 501,
        }
    }

    /// The reply for the peer.
    pub fn reply(&self, offer: Offer) -> Reply {
        match self {
            // "use (2)" is what EPRT understands; PORT has no place for it.
            Self::OtherFamily { named, .. } if offer == Offer::Port && named.is_ipv4() => {
                Reply::new(
                    self.code(offer),
                    "this control connection is IPv6, for which there are EPSV and EPRT",
                )
            }
            _ => Reply::new(self.code(offer), self.to_string()),
        }
    }
}

impl fmt::Display for TargetRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherHost { named, peer } => {
                write!(
                    f,
                    "data connections go only to {peer}, where this control connection comes from, not to {named}"
                )?;
                if is_of_a_nat(*named) && is_public(*peer) {
                    f.write_str(" (a private address: NAT; use passive mode)")?;
                }
                Ok(())
            }
            Self::OtherFamily { named, peer } => {
                let number = if peer.is_ipv4() { 1 } else { 2 };
                write!(
                    f,
                    "network protocol not supported on this control connection, use ({number})"
                )?;
                match behind_nat64(*named) {
                    // RFC 6384: a translator between us that leaves EPRT as it is
                    Some(v4) if peer.is_ipv4() => write!(
                        f,
                        "; {named} is {v4} behind NAT64, where EPSV works without an address"
                    ),
                    _ if peer.is_ipv4() => f.write_str(
                        "; you arrive here over IPv4, by NAT64 perhaps, where EPSV works without an address",
                    ),
                    _ => Ok(()),
                }
            }
            Self::LowPort { port } => write!(
                f,
                "data connections do not go to port {port}: below {LOWEST_TARGET_PORT}"
            ),
            Self::Unspecified { named } => write!(f, "{named} is no address of a host"),
            Self::Embedded { named } => write!(
                f,
                "{named} is an IPv4 address in IPv6 form: write it as IPv4"
            ),
            Self::Multicast { named } => write!(f, "{named} is a multicast address"),
            Self::Broadcast { named } => write!(f, "{named} is a broadcast address"),
        }
    }
}

impl std::error::Error for TargetRefusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_judged_by_form_then_host_then_port() {
        let v4 = "203.0.113.9";
        let v6 = "2001:db8::9";
        let table = [
            // control peer, target, what the refusal is called ("" = fine)
            (v4, "203.0.113.9:1024", ""),
            (v4, "203.0.113.9:65535", ""),
            ("::ffff:203.0.113.9", "203.0.113.9:5000", ""),
            (v6, "[2001:db8::9]:5000", ""),
            ("127.0.0.1", "127.0.0.1:5000", ""),
            ("::1", "[::1]:5000", ""),
            ("192.168.1.4", "192.168.1.4:5000", ""),
            ("fe80::9", "[fe80::9]:5000", ""),
            (v4, "203.0.113.9:1023", "LowPort"),
            (v4, "203.0.113.9:22", "LowPort"),
            (v4, "203.0.113.9:0", "LowPort"),
            (v6, "[2001:db8::9]:25", "LowPort"),
            (v4, "203.0.113.10:5000", "OtherHost"),
            (v4, "198.51.100.1:5000", "OtherHost"),
            (v4, "192.168.1.4:5000", "OtherHost"),
            (v4, "10.0.0.1:5000", "OtherHost"),
            (v4, "127.0.0.1:5000", "OtherHost"),
            (v4, "127.1.2.3:5000", "OtherHost"),
            (v4, "169.254.169.254:5000", "OtherHost"),
            (v4, "203.0.113.255:5000", "OtherHost"),
            (v4, "203.0.113.10:22", "OtherHost"),
            (v6, "[2001:db8::a]:5000", "OtherHost"),
            (v6, "[::1]:5000", "OtherHost"),
            (v6, "[fe80::9]:5000", "OtherHost"),
            (v6, "[64:ff9b::cb00:7109]:5000", "OtherHost"),
            (v4, "0.0.0.0:5000", "Unspecified"),
            (v4, "0.1.2.3:5000", "Unspecified"),
            (v6, "[::]:5000", "Unspecified"),
            (v4, "[::]:5000", "Unspecified"),
            (v4, "[::ffff:203.0.113.9]:5000", "Embedded"),
            (
                "::ffff:203.0.113.9",
                "[::ffff:203.0.113.9]:5000",
                "Embedded",
            ),
            (v4, "[::203.0.113.9]:5000", "Embedded"),
            (v6, "[::ffff:127.0.0.1]:5000", "Embedded"),
            (v6, "[::127.0.0.1]:5000", "Embedded"),
            (v6, "[::2]:5000", "Embedded"),
            (v6, "[::ffff:0:127.0.0.1]:5000", "Embedded"),
            (v4, "224.0.0.1:5000", "Multicast"),
            (v4, "239.255.255.250:5000", "Multicast"),
            (v6, "[ff02::1]:5000", "Multicast"),
            (v4, "255.255.255.255:5000", "Broadcast"),
            (v4, "240.0.0.1:5000", "OtherHost"),
            (v4, "[2001:db8::9]:5000", "OtherFamily"),
            (v6, "203.0.113.9:5000", "OtherFamily"),
        ];
        for (peer, target, want) in table {
            let got = Guard::new(peer.parse().unwrap()).check_target(target.parse().unwrap());
            let name = match got {
                Ok(()) => "",
                Err(TargetRefusal::OtherHost { .. }) => "OtherHost",
                Err(TargetRefusal::OtherFamily { .. }) => "OtherFamily",
                Err(TargetRefusal::LowPort { .. }) => "LowPort",
                Err(TargetRefusal::Unspecified { .. }) => "Unspecified",
                Err(TargetRefusal::Embedded { .. }) => "Embedded",
                Err(TargetRefusal::Multicast { .. }) => "Multicast",
                Err(TargetRefusal::Broadcast { .. }) => "Broadcast",
            };
            assert_eq!(name, want, "control peer {peer}, target {target}");
        }
    }

    #[test]
    fn a_client_behind_nat64_is_told_what_works() {
        let refusal = |target: &str| {
            check_target("203.0.113.9".parse().unwrap(), target.parse().unwrap()).unwrap_err()
        };
        let own = refusal("[2001:db8:6::2]:40001");
        let reply = own.reply(Offer::Eprt);
        assert_eq!(reply.code(), 522);
        assert!(
            own.to_string()
                .contains("use (1); you arrive here over IPv4"),
            "{own}"
        );
        let embedded = refusal("[64:ff9b::cb00:7109]:40001");
        assert!(
            embedded
                .to_string()
                .contains("use (1); 64:ff9b::cb00:7109 is 203.0.113.9 behind NAT64"),
            "{embedded}"
        );
        let port = check_target(
            "2001:db8::9".parse().unwrap(),
            "192.0.2.7:40001".parse().unwrap(),
        );
        let port = port.unwrap_err().reply(Offer::Port);
        assert_eq!(port.code(), 501);
    }

    #[test]
    fn only_the_control_peer_may_take_the_data_connection() {
        let table = [
            ("203.0.113.9", "203.0.113.9", true),
            ("203.0.113.9", "::ffff:203.0.113.9", true),
            ("::ffff:203.0.113.9", "203.0.113.9", true),
            ("203.0.113.9", "203.0.113.8", false),
            ("203.0.113.9", "::203.0.113.9", false),
            ("2001:db8::9", "2001:db8::9", true),
            ("2001:db8::9", "2001:db8::a", false),
            ("127.0.0.1", "::1", false),
            ("127.0.0.1", "127.0.0.2", false),
        ];
        for (control, data, want) in table {
            assert_eq!(
                Guard::new(control.parse().unwrap()).admits(data.parse().unwrap()),
                want,
                "{control} {data}"
            );
        }
    }

    #[test]
    fn refusals_name_the_cause() {
        let refusal = |peer: &str, target: &str| {
            check_target(peer.parse().unwrap(), target.parse().unwrap()).unwrap_err()
        };
        let other = refusal("203.0.113.9", "203.0.113.10:5000");
        assert_eq!(
            other.to_string(),
            "data connections go only to 203.0.113.9, where this control connection comes from, not to 203.0.113.10"
        );
        let nat = refusal("203.0.113.9", "192.168.1.4:5000");
        assert!(
            nat.to_string()
                .ends_with("not to 192.168.1.4 (a private address: NAT; use passive mode)"),
            "{nat}"
        );
        assert_eq!(nat.code(Offer::Port), 501);
        let low = refusal("203.0.113.9", "203.0.113.9:25");
        assert_eq!(
            (low.code(Offer::Port), low.to_string()),
            (
                504,
                "data connections do not go to port 25: below 1024".to_owned()
            )
        );
        let family = refusal("2001:db8::9", "203.0.113.9:5000");
        assert_eq!(
            (family.code(Offer::Eprt), family.code(Offer::Port)),
            (522, 501)
        );
        assert!(family.to_string().ends_with("use (2)"));
    }

    #[test]
    fn a_link_local_target_gets_the_interface_of_the_control_connection() {
        let peer = SocketAddr::V6(std::net::SocketAddrV6::new(
            "fe80::9".parse().unwrap(),
            40000,
            0,
            3,
        ));
        let SocketAddr::V6(target) = Guard::scoped(peer, "[fe80::9]:5000".parse().unwrap()) else {
            panic!("family changed")
        };
        assert_eq!(target.scope_id(), 3);
        let global: SocketAddr = "[2001:db8::9]:5000".parse().unwrap();
        assert_eq!(Guard::scoped(peer, global), global);
    }
}
