//! The user's side of an active data connection: a listener, where needed a port of the router for it, and the command
//! that names both to the server.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::timeout;
use wharf_net::mapping::Mapping;
use wharf_net::through::ProxyError;
use wharf_net::{DataPort, ListenAt, Net, Ports};
use wharf_proto::data_connection::evidence::NoListener;
use wharf_proto::data_connection::passive::PortRange;
use wharf_proto::data_connection::path::{Address, Attempt};
use wharf_proto::data_connection::plan::Evidence;
use wharf_proto::data_connection::{Offer, canonical};
use wharf_proto::{Command, EprtArgument, LprtArgument};

use crate::options::Options;

/// Routers answer within two seconds or never.
const MAPPING_PATIENCE: Duration = Duration::from_millis(2500);

/// A mapped port is for one transfer; a crash must not leave it open for ever. Renewed by nobody: the connection that
/// came through it stays.
const MAPPING_LIFETIME: Duration = Duration::from_hours(1);

/// A listener that the server can be told of.
pub(crate) struct Invitation {
    pub(crate) port: DataPort,
    /// The address in the command.
    pub(crate) told: SocketAddr,
    pub(crate) command: Command,
    /// To be kept until the end of the transfer.
    pub(crate) mapping: Option<Box<dyn Mapping>>,
}

impl Invitation {
    /// Listens on `local`, the own end of the control connection, for `peer`, and finds out what to tell the server.
    ///
    /// # Errors
    /// The evidence against this path, and the address that would have been told, as far as it is known.
    pub(crate) async fn prepare(
        net: &dyn Net,
        options: &Options,
        local: IpAddr,
        peer: SocketAddr,
        attempt: &Attempt,
    ) -> Result<Self, (Option<SocketAddr>, Evidence)> {
        let ports = options.port_range.map_or(Ports::Any, Ports::Range);
        let listening = DataPort::listen(net, ListenAt::new(local, ports).expecting(peer)).await;
        let port = listening.map_err(|error| {
            let why = no_listener(&error, options.port_range);
            tracing::debug!(kind = ?error.kind(), %local, "{why}");
            (None, Evidence::CannotListen(why))
        })?;
        let at = port.listening_at();
        let number = at.map_or(0, |at| at.port());
        // Not here where a proxy listens in our place
        let own = at.map_or(local, |at| at.ip());
        let own = canonical(if own.is_unspecified() { local } else { own });
        let (told, mapping) = match attempt.path.address {
            Address::Mapped => {
                let inside = SocketAddr::new(own, number);
                let mapping = map(net, inside)
                    .await
                    .map_err(|evidence| (None, evidence))?;
                let mapped = mapping.outside();
                let seen = attempt.outside.unwrap_or(mapped.ip());
                if canonical(mapped.ip()) != seen {
                    let mapped = mapped.ip();
                    return Err((None, Evidence::MappedElsewhere { mapped }));
                }
                (SocketAddr::new(seen, mapped.port()), Some(mapping))
            }
            Address::Outside => (
                SocketAddr::new(attempt.outside.unwrap_or(own), number),
                None,
            ),
            _ => (
                SocketAddr::new(options.active_addr.unwrap_or(own), number),
                None,
            ),
        };
        let command = match (attempt.path.offer, told) {
            (Offer::Port, SocketAddr::V4(told)) => Command::Port(told),
            (Offer::Port, SocketAddr::V6(_)) => return Err((Some(told), Evidence::FamilyRefused)),
            (Offer::Lprt, told) => Command::Lprt(LprtArgument::Address(told)),
            (_, told) => Command::Eprt(EprtArgument::Address(told)),
        };
        Ok(Self {
            port,
            told,
            command,
            mapping,
        })
    }
}

/// The system's own words ("Address already in use") are about a socket and explain nothing to whoever wants a file.
pub(crate) fn no_listener(error: &io::Error, range: Option<PortRange>) -> NoListener {
    match error.kind() {
        io::ErrorKind::AddrInUse => NoListener::InUse(range),
        _ if ProxyError::of(error).is_some() => NoListener::Proxy,
        io::ErrorKind::PermissionDenied => NoListener::Forbidden(range),
        _ => NoListener::Other,
    }
}

/// A fresh port of the router in front of us.
async fn map(net: &dyn Net, inside: SocketAddr) -> Result<Box<dyn Mapping>, Evidence> {
    let mapper = net.mapper().ok_or(Evidence::NoMapper)?;
    match timeout(MAPPING_PATIENCE, mapper.map(inside, MAPPING_LIFETIME)).await {
        Ok(Ok(mapping)) => {
            tracing::info!(outside = %mapping.outside(), by = %mapping.by(), "the router forwards a port");
            Ok(mapping)
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::Unsupported => Err(Evidence::NoMapper),
        Ok(Err(error)) => {
            tracing::info!(%error, "the router does not forward a port");
            Err(Evidence::MappingRefused)
        }
        Err(_) => Err(Evidence::NoMapper),
    }
}
