//! Control and data connections in TLS, both ends ours: whose sessions resume, what the end of a connection says.

mod anybody;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anybody::Anybody;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;
use wharf_net::tls::{CertificateStore, SelfSigned, ServerSession, ServerTls, UserSession};
use wharf_net::tls::{TlsError, TlsVersions, UserTls};
use wharf_net::{Conn, ServerControl, Trace, UserControl};
use wharf_proto::{Command, Line, Reply, ReplyLimits};

const PATIENCE: Duration = Duration::from_secs(10);

const LIMITS: ReplyLimits = ReplyLimits {
    line: 1024,
    lines: 100,
    bytes: 8192,
};

struct Pair {
    server: ServerTls,
    user: UserTls,
}

impl Pair {
    fn new(versions: TlsVersions) -> Self {
        let own = SelfSigned::new(&["ftp.example".to_owned()]).unwrap();
        let certificate =
            CertificateStore::from_pem("test", own.certificate.as_bytes(), own.key.as_bytes())
                .unwrap();
        let store = Arc::new(CertificateStore::new(vec![certificate]));
        Self {
            server: ServerTls::new(store, None, TlsVersions::All).unwrap(),
            user: UserTls::new(Arc::new(Anybody), None, versions).unwrap(),
        }
    }

    fn sessions(&self) -> (ServerSession, UserSession) {
        (
            self.server.session().unwrap(),
            self.user.session("ftp.example").unwrap(),
        )
    }
}

fn wire() -> (Conn, Conn) {
    let (a, b) = tokio::io::duplex(64 * 1024);
    let near = "192.0.2.1:21".parse().unwrap();
    let far = "198.51.100.1:40000".parse().unwrap();
    (
        Conn::foreign(Box::new(a), near, far),
        Conn::foreign(Box::new(b), far, near),
    )
}

/// Counts what can be read there
fn tapped(conn: Conn) -> (Arc<AtomicUsize>, Conn) {
    let (near, far) = (conn.local_addr(), conn.peer_addr());
    let count = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&count);
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let (mut from, mut to) = tokio::io::split(conn);
        let (mut in_, mut out) = tokio::io::split(ours);
        let back = async {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut buffer).await {
                told.fetch_add(read, Ordering::Relaxed);
                out.write_all(&buffer[..read]).await.unwrap();
            }
            out.shutdown().await.unwrap();
        };
        let forth = async {
            let _ = tokio::io::copy(&mut in_, &mut to).await;
            let _ = to.shutdown().await;
        };
        tokio::join!(back, forth);
    });
    (count, Conn::foreign(Box::new(theirs), near, far))
}

/// `None` holds back what is written from then on; what is sent next goes out right behind it.
fn injecting(conn: Conn) -> (Conn, mpsc::UnboundedSender<Option<&'static [u8]>>) {
    let (near, far) = (conn.local_addr(), conn.peer_addr());
    let (sender, mut injected) = mpsc::unbounded_channel::<Option<&'static [u8]>>();
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(async move {
        let (mut from, mut to) = tokio::io::split(conn);
        let (mut written, mut read) = tokio::io::split(ours);
        let back = async {
            let _ = tokio::io::copy(&mut from, &mut read).await;
        };
        let forth = async {
            let (mut buffer, mut held) = (Vec::new(), false);
            loop {
                tokio::select! {
                    biased;
                    n = written.read_buf(&mut buffer) => match n {
                        Ok(1..) => {}
                        _ => return,
                    },
                    Some(told) = injected.recv() => {
                        held = told.is_none();
                        buffer.extend_from_slice(told.unwrap_or_default());
                    }
                }
                if !held {
                    to.write_all(&buffer).await.unwrap();
                    buffer.clear();
                }
            }
        };
        tokio::join!(back, forth);
    });
    (Conn::foreign(Box::new(theirs), near, far), sender)
}

async fn control(server: &ServerSession, user: &UserSession) -> (Conn, Conn) {
    let (a, b) = wire();
    let (a, b) = tokio::join!(
        server.secure_control(a, PATIENCE),
        user.secure_control(b, PATIENCE)
    );
    let (mut a, mut b) = (a.unwrap(), b.unwrap());
    // Tickets of TLS 1.3 are read with the first bytes.
    a.write_all(b"2").await.unwrap();
    a.flush().await.unwrap();
    assert_eq!(b.read_u8().await.unwrap(), b'2');
    (a, b)
}

