//! VMS: names with versions, sizes in blocks, and names so long that the rest comes on the next line.
//!
//! ```text
//! Directory DISK$USER:[ANONYMOUS]
//!
//! README.TXT;3          2/4          12-JUN-1995 13:23:06  [SYSTEM]  (RWED,RWED,RE,)
//! A_RATHER_LONG_NAME_FOR_A_FILE.TXT;1
//!                       1/4          12-JUN-1995 13:23:06  [SYSTEM]  (RWED,RWED,RE,)
//!
//! Total of 2 files, 3/8 blocks.
//! ```
//!
//! The columns come in any order; what each is, its form says. The size is of blocks of 512 bytes, so it is about right.

use super::date::{TimeOfDay, clock, day, moment, short_year};
use super::month::month;
use super::words::{Words, number, rounded};
use super::{Entry, EntryKind, ListTime, Reading, Seen};

/// Bytes of a block.
const BLOCK: u64 = 512;

/// `Directory DEVICE:[PATH]`.
pub(super) fn heading(line: &[u8]) -> bool {
    match Words::new(line).exactly() {
        Some([directory, place]) => {
            directory.eq_ignore_ascii_case(b"directory")
                && place.contains(&b'[')
                && place.ends_with(b"]")
        }
        _ => false,
    }
}

/// Reads one line. See [`super::Dialect`].
pub(super) fn read(line: &[u8], seen: &mut Seen) -> Reading {
    let words = Words::new(line);
    if is_total(&words) {
        return Reading::Nothing;
    }
    let begins = line.first().is_some_and(|b| !b.is_ascii_whitespace());
    if words.len() == 1 && begins {
        let versioned = words.get(0).and_then(split_version);
        return match versioned {
            Some(_) => Reading::Begun,
            None => Reading::Unknown,
        };
    }
    read_entry(&words, seen).into()
}

/// `Total of 2 files, 3/8 blocks.`, `Grand total of ...`.
fn is_total(words: &Words<'_>) -> bool {
    let at = |place: usize| words.get(place).map(<[u8]>::to_ascii_lowercase);
    let is = |place: usize, word: &str| at(place).is_some_and(|it| it == word.as_bytes());
    let first = usize::from(is(0, "grand"));
    is(first, "total") && is(first + 1, "of") && words.get(first + 2).is_some_and(is_count)
}

fn is_count(word: &[u8]) -> bool {
    number(word).is_some()
}

/// `NAME.TYPE;3`: the name before the version. Of a directory without `.DIR`.
fn split_version(word: &[u8]) -> Option<(&[u8], bool)> {
    let semicolon = word.iter().rposition(|b| *b == b';')?;
    let (name, version) = word.split_at(semicolon);
    number(version.strip_prefix(b";")?).filter(|version| *version <= 32_767)?;
    if name.is_empty() {
        return None;
    }
    let upper = name.to_ascii_uppercase();
    Some((name, upper.ends_with(b".DIR") && name.len() > 4))
}

fn read_entry(words: &Words<'_>, _seen: &Seen) -> Option<Entry> {
    let full = words.get(0)?;
    let (name, directory) = split_version(full)?;
    let mut entry = if directory {
        Entry::new(name.get(..name.len() - 4)?, EntryKind::Directory)
    } else {
        Entry::new(full, EntryKind::File)
    };
    if is_refusal(words) {
        return Some(entry);
    }
    let mut date = None;
    let mut time: Option<TimeOfDay> = None;
    let mut sized = false;
    let mut rest = 1;
    while let Some(word) = words.get(rest) {
        if word.starts_with(b"[") {
            let (owner, taken) = bracketed(words, rest, b'[', b']')?;
            entry.owner = Some(owner);
            rest += taken;
            continue;
        }
        if word.starts_with(b"(") {
            let (_, taken) = bracketed(words, rest, b'(', b')')?;
            rest += taken;
            continue;
        }
        if let Some(found) = date_of(word).filter(|_| date.is_none()) {
            date = Some(found);
        } else if let Some(found) = clock(word).filter(|_| time.is_none() && date.is_some()) {
            time = Some(found);
        } else if let Some(bytes) = size(word).filter(|_| !sized) {
            sized = true;
            entry.about = Some(bytes);
        } else if date.is_some()
            && entry.owner.is_none()
            && word.iter().copied().all(is_of_identifier)
        {
            entry.owner = Some(word.to_vec());
        } else {
            return None;
        }
        rest += 1;
    }
    entry.modified = listed(date?, time);
    (sized && (entry.modified.is_some() || date.is_some_and(|date| date.1.is_none())))
        .then_some(entry)
}

/// `[GROUP,USER]` or `(RWED,RWED,RE,)`, maybe of several words.
fn bracketed(words: &Words<'_>, at: usize, open: u8, close: u8) -> Option<(Vec<u8>, usize)> {
    let mut text = Vec::new();
    for taken in 1..=4 {
        text.extend_from_slice(words.get(at + taken - 1)?);
        if text.last() == Some(&close) {
            let inner = text.strip_prefix(&[open])?.strip_suffix(&[close])?;
            return Some((inner.to_vec(), taken));
        }
    }
    None
}

fn is_of_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_$,".contains(&byte)
}

/// `155`, `2/8` (used of allocated) in blocks, or `2KB`.
fn size(word: &[u8]) -> Option<u64> {
    let mut parts = word.split(|b| *b == b'/');
    let used = parts.next()?;
    let allocated = parts.next();
    if let Some(allocated) = allocated {
        number(allocated)?;
    }
    if parts.next().is_some() {
        return None;
    }
    match number(used) {
        Some(blocks) => blocks.checked_mul(BLOCK),
        None => rounded(used),
    }
}

/// Year, month unless its name is not known, day.
type VmsDate = (u16, Option<u8>, u8);

/// `12-JUN-1995`. Months of other languages, too; one that may be two months (`JUI`) leaves the time unknown.
fn date_of(word: &[u8]) -> Option<VmsDate> {
    let mut parts = word.split(|b| *b == b'-');
    let (first, name, last) = (day(parts.next()?)?, parts.next()?, parts.next()?);
    let letters = (3..=6).contains(&name.len()) && !name.iter().any(u8::is_ascii_digit);
    let year = short_year(last).filter(|_| last.len() == 4)?;
    (letters && parts.next().is_none()).then_some((year, month(name), first))
}

fn listed((year, month, day): VmsDate, time: Option<TimeOfDay>) -> Option<ListTime> {
    moment((year, month?, day), time)
}

/// `X.DAT;1  %RMS-E-PRV, insufficient privilege or file protection violation`: the file is there, no more is told.
fn is_refusal(words: &Words<'_>) -> bool {
    let rest = words.from(1).unwrap_or_default().to_ascii_lowercase();
    let says = |text: &str| {
        rest.windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    says("insufficient privilege") || says("no privilege for attempted operation")
}
