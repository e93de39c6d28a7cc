//! A tree on a server, directory by directory: what `ls -R`, `find` and `du` have in common.
//!
//! Symbolic links are not followed. What a server calls a directory is entered once for each name, and not deeper than
//! [`DEEPEST`]: a server that invents directories comes to an end.

use wharf_client::{Client, Entry, ErrorKind, Target};
use wharf_proto::Pathname;

use crate::exit::{Exit, Failure};
use crate::session;

/// Directories inside each other that are entered.
pub(crate) const DEEPEST: usize = 128;

/// A directory to be listed, or one that was.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    /// For commands; `None` is the login directory.
    pub(crate) path: Option<Pathname>,
    /// From where the walk began, empty there.
    pub(crate) relative: Vec<u8>,
    /// 0 where the walk began.
    pub(crate) depth: usize,
}

impl Directory {
    fn child(&self, name: &[u8]) -> Option<Self> {
        let path = match &self.path {
            Some(path) => path.child(name).ok()?,
            None if name.contains(&b'/') => return None,
            None => Pathname::new(name).ok()?,
        };
        Some(Self {
            path: Some(path),
            relative: self.relative_to(name),
            depth: self.depth + 1,
        })
    }

    /// The path of a name in it, from where the walk began.
    pub(crate) fn relative_to(&self, name: &[u8]) -> Vec<u8> {
        if self.relative.is_empty() {
            name.to_vec()
        } else {
            [self.relative.as_slice(), b"/", name].concat()
        }
    }
}

/// What is still to be listed.
pub(crate) struct Walk {
    waiting: Vec<Directory>,
    most: usize,
    /// What could not be listed, told by who walks.
    failures: Vec<Failure>,
}

impl Walk {
    /// From the directory of an address on, `most` directories deep (1: only that one).
    pub(crate) fn new(target: &Target, most: usize) -> Self {
        Self {
            waiting: vec![Directory {
                path: target.path().cloned(),
                relative: Vec::new(),
                depth: 0,
            }],
            most: most.clamp(1, DEEPEST),
            failures: Vec::new(),
        }
    }

    /// The next directory and what is in it, sorted by name; the address may name a file instead. Directories come before
    /// those that are in them, siblings in order. What cannot be listed is kept for [`failures`](Self::failures), except
    /// where the walk begins.
    pub(crate) async fn next(
        &mut self,
        client: &mut Client,
        target: &Target,
        hidden: bool,
    ) -> Result<Option<(Directory, Vec<Entry>)>, Failure> {
        while let Some(mut directory) = self.waiting.pop() {
            let listed = if directory.depth == 0 {
                let (entries, itself) = entries(client, target).await?;
                if itself {
                    directory.path = target.path().and_then(Pathname::parent);
                }
                Ok(entries)
            } else {
                let listed = client.list(directory.path.as_ref()).await;
                listed.map_err(|error| session::failure(&error))
            };
            let mut entries = match listed {
                Ok(entries) => entries,
                Err(failure) if ends_the_walk(failure.exit) => return Err(failure),
                Err(failure) => {
                    self.failures.push(failure);
                    continue;
                }
            };
            entries.retain(|entry| hidden || !entry.name.starts_with(b"."));
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            self.enter(&directory, &entries);
            return Ok(Some((directory, entries)));
        }
        Ok(None)
    }

    fn enter(&mut self, directory: &Directory, entries: &[Entry]) {
        for entry in entries.iter().rev().filter(|entry| entry.is_directory()) {
            if directory.depth + 1 >= self.most {
                if self.most == DEEPEST {
                    let what = "not entered: more than 128 directories inside each other";
                    self.failures.push(Failure::new(Exit::Denied, what));
                }
                return;
            }
            // A name that no command can carry, or that is a path: not ours to follow.
            if let Some(child) = directory.child(&entry.name) {
                self.waiting.push(child);
            }
        }
    }

    /// What could not be listed so far.
    pub(crate) fn failures(&mut self) -> Vec<Failure> {
        std::mem::take(&mut self.failures)
    }
}

/// Whether there is no use in going on with other directories.
fn ends_the_walk(exit: Exit) -> bool {
    !matches!(exit, Exit::NotFound | Exit::Denied)
}

/// What is in the directory of an address, or the file itself when the address names one, and which of the two it is.
async fn entries(client: &mut Client, target: &Target) -> Result<(Vec<Entry>, bool), Failure> {
    let path: Option<&Pathname> = target.path();
    let listed = client.list(path).await;
    match (listed, path) {
        (Err(error), Some(path))
            if !target.is_directory()
                && matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::Refused | ErrorKind::Permission
                ) =>
        {
            // MLSD of a file is refused (RFC 3659 §7.2); whether there is one, MLST or SIZE tells.
            let found = client.entry(path).await;
            found
                .map(|entry| (vec![entry], true))
                .map_err(|_| session::failure(&error))
        }
        (listed, _) => listed
            .map(|entries| (entries, false))
            .map_err(|error| session::failure(&error)),
    }
}