async fn data(server: &ServerSession, user: &UserSession) -> (Conn, Conn) {
    let (a, b) = wire();
    let (a, b) = tokio::join!(
        server.secure_data(a, PATIENCE),
        user.secure_data(b, PATIENCE)
    );
    (a.unwrap(), b.unwrap())
}

#[tokio::test]
async fn a_data_connection_resumes_the_session_of_its_control_connection() {
    for versions in [TlsVersions::Only12, TlsVersions::Only13, TlsVersions::All] {
        let pair = Pair::new(versions);
        let (server, user) = pair.sessions();
        let (_a, _b) = control(&server, &user).await;
        for turn in 0..5 {
            // Downloads: the user reads to the end, where the next ticket is.
            let (mut at_server, mut at_user) = data(&server, &user).await;
            assert!(
                at_server.handshake().unwrap().resumed,
                "{versions:?} {turn}"
            );
            at_server.write_all(b"file").await.unwrap();
            let mut all = Vec::new();
            let (ended, read) = tokio::join!(at_server.shutdown(), at_user.read_to_end(&mut all));
            ended.unwrap();
            read.unwrap();
            assert_eq!(all, b"file");
        }
    }
}

#[tokio::test]
async fn a_ticket_of_another_session_is_of_no_use() {
    for versions in [TlsVersions::Only12, TlsVersions::Only13] {
        let pair = Pair::new(versions);
        let (server, user) = pair.sessions();
        let (other_server, other_user) = pair.sessions();
        let (_a, _b) = control(&server, &user).await;
        let (_c, _d) = control(&other_server, &other_user).await;
        // Nor is the ticket that it gets by trying.
        for _ in 0..3 {
            let (mut at_server, mut thief) = data(&server, &other_user).await;
            assert!(!at_server.handshake().unwrap().resumed, "{versions:?}");
            at_server.write_all(b"2").await.unwrap();
            at_server.flush().await.unwrap();
            thief.read_u8().await.unwrap();
        }
    }
}

#[tokio::test]
async fn on_an_upload_the_tickets_come_with_the_end() {
    for versions in [TlsVersions::Only12, TlsVersions::Only13] {
        let pair = Pair::new(versions);
        let (server, user) = pair.sessions();
        let (_a, _b) = control(&server, &user).await;
        let mut unread = Vec::new();
        for session in [&server, &server.for_upload(), &server.for_upload()] {
            let (a, b) = wire();
            let (heard, b) = tapped(b);
            let (a, b) = tokio::join!(
                session.secure_data(a, PATIENCE),
                user.secure_data(b, PATIENCE)
            );
            let (mut a, mut b) = (a.unwrap(), b.unwrap());
            assert!(a.handshake().unwrap().resumed, "{versions:?}");
            b.write_all(b"file").await.unwrap();
            b.shutdown().await.unwrap();
            let mut all = Vec::new();
            a.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, b"file");
            unread.push(heard.load(Ordering::Relaxed));
            let (ended, rest) = tokio::join!(a.shutdown(), b.read_to_end(&mut all));
            ended.unwrap();
            rest.unwrap();
        }
        // What a user who only sends would leave unread, and be reset for.
        let [plain, upload, again] = unread[..] else {
            panic!("three turns")
        };
        assert_eq!(upload, again);
        assert_eq!(plain > upload, versions == TlsVersions::Only13);
    }
}

#[tokio::test]
async fn an_end_without_close_notify_is_no_end() {
    let pair = Pair::new(TlsVersions::All);
    let (server, user) = pair.sessions();
    let (mut at_server, mut at_user) = data(&server, &user).await;
    at_user.write_all(b"half").await.unwrap();
    at_user.flush().await.unwrap();
    drop(at_user);
    let mut all = Vec::new();
    let cut = at_server.read_to_end(&mut all).await.unwrap_err();
    assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(all, b"half");
}

