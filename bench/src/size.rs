//! How much is measured, and under which names the files stand.

/// How much of everything.
pub(crate) struct Size {
    /// Interleaved rounds.
    pub(crate) rounds: u32,
    /// Bytes of the large file.
    pub(crate) large: u64,
    /// Downloads of the small file in a round.
    pub(crate) small: u32,
    /// Sessions held idle.
    pub(crate) idle: u32,
}

/// Name of the large file in every served folder.
pub(crate) const LARGE: &str = "large.bin";
/// Name of the 4 KiB file in every served folder.
pub(crate) const SMALL: &str = "small.bin";
