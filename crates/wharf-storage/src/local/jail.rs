//! Finding a name without ever leaving the served directory. Everything here blocks.
//!
//! Every pathname is resolved by one `openat2` below a descriptor of the root, so the kernel itself walks the
//! links and refuses to leave, whatever is renamed meanwhile. Changes have no such call: for them the parent
//! directory is resolved and the change is made to one component below its descriptor.
//!
//! `RESOLVE_IN_ROOT` was chosen over `RESOLVE_BENEATH`. Both confine equally. IN_ROOT gives the view of a chroot,
//! which is how FTP trees have always been set up: a link to `/pub/x` means the `/pub/x` that the client sees, so
//! trees made for a chrooted server keep working and the target shown in a listing is one the client can use. With
//! BENEATH every absolute link would be dead. What would lead out ends at the root instead, mostly in "not found".
//! `RESOLVE_NO_MAGICLINKS` closes the way through `/proc/*/fd` and `/proc/*/root`, should a tree contain one.
//!
//! Mount points below the root are followed: they are made by the administrator and are the way to share a
//! directory between two trees.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags};
use rustix::io::Errno;
use wharf_proto::Pathname;

use super::hidden;
use crate::{Error, ErrorKind, Kind, Metadata, Result};

/// How often a resolution is tried. `openat2` answers EAGAIN when anything is renamed or mounted on the whole
/// system meanwhile: 12 times in 200,000 on an idle machine, so in a row only under attack.
const ATTEMPTS: u32 = 128;

/// The kernel's own limit for a chain of symbolic links (path_resolution(7)).
const LINKS: usize = 40;

const RESOLVE: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// A directory and everything below it.
pub(super) struct Jail {
    root: OwnedFd,
}

/// One name in a directory that is held open.
pub(super) struct Place {
    pub(super) dir: OwnedFd,
    pub(super) name: Vec<u8>,
}

/// Where an upload will appear: symbolic links followed to the last one.
pub(super) struct Target {
    pub(super) place: Place,
    /// What is there now; never a symbolic link unless links were not to be followed.
    pub(super) existing: Option<Metadata>,
}

/// What to do with a symbolic link under the last name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LastLink {
    Follow,
    Keep,
}

