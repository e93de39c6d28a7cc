//! RFC 2228 and RFC 4217: AUTH PBSZ PROT CCC, and the verbs of the table that this server does not offer.
//!
//! When they may be said, and with what, are rules of `wharf_proto::security`.

use wharf_proto::{Command, Protection, Reply, Text};

use crate::failure::{Failure, Outcome};
use crate::protection::Switch;
use crate::session::{Session, new_pi};

impl Session {
    /// The handshake follows the 234. Whatever was agreed before it may have been somebody else's doing, so all of it
    /// is forgotten, the login first of all (RFC 2228 §3)
    pub(super) fn auth(&mut self) -> Outcome {
        let Some(policy) = &self.setup.config.tls else {
            return Err(Failure::Refused(Reply::new(
                502,
                "AUTH is not offered here",
            )));
        };
        let session = match policy.tls.session() {
            Ok(session) => session,
            Err(error) => {
                tracing::error!(%error, "no TLS");
                return Err(Failure::Refused(Reply::new(
                    431,
                    "TLS is not possible now; the server's log says more",
                )));
            }
        };
        self.start_over();
        self.switch = Some(Switch::Secure(session));
        Ok(Reply::new(234, "Begin TLS now"))
    }

    /// The connection as after the greeting, but for time and failures that count against the client
    pub(super) fn start_over(&mut self) {
        self.log_out();
        let security = *self.pi.security();
        self.pi = new_pi();
        *self.pi.security_mut() = security.renewed();
        self.idle = self.setup.config.idle;
        self.announced = None;
        (self.told, self.asked) = (None, None);
    }

    /// TLS has no use for it, and clients must say it (RFC 4217 §8)
    pub(super) fn pbsz(&mut self) -> Outcome {
        self.pi.security_mut().set_buffer();
        Ok(Reply::new(200, "PBSZ=0"))
    }

    pub(super) fn prot(&mut self, level: &Text) -> Outcome {
        let level = Protection::read(level.as_bytes()).unwrap_or_default();
        if level != self.pi.security().protection() {
            self.leave_shared_port();
        }
        self.pi.security_mut().set_protection(level);
        Ok(Reply::new(
            200,
            match level {
                Protection::Private => "Data connections are protected",
                _ => "Data connections are in clear",
            },
        ))
    }

    /// The reply is the last thing in TLS (RFC 4217 §12.3)
    pub(super) fn ccc(&mut self) -> Outcome {
        self.pi.security_mut().cleared();
        self.switch = Some(Switch::Clear);
        Ok(Reply::new(200, "The control connection goes on in clear"))
    }

    /// 502: known and not carried out
    pub(super) fn not_offered(&mut self, command: &Command) -> Outcome {
        let word = command.verb().word;
        Err(Failure::Refused(Reply::new(
            502,
            format!("{word} is not offered here"),
        )))
    }
}
