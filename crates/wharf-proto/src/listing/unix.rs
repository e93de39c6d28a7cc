//! The Unix dialect: `ls -l` and its relatives.
//!
//! `-rw-r--r--   1 owner group     1234 Jan  2 10:11 name`
//!
//! The left part varies (no links, no group, a group of two words, ACL marks, device numbers), the right part hardly: a
//! size, a date, one space, the name. So the date is searched first and the columns are read from there to both sides.
//! After the date *one* space is taken; more belong to the name.

use super::unix_date::{Found, bare, unmistakable};
use super::words::{Words, is_blank, number, rounded, unpadded};
use super::{Entry, EntryKind, Reading, Seen};

/// Reads one line. See [`super::Dialect`].
pub(super) fn read(line: &[u8], seen: &mut Seen) -> Reading {
    if is_total(line) {
        return Reading::Nothing;
    }
    read_entry(line, seen).into()
}

/// What stands before the number of blocks at the top, in the locales of the world.
const TOTALS: [&str; 22] = [
    "total",
    "totale",
    "totalt",
    "totaal",
    "gesamt",
    "insgesamt",
    "итого",
    "всего",
    "razem",
    "celkem",
    "összesen",
    "yhteensä",
    "toplam",
    "σύνολο",
    "合計",
    "總計",
    "总计",
    "总用量",
    "總用量",
    "합계",
    "총",
    "총계",
];

/// `total 12`; also `Gesamt 12` and the like.
fn is_total(line: &[u8]) -> bool {
    let Some([total, count]) = Words::new(line).exactly() else {
        return false;
    };
    let text = String::from_utf8_lossy(total).to_lowercase();
    let word = text.strip_suffix(':').unwrap_or(&text);
    TOTALS.contains(&word) && count.first().is_some_and(u8::is_ascii_digit)
}

fn read_entry(line: &[u8], seen: &mut Seen) -> Option<Entry> {
    let (kind, mode, rest) = permissions(line)?;
    let words = Words::new(rest);
    let dated = find_date(&words, kind, seen)?;
    let (links, owner, group) = owners(&dated.before);
    let (kind, name) = match kind {
        b'-' | b'f' => (EntryKind::File, dated.name),
        b'd' => (EntryKind::Directory, dated.name),
        b'l' => split_link(dated.name),
        _ => (EntryKind::Other, dated.name),
    };
    let sized = kind != EntryKind::Other;
    Some(Entry {
        size: dated.size.filter(|_| sized),
        about: dated.about.filter(|_| sized),
        modified: dated.found.time,
        mode: Some(mode),
        links,
        owner,
        group,
        ..Entry::new(name, kind)
    })
}

/// The first column: type letter, nine letters of permissions, then maybe marks of access lists (`+` POSIX, `@` macOS,
/// `.` SELinux) or, without a space, the number of links.
pub(super) fn permissions(line: &[u8]) -> Option<(u8, u32, &[u8])> {
    let (&kind, rest) = line.split_first()?;
    if !b"-dlbcpsDCMnfe".contains(&kind) {
        return None;
    }
    let letters = rest.get(..9)?;
    let mut mode = 0;
    for (place, &letter) in letters.iter().enumerate() {
        mode |= permission(place, letter)?;
    }
    let mut rest = rest.get(9..)?;
    while let Some((b'+' | b'@' | b'.', behind)) = rest.split_first() {
        rest = behind;
    }
    let ends = rest
        .first()
        .is_none_or(|b| is_blank(*b) || b.is_ascii_digit());
    ends.then_some((kind, mode, rest))
}

/// The bit of a permission letter at this place (0 to 8).
fn permission(place: usize, letter: u8) -> Option<u32> {
    let bit = 0o400 >> place;
    let special = match place {
        2 => 0o4000,
        5 => 0o2000,
        8 => 0o1000,
        _ => 0,
    };
    match (place % 3, letter) {
        (_, b'-') => Some(0),
        (0, b'r') | (1, b'w') | (2, b'x') => Some(bit),
        (2, b's') if place < 8 => Some(bit | special),
        (2, b'S' | b'l' | b'L') if place < 8 => Some(special), // l: mandatory locking (Solaris)
        (2, b't') if place == 8 => Some(bit | special),
        (2, b'T') if place == 8 => Some(special),
        _ => None,
    }
}

/// What is found around a date.
struct Dated<'a> {
    /// The words before the size.
    before: Vec<&'a [u8]>,
    size: Option<u64>,
    about: Option<u64>,
    found: Found,
    name: &'a [u8],
}

