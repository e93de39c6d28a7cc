//! What the system tells about a tree of directories (inotify): which of them have changed.
//!
//! A watch is for one directory, so each has its own; a directory that appears gets one, and counts as changed, since
//! files may have come before the watch. Symbolic links are not followed.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::sync::mpsc;
use wharf_proto::Pathname;

/// Bytes of events read at once: some hundred.
const BUFFER: usize = 16 * 1024;

/// What is told about: content and names, times and permissions, the directory itself.
const WANTED: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::DONT_FOLLOW);

/// So many batches wait; when nobody takes them, the kernel's own queue fills, and says so.
const WAITING: usize = 64;

/// A watched tree. A thread waits for the kernel, since tokio asks for a promise about descriptors that only unsafe code can
/// make.
pub(super) struct Notices {
    inotify: Arc<OwnedFd>,
    told: mpsc::Receiver<io::Result<Vec<Told>>>,
    /// Closed with this, which ends the thread.
    _end: OwnedFd,
    top: PathBuf,
    /// Below the top.
    directories: HashMap<i32, PathBuf>,
}

/// One event, as the kernel has it.
struct Told {
    watch: i32,
    events: ReadFlags,
    name: Option<Vec<u8>>,
}

/// Where something has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// As a mirror names them: the top is `/`.
    pub(super) directories: BTreeSet<Pathname>,
    /// The system could not tell everything, or what it told cannot be named.
    pub(super) lost: bool,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.directories.is_empty() && !self.lost
    }

    pub(super) fn add(&mut self, more: Self) {
        self.directories.extend(more.directories);
        self.lost |= more.lost;
    }

    fn note(&mut self, directory: &Path) {
        let name = [b"/", directory.as_os_str().as_bytes()].concat();
        match Pathname::new(name) {
            Ok(path) => {
                self.directories.insert(path);
            }
            // Neither can it be mirrored, which the mirror tells.
            Err(_) => self.lost = true,
        }
    }
}

impl Notices {
    /// Watches the directory and all below it.
    ///
    /// # Errors
    /// The directory cannot be read, or the user's limit of watches is reached.
    pub(super) fn of(top: &Path) -> io::Result<Self> {
        let inotify = Arc::new(inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?);
        let (ends, end) = pipe_with(PipeFlags::CLOEXEC)?;
        let (tell, told) = mpsc::channel(WAITING);
        let of_thread = Arc::clone(&inotify);
        std::thread::Builder::new()
            .name("inotify".to_owned())
            .spawn(move || listen(&of_thread, &ends, &tell))?;
        let mut notices = Self {
            inotify,
            told,
            _end: end,
            top: top.to_owned(),
            directories: HashMap::new(),
        };
        notices.watch(Path::new(""), &mut Changes::default())?;
        Ok(notices)
    }

    /// Waits until something has changed. Cancel-safe.
    ///
    /// # Errors
    /// The system does not tell any more, or a new directory cannot be watched.
    pub(super) async fn next(&mut self) -> io::Result<Changes> {
        loop {
            let told = self.told.recv().await;
            let told = told.unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()))?;
            let mut changes = Changes::default();
            for event in told {
                self.one(&event, &mut changes)?;
            }
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }

    fn one(&mut self, event: &Told, changes: &mut Changes) -> io::Result<()> {
        let Told {
            watch,
            events,
            name,
        } = event;
        if events.contains(ReadFlags::QUEUE_OVERFLOW) {
            changes.lost = true;
            return self.watch(Path::new(""), &mut Changes::default());
        }
        if events.contains(ReadFlags::IGNORED) {
            self.directories.remove(watch);
            return Ok(());
        }
        let Some(directory) = self.directories.get(watch).cloned() else {
            return Ok(());
        };
        changes.note(&directory);
        let is_new = events.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
        if let Some(name) = name
            && events.contains(ReadFlags::ISDIR)
        {
            let path = directory.join(std::ffi::OsStr::from_bytes(name));
            if is_new {
                return self.watch(&path, changes);
            }
            if events.contains(ReadFlags::MOVED_FROM) {
                // Its watches would go on telling its old name.
                let gone: Vec<i32> = self
                    .directories
                    .iter()
                    .filter(|(_, below)| below.starts_with(&path))
                    .map(|(watch, _)| *watch)
                    .collect();
                for watch in gone {
                    self.directories.remove(&watch);
                    let _ = inotify::remove_watch(&*self.inotify, watch);
                }
            }
        }
        Ok(())
    }

    /// Watches a directory and what is in it; all of them count as changed.
    fn watch(&mut self, below: &Path, changes: &mut Changes) -> io::Result<()> {
        let mut todo = vec![below.to_owned()];
        while let Some(directory) = todo.pop() {
            let whole = self.top.join(&directory);
            let watch = match inotify::add_watch(&*self.inotify, &whole, WANTED) {
                Ok(watch) => watch,
                // Gone again, or not ours to read: the mirror will say what there is to say.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS)
                    if !directory.as_os_str().is_empty() =>
                {
                    continue;
                }
                Err(errno) => return Err(errno.into()),
            };
            changes.note(&directory);
            self.directories.insert(watch, directory.clone());
            let Ok(entries) = std::fs::read_dir(&whole) else {
                continue;
            };
            for entry in entries.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    todo.push(directory.join(entry.file_name()));
                }
            }
        }
        Ok(())
    }
}

