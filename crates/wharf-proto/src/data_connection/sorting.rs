//! Whose is a connection that arrives at a port which several sessions share: the control port itself (one-port
//! passive), or one data port for many clients.
//!
//! A 227 or 229 that names a shared port promises the next connection of one client to one session. The [`Sorter`] keeps
//! that promise, or refuses the transfer; it never guesses. It is a pure state machine: events and the time go in,
//! [`Verdict`]s and the next [`deadline`](Sorter::deadline) come out.
//!
//! # Words
//!
//! A *door* is a listening port. At a control door control and data connections arrive, at a data door data connections
//! only. A *desk* is one door for one client address. A session *asks* for a desk when PASV, EPSV or LPSV comes; it is
//! *armed* from its 227/228/229 on; its transfer is *announced* when the transfer command is about to be answered. An
//! *arrival* is a connection that has been accepted, and *undecided* while nothing has been said to it yet. A plaintext
//! data client of a download, and a control client that waits for its 220, both say nothing: by themselves they look alike.
//!
//! # Rules
//!
//! | # | situation | verdict |
//! |---|---|---|
//! | 1 | nobody is armed at the desk, control door | control connection, at once |
//! | 2 | nobody is armed at the desk, data door | stranger, dropped |
//! | 3 | data door, somebody is armed | that session's data connection, at once |
//! | 4 | an arrival's ClientHello shows a ticket of a session in TLS that is armed at the door | handed to that session at once, from whatever address |
//! | 5 | it shows none of a session that is armed there | as one that shows none (22) |
//! | 6 | control door, somebody is armed | undecided: nothing is said to it |
//! | 7 | undecided, spoke, and the announced transfer is a download or listing | control connection |
//! | 8 | undecided, spoke, and no transfer is announced within 250 ms | control connection |
//! | 9 | undecided, ended without a word before the announcement, or at any time in a download | dropped (health check, port scan, a client that gave up) |
//! | 10 | announced, and exactly one is undecided, and has been for the *settle time* | the session's data connection |
//! | 11 | announced, and two or more are undecided | the transfer is refused; nothing goes to any of them. If nobody had come at the announcement, so that the client may have heard 150, all are dropped: it would take a greeting for the file |
//! | 12 | undecided for 1.5 s and twice the time from arming to it (10 s at most) without an announcement | control connection |
//! | 13 | after 11, or when an armed session withdraws with arrivals undecided | the client closes its own: as soon as one has ended, or after 1 s, the rest are control connections |
//! | 14 | a desk is armed, or clears up as in 13 | other sessions of the address wait their turn: in order, 256 at most, 10 s at most |
//! | 15 | armed and nobody came for 4 s while others wait, or for 60 s | the session loses its turn |
//! | 16 | armed and nobody came, and the session withdrew | the desk rests 250 ms before *another* session is armed: a connection may be under way |
//! | 17 | a session may use several data doors | one at which nobody of its address is armed, the least recently used by this address first |
//! | 18 | [`SharedAddress::OneUser`], and sessions of different users are logged in from the address | no arming at a control door, no verdict "data" there |
//! | 19 | more than 256 undecided at a desk, or 1024 in all; held by rule 28 are 512 at most, and further ones not | dropped |
//!
//! Rules 3 and 6 to 18 are about sessions whose data connection is in clear. One in TLS is *known by* the control connection's
//! session (it must be resumed), or by that or else its address (it should be). The transfer command of either is answered
//! at once: curl and lftp open the connection before the command, and begin the handshake only when they hear the 150.
//!
//! | # | situation | verdict |
//! |---|---|---|
//! | 20 | known by its session | armed beside others of its address, which need not take turns; beside one of another kind they do (14) |
//! | 21 | an arrival of the address of sessions in TLS, from before or after the command | undecided until it speaks |
//! | 22 | it speaks a ClientHello without a ticket of an armed session (it cannot be a control connection, which waits for its 220) | handed to the one whose transfer was announced and who got the fewest such, 4 at most, for its handshake tells the cause; while no transfer is announced, undecided; after its time (25) dropped |
//! | 23 | the same at a door where control connections begin in TLS | control connection, at once |
//! | 24 | it speaks in clear | control connection (data door: dropped), at once |
//! | 25 | it is silent | control connection (data door: dropped) as soon as none of those sessions is armed that were when it came, or 3 s after it came or their transfer was announced and twice the time from arming to it, 10 s at most |
//! | 26 | what was handed to a session that is known by its session | changes nothing: the ticket is a claim, the handshake is the proof, and the session stays armed until it withdraws |
//! | 27 | known by session or address: one ClientHello without a ticket, after the announcement, and for the settle time | handed to it; a further one is dropped, and when two come within the settle time the transfer is refused. At a door of 23 as well |
//! | 28 | nobody is armed at its desk, but at the door a session in TLS, for 2 s at most (address pools, balancers) | held for 400 ms and twice the time from arming to it, 1 s at most, or until no such session is left; then as in 1 and 2. At data doors 10 s |
//! | 29 | it ends without a word | dropped; but given to a session that is the only one it can be for, and whose upload is announced: an empty file |
//!
//! The *settle time* is a round trip at least, between 5 and 200 ms: the time from arming to the announcement or to the
//! arrival, whichever came later, and it counts from that moment. Whoever opens the data connection before the transfer
//! command (curl, lftp, the BSD family, NcFTP) has it accepted before the command is read. Whoever does both at once
//! (FileZilla) has it accepted one round trip after the command, and so within the settle time.
//!
//! # What this proves, and what it does not
//!
//! In plaintext an arrival shows its address and its moment, nothing else. *Proved* is: the connection comes from the
//! address of the session's control connection, between its 229 and its transfer, and no other connection of that address
//! was there that could have been meant. *Not proved*: that it comes from the same program, user or machine. Left over are:
//!
//! * A second program at the same address connects for control between 229 and transfer, and the data connection itself
//!   does not arrive in time (its SYN was lost, a middlebox dropped it, or the client opens it only after the 150). Then
//!   the program is alone, and gets the file instead of a greeting, and a data connection that comes later is greeted
//!   as if it were for control. `OneUser` keeps that within one user among those who are logged in, but who is connecting
//!   has no name yet.
//! * Whoever shares the address (NAT, proxy, balancer without PROXY protocol) and connects on purpose at that moment is
//!   noticed when the real connection is there (rule 11): a denial of service, no theft. Alone (as above) it is theft.
//! * A data connection that comes from another address (an address pool) is not recognised; it is greeted as control.
//!   The caller may count a known pool as one address.
//! * A late SYN of a transfer that was given up may meet the next transfer of its address. Rules 16 and 17 make it
//!   unlikely; as a second arrival it refuses that transfer (rule 11).
//!
//! * Clients of one address that log in anew for every transfer (eight curl at once) meet each other: up to every second
//!   transfer is refused by rule 11, and comes about only with those that repeat it (lftp, wharf, `curl --retry`). Taking
//!   the one that speaks first for an upload would spare half of that, and would believe a stranger who speaks unasked:
//!   tried, and an upload was mixed up. A data door does not have the problem.
//!
//! At data doors rules 1 and 6 to 13 do not occur, and the first three points come down to "whoever has the address".
//!
//! For a session that is known by its session none of this remains: whoever cannot finish the handshake is not it. Left is
//! that a client may resume the session of another one of its own control connections (a program that keeps one store of
//! tickets for several), and that a data connection from another address than the control connection's that speaks later
//! than rule 28 waits is greeted, and fails.

