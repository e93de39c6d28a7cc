//! Docker: a compose file that publishes the server's ports, and nothing else of the container.
//!
//! Written from the documentation of compose; read by a YAML parser, no engine has seen it. Publishing translates
//! addresses, as a gateway does, and Docker's own rules let published ports in before those of a host firewall (ufw,
//! firewalld) are asked.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::serve_flags::serve_flags;
use super::steps::without_helper;
use super::{Dialect, Style, Unsupported};
use crate::deployment::{Passive, Side};
use crate::explain;
use crate::flow::Step;
use crate::rule::{Addresses, Reason};
use crate::rule_set::{RuleSet, Scope};

pub(super) const DIALECT: Dialect = Dialect {
    name: "docker",
    what: "Docker compose file",
    extension: "yaml",
    load: "docker compose -f FILE up -d",
    write,
};

/// Ranges wider than this are remarked on: with the userland proxy each port is a process
const MANY: u32 = 64;

fn write(rules: &RuleSet, style: Style) -> Result<String, Unsupported> {
    let of = &rules.deployment;
    without_helper(rules, "published ports")?;
    match of.side {
        Side::Server => {}
        Side::ServerGateway => {
            return Err(Unsupported::new(
                "a compose file is for the host that the container runs on",
                "use --side server, with --server ADDRESS where only one address of the host is meant",
            ));
        }
        Side::Client | Side::ClientGateway => {
            return Err(Unsupported::new(
                "a compose file publishes the ports of servers; what goes out of a container is not limited by it",
                "use --dialect nftables or iptables with --side client-gateway on the Docker host",
            ));
        }
    }
    let mut out = style.head(&DIALECT, rules, "# ");
    for remark in remarks(rules) {
        out.push_str(&explain::comment(&remark, "# ", 110));
    }
    let _ = write!(
        out,
        "services:\n  wharf:\n    image: {:?}\n    command:\n      - \"serve\"\n      - \"/srv/ftp\"\n",
        of.program
    );
    for (flag, value) in serve_flags(of) {
        let _ = writeln!(out, "      - {flag:?}");
        if let Some(value) = value {
            let _ = writeln!(out, "      - {value:?}");
        }
    }
    for address in &of.server.addresses {
        if address.is_ipv4() {
            let _ = write!(out, "      - \"--advertise\"\n      - \"{address}\"\n");
            break; // only a 227 names an address, and one
        }
    }
    out.push_str("    ports:\n");
    for step in [Step::Control, Step::PassiveData] {
        let ports = published(rules, step);
        if ports.is_empty() {
            continue;
        }
        if style.explain {
            let why = explain::reason(Reason::Step(step), of);
            out.push_str(&explain::comment(&why, "      # ", 110));
        }
        for port in ports {
            let _ = writeln!(out, "      - {port:?}");
        }
    }
    out.push_str(
        "    volumes:\n      - \"./files:/srv/ftp\"\n    read_only: true\n    cap_drop:\n      - ALL\n    cap_add:\n      \
         - NET_BIND_SERVICE\n    security_opt:\n      - no-new-privileges:true\n    restart: unless-stopped\n",
    );
    Ok(out)
}

/// `[ADDRESS:]PORT:PORT/tcp` for each port or range of a step
fn published(rules: &RuleSet, step: Step) -> Vec<String> {
    let of = &rules.deployment;
    let ranges: Vec<String> = match (step, of.passive) {
        (Step::Control, _) => of.control_ports.iter().map(ToString::to_string).collect(),
        (Step::PassiveData, Some(Passive::Range(ports) | Passive::DataPorts(ports))) => {
            vec![ports.to_string()]
        }
        _ => Vec::new(),
    };
    let mut hosts: Vec<String> = of.server.addresses.iter().map(host).collect();
    if hosts.is_empty() {
        let families: Vec<_> = of.families().collect();
        hosts = match families.as_slice() {
            [one] => vec![match one {
                crate::deployment::Family::V4 => "0.0.0.0:".to_owned(),
                crate::deployment::Family::V6 => "[::]:".to_owned(),
            }],
            _ => vec![String::new()],
        };
    }
    let mut all = Vec::new();
    for host in &hosts {
        for range in &ranges {
            all.push(format!("{host}{range}:{range}/tcp"));
        }
    }
    all
}

fn host(address: &IpAddr) -> String {
    match address {
        IpAddr::V4(it) => format!("{it}:"),
        IpAddr::V6(it) => format!("[{it}]:"),
    }
}

fn remarks(rules: &RuleSet) -> Vec<String> {
    let of = &rules.deployment;
    let mut remarks = vec![
        "The image holds the program; users and their passwords come by --users or WHARF_USERS. Docker lets published \
         ports in before a host firewall is asked. Set \"userland-proxy\": false in the daemon's settings: the proxy \
         hides the clients' addresses, by which the server knows their data connections."
            .to_owned(),
    ];
    if let Some(ports) = of.passive.and_then(Passive::ports)
        && u32::from(ports.hi()) - u32::from(ports.lo()) >= MANY
    {
        remarks.push(
            "Every published port costs the engine memory and time at the start: --one-port on publishes one, a range \
             of some ten serves as many transfers at once."
                .to_owned(),
        );
    }
    if !of.clients.is_empty() {
        let clients = Addresses::networks(of.clients.iter().copied());
        remarks.push(format!(
            "Wider than it should be: publishing knows no client networks. Only {clients} is meant: say so in the host's \
             chain DOCKER-USER."
        ));
    }
    if of.active.is_some() {
        remarks.push(
            "Active data connections go out by the host's address, and their source port is the host's choice: firewalls \
             that expect port 20 drop them. network_mode: host avoids both."
                .to_owned(),
        );
    }
    if rules.scope == Scope::Complete {
        remarks.push(
            "Wider than --complete asks: what the container itself opens is not limited by a compose file.".to_owned(),
        );
    }
    remarks
}
