//! get, put and their relatives; cat and more.

mod reading;

use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_client::{Pool, SegmentOptions, Target, local_name, retrieve_in_segments};
use wharf_net::pump::Progress;
use wharf_proto::{Format, Pathname, RepresentationType, visible};

use super::Shell;
use super::options::{self, Given, Known, switch, valued};
use super::pattern::{self, Kinds, base_name, no_match, pathname};
use super::place::{failed, is_address, target};
use super::syntax::Word;
use crate::cmd::{get, put};
use crate::exit::{Exit, Failure};

const BUFFER: usize = 256 * 1024;

/// More connections for one file cost a server more than they win.
const MOST_SEGMENTS: u64 = 32;

/// Options of the commands that transfer files.
const TRANSFER: &[Known] = &[
    switch('c', "continue"),
    switch('e', "anew"),
    switch('E', "move"),
    switch('a', "ascii"),
    switch('d', "directories"),
    switch('q', "quiet"),
    valued('O', "into"),
    valued('n', "segments"),
];

/// How files are transferred.
#[derive(Clone, Copy, Debug, Default)]
struct How {
    resume: bool,
    /// What is there is removed first.
    anew: bool,
    /// The source is removed afterwards.
    moves: bool,
    ascii: bool,
    /// Directories of the source are made, too.
    directories: bool,
}

impl How {
    fn of(given: &Given) -> Self {
        Self {
            resume: given.has("continue"),
            anew: given.has("anew"),
            moves: given.has("move"),
            ascii: given.has("ascii"),
            directories: given.has("directories"),
        }
    }

    fn representation(self) -> RepresentationType {
        match self.ascii {
            true => RepresentationType::Ascii(Format::NonPrint),
            false => RepresentationType::Image,
        }
    }
}

/// A file and what it is to be called.
type Pair = (Word, Option<Word>);

/// Options, and files each with the `-o` that follows it.
fn pairs(command: &str, words: &[Word]) -> Result<(Given, Vec<Pair>), Failure> {
    let mut pairs: Vec<Pair> = Vec::new();
    let mut before: Vec<Word> = Vec::new();
    let mut words = words.iter().cloned().peekable();
    while let Some(word) = words.next() {
        let text = word.text.as_slice();
        if text == b"-o" || (text.starts_with(b"-o") && !pairs.is_empty()) {
            let name = match text.len() {
                2 => words.next(),
                _ => Some(Word::name(text[2..].to_vec())),
            };
            let (Some(pair), Some(name)) = (pairs.last_mut(), name) else {
                let message = format!("{command}: -o stands behind a file and before its name");
                return Err(Failure::usage(message));
            };
            pair.1 = Some(name);
        } else if text == b"--" {
            pairs.extend(words.by_ref().map(|word| (word, None)));
        } else if text.len() > 1 && text.starts_with(b"-") {
            // The value of an option belongs to it.
            let letter = text.last().copied().map_or(' ', char::from);
            let valued = !text.starts_with(b"--")
                && TRANSFER
                    .iter()
                    .any(|it| it.letter == letter && it.value == options::Value::Needed);
            before.push(word);
            if valued {
                before.extend(words.next());
            }
        } else {
            pairs.push((word, None));
        }
    }
    let given = options::read(command, TRANSFER, &before)?;
    if pairs.is_empty() {
        return Err(Failure::usage(format!("{command}: which file?")));
    }
    Ok((given, pairs))
}

impl Shell {
    /// `get [options] file [-o name]...`; reget and get1.
    pub(super) async fn get(&mut self, name: &'static str, words: &[Word]) -> Result<(), Failure> {
        let (given, pairs) = pairs(name, words)?;
        let mut how = How::of(&given);
        how.resume |= name == "reget";
        if given.has("segments") {
            return Err(Failure::usage(format!("{name}: -n is for pget")));
        }
        let into = self.destination(&given);
        let mut results = Vec::new();
        for (remote, local) in &pairs {
            let done = self
                .get_one(&remote.text, local.as_ref(), into.as_deref(), how)
                .await;
            results.push(done);
        }
        self.summed(results)
    }

    /// Where files go that have no name of their own.
    fn destination(&self, given: &Given) -> Option<PathBuf> {
        let chosen = given.value("into").map(|word| word.text.clone());
        let set = self.settings.text("xfer:destination-directory", "");
        let chosen = chosen.or_else(|| (!set.is_empty()).then(|| set.into_bytes()))?;
        Some(self.local(&chosen))
    }

