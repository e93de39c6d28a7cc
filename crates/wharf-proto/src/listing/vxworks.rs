//! VxWorks and the routers built on it.
//!
//! ```text
//!   size          date       time       name
//! --------       ------     ------    --------
//!     2048    Feb-28-1998  05:23:30   RAM            <DIR>
//!   114688    Mar-03-1998  12:01:00   image.bin
//! ```

use super::date::{clock, day, moment, year};
use super::month::month;
use super::words::{Words, number, unpadded};
use super::{Entry, EntryKind, Reading, Seen};

/// The line of column names, and the one below it.
pub(super) fn heading(line: &[u8]) -> bool {
    Words::new(line).exactly::<4>().is_some_and(|words| {
        words == [b"size".as_slice(), b"date", b"time", b"name"]
            || words
                .iter()
                .all(|it| it.len() > 3 && it.iter().all(|b| *b == b'-'))
    })
}

/// Reads one line. See [`super::Dialect`].
pub(super) fn read(line: &[u8], _seen: &mut Seen) -> Reading {
    read_entry(line).into()
}

fn read_entry(line: &[u8]) -> Option<Entry> {
    let words = Words::new(line);
    let size = number(words.get(0)?)?;
    let mut parts = words.get(1)?.split(|b| *b == b'-');
    let (name_of_month, first, last) = (parts.next()?, parts.next()?, parts.next()?);
    let date = (year(last)?, month(name_of_month)?, day(first)?);
    let time = clock(words.get(2)?).filter(|time| time.2.is_some())?;
    let name = unpadded(words.after(2)?);
    let modified = Some(moment(date, Some(time))?);
    let entry = match name.strip_suffix(b"<DIR>") {
        Some(name) => Entry::new(
            name.strip_suffix(b" ")?.trim_ascii_end(),
            EntryKind::Directory,
        ),
        None => Entry {
            size: Some(size),
            ..Entry::new(name, EntryKind::File)
        },
    };
    Some(Entry { modified, ..entry })
}
