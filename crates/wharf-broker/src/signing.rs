//! A certificate whose key is in the broker, for `rustls`.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

use crate::link::Link;
use crate::message::Certificate;

/// A key that somebody else signs with. In a handshake it takes one question to the broker, on the thread of the
/// handshake.
#[derive(Clone, Debug)]
pub struct SignedElsewhere {
    link: Link,
    number: u16,
    generation: u32,
    schemes: Vec<SignatureScheme>,
}

impl SignedElsewhere {
    /// What [`Link::certificates`] returned, as `rustls` wants it.
    pub fn certified(link: &Link, number: u16, certificate: Certificate) -> Arc<CertifiedKey> {
        let schemes = certificate.schemes.into_iter().map(SignatureScheme::from);
        let key = Self {
            link: link.clone(),
            number,
            generation: certificate.generation,
            schemes: schemes.collect(),
        };
        let chain = certificate.chain.into_iter().map(CertificateDer::from);
        Arc::new(CertifiedKey::new(chain.collect(), Arc::new(key)))
    }
}

impl SigningKey for SignedElsewhere {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = self.schemes.iter().find(|it| offered.contains(it))?;
        Some(Box::new(Signing {
            key: self.clone(),
            scheme: *scheme,
        }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        let first = self.schemes.first().copied();
        match first.unwrap_or(SignatureScheme::ECDSA_NISTP256_SHA256) {
            SignatureScheme::ED25519 => SignatureAlgorithm::ED25519,
            SignatureScheme::ECDSA_NISTP256_SHA256
            | SignatureScheme::ECDSA_NISTP384_SHA384
            | SignatureScheme::ECDSA_NISTP521_SHA512 => SignatureAlgorithm::ECDSA,
            _ => SignatureAlgorithm::RSA,
        }
    }
}

#[derive(Debug)]
struct Signing {
    key: SignedElsewhere,
    scheme: SignatureScheme,
}

impl Signer for Signing {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let key = &self.key;
        key.link
            .sign(key.number, key.generation, u16::from(self.scheme), message)
            .map_err(|error| Error::General(format!("the key's owner did not sign: {error}")))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}
