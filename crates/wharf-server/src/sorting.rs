//! Carries out what the rules of `wharf_proto::data_connection::sorting` decide: holds the connections that are
//! undecided, looks at them, and hands each to the session it belongs to, or to nobody.
//!
//! The [`Porter`] lives in the task that takes in all connections, so an ordinary control connection goes no other way than
//! without it; the rules cost it one look into a map. Sessions talk to it through a [`Place`], whose channel holds a few
//! orders a session at most, since a session asks again only after it was answered. A session gets its data connections
//! through a [`Listener`] like any other, so that nothing above knows about shared ports.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use wharf_net::{Conn, Flow, Heard, Listener};
use wharf_proto::data_connection::sorting::{
    ARRIVALS, Ask, ConnId, Door, DropReason, Proof, Refusal, SessionId, SharedAddress, Sorter,
    Takes, User, Verdict,
};

use crate::doors::{Doors, Entrance};

/// How often undecided connections are looked at: whether they have spoken or ended. They are looked at besides whenever
/// something is decided about them.
const LOOK: Duration = Duration::from_millis(25);

/// A door that does not answer a sweep in this time is waited for no longer: it is closing
const SWEEP_PATIENCE: Duration = Duration::from_millis(100);

/// Connections and words that wait for a session
const MAILBOX: usize = ARRIVALS + 8;

/// What sessions want of the porter
pub(crate) enum Order {
    LoggedIn(SessionId, IpAddr, User),
    LoggedOut(SessionId),
    Ask(Request),
    Announced(SessionId, u64, Flow),
    Withdrawn(SessionId, u64),
    Gone(SessionId),
}

/// Holds a few orders a session at most: none asks again before it was answered
pub(crate) type WayToPorter = mpsc::UnboundedSender<Order>;

/// PASV, EPSV or LPSV wants a shared port
pub(crate) struct Request {
    session: SessionId,
    /// Which of its grants this will be
    grant: u64,
    address: IpAddr,
    doors: Vec<Door>,
    shared_address: SharedAddress,
    answer: oneshot::Sender<Result<Grant, Refusal>>,
}

struct Grant {
    door: Door,
    mail: mpsc::Receiver<Mail>,
}

/// What a session with a grant is told
enum Mail {
    Conn(Box<Conn>),
    Refused(Refusal),
    NobodyYet,
}

/// A control connection to be served, and where it came in
pub(crate) struct Admitted {
    pub(crate) conn: Conn,
    pub(crate) entrance: Entrance,
}

