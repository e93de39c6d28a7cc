//! Listings: reading the LIST of any server, and writing ours.
//!
//! RFC 959 leaves the form of LIST to the server, so there are dialects. [`DIALECTS`] is the table of those that are read;
//! a listing is read in the dialect of its first recognised line ([`ListReader`]), and a line that does not fit is
//! reported, never guessed at. MLSD needs none of this: see [`crate::facts`].
//!
//! Reading order: the table here, `reader.rs` (which dialect a line is read in), `words.rs` and `date.rs` (what the dialects
//! are made of), then one file a dialect. `zone.rs` learns how far a server's clock is from UTC. The samples of every
//! dialect, with what is read from them, are in `tests/listing/`.
//!
//! Deliberately not here: whether a name is safe to create locally. A server may send `../x`; names are given as they
//! came.

mod cms;
mod connect_enterprise;
mod date;
mod dos;
mod eplf;
mod month;
mod mpe;
mod netware;
mod nonstop;
mod os2;
mod os400;
mod os9;
mod peter;
mod reader;
mod stat;
mod unix;
mod unix_date;
mod vms;
mod vshell;
mod vxworks;
mod wfftp;
mod words;
pub mod write;
pub mod zone;
mod zos_datasets;
mod zos_jobs;
mod zos_members;

pub use reader::ListReader;

use crate::timestamp::Timestamp;
use date::Orders;

/// One thing in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name as it came: any bytes but CR, LF and NUL, never empty, never `.` or `..`; may hold `/`. Of a VMS file with
    /// its version (`A.TXT;3`), of a VMS directory without `.DIR;1`: what a command takes.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes; for directories whatever the server says. `None` for devices and where the server tells nothing exact.
    pub size: Option<u64>,
    /// Bytes, as nearly as a server tells that counts in blocks, records or rounded units. Good for people, not for
    /// deciding whether a transfer was whole.
    pub about: Option<u64>,
    /// When it was modified.
    pub modified: Option<ListTime>,
    /// The permission bits (at most `0o7777`), if the dialect has them.
    pub mode: Option<u32>,
    /// Number of hard links.
    pub links: Option<u64>,
    /// The owner's name or number.
    pub owner: Option<Vec<u8>>,
    /// The group's name or number.
    pub group: Option<Vec<u8>>,
}

impl Entry {
    /// An entry of which only name and kind are known.
    fn new(name: &[u8], kind: EntryKind) -> Self {
        Self {
            name: name.to_vec(),
            kind,
            size: None,
            about: None,
            modified: None,
            mode: None,
            links: None,
            owner: None,
            group: None,
        }
    }
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, with what it points to where the server tells it.
    Symlink {
        /// The target as it came.
        target: Option<Vec<u8>>,
    },
    /// A device, socket, fifo or door; something migrated of which the server does not tell what it is.
    Other,
}

/// A time in a listing. Nearly all servers tell local time of an unknown zone, most of them their own (wharf: UTC);
/// [`zone::Zone`] learns which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListTime {
    /// The time as written; where [`utc`](Self::utc) is not set, taken as if it were UTC.
    pub at: Timestamp,
    /// How much of it was written.
    pub precision: Precision,
    /// Whether it is known to be UTC: the line says so, or the zone was learned.
    pub utc: bool,
}

/// The smallest unit that a listing told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Only the date.
    Day,
    /// To the minute.
    Minute,
    /// To the second.
    Second,
}

impl Precision {
    /// Its length in seconds.
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Day => 86_400,
            Self::Minute => 60,
            Self::Second => 1,
        }
    }
}

/// What one line of a listing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListLine {
    /// An entry.
    Entry(Entry),
    /// Understood, and nothing to keep: a heading, a total, a blank line, `.` or `..`, the first half of an entry.
    Nothing,
    /// Not understood.
    Unknown,
}

/// A form of LIST.
pub struct Dialect {
    /// Its name, for messages.
    pub name: &'static str,
    /// Servers known to write it.
    pub servers: &'static str,
    /// Words of the reply to SYST by which such a server is known, in upper case. A hint: what the lines say counts.
    pub systems: &'static [&'static str],
    /// Whether the line is a heading that nobody else writes.
    heading: Option<fn(line: &[u8]) -> bool>,
    /// Reads one line without its line end.
    read: fn(line: &[u8], seen: &mut Seen) -> Reading,
}

/// What a dialect makes of a line.
enum Reading {
    Entry(Entry),
    Nothing,
    /// The first half of an entry; the next line is the other one.
    Begun,
    Unknown,
}

impl From<Option<Entry>> for Reading {
    fn from(entry: Option<Entry>) -> Self {
        match entry {
            None => Self::Unknown,
            Some(entry) => match entry.name.as_slice() {
                b"" => Self::Unknown,
                b"." | b".." => Self::Nothing,
                _ => Self::Entry(entry),
            },
        }
    }
}

