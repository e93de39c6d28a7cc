//! Least privilege: two processes instead of one.
//!
//! The *broker* is what was started. It keeps what takes rights: ports below 1024, the source port 20, the keys of TLS,
//! files that only their owner may read. It never reads a byte of the network. The *network process* is the same program
//! once more, with one end of a pair of sockets as its standard input. It talks to the network and has given away
//! everything else ([`sandbox`]); what it lacks it asks the broker for, in a few kinds of requests ([`message`]) that are
//! judged by the configuration ([`grant`]). Data never goes through the broker.
//!
//! In reading order: [`message`], [`grant`], [`sandbox`]; the broker's side ([`Broker`], [`Keys`]); the network process's
//! side ([`Link`], [`BrokeredNet`], [`SignedElsewhere`]). A third kind of process is the storage worker of a system user
//! ([`Logins`] and [`SystemUsers`], the crate `wharf-worker`). Not here: what is served, and to whom.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

mod broker;
mod channel;
mod clients;
pub mod grant;
mod keys;
mod link;
mod login;
mod logins;
pub mod message;
mod net;
mod opening;
pub mod sandbox;
mod signing;
mod system_users;
mod workers;

pub use broker::{AT_ONCE, Broker, End, Progress, Reloaded, Teller};
pub use grant::Grant;
pub use keys::Keys;
pub use link::{Link, Orders};
pub use logins::{Admitted, Doorman, Logins, Rejected};
pub use net::BrokeredNet;
pub use sandbox::{Identity, InForce, Own, Sandbox, SandboxError, Strictness, user_named};
pub use signing::SignedElsewhere;
pub use system_users::SystemUsers;
pub use workers::WorkerCommand;
