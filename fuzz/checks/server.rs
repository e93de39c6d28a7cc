//! A whole dialogue with the server: it never panics, never sends a reply its table forbids (asserted
//! inside), ends by itself, and answers a bounded number of replies to so many lines.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use wharf_accounts::{Authenticator, Credentials, Denied, Granted, UserLimits};
use wharf_net::{Conn, ListenAt, Listener, Net, Source};
use wharf_proto::{Pathname, ReplyDecoder, ReplyLimits};
use wharf_server::{Config, serve_connection};
use wharf_storage::Memory;

const USER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 40_000);
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)), 21);
const PATIENCE: Duration = Duration::from_millis(500);

pub(crate) fn check(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let replies = runtime.block_on(dialogue(data));
    let mut decoder = ReplyDecoder::new(ReplyLimits {
        line: 64 << 10,
        lines: 4096,
        bytes: 4 << 20,
    });
    let mut finals = 0;
    for part in replies.chunks(1024) {
        decoder.push(part);
        loop {
            match decoder.next() {
                Ok(Some(reply)) => finals += usize::from(reply.code() >= 200),
                Ok(None) => break,
                Err(e) => panic!("the server sent no reply but {e:?}"),
            }
        }
    }
    let lines = data.split(|b| *b == b'\n').count();
    // ABOR may have two; the greeting, a farewell and an over-long last line one each.
    assert!(finals <= 2 * lines + 3, "{finals} replies to {lines} lines");
}

async fn dialogue(data: &[u8]) -> Vec<u8> {
    let (user, server) = tokio::io::duplex(1 << 16);
    let conn = Conn::foreign(Box::new(server), SERVER, USER);
    let config = Config {
        patience: PATIENCE,
        idle: Duration::from_secs(2),
        stall: Duration::from_secs(1),
        no_login: Duration::from_secs(2),
        ..Config::default()
    };
    let session = tokio::spawn(serve_connection(
        conn,
        config,
        Arc::new(Everybody),
        Arc::new(Loop),
    ));
    let (mut replies, mut commands) = tokio::io::split(user);
    let data = data.to_vec();
    let speaker = tokio::spawn(async move {
        let _ = commands.write_all(&data).await;
        let _ = commands.shutdown().await;
    });
    let mut said = Vec::new();
    let _ = replies.read_to_end(&mut said).await;
    speaker.await.expect("the speaker lives");
    let _ = session.await.expect("the session does not panic");
    said
}

struct Everybody;

#[async_trait]
impl Authenticator for Everybody {
    async fn login(&self, who: &Credentials) -> Result<Granted, Denied> {
        let store = Memory::new();
        for (name, content) in [("/file", "content\n"), ("/odd name", "x")] {
            let path = Pathname::new(name).expect("a pathname");
            store.add_file(&path, content).expect("room");
        }
        Ok(Granted {
            user: who.user.display().to_string(),
            storage: Arc::new(store),
            home: Pathname::root(),
            welcome: None,
            limits: UserLimits::default(),
        })
    }
}

/// Every data connection comes about at once, brings a little, and takes what it gets.
struct Loop;

#[async_trait]
impl Net for Loop {
    async fn connect(&self, _from: Source, to: SocketAddr) -> io::Result<Conn> {
        Ok(data_connection(SERVER, to))
    }

    async fn listen(&self, _at: ListenAt) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(Once(false)))
    }

    async fn resolve(&self, _host: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

struct Once(bool);

#[async_trait]
impl Listener for Once {
    async fn accept(&mut self) -> io::Result<Conn> {
        if std::mem::replace(&mut self.0, true) {
            std::future::pending::<()>().await;
        }
        Ok(data_connection(self.local_addr(), USER))
    }

    fn local_addr(&self) -> SocketAddr {
        SocketAddr::new(SERVER.ip(), 50_000)
    }
}

fn data_connection(local: SocketAddr, peer: SocketAddr) -> Conn {
    let (ours, theirs) = tokio::io::duplex(4096);
    tokio::spawn(carry(theirs));
    Conn::foreign(Box::new(ours), local, peer)
}

async fn carry(mut end: DuplexStream) {
    let _ = end.write_all(b"line\r\n\rbinary\xff").await;
    let _ = end.shutdown().await;
    let mut sink = Vec::new();
    let _ = end.read_to_end(&mut sink).await;
}
