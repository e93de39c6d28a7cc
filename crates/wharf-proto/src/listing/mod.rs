//! Listings: reading the LIST of any server, and writing ours.
//!
//! RFC 959 leaves the form of LIST to the server, so there are dialects. [`DIALECTS`] is the table of those that are
//! read; a listing is read in the dialect of its first recognised line, and a line that does not fit is reported, never
//! guessed at. MLSD needs none of this: see [`crate::facts`].
//!
//! Deliberately not here: whether a name is safe to create locally. A server may send `../x`; names are given as they
//! came.

pub mod dos;
pub mod unix;
pub mod write;

use crate::timestamp::Timestamp;

/// One thing in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name as it came: any bytes but CR, LF and NUL, never empty, never `.` or `..`; may hold `/`.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes; for directories whatever the server says. `None` for devices and where the server tells nothing usable.
    pub size: Option<u64>,
    /// When it was modified.
    pub modified: Option<ListTime>,
    /// The permission bits (at most `0o7777`), if the dialect has them.
    pub mode: Option<u32>,
    /// Number of hard links.
    pub links: Option<u64>,
    /// The owner's name or number.
    pub owner: Option<Vec<u8>>,
    /// The group's name or number.
    pub group: Option<Vec<u8>>,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, with what it points to where the server tells it.
    Symlink {
        /// The target as it came.
        target: Option<Vec<u8>>,
    },
    /// A device, socket, fifo or door.
    Other,
}

/// A time in a listing. LIST tells local time of an unknown zone (most servers: their own; wharf: UTC), so two servers'
/// times compare only roughly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListTime {
    /// The time as written, taken as UTC.
    pub at: Timestamp,
    /// How much of it was written.
    pub precision: Precision,
}

/// The smallest unit that a listing told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Only the date.
    Day,
    /// To the minute.
    Minute,
    /// To the second.
    Second,
}

/// What one line of a listing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListLine {
    /// An entry.
    Entry(Entry),
    /// Understood, and nothing to keep: a total, a blank line, `.` or `..`.
    Nothing,
    /// Not understood.
    Unknown,
}

/// A form of LIST.
pub struct Dialect {
    /// Its name, for messages.
    pub name: &'static str,
    /// Servers known to write it.
    pub servers: &'static str,
    /// Reads one line without its line end. `now` decides the year of dates that have none.
    pub read: fn(line: &[u8], now: Timestamp) -> ListLine,
}

impl std::fmt::Debug for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialect")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// All dialects, in the order in which they are tried.
pub static DIALECTS: &[Dialect] = &[
    Dialect {
        name: "unix",
        servers: "vsftpd, ProFTPD, Pure-FTPd, pyftpdlib, BSD and GNU ftpd, FileZilla Server, Serv-U, IIS in Unix form, wharf",
        read: unix::read,
    },
    Dialect {
        name: "dos",
        servers: "IIS in MS-DOS form, Windows CE, Xlight",
        read: dos::read,
    },
];

/// Reads the listings of one server: the dialect of the first recognised line is kept.
#[derive(Debug, Clone)]
pub struct ListReader {
    now: Timestamp,
    dialect: Option<&'static Dialect>,
}

impl ListReader {
    /// `now` is the present; dates without a year are taken as not later than a day after it.
    pub fn new(now: Timestamp) -> Self {
        Self { now, dialect: None }
    }

    /// The dialect, once a line was recognised.
    pub fn dialect(&self) -> Option<&'static Dialect> {
        self.dialect
    }

    /// Reads one line, with or without its CRLF.
    pub fn read(&mut self, line: &[u8]) -> ListLine {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        // more than one CR: servers that convert line ends twice
        let end = line
            .iter()
            .rposition(|&b| b != b'\r')
            .map_or(0, |last| last + 1);
        let line = line.get(..end).unwrap_or(line);
        if line.trim_ascii().is_empty() {
            return ListLine::Nothing;
        }
        if let Some(dialect) = self.dialect {
            return (dialect.read)(line, self.now);
        }
        for dialect in DIALECTS {
            match (dialect.read)(line, self.now) {
                ListLine::Unknown => {}
                // a total or a `.` names no dialect for sure, an entry does
                ListLine::Nothing => return ListLine::Nothing,
                entry @ ListLine::Entry(_) => {
                    self.dialect = Some(dialect);
                    return entry;
                }
            }
        }
        ListLine::Unknown
    }

    /// Reads a whole listing, lines ending in LF or CRLF.
    pub fn read_all(&mut self, listing: &[u8]) -> Vec<ListLine> {
        let listing = listing.strip_suffix(b"\n").unwrap_or(listing);
        listing
            .split(|&b| b == b'\n')
            .map(|line| self.read(line))
            .filter(|line| *line != ListLine::Nothing)
            .collect()
    }
}