/// Sorts what comes in
pub(crate) struct Porter {
    sorter: Sorter,
    began: Instant,
    conns: u64,
    held: HashMap<ConnId, Admitted>,
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
enum Dealing {
    Asking(u64, oneshot::Sender<Result<Grant, Refusal>>),
    Granted(u64, mpsc::Sender<Mail>),
}

impl Porter {
    pub(crate) fn new() -> Self {
        let (way, orders) = mpsc::unbounded_channel();
        Self {
            sorter: Sorter::new(),
            began: Instant::now(),
            conns: 0,
            held: HashMap::new(),
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

    /// What a session talks to it through
    pub(crate) fn way(&self) -> WayToPorter {
        self.way.clone()
    }

    /// Something to do; cancel-safe
    pub(crate) async fn next(&mut self) -> Work {
        let alarm = self.alarm();
        tokio::select! {
            Some(order) = self.orders.recv() => Work::Order(order),
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
    pub(crate) fn is_busy(&self) -> bool {
        let mut dealings = self.sessions.values();
        dealings.any(|dealing| match dealing {
            Dealing::Asking(..) => false,
            Dealing::Granted(_, mail) => !mail.is_closed(),
        })
    }

    /// The control connections to be served now
    pub(crate) fn admitted(&mut self) -> std::vec::Drain<'_, Admitted> {
        self.admitted.drain(..)
    }

    /// Somebody came in, and counts as a client with this address
    pub(crate) fn arrived(&mut self, entrance: Entrance, conn: Conn, address: IpAddr) {
        self.conns += 1;
        let id = ConnId(self.conns);
        self.held.insert(id, Admitted { conn, entrance });
        // Who was there before may have left meanwhile.
        self.look_at(address);
        let now = self.now();
        let door = entrance.door;
        self.sorter.arrived(now, id, door, address, Proof::None);
        self.carry_out();
    }

    /// A session wants something
    pub(crate) fn order(&mut self, order: Order, doors: &Doors) {
        let now = self.now();
        match order {
            Order::LoggedIn(session, address, user) => {
                self.sorter.logged_in(now, session, address, user);
            }
            Order::LoggedOut(session) => self.sorter.logged_out(now, session),
            Order::Ask(request) => self.ask(request, doors),
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
                self.sessions.remove(&session);
            }
            // Of a grant that was taken back meanwhile
            Order::Withdrawn(..) => {}
            Order::Gone(session) => {
                self.look_at_those_of(session);
                self.sorter.gone(now, session);
                self.sessions.remove(&session);
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
            answer,
        } = request;
        doors.retain(|door| open.is_open(*door));
        self.look_at(address);
        self.sessions
            .insert(session, Dealing::Asking(grant, answer));
        let ask = Ask {
            session,
            address,
            doors: &doors,
            shared_address,
        };
        self.sorter.ask(self.now(), &ask);
    }

    /// Time has passed. What the rules decide now shall hang on who has come, not on whom we have looked at: the control
    /// doors are swept first.
    pub(crate) fn alarmed(&mut self, doors: &Doors) {
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
    pub(crate) fn swept(&mut self, number: u64, doors: &Doors) {
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
        matches!(
            self.sessions.get(&session),
            Some(Dealing::Asking(number, _) | Dealing::Granted(number, _)) if *number == grant
        )
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
        let now = self.now();
        match self.held.get(&id).map(|held| held.conn.heard()) {
            Some(Heard::Bytes) => self.sorter.spoke(now, id),
            Some(Heard::End) => self.sorter.ended(now, id),
            Some(Heard::Nothing) | None => {}
        }
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
            Verdict::Refused { session, why } => match self.sessions.remove(&session) {
                // Whoever asked may be gone.
                Some(Dealing::Asking(_, answer)) => drop(answer.send(Err(why))),
                Some(Dealing::Granted(_, mail)) => drop(mail.try_send(Mail::Refused(why))),
                None => {}
            },
            Verdict::NobodyYet { session } => {
                if let Some(Dealing::Granted(_, mail)) = self.sessions.get(&session) {
                    let _ = mail.try_send(Mail::NobodyYet);
                }
            }
            Verdict::Control { conn } => {
                if let Some(admitted) = self.held.remove(&conn) {
                    self.admitted.push(admitted);
                }
            }
            Verdict::Data { conn, session } => {
                let Some(Admitted { conn, .. }) = self.held.remove(&conn) else {
                    return;
                };
                tracing::debug!(session = session.0, peer = %conn.peer_addr(), "data connection at a shared port");
                match self.sessions.get(&session) {
                    Some(Dealing::Granted(_, mail)) => {
                        if let Err(refused) = mail.try_send(Mail::Conn(Box::new(conn))) {
                            reset(refused.into_inner());
                        }
                    }
                    _ => conn.abort(),
                }
            }
            Verdict::Drop { conn, why } => {
                let Some(Admitted { conn, entrance }) = self.held.remove(&conn) else {
                    return;
                };
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

    fn granted(&mut self, session: SessionId, door: Door) {
        let Some(Dealing::Asking(grant, answer)) = self.sessions.remove(&session) else {
            return;
        };
        let (sender, mail) = mpsc::channel(MAILBOX);
        if answer.send(Ok(Grant { door, mail })).is_err() {
            let now = self.now();
            self.sorter.withdrawn(now, session);
            return;
        }
        self.sessions
            .insert(session, Dealing::Granted(grant, sender));
    }
}

/// What is to be done next
pub(crate) enum Work {
    Order(Order),
    Alarm,
}

fn reset(mail: Mail) {
    if let Mail::Conn(conn) = mail {
        conn.abort();
    }
}

/// A session's way to the porter; dropping it tells that the session is over
pub(crate) struct Place {
    session: SessionId,
    client: IpAddr,
    /// The control door that it came in by
    pub(crate) entrance: Entrance,
    orders: WayToPorter,
    grants: u64,
    /// The porter has heard of it
    known: bool,
}

impl Place {
    pub(crate) fn new(
        session: u64,
        client: IpAddr,
        entrance: Entrance,
        orders: WayToPorter,
    ) -> Self {
        Self {
            session: SessionId(session),
            client,
            entrance,
            orders,
            grants: 0,
            known: false,
        }
    }

    pub(crate) fn logged_in(&mut self, user: User) {
        self.known = true;
        self.tell(Order::LoggedIn(self.session, self.client, user));
    }

    pub(crate) fn logged_out(&self) {
        if self.known {
            self.tell(Order::LoggedOut(self.session));
        }
    }

    /// Waits for a turn at one of the doors; told is where the client is to be sent, from the door that was granted
    pub(crate) async fn ask(
        &mut self,
        doors: Vec<Door>,
        shared_address: SharedAddress,
        at: impl FnOnce(Door) -> SocketAddr,
    ) -> Result<Box<dyn Listener>, Refusal> {
        self.known = true;
        self.grants += 1;
        let (answer, answered) = oneshot::channel();
        self.tell(Order::Ask(Request {
            session: self.session,
            grant: self.grants,
            address: self.client,
            doors,
            shared_address,
            answer,
        }));
        // The porter ends with the server.
        let Grant { door, mail } = answered.await.map_err(|_| Refusal::NoDoor)??;
        Ok(Box::new(SharedListener {
            at: at(door),
            takes: door.takes,
            session: self.session,
            grant: self.grants,
            orders: self.orders.clone(),
            mail,
            announced: false,
            kept: None,
            refused: None,
        }))
    }

    fn tell(&self, order: Order) {
        // Without a porter there is nobody who could mistake a connection.
        let _ = self.orders.send(order);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.known {
            self.tell(Order::Gone(self.session));
        }
    }
}

/// What a session holds of a shared port: the connections that the porter gives it
struct SharedListener {
    at: SocketAddr,
    takes: Takes,
    session: SessionId,
    grant: u64,
    orders: WayToPorter,
    mail: mpsc::Receiver<Mail>,
    announced: bool,
    /// Came before it was asked for
    kept: Option<Conn>,
    refused: Option<Refusal>,
}

impl SharedListener {
    /// The next connection; `None` when nobody has come yet
    async fn next(&mut self) -> io::Result<Option<Conn>> {
        if let Some(why) = &self.refused {
            return Err(io::Error::other(why.clone()));
        }
        match self.mail.recv().await {
            Some(Mail::Conn(conn)) => Ok(Some(*conn)),
            Some(Mail::NobodyYet) => Ok(None),
            Some(Mail::Refused(why)) => {
                self.refused = Some(why.clone());
                Err(io::Error::other(why))
            }
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

#[async_trait]
impl Listener for SharedListener {
    async fn accept(&mut self) -> io::Result<Conn> {
        if let Some(conn) = self.kept.take() {
            return Ok(conn);
        }
        loop {
            if let Some(conn) = self.next().await? {
                return Ok(conn);
            }
        }
    }

    fn local_addr(&self) -> SocketAddr {
        self.at
    }

    fn announce(&mut self, flow: Flow) {
        if !self.announced {
            self.announced = true;
            let order = Order::Announced(self.session, self.grant, flow);
            let _ = self.orders.send(order);
        }
    }

    async fn settle(&mut self) -> io::Result<()> {
        // At a data door it is clear at once whose a connection is.
        if self.takes == Takes::Control && self.announced && self.kept.is_none() {
            self.kept = self.next().await?;
        }
        Ok(())
    }
}

impl Drop for SharedListener {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Withdrawn(self.session, self.grant));
        // Who came and was not taken sees that it is no end of a file.
        self.mail.close();
        while let Ok(mail) = self.mail.try_recv() {
            reset(mail);
        }
        if let Some(conn) = self.kept.take() {
            conn.abort();
        }
    }
}
