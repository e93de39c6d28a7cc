//! Everything of one client address: its desks, who waits for one, who is logged in. The rules are applied here; their
//! numbers are those of the table in [`sorting`](super).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use super::{
    ARRIVALS, Ask, Awaiting, CLEARING, ConnId, Door, DropReason, EARLY_WORD, Flow, KnownBy,
    REMEMBERED, REST, Refusal, SETTLE_LEAST, SETTLE_MOST, SessionId, SharedAddress, TURN,
    TURN_ALONE, TURN_PATIENCE, Takes, UNANNOUNCED, UNANNOUNCED_MOST, UNDECIDED, User, Verdict,
    WAITERS, Word,
};

/// One client address
#[derive(Debug, Default)]
pub(super) struct Guest {
    /// Who is logged in from it
    pub(super) users: HashMap<SessionId, User>,
    /// When it is to be reviewed, as the sorter has noted it
    pub(super) alarm: Option<Duration>,
    /// Who waits for an arrival, as the sorter has noted it
    pub(super) awaited: Vec<Awaiting>,
    desks: BTreeMap<Door, Desk>,
    waiting: VecDeque<Waiter>,
    /// Grants so far
    turns: u64,
}

/// A session that waits for a desk
#[derive(Debug)]
struct Waiter {
    session: SessionId,
    doors: Vec<Door>,
    shared_address: SharedAddress,
    known_by: KnownBy,
    since: Duration,
}

/// One door for one address
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// The one session that is known by its address, or by that or its session
    pub(super) armed: Option<Armed>,
    /// Those that are known by their sessions (rule 20), while nobody is `armed`
    pub(super) side_by_side: Vec<Armed>,
    /// In the order in which they came
    pub(super) undecided: Vec<Arrival>,
    /// Rule 13: until then a client may close what was not told apart
    pub(super) clearing: Option<Duration>,
    /// Rule 16: until then only this session is armed again
    rest: Option<(Duration, SessionId)>,
    pub(super) used: Duration,
    /// Which grant it had last (rule 17)
    turn: u64,
}

/// A session whose data connection comes next
#[derive(Debug)]
pub(super) struct Armed {
    pub(super) session: SessionId,
    shared_address: SharedAddress,
    pub(super) known_by: KnownBy,
    pub(super) since: Duration,
    pub(super) announced: Option<(Duration, Flow)>,
    /// It knows that nobody had come when it announced
    pub(super) told: bool,
    /// Connections that it was given; more than one at data doors and in TLS only
    pub(super) came: usize,
    /// Of them, ClientHellos without a ticket
    pub(super) unproved: usize,
}

#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) conn: ConnId,
    pub(super) at: Duration,
    pub(super) spoke: Option<Duration>,
    /// What it said
    pub(super) word: Option<Word>,
    pub(super) ended: bool,
}

/// What a desk must know of the rest
#[derive(Clone, Copy)]
pub(super) struct Surroundings {
    /// Rule 18
    many_users: bool,
    /// Somebody waits for it who cannot be armed beside others
    pub(super) wanted: bool,
}

/// What an arrival is at first sight
pub(super) enum Seen {
    /// Nobody is armed there
    Unawaited,
    Undecided,
    Data(SessionId),
    Flood,
}

impl Guest {
    pub(super) fn undecided(&self) -> Vec<ConnId> {
        let desks = self.desks.values();
        desks
            .flat_map(|desk| desk.undecided.iter().map(|arrival| arrival.conn))
            .collect()
    }

    /// Nothing is left to remember
    pub(super) fn is_idle(&self) -> bool {
        self.users.is_empty() && self.desks.is_empty() && self.waiting.is_empty()
    }

    pub(super) fn ask(&mut self, now: Duration, ask: &Ask<'_>) {
        self.waiting.push_back(Waiter {
            session: ask.session,
            doors: ask.doors.to_vec(),
            shared_address: ask.shared_address,
            known_by: ask.known_by,
            since: now,
        });
    }

    /// Sessions in TLS that are armed. Also those that somebody came to from their own address: it may be a control client's
    /// connection, or a thief's.
    pub(super) fn awaiting(&self) -> Vec<Awaiting> {
        let desks = self.desks.iter();
        desks
            .flat_map(|(door, desk)| desk.in_tls().map(|it| (*door, it.since, it.session)))
            .collect()
    }

    pub(super) fn announced(&mut self, now: Duration, session: SessionId, flow: Flow) {
        for desk in self.desks.values_mut() {
            if let Some(armed) = desk.of(session)
                && armed.announced.is_none()
            {
                armed.announced = Some((now, flow));
            }
        }
    }

