//! Reading the trace text: tolerant, line by line.

use std::net::SocketAddr;
use std::time::Duration;

use super::{DataEnd, Event, HEADER, Side, TlsOn, TlsStep, What};
use crate::data_connection::Opener;
use crate::text::decimal;

/// A trace as read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transcript {
    /// What was understood, in the order of the text.
    pub events: Vec<Event>,
    /// The numbers (from 1) of lines that were not, with their text.
    pub unread: Vec<(usize, String)>,
}

/// Reads a trace. Tolerant: CRLF or LF, indented lines, times and sessions left out, empty lines. What is not
/// understood is reported, the rest still read.
pub fn read(text: &[u8]) -> Transcript {
    let mut reader = TraceReader::new();
    let mut transcript = Transcript::default();
    for (number, line) in text.split(|&b| b == b'\n').enumerate() {
        match reader.line(line) {
            Ok(Some(event)) => transcript.events.push(event),
            Ok(None) => {}
            Err(Unread) => transcript
                .unread
                .push((number + 1, crate::text::visible(line))),
        }
    }
    transcript.events.extend(reader.finish());
    transcript
}

/// The line is not of the trace format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unread;

/// Reads a trace line by line, for files that grow.
#[derive(Debug, Clone)]
pub struct TraceReader {
    at: Duration,
    session: u64,
    /// The lines of a reply whose last line has not come, and where it began.
    reply: Option<(Duration, u64, Vec<Vec<u8>>)>,
    /// Complete, but overtaken by the end of an incomplete reply.
    ready: Option<Event>,
}

/// Lines of one reply that are kept together; a longer one is cut into several events.
const REPLY_LINES: usize = 10_000;

impl Default for TraceReader {
    fn default() -> Self {
        Self::new()
    }
}

impl TraceReader {
    /// At second 0, in session 1.
    pub fn new() -> Self {
        Self {
            at: Duration::ZERO,
            session: 1,
            reply: None,
            ready: None,
        }
    }

    /// The time reached: that of the last line that gave one. Test transcripts move a virtual clock with it.
    pub fn at(&self) -> Duration {
        self.at
    }

    /// Takes one line without its LF. Gives at most one event; a multi-line reply comes with its last line.
    pub fn line(&mut self, line: &[u8]) -> Result<Option<Event>, Unread> {
        let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii_start();
        let mut rest = line;
        if let Some(time) = rest.strip_prefix(b"@") {
            let (word, behind) = split_word(time);
            self.at = seconds(word).ok_or(Unread)?;
            rest = behind.trim_ascii_start();
        }
        if let Some(number) = rest.strip_prefix(b"s") {
            let (word, behind) = split_word(number);
            self.session = decimal(word).ok_or(Unread)?;
            rest = behind.trim_ascii_start();
        }
        let Some((&sign, rest)) = rest.split_first() else {
            return Ok(self.ready.take());
        };
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        if line == HEADER.as_bytes() {
            return Ok(None);
        }
        let what = match sign {
            b'<' => return Ok(self.reply_line(unescape(rest).ok_or(Unread)?)),
            b'>' => What::Command(unescape(rest).ok_or(Unread)?),
            b'!' => data(rest).ok_or(Unread)?,
            b'*' => tls(rest).ok_or(Unread)?,
            b'+' => connected(rest).ok_or(Unread)?,
            b'-' => What::Closed(words(rest).ok_or(Unread)?),
            b'#' => What::Note(words(rest).ok_or(Unread)?),
            _ => return Err(Unread),
        };
        Ok(Some(self.give(Event {
            at: self.at,
            session: self.session,
            what,
        })))
    }

    /// The end of the text: what is left of a reply without last line.
    pub fn finish(self) -> impl Iterator<Item = Event> {
        let cut = self.reply.map(|(at, session, lines)| Event {
            at,
            session,
            what: What::Reply(lines),
        });
        self.ready.into_iter().chain(cut)
    }

    fn reply_line(&mut self, line: Vec<u8>) -> Option<Event> {
        let (at, session, mut lines) = match self.reply.take() {
            Some(begun) if begun.1 == self.session => begun,
            Some((at, session, lines)) => {
                // another session speaks in between: what there is of the first reply is an event of its own
                self.ready = Some(Event {
                    at,
                    session,
                    what: What::Reply(lines),
                });
                (self.at, self.session, Vec::new())
            }
            None => (self.at, self.session, Vec::new()),
        };
        lines.push(line);
        if ends_reply(&lines) || lines.len() >= REPLY_LINES {
            return Some(self.give(Event {
                at,
                session,
                what: What::Reply(lines),
            }));
        }
        self.reply = Some((at, session, lines));
        self.ready.take()
    }

    /// Events leave one by one in order; at most one waits.
    fn give(&mut self, event: Event) -> Event {
        match self.ready.take() {
            Some(first) => {
                self.ready = Some(event);
                first
            }
            None => event,
        }
    }
}

