//! How far a transfer is, readable while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A counter that the pump advances and anybody may read: STAT during a transfer, a progress bar. Clones share it.
/// It knows no clock: whoever wants a rate measures time.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Nothing moved yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes that have gone through the data connection, as they are on the wire.
    pub fn moved(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// `bytes` more. For whoever moves bytes past the pump.
    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}
