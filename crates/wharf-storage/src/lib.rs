//! File stores for FTP: what a server serves and a mirror compares. A store knows no command, no socket, no user.
//!
//! In reading order:
//! * [`storage`]: the trait [`Storage`] with its [`Reader`], [`Upload`] (commit or nothing) and [`Listing`];
//! * [`metadata`]: what a store says about a name, and what policy allows there;
//! * [`error`]: a kind for the user, a cause for the log;
//! * [`local`]: a directory of the host, jailed by the kernel;
//! * [`memory`]: the same in memory, for tests;
//! * [`scoped`]: a subdirectory and permissions around any store;
//! * [`quota`]: how much may be kept, around any store;
//! * `conformance`: the suite that every store passes (feature `conformance`).
//!
//! Uploads are transactions because STOR has no length: the store must be told whether the end was clean.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod digest;
pub mod error;
pub mod local;
pub mod memory;
pub mod metadata;
pub mod quota;
pub mod scoped;
pub mod storage;

pub use digest::Hasher;
pub use error::{Error, ErrorKind, Result};
pub use local::{FileReader, FileWriter, Fsync, Local, LocalOptions, Uploads};
pub use memory::{Memory, MemoryOptions};
pub use metadata::{Entry, Kind, Metadata, Permissions};
pub use quota::{Quota, QuotaLimits, Usage};
pub use scoped::Scoped;
pub use storage::{
    BATCH, ListOrder, Listing, ReadFile, Reader, SORT_LIMIT, Storage, Upload, Write, collect,
};
