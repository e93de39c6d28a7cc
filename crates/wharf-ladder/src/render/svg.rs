//! The picture as SVG: one file that stands alone, without scripts, readable on light and on dark pages.
//!
//! Thin lines are the control connection, thick ones a data connection; a bar along the side of a host says how long a
//! data connection was there, and a band shows which way its bytes went.

use std::fmt::Write as _;

use super::Look;
use super::columns::{fit, width, wrap};
use super::words::{self, Kind, Shape, Tone, Way, shape};
use crate::ladder::{Connection, Ladder, Rung, Session, Step};

/// Of the whole picture.
const WIDTH: usize = 760;
/// Where the sides stand.
const USER: usize = 96;
const SERVER: usize = WIDTH - 96;
/// Of an ordinary rung, of words, of a pause, and between sessions.
const ROW: usize = 34;
const WORDS_ROW: usize = 20;
const GAP_ROW: usize = 28;
const BETWEEN: usize = 36;
/// Of the two hosts.
const HEAD: usize = 64;
/// Columns of a label between the sides.
const LABEL: usize = 66;
/// Where a line that does not arrive ends.
const BROKEN_AT: usize = (SERVER - USER) * 2 / 3;
/// Lines that words may take.
const LINES: usize = 3;

/// What is not a colour.
const SHAPES: &str = "\
text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:13px}
text.role{font-weight:bold;font-size:14px}
text.port,text.words,text.remark,text.alarmed,text.dataport{font-size:12px}
text.dataport{font-weight:bold}
.side,.alarm{stroke-width:1.5}
.data,.broken,.cut{stroke-width:3}
.broken{stroke-dasharray:9 5}
";

/// Whose colour is which: places in a [palette](LIGHT), selectors that are filled, selectors that are drawn.
const COLOURS: &[(usize, &str, &str)] = &[
    (0, ".page", ""),
    (1, "text,.f-control", ".control"),
    (2, "text.dim,text.port,text.words", ""),
    (3, "", ".side,.host"),
    (4, ".host", ""),
    (5, "text.f-command,.f-command", ".command"),
    (6, "text.f-reply,.f-reply", ".reply"),
    (7, "text.f-wait,text.remark,.f-wait", ".wait"),
    (8, "text.f-data,text.dataport,.f-data,.bar", ".data,.band"),
    (9, ".band", ""),
    (
        10,
        "text.alarmed,text.f-alarm,text.f-broken,.f-alarm",
        ".alarm,.broken,.cut",
    ),
];

/// Page, ink, what matters less, lines, hosts, commands, replies, preliminary replies, data twice, failures.
type Palette = [&'static str; 11];

const LIGHT: Palette = [
    "#ffffff", "#1f2328", "#59636e", "#b7bfc8", "#f2f5f8", "#0757ba", "#14692c", "#7d5600",
    "#7a3fd0", "#f0e8fe", "#c4202c",
];

const DARK: Palette = [
    "#0d1117", "#e6edf3", "#9aa5b1", "#48515b", "#1a212a", "#6cb2ff", "#56c66b", "#dda83a",
    "#c29bff", "#2a1f42", "#ff7b72",
];

/// Written out twice: programs that turn SVG into other things rarely know variables of CSS.
fn colours(palette: &Palette) -> String {
    let mut out = String::new();
    for (place, filled, drawn) in COLOURS {
        let colour = palette.get(*place).copied().unwrap_or("#888888");
        for (selectors, property) in [(filled, "fill"), (drawn, "stroke")] {
            if !selectors.is_empty() {
                let _ = writeln!(out, "{selectors}{{{property}:{colour}}}");
            }
        }
    }
    out
}

/// The picture of all sessions.
pub fn svg(ladder: &Ladder, look: &Look) -> String {
    let mut canvas = Canvas {
        body: String::new(),
        y: 12,
        times: look.times,
    };
    let alone = ladder.sessions.len() == 1;
    for (number, session) in ladder.sessions.iter().enumerate() {
        if number > 0 {
            canvas.y += BETWEEN;
        }
        canvas.session(session, alone);
    }
    if let Some(remainder) = words::remainder(ladder) {
        canvas.y += WORDS_ROW;
        canvas.text(WIDTH / 2, canvas.y, "words", "middle", &remainder);
    }
    let height = canvas.y + 20;
    let body = canvas.body;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\">\n<title>{}</title>\n<style>\n{SHAPES}{}@media (prefers-color-scheme:dark){{\n{}}}\n</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\" rx=\"8\"/>\n{body}</svg>\n",
        escape(&summary(ladder)),
        colours(&LIGHT),
        colours(&DARK),
    )
}

