//! `wharf put`: local files, or standard input, to a server.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use wharf_client::{Client, Error, ErrorKind, FileOptions, Moved, Target, Verify};
use wharf_net::pump::Progress;
use wharf_proto::{Pathname, RepresentationType, visible};

use super::get::set_type;
use crate::args::PutArgs;
use crate::attempts::{self, Attempts};
use crate::event::{Direction, Transfer, Whole};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::progress;
use crate::rate_signals;
use crate::session::{self, Connector, Sessions};

const BUFFER: usize = 256 * 1024;

pub(crate) async fn run(mut args: PutArgs, output: &Output) -> Result<(), Failure> {
    let url = args.files.pop().unwrap_or_default();
    let url = url.to_str().filter(|url| session::is_address(url));
    let url = url.ok_or_else(|| {
        Failure::usage("the last argument must be the address to send to")
            .with_hint("wharf put FILE... ftp://host/dir/")
    })?;
    let target = session::target(url)?;
    if !target.is_directory() && args.files.len() > 1 {
        return Err(
            Failure::usage("several files need an address that ends in /")
                .with_hint("the address of a directory ends in /"),
        );
    }
    let stdin = args.files.iter().filter(|file| is_stdin(file)).count();
    if stdin > 0 && (args.r#continue || target.is_directory() || stdin > 1) {
        return Err(Failure::usage(
            "standard input needs the address of one file, and cannot be continued",
        ));
    }
    let mut connector = Connector::new(&args.client, output)?;
    if let Some(rate) = args.transfer.limit_rate {
        connector.options_mut().upload_limit = Some(rate_signals::limit(rate, output)?);
    }
    let mut sessions = Sessions::new(connector);
    let work = async {
        for file in &args.files {
            let mut how = Putting {
                resume: args.r#continue,
                suffix: args.temp_suffix.as_deref(),
                verify: args.transfer.verify.into(),
                attempts: Attempts::new(&args.transfer, output),
            };
            let result = how.one(&mut sessions, &target, file, output).await;
            sessions.settle(result);
        }
        sessions.finish().await
    };
    Box::pin(attempts::within(&args.transfer, work)).await
}

/// How files are sent.
struct Putting<'a> {
    resume: bool,
    /// What the name has at its end while the file is incomplete.
    suffix: Option<&'a str>,
    verify: Verify,
    attempts: Attempts,
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// One file to where the address says.
pub(crate) async fn one(
    sessions: &mut Sessions,
    target: &Target,
    file: &Path,
    resume: bool,
    output: &Output,
) -> Result<(), Failure> {
    let mut how = Putting {
        resume,
        suffix: None,
        verify: Verify::Auto,
        attempts: Attempts::single(output),
    };
    how.one(sessions, target, file, output).await
}

impl Putting<'_> {
    async fn one(
        &mut self,
        sessions: &mut Sessions,
        target: &Target,
        file: &Path,
        output: &Output,
    ) -> Result<(), Failure> {
        let remote = remote_path(target, file)?;
        if !is_stdin(file) {
            // Before anything goes over the network.
            readable(file)?;
            if self.resume && is_stream(file) {
                let shown = visible(file.as_os_str().as_bytes());
                let message = format!("{shown} is a stream, which cannot be continued");
                return Err(Failure::usage(message));
            }
        }
        self.attempts.connect(sessions, target).await?;
        let client = sessions.client(target).await?;
        set_type(client, target)?;
        let temporary = self.suffix.map(|suffix| suffixed(&remote, suffix));
        let temporary = temporary.transpose()?;
        let sent = if is_stdin(file) {
            let stdin = tokio::io::stdin();
            let temporary = temporary.as_ref();
            upload_stream(client, stdin, "standard input", &remote, temporary, output).await
        } else if is_stream(file) {
            match tokio::fs::File::open(file).await {
                Ok(stream) => {
                    let name = visible(file.as_os_str().as_bytes());
                    upload_stream(client, stream, &name, &remote, temporary.as_ref(), output).await
                }
                Err(error) => Err(unreadable(file, &error)),
            }
        } else {
            let how = FileOptions {
                resume: self.resume,
                verify: self.verify,
                temporary,
                ..FileOptions::default()
            };
            patiently(client, file, &remote, how, &mut self.attempts, output).await
        };
        sent.map_err(|failure| {
            if failure.exit == Exit::Denied && !target.is_directory() {
                failure.with_hint("if the address is a directory, it must end in /")
            } else {
                failure
            }
        })
    }
}

fn suffixed(remote: &Pathname, suffix: &str) -> Result<Pathname, Failure> {
    let name = [remote.as_bytes(), suffix.as_bytes()].concat();
    Pathname::new(name).map_err(|error| Failure::usage(format!("--temp-suffix: {error}")))
}

fn remote_path(target: &Target, file: &Path) -> Result<Pathname, Failure> {
    if !target.is_directory() {
        return session::path_of(target);
    }
    let name = file.file_name().ok_or_else(|| {
        Failure::new(Exit::LocalFile, format!("{} is not a file", file.display()))
    })?;
    target
        .child(name.as_bytes())
        .map_err(|error| Failure::usage(format!("{}: {error}", visible(name.as_bytes()))))
}

/// A pipe or a device, as `put <(command) URL` has it.
fn is_stream(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|it| !it.is_file() && !it.is_dir())
}

