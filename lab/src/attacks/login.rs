//! Passwords: who exists, guessing, expensive checks, what is written to the log.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::scene::{Scene, Seen};
use crate::Result;
use crate::process::{isolate, must, run};
use crate::server::{Kind, PASSWORD, USER};
use crate::stage::STRANGER;
use crate::wire::{Wire, connect_from};

/// A user of wharf's users file, whose password is kept as argon2id.
pub(super) const HASHED: &str = "hashed";

/// A users file with one user, with these further lines in the user's table.
pub(super) fn users_file(scene: &Scene, further: &str) -> Result<PathBuf> {
    let directory = scene.own_directory()?;
    let file = directory.join("users.toml");
    let secret = directory.join("secret");
    fs::write(&secret, PASSWORD)?;
    let mut command = Command::new(&scene.stage.wharf);
    command
        .args(["user", "add", "--file"])
        .arg(&file)
        .arg("--password-file")
        .arg(&secret)
        .arg(HASHED);
    isolate(&mut command, &directory);
    must(command, b"")?;
    let text = fs::read_to_string(&file)? + further;
    fs::write(&file, text)?;
    Ok(file)
}

/// Logs in as that user, representation type image.
pub(super) fn enter_as(scene: &Scene, user: &str) -> Result<Wire> {
    let mut wire = scene.greet()?;
    wire.command(&format!("USER {user}"))?;
    wire.send(&format!("PASS {PASSWORD}"))?;
    wire.expect(&[230])?;
    wire.send("TYPE I")?;
    wire.expect(&[200])?;
    Ok(wire)
}

/// A failed login's two replies.
fn refused(scene: &Scene, user: &str) -> Result<(String, String, Duration)> {
    let mut wire = scene.greet()?;
    let first = wire.command(&format!("USER {user}"))?.text;
    let start = Instant::now();
    let second = wire.command("PASS wrong-password")?.text;
    Ok((
        first.replace(user, "NAME"),
        second.replace(user, "NAME"),
        start.elapsed(),
    ))
}

/// vsftpd's only user here gets in with any password.
fn lets_everybody_in(scene: &Scene) -> bool {
    scene.kind == Kind::Vsftpd
}

pub(super) fn by_text(scene: &Scene) -> Result<Seen> {
    if lets_everybody_in(scene) {
        return Seen::inapplicable("its user here needs no password");
    }
    let users = if scene.is_wharf() {
        users_file(scene, "")?
    } else {
        PathBuf::new()
    };
    let _server = scene.serve(
        &["--users", &users.to_string_lossy(), "--ban-after", "0"],
        &[],
    )?;
    let known = if scene.is_wharf() { HASHED } else { USER };
    let (a, b, _) = refused(scene, known)?;
    for unknown in ["nobody-of-that-name", "root", "x", "a'b--"] {
        let (c, d, _) = refused(scene, unknown)?;
        if (&a, &b) != (&c, &d) {
            return Seen::bad(format!("{} / {}", b.trim_end(), d.trim_end()));
        }
    }
    Seen::safe(format!("both: {}", b.trim_end()))
}