/// What somebody hears who cannot see the picture.
fn summary(ladder: &Ladder) -> String {
    match ladder.sessions.as_slice() {
        [] => "An FTP session in which nothing happened".to_owned(),
        [session] => {
            let title = words::title(session, true);
            format!(
                "An FTP session of user {} with server {}",
                title.user, title.server
            )
        }
        several => format!("{} FTP sessions", several.len()),
    }
}

struct Canvas {
    body: String,
    /// Everything above is done.
    y: usize,
    times: bool,
}

impl Canvas {
    fn session(&mut self, session: &Session, alone: bool) {
        let title = words::title(session, alone);
        if let Some(heading) = title.heading {
            self.text(WIDTH / 2, self.y + 14, "role", "middle", &heading);
            self.y += 26;
        }
        self.host(USER, "user", &title.user);
        self.host(SERVER, "server", &title.server);
        self.y += HEAD - 12;
        let top = self.y;
        // the sides lie below everything else: their place is kept until their length is known
        let place = self.body.len();
        self.y += 8;
        let mut opened: Option<usize> = None;
        for rung in &session.rungs {
            if let Step::Data { .. } = rung.step {
                self.rung(rung);
                if let Some(from) = opened.take() {
                    self.bars(from, self.y + 2);
                }
                continue;
            }
            if let Step::Open { connection, .. } = &rung.step
                && *connection != Connection::Control
            {
                opened = Some(self.y + ROW - 9);
            }
            self.rung(rung);
        }
        if let Some(from) = opened {
            self.bars(from, self.y);
        }
        self.y += 10;
        let sides = format!(
            "<path class=\"side\" d=\"M{USER} {top}V{y}M{SERVER} {top}V{y}\"/>\n",
            y = self.y
        );
        self.body.insert_str(place, &sides);
    }

    fn host(&mut self, x: usize, role: &str, address: &str) {
        let half = (width(address).min(39) * 8 / 2 + 12)
            .max(64)
            .min(x.min(WIDTH - x) * 2 - 8);
        // long addresses (IPv6) lean to the middle
        let left = x
            .saturating_sub(half)
            .max(6)
            .min(WIDTH - 6 - 2 * half.min(WIDTH / 2 - 8));
        let wide = 2 * half;
        let top = self.y;
        let _ = writeln!(
            self.body,
            "<rect class=\"host\" x=\"{left}\" y=\"{top}\" width=\"{wide}\" height=\"{}\" rx=\"6\"/>",
            HEAD - 12
        );
        self.text(left + half, top + 21, "role", "middle", role);
        self.text(
            left + half,
            top + 40,
            "dim",
            "middle",
            &fit(address, 41, "…"),
        );
    }

    /// How long the data connection was there.
    fn bars(&mut self, from: usize, to: usize) {
        for x in [USER - 5, SERVER + 2] {
            let _ = writeln!(
                self.body,
                "<rect class=\"bar\" x=\"{x}\" y=\"{from}\" width=\"3\" height=\"{}\"/>",
                to.saturating_sub(from)
            );
        }
    }

    fn rung(&mut self, rung: &Rung) {
        match shape(rung) {
            Shape::Line {
                way,
                kind,
                label,
                tail,
                below,
            } => {
                self.y += ROW;
                let y = self.y - 9;
                self.ports(rung, y, kind);
                if kind == Kind::Data {
                    self.band(way, y, &label);
                } else {
                    self.line(way, kind, y, &label, &tail);
                }
                if let Some(below) = below {
                    self.words(&below, Tone::Alarm);
                }
            }
            Shape::Words { text, tone } | Shape::End { text, tone } => self.words(&text, tone),
            Shape::Folded => {
                if let Step::Folded(folded) = &rung.step {
                    self.words(&folded.summary(LABEL * LINES), Tone::Aside);
                }
            }
            Shape::Gap(text) => {
                self.y += GAP_ROW;
                let (y, middle) = (self.y - 10, usize::midpoint(USER, SERVER));
                for x in [USER, SERVER] {
                    // the sides are interrupted
                    let _ = writeln!(
                        self.body,
                        "<rect class=\"page\" x=\"{}\" y=\"{}\" width=\"6\" height=\"14\"/>\
                         <path class=\"side\" stroke-dasharray=\"2 4\" d=\"M{x} {}v14\"/>",
                        x - 3,
                        y - 11,
                        y - 11
                    );
                }
                self.text(middle, y, "words", "middle", &format!("… {text} …"));
            }
        }
    }

