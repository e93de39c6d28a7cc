//! Novell NetWare.
//!
//! `- [RWCEAFMS] rhesus             214059       Oct 20 15:27    file.txt`
//!
//! Rights of the trustee in brackets instead of Unix permissions; otherwise as Unix. Where the server pads the name's
//! column, it pads the column before the date, too: then all blanks before the name are padding.

use super::unix_date::unmistakable;
use super::words::{Words, number, unpadded};
use super::{Entry, EntryKind, Reading, Seen};

/// Reads one line. See [`super::Dialect`].
pub(super) fn read(line: &[u8], seen: &mut Seen) -> Reading {
    let total = Words::new(line).exactly();
    if let Some([word, count]) = total
        && word.eq_ignore_ascii_case(b"total")
        && number(count).is_some()
    {
        return Reading::Nothing;
    }
    read_entry(line, seen).into()
}

fn read_entry(line: &[u8], seen: &mut Seen) -> Option<Entry> {
    let (letter, rest) = line.split_first()?;
    let kind = match letter {
        b'-' => EntryKind::File,
        b'd' => EntryKind::Directory,
        _ => return None,
    };
    let rights = unpadded(rest).strip_prefix(b"[")?;
    let close = rights.iter().position(|b| *b == b']')?;
    let (rights, rest) = rights.split_at(close);
    let is_right = |b: &u8| b"RWCEAFMSI- ".contains(b);
    if !(7..=9).contains(&rights.len()) || !rights.iter().all(is_right) {
        return None;
    }
    let words = Words::new(rest.strip_prefix(b"]")?);
    // with the number of links (Hellsoft) or without
    let at = (1..=2).find(|at| {
        let size = words.get(*at).is_some_and(|it| number(it).is_some());
        size && unmistakable(&words, at + 1, &mut seen.clone()).is_some()
    })?;
    let found = unmistakable(&words, at + 1, seen)?;
    let rest = words.after(at + found.words)?;
    let name = match rest.strip_prefix(b"    ") {
        Some(_) => unpadded(rest),
        None => rest.strip_prefix(b" ")?,
    };
    Some(Entry {
        size: words.get(at).and_then(number),
        modified: found.time,
        owner: words.get(at - 1).map(<[u8]>::to_vec),
        ..Entry::new(name, kind)
    })
}
