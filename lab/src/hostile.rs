//! What somebody may send who does not mean well: bursts, floods, forgeries, bounces, strangers;
//! and what must be answered at once although a transfer stands still.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::payload;
use crate::stage::{CLIENT, STRANGER, Stage};
use crate::tally::Tally;
use crate::topology::{self, RANGE};
use crate::wire::{Wire, accept, dial, dial_from, listen};
use crate::{Result, Settings};

/// How soon a command during a transfer is answered.
const SOON: Duration = Duration::from_millis(100);

/// How much the server's resident memory may grow under a flood, in kibibytes.
const FLAT: u64 = 2048;

/// The network, and the process id of the server on it.
struct Target {
    stage: Stage,
    pid: u32,
}

type Check = fn(&Target) -> Result<String>;

const CHECKS: &[(&str, Check)] = &[
    ("eight pipelined commands get eight replies in order", burst),
    (
        "150 MiB without a newline before login leave the memory flat",
        flood,
    ),
    (
        "POST / HTTP/1.1 closes the connection and executes nothing",
        post,
    ),
    (
        "a name with newlines forges no line of LIST, NLST or MLSD",
        newlines,
    ),
    (
        "REST 99999999999999999999 is 501 and the session lives",
        rest,
    ),
    ("PORT and EPRT elsewhere send no SYN", bounce),
    (
        "consecutive active transfers to the same client port",
        same_port,
    ),
    (
        "NOOP, STAT and ABOR during a stalled download within 100 ms",
        during_download,
    ),
    (
        "NOOP, STAT and ABOR during a stalled upload within 100 ms",
        during_upload,
    ),
    (
        "QUIT during a transfer is answered within 100 ms",
        quit_during_transfer,
    ),
    (
        "ABOR after a Synch as BSD clients send it (IAC urgent, DM not) within 100 ms",
        urgent_abort_bsd,
    ),
    (
        "ABOR after a Synch that is urgent up to its DM within 100 ms",
        urgent_abort_whole,
    ),
    (
        "ABOR after a Synch without urgent data within 100 ms",
        urgent_abort_in_line,
    ),
    (
        "a stranger first at the passive port is dropped, the client served",
        stranger,
    ),
];

/// Runs every check against one server.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let stage = Stage::build(settings, "hostile")?;
    payload::write(&stage.root.join("small.bin"), 100_000)?;
    payload::write(&stage.root.join("large.bin"), 128 << 20)?;
    let server = stage.serve()?;
    let target = Target {
        stage,
        pid: server.pid(),
    };
    println!("\nhostile input");
    for (name, check) in CHECKS.iter().filter(|(name, _)| settings.wants(name)) {
        tally.check(name, check(&target));
    }
    Ok(())
}

impl Target {
    fn login(&self) -> Result<Wire> {
        Wire::login(&self.stage.network.client, self.stage.network.control())
    }

    fn dial(&self, to: SocketAddr) -> Result<TcpStream> {
        dial(&self.stage.network.client, to)
    }

    /// Resident memory of the server, in kibibytes.
    fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| "the server has no VmRSS".into())
    }
}

fn burst(target: &Target) -> Result<String> {
    let mut wire = Wire::greet(&target.stage.network.client, target.stage.network.control())?;
    let commands = format!(
        "USER {}\r\nPASS {}\r\nSYST\r\nPWD\r\nTYPE I\r\nNOOP\r\nCWD /\r\nQUIT\r\n",
        crate::server::USER,
        crate::server::PASSWORD
    );
    wire.stream().write_all(commands.as_bytes())?;
    let mut codes = Vec::new();
    while let Some(reply) = wire.next(Duration::from_secs(10))? {
        codes.push(reply.code);
    }
    if codes == [331, 230, 215, 257, 200, 200, 250, 221] {
        Ok(format!("{codes:?}"))
    } else {
        Err(format!("replies {codes:?}").into())
    }
}

