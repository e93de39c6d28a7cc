//! Packets that somebody caught.

use wharf_proto::trace::Event;

/// The first four bytes of pcap files (microseconds and nanoseconds, either byte order) and of pcapng files.
const MAGICS: &[[u8; 4]] = &[
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x0a, 0x0d, 0x0d, 0x0a],
];

/// A capture that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaptureError {
    /// Not yet.
    #[error("captures cannot be read yet")]
    NotYet,
}

/// Whether these are the first bytes of a capture.
pub fn begins(bytes: &[u8]) -> bool {
    bytes
        .get(..4)
        .is_some_and(|magic| MAGICS.iter().any(|known| known == magic))
}

/// The events of the FTP sessions in a capture, as the user's side would have recorded them.
///
/// # Errors
/// [`CaptureError`].
pub fn read(_bytes: &[u8]) -> Result<Vec<Event>, CaptureError> {
    Err(CaptureError::NotYet)
}
