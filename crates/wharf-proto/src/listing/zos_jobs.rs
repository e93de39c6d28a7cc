//! Jobs of z/OS, as LIST shows them with `SITE FILETYPE=JES`.
//!
//! ```text
//! JOBNAME  JOBID    OWNER    STATUS CLASS
//! MYJOB    JOB02305 IBMUSER  OUTPUT A        RC=0000 3 spool files
//! ```
//!
//! The name is the identifier of the job: what RETR takes to fetch its spool files.

use super::words::{Words, number};
use super::{Entry, EntryKind, Reading, Seen};

/// The line of column names.
pub(super) fn heading(line: &[u8]) -> bool {
    let words = Words::new(line);
    words.get(0) == Some(b"JOBNAME") && words.get(1) == Some(b"JOBID")
}

/// Reads one line. See [`super::Dialect`].
pub(super) fn read(line: &[u8], _seen: &mut Seen) -> Reading {
    read_entry(line).into()
}

fn read_entry(line: &[u8]) -> Option<Entry> {
    let words = Words::new(line);
    let (job, id, owner) = (words.get(0)?, words.get(1)?, words.get(2)?);
    let is_name = |word: &[u8]| {
        (1..=8).contains(&word.len())
            && word
                .iter()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"$#@".contains(b))
    };
    let digits = id.iter().position(u8::is_ascii_digit)?;
    let (prefix, count) = id.split_at(digits);
    let known = matches!(prefix, b"JOB" | b"J" | b"STC" | b"S" | b"TSU" | b"T");
    let status = words.get(3)?;
    let is_status = matches!(status, b"OUTPUT" | b"ACTIVE" | b"INPUT" | b"HELD");
    let sane = is_name(job) && is_name(owner) && known && id.len() == 8 && is_status;
    number(count).filter(|_| sane)?;
    Some(Entry {
        owner: Some(owner.to_vec()),
        ..Entry::new(id, EntryKind::File)
    })
}
