//! The picture as lines of text: one line a rung, the ports at its ends.
//!
//! ```text
//! user                                         server
//! 192.0.2.7                               203.0.113.9
//!       │                                     │
//! 40000 ├─ EPSV ─────────────────────────────▶│ 21
//! 40001 ╞═ data connection ══════════════════▶│ 51213
//! ```
//!
//! A single line is the control connection, a double line a data connection, and the head of an arrow is where the SYN,
//! the line or the bytes went.

use std::fmt::Write as _;

use super::Look;
use super::columns::{ascii, width, wrap};
use super::words::{self, Kind, Shape, Tone, Way, shape};
use crate::ladder::{Ladder, Rung, Session, Step};

/// The least columns between the two sides, and the most of a picture: longer arrows are hard to follow.
const NARROWEST: usize = 24;
const WIDEST: usize = 110;

/// Columns of a port and the space between it and the side.
const PORT: usize = 6;

/// Columns of a time.
const TIME: usize = 10;

/// Lines that the reason of a failure may take.
const REASON_LINES: usize = 3;

/// The picture of all sessions. Every line is at most `look.width` wide, as long as that is 50 or more.
pub fn text(ladder: &Ladder, look: &Look) -> String {
    let mut out = String::new();
    let alone = ladder.sessions.len() == 1;
    for (number, session) in ladder.sessions.iter().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        let painter = Painter::new(look, Some(session));
        out.push_str(&painter.head(session, alone));
        for rung in &session.rungs {
            out.push_str(&painter.rung(rung));
        }
    }
    if let Some(remainder) = words::remainder(ladder) {
        let _ = writeln!(out, "({remainder})");
    }
    out
}

/// Draws the lines of one session, at once or as they come.
#[derive(Debug, Clone)]
pub struct Painter {
    look: Look,
    /// Columns between the two sides.
    room: usize,
    pen: &'static Pen,
}

