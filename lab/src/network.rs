//! Builds a topology out of its row: namespaces, cables, addresses, routes, rules.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use crate::namespace::Namespace;
use crate::topology::nats::MASQUERADE;
use crate::topology::{self, ClientSide, Middlebox, ServerSide, Topology};
use crate::{Result, middlebox, payload};

/// Private addresses lead nowhere from the public side; the answer is an ICMP error, at once.
const NO_PRIVATE: &str = "route add unreachable 10.0.0.0/8\n\
                          route add unreachable 172.16.0.0/12\n\
                          route add unreachable 192.168.0.0/16\n";

/// There are no name servers here: a program that asks one (NcFTP does) is told so at once instead of
/// waiting ten seconds.
const NO_RESOLVER: &str = r"
table inet resolver {
  chain output { type filter hook output priority filter; meta l4proto { tcp, udp } th dport 53 reject; }
}";

/// A topology that stands; dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Network {
    /// What runs on a gateway; first, so that it ends before its namespace goes.
    _middlebox: Option<middlebox::Running>,
    /// Where the user-PI runs.
    pub(crate) client: Namespace,
    /// Where the server-PI runs.
    pub(crate) server: Namespace,
    /// The machines between them, kept for their lifetime.
    between: Vec<Namespace>,
    /// The address that the client dials.
    pub(crate) dial: IpAddr,
}

impl Network {
    /// The gateway of one side, `cgw` or `sgw`: what changes while a topology stands changes there.
    pub(crate) fn gateway(&self, role: &str) -> Result<&Namespace> {
        let found = self.between.iter().find(|it| it.name().ends_with(role));
        found.ok_or_else(|| format!("no gateway {role} here").into())
    }

    /// Port 21 of the address that the client dials.
    pub(crate) fn control(&self) -> SocketAddr {
        SocketAddr::new(self.dial, 21)
    }

    /// The dialled address as a URL has it.
    pub(crate) fn host(&self) -> String {
        match self.dial {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        }
    }

    /// Lays the cables of a topology and loads its rules.
    pub(crate) fn build(row: &Topology) -> Result<Self> {
        let client = Namespace::create("client")?;
        let server = Namespace::create("server")?;
        let server_gateway = Namespace::create("sgw")?;
        forwards(&server_gateway)?;
        server_gateway.nft(row.server_gateway)?;
        server.nft(row.server_host)?;
        client.nft(row.client_host)?;
        server.nft(NO_RESOLVER)?;
        client.nft(NO_RESOLVER)?;
        if row.client == ClientSide::ServerNetwork {
            bridge(&client, &server, &server_gateway)?;
            return Ok(Self {
                _middlebox: None,
                client,
                server,
                between: vec![server_gateway],
                dial: topology::SERVER_GATEWAY,
            });
        }
        let client_gateway = Namespace::create("cgw")?;
        forwards(&client_gateway)?;
        client_gateway.nft(row.client_gateway)?;
        client_gateway.join("lan", &client, "eth")?;
        server_gateway.join("lan", &server, "eth")?;
        let mut between = Vec::new();
        if row.client == ClientSide::CarrierNat {
            let carrier = Namespace::create("carrier")?;
            forwards(&carrier)?;
            carrier.nft(MASQUERADE)?;
            client_gateway.join("wan", &carrier, "lan")?;
            carrier.join("wan", &server_gateway, "wan")?;
            client_gateway.ip("addr add 100.64.0.2 peer 100.64.0.1 dev wan\n\
                               route add default via 100.64.0.1 dev wan\n")?;
            carrier.ip(&format!(
                "addr add 100.64.0.1 peer 100.64.0.2 dev lan\n\
                 addr add 198.51.100.1 peer 203.0.113.1 dev wan\n\
                 route add default via 203.0.113.1 dev wan\n{NO_PRIVATE}"
            ))?;
            between.push(carrier);
        } else {
            client_gateway.join("wan", &server_gateway, "wan")?;
            client_gateway.ip(&format!(
                "addr add {} peer 203.0.113.1 dev wan\n\
                 route add default via 203.0.113.1 dev wan\n{NO_PRIVATE}\
                 addr add 2001:db8:f::1/64 dev wan nodad\n\
                 route add ::/0 via 2001:db8:f::2 dev wan\n",
                row.outside
            ))?;
        }
        client_side(row.client, &client, &client_gateway)?;
        server_side(row, &server, &server_gateway)?;
        if !row.takes.is_zero() {
            middlebox::forget_and_slow(&client_gateway, payload::SMALL, row.takes)?;
            // A window that fits the lane's queue: nothing is dropped, no connection falls silent because it
            // waits to repeat, and what a sender's buffer holds back is little.
            for end in [&client, &server] {
                end.set("4096 16384 32768", &["ipv4/tcp_wmem", "ipv4/tcp_rmem"])?;
            }
        }
        let running = match row.middlebox {
            None => None,
            Some(what @ Middlebox::Balancer { .. }) => {
                Some(middlebox::start(what, &server_gateway)?)
            }
            Some(what) => Some(middlebox::start(what, &client_gateway)?),
        };
        between.extend([client_gateway, server_gateway]);
        let dial = match (row.client, row.server, row.ipv6) {
            (ClientSide::Ipv6Only, ..) => topology::SERVER_TRANSLATED,
            (_, _, true) => topology::SERVER_V6,
            (_, ServerSide::Public, false) => topology::SERVER,
            (_, ServerSide::Forwarded, false) => topology::SERVER_GATEWAY,
        };
        Ok(Self {
            _middlebox: running,
            client,
            server,
            between,
            dial,
        })
    }
}

