//! What a process that talks to the network gives away before the first byte arrives: its user, its capabilities, the
//! file system, system calls, signals, processes.
//!
//! Landlock and seccomp hold for a thread and for those that it starts, so [`Sandbox::enter`] is called while the process
//! has one thread. Each measure is told on its own ([`InForce`]): which kernel knows which of them differs.

mod calls;
mod denied;
mod files;
mod identity;
mod own;

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit,
};

pub use calls::Calls;
pub use identity::{Identity, IdentityError, user_named};
pub use own::Own;

/// How much of the sandbox there must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Strictness {
    /// A measure that this kernel or this start does not allow ends the program before it listens.
    Strict,
    /// What can be had; what is missing is said.
    #[default]
    BestEffort,
    /// Nothing is given away. For finding faults.
    Off,
}

/// What the process keeps.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// Directories below which files are read, written, made and removed.
    pub served: Vec<PathBuf>,
    /// Whether that is for reading only.
    pub read_only: bool,
    /// Files and directories that are read. What is not there is left out.
    pub read: Vec<PathBuf>,
    /// Files that are written, and directories in which files are made, for the process itself. What is not there is
    /// left out.
    pub written: Vec<PathBuf>,
    /// Ports that it may listen on by itself; `None` is any.
    pub ports: Option<Vec<RangeInclusive<u16>>>,
    /// It connects by itself, to whomever. Without it `connect` is refused: somebody else connects for it.
    pub connects: bool,
    /// It asks the resolver and the router, which takes datagrams and connections.
    pub asks: bool,
    /// It makes sockets that listen. Without it, and unless it connects or asks, it makes no socket: all come from
    /// elsewhere.
    pub listens: bool,
    /// It ends when the process that started it does, however that ends.
    pub ends_with_parent: bool,
    /// As whom it goes on; `None` stays who it is.
    pub identity: Option<Identity>,
}

/// One measure, and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// What is refused to the process.
    pub what: String,
    /// Why it is not, or not wholly.
    pub missing: Option<String>,
}

/// What has come of it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct InForce {
    /// In the order in which they were taken.
    pub measures: Vec<Measure>,
}

impl InForce {
    /// Everything that is missing; `None` when nothing is.
    pub fn missing(&self) -> Option<String> {
        let missing: Vec<_> = self
            .measures
            .iter()
            .filter_map(|it| Some(format!("{}: {}", it.what, it.missing.as_ref()?)))
            .collect();
        (!missing.is_empty()).then(|| missing.join("; "))
    }

    fn take(&mut self, what: impl Into<String>, outcome: Result<(), String>) {
        self.measures.push(Measure {
            what: what.into(),
            missing: outcome.err(),
        });
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.missing {
            None => f.write_str(&self.what),
            Some(why) => write!(f, "{}: not in force ({why})", self.what),
        }
    }
}

/// The process must not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// Under [`Strictness::Strict`].
    #[error("{0}")]
    Missing(String),
    /// Neither more nor less than was asked for, whatever the strictness: it would run as somebody else.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// What is served cannot be opened.
    #[error("{}: {why}", path.display())]
    Served {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
}

/// Others do not find it in a file after a crash, and those of the same user, which may be another service's, do not read
/// or trace it. Where there is no broker the same user is the one who started it, and may look at it: `wharf doctor
/// --server` does.
fn hide(from_own_user: bool) -> Result<(), String> {
    if from_own_user {
        set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| error.to_string())?;
    }
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).map_err(|error| error.to_string())
}

impl Sandbox {
    /// Gives everything else away, for this thread and those that it starts; the user for the whole process.
    ///
    /// # Errors
    /// See [`SandboxError`]. Some measures may be in force then, so the process can only end.
    pub fn enter(&self, strictness: Strictness) -> Result<InForce, SandboxError> {
        let mut in_force = InForce::default();
        if strictness == Strictness::Off {
            return Ok(in_force);
        }
        // The paths are opened while it may still open them.
        let files = files::Prepared::new(self)?;
        identity::give_up(self.identity.as_ref(), &mut in_force)?;
        // After the user: the kernel takes both back when that changes.
        let what = if self.ends_with_parent {
            "its memory is nobody else's"
        } else {
            "no memory left in files"
        };
        in_force.take(what, hide(self.ends_with_parent));
        if self.ends_with_parent {
            in_force.take(
                "ends with the broker",
                set_parent_process_death_signal(Some(Signal::KILL))
                    .map_err(|error| error.to_string()),
            );
        }
        in_force.take(
            "no new privileges",
            rustix::thread::set_no_new_privs(true).map_err(|error| error.to_string()),
        );
        files.enforce(&mut in_force);
        let calls = Calls {
            connects: self.connects || self.asks,
            asks: self.asks,
            listens: self.listens,
        };
        in_force.take(
            "system calls: those of a file server; no exec, fork, ptrace, kill, mount, setuid, bpf, io_uring",
            calls.enforce(),
        );
        match in_force.missing() {
            Some(missing) if strictness == Strictness::Strict => {
                Err(SandboxError::Missing(missing))
            }
            _ => Ok(in_force),
        }
    }
}
