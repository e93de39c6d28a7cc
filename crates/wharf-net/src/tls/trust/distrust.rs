//! Why a server's certificate is not believed, in people's words.

use std::fmt;

use super::{Fingerprint, Known};
use crate::tls::described::date;

/// Why a server's certificate is not believed. `Display` is the cause, [`next_step`](Self::next_step) what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Distrust {
    /// It has ended.
    Expired {
        /// Its last second, since 1970.
        ended: i64,
    },
    /// It has not begun.
    NotYetValid {
        /// Its first second, since 1970.
        begins: i64,
    },
    /// A known authority signed it, but for another host.
    WrongName {
        /// The host that was asked for.
        asked: String,
        /// Whom it is for, for people.
        is_for: String,
    },
    /// Nobody whom we know has signed it.
    UnknownAuthority {
        /// The certificate that was shown.
        shown: Fingerprint,
        /// It says to have signed itself.
        self_signed: bool,
        /// Who says to have signed it.
        issuer: String,
        /// For whom it is and how long, in its own words.
        says: String,
    },
    /// Another one than when this server was first seen, and no known authority vouches for it.
    Changed {
        /// What was remembered.
        was: Known,
        /// What was shown now.
        shown: Fingerprint,
    },
    /// The user said which certificate it must be, and it is another.
    NotPinned {
        /// What was shown.
        shown: Fingerprint,
    },
    /// It is no certificate for a TLS server, or none that can be read.
    Unfit(String),
    /// Whether the server is known could not be found out.
    Forgotten(String),
}

impl Distrust {
    /// The certificate that was shown, where believing it is a matter of comparing its fingerprint.
    pub fn shown(&self) -> Option<Fingerprint> {
        match self {
            Self::UnknownAuthority { shown, .. }
            | Self::Changed { shown, .. }
            | Self::NotPinned { shown } => Some(*shown),
            _ => None,
        }
    }

    /// What may be done about it, for people.
    pub fn next_step(&self) -> String {
        match self {
            Self::Expired { .. } => "the server needs a new certificate".to_owned(),
            Self::NotYetValid { .. } => {
                "is the clock of this machine right? If so, the server's certificate is at fault"
                    .to_owned()
            }
            Self::WrongName { .. } => {
                "connect by a name that it is for; if it is the right server, \
                 its administrator must have the name added"
                    .to_owned()
            }
            Self::UnknownAuthority { shown, .. } => format!(
                "--ca FILE names the authority that signed it; --pin {shown} believes \
                 this one certificate, after its fingerprint was compared with the server's administrator"
            ),
            Self::Changed { shown, .. } => format!(
                "somebody may stand in between. If the server's administrator confirms the fingerprint \
                 {shown}, `wharf forget HOST` forgets the old one"
            ),
            Self::NotPinned { .. } => {
                "compare the fingerprint with the server's administrator before it is given as --pin"
                    .to_owned()
            }
            Self::Unfit(_) => "the server needs another certificate".to_owned(),
            Self::Forgotten(_) => {
                "without the list of known servers nothing protects from a false one: \
                 repair or remove the file"
                    .to_owned()
            }
        }
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { ended } => {
                write!(f, "the server's certificate ended on {}", date(*ended))
            }
            Self::NotYetValid { begins } => {
                write!(
                    f,
                    "the server's certificate is valid only from {} on",
                    date(*begins)
                )
            }
            Self::WrongName { asked, is_for } => {
                write!(
                    f,
                    "the server's certificate is not for {asked} but for {is_for}"
                )
            }
            Self::UnknownAuthority {
                shown,
                self_signed: true,
                ..
            } => write!(
                f,
                "the server signed its certificate itself and is not known (SHA-256 {shown})"
            ),
            Self::UnknownAuthority { shown, issuer, .. } => write!(
                f,
                "the server's certificate was signed by {issuer}, who is not known (SHA-256 {shown})"
            ),
            Self::Changed {
                was: Known::Certificate(was),
                shown,
            } => write!(
                f,
                "the server's certificate has changed since it was first seen: it was {was}, it is {shown}"
            ),
            Self::Changed {
                was: Known::Authority,
                shown,
            } => write!(
                f,
                "a known authority vouched for this server before, and none does for the certificate \
                 that it shows now (SHA-256 {shown})"
            ),
            Self::NotPinned { shown } => write!(
                f,
                "the server's certificate is another than the one that was demanded: it is {shown}"
            ),
            Self::Unfit(why) => write!(f, "the server's certificate is of no use: {why}"),
            Self::Forgotten(why) => write!(f, "the list of known servers cannot be read: {why}"),
        }
    }
}

impl std::error::Error for Distrust {}
