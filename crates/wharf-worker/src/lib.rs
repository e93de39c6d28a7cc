//! A file store in another process.
//!
//! A system user's files are touched by a process that *is* that user, the worker, so that the kernel judges every access
//! by the user's own number and groups. The server, which is nobody, asks it over a pair of sockets. Of a file that is
//! read or uploaded the worker gives the descriptor: data never goes through it.
//!
//! In reading order: [`message`] (what is asked and answered, pure), [`packet`] and [`channel`] (how that travels),
//! [`serve()`] (the worker's side, around any [`Storage`](wharf_storage::Storage) of files) and [`Remote`] (the server's
//! side, which is one); [`order`] and [`Worker`] are how a worker is told whom to serve. Not here: who may log in, how a
//! process becomes a user, what locks it in.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

pub mod channel;
pub mod message;
pub mod order;
pub mod packet;
mod remote;
mod serve;
mod worker;

pub use order::Post;
pub use packet::Malformed;
pub use remote::Remote;
pub use serve::serve;
pub use worker::Worker;
