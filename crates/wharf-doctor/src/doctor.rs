//! Gathers the facts: logs in, sends sessions for every way at once, as many as the server allows, and stops in time.
//! What to ask next is decided in [`errand`](crate::errand), what the answers mean in [`checks`](crate::checks).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use wharf_client::examine::{self, Door, Examiner, Obstacle, Probed};
use wharf_client::{Endpoint, Error, ErrorKind, FamilyChoice, Login, Options};
use wharf_net::{Net, Source, Touch, touch};
use wharf_proto::data_connection::path::{Attempt, Path};
use wharf_proto::data_connection::plan::patience;
use wharf_proto::data_connection::{Opener, as_seen, canonical};
use wharf_proto::{Command, Reply, Text};

use crate::checks;
use crate::errand::{self, Errand};
use crate::facts::{Facts, Seen};
use crate::remedy::Wording;
use crate::report::Report;
use crate::software::Software;

/// The verdict is there within 8 s; a moment of it is for saying goodbye and printing.
pub const VERDICT: Duration = Duration::from_millis(7500);

/// The session itself must have come about within this time, or there is nothing to examine.
const LOGIN: Duration = Duration::from_secs(6);

/// Control connections at once, with one family and with two: a home server allows its user three to five, as a rule.
const SESSIONS: [usize; 2] = [5, 3];

/// A server that wants no more sessions is asked again after this time.
const AGAIN: Duration = Duration::from_millis(500);

/// A hop answers within this time and three round trips: a lost packet is sent again after one second, and Linux does not
/// heed the answer of a router that is so near that it comes while the system is still connecting.
const HOP: Duration = Duration::from_millis(1200);

/// Nobody waits longer for a server that does not answer QUIT.
const GOODBYE: Duration = Duration::from_millis(300);

/// The ports after one that was silent get this much.
const NEXT_PORT: Duration = Duration::from_millis(1300);

/// What is to be examined.
pub struct Doctor {
    /// The network.
    pub net: Arc<dyn Net>,
    /// The server.
    pub endpoint: Endpoint,
    /// Who logs in.
    pub login: Login,
    /// Addresses, ports and families as for any client.
    pub options: Options,
    /// How remedies are worded.
    pub wording: Wording,
    /// Afterwards leave a control connection silent for so long.
    pub idle: Option<Duration>,
}

impl Doctor {
    /// Finds out and judges. Within [`VERDICT`], except for the idle test.
    ///
    /// # Errors
    /// Why no session came about at all: those of connecting and logging in.
    pub async fn examine(&self) -> Result<Report, Error> {
        let began = Instant::now();
        let facts = self.gather(began).await?;
        let subject = format!("ftp://{}/", self.endpoint);
        Ok(checks::report(
            &facts,
            &self.wording,
            subject,
            began.elapsed(),
        ))
    }

    /// Everything that can be seen in time.
    ///
    /// # Errors
    /// As [`examine`](Self::examine).
    pub async fn gather(&self, began: Instant) -> Result<Facts, Error> {
        let families = self.families().await;
        let share = SESSIONS
            .get(families.len().saturating_sub(1))
            .copied()
            .unwrap_or(1);
        let (v4, v6) = tokio::join!(
            self.family(&families, FamilyChoice::Ipv4, began, share),
            self.family(&families, FamilyChoice::Ipv6, began, share),
        );
        let mut facts = Facts {
            families: Vec::new(),
            absent: Vec::new(),
        };
        let mut failure: Option<Error> = None;
        for (is_ipv6, outcome) in [(false, v4), (true, v6)] {
            match outcome {
                None => {}
                Some(Ok(seen)) => facts.families.push(seen),
                Some(Err(error)) => {
                    facts.absent.push((is_ipv6, error.to_string()));
                    // A refused login says more than a missing route.
                    let says_more = error.kind() != ErrorKind::Connect;
                    if failure.is_none() || says_more {
                        failure = Some(error);
                    }
                }
            }
        }
        match failure {
            Some(error) if facts.families.is_empty() => Err(error),
            _ => Ok(facts),
        }
    }

