//! get, put, append and cat: one file.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_client::{Client, ErrorKind, FileOptions, local_name};
use wharf_net::pump::Progress;
use wharf_proto::{Pathname, visible};

use super::run::{failed, pathname};
use super::settings::Toggle;
use super::sink::{Sink, is_special, local, local_path};
use super::{Shell, naming};
use crate::exit::{Exit, Failure};
use crate::session;

const BUFFER: usize = 256 * 1024;

/// `runique`: so many numbers are tried.
const NUMBERS: u32 = 99;

impl Shell {
    /// `get remote [local]`
    pub(super) async fn get(&mut self, words: &[Vec<u8>], resume: bool) -> Result<(), Failure> {
        if let Some(more) = words.get(2) {
            return Err(too_many("get remote-file [local-file]", more));
        }
        let remote = pathname(&words[0])?;
        match words.get(1) {
            Some(word) if is_special(word) && !resume => {
                self.download_into(&remote, Sink::create(word)?).await
            }
            word => {
                let path = self.local_goal(&remote, word)?;
                self.download(&remote, &path, resume).await
            }
        }
    }

    /// Where a download goes: the name that was typed, or one made of the server's.
    pub(super) fn local_goal(
        &self,
        remote: &Pathname,
        word: Option<&Vec<u8>>,
    ) -> Result<PathBuf, Failure> {
        let Some(word) = word else {
            return self.local_name(remote);
        };
        let mut path = local_path(word);
        if path.is_dir() {
            path.push(self.local_name(remote)?);
        }
        Ok(path)
    }

    /// The local name of a remote file: its last component, as `case`, `ntrans` and `nmap` make it. Whatever they make of
    /// it, it stays below the local directory.
    pub(super) fn local_name(&self, remote: &Pathname) -> Result<PathBuf, Failure> {
        let told = local_name(remote.file_name().unwrap_or_default()).map_err(failed)?;
        let mut name = told.as_bytes().to_vec();
        let settings = &self.settings;
        if self.is_on(Toggle::Case) {
            name = naming::small(&name);
        }
        if let Some(letters) = &settings.letters {
            name = letters.apply(&name);
        }
        let mut absolute = false;
        if let Some(map) = &settings.name_map {
            name = map.apply(&name);
            absolute = map.is_absolute();
        }
        if !naming::stays_inside(&name, absolute) {
            let message = format!(
                "{}: nmap and ntrans make `{}` of it, which leads out of the local directory",
                remote.display(),
                visible(&name)
            );
            return Err(Failure::new(Exit::LocalFile, message));
        }
        Ok(PathBuf::from(OsStr::from_bytes(&name)))
    }

    /// The remote name of a local file, as `ntrans` and `nmap` make it.
    pub(super) fn remote_name(&self, path: &Path) -> Result<Pathname, Failure> {
        let mut name = file_name(path)?.as_bytes().to_vec();
        if let Some(letters) = &self.settings.letters {
            name = letters.apply(&name);
        }
        if let Some(map) = &self.settings.name_map {
            name = map.apply(&name);
        }
        pathname(&name)
    }

    /// Downloads to a file, with everything that the settings say about it.
    pub(super) async fn download(
        &mut self,
        remote: &Pathname,
        path: &Path,
        resume: bool,
    ) -> Result<(), Failure> {
        let path = if self.is_on(Toggle::Runique) && !resume {
            free_name(path)?
        } else {
            path.to_owned()
        };
        let shown = visible(path.as_os_str().as_bytes());
        self.say(&format!("local: {shown} remote: {}", remote.display()));
        let offset = std::mem::take(&mut self.settings.restart);
        if offset > 0 {
            return self.download_at(remote, &path, offset).await;
        }
        let meter = self.meter();
        let progress = Progress::new();
        let how = FileOptions {
            resume,
            keep_time: self.is_on(Toggle::Preserve),
            progress: progress.clone(),
            ..FileOptions::default()
        };
        let began = Instant::now();
        let client = self.client()?;
        let total = if meter.wants_total() {
            client.known(remote).await.ok().and_then(|it| it.size)
        } else {
            None
        };
        // On the heap, here and below: whoever waits for a transfer would otherwise carry all of it along.
        let work = Box::pin(client.retrieve_to_file(remote, &path, &how));
        let moved = meter.watch(&shown, total, &progress, work).await;
        let moved = moved.map_err(|error| {
            let kind = error.kind();
            let mut failure = session::failure(&error);
            session::cut_short(&mut failure, progress.moved());
            match kind {
                ErrorKind::Changed if resume => {
                    failure.with_hint("get downloads it from its beginning")
                }
                ErrorKind::Changed => failure,
                _ if progress.moved() > 0 && !resume => {
                    failure.with_hint("reget goes on where this stopped")
                }
                _ => failure,
            }
        })?;
        if moved.complete_before {
            self.say(&format!("{shown}: complete already"));
        } else {
            self.moved(progress.moved(), "received", began);
        }
        Ok(())
    }

