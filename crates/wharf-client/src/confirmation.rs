//! What a lost final reply costs: a look at the remote file over another control connection.
//!
//! A NAT or balancer may forget a control connection that is silent while a long transfer runs; a server may end it; or
//! the reply merely takes its time. All bytes have moved, and nobody says so. The rules are [`UserTransfer`]'s; here they
//! get their events: the new login and SIZE on one side, the old connection, which is listened to all the while, on the
//! other.
//!
//! [`UserTransfer`]: wharf_proto::user_transfer::UserTransfer

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep, sleep_until};
use wharf_proto::user_transfer::{Checked, Step, Timeout};
use wharf_proto::{Command, Pathname, Reply, ReplyClass, RepresentationType};

use crate::connect::Session;
use crate::dialogue::Dialogue;
use crate::error::{Access, Error, Result};
use crate::listing::facts_of;
use crate::transfer::Running;
use crate::verbs::{number, time};

/// A server that lets nobody in a second time is not knocked at for ever.
const LOGINS: u32 = 4;

/// Listening on the old connection ends with the deadline, not with this.
const LONG: Duration = Duration::from_hours(24);

/// What a transfer can be compared with.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    pub(crate) path: Pathname,
    /// SIZE is offered; MLST otherwise.
    pub(crate) size: bool,
    /// How long the file is without what is transferred.
    pub(crate) base: u64,
    /// For an upload, to a server that tells times: when it began. A file of the right length may be the one that was
    /// there before, as long as the server keeps the new one aside until it is whole.
    pub(crate) since: Option<SystemTime>,
}

/// Servers have clocks and time zones of their own; a file that is older than this before an upload began is not it.
const ANOTHER_CLOCK: Duration = Duration::from_hours(15);

/// What came after the data.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) reply: Option<Reply>,
    /// Why nothing will be heard any more.
    pub(crate) lost: Option<Error>,
}

/// Another control connection to the same server, made with the first look.
pub(crate) struct Second {
    session: Session,
    comparison: Comparison,
    /// The length that the whole file has.
    whole: Option<u64>,
    dialogue: Option<Dialogue>,
    logins: u32,
    /// Nobody listens there any more.
    gone: bool,
    /// The last look showed a file that had been there before the upload.
    old: bool,
    /// What the last look brought, for people.
    pub(crate) seen: String,
}

impl Running<'_> {
    /// Asks elsewhere until there is a verdict. `began`: when the data ended.
    pub(crate) async fn compare(
        &mut self,
        comparison: Comparison,
        began: Instant,
        heard: &mut Heard,
    ) -> (Step, Second) {
        let mut second = Second {
            session: self.client.session(),
            whole: comparison.base.checked_add(self.moved()),
            comparison,
            dialogue: None,
            logins: 0,
            gone: false,
            old: false,
            seen: String::new(),
        };
        let completion = self.client.options().completion_timeout;
        let mut deadline = began + self.client.options().confirmation_timeout;
        if heard.lost.is_some() {
            deadline = deadline.min(Instant::now() + completion);
        }
        loop {
            let look = second.look();
            let step = match self.meanwhile(heard, &mut deadline, look).await {
                Ok(checked) => self.judge.on_checked(checked),
                Err(step) => step,
            };
            if !matches!(step, Step::Wait | Step::Check) {
                return (step, second);
            }
            if second.gone && heard.lost.is_some() {
                return (self.judge.on_timeout(Timeout::Confirmation), second);
            }
            let pause = match &second.dialogue {
                Some(_) => completion / 5,
                None => completion / 2,
            };
            if let Err(step) = self.meanwhile(heard, &mut deadline, sleep(pause)).await {
                return (step, second);
            }
        }
    }

    /// Does something while the old control connection is listened to. `Err`: what there is to do instead, because the
    /// reply came or the time is over.
    async fn meanwhile<T>(
        &mut self,
        heard: &mut Heard,
        deadline: &mut Instant,
        work: impl Future<Output = T>,
    ) -> std::result::Result<T, Step> {
        tokio::pin!(work);
        loop {
            let reply = tokio::select! {
                biased;
                reply = self.client.dialogue.final_reply(LONG), if heard.lost.is_none() => reply,
                done = &mut work => return Ok(done),
                () = sleep_until(*deadline) => {
                    return Err(self.judge.on_timeout(Timeout::Confirmation));
                }
            };
            match reply {
                Ok(reply) => {
                    self.client.in_transfer = false;
                    let step = self.judge.on_reply(&reply);
                    if step != Step::Check {
                        heard.reply = Some(reply);
                        return Err(step);
                    }
                    heard.lost = Some(self.ended_with(reply));
                }
                Err(error) => {
                    let step = self.nothing_more(error, heard);
                    if step != Step::Check {
                        return Err(step);
                    }
                }
            }
            // Nothing to wait for but a server that still writes.
            let soon = Instant::now() + self.client.options().completion_timeout;
            *deadline = soon.min(*deadline);
        }
    }
}

