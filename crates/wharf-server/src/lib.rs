//! The FTP server: server-PI and server-DTP (RFC 959 §2.3).
//!
//! A session is one task that owns everything about one control connection. It reads a line,
//! parses it, asks the rules of `wharf-proto` whether it may be executed now, runs one function,
//! and sends the reply that the function returned. Files come from a `wharf-storage` that the
//! login of `wharf-accounts` handed over, connections from a `wharf-net`. Deliberately absent:
//! permission checks (the storage of the login knows), configuration files (the binary).
//!
//! ```
//! use std::sync::Arc;
//! use wharf_accounts::Anonymous;
//! use wharf_net::TcpNet;
//! use wharf_proto::Pathname;
//! use wharf_server::{Config, Server};
//! use wharf_storage::Memory;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), wharf_server::Error> {
//! let accounts = Anonymous::new(Arc::new(Memory::new()), Pathname::root());
//! let config = Config {
//!     listen: vec!["127.0.0.1:0".parse().expect("an address")],
//!     ..Config::default()
//! };
//! let server = Server::bind(config, Arc::new(TcpNet::new()), Arc::new(accounts)).await?;
//! println!("listening on {}", server.local_addrs()[0]);
//! let handle = server.handle();
//! # handle.stop(std::time::Duration::ZERO);
//! server.run().await;
//! # Ok(()) }
//! ```

mod config;
mod outside;
mod server;
mod setup;
mod tls_policy;

mod bans;
mod descriptors;
mod limits;
mod log;

mod session;

mod dtp;
mod passive;
mod protection;
mod watch;

mod commands;
mod failure;

pub use config::{Address, Advertise, AdvertiseRule, Config, OnePort, OpenFile, PortPolicy};
pub use log::{Direction, Observer, Outcome, Transferred};
pub use server::{Error, Handle, Server, serve_connection};
pub use tls_policy::{TlsException, TlsPolicy, Truncation, Who};
pub use wharf_net::tls::DataSession;
pub use wharf_proto::data_connection::sorting::SharedAddress;
pub use wharf_proto::security::Requirement;