    async fn get_one(
        &mut self,
        remote: &[u8],
        local: Option<&Word>,
        into: Option<&Path>,
        how: How,
    ) -> Result<(), Failure> {
        if is_address(remote) {
            let target = target(remote)?;
            let path = file_of(&target)?;
            let mut other = self.elsewhere(&target);
            let done = other.download(&path, local, into, how).await;
            other.hang_up().await;
            return done;
        }
        self.download(&pathname(remote)?, local, into, how).await
    }

    async fn download(
        &mut self,
        remote: &Pathname,
        local: Option<&Word>,
        into: Option<&Path>,
        how: How,
    ) -> Result<(), Failure> {
        if let Some(word) = local.filter(|word| is_address(&word.text)) {
            return self.relay(remote, word).await;
        }
        let path = self.goal(remote, local, into)?;
        self.download_to(remote, &path, how).await
    }

    /// Where a file goes; the directories are made that were asked for.
    fn goal(
        &self,
        remote: &Pathname,
        local: Option<&Word>,
        into: Option<&Path>,
    ) -> Result<PathBuf, Failure> {
        let name = remote.file_name().unwrap_or_default();
        let mut path = match local {
            Some(word) => match into {
                Some(directory) => directory.join(super::local_path(&word.text)),
                None => self.local(&word.text),
            },
            None => {
                let name = local_name(name).map_err(failed)?;
                match into {
                    Some(directory) => directory.join(name),
                    None => self.local(name.as_bytes()),
                }
            }
        };
        let directory = local.is_some_and(|word| word.text.ends_with(b"/")) || path.is_dir();
        if local.is_some() && directory {
            path.push(local_name(name).map_err(failed)?);
        }
        if let Some(parent) = path
            .parent()
            .filter(|it| !it.as_os_str().is_empty() && into.is_some())
        {
            make_local(parent)?;
        }
        Ok(path)
    }

    async fn download_to(
        &mut self,
        remote: &Pathname,
        path: &Path,
        how: How,
    ) -> Result<(), Failure> {
        let there = path.symlink_metadata();
        if let Ok(there) = &there
            && there.is_file()
            && !how.resume
        {
            if self.settings.switch("xfer:clobber", "") == Some(false) && !how.anew {
                let shown = visible(path.as_os_str().as_bytes());
                let message = format!("{shown} is there already, and xfer:clobber is off");
                return Err(Failure::new(Exit::LocalFile, message));
            }
            if how.anew {
                std::fs::remove_file(path).map_err(|error| local_failure(path, &error))?;
            }
        }
        let output = self.output.clone();
        let client = self.client().await?;
        client.set_type(how.representation()).map_err(failed)?;
        let done = get::download(client, remote, path, how.resume, &output).await;
        client.set_type(RepresentationType::Image).map_err(failed)?;
        done?;
        if how.moves {
            client.remove_file(remote).await.map_err(failed)?;
        }
        Ok(())
    }

    /// `get file -o ftp://other/file`: from one server to another, through this machine.
    async fn relay(&mut self, remote: &Pathname, to: &Word) -> Result<(), Failure> {
        let target = target(&to.text)?;
        let path = match target.is_directory() {
            true => target
                .child(remote.file_name().unwrap_or_default())
                .map_err(|error| Failure::usage(error.to_string()))?,
            false => file_of(&target)?,
        };
        let mut other = self.elsewhere(&target);
        let done = self.carry(remote, &mut other, &path).await;
        other.hang_up().await;
        done
    }

