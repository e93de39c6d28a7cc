//! The file behind an unfinished upload, and how it gets its name. Everything here blocks.
//!
//! The rule: under the final name stands either the old file or the whole new one, even if the process is killed
//! between any two system calls. So a draft is unnamed (`O_TMPFILE`) where the file system can, under a hidden name
//! otherwise, and it appears by `linkat` or `renameat`, which are atomic. `APPE` and `REST` copy what is kept first
//! (shared blocks on btrfs, XFS and bcachefs; a real copy elsewhere, so appending to a huge file costs its length
//! in time and space: the price of the rule). `Uploads::Direct` does without the rule and without its price.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Access, AtFlags, CWD, FlockOperation, Gid, Mode, OFlags, RenameFlags, Uid};
use rustix::io::Errno;

use super::Fsync;
use super::hidden;
use super::jail::{self, Place, Target};
use crate::{Error, ErrorKind, Kind, Metadata, Result, Write};

/// How much is copied between two looks at whether anybody still wants it.
const COPY_STEP: u64 = 16 << 20;

/// How often a made-up name is tried.
const ATTEMPTS: u32 = 16;

/// The permissions of a new file before the umask takes its share.
const NEW_FILE: Mode = Mode::from_raw_mode(0o666);

/// How uploads are made.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    pub(super) resume: bool,
    /// Under the final name.
    pub(super) direct: bool,
    pub(super) fsync: Fsync,
    /// Try `O_TMPFILE`. Only tests do without, to be a file system that cannot.
    pub(super) unnamed: bool,
}

/// An unfinished upload. Dropped, it removes itself, unless it holds partial data that was asked to be kept.
pub(super) struct Draft {
    file: File,
    hold: Hold,
    place: Place,
    publish: Publish,
    fsync: Fsync,
    begins_at: u64,
}

enum Hold {
    Unnamed,
    /// It has its name already: what is given up stays.
    Final,
    Named(HiddenName),
}

/// Whether the name may be taken when the upload ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Publish {
    Replacing,
    Fresh,
}

struct HiddenName {
    dir: OwnedFd,
    name: Vec<u8>,
    after: After,
}

/// What becomes of a hidden name when its upload ends without commit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Remove,
    /// Keep it if there is anything in it.
    Keep,
    /// It has become the final name.
    Published,
}

impl Drop for HiddenName {
    fn drop(&mut self) {
        let worthless = match self.after {
            After::Published => false,
            After::Remove => true,
            After::Keep => matches!(
                jail::stat_name(&self.dir, &self.name),
                Ok(Some(Metadata { size: 0, .. }))
            ),
        };
        if worthless {
            // Nothing can be done about a failure here; the next one who lists the directory sweeps it.
            let _ = rustix::fs::unlinkat(&self.dir, &self.name, AtFlags::empty());
        }
    }
}

impl Draft {
    /// Begins an upload that will appear at the target. `wanted` turning false ends a long copy.
    pub(super) fn begin(
        target: Target,
        how: &Write,
        manner: Manner,
        wanted: &AtomicBool,
    ) -> Result<Self> {
        let Target { place, existing } = target;
        if manner.direct {
            return Self::begin_direct(place, existing, how, manner);
        }
        let fresh = matches!(how, Write::New | Write::Unique { .. });
        if let Some(found) = &existing {
            match found.kind {
                _ if fresh => return Err(ErrorKind::Exists.into()),
                Kind::File => {}
                Kind::Directory => return Err(ErrorKind::IsDirectory.into()),
                Kind::Symlink | Kind::Other => return Err(ErrorKind::WrongKind.into()),
            }
            // The name is replaced, which asks only for rights to the directory; a file that is protected against
            // writing must stay protected all the same.
            rustix::fs::accessat(&place.dir, &place.name, Access::WRITE_OK, AtFlags::EACCESS)?;
        } else if manner.resume
            && !matches!(how, Write::Unique { .. })
            && let Some(name) = hidden::partial(&place.name)
            && let Some(resumable) = open_partial(&place, name, how)?
        {
            let (file, hold, begins_at) = resumable;
            return Ok(Self {
                file,
                hold: Hold::Named(hold),
                place,
                publish: if fresh {
                    Publish::Fresh
                } else {
                    Publish::Replacing
                },
                fsync: manner.fsync,
                begins_at,
            });
        }

        let (file, hold) = open_draft(&place.dir, existing.as_ref(), manner.unnamed)?;
        let mut draft = Self {
            file,
            hold,
            place,
            publish: if fresh {
                Publish::Fresh
            } else {
                Publish::Replacing
            },
            fsync: manner.fsync,
            begins_at: 0,
        };
        match (how, existing) {
            (Write::Append | Write::At(_), Some(_)) => draft.copy_kept(how, wanted)?,
            (Write::At(1..), None) => return Err(ErrorKind::InvalidOffset.into()),
            _ => {}
        }
        Ok(draft)
    }

