//! Opening a data connection: does what the [`Plan`] says, on this control connection and on the scout's, and tells it
//! what came of it.
//!
//! An attempt has two halves. *Reaching* arranges the data connection and, if it is ours to open and the path has not
//! carried data before, opens it: nothing has to be aborted when that fails, and it can be given up at any moment
//! (vsftpd and Pure-FTPd do not answer ABOR while they wait in `accept`). *Beginning* sends the transfer command, and waits
//! for a connection that the server opens. On a path that is proven both go out together: two round trips a file.
//!
//! The plan is worked on as a copy, so that a search that is dropped half-way leaves the client with what it knew before.

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use wharf_net::DataConnection;
use wharf_net::mapping::Mapping;
use wharf_proto::data_connection::Opener;
use wharf_proto::data_connection::guard::Guard;
use wharf_proto::data_connection::path::Attempt;
use wharf_proto::data_connection::plan::{self, Action, Asked, Event, Evidence, Lane, Plan, Tried};
use wharf_proto::{Command, Reply, ReplyClass};

use crate::client::Client;
use crate::dialogue::{LEAST_PATIENCE, seconds};
use crate::error::{Access, Error, ErrorKind, Result};
use crate::experience::Fresh;
use crate::reach::{Content, Failures, Reached, Way, evidence, tried};
use crate::scout::{Scout, address_as_seen};
use crate::secured::{Shaken, is_about_resumption};
use crate::tls::CccChoice;

/// So soon a server resets the data connection of a stranger that it has said 150 to, the way back not counted.
const SOON: Duration = Duration::from_millis(5);

/// A search that found nothing any sooner may as well be repeated for the next file.
const COSTLY: Duration = Duration::from_secs(1);

/// A transfer that has begun.
pub(crate) struct Opened {
    /// `None`: the server completed at once without opening one (some do for empty listings).
    pub(crate) data: Option<DataConnection>,
    /// The 150 or 125.
    pub(crate) preliminary: Option<Reply>,
    /// The final reply, where it came together with the data connection.
    pub(crate) completion: Option<Reply>,
    /// The way was not used before in this session.
    pub(crate) fresh: Option<Box<Fresh>>,
    /// The port of the router that leads to it; to be given back after the transfer.
    pub(crate) mapping: Option<Box<dyn Mapping>>,
}

/// How the first half of an attempt ended.
enum Half {
    Reached(Box<Reached>),
    Failed(Failures),
    Stopped(OnMain),
}

/// The part of the plan's wishes that this control connection is wanted for.
enum OnMain {
    Try(Attempt),
    Ask(Duration),
    LeaveTls,
    GiveUp,
}

impl Client {
    /// Opens a data connection for `command`, with REST before it when `offset` is not 0.
    pub(crate) async fn open_data(
        &mut self,
        command: &Command,
        offset: u64,
        content: Content,
        access: Access,
    ) -> Result<Opened> {
        // On the heap: what waits for a transfer would otherwise carry the whole search along.
        match Box::pin(self.search(command, offset, content, access)).await {
            Err(error) if error.is_not_resumed() => {
                if !self.fall_back_to_12().await? {
                    return Err(error);
                }
                Box::pin(self.search(command, offset, content, access)).await
            }
            searched => searched,
        }
    }

