//! Asking a router in UPnP-IGD: found by multicast (SSDP), asked over HTTP in XML.
//!
//! All of it is `igd-next`, which bounds what it reads (1 MiB, 64 levels of XML) and follows an answer's LOCATION only to
//! the very address that answered; here it is held to private addresses and to its time besides.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use igd_next::aio::Gateway;
use igd_next::aio::tokio::{Tokio, search_gateway};
use igd_next::{
    AddAnyPortError, GetExternalIpError, PortMappingProtocol, RequestError, SearchError,
    SearchOptions,
};
use wharf_proto::data_connection::advertise::is_private;

use super::MappedBy;
use super::granted::{Granted, NoGrant, Undo, credible};

/// Where devices listen for searches.
pub(super) const SSDP: SocketAddr =
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 1900));

/// For the answer to a search and the description of the device.
pub(super) const SEARCH: Duration = Duration::from_millis(1200);

/// Characters of a device's own words that are repeated.
const TEXT: usize = 80;

/// What the router's list of ports shows.
const DESCRIPTION: &str = "wharf";

/// A device that was found.
#[derive(Clone, Debug)]
pub(super) struct Device(Gateway<Tokio>);

/// Looks for the device on the network of `inside`. It has to be the gateway, if that is known, or at least somebody with
/// a private address.
pub(super) async fn search(
    inside: Ipv4Addr,
    gateway: Option<IpAddr>,
    ssdp: SocketAddr,
) -> Result<Device, NoGrant> {
    let mut options = SearchOptions::default();
    options.bind_addr = (inside, 0).into();
    options.broadcast_address = ssdp;
    options.timeout = Some(SEARCH);
    options.single_search_timeout = Some(SEARCH);
    options.allowed_gateway_ips = gateway.into_iter().collect();
    let found = match search_gateway(options).await {
        Ok(found) => found,
        Err(SearchError::NoResponseWithinTimeout) => return Err(NoGrant::Silence),
        Err(error) => {
            tracing::debug!(%error, "no UPnP device");
            return Err(NoGrant::Silence);
        }
    };
    let at = found.addr.ip();
    if gateway != Some(at) && !is_private(at) {
        tracing::debug!(device = %found.addr, "UPnP device elsewhere: not believed");
        return Err(NoGrant::Silence);
    }
    Ok(Device(found))
}

impl Device {
    /// A forwarded port. Its lifetime is asked for; a router that forwards only for ever is left alone, since a crash
    /// would leave the port open for ever.
    pub(super) async fn map(self, inside: SocketAddr, lifetime: u32) -> Result<Granted, NoGrant> {
        let (address, port) = tokio::join!(
            self.outside_address(),
            self.0
                .add_any_port(PortMappingProtocol::TCP, inside, lifetime, DESCRIPTION)
        );
        let port = port.map_err(|error| match error {
            AddAnyPortError::OnlyPermanentLeasesSupported => {
                self.refused("ports for ever only, which is not asked for")
            }
            AddAnyPortError::ActionNotAuthorized => self.refused("not authorized"),
            AddAnyPortError::NoPortsAvailable | AddAnyPortError::ExternalPortInUse => {
                self.refused("no port is free")
            }
            AddAnyPortError::RequestError(error) => self.said(&error),
            error => self.refused(&error.to_string()),
        })?;
        // From here on an error gives the port back.
        let undo = Undo::Device(Box::new(self.clone()), port);
        let unknown = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
        let outside = address
            .as_ref()
            .map_or(unknown, |ip| SocketAddr::new(*ip, port));
        let granted = Granted::new(outside, MappedBy::Igd, undo);
        address?;
        if port == 0 {
            return Err(self.refused("a port that is none"));
        }
        tracing::debug!(%outside, device = %self.0.addr, "port mapped by UPnP");
        Ok(granted)
    }

    /// The outside address as the device tells it.
    pub(super) async fn outside_address(&self) -> Result<IpAddr, NoGrant> {
        let told = self.0.get_external_ip().await;
        let told = told.map_err(|error| match error {
            GetExternalIpError::ActionNotAuthorized => self.refused("not authorized"),
            GetExternalIpError::RequestError(error) => self.said(&error),
        })?;
        credible(told).map_err(|why| NoGrant::Refused(format!("the router {} {why}", self.0.addr)))
    }

    /// Gives a port back.
    pub(super) async fn remove(&self, port: u16) {
        if let Err(error) = self.0.remove_port(PortMappingProtocol::TCP, port).await {
            tracing::debug!(%error, device = %self.0.addr, port, "port not given back");
        }
    }

    /// What went wrong with a request. The texts of `igd-next` quote what was received, which is not for a terminal.
    fn said(&self, error: &RequestError) -> NoGrant {
        tracing::debug!(?error, device = %self.0.addr, "UPnP request failed");
        match error {
            RequestError::ErrorCode(code, text) => {
                let text: String = text.chars().take(TEXT).collect();
                self.refused(&format!("error {code} {}", text.escape_debug()))
            }
            RequestError::UnsupportedAction(_) => self.refused("it forwards no ports"),
            RequestError::IoError(_)
            | RequestError::HyperError(_)
            | RequestError::HyperClientError(_) => self.refused("nothing: the connection failed"),
            _ => self.refused("what cannot be understood"),
        }
    }

    fn refused(&self, why: &str) -> NoGrant {
        NoGrant::Refused(format!(
            "the router {} says over UPnP: {why}",
            self.0.addr.ip()
        ))
    }
}
