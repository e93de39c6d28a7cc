//! TLS on the client's side: AUTH, PBSZ, PROT and CCC end at us (RFC 2228, RFC 4217). What protects the server's side is
//! no business of the client, and the other way round.

use wharf_proto::{Command, Reply, Text};

use super::filter;

/// What is asked of the client's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Offer {
    /// There is no TLS.
    #[default]
    None,
    /// The client may have it.
    Allowed,
    /// Nobody logs in, and nothing is transferred, without it.
    Required,
}

/// How far the client's side is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Protection {
    offer: Offer,
    control: bool,
    buffer_size: bool,
    data: bool,
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
    /// In clear, so far.
    pub fn new(offer: Offer) -> Self {
        Self {
            offer,
            ..Self::default()
        }
    }

    /// With a control connection that was in TLS before it said anything.
    #[must_use]
    pub fn implicit(self) -> Self {
        Self {
            control: true,
            ..self
        }
    }

    /// Whether data connections are to be protected.
    pub fn data(self) -> bool {
        self.data
    }

    /// The answer to a command about protection; `None` for any other command.
    pub(crate) fn answer(&mut self, word: &[u8], parsed: Option<&Command>) -> Option<Answer> {
        if self.offer == Offer::None {
            return filter::refusal(word).map(Answer::Say);
        }
        let say = |code, text: &str| Some(Answer::Say(Reply::new(code, text)));
        match parsed {
            Some(Command::Auth(_)) if self.control => say(503, "TLS is in force already"),
            Some(Command::Auth(mechanism)) if is_tls(mechanism) => {
                Some(Answer::Secure(Reply::new(234, "Begin with TLS")))
            }
            Some(Command::Auth(_)) => say(504, "AUTH TLS is what there is"),
            Some(Command::Pbsz(_) | Command::Prot(_)) if !self.control => {
                say(503, "AUTH TLS comes first")
            }
            Some(Command::Pbsz(size)) => {
                let digits = size.as_bytes();
                if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                    return say(501, "Syntax: PBSZ <SP> <decimal integer>");
                }
                self.buffer_size = true;
                // RFC 4217 §9: TLS buffers for itself
                say(200, "PBSZ=0")
            }
            Some(Command::Prot(_)) if !self.buffer_size => say(503, "PBSZ 0 comes first"),
            Some(Command::Prot(level)) if level.is_word("P") => {
                self.data = true;
                let reply = Reply::new(200, "Data connections are protected");
                Some(Answer::ProtectData(true, reply))
            }
            Some(Command::Prot(level)) if level.is_word("C") => {
                if self.offer == Offer::Required {
                    return say(534, "Data connections must be protected here: PROT P");
                }
                self.data = false;
                let reply = Reply::new(200, "Data connections are in clear");
                Some(Answer::ProtectData(false, reply))
            }
            Some(Command::Prot(level)) if level.is_word("S") || level.is_word("E") => {
                say(536, "TLS protects as P or not at all")
            }
            Some(Command::Prot(_)) => say(504, "PROT C or PROT P"),
            Some(Command::Ccc) if self.control => {
                say(534, "The control connection stays protected here")
            }
            // Wrong arguments have replies of their own.
            None if is_ours(word) => None,
            _ => filter::refusal(word).map(Answer::Say),
        }
    }

    /// The handshake is over.
    pub(crate) fn secured(&mut self) {
        self.control = true;
    }

    /// Why nobody may log in yet.
    pub(crate) fn no_login(self) -> Option<Reply> {
        let missing = self.offer == Offer::Required && !self.control;
        missing.then(|| Reply::new(530, "TLS is required here: AUTH TLS, then log in"))
    }

    /// Why nothing may be transferred yet.
    pub(crate) fn no_transfer(self) -> Option<Reply> {
        let missing = self.offer == Offer::Required && !self.data;
        missing.then(|| Reply::new(521, "Data connections must be protected here: PROT P"))
    }

    /// Lines of FEAT.
    pub(crate) fn features(self) -> &'static [&'static str] {
        match self.offer {
            Offer::None => &[],
            Offer::Allowed | Offer::Required => &["AUTH TLS", "PBSZ", "PROT"],
        }
    }
}

fn is_ours(word: &[u8]) -> bool {
    [b"AUTH", b"PBSZ", b"PROT"]
        .iter()
        .any(|it| word.eq_ignore_ascii_case(*it))
}

/// The names that RFC 4217 §17 and its drafts have for it. `TLS-P` and `SSL` mean protected data from the start in some
/// drafts; clients that say them send PROT all the same.
fn is_tls(mechanism: &Text) -> bool {
    ["TLS", "TLS-C", "TLS-P", "SSL"]
        .iter()
        .any(|it| mechanism.is_word(it))
}
