//! All errands of one family: as many sessions at once as the server allows, and an end in time.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use wharf_client::examine::{Door, Examiner, Obstacle, Probed};
use wharf_net::{Net, Source, Touch, touch};
use wharf_proto::data_connection::Opener;
use wharf_proto::data_connection::path::{Attempt, Path};
use wharf_proto::data_connection::plan::patience;

use crate::errand::{self, Errand};
use crate::facts::Seen;
use crate::software::Program;

/// A further session comes about within this time.
const SESSION: Duration = Duration::from_secs(6);

/// A server that wants no more sessions is asked again after this time.
const AGAIN: Duration = Duration::from_millis(500);

/// A hop answers within this time and three round trips: a lost packet is sent again after one second, and Linux does not
/// heed the answer of a router that is so near that it comes while the system is still connecting.
pub(crate) const HOP: Duration = Duration::from_millis(1200);

/// Nobody waits longer for a server that does not answer QUIT.
const GOODBYE: Duration = Duration::from_millis(300);

/// The ports after one that was silent get this much.
pub(crate) const NEXT_PORT: Duration = Duration::from_millis(1300);

/// What a session, or nobody's session, comes back with.
struct Back {
    errand: Errand,
    session: Option<Examiner>,
    found: Found,
}

enum Found {
    Probed(Vec<Probed>),
    Punched(Option<Box<(Touch, Probed)>>),
    Touched(Vec<(u16, Touch)>),
    Near(Vec<(u8, Touch)>),
    Far(Vec<(u8, Touch)>),
    /// The server wanted no further session: the errand is still to be done.
    NoSession(String),
}

/// All errands of one family.
pub(crate) struct Round {
    net: Arc<dyn Net>,
    door: Door,
    deadline: Instant,
    /// So many sessions at once.
    most: usize,
    waiting: VecDeque<Errand>,
    /// Everything that waits, runs or is done.
    begun: Vec<Errand>,
    idle: Vec<Examiner>,
    running: JoinSet<Back>,
    under_way: Vec<Errand>,
    /// When the server is asked for a session again.
    again: Option<Instant>,
}

impl Round {
    /// With one session to begin with, and at most so many.
    pub(crate) fn new(
        net: Arc<dyn Net>,
        session: Examiner,
        most: usize,
        deadline: Instant,
    ) -> Self {
        Self {
            net,
            door: session.door(),
            deadline,
            most,
            waiting: VecDeque::new(),
            begun: Vec::new(),
            idle: vec![session],
            running: JoinSet::new(),
            under_way: Vec::new(),
            again: None,
        }
    }

    /// Does everything that follows from what was seen, until nothing is left or the time is over.
    pub(crate) async fn run(&mut self, seen: &mut Seen) {
        self.add(errand::first(seen));
        loop {
            self.start(seen);
            let pause = self.again.unwrap_or(self.deadline).min(self.deadline);
            if self.running.is_empty() && self.waiting.is_empty() {
                break;
            }
            tokio::select! {
                Some(back) = self.running.join_next() => match back {
                    Ok(back) => self.take(back, seen),
                    Err(stopped) => tracing::debug!(%stopped, "an errand was stopped"),
                },
                () = sleep_until(pause) => {
                    if Instant::now() >= self.deadline {
                        break;
                    }
                    self.again = None;
                }
            }
        }
        let left = self.under_way.iter().chain(&self.waiting);
        seen.unfinished = left.map(|errand| errand.name()).collect();
        self.running.abort_all();
        let goodbye = Instant::now() + GOODBYE;
        for session in self.idle.drain(..) {
            let _ = timeout_at(goodbye, session.quit()).await;
        }
    }

    /// Sends as many as may go.
    fn start(&mut self, seen: &Seen) {
        let mut at = 0;
        while let Some(errand) = self.waiting.get(at).copied() {
            let lonely = |it: &Errand| matches!(it, Errand::Alone(_));
            if self.under_way.iter().any(lonely) || lonely(&errand) && !self.under_way.is_empty() {
                at += 1;
                continue;
            }
            let session = if errand.needs_session() {
                let at_work = self
                    .under_way
                    .iter()
                    .filter(|it| it.needs_session())
                    .count();
                match self.idle.pop() {
                    Some(session) => Some(session),
                    None if at_work < self.most && self.again.is_none() => None,
                    None => {
                        at += 1;
                        continue;
                    }
                }
            } else {
                None
            };
            self.waiting.remove(at);
            self.under_way.push(errand);
            self.running.spawn(go(
                errand,
                session,
                self.door.clone(),
                Arc::clone(&self.net),
                Given {
                    peer: seen.peer,
                    round_trip: seen.round_trip,
                    outside: errand::outside(seen),
                    tells: seen.software.program == Program::Wharf,
                },
            ));
        }
    }

    fn take(&mut self, back: Back, seen: &mut Seen) {
        let Back {
            errand,
            session,
            found,
        } = back;
        if let Some(place) = self.under_way.iter().position(|it| *it == errand) {
            self.under_way.remove(place);
        }
        self.idle.extend(session.filter(Examiner::is_ready));
        match found {
            Found::NoSession(why) => {
                tracing::info!(%why, "no further session");
                seen.refused_session.get_or_insert(why);
                self.waiting.push_front(errand);
                let at_work = self
                    .under_way
                    .iter()
                    .filter(|it| it.needs_session())
                    .count();
                // As many as there are; and where there is none, one that is asked for again.
                self.most = (at_work + self.idle.len()).max(1);
                self.again = Some(Instant::now() + AGAIN);
            }
            Found::Probed(probes) => {
                if let Errand::Alone(path) = errand {
                    // What was seen in the crowd says nothing.
                    let crowded =
                        |it: &Probed| it.result.is_err() && errand::at_control_port(seen, it);
                    let kept: Vec<Probed> = seen
                        .probes
                        .iter()
                        .filter(|it| it.path != path || !crowded(it))
                        .cloned()
                        .collect();
                    seen.probes = kept;
                }
                for probed in probes {
                    seen.probes.push(probed);
                    if let Some(probed) = seen.probes.last() {
                        let next = errand::after(seen, probed, &self.begun);
                        self.add(next);
                    }
                }
                self.add(errand::punch(seen, &self.begun));
            }
            Found::Punched(probed) => seen.punched = probed.map(|it| *it),
            Found::Touched(touched) => seen.touched = touched,
            Found::Near(near) => {
                seen.near = near;
                self.add(errand::punch(seen, &self.begun));
            }
            Found::Far(far) => seen.far = far,
        }
    }

