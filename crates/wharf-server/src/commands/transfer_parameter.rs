//! RFC 959 §4.1.2, RFC 2428 and RFC 1639: PORT PASV EPRT EPSV LPRT LPSV TYPE STRU MODE.
//!
//! What these leave behind is a [`DataPort`]: a listener, or a target that the guard has judged.
//! No packet is sent before a transfer command asks for the data connection.

use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use wharf_net::{DataPort, Source};
use wharf_proto::data_connection::advertise::{self, Named};
use wharf_proto::data_connection::guard::Guard;
use wharf_proto::data_connection::{Offer, outside, port_policy};
use wharf_proto::host_port::{
    EprtArgument, EpsvArgument, LprtArgument, write_227_text, write_228_text, write_229_text,
};
use wharf_proto::trace::What;
use wharf_proto::{Reply, RepresentationType, Structure, TransferMode};

use crate::config::Address;
use crate::failure::{Failure, Outcome, Told};
use crate::session::Session;

/// A name to advertise that does not resolve in this time is passed over
const RESOLVE_PATIENCE: Duration = Duration::from_secs(3);

impl Session {
    pub(super) fn port(&mut self, target: SocketAddrV4) -> Outcome {
        self.target("PORT", SocketAddr::V4(target), Offer::Port)
    }

    pub(super) fn eprt(&mut self, argument: EprtArgument) -> Outcome {
        match argument {
            EprtArgument::Address(target) => self.target("EPRT", target, Offer::Eprt),
            EprtArgument::UnknownProtocol(_) => Err(self.other_protocol()),
        }
    }

    pub(super) fn lprt(&mut self, argument: LprtArgument) -> Outcome {
        match argument {
            LprtArgument::Address(target) => self.target("LPRT", target, Offer::Port),
            LprtArgument::UnknownFamily(_) => Err(Failure::Refused(Reply::new(
                521,
                "Supported address families are (4, 6)",
            ))),
        }
    }

    /// Remembers where to connect to, if the guard finds nothing in it
    fn target(&mut self, word: &'static str, named: SocketAddr, offer: Offer) -> Outcome {
        if !self.setup.config.active {
            return Err(Failure::Refused(Reply::new(
                502,
                "Active mode is not offered here; use PASV or EPSV",
            )));
        }
        self.data_port = None;
        self.passive.forget();
        let peer = self.peer();
        let config = &self.setup.config;
        let target = port_policy::settle_target(peer.ip(), named, config.port_policy).map_err(
            |refusal| Failure::Target {
                target: named,
                refusal,
                offer,
            },
        )?;
        let to = Guard::scoped(peer, target.to);
        let own = self.control.bound_addr().ip();
        let source = match config.active_port {
            // A balancer has translated: the client is of a family that this socket is not of.
            _ if own.is_ipv4() != to.is_ipv4() => Source::Any,
            Some(port) => Source::Port(SocketAddr::new(own, port)),
            None => Source::Address(own),
        };
        self.data_port = Some(DataPort::Target { source, to });
        self.asked = Some((word, named));
        Ok(match target.instead_of {
            None => Reply::new(200, format!("{word} accepted")),
            Some(named) => {
                tracing::info!(%named, used = %to, "private address in {word} repaired: the client is behind NAT");
                Reply::new(200, format!("{word} accepted, to your address {to}"))
            }
        })
    }

    pub(super) async fn pasv(&mut self) -> Outcome {
        let IpAddr::V4(_) = self.control.local_addr().ip() else {
            // A 227 has room for IPv4 only (RFC 2428 §3).
            return Err(Failure::Refused(Reply::new(
                501,
                "PASV is for IPv4; use EPSV on this connection",
            )));
        };
        let named = self.advertised().await;
        let at = self.passive_port().await?;
        match named {
            IpAddr::V4(ip) => {
                let at = SocketAddrV4::new(ip, at.port());
                self.told(at.into(), true);
                Ok(Reply::new(227, write_227_text(at)))
            }
            IpAddr::V6(_) => Err(Failure::Refused(Reply::new(
                501,
                "PASV is for IPv4; use EPSV",
            ))),
        }
    }

