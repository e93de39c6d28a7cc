//! Servers and clients that behave otherwise than ours, written line by line, in the simulated network on virtual time.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};
use wharf_net::{Conn, ListenAt, Listener, Source};
use wharf_proxy::{Config, Handle, Place, Proxy, Upstream, UpstreamMode};
use wharf_sim::World;

const CLIENT: &str = "192.0.2.9";
const PROXY: &str = "192.0.2.1";
const SERVER: &str = "198.51.100.1";

/// A control connection, line by line.
struct Peer {
    conn: Conn,
    heard: Vec<u8>,
}

impl Peer {
    fn new(conn: Conn) -> Self {
        Self {
            conn,
            heard: Vec::new(),
        }
    }

    /// The next line; empty at the end of the connection.
    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                return String::from_utf8_lossy(&line).trim_end().to_owned();
            }
            let mut buffer = [0; 4096];
            match self.conn.read(&mut buffer).await {
                Ok(0) | Err(_) => return String::new(),
                Ok(n) => self.heard.extend_from_slice(&buffer[..n]),
            }
        }
    }

    /// The next line begins so. Telnet's Synch may stand before it.
    async fn hears(&mut self, start: &str) -> String {
        let line = timeout(Duration::from_mins(3), self.line()).await.unwrap();
        let plain: String = line.chars().filter(char::is_ascii).collect();
        assert!(
            plain.starts_with(start),
            "{start:?} expected, not {plain:?}"
        );
        plain
    }

    async fn says(&mut self, text: &str) {
        self.conn.write_all(text.as_bytes()).await.unwrap();
        self.conn.write_all(b"\r\n").await.unwrap();
        self.conn.flush().await.unwrap();
    }

    async fn asks(&mut self, line: &str, answer: &str) -> String {
        self.says(line).await;
        self.hears(answer).await
    }
}

/// A proxy, and a client and a server whose dialogue stands before a transfer.
struct Scene {
    world: World,
    client: Peer,
    server: Peer,
    data: Box<dyn Listener>,
    handle: Handle,
}

fn at(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), port)
}

async fn scene(change: impl FnOnce(&mut Config)) -> Scene {
    let world = World::new();
    for (name, ip) in [
        ("client", CLIENT),
        ("proxy", PROXY),
        ("server", SERVER),
        ("stranger", "192.0.2.66"),
    ] {
        world.add_host(name, World::INTERNET, [ip]);
    }
    let server = world.host("server");
    let mut door = server.listen(ListenAt::one(at(SERVER, 21))).await.unwrap();
    let data = server
        .listen(ListenAt::one(at(SERVER, 6000)))
        .await
        .unwrap();
    let host = SERVER.to_owned();
    let mut config = Config {
        listen: vec![at(PROXY, 21)],
        upstream_mode: UpstreamMode::Epsv,
        ..Config::new(Upstream::Fixed(Place { host, port: 21 }))
    };
    change(&mut config);
    let proxy = Proxy::bind(config, world.host("proxy")).await.unwrap();
    let handle = proxy.handle();
    tokio::spawn(proxy.run());
    let client = world.host("client");
    let conn = client.connect(Source::Any, at(PROXY, 21)).await.unwrap();
    let mut client = Peer::new(conn);
    let mut server = Peer::new(door.accept().await.unwrap());
    server
        .says("220-Welcome\r\n220-You are user 7\r\n220 ready")
        .await;
    client.hears("220-Welcome").await;
    client.hears("220-You are user 7").await;
    client.hears("220 ready").await;
    client.says("USER joe").await;
    server.hears("USER joe").await;
    server.says("331 password").await;
    client.hears("331").await;
    client.says("PASS secret").await;
    server.hears("PASS secret").await;
    server.says("230 in").await;
    client.hears("230").await;
    Scene {
        world,
        client,
        server,
        data,
        handle,
    }
}

