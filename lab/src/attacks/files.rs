//! The jail and the disk: names, patterns, paths, links, offsets, room.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::scene::{Scene, Seen};
use crate::Result;
use crate::process::must;
use crate::wire::Wire;

/// What must never be read through a server.
pub(super) const SECRET: &[u8] = b"the secret that lies outside the tree";

/// A file outside the served directory, beside it.
pub(super) fn secret(scene: &Scene) -> Result<PathBuf> {
    let path = scene.stage.work.path().join("secret-outside.txt");
    fs::write(&path, SECRET)?;
    Ok(path)
}

pub(super) fn listing_injection(scene: &Scene) -> Result<Seen> {
    let _server = scene.serve(&[], &[])?;
    let directory = scene.stage.root.join("tricky");
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
    let mut wire = scene.login()?;
    wire.command("CWD tricky")?;
    let mut forged = Vec::new();
    for command in ["LIST", "NLST", "MLSD", "LIST -la"] {
        let Ok(bytes) = wire.listing(&scene.stage.network.client, command) else {
            wire = scene.login()?;
            wire.command("CWD tricky")?;
            continue;
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // Split as the most gullible client would: at every CR and every LF.
        let lines: Vec<&str> = text
            .split(['\r', '\n'])
            .filter(|line| !line.is_empty())
            .collect();
        if lines
            .iter()
            .any(|line| line.ends_with("forged") && !line.contains("evil"))
        {
            forged.push(command);
        }
        if !lines.iter().any(|line| line.ends_with("plain")) {
            return Err(format!("{command} lacks the honest file").into());
        }
    }
    if forged.is_empty() {
        Seen::safe("no forged line in LIST, NLST, MLSD")
    } else {
        Seen::bad(format!("forged lines in {}", forged.join(", ")))
    }
}

pub(super) fn glob_bombs(scene: &Scene) -> Result<Seen> {
    let _server = scene.serve(&[], &[])?;
    let deep = scene.stage.root.join("deep");
    for name in ["a", "b", "c", "d"] {
        fs::create_dir_all(deep.join(name))?;
        for n in 0..60 {
            fs::write(deep.join(name).join(format!("{}{n}", "a".repeat(200))), "")?;
        }
    }
    let bombs = [
        format!("deep/{}", "*/../".repeat(20) + "*"),
        "*/../*/../*/../*/../*/../*/../*/../*".to_owned(),
        format!("deep/a/{}", "*a".repeat(100)),
        format!("deep/{}", "{a,b}".repeat(30)),
        format!("{}{}", "{a,".repeat(100), "}".repeat(100)),
        format!("deep/a/{}b", "[a-z]*".repeat(40)),
        format!("deep/a/{}b", "a*?".repeat(80)),
        "-R /../../*/../*".to_owned(),
    ];
    let mut other = scene.greet_stranger()?;
    other.enter()?;
    let mut slowest = Duration::ZERO;
    let mut other_waits = Duration::ZERO;
    let mut worst = String::new();
    for bomb in &bombs {
        for verb in ["STAT", "NLST"] {
            let mut wire = scene.login()?;
            let mut data = None;
            if verb == "NLST" {
                let at = wire.passive()?;
                data = Some(scene.dial(at)?);
            }
            let start = Instant::now();
            wire.send(&format!("{verb} {bomb}"))?;
            let asked = Instant::now();
            other.send("NOOP")?;
            other.expect(&[200])?;
            other_waits = other_waits.max(asked.elapsed());
            // Until the final reply; where there is something to be read, it comes before that.
            loop {
                match wire.next(Duration::from_secs(6)) {
                    Ok(Some(reply)) if reply.code < 200 => {
                        if let Some(data) = &mut data {
                            let _ = data.set_read_timeout(Some(Duration::from_secs(5)));
                            let _ = std::io::copy(data, &mut std::io::sink());
                        }
                    }
                    _ => break,
                }
            }
            if start.elapsed() > slowest {
                slowest = start.elapsed();
                worst = format!("{verb} {}", bomb.chars().take(18).collect::<String>());
            }
        }
    }
    let word = format!(
        "slowest {} ms ({worst}), another's NOOP {} ms",
        slowest.as_millis(),
        other_waits.as_millis()
    );
    Seen::if_so(
        slowest < Duration::from_secs(1) && other_waits < Duration::from_millis(500),
        word,
    )
}

pub(super) fn traversal(scene: &Scene) -> Result<Seen> {
    let _server = scene.serve(&[], &[])?;
    let secret = secret(scene)?;
    let absolute = secret.display().to_string();
    let name = "secret-outside.txt";
    let ways = [
        format!("../{name}"),
        format!("../../../../../../{absolute}"),
        format!("/../{name}"),
        format!("/..//../..///{absolute}"),
        absolute.clone(),
        format!("..\\{name}"),
        format!("%2e%2e/{name}"),
        format!("..%2f{name}"),
        format!("....//{name}"),
        format!(".../{name}"),
        format!("./.././{name}"),
        format!("deep/../../{name}"),
        format!("small.bin/../../{name}"),
        format!("\u{ff0e}\u{ff0e}/{name}"),
        format!("..\0/{name}"),
        format!("..;/{name}"),
        format!("~/../{name}"),
        format!("~root/../{absolute}"),
        format!("file://{absolute}"),
        format!("//{absolute}"),
    ];
    let mut wire = scene.login()?;
    for way in &ways {
        for cwd in [None, Some("deep")] {
            if let Some(cwd) = cwd {
                wire.command(&format!("CWD {cwd}"))?;
            }
            if retrieves(scene, &mut wire, way) {
                return Seen::bad(format!("RETR {}", way.escape_debug()));
            }
            // Whatever state it is in now.
            wire = scene.login()?;
        }
    }
    for line in [
        "CWD ..",
        "CWD ../../..",
        "CDUP",
        "CWD /../..",
        "CWD ~root",
        "CWD /proc/1/root",
    ] {
        wire.command(line)?;
        if retrieves(scene, &mut wire, name) || retrieves(scene, &mut wire, &absolute) {
            return Seen::bad(format!("{line}, then RETR"));
        }
        wire = scene.login()?;
    }
    for line in [
        format!("SIZE ../{name}"),
        format!("MDTM ../{name}"),
        format!("DELE ../{name}"),
        format!("RNFR ../{name}"),
        format!("RNFR {absolute}"),
        format!("MLST ../{name}"),
    ] {
        let reply = wire.command(&line)?;
        if reply.code < 400 {
            return Seen::bad(format!("{line}: {}", reply.text.trim_end()));
        }
    }
    let renamed = wire.command("RNFR small.bin")?.code == 350
        && wire.command(&format!("RNTO ../moved-{name}"))?.code < 400;
    let out = scene.stage.work.path().join(format!("moved-{name}"));
    if renamed && out.exists() {
        return Seen::bad("RNTO out of the tree");
    }
    if renamed {
        // Cut back to the root, as most do: where it was meant to go to is inside.
        let _ = fs::rename(
            scene.stage.root.join(format!("moved-{name}")),
            scene.stage.root.join("small.bin"),
        );
    }
    Seen::if_so(
        fs::read(&secret)? == SECRET,
        format!(
            "{} forms of RETR, CWD, SIZE, DELE, RNTO",
            ways.len() * 2 + 13
        ),
    )
}

/// Whether the secret comes.
fn retrieves(scene: &Scene, wire: &mut Wire, path: &str) -> bool {
    let Ok(at) = wire.passive() else { return false };
    if wire.send(&format!("RETR {path}")).is_err() {
        return false;
    }
    // Some announce the transfer only when the data connection stands.
    let Ok(mut data) = scene.dial(at) else {
        return false;
    };
    if !matches!(wire.next(Duration::from_secs(3)), Ok(Some(reply)) if reply.code < 400) {
        return false;
    }
    let _ = data.set_read_timeout(Some(Duration::from_secs(3)));
    let mut bytes = Vec::new();
    let _ = std::io::Read::read_to_end(&mut data, &mut bytes);
    let _ = wire.next(Duration::from_secs(3));
    bytes.windows(SECRET.len()).any(|window| window == SECRET)
}

pub(super) fn links_out(scene: &Scene) -> Result<Seen> {
    let _server = scene.serve(&[], &[])?;
    let secret = secret(scene)?;
    let outside = scene.stage.work.directory("outside")?;
    fs::write(outside.join("inner.txt"), SECRET)?;
    let links = scene.stage.root.join("links");
    let _ = fs::remove_dir_all(&links);
    fs::create_dir(&links)?;
    symlink(&secret, links.join("absolute"))?;
    symlink("../../secret-outside.txt", links.join("relative"))?;
    symlink(&outside, links.join("directory"))?;
    symlink("/", links.join("root"))?;
    symlink("absolute", links.join("twice"))?;
    symlink("/proc/self/cwd", links.join("magic"))?;
    // Each server becomes another user; what is outside may be read by all.
    let tail = secret
        .strip_prefix("/")
        .unwrap_or(&secret)
        .display()
        .to_string();
    for path in [
        "links/absolute".to_owned(),
        "links/relative".to_owned(),
        "links/twice".to_owned(),
        "links/directory/inner.txt".to_owned(),
        format!("links/root/{tail}"),
        format!("links/magic/../{tail}"),
    ] {
        let mut wire = scene.login()?;
        if retrieves(scene, &mut wire, &path) {
            return Seen::bad(format!("RETR {path}"));
        }
    }
    let mut wire = scene.login()?;
    for cwd in ["links/directory", "links/root"] {
        if wire.command(&format!("CWD {cwd}"))?.code < 400
            && retrieves(scene, &mut wire, "inner.txt")
        {
            return Seen::bad(format!("CWD {cwd}"));
        }
        wire = scene.login()?;
    }
    let at = wire.passive()?;
    wire.send("STOR links/directory/planted")?;
    let _ = scene.dial(at).map(|mut data| data.write_all(b"x"));
    for _ in 0..2 {
        let _ = wire.next(Duration::from_millis(500));
    }
    Seen::if_so(
        !outside.join("planted").exists(),
        "six links, RETR, CWD, STOR",
    )
}

pub(super) fn offsets(scene: &Scene) -> Result<Seen> {
    let _server = scene.serve(&[], &[])?;
    let mut answers = Vec::new();
    let mut wire = scene.login()?;
    for offset in [
        "99999999999999999999",
        "-1",
        "0x10",
        "1e9",
        "18446744073709551615",
    ] {
        answers.push(wire.command(&format!("REST {offset}"))?.code);
        if wire.command("NOOP")?.code != 200 {
            return Seen::bad(format!("REST {offset} costs the session"));
        }
    }
    let bad = answers.iter().take(4).filter(|code| **code < 400).count();
    // A byte behind a terabyte.
    let file = scene.stage.root.join("far.bin");
    let _ = fs::remove_file(&file);
    let at = wire.passive()?;
    wire.command("REST 1099511627776")?;
    wire.send("STOR far.bin")?;
    if let Ok(mut data) = scene.dial(at) {
        let _ = data.write_all(b"x");
    }
    while matches!(wire.next(Duration::from_secs(3)), Ok(Some(reply)) if reply.code < 200) {}
    let size = fs::metadata(&file).map_or(0, |facts| facts.size());
    let _ = fs::remove_file(&file);
    // Behind the end of a file that is there.
    let mut wire = scene.login()?;
    wire.command("REST 9223372036854775807")?;
    let at = wire.passive()?;
    wire.send("RETR small.bin")?;
    drop(scene.dial(at));
    let mut reply = 0;
    while let Ok(Some(next)) = wire.next(Duration::from_secs(3)) {
        reply = next.code;
        if reply >= 200 {
            break;
        }
    }
    let alive = wire.command("NOOP").is_ok_and(|reply| reply.code == 200);
    let word = format!(
        "REST {answers:?}, a file of {} GiB, RETR behind the end {reply}",
        size >> 30
    );
    Seen::if_so(bad == 0 && size < 1 << 30 && alive, word)
}

/// A file system of its own, unmounted when dropped.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path) -> Result<Self> {
        fs::create_dir_all(at)?;
        let mut command = Command::new("mount");
        command
            .args(["-t", "tmpfs", "-o", "size=4m,mode=777", "wharf-lab"])
            .arg(at);
        must(command, b"")?;
        Ok(Self(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let mut command = Command::new("umount");
        command.arg("-l").arg(&self.0);
        if let Err(failure) = must(command, b"") {
            eprintln!("note: {failure}");
        }
    }
}

pub(super) fn disk_full(scene: &Scene) -> Result<Seen> {
    let small = Small::mount(&scene.stage.root.join("small"))?;
    let old = small.0.join("kept.bin");
    fs::write(&old, b"the old file")?;
    let mut permissions = fs::metadata(&old)?.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o666);
    fs::set_permissions(&old, permissions)?;
    let server = scene.serve(&[], &[])?;
    let mut wire = scene.login()?;
    let at = wire.passive()?;
    wire.send("STOR small/kept.bin")?;
    let mut data = scene.dial(at)?;
    wire.next(Duration::from_secs(5))?;
    data.set_write_timeout(Some(Duration::from_secs(5)))?;
    let block = vec![7; 1 << 16];
    for _ in 0..128 {
        if data.write_all(&block).is_err() {
            break;
        }
    }
    drop(data);
    let reply = wire
        .next(Duration::from_secs(30))?
        .map_or(0, |reply| reply.code);
    let kept = fs::read(&old).unwrap_or_default() == b"the old file";
    // Room again as soon as the broken upload is over.
    drop(wire);
    drop(server);
    let left: u64 = fs::read_dir(&small.0)?
        .filter_map(std::result::Result::ok)
        .filter_map(|entry| entry.metadata().ok())
        .map(|facts| facts.size())
        .sum();
    drop(small);
    let word = format!(
        "{reply}, the old file {}, {} KiB left behind",
        if kept { "kept" } else { "LOST" },
        left >> 10
    );
    Seen::if_so(reply == 452 && kept && left < 1 << 16, word)
}

