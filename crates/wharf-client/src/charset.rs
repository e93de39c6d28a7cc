//! Names in the charset of a server that does not write UTF-8.
//!
//! FTP has no way to tell it (RFC 2640 wants UTF-8, and servers older than that write what is on their disk), so a person
//! says it. From then on names are UTF-8 for everybody above the control connection, and converted where they leave and
//! arrive. What cannot be converted is `\xNN`, in both directions, so that every name that a server shows can be sent back
//! byte by byte: [`Charset::read`] of [`Charset::show`] is the same bytes, whatever they were.

use std::fmt;
use std::str::FromStr;

use encoding_rs::{DecoderResult, EncoderResult, Encoding, UTF_8};
use wharf_proto::{Command, Reply, Text};

/// A charset other than UTF-8.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

/// No charset has this name, or it is one in which a slash is not the byte of a slash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no charset that names can be written in: {0}")]
pub struct UnknownCharset(String);

/// Names that people use and the Encoding Standard does not know.
const MORE_NAMES: &[(&str, &str)] = &[
    ("cp1250", "windows-1250"),
    ("cp1251", "windows-1251"),
    ("cp1252", "windows-1252"),
    ("cp1253", "windows-1253"),
    ("cp1254", "windows-1254"),
    ("cp866", "ibm866"),
    ("cp932", "shift_jis"),
    ("cp936", "gbk"),
    ("cp949", "euc-kr"),
    ("cp950", "big5"),
    ("eucjp", "euc-jp"),
    ("euckr", "euc-kr"),
    ("koi8r", "koi8-r"),
    ("koi8u", "koi8-u"),
];

