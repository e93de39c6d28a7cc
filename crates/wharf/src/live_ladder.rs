//! `--ladder`: the picture of the session on stderr, rung by rung while it runs.

use std::collections::BTreeMap;
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
    fn print(&self, number: u64, drawing: &mut Drawing, present: &mut Option<u64>) {
        let rungs = drawing.drain();
        if rungs.is_empty() {
            return;
        }
        let mut text = String::new();
        if *present != Some(number) {
            text.push_str(&self.painter.head(drawing.session(), present.is_none()));
            *present = Some(number);
        }
        text.extend(rungs.iter().map(|rung| self.painter.rung(rung)));
        self.output.line(text.trim_end_matches('\n'));
    }
}

impl Recorder for LiveLadder {
    fn record(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { drawings, present } = &mut *state;
        let number = event.session;
        let drawing = drawings
            .entry(number)
            .or_insert_with(|| Drawing::new(number, self.options.clone()));
        drawing.event(&event);
        let ended = matches!(event.what, What::Closed(_));
        if ended {
            drawing.settle();
        }
        self.print(number, drawing, present);
        if ended {
            drawings.remove(&number);
        }
    }
}

impl Drop for LiveLadder {
    fn drop(&mut self) {
        let state = std::mem::take(self.state.get_mut().unwrap_or_else(PoisonError::into_inner));
        let mut present = state.present;
        for (number, mut drawing) in state.drawings {
            drawing.settle();
            self.print(number, &mut drawing, &mut present);
        }
    }
}
