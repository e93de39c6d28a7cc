//! The control port takes data connections in TLS, on real sockets: whose they are is what their session says, whatever
//! their address and whoever else comes

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use wharf_accounts::Single;
use wharf_net::tls::trust::Trust;
use wharf_net::tls::{CertificateStore, DataSession, SelfSigned, ServerTls, fingerprint_of};
use wharf_net::tls::{TlsVersions, UserSession, UserTls};
use wharf_net::{Conn, TcpNet};
use wharf_proto::Pathname;
use wharf_proto::host_port::read_229;
use wharf_server::{Config, OnePort, Server, TlsPolicy};
use wharf_storage::{Memory, Storage};

/// Longer than anything here takes, also on a machine that is busy with other tests
const PATIENCE: Duration = Duration::from_mins(1);

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// When a client begins the handshake on its data connection
#[derive(Clone, Copy)]
enum Hello {
    /// As soon as it is connected (curl, basic-ftp)
    First,
    /// When it has heard the 150 (lftp, ftplib)
    After150,
}

struct Field {
    server: SocketAddr,
    implicit: SocketAddr,
    user: UserTls,
    store: Arc<Memory>,
    over: AtomicBool,
}

impl Field {
    async fn new(data_session: DataSession) -> Arc<Self> {
        Self::with(data_session, TlsVersions::All).await
    }

    async fn with(data_session: DataSession, versions: TlsVersions) -> Arc<Self> {
        let own = SelfSigned::new(&["127.0.0.1".to_owned()]).unwrap();
        let (chain, key) = (own.certificate.as_bytes(), own.key.as_bytes());
        let certificate = CertificateStore::from_pem("test", chain, key).unwrap();
        let fingerprint = fingerprint_of(certificate.cert.first().unwrap());
        let certificates = Arc::new(CertificateStore::new(vec![certificate]));
        let tls = ServerTls::new(certificates, None, TlsVersions::All).unwrap();
        let store = Arc::new(Memory::new());
        for number in 0..40 {
            store
                .add_file(&path(&format!("/{number}")), content(number))
                .unwrap();
        }
        let config = Config {
            listen: vec![SocketAddr::new(LOCAL, 0)],
            implicit_listen: vec![SocketAddr::new(IpAddr::from([127, 0, 0, 9]), 0)],
            max_per_address: 10_000,
            one_port: OnePort::On,
            tls: Some(TlsPolicy {
                data_session,
                ..TlsPolicy::new(tls)
            }),
            ..Config::default()
        };
        let accounts = Single::new(
            "ann",
            "secret".parse().unwrap(),
            Arc::clone(&store) as Arc<dyn Storage>,
            Pathname::root(),
        );
        let net = Arc::new(TcpNet::new());
        let server = Server::bind(config, net, Arc::new(accounts)).await.unwrap();
        let (at, implicit) = (server.local_addrs()[0], server.local_addrs()[1]);
        tokio::spawn(server.run());
        let trust = Trust {
            system: false,
            authorities: Vec::new(),
            pins: vec![fingerprint],
            known: None,
            first_use: false,
        };
        let verifier = trust.verifier("127.0.0.1", at.port()).unwrap();
        Arc::new(Self {
            server: at,
            implicit,
            user: UserTls::new(verifier, None, versions).unwrap(),
            store,
            over: AtomicBool::new(false),
        })
    }
}

fn path(text: &str) -> Pathname {
    text.parse().unwrap()
}

/// No two numbers have the same
fn content(number: usize) -> Vec<u8> {
    let line = format!("this is {number}\n");
    let length = 100 + number * 997;
    line.into_bytes().into_iter().cycle().take(length).collect()
}

async fn connect(from: IpAddr, to: SocketAddr) -> Conn {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from, 0)).unwrap();
    let connected = timeout(PATIENCE, socket.connect(to)).await;
    Conn::tcp(connected.unwrap().unwrap()).unwrap()
}

struct Client {
    at: SocketAddr,
    from: IpAddr,
    session: UserSession,
    control: Conn,
}

impl Client {
    async fn login(field: &Field, from: IpAddr, at: SocketAddr) -> Self {
        let mut client = Self {
            at,
            from,
            session: field.user.session("127.0.0.1").unwrap(),
            control: connect(from, at).await,
        };
        if at == field.server {
            assert!(client.line().await.starts_with("220 "));
            assert!(client.say("AUTH TLS").await.starts_with("234 "));
        }
        let session = client.session.clone();
        let secured = session.secure_control(client.control, PATIENCE).await;
        client.control = secured.unwrap();
        if at == field.implicit {
            assert!(client.line().await.starts_with("220 "));
        }
        for (line, code) in [
            ("USER ann", "331"),
            ("PASS secret", "230"),
            ("PBSZ 0", "200"),
            ("PROT P", "200"),
            ("TYPE I", "200"),
        ] {
            assert!(client.say(line).await.starts_with(code), "{line}");
        }
        client
    }

