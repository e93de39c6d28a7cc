//! The places in which FTP is used, as data: who stands behind which NAT and firewall.
//!
//! Documentation addresses throughout: clients are in 198.51.100.0/24, servers in 203.0.113.0/24, and behind a NAT in
//! 192.168.10.0/24 and 10.20.0.0/24 respectively.

use std::net::{IpAddr, SocketAddr};

use wharf_proto::data_connection::passive::PortRange;

use crate::gateway::{Addresses, Filter, Gateway, Verdict, ip, range};
use crate::world::World;

/// A row of [`TOPOLOGIES`].
pub struct Topology {
    /// Short name.
    pub name: &'static str,
    /// What stands where.
    pub what: &'static str,
    /// Builds a fresh world of this kind.
    pub build: fn() -> Scene,
}

/// A world with a `client` and a `server`, and what the server's administrator was told about it.
pub struct Scene {
    /// Its hosts are `client` and `server`.
    pub world: World,
    /// The address that the client knows the server by.
    pub dial: SocketAddr,
    /// Where the server listens.
    pub listen: SocketAddr,
    /// The server's own passive range; `None`: any port.
    pub passive: Option<PortRange>,
    /// The address that the server tells in 227; `None`: the one that the client reached.
    pub advertise: Option<IpAddr>,
}

