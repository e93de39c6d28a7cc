//! TLS on the client's control connection: how far it is, and the session that its data connections belong to.

use std::io;
use std::time::Duration;

use wharf_net::ServerControl;
use wharf_net::tls::{DataSession, ServerSession};

use crate::config::ClientSide;
use crate::translate::protection::Protection;

/// What protects the client's side of one session.
pub(crate) struct Shield {
    pub(crate) protection: Protection,
    pub(crate) data_session: DataSession,
    session: Option<ServerSession>,
}

impl Shield {
    /// In clear so far.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn new(side: Option<&ClientSide>) -> io::Result<Self> {
        let Some(side) = side else {
            return Ok(Self {
                protection: Protection::default(),
                data_session: DataSession::Off,
                session: None,
            });
        };
        Ok(Self {
            protection: Protection::new(side.wanted),
            data_session: side.data_session,
            session: Some(side.tls.session().map_err(io::Error::other)?),
        })
    }

    /// The handshake on the control connection, `implicit`ly before anything was said or after AUTH.
    ///
    /// # Errors
    /// It failed, or something had come in clear behind AUTH: the client is to be left.
    pub(crate) async fn secure(
        &mut self,
        client: &mut ServerControl,
        implicit: bool,
        patience: Duration,
    ) -> io::Result<()> {
        let Some(session) = &self.session else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        match client.secure(session, patience).await {
            Ok(handshake) => {
                tracing::debug!(%handshake, "client in TLS");
                self.protection.secured(implicit);
                Ok(())
            }
            Err(error) => {
                tracing::info!(client = %client.peer_addr(), %error, "no TLS with the client");
                Err(io::Error::other(error))
            }
        }
    }

    /// For data connections, where they are protected.
    pub(crate) fn session(&self) -> Option<&ServerSession> {
        self.session.as_ref()
    }
}
