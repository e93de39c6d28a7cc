//! The LIST line that wharf's server writes: the Unix form, which every client reads.
//!
//! `-rw-r--r--   1 owner group         1234 Jan  2 10:11 name`
//!
//! Times are UTC, English month names, no locale. As `ls` does, the time of day stands for dates of the last half year
//! and the year for all others.

use std::fmt::Write as _;

use super::EntryKind;
use crate::timestamp::Timestamp;

/// Half a mean Gregorian year in seconds: older times show their year (`ls`, POSIX "six months").
const HALF_YEAR: i64 = 15_778_476;

/// What one line tells.
#[derive(Debug, Clone, Copy)]
pub struct UnixLine<'a> {
    /// The name; never with CR, LF or NUL in what is written.
    pub name: &'a [u8],
    /// What it is; the target of a symbolic link is shown behind an arrow.
    pub kind: &'a EntryKind,
    /// Bytes.
    pub size: u64,
    /// When it was modified.
    pub modified: Timestamp,
    /// Permission bits; where the storage has none, 644 for files and 755 for directories are shown.
    pub mode: Option<u32>,
    /// Number of hard links; 1 where the storage has none.
    pub links: u64,
    /// The owner's name or number; spaces and controls become `_`, empty becomes `ftp`.
    pub owner: &'a [u8],
    /// The group's name or number, as the owner's.
    pub group: &'a [u8],
}

/// The name (or the link's target) holds a line break or NUL: written, it would forge a line. The caller leaves the
/// entry out and counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotListable;

impl std::fmt::Display for NotListable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the name holds a line break or NUL and cannot be listed")
    }
}

impl std::error::Error for NotListable {}

/// May this name stand in a listing line (LIST, NLST, MLSD)?
pub fn is_listable(name: &[u8]) -> bool {
    !name.is_empty() && !name.iter().any(|b| matches!(b, b'\r' | b'\n' | 0))
}

