//! By hand: what the proxy answers while a transfer stands still, and what strangers and bounces get from it.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::scene::{GATEWAY, Plan, Proxy, SERVERS, Scene, Upstream};
use crate::payload;
use crate::server::Kind;
use crate::stage::{CLIENT, STRANGER};
use crate::tally::{Tally, concurrently};
use crate::wire::{Wire, accept, dial, dial_from, listen};
use crate::{Result, Settings};

/// How soon a command during a transfer is answered by the proxy itself. On a busy machine programs wait for each other.
const SOON: Duration = Duration::from_millis(500);

/// How soon ABOR is, which the server has to hear.
const ABORTED: Duration = Duration::from_secs(3);

/// Counts every SYN that leaves the proxy's machine towards its clients.
const COUNTER: &str = r#"
table inet watch {
  counter syns { }
  chain out { type filter hook output priority filter; policy accept;
    oifname "lan" tcp flags & (syn | ack) == syn counter name syns
  }
}"#;

/// Leads the proxy's own connections back to it.
const TOO_WIDE: &str = r"
table ip wharf {
  chain prerouting { type nat hook prerouting priority dstnat; tcp dport 21 redirect to :2121; }
  chain output { type nat hook output priority -100; tcp dport 21 redirect to :2121; }
}";

/// A proxy in front of one server.
struct Target<'a> {
    scene: &'a Scene,
    upstream: &'a Upstream,
    at: SocketAddr,
    _proxy: Proxy,
}

type Check = fn(&Target<'_>) -> Result<String>;

const CHECKS: &[(&str, Check)] = &[
    (
        "NOOP, STAT and ABOR during a stalled download",
        during_download,
    ),
    ("NOOP, STAT and ABOR during a stalled upload", during_upload),
    ("a transfer, an ABOR, and transfers again", goes_on),
    (
        "a stranger first at the passive port is dropped, the client served",
        stranger,
    ),
    (
        "PORT and EPRT elsewhere are refused and send no SYN",
        bounce,
    ),
];

/// One after another: the packets of all proxies are counted together.
const COUNTED: &str = "an honest PORT is served from port 20 of the address that was dialled";

/// What is told to a client at which a transparent proxy would connect to itself.
const CIRCLES: &str = "a rule that is too wide, and a client that dials the gateway, lead to a 421";

/// Runs every check with every server.
pub(super) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let checks: Vec<_> = (CHECKS.iter())
        .filter(|(name, _)| settings.wants(&format!("dialogue {name}")))
        .collect();
    if checks.is_empty() {
        return Ok(());
    }
    let plan = Plan {
        middle: COUNTER,
        ..Plan::default()
    };
    let scene = Scene::build(settings, "dialogue", &SERVERS, plan)?;
    let large = scene.work.path().join("large.bin");
    payload::write(&large, 32 << 20)?;
    let mut targets = Vec::new();
    for (number, upstream) in (10..).zip(&scene.servers) {
        std::fs::hard_link(&large, upstream.root.join("large.bin"))?;
        let (own, _) = scene.address(number)?;
        let at = SocketAddr::new(own.into(), 21);
        let server = SocketAddr::new(upstream.v4.into(), 21).to_string();
        targets.push(Target {
            scene: &scene,
            upstream,
            at,
            _proxy: scene.proxy(&[at], &server, &[])?,
        });
    }
    println!("\nthe proxy by hand");
    for (name, check) in checks {
        let answers = concurrently(&targets, targets.len(), |target| check(target));
        for (target, answer) in targets.iter().zip(answers) {
            tally.check(&format!("{name}, {}", target.upstream.kind.name()), answer);
        }
    }
    let mut last = targets.iter();
    if let Some(target) = last.next() {
        tally.check(COUNTED, honest(target));
    }
    tally.check(CIRCLES, circles(settings));
    Ok(())
}

impl Target<'_> {
    fn login(&self) -> Result<Wire> {
        Wire::login(&self.scene.client, self.at)
    }
}

