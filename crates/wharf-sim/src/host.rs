//! A host's own view of the network: the simulated [`Net`].

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use wharf_net::mapping::PortMapper;
use wharf_net::{Conn, ListenAt, Listener, Net, Ports, RangeExhausted, Source};

use crate::alg::{Speaker, Tap};
use crate::mapper::SimMapper;
use crate::route::{Walk, Way};
use crate::stream::{End, Quality, lock, pair};
use crate::world::{HostId, Map, Outcome};

/// How long Linux tries to connect to a silent address (`tcp_syn_retries` 6).
const SYN_PATIENCE: Duration = Duration::from_secs(127);

pub(crate) struct SimHost {
    pub(crate) map: Arc<Mutex<Map>>,
    pub(crate) id: HostId,
}

#[async_trait]
impl Net for SimHost {
    async fn connect(&self, from: Source, to: SocketAddr) -> io::Result<Conn> {
        let (own, walk) = {
            let mut map = lock(&self.map);
            let own = self.source(&mut map, from, to)?;
            let walk = if to.ip().is_loopback() || map.addresses(self.id).contains(&to.ip()) {
                Walk {
                    way: Way::Arrives {
                        host: self.id,
                        src: own,
                        dst: to,
                    },
                    latency: Duration::ZERO,
                    idle: None,
                    helpers: Vec::new(),
                    preface: Vec::new(),
                }
            } else {
                map.walk(self.id, own, to)
            };
            (own, walk)
        };
        let round_trip = walk.latency * 2;
        match walk.way {
            Way::Lost => {
                lock(&self.map).record(self.id, own, to, Outcome::Lost);
                tokio::time::sleep(SYN_PATIENCE).await;
                Err(io::ErrorKind::TimedOut.into())
            }
            Way::Refused => {
                lock(&self.map).record(self.id, own, to, Outcome::Refused);
                tokio::time::sleep(round_trip).await;
                Err(io::ErrorKind::ConnectionRefused.into())
            }
            Way::Arrives { host, src, dst } => {
                if !round_trip.is_zero() {
                    tokio::time::sleep(round_trip).await;
                }
                let mut map = lock(&self.map);
                let (mine, theirs) = self.connect_ends(&walk, own, to, src, dst);
                let arrived = map
                    .door(host, dst)
                    .is_some_and(|door| door.send(theirs).is_ok());
                if !arrived {
                    map.record(self.id, own, to, Outcome::Refused);
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                map.record(self.id, own, to, Outcome::Connected);
                Ok(mine)
            }
        }
    }

    async fn listen(&self, at: ListenAt) -> io::Result<Box<dyn Listener>> {
        let mut map = lock(&self.map);
        let known = at.ip.is_unspecified()
            || at.ip.is_loopback()
            || map.addresses(self.id).contains(&at.ip);
        if !known {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let taken =
            |map: &Map, port| map.is_taken(self.id, SocketAddr::new(at.ip, port), at.only_ipv6);
        let port = match at.ports {
            Ports::Any => map.ephemeral(self.id),
            Ports::One(port) if taken(&map, port) => {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            Ports::One(port) => port,
            Ports::Range(range) => {
                let seed = map.next_seed();
                range
                    .order(seed)
                    .find(|&port| !taken(&map, port))
                    .ok_or_else(|| RangeExhausted { ip: at.ip, range }.into_error())?
            }
        };
        let local = SocketAddr::new(at.ip, port);
        Ok(Box::new(SimListener {
            map: Arc::clone(&self.map),
            host: self.id,
            local,
            arrivals: map.open_door(self.id, local, at.only_ipv6),
        }))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let map = lock(&self.map);
        match map.names(host) {
            Some(known) => Ok(known.iter().map(|&ip| SocketAddr::new(ip, port)).collect()),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
        }
    }

    fn mapper(&self) -> Option<Arc<dyn PortMapper>> {
        Some(Arc::new(SimMapper {
            map: Arc::clone(&self.map),
            host: self.id,
        }))
    }
}

impl SimHost {
    /// The source address and port of a connection to `to`.
    fn source(&self, map: &mut Map, from: Source, to: SocketAddr) -> io::Result<SocketAddr> {
        let (wanted, port) = match from {
            Source::Any => (None, 0),
            Source::Address(ip) => (Some(ip), 0),
            Source::Port(at) => (Some(at.ip()), at.port()),
        };
        let own = map.addresses(self.id);
        let ip = match wanted.filter(|ip| !ip.is_unspecified()) {
            Some(ip) if own.contains(&ip) || ip.is_loopback() => ip,
            Some(_) => return Err(io::ErrorKind::AddrNotAvailable.into()),
            None if to.ip().is_loopback() => to.ip(),
            None => own
                .iter()
                .copied()
                .find(|ip: &IpAddr| ip.is_ipv4() == to.is_ipv4())
                .ok_or(io::ErrorKind::NetworkUnreachable)?,
        };
        let port = match port {
            0 => map.ephemeral(self.id),
            port => port,
        };
        Ok(SocketAddr::new(ip, port))
    }

    /// Both ends: the opener's with the addresses that it knows, the other one with those that arrived.
    fn connect_ends(
        &self,
        walk: &Walk,
        own: SocketAddr,
        to: SocketAddr,
        src: SocketAddr,
        dst: SocketAddr,
    ) -> (Conn, Conn) {
        let taps = |speaker: Speaker| -> Vec<Tap> {
            walk.helpers
                .iter()
                .map(|heard| {
                    let (own, other) = match speaker {
                        Speaker::User => (heard.user, heard.server),
                        Speaker::Server => (heard.server, heard.user),
                    };
                    Tap {
                        map: Arc::clone(&self.map),
                        site: heard.site,
                        speaker,
                        from_inside: heard.user_inside == (speaker == Speaker::User),
                        own,
                        other,
                    }
                })
                .collect()
        };
        let mut back = taps(Speaker::Server);
        back.reverse();
        let quality = Quality {
            latency: walk.latency,
            idle: walk.idle,
        };
        let (near, far) = pair(quality, taps(Speaker::User), back);
        if !walk.preface.is_empty() {
            near.preface(walk.preface.clone());
        }
        let conn = |end: End, local, peer| {
            let (resets, probes, looks) = (end.resetter(), end.prober(), end.looker());
            let peeks = end.peeker();
            Conn::foreign(Box::new(end), local, peer)
                .on_abort(resets)
                .on_keepalive(probes)
                .on_look(looks)
                .on_peek(peeks)
        };
        (conn(near, own, to), conn(far, dst, src))
    }
}

struct SimListener {
    map: Arc<Mutex<Map>>,
    host: HostId,
    local: SocketAddr,
    arrivals: mpsc::UnboundedReceiver<Conn>,
}

#[async_trait]
impl Listener for SimListener {
    async fn accept(&mut self) -> io::Result<Conn> {
        match self.arrivals.recv().await {
            Some(conn) => Ok(conn),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        lock(&self.map).close_door(self.host, self.local);
        self.arrivals.close();
        while let Ok(waiting) = self.arrivals.try_recv() {
            waiting.abort();
        }
    }
}
