//! Events become rungs, one session at a time and as they come: the same for a file and for a session that runs.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wharf_proto::data_connection::{Opener, canonical};
use wharf_proto::trace::{Event, GIVEN_UP, Side, TlsStep, What};

use crate::folding::{self, Fold};
use crate::ladder::{Connection, Direction, Options, Rung, Session, Step};
use crate::naming::Named;
use crate::secured::tls_told;
use crate::shown;

/// The session being drawn.
#[derive(Debug)]
pub struct Drawing {
    options: Options,
    session: Session,
    /// The ports of the control connection: the user's, the server's.
    control: (Option<u16>, Option<u16>),
    /// The ports of the present data connection.
    data: (Option<u16>, Option<u16>),
    /// Where the listening side says that it listens.
    named: Option<Named>,
    /// Which way the present transfer goes.
    direction: Direction,
    /// The port at which the recorder listens.
    listening: Option<u16>,
    /// Since when a data connection is waited for, and since when it is there.
    waiting: Option<Duration>,
    opened: Option<Duration>,
    /// The picture says already that there is no data connection.
    drawn_broken: bool,
    /// Commands drawn whose final reply has not come. While there are any, nothing is folded.
    outstanding: usize,
    /// Commands to be folded whose final reply has not come, with their lines.
    asked: VecDeque<(String, String, Duration)>,
    fold: Fold,
    /// A greeting that nothing followed yet.
    greeting: Option<Rung>,
    /// A reply that says that all bytes are there, while the data connection has not ended for the recorder. The two
    /// travel on connections of their own and often cross; a picture puts the bytes first.
    held: Option<Rung>,
    said_quit: bool,
    /// Of the last event.
    last: Option<Duration>,
    secrets: shown::Secrets,
}

impl Drawing {
    /// Nothing has happened yet.
    pub fn new(number: u64, options: Options) -> Self {
        Self {
            options,
            session: Session {
                number,
                seen_by: None,
                user: None,
                server: None,
                rungs: Vec::new(),
            },
            control: (None, None),
            data: (None, None),
            named: None,
            direction: Direction::Unknown,
            listening: None,
            waiting: None,
            opened: None,
            drawn_broken: false,
            outstanding: 0,
            asked: VecDeque::new(),
            fold: Fold::default(),
            greeting: None,
            held: None,
            said_quit: false,
            last: None,
            secrets: shown::Secrets::default(),
        }
    }

    /// The session so far: hosts, and the rungs that were not drained. What may still be folded is not among them.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Takes the rungs that are ready.
    pub fn drain(&mut self) -> Vec<Rung> {
        std::mem::take(&mut self.session.rungs)
    }

    /// Nothing more will happen.
    pub fn finish(mut self) -> Session {
        self.settle();
        self.session
    }

    /// Something happened. Events of other sessions are not told apart here.
    pub fn event(&mut self, event: &Event) {
        let at = event.at;
        match &event.what {
            What::Connected { side, local, peer } => self.connected(at, *side, *local, *peer),
            What::Command(line) => self.command(at, line),
            What::Reply(lines) => self.reply(at, lines),
            What::DataAwaited { opener, at: place } => self.awaited(at, *opener, *place),
            What::DataOpened {
                opener,
                local,
                peer,
            } => self.opened(at, *opener, *local, *peer),
            What::DataFailed {
                opener,
                at: place,
                reason,
            } => self.failed(at, *opener, *place, reason),
            What::Stranger { peer } => self.stranger(at, *peer),
            What::DataClosed { bytes, end } => {
                let took = self.opened.take().map(|since| at.saturating_sub(since));
                let (bytes, end, direction) = (*bytes, *end, self.direction);
                let took = took.filter(|took| *took >= self.options.pause);
                let held = self.held.take();
                self.settle();
                self.push(
                    at,
                    self.data,
                    Step::Data {
                        bytes,
                        direction,
                        end,
                        took,
                    },
                );
                self.session.rungs.extend(held);
            }
            What::Closed(reason) => self.closed(at, reason),
            What::Tls { on, step } => {
                if self.greeting.is_none() {
                    self.before(at);
                }
                let failed = matches!(step, TlsStep::Failed { .. });
                let text = self.secrets.hide(&tls_told(*on, step));
                self.push(at, (None, None), Step::Tls { text, failed });
            }
            What::Note(text) => {
                // what is said of a session at its beginning does not part the greeting from the login
                if self.greeting.is_none() {
                    self.before(at);
                }
                let text = self.secrets.hide(&shown::text(text.as_bytes()));
                self.push(at, (None, None), Step::Note(text));
            }
        }
        self.last = Some(at);
    }

    fn connected(&mut self, at: Duration, side: Side, local: SocketAddr, peer: SocketAddr) {
        let (user, server) = match side {
            Side::User => (local, peer),
            Side::Server => (peer, local),
        };
        self.session.seen_by = Some(side);
        self.session.user = Some(canonical(user.ip()));
        self.session.server = Some(canonical(server.ip()));
        self.control = (Some(user.port()), Some(server.port()));
        self.before(at);
        self.push(
            at,
            self.control,
            Step::Open {
                connection: Connection::Control,
                opener: Opener::User,
                remark: None,
            },
        );
    }

