//! Which addresses a server tells, believes and repairs when something between it and its clients rewrites them

mod stage;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stage::client::Client;
use stage::{CLIENT, Stage};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use tokio::time::sleep;
use wharf_accounts::Anonymous;
use wharf_net::mapping::{Mapping, PortMapper};
use wharf_net::{Conn, ListenAt, Listener, Net, Ports, Source};
use wharf_proto::Pathname;
use wharf_proto::host_port::read_227;
use wharf_server::{Address, Advertise, Config, PortPolicy, Server};
use wharf_storage::Memory;

/// The argument of PORT for the client's port that was listened on, with a host of the caller's choice
fn port(host: &str, port: u16) -> String {
    format!(
        "PORT {},{},{}",
        host.replace('.', ","),
        port / 256,
        port % 256
    )
}

#[tokio::test(start_paused = true)]
async fn a_port_with_a_private_address_is_refused_with_the_reason() {
    let stage = Stage::new().await;
    let mut client = Client::login(&stage, "ann").await;
    let reply = client.say(&port("192.168.10.2", 40_001), 501).await;
    assert!(
        reply.contains("data connections go only to 198.51.100.7") && reply.contains("NAT"),
        "{reply}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_port_with_a_private_address_is_repaired_where_that_is_the_policy() {
    let stage = Stage::with(|config| config.port_policy = PortPolicy::Repair).await;
    let mut client = Client::login(&stage, "ann").await;
    let at = client.listen().await;
    for command in [
        port("192.168.10.2", at.port()),
        format!("EPRT |1|10.0.0.9|{}|", at.port()),
        format!(
            "LPRT 4,4,172,16,0,1,2,{},{}",
            at.port() / 256,
            at.port() % 256
        ),
    ] {
        let reply = client.say(&command, 200).await;
        let word = &command[..4];
        assert_eq!(
            reply,
            format!(
                "200 {word} accepted, to your address {CLIENT}:{}",
                at.port()
            )
        );
        client.send(b"RETR digits\r\n").await;
        client.accept().await;
        client.expect(150).await;
        assert_eq!(client.receive().await, b"0123456789");
        client.expect(226).await;
    }
    client.say(&port("192.168.10.2", 25), 504).await;
    client.say(&port("203.0.113.66", at.port()), 501).await;
    let reply = client.say(&port(CLIENT, at.port()), 200).await;
    assert_eq!(reply, "200 PORT accepted");
}

#[tokio::test(start_paused = true)]
async fn a_client_learns_where_it_is_seen() {
    let stage = Stage::new().await;
    let mut client = Client::login(&stage, "ann").await;
    let from = client.control().local_addr();
    let reply = client.say("SITE WHOAMI", 200).await;
    assert_eq!(reply, format!("200 You are {from}, logged in as ann"));
    let status = client.say("STAT", 211).await;
    assert!(
        status.contains(&format!("\n Connected from {from}\n")),
        "{status}"
    );
}

/// A host behind a router that tells its outside address when it is asked, and a resolver
struct Home {
    /// Of the control port; taken by whoever listens there
    connections: Mutex<Option<mpsc::Receiver<Conn>>>,
    router: Arc<Router>,
    name: Mutex<IpAddr>,
}

#[derive(Default)]
struct Router {
    outside: Mutex<Option<IpAddr>>,
    asked: AtomicUsize,
}

#[async_trait]
impl PortMapper for Router {
    async fn map(&self, _: SocketAddr, _: Duration) -> io::Result<Box<dyn Mapping>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn outside_address(&self, inside: IpAddr) -> io::Result<IpAddr> {
        assert_eq!(inside, ip(INSIDE));
        self.asked.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(900)).await;
        let outside = *self.outside.lock().unwrap();
        outside.ok_or_else(|| io::ErrorKind::Unsupported.into())
    }
}

const INSIDE: &str = "192.168.1.10";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

struct Door(SocketAddr, Option<mpsc::Receiver<Conn>>);

#[async_trait]
impl Listener for Door {
    async fn accept(&mut self) -> io::Result<Conn> {
        if let Some(connections) = &mut self.1
            && let Some(conn) = connections.recv().await
        {
            return Ok(conn);
        }
        std::future::pending().await
    }

    fn local_addr(&self) -> SocketAddr {
        self.0
    }
}

struct HomeNet(Arc<Home>);

#[async_trait]
impl Net for HomeNet {
    async fn connect(&self, _: Source, _: SocketAddr) -> io::Result<Conn> {
        Err(io::ErrorKind::NetworkUnreachable.into())
    }

    async fn listen(&self, at: ListenAt) -> io::Result<Box<dyn Listener>> {
        let (port, connections) = match at.ports {
            Ports::One(port) => (port, self.0.connections.lock().unwrap().take()),
            _ => (50_000, None),
        };
        let at = SocketAddr::new(at.ip, port);
        Ok(Box::new(Door(at, connections)))
    }

