//! Data sets of z/OS.
//!
//! ```text
//! Volume Unit    Referred Ext Used Recfm Lrecl BlkSz Dsorg Dsname
//! SYSPP1 3390   2000/01/20  1    3  FB      80  3120  PO  ISPF.TABLES
//! Migrated                                                LOG.MISC
//! SYSPP5 3390                                        VSAM DDIR.D
//! ```
//!
//! Partitioned data sets hold members and are directories. Space is told in tracks, so sizes are not known; the date is that
//! of the last use, not of a change, so times are not either; of what is migrated or not mounted it is not told what it is.

use super::date::{moment, small, year};
use super::words::{Words, is_plain, number};
use super::{Entry, EntryKind, Reading, Seen};

/// The line of column names.
pub(super) fn heading(line: &[u8]) -> bool {
    let words = Words::new(line);
    words.len() >= 9
        && words.get(0) == Some(b"Volume")
        && words.get(1) == Some(b"Unit")
        && words.get(words.len() - 1) == Some(b"Dsname")
}

/// What stands in place of all columns, and whether it tells that this is a file.
const STATES: [(&[&str], bool); 8] = [
    (&["Migrated"], false),
    (&["Error", "determining", "attributes"], false),
    (&["Not", "Mounted"], false),
    (&["Not", "Direct", "Access", "Device"], true),
    (&["GDG"], false),
    (&["User", "catalog", "connector"], false),
    (&["Pseudo", "Directory"], false),
    (&["Tape"], true),
];

/// Reads one line. See [`super::Dialect`].
pub(super) fn read(line: &[u8], _seen: &mut Seen) -> Reading {
    let words = Words::new(line);
    let entry = in_a_state(&words).or_else(|| with_columns(&words));
    entry.into()
}

/// The last word, without the quotes of a full name.
fn name<'a>(words: &Words<'a>) -> Option<&'a [u8]> {
    let last = words.get(words.len().checked_sub(1)?)?;
    let bare = last
        .strip_prefix(b"'")
        .and_then(|it| it.strip_suffix(b"'"))
        .unwrap_or(last);
    let is_name = is_plain(bare) && bare.len() <= 54 && number(bare).is_none();
    is_name.then_some(last)
}

/// `Migrated NAME`, `VOLUME Tape NAME`.
fn in_a_state(words: &Words<'_>) -> Option<Entry> {
    let all = words.before(words.len());
    let (_, before) = all.split_last()?;
    let (state, file) = STATES.iter().find(|(state, _)| {
        let skipped = before.len().checked_sub(state.len());
        let alone = state
            .first()
            .is_some_and(|first| matches!(*first, "Migrated" | "Error" | "Pseudo"));
        let volume = skipped == Some(1) && !alone && before.first().is_some_and(|it| is_volume(it));
        (skipped == Some(0) && alone || volume)
            && before
                .iter()
                .rev()
                .zip(state.iter().rev())
                .all(|(word, it)| *word == it.as_bytes())
    })?;
    let kind = if *file {
        EntryKind::File
    } else if state.first() == Some(&"Pseudo") {
        EntryKind::Directory
    } else {
        EntryKind::Other
    };
    Some(Entry::new(name(words)?, kind))
}

fn is_volume(word: &[u8]) -> bool {
    (1..=6).contains(&word.len()) && is_plain(word)
}

/// `VOLUME UNIT DATE EXTENTS USED RECFM LRECL BLKSZ DSORG NAME`, with fewer columns for VSAM and some old servers.
fn with_columns(words: &Words<'_>) -> Option<Entry> {
    let all = words.before(words.len());
    let [volume, unit, columns @ .., _] = all.as_slice() else {
        return None;
    };
    let is_unit = |unit: &[u8]| unit.len() == 4 && unit.iter().all(u8::is_ascii_alphanumeric);
    if !is_volume(volume) || !is_unit(unit) || number(unit).is_none() {
        return None;
    }
    let (organisation, columns) = columns.split_last()?;
    let kind = match *organisation {
        b"PO" | b"PO-E" | b"PO-EXT" | b"POU" => EntryKind::Directory,
        b"PS" | b"PS-E" | b"PS-EXT" | b"PSU" | b"PS-L" | b"DA" | b"VSAM" | b"PATH" | b"HFS"
        | b"ZFS" | b"IS" => EntryKind::File,
        b"?" | b"??" | b"NONE" => EntryKind::Other,
        _ => return None,
    };
    let entry = Entry::new(name(words)?, kind);
    match columns {
        [] if *organisation == b"VSAM" => return Some(entry),
        [date, numbers @ ..] if numbers.len() >= 4 && numbers.len() <= 6 => {
            if !(date.starts_with(b"**") && date.ends_with(b"**")) {
                let mut parts = date.split(|b| *b == b'/');
                let date = (
                    year(parts.next()?)?,
                    small(parts.next()?)?,
                    small(parts.next()?)?,
                );
                moment(date, None)?;
            }
            // tracks that need more than their column are shown as ++++ or ????, glued to the extents
            let is_space = |word: &&[u8]| {
                word.iter()
                    .all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'?'))
            };
            numbers.first().filter(|it| is_space(it))?;
            let record = numbers.len().checked_sub(3)?;
            let letters = |word: &&[u8]| word.iter().all(|b| b.is_ascii_uppercase() || *b == b'?');
            numbers.get(record).filter(|it| letters(it))?;
            number(numbers.get(record + 1)?)?;
            number(numbers.get(record + 2)?)?;
        }
        _ => return None,
    }
    Some(entry)
}
