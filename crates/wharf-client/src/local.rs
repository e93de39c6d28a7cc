//! The local side of a file transfer: names that the server may choose, and the partial file of a download.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use wharf_proto::{Pathname, Timestamp, visible};

use crate::error::{Error, ErrorKind, Result};
use crate::file::{Moved, changed, located};
use crate::segments;
use crate::transfer::Known;

/// The local name for a file that the server names: one component, nothing that could lead elsewhere or steer a terminal.
///
/// # Errors
/// [`ErrorKind::Local`] for an empty name, `.`, `..`, and names with `/`, `\`, NUL or control characters.
pub fn local_name(server_name: &[u8]) -> Result<OsString> {
    let refused = |why: &str| {
        let what = format!(
            "{} cannot be a local file name: {why}",
            visible(server_name)
        );
        Err(Error::new(ErrorKind::Local, what))
    };
    match server_name {
        b"" => return refused("it is empty"),
        b"." | b".." => return refused("it is a directory"),
        _ => {}
    }
    if server_name.iter().any(|it| matches!(it, b'/' | b'\\')) {
        return refused("it has a path separator");
    }
    let text = String::from_utf8_lossy(server_name);
    if text.chars().any(char::is_control) {
        return refused("it has a control character");
    }
    #[cfg(unix)]
    let name = std::os::unix::ffi::OsStringExt::from_vec(server_name.to_vec());
    #[cfg(not(unix))]
    let name = {
        if text.contains([':', '*', '?', '"', '<', '>', '|']) || text.ends_with(['.', ' ']) {
            return refused("not possible on this system");
        }
        OsString::from(text.into_owned())
    };
    Ok(name)
}

/// The file that a download goes to until it is complete.
pub(crate) struct Part {
    pub(crate) path: PathBuf,
    modified: Option<SystemTime>,
    /// The goal is a device or a pipe (`-o /dev/null`): written as it is, never replaced by a file.
    pub(crate) direct: bool,
    /// This download made it, or emptied it.
    fresh: bool,
    done: bool,
}

impl Part {
    pub(crate) fn new(local: &Path, modified: Option<Timestamp>) -> Result<Self> {
        let Some(name) = local.file_name() else {
            return Err(Error::new(
                ErrorKind::Local,
                format!("{} is not a file name", local.display()),
            ));
        };
        if local.is_dir() {
            return Err(Error::new(
                ErrorKind::Local,
                format!("{} is a directory", local.display()),
            ));
        }
        let direct = fs::metadata(local).is_ok_and(|it| !it.is_file() || is_device_name(local));
        let mut part = name.to_owned();
        part.push(".part");
        let path = if direct {
            local.to_owned()
        } else {
            local.with_file_name(part)
        };
        // A link could lead out of the directory, and a pipe would be waited for.
        if !direct && fs::symlink_metadata(&path).is_ok_and(|it| !it.is_file()) {
            let what = format!("{} is not a regular file", path.display());
            return Err(Error::new(ErrorKind::Local, what));
        }
        let modified = modified.map(SystemTime::from);
        Ok(Self {
            path,
            direct,
            modified,
            fresh: false,
            done: false,
        })
    }

    pub(crate) fn failed(&self, error: io::Error) -> Error {
        Error::from_source(ErrorKind::Local, self.path.display().to_string(), error)
    }

    pub(crate) fn locate(&self, error: Error) -> Error {
        located(error, &self.path)
    }

    /// Takes what another program has left under the final name as the beginning.
    pub(crate) fn adopt(&self, local: &Path) -> Result<()> {
        // One that was left behind is not about these bytes.
        let _ = fs::remove_file(self.journal());
        fs::copy(local, &self.path).map_err(|error| self.failed(error))?;
        let time = fs::metadata(local)
            .and_then(|it| it.modified())
            .map_err(|error| self.failed(error))?;
        set_time(&self.path, time).map_err(|error| self.failed(error))
    }