    async fn line(&mut self) -> String {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let read = timeout(PATIENCE, self.control.read_u8()).await;
            line.push(read.unwrap().unwrap());
        }
        String::from_utf8(line).unwrap()
    }

    async fn say(&mut self, line: &str) -> String {
        let line = format!("{line}\r\n");
        self.control.write_all(line.as_bytes()).await.unwrap();
        self.control.flush().await.unwrap();
        self.line().await
    }

    /// The last reply, and what came in
    async fn transfer(
        &mut self,
        command: &str,
        upload: Option<&[u8]>,
        from: IpAddr,
        hello: Hello,
        session: &UserSession,
    ) -> (String, Vec<u8>) {
        let told = self.say("EPSV").await;
        assert!(told.starts_with("229 "), "{told}");
        let port = read_229(&told.trim_end().as_bytes()[4..]).unwrap();
        assert_eq!(port, self.at.port());
        let data = connect(from, self.at).await;
        let session = session.clone();
        let early = matches!(hello, Hello::First);
        let shaking = async move { session.secure_data(data, PATIENCE).await };
        let (shaking, told) = if early {
            let shaking = tokio::spawn(shaking);
            (Ok(shaking), self.say(command).await)
        } else {
            let told = self.say(command).await;
            (Err(shaking), told)
        };
        if !told.starts_with("150 ") {
            return (told, Vec::new());
        }
        let secured = match shaking {
            Ok(task) => task.await.unwrap(),
            Err(shaking) => shaking.await,
        };
        let mut got = Vec::new();
        if let Ok(mut data) = secured {
            let moving = async {
                if let Some(bytes) = upload {
                    data.write_all(bytes).await?;
                    data.shutdown().await?;
                }
                data.read_to_end(&mut got).await
            };
            // How it ended, the reply says.
            let _ = timeout(PATIENCE, moving).await.unwrap();
        }
        (self.line().await, got)
    }

    async fn own_transfer(
        &mut self,
        command: &str,
        upload: Option<&[u8]>,
        hello: Hello,
    ) -> (String, Vec<u8>) {
        let (from, session) = (self.from, self.session.clone());
        self.transfer(command, upload, from, hello, &session).await
    }
}