mod desk;
mod in_tls;
mod refusal;
mod stray;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use self::desk::{Guest, unclaimed};
pub use self::refusal::{DropReason, Refusal};
use self::stray::Strays;
use super::{Flow, canonical};

/// The least settle time: an arrival that the kernel has accepted must have been told.
pub const SETTLE_LEAST: Duration = Duration::from_millis(5);
/// The most: a client whose connection needed longer lost a packet, which says nothing about the next one.
pub const SETTLE_MOST: Duration = Duration::from_millis(200);
/// For so long, and twice the time from arming to it, a silent arrival at the desk of sessions in TLS is waited for.
pub const SILENT: Duration = Duration::from_secs(3);
/// ClientHellos without a ticket that one session is given.
pub const UNPROVED: usize = 4;
/// Rule 28: for so long an arrival from elsewhere is held at least.
pub const HOLD_LEAST: Duration = Duration::from_millis(400);
/// Rule 28: and at most.
pub const HOLD_MOST: Duration = Duration::from_secs(1);
/// Rule 28: the same at a data door, where nobody waits for a greeting.
pub const HOLD_AT_DATA_DOOR: Duration = Duration::from_secs(10);
/// Rule 28: a session that was armed longer ago waits for nobody from elsewhere.
pub const ANSWERED: Duration = Duration::from_secs(2);
/// For so long the first word of an upload may come before its command.
pub const EARLY_WORD: Duration = Duration::from_millis(250);
/// For so long, and twice the time from arming to it, an arrival waits for an announcement before it is greeted as control.
pub const UNANNOUNCED: Duration = Duration::from_millis(1500);
/// The most that makes.
pub const UNANNOUNCED_MOST: Duration = Duration::from_secs(10);
/// For so long a refused client may take to close its data connection.
pub const CLEARING: Duration = Duration::from_secs(1);
/// For so long a session may wait for its turn.
pub const TURN_PATIENCE: Duration = Duration::from_secs(10);
/// For so long an armed session to which nobody comes keeps its turn while others wait.
pub const TURN: Duration = Duration::from_secs(4);
/// The same while nobody waits.
pub const TURN_ALONE: Duration = Duration::from_mins(1);
/// For so long a desk to which nobody came is not given to another session.
pub const REST: Duration = Duration::from_millis(250);
/// For so long it is remembered that an address used a door (rule 17).
pub const REMEMBERED: Duration = Duration::from_mins(1);
/// Sessions of one address that may wait for a turn.
pub const WAITERS: usize = 256;
/// Undecided arrivals at one desk: as many as sessions may wait for it.
pub const UNDECIDED: usize = 256;
/// At a data door, connections of one grant.
pub const ARRIVALS: usize = 16;
/// Undecided arrivals in all, those of rule 28 not counted.
pub const ARRIVALS_IN_ALL: usize = 1024;
/// Arrivals that are held by rule 28.
pub const HELD: usize = 512;

