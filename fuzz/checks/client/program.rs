//! The fuzzer's bytes as decisions. What is not there reads as zero, and zero is always the well-behaved choice.

use std::sync::{Arc, Mutex, PoisonError};

/// Decisions in the order in which they are asked for; clones read from the same place.
#[derive(Clone)]
pub(crate) struct Program {
    bytes: Arc<Vec<u8>>,
    at: Arc<Mutex<usize>>,
}

impl Program {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self {
            bytes: Arc::new(bytes.to_vec()),
            at: Arc::default(),
        }
    }

    pub(crate) fn byte(&self) -> u8 {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        let byte = self.bytes.get(*at).copied().unwrap_or_default();
        *at += 1;
        byte
    }

    /// So many bytes, or what is left of them.
    pub(crate) fn take(&self, count: usize) -> Vec<u8> {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = self.bytes.get(*at..).unwrap_or_default();
        let taken = rest.get(..count).unwrap_or(rest).to_vec();
        *at += taken.len();
        taken
    }

    pub(crate) fn choose<T: Copy>(&self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()]
    }
}
