//! What the proxy says to whom: the client's lines, the server's replies and the fate of the two data connections in,
//! orders out.
//!
//! Pure: no socket, no clock. The client arranges its side of a data connection with us alone (PORT, EPRT, LPRT, PASV,
//! EPSV, LPSV never reach the server); the server's side is arranged when a transfer command comes, in whatever way
//! `ways.rs` says. Everything that is not about data connections goes through as it is.
//!
//! One command at a time is with the server, so that every reply has one command that it can belong to. What the client
//! says meanwhile waits, but for what RFC 959 wants answered beside a transfer: NOOP and STAT by us, ABOR at once.
//!
//! * `arranging`: the server's side, way after way
//! * `transfer`: from the transfer command to its final reply, and getting in step again after one that was given up
//! * `ways`: which ways to the server's data connection are tried, and what is learnt about them
//! * `heard`: what comes in and what goes out
//! * `protection`: TLS on the client's side
//! * `filter`: what is not true through a proxy: FEAT, HELP, commands of the security extensions

mod arranging;
mod filter;
mod heard;
pub mod protection;
mod transfer;
pub mod ways;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};

use wharf_proto::data_connection::Offer;
use wharf_proto::data_connection::guard::Guard;
use wharf_proto::data_connection::port_policy::{PortPolicy, settle_target};
use wharf_proto::host_port::{write_227_text, write_228_text, write_229_text};
use wharf_proto::user_transfer::Direction;
use wharf_proto::{
    Command, CommandErrorKind, EprtArgument, EpsvArgument, Line, LprtArgument, Reply, Text, Verb,
};

use arranging::Arranging;
pub use heard::{Input, Order, Trouble, Unopened, Wait};
use protection::{Answer, Protection};
use transfer::{Settling, Transfer};
use ways::ServerWays;

/// So many lines of the client wait for their turn; then it is not read any more.
pub const WAITING: usize = 32;

/// So many preliminary replies to one command are a flood.
const PRELIMINARIES: u32 = 100;

/// So many replies that nobody asked for in one session are a flood, too: each is a line of the log.
const UNASKED: u32 = 20;

/// What a session is told about its two ends when both control connections stand.
#[derive(Clone, Debug)]
pub struct Ends {
    /// The client's end of its control connection.
    pub client: SocketAddr,
    /// Our end of the client's control connection, as the client reached it.
    pub reached: IpAddr,
    /// The server's end of its control connection: no other host is ever connected to.
    pub server: SocketAddr,
    /// What becomes of a private address in PORT.
    pub port_policy: PortPolicy,
    /// With `user@host`: the host and port that this session goes to, as they were written.
    pub host_in_user: Option<String>,
    /// Longest line of the client, for the text of the 500.
    pub line_limit: usize,
    /// So many wrong passwords, then the session ends: to the server all guesses come from our address.
    pub login_attempts: u32,
    /// TLS on the client's side, as far as it has come.
    pub protection: Protection,
}

/// Where the client's next data connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientSide {
    /// Nothing is arranged.
    Nothing,
    /// It comes to our port.
    Passive(Offer),
    /// We go to its port.
    Active(Offer),
}

/// What is going on.
#[derive(Debug)]
enum State {
    /// The client's turn.
    Idle,
    /// A command of the client's is with the server.
    Asked {
        verb: Option<&'static Verb>,
        line: Text,
    },
    /// A port for the client's data connection is being opened.
    ClientPort(Offer),
    /// The server's side of a data connection is being arranged.
    Arranging(Box<Arranging>),
    /// The transfer command is with the server.
    Transfer(Box<Transfer>),
    /// Replies to what was given up are still to come.
    Settling(Settling),
    /// Nothing more is said.
    Ended,
}

/// The dialogue of one session.
#[derive(Debug)]
pub struct Translator {
    ends: Ends,
    ways: ServerWays,
    state: State,
    waiting: VecDeque<Line>,
    client_side: ClientSide,
    /// A port that was arranged, and whose transfer was refused, stays open until the next command: clients connect
    /// before they send the command, and take a reset for the end of the session.
    stale: bool,
    logged_in: bool,
    user: Option<Text>,
    epsv_all: bool,
    failed_logins: u32,
    /// The line of a REST that the server has accepted and no transfer has used.
    restart: Option<Text>,
    preliminaries: u32,
    unasked: u32,
    orders: Vec<Order>,
}

