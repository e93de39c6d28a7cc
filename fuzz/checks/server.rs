//! A whole dialogue with the server, over a network in memory and on virtual time.
//!
//! The first sixteen bytes of the input say how the user's side behaves, the rest is what it sends:
//!
//! | bytes | meaning |
//! |---|---|
//! | 0 | bit 0: one port for control and data; bit 1: a stranger is at every data port first; bit 2: the user's data connections come from another address; bit 3: the user hangs up without waiting for replies; bits 4, 5: little room in the store, a user without the right to write; bits 6, 7: no TLS, TLS offered, the dialogue inside explicit TLS, inside implicit TLS |
//! | 1..=7 | how the next data connection behaves, in a circle: see `server/data.rs` |
//! | 8..=15 | two bits a line, in a circle: send the next at once, after any reply, after the final reply, after a rest |
//!
//! Inside TLS a data connection is protected after the user has sent PROT P.
//!
//! The server never panics, ends by itself, answers every command with exactly one final reply, and with one that its
//! table allows (asserted inside, and here where it is clear which reply is whose).

#[path = "server/data.rs"]
mod data;
#[path = "tls.rs"]
mod tls;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use wharf_accounts::{Authenticator, Credentials, Denied, Granted, UserLimits};
use wharf_net::tls::{TlsVersions, UserSession, UserTls};
use wharf_net::{Conn, Source};
use wharf_proto::{
    Command, CommandErrorKind, Line, LineDecoder, Pathname, Reply, ReplyClass, ReplyDecoder,
    ReplyLimits,
};
use wharf_server::{Config, OnePort, Server, TlsPolicy};
use wharf_sim::World;
use wharf_storage::{Memory, MemoryOptions, Permissions, Scoped};

use data::Data;

const HEADER: usize = 16;

const SERVER: &str = "192.0.2.9";

/// On virtual time, so only a peer that has stopped is ever waited for.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Which the user speaks.
const VERSIONS: [TlsVersions; 2] = [TlsVersions::All, TlsVersions::Only12];

/// How the 200 to CCC begins.
const CLEARED: &[u8] = b"The control connection goes on in clear";

const LINE_LIMIT: usize = 512;
const PATIENCE: Duration = Duration::from_millis(500);

/// Longer than anything the server may take for one input.
const FOR_EVER: Duration = Duration::from_hours(6);

pub(crate) fn check(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let header: [u8; HEADER] = std::array::from_fn(|at| data.get(at).copied().unwrap_or_default());
    let sent = data.get(HEADER..).unwrap_or_default();
    let heard = runtime.block_on(async {
        timeout(FOR_EVER, dialogue(header, sent))
            .await
            .expect("the dialogue comes to an end")
    });
    let tls = Tls::of(&header);
    judge(sent, &heard, header[0] & 8 == 0, tls);
}

/// Where TLS is in a dialogue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tls {
    None,
    /// The server has it, the user does without.
    Offered,
    Explicit,
    Implicit,
}

impl Tls {
    fn of(header: &[u8; HEADER]) -> Self {
        match header[0] >> 6 {
            0 => Self::None,
            1 => Self::Offered,
            2 => Self::Explicit,
            _ => Self::Implicit,
        }
    }

    /// The reply after which a connection goes on otherwise: into a handshake that the lines of the input are not, or out
    /// of TLS, of which the user's side here reads nothing.
    fn leads_away(self, reply: &Reply) -> bool {
        let code = reply.code();
        match self {
            Self::None => false,
            Self::Offered => code == 234,
            Self::Explicit | Self::Implicit => {
                // 220 is REIN's.
                matches!(code, 220 | 234) || reply.text().as_bytes().starts_with(CLEARED)
            }
        }
    }
}

/// What the user's side has heard.
#[derive(Clone, Default)]
struct Heard {
    finals: Vec<Reply>,
    preliminary: usize,
    /// The server has ended the control connection.
    ended: bool,
}

fn judge(sent: &[u8], heard: &Heard, patient: bool, tls: Tls) {
    let (commands, foreign) = commands(sent);
    let finals = heard.finals.len();
    let farewell = heard.finals.iter().any(|reply| match reply.code() {
        221 | 421 => true,
        // One wrong password too many.
        530 => reply.text().as_bytes().ends_with(b"goodbye"),
        _ => false,
    });
    assert_eq!(heard.finals.first().map(Reply::code), Some(220));
    // A 421 may come beside the replies that are owed.
    assert!(
        finals <= commands + 1 + usize::from(farewell),
        "{finals} replies to {commands} lines"
    );
    let led_away = heard
        .finals
        .iter()
        .skip(1)
        .any(|reply| tls.leads_away(reply));
    if patient && !farewell && !foreign && !led_away {
        assert_eq!(finals, commands + 1, "final replies, with the greeting");
    }
}