pub(super) fn by_time(scene: &Scene) -> Result<Seen> {
    if lets_everybody_in(scene) {
        return Seen::inapplicable("its user here needs no password");
    }
    let users = if scene.is_wharf() {
        users_file(scene, "")?
    } else {
        PathBuf::new()
    };
    let _server = scene.serve(
        &["--users", &users.to_string_lossy(), "--ban-after", "0"],
        &[],
    )?;
    let known = if scene.is_wharf() { HASHED } else { USER };
    let (mut of_known, mut of_unknown) = (Vec::new(), Vec::new());
    let start = Instant::now();
    // In turns, so that what else happens on the machine happens to both.
    while of_known.len() < 15 && start.elapsed() < Duration::from_secs(30) {
        of_known.push(refused(scene, known)?.2);
        of_unknown.push(refused(scene, "nobody-of-that-name")?.2);
    }
    // The least of each: noise only ever adds.
    let least = |times: &[Duration]| times.iter().min().copied().unwrap_or_default();
    let (known, unknown) = (least(&of_known), least(&of_unknown));
    let apart = known.abs_diff(unknown);
    let word = format!(
        "{:.1} ms known, {:.1} ms unknown",
        millis(known),
        millis(unknown)
    );
    // A quarter, and more than a network hides.
    Seen::if_so(
        apart < Duration::from_micros(500) || apart * 4 < known.max(unknown),
        word,
    )
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Guesses from one address until a connection is turned away, or for so many guesses or seconds.
fn guess(scene: &Scene, most: usize, limit: Duration) -> Result<(usize, bool)> {
    let start = Instant::now();
    let mut tried = 0;
    while tried < most && start.elapsed() < limit {
        let mut wire = Wire::over(scene.connect(STRANGER, scene.control())?).ok();
        let Some(wire) = wire.as_mut() else {
            return Ok((tried, true));
        };
        loop {
            if wire.send(&format!("USER {USER}")).is_err() {
                break;
            }
            let Ok(Some(reply)) = wire.next(Duration::from_secs(20)) else {
                break;
            };
            if reply.code != 331 {
                break;
            }
            wire.send(&format!("PASS guess-{tried}"))?;
            let Ok(Some(reply)) = wire.next(Duration::from_secs(20)) else {
                break;
            };
            tried += 1;
            if reply.code == 421 {
                return Ok((tried, true));
            }
            if tried >= most || start.elapsed() > limit {
                break;
            }
        }
    }
    Ok((tried, false))
}

pub(super) fn brute_force(scene: &Scene) -> Result<Seen> {
    if lets_everybody_in(scene) {
        return Seen::inapplicable("its user here needs no password");
    }
    let _server = scene.serve(&[], &[])?;
    let start = Instant::now();
    let (tried, shut_out) = guess(scene, 100, Duration::from_secs(20))?;
    let seconds = start.elapsed().as_secs_f64();
    let word = format!(
        "{tried} guesses in {seconds:.1} s{}",
        if shut_out { ", then shut out" } else { "" }
    );
    Seen::if_so(shut_out || f64::from(u32::try_from(tried)?) < seconds, word)
}

pub(super) fn others_served(scene: &Scene) -> Result<Seen> {
    if lets_everybody_in(scene) {
        return Seen::inapplicable("its user here needs no password");
    }
    let _server = scene.serve(&[], &[])?;
    drop(scene.login()?);
    let (tried, shut_out) = guess(scene, 60, Duration::from_secs(15))?;
    let start = Instant::now();
    scene.login()?;
    let word = format!(
        "{tried} guesses{}; the client waits {} ms",
        if shut_out { ", shut out" } else { "" },
        start.elapsed().as_millis()
    );
    Seen::if_so(start.elapsed() < Duration::from_secs(2), word)
}

/// Thirty-two sessions of sixteen addresses log in at once, again and again; another session says NOOP.
pub(super) fn hash_flood(scene: &Scene) -> Result<Seen> {
    let users = if scene.is_wharf() {
        users_file(scene, "")?
    } else {
        PathBuf::new()
    };
    let _server = scene.serve(
        &[
            "--users",
            &users.to_string_lossy(),
            "--ban-after",
            "0",
            "--login-attempts",
            "1000",
        ],
        &[],
    )?;
    let client = &scene.stage.network.client;
    let addresses: Vec<Ipv4Addr> = (0..16)
        .map(|n| Ipv4Addr::new(198, 51, 100, 160 + n))
        .collect();
    for address in &addresses {
        client.ip(&format!("addr replace {address}/25 dev eth\n"))?;
    }
    let mut honest = scene.login()?;
    let over = AtomicBool::new(false);
    let name = if scene.is_wharf() { HASHED } else { USER };
    let (mut waits, mut tried) = (Vec::new(), 0_usize);
    client.inside(|| {
        thread::scope(|scope| {
            let floods: Vec<_> = (0..32)
                .map(|n| {
                    let (over, from, to) = (&over, addresses[n % addresses.len()], scene.control());
                    scope.spawn(move || {
                        let mut count = 0;
                        while !over.load(Ordering::Relaxed) {
                            let Ok(stream) = connect_from(IpAddr::V4(from), to) else {
                                break;
                            };
                            let Ok(mut wire) = Wire::over(stream) else {
                                continue;
                            };
                            while !over.load(Ordering::Relaxed) {
                                if wire.send(&format!("USER {name}")).is_err()
                                    || wire.next(Duration::from_secs(5)).is_err()
                                    || wire.send("PASS wrong").is_err()
                                {
                                    break;
                                }
                                match wire.next(Duration::from_secs(5)) {
                                    Ok(Some(_)) => count += 1,
                                    _ => break,
                                }
                            }
                        }
                        count
                    })
                })
                .collect();
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(3) {
                let asked = Instant::now();
                if honest.send("NOOP").is_err() || honest.expect(&[200]).is_err() {
                    waits.extend([Duration::from_secs(99); 100]);
                    break;
                }
                waits.push(asked.elapsed());
                thread::sleep(Duration::from_millis(5));
            }
            over.store(true, Ordering::Relaxed);
            tried = floods
                .into_iter()
                .filter_map(|flood| flood.join().ok())
                .sum();
        });
    })?;
    waits.sort_unstable();
    let slowest = waits
        .get(waits.len() * 95 / 100)
        .copied()
        .unwrap_or_default();
    let word = format!("{tried} logins in 3 s, NOOP p95 {} ms", slowest.as_millis());
    Seen::if_so(slowest < Duration::from_millis(250), word)
}

pub(super) fn log_injection(scene: &Scene) -> Result<Seen> {
    if !scene.is_wharf() {
        return Seen::inapplicable("logs to syslog, which the lab has not");
    }
    let server = scene.serve(&[], &[])?;
    let names: [&[u8]; 5] = [
        b"x\" client=192.0.2.1\rauth failed user=\"y\" client=192.0.2.2",
        b"\x1b[2J\x1b]0;owned\x07",
        b"a\x00b\x85c\xe2\x80\xa8d",
        b"\xff\xff\xfe%s%n{}",
        b"x\\\" client=192.0.2.3 ",
    ];
    for name in names {
        let mut wire = scene.greet()?;
        let line = [b"USER ", name, b"\r\nPASS wrong\r\nQUIT\r\n"].concat();
        std::io::Write::write_all(wire.stream(), &line)?;
        while let Ok(Some(_)) = wire.next(Duration::from_secs(3)) {}
    }
    thread::sleep(Duration::from_millis(100));
    let said = server.daemon.said();
    let raw = said.chars().any(|c| c.is_control() && c != '\n');
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("auth failed"))
        .collect();
    let forged = lines
        .iter()
        .any(|line| !line.trim_end().ends_with("client=198.51.100.130"));
    let word = format!("{} lines for {} names", lines.len(), names.len());
    Seen::if_so(
        !raw && !forged && !lines.is_empty() && lines.len() <= names.len(),
        word,
    )
}

