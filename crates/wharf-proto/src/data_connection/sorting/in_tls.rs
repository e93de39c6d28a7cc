//! Desks whose sessions are in TLS: rules 20 to 27 and 29.

use std::time::Duration;

use super::desk::{Armed, Arrival, Desk, Surroundings, unclaimed};
use super::{
    DropReason, Flow, KnownBy, Refusal, SILENT, SessionId, Takes, UNANNOUNCED_MOST, UNPROVED,
    Verdict, Word,
};

/// What becomes of an arrival
enum Fate {
    /// Nothing yet, and this if nothing happens until then
    Until(Duration),
    /// Goes to this session, with or without its ticket
    Given(SessionId),
    /// Nobody's: a control connection, or dropped
    Unclaimed,
    Dropped(DropReason),
    /// Rule 27
    Refused(SessionId),
}

impl Desk {
    /// The sessions in TLS that are armed here
    pub(super) fn in_tls(&self) -> impl Iterator<Item = &Armed> {
        let armed = self.armed.iter().chain(&self.side_by_side);
        armed.filter(|it| it.known_by != KnownBy::Address)
    }

    pub(super) fn is_in_tls(&self) -> bool {
        self.in_tls().next().is_some()
    }

    /// A session in clear is armed
    pub(super) fn is_in_clear(&self) -> bool {
        let armed = self.armed.as_ref();
        armed.is_some_and(|it| it.known_by == KnownBy::Address)
    }

    /// A session that is armed here
    pub(super) fn of(&mut self, session: SessionId) -> Option<&mut Armed> {
        let armed = self.armed.iter_mut().chain(&mut self.side_by_side);
        armed.into_iter().find(|it| it.session == session)
    }

    /// Rule 20
    pub(super) fn has_room_beside(&self, now: Duration) -> bool {
        self.armed.is_none() && self.clearing.is_none_or(|until| now >= until)
    }

    /// One of those side by side is not armed any more
    pub(super) fn leave(&mut self, now: Duration, session: SessionId) {
        let at = self
            .side_by_side
            .iter()
            .position(|it| it.session == session);
        if let Some(at) = at {
            let armed = self.side_by_side.remove(at);
            self.part_with(now, &armed);
        }
    }

    pub(super) fn review_in_tls(
        &mut self,
        now: Duration,
        takes: Takes,
        surroundings: Surroundings,
        out: &mut impl Extend<Verdict>,
    ) {
        let armed = self.armed.iter_mut().chain(&mut self.side_by_side);
        for armed in armed.filter(|it| it.announced.is_some() && !it.told) {
            armed.told = true;
            let session = armed.session;
            out.extend([Verdict::NobodyYet { session }]);
        }
        let mut at = 0;
        while let Some(arrival) = self.undecided.get(at) {
            let conn = arrival.conn;
            let (hello, gone) = (matches!(arrival.word, Some(Word::Hello(_))), arrival.ended);
            match self.fate(now, takes, arrival) {
                Fate::Until(_) => {
                    at += 1;
                    continue;
                }
                Fate::Given(session) => {
                    if let Some(armed) = self.of(session) {
                        armed.came += 1;
                        armed.unproved += usize::from(hello);
                    }
                    out.extend([Verdict::Data { conn, session }]);
                }
                Fate::Unclaimed => out.extend([unclaimed(takes, conn)]),
                Fate::Dropped(why) => {
                    if gone {
                        // Rule 13
                        self.clearing = None;
                    }
                    out.extend([Verdict::Drop { conn, why }]);
                }
                Fate::Refused(session) => {
                    self.refuse_ambiguous(now, session, out);
                    at = 0;
                    continue;
                }
            }
            self.undecided.remove(at);
            // What was decided may decide those before it.
            at = 0;
        }
        let over: Vec<(SessionId, Duration)> = self
            .side_by_side
            .iter()
            .filter(|it| now >= it.turn_ends(surroundings.wanted))
            .map(|it| (it.session, now.saturating_sub(it.since)))
            .collect();
        for (session, waited) in over {
            self.leave(now, session);
            let why = Refusal::TurnOver { waited };
            out.extend([Verdict::Refused { session, why }]);
        }
    }

