//! Members of a partitioned data set of z/OS, of source text with the statistics of ISPF, or of a load library.
//!
//! ```text
//!  Name     VV.MM   Created       Changed      Size  Init   Mod   Id
//! ALLOC     01.03 1991/05/04 1994/09/08 08:59    21    12    12 KXS
//! BARE
//!
//!  Name      Size     TTR   Alias-of AC --------- Attributes --------- Amode Rmode
//! EAGKCPT   000058   000009          00 FO             RN RU            31    ANY
//! ```
//!
//! A member without statistics is a bare name, which is read under the heading only. ISPF counts lines, so a size in bytes
//! is not known; of load modules that in memory is, in hexadecimal.

use super::date::{clock, moment, small, year};
use super::words::{Words, number};
use super::{Entry, EntryKind, Reading, Seen};

/// The line of column names of source members.
pub(super) fn heading(line: &[u8]) -> bool {
    let words = Words::new(line);
    words.len() >= 4
        && words.get(0) == Some(b"Name")
        && words.get(1) == Some(b"VV.MM")
        && words.get(2) == Some(b"Created")
}

/// The line of column names of load modules.
pub(super) fn module_heading(line: &[u8]) -> bool {
    let words = Words::new(line);
    words.len() >= 4
        && words.get(0) == Some(b"Name")
        && words.get(1) == Some(b"Size")
        && words.get(2) == Some(b"TTR")
}

/// One to eight of the letters that a member may have.
fn is_member(word: &[u8]) -> bool {
    (1..=8).contains(&word.len())
        && word
            .iter()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"$#@".contains(b))
        && !word.first().is_some_and(u8::is_ascii_digit)
}

fn day(word: &[u8]) -> Option<(u16, u8, u8)> {
    let mut parts = word.split(|b| *b == b'/');
    let date = (
        year(parts.next()?)?,
        small(parts.next()?)?,
        small(parts.next()?)?,
    );
    parts.next().is_none().then_some(date)
}

/// Reads one line of source members. See [`super::Dialect`].
pub(super) fn read(line: &[u8], seen: &mut Seen) -> Reading {
    read_source(line, seen.settled).into()
}

fn read_source(line: &[u8], settled: bool) -> Option<Entry> {
    let words = Words::new(line);
    let name = words.get(0).filter(|name| is_member(name))?;
    let mut entry = Entry::new(name, EntryKind::File);
    if words.len() == 1 {
        return settled.then_some(entry);
    }
    let version = words.get(1).filter(|it| it.len() == 5)?;
    let mut halves = version.split(|b| *b == b'.');
    small(halves.next()?)?;
    small(halves.next()?)?;
    moment(day(words.get(2)?)?, None)?;
    let time = clock(words.get(4)?)?;
    entry.modified = Some(moment(day(words.get(3)?)?, Some(time))?);
    for place in 5..8 {
        number(words.get(place)?)?;
    }
    entry.owner = words.get(8).map(<[u8]>::to_vec);
    (words.len() <= 9).then_some(entry)
}

/// Reads one line of load modules. See [`super::Dialect`].
pub(super) fn read_module(line: &[u8], seen: &mut Seen) -> Reading {
    read_load(line, seen.settled).into()
}

fn read_load(line: &[u8], settled: bool) -> Option<Entry> {
    let words = Words::new(line);
    let name = words.get(0).filter(|name| is_member(name))?;
    if words.len() == 1 {
        return settled.then(|| Entry::new(name, EntryKind::File));
    }
    let hexadecimal = |place: usize| {
        let word = words.get(place).filter(|it| it.len() == 6)?;
        let text = std::str::from_utf8(word).ok()?;
        u64::from_str_radix(text, 16).ok()
    };
    let size = hexadecimal(1)?;
    hexadecimal(2)?;
    // an alias says of whom, then the authorization code of two digits
    let alias = words.get(3).is_some_and(|it| !is_code(it) && is_member(it));
    words.get(3 + usize::from(alias)).filter(|it| is_code(it))?;
    let entry = Entry::new(name, EntryKind::File);
    (words.len() >= 6).then_some(Entry {
        about: Some(size),
        ..entry
    })
}

fn is_code(word: &[u8]) -> bool {
    word.len() == 2 && number(word).is_some()
}
