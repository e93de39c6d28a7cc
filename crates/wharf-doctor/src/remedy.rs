//! What to do, in the words of a firewall dialect and of the server's program.

use std::net::{IpAddr, SocketAddr};

use wharf_firewall::dialect::{self, Dialect, Style};
use wharf_firewall::{Active, Deployment, Passive, RuleSet, Scope, ServerAt, Side};
use wharf_net::Touch;
use wharf_proto::data_connection::advertise::is_private;
use wharf_proto::data_connection::canonical;
use wharf_proto::data_connection::passive::PortRange;

use crate::facts::Seen;
use crate::finding::{Remedy, WhoActs};
use crate::software::Program;

/// The passive range that is proposed: wharf's own default.
const RANGE: (u16, u16) = (50_000, 50_999);

/// A few ports are enough for the active data connections of one client.
const ACTIVE_RANGE: (u16, u16) = (50_000, 50_009);

/// How remedies are worded.
#[derive(Debug, Clone, Copy)]
pub struct Wording {
    dialect: &'static Dialect,
}

impl Wording {
    /// Rules in this dialect; `None` if there is none of this name.
    pub fn new(dialect: &str) -> Option<Self> {
        dialect::find(dialect).map(|dialect| Self { dialect })
    }

    /// Rules for this deployment, or what stands in their way.
    pub fn rules(&self, deployment: &Deployment) -> String {
        match RuleSet::new(deployment, Scope::Beside) {
            Ok(rules) => (self.dialect.write)(&rules, Style::default())
                .unwrap_or_else(|why| format!("{}: {why}", self.dialect.name)),
            Err(why) => why.to_string(),
        }
    }

    /// For the server's firewall: the control port and the passive range.
    pub fn open_passive(&self, seen: &Seen) -> Remedy {
        let deployment = Deployment {
            control_ports: vec![seen.peer.port()],
            passive: range(seen).map(Passive::Range),
            one_port_auto: false,
            active: None,
            ..Deployment::server()
        };
        Remedy::copy(
            WhoActs::ServerFirewall,
            format!(
                "let {} in at the server, and what belongs to it out",
                range(seen).map_or(String::new(), |it| format!("ports {it}"))
            ),
            &self.rules(&deployment),
        )
    }

    /// For the server's firewall, where not even the control port is open: everything that a server with wharf's own
    /// passive range needs.
    pub fn open_control(&self, port: u16) -> Remedy {
        let (lo, hi) = RANGE;
        let deployment = Deployment {
            control_ports: vec![port],
            passive: PortRange::new(lo, hi).ok().map(Passive::Range),
            one_port_auto: false,
            active: None,
            ..Deployment::server()
        };
        Remedy::copy(
            WhoActs::ServerFirewall,
            format!("let port {port} in at the server, and a passive range that it is told, too"),
            &self.rules(&deployment),
        )
    }

    /// For the client's firewall, where not even the control port is reached.
    pub fn let_control_out(&self, server: SocketAddr) -> Remedy {
        let (lo, hi) = RANGE;
        let deployment = Deployment {
            side: Side::Client,
            server: ServerAt {
                addresses: vec![server.ip()],
                inside: Vec::new(),
            },
            control_ports: vec![server.port()],
            passive: PortRange::new(lo, hi).ok().map(Passive::Range),
            one_port_auto: false,
            active: None,
            ..Deployment::server()
        };
        Remedy::copy(
            WhoActs::ClientFirewall,
            "if other servers are not reached either: let FTP out here",
            &self.rules(&deployment),
        )
    }

    /// For the router in front of the server: the control port and the passive range.
    pub fn forward_passive(&self, seen: &Seen) -> Remedy {
        let what = "forward the passive range to the server, not only the control port";
        let inside = seen.other_address_told().map(|at| canonical(at.ip()));
        let inside = inside.filter(|it| {
            it.is_ipv4() == seen.server().is_ipv4() && !it.is_unspecified() && is_private(*it)
        });
        let Some(inside) = inside else {
            // Its inside address is not known from here.
            let ports = range(seen).map_or(String::new(), |it| format!(" --passive-ports {it}"));
            return Remedy::copy(
                WhoActs::ServerNat,
                format!("{what}; with the server's inside address, this writes the rules"),
                &format!(
                    "wharf firewall --dialect {} --side server-gateway --server {} --inside ADDRESS{ports}",
                    self.dialect.name,
                    seen.server(),
                ),
            );
        };
        let deployment = Deployment {
            side: Side::ServerGateway,
            server: ServerAt {
                addresses: vec![seen.server()],
                inside: vec![inside],
            },
            control_ports: vec![seen.peer.port()],
            passive: range(seen).map(Passive::Range),
            one_port_auto: false,
            active: None,
            ..Deployment::server()
        };
        Remedy::copy(WhoActs::ServerNat, what, &self.rules(&deployment))
    }

    /// For the router in front of the server: its own connections get the address that clients know.
    pub fn send_from_outside(&self, seen: &Seen) -> Remedy {
        Remedy::copy(
            WhoActs::ServerNat,
            "translate the server's own connections to the address that clients know; with its inside address, this writes the rules",
            &format!(
                "wharf firewall --dialect {} --side server-gateway --server {} --inside ADDRESS",
                self.dialect.name,
                seen.server(),
            ),
        )
    }

