//! TLS on a session's two connections: when the handshakes are, and what they must come to (RFC 4217 §4, §7, §11).
//!
//! A switch of the control connection stands behind the reply that announces it: the reply goes out first, and after it
//! nothing that came in clear is interpreted (law 7).

use std::io;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use wharf_accounts::{Certificate, Offence};
use wharf_net::tls::{DataSession, ServerSession, TlsError, TlsSession};
use wharf_net::{OpenError, Stop};
use wharf_proto::security::Requirement;
use wharf_proto::{Command, Protection, Reply};

use crate::failure::Failure;
use crate::session::Session;
use crate::tls_policy::{InForce, Truncation};

/// The least time that a handshake on the control connection gets
const LEAST: Duration = Duration::from_secs(1);

/// What becomes of the control connection once the reply is out
pub(crate) enum Switch {
    /// TLS begins (AUTH)
    Secure(ServerSession),
    /// TLS ends (CCC, REIN)
    Clear,
}

/// How the data connection of a transfer is protected
pub(crate) struct Protect {
    pub(crate) session: TlsSession,
    pub(crate) policy: DataSession,
    truncation: Truncation,
}

impl Session {
    /// Tells the rules what is wanted of the user that this command is about
    pub(crate) fn consider_demands(&mut self, command: &Command) {
        let Some(policy) = &self.setup.config.tls else {
            return;
        };
        let user = match command {
            Command::User(name) => Some(name.as_bytes()),
            _ => self.pi.user().map(wharf_proto::Text::as_bytes),
        };
        let demands = policy.in_force(self.peer().ip(), user).demands;
        self.pi.security_mut().set_demands(demands);
    }

    fn in_force(&self) -> Option<InForce> {
        let policy = self.setup.config.tls.as_ref()?;
        let user = self.pi.user().map(wharf_proto::Text::as_bytes);
        Some(policy.in_force(self.peer().ip(), user))
    }

    /// What the client has shown in the handshake of this control connection, if it counts: it is in TLS still, and the
    /// certificate is believed still. Or why nobody logs in
    pub(crate) fn certificate(&self) -> Result<Option<Certificate>, Failure> {
        let Some(policy) = &self.setup.config.tls else {
            return Ok(None);
        };
        let missing = match policy.client_certificates {
            Requirement::Off => return Ok(None),
            Requirement::Allowed => Ok(None),
            // The same for every user, whether there is one or not.
            Requirement::Required => Err(Failure::Refused(Reply::new(
                530,
                "A client certificate is required here to log in (server setting tls.client_certificates = \"required\")",
            ))),
        };
        let Some(handshake) = self.control.handshake() else {
            return missing;
        };
        let Some(shown) = handshake.identity() else {
            return missing;
        };
        if let Err(error) = policy.tls.believes(&handshake, SystemTime::now()) {
            let client = self.peer();
            tracing::warn!(%client, certificate = %shown.fingerprint, %error, "no login by this certificate any more");
            return Err(Failure::Refused(Reply::new(
                530,
                "Your certificate has ended or was revoked meanwhile: connect again with a new one",
            )));
        }
        Ok(Some(Certificate {
            fingerprint: shown.fingerprint,
            names: shown.names,
        }))
    }

    /// How the next data connection is protected; not at all under PROT C
    pub(crate) fn protect(&self) -> Option<Protect> {
        if self.pi.security().protection() != Protection::Private {
            return None;
        }
        let now = self.in_force()?;
        Some(Protect {
            session: self.tls.clone()?.into(),
            policy: now.data_session,
            truncation: now.truncation,
        })
    }

    /// The handshake before the greeting (implicit TLS)
    pub(crate) async fn begin_in_tls(&mut self) -> io::Result<()> {
        let policy = self.setup.config.tls.as_ref();
        let policy = policy.ok_or(io::ErrorKind::Unsupported)?;
        let session = policy.tls.session().map_err(io::Error::other)?;
        let demands = policy.in_force(self.peer().ip(), None).demands;
        self.pi.security_mut().set_demands(demands);
        self.shake_hands(session).await?;
        self.pi.security_mut().secured_implicitly();
        Ok(())
    }

    /// Carries out what a reply has announced
    pub(crate) async fn switch(&mut self, switch: Switch) -> io::Result<()> {
        match switch {
            Switch::Secure(session) => {
                if !self.waiting.is_empty() {
                    self.control.flush().await?;
                    return Err(self.not_in_tls(&TlsError::Injected));
                }
                self.shake_hands(session).await?;
                self.pi.security_mut().secured();
                Ok(())
            }
            Switch::Clear => {
                if !self.waiting.is_empty() {
                    // Said before the end of TLS was agreed upon; what was said before CCC has its answers.
                    self.control.flush().await?;
                    return Err(io::ErrorKind::InvalidData.into());
                }
                // Not hurried: a client that ends TLS without saying so is heard of with its next command.
                let patience = match self.pi.user() {
                    Some(_) => self.idle,
                    None => self.left_for_login(),
                };
                let stop = &mut self.stop;
                tokio::select! {
                    unsecured = self.control.unsecure(patience) => unsecured,
                    () = Stop::stopping(stop) => Err(io::ErrorKind::ConnectionAborted.into()),
                }
            }
        }
    }

    fn left_for_login(&self) -> Duration {
        let until = self.nobody_since + self.setup.config.no_login;
        until.saturating_duration_since(Instant::now()).max(LEAST)
    }

    async fn shake_hands(&mut self, session: ServerSession) -> io::Result<()> {
        let left = self.left_for_login();
        let Self { control, stop, .. } = self;
        let secured = tokio::select! {
            secured = control.secure(&session, left) => secured,
            () = Stop::stopping(stop) => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        match secured {
            Ok(handshake) => {
                tracing::debug!(%handshake, "control connection is in TLS");
                self.tls = Some(session);
                Ok(())
            }
            Err(error) => Err(self.not_in_tls(&error)),
        }
    }

    /// There is nobody to be answered any more; the log is told
    fn not_in_tls(&self, error: &TlsError) -> io::Error {
        let client = self.peer();
        match error {
            TlsError::Injected => {
                tracing::warn!(%client, "more came in clear before TLS began: closed");
                self.note_offence(Offence::Injected);
            }
            other if other.is_about_the_peers_certificate() => {
                tracing::warn!(%client, error = %other, "no TLS on the control connection");
                self.note_offence(Offence::Certificate);
            }
            other => tracing::info!(%client, error = %other, "no TLS on the control connection"),
        }
        io::Error::other(error.to_string())
    }
}

impl Protect {
    /// On this data connection the user sends
    pub(crate) fn for_upload(mut self) -> Self {
        if let TlsSession::Server(session) = self.session {
            self.session = session.for_upload().into();
        }
        self
    }

    /// What an upload's end without close_notify is
    pub(crate) fn judge(&self, received: u64) -> Result<(), Failure> {
        match self.truncation {
            Truncation::Lenient => Ok(()),
            Truncation::Strict => Err(Failure::Cut { received }),
        }
    }
}

/// Whether a data connection was ended in the place of a handshake: a client with nothing to send may do that
pub(crate) fn is_end(error: &OpenError) -> bool {
    matches!(error, OpenError::Handshake { error, .. } if error.is_end())
}