/// An entry, unless the name is none (empty) or stands for the directory itself or its parent.
fn entry(entry: Entry) -> ListLine {
    match entry.name.as_slice() {
        b"" => ListLine::Unknown,
        b"." | b".." => ListLine::Nothing,
        _ => ListLine::Entry(entry),
    }
}

/// Whether no byte in the line could begin another line for a later reader of the name.
fn is_one_line(line: &[u8]) -> bool {
    !line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0))
}

/// A decimal number of digits only.
fn number(digits: &[u8]) -> Option<u64> {
    crate::text::decimal(digits)
}

/// The word at the start of the text and what follows it, the space not skipped. `None` at the end or before a space.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|&b| b == b' ').unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Hour, minute, and the second if there is one.
type TimeOfDay = (u8, u8, Option<u8>);

/// `HH:MM` or `HH:MM:SS`, one digit for the hour tolerated.
fn clock(word: &[u8]) -> Option<TimeOfDay> {
    let part = |digits: &[u8], limit: u8| {
        let value = number(digits).filter(|_| digits.len() <= 2)?;
        u8::try_from(value).ok().filter(|value| *value <= limit)
    };
    let mut parts = word.split(|&b| b == b':');
    let hour = part(parts.next()?, 23)?;
    let minute = part(parts.next()?, 59)?;
    let second = match parts.next() {
        Some(digits) => Some(part(digits, 60)?),
        None => None,
    };
    parts.next().is_none().then_some((hour, minute, second))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_wire(b"20260601120000").unwrap()
    }

    #[test]
    fn a_listing_is_read_in_the_dialect_of_its_first_line() {
        let mut reader = ListReader::new(now());
        let lines = reader.read_all(
            b"total 8\r\n-rw-r--r-- 1 a b 5 Jan  1  2024 x\r\n01-02-24  10:00AM  7 y\r\n\r\n",
        );
        assert_eq!(lines.len(), 2);
        assert!(matches!(lines.first(), Some(ListLine::Entry(_))));
        assert_eq!(lines.get(1), Some(&ListLine::Unknown));
        assert_eq!(reader.dialect().map(|dialect| dialect.name), Some("unix"));
    }

    #[test]
    fn a_line_break_inside_a_line_is_never_part_of_a_name() {
        let lines: [&[u8]; 8] = [
            b"0206-49-02  15:04    77 p\ro.txt 25",
            b"06-05-03  15:04    77 p\ro.txt",
            b"06-05-03  15:04    77 p\no.txt",
            b"06-05-03  15:04    77 p\0o.txt",
            b"-rw-r--r-- 1 a b 5 Jan  2 2024 p\ro.txt",
            b"-rw-r--r-- 1 a b 5 Jan  2 2024 p\no.txt",
            b"-rw-r--r-- 1 a b 5 Jan  2 2024 p\0o.txt",
            b"lrwxrwxrwx 1 a b 5 Jan  2 2024 p -> o\r.txt",
        ];
        for line in lines {
            assert_eq!(ListReader::new(now()).read(line), ListLine::Unknown);
            for dialect in DIALECTS {
                assert_eq!(
                    (dialect.read)(line, now()),
                    ListLine::Unknown,
                    "{}",
                    dialect.name
                );
            }
        }
        let twice = ListReader::new(now()).read(b"-rw-r--r-- 1 a b 5 Jan  2 2024 x\r\r\n");
        assert!(matches!(twice, ListLine::Entry(entry) if entry.name == b"x"));
    }

    #[test]
    fn times_of_day() {
        let table: [(&str, Option<TimeOfDay>); 9] = [
            ("10:11", Some((10, 11, None))),
            ("9:05", Some((9, 5, None))),
            ("10:11:12", Some((10, 11, Some(12)))),
            ("24:00", None),
            ("10:60", None),
            ("10", None),
            ("10:11:12:13", None),
            ("010:11", None),
            ("10:", None),
        ];
        for (text, want) in table {
            assert_eq!(clock(text.as_bytes()), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics_or_yields_an_impossible_name(line in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let ListLine::Entry(entry) = ListReader::new(now()).read(&line) {
                prop_assert!(!entry.name.is_empty() && is_one_line(&entry.name));
            }
        }

        #[test]
        fn no_line_like_a_listing_panics(line in "[-dlbcx][-rwxsStT]{9}[+@. ]{0,2}[0-9 ,]{0,9}(Jan|Feb|32| ){0,3} [0-9: -]{0,12}[a-z >-]{0,9}") {
            let _ = ListReader::new(now()).read(line.as_bytes());
        }
    }
}
