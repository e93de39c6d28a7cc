//! TLS on the client's side: AUTH, PBSZ, PROT and CCC end at us (RFC 2228, RFC 4217). What protects the server's side is
//! no business of the client, and the other way round.

use wharf_proto::security::{Demands, Requirement, Security};
use wharf_proto::{Command, Protection as Level, Reply};

use super::filter;

/// How far the client's side is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Protection {
    security: Security,
}

/// What is to be done about a command of the client's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing but this reply.
    Say(Reply),
    /// This reply, and then the handshake.
    Secure(Reply),
    /// This reply; from now on data connections are protected, or not.
    ProtectData(bool, Reply),
}

impl Protection {
    /// In clear, so far. `wanted` of both connections; [`Requirement::Off`] offers no TLS.
    pub fn new(wanted: Requirement) -> Self {
        let mut security = Security::default();
        security.set_demands(Demands {
            control: wanted,
            data: wanted,
            ccc: false,
        });
        Self { security }
    }

    /// Whether data connections are to be protected.
    pub fn data(self) -> bool {
        self.security.protection() == Level::Private
    }

    /// The handshake is over, `implicit`ly before anything was said.
    pub(crate) fn secured(&mut self, implicit: bool) {
        if implicit {
            self.security.secured_implicitly();
        } else {
            self.security.secured();
        }
    }

    /// The answer to a command that is about protection, or is refused for want of it; `None` for any other command.
    pub(crate) fn answer(&mut self, word: &[u8], parsed: Option<&Command>) -> Option<Answer> {
        let Some(command) = parsed else {
            // One of the others with a wrong argument; ours have replies of their own for that.
            return filter::refusal(word).map(Answer::Say);
        };
        if let Err(refusal) = self.security.admit(command) {
            return Some(Answer::Say(refusal));
        }
        match command {
            Command::Auth(_) => Some(Answer::Secure(Reply::new(234, "Begin with TLS"))),
            Command::Pbsz(_) => {
                self.security.set_buffer();
                Some(Answer::Say(Reply::new(200, "PBSZ=0")))
            }
            Command::Prot(level) => {
                let level = Level::read(level.as_bytes()).unwrap_or_default();
                self.security.set_protection(level);
                let (protected, text) = match level {
                    Level::Private => (true, "Data connections are protected"),
                    _ => (false, "Data connections are in clear"),
                };
                Some(Answer::ProtectData(protected, Reply::new(200, text)))
            }
            _ => filter::refusal(word).map(Answer::Say),
        }
    }

    /// Lines of FEAT.
    pub(crate) fn features(self) -> &'static [&'static str] {
        if self.security.is_offered() {
            &["AUTH TLS", "PBSZ", "PROT"]
        } else {
            &[]
        }
    }
}
