//! TLS as a caller may want it, and the way of a control connection into it (RFC 4217).
//!
//! Every control connection (the user's, the scout's, the one that looks for a lost file) has a session of its own; its
//! data connections resume that session, by which many servers know them. What was asked for is never given up in silence:
//! with [`TlsChoice::Require`] nothing is said in clear but AUTH, with [`TlsChoice::Prefer`] a server that has TLS must
//! have a certificate that is trusted.
//!
//! Not here: which certificates are trusted ([`wharf_net::tls`]), data connections (`secured.rs`).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use wharf_net::tls::trust::Trust;
use wharf_net::tls::{ResolvesClientCert, TlsError, TlsSession, TlsVersions};
use wharf_net::tls::{UserSession, UserTls};
use wharf_proto::{Command, Reply, ReplyClass, Text, visible};

use crate::connect::Place;
use crate::dialogue::Dialogue;
use crate::error::{Access, Error, ErrorKind, Result};
use crate::memory::{Experience, Loser};
use crate::options::{UnknownWord, find};
use crate::target::Endpoint;

/// Among the ways that are remembered: TLS 1.3.
const TLS_13: &str = "tls13";

/// The longest that a handshake may take.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(15);

/// Whether a control connection and its data connections must be protected; the words of `--tls`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TlsChoice {
    /// In clear.
    #[default]
    Off,
    /// If the server offers it. Whoever is on the way can take the offer out of the server's replies; a certificate that is
    /// not trusted ends the session, as with `Require`.
    Prefer,
    /// Nothing but AUTH is sent in clear, and no data connection is in clear.
    Require,
}

impl TlsChoice {
    /// Every choice with its word.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("off", Self::Off),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
    ];
}

impl FromStr for TlsChoice {
    type Err = UnknownWord;

    fn from_str(word: &str) -> std::result::Result<Self, UnknownWord> {
        find(Self::WORDS, word)
    }
}

/// Whether the control connection leaves TLS after the login (CCC, RFC 4217 §12.3), so that helpers in NATs and firewalls can
/// read PORT and PASV again; the words of `--ccc`. Names and commands can then be read and changed on the way. The password
/// was sent in TLS, and data connections stay in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CccChoice {
    /// It stays in TLS.
    #[default]
    Never,
    /// Only when no data connection came about in any other way, and where that was so in an earlier run.
    Auto,
    /// After every login.
    Always,
}

impl CccChoice {
    /// Every choice with its word.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("never", Self::Never),
        ("auto", Self::Auto),
        ("always", Self::Always),
    ];
}

impl FromStr for CccChoice {
    type Err = UnknownWord;

    fn from_str(word: &str) -> std::result::Result<Self, UnknownWord> {
        find(Self::WORDS, word)
    }
}

/// TLS of one client. Default: off.
#[derive(Clone, Default)]
pub struct Tls {
    /// Whether it must be there.
    pub choice: TlsChoice,
    /// TLS begins with the first byte instead of after AUTH (`ftps://`, port 990). Counts only where `choice` is not
    /// [`TlsChoice::Off`], and then as [`TlsChoice::Require`].
    pub implicit: bool,
    /// Whether the control connection leaves TLS again.
    pub ccc: CccChoice,
    /// The versions that are offered.
    pub versions: TlsVersions,
    /// Who is believed to be the server, on the control connection and on data connections that do not resume its session.
    /// The default believes nobody. A server of which something is remembered there has spoken TLS before: then it must, also
    /// with [`TlsChoice::Prefer`].
    pub trust: Trust,
    /// What is shown to a server that asks for a certificate; default: nothing.
    pub certificate: Option<Arc<dyn ResolvesClientCert>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tls")
            .field("choice", &self.choice)
            .field("implicit", &self.implicit)
            .field("ccc", &self.ccc)
            .field("versions", &self.versions)
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}

/// The TLS of one control connection.
pub(crate) struct Protection {
    session: UserSession,
    required: bool,
    /// PROT P is in force.
    data: bool,
    /// CCC comes after the login.
    leaves: bool,
    /// PROT C comes instead of PROT P.
    data_in_clear: bool,
}

