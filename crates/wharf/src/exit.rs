//! What the program's exit status says, and the error that carries it to `main`.
//!
//! Client commands use a table of their own so that a script can tell "no such file" from "the data
//! connection did not come about"; server-side commands (`serve`, `check`, `user`) use the codes of
//! sysexits(3), which init systems know.

use std::fmt::Write as _;

use crate::catalogue::Cause;

/// Every exit status this version can end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Done = 0,
    Partial = 1,
    Usage = 2,
    Unreachable = 3,
    Login = 4,
    NotFound = 5,
    Denied = 6,
    DataConnection = 7,
    Timeout = 8,
    Tls = 9,
    Truncated = 10,
    Protocol = 11,
    LocalFile = 12,
    RemoteStorage = 13,
    Busy = 14,
    Changed = 15,
    Nothing = 16,
    Differs = 20,
    ServerUsage = 64,
    NoUser = 67,
    Unavailable = 69,
    Software = 70,
    CannotCreate = 73,
    NoPermission = 77,
    Config = 78,
    Interrupted = 130,
    Terminated = 143,
}

/// The documented table: code and meaning, in order. `wharf help exit-codes` prints it.
pub(crate) const TABLE: &[(Exit, &str)] = &[
    (Exit::Done, "everything was done"),
    (
        Exit::Partial,
        "part of it failed: several files or addresses were given and not all succeeded; firewall --check: what is loaded differs, --apply: the answer was no; doctor --server: something has to be done",
    ),
    (
        Exit::Usage,
        "wrong usage: the command line or an address in it",
    ),
    (
        Exit::Unreachable,
        "the server's name is unknown, it cannot be reached, or the control connection broke",
    ),
    (Exit::Login, "the server refused the login"),
    (Exit::NotFound, "no such file or directory on the server"),
    (
        Exit::Denied,
        "the server refused the command (permission, policy, not offered)",
    ),
    (
        Exit::DataConnection,
        "no data connection came about in any allowed data mode",
    ),
    (
        Exit::Timeout,
        "the server stopped answering, or a transfer stalled",
    ),
    (
        Exit::Tls,
        "no TLS where it is required, or the server's certificate is not believed",
    ),
    (
        Exit::Truncated,
        "the transfer ended early or the size does not agree",
    ),
    (Exit::Protocol, "the server's answer makes no sense"),
    (
        Exit::LocalFile,
        "a local file could not be read or written (disk full, permission, unsafe name)",
    ),
    (
        Exit::RemoteStorage,
        "the server has no room left, or a quota is used up",
    ),
    (
        Exit::Busy,
        "the server is busy or has too many connections; trying later may help",
    ),
    (
        Exit::Changed,
        "the file changed meanwhile, or is not the one that was to be continued",
    ),
    (
        Exit::Nothing,
        "there was nothing to do or to list, and --fail-if-empty was given",
    ),
    (
        Exit::Differs,
        "mirror --check: the trees differ; nothing was changed",
    ),
    (Exit::ServerUsage, "server commands: wrong usage"),
    (Exit::NoUser, "server commands: no such user"),
    (
        Exit::Unavailable,
        "server commands: an address, port, directory or program (nft) is not available",
    ),
    (
        Exit::Software,
        "server commands: unexpected failure while running",
    ),
    (
        Exit::CannotCreate,
        "server commands: an output file cannot be created",
    ),
    (Exit::NoPermission, "server commands: permission is missing"),
    (
        Exit::Config,
        "server commands: the configuration is wrong (serve, check, firewall)",
    ),
    (
        Exit::Interrupted,
        "interrupted (SIGINT); a partial file is kept",
    ),
    (
        Exit::Terminated,
        "terminated (SIGTERM); a partial file is kept",
    ),
];

impl Exit {
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

/// The table as text, for `wharf help exit-codes` and the footers of `--help`.
pub(crate) fn table_text() -> String {
    let mut text = String::new();
    for (exit, meaning) in TABLE {
        let _ = writeln!(text, "{:>5}  {meaning}", exit.code());
    }
    text
}

/// An error that ends a command: what happened, what may help, and the exit status.
///
/// Text in it is fit for a terminal: whatever came from the network or a file name went through
/// `wharf_proto::visible` before.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    /// Lines printed below the message as they are: tables, several findings.
    pub(crate) details: Vec<String>,
    pub(crate) hint: Option<String>,
    /// Already shown to the user (one line for each failed file): `main` only sets the status.
    pub(crate) told: bool,
    /// A transfer of which only the confirmation is missing.
    pub(crate) unconfirmed: bool,
    /// Ends with this status instead of the one of `exit`.
    code: Option<u8>,
    /// What is known more exactly than `exit` and the message tell.
    cause: Option<Cause>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            details: Vec::new(),
            hint: None,
            told: false,
            unconfirmed: false,
            code: None,
            cause: None,
        }
    }

    /// A failure whose cause has a row of its own in the catalogue; the exit status is the one of its class.
    pub(crate) fn of(cause: Cause, message: impl Into<String>) -> Self {
        Self::new(cause.exit(), message).because(cause)
    }

    /// The cause, where it is known better. One of another class than the exit status says is not believed.
    pub(crate) fn because(mut self, cause: Cause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// Why, as the catalogue has it.
    pub(crate) fn cause(&self) -> Cause {
        self.cause
            .filter(|cause| cause.exit() == self.exit)
            .unwrap_or_else(|| Cause::of(self.exit, &self.message))
    }

    /// The number the program ends with.
    pub(crate) fn code(&self) -> u8 {
        self.code.unwrap_or(self.exit.code())
    }

    pub(crate) fn with_code(mut self, code: u8) -> Self {
        self.code = Some(code);
        self
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Only a status: the reasons were printed when they arose.
    pub(crate) fn told(exit: Exit) -> Self {
        Self {
            told: true,
            ..Self::new(exit, String::new())
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn with_details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }
}

/// The status of a command that worked on several things: the common code when all failed alike,
/// [`Exit::Partial`] otherwise.
fn combined(results: &[Exit]) -> Exit {
    match results {
        [] => Exit::Done,
        [first, rest @ ..] if rest.iter().all(|exit| exit == first) => *first,
        _ => Exit::Partial,
    }
}

/// [`combined`] as the outcome of a command that has told each failure already.
pub(crate) fn summed(results: &[Exit]) -> Result<(), Failure> {
    match combined(results) {
        Exit::Done => Ok(()),
        exit => Err(Failure::told(exit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_ascending() {
        let codes: Vec<u8> = TABLE.iter().map(|(exit, _)| exit.code()).collect();
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(codes, sorted);
    }

    #[test]
    fn several_results_combine_to_the_common_code_or_partial() {
        for (results, expected) in [
            (&[][..], Exit::Done),
            (&[Exit::Done, Exit::Done], Exit::Done),
            (&[Exit::NotFound], Exit::NotFound),
            (&[Exit::NotFound, Exit::NotFound], Exit::NotFound),
            (&[Exit::NotFound, Exit::Done], Exit::Partial),
            (&[Exit::NotFound, Exit::Denied], Exit::Partial),
        ] {
            assert_eq!(combined(results), expected, "{results:?}");
        }
    }
}
