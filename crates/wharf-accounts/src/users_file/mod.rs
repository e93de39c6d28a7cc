//! Users in a TOML file:
//!
//! ```toml
//! [[user]]
//! name = "anna"
//! password = "$argon2id$v=19$m=19456,t=2,p=1$..."   # made by `wharf user`
//! home = "/anna"        # the directory that is the user's root; default "/", everything
//! read_only = true      # default false
//! sessions = 2          # at the same time; default: no limit of the user's own
//! welcome = "hello"     # told after the login
//! quota_bytes = 1000000 # that may be kept; default: no limit
//! quota_files = 100     # files and directories that may be kept; default: no limit
//!
//! [[user]]
//! name = "bert"         # no password: nobody gets in without the certificate
//! certificates = ["sha256:AB:CD:..."]          # of clients, by their SHA-256
//! certificate_names = ["bert@example.org"]     # or by common name, host name, mail address or URI in them
//! certificate = "alone" # enough, or "and-password"; default: and-password where there is a password
//! ```
//!
//! The file is read again when it has changed, looked at by each login. A version with mistakes is logged and not
//! used; the users of the last good one stay. `parse` reads, `edit` changes, the rest is here.

mod edit;
mod parse;

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use tokio::task::spawn_blocking;
use wharf_proto::Pathname;
use wharf_storage::{ErrorKind, Permissions, Quota, QuotaLimits, Scoped, Storage, Usage};

pub use self::edit::UserList;
pub(crate) use self::edit::write_whole;
pub use self::parse::{MOST_NAME, NameError, User, check_name};
use crate::{Authenticator, Credentials, Denied, Granted, HashPool, PasswordHash, UserLimits};

/// One mistake in a users file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, for people.
    pub message: String,
}

/// Why a users file cannot be used or changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum UsersError {
    /// It cannot be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Mistakes, all of them.
    Invalid {
        /// The file, once it is known.
        path: PathBuf,
        /// In the order of the lines.
        problems: Vec<Problem>,
    },
    /// That name cannot be one.
    Name(NameError),
    /// There is a user of that name.
    Exists(String),
    /// There is no user of that name.
    Unknown(String),
    /// The password cannot be hashed.
    Hash(crate::HashError),
    /// Somebody else changed the file since it was loaded.
    Changed(PathBuf),
    /// The file is written in a way that cannot be edited here: not as `[[user]]` tables.
    Form,
    /// A home that is not UTF-8 cannot be written to TOML.
    Home,
}

impl UsersError {
    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl fmt::Display for UsersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Invalid { path, problems } => {
                for (index, Problem { line, message }) in problems.iter().enumerate() {
                    let end = if index + 1 < problems.len() { "\n" } else { "" };
                    write!(f, "{}:{line}: {message}{end}", path.display())?;
                }
                Ok(())
            }
            Self::Name(error) => write!(f, "{error}"),
            Self::Exists(name) => write!(f, "the user exists already: {name}"),
            Self::Unknown(name) => write!(f, "no such user: {name}"),
            Self::Hash(error) => write!(f, "{error}"),
            Self::Changed(path) => {
                write!(f, "{}: changed by somebody else meanwhile", path.display())
            }
            Self::Form => f.write_str("users can only be edited when written as [[user]] tables"),
            Self::Home => f.write_str("the home is not UTF-8"),
        }
    }
}

impl std::error::Error for UsersError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Name(error) => Some(error),
            Self::Hash(error) => Some(error),
            _ => None,
        }
    }
}

/// Users in a file, each with a home in one storage.
///
/// The home of a user who may write is made at the first login, if only its last directory is missing.
pub struct UsersFile {
    file: Arc<WatchedFile>,
    root: Arc<dyn Storage>,
    pool: HashPool,
    /// What users with a quota keep, while they have sessions
    usages: Mutex<HashMap<String, Weak<Usage>>>,
    keeps: bool,
}

/// The blocking half.
struct WatchedFile {
    path: PathBuf,
    open: Box<dyn Fn() -> io::Result<File> + Send + Sync>,
    current: Mutex<Current>,
}

#[derive(Clone)]
struct Current {
    /// Of the version last looked at, good or bad.
    stamp: Option<Stamp>,
    users: Arc<Users>,
}

#[derive(Default)]
struct Users {
    by_name: HashMap<Vec<u8>, User>,
    /// Checked in place of an unknown user's: of the same cost as the others.
    stand_in: Option<PasswordHash>,
}

