//! Where data goes that is shown or piped: standard output, a file, a command.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use wharf_proto::visible;

use crate::exit::{Exit, Failure};
use crate::listing::Reader;

/// Where data goes: `-` and `|command` are special only when a person types them, never in names
/// that a server tells (VU#258721).
pub(super) enum Sink {
    Stdout,
    File { file: File, path: PathBuf },
    Pipe { child: Child },
}

impl Sink {
    pub(super) fn create(word: &[u8]) -> Result<Self, Failure> {
        if word == b"-" {
            return Ok(Self::Stdout);
        }
        if let Some(command) = word.strip_prefix(b"|") {
            return Self::pipe(OsStr::from_bytes(command));
        }
        let path = local_path(word);
        let file = File::create(&path).map_err(|error| local(&path, &error))?;
        Ok(Self::File { file, path })
    }

    pub(super) fn pipe(command: &OsStr) -> Result<Self, Failure> {
        let child = Command::new("/bin/sh")
            .arg("-c")
            .arg(command)
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|error| {
                let message = format!("cannot run `{}`: {error}", visible(command.as_bytes()));
                Failure::new(Exit::LocalFile, message)
            })?;
        Ok(Self::Pipe { child })
    }

    /// Who reads it: names are shown to a person, and kept as they are for a program.
    pub(super) fn reader(&self) -> Reader {
        match self {
            Self::Stdout => Reader::of_stdout(),
            Self::Pipe { .. } => Reader::Person,
            Self::File { .. } => Reader::Program,
        }
    }

    /// Whether the reader is still there.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        let (result, name) = match self {
            Self::Stdout => (
                std::io::stdout().lock().write_all(bytes),
                "stdout".to_owned(),
            ),
            Self::File { file, path } => {
                let name = visible(path.as_os_str().as_bytes());
                (file.write_all(bytes), name)
            }
            Self::Pipe { child } => match &mut child.stdin {
                Some(stdin) => (stdin.write_all(bytes), "the pipe".to_owned()),
                None => return Ok(false),
            },
        };
        match result {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(Failure::new(
                Exit::LocalFile,
                format!("cannot write to {name}: {error}"),
            )),
        }
    }

    /// Waits for the command of a pipe.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        match &mut self {
            Self::Stdout => {
                let _ = std::io::stdout().flush();
                Ok(())
            }
            Self::File { .. } => Ok(()),
            Self::Pipe { child } => {
                drop(child.stdin.take());
                child
                    .wait()
                    .map(drop)
                    .map_err(|error| Failure::new(Exit::LocalFile, format!("the pipe: {error}")))
            }
        }
    }
}

impl Drop for Sink {
    /// A command whose input was given up ends by itself; nobody else would collect it.
    fn drop(&mut self) {
        if let Self::Pipe { child } = self {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}

/// Whether a word that a person typed is standard output or a command.
pub(super) fn is_special(word: &[u8]) -> bool {
    word == b"-" || word.starts_with(b"|")
}

/// A typed word as a local path; `~/` is the home directory.
pub(super) fn local_path(word: &[u8]) -> PathBuf {
    if let (Some(rest), Some(home)) = (word.strip_prefix(b"~/"), std::env::var_os("HOME")) {
        return PathBuf::from(home).join(OsStr::from_bytes(rest));
    }
    PathBuf::from(OsStr::from_bytes(word))
}

pub(super) fn local(path: &Path, error: &std::io::Error) -> Failure {
    let path = visible(path.as_os_str().as_bytes());
    Failure::new(Exit::LocalFile, format!("{path}: {error}"))
}
