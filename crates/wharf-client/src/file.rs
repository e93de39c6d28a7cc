//! Whole files between the server and the local disk.
//!
//! A download goes to `NAME.part` beside its goal and gets its name by a rename, when the server has confirmed it and the
//! length agrees: whatever happens before, a file under the final name is complete or untouched. The partial file stays
//! for a resume. A resume reads the last bytes of what is there again and compares them, so that two versions of a file
//! are not glued together; it refuses when the remote file is smaller than the partial one or was modified after it.
//!
//! Not here: fsync (a crash of the whole machine may lose a file that was just renamed), directories, several
//! connections (`segments/`).

use std::fs;
use std::path::Path;

use tokio::io::AsyncReadExt;
use wharf_net::pump::Progress;
use wharf_proto::{Pathname, Timestamp};

use crate::client::Client;
use crate::digest::{self, Sum, Verify};
use crate::error::{Error, ErrorKind, Result};
use crate::local::{Part, finished_before, tail_of};
use crate::transfer::Known;
use crate::upload::Upload;
use crate::verbs::is_about_the_file;

/// So much of the end of a partial file is compared before it is continued.
pub const RESUME_OVERLAP: u64 = 64 * 1024;

/// Bytes that tokio's file collects before it writes; above this nothing is won.
const FILE_BUFFER: usize = 1024 * 1024;

/// How files are transferred.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// Continue what an earlier transfer has left (`-c`).
    pub resume: bool,
    /// Give the copy the time of the original, where it is known. Default on.
    pub keep_time: bool,
    /// Counts bytes on the data connection; a progress bar reads it meanwhile.
    pub progress: Progress,
    /// Uploads: the name of the file on the server until it is complete; it gets its final one by RNFR and RNTO. Default:
    /// written under the final name, where it is seen while it is incomplete.
    pub temporary: Option<Pathname>,
    /// How the copy is compared with the original before it gets its final name. Default: by its length, and by a digest
    /// where it was resumed and the server tells one.
    pub verify: Verify,
    /// Downloads: the digest that the copy must have.
    pub expected: Option<Sum>,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self {
            resume: false,
            keep_time: true,
            progress: Progress::new(),
            temporary: None,
            verify: Verify::Auto,
            expected: None,
        }
    }
}

/// What a file transfer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Length of the whole file afterwards; in TYPE A the bytes on the wire.
    pub length: u64,
    /// Where it was continued; 0 when it was transferred from its beginning.
    pub resumed_at: u64,
    /// Whether the lengths on both sides were compared.
    pub verified: bool,
    /// Nothing was transferred: `resume`, and the copy was complete already.
    pub complete_before: bool,
}

impl Client {
    /// What is known about a remote file, exactly enough for a resume: SIZE and MDTM.
    pub(crate) async fn known_exactly(&mut self, remote: &Pathname) -> Result<Known> {
        let size = self.length(remote).await?;
        Ok(Known {
            size,
            modified: self.told_time(remote).await?,
        })
    }

    /// Size and time, with as few questions as possible.
    async fn known_with_time(&mut self, remote: &Pathname) -> Result<Known> {
        let mut known = self.known(remote).await?;
        if known.modified.is_none() {
            known.modified = self.told_time(remote).await?;
        }
        Ok(known)
    }

