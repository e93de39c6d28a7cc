//! This machine: the local directory, the system's shell, files a page at a time, macros.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Command;

use wharf_proto::visible;

use super::macros::expanded;
use super::sink::{Sink, local, local_path};
use super::{Shell, print, run};
use crate::exit::{Exit, Failure};

/// Macros that execute macros: so deep, and no deeper.
const DEEPEST: u8 = 16;

/// Bytes that `lpage` reads at once.
const BUFFER: usize = 64 * 1024;

impl Shell {
    /// `lcd [directory]`
    pub(super) fn local_cd(&self, words: &[Vec<u8>]) -> Result<(), Failure> {
        let goal = match words.first() {
            Some(word) => local_path(word),
            None => std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from),
        };
        std::env::set_current_dir(&goal).map_err(|error| {
            Failure::new(
                Exit::LocalFile,
                format!(
                    "cannot change to {}: {error}",
                    visible(goal.as_os_str().as_bytes())
                ),
            )
        })?;
        if self.switches.verbose() {
            self.local_pwd()?;
        }
        Ok(())
    }

    /// `lpwd`
    pub(super) fn local_pwd(&self) -> Result<(), Failure> {
        let here = std::env::current_dir().map_err(|error| {
            Failure::new(Exit::LocalFile, format!("no current directory: {error}"))
        })?;
        let here = visible(here.as_os_str().as_bytes());
        print(&self.output, &format!("Local directory: {here}"));
        Ok(())
    }

    /// `lpage file...`
    pub(super) fn local_page(&self, words: &[Vec<u8>]) -> Result<(), Failure> {
        for word in words {
            let path = local_path(word);
            let mut file = std::fs::File::open(&path).map_err(|error| local(&path, &error))?;
            let mut sink = self.page_sink()?;
            let mut buffer = vec![0; BUFFER];
            loop {
                let count = std::io::Read::read(&mut file, &mut buffer)
                    .map_err(|error| local(&path, &error))?;
                if count == 0 || !sink.write(&buffer[..count])? {
                    break;
                }
            }
            sink.finish()?;
        }
        Ok(())
    }

    /// The pager, or standard output where nobody turns pages.
    pub(super) fn page_sink(&self) -> Result<Sink, Failure> {
        if self.interactive {
            Sink::pipe(OsStr::new(self.options.pager()))
        } else {
            Ok(Sink::Stdout)
        }
    }

    /// `macdef name`: lines up to an empty one.
    pub(super) async fn macdef(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        let Some(name) = words.first() else {
            return Err(Failure::usage("usage: macdef name"));
        };
        if self.interactive {
            self.output
                .line("Enter macro line by line, terminating it with a null line");
        }
        let mut lines = Vec::new();
        while let Some(line) = self.read_line("").await? {
            if line.trim_ascii().is_empty() {
                break;
            }
            lines.push(line);
        }
        self.macros.define(name, lines).map_err(Failure::usage)
    }

    /// `$ name argument...`; what fails in a macro ends it.
    pub(super) async fn execute_macro(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        let Some((name, arguments)) = words.split_first() else {
            return Err(Failure::usage("usage: $ macro [argument]..."));
        };
        let Some(lines) = self.macros.lines(name) else {
            let known: Vec<String> = self.macros.names().map(visible).collect();
            let failure = Failure::usage(format!("`{}` macro not found.", visible(name)));
            return Err(if known.is_empty() {
                failure.with_hint("macdef NAME defines one")
            } else {
                failure.with_hint(known.join(", "))
            });
        };
        if self.depth >= DEEPEST {
            return Err(Failure::usage("macros call each other without an end"));
        }
        let lines = expanded(lines, arguments);
        self.depth += 1;
        let mut result = Ok(());
        for line in lines {
            self.say(&visible(&line));
            result = Box::pin(run::line(self, &line)).await;
            if result.is_err() || self.done {
                break;
            }
        }
        self.depth = self.depth.saturating_sub(1);
        result
    }
}

/// `!command`, or `!` alone for a shell to come back from.
pub(super) fn system_shell(words: &[Vec<u8>]) -> Result<(), Failure> {
    let own = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
    let shell = own.unwrap_or_else(|| OsString::from("/bin/sh"));
    let mut command = Command::new(&shell);
    if let Some(line) = words.first() {
        command.arg("-c").arg(OsStr::from_bytes(line));
    }
    let status = command.status().map_err(|error| {
        let shell = visible(shell.as_bytes());
        Failure::new(Exit::LocalFile, format!("cannot run {shell}: {error}"))
    })?;
    if status.success() || words.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(
            Exit::LocalFile,
            format!("the command ended with {status}"),
        ))
    }
}
