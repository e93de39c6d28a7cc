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
//! | 4 | an arrival proves a session (a resumed TLS session) that is armed at the door | that session's data connection at once, from whatever address |
//! | 5 | it proves one that is not armed there | dropped |
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
//! | 19 | more than 256 undecided at a desk, or 1024 in all | dropped |
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
//! With a proof (rule 4) none of this remains.

mod desk;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use self::desk::Guest;
use super::{Flow, canonical};

/// The least settle time: an arrival that the kernel has accepted must have been told.
pub const SETTLE_LEAST: Duration = Duration::from_millis(5);
/// The most: a client whose connection needed longer lost a packet, which says nothing about the next one.
pub const SETTLE_MOST: Duration = Duration::from_millis(200);
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
/// Undecided arrivals in all.
pub const ARRIVALS_IN_ALL: usize = 1024;

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
    /// Data connections only.
    Data,
}

/// What an arrival has shown about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proof {
    /// Nothing but its address.
    None,
    /// It belongs to this session beyond doubt: a TLS session that the control connection began was resumed.
    Session(SessionId),
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
}

/// What the sorter decided. Every ask is answered by one `Granted` or `Refused`, every arrival by one `Control`, `Data` or
/// `Drop`.
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

/// Why a transfer on a shared port does not come about. The text is for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Rule 18.
    ManyUsers {
        /// The address that they share.
        address: IpAddr,
    },
    /// Rule 11.
    CannotTell {
        /// So many were undecided.
        count: usize,
        /// The address that they came from.
        address: IpAddr,
    },
    /// Rule 14: too many wait already.
    Crowded {
        /// The address whose sessions they are.
        address: IpAddr,
    },
    /// Rule 14: no turn came.
    NoTurn {
        /// After so long.
        waited: Duration,
        /// The address whose sessions were served meanwhile.
        address: IpAddr,
    },
    /// Rule 15.
    TurnOver {
        /// After so long without an arrival.
        waited: Duration,
    },
    /// None of the doors asked for exists any more (a configuration without them was loaded).
    NoDoor,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManyUsers { address } => write!(
                f,
                "several users are logged in from {address}: data connections to the control port cannot be told apart; use active mode, or ask for a passive port range"
            ),
            Self::CannotTell { count, address } => write!(
                f,
                "cannot tell which of {count} connections from {address} is yours; try again, one at a time (a data port of its own, at the server, would tell)"
            ),
            Self::Crowded { address } => write!(
                f,
                "too many transfers from {address} are waiting for the shared port; try again"
            ),
            Self::NoTurn { waited, address } => write!(
                f,
                "other transfers from {address} kept the shared port busy for {} s; try again",
                waited.as_secs()
            ),
            Self::TurnOver { waited } => write!(
                f,
                "no data connection came to the shared port in {} s; ask for it again",
                waited.as_secs()
            ),
            Self::NoDoor => f.write_str(
                "the port of this session has been closed by a new configuration; log in again",
            ),
        }
    }
}

impl std::error::Error for Refusal {}

/// Why an arrival is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Rule 2.
    Stranger,
    /// Rule 5.
    Unawaited,
    /// Rule 9.
    Gone,
    /// Rule 11.
    Ambiguous,
    /// Rule 19.
    Flood,
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stranger => "nobody of its address waits for a data connection",
            Self::Unawaited => "its session waits for no data connection",
            Self::Gone => "it ended without a word",
            Self::Ambiguous => "it cannot be told apart from another of its address",
            Self::Flood => "too many undecided connections",
        })
    }
}

/// Sorts arrivals at shared ports; see the [module](self).
#[derive(Debug, Default)]
pub struct Sorter {
    guests: HashMap<IpAddr, Guest>,
    sessions: HashMap<SessionId, IpAddr>,
    held: HashMap<ConnId, IpAddr>,
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
        self.alarms.first().map(|(at, _)| *at)
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
    pub fn arrived(
        &mut self,
        now: Duration,
        conn: ConnId,
        door: Door,
        address: IpAddr,
        proof: Proof,
    ) {
        let address = canonical(address);
        if let Proof::Session(session) = proof {
            self.arrived_proved(now, conn, door, session);
            return;
        }
        let unawaited = match door.takes {
            Takes::Control => Verdict::Control { conn },
            Takes::Data => Verdict::Drop {
                conn,
                why: DropReason::Stranger,
            },
        };
        let room = self.held.len() < ARRIVALS_IN_ALL;
        let Some(guest) = self.guests.get_mut(&address) else {
            self.verdicts.push_back(unawaited);
            return;
        };
        let verdict = match guest.arrived(now, conn, door, room) {
            desk::Seen::Unawaited => unawaited,
            desk::Seen::Flood => Verdict::Drop {
                conn,
                why: DropReason::Flood,
            },
            desk::Seen::Data(session) => Verdict::Data { conn, session },
            desk::Seen::Undecided => {
                self.held.insert(conn, address);
                self.review(now, address);
                return;
            }
        };
        self.verdicts.push_back(verdict);
        self.review(now, address);
    }

    fn arrived_proved(&mut self, now: Duration, conn: ConnId, door: Door, session: SessionId) {
        let address = self.address_of(session);
        let guest = address.and_then(|address| self.guests.get_mut(&address));
        let awaited = guest.is_some_and(|guest| guest.proved(now, door, session));
        self.verdicts.push_back(if awaited {
            Verdict::Data { conn, session }
        } else {
            Verdict::Drop {
                conn,
                why: DropReason::Unawaited,
            }
        });
        if let Some(address) = address {
            self.review(now, address);
        }
    }

    /// An undecided arrival has bytes to read.
    pub fn spoke(&mut self, now: Duration, conn: ConnId) {
        if let Some(&address) = self.held.get(&conn)
            && let Some(guest) = self.guests.get_mut(&address)
        {
            guest.spoke(now, conn);
            self.review(now, address);
        }
    }

    /// The peer of an undecided arrival has ended it and left nothing to read.
    pub fn ended(&mut self, now: Duration, conn: ConnId) {
        if let Some(&address) = self.held.get(&conn)
            && let Some(guest) = self.guests.get_mut(&address)
        {
            guest.ended(conn);
            self.review(now, address);
        }
    }

    /// Time has passed.
    pub fn elapsed(&mut self, now: Duration) {
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
    }
}