    fn command(&mut self, at: Duration, line: &[u8]) {
        self.release();
        let word = shown::word(line);
        self.secrets.learn(line);
        let text = shown::command(line);
        self.said_quit |= word == "QUIT";
        if !self.options.all && self.outstanding == 0 && folding::folds(&word) {
            self.pause_before_fold(at);
            self.stretch(at);
            self.asked.push_back((shown::told_word(line), text, at));
            return;
        }
        let named = Named::by_command(line);
        self.named = named.or(self.named);
        match word.as_str() {
            "PASV" | "EPSV" | "LPSV" => self.named = None,
            "RETR" | "LIST" | "NLST" | "MLSD" => self.transfer(at, Direction::ToUser),
            "STOR" | "STOU" | "APPE" => self.transfer(at, Direction::ToServer),
            _ => {}
        }
        self.before(at);
        self.outstanding = self.outstanding.saturating_add(1);
        let port = named.and_then(Named::reckoned);
        self.push(at, self.control, Step::Command { text, port });
        if let Some(named) = named {
            self.tell_name(at, named);
        }
    }

    fn transfer(&mut self, at: Duration, direction: Direction) {
        self.direction = direction;
        self.waiting = self.opened.is_none().then_some(at);
        self.drawn_broken = false;
    }

    fn reply(&mut self, at: Duration, lines: &[Vec<u8>]) {
        let first = lines.first().map(Vec::as_slice).unwrap_or_default();
        let code = shown::code(first);
        let named = code.and_then(|code| Named::by_reply(code, first));
        let step = Step::Reply {
            text: self.secrets.hide(&shown::reply(first)),
            port: named.and_then(Named::reckoned),
            more: lines.len().saturating_sub(1),
            class: code.map_or(0, |code| u8::try_from(code / 100).unwrap_or(0)),
        };
        let preliminary = code.is_some_and(|code| code < 200);
        if let Some((word, text, asked_at)) = self.asked.front().cloned() {
            if preliminary {
                self.stretch(at);
                return;
            }
            self.asked.pop_front();
            if !code.is_some_and(|code| folding::is_grave(&word, code)) {
                self.stretch(at);
                self.fold.add(&word, code);
                return;
            }
            // a refusal that matters: the command it belongs to is drawn after all
            self.settle();
            self.push(asked_at, self.control, Step::Command { text, port: None });
            self.push(at, self.control, step);
            return;
        }
        let first_of_all = self.outstanding == 0 && self.session.rungs.len() <= 1;
        if first_of_all && !self.options.all && code == Some(220) && self.greeting.is_none() {
            self.pause_before_fold(at);
            self.greeting = Some(rung(at, self.control, step));
            self.stretch(at);
            return;
        }
        if !preliminary {
            self.outstanding = self.outstanding.saturating_sub(1);
        }
        if self.opened.is_some() && !self.options.all && matches!(code, Some(226 | 250)) {
            self.release();
            self.held = Some(rung(at, self.control, step));
            return;
        }
        self.before(at);
        if code == Some(425) && self.waiting.take().is_some() {
            self.refused(at);
        }
        self.push(at, self.control, step);
        if let Some(named) = named {
            self.named = Some(named);
            self.tell_name(at, named);
        }
    }

    fn awaited(&mut self, at: Duration, opener: Opener, place: SocketAddr) {
        self.waiting.get_or_insert(at);
        self.listening = Some(place.port());
        if !self.options.all {
            return;
        }
        self.before(at);
        let ports = match opener {
            Opener::User => (None, Some(place.port())),
            Opener::Server => (Some(place.port()), None),
        };
        self.push(at, ports, Step::Listening { opener });
    }

    fn opened(&mut self, at: Duration, opener: Opener, local: SocketAddr, peer: SocketAddr) {
        let (user, server) = match self.session.seen_by {
            Some(Side::Server) => (peer, local),
            _ => (local, peer),
        };
        self.session.user.get_or_insert(canonical(user.ip()));
        self.session.server.get_or_insert(canonical(server.ip()));
        self.data = (Some(user.port()), Some(server.port()));
        let (listener, seen, from, from_seen) = match opener {
            Opener::User => (server, self.session.server, user, self.session.user),
            Opener::Server => (user, self.session.user, server, self.session.server),
        };
        let named = self.named.filter(|named| named.opener() == opener);
        let mut remarks: Vec<String> = Vec::new();
        match named {
            Some(named) => remarks.extend(named.remark(listener, seen)),
            None => remarks.extend(elsewhere("to", listener.ip(), seen)),
        }
        remarks.extend(elsewhere("from", from.ip(), from_seen));
        let one_port = opener == Opener::User && self.data.1 == self.control.1;
        self.before(at);
        self.push(
            at,
            self.data,
            Step::Open {
                connection: if one_port {
                    Connection::DataAtControlPort
                } else {
                    Connection::Data
                },
                opener,
                remark: (!remarks.is_empty()).then(|| remarks.join(", ")),
            },
        );
        self.waiting = None;
        self.opened = Some(at);
    }

