//! Pictures of a [`Ladder`](crate::Ladder): lines of text, SVG, Mermaid. One file a way to draw; the words are the same.

mod columns;
mod mermaid;
mod svg;
pub mod text;
mod words;

use std::time::Duration;

pub use mermaid::mermaid;
pub use svg::svg;
pub use text::text;

/// How a picture is to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Columns that a picture of text may take; it takes fewer where that is enough.
    pub width: usize,
    /// Colours, as escape sequences of a terminal.
    pub colour: bool,
    /// Nothing but ASCII.
    pub ascii: bool,
    /// When each thing happened.
    pub times: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            width: 80,
            colour: false,
            ascii: false,
            times: false,
        }
    }
}

/// `1.3 s`, rounded to a tenth.
pub(crate) fn seconds(time: Duration) -> String {
    let tenths = time.as_millis().saturating_add(50) / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}