fn flood(target: &Target) -> Result<String> {
    // A session before the measurement, so that what every first session costs is not counted.
    drop(target.login()?);
    thread::sleep(Duration::from_millis(200));
    let before = target.resident()?;
    let peak = AtomicU64::new(before);
    let over = AtomicBool::new(false);
    let mut wire = Wire::greet(&target.stage.network.client, target.stage.network.control())?;
    wire.stream()
        .set_write_timeout(Some(Duration::from_secs(20)))?;
    let sent = thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                peak.fetch_max(target.resident().unwrap_or(0), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(5));
            }
        });
        let block = vec![b'A'; 64 << 10];
        let mut sent = 0;
        while sent < 150 << 20 {
            match wire.stream().write(&block) {
                Ok(n) => sent += n,
                // Closing the connection on such a line is an answer too.
                Err(_) => break,
            }
        }
        over.store(true, Ordering::Relaxed);
        sent
    });
    let peak = peak.load(Ordering::Relaxed).max(target.resident()?);
    let note = format!(
        "{} MiB sent, resident {before} KiB, at most {peak} KiB",
        sent >> 20
    );
    if peak > before + FLAT {
        return Err(note.into());
    }
    drop(target.login()?);
    Ok(note)
}

fn post(target: &Target) -> Result<String> {
    let victim = target.stage.root.join("victim.bin");
    fs::write(&victim, "victim")?;
    let mut wire = Wire::greet(&target.stage.network.client, target.stage.network.control())?;
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: text/plain\r\n\r\n\
         USER {}\r\nPASS {}\r\nDELE victim.bin\r\nMKD forged\r\n",
        topology::SERVER,
        crate::server::USER,
        crate::server::PASSWORD
    );
    wire.stream().write_all(request.as_bytes())?;
    let mut codes = Vec::new();
    loop {
        match wire.next(Duration::from_secs(5)) {
            Ok(Some(reply)) => codes.push(reply.code),
            Ok(None) => break,
            Err(error) => return Err(format!("still open after {codes:?}: {error}").into()),
        }
    }
    if !victim.exists() || target.stage.root.join("forged").exists() {
        return Err(format!("a command was executed: {codes:?}").into());
    }
    if codes.iter().any(|code| *code < 400) {
        return Err(format!("a command was accepted: {codes:?}").into());
    }
    Ok(format!("{codes:?}, closed"))
}

fn newlines(target: &Target) -> Result<String> {
    let directory = target.stage.root.join("tricky");
    fs::create_dir_all(&directory)?;
    let names = [
        "plain",
        "evil-list\r\n-rw-r--r--   1 ftp ftp 1 Jan 01 00:00 forged",
        "evil-bare\n-rw-r--r--   1 ftp ftp 1 Jan 01 00:00 forged",
        "evil-nlst\nforged",
        "evil-mlsd\r\ntype=file;size=1; forged",
        "evil-cr\rforged",
    ];
    for name in names {
        fs::write(directory.join(name), "x")?;
    }
    let mut wire = target.login()?;
    let mut counts = Vec::new();
    for command in [
        "LIST tricky",
        "NLST tricky",
        "MLSD tricky",
        "LIST -la tricky",
    ] {
        let bytes = wire.listing(&target.stage.network.client, command)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // Split as the most gullible client would: at every CR and every LF.
        let lines: Vec<&str> = text
            .split(['\r', '\n'])
            .filter(|line| !line.is_empty())
            .collect();
        if let Some(forged) = lines
            .iter()
            .find(|line| line.ends_with("forged") && !line.contains("evil"))
        {
            return Err(format!("{command}: a line of its own: {forged:?}").into());
        }
        if !lines.iter().any(|line| line.ends_with("plain")) {
            return Err(format!("{command}: lacks the honest file").into());
        }
        if command == "NLST tricky" && lines.len() > names.len() {
            return Err(
                format!("{command}: {} lines for {} files", lines.len(), names.len()).into(),
            );
        }
        counts.push(lines.len());
    }
    Ok(format!("lines {counts:?}"))
}

fn rest(target: &Target) -> Result<String> {
    let mut wire = target.login()?;
    let reply = wire.command("REST 99999999999999999999")?;
    if reply.code != 501 {
        return Err(format!("answered: {}", reply.text.trim_end()).into());
    }
    let alive = wire.command("NOOP")?;
    let marker = wire.command("REST 18446744073709551615")?;
    if (alive.code, marker.code) != (200, 350) {
        return Err(format!("NOOP {}, REST 2^64-1 {}", alive.code, marker.code).into());
    }
    Ok(String::new())
}

/// Counts every SYN that leaves the server's machine.
const COUNTER: &str = r"
table inet watch {
  counter syns { }
  chain out { type filter hook output priority filter; policy accept;
    tcp flags & (syn | ack) == syn counter name syns
  }
}";