impl Jail {
    /// Opens the directory. [`ErrorKind::Unsupported`] when the kernel has no `openat2` (before Linux 5.6) or a
    /// filter of system calls forbids it.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(dir, flags, Mode::empty())?;
        let jail = Self { root };
        match jail.resolve(b".", OFlags::PATH | OFlags::DIRECTORY) {
            Ok(_) => Ok(jail),
            Err(error) => Err(match error.kind() {
                ErrorKind::Unsupported | ErrorKind::Denied => Error::with_source(
                    ErrorKind::Unsupported,
                    "the kernel does not offer openat2 (Linux 5.6 and later, not filtered)",
                ),
                _ => error,
            }),
        }
    }

    /// The directory as the root of a jail of its own.
    pub(super) fn below(&self, path: &Pathname) -> Result<Self> {
        let root = self.resolve(&relative(path)?, OFlags::PATH | OFlags::DIRECTORY)?;
        Ok(Self { root })
    }

    /// Opens what has that name, links followed unless `flags` say otherwise.
    pub(super) fn find(&self, path: &Pathname, flags: OFlags) -> Result<OwnedFd> {
        self.resolve(&relative(path)?, flags)
    }

    /// The parent directory and the last component. The root has none: [`ErrorKind::Denied`].
    pub(super) fn parent(&self, path: &Pathname) -> Result<Place> {
        let place = relative(path)?;
        if place == b"." {
            return Err(ErrorKind::Denied.into());
        }
        let (dir, name) = split(&place);
        let dir = self.resolve(dir, OFlags::PATH | OFlags::DIRECTORY)?;
        Ok(Place {
            dir,
            name: name.to_vec(),
        })
    }

    /// Where writing to that name ends up. Links are walked here instead of by the kernel, because the name of the
    /// last link's target is needed; each step is again one confined resolution.
    pub(super) fn target(&self, path: &Pathname, link: LastLink) -> Result<Target> {
        let mut way = relative(path)?;
        for _ in 0..=LINKS {
            let (dir_path, name) = split(&way);
            if matches!(name, b"" | b"." | b"..") {
                return Err(ErrorKind::IsDirectory.into());
            }
            if hidden::is_hidden(name) {
                return Err(ErrorKind::NameNotAllowed.into());
            }
            let dir = self.resolve(dir_path, OFlags::PATH | OFlags::DIRECTORY)?;
            let existing = stat_name(&dir, name)?;
            let followed = link == LastLink::Follow
                && existing
                    .as_ref()
                    .is_some_and(|found| found.kind == Kind::Symlink);
            if !followed {
                let place = Place {
                    dir,
                    name: name.to_vec(),
                };
                return Ok(Target { place, existing });
            }
            let goal = rustix::fs::readlinkat(&dir, name, Vec::new())?.into_bytes();
            way = match goal.strip_prefix(b"/") {
                Some(absolute) => absolute.to_vec(),
                None => [dir_path, b"/", &goal].concat(),
            };
        }
        Err(Errno::LOOP.into())
    }

    fn resolve(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        for attempt in 0..ATTEMPTS {
            match rustix::fs::openat2(&self.root, path, flags, Mode::empty(), RESOLVE) {
                Err(Errno::AGAIN) if attempt > 8 => std::thread::yield_now(),
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
        Err(Errno::AGAIN.into())
    }
}

/// The facts behind a descriptor.
pub(super) fn stat(fd: impl AsFd) -> Result<Metadata> {
    let facts = rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
    Ok(metadata(&facts))
}

/// The facts of one name in a directory, a link being a link; `None` if nothing is there.
pub(super) fn stat_name(dir: impl AsFd, name: &[u8]) -> Result<Option<Metadata>> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    match rustix::fs::statx(dir, name, flags, StatxFlags::BASIC_STATS) {
        Ok(facts) => Ok(Some(metadata(&facts))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// A path to a descriptor's own file, for the few calls that take only paths. Needs `/proc`.
pub(super) fn proc_path(fd: BorrowedFd<'_>) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// The pathname below the root, `.` for the root; refuses reserved names.
fn relative(path: &Pathname) -> Result<Vec<u8>> {
    let path = path.normalize();
    if path.components().any(hidden::is_hidden) {
        return Err(ErrorKind::NameNotAllowed.into());
    }
    let below = path.as_bytes().strip_prefix(b"/").unwrap_or_default();
    Ok(if below.is_empty() { b"." } else { below }.to_vec())
}

/// Everything before the last slash, `.` if nothing, and what follows it.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(0) => (b".", path.get(1..).unwrap_or_default()),
        Some(at) => {
            let (dir, name) = path.split_at(at);
            (dir, name.get(1..).unwrap_or_default())
        }
        None => (b".", path),
    }
}

fn metadata(facts: &Statx) -> Metadata {
    let mode = u32::from(facts.stx_mode);
    let kind = match FileType::from_raw_mode(mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Other,
    };
    let (major, minor) = (facts.stx_dev_major, facts.stx_dev_minor);
    Metadata {
        kind,
        size: facts.stx_size,
        modified: system_time(facts.stx_mtime.tv_sec, facts.stx_mtime.tv_nsec),
        mode: Some(mode & 0o7777),
        uid: Some(facts.stx_uid),
        gid: Some(facts.stx_gid),
        links: u64::from(facts.stx_nlink),
        unique: Some(format!("{major:x}.{minor:x}g{:x}", facts.stx_ino)),
    }
}

fn system_time(seconds: i64, nanos: u32) -> SystemTime {
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let second = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(whole)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(whole)
    };
    second
        .and_then(|time| time.checked_add(Duration::from_nanos(u64::from(nanos))))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pathnames_become_relative_to_the_root() {
        for (given, expected) in [
            ("/", "."),
            ("/a/b", "a/b"),
            ("a/b", "a/b"),
            ("/../../etc/passwd", "etc/passwd"),
            ("//a/./b/..", "a"),
            ("..", "."),
        ] {
            let path = Pathname::try_from(given).unwrap();
            assert_eq!(relative(&path).unwrap(), expected.as_bytes(), "{given}");
        }
        let reserved = Pathname::try_from("/a/.wharf-partial.b/c").unwrap();
        assert_eq!(
            relative(&reserved).unwrap_err().kind(),
            ErrorKind::NameNotAllowed
        );
    }

    #[test]
    fn times_before_1970() {
        let epoch = SystemTime::UNIX_EPOCH;
        assert_eq!(
            system_time(-1, 500_000_000),
            epoch - Duration::from_millis(500)
        );
        assert_eq!(system_time(1, 0), epoch + Duration::from_secs(1));
    }
}
