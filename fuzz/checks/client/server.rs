//! A server that follows a program: what is right where the program says nothing, and anything else.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use wharf_net::tls::ServerSession;
use wharf_net::{Conn, ListenAt};
use wharf_proto::{Command, EprtArgument, Line, LineDecoder, LprtArgument, host_port};
use wharf_sim::World;

use super::data::{self, Way};
use super::files::{self, Memory};
use super::program::Program;
use super::tls;

pub(crate) const SERVER: [u8; 4] = [192, 0, 2, 1];

/// On virtual time, so only a peer that has stopped is ever waited for.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(20);

/// Replies with a meaning of their own to a client.
const CODES: &[u16] = &[
    226, 120, 125, 150, 200, 202, 211, 213, 220, 221, 225, 227, 228, 229, 230, 234, 250, 257, 331,
    332, 334, 350, 421, 425, 426, 431, 450, 451, 452, 500, 501, 502, 503, 504, 522, 530, 532, 533,
    534, 550, 551, 552, 553, 999, 100, 600,
];

const FEATURES: &[&str] = &[
    "MLST type*;size*;modify*;",
    "SIZE",
    "MDTM",
    "REST STREAM",
    "UTF8",
    "EPSV",
    "MFMT",
    "TVFS",
];

/// What the generated server does about TLS.
#[derive(Clone, Copy)]
pub(crate) struct Protection {
    pub(crate) offered: bool,
    /// From the first byte.
    implicit: bool,
    /// Its data connections have another session than the control connection: nothing can be resumed.
    forgets: bool,
    /// Its certificate is another one.
    unknown: bool,
}

impl Protection {
    pub(crate) fn of(byte: u8) -> Self {
        Self {
            offered: byte & 4 == 0,
            implicit: byte & 3 == 3,
            forgets: byte & 16 != 0,
            unknown: byte & 32 != 0,
        }
    }
}

/// What all its sessions have in common.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) world: World,
    pub(crate) program: Program,
    pub(crate) features: u8,
    pub(crate) memory: Memory,
    pub(crate) tls: Protection,
}

/// Accepts control connections until the runtime ends.
pub(crate) async fn serve(host: Host) {
    let port = if host.tls.implicit { 990 } else { 21 };
    let at = SocketAddr::new(IpAddr::from(SERVER), port);
    let mut door = host
        .world
        .host("server")
        .listen(ListenAt::one(at))
        .await
        .expect("a port");
    while let Ok(conn) = door.accept().await {
        tokio::spawn(begin(host.clone(), conn));
    }
}

async fn begin(host: Host, mut conn: Conn) {
    let session = tls::server(host.tls.unknown)
        .session()
        .expect("a session of TLS");
    if host.tls.implicit && host.tls.offered {
        match session.secure_control(conn, HANDSHAKE).await {
            Ok(secured) => conn = secured,
            Err(_) => return,
        }
    }
    let secured = conn.is_secured();
    let (reads, writes) = tokio::io::split(conn);
    let session = Session {
        host,
        writes,
        directory: String::new(),
        offset: 0,
        way: Way::None,
        running: None,
        tls: session,
        secured,
        protected: false,
    };
    session.run(reads).await;
}

struct Session {
    host: Host,
    writes: WriteHalf<Conn>,
    /// For the control connection and, as a rule, for data connections.
    tls: ServerSession,
    secured: bool,
    /// PROT P has come.
    protected: bool,
    /// Without a slash in front or behind; the root is empty.
    directory: String,
    offset: usize,
    way: Way,
    running: Option<JoinHandle<Option<Vec<u8>>>>,
}

/// The control connection is over.
struct Over;

