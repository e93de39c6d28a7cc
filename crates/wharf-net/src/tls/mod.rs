//! TLS for both connections and both roles (RFC 4217), on rustls.
//!
//! What is special about FTP is that two connections belong together. Each control connection has a configuration of its
//! own, cloned from the common one in microseconds: on the server's side with its own ticket key, on the user's side with
//! its own session store. A data connection that resumes the control connection's TLS session is thereby proved to be
//! its own, under TLS 1.2 and 1.3, whatever address it comes from.
//!
//! In reading order: the server's half, the user's half, the tickets, the stream, certificates, whom the user's side
//! believes (`trust/`). Not here: which replies
//! these things lead to, and who must have TLS.

mod certificate;
mod client_certificate;
mod client_hello;
mod described;
mod failure;
mod files;
mod fingerprint;
mod keeper;
mod pair;
mod self_signed;
mod server;
mod session_id;
mod stream;
mod ticket;
pub mod trust;
mod user;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::AlertDescription;
use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;
use rustls::version::{TLS12, TLS13};

pub use rustls::client::ResolvesClientCert;
pub use rustls::client::danger::ServerCertVerifier;
pub use rustls::server::danger::ClientCertVerifier;

pub use certificate::CertificateStore;
pub use client_certificate::{ClientCertificates, Identity};
pub use client_hello::{FirstBytes, LONGEST as LONGEST_HELLO};
pub use described::{Described, date};
pub use files::{create_private, replace_private};
pub use fingerprint::{fingerprint_in, fingerprint_of};
pub use keeper::{Keeper, LOOK, Noticed, ending};
pub use pair::{LoadedPair, PemPair};
pub use self_signed::SelfSigned;
pub use server::{ServerSession, ServerTls};
pub(crate) use stream::{Parting, Secured};
pub use ticket::TicketName;
pub use user::{ClientCertificate, UserSession, UserTls};
pub use wharf_proto::{Fingerprint, FingerprintError};

use crate::conn::Conn;

/// Which versions of TLS are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum TlsVersions {
    /// 1.2 and 1.3.
    #[default]
    All,
    /// 1.2 alone: its sessions can be resumed any number of times, where tickets of 1.3 run out with some servers.
    Only12,
    /// 1.3 alone.
    Only13,
}

impl TlsVersions {
    fn list(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::All => ALL,
            Self::Only12 => ONLY_12,
            Self::Only13 => ONLY_13,
        }
    }
}

static ALL: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
static ONLY_12: &[&SupportedProtocolVersion] = &[&TLS12];
static ONLY_13: &[&SupportedProtocolVersion] = &[&TLS13];

/// Whether a data connection must resume the TLS session of its control connection, which proves whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum DataSession {
    /// It must.
    #[default]
    Require,
    /// One that does is taken whatever address it comes from, any other one is judged by its address.
    Prefer,
    /// It does not matter; the address does.
    Off,
}

/// What a handshake came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The session of the control connection was resumed.
    pub resumed: bool,
    /// `TLS 1.3`, `TLS 1.2`.
    pub version: &'static str,
    /// The cipher suite's name as IANA writes it.
    pub suite: String,
    /// The peer's certificate chain, its own certificate first (DER); empty when it showed none.
    pub peer_certificates: Vec<Vec<u8>>,
}

impl Handshake {
    pub(crate) fn of(state: &rustls::CommonState) -> Self {
        let version = match state.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => "TLS",
        };
        let suite = state.negotiated_cipher_suite().map(|it| it.suite());
        let suite = suite.and_then(|it| it.as_str().map(str::to_owned));
        let chain = state.peer_certificates().unwrap_or_default();
        Self {
            resumed: state.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
            version,
            suite: suite.unwrap_or_default(),
            peer_certificates: chain.iter().map(|it| it.to_vec()).collect(),
        }
    }
}

