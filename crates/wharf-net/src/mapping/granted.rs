//! What a router granted, how it is given back, and what of its word is believed.

use std::io;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use tokio::runtime::Handle;

use super::igd::Device;
use super::{MappedBy, Mapping, gate};

/// A port of a router that leads to us. Dropped, it is given back.
#[derive(Debug)]
pub(super) struct Granted {
    outside: SocketAddr,
    by: MappedBy,
    undo: Option<Undo>,
}

/// How a port is given back.
#[derive(Debug)]
pub(super) enum Undo {
    /// By a datagram from this address of ours to the gateway.
    Datagram {
        inside: IpAddr,
        gateway: SocketAddr,
        request: Vec<u8>,
    },
    /// By a request to the device for this outside port.
    Device(Box<Device>, u16),
}

impl Undo {
    async fn run(self) {
        match self {
            Self::Datagram {
                inside,
                gateway,
                request,
            } => gate::give_back(inside, gateway, &request).await,
            Self::Device(device, port) => device.remove(port).await,
        }
    }
}

impl Granted {
    pub(super) fn new(outside: SocketAddr, by: MappedBy, undo: Undo) -> Self {
        Self {
            outside,
            by,
            undo: Some(undo),
        }
    }
}

#[async_trait]
impl Mapping for Granted {
    fn outside(&self) -> SocketAddr {
        self.outside
    }

    fn by(&self) -> MappedBy {
        self.by
    }

    async fn remove(mut self: Box<Self>) {
        if let Some(undo) = self.undo.take() {
            undo.run().await;
        }
    }
}

impl Granted {
    pub(super) fn outside(&self) -> SocketAddr {
        self.outside
    }

    pub(super) fn by(&self) -> MappedBy {
        self.by
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(undo.run());
        }
    }
}

/// Why there is no port.
#[derive(Debug)]
pub(super) enum NoGrant {
    /// Nobody answers.
    Silence,
    /// Somebody answers: no, or nothing that can be true. In the router's words.
    Refused(String),
    /// It could not be asked.
    Failed(io::Error),
}

impl From<NoGrant> for io::Error {
    fn from(reason: NoGrant) -> Self {
        match reason {
            NoGrant::Silence => Self::new(
                io::ErrorKind::Unsupported,
                "no router answers PCP, NAT-PMP or UPnP",
            ),
            NoGrant::Refused(why) => Self::new(io::ErrorKind::PermissionDenied, why),
            NoGrant::Failed(error) => error,
        }
    }
}

/// Refuses an outside address that cannot lead to anybody. A private one can (a NAT behind a NAT); whether it is of use is
/// for who asked to decide (`wharf_proto::data_connection::advertise::is_private`).
pub(super) fn credible(outside: IpAddr) -> Result<IpAddr, String> {
    let outside = outside.to_canonical();
    let useless = outside.is_unspecified()
        || outside.is_loopback()
        || outside.is_multicast()
        || match outside {
            IpAddr::V4(ip) => ip.is_broadcast() || ip.is_link_local() || ip.octets()[0] == 0,
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
    if useless {
        return Err(format!("tells an impossible outside address, {outside}"));
    }
    Ok(outside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impossible_outside_address_is_refused() {
        let table = [
            ("198.51.100.1", true),
            ("100.64.0.10", true),
            ("192.168.1.2", true),
            ("2001:db8::1", true),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("fe80::1", false),
            ("ff02::1", false),
        ];
        for (text, possible) in table {
            assert_eq!(credible(text.parse().unwrap()).is_ok(), possible, "{text}");
        }
    }
}
