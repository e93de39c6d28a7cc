//! The map: sites inside sites, hosts in them, and what has happened so far.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use wharf_net::{Conn, Net};

use crate::gateway::{Gateway, ip};
use crate::host::SimHost;
use crate::stream::lock;

/// A part of the world behind one gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Site(usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HostId(usize);

/// A world of hosts. Clones are the same world.
#[derive(Clone, Default)]
pub struct World {
    map: Arc<Mutex<Map>>,
}

/// One connect that somebody tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The host that tried.
    pub host: String,
    /// Its own address.
    pub from: SocketAddr,
    /// The address that it asked for.
    pub to: SocketAddr,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody listens there.
    Connected,
    /// A reset.
    Refused,
    /// Silence.
    Lost,
}

impl World {
    /// The site at the top: no gateway, every outside address is known there.
    pub const INTERNET: Site = Site(0);

    /// Nothing but the internet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A site behind `gateway`, inside `parent`.
    pub fn site(&self, parent: Site, gateway: Gateway) -> Site {
        let mut map = lock(&self.map);
        map.sites.push(Place { parent, gateway });
        Site(map.sites.len())
    }

    /// A host with its addresses. Its name resolves to them for every host.
    pub fn add_host<const N: usize>(&self, name: &str, site: Site, addresses: [&str; N]) {
        let mut map = lock(&self.map);
        let addresses: Vec<_> = addresses.iter().map(|text| ip(text)).collect();
        map.names.insert(name.to_owned(), addresses.clone());
        map.hosts.push(Host {
            name: name.to_owned(),
            site,
            addresses,
            next_port: 40_000,
        });
    }

    /// What `name` shall resolve to, for example the outside address of a gateway.
    pub fn add_name(&self, name: &str, address: &str) {
        lock(&self.map)
            .names
            .insert(name.to_owned(), vec![ip(address)]);
    }

    /// The network as this host sees it.
    ///
    /// # Panics
    /// If there is no such host: a mistake in the test.
    pub fn host(&self, name: &str) -> Arc<dyn Net> {
        let map = lock(&self.map);
        let Some(at) = map.hosts.iter().position(|host| host.name == name) else {
            panic!("no host named {name}");
        };
        Arc::new(SimHost {
            map: Arc::clone(&self.map),
            id: HostId(at),
        })
    }

    /// The outside ports that gateways forward on request now.
    pub fn forwarded(&self) -> Vec<SocketAddr> {
        let map = lock(&self.map);
        let gateways = map.sites.iter().map(|place| &place.gateway);
        gateways.flat_map(Gateway::leased).collect()
    }

    /// Every connect so far, in order.
    pub fn attempts(&self) -> Vec<Attempt> {
        lock(&self.map).attempts.clone()
    }
}

/// The state of a world.
#[derive(Default)]
pub(crate) struct Map {
    sites: Vec<Place>,
    hosts: Vec<Host>,
    names: HashMap<String, Vec<IpAddr>>,
    doors: Vec<Door>,
    attempts: Vec<Attempt>,
    seed: u64,
}

struct Place {
    parent: Site,
    gateway: Gateway,
}

struct Host {
    name: String,
    site: Site,
    addresses: Vec<IpAddr>,
    next_port: u16,
}

/// A listening socket.
struct Door {
    host: HostId,
    at: SocketAddr,
    only_ipv6: bool,
    arrivals: mpsc::UnboundedSender<Conn>,
}

impl Map {
    pub(crate) fn gateway(&mut self, site: Site) -> Option<&mut Gateway> {
        let place = self.sites.get_mut(site.0.checked_sub(1)?)?;
        Some(&mut place.gateway)
    }

    pub(crate) fn parent(&self, site: Site) -> Option<Site> {
        Some(self.sites.get(site.0.checked_sub(1)?)?.parent)
    }

    pub(crate) fn site_of(&self, host: HostId) -> Option<Site> {
        Some(self.hosts.get(host.0)?.site)
    }

