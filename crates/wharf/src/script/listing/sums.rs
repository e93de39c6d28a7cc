//! What `du` adds up, and in which unit it tells it.

use wharf_client::Entry;

use super::super::options;
use crate::exit::Failure;
use crate::output::human_bytes;

/// In which unit du counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Bytes(u64),
    Human,
}

impl Unit {
    pub(super) fn of(given: &options::Given) -> Result<Self, Failure> {
        if given.has("human-readable") {
            return Ok(Self::Human);
        }
        if let Some(size) = given.text("block-size") {
            let size = super::super::settings::bytes(&size).filter(|it| *it > 0);
            return size
                .map(Self::Bytes)
                .ok_or_else(|| Failure::usage("du: --block-size is a number of bytes"));
        }
        Ok(Self::Bytes(
            match (given.has("bytes"), given.has("megabytes")) {
                (true, _) => 1,
                (_, true) => 1 << 20,
                _ => 1 << 10,
            },
        ))
    }

    pub(super) fn shown(self, bytes: u64) -> String {
        match self {
            Self::Bytes(unit) => bytes.div_ceil(unit).to_string(),
            Self::Human => human_bytes(bytes),
        }
    }
}

/// What du adds up.
pub(super) struct Sums {
    pub(super) all: bool,
    pub(super) separate: bool,
    pub(super) deepest: usize,
    /// Files are counted, not bytes.
    pub(super) files: bool,
    pub(super) exclude: Option<Vec<u8>>,
    pub(super) unit: Unit,
}

impl Sums {
    pub(super) fn of(&self, entry: &Entry) -> u64 {
        if self.files {
            1
        } else {
            entry.size.unwrap_or(0)
        }
    }

    pub(super) fn line(&self, sum: u64, name: &[u8]) -> Vec<u8> {
        let number = if self.files {
            sum.to_string()
        } else {
            self.unit.shown(sum)
        };
        [number.as_bytes(), b"\t", name].concat()
    }
}
