//! `mirror` with lftp's options, carried out by the client library. The mapping is pure.

mod wanted;

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use wharf_client::mirror::{Action, Event, How, Mirror, Observer, Outcome};
use wharf_client::{EntryKind, ErrorKind, Pool, RemoteStorage, RemoteUploads};
use wharf_proto::{Pathname, visible};
use wharf_storage::{Local, LocalOptions, Memory, Storage, Uploads};

use super::Shell;
use super::pattern::{base_name, pathname};
use super::place::{failed, is_address, target};
use super::syntax::Word;
use crate::exit::{Exit, Failure};
use crate::output::human_bytes;

pub(super) use wanted::OPTIONS;
use wanted::Wanted;

/// One of the two trees.
struct Side {
    store: Arc<dyn Storage>,
    exists: bool,
    pool: Option<Pool>,
}

impl Shell {
    /// `mirror [options] [source [target]]`
    pub(super) async fn mirror(&mut self, words: &[Word]) -> Result<(), Failure> {
        let wanted = Wanted::of(words, &self.settings, SystemTime::now())?;
        let (source, destination) = Self::operands(&wanted)?;
        let from = self
            .side(&source, !wanted.reverse, Make::No, &wanted)
            .await?;
        let make = if wanted.dry_run {
            Make::Pretend
        } else {
            Make::Yes
        };
        let to = self
            .side(&destination, wanted.reverse, make, &wanted)
            .await?;
        let observer = Arc::new(Seen {
            verbose: wanted.verbose || wanted.dry_run,
            dry_run: wanted.dry_run,
            lines: Mutex::default(),
        });
        let how = How {
            jobs: wanted.jobs,
            dry_run: wanted.dry_run,
            foreign_names: to.pool.is_none(),
            ..How::default()
        };
        let mirror = Mirror::new(
            Arc::clone(&from.store),
            Arc::clone(&to.store),
            wanted.rules.clone(),
            how,
            Arc::clone(&observer) as Arc<dyn Observer>,
        );
        let outcome = mirror.run(to.exists).await;
        for pool in [from.pool, to.pool].into_iter().flatten() {
            for warning in pool.take_warnings() {
                self.output.warning(&warning);
            }
            for note in pool.take_notes() {
                self.note(&note);
            }
            pool.close().await;
        }
        let lines = std::mem::take(
            &mut *observer
                .lines
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        for line in lines {
            match line {
                Told::Line(line) => {
                    self.sink.line(line.as_bytes()).await?;
                }
                Told::Failure(line) => self.tell(&Failure::new(Exit::Partial, line)),
                Told::Note(line) => self.note(&line),
            }
        }
        let outcome = outcome.map_err(|failed| {
            let shown = visible(&source);
            Failure::new(
                exit_of(&failed.error),
                format!("mirror: {shown}: cannot {}: {}", failed.doing, failed.error),
            )
        })?;
        self.summary(&outcome, &wanted);
        if outcome.copied + outcome.removed + outcome.links > 0
            && !wanted.dry_run
            && let Some(command) = &wanted.on_change
        {
            let missing = Box::pin(self.text(command.as_bytes())).await;
            if let Some(missing) = missing {
                return Err(Failure::usage(missing));
            }
        }
        match outcome.failed + outcome.refused {
            0 => Ok(()),
            _ => Err(Failure::told(Exit::Partial)),
        }
    }

    /// Both names, the target's as lftp makes it of the source's.
    fn operands(wanted: &Wanted) -> Result<(Vec<u8>, Vec<u8>), Failure> {
        let source = wanted.source.as_ref().map_or(&b"."[..], |word| &word.text);
        let name = || -> Result<Vec<u8>, Failure> {
            let plain: Vec<u8> = match is_address(source) {
                true => target(source)?
                    .path()
                    .map(|it| it.as_bytes().to_vec())
                    .unwrap_or_default(),
                false => source.to_vec(),
            };
            let last = plain
                .split(|it| *it == b'/')
                .rfind(|part| !matches!(*part, b"" | b"." | b".."));
            let last = last
                .ok_or_else(|| Failure::usage("mirror: the source has no name; name the target"))?;
            if wanted.reverse {
                return base_name(std::path::Path::new(std::ffi::OsStr::from_bytes(last)));
            }
            let name = wharf_client::local_name(last).map_err(failed)?;
            Ok(name.as_bytes().to_vec())
        };
        let destination = match &wanted.destination {
            // Nothing is named: the current directories are meant.
            None if wanted.source.is_none() || source == b"." => b".".to_vec(),
            None => name()?,
            Some(word)
                if (wanted.into || word.text.ends_with(b"/"))
                    && word.text != b"/"
                    && source != b"." =>
            {
                let mut path = word.text.clone();
                if !path.ends_with(b"/") {
                    path.push(b'/');
                }
                path.extend(name()?);
                path
            }
            Some(word) => word.text.clone(),
        };
        Ok((source.to_vec(), destination))
    }

    async fn side(
        &mut self,
        name: &[u8],
        remote: bool,
        make: Make,
        wanted: &Wanted,
    ) -> Result<Side, Failure> {
        if is_address(name) {
            let target = target(name)?;
            let mut other = self.elsewhere(&target);
            let side = match target.path() {
                Some(path) => other.remote_side(path, make, wanted).await,
                None => {
                    other
                        .remote_side(
                            &Pathname::new(".")
                                .map_err(|error| Failure::usage(error.to_string()))?,
                            make,
                            wanted,
                        )
                        .await
                }
            };
            other.hang_up().await;
            return side;
        }
        match remote {
            true => self.remote_side(&pathname(name)?, make, wanted).await,
            false => local_side(&self.local(name), make),
        }
    }

    /// The directory, seen with the session at hand; then a pool for the work.
    async fn remote_side(
        &mut self,
        path: &Pathname,
        make: Make,
        wanted: &Wanted,
    ) -> Result<Side, Failure> {
        let here = matches!(path.as_bytes(), b"." | b"./");
        let entry = match here {
            true => {
                self.client().await?;
                Ok(())
            }
            false => match self.client().await?.entry(path).await {
                Ok(entry) if entry.kind == EntryKind::File => {
                    let shown = path.display().to_string();
                    return Err(Failure::new(
                        Exit::NotFound,
                        format!("mirror: {shown} is not a directory"),
                    )
                    .with_hint("get copies files"));
                }
                Ok(_) => Ok(()),
                // Without MLST the listing of its directory tells, and then no reply does.
                Err(error) if error.reply().is_some() || error.kind() == ErrorKind::NotFound => {
                    Err(error)
                }
                Err(error) => return Err(failed(error)),
            },
        };
        let exists = match (entry, make) {
            (Ok(()), _) => true,
            (Err(error), Make::No) => return Err(failed(error)),
            (Err(_), Make::Pretend) => false,
            (Err(_), Make::Yes) => {
                self.make_remote(path).await?;
                true
            }
        };
        let base = match (&self.cwd, here) {
            (cwd, true) => cwd.clone(),
            (Some(cwd), false) => Some(cwd.join(path).normalize()),
            (None, false) => Some(path.clone()),
        };
        let (pool, _) = self.pool(wanted.jobs)?;
        let store = RemoteStorage::new(pool.clone(), base).uploads(RemoteUploads::Direct);
        // A server that allows few sessions shall not miss the one that waits here.
        self.hang_up().await;
        Ok(Side {
            store: Arc::new(store),
            exists,
            pool: Some(pool),
        })
    }

    fn summary(&self, outcome: &Outcome, wanted: &Wanted) {
        let verb = if wanted.dry_run { "would be " } else { "" };
        let mut text = format!("mirror: {} files {verb}copied", outcome.copied);
        if outcome.bytes > 0 {
            let _ = write!(text, " ({})", human_bytes(outcome.bytes));
        }
        let _ = write!(text, ", {} the same", outcome.same);
        for (count, what) in [
            (outcome.made, "directories made"),
            (outcome.links, "links made"),
            (outcome.removed, "removed"),
            (outcome.spared, "not removed"),
            (outcome.refused, "refused"),
            (outcome.failed, "failed"),
        ] {
            if count > 0 {
                let _ = write!(text, ", {count} {what}");
            }
        }
        if wanted.verbose || self.talks() {
            self.output.info(&text);
        }
    }
}

/// What is done about a tree that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Make {
    No,
    Yes,
    /// It is taken for empty.
    Pretend,
}

