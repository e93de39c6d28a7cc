//! What a person sees of the dialogue: replies, with `debug` the commands, with `trace` the data connections.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wharf_net::Recorder;
use wharf_proto::trace::{Event, What};
use wharf_proto::visible;

use super::print;
use crate::output::Output;
use crate::screen::Screen;

/// What the library asks of its own accord, and whose replies concern nobody else.
const OWN: [&[u8]; 6] = [
    b"FEAT",
    b"OPTS UTF8",
    b"SIZE ",
    b"MDTM ",
    b"MLST ",
    b"MFMT ",
];

/// What the recorder shows; commands turn these on and off while a connection is open.
#[derive(Default)]
pub(super) struct Switches {
    pub(super) verbose: AtomicBool,
    pub(super) debug: AtomicBool,
    pub(super) data: AtomicBool,
    /// The user asked for this very reply: show it even if it is about features.
    pub(super) asked: AtomicBool,
    /// Replies are this program's own affair for the moment.
    pub(super) muted: AtomicBool,
    /// The reply that comes next answers what the library asks of its own accord.
    own: AtomicBool,
    /// To be told when the connection stands, before the greeting.
    connecting: Mutex<Option<String>>,
    /// The command that runs deals with SIGINT itself.
    pub(super) own_interrupts: AtomicBool,
}

impl Switches {
    pub(super) fn verbose(&self) -> bool {
        self.verbose.load(Ordering::Relaxed)
    }

    pub(super) fn connecting(&self) -> MutexGuard<'_, Option<String>> {
        self.connecting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn is(flag: &AtomicBool) -> bool {
        flag.load(Ordering::Relaxed)
    }
}

/// Shows replies on stdout and, with `debug`, commands on stderr.
pub(super) struct Teller {
    pub(super) switches: Arc<Switches>,
    pub(super) output: Output,
}

impl Recorder for Teller {
    fn record(&self, event: Event) {
        let switches = &self.switches;
        match &event.what {
            What::Reply(lines) => {
                let own =
                    switches.own.swap(false, Ordering::Relaxed) && !Switches::is(&switches.asked);
                let hidden = own || Switches::is(&switches.muted);
                let shown = !hidden || Switches::is(&switches.debug);
                if switches.verbose() && shown {
                    for line in lines {
                        print(&self.output, &visible(line));
                    }
                }
            }
            What::Command(line) => {
                let own = OWN.iter().any(|verb| line.starts_with(verb));
                switches.own.store(own, Ordering::Relaxed);
                if Switches::is(&switches.debug) {
                    self.output.line(&format!("---> {}", visible(line)));
                }
            }
            other => {
                if matches!(other, What::Connected { .. })
                    && let Some(host) = switches.connecting().take()
                    && switches.verbose()
                {
                    print(&self.output, &format!("Connected to {host}."));
                }
                if Switches::is(&switches.data) {
                    let output = self.output.clone();
                    Screen { output }.record(event);
                }
            }
        }
    }
}
