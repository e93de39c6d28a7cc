//! Connect:Enterprise of Sterling Commerce: batches in mailboxes.
//!
//! `-C--E-----FTP B BCC3I1       7670  1294495 Jan 13 07:42 name`
//!
//! Flags of the batch with the protocol behind them, the format of the data, mailbox, number of the batch, size, date, name.

use super::unix_date::unmistakable;
use super::words::{Words, number};
use super::{Entry, EntryKind, Reading, Seen};

/// Reads one line. See [`super::Dialect`].
pub(super) fn read(line: &[u8], seen: &mut Seen) -> Reading {
    read_entry(line, seen).into()
}

fn read_entry(line: &[u8], seen: &mut Seen) -> Option<Entry> {
    let words = Words::new(line);
    let (flags, protocol) = words.get(0)?.split_at_checked(10)?;
    let is_flag = |b: &u8| *b == b'-' || b.is_ascii_uppercase();
    let is_protocol = matches!(
        protocol,
        b"FTP" | b"BSC" | b"ASY" | b"TCP" | b"AS2" | b"HTP"
    );
    if !flags.starts_with(b"-") || !flags.iter().all(is_flag) || !is_protocol {
        return None;
    }
    words
        .get(1)
        .filter(|it| matches!(*it, b"A" | b"B" | b"E"))?;
    number(words.get(3)?)?;
    let size = number(words.get(4)?)?;
    let found = unmistakable(&words, 5, seen)?;
    let name = words.after(4 + found.words)?.strip_prefix(b" ")?;
    Some(Entry {
        size: Some(size),
        modified: found.time,
        owner: words.get(2).map(<[u8]>::to_vec),
        ..Entry::new(name, EntryKind::File)
    })
}