pub(super) fn malformed(scene: &Scene) -> Result<Seen> {
    if !scene.is_wharf() {
        // What a line does that makes no sense.
        return match scene.serve(&[], &["this_is_no_setting=1"]) {
            _ if !matches!(scene.kind, Kind::Vsftpd | Kind::ProFtpd) => {
                Seen::inapplicable("no configuration file here")
            }
            Err(_) => Seen::safe("does not start with an unknown setting"),
            Ok(_) => Seen::bad("starts with an unknown setting"),
        };
    }
    let good = fs::read_to_string(users_file(scene, "")?)?;
    let directory = scene.own_directory()?;
    let damaged = [
        good.replace("[[user]]", "[[user]"),
        good.replace("password", "passwd"),
        good.replace("argon2id", "argon2x"),
        good.replace("$argon2id$", ""),
        format!("{good}sessions = \"many\"\n"),
        format!("{good}sessions = 0\n"),
        format!("{good}quota_bytes = -1\n"),
        format!("{good}quota_bytes = \"1 GB\"\n"),
        format!("{good}read_only = \"no\"\n"),
        format!("{good}{good}"),
        good.get(..good.len() / 2).unwrap_or_default().to_owned(),
        format!("{good}uid = \"zero\"\n"),
    ];
    for (number, text) in damaged.iter().enumerate() {
        let file = directory.join("users.toml");
        fs::write(&file, text)?;
        let mut command = Command::new(&scene.stage.wharf);
        command
            .arg("check")
            .arg(&scene.stage.root)
            .arg("--users")
            .arg(&file)
            .args(["--listen", "127.0.0.1:0"]);
        isolate(&mut command, &directory);
        if run(command, b"", Duration::from_secs(20))?.succeeded() {
            return Seen::bad(format!("damaged users file {number} is accepted"));
        }
        if scene
            .serve(&["--users", &file.to_string_lossy()], &[])
            .is_ok()
        {
            return Seen::bad(format!("serves with damaged users file {number}"));
        }
    }
    for (number, text) in [
        "[bans]\nafter = \"ten\"\n",
        "[bans]\ntrusted = [\"everybody\"]\n",
        "listen = [\"nowhere\"]\n",
        "[limits]\nlogin_attempts = -1\n",
        "unknown = 1\n",
    ]
    .iter()
    .enumerate()
    {
        let file = directory.join("wharf.toml");
        fs::write(&file, text)?;
        if scene
            .serve(&["--config", &file.to_string_lossy()], &[])
            .is_ok()
        {
            return Seen::bad(format!("serves with damaged configuration {number}"));
        }
    }
    let list = directory.join("damaged-bans");
    fs::write(&list, "[[ban]]\nclients = \"198.51.100.130/99\"\n")?;
    let mut command = Command::new(&scene.stage.wharf);
    command
        .arg("check")
        .arg(&scene.stage.root)
        .arg("--ban-list")
        .arg(&list)
        .args(["--listen", "127.0.0.1:0", "--anonymous"]);
    isolate(&mut command, &directory);
    if run(command, b"", Duration::from_secs(20))?.succeeded() {
        return Seen::bad("a damaged list of bans is accepted");
    }
    Seen::safe(format!(
        "{} damaged files, none accepted",
        damaged.len() + 6
    ))
}
