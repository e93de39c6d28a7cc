//! Files of the configuration, opened by whoever may: this process, or its broker when the process has given its rights
//! away.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::OnceLock;

use wharf_broker::Link;
use wharf_broker::message::Kept;

/// Set once, before the process gives its rights away. There is one broker to a process.
static BROKER: OnceLock<Link> = OnceLock::new();

/// From now on files come from there.
pub(super) fn ask(broker: Link) {
    // A second one could only be the same.
    let _ = BROKER.set(broker);
}

/// Who keeps files and keys, where it is not this process.
pub(crate) fn broker() -> Option<&'static Link> {
    BROKER.get()
}

/// The file that is kept at `path`.
pub(crate) fn open(kept: Kept, path: &Path) -> io::Result<File> {
    match BROKER.get() {
        Some(broker) => broker.open(kept),
        None if kept.is_appended() => File::options().append(true).create(true).open(path),
        None => File::open(path),
    }
}

/// The same, read: at most `most` bytes.
pub(crate) fn bytes(kept: Kept, path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = open(kept, path)?.take(most + 1);
    file.read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= most) {
        return Ok(bytes);
    }
    Err(io::Error::other(format!("larger than {most} bytes")))
}

/// The same, read.
pub(crate) fn text(kept: Kept, path: &Path) -> io::Result<String> {
    io::read_to_string(open(kept, path)?)
}