    async fn told_time(&mut self, remote: &Pathname) -> Result<Option<Timestamp>> {
        match self.modified(remote).await {
            Ok(modified) => Ok(modified),
            Err(error) if is_about_the_file(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Downloads to `local`, through `local` + `.part`.
    ///
    /// # Errors
    /// Those of [`retrieve`](Self::retrieve) and [`Download::finish`](crate::Download::finish); [`ErrorKind::Local`];
    /// [`ErrorKind::Changed`] when there is a partial file that the remote one does not continue.
    pub async fn retrieve_to_file(
        &mut self,
        remote: &Pathname,
        local: &Path,
        how: &FileOptions,
    ) -> Result<Moved> {
        // Before a server that allows one session is asked to let us in anew.
        self.still_hopeless(remote.display())?;
        let known = match self.is_binary() {
            true if how.resume => self.known_exactly(remote).await?,
            true if how.keep_time => self.known_with_time(remote).await?,
            true => self.known(remote).await?,
            false => Known::default(),
        };
        let mut part = Part::new(local, known.modified)?;
        if how.resume {
            if !self.is_binary() {
                return Err(Error::new(
                    ErrorKind::Argument,
                    "only TYPE I transfers can be resumed",
                ));
            }
            if !part.path.exists() && local.exists() {
                match finished_before(local, &known)? {
                    Some(moved) => {
                        let file = fs::File::open(local).map_err(|error| part.failed(error))?;
                        let same = self.has_tail(&file, remote, moved.length).await?;
                        if same {
                            return Ok(moved);
                        }
                        return Err(changed(
                            remote,
                            "its bytes differ from those of the local file",
                        ));
                    }
                    None => part.adopt(local)?,
                }
            }
        }
        let have = if how.resume && !part.direct {
            part.length(remote, &known)?
        } else {
            0
        };
        let overlap = have.min(RESUME_OVERLAP);
        let file = part.open(have > 0)?;
        let mut download = self.retrieve_known(remote, have - overlap, known).await?;
        download.count_into(how.progress.clone());
        let tail = match overlap {
            0 => Vec::new(), // and no seeking: a pipe cannot
            _ => tail_of(&file, have, overlap).map_err(|error| part.failed(error))?,
        };
        if !tail.is_empty() {
            let mut seen = vec![0; tail.len()];
            match download.read_exact(&mut seen).await {
                Ok(_) if seen == tail => {}
                Ok(_) => {
                    return Err(changed(
                        remote,
                        "its bytes differ from those of the partial file",
                    ));
                }
                Err(error) => return Err(download.explain(error).await),
            }
        }
        let mut file = tokio::fs::File::from_std(file);
        file.set_max_buf_size(FILE_BUFFER);
        download
            .receive(&mut file)
            .await
            .map_err(|error| part.locate(error))?;
        let received = download.complete().await?;
        drop(file);
        if !part.direct {
            let compared = self.compared(&part.path, remote, how, have > 0).await;
            if let Err(error) = compared {
                if error.kind() == ErrorKind::Mismatch {
                    // Nothing to go on with.
                    let _ = fs::remove_file(&part.path);
                }
                return Err(error);
            }
        }
        part.finish(local, how.keep_time)?;
        let length = have - overlap + received.bytes;
        Ok(Moved {
            length,
            resumed_at: have,
            verified: received.verified,
            complete_before: false,
        })
    }

    /// Uploads a local file. With `resume` it continues behind what the server holds, with REST and STOR, or with APPE
    /// where the server refuses REST.
    ///
    /// # Errors
    /// Those of [`store`](Self::store) and [`Upload::finish`]; [`ErrorKind::Local`]; [`ErrorKind::Changed`] when the
    /// server holds more than the local file has or other bytes, or when the local file changed meanwhile.
    pub async fn store_from_file(
        &mut self,
        local: &Path,
        remote: &Pathname,
        how: &FileOptions,
    ) -> Result<Moved> {
        let failed =
            |error| Error::from_source(ErrorKind::Local, local.display().to_string(), error);
        // Before it is opened, for opening a pipe waits for its writer.
        if !fs::metadata(local).map_err(failed)?.is_file() {
            return Err(Error::new(
                ErrorKind::Local,
                format!("{} is not a regular file", local.display()),
            ));
        }
        let file = fs::File::open(local).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let length = metadata.len();
        self.still_hopeless(remote.display())?;
        let goal = remote;
        let (mut remote, mut temporary) = (goal, self.temporary_of(how));
        if let Some(name) = temporary {
            remote = name;
        }
        let mut offset = 0;
        if how.resume {
            if !self.is_binary() {
                return Err(Error::new(
                    ErrorKind::Argument,
                    "only TYPE I transfers can be resumed",
                ));
            }
            let mut there = self.length(remote).await?;
            if there.is_none() && temporary.is_some() {
                // An earlier run has written under the final name, or has ended after all.
                there = self.length(goal).await?;
                if there.is_some() {
                    (remote, temporary) = (goal, None);
                }
            }
            offset = there.unwrap_or(0);
            if offset > length {
                let what = format!(
                    "{} has {offset} bytes on the server, {length} here",
                    remote.display()
                );
                return Err(Error::new(ErrorKind::Changed, what));
            }
            self.compare_remote_tail(&file, remote, offset).await?;
            if offset == length && length > 0 {
                if let Some(name) = temporary {
                    self.put_in_place(name, goal, Some(length)).await?;
                }
                return Ok(Moved {
                    length,
                    resumed_at: offset,
                    verified: true,
                    complete_before: true,
                });
            }
        }
        let mut upload = self.store_behind(remote, offset).await?;
        // A counter that is used again has counted before.
        let before = how.progress.moved();
        upload.count_into(how.progress.clone());
        let reread = file.try_clone().map_err(failed)?;
        upload
            .send_file(file, offset)
            .await
            .map_err(|error| located(error, local))?;
        let sent = upload.progress().moved() - before;
        let after = reread.metadata().map_err(failed)?;
        let binary = upload.is_verbatim();
        if binary && (after.len() != length || offset + sent != length) {
            return Err(Error::new(
                ErrorKind::Changed,
                format!("{} changed while it was sent", local.display()),
            ));
        }
        let stored = upload.finish().await?;
        if how.keep_time
            && let Ok(modified) = metadata.modified()
        {
            match self.set_modified(remote, Timestamp::from(modified)).await {
                Ok(_) => {}
                Err(error) if error.reply().is_some() && !self.dialogue.is_lost() => {
                    tracing::debug!(%error, "the server does not set times");
                }
                Err(error) if error.lost_the_server() => {
                    self.note(format!(
                        "the server left before the time of {} was set",
                        remote.display()
                    ));
                }
                Err(error) => return Err(error),
            }
        }
        if binary {
            let resumed = offset > 0;
            self.compare_digests(local, remote, how.verify, resumed)
                .await?;
        }
        if let Some(name) = temporary {
            match self
                .put_in_place(name, goal, binary.then_some(length))
                .await
            {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    return self.without_temporary(local, goal, name, how, error).await;
                }
                Err(error) => return Err(error),
            }
        }
        let length = if binary { length } else { stored.bytes };
        Ok(Moved {
            length,
            resumed_at: offset,
            verified: stored.verified,
            complete_before: false,
        })
    }

    /// Compares a copy by its bytes, as far as that is wanted.
    pub(crate) async fn compared(
        &mut self,
        copy: &Path,
        remote: &Pathname,
        how: &FileOptions,
        doubtful: bool,
    ) -> Result<()> {
        if let Some(sum) = &how.expected {
            digest::expect(copy, sum.clone(), &remote.display().to_string()).await?;
        }
        self.compare_digests(copy, remote, how.verify, doubtful)
            .await?;
        Ok(())
    }

    /// The name until the upload is complete, unless this server has refused to rename before.
    fn temporary_of<'h>(&self, how: &'h FileOptions) -> Option<&'h Pathname> {
        how.temporary.as_ref().filter(|_| !self.has_refused("RNFR"))
    }

