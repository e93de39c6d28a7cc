//! What goes wrong around a handshake. Python's `ssl` is the attacker: it can be told to misbehave.

use std::fs;
use std::time::Duration;

use super::scene::{Scene, Seen, Verdict};
use crate::Result;
use crate::process::run;
use crate::server::{PASSWORD, USER};
use crate::stage::CLIENT;

const PROBE: &str = include_str!("tls_probe.py");

fn probe(scene: &Scene, what: &str) -> Result<Seen> {
    let _server = scene.serve_tls()?;
    let script = scene.own_directory()?.join("tls_probe.py");
    fs::write(&script, PROBE)?;
    let to = scene.control();
    let mut command = scene.stage.client("/usr/bin/python3");
    command
        .arg(&script)
        .arg(what)
        .arg(to.ip().to_string())
        .arg(to.port().to_string());
    command
        .args([USER, PASSWORD])
        .arg(CLIENT.to_string())
        .arg(&scene.certificates.authority);
    let outcome = run(command, b"", Duration::from_mins(1))?;
    let said = String::from_utf8_lossy(&outcome.stdout).into_owned();
    let (verdict, word) = said
        .trim()
        .split_once('\t')
        .ok_or_else(|| outcome.last_words())?;
    let verdict = match verdict {
        "safe" => Verdict::Safe,
        "unsafe" => Verdict::Unsafe,
        _ => Verdict::Unknown,
    };
    Ok(Seen {
        verdict,
        word: word.to_owned(),
    })
}

pub(super) fn injection(scene: &Scene) -> Result<Seen> {
    probe(scene, "injection")
}

pub(super) fn injection_split(scene: &Scene) -> Result<Seen> {
    probe(scene, "injection-split")
}

pub(super) fn alpn(scene: &Scene) -> Result<Seen> {
    probe(scene, "alpn")
}

pub(super) fn wrong_name(scene: &Scene) -> Result<Seen> {
    probe(scene, "wrong-name")
}

pub(super) fn not_resumed(scene: &Scene) -> Result<Seen> {
    probe(scene, "not-resumed")
}

pub(super) fn truncated(scene: &Scene) -> Result<Seen> {
    probe(scene, "truncated")
}

pub(super) fn in_clear(scene: &Scene) -> Result<Seen> {
    probe(scene, "in-clear")
}
