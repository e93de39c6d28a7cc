//! The hashes of `/etc/shadow` (crypt(5)): yescrypt, SHA-512 and SHA-256. Pure, and slow on purpose.

use sha_crypt::{PasswordVerifier, ShaCrypt};
use wharf_proto::Secret;
use yescrypt::Yescrypt;

/// A hash of yescrypt as `passwd` makes them, that no password is known for.
pub(super) const NOBODY: &str =
    "$y$j9T$whARf0nobodyssalt3x7./$8Yb0o1Qw2Er3Ty4Ui5Op6As7Df8Gh9Jk0Lz1Xc2Vb3D";

/// Characters of a yescrypt hash: 32 bytes. The crate compares as many as there are, none with none.
const YESCRYPT: usize = 43;

/// The longest hash that is looked at; crypt(5) has 384 for everything.
const LONGEST: usize = 384;

/// What can be checked here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Yescrypt,
    Sha,
}

fn scheme(hash: &str) -> Option<Scheme> {
    let last = hash.rsplit('$').next().unwrap_or_default();
    match hash.split('$').nth(1)? {
        _ if !hash.starts_with('$') || hash.len() > LONGEST => None,
        "y" => (last.len() == YESCRYPT).then_some(Scheme::Yescrypt),
        "5" | "6" => Some(Scheme::Sha),
        _ => None,
    }
}

/// Whether passwords can be checked against it.
pub(super) fn is_supported(hash: &str) -> bool {
    scheme(hash).is_some()
}

/// What kind of hash it is, for the log: never more of it than its name.
pub(super) fn named(hash: &str) -> &str {
    let name = hash
        .strip_prefix('$')
        .and_then(|rest| rest.split('$').next());
    match name {
        Some("1") => "MD5 ($1$)",
        Some("2" | "2a" | "2b" | "2x" | "2y") => "bcrypt ($2b$)",
        Some("7") => "scrypt ($7$)",
        Some("gy") => "gost-yescrypt ($gy$)",
        Some("md5" | "sha1") => "of another system",
        Some("y") => "damaged yescrypt ($y$)",
        Some("argon2id" | "argon2i") => "argon2",
        Some(_) => "of an unknown kind",
        None => "DES, or none at all",
    }
}

/// Whether it is the hash of that password. Takes as long as the hash asks for.
pub(super) fn matches(hash: &str, password: &Secret) -> bool {
    let password = password.expose();
    match scheme(hash) {
        Some(Scheme::Yescrypt) => Yescrypt::default().verify_password(password, hash).is_ok(),
        Some(Scheme::Sha) => ShaCrypt::SHA512.verify_password(password, hash).is_ok(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        text.parse().unwrap()
    }

    /// Made by libxcrypt 4.4.
    const OF_LIBXCRYPT: [&str; 3] = [
        "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$F1K3Jya64xlumGw51Swco2SOABCTTRjmBszNBfvECdC",
        "$6$saltstring$sWxm9GdnWvq354Rrr3cJ49bnU42uWlCgjcwLSQEwSw4oss4XrvyKNtQ0I48ftPb9O6s9ikPaKTH42CwjipwvU.",
        "$5$rounds=1400$anotherlongsalts$hNACWYyyBLtwoRmIh4C4vrCT6M3Sa.ZmkAyAyL3gpR1",
    ];

    #[test]
    fn hashes_of_the_c_library() {
        for hash in OF_LIBXCRYPT {
            assert!(is_supported(hash), "{hash}");
            assert!(matches(hash, &secret("right")), "{hash}");
            for wrong in ["wrong", "", "Right", "right "] {
                assert!(!matches(hash, &secret(wrong)), "{hash} {wrong}");
            }
            let (rest, _) = hash.rsplit_once('$').unwrap();
            for cut in [
                format!("{rest}$"),
                rest.to_owned(),
                hash[..hash.len() - 1].to_owned(),
            ] {
                assert!(!matches(&cut, &secret("right")), "{cut}");
            }
        }
    }

    /// The result is of no interest; the time is that of a real one.
    #[test]
    fn nobody_is_checked_like_somebody() {
        assert!(is_supported(NOBODY));
        let real = OF_LIBXCRYPT[0];
        assert_eq!(NOBODY.len(), real.len());
        assert_eq!(NOBODY[..7], real[..7]);
        assert!(!matches(NOBODY, &secret("right")));
        let password = secret("right").expose().to_vec();
        let checked = Yescrypt::default().verify_password(&password, NOBODY);
        assert_eq!(
            checked.unwrap_err(),
            yescrypt::password_hash::Error::PasswordInvalid,
            "hashed, and not only read"
        );
    }

    #[test]
    fn what_cannot_be_checked_has_a_name() {
        for (hash, name) in [
            ("$1$salt$hash", "MD5 ($1$)"),
            (
                "$2b$05$abcdefghijklmnopqrstuu8xaCxxL82bnl.UY74PMksDxIJShppPC",
                "bcrypt ($2b$)",
            ),
            ("$gy$j9T$salt$hash", "gost-yescrypt ($gy$)"),
            ("$y$j9T$salt$", "damaged yescrypt ($y$)"),
            ("aaDESxxhashxx", "DES, or none at all"),
            ("x$y$j9T$salt$hash", "DES, or none at all"),
            ("$what$is$this", "of an unknown kind"),
            ("", "DES, or none at all"),
        ] {
            assert!(!is_supported(hash), "{hash}");
            assert!(!matches(hash, &secret("right")), "{hash}");
            assert_eq!(named(hash), name, "{hash}");
        }
    }
}
