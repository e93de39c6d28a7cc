//! The Unix dialect: `ls -l` and its relatives.
//!
//! `-rw-r--r--   1 owner group     1234 Jan  2 10:11 name`
//!
//! The left part varies (no links, no group, a group of two words, ACL marks, device numbers), the right part hardly: a
//! size, a date, one space, the name. So the date is searched first and the columns are read from there to both sides.
//! After the date *one* space is taken; more belong to the name.

use super::{
    Entry, EntryKind, ListLine, ListTime, Precision, clock, entry, is_one_line, number, word,
};
use crate::timestamp::Timestamp;

/// Dates without a year may lie this far in the future: the server's clock or zone differs from ours.
const AHEAD: i64 = 86_400;

/// Reads one line. See [`super::Dialect::read`].
pub fn read(line: &[u8], now: Timestamp) -> ListLine {
    if !is_one_line(line) {
        return ListLine::Unknown;
    }
    if is_total(line) {
        return ListLine::Nothing;
    }
    read_entry(line, now).map_or(ListLine::Unknown, entry)
}

/// `total 12`; also `Gesamt 12` and the like: one word of letters, one number.
fn is_total(line: &[u8]) -> bool {
    let mut words = line
        .trim_ascii()
        .split(|&b| b == b' ')
        .filter(|word| !word.is_empty());
    match (words.next(), words.next(), words.next()) {
        (Some(total), Some(count), None) => {
            total.len() > 2
                && total.iter().all(|b| b.is_ascii_alphabetic() || *b >= 0x80)
                && count.first().is_some_and(u8::is_ascii_digit)
        }
        _ => false,
    }
}

fn read_entry(line: &[u8], now: Timestamp) -> Option<Entry> {
    let (kind, mode, rest) = permissions(line)?;
    let columns = columns(rest);
    let (before, size, modified, name) = find_date(rest, &columns, now, kind)?;
    let (links, owner, group) = owners(before);
    let (kind, name) = match kind {
        b'-' | b'f' => (EntryKind::File, name),
        b'd' => (EntryKind::Directory, name),
        b'l' => split_link(name),
        _ => (EntryKind::Other, name),
    };
    let size = if kind == EntryKind::Other { None } else { size };
    Some(Entry {
        name: name.to_vec(),
        kind,
        size,
        modified: Some(modified),
        mode: Some(mode),
        links,
        owner,
        group,
    })
}

/// The first column: type letter, nine letters of permissions, then maybe marks of access lists (`+` POSIX, `@` macOS,
/// `.` SELinux) or, without a space, the number of links.
fn permissions(line: &[u8]) -> Option<(u8, u32, &[u8])> {
    let (&kind, rest) = line.split_first()?;
    if !b"-dlbcpsDCMnf".contains(&kind) {
        return None;
    }
    let letters = rest.get(..9)?;
    let mut mode = 0;
    for (place, &letter) in letters.iter().enumerate() {
        mode |= permission(place, letter)?;
    }
    let mut rest = rest.get(9..)?;
    while let Some((b'+' | b'@' | b'.', behind)) = rest.split_first() {
        rest = behind;
    }
    let ends = rest
        .first()
        .is_none_or(|b| *b == b' ' || b.is_ascii_digit());
    ends.then_some((kind, mode, rest))
}

/// The bit of a permission letter at this place (0 to 8).
fn permission(place: usize, letter: u8) -> Option<u32> {
    let bit = 0o400 >> place;
    let special = match place {
        2 => 0o4000,
        5 => 0o2000,
        8 => 0o1000,
        _ => 0,
    };
    match (place % 3, letter) {
        (_, b'-') => Some(0),
        (0, b'r') | (1, b'w') | (2, b'x') => Some(bit),
        (2, b's') if place < 8 => Some(bit | special),
        (2, b'S' | b'l' | b'L') if place < 8 => Some(special), // l: mandatory locking (Solaris)
        (2, b't') if place == 8 => Some(bit | special),
        (2, b'T') if place == 8 => Some(special),
        _ => None,
    }
}

/// The words of the line, each with the place where it begins.
fn columns(text: &[u8]) -> Vec<(usize, &[u8])> {
    let mut columns = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let Some(skip) = rest.iter().position(|&b| b != b' ') else {
            break;
        };
        let Some((found, _)) = rest.get(skip..).and_then(word) else {
            break;
        };
        columns.push((at + skip, found));
        at += skip + found.len();
        if columns.len() >= COLUMNS {
            break;
        }
    }
    columns
}

/// No real line has its date behind more words than this.
const COLUMNS: usize = 24;