fn bounce(target: &Target) -> Result<String> {
    let server = &target.stage.network.server;
    server.nft(COUNTER)?;
    let syns = || server.counted("inet", "watch", "syns");
    let own = SocketAddr::new(IpAddr::V4(CLIENT), 45_000);
    // Somebody listens at the third host, so that a connection would come about.
    let third = listen(
        &target.stage.network.client,
        SocketAddr::new(IpAddr::V4(STRANGER), 45_001),
    )?;
    let refused = [
        Wire::port(STRANGER, 45_001),
        Wire::port(CLIENT, 22),
        Wire::port(CLIENT, 1023),
        Wire::port(CLIENT, 0),
        Wire::port(Ipv4Addr::UNSPECIFIED, 45_001),
        Wire::port(Ipv4Addr::LOCALHOST, 45_001),
        Wire::port(Ipv4Addr::BROADCAST, 45_001),
        format!("EPRT |1|{STRANGER}|45001|"),
        format!("EPRT |1|{CLIENT}|22|"),
        "EPRT |1|0.0.0.0|45001|".to_owned(),
        "EPRT |2|::1|45001|".to_owned(),
        "EPRT |2|::|45001|".to_owned(),
        format!("EPRT |2|::ffff:{STRANGER}|45001|"),
        "EPRT |2|::ffff:127.0.0.1|45001|".to_owned(),
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
        let sent = syns()?;
        if sent != before {
            return Err(format!("{line}: {} SYN left the server", sent - before).into());
        }
    }
    if accept(&third, Duration::from_millis(50)).is_ok() {
        return Err("the third host was connected to".into());
    }
    // The counter has to count, or the zero above means nothing.
    let honest = listen(&target.stage.network.client, own)?;
    let mut wire = target.login()?;
    wire.send(&Wire::port(CLIENT, own.port()))?;
    wire.expect(&[200])?;
    wire.send("LIST")?;
    let mut data = accept(&honest, Duration::from_secs(5))?;
    data.read_to_end(&mut Vec::new())?;
    if syns()? == before {
        return Err("the counter does not count".into());
    }
    Ok(format!("{} refused", refused.len()))
}

fn same_port(target: &Target) -> Result<String> {
    let at = SocketAddr::new(IpAddr::V4(CLIENT), 45_100);
    let mut wire = target.login()?;
    let mut from = Vec::new();
    for round in 0..6 {
        let listener = listen(&target.stage.network.client, at)?;
        wire.send(&Wire::port(CLIENT, at.port()))?;
        wire.expect(&[200])?;
        let upload = round % 2 == 1;
        wire.send(if upload {
            "STOR same-port.bin"
        } else {
            "RETR small.bin"
        })?;
        let mut data = accept(&listener, Duration::from_secs(5))
            .map_err(|error| format!("transfer {}: {error}; {:?}", round + 1, wire.reply()))?;
        from.push(data.peer_addr()?.port());
        if upload {
            data.write_all(b"x")?;
        } else {
            let mut bytes = Vec::new();
            data.read_to_end(&mut bytes)?;
            if bytes.len() != 100_000 {
                return Err(format!("transfer {}: {} bytes", round + 1, bytes.len()).into());
            }
        }
        drop(data);
        wire.expect(&[150, 125])?;
        wire.expect(&[226])?;
    }
    if from.first() != Some(&20) {
        return Err(format!("the first did not come from port 20: {from:?}").into());
    }
    Ok(format!("from ports {from:?}"))
}

/// A download whose reader does not read.
fn stalled_download(target: &Target) -> Result<(Wire, TcpStream)> {
    let mut wire = target.login()?;
    let at = wire.passive()?;
    wire.send("RETR large.bin")?;
    let data = target.dial(at)?;
    wire.expect(&[150, 125])?;
    // Until the buffers on the way are full.
    thread::sleep(Duration::from_millis(150));
    Ok((wire, data))
}

/// Sends a command and measures the time to its reply.
fn promptly(wire: &mut Wire, command: &str, codes: &[u16]) -> Result<Duration> {
    let start = Instant::now();
    wire.send(command)?;
    prompt_reply(wire, command, codes, start)
}

