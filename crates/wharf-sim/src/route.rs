//! The way of one connection: from its host up through gateways to where the destination is known, and down again.

use std::net::SocketAddr;
use std::time::Duration;

use crate::alg::Faces;
use crate::filter::Verdict;
use crate::world::{HostId, Map, Site};

/// The control port that helpers listen to.
const FTP: u16 = 21;

/// More gateways than this are a loop.
const HOPS: usize = 32;

/// What became of a connect.
pub(crate) enum Way {
    /// It arrives at a host.
    Arrives {
        host: HostId,
        src: SocketAddr,
        dst: SocketAddr,
    },
    /// A gateway or nobody answers it with a reset.
    Refused,
    /// Nobody answers it.
    Lost,
}

/// A helper that the connection passes.
pub(crate) struct Overheard {
    pub(crate) site: Site,
    pub(crate) user_inside: bool,
    pub(crate) user: Faces,
    pub(crate) server: Faces,
}

/// A walk and what was met on it.
pub(crate) struct Walk {
    pub(crate) way: Way,
    pub(crate) latency: Duration,
    /// The shortest memory of the NATs passed.
    pub(crate) idle: Option<Duration>,
    pub(crate) helpers: Vec<Overheard>,
    /// What balancers put in front of the opener's bytes.
    pub(crate) preface: Vec<u8>,
}

impl Map {
    /// Walks from `from` with these addresses; gateways on the way translate, judge and remember.
    pub(crate) fn walk(&mut self, from: HostId, mut src: SocketAddr, mut dst: SocketAddr) -> Walk {
        let mut walk = Walk {
            way: Way::Lost,
            latency: Duration::ZERO,
            idle: None,
            helpers: Vec::new(),
            preface: Vec::new(),
        };
        let Some(mut site) = self.site_of(from) else {
            return walk;
        };
        for _hop in 0..HOPS {
            if let Some(host) = self.host_in(site, dst.ip()) {
                walk.way = Way::Arrives { host, src, dst };
                return walk;
            }
            let down = self.door_below(site, dst.ip());
            let crossed = down.unwrap_or(site);
            let Some(gateway) = self.gateway(crossed) else {
                return walk;
            };
            walk.latency += gateway.latency;
            let (src_before, dst_before) = (src, dst);
            if down.is_some() {
                match gateway.pass_in(src, dst) {
                    Ok(translated) => {
                        if gateway.proxy_protocol {
                            walk.preface = proxy_header(src, dst);
                        }
                        (src, dst) = translated;
                    }
                    Err(verdict) => return walk.refused(verdict),
                }
                site = crossed;
            } else if gateway.outside.contains(&dst.ip()) {
                // From inside to our own outside address: a hairpin, if the gateway can do it.
                let (Some(as_address), Some(inside)) = (gateway.hairpin, gateway.forwarded(dst))
                else {
                    return walk.refused(Verdict::Reject);
                };
                (src, dst) = (SocketAddr::new(as_address, src.port()), inside);
            } else {
                match gateway.pass_out(src, dst) {
                    Ok(translated) => (src, dst) = translated,
                    Err(verdict) => return walk.refused(verdict),
                }
                match self.parent(crossed) {
                    Some(parent) => site = parent,
                    None => return walk,
                }
            }
            let Some(gateway) = self.gateway(crossed) else {
                return walk;
            };
            if let Some(idle) = gateway.idle() {
                walk.idle = Some(walk.idle.map_or(idle, |known| known.min(idle)));
            }
            if gateway.helper && dst_before.port() == FTP {
                let inwards = down.is_some();
                let faces = |before: SocketAddr, after: SocketAddr| {
                    let (inside, outside) = if inwards {
                        (after.ip(), before.ip())
                    } else {
                        (before.ip(), after.ip())
                    };
                    Faces { inside, outside }
                };
                walk.helpers.push(Overheard {
                    site: crossed,
                    user_inside: !inwards,
                    user: faces(src_before, src),
                    server: faces(dst_before, dst),
                });
            }
        }
        walk
    }
}

impl Walk {
    fn refused(mut self, verdict: Verdict) -> Self {
        self.way = match verdict {
            Verdict::Reject => Way::Refused,
            Verdict::Drop | Verdict::Allow => Way::Lost,
        };
        self
    }
}

/// A PROXY protocol header, version 1: the connection as the balancer sees it.
fn proxy_header(src: SocketAddr, dst: SocketAddr) -> Vec<u8> {
    let family = if src.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (src.ip(), dst.ip());
    let (from_port, to_port) = (src.port(), dst.port());
    format!("PROXY {family} {from} {to} {from_port} {to_port}\r\n").into_bytes()
}
