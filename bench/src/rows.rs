//! What is measured: each row runs every target once a round, in turn, so that a busy moment hits all alike.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Instant;

use crate::load::{Session, buffer};
use crate::process::{cpu_seconds, pss_kib};
use crate::report::{Samples, Table};
use crate::size::{LARGE, SMALL, Size};
use crate::target::Target;
use crate::{ceiling, note};

const MIB: f64 = 1024.0 * 1024.0;

/// Single-stream download: throughput and the server's CPU per GiB.
pub(crate) fn download(targets: &[Target], size: &Size) -> Table {
    let mut cells: BTreeMap<usize, (Samples, Samples)> = BTreeMap::new();
    let mut bare = (Samples::default(), Samples::default());
    let mut into = buffer();
    for _ in 0..size.rounds {
        let file = targets[0].folder.join(LARGE);
        let started = Instant::now();
        match ceiling::send_file(&file, &mut into) {
            Ok(cpu) => sample(&mut bare, size.large, started.elapsed().as_secs_f64(), cpu),
            Err(e) => note(&format!("bare sender: {e}")),
        }
        for (at, target) in targets.iter().enumerate() {
            let mut run = || -> io::Result<(f64, f64)> {
                let mut session = target.login()?;
                let cpu = cpu_seconds(target.pid);
                let started = Instant::now();
                let got = session.retrieve(LARGE, &mut into)?;
                let seconds = started.elapsed().as_secs_f64();
                if got != size.large {
                    return Err(io::Error::other(format!("{got} bytes only")));
                }
                let cpu = cpu_seconds(target.pid) - cpu;
                session.command("QUIT\r\n", 221)?;
                Ok((seconds, cpu))
            };
            match run() {
                Ok((seconds, cpu)) => {
                    sample(cells.entry(at).or_default(), size.large, seconds, cpu);
                }
                Err(e) => note(&format!("{}: download: {e}", target.name)),
            }
        }
    }
    throughput_table(
        "Download, one stream",
        "bare sendfile",
        targets,
        &cells,
        &bare,
        size,
    )
}

/// Single-stream upload into a folder in memory.
pub(crate) fn upload(targets: &[Target], size: &Size) -> Table {
    let mut cells: BTreeMap<usize, (Samples, Samples)> = BTreeMap::new();
    let mut bare = (Samples::default(), Samples::default());
    let from = buffer();
    for _ in 0..size.rounds {
        let file = targets[0].folder.join("bare.bin");
        let started = Instant::now();
        match ceiling::receive_file(&file, size.large, &from) {
            Ok(cpu) => sample(&mut bare, size.large, started.elapsed().as_secs_f64(), cpu),
            Err(e) => note(&format!("bare receiver: {e}")),
        }
        remove(&file);
        for (at, target) in targets.iter().enumerate() {
            let run = || -> io::Result<(f64, f64)> {
                let mut session = target.login()?;
                let cpu = cpu_seconds(target.pid);
                let started = Instant::now();
                session.store("up.bin", size.large, &from)?;
                let seconds = started.elapsed().as_secs_f64();
                let cpu = cpu_seconds(target.pid) - cpu;
                session.command("QUIT\r\n", 221)?;
                Ok((seconds, cpu))
            };
            match run() {
                Ok((seconds, cpu)) => {
                    sample(cells.entry(at).or_default(), size.large, seconds, cpu);
                }
                Err(e) => note(&format!("{}: upload: {e}", target.name)),
            }
            remove(&target.folder.join("up.bin"));
        }
    }
    throughput_table(
        "Upload, one stream",
        "bare read and write",
        targets,
        &cells,
        &bare,
        size,
    )
}

