//! Directory entries for people and for programs: names, long lines, JSON.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use wharf_client::{Entry, EntryKind, Modified, Target};
use wharf_proto::listing::Precision;
use wharf_proto::visible;

use crate::exit::{Exit, Failure};
use crate::walk::Directory;

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

    /// A name or line that came from a server. A person sees what cannot be shown as its picture
    /// or `\xNN`; a program gets the bytes, save control characters, which could forge lines.
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

/// `drwxr-xr-x            - 2026-01-02 03:04 name`: kind and permissions, size, time, name; always so many columns.
/// What is not told is `?` in the permissions and `-` elsewhere, a size that is about right begins with `~`.
pub(crate) fn long_line(entry: &Entry, reader: Reader) -> Vec<u8> {
    let size = match (&entry.kind, entry.size, entry.about) {
        (EntryKind::Directory, ..) | (_, None, None) => "-".to_owned(),
        (_, Some(size), _) => size.to_string(),
        (_, None, Some(about)) => format!("~{about}"),
    };
    let mode = entry
        .mode
        .map_or_else(|| "?????????".to_owned(), permissions);
    let (day, time) = match &entry.modified {
        Some(modified) => {
            let shown = local_time(modified);
            let (day, time) = shown.split_once(' ').unwrap_or((&shown, "-"));
            (day.to_owned(), time.to_owned())
        }
        None => ("-".to_owned(), "-".to_owned()),
    };
    let mut line = format!(
        "{}{mode} {size:>12} {day:<10} {time:<5} ",
        letter(&entry.kind)
    )
    .into_bytes();
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

/// Times in UTC are shown in the local zone; times that a LIST told in the server's zone as told; only the day where no
/// more was told.
fn local_time(modified: &Modified) -> String {
    let zone = if modified.is_utc() && modified.precision() != Precision::Day {
        TimeZone::system()
    } else {
        TimeZone::UTC
    };
    let form = match modified.precision() {
        Precision::Day => "%Y-%m-%d",
        Precision::Minute | Precision::Second => "%Y-%m-%d %H:%M",
    };
    match jiff_time(modified.timestamp()) {
        Some(time) => time.to_zoned(zone).strftime(form).to_string(),
        None => "-".to_owned(),
    }
}

fn jiff_time(time: wharf_proto::Timestamp) -> Option<Timestamp> {
    Timestamp::try_from(SystemTime::from(time)).ok()
}

/// An entry and where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) target: &'a Target,
    pub(crate) directory: &'a Directory,
    pub(crate) entry: &'a Entry,
}

impl Row<'_> {
    /// Its address, without a password: byte by byte what the server wrote.
    pub(crate) fn url(&self) -> String {
        let Self {
            target,
            directory,
            entry,
        } = *self;
        let mut url = target.clone().with_path(None).to_string();
        let mut path = match &directory.path {
            Some(path) => path.as_bytes().to_vec(),
            None => Vec::new(),
        };
        if !path.is_empty() && !path.ends_with(b"/") {
            path.push(b'/');
        }
        path.extend_from_slice(&entry.name);
        // The first slash of an absolute path would be taken for the one behind the host.
        let rest = match path.strip_prefix(b"/") {
            Some(rest) => {
                url.push_str("%2F");
                rest
            }
            None => &path,
        };
        let parts: Vec<String> = rest.split(|byte| *byte == b'/').map(percent).collect();
        url.push_str(&parts.join("/"));
        if entry.is_directory() {
            url.push('/');
        }
        url
    }
}

/// A time as `2026-01-02T03:04:05Z`, `2026-01-02T03:04` or `2026-01-02`: as much as was told, `Z` where it is UTC.
fn told_time(modified: &Modified) -> Option<String> {
    let time = jiff_time(modified.timestamp())?.to_zoned(TimeZone::UTC);
    let z = if modified.is_utc() { "Z" } else { "" };
    Some(match modified.precision() {
        Precision::Day => time.strftime("%Y-%m-%d").to_string(),
        Precision::Minute => format!("{}{z}", time.strftime("%Y-%m-%dT%H:%M")),
        Precision::Second => format!("{}{z}", time.strftime("%Y-%m-%dT%H:%M:%S")),
    })
}

/// One entry as a JSON object (docs/listing.md). `name` is readable, `name_encoded` and `url` are exact.
pub(crate) fn json(row: &Row<'_>) -> Value {
    let mut object = Map::new();
    let path = row.directory.relative_to(&row.entry.name);
    object.insert("path".to_owned(), json!(visible(&path)));
    object.insert("url".to_owned(), json!(row.url()));
    describe(row.entry, &mut object);
    Value::Object(object)
}

/// One entry of which nobody asks where it is.
pub(crate) fn json_of_entry(entry: &Entry) -> Value {
    let mut object = Map::new();
    describe(entry, &mut object);
    Value::Object(object)
}

