//! Which address a 227 names to which client.
//!
//! A server behind NAT knows its own address as nobody outside can use it. The default is the address the client
//! reached us at, which is right whenever nothing rewrites addresses; otherwise the operator names an address, for all
//! or per network of clients. A name instead of an address is resolved by the caller; nothing here looks anything up.
//! EPSV needs none of this: a 229 names no address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use super::canonical;

/// The address to name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// The address at which the client reached us (the local address of its control connection).
    Reached,
    /// This address, whatever the client reached.
    Fixed(IpAddr),
}

/// One rule: clients of this network are told this address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdvertiseRule {
    /// The clients, by the address of their control connection as we see it.
    pub clients: Network,
    /// What they are told.
    pub named: Named,
}

/// The rules in order; the first whose network holds the client decides, else the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertise {
    rules: Vec<AdvertiseRule>,
    default: Named,
}

/// What was decided for one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advertised {
    /// The address for the 227.
    pub address: IpAddr,
    /// What is likely wrong with it; belongs into the log.
    pub warning: Option<AdvertiseWarning>,
}

impl Advertise {
    /// Everybody is told the address they reached.
    pub fn reached() -> Self {
        Self {
            rules: Vec::new(),
            default: Named::Reached,
        }
    }

    /// Everybody is told this address. Clients on the server's own side of the NAT need a rule of their own, or the NAT
    /// must turn their connections back (hairpin).
    pub fn fixed(address: IpAddr) -> Self {
        Self {
            rules: Vec::new(),
            default: Named::Fixed(address),
        }
    }

    /// Rules first, then the default.
    pub fn with_rules(rules: Vec<AdvertiseRule>, default: Named) -> Self {
        Self { rules, default }
    }

    /// The address for the client at `client`, who reached us at `reached`.
    ///
    /// A fixed address of another family than `reached` cannot be named on this control connection (PASV has four
    /// numbers): `reached` is named and the warning says so.
    pub fn choose(&self, client: IpAddr, reached: IpAddr) -> Advertised {
        let client = canonical(client);
        let reached = canonical(reached);
        let rule = self.rules.iter().find(|rule| rule.clients.contains(client));
        let (address, mismatch) = match rule.map_or(self.default, |rule| rule.named) {
            Named::Reached => (reached, None),
            Named::Fixed(fixed) if canonical(fixed).is_ipv4() == reached.is_ipv4() => {
                (canonical(fixed), None)
            }
            Named::Fixed(fixed) => (
                reached,
                Some(AdvertiseWarning::OtherFamily {
                    configured: fixed,
                    named: reached,
                }),
            ),
        };
        let private = (!is_public(address) && is_public(client)).then_some(
            AdvertiseWarning::PrivateToPublic {
                named: address,
                client,
            },
        );
        Advertised {
            address,
            warning: mismatch.or(private),
        }
    }
}

/// Why the client may not be able to use the address it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdvertiseWarning {
    /// A client with a public address is told one that is not routed on the internet: the server stands behind NAT and
    /// does not know its outer address.
    PrivateToPublic {
        /// The address in the 227.
        named: IpAddr,
        /// The client.
        client: IpAddr,
    },
    /// The configured address is of another family than the control connection.
    OtherFamily {
        /// The configured address.
        configured: IpAddr,
        /// The address in the 227 instead.
        named: IpAddr,
    },
}

impl fmt::Display for AdvertiseWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PrivateToPublic { named, client } => write!(
                f,
                "passive mode names the private address {named} to the public client {client}; set the advertised address to the one clients reach"
            ),
            Self::OtherFamily { configured, named } => {
                write!(
                    f,
                    "the advertised address {configured} is of another family than the control connection; {named} is named instead"
                )
            }
        }
    }
}

/// A network in CIDR form: an address and how many of its leading bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network of `address` with this prefix length: at most 32 for IPv4, 128 for IPv6. Bits behind the prefix are
    /// ignored.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, NetworkError> {
        let limit = if address.is_ipv4() { 32 } else { 128 };
        if prefix > limit {
            return Err(NetworkError::PrefixTooLong { limit });
        }
        Ok(Self { address, prefix })
    }

    /// How many leading bits count.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The address that it was made with.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Is the address in this network? A v4-mapped address counts as IPv4.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.address, canonical(address)) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.prefix))
                    .unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.prefix))
                    .unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// `ADDRESS/BITS`, or an address alone (only that host).
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address
            .trim()
            .parse()
            .map_err(|_| NetworkError::NotAnAddress)?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        match prefix.map(str::trim) {
            None => Self::new(address, whole),
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                Self::new(
                    address,
                    digits
                        .parse()
                        .map_err(|_| NetworkError::PrefixTooLong { limit: whole })?,
                )
            }
            Some(_) => Err(NetworkError::NotAnAddress),
        }
    }
}

/// Why a network cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkError {
    /// Not of the form `ADDRESS/BITS`.
    NotAnAddress,
    /// More bits than the address has.
    PrefixTooLong {
        /// The most there can be.
        limit: u8,
    },
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnAddress => {
                f.write_str("a network is written ADDRESS/BITS, as in 192.168.0.0/16")
            }
            Self::PrefixTooLong { limit } => write!(f, "at most {limit} bits follow the slash"),
        }
    }
}

impl std::error::Error for NetworkError {}