/// The signs of a picture.
#[derive(Debug)]
struct Pen {
    side: &'static str,
    leaves: [&'static str; 2],
    arrives: [&'static str; 2],
    line: [&'static str; 2],
    to_server: &'static str,
    to_user: &'static str,
    cut: &'static str,
    gap: &'static str,
    ellipsis: &'static str,
}

const LINES: Pen = Pen {
    side: "│",
    leaves: ["├", "╞"],
    arrives: ["┤", "╡"],
    line: ["─", "═"],
    to_server: "▶",
    to_user: "◀",
    cut: "✗",
    gap: "⋮",
    ellipsis: "…",
};

const ASCII: Pen = Pen {
    side: "|",
    leaves: ["|", "|"],
    arrives: ["|", "|"],
    line: ["-", "="],
    to_server: ">",
    to_user: "<",
    cut: "X",
    gap: ":",
    ellipsis: "...",
};

impl Painter {
    /// As wide as the longest rung of the session needs; for one that still runs, as wide as may be.
    pub fn new(look: &Look, session: Option<&Session>) -> Self {
        let beside = 2 * PORT + 2 + if look.times { TIME } else { 0 };
        let most = look.width.min(WIDEST).saturating_sub(beside).max(NARROWEST);
        let room = session.map_or(most, |session| {
            let longest = session.rungs.iter().map(needs).max().unwrap_or(0);
            longest.max(title_needs(session)).clamp(44.min(most), most)
        });
        Self {
            look: look.clone(),
            room,
            pen: if look.ascii { &ASCII } else { &LINES },
        }
    }

    /// The two hosts.
    pub fn head(&self, session: &Session, alone: bool) -> String {
        let title = words::title(session, alone);
        let mut out = String::new();
        if let Some(heading) = title.heading {
            let _ = writeln!(out, "{}", self.paint("1", &heading));
        }
        let indent = " ".repeat(if self.look.times { TIME } else { 0 });
        let all = self.room + 2 * PORT + 2;
        for (left, right, colour) in [("user", "server", "1"), (&title.user, &title.server, "")] {
            let gap = all.saturating_sub(width(left) + width(right));
            if gap == 0 {
                // two long addresses do not stand side by side
                let right_below = " ".repeat(all.saturating_sub(width(right)));
                let _ = writeln!(out, "{indent}{left}\n{indent}{right_below}{right}");
                continue;
            }
            let (left, right) = (self.paint(colour, left), self.paint(colour, right));
            let _ = writeln!(out, "{indent}{left}{}{right}", " ".repeat(gap));
        }
        out.push_str(&self.bare(""));
        out
    }

    /// Whose rungs follow, where its hosts were told before.
    pub fn again(&self, session: &Session) -> String {
        let heading = words::title(session, false).heading.unwrap_or_default();
        format!("{}\n", self.paint("1", &heading))
    }

    /// One rung, one line or a few.
    pub fn rung(&self, rung: &Rung) -> String {
        match shape(rung) {
            Shape::Line {
                way,
                kind,
                label,
                tail,
                below,
            } => {
                let body = self.arrow(way, kind, &label, &tail);
                let mut out = self.line(rung, &body);
                if let Some(below) = below {
                    out.push_str(&self.words(&below, Tone::Alarm));
                }
                out
            }
            Shape::Words { text, tone } | Shape::End { text, tone } => self.words(&text, tone),
            Shape::Folded => {
                let Step::Folded(folded) = &rung.step else {
                    return String::new();
                };
                let text = folded.summary(self.room.saturating_sub(4) * 2);
                self.words(&text, Tone::Aside)
            }
            Shape::Gap(text) => self.bare(&format!("{} {text}", self.pen.gap)),
        }
    }

    /// A line with ports at its ends.
    fn line(&self, rung: &Rung, body: &str) -> String {
        let port = |port: Option<u16>| port.map_or(String::new(), |port| port.to_string());
        let time = if self.look.times {
            let at = rung.at;
            format!("{:>5}.{:03} ", at.as_secs(), at.subsec_millis())
        } else {
            String::new()
        };
        format!(
            "{time}{:>5} {body} {}\n",
            port(rung.user_port),
            port(rung.server_port)
        )
        .trim_end()
        .to_owned()
            + "\n"
    }

    /// From side to side.
    fn arrow(&self, way: Way, kind: Kind, label: &str, tail: &str) -> String {
        let pen = self.pen;
        let data = usize::from(matches!(kind, Kind::OpenData | Kind::Data | Kind::Broken));
        let pick = |signs: &[&'static str; 2]| signs.get(data).copied().unwrap_or_default();
        let (line, leaves, arrives) = (pick(&pen.line), pick(&pen.leaves), pick(&pen.arrives));
        let broken = kind == Kind::Broken;
        // a broken one ends where two thirds of the way are done
        let (label, tail) = (self.clean(label), self.clean(tail));
        let length = if broken {
            (self.room * 2 / 3)
                .max(width(&label) + 6)
                .min(self.room.saturating_sub(4))
        } else {
            self.room
        };
        let label = words::fitted(&label, &tail, length.saturating_sub(5), pen.ellipsis);
        let rest = line.repeat(length.saturating_sub(width(&label) + 5));
        let free = " ".repeat(self.room - length);
        let colour = colour(kind);
        let cut = pen.cut;
        let body = match (way, broken) {
            (Way::ToServer, false) => {
                return format!(
                    "{}{}",
                    self.paint(
                        colour,
                        &format!("{leaves}{line} {label} {line}{rest}{}", pen.to_server)
                    ),
                    pen.side
                );
            }
            (Way::ToUser, false) => {
                return format!(
                    "{}{}",
                    pen.side,
                    self.paint(
                        colour,
                        &format!("{}{line} {label} {line}{rest}{arrives}", pen.to_user)
                    )
                );
            }
            (Way::ToServer | Way::Both, true) => {
                format!("{leaves}{line} {label} {line}{rest}{cut}{free}{}", pen.side)
            }
            (Way::ToUser, true) => {
                format!(
                    "{}{free}{cut}{line} {label} {line}{rest}{arrives}",
                    pen.side
                )
            }
            (Way::Both, false) => {
                let rest = line.repeat(length.saturating_sub(width(&label) + 5));
                format!(
                    "{}{}{line} {label} {rest}{}{}",
                    pen.side, pen.to_user, pen.to_server, pen.side
                )
            }
        };
        self.paint(colour, &body)
    }

    /// Words between the sides.
    fn words(&self, text: &str, tone: Tone) -> String {
        let colour = match tone {
            Tone::Aside => "2",
            Tone::Remark => "33",
            Tone::Alarm => "31",
        };
        let text = self.clean(text);
        let room = self.room.saturating_sub(4);
        wrap(&text, room, REASON_LINES, self.pen.ellipsis)
            .iter()
            .map(|line| {
                let fill = " ".repeat(room.saturating_sub(width(line)) + 2);
                let line = self.paint(colour, line);
                self.between(&format!("  {line}{fill}"))
            })
            .collect()
    }

    fn bare(&self, text: &str) -> String {
        let fill = self.room.saturating_sub(width(text) + 2);
        self.between(&format!("  {}{}", self.paint("2", text), " ".repeat(fill)))
    }

    fn between(&self, body: &str) -> String {
        let indent = " ".repeat(PORT + if self.look.times { TIME } else { 0 });
        format!("{indent}{side}{body}{side}\n", side = self.pen.side)
    }

    fn clean(&self, text: &str) -> String {
        if self.look.ascii {
            ascii(text)
        } else {
            text.to_owned()
        }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.look.colour && !colour.is_empty() && !text.is_empty() {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::OpenControl => "1",
        Kind::Command | Kind::Reply(0) => "36",
        Kind::Reply(4..) | Kind::Broken => "1;31",
        Kind::Reply(1 | 3) => "33",
        Kind::Reply(_) => "32",
        Kind::OpenData => "1;35",
        Kind::Data => "35",
    }
}

/// Columns that a rung would like to have between the sides.
fn needs(rung: &Rung) -> usize {
    match shape(rung) {
        Shape::Line {
            kind: Kind::Broken,
            label,
            below,
            ..
        } => (width(&label) + 12).max(below.map_or(0, |below| width(&below) + 4)),
        Shape::Line { label, tail, .. } => width(&label) + width(&tail) + 8,
        Shape::Words { text, .. } | Shape::Gap(text) | Shape::End { text, .. } => width(&text) + 4,
        Shape::Folded => match &rung.step {
            Step::Folded(folded) => width(&folded.summary(60)).min(60) + 4,
            _ => 0,
        },
    }
}

fn title_needs(session: &Session) -> usize {
    let title = words::title(session, true);
    (width(&title.user) + width(&title.server) + 3).saturating_sub(2 * PORT + 2)
}