    /// Rule 27
    fn refuse_ambiguous(
        &mut self,
        now: Duration,
        session: SessionId,
        out: &mut impl Extend<Verdict>,
    ) {
        let (hellos, rest) = std::mem::take(&mut self.undecided)
            .into_iter()
            .partition::<Vec<_>, _>(says_hello);
        self.undecided = rest;
        let count = hellos.len();
        let why = Refusal::AlikeInTls { count };
        out.extend([Verdict::Refused { session, why }]);
        out.extend(hellos.into_iter().map(|arrival| Verdict::Drop {
            conn: arrival.conn,
            why: DropReason::Ambiguous,
        }));
        self.disarm(now);
    }

    fn fate(&self, now: Duration, takes: Takes, arrival: &Arrival) -> Fate {
        // Those that it can be for: who was armed when it came
        let candidates = || self.in_tls().filter(|it| it.since <= arrival.at);
        if arrival.ended {
            let mut candidates = candidates();
            let upload = |it: &Armed| it.announced.is_some_and(|(_, flow)| flow == Flow::Incoming);
            return match (candidates.next(), candidates.next()) {
                (Some(only), None) if upload(only) => Fate::Given(only.session),
                _ => Fate::Dropped(DropReason::Gone),
            };
        }
        let waits_until = candidates().map(|it| arrival.waited_for(it)).max();
        match arrival.word {
            Some(Word::Clear) => Fate::Unclaimed,
            Some(Word::Hello(_)) => match &self.armed {
                Some(armed) => self.fate_of_hello(now, takes, arrival, armed),
                // Rule 23
                None if takes == Takes::ControlInTls => Fate::Unclaimed,
                None => {
                    let announced = candidates().filter_map(|it| {
                        let (at, _) = it.announced?;
                        (it.unproved < UNPROVED).then_some((it.unproved, at, it.session))
                    });
                    match (announced.min(), waits_until) {
                        (Some((_, _, session)), _) => Fate::Given(session),
                        (None, Some(until)) if now < until => Fate::Until(until),
                        _ => Fate::Dropped(DropReason::NotResumed),
                    }
                }
            },
            Some(Word::Begun) | None => match waits_until.or(self.clearing) {
                Some(until) if now < until => Fate::Until(until),
                _ => Fate::Unclaimed,
            },
        }
    }

    /// Rule 27
    fn fate_of_hello(&self, now: Duration, takes: Takes, arrival: &Arrival, armed: &Armed) -> Fate {
        let too_late = || match takes {
            Takes::ControlInTls => Fate::Unclaimed,
            Takes::Control | Takes::Data => Fate::Dropped(DropReason::NotResumed),
        };
        if armed.unproved > 0 {
            return too_late();
        }
        let Some((announced, _)) = armed.announced else {
            let until = arrival.waited_for(armed);
            return if now < until {
                Fate::Until(until)
            } else {
                too_late()
            };
        };
        if self.undecided.iter().filter(|it| says_hello(it)).count() > 1 {
            return Fate::Refused(armed.session);
        }
        let settled = arrival.settled_at(armed.since, announced);
        if now < settled {
            Fate::Until(settled)
        } else {
            Fate::Given(armed.session)
        }
    }

    /// When time alone changes something
    pub(super) fn next_in_tls(
        &self,
        now: Duration,
        takes: Takes,
        wanted: bool,
    ) -> Option<Duration> {
        let arrivals = self.undecided.iter();
        let arrivals = arrivals.filter_map(|arrival| match self.fate(now, takes, arrival) {
            Fate::Until(at) => Some(at),
            _ => None,
        });
        let turns = self.in_tls().map(|it| it.turn_ends(wanted));
        arrivals.chain(turns).min()
    }
}

fn says_hello(arrival: &Arrival) -> bool {
    matches!(arrival.word, Some(Word::Hello(_))) && !arrival.ended
}

impl Arrival {
    /// Rule 25: until when this session keeps it from being greeted
    fn waited_for(&self, armed: &Armed) -> Duration {
        let from = armed.announced.map_or(self.at, |(at, _)| at.max(self.at));
        let patience = SILENT + 2 * self.at.saturating_sub(armed.since);
        from + patience.min(UNANNOUNCED_MOST)
    }
}
