//! What the simulated network does to connections. All on virtual time.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use wharf_net::{Conn, ListenAt, Listener, RangeExhausted, Source};
use wharf_proto::data_connection::passive::PortRange;
use wharf_sim::topologies::TOPOLOGIES;
use wharf_sim::{Filter, Gateway, Mapping, Outcome, Verdict, World};

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

/// A client behind `gateway`, a server in the open, a listener on its port 21.
async fn client_behind(gateway: Gateway) -> (World, Box<dyn Listener>) {
    let world = World::new();
    let home = world.site(World::INTERNET, gateway);
    world.add_host("client", home, ["192.168.10.2"]);
    world.add_host("server", World::INTERNET, ["203.0.113.1"]);
    let door = listen(&world, "server", "203.0.113.1:21").await;
    (world, door)
}

/// What `line` is on the other side.
async fn passes(from: &mut Conn, to: &mut Conn, line: &str) -> String {
    from.write_all(line.as_bytes()).await.unwrap();
    let mut buffer = [0; 256];
    let n = to.read(&mut buffer).await.unwrap();
    String::from_utf8_lossy(&buffer[..n]).into_owned()
}

#[tokio::test(start_paused = true)]
async fn a_nat_shows_its_own_address_and_keeps_the_port() {
    let (world, mut door) = client_behind(Gateway::nat(["198.51.100.1"])).await;
    let near = dial(&world, "client", "203.0.113.1:21").await.unwrap();
    let far = door.accept().await.unwrap();
    assert_eq!(near.local_addr().ip().to_string(), "192.168.10.2");
    assert_eq!(far.peer_addr().ip().to_string(), "198.51.100.1");
    assert_eq!(far.peer_addr().port(), near.local_addr().port());
}

#[tokio::test(start_paused = true)]
async fn a_nat_maps_a_source_once_or_once_per_connection() {
    for (mapping, same) in [
        (Mapping::EndpointIndependent, true),
        (Mapping::PerConnection, false),
    ] {
        let nat = Gateway::nat(["198.51.100.1"]).with_nat(|nat| nat.mapping = mapping);
        let (world, mut door) = client_behind(nat).await;
        let source = Source::Port(at("192.168.10.2:5000"));
        let mut ports = Vec::new();
        for _ in 0..2 {
            let client = world.host("client");
            let _near = client.connect(source, at("203.0.113.1:21")).await.unwrap();
            ports.push(door.accept().await.unwrap().peer_addr().port());
        }
        assert_eq!(ports[0] == ports[1], same, "{mapping:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn connecting_takes_a_round_trip_and_silence_127_seconds() {
    let (world, _door) = client_behind(Gateway::router().latency(Duration::from_millis(40))).await;
    let began = Instant::now();
    dial(&world, "client", "203.0.113.1:21").await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_millis(80));
    let refused = dial(&world, "client", "203.0.113.1:22").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(began.elapsed(), Duration::from_millis(160));
    let lost = dial(&world, "client", "10.9.9.9:21").await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::TimedOut);
    assert_eq!(began.elapsed().as_secs(), 127);
    let outcomes: Vec<_> = world.attempts().iter().map(|a| a.outcome).collect();
    assert_eq!(
        outcomes,
        [Outcome::Connected, Outcome::Refused, Outcome::Lost]
    );
}

