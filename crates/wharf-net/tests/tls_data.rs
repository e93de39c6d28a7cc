//! Who gets a data connection in TLS: everybody who may come, in every policy, as a table of little scenes.
//!
//! A scene is who comes, in order. `peer` stands at the address of the control connection, `pool` at another one; then
//! what they do: `resumes` the session, shakes hands `afresh`, with the session of `another`, is `silent`, `ends` without
//! a word, talks `clear`ly.

mod anybody;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anybody::Anybody;
use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use wharf_net::tls::{CertificateStore, DataSession, SelfSigned, ServerSession, ServerTls};
use wharf_net::tls::{TlsSession, TlsVersions, UserSession, UserTls};
use wharf_net::{Conn, DataPort, Listener, OpenError, TcpNet, Trace};
use wharf_proto::data_connection::guard::Guard;

const PATIENCE: Duration = Duration::from_secs(30);

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn wire(from: SocketAddr) -> (Conn, Conn) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let at = addr("192.0.2.1:50000");
    (
        Conn::foreign(Box::new(near), at, from),
        Conn::foreign(Box::new(far), from, at),
    )
}

struct Scene {
    server: ServerTls,
    user: UserTls,
}

impl Scene {
    fn new(versions: TlsVersions) -> Self {
        let own = SelfSigned::new(&["ftp.example".to_owned()]).unwrap();
        let (certificate, key) = (own.certificate.as_bytes(), own.key.as_bytes());
        let certificate = CertificateStore::from_pem("test", certificate, key).unwrap();
        let store = Arc::new(CertificateStore::new(vec![certificate]));
        Self {
            server: ServerTls::new(store, None, TlsVersions::All).unwrap(),
            user: UserTls::new(Arc::new(Anybody), None, versions).unwrap(),
        }
    }

    /// Both ends of a control connection, which gives the user its first tickets
    async fn control(&self) -> (ServerSession, UserSession) {
        let server = self.server.session().unwrap();
        let user = self.user.session("ftp.example").unwrap();
        let (near, far) = wire(addr("198.51.100.1:40000"));
        let (near, far) = tokio::join!(
            server.secure_control(near, PATIENCE),
            user.secure_control(far, PATIENCE)
        );
        let (mut near, mut far) = (near.unwrap(), far.unwrap());
        // Tickets of TLS 1.3 are read with the first bytes.
        near.write_all(b"2").await.unwrap();
        near.flush().await.unwrap();
        assert_eq!(far.read_u8().await.unwrap(), b'2');
        (server, user)
    }

    /// Everybody comes, 10 ms apart; who got the data connection, or why nobody did, and after how long
    async fn play(&self, policy: DataSession, who: &str) -> (String, Duration) {
        let (door, arrivals) = mpsc::unbounded_channel();
        let mut number = 0;
        let mut acts = Vec::new();
        for words in who.split(", ") {
            let words: Vec<&str> = words.split(' ').collect();
            let (times, place, act) = match *words.as_slice() {
                [place, act] => (1, place, act),
                [times, place, act] => (times.parse().unwrap(), place, act),
                _ => panic!("{who}"),
            };
            for _ in 0..times {
                number += 1;
                let host = if place == "peer" { 1 } else { 2 };
                let from = addr(&format!("198.51.100.{host}:{}", 41_000 + u16::from(number)));
                let (near, far) = wire(from);
                acts.push((number, near, far, act.to_owned()));
            }
        }
        let (server, ours) = self.control().await;
        let (_, theirs) = self.control().await;
        let players = async move {
            for (number, near, far, act) in acts {
                sleep(Duration::from_millis(10)).await;
                door.send(near).unwrap();
                let (ours, theirs) = (ours.clone(), theirs.clone());
                tokio::spawn(async move {
                    perform(&act, far, &ours, &theirs, number).await;
                });
            }
            // The door stays open.
            sleep(Duration::from_hours(1)).await;
            drop(door);
        };
        let players = tokio::spawn(players);
        let port = DataPort::Listening(Box::new(Door(arrivals)));
        let guard = Guard::new("198.51.100.1".parse().unwrap());
        let session = TlsSession::from(server);
        let began = Instant::now();
        let opened = port
            .open_secured(
                &TcpNet::new(),
                &guard,
                PATIENCE,
                &Trace::off(),
                &session,
                policy,
            )
            .await;
        let took = began.elapsed();
        let told = match opened {
            Ok((mut data, handshake)) => {
                let number = data.read_u8().await.unwrap();
                let how = if handshake.resumed {
                    "resumed"
                } else {
                    "afresh"
                };
                format!("{number} {how}")
            }
            Err(OpenError::NotResumed { .. }) => "not resumed".to_owned(),
            Err(OpenError::Handshake { error, .. }) if error.is_end() => "ended".to_owned(),
            Err(OpenError::Handshake { .. }) => "no handshake".to_owned(),
            Err(OpenError::NobodyCame { strangers, .. }) => {
                format!("nobody, {} strangers", strangers.len())
            }
            Err(other) => other.to_string(),
        };
        players.abort();
        (told, took)
    }
}

