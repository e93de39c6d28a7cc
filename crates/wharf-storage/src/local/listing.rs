//! Reading a directory in batches, one thread hop each.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use async_trait::async_trait;
use rustix::fs::Dir;
use rustix::io::Errno;

use super::{blocking, hidden, jail};
use crate::{BATCH, Entry, Kind, ListOrder, Listing, Result, SORT_LIMIT};

/// A directory being read, with its first batch at hand.
pub(super) struct LocalListing {
    /// `None` when all is read, or a read failed.
    source: Option<Source>,
    batch: Option<Vec<Entry>>,
}

/// The blocking half.
struct Source {
    dir: OwnedFd,
    stream: Dir,
    /// Names that were read but not asked about yet.
    names: VecDeque<Vec<u8>>,
    /// The stream has ended.
    ended: bool,
}

impl LocalListing {
    /// Blocks.
    pub(super) fn new(dir: OwnedFd, order: ListOrder) -> Result<Self> {
        let stream = Dir::new(dir.try_clone()?)?;
        let mut source = Source {
            dir,
            stream,
            names: VecDeque::new(),
            ended: false,
        };
        if order == ListOrder::Name {
            source.read_names(SORT_LIMIT + 1)?;
            if source.names.len() <= SORT_LIMIT {
                source.names.make_contiguous().sort_unstable();
            }
        }
        let batch = source.batch()?;
        Ok(Self {
            source: batch.is_some().then_some(source),
            batch,
        })
    }
}

#[async_trait]
impl Listing for LocalListing {
    async fn next(&mut self) -> Result<Option<Vec<Entry>>> {
        if let Some(batch) = self.batch.take() {
            return Ok(Some(batch));
        }
        let Some(mut source) = self.source.take() else {
            return Ok(None);
        };
        let (source, batch) = blocking(move || {
            let batch = source.batch()?;
            Ok((source, batch))
        })
        .await?;
        if batch.is_some() {
            self.source = Some(source);
        }
        Ok(batch)
    }
}

impl Source {
    /// Reads until so many names wait.
    fn read_names(&mut self, enough: usize) -> Result<()> {
        while !self.ended && self.names.len() < enough {
            match self.stream.read() {
                None => self.ended = true,
                Some(entry) => {
                    let entry = entry?;
                    let name = entry.file_name().to_bytes();
                    if matches!(name, b"." | b"..") {
                        continue;
                    }
                    if hidden::is_hidden(name) {
                        if hidden::is_fresh(name) {
                            hidden::sweep(&self.dir, name);
                        }
                        continue;
                    }
                    self.names.push_back(name.to_vec());
                }
            }
        }
        Ok(())
    }

    fn batch(&mut self) -> Result<Option<Vec<Entry>>> {
        let mut batch = Vec::new();
        while batch.is_empty() {
            self.read_names(BATCH)?;
            if self.names.is_empty() {
                return Ok(None);
            }
            let count = self.names.len().min(BATCH);
            batch.reserve_exact(count);
            for name in self.names.drain(..count) {
                batch.extend(entry(&self.dir, name)?);
            }
        }
        Ok(Some(batch))
    }
}

/// The facts about one name; `None` if it has vanished.
fn entry(dir: &OwnedFd, name: Vec<u8>) -> Result<Option<Entry>> {
    let Some(metadata) = jail::stat_name(dir, &name)? else {
        return Ok(None);
    };
    let link_target = if metadata.kind == Kind::Symlink {
        match rustix::fs::readlinkat(dir, &name, Vec::new()) {
            Ok(target) => Some(target.into_bytes()),
            Err(Errno::NOENT | Errno::INVAL) => return Ok(None),
            Err(_) => None,
        }
    } else {
        None
    };
    Ok(Some(Entry {
        name,
        metadata,
        link_target,
    }))
}
