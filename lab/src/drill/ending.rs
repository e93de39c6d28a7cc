//! What each of the two processes has; one of them ends or stands still: what becomes of the other, and of the ports.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::ground::{Ground, SECRET, Seat, Way};
use crate::Result;
use crate::tally::{Tally, concurrently};

/// For the end to be noticed on a loaded machine.
const SOON: Duration = Duration::from_secs(20);

type Check = fn(Seat<'_>) -> Result<String>;

const KILL_AND_LOW_PORTS: &str = "0000000000000420";
const NONE: &str = "0000000000000000";

const CHECKS: &[(&str, Check)] = &[
    ("the broker keeps what it needs", few_rights),
    (
        "the network process is told no secrets of others",
        no_secrets,
    ),
    ("the broker is killed", broker_killed),
    ("the network process is killed", network_killed),
    ("the network process stands still at SIGTERM", stuck),
];

pub(super) fn run(ground: &Ground, tally: &Tally) {
    println!("\nthe two processes, and when one of them ends");
    let ways = [Way::Root, Way::UserStrict];
    let answers = concurrently(&ways, ways.len(), |way| {
        CHECKS
            .iter()
            .map(|(_, check)| check(Seat::take(ground, *way)?))
            .collect::<Vec<Result<String>>>()
    });
    for (way, answers) in ways.iter().zip(answers) {
        for ((name, _), answer) in CHECKS.iter().zip(answers) {
            tally.check(&format!("{name} ({})", way.head()), answer);
        }
    }
}

/// As the kernel tells them: for ports below 1024, and for ending a process of another user.
fn few_rights(seat: Seat<'_>) -> Result<String> {
    let status = fs::read_to_string(format!("/proc/{}/status", seat.server.pid()))?;
    let told = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim).unwrap_or_default().to_owned()
    };
    let expected = match seat.way {
        Way::Root => KILL_AND_LOW_PORTS,
        _ => NONE,
    };
    let got = [
        told("CapEff:"),
        told("CapPrm:"),
        told("NoNewPrivs:"),
        told("Seccomp:"),
    ];
    if got != [expected, expected, "1", "2"] {
        return Err(got.join(" ").into());
    }
    Ok(format!("capabilities {expected}"))
}

fn no_secrets(seat: Seat<'_>) -> Result<String> {
    let told = |pid: u32| fs::read_to_string(format!("/proc/{pid}/environ"));
    if !told(seat.server.pid())?.contains(SECRET) {
        return Err("the broker was not told either".into());
    }
    if told(seat.network()?)?.contains(SECRET) {
        return Err("it was".into());
    }
    Ok(String::new())
}

/// The other one ends with it, and the port is free for the next.
fn broker_killed(mut seat: Seat<'_>) -> Result<String> {
    let network = seat.network()?;
    seat.server.kill_9();
    let start = Instant::now();
    while Path::new(&format!("/proc/{network}/exe"))
        .read_link()
        .is_ok()
    {
        if start.elapsed() > SOON {
            return Err("the network process lives on".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    seat.again()?;
    Ok("the other one is gone, the next one listens".to_owned())
}

/// The broker says so and ends, with the status that shells give to a signal.
fn network_killed(mut seat: Seat<'_>) -> Result<String> {
    signal(seat.network()?, Signal::KILL)?;
    let code = seat.code(SOON)?;
    let said = seat.server.said();
    if code != 137 || !said.contains("has ended") {
        return Err(format!("exit {code}: {}", crate::process::tail(&said)).into());
    }
    seat.again()?;
    Ok("the broker tells it, exit 137".to_owned())
}

/// It has a second for its transfers, and five more for itself.
fn stuck(mut seat: Seat<'_>) -> Result<String> {
    let network = seat.network()?;
    signal(network, Signal::STOP)?;
    signal(seat.server.pid(), Signal::TERM)?;
    let start = Instant::now();
    let code = seat.code(SOON)?;
    let said = seat.server.said();
    if code != 70 || !said.contains("did not stop in its time") {
        return Err(format!("exit {code}: {}", crate::process::tail(&said)).into());
    }
    Ok(format!(
        "killed after {:.0} s",
        start.elapsed().as_secs_f64()
    ))
}

fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid)?).ok_or("no such number")?;
    Ok(kill_process(pid, signal)?)
}