/// How many lines are to be answered, and whether one of them is no FTP at all.
fn commands(sent: &[u8]) -> (usize, bool) {
    let mut decoder = LineDecoder::new(LINE_LIMIT);
    let mut foreign = false;
    let mut count = 0;
    for part in sent.chunks(LINE_LIMIT) {
        decoder.push(part);
        while let Some(line) = decoder.next() {
            count += usize::from(line != Line::Synch);
            if let Line::Command(line) = line
                && let Err(error) = Command::parse(&line)
            {
                foreign |= error.kind == CommandErrorKind::ForeignProtocol;
            }
        }
    }
    (count, foreign)
}

async fn dialogue(header: [u8; HEADER], sent: &[u8]) -> Heard {
    let world = World::new();
    world.add_host("server", World::INTERNET, ["192.0.2.9"]);
    world.add_host("user", World::INTERNET, ["192.0.2.1", "192.0.2.2"]);
    world.add_host("stranger", World::INTERNET, ["203.0.113.66"]);
    let bit = |n: u8| header[0] >> n & 1 == 1;
    let secured = Tls::of(&header);
    let config = Config {
        listen: vec!["192.0.2.9:21".parse().expect("an address")],
        implicit_listen: match secured {
            Tls::Implicit => vec!["192.0.2.9:990".parse().expect("an address")],
            _ => Vec::new(),
        },
        tls: (secured != Tls::None).then(|| TlsPolicy {
            ccc: true,
            ..TlsPolicy::new(tls::server(false))
        }),
        one_port: if bit(0) { OnePort::On } else { OnePort::Off },
        patience: PATIENCE,
        idle: Duration::from_secs(20),
        stall: Duration::from_secs(1),
        no_login: Duration::from_secs(20),
        line_limit: LINE_LIMIT,
        ..Config::default()
    };
    let accounts = Arc::new(Everybody {
        small: bit(4),
        read_only: bit(5),
    });
    let server = Server::bind(config, world.host("server"), accounts)
        .await
        .expect("a port");
    let handle = server.handle();
    let at = match secured {
        Tls::Implicit => "192.0.2.9:990".parse().expect("an address"),
        _ => "192.0.2.9:21".parse().expect("an address"),
    };
    let running = tokio::spawn(server.run());
    let control = world.host("user").connect(Source::Any, at).await;
    let session = matches!(secured, Tls::Explicit | Tls::Implicit)
        .then(|| session(VERSIONS[usize::from(header[1] & 1)]));
    let mut control = control.expect("the server listens");
    let (tell, heard) = watch::channel(Heard::default());
    if secured == Tls::Explicit {
        tell.send_modify(|heard| heard.finals.push(Reply::new(220, "as if greeted in TLS")));
        ask_for_tls(&mut control).await;
    }
    if let Some(session) = &session {
        let inside = session.secure_control(control, HANDSHAKE).await;
        control = inside.expect("a user that does all right gets its TLS");
    }
    let (replies, commands) = tokio::io::split(control);
    let data = Data::new(world, header, session);
    let listener = tokio::spawn(listen(replies, tell, data.clone(), secured));
    speak(commands, &header, sent, heard.clone(), &data).await;
    listener.await.expect("the user's side does not panic");
    handle.stop(Duration::ZERO);
    running.await.expect("the server does not panic");
    let heard = heard.borrow();
    heard.clone()
}

/// TLS of the user's control connection and of what belongs to it.
fn session(versions: TlsVersions) -> UserSession {
    let verifier = tls::trust().verifier(SERVER, 21).expect("a verifier");
    let tls = UserTls::new(verifier, None, versions).expect("a configuration");
    tls.session(SERVER).expect("a name")
}

/// The greeting, AUTH TLS and its 234, which are not of the input.
async fn ask_for_tls(control: &mut Conn) {
    for line in [&b""[..], b"AUTH TLS\r\n"] {
        let said = control.write_all(line).await;
        said.expect("the server reads");
        let mut reply = Vec::new();
        while reply.last() != Some(&b'\n') {
            reply.push(control.read_u8().await.expect("the server answers"));
        }
        assert!(reply.starts_with(b"220 ") || reply.starts_with(b"234 "));
    }
}

