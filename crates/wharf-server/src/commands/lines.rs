//! A listing as text: batches of entries in, lines out, with flat memory however large the directory.
//!
//! Names that cannot stand in one line (CR, LF, NUL) are left out, so that no name can forge a
//! line of a listing; how many were left out goes to the log.

use std::sync::Arc;
use std::time::SystemTime;

use wharf_proto::facts::{Fact, FactSet, FactType, Facts, Perm};
use wharf_proto::listing::EntryKind;
use wharf_proto::listing::write::{UnixLine, is_listable, unix_line};
use wharf_proto::{Pathname, Text, Timestamp};
use wharf_storage::{Entry, Kind, ListOrder, Listing, Metadata, Permissions, Result, Storage};

use super::pattern::Pattern;

/// So many directories may wait to be listed by `-R`; what lies behind them is left out
const WAITING_DIRECTORIES: usize = 10_000;

/// The facts that this server knows
pub(crate) const OFFERED: &[Fact] = &[
    Fact::Type,
    Fact::Size,
    Fact::Modify,
    Fact::Perm,
    Fact::Unique,
    Fact::UnixMode,
    Fact::UnixOwner,
    Fact::UnixGroup,
];

/// How an entry is told
#[derive(Debug, Clone)]
pub(crate) enum Style {
    /// LIST: the way of `ls -l`
    Unix,
    /// NLST: names that can be used as they are
    Names,
    /// MLSD: facts, and the bare name
    Facts(FactSet),
}

/// Which entries of a directory are told
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// Those that begin with a period as well
    pub(crate) all: bool,
    /// Only these
    pub(crate) pattern: Option<Pattern>,
    /// What is in directories as well
    pub(crate) recursive: bool,
}

/// A listing on its way to the user
pub(crate) struct Lines {
    storage: Arc<dyn Storage>,
    style: Style,
    filter: Filter,
    source: Source,
    /// The directory being told
    directory: Pathname,
    /// What stands before every name, as the client wrote it
    prefix: Vec<u8>,
    /// For `-R`: directories still to be told, with their prefix; the next one is the last
    deeper: Vec<(Pathname, Vec<u8>)>,
    now: Timestamp,
    unspeakable: u64,
}

enum Source {
    Directory(Box<dyn Listing>),
    One(Option<Entry>),
}

impl Lines {
    /// What is in a directory
    pub(crate) async fn of_directory(
        storage: Arc<dyn Storage>,
        directory: Pathname,
        prefix: Vec<u8>,
        style: Style,
        filter: Filter,
    ) -> Result<Self> {
        let listing = storage.list(&directory, ListOrder::Name).await?;
        Ok(Self {
            storage,
            style,
            filter,
            source: Source::Directory(listing),
            directory,
            prefix,
            deeper: Vec::new(),
            now: SystemTime::now().into(),
            unspeakable: 0,
        })
    }

    /// One name, told as the client wrote it
    pub(crate) fn of_one(
        storage: Arc<dyn Storage>,
        entry: Entry,
        directory: Pathname,
        style: Style,
    ) -> Self {
        Self {
            storage,
            style,
            filter: Filter {
                all: true,
                ..Filter::default()
            },
            source: Source::One(Some(entry)),
            directory,
            prefix: Vec::new(),
            deeper: Vec::new(),
            now: SystemTime::now().into(),
            unspeakable: 0,
        }
    }

    /// Appends the next lines to `out`; false at the end
    pub(crate) async fn next(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        let batch = match &mut self.source {
            Source::Directory(listing) => listing.next().await?,
            Source::One(entry) => entry.take().map(|entry| vec![entry]),
        };
        if let Some(batch) = batch {
            let mut inside = Vec::new();
            for entry in &batch {
                self.tell(entry, out);
                if self.filter.recursive && entry.metadata.is_dir() && self.is_wanted(&entry.name) {
                    inside.extend(self.inside(entry));
                }
            }
            // The stack is taken from its end: the first directory of the batch comes next.
            let room = WAITING_DIRECTORIES.saturating_sub(self.deeper.len());
            self.deeper.extend(inside.into_iter().take(room).rev());
            return Ok(true);
        }
        while let Some((directory, prefix)) = self.deeper.pop() {
            // Gone or closed meanwhile: a listing of many directories does not fail for one.
            let Ok(listing) = self.storage.list(&directory, ListOrder::Name).await else {
                continue;
            };
            if matches!(self.style, Style::Unix) {
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(prefix.strip_suffix(b"/").unwrap_or(&prefix));
                out.extend_from_slice(b":\r\n");
            }
            self.source = Source::Directory(listing);
            self.directory = directory;
            self.prefix = prefix;
            return Ok(true);
        }
        if self.unspeakable > 0 {
            tracing::warn!(
                directory = %self.directory.display(),
                count = self.unspeakable,
                "names with a line break are not told in listings"
            );
            self.unspeakable = 0;
        }
        Ok(false)
    }

