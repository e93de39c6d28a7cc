//! Who has a control connection with us, as the kernel knows it: the broker does not take the network process's word.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The tables of this network namespace.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// `TCP_ESTABLISHED` and `TCP_CLOSE_WAIT`: a client may have shut down its sending half after its last command.
const OPEN: [&str; 2] = ["01", "08"];

/// The other ends of connections to those ports of ours.
pub(crate) fn connected(is_ours: impl Fn(u16) -> bool) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for table in TABLES {
        // Without IPv6 there is only one.
        let text = std::fs::read_to_string(table).unwrap_or_default();
        found.extend(peers(&text, &is_ours));
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// From the text of `proc_pid_net(5)`, `tcp`: `sl local_address rem_address st ...`, addresses as words of the machine's
/// byte order.
fn peers<'t>(
    text: &'t str,
    is_ours: &'t impl Fn(u16) -> bool,
) -> impl Iterator<Item = IpAddr> + 't {
    text.lines().skip(1).filter_map(move |line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (_, own_port) = fields.next()?.split_once(':')?;
        let (peer, _) = fields.next()?.split_once(':')?;
        let state = fields.next()?;
        let ours = is_ours(u16::from_str_radix(own_port, 16).ok()?);
        (ours && OPEN.contains(&state))
            .then(|| address(peer))
            .flatten()
    })
}

fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok();
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?.to_ne_bytes()).into()),
        32 => {
            let mut bytes = [0; 16];
            for (chunk, at) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
                chunk.copy_from_slice(&word(at)?.to_ne_bytes());
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        let text = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0015 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 17
   1: 0100007F:0015 057100CB:C350 01 00000000:00000000 00:00000000 00000000  1000        0 18
   2: 0100007F:0016 067100CB:C350 01 00000000:00000000 00:00000000 00000000  1000        0 19
   3: 0100007F:0015 077100CB:C350 06 00000000:00000000 00:00000000 00000000  1000        0 20
nonsense
   4: 0000000000000000FFFF00000100007F:0015 B80D0120000000000000000001000000:C350 08 0:0 0:0 0 0 0 21
";
        let ours = |port| port == 21;
        let found: Vec<_> = peers(text, &ours).map(|ip| ip.to_string()).collect();
        assert_eq!(found, ["203.0.113.5", "2001:db8::1"]);
    }
}
