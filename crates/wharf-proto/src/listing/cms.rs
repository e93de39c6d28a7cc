//! VM/CMS: z/VM and its ancestors.
//!
//! ```text
//! README   TEXT     V         65        107          2 2005-10-04 15:28:42 060191
//! $README  $FIRST   F         80          7          1 11/21/97 23:26:08 FTP301
//! ART               DIR        -          -          - 11/24/95 17:45:47 -
//! ```
//!
//! File name and file type become one name with a dot. Records of a fixed length times their number are the exact size, of a
//! variable length the most that it can be.

use super::date::{Orders, clock, moment, numeric};
use super::words::{Words, number};
use super::{Entry, EntryKind, Reading, Seen};

/// Reads one line. See [`super::Dialect`].
pub(super) fn read(line: &[u8], seen: &mut Seen) -> Reading {
    read_entry(line, seen).into()
}

fn is_name(word: &[u8]) -> bool {
    let letter = |b: &u8| b.is_ascii_alphanumeric() || b"$#@+-:_".contains(b);
    (1..=8).contains(&word.len()) && word.iter().all(letter)
}

fn read_entry(line: &[u8], seen: &mut Seen) -> Option<Entry> {
    let words = Words::new(line);
    let name = words.get(0).filter(|it| is_name(it))?;
    let mut date_and_time = |at: usize| {
        let word = words.get(at)?;
        let allowed = if word.contains(&b'-') {
            Orders::YEAR_LEADS
        } else {
            Orders::MONTH_LEADS
        };
        let date = numeric(word, allowed, &mut seen.orders, seen.now)?.known()?;
        let time = clock(words.get(at + 1)?)?;
        moment(date, Some(time))
    };
    if words.get(1) == Some(b"DIR") {
        let dashes = (2..5).all(|place| words.get(place) == Some(b"-"));
        let entry = Entry {
            modified: Some(date_and_time(5)?),
            ..Entry::new(name, EntryKind::Directory)
        };
        return (dashes && words.len() <= 8).then_some(entry);
    }
    let file_type = words.get(1).filter(|it| is_name(it))?;
    let fixed = match words.get(2)? {
        b"F" => true,
        b"V" => false,
        _ => return None,
    };
    let (length, count) = (number(words.get(3)?)?, number(words.get(4)?)?);
    number(words.get(5)?)?;
    let modified = Some(date_and_time(6)?);
    let bytes = length.checked_mul(count);
    let full = [name, b".", file_type].concat();
    (words.len() == 9).then_some(Entry {
        size: bytes.filter(|_| fixed),
        about: bytes.filter(|_| !fixed),
        modified,
        owner: words.get(8).map(<[u8]>::to_vec),
        ..Entry::new(&full, EntryKind::File)
    })
}
