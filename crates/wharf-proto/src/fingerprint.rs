//! The short name of a certificate, by which people compare it. It is computed in `wharf-net`.

use std::fmt;
use std::str::FromStr;

/// The SHA-256 of a certificate (DER), by which people compare it: `AB:CD:…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

/// Not 32 bytes in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FingerprintError;

impl fmt::Display for FingerprintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SHA-256 fingerprint has 64 hexadecimal digits, with or without colons")
    }
}

impl std::error::Error for FingerprintError {}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// As other programs show it: with or without colons, in any case, also behind `sha256:`.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let text = text.trim();
        let digits = match text.split_at_checked(7) {
            Some((name, rest)) if name.eq_ignore_ascii_case("sha256:") => rest,
            _ => text,
        };
        let digits: Vec<u32> = digits
            .chars()
            .filter(|it| *it != ':')
            .map(|it| it.to_digit(16))
            .collect::<Option<_>>()
            .ok_or(FingerprintError)?;
        let (pairs, []) = digits.as_chunks::<2>() else {
            return Err(FingerprintError);
        };
        let bytes: Vec<u8> = pairs
            .iter()
            .filter_map(|[high, low]| u8::try_from(high * 16 + low).ok())
            .collect();
        Ok(Self(bytes.try_into().map_err(|_| FingerprintError)?))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}