    fn add(&mut self, errands: impl IntoIterator<Item = Errand>) {
        for errand in errands {
            self.begun.push(errand);
            self.waiting.push_back(errand);
        }
    }
}

/// What an errand has to know.
#[derive(Clone, Copy)]
struct Given {
    peer: SocketAddr,
    round_trip: Duration,
    outside: Option<std::net::IpAddr>,
    /// Whether its STAT tells what arrived.
    tells: bool,
}

async fn go(
    errand: Errand,
    session: Option<Examiner>,
    door: Door,
    net: Arc<dyn Net>,
    given: Given,
) -> Back {
    if !errand.needs_session() {
        let found = without_session(errand, &*net, given).await;
        return Back {
            errand,
            session: None,
            found,
        };
    }
    let entered = match session {
        Some(session) => Ok(session),
        None => match timeout(SESSION, door.enter(SESSION)).await {
            Ok(entered) => entered.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no further session within {} s", SESSION.as_secs())),
        },
    };
    let mut session = match entered {
        Ok(session) => session,
        Err(why) => {
            return Back {
                errand,
                session: None,
                found: Found::NoSession(why),
            };
        }
    };
    if given.tells {
        session.ask_what_arrives();
    }
    let found = match errand {
        Errand::Punch(path, hops) => {
            let attempt = attempt(path, given, NEXT_PORT);
            Found::Punched(session.try_punched(&attempt, hops).await.map(Box::new))
        }
        Errand::Try(path, ports) => Found::Probed(ports_of(&mut session, path, ports, given).await),
        Errand::Alone(path) => Found::Probed(ports_of(&mut session, path, 1, given).await),
        Errand::OtherPorts | Errand::Near | Errand::Far(_) => Found::Probed(Vec::new()),
    };
    Back {
        errand,
        session: Some(session),
        found,
    }
}

/// The same way at several ports, as long as there is something to learn.
async fn ports_of(session: &mut Examiner, path: Path, ports: usize, given: Given) -> Vec<Probed> {
    let mut probes: Vec<Probed> = Vec::new();
    let whole = patience(given.round_trip);
    for turn in 0..ports {
        let within = match path.opener {
            Opener::User if turn > 0 => whole.min(NEXT_PORT),
            Opener::User => whole,
            // The server's connect comes a little later than ours would.
            Opener::Server => whole + Duration::from_secs(1),
        };
        let probed = session.try_path(&attempt(path, given, within)).await;
        let about_the_command = probed.replied.is_none();
        let one_port = probed
            .replied
            .is_some_and(|at| at.port() == given.peer.port());
        let lost = matches!(probed.result, Err(Obstacle::Control(_)));
        probes.push(probed);
        if about_the_command || one_port || lost || !session.is_ready() {
            break;
        }
    }
    probes
}

fn attempt(path: Path, given: Given, patience: Duration) -> Attempt {
    Attempt {
        path,
        patience,
        proven: false,
        outside: given.outside,
    }
}

async fn without_session(errand: Errand, net: &dyn Net, given: Given) -> Found {
    let source = Source::Any;
    let quick = HOP + given.round_trip * 3;
    match errand {
        Errand::OtherPorts => {
            let at = |port| SocketAddr::new(given.peer.ip(), port);
            let [one, other] = errand::OTHER_PORTS;
            let within = patience(given.round_trip);
            let (a, b) = tokio::join!(
                touch(net, source, at(one), None, within),
                touch(net, source, at(other), None, within),
            );
            Found::Touched(vec![(one, a), (other, b)])
        }
        Errand::Near => Found::Near(hops(net, given.peer, 1, errand::NEAR, quick).await),
        Errand::Far(to) => Found::Far(hops(net, to, 1, errand::FAR, quick).await),
        Errand::Try(..) | Errand::Alone(_) | Errand::Punch(..) => Found::Probed(Vec::new()),
    }
}

/// Touches `to` with each of these limits at once.
async fn hops(
    net: &dyn Net,
    to: SocketAddr,
    from: u8,
    until: u8,
    within: Duration,
) -> Vec<(u8, Touch)> {
    let limits: Vec<u8> = (from..=until).collect();
    let mut found = Vec::new();
    // Without tasks: the network is borrowed.
    let mut running: Vec<_> = limits
        .iter()
        .map(|limit| {
            let limit = *limit;
            Box::pin(async move {
                (
                    limit,
                    touch(net, Source::Any, to, Some(limit), within).await,
                )
            })
        })
        .collect();
    std::future::poll_fn(|cx| {
        running.retain_mut(|it| match it.as_mut().poll(cx) {
            std::task::Poll::Ready(done) => {
                found.push(done);
                false
            }
            std::task::Poll::Pending => true,
        });
        if running.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    found.sort_unstable_by_key(|(limit, _)| *limit);
    found
}
