//! A session's end of a shared port: it asks for a turn, and gets a [`Listener`] like any other.

use std::io;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use wharf_proto::data_connection::Flow;
use wharf_proto::data_connection::sorting::{Door, Refusal, SessionId, SharedAddress, Takes, User};

use super::doors::Entrance;
use super::order::{DataIdentity, Grant, Mail, Order, Request, WayToPorter, reset};
use crate::conn::Conn;
use crate::net::Listener;

/// A session's place with the porter. Dropping it tells that the session is over.
pub struct Place {
    session: SessionId,
    client: IpAddr,
    /// The control door that it came in by.
    pub entrance: Entrance,
    orders: WayToPorter,
    grants: u64,
    /// The porter has heard of it
    known: bool,
}

impl Place {
    /// Of the session with this number, which no other one of the same [`Reception`](super::Reception) may have. `client`
    /// is the address that it counts as.
    pub fn new(session: u64, client: IpAddr, entrance: Entrance, orders: WayToPorter) -> Self {
        Self {
            session: SessionId(session),
            client,
            entrance,
            orders,
            grants: 0,
            known: false,
        }
    }

    /// Its user is known now, or is another one than before: at an address with several users nobody gets a turn at a
    /// control door unless that is allowed (rule 18).
    pub fn logged_in(&mut self, user: User) {
        self.known = true;
        self.orders
            .tell(Order::LoggedIn(self.session, self.client, user));
    }

    /// Nobody is logged in any more: REIN, a new USER.
    pub fn logged_out(&self) {
        if self.known {
            self.orders.tell(Order::LoggedOut(self.session));
        }
    }

    /// Waits for a turn at one of the doors; `identity` is by what the data connection will be known, and `at` says where the
    /// client is to be sent, given the door that was granted. Whoever is known by its TLS session alone waits for nobody else
    /// who is, and its listener gives out everybody who says to be the one: the handshake shows who is.
    /// Cancel-safe. Dropping the listener gives the turn back; asking again does as well.
    ///
    /// # Errors
    /// Why there is none; the text is for the client.
    pub async fn ask(
        &mut self,
        doors: Vec<Door>,
        shared_address: SharedAddress,
        identity: DataIdentity,
        at: impl FnOnce(Door) -> SocketAddr,
    ) -> Result<Box<dyn Listener>, Refusal> {
        self.known = true;
        self.grants += 1;
        let (answer, answered) = oneshot::channel();
        self.orders.tell(Order::Ask(Request {
            session: self.session,
            grant: self.grants,
            address: self.client,
            doors,
            shared_address,
            identity,
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
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.known {
            self.orders.tell(Order::Gone(self.session));
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
            self.orders
                .tell(Order::Announced(self.session, self.grant, flow));
        }
    }

    async fn settle(&mut self) -> io::Result<()> {
        // At a data door it is clear at once whose a connection is.
        if self.takes != Takes::Data && self.announced && self.kept.is_none() {
            self.kept = self.next().await?;
        }
        Ok(())
    }
}

impl Drop for SharedListener {
    fn drop(&mut self) {
        self.orders.tell(Order::Withdrawn(self.session, self.grant));
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
