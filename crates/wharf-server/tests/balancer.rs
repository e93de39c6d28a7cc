//! Behind a TCP balancer that tells who has connected (PROXY protocol), on the kernel's sockets: 127.0.0.1 is the
//! balancer, 127.0.0.2 a client that has found another way in

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use wharf_accounts::Single;
use wharf_net::TcpNet;
use wharf_proto::Pathname;
use wharf_proto::host_port::{read_227, read_229};
use wharf_server::{Config, Handle, OnePort, Server};
use wharf_storage::{Local, LocalOptions};

const CLIENT: &str = "198.51.100.7";
const REACHED: &str = "203.0.113.9";

struct Place {
    folder: tempfile::TempDir,
    server: SocketAddr,
    handle: Handle,
    config: Config,
}

impl Place {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("large"), noise(700_000)).unwrap();
        let storage = Local::open(folder.path(), LocalOptions::default()).unwrap();
        let accounts = Single::new(
            "ann",
            "secret".parse().unwrap(),
            Arc::new(storage),
            Pathname::root(),
        );
        let mut config = Config {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            passive_ports: "20000-59999".parse().unwrap(),
            patience: Duration::from_secs(3),
            proxy_protocol: vec!["127.0.0.1/32".parse().unwrap()],
            ..Config::default()
        };
        change(&mut config);
        let server = Server::bind(config.clone(), Arc::new(TcpNet::new()), Arc::new(accounts))
            .await
            .unwrap();
        let place = Self {
            folder,
            server: server.local_addrs()[0],
            handle: server.handle(),
            config,
        };
        tokio::spawn(server.run());
        place
    }

    /// A control connection, after its header if there is one
    async fn connect(&self, from: &str, header: &[u8]) -> Control {
        let mut stream = connect(from, self.server).await;
        stream.write_all(header).await.unwrap();
        Control(BufReader::new(stream))
    }
}

struct Control(BufReader<TcpStream>);

impl Control {
    /// The last line of a reply; empty when the connection is gone
    async fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            let read = timeout(Duration::from_secs(20), self.0.read_line(&mut line));
            let read = read.await.expect("the server says something");
            if read.is_err() || line.is_empty() {
                return String::new();
            }
            if line.as_bytes()[3] == b' ' && !line.starts_with(' ') {
                return line;
            }
        }
    }

    async fn say(&mut self, line: &str, code: &str) -> String {
        let line_end = format!("{line}\r\n");
        self.0
            .get_mut()
            .write_all(line_end.as_bytes())
            .await
            .unwrap();
        let reply = self.reply().await;
        assert!(reply.starts_with(code), "{line}: {reply}");
        reply
    }

    async fn login(&mut self) {
        assert!(self.reply().await.starts_with("220"));
        self.say("USER ann", "331").await;
        self.say("PASS secret", "230").await;
        self.say("TYPE I", "200").await;
    }
}

async fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(SocketAddr::new(from.parse().unwrap(), 0))
        .unwrap();
    socket.connect(to).await.unwrap()
}

fn v1(peer: &str, reached_port: u16) -> Vec<u8> {
    format!("PROXY TCP4 {peer} {REACHED} 40000 {reached_port}\r\n").into_bytes()
}

fn v2(peer: &str, reached_port: u16) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    for address in [peer, REACHED] {
        let address: std::net::Ipv4Addr = address.parse().unwrap();
        header.extend(address.octets());
    }
    header.extend(40_000_u16.to_be_bytes());
    header.extend(reached_port.to_be_bytes());
    header
}