/// The words before the size, the size, the time, the name.
type Parts<'a> = (&'a [(usize, &'a [u8])], Option<u64>, ListTime, &'a [u8]);

/// Finds the first place where a size is followed by a date. From the left: the name comes last and may hold anything.
fn find_date<'a>(
    text: &'a [u8],
    columns: &'a [(usize, &'a [u8])],
    now: Timestamp,
    kind: u8,
) -> Option<Parts<'a>> {
    for at in 0..columns.len() {
        let (_, found) = columns.get(at)?;
        let (size, mut first) = match size(found) {
            Some(Size::Bytes(bytes)) => (Some(bytes), at),
            Some(Size::Unknown) => (None, at),
            None => match minor(found) {
                Some(()) if kind == b'b' || kind == b'c' => (None, at),
                _ => continue,
            },
        };
        let Some((modified, words)) = columns.get(at + 1..).and_then(|rest| date(rest, now)) else {
            continue;
        };
        let (start, last) = columns.get(at + words)?;
        let name = text.get(start + last.len()..)?.strip_prefix(b" ")?;
        // `1, 3`: the major number is a word of its own
        let major = first
            .checked_sub(1)
            .and_then(|before| columns.get(before))
            .is_some_and(|(_, word)| word.ends_with(b","));
        if major && (kind == b'b' || kind == b'c') {
            first -= 1;
        }
        return Some((columns.get(..first)?, size, modified, name));
    }
    None
}

/// What may stand in the size column.
enum Size {
    Bytes(u64),
    /// A negative number, from servers whose numbers overflow at 2 GiB: a file is there, its size is not known.
    Unknown,
}

fn size(word: &[u8]) -> Option<Size> {
    match word.strip_prefix(b"-") {
        Some(digits) => number(digits).map(|_| Size::Unknown),
        None => number(word).map(Size::Bytes),
    }
}

/// `1,3`: device numbers in one word.
fn minor(word: &[u8]) -> Option<()> {
    let comma = word.iter().position(|&b| b == b',')?;
    let (major, minor) = word.split_at(comma);
    number(major)?;
    number(minor.strip_prefix(b",")?).map(|_| ())
}

/// A date at the beginning of the columns, and how many it takes.
fn date(columns: &[(usize, &[u8])], now: Timestamp) -> Option<(ListTime, usize)> {
    let at = |place: usize| columns.get(place).map(|(_, word)| *word);
    if let Some((year, month, day)) = iso_date(at(0)?) {
        // `2024-01-02 10:11[:12[.345]] [+0000]`: long-iso and full-iso of GNU ls, busybox
        let time = at(1)?;
        let whole = time.split(|&b| b == b'.').next()?;
        let (hour, minute, second) = clock(whole)?;
        let zoned = at(2).is_some_and(is_zone);
        let precision = if second.is_some() {
            Precision::Second
        } else {
            Precision::Minute
        };
        let at = Timestamp::from_civil(year, month, day, hour, minute, second.unwrap_or(0)).ok()?;
        return Some((
            ListTime { at, precision },
            if zoned && second.is_some() { 3 } else { 2 },
        ));
    }
    // `Jan  2` or `2 Jan`
    let (month, day) = match (month(at(0)?), month(at(1)?)) {
        (Some(month), _) => (month, day(at(1)?)?),
        (None, Some(month)) => (month, day(at(0)?)?),
        (None, None) => return None,
    };
    if let Some((hour, minute, second)) = clock(at(2)?) {
        // BSD's `ls -T`: `10:11:12 2024`
        if let (Some(second), Some(year)) = (second, at(3).and_then(year)) {
            let at = Timestamp::from_civil(year, month, day, hour, minute, second).ok()?;
            return Some((
                ListTime {
                    at,
                    precision: Precision::Second,
                },
                4,
            ));
        }
        let at = without_year(month, day, hour, minute, now)?;
        return Some((
            ListTime {
                at,
                precision: Precision::Minute,
            },
            3,
        ));
    }
    let at = Timestamp::from_civil(year(at(2)?)?, month, day, 0, 0, 0).ok()?;
    Some((
        ListTime {
            at,
            precision: Precision::Day,
        },
        3,
    ))
}

/// The latest such date that is not later than a day after now. 29 February may lie up to eight years back (1896 to
/// 1904 had none between).
fn without_year(month: u8, day: u8, hour: u8, minute: u8, now: Timestamp) -> Option<Timestamp> {
    let latest = now.secs().saturating_add(AHEAD);
    let (this_year, ..) = Timestamp::new(latest, 0).civil();
    (0..=8)
        .filter_map(|back| {
            Timestamp::from_civil(this_year.checked_sub(back)?, month, day, hour, minute, 0).ok()
        })
        .find(|time| time.secs() <= latest)
}