    pub(super) fn withdrawn(&mut self, now: Duration, session: SessionId) {
        self.waiting.retain(|waiter| waiter.session != session);
        for desk in self.desks.values_mut() {
            if desk.armed.as_ref().is_some_and(|it| it.session == session) {
                desk.disarm(now);
            }
            desk.leave(now, session);
        }
    }

    pub(super) fn arrived(&mut self, now: Duration, conn: ConnId, door: Door, room: bool) -> Seen {
        let Some(desk) = self.desks.get_mut(&door) else {
            return Seen::Unawaited;
        };
        match (door.takes, desk.armed.as_mut()) {
            (_, None) if desk.side_by_side.is_empty() => Seen::Unawaited,
            (Takes::Data, Some(armed)) if armed.came < ARRIVALS => {
                armed.came += 1;
                Seen::Data(armed.session)
            }
            (Takes::Data, Some(_)) => Seen::Flood,
            _ if room && desk.undecided.len() < UNDECIDED => {
                desk.undecided.push(Arrival {
                    conn,
                    at: now,
                    spoke: None,
                    word: None,
                    ended: false,
                });
                Seen::Undecided
            }
            _ => Seen::Flood,
        }
    }

    /// Rule 4: an arrival at this door shows a ticket of this session; `None` when it is not armed there
    pub(super) fn claimed(
        &mut self,
        conn: ConnId,
        door: Door,
        session: SessionId,
    ) -> Option<Verdict> {
        let armed = self.desks.get_mut(&door)?.of(session)?;
        if armed.known_by == KnownBy::Address {
            return None;
        }
        if armed.announced.is_none() && armed.came >= ARRIVALS {
            return Some(Verdict::Drop {
                conn,
                why: DropReason::Flood,
            });
        }
        armed.came += 1;
        Some(Verdict::Data { conn, session })
    }

    /// An arrival that was decided elsewhere
    pub(super) fn forget(&mut self, conn: ConnId) {
        for desk in self.desks.values_mut() {
            desk.undecided.retain(|arrival| arrival.conn != conn);
        }
    }

    pub(super) fn spoke(&mut self, now: Duration, conn: ConnId, word: Word) {
        if let Some(arrival) = self.arrival(conn) {
            arrival.spoke.get_or_insert(now);
            if arrival.word.is_none_or(|it| it == Word::Begun) {
                arrival.word = Some(word);
            }
        }
    }

    pub(super) fn ended(&mut self, conn: ConnId) {
        if let Some(arrival) = self.arrival(conn) {
            arrival.ended = true;
        }
    }

    fn arrival(&mut self, conn: ConnId) -> Option<&mut Arrival> {
        let desks = self.desks.values_mut();
        desks
            .flat_map(|desk| &mut desk.undecided)
            .find(|arrival| arrival.conn == conn)
    }

    /// Applies the rules; when to apply them again
    pub(super) fn review(
        &mut self,
        now: Duration,
        address: IpAddr,
        out: &mut impl Extend<Verdict>,
    ) -> Option<Duration> {
        let many_users = self.has_many_users();
        for (door, desk) in &mut self.desks {
            let wanted = is_wanted(&self.waiting, *door, desk);
            let surroundings = Surroundings { many_users, wanted };
            desk.review(now, address, door.takes, surroundings, out);
        }
        self.serve_waiters(now, address, many_users, out);
        self.desks.retain(|_, desk| !desk.is_forgotten(now));
        let desks = self.desks.iter().filter_map(|(door, desk)| {
            let wanted = is_wanted(&self.waiting, *door, desk);
            desk.next(now, door.takes, wanted)
        });
        let waiters = self.waiting.iter().map(|it| it.since + TURN_PATIENCE);
        desks.chain(waiters).min()
    }

    fn has_many_users(&self) -> bool {
        let mut users = self.users.values();
        let first = users.next();
        users.any(|user| Some(user) != first)
    }

    /// Rules 14, 17 and 20
    fn serve_waiters(
        &mut self,
        now: Duration,
        address: IpAddr,
        many_users: bool,
        out: &mut impl Extend<Verdict>,
    ) {
        // Whoever cannot be armed beside others would never be, if those who can overtook it.
        let mut reserved: Vec<Door> = Vec::new();
        for waiter in std::mem::take(&mut self.waiting) {
            let session = waiter.session;
            let refused = |why| [Verdict::Refused { session, why }];
            let beside = waiter.known_by == KnownBy::Session;
            let barred = many_users && waiter.shared_address == SharedAddress::OneUser && !beside;
            let open = |door: &&Door| !barred || door.takes == Takes::Data;
            let mut doors = waiter.doors.iter().filter(open).peekable();
            if doors.peek().is_none() {
                out.extend(refused(Refusal::ManyUsers { address }));
                continue;
            }
            let free = doors
                .filter(|door| {
                    let desk = self.desks.get(door);
                    let free = desk.is_none_or(|desk| {
                        if beside {
                            desk.has_room_beside(now)
                        } else {
                            desk.is_free_for(session, now)
                        }
                    });
                    free && !(beside && reserved.contains(door))
                })
                .min_by_key(|door| self.desks.get(door).map(|desk| desk.turn))
                .copied();
            if let Some(door) = free {
                self.turns += 1;
                let desk = self.desks.entry(door).or_default();
                desk.arm(now, &waiter);
                desk.turn = self.turns;
                out.extend([Verdict::Granted { session, door }]);
            } else if now >= waiter.since + TURN_PATIENCE {
                let waited = now.saturating_sub(waiter.since);
                out.extend(refused(Refusal::NoTurn { waited, address }));
            } else if self.waiting.len() >= WAITERS {
                out.extend(refused(Refusal::Crowded { address }));
            } else {
                if !beside {
                    reserved.extend(&waiter.doors);
                }
                self.waiting.push_back(waiter);
            }
        }
    }
}

