//! What the rarer borders do: routers that forward on request, NAT64, access lists, balancers, probes against forgetting.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use wharf_net::mapping::PortMapper;
use wharf_net::{Conn, ListenAt, Listener, ServerControl, Source, Trace};
use wharf_sim::{AccessList, Gateway, World};

const TWO_MINUTES: Duration = Duration::from_mins(2);
const HIGH: (u16, u16) = (1024, 65_535);

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

async fn listen(world: &World, host: &str, text: &str) -> Box<dyn Listener> {
    let place = ListenAt::one(at(text));
    world.host(host).listen(place).await.unwrap()
}

async fn dial(world: &World, host: &str, to: &str) -> std::io::Result<Conn> {
    world.host(host).connect(Source::Any, at(to)).await
}

fn mapper(world: &World, host: &str) -> Arc<dyn PortMapper> {
    world.host(host).mapper().unwrap()
}

/// A client behind `gateway` and a server in the open.
fn client_behind(gateway: Gateway) -> World {
    let world = World::new();
    let home = world.site(World::INTERNET, gateway);
    world.add_host("client", home, ["192.168.10.2"]);
    world.add_host("server", World::INTERNET, ["203.0.113.1"]);
    world
}

#[tokio::test(start_paused = true)]
async fn a_router_forwards_on_request_and_until_told_otherwise() {
    let world = client_behind(Gateway::nat(["198.51.100.1"]).upnp());
    let router = mapper(&world, "client");
    let inside = at("192.168.10.2:5000");
    let mut door = listen(&world, "client", "192.168.10.2:5000").await;
    assert!(dial(&world, "server", "198.51.100.1:5000").await.is_err());
    let first = router.map(inside, TWO_MINUTES).await.unwrap();
    let second = router.map(inside, TWO_MINUTES).await.unwrap();
    assert_eq!(first.outside(), at("198.51.100.1:5000"));
    assert_eq!(second.outside(), at("198.51.100.1:5001"));
    for outside in ["198.51.100.1:5000", "198.51.100.1:5001"] {
        dial(&world, "server", outside).await.unwrap();
        assert_eq!(door.accept().await.unwrap().local_addr(), inside);
    }
    assert_eq!(world.forwarded().len(), 2);
    drop(first);
    second.remove().await;
    assert_eq!(world.forwarded(), []);
    for outside in ["198.51.100.1:5000", "198.51.100.1:5001"] {
        assert!(dial(&world, "server", outside).await.is_err(), "{outside}");
    }
    let _kept = router.map(inside, TWO_MINUTES).await.unwrap();
    tokio::time::sleep(TWO_MINUTES).await;
    assert!(dial(&world, "server", "198.51.100.1:5000").await.is_err());
    let address = router.outside_address(inside.ip()).await.unwrap();
    assert_eq!(address.to_string(), "198.51.100.1");
}