/// Sends line after line, each when its time has come.
async fn speak(
    mut commands: WriteHalf<Conn>,
    header: &[u8; HEADER],
    sent: &[u8],
    mut heard: watch::Receiver<Heard>,
    data: &Data,
) {
    for (count, line) in sent.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let pace = header[8 + count / 4 % 8] >> (count % 4 * 2) & 3;
        let before = heard.borrow().clone();
        data.before(line).await;
        if commands.write_all(line).await.is_err() {
            return;
        }
        let answered = |now: &Heard| now.ended || now.finals.len() > before.finals.len();
        match pace {
            0 => {}
            1 => {
                let said = |now: &Heard| answered(now) || now.preliminary > before.preliminary;
                let _ = timeout(PATIENCE * 4, heard.wait_for(said)).await;
            }
            2 => {
                let waited = timeout(PATIENCE * 8, heard.wait_for(answered))
                    .await
                    .is_ok();
                let alone = before.finals.len() == 1 + count && waited;
                if let (true, Some(reply)) = (alone, heard.borrow().finals.get(1 + count)) {
                    check_row(line, reply);
                }
            }
            _ => sleep(PATIENCE / 3).await,
        }
    }
    if header[0] & 8 == 0 {
        // Who hangs up in a transfer is gone, and gets no answer.
        let expected = 1 + self::commands(sent).0;
        let all = |now: &Heard| now.ended || now.finals.len() >= expected;
        let _ = timeout(PATIENCE * 1000, heard.wait_for(all)).await;
    }
    // Whoever has gone already is not told.
    let _ = commands.shutdown().await;
}

/// Every line before was answered, so this reply is this line's.
fn check_row(line: &[u8], reply: &Reply) {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if let Ok(command) = Command::parse(line) {
        assert!(
            command.verb().allows(reply.code()),
            "{} does not answer {}",
            command.verb().word,
            reply.code()
        );
    }
}

async fn listen(mut replies: ReadHalf<Conn>, tell: watch::Sender<Heard>, data: Data, tls: Tls) {
    let mut decoder = ReplyDecoder::new(ReplyLimits {
        line: 64 << 10,
        lines: 4096,
        bytes: 4 << 20,
    });
    let mut buffer = [0; 1024];
    let mut away = false;
    while let Ok(read @ 1..) = replies.read(&mut buffer).await {
        if away {
            continue;
        }
        decoder.push(&buffer[..read]);
        loop {
            match decoder.next() {
                Ok(Some(reply)) => {
                    // What follows is a handshake's, at most an alert.
                    away |= tls == Tls::Offered && tls.leads_away(&reply);
                    data.after(&reply);
                    tell.send_modify(|heard| match reply.class() {
                        ReplyClass::Preliminary => heard.preliminary += 1,
                        _ => heard.finals.push(reply),
                    });
                }
                Ok(None) => break,
                Err(_) if away => break,
                Err(e) => panic!("the server sent no reply but {e:?}"),
            }
        }
    }
    assert!(away || decoder.is_empty(), "the last reply is cut");
    tell.send_modify(|heard| heard.ended = true);
}

struct Everybody {
    small: bool,
    read_only: bool,
}

#[async_trait]
impl Authenticator for Everybody {
    async fn login(&self, who: &Credentials) -> Result<Granted, Denied> {
        if who.user.as_bytes().starts_with(b"x") {
            return Err(Denied::Refused);
        }
        let path = |name: &str| Pathname::new(name).expect("a pathname");
        let store = Memory::with_options(MemoryOptions {
            capacity: self.small.then_some(256 << 10),
            ..MemoryOptions::default()
        });
        for (name, content) in [
            ("/file", &b"content\n"[..]),
            ("/odd name", b"x"),
            ("/empty", b""),
        ] {
            store.add_file(&path(name), content).expect("room");
        }
        store
            .add_file(&path("/big"), vec![b'\n'; 150_000])
            .expect("room");
        store.add_dir(&path("/folder")).expect("room");
        store.add_link(&path("/link"), "file").expect("room");
        let permissions = if self.read_only {
            Permissions::READ_ONLY
        } else {
            Permissions::FULL
        };
        Ok(Granted {
            user: who.user.display().to_string(),
            storage: Arc::new(Scoped::new(Arc::new(store), &Pathname::root(), permissions)),
            home: Pathname::root(),
            welcome: None,
            limits: UserLimits::default(),
        })
    }
}