/// What may stand in the size column.
enum Size {
    Bytes(u64),
    /// `33.5k`.
    About(u64),
    /// A negative number, from servers whose numbers overflow at 2 GiB, or the number of a device.
    Unknown,
}

fn size(word: &[u8], kind: u8) -> Option<Size> {
    let device = kind == b'b' || kind == b'c';
    if let Some(digits) = word.strip_prefix(b"-") {
        return number(digits).map(|_| Size::Unknown);
    }
    let exact = number(word).map(Size::Bytes);
    exact
        .or_else(|| rounded(word).map(Size::About))
        .or_else(|| minor(word).filter(|()| device).map(|()| Size::Unknown))
}

/// `1,3` or `0x1000003`: device numbers in one word.
fn minor(word: &[u8]) -> Option<()> {
    if let Some(hexadecimal) = word.strip_prefix(b"0x") {
        return hexadecimal.iter().all(u8::is_ascii_hexdigit).then_some(());
    }
    let comma = word.iter().position(|&b| b == b',')?;
    let (major, minor) = word.split_at(comma);
    number(major)?;
    number(minor.strip_prefix(b",")?).map(|_| ())
}

/// Finds the first place where a size is followed by a date. From the left: the name comes last and may hold anything.
/// Dates of bare numbers only where there is no other, and a date behind a column that has run into the size last.
fn find_date<'a>(words: &Words<'a>, kind: u8, seen: &mut Seen) -> Option<Dated<'a>> {
    let mut sized = None;
    for at in 0..words.len() {
        let Some(size) = words.get(at).and_then(|word| size(word, kind)) else {
            continue;
        };
        if let Some(found) = unmistakable(words, at + 1, seen) {
            sized = Some((at, size, found));
            break;
        }
    }
    for at in 0..words.len() {
        if sized.is_some() {
            break;
        }
        let size = words.get(at).and_then(|word| size(word, kind));
        sized = size
            .zip(bare(words, at + 1, seen))
            .map(|(size, found)| (at, size, found));
    }
    for at in 1..words.len() {
        if sized.is_some() {
            break;
        }
        let ends_in_size = |word: &[u8]| {
            word.last().is_some_and(u8::is_ascii_digit) && word.iter().any(u8::is_ascii_alphabetic)
        };
        if words.get(at - 1).is_some_and(ends_in_size) {
            let found = unmistakable(words, at, seen);
            sized = found.map(|found| (at - 1, Size::Unknown, found));
        }
    }
    let (at, size, found) = sized?;
    let rest = words.after(at + found.words)?;
    let name = if found.padded {
        unpadded(rest)
    } else {
        rest.strip_prefix(b" ")?
    };
    let (size, about) = match size {
        Size::Bytes(bytes) => (Some(bytes), None),
        Size::About(bytes) => (None, Some(bytes)),
        Size::Unknown => (None, None),
    };
    let mut before = words.before(at);
    // `1, 3`: the major number is a word of its own
    let major = before.last().is_some_and(|word| word.ends_with(b","));
    if major && (kind == b'b' || kind == b'c') {
        before.pop();
    }
    Some(Dated {
        before,
        size,
        about,
        found,
        name,
    })
}

/// Links, owner and group from the words between permissions and size. With more words than columns (a name of two
/// words) who is who cannot be told.
fn owners(words: &[&[u8]]) -> (Option<u64>, Option<Vec<u8>>, Option<Vec<u8>>) {
    let (links, names) = match words.split_first() {
        Some((first, names)) if number(first).is_some() => (number(first), names),
        _ => (None, words),
    };
    match names {
        [owner] => (links, Some(owner.to_vec()), None),
        [owner, group] => (links, Some(owner.to_vec()), Some(group.to_vec())),
        _ => (links, None, None),
    }
}

fn split_link(name: &[u8]) -> (EntryKind, &[u8]) {
    const ARROW: &[u8] = b" -> ";
    match name.windows(ARROW.len()).position(|window| window == ARROW) {
        Some(at) if at > 0 => {
            let (name, target) = name.split_at(at);
            let target = target
                .strip_prefix(ARROW)
                .filter(|target| !target.is_empty());
            (
                EntryKind::Symlink {
                    target: target.map(<[u8]>::to_vec),
                },
                name,
            )
        }
        _ => (EntryKind::Symlink { target: None }, name),
    }
}