    pub(crate) fn addresses(&self, host: HostId) -> &[IpAddr] {
        self.hosts.get(host.0).map_or(&[], |h| &h.addresses)
    }

    pub(crate) fn names(&self, name: &str) -> Option<&[IpAddr]> {
        self.names.get(name).map(Vec::as_slice)
    }

    pub(crate) fn host_in(&self, site: Site, address: IpAddr) -> Option<HostId> {
        self.hosts
            .iter()
            .position(|h| h.site == site && h.addresses.contains(&address))
            .map(HostId)
    }

    /// The site directly inside `site` behind whose gateway `address` is found: the gateway's own, or routed through it.
    pub(crate) fn door_below(&self, site: Site, address: IpAddr) -> Option<Site> {
        let inside = |child: &Site| {
            let Some(place) = self.sites.get(child.0 - 1) else {
                return false;
            };
            if place.parent != site {
                return false;
            }
            let routed = place.gateway.nat.is_none()
                && (self.host_in(*child, address).is_some()
                    || self.door_below(*child, address).is_some());
            place.gateway.outside.contains(&address) || routed
        };
        (1..=self.sites.len()).map(Site).find(inside)
    }

    /// A free port for an outgoing connection or a listener that does not care.
    pub(crate) fn ephemeral(&mut self, host: HostId) -> u16 {
        loop {
            let Some(h) = self.hosts.get_mut(host.0) else {
                return 0;
            };
            let port = h.next_port;
            h.next_port = port.checked_add(1).unwrap_or(32_768);
            let taken = |door: &Door| door.host == host && door.at.port() == port;
            if !self.doors.iter().any(taken) {
                return port;
            }
        }
    }

    /// Different for every listener and the same in every run.
    pub(crate) fn next_seed(&mut self) -> u64 {
        self.seed += 1;
        self.seed
    }

    /// Whether somebody listens where a new listener wants to.
    pub(crate) fn is_taken(&self, host: HostId, at: SocketAddr, only_ipv6: bool) -> bool {
        let hears = |by: &SocketAddr, only_ipv6: bool, to: SocketAddr| {
            let any = by.ip().is_unspecified()
                && (by.is_ipv4() == to.is_ipv4() || (by.is_ipv6() && !only_ipv6));
            by.port() == to.port() && (any || by.ip() == to.ip())
        };
        self.doors.iter().any(|door| {
            door.host == host
                && (hears(&door.at, door.only_ipv6, at) || hears(&at, only_ipv6, door.at))
        })
    }

    pub(crate) fn open_door(
        &mut self,
        host: HostId,
        at: SocketAddr,
        only_ipv6: bool,
    ) -> mpsc::UnboundedReceiver<Conn> {
        let (arrivals, receiver) = mpsc::unbounded_channel();
        self.doors.push(Door {
            host,
            at,
            only_ipv6,
            arrivals,
        });
        receiver
    }

    pub(crate) fn close_door(&mut self, host: HostId, at: SocketAddr) {
        self.doors.retain(|door| door.host != host || door.at != at);
    }

    /// Who listens at an address of a host: `0.0.0.0` hears IPv4, `::` hears both unless told otherwise.
    pub(crate) fn door(&self, host: HostId, to: SocketAddr) -> Option<mpsc::UnboundedSender<Conn>> {
        let hears = |door: &&Door| {
            let any = match door.at.ip() {
                IpAddr::V4(ip) => ip.is_unspecified() && to.is_ipv4(),
                IpAddr::V6(ip) => ip.is_unspecified() && (to.is_ipv6() || !door.only_ipv6),
            };
            door.host == host && door.at.port() == to.port() && (any || door.at.ip() == to.ip())
        };
        self.doors.iter().find(hears).map(|d| d.arrivals.clone())
    }

    pub(crate) fn record(&mut self, host: HostId, from: SocketAddr, to: SocketAddr, what: Outcome) {
        let host = self
            .hosts
            .get(host.0)
            .map_or_else(String::new, |h| h.name.clone());
        self.attempts.push(Attempt {
            host,
            from,
            to,
            outcome: what,
        });
    }
}
