//! OS/2.
//!
//! `36611      A    04-23-103  10:57  file.txt`
//!
//! Size, attributes and maybe DIR, date month first with years since 1900, time, two blanks, name.

use super::date::{Orders, clock, moment, numeric};
use super::words::{Words, number};
use super::{Entry, EntryKind, Reading, Seen};

/// Blanks between time and name.
const BEFORE_NAME: usize = 2;

/// Reads one line. See [`super::Dialect`].
pub(super) fn read(line: &[u8], seen: &mut Seen) -> Reading {
    read_entry(line, seen).into()
}

fn read_entry(line: &[u8], seen: &mut Seen) -> Option<Entry> {
    let words = Words::new(line);
    let size = number(words.get(0)?)?;
    let at = (1..5).find(|place| words.get(*place).is_some_and(|it| it.contains(&b'-')))?;
    let mut kind = EntryKind::File;
    for place in 1..at {
        match words.get(place)? {
            b"DIR" => kind = EntryKind::Directory,
            attributes if attributes.iter().all(|b| b"ARHS".contains(b)) => {}
            _ => return None,
        }
    }
    let date = words.get(at)?;
    if date.split(|b| *b == b'-').count() != 3 {
        return None;
    }
    let date = numeric(date, Orders::MONTH_LEADS, &mut seen.orders, seen.now)?.known()?;
    let time = clock(words.get(at + 1)?)?;
    let rest = words.after(at + 1)?;
    let blanks = rest.iter().take_while(|b| **b == b' ').count();
    let name = rest.get(blanks.min(BEFORE_NAME)..).filter(|_| blanks > 0)?;
    Some(Entry {
        size: Some(size).filter(|_| kind == EntryKind::File),
        modified: Some(moment(date, Some(time))?),
        ..Entry::new(name, kind)
    })
}
