//! A simulated network, and a search in it.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wharf_proto::Reply;
use wharf_proto::data_connection::path::{Address, Attempt, Path};
use wharf_proto::data_connection::plan::{Action, Asked, Event, Evidence, Lane, Plan, Tried};
use wharf_proto::data_connection::policy::{DataModeChoice, PathPolicy};
use wharf_proto::data_connection::{Offer, Opener};

pub(crate) const ROUND_TRIP: Duration = Duration::from_millis(20);

/// Everything is over by then, the commands around a transfer not counted.
pub(crate) const END: Duration = Duration::from_secs(8);

/// What happens to an attempt in a simulated network.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Works,
    /// The arranging command is answered so.
    Command(u16, &'static str),
    /// The transfer command is answered 425 while nothing is connected.
    Transfer,
    Silent,
    Refused,
    Unreachable,
    NoMapper,
}
pub(crate) use Fate::{Command, NoMapper, Refused, Silent, Transfer, Unreachable, Works};

pub(crate) const UNKNOWN: Fate = Command(500, "what");
/// vsftpd
pub(crate) const ILLEGAL: Fate = Command(500, "Illegal PORT command.");
/// Pure-FTPd
pub(crate) const ONLY_TO: Fate = Command(
    500,
    "I won't open a connection to 192.168.10.2 (only to 198.51.100.1)",
);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    pub(crate) epsv: Fate,
    pub(crate) pasv: Fate,
    pub(crate) replied: Fate,
    /// PORT with our own address; EPRT and LPRT, too, unless `eprt` says otherwise.
    pub(crate) own: Fate,
    pub(crate) eprt: Option<Fate>,
    pub(crate) mapped: Fate,
    pub(crate) outside: Fate,
    /// A second login is allowed.
    pub(crate) scout: bool,
    /// What the server tells about our address when asked.
    pub(crate) told: Option<&'static str>,
}

pub(crate) const FINE: Network = Network {
    epsv: Works,
    pasv: Works,
    replied: Works,
    own: Works,
    eprt: None,
    mapped: Works,
    outside: Works,
    scout: true,
    told: Some(OWN),
};
pub(crate) const DROPPED: Network = Network {
    epsv: Silent,
    pasv: Silent,
    replied: Silent,
    ..FINE
};
pub(crate) const BEHIND_NAT: Network = Network {
    own: ILLEGAL,
    outside: Silent,
    told: Some("198.51.100.1"),
    ..DROPPED
};
pub(crate) const NOTHING: Network = Network {
    own: Silent,
    mapped: Silent,
    outside: Silent,
    ..DROPPED
};

pub(crate) const OWN: &str = "198.51.100.7";
pub(crate) const PEER: &str = "203.0.113.9";

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn auto() -> PathPolicy {
    PathPolicy::auto(ip(PEER), ip(OWN))
}

pub(crate) fn inside() -> PathPolicy {
    PathPolicy {
        mapper: true,
        ..PathPolicy::auto(ip(PEER), ip("192.168.10.2"))
    }
}

pub(crate) fn only(offer: Offer) -> PathPolicy {
    PathPolicy {
        choice: DataModeChoice::Only(offer),
        ..inside()
    }
}

impl Network {
    pub(crate) fn fate(&self, path: Path) -> Fate {
        match path.address {
            Address::ControlPeer if path.offer == Offer::Epsv => self.epsv,
            Address::ControlPeer => self.pasv,
            Address::AsReplied => self.replied,
            Address::Own if path.offer == Offer::Port => self.own,
            Address::Own => self.eprt.unwrap_or(self.own),
            Address::Mapped => self.mapped,
            Address::Outside => self.outside,
        }
    }