    async fn search(
        &mut self,
        command: &Command,
        offset: u64,
        content: Content,
        access: Access,
    ) -> Result<Opened> {
        let line = command.redacted();
        self.still_hopeless(line.split_once(' ').map_or(&*line, |(_, name)| name))?;
        let mut plan = self.plan.clone();
        let blind = self.dialogue.control().is_secured();
        let wanted = self.options().tls.ccc == CccChoice::Always;
        plan.set_blind(blind, blind && wanted);
        if let Some(known) = self.recall(&plan) {
            if known.leaves {
                let left = self.leave_tls_for_data().await?;
                plan.on(Event::LeftTls(left));
            }
            if !known.leaves || self.left_tls() {
                plan.remember(known.winner, &known.losers);
            }
            self.plan.clone_from(&plan);
        }
        plan.begin(self.dialogue.round_trip());
        let began = Instant::now();
        let mut scout = Scout::new(self.place.clone(), self.login.clone());
        let mut wanted = None;
        // Once a server had to be left because it waits for a connection of its own, the news about the way say enough.
        let mut told = usize::MAX;
        loop {
            let wanted_now = match wanted.take() {
                Some(wanted) => wanted,
                None => next(&mut plan, &mut scout, began).await,
            };
            match wanted_now {
                OnMain::GiveUp => {
                    self.learnt(&plan, None);
                    let error = self.no_way(&plan);
                    self.notes.truncate(told);
                    self.plan = plan;
                    self.hopeless = (began.elapsed() >= COSTLY).then(Instant::now);
                    return Err(error);
                }
                OnMain::Ask(within) => {
                    let told = self.ask_address(within).await?;
                    plan.on(Event::Told(Lane::Main, told));
                }
                OnMain::LeaveTls => {
                    self.learnt(&plan, None);
                    let left = self.leave_tls_for_data().await?;
                    plan.on(Event::LeftTls(left));
                    scout = Scout::new(self.place.clone(), self.login.clone());
                }
                OnMain::Try(attempt) => {
                    let reaching = self.reach(&attempt, content);
                    let reached = match beside(reaching, &mut plan, &mut scout, began).await? {
                        Half::Reached(reached) => *reached,
                        Half::Failed(failures) => {
                            for failed in failures {
                                plan.on(Event::Failed(Lane::Main, failed));
                            }
                            continue;
                        }
                        Half::Stopped(better) => {
                            wanted = Some(better);
                            continue;
                        }
                    };
                    plan.on(Event::Connected(Lane::Main, reached.path));
                    started(&mut plan, &mut scout, began);
                    let path = reached.path;
                    let stands = attempt.proven || matches!(reached.way, Way::Connected(_));
                    match self.begin(reached, command, offset, access).await {
                        Ok(Ok(opened)) => {
                            plan.worked(path);
                            self.learnt(&plan, Some(path));
                            self.notes.truncate(told);
                            self.announce(&plan);
                            self.plan = plan;
                            return Ok(opened);
                        }
                        Ok(Err(failed)) => {
                            told = told.min(self.notes.len());
                            plan.on(Event::Failed(Lane::Main, failed));
                        }
                        Err(error) => {
                            // The file is not there, say: that costs the next one no search.
                            if stands {
                                plan.stood(path);
                                self.plan = plan;
                            }
                            return Err(error);
                        }
                    }
                }
            }
        }
    }

