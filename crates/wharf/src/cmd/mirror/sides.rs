//! SRC and DST as stores: a directory of this machine or a server.

use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wharf_client::{Client, ErrorKind, Pool, RemoteStorage, RemoteUploads, Target};
use wharf_proto::{Pathname, visible};
use wharf_storage::{Local, LocalOptions, Memory, Storage, Uploads};

use crate::event::Event;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::session::{self, Connector, Door};

/// What an operand names.
#[derive(Debug)]
pub(crate) enum Operand {
    Directory(PathBuf),
    Server(Box<Target>),
}

/// One of the two, opened.
pub(crate) struct Side {
    pub(crate) store: Arc<dyn Storage>,
    /// False for a destination that a dry run does not make.
    pub(crate) exists: bool,
    pool: Option<Pool>,
}

impl Operand {
    /// An address has `://` in it and does not begin like a pathname.
    pub(crate) fn read(operand: &Path) -> Result<Self, Failure> {
        let text = operand.to_str().unwrap_or_default();
        let is_path = ["/", "./", "../"]
            .iter()
            .any(|start| text.starts_with(start));
        if !text.contains("://") || is_path {
            return Ok(Self::Directory(operand.to_owned()));
        }
        let target = session::target(text)?;
        Ok(Self::Server(Box::new(target)))
    }

    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Directory(path) => visible(path.as_os_str().as_bytes()),
            Self::Server(target) => target.to_string(),
        }
    }

    pub(crate) fn is_server(&self) -> bool {
        matches!(self, Self::Server(_))
    }

    /// Opens the directory or logs in; with `make` what is missing is made.
    pub(crate) async fn open(
        &self,
        make: Make,
        jobs: NonZeroUsize,
        connector: &Connector,
        output: &Output,
    ) -> Result<Side, Failure> {
        match self {
            Self::Directory(path) => local(path, make),
            Self::Server(target) => remote(target, make, jobs, connector, output).await,
        }
    }
}

/// What is done about an operand that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    /// It is an error.
    No,
    /// It is made.
    Yes,
    /// It is taken for empty.
    Pretend,
}

impl Side {
    /// Prints what the sessions found worth telling.
    pub(crate) fn tell(&self, output: &Output) {
        if let Some(pool) = &self.pool {
            for warning in pool.take_warnings() {
                output.warning(&warning);
            }
            for note in pool.take_notes() {
                output.note(&note);
            }
        }
    }

    /// Says goodbye.
    pub(crate) async fn close(self, output: &Output) {
        self.tell(output);
        if let Some(pool) = self.pool {
            pool.close().await;
        }
    }
}

/// Neither may be in the other: a mirror would feed on itself.
pub(crate) fn check_apart(source: &Operand, destination: &Operand) -> Result<(), Failure> {
    let inside = match (source, destination) {
        (Operand::Directory(source), Operand::Directory(destination)) => {
            let (source, destination) = (whole(source), whole(destination));
            source.starts_with(&destination) || destination.starts_with(&source)
        }
        (Operand::Server(source), Operand::Server(destination)) => {
            let path = |target: &Target| {
                let path = target.path().map(Pathname::normalize);
                let mut path = path.map(Pathname::into_bytes).unwrap_or_default();
                if path.last() != Some(&b'/') {
                    path.push(b'/');
                }
                path
            };
            let rooted = |target: &Target| target.path().is_some_and(Pathname::is_absolute);
            let (one, other) = (path(source), path(destination));
            source.endpoint() == destination.endpoint()
                && source.user() == destination.user()
                && rooted(source) == rooted(destination)
                && (one.starts_with(&other) || other.starts_with(&one))
        }
        _ => false,
    };
    if inside {
        let message = format!(
            "{} and {} are the same, or one is in the other",
            source.shown(),
            destination.shown()
        );
        return Err(Failure::usage(message));
    }
    Ok(())
}

/// The path without links, as far as it exists.
fn whole(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for above in absolute.ancestors() {
        if let Ok(real) = above.canonicalize() {
            let rest = absolute.strip_prefix(above).unwrap_or(Path::new(""));
            return real.join(rest);
        }
    }
    absolute
}

fn local(path: &Path, make: Make) -> Result<Side, Failure> {
    let shown = visible(path.as_os_str().as_bytes());
    let failed =
        |why: &dyn std::fmt::Display| Failure::new(Exit::LocalFile, format!("{shown}: {why}"));
    let exists = match std::fs::metadata(path) {
        Ok(facts) if !facts.is_dir() => {
            return Err(
                failed(&"is not a directory").with_hint("`wharf get` and `wharf put` copy files")
            );
        }
        Ok(_) => true,
        Err(error) if error.kind() != std::io::ErrorKind::NotFound || make == Make::No => {
            return Err(failed(&error));
        }
        Err(_) => false,
    };
    let store: Arc<dyn Storage> = if exists || make == Make::Yes {
        std::fs::create_dir_all(path).map_err(|error| failed(&error))?;
        let options = LocalOptions {
            uploads: Uploads::Direct,
            ..LocalOptions::default()
        };
        Arc::new(Local::open(path, options).map_err(|error| failed(&error))?)
    } else {
        Arc::new(Memory::new())
    };
    Ok(Side {
        store,
        exists,
        pool: None,
    })
}

async fn remote(
    target: &Target,
    make: Make,
    jobs: NonZeroUsize,
    connector: &Connector,
    output: &Output,
) -> Result<Side, Failure> {
    let login = connector.logins.login(target, output)?;
    let anonymous = login.user.is_word("anonymous");
    let user = login.user.display().to_string();
    let Door { net, options } = connector.door(&(target.scheme(), target.endpoint().clone()))?;
    let pool = Pool::new(net, target, login, options, jobs);
    let mut client = pool
        .take()
        .await
        .map_err(|error| session::login_failure(&error, anonymous))?;
    output.event(&Event::Login {
        server: target.endpoint().to_string(),
        user,
    });
    let mut exists = true;
    if let Some(path) = target.path()
        && make != Make::No
    {
        exists = is_there(&mut client, path).await?;
        if !exists && make == Make::Yes {
            make_all(&mut client, path).await?;
            exists = true;
        }
    }
    drop(client);
    let store =
        RemoteStorage::new(pool.clone(), target.path().cloned()).uploads(RemoteUploads::Direct);
    Ok(Side {
        store: Arc::new(store),
        exists,
        pool: Some(pool),
    })
}

/// Whether the directory is there: it can be entered. The session is given back elsewhere and is not used again.
async fn is_there(client: &mut Client, path: &Pathname) -> Result<bool, Failure> {
    match client.change_dir(path).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Permission) => {
            Ok(false)
        }
        Err(error) => Err(session::failure(&error)),
    }
}

/// Makes the directory and those above it that are missing.
async fn make_all(client: &mut Client, path: &Pathname) -> Result<(), Failure> {
    let mut missing = vec![path.clone()];
    while let Some(parent) = missing.last().and_then(Pathname::parent) {
        if parent.is_root() {
            break;
        }
        missing.push(parent);
    }
    let mut last = Ok(());
    // From above; only what comes of the last one counts, the others may exist.
    for directory in missing.iter().rev() {
        last = client.make_dir(directory).await.map(drop);
    }
    match last {
        Err(error) if error.kind() != ErrorKind::Exists => Err(session::failure(&error)),
        _ => Ok(()),
    }
}