fn forwards(gateway: &Namespace) -> Result<()> {
    gateway.set("1", &["ipv4/ip_forward", "ipv6/conf/all/forwarding"])
}

/// Addresses between the client and its gateway.
fn client_side(side: ClientSide, client: &Namespace, gateway: &Namespace) -> Result<()> {
    let (own, prefix, router) = match side {
        ClientSide::Public => ("198.51.100.130", 25, "198.51.100.129"),
        _ => ("192.168.10.2", 24, "192.168.10.1"),
    };
    let mut batch = "addr add 2001:db8:c::2/64 dev eth nodad\n\
                     route add ::/0 via 2001:db8:c::1 dev eth\n"
        .to_owned();
    if side != ClientSide::Ipv6Only {
        let _ = writeln!(
            batch,
            "addr add {own}/{prefix} dev eth\nroute add default via {router}"
        );
    }
    if side == ClientSide::Public {
        // A second address, for the stranger of the hostile tests.
        let _ = writeln!(batch, "addr add 198.51.100.131/{prefix} dev eth");
    }
    client.ip(&batch)?;
    gateway.ip(&format!(
        "addr add {router}/{prefix} dev lan\naddr add 2001:db8:c::1/64 dev lan nodad\n"
    ))
}

/// Addresses between the server and its gateway, and the gateway's way back.
fn server_side(row: &Topology, server: &Namespace, gateway: &Namespace) -> Result<()> {
    let outside = row.outside;
    let (own, prefix, router) = match row.server {
        ServerSide::Public => ("203.0.113.130", 25, "203.0.113.129"),
        ServerSide::Forwarded => ("10.20.0.2", 24, "10.20.0.1"),
    };
    server.ip(&format!(
        "addr add {own}/{prefix} dev eth\nroute add default via {router}\n\
         addr add 2001:db8:5::2/64 dev eth nodad\nroute add ::/0 via 2001:db8:5::1 dev eth\n"
    ))?;
    gateway.ip(&format!(
        "addr add {router}/{prefix} dev lan\naddr add 2001:db8:5::1/64 dev lan nodad\n\
         addr add 203.0.113.1 peer {outside} dev wan\n\
         route add default via {outside} dev wan\n\
         route add unreachable 203.0.113.0/24\n\
         addr add 2001:db8:f::2/64 dev wan nodad\n\
         route add ::/0 via 2001:db8:f::1 dev wan\n"
    ))
}

/// Client and server as neighbours on one bridge, which is the gateway's `lan`.
fn bridge(client: &Namespace, server: &Namespace, gateway: &Namespace) -> Result<()> {
    gateway.ip("link add lan type bridge\nlink set lan up\n\
                addr add 10.20.0.1/24 dev lan\naddr add 203.0.113.1/32 dev lan\n")?;
    for (host, cable, address) in [(client, "one", "10.20.0.3"), (server, "two", "10.20.0.2")] {
        gateway.join(cable, host, "eth")?;
        gateway.ip(&format!("link set {cable} master lan\n"))?;
        host.ip(&format!(
            "addr add {address}/24 dev eth\nroute add default via 10.20.0.1\n"
        ))?;
    }
    Ok(())
}
