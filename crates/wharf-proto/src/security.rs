//! What RFC 2228 and RFC 4217 have a server answer before TLS, in it and after it.
//!
//! | rule | answer | source |
//! |---|---|---|
//! | AUTH, PBSZ, PROT, CCC where TLS is not offered | 502 | RFC 2228 §8.2 |
//! | AUTH with another mechanism than TLS, TLS-C, SSL | 504 | RFC 2228 §3 |
//! | AUTH in TLS, or after CCC | 503 | RFC 4217 §4 knows one handshake |
//! | PBSZ without AUTH, PROT without PBSZ | 503 | RFC 2228 §3 |
//! | PBSZ with anything but a number of 32 bits | 501 | RFC 2228 §3; any number is answered `PBSZ=0`, RFC 4217 §9 |
//! | PROT with a letter nobody knows | 504 | RFC 2228 §3 |
//! | PROT S, PROT E | 536 | RFC 4217 §9: TLS gives both or nothing |
//! | PROT against the policy for data | 534 | RFC 2228 §3 |
//! | CCC in clear | 533 | RFC 2228 §3 |
//! | CCC against the policy | 534 | RFC 2228 §3 |
//! | USER, PASS, ACCT in clear where TLS is required | 534 | RFC 2228 §5.1 "denied for policy reasons" |
//! | a transfer with PROT C where protection is required | 521 | RFC 4217 §10 |

use crate::command::Command;
use crate::parameter::{ParameterError, Protection};
use crate::reply::Reply;

/// Whether one of the two connections is in TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Requirement {
    /// Never.
    Off,
    /// As the user wishes.
    #[default]
    Allowed,
    /// Always.
    Required,
}

/// What a server wants of one session. The default offers no TLS at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demands {
    /// Of the control connection; `Off` is no TLS on either connection.
    pub control: Requirement,
    /// Of data connections.
    pub data: Requirement,
    /// May the user take the control connection out of TLS again (CCC)?
    pub ccc: bool,
}

impl Default for Demands {
    fn default() -> Self {
        Self {
            control: Requirement::Off,
            data: Requirement::Off,
            ccc: false,
        }
    }
}

/// How the control connection is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
enum Control {
    /// In clear, so far.
    #[default]
    Clear,
    /// In TLS.
    Tls,
    /// In clear again, after CCC: data connections keep their protection.
    Cleared,
}

/// How far AUTH, PBSZ, PROT and CCC have come on one control connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Security {
    demands: Demands,
    control: Control,
    /// PBSZ was answered 200.
    buffer: bool,
    protection: Protection,
}

impl Security {
    /// The same demands, and the control connection in clear.
    #[must_use]
    pub fn renewed(self) -> Self {
        Self {
            demands: self.demands,
            ..Self::default()
        }
    }

    /// What is wanted of this session; changes with the user.
    pub fn set_demands(&mut self, demands: Demands) {
        self.demands = demands;
    }

    /// The handshake on the control connection is done. Whatever was said before is as if it had not been: PROT is C
    /// again (RFC 2228 §3).
    pub fn secured(&mut self) {
        self.control = Control::Tls;
        self.buffer = false;
        self.protection = Protection::Clear;
    }

    /// The connection was in TLS from its first byte (implicit TLS). There data connections are protected unless the user
    /// says otherwise: it has been so since before RFC 4217.
    pub fn secured_implicitly(&mut self) {
        self.secured();
        self.buffer = true;
        if self.demands.data != Requirement::Off {
            self.protection = Protection::Private;
        }
    }

    /// CCC: the control connection is in clear again.
    pub fn cleared(&mut self) {
        self.control = Control::Cleared;
    }

    /// PBSZ was answered 200.
    pub fn set_buffer(&mut self) {
        self.buffer = true;
    }

    /// PROT was answered 200.
    pub fn set_protection(&mut self, protection: Protection) {
        self.protection = protection;
    }

    /// PROT in force.
    pub fn protection(&self) -> Protection {
        self.protection
    }

    /// Is the control connection in TLS now?
    pub fn is_secured(&self) -> bool {
        self.control == Control::Tls
    }

    /// Is TLS offered to this session?
    pub fn is_offered(&self) -> bool {
        self.demands.control != Requirement::Off
    }