    /// The server takes files and renames none: once more, under the final name.
    async fn without_temporary(
        &mut self,
        local: &Path,
        remote: &Pathname,
        temporary: &Pathname,
        how: &FileOptions,
        why: Error,
    ) -> Result<Moved> {
        self.not_offered("RNFR");
        let mut note = format!(
            "{}: the server does not rename ({why}); sent again under its final name",
            remote.display()
        );
        if self.remove_file(temporary).await.is_err() {
            note = format!("{note}; {} is left there", temporary.display());
        }
        self.note(note);
        let direct = FileOptions {
            resume: false,
            temporary: None,
            ..how.clone()
        };
        Box::pin(self.store_from_file(local, remote, &direct)).await
    }

    /// Gives a complete upload its final name, in the place of what has it. `length`: what SIZE must say afterwards.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when the server refuses to rename this file; [`ErrorKind::Mismatch`] when the final name has
    /// another length afterwards; those of the connection.
    pub async fn put_in_place(
        &mut self,
        temporary: &Pathname,
        remote: &Pathname,
        length: Option<u64>,
    ) -> Result<()> {
        let renamed = match self.rename(temporary, remote).await {
            // Some servers (IIS, z/OS) replace nothing. Whatever else a refusal means, the old file stays.
            Err(error) if error.kind() == ErrorKind::Exists => {
                match self.remove_file(remote).await {
                    Ok(_) => {
                        self.note(format!(
                            "{}: the server does not replace when it renames; the old file was removed first",
                            remote.display()
                        ));
                        self.rename(temporary, remote).await
                    }
                    Err(_) => Err(error),
                }
            }
            renamed => renamed,
        };
        if let Err(error) = renamed {
            return Err(match error.reply().cloned() {
                Some(reply) if is_about_the_file(&error) => {
                    Error::new(ErrorKind::Unsupported, "rename").with_reply(reply)
                }
                _ => error,
            });
        }
        let Some(length) = length else {
            return Ok(());
        };
        match self.length(remote).await {
            Ok(Some(there)) if there != length => Err(Error::new(
                ErrorKind::Mismatch,
                format!(
                    "{} has {there} bytes instead of {length} after it got its name",
                    remote.display()
                ),
            )),
            Ok(_) => Ok(()),
            // The rename is confirmed.
            Err(error) if error.lost_the_server() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// STOR at an offset; APPE where REST is refused.
    async fn store_behind(&mut self, remote: &Pathname, offset: u64) -> Result<Upload<'_>> {
        if offset > 0 && self.offers_restart() {
            // A trial REST tells before anything is opened.
            let rest = wharf_proto::Command::Rest(offset);
            if self.ask(&rest).await?.code() != 350 {
                self.not_offered("REST");
            }
        }
        if offset > 0 && !self.offers_restart() {
            self.append(remote).await
        } else {
            self.store(remote, offset).await
        }
    }

    /// The last bytes that the server holds must be those of the local file. Not possible in directories that may be
    /// written but not read; then the lengths have to do.
    async fn compare_remote_tail(
        &mut self,
        local: &fs::File,
        remote: &Pathname,
        length: u64,
    ) -> Result<()> {
        if self.has_tail(local, remote, length).await? {
            return Ok(());
        }
        Err(changed(
            remote,
            "its bytes differ from those of the local file",
        ))
    }

    /// Whether the remote file, `length` bytes long, ends like the first `length` bytes of the local one. `true`, too, where
    /// the server does not let us look.
    async fn has_tail(&mut self, local: &fs::File, remote: &Pathname, length: u64) -> Result<bool> {
        let overlap = length.min(RESUME_OVERLAP);
        if overlap == 0 || !self.offers_restart() {
            return Ok(true);
        }
        let known = Known {
            size: Some(length),
            modified: None,
        };
        let mut download = match self.retrieve_known(remote, length - overlap, known).await {
            Ok(download) => download,
            Err(error) if is_about_the_file(&error) => return Ok(true),
            Err(error) => return Err(error),
        };
        let tail = tail_of(local, length, overlap)
            .map_err(|error| Error::from_source(ErrorKind::Local, "local file", error))?;
        let mut seen = Vec::with_capacity(tail.len());
        if let Err(error) = (&mut download).take(overlap).read_to_end(&mut seen).await {
            return Err(download.explain(error).await);
        }
        download.finish().await?;
        Ok(seen == tail)
    }
}

pub(crate) fn changed(remote: &Pathname, why: &str) -> Error {
    Error::new(
        ErrorKind::Changed,
        format!("{} cannot be continued: {why}", remote.display()),
    )
}

/// Puts the path into an error about a local file.
pub(crate) fn located(error: Error, path: &Path) -> Error {
    match error.kind() {
        ErrorKind::Local => Error::from_source(ErrorKind::Local, path.display().to_string(), error),
        _ => error,
    }
}
