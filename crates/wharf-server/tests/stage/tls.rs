//! TLS of the stage: one certificate for all tests, and a user that believes it alone

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use wharf_net::Conn;
use wharf_net::tls::trust::Trust;
use wharf_net::tls::{CertificateStore, Fingerprint, SelfSigned, ServerTls, fingerprint_of};
use wharf_net::tls::{TlsVersions, UserSession, UserTls};
use wharf_server::TlsPolicy;

use super::certificates;
use super::client::Client;

const PATIENCE: Duration = Duration::from_secs(10);

struct Made {
    store: Arc<CertificateStore>,
    server: ServerTls,
    fingerprint: Fingerprint,
}

fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| {
        let own = SelfSigned::new(&["ftp.example".to_owned()]).unwrap();
        let (chain, key) = (own.certificate.as_bytes(), own.key.as_bytes());
        let certified = CertificateStore::from_pem("stage", chain, key).unwrap();
        let fingerprint = fingerprint_of(&certified.cert[0]);
        let store = Arc::new(CertificateStore::new(vec![certified]));
        Made {
            server: ServerTls::new(store.clone(), None, TlsVersions::All).unwrap(),
            store,
            fingerprint,
        }
    })
}

/// The policy that `wharf serve` has without being told one
pub fn policy() -> TlsPolicy {
    TlsPolicy::new(made().server.clone())
}

/// TLS that asks for certificates of clients
pub fn judging(required: bool) -> ServerTls {
    certificates::judging(Arc::clone(&made().store), required)
}

/// For a new control connection, on which a certificate of this name is shown
fn session(certificate: Option<&str>, versions: TlsVersions) -> UserSession {
    let trust = Trust {
        system: false,
        pins: vec![made().fingerprint],
        authorities: Vec::new(),
        known: None,
        first_use: false,
    };
    let verifier = trust.verifier("ftp.example", 21).unwrap();
    let tls = UserTls::new(verifier, certificate.map(certificates::shown), versions).unwrap();
    tls.session("ftp.example").unwrap()
}

impl Client {
    /// The handshake on the control connection; the next control connection begins anew
    pub async fn secure(
        &mut self,
        certificate: Option<&str>,
        versions: TlsVersions,
    ) -> Result<(), String> {
        let session = session(certificate, versions);
        let conn = self.take_control();
        let secured = session.secure_control(conn, PATIENCE).await;
        *self.control() = secured.map_err(|error| error.to_string())?;
        self.tls = Some(session);
        Ok(())
    }

    /// Out of TLS (CCC, REIN)
    pub async fn clear(&mut self) -> Result<(), String> {
        let conn = self.take_control();
        *self.control() = conn.into_clear().await.map_err(|error| error.to_string())?;
        Ok(())
    }

    /// The handshake on the data connection, with the session of the control connection or as somebody else
    pub async fn secure_data(&mut self, anew: bool) -> Result<(), String> {
        let session = match &self.tls {
            Some(session) if !anew => session.clone(),
            _ => session(None, TlsVersions::All),
        };
        let conn = self.data.take().expect("a data connection");
        let secured = session.secure_data(conn, PATIENCE).await;
        self.data = Some(secured.map_err(|error| error.to_string())?);
        Ok(())
    }

    fn take_control(&mut self) -> Conn {
        let (nothing, _) = tokio::io::duplex(1);
        let (near, far) = (self.control().local_addr(), self.control().peer_addr());
        std::mem::replace(self.control(), Conn::foreign(Box::new(nothing), near, far))
    }

    /// Ends the data connection without ending TLS
    pub async fn cut(&mut self) {
        let mut conn = self.data.take().expect("a data connection");
        conn.flush().await.unwrap();
        drop(conn);
    }
}
