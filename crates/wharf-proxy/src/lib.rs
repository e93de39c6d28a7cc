//! The middle that translates: any data mode towards the client, any towards the server.
//!
//! A session is two control connections and, for each transfer, two data connections that are joined by one pump. What
//! is said to whom is decided in [`translate`], which opens nothing; [`Proxy`] carries it out.
//!
//! ```text
//!          PORT EPRT LPRT PASV EPSV LPSV                EPSV PASV EPRT PORT
//!  client ------------------------------> proxy -------------------------------> server
//! ```
//!
//! Each side may be protected by TLS, and the other need not know. Not here: any knowledge of files.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

mod config;
pub use config::{Begin, ClientSide, Config, ServerSide, UpstreamMode};
mod upstream;
pub use upstream::{Allowed, Place, Rule, Upstream};
mod proxy;
pub use proxy::{Error, Handle, Proxy};
mod bridge;
mod joint;
mod lobby;
mod shield;
pub mod translate;
mod upstream_tls;
