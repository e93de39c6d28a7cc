//! Bytes of the control connection to command lines, server side.
//!
//! A line ends with CRLF or a lone LF. Bytes are decoded only when a line is asked for, so that a pipelined burst waits
//! in a bounded buffer and is answered in order. Memory is bounded by the limit and [`LineDecoder::BUFFER`] whatever the
//! peer sends.

use crate::telnet::{Heard, Telnet};

/// What the peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line without its end. May be empty, and may hold CR and NUL, which no command allows.
    Command(Vec<u8>),
    /// A line longer than the limit. Told once, as soon as it is known; the rest up to the next line end is dropped.
    TooLong,
    /// Telnet IP or DM: the user-PI calls for attention (RFC 959 §4.1.3, ABOR). Told at most once a line.
    Synch,
}

/// Bytes in, [`Line`]s out.
#[derive(Debug)]
pub struct LineDecoder {
    limit: usize,
    raw: Vec<u8>,
    /// How much of `raw` has been decoded.
    decoded: usize,
    partial: Vec<u8>,
    /// A CR that may belong to the line end.
    pending_cr: bool,
    /// Bytes of this line that were Telnet's.
    overhead: usize,
    skipping: bool,
    synch_told: bool,
    /// Looked ahead by [`has_line`](Self::has_line).
    ahead: Option<Line>,
    telnet: Telnet,
}

impl LineDecoder {
    /// Most bytes that wait undecoded.
    pub const BUFFER: usize = 8 * 1024;