/// A session; the caller numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// An accepted connection; the caller numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// A listening port; the caller numbers them, control and data doors together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Door {
    /// Its number.
    pub number: u32,
    /// What arrives there.
    pub takes: Takes,
}

/// What arrives at a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Takes {
    /// Control connections, and data connections of armed sessions.
    Control,
    /// The same where control connections begin in TLS (implicit FTPS).
    ControlInTls,
    /// Data connections only.
    Data,
}

/// What an arrival says first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Word {
    /// Something that is not TLS.
    Clear,
    /// What may become a ClientHello.
    Begun,
    /// A ClientHello, and whose ticket it shows.
    Hello(Option<SessionId>),
}

/// By what a session knows its data connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KnownBy {
    /// By its address and its moment: it is in clear.
    #[default]
    Address,
    /// By the TLS session that it resumes, and by nothing else.
    Session,
    /// By that, or else by its address.
    Either,
}

/// Who is logged in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum User {
    /// Nobody in particular: all anonymous sessions are one user.
    Anonymous,
    /// This account.
    Named(String),
}

/// Whether one-port passive in plaintext is offered to an address from which several users are logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SharedAddress {
    /// Only while all of them are the same user: a connection taken for another one's stays within what that user may see.
    #[default]
    OneUser,
    /// To all; the rest of the rules hold.
    AnyUser,
}

