//! Who wastes time and room: slow bytes, idle connections, ports that nobody uses.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use super::scene::{Scene, Seen, resident};
use crate::Result;
use crate::server::Kind;
use crate::stage::STRANGER;
use crate::wire::Wire;

/// Time limits of three seconds, in the words of each server that can be told.
const WHARF: [&str; 6] = [
    "--login-timeout",
    "3s",
    "--idle-timeout",
    "3s",
    "--stall-timeout",
    "3s",
];

fn lines(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Vsftpd => &["idle_session_timeout=3", "data_connection_timeout=3"],
        Kind::ProFtpd => &[
            "TimeoutLogin 3",
            "TimeoutIdle 3",
            "TimeoutStalled 3",
            "TimeoutNoTransfer 3",
        ],
        _ => &[],
    }
}

/// Time limits of the others are minutes, and not waited for.
fn is_waited_for(kind: Kind) -> bool {
    matches!(kind, Kind::Wharf | Kind::Vsftpd | Kind::ProFtpd)
}

/// A byte a second until the connection ends, for at most twelve seconds.
fn trickle(stream: &mut TcpStream, byte: &[u8]) -> Option<Duration> {
    let start = Instant::now();
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    while start.elapsed() < Duration::from_secs(12) {
        if stream.write_all(byte).is_err() {
            return Some(start.elapsed());
        }
        match stream.read(&mut [0; 512]) {
            Ok(0) => return Some(start.elapsed()),
            Ok(_) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) => {}
            Err(_) => return Some(start.elapsed()),
        }
    }
    None
}

pub(super) fn slow_control(scene: &Scene) -> Result<Seen> {
    if !is_waited_for(scene.kind) {
        return Seen::inapplicable("its limits are minutes");
    }
    let _server = scene.serve(&WHARF, lines(scene.kind))?;
    let mut before = scene.greet()?;
    let mut after = scene.login()?;
    let (before, after) = thread::scope(|scope| {
        let before = scope.spawn(|| trickle(before.stream(), b"A"));
        let after = trickle(after.stream(), b"A");
        (before.join().unwrap_or(None), after)
    });
    let word = |ended: Option<Duration>| {
        ended.map_or("never".to_owned(), |time| {
            format!("after {} s", time.as_secs())
        })
    };
    Seen::if_so(
        before.is_some() && after.is_some(),
        format!("ended {} before login, {} after", word(before), word(after)),
    )
}

pub(super) fn slow_data(scene: &Scene) -> Result<Seen> {
    if !is_waited_for(scene.kind) {
        return Seen::inapplicable("its limits are minutes");
    }
    let _server = scene.serve(&WHARF, lines(scene.kind))?;
    let mut wire = scene.login()?;
    let at = wire.passive()?;
    wire.send("STOR trickle.bin")?;
    let mut data = scene.dial(at)?;
    wire.expect(&[150, 125])?;
    let ended = trickle(&mut data, b"A");
    let reply = wire
        .next(Duration::from_secs(2))
        .ok()
        .flatten()
        .map_or(0, |reply| reply.code);
    let word = ended.map_or("not ended".to_owned(), |time| {
        format!("{reply} after {} s", time.as_secs())
    });
    Seen::if_so(ended.is_some(), word)
}

pub(super) fn unread_download(scene: &Scene) -> Result<Seen> {
    if !is_waited_for(scene.kind) {
        return Seen::inapplicable("its limits are minutes");
    }
    let _server = scene.serve(&WHARF, lines(scene.kind))?;
    let mut sessions = Vec::new();
    for _ in 0..8 {
        let mut wire = scene.login()?;
        let at = wire.passive()?;
        wire.send("RETR large.bin")?;
        let data = scene.dial(at)?;
        wire.expect(&[150, 125])?;
        sessions.push((wire, data));
    }
    let start = Instant::now();
    let mut ended = 0;
    for (wire, _) in &mut sessions {
        let left = Duration::from_secs(10).saturating_sub(start.elapsed());
        if wire.next(left.max(Duration::from_millis(1))).is_ok() {
            ended += 1;
        }
    }
    let others = scene.others_wait();
    let word = format!("{ended} of 8 ended within {} s", start.elapsed().as_secs());
    match others {
        Ok(wait) if wait < Duration::from_secs(1) => Seen::if_so(ended == 8, word),
        _ => Seen::bad(format!("{word}, others not served")),
    }
}

pub(super) fn idle_sockets(scene: &Scene) -> Result<Seen> {
    let server = scene.serve(&[], &[])?;
    let before = resident(&server);
    let mut held = Vec::new();
    for _ in 0..300 {
        match scene.connect(STRANGER, scene.control()) {
            Ok(stream) => held.push(stream),
            Err(_) => break,
        }
    }
    thread::sleep(Duration::from_millis(500));
    let grown = resident(&server).saturating_sub(before);
    let start = Instant::now();
    let served = scene.login().is_ok();
    let word = format!(
        "client served in {} ms, memory +{grown} KiB",
        start.elapsed().as_millis()
    );
    Seen::if_so(served && start.elapsed() < Duration::from_secs(2), word)
}

/// Somebody who is logged in takes data port after data port, in as many sessions as he may have.
pub(super) fn port_hoarding(scene: &Scene) -> Result<Seen> {
    let _server = scene.serve(&[], &[])?;
    let mut hoarders = Vec::new();
    let mut taken = 0;
    // The range has two hundred ports.
    for _ in 0..220 {
        let Ok(stream) = scene.connect(STRANGER, scene.control()) else {
            break;
        };
        let Ok(mut wire) = Wire::over(stream) else {
            break;
        };
        if wire.enter().is_err() {
            break;
        }
        if wire.passive().is_ok() {
            taken += 1;
        }
        hoarders.push(wire);
    }
    let Ok(mut wire) = scene.login() else {
        return Seen::bad(format!(
            "{} sessions and no more for anybody",
            hoarders.len()
        ));
    };
    let served = scene.get(&mut wire, "small.bin").is_ok();
    Seen::if_so(
        served,
        format!(
            "{} sessions, {taken} ports; the client is {}",
            hoarders.len(),
            if served { "served" } else { "not served" }
        ),
    )
}
