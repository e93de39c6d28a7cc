//! Replies (RFC 959 §4.2): written by the server-PI, read by the user-PI.

use std::fmt;

use crate::telnet::{self, Heard, Telnet};
use crate::text::Text;

/// A reply: three digits and one or more lines of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    /// Never empty.
    lines: Vec<Text>,
}

/// What the first digit means (RFC 959 §4.2; 6yz from RFC 2228 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplyClass {
    /// 1yz: begun; another reply follows.
    Preliminary,
    /// 2yz: done.
    Completion,
    /// 3yz: accepted, send the next command of the sequence.
    Intermediate,
    /// 4yz: not now, the same may succeed later.
    TransientNegative,
    /// 5yz: not, and the same will not succeed.
    PermanentNegative,
    /// 6yz: a protected reply, its text is encoded.
    Protected,
}

impl Reply {
    /// A reply of one line. CR, LF and NUL in the text become `?`. A code outside of 100 to 699 is a bug of the caller:
    /// debug builds panic, others send 451.
    pub fn new(code: u16, text: impl AsRef<[u8]>) -> Self {
        Self::with_lines(code, vec![Text::lossy(text)])
    }

    /// A reply of several lines; the last one closes it. No line at all counts as one empty line. Lines are sent as
    /// they are: a caller that wants them indented (FEAT and MLST do) puts the space in front.
    pub fn with_lines(code: u16, mut lines: Vec<Text>) -> Self {
        debug_assert!((100..=699).contains(&code), "{code} is no reply code");
        let code = if (100..=699).contains(&code) {
            code
        } else {
            451
        };
        if lines.is_empty() {
            lines.push(Text::EMPTY);
        }
        Self { code, lines }
    }

    /// The three digits.
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// What the first digit means.
    pub const fn class(&self) -> ReplyClass {
        match self.code {
            ..=199 => ReplyClass::Preliminary,
            200..=299 => ReplyClass::Completion,
            300..=399 => ReplyClass::Intermediate,
            400..=499 => ReplyClass::TransientNegative,
            500..=599 => ReplyClass::PermanentNegative,
            600.. => ReplyClass::Protected,
        }
    }

    /// Whether it is 1yz, 2yz or 3yz.
    pub const fn is_positive(&self) -> bool {
        self.code < 400
    }

    /// Whether it is 1yz: another reply to the same command follows.
    pub const fn is_preliminary(&self) -> bool {
        self.code < 200
    }

    /// The last line.
    pub fn text(&self) -> &Text {
        const EMPTY: &Text = &Text::EMPTY;
        self.lines.last().unwrap_or(EMPTY)
    }

    /// All lines, never none.
    pub fn lines(&self) -> &[Text] {
        &self.lines
    }

    /// Appends the bytes of the reply: `226 text` or `211-first`, ` middle`, `211 last`. A middle line that begins with a
    /// digit gets a space in front, so that no reader takes it for the end (RFC 959 §4.2). IAC is doubled.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let code = self.code.to_string();
        if let Some((last, before)) = self.lines.split_last() {
            for (number, line) in before.iter().enumerate() {
                if number == 0 {
                    out.extend_from_slice(code.as_bytes());
                    out.push(b'-');
                } else if is_padded(line.as_bytes(), code.as_bytes()) {
                    out.push(b' ');
                }
                telnet::escape_into(line.as_bytes(), out);
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(code.as_bytes());
            out.push(b' ');
            telnet::escape_into(last.as_bytes(), out);
            out.extend_from_slice(b"\r\n");
        }
    }

    /// The bytes of the reply, see [`encode`](Self::encode).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

impl fmt::Display for Reply {
    /// For people: the code and the last line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text())
    }
}

/// Whether a middle line would be read as something else: as the last one, or by readers that look at digits alone. The
/// same code with a hyphen is what servers write that repeat it.
fn is_padded(line: &[u8], code: &[u8]) -> bool {
    let repeated = line
        .strip_prefix(code)
        .is_some_and(|rest| rest.starts_with(b"-"));
    line.first().is_some_and(u8::is_ascii_digit) && !repeated
}

/// How much a server may send in one reply. There is no default: who reads must choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyLimits {
    /// Bytes of one line.
    pub line: usize,
    /// Lines of one reply.
    pub lines: usize,
    /// Bytes of one reply, its line ends not counted.
    pub bytes: usize,
}