    /// Is CCC offered to this session?
    pub fn offers_ccc(&self) -> bool {
        self.is_offered() && self.demands.ccc
    }

    /// May this command be executed now, as far as security is concerned? If not, the reply that says why.
    pub fn admit(&self, command: &Command) -> Result<(), Reply> {
        match command {
            Command::Auth(_) | Command::Pbsz(_) | Command::Prot(_) | Command::Ccc
                if !self.is_offered() =>
            {
                let word = command.verb().word;
                Err(Reply::new(502, format!("{word} is not offered here")))
            }
            Command::Auth(mechanism) => {
                if !["TLS", "TLS-C", "SSL"]
                    .iter()
                    .any(|it| mechanism.is_word(it))
                {
                    return Err(Reply::new(504, "the only mechanism is TLS"));
                }
                match self.control {
                    Control::Clear => Ok(()),
                    Control::Tls => Err(Reply::new(503, "this control connection is in TLS")),
                    Control::Cleared => Err(Reply::new(503, "TLS ended with CCC, connect again")),
                }
            }
            Command::Pbsz(_) if self.control == Control::Clear => {
                Err(Reply::new(503, "send AUTH TLS before PBSZ"))
            }
            Command::Pbsz(size) => match size.as_bytes() {
                digits
                    if digits.iter().all(u8::is_ascii_digit)
                        && std::str::from_utf8(digits)
                            .is_ok_and(|digits| digits.parse::<u32>().is_ok()) =>
                {
                    Ok(())
                }
                _ => Err(Reply::new(501, "PBSZ takes a number, 0 for TLS")),
            },
            Command::Prot(level) => self.admit_protection(level.as_bytes()),
            Command::Ccc if self.control != Control::Tls => {
                Err(Reply::new(533, "this control connection is in clear"))
            }
            Command::Ccc if !self.demands.ccc => Err(Reply::new(
                534,
                "the control connection stays in TLS (server setting tls.ccc = false)",
            )),
            Command::User(_) | Command::Pass(_) | Command::Acct(_)
                if self.demands.control == Requirement::Required && !self.is_secured() =>
            {
                Err(Reply::new(
                    534,
                    "log in with TLS: send AUTH TLS first (server setting tls.control = \"required\")",
                ))
            }
            Command::Retr(_)
            | Command::Stor(_)
            | Command::Stou(_)
            | Command::Appe(_)
            | Command::List(_)
            | Command::Nlst(_)
            | Command::Mlsd(_)
                if self.demands.data == Requirement::Required
                    && self.protection == Protection::Clear =>
            {
                let first = if self.control == Control::Clear {
                    "AUTH TLS, PBSZ 0 and PROT P"
                } else {
                    "PBSZ 0 and PROT P"
                };
                Err(Reply::new(
                    521,
                    format!(
                        "data connections must be protected: send {first} first (server setting tls.data = \"required\")"
                    ),
                ))
            }
            _ => Ok(()),
        }
    }

