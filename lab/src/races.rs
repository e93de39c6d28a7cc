//! One-port under fire: a thousand transfers by fifty sessions of one address, while strangers of another
//! address and of the same one connect at random moments.
//!
//! Nothing may be mixed up (every byte is compared), nothing lost (a transfer that is refused before its first
//! byte and succeeds when it is repeated is not; how many there were is told), nothing stolen (a stranger hears
//! replies or a close, nothing else).
//!
//! Over TLS a data connection is known by the session that it resumes: there nothing may be refused either, although thieves
//! with tickets of their own and with sniffed ClientHellos come as well, and although data connections come from
//! another address than their control connections.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::payload::Random;
use crate::process::run as run_bounded;
use crate::server::{Kind, PASSWORD, USER};
use crate::stage::{CLIENT, STRANGER, Stage};
use crate::tally::{Tally, concurrently};
use crate::topology;
use crate::wire::{Reply, Wire, connect_from};
use crate::{Result, Settings};

/// Sessions at once, and transfers of each.
const SESSIONS: u64 = 50;
const TRANSFERS: u64 = 20;

/// Transfers by curl, and how many at once.
const CURLS: u64 = 200;
const CURLS_AT_ONCE: usize = 8;

/// Files to download: most are small, some are a mebibyte.
const FILES: u64 = 60;
const LARGE: u64 = 12;

/// How often a refused transfer is repeated before it counts as lost.
const TRIES: u64 = 60;

/// How the server is started: many sessions of one address, and strangers who are not banned for what they are here for.
const ONE_PORT: [&str; 6] = [
    "--one-port",
    "on",
    "--max-per-address",
    "200",
    "--ban-after",
    "0",
];

/// How long anything may stand still.
const PATIENCE: Duration = Duration::from_secs(20);

/// The server, its files, and the account of what happened.
struct Field {
    stage: Stage,
    control: SocketAddr,
    over: AtomicBool,
    refused: AtomicUsize,
    reset: AtomicUsize,
    strangers: AtomicUsize,
    greeted: AtomicUsize,
}

/// Sessions over bare sockets, then curl.
#[allow(clippy::unnecessary_wraps)] // a part may fail; this one has nothing to fail by
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    println!("\none-port, with strangers");
    for (name, kind) in [
        (
            "1000 transfers, 50 sessions of one address",
            Field::sessions as fn(&Field) -> Result<()>,
        ),
        ("200 transfers by curl, 8 at once", Field::curls),
        (
            "over TLS: 200 transfers by curl, 8 at once",
            Field::curls_over_tls,
        ),
    ] {
        if settings.wants(name) {
            tally.check(name, race(settings, kind, name.starts_with("over TLS")));
        }
    }
    for (name, sessions, transfers, from) in OVER_TLS {
        if settings.wants(name) {
            tally.check(name, over_tls(settings, sessions, transfers, from));
        }
    }
    Ok(())
}

/// Rows over TLS: sessions, transfers of each, and where their data connections come from.
const OVER_TLS: [(&str, u64, u64, &str); 2] = [
    (
        "over TLS: 1000 transfers, 50 sessions of one address",
        SESSIONS,
        TRANSFERS,
        "from-own",
    ),
    (
        "over TLS: data connections from another address",
        8,
        10,
        "from-other",
    ),
];

/// By a client that has nothing in common with wharf.
const CLIENT_OVER_TLS: &str = include_str!("races/over_tls.py");

fn over_tls(settings: &Settings, sessions: u64, transfers: u64, from: &str) -> Result<String> {
    let stage =
        Stage::in_topology(settings, "races-tls", topology::PLAIN, Kind::Wharf)?.secured()?;
    let mut server = stage.serve_with(&ONE_PORT)?;
    let control = stage.network.control();
    let mut command = stage.client("/usr/bin/python3");
    command.args(["-c", CLIENT_OVER_TLS]);
    command.arg(control.ip().to_string());
    command.arg(control.port().to_string());
    command.args([CLIENT.to_string(), STRANGER.to_string()]);
    command.arg(&stage.root);
    command.args([sessions.to_string(), transfers.to_string()]);
    command.args([from, USER, PASSWORD]);
    let start = Instant::now();
    let outcome = run_bounded(command, b"", PATIENCE * 9)?;
    if !outcome.succeeded() {
        return Err(outcome.last_words().into());
    }
    if !server.daemon.alive() {
        return Err("the server has ended".into());
    }
    let told = String::from_utf8_lossy(&outcome.stdout);
    let told = told.trim();
    let seconds = start.elapsed().as_secs_f64();
    Ok(format!("{seconds:.1} s, {told}"))
}

