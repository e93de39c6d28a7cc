//! The partial file of a segmented download and the journal beside it, in an order in which a power cut cannot make the
//! journal lie.
//!
//! | step | before it |
//! |---|---|
//! | the journal gets its name | its text is on the disk |
//! | the partial file gets its full length | the journal has its name: without one it would look complete |
//! | a record is appended | the bytes that it is about are on the disk |
//! | the file gets its final name | all of it is on the disk |
//! | the journal is removed | the final name is on the disk |
//! | the partial file of an earlier run is emptied | (first of all) a journal that is longer than its file is not believed |

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FallocateFlags;
use wharf_proto::Pathname;

use super::journal::{Entries, Identity, Journal};
use super::ranges::{Range, Ranges};
use crate::error::{Error, ErrorKind, Result};
use crate::file::changed;
use crate::local::Part;
use crate::transfer::Known;

/// Most bytes of a journal that are read: a year of records.
const READ: u64 = 64 * 1024 * 1024;

/// Both files, opened and locked against a second run.
pub(super) struct Disk {
    part: Part,
    file: Arc<File>,
    journal: File,
    journal_path: PathBuf,
    /// What stands in the journal.
    recorded: Journal,
    /// An earlier run had left something that could not be believed.
    pub(super) distrusted: bool,
}

impl Disk {
    /// Opens what there is, or begins. `resume`: what an earlier run has left of the same version is taken over.
    ///
    /// # Errors
    /// [`ErrorKind::Changed`] when it is of another version; [`ErrorKind::Local`].
    pub(super) fn open(
        local: &Path,
        remote: &Pathname,
        identity: Identity,
        resume: bool,
    ) -> Result<Self> {
        let part = Part::new(local, identity.modified)?;
        let journal_path = part.journal();
        let failed = |error| part.failed(error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&part.path)
            .map_err(failed)?;
        match file.try_lock() {
            // Some file systems have no locks.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => {
                let what = format!("{} is being written by another run", part.path.display());
                return Err(Error::new(ErrorKind::Local, what));
            }
        }
        let length = file.metadata().map_err(failed)?.len();
        let mut recorded = Journal {
            identity,
            ..Journal::default()
        };
        let mut distrusted = false;
        if resume {
            match read(&journal_path).map_err(failed)? {
                // Nothing tells which parts of it are there.
                Some(before) if before.identity.address.is_empty() => distrusted = true,
                Some(before) => {
                    if let Some(why) = before.identity.differs(&recorded.identity) {
                        return Err(changed(remote, &why));
                    }
                    distrusted = length < before.got.end();
                    if !distrusted {
                        recorded.got = before.got;
                        recorded.open = before.open;
                    }
                }
                // Without a journal it is the beginning of the file, and nothing else.
                None => {
                    let known = Known {
                        size: Some(recorded.identity.size),
                        modified: recorded.identity.modified,
                    };
                    let have = part.length(remote, &known)?;
                    recorded.got.insert(Range::new(0, have));
                }
            }
        }
        if recorded.got == Ranges::default() {
            file.set_len(0).map_err(failed)?;
        }
        file.sync_data().map_err(failed)?;
        let journal = begin(&journal_path, &recorded).map_err(failed)?;
        reserve(&file, recorded.identity.size).map_err(failed)?;
        Ok(Self {
            part,
            file: Arc::new(file),
            journal,
            journal_path,
            recorded,
            distrusted,
        })
    }

    /// The partial file.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.part.path
    }

    /// What is known to be there.
    pub(super) fn recorded(&self) -> &Journal {
        &self.recorded
    }

    /// Puts an error down to the partial file.
    pub(super) fn failed(&self, error: io::Error) -> Error {
        self.part.failed(error)
    }

    /// Writes down what has come since the last time. Blocks until it is on the disk.
    pub(super) fn record(
        &mut self,
        got: &Ranges,
        open: &std::collections::BTreeSet<u64>,
    ) -> Result<()> {
        let now = Journal {
            identity: self.recorded.identity.clone(),
            got: got.clone(),
            open: open.clone(),
        };
        let entries = Entries::between(&self.recorded, &now);
        if entries.is_empty() {
            return Ok(());
        }
        let written = self.file.sync_data().and_then(|()| {
            self.journal.write_all(entries.text().as_bytes())?;
            self.journal.sync_data()
        });
        written.map_err(|error| self.failed(error))?;
        self.recorded = now;
        Ok(())
    }

    /// It is whole: gives it its final name.
    pub(super) fn finish(self, local: &Path, keep_time: bool) -> Result<()> {
        let Self {
            part,
            file,
            journal_path,
            ..
        } = self;
        file.sync_all().map_err(|error| part.failed(error))?;
        part.finish(local, keep_time)?;
        sync_directory(local);
        // Left behind it would be a journal without its file, which nobody believes.
        let _ = fs::remove_file(journal_path);
        Ok(())
    }

    /// Nothing of it can be believed: it is removed.
    pub(super) fn discard(self) {
        // Emptied first, so that the one that stays after a crash is not believed.
        let _ = self.file.set_len(0);
        let _ = fs::remove_file(&self.journal_path);
        let _ = fs::remove_file(&self.part.path);
    }
}

