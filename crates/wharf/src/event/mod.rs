//! What happens, for programs: `--json` prints one JSON object a line (NDJSON), each an [`Event`].
//!
//! Every line has `v` (the version of the format, 1), `time` (UTC, RFC 3339) and `ev` (which event it is). Later versions of
//! wharf may add events and members, and do not count `v` up for it: readers skip what they do not know. Anything else counts
//! `v` up. docs/events.md is the description for people, docs/events.schema.json the one for programs; a test makes the
//! latter from the types here, and every event that the tests see is held against it.
//!
//! Where the events go: [`Place`]. One variant more is one row here, one in docs/events.md, and `UPDATE_EXPECT=1 cargo test -p
//! wharf event` for the schema.
//!
//! Texts in events are fit for a terminal, as all that the program prints: what is not UTF-8 and control characters are `\xNN`.

mod recorder;
mod stream;
mod transfer;

use std::net::SocketAddr;

use serde::Serialize;

pub(crate) use recorder::Teller;
pub(crate) use stream::{Place, Stream};
pub(crate) use transfer::{Transfer, Whole};

/// Something that happened. A name of the schema is `ev`'s value; the members of the variant stand beside it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "ev")]
pub(crate) enum Event {
    /// A control connection is there. `session` numbers the control connections of this run.
    #[serde(rename = "connect")]
    Connect {
        session: u64,
        local: SocketAddr,
        peer: SocketAddr,
    },
    /// TLS began, failed, or ended (CCC) on the control or the data connection.
    #[serde(rename = "tls")]
    Tls {
        session: u64,
        on: Channel,
        state: TlsState,
        /// `1.2`, `1.3`
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// The cipher suite.
        #[serde(skip_serializing_if = "Option::is_none")]
        suite: Option<String>,
        /// Whether a session was resumed.
        #[serde(skip_serializing_if = "Option::is_none")]
        resumed: Option<bool>,
        /// SHA-256 of the server's certificate.
        #[serde(skip_serializing_if = "Option::is_none")]
        certificate: Option<String>,
        /// Why it failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The server let us in.
    #[serde(rename = "login")]
    Login {
        /// `host:port`
        server: String,
        user: String,
    },
    /// A command was sent; passwords are masked. Only with -v.
    #[serde(rename = "command")]
    Command { session: u64, line: String },
    /// The server answered. Only with -v.
    #[serde(rename = "reply")]
    Reply {
        session: u64,
        code: Option<u16>,
        lines: Vec<String>,
    },
    /// A way to a data connection is being tried.
    #[serde(rename = "data.try")]
    DataTry { session: u64, way: Way },
    /// A way to a data connection did not work; another may be tried.
    #[serde(rename = "data.fail")]
    DataFail {
        session: u64,
        way: Option<Way>,
        /// Where the connection should have gone, or where this side listened.
        at: Option<SocketAddr>,
        /// What was seen, in words; the server's refusal when it refused.
        reason: String,
    },
    /// A data connection is there: this way was chosen.
    #[serde(rename = "data.open")]
    DataOpen {
        session: u64,
        way: Option<Way>,
        local: SocketAddr,
        peer: SocketAddr,
    },
    /// The data connection ended.
    #[serde(rename = "data.close")]
    DataClose {
        session: u64,
        /// Bytes that went over it, in both directions.
        bytes: u64,
        end: DataEnd,
    },
    /// The control connection ended.
    #[serde(rename = "disconnect")]
    Disconnect { session: u64, reason: String },
    /// A file begins to move. `file` numbers the transfers of this run.
    #[serde(rename = "file.start")]
    FileStart {
        file: u64,
        direction: Direction,
        /// The pathname on the server.
        remote: String,
        /// The local pathname, `-` for standard input and output.
        local: String,
        /// The length that is expected, where it is known.
        size: Option<u64>,
    },
    /// So many bytes have moved; about once a second.
    #[serde(rename = "file.progress")]
    FileProgress {
        file: u64,
        bytes: u64,
        size: Option<u64>,
    },
    /// A transfer ended, well or not.
    #[serde(rename = "file.end")]
    FileEnd {
        file: u64,
        direction: Direction,
        remote: String,
        local: String,
        outcome: Outcome,
        /// What proves that it is the whole file: `none`, `size` (the lengths agree), or the name of a digest that was compared.
        verified: String,
        /// Bytes that moved in this run.
        bytes: u64,
        /// Where it was continued; 0 when it began at the beginning.
        resumed_at: u64,
        seconds: f64,
        /// The code of this failure, `WF-0701`; absent when it ended well.
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// The exit status of this failure; absent when it ended well.
        #[serde(skip_serializing_if = "Option::is_none")]
        exit: Option<u8>,
        /// What went wrong; absent when it ended well.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// One step of a mirror, planned (`--dry-run`, `--check`), done, or refused.
    #[serde(rename = "mirror.step")]
    MirrorStep {
        state: StepState,
        action: StepAction,
        /// Below the top of both trees.
        path: String,
        /// The length of a file that is copied.
        #[serde(skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
        /// Why a file is copied (`new`, `size`, `newer`, `older`, `content`, `kind`), or a name is refused.
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<&'static str>,
    },
    /// What a mirror came to; of a dry run: what it would have come to.
    #[serde(rename = "mirror.end")]
    MirrorEnd {
        /// Files.
        copied: u64,
        /// Bytes that travelled.
        bytes: u64,
        /// Files that were the same already.
        same: u64,
        /// Directories.
        made: u64,
        /// Symbolic links.
        links: u64,
        /// Times and permissions alone.
        adjusted: u64,
        deleted: u64,
        /// Extraneous things that were spared, because they were too many or a listing was incomplete.
        not_deleted: u64,
        /// Links, devices, files of unwanted size or age.
        left_out: u64,
        /// Names that were not taken.
        refused: u64,
        failed: u64,
        /// Files that were changed while they were copied.
        changed: u64,
    },
    /// Worth knowing, nothing to do.
    #[serde(rename = "note")]
    Note { text: String },
    /// Something is not as it should be; the command goes on.
    #[serde(rename = "warning")]
    Warning { text: String },
    /// Something failed. A command that works on several things goes on with the next.
    #[serde(rename = "error")]
    Error {
        /// `WF-0701`: what `wharf explain` knows more about.
        code: String,
        /// The exit status that belongs to it, `wharf help exit-codes`.
        exit: u8,
        message: String,
        details: Vec<String>,
        hint: Option<String>,
    },
    /// The last line of a run.
    #[serde(rename = "summary")]
    Summary {
        /// The exit status.
        exit: u8,
        /// Files that ended complete.
        files: u64,
        /// Files that did not.
        failed: u64,
        /// Bytes of files that moved.
        bytes: u64,
        seconds: f64,
    },
}

/// What became of a step of a mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum StepState {
    Planned,
    Done,
    Refused,
}

/// What a step of a mirror does; `discard` removes a remnant of an earlier run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum StepAction {
    Copy,
    MakeDir,
    Link,
    SetMode,
    Discard,
    Delete,
}

/// One of FTP's two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Channel {
    Control,
    Data,
}

/// What became of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum TlsState {
    Secured,
    Failed,
    Cleared,
}

/// The command by which a data connection is arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    Epsv,
    Pasv,
    Eprt,
    Port,
}

/// How a data connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum DataEnd {
    Clean,
    Broken,
    Aborted,
    Stalled,
}

/// Which way a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    /// From the server.
    Get,
    /// To the server.
    Put,
}

/// What is at the goal of a transfer that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// The whole file.
    Complete,
    /// Not the whole file, or nothing.
    Incomplete,
    /// Probably the whole file; its confirmation was lost.
    Unknown,
}

#[cfg(test)]
mod tests;