/// A download whose reader does not read.
fn stalled_download(target: &Target<'_>) -> Result<(Wire, TcpStream)> {
    let mut wire = target.login()?;
    let at = wire.passive()?;
    wire.send("RETR large.bin")?;
    let data = dial(&target.scene.client, at)?;
    wire.expect(&[150, 125])?;
    // Until the buffers on the way are full.
    thread::sleep(Duration::from_millis(300));
    Ok((wire, data))
}

fn promptly(wire: &mut Wire, command: &str, codes: &[u16], limit: Duration) -> Result<Duration> {
    let start = Instant::now();
    wire.send(command)?;
    let reply = wire
        .expect(codes)
        .map_err(|error| format!("{command}: {error}"))?;
    let elapsed = start.elapsed();
    if elapsed > limit {
        let (text, late) = (reply.text, elapsed.as_millis());
        return Err(format!("{command}: answered after {late} ms: {}", text.trim_end()).into());
    }
    Ok(elapsed)
}

fn ask_during_transfer(wire: &mut Wire) -> Result<String> {
    let mut slowest = Duration::ZERO;
    for (command, codes) in [
        ("NOOP", &[200][..]),
        ("STAT", &[211, 213]),
        ("NOOP", &[200]),
    ] {
        slowest = slowest.max(promptly(wire, command, codes, SOON)?);
    }
    // RFC 959 §4.1.3: 426 for the transfer, then 226 for the abort.
    let abort = promptly(wire, "ABOR", &[426], ABORTED)?;
    wire.expect(&[225, 226])?;
    promptly(wire, "NOOP", &[200], ABORTED)?;
    Ok(format!(
        "answered within {} ms, aborted within {} ms",
        slowest.as_millis(),
        abort.as_millis()
    ))
}

fn during_download(target: &Target<'_>) -> Result<String> {
    let (mut wire, data) = stalled_download(target)?;
    let note = ask_during_transfer(&mut wire)?;
    drop(data);
    Ok(note)
}

fn during_upload(target: &Target<'_>) -> Result<String> {
    let mut wire = target.login()?;
    let at = wire.passive()?;
    wire.send("STOR stalled.bin")?;
    let mut data = dial(&target.scene.client, at)?;
    wire.expect(&[150, 125])?;
    data.write_all(b"the beginning, and then nothing")?;
    let note = ask_during_transfer(&mut wire)?;
    drop(data);
    Ok(note)
}

/// After an ABOR the two sides are in step again.
fn goes_on(target: &Target<'_>) -> Result<String> {
    let (mut wire, data) = stalled_download(target)?;
    wire.send("ABOR")?;
    wire.expect(&[426])?;
    wire.expect(&[225, 226])?;
    drop(data);
    for _ in 0..3 {
        let bytes = fetch(target, &mut wire, "payload.bin")?;
        if bytes != std::fs::read(&target.scene.payload)? {
            return Err(format!("{} bytes that are not the file's", bytes.len()).into());
        }
    }
    promptly(&mut wire, "QUIT", &[221], ABORTED)?;
    Ok(String::new())
}

fn fetch(target: &Target<'_>, wire: &mut Wire, name: &str) -> Result<Vec<u8>> {
    let at = wire.passive()?;
    wire.send(&format!("RETR {name}"))?;
    let mut data = dial(&target.scene.client, at)?;
    data.set_read_timeout(Some(Duration::from_secs(10)))?;
    wire.expect(&[150, 125])?;
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes)?;
    wire.expect(&[226, 250])?;
    Ok(bytes)
}