impl Second {
    async fn look(&mut self) -> Checked {
        match self.length().await {
            Ok(Some(_)) if self.old => {
                "the server holds a file from before".clone_into(&mut self.seen);
                Checked::Nothing
            }
            Ok(Some(length)) => {
                self.seen = format!("the server holds {length} bytes");
                Checked::Length(length)
            }
            Ok(None) => {
                "the server does not tell its size".clone_into(&mut self.seen);
                Checked::Nothing
            }
            Err(error) => {
                tracing::debug!(%error, "the transfer cannot be verified now");
                self.gone = is_refused(&error);
                self.seen = format!("its size could not be asked for: {error}");
                Checked::Nothing
            }
        }
    }

    async fn length(&mut self) -> Result<Option<u64>> {
        let within = self.session.place.options.reply_timeout;
        if self.dialogue.as_ref().is_some_and(|it| !it.in_step()) {
            self.dialogue = None;
        }
        let dialogue = match &mut self.dialogue {
            Some(dialogue) => dialogue,
            None => {
                self.logins += 1;
                if self.logins > LOGINS {
                    return std::future::pending().await; // the deadline ends it
                }
                let dialogue = self.session.log_in().await?;
                self.dialogue.insert(dialogue)
            }
        };
        let image = RepresentationType::Image;
        if dialogue.needs_type(image) {
            dialogue.exchange(&Command::Type(image), within).await?;
        }
        let path = self.comparison.path.clone();
        let question = if self.comparison.size {
            Command::Size(path)
        } else {
            Command::Mlst(Some(path))
        };
        let reply = dialogue.exchange(&question, within).await?;
        if reply.class() != ReplyClass::Completion {
            return Err(Error::refused(Access::Reads, question.redacted(), reply));
        }
        let (length, mut modified) = if self.comparison.size {
            (number(reply.text()), None)
        } else {
            let facts = facts_of(&reply);
            (
                facts.as_ref().and_then(|it| it.size),
                facts.and_then(|it| it.modify),
            )
        };
        self.old = false;
        if let Some(since) = self.comparison.since
            && length.is_some()
            && length == self.whole
        {
            if modified.is_none() {
                let mdtm = Command::Mdtm(self.comparison.path.clone());
                let reply = dialogue.exchange(&mdtm, within).await?;
                modified = time(&reply);
            }
            let latest = modified.and_then(|it| SystemTime::from(it).checked_add(ANOTHER_CLOCK));
            self.old = latest.is_some_and(|it| it < since);
        }
        Ok(length)
    }

    /// The control connection, if it can be used further.
    pub(crate) fn into_dialogue(self) -> Option<Dialogue> {
        self.dialogue.filter(Dialogue::in_step)
    }
}

fn is_refused(error: &Error) -> bool {
    error
        .source()
        .and_then(|it| it.downcast_ref::<io::Error>())
        .is_some_and(|it| it.kind() == io::ErrorKind::ConnectionRefused)
}