fn readable(file: &Path) -> Result<(), Failure> {
    let metadata = std::fs::metadata(file).map_err(|error| unreadable(file, &error))?;
    if metadata.is_dir() {
        let shown = visible(file.as_os_str().as_bytes());
        return Err(Failure::new(
            Exit::LocalFile,
            format!("{shown} is a directory; only files are sent"),
        ));
    }
    if is_stream(file) {
        // Opening a pipe waits for its writer, and takes it from it.
        return Ok(());
    }
    let opened = std::fs::File::open(file).map(drop);
    opened.map_err(|error| unreadable(file, &error))
}

fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    let file = visible(file.as_os_str().as_bytes());
    Failure::new(Exit::LocalFile, format!("cannot read {file}: {error}"))
}

/// Uploads one file, with a bar or a line at the end.
#[allow(dead_code, reason = "for `wharf shell`, which is being connected")]
pub(crate) async fn upload(
    client: &mut Client,
    file: &Path,
    remote: &Pathname,
    resume: bool,
    output: &Output,
) -> Result<(), Failure> {
    let mut once = Attempts::single(output);
    let how = FileOptions {
        resume,
        ..FileOptions::default()
    };
    patiently(client, file, remote, how, &mut once, output).await
}

/// The same, in as many attempts as there may be.
async fn patiently(
    client: &mut Client,
    file: &Path,
    remote: &Pathname,
    how: FileOptions,
    attempts: &mut Attempts,
    output: &Output,
) -> Result<(), Failure> {
    let name = visible(file.as_os_str().as_bytes());
    let began = Instant::now();
    let total = std::fs::metadata(file).ok().map(|it| it.len());
    let progress = how.progress.clone();
    let told = remote.display().to_string();
    let transfer = Transfer::begin(output, Direction::Put, &told, &name, total, &progress);
    let work = transfer.watch(tried(client, file, remote, how, &name, attempts, output));
    let moved = progress::watch(output, &name, total, &progress, work)
        .await
        .map_err(|error| {
            let mut failure = session::failure(&error);
            if session::cut_short(&mut failure, progress.moved()) {
                failure = failure.with_hint("-c goes on where a transfer stopped");
            }
            failure
        });
    let moved = transfer.settle(moved)?;
    if moved.complete_before {
        output.info(&format!("{name}: complete already"));
    } else {
        output.info(&progress::summary(&name, progress.moved(), began));
    }
    Ok(())
}

/// Attempts until one succeeds, or none is left; each goes on behind what the server has kept.
async fn tried(
    client: &mut Client,
    file: &Path,
    remote: &Pathname,
    mut how: FileOptions,
    name: &str,
    attempts: &mut Attempts,
    output: &Output,
) -> Result<Moved, Error> {
    let asked = how.resume;
    let mut furthest = 0;
    loop {
        let before = how.progress.moved();
        let error = match client.store_from_file(file, remote, &how).await {
            Ok(moved) => return Ok(moved),
            Err(error) => error,
        };
        for note in client.take_notes() {
            output.note(&note);
        }
        // Servers that throw incomplete files away begin anew each time, so this is not a sum.
        furthest = furthest.max(how.progress.moved() - before);
        let binary = matches!(client.representation(), RepresentationType::Image);
        if how.resume && !asked && error.kind() == ErrorKind::Changed {
            // What stands there is not the beginning of this file: an older one, that was to be replaced.
            how.resume = false;
            continue;
        }
        how.resume |= binary && how.progress.moved() > before;
        if !attempts.again(name, &error, furthest).await {
            return Err(error);
        }
    }
}

/// Bytes of which nobody knows how many there will be.
async fn upload_stream(
    client: &mut Client,
    mut stream: impl AsyncRead + Unpin,
    name: &str,
    remote: &Pathname,
    temporary: Option<&Pathname>,
    output: &Output,
) -> Result<(), Failure> {
    let began = Instant::now();
    let mut upload = client
        .store(temporary.unwrap_or(remote), 0)
        .await
        .map_err(|error| session::failure(&error))?;
    let progress = Progress::new();
    upload.count_into(progress.clone());
    let told = remote.display().to_string();
    let transfer = Transfer::begin(output, Direction::Put, &told, name, None, &progress);
    let work = transfer.watch(async {
        let mut buffer = vec![0; BUFFER];
        loop {
            // An upload that is dropped here is reset, so the server does not take it for complete.
            let count = stream.read(&mut buffer).await.map_err(|error| {
                Failure::new(Exit::LocalFile, format!("cannot read {name}: {error}"))
            })?;
            if count == 0 {
                break;
            }
            if let Err(error) = upload.write_all(&buffer[..count]).await {
                let error = upload.explain(error).await;
                return Err(session::failure(&error));
            }
        }
        upload
            .finish()
            .await
            .map_err(|error| session::failure(&error))
    });
    let mut done = progress::watch(output, name, None, &progress, work).await;
    if let (Ok(stored), Some(temporary)) = (&done, temporary) {
        let length = Some(stored.bytes);
        let placed = client.put_in_place(temporary, remote, length).await;
        done = match placed {
            Ok(()) => done,
            Err(error) => Err(session::failure(&error).with_hint(format!(
                "it is on the server as {}; without --temp-suffix it is written under the final name",
                temporary.display()
            ))),
        };
    }
    transfer.settle(done.map(|_| Whole::default()))?;
    output.info(&progress::summary(name, progress.moved(), began));
    Ok(())
}
