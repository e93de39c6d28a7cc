//! Data connections in TLS: the handshake, what a server says to one whose session was not resumed, and the orderly end.
//!
//! Tickets of TLS 1.3 are good for one data connection each, and the next one comes on the data connection itself, behind
//! the data. Whoever closes without having read it has none for the next transfer, and a server that insists (vsftpd,
//! ProFTPD, wharf) refuses that one.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};
use wharf_net::DataConnection;
use wharf_net::tls::{Handshake, TlsError, TlsSession, TlsVersions};
use wharf_proto::{Reply, ReplyClass};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::tls::HANDSHAKE;

/// So long after the handshake a refusal may take to be said, the way not counted.
const DELAYED: Duration = Duration::from_millis(300);

/// How a server says that the session had to be resumed; lower case. vsftpd `522 SSL connection failed; session reuse
/// required`, FileZilla Server `425 ... TLS session resumption`, wharf `425 The data connection did not resume the TLS
/// session`.
const RESUME_WORDS: &[&str] = &["session reuse", "resum"];

/// What became of the handshake on a data connection.
pub(crate) enum Shaken {
    /// It is protected.
    Secured,
    /// The server ends the transfer with this.
    Refused(Reply, Option<Handshake>),
    /// Tickets of TLS 1.3 were used up, and what the server makes of that may come too late.
    UsedUp,
    /// The connection is gone, and the server has not said why.
    Failed(TlsError),
}

impl Client {
    /// The handshake, while the control connection is listened to. `completion`: a final reply that came already, or comes.
    pub(crate) async fn shake(
        &mut self,
        data: &mut DataConnection,
        session: &TlsSession,
        completion: &mut Option<Reply>,
    ) -> Result<Shaken> {
        let within = match completion {
            // Nothing more is to come; a server that had nothing to send may have opened none.
            Some(_) => self.dialogue.patience(),
            None => HANDSHAKE,
        };
        let shaken = {
            let mut shaking = Box::pin(data.secure(session, within));
            loop {
                tokio::select! {
                    biased;
                    shaken = &mut shaking => break shaken,
                    reply = self.dialogue.any_reply(), if completion.is_none() && !self.dialogue.is_lost() => {
                        if let Ok(reply) = reply
                            && let Some(refusal) = self.said(reply, completion)
                        {
                            return Ok(Shaken::Refused(refusal, None));
                        }
                    }
                }
            }
        };
        if let Ok(handshake) = &shaken {
            // ProFTPD sends no tickets behind uploads, and refuses only when the whole file was sent.
            let used_up = !handshake.resumed && self.resumed_before && !self.unresumed_borne;
            self.resumed_before |= handshake.resumed;
            if used_up && self.may_fall_back_to_12() {
                return Ok(Shaken::UsedUp);
            }
        }
        let (handshake, wait) = match &shaken {
            Ok(handshake) if handshake.resumed || self.unresumed_borne => {
                return Ok(Shaken::Secured);
            }
            // A server that insists says so as soon as it has seen our Finished, and that may wait for an acknowledgement
            // which the server's system delays (40 ms, up to 200 elsewhere).
            Ok(handshake) => {
                let way = self.dialogue.round_trip() * 2;
                (Some(handshake), way.clamp(DELAYED, DELAYED * 4))
            }
            Err(_) => (None, self.dialogue.patience()),
        };
        let until = Instant::now() + wait;
        while completion.is_none() && !self.dialogue.is_lost() {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(reply) = timeout(left, self.dialogue.any_reply()).await else {
                break;
            };
            if let Ok(reply) = reply
                && let Some(refusal) = self.said(reply, completion)
            {
                return Ok(Shaken::Refused(refusal, handshake.cloned()));
            }
        }
        match shaken {
            Ok(_) => Ok(Shaken::Secured),
            Err(error) => Ok(Shaken::Failed(error)),
        }
    }

