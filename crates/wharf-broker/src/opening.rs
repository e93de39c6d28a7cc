//! Opening what the configuration names, for a process that may write in the same directory.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use crate::message::Kept;

/// What is opened for this purpose. A symbolic link on the way is followed where only root and ourselves can have laid it:
/// a transfer log in a directory that the network process may write to could otherwise become any file of the system, by a
/// link that is moved to its place.
///
/// # Errors
/// Those of `open(2)`; `ELOOP` for such a link.
pub(crate) fn open(kept: Kept, path: &Path) -> io::Result<File> {
    let appended = kept.is_appended();
    // Passwords are masked in a transcript, what people do with their files is not.
    let bits = if kept == Kept::Trace { 0o600 } else { 0o666 };
    let flags = if appended {
        OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE
    } else {
        // A pipe in its place is not waited for.
        OFlags::RDONLY | OFlags::NONBLOCK
    };
    let mode = if appended {
        Mode::from_raw_mode(bits)
    } else {
        Mode::empty()
    };
    let common = OFlags::CLOEXEC | OFlags::NOCTTY;
    match openat2(CWD, path, flags | common, mode, ResolveFlags::NO_SYMLINKS) {
        Ok(file) => Ok(File::from(file)),
        Err(Errno::LOOP) if !nobody_else_laid(path)? => Err(Errno::LOOP.into()),
        // Before Linux 5.6 there is no such call.
        Err(Errno::LOOP | Errno::NOSYS) => {
            let mut options = File::options();
            options.read(!appended).append(appended).create(appended);
            options.mode(bits).custom_flags(libc::O_NOCTTY).open(path)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether all directories of the path, as it is written and as it is meant, are root's or ours, and nobody else writes in
/// them.
fn nobody_else_laid(path: &Path) -> io::Result<bool> {
    let written = std::path::absolute(path)?;
    // What is not there yet has at least a directory.
    let meant = written
        .canonicalize()
        .or_else(|_| written.parent().unwrap_or(&written).canonicalize())?;
    let own = rustix::process::geteuid().as_raw();
    let directories = written.ancestors().skip(1).chain(meant.ancestors().skip(1));
    for directory in directories {
        let facts = std::fs::metadata(directory)?;
        if !(facts.uid() == 0 || facts.uid() == own) || facts.mode() & 0o022 != 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_link_where_others_write_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let shared = folder.path().join("shared");
        std::fs::create_dir(&shared).unwrap();
        std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o777)).unwrap();
        let target = folder.path().join("target");
        std::fs::write(&target, "kept").unwrap();
        let link = shared.join("log");
        symlink(&target, &link).unwrap();
        for kept in [Kept::TransferLog, Kept::Users] {
            let error = open(kept, &link).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ELOOP), "{kept:?}");
        }
        std::fs::remove_file(&link).unwrap();
        let mut log = open(Kept::TransferLog, &link).unwrap();
        log.write_all(b"a line").unwrap();
        assert_eq!(std::fs::read(&link).unwrap(), b"a line");
        assert_eq!(std::fs::read(&target).unwrap(), b"kept");
    }
}
