//! Captures from anywhere: nothing panics, what comes out is in proportion, is a trace that reads back, and can
//! be drawn.

use wharf_ladder::render::{self, Look};
use wharf_ladder::source::capture::read;
use wharf_ladder::{Ladder, Options};
use wharf_proto::trace;

pub(crate) fn check(data: &[u8]) {
    let Ok(events) = read(data) else { return };
    // The shortest packet that tells anything has 40 bytes; one packet may hold many lines.
    assert!(events.len() <= 16 + 2 * data.len());
    let text = trace::write(&events);
    let ladder = Ladder::from_events(&events, &Options::default());
    let _ = render::text(&ladder, &Look::default());
    let again = trace::read(text.as_bytes());
    assert!(again.unread.is_empty(), "{:?}", again.unread);
}
