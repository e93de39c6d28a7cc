//! User side: the search for a data connection, as a state machine.
//!
//! It is told what happened ([`Plan::on`]) and says what to start ([`Plan::act`]); sockets and clocks are the caller's.
//! There are two *lanes*. On [`Lane::Main`], the user's own control connection, at most one attempt runs at a time, and the
//! transfer takes place there. [`Lane::Scout`] is a second control connection on which server-opened paths are tried with
//! a listing, never with STOR: a server that cannot reach us sits in connect() for one to two minutes and answers
//! nothing meanwhile (vsftpd, ProFTPD, Pure-FTPd), and that must not be the session that the user wants to keep.
//!
//! With r the shortest control round trip and D = [`patience`]`(r)`:
//!
//! 1. Main: EPSV, connected before the transfer command is sent. What worked before in this session, or in an earlier run
//!    ([`Plan::remember`]), goes first instead; a server-opened path that is remembered needs no scout.
//! 2. After D of silence, or at once when it is refused, main: PASV. The address in the 227 is tried beside the control
//!    peer's where that is allowed ([`PathPolicy::targets`]).
//! 3. As soon as a failure speaks of the network (not only of a command), or nothing user-opened is left, the scout is
//!    sent for, a moment after PASV: a way that needs nothing but PASV shows within three round trips, and a server that
//!    takes data connections on its control port shall not have to tell the scout from one. It asks the server for the
//!    address it sees us at, then tries PORT, EPRT, LPRT with our own address, and behind a NAT a mapped port and our
//!    outside address. Its silence is waited for D + 1 s, or D for our own address behind a NAT.
//! 4. What the scout has proven is used on main at once; a connect that is still waiting there is dropped.
//! 5. If no scout can be had (421, 530, no answer), server-opened paths are tried on main, the last.
//!
//! Where the user asked for an active data mode there is no scout: main tries it, and passive paths come into play only
//! if the server refuses our address, which behind a NAT is nobody's intention.
//!
//! A search ends within [`SEARCH`]; what does not fit any more is not begun. On lines slower than 0.1 s it gets ten round
//! trips more per round trip.
//!
//! TLS on the control connection ([`Plan::set_blind`]) blinds the helpers of middleboxes, which then open no port and rewrite
//! no address. Where policy allows it ([`PathPolicy::ccc`]) and a failure speaks of the network, main leaves TLS when nothing
//! else is left ([`Action::LeaveTls`]), and everything is tried once more, in a search of its own length. What was refused
//! inside TLS says nothing then: a helper may put another address into a PORT.

mod next;
mod telling;

use std::net::IpAddr;
use std::time::Duration;

use crate::data_connection::as_seen::Nat;
use crate::data_connection::candidates::Candidates;
use crate::data_connection::canonical;
use crate::data_connection::path::{Address, Attempt, Path};
use crate::data_connection::policy::PathPolicy;

pub use crate::data_connection::evidence::{Asked, Evidence, Tried};

/// What a whole search may take. With the login before it and the goodbye behind it a command that finds no way is over
/// within 8 s.
pub const SEARCH: Duration = Duration::from_secs(7);

/// The patience D with one silent attempt: clamp(1 s + 3r, 1.3 s, 3 s). A lost SYN is sent again after one second.
pub fn patience(round_trip: Duration) -> Duration {
    (Duration::from_secs(1) + round_trip.saturating_mul(3))
        .clamp(Duration::from_millis(1300), Duration::from_secs(3))
}

/// One of the two control connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// The user's.
    Main,
    /// The second one, for trying.
    Scout,
}