fn stranger(target: &Target<'_>) -> Result<String> {
    let client = &target.scene.client;
    let mut wire = target.login()?;
    let at = wire.passive()?;
    let mut stranger = dial_from(client, IpAddr::V4(STRANGER), at)?;
    thread::sleep(Duration::from_millis(50));
    wire.send("RETR payload.bin")?;
    let mut data = dial_from(client, IpAddr::V4(CLIENT), at)?;
    data.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes)
        .map_err(|error| format!("the client: {error}"))?;
    wire.expect(&[150, 125])?;
    wire.expect(&[226])?;
    if bytes != std::fs::read(&target.scene.payload)? {
        return Err(format!("the client got {} bytes", bytes.len()).into());
    }
    stranger.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut got = Vec::new();
    match stranger.read_to_end(&mut got) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => return Err(format!("the stranger was not dropped: {error}").into()),
    }
    if got.is_empty() {
        Ok(String::new())
    } else {
        Err(format!("{} bytes to the stranger", got.len()).into())
    }
}

fn bounce(target: &Target<'_>) -> Result<String> {
    let middle = &target.scene.middle;
    let syns = || middle.counted("inet", "watch", "syns");
    let refused = [
        Wire::port(STRANGER, 45_001),
        Wire::port(CLIENT, 22),
        Wire::port(CLIENT, 0),
        Wire::port(Ipv4Addr::UNSPECIFIED, 45_001),
        Wire::port(Ipv4Addr::LOCALHOST, 45_001),
        Wire::port(target.upstream.v4, 45_001),
        format!("EPRT |1|{STRANGER}|45001|"),
        format!("EPRT |1|{CLIENT}|22|"),
        "EPRT |2|::1|45001|".to_owned(),
        format!("EPRT |2|::ffff:{STRANGER}|45001|"),
    ];
    let before = syns()?;
    for line in &refused {
        let mut wire = target.login()?;
        let reply = wire.command(line)?;
        if reply.code < 500 {
            return Err(format!("{line}: {}", reply.text.trim_end()).into());
        }
        let listing = wire.command("LIST")?;
        if listing.code < 400 {
            return Err(format!("LIST after {line}: {}", listing.text.trim_end()).into());
        }
    }
    let sent = syns()? - before;
    if sent != 0 {
        return Err(format!("{sent} SYN left towards the clients").into());
    }
    Ok(format!("{} refused", refused.len()))
}

fn circles(settings: &Settings) -> Result<String> {
    let plan = Plan {
        middle: TOO_WIDE,
        forwards: true,
        ..Plan::default()
    };
    let scene = Scene::build(settings, "circles", &[Kind::Vsftpd], plan)?;
    let _proxy = scene.proxy(&["0.0.0.0:2121".parse()?], "transparent", &[])?;
    let server = scene.servers.first().ok_or("no server")?;
    let mut told = Vec::new();
    for ip in [server.v4, GATEWAY] {
        let mut stream = dial(&scene.client, SocketAddr::new(ip.into(), 21))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut said = String::new();
        stream
            .read_to_string(&mut said)
            .map_err(|error| format!("{ip}: {error}, after {said:?}"))?;
        if !said.starts_with("421 ") {
            return Err(format!("{ip}: {said:?}").into());
        }
        told.push(said.trim_end().to_owned());
    }
    Ok(told.join(" / "))
}

/// The counter has to count, or the zero means nothing.
fn honest(target: &Target<'_>) -> Result<String> {
    let middle = &target.scene.middle;
    let before = middle.counted("inet", "watch", "syns")?;
    let own = SocketAddr::new(IpAddr::V4(CLIENT), 45_000);
    let listener = listen(&target.scene.client, own)?;
    let mut wire = target.login()?;
    wire.send(&Wire::port(CLIENT, own.port()))?;
    wire.expect(&[200])?;
    wire.send("RETR payload.bin")?;
    let mut data = accept(&listener, Duration::from_secs(5))?;
    let from = data.peer_addr()?;
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes)?;
    wire.expect(&[150, 125])?;
    wire.expect(&[226])?;
    if bytes != std::fs::read(&target.scene.payload)? {
        return Err(format!("{} bytes", bytes.len()).into());
    }
    if from.ip() != target.at.ip() || from.port() != 20 {
        return Err(format!("the data came from {from}").into());
    }
    if middle.counted("inet", "watch", "syns")? == before {
        return Err("the counter does not count".into());
    }
    Ok(String::new())
}
