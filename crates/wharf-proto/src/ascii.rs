//! TYPE A on the data connection: lines end with CRLF on the wire and with LF in a file (RFC 959 §3.1.1.1, §3.4).
//!
//! Exact both ways: only the pair CRLF is a line end on the wire, only LF in a file. A lone CR or LF on the wire is data
//! and stays what it is, so that every file comes back as it was. Both converters take the data in pieces of any size.

/// File to wire: every LF becomes CRLF.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsciiEncoder;

impl AsciiEncoder {
    /// A fresh one; it keeps nothing between calls.
    pub const fn new() -> Self {
        Self
    }

    /// Appends the wire form of `input`: at most twice its length.
    pub fn convert(&mut self, input: &[u8], out: &mut Vec<u8>) {
        out.reserve(input.len() + input.len() / 32);
        for piece in input.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(line) => {
                    out.extend_from_slice(line);
                    out.extend_from_slice(b"\r\n");
                }
                None => out.extend_from_slice(piece),
            }
        }
    }

    /// The end of the file: nothing is left over.
    pub fn finish(&mut self, _out: &mut Vec<u8>) {}
}

/// Wire to file: every CRLF becomes LF.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsciiDecoder {
    /// The last byte was a CR that may belong to a CRLF.
    pending_cr: bool,
}

impl AsciiDecoder {
    /// A fresh one.
    pub const fn new() -> Self {
        Self { pending_cr: false }
    }

    /// Appends the file form of `input`: at most one byte longer than it.
    pub fn convert(&mut self, input: &[u8], out: &mut Vec<u8>) {
        out.reserve(input.len() + 1);
        for piece in input.split_inclusive(|byte| *byte == b'\r') {
            if std::mem::take(&mut self.pending_cr) && piece.first() != Some(&b'\n') {
                out.push(b'\r');
            }
            match piece.strip_suffix(b"\r") {
                Some(before) => {
                    out.extend_from_slice(before);
                    self.pending_cr = true;
                }
                None => out.extend_from_slice(piece),
            }
        }
    }

    /// The end of the data: a CR that waited for its LF is data.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.pending_cr) {
            out.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(input: &[u8], chunk: usize) -> Vec<u8> {
        let (mut encoder, mut out) = (AsciiEncoder::new(), Vec::new());
        for piece in input.chunks(chunk) {
            encoder.convert(piece, &mut out);
        }
        encoder.finish(&mut out);
        out
    }

    fn decode(input: &[u8], chunk: usize) -> Vec<u8> {
        let (mut decoder, mut out) = (AsciiDecoder::new(), Vec::new());
        for piece in input.chunks(chunk) {
            decoder.convert(piece, &mut out);
        }
        decoder.finish(&mut out);
        out
    }

    #[test]
    fn known_answers() {
        for (wire, file) in [
            ("1\r\n2\n3\r4\r\r\n", "1\n2\n3\r4\r\n"),
            ("", ""),
            ("\r\n", "\n"),
            ("\r", "\r"),
            ("\r\r", "\r\r"),
            ("\r\r\n\n", "\r\n\n"),
            ("a\r\0b\r\n", "a\r\0b\n"),
            ("no end", "no end"),
        ] {
            for chunk in 1..=wire.len().max(1) {
                assert_eq!(
                    decode(wire.as_bytes(), chunk),
                    file.as_bytes(),
                    "{wire:?} by {chunk}"
                );
            }
        }
        assert_eq!(encode(b"a\nb\r\nc\r\n\n", 2), b"a\r\nb\r\r\nc\r\r\n\r\n");
    }

    proptest! {
        #[test]
        fn a_file_comes_back_as_it_was(file in prop::collection::vec(prop::sample::select(b"a\r\n\0".to_vec()), 0..60), there in 1usize..9, back in 1usize..9) {
            prop_assert_eq!(decode(&encode(&file, there), back), file);
        }
    }
}