    fn failed(&mut self, at: Duration, opener: Opener, place: SocketAddr, reason: &str) {
        let reason = self.secrets.hide(&shown::text(reason.as_bytes()));
        if std::mem::take(&mut self.drawn_broken) {
            if reason == GIVEN_UP {
                return;
            }
            self.push(at, (None, None), Step::Note(reason));
            return;
        }
        let since = self.waiting.take().or(self.last);
        let waited = since
            .map(|since| at.saturating_sub(since))
            .filter(|waited| *waited >= self.options.pause && !reason.contains(" within "));
        self.settle();
        let ports = match opener {
            Opener::User => (None, Some(place.port())),
            Opener::Server => (Some(place.port()), None),
        };
        self.push(
            at,
            ports,
            Step::Broken {
                opener,
                reason: Some(reason),
                waited,
            },
        );
    }

    /// The server says that there is no data connection, and nobody else did.
    fn refused(&mut self, at: Duration) {
        let opener = self.named.map_or(Opener::Server, Named::opener);
        let port = self.named.map(|named| named.port);
        let ports = match opener {
            Opener::User => (None, port),
            Opener::Server => (port, None),
        };
        self.drawn_broken = true;
        self.push(
            at,
            ports,
            Step::Broken {
                opener,
                reason: None,
                waited: None,
            },
        );
    }

    fn stranger(&mut self, at: Duration, peer: SocketAddr) {
        self.before(at);
        let side = self.session.seen_by.unwrap_or(Side::User);
        let port = self.listening.or(self.named.map(|named| named.port));
        let ports = match side {
            Side::User => (port, None),
            Side::Server => (None, port),
        };
        self.push(
            at,
            ports,
            Step::Stranger {
                from: peer.to_string(),
                at: side,
            },
        );
    }

    fn closed(&mut self, at: Duration, reason: &str) {
        let orderly =
            matches!(reason, "closed" | "end") && (self.said_quit || self.outstanding == 0);
        if orderly && !self.options.all {
            self.settle();
            return;
        }
        self.before(at);
        let reason = shown::text(reason.as_bytes());
        self.push(at, self.control, Step::Close { reason, orderly });
    }

    fn tell_name(&mut self, at: Duration, named: Named) {
        let seen = match named.opener() {
            Opener::User => self.session.server,
            Opener::Server => self.session.user,
        };
        if let Some(note) = named.strangeness(seen, self.session.seen_by) {
            self.push(at, (None, None), Step::Elsewhere(note));
        }
    }

    /// Before a rung that is drawn: what was folded, and a pause.
    fn before(&mut self, at: Duration) {
        self.settle();
        self.pause(at);
    }

    fn pause(&mut self, at: Duration) {
        let gap = self
            .last
            .map_or(Duration::ZERO, |last| at.saturating_sub(last));
        if gap >= self.options.pause {
            self.push(at, (None, None), Step::Pause(gap));
        }
    }

    /// A fold begins, perhaps after a pause that is not its own.
    fn pause_before_fold(&mut self, at: Duration) {
        if self.asked.is_empty() && self.fold.span.is_none() && self.greeting.is_none() {
            self.pause(at);
        }
    }

    fn stretch(&mut self, at: Duration) {
        let from = self.fold.span.map_or(at, |(from, _)| from);
        self.fold.span = Some((from, at));
    }

    /// The reply that was held back.
    fn release(&mut self) {
        if let Some(held) = self.held.take() {
            self.session.rungs.push(held);
        }
    }

    /// What was folded so far becomes a rung. The end of a session does this by itself.
    pub fn settle(&mut self) {
        self.release();
        while let Some((word, _, _)) = self.asked.pop_front() {
            self.fold.add(&word, None);
        }
        let greeting = self.greeting.take();
        match self.fold.take(self.options.pause) {
            Some((at, folded)) => self.push(at, self.control, Step::Folded(folded)),
            None => self.session.rungs.extend(greeting),
        }
    }

    fn push(&mut self, at: Duration, ports: (Option<u16>, Option<u16>), step: Step) {
        self.session.rungs.push(rung(at, ports, step));
    }
}

fn rung(at: Duration, ports: (Option<u16>, Option<u16>), step: Step) -> Rung {
    Rung {
        at,
        user_port: ports.0,
        server_port: ports.1,
        step,
    }
}

fn elsewhere(way: &str, real: IpAddr, seen: Option<IpAddr>) -> Option<String> {
    let real = canonical(real);
    seen.filter(|seen| canonical(*seen) != real)
        .map(|_| format!("{way} {real}"))
}
