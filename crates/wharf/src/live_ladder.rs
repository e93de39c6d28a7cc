//! `--ladder`: the picture of the session on stderr, rung by rung while it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use wharf_ladder::render::Look;
use wharf_ladder::render::text::Painter;
use wharf_ladder::{Drawing, Options};
use wharf_net::Recorder;
use wharf_proto::trace::{Event, What};

use crate::output::Output;

/// Draws what it is told. What may still be folded waits for the next rung, or for the end.
pub(crate) struct LiveLadder {
    output: Output,
    painter: Painter,
    options: Options,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    drawings: BTreeMap<u64, Drawing>,
    /// Whose rungs were printed last.
    present: Option<u64>,
    /// Whose hosts were printed.
    introduced: BTreeSet<u64>,
}

impl LiveLadder {
    /// `all`: every command and reply.
    pub(crate) fn new(output: Output, look: &Look, all: bool) -> Self {
        Self {
            output,
            painter: Painter::new(look, None),
            options: Options {
                all,
                ..Options::default()
            },
            state: Mutex::default(),
        }
    }

    /// Prints what is ready. Sessions take turns (a scout runs beside the session it serves), so each says who it is.
    fn print(&self, number: u64, state: &mut State) {
        let Some(drawing) = state.drawings.get_mut(&number) else {
            return;
        };
        let rungs = drawing.drain();
        if rungs.is_empty() {
            return;
        }
        let mut text = String::new();
        if state.introduced.insert(number) {
            let alone = state.introduced.len() == 1;
            text.push_str(&self.painter.head(drawing.session(), alone));
        } else if state.present != Some(number) {
            text.push_str(&self.painter.again(drawing.session()));
        }
        state.present = Some(number);
        text.extend(rungs.iter().map(|rung| self.painter.rung(rung)));
        self.output.line(text.trim_end_matches('\n'));
    }
}

impl Recorder for LiveLadder {
    fn record(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let number = event.session;
        let drawing = state
            .drawings
            .entry(number)
            .or_insert_with(|| Drawing::new(number, self.options.clone()));
        drawing.event(&event);
        let ended = matches!(event.what, What::Closed(_));
        if ended {
            drawing.settle();
        }
        self.print(number, &mut state);
        if ended {
            state.drawings.remove(&number);
        }
    }
}

impl Drop for LiveLadder {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut state = std::mem::take(state);
        let numbers: Vec<u64> = state.drawings.keys().copied().collect();
        for number in numbers {
            if let Some(drawing) = state.drawings.get_mut(&number) {
                drawing.settle();
            }
            self.print(number, &mut state);
        }
    }
}
