//! What the libraries record of a session, as events.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use wharf_net::Recorder;
use wharf_proto::trace::{self, GIVEN_UP, TlsOn, TlsStep, What};
use wharf_proto::visible;

use super::{Channel, DataEnd, Event, TlsState, Way};
use crate::output::Output;

/// Tells what happens on the connections of a command.
pub(crate) struct Teller {
    output: Output,
    ways: Mutex<Ways>,
}

/// By session: the way that was asked for last, and whether its reply is still to come.
#[derive(Default)]
struct Ways(HashMap<u64, (Way, bool)>);

impl Teller {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            output,
            ways: Mutex::default(),
        }
    }
}

impl Recorder for Teller {
    fn record(&self, event: trace::Event) {
        let mut ways = self.ways.lock().unwrap_or_else(PoisonError::into_inner);
        let told = ways.events(event);
        drop(ways);
        for event in told {
            self.output.event(&event);
        }
    }
}

impl Ways {
    fn way(&self, session: u64) -> Option<Way> {
        self.0.get(&session).map(|(way, _)| *way)
    }

    fn events(&mut self, event: trace::Event) -> Vec<Event> {
        let session = event.session;
        match event.what {
            What::Connected { local, peer, .. } => vec![Event::Connect {
                session,
                local,
                peer,
            }],
            What::Command(line) => {
                let mut told = vec![Event::Command {
                    session,
                    line: visible(&line),
                }];
                if let Some(way) = arranged_by(&line) {
                    self.0.insert(session, (way, true));
                    told.push(Event::DataTry { session, way });
                }
                told
            }
            What::Reply(lines) => self.reply(session, &lines),
            What::DataAwaited { .. } | What::Stranger { .. } | What::Note(_) => Vec::new(),
            What::DataOpened { local, peer, .. } => vec![Event::DataOpen {
                session,
                way: self.way(session),
                local,
                peer,
            }],
            // Not a failure: another way was quicker, or the transfer was refused.
            What::DataFailed { reason, .. } if reason == GIVEN_UP => Vec::new(),
            What::DataFailed { at, reason, .. } => vec![Event::DataFail {
                session,
                way: self.way(session),
                at: Some(at),
                reason: visible(reason.as_bytes()),
            }],
            What::DataClosed { bytes, end } => vec![Event::DataClose {
                session,
                bytes,
                end: match end {
                    trace::DataEnd::Clean => DataEnd::Clean,
                    trace::DataEnd::Broken => DataEnd::Broken,
                    trace::DataEnd::Aborted => DataEnd::Aborted,
                    trace::DataEnd::Stalled => DataEnd::Stalled,
                },
            }],
            What::Tls { on, step } => vec![tls(session, on, step)],
            What::Closed(reason) => {
                self.0.remove(&session);
                vec![Event::Disconnect {
                    session,
                    reason: visible(reason.as_bytes()),
                }]
            }
        }
    }

    fn reply(&mut self, session: u64, lines: &[Vec<u8>]) -> Vec<Event> {
        let first = lines.first().map(Vec::as_slice).unwrap_or_default();
        let code = first
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| digits.parse::<u16>().ok());
        let mut told = vec![Event::Reply {
            session,
            code,
            lines: lines.iter().map(|line| visible(line)).collect(),
        }];
        if let Some((way, open)) = self.0.get_mut(&session)
            && std::mem::take(open)
            && code.is_some_and(|code| code >= 400)
        {
            told.push(Event::DataFail {
                session,
                way: Some(*way),
                at: None,
                reason: visible(first),
            });
        }
        told
    }
}

fn arranged_by(line: &[u8]) -> Option<Way> {
    let verb = line.split(|byte| *byte == b' ').next()?;
    match verb {
        // `EPSV ALL` arranges nothing (RFC 2428 §4).
        b"EPSV" if !line.ends_with(b" ALL") => Some(Way::Epsv),
        b"PASV" => Some(Way::Pasv),
        b"EPRT" => Some(Way::Eprt),
        b"PORT" => Some(Way::Port),
        _ => None,
    }
}

fn tls(session: u64, on: TlsOn, step: TlsStep) -> Event {
    let on = match on {
        TlsOn::Control => Channel::Control,
        TlsOn::Data => Channel::Data,
    };
    match step {
        TlsStep::Secured {
            version,
            suite,
            resumed,
            certificate,
            ..
        } => Event::Tls {
            session,
            on,
            state: TlsState::Secured,
            version: Some(version),
            suite: Some(suite),
            resumed: Some(resumed),
            certificate,
            reason: None,
        },
        TlsStep::Failed { reason, .. } => without(session, on, TlsState::Failed, Some(reason)),
        TlsStep::Cleared => without(session, on, TlsState::Cleared, None),
    }
}

/// An event of no TLS.
fn without(session: u64, on: Channel, state: TlsState, reason: Option<String>) -> Event {
    Event::Tls {
        session,
        on,
        state,
        version: None,
        suite: None,
        resumed: None,
        certificate: None,
        reason: reason.map(|reason| visible(reason.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn told(ways: &mut Ways, what: What) -> Vec<Event> {
        ways.events(trace::Event {
            at: Duration::ZERO,
            session: 1,
            what,
        })
    }

    #[test]
    fn a_refused_way_is_a_failure_once() {
        let mut ways = Ways::default();
        let tried = told(&mut ways, What::Command(b"EPSV".to_vec()));
        assert_eq!(
            tried[1],
            Event::DataTry {
                session: 1,
                way: Way::Epsv
            }
        );
        let refused = told(&mut ways, What::Reply(vec![b"502 no".to_vec()]));
        assert!(matches!(
            &refused[1],
            Event::DataFail { way: Some(Way::Epsv), reason, .. } if reason == "502 no"
        ));
        let next = told(&mut ways, What::Reply(vec![b"550 no".to_vec()]));
        assert_eq!(next.len(), 1);
    }

    #[test]
    fn epsv_all_arranges_nothing() {
        assert_eq!(arranged_by(b"EPSV ALL"), None);
        assert_eq!(arranged_by(b"EPSV 1"), Some(Way::Epsv));
        assert_eq!(arranged_by(b"PORT 1,2,3,4,5,6"), Some(Way::Port));
        assert_eq!(arranged_by(b"RETR PASV"), None);
    }
}