/// What a dialect may know besides the line.
#[derive(Debug, Clone)]
struct Seen {
    /// The present; dates without a year are taken as not later than a day after it.
    now: Timestamp,
    /// The heading of this dialect was seen, or the server said that it is the one.
    settled: bool,
    /// The orders of day, month and year that fit all dates so far.
    orders: Orders,
}

impl std::fmt::Debug for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialect")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// All dialects, in the order in which they are tried. No two of them read the same line (held by `tests/listing.rs`), but
/// for what is named there.
pub static DIALECTS: &[Dialect] = &[
    Dialect {
        name: "macos-peter",
        servers: "Peter's server for MacOS, NetPresenz",
        systems: &["MACOS"],
        heading: None,
        read: peter::read,
    },
    Dialect {
        name: "unix",
        servers: "vsftpd, ProFTPD, Pure-FTPd, pyftpdlib, BSD and GNU ftpd, FileZilla Server, Serv-U, WFTPD, VShell, IIS in Unix form, z/OS in its HFS, wharf",
        systems: &["UNIX"],
        heading: None,
        read: unix::read,
    },
    Dialect {
        name: "dos",
        servers: "IIS in MS-DOS form, Windows CE, Xlight",
        systems: &["WINDOWS_NT"],
        heading: None,
        read: dos::read,
    },
    Dialect {
        name: "eplf",
        servers: "publicfile, anonftpd",
        systems: &[],
        heading: None,
        read: eplf::read,
    },
    Dialect {
        name: "vms",
        servers: "OpenVMS: TCP/IP Services (UCX), MultiNet, TCPware, MadGoat",
        systems: &["VMS"],
        heading: Some(vms::heading),
        read: vms::read,
    },
    Dialect {
        name: "zos-datasets",
        servers: "z/OS, OS/390, MVS: data sets",
        systems: &["MVS"],
        heading: Some(zos_datasets::heading),
        read: zos_datasets::read,
    },
    Dialect {
        name: "zos-members",
        servers: "z/OS, OS/390, MVS: members of a partitioned data set",
        systems: &["MVS"],
        heading: Some(zos_members::heading),
        read: zos_members::read,
    },
    Dialect {
        name: "zos-modules",
        servers: "z/OS, OS/390, MVS: members of a load library",
        systems: &["MVS"],
        heading: Some(zos_members::module_heading),
        read: zos_members::read_module,
    },
    Dialect {
        name: "zos-jobs",
        servers: "z/OS with FILETYPE=JES: jobs",
        systems: &["MVS"],
        heading: Some(zos_jobs::heading),
        read: zos_jobs::read,
    },
    Dialect {
        name: "os400",
        servers: "IBM i, OS/400, AS/400",
        systems: &["OS/400"],
        heading: None,
        read: os400::read,
    },
    Dialect {
        name: "netware",
        servers: "Novell NetWare, Hellsoft",
        systems: &["NETWARE"],
        heading: None,
        read: netware::read,
    },
    Dialect {
        name: "os2",
        servers: "IBM's server for OS/2",
        systems: &["OS/2"],
        heading: None,
        read: os2::read,
    },
    Dialect {
        name: "nonstop",
        servers: "HP NonStop, Tandem (Guardian)",
        systems: &["NONSTOP", "GUARDIAN", "TANDEM"],
        heading: Some(nonstop::heading),
        read: nonstop::read,
    },
    Dialect {
        name: "mpe",
        servers: "HP 3000 with MPE/iX",
        systems: &["MPE/IX", "MPE"],
        heading: Some(mpe::heading),
        read: mpe::read,
    },
    Dialect {
        name: "vm-cms",
        servers: "z/VM, VM/ESA, VM/CMS",
        systems: &["VM", "VM/ESA", "Z/VM"],
        heading: None,
        read: cms::read,
    },
    Dialect {
        name: "vshell",
        servers: "older VShell",
        systems: &[],
        heading: None,
        read: vshell::read,
    },
    Dialect {
        name: "os9",
        servers: "Microware OS-9",
        systems: &["OS-9", "OS9"],
        heading: Some(os9::heading),
        read: os9::read,
    },
    Dialect {
        name: "wfftp",
        servers: "Nortel routers with wfFtp",
        systems: &[],
        heading: None,
        read: wfftp::read,
    },
    Dialect {
        name: "vxworks",
        servers: "VxWorks, Nortel routers built on it",
        systems: &["VXWORKS"],
        heading: Some(vxworks::heading),
        read: vxworks::read,
    },
    Dialect {
        name: "stat",
        servers: "servers that print numbers of stat(2)",
        systems: &[],
        heading: None,
        read: stat::read,
    },
    Dialect {
        name: "connect-enterprise",
        servers: "Sterling Connect:Enterprise",
        systems: &[],
        heading: None,
        read: connect_enterprise::read,
    },
];
