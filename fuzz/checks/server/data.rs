//! The user's side of data connections: when one is opened, what it brings, and how it ends.
//!
//! One byte of the header a connection: bits 0 to 2 what is sent, 3 to 5 how it ends, 6 and 7 when it is opened.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;
use wharf_net::tls::UserSession;
use wharf_net::{Conn, ListenAt, Source};
use wharf_proto::{Command, EprtArgument, LprtArgument, Reply, host_port};
use wharf_sim::World;

use super::{HANDSHAKE, HEADER};

/// More than one buffer of the server holds.
static MUCH: [u8; 70_000] = [0xff; 70_000];

const REST: Duration = Duration::from_millis(150);

#[derive(Clone)]
pub(crate) struct Data {
    world: Arc<World>,
    header: [u8; HEADER],
    server: IpAddr,
    /// How many connections there have been.
    count: Arc<Mutex<usize>>,
    /// Inside TLS: what data connections resume, once the user has sent PROT P.
    session: Option<UserSession>,
    protected: Arc<AtomicBool>,
}

impl Data {
    pub(crate) fn new(world: World, header: [u8; HEADER], session: Option<UserSession>) -> Self {
        Self {
            world: Arc::new(world),
            header,
            server: IpAddr::from([192, 0, 2, 9]),
            count: Arc::default(),
            session,
            protected: Arc::default(),
        }
    }

    fn next(&self) -> u8 {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let byte = self.header[1 + *count % 7];
        *count += 1;
        byte
    }

    fn session(&self) -> Option<UserSession> {
        let protected = self.protected.load(Ordering::Relaxed);
        self.session.clone().filter(|_| protected)
    }

    /// A line is about to be sent: what it names is listened on.
    pub(crate) async fn before(&self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let at = match Command::parse(line) {
            Ok(Command::Port(at)) => SocketAddr::V4(at),
            Ok(
                Command::Eprt(EprtArgument::Address(at)) | Command::Lprt(LprtArgument::Address(at)),
            ) => at,
            Ok(Command::Prot(level)) => {
                let protected = level.as_bytes().eq_ignore_ascii_case(b"P");
                self.protected.store(protected, Ordering::Relaxed);
                return;
            }
            _ => return,
        };
        let Ok(mut door) = self.world.host("user").listen(ListenAt::one(at)).await else {
            return;
        };
        let this = self.clone();
        tokio::spawn(async move {
            // A door stays open for as long as a user would wait.
            let opened = tokio::time::timeout(REST * 100, async {
                while let Ok(conn) = door.accept().await {
                    tokio::spawn(carry(conn, this.next(), this.session()));
                }
            });
            let _ = opened.await;
        });
    }

    /// A reply has come: where it names a port, that is connected to.
    pub(crate) fn after(&self, reply: &Reply) {
        let text = reply.text().as_bytes();
        let to = match reply.code() {
            227 => host_port::read_227(text).map(SocketAddr::V4),
            228 => host_port::read_228(text),
            229 => host_port::read_229(text).map(|port| SocketAddr::new(self.server, port)),
            _ => None,
        };
        let Some(to) = to else {
            return;
        };
        let this = self.clone();
        let how = self.next();
        tokio::spawn(async move {
            if this.header[0] & 2 != 0 {
                this.open("stranger", Source::Any, to, how).await;
            }
            let from = match this.header[0] & 4 {
                0 => Source::Any,
                _ => Source::Address(IpAddr::from([192, 0, 2, 2])),
            };
            match how >> 6 {
                0 => this.open("user", from, to, how).await,
                1 => {
                    this.open("user", from, to, how).await;
                    this.open("user", from, to, this.next()).await;
                }
                2 => {
                    sleep(REST).await;
                    this.open("user", from, to, how).await;
                }
                _ => {} // never
            }
        });
    }

    async fn open(&self, host: &str, from: Source, to: SocketAddr, how: u8) {
        if let Ok(conn) = self.world.host(host).connect(from, to).await {
            tokio::spawn(carry(conn, how, self.session()));
        }
    }
}

async fn carry(mut conn: Conn, how: u8, session: Option<UserSession>) {
    // What looks like the beginning of TLS goes out bare.
    if let Some(session) = session.filter(|_| how & 7 != 7) {
        match session.secure_data(conn, HANDSHAKE).await {
            Ok(secured) => conn = secured,
            Err(_) => return,
        }
    }
    let sent: &[&[u8]] = match how & 7 {
        1 => &[b"line\r\n\rbinary\xff"],
        2 => &[&MUCH, &MUCH],
        3 => &[b"a\r", b"\nb", b"\r", b"c\n", b"d"],
        4 => &[b"\r"],
        5 => &[&[0xff; 100], &MUCH, b"\0\r"],
        6 => &[b"USER u\r\nPASS p\r\n"],
        7 => &[b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"],
        _ => &[],
    };
    for part in sent {
        if conn.write_all(part).await.is_err() {
            return;
        }
        if how & 7 == 3 {
            sleep(REST).await;
        }
    }
    let mut buffer = vec![0; 4096];
    match how >> 3 & 7 {
        0 => {
            let _ = conn.shutdown().await;
            while let Ok(1..) = conn.read(&mut buffer).await {}
        }
        1 => while let Ok(1..) = conn.read(&mut buffer).await {},
        2 => conn.abort(),
        3 => sleep(REST * 30).await,
        4 => {} // closed at once, with whatever is unread
        5 => {
            while let Ok(1..) = conn.read(&mut buffer[..1000]).await {
                sleep(REST).await;
            }
        }
        6 => {
            let _ = conn.shutdown().await;
            let _ = conn.read(&mut buffer[..10]).await;
            conn.abort();
        }
        _ => std::future::pending().await,
    }
}