impl Charset {
    /// The charset of this name: those of the Encoding Standard (`gbk`, `sjis`, `windows-1251`, `latin1`, `koi8-r`,
    /// `euc-kr`, `big5` …) and the usual short ones (`cp1251`, `cp932`). `None` for UTF-8, which needs no conversion.
    ///
    /// # Errors
    /// [`UnknownCharset`].
    pub fn find(name: &str) -> Result<Option<Self>, UnknownCharset> {
        let unknown = || UnknownCharset(wharf_proto::visible(name.as_bytes()));
        let lower = name.trim().to_ascii_lowercase();
        let alias = MORE_NAMES.iter().find(|(known, _)| *known == lower);
        let label = alias.map_or(lower.as_str(), |(_, label)| label);
        let encoding = Encoding::for_label_no_replacement(label.as_bytes()).ok_or_else(unknown)?;
        match encoding {
            it if it == UTF_8 => Ok(None),
            it if it.is_ascii_compatible() => Ok(Some(Self(it))),
            _ => Err(unknown()),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Bytes of the server as text. What is not of the charset is `\xNN`, and so is a backslash where the text would be
    /// taken for such a byte.
    pub fn show(self, bytes: &[u8]) -> String {
        let text = self.decode(bytes);
        // Charsets have characters with two codes; the one that is not written by `read` goes byte by byte.
        if self.read(&text) == bytes {
            text
        } else {
            escaped(bytes)
        }
    }

    fn decode(self, bytes: &[u8]) -> String {
        let mut text = String::with_capacity(bytes.len() * 2);
        let mut rest = bytes;
        while !rest.is_empty() {
            let mut decoder = self.0.new_decoder_without_bom_handling();
            let mut piece = String::with_capacity(rest.len() * 3 + 16);
            let (result, read) =
                decoder.decode_to_string_without_replacement(rest, &mut piece, true);
            match result {
                DecoderResult::Malformed(length, after) => {
                    // `read` counts the malformed bytes and what was looked at behind them.
                    let end = read.saturating_sub(usize::from(after));
                    let start = end.saturating_sub(usize::from(length));
                    push_visible(&mut text, &piece);
                    let (bad, behind) = (&rest[start..end], &rest[end..]);
                    for byte in bad {
                        push_byte(&mut text, *byte);
                    }
                    // nothing was read: leave the loop with the rest byte by byte
                    if end == 0 {
                        text.push_str(&escaped(behind));
                        return text;
                    }
                    rest = behind;
                }
                DecoderResult::InputEmpty | DecoderResult::OutputFull => {
                    push_visible(&mut text, &piece);
                    rest = &rest[read..];
                    if read == 0 {
                        text.push_str(&escaped(rest));
                        return text;
                    }
                }
            }
        }
        text
    }

    /// Text as bytes for the server: `\xNN` is that byte, and a character that the charset does not have stays UTF-8.
    pub fn read(self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            if let Some((byte, behind)) = escape(rest) {
                bytes.push(byte);
                rest = behind;
                continue;
            }
            let (char, behind) = rest.split_at(next.len_utf8());
            let mut encoder = self.0.new_encoder();
            let mut out = [0; 16];
            let (result, _, written) =
                encoder.encode_from_utf8_without_replacement(char, &mut out, true);
            match result {
                EncoderResult::InputEmpty => bytes.extend_from_slice(&out[..written]),
                EncoderResult::Unmappable(_) | EncoderResult::OutputFull => {
                    bytes.extend_from_slice(char.as_bytes());
                }
            }
            rest = behind;
        }
        bytes
    }

    /// [`show`](Self::show) as bytes, which a [`Entry`](crate::Entry) holds.
    pub(crate) fn shown(self, bytes: &[u8]) -> Vec<u8> {
        if is_plain(bytes) {
            bytes.to_vec()
        } else {
            self.show(bytes).into_bytes()
        }
    }

    /// A line of ours as the server wants it; `None` if it is the same. Bytes that are no UTF-8 go as they are.
    fn wire(self, line: &[u8]) -> Option<Text> {
        if is_plain(line) {
            return None;
        }
        let mut bytes = Vec::with_capacity(line.len());
        for piece in line.utf8_chunks() {
            bytes.extend(self.read(piece.valid()));
            bytes.extend_from_slice(piece.invalid());
        }
        // a name may not hold a line's end, however it is written
        Text::new(bytes).ok()
    }

    /// The command as a line in this charset, if that is another one. User and password are nobody's names of files.
    pub(crate) fn of_command(self, command: &Command) -> Option<Text> {
        if matches!(
            command,
            Command::User(_) | Command::Pass(_) | Command::Acct(_)
        ) {
            return None;
        }
        let encoded = command.encode();
        let line = encoded.strip_suffix(b"\r\n").unwrap_or(&encoded);
        // Telnet's doubling is done again by who sends the line
        let line: Vec<u8> = undoubled(line);
        self.wire(&line)
    }

    /// A line that was typed, in this charset, if that is another one.
    pub(crate) fn of_line(self, line: &Text) -> Option<Text> {
        let is_secret = |word: &str| {
            let start = line.as_bytes().get(..word.len()).unwrap_or_default();
            start.eq_ignore_ascii_case(word.as_bytes())
        };
        if ["USER ", "PASS ", "ACCT "].into_iter().any(is_secret) {
            return None;
        }
        self.wire(line.as_bytes())
    }

    /// The reply with its texts in UTF-8.
    pub(crate) fn of_reply(self, reply: Reply) -> Reply {
        if reply.lines().iter().all(|line| is_plain(line.as_bytes())) {
            return reply;
        }
        let lines = reply.lines().iter();
        let lines = lines.map(|line| Text::lossy(self.show(line.as_bytes())));
        Reply::with_lines(reply.code(), lines.collect())
    }
}

/// Nothing in it is written differently in any charset.
fn is_plain(bytes: &[u8]) -> bool {
    bytes.is_ascii() && !bytes.windows(2).any(|pair| pair == b"\\x")
}

fn undoubled(line: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(line.len());
    let mut rest = line.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        if byte == 0xff && rest.peek() == Some(&0xff) {
            rest.next();
        }
        bytes.push(byte);
    }
    bytes
}

/// Text with the backslashes that would be taken for an escape written as one.
fn push_visible(text: &mut String, piece: &str) {
    let mut rest = piece;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        if escape(&rest[at..]).is_some() {
            push_byte(text, b'\\');
        } else {
            text.push('\\');
        }
        rest = &rest[at + 1..];
    }
    text.push_str(rest);
}

fn push_byte(text: &mut String, byte: u8) {
    use std::fmt::Write as _;
    let _ = write!(text, "\\x{byte:02x}");
}

/// Every byte that is not ASCII as `\xNN`.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4);
    for &byte in bytes {
        if byte.is_ascii() && byte != b'\\' {
            text.push(char::from(byte));
        } else {
            push_byte(&mut text, byte);
        }
    }
    text
}