/// Whether somebody waits for a door who cannot be armed beside those that are
fn is_wanted(waiting: &VecDeque<Waiter>, door: Door, desk: &Desk) -> bool {
    let mut waiting = waiting.iter();
    let alone = desk.armed.is_some();
    waiting.any(|it| (alone || it.known_by != KnownBy::Session) && it.doors.contains(&door))
}

impl Desk {
    fn arm(&mut self, now: Duration, waiter: &Waiter) {
        let armed = Armed {
            session: waiter.session,
            shared_address: waiter.shared_address,
            known_by: waiter.known_by,
            since: now,
            announced: None,
            told: false,
            came: 0,
            unproved: 0,
        };
        match waiter.known_by {
            KnownBy::Session => self.side_by_side.push(armed),
            KnownBy::Address | KnownBy::Either => self.armed = Some(armed),
        }
        self.rest = None;
        self.used = now;
    }

    pub(super) fn disarm(&mut self, now: Duration) {
        let Some(armed) = self.armed.take() else {
            return;
        };
        self.part_with(now, &armed);
    }

    /// What may still be under way for a session that is not armed any more
    pub(super) fn part_with(&mut self, now: Duration, armed: &Armed) {
        self.used = now;
        let served = armed.known_by != KnownBy::Address && armed.came > 0;
        if served {
            return;
        }
        if !self.undecided.is_empty() {
            self.clearing = Some(now + CLEARING);
        } else if armed.came == 0 {
            self.rest = Some((now + REST, armed.session));
        }
    }

    fn is_free_for(&self, session: SessionId, now: Duration) -> bool {
        let rested = |(until, whose): (Duration, SessionId)| session == whose || now >= until;
        self.is_vacant() && self.undecided.is_empty() && self.rest.is_none_or(rested)
    }

    fn is_vacant(&self) -> bool {
        self.armed.is_none() && self.side_by_side.is_empty()
    }

    fn is_forgotten(&self, now: Duration) -> bool {
        self.is_vacant() && self.undecided.is_empty() && now >= self.used + REMEMBERED
    }

    fn review(
        &mut self,
        now: Duration,
        address: IpAddr,
        takes: Takes,
        surroundings: Surroundings,
        out: &mut impl Extend<Verdict>,
    ) {
        if self.is_in_tls() {
            self.review_in_tls(now, takes, surroundings, out);
        } else {
            self.drop_the_gone(out);
        }
        // Rules 7 and 8, and 12
        let (announced, since) = match &self.armed {
            Some(armed) => (armed.announced, armed.since),
            None => (None, Duration::ZERO),
        };
        if self.is_in_clear() {
            self.undecided.retain(|arrival| {
                let control = match announced {
                    Some((_, Flow::Outgoing)) => arrival.spoke.is_some(),
                    Some((_, Flow::Incoming)) => false,
                    None => now >= arrival.greeted_at(since),
                };
                if control {
                    out.extend([Verdict::Control { conn: arrival.conn }]);
                }
                !control
            });
        }
        self.judge(now, address, takes, surroundings, out);
        if !self.is_vacant() {
            return;
        }
        // Rule 13. A transfer that was refused just now may leave behind what had ended already.
        self.drop_the_gone(out);
        if self.clearing.is_none_or(|until| now >= until) {
            self.clearing = None;
            let rest = self.undecided.drain(..);
            out.extend(rest.map(|arrival| unclaimed(takes, arrival.conn)));
        }
    }

    /// Rule 9. The end of an upload without a byte is an end without a word: it counts if it came after the announcement.
    fn drop_the_gone(&mut self, out: &mut impl Extend<Verdict>) {
        let upload = self.armed.as_ref().is_some_and(|armed| {
            armed
                .announced
                .is_some_and(|(_, flow)| flow == Flow::Incoming)
        });
        if upload {
            return;
        }
        let before = self.undecided.len();
        self.undecided.retain(|arrival| {
            if arrival.ended {
                out.extend([Verdict::Drop {
                    conn: arrival.conn,
                    why: DropReason::Gone,
                }]);
            }
            !arrival.ended
        });
        if self.undecided.len() < before {
            self.clearing = None;
        }
    }

