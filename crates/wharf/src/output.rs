//! Everything the program says to a person, on stderr: `error:`, `hint:`, `warning:`, `note:`; and, with `--json`, to a
//! program ([`crate::event`]).
//!
//! Data goes to stdout and never passes here. Messages are lower case, without a full stop; colour
//! only repeats what the words say.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use indicatif::MultiProgress;

use crate::event::{Event, Place, Stream};
use crate::exit::Failure;
use crate::language::Language;

/// Where messages go and how much of them. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    quiet: bool,
    verbose: u8,
    color: bool,
    bars: MultiProgress,
    language: Language,
    /// With `--json`.
    stream: Option<Arc<Stream>>,
}

impl Output {
    /// `quiet` drops notes and progress; errors and warnings stay.
    pub(crate) fn new(quiet: bool, verbose: u8) -> Self {
        Self {
            quiet,
            verbose,
            color: color_wanted(std::io::stderr().is_terminal()),
            bars: MultiProgress::new(),
            language: Language::current(),
            stream: None,
        }
    }

    /// Tells programs, too: one JSON object a line, at this place.
    pub(crate) fn with_events(mut self, place: Place) -> Self {
        self.stream = Some(Arc::new(Stream::new(place, self.verbose > 0)));
        self
    }

    /// Where events go, if anybody wants them.
    pub(crate) fn stream(&self) -> Option<&Stream> {
        self.stream.as_deref()
    }

    /// Tells programs what happened: a line with `--json`, nothing otherwise.
    pub(crate) fn event(&self, event: &Event) {
        if let Some(stream) = &self.stream {
            self.bars.suspend(|| stream.tell(event));
        }
    }

    /// The last event of a run.
    pub(crate) fn ended(&self, exit: u8) {
        if let Some(stream) = &self.stream {
            stream.tell(&stream.summary(exit));
        }
    }

    /// Whether stderr is full of events, so that no text may stand between them.
    pub(crate) fn only_events(&self) -> bool {
        let place = self.stream.as_ref().map(|stream| stream.place());
        place == Some(Place::Stderr)
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// 0, 1 (`-v`: the dialogue), 2 (`-vv`: also the libraries' debug log).
    pub(crate) fn verbosity(&self) -> u8 {
        self.verbose
    }

    /// The place where progress bars are drawn; messages pause them.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// A whole failure: message, details, hint.
    pub(crate) fn failure(&self, failure: &Failure) {
        if failure.told {
            return;
        }
        let code = failure.cause().code();
        self.event(&Event::Error {
            code: code.clone(),
            exit: failure.code(),
            message: failure.message.clone(),
            details: failure.details.clone(),
            hint: failure.hint.clone(),
        });
        if self.only_events() {
            return;
        }
        let label = format!("{}[{code}]", self.language.told("error"));
        self.line(&self.painted(&label, "31", &failure.message));
        for line in &failure.details {
            self.line(&format!("  {}", self.language.told(line)));
        }
        if let Some(hint) = &failure.hint {
            self.labelled("hint", "36", hint);
        }
    }

    pub(crate) fn warning(&self, text: &str) {
        self.event(&Event::Warning {
            text: text.to_owned(),
        });
        if !self.only_events() {
            self.labelled("warning", "33", text);
        }
    }

    pub(crate) fn note(&self, text: &str) {
        if self.quiet {
            return;
        }
        self.event(&Event::Note {
            text: text.to_owned(),
        });
        if !self.only_events() {
            self.labelled("note", "36", text);
        }
    }

    /// A line without a label, dropped by `-q`.
    pub(crate) fn info(&self, text: &str) {
        if !self.quiet && !self.only_events() {
            self.line(&self.language.told(text));
        }
    }

    /// A line without a label that even `-q` does not drop.
    pub(crate) fn line(&self, text: &str) {
        // A closed stderr is no reason to stop: nobody is listening.
        self.bars.suspend(|| {
            let mut stderr = std::io::stderr().lock();
            let _ = stderr.write_all(text.as_bytes());
            let _ = stderr.write_all(b"\n");
        });
    }

    fn labelled(&self, label: &str, color: &str, text: &str) {
        let label = self.language.told(label);
        self.line(&self.painted(&label, color, text));
    }

    /// A label and what is told in the user's language.
    fn painted(&self, label: &str, color: &str, text: &str) -> String {
        let text = self.language.told(text);
        if self.color {
            format!("\x1b[1;{color}m{label}\x1b[0m: {text}")
        } else {
            format!("{label}: {text}")
        }
    }
}

/// `NO_COLOR` (non-empty) wins, then `CLICOLOR_FORCE` (not `0`), then whether it is a terminal.
pub(crate) fn color_wanted(is_terminal: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if set("NO_COLOR").is_some() {
        return false;
    }
    if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    is_terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A number of bytes for people: 512 B, 1.5 KiB, 3.0 MiB.
pub(crate) fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut shift = 10;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if bytes >> (shift + 10) == 0 {
            break;
        }
        shift += 10;
        unit = next;
    }
    // One decimal, cut off: integer arithmetic keeps it exact up to 2^64-1.
    let whole = bytes >> shift;
    let tenth = ((bytes - (whole << shift)) >> (shift - 10)) * 10 / 1024;
    format!("{whole}.{tenth} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_binary_units() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (3 << 20, "3.0 MiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(human_bytes(bytes), text);
        }
    }
}
