//! What `wharf check` tells of least privilege: which processes there are, as whom, what each may do, and which measures
//! this system has.

use std::fmt::Write as _;

use wharf_broker::{Sandbox, Strictness};

use super::{ban, privilege};
use crate::args::serve_tls::Requirement;
use crate::args::value::SandboxLevel;
use crate::config::Settings;
use crate::exit::{Exit, Failure};

/// One line.
pub(super) enum Finding {
    Good(String),
    Warning(String),
    Bad(Failure),
}

/// Measures are taken here, too, by a thread that ends: nobody else can tell what this kernel has.
pub(super) fn findings(settings: &Settings) -> Vec<Finding> {
    let mut found = Vec::new();
    if settings.sandbox == SandboxLevel::Off {
        found.push(Finding::Warning(
            "sandbox off: one process, and whoever takes it over has all its rights".to_owned(),
        ));
        return found;
    }
    let brokered = privilege::is_brokered(settings);
    let sandbox = privilege::sandbox(settings, brokered);
    found.push(Finding::Good(processes(brokered).to_owned()));
    if brokered {
        found.push(Finding::Good(format!(
            "of its rights the broker keeps: {}",
            privilege::own(settings).told()
        )));
    }
    match privilege::identity(settings) {
        Ok(Some(it)) if it.is_root() => found.push(Finding::Warning(
            "the network is talked to as root (uid 0) without capabilities, for root owns the directory: files of root are still its own; better: chown the directory, or --run-as USER".to_owned(),
        )),
        Ok(Some(it)) => found.push(Finding::Good(format!("the network is talked to as {it}"))),
        Ok(None) => found.push(Finding::Good(format!(
            "the network is talked to as uid {}, who starts the server",
            rustix::process::geteuid().as_raw()
        ))),
        Err(failure) => found.push(Finding::Bad(failure)),
    }
    if settings.tls.control != Requirement::Off {
        found.push(Finding::Good(key(brokered).to_owned()));
    }
    found.push(Finding::Good(files(settings, &sandbox)));
    found.push(Finding::Good(connections(settings, &sandbox, brokered)));
    measures(settings, sandbox, &mut found);
    found
}

fn processes(brokered: bool) -> &'static str {
    if brokered {
        "two processes: the broker keeps what takes rights and reads nothing that clients send, the other one talks to them"
    } else {
        "one process: what takes rights is done before the first client comes"
    }
}

fn key(brokered: bool) -> &'static str {
    if brokered {
        "the keys of TLS stay in the broker, which signs handshakes"
    } else {
        "the keys of TLS are in the process that talks to the network; --sandbox strict puts them in another one"
    }
}

/// What the process that talks to the network may open.
fn files(settings: &Settings, sandbox: &Sandbox) -> String {
    let listed = |paths: &[std::path::PathBuf]| {
        let mut paths: Vec<_> = paths.iter().map(|it| it.display().to_string()).collect();
        paths.sort();
        paths.dedup();
        paths.join(", ")
    };
    let rights = if sandbox.read_only {
        "read"
    } else {
        "read and write"
    };
    let served = listed(&sandbox.served);
    let mut text = format!(
        "it may {rights} below {served}; read {}",
        listed(&sandbox.read)
    );
    if !sandbox.written.is_empty() {
        let _ = write!(text, "; write in {}", listed(&sandbox.written));
    }
    if ban::folder(&settings.bans).is_some() {
        text.push_str(" (bans)");
    }
    text
}

fn connections(settings: &Settings, sandbox: &Sandbox, brokered: bool) -> String {
    let active = match (settings.data.active, brokered) {
        (true, true) => "the broker connects to clients that are connected, to ports from 1024 on",
        (true, false) => "it may connect to everybody, for active data connections",
        (false, _) => "nobody connects to clients",
    };
    let listens = if sandbox.ports.is_some() {
        "it may listen on the configured ports"
    } else {
        "it may listen on any port"
    };
    let asks = if sandbox.asks {
        "; it may send datagrams and ask name servers and routers, for what is advertised (or an authority) has to be found out"
    } else {
        ""
    };
    format!("{listens}; {active}{asks}")
}

fn measures(settings: &Settings, sandbox: Sandbox, found: &mut Vec<Finding>) {
    // As whoever runs this: another user could not be left again.
    let tried = std::thread::spawn(move || sandbox.enter(Strictness::BestEffort)).join();
    let in_force = match tried {
        Ok(Ok(in_force)) => in_force,
        Ok(Err(error)) => {
            found.push(Finding::Bad(privilege::sandbox_failure(&error)));
            return;
        }
        Err(_) => return,
    };
    for measure in &in_force.measures {
        let line = format!("sandbox: {measure}");
        found.push(match measure.missing {
            None => Finding::Good(line),
            Some(_) if privilege::strictness(settings) == Strictness::Strict => {
                Finding::Bad(Failure::new(Exit::Unavailable, line))
            }
            Some(_) => Finding::Warning(line),
        });
    }
}
