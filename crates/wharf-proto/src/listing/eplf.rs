//! EPLF, the "easily parsed LIST format" of D. J. Bernstein (cr.yp.to/ftp/list/eplf.html).
//!
//! `+i8388621.48594,m825718503,r,s280,up755<TAB>name`
//!
//! A plus sign, facts with a comma behind each, a tab, the name. Times are seconds since 1970, UTC: nothing to infer.

use super::words::number;
use super::{Entry, EntryKind, ListTime, Precision, Reading, Seen};
use crate::timestamp::Timestamp;

/// Reads one line. See [`super::Dialect`].
pub(super) fn read(line: &[u8], _seen: &mut Seen) -> Reading {
    read_entry(line).into()
}

fn read_entry(line: &[u8]) -> Option<Entry> {
    let line = line.strip_prefix(b"+")?;
    let tab = line.iter().position(|b| *b == b'\t')?;
    let (facts, name) = line.split_at(tab);
    let mut entry = Entry::new(name.strip_prefix(b"\t")?, EntryKind::Other);
    for fact in facts.split(|b| *b == b',').filter(|fact| !fact.is_empty()) {
        let (letter, value) = fact.split_first()?;
        match letter {
            b'/' if value.is_empty() => entry.kind = EntryKind::Directory,
            b'r' if value.is_empty() && entry.kind == EntryKind::Other => {
                entry.kind = EntryKind::File;
            }
            b's' => entry.size = Some(number(value)?),
            b'm' => {
                entry.modified = Some(ListTime {
                    at: Timestamp::new(i64::try_from(number(value)?).ok()?, 0),
                    precision: Precision::Second,
                    utc: true,
                });
            }
            b'u' => {
                if let Some(mode) = value.strip_prefix(b"p") {
                    let text = std::str::from_utf8(mode).ok()?;
                    let mode = u32::from_str_radix(text, 8).ok()?;
                    entry.mode = Some(mode & 0o7777);
                }
            }
            b'i' if !value.is_empty() => {}
            b'a'..=b'z' | b'A'..=b'Z' => {} // facts to come
            _ => return None,
        }
    }
    Some(entry)
}
