//! The dialogue on stderr: `-v`, and `ftp -t`.

use std::sync::Arc;

use wharf_net::Recorder;
use wharf_proto::trace::{Event, What};
use wharf_proto::visible;

use crate::output::Output;

/// The dialogue on stderr.
pub(crate) struct Screen {
    pub(crate) output: Output,
}

impl Recorder for Screen {
    fn record(&self, event: Event) {
        for line in screen_lines(&event.what) {
            self.output.line(&line);
        }
    }
}

/// One event as lines for a person: the transcript's signs, without times.
fn screen_lines(what: &What) -> Vec<String> {
    match what {
        What::Command(line) => vec![format!("> {}", visible(line))],
        What::Reply(lines) => lines
            .iter()
            .map(|line| format!("< {}", visible(line)))
            .collect(),
        What::Connected { local, peer, .. } => vec![format!("+ connected to {peer} from {local}")],
        What::DataAwaited { at, .. } => vec![format!("! waiting for a data connection at {at}")],
        What::DataOpened { local, peer, .. } => {
            vec![format!("! data connection between {local} and {peer}")]
        }
        What::DataFailed { at, reason, .. } => {
            vec![format!("! no data connection at {at}: {reason}")]
        }
        What::Stranger { peer } => vec![format!("! turned away {peer} at the data port")],
        What::DataClosed { bytes, .. } => {
            vec![format!("! data connection closed after {bytes} bytes")]
        }
        What::Tls { on, step } => vec![format!("* {}", wharf_ladder::tls_told(*on, step))],
        What::Closed(reason) if reason == "closed" => {
            vec!["- control connection closed".to_owned()]
        }
        What::Closed(reason) => vec![format!("- control connection closed: {reason}")],
        What::Note(note) => vec![format!("# {}", visible(note.as_bytes()))],
    }
}

/// Tells several recorders.
pub(crate) struct Several(pub(crate) Vec<Arc<dyn Recorder>>);

impl Recorder for Several {
    fn record(&self, event: Event) {
        for recorder in &self.0 {
            recorder.record(event.clone());
        }
    }
}