    /// After `restart`: writes into the file as it is, from there on.
    async fn download_at(
        &mut self,
        remote: &Pathname,
        path: &Path,
        offset: u64,
    ) -> Result<(), Failure> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| local(path, &error))?;
        file.seek(SeekFrom::Start(offset))
            .map_err(|error| local(path, &error))?;
        let sink = Sink::File {
            file,
            path: path.to_owned(),
        };
        self.download_from(remote, offset, sink).await
    }

    pub(super) async fn download_into(
        &mut self,
        remote: &Pathname,
        sink: Sink,
    ) -> Result<(), Failure> {
        let offset = std::mem::take(&mut self.settings.restart);
        self.download_from(remote, offset, sink).await
    }

    async fn download_from(
        &mut self,
        remote: &Pathname,
        offset: u64,
        mut sink: Sink,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        let to_file = matches!(sink, Sink::File { .. });
        let meter = self.meter();
        let progress = Progress::new();
        let client = self.client()?;
        let work = Box::pin(pour(client, remote, offset, &mut sink, &progress));
        if to_file {
            let name = remote.display().to_string();
            meter.watch(&name, None, &progress, work).await?;
            self.moved(progress.moved(), "received", began);
        } else {
            // What is shown and a bar would be in each other's way.
            work.await?;
        }
        sink.finish()
    }

    /// `cat remote...`
    pub(super) async fn cat(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        for word in words {
            let remote = pathname(word)?;
            self.download_into(&remote, Sink::Stdout).await?;
        }
        Ok(())
    }

    /// `page`, `less`, `more`
    pub(super) async fn page(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        for word in words {
            let remote = pathname(word)?;
            let sink = self.page_sink()?;
            self.download_into(&remote, sink).await?;
        }
        Ok(())
    }

    /// `newer remote [local]`
    pub(super) async fn newer(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        let remote = pathname(&words[0])?;
        let path = self.local_goal(&remote, words.get(1))?;
        let here = std::fs::metadata(&path).and_then(|it| it.modified()).ok();
        if let Some(here) = here {
            let there = self.client()?.modified(&remote).await.map_err(failed)?;
            let there = there.ok_or_else(|| {
                Failure::new(Exit::Denied, "the server does not tell times")
                    .with_hint("get downloads it whatever its time is")
            })?;
            if SystemTime::from(there) <= here {
                let shown = visible(path.as_os_str().as_bytes());
                self.say(&format!(
                    "Local file \"{shown}\" is newer than remote file \"{}\".",
                    remote.display()
                ));
                return Ok(());
            }
        }
        self.download(&remote, &path, false).await
    }

    /// `put local [remote]`
    pub(super) async fn put(&mut self, words: &[Vec<u8>], resume: bool) -> Result<(), Failure> {
        if let Some(more) = words.get(2) {
            return Err(too_many("put local-file [remote-file]", more));
        }
        if is_special(&words[0]) {
            let Some(word) = words.get(1) else {
                return Err(Failure::usage("a stream needs a remote name")
                    .with_hint("put - remote-file, put \"|command\" remote-file"));
            };
            return self.upload_from(&words[0], &pathname(word)?).await;
        }
        let path = local_path(&words[0]);
        let remote = match words.get(1) {
            Some(word) => pathname(word)?,
            None => self.remote_name(&path)?,
        };
        self.upload(&path, &remote, resume).await
    }

    /// Uploads a file, with everything that the settings say about it.
    pub(super) async fn upload(
        &mut self,
        path: &Path,
        remote: &Pathname,
        resume: bool,
    ) -> Result<(), Failure> {
        let shown = visible(path.as_os_str().as_bytes());
        self.say(&format!("local: {shown} remote: {}", remote.display()));
        let offset = std::mem::take(&mut self.settings.restart);
        let unique = self.is_on(Toggle::Sunique) && !resume;
        if offset > 0 || unique {
            let how = if unique {
                Storing::Unique
            } else {
                Storing::At(offset)
            };
            return self.store(path, remote, how).await;
        }
        let meter = self.meter();
        let progress = Progress::new();
        let how = FileOptions {
            resume,
            keep_time: self.is_on(Toggle::Preserve),
            progress: progress.clone(),
            ..FileOptions::default()
        };
        let began = Instant::now();
        let total = std::fs::metadata(path).ok().map(|it| it.len());
        let work = Box::pin(self.client()?.store_from_file(path, remote, &how));
        let moved = meter.watch(&shown, total, &progress, work).await;
        let moved = moved.map_err(|error| {
            let mut failure = session::failure(&error);
            if session::cut_short(&mut failure, progress.moved()) {
                failure = failure.with_hint("reput goes on where this stopped");
            }
            failure
        })?;
        if moved.complete_before {
            self.say(&format!("{shown}: complete already"));
        } else {
            self.moved(progress.moved(), "sent", began);
        }
        Ok(())
    }

    /// `append local [remote]`
    pub(super) async fn append(&mut self, words: &[Vec<u8>]) -> Result<(), Failure> {
        let path = local_path(&words[0]);
        let remote = match words.get(1) {
            Some(remote) => pathname(remote)?,
            None => self.remote_name(&path)?,
        };
        let shown = visible(path.as_os_str().as_bytes());
        self.say(&format!("local: {shown} remote: {}", remote.display()));
        self.store(&path, &remote, Storing::Append).await
    }

    /// STOU, APPE, or STOR from somewhere in the file on.
    async fn store(&mut self, path: &Path, remote: &Pathname, how: Storing) -> Result<(), Failure> {
        let began = Instant::now();
        let mut file = File::open(path).map_err(|error| local(path, &error))?;
        if let Storing::At(offset) = how {
            file.seek(SeekFrom::Start(offset))
                .map_err(|error| local(path, &error))?;
        }
        let total = file.metadata().ok().map(|it| it.len());
        let meter = self.meter();
        let progress = Progress::new();
        let client = self.client()?;
        let mut upload = match how {
            Storing::At(offset) => Box::pin(client.store(remote, offset)).await,
            Storing::Append => Box::pin(client.append(remote)).await,
            Storing::Unique => Box::pin(client.store_unique(Some(remote))).await,
        }
        .map_err(failed)?;
        upload.count_into(progress.clone());
        let work = Box::pin(async {
            let mut buffer = vec![0; BUFFER];
            loop {
                let count = std::io::Read::read(&mut file, &mut buffer)
                    .map_err(|error| local(path, &error))?;
                if count == 0 {
                    break;
                }
                if let Err(error) = upload.write_all(&buffer[..count]).await {
                    return Err(failed(upload.explain(error).await));
                }
            }
            upload.finish().await.map_err(failed)
        });
        let name = remote.display().to_string();
        let stored = meter.watch(&name, total, &progress, work).await?;
        if let Some(name) = stored.name {
            self.say(&format!("stored as {}", visible(&name)));
        }
        self.moved(progress.moved(), "sent", began);
        Ok(())
    }

    /// Standard input, or what a command writes. In a script standard input holds the commands, so
    /// `-` is for terminals.
    async fn upload_from(&mut self, word: &[u8], remote: &Pathname) -> Result<(), Failure> {
        let began = Instant::now();
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
        let store = Box::pin(self.client()?.store(remote, 0));
        let mut upload = store.await.map_err(failed)?;
        if let Err(error) = upload.write_all(&data).await {
            return Err(failed(upload.explain(error).await));
        }
        upload.finish().await.map_err(failed)?;
        self.moved(data.len() as u64, "sent", began);
        Ok(())
    }
}

