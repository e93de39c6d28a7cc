//! The FTP client as a library: the user-PI and the user-DTP.
//!
//! [`connect`] makes a [`Greeting`], [`Greeting::login`] a [`Client`], and the client has one method a verb. A running
//! transfer borrows the client: [`Download`] is an `AsyncRead`, [`Upload`] an `AsyncWrite`, and neither can be forgotten
//! half-way; dropping one resets its data connection, and the next operation brings both sides in step again.
//!
//! ```no_run
//! # async fn example() -> wharf_client::Result<()> {
//! use std::{path::Path, sync::Arc};
//! use wharf_client::{FileOptions, Options, Target};
//!
//! let target: Target = "ftp://me:secret@files.example/reports/may.pdf".parse().expect("an address");
//! let net = Arc::new(wharf_net::TcpNet::default());
//! let mut client = wharf_client::open(net, &target, Options::default()).await?;
//! if let Some(path) = target.path() {
//!     client.retrieve_to_file(path, Path::new("may.pdf"), &FileOptions::default()).await?;
//! }
//! client.quit().await;
//! # Ok(())
//! # }
//! ```
//!
//! # A tour
//!
//! * **Addresses.** [`Target`] reads `ftp://`, `ftpes://` (TLS from AUTH on) and `ftps://` (TLS from the first byte on). What
//!   it says about TLS wins over [`Options::tls`].
//! * **A session.** [`open`] does all of it; [`connect`] stops after the greeting, [`Greeting::login`] goes on. [`Login`] has no
//!   default: who is anonymous says so.
//! * **Files.** [`Client::retrieve_to_file`] and [`Client::store_from_file`] resume, keep times, and give a download its name
//!   only when it is complete. [`Client::retrieve`] and [`Client::store`] are the streams below them: read or write, then call
//!   `finish`. In FTP the end of the data connection is the end of the file, so an end proves nothing; `finish` waits for
//!   the server's word and compares the length. After an error of the stream, `explain` asks the server for the reason.
//! * **Directories.** [`Client::list`] and [`Client::listing`] give [`Entry`]s, by MLSD or by any of the LIST formats that are known.
//!   Names are the server's bytes. They must not become local names unseen: [`local_name`] is the judge.
//! * **Data modes.** Nobody has to choose one. The client tries what the situation allows, keeps what works, and says why
//!   nothing does ([`Error::explanation`]). [`Options::data_mode`] narrows the choice, [`Options::memory`] remembers it between runs.
//! * **Several sessions.** [`Pool`] lends as many sessions as the server allows, and no fewer than one.
//! * **A server as a store.** [`RemoteStorage`] is `wharf_storage::Storage`: reading, writing and comparing without a word of
//!   FTP; [`mirror`] works between any two.
//! * **Without `async`.** The feature `blocking` adds a client of `std::io::Read`, `Write` and `Iterator`.
//!
//! The `examples` of this crate are whole programs: `list`, `download`, `upload`, `progress`, `custom_data_mode`, `blocking`,
//! `mirror_by_hand`, `storage_suite`.
//!
//! # Errors
//!
//! [`ErrorKind`] answers what a caller does next; the server's own words are in the text and in [`Error::reply`].
//!
//! | what happened | kinds | what to do |
//! |---|---|---|
//! | the network, time or load | [`Error::is_transient`] | later again, with growing pauses ([`RetryPolicy`]) |
//! | all was sent, and nothing tells what became of it | [`Error::is_unconfirmed`] | look at the remote file before repeating |
//! | no way to a data connection | `DataConnection` | show [`Error::explanation`] to a person |
//! | the file, its name or its rights | `NotFound`, `Permission`, `Exists`, `RemoteStorage`, `Argument` | tell the caller |
//! | it is not what it was | `Changed`, `Mismatch`, `Truncated` | from the beginning, or not at all |
//! | who is there, and who asks | `Tls`, `Login`, `Resolve`, `Protocol` | never repeat by itself |
//!
//! # Time limits
//!
//! Every wait has an end, each phase its own; there is none for a whole transfer, which [`tokio::time::timeout`] around
//! the call is.
//!
//! | phase | field of [`Options`] | default | then |
//! |---|---|---|---|
//! | name and control connection | `connect_timeout` | 15 s | `Connect`, `Resolve` |
//! | each reply, the greeting included | `reply_timeout` | 60 s | `Timeout` |
//! | one way to a data connection | `data_timeout` | 1.3 s to 4 s, from round trips | the next way, at last `DataConnection` |
//! | no byte, or hardly any, moves | `stall_timeout` | 30 s | `Stalled` |
//! | the final reply after the last byte | `completion_timeout` | 10 s | the length is compared over a new session |
//! | that comparison | `confirmation_timeout` | 60 s | `Timeout`, unconfirmed |
//!
//! # Cancellation
//!
//! Every future may be dropped at any time, by `select!`, by a timeout, by the end of its task. What that means on the wire:
//!
//! * *waiting for a reply*: the command is out and its reply still owed. The next operation reads it first; no reply is ever
//!   taken for the answer to another command.
//! * *looking for a data connection*: sockets and forwarded ports are closed, what was learnt in this search is forgotten.
//! * *in a transfer*, or when a [`Download`] or [`Upload`] is dropped: the data connection is reset (a clean end would tell a
//!   server that an upload is complete). The next operation sends ABOR and reads until both sides are in step; a server that does
//!   not come in step in time is left, and the client logs in anew, in the same directory. [`Client::abort`] does it now.
//! * *a partial file*: stays as `NAME.part`, for a resume.
//! * *in a [`Pool`]*: a [`Lent`] that is dropped is brought in step before anybody else gets it.
//!
//! `tests/transcripts/` holds the dialogues of all of these, line by line.
//!
//! # Threads
//!
//! Sessions, transfers and futures are `Send` and may live in any task of a tokio runtime. A session has one owner, and an
//! operation borrows it: there is one transfer at a time on a control connection, as RFC 959 has it.
//!
//! Deliberately absent: sockets (`wharf-net`), the planning of data paths and every format on the wire (`wharf-proto`),
//! terminals and exit codes (`wharf`).

