//! Where events are written, and what is counted for the last one.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;

use super::{Event, Outcome};

/// Where events go, and which. What people read stays on stderr in the first case; in the second, events stand in for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// stdout carries nothing else: all events.
    Stdout,
    /// stdout carries data (a listing, a file): on stderr only what would have been said there anyway.
    Stderr,
}

/// The stream of one run of the program.
#[derive(Debug)]
pub(crate) struct Stream {
    place: Place,
    /// Commands and replies, too (`-v`).
    dialogue: bool,
    began: Instant,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    transfers: u64,
    files: u64,
    failed: u64,
    bytes: u64,
}

/// What stands in every line.
#[derive(Serialize)]
struct Line<'a> {
    v: u8,
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

impl Stream {
    pub(crate) fn new(place: Place, dialogue: bool) -> Self {
        Self {
            place,
            dialogue,
            began: Instant::now(),
            counted: Mutex::default(),
        }
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Prints it, if it is of those that are printed.
    pub(crate) fn tell(&self, event: &Event) {
        if let Event::FileEnd { outcome, bytes, .. } = event {
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            counted.bytes += bytes;
            match outcome {
                Outcome::Complete => counted.files += 1,
                Outcome::Incomplete | Outcome::Unknown => counted.failed += 1,
            }
        }
        if let Event::MirrorEnd {
            copied,
            failed,
            bytes,
            ..
        } = event
        {
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            counted.files += copied;
            counted.failed += failed;
            counted.bytes += bytes;
        }
        if !self.wants(event) {
            return;
        }
        let line = line(event, Timestamp::now());
        // Nobody who listens any more is no reason to stop.
        let _ = match self.place {
            Place::Stdout => std::io::stdout().lock().write_all(line.as_bytes()),
            Place::Stderr => std::io::stderr().lock().write_all(line.as_bytes()),
        };
    }

    fn wants(&self, event: &Event) -> bool {
        match event {
            Event::Command { .. } | Event::Reply { .. } => self.dialogue,
            Event::Note { .. } | Event::Warning { .. } | Event::Error { .. } => true,
            _ => self.place == Place::Stdout || self.dialogue,
        }
    }

    /// The number of a transfer that begins.
    pub(super) fn next_transfer(&self) -> u64 {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.transfers += 1;
        counted.transfers
    }

    /// The last event of a run that ends with this status.
    pub(crate) fn summary(&self, exit: u8) -> Event {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        Event::Summary {
            exit,
            files: counted.files,
            failed: counted.failed,
            bytes: counted.bytes,
            seconds: self.began.elapsed().as_secs_f64(),
        }
    }
}

/// An event as its line, with the line's end.
pub(super) fn line(event: &Event, now: Timestamp) -> String {
    let line = Line {
        v: 1,
        time: now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        event,
    };
    // Nothing in it can fail: no maps with odd keys, no numbers beyond JSON.
    let mut text = serde_json::to_string(&line).unwrap_or_default();
    text.push('\n');
    text
}