impl Protection {
    /// What data connections are protected with; `None`: they are in clear.
    pub(crate) fn of_data(&self) -> Option<TlsSession> {
        self.data.then(|| self.session.clone().into())
    }

    /// Whether nothing may go in clear.
    pub(crate) fn is_required(&self) -> bool {
        self.required
    }
}

impl Place {
    /// The TLS of one more control connection. `None`: it stays in clear.
    /// `own` and `peer`: its ends.
    pub(crate) fn protection(&self, own: IpAddr, peer: IpAddr) -> Result<Option<Protection>> {
        let tls = &self.options.tls;
        let Some(verifier) = &self.verifier else {
            return Ok(None);
        };
        let user = UserTls::new(
            Arc::clone(verifier),
            tls.certificate.clone(),
            match self.tls_versions {
                Some(versions) => versions,
                None if tls.versions == TlsVersions::All && self.failed_with_13(own, peer) => {
                    TlsVersions::Only12
                }
                None => tls.versions,
            },
        );
        // The zone of a link-local address is nothing that a certificate could have.
        let host = &self.near().host;
        let host = host.split_once('%').map_or(&**host, |(host, _zone)| host);
        let session = user.and_then(|user| user.session(host));
        let session = session.map_err(|error| self.no_tls(error))?;
        Ok(Some(Protection {
            session,
            required: tls.choice == TlsChoice::Require || tls.implicit,
            data: false,
            leaves: self.ccc,
            data_in_clear: self.data_in_clear,
        }))
    }

    /// AUTH TLS and the handshake, where TLS does not begin with the connection.
    pub(crate) async fn authenticate(
        &self,
        dialogue: &mut Dialogue,
        protection: Protection,
    ) -> Result<()> {
        let auth = Command::Auth(Text::lossy("TLS"));
        let reply = dialogue.exchange(&auth, self.options.reply_timeout).await?;
        match (reply.code(), reply.class()) {
            (234, _) => {
                let secured = dialogue.secure(protection).await;
                secured.map_err(|error| self.no_tls(error))
            }
            (421, _) => Err(Error::refused(Access::Login, auth.redacted(), reply)),
            (_, ReplyClass::TransientNegative | ReplyClass::PermanentNegative) => {
                let what = if protection.required {
                    format!("{} offers no TLS", self.endpoint)
                } else if self.spoke_tls_before() {
                    // Whoever is on the way can make a server say that.
                    format!("{} offers no TLS, and did so before", self.endpoint)
                } else {
                    return Ok(());
                };
                Err(Error::new(ErrorKind::Tls, what).with_reply(reply))
            }
            // Neither yes nor no, and what it takes to be the next byte of is unknown.
            _ => {
                let what = format!("{} answers AUTH TLS with nonsense", self.endpoint);
                Err(Error::new(ErrorKind::Tls, what).with_reply(reply))
            }
        }
    }

    /// An earlier run has found out that the server refuses what TLS 1.3 has no tickets for.
    fn failed_with_13(&self, own: IpAddr, peer: IpAddr) -> bool {
        let memory = self.options.memory.as_ref();
        let known =
            memory.and_then(|memory| memory.recall(&self.endpoint, peer, own, SystemTime::now()));
        known.is_some_and(|it| it.losers.iter().any(|loser| loser.way == TLS_13))
    }

    /// For later runs, as long as a way that failed is remembered.
    pub(crate) fn remember_13_failed(&self, own: IpAddr, peer: IpAddr) {
        let Some(memory) = &self.options.memory else {
            return;
        };
        let experience = Experience {
            winner: None,
            losers: vec![Loser {
                way: TLS_13.to_owned(),
                reason: "the server insists on resumed sessions, and tickets were used up"
                    .to_owned(),
            }],
        };
        memory.learn(&self.endpoint, peer, own, &experience, SystemTime::now());
    }

    fn spoke_tls_before(&self) -> bool {
        let known = self.options.tls.trust.known.as_ref();
        let Endpoint { host, port } = self.near();
        known.is_some_and(|it| matches!(it.known(&host.to_ascii_lowercase(), *port), Ok(Some(_))))
    }

