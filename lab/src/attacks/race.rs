//! A racer against the jail: names of the tree change into links that lead out, and back, while they are used.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::files::SECRET;
use super::scene::{Scene, Seen};
use crate::server::Kind;
use crate::tally::Tally;
use crate::wire::Wire;
use crate::{Result, Settings};

/// In the table, where every server gets it.
const SHORT: Duration = Duration::from_secs(4);

/// What the racers and the sessions have in common.
struct Race<'a> {
    scene: &'a Scene,
    over: AtomicBool,
    swaps: AtomicU64,
    tries: AtomicU64,
    escaped: AtomicBool,
}

pub(super) fn swapped(scene: &Scene) -> Result<Seen> {
    let (tries, swaps, escape) = race(scene, SHORT)?;
    match escape {
        None => Seen::safe(format!("{tries} tries, {swaps} swaps")),
        Some(how) => Seen::bad(how),
    }
}

/// The part of its own: twenty seconds, ten minutes with `--full`; wharf alone.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    let scene = Scene::build(settings, Kind::Wharf)?;
    let length = Duration::from_secs(if settings.full { 600 } else { 20 });
    println!("\na racer against the jail, {} s", length.as_secs());
    let outcome = race(&scene, length).and_then(|(tries, swaps, escape)| match escape {
        None if tries > 50 && swaps > 1000 => Ok(format!("{tries} tries, {swaps} swaps")),
        None => Err(format!("no race: {tries} tries, {swaps} swaps").into()),
        Some(how) => Err(how.into()),
    });
    tally.check(
        "symbolic links and directories swapped while they are used: no escape",
        outcome,
    );
    Ok(())
}

/// Tries, swaps, and how something outside was reached, if so.
fn race(scene: &Scene, length: Duration) -> Result<(u64, u64, Option<String>)> {
    let outside = scene.stage.work.path().join("outside-of-race");
    let _ = fs::remove_dir_all(&outside);
    fs::create_dir_all(outside.join("inner"))?;
    for place in [outside.join("file.txt"), outside.join("inner/file.txt")] {
        fs::write(place, SECRET)?;
    }
    for open in [&outside, &outside.join("inner")] {
        fs::set_permissions(open, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    }
    let tree = scene.stage.root.join("race");
    let _ = fs::remove_dir_all(&tree);
    fs::create_dir_all(tree.join("real/inner"))?;
    fs::create_dir_all(tree.join("a/b/c/inner"))?;
    for place in [
        "real/file.txt",
        "real/inner/file.txt",
        "a/b/c/file.txt",
        "a/b/file.txt",
        "a/file.txt",
    ] {
        fs::write(tree.join(place), "inside")?;
    }
    for open in ["", "real", "real/inner", "a", "a/b", "a/b/c"] {
        fs::set_permissions(
            tree.join(open),
            std::os::unix::fs::PermissionsExt::from_mode(0o777),
        )?;
    }
    symlink(&outside, tree.join("link"))?;
    symlink("../../../outside-of-race", tree.join("a/link"))?;
    let _server = scene.serve(&[], &[])?;
    let race = Race {
        scene,
        over: AtomicBool::new(false),
        swaps: AtomicU64::new(0),
        tries: AtomicU64::new(0),
        escaped: AtomicBool::new(false),
    };
    let mut escape = None;
    scene.stage.network.client.inside(|| {
        thread::scope(|scope| {
            // A directory and a link to outside take each other's place; a directory moves up and down.
            scope.spawn(|| race.swap(&tree.join("real"), &tree.join("link")));
            scope.spawn(|| race.climb(&tree));
            let sessions: Vec<_> = (0..3)
                .map(|n| {
                    let race = &race;
                    let outside = &outside;
                    scope.spawn(move || race.session(n, outside))
                })
                .collect();
            let start = Instant::now();
            while start.elapsed() < length && !race.escaped.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(50));
            }
            race.over.store(true, Ordering::Relaxed);
            for session in sessions {
                if let Ok(Some(how)) = session.join() {
                    escape = Some(how);
                }
            }
        });
    })?;
    if escape.is_none() {
        // What was stored must be inside, whatever name it went by.
        for directory in [&outside, &outside.join("inner")] {
            for entry in fs::read_dir(directory)? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                if name != "file.txt" && name != "inner" {
                    escape = Some(format!("{name} stands outside"));
                }
            }
        }
    }
    Ok((
        race.tries.load(Ordering::Relaxed),
        race.swaps.load(Ordering::Relaxed),
        escape,
    ))
}

