//! The seam: who may log in, and what that gives.

use std::error::Error as StdError;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use wharf_proto::{Pathname, Secret, Text};
use wharf_storage::Storage;

use crate::Certificate;

/// What a client brought with USER and PASS, and with its TLS handshake.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The argument of USER, as sent.
    pub user: Text,
    /// The argument of PASS; an empty one when PASS was not needed.
    pub password: Secret,
    /// Where the control connection comes from.
    pub peer: IpAddr,
    /// What the client has shown in the handshake of this very control connection, if that is in TLS still.
    pub certificate: Option<Certificate>,
}

/// Limits of one user, on top of those of the server; `None` leaves the server's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserLimits {
    /// Sessions at the same time.
    pub sessions: Option<usize>,
}

/// A successful login: from here on the storage is all there is to know about the user's rights.
#[derive(Clone)]
pub struct Granted {
    /// The name for logs and for limits per user.
    pub user: String,
    /// What the user sees, permissions included.
    pub storage: Arc<dyn Storage>,
    /// The working directory to start in, as a pathname inside `storage`.
    pub home: Pathname,
    /// Lines of text for the reply to the login.
    pub welcome: Option<String>,
    /// Limits of this user.
    pub limits: UserLimits,
}

impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Granted")
            .field("user", &self.user)
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}

/// Why a login did not happen.
#[derive(Debug)]
#[non_exhaustive]
pub enum Denied {
    /// Unknown user or wrong password; which of both is told to nobody.
    Refused,
    /// Too many logins are being checked just now: the client may try again.
    TooBusy,
    /// The source of users or the user's home does not work; details for the log only.
    Broken(Box<dyn StdError + Send + Sync>),
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("login refused"),
            Self::TooBusy => f.write_str("too many logins at once"),
            Self::Broken(cause) => write!(f, "login is not possible: {cause}"),
        }
    }
}

impl StdError for Denied {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Broken(cause) => Some(cause.as_ref()),
            Self::Refused | Self::TooBusy => None,
        }
    }
}

/// A source of users.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Checks a login. The answer takes the same time for an unknown user as for a wrong password.
    async fn login(&self, who: &Credentials) -> Result<Granted, Denied>;

    /// What the certificate alone gives that the client has shown, asked when USER comes; the password is not looked at.
    /// `Ok(None)`: PASS must follow, as for a user that does not exist, so that nobody without the certificate learns who
    /// does.
    ///
    /// # Errors
    /// [`Denied::Broken`]: the user's home does not work.
    async fn login_by_certificate(&self, who: &Credentials) -> Result<Option<Granted>, Denied> {
        let _ = who;
        Ok(None)
    }

    /// Whether USER must be followed by PASS for that name. Answered from memory and never from whether the user
    /// exists, so that it tells an outsider nothing.
    fn needs_password(&self, user: &[u8]) -> bool {
        let _ = user;
        true
    }
}
