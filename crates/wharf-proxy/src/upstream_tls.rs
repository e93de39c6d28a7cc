//! TLS on the server's side: before its greeting, or by AUTH after it (RFC 4217).

use tokio::time::{Instant, timeout_at};
use wharf_net::UserControl;
use wharf_net::tls::{TlsError, UserSession, UserTls};
use wharf_proto::{Command, Reply, Text};

use crate::config::{Begin, ServerSide};
use crate::upstream::Place;

/// How TLS with one server begins.
pub(crate) struct Beginning {
    tls: Option<(Begin, UserSession)>,
}

impl Beginning {
    /// With the server at this place.
    ///
    /// # Errors
    /// A name that no certificate can have, a file of authorities that cannot be read; the text is for the client.
    pub(crate) fn new(side: Option<&ServerSide>, place: &Place) -> Result<Self, String> {
        let tls = match side {
            None => None,
            Some(side) => {
                let session = session(side, place).map_err(|error| {
                    tracing::error!(upstream = %place, %error, "no TLS with the server");
                    "The proxy cannot use TLS with the server; its log tells more".to_owned()
                })?;
                Some((side.begin, session))
            }
        };
        Ok(Self { tls })
    }

    /// Implicit TLS.
    ///
    /// # Errors
    /// Why there is none, for the client.
    pub(crate) async fn before_the_greeting(
        &self,
        server: &mut UserControl,
        until: Instant,
    ) -> Result<(), String> {
        match &self.tls {
            Some((Begin::Implicit, session)) => secure(server, session, until).await,
            _ => Ok(()),
        }
    }

    /// AUTH TLS, and protected data connections where the server has them. The session for these, if it has.
    ///
    /// # Errors
    /// Why there is no TLS although there must be, for the client.
    pub(crate) async fn after_the_greeting(
        self,
        server: &mut UserControl,
        until: Instant,
    ) -> Result<Option<UserSession>, String> {
        let Some((begin, session)) = self.tls else {
            return Ok(None);
        };
        if begin != Begin::Implicit {
            let reply = ask(server, &Command::Auth(Text::lossy("TLS")), until).await?;
            if reply.code() != 234 {
                let answer = reply.text().display().to_string();
                return match begin {
                    Begin::Prefer => {
                        tracing::info!(answer, "the server has no TLS: in clear");
                        Ok(None)
                    }
                    _ => Err("The server offers no TLS, which this proxy requires".to_owned()),
                };
            }
            secure(server, &session, until).await?;
        }
        ask(server, &Command::Pbsz(Text::lossy("0")), until).await?;
        let reply = ask(server, &Command::Prot(Text::lossy("P")), until).await?;
        match (reply.is_positive(), begin) {
            (true, _) => Ok(Some(session)),
            (false, Begin::Prefer) => {
                tracing::info!("the server does not protect data connections: in clear");
                Ok(None)
            }
            (false, _) => Err(
                "The server does not protect data connections, which this proxy requires"
                    .to_owned(),
            ),
        }
    }
}

fn session(side: &ServerSide, place: &Place) -> Result<UserSession, TlsError> {
    let verifier = side.trust.verifier(&place.host, place.port)?;
    UserTls::new(verifier, None, side.versions)?.session(&place.host)
}

async fn secure(
    server: &mut UserControl,
    session: &UserSession,
    until: Instant,
) -> Result<(), String> {
    let left = until.saturating_duration_since(Instant::now());
    match server.secure(session, left).await {
        Ok(handshake) => {
            tracing::debug!(%handshake, "server in TLS");
            Ok(())
        }
        Err(error) => {
            tracing::warn!(server = %server.peer_addr(), %error, "no TLS with the server");
            Err("No TLS with the server: its certificate is not trusted, or it does not speak TLS; the proxy's log tells more".to_owned())
        }
    }
}

async fn ask(server: &mut UserControl, command: &Command, until: Instant) -> Result<Reply, String> {
    let late = || "The server does not answer in time; try again later".to_owned();
    let gone = || "The server has closed the connection; try again later".to_owned();
    match timeout_at(until, server.send(command)).await {
        Ok(sent) => sent.map_err(|_| gone())?,
        Err(_) => return Err(late()),
    }
    loop {
        match timeout_at(until, server.next_reply()).await {
            Ok(Ok(reply)) if reply.is_preliminary() => {}
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(_)) => return Err(gone()),
            Err(_) => return Err(late()),
        }
    }
}
