//! The certificates that clients show to a server: who may have signed them, and whose they are.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
};

use wharf_proto::Fingerprint;

use super::described::{self, Described};
use super::{Handshake, ServerTls, TlsError, files, fingerprint_of, provider, trust};

/// Most bytes of one file: lists of revoked certificates can be long.
const FILE: u64 = 16 * 1024 * 1024;

/// Which certificates of clients a server believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Files (PEM) with the authorities that sign them. A client's own certificate in it is believed itself.
    pub authorities: Vec<PathBuf>,
    /// Without a certificate there is no TLS. Otherwise a client may show none; one that shows another is refused.
    pub required: bool,
    /// Files (PEM or DER) with lists of revoked certificates (CRL). With one, every certificate must be covered by a list of
    /// its authority that has not ended; those in `authorities` themselves are revoked by taking them out.
    pub revoked: Vec<PathBuf>,
}

/// By what a peer's certificate is known, exactly as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// SHA-256 of the whole certificate.
    pub fingerprint: Fingerprint,
    /// The subject's common name, and of the alternative names host names, mail addresses and URIs. Without those that are
    /// too long or hold control characters.
    pub names: Vec<String>,
}

impl ClientCertificates {
    /// For [`ServerTls::new`](super::ServerTls::new). Reads the files.
    ///
    /// # Errors
    /// [`TlsError::Certificate`]: a file that cannot be read, one without a certificate or list in it, or no authority at all.
    pub fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        self.verifier_of(|path| files::read(path, FILE))
    }

    /// The same where files come from somebody else, who may open them.
    ///
    /// # Errors
    /// As [`verifier`](Self::verifier).
    pub fn verifier_of(
        &self,
        read: impl Fn(&Path) -> std::io::Result<Vec<u8>>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let read = |path: &Path| read(path).map_err(|error| fault(path, &error.to_string()));
        let mut given = Vec::new();
        for path in &self.authorities {
            given.extend(trust::authorities_in(path, &read(path)?)?);
        }
        let mut lists = Vec::new();
        for path in &self.revoked {
            lists.extend(revocations(path, read(path)?)?);
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(given.iter().cloned());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let builder = if self.required {
            builder
        } else {
            builder.allow_unauthenticated()
        };
        // An authority above the one that signed has seldom a list; a list that has ended says nothing any more.
        let builder = builder
            .with_crls(lists)
            .only_check_end_entity_revocation()
            .enforce_revocation_expiration();
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

    /// By what the peer is known; `None` when it has shown nothing.
    pub fn identity(&self) -> Option<Identity> {
        let own = self.peer_certificates.first()?;
        Some(Identity {
            fingerprint: fingerprint_of(own),
            names: described::exact_names(own),
        })
    }
}

impl ServerTls {
    /// Whether what a client showed in a handshake is believed still, which was some time ago.
    ///
    /// # Errors
    /// [`TlsError::Handshake`], with the cause: it has ended or was revoked meanwhile, or there was none.
    pub fn believes(&self, handshake: &Handshake, now: SystemTime) -> Result<(), TlsError> {
        let mut chain = handshake
            .peer_certificates
            .iter()
            .map(|it| CertificateDer::from(it.as_slice()));
        let failed = |error| TlsError::Handshake(std::io::Error::other(error));
        let none = || failed(rustls::Error::NoCertificatesPresented);
        let own = chain.next().ok_or_else(none)?;
        let above: Vec<_> = chain.collect();
        let since = now.duration_since(SystemTime::UNIX_EPOCH);
        let now = UnixTime::since_unix_epoch(since.unwrap_or_default());
        let clients = self.clients.as_ref().ok_or_else(none)?;
        let judged = clients.verify_client_cert(&own, &above, now);
        judged.map(drop).map_err(failed)
    }
}

fn fault(path: &Path, why: &str) -> TlsError {
    TlsError::Certificate {
        what: path.display().to_string(),
        why: why.to_owned(),
    }
}

/// The lists in a file.
fn revocations(
    path: &Path,
    bytes: Vec<u8>,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let list = CertificateRevocationListDer::pem_slice_iter(&bytes);
    let list: Vec<_> = list
        .collect::<Result<_, _>>()
        .map_err(|error| fault(path, &format!("not PEM: {error}")))?;
    // Authorities publish theirs as it is signed: a sequence of ASN.1.
    match (list.is_empty(), bytes.first()) {
        (false, _) => Ok(list),
        (true, Some(0x30)) => Ok(vec![bytes.into()]),
        (true, _) => Err(fault(path, "no list of revoked certificates in it")),
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