/// From `offset` to the end of a remote file, into something that is not replaced by a rename. A reader that has seen enough
/// is no failure.
pub(super) async fn pour(
    client: &mut Client,
    remote: &Pathname,
    offset: u64,
    sink: &mut Sink,
    progress: &Progress,
) -> Result<(), Failure> {
    let mut download = Box::pin(client.retrieve(remote, offset))
        .await
        .map_err(failed)?;
    download.count_into(progress.clone());
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = match download.read(&mut buffer).await {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => return Err(failed(download.explain(error).await)),
        };
        if !sink.write(&buffer[..count])? {
            return download.abort().await.map_err(failed);
        }
    }
    download.finish().await.map(drop).map_err(failed)
}

/// How an upload is stored.
#[derive(Clone, Copy)]
enum Storing {
    At(u64),
    Append,
    Unique,
}

fn too_many(usage: &str, word: &[u8]) -> Failure {
    let word = visible(word);
    Failure::usage(format!("usage: {usage}")).with_hint(format!(
        "`{word}` is one too many; names with blanks need \"...\""
    ))
}

/// The last component of a local path.
pub(super) fn file_name(path: &Path) -> Result<&OsStr, Failure> {
    path.file_name().ok_or_else(|| {
        let shown = visible(path.as_os_str().as_bytes());
        Failure::new(Exit::LocalFile, format!("{shown} is not a file"))
    })
}

/// The name itself, or with the first free number behind it.
fn free_name(path: &Path) -> Result<PathBuf, Failure> {
    if std::fs::symlink_metadata(path).is_err() {
        return Ok(path.to_owned());
    }
    for number in 1..=NUMBERS {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        if std::fs::symlink_metadata(&name).is_err() {
            return Ok(PathBuf::from(name));
        }
    }
    let shown = visible(path.as_os_str().as_bytes());
    Err(Failure::new(
        Exit::LocalFile,
        format!("{shown}: every name up to .{NUMBERS} is taken"),
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_taken_name_gets_a_number() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a");
        for expected in ["a", "a.1", "a.2"] {
            let free = free_name(&path).unwrap();
            assert_eq!(free, place.path().join(expected));
            let mut file = File::create(free).unwrap();
            file.write_all(b"x").unwrap();
        }
    }
}
