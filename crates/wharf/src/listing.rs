//! Directory entries for people and for programs: names, long lines, JSON.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use wharf_client::{Entry, EntryKind, Modified};
use wharf_proto::visible;

use crate::exit::{Exit, Failure};

/// Who reads stdout: names are shown to a person, and kept as they are for a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    Person,
    Program,
}

impl Reader {
    pub(crate) fn of_stdout() -> Self {
        if std::io::stdout().is_terminal() {
            Self::Person
        } else {
            Self::Program
        }
    }

    /// A name or line that came from a server. A person sees what cannot be shown as `\xNN`; a
    /// program gets the bytes, save control characters, which could forge lines.
    pub(crate) fn text(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Person => visible(bytes).into_bytes(),
            Self::Program => {
                let mut text = Vec::with_capacity(bytes.len());
                for byte in bytes {
                    if byte.is_ascii_control() {
                        text.extend(format!("\\x{byte:02x}").bytes());
                    } else {
                        text.push(*byte);
                    }
                }
                text
            }
        }
    }
}

/// Lines to stdout. A reader that has gone is quiet success.
#[derive(Default)]
pub(crate) struct Lines {
    text: Vec<u8>,
}

impl Lines {
    pub(crate) fn push(&mut self, line: &[u8]) {
        self.text.extend_from_slice(line);
        self.text.push(b'\n');
    }

    pub(crate) fn print(&self) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(&self.text).and_then(|()| stdout.flush());
        match written {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(
                Exit::LocalFile,
                format!("cannot write to stdout: {error}"),
            )),
            _ => Ok(()),
        }
    }
}

/// The letter of a long line.
fn letter(kind: &EntryKind) -> char {
    match kind {
        EntryKind::File => '-',
        EntryKind::Directory => 'd',
        EntryKind::Symlink { .. } => 'l',
        EntryKind::Other => '?',
    }
}

fn word(kind: &EntryKind) -> &'static str {
    match kind {
        EntryKind::File => "file",
        EntryKind::Directory => "directory",
        EntryKind::Symlink { .. } => "symlink",
        EntryKind::Other => "other",
    }
}

/// `d         - 2026-01-02 03:04 name`
pub(crate) fn long_line(entry: &Entry, reader: Reader) -> Vec<u8> {
    let size = match (&entry.kind, entry.size) {
        (EntryKind::Directory, _) | (_, None) => "-".to_owned(),
        (_, Some(size)) => size.to_string(),
    };
    let mode = entry
        .mode
        .map_or_else(|| "         ".to_owned(), permissions);
    let time = entry
        .modified
        .as_ref()
        .map_or_else(|| "-".to_owned(), local_time);
    let mut line = format!("{}{mode} {size:>12} {time:<16} ", letter(&entry.kind)).into_bytes();
    line.extend(reader.text(&entry.name));
    if let EntryKind::Symlink {
        target: Some(target),
    } = &entry.kind
    {
        line.extend_from_slice(b" -> ");
        line.extend(reader.text(target));
    }
    line
}

/// `rwxr-xr-x`
fn permissions(mode: u32) -> String {
    let mut text = String::with_capacity(9);
    for shift in [6, 3, 0] {
        let bits = mode >> shift;
        text.push(if bits & 4 == 0 { '-' } else { 'r' });
        text.push(if bits & 2 == 0 { '-' } else { 'w' });
        text.push(if bits & 1 == 0 { '-' } else { 'x' });
    }
    text
}

/// Times in UTC are shown in the local zone; times that a LIST told in the server's zone as told.
fn local_time(modified: &Modified) -> String {
    match modified {
        Modified::Utc(time) => match jiff_time(*time) {
            Some(time) => time
                .to_zoned(TimeZone::system())
                .strftime("%Y-%m-%d %H:%M")
                .to_string(),
            None => "-".to_owned(),
        },
        Modified::Listed(listed) => match jiff_time(listed.at) {
            Some(time) => time
                .to_zoned(TimeZone::UTC)
                .strftime("%Y-%m-%d %H:%M")
                .to_string(),
            None => "-".to_owned(),
        },
    }
}

fn jiff_time(time: wharf_proto::Timestamp) -> Option<Timestamp> {
    Timestamp::try_from(SystemTime::from(time)).ok()
}

/// One entry as a JSON object. `name` is readable, `name_encoded` is exact (as in an address).
pub(crate) fn json(entry: &Entry) -> Value {
    let mut object = Map::new();
    object.insert("name".to_owned(), json!(visible(&entry.name)));
    object.insert("name_encoded".to_owned(), json!(percent(&entry.name)));
    object.insert("kind".to_owned(), json!(word(&entry.kind)));
    object.insert("size".to_owned(), json!(entry.size));
    let (time, zone) = match &entry.modified {
        Some(Modified::Utc(time)) => (jiff_time(*time).map(|it| it.to_string()), Some("utc")),
        Some(Modified::Listed(listed)) => (
            jiff_time(listed.at).map(|it| it.to_string().trim_end_matches('Z').to_owned()),
            Some("server"),
        ),
        None => (None, None),
    };
    object.insert("modified".to_owned(), json!(time));
    if let Some(zone) = zone {
        object.insert("modified_zone".to_owned(), json!(zone));
    }
    object.insert(
        "mode".to_owned(),
        json!(entry.mode.map(|mode| format!("{mode:04o}"))),
    );
    if let EntryKind::Symlink {
        target: Some(target),
    } = &entry.kind
    {
        object.insert("target".to_owned(), json!(visible(target)));
    }
    Value::Object(object)
}

/// What is known about an entry, for people: name and value.
pub(crate) fn details(entry: &Entry) -> Vec<(&'static str, String)> {
    let mut known = vec![
        ("name", visible(&entry.name)),
        ("kind", word(&entry.kind).to_owned()),
    ];
    if let Some(size) = entry.size {
        known.push(("size", size.to_string()));
    }
    match &entry.modified {
        Some(modified @ Modified::Utc(_)) => known.push(("modified", local_time(modified))),
        Some(modified @ Modified::Listed(_)) => {
            known.push((
                "modified",
                format!("{} (server's time)", local_time(modified)),
            ));
        }
        None => {}
    }
    if let Some(mode) = entry.mode {
        known.push(("mode", format!("{mode:04o} {}", permissions(mode))));
    }
    if let Some(owner) = &entry.owner {
        known.push(("owner", visible(owner)));
    }
    if let Some(group) = &entry.group {
        known.push(("group", visible(group)));
    }
    if let Some(unique) = &entry.unique {
        known.push(("unique", unique.display().to_string()));
    }
    known
}

/// Percent-encoding of everything but unreserved characters (RFC 3986 §2.3).
pub(crate) fn percent(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(*byte));
            }
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_forge_lines() {
        let name = b"a\nb\x1b[2J\xff\xc3\xa4";
        assert_eq!(Reader::Program.text(name), b"a\\x0ab\\x1b[2J\xff\xc3\xa4");
        let shown = Reader::Person.text(name);
        assert!(!shown.iter().any(u8::is_ascii_control));
    }

    #[test]
    fn names_are_encoded_byte_by_byte() {
        assert_eq!(percent(b"a b/\xff~"), "a%20b%2F%FF~");
    }

    #[test]
    fn permissions_are_nine_letters() {
        for (mode, text) in [(0o755, "rwxr-xr-x"), (0o640, "rw-r-----"), (0, "---------")] {
            assert_eq!(permissions(mode), text);
        }
    }
}
