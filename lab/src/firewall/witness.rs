//! Stands in front of a filter and behind it: counts the probes that come to it, and writes down the ones that
//! it let through.
//!
//! A table of its own beside the rules under test, with chains long before and long after theirs; it decides
//! nothing. What it saw is exact: a probe that was dropped is one that came and is not written down, so nobody
//! has to guess how long silence lasts.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use super::packet::{DSCP, Packet, SEQUENCE};
use crate::Result;
use crate::namespace::Namespace;
use crate::process::must;

/// Probes that have not come to the filter by then are lost. Far more than it takes.
const LIMIT: Duration = Duration::from_secs(10);

/// A probe as it was behind the filter: protocol number, source, destination.
pub(super) type Seen = (u8, SocketAddr, SocketAddr);

/// Puts the witness into the namespace where the rules are.
pub(super) fn install(namespace: &Namespace) -> Result<()> {
    let probe = |verdicts: [&str; 2]| {
        let lines = ["ip", "ip6"].iter().zip(verdicts).map(|(word, verdict)| {
            format!(
                "    {word} dscp {DSCP} tcp sequence {SEQUENCE} {verdict}\n\
                 \x20   {word} dscp {DSCP} meta l4proto udp {verdict}\n"
            )
        });
        lines.collect::<String>()
    };
    let come = probe(["counter name come", "counter name come"]);
    let gone = probe([
        "add @gone4 { meta l4proto . ip saddr . th sport . ip daddr . th dport }",
        "add @gone6 { meta l4proto . ip6 saddr . th sport . ip6 daddr . th dport }",
    ]);
    let set = |name: &str, family: &str| {
        format!(
            "  set {name} {{ type inet_proto . {family} . inet_service . {family} . inet_service; flags dynamic; size 65535; }}\n"
        )
    };
    namespace.nft(&format!(
        "table inet witness {{\n  counter come {{ }}\n{}{}\
         \x20 chain before {{\n{come}  }}\n  chain after {{\n{gone}  }}\n\
         \x20 chain arriving {{ type filter hook prerouting priority -450; jump before; }}\n\
         \x20 chain leaving {{ type filter hook output priority -450; jump before; }}\n\
         \x20 chain delivered {{ type filter hook input priority 450; jump after; }}\n\
         \x20 chain sent {{ type filter hook postrouting priority 450; jump after; }}\n}}\n",
        set("gone4", "ipv4_addr"),
        set("gone6", "ipv6_addr"),
    ))
}

/// Sends probes from one namespace and says which of them are behind the filter of another (or of the same);
/// an error when not all of them came to it.
pub(super) fn pass(
    from: &Namespace,
    filter: &Namespace,
    packets: &[Packet],
) -> Result<BTreeSet<Seen>> {
    let count = || filter.counted("inet", "witness", "come");
    let before = count()?;
    let wanted = before + u64::try_from(packets.len())?;
    super::packet::send(from, packets)?;
    let start = Instant::now();
    loop {
        let come = count()?;
        if come == wanted {
            // The last one may still be on its way through.
            thread::sleep(Duration::from_millis(20));
            break;
        }
        if come > wanted || start.elapsed() > LIMIT {
            return Err(format!(
                "{} of {} probes came to the filter",
                come - before,
                packets.len()
            )
            .into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    let mut seen = BTreeSet::new();
    for set in ["gone4", "gone6"] {
        let mut command = filter.command("nft");
        command.args(["-nn", "list", "set", "inet", "witness", set]);
        seen.extend(elements(&String::from_utf8_lossy(&must(command, b"")?))?);
        let mut command = filter.command("nft");
        command.args(["flush", "set", "inet", "witness", set]);
        must(command, b"")?;
    }
    Ok(seen)
}

/// The elements of a set as `nft -nn` lists them.
fn elements(listed: &str) -> Result<Vec<Seen>> {
    let Some((_, elements)) = listed.split_once("elements = {") else {
        return Ok(Vec::new());
    };
    let elements = elements.split_once('}').map_or(elements, |it| it.0);
    let mut all = Vec::new();
    for element in elements
        .split(',')
        .map(str::trim)
        .filter(|it| !it.is_empty())
    {
        let mut parts = element.split(" . ");
        let mut next = || parts.next().unwrap_or_default().trim();
        let protocol = match next() {
            "tcp" => 6,
            "udp" => 17,
            number => number.parse()?,
        };
        let mut end =
            || -> Result<SocketAddr> { Ok((next().parse::<IpAddr>()?, next().parse()?).into()) };
        all.push((protocol, end()?, end()?));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_read() {
        let listed = "table inet witness {\n\tset gone4 {\n\t\ttype inet_proto . inet_service\n\
                      \t\telements = { 6 . 10.0.0.1 . 33333 . 203.0.113.130 . 21,\n\
                      \t\t\t     17 . 10.0.0.1 . 1 . 10.0.0.1 . 2 }\n\t}\n}\n";
        let seen = elements(listed).unwrap();
        assert_eq!(seen.len(), 2);
        let server = "203.0.113.130:21".parse().unwrap();
        assert_eq!(seen[0], (6, "10.0.0.1:33333".parse().unwrap(), server));
    }

    #[test]
    fn an_empty_set_has_no_elements() {
        assert!(
            elements("table inet witness {\n\tset gone4 {\n\t}\n}\n")
                .unwrap()
                .is_empty()
        );
    }
}
