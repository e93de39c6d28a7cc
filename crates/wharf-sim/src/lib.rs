//! A network on paper: hosts, NATs, firewalls and their FTP helpers, on tokio's clock.
//!
//! It works on connections, not packets: a `connect` walks the gateways between two hosts and is rewritten, forwarded,
//! refused or lost; what comes through is a pair of streams in memory. With paused time a connect that is lost for 127 s
//! costs nothing, so that every data mode can be tried in every topology within milliseconds.
//!
//! Deliberately absent: SYN and ACK, retransmission, MTU, and real sockets. A green table here is necessary; the proof
//! is the lab with a real kernel.
//!
//! ```
//! use wharf_net::{ListenAt, Net, Source};
//! use wharf_sim::{Gateway, World};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> std::io::Result<()> {
//! let world = World::new();
//! let home = world.site(World::INTERNET, Gateway::nat(["198.51.100.1"]));
//! world.add_host("client", home, ["192.168.10.2"]);
//! world.add_host("server", World::INTERNET, ["203.0.113.1"]);
//!
//! let mut door = world.host("server").listen(ListenAt::one("203.0.113.1:21".parse().unwrap())).await?;
//! let _client = world.host("client").connect(Source::Any, "203.0.113.1:21".parse().unwrap()).await?;
//! assert_eq!(door.accept().await?.peer_addr().ip().to_string(), "198.51.100.1");
//! # Ok(()) }
//! ```

mod filter;
pub use filter::{AccessList, Filter, Verdict};
mod gateway;
pub use gateway::{Addresses, Forward, Gateway, Mapping, Nat};
mod world;
pub use world::{Attempt, Outcome, Site, World};
mod alg;
mod host;
mod mapper;
mod route;
mod scenes;
mod stream;
pub mod topologies;