    async fn carry(
        &mut self,
        from: &Pathname,
        other: &mut Self,
        to: &Pathname,
    ) -> Result<(), Failure> {
        let mut download = self
            .client()
            .await?
            .retrieve(from, 0)
            .await
            .map_err(failed)?;
        let mut upload = other.client().await?.store(to, 0).await.map_err(failed)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = match download.read(&mut buffer).await {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) => return Err(failed(download.explain(error).await)),
            };
            if let Err(error) = upload.write_all(&buffer[..count]).await {
                return Err(failed(upload.explain(error).await));
            }
        }
        // What was cut short must not be taken for whole: the upload is dropped then.
        download.finish().await.map_err(failed)?;
        upload.finish().await.map(drop).map_err(failed)
    }

    /// `put [options] file [-o name]...`; reput.
    pub(super) async fn put(&mut self, name: &'static str, words: &[Word]) -> Result<(), Failure> {
        let (given, pairs) = pairs(name, words)?;
        let mut how = How::of(&given);
        how.resume |= name == "reput";
        let mut results = Vec::new();
        for (local, remote) in &pairs {
            let done = self
                .put_one(&local.text, remote.as_ref(), given.value("into"), how)
                .await;
            results.push(done);
        }
        self.summed(results)
    }

    async fn put_one(
        &mut self,
        local: &[u8],
        remote: Option<&Word>,
        into: Option<&Word>,
        how: How,
    ) -> Result<(), Failure> {
        if is_address(local) {
            let from = target(local)?;
            let path = file_of(&from)?;
            let to = match remote {
                Some(word) => pathname(&word.text)?,
                None => pathname(from.file_name().unwrap_or_default())?,
            };
            let mut other = self.elsewhere(&from);
            let done = other.carry_to(&path, self, &to).await;
            other.hang_up().await;
            return done;
        }
        let path = self.local(local);
        let base = base_name(&path)?;
        if let Some(word) = remote.or(into).filter(|word| is_address(&word.text)) {
            let target = target(&word.text)?;
            let to = match target.is_directory() {
                true => target
                    .child(&base)
                    .map_err(|error| Failure::usage(error.to_string()))?,
                false => file_of(&target)?,
            };
            let mut other = self.elsewhere(&target);
            let done = other.upload(&path, &to, how).await;
            other.hang_up().await;
            return done;
        }
        let name = match remote {
            Some(word) if word.text.ends_with(b"/") => [word.text.as_slice(), &base].concat(),
            Some(word) => word.text.clone(),
            None => base,
        };
        let to = match into {
            Some(directory) => pathname(&directory.text)?.join(&pathname(&name)?),
            None => pathname(&name)?,
        };
        if how.directories || into.is_some() {
            self.make_remote_parents(&to).await?;
        }
        self.upload(&path, &to, how).await
    }

    async fn carry_to(
        &mut self,
        from: &Pathname,
        other: &mut Self,
        to: &Pathname,
    ) -> Result<(), Failure> {
        Box::pin(self.carry(from, other, to)).await
    }

    async fn upload(&mut self, path: &Path, remote: &Pathname, how: How) -> Result<(), Failure> {
        // Before anything goes over the network.
        let metadata = std::fs::metadata(path).map_err(|error| local_failure(path, &error))?;
        if metadata.is_dir() {
            let shown = visible(path.as_os_str().as_bytes());
            return Err(
                Failure::new(Exit::LocalFile, format!("{shown} is a directory"))
                    .with_hint("mirror -R sends directories"),
            );
        }
        let output = self.output.clone();
        let client = self.client().await?;
        if how.anew {
            match client.remove_file(remote).await {
                Err(error) if error.reply().is_none() => return Err(failed(error)),
                // What is not there is not in the way.
                _ => {}
            }
        }
        client.set_type(how.representation()).map_err(failed)?;
        let done = put::upload(client, path, remote, how.resume, &output).await;
        client.set_type(RepresentationType::Image).map_err(failed)?;
        done?;
        if how.moves {
            std::fs::remove_file(path).map_err(|error| local_failure(path, &error))?;
        }
        Ok(())
    }

    /// Makes the directories of a name, where they are missing.
    async fn make_remote_parents(&mut self, path: &Pathname) -> Result<(), Failure> {
        match path.parent() {
            Some(parent) => self.make_remote(&parent).await,
            None => Ok(()),
        }
    }

    /// Makes a directory and its parents, where they are missing.
    pub(super) async fn make_remote(&mut self, path: &Pathname) -> Result<(), Failure> {
        let mut made: Vec<u8> = if path.is_absolute() {
            b"/".to_vec()
        } else {
            Vec::new()
        };
        let mut last = Ok(());
        let client = self.client().await?;
        for part in path.components() {
            if !made.is_empty() && !made.ends_with(b"/") {
                made.push(b'/');
            }
            made.extend_from_slice(part);
            // Many servers say the same to one that exists and to one that may not be made: the last one tells.
            last = match client.make_dir(&pathname(&made)?).await {
                Ok(_) => Ok(()),
                Err(error) if error.reply().is_some() => Err(error),
                Err(error) => return Err(failed(error)),
            };
        }
        match last {
            Ok(()) => Ok(()),
            Err(error) => match client.entry(path).await {
                Ok(entry) if entry.kind != wharf_client::EntryKind::File => Ok(()),
                _ => Err(failed(error)),
            },
        }
    }

    /// `mget [options] pattern...`
    pub(super) async fn mget(&mut self, words: &[Word]) -> Result<(), Failure> {
        let given = options::read("mget", TRANSFER, words)?;
        let how = How::of(&given);
        let into = self.destination(&given);
        if given.rest.is_empty() {
            return Err(Failure::usage("mget: which files?"));
        }
        let mut results = Vec::new();
        for word in &given.rest {
            if is_address(&word.text) {
                return Err(
                    Failure::usage("mget: patterns are for the server that is open")
                        .with_hint("open the server first"),
                );
            }
            let names = pattern::remote(self.client().await?, word, Kinds::Files).await?;
            if names.is_empty() {
                results.push(Err(no_match(word)));
            }
            for name in names {
                let remote = pathname(&name)?;
                let directory = match how.directories {
                    true => Some(below(
                        into.as_deref().unwrap_or(&self.local(b".")),
                        &remote,
                    )?),
                    false => into.clone(),
                };
                let done = self
                    .download(&remote, None, directory.as_deref(), how)
                    .await;
                results.push(done);
            }
        }
        self.summed(results)
    }

    /// `mput [options] pattern...`
    pub(super) async fn mput(&mut self, words: &[Word]) -> Result<(), Failure> {
        let given = options::read("mput", TRANSFER, words)?;
        let how = How::of(&given);
        if given.rest.is_empty() {
            return Err(Failure::usage("mput: which files?"));
        }
        let mut results = Vec::new();
        for word in &given.rest {
            let names = pattern::local(&self.here, word, Kinds::Files);
            if names.is_empty() {
                results.push(Err(no_match(word)));
            }
            for name in names {
                let kept =
                    (how.directories && !name.starts_with(b"/")).then(|| Word::name(name.clone()));
                let done = self
                    .put_one(&name, kept.as_ref(), given.value("into"), how)
                    .await;
                results.push(done);
            }
        }
        self.summed(results)
    }

    /// `pget [-n segments] file [-o name]`
    pub(super) async fn pget(&mut self, words: &[Word]) -> Result<(), Failure> {
        let (given, pairs) = pairs("pget", words)?;
        let how = How::of(&given);
        let set = self.settings.number("pget:default-n", "");
        let segments = given.number("pget", "segments")?.unwrap_or(set).max(1);
        let into = self.destination(&given);
        let mut results = Vec::new();
        for (remote, local) in &pairs {
            let done = self
                .segmented(&remote.text, local.as_ref(), into.as_deref(), how, segments)
                .await;
            results.push(done);
        }
        self.summed(results)
    }

    async fn segmented(
        &mut self,
        remote: &[u8],
        local: Option<&Word>,
        into: Option<&Path>,
        how: How,
        segments: u64,
    ) -> Result<(), Failure> {
        let limit = self.settings.number("net:connection-limit", "");
        let segments = if limit > 0 {
            segments.min(limit)
        } else {
            segments
        };
        let segments = usize::try_from(segments.min(MOST_SEGMENTS))
            .ok()
            .and_then(NonZeroUsize::new);
        let Some(segments) = segments.filter(|it| it.get() > 1 && !how.ascii && !how.moves) else {
            return self.get_one(remote, local, into, how).await;
        };
        if is_address(remote) {
            let target = target(remote)?;
            let path = file_of(&target)?;
            let goal = self.goal(&path, local, into)?;
            let mut other = self.elsewhere(&target);
            return other.in_segments(&path, &goal, how, segments).await;
        }
        let path = pathname(remote)?;
        let goal = self.goal(&path, local, into)?;
        self.in_segments(&path, &goal, how, segments).await
    }

    /// Over sessions of their own; the one at hand ends first, for some servers allow few.
    async fn in_segments(
        &mut self,
        remote: &Pathname,
        goal: &Path,
        how: How,
        segments: NonZeroUsize,
    ) -> Result<(), Failure> {
        let remote = match &self.cwd {
            Some(cwd) => cwd.join(remote),
            None => remote.clone(),
        };
        self.hang_up().await;
        let (pool, address) = self.pool(segments)?;
        let progress = Progress::new();
        let options = SegmentOptions {
            segments,
            resume: how.resume,
            progress: progress.clone(),
            ..SegmentOptions::default()
        };
        let name = visible(goal.as_os_str().as_bytes());
        let began = Instant::now();
        let output = self.output.clone();
        let work = retrieve_in_segments(&pool, &address, &remote, goal, &options);
        let moved = crate::progress::watch(&output, &name, None, &progress, work).await;
        for warning in pool.take_warnings() {
            output.warning(&warning);
        }
        for note in pool.take_notes() {
            self.note(&note);
        }
        pool.close().await;
        moved.map_err(failed)?;
        output.info(&crate::progress::summary(&name, progress.moved(), began));
        Ok(())
    }

    /// Sessions at the place where we are, and its address.
    pub(super) fn pool(&self, most: NonZeroUsize) -> Result<(Pool, String), Failure> {
        let place = self.place.clone().ok_or_else(super::place::not_open)?;
        let login = self.login(&place)?;
        let address = place.address(None);
        let target = target(address.as_bytes())?;
        let connector = self.tuned(&place.endpoint.host)?;
        let door = connector.door(&(place.scheme, place.endpoint.clone()))?;
        Ok((
            Pool::new(door.net, &target, login, door.options, most),
            address,
        ))
    }

    /// Tells each failure; the status of all.
    pub(super) fn summed(&mut self, results: Vec<Result<(), Failure>>) -> Result<(), Failure> {
        let several = results.len() > 1;
        let mut exits = Vec::new();
        for result in results {
            match result {
                Ok(()) => exits.push(Exit::Done),
                Err(failure) if !several => return Err(failure),
                Err(failure) => {
                    self.tell(&failure);
                    exits.push(failure.exit);
                }
            }
        }
        crate::exit::summed(&exits)
    }
}