    /// A handshake that failed, or could not begin.
    pub(crate) fn no_tls(&self, error: TlsError) -> Error {
        let what = format!("no TLS with {}", self.endpoint);
        Error::from_source(ErrorKind::Tls, what, error)
    }
}

impl Dialogue {
    /// Goes on in TLS. Whatever came in clear behind the reply that was read last ends the connection.
    pub(crate) async fn secure(
        &mut self,
        protection: Protection,
    ) -> std::result::Result<(), TlsError> {
        let began = tokio::time::Instant::now();
        // On the heap: what waits for a greeting would otherwise carry the whole handshake along.
        let secured = Box::pin(self.control_mut().secure(&protection.session, HANDSHAKE));
        match secured.await {
            Ok(handshake) => {
                tracing::debug!(%handshake, took = ?began.elapsed(), "control connection in TLS");
                self.protection = Some(protection);
                Ok(())
            }
            Err(error) => {
                self.give_up();
                Err(error)
            }
        }
    }

    /// What comes after the login in TLS: PBSZ and PROT P (RFC 4217 §9), in one go, then CCC where it is wanted; nothing to do
    /// in clear. There are servers that know none of them before.
    pub(crate) async fn protect_data(&mut self, within: Duration) -> Result<()> {
        let Some(protection) = &self.protection else {
            return Ok(());
        };
        let (required, leaves) = (protection.required, protection.leaves);
        let wanted = required || !protection.data_in_clear;
        let buffer_size = Command::Pbsz(Text::lossy("0"));
        self.send(&buffer_size).await?;
        let reply = self.protect(wanted, within).await?;
        let done = reply.class() == ReplyClass::Completion;
        if wanted && !done && required {
            let what = "the server does not protect data connections (PROT P)";
            return Err(Error::new(ErrorKind::Tls, what).with_reply(reply));
        }
        if wanted && !done {
            self.warn(format!(
                "only the control connection is in TLS: files and listings go in clear, for the server refuses PROT P ({})",
                said(&reply)
            ));
        }
        if leaves && let Err(refusal) = self.leave_tls(within).await? {
            self.warn(format!(
                "the control connection stays in TLS: the server refuses CCC ({})",
                said(&refusal)
            ));
        }
        Ok(())
    }

    /// PROT P or C; the final replies to whatever was sent before it are read, too.
    pub(crate) async fn protect(&mut self, private: bool, within: Duration) -> Result<Reply> {
        let level = if private { "P" } else { "C" };
        self.send(&Command::Prot(Text::lossy(level))).await?;
        // With TLS the reply to PBSZ is a formality, and a server without it is no worse.
        let mut reply = self.final_reply(within).await?;
        while !self.in_step() && !self.is_lost() {
            reply = self.final_reply(within).await?;
        }
        if let Some(protection) = &mut self.protection
            && reply.class() == ReplyClass::Completion
        {
            protection.data = private;
        }
        Ok(reply)
    }

    /// CCC, the end of TLS on both sides, and NOOP: a helper follows the lines by their place in the stream, and is in step
    /// only behind the first one that it can read. The inner error: the server refuses, and the connection stays in TLS.
    pub(crate) async fn leave_tls(
        &mut self,
        within: Duration,
    ) -> Result<std::result::Result<(), Reply>> {
        let reply = self.exchange(&Command::Ccc, within).await?;
        if reply.class() != ReplyClass::Completion {
            return Ok(Err(reply));
        }
        // Where the server says no close_notify its silence is waited for, once a login.
        let patience = self.patience();
        if let Err(error) = self.control_mut().unsecure(patience).await {
            self.give_up();
            let what = match error.kind() {
                std::io::ErrorKind::InvalidData => {
                    "something came between CCC and the end of TLS that nobody has asked for"
                }
                _ => "the control connection did not come out of TLS (CCC)",
            };
            return Err(Error::from_source(ErrorKind::Tls, what, error));
        }
        // Whatever the answer is: one that does not know NOOP has read it, too.
        self.exchange(&Command::Noop, within).await?;
        Ok(Ok(()))
    }
}

/// A reply in a sentence.
pub(crate) fn said(reply: &Reply) -> String {
    format!("{} {}", reply.code(), visible(reply.text().as_bytes()))
}
