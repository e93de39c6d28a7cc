//! The configuration that `wharf firewall` prints for HAProxy, running.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use super::rows::{Mode, ROWS};
use super::transfer::{Bench, furnish, plan};
use crate::network::Network;
use crate::payload::Workspace;
use crate::process::{Daemon, isolate, must};
use crate::server::{self, Kind, PASSWORD, Place, ServerPlan, USER};
use crate::tally::Tally;
use crate::topology::{self, ServerSide, Topology};
use crate::{Result, Settings, setup};

/// What is asked for, and what `wharf serve` is told.
const OFFERS: [(&str, &[&str], &[&str]); 2] = [
    (
        "range",
        &["--passive-ports", "50000-50199"],
        &["--one-port", "off"],
    ),
    ("one-port", &["--one-port", "on"], &["--one-port", "on"]),
];

/// HAProxy with the printed configuration, wharf behind it: passive data connections work.
pub(super) fn check(settings: &Settings, tally: &Tally, work: &Workspace, payload: &Path) {
    for (name, flags, serve) in OFFERS {
        let place = format!("haproxy-{name}");
        tally.check(
            &format!("haproxy runs what is printed for it: {name}"),
            pass(settings, work, payload, &place, flags, serve),
        );
    }
}

fn pass(
    settings: &Settings,
    work: &Workspace,
    payload: &Path,
    place: &str,
    flags: &[&str],
    serve: &[&str],
) -> Result<String> {
    let network = Network::build(&Topology {
        server: ServerSide::Forwarded,
        ..topology::PLAIN
    })?;
    let directory = work.directory(place)?;
    let mut command = Command::new(&settings.wharf);
    command.args([
        "firewall",
        "--dialect",
        "haproxy",
        "--side",
        "server-gateway",
    ]);
    command.args([
        "--modes",
        "passive",
        "--server",
        "203.0.113.1",
        "--inside",
        "10.20.0.2",
    ]);
    command.args(flags);
    let text = directory.join("haproxy.cfg");
    fs::write(&text, must(command, b"")?)?;
    let gateway = network.gateway("sgw")?;
    let mut command = gateway.command(setup::unpacked("haproxy"));
    command.args(["-db", "-f"]).arg(&text);
    isolate(&mut command, &directory);
    let _balancer = Daemon::start(command)?;
    gateway.await_listener(SocketAddr::new(Ipv4Addr::new(203, 0, 113, 1).into(), 21))?;
    let root = work.directory(&format!("{place}/root"))?;
    furnish(payload, &root)?;
    // The balancer's address on the side of the server.
    let further = [serve, &["--proxy-protocol", "10.20.0.1/32"]].concat();
    let _server = server::start(
        Kind::Wharf,
        Place::Namespace(&network.server),
        &ServerPlan {
            wharf: &settings.wharf,
            directory: &root,
            work: &work.directory(&format!("{place}/server"))?,
            port: 21,
            user: USER,
            password: PASSWORD,
            passive: topology::RANGE,
            advertise: Some("203.0.113.1"),
            max_sessions: 0,
            further: &further,
            lines: &[],
            tls: None,
        },
    )?;
    let bench = Bench {
        row: &ROWS[0],
        network: &network,
        wharf: &settings.wharf,
        payload,
        root: &root,
        directory: &directory,
        secret: &work.path().join("secret"),
    };
    let mut transfers = plan(&[Mode::Pasv, Mode::Epsv], true);
    transfers.retain(|it| it.works);
    for transfer in &transfers {
        if let Some(wrong) = bench.make(*transfer) {
            return Err(wrong.into());
        }
    }
    Ok(format!("{} transfers", transfers.len()))
}