/// The journal at this place; `None`: there is none. One that cannot be read is an empty one, without an address.
pub(crate) fn read(path: &Path) -> io::Result<Option<Journal>> {
    let mut bytes = Vec::new();
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(io::Error::other("the journal is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    File::open(path)?.take(READ).read_to_end(&mut bytes)?;
    Ok(Some(Journal::read(&bytes).unwrap_or_default()))
}

/// A new journal in the place of what is there, opened for appending.
fn begin(path: &Path, content: &Journal) -> io::Result<File> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .append(true)
        .create_new(true)
        .open(&new)?;
    file.write_all(content.write().as_bytes())?;
    file.sync_data()?;
    fs::rename(&new, path)?;
    sync_directory(path);
    Ok(file)
}

/// Room for all of it now, so that a full disk is found out before anything is fetched.
fn reserve(file: &File, size: u64) -> io::Result<()> {
    use rustix::io::Errno;
    if size == 0 {
        return file.set_len(0);
    }
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => file.set_len(size),
        Err(error) => Err(error.into()),
    }
}

/// Makes a new name last. File systems that cannot (some network ones) do so by themselves.
fn sync_directory(of: &Path) {
    let directory = match of.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::FileExt as _;

    use super::*;

    fn identity(size: u64) -> Identity {
        Identity {
            address: "ftp://host/file".to_owned(),
            size,
            ..Identity::default()
        }
    }

    fn name() -> Pathname {
        Pathname::new("file").unwrap()
    }

    fn ranges(all: &[(u64, u64)]) -> Ranges {
        let mut set = Ranges::default();
        for (start, end) in all {
            set.insert(Range::new(*start, *end));
        }
        set
    }

    #[test]
    fn what_was_recorded_is_found_again_and_what_was_not_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let local = directory.path().join("file");
        let mut disk = Disk::open(&local, &name(), identity(100), false).unwrap();
        disk.file().write_all_at(&[7; 40], 30).unwrap();
        disk.record(&ranges(&[(30, 70)]), &BTreeSet::from([30]))
            .unwrap();
        disk.file().write_all_at(&[8; 30], 0).unwrap();
        drop(disk);
        let disk = Disk::open(&local, &name(), identity(100), true).unwrap();
        assert_eq!(disk.recorded().got, ranges(&[(30, 70)]));
        assert_eq!(disk.recorded().open, BTreeSet::from([30]));
        drop(disk);
        let Err(refused) = Disk::open(&local, &name(), identity(101), true) else {
            panic!("another version was taken over");
        };
        assert_eq!(refused.kind(), ErrorKind::Changed);
        let disk = Disk::open(&local, &name(), identity(101), false).unwrap();
        assert_eq!(disk.recorded().got, Ranges::default());
    }

    #[test]
    fn a_journal_without_its_bytes_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let local = directory.path().join("file");
        let mut disk = Disk::open(&local, &name(), identity(100), false).unwrap();
        disk.record(&ranges(&[(30, 70)]), &BTreeSet::new()).unwrap();
        drop(disk);
        let part = directory.path().join("file.part");
        File::options()
            .write(true)
            .open(&part)
            .unwrap()
            .set_len(69)
            .unwrap();
        let disk = Disk::open(&local, &name(), identity(100), true).unwrap();
        assert!(disk.distrusted);
        assert_eq!(disk.recorded().got, Ranges::default());
    }

    #[test]
    fn a_journal_that_cannot_be_read_leaves_nothing_to_go_on_with() {
        let directory = tempfile::tempdir().unwrap();
        let local = directory.path().join("file");
        drop(Disk::open(&local, &name(), identity(100), false).unwrap());
        fs::write(directory.path().join("file.part.journal"), "rubbish").unwrap();
        let disk = Disk::open(&local, &name(), identity(100), true).unwrap();
        assert!(disk.distrusted);
        assert_eq!(disk.recorded().got, Ranges::default());
        drop(disk);
        fs::write(directory.path().join("file.part.journal"), "rubbish").unwrap();
        let part = Part::new(&local, None).unwrap();
        let known = Known {
            size: Some(100),
            modified: None,
        };
        assert_eq!(part.length(&name(), &known).unwrap(), 0);
    }

    #[test]
    fn a_partial_file_without_a_journal_is_a_beginning() {
        let directory = tempfile::tempdir().unwrap();
        let local = directory.path().join("file");
        fs::write(directory.path().join("file.part"), [1; 33]).unwrap();
        let disk = Disk::open(&local, &name(), identity(100), true).unwrap();
        assert_eq!(disk.recorded().got, ranges(&[(0, 33)]));
        drop(disk);
        // And the other way round: what segments have left is only a beginning to a download in one piece.
        let part = Part::new(&local, None).unwrap();
        let known = Known {
            size: Some(100),
            modified: None,
        };
        assert_eq!(part.length(&name(), &known).unwrap(), 33);
        assert!(!part.journal().exists());
    }

    #[test]
    fn two_runs_do_not_write_the_same_file() {
        let directory = tempfile::tempdir().unwrap();
        let local = directory.path().join("file");
        let _disk = Disk::open(&local, &name(), identity(100), false).unwrap();
        let second = Disk::open(&local, &name(), identity(100), true);
        assert_eq!(second.err().map(|it| it.kind()), Some(ErrorKind::Local));
    }

    #[test]
    fn the_final_name_comes_last_and_the_journal_goes() {
        let directory = tempfile::tempdir().unwrap();
        let local = directory.path().join("file");
        let disk = Disk::open(&local, &name(), identity(5), false).unwrap();
        disk.file().write_all_at(b"whole", 0).unwrap();
        assert!(!local.exists());
        disk.finish(&local, true).unwrap();
        assert_eq!(fs::read(&local).unwrap(), b"whole");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
