//! Whom the user's side believes: the authorities that the system trusts, further ones, certificates by fingerprint, and
//! servers that were seen before.
//!
//! Chains, signatures and names are webpki's to verify; what follows from it is the table in `judgement.rs`.

mod distrust;
mod judgement;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};

pub use distrust::Distrust;

use self::judgement::{Shown, Trusted, Unsigned, judge};
use super::described::Described;
use super::{Fingerprint, TlsError, fingerprint_of, provider};

/// Handshakes whose server was judged and has not yet proved that it holds the key.
const UNPROVED: usize = 64;

/// Most bytes of a file of authorities; those of all the world have some 300 KB.
const FILE: u64 = 4 * 1024 * 1024;

/// What is remembered of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    /// Nobody vouched for its certificate; this is the one that was seen first.
    Certificate(Fingerprint),
    /// An authority vouched for it. One without such a certificate is not the same server.
    Authority,
}

/// The servers that were seen before. It is asked and told from within handshakes: it must not wait for anything but a
/// local file.
pub trait KnownServers: Send + Sync + fmt::Debug {
    /// What is remembered of this server; `host` as it was asked for, in small letters.
    ///
    /// # Errors
    /// When it cannot be found out, for people. Then nobody is believed whom no authority vouches for.
    fn known(&self, host: &str, port: u16) -> Result<Option<Known>, String>;

    /// The server has proved that it holds the key of this certificate. Replaces what was remembered of it.
    fn remember(&self, host: &str, port: u16, what: Known);
}

/// Whom the user believes. The default believes nobody.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// The authorities that the system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` take their place.
    pub system: bool,
    /// Files (PEM) with further authorities. A certificate of a server in it is believed itself.
    pub authorities: Vec<PathBuf>,
    /// When there are any, only certificates with one of these fingerprints are believed, whatever else they say.
    pub pins: Vec<Fingerprint>,
    /// The servers that were seen before; `None`: nothing is remembered, and only authorities and pins count.
    pub known: Option<Arc<dyn KnownServers>>,
    /// Trust on first use: a certificate that no known authority signed is believed when nothing is remembered of the
    /// server, and remembered. Otherwise only one that is remembered already is believed.
    pub first_use: bool,
}

impl Trust {
    /// For the server at this host (as it was asked for) and port: under these it is remembered. Reads the files; the
    /// verifier may serve any number of connections to that server.
    ///
    /// # Errors
    /// [`TlsError::Certificate`]: a file that cannot be read or has no certificate in it.
    pub fn verifier(&self, host: &str, port: u16) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
        let mut roots = RootCertStore::empty();
        let mut given = Vec::new();
        for path in &self.authorities {
            given.extend(authorities(path)?);
        }
        for certificate in &given {
            // What is no authority's certificate is good for comparing.
            let _ = roots.add(certificate.clone());
        }
        Ok(Arc::new(Verifier {
            // A pin needs no authorities, and reading the system's costs milliseconds.
            system: (self.system && self.pins.is_empty()).then(system),
            roots,
            given,
            pins: self.pins.clone(),
            known: self.known.clone(),
            first_use: self.first_use,
            host: host.to_ascii_lowercase(),
            port,
            algorithms: provider().signature_verification_algorithms,
            unproved: Mutex::new(Vec::new()),
        }))
    }
}

/// The certificates in a file (PEM).
///
/// # Errors
/// [`TlsError::Certificate`]: it cannot be read, is damaged, or holds none.
pub(super) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = super::files::read(path, FILE).map_err(|error| TlsError::Certificate {
        what: path.display().to_string(),
        why: error.to_string(),
    })?;
    authorities_in(path, &text)
}

/// The same of a file that was read already.
pub(super) fn authorities_in(
    path: &Path,
    text: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = |why: String| TlsError::Certificate {
        what: path.display().to_string(),
        why,
    };
    let found: Vec<_> = CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|error| fault(format!("not PEM: {error}")))?;
    if found.is_empty() {
        return Err(fault("no certificate in it".to_owned()));
    }
    Ok(found)
}

/// The authorities that the system trusts, read once.
fn system() -> &'static RootCertStore {
    static SYSTEM: OnceLock<RootCertStore> = OnceLock::new();
    SYSTEM.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "authorities of the system");
        }
        let mut roots = RootCertStore::empty();
        let (added, ignored) = roots.add_parsable_certificates(found.certs);
        tracing::debug!(added, ignored, "authorities of the system");
        roots
    })
}

