//! Carries out what the [`Sorter`] decides: holds the connections that are undecided, looks at them, and hands each to the
//! session it belongs to, or to nobody.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use wharf_proto::data_connection::Flow;
use wharf_proto::data_connection::sorting::{
    Ask, ConnId, Door, DropReason, Refusal, SessionId, Sorter, Verdict, Word,
};

use super::doors::{Doors, Entrance};
use super::order::{DataIdentity, Grant, MAILBOX, Mail, Order, Request, WayToPorter, reset};
use crate::conn::{Beginning, Conn};
use crate::tls::TicketName;

/// How often undecided connections are looked at: whether they have ended, and foreign ones whether they have spoken. They are
/// looked at besides when the system says that something came, and whenever something is decided about them.
const LOOK: Duration = Duration::from_millis(25);

/// A door that does not answer a sweep in this time is waited for no longer: it is closing
const SWEEP_PATIENCE: Duration = Duration::from_millis(100);

/// A control connection to be served, and where it came in.
pub struct Admitted {
    /// All its bytes are unread.
    pub conn: Conn,
    /// For its [`Place`](super::Place).
    pub entrance: Entrance,
}

/// Sorts what comes in
pub(super) struct Porter {
    sorter: Sorter,
    began: Instant,
    conns: u64,
    held: HashMap<ConnId, Held>,
    /// Whose tickets have which name, of sessions that ask or are armed
    tickets: HashMap<TicketName, SessionId>,
    sessions: HashMap<SessionId, Dealing>,
    way: WayToPorter,
    orders: mpsc::UnboundedReceiver<Order>,
    /// Control connections to be served
    admitted: Vec<Admitted>,
    next_look: Option<Instant>,
    sweeps: u64,
    sweeping: Option<Sweep>,
    /// Announcements that wait for a sweep of their own
    announced: Vec<Announcement>,
}

/// A connection that is undecided
struct Held {
    admitted: Admitted,
    /// It has not yet said what it is
    unknown: bool,
}

/// Whoever had come when it began will have been handed on when it ends
struct Sweep {
    /// Doors that have not answered yet
    doors: usize,
    /// For so long they are waited for
    until: Instant,
    /// What came before it
    announced: Vec<Announcement>,
}

struct Announcement {
    session: SessionId,
    grant: u64,
    flow: Flow,
}

/// How far a session's request is
struct Dealing {
    grant: u64,
    /// Of its session in TLS
    names: [Option<TicketName>; 2],
    stage: Stage,
}

enum Stage {
    Asking(oneshot::Sender<Result<Grant, Refusal>>),
    Granted(mpsc::Sender<Mail>),
}

impl Default for Porter {
    fn default() -> Self {
        let (way, orders) = WayToPorter::new();
        Self {
            sorter: Sorter::new(),
            began: Instant::now(),
            conns: 0,
            held: HashMap::new(),
            tickets: HashMap::new(),
            sessions: HashMap::new(),
            way,
            orders,
            admitted: Vec::new(),
            next_look: None,
            sweeps: 0,
            sweeping: None,
            announced: Vec::new(),
        }
    }
}

impl Porter {
    /// What a session talks to it through
    pub(super) fn way(&self) -> WayToPorter {
        self.way.clone()
    }

    /// Something to do; cancel-safe
    pub(super) async fn next(&mut self) -> Work {
        let alarm = self.alarm();
        // Exclusively: what streams are made of may be shared by nobody.
        let held = &mut self.held;
        tokio::select! {
            Some(order) = self.orders.recv() => Work::Order(order),
            (conn, beginning) = poll_fn(|cx| poll_news(held, cx)) => Work::News(conn, beginning),
            () = async { sleep_until(alarm.unwrap_or_else(Instant::now)).await }, if alarm.is_some() => Work::Alarm,
        }
    }

    /// When time alone changes something
    fn alarm(&self) -> Option<Instant> {
        if let Some(sweep) = &self.sweeping {
            return Some(sweep.until);
        }
        let due = self.sorter.deadline().map(|at| self.began + at);
        due.into_iter().chain(self.next_look).min()
    }

    /// Whether a transfer is under way that a stop must not cut
    pub(super) fn is_busy(&self) -> bool {
        let mut dealings = self.sessions.values();
        dealings.any(|dealing| match &dealing.stage {
            Stage::Asking(_) => false,
            Stage::Granted(mail) => !mail.is_closed(),
        })
    }