/// What the caller is to start, or to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Try this on main.
    Try(Attempt),
    /// Ask the server on main for our address, for at most so long.
    AskOnMain(Duration),
    /// Give up what main waits for. Only before the transfer command was sent.
    StopMain,
    /// Log in a second time.
    OpenScout {
        /// Not at once, for what main has just begun may be quicker.
        after: Duration,
        /// For at most so long.
        within: Duration,
    },
    /// Ask the server on the scout for our address, for at most so long.
    AskOnScout(Duration),
    /// Try this on the scout, with a listing that is ended as soon as the data connection stands.
    Probe(Attempt),
    /// The scout is not needed any more, whatever it does.
    CloseScout,
    /// End TLS on main (CCC), and say something harmless in clear: a helper is in step only behind the first line that it
    /// can read.
    LeaveTls,
    /// Nothing is left.
    GiveUp,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// An attempt led to no data connection.
    Failed(Lane, Tried),
    /// The data connection stands. On main the transfer may still be answered with 425: then [`Event::Failed`] follows.
    Connected(Lane, Path),
    /// The scout is logged in.
    ScoutReady,
    /// There is no scout: the server allows no second login, or the scout was lost.
    ScoutRefused,
    /// The server told the address that it sees us at, or did not.
    Told(Lane, Option<IpAddr>),
    /// Main was to leave TLS, and has done so, or the server refuses.
    LeftTls(bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Main {
    Idle,
    Asking,
    Trying(Path),
    /// The data connection stands, the transfer has not begun.
    Connected,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scout {
    None,
    Opening,
    Ready,
    Asking,
    Probing,
    /// The server waits for its own connect() and answers nothing.
    Stuck,
}

/// The search for a data connection, over the transfers of one control connection.
#[derive(Debug, Clone)]
pub struct Plan {
    policy: PathPolicy,
    candidates: Candidates,
    nat: Nat,
    /// The server was asked for our address.
    asked: bool,
    /// The server refused our own address.
    own_refused: bool,
    /// Nobody on the way can read the control connection.
    blind: bool,
    /// The server refuses to leave TLS.
    stays_blind: bool,
    /// There was a scout, or none was asked for yet.
    scouts: bool,
    /// Carried data in this session.
    proven: Option<Path>,
    /// Carried data in an earlier run.
    remembered: Option<Path>,
    search: Search,
}

/// What is about one transfer.
#[derive(Debug, Clone)]
struct Search {
    round_trip: Duration,
    main: Main,
    scout: Scout,
    /// The scout has seen it work.
    verified: Option<Path>,
    /// A failure spoke of the network.
    network: bool,
    tried: Vec<Tried>,
    /// When it began, or TLS was left.
    since: Duration,
    /// So many of `tried` were before that.
    blind_tried: usize,
}

impl Search {
    fn new(round_trip: Duration) -> Self {
        Self {
            round_trip,
            main: Main::Idle,
            scout: Scout::None,
            verified: None,
            network: false,
            tried: Vec::new(),
            since: Duration::ZERO,
            blind_tried: 0,
        }
    }
}

impl Plan {
    /// Nothing known yet.
    pub fn new(policy: PathPolicy) -> Self {
        let policy = PathPolicy {
            control_peer: canonical(policy.control_peer),
            own: canonical(policy.own),
            ..policy
        };
        Self {
            candidates: Candidates::new(&policy),
            nat: Nat::Unknown,
            asked: false,
            own_refused: false,
            blind: false,
            stays_blind: false,
            scouts: true,
            proven: None,
            remembered: None,
            search: Search::new(Duration::ZERO),
            policy,
        }
    }

    /// What may be tried.
    pub fn policy(&self) -> &PathPolicy {
        &self.policy
    }

    /// Whether the control connection is in TLS, so that no helper on the way can read it, and whether the server has refused
    /// to end that. To be said before [`begin`](Self::begin); not so unless said.
    pub fn set_blind(&mut self, blind: bool, stays: bool) {
        self.blind = blind;
        self.stays_blind |= stays;
    }

    /// Whether it is.
    pub fn is_blind(&self) -> bool {
        self.blind
    }

    /// What an earlier run has found: `winner` goes first, `losers` after the rest of their kind.
    pub fn remember(&mut self, winner: Option<Path>, losers: &[Path]) {
        self.remembered = winner;
        for path in losers {
            self.candidates.lost_before(*path);
        }
    }

    /// A new transfer. `round_trip` is the shortest control round trip seen so far; the times given to
    /// [`act`](Self::act) begin now.
    pub fn begin(&mut self, round_trip: Duration) {
        self.candidates.begin();
        self.search = Search::new(round_trip);
    }

    /// What to start and to stop now, `now` after the beginning. Everything is said once. After [`Action::GiveUp`] nothing
    /// more is said.
    pub fn act(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.search.main == Main::Over {
            return actions;
        }
        if self.search.verified.is_some()
            && matches!(self.search.main, Main::Trying(_) | Main::Asking)
        {
            actions.push(Action::StopMain);
            self.search.main = Main::Idle;
        }
        if self.search.main == Main::Connected {
            self.close_scout(&mut actions);
            return actions;
        }
        if self.search.main == Main::Idle
            && let Some(action) = self.next_on_main(now)
        {
            self.search.main = match action {
                Action::Try(attempt) => Main::Trying(attempt.path),
                _ => Main::Asking,
            };
            actions.push(action);
        }
        if let Some(action) = self.next_on_scout(now) {
            self.search.scout = match action {
                Action::OpenScout { .. } => Scout::Opening,
                Action::AskOnScout(_) => Scout::Asking,
                _ => Scout::Probing,
            };
            actions.push(action);
        }
        let scouting = matches!(
            self.search.scout,
            Scout::Opening | Scout::Asking | Scout::Probing
        );
        if !scouting {
            self.close_scout(&mut actions);
            if self.search.main == Main::Idle && self.may_leave_tls() {
                self.search.main = Main::Asking;
                self.search.since = now;
                actions.push(Action::LeaveTls);
            } else if self.search.main == Main::Idle {
                self.search.main = Main::Over;
                actions.push(Action::GiveUp);
            }
        }
        actions
    }

    /// A helper that reads along may be what is missing.
    fn may_leave_tls(&self) -> bool {
        let missing = self.search.network || self.own_refused;
        self.policy.ccc && self.blind && !self.stays_blind && missing
    }

    fn close_scout(&mut self, actions: &mut Vec<Action>) {
        if self.search.scout != Scout::None {
            self.search.scout = Scout::None;
            actions.push(Action::CloseScout);
        }
    }

    /// Something happened. What a lane tells after it was stopped or closed must not come here.
    pub fn on(&mut self, event: Event) {
        match event {
            Event::Failed(lane, tried) => {
                match lane {
                    Lane::Main => self.search.main = Main::Idle,
                    Lane::Scout if tried.evidence == Evidence::NobodyCame => {
                        self.search.scout = Scout::Stuck;
                    }
                    Lane::Scout => self.search.scout = Scout::Ready,
                }
                self.learn(tried);
            }
            Event::Connected(Lane::Main, _) => self.search.main = Main::Connected,
            Event::Connected(Lane::Scout, path) => {
                self.search.scout = Scout::Ready; // closed with the next actions
                self.search.verified = Some(path);
            }
            Event::ScoutReady => self.search.scout = Scout::Ready,
            Event::ScoutRefused => {
                self.search.scout = Scout::None;
                self.scouts = false;
            }
            Event::Told(lane, address) => {
                self.asked = true;
                match lane {
                    Lane::Main => self.search.main = Main::Idle,
                    Lane::Scout => self.search.scout = Scout::Ready,
                }
                if let Some(told) = address {
                    self.nat = Nat::judge(self.policy.own, told);
                }
            }
            Event::LeftTls(left) => {
                self.search.main = Main::Idle;
                self.stays_blind = !left;
                if left {
                    self.search.blind_tried = self.search.tried.len();
                    self.blind = false;
                    self.own_refused = false;
                    self.candidates = Candidates::new(&self.policy);
                }
            }
        }
    }

    fn learn(&mut self, tried: Tried) {
        let Tried { path, evidence, .. } = tried;
        self.search.tried.push(tried);
        self.search.network |= evidence.is_about_the_network();
        for known in [&mut self.proven, &mut self.remembered] {
            if *known == Some(path) {
                *known = None;
            }
        }
        if let Evidence::AddressRefused { outside, .. } = evidence
            && path.address == Address::Own
            && !self.policy.external_address
        {
            self.own_refused = true;
            match outside {
                Some(told) => self.nat = Nat::judge(self.policy.own, told),
                None if self.nat == Nat::Unknown && self.nat_is_likely() => {
                    self.nat = Nat::Behind { outside: None };
                }
                None => {}
            }
        }
        self.candidates.rule_out(path, evidence, &self.policy);
    }

    /// The transfer has begun on this path: it goes first from now on.
    pub fn worked(&mut self, path: Path) {
        self.proven = Some(path);
        self.search.main = Main::Over;
    }

    /// The data connection stood on this path, but the transfer was refused for a reason of its own: next time it goes
    /// first, like one that is remembered.
    pub fn stood(&mut self, path: Path) {
        self.remembered = Some(path);
        self.search.main = Main::Over;
    }

    /// The path that goes first because it worked before.
    pub fn proven(&self) -> Option<Path> {
        self.proven
    }

    /// What is known about a NAT between us and the server.
    pub fn nat(&self) -> Nat {
        self.nat
    }

    /// So many of the failed attempts were before main has left TLS in this search.
    pub fn tried_before_clear(&self) -> usize {
        self.search.blind_tried
    }

    /// The attempts of this search that failed, in order.
    pub fn tried(&self) -> &[Tried] {
        &self.search.tried
    }
}
