//! cat, more and edit: files of the server that are looked at.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tokio::io::AsyncReadExt;
use wharf_client::local_name;
use wharf_proto::{Pathname, RepresentationType, visible};

use super::super::Shell;
use super::super::options::{self, switch, valued};
use super::super::pattern::pathname;
use super::super::place::{failed, is_address, target};
use super::super::sink::Sink;
use super::super::syntax::{Redirect, Word};
use super::{BUFFER, How, file_of, local_failure};
use crate::exit::{Exit, Failure};

impl Shell {
    /// `cat file...`, zcat.
    pub(in crate::script) async fn cat(
        &mut self,
        name: &'static str,
        words: &[Word],
    ) -> Result<(), Failure> {
        let known = [switch('b', ""), switch('u', ""), switch('a', "ascii")];
        let given = options::read(name, &known, words)?;
        if given.rest.is_empty() {
            return Err(Failure::usage(format!("{name}: which file?")));
        }
        let before = match name {
            "zcat" => {
                let filter = Redirect::Pipe(b"zcat".to_vec());
                let zcat = Sink::open(&filter, &self.here).await?;
                Some(std::mem::replace(&mut self.sink, zcat))
            }
            _ => None,
        };
        let how = How::of(&given);
        let mut results = Vec::new();
        for word in &given.rest {
            results.push(self.cat_one(&word.text, how).await);
        }
        if let Some(before) = before {
            let zcat = std::mem::replace(&mut self.sink, before);
            results.push(zcat.finish().await);
        }
        self.summed(results)
    }

    async fn cat_one(&mut self, word: &[u8], how: How) -> Result<(), Failure> {
        if is_address(word) {
            let target = target(word)?;
            let path = file_of(&target)?;
            let mut other = self.elsewhere(&target);
            std::mem::swap(&mut other.sink, &mut self.sink);
            let done = other.pour(&path, how).await;
            std::mem::swap(&mut other.sink, &mut self.sink);
            other.hang_up().await;
            return done;
        }
        self.pour(&pathname(word)?, how).await
    }

    async fn pour(&mut self, remote: &Pathname, how: How) -> Result<(), Failure> {
        let (client, sink) = self.both().await?;
        client.set_type(how.representation()).map_err(failed)?;
        let mut download = client.retrieve(remote, 0).await.map_err(failed)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = match download.read(&mut buffer).await {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) => return Err(failed(download.explain(error).await)),
            };
            if !sink.write(&buffer[..count]).await? {
                // The reader has seen enough.
                return download.abort().await.map_err(failed);
            }
        }
        download.finish().await.map(drop).map_err(failed)?;
        client.set_type(RepresentationType::Image).map_err(failed)
    }

    /// `more file...`, less, zmore: through $PAGER where a person reads.
    pub(in crate::script) async fn more(
        &mut self,
        name: &'static str,
        words: &[Word],
    ) -> Result<(), Failure> {
        let pager = std::env::var("PAGER").ok().filter(|it| !it.is_empty());
        let pager =
            pager.unwrap_or_else(|| if name == "less" { "less" } else { "more" }.to_owned());
        let filter = match name {
            "zmore" => format!("zcat | {pager}"),
            _ => pager,
        };
        if !self.person {
            let cat = if name == "zmore" { "zcat" } else { "cat" };
            return self.cat(cat, words).await;
        }
        let redirect = Redirect::Pipe(filter.into_bytes());
        let sink = Sink::open(&redirect, &self.here).await?;
        let before = std::mem::replace(&mut self.sink, sink);
        let done = self.cat("cat", words).await;
        let finished = std::mem::replace(&mut self.sink, before).finish().await;
        done.and(finished)
    }

    /// `edit file`: a copy, $EDITOR, and back when it was changed.
    pub(in crate::script) async fn edit(&mut self, words: &[Word]) -> Result<(), Failure> {
        let known = [switch('k', "keep"), valued('o', "output")];
        let given = options::read("edit", &known, words)?;
        let word = given
            .rest
            .first()
            .ok_or_else(|| Failure::usage("edit: which file?"))?;
        let remote = pathname(&word.text)?;
        let copy = match given.value("output") {
            Some(word) => self.local(&word.text),
            None => {
                let name = local_name(remote.file_name().unwrap_or_default()).map_err(failed)?;
                let mut random = [0; 8];
                getrandom::fill(&mut random).map_err(|error| {
                    Failure::new(Exit::Software, format!("no random number: {error}"))
                })?;
                let directory = std::env::temp_dir()
                    .join(format!("wharf-edit-{:016x}", u64::from_ne_bytes(random)));
                make_private(&directory)?;
                directory.join(name)
            }
        };
        let exists = match self.client().await?.size(&remote).await {
            Ok(_) => true,
            Err(error) if error.kind() == wharf_client::ErrorKind::NotFound => false,
            Err(error) => return Err(failed(error)),
        };
        if exists {
            self.download_to(&remote, &copy, How::default()).await?;
        }
        let before = std::fs::read(&copy).ok();
        let edited = self.program("EDITOR", "vi", copy.as_os_str()).await;
        let after = std::fs::read(&copy).ok();
        if edited.is_ok() && after.is_some() && after != before {
            // A copy that could not be sent is kept: somebody's work is in it.
            if let Err(failure) = self.upload(&copy, &remote, How::default()).await {
                let shown = visible(copy.as_os_str().as_bytes());
                return Err(failure.with_hint(format!("what was written is in {shown}")));
            }
        }
        if !given.has("keep") && !given.has("output") {
            let _ = std::fs::remove_file(&copy);
            if let Some(directory) = copy.parent() {
                let _ = std::fs::remove_dir(directory);
            }
        }
        edited
    }
}

fn make_private(directory: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().mode(0o700).create(directory);
    made.map_err(|error| local_failure(directory, &error))
}
