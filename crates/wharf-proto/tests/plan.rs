//! The search for a data connection against simulated networks: what is tried on which control connection, in which order
//! and for how long; and, in every order in which the lanes may come to an end, what must always hold.

#![allow(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes the tables"
)]

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use expect_test::expect;
use proptest::prelude::*;
use wharf_proto::Reply;
use wharf_proto::data_connection::path::{Address, Attempt, Path};
use wharf_proto::data_connection::plan::{
    Action, Asked, Event, Evidence, Lane, Plan, Tried, patience,
};
use wharf_proto::data_connection::policy::{DataHost, DataModeChoice, PathPolicy};
use wharf_proto::data_connection::{Offer, Opener};

const ROUND_TRIP: Duration = Duration::from_millis(20);

/// Everything is over by then, the commands around a transfer not counted.
const END: Duration = Duration::from_secs(8);

/// What happens to an attempt in a simulated network.
#[derive(Clone, Copy, Debug)]
enum Fate {
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
use Fate::{Command, NoMapper, Refused, Silent, Transfer, Unreachable, Works};

const UNKNOWN: Fate = Command(500, "what");
/// vsftpd
const ILLEGAL: Fate = Command(500, "Illegal PORT command.");
/// Pure-FTPd
const ONLY_TO: Fate = Command(
    500,
    "I won't open a connection to 192.168.10.2 (only to 198.51.100.1)",
);

#[derive(Clone, Copy, Debug)]
struct Network {
    epsv: Fate,
    pasv: Fate,
    replied: Fate,
    /// PORT with our own address; EPRT and LPRT, too, unless `eprt` says otherwise.
    own: Fate,
    eprt: Option<Fate>,
    mapped: Fate,
    outside: Fate,
    /// A second login is allowed.
    scout: bool,
    /// What the server tells about our address when asked.
    told: Option<&'static str>,
}

const FINE: Network = Network {
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
const DROPPED: Network = Network {
    epsv: Silent,
    pasv: Silent,
    replied: Silent,
    ..FINE
};
const BEHIND_NAT: Network = Network {
    own: ILLEGAL,
    outside: Silent,
    told: Some("198.51.100.1"),
    ..DROPPED
};
const NOTHING: Network = Network {
    own: Silent,
    mapped: Silent,
    outside: Silent,
    ..DROPPED
};

const OWN: &str = "198.51.100.7";
const PEER: &str = "203.0.113.9";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn auto() -> PathPolicy {
    PathPolicy::auto(ip(PEER), ip(OWN))
}

fn inside() -> PathPolicy {
    PathPolicy {
        mapper: true,
        ..PathPolicy::auto(ip(PEER), ip("192.168.10.2"))
    }
}

fn only(offer: Offer) -> PathPolicy {
    PathPolicy {
        choice: DataModeChoice::Only(offer),
        ..inside()
    }
}

impl Network {
    fn fate(&self, path: Path) -> Fate {
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
    fn outcome(
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
enum End {
    Works(Path),
    NothingLeft,
}

impl End {
    fn winner(self) -> Option<Path> {
        match self {
            Self::Works(path) => Some(path),
            Self::NothingLeft => None,
        }
    }
}

/// A search that is under way.
#[derive(Clone)]
struct Run {
    plan: Plan,
    network: Network,
    round_trip: Duration,
    now: Duration,
    main: Option<(Duration, Option<Attempt>, Vec<Event>)>,
    scout: Option<(Duration, Vec<Event>)>,
    told: String,
    attempts: u32,
    seen: Vec<Tried>,
}

impl Run {
    fn new(mut plan: Plan, network: Network, round_trip: Duration) -> Self {
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
        }
    }

    fn say(&mut self, what: impl std::fmt::Display) {
        let _ = write!(self.told, "{:.1} {what}; ", self.now.as_secs_f64());
    }

    /// Starts what the plan says. The result: it is over, with this path.
    fn start(&mut self) -> Option<End> {
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
    fn check(&mut self, attempt: &Attempt) {
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
    fn end_of(&mut self, lane: Lane) -> Option<End> {
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
    fn finish(mut self) -> (Plan, Option<Path>, Duration, String) {
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
    fn every_order(mut self, ends: &mut Vec<(Option<Path>, Duration, String)>) {
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

fn told(policy: PathPolicy, network: Network) -> String {
    let (plan, winner, took, told) = Run::new(Plan::new(policy), network, ROUND_TRIP).finish();
    assert!(took <= END, "{told}");
    let news = winner.and(plan.news());
    let told = told.trim_end_matches("; ");
    news.map_or(told.to_owned(), |news| format!("{told}\n    {news}"))
}

#[test]
fn searches_in_the_networks_of_the_field() {
    let ipv6 = PathPolicy::auto(ip("2001:db8::9"), ip("2001:db8::1"));
    let following = PathPolicy {
        data_host: DataHost::Reply,
        ..auto()
    };
    let choice = |choice| PathPolicy { choice, ..auto() };
    let table = [
        ("all open", auto(), FINE),
        (
            "EPSV unknown",
            auto(),
            Network {
                epsv: UNKNOWN,
                ..FINE
            },
        ),
        (
            "a box that reads only PASV drops EPSV's port",
            auto(),
            Network {
                epsv: Silent,
                ..FINE
            },
        ),
        (
            "the same box rejects",
            auto(),
            Network {
                epsv: Refused,
                ..FINE
            },
        ),
        ("passive ports dropped", auto(), DROPPED),
        (
            "passive ports rejected",
            auto(),
            Network {
                epsv: Refused,
                pasv: Refused,
                ..DROPPED
            },
        ),
        (
            "passive ports rejected with ICMP",
            auto(),
            Network {
                epsv: Unreachable,
                pasv: Unreachable,
                ..DROPPED
            },
        ),
        (
            "passive commands refused",
            auto(),
            Network {
                epsv: UNKNOWN,
                pasv: UNKNOWN,
                ..FINE
            },
        ),
        (
            "425 to the transfer",
            auto(),
            Network {
                epsv: Transfer,
                pasv: Transfer,
                ..FINE
            },
        ),
        (
            "dropped, one session only",
            auto(),
            Network {
                scout: false,
                ..DROPPED
            },
        ),
        (
            "dropped, PORT unknown",
            auto(),
            Network {
                own: UNKNOWN,
                eprt: Some(Works),
                ..DROPPED
            },
        ),
        (
            "dropped, NAT, the router maps (vsftpd)",
            inside(),
            BEHIND_NAT,
        ),
        (
            "dropped, NAT, the router maps (Pure-FTPd, one session)",
            inside(),
            Network {
                own: ONLY_TO,
                scout: false,
                told: None,
                ..BEHIND_NAT
            },
        ),
        (
            "dropped, NAT, the router maps (ProFTPD tries the outside address)",
            inside(),
            Network {
                own: Silent,
                ..BEHIND_NAT
            },
        ),
        (
            "dropped, NAT, no router maps, ports are kept",
            inside(),
            Network {
                mapped: NoMapper,
                outside: Works,
                ..BEHIND_NAT
            },
        ),
        (
            "dropped, NAT, nothing helps",
            inside(),
            Network {
                mapped: NoMapper,
                ..BEHIND_NAT
            },
        ),
        (
            "dropped, NAT, nothing helps (ProFTPD)",
            inside(),
            Network {
                own: Silent,
                mapped: NoMapper,
                ..BEHIND_NAT
            },
        ),
        (
            "dropped, NAT with a helper",
            inside(),
            Network {
                own: Works,
                ..BEHIND_NAT
            },
        ),
        (
            "balancer: the server sees another address",
            PathPolicy {
                mapper: true,
                ..auto()
            },
            Network {
                own: ILLEGAL,
                told: Some("10.20.0.1"),
                ..DROPPED
            },
        ),
        ("both sides drop", auto(), NOTHING),
        (
            "both sides drop, one session only",
            auto(),
            Network {
                scout: false,
                ..NOTHING
            },
        ),
        ("IPv6 dropped", ipv6.clone(), DROPPED),
        (
            "IPv6 through NAT64: EPRT's family refused",
            ipv6,
            Network {
                own: Command(522, "use (1)"),
                ..DROPPED
            },
        ),
        (
            "balancer, reply followed",
            following,
            Network {
                replied: Works,
                ..DROPPED
            },
        ),
        ("only epsv", only(Offer::Epsv), DROPPED),
        (
            "only epsv, the first port refused",
            only(Offer::Epsv),
            Network {
                epsv: Refused,
                ..FINE
            },
        ),
        ("passive", choice(DataModeChoice::Passive), DROPPED),
        ("active", choice(DataModeChoice::Active), FINE),
        ("active, silence", choice(DataModeChoice::Active), NOTHING),
        (
            "port behind NAT, the router maps",
            only(Offer::Port),
            Network {
                epsv: Works,
                ..BEHIND_NAT
            },
        ),
        (
            "port behind NAT, no router maps",
            only(Offer::Port),
            Network {
                epsv: Works,
                mapped: NoMapper,
                ..BEHIND_NAT
            },
        ),
        (
            "port behind NAT, 425 (ProFTPD, the NAT rejects)",
            only(Offer::Port),
            Network {
                epsv: Works,
                own: Transfer,
                mapped: NoMapper,
                ..BEHIND_NAT
            },
        ),
        (
            "port behind NAT, silence",
            only(Offer::Port),
            Network {
                epsv: Works,
                own: Silent,
                mapped: NoMapper,
                ..BEHIND_NAT
            },
        ),
        (
            "eprt behind NAT",
            only(Offer::Eprt),
            Network {
                epsv: Works,
                mapped: NoMapper,
                ..BEHIND_NAT
            },
        ),
        (
            "a configured address that is refused leaves the other command",
            PathPolicy {
                external_address: true,
                choice: DataModeChoice::Active,
                ..inside()
            },
            Network {
                eprt: Some(Works),
                ..BEHIND_NAT
            },
        ),
    ];
    let mut all = String::new();
    for (name, policy, network) in table {
        let _ = writeln!(all, "{name}\n    {}", told(policy, network));
    }
    expect![[r#"
        all open
            0.0 EPSV 1.3; 0.1 works
        EPSV unknown
            0.0 EPSV 1.3; 0.0 PASV 1.3; 0.1 works
            the server answers EPSV with 500; PASV works instead
        a box that reads only PASV drops EPSV's port
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.4 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; PASV works instead
        the same box rejects
            0.0 EPSV 1.3; 0.0 PASV 1.3; 0.1 works
            203.0.113.9:50000 refused the connection (EPSV); PASV works instead
        passive ports dropped
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 2.3; 1.8 stop; 1.8 PORT 2.3; 1.8 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; the server connects to us instead (PORT)
        passive ports rejected
            0.0 EPSV 1.3; 0.0 PASV 1.3; 0.2 scout asks; 0.2 scout PORT 2.3; 0.3 PORT 2.3; 0.3 works
            203.0.113.9:50000 refused the connection (EPSV); the server connects to us instead (PORT)
        passive ports rejected with ICMP
            0.0 EPSV 1.3; 0.0 PASV 1.3; 0.4 scout asks; 0.4 scout PORT 2.3; 0.5 PORT 2.3; 0.5 works
            203.0.113.9:50000 cannot be reached (EPSV); the server connects to us instead (PORT)
        passive commands refused
            0.0 EPSV 1.3; 0.0 PASV 1.3; 0.1 scout asks; 0.2 scout PORT 2.3; 0.2 PORT 2.3; 0.3 works
            the server answers EPSV with 500; the server connects to us instead (PORT)
        425 to the transfer
            0.0 EPSV 1.3; 0.1 scout asks; 0.2 scout PORT 2.3; 0.2 PORT 2.3; 0.3 works
            EPSV: the server answered 425; the server connects to us instead (PORT)
        dropped, one session only
            0.0 EPSV 1.3; 1.3 PASV 1.3; 2.6 PORT 2.3; 2.7 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; the server connects to us instead (PORT)
        dropped, PORT unknown
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 2.3; 1.7 scout EPRT 2.3; 1.8 stop; 1.8 EPRT 2.3; 1.8 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; the server connects to us instead (EPRT)
        dropped, NAT, the router maps (vsftpd)
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 2.3; 1.7 scout PORT (mapped port) 2.3; 1.8 stop; 1.8 PORT (mapped port) 2.3; 1.8 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; the server connects to a port that the router forwards (PORT)
        dropped, NAT, the router maps (Pure-FTPd, one session)
            0.0 EPSV 1.3; 1.3 PASV 1.3; 2.6 ask; 2.7 PORT 2.3; 2.7 PORT (mapped port) 2.3; 2.8 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; the server connects to a port that the router forwards (PORT)
        dropped, NAT, the router maps (ProFTPD tries the outside address)
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 2.3; 4.1 scout PORT (mapped port) 2.3; 4.2 PORT (mapped port) 2.3; 4.2 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; the server connects to a port that the router forwards (PORT)
        dropped, NAT, no router maps, ports are kept
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 2.3; 1.7 scout PORT (mapped port) 2.3; 3.7 scout PORT (outside address) 2.3; 3.8 PORT (outside address) 2.3; 3.8 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; the server connects to our outside address (PORT)
        dropped, NAT, nothing helps
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 2.3; 1.7 scout PORT (mapped port) 2.3; 3.7 scout PORT (outside address) 2.3; 6.0 nothing left
        dropped, NAT, nothing helps (ProFTPD)
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 2.3; 4.1 scout PORT (mapped port) 2.3; 6.1 nothing left
        dropped, NAT with a helper
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 2.3; 1.8 stop; 1.8 PORT 2.3; 1.8 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; the server connects to us instead (PORT)
        balancer: the server sees another address
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 2.3; 2.6 nothing left
        both sides drop
            0.0 EPSV 1.3; 1.3 PASV 1.3; 1.6 scout asks; 1.7 scout PORT 2.3; 4.0 nothing left
        both sides drop, one session only
            0.0 EPSV 1.3; 1.3 PASV 1.3; 2.6 PORT 2.3; 5.0 nothing left
        IPv6 dropped
            0.0 EPSV 1.3; 1.4 scout asks; 1.4 scout EPRT 2.3; 1.5 EPRT 2.3; 1.6 works
            no answer from 203.0.113.9:50000 (EPSV) in 1.3 s; the server connects to us instead (EPRT)
        IPv6 through NAT64: EPRT's family refused
            0.0 EPSV 1.3; 1.4 scout asks; 1.4 scout EPRT 2.3; 1.5 nothing left
        balancer, reply followed
            0.0 PASV (address in the reply) 1.3; 0.1 works
        only epsv
            0.0 EPSV 1.3; 1.3 nothing left
        only epsv, the first port refused
            0.0 EPSV 1.3; 0.0 EPSV 1.3; 0.1 nothing left
        passive
            0.0 EPSV 1.3; 1.3 PASV 1.3; 2.6 nothing left
        active
            0.0 PORT 2.3; 0.1 works
        active, silence
            0.0 PORT 2.3; 2.3 nothing left
        port behind NAT, the router maps
            0.0 ask; 0.0 PORT 2.3; 0.1 PORT (mapped port) 2.3; 0.1 works
            behind NAT, the server refused 203.0.113.9 (PORT); the server connects to a port that the router forwards (PORT)
        port behind NAT, no router maps
            0.0 ask; 0.0 PORT 2.3; 0.1 PORT (mapped port) 2.3; 2.1 EPSV 1.3; 2.1 works
            behind NAT, the server refused 203.0.113.9 (PORT); we connect to the server instead (EPSV)
        port behind NAT, 425 (ProFTPD, the NAT rejects)
            0.0 ask; 0.0 PORT 2.3; 0.1 PORT (mapped port) 2.3; 2.1 EPSV 1.3; 2.1 works
            PORT: the server answered 425; we connect to the server instead (EPSV)
        port behind NAT, silence
            0.0 ask; 0.0 PORT 2.3; 2.4 PORT (mapped port) 2.3; 4.4 nothing left
        eprt behind NAT
            0.0 ask; 0.0 EPRT 2.3; 0.1 EPRT (mapped port) 2.3; 2.1 EPSV 1.3; 2.1 works
            behind NAT, the server refused 203.0.113.9 (EPRT); we connect to the server instead (EPSV)
        a configured address that is refused leaves the other command
            0.0 PORT 2.3; 0.0 EPRT 2.3; 0.1 works
            behind NAT, the server refused 203.0.113.9 (PORT); the server connects to us instead (EPRT)
    "#]].assert_eq(&all);
}

#[test]
fn what_worked_goes_first_until_it_fails() {
    let mut plan = Plan::new(auto());
    let mut all = String::new();
    for network in [
        Network {
            epsv: Silent,
            ..FINE
        },
        Network {
            epsv: Silent,
            ..FINE
        },
        Network {
            pasv: Refused,
            ..FINE
        },
        FINE,
    ] {
        let (next, _, _, told) = Run::new(plan, network, ROUND_TRIP).finish();
        plan = next;
        let _ = writeln!(all, "{told}");
    }
    expect![[r"
        0.0 EPSV 1.3; 1.3 PASV 1.3; 1.4 works; 
        0.0 PASV 1.3; 0.1 works; 
        0.0 PASV 1.3; 0.0 EPSV 1.3; 0.1 works; 
        0.0 EPSV 1.3; 0.1 works; 
    "]]
    .assert_eq(&all);
}

#[test]
fn what_is_remembered_goes_first_and_needs_no_scout() {
    let mut all = String::new();
    for (winner, losers, network) in [
        (Path::PORT, &[Path::EPSV, Path::PASV][..], DROPPED),
        (
            Path::PORT_MAPPED,
            &[Path::EPSV, Path::PASV, Path::PORT],
            BEHIND_NAT,
        ),
        (Path::PASV, &[Path::EPSV], FINE),
        (
            Path::PASV_AS_REPLIED,
            &[Path::EPSV],
            Network {
                replied: Works,
                ..DROPPED
            },
        ),
        // It has become wrong.
        (Path::PORT, &[], NOTHING),
        (
            Path::PORT,
            &[],
            Network {
                own: Silent,
                ..FINE
            },
        ),
        (Path::PASV, &[Path::EPSV], DROPPED),
    ] {
        let mut plan = Plan::new(inside());
        plan.remember(Some(winner), losers);
        let (_, _, took, told) = Run::new(plan, network, ROUND_TRIP).finish();
        assert!(took <= END, "{told}");
        let _ = writeln!(all, "{winner}: {told}");
    }
    expect![[r#"
        PORT: 0.0 PORT 2.3; 0.1 works; 
        PORT (mapped port): 0.0 PORT (mapped port) 2.3; 0.1 works; 
        PASV: 0.0 PASV 1.3; 0.1 works; 
        PASV (address in the reply): 0.0 PASV (address in the reply) 1.3; 0.1 works; 
        PORT: 0.0 PORT 2.3; 2.3 EPSV 1.3; 2.7 scout asks; 2.7 scout PORT (mapped port) 2.3; 3.7 PASV 1.3; 5.0 nothing left; 
        PORT: 0.0 PORT 2.3; 2.3 EPSV 1.3; 2.4 works; 
        PASV: 0.0 PASV 1.3; 1.4 scout asks; 1.4 scout PORT 2.3; 1.5 PORT 2.3; 1.6 works; 
    "#]]
    .assert_eq(&all);
}

#[test]
fn a_refused_command_is_not_asked_again_in_the_session() {
    let refusing = Network {
        epsv: UNKNOWN,
        pasv: UNKNOWN,
        own: UNKNOWN,
        ..FINE
    };
    let (plan, _, _, first) = Run::new(Plan::new(auto()), refusing, ROUND_TRIP).finish();
    let (plan, _, _, second) = Run::new(plan, refusing, ROUND_TRIP).finish();
    expect!["0.0 EPSV 1.3; 0.0 PASV 1.3; 0.1 scout asks; 0.2 scout PORT 2.3; 0.2 scout EPRT 2.3; 0.2 scout LPRT 2.3; 0.2 nothing left; "].assert_eq(&first);
    assert_eq!(second, "0.0 nothing left; ");
    expect![[r"
        passive: not tried, ruled out earlier in this session
        active: not tried, ruled out earlier in this session"]]
    .assert_eq(&plan.explain().join("\n"));
}

#[test]
fn the_explanation_names_attempts_causes_and_remedies() {
    let mut all = String::new();
    for (policy, network) in [
        (
            PathPolicy {
                choice: DataModeChoice::Passive,
                ..auto()
            },
            DROPPED,
        ),
        (auto(), NOTHING),
        (
            inside(),
            Network {
                mapped: NoMapper,
                ..BEHIND_NAT
            },
        ),
        (
            auto(),
            Network {
                own: ILLEGAL,
                told: Some("10.20.0.1"),
                epsv: Refused,
                pasv: Refused,
                ..DROPPED
            },
        ),
        (
            PathPolicy {
                choice: DataModeChoice::Only(Offer::Pasv),
                ..PathPolicy::auto(ip("2001:db8::9"), ip("2001:db8::1"))
            },
            FINE,
        ),
    ] {
        let (plan, winner, _, _) = Run::new(Plan::new(policy), network, ROUND_TRIP).finish();
        assert_eq!(winner, None);
        let _ = writeln!(all, "{}\n", plan.explain().join("\n"));
    }
    expect![[r#"
        EPSV 203.0.113.9:50000: no answer, 1.3 s
        PASV 203.0.113.9:50000: no answer, 1.3 s
        active: not tried, another data mode was asked for
        likely cause: the server's firewall (or one in front of it, or this network's own) drops connections to its passive ports
        the server's administrator: open a range of ports and tell the server the same range (wharf: passive_ports), or let it use its control port alone (wharf serve --one-port on)
        with nftables: nft add rule inet filter input tcp dport 50000-50199 ct state new accept
        next: --mode auto tries the other ways, too

        EPSV 203.0.113.9:50000: no answer, 1.3 s
        PASV 203.0.113.9:50000: no answer, 1.3 s
        PORT 203.0.113.9:50000: the server did not connect, 2.3 s
        likely cause: the server's firewall (or one in front of it, or this network's own) drops connections to its passive ports
        the server's administrator: open a range of ports and tell the server the same range (wharf: passive_ports), or let it use its control port alone (wharf serve --one-port on)
        with nftables: nft add rule inet filter input tcp dport 50000-50199 ct state new accept
        likely cause: a firewall on this side (or the server's, outbound) drops the server's connections to us
        here: let the server's connections in, then try --mode port --port-range 50000-50009
        with nftables: nft add rule inet filter input ip saddr 203.0.113.9 tcp dport 50000-50009 ct state new accept

        EPSV 203.0.113.9:50000: no answer, 1.3 s
        PORT 203.0.113.9:50000: our address refused with 500, 0.0 s
        PASV 203.0.113.9:50000: no answer, 1.3 s
        PORT (mapped port) 203.0.113.9:50000: no router here forwards ports on request (PCP, NAT-PMP, UPnP), 2.0 s
        PORT (outside address) 203.0.113.9:50000: the server did not connect, 2.3 s
        likely cause: the server's firewall (or one in front of it, or this network's own) drops connections to its passive ports
        the server's administrator: open a range of ports and tell the server the same range (wharf: passive_ports), or let it use its control port alone (wharf serve --one-port on)
        with nftables: nft add rule inet filter input tcp dport 50000-50199 ct state new accept
        likely cause: this machine is behind NAT: the server sees 198.51.100.1 and cannot connect to us
        here: switch on PCP, NAT-PMP or UPnP in the router, or forward ports and name them: --mode port --active-addr OUTSIDE-ADDRESS --port-range 50000-50009

        EPSV 203.0.113.9:50000: connection refused, 0.0 s
        PASV 203.0.113.9:50000: connection refused, 0.0 s
        PORT 203.0.113.9:50000: our address refused with 500, 0.0 s
        likely cause: only the control port reaches the server: its passive ports are rejected by a firewall or not forwarded by the NAT in front of it
        the server's administrator: open a range of ports and tell the server the same range (wharf: passive_ports), or let it use its control port alone (wharf serve --one-port on)
        with nftables: nft add rule inet filter input tcp dport 50000-50199 ct state new accept
        likely cause: the server sees us as 10.20.0.1: a balancer or proxy in front of it hides us, so that it cannot connect to us
        the server's administrator: passive mode through the balancer (all ports, or wharf's one-port), or the PROXY protocol

        passive: not tried, PASV cannot name an IPv6 address
        active: not tried, another data mode was asked for
        next: --mode auto tries the other ways, too

    "#]].assert_eq(&all);
}

/// Every network that can be put together from these fates, every order in which the two lanes end.
#[test]
fn every_order_ends_in_time_and_finds_what_works() {
    let mut count = 0;
    for epsv in [Works, Silent, Refused, UNKNOWN] {
        for pasv in [Works, Silent, Refused, Transfer] {
            for own in [Works, Silent, ILLEGAL, ONLY_TO, Transfer, UNKNOWN] {
                for mapped in [Works, Silent, NoMapper, ILLEGAL] {
                    for outside in [Works, Silent, ILLEGAL] {
                        for scout in [true, false] {
                            for told in [None, Some("198.51.100.1"), Some("192.168.10.2")] {
                                let network = Network {
                                    epsv,
                                    pasv,
                                    own,
                                    mapped,
                                    outside,
                                    scout,
                                    told,
                                    ..FINE
                                };
                                count += every_order(inside(), network);
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(count > 10_000, "{count}");
}

fn every_order(policy: PathPolicy, network: Network) -> usize {
    let works = |fate: Fate| matches!(fate, Works);
    let passive = works(network.epsv) || works(network.pasv);
    let sees_nat = network.told == Some("198.51.100.1");
    let mut ends = Vec::new();
    Run::new(Plan::new(policy), network, ROUND_TRIP).every_order(&mut ends);
    for (winner, took, told) in &ends {
        assert!(*took <= END, "{network:?}: {told}");
        // PASV that is answered 425 speaks of the way that EPSV shares.
        if passive && !matches!(network.pasv, Transfer) || works(network.own) {
            assert!(winner.is_some(), "{network:?}: {told}");
        }
        // Only what is never silent leaves time for everything behind it.
        let refused = matches!(network.own, Command(500, text) if text != "what");
        let refused = refused && network.told != Some("192.168.10.2");
        if works(network.mapped) && (refused || sees_nat && matches!(network.own, Transfer)) {
            assert!(winner.is_some(), "{network:?}: {told}");
        }
        if winner.is_none() {
            assert!(!works(network.own), "{network:?}: {told}");
        }
    }
    ends.len()
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Works),
        Just(Silent),
        Just(Refused),
        Just(Unreachable),
        Just(UNKNOWN),
        Just(ILLEGAL),
        Just(ONLY_TO),
        Just(Transfer),
        Just(Command(425, "not now")),
        Just(Command(522, "use (1)")),
        Just(Command(501, "no")),
    ]
}

fn any_choice() -> impl Strategy<Value = DataModeChoice> {
    prop_oneof![
        Just(DataModeChoice::Auto),
        Just(DataModeChoice::Passive),
        Just(DataModeChoice::Active),
        Just(DataModeChoice::Only(Offer::Port)),
        Just(DataModeChoice::Only(Offer::Eprt)),
        Just(DataModeChoice::Only(Offer::Pasv)),
    ]
}

proptest! {
    #[test]
    fn every_search_ends_in_time(
        epsv in any_fate(), pasv in any_fate(), replied in any_fate(), own in any_fate(),
        mapped in any_fate(), outside in any_fate(), scout in any::<bool>(), choice in any_choice(),
        reply in any::<bool>(), millis in 1_u64..1_500, remembered in prop::option::of(0..9_usize),
    ) {
        let data_host = if reply { DataHost::Reply } else { DataHost::Peer };
        let network = Network { epsv, pasv, replied, own, mapped, outside, scout, ..BEHIND_NAT };
        let round_trip = Duration::from_millis(millis);
        let mut plan = Plan::new(PathPolicy { data_host, choice, ..inside() });
        plan.remember(remembered.map(|at| Path::WORDS[at].1), &[]);
        let (_, _, took, told) = Run::new(plan, network, round_trip).finish();
        let slow = round_trip.saturating_sub(Duration::from_millis(100)) * 10;
        prop_assert!(took <= END + slow + round_trip * 6, "{told} {took:?} {network:?}");
    }
}

#[test]
fn patience_covers_a_lost_syn() {
    for (millis, expected) in [
        (0, 1300),
        (20, 1300),
        (100, 1300),
        (200, 1600),
        (600, 2800),
        (2000, 3000),
    ] {
        assert_eq!(
            patience(Duration::from_millis(millis)),
            Duration::from_millis(expected)
        );
    }
}

#[test]
fn addresses_in_a_227_are_followed_only_where_allowed() {
    let following = || PathPolicy {
        data_host: DataHost::Reply,
        ..auto()
    };
    let trusting = || PathPolicy {
        trusted: vec!["10.0.0.0/8".parse().unwrap()],
        ..auto()
    };
    let (peer, replied) = (Path::PASV, Path::PASV_AS_REPLIED);
    let at = "203.0.113.9:5000";
    let table = [
        (auto(), peer, at, Some((at, None))),
        (auto(), Path::EPSV, at, Some((at, None))),
        (auto(), peer, "192.168.77.5:5000", Some((at, None))),
        (
            auto(),
            peer,
            "198.51.100.1:5000",
            Some((at, Some("198.51.100.1:5000"))),
        ),
        (
            auto(),
            peer,
            "198.51.100.1:22",
            Some(("203.0.113.9:22", None)),
        ),
        (auto(), peer, "127.0.0.1:5000", Some((at, None))),
        (auto(), peer, "0.0.0.0:5000", Some((at, None))),
        (auto(), peer, "0.1.2.3:5000", Some((at, None))),
        (auto(), peer, "224.0.0.1:5000", Some((at, None))),
        (auto(), peer, "203.0.113.9:0", None),
        (
            auto(),
            replied,
            "198.51.100.1:5000",
            Some(("198.51.100.1:5000", None)),
        ),
        (auto(), replied, "192.168.77.5:5000", None),
        (following(), peer, "198.51.100.1:5000", Some((at, None))),
        (
            following(),
            replied,
            "192.168.77.5:5000",
            Some(("192.168.77.5:5000", None)),
        ),
        (
            following(),
            replied,
            "192.168.77.5:22",
            Some(("192.168.77.5:22", None)),
        ),
        (following(), replied, "0.0.0.0:5000", Some((at, None))),
        (following(), replied, "127.0.0.1:5000", None),
        (following(), replied, "224.0.0.1:5000", None),
        (following(), replied, "255.255.255.255:5000", None),
        (following(), replied, "0.1.2.3:5000", None),
        (
            trusting(),
            peer,
            "10.1.2.3:5000",
            Some((at, Some("10.1.2.3:5000"))),
        ),
        (trusting(), peer, "192.168.1.3:5000", Some((at, None))),
    ];
    for (policy, path, named, want) in table {
        let got = policy.targets(path, named.parse().unwrap()).ok();
        let want = want.map(|(first, beside): (&str, Option<&str>)| {
            (first.parse().unwrap(), beside.map(|it| it.parse().unwrap()))
        });
        assert_eq!(got.map(|it| (it.first, it.beside)), want, "{path} {named}");
    }
}

#[test]
fn replies_about_files_and_logins_are_no_evidence() {
    let refused = |code| Some(Evidence::CommandRefused { code });
    let address = |code| {
        Some(Evidence::AddressRefused {
            code,
            outside: None,
        })
    };
    let no_data = |code| Some(Evidence::NoDataConnection { code });
    let told = Evidence::AddressRefused {
        code: 500,
        outside: Some(ip("198.51.100.1")),
    };
    let family = Some(Evidence::FamilyRefused);
    let table = [
        (Offer::Epsv, Asked::Offer, 229, "", None),
        (Offer::Epsv, Asked::Offer, 500, "", refused(500)),
        (Offer::Epsv, Asked::Offer, 522, "", family),
        (Offer::Pasv, Asked::Offer, 425, "", refused(425)),
        (Offer::Pasv, Asked::Offer, 421, "", None),
        (Offer::Pasv, Asked::Offer, 530, "", None),
        (
            Offer::Port,
            Asked::Offer,
            500,
            "Unknown command.",
            refused(500),
        ),
        (
            Offer::Port,
            Asked::Offer,
            502,
            "Active mode is not offered here",
            refused(502),
        ),
        (
            Offer::Port,
            Asked::Offer,
            500,
            "Illegal PORT command.",
            address(500),
        ),
        (
            Offer::Port,
            Asked::Offer,
            500,
            "Illegal PORT rejected (address wrong).",
            address(500),
        ),
        (
            Offer::Port,
            Asked::Offer,
            500,
            "I won't open a connection to 192.168.10.2 (only to 198.51.100.1)",
            Some(told),
        ),
        (Offer::Port, Asked::Offer, 501, "", address(501)),
        (Offer::Port, Asked::Offer, 504, "", address(504)),
        (
            Offer::Eprt,
            Asked::Offer,
            500,
            "Illegal EPRT command.",
            address(500),
        ),
        (Offer::Eprt, Asked::Offer, 500, "Bad EPRT protocol.", family),
        (Offer::Eprt, Asked::Offer, 522, "", family),
        (Offer::Lprt, Asked::Offer, 502, "", refused(502)),
        (Offer::Epsv, Asked::Transfer, 150, "", None),
        (Offer::Epsv, Asked::Transfer, 425, "", no_data(425)),
        (Offer::Port, Asked::Transfer, 426, "", no_data(426)),
        (Offer::Epsv, Asked::Transfer, 550, "", None),
        (Offer::Epsv, Asked::Transfer, 522, "", None),
    ];
    for (offer, asked, code, text, want) in table {
        let got = Evidence::from_reply(offer, asked, &Reply::new(code, text));
        assert_eq!(got, want, "{offer} {asked:?} {code} {text}");
    }
}
