//! A directory, entry by entry.

use tokio::runtime::Runtime;

use crate::entry::Entry;
use crate::error::Result;

/// Entries as they arrive, see [`crate::Listing`]. It ends after the first error; only an end without one is the end of the
/// directory. Dropped earlier, the next operation stops the listing and comes in step.
pub struct Listing<'c> {
    runtime: &'c Runtime,
    inner: crate::Listing<'c>,
    ended: bool,
}

impl<'c> Listing<'c> {
    pub(super) fn new(runtime: &'c Runtime, inner: crate::Listing<'c>) -> Self {
        Self {
            runtime,
            inner,
            ended: false,
        }
    }

    /// Lines that were not understood so far, see [`crate::Listing::unread`].
    pub fn unread(&self) -> u64 {
        self.inner.unread()
    }
}

impl Iterator for Listing<'_> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.runtime.block_on(self.inner.next()).transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

impl std::fmt::Debug for Listing<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Listing")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