#[tokio::test]
async fn control_goes_on_in_clear() {
    for versions in [TlsVersions::Only12, TlsVersions::Only13] {
        let pair = Pair::new(versions);
        let (server, user) = pair.sessions();
        let (a, b) = control(&server, &user).await;
        let at_user = async {
            let mut b = b.into_clear().await.unwrap();
            // Close behind its close_notify
            b.write_all(b"NOOP\r\n").await.unwrap();
            b
        };
        let (a, _b) = tokio::join!(a.into_clear(), at_user);
        let mut a = a.unwrap();
        assert!(a.handshake().is_none());
        let mut line = [0; 6];
        a.read_exact(&mut line).await.unwrap();
        assert_eq!(&line, b"NOOP\r\n", "{versions:?}");
    }
}

#[tokio::test]
async fn nothing_sent_in_clear_is_taken_for_protected() {
    let pair = Pair::new(TlsVersions::All);
    let (at_server, at_user) = pair.sessions();
    for injected in [&b"USER smuggled\r\n"[..], b"U", b"\xff", b"\xff\xff"] {
        let (near, mut far) = wire();
        let mut server = ServerControl::new(near, 512, Trace::off());
        far.write_all(&[b"AUTH TLS\r\n", injected].concat())
            .await
            .unwrap();
        server.next_line().await.unwrap().unwrap();
        server.queue(&Reply::new(234, "go on"));
        let refused = server.secure(&at_server, PATIENCE).await.unwrap_err();
        assert!(matches!(refused, TlsError::Injected), "{injected:?}");
    }
    for injected in [&b"230 smuggled\r\n"[..], b"2"] {
        let (near, mut far) = wire();
        let mut user = UserControl::new(near, LIMITS, Trace::off());
        far.write_all(&[b"234 go on\r\n", injected].concat())
            .await
            .unwrap();
        user.next_reply().await.unwrap();
        let refused = user.secure(&at_user, PATIENCE).await.unwrap_err();
        assert!(matches!(refused, TlsError::Injected), "{injected:?}");
    }
}

#[tokio::test]
async fn a_control_connection_goes_into_tls_and_out_of_it() {
    let pair = Pair::new(TlsVersions::All);
    let (at_server, at_user) = pair.sessions();
    let (near, far) = wire();
    let mut server = ServerControl::new(near, 512, Trace::off());
    let mut user = UserControl::new(far, LIMITS, Trace::off());
    let (protected, shaken) = tokio::join!(
        server.secure(&at_server, PATIENCE),
        user.secure(&at_user, PATIENCE)
    );
    assert!(!protected.unwrap().resumed);
    assert!(!shaken.unwrap().resumed);
    for clear in [false, true] {
        if clear {
            let (server, user) = tokio::join!(server.unsecure(PATIENCE), user.unsecure(PATIENCE));
            server.unwrap();
            user.unwrap();
        }
        assert_eq!(server.is_secured(), !clear);
        user.send(&Command::Noop).await.unwrap();
        let line = server.next_line().await.unwrap();
        assert_eq!(line, Some(Line::Command(b"NOOP".to_vec())));
        server.send(&Reply::new(200, "here")).await.unwrap();
        assert_eq!(user.next_reply().await.unwrap().code(), 200);
    }
}

