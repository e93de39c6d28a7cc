//! Where the output of a command goes: stdout, a file, a command of the system.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Stdio;

use tokio::fs::File;
use tokio::io::{AsyncWriteExt, Stdout};
use tokio::process::{Child, ChildStdin, Command};
use wharf_proto::visible;

use super::syntax::Redirect;
use crate::exit::{Exit, Failure};
use crate::listing::Reader;

/// An open end for output.
pub(super) enum Sink {
    /// tokio's stdout writes on another thread, so that a pager that does not read stops nobody else.
    Stdout(Stdout),
    File {
        file: File,
        name: String,
    },
    Pipe {
        child: Child,
        stdin: Option<ChildStdin>,
    },
}

impl Sink {
    pub(super) fn stdout() -> Self {
        Self::Stdout(tokio::io::stdout())
    }

    /// Opens what a person or a script has typed, in a directory.
    pub(super) async fn open(redirect: &Redirect, directory: &Path) -> Result<Self, Failure> {
        match redirect {
            Redirect::Pipe(command) => {
                let mut child = shell(command, directory)
                    .stdin(Stdio::piped())
                    .spawn()
                    .map_err(|error| cannot_run(command, &error))?;
                let stdin = child.stdin.take();
                Ok(Self::Pipe { child, stdin })
            }
            Redirect::File { name, append } => {
                let path = directory.join(super::local_path(name));
                let mut options = tokio::fs::OpenOptions::new();
                options
                    .write(true)
                    .create(true)
                    .append(*append)
                    .truncate(!append);
                let file = options.open(&path).await.map_err(|error| {
                    let message = format!("cannot write {}: {error}", visible(name));
                    Failure::new(Exit::LocalFile, message)
                })?;
                let name = visible(name);
                Ok(Self::File { file, name })
            }
        }
    }

    /// For whom names are written.
    pub(super) fn reader(&self) -> Reader {
        match self {
            Self::Stdout(_) => Reader::of_stdout(),
            Self::File { .. } | Self::Pipe { .. } => Reader::Program,
        }
    }

    /// Whether the reader is still there.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        let (written, name) = match self {
            Self::Stdout(stdout) => (stdout.write_all(bytes).await, "stdout"),
            Self::File { file, name } => (file.write_all(bytes).await, name.as_str()),
            Self::Pipe { stdin, .. } => match stdin {
                Some(stdin) => (stdin.write_all(bytes).await, "the pipe"),
                None => return Ok(false),
            },
        };
        match written {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            Err(error) => {
                let message = format!("cannot write to {name}: {error}");
                Err(Failure::new(Exit::LocalFile, message))
            }
        }
    }

    /// A line.
    pub(super) async fn line(&mut self, line: &[u8]) -> Result<bool, Failure> {
        let mut whole = Vec::with_capacity(line.len() + 1);
        whole.extend_from_slice(line);
        whole.push(b'\n');
        self.write(&whole).await
    }

    /// Everything that was written is there.
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        let flushed = match self {
            Self::Stdout(stdout) => stdout.flush().await,
            Self::File { file, .. } => file.flush().await,
            Self::Pipe { .. } => Ok(()),
        };
        match flushed {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                let message = format!("cannot write: {error}");
                Err(Failure::new(Exit::LocalFile, message))
            }
            _ => Ok(()),
        }
    }

    /// Nothing more comes; waits for the command that reads.
    pub(super) async fn finish(mut self) -> Result<(), Failure> {
        self.flush().await?;
        if let Self::Pipe { mut child, stdin } = self {
            drop(stdin);
            let ended = child.wait().await;
            ended.map_err(|error| Failure::new(Exit::LocalFile, format!("the pipe: {error}")))?;
        }
        Ok(())
    }
}

/// A command of the system, in a directory.
pub(super) fn shell(command: &[u8], directory: &Path) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell
        .arg("-c")
        .arg(OsStr::from_bytes(command))
        .current_dir(directory);
    shell.kill_on_drop(true);
    shell
}

pub(super) fn cannot_run(command: &[u8], error: &std::io::Error) -> Failure {
    let message = format!("cannot run `{}`: {error}", visible(command));
    Failure::new(Exit::LocalFile, message)
}