struct Verifier {
    system: Option<&'static RootCertStore>,
    roots: RootCertStore,
    given: Vec<CertificateDer<'static>>,
    pins: Vec<Fingerprint>,
    known: Option<Arc<dyn KnownServers>>,
    first_use: bool,
    host: String,
    port: u16,
    algorithms: WebPkiSupportedAlgorithms,
    /// To be remembered when the server has proved that it holds the key: whoever only copied somebody's certificate
    /// must not be able to have it remembered.
    unproved: Mutex<Vec<(Fingerprint, Known)>>,
}

impl Verifier {
    fn signed(
        &self,
        certificate: &CertificateDer<'_>,
        parsed: &ParsedCertificate<'_>,
        intermediates: &[CertificateDer<'_>],
        at: i64,
    ) -> Result<(), Unsigned> {
        if self.given.iter().any(|it| it == certificate) {
            return Ok(());
        }
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            u64::try_from(at).unwrap_or(0),
        ));
        let algorithms = self.algorithms.all;
        let by = |roots: &RootCertStore| {
            verify_server_cert_signed_by_trust_anchor(parsed, roots, intermediates, at, algorithms)
                .map_err(|error| unsigned(&error))
        };
        match (by(&self.roots), self.system) {
            (Err(_), Some(system)) => by(system),
            (result, _) => result,
        }
    }

    fn proved(&self, certificate: &CertificateDer<'_>) {
        let Some(known) = &self.known else { return };
        let fingerprint = fingerprint_of(certificate);
        let mut unproved = self.unproved.lock().unwrap_or_else(PoisonError::into_inner);
        let at = unproved.iter().position(|(it, _)| *it == fingerprint);
        let found = at.map(|at| unproved.remove(at));
        drop(unproved);
        if let Some((_, what)) = found {
            known.remember(&self.host, self.port, what);
        }
    }
}

/// Why webpki does not trace it back to an authority. That the certificate itself has ended cannot be among it: it was
/// judged at a time when it was valid.
fn unsigned(error: &rustls::Error) -> Unsigned {
    let rustls::Error::InvalidCertificate(error) = error else {
        return Unsigned::Unfit(error.to_string());
    };
    match error {
        CertificateError::ExpiredContext { .. } | CertificateError::Expired => Unsigned::Unfit(
            "one of those who vouch for it has a certificate that has ended".to_owned(),
        ),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Unsigned::Unfit("it was not made for a TLS server".to_owned())
        }
        CertificateError::BadEncoding | CertificateError::UnhandledCriticalExtension => {
            Unsigned::Unfit(error.to_string())
        }
        // Also an authority's own certificate as a server's, as many self-signed ones are.
        _ => Unsigned::Unknown,
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let unreadable = || distrust(Distrust::Unfit("it cannot be read".to_owned()));
        let parsed = ParsedCertificate::try_from(certificate).map_err(|_| unreadable())?;
        let described = Described::read(certificate).ok_or_else(unreadable)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let valid = now.clamp(described.begins, described.ends.max(described.begins));
        let signed = self.signed(certificate, &parsed, intermediates, valid);
        let asked = name.to_str();
        let memory = self.known.as_ref();
        let memory = memory.map(|it| it.known(&self.host, self.port));
        let shown = Shown {
            described: &described,
            signed: signed.as_ref().copied(),
            right_name: verify_server_name(&parsed, name).is_ok(),
            asked: &asked,
            now,
        };
        let trusted = Trusted {
            pins: &self.pins,
            memory: memory.as_ref().map(|it| match it {
                Ok(known) => Ok(*known),
                Err(why) => Err(why.as_str()),
            }),
            first_use: self.first_use,
        };
        if let Some(new) = judge(shown, trusted).map_err(distrust)? {
            let mut unproved = self.unproved.lock().unwrap_or_else(PoisonError::into_inner);
            if unproved.len() >= UNPROVED {
                unproved.remove(0);
            }
            unproved.push((described.fingerprint, new));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.algorithms;
        let valid =
            rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)?;
        self.proved(certificate);
        Ok(valid)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.algorithms;
        let valid =
            rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)?;
        self.proved(certificate);
        Ok(valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Through rustls to [`TlsError::Untrusted`].
fn distrust(why: Distrust) -> rustls::Error {
    CertificateError::Other(OtherError(Arc::new(why))).into()
}

/// The [`Distrust`] that a failed handshake was about.
pub(super) fn from_handshake(error: &std::io::Error) -> Option<Distrust> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(why))) = error else {
        return None;
    };
    why.downcast_ref::<Distrust>().cloned()
}