    fn is_wanted(&self, name: &[u8]) -> bool {
        match &self.filter.pattern {
            Some(pattern) => pattern.matches(name, self.filter.all),
            // MLSD leaves it to the client what is hidden (RFC 3659 §7).
            None => {
                self.filter.all
                    || matches!(self.style, Style::Facts(_))
                    || name.first() != Some(&b'.')
            }
        }
    }

    fn inside(&self, entry: &Entry) -> Option<(Pathname, Vec<u8>)> {
        let directory = self.directory.child(&entry.name).ok()?;
        let mut prefix = self.prefix.clone();
        prefix.extend_from_slice(&entry.name);
        prefix.push(b'/');
        Some((directory, prefix))
    }

    fn tell(&mut self, entry: &Entry, out: &mut Vec<u8>) {
        if !self.is_wanted(&entry.name) {
            return;
        }
        if !is_listable(&entry.name) {
            self.unspeakable += 1;
            return;
        }
        // `-R` tells the directory in a line of its own.
        let told_apart = matches!(self.style, Style::Unix) && self.filter.recursive;
        let prefix: &[u8] = if told_apart { b"" } else { &self.prefix };
        match &self.style {
            Style::Unix => {
                let name = [prefix, &entry.name].concat();
                unix(entry, &name, self.now, out);
            }
            Style::Names => {
                out.extend_from_slice(prefix);
                out.extend_from_slice(&entry.name);
                out.extend_from_slice(b"\r\n");
            }
            Style::Facts(wanted) => {
                let (Ok(name), Ok(path)) = (
                    Pathname::new(entry.name.clone()),
                    self.directory.child(&entry.name),
                ) else {
                    self.unspeakable += 1;
                    return;
                };
                facts(
                    &entry.metadata,
                    entry.link_target.as_deref(),
                    self.storage.access(&path),
                )
                .write_line(*wanted, &name, out);
                out.extend_from_slice(b"\r\n");
            }
        }
    }
}

/// A line in the way of `ls -l`; the target of a link is left out when it cannot stand in a line
fn unix(entry: &Entry, name: &[u8], now: Timestamp, out: &mut Vec<u8>) {
    let metadata = &entry.metadata;
    let kind = match metadata.kind {
        Kind::File => EntryKind::File,
        Kind::Directory => EntryKind::Directory,
        Kind::Symlink => EntryKind::Symlink {
            target: entry
                .link_target
                .clone()
                .filter(|target| is_listable(target)),
        },
        Kind::Other => EntryKind::Other,
    };
    let owner = metadata.uid.map(|uid| uid.to_string()).unwrap_or_default();
    let group = metadata.gid.map(|gid| gid.to_string()).unwrap_or_default();
    let line = UnixLine {
        name,
        kind: &kind,
        size: metadata.size,
        modified: metadata.modified.into(),
        mode: metadata.mode,
        links: metadata.links,
        owner: owner.as_bytes(),
        group: group.as_bytes(),
    };
    // The name and the target have been looked at above.
    let _ = unix_line(&line, now, out);
}

/// The facts of RFC 3659 §7.5 about one name
pub(crate) fn facts(metadata: &Metadata, target: Option<&[u8]>, may: Permissions) -> Facts {
    let kind = match metadata.kind {
        Kind::File => FactType::File,
        Kind::Directory => FactType::Directory,
        Kind::Symlink => FactType::Symlink(target.and_then(|target| Text::new(target).ok())),
        Kind::Other => FactType::Other(Text::lossy("OS.unix=special")),
    };
    let number = |id: Option<u32>| id.map(|id| Text::lossy(id.to_string()));
    Facts {
        kind: Some(kind),
        // Of a directory it would be what the file system needs for it, which says nothing.
        size: metadata.is_file().then_some(metadata.size),
        modify: Some(Timestamp::from(metadata.modified).whole_seconds()),
        perm: Some(perm(metadata.kind, may)),
        unique: metadata.unique.as_ref().map(Text::lossy),
        unix_mode: metadata.mode.map(|mode| mode & 0o7777),
        unix_owner: number(metadata.uid),
        unix_group: number(metadata.gid),
        ..Facts::default()
    }
}

/// What the user may do (RFC 3659 §7.5.5), by the policy of the storage
fn perm(kind: Kind, may: Permissions) -> Perm {
    let letters: &[(bool, Perm)] = match kind {
        Kind::Directory => &[
            (may.create, Perm::CREATE | Perm::MAKE),
            (may.remove, Perm::DELETE | Perm::RENAME | Perm::PURGE),
            (may.list, Perm::ENTER | Perm::LIST),
        ],
        _ => &[
            (may.change, Perm::APPEND | Perm::STORE),
            (may.remove, Perm::DELETE | Perm::RENAME),
            (may.read, Perm::RETRIEVE),
        ],
    };
    letters
        .iter()
        .filter(|(granted, _)| *granted)
        .fold(Perm::NONE, |all, (_, more)| all | *more)
}
