//! Who is not let in: addresses and user names with too many failures, and what a person has banned.
//!
//! `rules` decides, `list` is what is remembered and its text, [`Bans`] puts both behind a lock and shares the list with
//! other processes through a file. What a server asks is answered from memory; [`Bans::exchange`] is the blocking half,
//! wanted when [`Bans::is_due`] says so: after a change of ours, and once a second to see those of others.

mod ban;
mod list;
mod rules;

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

pub use self::ban::{Ban, BanPolicy, Offence, Subject};
use self::list::BanList;
use self::rules::{Change, Rules};
use crate::users_file::write_whole;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Changes that wait for a file that cannot be written.
const MOST_WAITING: usize = 1000;

/// The largest file that is read, in bytes.
const MOST_BYTES: u64 = 16 << 20;

const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The bans of one process, shared through a file if it has one.
#[derive(Debug)]
pub struct Bans {
    file: Option<PathBuf>,
    state: Mutex<State>,
    /// Held by who reads and writes the file, never by who asks
    exchanging: Mutex<()>,
}

#[derive(Debug)]
struct State {
    rules: Rules,
    /// Not in the file yet.
    waiting: Vec<Change>,
    looked: Option<SystemTime>,
    /// The last exchange did not work
    failed: bool,
    stamp: Option<Stamp>,
}

/// Tells one version of the file from another without reading it.
type Stamp = (u64, u64, (i64, i64));

/// What is wrong with a list's file.
#[derive(Debug)]
#[non_exhaustive]
pub enum BansError {
    /// It cannot be read, written or locked.
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It says something that is no list of bans.
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where, and what.
        mistake: String,
    },
}

impl std::fmt::Display for BansError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io { path, source } => write!(f, "the list of bans {}: {source}", path.display()),
            Self::Invalid { path, mistake } => {
                write!(
                    f,
                    "the list of bans {} is damaged: {mistake}",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for BansError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Invalid { .. } => None,
        }
    }
}

impl Bans {
    /// Bans that end with the process.
    pub fn in_memory(policy: BanPolicy) -> Self {
        Self::new(policy, None)
    }

    /// Bans shared through a file, which need not be there yet. Blocks.
    ///
    /// # Errors
    /// The file is there and cannot be read, or is damaged: without it somebody would be let in who was banned.
    pub fn open(policy: BanPolicy, file: &Path) -> Result<Self, BansError> {
        let bans = Self::new(policy, Some(file.to_owned()));
        let mut state = bans.state();
        state.stamp = Stamp::of(file);
        state.rules.list = read(file)?;
        drop(state);
        Ok(bans)
    }

    fn new(policy: BanPolicy, file: Option<PathBuf>) -> Self {
        Self {
            file,
            state: Mutex::new(State {
                rules: Rules::new(policy),
                waiting: Vec::new(),
                looked: None,
                failed: false,
                stamp: None,
            }),
            exchanging: Mutex::new(()),
        }
    }

    /// The file, if there is one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// From now on by these rules; what has been counted stays.
    pub fn set_policy(&self, policy: BanPolicy) {
        self.state().rules.policy = policy;
    }

    /// The ban because of which nobody at this address is let in, if there is one.
    pub fn closed_to(&self, client: IpAddr, now: SystemTime) -> Option<Ban> {
        self.state().rules.closed_to(client, now).cloned()
    }

    /// The ban because of which this user name is not tried from this address, if there is one.
    pub fn refuses(&self, client: IpAddr, user: &[u8], now: SystemTime) -> Option<Ban> {
        self.state().rules.refuses(client, user, now).cloned()
    }

    /// A login was refused. Tells the bans that follow.
    pub fn failed(&self, client: IpAddr, user: &[u8], now: SystemTime) -> Vec<Ban> {
        let mut state = self.state();
        let changes = state.rules.failed(client, user, now);
        self.note(&mut state, changes)
    }

    /// Something else that no honest client does often. Tells the ban that follows.
    pub fn offended(&self, client: IpAddr, offence: Offence, now: SystemTime) -> Option<Ban> {
        let mut state = self.state();
        let change = state.rules.offended(client, offence, now);
        self.note(&mut state, change).pop()
    }

    /// A login succeeded, after so many failures of the same name in the same session.
    pub fn succeeded(&self, client: IpAddr, user: &[u8], forgiven: u32, now: SystemTime) {
        let mut state = self.state();
        let change = state.rules.succeeded(client, user, forgiven, now);
        self.note(&mut state, change);
    }

    /// Bans by hand, or whatever `ban` says.
    pub fn add(&self, ban: Ban, now: SystemTime) {
        let mut state = self.state();
        let change = Change::Ban(ban);
        state.rules.list.apply(change.clone(), now);
        self.note(&mut state, [change]);
    }