fn race(settings: &Settings, transfers: fn(&Field) -> Result<()>, in_tls: bool) -> Result<String> {
    let mut stage = Stage::in_topology(settings, "races", topology::PLAIN, Kind::Wharf)?;
    if in_tls {
        stage = stage.secured()?;
    }
    for number in 0..FILES {
        fs::write(stage.root.join(format!("{number}.bin")), content(number))?;
        let directory = stage.root.join(format!("directory-{number}"));
        fs::create_dir(&directory)?;
        fs::write(directory.join(format!("only-in-{number}")), "x")?;
    }
    let mut server = stage.serve_with(&ONE_PORT)?;
    let field = Field {
        control: stage.network.control(),
        stage,
        over: AtomicBool::new(false),
        refused: AtomicUsize::new(0),
        reset: AtomicUsize::new(0),
        strangers: AtomicUsize::new(0),
        greeted: AtomicUsize::new(0),
    };
    let start = Instant::now();
    // Threads inherit the namespace of the one that starts them.
    field.stage.network.client.inside(|| {
        thread::scope(|scope| {
            let strangers: Vec<_> = [STRANGER, CLIENT]
                .into_iter()
                .enumerate()
                .map(|(seed, from)| {
                    let field = &field;
                    // Of its own address a client has fewer that it does not know.
                    let pause = if from == CLIENT { 150 } else { 40 };
                    scope.spawn(move || field.strangers(IpAddr::V4(from), seed as u64, pause))
                })
                .collect();
            let result = transfers(&field);
            field.over.store(true, Ordering::Relaxed);
            for stranger in strangers {
                match stranger.join() {
                    Ok(told) => told?,
                    Err(_) => return Err("a stranger panicked".into()),
                }
            }
            result
        })
    })??;
    if !server.daemon.alive() {
        return Err("the server has ended".into());
    }
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    Ok(format!(
        "{:.1} s, {} refused and repeated, {} dialled again; {} strangers, {} of them greeted",
        start.elapsed().as_secs_f64(),
        count(&field.refused),
        count(&field.reset),
        count(&field.strangers),
        count(&field.greeted),
    ))
}