    /// Opens the file that stands under the name, or makes it, and cuts off what does not stay.
    fn begin_direct(
        place: Place,
        existing: Option<Metadata>,
        how: &Write,
        manner: Manner,
    ) -> Result<Self> {
        let fresh = matches!(how, Write::New | Write::Unique { .. });
        if existing.is_some_and(|found| found.kind == Kind::Directory) && !fresh {
            return Err(ErrorKind::IsDirectory.into());
        }
        let mut flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match how {
            // A file that is missing is shorter.
            Write::At(1..) => flags -= OFlags::CREATE,
            _ if fresh => flags |= OFlags::EXCL,
            _ => {}
        }
        let file = match rustix::fs::openat(&place.dir, &place.name, flags, NEW_FILE) {
            Ok(opened) => File::from(opened),
            Err(Errno::LOOP | Errno::NXIO) => return Err(ErrorKind::WrongKind.into()),
            Err(Errno::NOENT) if matches!(how, Write::At(1..)) => {
                return Err(ErrorKind::InvalidOffset.into());
            }
            Err(errno) => return Err(naming(errno)),
        };
        let facts = jail::stat(&file)?;
        if facts.kind != Kind::File {
            return Err(ErrorKind::WrongKind.into());
        }
        // Two writers would mix their bytes. Where locks do not work, nobody is kept out.
        let locked = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
        if locked == Err(Errno::WOULDBLOCK) {
            return Err(ErrorKind::Busy.into());
        }
        let begins_at = match how {
            Write::Append => jail::stat(&file)?.size,
            Write::At(at) if *at > facts.size => return Err(ErrorKind::InvalidOffset.into()),
            Write::At(at) => *at,
            Write::Replace | Write::New | Write::Unique { .. } => 0,
        };
        if begins_at < facts.size {
            file.set_len(begins_at)?;
        }
        Ok(Self {
            file,
            hold: Hold::Final,
            place,
            publish: Publish::Replacing,
            fsync: manner.fsync,
            begins_at,
        })
    }

    /// Where in the file the first new byte goes.
    pub(super) fn begins_at(&self) -> u64 {
        self.begins_at
    }

    /// Whether what was written outlives an upload that is given up.
    pub(super) fn keeps_partial_data(&self) -> bool {
        match &self.hold {
            Hold::Unnamed => false,
            Hold::Final => true,
            Hold::Named(hidden) => hidden.after == After::Keep,
        }
    }

    /// A second handle for the writer.
    pub(super) fn file(&self) -> Result<File> {
        Ok(self.file.try_clone()?)
    }