fn local_side(path: &PathBuf, make: Make) -> Result<Side, Failure> {
    let refused = |error: &dyn std::fmt::Display| {
        let shown = visible(path.as_os_str().as_bytes());
        Failure::new(Exit::LocalFile, format!("mirror: {shown}: {error}"))
    };
    let exists = path.is_dir();
    if !exists && make == Make::No {
        return Err(refused(&"is not a directory"));
    }
    let store: Arc<dyn Storage> = if exists || make == Make::Yes {
        std::fs::create_dir_all(path).map_err(|error| refused(&error))?;
        let options = LocalOptions {
            uploads: Uploads::Direct,
            ..LocalOptions::default()
        };
        Arc::new(Local::open(path, options).map_err(|error| refused(&error))?)
    } else {
        Arc::new(Memory::new())
    };
    Ok(Side {
        store,
        exists,
        pool: None,
    })
}

/// The status of a failure of a store.
fn exit_of(error: &wharf_storage::Error) -> Exit {
    use wharf_storage::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => Exit::NotFound,
        ErrorKind::Denied => Exit::Denied,
        ErrorKind::Busy => Exit::Busy,
        _ => Exit::Partial,
    }
}

enum Told {
    Line(String),
    Failure(String),
    Note(String),
}

/// What the library tells, kept until the mirror has ended: its tasks must not wait for whoever reads.
struct Seen {
    verbose: bool,
    dry_run: bool,
    lines: Mutex<Vec<Told>>,
}

impl Observer for Seen {
    fn see(&self, event: &Event<'_>) {
        let told = match event {
            Event::Failed(failed) => Told::Failure(format!(
                "cannot {} {}: {}",
                failed.doing,
                failed.path.display(),
                failed.error
            )),
            Event::Refused(refused) => Told::Failure(format!(
                "{}: not taken: {}",
                visible(&[refused.directory.as_bytes(), b"/", &refused.name].concat()),
                refused.why
            )),
            Event::Note(note) => Told::Note((*note).to_owned()),
            Event::Copied { copy, .. } if self.verbose => {
                Told::Line(format!("copied {}", copy.path.display()))
            }
            Event::Removed(removal) if self.verbose => {
                Told::Line(format!("removed {}", removal.path.display()))
            }
            Event::PlannedRemoval(removal) if self.dry_run => {
                Told::Line(format!("would remove {}", removal.path.display()))
            }
            Event::Planned(action) if self.dry_run => Told::Line(planned(action)),
            _ => return,
        };
        self.lines
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(told);
    }
}

fn planned(action: &Action) -> String {
    match action {
        Action::Copy(copy) => format!("would copy {}", copy.path.display()),
        other => format!("would do {other:?}"),
    }
}
