//! A server's certificates: which one a client gets, and how they are exchanged while the server runs.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::{TlsError, provider};

/// The SHA-256 of a certificate (DER), by which people compare it: `AB:CD:…`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(certificate: &[u8]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
        let mut bytes = [0; 32];
        for (into, from) in bytes.iter_mut().zip(digest.as_ref()) {
            *into = *from;
        }
        Self(bytes)
    }
}

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 fingerprint has 64 hexadecimal digits, with or without colons")]
pub struct FingerprintError;

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

/// The certificates of a server, the first one for clients that name no host (SNI) or one that no certificate is for.
pub struct CertificateStore {
    held: RwLock<Vec<Arc<CertifiedKey>>>,
}

impl CertificateStore {
    /// At least one.
    pub fn new(certificates: Vec<Arc<CertifiedKey>>) -> Self {
        Self {
            held: RwLock::new(certificates),
        }
    }

    /// From now on these; connections that exist are not touched.
    pub fn replace(&self, certificates: Vec<Arc<CertifiedKey>>) {
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = certificates;
    }

    /// A chain (own certificate first) and its key in PEM. `what` is where they come from, for the error.
    ///
    /// # Errors
    /// [`TlsError::Certificate`]: no certificate, no key, or the two do not belong together.
    pub fn from_pem(what: &str, chain: &[u8], key: &[u8]) -> Result<Arc<CertifiedKey>, TlsError> {
        let fault = |why: String| TlsError::Certificate {
            what: what.to_owned(),
            why,
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| fault(error.to_string()))?;
        if chain.is_empty() {
            return Err(fault("no certificate in it".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| fault(error.to_string()))?;
        let key = CertifiedKey::from_der(chain, key, &provider())
            .map_err(|error| fault(error.to_string()))?;
        Ok(Arc::new(key))
    }
}

impl fmt::Debug for CertificateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateStore").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for CertificateStore {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let named = hello.server_name().and_then(|name| {
            let name = rustls::pki_types::ServerName::try_from(name).ok()?;
            held.iter().find(|it| is_for(it, &name))
        });
        named.or_else(|| held.first()).cloned()
    }
}

fn is_for(certificate: &CertifiedKey, name: &rustls::pki_types::ServerName<'_>) -> bool {
    let Ok(own) = certificate.end_entity_cert() else {
        return false;
    };
    rustls::server::ParsedCertificate::try_from(own)
        .and_then(|own| rustls::client::verify_server_name(&own, name))
        .is_ok()
}

/// A certificate that nobody has signed but its own key, for a server that was given none.
pub struct SelfSigned {
    /// The certificate, in PEM.
    pub certificate: String,
    /// Its key, in PEM.
    pub key: String,
}

impl SelfSigned {
    /// For these host names and addresses.
    ///
    /// # Errors
    /// [`TlsError::Certificate`]: a name that no certificate could have.
    pub fn new(names: &[String]) -> Result<Self, TlsError> {
        let made =
            rcgen::generate_simple_self_signed(names).map_err(|error| TlsError::Certificate {
                what: "self-signed certificate".to_owned(),
                why: error.to_string(),
            })?;
        Ok(Self {
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        })
    }
}

impl fmt::Debug for SelfSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelfSigned")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}
