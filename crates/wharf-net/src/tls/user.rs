//! The user's half of TLS: one configuration and one session store for each control connection.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::SignatureScheme;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientSessionMemoryCache, ResolvesClientCert, Resumption};
use rustls::pki_types::ServerName;
use rustls::sign::CertifiedKey;
use tokio_rustls::{TlsConnector, TlsStream};

use super::stream::{Gate, Secured};
use super::{CertificateStore, TlsError, TlsVersions, provider};
use crate::conn::Conn;

/// Server names that one session store has room for: control and data connections use the same one.
const NAMES: usize = 2;

/// A certificate that a user shows to servers that ask for one.
#[derive(Debug)]
pub struct ClientCertificate(Arc<CertifiedKey>);

impl ClientCertificate {
    /// A chain (own certificate first) and its key in PEM, which may be one text. `what` is where they come from, for the
    /// error.
    ///
    /// # Errors
    /// [`TlsError::Certificate`]: no certificate, no key, or the two do not belong together.
    pub fn from_pem(what: &str, chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        CertificateStore::from_pem(what, chain, key).map(Self)
    }
}

impl ResolvesClientCert for ClientCertificate {
    /// Always the same, whichever authorities the server names: it may not name all that it knows.
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.key.choose_scheme(schemes)?;
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// What all control connections of a client have in common. Cheap to clone.
#[derive(Clone)]
pub struct UserTls {
    base: Arc<ClientConfig>,
}

impl UserTls {
    /// `verifier` judges the server's certificate, on the control connection and on every data connection that does not
    /// resume. `certificate`: what we show a server that asks; `None` shows nothing.
    ///
    /// # Errors
    /// [`TlsError::Configuration`].
    pub fn new(
        verifier: Arc<dyn ServerCertVerifier>,
        certificate: Option<Arc<dyn ResolvesClientCert>>,
        versions: TlsVersions,
    ) -> Result<Self, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions.list())?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let base = match certificate {
            Some(certificate) => builder.with_client_cert_resolver(certificate),
            None => builder.with_no_client_auth(),
        };
        Ok(Self {
            base: Arc::new(base),
        })
    }

    /// For a new control connection to the server of this name (a host name or an address).
    ///
    /// # Errors
    /// [`TlsError::Name`].
    pub fn session(&self, server: &str) -> Result<UserSession, TlsError> {
        let name = ServerName::try_from(server.to_owned())
            .map_err(|_| TlsError::Name(server.to_owned()))?;
        // Cloned, not built anew: a session is resumed only under the very verifier it was made under.
        let mut config = ClientConfig::clone(&self.base);
        config.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(NAMES)));
        Ok(UserSession {
            name,
            config: Arc::new(config),
        })
    }
}

impl fmt::Debug for UserTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserTls").finish_non_exhaustive()
    }
}

/// One control connection's TLS, and that of its data connections. Nothing says that we speak FTP (ALPN): there are
/// servers that end a connection over it.
#[derive(Clone)]
pub struct UserSession {
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

impl UserSession {
    /// The handshake on the control connection.
    ///
    /// # Errors
    /// [`TlsError::Untrusted`], [`TlsError::Handshake`], [`TlsError::Silent`]; the connection is closed.
    pub async fn secure_control(&self, conn: Conn, patience: Duration) -> Result<Conn, TlsError> {
        self.secure(conn, true, patience).await
    }

    /// The handshake on a data connection, whoever opened it. Offers the control connection's session.
    ///
    /// # Errors
    /// As [`secure_control`](Self::secure_control).
    pub async fn secure_data(&self, conn: Conn, patience: Duration) -> Result<Conn, TlsError> {
        self.secure(conn, false, patience).await
    }

    async fn secure(
        &self,
        conn: Conn,
        control: bool,
        patience: Duration,
    ) -> Result<Conn, TlsError> {
        let gate = Gate::new(conn, control);
        let connect = TlsConnector::from(Arc::clone(&self.config)).connect(self.name.clone(), gate);
        match tokio::time::timeout(patience, connect).await {
            Ok(Ok(stream)) => Ok(Conn::secured(Secured::new(TlsStream::Client(stream)))),
            Ok(Err(error)) => Err(TlsError::handshake(error)),
            Err(_elapsed) => Err(TlsError::Silent(patience.as_secs())),
        }
    }
}

impl fmt::Debug for UserSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserSession")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