/// English month names; other languages are other dialects.
fn month(word: &[u8]) -> Option<u8> {
    const MONTHS: [&[u8]; 12] = [
        b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov",
        b"dec",
    ];
    let word = word.strip_suffix(b".").unwrap_or(word);
    let place = MONTHS
        .iter()
        .position(|month| month.eq_ignore_ascii_case(word))?;
    u8::try_from(place + 1).ok()
}

fn day(word: &[u8]) -> Option<u8> {
    let day = number(word).filter(|_| word.len() <= 2)?;
    u8::try_from(day).ok().filter(|day| (1..=31).contains(day))
}

fn year(word: &[u8]) -> Option<u16> {
    let year = number(word).filter(|_| word.len() == 4)?;
    u16::try_from(year).ok()
}

fn iso_date(word: &[u8]) -> Option<(u16, u8, u8)> {
    let mut parts = word.split(|&b| b == b'-');
    let year = year(parts.next()?)?;
    let month = day(parts.next()?).filter(|month| *month <= 12)?;
    let day = day(parts.next()?)?;
    parts.next().is_none().then_some((year, month, day))
}

fn is_zone(word: &[u8]) -> bool {
    matches!(word, [b'+' | b'-', digits @ ..] if digits.len() == 4 && digits.iter().all(u8::is_ascii_digit))
}

/// Links, owner and group from the words between permissions and size. With more words than columns (a name of two
/// words) who is who cannot be told.
fn owners(before: &[(usize, &[u8])]) -> (Option<u64>, Option<Vec<u8>>, Option<Vec<u8>>) {
    let words: Vec<&[u8]> = before.iter().map(|(_, word)| *word).collect();
    let (links, names) = match words.split_first() {
        Some((first, names)) if number(first).is_some() => (number(first), names),
        _ => (None, words.as_slice()),
    };
    match names {
        [owner] => (links, Some(owner.to_vec()), None),
        [owner, group] => (links, Some(owner.to_vec()), Some(group.to_vec())),
        _ => (links, None, None),
    }
}