    /// Makes the file appear under its name.
    pub(super) fn publish(self) -> Result<()> {
        let Self {
            file,
            hold,
            place,
            publish,
            fsync,
            ..
        } = self;
        let Place { dir, name } = place;
        match fsync {
            Fsync::None => {}
            Fsync::Data => file.sync_data()?,
            Fsync::Full => file.sync_all()?,
        }
        match hold {
            Hold::Final => {}
            Hold::Named(hidden) => rename_hidden(hidden, &dir, &name, publish)?,
            Hold::Unnamed => match link(&file, &dir, &name) {
                Ok(()) => {}
                Err(Errno::EXIST) if publish == Publish::Replacing => {
                    let hidden = link_hidden(&file, &dir)?;
                    rename_hidden(hidden, &dir, &name, publish)?;
                }
                // Neither way of naming an unnamed file is open here (no /proc, an old kernel), or the directory
                // is gone, which the copy will find out.
                Err(Errno::NOENT | Errno::PERM) => {
                    let hidden = copy_hidden(&file, &dir)?;
                    rename_hidden(hidden, &dir, &name, publish)?;
                }
                Err(errno) => return Err(naming(errno)),
            },
        }
        if fsync == Fsync::Full {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let dir = rustix::fs::openat(&dir, c".", flags, Mode::empty())?;
            rustix::fs::fsync(dir)?;
        }
        Ok(())
    }

    /// Copies what the new data will follow.
    fn copy_kept(&mut self, how: &Write, wanted: &AtomicBool) -> Result<()> {
        let Place { dir, name } = &self.place;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let old = File::from(rustix::fs::openat(dir, name, flags, Mode::empty())?);
        let facts = old.metadata()?;
        if !facts.is_file() {
            return Err(ErrorKind::WrongKind.into());
        }
        let keep = match how {
            Write::At(n) => *n,
            _ => facts.size(),
        };
        if keep > facts.size() {
            return Err(ErrorKind::InvalidOffset.into());
        }
        copy(&old, &self.file, keep, wanted)?;
        self.begins_at = keep;
        Ok(())
    }
}

/// What an error of naming means; EINVAL is how some file systems refuse characters.
pub(super) fn naming(errno: Errno) -> Error {
    match errno {
        Errno::INVAL => Error::with_source(ErrorKind::NameNotAllowed, io::Error::from(errno)),
        _ => errno.into(),
    }
}

/// The file that keeps partial data for that name, made or continued; `None` if an upload that need not continue
/// finds another one at work there.
fn open_partial(
    place: &Place,
    name: Vec<u8>,
    how: &Write,
) -> Result<Option<(File, HiddenName, u64)>> {
    let must_exist = matches!(how, Write::At(1..));
    let mut flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    flags.set(OFlags::CREATE, !must_exist);
    for _ in 0..ATTEMPTS {
        let file = match rustix::fs::openat(&place.dir, &name, flags, NEW_FILE) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) if must_exist => return Err(ErrorKind::InvalidOffset.into()),
            Err(errno) => return Err(naming(errno)),
        };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => match how {
                // Most likely the broken connection of the same client, which the server still has to notice.
                Write::At(1..) | Write::Append => return Err(ErrorKind::Busy.into()),
                _ => return Ok(None),
            },
            Err(errno) => return Err(errno.into()),
        }
        if !still_named(&file, &place.dir, &name)? {
            continue;
        }
        let length = file.metadata()?.size();
        let keep = match how {
            Write::At(n) => *n,
            Write::Append => length,
            _ => 0,
        };
        if keep > length {
            return Err(ErrorKind::InvalidOffset.into());
        }
        file.set_len(keep)?;
        let hidden = HiddenName {
            dir: place.dir.try_clone()?,
            name,
            after: After::Keep,
        };
        return Ok(Some((file, hidden, keep)));
    }
    Err(ErrorKind::Busy.into())
}

/// An empty draft in that directory, with the mode and owner of what it will replace.
fn open_draft(dir: &OwnedFd, replaces: Option<&Metadata>, unnamed: bool) -> Result<(File, Hold)> {
    // Until the mode of the old file is set, nobody else may look into what could be a private file.
    let mode = match replaces {
        Some(_) => Mode::RUSR | Mode::WUSR,
        None => NEW_FILE,
    };
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let opened = if unnamed {
        rustix::fs::openat(dir, c".", flags, mode)
    } else {
        Err(Errno::OPNOTSUPP)
    };
    let (file, hold) = match opened {
        Ok(fd) => {
            let file = File::from(fd);
            lock(&file);
            (file, Hold::Unnamed)
        }
        // EISDIR and EINVAL: file systems and kernels that have never heard of it.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS) => {
            let (file, hidden) = create_hidden(dir, mode)?;
            (file, Hold::Named(hidden))
        }
        Err(errno) => return Err(errno.into()),
    };
    if let Some(old) = replaces {
        inherit(&file, old);
    }
    Ok((file, hold))
}