/// Takes what the kernel tells, until nobody wants it any more.
fn listen(inotify: &OwnedFd, ends: &OwnedFd, tell: &mpsc::Sender<io::Result<Vec<Told>>>) {
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    loop {
        let mut waiting = [
            PollFd::new(inotify, PollFlags::IN),
            PollFd::new(ends, PollFlags::IN),
        ];
        match poll(&mut waiting, None) {
            Ok(_) if !waiting[1].revents().is_empty() => return,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => {
                let _ = tell.blocking_send(Err(errno.into()));
                return;
            }
        }
        let mut reader = inotify::Reader::new(inotify, &mut buffer);
        let mut told = Vec::new();
        let end = loop {
            match reader.next() {
                Ok(event) => told.push(Told {
                    watch: event.wd(),
                    events: event.events(),
                    name: event.file_name().map(|name| name.to_bytes().to_vec()),
                }),
                Err(Errno::AGAIN | Errno::INTR) => break None,
                Err(errno) => break Some(errno),
            }
            if reader.is_buffer_empty() {
                break None;
            }
        };
        if !told.is_empty() && tell.blocking_send(Ok(told)).is_err() {
            return;
        }
        if let Some(errno) = end {
            let _ = tell.blocking_send(Err(errno.into()));
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::Duration;

    fn names(changes: &Changes) -> Vec<String> {
        changes
            .directories
            .iter()
            .map(|path| path.display().to_string())
            .collect()
    }

    /// Everything that is told until what is looked for is among it.
    async fn until(notices: &mut Notices, wanted: &str) -> Changes {
        let mut all = Changes::default();
        let wait = async {
            while !names(&all).iter().any(|name| name == wanted) {
                all.add(notices.next().await.unwrap());
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait)
            .await
            .expect("it is told");
        all
    }

    #[tokio::test]
    async fn changes_are_told_by_directory_new_ones_included() {
        let house = tempfile::tempdir().unwrap();
        let top = house.path();
        fs::create_dir_all(top.join("a/b")).unwrap();
        let mut notices = Notices::of(top).unwrap();
        fs::write(top.join("a/b/file"), "x").unwrap();
        let changes = until(&mut notices, "/a/b").await;
        assert_eq!(names(&changes), ["/a/b"]);
        fs::create_dir_all(top.join("a/new/deep")).unwrap();
        until(&mut notices, "/a/new").await;
        fs::write(top.join("a/new/deep/file"), "x").unwrap();
        until(&mut notices, "/a/new/deep").await;
        fs::rename(top.join("a/new"), top.join("moved")).unwrap();
        until(&mut notices, "/moved/deep").await;
        fs::write(top.join("moved/deep/again"), "x").unwrap();
        let changes = until(&mut notices, "/moved/deep").await;
        assert!(
            !names(&changes)
                .iter()
                .any(|name| name.starts_with("/a/new")),
            "{changes:?}"
        );
        fs::remove_file(top.join("a/b/file")).unwrap();
        until(&mut notices, "/a/b").await;
    }

    #[tokio::test]
    async fn what_is_no_directory_cannot_be_watched() {
        let house = tempfile::tempdir().unwrap();
        assert!(Notices::of(&house.path().join("missing")).is_err());
    }
}
