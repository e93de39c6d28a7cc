//! HP NonStop (Tandem), the Guardian file system.
//!
//! ```text
//! File         Code             EOF  Last Modification    Owner  RWEP
//! FILE1         101            16354 14-Mar-14 15:09:12 244, 10 "nnnn"
//! ```

use super::date::{clock, day, moment, short_year};
use super::month::month;
use super::words::{Words, number};
use super::{Entry, EntryKind, Reading, Seen};

/// The line of column names.
pub(super) fn heading(line: &[u8]) -> bool {
    let words = Words::new(line);
    words.get(0) == Some(b"File") && words.get(1) == Some(b"Code") && words.get(2) == Some(b"EOF")
}

/// Reads one line. See [`super::Dialect`].
pub(super) fn read(line: &[u8], _seen: &mut Seen) -> Reading {
    read_entry(line).into()
}

fn read_entry(line: &[u8]) -> Option<Entry> {
    let words = Words::new(line);
    let name = words.get(0)?;
    let letters = name.iter().all(u8::is_ascii_alphanumeric);
    if !letters || !name.first()?.is_ascii_alphabetic() || name.len() > 8 {
        return None;
    }
    let code = words.get(1)?;
    number(code.strip_suffix(b"O").unwrap_or(code))?; // O: open
    let open = usize::from(words.get(2) == Some(b"O"));
    let size = number(words.get(2 + open)?)?;
    let mut parts = words.get(3 + open)?.split(|b| *b == b'-');
    let (first, name_of_month, last) = (parts.next()?, parts.next()?, parts.next()?);
    let date = (short_year(last)?, month(name_of_month)?, day(first)?);
    let time = clock(words.get(4 + open)?)?;
    let rest = words.after(4 + open)?;
    let quote = rest.iter().position(|b| *b == b'"')?;
    let (owner, security) = rest.split_at(quote);
    let owner: Vec<u8> = owner.iter().copied().filter(|b| *b != b' ').collect();
    let mut numbers = owner.split(|b| *b == b',');
    number(numbers.next()?)?;
    number(numbers.next()?)?;
    let inner = security
        .trim_ascii_end()
        .strip_prefix(b"\"")?
        .strip_suffix(b"\"")?;
    let is_security = inner.len() == 4
        && inner
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    is_security.then_some(Entry {
        size: Some(size),
        modified: Some(moment(date, Some(time))?),
        owner: Some(owner),
        ..Entry::new(name, EntryKind::File)
    })
}
