//! OS/400, now IBM i, in its own naming.
//!
//! `QSYS            77824 02/23/00 15:09:55 *DIR       home/`
//!
//! Owner, size, date and time in the format of the job, type, name. A member of a file (`*MEM`) may lack size and date. The
//! order of day, month and year is the job's and nowhere told: it is learned from the dates themselves.

use super::date::{Orders, clock, moment, numeric};
use super::words::{Words, number, unpadded};
use super::{Entry, EntryKind, Reading, Seen};

/// Reads one line. See [`super::Dialect`].
pub(super) fn read(line: &[u8], seen: &mut Seen) -> Reading {
    read_entry(line, seen).into()
}

fn read_entry(line: &[u8], seen: &mut Seen) -> Option<Entry> {
    let words = Words::new(line);
    let owner = words.get(0).filter(|it| is_owner(it))?;
    let star = (1..5).find(|place| words.get(*place).is_some_and(|it| it.starts_with(b"*")))?;
    let kind = kind(words.get(star)?)?;
    let name = unpadded(words.after(star)?);
    let mut entry = Entry::new(name.strip_suffix(b"/").unwrap_or(name), kind);
    entry.owner = Some(owner.to_vec());
    match star {
        1 => {}
        2 => entry.size = Some(number(words.get(1)?)?),
        4 => {
            entry.size = Some(number(words.get(1)?)?);
            let date = words.get(2)?;
            // German and Nordic formats have dots, and the day first
            let allowed = if date.contains(&b'.') {
                Orders::DAY_LEADS
            } else {
                Orders::ALL
            };
            let date = numeric(date, allowed, &mut seen.orders, seen.now)?;
            let time = clock(words.get(3)?)?;
            entry.modified = match date.known() {
                Some(date) => Some(moment(date, Some(time))?),
                None => None,
            };
        }
        _ => return None,
    }
    Some(entry)
}

fn is_owner(word: &[u8]) -> bool {
    let letter = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b"$#@_".contains(b);
    (1..=10).contains(&word.len()) && word.iter().all(letter)
}

fn kind(word: &[u8]) -> Option<EntryKind> {
    match word {
        b"*DIR" | b"*DDIR" | b"*LIB" | b"*FLR" => Some(EntryKind::Directory),
        // a physical file is a directory of its members, a save file is none: RETR tells
        b"*FILE" | b"*MEM" | b"*STMF" | b"*DSTMF" | b"*DOC" | b"*USRSPC" | b"*SAVF" | b"*PGM" => {
            Some(EntryKind::File)
        }
        b"*SYMLNK" => Some(EntryKind::Symlink { target: None }),
        [b'*', letters @ ..] => (letters.len() >= 3 && letters.iter().all(u8::is_ascii_uppercase))
            .then_some(EntryKind::Other),
        _ => None,
    }
}
