//! What is known of the address at which clients beyond a NAT reach this server: for `advertise = auto`.
//!
//! Two witnesses: a client that has reached a public address, and the router, which is asked beside
//! the sessions and never while one waits. Which of them is believed is decided in `wharf_proto`.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use wharf_net::Net;
use wharf_proto::data_connection::advertise::{is_private, is_public};
use wharf_proto::data_connection::outside::{Found, Origin, Witnesses};

use crate::server::Handle;

/// How often the router is asked: addresses of subscribers change at night
const ASK_EVERY: Duration = Duration::from_mins(10);

/// The protocols give up by themselves after about 2 s
const ASK_PATIENCE: Duration = Duration::from_secs(10);

/// Shared by the sessions of a server
#[derive(Default)]
pub(crate) struct Outside {
    known: Mutex<Known>,
    /// There is a reason to ask the router before its time has come
    ask: Notify,
}

#[derive(Default)]
struct Known {
    witnesses: Witnesses,
    /// The private address by which this host is connected to its router
    inside: Option<IpAddr>,
    /// What clients from outside are told, to say so when it changes
    told: Option<(IpAddr, Origin)>,
    /// What the router said and is of no use, to say so once
    useless: Option<IpAddr>,
}

impl Outside {
    pub(crate) fn witnesses(&self) -> Witnesses {
        self.known().witnesses
    }

    /// A control connection has reached `reached`, at the socket address `bound`
    pub(crate) fn reached(&self, reached: IpAddr, bound: IpAddr) {
        let mut known = self.known();
        if reached.is_ipv4() && is_public(reached) {
            known.witnesses.reached = Some(reached);
        }
        if known.inside.is_none() && bound.is_ipv4() && is_private(bound) && !bound.is_loopback() {
            known.inside = Some(bound);
            self.ask.notify_one();
        }
    }

    /// Tells the log what clients from outside are told: the first time, and when it changes
    pub(crate) fn tell(&self, found: &Found) {
        let now = Some((found.address, found.origin));
        let mut known = self.known();
        if known.told != now {
            known.told = now;
            tracing::info!(address = %found.address, origin = %found.origin, "passive clients from outside are told this address");
        }
    }

    /// The configuration may be another one
    pub(crate) fn reconsider(&self) {
        self.ask.notify_one();
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the router whenever it is time, as long as the configuration wants it
    pub(crate) async fn keep_asking(handle: Handle) {
        loop {
            let setup = handle.setup();
            let shared = Arc::clone(&setup.shared);
            let outside = &shared.outside;
            if setup.config.advertise.is_found_out() {
                let listen = setup.config.doors().into_iter().map(|at| at.ip());
                let inside = listen
                    .chain(outside.known().inside)
                    .chain(setup.net.own_address())
                    .find(|ip| ip.is_ipv4() && is_private(*ip) && !ip.is_loopback());
                if let Some(inside) = inside {
                    outside.ask_router(&*setup.net, inside).await;
                }
            }
            // An old configuration is not kept alive: its shared data ports are open for as long as it is.
            drop(setup);
            tokio::select! {
                () = sleep(ASK_EVERY) => {}
                () = outside.ask.notified() => {}
            }
        }
    }

    async fn ask_router(&self, net: &dyn Net, inside: IpAddr) {
        let Some(mapper) = net.mapper() else { return };
        match timeout(ASK_PATIENCE, mapper.outside_address(inside)).await {
            Ok(Ok(address)) if is_public(address) => {
                self.known().witnesses.router = Some(address);
            }
            Ok(Ok(address)) => {
                let mut known = self.known();
                known.witnesses.router = None;
                if known.useless.replace(address) != Some(address) {
                    tracing::warn!(%address, "the router's outside address is private itself: it stands behind another NAT, whose address must be configured");
                }
            }
            // What it said before is still the best guess.
            Ok(Err(error)) => {
                tracing::debug!(%error, %inside, "no router tells its outside address");
            }
            Err(_) => tracing::debug!(%inside, "no router tells its outside address in time"),
        }
    }
}
