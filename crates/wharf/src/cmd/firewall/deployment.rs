//! Who stands where, from the flags and the server's settings.

use std::net::IpAddr;

use wharf_firewall::{Active, Contradiction, Deployment, Family, Passive, ServerAt, Side};
use wharf_proto::data_connection::advertise::is_private;
use wharf_proto::data_connection::passive::PortRange;

use crate::args::FirewallArgs;
use crate::args::firewall::DataModeArg;
use crate::args::value::{AdvertiseHost, OnePort};
use crate::cmd::foundation;
use crate::config::Settings;
use crate::exit::Failure;
use crate::output::Output;

/// The deployment that flags and settings describe
pub(super) fn from(args: &FirewallArgs, output: &Output) -> Result<Deployment, Failure> {
    let mut settings = match &args.config {
        Some(path) => foundation::read_file(path)?,
        None => Settings::default(),
    };
    if !args.listen.is_empty() {
        settings.listen.clone_from(&args.listen);
    }
    let listen = Listen::of(&settings, args.side)?;
    let (passive, active) = modes(args, &settings);
    let defaults = Deployment::server();
    Ok(Deployment {
        side: args.side,
        server: ServerAt {
            addresses: addresses(args, &settings, &listen, output),
            inside: inside(args, &listen),
        },
        clients: args.clients.clone(),
        families: listen.families,
        control_ports: listen.ports,
        passive,
        one_port_auto: one_port(args, &settings) == OnePort::Auto,
        active,
        helper: args.helper,
        hairpin: args.hairpin.clone(),
        program: args.program.clone().unwrap_or(defaults.program),
    })
}

/// The flag that mends a contradiction
pub(super) fn remedy(error: Contradiction) -> Option<&'static str> {
    Some(match error {
        Contradiction::PortZero | Contradiction::NoControlPort => "--listen :21",
        Contradiction::NoDataMode => "--modes passive",
        Contradiction::ControlAmongData { .. } => {
            "--one-port on sends data connections to the control port"
        }
        Contradiction::GatewayOfWhom => "--server ADDR, and --inside ADDR if the gateway is a NAT",
        Contradiction::InsideWithoutGateway => "--side server-gateway",
        Contradiction::HairpinWithoutNat => "--inside ADDR",
        _ => return None,
    })
}

/// Where control connections are taken
struct Listen {
    ports: Vec<u16>,
    families: Vec<Family>,
    /// Addresses in particular; none if one socket takes every address
    addresses: Vec<IpAddr>,
}

impl Listen {
    fn of(settings: &Settings, side: Side) -> Result<Self, Failure> {
        // What only this host can reach needs no rule.
        let mut open = settings
            .listen
            .iter()
            .filter(|it| !it.ip().is_loopback())
            .peekable();
        if settings.listen.is_empty() {
            return Ok(Self {
                ports: vec![21],
                families: Family::ALL.to_vec(),
                addresses: Vec::new(),
            });
        }
        if open.peek().is_none() && side == Side::Server {
            return Err(Failure::usage(
                "the server listens on loopback addresses alone: nothing has to pass",
            )
            .with_hint("--listen ADDR:PORT, where others reach it"));
        }
        let mut found = Self {
            ports: Vec::new(),
            families: Vec::new(),
            addresses: Vec::new(),
        };
        let mut every = false;
        for at in open {
            if !found.ports.contains(&at.port()) {
                found.ports.push(at.port());
            }
            let ip = at.ip().to_canonical();
            let families = match ip {
                IpAddr::V6(it) if it.is_unspecified() => Family::ALL.to_vec(), // takes IPv4, too
                ip => vec![Family::of(ip)],
            };
            for family in families {
                if !found.families.contains(&family) {
                    found.families.push(family);
                }
            }
            if ip.is_unspecified() {
                every = true;
            } else if !found.addresses.contains(&ip) {
                found.addresses.push(ip);
            }
        }
        found.ports.sort_unstable();
        if every {
            found.addresses.clear();
        }
        Ok(found)
    }
}

/// The addresses at which clients reach the server
fn addresses(
    args: &FirewallArgs,
    settings: &Settings,
    listen: &Listen,
    output: &Output,
) -> Vec<IpAddr> {
    if !args.server.is_empty() {
        return args.server.clone();
    }
    if args.side == Side::Server {
        return listen.addresses.clone();
    }
    // Elsewhere the server is known by the address that it tells its clients.
    let mut told = Vec::new();
    for rule in &settings.data.advertise {
        match &rule.host {
            AdvertiseHost::Address(address) if rule.clients.is_none() => told.push(*address),
            AdvertiseHost::Name(name) if rule.clients.is_none() => {
                output.note(&format!(
                    "the advertised name {name} is not looked up: say the address with --server"
                ));
            }
            _ => {}
        }
    }
    if !told.is_empty() {
        return told;
    }
    let mut public = listen.addresses.clone();
    public.retain(|it| args.side != Side::ServerGateway || !is_private(*it));
    public
}

/// The server's own address behind a NAT: as said, else where it listens if that is another one
fn inside(args: &FirewallArgs, listen: &Listen) -> Vec<IpAddr> {
    if !args.inside.is_empty() || args.side != Side::ServerGateway {
        return args.inside.clone();
    }
    let private = listen
        .addresses
        .iter()
        .copied()
        .filter(|it| is_private(*it));
    private.collect()
}

fn one_port(args: &FirewallArgs, settings: &Settings) -> OnePort {
    args.one_port.unwrap_or(settings.data.one_port)
}

/// What data modes are to work, and how
fn modes(args: &FirewallArgs, settings: &Settings) -> (Option<Passive>, Option<Active>) {
    let data = &settings.data;
    let asked = |mode| args.modes.contains(&mode);
    // At the client's side active data connections come in: only where somebody asks for them.
    let by_default = if args.side.is_servers() {
        data.active
    } else {
        args.helper
    };
    let active = asked(DataModeArg::Active) || (args.modes.is_empty() && by_default);
    let passive = asked(DataModeArg::Passive) || args.modes.is_empty();
    let any = || PortRange::new(1024, 65_535).unwrap_or(data.passive_ports);

    let unknown = !args.side.is_servers() && args.config.is_none();
    let passive_ports = match args.passive_ports {
        Some(ports) => Passive::Range(ports),
        None if unknown => Passive::Range(any()),
        None => Passive::Range(data.passive_ports),
    };
    let passive_ports = match (args.data_port, data.port) {
        (Some(ports), _) => Passive::DataPorts(ports),
        (None, Some(ports)) if args.passive_ports.is_none() => Passive::DataPorts(ports),
        _ => passive_ports,
    };
    let passive_ports = if one_port(args, settings) == OnePort::On {
        Passive::OnePort
    } else {
        passive_ports
    };
    let source_port = args.active_port.unwrap_or(data.active_port);
    let active = active.then(|| Active {
        source_port: Some(source_port).filter(|it| *it != 0),
        client_ports: args.client_ports.unwrap_or_else(any),
    });
    (passive.then_some(passive_ports), active)
}
