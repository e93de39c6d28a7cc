//! Ten thousand idle sockets and a flood of logins, and somebody who works meanwhile.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::login::{HASHED, users_file};
use super::scene::{Scene, resident};
use crate::server::Kind;
use crate::tally::Tally;
use crate::wire::{Wire, connect_from};
use crate::{Result, Settings};

/// Another session's NOOP, at most, for 99 of 100.
const BOUND: Duration = Duration::from_millis(50);

/// Runs the part: two thousand sockets, ten thousand with `--full`.
#[expect(clippy::unnecessary_wraps, reason = "the form of all parts")]
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let (sockets, seconds) = if settings.full {
        (10_000, 30)
    } else {
        (2_000, 8)
    };
    println!("\n{sockets} idle sockets and a flood of logins");
    let outcome = flood(settings, sockets, Duration::from_secs(seconds));
    tally.check("another session's NOOP p99 stays below 50 ms", outcome);
    Ok(())
}

fn flood(settings: &Settings, sockets: usize, length: Duration) -> Result<String> {
    // The server inherits this. Those that do not log in may have three quarters of its descriptors.
    let limit = rustix::process::Resource::Nofile;
    let mut now = rustix::process::getrlimit(limit);
    now.current = now.maximum;
    rustix::process::setrlimit(limit, now)?;
    let possible = now
        .maximum
        .map_or(u64::MAX, |most| most.saturating_sub(500) / 4 * 3);
    let wanted = sockets;
    let sockets = wanted.min(usize::try_from(possible).unwrap_or(usize::MAX));
    if sockets < wanted {
        println!(
            "note: the limit of open files leaves room for {sockets} sockets, not for {wanted}"
        );
    }
    let scene = Scene::build(settings, Kind::Wharf)?;
    let client = &scene.stage.network.client;
    // Sixty addresses sit idle, sixteen others guess, and one works.
    let address = |n: usize| Ipv4Addr::new(198, 51, 100, u8::try_from(160 + n).unwrap_or(250));
    let addresses: Vec<Ipv4Addr> = (0..76).map(address).collect();
    for address in &addresses {
        client.ip(&format!("addr replace {address}/25 dev eth\n"))?;
    }
    let users = users_file(&scene, "")?;
    let each = (sockets / 60 + 20).to_string();
    let mut server = scene.serve(
        &[
            "--users",
            &users.to_string_lossy(),
            "--max-sessions",
            "20000",
            "--max-per-address",
            &each,
            "--login-timeout",
            "10m",
            // The flood is not to be ended by bans: it is what ten thousand addresses could do.
            "--ban-after",
            "0",
            "--login-attempts",
            "1000",
            "-q",
        ],
        &[],
    )?;
    let to = scene.control();
    let mut honest = scene.login()?;
    let quiet = measure(&mut honest, Duration::from_secs(2))?;
    let over = AtomicBool::new(false);
    let guesses = AtomicUsize::new(0);
    let mut held = Vec::with_capacity(sockets);
    let mut times = Ok(Vec::new());
    let mut failed = None;
    client.inside(|| {
        for n in 0..sockets {
            match connect_from(IpAddr::V4(address(n % 60)), to) {
                Ok(stream) => held.push(stream),
                Err(failure) => {
                    failed = Some(failure.to_string());
                    return;
                }
            }
        }
        thread::scope(|scope| {
            for n in 0..32 {
                let (over, guesses, from) = (&over, &guesses, address(60 + n % 16));
                scope.spawn(move || guess(over, guesses, from, to));
            }
            thread::sleep(Duration::from_millis(500));
            times = measure(&mut honest, length);
            over.store(true, Ordering::Relaxed);
        });
    })?;
    if let Some(failure) = failed {
        return Err(format!("after {} sockets: {failure}", held.len()).into());
    }
    let times = times?;
    // They have to stand, or nothing was held.
    let standing = held
        .iter()
        .filter(|stream| stream.set_nonblocking(true).is_ok() && stands(stream))
        .count();
    let resident = resident(&server);
    if !server.daemon.alive() {
        return Err("the server has ended".into());
    }
    let (p50, p99) = (percentile(&times, 50), percentile(&times, 99));
    let note = format!(
        "{standing} sockets stand, {} logins checked in {} s, {} NOOPs: p50 {:.1} ms, p99 {:.1} ms, slowest {:.1} ms (without: p99 {:.1} ms); {} MiB resident",
        guesses.load(Ordering::Relaxed),
        length.as_secs(),
        times.len(),
        millis(p50),
        millis(p99),
        millis(percentile(&times, 100)),
        millis(percentile(&quiet, 99)),
        resident >> 10,
    );
    if p99 < BOUND && standing == sockets && guesses.load(Ordering::Relaxed) > 0 {
        Ok(note)
    } else {
        Err(note.into())
    }
}

/// Whether the server has not ended it.
fn stands(mut stream: &std::net::TcpStream) -> bool {
    let mut chunk = [0; 512];
    loop {
        match std::io::Read::read(&mut stream, &mut chunk) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

/// Wrong passwords of a user with an argon2id hash, without a pause.
fn guess(over: &AtomicBool, guesses: &AtomicUsize, from: Ipv4Addr, to: std::net::SocketAddr) {
    while !over.load(Ordering::Relaxed) {
        let Ok(stream) = connect_from(IpAddr::V4(from), to) else {
            continue;
        };
        let Ok(mut wire) = Wire::over(stream) else {
            continue;
        };
        while !over.load(Ordering::Relaxed) {
            let asked = wire.send(&format!("USER {HASHED}")).is_ok()
                && wire
                    .next(Duration::from_secs(30))
                    .is_ok_and(|reply| reply.is_some())
                && wire.send("PASS wrong").is_ok();
            if !asked
                || !wire
                    .next(Duration::from_secs(30))
                    .is_ok_and(|reply| reply.is_some())
            {
                break;
            }
            guesses.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// NOOP after NOOP with a short pause, for that long; how long each took, sorted.
fn measure(wire: &mut Wire, length: Duration) -> Result<Vec<Duration>> {
    let start = Instant::now();
    let mut times = Vec::new();
    while start.elapsed() < length {
        let asked = Instant::now();
        wire.send("NOOP")?;
        wire.expect(&[200])?;
        times.push(asked.elapsed());
        thread::sleep(Duration::from_millis(5));
    }
    times.sort_unstable();
    Ok(times)
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