/// Every topology, from open to hopeless.
pub const TOPOLOGIES: &[Topology] = &[
    Topology {
        name: "open",
        what: "no filter, no NAT",
        build: || routed(Gateway::router(), Gateway::router()),
    },
    Topology {
        name: "client-fw-drop",
        what: "client side: stateful firewall, inbound dropped",
        build: || routed(closed(Verdict::Drop), Gateway::router()),
    },
    Topology {
        name: "client-fw-reject",
        what: "client side: stateful firewall, inbound answered with a reset",
        build: || routed(closed(Verdict::Reject), Gateway::router()),
    },
    Topology {
        name: "client-fw-helper",
        what: "client side: inbound dropped, with an FTP helper",
        build: || routed(closed(Verdict::Drop).helper(), Gateway::router()),
    },
    Topology {
        name: "client-egress-21",
        what: "client side: only port 21 outbound, inbound dropped",
        build: || routed(egress_21(), Gateway::router()),
    },
    Topology {
        name: "client-egress-21-helper",
        what: "client side: only port 21 outbound, with an FTP helper",
        build: || routed(egress_21().helper(), Gateway::router()),
    },
    Topology {
        name: "server-fw-21",
        what: "server side: only 21 inbound, everything outbound",
        build: || routed(Gateway::router(), only_21()),
    },
    Topology {
        name: "server-fw-21-strict",
        what: "server side: only 21 inbound, nothing new outbound",
        build: || routed(Gateway::router(), only_21().outbound(nothing())),
    },
    Topology {
        name: "server-fw-range",
        what: "server side: 21 and the passive range inbound, nothing new outbound",
        build: || told_range(routed(Gateway::router(), range_open(Verdict::Drop))),
    },
    Topology {
        name: "server-fw-range-norange",
        what: "the firewall opens the range but the server was not told it",
        build: || routed(Gateway::router(), range_open(Verdict::Drop)),
    },
    Topology {
        name: "server-fw-range-reject",
        what: "the same, refused with a reset instead of dropped",
        build: || routed(Gateway::router(), range_open(Verdict::Reject)),
    },
    Topology {
        name: "server-fw-helper",
        what: "server side: only 21 inbound, nothing new outbound, with an FTP helper",
        build: || routed(Gateway::router(), only_21().outbound(nothing()).helper()),
    },
    Topology {
        name: "server-hostfw",
        what: "server side: 21 and the range inbound, new outbound only from port 20",
        build: || {
            let from_20 = Filter {
                from_ports: vec![range(20, 20)],
                ..nothing()
            };
            told_range(routed(
                Gateway::router(),
                range_open(Verdict::Drop).outbound(from_20),
            ))
        },
    },
    Topology {
        name: "both-fw",
        what: "client inbound dropped, server only 21",
        build: || routed(closed(Verdict::Drop), only_21()),
    },
    Topology {
        name: "client-nat",
        what: "client behind a masquerading NAT",
        build: || client_inside(client_nat(), Gateway::router()),
    },
    Topology {
        name: "client-nat-helper",
        what: "client behind a NAT with an FTP helper",
        build: || client_inside(client_nat().helper(), Gateway::router()),
    },
    Topology {
        name: "cgnat",
        what: "client behind a home NAT behind a carrier's NAT",
        build: || {
            let world = World::new();
            let carrier = world.site(World::INTERNET, Gateway::nat(["198.51.100.1"]));
            let home = world.site(carrier, Gateway::nat(["100.64.0.10"]));
            world.add_host("client", home, ["192.168.10.2"]);
            public_server(&world, Gateway::router());
            scene(world, "203.0.113.130", "203.0.113.130")
        },
    },
    Topology {
        name: "cgnat-pool",
        what: "carrier NAT that gives control and data connection different addresses",
        build: || {
            let pool = Gateway::nat(["198.51.100.1", "198.51.100.2", "198.51.100.3"])
                .with_nat(|nat| nat.addresses = Addresses::Arbitrary);
            client_inside(pool, Gateway::router())
        },
    },
    Topology {
        name: "server-dnat-leak",
        what: "server behind a NAT (21 and range forwarded); 227 tells the private address",
        build: || told_range(server_inside(open_client, server_nat_range())),
    },
    Topology {
        name: "server-dnat-fixed",
        what: "server behind a NAT (21 and range forwarded), told the public address",
        build: || {
            advertising(
                "203.0.113.1",
                told_range(server_inside(open_client, server_nat_range())),
            )
        },
    },
    Topology {
        name: "server-dnat-wrongaddr",
        what: "server behind a NAT, told an outdated public address",
        build: || {
            advertising(
                "203.0.113.99",
                told_range(server_inside(open_client, server_nat_range())),
            )
        },
    },
    Topology {
        name: "server-dnat-21",
        what: "server behind a NAT, only 21 forwarded",
        build: || server_inside(open_client, server_nat_21()),
    },
    Topology {
        name: "server-dnat-helper",
        what: "server behind a NAT, only 21 forwarded, with an FTP helper",
        build: || server_inside(open_client, server_nat_21().helper()),
    },
    Topology {
        name: "server-dnat-snat",
        what: "server behind a NAT that hides the clients' addresses (21 and range)",
        build: || {
            let gateway = server_nat_range().hiding_clients("10.20.0.1");
            advertising(
                "203.0.113.1",
                told_range(server_inside(open_client, gateway)),
            )
        },
    },
    Topology {
        name: "haproxy-21",
        what: "TCP load balancer in front of the server, port 21 only",
        build: || {
            let gateway = server_nat_21().hiding_clients("10.20.0.1");
            server_inside(open_client, gateway)
        },
    },
    Topology {
        name: "both-nat",
        what: "client NAT and server NAT, 227 tells the private address",
        build: || told_range(server_inside(nat_client, server_nat_range())),
    },
    Topology {
        name: "both-nat-fixed",
        what: "client NAT and server NAT, public address configured",
        build: || {
            advertising(
                "203.0.113.1",
                told_range(server_inside(nat_client, server_nat_range())),
            )
        },
    },
    Topology {
        name: "hairpin",
        what: "client and server in one LAN, client dials the public address",
        build: || {
            let world = World::new();
            let lan = world.site(World::INTERNET, server_nat_range().hairpin("10.20.0.1"));
            world.add_host("client", lan, ["10.20.0.9"]);
            world.add_host("server", lan, ["10.20.0.2"]);
            advertising(
                "203.0.113.1",
                told_range(scene(world, "203.0.113.1", "10.20.0.2")),
            )
        },
    },
    Topology {
        name: "ipv6-open",
        what: "IPv6 only, no filter",
        build: || ipv6(Gateway::router(), Gateway::router()),
    },
    Topology {
        name: "ipv6-client-fw",
        what: "IPv6 only, client inbound dropped",
        build: || ipv6(closed(Verdict::Drop), Gateway::router()),
    },
    Topology {
        name: "ipv6-client-fw-helper",
        what: "IPv6 only, client inbound dropped, with an FTP helper",
        build: || ipv6(closed(Verdict::Drop).helper(), Gateway::router()),
    },
    Topology {
        name: "ipv6-server-range",
        what: "IPv6 only, server 21 and range, nothing new outbound",
        build: || told_range(ipv6(Gateway::router(), range_open(Verdict::Drop))),
    },
];

