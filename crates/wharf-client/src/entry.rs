//! One thing in a directory, whichever command told it.

use std::time::SystemTime;

use wharf_proto::facts::{FactType, Facts, Perm};
use wharf_proto::listing::zone::Zone;
use wharf_proto::listing::{self, Dialect, ListLine, ListReader, ListTime, Precision};
use wharf_proto::{Text, Timestamp};

/// A file, directory or link on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name as the server wrote it: any bytes but NUL.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of a transfer in TYPE I; not for directories told by MLSD.
    pub size: Option<u64>,
    /// Bytes, as nearly as a LIST tells that counts in blocks, records or rounded units: for people, not for judging
    /// whether a transfer was whole.
    pub about: Option<u64>,
    /// Last modification.
    pub modified: Option<Modified>,
    /// Permission bits, at most `0o7777`.
    pub mode: Option<u32>,
    /// Number of hard links, from LIST.
    pub links: Option<u64>,
    /// Owner, name or number.
    pub owner: Option<Vec<u8>>,
    /// Group, name or number.
    pub group: Option<Vec<u8>>,
    /// What this user may do with it, from MLSx (RFC 3659 §7.5.5).
    pub perm: Option<Perm>,
    /// Equal for two names of the same file, from MLSx (RFC 3659 §7.5.2).
    pub unique: Option<Text>,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, with its target where the server tells it.
    Symlink {
        /// The target as the server wrote it.
        target: Option<Vec<u8>>,
    },
    /// Anything else.
    Other,
}

/// A time and how well it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modified {
    /// From MLSx or MDTM: exact, UTC.
    Utc(Timestamp),
    /// From LIST: often without seconds, and the server's local time, unless [`ListTime::utc`] says that the zone is known
    /// ([`Client::learn_zone`](crate::Client::learn_zone)).
    Listed(ListTime),
}

impl From<ListTime> for Modified {
    fn from(listed: ListTime) -> Self {
        if listed.utc && listed.precision == Precision::Second {
            Self::Utc(listed.at)
        } else {
            Self::Listed(listed)
        }
    }
}

impl Entry {
    /// An entry of which only name and kind are known.
    pub fn new(name: Vec<u8>, kind: EntryKind) -> Self {
        Self {
            name,
            kind,
            size: None,
            about: None,
            modified: None,
            mode: None,
            links: None,
            owner: None,
            group: None,
            perm: None,
            unique: None,
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.kind == EntryKind::Directory
    }

    /// The time of last modification where it is exact.
    pub fn modified_utc(&self) -> Option<Timestamp> {
        match self.modified {
            Some(Modified::Utc(time)) => Some(time),
            _ => None,
        }
    }

    pub(crate) fn from_facts(facts: Facts, name: Vec<u8>) -> Self {
        let kind = match facts.kind {
            Some(FactType::File) | None => EntryKind::File,
            Some(FactType::Directory | FactType::CurrentDirectory | FactType::ParentDirectory) => {
                EntryKind::Directory
            }
            Some(FactType::Symlink(target)) => EntryKind::Symlink {
                target: target.map(Text::into_bytes),
            },
            Some(FactType::Other(_)) => EntryKind::Other,
        };
        Self {
            size: facts.size,
            modified: facts.modify.map(Modified::Utc),
            mode: facts.unix_mode,
            owner: facts.unix_owner.map(Text::into_bytes),
            group: facts.unix_group.map(Text::into_bytes),
            perm: facts.perm,
            unique: facts.unique,
            ..Self::new(name, kind)
        }
    }

    /// The same with each name that the server wrote put into another form.
    pub(crate) fn map_texts(self, change: impl Fn(Vec<u8>) -> Vec<u8>) -> Self {
        let kind = match self.kind {
            EntryKind::Symlink { target } => EntryKind::Symlink {
                target: target.map(&change),
            },
            kind => kind,
        };
        Self {
            name: change(self.name),
            kind,
            owner: self.owner.map(&change),
            group: self.group.map(&change),
            ..self
        }
    }

    fn from_line(line: listing::Entry) -> Self {
        let kind = match line.kind {
            listing::EntryKind::File => EntryKind::File,
            listing::EntryKind::Directory => EntryKind::Directory,
            listing::EntryKind::Symlink { target } => EntryKind::Symlink { target },
            listing::EntryKind::Other => EntryKind::Other,
        };
        Self {
            size: line.size,
            about: line.about,
            modified: line.modified.map(Modified::from),
            mode: line.mode,
            links: line.links,
            owner: line.owner,
            group: line.group,
            ..Self::new(line.name, kind)
        }
    }
}

impl Modified {
    /// The time, a listed one taken as UTC.
    pub fn timestamp(self) -> Timestamp {
        match self {
            Self::Utc(time) => time,
            Self::Listed(listed) => listed.at,
        }
    }

    /// Whether zone and seconds are known.
    pub fn is_exact(self) -> bool {
        matches!(self, Self::Utc(_))
    }

    /// Whether [`timestamp`](Self::timestamp) is in UTC, to the precision that was told.
    pub fn is_utc(self) -> bool {
        match self {
            Self::Utc(_) => true,
            Self::Listed(listed) => listed.utc,
        }
    }

    /// The smallest unit that was told.
    pub fn precision(self) -> Precision {
        match self {
            Self::Utc(_) => Precision::Second,
            Self::Listed(listed) => listed.precision,
        }
    }

    /// Whether this may be the time of an unchanged file whose time is known to be `exact`: equal within what was told and
    /// in a zone that this server may be in ([`Zone::agrees`]). What a mirror compares with.
    pub fn agrees(self, zone: &Zone, exact: Timestamp) -> bool {
        match self {
            Self::Utc(time) => time.whole_seconds() == exact.whole_seconds(),
            Self::Listed(listed) => zone.agrees(listed, exact),
        }
    }

    /// The same in UTC where the zone is known, as it was otherwise.
    pub(crate) fn in_zone(self, zone: &Zone) -> Self {
        match self {
            Self::Utc(_) => self,
            Self::Listed(listed) => Self::from(zone.to_utc(listed).unwrap_or(listed)),
        }
    }
}

/// Reads the lines of one LIST.
pub(crate) struct Reader {
    lines: ListReader,
    zone: Zone,
}

impl Reader {
    /// For a server in this zone, of which earlier listings have told the rest.
    pub(crate) fn new(zone: Zone, dialect: Option<&'static Dialect>) -> Self {
        let lines = ListReader::new(Timestamp::from(SystemTime::now()));
        let lines = match dialect {
            Some(dialect) => lines.expecting(dialect),
            None => lines,
        };
        Self { lines, zone }
    }

    pub(crate) fn line(&mut self, line: &[u8]) -> Line {
        match self.lines.read(line) {
            ListLine::Entry(entry) => {
                let mut entry = Entry::from_line(entry);
                entry.modified = entry.modified.map(|it| it.in_zone(&self.zone));
                Line::Entry(Box::new(entry))
            }
            ListLine::Nothing => Line::Nothing,
            ListLine::Unknown => Line::Unknown,
        }
    }

    /// At the end: a line that was half an entry and stayed so.
    pub(crate) fn finish(&mut self) -> Option<Vec<u8>> {
        self.lines.finish()
    }

    /// What the lines were in, once one was recognised.
    pub(crate) fn dialect(&self) -> Option<&'static Dialect> {
        self.lines.dialect()
    }
}

/// What a line of a LIST was.
pub(crate) enum Line {
    Entry(Box<Entry>),
    Nothing,
    Unknown,
}
