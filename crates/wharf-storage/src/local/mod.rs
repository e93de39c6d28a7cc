//! A directory of the host as a store, jailed: nothing outside of it can be reached through any name.
//!
//! In reading order: [`Local`] here, `jail` (finding names), `draft` and `upload` (the two halves of an upload),
//! `reader` and `writer` (open files, whoever opened them), `listing`, `hidden` (reserved names). Linux 5.8 or later.
//!
//! Every operation is one hop to a thread of the blocking pool, whatever number of system calls it takes.

mod draft;
mod hidden;
mod jail;
mod listing;
mod reader;
mod upload;
mod writer;

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;
use tokio::task::spawn_blocking;
use wharf_proto::Pathname;

use self::draft::{Draft, Manner, naming};
use self::jail::{Jail, LastLink, Place, Target};
use self::listing::LocalListing;
pub use self::reader::FileReader;
use self::upload::LocalUpload;
pub use self::writer::FileWriter;
use crate::{
    Error, ErrorKind, Kind, ListOrder, Listing, Metadata, Reader, Result, Storage, Upload, Write,
};

/// How a directory is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalOptions {
    /// Keep what an interrupted upload of a *new* file has brought, so that the client can continue it with REST or
    /// APPE. Default: off, an upload that did not end cleanly leaves nothing.
    ///
    /// The data waits under the hidden name `.wharf-partial.<name>` beside the target. While no file has the name
    /// itself, [`Storage::metadata`] (so SIZE and MDTM) tells the length of the partial data, [`Write::At`] and
    /// [`Write::Append`] continue it, [`Write::Replace`] starts over, and [`Storage::remove_file`] removes it; it
    /// can be neither read, listed nor renamed. An interrupted upload *over* an existing file leaves that file as it
    /// is and keeps nothing. While one upload writes partial data, continuing it is [`ErrorKind::Busy`]. Names
    /// longer than 240 bytes keep none.
    pub resume: bool,
    /// When an upload that is told as complete has reached the disk. Default: some time after.
    pub fsync: Fsync,
    /// Where an upload is written until it is complete. Default: beside its name.
    pub uploads: Uploads,
}

/// Where an upload is written until it is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uploads {
    /// In a file without a name, or with a hidden one, which gets the final name when it is complete: whatever crashes or
    /// is cut, under the name stands the old file or the whole new one. Appending copies what is there first.
    #[default]
    Atomic,
    /// Under the final name, in the file that is there: readers see it grow, owner, links and permissions stay, appending
    /// to a huge file costs nothing. What is cut leaves what has arrived, which REST and APPE continue.
    /// [`LocalOptions::resume`] has no meaning then. Two uploads of one file at once: the second is
    /// [`ErrorKind::Busy`].
    Direct,
}

/// What is waited for before an upload is told as complete, to survive a power failure and not only a crash of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// Nothing: the system writes when it likes to, mostly within half a minute.
    #[default]
    None,
    /// The content (`fdatasync`), before it gets its name: after a power failure the name stands for the old file or for
    /// the whole new one, never for a file of zeros. Which of both is not certain yet.
    Data,
    /// The content, its facts and its name (`fsync` of the file and of its directory): what was told as complete is there.
    Full,
}

/// A directory of the host.
///
/// Names that begin with `.wharf-` are reserved for unfinished uploads: never listed, and
/// [`ErrorKind::NameNotAllowed`] when named.
pub struct Local {
    jail: Arc<Jail>,
    manner: Manner,
}

impl Local {
    /// Opens the directory; it stays the same one even if it is renamed. Blocks for a moment.
    ///
    /// Errors: the directory does not exist or is none, or the kernel has no `openat2` ([`ErrorKind::Unsupported`]).
    pub fn open(dir: impl AsRef<Path>, options: LocalOptions) -> Result<Self> {
        let jail = Arc::new(Jail::open(dir.as_ref())?);
        Ok(Self::of(jail, options))
    }

    /// The same directory with other options: nothing is opened, so that a process which may not open it again can.
    #[must_use]
    pub fn with_options(&self, options: LocalOptions) -> Self {
        Self::of(Arc::clone(&self.jail), options)
    }

    fn of(jail: Arc<Jail>, options: LocalOptions) -> Self {
        let LocalOptions {
            resume,
            fsync,
            uploads,
        } = options;
        let manner = Manner {
            resume: resume && uploads == Uploads::Atomic,
            direct: uploads == Uploads::Direct,
            fsync,
            unnamed: true,
        };
        Self { jail, manner }
    }