/// The bytes of a file; no two numbers have the same.
fn content(number: u64) -> Vec<u8> {
    let mut random = Random::new(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let length = if number.is_multiple_of(FILES / LARGE) {
        1 << 20
    } else {
        random.between(1, 5_000)
    };
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < length {
        bytes.extend(random.next().to_le_bytes());
    }
    bytes.truncate(usize::try_from(length).unwrap_or(0));
    bytes
}

/// What a transfer does.
#[derive(Clone, Copy, Debug)]
enum Does {
    /// Downloads this file.
    Get(u64),
    /// Uploads this content under its number.
    Put(u64),
    /// Lists this directory.
    List(u64),
}

impl Does {
    /// `unique` is a number that no other transfer of the run has.
    fn choose(random: &mut Random, unique: u64) -> Self {
        match random.between(0, 4) {
            0 | 1 => Self::Get(random.between(0, FILES - 1)),
            2 | 3 => Self::Put(1_000 + unique),
            _ => Self::List(random.between(0, FILES - 1)),
        }
    }

    fn command(self) -> String {
        match self {
            Self::Get(number) => format!("RETR {number}.bin"),
            Self::Put(number) => format!("STOR put-{number}.bin"),
            Self::List(number) => format!("NLST directory-{number}"),
        }
    }

    /// Whether these are the bytes that were to come.
    fn judge(self, bytes: &[u8], stored: PathBuf) -> Result<()> {
        let right = match self {
            Self::Get(number) => bytes == content(number),
            Self::Put(number) => fs::read(stored)? == content(number),
            Self::List(number) => {
                let text = String::from_utf8_lossy(bytes);
                let name = text.trim_end();
                name.rsplit('/').next() == Some(&format!("only-in-{number}"))
            }
        };
        if right {
            Ok(())
        } else {
            Err(format!("mixed up: {self:?}, {} bytes came", bytes.len()).into())
        }
    }
}

/// How one attempt ended.
enum End {
    Done,
    /// Before the first byte; it may be repeated.
    Refused(String),
}

impl Field {
    fn sessions(&self) -> Result<()> {
        let numbers: Vec<u64> = (0..SESSIONS).collect();
        let ends = concurrently(&numbers, numbers.len(), |number| self.session(*number));
        ends.into_iter().collect()
    }

    fn session(&self, number: u64) -> Result<()> {
        let mut random = Random::new((number + 1) * 7_919);
        let named = |error| format!("session {number}: {error}");
        let mut wire = self.dial(&mut random).map_err(named)?;
        wire.enter().map_err(named)?;
        for transfer in 0..TRANSFERS {
            let does = Does::choose(&mut random, number * TRANSFERS + transfer);
            self.until_done(&mut random, |random| self.attempt(&mut wire, does, random))
                .map_err(|error| format!("session {number}, {does:?}: {error}"))?;
        }
        wire.send("QUIT")?;
        wire.expect(&[221]).map_err(named)?;
        Ok(())
    }

    /// A control connection, greeted. One that arrives together with another session's data connection may be reset
    /// before it is greeted.
    fn dial(&self, random: &mut Random) -> Result<Wire> {
        let mut why = None;
        for _ in 0..TRIES {
            match Wire::over(connect_from(IpAddr::V4(CLIENT), self.control)?) {
                Ok(wire) => return Ok(wire),
                Err(error) => why = Some(error),
            }
            self.reset.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(random.between(5, 60)));
        }
        Err(why.unwrap_or_else(|| "not dialled".into()))
    }

    /// Repeats what is refused.
    fn until_done(
        &self,
        random: &mut Random,
        mut attempt: impl FnMut(&mut Random) -> Result<End>,
    ) -> Result<()> {
        let mut why = String::new();
        for tried in 1..=TRIES {
            match attempt(random)? {
                End::Done => return Ok(()),
                End::Refused(reason) => why = reason,
            }
            self.refused.fetch_add(1, Ordering::Relaxed);
            // The longer, the more of them there are: all of them at once would never end.
            thread::sleep(Duration::from_millis(random.between(5, 40 + 15 * tried)));
        }
        Err(format!("lost: refused {TRIES} times, at last: {why}").into())
    }

    /// EPSV or PASV, the connection before or after the command, the bytes, the replies.
    fn attempt(&self, wire: &mut Wire, does: Does, random: &mut Random) -> Result<End> {
        let extended = random.between(0, 1) == 0;
        let early = random.between(0, 1) == 0;
        let reply = wire.command(if extended { "EPSV" } else { "PASV" })?;
        let port = match reply.code {
            229 => reply.extended_port(),
            227 => reply.passive_port(),
            400..=499 => return Ok(End::Refused(reply.text)),
            _ => None,
        };
        let port = port.ok_or_else(|| format!("EPSV or PASV: {}", reply.text.trim_end()))?;
        if port != self.control.port() {
            return Err(format!("port {port} is told, one-port is on").into());
        }
        let connect = || connect_from(IpAddr::V4(CLIENT), self.control);
        let mut data = if early { Some(connect()?) } else { None };
        wire.send(&does.command())?;
        let mut data = match data.take() {
            Some(data) => data,
            None => connect()?,
        };
        data.set_read_timeout(Some(PATIENCE))?;
        data.set_write_timeout(Some(PATIENCE))?;
        let first = wire.reply()?;
        match first.code {
            150 | 125 => {}
            425 => return unspent(&mut data, first),
            _ => return Err(first.text.into()),
        }
        let mut bytes = Vec::new();
        let moved = if let Does::Put(number) = does {
            let written = data.write_all(&content(number));
            let _ = data.shutdown(Shutdown::Write);
            written
        } else {
            data.read_to_end(&mut bytes).map(drop)
        };
        let last = wire.reply()?;
        let stored = self.stage.root.join(match does {
            Does::Put(number) => format!("put-{number}.bin"),
            _ => String::new(),
        });
        if last.code != 226 {
            // Refused although announced: nothing may have come, the connection is closed, nothing is stored.
            let hung = moved.as_ref().is_err_and(|error| {
                matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
            });
            let untouched = bytes.is_empty() && (!matches!(does, Does::Put(_)) || !stored.exists());
            if last.code == 425 && untouched && !hung {
                return Ok(End::Refused(last.text));
            }
            let text = last.text.trim_end();
            let count = bytes.len();
            return Err(format!("lost after 150: {text} ({count} bytes, {moved:?})").into());
        }
        moved.map_err(|error| format!("226, but: {error}"))?;
        does.judge(&bytes, stored)?;
        Ok(End::Done)
    }

    fn curls(&self) -> Result<()> {
        self.curls_with(&[])
    }

    /// None is refused: each is known by its session.
    fn curls_over_tls(&self) -> Result<()> {
        self.curls_with(&["--ssl-reqd", "-k"])?;
        match self.refused.load(Ordering::Relaxed) {
            0 => Ok(()),
            refused => Err(format!("{refused} refused").into()),
        }
    }

    fn curls_with(&self, further: &[&str]) -> Result<()> {
        let numbers: Vec<u64> = (0..CURLS).collect();
        let ends = concurrently(&numbers, CURLS_AT_ONCE, |number| {
            let mut random = Random::new((number + 1) * 104_729);
            let does = Does::choose(&mut random, *number);
            self.until_done(&mut random, |_| self.curl(*number, does, further))
                .map_err(|error| format!("curl {number}, {does:?}: {error}").into())
        });
        ends.into_iter().collect()
    }

    fn curl(&self, number: u64, does: Does, further: &[&str]) -> Result<End> {
        let local = self.stage.work.path().join(format!("curl-{number}"));
        let _ = fs::remove_file(&local);
        let mut command = self.stage.client("curl");
        command.args(["-sS", "--max-time", "20"]).args(further);
        command.arg("-u").arg(format!("{USER}:{PASSWORD}"));
        let base = format!("ftp://{}", self.stage.network.host());
        match does {
            Does::Get(number) => command
                .arg("-o")
                .arg(&local)
                .arg(format!("{base}/{number}.bin")),
            Does::Put(number) => {
                fs::write(&local, content(number))?;
                command
                    .arg("-T")
                    .arg(&local)
                    .arg(format!("{base}/put-{number}.bin"))
            }
            Does::List(number) => command
                .arg("-l")
                .arg("-o")
                .arg(&local)
                .arg(format!("{base}/directory-{number}/")),
        };
        let outcome = run_bounded(command, b"", PATIENCE * 2)?;
        let bytes = match does {
            Does::Put(_) => Vec::new(),
            _ => fs::read(&local).unwrap_or_default(),
        };
        if !outcome.succeeded() {
            let words = outcome.last_words();
            // 425 to the transfer command or to PASV and EPSV; or no greeting: before a byte in any case.
            let refused = words.contains(": 425") || words.contains("exit 13");
            let reset = words.contains("exit 56") || words.contains("exit 8 ");
            if bytes.is_empty() && (refused || reset) {
                return Ok(End::Refused(words));
            }
            return Err(format!("lost: {words}, {} bytes came", bytes.len()).into());
        }
        let stored = self.stage.root.join(match does {
            Does::Put(number) => format!("put-{number}.bin"),
            _ => String::new(),
        });
        does.judge(&bytes, stored)?;
        Ok(End::Done)
    }

    /// Connects again and again, as health checks, scanners and lost clients do, and listens to what it is told.
    fn strangers(&self, from: IpAddr, seed: u64, pause: u64) -> Result<()> {
        let mut random = Random::new(seed + 77);
        while !self.over.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(random.between(1, pause)));
            let mut stream = connect_from(from, self.control)?;
            self.strangers.fetch_add(1, Ordering::Relaxed);
            // The reply is complete or the connection is closed long before this. It may be reset already: then nothing
            // more can be said or ended, and `listen` sees it.
            stream.set_read_timeout(Some(Duration::from_secs(3)))?;
            let heard = match random.between(0, 4) {
                0 => continue,
                // Ends without a word, and listens nevertheless.
                4 => {
                    let _ = stream.shutdown(Shutdown::Write);
                    listen(&mut stream)
                }
                1 => {
                    let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
                    listen(&mut stream)
                }
                2 => {
                    let _ = stream.write_all(b"USER lab\r\n");
                    listen(&mut stream)
                }
                _ => listen(&mut stream),
            };
            let heard = heard.map_err(|error| format!("stolen by {from}: {error}"))?;
            self.greeted
                .fetch_add(usize::from(heard), Ordering::Relaxed);
        }
        Ok(())
    }
}