    fn admit_protection(self, level: &[u8]) -> Result<(), Reply> {
        if !self.buffer {
            let first = if self.control == Control::Clear {
                "AUTH TLS and PBSZ 0"
            } else {
                "PBSZ 0"
            };
            return Err(Reply::new(503, format!("send {first} before PROT")));
        }
        match (Protection::read(level), self.demands.data) {
            (Ok(Protection::Safe | Protection::Confidential), _) => Err(Reply::new(
                536,
                "TLS protects wholly (PROT P) or not at all (PROT C)",
            )),
            (Ok(Protection::Clear), Requirement::Required) => Err(Reply::new(
                534,
                "data connections must be protected (server setting tls.data = \"required\")",
            )),
            (Ok(Protection::Private), Requirement::Off) => Err(Reply::new(
                534,
                "data connections are in clear (server setting tls.data = \"off\")",
            )),
            (Ok(_), _) => Ok(()),
            (Err(ParameterError::Syntax | ParameterError::Unknown), _) => {
                Err(Reply::new(504, "PROT is C or P"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: Demands = Demands {
        control: Requirement::Allowed,
        data: Requirement::Allowed,
        ccc: true,
    };

    const REQUIRED: Demands = Demands {
        control: Requirement::Required,
        data: Requirement::Required,
        ccc: false,
    };

    /// Each line: command, code. What is admitted is done, as 200.
    fn transcript(demands: Demands, text: &str) {
        let mut security = Security::default();
        security.set_demands(demands);
        play(security, text);
    }

    fn play(mut security: Security, text: &str) {
        for line in text.lines().map(str::trim) {
            let (sent, want) = line.rsplit_once(" -> ").unwrap();
            let command = Command::parse(sent.as_bytes()).unwrap();
            let got = match (security.admit(&command), &command) {
                (Err(reply), _) => reply.code(),
                (Ok(()), Command::Auth(_)) => {
                    security.secured();
                    234
                }
                (Ok(()), Command::Pbsz(_)) => {
                    security.set_buffer();
                    200
                }
                (Ok(()), Command::Prot(level)) => {
                    security.set_protection(Protection::read(level.as_bytes()).unwrap());
                    200
                }
                (Ok(()), Command::Ccc) => {
                    security.cleared();
                    200
                }
                (Ok(()), _) => 200,
            };
            assert_eq!(got.to_string(), want, "{line}\nin:\n{text}");
        }
    }

    #[test]
    fn without_tls_nothing_of_it_is_offered() {
        transcript(
            Demands::default(),
            "AUTH TLS -> 502\nPBSZ 0 -> 502\nPROT P -> 502\nCCC -> 502\nUSER joe -> 200\nRETR a -> 200",
        );
    }

    #[test]
    fn auth_pbsz_prot_come_in_this_order() {
        transcript(
            ALLOWED,
            "PBSZ 0 -> 503\nPROT P -> 503\nCCC -> 533\nAUTH KERBEROS_V4 -> 504\nAUTH TLS-P -> 504\nAUTH tls -> 234\n\
             AUTH TLS -> 503\nPROT P -> 503\nPBSZ x -> 501\nPBSZ -1 -> 501\nPBSZ +1 -> 501\nPBSZ 4294967296 -> 501\n\
             PBSZ 4294967295 -> 200\nPROT S -> 536\nPROT E -> 536\nPROT X -> 504\nPROT P -> 200\nPROT C -> 200",
        );
        for mechanism in ["TLS", "TLS-C", "SSL", "ssl"] {
            transcript(ALLOWED, &format!("AUTH {mechanism} -> 234"));
        }
    }

    #[test]
    fn what_is_required_is_asked_for_before_a_password_or_a_file_is_sent() {
        transcript(
            REQUIRED,
            "USER joe -> 534\nPASS x -> 534\nACCT x -> 534\nNOOP -> 200\nAUTH TLS -> 234\nUSER joe -> 200\nPASS x -> 200\n\
             LIST -> 521\nSTOR a -> 521\nMLSD -> 521\nMLST a -> 200\nPBSZ 0 -> 200\nPROT C -> 534\nRETR a -> 521\nPROT P -> 200\n\
             RETR a -> 200\nCCC -> 534",
        );
        let clear = Demands {
            data: Requirement::Off,
            ..ALLOWED
        };
        transcript(
            clear,
            "AUTH TLS -> 234\nPBSZ 0 -> 200\nPROT P -> 534\nPROT C -> 200\nRETR a -> 200",
        );
    }

    #[test]
    fn after_ccc_data_connections_stay_protected_and_no_password_is_taken() {
        let demands = Demands {
            ccc: true,
            ..REQUIRED
        };
        transcript(
            demands,
            "AUTH TLS -> 234\nUSER joe -> 200\nPBSZ 0 -> 200\nPROT P -> 200\nCCC -> 200\nRETR a -> 200\nCCC -> 533\n\
             AUTH TLS -> 503\nPBSZ 0 -> 200\nPROT C -> 534\nUSER jim -> 534",
        );
    }

    #[test]
    fn implicit_tls_begins_with_protected_data_connections() {
        let mut security = Security::default();
        security.set_demands(REQUIRED);
        security.secured_implicitly();
        play(
            security,
            "USER joe -> 200\nRETR a -> 200\nAUTH TLS -> 503\nPROT P -> 200",
        );
        security.set_demands(Demands {
            data: Requirement::Off,
            ..ALLOWED
        });
        security.secured_implicitly();
        assert_eq!(security.protection(), Protection::Clear);
    }
}