/// RFC 959 §4.2: `ddd-` begins several lines, `ddd ` with the same code ends them. A line alone that has no hyphen is a
/// reply.
fn ends_reply(lines: &[Vec<u8>]) -> bool {
    let (Some(first), Some(last)) = (lines.first(), lines.last()) else {
        return true;
    };
    match (code(first), first.get(3)) {
        (Some(opened), Some(b'-')) => {
            lines.len() > 1
                && code(last) == Some(opened)
                && matches!(last.get(3), None | Some(b' '))
        }
        _ => true,
    }
}

pub(super) fn code(line: &[u8]) -> Option<u16> {
    let digits = line.get(..3)?;
    decimal(digits).and_then(|code| u16::try_from(code).ok())
}

fn data(rest: &[u8]) -> Option<What> {
    let (verb, rest) = split_word(rest);
    match verb {
        b"awaited" => {
            let (opener, rest) = opener(rest)?;
            Some(What::DataAwaited {
                opener,
                at: address(rest)?.0,
            })
        }
        b"opened" => {
            let (opener, rest) = opener(rest)?;
            let (local, rest) = address(rest)?;
            Some(What::DataOpened {
                opener,
                local,
                peer: address(rest)?.0,
            })
        }
        b"failed" => {
            let (opener, rest) = opener(rest)?;
            let (at, reason) = address(rest)?;
            Some(What::DataFailed {
                opener,
                at,
                reason: words(reason)?,
            })
        }
        b"stranger" => Some(What::Stranger {
            peer: address(rest)?.0,
        }),
        b"closed" => {
            let (bytes, rest) = split_word(rest);
            let end = DataEnd::find(std::str::from_utf8(rest.trim_ascii()).ok()?)?;
            Some(What::DataClosed {
                bytes: decimal(bytes)?,
                end,
            })
        }
        _ => None,
    }
}

fn connected(rest: &[u8]) -> Option<What> {
    let (side, rest) = split_word(rest);
    let side = match side {
        b"user" => Side::User,
        b"server" => Side::Server,
        _ => return None,
    };
    let (local, rest) = address(rest)?;
    Some(What::Connected {
        side,
        local,
        peer: address(rest)?.0,
    })
}

fn tls(rest: &[u8]) -> Option<What> {
    let (on, rest) = split_word(rest);
    let on = match on {
        b"control" => TlsOn::Control,
        b"data" => TlsOn::Data,
        _ => return None,
    };
    let millis = |word| decimal(word).map(Duration::from_millis);
    let (verb, rest) = split_word(rest);
    let step = match verb {
        b"secured" => {
            let (version, rest) = split_word(rest);
            let (suite, rest) = split_word(rest);
            let (resumed, rest) = split_word(rest);
            let (took, rest) = split_word(rest);
            let (certificate, _) = split_word(rest);
            TlsStep::Secured {
                version: words(version)?,
                suite: words(suite)?,
                resumed: match resumed {
                    b"resumed" => true,
                    b"anew" => false,
                    _ => return None,
                },
                took: millis(took)?,
                certificate: match certificate {
                    b"-" | b"" => None,
                    shown => Some(words(shown)?),
                },
            }
        }
        b"failed" => {
            let (took, reason) = split_word(rest);
            TlsStep::Failed {
                took: millis(took)?,
                reason: words(reason)?,
            }
        }
        b"cleared" => TlsStep::Cleared,
        _ => return None,
    };
    Some(What::Tls { on, step })
}

fn opener(rest: &[u8]) -> Option<(Opener, &[u8])> {
    let (word, rest) = split_word(rest);
    match word {
        b"user" => Some((Opener::User, rest)),
        b"server" => Some((Opener::Server, rest)),
        _ => None,
    }
}

fn address(rest: &[u8]) -> Option<(SocketAddr, &[u8])> {
    let (word, rest) = split_word(rest);
    Some((std::str::from_utf8(word).ok()?.parse().ok()?, rest))
}

fn words(rest: &[u8]) -> Option<String> {
    String::from_utf8(unescape(rest)?).ok()
}

/// Up to the first space, and what follows it.
fn split_word(rest: &[u8]) -> (&[u8], &[u8]) {
    match rest.iter().position(|&b| b == b' ') {
        Some(space) => {
            let (word, behind) = rest.split_at(space);
            (word, behind.strip_prefix(b" ").unwrap_or(behind))
        }
        None => (rest, &[]),
    }
}

/// `12`, `12.3`, `12.345`; digits behind the third are dropped.
fn seconds(word: &[u8]) -> Option<Duration> {
    let mut parts = word.splitn(2, |&b| b == b'.');
    let whole = decimal(parts.next()?)?;
    let mut millis = 0;
    if let Some(fraction) = parts.next() {
        if fraction.is_empty() || !fraction.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let digits = fraction
            .iter()
            .copied()
            .chain(std::iter::repeat(b'0'))
            .take(3);
        millis = digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    }
    Duration::from_secs(whole).checked_add(Duration::from_millis(millis))
}

fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next()? {
            b'\\' => out.push(b'\\'),
            b'x' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                out.push(u8::try_from(high * 16 + low).ok()?);
            }
            _ => return None,
        }
    }
    Some(out)
}
