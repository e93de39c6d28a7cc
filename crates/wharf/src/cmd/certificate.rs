//! The certificates of `wharf serve`: from files, or one that the server makes for itself.

use std::path::Path;
use std::sync::Arc;

use wharf_net::tls::{CertificateStore, Fingerprint, SelfSigned};

use crate::args::serve_tls::Requirement;
use crate::config::Settings;
use crate::exit::{Exit, Failure};

/// What a server shows its clients.
pub(crate) struct Certificates {
    pub(crate) store: Arc<CertificateStore>,
    /// Whose it is, and its fingerprint: for people.
    pub(crate) told: String,
}

/// As the settings say; none where TLS is off.
pub(crate) fn certificates(settings: &Settings) -> Result<Option<Certificates>, Failure> {
    let tls = &settings.tls;
    if tls.control == Requirement::Off {
        return Ok(None);
    }
    let (what, certificate, key) = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => (
            certificate.display().to_string(),
            read(certificate, "certificate")?,
            read(key, "key")?,
        ),
        _ => {
            let made =
                SelfSigned::new(&["localhost".to_owned()]).map_err(|error| unusable(&error))?;
            (
                "self-signed".to_owned(),
                made.certificate.into_bytes(),
                made.key.into_bytes(),
            )
        }
    };
    let certified =
        CertificateStore::from_pem(&what, &certificate, &key).map_err(|error| unusable(&error))?;
    let own = certified.cert.first().map(|own| Fingerprint::of(own));
    let fingerprint = own.map(|own| own.to_string()).unwrap_or_default();
    Ok(Some(Certificates {
        store: Arc::new(CertificateStore::new(vec![certified])),
        told: format!("{what}, SHA-256 {fingerprint}"),
    }))
}

fn unusable(error: &wharf_net::tls::TlsError) -> Failure {
    Failure::new(Exit::Config, format!("TLS: {error}"))
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        Failure::new(
            Exit::Config,
            format!("cannot read the TLS {what} {}: {error}", path.display()),
        )
    })
}
