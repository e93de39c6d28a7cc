//! wfFtp in Nortel's routers.
//!
//! `config           1014196  06/03/04  Thur.   10:20:03`
//!
//! Name, size, date month first, day of the week, time. There are no directories.

use super::date::{Orders, clock, moment, numeric};
use super::words::{Words, number};
use super::{Entry, EntryKind, Reading, Seen};

/// Reads one line. See [`super::Dialect`].
pub(super) fn read(line: &[u8], seen: &mut Seen) -> Reading {
    read_entry(line, seen).into()
}

fn read_entry(line: &[u8], seen: &mut Seen) -> Option<Entry> {
    let [name, size, date, weekday, time] = Words::new(line).exactly()?;
    let weekday = weekday.strip_suffix(b".")?.to_ascii_lowercase();
    let days: [&[u8]; 9] = [
        b"mon", b"tue", b"tues", b"wed", b"thu", b"thur", b"fri", b"sat", b"sun",
    ];
    if !days.contains(&weekday.as_slice()) || !date.contains(&b'/') {
        return None;
    }
    let date = numeric(date, Orders::MONTH_LEADS, &mut seen.orders, seen.now)?.known()?;
    Some(Entry {
        size: Some(number(size)?),
        modified: Some(moment(date, Some(clock(time)?))?),
        ..Entry::new(name, EntryKind::File)
    })
}