fn split_link(name: &[u8]) -> (EntryKind, &[u8]) {
    const ARROW: &[u8] = b" -> ";
    match name.windows(ARROW.len()).position(|window| window == ARROW) {
        Some(at) if at > 0 => {
            let (name, target) = name.split_at(at);
            let target = target
                .strip_prefix(ARROW)
                .filter(|target| !target.is_empty());
            (
                EntryKind::Symlink {
                    target: target.map(<[u8]>::to_vec),
                },
                name,
            )
        }
        _ => (EntryKind::Symlink { target: None }, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `kind mode size time links owner:group |name| target`
    fn shown(line: &str) -> String {
        let now = Timestamp::from_wire(b"20260601120000").unwrap();
        match read(line.as_bytes(), now) {
            ListLine::Nothing => "nothing".to_owned(),
            ListLine::Unknown => "unknown".to_owned(),
            ListLine::Entry(entry) => {
                let text = |bytes: &Option<Vec<u8>>| {
                    bytes
                        .as_deref()
                        .map_or("?".to_owned(), |b| String::from_utf8_lossy(b).into_owned())
                };
                let (kind, target) = match &entry.kind {
                    EntryKind::File => ("file", String::new()),
                    EntryKind::Directory => ("dir", String::new()),
                    EntryKind::Symlink { target } => ("link", format!(" -> {}", text(target))),
                    EntryKind::Other => ("other", String::new()),
                };
                let count = |n: Option<u64>| n.map_or("?".to_owned(), |n| n.to_string());
                let modified = entry.modified.unwrap();
                let wire = modified.at.to_wire();
                let time = match modified.precision {
                    Precision::Day => wire.get(..8).unwrap().to_owned(),
                    Precision::Minute => wire.get(..12).unwrap().to_owned(),
                    Precision::Second => wire,
                };
                format!(
                    "{kind} {:o} {} {time} {} {}:{} |{}|{target}",
                    entry.mode.unwrap(),
                    count(entry.size),
                    count(entry.links),
                    text(&entry.owner),
                    text(&entry.group),
                    String::from_utf8_lossy(&entry.name),
                )
            }
        }
    }

    #[test]
    fn lines_of_many_servers() {
        let table = [
            // the plain forms
            (
                "-rw-r--r--    1 1000     1000         1234 Jan 02 10:11 notes.txt",
                "file 644 1234 202601021011 1 1000:1000 |notes.txt|",
            ),
            (
                "drwxr-xr-x   2 ftp      ftp          4096 Mar 14  2024 pub",
                "dir 755 4096 20240314 2 ftp:ftp |pub|",
            ),
            (
                "-rw-r--r-- 1 joe users 5 Jan  1 1970 old",
                "file 644 5 19700101 1 joe:users |old|",
            ),
            (
                "-rw-r--r-- 1 joe users 18446744073709551615 Jan  1 2024 big",
                "file 644 18446744073709551615 20240101 1 joe:users |big|",
            ),
            // the year of a date without one
            (
                "-rw-r--r-- 1 a b 5 Jun  1 12:00 now",
                "file 644 5 202606011200 1 a:b |now|",
            ),
            (
                "-rw-r--r-- 1 a b 5 Jun  2 11:59 ahead-by-zone",
                "file 644 5 202606021159 1 a:b |ahead-by-zone|",
            ),
            (
                "-rw-r--r-- 1 a b 5 Jun  2 12:01 last-year",
                "file 644 5 202506021201 1 a:b |last-year|",
            ),
            (
                "-rw-r--r-- 1 a b 5 Dec 31 23:59 last-year",
                "file 644 5 202512312359 1 a:b |last-year|",
            ),
            (
                "-rw-r--r-- 1 a b 5 Feb 29 10:00 leap",
                "file 644 5 202402291000 1 a:b |leap|",
            ),
            (
                "-rw-r--r-- 1 a b 5 Jan  2 9:05 short-hour",
                "file 644 5 202601020905 1 a:b |short-hour|",
            ),
            // other dates
            (
                "-rw-r--r-- 1 a b 5 2 Jan 10:11 day-first",
                "file 644 5 202601021011 1 a:b |day-first|",
            ),
            (
                "-rw-r--r-- 1 a b 5 02 Jan 2024 day-first",
                "file 644 5 20240102 1 a:b |day-first|",
            ),
            (
                "-rw-r--r-- 1 a b 5 2024-01-02 10:11 iso",
                "file 644 5 202401021011 1 a:b |iso|",
            ),
            (
                "-rw-r--r-- 1 a b 5 2024-01-02 10:11:12.345678901 +0000 full",
                "file 644 5 20240102101112 1 a:b |full|",
            ),
            (
                "-rw-r--r-- 1 a b 5 Jan  2 10:11:12 2024 bsd",
                "file 644 5 20240102101112 1 a:b |bsd|",
            ),
            (
                "-rw-r--r-- 1 a b 5 JAN  2 2024 capitals",
                "file 644 5 20240102 1 a:b |capitals|",
            ),
            // owners
            (
                "-rw-r--r--   1 ftp            5 Jan  2 2024 no group",
                "file 644 5 20240102 1 ftp:? |no group|",
            ),
            (
                "-rw-r--r--   ftp ftp          5 Jan  2 2024 no links",
                "file 644 5 20240102 ? ftp:ftp |no links|",
            ),
            (
                "-rw-r--r--   1 Domain Users Some Group 5 Jan  2 2024 x",
                "file 644 5 20240102 1 ?:? |x|",
            ),
            (
                "-rw-r--r-- 5 Jan  2 2024 bare",
                "file 644 5 20240102 ? ?:? |bare|",
            ),
            (
                "drwxr-xr-x1000 joe users 5 Jan  2 2024 glued",
                "dir 755 5 20240102 1000 joe:users |glued|",
            ),
            // marks and bits
            (
                "-rw-r--r--+ 1 a b 5 Jan  2 2024 acl",
                "file 644 5 20240102 1 a:b |acl|",
            ),
            (
                "-rw-r--r--@ 1 a b 5 Jan  2 2024 attributes",
                "file 644 5 20240102 1 a:b |attributes|",
            ),
            (
                "-rw-r--r--. 1 a b 5 Jan  2 2024 selinux",
                "file 644 5 20240102 1 a:b |selinux|",
            ),
            (
                "-rwsr-sr-t 1 a b 5 Jan  2 2024 special",
                "file 7755 5 20240102 1 a:b |special|",
            ),
            (
                "-rwSr-Sr-T 1 a b 5 Jan  2 2024 special",
                "file 7644 5 20240102 1 a:b |special|",
            ),
            (
                "---------- 1 a b 5 Jan  2 2024 nothing",
                "file 0 5 20240102 1 a:b |nothing|",
            ),
            // devices and others
            (
                "crw-rw-rw- 1 root root 1, 3 Jan  2 2024 null",
                "other 666 ? 20240102 1 root:root |null|",
            ),
            (
                "crw-rw-rw- 1 root root 1,   3 Jan  2 2024 null",
                "other 666 ? 20240102 1 root:root |null|",
            ),
            (
                "brw-rw---- 1 root disk 8,0 Jan  2 2024 sda",
                "other 660 ? 20240102 1 root:disk |sda|",
            ),
            (
                "prw-r--r-- 1 a b 0 Jan  2 2024 pipe",
                "other 644 ? 20240102 1 a:b |pipe|",
            ),
            (
                "srwxr-xr-x 1 a b 0 Jan  2 2024 socket",
                "other 755 ? 20240102 1 a:b |socket|",
            ),
            // names
            (
                "-rw-r--r-- 1 a b 5 Jan  2 2024 with spaces  in it",
                "file 644 5 20240102 1 a:b |with spaces  in it|",
            ),
            (
                "-rw-r--r-- 1 a b 5 Jan  2 2024   leading",
                "file 644 5 20240102 1 a:b |  leading|",
            ),
            (
                "-rw-r--r-- 1 a b 5 Jan  2 2024 trailing  ",
                "file 644 5 20240102 1 a:b |trailing  |",
            ),
            (
                "-rw-r--r-- 1 a b 5 Jan  2 2024 7 Feb 3 2023 date in name",
                "file 644 5 20240102 1 a:b |7 Feb 3 2023 date in name|",
            ),
            (
                "-rw-r--r-- 1 a b 5 Jan  2 2024 a -> b",
                "file 644 5 20240102 1 a:b |a -> b|",
            ),
            (
                "-rw-r--r-- 1 a b 5 Jan  2 2024 ../up",
                "file 644 5 20240102 1 a:b |../up|",
            ),
            (
                "lrwxrwxrwx 1 a b 5 Jan  2 2024 link -> to/there",
                "link 777 5 20240102 1 a:b |link| -> to/there",
            ),
            (
                "lrwxrwxrwx 1 a b 5 Jan  2 2024 l -> a -> b",
                "link 777 5 20240102 1 a:b |l| -> a -> b",
            ),
            (
                "lrwxrwxrwx 1 a b 5 Jan  2 2024 no target",
                "link 777 5 20240102 1 a:b |no target| -> ?",
            ),
            (
                "-rw-r--r-- 1 a b -2147483648 Jan  2 2024 overflow",
                "file 644 ? 20240102 1 a:b |overflow|",
            ),
            // nothing to keep
            ("total 12", "nothing"),
            ("total 0", "nothing"),
            ("Gesamt 12", "nothing"),
            ("drwxr-xr-x 2 a b 5 Jan  2 2024 .", "nothing"),
            ("drwxr-xr-x 2 a b 5 Jan  2 2024 ..", "nothing"),
            // not understood
            ("-rw-r--r-- 1 a b 5 Jan  2 2024", "unknown"),
            ("-rw-r--r-- 1 a b 5 Jan  2 2024 ", "unknown"),
            ("-rw-r--r-- 1 a b 5 Jan 32 2024 x", "unknown"),
            ("-rw-r--r-- 1 a b 5 Feb 30 2024 x", "unknown"),
            ("-rw-r--r-- 1 a b 5 Jan  2 25:00 x", "unknown"),
            ("-rw-r--r-- 1 a b 5 Jänner 2 2024 x", "unknown"),
            ("-rw-r--r-- 1 a b 1.2K Jan  2 2024 x", "unknown"),
            (
                "-rw-r--r-- 1 a b 99999999999999999999 Jan  2 2024 x",
                "unknown",
            ),
            ("xrw-r--r-- 1 a b 5 Jan  2 2024 x", "unknown"),
            ("-rw-r--q-- 1 a b 5 Jan  2 2024 x", "unknown"),
            ("-rw-r--r--x 1 a b 5 Jan  2 2024 x", "unknown"),
            (
                "d [R----F--] supervisor  512  Jan 16 18:53  login",
                "unknown",
            ),
            ("ls: cannot open directory: Permission denied", "unknown"),
            ("notes.txt", "unknown"),
            ("-", "unknown"),
        ];
        for (line, want) in table {
            assert_eq!(shown(line), want, "{line}");
        }
    }

    #[test]
    fn names_need_not_be_utf8() {
        let now = Timestamp::from_wire(b"20260601120000").unwrap();
        let ListLine::Entry(entry) = read(b"-rw-r--r-- 1 \xe9 b 5 Jan  2 2024 caf\xe9", now) else {
            panic!()
        };
        assert_eq!(
            (entry.name, entry.owner),
            (b"caf\xe9".to_vec(), Some(b"\xe9".to_vec()))
        );
    }
}
