//! Opening a data connection: does what the [`Plan`] says, on this control connection and on the scout's, and tells it
//! what came of it.
//!
//! An attempt has two halves. *Reaching* arranges the data connection and, if it is ours to open and the path has not
//! carried data before, opens it: nothing has to be aborted when that fails, and it can be given up at any moment
//! (vsftpd and Pure-FTPd do not answer ABOR while they wait in `accept`). *Beginning* sends the transfer command, and waits
//! for a connection that the server opens. On a path that is proven both go out together: two round trips a file.
//!
//! The plan is worked on as a copy, so that a search that is dropped half-way leaves the client with what it knew before.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep_until};
use wharf_net::mapping::Mapping;
use wharf_net::{DataConnection, DataPort, OpenError, Source, Trace};
use wharf_proto::data_connection::guard::Guard;
use wharf_proto::data_connection::path::{Attempt, Path};
use wharf_proto::data_connection::plan::{Action, Asked, Event, Evidence, Lane, Plan, Tried};
use wharf_proto::data_connection::policy::{self, Targets};
use wharf_proto::data_connection::{Offer, Opener};
use wharf_proto::{Command, Reply, ReplyClass, host_port};

use crate::active::Invitation;
use crate::client::Client;
use crate::dialogue::{LEAST_PATIENCE, seconds};
use crate::error::{Access, Error, ErrorKind, Result};
use crate::memory::{Experience, Loser};
use crate::scout::{Scout, address_as_seen};

/// The address in a 227 is tried so much later than the control peer's (RFC 8305 §5: recommended 250 ms).
const STAGGER: Duration = Duration::from_millis(250);

/// A transfer that has begun.
pub(crate) struct Opened {
    /// `None`: the server completed at once without opening one (some do for empty listings).
    pub(crate) data: Option<DataConnection>,
    /// The 150 or 125.
    pub(crate) preliminary: Option<Reply>,
    /// The final reply, where it came together with the data connection.
    pub(crate) completion: Option<Reply>,
    /// The port of the router that leads to it; to be given back after the transfer.
    pub(crate) mapping: Option<Box<dyn Mapping>>,
}

/// The first half of an attempt is done.
struct Reached {
    path: Path,
    target: SocketAddr,
    began: Instant,
    way: Way,
    mapping: Option<Box<dyn Mapping>>,
}

/// How the first half of an attempt ended.
enum Half {
    Reached(Box<Reached>),
    Failed(Failures),
    Stopped(OnMain),
}

enum Way {
    Connected(Box<DataConnection>),
    /// It comes about while the transfer command is answered.
    Open(DataPort, Duration),
}

/// What an attempt without a data connection leaves: for the plan.
type Failures = Vec<Tried>;

/// Which representation a transfer needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// A file: the TYPE that the caller has set.
    File,
    /// A listing: text in whatever TYPE is set. Servers end its lines with CRLF in TYPE I as well, and a TYPE more would
    /// cost every listing two round trips.
    Listing,
}

