//! What sessions and the porter tell each other.

use std::net::IpAddr;

use tokio::sync::{mpsc, oneshot};
use wharf_proto::data_connection::Flow;
use wharf_proto::data_connection::sorting::{
    ARRIVALS, Door, KnownBy, Refusal, SessionId, SharedAddress, User,
};

use crate::conn::Conn;
use crate::tls::{DataSession, TicketName, TlsSession};

/// Connections and words that wait for a session
pub(super) const MAILBOX: usize = ARRIVALS + 8;

/// What sessions want of the porter
pub(super) enum Order {
    LoggedIn(SessionId, IpAddr, User),
    LoggedOut(SessionId),
    Ask(Request),
    Announced(SessionId, u64, Flow),
    Withdrawn(SessionId, u64),
    Gone(SessionId),
}

/// A way to the porter of a [`Reception`](super::Reception), for its sessions. It holds a few orders a session at most: none
/// asks again before it was answered.
#[derive(Clone, Debug)]
pub struct WayToPorter(mpsc::UnboundedSender<Order>);

impl WayToPorter {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Order>) {
        let (sender, orders) = mpsc::unbounded_channel();
        (Self(sender), orders)
    }

    pub(super) fn tell(&self, order: Order) {
        // Without a porter there is nobody who could mistake a connection.
        let _ = self.0.send(order);
    }
}

/// By what a session will know its data connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct DataIdentity {
    pub(super) known_by: KnownBy,
    /// What the ClientHello of one that resumes shows: the name of a ticket, or of the session's ID
    pub(super) names: [Option<TicketName>; 2],
}

impl DataIdentity {
    /// Of a data connection in clear (`None`), or in TLS under this policy.
    pub fn of(tls: Option<(&TlsSession, DataSession)>) -> Self {
        // A server's ticket names nobody here: in the user's role it is known by its address.
        let Some((TlsSession::Server(session), policy)) = tls else {
            return Self::default();
        };
        Self {
            known_by: match policy {
                DataSession::Require => KnownBy::Session,
                DataSession::Prefer | DataSession::Off => KnownBy::Either,
            },
            names: [Some(session.name()), session.id_name()],
        }
    }
}

/// PASV, EPSV or LPSV wants a shared port
pub(super) struct Request {
    pub(super) session: SessionId,
    /// Which of its grants this will be
    pub(super) grant: u64,
    pub(super) address: IpAddr,
    pub(super) doors: Vec<Door>,
    pub(super) shared_address: SharedAddress,
    pub(super) identity: DataIdentity,
    pub(super) answer: oneshot::Sender<Result<Grant, Refusal>>,
}

pub(super) struct Grant {
    pub(super) door: Door,
    pub(super) mail: mpsc::Receiver<Mail>,
}

/// What a session with a grant is told
pub(super) enum Mail {
    Conn(Box<Conn>),
    Refused(Refusal),
    NobodyYet,
}

pub(super) fn reset(mail: Mail) {
    if let Mail::Conn(conn) = mail {
        conn.abort();
    }
}