/// Is the address meant for use inside a site: private (RFC 1918), carrier NAT (RFC 6598), link-local (RFC 3927),
/// loopback, unique local (RFC 4193)?
pub fn is_private(address: IpAddr) -> bool {
    match canonical(address) {
        IpAddr::V4(v4) => {
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || is_carrier_nat(v4)
        }
        IpAddr::V6(v6) => {
            let [first, ..] = v6.segments();
            v6.is_loopback() || first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80
        }
    }
}

/// Can the address be reached over the internet, as far as the address itself tells? Neither private nor unspecified,
/// multicast or reserved (the registries of RFC 6890). The documentation networks count as public: that is what they
/// stand for wherever they are written.
pub fn is_public(address: IpAddr) -> bool {
    let address = canonical(address);
    if is_private(address) {
        return false;
    }
    match address {
        IpAddr::V4(v4) => !matches!(
            v4.octets(),
            [0 | 224..=255, ..] | [198, 18 | 19, _, _] | [192, 0, 0, _]
        ),
        IpAddr::V6(v6) => match v6.segments() {
            // NAT64 (RFC 6052): as public as the IPv4 address in it
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                is_public(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)).into())
            }
            // global unicast is 2000::/3 (RFC 4291 §2.4)
            [first, ..] => first & 0xe000 == 0x2000,
        },
    }
}

/// `100.64.0.0/10` (RFC 6598).
fn is_carrier_nat(address: Ipv4Addr) -> bool {
    matches!(address.octets(), [100, 64..=127, _, _])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_private_public_or_neither() {
        let table = [
            ("10.0.0.1", true, false),
            ("172.16.0.1", true, false),
            ("172.31.255.255", true, false),
            ("172.32.0.1", false, true),
            ("192.168.1.1", true, false),
            ("100.64.0.1", true, false),
            ("100.127.255.255", true, false),
            ("100.128.0.1", false, true),
            ("127.0.0.1", true, false),
            ("169.254.1.1", true, false),
            ("0.0.0.0", false, false),
            ("224.0.0.1", false, false),
            ("255.255.255.255", false, false),
            ("192.0.2.1", false, true),
            ("198.51.100.1", false, true),
            ("203.0.113.1", false, true),
            ("198.18.0.1", false, false),
            ("8.8.8.8", false, true),
            ("20.0.0.10", false, true),
            ("::ffff:10.0.0.1", true, false),
            ("::ffff:8.8.8.8", false, true),
            ("::1", true, false),
            ("::", false, false),
            ("fe80::1", true, false),
            ("fd00::1", true, false),
            ("2001:db8::1", false, true),
            ("2606:4700::1", false, true),
            ("64:ff9b::808:808", false, true),
            ("64:ff9b::a00:1", false, false),
            ("ff02::1", false, false),
        ];
        for (address, private, public) in table {
            assert_eq!(
                (is_private(ip(address)), is_public(ip(address))),
                (private, public),
                "{address}"
            );
        }
    }

    #[test]
    fn networks_hold_what_their_bits_say() {
        let table = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("192.168.1.77/24", "192.168.1.1", true),
            ("192.168.1.4", "192.168.1.4", true),
            ("192.168.1.4", "192.168.1.5", false),
            ("192.168.1.0/24", "::ffff:192.168.1.9", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db8::1", true),
            ("::1", "::1", true),
        ];
        for (network, address, want) in table {
            assert_eq!(
                network.parse::<Network>().unwrap().contains(ip(address)),
                want,
                "{network} {address}"
            );
        }
        for bad in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0.0/999",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
        assert_eq!(
            "10.0.0.0/8".parse::<Network>().unwrap().to_string(),
            "10.0.0.0/8"
        );
    }

    #[test]
    fn each_client_is_told_the_address_of_the_first_rule_that_holds_it() {
        let rules = vec![
            AdvertiseRule {
                clients: "192.168.0.0/16".parse().unwrap(),
                named: Named::Reached,
            },
            AdvertiseRule {
                clients: "100.64.0.0/10".parse().unwrap(),
                named: Named::Fixed(ip("100.64.0.5")),
            },
        ];
        let rules = Advertise::with_rules(rules, Named::Fixed(ip("20.0.0.9")));
        let table = [
            (&rules, "192.168.1.4", "192.168.1.10", "192.168.1.10"),
            (&rules, "100.70.0.1", "192.168.1.10", "100.64.0.5"),
            (&rules, "8.8.8.8", "192.168.1.10", "20.0.0.9"),
            (
                &Advertise::reached(),
                "8.8.8.8",
                "::ffff:20.0.0.1",
                "20.0.0.1",
            ),
            (
                &Advertise::fixed(ip("20.0.0.9")),
                "192.168.1.4",
                "192.168.1.10",
                "20.0.0.9",
            ),
        ];
        for (advertise, client, reached, want) in table {
            let got = advertise.choose(ip(client), ip(reached));
            assert_eq!(
                (got.address, got.warning),
                (ip(want), None),
                "{client} {reached}"
            );
        }
    }

    #[test]
    fn a_private_address_told_to_a_public_client_is_warned_of() {
        let got = Advertise::reached().choose(ip("8.8.8.8"), ip("192.168.1.10"));
        assert_eq!(got.address, ip("192.168.1.10"));
        assert!(
            got.warning
                .unwrap()
                .to_string()
                .contains("private address 192.168.1.10 to the public client 8.8.8.8")
        );
        let got = Advertise::fixed(ip("2001:db8::1")).choose(ip("192.168.1.4"), ip("192.168.1.10"));
        assert_eq!(got.address, ip("192.168.1.10"));
        assert!(matches!(
            got.warning,
            Some(AdvertiseWarning::OtherFamily { .. })
        ));
    }
}
