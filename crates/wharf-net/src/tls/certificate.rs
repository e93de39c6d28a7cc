//! A server's certificates: which one a client gets, and how they are exchanged while the server runs.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::{TlsError, provider};

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
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| {
            fault(match error {
                rustls::pki_types::pem::Error::NoItemsFound => {
                    "no key in it (one that is protected by a password cannot be used)".to_owned()
                }
                error => error.to_string(),
            })
        })?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
            fault(match error {
                rustls::Error::InconsistentKeys(_) => {
                    "the key is not that of the certificate".to_owned()
                }
                error => error.to_string(),
            })
        })?;
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
