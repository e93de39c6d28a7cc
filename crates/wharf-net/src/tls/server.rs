//! The server's half of TLS: one configuration for all, one of its own for each control connection.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, StoresServerSessions};
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::session_id::{ForControl, ForData, Kept};
use super::stream::{Gate, Secured};
use super::ticket::{TicketName, Ticketer, Tickets};
use super::{Handshake, TlsError, TlsVersions, provider};
use crate::conn::Conn;
use crate::control::part;

/// What a client may say that it speaks (ALPN, RFC 7301). One that says something else is refused with an alert, so that
/// nobody can lead a browser here (ALPACA). The second is FileZilla's own.
const CONTROL: &[&[u8]] = &[b"ftp", b"x-filezilla-ftp"];

/// The same for data connections, where FileZilla says `ftp-data` and others repeat what they said for control.
const DATA: &[&[u8]] = &[b"ftp-data", b"ftp", b"x-filezilla-ftp"];

/// What all sessions of a server have in common. Cheap to clone.
#[derive(Clone)]
pub struct ServerTls {
    base: Arc<ServerConfig>,
    /// Who judges what clients show.
    pub(super) clients: Option<Arc<dyn ClientCertVerifier>>,
}

impl ServerTls {
    /// `certificates` answers every handshake anew, so that what it holds can be exchanged while the server runs.
    /// `clients`: who verifies the certificates that clients show; `None` asks for none.
    ///
    /// # Errors
    /// [`TlsError::Configuration`].
    pub fn new(
        certificates: Arc<dyn ResolvesServerCert>,
        clients: Option<Arc<dyn ClientCertVerifier>>,
        versions: TlsVersions,
    ) -> Result<Self, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions.list())?;
        let builder = match clients.clone() {
            Some(clients) => builder.with_client_cert_verifier(clients),
            None => builder.with_no_client_auth(),
        };
        let mut base = builder.with_cert_resolver(certificates);
        base.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self {
            base: Arc::new(base),
            clients,
        })
    }

    /// For a new control connection: nobody else can open the tickets that it will give out.
    ///
    /// # Errors
    /// [`TlsError::Random`].
    pub fn session(&self) -> Result<ServerSession, TlsError> {
        Ok(ServerSession {
            base: Arc::clone(&self.base),
            tickets: Arc::new(Tickets::new()?),
            kept: Arc::default(),
            upload: false,
        })
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

/// One control connection's TLS, and that of its data connections.
#[derive(Clone)]
pub struct ServerSession {
    base: Arc<ServerConfig>,
    tickets: Arc<Tickets>,
    kept: Arc<Kept>,
    upload: bool,
}

impl ServerSession {
    /// The same session for data connections on which the user sends: tickets are given at their end, where users read
    /// again, and not to those who never do.
    #[must_use]
    pub fn for_upload(&self) -> Self {
        Self {
            upload: true,
            ..self.clone()
        }
    }

    /// What its tickets are called.
    pub fn name(&self) -> TicketName {
        self.tickets.name
    }

    /// What the ID of the control connection's session is called, by which clients under TLS 1.2 resume that take no
    /// tickets; `None` before the handshake and under TLS 1.3.
    pub fn id_name(&self) -> Option<TicketName> {
        self.kept.name()
    }

    /// The handshake on the control connection.
    ///
    /// # Errors
    /// [`TlsError::Handshake`], [`TlsError::Silent`]; the connection is closed.
    pub async fn secure_control(&self, conn: Conn, patience: Duration) -> Result<Conn, TlsError> {
        let kept = ForControl(Arc::clone(&self.kept));
        let config = self.config(CONTROL, self.tickets.for_control(), Arc::new(kept));
        secure(config, Gate::new(conn, true), patience).await
    }

    /// The handshake on a data connection, whoever opened it (RFC 4217 §7: the server is the TLS server). Whether it
    /// resumed this session is in [`Conn::handshake`]; that is the proof that it is ours.
    ///
    /// # Errors
    /// [`TlsError::Handshake`], [`TlsError::Silent`]; the connection is closed.
    pub async fn secure_data(&self, conn: Conn, patience: Duration) -> Result<Conn, TlsError> {
        let ticketer = self.tickets.for_data();
        let kept = ForData(Arc::clone(&self.kept));
        let config = self.config(DATA, ticketer.clone(), Arc::new(kept));
        let mut gate = Gate::new(conn, false);
        if self.upload {
            gate = gate.holding_tickets();
        }
        let conn = secure(config, gate, patience).await?;
        if conn.handshake().is_some_and(|it| it.resumed) {
            ticketer.is_proved();
        }
        Ok(conn)
    }

    /// A connection's own: its tickets say whom they were given to.
    fn config(
        &self,
        alpn: &[&[u8]],
        ticketer: Ticketer,
        sessions: Arc<dyn StoresServerSessions>,
    ) -> Arc<ServerConfig> {
        let mut config = ServerConfig::clone(&self.base);
        config.session_storage = sessions;
        config.ticketer = Arc::new(ticketer);
        config.alpn_protocols = alpn.iter().map(|it| it.to_vec()).collect();
        Arc::new(config)
    }
}

impl fmt::Debug for ServerSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSession")
            .field("name", &self.tickets.name)
            .finish_non_exhaustive()
    }
}

async fn secure(
    config: Arc<ServerConfig>,
    gate: Gate,
    patience: Duration,
) -> Result<Conn, TlsError> {
    // Boxed: it is in the futures of sixteen data connections at a time.
    let accept = Box::pin(TlsAcceptor::from(config).accept(gate).into_fallible());
    match tokio::time::timeout(patience, accept).await {
        Ok(Ok(stream)) => Ok(Conn::secured(Secured::new(TlsStream::Server(stream)))),
        Ok(Err((error, gate))) => {
            let error = TlsError::Handshake(error);
            if error.is_about_the_peers_certificate() {
                // Under TLS 1.3 the peer is done already and has said more: a reset over that would take away the alert.
                let _ = Box::pin(part(gate.into_conn())).await;
            }
            Err(error)
        }
        Err(_elapsed) => Err(TlsError::Silent(patience.as_secs())),
    }
}

impl Conn {
    /// What the TLS handshake came to; `None` in clear.
    pub fn handshake(&self) -> Option<Handshake> {
        self.tls().map(|secured| Handshake::of(secured.state()))
    }
}
