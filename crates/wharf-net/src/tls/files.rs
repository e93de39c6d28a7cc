//! Reading small files: whole, bounded, and only regular ones (opening a pipe would wait for its writer).

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// # Errors
/// Those of the file system; also when it is no regular file or larger than `most` bytes.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= most => Ok(bytes),
        _ => Err(io::Error::other(format!("larger than {most} bytes"))),
    }
}