/// What a session asks for.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// Who asks. An earlier grant of this session is given back by it.
    pub session: SessionId,
    /// The peer of its control connection.
    pub address: IpAddr,
    /// The doors that would do.
    pub doors: &'a [Door],
    /// Its policy.
    pub shared_address: SharedAddress,
    /// By what its data connection will be known.
    pub known_by: KnownBy,
}

/// What the sorter decided. Every ask is answered by one `Granted` or `Refused`, every arrival by one `Control`, `Data` or
/// `Drop`. A session in TLS may get several `Data`, and judges them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The session is armed at this door: its 227, 228 or 229 may name it.
    Granted {
        /// Who asked.
        session: SessionId,
        /// Where its data connection is expected.
        door: Door,
    },
    /// The ask is refused, or a grant is taken back: the transfer does not come about.
    Refused {
        /// Whose.
        session: SessionId,
        /// Why.
        why: Refusal,
    },
    /// The announcement was heard and there is no arrival to decide about: the client may be waiting for the 150.
    NobodyYet {
        /// Whose.
        session: SessionId,
    },
    /// A control connection: greet it.
    Control {
        /// Which.
        conn: ConnId,
    },
    /// The data connection of this session, all its bytes unread.
    Data {
        /// Which.
        conn: ConnId,
        /// Whose.
        session: SessionId,
    },
    /// Nobody's.
    Drop {
        /// Which.
        conn: ConnId,
        /// Why.
        why: DropReason,
    },
}

/// A door, and who waits there since when
type Awaiting = (Door, Duration, SessionId);

/// Sorts arrivals at shared ports; see the [module](self).
#[derive(Debug, Default)]
pub struct Sorter {
    guests: HashMap<IpAddr, Guest>,
    sessions: HashMap<SessionId, IpAddr>,
    held: HashMap<ConnId, (IpAddr, Door)>,
    /// Arrivals of rule 28
    strays: Strays,
    /// Sessions in TLS that are armed
    awaiting: BTreeSet<Awaiting>,
    alarms: BTreeSet<(Duration, IpAddr)>,
    verdicts: VecDeque<Verdict>,
}

impl Sorter {
    /// Nobody is here.
    pub fn new() -> Self {
        Self::default()
    }

    /// What has been decided, in order; to be emptied after every event.
    pub fn next_verdict(&mut self) -> Option<Verdict> {
        self.verdicts.pop_front()
    }

    /// When [`elapsed`](Self::elapsed) wants to be called.
    pub fn deadline(&self) -> Option<Duration> {
        let guests = self.alarms.first().map(|(at, _)| *at);
        guests.into_iter().chain(self.strays.deadline()).min()
    }

    /// The addresses whose deadline has come: whoever can look at their undecided arrivals should do so before
    /// [`elapsed`](Self::elapsed).
    pub fn due(&self, now: Duration) -> Vec<IpAddr> {
        let due = self.alarms.iter().take_while(|(at, _)| *at <= now);
        due.map(|(_, address)| *address).collect()
    }

    /// The undecided arrivals of an address.
    pub fn undecided(&self, address: IpAddr) -> Vec<ConnId> {
        let guest = self.guests.get(&canonical(address));
        guest.map(Guest::undecided).unwrap_or_default()
    }

    /// The held arrivals of addresses where nobody is armed whose time has come; to be looked at as well.
    pub fn overdue(&self, now: Duration) -> Vec<ConnId> {
        self.strays.overdue(now)
    }

    /// How many arrivals are undecided in all.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Nothing is remembered of anybody.
    pub fn is_idle(&self) -> bool {
        self.guests.is_empty() && self.sessions.is_empty() && self.held.is_empty()
    }

    /// The address of a session that is logged in, waiting or armed.
    pub fn address_of(&self, session: SessionId) -> Option<IpAddr> {
        self.sessions.get(&session).copied()
    }

