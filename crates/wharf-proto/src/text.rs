//! Bytes that may stand in a line of the control connection, and the one way to show foreign bytes to people.

use std::fmt;
use std::str::FromStr;

/// Bytes without CR, LF and NUL: what may stand in a command or a reply line. May be empty.
///
/// RFC 959 §5.3.1 speaks of ASCII; names and texts in other encodings are common, so any other byte is kept as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text(Vec<u8>);

/// The text holds a CR, LF or NUL, which would end or split the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextError;

impl Text {
    /// The empty text.
    pub const EMPTY: Self = Self(Vec::new());

    /// Takes the bytes as they are.
    ///
    /// # Errors
    /// [`TextError`] if they hold CR, LF or NUL.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, TextError> {
        let bytes = bytes.into();
        if bytes.iter().any(|byte| breaks_line(*byte)) {
            Err(TextError)
        } else {
            Ok(Self(bytes))
        }
    }

    /// Takes the bytes and puts `?` for every CR, LF and NUL.
    pub fn lossy(bytes: impl AsRef<[u8]>) -> Self {
        Self(
            bytes
                .as_ref()
                .iter()
                .map(|byte| if breaks_line(*byte) { b'?' } else { *byte })
                .collect(),
        )
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text as UTF-8, if it is.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it equals `word`, letters of either case being the same (RFC 959 §5.3).
    pub fn is_word(&self, word: &str) -> bool {
        self.0.eq_ignore_ascii_case(word.as_bytes())
    }

    /// For people: see [`visible`].
    pub fn display(&self) -> impl fmt::Display + '_ {
        Visible(&self.0)
    }

    /// The bytes, taken out.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.display())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.display().fmt(f)
    }
}

impl FromStr for Text {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

impl TryFrom<&str> for Text {
    type Error = TextError;

    fn try_from(text: &str) -> Result<Self, TextError> {
        Self::new(text)
    }
}

impl TryFrom<Vec<u8>> for Text {
    type Error = TextError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, TextError> {
        Self::new(bytes)
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a line break or NUL inside a text")
    }
}

impl std::error::Error for TextError {}

/// A password, account or security datum: a [`Text`] that no format string shows.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Secret(Text);

impl Secret {
    /// Hides the text.
    pub const fn new(text: Text) -> Self {
        Self(text)
    }

    /// The bytes. Every call of this is a place to look at in a review.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl From<Text> for Secret {
    fn from(text: Text) -> Self {
        Self(text)
    }
}

impl FromStr for Secret {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        Text::new(text).map(Self)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// Foreign bytes for a terminal or a log, on one line and harmless.
///
/// UTF-8 is kept. Control characters become visible: C0 and DEL as their control pictures (ESC is `␛`), C1 and the
/// invisible characters that change the direction of writing as `\u{9b}`. Bytes that are not UTF-8 become `\xNN`.
pub fn visible(bytes: &[u8]) -> String {
    Visible(bytes).to_string()
}

struct Visible<'a>(&'a [u8]);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match u32::from(c) {
                    code @ 0..0x20 => f.write_char(char::from_u32(0x2400 + code).unwrap_or('?'))?,
                    0x7f => f.write_char('\u{2421}')?,
                    code @ (0x80..=0x9f
                    | 0x061c
                    | 0x200b..=0x200f
                    | 0x2028..=0x202e
                    | 0x2060..=0x206f
                    | 0xfeff
                    | 0xfff9..=0xfffb
                    | 0xe0000..=0xe007f) => write!(f, "\\u{{{code:x}}}")?,
                    _ => f.write_char(c)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// An unsigned decimal number: digits only, no sign, no space. `None` on anything else and above 2^64-1.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

const fn breaks_line(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_become_visible() {
        let cases: &[(&[u8], &str)] = &[
            (b"plain", "plain"),
            ("Grüße 日本".as_bytes(), "Grüße 日本"),
            (b"\x1b[2Jgone", "␛[2Jgone"),
            (b"a\r\nb\0\x7f\t", "a␍␊b␀␡␉"),
            (b"\xc2\x9b31m", "\\u{9b}31m"),
            (b"\xff\xfe", "\\xff\\xfe"),
            ("a\u{202e}txt.exe".as_bytes(), "a\\u{202e}txt.exe"),
        ];
        for (bytes, shown) in cases {
            assert_eq!(visible(bytes), *shown);
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let secret: Secret = "hunter2".parse().unwrap();
        assert_eq!(format!("{secret} {secret:?}"), "**** ****");
        assert_eq!(secret.expose(), b"hunter2");
    }

    #[test]
    fn line_breaks_are_refused_or_replaced() {
        assert_eq!(Text::new("a\nb"), Err(TextError));
        assert_eq!(Text::new("a\rb"), Err(TextError));
        assert_eq!(Text::new("a\0b"), Err(TextError));
        assert_eq!(Text::lossy("a\r\nb\0").as_bytes(), b"a??b?");
    }

    proptest! {
        #[test]
        fn what_is_shown_holds_no_control_character(bytes: Vec<u8>) {
            prop_assert!(!visible(&bytes).chars().any(char::is_control));
        }

        #[test]
        fn lossy_text_is_a_text(bytes: Vec<u8>) {
            let text = Text::lossy(&bytes);
            prop_assert_eq!(Text::new(text.as_bytes()), Ok(text));
        }
    }
}
