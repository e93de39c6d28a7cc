//! TLS for fuzzed dialogues: one certificate, a server that shows it, a user that believes it alone.

use std::sync::{Arc, OnceLock};

use wharf_net::tls::TlsVersions;
use wharf_net::tls::trust::Trust;
use wharf_net::tls::{CertificateStore, Fingerprint, SelfSigned, ServerTls, fingerprint_of};

/// The server of both dialogues; certificates are believed by their fingerprint.
const NAME: &str = "192.0.2.9";

struct Made {
    server: ServerTls,
    fingerprint: Fingerprint,
}

/// The certificate that is believed, or another one.
fn made(unknown: bool) -> &'static Made {
    static MADE: [OnceLock<Made>; 2] = [const { OnceLock::new() }; 2];
    MADE[usize::from(unknown)].get_or_init(|| {
        let own = SelfSigned::new(&[NAME.to_owned()]).expect("a certificate");
        let (chain, key) = (own.certificate.as_bytes(), own.key.as_bytes());
        let certified = CertificateStore::from_pem("fuzz", chain, key).expect("a certificate");
        let fingerprint = fingerprint_of(&certified.cert[0]);
        let store = Arc::new(CertificateStore::new(vec![certified]));
        Made {
            server: ServerTls::new(store, None, TlsVersions::All).expect("a configuration"),
            fingerprint,
        }
    })
}

/// The server's side, with a certificate that the user's does not believe where `unknown`.
pub(crate) fn server(unknown: bool) -> ServerTls {
    made(unknown).server.clone()
}

/// Believes the one certificate.
pub(crate) fn trust() -> Trust {
    Trust {
        system: false,
        pins: vec![made(false).fingerprint],
        authorities: Vec::new(),
        known: None,
        first_use: false,
    }
}
