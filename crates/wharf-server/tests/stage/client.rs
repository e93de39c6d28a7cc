//! A client that does what a test tells it and nothing else

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};
use wharf_net::tls::UserSession;
use wharf_net::{Conn, ListenAt, Listener, Net, Source};
use wharf_proto::host_port::{read_227, read_228, read_229};

use super::{SERVER, SERVER_V6, Stage};

/// Longer than any timer of the server: a reply that never comes fails the test and hangs nothing
const FOREVER: Duration = Duration::from_secs(100_000);

/// One control connection and its data connections
pub struct Client {
    net: Arc<dyn Net>,
    stranger: Arc<dyn Net>,
    conn: Conn,
    /// Of the control connection, once it is in TLS
    pub tls: Option<UserSession>,
    read: Vec<u8>,
    pub data: Option<Conn>,
    /// Another connection to the place of the data connection
    pub second: Option<Conn>,
    pub listener: Option<Box<dyn Listener>>,
    /// What the last 227, 228 or 229 told
    pub told: Option<SocketAddr>,
    server: IpAddr,
    pub last_sent: Instant,
}

impl Client {
    pub async fn connect(stage: &Stage) -> Self {
        Self::connect_to(stage, SERVER, 21).await
    }

    pub async fn connect_v6(stage: &Stage) -> Self {
        Self::connect_to(stage, SERVER_V6, 21).await
    }

    /// To the door for implicit TLS
    pub async fn connect_implicit(stage: &Stage) -> Self {
        Self::connect_to(stage, SERVER, 990).await
    }

    async fn connect_to(stage: &Stage, server: &str, port: u16) -> Self {
        let net = stage.net("client");
        let server: IpAddr = server.parse().unwrap();
        let conn = net
            .connect(Source::Any, SocketAddr::new(server, port))
            .await
            .unwrap();
        Self {
            net,
            stranger: stage.net("stranger"),
            conn,
            tls: None,
            read: Vec::new(),
            data: None,
            second: None,
            listener: None,
            told: None,
            server,
            last_sent: Instant::now(),
        }
    }

    /// Greeting, USER, PASS
    pub async fn login(stage: &Stage, user: &str) -> Self {
        let mut client = Self::connect(stage).await;
        client.expect(220).await;
        client.say(&format!("USER {user}"), 331).await;
        client.say("PASS secret", 230).await;
        client
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.last_sent = Instant::now();
        self.conn.write_all(bytes).await.unwrap();
        self.conn.flush().await.unwrap();
    }