impl fmt::Display for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resumed = if self.resumed { ", resumed" } else { "" };
        write!(f, "{} {}{resumed}", self.version, self.suite)
    }
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The system has no random numbers.
    #[error("no random numbers to be had")]
    Random,
    /// A certificate or key cannot be used.
    #[error("{what}: {why}")]
    Certificate {
        /// The file, or whatever else it came from.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The name cannot be the name of a server.
    #[error("{0} is not a name that a certificate could have")]
    Name(String),
    /// The handshake failed; the connection is gone.
    #[error("TLS handshake: {}", failure::words(.0).0)]
    Handshake(#[source] io::Error),
    /// The server's certificate is not believed; the connection is gone.
    #[error("{0}")]
    Untrusted(#[source] trust::Distrust),
    /// More bytes had come in clear than the command or reply after which TLS begins. Whoever stands between could put them
    /// in front of the protected ones (the STARTTLS injection class of bugs).
    #[error("the peer sent more in clear before TLS began")]
    Injected,
    /// The peer did not take part in the handshake in time.
    #[error("TLS handshake: no answer within {0} s")]
    Silent(u64),
    /// The configuration is one that the library refuses.
    #[error("TLS: {0}")]
    Configuration(#[from] rustls::Error),
}

impl TlsError {
    /// What may be done about it, for people; `None` when there is nothing to say.
    pub fn next_step(&self) -> Option<String> {
        match self {
            Self::Handshake(error) => {
                let (_, step) = failure::words(error);
                (!step.is_empty()).then(|| step.to_owned())
            }
            Self::Untrusted(why) => Some(why.next_step()),
            Self::Injected => Some(
                "the connection cannot be trusted: somebody in between put bytes into it".to_owned(),
            ),
            Self::Silent(_) => Some(
                "the port may be one where TLS begins only after AUTH (explicit), or something in between \
                 waits for plain FTP"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// Why the server's certificate is not believed, if that is it.
    pub fn distrust(&self) -> Option<&trust::Distrust> {
        match self {
            Self::Untrusted(why) => Some(why),
            _ => None,
        }
    }

    /// Of a handshake of ours as the user, which may have failed at the server's certificate.
    fn handshake(error: io::Error) -> Self {
        match trust::from_handshake(&error) {
            Some(why) => Self::Untrusted(why),
            None => Self::Handshake(error),
        }
    }

    /// Of a failed reading or writing: the peer's refusal of our certificate, which under TLS 1.3 comes when the handshake is
    /// over for us.
    ///
    /// # Errors
    /// The error itself, which is something else.
    pub fn after_handshake(error: io::Error) -> Result<Self, io::Error> {
        let inner = error.get_ref().and_then(|it| it.downcast_ref());
        let Some(rustls::Error::AlertReceived(alert)) = inner else {
            return Err(error);
        };
        match alert {
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError => Ok(Self::Handshake(error)),
            _ => Err(error),
        }
    }

    /// The peer's certificate was not believed, or it showed none where one is demanded.
    pub fn is_about_the_peers_certificate(&self) -> bool {
        let Self::Handshake(error) = self else {
            return false;
        };
        let error = error.get_ref().and_then(|it| it.downcast_ref());
        matches!(
            error,
            Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)
        )
    }

    /// The peer ended the connection instead of taking part in the handshake: what some clients do for an empty upload.
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Handshake(error) if error.kind() == io::ErrorKind::UnexpectedEof)
    }
}

/// One control connection's TLS in either role; on a data connection each side keeps its role, whoever opened it
/// (RFC 4217 §7).
#[derive(Clone, Debug)]
pub enum TlsSession {
    /// Ours is the server's side.
    Server(ServerSession),
    /// Ours is the user's side.
    User(UserSession),
}

impl TlsSession {
    pub(crate) async fn secure_data(
        &self,
        conn: Conn,
        patience: Duration,
    ) -> Result<Conn, TlsError> {
        match self {
            Self::Server(session) => session.secure_data(conn, patience).await,
            Self::User(session) => session.secure_data(conn, patience).await,
        }
    }
}

impl From<ServerSession> for TlsSession {
    fn from(session: ServerSession) -> Self {
        Self::Server(session)
    }
}

impl From<UserSession> for TlsSession {
    fn from(session: UserSession) -> Self {
        Self::User(session)
    }
}

/// The one provider of cryptography.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
