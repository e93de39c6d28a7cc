//! Which router stands in front of an address of ours: read from the kernel's routing tables.
//!
//! Linux only; elsewhere no gateway is known, and only UPnP, which finds its router by itself, is left.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV6};

use super::GATEWAY_PORT;

/// A route is up (`RTF_UP`), and leads to a gateway (`RTF_GATEWAY`): the flags of `route(8)`.
const UP: u32 = 0x1;
const VIA_GATEWAY: u32 = 0x2;

/// Where the gateway of the interface that has the address `inside` hears PCP and NAT-PMP (RFC 6887 §8.1, RFC 6886 §3).
#[cfg(target_os = "linux")]
pub(super) fn of(inside: IpAddr) -> Option<std::net::SocketAddr> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/net/{name}")).ok();
    match inside {
        IpAddr::V4(inside) => {
            let gateway = gateway_v4(&read("route")?, inside)?;
            Some((gateway, GATEWAY_PORT).into())
        }
        IpAddr::V6(inside) => {
            let gateway = gateway_v6(&read("ipv6_route")?, &read("if_inet6")?, inside)?;
            Some(gateway.into())
        }
    }
}

/// Not known here.
#[cfg(not(target_os = "linux"))]
pub(super) fn of(_inside: IpAddr) -> Option<std::net::SocketAddr> {
    None
}

/// A line of `/proc/net/route`, of which the interface, destination, gateway, flags, metric and mask matter.
struct Route<'a> {
    interface: &'a str,
    destination: u32,
    mask: u32,
    gateway: Ipv4Addr,
    flags: u32,
    metric: u32,
}

fn route(line: &str) -> Option<Route<'_>> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    // Addresses are the bytes as they lie in memory, printed as a number of this machine's own byte order.
    let address = |n: usize| {
        let number = u32::from_str_radix(fields.get(n)?, 16).ok()?;
        Some(Ipv4Addr::from(number.to_ne_bytes()))
    };
    Some(Route {
        interface: fields.first()?,
        destination: address(1)?.to_bits(),
        gateway: address(2)?,
        flags: u32::from_str_radix(fields.get(3)?, 16).ok()?,
        metric: fields.get(6)?.parse().ok()?,
        mask: address(7)?.to_bits(),
    })
}

/// The gateway of the default route, of the interface on whose own network `inside` lies if there is such a one.
fn gateway_v4(table: &str, inside: Ipv4Addr) -> Option<Ipv4Addr> {
    let routes: Vec<_> = table.lines().skip(1).filter_map(route).collect();
    let own = routes
        .iter()
        .filter(|r| r.flags & (UP | VIA_GATEWAY) == UP && r.mask != 0)
        .filter(|r| inside.to_bits() & r.mask == r.destination)
        .max_by_key(|r| r.mask.leading_ones())
        .map(|r| r.interface);
    routes
        .iter()
        .filter(|r| r.flags & (UP | VIA_GATEWAY) == UP | VIA_GATEWAY && r.mask == 0)
        .filter(|r| own.is_none_or(|own| r.interface == own))
        .min_by_key(|r| r.metric)
        .map(|r| r.gateway)
}

/// The gateway of the default route of the interface that has `inside`; link-local ones with their interface.
fn gateway_v6(routes: &str, addresses: &str, inside: Ipv6Addr) -> Option<SocketAddrV6> {
    let (index, interface) = addresses.lines().find_map(|line| {
        // Address, interface index, prefix length, scope, flags, interface.
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let address = u128::from_str_radix(fields.first()?, 16).ok()?;
        let index = u32::from_str_radix(fields.get(1)?, 16).ok()?;
        (Ipv6Addr::from(address) == inside).then_some((index, *fields.get(5)?))
    })?;
    let gateway = routes
        .lines()
        .filter_map(|line| {
            // Destination, its prefix length, source, its prefix length, next hop, metric, two counters, flags, interface.
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let flags = u32::from_str_radix(fields.get(8)?, 16).ok()?;
            let is_default = *fields.get(1)? == "00" && *fields.get(9)? == interface;
            let via_gateway = flags & (UP | VIA_GATEWAY) == UP | VIA_GATEWAY;
            let metric = u32::from_str_radix(fields.get(5)?, 16).ok()?;
            let next = u128::from_str_radix(fields.get(4)?, 16).ok()?;
            (is_default && via_gateway).then_some((metric, Ipv6Addr::from(next)))
        })
        .min_by_key(|(metric, _)| *metric)?
        .1;
    let scope = if gateway.is_unicast_link_local() {
        index
    } else {
        0
    };
    Some(SocketAddrV6::new(gateway, GATEWAY_PORT, 0, scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the kernel writes them on a little-endian machine: two interfaces with a default route each, a VPN without.
    const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t010AA8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t00000000\tFE0AA8C0\t0003\t0\t0\t200\t00000000\t0\t0\t0
eth0\t000AA8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
wlan0\t0001A8C0\t00000000\t0001\t0\t0\t600\t00FFFFFF\t0\t0\t0
tun0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0
";

    #[test]
    #[cfg(target_endian = "little")]
    fn the_gateway_is_that_of_the_addresss_own_interface() {
        let table = [
            ("192.168.10.2", Some("192.168.10.1")),
            ("192.168.1.7", Some("192.168.1.1")),
            // Its interface leads nowhere.
            ("10.1.2.3", None),
            // On nobody's network: the best of all.
            ("172.16.0.1", Some("192.168.10.1")),
        ];
        for (inside, gateway) in table {
            let gateway: Option<Ipv4Addr> = gateway.map(|text| text.parse().unwrap());
            assert_eq!(
                gateway_v4(ROUTES, inside.parse().unwrap()),
                gateway,
                "{inside}"
            );
        }
    }

    #[test]
    fn an_empty_or_odd_table_has_no_gateway() {
        let inside = "192.168.10.2".parse().unwrap();
        for table in ["", "Iface\n", "Iface\neth0 x y z\n\u{fffd}\neth0\n"] {
            assert_eq!(gateway_v4(table, inside), None, "{table:?}");
        }
    }

    #[test]
    fn a_link_local_gateway_comes_with_its_interface() {
        let addresses = "\
fe800000000000000000000000000002 02 40 20 80     eth0
20010db8000c00000000000000000002 02 40 00 80     eth0
00000000000000000000000000000001 01 80 10 80       lo
";
        let zero = "00000000000000000000000000000000";
        let routes = format!(
            "20010db8000c00000000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001     eth0\n\
             {zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n"
        );
        assert_eq!(
            gateway_v6(&routes, addresses, "2001:db8:c::2".parse().unwrap()),
            Some("[fe80::1%2]:5351".parse().unwrap())
        );
        assert_eq!(
            gateway_v6(&routes, addresses, "2001:db8:c::3".parse().unwrap()),
            None
        );
    }
}