impl Scene {
    /// The client asks for a port, connects to it, and sends the command; the server is connected to and has the command.
    async fn transfer(&mut self, command: &str) -> (Conn, Conn) {
        let told = self.client.asks("EPSV", "229").await;
        let port = told.split('|').nth(3).unwrap().parse().unwrap();
        let host = self.world.host("client");
        let near = host.connect(Source::Any, at(PROXY, port)).await.unwrap();
        self.client.says(command).await;
        self.server.hears("EPSV").await;
        self.server.says("229 Entering (|||6000|)").await;
        let far = self.data.accept().await.unwrap();
        self.server.hears(command).await;
        (near, far)
    }

    /// Both control connections are in step.
    async fn goes_on(&mut self) {
        self.client.says("SYST").await;
        self.server.hears("SYST").await;
        self.server.says("215 UNIX").await;
        self.client.hears("215").await;
    }
}

/// What came before the end, and how it ended.
async fn all_of(conn: &mut Conn) -> (Vec<u8>, Result<(), ErrorKind>) {
    let mut bytes = Vec::new();
    let end = timeout(Duration::from_mins(3), conn.read_to_end(&mut bytes)).await;
    (bytes, end.unwrap().map(drop).map_err(|error| error.kind()))
}

#[tokio::test(start_paused = true)]
async fn a_download_whose_226_comes_before_the_data() {
    let mut scene = scene(|_| ()).await;
    let (mut near, mut far) = scene.transfer("RETR a").await;
    scene.server.says("125 already open").await;
    scene.server.says("226-first\r\n226 done").await;
    scene.client.hears("125 already open").await;
    far.write_all(b"all of it").await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    far.shutdown().await.unwrap();
    assert_eq!(all_of(&mut near).await, (b"all of it".to_vec(), Ok(())));
    scene.client.hears("226-first").await;
    scene.client.hears("226 done").await;
    scene.goes_on().await;
}

