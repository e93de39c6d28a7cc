//! Older versions of VShell.
//!
//! `206876  Apr 04, 2000 21:06 file.txt`
//!
//! Size, date, time, name; a directory ends in `/`.

use super::date::{clock, day, moment, year};
use super::month::month;
use super::words::{Words, number};
use super::{Entry, EntryKind, Reading, Seen};

/// Reads one line. See [`super::Dialect`].
pub(super) fn read(line: &[u8], _seen: &mut Seen) -> Reading {
    read_entry(line).into()
}

fn read_entry(line: &[u8]) -> Option<Entry> {
    let words = Words::new(line);
    let size = number(words.get(0)?)?;
    let date = (
        year(words.get(3)?)?,
        month(words.get(1)?)?,
        day(words.get(2)?.strip_suffix(b",")?)?,
    );
    let time = clock(words.get(4)?)?;
    let name = words.after(4)?.strip_prefix(b" ")?;
    let modified = Some(moment(date, Some(time))?);
    let entry = match name.strip_suffix(b"/") {
        Some(name) => Entry::new(name, EntryKind::Directory),
        None => Entry {
            size: Some(size),
            ..Entry::new(name, EntryKind::File)
        },
    };
    Some(Entry { modified, ..entry })
}
