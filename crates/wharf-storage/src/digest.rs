//! Digests of bytes, for servers that tell them and for clients that compare.

use std::fmt::Write as _;

use aws_lc_rs::digest::{self, Context};
use md5::Digest as _;
use wharf_proto::Digest;

/// A digest that is being computed.
pub struct Hasher(Kind);

enum Kind {
    Crc32(crc32fast::Hasher),
    Md5(md5::Md5),
    Sha(Context),
}

impl Hasher {
    /// Of no bytes yet.
    pub fn new(digest: Digest) -> Self {
        Self(match digest {
            Digest::Crc32 => Kind::Crc32(crc32fast::Hasher::new()),
            Digest::Md5 => Kind::Md5(md5::Md5::new()),
            Digest::Sha1 => Kind::Sha(Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY)),
            Digest::Sha256 => Kind::Sha(Context::new(&digest::SHA256)),
            Digest::Sha512 => Kind::Sha(Context::new(&digest::SHA512)),
        })
    }

    /// More bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Kind::Crc32(hasher) => hasher.update(bytes),
            Kind::Md5(hasher) => hasher.update(bytes),
            Kind::Sha(context) => context.update(bytes),
        }
    }

    /// In hexadecimal, small letters.
    pub fn finish(self) -> String {
        let hex = |bytes: &[u8]| {
            bytes.iter().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
        };
        match self.0 {
            Kind::Crc32(hasher) => format!("{:08x}", hasher.finalize()),
            Kind::Md5(hasher) => hex(&hasher.finalize()),
            Kind::Sha(context) => hex(context.finish().as_ref()),
        }
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Hasher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        for (digest, expected) in [
            (Digest::Crc32, "352441c2"),
            (Digest::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (Digest::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                Digest::Sha256,
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                Digest::Sha512,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ] {
            let mut hasher = Hasher::new(digest);
            hasher.update(b"a");
            hasher.update(b"bc");
            assert_eq!(hasher.finish(), expected, "{digest}");
        }
    }
}
