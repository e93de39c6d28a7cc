//! Captures from anywhere: nothing panics, what comes out is in proportion, and it is a trace that reads back.

use wharf_ladder::source::capture::read;
use wharf_proto::trace;

pub(crate) fn check(data: &[u8]) {
    let Ok(events) = read(data) else { return };
    // The shortest packet that tells anything has 40 bytes; one packet may hold many lines.
    assert!(events.len() <= 16 + 2 * data.len());
    let text = trace::write(&events);
    assert!(!text.contains("lab-secret"));
    let again = trace::read(text.as_bytes());
    assert!(again.unread.is_empty(), "{:?}", again.unread);
}
