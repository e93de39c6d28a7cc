//! The MS-DOS dialect of IIS and its relatives.
//!
//! `06-05-03  03:19PM                 1973 readme.txt`
//!
//! IIS writes date, time, then `<DIR>` or the size in a column of fixed width, one space, the name. Where it cannot be told
//! from this or an earlier line whether day or month comes first, the month does, as with IIS.

use super::date::{Orders, clock_of_twelve, moment, numeric};
use super::words::{Words, grouped};
use super::{Entry, EntryKind, Reading, Seen};
use crate::timestamp::Timestamp;

/// Spaces that IIS puts between `<DIR>` and the name; more belong to the name.
const AFTER_MARK: usize = 10;

/// Later than any file.
const END_OF_TIME: Timestamp = Timestamp::LAST;

/// Reads one line. See [`super::Dialect`].
pub(super) fn read(line: &[u8], seen: &mut Seen) -> Reading {
    read_entry(line, seen).into()
}

fn read_entry(line: &[u8], seen: &mut Seen) -> Option<Entry> {
    let words = Words::new(line);
    let date = words.get(0)?;
    let leading = date
        .get(..4)
        .is_some_and(|year| year.iter().all(u8::is_ascii_digit));
    let allowed = if leading {
        Orders::YEAR_LEADS
    } else {
        Orders::YEAR_LAST
    };
    if date.contains(&b'.') {
        return None;
    }
    // IIS is American even where that is the future: a clock may be wrong
    let date = numeric(date, allowed, &mut seen.orders, END_OF_TIME)?.american();
    let half = words.get(2)?;
    let spaced = half.eq_ignore_ascii_case(b"am") || half.eq_ignore_ascii_case(b"pm");
    let (time, at) = if spaced {
        ([words.get(1)?, half].concat(), 3) // `03:19 PM`
    } else {
        (words.get(1)?.to_vec(), 2)
    };
    let time = clock_of_twelve(&time)?;
    let rest = words.after(at)?;
    let (kind, size, name) = match words.get(at)?.to_ascii_uppercase().as_slice() {
        b"<DIR>" => (EntryKind::Directory, None, after_mark(rest)?),
        b"<SYMLINKD>" | b"<SYMLINK>" | b"<JUNCTION>" => {
            let (name, target) = split_link(after_mark(rest)?);
            (EntryKind::Symlink { target }, None, name)
        }
        digits => (
            EntryKind::File,
            Some(grouped(digits)?),
            rest.strip_prefix(b" ")?,
        ),
    };
    Some(Entry {
        size,
        // 31 February is no reason to lose the file
        modified: moment(date, Some(time)),
        ..Entry::new(name, kind)
    })
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
