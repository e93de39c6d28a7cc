//! What is said on the control connection: other protocols, floods, lines without an end, odd bytes.

use std::fs;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use super::scene::{Scene, Seen, resident};
use crate::Result;
use crate::server::{PASSWORD, USER};
use crate::wire::Wire;

/// How much the memory of a server may grow, in kibibytes; a server with a process a session gets that for each.
const GROWTH: u64 = 8192;

/// Replies until the end of the connection, or until nothing comes for a moment; whether it was closed.
fn answers(wire: &mut Wire) -> (Vec<u16>, bool) {
    let mut codes = Vec::new();
    loop {
        match wire.next(Duration::from_secs(2)) {
            Ok(Some(reply)) => codes.push(reply.code),
            Ok(None) => return (codes, true),
            Err(_) => return (codes, false),
        }
    }
}

fn victim(scene: &Scene) -> Result<std::path::PathBuf> {
    let victim = scene.stage.root.join("victim.bin");
    fs::write(&victim, "victim")?;
    Ok(victim)
}

/// Codes in a row as one.
fn brief(codes: &[u16]) -> String {
    let mut shown: Vec<String> = Vec::new();
    let mut before = 0;
    for code in codes {
        if *code != before {
            shown.push(code.to_string());
        }
        before = *code;
    }
    shown.truncate(6);
    shown.join(" ")
}

pub(super) fn http_post(scene: &Scene) -> Result<Seen> {
    let _server = scene.serve(&[], &[])?;
    let victim = victim(scene)?;
    let mut wire = scene.greet()?;
    let request = format!(
        "POST / HTTP/1.1\r\nHost: files\r\nContent-Type: text/plain\r\n\r\n\
         USER {USER}\r\nPASS {PASSWORD}\r\nDELE victim.bin\r\nMKD forged\r\n"
    );
    let _ = wire.stream().write_all(request.as_bytes());
    let (codes, closed) = answers(&mut wire);
    let forged = scene.stage.root.join("forged");
    let executed = !victim.exists() || forged.exists();
    let _ = fs::remove_dir(forged);
    let end = if closed { "closed" } else { "open" };
    if executed {
        return Seen::bad(format!("executed: {}", brief(&codes)));
    }
    Seen::if_so(
        closed && codes.iter().all(|code| *code >= 400),
        format!("{}, {end}", brief(&codes)),
    )
}

pub(super) fn other_protocols(scene: &Scene) -> Result<Seen> {
    let _server = scene.serve(&[], &[])?;
    let victim = victim(scene)?;
    let mut words = Vec::new();
    let mut fine = true;
    for (name, lines) in [
        ("GET", "GET / HTTP/1.1\r\nHost: x\r\n"),
        (
            "SMTP",
            "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n\r\n",
        ),
    ] {
        let mut wire = scene.greet()?;
        let text = format!("{lines}USER {USER}\r\nPASS {PASSWORD}\r\nDELE victim.bin\r\n");
        let _ = wire.stream().write_all(text.as_bytes());
        let (codes, closed) = answers(&mut wire);
        fine &= closed && victim.exists();
        words.push(format!(
            "{name} {}{}",
            brief(&codes),
            if closed { ", closed" } else { "" }
        ));
        fs::write(&victim, "victim")?;
    }
    Seen::if_so(fine, words.join("; "))
}

pub(super) fn client_hello(scene: &Scene) -> Result<Seen> {
    let server = scene.serve(&[], &[])?;
    let mut wire = scene.greet()?;
    let mut hello = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    hello.extend((0..505_u32).map(|n| u8::try_from(n % 251).unwrap_or(0)));
    hello.extend(b"\r\nUSER lab\r\nPASS lab-secret\r\nMKD by-tls\r\n");
    let _ = wire.stream().write_all(&hello);
    let (codes, closed) = answers(&mut wire);
    let made = scene.stage.root.join("by-tls");
    let executed = made.exists();
    let _ = fs::remove_dir(made);
    drop(server);
    if executed {
        return Seen::bad("the lines behind it are executed");
    }
    Seen::safe(format!(
        "{}{}",
        brief(&codes),
        if closed { ", closed" } else { "" }
    ))
}

