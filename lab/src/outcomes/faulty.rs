//! A server that does one thing wrong: what no real server can be told to do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use wharf_proto::Timestamp;

use crate::Result;
use crate::namespace::Namespace;
use crate::wire::accept;

/// What the server does wrong. Everything else is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing.
    Nothing,
    /// The port of a 229 is closed; that of a 227 is not.
    EpsvReset,
    /// Packets to the port of a 229 are dropped; those to that of a 227 are not.
    EpsvDropped,
    /// Packets to every passive port are dropped.
    PassiveDropped,
    /// EPSV and PASV are refused.
    PassiveRefused,
    /// EPRT and PORT are refused.
    ActiveRefused,
    /// In active mode it says 150 and never connects.
    ActiveSilent,
    /// The first download stops after 1,000 bytes, and nothing more happens.
    Stall,
    /// Downloads bring 1,000 bytes; then 226.
    ShortConfirmed,
    /// The first download does; the others are whole.
    ShortConfirmedOnce,
    /// Downloads bring 1,000 bytes; then 426.
    ShortAborted,
    /// Downloads are whole; then the control connection ends without a reply.
    ControlClosed,
    /// Downloads and uploads are whole; the 226 never comes.
    LostReply,
    /// The login is refused.
    LoginRefused,
    /// More bytes come than SIZE has told.
    Grows,
    /// The first download breaks in the middle, and then the file is another one of the same length.
    Replaced,
    /// Uploads end with 452 in the middle.
    Full,
    /// Uploads are confirmed, and half of the file is there.
    LosesHalf,
}

/// The server's state, over all sessions.
pub(super) struct Faulty<'n> {
    namespace: &'n Namespace,
    fault: Fault,
    content: Vec<u8>,
    downloads: AtomicU32,
    stored: Mutex<Vec<(String, Vec<u8>)>>,
    stop: AtomicBool,
}

/// Ports to which packets are dropped.
const DROPPED: std::ops::Range<u16> = 40_000..40_100;

/// So many bytes come where too few come.
const SHORT: usize = 1000;

const PATIENCE: Duration = Duration::from_secs(8);

enum Data {
    Nowhere,
    Passive(TcpListener),
    Active(SocketAddr),
}

impl<'n> Faulty<'n> {
    /// Listens at port 21 of the namespace while `work` runs.
    pub(super) fn beside<T: Send>(
        namespace: &'n Namespace,
        fault: Fault,
        content: Vec<u8>,
        work: impl FnOnce(&Self) -> T + Send,
    ) -> Result<T> {
        let at: SocketAddr = ([0, 0, 0, 0], 21).into();
        let listener = crate::wire::listen(namespace, at)?;
        listener.set_nonblocking(true)?;
        if matches!(fault, Fault::EpsvDropped | Fault::PassiveDropped) {
            let (low, high) = (DROPPED.start, DROPPED.end - 1);
            namespace.nft(&format!(
                "table inet faulty {{\n\
                   chain input {{ type filter hook input priority filter; tcp dport {low}-{high} drop; }}\n\
                 }}\n"
            ))?;
        }
        let server = Self {
            namespace,
            fault,
            content,
            downloads: AtomicU32::new(0),
            stored: Mutex::default(),
            stop: AtomicBool::new(false),
        };
        Ok(thread::scope(|scope| {
            let shared = &server;
            scope.spawn(move || {
                while !shared.stop.load(Ordering::Relaxed) {
                    match listener.accept() {
                        Ok((control, _)) => {
                            scope.spawn(move || {
                                // A client that goes is what most rows are about.
                                let _ = shared.session(control);
                            });
                        }
                        Err(_) => thread::sleep(Duration::from_millis(5)),
                    }
                }
            });
            let done = work(&server);
            server.stop.store(true, Ordering::Relaxed);
            done
        }))
    }

    /// What an upload has left under this name.
    pub(super) fn stored(&self, name: &str) -> Option<Vec<u8>> {
        let stored = self.stored.lock().ok()?;
        let found = stored.iter().find(|(known, _)| known == name);
        found.map(|(_, bytes)| bytes.clone())
    }

    fn session(&self, control: TcpStream) -> Result<()> {
        control.set_nonblocking(false)?;
        control.set_nodelay(true)?;
        control.set_read_timeout(Some(Duration::from_millis(200)))?;
        let local = control.local_addr()?.ip();
        let mut session = Session {
            server: self,
            lines: BufReader::new(control.try_clone()?),
            control,
            local,
            data: Data::Nowhere,
            offset: 0,
            rename: String::new(),
        };
        session.reply("220 ready")?;
        while let Some(line) = session.line()? {
            if !session.command(&line)? {
                break;
            }
        }
        let _ = session.control.shutdown(Shutdown::Both);
        Ok(())
    }
}

struct Session<'s, 'n> {
    server: &'s Faulty<'n>,
    control: TcpStream,
    lines: BufReader<TcpStream>,
    local: IpAddr,
    data: Data,
    offset: usize,
    rename: String,
}

