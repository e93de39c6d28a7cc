//! The places in which FTP is used, as data: who stands behind which NAT and firewall.
//!
//! Documentation addresses throughout: clients are in 198.51.100.0/24, servers in 203.0.113.0/24, and behind a NAT in
//! 192.168.10.0/24 and 10.20.0.0/24 respectively.
//!
//! These are the rows of the measured table (48 topologies on a real kernel) that a model of whole connections can
//! express. What it cannot:
//!
//! * The eight rows with TLS: they need TLS on the control connection, which blinds a helper; the helper here is blind to
//!   what it does not understand already.
//! * What differs between *servers* in one row (ProFTPD does not send from port 20, Pure-FTPd's ports run out): the server
//!   here is always ours.
//! * A stateless list is judged by ports alone: it lets a connection through where both directions pass. That a list lets
//!   single packets in without a connection (the hole in the article's fourth passive rule) has no counterpart here.
//! * How a load balancer answers a connection when the server behind it does not (it accepts first, and closes): refused.
//! * That a rule on the host itself sees the process rather than the wire: `client-hostfw-helper` and `server-hostfw` are a
//!   border with that one host behind it.

use std::time::Duration;

use crate::filter::{AccessList, Filter, Verdict};
use crate::gateway::{Addresses, Gateway, range};
pub use crate::scenes::Scene;
use crate::scenes::{
    ANY, HIGH, RANGE, advertising, balancer, client_inside, client_nat, closed, egress_21, ipv6,
    nat_client, nothing, only_21, open_client, passive_list, proxied, public_server, range_open,
    routed, scene, server_inside, server_nat_21, server_nat_range, told_range,
};
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
        name: "acl-active",
        what: "server side: the article's four rules for active mode, stateless",
        build: || {
            let list = AccessList::new()
                .inward(ANY, (21, 21))
                .outward((21, 21), HIGH)
                .outward((20, 20), HIGH)
                .inward(HIGH, (20, 20));
            routed(Gateway::router(), Gateway::router().access_list(list))
        },
    },
    Topology {
        name: "acl-passive",
        what: "server side: the article's four rules for passive mode, stateless",
        build: || routed(Gateway::router(), passive_list(HIGH)),
    },
    Topology {
        name: "acl-passive-range",
        what: "server side: the same narrowed to the passive range, stateless",
        build: || told_range(routed(Gateway::router(), passive_list(RANGE))),
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
        name: "client-hostfw-helper",
        what: "firewall on the client itself: nothing new inbound, with an FTP helper",
        build: || {
            let own = closed(Verdict::Drop).helper().latency(Duration::ZERO);
            routed(own, Gateway::router())
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
        name: "client-nat-upnp",
        what: "client behind a NAT that forwards ports on request",
        build: || client_inside(client_nat().upnp(), Gateway::router()),
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
        build: || server_inside(open_client, balancer(server_nat_21())),
    },
    Topology {
        name: "haproxy-21-proxy",
        what: "the same with the PROXY protocol",
        build: || proxied(open_client, server_nat_21()),
    },
    Topology {
        name: "haproxy-range",
        what: "TCP load balancer, 21 and the range, server told the public address",
        build: || {
            let gateway = balancer(server_nat_range());
            advertising(
                "203.0.113.1",
                told_range(server_inside(open_client, gateway)),
            )
        },
    },
    Topology {
        name: "haproxy-range-proxy",
        what: "the same with the PROXY protocol, server told nothing",
        build: || told_range(proxied(open_client, server_nat_range())),
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
        name: "both-nat-upnp",
        what: "client NAT that forwards ports on request, server NAT with only 21 forwarded",
        build: || {
            let client = |world: &World| {
                let site = world.site(World::INTERNET, client_nat().upnp());
                world.add_host("client", site, ["192.168.10.2"]);
            };
            server_inside(client, server_nat_21())
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
        name: "nat-idle",
        what: "client NAT that forgets a silent connection after 4 s, transfers of 12 s",
        build: || {
            let forgetful = client_nat().with_nat(|nat| nat.idle = Some(Duration::from_secs(4)));
            Scene {
                pace: Some(Duration::from_secs(12)),
                ..client_inside(forgetful, Gateway::router())
            }
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
    Topology {
        name: "nat64",
        what: "IPv6-only client behind a NAT64, IPv4-only server",
        build: || {
            let world = World::new();
            let site = world.site(World::INTERNET, Gateway::nat64(["198.51.100.1"]));
            world.add_host("client", site, ["2001:db8:c::2"]);
            public_server(&world, Gateway::router());
            scene(world, "64:ff9b::203.0.113.130", "203.0.113.130")
        },
    },
];
