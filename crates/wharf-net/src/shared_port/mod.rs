//! One port for control and data, or one data port for many clients: what carries out the rules of
//! [`wharf_proto::data_connection::sorting`], for server and proxy alike.
//!
//! ```text
//! door task ──► Reception (the task that accepts) ──► admitted: a session, as always
//! (accept)      Porter { Sorter, held }
//!                  ▲          │
//!     ask, announce│          │ a turn | a refusal | nobody yet | the connection
//!                  │          ▼
//!               session: its Place waits for a turn, then holds a Listener like any other
//! ```
//!
//! The porter lives in the task that takes in all connections, so an ordinary control connection goes no other way than
//! without it; the rules cost it one look into a map. Sessions talk to it through a [`Place`], whose channel holds a few
//! orders a session at most, since a session asks again only after it was answered. A session gets its data connections
//! through a [`Listener`](crate::Listener) like any other, so that nothing above knows about shared ports.
//!
//! A connection that is undecided is looked at as soon as it says something: whose ticket its ClientHello shows, if it is
//! one, says to which session it may belong. The session makes the handshake, and goes on waiting if it fails.
//!
//! Not here: which doors there are, who may come in, and which port a 227 names. That is the business of who opens them.

mod doors;
mod order;
mod place;
mod porter;
mod reception;

pub use doors::{DataDoor, DataDoors, Entrance, NewDoor};
pub use order::{DataIdentity, WayToPorter};
pub use place::Place;
pub use porter::Admitted;
pub use reception::{Reception, Step};
