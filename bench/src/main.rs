//! wharf beside its peers on this machine, in one run: throughput, CPU, small files, memory.
//!
//! `cargo xtask bench` installs the peers, builds everything and starts this program, which writes
//! BENCHMARKS.md. Every row comes with its ceiling: the same work without any FTP.

mod ceiling;
mod load;
mod process;
mod report;
mod rows;
mod size;
mod target;

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, ExitCode};

use report::Table;
use size::Size;

const USAGE: &str = "\
usage: wharf-bench [--quick] [--out FILE] [--wharf PATH]

  --quick       one round of small sizes, to see that everything runs
  --out FILE    where the page goes (default BENCHMARKS.md)
  --wharf PATH  the program to measure (default target/release/wharf)
";

const FULL: Size = Size {
    rounds: 5,
    large: 1 << 30,
    small: 3000,
    idle: 1000,
};

const QUICK: Size = Size {
    rounds: 1,
    large: 64 << 20,
    small: 200,
    idle: 50,
};

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            note(&format!("error: {why}"));
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<(), String> {
    let mut size = FULL;
    let mut out = "BENCHMARKS.md".to_owned();
    let mut wharf = "target/release/wharf".to_owned();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value\n\n{USAGE}"));
        match arg.as_str() {
            "--quick" => size = QUICK,
            "--out" => out = value()?,
            "--wharf" => wharf = value()?,
            _ => return Err(format!("unknown argument {arg:?}\n\n{USAGE}")),
        }
    }
    target::raise_file_limit().map_err(|e| format!("file descriptor limit: {e}"))?;
    let targets = target::start_all(&wharf, &size)?;
    let busy = process::machine_busy_seconds();
    let own = process::cpu_seconds(std::process::id());
    let tables = [
        rows::download(&targets, &size),
        rows::upload(&targets, &size),
        rows::small_files(&targets, &size),
        rows::idle_sessions(&targets, &size),
    ];
    let others =
        (process::machine_busy_seconds() - busy) - (process::cpu_seconds(std::process::id()) - own);
    let page = page(&targets, &tables, &size, others);
    std::fs::write(&out, page).map_err(|e| format!("{out}: {e}"))?;
    note(&format!("written: {out}"));
    Ok(())
}

fn page(targets: &[target::Target], tables: &[Table], size: &Size, others: f64) -> String {
    let mut out = String::from(
        "# Benchmarks\n\n\
         Made by `cargo xtask bench`; do not edit. All servers run on the same machine in the same\n\
         run, one after another within each round. Figures are medians with (least-most); compare\n\
         rows with each other and with the ceiling, not with another machine.\n\n",
    );
    let _ = writeln!(
        out,
        "- date: {}\n- kernel: {}\n- cores: {}\n- rounds: {}\n- CPU seconds used meanwhile by anything else: {:.1}",
        said("date", &["-u", "+%Y-%m-%d"]),
        said("uname", &["-r"]),
        std::thread::available_parallelism().map_or(0, usize::from),
        size.rounds,
        others.max(0.0),
    );
    for target in targets {
        let _ = writeln!(out, "- {}: {}", target.name, target.version);
    }
    for table in tables {
        out.push('\n');
        out.push_str(&table.markdown());
    }
    out
}

fn said(program: &str, args: &[&str]) -> String {
    Command::new(program)
        .args(args)
        .output()
        .map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned())
        .unwrap_or_default()
}

/// Tells the person at the terminal.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
