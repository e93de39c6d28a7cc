//! Sockets that the service manager listens on before the server runs (sd_listen_fds(3)): it needs no right to their ports,
//! and clients that come while it restarts wait.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use listenfd::ListenFd;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::sockopt::socket_acceptconn;

use crate::args::ServeArgs;
use crate::exit::{Exit, Failure};

/// `FileDescriptorName=` of sockets at which TLS begins at once.
const IMPLICIT: &str = "implicit";

/// Sockets with their addresses.
#[derive(Default)]
pub(super) struct Inherited {
    pub(super) sockets: Vec<(SocketAddr, OwnedFd)>,
    /// How many of them, the last ones, are for implicit TLS.
    implicit: usize,
}

impl Inherited {
    /// Those that came with the process.
    ///
    /// # Errors
    /// One of them is no TCP socket that listens.
    pub(super) fn take() -> Result<Self, Failure> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut came = ListenFd::from_env();
        let (mut plain, mut implicit) = (Vec::new(), Vec::new());
        for at in 0..came.len() {
            let strange = |why: String| {
                Failure::new(
                    Exit::ServerUsage,
                    format!("socket {at} of the service manager: {why}"),
                )
                .with_hint("ListenStream= with an address and a port, Accept=no")
            };
            let taken = came.take_tcp_listener(at);
            let Some(socket) = taken.map_err(|error| strange(error.to_string()))? else {
                continue;
            };
            if !socket_acceptconn(&socket).is_ok_and(|listens| listens) {
                return Err(strange("it does not listen".to_owned()));
            }
            let address = socket
                .local_addr()
                .map_err(|error| strange(error.to_string()))?;
            // Not for the processes that are started from here.
            fcntl_setfd(socket.as_fd(), FdFlags::CLOEXEC)
                .map_err(|error| strange(error.to_string()))?;
            let kind = if names.next() == Some(IMPLICIT) {
                &mut implicit
            } else {
                &mut plain
            };
            kind.push((address, OwnedFd::from(socket)));
        }
        let count = implicit.len();
        plain.extend(implicit);
        Ok(Self {
            sockets: plain,
            implicit: count,
        })
    }

    /// The arguments with these addresses in the place of those that would be listened on.
    pub(super) fn instead(&self, args: &ServeArgs) -> ServeArgs {
        let mut args = args.clone();
        let (plain, implicit) = self.addresses();
        args.inherited.extend(plain);
        args.inherited_implicit.extend(implicit);
        args
    }

    /// For the command line of the other process.
    pub(super) fn words(&self) -> Vec<String> {
        let (plain, implicit) = self.addresses();
        let plain = plain.into_iter().map(|at| format!("--inherited={at}"));
        let implicit = implicit.into_iter();
        let implicit = implicit.map(|at| format!("--inherited-implicit={at}"));
        plain.chain(implicit).collect()
    }

    fn addresses(&self) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let mut plain: Vec<_> = self.sockets.iter().map(|(at, _)| *at).collect();
        let implicit = plain.split_off(plain.len().saturating_sub(self.implicit));
        (plain, implicit)
    }
}
