//! The digests that servers tell about files: HASH (draft-bryan-ftpext-hash), and the older verbs that are named after what
//! they compute (XCRC and its like; GlobalSCAPE, Serv-U, ProFTPD's mod_digest, IIS-like servers). Names only: nothing is
//! computed here.

use std::fmt;

/// A way to make a short number of a file's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Digest {
    /// CRC-32 (ISO 3309). Finds accidents, not attacks.
    Crc32,
    /// MD5 (RFC 1321). Finds accidents, not attacks.
    Md5,
    /// SHA-1 (RFC 3174). Finds accidents, not attacks.
    Sha1,
    /// SHA-256 (RFC 6234).
    Sha256,
    /// SHA-512 (RFC 6234).
    Sha512,
}

impl Digest {
    /// All of them, the better ones last.
    pub const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Md5,
        Self::Sha1,
        Self::Sha256,
        Self::Sha512,
    ];

    /// The name that HASH and OPTS HASH use (the registry of draft-bryan-ftpext-hash §6).
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
        }
    }

    /// The verb that computes it, on servers that have no HASH.
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Crc32 => "XCRC",
            Self::Md5 => "XMD5",
            Self::Sha1 => "XSHA1",
            Self::Sha256 => "XSHA256",
            Self::Sha512 => "XSHA512",
        }
    }

    /// Digits of its hexadecimal form.
    pub fn digits(self) -> usize {
        match self {
            Self::Crc32 => 8,
            Self::Md5 => 32,
            Self::Sha1 => 40,
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    /// The one of this name, letters of either case.
    pub fn of_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|it| name.eq_ignore_ascii_case(it.name().as_bytes()))
    }

    /// The one whose hexadecimal form has so many digits.
    pub fn of_digits(digits: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.digits() == digits)
    }

    /// The one in a reply to HASH, XCRC, MD5 and their like: a word of exactly the right number of hexadecimal digits, in
    /// small letters. `None`: there is none, or more than one that differ.
    pub fn in_reply(self, text: &[u8]) -> Option<String> {
        let mut found = None;
        for word in text.split(u8::is_ascii_whitespace) {
            let is_one = word.len() == self.digits() && word.iter().all(u8::is_ascii_hexdigit);
            let Some(word) = std::str::from_utf8(word).ok().filter(|_| is_one) else {
                continue;
            };
            let word = word.to_ascii_lowercase();
            if found.as_ref().is_some_and(|before| *before != word) {
                return None;
            }
            found = Some(word);
        }
        found
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_lengths_tell_them_apart() {
        for digest in Digest::ALL {
            assert_eq!(Digest::of_name(digest.name().as_bytes()), Some(digest));
            assert_eq!(Digest::of_digits(digest.digits()), Some(digest));
        }
        assert_eq!(Digest::of_name(b"sha-256"), Some(Digest::Sha256));
        assert_eq!(Digest::of_name(b"WHIRLPOOL"), None);
    }

    #[test]
    fn replies_of_servers_are_read() {
        let sum = "0123456789ABCDEF0123456789abcdef";
        for (text, expected) in [
            (format!("MD5 0-49 {sum} a.txt"), true), // HASH
            (sum.to_owned(), true),                  // mod_digest, XMD5
            (format!("\"a b.txt\" {sum}"), true),    // draft-twine-ftpmd5, 251
            (format!("{sum} {sum}"), true),
            ("deadbeef".to_owned(), false),
            (format!("{sum} ffffffffffffffffffffffffffffffff"), false),
            (String::new(), false),
        ] {
            let found = Digest::Md5.in_reply(text.as_bytes());
            assert_eq!(found, expected.then(|| sum.to_ascii_lowercase()), "{text}");
        }
    }
}
