//! The m-commands: several files, each asked for, with wildcards.

use std::io::BufRead;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use wharf_proto::{Pathname, visible};

use super::run::{failed, pathname};
use super::settings::Toggle;
use super::sink::{local, local_path};
use super::{Shell, pattern};
use crate::exit::{Exit, Failure, summed};
use crate::interrupt::Interrupt;

/// Longest list of names that `fget` reads.
const LIST_LIMIT: u64 = 16 << 20;

/// What a person says to a question about one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
    /// Yes to all that follow.
    All,
    /// Yes, and never ask again.
    NoMore,
    Quit,
}

impl Answer {
    fn read(typed: &[u8]) -> Option<Self> {
        match typed.trim_ascii().to_ascii_lowercase().first() {
            None | Some(b'y') => Some(Self::Yes),
            Some(b'n') => Some(Self::No),
            Some(b'a') => Some(Self::All),
            Some(b'p') => Some(Self::NoMore),
            Some(b'q') => Some(Self::Quit),
            Some(_) => None,
        }
    }
}

/// The explanation behind `?`.
const EXPLAINED: &str =
    "a: yes to all that follow, n: not this one, p: do not ask any more, q: stop here, y: this one";

impl Shell {
    /// `mget remote...`: the last component of each name, into the local directory.
    pub(super) async fn mget(&mut self, words: &[Vec<u8>], resume: bool) -> Result<(), Failure> {
        let names = self.remote_names(words).await?;
        let what = if resume { "mreget" } else { "mget" };
        self.each(what, names, async |shell, name| {
            let remote = pathname(&name)?;
            let local = shell.local_name(&remote)?;
            shell.download(&remote, &local, resume).await
        })
        .await
    }

    /// `fget local-file`: a name a line.
    pub(super) async fn fget(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        let path = local_path(&words[0]);
        let file = std::fs::File::open(&path).map_err(|error| local(&path, &error))?;
        let mut names = Vec::new();
        for line in std::io::BufReader::new(std::io::Read::take(file, LIST_LIMIT)).split(b'\n') {
            let line = line.map_err(|error| local(&path, &error))?;
            let name = line.strip_suffix(b"\r").unwrap_or(&line);
            if !name.is_empty() {
                names.push(name.to_vec());
            }
        }
        let mut results = Vec::new();
        for name in names {
            results.push(
                self.settled(async |shell: &mut Self| {
                    let remote = pathname(&name)?;
                    let local = shell.local_name(&remote)?;
                    shell.download(&remote, &local, false).await
                })
                .await?,
            );
        }
        summed(&results)
    }

    /// `mdelete remote...`
    pub(super) async fn mdelete(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        let names = self.remote_names(words).await?;
        self.each("mdelete", names, async |shell, name| {
            let remote = pathname(&name)?;
            let client = shell.client()?;
            client.remove_file(&remote).await.map(drop).map_err(failed)
        })
        .await
    }

    /// `mput local...`
    pub(super) async fn mput(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        let names = self.local_names(words)?;
        self.each("mput", names, async |shell, name| {
            let path = local_path(&name);
            let remote = shell.remote_name(&path)?;
            shell.upload(&path, &remote, false).await
        })
        .await
    }

