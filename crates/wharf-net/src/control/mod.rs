//! The control connection, seen from the server-PI and from the user-PI.

mod keepalive;
mod outbox;
mod server;
mod user;

pub(crate) use outbox::part;
pub use server::ServerControl;
pub use user::{ControlError, UserControl};
