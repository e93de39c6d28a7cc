//! `wharf get`: files from a server to local files, or to standard output.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use wharf_client::{
    Client, Error, ErrorKind, FileOptions, Moved, Notes, SegmentOptions, Sum, Target, TypeCode,
    has_journal, local_name, retrieve_in_segments,
};
use wharf_net::pump::Progress;
use wharf_proto::{Format, Pathname, RepresentationType, visible};

use super::cat;
use crate::args::GetArgs;
use crate::args::transfer::TransferArgs;
use crate::attempts::{self, Attempts};
use crate::catalogue::Cause;
use crate::event::{Direction, Transfer};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::progress;
use crate::rate_signals;
use crate::session::{self, Connector, Sessions};
use crate::sums;

pub(crate) async fn run(args: GetArgs, output: &Output) -> Result<(), Failure> {
    if args.output.is_some() && args.output_dir.is_some() {
        return Err(Failure::of(
            Cause::Exclusive,
            "--output and --output-dir exclude each other",
        ));
    }
    let to_stdout = args.to_stdout();
    if args.output.is_some() && !to_stdout && args.urls.len() > 1 {
        return Err(Failure::usage("--output takes one address only")
            .with_hint("--output-dir DIR writes several files under their own names"));
    }
    if to_stdout && args.r#continue {
        return Err(Failure::usage("standard output cannot be continued"));
    }
    if to_stdout && args.sums.is_some() {
        return Err(Failure::usage("--sums compares files, not standard output"));
    }
    let targets = session::file_targets(&args.urls)?;
    if let Some(directory) = &args.output_dir {
        std::fs::create_dir_all(directory).map_err(|error| {
            let directory = visible(directory.as_os_str().as_encoded_bytes());
            Failure::new(Exit::LocalFile, format!("cannot make {directory}: {error}"))
        })?;
    }
    let mut connector = Connector::new(&args.client, output)?;
    if let Some(rate) = args.transfer.limit_rate {
        connector.options_mut().download_limit = Some(rate_signals::limit(rate, output)?);
    }
    let sessions = Sessions::new(connector);
    let work = async {
        if to_stdout {
            return cat::to_stdout(&targets, sessions).await;
        }
        files(&args, &targets, sessions, output).await
    };
    Box::pin(attempts::within(&args.transfer, work)).await
}

async fn files(
    args: &GetArgs,
    targets: &[Target],
    mut sessions: Sessions,
    output: &Output,
) -> Result<(), Failure> {
    let sums = match &args.sums {
        None => None,
        Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
            let path = visible(path.as_os_str().as_encoded_bytes());
            Failure::new(Exit::LocalFile, format!("cannot read {path}: {error}"))
        })?),
    };
    let how = Getting {
        resume: args.r#continue,
        segments: args.segments,
        transfer: &args.transfer,
        sums,
    };
    for target in targets {
        let result = match local_path(args, target) {
            Ok(local) => how.one(&mut sessions, target, &local, output).await,
            Err(failure) => Err(failure),
        };
        sessions.settle(result);
    }
    sessions.finish().await
}

fn local_path(args: &GetArgs, target: &Target) -> Result<PathBuf, Failure> {
    if let Some(path) = &args.output {
        return Ok(path.clone());
    }
    let name = local_name(target.file_name().unwrap_or_default()).map_err(|error| {
        let failure = session::failure(&error);
        Failure::new(failure.exit, format!("{target}: {}", failure.message))
            .with_hint("--output FILE chooses another name")
    })?;
    Ok(match &args.output_dir {
        Some(dir) => dir.join(name),
        None => PathBuf::from(name),
    })
}

struct Getting<'a> {
    resume: bool,
    segments: Option<NonZeroUsize>,
    transfer: &'a TransferArgs,
    /// What --sums names.
    sums: Option<String>,
}