/// Why what came is no reply. The connection cannot be used any more: nobody knows where the next reply would begin.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyError {
    /// A line longer than [`ReplyLimits::line`].
    LineTooLong,
    /// More lines than [`ReplyLimits::lines`].
    TooManyLines,
    /// More bytes than [`ReplyLimits::bytes`].
    TooManyBytes,
    /// A line where a reply had to begin that does not begin with a code (its first bytes are kept).
    NotAReply(Text),
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineTooLong => f.write_str("the reply has an over-long line"),
            Self::TooManyLines => f.write_str("the reply has too many lines"),
            Self::TooManyBytes => f.write_str("the reply is too long"),
            Self::NotAReply(line) => write!(f, "not an FTP reply: {line}"),
        }
    }
}

impl std::error::Error for ReplyError {}

/// Bytes of a server in, [`Reply`]s out.
///
/// Tolerant where servers differ: a lone LF ends a line; inside of a multi-line reply any line is text that does not begin
/// with the same code and a space, other codes included; the code may be repeated with a hyphen on every line.
#[derive(Debug)]
pub struct ReplyDecoder {
    limits: ReplyLimits,
    /// Middle lines are kept with the code that some servers put before each of them.
    as_written: bool,
    raw: Vec<u8>,
    /// How much of `raw` has been decoded.
    decoded: usize,
    line: Vec<u8>,
    /// The multi-line reply that has begun.
    open: Option<Open>,
    /// Sticky.
    failed: Option<ReplyError>,
    telnet: Telnet,
}

#[derive(Debug)]
struct Open {
    code: u16,
    lines: Vec<Text>,
    bytes: usize,
}

impl ReplyDecoder {
    /// Bytes of a line that [`ReplyError::NotAReply`] keeps.
    const SHOWN: usize = 200;

    /// An empty decoder.
    pub fn new(limits: ReplyLimits) -> Self {
        Self {
            limits,
            as_written: false,
            raw: Vec::new(),
            decoded: 0,
            line: Vec::new(),
            open: None,
            failed: None,
            telnet: Telnet::default(),
        }
    }

    /// From now on middle lines keep the `230-` that some servers put before each of them, so that a reply can be passed
    /// on as it was written.
    pub fn keep_as_written(&mut self) {
        self.as_written = true;
    }

    /// Takes bytes from the network. The caller takes out the replies with [`next`](Self::next) before it reads more;
    /// after an error nothing is kept.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        self.raw.drain(..self.decoded);
        self.decoded = 0;
        self.raw.extend_from_slice(bytes);
    }

    /// The next whole reply, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// [`ReplyError`], the same again at every further call.
    #[expect(
        clippy::should_implement_trait,
        reason = "None is not the end, more may come"
    )]
    pub fn next(&mut self) -> Result<Option<Reply>, ReplyError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.decode().inspect_err(|error| {
            self.failed = Some(error.clone());
            self.raw = Vec::new();
            self.decoded = 0;
            self.line = Vec::new();
            self.open = None;
        })
    }

    /// Whether nothing is held: no reply and no part of one. Before TLS begins, and to tell a clean end of the connection
    /// from one in the middle of a reply.
    pub fn is_empty(&self) -> bool {
        self.raw.len() == self.decoded
            && self.line.is_empty()
            && self.open.is_none()
            && !self.telnet.is_inside_command()
    }

    /// Telnet refusals to send to the server, at most 192 bytes.
    pub fn take_answers(&mut self) -> Vec<u8> {
        self.telnet.take_answers()
    }

    fn decode(&mut self) -> Result<Option<Reply>, ReplyError> {
        while let Some(byte) = self.raw.get(self.decoded).copied() {
            self.decoded += 1;
            match self.telnet.hear(byte) {
                Heard::Nothing | Heard::Synch => {}
                Heard::Byte(b'\n') => {
                    if let Some(reply) = self.end_line()? {
                        return Ok(Some(reply));
                    }
                }
                Heard::Byte(byte) => self.line.push(byte),
                Heard::Two(iac, b'\n') => {
                    self.line.push(iac);
                    if let Some(reply) = self.end_line()? {
                        return Ok(Some(reply));
                    }
                }
                Heard::Two(first, second) => self.line.extend([first, second]),
            }
            // One more for the CR of the line end.
            if self.line.len() > self.limits.line.saturating_add(1) {
                return Err(ReplyError::LineTooLong);
            }
        }
        self.raw.clear();
        self.decoded = 0;
        Ok(None)
    }

    fn end_line(&mut self) -> Result<Option<Reply>, ReplyError> {
        let mut line = std::mem::take(&mut self.line);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if line.len() > self.limits.line {
            return Err(ReplyError::LineTooLong);
        }
        let head = Head::read(&line);
        let Some(open) = &mut self.open else {
            // An empty line between replies: old servers send one after a listing.
            if line.is_empty() {
                return Ok(None);
            }
            let Some(head) = head else {
                line.truncate(Self::SHOWN);
                return Err(ReplyError::NotAReply(Text::lossy(line)));
            };
            if line.len() > self.limits.bytes {
                return Err(ReplyError::TooManyBytes);
            }
            let text = Text::lossy(head.text);
            if head.last {
                return Ok(Some(Reply {
                    code: head.code,
                    lines: vec![text],
                }));
            }
            self.open = Some(Open {
                code: head.code,
                lines: vec![text],
                bytes: line.len(),
            });
            return Ok(None);
        };
        open.bytes += line.len();
        if open.lines.len() >= self.limits.lines {
            return Err(ReplyError::TooManyLines);
        }
        if open.bytes > self.limits.bytes {
            return Err(ReplyError::TooManyBytes);
        }
        match head.filter(|head| head.code == open.code) {
            Some(head) if !head.last && self.as_written => open.lines.push(Text::lossy(&line)),
            Some(head) => {
                open.lines.push(Text::lossy(head.text));
                if head.last {
                    return Ok(self.open.take().map(|open| Reply {
                        code: open.code,
                        lines: open.lines,
                    }));
                }
            }
            None => open.lines.push(Text::lossy(&line)),
        }
        Ok(None)
    }
}

