//! Whose a data connection is, and which port comes next.

use std::collections::HashSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use super::scene::{Scene, Seen};
use crate::stage::{CLIENT, STRANGER};
use crate::wire::{Wire, dial_from};
use crate::{Result, topology};

/// What a stranger's connection gets to see.
fn heard(mut stream: TcpStream) -> Vec<u8> {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(3)));
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

pub(super) fn steal_download(scene: &Scene) -> Result<Seen> {
    let _server = scene.serve(&[], &[])?;
    let mut wire = scene.login()?;
    let at = wire.passive()?;
    let thief = dial_from(&scene.stage.network.client, STRANGER.into(), at)?;
    thread::sleep(Duration::from_millis(50));
    wire.send("RETR small.bin")?;
    let mut got = Vec::new();
    if let Ok(mut data) = dial_from(&scene.stage.network.client, CLIENT.into(), at) {
        data.set_read_timeout(Some(Duration::from_secs(5)))?;
        let _ = data.read_to_end(&mut got);
    }
    let reply = wire
        .next(Duration::from_secs(5))?
        .map_or(0, |reply| reply.code);
    let stolen = heard(thief);
    let whole = fs::read(scene.stage.root.join("small.bin"))? == got;
    match (stolen.len(), whole) {
        (0, true) => Seen::safe("the stranger is dropped, the client served"),
        (0, false) => Seen::bad(format!("the client starves ({reply})")),
        (n, _) => Seen::bad(format!("{n} bytes to the stranger")),
    }
}

pub(super) fn steal_upload(scene: &Scene) -> Result<Seen> {
    let _server = scene.serve(&[], &[])?;
    let name = "stolen-upload.bin";
    let file = scene.stage.root.join(name);
    let _ = fs::remove_file(&file);
    let mut wire = scene.login()?;
    let at = wire.passive()?;
    let mut thief = dial_from(&scene.stage.network.client, STRANGER.into(), at)?;
    let _ = thief.write_all(b"forged");
    drop(thief);
    thread::sleep(Duration::from_millis(50));
    wire.send(&format!("STOR {name}"))?;
    if let Ok(mut data) = dial_from(&scene.stage.network.client, CLIENT.into(), at) {
        let _ = data.write_all(b"honest");
    }
    for _ in 0..2 {
        let _ = wire.next(Duration::from_secs(3));
    }
    let stored = fs::read(&file).unwrap_or_default();
    match stored.as_slice() {
        b"honest" => Seen::safe("the stranger is dropped, the client's file stored"),
        b"forged" => Seen::bad("the stranger's file is stored"),
        other => Seen::bad(format!("the client starves, {} bytes stored", other.len())),
    }
}

/// A guesser who knows the last port and tries the next ones: how often one of eight is right.
pub(super) fn prediction(scene: &Scene) -> Result<Seen> {
    // With `auto` a client that does not come is sent to the control port, which is no secret.
    let _server = scene.serve(&["--one-port", "off"], &[])?;
    let mut ports = Vec::new();
    for _ in 0..8 {
        let mut wire = scene.login()?;
        for _ in 0..8 {
            ports.push(wire.passive()?.port());
        }
    }
    let (low, high) = topology::RANGE;
    if let Some(outside) = ports.iter().find(|port| !(low..=high).contains(port)) {
        return Seen::bad(format!("port {outside} is outside the range"));
    }
    let pairs = ports
        .windows(2)
        .filter_map(|pair| Some((*pair.first()?, *pair.last()?)));
    let near = pairs
        .filter(|(last, next)| last != next && last.abs_diff(*next) <= 4)
        .count();
    let distinct = ports.iter().collect::<HashSet<_>>().len();
    let word = format!("{distinct} ports in 64 tries, {near} near the last one");
    // 2.5 by chance with 200 ports.
    Seen::if_so(near < 16 && distinct > 8, word)
}

pub(super) fn epsv_all(scene: &Scene) -> Result<Seen> {
    let _server = scene.serve(&[], &[])?;
    let mut wire = scene.login()?;
    let all = wire.command("EPSV ALL")?.code;
    let after = [
        wire.command("PASV")?.code,
        wire.command(&Wire::port(CLIENT, 45_000))?.code,
    ];
    if all >= 400 {
        return Seen::inapplicable(format!("EPSV ALL: {all}"));
    }
    Seen::if_so(
        after.iter().all(|code| *code >= 400),
        format!("PASV {}, PORT {}", after[0], after[1]),
    )
}
