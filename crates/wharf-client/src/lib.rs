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
//! Modules in reading order: addresses and settings, the way to a logged-in client, its verbs, the data connection and what
//! travels on it, whole files. Deliberately absent: sockets (`wharf-net`), the planning of data paths and every format on the
//! wire (`wharf-proto`), terminals and exit codes (`wharf`).

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
mod local;
pub use local::local_name;

mod retry;
pub use retry::{Repeat, RetryPlan, RetryPolicy};
mod segments;
pub use segments::{
    Identity, LEAST_SEGMENT, Notes, SegmentOptions, has_journal, retrieve_in_segments,
};

pub mod mirror;