fn prompt_reply(wire: &mut Wire, command: &str, codes: &[u16], start: Instant) -> Result<Duration> {
    let reply = wire
        .expect(codes)
        .map_err(|error| format!("{command}: {error}"))?;
    let elapsed = start.elapsed();
    if elapsed > SOON {
        let (text, late) = (reply.text, elapsed.as_millis());
        return Err(format!("{command}: answered after {late} ms: {}", text.trim_end()).into());
    }
    Ok(elapsed)
}

fn ask_during_transfer(mut wire: Wire) -> Result<String> {
    let mut slowest = Duration::ZERO;
    for (command, codes) in [
        ("NOOP", &[200][..]),
        ("STAT", &[211, 213]),
        ("NOOP", &[200]),
    ] {
        slowest = slowest.max(promptly(&mut wire, command, codes)?);
    }
    // RFC 959 §4.1.3: 426 for the transfer, then 226 for the abort.
    slowest = slowest.max(promptly(&mut wire, "ABOR", &[426])?);
    wire.expect(&[226])?;
    promptly(&mut wire, "NOOP", &[200])?;
    Ok(format!("slowest {} ms", slowest.as_millis()))
}

fn during_download(target: &Target) -> Result<String> {
    let (wire, data) = stalled_download(target)?;
    let note = ask_during_transfer(wire)?;
    drop(data);
    Ok(note)
}

fn during_upload(target: &Target) -> Result<String> {
    let mut wire = target.login()?;
    let at = wire.passive()?;
    wire.send("STOR stalled.bin")?;
    let mut data = target.dial(at)?;
    wire.expect(&[150, 125])?;
    data.write_all(b"the beginning, and then nothing")?;
    let note = ask_during_transfer(wire)?;
    if target.stage.root.join("stalled.bin").exists() {
        return Err("the aborted upload stands under its final name".into());
    }
    drop(data);
    Ok(note)
}

fn quit_during_transfer(target: &Target) -> Result<String> {
    let (mut wire, data) = stalled_download(target)?;
    let start = Instant::now();
    wire.send("QUIT")?;
    let elapsed = prompt_reply(&mut wire, "QUIT", &[221, 226, 426], start)?;
    drop(data);
    Ok(format!("{} ms", elapsed.as_millis()))
}

const IAC: u8 = 255;
const IP: u8 = 244;
const DM: u8 = 242;

fn urgent_abort(mut synch: impl FnMut(&mut Wire) -> Result<()>, target: &Target) -> Result<String> {
    let (mut wire, data) = stalled_download(target)?;
    let start = Instant::now();
    synch(&mut wire)?;
    wire.send("ABOR")?;
    let elapsed = prompt_reply(&mut wire, "ABOR", &[426], start)?;
    wire.expect(&[226])?;
    promptly(&mut wire, "NOOP", &[200])?;
    drop(data);
    Ok(format!("{} ms", elapsed.as_millis()))
}

fn urgent_abort_bsd(target: &Target) -> Result<String> {
    let synch = |wire: &mut Wire| {
        wire.stream().write_all(&[IAC, IP])?;
        wire.send_urgent(&[IAC])?;
        Ok(wire.stream().write_all(&[DM])?)
    };
    urgent_abort(synch, target)
}

fn urgent_abort_whole(target: &Target) -> Result<String> {
    urgent_abort(|wire| wire.send_urgent(&[IAC, IP, IAC, DM]), target)
}

fn urgent_abort_in_line(target: &Target) -> Result<String> {
    urgent_abort(
        |wire| Ok(wire.stream().write_all(&[IAC, IP, IAC, DM])?),
        target,
    )
}

fn stranger(target: &Target) -> Result<String> {
    let mut wire = target.login()?;
    let at = wire.passive()?;
    if !(RANGE.0..=RANGE.1).contains(&at.port()) {
        return Err(format!("{at} is outside the passive range").into());
    }
    let network = &target.stage.network;
    let mut stranger = dial_from(&network.client, IpAddr::V4(STRANGER), at)?;
    thread::sleep(Duration::from_millis(50));
    wire.send("RETR small.bin")?;
    let mut data = dial_from(&network.client, IpAddr::V4(CLIENT), at)?;
    data.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes)
        .map_err(|error| format!("the client: {error}"))?;
    wire.expect(&[150, 125])?;
    wire.expect(&[226])?;
    if bytes != fs::read(target.stage.root.join("small.bin"))? {
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
