//! `wharf get`: files from a server to local files, or to standard output.

use std::path::{Path, PathBuf};
use std::time::Instant;

use wharf_client::{Client, ErrorKind, FileOptions, Target, TypeCode, local_name};
use wharf_net::pump::Progress;
use wharf_proto::{Format, Pathname, RepresentationType, visible};

use super::cat;
use crate::args::GetArgs;
use crate::event::{Direction, Transfer};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::progress;
use crate::session::{self, Connector, Sessions};

pub(crate) async fn run(args: GetArgs, output: &Output) -> Result<(), Failure> {
    if args.output.is_some() && args.output_dir.is_some() {
        return Err(Failure::usage(
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
    let targets = session::file_targets(&args.urls)?;
    if let Some(directory) = &args.output_dir {
        std::fs::create_dir_all(directory).map_err(|error| {
            let directory = visible(directory.as_os_str().as_encoded_bytes());
            Failure::new(Exit::LocalFile, format!("cannot make {directory}: {error}"))
        })?;
    }
    let mut sessions = Sessions::new(Connector::new(&args.client, output)?);
    if to_stdout {
        return cat::to_stdout(&targets, sessions).await;
    }
    let how = Getting {
        resume: args.r#continue,
    };
    for target in &targets {
        let result = match local_path(&args, target) {
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

struct Getting {
    resume: bool,
}

impl Getting {
    async fn one(
        &self,
        sessions: &mut Sessions,
        target: &Target,
        local: &Path,
        output: &Output,
    ) -> Result<(), Failure> {
        let remote = session::path_of(target)?;
        let client = sessions.client(target).await?;
        set_type(client, target)?;
        download(client, &remote, local, self.resume, output).await
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
    let name = visible(local.as_os_str().as_encoded_bytes());
    let began = Instant::now();
    let total = if progress::wanted(output) || output.stream().is_some() {
        let known = client.known(remote).await;
        known.ok().and_then(|known| known.size)
    } else {
        None
    };
    let progress = Progress::new();
    let how = FileOptions {
        resume,
        progress: progress.clone(),
        ..FileOptions::default()
    };
    let direction = Direction::Get;
    let told = remote.display().to_string();
    let transfer = Transfer::begin(output, direction, &told, &name, total, &progress);
    let work = transfer.watch(client.retrieve_to_file(remote, local, &how));
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

/// What a broken download has left to go on with.
fn kept(local: &Path) -> Option<PathBuf> {
    let mut name = local.file_name()?.to_owned();
    name.push(".part");
    let part = local.with_file_name(name);
    let begun = std::fs::metadata(&part).is_ok_and(|it| it.is_file() && it.len() > 0);
    begun.then_some(part)
}