    /// Where a segmented download writes down which parts are there.
    pub(crate) fn journal(&self) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".journal");
        PathBuf::from(name)
    }

    /// A partial file with a journal has holes: what is behind the first of them is cut off.
    fn make_beginning(&self, remote: &Pathname, known: &Known) -> io::Result<Result<()>> {
        let journal = self.journal();
        let Some(left) = segments::disk::read(&journal)? else {
            return Ok(Ok(()));
        };
        let other = known.size.is_some_and(|size| size != left.identity.size);
        if other && !left.identity.address.is_empty() {
            return Ok(Err(changed(remote, "its length is another one now")));
        }
        let file = OpenOptions::new().write(true).open(&self.path)?;
        let length = file.metadata()?.len();
        file.set_len(left.got.prefix().min(length))?;
        file.sync_data()?;
        fs::remove_file(journal)?;
        Ok(Ok(()))
    }

    /// How much there is to continue.
    pub(crate) fn length(&self, remote: &Pathname, known: &Known) -> Result<u64> {
        match self.make_beginning(remote, known) {
            Ok(judged) => judged?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(self.failed(error)),
        }
        let metadata = match fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(self.failed(error)),
        };
        let have = metadata.len();
        if known.size.is_some_and(|size| size < have) {
            return Err(changed(remote, "it is smaller than the partial file"));
        }
        if let (Some(remote_time), Ok(here)) = (self.modified, metadata.modified())
            && have > 0
            && remote_time > here + Duration::from_secs(1)
        {
            return Err(changed(remote, "it was modified after the partial file"));
        }
        Ok(have)
    }

    pub(crate) fn open(&mut self, keep: bool) -> Result<fs::File> {
        self.fresh = !keep;
        let mut options = OpenOptions::new();
        if self.direct {
            options.write(true);
            return options.open(&self.path).map_err(|error| self.failed(error));
        }
        options.read(true).write(true).create(true).truncate(!keep);
        let file = options
            .open(&self.path)
            .map_err(|error| self.failed(error))?;
        if !keep {
            // What it says is about bytes that are gone.
            match fs::remove_file(self.journal()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.failed(error));
                }
                _ => {}
            }
        }
        Ok(file)
    }

    pub(crate) fn finish(mut self, local: &Path, keep_time: bool) -> Result<()> {
        if self.direct {
            return Ok(());
        }
        if keep_time && let Some(time) = self.modified {
            // A file system that keeps no times is no reason to lose the file.
            let _ = set_time(&self.path, time);
        }
        fs::rename(&self.path, local).map_err(|error| self.failed(error))?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Part {
    /// The partial file stays, dated like the version that it comes from; an empty one that we made does not.
    fn drop(&mut self) {
        if self.done || self.direct {
            return;
        }
        let empty = fs::metadata(&self.path).is_ok_and(|it| it.len() == 0);
        if self.fresh && empty {
            let _ = fs::remove_file(&self.path);
        } else if let Some(time) = self.modified
            && self.path.exists()
        {
            let _ = set_time(&self.path, time);
        }
    }
}

/// `/dev/stdout` and its like name an open file; a rename would put another one in the place of the name.
fn is_device_name(path: &Path) -> bool {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let devices = path.starts_with("/dev") && !path.starts_with("/dev/shm");
    devices || path.starts_with("/proc")
}

/// `resume` finds the goal already there: complete, to be continued (`None`), or another file.
pub(crate) fn finished_before(local: &Path, known: &Known) -> Result<Option<Moved>> {
    let failed = |error| Error::from_source(ErrorKind::Local, local.display().to_string(), error);
    let metadata = fs::metadata(local).map_err(failed)?;
    let length = metadata.len();
    if let (Some(remote), Ok(here)) = (known.modified, metadata.modified())
        && known.size == Some(length)
        && SystemTime::from(remote) > here + Duration::from_secs(1)
    {
        let what = format!(
            "{} has the length of the remote file, which was modified after it",
            local.display()
        );
        return Err(Error::new(ErrorKind::Changed, what));
    }
    match known.size {
        Some(size) if size == length => Ok(Some(Moved {
            length,
            resumed_at: length,
            verified: true,
            complete_before: true,
        })),
        Some(size) if size < length => {
            let what = format!(
                "{} is larger than the remote file, which has {size} bytes",
                local.display()
            );
            Err(Error::new(ErrorKind::Changed, what))
        }
        _ => Ok(None),
    }
}

/// The last `overlap` bytes of the first `length`; leaves the file at `length`.
pub(crate) fn tail_of(mut file: &fs::File, length: u64, overlap: u64) -> io::Result<Vec<u8>> {
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(length - overlap))?;
    file.take(overlap).read_to_end(&mut tail)?;
    file.seek(SeekFrom::Start(length))?;
    Ok(tail)
}

fn set_time(path: &Path, time: SystemTime) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .open(path)?
        .set_modified(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_the_server_stay_in_their_directory() {
        for good in [
            &b"a"[..],
            b"a b",
            b"-rf",
            b"|touch x",
            b".netrc",
            b"a..b",
            "\u{fc}".as_bytes(),
            b"\xff",
        ] {
            assert!(local_name(good).is_ok(), "{good:?}");
        }
        for bad in [
            &b""[..],
            b".",
            b"..",
            b"../x",
            b"/etc/passwd",
            b"a/b",
            b"a\\b",
            b"a\nb",
            b"\x1b[2J",
            b"a\0",
            b"\xc2\x9b",
        ] {
            assert!(local_name(bad).is_err(), "{bad:?}");
        }
    }
}