impl Session {
    async fn run(mut self, mut reads: ReadHalf<Conn>) {
        let mut decoder = LineDecoder::new(8192);
        let mut buffer = [0; 2048];
        if self.answer(&[], b"220 ready\r\n").await.is_err() {
            return;
        }
        loop {
            while let Some(line) = decoder.next() {
                let Line::Command(line) = line else { continue };
                if self.act(&line).await.is_err() {
                    return;
                }
                let asked = matches!(Command::parse(&line), Ok(Command::Auth(_)));
                if asked && self.host.tls.offered && !self.secured {
                    let conn = reads.unsplit(self.writes);
                    let Ok(conn) = self.tls.secure_control(conn, HANDSHAKE).await else {
                        return;
                    };
                    (reads, self.writes) = tokio::io::split(conn);
                    self.secured = true;
                    decoder = LineDecoder::new(8192);
                }
            }
            let ended = async {
                match &mut self.running {
                    Some(running) => running.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                ended = ended => {
                    self.running = None;
                    match ended {
                        Ok(Some(reply)) => if self.answer(b"data", &reply).await.is_err() {
                            return;
                        },
                        Ok(None) => {}
                        Err(_) => return,
                    }
                }
                read = reads.read(&mut buffer[..decoder.room().min(2048)]) => match read {
                    Ok(n @ 1..) => decoder.push(&buffer[..n]),
                    _ => return,
                },
            }
        }
    }

    async fn act(&mut self, line: &[u8]) -> Result<(), Over> {
        let Ok(command) = Command::parse(line) else {
            return self.answer(line, b"500 what?\r\n").await;
        };
        let path = |this: &Self, path: &wharf_proto::Pathname| this.resolve(path.as_bytes());
        let reply = match &command {
            Command::User(_) => "331 password?".into(),
            Command::Pass(_) | Command::Acct(_) => {
                self.host.memory.look().bared |= !self.secured;
                "230 welcome".into()
            }
            Command::Feat => self.feat(),
            Command::Pwd => format!("257 \"/{}\" is here", self.directory.replace('"', "\"\"")),
            Command::Cwd(to) => {
                let to = path(self, to);
                let known = to.is_empty() || files::FILES.iter().any(|it| it.0.starts_with(&format!("{to}/")));
                if known {
                    self.directory = to;
                    "250 there".into()
                } else {
                    "550 no such directory".into()
                }
            }
            Command::Size(of) => self.sized(&path(self, of), |_, size| format!("213 {size}")),
            Command::Mdtm(of) => match files::length(&path(self, of)) {
                Some(_) => "213 20200102030405".into(),
                None => "550 no such file".into(),
            },
            Command::Mlst(Some(of)) => self.sized(&path(self, of), |name, size| {
                format!("250-listing\r\n type=file;size={size};modify=20200102030405; /{name}\r\n250 end")
            }),
            Command::Epsv(_) | Command::Pasv => self.passive(&command).await,
            Command::Port(at) => self.active(SocketAddr::V4(*at)),
            Command::Eprt(EprtArgument::Address(at)) | Command::Lprt(LprtArgument::Address(at)) => self.active(*at),
            Command::Rest(at) => {
                self.offset = usize::try_from(*at).unwrap_or_default();
                "350 from there".into()
            }
            Command::Retr(_) | Command::Stor(_) | Command::Appe(_) | Command::Stou(_) | Command::List(_)
            | Command::Nlst(_) | Command::Mlsd(_) => return self.transfer(&command).await,
            Command::Abor => {
                if let Some(running) = self.running.take() {
                    running.abort();
                    self.answer(line, b"426 aborted\r\n").await?;
                }
                "226 abort done".into()
            }
            Command::Quit => "221 bye".into(),
            Command::Mkd(_) => "257 \"/new\" made".into(),
            Command::Rnfr(_) => "350 to what?".into(),
            Command::Syst => "215 UNIX Type: L8".into(),
            Command::Stat(_) => "211-status\r\n all is well\r\n211 end".into(),
            Command::Help(_) => "214 no help".into(),
            Command::Auth(_) if self.host.tls.offered => "234 go on".into(),
            Command::Auth(_) => "502 no TLS".into(),
            Command::Prot(level) => {
                self.protected = level.as_bytes() == b"P";
                "200 as you like".into()
            }
            _ => "200 fine".into(),
        };
        let quit = matches!(command, Command::Quit);
        self.answer(line, format!("{reply}\r\n").as_bytes()).await?;
        if quit { Err(Over) } else { Ok(()) }
    }

    fn data_session(&self) -> ServerSession {
        if self.host.tls.forgets {
            let other = tls::server(self.host.tls.unknown).session();
            other.expect("a session of TLS")
        } else {
            self.tls.clone()
        }
    }

    fn resolve(&self, path: &[u8]) -> String {
        let path = String::from_utf8_lossy(path).into_owned();
        let joined = match path.strip_prefix('/') {
            Some(absolute) => absolute.to_owned(),
            None if self.directory.is_empty() => path,
            None => format!("{}/{path}", self.directory),
        };
        joined.trim_matches('/').to_owned()
    }

    fn feat(&self) -> String {
        let listed: Vec<&str> = FEATURES
            .iter()
            .enumerate()
            .filter(|(at, _)| self.host.features >> at & 1 == 0)
            .map(|(_, feature)| *feature)
            .collect();
        if listed.is_empty() {
            return "500 FEAT not understood".into();
        }
        format!("211-features\r\n {}\r\n211 end", listed.join("\r\n "))
    }

    /// Tells something about a file, truthfully or not.
    fn sized(&mut self, name: &str, tell: impl FnOnce(&str, usize) -> String) -> String {
        let Some(size) = files::length(name) else {
            return "550 no such file".into();
        };
        let told = match self.host.program.byte() % 8 {
            6 => size / 2,
            7 => size + 1,
            _ => size,
        };
        let mut log = self.host.memory.look();
        if told == size {
            log.sizes.push(name.to_owned());
        } else {
            log.lies += 1;
        }
        tell(name, told)
    }

    async fn passive(&mut self, command: &Command) -> String {
        let how = self.host.program.byte();
        let ip = IpAddr::from(SERVER);
        // Ports from 6000 on are dropped on the way.
        let silent = how % 8 == 1;
        let mut port = if silent { 6000 } else { 5000 };
        let listener = loop {
            match self
                .host
                .world
                .host("server")
                .listen(ListenAt::one(SocketAddr::new(ip, port)))
                .await
            {
                Ok(listener) => break listener,
                Err(_) => port += 1,
            }
        };
        match how % 8 {
            2 => self.way = Way::None, // nobody listens
            _ => self.way = Way::Passive(listener),
        }
        let told = SocketAddr::new(
            if how % 8 == 3 {
                IpAddr::from([10, 9, 8, 7])
            } else {
                ip
            },
            port,
        );
        match (command, told) {
            (Command::Pasv, SocketAddr::V4(told)) => {
                format!("227 {}", host_port::write_227_text(told))
            }
            _ => format!("229 {}", host_port::write_229_text(port)),
        }
    }

    fn active(&mut self, at: SocketAddr) -> String {
        self.way = Way::Active(at);
        "200 there".into()
    }

    async fn transfer(&mut self, command: &Command) -> Result<(), Over> {
        let path = match command {
            Command::Retr(path)
            | Command::Stor(path)
            | Command::Appe(path)
            | Command::Stou(Some(path)) => self.resolve(path.as_bytes()),
            _ => self.directory.clone(),
        };
        let offset = std::mem::take(&mut self.offset);
        if matches!(command, Command::Retr(_))
            && files::length(&path).is_none_or(|length| offset > length)
        {
            return self.answer(b"RETR", b"550 no such file\r\n").await;
        }
        let way = std::mem::replace(&mut self.way, Way::None);
        let how = self.host.program.byte();
        self.host.memory.look().bared |= !self.protected;
        match how >> 6 {
            1 => {
                self.answer(b"early", b"150 coming\r\n226 done already\r\n")
                    .await?;
            }
            _ => self.answer(b"150", b"150 coming\r\n").await?,
        }
        if let Some(running) = self.running.take() {
            running.abort();
        }
        self.running = Some(tokio::spawn(data::carry(
            data::Order {
                world: self.host.world.clone(),
                program: self.host.program.clone(),
                memory: self.host.memory.clone(),
                command: command.clone(),
                path,
                offset,
                how,
                session: self.protected.then(|| self.data_session()),
            },
            way,
        )));
        Ok(())
    }

    /// Sends a reply, or what the program wants instead.
    async fn answer(&mut self, question: &[u8], reply: &[u8]) -> Result<(), Over> {
        let twist = self.host.program.byte();
        let mut out = reply.to_vec();
        let mut over = false;
        match twist {
            0..=159 => {}
            160..=174 => {
                let count = usize::from(self.host.program.byte());
                out = self.host.program.take(count);
                out.extend_from_slice(b"\r\n");
            }
            175..=189 => {
                let code = self.host.program.choose(CODES);
                out = format!("{code} said\r\n").into_bytes();
            }
            190..=199 => {
                sleep(Duration::from_millis(500) * u32::from(self.host.program.byte())).await;
            }
            200..=204 => out.clear(),
            205..=209 => {
                out.clear();
                over = true;
            }
            210..=214 => over = true,
            215..=219 => out.extend_from_slice(reply),
            220..=224 => {
                let code = self.host.program.choose(CODES);
                out.extend_from_slice(format!("{code} and this\r\n").as_bytes());
            }
            225..=229 => {
                let code = self.host.program.choose(CODES);
                out.splice(0..0, format!("{code} before\r\n").into_bytes());
            }
            230..=234 => {
                let lines = usize::from(self.host.program.byte()) * 8;
                let code = self.host.program.choose(CODES);
                out = format!("{code}-begin\r\n").into_bytes();
                out.extend(b"a line\x1b[2J\r\n".repeat(lines));
                out.extend_from_slice(format!("{code} end\r\n").as_bytes());
            }
            235..=238 => return self.without_end(b"230-more\r\n").await,
            239..=241 => return self.without_end(b"230 long").await,
            242..=245 => {
                // A reply that drips.
                for byte in std::mem::take(&mut out) {
                    self.write(&[byte]).await?;
                    sleep(Duration::from_secs(3)).await;
                }
            }
            246..=249 => {
                let wrong = self.host.program.take(1);
                let at = usize::from(self.host.program.byte()) % out.len();
                out.splice(at..=at, wrong);
            }
            _ => {
                let at = usize::from(self.host.program.byte()) % out.len();
                out.truncate(at);
                over = twist & 1 == 0;
            }
        }
        if !matches!(twist, 0..=159 | 190..=199 | 242..=245) {
            self.host.memory.look().out_of_step = true;
        }
        if twist > 159
            && question.starts_with(b"SIZE")
                | question.starts_with(b"MLST")
                | question.starts_with(b"data")
        {
            let mut log = self.host.memory.look();
            log.lies += 1;
            if let (b"data", Some(last)) = (question, log.transfers.last_mut()) {
                last.reply = None;
            }
        }
        self.host.memory.look().marker_denied |= twist > 159 && question.starts_with(b"REST");
        self.write(&out).await?;
        if over { Err(Over) } else { Ok(()) }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Over> {
        self.host.memory.look().said += bytes.len();
        self.writes.write_all(bytes).await.map_err(|_| Over)
    }

    /// Whoever does not stop reading this will never see its end.
    async fn without_end(&mut self, part: &[u8]) -> Result<(), Over> {
        loop {
            self.write(&part.repeat(100)).await?;
            tokio::task::yield_now().await;
        }
    }
}