/// Tells one version of a file from another without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl UsersFile {
    /// Reads the file, which must be there and without mistakes. Homes are directories of `root`. Blocks.
    pub fn open(path: &Path, root: Arc<dyn Storage>) -> Result<Self, UsersError> {
        let own = path.to_owned();
        Self::open_with(path, move || File::open(&own), root)
    }

    /// The same where somebody else opens the file, each time that somebody logs in: a process without the right to.
    pub fn open_with(
        path: &Path,
        open: impl Fn() -> io::Result<File> + Send + Sync + 'static,
        root: Arc<dyn Storage>,
    ) -> Result<Self, UsersError> {
        let (stamp, users) = read(path, open())?;
        let current = Mutex::new(Current {
            stamp: Some(stamp),
            users: Arc::new(users),
        });
        Ok(Self {
            file: Arc::new(WatchedFile {
                path: path.to_owned(),
                open: Box::new(open),
                current,
            }),
            root,
            pool: HashPool::new(),
            usages: Mutex::default(),
            keeps: false,
        })
    }

    /// Tells that the store keeps what arrived of broken uploads: it counts towards quotas.
    #[must_use]
    pub fn keeping_broken_uploads(mut self, keeps: bool) -> Self {
        self.keeps = keeps;
        self
    }

    /// The home with the user's quota around it. Counted when the first session begins, shared by all.
    async fn bounded(
        &self,
        user: &User,
        home: Arc<dyn Storage>,
    ) -> Result<Arc<dyn Storage>, Denied> {
        if user.quota == QuotaLimits::default() {
            return Ok(home);
        }
        let usages = || self.usages.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = usages().get(&user.name).and_then(Weak::upgrade);
        let usage = match shared {
            Some(usage) => usage,
            None => {
                let counted = Usage::count(&*home).await.map_err(|error| {
                    let name = &user.name;
                    Denied::Broken(
                        format!("the home of user {name} cannot be counted: {error}").into(),
                    )
                })?;
                let mut usages = usages();
                usages.retain(|_, usage| usage.strong_count() > 0);
                // Somebody else may have counted meanwhile; one of both is followed.
                if let Some(theirs) = usages.get(&user.name).and_then(Weak::upgrade) {
                    theirs
                } else {
                    let counted = Arc::new(counted);
                    usages.insert(user.name.clone(), Arc::downgrade(&counted));
                    counted
                }
            }
        };
        Ok(Arc::new(Quota::new(home, user.quota, usage, self.keeps)))
    }

    async fn users(&self) -> Result<Arc<Users>, Denied> {
        let file = Arc::clone(&self.file);
        spawn_blocking(move || file.users())
            .await
            .map_err(|stopped| Denied::Broken(stopped.into()))
    }

    /// What a login of this user gives.
    async fn grant(&self, user: &User) -> Result<Granted, Denied> {
        Ok(Granted {
            user: user.name.clone(),
            storage: self.bounded(user, self.home_of(user).await?).await?,
            home: Pathname::root(),
            welcome: user.welcome.clone(),
            limits: UserLimits {
                sessions: user.sessions,
            },
        })
    }

    async fn home_of(&self, user: &User) -> Result<Arc<dyn Storage>, Denied> {
        let permissions = if user.read_only {
            Permissions::READ_ONLY
        } else {
            Permissions::FULL
        };
        let home = || Scoped::home(Arc::clone(&self.root), &user.home, permissions);
        let found = match home().await {
            Err(error) if error.kind() == ErrorKind::NotFound && !user.read_only => {
                match self.root.create_dir(&user.home).await {
                    Err(error) if error.kind() != ErrorKind::Exists => Err(error),
                    _ => home().await,
                }
            }
            other => other,
        };
        found.map_err(|error| {
            let path = user.home.display();
            Denied::Broken(format!("the home {path} of user {}: {error}", user.name).into())
        })
    }
}

#[async_trait]
impl Authenticator for UsersFile {
    async fn login(&self, who: &Credentials) -> Result<Granted, Denied> {
        let users = self.users().await?;
        let known = users.by_name.get(who.user.as_bytes());
        let hash = known
            .and_then(|user| user.password.clone())
            .or_else(|| users.stand_in.clone())
            .unwrap_or_else(PasswordHash::of_nobody);
        let matches = self.pool.matches(hash, who.password.clone()).await?;
        // After the hashing: what is wrong must not be told by the time.
        match known.filter(|user| matches && user.lets_in_by_password(who.certificate.as_ref())) {
            Some(user) => self.grant(user).await,
            None => Err(Denied::Refused),
        }
    }

    async fn login_by_certificate(&self, who: &Credentials) -> Result<Option<Granted>, Denied> {
        let Some(certificate) = &who.certificate else {
            return Ok(None);
        };
        let users = self.users().await?;
        let known = users.by_name.get(who.user.as_bytes());
        match known.filter(|user| user.lets_in_by_certificate(certificate)) {
            Some(user) => self.grant(user).await.map(Some),
            None => Ok(None),
        }
    }
}

impl WatchedFile {
    /// The users of the newest version without mistakes.
    fn users(&self) -> Arc<Users> {
        // Held while reading, so that a changed file is read and complained about once.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = (self.open)();
        let stamp = opened.as_ref().ok().and_then(|file| Stamp::of(file).ok());
        if stamp != current.stamp {
            current.stamp = stamp;
            match read(&self.path, opened) {
                Ok((stamp, users)) => {
                    tracing::info!(
                        file = %self.path.display(),
                        users = users.by_name.len(),
                        "users file read again"
                    );
                    *current = Current {
                        stamp: Some(stamp),
                        users: Arc::new(users),
                    };
                }
                Err(error) => {
                    tracing::error!(%error, "users file not used, keeping the users as they were");
                }
            }
        }
        Arc::clone(&current.users)
    }
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let facts = file.metadata()?;
        Ok(Self {
            inode: facts.ino(),
            size: facts.size(),
            modified: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
        })
    }
}

fn read(path: &Path, opened: io::Result<File>) -> Result<(Stamp, Users), UsersError> {
    let failed = |source| UsersError::Io {
        path: path.to_owned(),
        source,
    };
    // Before the content: if it changes in between, the next login reads once more.
    let file = opened.map_err(failed)?;
    let facts = file.metadata().map_err(failed)?;
    let stamp = Stamp::of(&file).map_err(failed)?;
    let text = io::read_to_string(file).map_err(failed)?;
    let users = parse::users(&text).map_err(|problems| UsersError::Invalid {
        path: path.to_owned(),
        problems,
    })?;
    if facts.mode() & 0o004 != 0 {
        tracing::warn!(file = %path.display(), "the users file can be read by everybody on this machine");
    }
    let stand_in = users.iter().find_map(|user| user.password.clone());
    let by_name = users
        .into_iter()
        .map(|user| (user.name.clone().into_bytes(), user))
        .collect();
    Ok((stamp, Users { by_name, stand_in }))
}