    /// A session has a user now, or another one than before.
    pub fn logged_in(&mut self, now: Duration, session: SessionId, address: IpAddr, user: User) {
        let guest = self.guest(address, session);
        guest.users.insert(session, user);
        self.review(now, canonical(address));
    }

    /// A session has no user any more (REIN, a new USER).
    pub fn logged_out(&mut self, now: Duration, session: SessionId) {
        if let Some(address) = self.address_of(session)
            && let Some(guest) = self.guests.get_mut(&address)
        {
            guest.users.remove(&session);
            self.review(now, address);
        }
    }

    /// A session wants to answer PASV, EPSV or LPSV.
    pub fn ask(&mut self, now: Duration, ask: &Ask<'_>) {
        self.withdrawn(now, ask.session);
        if ask.doors.is_empty() {
            self.verdicts.push_back(Verdict::Refused {
                session: ask.session,
                why: Refusal::NoDoor,
            });
            return;
        }
        self.guest(ask.address, ask.session).ask(now, ask);
        self.review(now, canonical(ask.address));
    }

    /// The transfer command of an armed session came, and this is how its bytes will flow. Answered by `NobodyYet`, `Data` or
    /// `Refused`; after `NobodyYet` still by one of the others. Without a grant there is no answer.
    pub fn announced(&mut self, now: Duration, session: SessionId, flow: Flow) {
        if let Some(address) = self.address_of(session)
            && let Some(guest) = self.guests.get_mut(&address)
        {
            guest.announced(now, session, flow);
            self.review(now, address);
        }
    }

    /// A session does not want its data connection any more: it has got it, or a new PASV or PORT or the next command or an
    /// ABOR came, or it lost its patience.
    pub fn withdrawn(&mut self, now: Duration, session: SessionId) {
        if let Some(address) = self.address_of(session)
            && let Some(guest) = self.guests.get_mut(&address)
        {
            guest.withdrawn(now, session);
            self.review(now, address);
        }
    }

    /// A session is over.
    pub fn gone(&mut self, now: Duration, session: SessionId) {
        self.withdrawn(now, session);
        if let Some(address) = self.sessions.remove(&session)
            && let Some(guest) = self.guests.get_mut(&address)
        {
            guest.users.remove(&session);
            self.review(now, address);
        }
    }

    /// A connection was accepted.
    pub fn arrived(&mut self, now: Duration, conn: ConnId, door: Door, address: IpAddr) {
        let address = canonical(address);
        let room = self.held.len() - self.strays.len() < ARRIVALS_IN_ALL;
        let guest = self.guests.get_mut(&address);
        let seen = guest.map_or(desk::Seen::Unawaited, |guest| {
            guest.arrived(now, conn, door, room)
        });
        let verdict = match seen {
            desk::Seen::Unawaited => {
                // In a crowd everybody is greeted as always.
                match self.held_until(now, door) {
                    Some(until) => {
                        self.held.insert(conn, (address, door));
                        self.strays.insert(conn, door, now, until);
                        return;
                    }
                    None => unclaimed(door.takes, conn),
                }
            }
            desk::Seen::Flood => Verdict::Drop {
                conn,
                why: DropReason::Flood,
            },
            desk::Seen::Data(session) => Verdict::Data { conn, session },
            desk::Seen::Undecided => {
                self.held.insert(conn, (address, door));
                self.review(now, address);
                return;
            }
        };
        self.verdicts.push_back(verdict);
        self.review(now, address);
    }

    /// Rule 28: until when somebody from elsewhere is held who comes to this door now
    fn held_until(&self, now: Duration, door: Door) -> Option<Duration> {
        if self.strays.len() >= HELD {
            return None;
        }
        let since = self.awaited_since(now, door)?;
        Some(now + stray::hold(door, now.saturating_sub(since)))
    }

    /// Since when the first one waits at this door who may mean an arrival of then
    fn awaited_since(&self, then: Duration, door: Door) -> Option<Duration> {
        let from = (door, then.saturating_sub(ANSWERED), SessionId(0));
        let until = (door, then, SessionId(u64::MAX));
        let first = self.awaiting.range(from..=until).next()?;
        Some(first.1)
    }