/// Gives the file the owner and the permissions of the one it replaces, as far as we may. Set-id bits are not passed
/// on: the content is new.
fn inherit(file: &File, old: &Metadata) {
    let uid = old.uid.map(Uid::from_raw);
    let gid = old.gid.map(Gid::from_raw);
    if rustix::fs::fchown(file, uid, gid).is_err() {
        let _ = rustix::fs::fchown(file, None, gid);
    }
    if let Some(mode) = old.mode {
        let _ = rustix::fs::fchmod(file, Mode::from_raw_mode(mode & 0o777));
    }
}

/// Marks the file as being written. Where locks do not work, remains are not swept, no more.
fn lock(file: &File) {
    let _ = rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive);
}

/// Whether a file that has just been locked is still the one with that name: between open and lock another upload may
/// have published it (then it is somebody's final file and must not be touched) or a sweep removed it.
fn still_named(file: &File, dir: &OwnedFd, name: &[u8]) -> Result<bool> {
    let opened = jail::stat(file)?;
    let named = jail::stat_name(dir, name)?;
    Ok(opened.kind == Kind::File && named.is_some_and(|named| named.unique == opened.unique))
}

/// A new file under a hidden name, locked.
fn create_hidden(dir: &OwnedFd, mode: Mode) -> Result<(File, HiddenName)> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for _ in 0..ATTEMPTS {
        let name = hidden::fresh()?;
        let file = match rustix::fs::openat(dir, &name, flags, mode) {
            Ok(fd) => File::from(fd),
            Err(Errno::EXIST) => continue,
            Err(errno) => return Err(errno.into()),
        };
        let hidden = HiddenName {
            dir: dir.try_clone()?,
            name,
            after: After::Remove,
        };
        lock(&file);
        if still_named(&file, dir, &hidden.name)? {
            return Ok((file, hidden));
        }
    }
    Err(ErrorKind::Busy.into())
}

/// Names an unnamed file.
fn link(file: &File, dir: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
    // Without a privilege this works since Linux 6.10 and for the opener only; the way over /proc always has.
    match rustix::fs::linkat(file, c"", dir, name, AtFlags::EMPTY_PATH) {
        Err(Errno::NOENT | Errno::PERM | Errno::INVAL) => {}
        other => return other,
    }
    let own = jail::proc_path(file.as_fd());
    rustix::fs::linkat(CWD, own, dir, name, AtFlags::SYMLINK_FOLLOW)
}

