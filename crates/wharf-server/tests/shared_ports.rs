//! Ports that sessions share, on real sockets: many sessions, strangers at every moment, and nothing may be mixed up

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wharf_accounts::Single;
use wharf_net::TcpNet;
use wharf_proto::Pathname;
use wharf_proto::data_connection::passive::PortRange;
use wharf_proto::host_port::read_229;
use wharf_server::{Config, OnePort, Server};
use wharf_storage::{Memory, Storage};

/// Longer than anything here takes, also on a machine that is busy with other tests
const PATIENCE: Duration = Duration::from_mins(1);

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

struct Field {
    server: SocketAddr,
    store: Arc<Memory>,
    refused: AtomicUsize,
    over: AtomicBool,
}

impl Field {
    async fn new(change: impl Fn(&mut Config)) -> Arc<Self> {
        let store = Arc::new(Memory::new());
        for number in 0..100 {
            let name = path(&format!("/{number}"));
            store.add_file(&name, content(number)).unwrap();
            let folder = format!("/folder-{number}");
            store.add_dir(&path(&folder)).unwrap();
            let only = path(&format!("{folder}/only-in-{number}"));
            store.add_file(&only, "x").unwrap();
        }
        let mut attempts = 0;
        let server = loop {
            let mut config = Config {
                listen: vec![SocketAddr::new(LOCAL, 0)],
                max_per_address: 10_000,
                ..Config::default()
            };
            change(&mut config);
            let accounts = Single::new(
                "ann",
                "secret".parse().unwrap(),
                Arc::clone(&store) as Arc<dyn Storage>,
                Pathname::root(),
            );
            match Server::bind(config, Arc::new(TcpNet::new()), Arc::new(accounts)).await {
                Ok(server) => break server,
                // Somebody else has one of the ports.
                Err(_) if attempts < 50 => attempts += 1,
                Err(error) => panic!("{error}"),
            }
        };
        let at = server.local_addrs()[0];
        tokio::spawn(server.run());
        Arc::new(Self {
            server: at,
            store,
            refused: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        })
    }

    fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}

fn path(text: &str) -> Pathname {
    text.parse().unwrap()
}

/// No two numbers have the same
fn content(number: usize) -> Vec<u8> {
    let length = if number.is_multiple_of(20) {
        300_000
    } else {
        100 + number * 37
    };
    let line = format!("this is {number}\n");
    line.into_bytes().into_iter().cycle().take(length).collect()
}

async fn connect(from: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from, 0)).unwrap();
    let connected = timeout(PATIENCE, socket.connect(to)).await;
    connected.unwrap().unwrap()
}

/// A client as curl is one: the data connection first, then the command
struct Client {
    field: Arc<Field>,
    from: IpAddr,
    control: BufReader<TcpStream>,
}

impl Client {
    async fn login(field: &Arc<Field>, from: IpAddr) -> Self {
        let control = connect(from, field.server).await;
        let mut client = Self {
            field: Arc::clone(field),
            from,
            control: BufReader::new(control),
        };
        assert_eq!(client.reply().await, 220);
        assert_eq!(client.say("USER ann").await.0, 331);
        assert_eq!(client.say("PASS secret").await.0, 230);
        assert_eq!(client.say("TYPE I").await.0, 200);
        client
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.control.read_line(&mut line)).await;
        read.unwrap().unwrap();
        line
    }

    async fn reply(&mut self) -> u16 {
        self.line().await[..3].parse().unwrap()
    }

    async fn say(&mut self, line: &str) -> (u16, String) {
        let line = format!("{line}\r\n");
        self.control.write_all(line.as_bytes()).await.unwrap();
        let text = self.line().await;
        (text[..3].parse().unwrap(), text)
    }

    /// Sends `command` until it is not refused; `upload` is what goes out, the answer is what came in
    async fn transfer(&mut self, command: &str, upload: Option<&[u8]>) -> (u16, Vec<u8>) {
        for _ in 0..200 {
            let (code, text) = self.say("EPSV").await;
            assert_eq!(code, 229, "{text}");
            let port = read_229(&text.trim_end().as_bytes()[4..]).unwrap();
            let at = SocketAddr::new(self.field.server.ip(), port);
            let mut data = connect(self.from, at).await;
            let (code, text) = self.say(command).await;
            match code {
                150 => {}
                425 => {
                    assert!(text.contains("cannot tell which of"), "{text}");
                    self.field.refused.fetch_add(1, Ordering::Relaxed);
                    drop(data);
                    continue;
                }
                _ => panic!("{command}: {text}"),
            }
            let mut got = Vec::new();
            let moved = async {
                if let Some(bytes) = upload {
                    data.write_all(bytes).await?;
                    data.shutdown().await?;
                }
                data.read_to_end(&mut got).await
            };
            let moved = timeout(PATIENCE, moved).await.unwrap();
            let text = self.line().await;
            match &text[..3] {
                "226" => {
                    moved.unwrap();
                    return (port, got);
                }
                // Behind the 150 nothing may have come, not even a greeting.
                "425" => {
                    assert!(text.contains("cannot tell which of"), "{text}");
                    assert!(got.is_empty(), "{command}: {got:?}");
                    self.field.refused.fetch_add(1, Ordering::Relaxed);
                }
                _ => panic!("{command}: {text}"),
            }
        }
        panic!("{command} was refused 200 times");
    }

    /// A download, an upload or a listing that no other transfer of the test has
    async fn do_one(&mut self, number: usize) {
        let file = number % 100;
        match number % 3 {
            0 => {
                let (_, got) = self.transfer(&format!("RETR {file}"), None).await;
                assert!(got == content(file), "{number}: another file");
            }
            1 => {
                let name = format!("up-{number}");
                let bytes = content(number);
                let (_, got) = self.transfer(&format!("STOR {name}"), Some(&bytes)).await;
                assert!(got.is_empty());
                let name = path(&format!("/{name}"));
                let mut stored = Vec::new();
                let mut reader = self.field.store.open(&name, 0).await.unwrap();
                reader.read_to_end(&mut stored).await.unwrap();
                assert!(stored == bytes, "{number}: another upload");
            }
            _ => {
                let (_, got) = self.transfer(&format!("NLST folder-{file}"), None).await;
                let got = String::from_utf8(got).unwrap();
                assert!(got.ends_with(&format!("only-in-{file}\r\n")), "{got}");
            }
        }
    }
}

