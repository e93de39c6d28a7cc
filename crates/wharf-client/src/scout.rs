//! The scout: a second control connection on which active data connections are tried.
//!
//! A server that cannot reach us sits in connect() for one to two minutes and answers nothing meanwhile. That must not
//! happen to the session that the user wants to keep. The scout never carries a file: it asks for a listing of the login
//! directory and is dropped as soon as the data connection stands.

use std::future::{Future, pending};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use wharf_net::DataConnection;
use wharf_proto::command::ListArgument;
use wharf_proto::data_connection::as_seen;
use wharf_proto::data_connection::guard::Guard;
use wharf_proto::data_connection::path::Attempt;
use wharf_proto::data_connection::plan::{Asked, Event, Evidence, Lane, Tried};
use wharf_proto::trace::What;
use wharf_proto::{Command, ReplyClass, Text};

use crate::active::Invitation;
use crate::connect::{Login, Place, log_in};
use crate::dialogue::{Dialogue, LEAST_PATIENCE};
use crate::error::Result;
use crate::reach::evidence;

/// What the scout is doing, and its control connection while it does nothing.
pub(crate) struct Scout {
    place: Place,
    login: Login,
    idle: Option<Dialogue>,
    running: Option<Pin<Box<dyn Future<Output = Back> + Send>>>,
}

/// What it comes back with.
type Back = (Option<Dialogue>, Event);

impl Scout {
    /// Nobody is sent yet.
    pub(crate) fn new(place: Place, login: Login) -> Self {
        Self {
            place,
            login,
            idle: None,
            running: None,
        }
    }

    /// A new login, after a moment, and then within this time.
    pub(crate) fn open(&mut self, after: Duration, within: Duration) {
        let (place, login) = (self.place.clone(), self.login.clone());
        self.idle = None;
        self.running = Some(Box::pin(async move {
            sleep(after).await;
            match timeout(within, enter(&place, &login, within)).await {
                Ok(Ok(dialogue)) => (Some(dialogue), Event::ScoutReady),
                Ok(Err(error)) => {
                    tracing::info!(%error, "no second control connection");
                    (None, Event::ScoutRefused)
                }
                Err(_) => {
                    tracing::info!(?within, "no second control connection in time");
                    (None, Event::ScoutRefused)
                }
            }
        }));
    }

    /// Asks for our address as the server sees it, within this time.
    pub(crate) fn ask(&mut self, within: Duration) {
        let Some(mut dialogue) = self.idle.take() else {
            return self.lost();
        };
        self.running = Some(Box::pin(async move {
            match timeout(within, address_as_seen(&mut dialogue, within)).await {
                Ok(Ok(told)) => (Some(dialogue), Event::Told(Lane::Scout, told)),
                Ok(Err(_)) | Err(_) => (None, Event::ScoutRefused),
            }
        }));
    }

    /// Tries a path.
    pub(crate) fn probe(&mut self, attempt: Attempt) {
        let Some(mut dialogue) = self.idle.take() else {
            return self.lost();
        };
        let place = self.place.clone();
        self.running = Some(Box::pin(async move {
            let event = probe(&place, &mut dialogue, &attempt).await;
            (Some(dialogue).filter(Dialogue::in_step), event)
        }));
    }

    /// Whatever it does, and its control connection, is ended.
    pub(crate) fn close(&mut self) {
        self.running = None;
        self.idle = None;
    }

    /// What it comes back with; never, while it does nothing. Cancel-safe.
    pub(crate) async fn back(&mut self) -> Event {
        match &mut self.running {
            Some(running) => {
                let (idle, event) = running.await;
                self.running = None;
                self.idle = idle;
                event
            }
            None => pending().await,
        }
    }

    /// There is no control connection left to do it on.
    fn lost(&mut self) {
        self.running = Some(Box::pin(async { (None, Event::ScoutRefused) }));
    }
}

