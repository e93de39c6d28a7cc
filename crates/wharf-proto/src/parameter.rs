//! The transfer parameters of RFC 959 §3 and §4.1.2, and the protection levels of RFC 2228 §3.

use std::fmt;

/// TYPE: how the data are represented on the data connection (RFC 959 §3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RepresentationType {
    /// `A`: NVT-ASCII; lines end with CRLF on the wire.
    Ascii(Format),
    /// `E`: EBCDIC.
    Ebcdic(Format),
    /// `I`: bytes as they are.
    Image,
    /// `L n`: logical bytes of n bits, 1 to 255. `L 8` is the same as `I` on every machine of today.
    Local(u8),
}

/// The second parameter of TYPE A and E: vertical format control (RFC 959 §3.1.1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// `N`, the default.
    #[default]
    NonPrint,
    /// `T`: Telnet format effectors.
    Telnet,
    /// `C`: carriage control (ASA).
    Carriage,
}

/// STRU: the structure of a file (RFC 959 §3.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Structure {
    /// `F`: no structure, a sequence of bytes; the default.
    #[default]
    File,
    /// `R`: sequential records.
    Record,
    /// `P`: independent indexed pages.
    Page,
}

/// MODE: how the data are packed on the data connection (RFC 959 §3.4). Not to be mistaken for the data mode, which is
/// about who opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum TransferMode {
    /// `S`: bytes as they come, the end of the connection is the end of the file; the default.
    #[default]
    Stream,
    /// `B`: blocks with headers.
    Block,
    /// `C`: run-length coded.
    Compressed,
    /// `Z`: deflate (draft-preston-ftpext-deflate; offered by ProFTPD and Pure-FTPd among others).
    Deflate,
}

/// PROT: the protection of the data connection (RFC 2228 §3, RFC 4217).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Protection {
    /// `C`: none; the default.
    #[default]
    Clear,
    /// `S`: integrity.
    Safe,
    /// `E`: confidentiality without integrity.
    Confidential,
    /// `P`: both; the one that TLS gives.
    Private,
}

/// Why the argument of TYPE, STRU, MODE or PROT is no value of these types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterError {
    /// The argument has not the form that the RFC gives it: 501.
    Syntax,
    /// The form is right but nobody knows this letter: 504.
    Unknown,
}

impl RepresentationType {
    /// Reads the argument of TYPE: `A`, `A N`, `I`, `L 8`; letters in either case, `L8` and spaces at the end tolerated.
    ///
    /// # Errors
    /// [`ParameterError`].
    pub fn read(argument: &[u8]) -> Result<Self, ParameterError> {
        let argument = argument.trim_ascii();
        let (letter, rest) = argument.split_first().ok_or(ParameterError::Syntax)?;
        let spaced = rest.first().is_none_or(|byte| *byte == b' ');
        let rest = rest.trim_ascii();
        match letter.to_ascii_uppercase() {
            b'A' if spaced => Format::read(rest).map(Self::Ascii),
            b'E' if spaced => Format::read(rest).map(Self::Ebcdic),
            b'I' if rest.is_empty() => Ok(Self::Image),
            b'L' => match crate::text::decimal(rest) {
                Some(bits @ 1..=255) => Ok(Self::Local(
                    u8::try_from(bits).map_err(|_| ParameterError::Syntax)?,
                )),
                _ => Err(ParameterError::Syntax),
            },
            other if other.is_ascii_alphabetic() && rest.is_empty() => Err(ParameterError::Unknown),
            _ => Err(ParameterError::Syntax),
        }
    }

    /// Whether bytes travel as they are: `I` and `L 8`.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Image | Self::Local(8))
    }
}

impl Default for RepresentationType {
    /// `A N` (RFC 959 §5.1).
    fn default() -> Self {
        Self::Ascii(Format::NonPrint)
    }
}

impl fmt::Display for RepresentationType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ascii(Format::NonPrint) => f.write_str("A"),
            Self::Ascii(format) => write!(f, "A {format}"),
            Self::Ebcdic(Format::NonPrint) => f.write_str("E"),
            Self::Ebcdic(format) => write!(f, "E {format}"),
            Self::Image => f.write_str("I"),
            Self::Local(bits) => write!(f, "L {bits}"),
        }
    }
}