async fn perform(act: &str, far: Conn, ours: &UserSession, theirs: &UserSession, number: u8) {
    let session = match act {
        "resumes" => ours.clone(),
        "another" => theirs.clone(),
        "afresh" => {
            let user = UserTls::new(Arc::new(Anybody), None, TlsVersions::All).unwrap();
            user.session("ftp.example").unwrap()
        }
        "ends" => return,
        "clear" => {
            let mut far = far;
            far.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            sleep(Duration::from_mins(10)).await;
            return;
        }
        "silent" => {
            sleep(Duration::from_mins(10)).await;
            return;
        }
        act => panic!("no such act: {act}"),
    };
    if let Ok(mut conn) = session.secure_data(far, PATIENCE).await {
        // Who is reset meanwhile did not get through.
        let _ = conn.write_all(&[number]).await;
        let _ = conn.flush().await;
        sleep(Duration::from_mins(10)).await;
    }
}

struct Door(mpsc::UnboundedReceiver<Conn>);

#[async_trait]
impl Listener for Door {
    async fn accept(&mut self) -> io::Result<Conn> {
        let conn = self.0.recv().await;
        conn.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    fn local_addr(&self) -> SocketAddr {
        addr("192.0.2.1:50000")
    }
}

#[tokio::test(start_paused = true)]
async fn the_session_decides_and_the_address_only_where_it_may() {
    use DataSession::{Off, Prefer, Require};
    let all = &[Require, Prefer, Off][..];
    let lax = &[Prefer, Off][..];
    let table: &[(&[DataSession], &str, &str)] = &[
        (all, "peer resumes", "1 resumed"),
        (all, "pool resumes", "1 resumed"),
        // Who holds a connection without a handshake blocks nobody.
        (all, "peer silent, pool resumes", "2 resumed"),
        (
            all,
            "9 pool silent, 9 peer silent, peer resumes",
            "19 resumed",
        ),
        (all, "40 pool silent, pool resumes", "41 resumed"),
        (all, "pool clear, peer clear, peer resumes", "3 resumed"),
        (all, "peer ends, peer resumes", "2 resumed"),
        // A thief with another session's ticket, a client that does not resume.
        (&[Require], "peer another", "not resumed"),
        (&[Require], "peer afresh", "not resumed"),
        (&[Require], "5 peer another, 5 pool another", "not resumed"),
        (
            &[Require],
            "peer another, peer afresh, pool resumes",
            "3 resumed",
        ),
        (
            &[Require],
            "peer ends, peer afresh, peer clear",
            "not resumed",
        ),
        (lax, "peer afresh", "1 afresh"),
        (lax, "peer another", "1 afresh"),
        (all, "pool another, pool afresh", "nobody, 2 strangers"),
        (all, "pool another, peer resumes", "2 resumed"),
        (lax, "pool afresh, peer afresh", "2 afresh"),
        // What came to nothing names its cause.
        (all, "peer ends", "ended"),
        (all, "peer clear, peer ends", "no handshake"),
        (all, "peer silent", "no handshake"),
        (
            all,
            "pool ends, pool clear, pool silent",
            "nobody, 2 strangers",
        ),
    ];
    for versions in [TlsVersions::Only12, TlsVersions::Only13] {
        let scene = Scene::new(versions);
        for (policies, who, want) in table {
            for policy in *policies {
                let (got, took) = scene.play(*policy, who).await;
                assert_eq!(got, *want, "{versions:?} {policy:?}: {who}");
                let patient = who.contains("silent") || want.starts_with("nobody");
                assert!(took < Duration::from_secs(6) || patient, "{who}: {took:?}");
                assert!(took <= PATIENCE, "{who}: {took:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_cannot_resume_is_told_soon() {
    let scene = Scene::new(TlsVersions::Only13);
    let (got, took) = scene.play(DataSession::Require, "peer afresh").await;
    assert_eq!(got, "not resumed");
    assert!(took < Duration::from_millis(2500), "{took:?}");
}