#[tokio::test(start_paused = true)]
async fn filters_judge_new_connections_by_port_and_source_port() {
    let from_20 = Filter {
        from_ports: vec![PortRange::new(20, 20).unwrap()],
        ..Filter::only(&[(21, 21)], Verdict::Reject)
    };
    let (world, _door) = client_behind(Gateway::router().outbound(from_20)).await;
    let _other = listen(&world, "server", "203.0.113.1:5000").await;
    dial(&world, "client", "203.0.113.1:21").await.unwrap();
    let refused = dial(&world, "client", "203.0.113.1:5000")
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let source = Source::Port(at("192.168.10.2:20"));
    let client = world.host("client");
    client
        .connect(source, at("203.0.113.1:5000"))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_helper_rewrites_port_and_lets_the_server_in_once() {
    for (line, rewritten) in [
        (
            "PORT 192,168,10,2,195,80\r\n",
            "PORT 198,51,100,1,195,80\r\n",
        ),
        (
            "eprt |1|192.168.10.2|50000|\r\n",
            "EPRT |1|198.51.100.1|50000|\r\n",
        ),
    ] {
        let (world, mut door) = client_behind(Gateway::nat(["198.51.100.1"]).helper()).await;
        let mut user = dial(&world, "client", "203.0.113.1:21").await.unwrap();
        let mut server = door.accept().await.unwrap();
        let mut data = listen(&world, "client", "192.168.10.2:50000").await;
        assert_eq!(passes(&mut user, &mut server, line).await, rewritten);
        dial(&world, "server", "198.51.100.1:50000").await.unwrap();
        let arrived = data.accept().await.unwrap();
        assert_eq!(arrived.peer_addr().ip().to_string(), "203.0.113.1");
        assert!(
            dial(&world, "server", "198.51.100.1:50000").await.is_err(),
            "an expectation is good for one connection"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_helper_leaves_alone_what_it_cannot_read_or_does_not_own() {
    let (world, mut door) = client_behind(Gateway::nat(["198.51.100.1"]).helper()).await;
    let mut user = dial(&world, "client", "203.0.113.1:21").await.unwrap();
    let mut server = door.accept().await.unwrap();
    for line in [
        "NOOP\r\n",
        "PORT 10,0,0,1,195,80\r\n",
        "PORT 192,168,10,2,195\r\n",
        "PORT 192,168,10,2,195,80",
        "\u{16}\u{3}\u{1} PORT 192,168,10,2,195,80\r\n",
    ] {
        assert_eq!(passes(&mut user, &mut server, line).await, line);
    }
}

#[tokio::test(start_paused = true)]
async fn a_helper_in_front_of_the_server_opens_its_passive_port() {
    for reply in [
        "227 Entering Passive Mode (10,20,0,2,195,80)\r\n",
        "229 Entering Extended Passive Mode (|||50000|)\r\n",
    ] {
        let world = World::new();
        let gateway = Gateway::nat(["203.0.113.1"]).forward(21, 21, "10.20.0.2");
        let lan = world.site(World::INTERNET, gateway.helper());
        world.add_host("server", lan, ["10.20.0.2"]);
        world.add_host("client", World::INTERNET, ["198.51.100.1"]);
        let mut door = listen(&world, "server", "10.20.0.2:21").await;
        let mut user = dial(&world, "client", "203.0.113.1:21").await.unwrap();
        let mut server = door.accept().await.unwrap();
        let _data = listen(&world, "server", "10.20.0.2:50000").await;
        assert!(dial(&world, "client", "203.0.113.1:50000").await.is_err());
        let told = passes(&mut server, &mut user, reply).await;
        assert!(!told.contains("10,20"), "{told}");
        dial(&world, "client", "203.0.113.1:50000").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_connection_is_silent() {
    let nat =
        Gateway::nat(["198.51.100.1"]).with_nat(|nat| nat.idle = Some(Duration::from_secs(4)));
    let (world, mut door) = client_behind(nat).await;
    let mut user = dial(&world, "client", "203.0.113.1:21").await.unwrap();
    let mut server = door.accept().await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(passes(&mut server, &mut user, "150\r\n").await, "150\r\n");
    tokio::time::sleep(Duration::from_secs(5)).await;
    server.write_all(b"226\r\n").await.unwrap();
    drop(server);
    let heard = tokio::time::timeout(Duration::from_mins(10), user.read(&mut [0; 8])).await;
    assert!(heard.is_err(), "the NAT has forgotten the connection");
}

#[tokio::test(start_paused = true)]
async fn streams_close_by_halves_and_reset() {
    let (world, mut door) = client_behind(Gateway::router()).await;
    let mut near = dial(&world, "client", "203.0.113.1:21").await.unwrap();
    let mut far = door.accept().await.unwrap();
    near.write_all(b"question").await.unwrap();
    near.shutdown().await.unwrap();
    let mut all = Vec::new();
    far.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"question");
    assert_eq!(passes(&mut far, &mut near, "answer").await, "answer");
    far.abort();
    let reset = near.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);

    let mut near = dial(&world, "client", "203.0.113.1:21").await.unwrap();
    let far = door.accept().await.unwrap();
    near.write_all(b"unread").await.unwrap();
    drop(far);
    // As on Linux: bytes that nobody will read make the end a reset.
    let reset = near.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn a_writer_waits_for_a_reader() {
    let (world, mut door) = client_behind(Gateway::router()).await;
    let mut near = dial(&world, "client", "203.0.113.1:21").await.unwrap();
    let mut far = door.accept().await.unwrap();
    let much = vec![7; 1_000_000];
    let stuck = tokio::time::timeout(Duration::from_secs(9), near.write_all(&much)).await;
    assert!(stuck.is_err());
    let (read, written) = tokio::join!(
        async {
            let mut piece = vec![0; 400_000];
            far.read_exact(&mut piece).await
        },
        near.write_all(&much[..300_000]),
    );
    read.unwrap();
    written.unwrap();
}

#[tokio::test(start_paused = true)]
async fn ranges_are_walked_and_exhausted() {
    let (world, _door) = client_behind(Gateway::router()).await;
    let range = PortRange::new(50_000, 50_001).unwrap();
    let place = ListenAt::range("203.0.113.1".parse().unwrap(), range);
    let server = world.host("server");
    let first = server.listen(place).await.unwrap();
    let _second = server.listen(place).await.unwrap();
    let full = server.listen(place).await.err().unwrap();
    assert!(RangeExhausted::of(&full).is_some());
    drop(first);
    assert!(server.listen(place).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn listeners_collide_as_they_do_on_linux() {
    let world = World::new();
    world.add_host("both", World::INTERNET, ["203.0.113.1", "2001:db8::1"]);
    let host = world.host("both");
    let place = |text: &str| ListenAt::one(at(text));
    let _v4 = host.listen(place("0.0.0.0:21")).await.unwrap();
    for text in ["0.0.0.0:21", "203.0.113.1:21", "[::]:21"] {
        let error = host.listen(place(text)).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{text}");
    }
    let mut v6 = host.listen(place("[::]:21").only_ipv6()).await.unwrap();
    dial(&world, "both", "[2001:db8::1]:21").await.unwrap();
    assert!(v6.accept().await.unwrap().peer_addr().is_ipv6());
}

#[tokio::test(start_paused = true)]
async fn names_are_known_to_every_host() {
    let (world, _door) = client_behind(Gateway::router()).await;
    world.add_name("ftp.example", "203.0.113.1");
    let client = world.host("client");
    for (name, address) in [
        ("ftp.example", "203.0.113.1:21"),
        ("server", "203.0.113.1:21"),
        ("192.0.2.9", "192.0.2.9:21"),
    ] {
        assert_eq!(client.resolve(name, 21).await.unwrap(), [at(address)]);
    }
    assert!(client.resolve("nowhere.example", 21).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_control_connection_works_in_every_topology() {
    for topology in TOPOLOGIES {
        let scene = (topology.build)();
        let server = scene.world.host("server");
        let mut door = server.listen(ListenAt::one(scene.listen)).await.unwrap();
        let client = scene.world.host("client");
        let dialled = client.connect(Source::Any, scene.dial).await;
        assert!(dialled.is_ok(), "{}: {}", topology.name, topology.what);
        let met = door.accept().await.unwrap();
        assert_eq!(met.local_addr(), scene.listen, "{}", topology.name);
    }
}
