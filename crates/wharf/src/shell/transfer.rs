//! get, put, append, cat and the m-commands.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_client::local_name;
use wharf_proto::{Pathname, visible};

use super::run::{failed, pathname};
use super::{Shell, pattern};
use crate::cmd::{get, put};
use crate::exit::{Exit, Failure, summed};
use crate::output::Output;

const BUFFER: usize = 256 * 1024;

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
            let child = Command::new("/bin/sh")
                .arg("-c")
                .arg(OsStr::from_bytes(command))
                .stdin(Stdio::piped())
                .spawn()
                .map_err(|error| {
                    let message = format!("cannot run `{}`: {error}", visible(command));
                    Failure::new(Exit::LocalFile, message)
                })?;
            return Ok(Self::Pipe { child });
        }
        let path = local_path(word);
        let file = File::create(&path).map_err(|error| local(&path, &error))?;
        Ok(Self::File { file, path })
    }

    /// Whether the reader is still there.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        let (result, name) = match self {
            Self::Stdout => (
                std::io::stdout().lock().write_all(bytes),
                "stdout".to_owned(),
            ),
            Self::File { file, path } => (file.write_all(bytes), path.display().to_string()),
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

    pub(super) fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Stdout => {
                let _ = std::io::stdout().flush();
                Ok(())
            }
            Self::File { .. } => Ok(()),
            Self::Pipe { mut child } => {
                drop(child.stdin.take());
                child
                    .wait()
                    .map(drop)
                    .map_err(|error| Failure::new(Exit::LocalFile, format!("the pipe: {error}")))
            }
        }
    }
}

/// A typed word as a local path; `~/` is the home directory.
pub(super) fn local_path(word: &[u8]) -> PathBuf {
    if let (Some(rest), Some(home)) = (word.strip_prefix(b"~/"), std::env::var_os("HOME")) {
        return PathBuf::from(home).join(OsStr::from_bytes(rest));
    }
    PathBuf::from(OsStr::from_bytes(word))
}

fn local(path: &Path, error: &std::io::Error) -> Failure {
    let path = visible(path.as_os_str().as_bytes());
    Failure::new(Exit::LocalFile, format!("{path}: {error}"))
}

impl Shell {
    fn transfer_output(&self) -> Output {
        // The summary line of a transfer is a reply's companion: shown when replies are.
        let quiet = self.output.is_quiet() || !(self.switches.verbose() || self.interactive);
        if quiet || !self.progress {
            Output::new(true, 0)
        } else {
            self.output.clone()
        }
    }

    /// `get remote [local]`
    pub(super) async fn get(&mut self, words: &[Vec<u8>], resume: bool) -> Result<(), Failure> {
        let remote = pathname(&words[0])?;
        let Some(word) = words.get(1) else {
            let name = local_name(remote.file_name().unwrap_or_default()).map_err(failed)?;
            return self.download(&remote, Path::new(&name), resume).await;
        };
        if word == b"-" || word.starts_with(b"|") {
            return self.download_into(&remote, Sink::create(word)?).await;
        }
        let mut path = local_path(word);
        if path.is_dir() {
            path.push(local_name(remote.file_name().unwrap_or_default()).map_err(failed)?);
        }
        self.download(&remote, &path, resume).await
    }

    async fn download(
        &mut self,
        remote: &Pathname,
        path: &Path,
        resume: bool,
    ) -> Result<(), Failure> {
        self.say(&format!(
            "local: {} remote: {}",
            visible(path.as_os_str().as_bytes()),
            remote.display()
        ));
        let output = self.transfer_output();
        get::download(self.client()?, remote, path, resume, &output).await
    }

