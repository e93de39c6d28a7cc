//! The MS-DOS dialect of IIS and its relatives.
//!
//! `06-05-03  03:19PM                 1973 readme.txt`
//!
//! IIS writes date, time, then `<DIR>` or the size in a column of fixed width, one space, the name.

use super::{
    Entry, EntryKind, ListLine, ListTime, Precision, clock, entry, is_one_line, number, word,
};
use crate::timestamp::Timestamp;

/// Spaces that IIS puts between `<DIR>` and the name; more belong to the name.
const AFTER_MARK: usize = 10;

/// Two-digit years from here on are of the 20th century.
const CENTURY: u16 = 70;

/// Reads one line. See [`super::Dialect::read`]; every date has its year, so `now` is not needed.
pub fn read(line: &[u8], _now: Timestamp) -> ListLine {
    if !is_one_line(line) {
        return ListLine::Unknown;
    }
    read_entry(line).map_or(ListLine::Unknown, entry)
}

fn read_entry(line: &[u8]) -> Option<Entry> {
    let (date, rest) = word(line.trim_ascii_start())?;
    let (year, month, day) = date_of(date)?;
    let (time, rest) = word(rest.trim_ascii_start())?;
    let (time, rest) = match word(rest.trim_ascii_start()) {
        // `03:19 PM`
        Some((half, behind))
            if half.eq_ignore_ascii_case(b"am") || half.eq_ignore_ascii_case(b"pm") =>
        {
            ([time, half].concat(), behind)
        }
        _ => (time.to_vec(), rest),
    };
    let (hour, minute) = time_of(&time)?;
    let (what, rest) = word(rest.trim_ascii_start())?;
    let (kind, size, name) = match what.to_ascii_uppercase().as_slice() {
        b"<DIR>" => (EntryKind::Directory, None, after_mark(rest)?),
        b"<SYMLINKD>" | b"<SYMLINK>" | b"<JUNCTION>" => {
            let (name, target) = split_link(after_mark(rest)?);
            (EntryKind::Symlink { target }, None, name)
        }
        digits => (
            EntryKind::File,
            Some(size_of(digits)?),
            rest.strip_prefix(b" ")?,
        ),
    };
    // 31 February is no reason to lose the file
    let modified = Timestamp::from_civil(year, month, day, hour, minute, 0)
        .ok()
        .map(|at| ListTime {
            at,
            precision: Precision::Minute,
        });
    Some(Entry {
        name: name.to_vec(),
        kind,
        size,
        modified,
        mode: None,
        links: None,
        owner: None,
        group: None,
    })
}

/// `MM-DD-YY`, `MM-DD-YYYY`, `MM/DD/YYYY`, `YYYY-MM-DD`. Day before month (`31-12-24`) is understood where it cannot be
/// a month.
fn date_of(date: &[u8]) -> Option<(u16, u8, u8)> {
    let mut parts = date.split(|&b| b == b'-' || b == b'/');
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let small = |digits: &[u8]| {
        number(digits)
            .filter(|_| (1..=2).contains(&digits.len()))
            .and_then(|n| u8::try_from(n).ok())
    };
    if first.len() == 4 {
        let (year, month, day) = (
            u16::try_from(number(first)?).ok()?,
            small(second)?,
            small(third)?,
        );
        return matches!((month, day), (1..=12, 1..=31)).then_some((year, month, day));
    }
    let year = u16::try_from(number(third)?).ok()?;
    let year = match third.len() {
        2 if year >= CENTURY => 1900 + year,
        2 => 2000 + year,
        4 => year,
        _ => return None,
    };
    let (month, day) = (small(first)?, small(second)?);
    match (month, day) {
        (1..=12, 1..=31) => Some((year, month, day)),
        (13..=31, 1..=12) => Some((year, day, month)),
        _ => None,
    }
}

/// `03:19PM` or `15:19`.
fn time_of(time: &[u8]) -> Option<(u8, u8)> {
    let lower = time.to_ascii_lowercase();
    let (digits, afternoon) = match (lower.strip_suffix(b"am"), lower.strip_suffix(b"pm")) {
        (Some(digits), _) => (digits, Some(false)),
        (_, Some(digits)) => (digits, Some(true)),
        _ => (lower.as_slice(), None),
    };
    let (hour, minute, _) = clock(digits)?;
    match afternoon {
        None => Some((hour, minute)),
        Some(_) if !(1..=12).contains(&hour) => None,
        Some(false) => Some((hour % 12, minute)),
        Some(true) => Some((hour % 12 + 12, minute)),
    }
}

/// Digits, grouped by commas in threes or not at all.
fn size_of(digits: &[u8]) -> Option<u64> {
    let mut groups = digits.split(|&b| b == b',');
    let first = groups.next()?;
    let mut whole = first.to_vec();
    for group in groups {
        if group.len() != 3 || first.len() > 3 {
            return None;
        }
        whole.extend_from_slice(group);
    }
    number(&whole)
}

