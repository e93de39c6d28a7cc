//! Ports of the router in front of us: a NAT that forwards one on request makes an active data connection possible.
//!
//! The seam is here: who can ask, and what was granted; the simulated network has its own. Behind it, for the real
//! network: the gateway is found in the kernel's routing table and asked in PCP and NAT-PMP, UPnP-IGD is tried beside them,
//! and the first that grants the port wins. What answers comes from a local network and is bounded and not believed.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;

mod gate;
mod gateway;
mod granted;
mod igd;
mod nat_pmp;
mod pcp;
mod router;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use router::shared;

/// Where a gateway hears PCP and NAT-PMP.
const GATEWAY_PORT: u16 = 5351;

/// A router that forwards ports on request.
#[async_trait]
pub trait PortMapper: Send + Sync {
    /// Asks the router in front of `inside` to forward a TCP port of its outside address to `inside`, for at most
    /// `lifetime` (a crash must not leave a port open for ever). Takes as long as the protocols take, about 2 s when no
    /// router answers; callers bring their own patience, and dropping the future leaves nothing mapped.
    ///
    /// # Errors
    /// `Unsupported` when no router answers any of the protocols, otherwise what the router said.
    async fn map(&self, inside: SocketAddr, lifetime: Duration) -> io::Result<Box<dyn Mapping>>;

    /// The router's outside address, as the router tells it. It may itself be private (a NAT behind a NAT).
    ///
    /// # Errors
    /// As [`map`](Self::map).
    async fn outside_address(&self, inside: IpAddr) -> io::Result<IpAddr>;
}

/// A forwarded port. To be given back with [`remove`](Self::remove); dropping gives it back when there is a runtime left
/// to do so, and the lifetime ends it in any case.
#[async_trait]
pub trait Mapping: Send + Sync {
    /// What the outside has to connect to.
    fn outside(&self) -> SocketAddr;

    /// Which protocol granted it.
    fn by(&self) -> MappedBy;

    /// Gives the port back.
    async fn remove(self: Box<Self>);
}

/// The protocols for asking a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MappedBy {
    /// Port Control Protocol, RFC 6887.
    Pcp,
    /// NAT-PMP, RFC 6886.
    NatPmp,
    /// UPnP Internet Gateway Device.
    Igd,
}

impl fmt::Display for MappedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pcp => "PCP",
            Self::NatPmp => "NAT-PMP",
            Self::Igd => "UPnP",
        })
    }
}