/// Names an unnamed file with a hidden name.
fn link_hidden(file: &File, dir: &OwnedFd) -> Result<HiddenName> {
    for _ in 0..ATTEMPTS {
        let name = hidden::fresh()?;
        match link(file, dir, &name) {
            Ok(()) => {
                return Ok(HiddenName {
                    dir: dir.try_clone()?,
                    name,
                    after: After::Remove,
                });
            }
            Err(Errno::EXIST) => {}
            Err(Errno::NOENT | Errno::PERM) => return copy_hidden(file, dir),
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(ErrorKind::Busy.into())
}

/// A copy of an unnamed file that cannot be named.
fn copy_hidden(file: &File, dir: &OwnedFd) -> Result<HiddenName> {
    let facts = jail::stat(file)?;
    let (copied, hidden) = create_hidden(dir, Mode::RUSR | Mode::WUSR)?;
    copy(file, &copied, facts.size, &AtomicBool::new(true))?;
    inherit(&copied, &facts);
    Ok(hidden)
}

/// Turns a hidden name into the final one.
fn rename_hidden(
    mut hidden: HiddenName,
    dir: &OwnedFd,
    name: &[u8],
    publish: Publish,
) -> Result<()> {
    let flags = match publish {
        Publish::Replacing => RenameFlags::empty(),
        Publish::Fresh => RenameFlags::NOREPLACE,
    };
    match rustix::fs::renameat_with(&hidden.dir, &hidden.name, dir, name, flags) {
        Ok(()) => hidden.after = After::Published,
        // A file system without RENAME_NOREPLACE: a second name refuses to replace too. The hidden one goes on drop.
        Err(Errno::INVAL) if publish == Publish::Fresh => {
            rustix::fs::linkat(&hidden.dir, &hidden.name, dir, name, AtFlags::empty())
                .map_err(naming)?;
            hidden.after = After::Remove;
        }
        Err(errno) => return Err(naming(errno)),
    }
    Ok(())
}

/// Copies the first `length` bytes, in the kernel where it can.
fn copy(from: &File, to: &File, length: u64, wanted: &AtomicBool) -> Result<()> {
    let mut done = 0;
    while done < length {
        if !wanted.load(Ordering::Relaxed) {
            return Err(ErrorKind::Io.into());
        }
        let step = usize::try_from((length - done).min(COPY_STEP)).unwrap_or(usize::MAX);
        let (mut here, mut there) = (done, done);
        match rustix::fs::copy_file_range(from, Some(&mut here), to, Some(&mut there), step) {
            Ok(0) => return Err(ErrorKind::InvalidOffset.into()), // cut off meanwhile
            Ok(n) => done += n as u64,
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => {
                done += copy_through_memory(from, to, done, step)?;
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn copy_through_memory(from: &File, to: &File, at: u64, most: usize) -> Result<u64> {
    let mut buffer = vec![0; most.min(1 << 20)];
    let n = from.read_at(&mut buffer, at)?;
    if n == 0 {
        return Err(ErrorKind::InvalidOffset.into());
    }
    to.write_all_at(buffer.get(..n).unwrap_or_default(), at)?;
    Ok(n as u64)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn directory(dir: &tempfile::TempDir) -> OwnedFd {
        File::open(dir.path()).unwrap().into()
    }

    /// A system where an unnamed file cannot be named: no /proc, a kernel before 6.10, no privilege.
    #[test]
    fn what_cannot_be_named_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let fd = directory(&dir);
        let mut unnamed = tempfile::tempfile_in(dir.path()).unwrap();
        let data = vec![7; (COPY_STEP + 5).try_into().unwrap()];
        unnamed.write_all(&data).unwrap();
        rustix::fs::fchmod(&unnamed, Mode::from_raw_mode(0o640)).unwrap();

        let hidden = copy_hidden(&unnamed, &fd).unwrap();
        rename_hidden(hidden, &fd, b"final", Publish::Fresh).unwrap();
        let path = dir.path().join("final");
        assert!(std::fs::read(&path).unwrap() == data);
        assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_refused_name_leaves_nothing_hidden() {
        let dir = tempfile::tempdir().unwrap();
        let fd = directory(&dir);
        std::fs::write(dir.path().join("taken"), "first").unwrap();
        let (_, hidden) = create_hidden(&fd, NEW_FILE).unwrap();
        let refused = rename_hidden(hidden, &fd, b"taken", Publish::Fresh);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Exists);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn nobody_waiting_ends_a_copy() {
        let from = tempfile::tempfile().unwrap();
        from.set_len(3 * COPY_STEP).unwrap();
        let to = tempfile::tempfile().unwrap();
        let copied = copy(&from, &to, 3 * COPY_STEP, &AtomicBool::new(false));
        assert!(copied.is_err());
        assert_eq!(to.metadata().unwrap().len(), 0);
    }

    #[test]
    fn copying_through_memory() {
        let (mut from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        from.write_all(b"0123456789").unwrap();
        assert_eq!(copy_through_memory(&from, &to, 0, 4).unwrap(), 4);
        assert_eq!(copy_through_memory(&from, &to, 4, 1000).unwrap(), 6);
        let mut copied = [0; 10];
        to.read_exact_at(&mut copied, 0).unwrap();
        assert_eq!(&copied, b"0123456789");
        let beyond = copy_through_memory(&from, &to, 10, 1);
        assert_eq!(beyond.unwrap_err().kind(), ErrorKind::InvalidOffset);
    }
}
