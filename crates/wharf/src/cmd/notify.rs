//! What the service manager hears of this server (sd_notify(3)): that it listens, that it reads its configuration again,
//! that it ends. From the process that the manager has started: the broker where there is one, which the other process
//! tells when it listens.
//!
//! By hand, for the socket has to be connected before the sandbox makes that impossible, and a datagram is all there is to it.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::OnceLock;

use rustix::time::{ClockId, clock_gettime};
use wharf_broker::Progress;

use super::kept;

/// Where the manager listens: a path, or an abstract name behind `@`.
const VARIABLE: &str = "NOTIFY_SOCKET";

static MANAGER: OnceLock<UnixDatagram> = OnceLock::new();

/// Connects to the manager, if there is one.
pub(super) fn begin() {
    let Some(name) = std::env::var_os(VARIABLE).filter(|it| !it.is_empty()) else {
        return;
    };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    let connected = address.and_then(|address| {
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        Ok(socket)
    });
    match connected {
        // There is one manager to a process.
        Ok(socket) => drop(MANAGER.set(socket)),
        Err(error) => tracing::warn!(
            %error, socket = %name.to_string_lossy(),
            "the service manager does not hear when this server is ready"
        ),
    }
}

/// Tells how far the server is.
pub(super) fn tell(progress: Progress) {
    if let Some(broker) = kept::broker() {
        // Of the rest the broker knows by itself; without it there is nobody to be told.
        if progress == Progress::Ready {
            let _ = broker.ready();
        }
        return;
    }
    let Some(manager) = MANAGER.get() else {
        return;
    };
    let text = match progress {
        Progress::Ready => "READY=1".to_owned(),
        Progress::Reloading => {
            let now = clock_gettime(ClockId::Monotonic);
            let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
            format!("RELOADING=1\nMONOTONIC_USEC={microseconds}")
        }
        Progress::Stopping => "STOPPING=1".to_owned(),
    };
    if let Err(error) = manager.send(text.as_bytes()) {
        tracing::warn!(%error, "the service manager was not told: {text}");
    }
}
