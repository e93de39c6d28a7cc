//! Certificates in transcripts: the server's, and whom the user believes.

use std::sync::{Arc, LazyLock, Mutex};

use wharf_net::tls::trust::{Known, KnownServers, Trust};
use wharf_net::tls::{
    CertificateStore, Fingerprint, SelfSigned, ServerTls, TlsVersions, fingerprint_of,
};

/// The server's, self-signed.
static OWN: LazyLock<SelfSigned> =
    LazyLock::new(|| SelfSigned::new(&["server".to_owned()]).unwrap());

fn own() -> Arc<rustls::sign::CertifiedKey> {
    let (chain, key) = (OWN.certificate.as_bytes(), OWN.key.as_bytes());
    CertificateStore::from_pem("test", chain, key).unwrap()
}

pub(crate) fn server_tls() -> ServerTls {
    let store = Arc::new(CertificateStore::new(vec![own()]));
    ServerTls::new(store, None, TlsVersions::All).unwrap()
}

/// `the server`, `nobody`; `first use`: whoever is seen first; `first use of another`: another certificate was.
pub(crate) fn read(word: &str) -> Trust {
    let own = fingerprint_of(&own().cert[0]);
    let known = |known| Trust {
        known: Some(Arc::new(Seen(Mutex::new(known)))),
        first_use: true,
        ..Trust::default()
    };
    match word {
        "the server" => Trust {
            pins: vec![own],
            ..Trust::default()
        },
        "first use" => known(None),
        "first use of another" => known(Some(Known::Certificate(Fingerprint([1; 32])))),
        _ => Trust::default(),
    }
}

/// Remembers one server.
#[derive(Debug)]
struct Seen(Mutex<Option<Known>>);

impl KnownServers for Seen {
    fn known(&self, host: &str, port: u16) -> Result<Option<Known>, String> {
        assert_eq!((host, port), ("server", 21));
        Ok(*self.0.lock().unwrap())
    }

    fn remember(&self, _: &str, _: u16, what: Known) {
        *self.0.lock().unwrap() = Some(what);
    }
}
