//! The client without `async`: for programs that have no runtime and want none (feature `blocking`).
//!
//! Every method does what the one of the same name in [`crate::Client`] does, and returns when it is done. A
//! [`Download`] is [`std::io::Read`], an [`Upload`] is [`std::io::Write`], a [`Listing`] is an iterator. Each client has a
//! runtime of its own that runs on the calling thread while a method does, and never otherwise: between two calls nothing
//! happens, no task and no thread is left. Time limits are the same ([`Options`]): no call blocks for ever.
//!
//! Nothing here may be called from `async` code: tokio panics where one runtime would block another. What the facade has no
//! method for is reached with [`Client::with`].
//!
//! ```no_run
//! use std::io::{Read, Write};
//! use wharf_client::{Options, Target, blocking::Client};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let target: Target = "ftp://me:secret@files.example/".parse()?;
//! let mut client = Client::open(&target, Options::default())?;
//!
//! let mut upload = client.store(&"notes.txt".parse()?, 0)?;
//! upload.write_all(b"remember the milk\n")?;
//! upload.finish()?; // only now it is known to be there
//!
//! for entry in client.listing(None)? {
//!     println!("{}", String::from_utf8_lossy(&entry?.name));
//! }
//!
//! let mut text = String::new();
//! let mut download = client.retrieve(&"notes.txt".parse()?, 0)?;
//! download.read_to_string(&mut text)?;
//! download.finish()?; // an end without this proves nothing
//! client.quit();
//! # Ok(()) }
//! ```

mod client;
mod listing;
mod transfer;

pub use client::Client;
pub use listing::Listing;
pub use transfer::{Download, Upload};

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, ErrorKind, Result};
#[cfg(doc)]
use crate::options::Options;

fn runtime() -> Result<Runtime> {
    let made = Builder::new_current_thread().enable_all().build();
    made.map_err(|error| Error::from_source(ErrorKind::Local, "no runtime", error))
}
