//! Every failure a command handler can meet, and the reply it becomes. The only place that
//! chooses reply codes for failures.
//!
//! The text comes from a fixed set and names the path *as the client named it*; the cause (an
//! errno, a path on this machine) goes to the log with the session's number.

mod data_connection;
mod protection;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use wharf_net::OpenError;
use wharf_proto::data_connection::Offer;
use wharf_proto::data_connection::guard::TargetRefusal;
use wharf_proto::data_connection::sorting::Refusal;
use wharf_proto::{Pathname, Reply, Verb};
use wharf_storage::ErrorKind;

pub(crate) use data_connection::{Circumstances, Told};
use protection::{NOT_RESUMED, cut, unprotected};

/// What a handler returns: its one final reply, or why there is none
pub(crate) type Outcome = Result<Reply, Failure>;

/// Why a command was not carried out
#[derive(Debug)]
pub(crate) enum Failure {
    /// The reply is the whole story: a rule refused the command
    Refused(Reply),
    /// The storage said no; the path is the one the client wrote
    Storage {
        error: wharf_storage::Error,
        path: Vec<u8>,
    },
    /// A transfer command without PASV, EPSV, PORT or EPRT before it
    NoDataPort,
    /// No passive port could be taken
    NoPassivePort { error: io::Error, range: String },
    /// No turn at a port that it shares with other sessions
    Shared(Refusal),
    /// PORT, EPRT or LPRT names an address that no data connection will be opened to
    Target {
        target: SocketAddr,
        refusal: TargetRefusal,
        offer: Offer,
    },
    /// The data connection did not come about
    Open(OpenError),
    /// The data connection ended without saying so (TLS close_notify), which is not taken for the end of a file
    Cut { received: u64 },
    /// The data connection broke
    Broken(io::Error),
    /// Nothing moved on the data connection for this long
    Stalled(Duration),
    /// The file became shorter while it was sent
    Shrunk,
    /// ABOR, or the control connection went away, or the server stops
    Aborted,
    /// The control connection is gone: nobody is left to be answered
    Gone(io::Error),
}

impl Failure {
    /// 501: the argument cannot be meant
    pub(crate) fn argument(text: impl AsRef<[u8]>) -> Self {
        Self::Refused(Reply::new(501, text))
    }

    /// 504: understood, and not offered with this parameter
    pub(crate) fn parameter(text: impl AsRef<[u8]>) -> Self {
        Self::Refused(Reply::new(504, text))
    }

    /// 550 with a text of its own: the file is not what the command needs
    pub(crate) fn file(path: &Pathname, text: &str) -> Self {
        Self::Refused(Reply::new(550, named(path.as_bytes(), text)))
    }

    /// The reply for it to this verb; `None` when nobody is left to read one
    pub(crate) fn reply(&self, verb: &Verb, now: &Circumstances) -> Option<Reply> {
        let reply = match self {
            Self::Refused(reply) => reply.clone(),
            Self::Storage { error, path } => {
                let (wanted, text) = storage(error.kind());
                // A storage can fail in more ways than RFC 959 §5.4 has replies for a verb.
                let code = [wanted, 550].into_iter().find(|code| verb.allows(*code));
                Reply::new(code.unwrap_or(451), named(path, text))
            }
            Self::NoDataPort => Reply::new(425, now.unarranged()),
            Self::NoPassivePort { error, range } => match error.kind() {
                io::ErrorKind::AddrInUse => Reply::new(425, now.exhausted(range)),
                _ => Reply::new(425, "Cannot listen for a data connection"),
            },
            Self::Shared(why) => Reply::new(425, format!("No passive port: {why}")),
            Self::Target { refusal, offer, .. } => refusal.reply(*offer),
            // RFC 4217 §10; who may try again, and fail again, would do so at a 4yz.
            Self::Open(OpenError::NotResumed { .. }) => Reply::new(522, NOT_RESUMED),
            Self::Open(OpenError::Handshake { error, .. }) => Reply::new(522, unprotected(error)),
            Self::Open(error) => Reply::new(425, now.unopened(error)),
            Self::Cut { received } => Reply::new(426, cut(*received)),
            Self::Broken(error) => Reply::new(426, now.broken(error, verb)),
            Self::Stalled(waited) => Reply::new(426, now.stalled(*waited, verb)),
            Self::Shrunk => Reply::new(451, "The file became shorter; transfer incomplete"),
            Self::Aborted => Reply::new(426, "Transfer aborted; data connection closed"),
            Self::Gone(_) => return None,
        };
        Some(reply)
    }