/// The part of the plan's wishes that this control connection is wanted for.
enum OnMain {
    Try(Attempt),
    Ask(Duration),
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
        Box::pin(self.search(command, offset, content, access)).await
    }

    async fn search(
        &mut self,
        command: &Command,
        offset: u64,
        content: Content,
        access: Access,
    ) -> Result<Opened> {
        let mut plan = self.plan.clone();
        self.recall(&mut plan);
        plan.begin(self.dialogue.round_trip());
        let began = Instant::now();
        let mut scout = Scout::new(self.place.clone(), self.login.clone());
        let mut wanted = None;
        loop {
            let wanted_now = match wanted.take() {
                Some(wanted) => wanted,
                None => next(&mut plan, &mut scout, began).await,
            };
            match wanted_now {
                OnMain::GiveUp => {
                    self.learnt(&plan, None);
                    let error = self.no_way(&plan);
                    self.plan = plan;
                    return Err(error);
                }
                OnMain::Ask(within) => {
                    let told = self.ask_address(within).await?;
                    plan.on(Event::Told(Lane::Main, told));
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
                    match self.begin(reached, command, offset, access).await? {
                        Ok((path, opened)) => {
                            plan.worked(path);
                            self.learnt(&plan, Some(path));
                            self.announce(&plan);
                            self.plan = plan;
                            return Ok(opened);
                        }
                        Err(failed) => plan.on(Event::Failed(Lane::Main, failed)),
                    }
                }
            }
        }
    }

    fn no_way(&self, plan: &Plan) -> Error {
        let what = format!("no data connection to {}", self.peer_addr().ip());
        Error::new(ErrorKind::DataConnection, what).with_tried(plan.tried(), plan.explain())
    }

    /// A change of path is told once.
    fn announce(&mut self, plan: &Plan) {
        if let Some(news) = plan.news() {
            let kept = if self.remembers(plan) {
                "remembered"
            } else {
                "kept for this session"
            };
            self.note(format!("{news}, {kept}"));
        }
    }

    /// What is found out in a data mode that the user asked for says nothing about the best one.
    fn remembers(&self, plan: &Plan) -> bool {
        self.options().memory.is_some()
            && plan.policy().choice == policy::DataModeChoice::Auto
            && plan.policy().data_host == policy::DataHost::Peer
    }

    /// Before the first transfer: what earlier runs have found out.
    fn recall(&mut self, plan: &mut Plan) {
        if std::mem::replace(&mut self.recalled, true) || !self.remembers(plan) {
            return;
        }
        let (peer, own) = (plan.policy().control_peer, plan.policy().own);
        let known = self
            .options()
            .memory
            .as_ref()
            .and_then(|memory| memory.recall(self.endpoint(), peer, own, SystemTime::now()));
        if let Some(known) = known {
            let winner = known.winner.as_deref().and_then(Path::from_word);
            let losers: Vec<Path> = known
                .losers
                .iter()
                .filter_map(|it| Path::from_word(&it.way))
                .collect();
            plan.remember(winner, &losers);
            self.plan = plan.clone();
        }
    }

    /// After a search: for later runs. The memory itself sees whether anything is new.
    fn learnt(&self, plan: &Plan, winner: Option<Path>) {
        let proven = self.plan.proven().is_some() && self.plan.proven() == winner;
        let Some(memory) = self.options().memory.as_ref() else {
            return;
        };
        if !self.remembers(plan) || proven {
            return;
        }
        let losers = plan.tried().iter().filter(|it| Some(it.path) != winner);
        let experience = Experience {
            winner: winner.map(|path| path.word().to_owned()),
            losers: losers
                .map(|it| Loser {
                    way: it.path.word().to_owned(),
                    reason: it.reason(),
                })
                .collect(),
        };
        let (peer, own) = (plan.policy().control_peer, plan.policy().own);
        memory.learn(self.endpoint(), peer, own, &experience, SystemTime::now());
    }

    /// Our address as the server sees it; `None` also when it does not answer in time.
    async fn ask_address(&mut self, within: Duration) -> Result<Option<std::net::IpAddr>> {
        self.ready().await?;
        match address_as_seen(&mut self.dialogue, within).await {
            Ok(told) => Ok(told),
            Err(error) if error.lost_the_server() => Ok(None), // the next attempt brings both sides in step
            Err(error) => Err(error),
        }
    }

    /// Arranges the data connection, and opens it where that can be done before the transfer command.
    async fn reach(
        &mut self,
        attempt: &Attempt,
        content: Content,
    ) -> Result<std::result::Result<Reached, Failures>> {
        let began = Instant::now();
        self.ready().await?;
        if content == Content::File {
            self.apply_type().await?;
        }
        match attempt.path.opener {
            Opener::User => self.ask_for_port(attempt, began).await,
            Opener::Server => self.invite(attempt, began).await,
        }
    }

    async fn ask_for_port(
        &mut self,
        attempt: &Attempt,
        began: Instant,
    ) -> Result<std::result::Result<Reached, Failures>> {
        let path = attempt.path;
        let failed = |evidence| Ok(Err(vec![tried(path, None, None, evidence, began)]));
        let command = match path.offer {
            Offer::Epsv => Command::Epsv(host_port::EpsvArgument::Unspecified),
            _ => Command::Pasv,
        };
        let reply = match self.arranged(path, &command).await? {
            Ok(reply) => reply,
            Err(evidence) => return failed(evidence),
        };
        let peer = self.peer_addr();
        let text = reply.text().as_bytes();
        let named = match (path.offer, reply.code()) {
            (Offer::Epsv, 229) => {
                host_port::read_229(text).map(|port| SocketAddr::new(peer.ip(), port))
            }
            (Offer::Pasv, 227) => host_port::read_227(text).map(SocketAddr::V4),
            _ => None,
        };
        let Some(named) = named else {
            return failed(Evidence::ReplyUnreadable);
        };
        let targets = match self.plan.policy().targets(path, named) {
            Ok(targets) => targets,
            Err(evidence) => return failed(evidence),
        };
        let target = Guard::scoped(peer, targets.first);
        if attempt.proven {
            let way = Way::Open(self.port_to(target), attempt.patience);
            return Ok(Ok(Reached {
                path,
                target,
                began,
                way,
                mapping: None,
            }));
        }
        let opened = self.first_to_stand(attempt, targets).await;
        Ok(opened
            .map(|(path, target, data)| Reached {
                path,
                target,
                began,
                way: Way::Connected(Box::new(data)),
                mapping: None,
            })
            .map_err(|errors| {
                let tell = |(path, to, error): (Path, SocketAddr, OpenError)| {
                    let replied = (path.offer == Offer::Pasv && named != to).then_some(named);
                    tried(path, Some(to), replied, evidence(&error), began)
                };
                errors.into_iter().map(tell).collect()
            }))
    }

    /// Connects to the first target and, a little later or as soon as it has failed, to the one beside it.
    async fn first_to_stand(
        &self,
        attempt: &Attempt,
        targets: Targets,
    ) -> std::result::Result<(Path, SocketAddr, DataConnection), Vec<(Path, SocketAddr, OpenError)>>
    {
        let net = self.net();
        let guard = Guard::new(self.peer_addr().ip());
        let trace: Trace = self.dialogue.control().trace().clone();
        let connect = |to| {
            let port = self.port_to(to);
            port.open_traced(&*net, &guard, attempt.patience, &trace)
        };
        let first = (attempt.path, Guard::scoped(self.peer_addr(), targets.first));
        let Some(beside) = targets.beside else {
            let opened = connect(first.1).await;
            return opened
                .map(|data| (first.0, first.1, data))
                .map_err(|error| vec![(first.0, first.1, error)]);
        };
        let beside = (Path::PASV_AS_REPLIED, beside);
        let mut start = Instant::now() + STAGGER;
        let (one, other) = (connect(first.1), connect(beside.1));
        tokio::pin!(one, other);
        let mut failed = Vec::new();
        let (mut one_failed, mut other_failed) = (false, false);
        while !(one_failed && other_failed) {
            tokio::select! {
                opened = &mut one, if !one_failed => match opened {
                    Ok(data) => return Ok((first.0, first.1, data)),
                    Err(error) => {
                        failed.push((first.0, first.1, error));
                        one_failed = true;
                        start = Instant::now();
                    }
                },
                opened = async { sleep_until(start).await; (&mut other).await }, if !other_failed => match opened {
                    Ok(data) => return Ok((beside.0, beside.1, data)),
                    Err(error) => {
                        failed.push((beside.0, beside.1, error));
                        other_failed = true;
                    }
                },
            }
        }
        Err(failed)
    }

    fn port_to(&self, to: SocketAddr) -> DataPort {
        // From the address that the control connection uses: servers check that both come from one host.
        let source = match self.local_addr().ip() {
            // Means nothing without its interface, which the target names.
            std::net::IpAddr::V6(ip) if ip.is_unicast_link_local() => Source::Any,
            ip => Source::Address(ip),
        };
        DataPort::Target { source, to }
    }

    async fn invite(
        &mut self,
        attempt: &Attempt,
        began: Instant,
    ) -> Result<std::result::Result<Reached, Failures>> {
        let path = attempt.path;
        let failed = |at, evidence| Ok(Err(vec![tried(path, at, None, evidence, began)]));
        let local = self.local_addr().ip();
        let net = self.net();
        let invited = Invitation::prepare(&*net, self.options(), local, attempt).await;
        let Invitation {
            port,
            told,
            command,
            mapping,
        } = match invited {
            Ok(invitation) => invitation,
            Err((told, evidence)) => return failed(told, evidence),
        };
        match self.arranged(path, &command).await? {
            Ok(_) => Ok(Ok(Reached {
                path,
                target: told,
                began,
                way: Way::Open(port, attempt.patience),
                mapping,
            })),
            Err(evidence) => failed(Some(told), evidence),
        }
    }

    /// Sends the arranging command; a negative reply is evidence unless it is about the session as a whole.
    async fn arranged(
        &mut self,
        path: Path,
        command: &Command,
    ) -> Result<std::result::Result<Reply, Evidence>> {
        let reply = self.ask(command).await?;
        match Evidence::from_reply(path.offer, Asked::Offer, &reply) {
            Some(evidence) => Ok(Err(evidence)),
            None if reply.class() == ReplyClass::Completion => Ok(Ok(reply)),
            None => Err(Error::refused(Access::Other, command.redacted(), reply)),
        }
    }

    /// Sends the transfer command, and takes the data connection where it does not stand yet.
    async fn begin(
        &mut self,
        reached: Reached,
        command: &Command,
        offset: u64,
        access: Access,
    ) -> Result<std::result::Result<(Path, Opened), Tried>> {
        let Reached {
            path,
            target,
            began,
            way,
            mapping,
        } = reached;
        let failed = |evidence| Ok(Err(tried(path, Some(target), None, evidence, began)));
        if offset > 0 {
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
                () = sleep_until(deadline) => {
                    if completion.is_some() {
                        break;
                    }
                    return Err(Error::new(ErrorKind::Timeout, format!("{}: no reply within {} s", command.redacted(), seconds(self.place.options.reply_timeout))));
                }
            }
        }
        let opened = Opened {
            data,
            preliminary,
            completion,
            mapping,
        };
        Ok(Ok((path, opened)))
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
            Action::GiveUp => wanted = Some(OnMain::GiveUp),
            Action::StopMain => (), // by the caller, which has something better to do then
            Action::OpenScout(within) => scout.open(within),
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

fn tried(
    path: Path,
    target: Option<SocketAddr>,
    replied: Option<SocketAddr>,
    evidence: Evidence,
    began: Instant,
) -> Tried {
    Tried {
        path,
        target,
        replied,
        evidence,
        took: began.elapsed(),
    }
}

pub(crate) fn evidence(error: &OpenError) -> Evidence {
    match error {
        OpenError::NobodyCame { .. } => Evidence::NobodyCame,
        OpenError::Refused { .. } => Evidence::Refused,
        OpenError::Silent { .. } => Evidence::Silent,
        OpenError::Listener { .. } => Evidence::CannotListen,
        _ => Evidence::Unreachable,
    }
}