    /// What becomes of an attempt, and when.
    pub(crate) fn outcome(
        &self,
        lane: Lane,
        attempt: &Attempt,
        round_trip: Duration,
    ) -> (Duration, Vec<Event>) {
        let path = attempt.path;
        let (took, evidence) = match self.fate(path) {
            Works => {
                let took = round_trip * 3;
                return (took, vec![Event::Connected(lane, path)]);
            }
            Command(code, text) => {
                let reply = Reply::new(code, text);
                let evidence = Evidence::from_reply(path.offer, Asked::Offer, &reply).unwrap();
                (round_trip, evidence)
            }
            Transfer | Refused | Unreachable if path.opener == Opener::Server => {
                (round_trip * 2, Evidence::NoDataConnection { code: 425 })
            }
            Transfer => (round_trip * 2, Evidence::NoDataConnection { code: 425 }),
            Silent if path.opener == Opener::User => {
                (round_trip + attempt.patience, Evidence::Silent)
            }
            Silent => (round_trip * 2 + attempt.patience, Evidence::NobodyCame),
            Refused => (round_trip * 2, Evidence::Refused),
            Unreachable => (round_trip * 2, Evidence::Unreachable),
            NoMapper => (Duration::from_secs(2), Evidence::NoMapper),
        };
        let tried = |path| Tried {
            path,
            target: Some(SocketAddr::new(ip(PEER), 50_000)),
            replied: None,
            evidence,
            took,
        };
        (took, vec![Event::Failed(lane, tried(path))])
    }
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Works(Path),
    NothingLeft,
}

impl End {
    pub(crate) fn winner(self) -> Option<Path> {
        match self {
            Self::Works(path) => Some(path),
            Self::NothingLeft => None,
        }
    }
}

/// A search that is under way.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) network: Network,
    pub(crate) round_trip: Duration,
    pub(crate) now: Duration,
    pub(crate) main: Option<(Duration, Option<Attempt>, Vec<Event>)>,
    pub(crate) scout: Option<(Duration, Vec<Event>)>,
    pub(crate) told: String,
    pub(crate) attempts: u32,
    pub(crate) seen: Vec<Tried>,
    /// What the network is like when the control connection can be read; `None`: the server does not leave TLS.
    pub(crate) clear: Option<Box<Network>>,
}

impl Run {
    pub(crate) fn new(mut plan: Plan, network: Network, round_trip: Duration) -> Self {
        plan.begin(round_trip);
        Self {
            plan,
            network,
            round_trip,
            now: Duration::ZERO,
            main: None,
            scout: None,
            told: String::new(),
            attempts: 0,
            seen: Vec::new(),
            clear: None,
        }
    }

    pub(crate) fn say(&mut self, what: impl std::fmt::Display) {
        let _ = write!(self.told, "{:.1} {what}; ", self.now.as_secs_f64());
    }

    /// Starts what the plan says. The result: it is over, with this path.
    pub(crate) fn start(&mut self) -> Option<End> {
        let round_trip = self.round_trip;
        for action in self.plan.act(self.now) {
            match action {
                Action::Try(attempt) => {
                    assert!(self.main.is_none(), "two attempts on main: {}", self.told);
                    if attempt.path.opener == Opener::Server {
                        assert!(self.scout.is_none(), "active on both: {}", self.told);
                    }
                    self.check(&attempt);
                    self.say(format_args!(
                        "{} {:.1}",
                        attempt.path,
                        attempt.patience.as_secs_f64()
                    ));
                    let (took, events) = self.network.outcome(Lane::Main, &attempt, round_trip);
                    self.main = Some((self.now + took, Some(attempt), events));
                }
                Action::AskOnMain(_) => {
                    assert!(self.main.is_none(), "two things on main: {}", self.told);
                    self.say("ask");
                    let told = Event::Told(Lane::Main, self.network.told.map(ip));
                    self.main = Some((self.now + round_trip * 2, None, vec![told]));
                }
                Action::StopMain => {
                    self.say("stop");
                    let (_, attempt, _) = self.main.take().expect("something to stop");
                    assert!(attempt.is_none_or(|it| it.path.opener == Opener::User));
                }
                Action::OpenScout { after, within } => {
                    assert!(self.scout.is_none());
                    let login = round_trip * 4;
                    let allowed = self.network.scout && login <= within;
                    let event = if allowed {
                        Event::ScoutReady
                    } else {
                        Event::ScoutRefused
                    };
                    self.scout = Some((self.now + after + login.min(within), vec![event]));
                }
                Action::AskOnScout(_) => {
                    assert!(self.scout.is_none());
                    self.say("scout asks");
                    let told = Event::Told(Lane::Scout, self.network.told.map(ip));
                    self.scout = Some((self.now + round_trip * 2, vec![told]));
                }
                Action::Probe(attempt) => {
                    assert!(self.scout.is_none());
                    assert_eq!(attempt.path.opener, Opener::Server);
                    self.check(&attempt);
                    self.say(format_args!(
                        "scout {} {:.1}",
                        attempt.path,
                        attempt.patience.as_secs_f64()
                    ));
                    let (took, events) = self.network.outcome(Lane::Scout, &attempt, round_trip);
                    self.scout = Some((self.now + took, events));
                }
                Action::CloseScout => self.scout = None,
                Action::LeaveTls => {
                    assert!(self.main.is_none() && self.scout.is_none());
                    self.say("CCC");
                    let left = self.clear.is_some();
                    if let Some(network) = self.clear.take() {
                        self.network = *network;
                        self.seen.clear();
                    }
                    let event = Event::LeftTls(left);
                    self.main = Some((self.now + round_trip * 3, None, vec![event]));
                }
                Action::GiveUp => {
                    assert!(self.main.is_none() && self.scout.is_none());
                    self.say("nothing left");
                    return Some(End::NothingLeft);
                }
            }
        }
        assert!(
            self.main.is_some() || self.scout.is_some(),
            "nothing happens: {}",
            self.told
        );
        None
    }

