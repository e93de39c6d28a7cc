//! Certificates as login: what a client has shown, and what a user accepts. Pure; whether a certificate is believed at all
//! was judged in the TLS handshake.

use wharf_proto::Fingerprint;

/// A certificate that a client has shown and proved to hold the key of, signed by an authority that the server believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of the whole certificate.
    pub fingerprint: Fingerprint,
    /// Whose it is: the subject's common name, and the host names, mail addresses and URIs it is for.
    pub names: Vec<String>,
}

/// By which certificates a user is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateRule {
    /// These certificates themselves.
    pub fingerprints: Vec<Fingerprint>,
    /// Certificates with one of these names, compared exactly: whom the server's authorities vouch for by that name.
    pub names: Vec<String>,
    /// What else is wanted.
    pub besides: Besides,
}

/// What a user needs besides a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Besides {
    /// Nothing. A user who has a password, too, may log in with it instead of the certificate.
    Nothing,
    /// The password; neither is enough without the other.
    #[default]
    Password,
}

impl CertificateRule {
    /// Whether this certificate is the user's.
    pub fn fits(&self, certificate: &Certificate) -> bool {
        self.fingerprints.contains(&certificate.fingerprint)
            || self.names.iter().any(|it| certificate.names.contains(it))
    }

    /// Whether there is any certificate that could fit.
    pub fn is_empty(&self) -> bool {
        self.fingerprints.is_empty() && self.names.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_fits_by_fingerprint_or_by_one_exact_name() {
        let shown = Certificate {
            fingerprint: Fingerprint([1; 32]),
            names: vec!["ann".to_owned(), "ann@example.org".to_owned()],
        };
        for (fingerprints, names, fits) in [
            (&[][..], &[][..], false),
            (&[2, 1][..], &[][..], true),
            (&[2][..], &["bob"][..], false),
            (&[2][..], &["bob", "ann@example.org"][..], true),
            (&[][..], &["Ann"][..], false),
            (&[][..], &["an"][..], false),
            (&[][..], &[""][..], false),
        ] {
            let rule = CertificateRule {
                fingerprints: fingerprints
                    .iter()
                    .map(|it| Fingerprint([*it; 32]))
                    .collect(),
                names: names.iter().map(|it| (*it).to_owned()).collect(),
                besides: Besides::Nothing,
            };
            assert_eq!(rule.fits(&shown), fits, "{rule:?}");
        }
    }
}