    async fn download_into(&mut self, remote: &Pathname, mut sink: Sink) -> Result<(), Failure> {
        let mut download = self.client()?.retrieve(remote, 0).await.map_err(failed)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = match download.read(&mut buffer).await {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) => return Err(failed(download.explain(error).await)),
            };
            if !sink.write(&buffer[..count])? {
                // The reader has seen enough.
                download.abort().await.map_err(failed)?;
                return sink.finish();
            }
        }
        sink.finish()?;
        download.finish().await.map(drop).map_err(failed)
    }

    /// `cat remote...`
    pub(super) async fn cat(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        for word in words {
            let remote = pathname(word)?;
            self.download_into(&remote, Sink::Stdout).await?;
        }
        Ok(())
    }

    /// `put local [remote]`
    pub(super) async fn put(&mut self, words: &[Vec<u8>], resume: bool) -> Result<(), Failure> {
        let word = &words[0];
        let remote = words.get(1);
        if word == b"-" || word.starts_with(b"|") {
            let Some(remote) = remote else {
                return Err(Failure::usage("a name on the server is needed for this"));
            };
            return self.upload_from(word, &pathname(remote)?).await;
        }
        let path = local_path(word);
        let remote = match remote {
            Some(remote) => pathname(remote)?,
            None => pathname(put::file_name(&path)?.as_os_str().as_bytes())?,
        };
        self.upload(&path, &remote, resume).await
    }

    pub(super) async fn upload(
        &mut self,
        path: &Path,
        remote: &Pathname,
        resume: bool,
    ) -> Result<(), Failure> {
        self.say(&format!(
            "local: {} remote: {}",
            visible(path.as_os_str().as_bytes()),
            remote.display()
        ));
        let output = self.transfer_output();
        put::upload(self.client()?, path, remote, resume, &output).await
    }

    /// Standard input, or what a command writes. In a script standard input holds the commands, so
    /// `-` is for terminals.
    async fn upload_from(&mut self, word: &[u8], remote: &Pathname) -> Result<(), Failure> {
        let data = match word.strip_prefix(b"|") {
            Some(command) => {
                let made = Command::new("/bin/sh")
                    .arg("-c")
                    .arg(OsStr::from_bytes(command))
                    .stderr(Stdio::inherit())
                    .output()
                    .map_err(|error| {
                        Failure::new(Exit::LocalFile, format!("cannot run the command: {error}"))
                    })?;
                if !made.status.success() {
                    let message = format!("the command ended with {}", made.status);
                    return Err(Failure::new(Exit::LocalFile, message));
                }
                made.stdout
            }
            None => {
                let mut data = Vec::new();
                while let Some(line) = self.read_line("").await? {
                    data.extend(line);
                    data.push(b'\n');
                }
                data
            }
        };
        let mut upload = self.client()?.store(remote, 0).await.map_err(failed)?;
        if let Err(error) = upload.write_all(&data).await {
            return Err(failed(upload.explain(error).await));
        }
        upload.finish().await.map(drop).map_err(failed)
    }

    /// `append local [remote]`
    pub(super) async fn append(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        let path = local_path(&words[0]);
        let remote = match words.get(1) {
            Some(remote) => pathname(remote)?,
            None => pathname(put::file_name(&path)?.as_os_str().as_bytes())?,
        };
        let mut file = File::open(&path).map_err(|error| local(&path, &error))?;
        let mut upload = self.client()?.append(&remote).await.map_err(failed)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = std::io::Read::read(&mut file, &mut buffer)
                .map_err(|error| local(&path, &error))?;
            if count == 0 {
                break;
            }
            if let Err(error) = upload.write_all(&buffer[..count]).await {
                return Err(failed(upload.explain(error).await));
            }
        }
        upload.finish().await.map(drop).map_err(failed)
    }

    /// `mget remote...`: the last component of each name, into the local directory.
    pub(super) async fn mget(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        let names = self.remote_names(words).await?;
        self.each("mget", names, async |shell, name| {
            let remote = pathname(&name)?;
            let local = local_name(remote.file_name().unwrap_or_default()).map_err(failed)?;
            shell.download(&remote, Path::new(&local), false).await
        })
        .await
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
        let mut names = Vec::new();
        for word in words {
            let found = if self.glob && pattern::is_pattern(word) {
                local_names(word)?
            } else {
                vec![word.clone()]
            };
            if found.is_empty() {
                return Err(no_match(word));
            }
            names.extend(found);
        }
        self.each("mput", names, async |shell, name| {
            let path = local_path(&name);
            let remote = pathname(put::file_name(&path)?.as_os_str().as_bytes())?;
            shell.upload(&path, &remote, false).await
        })
        .await
    }

    /// Names on the server: patterns are matched here, against a listing of files.
    async fn remote_names(&mut self, words: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, Failure> {
        let mut names = Vec::new();
        for word in words {
            if !(self.glob && pattern::is_pattern(word)) {
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

    /// Does something with each name, after asking if a person wants to be asked. Failures are told
    /// at once, and the next name is tried.
    async fn each(
        &mut self,
        what: &str,
        names: Vec<Vec<u8>>,
        act: impl AsyncFn(&mut Self, Vec<u8>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut ask = self.prompt && self.interactive;
        let mut results = Vec::new();
        for name in names {
            if ask {
                match self.confirm(what, &name).await? {
                    Answer::Yes => {}
                    Answer::No => continue,
                    Answer::All => ask = false,
                    Answer::Quit => break,
                }
            }
            results.push(match act(self, name).await {
                Ok(()) => Exit::Done,
                Err(failure) => {
                    self.output.failure(&failure);
                    if failure.exit == Exit::Unreachable {
                        return Err(Failure::told(failure.exit));
                    }
                    failure.exit
                }
            });
        }
        summed(&results)
    }

    async fn confirm(&mut self, what: &str, name: &[u8]) -> Result<Answer, Failure> {
        loop {
            let question = format!("{what} {} [anpqy?]? ", visible(name));
            let Some(line) = self.read_line(&question).await? else {
                return Ok(Answer::Quit);
            };
            match line.trim_ascii().to_ascii_lowercase().first() {
                None | Some(b'y') => return Ok(Answer::Yes),
                Some(b'n') => return Ok(Answer::No),
                Some(b'a') => return Ok(Answer::All),
                Some(b'p') => {
                    self.prompt = false;
                    return Ok(Answer::All);
                }
                Some(b'q') => return Ok(Answer::Quit),
                Some(_) => self.output.line(
                    "a: yes to all that follow, n: not this one, p: do not ask any more, q: stop here, y: this one",
                ),
            }
        }
    }
}

enum Answer {
    Yes,
    No,
    All,
    Quit,
}

fn no_match(word: &[u8]) -> Failure {
    Failure::new(Exit::NotFound, format!("nothing fits {}", visible(word)))
}

/// Local files that fit a pattern in the last part of a path.
fn local_names(word: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
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