/// A 425 before the transfer: no byte of it may have come. The client closes its connection at once, as all clients do;
/// what cannot be told apart may have been greeted already.
fn unspent(data: &mut TcpStream, reply: Reply) -> Result<End> {
    data.set_nonblocking(true)?;
    let mut bytes = Vec::new();
    let _ = data.read_to_end(&mut bytes);
    if bytes.is_empty() || is_replies(&bytes) {
        Ok(End::Refused(reply.text))
    } else {
        Err(format!("425, and {} bytes on the connection", bytes.len()).into())
    }
}

/// Whether these are lines of replies and nothing else.
fn is_replies(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.lines().all(|line| {
        let code = line.get(..3).and_then(|code| code.parse::<u16>().ok());
        code.is_some_and(|code| (200..600).contains(&code))
            && matches!(line.as_bytes().get(3), Some(b' ' | b'-'))
    })
}

/// Reads one line or the end; whether there was a line. An error for anything that is not a reply.
fn listen(stream: &mut TcpStream) -> Result<bool> {
    let mut heard = Vec::new();
    let mut chunk = [0; 4096];
    while !heard.ends_with(b"\r\n") {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => heard.extend(chunk.iter().take(count)),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err("neither a greeting nor a close within 3 s".into());
            }
            Err(error) => return Err(error.into()),
        }
    }
    if is_replies(&heard) {
        return Ok(!heard.is_empty());
    }
    let text = String::from_utf8_lossy(&heard);
    let start: String = text.chars().take(60).collect();
    Err(format!("{} bytes, {start:?}", heard.len()).into())
}