/// `\xNN` at the beginning: the byte, and what follows.
fn escape(text: &str) -> Option<(u8, &str)> {
    let digits = text.strip_prefix("\\x")?;
    let (digits, behind) = digits.split_at_checked(2)?;
    let sane = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let byte = u8::from_str_radix(digits, 16).ok()?;
    sane.then_some((byte, behind))
}

impl FromStr for Charset {
    type Err = UnknownCharset;

    fn from_str(name: &str) -> Result<Self, UnknownCharset> {
        Self::find(name)?.ok_or_else(|| UnknownCharset("utf-8 is no other charset".to_owned()))
    }
}

impl fmt::Debug for Charset {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl fmt::Display for Charset {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn charset(name: &str) -> Charset {
        name.parse().unwrap()
    }

    #[test]
    fn names_are_shown_and_read() {
        let table: [(&str, &[u8], &str); 9] = [
            ("gbk", b"\xc4\xe3\xba\xc3.txt", "你好.txt"),
            ("sjis", b"\x95\x5c\x8e\xa6", "表示"), // the second byte of 表 is a backslash
            ("cp1251", b"\xcf\xf0\xe8\xe2\xe5\xf2", "Привет"),
            ("koi8-r", b"\xf0\xd2\xc9\xd7\xc5\xd4", "Привет"),
            ("latin1", b"caf\xe9", "café"),
            ("big5", b"\xa4\xa4\xa4\xe5", "中文"),
            ("euc-kr", b"\xc7\xd1\xb1\xdb", "한글"),
            ("gbk", b"a\xff\x41b", "a\\xffAb"),
            ("latin1", b"not \\x41 a byte", "not \\x5cx41 a byte"),
        ];
        for (name, bytes, text) in table {
            assert_eq!(charset(name).show(bytes), text, "{name}");
            assert_eq!(charset(name).read(text), bytes, "{name}");
        }
        assert_eq!(charset("latin1").read("日本"), "日本".as_bytes());
    }

    #[test]
    fn charsets_by_name() {
        for name in ["utf-8", "UTF8", "unicode-1-1-utf-8"] {
            assert_eq!(Charset::find(name), Ok(None));
        }
        for name in [
            "cp1251",
            "CP866",
            "latin1",
            "iso-8859-15",
            "gb18030",
            "cp932",
        ] {
            assert!(matches!(Charset::find(name), Ok(Some(_))), "{name}");
        }
        for name in ["utf-16", "iso-2022-jp", "klingon", ""] {
            assert!(Charset::find(name).is_err(), "{name}");
        }
    }

    #[test]
    fn commands_and_replies_are_converted_and_secrets_are_not() {
        let gbk = charset("gbk");
        let path = wharf_proto::Pathname::new("/你好").unwrap();
        let line = gbk.of_command(&Command::Cwd(path)).unwrap();
        assert_eq!(line.as_bytes(), b"CWD /\xc4\xe3\xba\xc3");
        assert_eq!(
            gbk.of_command(&Command::User(Text::new("你好").unwrap())),
            None
        );
        assert_eq!(gbk.of_line(&Text::new("pass 你好").unwrap()), None);
        let reply = gbk.of_reply(Reply::new(257, b"\"/\xc4\xe3\""));
        assert_eq!(reply.text().as_bytes(), "\"/你\"".as_bytes());
        // no way to smuggle a line's end in
        let path = wharf_proto::Pathname::new("a\\x0d\\x0aDELE b").unwrap();
        assert_eq!(gbk.of_command(&Command::Cwd(path)), None);
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_sent_back(bytes in proptest::collection::vec(any::<u8>(), 0..40), at in 0usize..8) {
            let names = ["gbk", "sjis", "cp1251", "latin1", "koi8-r", "euc-kr", "big5", "euc-jp"];
            let charset = charset(names[at]);
            prop_assert_eq!(charset.read(&charset.show(&bytes)), bytes);
        }

        #[test]
        fn so_can_names_with_escapes(text in "(a|\\\\|x|4|1|é|\\\\x41){0,12}") {
            let latin1 = charset("latin1");
            prop_assert_eq!(latin1.read(&latin1.show(text.as_bytes())), text.as_bytes());
        }
    }
}