/// A line that begins with a code.
struct Head<'a> {
    code: u16,
    last: bool,
    text: &'a [u8],
}

impl<'a> Head<'a> {
    fn read(line: &'a [u8]) -> Option<Self> {
        let (digits, rest) = line.split_at_checked(3)?;
        let code = crate::text::decimal(digits).and_then(|code| u16::try_from(code).ok())?;
        if !(100..=699).contains(&code) {
            return None;
        }
        match rest {
            // The code alone: the space was lost with trailing blanks.
            [] => Some(Self {
                code,
                last: true,
                text: rest,
            }),
            [b' ', text @ ..] => Some(Self {
                code,
                last: true,
                text,
            }),
            [b'-', text @ ..] => Some(Self {
                code,
                last: false,
                text,
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: ReplyLimits = ReplyLimits {
        line: 40,
        lines: 5,
        bytes: 80,
    };

    fn read(bytes: &[u8], chunk: usize) -> Result<Vec<Reply>, ReplyError> {
        let mut decoder = ReplyDecoder::new(LIMITS);
        let mut replies = Vec::new();
        for part in bytes.chunks(chunk) {
            decoder.push(part);
            while let Some(reply) = decoder.next()? {
                replies.push(reply);
            }
        }
        Ok(replies)
    }

    fn reply(code: u16, lines: &[&str]) -> Reply {
        Reply::with_lines(
            code,
            lines.iter().map(|line| line.parse().unwrap()).collect(),
        )
    }

    #[test]
    fn forms_of_replies() {
        let cases: &[(&str, &[Reply])] = &[
            ("220 hello\r\n", &[reply(220, &["hello"])]),
            ("220 hello\n", &[reply(220, &["hello"])]),
            ("226\r\n", &[reply(226, &[""])]),
            ("226 \r\n", &[reply(226, &[""])]),
            ("\r\n226 x\r\n", &[reply(226, &["x"])]),
            (
                "123-First\r\nSecond\r\n  234 indented\r\n123 Last\r\n",
                &[reply(123, &["First", "Second", "  234 indented", "Last"])],
            ),
            (
                "211-Features:\r\n MDTM\r\n211 End\r\n200 ok\r\n",
                &[
                    reply(211, &["Features:", " MDTM", "End"]),
                    reply(200, &["ok"]),
                ],
            ),
            (
                "230-a\r\n230-b\r\n230 c\r\n",
                &[reply(230, &["a", "b", "c"])],
            ),
            (
                "230-a\r\n226 other code\r\n23 x\r\n\r\n230 c\r\n",
                &[reply(230, &["a", "226 other code", "23 x", "", "c"])],
            ),
            ("230-a\r\n230\r\n", &[reply(230, &["a", ""])]),
            (
                "150 a\r\n226 b\r\n",
                &[reply(150, &["a"]), reply(226, &["b"])],
            ),
        ];
        for (bytes, replies) in cases {
            for chunk in 1..=bytes.len() {
                assert_eq!(
                    read(bytes.as_bytes(), chunk).as_deref(),
                    Ok(*replies),
                    "{bytes:?} by {chunk}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_reply() {
        let not = |text: &str| ReplyError::NotAReply(text.parse().unwrap());
        let cases: &[(String, ReplyError)] = &[
            ("HTTP/1.1 400 Bad\r\n".into(), not("HTTP/1.1 400 Bad")),
            ("SSH-2.0-x\r\n".into(), not("SSH-2.0-x")),
            ("099 x\r\n".into(), not("099 x")),
            ("700 x\r\n".into(), not("700 x")),
            ("22x x\r\n".into(), not("22x x")),
            ("2200 x\r\n".into(), not("2200 x")),
            (
                format!("220 {}\r\n", "x".repeat(37)),
                ReplyError::LineTooLong,
            ),
            ("x".repeat(100), ReplyError::LineTooLong),
            (
                format!("220-\r\n{}", "\r\n".repeat(6)),
                ReplyError::TooManyLines,
            ),
            (
                format!("220-\r\n{}", format!("{}\r\n", "x".repeat(30)).repeat(3)),
                ReplyError::TooManyBytes,
            ),
        ];
        for (bytes, error) in cases {
            assert_eq!(read(bytes.as_bytes(), 7), Err(error.clone()), "{bytes:?}");
        }
        assert!(read(format!("220 {}\r\n", "x".repeat(36)).as_bytes(), 7).is_ok());
    }

    #[test]
    fn an_error_is_final_and_keeps_nothing() {
        let mut decoder = ReplyDecoder::new(LIMITS);
        decoder.push(b"nonsense\r\n220 hello\r\n");
        assert!(decoder.next().is_err());
        decoder.push(&vec![b'x'; 100_000]);
        assert!(decoder.next().is_err());
        assert_eq!(decoder.raw.capacity(), 0);
    }

    #[test]
    fn half_a_reply_is_not_empty() {
        for half in [
            "2",
            "220 x",
            "220-x\r\n",
            "220 x\r\n226",
            "220-x\r\n220 y\r",
        ] {
            let mut decoder = ReplyDecoder::new(LIMITS);
            decoder.push(half.as_bytes());
            while decoder.next().unwrap().is_some() {}
            assert!(!decoder.is_empty(), "{half:?}");
            decoder.push(b"\r\n220 .\r\n");
            while decoder.next().unwrap_or(None).is_some() {}
        }
    }

    #[test]
    fn middle_lines_cannot_end_the_reply() {
        let written = reply(213, &["status:", "213 forged", "-rw-r--r-- x", "end"]).to_bytes();
        assert_eq!(
            written,
            b"213-status:\r\n 213 forged\r\n-rw-r--r-- x\r\n213 end\r\n"
        );
        assert_eq!(read(&written, 3).unwrap().len(), 1);
    }

    #[test]
    fn line_breaks_in_a_text_cannot_forge_a_reply() {
        assert_eq!(
            Reply::new(550, b"a\r\n226 ok\0").to_bytes(),
            b"550 a??226 ok?\r\n"
        );
    }

    #[test]
    fn iac_is_doubled() {
        let written = Reply::new(257, b"\"\xff\"").to_bytes();
        assert_eq!(written, b"257 \"\xff\xff\"\r\n");
        assert_eq!(read(&written, 1).unwrap()[0].text().as_bytes(), b"\"\xff\"");
    }

    #[test]
    fn classes() {
        for (code, class) in [
            (150, ReplyClass::Preliminary),
            (226, ReplyClass::Completion),
            (350, ReplyClass::Intermediate),
            (425, ReplyClass::TransientNegative),
            (550, ReplyClass::PermanentNegative),
            (631, ReplyClass::Protected),
        ] {
            assert_eq!(Reply::new(code, "").class(), class);
        }
    }

    prop_compose! {
        fn any_reply()(code in 100u16..700, lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..15), 1..5)) -> Reply {
            let lines = lines.into_iter().map(|line| {
                let line = Text::lossy(line);
                if line.as_bytes().first().is_some_and(u8::is_ascii_digit) { Text::lossy(b"x") } else { line }
            });
            Reply::with_lines(code, lines.collect())
        }
    }

    #[test]
    fn a_reply_is_passed_on_as_it_was_written() {
        for text in [
            "220-Welcome\r\n220-You are user 1 of 50\r\n220 ready\r\n",
            "211-Features:\r\n MDTM\r\n UTF8\r\n211 End\r\n",
            "230-Hello\r\n\r\n230-  indented\r\nplain\r\n230 in\r\n",
            "226 done\r\n",
        ] {
            let mut decoder = ReplyDecoder::new(ReplyLimits {
                bytes: 200,
                ..LIMITS
            });
            decoder.keep_as_written();
            decoder.push(text.as_bytes());
            let reply = decoder.next().unwrap().unwrap();
            assert_eq!(reply.to_bytes(), text.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn replies_round_trip(replies in prop::collection::vec(any_reply(), 0..4), chunk in 1usize..30) {
            let mut bytes = Vec::new();
            for reply in &replies {
                reply.encode(&mut bytes);
            }
            prop_assert_eq!(read(&bytes, chunk), Ok(replies));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, chunk in 1usize..30) {
            let _ = read(&bytes, chunk);
        }
    }
}
