//! The same server on real sockets and a real directory: what a simulated network cannot show
//! (sendfile, resets, urgent data, source ports)

#![expect(
    clippy::disallowed_methods,
    reason = "the other side of these tests is the kernel's own sockets"
)]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use wharf_accounts::Single;
use wharf_net::{Conn, ListenAt, Listener, Net, Source, TcpNet};
use wharf_proto::Pathname;
use wharf_proto::host_port::{read_229, write_eprt};
use wharf_server::{Config, Handle, Server};
use wharf_storage::{Local, LocalOptions};

struct Peer {
    folder: tempfile::TempDir,
    control: BufReader<TcpStream>,
    server: SocketAddr,
    handle: Handle,
}

impl Peer {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = Local::open(folder.path(), LocalOptions::default()).unwrap();
        let accounts = Single::new(
            "ann",
            "secret".parse().unwrap(),
            Arc::new(storage),
            Pathname::root(),
        );
        let config = Config {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            passive_ports: "20000-59999".parse().unwrap(),
            patience: Duration::from_secs(3),
            ..Config::default()
        };
        let server = Server::bind(config, Arc::new(TcpNet::new()), Arc::new(accounts))
            .await
            .unwrap();
        let address = server.local_addrs()[0];
        let handle = server.handle();
        tokio::spawn(server.run());
        let control = TcpStream::connect(address).await.unwrap();
        let mut peer = Self {
            folder,
            control: BufReader::new(control),
            server: address,
            handle,
        };
        assert!(peer.reply().await.starts_with("220"));
        peer.say("USER ann", "331").await;
        peer.say("PASS secret", "230").await;
        peer.say("TYPE I", "200").await;
        peer
    }

    async fn reply(&mut self) -> String {
        let mut line = String::new();
        let read = self.control.read_line(&mut line);
        timeout(Duration::from_secs(20), read)
            .await
            .unwrap()
            .unwrap();
        line
    }

    async fn say(&mut self, line: &str, code: &str) -> String {
        let line = format!("{line}\r\n");
        self.control.write_all(line.as_bytes()).await.unwrap();
        let reply = self.reply().await;
        assert!(reply.starts_with(code), "{line}: {reply}");
        reply
    }

    async fn passive(&mut self) -> TcpStream {
        let reply = self.say("EPSV", "229").await;
        let port = read_229(reply[4..].trim_end().as_bytes()).unwrap();
        TcpStream::connect((self.server.ip(), port)).await.unwrap()
    }

    fn names(&self) -> Vec<String> {
        std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with('.'))
            .collect()
    }
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_goes_in_and_out_unchanged() {
    let mut peer = Peer::new().await;
    for (name, length) in [("empty", 0), ("one", 1), ("large", 9_000_001)] {
        let bytes = noise(length);
        let mut data = peer.passive().await;
        peer.say(&format!("STOR {name}"), "150").await;
        data.write_all(&bytes).await.unwrap();
        data.shutdown().await.unwrap();
        assert!(peer.reply().await.starts_with("226"));
        assert!(
            std::fs::read(peer.folder.path().join(name)).unwrap() == bytes,
            "{name}"
        );
        for (restart, skipped) in [("NOOP", 0), ("REST 1", 1)] {
            if skipped > length {
                continue;
            }
            let mut data = peer.passive().await;
            let code = if skipped == 0 { "200" } else { "350" };
            peer.say(restart, code).await;
            peer.say(&format!("RETR {name}"), "150").await;
            let mut got = Vec::new();
            data.read_to_end(&mut got).await.unwrap();
            assert!(peer.reply().await.starts_with("226"));
            assert!(got == bytes[skipped..], "{name} after {restart}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn active_transfers_to_one_port_follow_each_other() {
    let mut peer = Peer::new().await;
    std::fs::write(peer.folder.path().join("file"), noise(70_000)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let eprt = write_eprt(listener.local_addr().unwrap());
    for _ in 0..5 {
        peer.say(&format!("EPRT {eprt}"), "200").await;
        peer.say("RETR file", "150").await;
        let (mut data, _) = listener.accept().await.unwrap();
        let mut got = Vec::new();
        data.read_to_end(&mut got).await.unwrap();
        assert_eq!(got.len(), 70_000);
        assert!(peer.reply().await.starts_with("226"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_in_mid_upload_commits_nothing() {
    let mut peer = Peer::new().await;
    let reply = peer.say("EPSV", "229").await;
    let port = read_229(reply[4..].trim_end().as_bytes()).unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_zero_linger().unwrap();
    let mut data = socket
        .connect(SocketAddr::new(peer.server.ip(), port))
        .await
        .unwrap();
    peer.say("STOR half", "150").await;
    data.write_all(&noise(300_000)).await.unwrap();
    // A reset before the server has accepted would be "nobody came".
    while peer.say("STAT", "211").await.contains(": 0 bytes") {}
    drop(data);
    assert!(peer.reply().await.starts_with("426"));
    assert_eq!(peer.names(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_aborted_download_is_no_clean_end() {
    let mut peer = Peer::new().await;
    std::fs::write(peer.folder.path().join("file"), noise(30_000_000)).unwrap();
    let mut data = peer.passive().await;
    peer.say("RETR file", "150").await;
    data.read_u8().await.unwrap();
    peer.say("STAT", "211 RETR in progress").await;
    peer.say("NOOP", "200").await;
    peer.say("ABOR", "426").await;
    assert!(peer.reply().await.starts_with("226"));
    let mut rest = Vec::new();
    assert!(data.read_to_end(&mut rest).await.is_err());
    peer.say("NOOP", "200").await;
}

/// RFC 959 §4.1.3: IP, then the Synch with its DM as urgent data, then ABOR
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abor_works_as_urgent_data() {
    let mut peer = Peer::new().await;
    let mut data = peer.passive().await;
    peer.say("STOR half", "150").await;
    data.write_all(&noise(1000)).await.unwrap();
    let control = socket2::SockRef::from(peer.control.get_ref());
    control.send(b"\xff\xf4\xff").unwrap();
    control.send_out_of_band(b"\xf2").unwrap();
    control.send(b"ABOR\r\n").unwrap();
    assert!(peer.reply().await.starts_with("426"));
    assert!(peer.reply().await.starts_with("226"));
    peer.say("NOOP", "200").await;
    assert_eq!(peer.names(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_vanishes_leaves_nothing() {
    for _ in 0..20 {
        let mut peer = Peer::new().await;
        let mut data = peer.passive().await;
        peer.say("STOR half", "150").await;
        data.write_all(&noise(100_000)).await.unwrap();
        // As the kernel closes the sockets of a killed process.
        let Peer {
            folder,
            control,
            handle,
            ..
        } = peer;
        drop(control);
        drop(data);
        let ended = async {
            while handle.sessions() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(20), ended).await.unwrap();
        let left: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(left.iter().all(|name| name != "half"), "{left:?}");
    }
}

/// basic-ftp ends its session when a data connection that it has opened is reset
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_transfer_does_not_reset_the_data_connection() {
    for refused in ["RETR gone", "LIST gone", "MLSD gone", "STOR gone/x"] {
        let mut peer = Peer::new().await;
        let mut data = peer.passive().await;
        peer.say(refused, "550").await;
        let moment = Duration::from_millis(50);
        let end = timeout(moment, data.read(&mut [0; 1])).await;
        assert!(end.is_err(), "{refused}: {end:?}");
        // The port was good for that one command all the same.
        peer.say("LIST", "425").await;
    }
}

/// To take the first of two calls would be to confirm an upload of nothing
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_data_connections_the_one_that_lives_is_taken() {
    let mut peer = Peer::new().await;
    let reply = peer.say("EPSV", "229").await;
    let port = read_229(reply[4..].trim_end().as_bytes()).unwrap();
    let at = SocketAddr::new(peer.server.ip(), port);
    drop(TcpStream::connect(at).await.unwrap());
    let mut data = TcpStream::connect(at).await.unwrap();
    peer.say("STOR file", "150").await;
    data.write_all(b"content").await.unwrap();
    drop(data);
    assert!(peer.reply().await.starts_with("226"));
    let stored = std::fs::read(peer.folder.path().join("file")).unwrap();
    assert_eq!(stored, b"content");
    // One that is the only one is an empty file.
    drop(peer.passive().await);
    peer.say("STOR none", "150").await;
    assert!(peer.reply().await.starts_with("226"));
}

/// A host with few descriptors
struct Poor;

#[async_trait::async_trait]
impl Net for Poor {
    async fn connect(&self, from: Source, to: SocketAddr) -> io::Result<Conn> {
        TcpNet.connect(from, to).await
    }

    async fn listen(&self, at: ListenAt) -> io::Result<Box<dyn Listener>> {
        TcpNet.listen(at).await
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        TcpNet.resolve(host, port).await
    }

    fn descriptors(&self) -> usize {
        64
    }
}

/// Else the sessions that are there cannot transfer, and those at the door hear nothing. Who has not logged in costs one
/// of the forty descriptors and may have three quarters of them, a login costs two more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_no_more_sessions_than_descriptors_for_them() {
    let storage = Arc::new(wharf_storage::Memory::new());
    let accounts = wharf_accounts::Anonymous::new(storage, Pathname::root());
    let config = Config {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        ..Config::default()
    };
    let server = Server::bind(config, Arc::new(Poor), Arc::new(accounts))
        .await
        .unwrap();
    let at = server.local_addrs()[0];
    tokio::spawn(server.run());
    let mut admitted = 0;
    let mut clients = Vec::new();
    for _ in 0..60 {
        let mut client = BufReader::new(TcpStream::connect(at).await.unwrap());
        let mut line = String::new();
        let told = timeout(Duration::from_secs(20), client.read_line(&mut line)).await;
        told.unwrap().unwrap();
        match line.get(..3) {
            Some("220") => admitted += 1,
            code => assert_eq!(code, Some("421"), "{line}"),
        }
        if line.starts_with("220") {
            clients.push(client);
        }
    }
    assert_eq!(admitted, 28);
    let mut logged_in = 0;
    for client in &mut clients {
        client.write_all(b"USER ftp\r\nPASS x@\r\n").await.unwrap();
        let mut replies = client.lines();
        let code = loop {
            let line = timeout(Duration::from_secs(20), replies.next_line()).await;
            let line = line.unwrap().unwrap().expect("a reply to PASS");
            match line.get(..4) {
                Some("331 ") => {}
                _ => break line,
            }
        };
        match code.get(..4) {
            Some("230 " | "230-") => logged_in += 1,
            code => assert_eq!(code, Some("421 ")),
        }
    }
    assert_eq!(logged_in, 6);
}
