//! `--trace FILE`: every event of every session, in the transcript format of `wharf_proto::trace`.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use wharf_net::Recorder;
use wharf_proto::trace::{Event, HEADER};

/// A transcript being written. One write call an event, so that a crash loses nothing and several
/// processes may append to one file.
pub(crate) struct TraceFile {
    sink: Mutex<Box<dyn Write + Send>>,
}

impl TraceFile {
    /// Appends to a file; the server's way. Only the owner may read a new file: names and addresses
    /// stand in it.
    pub(crate) fn append(path: &Path) -> io::Result<Self> {
        Ok(Self::of(options().append(true).open(path)?))
    }

    /// Writes to a file that somebody else has opened for appending.
    pub(crate) fn of(file: File) -> Self {
        Self::new(Box::new(file))
    }

    /// Starts a file anew, or writes to stderr for `-`; the client's way.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::new(Box::new(io::stderr())));
        }
        let file: File = options().write(true).truncate(true).open(path)?;
        Ok(Self::new(Box::new(file)))
    }

    fn new(sink: Box<dyn Write + Send>) -> Self {
        let file = Self {
            sink: Mutex::new(sink),
        };
        file.line(HEADER);
        file
    }

    fn line(&self, text: &str) {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk must not stop transfers; the transcript just ends there.
        let _ = sink.write_all(format!("{text}\n").as_bytes());
    }
}

fn options() -> std::fs::OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.create(true).mode(0o600);
    options
}

impl Recorder for TraceFile {
    fn record(&self, event: Event) {
        self.line(&event.to_string());
    }
}