async fn enter(place: &Place, login: &Login, within: Duration) -> Result<Dialogue> {
    let mut dialogue = place.dial(Instant::now()).await?.into_dialogue();
    let trace = dialogue.control().trace();
    trace.record(|| What::Note("scout: can the server connect to us?".to_owned()));
    log_in(&mut dialogue, place, login, within).await?;
    Ok(dialogue)
}

/// `SITE WHOAMI`, and STAT where that is not known. No address is no error: few servers know the first, and some do not
/// tell it in the second.
pub(crate) async fn address_as_seen(
    dialogue: &mut Dialogue,
    within: Duration,
) -> Result<Option<IpAddr>> {
    let whoami = Command::Site(Text::lossy("WHOAMI"));
    let reply = dialogue.exchange(&whoami, within).await?;
    if let Some(told) = as_seen::from_whoami(&reply) {
        return Ok(Some(told));
    }
    let status = dialogue.exchange(&Command::Stat(None), within).await?;
    Ok(as_seen::from_status(&status))
}

async fn probe(place: &Place, dialogue: &mut Dialogue, attempt: &Attempt) -> Event {
    let began = Instant::now();
    let path = attempt.path;
    let mut target = None;
    match reach(place, dialogue, attempt, &mut target).await {
        Some(Ok(data)) => {
            data.abort();
            let trace = dialogue.control().trace();
            trace.record(|| What::Note("scout: it can".to_owned()));
            Event::Connected(Lane::Scout, path)
        }
        Some(Err(evidence)) => {
            let tried = Tried {
                path,
                target,
                replied: None,
                evidence,
                took: began.elapsed(),
            };
            Event::Failed(Lane::Scout, tried)
        }
        None => Event::ScoutRefused,
    }
}

/// `None`: what happened says nothing about the path, and the scout is of no use.
async fn reach(
    place: &Place,
    dialogue: &mut Dialogue,
    attempt: &Attempt,
    target: &mut Option<SocketAddr>,
) -> Option<std::result::Result<DataConnection, Evidence>> {
    let offer = attempt.path.offer;
    // As patient with the replies as with the connection: a server that says nothing is of no use here.
    let patience = attempt.patience;
    let local = dialogue.control().local_addr().ip();
    let peer = dialogue.control().peer_addr();
    let prepared = Invitation::prepare(&*place.net, &place.options, local, peer, attempt).await;
    let invitation = match prepared {
        Ok(invitation) => invitation,
        Err((told, evidence)) => {
            *target = told;
            return Some(Err(evidence));
        }
    };
    *target = Some(invitation.told);
    let reply = dialogue
        .exchange(&invitation.command, patience)
        .await
        .ok()?;
    if let Some(evidence) = Evidence::from_reply(offer, Asked::Offer, &reply) {
        return Some(Err(evidence));
    }
    if reply.class() != ReplyClass::Completion {
        return None;
    }
    let list = Command::List(ListArgument::of(None));
    dialogue.send(&list).await.ok()?;
    let guard = Guard::new(dialogue.control().peer_addr().ip());
    let trace = dialogue.control().trace().clone();
    let opening = invitation
        .port
        .open_traced(&*place.net, &guard, patience, &trace);
    tokio::pin!(opening);
    loop {
        tokio::select! {
            opened = &mut opening => return Some(opened.map_err(|error| evidence(&error))),
            reply = dialogue.any_reply() => {
                let reply = reply.ok()?;
                match reply.class() {
                    ReplyClass::Preliminary => {}
                    // A short listing may be over before we have looked at our listener. An empty one may have needed no
                    // connection, which says nothing.
                    ReplyClass::Completion => {
                        let opened = timeout(LEAST_PATIENCE.min(patience), &mut opening).await;
                        return opened.ok()?.ok().map(Ok);
                    }
                    // A forbidden one says nothing either.
                    _ => return Evidence::from_reply(offer, Asked::Transfer, &reply).map(Err),
                }
            }
        }
    }
}
