//! What must be answered in order and at once: bursts, Synchs, commands while a transfer stands still. What attackers
//! try is the part `attacks`.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::payload;
use crate::stage::{CLIENT, Stage};
use crate::tally::Tally;
use crate::wire::{Wire, accept, dial, listen};
use crate::{Result, Settings};

/// How soon a command during a transfer is answered.
const SOON: Duration = Duration::from_millis(100);

/// The network with the server on it.
struct Target {
    stage: Stage,
}

type Check = fn(&Target) -> Result<String>;

const CHECKS: &[(&str, Check)] = &[
    ("eight pipelined commands get eight replies in order", burst),
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
];

/// Runs every check against one server.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let stage = Stage::build(settings, "hostile")?;
    payload::write(&stage.root.join("small.bin"), 100_000)?;
    payload::write(&stage.root.join("large.bin"), 128 << 20)?;
    let _server = stage.serve()?;
    let target = Target { stage };
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
