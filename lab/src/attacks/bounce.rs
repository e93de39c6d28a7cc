//! PORT, EPRT and LPRT that point at others (RFC 2577 §3).

use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use super::scene::{Scene, Seen};
use crate::Result;
use crate::stage::{CLIENT, STRANGER};
use crate::wire::{Wire, accept, listen};

/// Counts SYNs that leave the server's machine for anybody but the client, and for the client's low ports.
const COUNTER: &str = r"
table inet watch {
  counter third { }
  counter low { }
  counter honest { }
  chain out { type filter hook output priority filter; policy accept;
    tcp flags & (syn | ack) == syn ip daddr != 198.51.100.130 counter name third
    tcp flags & (syn | ack) == syn meta nfproto ipv6 counter name third
    tcp flags & (syn | ack) == syn ip daddr 198.51.100.130 tcp dport < 1024 counter name low
    tcp flags & (syn | ack) == syn ip daddr 198.51.100.130 tcp dport >= 1024 counter name honest
  }
}";

/// Everything that names somebody else, or a port of a service.
fn forms() -> Vec<String> {
    let (high, third) = (45_001_u16, STRANGER);
    let mapped = |ip: Ipv4Addr| ip.to_ipv6_mapped();
    let mut forms: Vec<String> = [
        (third, high),
        (Ipv4Addr::new(203, 0, 113, 1), high),
        (Ipv4Addr::LOCALHOST, high),
        (Ipv4Addr::new(127, 0, 0, 2), 21),
        (Ipv4Addr::UNSPECIFIED, high),
        (Ipv4Addr::new(0, 0, 0, 1), high),
        (Ipv4Addr::BROADCAST, high),
        (Ipv4Addr::new(224, 0, 0, 1), high),
        (Ipv4Addr::new(169, 254, 169, 254), 80),
        (Ipv4Addr::new(10, 0, 0, 1), high),
        (Ipv4Addr::new(203, 0, 113, 130), high),
        (Ipv4Addr::new(203, 0, 113, 130), 21),
        (CLIENT, 22),
        (CLIENT, 25),
        (CLIENT, 1023),
        (CLIENT, 0),
    ]
    .iter()
    .map(|(ip, port)| Wire::port(*ip, *port))
    .collect();
    forms.extend([
        format!("EPRT |1|{third}|{high}|"),
        format!("EPRT |1|{CLIENT}|22|"),
        format!("EPRT |1|{CLIENT}|0|"),
        format!("EPRT |1|{CLIENT}|65559|"),
        format!("EPRT |1|0.0.0.0|{high}|"),
        format!("EPRT |1|127.0.0.1|{high}|"),
        format!("EPRT |1|198.51.100.0131|{high}|"),
        format!("EPRT |1|3325256835|{high}|"),
        format!("EPRT |2|::1|{high}|"),
        format!("EPRT |2|::|{high}|"),
        format!("EPRT |2|{}|{high}|", mapped(third)),
        format!("EPRT |2|{}|{high}|", mapped(Ipv4Addr::LOCALHOST)),
        format!("EPRT |2|fe80::1|{high}|"),
        format!("LPRT 4,4,198,51,100,131,2,{},{}", high >> 8, high & 255),
        format!("PORT 198,51,100,387,{},{}", high >> 8, high & 255),
    ]);
    forms
}

pub(super) fn bounce(scene: &Scene) -> Result<Seen> {
    let server = scene.serve(&[], &[])?;
    let watched = &scene.stage.network.server;
    watched.nft(COUNTER)?;
    let syns = |name| watched.counted("inet", "watch", name);
    // Somebody listens at the third host, so that a connection would come about.
    let third = listen(&scene.stage.network.client, (STRANGER, 45_001).into())?;
    let forms = forms();
    let mut bounced = Vec::new();
    let mut accepted = 0;
    for line in &forms {
        let before = (syns("third")?, syns("low")?);
        let mut wire = scene.login()?;
        if wire.command(line)?.code < 400 {
            accepted += 1;
            wire.send("LIST")?;
            thread::sleep(Duration::from_millis(300));
        }
        if (syns("third")?, syns("low")?) != before {
            bounced.push(line.clone());
        }
    }
    if accept(&third, Duration::from_millis(20)).is_ok() && bounced.is_empty() {
        bounced.push("an uncounted connection".to_owned());
    }
    // The counters have to count, or the zeros above mean nothing.
    let own = listen(&scene.stage.network.client, (CLIENT, 45_000).into())?;
    let mut wire = scene.login()?;
    wire.send(&Wire::port(CLIENT, 45_000))?;
    wire.expect(&[200])?;
    wire.send("LIST")?;
    accept(&own, Duration::from_secs(5))?;
    if syns("honest")? == 0 {
        return Err("the counters do not count".into());
    }
    watched.nft("delete table inet watch")?;
    drop(server);
    match bounced.first() {
        None => Seen::safe(format!(
            "no SYN for {} forms, {accepted} answered 200",
            forms.len()
        )),
        Some(first) => Seen::bad(format!(
            "{} of {} bounced: {first}",
            bounced.len(),
            forms.len()
        )),
    }
}