/// The passive range wherever there is one.
const RANGE: (u16, u16) = (50_000, 50_049);

fn nothing() -> Filter {
    Filter::nothing(Verdict::Drop)
}

fn closed(verdict: Verdict) -> Gateway {
    Gateway::router().inbound(Filter::nothing(verdict))
}

fn egress_21() -> Gateway {
    closed(Verdict::Drop).outbound(Filter::only(&[(21, 21)], Verdict::Drop))
}

fn only_21() -> Gateway {
    Gateway::router().inbound(Filter::only(&[(21, 21)], Verdict::Drop))
}

fn range_open(otherwise: Verdict) -> Gateway {
    Gateway::router()
        .inbound(Filter::only(&[(21, 21), RANGE], otherwise))
        .outbound(Filter::nothing(otherwise))
}

fn client_nat() -> Gateway {
    Gateway::nat(["198.51.100.1"])
}

fn server_nat_21() -> Gateway {
    Gateway::nat(["203.0.113.1"]).forward(21, 21, "10.20.0.2")
}

fn server_nat_range() -> Gateway {
    server_nat_21().forward(RANGE.0, RANGE.1, "10.20.0.2")
}

/// Public addresses on both sides.
fn routed(client: Gateway, server: Gateway) -> Scene {
    let world = World::new();
    let site = world.site(World::INTERNET, client);
    world.add_host("client", site, ["198.51.100.130"]);
    public_server(&world, server);
    scene(world, "203.0.113.130", "203.0.113.130")
}

/// A private address for the client.
fn client_inside(client: Gateway, server: Gateway) -> Scene {
    let world = World::new();
    let site = world.site(World::INTERNET, client);
    world.add_host("client", site, ["192.168.10.2"]);
    public_server(&world, server);
    scene(world, "203.0.113.130", "203.0.113.130")
}

/// A private address for the server.
fn server_inside(client: fn(&World), gateway: Gateway) -> Scene {
    let world = World::new();
    client(&world);
    let site = world.site(World::INTERNET, gateway);
    world.add_host("server", site, ["10.20.0.2"]);
    scene(world, "203.0.113.1", "10.20.0.2")
}

fn open_client(world: &World) {
    let site = world.site(World::INTERNET, Gateway::router());
    world.add_host("client", site, ["198.51.100.130"]);
}

fn nat_client(world: &World) {
    let site = world.site(World::INTERNET, client_nat());
    world.add_host("client", site, ["192.168.10.2"]);
}

fn public_server(world: &World, gateway: Gateway) {
    let site = world.site(World::INTERNET, gateway);
    world.add_host("server", site, ["203.0.113.130"]);
}

fn ipv6(client: Gateway, server: Gateway) -> Scene {
    let world = World::new();
    let site = world.site(World::INTERNET, client);
    world.add_host("client", site, ["2001:db8:c::2"]);
    let site = world.site(World::INTERNET, server);
    world.add_host("server", site, ["2001:db8:5::2"]);
    scene(world, "2001:db8:5::2", "2001:db8:5::2")
}

fn scene(world: World, dial: &str, listen: &str) -> Scene {
    Scene {
        world,
        dial: SocketAddr::new(ip(dial), 21),
        listen: SocketAddr::new(ip(listen), 21),
        passive: None,
        advertise: None,
    }
}

fn told_range(scene: Scene) -> Scene {
    Scene {
        passive: Some(range(RANGE.0, RANGE.1)),
        ..scene
    }
}

fn advertising(address: &str, scene: Scene) -> Scene {
    Scene {
        advertise: Some(ip(address)),
        ..scene
    }
}
