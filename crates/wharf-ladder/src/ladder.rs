//! A session as a picture's plain values: two hosts and, between them, one rung for everything that happened.
//!
//! Every text in here is fit for people: secrets hidden, control characters visible, of bounded length. The renderers
//! only choose lines and colours, so what one of them shows, all of them show.

use std::net::IpAddr;
use std::time::Duration;

use wharf_proto::data_connection::Opener;
use wharf_proto::trace::{DataEnd, Event, Side};

use crate::drawing::Drawing;

/// What is to be seen of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Every command and reply. Otherwise login, parameters and questions about files are folded into one rung, as
    /// the data connections are what a picture is looked at for.
    pub all: bool,
    /// Only this session.
    pub session: Option<u64>,
    /// From this length on a pause is drawn.
    pub pause: Duration,
    /// So many rungs are drawn at most, in all sessions together.
    pub most: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            all: false,
            session: None,
            pause: Duration::from_millis(500),
            most: 2_000,
        }
    }
}

/// The sessions of a trace, one below the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ladder {
    /// In the order in which they began.
    pub sessions: Vec<Session>,
    /// Rungs behind [`Options::most`].
    pub left_out: usize,
}

/// One control connection and its data connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The recorder's number.
    pub number: u64,
    /// Who recorded it, where the trace says so.
    pub seen_by: Option<Side>,
    /// The address of the user-PI as the recorder sees it.
    pub user: Option<IpAddr>,
    /// The address of the server-PI as the recorder sees it.
    pub server: Option<IpAddr>,
    /// What happened.
    pub rungs: Vec<Rung>,
}

/// One line of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    /// Since the recording of this session began.
    pub at: Duration,
    /// The user's port that it touches.
    pub user_port: Option<u16>,
    /// The server's port that it touches.
    pub server_port: Option<u16>,
    /// What it is.
    pub step: Step,
}

/// What a rung shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A connection was opened: the direction of the SYN.
    Open {
        /// Which connection.
        connection: Connection,
        /// Who opened it.
        opener: Opener,
        /// Worth telling about its addresses, e.g. that they are not those that the command named.
        remark: Option<String>,
    },
    /// A command.
    Command {
        /// The line.
        text: String,
        /// The port it names, where that stands there as two numbers.
        port: Option<u16>,
    },
    /// A reply: its first line, and how many follow.
    Reply {
        /// The first line.
        text: String,
        /// The port it names, where that stands there as two numbers.
        port: Option<u16>,
        /// Further lines.
        more: usize,
        /// Its first digit, 0 if it has none.
        class: u8,
    },
    /// Commands that matter less, with their replies.
    Folded(Folded),
    /// Somebody listens for a data connection.
    Listening {
        /// Who will open it; the other side listens.
        opener: Opener,
    },
    /// Bytes went over the data connection.
    Data {
        /// How many, in both directions together.
        bytes: u64,
        /// Which way.
        direction: Direction,
        /// How the connection ended.
        end: DataEnd,
        /// Since it was opened, where that is a pause.
        took: Option<Duration>,
    },
    /// The data connection did not come about.
    Broken {
        /// Who should have opened it.
        opener: Opener,
        /// What was seen, if that is not what the next reply says.
        reason: Option<String>,
        /// How long it was waited, if that is a pause and the reason does not say it.
        waited: Option<Duration>,
    },
    /// Somebody who may not have it came for the data connection.
    Stranger {
        /// Who came.
        from: String,
        /// The side at whose port.
        at: Side,
    },
    /// TLS began or ended on a connection, or did not begin.
    Tls {
        /// In words.
        text: String,
        /// It did not, and the connection is gone.
        failed: bool,
    },
    /// Nothing happened for a while.
    Pause(Duration),
    /// The control connection ended.
    Close {
        /// In words.
        reason: String,
        /// After QUIT, or at least not in the middle of something.
        orderly: bool,
    },
    /// An address that a command or reply names, and nobody sees there: a NAT, as a rule.
    Elsewhere(String),
    /// What the recorder found worth telling.
    Note(String),
}

/// Which of FTP's two connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// Commands and replies.
    Control,
    /// A file or listing, at a port of its own.
    Data,
    /// A file or listing, and the server listens for it at the port of the control connection.
    DataAtControlPort,
}

/// Which way the bytes of a data connection went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Uploads.
    ToServer,
    /// Downloads and listings.
    ToUser,
    /// No transfer command was seen.
    Unknown,
}

/// Exchanges of commands and replies that a picture shows as one rung.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folded {
    /// A login that succeeded is among them.
    pub login: bool,
    /// The other commands' words, in order; a refused one with its code, a repeated one once with its number.
    pub commands: Vec<String>,
    /// How many commands these were, without the login.
    pub count: usize,
    /// All together, if that is a pause.
    pub took: Option<Duration>,
}

impl Ladder {
    /// Draws what a trace tells.
    pub fn from_events(events: &[Event], options: &Options) -> Self {
        let mut ladder = Self::default();
        let mut drawings: Vec<Drawing> = Vec::new();
        // where the drawing of a session's number is
        let mut places = std::collections::HashMap::new();
        for event in events {
            if options.session.is_some_and(|only| only != event.session) {
                continue;
            }
            let anew = matches!(event.what, wharf_proto::trace::What::Connected { .. });
            let place = match places.get(&event.session) {
                Some(&place) if !anew => place,
                _ => {
                    drawings.push(Drawing::new(event.session, options.clone()));
                    places.insert(event.session, drawings.len() - 1);
                    drawings.len() - 1
                }
            };
            if let Some(drawing) = drawings.get_mut(place) {
                drawing.event(event);
            }
        }
        let mut room = options.most;
        for drawing in drawings {
            let mut session = drawing.finish();
            let over = session.rungs.len().saturating_sub(room);
            ladder.left_out += over;
            room = room.saturating_sub(session.rungs.len());
            session.rungs.truncate(session.rungs.len() - over);
            if over == 0 || !session.rungs.is_empty() {
                ladder.sessions.push(session);
            }
        }
        ladder
    }
}