    /// `limit`: most bytes of one line, its end and Telnet commands not counted.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            raw: Vec::new(),
            decoded: 0,
            partial: Vec::new(),
            pending_cr: false,
            overhead: 0,
            skipping: false,
            synch_told: false,
            ahead: None,
            telnet: Telnet::default(),
        }
    }

    /// How many bytes it will take now. At 0 the caller stops reading until [`next`](Self::next) made room.
    pub fn room(&self) -> usize {
        Self::BUFFER.saturating_sub(self.raw.len() - self.decoded)
    }

    /// Takes bytes from the network, at most [`room`](Self::room) of them; giving more is a bug of the caller.
    pub fn push(&mut self, bytes: &[u8]) {
        debug_assert!(
            bytes.len() <= self.room(),
            "pushed more than there was room for"
        );
        self.raw.drain(..self.decoded);
        self.decoded = 0;
        self.raw.extend_from_slice(bytes);
    }

    /// The next line, or `None` if more bytes are needed.
    #[expect(
        clippy::should_implement_trait,
        reason = "None is not the end, more may come"
    )]
    pub fn next(&mut self) -> Option<Line> {
        self.ahead.take().or_else(|| self.decode())
    }

    /// Whether [`next`](Self::next) would give a line without more bytes: time to hold back a flush.
    pub fn has_line(&mut self) -> bool {
        if self.ahead.is_none() {
            self.ahead = self.decode();
        }
        self.ahead.is_some()
    }

    /// Whether nothing at all is held: no line, no part of one, no part of a Telnet command. What TLS needs to know
    /// before it begins: bytes received in clear must never be taken for protected ones.
    pub fn is_empty(&self) -> bool {
        self.ahead.is_none()
            && self.raw.len() == self.decoded
            && self.partial.is_empty()
            && !self.pending_cr
            && !self.skipping
            && !self.telnet.is_inside_command()
    }

    /// Telnet refusals to send to the peer (DONT, WONT), at most 192 bytes.
    pub fn take_answers(&mut self) -> Vec<u8> {
        self.telnet.take_answers()
    }

    fn decode(&mut self) -> Option<Line> {
        while let Some(byte) = self.raw.get(self.decoded).copied() {
            self.decoded += 1;
            let line = match self.telnet.hear(byte) {
                Heard::Byte(byte) => self.take(byte),
                Heard::Two(first, second) => {
                    // The first is never a line end, so at most one of the two makes a line.
                    let too_long = self.take(first);
                    let line = self.take(second);
                    too_long.or(line)
                }
                Heard::Synch if self.synch_told => self.count_overhead(byte),
                Heard::Synch => {
                    self.synch_told = true;
                    Some(Line::Synch)
                }
                Heard::Nothing => self.count_overhead(byte),
            };
            if line.is_some() {
                return line;
            }
        }
        self.raw.clear();
        self.decoded = 0;
        None
    }

    fn take(&mut self, byte: u8) -> Option<Line> {
        if byte == b'\n' {
            let line = std::mem::take(&mut self.partial);
            let complete = !self.skipping;
            self.begin_line();
            return complete.then_some(Line::Command(line));
        }
        if self.skipping {
            return None;
        }
        if std::mem::take(&mut self.pending_cr) {
            self.partial.push(b'\r');
            if byte == 0 {
                // Telnet's CR NUL is a CR (RFC 854).
                return self.check_length();
            }
        }
        if byte == b'\r' {
            self.pending_cr = true;
        } else {
            self.partial.push(byte);
        }
        self.check_length()
    }

    fn check_length(&mut self) -> Option<Line> {
        if self.partial.len() <= self.limit {
            return None;
        }
        self.partial = Vec::new();
        self.pending_cr = false;
        self.skipping = true;
        Some(Line::TooLong)
    }

    /// Telnet commands without end or number are as bad as a line without end.
    fn count_overhead(&mut self, byte: u8) -> Option<Line> {
        self.overhead += 1;
        if self.overhead <= self.limit {
            return None;
        }
        if byte == b'\n' {
            // A subnegotiation that nobody agreed on: resynchronise here.
            self.telnet.forget_command();
            let told = self.skipping;
            self.partial = Vec::new();
            self.begin_line();
            return (!told).then_some(Line::TooLong);
        }
        if self.skipping {
            return None;
        }
        self.partial = Vec::new();
        self.pending_cr = false;
        self.skipping = true;
        Some(Line::TooLong)
    }

    fn begin_line(&mut self) {
        self.pending_cr = false;
        self.overhead = 0;
        self.skipping = false;
        self.synch_told = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(limit: usize, bytes: &[u8], chunk: usize) -> Vec<Line> {
        let mut decoder = LineDecoder::new(limit);
        let mut out = Vec::new();
        for part in bytes.chunks(chunk.min(LineDecoder::BUFFER)) {
            decoder.push(part);
            while let Some(line) = decoder.next() {
                out.push(line);
            }
            assert!(decoder.raw.len() <= LineDecoder::BUFFER && decoder.partial.len() <= limit);
        }
        out
    }

    fn command(text: &[u8]) -> Line {
        Line::Command(text.to_vec())
    }

    #[test]
    fn ends_of_lines() {
        let cases: &[(&[u8], &[Line])] = &[
            (b"NOOP\r\n", &[command(b"NOOP")]),
            (b"NOOP\n", &[command(b"NOOP")]),
            (b"\r\n\n", &[command(b""), command(b"")]),
            (b"A\r\nB\nC", &[command(b"A"), command(b"B")]),
            (b"A\rB\r\n", &[command(b"A\rB")]),
            (b"A\r\0B\r\n", &[command(b"A\rB")]),
            (b"A\0B\r\n", &[command(b"A\0B")]),
            (b"A\r\r\n", &[command(b"A\r")]),
            (b"RETR \xff\xff\xe9\r\n", &[command(b"RETR \xff\xe9")]),
            (
                b"\xff\xf4\xff\xf2ABOR\r\n",
                &[Line::Synch, command(b"ABOR")],
            ),
            (b"1234567\r\nB\r\n", &[command(b"1234567"), command(b"B")]),
            (b"12345678\r\nB\r\n", &[Line::TooLong, command(b"B")]),
            (b"1234567890123456\nB\n", &[Line::TooLong, command(b"B")]),
            (b"\xff\xfa\x18\nx\xff\xf0B\n", &[command(b"B")]),
            (b"\xff\xfa1234567890\nB\n", &[Line::TooLong, command(b"B")]),
        ];
        for (bytes, expected) in cases {
            for chunk in 1..=bytes.len() {
                assert_eq!(
                    lines(7, bytes, chunk),
                    *expected,
                    "{bytes:?} in chunks of {chunk}"
                );
            }
        }
    }

    #[test]
    fn a_line_without_end_keeps_memory_flat() {
        let mut decoder = LineDecoder::new(4096);
        let block = [b'A'; LineDecoder::BUFFER];
        let mut told = 0;
        for _ in 0..(150 * 1024 * 1024 / LineDecoder::BUFFER) {
            decoder.push(&block);
            while let Some(line) = decoder.next() {
                assert_eq!(line, Line::TooLong);
                told += 1;
            }
            let held = decoder.raw.capacity() + decoder.partial.capacity();
            assert!(
                held <= 2 * LineDecoder::BUFFER + 2 * 4096,
                "{held} bytes held"
            );
        }
        assert_eq!(told, 1);
        decoder.push(b"\r\nNOOP\r\n");
        assert_eq!(decoder.next(), Some(command(b"NOOP")));
        assert!(decoder.is_empty());
    }

    #[test]
    fn a_burst_waits_undecoded_and_room_shrinks() {
        let mut decoder = LineDecoder::new(100);
        decoder.push(b"USER a\r\nPASS b\r\nQUIT\r\n");
        assert_eq!(decoder.room(), LineDecoder::BUFFER - 22);
        assert!(decoder.has_line());
        assert!(!decoder.is_empty());
        assert_eq!(decoder.next(), Some(command(b"USER a")));
        assert_eq!(decoder.next(), Some(command(b"PASS b")));
        assert_eq!(decoder.next(), Some(command(b"QUIT")));
        assert!(!decoder.has_line());
        assert!(decoder.is_empty());
    }

    #[test]
    fn a_started_line_is_not_empty() {
        for start in [&b"A"[..], b"\r", b"\xff", b"\xff\xfb", b"\xff\xfax"] {
            let mut decoder = LineDecoder::new(100);
            decoder.push(start);
            assert_eq!(decoder.next(), None);
            assert!(!decoder.is_empty(), "{start:?}");
        }
    }

    #[test]
    fn offers_are_refused() {
        let mut decoder = LineDecoder::new(100);
        decoder.push(b"\xff\xfb\x01\xff\xfd\x06SYST\r\n");
        assert_eq!(decoder.next(), Some(command(b"SYST")));
        assert_eq!(decoder.take_answers(), b"\xff\xfe\x01\xff\xfc\x06");
        assert_eq!(decoder.take_answers(), b"");
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(bytes in prop::collection::vec(prop::sample::select(b"ab\r\n\0\xff\xf4\xf2\xfa\xf0\xfb".to_vec()), 0..80), chunk in 1usize..20) {
            prop_assert_eq!(lines(9, &bytes, chunk), lines(9, &bytes, bytes.len().max(1)));
        }
    }
}
