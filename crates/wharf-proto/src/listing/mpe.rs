//! HP 3000 with MPE/iX: the output of LISTFILE.
//!
//! ```text
//!  PATH= /FTPGUEST/PUB/
//!
//!  CODE  ------------LOGICAL RECORD-----------  ----SPACE----  FILENAME
//!          SIZE  TYP        EOF      LIMIT R/B  SECTORS #X MX
//!
//!           16W  HBD          0   67107839   1       32  1  *  incoming/
//!            1B  BA         115 2147483647   1       16  1  *  testfile
//! ```
//!
//! The older form (`ACCOUNT= SYS GROUP= PUB`) has the name first. There are no times. The size of a file of bytes (`BA`) is
//! exact, that of records is the records' length times their number.

use super::words::{Words, number, unpadded};
use super::{Entry, EntryKind, Reading, Seen};

/// The lines above the files.
pub(super) fn heading(line: &[u8]) -> bool {
    let words = Words::new(line);
    let has = |word: &str| (0..words.len()).any(|at| words.get(at) == Some(word.as_bytes()));
    words.get(0) == Some(b"PATH=")
        || (words.get(0) == Some(b"ACCOUNT=") && has("GROUP="))
        || (has("CODE") && has("FILENAME") && has("RECORD-----------"))
        || (has("TYP") && has("EOF") && has("LIMIT") && has("R/B"))
}

/// Reads one line. See [`super::Dialect`].
pub(super) fn read(line: &[u8], _seen: &mut Seen) -> Reading {
    read_entry(line).into()
}

/// Columns from the record's size to the most extents.
const COLUMNS: usize = 8;

fn read_entry(line: &[u8]) -> Option<Entry> {
    let words = Words::new(line);
    let at = (0..3).find(|at| words.get(*at).and_then(record).is_some())?;
    let record = record(words.get(at)?)?;
    let kind = words.get(at + 1)?;
    let letters = kind.iter().all(u8::is_ascii_uppercase);
    let count = number(words.get(at + 2)?)?;
    for place in [3, 4, 5, 6] {
        number(words.get(at + place)?)?;
    }
    let most = words.get(at + 7)?;
    if !letters || !(most == b"*" || number(most).is_some()) {
        return None;
    }
    let name = if words.len() == at + COLUMNS {
        // the older form: NAME [CODE]
        words.get(0).filter(|_| at > 0)?
    } else {
        (at <= 1).then_some(unpadded(words.after(at + COLUMNS - 1)?))?
    };
    let (name, is_directory) = match name.strip_suffix(b"/") {
        Some(name) => (name, true),
        None => (name, false),
    };
    if is_directory {
        return Some(Entry::new(name, EntryKind::Directory));
    }
    let bytes = record.checked_mul(count);
    let exact = kind == b"BA" && record == 1;
    Some(Entry {
        size: bytes.filter(|_| exact),
        about: bytes.filter(|_| !exact),
        ..Entry::new(name, EntryKind::File)
    })
}

/// `128W` (words of two bytes) or `80B`: bytes of a record.
fn record(word: &[u8]) -> Option<u64> {
    let (unit, digits) = word.split_last()?;
    let count = number(digits)?;
    match unit {
        b'W' => count.checked_mul(2),
        b'B' => Some(count),
        _ => None,
    }
}
