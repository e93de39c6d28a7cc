//! Small files: read whole, bounded, and only regular ones (opening a pipe would wait for its writer); written for their
//! owner only, and either whole or not at all.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

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

/// Replaces a file, mode 0600, in a directory that is made (0700) when there is none: for keys that a server keeps.
///
/// # Errors
/// Those of the file system; then the old file is as it was.
pub fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = write_beside(path, bytes)?;
    let renamed = fs::rename(&new, path);
    if renamed.is_err() {
        // What was wrong is told; whether the rest could be removed changes nothing.
        let _ = fs::remove_file(&new);
    }
    renamed
}

/// The same for a file that must not be there yet: of several processes that make it at once one succeeds.
///
/// # Errors
/// Those of the file system, `AlreadyExists` among them.
pub fn create_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = write_beside(path, bytes)?;
    let linked = fs::hard_link(&new, path);
    let _ = fs::remove_file(&new);
    linked
}

/// A whole file under a name of this process's own.
fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    if let Some(directory) = path.parent().filter(|it| *it != Path::new("")) {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
    let new = path.with_extension(format!("{}.new", std::process::id()));
    // Left behind by a process of the same number that was killed.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written.map(|()| new)
}
