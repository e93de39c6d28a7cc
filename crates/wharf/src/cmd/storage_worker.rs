//! The process that is a user of the system: it touches that user's files for the server, and can do nothing else.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use wharf_broker::{Identity, Sandbox, Strictness};
use wharf_storage::{Local, Storage};
use wharf_worker::{Post, Worker};

use super::system_users::STORAGE_WORKER;
use super::{privilege, serve};
use crate::args::ServeArgs;
use crate::config::Settings;
use crate::exit::{Exit, Failure};

/// How long nobody needs it before it ends: who reconnects for every file finds it still there.
const IDLE: Duration = Duration::from_secs(30);

/// Serves one user's files to whoever the broker sends.
pub(super) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let mut settings = Settings::default();
    settings.overlay(args);
    serve::start_log(args, &settings)?;
    let broken = |error: std::io::Error| {
        Failure::new(
            Exit::ServerUsage,
            format!("{STORAGE_WORKER} is not for people: {error}"),
        )
    };
    let stdin = std::io::stdin().as_fd().try_clone_to_owned();
    let (worker, post) = stdin.and_then(Worker::begin).map_err(broken)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(post.umask & 0o777));
    let directory = PathBuf::from(OsString::from_vec(post.directory.clone()));
    let strictness = if post.best_effort {
        Strictness::BestEffort
    } else {
        Strictness::Strict
    };
    let in_force = sandbox(&post, &directory)
        .enter(strictness)
        .map_err(|error| privilege::sandbox_failure(&error))?;
    if let Some(missing) = in_force.missing() {
        tracing::warn!(user = ?post.name, missing, "the sandbox of a storage worker is not complete");
    }
    // As the user: what the user cannot enter is not served.
    let local = Local::open(&directory, post.options).map_err(|error| {
        Failure::new(
            Exit::Unavailable,
            format!(
                "cannot serve {} to {}: {error}",
                directory.display(),
                post.name
            ),
        )
    })?;
    let store: Arc<dyn Storage> = Arc::new(local);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Software, format!("cannot start: {error}")))?;
    let served = runtime.block_on(worker.run(store, IDLE));
    // A thread that still waits for a disk must not hold the end up.
    runtime.shutdown_background();
    served.map_err(|error| Failure::new(Exit::Software, format!("a storage worker: {error}")))
}

/// The user's own rights below one directory; no socket but those that it is given.
fn sandbox(post: &Post, directory: &Path) -> Sandbox {
    Sandbox {
        served: vec![directory.to_owned()],
        read_only: post.read_only,
        read: Vec::new(),
        written: Vec::new(),
        ports: Some(Vec::new()),
        connects: false,
        asks: false,
        listens: false,
        // The kernel would take the end of the thread that started it for the end of the broker. It ends with its
        // standard input.
        ends_with_parent: false,
        identity: Some(Identity {
            name: post.name.clone(),
            uid: post.uid,
            gid: post.gid,
            groups: post.groups.clone(),
        }),
    }
}
