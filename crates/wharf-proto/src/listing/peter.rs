//! Servers for the classic MacOS: Peter's, later NetPresenz.
//!
//! ```text
//! -------r--         326  1391972  1392298 Nov 22  1995 file
//! drwxrwxr-x               folder        2 May 10  1996 folder
//! ```
//!
//! Looks like Unix, but the numbers are the lengths of the resource fork and the data fork, and their sum. What a transfer in
//! TYPE I brings is the data fork. Told from Unix by the sum.

use super::unix::permissions;
use super::unix_date::unmistakable;
use super::words::{Words, number};
use super::{Entry, EntryKind, Reading, Seen};

/// The smallest resource fork that is not empty: its header and map.
const SMALLEST_FORK: u64 = 286;

/// Reads one line. See [`super::Dialect`].
pub(super) fn read(line: &[u8], seen: &mut Seen) -> Reading {
    read_entry(line, seen).into()
}

fn read_entry(line: &[u8], seen: &mut Seen) -> Option<Entry> {
    let (letter, mode, rest) = permissions(line)?;
    let words = Words::new(rest);
    let (kind, size, at) = match letter {
        b'd' => {
            words.get(0).filter(|it| *it == b"folder")?;
            number(words.get(1)?)?;
            (EntryKind::Directory, None, 2)
        }
        b'-' => {
            let of = |place: usize| words.get(place).and_then(number);
            let (resource, data, both) = (of(0)?, of(1)?, of(2)?);
            let forks = resource == 0 || resource >= SMALLEST_FORK;
            let sum = resource.checked_add(data) == Some(both);
            (forks && sum && both > 0).then_some((EntryKind::File, Some(data), 3))?
        }
        _ => return None,
    };
    let found = unmistakable(&words, at, seen)?;
    let name = words.after(at + found.words - 1)?.strip_prefix(b" ")?;
    Some(Entry {
        size,
        modified: found.time,
        mode: Some(mode),
        ..Entry::new(name, kind)
    })
}
