//! What a store says about a name.

use std::time::SystemTime;

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A plain file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link; only from operations that do not follow it.
    Symlink,
    /// A device, socket or named pipe: listed, never opened.
    Other,
}

/// The facts about one file, directory or link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: Kind,
    /// Length in bytes; for anything but a file, whatever the file system says.
    pub size: u64,
    /// Time of the last change of the content.
    pub modified: SystemTime,
    /// Unix permission bits (`0o7777`), where the store has them.
    pub mode: Option<u32>,
    /// Numeric owner, where the store has one.
    pub uid: Option<u32>,
    /// Numeric group, where the store has one.
    pub gid: Option<u32>,
    /// Number of names of the file (hard links); 1 where the store does not count.
    pub links: u64,
    /// Equal for two names exactly when they are the same file (RFC 3659 §7.5.2), where the store can tell.
    pub unique: Option<String>,
}

impl Metadata {
    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// Whether it is a plain file.
    pub fn is_file(&self) -> bool {
        self.kind == Kind::File
    }
}

/// One line of a directory listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name inside the directory: any bytes but `/` and NUL; line ends are possible.
    pub name: Vec<u8>,
    /// The facts of the name itself: a symbolic link is told as one.
    pub metadata: Metadata,
    /// Where a symbolic link points, exactly as it is stored.
    pub link_target: Option<Vec<u8>>,
}

/// What the user may do at a place, by policy; the file system may still refuse.
///
/// RFC 3659 §7.5.5 derives the `perm` fact from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// Read files.
    pub read: bool,
    /// List directories and ask for facts of what is in them.
    pub list: bool,
    /// Make new files and directories.
    pub create: bool,
    /// Replace, continue and change what is there already, its time and mode included.
    pub change: bool,
    /// Remove and rename.
    pub remove: bool,
}

impl Permissions {
    /// Everything.
    pub const FULL: Self = Self {
        read: true,
        list: true,
        create: true,
        change: true,
        remove: true,
    };
    /// Looking and reading only.
    pub const READ_ONLY: Self = Self {
        read: true,
        list: true,
        create: false,
        change: false,
        remove: false,
    };
    /// A letter box: new files can be dropped in; nothing can be read, replaced or removed.
    pub const UPLOAD_ONLY: Self = Self {
        read: false,
        list: true,
        create: true,
        change: false,
        remove: false,
    };

    /// What both sides allow.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            read: self.read && other.read,
            list: self.list && other.list,
            create: self.create && other.create,
            change: self.change && other.change,
            remove: self.remove && other.remove,
        }
    }
}