impl Getting<'_> {
    async fn one(
        &self,
        sessions: &mut Sessions,
        target: &Target,
        local: &Path,
        output: &Output,
    ) -> Result<(), Failure> {
        let remote = session::path_of(target)?;
        let expected = self.expected(target)?;
        let mut attempts = Attempts::new(self.transfer, output);
        // Also for what an earlier run has left: only a journal tells which parts of it are there.
        let left = self.resume && has_journal(local);
        let segments = self.segments.filter(|it| it.get() > 1);
        if (segments.is_some() || left) && target.type_code() != Some(TypeCode::Ascii) {
            let segments = self.segments.unwrap_or(NonZeroUsize::MIN);
            return self
                .in_segments(sessions, target, local, segments, expected, output)
                .await;
        }
        attempts.connect(sessions, target).await?;
        let client = sessions.client(target).await?;
        set_type(client, target)?;
        let how = FileOptions {
            resume: self.resume,
            verify: self.transfer.verify.into(),
            expected,
            ..FileOptions::default()
        };
        patiently(client, &remote, local, how, &mut attempts, output).await
    }

    /// What the list of sums says about a file.
    fn expected(&self, target: &Target) -> Result<Option<Sum>, Failure> {
        let Some(sums) = &self.sums else {
            return Ok(None);
        };
        let name = String::from_utf8_lossy(target.file_name().unwrap_or_default()).into_owned();
        let found = sums::find(sums, &name);
        found.map(Some).ok_or_else(|| {
            let name = visible(name.as_bytes());
            Failure::new(
                Exit::Truncated,
                format!("{name} is not in the list of sums"),
            )
        })
    }

    async fn in_segments(
        &self,
        sessions: &mut Sessions,
        target: &Target,
        local: &Path,
        segments: NonZeroUsize,
        expected: Option<Sum>,
        output: &Output,
    ) -> Result<(), Failure> {
        let remote = &session::path_of(target)?;
        // Some servers allow one session only.
        sessions.close().await;
        let pool = sessions.pool(target, segments)?;
        let began = Instant::now();
        let name = visible(local.as_os_str().as_encoded_bytes());
        let progress = Progress::new();
        let told = output.clone();
        let how = SegmentOptions {
            segments,
            resume: self.resume,
            retry: attempts::policy(self.transfer),
            verify: self.transfer.verify.into(),
            expected,
            progress: progress.clone(),
            notes: Notes::to(move |note| told.note(&note)),
            ..SegmentOptions::default()
        };
        let mut total = None;
        if progress::wanted(output) || output.stream().is_some() {
            let known = pool
                .take()
                .await
                .map_err(|error| session::failure(&error))?;
            let known = { known }.known(remote).await;
            total = known.ok().and_then(|known| known.size);
        }
        let shown = remote.display().to_string();
        let transfer = Transfer::begin(output, Direction::Get, &shown, &name, total, &progress);
        let address = target.to_string();
        let work = retrieve_in_segments(&pool, &address, remote, local, &how);
        let work = transfer.watch(work);
        let moved = progress::watch(output, &name, total, &progress, work).await;
        for warning in pool.take_warnings() {
            output.warning(&warning);
        }
        for note in pool.take_notes() {
            output.note(&note);
        }
        pool.close().await;
        let moved = moved.map_err(|error| {
            let failure = session::failure(&error);
            match error.kind() {
                ErrorKind::Changed => {
                    failure.with_hint("without -c it is downloaded from its beginning")
                }
                ErrorKind::Mismatch => {
                    failure.with_hint("without -n it is downloaded over one connection")
                }
                _ if has_journal(local) => {
                    failure.with_hint("-c goes on with the parts that are there")
                }
                _ => failure,
            }
        });
        let moved = transfer.settle(moved)?;
        tell(&name, moved, began, output);
        Ok(())
    }
}

/// `;type=a` is text, everything else bytes.
pub(crate) fn set_type(client: &mut Client, target: &Target) -> Result<(), Failure> {
    let wanted = match target.type_code() {
        Some(TypeCode::Ascii) => RepresentationType::Ascii(Format::NonPrint),
        _ => RepresentationType::Image,
    };
    client
        .set_type(wanted)
        .map_err(|error| session::failure(&error))
}

