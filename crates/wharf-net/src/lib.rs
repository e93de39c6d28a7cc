//! The only crate that opens sockets for FTP.
//!
//! What is decided (which line, which reply, which way to a data connection) is decided in `wharf-proto`; this crate
//! carries it out on tokio. Everything above speaks to the network through [`Net`], so that the same server and client
//! run on real sockets ([`TcpNet`]) and in the simulated network of `wharf-sim`.
//!
//! In reading order: the seam, one connection, the two control connection ends, the data connection, and the pumps that
//! move a file through it. Not here: any judgement about FTP.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

mod net;
pub use net::{Flow, ListenAt, Listener, Net, Ports, RangeExhausted, Source};
pub mod mapping;
mod touch;
pub use touch::{Touch, touch};
mod tcp;
pub use tcp::TcpNet;
pub mod handed;
mod inherited;
pub use inherited::InheritedNet;
mod interception;
pub use interception::TransparentNet;
mod conn;
pub use conn::{Conn, Heard, SourceNote, Stream};
pub mod proxy_protocol;
mod trace;
pub use trace::{Recorder, Trace};
mod control;
pub use control::{ControlError, ServerControl, UserControl};
mod data;
pub use data::{DataConnection, DataPort, OpenError};
pub mod pump;
mod rate;
pub use rate::{LEAST_RATE, RateLimit};
pub mod seats;
pub mod shared_port;
mod stop;
pub use stop::Stop;
pub mod through;
pub mod tls;
pub mod zero_copy;