/// Everybody who should get nothing: health checks, people who wait for a greeting, those who speak at once, thieves with a
/// session of their own
async fn stranger(field: Arc<Field>, from: IpAddr, mut seed: usize) -> usize {
    let thief = Client::login(&field, from, field.server).await;
    let mut count = 0;
    while !field.over.load(Ordering::Relaxed) {
        seed = seed.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        let mut conn = connect(from, field.server).await;
        match seed / 65_536 % 4 {
            0 => sleep(Duration::from_millis((seed / 1024 % 8) as u64)).await,
            1 => {
                let mut got = [0; 4];
                let read = timeout(PATIENCE, conn.read_exact(&mut got)).await;
                if read.unwrap().is_ok() {
                    assert_eq!(&got, b"220 ", "a stranger got something");
                }
            }
            2 => drop(conn.write_all(b"USER x\r\n").await),
            _ => {
                // Greeted in clear, refused, or taken for nobody's: a file it gets not.
                let session = thief.session.clone();
                let tried = session.secure_data(conn, Duration::from_secs(1)).await;
                if let Ok(mut conn) = tried {
                    let mut got = Vec::new();
                    let _ = timeout(PATIENCE, conn.read_to_end(&mut got)).await.unwrap();
                    assert!(got.is_empty(), "a thief got {} bytes", got.len());
                }
            }
        }
        count += 1;
        sleep(Duration::from_millis((seed / 4096) as u64 % 20)).await;
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_one_address_are_never_mixed_up_and_none_is_refused() {
    let field = Field::new(DataSession::Require).await;
    let all_in = Arc::new(Barrier::new(21));
    let mut sessions = JoinSet::new();
    for session in 0..20_usize {
        let (field, all_in) = (Arc::clone(&field), Arc::clone(&all_in));
        sessions.spawn(async move {
            let at = if session % 5 == 4 {
                field.implicit
            } else {
                field.server
            };
            let mut client = Client::login(&field, LOCAL, at).await;
            all_in.wait().await;
            for turn in 0..6 {
                let number = (session * 6 + turn) % 40;
                let hello = if session % 2 == 0 {
                    Hello::First
                } else {
                    Hello::After150
                };
                if turn % 2 == 0 {
                    let command = format!("RETR {number}");
                    let (reply, got) = client.own_transfer(&command, None, hello).await;
                    assert!(reply.starts_with("226 "), "{session}: {reply}");
                    assert!(got == content(number), "{session}: another file");
                } else {
                    let name = format!("up-{session}-{turn}");
                    let bytes = content(number);
                    let command = format!("STOR {name}");
                    let (reply, _) = client.own_transfer(&command, Some(&bytes), hello).await;
                    assert!(reply.starts_with("226 "), "{session}: {reply}");
                    let mut stored = Vec::new();
                    let name = path(&format!("/{name}"));
                    let mut reader = field.store.open(&name, 0).await.unwrap();
                    reader.read_to_end(&mut stored).await.unwrap();
                    assert!(stored == bytes, "{session}: another upload");
                }
            }
        });
    }
    all_in.wait().await;
    let mut strangers = JoinSet::new();
    for (seed, from) in [(1, LOCAL), (2, ELSEWHERE)] {
        strangers.spawn(stranger(Arc::clone(&field), from, seed));
    }
    while let Some(done) = sessions.join_next().await {
        done.unwrap();
    }
    field.over.store(true, Ordering::Relaxed);
    while let Some(count) = strangers.join_next().await {
        assert!(count.unwrap() > 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_with_a_login_for_every_transfer_do_not_meet_each_other() {
    let field = Field::new(DataSession::Require).await;
    let mut clients = JoinSet::new();
    for client in 0..8 {
        let field = Arc::clone(&field);
        clients.spawn(async move {
            for turn in 0..3 {
                let number = client * 3 + turn;
                let mut client = Client::login(&field, LOCAL, field.server).await;
                let command = format!("RETR {number}");
                let (reply, got) = client.own_transfer(&command, None, Hello::First).await;
                assert!(reply.starts_with("226 "), "{reply}");
                assert!(got == content(number));
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn a_data_connection_from_another_address_is_known_by_its_session() {
    for versions in [TlsVersions::Only12, TlsVersions::Only13] {
        let field = Field::with(DataSession::Require, versions).await;
        for at in [field.server, field.implicit] {
            let mut client = Client::login(&field, LOCAL, at).await;
            let session = client.session.clone();
            for hello in [Hello::First, Hello::After150] {
                let moved = client.transfer("RETR 7", None, ELSEWHERE, hello, &session);
                let (reply, got) = moved.await;
                assert!(reply.starts_with("226 "), "{versions:?} {at}: {reply}");
                assert!(got == content(7));
            }
        }
    }
}

#[tokio::test]
async fn one_that_does_not_resume_is_refused_or_known_by_its_address() {
    for (policy, from, code) in [
        (DataSession::Require, LOCAL, "522 "),
        (DataSession::Prefer, LOCAL, "226 "),
    ] {
        let field = Field::new(policy).await;
        let mut client = Client::login(&field, LOCAL, field.server).await;
        let another = field.user.session("127.0.0.1").unwrap();
        let began = Instant::now();
        let moved = client.transfer("RETR 3", None, from, Hello::After150, &another);
        let (reply, got) = moved.await;
        assert!(reply.starts_with(code), "{policy:?}: {reply}");
        assert_eq!(got == content(3), code == "226 ");
        assert!(began.elapsed() < Duration::from_secs(10));
        // And the session is as good as before.
        let (reply, got) = client.own_transfer("RETR 4", None, Hello::First).await;
        assert!(reply.starts_with("226 "), "{policy:?}: {reply}");
        assert!(got == content(4));
    }
}

#[tokio::test]
async fn nobody_is_kept_waiting_for_a_greeting() {
    let field = Field::new(DataSession::Require).await;
    let mut armed = Client::login(&field, LOCAL, field.server).await;
    let greeted = async |field: &Field| {
        let began = Instant::now();
        let mut elsewhere = connect(ELSEWHERE, field.server).await;
        let mut got = [0; 4];
        elsewhere.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"220 ");
        began.elapsed()
    };
    // At once while nobody is armed, but a machine may be busy for a moment.
    let mut quickest = Duration::MAX;
    for _ in 0..10 {
        quickest = quickest.min(greeted(&field).await);
    }
    assert!(quickest < Duration::from_millis(250), "{quickest:?}");
    assert!(armed.say("EPSV").await.starts_with("229 "));
    let held = greeted(&field).await;
    assert!(held >= Duration::from_millis(250), "{held:?}");
}
