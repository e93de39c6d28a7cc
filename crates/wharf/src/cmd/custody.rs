//! The broker's certificates: their keys stay in this process, which keeps them as their files say, makes the first one,
//! and renews those of an authority. The process that talks to the network is told when there are others.

use std::sync::mpsc;
use std::thread;

use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use wharf_broker::{Keys, Teller};

use super::acme::{self, Renewal};
use super::certificate::{self, Certificates, InForce, Watch};
use super::foundation;
use crate::config::Settings;
use crate::exit::{Exit, Failure};

/// Certificates that are in order, with nobody watching them yet.
pub(super) struct Custody {
    keys: Keys,
    certificates: Option<Certificates>,
    renewal: Renewal,
    runtime: Runtime,
}

/// Asks the thread that watches.
pub(super) struct Watchman(UnboundedSender<Reload>);

struct Reload {
    settings: Settings,
    answer: mpsc::SyncSender<Result<(), Failure>>,
}

impl Custody {
    /// Reads or makes the certificates and listens for the authority. No thread is started.
    ///
    /// # Errors
    /// Those of [`certificate::certificates`] and of [`Renewal::apply`].
    pub(super) fn take(settings: &Settings) -> Result<Self, Failure> {
        let certificates = current(settings, &InForce::new())?;
        let held = certificates.as_ref().map(Certificates::held);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(Exit::Software, format!("cannot start: {error}")))?;
        let mut renewal = Renewal::default();
        let wanted = acme::settings(settings)?;
        runtime.block_on(renewal.apply(wanted))?;
        Ok(Self {
            keys: Keys::new(held.unwrap_or_default()),
            certificates,
            renewal,
            runtime,
        })
    }

    pub(super) fn keys(&self) -> Keys {
        self.keys.clone()
    }

    /// Watches, in a thread of its own, as long as the process lives.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn watch(self, teller: Teller) -> Result<Watchman, Failure> {
        let Self {
            keys,
            certificates,
            renewal,
            runtime,
        } = self;
        let (ask, asked) = unbounded_channel();
        let held = Held {
            keys,
            teller,
            renewal,
            watch: None,
        };
        thread::Builder::new()
            .name("certificates".to_owned())
            .spawn(move || runtime.block_on(held.serve(certificates, asked)))
            .map_err(|error| {
                Failure::new(Exit::Software, format!("no thread to be had: {error}"))
            })?;
        Ok(Watchman(ask))
    }
}

impl Watchman {
    /// From now on as the settings say. Waits until it is so: files are read.
    ///
    /// # Errors
    /// What was in force stays in force.
    pub(super) fn reload(&self, settings: &Settings) -> Result<(), Failure> {
        let gone = || Failure::new(Exit::Software, "nobody watches the certificates any more");
        let (answer, answered) = mpsc::sync_channel(1);
        let reload = Reload {
            settings: settings.clone(),
            answer,
        };
        self.0.send(reload).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    }
}

struct Held {
    keys: Keys,
    teller: Teller,
    renewal: Renewal,
    watch: Option<Watch>,
}

impl Held {
    async fn serve(
        mut self,
        certificates: Option<Certificates>,
        mut asked: UnboundedReceiver<Reload>,
    ) {
        self.watch(certificates);
        while let Some(Reload { settings, answer }) = asked.recv().await {
            // Who asked waits.
            let _ = answer.send(self.reload(&settings).await);
        }
    }

    fn watch(&mut self, certificates: Option<Certificates>) {
        let (keys, teller) = (self.keys.clone(), self.teller.clone());
        self.watch = certificates.map(|it| {
            it.watch(move |held| {
                if keys.replace(held) {
                    teller.certificates();
                }
            })
        });
    }

    async fn reload(&mut self, settings: &Settings) -> Result<(), Failure> {
        let before = self.watch.as_ref().map(Watch::in_force);
        let certificates = current(settings, &before.unwrap_or_default())?;
        let wanted = acme::settings(settings)?;
        let held = certificates.as_ref().map(Certificates::held);
        self.keys.replace(held.unwrap_or_default());
        self.watch(certificates);
        self.renewal.apply_or_say(wanted).await;
        Ok(())
    }
}

fn current(settings: &Settings, before: &InForce) -> Result<Option<Certificates>, Failure> {
    // Where it will listen, as far as it is known: for the names of a certificate that has to be made.
    let listen = foundation::wanted_addresses(settings);
    certificate::certificates(settings, &listen, before)
}
