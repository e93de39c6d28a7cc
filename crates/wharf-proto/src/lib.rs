//! RFC 959 and its family as values and rules, for both sides of the control connection.
//!
//! *In scope*: bytes to lines, lines to commands and replies, pathnames, representation types, listings, and the rules
//! that say in which order things may happen. *Out of scope*: sockets, files, clocks, threads, a runtime. Time, bytes and
//! addresses come in as arguments, so that everything here is tested as plain values.
//!
//! Reading order: values that stand in a line, the lines themselves, what travels on the data connection, the rules.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "tests"
    )
)]

// Values that stand in a line.
pub mod fingerprint;
pub mod host_port;
pub mod parameter;
pub mod pathname;
pub mod text;
pub mod timestamp;

// Lines.
pub mod command;
pub mod line;
pub mod reply;
mod telnet;

// What travels on the data connection, and what is told about it.
pub mod ascii;
pub mod data_connection;
pub mod digest;
pub mod facts;
pub mod feature;
pub mod listing;

// The session.
pub mod ftp_proxy;
pub mod quirk;
pub mod security;
pub mod server_pi;
pub mod trace;
pub mod user_pi;
pub mod user_transfer;

pub use ascii::{AsciiDecoder, AsciiEncoder};
pub use command::{Command, CommandError, CommandErrorKind, DuringTransfer, VERBS, Verb};
pub use digest::Digest;
pub use facts::{Fact, FactSet, FactType, Facts, Perm};
pub use feature::{Feature, Features};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use host_port::{EprtArgument, EpsvArgument, LprtArgument};
pub use line::{Line, LineDecoder};
pub use parameter::{Format, Protection, RepresentationType, Structure, TransferMode};
pub use pathname::{Pathname, PathnameError};
pub use reply::{Reply, ReplyClass, ReplyDecoder, ReplyError, ReplyLimits};
pub use text::{Secret, Text, visible};
pub use timestamp::Timestamp;
