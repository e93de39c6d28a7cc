//! The cases of the golden files, and what else is tried with them: deployments as people have them.

use wharf_firewall::{Active, Deployment, Family, Passive, Scope, ServerAt, Side};
use wharf_proto::data_connection::passive::PortRange;

/// A row: one golden file for each dialect
pub(crate) struct Case {
    /// Name of the golden files
    pub(crate) name: &'static str,
    pub(crate) scope: Scope,
    pub(crate) explain: bool,
    pub(crate) deployment: fn() -> Deployment,
}

/// Without comments, beside others' rules
const fn case(name: &'static str, deployment: fn() -> Deployment) -> Case {
    Case {
        name,
        scope: Scope::Beside,
        explain: false,
        deployment,
    }
}

const fn complete(name: &'static str, deployment: fn() -> Deployment) -> Case {
    Case {
        scope: Scope::Complete,
        ..case(name, deployment)
    }
}

const fn explained(name: &'static str, deployment: fn() -> Deployment) -> Case {
    Case {
        explain: true,
        ..case(name, deployment)
    }
}

pub(crate) const CASES: &[Case] = &[
    case("server", Deployment::server),
    explained("server-explained", Deployment::server),
    complete("server-complete", Deployment::server),
    case("server-one-port", one_port),
    case("server-passive-only", passive_only),
    case("server-helper", with_helper),
    complete("server-helper-complete", with_helper),
    case("server-data-ports", data_ports),
    case("server-clients", known_clients),
    case("server-ipv4-clients", ipv4_clients),
    case("server-ipv6-only", ipv6_only),
    complete("server-ipv6-only-complete", ipv6_only),
    case("server-gateway", gateway),
    complete("server-gateway-complete", gateway),
    Case {
        explain: true,
        ..complete("server-gateway-known-clients", gateway_known_clients)
    },
    case("server-gateway-one-port", gateway_one_port),
    case("server-gateway-helper", gateway_helper),
    case("server-gateway-routed", gateway_routed),
    case("client-passive", client_passive),
    case("client-active", client_active),
    complete("client-active-complete", client_active),
    case("client-active-helper", client_active_helper),
    case("client-any-server", client_any_server),
    case("client-gateway-active", client_gateway_active),
    Case {
        explain: true,
        ..complete("client-gateway-helper", client_gateway_helper)
    },
];

pub(crate) fn range(lo: u16, hi: u16) -> PortRange {
    PortRange::new(lo, hi).unwrap()
}

fn at(addresses: &[&str]) -> ServerAt {
    ServerAt {
        addresses: addresses.iter().map(|it| it.parse().unwrap()).collect(),
        inside: Vec::new(),
    }
}

fn one_port() -> Deployment {
    Deployment {
        passive: Some(Passive::OnePort),
        one_port_auto: false,
        active: None,
        ..Deployment::server()
    }
}

fn passive_only() -> Deployment {
    Deployment {
        active: None,
        one_port_auto: false,
        ..Deployment::server()
    }
}

fn with_helper() -> Deployment {
    Deployment {
        helper: true,
        one_port_auto: false,
        ..Deployment::server()
    }
}

/// Two control ports, shared data ports, active from any port, IPv4 only
fn data_ports() -> Deployment {
    Deployment {
        families: vec![Family::V4],
        control_ports: vec![21, 2121],
        passive: Some(Passive::DataPorts(range(5000, 5003))),
        active: Some(Active {
            source_port: None,
            client_ports: range(1024, 65535),
        }),
        ..Deployment::server()
    }
}

/// One address of each family, clients of some networks
fn known_clients() -> Deployment {
    Deployment {
        server: at(&["203.0.113.5", "2001:db8::5"]),
        clients: ["198.51.100.0/24", "192.0.2.7", "2001:db8:c::/48"]
            .map(|it| it.parse().unwrap())
            .to_vec(),
        ..Deployment::server()
    }
}

/// Clients of one family, and a server that listens in both: the other one is closed
fn ipv4_clients() -> Deployment {
    Deployment {
        clients: vec!["198.51.100.0/24".parse().unwrap()],
        ..Deployment::server()
    }
}

fn ipv6_only() -> Deployment {
    Deployment {
        families: vec![Family::V6],
        ..Deployment::server()
    }
}

/// DNAT to an inside server, hairpin
fn gateway() -> Deployment {
    Deployment {
        side: Side::ServerGateway,
        server: ServerAt {
            addresses: vec!["203.0.113.1".parse().unwrap()],
            inside: vec!["10.20.0.2".parse().unwrap()],
        },
        hairpin: vec!["10.20.0.0/24".parse().unwrap()],
        ..Deployment::server()
    }
}

fn gateway_known_clients() -> Deployment {
    Deployment {
        clients: vec!["198.51.100.0/24".parse().unwrap()],
        ..gateway()
    }
}

fn gateway_one_port() -> Deployment {
    Deployment {
        passive: Some(Passive::OnePort),
        one_port_auto: false,
        active: None,
        hairpin: Vec::new(),
        ..gateway()
    }
}

fn gateway_helper() -> Deployment {
    Deployment {
        helper: true,
        one_port_auto: false,
        hairpin: Vec::new(),
        ..gateway()
    }
}

/// Nothing is translated; both families
fn gateway_routed() -> Deployment {
    Deployment {
        side: Side::ServerGateway,
        server: at(&["203.0.113.5", "2001:db8::5"]),
        ..Deployment::server()
    }
}

fn client_passive() -> Deployment {
    Deployment {
        side: Side::Client,
        server: at(&["203.0.113.5"]),
        passive: Some(Passive::Range(range(50000, 50999))),
        active: None,
        ..Deployment::server()
    }
}

/// The server is known, its port 20 is known, ten ports of ours are known: the precise rule
fn client_active() -> Deployment {
    Deployment {
        active: Some(Active {
            source_port: Some(20),
            client_ports: range(45100, 45109),
        }),
        passive: None,
        ..client_passive()
    }
}

fn client_active_helper() -> Deployment {
    Deployment {
        helper: true,
        active: Some(Active {
            source_port: Some(20),
            client_ports: range(1024, 65535),
        }),
        ..client_passive()
    }
}

/// Whatever server: passive and active by helper
fn client_any_server() -> Deployment {
    Deployment {
        server: ServerAt::default(),
        passive: Some(Passive::Range(range(1024, 65535))),
        ..client_active_helper()
    }
}

fn client_gateway_active() -> Deployment {
    Deployment {
        side: Side::ClientGateway,
        clients: vec!["192.168.10.0/24".parse().unwrap()],
        passive: Some(Passive::Range(range(50000, 50999))),
        ..client_active()
    }
}

fn client_gateway_helper() -> Deployment {
    Deployment {
        side: Side::ClientGateway,
        clients: vec!["192.168.10.0/24".parse().unwrap()],
        ..client_any_server()
    }
}