/// Downloads one file, with a bar or a line at the end.
pub(crate) async fn download(
    client: &mut Client,
    remote: &Pathname,
    local: &Path,
    resume: bool,
    output: &Output,
) -> Result<(), Failure> {
    let mut once = Attempts::single(output);
    let how = FileOptions {
        resume,
        ..FileOptions::default()
    };
    patiently(client, remote, local, how, &mut once, output).await
}

/// The same, in as many attempts as there may be.
async fn patiently(
    client: &mut Client,
    remote: &Pathname,
    local: &Path,
    how: FileOptions,
    attempts: &mut Attempts,
    output: &Output,
) -> Result<(), Failure> {
    let resume = how.resume;
    let name = visible(local.as_os_str().as_encoded_bytes());
    let began = Instant::now();
    let total = if progress::wanted(output) || output.stream().is_some() {
        let known = client.known(remote).await;
        known.ok().and_then(|known| known.size)
    } else {
        None
    };
    let progress = how.progress.clone();
    let direction = Direction::Get;
    let told = remote.display().to_string();
    let transfer = Transfer::begin(output, direction, &told, &name, total, &progress);
    let work = transfer.watch(tried(client, remote, local, how, &name, attempts, output));
    let moved = progress::watch(output, &name, total, &progress, work)
        .await
        .map_err(|error| {
            let mut failure = session::failure(&error);
            session::cut_short(&mut failure, progress.moved());
            let no_restart = failure.message.starts_with("REST ");
            if resume && (error.kind() == ErrorKind::Changed || no_restart) {
                return failure.with_hint("without -c it is downloaded from its beginning");
            }
            match kept(local) {
                Some(part) if error.kind() != ErrorKind::Changed && progress.moved() > 0 => failure
                    .with_hint(format!(
                        "{} is kept; -c goes on where this stopped",
                        visible(part.as_os_str().as_encoded_bytes())
                    )),
                _ => failure,
            }
        });
    let moved = transfer.settle(moved)?;
    if moved.complete_before {
        output.info(&format!("{name}: complete already"));
    } else {
        output.info(&progress::summary(&name, progress.moved(), began));
    }
    Ok(())
}

/// Attempts until one succeeds, or none is left; each goes on where the one before has stopped.
async fn tried(
    client: &mut Client,
    remote: &Pathname,
    local: &Path,
    mut how: FileOptions,
    name: &str,
    attempts: &mut Attempts,
    output: &Output,
) -> Result<Moved, Error> {
    loop {
        let before = how.progress.moved();
        let error = match client.retrieve_to_file(remote, local, &how).await {
            Ok(moved) => return Ok(moved),
            Err(error) => error,
        };
        for note in client.take_notes() {
            output.note(&note);
        }
        let part = kept(local).and_then(|part| std::fs::metadata(part).ok());
        let there = part.map_or(0, |it| it.len());
        let binary = matches!(client.representation(), RepresentationType::Image);
        // From here on what is there is ours.
        how.resume |= binary && there > 0 && how.progress.moved() > before;
        if !attempts.again(name, &error, there).await {
            return Err(error);
        }
    }
}

fn tell(name: &str, moved: Moved, began: Instant, output: &Output) {
    if moved.complete_before {
        output.info(&format!("{name}: complete already"));
    } else {
        let new = moved.length - moved.resumed_at;
        output.info(&progress::summary(name, new, began));
    }
}

/// What a broken download has left to go on with.
fn kept(local: &Path) -> Option<PathBuf> {
    let mut name = local.file_name()?.to_owned();
    name.push(".part");
    let part = local.with_file_name(name);
    let begun = std::fs::metadata(&part).is_ok_and(|it| it.is_file() && it.len() > 0);
    begun.then_some(part)
}
