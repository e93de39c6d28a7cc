//! What the rules hear, and what they order.

use std::net::SocketAddr;

use wharf_proto::data_connection::Offer;
use wharf_proto::user_transfer::Direction;
use wharf_proto::{Line, Reply, Text};

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The client sent this.
    Line(Line),
    /// The server replied.
    Reply(Reply),
    /// The server has ended its control connection, or says what is no reply.
    ServerGone,
    /// [`Order::ListenForClient`]: the address to tell, or why there is none (text of the 425).
    ClientPort(Result<SocketAddr, String>),
    /// [`Order::ListenForServer`]: the address to tell, or why there is none.
    ServerPort(Result<SocketAddr, String>),
    /// [`Order::AnnounceToClient`]: nothing is in the way, or what (text of the 425).
    ClientReady(Result<(), String>),
    /// [`Order::OpenClient`]: the client's data connection stands, or why not.
    ClientData(Result<(), Trouble>),
    /// [`Order::ConnectServer`], [`Order::AcceptServer`]: the server's data connection stands, or why not.
    ServerData(Result<(), Unopened>),
    /// [`Order::Move`]: all bytes are through and the receiving side's connection was ended cleanly; or both were
    /// reset, and why.
    Moved(Result<(), Trouble>),
    /// The time of [`Order::Alarm`] is over.
    Late,
}

/// Why nothing, or not all, has come through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// A data connection could not be protected as agreed (522, RFC 4217 §10).
    pub unprotected: bool,
    /// For people.
    pub why: String,
}

impl From<String> for Trouble {
    fn from(why: String) -> Self {
        Self {
            unprotected: false,
            why,
        }
    }
}

impl Trouble {
    /// The code of the reply, which is `usual` otherwise.
    pub(super) fn code(&self, usual: u16) -> u16 {
        if self.unprotected { 522 } else { usual }
    }
}

/// Why there is no data connection with the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unopened {
    /// Nothing answered, which took its time: something on the way drops.
    pub silent: bool,
    /// For people.
    pub why: String,
}

/// Something is to be done, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Tell the client.
    ToClient(Reply),
    /// The client asked with STAT how far its transfer is.
    TellProgress,
    /// Send the line to the server.
    ToServer(Text),
    /// Send ABOR to the server, with Telnet IP and Synch before it.
    Abort,
    /// Listen for the client's data connection; an earlier port is closed first.
    ListenForClient(Offer),
    /// The client listens there: keep it for [`Order::OpenClient`].
    AimAtClient(SocketAddr),
    /// Listen for the server's data connection.
    ListenForServer,
    /// Connect to the server's data port.
    ConnectServer(SocketAddr),
    /// Wait for the server's data connection at the port of [`Order::ListenForServer`].
    AcceptServer,
    /// The client's data connection is about to come about, and bytes will flow this way. Where its port is shared with
    /// other sessions, find out whether it can.
    AnnounceToClient(Direction),
    /// Make the client's data connection: accept it, or connect.
    OpenClient,
    /// Move bytes this way until the sender's end, then end the other one cleanly. Without a connection to the server
    /// there are no bytes: end the client's.
    Move(Direction),
    /// Reset whatever data connections there are and forget their ports, the client's unused one excepted.
    Cut,
    /// Close the client's unused port.
    Release,
    /// Say [`Input::Late`] after this time; replaces an earlier alarm.
    Alarm(Wait),
    /// No alarm any more.
    Calm,
    /// Somebody has logged in under this name.
    LoggedIn(Text),
    /// Nobody is logged in any more.
    LoggedOut,
    /// Write what is to be written, then shake hands: the client's control connection goes on in TLS. A client that has
    /// sent more in clear is to be left.
    SecureClient,
    /// The client's data connections are protected from now on, or not any more.
    ProtectData(bool),
    /// Something for the log and the trace.
    Note(String),
    /// Write what is to be written and close both control connections.
    HangUp,
}

/// How long an alarm waits. The driver knows the times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until what is on its way must be here: about 2 s.
    Short,
    /// As long as a data connection may take.
    Patience,
    /// As long as anybody may take: about a minute.
    Long,
}
