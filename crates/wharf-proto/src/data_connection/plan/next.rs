//! What each lane does next, and for how long.

use std::time::Duration;

use super::{Action, Evidence, Main, Plan, SEARCH, Scout, patience};
use crate::data_connection::Opener;
use crate::data_connection::advertise::is_private;
use crate::data_connection::as_seen::Nat;
use crate::data_connection::path::{Address, Attempt, Path};
use crate::data_connection::policy::{DataHost, DataModeChoice};

/// Up to this round trip [`SEARCH`] holds.
const QUICK: Duration = Duration::from_millis(100);
/// Every round trip above it is worth so many.
const SLOW_ROUND_TRIPS: u32 = 10;
/// The least that makes an attempt worth its commands: what is left of a search may be less.
const WORTHWHILE: Duration = Duration::from_millis(500);
/// A server-opened connection begins later than a user-opened one: the server has its transfer command to look at first,
/// and its SYN is sent again after a second.
const SERVER_OPENS: Duration = Duration::from_secs(1);
/// So long, or three round trips, the scout waits for what main has just begun.
const MOMENT: Duration = Duration::from_millis(250);
/// The least time for the scout's way in; servers look names up before they greet.
const SCOUT_LOGIN: Duration = Duration::from_secs(3);
/// The same in round trips: handshake, greeting, USER, PASS, each with room for a repetition.
const SCOUT_ROUND_TRIPS: u32 = 12;

impl Plan {
    pub(super) fn next_on_main(&mut self, now: Duration) -> Option<Action> {
        if let Some(path) = self.search.verified.take() {
            return Some(Action::Try(self.verified(path, now)));
        }
        for path in [self.proven, self.remembered].into_iter().flatten() {
            if self.candidates.is_open(path)
                && let Some(attempt) = self.attempt(path, now)
            {
                return Some(Action::Try(attempt));
            }
        }
        let first = self.next_user_opened(false, now);
        if first.is_some() {
            return first;
        }
        if self.policy.choice != DataModeChoice::Auto || !self.scouts {
            if (self.own_refused || self.nat_is_likely())
                && self.wants_address()
                && self.next_server_opened().is_some()
            {
                return Some(Action::AskOnMain(patience(self.search.round_trip)));
            }
            while let Some(path) = self.next_server_opened() {
                match self.attempt(path, now) {
                    Some(attempt) => return Some(Action::Try(attempt)),
                    None => self.candidates.done(path),
                }
            }
        }
        if self.refused_behind_nat() {
            return self.next_user_opened(true, now);
        }
        None
    }

    fn next_user_opened(&mut self, fallback: bool, now: Duration) -> Option<Action> {
        loop {
            let path = self
                .candidates
                .open(Opener::User, fallback)
                .find(|path| self.is_tried_alone(*path))?;
            match self.attempt(path, now) {
                Some(attempt) => return Some(Action::Try(attempt)),
                None => self.candidates.done(path),
            }
        }
    }

    /// The address in the 227 is tried beside the peer's, unless it is what the user wants.
    fn is_tried_alone(&self, path: Path) -> bool {
        path.address != Address::AsReplied || self.policy.data_host == DataHost::Reply
    }

    pub(super) fn next_on_scout(&mut self, now: Duration) -> Option<Action> {
        let main_needs_none = match self.search.main {
            Main::Trying(path) => path.opener == Opener::Server,
            Main::Connected | Main::Over => true,
            Main::Asking | Main::Idle => false,
        };
        if self.policy.choice != DataModeChoice::Auto
            || !self.scouts
            || main_needs_none
            || !(self.search.network || self.search.main == Main::Idle)
        {
            return None;
        }
        match self.search.scout {
            Scout::None | Scout::Stuck => {
                self.next_server_opened()?;
                let slow = self.search.round_trip.saturating_mul(SCOUT_ROUND_TRIPS);
                let within = SCOUT_LOGIN.max(slow).min(self.left(now));
                let after = match self.search.main {
                    Main::Trying(_) => MOMENT.max(self.search.round_trip.saturating_mul(3)),
                    _ => Duration::ZERO,
                };
                (within >= WORTHWHILE).then_some(Action::OpenScout { after, within })
            }
            Scout::Ready if self.wants_address() => {
                let within = patience(self.search.round_trip).min(self.left(now));
                Some(Action::AskOnScout(within))
            }
            Scout::Ready => loop {
                let path = self.next_server_opened()?;
                match self.attempt(path, now) {
                    Some(attempt) => return Some(Action::Probe(attempt)),
                    None => self.candidates.done(path),
                }
            },
            Scout::Opening | Scout::Asking | Scout::Probing => None,
        }
    }