    /// A reply during the handshake. Gives it back when it ends the transfer.
    fn said(&mut self, reply: Reply, completion: &mut Option<Reply>) -> Option<Reply> {
        match reply.class() {
            ReplyClass::Preliminary => None,
            ReplyClass::Completion => {
                self.in_transfer = false;
                *completion = Some(reply);
                None
            }
            _ => {
                self.in_transfer = false;
                Some(reply)
            }
        }
    }

    /// The server insists on a TLS session that this data connection did not resume.
    pub(crate) fn not_resumed(reply: Reply) -> Error {
        let what = "the server takes no data connection that does not resume the control connection's TLS session";
        Error::new(ErrorKind::Tls, what)
            .with_reply(reply)
            .not_resumed()
    }

    fn may_fall_back_to_12(&self) -> bool {
        let spoken = self.dialogue.control().handshake();
        spoken.is_some_and(|it| it.version == "TLS 1.3")
            && self.options().tls.versions == TlsVersions::All
    }

    /// After a refusal of that kind: logs in again with TLS 1.2, whose sessions can be resumed any number of times, where
    /// the tickets of TLS 1.3 are used up. `false` when that is no way out.
    pub(crate) async fn fall_back_to_12(&mut self) -> Result<bool> {
        let other = self.may_fall_back_to_12();
        if other {
            self.place.tls_versions = Some(TlsVersions::Only12);
            self.log_in_anew("TLS 1.2 from here on: the server insists on resumed sessions, and its tickets of TLS 1.3 are used up").await?;
            let (own, peer) = (self.local_addr().ip(), self.peer_addr().ip());
            self.place.remember_13_failed(own, peer);
        }
        Ok(other)
    }

    /// The data connection in TLS that did not come about, as an error.
    pub(crate) fn insecure(&self, error: TlsError) -> Error {
        let what = format!("no TLS on the data connection with {}", self.endpoint());
        Error::from_source(ErrorKind::Tls, what, error)
    }
}

/// Whether a refusal is about the session that was not resumed. `handshake`: what it came to, if it succeeded at all.
pub(crate) fn is_about_resumption(reply: &Reply, handshake: Option<&Handshake>) -> bool {
    let text = String::from_utf8_lossy(reply.text().as_bytes()).to_lowercase();
    let says = RESUME_WORDS.iter().any(|it| text.contains(it));
    // ProFTPD: `425 Unable to build data connection: Operation not permitted`, as soon as it has seen the ClientHello.
    let forbids = text.contains("operation not permitted");
    says || matches!(reply.code(), 425 | 522)
        && handshake.map_or(forbids, |handshake| !handshake.resumed)
}

/// The end of a download in TLS, of which everything was read: the server is told that we have seen its end.
pub(crate) async fn end_download(mut data: DataConnection, patience: Duration) {
    // The file is here; how our own end of the connection goes down concerns nobody.
    let _ = timeout(patience, data.shutdown()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_about_the_session_are_told_from_others() {
        let shaken = |resumed| Handshake {
            resumed,
            version: "TLS 1.3",
            suite: String::new(),
            peer_certificates: Vec::new(),
        };
        for (code, text, handshake, expected) in [
            (
                522,
                "SSL connection failed; session reuse required: see require_ssl_reuse option in vsftpd.conf man page",
                None,
                true,
            ),
            (
                425,
                "The data connection did not resume the TLS session of this control connection",
                None,
                true,
            ),
            (
                425,
                "Unable to build data connection: TLS session of data connection has not resumed or the session does not match the control connection",
                Some(shaken(true)),
                true,
            ),
            (
                425,
                "Unable to build data connection: Operation not permitted",
                Some(shaken(false)),
                true,
            ),
            (
                425,
                "Unable to build data connection: Operation not permitted",
                None,
                true,
            ),
            (425, "Can't open data connection", None, false),
            (425, "Can't open data connection", Some(shaken(true)), false),
            (550, "No such file", Some(shaken(false)), false),
        ] {
            let reply = Reply::new(code, text);
            assert_eq!(
                is_about_resumption(&reply, handshake.as_ref()),
                expected,
                "{text}"
            );
        }
    }
}