#[tokio::test(start_paused = true)]
async fn a_preliminary_reply_that_takes_its_time() {
    let mut scene = scene(|_| ()).await;
    let (mut near, mut far) = scene.transfer("RETR a").await;
    far.write_all(b"early").await.unwrap();
    far.shutdown().await.unwrap();
    tokio::time::sleep(Duration::from_secs(50)).await;
    scene.client.asks("NOOP", "200 Transfer goes on").await;
    scene.client.asks("STAT", "211 ").await;
    scene.server.says("150 from the tape").await;
    scene.server.says("226 done").await;
    scene.client.hears("150 from the tape").await;
    assert_eq!(all_of(&mut near).await, (b"early".to_vec(), Ok(())));
    scene.client.hears("226 done").await;
    scene.goes_on().await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_before_150() {
    for refusal in [
        "550 no such file",
        "425 cannot",
        "426 never begun",
        "530 no",
    ] {
        let mut scene = scene(|_| ()).await;
        let (mut near, mut far) = scene.transfer("RETR a").await;
        scene.server.says(refusal).await;
        scene.client.hears(refusal).await;
        assert!(all_of(&mut far).await.1.is_err(), "{refusal}");
        scene.goes_on().await;
        assert!(all_of(&mut near).await.1.is_err(), "given back: {refusal}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_arrives_whole_and_ends_orderly() {
    let mut scene = scene(|_| ()).await;
    let (mut near, mut far) = scene.transfer("STOR a").await;
    scene.server.says("150 go on").await;
    scene.client.hears("150 go on").await;
    near.write_all(&[7; 10_000]).await.unwrap();
    near.shutdown().await.unwrap();
    assert_eq!(all_of(&mut far).await, (vec![7; 10_000], Ok(())));
    scene.server.says("226 kept").await;
    scene.client.hears("226 kept").await;
    scene.goes_on().await;
}

/// Uploads are committed or do not appear: what was reset on one side is reset on the other.
#[tokio::test(start_paused = true)]
async fn an_upload_that_is_reset_does_not_look_finished() {
    let mut scene = scene(|_| ()).await;
    let (mut near, mut far) = scene.transfer("STOR a").await;
    scene.server.says("150 go on").await;
    scene.client.hears("150").await;
    near.write_all(&[7; 10_000]).await.unwrap();
    let mut some = [0; 10_000];
    far.read_exact(&mut some).await.unwrap();
    near.abort();
    assert!(all_of(&mut far).await.1.is_err());
    scene.server.says("426 broken").await;
    scene.client.hears("426 broken").await;
    scene.goes_on().await;
}

/// A client that is killed ends its data connection in order, and its control connection a moment later.
#[tokio::test(start_paused = true)]
async fn an_upload_of_a_killed_client_does_not_look_finished() {
    let mut scene = scene(|_| ()).await;
    let (mut near, mut far) = scene.transfer("STOR a").await;
    scene.server.says("150 go on").await;
    scene.client.hears("150").await;
    near.write_all(&[7; 10_000]).await.unwrap();
    let mut some = [0; 10_000];
    far.read_exact(&mut some).await.unwrap();
    near.shutdown().await.unwrap();
    drop((near, scene.client));
    assert!(all_of(&mut far).await.1.is_err());
    assert_eq!(scene.server.line().await, "", "the server is left, too");
}

#[tokio::test(start_paused = true)]
async fn a_download_that_the_client_breaks_off() {
    let mut scene = scene(|_| ()).await;
    let (near, mut far) = scene.transfer("RETR a").await;
    scene.server.says("150 here").await;
    scene.client.hears("150").await;
    near.abort();
    let mut broke = false;
    for _ in 0..1000 {
        broke |= far.write_all(&[7; 4096]).await.is_err();
    }
    assert!(broke, "the server hears of it");
    scene.server.says("226 I believe").await;
    scene.client.hears("426 ").await;
    scene.goes_on().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_breaks_in_mid_transfer() {
    let mut scene = scene(|_| ()).await;
    let (mut near, mut far) = scene.transfer("RETR a").await;
    scene.server.says("150 here").await;
    scene.client.hears("150").await;
    far.write_all(b"half").await.unwrap();
    let mut some = [0; 4];
    near.read_exact(&mut some).await.unwrap();
    far.abort();
    assert!(all_of(&mut near).await.1.is_err(), "not the end of a file");
    scene.server.says("451 disk").await;
    scene.client.hears("451 disk").await;
    scene.goes_on().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_leaves_in_mid_transfer() {
    for goodbye in [Some("421 going down"), None] {
        let mut scene = scene(|_| ()).await;
        let (mut near, _far) = scene.transfer("STOR a").await;
        scene.server.says("150 go on").await;
        scene.client.hears("150").await;
        near.write_all(b"half").await.unwrap();
        if let Some(goodbye) = goodbye {
            scene.server.says(goodbye).await;
        }
        drop(scene.server);
        scene.client.hears(goodbye.unwrap_or("421 ")).await;
        assert!(all_of(&mut near).await.1.is_err());
        assert_eq!(scene.client.line().await, "");
    }
}

#[tokio::test(start_paused = true)]
async fn abort_is_answered_at_once_and_the_server_is_in_step_afterwards() {
    for answers in [
        &["426 aborted", "226 ok"][..],
        &["226 one for both"],
        &["226 done", "225 nothing to abort"],
        &["426 gone", "500 ABOR?"],
    ] {
        let mut scene = scene(|_| ()).await;
        let (mut near, mut far) = scene.transfer("RETR a").await;
        scene.server.says("150 here").await;
        scene.client.hears("150").await;
        far.write_all(b"half").await.unwrap();
        let began = Instant::now();
        scene.client.asks("ABOR", "426").await;
        scene.client.hears("226").await;
        assert!(began.elapsed() < Duration::from_secs(1));
        assert!(all_of(&mut near).await.1.is_err());
        assert!(all_of(&mut far).await.1.is_err());
        scene.server.hears("ABOR").await;
        for answer in answers {
            scene.server.says(answer).await;
        }
        scene.client.says("SYST").await;
        let mut line = scene.server.line().await;
        if line == "PWD" {
            scene.server.says("257 \"/\"").await;
            line = scene.server.line().await;
        }
        assert_eq!(line, "SYST", "{answers:?}");
        scene.server.says("215 UNIX").await;
        scene.client.hears("215").await;
        scene.goes_on().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_abort_is_left() {
    let mut scene = scene(|_| ()).await;
    let (_near, _far) = scene.transfer("RETR a").await;
    scene.client.asks("ABOR", "426").await;
    scene.client.hears("226").await;
    scene.client.says("SYST").await;
    scene.client.hears("421 ").await;
}

#[tokio::test(start_paused = true)]
async fn strangers_get_nothing_on_either_side() {
    let mut scene = scene(|config| config.upstream_mode = UpstreamMode::Port).await;
    let told = scene.client.asks("PASV", "227").await;
    let six = told.split(['(', ')']).nth(1).unwrap();
    let numbers: Vec<u16> = six.split(',').map(|n| n.parse().unwrap()).collect();
    let port = numbers[4] * 256 + numbers[5];
    let stranger = scene.world.host("stranger");
    let mut first = stranger
        .connect(Source::Any, at(PROXY, port))
        .await
        .unwrap();
    let host = scene.world.host("client");
    let mut near = host.connect(Source::Any, at(PROXY, port)).await.unwrap();
    scene.client.says("RETR a").await;
    let told = scene.server.hears("PORT 192,0,2,1,").await;
    let numbers: Vec<u16> = told[5..].split(',').map(|n| n.parse().unwrap()).collect();
    let port = numbers[4] * 256 + numbers[5];
    scene.server.says("200 ok").await;
    scene.server.hears("RETR a").await;
    let mut second = stranger
        .connect(Source::Any, at(PROXY, port))
        .await
        .unwrap();
    let host = scene.world.host("server");
    let mut far = host.connect(Source::Any, at(PROXY, port)).await.unwrap();
    scene.server.says("150 here").await;
    scene.client.hears("150 here").await;
    far.write_all(b"private").await.unwrap();
    far.shutdown().await.unwrap();
    assert_eq!(all_of(&mut near).await, (b"private".to_vec(), Ok(())));
    for stranger in [&mut first, &mut second] {
        let (bytes, end) = all_of(stranger).await;
        assert!(bytes.is_empty() && end.is_err());
    }
    scene.server.says("226 done").await;
    scene.client.hears("226").await;
}

#[tokio::test(start_paused = true)]
async fn a_227_that_names_somebody_else_is_not_believed() {
    let mut scene = scene(|config| config.upstream_mode = UpstreamMode::Pasv).await;
    scene.client.asks("PORT 192,0,2,9,15,160", "200").await;
    let host = scene.world.host("client");
    let mut door = host.listen(ListenAt::one(at(CLIENT, 4000))).await.unwrap();
    scene.client.says("RETR a").await;
    scene.server.hears("PASV").await;
    scene
        .server
        .says("227 Entering Passive Mode (192,0,2,66,23,112).")
        .await;
    let mut far = scene.data.accept().await.unwrap();
    scene.server.hears("RETR a").await;
    scene.server.says("150 here").await;
    let mut near = door.accept().await.unwrap();
    scene.client.hears("150 here").await;
    far.write_all(b"x").await.unwrap();
    far.shutdown().await.unwrap();
    assert_eq!(all_of(&mut near).await, (b"x".to_vec(), Ok(())));
    scene.server.says("226 done").await;
    scene.client.hears("226").await;
}

#[tokio::test(start_paused = true)]
async fn long_lines_and_bursts_of_the_client() {
    let mut scene = scene(|config| config.line_limit = 200).await;
    let long = "A".repeat(5000);
    scene.client.asks(&long, "500 Line longer than 200").await;
    scene.client.says("USER a\0b").await;
    scene.client.hears("501 ").await;
    let burst = "PWD\r\n".repeat(500);
    scene.client.says(burst.trim_end()).await;
    for number in 0..500 {
        scene.server.hears("PWD").await;
        scene.server.says(&format!("257 {number}")).await;
    }
    for number in 0..500 {
        scene.client.hears(&format!("257 {number}")).await;
    }
    scene.goes_on().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_none() {
    for flood in [
        "not FTP at all".to_owned(),
        format!("211-{}", "A".repeat(100_000)),
        "150 x\r\n".repeat(1000),
        "215 x\r\n".repeat(1000),
    ] {
        let mut scene = scene(|_| ()).await;
        scene.client.says("SYST").await;
        scene.server.hears("SYST").await;
        let _ = scene.server.conn.write_all(flood.as_bytes()).await;
        let _ = scene.server.conn.write_all(b"\r\n").await;
        let last = loop {
            let line = scene.client.line().await;
            if !line.starts_with("150 x") && line != "215 x" {
                break line;
            }
        };
        assert!(last.starts_with("421 "), "{last}");
        assert_eq!(scene.client.line().await, "");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_and_limits() {
    let mut scene = scene(|config| {
        config.max_per_address = 1;
        config.idle = Duration::from_mins(5);
    })
    .await;
    let host = scene.world.host("client");
    let conn = host.connect(Source::Any, at(PROXY, 21)).await.unwrap();
    let mut second = Peer::new(conn);
    second
        .hears("421 Too many sessions from your address")
        .await;
    let began = Instant::now();
    tokio::time::sleep(Duration::from_mins(4)).await;
    scene.goes_on().await;
    scene.client.line().await;
    assert_eq!(began.elapsed().as_secs(), 9 * 60);
    assert_eq!(scene.server.line().await, "");
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_transfers_finish() {
    let mut scene = scene(|_| ()).await;
    let (mut near, mut far) = scene.transfer("RETR a").await;
    scene.server.says("150 here").await;
    scene.client.hears("150").await;
    scene.handle.stop(Duration::from_mins(1));
    tokio::time::sleep(Duration::from_secs(20)).await;
    far.write_all(b"late").await.unwrap();
    far.shutdown().await.unwrap();
    scene.server.says("226 done").await;
    assert_eq!(all_of(&mut near).await, (b"late".to_vec(), Ok(())));
    scene.client.hears("226 done").await;
    scene.client.hears("421 The proxy is stopping").await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there() {
    let world = World::new();
    world.add_host("client", World::INTERNET, [CLIENT]);
    world.add_host("proxy", World::INTERNET, [PROXY]);
    world.add_host("server", World::INTERNET, [SERVER]);
    for host in [SERVER, "203.0.113.99", "nobody.example"] {
        let host = host.to_owned();
        let config = Config {
            listen: vec![at(PROXY, 0)],
            ..Config::new(Upstream::Fixed(Place { host, port: 21 }))
        };
        let proxy = Proxy::bind(config, world.host("proxy")).await.unwrap();
        let to = proxy.local_addrs()[0];
        tokio::spawn(proxy.run());
        let conn = world.host("client").connect(Source::Any, to).await.unwrap();
        let mut client = Peer::new(conn);
        let began = Instant::now();
        client.hears("421 The server ").await;
        assert!(began.elapsed() < Duration::from_secs(16));
        assert_eq!(client.line().await, "");
    }
}

/// Times count from what happened last: a login that is taken back, and a transfer that took longer than anybody may
/// be silent.
#[tokio::test(start_paused = true)]
async fn time_to_log_in_and_silence_count_anew() {
    let mut scene = scene(|_| ()).await;
    let (mut near, mut far) = scene.transfer("RETR a").await;
    scene.server.says("150 here").await;
    scene.server.says("226 done").await;
    scene.client.hears("150").await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_mins(1)).await;
        far.write_all(b"x").await.unwrap();
    }
    far.shutdown().await.unwrap();
    assert_eq!(all_of(&mut near).await.0.len(), 20);
    scene.client.hears("226 done").await;
    scene.client.says("USER jim").await;
    scene.server.hears("USER jim").await;
    scene.server.says("331 password").await;
    scene.client.hears("331").await;
    tokio::time::sleep(Duration::from_secs(50)).await;
    scene.goes_on().await;
    scene.client.hears("421 No login in time").await;
}
