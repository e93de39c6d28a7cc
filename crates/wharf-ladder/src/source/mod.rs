//! Where events come from: the trace text, or packets that somebody caught.

pub mod capture;

use wharf_proto::trace::{self, Event};

/// Nothing to draw.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceError {
    /// No line of it is of the trace format, and it does not begin as a capture does.
    #[error("neither a trace nor a capture{}", FirstLine(.first))]
    Neither {
        /// The first line that was not understood, with its number.
        first: Option<(usize, String)>,
    },
    /// It begins as a capture does.
    #[error("{0}")]
    Capture(#[from] capture::CaptureError),
}

struct FirstLine<'a>(&'a Option<(usize, String)>);

impl std::fmt::Display for FirstLine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some((number, text)) = self.0 else {
            return Ok(());
        };
        let short: String = text.chars().take(60).collect();
        write!(f, "; line {number}: {short}")
    }
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// What happened.
    pub events: Vec<Event>,
    /// Lines of a trace that were not understood: their number, and the first of them.
    pub unread: usize,
    /// The first of these lines, with its number from 1.
    pub first_unread: Option<(usize, String)>,
}

impl Source {
    /// What a trace or a capture tells; the first bytes say which it is. An empty trace has none.
    ///
    /// # Errors
    /// [`SourceError`]: it is neither, or a capture that cannot be read.
    pub fn open(bytes: &[u8]) -> Result<Self, SourceError> {
        if capture::begins(bytes) {
            let events = capture::read(bytes)?;
            return Ok(Self {
                events,
                ..Self::default()
            });
        }
        let transcript = trace::read(bytes);
        let first_unread = transcript.unread.first().cloned();
        if transcript.events.is_empty() && first_unread.is_some() {
            return Err(SourceError::Neither {
                first: first_unread,
            });
        }
        Ok(Self {
            events: transcript.events,
            unread: transcript.unread.len(),
            first_unread,
        })
    }
}

/// The events of a trace or of a capture, as [`Source::open`] finds them.
///
/// # Errors
/// [`SourceError`]: it is neither, or a capture that cannot be read.
pub fn read(bytes: &[u8]) -> Result<Vec<Event>, SourceError> {
    Source::open(bytes).map(|source| source.events)
}