impl Race<'_> {
    fn swap(&self, one: &Path, other: &Path) {
        while !self.over.load(Ordering::Relaxed) {
            if renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok() {
                self.swaps.fetch_add(1, Ordering::Relaxed);
            }
            // The server needs the processor, too.
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// `a/b/c` becomes `c` and back: `..` leads elsewhere from one moment to the next.
    fn climb(&self, tree: &Path) {
        let (deep, high) = (tree.join("a/b/c"), tree.join("c"));
        while !self.over.load(Ordering::Relaxed) {
            let _ = fs::rename(&deep, &high);
            thread::sleep(Duration::from_micros(150));
            let _ = fs::rename(&high, &deep);
            thread::sleep(Duration::from_micros(150));
            self.swaps.fetch_add(2, Ordering::Relaxed);
        }
    }

    fn session(&self, number: u64, outside: &Path) -> Option<String> {
        let mut wire = None;
        let mut count = number;
        while !self.over.load(Ordering::Relaxed) {
            let open = match wire.take() {
                Some(open) => Some(open),
                None => self.login().ok(),
            };
            let Some(mut open) = open else { continue };
            count += 1;
            let tried = Self::attempt(&mut open, count, outside);
            self.tries.fetch_add(1, Ordering::Relaxed);
            match tried {
                Ok(None) => wire = Some(open),
                Ok(Some(how)) => {
                    self.escaped.store(true, Ordering::Relaxed);
                    return Some(how);
                }
                Err(_) => {}
            }
        }
        None
    }

    fn login(&self) -> Result<Wire> {
        let mut wire = Wire::over(std::net::TcpStream::connect(self.scene.control())?)?;
        wire.enter()?;
        Ok(wire)
    }

    /// One use of a name that may lead out at any moment.
    fn attempt(wire: &mut Wire, count: u64, outside: &Path) -> Result<Option<String>> {
        let patience = Duration::from_secs(2);
        match count % 6 {
            0 => retrieve(wire, "race/real/file.txt"),
            1 => retrieve(wire, "race/link/inner/file.txt"),
            2 => {
                wire.command("CWD /race/link/inner")?;
                let found = retrieve(wire, "file.txt");
                wire.command("CWD /")?;
                found
            }
            3 => {
                wire.command("CWD /race/a/b/c")?;
                let found = retrieve(wire, "../../link/file.txt");
                wire.command("CWD /")?;
                found
            }
            4 => {
                let name = format!("race/link/planted-{count}");
                let at = wire.passive()?;
                wire.send(&format!("STOR {name}"))?;
                let mut data = std::net::TcpStream::connect(at)?;
                if wire.next(patience)?.is_some_and(|reply| reply.code < 200) {
                    data.write_all(b"planted")?;
                    drop(data);
                    wire.next(patience)?;
                }
                wire.command(&format!("DELE {name}"))?;
                let planted = outside.join(format!("planted-{count}")).exists();
                Ok(planted.then(|| format!("STOR {name}")))
            }
            _ => {
                wire.command(&format!("MKD race/real/made-{count}"))?;
                let made = outside.join(format!("made-{count}")).exists();
                wire.command(&format!("RMD race/real/made-{count}"))?;
                wire.command("RNFR race/link/inner")?;
                wire.command("RNTO race/link/inner2")?;
                wire.command("RNFR race/link/inner2")?;
                wire.command("RNTO race/link/inner")?;
                let renamed = !outside.join("inner").exists();
                Ok((made || renamed).then(|| "MKD or RNFR outside".to_owned()))
            }
        }
    }
}

/// Downloads it; how the secret came, if it did.
fn retrieve(wire: &mut Wire, path: &str) -> Result<Option<String>> {
    let patience = Duration::from_secs(2);
    let at = wire.passive()?;
    wire.send(&format!("RETR {path}"))?;
    // Some announce the transfer only when the data connection stands.
    let mut data = std::net::TcpStream::connect(at)?;
    let Some(reply) = wire.next(patience)? else {
        return Err("closed".into());
    };
    if reply.code >= 300 {
        return Ok(None);
    }
    data.set_read_timeout(Some(patience))?;
    let mut bytes = Vec::new();
    data.read_to_end(&mut bytes)?;
    wire.next(patience)?;
    let out = bytes.windows(SECRET.len()).any(|window| window == SECRET);
    Ok(out.then(|| format!("RETR {path}")))
}