    fn ports(&mut self, rung: &Rung, y: usize, kind: Kind) {
        let class = if matches!(kind, Kind::OpenData | Kind::Data | Kind::Broken) {
            "dataport"
        } else {
            "port"
        };
        if let Some(port) = rung.user_port {
            self.text(USER - 10, y + 4, class, "end", &port.to_string());
        }
        if let Some(port) = rung.server_port {
            self.text(SERVER + 10, y + 4, class, "start", &port.to_string());
        }
        if self.times {
            let time = format!("{}.{:03}", rung.at.as_secs(), rung.at.subsec_millis());
            self.text(4, y + 4, "words", "start", &fit(&time, 6, ""));
        }
    }

    fn line(&mut self, way: Way, kind: Kind, y: usize, label: &str, tail: &str) {
        let class = class(kind);
        let broken = kind == Kind::Broken;
        let (from, to) = match (way, broken) {
            (Way::ToServer | Way::Both, false) => (USER, SERVER),
            (Way::ToServer | Way::Both, true) => (USER, USER + BROKEN_AT),
            (Way::ToUser, false) => (SERVER, USER),
            (Way::ToUser, true) => (SERVER, SERVER - BROKEN_AT),
        };
        // where the head stands the line is not needed, and would show beside it
        let end = match (broken, to > from) {
            (true, _) => to,
            (false, true) => to - 8,
            (false, false) => to + 8,
        };
        let _ = writeln!(
            self.body,
            "<path class=\"{class}\" d=\"M{from} {y}H{end}\"/>"
        );
        if broken {
            let _ = writeln!(
                self.body,
                "<path class=\"cut\" d=\"M{} {}l14 14m0 -14l-14 14\"/>",
                to - 7,
                y - 7
            );
        } else {
            self.head(class, to, y, to > from);
        }
        let (x, anchor) = if broken && way == Way::ToUser {
            (SERVER - 14, "end")
        } else {
            (USER + 14, "start")
        };
        let room = if broken { LABEL * 2 / 3 } else { LABEL };
        self.text(
            x,
            y - 7,
            &format!("f-{class}"),
            anchor,
            &words::fitted(label, tail, room, "…"),
        );
    }

    fn head(&mut self, class: &str, x: usize, y: usize, to_the_right: bool) {
        let size = if class == "data" { 7 } else { 5 };
        let back = if to_the_right { "-11" } else { "11" };
        let _ = writeln!(
            self.body,
            "<path class=\"f-{class}\" d=\"M{x} {y}l{back} -{size}v{}z\"/>",
            size * 2
        );
    }

    /// Bytes: a broad arrow with their number in it.
    fn band(&mut self, way: Way, y: usize, label: &str) {
        let (left, right) = (USER + 3, SERVER - 3);
        let (top, bottom) = (y - 10, y + 10);
        let points = |head: &str, tail: &str| format!("M{left} {y}{head}{tail}");
        let outline = match way {
            Way::ToServer => format!(
                "M{left} {top}H{}L{right} {y}L{} {bottom}H{left}Z",
                right - 12,
                right - 12
            ),
            Way::ToUser => format!(
                "M{right} {top}H{}L{left} {y}L{} {bottom}H{right}Z",
                left + 12,
                left + 12
            ),
            Way::Both => points(
                &format!("L{} {top}H{}L{right} {y}", left + 12, right - 12),
                &format!("L{} {bottom}H{}Z", right - 12, left + 12),
            ),
        };
        let _ = writeln!(self.body, "<path class=\"band\" d=\"{outline}\"/>");
        self.text(
            usize::midpoint(left, right),
            y + 4,
            "f-data",
            "middle",
            &fit(label, LABEL, "…"),
        );
    }

    fn words(&mut self, text: &str, tone: Tone) {
        let class = match tone {
            Tone::Aside => "words",
            Tone::Remark => "remark",
            Tone::Alarm => "alarmed",
        };
        for line in wrap(text, LABEL, LINES, "…") {
            self.y += WORDS_ROW;
            self.text(USER + 14, self.y - 4, class, "start", &line);
        }
    }

    fn text(&mut self, x: usize, y: usize, class: &str, anchor: &str, text: &str) {
        let anchor = match anchor {
            "start" => String::new(),
            other => format!(" text-anchor=\"{other}\""),
        };
        let _ = writeln!(
            self.body,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\"{anchor}>{}</text>",
            escape(text)
        );
    }
}

fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Command => "command",
        Kind::Reply(4..) => "alarm",
        Kind::Reply(1 | 3) => "wait",
        Kind::Reply(_) => "reply",
        Kind::OpenControl => "control",
        Kind::OpenData | Kind::Data => "data",
        Kind::Broken => "broken",
    }
}

/// Text as XML 1.0 allows it. Control characters are visible already.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
