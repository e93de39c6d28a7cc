//! Servers that print what stat(2) says, in numbers.
//!
//! `0100644   500  101   12345    123456789       name`
//!
//! Mode in octal, owner, group, size, time in seconds since 1970 UTC, name.

use super::words::{Words, number, unpadded};
use super::{Entry, EntryKind, ListTime, Precision, Reading, Seen};
use crate::timestamp::Timestamp;

/// Reads one line. See [`super::Dialect`].
pub(super) fn read(line: &[u8], _seen: &mut Seen) -> Reading {
    read_entry(line).into()
}

fn read_entry(line: &[u8]) -> Option<Entry> {
    let words = Words::new(line);
    let mode = words.get(0).filter(|it| (6..=7).contains(&it.len()))?;
    let text = std::str::from_utf8(mode).ok()?;
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mode = u32::from_str_radix(text, 8).ok()?;
    let kind = match mode >> 12 {
        0o10 => EntryKind::File,
        0o4 => EntryKind::Directory,
        0o12 => EntryKind::Symlink { target: None },
        0o1 | 0o2 | 0o6 | 0o14 => EntryKind::Other,
        _ => return None,
    };
    let numbers = [1, 2, 3, 4].map(|place| words.get(place).and_then(number));
    let [Some(owner), Some(group), Some(size), Some(time)] = numbers else {
        return None;
    };
    let name = unpadded(words.after(4)?);
    Some(Entry {
        size: Some(size).filter(|_| kind != EntryKind::Other),
        modified: Some(ListTime {
            at: Timestamp::new(i64::try_from(time).ok()?, 0),
            precision: Precision::Second,
            utc: true,
        }),
        mode: Some(mode & 0o7777),
        owner: Some(owner.to_string().into_bytes()),
        group: Some(group.to_string().into_bytes()),
        ..Entry::new(name, kind)
    })
}