    /// The last resort, which the user has allowed. `false`: the server does not want it.
    async fn leave_tls_for_data(&mut self) -> Result<bool> {
        match self.leave_tls().await {
            Ok(()) => {
                self.note(
                    "the control connection goes on in clear (CCC), for the sake of a firewall or NAT that must read it; \
                     the data stays in TLS"
                        .to_owned(),
                );
                Ok(true)
            }
            Err(error) if error.reply().is_some() && !self.dialogue.is_lost() => {
                tracing::info!(%error, "no CCC");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Our address as the server sees it; `None` also when it does not answer in time.
    async fn ask_address(&mut self, within: Duration) -> Result<Option<IpAddr>> {
        self.ready().await?;
        match address_as_seen(&mut self.dialogue, within).await {
            Ok(told) => Ok(told),
            Err(error) if error.lost_the_server() => Ok(None), // the next attempt brings both sides in step
            Err(error) => Err(error),
        }
    }

    /// Sends the transfer command, and takes the data connection where it does not stand yet.
    async fn begin(
        &mut self,
        reached: Reached,
        command: &Command,
        offset: u64,
        access: Access,
    ) -> Result<std::result::Result<Opened, Tried>> {
        let Reached {
            path,
            target,
            began,
            way,
            mapping,
        } = reached;
        let failed = |evidence| Ok(Err(tried(path, Some(target), None, evidence, began)));
        let fresh = path.opener == Opener::User && self.plan.proven() != Some(path);
        let at_control_port = target.port() == self.peer_addr().port();
        if let (Way::Connected(data), true) = (&way, fresh && at_control_port) {
            // One port for everything, and we may come from another address than our control connection (a pool). Then we
            // are greeted, and in the transfer the greeting would be taken for the file. Before it nobody else speaks.
            sleep(self.dialogue.round_trip().min(SOON * 200) + SOON * 4).await;
            if data.has_heard() {
                return failed(Evidence::Greeted);
            }
        }
        if offset > 0 || self.dialogue.may_hold_marker() {
            // RFC 3659 §5: REST stands immediately before the transfer command.
            let rest = Command::Rest(offset);
            let reply = self.ask(&rest).await?;
            if reply.code() != 350 {
                return Err(Error::refused(Access::Other, rest.redacted(), reply));
            }
        }
        let net = self.net();
        let guard = Guard::new(self.peer_addr().ip());
        let trace = self.dialogue.control().trace().clone();
        let (mut data, port, patience) = match way {
            Way::Connected(data) => (Some(*data), None, Duration::MAX),
            Way::Open(port, patience) => (None, Some(port), patience),
        };

        self.in_transfer = true;
        self.dialogue.send(command).await?;
        let mut deadline = Instant::now() + self.place.options.reply_timeout;
        let opening = async {
            match port {
                Some(port) => port.open_traced(&*net, &guard, patience, &trace).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(opening);
        // A server that takes us for a stranger may say nothing at all (Pure-FTPd).
        let mut doubt = Instant::now() + plan::patience(self.dialogue.round_trip());
        let (mut preliminary, mut completion) = (None, None);
        while data.is_none() || preliminary.is_none() && completion.is_none() {
            tokio::select! {
                opened = &mut opening, if data.is_none() => match opened {
                    Ok(opened) => data = Some(opened),
                    Err(_) if completion.is_some() => break,
                    Err(error) => return failed(evidence(&error)),
                },
                reply = self.dialogue.any_reply(), if completion.is_none() && !self.dialogue.is_lost() => {
                    let reply = match reply {
                        Ok(reply) => reply,
                        // All of a short file may be under way already; what the end means is judged behind it.
                        Err(error) if preliminary.is_some() && error.kind() == ErrorKind::Closed => continue,
                        Err(error) => return Err(error),
                    };
                    match reply.class() {
                        ReplyClass::Preliminary => preliminary = Some(reply),
                        ReplyClass::Completion => {
                            // Nothing more will be said; a connection that is on its way may still arrive.
                            completion = Some(reply);
                            self.in_transfer = false;
                            deadline = Instant::now() + LEAST_PATIENCE.min(patience);
                        }
                        _ => {
                            self.in_transfer = false;
                            return match Evidence::from_reply(path.offer, Asked::Transfer, &reply) {
                                Some(evidence) => failed(evidence),
                                None => Err(Error::refused(access, command.redacted(), reply)),
                            };
                        }
                    }
                }
                () = sleep_until(doubt), if fresh && data.is_some() && doubt < deadline => {
                    if data.as_ref().is_some_and(DataConnection::has_ended) {
                        return failed(Evidence::Dropped);
                    }
                    doubt += Duration::from_secs(1);
                }
                () = sleep_until(deadline) => {
                    if completion.is_some() {
                        break;
                    }
                    return Err(Error::new(ErrorKind::Timeout, format!("{}: no reply within {} s", command.redacted(), seconds(self.place.options.reply_timeout))));
                }
            }
        }
        let mut secured = false;
        if let (Some(connection), Some(session)) = (&mut data, self.dialogue.data_session()) {
            match self.shake(connection, &session, &mut completion).await? {
                Shaken::Secured => secured = true,
                Shaken::UsedUp => {
                    let what = "no TLS session left to resume";
                    return Err(Error::new(ErrorKind::Tls, what).not_resumed());
                }
                Shaken::Refused(reply, shaken) if is_about_resumption(&reply, shaken.as_ref()) => {
                    return Err(Self::not_resumed(reply));
                }
                Shaken::Refused(reply, _) => {
                    return match Evidence::from_reply(path.offer, Asked::Transfer, &reply) {
                        Some(evidence) => failed(evidence),
                        None => Err(Error::refused(access, command.redacted(), reply)),
                    };
                }
                // It had nothing to send, and what was there is not its data connection.
                Shaken::Failed(_) if completion.is_some() => data = None,
                // Whoever it is, it does not speak TLS: another way may lead to the server.
                Shaken::Failed(error) if fresh && error.distrust().is_none() => {
                    tracing::info!(%error, "data connection");
                    return failed(Evidence::Dropped);
                }
                Shaken::Failed(error) => return Err(self.insecure(error)),
            }
        }
        if let (Some(data), None, true) = (&data, &completion, fresh && !secured) {
            // It may say 150 to everybody, and look at who came only then (wharf, with 425 when it gives up).
            let moment = self.dialogue.round_trip().clamp(SOON, SOON * 10);
            if data.as_tcp().is_some() {
                sleep(moment).await;
            }
            if data.is_reset() {
                return failed(Evidence::Dropped);
            }
        }
        if data.is_none() && preliminary.is_some() && path.opener == Opener::Server {
            // It announced a data connection and says that it has sent, but not to us: whoever came was a stranger.
            return failed(Evidence::NobodyCame);
        }
        let opened = Opened {
            data,
            preliminary,
            completion,
            fresh: fresh.then(|| {
                Box::new(Fresh {
                    path,
                    target,
                    since: Instant::now(),
                })
            }),
            mapping,
        };
        Ok(Ok(opened))
    }
}

/// Lets the plan say what to start; what is for the scout is started here. Waits for the scout where this control
/// connection has nothing to do.
async fn next(plan: &mut Plan, scout: &mut Scout, began: Instant) -> OnMain {
    loop {
        if let Some(wanted) = started(plan, scout, began) {
            return wanted;
        }
        let event = scout.back().await;
        plan.on(event);
    }
}

fn started(plan: &mut Plan, scout: &mut Scout, began: Instant) -> Option<OnMain> {
    let mut wanted = None;
    for action in plan.act(began.elapsed()) {
        match action {
            Action::Try(attempt) => wanted = Some(OnMain::Try(attempt)),
            Action::AskOnMain(within) => wanted = Some(OnMain::Ask(within)),
            Action::LeaveTls => wanted = Some(OnMain::LeaveTls),
            Action::GiveUp => wanted = Some(OnMain::GiveUp),
            Action::StopMain => (), // by the caller, which has something better to do then
            Action::OpenScout { after, within } => scout.open(after, within),
            Action::AskOnScout(within) => scout.ask(within),
            Action::Probe(attempt) => scout.probe(attempt),
            Action::CloseScout => scout.close(),
        }
    }
    wanted
}
/// The first half of an attempt, while the scout goes on with its own. What the scout has proven ends it.
async fn beside(
    reaching: impl Future<Output = Result<std::result::Result<Reached, Failures>>>,
    plan: &mut Plan,
    scout: &mut Scout,
    began: Instant,
) -> Result<Half> {
    tokio::pin!(reaching);
    loop {
        tokio::select! {
            biased;
            reached = &mut reaching => return Ok(match reached? {
                Ok(reached) => Half::Reached(Box::new(reached)),
                Err(failures) => Half::Failed(failures),
            }),
            event = scout.back() => {
                plan.on(event);
                if let Some(better) = started(plan, scout, began) {
                    return Ok(Half::Stopped(better));
                }
            }
        }
    }
}
