//! Whether a port answers, and how: a connection that is made for its own sake and given up at once.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::net::{Net, Source};

/// What answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Touch {
    /// Somebody listens there.
    Open,
    /// A reset: nobody listens there, or a firewall rejects.
    Refused,
    /// Nothing, within the patience.
    Silent,
    /// A router, or our own system, says that there is no way, or that the hops were used up.
    Unreachable,
    /// It cannot be told here: nothing counts hops, or the system did not permit it.
    Unknown,
}

/// Touches `to`, from `from`, with a limit on the hops if there is one. What stands is closed at once.
pub async fn touch(
    net: &dyn Net,
    from: Source,
    to: SocketAddr,
    hops: Option<u8>,
    patience: Duration,
) -> Touch {
    let connecting = async {
        match hops {
            None => net.connect(from, to).await,
            Some(hops) => net.connect_within(from, to, hops).await,
        }
    };
    match tokio::time::timeout(patience, connecting).await {
        Ok(Ok(conn)) => {
            conn.abort();
            Touch::Open
        }
        Err(_) => Touch::Silent,
        Ok(Err(error)) => match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Touch::Refused,
            io::ErrorKind::TimedOut => Touch::Silent,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
                Touch::Unreachable
            }
            _ => Touch::Unknown,
        },
    }
}