impl Translator {
    /// Both control connections stand and the server's greeting has been passed on.
    pub fn new(ends: Ends, ways: ServerWays) -> Self {
        Self {
            ends,
            ways,
            state: State::Idle,
            waiting: VecDeque::new(),
            client_side: ClientSide::Nothing,
            stale: false,
            logged_in: false,
            user: None,
            epsv_all: false,
            failed_logins: 0,
            restart: None,
            preliminaries: 0,
            unasked: 0,
            orders: Vec::new(),
        }
    }

    /// Whether it is the client's turn: nothing is under way and nothing waits.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle) && self.waiting.is_empty()
    }

    /// What this session has learnt about its server.
    pub fn ways(&self) -> &ServerWays {
        &self.ways
    }

    /// A transfer command has come and the server's side of it is being arranged: whoever is at the client's port is there
    /// for it, and its bytes will flow this way.
    pub fn transfer_ahead(&self) -> Option<Direction> {
        match &self.state {
            State::Arranging(arranging) => Some(arranging.direction()),
            _ => None,
        }
    }

    /// Whether a transfer command is being carried out.
    pub fn is_transferring(&self) -> bool {
        matches!(self.state, State::Arranging(_) | State::Transfer(_))
    }

    /// Whether the server has accepted a login.
    pub fn is_logged_in(&self) -> bool {
        self.logged_in
    }

    /// Whether another line of the client may come.
    pub fn has_room(&self) -> bool {
        self.waiting.len() < WAITING
    }

    /// Whether QUIT waits for the end of a transfer: the client may hang up (RFC 959 §4.1.1 QUIT).
    pub fn quit_is_waiting(&self) -> bool {
        self.waiting.iter().any(|line| {
            matches!(line, Line::Command(line) if word_of(line).eq_ignore_ascii_case(b"QUIT"))
        })
    }

    /// What is to be done now that this has happened.
    pub fn hear(&mut self, input: Input) -> Vec<Order> {
        match input {
            _ if matches!(self.state, State::Ended) => {}
            Input::Line(line) => self.heard_line(line),
            Input::Reply(reply) => self.heard_reply(reply),
            Input::ServerGone => self.server_gone(),
            Input::ClientPort(outcome) => self.client_port(outcome),
            Input::ServerPort(outcome) => self.server_port(outcome),
            Input::ClientReady(outcome) => self.client_ready(outcome),
            Input::ClientData(outcome) => self.client_data(outcome),
            Input::ServerData(outcome) => self.server_data(outcome),
            Input::Moved(outcome) => self.moved(outcome),
            Input::Late => self.late(),
        }
        while matches!(self.state, State::Idle) {
            let Some(line) = self.waiting.pop_front() else {
                break;
            };
            self.begin(line);
        }
        std::mem::take(&mut self.orders)
    }

    fn order(&mut self, order: Order) {
        self.orders.push(order);
    }

    fn tell(&mut self, code: u16, text: impl AsRef<[u8]>) {
        self.order(Order::ToClient(Reply::new(code, text)));
    }

    fn hang_up(&mut self) {
        self.order(Order::HangUp);
        self.waiting.clear();
        self.state = State::Ended;
    }

    fn heard_line(&mut self, line: Line) {
        if matches!(self.state, State::Idle) {
            return self.begin(line);
        }
        let busy = matches!(
            self.state,
            State::Arranging(_) | State::Transfer(_) | State::Settling(_)
        );
        match &line {
            // Telnet's "listen now": we do.
            Line::Synch => {}
            Line::Command(text) if busy => {
                let word = word_of(text);
                let alone = text.trim_ascii().len() == word.len();
                let first = self.waiting.is_empty();
                if word.eq_ignore_ascii_case(b"ABOR") && !matches!(self.state, State::Settling(_)) {
                    self.abort();
                } else if word.eq_ignore_ascii_case(b"NOOP") && first {
                    let settling = matches!(self.state, State::Settling(_));
                    let text = if settling {
                        "NOOP ok"
                    } else {
                        "Transfer goes on"
                    };
                    self.tell(200, text);
                } else if word.eq_ignore_ascii_case(b"STAT") && alone && first {
                    self.order(Order::TellProgress);
                } else {
                    self.waiting.push_back(line);
                }
            }
            _ => self.waiting.push_back(line),
        }
    }

    /// A line whose turn it is.
    fn begin(&mut self, line: Line) {
        let line = match line {
            Line::Synch => return,
            Line::TooLong => {
                let limit = self.ends.line_limit;
                return self.tell(500, format!("Line longer than {limit} octets"));
            }
            Line::Command(line) => line,
        };
        if std::mem::take(&mut self.stale) {
            self.order(Order::Release);
        }
        let line = trimmed(&line);
        let Ok(text) = Text::new(line) else {
            return self.tell(501, "A line must not contain CR or NUL");
        };
        let parsed = Command::parse(line);
        let verb = match &parsed {
            Ok(command) => Some(command.verb()),
            Err(error) => error.verb,
        };
        if let Err(error) = &parsed
            && error.kind == CommandErrorKind::ForeignProtocol
        {
            self.order(Order::ToClient(error.reply()));
            return self.hang_up();
        }
        let protection = &mut self.ends.protection;
        if let Some(answer) = protection.answer(word_of(line), parsed.as_ref().ok()) {
            return self.protect(answer);
        }
        match verb.map_or("", |verb| verb.word) {
            "PORT" | "EPRT" | "LPRT" | "PASV" | "EPSV" | "LPSV" => {
                match (self.may_arrange(&parsed), parsed) {
                    (Err(refusal), _) => self.order(Order::ToClient(refusal)),
                    (Ok(()), Ok(command)) => self.arrange(command),
                    (Ok(()), Err(error)) => self.order(Order::ToClient(error.reply())),
                }
            }
            "RETR" | "LIST" | "NLST" | "MLSD" => self.transfer(text, Direction::Download),
            "STOR" | "STOU" | "APPE" => self.transfer(text, Direction::Upload),
            "USER" if self.ends.host_in_user.is_some() => self.user_at_host(verb, &text),
            _ => self.ask(verb, text),
        }
    }

    fn protect(&mut self, answer: Answer) {
        match answer {
            Answer::Say(reply) => self.order(Order::ToClient(reply)),
            Answer::ProtectData(whether, reply) => {
                // A shared port waits for one kind of connection or the other.
                if matches!(self.client_side, ClientSide::Passive(_)) {
                    self.client_side = ClientSide::Nothing;
                    self.order(Order::Release);
                }
                self.order(Order::ProtectData(whether));
                self.order(Order::ToClient(reply));
            }
            // What has come in clear behind it must never be taken for protected.
            Answer::Secure(_) if !self.waiting.is_empty() => {
                self.tell(421, "Nothing may follow AUTH in clear, goodbye");
                self.hang_up();
            }
            Answer::Secure(reply) => {
                self.ends.protection.secured(false);
                self.order(Order::ToClient(reply));
                self.order(Order::SecureClient);
            }
        }
    }

    /// A command that is the server's.
    fn ask(&mut self, verb: Option<&'static Verb>, line: Text) {
        self.order(Order::ToServer(line.clone()));
        self.preliminaries = 0;
        self.state = State::Asked { verb, line };
    }

    /// USER again, on a session that goes to one host already.
    fn user_at_host(&mut self, verb: Option<&'static Verb>, line: &Text) {
        let argument = argument_of(line.as_bytes());
        let at = argument.iter().rposition(|byte| *byte == b'@');
        let here = self.ends.host_in_user.clone().unwrap_or_default();
        let name = match at.and_then(|at| argument.split_at_checked(at)) {
            None => argument,
            Some((name, host)) if host.get(1..) == Some(here.as_bytes()) => name,
            Some(_) => {
                let text =
                    format!("This session goes to {here}; open another one for another server");
                return self.tell(530, text);
            }
        };
        let mut plain = b"USER ".to_vec();
        plain.extend_from_slice(name);
        match Text::new(plain) {
            Ok(plain) => self.ask(verb, plain),
            Err(_) => self.tell(501, "Syntax: USER <SP> <username>"),
        }
    }

    /// Whether the client may arrange a data connection in this way now.
    fn may_arrange(
        &self,
        parsed: &Result<Command, wharf_proto::CommandError>,
    ) -> Result<(), Reply> {
        if !self.logged_in {
            return Err(Reply::new(530, "Log in first"));
        }
        let epsv = matches!(parsed, Ok(command) if command.verb().word == "EPSV")
            || matches!(parsed, Err(error) if error.verb.is_some_and(|verb| verb.word == "EPSV"));
        if self.epsv_all && !epsv {
            return Err(Reply::new(503, "only EPSV is allowed after EPSV ALL"));
        }
        Ok(())
    }

    /// The client's side of the next data connection: between it and us.
    fn arrange(&mut self, command: Command) {
        let ipv4 = self.ends.reached.to_canonical().is_ipv4();
        match command {
            Command::Port(to) => self.aim(to.into(), Offer::Port),
            Command::Eprt(EprtArgument::Address(to)) => self.aim(to, Offer::Eprt),
            Command::Lprt(LprtArgument::Address(to)) => self.aim(to, Offer::Lprt),
            Command::Lprt(LprtArgument::UnknownFamily(_)) => {
                self.tell(521, "Supported address families are (4, 6)");
            }
            Command::Pasv if !ipv4 => {
                // A 227 has room for IPv4 only (RFC 2428 §3).
                self.tell(501, "PASV is for IPv4; use EPSV on this connection");
            }
            Command::Pasv => self.listen(Offer::Pasv),
            Command::Lpsv => self.listen(Offer::Lprt),
            Command::Epsv(EpsvArgument::All) => {
                self.epsv_all = true;
                self.tell(200, "From now on EPSV only");
            }
            Command::Epsv(EpsvArgument::Unspecified) => self.listen(Offer::Epsv),
            Command::Epsv(EpsvArgument::Ipv4) if ipv4 => self.listen(Offer::Epsv),
            Command::Epsv(EpsvArgument::Ipv6) if !ipv4 => self.listen(Offer::Epsv),
            _ => self.other_protocol(),
        }
    }

    /// RFC 2428 §2: the reply lists in parentheses what would be understood.
    fn other_protocol(&mut self) {
        let ipv4 = self.ends.reached.to_canonical().is_ipv4();
        let number = if ipv4 { 1 } else { 2 };
        let text = format!("Network protocol not supported, use ({number})");
        self.tell(522, text);
    }

    fn aim(&mut self, named: SocketAddr, offer: Offer) {
        let peer = self.ends.client;
        match settle_target(peer.ip(), named, self.ends.port_policy) {
            Ok(target) => {
                let to = Guard::scoped(peer, target.to);
                self.order(Order::AimAtClient(to));
                self.client_side = ClientSide::Active(offer);
                match target.instead_of {
                    None => self.tell(200, format!("{offer} accepted")),
                    Some(_) => self.tell(200, format!("{offer} accepted, to your address {to}")),
                }
            }
            Err(refusal) => {
                self.order(Order::Note(format!("{offer} refused: {refusal}")));
                self.order(Order::ToClient(refusal.reply(offer)));
            }
        }
    }

    fn listen(&mut self, offer: Offer) {
        self.client_side = ClientSide::Nothing;
        self.order(Order::ListenForClient(offer));
        self.state = State::ClientPort(offer);
    }

    fn client_port(&mut self, outcome: Result<SocketAddr, String>) {
        let State::ClientPort(offer) = self.state else {
            return;
        };
        self.state = State::Idle;
        let at = match outcome {
            Ok(at) => at,
            Err(text) => return self.tell(425, text),
        };
        match (offer, at) {
            (Offer::Pasv, SocketAddr::V4(at)) => self.tell(227, write_227_text(at)),
            (Offer::Pasv, SocketAddr::V6(at)) => match at.ip().to_canonical() {
                IpAddr::V4(ip) => {
                    self.tell(227, write_227_text(SocketAddrV4::new(ip, at.port())));
                }
                IpAddr::V6(_) => {
                    self.order(Order::Release);
                    return self.tell(501, "PASV is for IPv4; use EPSV");
                }
            },
            (Offer::Lprt, at) => self.tell(228, write_228_text(at)),
            (_, at) => self.tell(229, write_229_text(at.port())),
        }
        self.client_side = ClientSide::Passive(offer);
    }

    fn heard_reply(&mut self, reply: Reply) {
        match &self.state {
            State::Asked { verb, line } => {
                let (verb, line) = (*verb, line.clone());
                self.answered(verb, &line, reply);
            }
            State::Arranging(_) => self.arranging_reply(reply),
            State::Transfer(_) => self.transfer_reply(reply),
            State::Settling(_) => self.settling_reply(reply),
            // Nobody asked: a goodbye, or a server that answers twice.
            State::Idle | State::ClientPort(_) if reply.code() == 421 => {
                self.order(Order::ToClient(reply));
                self.hang_up();
            }
            State::Idle | State::ClientPort(_) => self.unasked(&reply),
            State::Ended => {}
        }
    }

    /// The server's reply to a command that was passed on.
    fn answered(&mut self, verb: Option<&'static Verb>, line: &Text, reply: Reply) {
        let code = reply.code();
        if reply.is_preliminary() {
            if !self.count_preliminary() {
                return;
            }
            return self.order(Order::ToClient(reply));
        }
        self.state = State::Idle;
        let word = verb.map_or("", |verb| verb.word);
        match (word, code) {
            // Another user, whose password is still to come; a server that refuses the change keeps the login.
            ("USER", 300..=399) => {
                self.user = Some(Text::lossy(argument_of(line.as_bytes())));
                if std::mem::take(&mut self.logged_in) {
                    self.order(Order::LoggedOut);
                }
            }
            ("USER" | "PASS" | "ACCT", 200..=299) => {
                if word == "USER" {
                    self.user = Some(Text::lossy(argument_of(line.as_bytes())));
                }
                self.logged_in = true;
                let user = self.user.clone().unwrap_or(Text::EMPTY);
                self.order(Order::LoggedIn(user));
            }
            ("REIN", 200..=299) => {
                self.logged_in = false;
                self.epsv_all = false;
                self.restart = None;
                self.client_side = ClientSide::Nothing;
                self.order(Order::Release);
                self.order(Order::LoggedOut);
            }
            ("PASS" | "ACCT", 430 | 530) => self.failed_logins += 1,
            ("REST", 300..=399) => self.restart = Some(line.clone()),
            ("REST", _) => self.restart = None,
            _ => {}
        }
        let alone = argument_of(line.as_bytes()).is_empty();
        let reply = match word {
            "FEAT" => filter::features(reply, self.ends.protection.features()),
            "HELP" if alone => filter::help(reply),
            _ => reply,
        };
        self.order(Order::ToClient(reply));
        if word == "QUIT" || code == 421 {
            self.hang_up();
        } else if self.failed_logins >= self.ends.login_attempts {
            self.tell(421, "Too many wrong passwords, goodbye");
            self.hang_up();
        }
    }

    /// Whether one more may come; a server that floods is left.
    fn count_preliminary(&mut self) -> bool {
        self.preliminaries += 1;
        if self.preliminaries <= PRELIMINARIES {
            return true;
        }
        self.flooded();
        false
    }

    /// A reply that belongs to nothing.
    fn unasked(&mut self, reply: &Reply) {
        self.unasked += 1;
        if self.unasked > UNASKED {
            return self.flooded();
        }
        let note = format!("a reply that nobody asked for was dropped: {reply}");
        self.order(Order::Note(note));
    }

    fn flooded(&mut self) {
        self.order(Order::Cut);
        self.tell(
            421,
            "The server floods this connection with replies, goodbye",
        );
        self.hang_up();
    }

    fn server_gone(&mut self) {
        if let State::Transfer(transfer) = &mut self.state
            && transfer.is_answered()
        {
            // All is said; the rest is between the data connections.
            transfer.server_gone = true;
            return;
        }
        self.order(Order::Cut);
        self.tell(421, "The server has closed the control connection, goodbye");
        self.hang_up();
    }
}

/// The line without the remains of a Telnet Synch that lost its urgent byte.
fn trimmed(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|byte| !matches!(byte, 0xf0..=0xff));
    start
        .and_then(|start| line.get(start..))
        .unwrap_or_default()
}

/// The first word of a line.
pub(crate) fn word_of(line: &[u8]) -> &[u8] {
    let line = trimmed(line).trim_ascii_start();
    line.split(|byte| *byte == b' ').next().unwrap_or_default()
}

/// What follows the first word and its space.
pub(crate) fn argument_of(line: &[u8]) -> &[u8] {
    let line = trimmed(line).trim_ascii_start();
    match line.iter().position(|byte| *byte == b' ') {
        Some(at) => line.get(at + 1..).unwrap_or_default(),
        None => &[],
    }
}