    /// The families in which the server has an address. Where that cannot be found out, connecting says why.
    async fn families(&self) -> Vec<FamilyChoice> {
        let (host, port) = (&self.endpoint.host, self.endpoint.port);
        let resolved = timeout(LOGIN, self.net.resolve(host, port)).await;
        let all: Vec<SocketAddr> = resolved.ok().and_then(Result::ok).unwrap_or_default();
        let has = |ipv6: bool| all.iter().any(|it| canonical(it.ip()).is_ipv6() == ipv6);
        let mut families = Vec::new();
        if has(false) && self.options.family != FamilyChoice::Ipv6 {
            families.push(FamilyChoice::Ipv4);
        }
        if has(true) && self.options.family != FamilyChoice::Ipv4 {
            families.push(FamilyChoice::Ipv6);
        }
        if families.is_empty() {
            families.push(match self.options.family {
                FamilyChoice::Ipv6 => FamilyChoice::Ipv6,
                _ => FamilyChoice::Ipv4,
            });
        }
        families
    }

    async fn family(
        &self,
        wanted: &[FamilyChoice],
        family: FamilyChoice,
        began: Instant,
        sessions: usize,
    ) -> Option<Result<Seen, Error>> {
        if !wanted.contains(&family) {
            return None;
        }
        Some(self.look(family, began, sessions).await)
    }

    async fn look(
        &self,
        family: FamilyChoice,
        began: Instant,
        sessions: usize,
    ) -> Result<Seen, Error> {
        let options = Options {
            family,
            connect_timeout: self.options.connect_timeout.min(LOGIN),
            reply_timeout: self.options.reply_timeout.min(LOGIN),
            memory: None,
            ..self.options.clone()
        };
        let net = Arc::clone(&self.net);
        let within = LOGIN.saturating_sub(began.elapsed()).max(HOP);
        let login = self.login.clone();
        let mut session = examine::open(net, &self.endpoint, options, login, within).await?;
        let mut seen = ask(&mut session).await;
        seen.round_trip = session.round_trip();
        let door = session.door();
        let mut round = Round {
            net: Arc::clone(&self.net),
            door: door.clone(),
            deadline: began + VERDICT,
            most: sessions,
            waiting: errand::first(&seen).into(),
            begun: errand::first(&seen),
            idle: vec![session],
            running: JoinSet::new(),
            under_way: Vec::new(),
            again: None,
        };
        round.run(&mut seen).await;
        if let Some(time) = self.idle {
            seen.idle = Some((time, silent(&door, time).await));
        }
        Ok(seen)
    }
}

/// What the server tells of itself and of us.
async fn ask(session: &mut Examiner) -> Seen {
    let within = NEXT_PORT.max(session.round_trip() * 8);
    let whoami = session
        .ask(&Command::Site(Text::lossy("WHOAMI")), within)
        .await
        .ok();
    let status = session.ask(&Command::Stat(None), within).await.ok();
    let system = session.ask(&Command::Syst, within).await.ok();
    let told = whoami
        .as_ref()
        .and_then(as_seen::from_whoami)
        .or_else(|| status.as_ref().and_then(as_seen::from_status));
    let greeting = text(session.greeting());
    let mut said = vec![greeting];
    said.extend(system.as_ref().map(text));
    said.extend(status.as_ref().map(text));
    // A greeting can be set to anything; the form of this answer is wharf's own.
    let is_wharf = whoami
        .as_ref()
        .is_some_and(|it| as_seen::from_whoami(it).is_some());
    said.extend(is_wharf.then(|| "wharf".to_owned()));
    let software = Software::recognise(said.iter().map(String::as_str));
    let mut seen = Seen::new(session.peer_addr(), session.local_addr().ip(), software);
    seen.told = told.map(canonical);
    seen
}

fn text(reply: &Reply) -> String {
    let lines: Vec<_> = reply
        .lines()
        .iter()
        .map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned())
        .collect();
    lines.join("\n")
}

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
struct Round {
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
    async fn run(&mut self, seen: &mut Seen) {
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
        None => match timeout(LOGIN, door.enter(LOGIN)).await {
            Ok(entered) => entered.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no further session within {} s", LOGIN.as_secs())),
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
    let found = match errand {
        Errand::Punch(path, hops) => {
            let attempt = attempt(path, given, NEXT_PORT);
            Found::Punched(session.try_punched(&attempt, hops).await.map(Box::new))
        }
        Errand::Try(path, ports) => Found::Probed(ports_of(&mut session, path, ports, given).await),
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
        Errand::Try(..) | Errand::Punch(..) => Found::Probed(Vec::new()),
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

/// Leaves a session alone for so long, and asks whether it is still there.
async fn silent(door: &Door, time: Duration) -> Result<(), String> {
    let mut session = door.enter(LOGIN).await.map_err(|error| error.to_string())?;
    tokio::time::sleep(time).await;
    let answer = session.ask(&Command::Noop, LOGIN).await;
    session.quit().await;
    answer.map(|_| ()).map_err(|error| error.to_string())
}
