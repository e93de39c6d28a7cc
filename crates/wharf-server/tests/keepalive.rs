//! How often a control connection is probed: a NAT that forgets it while nobody speaks takes the final reply away,
//! or the next command

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::sleep;
use wharf_accounts::Anonymous;
use wharf_net::{Conn, ListenAt, Listener, Net, Source};
use wharf_proto::Pathname;
use wharf_server::{Config, serve_connection};
use wharf_storage::Memory;

const SERVER: &str = "203.0.113.9:21";
const CLIENT: &str = "198.51.100.7:40000";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Every listener is called at once, over a pipe that holds so much unread; the other end goes to the test
struct Pipes {
    holds: usize,
    ends: mpsc::UnboundedSender<DuplexStream>,
}

struct Pipe(Option<DuplexStream>);

#[async_trait]
impl Listener for Pipe {
    async fn accept(&mut self) -> io::Result<Conn> {
        match self.0.take() {
            Some(stream) => Ok(Conn::foreign(Box::new(stream), at(SERVER), at(CLIENT))),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> SocketAddr {
        at("203.0.113.9:50000")
    }
}

#[async_trait]
impl Net for Pipes {
    async fn connect(&self, _: Source, _: SocketAddr) -> io::Result<Conn> {
        Err(io::ErrorKind::NetworkUnreachable.into())
    }

    async fn listen(&self, _: ListenAt) -> io::Result<Box<dyn Listener>> {
        let (ours, theirs) = tokio::io::duplex(self.holds);
        self.ends.send(ours).unwrap();
        Ok(Box::new(Pipe(Some(theirs))))
    }

    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

struct Dialogue {
    control: BufReader<DuplexStream>,
    data: mpsc::UnboundedReceiver<DuplexStream>,
    probes: Arc<Mutex<Option<Duration>>>,
}

impl Dialogue {
    async fn new(holds: usize, keepalive: Duration) -> Self {
        let (ours, theirs) = tokio::io::duplex(4096);
        let probes = Arc::new(Mutex::new(None));
        let told = Arc::clone(&probes);
        let conn = Conn::foreign(Box::new(theirs), at(SERVER), at(CLIENT))
            .on_keepalive(move |every| *told.lock().unwrap() = every);
        let store = Memory::new();
        let large = "/large".parse::<Pathname>().unwrap();
        store.add_file(&large, vec![b'x'; 200_000]).unwrap();
        let (ends, data) = mpsc::unbounded_channel();
        let config = Config {
            keepalive,
            ..Config::default()
        };
        let accounts = Anonymous::new(Arc::new(store), Pathname::root());
        let net = Pipes { holds, ends };
        tokio::spawn(serve_connection(
            conn,
            config,
            Arc::new(accounts),
            Arc::new(net),
        ));
        let mut dialogue = Self {
            control: BufReader::new(ours),
            data,
            probes,
        };
        dialogue.reply("220").await;
        dialogue.say("USER anonymous", "331").await;
        dialogue.say("PASS me@", "230").await;
        dialogue.say("TYPE I", "200").await;
        dialogue
    }

    async fn reply(&mut self, code: &str) {
        let mut line = String::new();
        self.control.read_line(&mut line).await.unwrap();
        assert!(line.starts_with(code), "{line}");
    }

    async fn say(&mut self, line: &str, code: &str) {
        let line = format!("{line}\r\n");
        self.control.write_all(line.as_bytes()).await.unwrap();
        self.reply(code).await;
    }

    /// Announces a download and leaves it to itself
    async fn download(&mut self) -> DuplexStream {
        self.say("EPSV", "229").await;
        let data = self.data.recv().await.unwrap();
        self.say("RETR large", "150").await;
        data
    }

    /// Seconds between probes, a moment from now
    async fn probes(&self) -> Option<u64> {
        sleep(Duration::from_millis(10)).await;
        self.probes.lock().unwrap().map(|every| every.as_secs())
    }
}

const USUAL: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn a_long_transfer_is_probed_often_and_a_short_one_is_not() {
    let mut dialogue = Dialogue::new(1000, USUAL).await;
    assert_eq!(dialogue.probes().await, Some(30));
    let mut data = dialogue.download().await;
    sleep(Duration::from_millis(900)).await;
    assert_eq!(dialogue.probes().await, Some(30));
    sleep(Duration::from_millis(200)).await;
    assert_eq!(dialogue.probes().await, Some(2));
    let mut all = Vec::new();
    data.read_to_end(&mut all).await.unwrap();
    assert_eq!(all.len(), 200_000);
    dialogue.reply("226").await;
    assert_eq!(dialogue.probes().await, Some(30));
    dialogue.say("NOOP", "200").await;
    sleep(Duration::from_secs(20)).await;
    assert_eq!(dialogue.probes().await, Some(30), "nothing goes on");
}

#[tokio::test(start_paused = true)]
async fn what_the_client_has_not_read_yet_keeps_it_silent_as_well() {
    // All of it lies in the pipe: for the server the transfer is over at once.
    let mut dialogue = Dialogue::new(1_000_000, USUAL).await;
    let _data = dialogue.download().await;
    dialogue.reply("226").await;
    assert_eq!(dialogue.probes().await, Some(30));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(dialogue.probes().await, Some(2));
    sleep(Duration::from_secs(50)).await;
    assert_eq!(dialogue.probes().await, Some(2));
    sleep(Duration::from_secs(10)).await;
    assert_eq!(dialogue.probes().await, Some(30), "not for ever");

    let _data = dialogue.download().await;
    dialogue.reply("226").await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(dialogue.probes().await, Some(2));
    dialogue.say("NOOP", "200").await;
    assert_eq!(dialogue.probes().await, Some(30), "it speaks again");
}

#[tokio::test(start_paused = true)]
async fn probes_are_a_setting() {
    for (setting, seldom, often) in [
        (0, None, None),
        (1, Some(1), Some(1)),
        (300, Some(300), Some(2)),
    ] {
        let mut dialogue = Dialogue::new(1000, Duration::from_secs(setting)).await;
        assert_eq!(dialogue.probes().await, seldom);
        let _data = dialogue.download().await;
        sleep(Duration::from_secs(2)).await;
        assert_eq!(dialogue.probes().await, often);
    }
}