    pub(super) async fn epsv(&mut self, argument: EpsvArgument) -> Outcome {
        let ipv4 = self.control.local_addr().is_ipv4();
        match argument {
            EpsvArgument::All => {
                self.pi.set_epsv_all();
                return Ok(Reply::new(200, "From now on EPSV only"));
            }
            EpsvArgument::Unspecified => {}
            EpsvArgument::Ipv4 if ipv4 => {}
            EpsvArgument::Ipv6 if !ipv4 => {}
            _ => return Err(self.other_protocol()),
        }
        let port = self.passive_port().await?.port();
        let reached = self.control.local_addr().ip();
        self.told(SocketAddr::new(reached, port), false);
        Ok(Reply::new(229, write_229_text(port)))
    }

    pub(super) async fn lpsv(&mut self) -> Outcome {
        let named = self.advertised().await;
        let at = self.passive_port().await?;
        let at = SocketAddr::new(named, at.port());
        self.told(at, true);
        Ok(Reply::new(228, write_228_text(at)))
    }

    /// Remembers what was said, for when nobody comes
    fn told(&mut self, at: SocketAddr, with_address: bool) {
        self.told = Some(Told { at, with_address });
    }

    /// The address to tell this client, with a warning where it cannot work
    async fn advertised(&mut self) -> IpAddr {
        let client = self.peer().ip();
        let reached = self.control.local_addr().ip();
        let setup = Arc::clone(&self.setup);
        let named = match setup.config.advertise.address_for(client) {
            Address::Reached => Named::Reached,
            Address::Auto => {
                let known = &setup.shared.outside;
                let found = outside::find_out(client, reached, known.witnesses());
                if found.from_outside {
                    known.tell(&found);
                }
                Named::Fixed(found.address)
            }
            Address::Fixed(address) => Named::Fixed(*address),
            // EPSV and IPv6 name no address but the one reached.
            Address::Name(_) if reached.is_ipv6() => Named::Reached,
            Address::Name(name) => match self.resolve(name).await {
                Some(address) => Named::Fixed(address),
                None => Named::Reached,
            },
        };
        let choice = advertise::Advertise::with_rules(Vec::new(), named).choose(client, reached);
        if let Some(warning) = choice.warning {
            tracing::warn!(%client, "{warning}");
            self.control
                .trace()
                .record(|| What::Note(warning.to_string()));
        }
        choice.address
    }

    /// Passive connections on IPv6 are EPSV's, which names no address: only IPv4 is looked for
    async fn resolve(&mut self, name: &str) -> Option<IpAddr> {
        let setup = Arc::clone(&self.setup);
        let shared = &setup.shared;
        if let Some(known) = shared.resolved(name) {
            return Some(known);
        }
        let found = match timeout(RESOLVE_PATIENCE, setup.net.resolve(name, 0)).await {
            Ok(Ok(addresses)) => addresses.iter().map(SocketAddr::ip).find(IpAddr::is_ipv4),
            Ok(Err(error)) => {
                tracing::warn!(name, %error, "the advertised name does not resolve");
                return None;
            }
            Err(_) => {
                tracing::warn!(name, "the advertised name does not resolve in time");
                return None;
            }
        };
        match found {
            Some(address) => shared.remember(name, address),
            None => tracing::warn!(name, "the advertised name has no IPv4 address"),
        }
        found
    }

    /// RFC 2428 §2: the reply lists in parentheses what would be understood
    fn other_protocol(&self) -> Failure {
        let number = if self.control.local_addr().is_ipv4() {
            1
        } else {
            2
        };
        Failure::Refused(Reply::new(
            522,
            format!("Network protocol not supported, use ({number})"),
        ))
    }

    // Only what is carried out is admitted: see the rules in `wharf_proto::server_pi`.

    pub(super) fn representation_type(&mut self, representation: RepresentationType) -> Outcome {
        self.pi.set_representation(representation);
        Ok(Reply::new(200, format!("TYPE is {representation}")))
    }

    pub(super) fn structure(&mut self, structure: Structure) -> Outcome {
        self.pi.set_structure(structure);
        Ok(Reply::new(200, format!("STRU is {structure}")))
    }

    pub(super) fn transfer_mode(&mut self, mode: TransferMode) -> Outcome {
        self.pi.set_transfer_mode(mode);
        Ok(Reply::new(200, format!("MODE is {mode}")))
    }
}
