//! What can go wrong, sorted by what a caller does next.
//!
//! [`ErrorKind`] is the question "what now": try again, log in, give up, ask the user. The texts are for people; what the
//! server said stands in them with control characters made visible. The kinds are finer than exit codes and coarser than
//! reply codes; the reply itself is kept.

use std::error::Error as StdError;
use std::fmt;

use wharf_proto::data_connection::evidence::Tried;
use wharf_proto::{Reply, ReplyClass, visible};

/// Result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed operation.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    what: String,
    reply: Option<Reply>,
    tried: Vec<Tried>,
    explanation: Vec<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    unconfirmed: bool,
    not_resumed: bool,
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The host name has no address.
    Resolve,
    /// No control connection came about, or it broke and could not be made again.
    Connect,
    /// The server closed the control connection, or it broke.
    Closed,
    /// There is no TLS although it is required; or the server's certificate is not trusted, the handshake failed, or something
    /// came in clear where nothing may.
    Tls,
    /// USER, PASS or ACCT was refused.
    Login,
    /// The server says that there is no such file or directory.
    NotFound,
    /// The server does not permit it.
    Permission,
    /// The name is taken: MKD of what exists.
    Exists,
    /// The server does not know or offer the command, the parameter or the restart.
    Unsupported,
    /// The server refused for a reason of its own (451 and the like).
    Refused,
    /// None of the ways to a data connection worked; see [`Error::tried`].
    DataConnection,
    /// A reply did not come in time.
    Timeout,
    /// No byte moved on the data connection for the stall time.
    Stalled,
    /// The data ended before the length that the server had told, or before a final reply confirmed it.
    Truncated,
    /// Lengths or contents do not agree after the transfer.
    Mismatch,
    /// The remote file changed between or during transfers.
    Changed,
    /// The server said something that RFC 959 does not allow here, or too much of it.
    Protocol,
    /// A local file could not be read, written or renamed, or its name is unsafe.
    Local,
    /// The server has no space or quota left (452, 552).
    RemoteStorage,
    /// The server is too busy or has too many connections (421, 450, or 530 with such a text).
    Busy,
    /// The caller's argument cannot be sent: CR, LF, NUL or too long.
    Argument,
    /// The transfer was stopped by this side.
    Aborted,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        let inner = Inner {
            kind,
            what: what.into(),
            reply: None,
            tried: Vec::new(),
            explanation: Vec::new(),
            source: None,
            unconfirmed: false,
            not_resumed: false,
        };
        Self {
            inner: Box::new(inner),
        }
    }

    pub(crate) fn from_source(
        kind: ErrorKind,
        what: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let mut error = Self::new(kind, what);
        error.inner.source = Some(source.into());
        error
    }

    /// Says which command it was about.
    pub(crate) fn at(mut self, command: &str) -> Self {
        self.inner.what = format!("{command}: {}", self.inner.what);
        self
    }

    pub(crate) fn with_reply(mut self, reply: Reply) -> Self {
        self.inner.reply = Some(reply);
        self
    }

    pub(crate) fn with_tried(mut self, tried: &[Tried], explanation: Vec<String>) -> Self {
        self.inner.tried = tried.to_vec();
        self.inner.explanation = explanation;
        self
    }

    /// Marks [`is_unconfirmed`](Self::is_unconfirmed).
    pub(crate) fn unconfirmed(mut self) -> Self {
        self.inner.unconfirmed = true;
        self
    }

    /// Marks an error as [`is_not_resumed`](Self::is_not_resumed).
    pub(crate) fn not_resumed(mut self) -> Self {
        self.inner.not_resumed = true;
        self
    }

    /// Whether the server refused a data connection because it did not resume the control connection's TLS session.
    pub fn is_not_resumed(&self) -> bool {
        self.inner.not_resumed
    }

    /// Whether all data of a transfer moved, as far as can be seen, and only its confirmation is missing: no final reply,
    /// and no size that agrees. What was written is probably complete, and nothing proves it.
    pub fn is_unconfirmed(&self) -> bool {
        self.inner.unconfirmed
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// A negative or unexpected final reply; `what` is the command as it may be shown.
    pub(crate) fn refused(access: Access, what: impl fmt::Display, reply: Reply) -> Self {
        Self::new(kind_of(access, &reply), what.to_string()).with_reply(reply)
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The server's reply that is the cause, if one is.
    pub fn reply(&self) -> Option<&Reply> {
        self.inner.reply.as_ref()
    }

    /// For [`ErrorKind::DataConnection`]: the ways that were tried, in their order.
    pub fn tried(&self) -> &[Tried] {
        &self.inner.tried
    }

    /// For [`ErrorKind::DataConnection`]: one line a way, those that were not tried with the reason; then the likely
    /// causes, who must act, and what to try. Part of the text, too.
    pub fn explanation(&self) -> &[String] {
        &self.inner.explanation
    }

    /// Whether the same operation may succeed later without anything being changed: the network, time and load, and
    /// replies of class 4yz (RFC 959 §4.2.1), but never a refused login.
    pub fn is_transient(&self) -> bool {
        match self.inner.kind {
            ErrorKind::Login => false,
            ErrorKind::Closed
            | ErrorKind::Connect
            | ErrorKind::Timeout
            | ErrorKind::Stalled
            | ErrorKind::Truncated
            | ErrorKind::Busy => true,
            _ => self
                .inner
                .reply
                .as_ref()
                .is_some_and(|it| it.class() == ReplyClass::TransientNegative),
        }
    }

    /// Whether nobody is there any more to be asked: the control connection is gone, or the server sends everybody away.
    pub(crate) fn lost_the_server(&self) -> bool {
        matches!(
            self.inner.kind,
            ErrorKind::Busy | ErrorKind::Closed | ErrorKind::Connect | ErrorKind::Timeout
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.inner.what)?;
        if let Some(reply) = &self.inner.reply {
            write!(
                out,
                ": {} {}",
                reply.code(),
                visible(reply.text().as_bytes())
            )?;
        }
        if let Some(source) = &self.inner.source {
            write!(out, ": {source}")?;
        }
        for line in &self.inner.explanation {
            write!(out, "\n  {line}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}: {self}", self.inner.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_ref().map(|it| {
            let it: &(dyn StdError + 'static) = it.as_ref();
            it
        })
    }
}

/// What a command wanted of the server; decides how the catch-all 550 is read when its text says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Something that must exist: RETR, CWD, SIZE, DELE...
    Reads,
    /// Something that is made or replaced: STOR, MKD, RNTO...
    Writes,
    /// USER, PASS, ACCT.
    Login,
    /// Anything else.
    Other,
}

/// Words by which servers tell the reasons for 550 apart; lower case. First match wins.
const TEXTS: &[(&str, ErrorKind)] = &[
    ("not empty", ErrorKind::Refused), // RMD
    ("is a directory", ErrorKind::Refused),
    ("regular file", ErrorKind::Refused), // ProFTPD: "Not a..."; Pure-FTPd: "I can only retrieve regular files"
    ("not a plain file", ErrorKind::Refused),
    ("no such", ErrorKind::NotFound),
    ("not found", ErrorKind::NotFound),
    ("does not exist", ErrorKind::NotFound),
    ("doesn't exist", ErrorKind::NotFound),
    ("cannot find", ErrorKind::NotFound), // IIS: "The system cannot find the file specified."
    ("file existence", ErrorKind::NotFound), // Pure-FTPd: "Can't check for file existence"
    ("exists", ErrorKind::Exists),
    ("already exist", ErrorKind::Exists),
    ("permission", ErrorKind::Permission),
    ("denied", ErrorKind::Permission),
    ("not allowed", ErrorKind::Permission),
    ("not permitted", ErrorKind::Permission),
    ("privilege", ErrorKind::Permission),
    ("forbidden", ErrorKind::Permission),
    ("read-only", ErrorKind::Permission),
    ("quota", ErrorKind::RemoteStorage),
    ("no space", ErrorKind::RemoteStorage),
    ("disk full", ErrorKind::RemoteStorage),
];

/// Words by which a refusal at the door means "come back later" (vsftpd, ProFTPD, Pure-FTPd, FileZilla Server).
const BUSY_TEXTS: &[&str] = &[
    "too many",
    "maximum",
    "busy",
    "try again later",
    "limit",
    "connections",
];

fn kind_of(access: Access, reply: &Reply) -> ErrorKind {
    let text = String::from_utf8_lossy(reply.text().as_bytes()).to_lowercase();
    let says = |words: &[&str]| words.iter().any(|it| text.contains(it));
    match reply.code() {
        421 => ErrorKind::Busy,
        425 => ErrorKind::DataConnection,
        426 => ErrorKind::Truncated,
        430 | 530 | 532 if says(BUSY_TEXTS) => ErrorKind::Busy,
        430 | 530 | 532 => ErrorKind::Login,
        452 | 552 => ErrorKind::RemoteStorage,
        500 | 502 | 504 | 522 => ErrorKind::Unsupported,
        503 => ErrorKind::Protocol,
        450 | 501 | 550 | 553 => {
            let by_text = TEXTS
                .iter()
                .find(|(words, _)| text.contains(words))
                .map(|(_, kind)| *kind);
            by_text.unwrap_or(match access {
                _ if reply.code() == 450 => ErrorKind::Busy,
                _ if reply.code() == 501 => ErrorKind::Refused,
                _ if reply.code() == 553 => ErrorKind::Permission,
                Access::Reads => ErrorKind::NotFound,
                Access::Writes => ErrorKind::Permission,
                Access::Login | Access::Other => ErrorKind::Refused,
            })
        }
        _ if access == Access::Login && reply.class() == ReplyClass::PermanentNegative => {
            ErrorKind::Login
        }
        _ => match reply.class() {
            ReplyClass::TransientNegative | ReplyClass::PermanentNegative => ErrorKind::Refused,
            _ => ErrorKind::Protocol,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_sorted_by_code_then_by_text_then_by_what_was_wanted() {
        let check = |access, code, text: &str, expected| {
            assert_eq!(
                kind_of(access, &Reply::new(code, text)),
                expected,
                "{code} {text}"
            );
        };
        check(
            Access::Reads,
            550,
            "Failed to open file.",
            ErrorKind::NotFound,
        );
        check(
            Access::Reads,
            550,
            "x: Permission denied",
            ErrorKind::Permission,
        );
        check(
            Access::Reads,
            550,
            "x: No such file or directory",
            ErrorKind::NotFound,
        );
        check(
            Access::Writes,
            550,
            "Create directory operation failed.",
            ErrorKind::Permission,
        );
        check(Access::Writes, 550, "x: File exists", ErrorKind::Exists);
        check(
            Access::Writes,
            550,
            "dir: Does not exist",
            ErrorKind::NotFound,
        );
        check(
            Access::Writes,
            553,
            "Could not create file.",
            ErrorKind::Permission,
        );
        check(
            Access::Writes,
            552,
            "Quota exceeded",
            ErrorKind::RemoteStorage,
        );
        check(
            Access::Reads,
            550,
            "I can only retrieve regular files",
            ErrorKind::Refused,
        );
        check(
            Access::Reads,
            550,
            "Can't check for file existence",
            ErrorKind::NotFound,
        );
        check(
            Access::Reads,
            501,
            "No such directory.",
            ErrorKind::NotFound,
        ); // pyftpdlib, MLSD
        check(Access::Login, 530, "Login incorrect.", ErrorKind::Login);
        check(
            Access::Login,
            530,
            "Sorry, the maximum number of clients are connected",
            ErrorKind::Busy,
        );
        check(Access::Login, 421, "Too many users", ErrorKind::Busy);
        check(Access::Login, 500, "what", ErrorKind::Unsupported);
        check(Access::Login, 535, "no", ErrorKind::Login);
        check(Access::Other, 451, "local error", ErrorKind::Refused);
        check(Access::Other, 350, "go on", ErrorKind::Protocol);
        check(Access::Reads, 450, "file in use", ErrorKind::Busy);
    }

    #[test]
    fn what_the_server_says_cannot_steer_a_terminal() {
        let error = Error::refused(Access::Reads, "RETR x", Reply::new(550, b"\x1b[2Jgone"));
        assert!(!error.to_string().contains('\x1b'), "{error}");
    }

    #[test]
    fn transience_follows_the_reply_class() {
        let error = |code| Error::refused(Access::Reads, "RETR x", Reply::new(code, "no"));
        assert!(error(451).is_transient());
        assert!(error(421).is_transient());
        assert!(!error(550).is_transient());
        assert!(!error(530).is_transient());
    }
}