    /// The control connections to be served now
    pub(super) fn admitted(&mut self) -> std::vec::Drain<'_, Admitted> {
        self.admitted.drain(..)
    }

    /// Somebody came in, and counts as a client with this address
    pub(super) fn arrived(&mut self, entrance: Entrance, conn: Conn, address: IpAddr) {
        self.conns += 1;
        let id = ConnId(self.conns);
        let admitted = Admitted { conn, entrance };
        let unknown = true;
        self.held.insert(id, Held { admitted, unknown });
        // Who was there before may have left meanwhile.
        self.look_at(address);
        let now = self.now();
        let door = entrance.door;
        self.sorter.arrived(now, id, door, address);
        self.carry_out();
        if self.held.contains_key(&id) {
            // It may have spoken on its way.
            self.look(id);
            self.carry_out();
        }
    }

    /// A session wants something
    pub(super) fn order(&mut self, order: Order, doors: &Doors) {
        let now = self.now();
        match order {
            Order::LoggedIn(session, address, user) => {
                self.sorter.logged_in(now, session, address, user);
            }
            Order::LoggedOut(session) => self.sorter.logged_out(now, session),
            Order::Ask(request) => self.ask(request, doors),
            Order::Announced(session, grant, flow) if self.is_in_tls(session, grant) => {
                self.sorter.announced(now, session, flow);
            }
            Order::Announced(session, grant, flow) => {
                // Its data connection may be accepted, and not yet handed on by the door.
                self.announced.push(Announcement {
                    session,
                    grant,
                    flow,
                });
                if self.sweeping.is_none() {
                    self.sweep(doors);
                }
            }
            Order::Withdrawn(session, grant) if self.has(session, grant) => {
                self.look_at_those_of(session);
                self.sorter.withdrawn(now, session);
                self.forget(session);
            }
            // Of a grant that was taken back meanwhile
            Order::Withdrawn(..) => {}
            Order::Gone(session) => {
                self.look_at_those_of(session);
                self.sorter.gone(now, session);
                self.forget(session);
            }
        }
        self.carry_out();
    }

    fn ask(&mut self, request: Request, open: &Doors) {
        let Request {
            session,
            grant,
            address,
            mut doors,
            shared_address,
            identity,
            answer,
        } = request;
        doors.retain(|door| open.is_open(*door));
        self.look_at(address);
        self.forget(session);
        let DataIdentity { known_by, names } = identity;
        let named = names.iter().flatten();
        self.tickets.extend(named.map(|name| (*name, session)));
        let stage = Stage::Asking(answer);
        let dealing = Dealing {
            grant,
            names,
            stage,
        };
        self.sessions.insert(session, dealing);
        let ask = Ask {
            session,
            address,
            doors: &doors,
            shared_address,
            known_by,
        };
        self.sorter.ask(self.now(), &ask);
    }

    fn forget(&mut self, session: SessionId) -> Option<Stage> {
        let dealing = self.sessions.remove(&session)?;
        for name in dealing.names.iter().flatten() {
            self.tickets.remove(name);
        }
        Some(dealing.stage)
    }

    /// Time has passed. What the rules decide now shall hang on who has come, not on whom we have looked at: the control
    /// doors are swept first.
    pub(super) fn alarmed(&mut self, doors: &Doors) {
        let now = Instant::now();
        if self.next_look.is_some_and(|at| at <= now) {
            self.look_at_all();
        }
        if let Some(sweep) = &self.sweeping {
            if sweep.until <= now {
                self.decide(doors);
            }
            return;
        }
        let due = self.sorter.due(self.now());
        let undecided = due
            .iter()
            .any(|address| !self.sorter.undecided(*address).is_empty());
        if undecided {
            self.sweep(doors);
        } else {
            self.decide(doors);
        }
    }

    fn sweep(&mut self, doors: &Doors) {
        self.sweeps += 1;
        self.sweeping = Some(Sweep {
            doors: doors.sweep(self.sweeps),
            until: Instant::now() + SWEEP_PATIENCE,
            announced: std::mem::take(&mut self.announced),
        });
        self.end_sweep(doors);
    }

    /// A door has handed on everybody who came before the sweep
    pub(super) fn swept(&mut self, number: u64, doors: &Doors) {
        if number == self.sweeps
            && let Some(sweep) = &mut self.sweeping
        {
            sweep.doors = sweep.doors.saturating_sub(1);
            self.end_sweep(doors);
        }
    }

    fn end_sweep(&mut self, doors: &Doors) {
        if self.sweeping.as_ref().is_some_and(|it| it.doors == 0) {
            self.decide(doors);
        }
    }

    fn decide(&mut self, doors: &Doors) {
        let swept = self.sweeping.take();
        let now = self.now();
        for announcement in swept.into_iter().flat_map(|sweep| sweep.announced) {
            let Announcement {
                session,
                grant,
                flow,
            } = announcement;
            if self.has(session, grant) {
                self.look_at_those_of(session);
                self.sorter.announced(now, session, flow);
            }
        }
        for address in self.sorter.due(now) {
            self.look_at(address);
        }
        for conn in self.sorter.overdue(now) {
            self.look(conn);
        }
        self.sorter.elapsed(now);
        self.carry_out();
        if !self.announced.is_empty() {
            self.sweep(doors);
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn has(&self, session: SessionId, grant: u64) -> bool {
        let dealing = self.sessions.get(&session);
        dealing.is_some_and(|it| it.grant == grant)
    }

    fn is_in_tls(&self, session: SessionId, grant: u64) -> bool {
        let dealing = self.sessions.get(&session);
        dealing.is_some_and(|it| it.grant == grant && it.names.iter().any(Option::is_some))
    }

    fn look_at_those_of(&mut self, session: SessionId) {
        if let Some(address) = self.sorter.address_of(session) {
            self.look_at(address);
        }
    }

    fn look_at_all(&mut self) {
        let all: Vec<ConnId> = self.held.keys().copied().collect();
        for id in all {
            self.look(id);
        }
        self.next_look = None;
        self.carry_out();
    }

    fn look_at(&mut self, address: IpAddr) {
        for id in self.sorter.undecided(address) {
            self.look(id);
        }
    }

    fn look(&mut self, id: ConnId) {
        if let Some(held) = self.held.get(&id) {
            let beginning = held.admitted.conn.beginning();
            self.note(id, beginning);
        }
    }

    /// An undecided connection has done something
    pub(super) fn news(&mut self, id: ConnId, beginning: Beginning) {
        self.note(id, beginning);
        self.carry_out();
    }

    fn note(&mut self, id: ConnId, beginning: Beginning) {
        let now = self.now();
        let Some(held) = self.held.get_mut(&id) else {
            return;
        };
        let word = match beginning {
            Beginning::Nothing => return,
            Beginning::End => {
                held.unknown = false;
                self.sorter.ended(now, id);
                return;
            }
            Beginning::Part => Word::Begun,
            Beginning::Clear => Word::Clear,
            Beginning::Hello(tickets) => {
                let whose = tickets.iter().find_map(|name| self.tickets.get(name));
                Word::Hello(whose.copied())
            }
        };
        held.unknown = word == Word::Begun;
        self.sorter.spoke(now, id, word);
    }

    fn carry_out(&mut self) {
        while let Some(verdict) = self.sorter.next_verdict() {
            self.verdict(verdict);
        }
        if self.held.is_empty() {
            self.next_look = None;
        } else if self.next_look.is_none() {
            self.next_look = Some(Instant::now() + LOOK);
        }
    }

    fn verdict(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Granted { session, door } => self.granted(session, door),
            Verdict::Refused { session, why } => match self.forget(session) {
                // Whoever asked may be gone.
                Some(Stage::Asking(answer)) => drop(answer.send(Err(why))),
                Some(Stage::Granted(mail)) => drop(mail.try_send(Mail::Refused(why))),
                None => {}
            },
            Verdict::NobodyYet { session } => {
                if let Some(mail) = self.mail(session) {
                    let _ = mail.try_send(Mail::NobodyYet);
                }
            }
            Verdict::Control { conn } => {
                if let Some(held) = self.held.remove(&conn) {
                    self.admitted.push(held.admitted);
                }
            }
            Verdict::Data { conn, session } => {
                let Some(held) = self.held.remove(&conn) else {
                    return;
                };
                let conn = held.admitted.conn;
                tracing::debug!(session = session.0, peer = %conn.peer_addr(), "data connection at a shared port");
                match self.mail(session) {
                    Some(mail) => {
                        if let Err(refused) = mail.try_send(Mail::Conn(Box::new(conn))) {
                            reset(refused.into_inner());
                        }
                    }
                    None => conn.abort(),
                }
            }
            Verdict::Drop { conn, why } => {
                let Some(held) = self.held.remove(&conn) else {
                    return;
                };
                let Admitted { conn, entrance } = held.admitted;
                let peer = conn.peer_addr();
                match why {
                    DropReason::Gone => {
                        tracing::debug!(%peer, "came to a shared port and went without a word");
                    }
                    _ => {
                        tracing::warn!(%peer, at = %entrance.wanted, "dropped at a shared port: {why}");
                        conn.abort();
                    }
                }
            }
        }
    }

    fn mail(&self, session: SessionId) -> Option<&mpsc::Sender<Mail>> {
        match &self.sessions.get(&session)?.stage {
            Stage::Asking(_) => None,
            Stage::Granted(mail) => Some(mail),
        }
    }

    fn granted(&mut self, session: SessionId, door: Door) {
        let Some(dealing) = self.sessions.get_mut(&session) else {
            return;
        };
        let (sender, mail) = mpsc::channel(MAILBOX);
        let asking = std::mem::replace(&mut dealing.stage, Stage::Granted(sender));
        let heard = match asking {
            Stage::Asking(answer) => answer.send(Ok(Grant { door, mail })).is_ok(),
            Stage::Granted(_) => false,
        };
        if !heard {
            let now = self.now();
            self.forget(session);
            self.sorter.withdrawn(now, session);
        }
    }
}

/// Which undecided connection has done something first
fn poll_news(held: &mut HashMap<ConnId, Held>, cx: &mut Context<'_>) -> Poll<(ConnId, Beginning)> {
    for (id, held) in held.iter_mut().filter(|(_, held)| held.unknown) {
        if let Poll::Ready(beginning) = held.admitted.conn.poll_beginning(cx) {
            return Poll::Ready((*id, beginning));
        }
    }
    Poll::Pending
}

/// What is to be done next
pub(super) enum Work {
    Order(Order),
    News(ConnId, Beginning),
    Alarm,
}