pub(super) fn cut_upload(scene: &Scene) -> Result<Seen> {
    // A reset is sent once. Should it be lost on a loaded machine, what is left is the time in which nothing moves.
    let _server = scene.serve(&["--stall-timeout", "5s"], &[])?;
    let old = scene.stage.root.join("cut.bin");
    fs::write(&old, b"the old file")?;
    let mut permissions = fs::metadata(&old)?.permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o666);
    fs::set_permissions(&old, permissions)?;
    let mut wire = scene.login()?;
    let at = wire.passive()?;
    wire.send("STOR cut.bin")?;
    let mut data = scene.dial(at)?;
    wire.next(Duration::from_secs(5))?;
    data.write_all(&vec![7; 500_000])?;
    std::thread::sleep(Duration::from_millis(200));
    // A reset, as a crash of the client's machine or a firewall makes it.
    rustix::net::sockopt::set_socket_linger(&data, Some(Duration::ZERO))?;
    drop(data);
    let reply = wire
        .next(Duration::from_secs(10))?
        .map_or(0, |reply| reply.code);
    let kept = fs::read(&old).unwrap_or_default() == b"the old file";
    let _ = fs::remove_file(&old);
    Seen::if_so(
        reply >= 400 && kept,
        format!(
            "{reply}, the old file {}",
            if kept { "kept" } else { "LOST" }
        ),
    )
}

