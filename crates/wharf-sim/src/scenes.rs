//! What the topologies are made of: borders and worlds.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wharf_proto::data_connection::passive::PortRange;

use crate::filter::{AccessList, Filter, Verdict};
use crate::gateway::{Gateway, ip, range};
use crate::world::World;

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
    /// The balancer that begins connections to the server with a PROXY protocol header.
    pub balancer: Option<IpAddr>,
    /// How long a transfer takes here; `None`: as long as it takes.
    pub pace: Option<Duration>,
}

/// The passive range wherever there is one.
pub(crate) const RANGE: (u16, u16) = (50_000, 50_049);

/// Every port, and those that the article calls unprivileged.
pub(crate) const ANY: (u16, u16) = (1, 65_535);
pub(crate) const HIGH: (u16, u16) = (1024, 65_535);

/// The address that clients have behind a balancer.
const BALANCER: &str = "10.20.0.1";

pub(crate) fn nothing() -> Filter {
    Filter::nothing(Verdict::Drop)
}

pub(crate) fn closed(verdict: Verdict) -> Gateway {
    Gateway::router().inbound(Filter::nothing(verdict))
}

pub(crate) fn egress_21() -> Gateway {
    closed(Verdict::Drop).outbound(Filter::only(&[(21, 21)], Verdict::Drop))
}

pub(crate) fn only_21() -> Gateway {
    Gateway::router().inbound(Filter::only(&[(21, 21)], Verdict::Drop))
}

pub(crate) fn range_open(otherwise: Verdict) -> Gateway {
    Gateway::router()
        .inbound(Filter::only(&[(21, 21), RANGE], otherwise))
        .outbound(Filter::nothing(otherwise))
}

pub(crate) fn client_nat() -> Gateway {
    Gateway::nat(["198.51.100.1"])
}

pub(crate) fn server_nat_21() -> Gateway {
    Gateway::nat(["203.0.113.1"]).forward(21, 21, "10.20.0.2")
}

pub(crate) fn server_nat_range() -> Gateway {
    server_nat_21().forward(RANGE.0, RANGE.1, "10.20.0.2")
}

/// The article's rules for passive mode, with these ports for data.
pub(crate) fn passive_list(data: (u16, u16)) -> Gateway {
    let list = AccessList::new()
        .inward(ANY, (21, 21))
        .outward((21, 21), HIGH)
        .inward(HIGH, data)
        .outward(data, HIGH);
    Gateway::router().access_list(list)
}

pub(crate) fn balancer(gateway: Gateway) -> Gateway {
    gateway.hiding_clients(BALANCER)
}

/// A server behind a balancer that tells it the client's address.
pub(crate) fn proxied(client: fn(&World), gateway: Gateway) -> Scene {
    let gateway = balancer(gateway).proxy_protocol();
    Scene {
        balancer: Some(ip(BALANCER)),
        ..server_inside(client, gateway)
    }
}

/// Public addresses on both sides.
pub(crate) fn routed(client: Gateway, server: Gateway) -> Scene {
    let world = World::new();
    let site = world.site(World::INTERNET, client);
    world.add_host("client", site, ["198.51.100.130"]);
    public_server(&world, server);
    scene(world, "203.0.113.130", "203.0.113.130")
}

/// A private address for the client.
pub(crate) fn client_inside(client: Gateway, server: Gateway) -> Scene {
    let world = World::new();
    let site = world.site(World::INTERNET, client);
    world.add_host("client", site, ["192.168.10.2"]);
    public_server(&world, server);
    scene(world, "203.0.113.130", "203.0.113.130")
}

/// A private address for the server.
pub(crate) fn server_inside(client: fn(&World), gateway: Gateway) -> Scene {
    let world = World::new();
    client(&world);
    let site = world.site(World::INTERNET, gateway);
    world.add_host("server", site, ["10.20.0.2"]);
    scene(world, "203.0.113.1", "10.20.0.2")
}

pub(crate) fn open_client(world: &World) {
    let site = world.site(World::INTERNET, Gateway::router());
    world.add_host("client", site, ["198.51.100.130"]);
}

pub(crate) fn nat_client(world: &World) {
    let site = world.site(World::INTERNET, client_nat());
    world.add_host("client", site, ["192.168.10.2"]);
}

pub(crate) fn public_server(world: &World, gateway: Gateway) {
    let site = world.site(World::INTERNET, gateway);
    world.add_host("server", site, ["203.0.113.130"]);
}

pub(crate) fn ipv6(client: Gateway, server: Gateway) -> Scene {
    let world = World::new();
    let site = world.site(World::INTERNET, client);
    world.add_host("client", site, ["2001:db8:c::2"]);
    let site = world.site(World::INTERNET, server);
    world.add_host("server", site, ["2001:db8:5::2"]);
    scene(world, "2001:db8:5::2", "2001:db8:5::2")
}

pub(crate) fn scene(world: World, dial: &str, listen: &str) -> Scene {
    Scene {
        world,
        dial: SocketAddr::new(ip(dial), 21),
        listen: SocketAddr::new(ip(listen), 21),
        passive: None,
        advertise: None,
        balancer: None,
        pace: None,
    }
}

pub(crate) fn told_range(scene: Scene) -> Scene {
    Scene {
        passive: Some(range(RANGE.0, RANGE.1)),
        ..scene
    }
}

pub(crate) fn advertising(address: &str, scene: Scene) -> Scene {
    Scene {
        advertise: Some(ip(address)),
        ..scene
    }
}
