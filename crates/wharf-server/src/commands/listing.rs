//! Listings: LIST NLST and STAT with a path (RFC 959 §4.1.3), MLST and MLSD (RFC 3659 §7).

use wharf_net::Flow;
use wharf_net::pump::Conversion;
use wharf_proto::command::ListArgument;
use wharf_proto::{Pathname, Reply, Text};
use wharf_storage::{Entry, Kind, Metadata, Storage};

use super::lines::{Filter, Lines, Style, facts};
use super::pattern::Pattern;
use crate::failure::{AtPath, Failure, Outcome};
use crate::session::Session;

/// STAT tells a listing in one reply, which clients keep in memory; LIST has no such bound
const STAT_LINES: usize = 1000;

impl Session {
    pub(super) async fn list(&mut self, argument: &ListArgument) -> Outcome {
        self.listing("LIST", argument, Style::Unix).await
    }

    pub(super) async fn nlst(&mut self, argument: &ListArgument) -> Outcome {
        self.listing("NLST", argument, Style::Names).await
    }

    async fn listing(
        &mut self,
        word: &'static str,
        argument: &ListArgument,
        style: Style,
    ) -> Outcome {
        self.claim_data_port()?;
        let here = self.pi.cwd().clone();
        let path = argument.path.as_ref().unwrap_or(&here).clone();
        let (lines, _) = self.lines(argument, style).await?;
        let opening = Reply::new(150, format!("Opening data connection for {word}"));
        let dtp = self.dtp(word, Flow::Outgoing, Conversion::Verbatim, None);
        let moved = self.send_lines(lines, &path, opening, &dtp).await?;
        self.totals.octets += moved.wire;
        Ok(Reply::new(226, "Listing complete"))
    }

    /// The listing that an argument asks for, and the kind of what it names
    ///
    /// What exists under the very name is meant by it, wildcards or not. A symbolic link is
    /// listed as what it leads to when that is a directory, and as itself otherwise.
    async fn lines(
        &mut self,
        argument: &ListArgument,
        style: Style,
    ) -> Result<(Lines, Kind), Failure> {
        let storage = self.storage()?;
        let here = self.pi.cwd().clone();
        let path = argument.path.as_ref().unwrap_or(&here);
        let full = self.pi.resolve(path);
        let filter = Filter {
            all: argument.all,
            recursive: argument.recursive,
            pattern: None,
        };
        let metadata = match storage.metadata(&full).await {
            Ok(metadata) => Ok(metadata),
            // A link that leads nowhere is there all the same.
            Err(_) => storage.link_metadata(&full).await,
        };
        let metadata = match (metadata, full.file_name().and_then(Pattern::in_name)) {
            (Ok(metadata), _) => metadata,
            (Err(_), Some(pattern)) => {
                let directory = full.parent().unwrap_or_else(Pathname::root);
                let filter = Filter {
                    pattern: Some(pattern),
                    ..filter
                };
                let prefix = as_written(path, full.file_name().unwrap_or_default());
                let lines = Lines::of_directory(storage, directory, prefix, style, filter)
                    .await
                    .at(path)?;
                return Ok((lines, Kind::Directory));
            }
            (Err(error), None) => return Err(error).at(path),
        };
        let lines = if metadata.is_dir() {
            let prefix = match &argument.path {
                Some(path) if matches!(style, Style::Names) || filter.recursive => within(path),
                _ => Vec::new(),
            };
            Lines::of_directory(storage, full, prefix, style, filter)
                .await
                .at(path)?
        } else {
            let entry = entry(&*storage, path, &full).await?;
            let directory = full.parent().unwrap_or_else(Pathname::root);
            Lines::of_one(storage, entry, directory, style)
        };
        Ok((lines, metadata.kind))
    }

    /// 212 for a directory and 213 for a file (RFC 959 §5.4), on the control connection
    pub(super) async fn stat_path(&mut self, argument: &ListArgument) -> Outcome {
        let here = self.pi.cwd().clone();
        let path = argument.path.as_ref().unwrap_or(&here).clone();
        let (mut lines, kind) = self.lines(argument, Style::Unix).await?;
        let code = if kind == Kind::Directory { 212 } else { 213 };
        let mut text = vec![Text::lossy(format!("Status of {}", path.display()))];
        let mut batch = Vec::new();
        let mut more = false;
        while !more && lines.next(&mut batch).await.at(&path)? {
            for line in batch.split(|byte| *byte == b'\n') {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if !line.is_empty() {
                    text.push(Text::lossy(line));
                }
            }
            batch.clear();
            more = text.len() > STAT_LINES;
        }
        text.truncate(STAT_LINES);
        text.push(Text::lossy(if more {
            "End of status; there is more, use LIST"
        } else {
            "End of status"
        }));
        Ok(Reply::with_lines(code, text))
    }