/// Appends the line with CRLF to `out`; appends nothing if the name cannot be listed.
pub fn unix_line(
    line: &UnixLine<'_>,
    now: Timestamp,
    out: &mut Vec<u8>,
) -> Result<(), NotListable> {
    let target = match line.kind {
        EntryKind::Symlink { target } => target.as_deref(),
        _ => None,
    };
    if !is_listable(line.name) || target.is_some_and(|target| !is_listable(target)) {
        return Err(NotListable);
    }
    let mut head = String::with_capacity(64);
    permissions(line, &mut head);
    // writing to a String does not fail
    let _ = write!(head, " {:>3} ", line.links);
    out.extend_from_slice(head.as_bytes());
    push_owner(line.owner, out);
    out.push(b' ');
    push_owner(line.group, out);
    head.clear();
    let _ = write!(head, " {:>12} ", line.size);
    time(line.modified, now, &mut head);
    head.push(' ');
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(line.name);
    if let Some(target) = target {
        out.extend_from_slice(b" -> ");
        out.extend_from_slice(target);
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn permissions(line: &UnixLine<'_>, out: &mut String) {
    let (letter, usual) = match line.kind {
        EntryKind::File => ('-', 0o644),
        EntryKind::Directory => ('d', 0o755),
        EntryKind::Symlink { .. } => ('l', 0o777),
        EntryKind::Other => ('s', 0o644),
    };
    let mode = line.mode.unwrap_or(usual);
    out.push(letter);
    for (shift, special, on, off) in [
        (6, 0o4000, 's', 'S'),
        (3, 0o2000, 's', 'S'),
        (0, 0o1000, 't', 'T'),
    ] {
        let bits = mode >> shift;
        out.push(if bits & 4 != 0 { 'r' } else { '-' });
        out.push(if bits & 2 != 0 { 'w' } else { '-' });
        out.push(match (mode & special != 0, bits & 1 != 0) {
            (true, true) => on,
            (true, false) => off,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
}

/// An owner column of at least eight bytes without spaces, which would shift the columns for every reader.
fn push_owner(name: &[u8], out: &mut Vec<u8>) {
    let name = if name.is_empty() { b"ftp" } else { name };
    out.extend(
        name.iter()
            .map(|&b| if b <= b' ' || b == 0x7f { b'_' } else { b }),
    );
    out.extend(std::iter::repeat_n(
        b' ',
        8_usize.saturating_sub(name.len()),
    ));
}

/// `Jan  2 10:11` or `Jan  2  2024`. Times in the future show their year, for readers take a date without year as past.
fn time(modified: Timestamp, now: Timestamp, out: &mut String) {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (year, month, day, hour, minute, _) = modified.civil();
    let month = MONTHS
        .get(usize::from(month).saturating_sub(1))
        .copied()
        .unwrap_or("Jan");
    let age = now.secs().saturating_sub(modified.secs());
    let _ = if (0..HALF_YEAR).contains(&age) {
        write!(out, "{month} {day:>2} {hour:02}:{minute:02}")
    } else {
        write!(out, "{month} {day:>2}  {year:04}")
    };
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::super::{ListLine, ListReader, Precision};
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_wire(b"20260601120000").unwrap()
    }

    fn plain<'a>(name: &'a [u8], kind: &'a EntryKind, modified: &str) -> UnixLine<'a> {
        let modified = Timestamp::from_wire(modified.as_bytes()).unwrap();
        UnixLine {
            name,
            kind,
            size: 1234,
            modified,
            mode: None,
            links: 1,
            owner: b"ftp",
            group: b"users",
        }
    }

    #[test]
    fn lines_look_like_ls() {
        let link = EntryKind::Symlink {
            target: Some(b"notes.txt".to_vec()),
        };
        let mut out = Vec::new();
        for line in [
            plain(b"notes.txt", &EntryKind::File, "20260601115959"),
            plain(b"half a year", &EntryKind::File, "20251130000000"),
            plain(b"old", &EntryKind::Directory, "20240102030405"),
            plain(b"future", &EntryKind::File, "20260601120001"),
            plain(b"link", &link, "20260102030405"),
            UnixLine {
                mode: Some(0o7751),
                links: 12,
                ..plain(b"special", &EntryKind::File, "20260102030405")
            },
            UnixLine {
                mode: Some(0o7000),
                owner: b"",
                group: b"two words\x1b",
                ..plain(b"strange", &EntryKind::Other, "20260102030405")
            },
            UnixLine {
                size: u64::MAX,
                ..plain(b"big", &EntryKind::File, "20260102030405")
            },
        ] {
            unix_line(&line, now(), &mut out).unwrap();
        }
        expect![[r"
            -rw-r--r--   1 ftp      users            1234 Jun  1 11:59 notes.txt
            -rw-r--r--   1 ftp      users            1234 Nov 30  2025 half a year
            drwxr-xr-x   1 ftp      users            1234 Jan  2  2024 old
            -rw-r--r--   1 ftp      users            1234 Jun  1  2026 future
            lrwxrwxrwx   1 ftp      users            1234 Jan  2 03:04 link -> notes.txt
            -rwsr-s--t  12 ftp      users            1234 Jan  2 03:04 special
            s--S--S--T   1 ftp      two_words_         1234 Jan  2 03:04 strange
            -rw-r--r--   1 ftp      users    18446744073709551615 Jan  2 03:04 big
        "]]
        .assert_eq(&String::from_utf8(out).unwrap().replace('\r', ""));
    }

    #[test]
    fn a_name_with_a_line_break_is_never_written() {
        let link = EntryKind::Symlink {
            target: Some(b"a\r\n-rw-r--r--".to_vec()),
        };
        let mut out = Vec::new();
        for name in [&b"a\nb"[..], b"a\rb", b"a\0b", b""] {
            assert_eq!(
                unix_line(
                    &plain(name, &EntryKind::File, "20260601115959"),
                    now(),
                    &mut out
                ),
                Err(NotListable)
            );
        }
        assert_eq!(
            unix_line(&plain(b"link", &link, "20260601115959"), now(), &mut out),
            Err(NotListable)
        );
        assert!(out.is_empty());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            name in proptest::collection::vec(any::<u8>().prop_filter("line break", |b| !matches!(b, b'\r' | b'\n' | 0)), 1..40),
            size: u64, secs in 0_i64..4_000_000_000, mode in 0_u32..0o10000, links in 1_u64..9,
        ) {
            prop_assume!(name != b"." && name != b"..");
            let line = UnixLine {
                name: &name, kind: &EntryKind::File, size, modified: Timestamp::new(secs, 0), mode: Some(mode), links, owner: b"1000", group: b"my group",
            };
            let mut out = Vec::new();
            unix_line(&line, now(), &mut out).unwrap();
            prop_assert!(out.ends_with(b"\r\n"));
            out.truncate(out.len() - 2);
            let ListLine::Entry(entry) = ListReader::new(now()).read(&out) else { return Err(TestCaseError::fail("not an entry")) };
            prop_assert_eq!(&entry.name, &name);
            prop_assert_eq!((entry.size, entry.mode, entry.links), (Some(size), Some(mode), Some(links)));
            prop_assert_eq!(entry.group.as_deref(), Some(&b"my_group"[..]));
            let time = entry.modified.unwrap();
            let unit = if time.precision == Precision::Day { 86_400 } else { 60 };
            prop_assert_eq!(time.at.secs(), secs / unit * unit);
        }
    }
}