    /// For the client's firewall, where it may be that one: how its rules are had.
    pub fn perhaps_let_out(&self, seen: &Seen) -> Remedy {
        Remedy::copy(
            WhoActs::ClientFirewall,
            "if it is the client's firewall: this writes its rules",
            &format!(
                "wharf firewall --dialect {} --side client --server {}",
                self.dialect.name,
                seen.server(),
            ),
        )
    }

    /// For the server: the range that the firewall opens.
    pub fn tell_range(seen: &Seen) -> Remedy {
        let program = seen.software.program;
        let what = format!("tell {} the range that the firewall opens", program.name());
        let setting = range(seen).map_or(String::new(), |it| program.passive_range(it));
        Remedy::copy(WhoActs::ServerConfiguration, what, &setting)
    }

    /// For a server that needs no open port but the one it has: wharf's, or wharf's proxy in front of another.
    pub fn one_port(seen: &Seen) -> Remedy {
        match seen.software.program {
            Program::Wharf => Remedy::copy(
                WhoActs::ServerConfiguration,
                "or let it take data connections at its control port, which is open",
                "wharf serve --one-port on",
            ),
            _ => Remedy::copy(
                WhoActs::ServerConfiguration,
                "or put wharf in front of it, which needs the control port alone",
                &format!(
                    "wharf proxy --one-port on --listen {}:{} --upstream HOST:PORT",
                    match seen.server() {
                        IpAddr::V4(_) => "0.0.0.0",
                        IpAddr::V6(_) => "[::]",
                    },
                    seen.peer.port()
                ),
            ),
        }
    }

    /// For the client's firewall: outbound to whatever ports the server names.
    pub fn let_out(&self, seen: &Seen) -> Remedy {
        let leaves = seen
            .far
            .iter()
            .any(|(_, touch)| *touch == Touch::Unreachable);
        let deployment = Deployment {
            // What gets to a router is dropped by a router.
            side: if leaves {
                Side::ClientGateway
            } else {
                Side::Client
            },
            server: at(seen),
            control_ports: vec![seen.peer.port()],
            passive: range(seen).map(Passive::Range),
            one_port_auto: false,
            active: None,
            ..Deployment::server()
        };
        Remedy::copy(
            WhoActs::ClientFirewall,
            "let connections to the server's passive ports out, or use an FTP helper (plaintext only)",
            &self.rules(&deployment),
        )
    }

    /// For the client's firewall: inbound from the server to a few ports.
    pub fn let_in(&self, seen: &Seen) -> Remedy {
        let (lo, hi) = ACTIVE_RANGE;
        let deployment = Deployment {
            side: Side::Client,
            server: at(seen),
            control_ports: vec![seen.peer.port()],
            passive: None,
            one_port_auto: false,
            active: PortRange::new(lo, hi).ok().map(|client_ports| Active {
                source_port: from_20(seen).then_some(20),
                client_ports,
            }),
            ..Deployment::server()
        };
        Remedy::copy(
            WhoActs::ClientFirewall,
            format!(
                "let the server's connections in, then use --mode active --port-range {lo}-{hi}"
            ),
            &self.rules(&deployment),
        )
    }

    /// For the server's firewall: outbound to its clients.
    pub fn let_server_out(&self, seen: &Seen) -> Remedy {
        let active = PortRange::new(1024, u16::MAX)
            .ok()
            .map(|client_ports| Active {
                source_port: from_20(seen).then_some(20),
                client_ports,
            });
        let deployment = Deployment {
            control_ports: vec![seen.peer.port()],
            passive: None,
            one_port_auto: false,
            active,
            ..Deployment::server()
        };
        Remedy::copy(
            WhoActs::ServerFirewall,
            "let the server's own connections to its clients out",
            &self.rules(&deployment),
        )
    }
}

/// Where the server is, for a client.
fn at(seen: &Seen) -> ServerAt {
    ServerAt {
        addresses: vec![seen.server()],
        inside: Vec::new(),
    }
}

/// Whether active data may be expected from port 20.
fn from_20(seen: &Seen) -> bool {
    let other = seen
        .active()
        .filter_map(|it| it.peer)
        .any(|peer| peer.port() != 20);
    !other && seen.software.program != Program::ProFtpd
}

/// The range to open: the proposed one, unless the ports that were named lie elsewhere and look like a range of their own.
pub(crate) fn range(seen: &Seen) -> Option<PortRange> {
    let (lo, hi) = RANGE;
    let proposed = PortRange::new(lo, hi).ok();
    match named(seen) {
        Some(named) if named.len() <= 1000 => {
            // The neighbours of three random ports belong to it, too: whole hundreds.
            let lo = named.lo() / 100 * 100;
            let hi = (named.hi() / 100).saturating_mul(100).saturating_add(99);
            let within = proposed.filter(|it| it.contains(named.lo()) && it.contains(named.hi()));
            within.or_else(|| PortRange::new(lo.max(1024), hi).ok())
        }
        _ => proposed,
    }
}

/// From the lowest to the highest port that the server named.
fn named(seen: &Seen) -> Option<PortRange> {
    let ports = seen.passive_ports();
    match (ports.first(), ports.last()) {
        (Some(lo), Some(hi)) => PortRange::new((*lo).max(1024), (*hi).max(1024)).ok(),
        _ => None,
    }
}
