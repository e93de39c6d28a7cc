//! `wharf doctor --server` on the server's host, and `wharf doctor --listen` elsewhere.

use std::io::{IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use wharf_doctor::host::offered::{Offered, Told};
use wharf_doctor::host::seen::Seen;
use wharf_doctor::host::{self, gather};
use wharf_doctor::report::{self, Look, Report};
use wharf_firewall::Passive;
use wharf_net::{Net, TcpNet};

use super::foundation;
use crate::args::doctor_host::HostArgs;
use crate::args::value::{AdvertiseHost, OnePort, wildcard};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::output::{Output, color_wanted};

/// Where `wharf serve` listens when nothing was said: the first that may be bound.
const USUAL_PORTS: &[u16] = &[21, 2121];

pub(crate) async fn run(args: &HostArgs, json: bool, _output: &Output) -> Result<(), Failure> {
    let serve = args
        .serve_args()
        .map_err(|error| Failure::usage(error.to_string().trim_end().to_owned()))?;
    let settings = foundation::settings(&serve)?;
    let began = Instant::now();
    let mut ports: Vec<u16> = settings.listen.iter().map(SocketAddr::port).collect();
    if ports.is_empty() {
        ports.extend(USUAL_PORTS);
    }
    let seen = gather::look(&ports, TcpNet.descriptors()).await;
    let offered = offered(&settings, &seen);
    let report = host::examine(&offered, &seen, began.elapsed());
    print(&report, json)
}

/// What these settings offer.
fn offered(settings: &Settings, seen: &Seen) -> Offered {
    let data = &settings.data;
    let config = foundation::server_config(settings, Vec::new(), None);
    let default = data.advertise.iter().find(|rule| rule.clients.is_none());
    Offered {
        listen: listen(settings, seen),
        passive: match (data.one_port, data.port) {
            (OnePort::On, _) => Passive::OnePort,
            (_, Some(ports)) => Passive::DataPorts(ports),
            (_, None) => Passive::Range(data.passive_ports),
        },
        one_port_auto: data.one_port == OnePort::Auto,
        told: match default.map(|rule| &rule.host) {
            None => Told::Reached,
            Some(AdvertiseHost::Auto) => Told::Auto,
            Some(AdvertiseHost::Address(address)) => Told::Address(*address),
            Some(AdvertiseHost::Name(name)) => Told::Name(name.clone()),
        },
        told_by_network: data.advertise.iter().any(|rule| rule.clients.is_some()),
        active: data.active,
        active_port: config.active_port,
        max_sessions: Some(config.max_sessions).filter(|most| *most != usize::MAX),
        keepalive: config.keepalive,
        balanced: !settings.proxy_protocol.is_empty(),
    }
}

/// Where the server listens. When nothing was said: where one does, else where it would.
fn listen(settings: &Settings, seen: &Seen) -> Vec<SocketAddr> {
    if !settings.listen.is_empty() {
        return settings.listen.clone();
    }
    let any: IpAddr = wildcard();
    let is_ours = |port: u16| {
        seen.listening.iter().any(|it| {
            let owner = it.owner.as_ref();
            it.at.port() == port && owner.is_some_and(|owner| owner.name.starts_with("wharf"))
        })
    };
    let port = USUAL_PORTS.iter().copied().find(|port| is_ours(*port));
    vec![SocketAddr::new(any, port.unwrap_or(21))]
}

/// The report; status 1 where somebody must act.
fn print(report: &Report, json: bool) -> Result<(), Failure> {
    let text = if json {
        format!("{}\n", report::json(report))
    } else {
        let color = color_wanted(std::io::stdout().is_terminal());
        report::text(report, Look { color })
    };
    // A closed pipe is no reason to complain.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    if report.verdict.works {
        Ok(())
    } else {
        Err(Failure::told(Exit::Partial))
    }
}