/// The name behind `<DIR>`: IIS leaves ten spaces, others fewer.
fn after_mark(rest: &[u8]) -> Option<&[u8]> {
    let spaces = rest.iter().take_while(|&&b| b == b' ').count();
    (spaces > 0)
        .then(|| rest.get(spaces.min(AFTER_MARK)..))
        .flatten()
}

/// `name [target]`.
fn split_link(text: &[u8]) -> (&[u8], Option<Vec<u8>>) {
    let split = || {
        let inner = text.strip_suffix(b"]")?;
        let open = inner
            .windows(2)
            .position(|window| window == b" [")
            .filter(|open| *open > 0)?;
        let (name, target) = inner.split_at(open);
        Some((name, target.strip_prefix(b" [")?.to_vec()))
    };
    split().map_or((text, None), |(name, target)| (name, Some(target)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        match read(line.as_bytes(), Timestamp::new(0, 0)) {
            ListLine::Nothing => "nothing".to_owned(),
            ListLine::Unknown => "unknown".to_owned(),
            ListLine::Entry(entry) => {
                let kind = match &entry.kind {
                    EntryKind::File => "file".to_owned(),
                    EntryKind::Directory => "dir".to_owned(),
                    EntryKind::Symlink { target } => format!(
                        "link to {}",
                        String::from_utf8_lossy(target.as_deref().unwrap_or(b"?"))
                    ),
                    EntryKind::Other => "other".to_owned(),
                };
                let time = entry
                    .modified
                    .map_or("?".to_owned(), |time| time.at.to_wire());
                let size = entry.size.map_or("?".to_owned(), |size| size.to_string());
                format!(
                    "{kind} {size} {} |{}|",
                    time.get(..12).unwrap_or("?"),
                    String::from_utf8_lossy(&entry.name)
                )
            }
        }
    }

    #[test]
    fn lines_of_iis_and_relatives() {
        let table = [
            (
                "01-16-02  11:14AM       <DIR>          epsgroup",
                "dir ? 200201161114 |epsgroup|",
            ),
            (
                "06-05-03  03:19PM                 1973 readme.txt",
                "file 1973 200306051519 |readme.txt|",
            ),
            (
                "06-05-2003  03:19PM                 1973 readme.txt",
                "file 1973 200306051519 |readme.txt|",
            ),
            (
                "06/05/2003  03:19 PM             1,973 readme.txt",
                "file 1973 200306051519 |readme.txt|",
            ),
            (
                "2003-06-05  15:19                 1973 readme.txt",
                "file 1973 200306051519 |readme.txt|",
            ),
            (
                "06-05-99  12:00AM                 5 midnight",
                "file 5 199906050000 |midnight|",
            ),
            (
                "06-05-03  12:00PM                 5 noon",
                "file 5 200306051200 |noon|",
            ),
            (
                "31-12-24  10:00AM                 5 day first",
                "file 5 202412311000 |day first|",
            ),
            (
                "06-05-03  03:19PM                 1973  leading space",
                "file 1973 200306051519 | leading space|",
            ),
            (
                "06-05-03  03:19PM       <DIR>            leading spaces",
                "dir ? 200306051519 |  leading spaces|",
            ),
            (
                "06-05-03  03:19PM       <DIR> few",
                "dir ? 200306051519 |few|",
            ),
            (
                "06-05-03  03:19PM       <JUNCTION>     old [C:\\new place]",
                "link to C:\\new place ? 200306051519 |old|",
            ),
            (
                "06-05-03  03:19PM       <SYMLINKD>     old",
                "link to ? ? 200306051519 |old|",
            ),
            (
                "02-31-24  10:00AM                 5 no such day",
                "file 5 ? |no such day|",
            ),
            ("06-05-03  03:19PM       <DIR>          .", "nothing"),
            ("06-05-03  13:19PM                 1973 x", "unknown"),
            ("06-05-03  03:19PM                 1,97 x", "unknown"),
            ("06-05-03  03:19PM                 x", "unknown"),
            ("06-05-03  03:19PM                 1973 ", "unknown"),
            ("06-05-03  03:19PM                 1973", "unknown"),
            ("06-05-003  03:19PM                 1973 x", "unknown"),
            ("13-13-03  03:19PM                 1973 x", "unknown"),
            ("2003-49-02  15:04                 77 x", "unknown"),
            ("2003-02-32  15:04                 77 x", "unknown"),
            ("total 12", "unknown"),
            ("", "unknown"),
        ];
        for (line, want) in table {
            assert_eq!(shown(line), want, "{line}");
        }
    }
}