    /// The next server-opened path that makes sense where we are.
    fn next_server_opened(&self) -> Option<Path> {
        let behind_nat = self.nat.is_on_our_side(self.policy.own);
        self.candidates
            .open(Opener::Server, false)
            .find(|path| match path.address {
                Address::Mapped => {
                    let likely =
                        self.nat == Nat::Unknown && (self.own_refused || self.nat_is_likely());
                    self.policy.mapper && !self.policy.external_address && (behind_nat || likely)
                }
                // Where our own address was taken, the server used this one already; and where an active data mode was
                // asked for, going passive is quicker than another silence.
                Address::Outside => {
                    behind_nat
                        && self.own_refused
                        && self.nat.outside().is_some()
                        && !self.policy.external_address
                        && self.policy.choice == DataModeChoice::Auto
                }
                _ => true,
            })
    }

    /// What the server sees is not known, and is of use.
    fn wants_address(&self) -> bool {
        !self.asked && self.nat == Nat::Unknown && !self.policy.external_address
    }

    /// As far as the addresses themselves tell.
    pub(super) fn nat_is_likely(&self) -> bool {
        is_private(self.policy.own) && !is_private(self.policy.control_peer)
    }

    /// The active data mode that was asked for is impossible, and why is known.
    fn refused_behind_nat(&self) -> bool {
        self.own_refused
            || (self.nat.outside().is_some()
                && self
                    .search
                    .tried
                    .iter()
                    .any(|it| matches!(it.evidence, Evidence::NoDataConnection { .. })))
    }

    /// How long to wait for this path now; `None` if too little of the search is left to make it worthwhile.
    pub(super) fn attempt(&self, path: Path, now: Duration) -> Option<Attempt> {
        let patience = match self.policy.patience {
            Some(fixed) => fixed,
            None => {
                let wanted = patience(self.search.round_trip);
                // Behind a NAT our own address arrives only through a helper: a server that takes it (ProFTPD) shall not
                // cost more time than is left for a port of the router.
                let unlikely =
                    path.address == Address::Own && self.nat.is_on_our_side(self.policy.own);
                let wanted = match path.opener {
                    Opener::Server if !unlikely => wanted + SERVER_OPENS,
                    _ => wanted,
                };
                let commands = self.search.round_trip.saturating_mul(2);
                let left = self.left(now).saturating_sub(commands);
                Some(wanted.min(left)).filter(|it| *it >= WORTHWHILE)?
            }
        };
        Some(Attempt {
            path,
            patience,
            proven: self.proven == Some(path),
            outside: self.nat.outside(),
        })
    }

    /// The scout has just seen it work: that is worth a second more than the search has.
    fn verified(&self, path: Path, now: Duration) -> Attempt {
        let wanted = patience(self.search.round_trip) + SERVER_OPENS;
        let left = self.left(now).max(SERVER_OPENS);
        Attempt {
            path,
            patience: self.policy.patience.unwrap_or(wanted.min(left)),
            proven: true,
            outside: self.nat.outside(),
        }
    }

    fn left(&self, now: Duration) -> Duration {
        if self.policy.patience.is_some() {
            return Duration::MAX;
        }
        let slow = self.search.round_trip.saturating_sub(QUICK);
        (self.search.since + SEARCH + slow.saturating_mul(SLOW_ROUND_TRIPS)).saturating_sub(now)
    }
}