    async fn with_jail<T: Send + 'static>(
        &self,
        path: &Pathname,
        work: impl FnOnce(&Jail, &Pathname) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (jail, path) = (Arc::clone(&self.jail), path.clone());
        blocking(move || work(&jail, &path)).await
    }
}

/// Runs something that blocks on a thread made for it.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(stopped) => match stopped.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(stopped) => Err(Error::with_source(ErrorKind::Io, stopped)),
        },
    }
}

#[async_trait]
impl Storage for Local {
    async fn metadata(&self, path: &Pathname) -> Result<Metadata> {
        let resume = self.manner.resume;
        self.with_jail(path, move |jail, path| {
            match jail.find(path, OFlags::PATH) {
                Ok(found) => jail::stat(found),
                Err(error) if resume && error.kind() == ErrorKind::NotFound => {
                    let place = partial_place(jail, path)?.ok_or(error)?;
                    jail::stat_name(&place.dir, &place.name)?
                        .ok_or_else(|| ErrorKind::NotFound.into())
                }
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn link_metadata(&self, path: &Pathname) -> Result<Metadata> {
        self.with_jail(path, |jail, path| {
            jail::stat(jail.find(path, OFlags::PATH | OFlags::NOFOLLOW)?)
        })
        .await
    }

    async fn read_link(&self, path: &Pathname) -> Result<Vec<u8>> {
        self.with_jail(path, |jail, path| {
            let link = jail.find(path, OFlags::PATH | OFlags::NOFOLLOW)?;
            match rustix::fs::readlinkat(&link, c"", Vec::new()) {
                Ok(target) => Ok(target.into_bytes()),
                // The empty path of something that is no link.
                Err(Errno::NOENT | Errno::INVAL) => Err(ErrorKind::WrongKind.into()),
                Err(errno) => Err(errno.into()),
            }
        })
        .await
    }

    async fn list(&self, path: &Pathname, order: ListOrder) -> Result<Box<dyn Listing>> {
        self.with_jail(path, move |jail, path| {
            let dir = jail.find(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
            Ok(Box::new(LocalListing::new(dir, order)?) as Box<dyn Listing>)
        })
        .await
    }

    async fn open(&self, path: &Pathname, at: u64) -> Result<Reader> {
        self.with_jail(path, move |jail, path| {
            // NONBLOCK: a named pipe without a writer must not hold the thread before its kind is known.
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
            let file = jail.find(path, flags)?;
            let facts = jail::stat(&file)?;
            match facts.kind {
                Kind::File => {}
                Kind::Directory => return Err(ErrorKind::IsDirectory.into()),
                Kind::Symlink | Kind::Other => return Err(ErrorKind::WrongKind.into()),
            }
            Ok(Box::new(FileReader::new(file.into(), facts.size, at)?) as Reader)
        })
        .await
    }

    async fn create(&self, path: &Pathname, how: Write) -> Result<Box<dyn Upload>> {
        let manner = self.manner;
        let wanted = Wanted::default();
        let still = Arc::clone(&wanted.0);
        self.with_jail(path, move |jail, path| {
            let path = path.normalize();
            let (name, target) = match &how {
                Write::Unique { prefix } => unique(jail, &path, prefix)?,
                Write::New => (path.clone(), jail.target(&path, LastLink::Keep)?),
                _ => (path.clone(), jail.target(&path, LastLink::Follow)?),
            };
            let draft = Draft::begin(target, &how, manner, &still)?;
            Ok(Box::new(LocalUpload::new(name, draft)?) as Box<dyn Upload>)
        })
        .await
    }

    async fn remove_file(&self, path: &Pathname) -> Result<()> {
        let resume = self.manner.resume;
        self.with_jail(path, move |jail, path| {
            let place = jail.parent(path)?;
            let removed = rustix::fs::unlinkat(&place.dir, &place.name, AtFlags::empty());
            let partial = hidden::partial(&place.name).filter(|_| resume);
            match (removed, partial) {
                (Ok(()), Some(partial)) => {
                    hidden::sweep(&place.dir, &partial);
                    Ok(())
                }
                (Err(Errno::NOENT), Some(partial)) => {
                    if jail::stat_name(&place.dir, &partial)?.is_none() {
                        return Err(Errno::NOENT.into());
                    }
                    if hidden::sweep(&place.dir, &partial) {
                        Ok(())
                    } else {
                        Err(ErrorKind::Busy.into())
                    }
                }
                (other, _) => Ok(other?),
            }
        })
        .await
    }

    async fn create_dir(&self, path: &Pathname) -> Result<()> {
        self.with_jail(path, |jail, path| {
            let place = jail.parent(path).map_err(|error| match error.kind() {
                ErrorKind::Denied if is_root(path) => ErrorKind::Exists.into(),
                _ => error,
            })?;
            let mode = Mode::from_raw_mode(0o777);
            rustix::fs::mkdirat(&place.dir, &place.name, mode).map_err(naming)
        })
        .await
    }

    async fn remove_dir(&self, path: &Pathname) -> Result<()> {
        self.with_jail(path, |jail, path| {
            let place = jail.parent(path)?;
            let remove = || rustix::fs::unlinkat(&place.dir, &place.name, AtFlags::REMOVEDIR);
            match remove() {
                // Empty for all that the client can see? Then the remains of uploads go with it.
                Err(Errno::NOTEMPTY | Errno::EXIST) if sweep_dir(&place)? => Ok(remove()?),
                Err(Errno::EXIST) => Err(ErrorKind::NotEmpty.into()),
                other => Ok(other?),
            }
        })
        .await
    }

    async fn rename(&self, from: &Pathname, to: &Pathname) -> Result<()> {
        let to = to.clone();
        self.with_jail(from, move |jail, from| {
            let (from, to) = (jail.parent(from)?, jail.parent(&to)?);
            let flags = RenameFlags::empty();
            rustix::fs::renameat_with(&from.dir, &from.name, &to.dir, &to.name, flags).map_err(
                |errno| match errno {
                    Errno::EXIST => ErrorKind::NotEmpty.into(),
                    other => naming(other),
                },
            )
        })
        .await
    }

    async fn create_link(&self, path: &Pathname, target: &[u8]) -> Result<()> {
        let target = target.to_vec();
        self.with_jail(path, move |jail, path| {
            let place = jail.parent(path)?;
            rustix::fs::symlinkat(target, &place.dir, &place.name).map_err(naming)
        })
        .await
    }

    async fn set_modified(&self, path: &Pathname, to: SystemTime) -> Result<()> {
        self.with_jail(path, move |jail, path| {
            let file = jail.find(path, OFlags::PATH)?;
            let times = Timestamps {
                last_access: Timespec {
                    tv_sec: 0,
                    tv_nsec: UTIME_OMIT,
                },
                last_modification: timespec(to)?,
            };
            Ok(rustix::fs::utimensat(
                &file,
                c"",
                &times,
                AtFlags::EMPTY_PATH,
            )?)
        })
        .await
    }

    async fn set_mode(&self, path: &Pathname, mode: u32) -> Result<()> {
        if mode > 0o777 {
            return Err(ErrorKind::Denied.into());
        }
        self.with_jail(path, move |jail, path| {
            let file = jail.find(path, OFlags::PATH)?;
            let facts = jail::stat(&file)?;
            // A directory's set-group-id and sticky bits are the administrator's; a file loses its set-id bits.
            let kept = match facts.kind {
                Kind::Directory => facts.mode.unwrap_or_default() & 0o7000,
                Kind::File => 0,
                Kind::Symlink | Kind::Other => return Err(ErrorKind::WrongKind.into()),
            };
            let mode = Mode::from_raw_mode(mode | kept);
            match rustix::fs::chmodat(CWD, jail::proc_path(file.as_fd()), mode, AtFlags::empty()) {
                // No /proc: a descriptor that was opened for reading can be changed too.
                Err(Errno::NOENT) => {
                    let file = jail.find(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
                    Ok(rustix::fs::fchmod(file, mode)?)
                }
                other => Ok(other?),
            }
        })
        .await
    }

    async fn free_space(&self, path: &Pathname) -> Result<Option<u64>> {
        self.with_jail(path, |jail, path| {
            let mut place = path.normalize();
            let dir = loop {
                match jail.find(&place, OFlags::PATH) {
                    Ok(found) => break found,
                    Err(error) => place = place.parent().ok_or(error)?,
                }
            };
            let facts = rustix::fs::fstatvfs(dir)?;
            Ok(Some(facts.f_bavail.saturating_mul(facts.f_frsize)))
        })
        .await
    }

    async fn subtree(&self, base: &Pathname) -> Result<Option<Arc<dyn Storage>>> {
        let manner = self.manner;
        self.with_jail(base, move |jail, base| {
            let jail = Arc::new(jail.below(base)?);
            let local: Arc<dyn Storage> = Arc::new(Self { jail, manner });
            Ok(Some(local))
        })
        .await
    }
}

/// Whether the caller of a long copy is still there: turns false when this is dropped.
struct Wanted(Arc<AtomicBool>);

impl Default for Wanted {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn is_root(path: &Pathname) -> bool {
    path.normalize() == Pathname::root()
}

/// Where the partial data for a name that does not exist would be.
fn partial_place(jail: &Jail, path: &Pathname) -> Result<Option<Place>> {
    if is_root(path) {
        return Ok(None);
    }
    let Target { place, existing } = jail.target(path, LastLink::Follow)?;
    let name = hidden::partial(&place.name).filter(|_| existing.is_none());
    Ok(name.map(|name| Place { name, ..place }))
}

/// A free name in a directory. It is drawn from 40 random bits rather than counted up, so that two clients at the same
/// moment do not get the same one; the commit still refuses to replace anything.
fn unique(jail: &Jail, dir: &Pathname, prefix: &[u8]) -> Result<(Pathname, Target)> {
    let prefix = if prefix.is_empty() { b"stou" } else { prefix };
    for _ in 0..16 {
        let random = hidden::random()? & 0xff_ffff_ffff;
        let name = [prefix, format!(".{random:010x}").as_bytes()].concat();
        let path = dir
            .child(&name)
            .map_err(|error| Error::with_source(ErrorKind::NameNotAllowed, error))?;
        let target = jail.target(&path, LastLink::Keep)?;
        if target.existing.is_none() {
            return Ok((path, target));
        }
    }
    Err(ErrorKind::Busy.into())
}

/// Removes what is left of uploads in a directory, provided that there is nothing else. Returns whether it is empty now.
fn sweep_dir(place: &Place) -> Result<bool> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(&place.dir, &place.name, flags, Mode::empty())?;
    let mut remains = Vec::new();
    for entry in rustix::fs::Dir::read_from(&dir)? {
        let entry = entry?;
        match entry.file_name().to_bytes() {
            b"." | b".." => {}
            name if hidden::is_hidden(name) => remains.push(name.to_vec()),
            _ => return Ok(false),
        }
    }
    Ok(remains.iter().all(|name| hidden::sweep(&dir, name)))
}

fn timespec(time: SystemTime) -> Result<Timespec> {
    let out_of_range = || Error::new(ErrorKind::Unsupported);
    let (seconds, nanos) = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => (
            i64::try_from(after.as_secs()).map_err(|_| out_of_range())?,
            after.subsec_nanos(),
        ),
        Err(before) => {
            let before = before.duration();
            let whole = i64::try_from(before.as_secs()).map_err(|_| out_of_range())?;
            match before.subsec_nanos() {
                0 => (-whole, 0),
                nanos => (-whole - 1, 1_000_000_000 - nanos),
            }
        }
    };
    Ok(Timespec {
        tv_sec: seconds,
        tv_nsec: nanos.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    /// File systems without `O_TMPFILE`, as NFS and FAT.
    #[tokio::test]
    async fn uploads_without_unnamed_files_conform() {
        for resume in [false, true] {
            let dirs = std::sync::Mutex::new(Vec::new());
            let make = || {
                let dir = tempfile::tempdir().unwrap();
                let jail = Arc::new(Jail::open(dir.path()).unwrap());
                dirs.lock().unwrap().push(dir);
                let manner = Manner {
                    resume,
                    direct: false,
                    fsync: Fsync::None,
                    unnamed: false,
                };
                Arc::new(Local { jail, manner }) as Arc<dyn Storage>
            };
            conformance::run(make).await;
            if resume {
                conformance::run_resume(make).await;
            }
        }
    }

    #[tokio::test]
    async fn a_hidden_upload_is_removed_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let jail = Arc::new(Jail::open(dir.path()).unwrap());
        let manner = Manner {
            resume: false,
            direct: false,
            fsync: Fsync::None,
            unnamed: false,
        };
        let local = Local { jail, manner };
        let upload = local
            .create(&"/a".parse().unwrap(), Write::Replace)
            .await
            .unwrap();
        let names = || std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(names(), 1);
        // Its own listing neither shows nor sweeps it.
        let listing = local
            .list(&Pathname::root(), ListOrder::Name)
            .await
            .unwrap();
        assert_eq!(crate::collect(listing).await.unwrap(), []);
        assert_eq!(names(), 1);
        upload.abandon().await.unwrap();
        assert_eq!(names(), 0);
    }
}