fn noise(length: u32) -> Vec<u8> {
    (0..length)
        .map(|at| at.wrapping_mul(7919).to_be_bytes()[2])
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_behind_a_balancer_is_served_as_itself() {
    let place = Place::new().await;
    for version in [v1, v2] {
        let mut control = place.connect("127.0.0.1", &version(CLIENT, 21)).await;
        control.login().await;
        let who = control.say("SITE WHOAMI", "200").await;
        assert!(who.contains("198.51.100.7:40000"), "{who}");

        // The address told is the balancer's, where its client can reach it.
        let reply = control.say("PASV", "227").await;
        let told = read_227(&reply.as_bytes()[4..]).unwrap();
        assert_eq!(told.ip().to_string(), REACHED);
        let at = SocketAddr::new(place.server.ip(), told.port());
        let mut data = connect("127.0.0.1", at).await;
        // Header and whatever follows it in one segment
        let mut first = version(CLIENT, told.port());
        first.extend(b"begin ");
        data.write_all(&first).await.unwrap();
        control.say("STOR up", "150").await;
        data.write_all(b"and end").await.unwrap();
        data.shutdown().await.unwrap();
        assert!(control.reply().await.starts_with("226"));
        let stored = std::fs::read(place.folder.path().join("up")).unwrap();
        assert_eq!(stored, b"begin and end");

        // Zero-copy, and strangers: another client of the same balancer, and one without a header
        let reply = control.say("EPSV", "229").await;
        let port = read_229(&reply.as_bytes()[4..]).unwrap();
        let at = SocketAddr::new(place.server.ip(), port);
        let mut other = connect("127.0.0.1", at).await;
        other
            .write_all(&version("198.51.100.8", port))
            .await
            .unwrap();
        let direct = connect("127.0.0.2", at).await;
        let mute = connect("127.0.0.1", at).await;
        let mut data = connect("127.0.0.1", at).await;
        data.write_all(&version(CLIENT, port)).await.unwrap();
        control.say("RETR large", "150").await;
        let mut got = Vec::new();
        data.read_to_end(&mut got).await.unwrap();
        assert!(control.reply().await.starts_with("226"));
        assert_eq!(got, noise(700_000));
        drop((other, direct, mute));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_is_believed_from_a_balancer_and_from_nobody_else() {
    let place = Place::new().await;
    // From elsewhere it is nonsense, and the address stays what it is.
    let mut liar = place.connect("127.0.0.2", &v1(CLIENT, 21)).await;
    assert!(liar.reply().await.starts_with("220"));
    assert!(liar.reply().await.starts_with("500"));
    liar.say("USER ann", "331").await;
    liar.say("PASS secret", "230").await;
    let who = liar.say("SITE WHOAMI", "200").await;
    assert!(who.contains("127.0.0.2:"), "{who}");
    // Plain FTP from elsewhere is what it was.
    let mut plain = place.connect("127.0.0.2", b"").await;
    plain.login().await;

    // A balancer's connection without a header is closed, at once if it begins with anything else.
    let mut wrong = place
        .connect("127.0.0.1", b"USER ann\r\nPASS secret\r\n")
        .await;
    assert_eq!(wrong.reply().await, "");
    // A slow one keeps nobody waiting.
    let _slow = place.connect("127.0.0.1", b"PROXY TCP4 ").await;
    let mut quick = place.connect("127.0.0.1", &v2(CLIENT, 21)).await;
    quick.login().await;
    // The balancer itself asks whether we live: version 2's LOCAL.
    let health = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    let mut health = place.connect("127.0.0.1", health).await;
    health.login().await;
    let who = health.say("SITE WHOAMI", "200").await;
    assert!(who.contains("127.0.0.1:"), "{who}");

    // Who is a balancer may change while connections stand.
    let config = Config {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        proxy_protocol: Vec::new(),
        ..place.config.clone()
    };
    place.handle.reload(config, None).await.unwrap();
    let mut plain = place.connect("127.0.0.1", b"").await;
    plain.login().await;
    quick.say("NOOP", "200").await;
}

/// A balancer that lets nothing through but port 21: two clients at the same time, up and down
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_port_works_behind_a_balancer() {
    let place = Place::with(|config| config.one_port = OnePort::On).await;
    for version in [v1, v2] {
        let mut clients = Vec::new();
        for client in [CLIENT, "198.51.100.8"] {
            let mut control = place.connect("127.0.0.1", &version(client, 21)).await;
            control.login().await;
            let reply = control.say("PASV", "227").await;
            let told = read_227(&reply.as_bytes()[4..]).unwrap();
            assert_eq!(told.to_string(), format!("{REACHED}:21"));
            clients.push((client, control));
        }
        let mut data = Vec::new();
        for (client, _) in &clients {
            let mut stream = connect("127.0.0.1", place.server).await;
            stream.write_all(&version(client, 21)).await.unwrap();
            data.push(stream);
        }
        clients[0].1.say("RETR large", "150").await;
        clients[1].1.say("STOR up", "150").await;
        let mut got = Vec::new();
        data[0].read_to_end(&mut got).await.unwrap();
        assert_eq!(got, noise(700_000));
        data[1].write_all(b"of the other").await.unwrap();
        data[1].shutdown().await.unwrap();
        for (_, control) in &mut clients {
            assert!(control.reply().await.starts_with("226"));
        }
        let stored = std::fs::read(place.folder.path().join("up")).unwrap();
        assert_eq!(stored, b"of the other");
    }
}