/// Small files one after another on one session, EPSV for each.
pub(crate) fn small_files(targets: &[Target], size: &Size) -> Table {
    let mut cells: BTreeMap<usize, (Samples, Samples)> = BTreeMap::new();
    let mut bare = Samples::default();
    let mut into = buffer();
    for _ in 0..size.rounds {
        let started = Instant::now();
        match ceiling::small_files(&targets[0].folder.join(SMALL), size.small, &mut into) {
            Ok(()) => bare.push(f64::from(size.small) / started.elapsed().as_secs_f64()),
            Err(e) => note(&format!("bare small files: {e}")),
        }
        for (at, target) in targets.iter().enumerate() {
            let mut run = || -> io::Result<(f64, f64)> {
                let mut session = target.login()?;
                let cpu = cpu_seconds(target.pid);
                let started = Instant::now();
                for _ in 0..size.small {
                    session.retrieve(SMALL, &mut into)?;
                }
                let seconds = started.elapsed().as_secs_f64();
                let cpu = cpu_seconds(target.pid) - cpu;
                session.command("QUIT\r\n", 221)?;
                Ok((seconds, cpu))
            };
            match run() {
                Ok((seconds, cpu)) => {
                    let cell = cells.entry(at).or_default();
                    cell.0.push(f64::from(size.small) / seconds);
                    cell.1.push(cpu * 1000.0 / f64::from(size.small));
                }
                Err(e) => note(&format!("{}: small files: {e}", target.name)),
            }
        }
    }
    let mut table = Table::new(
        "Files of 4 KiB, one session, EPSV for each",
        &["server", "files/s", "of the ceiling", "CPU ms per file"],
    );
    table.row(vec![
        "(ceiling)".into(),
        bare.show(0),
        "1.00".into(),
        "-".into(),
    ]);
    for (at, target) in targets.iter().enumerate() {
        let (rate, cpu) = cells.remove(&at).unwrap_or_default();
        table.row(vec![
            target.name.clone(),
            rate.show(0),
            ratio(&rate, &bare),
            cpu.show(3),
        ]);
    }
    table.after("The ceiling is a server that answers each line without reading it.");
    table
}

/// Memory of sessions that are logged in and silent.
pub(crate) fn idle_sessions(targets: &[Target], size: &Size) -> Table {
    let mut table = Table::new(
        &format!("Memory of {} idle sessions, logged in", size.idle),
        &[
            "server",
            "PSS without sessions, KiB",
            "PSS with, KiB",
            "per session, KiB",
        ],
    );
    for target in targets {
        let before = pss_kib(target.pid);
        let held: io::Result<Vec<Session>> = (0..size.idle).map(|_| target.login()).collect();
        match held {
            Ok(sessions) => {
                let with = pss_kib(target.pid);
                #[expect(clippy::cast_precision_loss, reason = "KiB of one machine")]
                let each = with.saturating_sub(before) as f64 / f64::from(size.idle);
                table.row(vec![
                    target.name.clone(),
                    before.to_string(),
                    with.to_string(),
                    format!("{each:.1}"),
                ]);
                drop(sessions);
            }
            Err(e) => {
                note(&format!("{}: idle sessions: {e}", target.name));
                table.row(vec![
                    target.name.clone(),
                    before.to_string(),
                    "failed".into(),
                    e.to_string(),
                ]);
            }
        }
    }
    table.after(
        "PSS is summed over all processes of a server; every session has sent USER, PASS and TYPE.",
    );
    table
}

fn sample(cell: &mut (Samples, Samples), bytes: u64, seconds: f64, cpu: f64) {
    #[expect(clippy::cast_precision_loss, reason = "a few GiB")]
    let mib = bytes as f64 / MIB;
    cell.0.push(mib / seconds);
    cell.1.push(cpu * 1024.0 / mib);
}

fn throughput_table(
    title: &str,
    bare_name: &str,
    targets: &[Target],
    cells: &BTreeMap<usize, (Samples, Samples)>,
    bare: &(Samples, Samples),
    size: &Size,
) -> Table {
    let mut table = Table::new(
        title,
        &["server", "MiB/s", "of the ceiling", "CPU seconds per GiB"],
    );
    table.row(vec![
        format!("(ceiling: {bare_name})"),
        bare.0.show(0),
        "1.00".into(),
        bare.1.show(2),
    ]);
    for (at, target) in targets.iter().enumerate() {
        let (rate, cpu) = cells.get(&at).cloned().unwrap_or_default();
        table.row(vec![
            target.name.clone(),
            rate.show(0),
            ratio(&rate, &bare.0),
            cpu.show(2),
        ]);
    }
    table.after(&format!(
        "One file of {} MiB in memory, binary, passive; CPU is the server's, all its processes.",
        size.large >> 20
    ));
    table
}

fn ratio(of: &Samples, to: &Samples) -> String {
    if to.median() > 0.0 {
        format!("{:.2}", of.median() / to.median())
    } else {
        "-".to_owned()
    }
}

fn remove(file: &Path) {
    if let Err(e) = std::fs::remove_file(file) {
        note(&format!("{}: {e}", file.display()));
    }
}
