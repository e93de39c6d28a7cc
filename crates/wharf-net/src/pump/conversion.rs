//! The representation type as a stage between file and data connection.

use wharf_proto::RepresentationType;
use wharf_proto::ascii::{AsciiDecoder, AsciiEncoder};

/// What happens to the bytes between file and data connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// TYPE I and TYPE L 8: nothing.
    Verbatim,
    /// TYPE A: the host's line ends on one side, NVT-ASCII's CRLF on the other (RFC 959 §3.1.1.1).
    NvtAscii,
}

impl Conversion {
    /// The conversion of a representation type; `None` for those that cannot be executed (EBCDIC, byte sizes other
    /// than 8), which TYPE should have refused with 504.
    pub fn of(representation: RepresentationType) -> Option<Self> {
        match representation {
            RepresentationType::Ascii(_) => Some(Self::NvtAscii),
            RepresentationType::Image | RepresentationType::Local(8) => Some(Self::Verbatim),
            RepresentationType::Ebcdic(_) | RepresentationType::Local(_) => None,
        }
    }
}

/// A conversion at work, with what it must remember between two buffers.
pub(super) enum Stage {
    Verbatim,
    Encode(AsciiEncoder, Vec<u8>),
    Decode(AsciiDecoder, Vec<u8>),
}

impl Stage {
    pub(super) fn outgoing(conversion: Conversion) -> Self {
        match conversion {
            Conversion::Verbatim => Self::Verbatim,
            Conversion::NvtAscii => Self::Encode(AsciiEncoder::new(), Vec::new()),
        }
    }

    pub(super) fn incoming(conversion: Conversion) -> Self {
        match conversion {
            Conversion::Verbatim => Self::Verbatim,
            Conversion::NvtAscii => Self::Decode(AsciiDecoder::new(), Vec::new()),
        }
    }

    /// The next piece, converted.
    pub(super) fn convert<'a>(&'a mut self, input: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Verbatim => input,
            Self::Encode(encoder, out) => {
                out.clear();
                encoder.convert(input, out);
                out
            }
            Self::Decode(decoder, out) => {
                out.clear();
                decoder.convert(input, out);
                out
            }
        }
    }

    /// What the stage has kept back until it knew that nothing follows.
    pub(super) fn finish(&mut self) -> &[u8] {
        match self {
            Self::Verbatim => &[],
            Self::Encode(encoder, out) => {
                out.clear();
                encoder.finish(out);
                out
            }
            Self::Decode(decoder, out) => {
                out.clear();
                decoder.finish(out);
                out
            }
        }
    }
}