    /// One line of a reply; `None` when the server has closed the connection
    pub async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=at).collect();
                let line = line.strip_suffix(b"\r\n").expect("CRLF ends every line");
                let line = String::from_utf8_lossy(line).into_owned();
                self.learn(&line);
                return Some(line);
            }
            let mut buffer = [0; 4096];
            let read = timeout(FOREVER, self.conn.read(&mut buffer)).await;
            match read.expect("the server says something") {
                Ok(0) | Err(_) => return None,
                Ok(n) => self.read.extend_from_slice(&buffer[..n]),
            }
        }
    }

    /// Whether the server has nothing to say at the moment
    pub async fn is_quiet(&mut self) -> bool {
        let mut buffer = [0; 4096];
        if !self.read.is_empty() {
            return false;
        }
        match timeout(Duration::from_millis(50), self.conn.read(&mut buffer)).await {
            Ok(Ok(n)) => {
                self.read.extend_from_slice(&buffer[..n]);
                n == 0
            }
            Ok(Err(_)) => false,
            Err(_) => true,
        }
    }

    /// A whole reply: its code and its lines; code 0 when the server has closed the connection
    pub async fn reply(&mut self) -> (u16, Vec<String>) {
        let Some(first) = self.line().await else {
            return (0, Vec::new());
        };
        let code: u16 = first[..3].parse().expect(&first);
        let mut lines = vec![first];
        if lines[0].as_bytes()[3] == b'-' {
            let last = format!("{code} ");
            loop {
                let line = self.line().await.expect("the rest of a reply");
                let done = line.starts_with(&last);
                lines.push(line);
                if done {
                    break;
                }
            }
        }
        (code, lines)
    }

    pub async fn expect(&mut self, code: u16) -> String {
        let (got, lines) = self.reply().await;
        assert_eq!(got, code, "{lines:?}");
        lines.join("\n")
    }

    pub async fn say(&mut self, line: &str, code: u16) -> String {
        self.send(format!("{line}\r\n").as_bytes()).await;
        let (got, lines) = self.reply().await;
        assert_eq!(got, code, "{line}: {lines:?}");
        lines.join("\n")
    }

    fn learn(&mut self, line: &str) {
        let text = line.as_bytes().get(4..).unwrap_or_default();
        match line.get(..3) {
            Some("227") => self.told = read_227(text).map(SocketAddr::V4),
            Some("228") => self.told = read_228(text),
            Some("229") => {
                self.told = read_229(text).map(|port| SocketAddr::new(self.server, port));
            }
            _ => {}
        }
    }

    /// Opens the data connection that the last PASV or EPSV offered
    pub async fn open(&mut self) {
        let to = self.told.expect("a 227 or 229");
        self.data = Some(self.net.connect(Source::Any, to).await.unwrap());
    }

    /// A second connection to where the last PASV or EPSV pointed
    pub async fn open_second(&mut self) {
        let to = self.told.expect("a 227 or 229");
        self.second = Some(self.net.connect(Source::Any, to).await.unwrap());
    }

    /// Waits for a data connection; the argument for PORT or EPRT is made from the address
    pub async fn listen(&mut self) -> SocketAddr {
        let at = ListenAt::any(self.conn.local_addr().ip());
        let listener = self.net.listen(at).await.unwrap();
        let at = listener.local_addr();
        self.listener = Some(listener);
        at
    }

    pub async fn accept(&mut self) -> SocketAddr {
        let listener = self.listener.as_mut().expect("a listener");
        let conn = timeout(FOREVER, listener.accept()).await.unwrap().unwrap();
        let from = conn.peer_addr();
        self.data = Some(conn);
        from
    }

    /// Somebody else is quicker at the passive port
    pub async fn stranger(&mut self) -> Conn {
        let to = self.told.expect("a 227 or 229");
        self.stranger.connect(Source::Any, to).await.unwrap()
    }

    pub fn data(&mut self) -> &mut Conn {
        self.data.as_mut().expect("a data connection")
    }

    /// Everything up to a clean end of the data connection
    pub async fn receive(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        timeout(FOREVER, self.data().read_to_end(&mut all))
            .await
            .unwrap()
            .expect("a clean end");
        self.data = None;
        all
    }

    /// A passive transfer command with a whole download
    pub async fn download(&mut self, command: &str) -> Vec<u8> {
        self.say("EPSV", 229).await;
        self.open().await;
        self.say(command, 150).await;
        let all = self.receive().await;
        self.expect(226).await;
        all
    }

    /// A download over the data connection that is open
    pub async fn download_here(&mut self, command: &str, expected: &[u8]) {
        self.say(command, 150).await;
        assert_eq!(self.receive().await, expected);
        self.expect(226).await;
    }

    /// A passive transfer command with a whole upload
    pub async fn upload(&mut self, command: &str, bytes: &[u8]) -> String {
        self.say("EPSV", 229).await;
        self.open().await;
        self.say(command, 150).await;
        self.data().write_all(bytes).await.unwrap();
        self.data().shutdown().await.unwrap();
        self.data = None;
        self.expect(226).await
    }

    pub fn control(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// Closes the control connection without a word
    pub fn vanish(self) {
        drop(self.data);
        drop(self.conn);
    }
}