    /// One name on the control connection; a link is told as what it leads to, if it leads anywhere
    pub(super) async fn mlst(&mut self, path: Option<&Pathname>) -> Outcome {
        let here = self.pi.cwd().clone();
        let path = path.unwrap_or(&here);
        let full = self.pi.resolve(path);
        let storage = self.storage()?;
        let metadata: Metadata = match storage.metadata(&full).await {
            Ok(metadata) => metadata,
            Err(_) => storage.link_metadata(&full).await.at(path)?,
        };
        let target = match metadata.kind {
            Kind::Symlink => storage.read_link(&full).await.ok(),
            _ => None,
        };
        let facts = facts(&metadata, target.as_deref(), storage.access(&full));
        // RFC 3659 §7.2: a space, the facts, a space, the pathname.
        let mut line = b" ".to_vec();
        facts.write_line(*self.pi.facts(), &full, &mut line);
        Ok(Reply::with_lines(
            250,
            vec![
                Text::lossy(format!("Facts about {}", path.display())),
                Text::lossy(line),
                Text::lossy("End"),
            ],
        ))
    }

    pub(super) async fn mlsd(&mut self, path: Option<&Pathname>) -> Outcome {
        self.claim_data_port()?;
        let here = self.pi.cwd().clone();
        let path = path.unwrap_or(&here);
        let full = self.pi.resolve(path);
        let storage = self.storage()?;
        let found = storage.metadata(&full).await.at(path)?;
        if !found.is_dir() {
            // RFC 3659 §7.2.1: only directories can be listed.
            return Err(Failure::argument("MLSD is for directories; use MLST"));
        }
        let style = Style::Facts(*self.pi.facts());
        let lines = Lines::of_directory(storage, full, Vec::new(), style, Filter::default())
            .await
            .at(path)?;
        let opening = Reply::new(150, "Opening data connection for MLSD");
        let dtp = self.dtp("MLSD", Flow::Outgoing, Conversion::Verbatim, None);
        let moved = self.send_lines(lines, path, opening, &dtp).await?;
        self.totals.octets += moved.wire;
        Ok(Reply::new(226, "Listing complete"))
    }
}

/// One name as an entry of a listing, under the name that the client wrote
async fn entry(storage: &dyn Storage, path: &Pathname, full: &Pathname) -> Result<Entry, Failure> {
    let metadata = storage.link_metadata(full).await.at(path)?;
    let link_target = match metadata.kind {
        Kind::Symlink => storage.read_link(full).await.ok(),
        _ => None,
    };
    Ok(Entry {
        name: path.as_bytes().to_vec(),
        metadata,
        link_target,
    })
}

/// What stands before a matching name, so that it can be used as it is: all of the path but its last component
fn as_written(path: &Pathname, last: &[u8]) -> Vec<u8> {
    path.as_bytes()
        .strip_suffix(last)
        .unwrap_or_default()
        .to_vec()
}

/// What stands before the names of a directory: its path and a slash; nothing for `.`
fn within(directory: &Pathname) -> Vec<u8> {
    let mut prefix = directory.as_bytes().to_vec();
    if prefix == b"." || prefix == b"./" {
        return Vec::new();
    }
    if prefix.last() != Some(&b'/') {
        prefix.push(b'/');
    }
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_so_that_they_can_be_used() {
        for (directory, prefix) in [
            ("set", "set/"),
            ("set/", "set/"),
            ("/", "/"),
            (".", ""),
            ("..", "../"),
            ("/a b", "/a b/"),
        ] {
            let directory: Pathname = directory.parse().expect(directory);
            assert_eq!(within(&directory), prefix.as_bytes());
        }
        for (path, last, prefix) in [
            ("*.c", "*.c", ""),
            ("src/*.c", "*.c", "src/"),
            ("/*", "*", "/"),
        ] {
            let path: Pathname = path.parse().expect(path);
            assert_eq!(as_written(&path, last.as_bytes()), prefix.as_bytes());
        }
    }
}