/// 400,000 commands whose replies nobody reads.
pub(super) fn command_flood(scene: &Scene) -> Result<Seen> {
    let server = scene.serve(&[], &[])?;
    let mut wire = scene.login()?;
    let mut other = scene.greet_stranger()?;
    other.enter()?;
    let before = resident(&server);
    wire.stream()
        .set_write_timeout(Some(Duration::from_secs(1)))?;
    let block = "NOOP\r\n".repeat(10_000);
    let start = Instant::now();
    let mut sent = 0;
    let mut slowest = Duration::ZERO;
    while start.elapsed() < Duration::from_secs(3) && sent < 40 {
        match wire.stream().write_all(block.as_bytes()) {
            Ok(()) => sent += 1,
            Err(_) => break,
        }
        slowest = slowest.max(noop(&mut other)?);
    }
    slowest = slowest.max(noop(&mut other)?);
    let grown = resident(&server).saturating_sub(before);
    let word = format!(
        "memory +{grown} KiB, another's NOOP {} ms",
        slowest.as_millis()
    );
    Seen::if_so(grown < GROWTH && slowest < Duration::from_millis(500), word)
}

fn noop(wire: &mut Wire) -> Result<Duration> {
    let start = Instant::now();
    wire.send("NOOP")?;
    wire.expect(&[200])?;
    Ok(start.elapsed())
}

/// 150 MiB without a newline, before login.
pub(super) fn endless_line(scene: &Scene) -> Result<Seen> {
    let server = scene.serve(&[], &[])?;
    // Sessions before the measurement, so that what every first session costs is not counted.
    drop(scene.login()?);
    let mut wire = scene.greet()?;
    thread::sleep(Duration::from_millis(100));
    let before = resident(&server);
    wire.stream()
        .set_write_timeout(Some(Duration::from_secs(3)))?;
    let block = vec![b'A'; 64 << 10];
    let (mut sent, mut peak) = (0, before);
    let start = Instant::now();
    while sent < 150 << 20 && start.elapsed() < Duration::from_secs(15) {
        match wire.stream().write(&block) {
            Ok(n) => sent += n,
            Err(_) => break,
        }
        if sent % (1 << 20) < block.len() {
            peak = peak.max(resident(&server));
        }
    }
    let others = scene.others_wait();
    let word = format!(
        "{} MiB taken, memory +{} KiB",
        sent >> 20,
        peak.saturating_sub(before)
    );
    match others {
        Ok(wait) if wait < Duration::from_secs(2) => Seen::if_so(peak < before + GROWTH, word),
        Ok(wait) => Seen::bad(format!("{word}, others wait {} ms", wait.as_millis())),
        Err(failure) => Seen::bad(format!("{word}, others: {failure}")),
    }
}

pub(super) fn long_line(scene: &Scene) -> Result<Seen> {
    let _server = scene.serve(&[], &[])?;
    let mut wire = scene.login()?;
    let line = format!("CWD {}\r\nNOOP\r\n", "a".repeat(70_000));
    let _ = wire.stream().write_all(line.as_bytes());
    let (codes, closed) = answers(&mut wire);
    let word = format!(
        "{} {}",
        brief(&codes),
        if closed { "closed" } else { "and goes on" }
    );
    let refused = codes.iter().filter(|code| **code >= 400).count();
    let resynchronised = !closed && refused == 1 && codes.last() == Some(&200);
    Seen::if_so((closed && codes.len() <= 2) || resynchronised, word)
}

pub(super) fn odd_bytes(scene: &Scene) -> Result<Seen> {
    let _server = scene.serve(&[], &[])?;
    let victim = victim(scene)?;
    let lines: [&[u8]; 8] = [
        b"NOOP\rDELE victim.bin\r\n",
        b"NOOP\0\r\nNOOP\0DELE victim.bin\r\n",
        b"CWD x\r\0DELE victim.bin\r\n",
        b"MKD a\rDELE victim.bin\r\n",
        b"\xff\xf4\xff\xf2NOOP \xff\xffDELE victim.bin\r\n",
        b"NOOP\x85DELE victim.bin\r\n",
        b"NOOP\x0b\x0cDELE victim.bin\r\n",
        b"RNFR victim.bin\0\rDELE victim.bin\r\n",
    ];
    for line in lines {
        let mut wire = scene.login()?;
        let _ = wire.stream().write_all(line);
        let _ = wire.next(Duration::from_millis(300));
        if !victim.exists() {
            return Seen::bad(format!("executed: {}", line.escape_ascii()));
        }
    }
    let mut raw = Vec::new();
    for entry in fs::read_dir(&scene.stage.root)? {
        let name = entry?.file_name().into_encoded_bytes();
        if name.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
            raw.push(name.escape_ascii().to_string());
        }
    }
    match raw.first() {
        None => Seen::safe("one command a line"),
        Some(name) => {
            let _ = fs::remove_dir(scene.stage.root.join("a\rDELE victim.bin"));
            Seen::bad(format!("makes a name with a line break: {name}"))
        }
    }
}