    fn local_names(&self, words: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Failure> {
        let mut names = Vec::new();
        for word in words {
            let found = if self.is_on(Toggle::Glob) && pattern::is_pattern(word) {
                fitting_files(word)?
            } else {
                vec![word.clone()]
            };
            if found.is_empty() {
                return Err(no_match(word));
            }
            names.extend(found);
        }
        Ok(names)
    }

    /// Names on the server: patterns are matched here, against a listing of files.
    pub(super) async fn remote_names(
        &mut self,
        words: &[Vec<u8>],
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let mut names = Vec::new();
        for word in words {
            if !(self.is_on(Toggle::Glob) && pattern::is_pattern(word)) {
                names.push(word.clone());
                continue;
            }
            let (directory, last) = match word.iter().rposition(|byte| *byte == b'/') {
                Some(0) => (Some(&b"/"[..]), &word[1..]),
                Some(at) => (Some(&word[..at]), &word[at + 1..]),
                None => (None, &word[..]),
            };
            if directory.is_some_and(pattern::is_pattern) {
                return Err(Failure::usage(format!(
                    "{}: wildcards work in the last part of a name only",
                    visible(word)
                )));
            }
            let directory = directory.map(pathname).transpose()?;
            let listed = self
                .client()?
                .list(directory.as_ref())
                .await
                .map_err(failed)?;
            let mut found: Vec<Vec<u8>> = listed
                .into_iter()
                .filter(|entry| entry.kind != wharf_client::EntryKind::Directory)
                .map(|entry| entry.name)
                .filter(|name| pattern::fits(last, name))
                .collect();
            if found.is_empty() {
                return Err(no_match(word));
            }
            found.sort_unstable();
            for name in found {
                // A listing holds names. A path in it would get around the rule that `*` fits no `.netrc`.
                if name.contains(&b'/') {
                    let shown = visible(&name);
                    self.output
                        .warning(&format!("skipped, not a name: {shown}"));
                    continue;
                }
                let path = match &directory {
                    Some(directory) => directory.child(&name),
                    None => Pathname::new(name.clone()),
                };
                match path {
                    Ok(path) => names.push(path.into_bytes()),
                    Err(_) => self.output.warning(&format!("skipped: {}", visible(&name))),
                }
            }
        }
        Ok(names)
    }

    /// Whether a person is asked about each file.
    pub(super) fn asks(&self) -> bool {
        self.is_on(Toggle::Prompt) && self.interactive
    }

    /// Does something with each name, after asking if a person wants to be asked. Failures are told
    /// at once, and the next name is tried. SIGINT stops one file, and asks whether the others are still wanted.
    pub(super) async fn each(
        &mut self,
        what: &str,
        names: Vec<Vec<u8>>,
        act: impl AsyncFn(&mut Self, Vec<u8>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut ask = self.asks();
        let mut results = Vec::new();
        let left = names.len();
        let mut interrupt = Interrupt::new()?;
        // Until this command is over; whoever runs it takes it back.
        self.switches.own_interrupts.store(true, Ordering::Relaxed);
        for (count, name) in names.into_iter().enumerate() {
            if ask {
                let question = format!("{what} {} [anpqy?]? ", visible(&name));
                match self.answered_or_left(&question, &mut interrupt).await? {
                    Answer::Yes => {}
                    Answer::No => continue,
                    Answer::All => {
                        self.output
                            .line(&format!("Prompting off for duration of {what}."));
                        ask = false;
                    }
                    Answer::NoMore => {
                        self.switch(Toggle::Prompt, false);
                        self.output.line("Interactive mode: off.");
                        ask = false;
                    }
                    Answer::Quit => break,
                }
            }
            let outcome = tokio::select! {
                biased;
                outcome = self.settled(async |shell: &mut Self| act(shell, name.clone()).await) => Some(outcome),
                _ = interrupt.wait() => None,
            };
            match outcome {
                Some(result) => results.push(result?),
                None if !self.interactive => return Err(Failure::told(Exit::Interrupted)),
                None => {
                    let _ = self.output.bars().clear();
                    self.output.line("interrupted");
                    self.client()?.abort().await.map_err(failed)?;
                    results.push(Exit::Interrupted);
                    let question = format!("Continue with {what} [anpqy?]? ");
                    if count + 1 == left {
                        break;
                    }
                    let answer = self.answered_or_left(&question, &mut interrupt).await?;
                    if matches!(answer, Answer::No | Answer::Quit) {
                        break;
                    }
                }
            }
        }
        summed(&results)
    }

    /// Does one of several things and tells how it failed. The outer failure is one that concerns all.
    async fn settled(
        &mut self,
        act: impl AsyncFnOnce(&mut Self) -> Result<(), Failure>,
    ) -> Result<Exit, Failure> {
        let Err(failure) = act(self).await else {
            return Ok(Exit::Done);
        };
        self.output.failure(&failure);
        if failure.exit == Exit::Unreachable {
            return Err(Failure::told(failure.exit));
        }
        Ok(failure.exit)
    }

    /// An answer to a question; `None` at the end of input.
    pub(super) async fn question(&mut self, question: &str) -> Result<Option<Vec<u8>>, Failure> {
        self.read_line(question).await
    }

    /// SIGINT at a question is a quit.
    async fn answered_or_left(
        &mut self,
        question: &str,
        interrupt: &mut Interrupt,
    ) -> Result<Answer, Failure> {
        tokio::select! {
            answer = self.confirm(question) => answer,
            _ = interrupt.wait() => {
                self.output.line("");
                Ok(Answer::Quit)
            }
        }
    }

    async fn confirm(&mut self, question: &str) -> Result<Answer, Failure> {
        loop {
            let Some(line) = self.question(question).await? else {
                return Ok(Answer::Quit);
            };
            match Answer::read(&line) {
                Some(answer) => return Ok(answer),
                None => self.output.line(EXPLAINED),
            }
        }
    }
}

fn no_match(word: &[u8]) -> Failure {
    Failure::new(Exit::NotFound, format!("nothing fits {}", visible(word)))
}

/// Local files that fit a pattern in the last part of a path.
fn fitting_files(word: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
    let (directory, last) = match word.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&word[..=at], &word[at + 1..]),
        None => (&b""[..], word),
    };
    let place = if directory.is_empty() {
        PathBuf::from(".")
    } else {
        local_path(directory)
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&place).map_err(|error| local(&place, &error))? {
        let entry = entry.map_err(|error| local(&place, &error))?;
        let name = entry.file_name().into_vec();
        if pattern::fits(last, &name) && entry.path().is_file() {
            found.push([directory, &name].concat());
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_letter_is_an_answer() {
        for (typed, expected) in [
            ("", Some(Answer::Yes)),
            ("y", Some(Answer::Yes)),
            ("Yes", Some(Answer::Yes)),
            ("n", Some(Answer::No)),
            ("all", Some(Answer::All)),
            ("p", Some(Answer::NoMore)),
            ("q", Some(Answer::Quit)),
            ("?", None),
            ("x", None),
        ] {
            assert_eq!(Answer::read(typed.as_bytes()), expected, "{typed}");
        }
    }
}
