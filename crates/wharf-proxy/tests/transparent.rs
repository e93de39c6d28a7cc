//! A proxy that its clients do not see: what the packet filter has led to it goes on to where it was going.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use wharf_net::{Conn, ListenAt, Listener, Net, Source};
use wharf_proxy::{Config, Proxy, Upstream, UpstreamMode};
use wharf_sim::World;

const CLIENT: &str = "192.0.2.9";
const PROXY: &str = "192.0.2.1";
const SERVER: &str = "198.51.100.1";
/// For clients that were not on their way to anybody else.
const DIALLED: u16 = 2122;

fn at(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), port)
}

/// A host whose packet filter leads to it what was going to the server: as the simulated network has no such filter, all
/// that comes by any port but one.
struct Gateway(Arc<dyn Net>);

#[async_trait]
impl Net for Gateway {
    async fn connect(&self, from: Source, to: SocketAddr) -> io::Result<Conn> {
        self.0.connect(from, to).await
    }

    async fn listen(&self, at: ListenAt) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(Leading(self.0.listen(at).await?)))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self.0.resolve(host, port).await
    }
}

struct Leading(Box<dyn Listener>);

#[async_trait]
impl Listener for Leading {
    async fn accept(&mut self) -> io::Result<Conn> {
        let conn = self.0.accept().await?;
        Ok(match conn.local_addr().port() {
            DIALLED => conn,
            2121 => conn.intercepted(at(SERVER, 21)),
            data => conn.intercepted(at(SERVER, data)),
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.0.local_addr()
    }
}

type Lines = BufReader<Conn>;

async fn hears(peer: &mut Lines, start: &str) -> String {
    let mut line = String::new();
    peer.read_line(&mut line).await.unwrap();
    assert!(line.starts_with(start), "{start:?} expected, not {line:?}");
    line
}

async fn says(peer: &mut Lines, line: &str) {
    let line = format!("{line}\r\n");
    peer.write_all(line.as_bytes()).await.unwrap();
    peer.flush().await.unwrap();
}

async fn world(one_port: bool) -> World {
    let world = World::new();
    for (name, ip) in [("client", CLIENT), ("proxy", PROXY), ("server", SERVER)] {
        world.add_host(name, World::INTERNET, [ip]);
    }
    let config = Config {
        listen: vec![at(PROXY, 2121), at(PROXY, DIALLED)],
        upstream_mode: UpstreamMode::Epsv,
        one_port,
        ..Config::new(Upstream::OriginalDestination)
    };
    let net = Arc::new(Gateway(world.host("proxy")));
    let proxy = Proxy::bind(config, net).await.unwrap();
    tokio::spawn(proxy.run());
    world
}

async fn dial(world: &World, port: u16) -> Conn {
    let client = world.host("client");
    client.connect(Source::Any, at(PROXY, port)).await.unwrap()
}

/// The 227 names the server and a port; the client's data connection to it comes to the proxy.
async fn transfer(one_port: bool) -> SocketAddr {
    let world = world(one_port).await;
    let host = world.host("server");
    let mut door = host.listen(ListenAt::one(at(SERVER, 21))).await.unwrap();
    let mut data = host.listen(ListenAt::one(at(SERVER, 6000))).await.unwrap();
    let mut client = BufReader::new(dial(&world, 2121).await);
    let mut server = BufReader::new(door.accept().await.unwrap());
    says(&mut server, "220 the server itself").await;
    hears(&mut client, "220 the server itself").await;
    for (line, reply) in [("USER joe", "331 password"), ("PASS secret", "230 in")] {
        says(&mut client, line).await;
        hears(&mut server, line).await;
        says(&mut server, reply).await;
        hears(&mut client, reply).await;
    }
    says(&mut client, "PASV").await;
    let told = hears(&mut client, "227").await;
    let inner = told.split(['(', ')']).nth(1).unwrap();
    let numbers: Vec<u16> = inner.split(',').map(|part| part.parse().unwrap()).collect();
    let ip = numbers[..4].iter().map(u16::to_string);
    let named = at(
        &ip.collect::<Vec<_>>().join("."),
        numbers[4] << 8 | numbers[5],
    );
    // What the filter makes of it
    let lands = if named.port() == 21 {
        2121
    } else {
        named.port()
    };
    let mut near = dial(&world, lands).await;
    says(&mut client, "RETR file").await;
    hears(&mut server, "EPSV").await;
    // Longer than a connection waits undecided at a shared port
    tokio::time::sleep(Duration::from_secs(3)).await;
    says(&mut server, "229 Entering (|||6000|)").await;
    let mut far = data.accept().await.unwrap();
    hears(&mut server, "RETR file").await;
    says(&mut server, "150 here it comes").await;
    hears(&mut client, "150").await;
    far.write_all(b"the file").await.unwrap();
    drop(far);
    says(&mut server, "226 done").await;
    let mut file = Vec::new();
    near.read_to_end(&mut file).await.unwrap();
    assert_eq!(file, b"the file");
    hears(&mut client, "226").await;
    named
}

#[tokio::test(start_paused = true)]
async fn the_server_is_the_one_that_was_dialled_and_the_227_names_it() {
    let named = transfer(false).await;
    assert_eq!(named.ip(), at(SERVER, 0).ip());
    assert!((50_000..=50_999).contains(&named.port()), "{named}");
}

#[tokio::test(start_paused = true)]
async fn with_one_port_it_names_the_servers_control_port() {
    assert_eq!(transfer(true).await, at(SERVER, 21));
}

#[tokio::test(start_paused = true)]
async fn whoever_dials_the_proxy_itself_is_told_so() {
    let world = world(false).await;
    let mut client = BufReader::new(dial(&world, DIALLED).await);
    let told = hears(&mut client, "421").await;
    assert!(told.contains("dial an FTP server"), "{told}");
    assert_eq!(client.read_line(&mut String::new()).await.unwrap(), 0);
}
