//! Microware OS-9.
//!
//! ```text
//!  Owner    Last modified  Attributes Sector Bytecount Name
//! -------   -------------  ---------- ------ --------- ----
//! 20.20      07/03/29 1026  d-ewrewr    2650     85920 dir
//! ```
//!
//! Owner as group and user, the year first in the date, the time without a colon, `d-ewrewr` attributes with the public ones
//! first.

use super::date::{Orders, moment, numeric};
use super::words::{Words, number};
use super::{Entry, EntryKind, Reading, Seen};

/// The line of column names, and the one below it.
pub(super) fn heading(line: &[u8]) -> bool {
    let words = Words::new(line);
    (words.get(0) == Some(b"Owner")
        && words.get(1) == Some(b"Last")
        && words.get(2) == Some(b"modified"))
        || words
            .exactly::<6>()
            .is_some_and(|words| words.iter().all(|it| it.iter().all(|b| *b == b'-')))
}

/// Reads one line. See [`super::Dialect`].
pub(super) fn read(line: &[u8], seen: &mut Seen) -> Reading {
    read_entry(line, seen).into()
}

fn read_entry(line: &[u8], seen: &mut Seen) -> Option<Entry> {
    let words = Words::new(line);
    let owner = words.get(0)?;
    let mut numbers = owner.split(|b| *b == b'.');
    let (group, user) = (numbers.next()?, numbers.next()?);
    number(group)?;
    number(user)?;
    let date = numeric(
        words.get(1)?,
        Orders::YEAR_LEADS,
        &mut seen.orders,
        seen.now,
    )?
    .known()?;
    let (hour, minute) = words.get(2).filter(|it| it.len() == 4)?.split_at(2);
    let time = (
        u8::try_from(number(hour)?).ok()?,
        u8::try_from(number(minute)?).ok()?,
        None,
    );
    let attributes = words.get(3)?;
    let (kind, rest) = attributes.split_first()?;
    let shape = b"sewrewr";
    let fits = rest.len() == shape.len()
        && rest
            .iter()
            .zip(shape)
            .all(|(have, may)| have == may || *have == b'-');
    let kind = match kind {
        b'd' if fits => EntryKind::Directory,
        b'-' if fits => EntryKind::File,
        _ => return None,
    };
    let sector = words.get(4)?;
    if !sector.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let size = number(words.get(5)?)?;
    let name = words.after(5)?.strip_prefix(b" ")?;
    Some(Entry {
        size: Some(size).filter(|_| kind == EntryKind::File),
        modified: Some(moment(date, Some(time))?),
        owner: Some(user.to_vec()),
        group: Some(group.to_vec()),
        ..Entry::new(name, kind)
    })
}