    /// Nothing is tried that was ruled out, and nothing for ever.
    pub(crate) fn check(&mut self, attempt: &Attempt) {
        self.attempts += 1;
        assert!(self.attempts < 20, "{}", self.told);
        let path = attempt.path;
        for tried in &self.seen {
            let same_way = tried.path.opener == path.opener && tried.path.address == path.address;
            let out = match tried.evidence {
                Evidence::AddressRefused { .. } if self.plan.policy().external_address => {
                    tried.path.offer == path.offer
                }
                Evidence::CommandRefused { code: 500.. } => tried.path.offer == path.offer,
                Evidence::AddressRefused { .. }
                | Evidence::NobodyCame
                | Evidence::NoDataConnection { .. } => same_way,
                Evidence::Silent | Evidence::Unreachable => tried.path == path,
                Evidence::NoMapper => path.address == Address::Mapped,
                _ => false,
            };
            assert!(!out, "{path} was ruled out by {tried}: {}", self.told);
        }
    }

    /// One lane comes to its end. The result: it is over, with this path.
    pub(crate) fn end_of(&mut self, lane: Lane) -> Option<End> {
        let (end, events) = match lane {
            Lane::Main => self.main.take().map(|(end, _, events)| (end, events)),
            Lane::Scout => self.scout.take(),
        }
        .expect("a lane that runs");
        self.now = self.now.max(end);
        for event in events {
            self.plan.on(event);
            match event {
                Event::Connected(Lane::Main, path) => {
                    self.plan.act(self.now); // closes the scout
                    self.plan.worked(path);
                    self.say("works");
                    assert_eq!(self.plan.act(self.now), [], "there is an end");
                    return Some(End::Works(path));
                }
                Event::Failed(_, tried) => self.seen.push(tried),
                _ => {}
            }
        }
        None
    }

    /// In the order of time.
    pub(crate) fn finish(mut self) -> (Plan, Option<Path>, Duration, String) {
        loop {
            if let Some(end) = self.start() {
                return (self.plan, end.winner(), self.now, self.told);
            }
            let main = self.main.as_ref().map_or(Duration::MAX, |it| it.0);
            let scout = self.scout.as_ref().map_or(Duration::MAX, |it| it.0);
            let lane = if main <= scout {
                Lane::Main
            } else {
                Lane::Scout
            };
            if let Some(end) = self.end_of(lane) {
                return (self.plan, end.winner(), self.now, self.told);
            }
        }
    }

    /// In every order of the lanes.
    pub(crate) fn every_order(mut self, ends: &mut Vec<(Option<Path>, Duration, String)>) {
        if let Some(end) = self.start() {
            ends.push((end.winner(), self.now, self.told));
            return;
        }
        for lane in [Lane::Main, Lane::Scout] {
            let runs = match lane {
                Lane::Main => self.main.is_some(),
                Lane::Scout => self.scout.is_some(),
            };
            if !runs {
                continue;
            }
            let mut next = self.clone();
            match next.end_of(lane) {
                Some(end) => ends.push((end.winner(), next.now, next.told)),
                None => next.every_order(ends),
            }
        }
    }
}