#[tokio::test(start_paused = true)]
async fn an_ordinary_router_does_not_answer() {
    let world = client_behind(Gateway::nat(["198.51.100.1"]));
    for host in ["client", "server"] {
        let began = Instant::now();
        let router = mapper(&world, host);
        let nobody = router.map(at("192.168.10.2:5000"), TWO_MINUTES).await;
        assert_eq!(nobody.err().unwrap().kind(), ErrorKind::Unsupported);
        assert!(began.elapsed() > Duration::from_secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn nat64_is_ipv6_on_one_side_and_ipv4_on_the_other() {
    let world = World::new();
    let home = world.site(World::INTERNET, Gateway::nat64(["198.51.100.1"]));
    world.add_host("client", home, ["2001:db8:c::2"]);
    world.add_host("server", World::INTERNET, ["203.0.113.1"]);
    let mut door = listen(&world, "server", "203.0.113.1:21").await;
    let near = dial(&world, "client", "[64:ff9b::203.0.113.1]:21").await;
    let (near, far) = (near.unwrap(), door.accept().await.unwrap());
    assert_eq!(near.peer_addr(), at("[64:ff9b::203.0.113.1]:21"));
    assert_eq!(far.peer_addr().ip().to_string(), "198.51.100.1");
    assert_eq!(far.local_addr(), at("203.0.113.1:21"));
    for to in ["203.0.113.1:21", "[2001:db8::1]:21"] {
        assert!(dial(&world, "client", to).await.is_err(), "{to}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_access_list_lets_through_what_passes_in_both_directions() {
    // The article's rules for active mode.
    let list = AccessList::new()
        .inward((1, 65_535), (21, 21))
        .outward((21, 21), HIGH)
        .outward((20, 20), HIGH)
        .inward(HIGH, (20, 20));
    let world = World::new();
    let site = world.site(World::INTERNET, Gateway::router().access_list(list));
    world.add_host("server", site, ["203.0.113.1"]);
    world.add_host("client", World::INTERNET, ["198.51.100.1"]);
    let _control = listen(&world, "server", "203.0.113.1:21").await;
    let _passive = listen(&world, "server", "203.0.113.1:5000").await;
    let _active = listen(&world, "client", "198.51.100.1:5000").await;
    assert!(dial(&world, "client", "203.0.113.1:21").await.is_ok());
    assert!(dial(&world, "client", "203.0.113.1:5000").await.is_err());
    let from = |port| Source::Port(SocketAddr::new("203.0.113.1".parse().unwrap(), port));
    let server = world.host("server");
    for (port, passes) in [(20, true), (5001, false)] {
        let outcome = server.connect(from(port), at("198.51.100.1:5000")).await;
        assert_eq!(outcome.is_ok(), passes, "from port {port}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_balancer_tells_who_it_is() {
    let world = World::new();
    let gateway = Gateway::nat(["203.0.113.1"])
        .forward(21, 21, "10.20.0.2")
        .hiding_clients("10.20.0.1")
        .proxy_protocol();
    let lan = world.site(World::INTERNET, gateway);
    world.add_host("server", lan, ["10.20.0.2"]);
    world.add_host("client", World::INTERNET, ["198.51.100.1"]);
    let mut door = listen(&world, "server", "10.20.0.2:21").await;
    let mut near = dial(&world, "client", "203.0.113.1:21").await.unwrap();
    near.write_all(b"NOOP\r\n").await.unwrap();
    let port = near.local_addr().port();
    drop(near);
    let mut far = door.accept().await.unwrap();
    assert_eq!(far.peer_addr().ip().to_string(), "10.20.0.1");
    let mut heard = String::new();
    far.read_to_string(&mut heard).await.unwrap();
    let header = format!("PROXY TCP4 198.51.100.1 203.0.113.1 {port} 21\r\n");
    assert_eq!(heard, header + "NOOP\r\n");
}

#[tokio::test(start_paused = true)]
async fn probes_keep_a_connection_known_if_they_come_soon_enough() {
    // A NAT that forgets after 4 s, probes of this interval (0: none), and whether a word after 12 s arrives.
    for (every, arrives) in [(2, true), (4, true), (5, false), (30, false), (0, false)] {
        let forgetful =
            Gateway::nat(["198.51.100.1"]).with_nat(|nat| nat.idle = Some(Duration::from_secs(4)));
        let world = client_behind(forgetful);
        let mut door = listen(&world, "server", "203.0.113.1:21").await;
        let mut near = dial(&world, "client", "203.0.113.1:21").await.unwrap();
        let far = door.accept().await.unwrap();
        let mut control = ServerControl::new(far, 512, Trace::off());
        control.set_keepalive(Duration::from_secs(every));
        tokio::time::sleep(Duration::from_secs(12)).await;
        near.write_all(b"NOOP\r\n").await.unwrap();
        let heard = tokio::time::timeout(Duration::from_mins(1), control.next_line()).await;
        assert_eq!(heard.is_ok(), arrives, "every {every} s");
    }
}
