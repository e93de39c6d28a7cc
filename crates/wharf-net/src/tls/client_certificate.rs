//! The certificates that clients show to a server: who may have signed them, and whose they are.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
};

use super::described::Described;
use super::{Handshake, TlsError, provider, trust};

/// Which certificates of clients a server believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Files (PEM) with the authorities that sign them. A client's own certificate in it is believed itself.
    pub authorities: Vec<PathBuf>,
    /// Without a certificate there is no TLS. Otherwise a client may show none; one that shows another is refused.
    pub required: bool,
}

impl ClientCertificates {
    /// For [`ServerTls::new`](super::ServerTls::new). Reads the files.
    ///
    /// # Errors
    /// [`TlsError::Certificate`]: a file that cannot be read, or none that has a certificate in it.
    pub fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let mut given = Vec::new();
        for path in &self.authorities {
            given.extend(trust::authorities(path)?);
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(given.iter().cloned());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let builder = if self.required {
            builder
        } else {
            builder.allow_unauthenticated()
        };
        let inner = builder.build().map_err(|error| TlsError::Certificate {
            what: "authorities of clients".to_owned(),
            why: error.to_string(),
        })?;
        Ok(Arc::new(Verifier { inner, given }))
    }
}

impl Handshake {
    /// What the peer's certificate says of it. It was verified in this handshake or in the one whose session was resumed.
    pub fn peer(&self) -> Option<Described> {
        Described::read(self.peer_certificates.first()?)
    }
}

/// webpki's, and the certificates themselves: people sign a client's certificate with its own key, and the usual tool
/// then marks it as an authority's, which webpki refuses as a client's.
struct Verifier {
    inner: Arc<dyn ClientCertVerifier>,
    given: Vec<CertificateDer<'static>>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if self.given.iter().any(|it| it == certificate) {
            let described = Described::read(certificate).ok_or(CertificateError::BadEncoding)?;
            let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
            if now < described.begins {
                return Err(CertificateError::NotValidYet.into());
            }
            if now > described.ends {
                return Err(CertificateError::Expired.into());
            }
            return Ok(ClientCertVerified::assertion());
        }
        self.inner
            .verify_client_cert(certificate, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