mod target;
pub use target::{
    CONTROL_PORT, Endpoint, IMPLICIT_TLS_PORT, Scheme, Target, TargetError, TypeCode,
};
mod netrc;
pub use netrc::{Machine, Netrc, NetrcError};
mod options;
pub use options::{
    DataHost, DataModeChoice, FamilyChoice, Options, SHORT_REPLY_LINES, UnknownWord,
};
mod via;
pub use via::{FtpProxy, Via, ViaError, is_direct};
mod tls;
pub use tls::{CccChoice, Tls, TlsChoice};
mod error;
pub use error::{Error, ErrorKind, Result};
pub mod known_servers;
pub mod memory;
mod remembered;
mod state_file;

mod connect;
pub use connect::{Greeting, Login, connect, open};
mod dialogue;

mod client;
pub use client::Client;
mod verbs;

mod active;
mod confirmation;
mod data;
pub mod examine;
mod experience;
mod overheard;
mod reach;
mod scout;
mod secured;
mod transfer;
pub use transfer::Known;
mod download;
pub use download::{Download, Received};
mod upload;
pub use upload::{Stored, Upload};
mod listing;
pub use listing::Listing;
mod charset;
pub use charset::{Charset, UnknownCharset};
mod entry;
mod zone;
pub use entry::{Entry, EntryKind, Modified};

mod pool;
pub use pool::{Lent, Pool};
mod remote;
pub use remote::{RemoteStorage, RemoteUploads};

mod between;
pub use between::{Between, between, relay};
mod file;
pub use file::{FileOptions, Moved, RESUME_OVERLAP};
mod digest;
pub use digest::{Sum, Verify, of_file};
mod local;
pub use local::local_name;

mod retry;
pub use retry::{Repeat, RetryPlan, RetryPolicy};
mod segments;
pub use segments::{
    Identity, LEAST_SEGMENT, Notes, SegmentOptions, has_journal, retrieve_in_segments,
};

pub mod mirror;

#[cfg(feature = "blocking")]
pub mod blocking;