impl Format {
    fn read(argument: &[u8]) -> Result<Self, ParameterError> {
        match letter(argument) {
            None if argument.is_empty() => Ok(Self::NonPrint),
            Some(b'N') => Ok(Self::NonPrint),
            Some(b'T') => Ok(Self::Telnet),
            Some(b'C') => Ok(Self::Carriage),
            Some(_) => Err(ParameterError::Unknown),
            None => Err(ParameterError::Syntax),
        }
    }
}

/// The letters of a one-letter parameter: reading and writing.
macro_rules! letters {
    ($type:ident, $command:literal, $($letter:literal => $variant:ident),+) => {
        impl $type {
            #[doc = concat!("Reads the argument of ", $command, ", letters in either case.")]
            ///
            /// # Errors
            /// [`ParameterError`].
            pub fn read(argument: &[u8]) -> Result<Self, ParameterError> {
                match letter(argument.trim_ascii()).ok_or(ParameterError::Syntax)? {
                    $($letter => Ok(Self::$variant),)+
                    _ => Err(ParameterError::Unknown),
                }
            }

            /// The letter that stands for it on the wire.
            pub const fn letter(self) -> char {
                match self { $(Self::$variant => $letter as char,)+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Write::write_char(f, self.letter())
            }
        }
    };
}

letters!(Structure, "STRU", b'F' => File, b'R' => Record, b'P' => Page);
letters!(TransferMode, "MODE", b'S' => Stream, b'B' => Block, b'C' => Compressed, b'Z' => Deflate);
letters!(Protection, "PROT", b'C' => Clear, b'S' => Safe, b'E' => Confidential, b'P' => Private);

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NonPrint => "N",
            Self::Telnet => "T",
            Self::Carriage => "C",
        })
    }
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "malformed parameter",
            Self::Unknown => "unknown parameter",
        })
    }
}

impl std::error::Error for ParameterError {}

/// The single letter of `argument` as a capital.
fn letter(argument: &[u8]) -> Option<u8> {
    match argument {
        [one] if one.is_ascii_alphabetic() => Some(one.to_ascii_uppercase()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn representation_types() {
        use RepresentationType::{Ascii, Ebcdic, Image, Local};
        for (argument, read) in [
            ("A", Ok(Ascii(Format::NonPrint))),
            ("a n", Ok(Ascii(Format::NonPrint))),
            ("A T", Ok(Ascii(Format::Telnet))),
            ("A C ", Ok(Ascii(Format::Carriage))),
            ("E", Ok(Ebcdic(Format::NonPrint))),
            ("i", Ok(Image)),
            ("L 8", Ok(Local(8))),
            ("L8", Ok(Local(8))),
            ("L 36", Ok(Local(36))),
            ("L", Err(ParameterError::Syntax)),
            ("L 0", Err(ParameterError::Syntax)),
            ("L 256", Err(ParameterError::Syntax)),
            ("L x", Err(ParameterError::Syntax)),
            ("A X", Err(ParameterError::Unknown)),
            ("A NN", Err(ParameterError::Syntax)),
            ("AN", Err(ParameterError::Syntax)),
            ("I 8", Err(ParameterError::Syntax)),
            ("X", Err(ParameterError::Unknown)),
            ("", Err(ParameterError::Syntax)),
            ("7", Err(ParameterError::Syntax)),
        ] {
            assert_eq!(
                RepresentationType::read(argument.as_bytes()),
                read,
                "{argument:?}"
            );
            if let Ok(value) = read {
                assert_eq!(
                    RepresentationType::read(value.to_string().as_bytes()),
                    Ok(value)
                );
            }
        }
    }

    #[test]
    fn one_letter_parameters() {
        assert_eq!(Structure::read(b"f"), Ok(Structure::File));
        assert_eq!(Structure::read(b"R"), Ok(Structure::Record));
        assert_eq!(Structure::read(b"Q"), Err(ParameterError::Unknown));
        assert_eq!(TransferMode::read(b"s "), Ok(TransferMode::Stream));
        assert_eq!(TransferMode::read(b"SS"), Err(ParameterError::Syntax));
        assert_eq!(Protection::read(b"p"), Ok(Protection::Private));
        assert_eq!(Protection::Confidential.to_string(), "E");
    }

    #[test]
    fn defaults_are_those_of_rfc_959() {
        assert_eq!(RepresentationType::default().to_string(), "A");
        assert_eq!(Structure::default().letter(), 'F');
        assert_eq!(TransferMode::default().letter(), 'S');
    }
}