    /// Lifts the bans against exactly these; tells which there were.
    pub fn lift(&self, subjects: &[Subject], now: SystemTime) -> Vec<Ban> {
        let mut state = self.state();
        let mut lifted = Vec::new();
        for subject in subjects {
            lifted.extend(state.rules.list.find(subject, now).cloned());
            let change = Change::Lift(subject.clone());
            state.rules.list.apply(change.clone(), now);
            self.note(&mut state, [change]);
        }
        lifted
    }

    /// The bans in force, the newest first.
    pub fn in_force(&self, now: SystemTime) -> Vec<Ban> {
        self.state().rules.list.in_force(now)
    }

    /// Whether [`exchange`](Self::exchange) has something to do.
    pub fn is_due(&self, now: SystemTime) -> bool {
        if self.file.is_none() {
            return false;
        }
        let state = self.state();
        let fresh = |looked: SystemTime| now.duration_since(looked).is_ok_and(|age| age < LOOK);
        !state.looked.is_some_and(fresh) || (!state.waiting.is_empty() && !state.failed)
    }

    /// Reads what other processes have written, and writes what is new here. Blocks; who asks meanwhile is answered from
    /// memory, and a second caller has nothing to do.
    ///
    /// # Errors
    /// The list stays as it was in memory, and our changes wait for the next time.
    pub fn exchange(&self, now: SystemTime) -> Result<(), BansError> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let Ok(_one) = self.exchanging.try_lock() else {
            return Ok(());
        };
        let (waiting, stamp, longest) = {
            let mut state = self.state();
            state.looked = Some(now);
            let waiting = std::mem::take(&mut state.waiting);
            (waiting, state.stamp, state.rules.policy.longest)
        };
        let seen = Stamp::of(file);
        let list = if !waiting.is_empty() {
            add_to(file, &waiting, longest, now).map(Some)
        } else if seen != stamp {
            read(file).map(Some)
        } else {
            Ok(None)
        };
        let mut state = self.state();
        state.failed = list.is_err();
        match list {
            Ok(Some(mut list)) => {
                // What has come about meanwhile is written the next time.
                for change in &state.waiting {
                    list.apply(change.clone(), now);
                }
                state.rules.list = list;
                state.stamp = if waiting.is_empty() {
                    seen
                } else {
                    Stamp::of(file)
                };
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => {
                // A damaged version is complained about once, unless there is something to write.
                state.stamp = seen;
                let later = std::mem::replace(&mut state.waiting, waiting);
                let room = MOST_WAITING.saturating_sub(state.waiting.len());
                state.waiting.extend(later.into_iter().take(room));
                Err(error)
            }
        }
    }

    fn note(&self, state: &mut State, changes: impl IntoIterator<Item = Change>) -> Vec<Ban> {
        let mut bans = Vec::new();
        for change in changes {
            if let Change::Ban(ban) = &change {
                bans.push(ban.clone());
            }
            if self.file.is_some() && state.waiting.len() < MOST_WAITING {
                state.waiting.push(change);
            }
        }
        bans
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Tables of numbers are never left half-changed, so a poisoned lock is still good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

trait OfFile: Sized {
    fn of(path: &Path) -> Option<Self>;
}

impl OfFile for Stamp {
    fn of(path: &Path) -> Option<Self> {
        let facts = fs::metadata(path).ok()?;
        Some((
            facts.ino(),
            facts.size(),
            (facts.mtime(), facts.mtime_nsec()),
        ))
    }
}

/// The list in a file with our changes, in memory and in the file.
fn add_to(
    file: &Path,
    changes: &[Change],
    longest: Duration,
    now: SystemTime,
) -> Result<BanList, BansError> {
    let failed = |source| BansError::Io {
        path: file.to_owned(),
        source,
    };
    let _locked = lock(file).map_err(failed)?;
    let mut list = read(file)?;
    for change in changes {
        list.apply(change.clone(), now);
    }
    list.forget_old(longest, now);
    write_whole(file, &list.text()).map_err(failed)?;
    Ok(list)
}

/// The list in a file; an empty one where there is no file.
fn read(path: &Path) -> Result<BanList, BansError> {
    let failed = |source| BansError::Io {
        path: path.to_owned(),
        source,
    };
    let invalid = |mistake: String| BansError::Invalid {
        path: path.to_owned(),
        mistake,
    };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BanList::default()),
        Err(error) => return Err(failed(error)),
        Ok(facts) if facts.len() > MOST_BYTES => {
            return Err(invalid(format!("it has more than {MOST_BYTES} bytes")));
        }
        Ok(_) => {}
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    BanList::read(&text).map_err(invalid)
}

/// Locks the file's directory, which is made if it is missing, so that no lock file lies about.
fn lock(path: &Path) -> io::Result<File> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let directory = File::open(directory)?;
    for _ in 0..LOCK_TRIES {
        match directory.try_lock() {
            Ok(()) => return Ok(directory),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(
        io::ErrorKind::WouldBlock,
        "another process holds the lock",
    ))
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