    /// An undecided arrival has bytes to read, and they begin like this; `Begun` may be followed by another word.
    pub fn spoke(&mut self, now: Duration, conn: ConnId, word: Word) {
        let Some(&(address, door)) = self.held.get(&conn) else {
            return;
        };
        if let Word::Hello(Some(session)) = word
            && let Some(whose) = self.address_of(session)
            && let Some(guest) = self.guests.get_mut(&whose)
            && let Some(verdict) = guest.claimed(conn, door, session)
        {
            self.held.remove(&conn);
            self.strays.remove(conn);
            if let Some(guest) = self.guests.get_mut(&address) {
                guest.forget(conn);
            }
            self.verdicts.push_back(verdict);
            self.review(now, address);
            self.review(now, whose);
            return;
        }
        if self.strays.contains(conn) {
            if word != Word::Begun {
                self.release(conn, door);
            }
            return;
        }
        if let Some(guest) = self.guests.get_mut(&address) {
            guest.spoke(now, conn, word);
            self.review(now, address);
        }
    }

    /// Rule 28: a held one is treated as if nobody were waiting
    fn release(&mut self, conn: ConnId, door: Door) {
        self.strays.remove(conn);
        self.held.remove(&conn);
        self.verdicts.push_back(unclaimed(door.takes, conn));
    }

    /// The peer of an undecided arrival has ended it and left nothing to read.
    pub fn ended(&mut self, now: Duration, conn: ConnId) {
        let Some(&(address, _)) = self.held.get(&conn) else {
            return;
        };
        if self.strays.remove(conn) {
            self.held.remove(&conn);
            self.verdicts.push_back(Verdict::Drop {
                conn,
                why: DropReason::Gone,
            });
        } else if let Some(guest) = self.guests.get_mut(&address) {
            guest.ended(conn);
            self.review(now, address);
        }
    }

    /// Time has passed.
    pub fn elapsed(&mut self, now: Duration) {
        for conn in self.strays.overdue(now) {
            if let Some(&(_, door)) = self.held.get(&conn) {
                self.release(conn, door);
            }
        }
        for address in self.due(now) {
            self.review(now, address);
        }
    }

    fn guest(&mut self, address: IpAddr, session: SessionId) -> &mut Guest {
        let address = canonical(address);
        self.sessions.insert(session, address);
        self.guests.entry(address).or_default()
    }

    /// Applies the rules to everything of one address
    fn review(&mut self, now: Duration, address: IpAddr) {
        let Some(guest) = self.guests.get_mut(&address) else {
            return;
        };
        let from = self.verdicts.len();
        let next = guest.review(now, address, &mut self.verdicts);
        for verdict in self.verdicts.iter().skip(from) {
            if let Verdict::Control { conn }
            | Verdict::Data { conn, .. }
            | Verdict::Drop { conn, .. } = verdict
            {
                self.held.remove(conn);
            }
        }
        let old = std::mem::replace(&mut guest.alarm, next);
        let awaiting = guest.awaiting();
        let awaited = std::mem::replace(&mut guest.awaited, awaiting.clone());
        if guest.is_idle() {
            self.guests.remove(&address);
        }
        if old != next {
            if let Some(at) = old {
                self.alarms.remove(&(at, address));
            }
            if let Some(at) = next {
                self.alarms.insert((at, address));
            }
        }
        if awaiting != awaited {
            for it in &awaited {
                self.awaiting.remove(it);
            }
            self.awaiting.extend(awaiting);
            self.release_unawaited();
        }
    }

    /// Rule 28: those of whom nobody is left who could mean them
    fn release_unawaited(&mut self) {
        let held = self.strays.all();
        for (conn, door, at) in held {
            if self.awaited_since(at, door).is_none() {
                self.release(conn, door);
            }
        }
    }
}
