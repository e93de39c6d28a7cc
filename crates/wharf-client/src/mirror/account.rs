//! What a mirror tells while it runs, and what it comes to.

use std::sync::atomic::{AtomicU64, Ordering};

use wharf_proto::Pathname;
use wharf_storage::Error;

use super::plan::{Action, Copy, Refused, Removal};

/// Something that happened, or would happen.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// It would be done, were this not a dry run.
    Planned(&'a Action),
    /// It would be deleted, were this not a dry run.
    PlannedRemoval(&'a Removal),
    /// A file's copying begins.
    Begins(&'a Copy),
    /// A file is there, whole, under its name.
    Copied {
        /// Which.
        copy: &'a Copy,
        /// Bytes that travelled.
        bytes: u64,
        /// Bytes that an earlier run had brought.
        resumed_at: u64,
    },
    /// Something else is done.
    Done(&'a Action),
    /// Something is deleted.
    Removed(&'a Removal),
    /// A name is not mirrored, though it should be.
    Refused(&'a Refused),
    /// Something could not be done.
    Failed(&'a Failed),
    /// It is tried again.
    Retried {
        /// Which.
        path: &'a Pathname,
        /// Why.
        error: &'a Error,
    },
    /// A file was changed while it was copied; it is copied again.
    Changed {
        /// Which.
        path: &'a Pathname,
    },
    /// Something else that a person should know.
    Note(&'a str),
}

/// Who is told. Called from several tasks; it must not block.
pub trait Observer: Send + Sync + 'static {
    /// Takes notice.
    fn see(&self, event: &Event<'_>);
}

/// Nobody.
impl Observer for () {
    fn see(&self, _: &Event<'_>) {}
}

/// What could not be done.
#[derive(Debug)]
pub struct Failed {
    /// With which file or directory.
    pub path: Pathname,
    /// What was tried, as the words before "PATH".
    pub doing: &'static str,
    /// Why it failed.
    pub error: Error,
}

/// How far a mirror is; counted while it runs.
#[derive(Debug, Default)]
pub struct Totals {
    files: AtomicU64,
    bytes: AtomicU64,
    files_done: AtomicU64,
    bytes_done: AtomicU64,
    walked: AtomicU64,
    walking: AtomicU64,
}

impl Totals {
    /// Files to be copied, as far as is known.
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Files that are through, whatever came of them.
    pub fn files_done(&self) -> u64 {
        self.files_done.load(Ordering::Relaxed)
    }

    /// Bytes that are through.
    pub fn bytes_done(&self) -> u64 {
        self.bytes_done.load(Ordering::Relaxed)
    }

    /// Directories that were compared.
    pub fn directories(&self) -> u64 {
        self.walked.load(Ordering::Relaxed)
    }

    /// Whether directories are still to be looked at, so that more files may be found.
    pub fn is_walking(&self) -> bool {
        self.walking.load(Ordering::Relaxed) > 0
    }

    pub(super) fn found(&self, copy: &Copy) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(copy.size, Ordering::Relaxed);
    }

    pub(super) fn through(&self) {
        self.files_done.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn moved(&self, bytes: u64) {
        self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// An attempt came to nothing: its bytes come again.
    pub(super) fn lost(&self, bytes: u64) {
        self.bytes_done.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn enter(&self, directories: usize) {
        self.walking
            .fetch_add(directories as u64, Ordering::Relaxed);
    }

    pub(super) fn entered(&self) {
        self.walked.fetch_add(1, Ordering::Relaxed);
        self.walking.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a mirror came to. In a dry run: what it would have come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Files that were copied.
    pub copied: u64,
    /// Bytes that travelled.
    pub bytes: u64,
    /// Files and links that were the same already.
    pub same: u64,
    /// Directories that were made.
    pub made: u64,
    /// Symbolic links that were made.
    pub links: u64,
    /// Times and permissions that were set on what was the same otherwise.
    pub adjusted: u64,
    /// What was deleted: files, links and directories.
    pub removed: u64,
    /// Remnants of earlier runs that were removed.
    pub discarded: u64,
    /// Links, devices, files of unwanted size or age that were left out.
    pub left_out: u64,
    /// Names that were not taken.
    pub refused: u64,
    /// What could not be done.
    pub failed: u64,
    /// Files that changed while they were copied.
    pub changed: u64,
    /// Deletions that were not made, because they are too many or because a listing was incomplete.
    pub spared: u64,
}

impl Outcome {
    /// How many differences there were between the trees.
    pub fn differences(&self) -> u64 {
        self.copied + self.made + self.links + self.adjusted + self.removed + self.spared
    }

    /// Whether the destination now is what the rules say.
    pub fn is_complete(&self) -> bool {
        self.failed == 0 && self.refused == 0 && self.spared == 0
    }
}