    /// Tells the log what the reply keeps to itself
    pub(crate) fn log(&self, now: &Circumstances) {
        match self {
            Self::Storage { error, .. } => match error.kind() {
                ErrorKind::Io => {
                    tracing::error!(error = error as &dyn std::error::Error, "storage failed");
                }
                _ => tracing::debug!(error = error as &dyn std::error::Error, "storage refused"),
            },
            Self::NoPassivePort { error, range } => {
                tracing::warn!(%error, range, "no passive port");
            }
            Self::Shared(why) => tracing::info!(%why, "no turn at the shared port"),
            Self::Target {
                target, refusal, ..
            } => {
                tracing::warn!(%target, %refusal, "data connection target refused");
            }
            Self::Open(error) => now.log(error),
            Self::Broken(error) => {
                tracing::info!(%error, bytes = now.moved, "data connection broke");
            }
            Self::Cut { received } => {
                tracing::warn!(
                    received,
                    "upload without close_notify: not taken for complete"
                );
            }
            Self::Stalled(waited) => {
                tracing::info!(?waited, bytes = now.moved, "data connection stalled");
            }
            Self::Gone(error) => tracing::debug!(%error, "control connection is gone"),
            Self::Shrunk => tracing::warn!("a file became shorter while it was sent"),
            Self::Refused(_) | Self::NoDataPort | Self::Aborted => {}
        }
    }
}

/// Storage errors as replies; 450 and 452 promise that trying again may help
fn storage(kind: ErrorKind) -> (u16, &'static str) {
    match kind {
        ErrorKind::NotFound => (550, "no such file or directory"),
        ErrorKind::Denied => (550, "permission denied"),
        ErrorKind::Exists => (550, "exists already"),
        ErrorKind::IsDirectory => (550, "is a directory"),
        ErrorKind::NotDirectory => (550, "not a directory"),
        ErrorKind::WrongKind => (550, "not a plain file"),
        ErrorKind::NotEmpty => (550, "directory not empty"),
        ErrorKind::NameNotAllowed => (553, "name not allowed"),
        ErrorKind::InvalidOffset => (550, "restart position beyond the end of the file"),
        ErrorKind::NoSpace => (452, "no space left"),
        ErrorKind::Quota => (552, "quota exceeded"),
        ErrorKind::Busy => (450, "busy, try again"),
        ErrorKind::Unsupported => (504, "not offered by this storage"),
        _ => (451, "local error; the server's log says more"),
    }
}

fn named(path: &[u8], text: &str) -> Vec<u8> {
    let mut line = path.to_vec();
    line.extend_from_slice(b": ");
    line.extend_from_slice(text.as_bytes());
    line
}

/// Says which path a storage error is about, in the client's own words
pub(crate) trait AtPath<T> {
    fn at(self, path: &Pathname) -> Result<T, Failure>;
}

impl<T> AtPath<T> for Result<T, wharf_storage::Error> {
    fn at(self, path: &Pathname) -> Result<T, Failure> {
        self.map_err(|error| Failure::Storage {
            error,
            path: path.as_bytes().to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use wharf_proto::VERBS;

    use super::*;

    #[test]
    fn whatever_a_storage_says_the_reply_is_of_the_row() {
        let now = Circumstances {
            peer: "198.51.100.7".parse().expect("an address"),
            control_port: 21,
            told: None,
            range: "50000-50099".parse().expect("a range"),
            active: true,
            control_port_next: false,
            moved: 0,
        };
        for kind in [
            ErrorKind::NotFound,
            ErrorKind::Denied,
            ErrorKind::Exists,
            ErrorKind::IsDirectory,
            ErrorKind::NotDirectory,
            ErrorKind::WrongKind,
            ErrorKind::NotEmpty,
            ErrorKind::NameNotAllowed,
            ErrorKind::InvalidOffset,
            ErrorKind::NoSpace,
            ErrorKind::Quota,
            ErrorKind::Busy,
            ErrorKind::Unsupported,
            ErrorKind::Io,
        ] {
            let failure = Failure::Storage {
                error: kind.into(),
                path: b"path".to_vec(),
            };
            for verb in VERBS {
                let reply = failure.reply(verb, &now).expect("a reply");
                assert!(verb.allows(reply.code()), "{} {reply:?}", verb.word);
            }
        }
    }
}