/// Who goes out of TLS in which way, and what is made of it. `say`: in TLS before the end; `bye`: close_notify; `then`: in
/// clear behind it, unasked.
#[tokio::test(start_paused = true)]
async fn the_end_of_tls_is_no_place_to_slip_something_in() {
    struct Case {
        say: &'static [u8],
        bye: bool,
        then: &'static [u8],
        /// Each of them goes on in clear?
        server: bool,
        user: bool,
    }
    let case = |say, bye, then, server, user| Case {
        say,
        bye,
        then,
        server,
        user,
    };
    for it in [
        case(b"", true, b"", true, true),
        // Said by nobody knows whom, before it was asked for or after TLS was over.
        case(b"NOOP\r\n", true, b"", false, false),
        case(b"N", true, b"NOOP\r\n", false, false),
        // A user may speak next (curl does so without a close_notify), a server may not.
        case(b"", true, b"NOOP\r\n", true, false),
        case(b"", false, b"NOOP\r\n", true, false),
        // Nothing at all: a server that has ended TLS without a word, a user that has not.
        case(b"", false, b"", false, true),
        // No TLS and no command either
        case(b"", false, b"\x15\x03\x03\x00\x02\x01\x00", false, false),
    ] {
        for versions in [TlsVersions::Only12, TlsVersions::Only13] {
            for at_server in [true, false] {
                let told = format!(
                    "{versions:?} {at_server} {:?} {} {:?}",
                    it.say, it.bye, it.then
                );
                let (server, user) = Pair::new(versions).sessions();
                let (near, far) = wire();
                let odd =
                    async |mut conn: Conn, inject: mpsc::UnboundedSender<Option<&'static [u8]>>| {
                        conn.write_all(it.say).await.unwrap();
                        conn.flush().await.unwrap();
                        let parted = async {
                            if it.bye {
                                return conn.into_clear().await.ok();
                            }
                            Some(conn)
                        };
                        inject.send(None).unwrap();
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        let inject = async {
                            tokio::time::sleep(Duration::from_millis(1)).await;
                            inject.send(Some(it.then)).unwrap();
                        };
                        tokio::join!(parted, inject)
                    };
                let unsecured = if at_server {
                    let mut ours = ServerControl::new(near, 512, Trace::off());
                    let (far, inject) = injecting(far);
                    let (a, b) = tokio::join!(
                        ours.secure(&server, PATIENCE),
                        user.secure_control(far, PATIENCE)
                    );
                    a.unwrap();
                    let (unsecured, _rest) =
                        tokio::join!(ours.unsecure(PATIENCE), odd(b.unwrap(), inject));
                    if unsecured.is_ok() && !it.then.is_empty() {
                        let line = ours.next_line().await.unwrap();
                        assert_eq!(line, Some(Line::Command(b"NOOP".to_vec())), "{told}");
                    }
                    unsecured
                } else {
                    let mut ours = UserControl::new(far, LIMITS, Trace::off());
                    let (near, inject) = injecting(near);
                    let (a, b) = tokio::join!(
                        ours.secure(&user, PATIENCE),
                        server.secure_control(near, PATIENCE)
                    );
                    a.unwrap();
                    let (unsecured, _rest) =
                        tokio::join!(ours.unsecure(PATIENCE), odd(b.unwrap(), inject));
                    unsecured
                };
                let expected = if at_server { it.server } else { it.user };
                assert_eq!(unsecured.is_ok(), expected, "{told} {unsecured:?}");
            }
        }
    }
}

/// lftp 4.9.2 ends TLS by itself, and takes a server's close_notify that comes together with the 200 for the end of the
/// connection; curl 7.88 waits for the server's.
#[tokio::test(start_paused = true)]
async fn a_user_may_end_tls_first_and_need_not() {
    for versions in [TlsVersions::Only12, TlsVersions::Only13] {
        for first in [true, false] {
            let (server, user) = Pair::new(versions).sessions();
            let (near, far) = wire();
            let mut ours = ServerControl::new(near, 512, Trace::off());
            let (_, user) = tokio::join!(
                ours.secure(&server, PATIENCE),
                user.secure_control(far, PATIENCE)
            );
            let mut user = user.unwrap();
            let began = Instant::now();
            let at_user = async {
                if !first {
                    assert_eq!(user.read(&mut [0]).await.unwrap(), 0);
                }
                let waited = began.elapsed();
                user.into_clear().await.unwrap();
                waited
            };
            let (unsecured, waited) = tokio::join!(ours.unsecure(PATIENCE), at_user);
            unsecured.unwrap();
            let expected = Duration::from_secs(u64::from(!first));
            assert_eq!(waited.as_secs(), expected.as_secs(), "{versions:?}");
            assert_eq!(
                began.elapsed().as_secs(),
                expected.as_secs(),
                "{versions:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_browser_is_turned_away() {
    let pair = Pair::new(TlsVersions::All);
    for (alpn, welcome) in [("h2", false), ("http/1.1", false), ("ftp", true)] {
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let (a, b) = wire();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("ftp.example").unwrap();
        let server = pair.server.session().unwrap();
        let (accepted, _) = tokio::join!(
            server.secure_control(a, PATIENCE),
            connector.connect(name, b)
        );
        assert_eq!(accepted.is_ok(), welcome, "{alpn}");
    }
}
