//! HAProxy in front of the server: a configuration that passes the control connection on, and the data connections.
//!
//! The lab runs it (2.6), with a range and with one port. Only passive data mode passes a balancer: the server does not
//! know a way to the client that leads through it. The PROXY header tells the server the client's address, by which it knows the
//! client's data connections; wharf believes it from networks named with `--proxy-protocol`.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::steps::without_helper;
use super::{Dialect, Style, Unsupported, placeholder};
use crate::deployment::Family;
use crate::explain;
use crate::flow::Step;
use crate::rule::Reason;
use crate::rule_set::{RuleSet, Scope};

pub(super) const DIALECT: Dialect = Dialect {
    name: "haproxy",
    what: "HAProxy in front of the server",
    extension: "cfg",
    load: "haproxy -f FILE",
    write,
};

fn write(rules: &RuleSet, style: Style) -> Result<String, Unsupported> {
    let of = &rules.deployment;
    without_helper(rules, "balancers")?;
    if !of.side.is_servers() {
        return Err(Unsupported::new(
            "a balancer stands in front of the server",
            "use --side server, or --side server-gateway with --server ADDRESS for what clients dial and --inside \
             ADDRESS for the server",
        ));
    }
    if of.passive.is_none() {
        return Err(Unsupported::new(
            "active data connections cannot pass a balancer",
            "offer passive data mode (--modes passive)",
        ));
    }
    let mut out = style.head(&DIALECT, rules, "# ");
    out.push_str(&explain::comment(
        "Tell the server: --proxy-protocol BALANCER/32, the address that HAProxy connects from, and --advertise with the \
         address that clients dial. A server without the PROXY protocol: leave send-proxy-v2 out; it then takes every \
         client for the balancer.",
        "# ",
        110,
    ));
    if of.active.is_some() {
        out.push_str(&explain::comment(
            "Active data connections do not pass here: the server would open them itself, past HAProxy.",
            "# ",
            110,
        ));
    }
    if rules.scope == Scope::Complete {
        out.push_str(&explain::comment(
            "HAProxy lets nothing pass but this; what else the gateway forwards is not its matter.",
            "# ",
            110,
        ));
    }
    let servers: Vec<(Family, IpAddr)> = of
        .families()
        .filter(|it| of.server.inside.is_empty() || of.server.inside_of(*it).is_some())
        .map(|family| (family, server(rules, family)))
        .collect();
    if of.server.addresses.is_empty() {
        let families: Vec<Family> = servers.iter().map(|it| it.0).collect();
        let remark = placeholder::remark("server", &families);
        out.push_str(&explain::comment(&remark, "# ", 110));
    }
    out.push_str(
        "defaults\n    mode tcp\n    timeout connect 10s\n    # longer than the server's own idle time\n    timeout \
         client 1h\n    timeout server 1h\n",
    );
    for (family, server) in servers {
        out.push_str(&pair(rules, style, family, server));
    }
    Ok(out)
}

/// Where the server is, seen from the balancer
fn server(rules: &RuleSet, family: Family) -> IpAddr {
    let of = &rules.deployment.server;
    let mut own = of.addresses.iter().copied();
    let own = own.find(|it| Family::of(*it) == family);
    let inside = of.inside_of(family).or(own);
    inside.unwrap_or_else(|| placeholder::host(family))
}

/// Front end and back end of one family
fn pair(rules: &RuleSet, style: Style, family: Family, server: IpAddr) -> String {
    let of = &rules.deployment;
    // In front of a server with an address of its own, the balancer has another one.
    let own = of.server.inside.is_empty();
    let every = match family {
        Family::V4 => "0.0.0.0",
        Family::V6 => "[::]",
    };
    let name = match family {
        Family::V4 => "ftp_v4",
        Family::V6 => "ftp_v6",
    };
    let mut out = format!("\nfrontend {name}\n");
    let mut bound: Vec<String> = Vec::new();
    for flow in &rules.flows {
        if flow.step == Step::ActiveData || flow.family.is_some_and(|it| it != family) {
            continue;
        }
        let ports = flow.destination_ports.texts("-");
        let addresses: Vec<String> = if own {
            vec![every.to_owned()]
        } else {
            flow.to.iter().map(|it| host(it.address())).collect()
        };
        let only = if own && family == Family::V6 {
            " v6only"
        } else {
            ""
        };
        let binds: Vec<String> = addresses
            .iter()
            .flat_map(|it| ports.iter().map(move |ports| format!("{it}:{ports}{only}")))
            .filter(|it| !bound.contains(it))
            .collect();
        if style.explain && !binds.is_empty() {
            let why = explain::reason(Reason::Step(flow.step), of);
            out.push_str(&explain::comment(&why, "    # ", 110));
        }
        for bind in binds {
            let _ = writeln!(out, "    bind {bind}");
            bound.push(bind);
        }
    }
    let clients = of.clients.iter().map(|it| it.address());
    if clients.len() > 0 {
        let all = rules.flows.iter().find(|it| it.family == Some(family));
        let nets = all.map(|it| it.from.cidrs().join(" ")).unwrap_or_default();
        let _ = writeln!(
            out,
            "    tcp-request connection reject unless {{ src {nets} }}"
        );
    }
    let _ = write!(
        out,
        "    default_backend {name}\n\nbackend {name}\n    # no port: the one that the client came to\n    server wharf \
         {} send-proxy-v2\n",
        host(server)
    );
    out
}

/// An address as HAProxy tells it from a port
fn host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(it) => it.to_string(),
        IpAddr::V6(it) => format!("[{it}]"),
    }
}
