//! The kernel's tables as text: `/proc/net/*`. Pure; whatever does not look as expected is skipped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use wharf_firewall::loaded::Family;

use super::seen::DefaultRoute;

/// `/proc/net/tcp` and `tcp6`: sockets that listen, with the number of their inode.
pub(super) fn listeners(text: &str) -> Vec<(SocketAddr, u64)> {
    let lines = text.lines().skip(1);
    lines.filter_map(listener).collect()
}

fn listener(line: &str) -> Option<(SocketAddr, u64)> {
    let mut words = line.split_whitespace();
    let local = words.nth(1)?;
    if words.nth(1)? != "0A" {
        return None;
    }
    let inode = words.nth(5)?.parse().ok()?;
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((SocketAddr::new(hex_address(address)?, port), inode))
}

/// An address as the kernel prints it: words of 32 bits in the order of the host's memory.
fn hex_address(text: &str) -> Option<IpAddr> {
    let mut octets = Vec::new();
    for at in (0..text.len()).step_by(8) {
        let word = u32::from_str_radix(text.get(at..at + 8)?, 16).ok()?;
        octets.extend(word.to_ne_bytes());
    }
    match octets.len() {
        4 => Some(IpAddr::from(<[u8; 4]>::try_from(octets).ok()?)),
        16 => {
            let address = Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?);
            Some(match address.to_ipv4_mapped() {
                Some(mapped) => IpAddr::V4(mapped),
                None => IpAddr::V6(address),
            })
        }
        _ => None,
    }
}

/// `/proc/net/route`.
pub(super) fn default_routes(text: &str) -> Vec<DefaultRoute> {
    let route = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [interface, "00000000", _, flags, _, _, _, "00000000", ..] = words.as_slice() else {
            return None;
        };
        usable(flags).then(|| DefaultRoute {
            family: Family::Ipv4,
            interface: wharf_proto::visible(interface.as_bytes()),
        })
    };
    text.lines().skip(1).filter_map(route).collect()
}

/// `/proc/net/ipv6_route`.
pub(super) fn default_routes_v6(text: &str) -> Vec<DefaultRoute> {
    let route = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [destination, "00", _, _, _, _, _, _, flags, interface] = words.as_slice() else {
            return None;
        };
        let all = destination.bytes().all(|it| it == b'0');
        (all && usable(flags) && *interface != "lo").then(|| DefaultRoute {
            family: Family::Ipv6,
            interface: wharf_proto::visible(interface.as_bytes()),
        })
    };
    text.lines().filter_map(route).collect()
}

/// RTF_UP and not RTF_REJECT.
fn usable(flags: &str) -> bool {
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 != 0 && flags & 0x200 == 0)
}

/// `/proc/net/fib_trie`: the host's own IPv4 addresses without loopback and link-local ones, each once.
pub(super) fn addresses(text: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in text.lines() {
        if let Some((_, address)) = line.split_once("|-- ") {
            last = address.trim().parse::<Ipv4Addr>().ok();
        } else if line.contains("/32 host LOCAL")
            && let Some(address) = last
            && !address.is_loopback()
            && !address.is_link_local()
            && !found.contains(&IpAddr::V4(address))
        {
            found.push(IpAddr::V4(address));
        }
    }
    found
}

/// `/proc/net/if_inet6`: those of scope global.
pub(super) fn addresses_v6(text: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [address, _, _, "00", _, _] = words.as_slice() else {
            return None;
        };
        let bits = u128::from_str_radix(address, 16).ok()?;
        Some(IpAddr::V6(Ipv6Addr::from_bits(bits)))
    };
    text.lines().filter_map(address).collect()
}

/// `32768\t60999`.
pub(super) fn port_pair(text: &str) -> Option<(u16, u16)> {
    let mut words = text.split_whitespace();
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// `8080,9000-9010`.
pub(super) fn port_list(text: &str) -> Vec<(u16, u16)> {
    let span = |word: &str| {
        let (lo, hi) = word.split_once('-').unwrap_or((word, word));
        Some((lo.parse().ok()?, hi.parse().ok()?))
    };
    text.trim().split(',').filter_map(span).collect()
}

/// The line `CapEff:` of `/proc/PID/status`: whether CAP_NET_BIND_SERVICE (bit 10) is in it.
pub(super) fn may_bind_low(status: &str) -> Option<bool> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    let bits = u64::from_str_radix(line.trim(), 16).ok()?;
    Some(bits & (1 << 10) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1447 1 00000000f33cd329 100 0 0 10 0
   1: 020200C0:AE2C 507100CB:0050 06 00000000:00000000 03:00000860 00000000     0        0 0 3 000000002b78a279
   2: 0100007F:0015 00000000:0000 0A garbage
";

    #[test]
    #[cfg(target_endian = "little")]
    fn listeners_are_read_and_others_are_not() {
        let found = listeners(TCP);
        assert_eq!(found, [("0.0.0.0:2024".parse().unwrap(), 1447)]);
        let six = "head\n 0: B80D0120000000000000000002000000:0015 0:0 0A 0:0 0:0 0 0 0 77 1\n";
        let found = listeners(six);
        assert_eq!(found, [("[2001:db8::2]:21".parse().unwrap(), 77)]);
    }

    #[test]
    fn routes_to_everywhere() {
        let text = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                    eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                    eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        let found = default_routes(text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].interface, "eth0");
        let six = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000003 00000000 00000003     eth0\n\
                   00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n";
        assert_eq!(default_routes_v6(six).len(), 1);
    }

    #[test]
    fn own_addresses() {
        let trie = "Main:\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.2\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\nLocal:\n     |-- 192.0.2.2\n        /32 host LOCAL\n";
        assert_eq!(addresses(trie), ["192.0.2.2".parse::<IpAddr>().unwrap()]);
        let six = "fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n20010db8000500000000000000000002 04 40 00 82     eth0\n";
        assert_eq!(
            addresses_v6(six),
            ["2001:db8:5::2".parse::<IpAddr>().unwrap()]
        );
    }

    #[test]
    fn ports_and_privileges() {
        assert_eq!(port_pair("32768\t60999\n"), Some((32_768, 60_999)));
        assert_eq!(port_list("8080,9000-9010\n"), [(8080, 8080), (9000, 9010)]);
        assert_eq!(port_list("\n"), []);
        assert_eq!(may_bind_low("CapEff:\t0000000000000400\n"), Some(true));
        assert_eq!(may_bind_low("CapEff:\t0000000000000000\n"), Some(false));
        assert_eq!(may_bind_low(""), None);
    }
}