/// A megabyte, of which 100,000 octets may be used.
pub(super) fn quota(scene: &Scene) -> Result<Seen> {
    if !scene.is_wharf() {
        return Seen::inapplicable("not configured in the lab");
    }
    let users = super::login::users_file(
        scene,
        "home = \"/bounded\"\nquota_bytes = 100000\nquota_files = 3\n",
    )?;
    let home = scene.stage.root.join("bounded");
    let _ = fs::remove_dir_all(&home);
    fs::create_dir(&home)?;
    fs::write(home.join("old.bin"), vec![1; 40_000])?;
    let _server = scene.serve(&["--users", &users.to_string_lossy()], &[])?;
    let mut wire = super::login::enter_as(scene, super::login::HASHED)?;
    let mut store = |name: &str, bytes: usize| -> Result<u16> {
        let at = wire.passive()?;
        wire.send(&format!("STOR {name}"))?;
        let reply = wire
            .next(Duration::from_secs(5))?
            .map_or(0, |reply| reply.code);
        if reply >= 400 {
            return Ok(reply);
        }
        let mut data = scene.dial(at)?;
        let _ = data.set_write_timeout(Some(Duration::from_secs(5)));
        let _ = data.write_all(&vec![2; bytes]);
        drop(data);
        Ok(wire
            .next(Duration::from_secs(10))?
            .map_or(0, |reply| reply.code))
    };
    let codes = [
        store("fits.bin", 50_000)?,
        store("old.bin", 1_000_000)?,
        store("third.bin", 1)?,
        store("fourth.bin", 1)?,
    ];
    let old = fs::read(home.join("old.bin"))?;
    let names: Vec<String> = fs::read_dir(&home)?
        .filter_map(std::result::Result::ok)
        .map(|entry| String::from_utf8_lossy(entry.file_name().as_bytes()).into_owned())
        .collect();
    let word = format!("{codes:?}, {} files", names.len());
    Seen::if_so(
        codes == [226, 552, 226, 552] && old == vec![1; 40_000] && names.len() == 3,
        word,
    )
}