    async fn resolve(&self, _: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(vec![SocketAddr::new(*self.0.name.lock().unwrap(), port)])
    }

    fn mapper(&self) -> Option<Arc<dyn PortMapper>> {
        Some(Arc::clone(&self.0.router) as Arc<dyn PortMapper>)
    }
}

struct Visit {
    home: Arc<Home>,
    door: mpsc::Sender<Conn>,
}

impl Visit {
    async fn new(advertise: Address) -> Self {
        let (door, connections) = mpsc::channel(1);
        let home = Arc::new(Home {
            connections: Mutex::new(Some(connections)),
            router: Arc::default(),
            name: Mutex::new(ip("203.0.113.50")),
        });
        let config = Config {
            listen: vec!["0.0.0.0:21".parse().unwrap()],
            advertise: Advertise::everybody(advertise),
            ..Config::default()
        };
        let accounts = Anonymous::new(Arc::new(Memory::new()), Pathname::root());
        let net = Arc::new(HomeNet(Arc::clone(&home)));
        let server = Server::bind(config, net, Arc::new(accounts)).await.unwrap();
        tokio::spawn(server.run());
        Self { home, door }
    }

    /// What a client of this address is told by PASV when it has reached this one
    async fn told(&self, client: &str, reached: &str) -> String {
        let (ours, theirs) = tokio::io::duplex(4096);
        let local = SocketAddr::new(ip(reached), 21);
        let peer = SocketAddr::new(ip(client), 40_000);
        let conn = Conn::foreign(Box::new(theirs), local, peer);
        self.door.send(conn).await.unwrap();
        let mut control = BufReader::new(ours);
        let mut line = String::new();
        for command in ["", "USER anonymous\r\n", "PASS me@\r\n", "PASV\r\n"] {
            control.write_all(command.as_bytes()).await.unwrap();
            line.clear();
            control.read_line(&mut line).await.unwrap();
        }
        let told = read_227(line.get(4..).unwrap().as_bytes()).expect(&line);
        told.ip().to_string()
    }

    fn router_says(&self, outside: Option<&str>) {
        *self.home.router.outside.lock().unwrap() = outside.map(ip);
    }
}

#[tokio::test(start_paused = true)]
async fn the_address_is_found_out_where_nobody_has_configured_it() {
    const ROUND: Duration = Duration::from_secs(601);
    let visit = Visit::new(Address::Auto).await;
    // Nobody knows better: what was reached, and no PASV waits for the router.
    assert_eq!(visit.told("198.51.100.7", INSIDE).await, INSIDE);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(visit.home.router.asked.load(Ordering::Relaxed), 1);
    // The router tells it from its next answer on; for clients inside nothing changes.
    visit.router_says(Some("203.0.113.20"));
    sleep(ROUND).await;
    assert_eq!(visit.told("198.51.100.7", INSIDE).await, "203.0.113.20");
    assert_eq!(visit.told("192.168.1.5", INSIDE).await, INSIDE);
    // A subscriber's address changes at night.
    visit.router_says(Some("203.0.113.21"));
    sleep(ROUND).await;
    assert_eq!(visit.told("198.51.100.7", INSIDE).await, "203.0.113.21");
    // A router that is silent for a while has not moved; one behind another NAT is of no use.
    visit.router_says(None);
    sleep(ROUND).await;
    assert_eq!(visit.told("198.51.100.7", INSIDE).await, "203.0.113.21");
    visit.router_says(Some("100.64.3.3"));
    sleep(ROUND).await;
    assert_eq!(visit.told("198.51.100.7", INSIDE).await, INSIDE);
    // A public address of this host, once somebody has reached it, is better than any of that.
    visit.router_says(Some("203.0.113.20"));
    sleep(ROUND).await;
    assert_eq!(
        visit.told("198.51.100.7", "203.0.113.9").await,
        "203.0.113.9"
    );
    assert_eq!(visit.told("198.51.100.7", INSIDE).await, "203.0.113.9");
}

#[tokio::test(start_paused = true)]
async fn a_router_is_not_asked_unless_that_is_wanted() {
    let visit = Visit::new(Address::Reached).await;
    assert_eq!(visit.told("198.51.100.7", INSIDE).await, INSIDE);
    sleep(Duration::from_secs(1000)).await;
    assert_eq!(visit.home.router.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn an_advertised_name_is_looked_up_again_after_thirty_seconds() {
    let visit = Visit::new(Address::Name("ftp.example".to_owned())).await;
    assert_eq!(visit.told("198.51.100.7", INSIDE).await, "203.0.113.50");
    *visit.home.name.lock().unwrap() = ip("203.0.113.51");
    sleep(Duration::from_secs(29)).await;
    assert_eq!(visit.told("198.51.100.7", INSIDE).await, "203.0.113.50");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(visit.told("198.51.100.7", INSIDE).await, "203.0.113.51");
}