impl Session<'_, '_> {
    fn reply(&mut self, text: &str) -> Result<()> {
        Ok(self.control.write_all(format!("{text}\r\n").as_bytes())?)
    }

    fn line(&mut self) -> Result<Option<String>> {
        let mut line = Vec::new();
        while !self.server.stop.load(Ordering::Relaxed) {
            match self.lines.read_until(b'\n', &mut line) {
                Ok(0) => return Ok(None),
                Ok(_) => {
                    // Telnet, in front of an ABOR.
                    line.retain(u8::is_ascii);
                    return Ok(Some(String::from_utf8(line)?.trim().to_owned()));
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Carries a command out; `false`: the session is over.
    fn command(&mut self, line: &str) -> Result<bool> {
        let fault = self.server.fault;
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        let name = argument.trim_start_matches('/').to_owned();
        match verb.to_uppercase().as_str() {
            "USER" => self.reply("331 password")?,
            "PASS" if fault == Fault::LoginRefused => self.reply("530 Login incorrect.")?,
            "PASS" => self.reply("230 in")?,
            "SYST" => self.reply("215 UNIX Type: L8")?,
            "FEAT" => self.reply(
                "211-Features:\r\n EPRT\r\n EPSV\r\n MDTM\r\n REST STREAM\r\n SIZE\r\n211 End",
            )?,
            "PWD" => self.reply("257 \"/\"")?,
            "CWD" => self.reply("250 done")?,
            "TYPE" | "NOOP" | "OPTS" | "CLNT" | "MODE" | "STRU" => self.reply("200 done")?,
            "QUIT" => {
                self.reply("221 bye")?;
                return Ok(false);
            }
            "SIZE" => match self.length(&name) {
                Some(length) => self.reply(&format!("213 {length}"))?,
                None => self.reply("550 No such file or directory")?,
            },
            "MDTM" if self.length(&name).is_none() => {
                self.reply("550 No such file or directory")?;
            }
            "MDTM" if self.server.stored(&name).is_some() => {
                let now = Timestamp::from(SystemTime::now()).whole_seconds();
                self.reply(&format!("213 {}", now.to_wire()))?;
            }
            "MDTM" => {
                let replaced = fault == Fault::Replaced && self.downloads() > 0;
                self.reply(if replaced {
                    "213 20260102030405"
                } else {
                    "213 20260101000000"
                })?;
            }
            "REST" => {
                self.offset = argument.parse()?;
                self.reply("350 go on")?;
            }
            "EPSV" | "PASV" => self.passive(verb)?,
            "EPRT" | "PORT" => self.active(argument)?,
            "ABOR" => self.reply("226 nothing to abort")?,
            "LIST" | "NLST" => self.listing()?,
            "RETR" => return self.retrieve(&name),
            "STOR" => return self.store(&name),
            "DELE" => {
                self.kept(|all| all.retain(|(known, _)| *known != name));
                self.reply("250 done")?;
            }
            "RNFR" => {
                self.rename = name;
                self.reply("350 go on")?;
            }
            "RNTO" => {
                let from = std::mem::take(&mut self.rename);
                self.kept(|all| {
                    all.retain(|(known, _)| *known != name);
                    for (known, _) in all.iter_mut().filter(|(known, _)| *known == from) {
                        known.clone_from(&name);
                    }
                });
                self.reply("250 done")?;
            }
            _ => self.reply("502 not here")?,
        }
        Ok(true)
    }

    fn kept(&self, change: impl FnOnce(&mut Vec<(String, Vec<u8>)>)) {
        if let Ok(mut stored) = self.server.stored.lock() {
            change(&mut stored);
        }
    }

    fn downloads(&self) -> u32 {
        self.server.downloads.load(Ordering::Relaxed)
    }

    fn length(&self, name: &str) -> Option<usize> {
        if let Some(stored) = self.server.stored(name) {
            return Some(stored.len());
        }
        (name == "file.bin").then_some(self.server.content.len())
    }

    fn passive(&mut self, verb: &str) -> Result<()> {
        let extended = verb == "EPSV";
        let fault = self.server.fault;
        if fault == Fault::PassiveRefused {
            return self.reply("502 not here");
        }
        let dropped = fault == Fault::PassiveDropped || extended && fault == Fault::EpsvDropped;
        let local = self.local;
        let bound = self.server.namespace.inside(move || {
            if !dropped {
                return TcpListener::bind((local, 0));
            }
            let mut ports = DROPPED.map(|port| TcpListener::bind((local, port)));
            ports
                .find(std::result::Result::is_ok)
                .unwrap_or_else(|| Err(std::io::ErrorKind::AddrInUse.into()))
        })??;
        let port = bound.local_addr()?.port();
        self.data = if extended && fault == Fault::EpsvReset {
            // Closed here, and named all the same.
            drop(bound);
            Data::Nowhere
        } else {
            Data::Passive(bound)
        };
        if extended {
            return self.reply(&format!("229 Entering Extended Passive Mode (|||{port}|)"));
        }
        let ip = local.to_string().replace('.', ",");
        let (high, low) = (port >> 8, port & 255);
        self.reply(&format!("227 Entering Passive Mode ({ip},{high},{low})."))
    }

    fn active(&mut self, argument: &str) -> Result<()> {
        if self.server.fault == Fault::ActiveRefused {
            return self.reply("501 no");
        }
        let address = if argument.starts_with('|') {
            let parts: Vec<&str> = argument.split('|').collect();
            let (ip, port) = (parts.get(2), parts.get(3));
            ip.zip(port)
                .and_then(|(ip, port)| Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?)))
        } else {
            let numbers: Vec<u8> = argument.split(',').flat_map(str::parse).collect();
            match numbers.as_slice() {
                [a, b, c, d, high, low] => {
                    let port = u16::from(*high) << 8 | u16::from(*low);
                    Some(SocketAddr::from(([*a, *b, *c, *d], port)))
                }
                _ => None,
            }
        };
        self.data = Data::Active(address.ok_or("not an address")?);
        self.reply("200 done")
    }

    /// The data connection; `None`: the client was told that there is none.
    fn open(&mut self) -> Result<Option<TcpStream>> {
        let opened = match std::mem::replace(&mut self.data, Data::Nowhere) {
            Data::Nowhere => Err("none was arranged".into()),
            Data::Passive(listener) => {
                self.reply("150 here it comes")?;
                accept(&listener, PATIENCE)
            }
            Data::Active(to) => {
                self.reply("150 here it comes")?;
                if self.server.fault == Fault::ActiveSilent {
                    return Ok(None);
                }
                let namespace = self.server.namespace;
                namespace
                    .inside(move || TcpStream::connect_timeout(&to, PATIENCE))?
                    .map_err(Into::into)
            }
        };
        if let Ok(data) = opened {
            return Ok(Some(data));
        }
        self.reply("425 no data connection")?;
        Ok(None)
    }

    fn listing(&mut self) -> Result<()> {
        let Some(data) = self.open()? else {
            return Ok(());
        };
        drop(data);
        self.reply("226 done")
    }

    fn retrieve(&mut self, name: &str) -> Result<bool> {
        let offset = std::mem::take(&mut self.offset);
        if name != "file.bin" {
            self.reply("550 No such file or directory")?;
            return Ok(true);
        }
        let Some(mut data) = self.open()? else {
            return Ok(true);
        };
        let first = self.server.downloads.fetch_add(1, Ordering::Relaxed) == 0;
        let mut bytes = self.server.content.clone();
        let fault = self.server.fault;
        match fault {
            Fault::Replaced if !first => bytes.reverse(),
            Fault::Grows => bytes.extend_from_slice(&[7; SHORT]),
            _ => {}
        }
        let rest = bytes.get(offset..).unwrap_or_default();
        let short = match fault {
            Fault::ShortConfirmed | Fault::ShortAborted => SHORT,
            Fault::ShortConfirmedOnce | Fault::Stall if first => SHORT,
            Fault::Replaced if first => rest.len() / 2,
            _ => rest.len(),
        };
        data.write_all(rest.get(..short).unwrap_or(rest))?;
        if fault == Fault::Stall && first {
            self.stand_still(&mut data)?;
            return Ok(true);
        }
        data.shutdown(Shutdown::Write)?;
        drop(data);
        match fault {
            Fault::ShortAborted => self.reply("426 aborted")?,
            Fault::Replaced if first => self.reply("426 aborted")?,
            Fault::ControlClosed => return Ok(false),
            Fault::LostReply => {}
            _ => self.reply("226 done")?,
        }
        Ok(true)
    }

    /// Until the client has had enough.
    fn stand_still(&mut self, data: &mut TcpStream) -> Result<()> {
        data.set_read_timeout(Some(Duration::from_millis(200)))?;
        let began = Instant::now();
        while !self.server.stop.load(Ordering::Relaxed) && began.elapsed() < Duration::from_mins(2)
        {
            match data.read(&mut [0; 16]) {
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) => {}
                _ => break,
            }
        }
        self.reply("426 aborted")
    }

    fn store(&mut self, name: &str) -> Result<bool> {
        let offset = std::mem::take(&mut self.offset);
        let Some(mut data) = self.open()? else {
            return Ok(true);
        };
        let mut bytes = self.server.stored(name).unwrap_or_default();
        bytes.truncate(offset);
        let fault = self.server.fault;
        if fault == Fault::Full {
            let mut some = vec![0; 20_000];
            data.read_exact(&mut some)?;
            drop(data);
            self.reply("452 Insufficient storage space")?;
            return Ok(true);
        }
        data.read_to_end(&mut bytes)?;
        drop(data);
        if fault == Fault::LosesHalf {
            bytes.truncate(bytes.len() / 2);
        }
        self.kept(|all| {
            all.retain(|(known, _)| known != name);
            all.push((name.to_owned(), bytes));
        });
        if fault != Fault::LostReply {
            self.reply("226 done")?;
        }
        Ok(true)
    }
}