fn describe(entry: &Entry, object: &mut Map<String, Value>) {
    let mut insert = |name: &str, value: Value| {
        object.insert(name.to_owned(), value);
    };
    insert("name", json!(visible(&entry.name)));
    insert("name_encoded", json!(percent(&entry.name)));
    insert("kind", json!(word(&entry.kind)));
    insert("size", json!(entry.size));
    if let Some(about) = entry.about {
        insert("size_about", json!(about));
    }
    insert(
        "modified",
        json!(entry.modified.as_ref().and_then(told_time)),
    );
    if let Some(modified) = &entry.modified {
        insert("modified_zone", json!(zone_word(modified)));
    }
    insert("mode", json!(entry.mode.map(|mode| format!("{mode:04o}"))));
    if let Some(owner) = &entry.owner {
        insert("owner", json!(visible(owner)));
    }
    if let Some(group) = &entry.group {
        insert("group", json!(visible(group)));
    }
    if let EntryKind::Symlink {
        target: Some(target),
    } = &entry.kind
    {
        insert("target", json!(visible(target)));
    }
}

/// `utc`, or `server` where the time is the server's and its zone is not known.
fn zone_word(modified: &Modified) -> &'static str {
    if modified.is_utc() { "utc" } else { "server" }
}

/// The first line of `--csv`.
pub(crate) const CSV_COLUMNS: &str =
    "path,kind,size,modified,modified_zone,mode,owner,group,target,url";

/// One entry as comma-separated values, in the order of [`CSV_COLUMNS`]. What is not told is empty.
pub(crate) fn csv(row: &Row<'_>) -> Vec<u8> {
    let entry = row.entry;
    let text = |bytes: &[u8]| visible(bytes);
    let target = match &entry.kind {
        EntryKind::Symlink { target } => target.as_deref().map(text),
        _ => None,
    };
    let size = match (entry.size, entry.about) {
        (Some(size), _) => size.to_string(),
        (None, Some(about)) => format!("~{about}"),
        (None, None) => String::new(),
    };
    let modified = entry.modified.as_ref();
    let fields = [
        visible(&row.directory.relative_to(&entry.name)),
        word(&entry.kind).to_owned(),
        size,
        modified.and_then(told_time).unwrap_or_default(),
        modified.map(zone_word).unwrap_or_default().to_owned(),
        entry
            .mode
            .map(|mode| format!("{mode:04o}"))
            .unwrap_or_default(),
        entry.owner.as_deref().map(text).unwrap_or_default(),
        entry.group.as_deref().map(text).unwrap_or_default(),
        target.unwrap_or_default(),
        row.url(),
    ];
    let quoted: Vec<String> = fields.iter().map(|field| quote(field)).collect();
    quoted.join(",").into_bytes()
}

/// A field of RFC 4180: in quotes where a comma, a quote or a blank at an end stands in it.
fn quote(field: &str) -> String {
    let plain = !field.contains([',', '"']) && field.trim() == field;
    if plain {
        field.to_owned()
    } else {
        format!("\"{}\"", field.replace('"', "\"\""))
    }
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
        Some(modified) if modified.is_utc() => known.push(("modified", local_time(modified))),
        Some(modified) => {
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
    fn entries_in_rows_and_columns() {
        let listed = |line: &[u8]| {
            let now = wharf_proto::Timestamp::from_wire(b"20260601120000").unwrap();
            let mut reader = wharf_proto::listing::ListReader::new(now);
            let wharf_proto::listing::ListLine::Entry(entry) = reader.read(line) else {
                panic!()
            };
            entry
        };
        let mut entry = Entry::new(b"a, \"b\"\n ".to_vec(), EntryKind::File);
        let old = listed(b"-rw-r----- 1 joe staff 5 Jan  2 2024 x");
        (entry.size, entry.mode, entry.owner) = (old.size, old.mode, old.owner);
        entry.modified = old.modified.map(Modified::from);
        let target: Target = "ftp://me@h/%2Fpub/".parse().unwrap();
        let directory = Directory {
            path: Some(wharf_proto::Pathname::new("/pub/d").unwrap()),
            relative: b"d".to_vec(),
            depth: 1,
        };
        let row = Row {
            target: &target,
            directory: &directory,
            entry: &entry,
        };
        assert_eq!(
            String::from_utf8(csv(&row)).unwrap(),
            "\"d/a, \"\"b\"\"␊ \",file,5,2024-01-02,server,0640,joe,,,ftp://me@h/%2Fpub/d/a%2C%20%22b%22%0A%20"
        );
        assert_eq!(
            json(&row).to_string(),
            r#"{"kind":"file","mode":"0640","modified":"2024-01-02","modified_zone":"server","name":"a, \"b\"␊ ","name_encoded":"a%2C%20%22b%22%0A%20","owner":"joe","path":"d/a, \"b\"␊ ","size":5,"url":"ftp://me@h/%2Fpub/d/a%2C%20%22b%22%0A%20"}"#
        );
        let named = Entry {
            name: b"d/a".to_vec(),
            ..entry.clone()
        };
        let line = long_line(&named, Reader::Program);
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "-rw-r-----            5 2024-01-02 -     d/a"
        );
        let about = Entry {
            about: Some(1024),
            ..Entry::new(b"x".to_vec(), EntryKind::File)
        };
        let line = long_line(&about, Reader::Program);
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "-?????????        ~1024 -          -     x"
        );
    }

    #[test]
    fn permissions_are_nine_letters() {
        for (mode, text) in [(0o755, "rwxr-xr-x"), (0o640, "rw-r-----"), (0, "---------")] {
            assert_eq!(permissions(mode), text);
        }
    }
}
