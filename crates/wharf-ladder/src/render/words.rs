//! What every picture says about a rung.

use wharf_proto::data_connection::Opener;
use wharf_proto::trace::{DataEnd, Side};

use super::columns::{fit, width};
use super::seconds;
use crate::ladder::{Connection, Direction, Ladder, Rung, Session, Step};

/// Which way the line of a rung runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToUser,
    Both,
}

/// What the line of a rung stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Command,
    /// Of a reply's first digit.
    Reply(u8),
    OpenControl,
    OpenData,
    Data,
    /// Does not arrive.
    Broken,
}

/// How much words matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Aside,
    /// This may be why.
    Remark,
    /// This broke.
    Alarm,
}

/// A rung in the form that all pictures have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A line from one side to the other; what stands below it, if it needs more words.
    Line {
        way: Way,
        kind: Kind,
        label: String,
        /// Follows the label and is not cut.
        tail: String,
        below: Option<String>,
    },
    /// Words between the two sides, of no connection in particular.
    Words { text: String, tone: Tone },
    /// What was folded; the words depend on the room.
    Folded,
    /// Time goes by.
    Gap(String),
    /// The control connection ends.
    End { text: String, tone: Tone },
}

pub(crate) fn shape(rung: &Rung) -> Shape {
    match &rung.step {
        Step::Open {
            connection,
            opener,
            remark,
        } => Shape::Line {
            way: way(*opener),
            kind: match connection {
                Connection::Control => Kind::OpenControl,
                Connection::Data | Connection::DataAtControlPort => Kind::OpenData,
            },
            label: opens(*connection, remark.as_deref()),
            tail: String::new(),
            below: None,
        },
        Step::Command { text, port } => Shape::Line {
            way: Way::ToServer,
            kind: Kind::Command,
            label: text.clone(),
            tail: reckoned(*port),
            below: None,
        },
        Step::Reply {
            text,
            port,
            more,
            class,
        } => Shape::Line {
            way: Way::ToUser,
            kind: Kind::Reply(*class),
            // a full stop would stand between the numbers and what they make
            label: match port {
                Some(_) => text.trim_end_matches('.').to_owned(),
                None => text.clone(),
            },
            tail: match more {
                0 => reckoned(*port),
                1 => " (+ 1 line)".to_owned(),
                more => format!(" (+ {more} lines)"),
            },
            below: None,
        },
        Step::Folded(_) => Shape::Folded,
        Step::Listening { opener } => Shape::Words {
            text: match opener {
                Opener::User => "the server listens for the data connection".to_owned(),
                Opener::Server => "the user listens for the data connection".to_owned(),
            },
            tone: Tone::Aside,
        },
        Step::Data {
            bytes,
            direction,
            end,
            took,
        } => {
            let after = took.map_or(String::new(), |took| format!(" in {}", seconds(took)));
            Shape::Line {
                way: match direction {
                    Direction::ToServer => Way::ToServer,
                    Direction::ToUser => Way::ToUser,
                    Direction::Unknown => Way::Both,
                },
                kind: if *end == DataEnd::Clean {
                    Kind::Data
                } else {
                    Kind::Broken
                },
                label: match (*bytes, *end) {
                    (_, DataEnd::Clean) => format!("{}{after}", counted(*bytes)),
                    (0, end) => format!("{} before the first byte{after}", ended(end)),
                    (_, end) => format!("{} after {}{after}", ended(end), counted(*bytes)),
                },
                tail: String::new(),
                below: None,
            }
        }
        Step::Broken {
            opener,
            reason,
            waited,
        } => Shape::Line {
            way: way(*opener),
            kind: Kind::Broken,
            label: "data connection".to_owned(),
            tail: String::new(),
            below: match (reason, waited) {
                (Some(reason), Some(waited)) => {
                    Some(format!("{reason}, after {}", seconds(*waited)))
                }
                (reason, _) => reason.clone(),
            },
        },
        Step::Stranger { from, at } => Shape::Words {
            text: match at {
                Side::User => format!("stranger {from} came to the user's port: dropped"),
                Side::Server => format!("stranger {from} came to the server's port: dropped"),
            },
            tone: Tone::Alarm,
        },
        Step::Tls { text, failed } => Shape::Words {
            text: text.clone(),
            tone: if *failed { Tone::Alarm } else { Tone::Aside },
        },
        Step::Pause(time) => Shape::Gap(seconds(*time)),
        Step::Close { reason, orderly } => Shape::End {
            text: match (reason.as_str(), orderly) {
                ("closed" | "end" | "", _) => "the control connection ends".to_owned(),
                (reason, _) => format!("the control connection ends: {reason}"),
            },
            tone: if *orderly { Tone::Aside } else { Tone::Alarm },
        },
        Step::Elsewhere(text) => Shape::Words {
            text: text.clone(),
            tone: Tone::Remark,
        },
        Step::Note(text) => Shape::Words {
            text: text.clone(),
            tone: Tone::Aside,
        },
    }
}

fn way(opener: Opener) -> Way {
    match opener {
        Opener::User => Way::ToServer,
        Opener::Server => Way::ToUser,
    }
}

fn opens(connection: Connection, remark: Option<&str>) -> String {
    let what = match connection {
        Connection::Control => "control connection",
        Connection::Data => "data connection",
        Connection::DataAtControlPort => "data connection, to the control port",
    };
    match remark {
        Some(remark) => format!("{what}, {remark}"),
        None => what.to_owned(),
    }
}

fn ended(end: DataEnd) -> &'static str {
    match end {
        DataEnd::Clean => "ended",
        DataEnd::Broken => "broken",
        DataEnd::Aborted => "given up",
        DataEnd::Stalled => "stalled",
    }
}

/// The words of a line in so many columns: what is cut is the label, never the tail.
pub(crate) fn fitted(label: &str, tail: &str, room: usize, ellipsis: &str) -> String {
    // `= port 50213` where there is room, otherwise `= 50213`
    let tail = if width(label) + width(tail) > room {
        tail.replacen(" = port ", " = ", 1)
    } else {
        tail.to_owned()
    };
    fit(label, room.saturating_sub(width(&tail)), ellipsis) + &tail
}

/// Nobody multiplies by 256 in his head.
fn reckoned(port: Option<u16>) -> String {
    port.map_or(String::new(), |port| format!(" = port {port}"))
}

/// `1 byte`, `100,000 bytes`.
fn counted(bytes: u64) -> String {
    let digits = bytes.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text.push_str(if bytes == 1 { " byte" } else { " bytes" });
    text
}

/// What stands above a session.
pub(crate) struct Title {
    pub(crate) user: String,
    pub(crate) server: String,
    /// Where there are several sessions, and it is not alone.
    pub(crate) heading: Option<String>,
}

pub(crate) fn title(session: &Session, alone: bool) -> Title {
    let name =
        |address: Option<std::net::IpAddr>| address.map_or("?".to_owned(), |it| it.to_string());
    Title {
        user: name(session.user),
        server: name(session.server),
        heading: (!alone).then(|| format!("session {}", session.number)),
    }
}

/// What stands below the whole picture.
pub(crate) fn remainder(ladder: &Ladder) -> Option<String> {
    match ladder.left_out {
        0 if ladder.sessions.is_empty() => Some("nothing happened".to_owned()),
        0 => None,
        1 => Some("1 more is not drawn".to_owned()),
        more => Some(format!("{more} more are not drawn")),
    }
}