/// Connects at any time, `pause` or less apart, and never sees anything but what a control connection is told
async fn stranger(field: Arc<Field>, from: IpAddr, mut seed: usize, pause: u64) -> usize {
    let mut count = 0;
    while !field.over.load(Ordering::Relaxed) {
        seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let mut conn = connect(from, field.server).await;
        count += 1;
        match seed / 65_536 % 4 {
            // A health check, a port scan
            0 => {}
            1 => sleep(Duration::from_millis((seed / 1024 % 8) as u64)).await,
            // Somebody who cannot wait for the greeting
            2 => {
                // It may have been reset with others that could not be told apart.
                if conn.write_all(b"USER x\r\n").await.is_ok() {
                    hear(&mut conn).await;
                }
            }
            _ => hear(&mut conn).await,
        }
        drop(conn);
        sleep(Duration::from_millis((seed / 4096) as u64 % pause)).await;
    }
    count
}

async fn hear(conn: &mut TcpStream) {
    let mut got = [0; 512];
    match timeout(PATIENCE, conn.read(&mut got)).await.unwrap() {
        Ok(0) | Err(_) => {}
        Ok(n) => assert!(
            got[..n].starts_with(b"220 "),
            "a stranger got {:?}",
            String::from_utf8_lossy(&got[..n])
        ),
    }
}

/// 50 sessions of one address, 20 transfers each, and strangers
async fn race(strangers_from: IpAddr, pause: u64) -> Arc<Field> {
    let field = Field::new(|config| config.one_port = OnePort::On).await;
    let all_in = Arc::new(Barrier::new(51));
    let mut sessions = JoinSet::new();
    for session in 0..50 {
        let (field, all_in) = (Arc::clone(&field), Arc::clone(&all_in));
        sessions.spawn(async move {
            let mut client = Client::login(&field, LOCAL).await;
            all_in.wait().await;
            for number in 0..20 {
                client.do_one(session * 20 + number).await;
            }
        });
    }
    all_in.wait().await;
    let mut strangers = JoinSet::new();
    for seed in 0..2 {
        strangers.spawn(stranger(Arc::clone(&field), strangers_from, seed, pause));
    }
    while let Some(done) = sessions.join_next().await {
        done.unwrap();
    }
    field.over.store(true, Ordering::Relaxed);
    while let Some(count) = strangers.join_next().await {
        assert!(count.unwrap() > 10);
    }
    field
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_transfers_on_one_port_are_never_mixed_up() {
    let field = race(ELSEWHERE, 4).await;
    assert_eq!(
        field.refused(),
        0,
        "strangers from elsewhere disturb nobody"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_at_the_same_address_gets_nothing() {
    let field = race(LOCAL, 150).await;
    assert!(field.refused() > 0, "some could not be told apart");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_ports_carry_the_clients_of_hundreds_of_addresses() {
    let field = Field::new(|config| {
        let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 1);
        let lo = 20_000 + u16::try_from(random % 10_000).unwrap();
        config.data_port = PortRange::new(lo, lo + 9).ok();
        config.one_port = OnePort::Off;
    })
    .await;
    let all_in = Arc::new(Barrier::new(300));
    let mut sessions = JoinSet::new();
    for session in 0..300_u16 {
        let (field, all_in) = (Arc::clone(&field), Arc::clone(&all_in));
        sessions.spawn(async move {
            let [high, low] = session.to_be_bytes();
            let from = IpAddr::from([127, 1, high, low]);
            let mut client = Client::login(&field, from).await;
            all_in.wait().await;
            let mut ports = Vec::new();
            for number in 0..3 {
                let number = usize::from(session) * 3 + number;
                let (port, got) = client
                    .transfer(&format!("RETR {}", number % 100), None)
                    .await;
                assert!(got == content(number % 100));
                ports.push(port);
            }
            // A late SYN of one transfer finds nobody at the next one's port.
            ports.dedup();
            assert_eq!(ports.len(), 3);
            ports
        });
    }
    let mut ports = Vec::new();
    while let Some(used) = sessions.join_next().await {
        ports.extend(used.unwrap());
    }
    ports.sort_unstable();
    ports.dedup();
    assert!(ports.len() <= 10, "{ports:?}");
    assert_eq!(field.refused(), 0);
}
