//! A small file that is kept between runs: bounded in reading, replaced whole under a lock, for its owner only.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Most bytes of the file that are read.
const READ: u64 = 1024 * 1024;

/// Another run holds the lock for a millisecond or two. One that was stopped in that moment (Ctrl-Z) must not stop us.
const LOCK_TRIES: u32 = 25;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Where it is. Neither it nor its directory need exist.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateFile<'a> {
    path: &'a Path,
}

impl<'a> StateFile<'a> {
    pub(crate) fn at(path: &'a Path) -> Self {
        Self { path }
    }

    /// What is in it; nothing when it does not exist. What is beyond the bound is left out.
    pub(crate) fn read(self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // Before it is opened, for opening a pipe waits for its writer.
        match fs::metadata(self.path) {
            Ok(metadata) if metadata.is_file() => {
                File::open(self.path)?.take(READ).read_to_end(&mut bytes)?;
            }
            Ok(_) => return Err(io::Error::other("not a regular file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(bytes)
    }

    /// Replaces it by the text that `change` makes of what is in it, while no other run does. An error of `change` leaves
    /// it as it is.
    pub(crate) fn change<T>(
        self,
        change: impl FnOnce(&[u8]) -> io::Result<(String, T)>,
    ) -> io::Result<T> {
        let directory = match self.path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let _locked = lock(directory)?;
        let (text, result) = change(&self.read()?)?;
        let new = self.path.with_extension("new");
        // Left behind by a run that was killed; under the lock nobody else is writing it.
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
                file.write_all(text.as_bytes())?;
                // Else a machine that dies now may come back with the new name and nothing in it.
                file.sync_data()
            })
            .and_then(|()| fs::rename(&new, self.path));
        if written.is_err() {
            // What was wrong is told; whether the rest could be removed changes nothing.
            let _ = fs::remove_file(&new);
        }
        written.map(|()| result)
    }
}

/// Locks the directory, so that no lock file lies about. File systems without such locks (some NFS) are written without:
/// then one of two runs that end in the same moment may lose what it has learnt.
fn lock(directory: &Path) -> io::Result<File> {
    let directory = File::open(directory)?;
    for _ in 0..LOCK_TRIES {
        match directory.try_lock() {
            Ok(()) => return Ok(directory),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => {
                tracing::debug!(%error, "the state directory cannot be locked");
                return Ok(directory);
            }
        }
    }
    Err(io::Error::new(
        io::ErrorKind::WouldBlock,
        "another run holds the lock",
    ))
}
