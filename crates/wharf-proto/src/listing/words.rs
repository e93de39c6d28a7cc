//! The words of a line, and what may stand in one.

/// No real line has what matters behind more words than this.
const MOST: usize = 24;

/// The words of a line, each with the place where it begins. Blanks and tabs separate.
#[derive(Debug, Clone)]
pub(super) struct Words<'a> {
    text: &'a [u8],
    words: Vec<(usize, &'a [u8])>,
}

impl<'a> Words<'a> {
    /// The first words of the text; what comes behind the 24th is reached with [`after`](Self::after) only.
    pub(super) fn new(text: &'a [u8]) -> Self {
        let mut words = Vec::new();
        let mut at = 0;
        while words.len() < MOST {
            let rest = text.get(at..).unwrap_or_default();
            let Some(skip) = rest.iter().position(|b| !is_blank(*b)) else {
                break;
            };
            let found = rest.get(skip..).unwrap_or_default();
            let end = found
                .iter()
                .position(|b| is_blank(*b))
                .unwrap_or(found.len());
            words.push((at + skip, found.get(..end).unwrap_or_default()));
            at += skip + end;
        }
        Self { text, words }
    }

    /// The word at this place, beginning with 0.
    pub(super) fn get(&self, place: usize) -> Option<&'a [u8]> {
        self.words.get(place).map(|(_, word)| *word)
    }

    /// How many there are, 24 at most.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// What follows the word at this place, blanks and all.
    pub(super) fn after(&self, place: usize) -> Option<&'a [u8]> {
        let (start, word) = self.words.get(place)?;
        self.text.get(start + word.len()..)
    }

    /// What begins with the word at this place.
    pub(super) fn from(&self, place: usize) -> Option<&'a [u8]> {
        let (start, _) = self.words.get(place)?;
        self.text.get(*start..)
    }

    /// The words before this place.
    pub(super) fn before(&self, place: usize) -> Vec<&'a [u8]> {
        self.words
            .iter()
            .take(place)
            .map(|(_, word)| *word)
            .collect()
    }

    /// All of them, when the line has exactly `N`.
    pub(super) fn exactly<const N: usize>(&self) -> Option<[&'a [u8]; N]> {
        self.before(MOST).try_into().ok()
    }
}

pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The text without the blanks at its beginning.
pub(super) fn unpadded(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|b| is_blank(**b)).count();
    text.get(blanks..).unwrap_or_default()
}

/// Whether no byte in the line could begin another line for a later reader of the name.
pub(super) fn is_one_line(line: &[u8]) -> bool {
    !line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0))
}

/// A decimal number of digits only.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    crate::text::decimal(digits)
}

/// Digits, grouped by commas in threes or not at all.
pub(super) fn grouped(digits: &[u8]) -> Option<u64> {
    let mut groups = digits.split(|&b| b == b',');
    let first = groups.next()?;
    let mut whole = first.to_vec();
    for group in groups {
        if group.len() != 3 || first.len() > 3 {
            return None;
        }
        whole.extend_from_slice(group);
    }
    number(&whole)
}

/// `33.5k`, `2KB`, `1,2M`: bytes in units of 1024, rounded by the server. At least one letter must be there.
pub(super) fn rounded(word: &[u8]) -> Option<u64> {
    let digits = word
        .iter()
        .position(|b| !b.is_ascii_digit() && !matches!(b, b'.' | b','))?;
    let (amount, unit) = word.split_at(digits);
    let factor: u64 = match unit.to_ascii_uppercase().as_slice() {
        b"B" => 1,
        b"K" | b"KB" => 1 << 10,
        b"M" | b"MB" => 1 << 20,
        b"G" | b"GB" => 1 << 30,
        b"T" | b"TB" => 1 << 40,
        _ => return None,
    };
    let mut parts = amount.split(|b| matches!(b, b'.' | b','));
    let whole = number(parts.next()?)?.checked_mul(factor)?;
    let tenths = match parts.next() {
        None => 0,
        Some(digits @ ([_] | [_, _])) => {
            let scale = if digits.len() == 1 { 10 } else { 100 };
            number(digits)?.checked_mul(factor)? / scale
        }
        Some(_) => return None,
    };
    let sum = whole.checked_add(tenths)?;
    parts.next().is_none().then_some(sum)
}

/// Whether all bytes are those of a name on a system with few letters: upper and lower case, digits, `$ # @ _ - .`.
pub(super) fn is_plain(word: &[u8]) -> bool {
    !word.is_empty()
        && word
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"$#@_-.".contains(b))
}