    /// Rules 10, 11, 15 and 18
    fn judge(
        &mut self,
        now: Duration,
        address: IpAddr,
        takes: Takes,
        surroundings: Surroundings,
        out: &mut impl Extend<Verdict>,
    ) {
        let Some(armed) = &mut self.armed else {
            return;
        };
        let session = armed.session;
        let barred = takes != Takes::Data
            && surroundings.many_users
            && armed.shared_address == SharedAddress::OneUser;
        let why = match (self.undecided.as_slice(), armed.announced) {
            _ if barred => Refusal::ManyUsers { address },
            // Whose arrivals are judged elsewhere
            _ if armed.known_by == KnownBy::Either => {
                if now < armed.turn_ends(surroundings.wanted) {
                    return;
                }
                let waited = now.saturating_sub(armed.since);
                Refusal::TurnOver { waited }
            }
            ([], announced) => {
                if announced.is_some() && !armed.told {
                    armed.told = true;
                    out.extend([Verdict::NobodyYet { session }]);
                }
                if now < armed.turn_ends(surroundings.wanted) {
                    return;
                }
                let waited = now.saturating_sub(armed.since);
                Refusal::TurnOver { waited }
            }
            (_, None) => return,
            ([only], Some((at, _))) => {
                if now >= only.settled_at(armed.since, at) {
                    let conn = only.conn;
                    out.extend([Verdict::Data { conn, session }]);
                    self.undecided.clear();
                    self.armed = None;
                    self.used = now;
                }
                return;
            }
            (several, Some(_)) => Refusal::CannotTell {
                count: several.len(),
                address,
            },
        };
        // Rule 11: who has heard 150 takes a greeting for the file.
        let heard_150 = armed.told && armed.known_by == KnownBy::Address;
        out.extend([Verdict::Refused { session, why }]);
        if heard_150 {
            out.extend(self.undecided.drain(..).map(|arrival| Verdict::Drop {
                conn: arrival.conn,
                why: DropReason::Ambiguous,
            }));
        }
        self.disarm(now);
    }

    /// When time alone changes something
    fn next(&self, now: Duration, takes: Takes, wanted: bool) -> Option<Duration> {
        if self.is_in_tls() {
            return self.next_in_tls(now, takes, wanted);
        }
        let undecided = || self.undecided.iter();
        match &self.armed {
            Some(armed) => match armed.announced {
                _ if self.undecided.is_empty() => Some(armed.turn_ends(wanted)),
                Some((at, _)) => undecided()
                    .map(|arrival| arrival.settled_at(armed.since, at))
                    .min(),
                None => undecided()
                    .map(|arrival| arrival.greeted_at(armed.since))
                    .min(),
            },
            None if wanted && self.rest.is_some() => self.rest.map(|(until, _)| until),
            None if self.undecided.is_empty() => Some(self.used + REMEMBERED),
            None => self.clearing,
        }
    }
}

/// What an arrival is that no session wants
pub(super) fn unclaimed(takes: Takes, conn: ConnId) -> Verdict {
    match takes {
        Takes::Control | Takes::ControlInTls => Verdict::Control { conn },
        Takes::Data => Verdict::Drop {
            conn,
            why: DropReason::Stranger,
        },
    }
}

impl Armed {
    /// Rule 15. Who has got its connection at a data door keeps its turn until it withdraws.
    pub(super) fn turn_ends(&self, wanted: bool) -> Duration {
        let since = self.announced.map_or(self.since, |(at, _)| at);
        if wanted && self.came == 0 {
            since + TURN
        } else {
            since + TURN_ALONE
        }
    }
}

impl Arrival {
    /// About two round trips if it answers the 229: the second one is the handshake's
    fn since_armed(&self, armed: Duration) -> Duration {
        self.at.saturating_sub(armed)
    }

    /// Rule 10
    pub(super) fn settled_at(&self, armed: Duration, announced: Duration) -> Duration {
        let known = self.at.max(announced);
        known + known.saturating_sub(armed).clamp(SETTLE_LEAST, SETTLE_MOST)
    }

    /// Rules 8 and 12: without an announcement
    fn greeted_at(&self, armed: Duration) -> Duration {
        let patience = UNANNOUNCED + 2 * self.since_armed(armed);
        let silent = self.at + patience.min(UNANNOUNCED_MOST);
        match self.spoke {
            Some(at) => silent.min(at + EARLY_WORD),
            None => silent,
        }
    }
}
