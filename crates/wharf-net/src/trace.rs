//! Who is told what happens on the wire: `--trace`, transcripts, the pictures of `wharf ladder`.

use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;
use wharf_proto::data_connection::Opener;
use wharf_proto::trace::{Event, Side, TlsOn, TlsStep, What};

use crate::tls::{Handshake, TlsError, fingerprint_of};

/// Takes the events of one or many sessions. Called on the session's own task: must not block.
pub trait Recorder: Send + Sync {
    /// Something happened. Passwords are masked before they come here.
    fn record(&self, event: Event);
}

/// One session's view of a [`Recorder`]: its number, and the moment that its times count from.
#[derive(Clone)]
pub struct Trace {
    recorder: Option<Arc<dyn Recorder>>,
    session: u64,
    side: Side,
    start: Instant,
}

impl Trace {
    /// Events of session `session`, timed from now.
    pub fn new(recorder: Option<Arc<dyn Recorder>>, session: u64) -> Self {
        Self {
            recorder,
            session,
            side: Side::User,
            start: Instant::now(),
        }
    }

    /// The same for the other side of the control connection; a new trace is the user's.
    #[must_use]
    pub fn on_side(self, side: Side) -> Self {
        Self { side, ..self }
    }

    /// The side that records.
    pub fn side(&self) -> Side {
        self.side
    }

    /// Who opens a data connection for which this side listens, and who one to which it connects.
    pub(crate) fn opener(&self, listening: bool) -> Opener {
        match (self.side, listening) {
            (Side::User, true) | (Side::Server, false) => Opener::Server,
            (Side::User, false) | (Side::Server, true) => Opener::User,
        }
    }

    /// Nobody listens.
    pub fn off() -> Self {
        Self::new(None, 0)
    }

    /// Whether anybody listens; saves the work of making an event.
    pub fn is_on(&self) -> bool {
        self.recorder.is_some()
    }

    /// Tells what a handshake came to that began at `began`.
    pub(crate) fn tls(&self, on: TlsOn, began: Instant, outcome: Result<&Handshake, &TlsError>) {
        self.record(|| {
            let took = began.elapsed();
            let step = match outcome {
                Ok(shaken) => TlsStep::Secured {
                    version: shaken.version.trim_start_matches("TLS ").to_owned(),
                    suite: shaken.suite.clone(),
                    resumed: shaken.resumed,
                    took,
                    certificate: shaken
                        .peer_certificates
                        .first()
                        .map(|it| fingerprint_of(it).to_string()),
                },
                Err(error) => TlsStep::Failed {
                    took,
                    reason: error.to_string(),
                },
            };
            What::Tls { on, step }
        });
    }

    /// Tells the recorder, if there is one. `what` is only made when somebody listens.
    pub fn record(&self, what: impl FnOnce() -> What) {
        if let Some(recorder) = &self.recorder {
            recorder.record(Event {
                at: self.start.elapsed(),
                session: self.session,
                what: what(),
            });
        }
    }
}

impl From<Option<Arc<dyn Recorder>>> for Trace {
    fn from(recorder: Option<Arc<dyn Recorder>>) -> Self {
        Self::new(recorder, 0)
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace")
            .field("on", &self.is_on())
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