/// The file that an address names.
fn file_of(target: &Target) -> Result<Pathname, Failure> {
    if target.is_directory() {
        return Err(Failure::usage(format!("{target} is a directory")));
    }
    crate::session::path_of(target)
}

/// The local directory for a remote name, its own directories in it; every part is judged as a name.
fn below(into: &Path, remote: &Pathname) -> Result<PathBuf, Failure> {
    let mut path = into.to_path_buf();
    if let Some(parent) = remote.parent() {
        for part in parent.components() {
            path.push(local_name(part).map_err(failed)?);
        }
    }
    Ok(path)
}

pub(super) fn make_local(directory: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(directory).map_err(|error| local_failure(directory, &error))
}

pub(super) fn local_failure(path: &Path, error: &std::io::Error) -> Failure {
    let shown = visible(path.as_os_str().as_bytes());
    Failure::new(Exit::LocalFile, format!("{shown}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_has_the_name_that_follows_it() {
        for (line, expected) in [
            ("a", "a"),
            ("a -o b", "a>b"),
            ("a -o b c -o d e", "a>b c>d e"),
            ("-c a -o b", "-continue a>b"),
            ("-O dir a b", "-into a b"),
            ("-cE a", "-continue -move a"),
            ("a -O dir", "-into a"),
            ("-- -a", "-a"),
            ("-o b", "get: -o stands behind a file and before its name"),
            ("-c", "get: which file?"),
        ] {
            let words: Vec<Word> = line.split(' ').map(Word::plain).collect();
            let text = |word: &Word| String::from_utf8_lossy(&word.text).into_owned();
            let shown = match pairs("get", &words) {
                Err(failure) => failure.message,
                Ok((given, pairs)) => {
                    let options = given.options.iter().map(|(name, _)| format!("-{name}"));
                    let files = pairs.iter().map(|(file, name)| match name {
                        Some(name) => format!("{}>{}", text(file), text(name)),
                        None => text(file),
                    });
                    options.chain(files).collect::<Vec<_>>().join(" ")
                }
            };
            assert_eq!(shown, expected, "{line}");
        }
    }

    #[test]
    fn names_of_a_server_do_not_lead_out_of_a_directory() {
        let at = |name: &str| below(Path::new("d"), &Pathname::new(name).unwrap());
        assert_eq!(at("a/b/c").unwrap(), Path::new("d/a/b"));
        assert!(at("../x/c").is_err());
    }
}
