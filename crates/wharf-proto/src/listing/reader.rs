//! Which dialect a line is read in.
//!
//! The first line that a dialect recognises decides, and a heading always does. What was told beforehand (the reply to SYST,
//! an earlier listing of the same server) only says which dialect is asked first.

use super::date::Orders;
use super::words::is_one_line;
use super::{DIALECTS, Dialect, ListLine, Reading, Seen};
use crate::timestamp::Timestamp;

/// Longest first half of an entry that is kept.
const HALF: usize = 512;

/// Reads the listings of one server: the dialect of the first recognised line is kept.
#[derive(Debug, Clone)]
pub struct ListReader {
    seen: Seen,
    dialect: Option<&'static Dialect>,
    /// Asked first.
    expected: Vec<&'static Dialect>,
    /// The first half of an entry.
    begun: Option<Vec<u8>>,
    /// The last first half that came to nothing.
    lost: Option<Vec<u8>>,
}

impl ListReader {
    /// `now` is the present; dates without a year are taken as not later than a day after it.
    pub fn new(now: Timestamp) -> Self {
        Self {
            seen: Seen {
                now,
                settled: false,
                orders: Orders::ALL,
            },
            dialect: None,
            expected: Vec::new(),
            begun: None,
            lost: None,
        }
    }

    /// Asks the dialects first by which servers with this reply to SYST are known.
    #[must_use]
    pub fn of_system(mut self, reply: &[u8]) -> Self {
        let upper = reply.to_ascii_uppercase();
        let words: Vec<&[u8]> = upper.split(|byte| b" ,'()".contains(byte)).collect();
        let known = |dialect: &&'static Dialect| {
            let mut systems = dialect.systems.iter();
            systems.any(|system| words.contains(&system.as_bytes()))
        };
        self.expected.extend(DIALECTS.iter().filter(known));
        self
    }

    /// Asks this dialect first: an earlier listing of the server was in it.
    #[must_use]
    pub fn expecting(mut self, dialect: &'static Dialect) -> Self {
        self.expected.insert(0, dialect);
        self
    }

    /// Reads in no other dialect than this one.
    #[must_use]
    pub fn in_dialect(mut self, dialect: &'static Dialect) -> Self {
        self.dialect = Some(dialect);
        self
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
        if !is_one_line(line) {
            return ListLine::Unknown;
        }
        if let Some(begun) = self.begun.take() {
            let whole = [begun.as_slice(), line].join(&b' ');
            match self.read_in_any(&whole) {
                entry @ ListLine::Entry(_) => return entry,
                _ => self.lost = Some(begun),
            }
        }
        let headed = DIALECTS
            .iter()
            .find(|dialect| dialect.heading.is_some_and(|heading| heading(line)));
        if let Some(dialect) = headed {
            self.dialect = Some(dialect);
            self.seen.settled = true;
            return ListLine::Nothing;
        }
        self.read_in_any(line)
    }

    fn read_in_any(&mut self, line: &[u8]) -> ListLine {
        if let Some(dialect) = self.dialect {
            return self.read_in(dialect, line).unwrap_or(ListLine::Unknown);
        }
        let expected = self.expected.clone();
        let others = DIALECTS.iter();
        for dialect in expected.into_iter().chain(others) {
            if let Some(read) = self.read_in(dialect, line) {
                // a total or a `.` names no dialect for sure, an entry does
                if matches!(read, ListLine::Entry(_)) {
                    self.dialect = Some(dialect);
                }
                return read;
            }
        }
        ListLine::Unknown
    }

    /// What one dialect makes of the line; `None` if nothing.
    fn read_in(&mut self, dialect: &'static Dialect, line: &[u8]) -> Option<ListLine> {
        let mut seen = self.seen.clone();
        let read = match (dialect.read)(line, &mut seen) {
            Reading::Entry(entry) => ListLine::Entry(entry),
            Reading::Nothing => ListLine::Nothing,
            Reading::Begun if line.len() <= HALF => {
                self.begun = Some(line.to_vec());
                return Some(ListLine::Nothing);
            }
            Reading::Begun | Reading::Unknown => return None,
        };
        self.seen = seen;
        Some(read)
    }

    /// At the end of a listing: the last line that was the first half of an entry whose other half did not come. It is to
    /// be reported like [`ListLine::Unknown`].
    pub fn finish(&mut self) -> Option<Vec<u8>> {
        let begun = self.begun.take();
        begun.or_else(|| self.lost.take())
    }

    /// Reads a whole listing, lines ending in LF or CRLF.
    pub fn read_all(&mut self, listing: &[u8]) -> Vec<ListLine> {
        let listing = listing.strip_suffix(b"\n").unwrap_or(listing);
        let mut lines: Vec<ListLine> = listing
            .split(|&b| b == b'\n')
            .map(|line| self.read(line))
            .filter(|line| *line != ListLine::Nothing)
            .collect();
        if self.finish().is_some() {
            lines.push(ListLine::Unknown);
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_wire(b"20260601120000").unwrap()
    }

    fn dialect(reader: &ListReader) -> Option<&'static str> {
        reader.dialect().map(|dialect| dialect.name)
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
        assert_eq!(dialect(&reader), Some("unix"));
    }

    #[test]
    fn a_heading_decides_anew() {
        let mut reader = ListReader::new(now());
        reader.read(b"-rw-r--r-- 1 a b 5 Jan  1  2024 x");
        reader.read(b" Name     VV.MM   Created       Changed      Size  Init   Mod   Id");
        assert_eq!(dialect(&reader), Some("zos-members"));
    }

    #[test]
    fn syst_says_who_is_asked_first_and_no_more() {
        let syst = b"UNIX Type: L8 Version: VMS V5";
        let mut reader = ListReader::new(now()).of_system(syst);
        reader.read(b"A.TXT;1  3  2-JUL-2003 10:30:13");
        assert_eq!(dialect(&reader), Some("vms"));
        let mut reader = ListReader::new(now()).of_system(b"VMS V5.5");
        reader.read(b"-rw-r--r-- 1 a b 5 Jan  1  2024 x");
        assert_eq!(dialect(&reader), Some("unix"));
    }

    #[test]
    fn half_an_entry_is_never_lost_in_silence() {
        let mut reader = ListReader::new(now());
        assert_eq!(
            reader.read(b"A_VERY_LONG_NAME_INDEED.TXT;1"),
            ListLine::Nothing
        );
        assert!(matches!(
            reader.read(b"B.TXT;1  3  2-JUL-2003 10:30:13"),
            ListLine::Entry(entry) if entry.name == b"B.TXT;1"
        ));
        assert!(reader.finish().is_some());
        assert!(reader.finish().is_none());
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
        }
        let twice = ListReader::new(now()).read(b"-rw-r--r-- 1 a b 5 Jan  2 2024 x\r\r\n");
        assert!(matches!(twice, ListLine::Entry(entry) if entry.name == b"x"));
    }

    proptest! {
        #[test]
        fn no_line_panics_or_yields_an_impossible_name(line in proptest::collection::vec(any::<u8>(), 0..100)) {
            for dialect in DIALECTS {
                let mut reader = ListReader::new(now()).in_dialect(dialect);
                if let ListLine::Entry(entry) = reader.read(&line) {
                    prop_assert!(!entry.name.is_empty() && is_one_line(&entry.name));
                }
            }
        }

        #[test]
        fn no_line_like_a_listing_panics(line in "[-dlbcx][-rwxsStT]{9}[+@. ]{0,2}[0-9 ,]{0,9}(Jan|Feb|32| ){0,3} [0-9: -]{0,12}[a-z >-]{0,9}") {
            let _ = ListReader::new(now()).read(line.as_bytes());
        }
    }
}
