//! What stands between a site and the rest of the world: filter, NAT, forwards, helper, balancer.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::time::Instant;
use wharf_proto::data_connection::passive::PortRange;

use crate::filter::{AccessList, Filter, Verdict};

/// The first 96 bits of IPv6 addresses that stand for IPv4 ones (RFC 6052 §2.1).
const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// How a NAT chooses the outside port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// One outside port for one inside address and port, whatever the destination (RFC 5382 REQ-1).
    EndpointIndependent,
    /// Another one for every connection.
    PerConnection,
}

/// How a NAT with several outside addresses chooses one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// The same for every connection of an inside host (RFC 4787 REQ-2).
    Paired,
    /// In turn: control and data connection seem to come from different hosts.
    Arbitrary,
}

/// Address translation of a gateway. Its outside addresses are those of the gateway.
#[derive(Clone, Debug)]
pub struct Nat {
    /// Outside port.
    pub mapping: Mapping,
    /// Outside address.
    pub addresses: Addresses,
    /// What comes to an outside address and belongs to nobody inside.
    pub unmatched: Verdict,
    /// A connection in which no byte moves for so long is forgotten: what follows is lost without a sign.
    pub idle: Option<Duration>,
}

/// A port forward (DNAT) from the gateway's outside addresses to an inside host.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Outside ports.
    pub ports: PortRange,
    /// The inside host; the port stays the same.
    pub to: IpAddr,
}

/// The border of a site. Built with [`Gateway::router`] or [`Gateway::nat`] and refined with the methods.
#[derive(Clone, Debug)]
pub struct Gateway {
    pub(crate) outside: Vec<IpAddr>,
    pub(crate) nat: Option<Nat>,
    pub(crate) forwards: Vec<Forward>,
    pub(crate) inbound: Filter,
    pub(crate) outbound: Filter,
    pub(crate) helper: bool,
    pub(crate) access: Option<AccessList>,
    pub(crate) nat64: bool,
    pub(crate) upnp: bool,
    pub(crate) proxy_protocol: bool,
    pub(crate) snat: Option<IpAddr>,
    pub(crate) hairpin: Option<IpAddr>,
    pub(crate) latency: Duration,
    pub(crate) table: Table,
}

/// What a gateway remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    mapped: HashMap<SocketAddr, SocketAddr>,
    taken: Vec<SocketAddr>,
    turn: usize,
    pub(crate) expected: Vec<Expectation>,
    leases: Vec<Lease>,
}

/// A forward that an inside host has asked for.
#[derive(Clone, Debug)]
struct Lease {
    outside: SocketAddr,
    inside: SocketAddr,
    until: Instant,
}

/// A connection that a helper has read of in a control connection and lets through once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expectation {
    /// Who will open it, as the gateway sees it.
    pub(crate) from: IpAddr,
    /// To which address, as the opener knows it.
    pub(crate) to: SocketAddr,
    /// The same end inside the site; equal to `to` for connections going out.
    pub(crate) inside: SocketAddr,
}

impl Gateway {
    /// A router without address translation: everything passes, 5 ms.
    pub fn router() -> Self {
        Self {
            outside: Vec::new(),
            nat: None,
            forwards: Vec::new(),
            inbound: Filter::open(),
            outbound: Filter::open(),
            helper: false,
            access: None,
            nat64: false,
            upnp: false,
            proxy_protocol: false,
            snat: None,
            hairpin: None,
            latency: Duration::from_millis(5),
            table: Table::default(),
        }
    }

    /// A masquerading router with these outside addresses; connections to it that it does not forward are refused.
    pub fn nat<const N: usize>(outside: [&str; N]) -> Self {
        Self {
            outside: outside.iter().map(|text| ip(text)).collect(),
            nat: Some(Nat {
                mapping: Mapping::EndpointIndependent,
                addresses: Addresses::Paired,
                unmatched: Verdict::Reject,
                idle: None,
            }),
            ..Self::router()
        }
    }

    /// Changes the translation of a NAT gateway.
    #[must_use]
    pub fn with_nat(mut self, change: impl FnOnce(&mut Nat)) -> Self {
        if let Some(nat) = &mut self.nat {
            change(nat);
        }
        self
    }

    /// The filter for connections into the site.
    #[must_use]
    pub fn inbound(mut self, filter: Filter) -> Self {
        self.inbound = filter;
        self
    }

    /// The filter for connections out of the site.
    #[must_use]
    pub fn outbound(mut self, filter: Filter) -> Self {
        self.outbound = filter;
        self
    }

    /// Forwards outside ports `lo..=hi` to an inside host.
    #[must_use]
    pub fn forward(mut self, lo: u16, hi: u16, to: &str) -> Self {
        self.forwards.push(Forward {
            ports: range(lo, hi),
            to: ip(to),
        });
        self
    }

    /// With an FTP helper (ALG) that reads control connections on port 21, as Linux's `nf_conntrack_ftp` and
    /// `nf_nat_ftp` do: it rewrites addresses and lets the announced connection through. Blind to TLS.
    #[must_use]
    pub fn helper(mut self) -> Self {
        self.helper = true;
        self
    }

    /// What comes in seems to come from this inside address (TCP load balancer, Kubernetes' cluster policy, Docker's
    /// userland proxy).
    #[must_use]
    pub fn hiding_clients(mut self, as_address: &str) -> Self {
        self.snat = Some(ip(as_address));
        self
    }

    /// A TCP balancer that begins every connection into the site with a PROXY protocol header (version 1) of the client's
    /// real addresses.
    #[must_use]
    pub fn proxy_protocol(mut self) -> Self {
        self.proxy_protocol = true;
        self
    }

    /// With an access list instead of knowledge of connections.
    #[must_use]
    pub fn access_list(mut self, list: AccessList) -> Self {
        self.access = Some(list);
        self
    }

    /// Inside hosts may ask it to forward ports (PCP, NAT-PMP, UPnP).
    #[must_use]
    pub fn upnp(mut self) -> Self {
        self.upnp = true;
        self
    }

    /// A NAT64 in front of IPv6-only hosts (RFC 6146): what they send to `64:ff9b::a.b.c.d` goes out to `a.b.c.d` from
    /// its own IPv4 address.
    #[must_use]
    pub fn nat64<const N: usize>(outside: [&str; N]) -> Self {
        Self {
            nat64: true,
            ..Self::nat(outside)
        }
    }

    /// Inside hosts reach forwards by the outside address, and seem to come from this inside address.
    #[must_use]
    pub fn hairpin(mut self, as_address: &str) -> Self {
        self.hairpin = Some(ip(as_address));
        self
    }

    /// The time that crossing it takes, one way.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    pub(crate) fn idle(&self) -> Option<Duration> {
        self.nat.as_ref().and_then(|nat| nat.idle)
    }

    /// Judges a connection that leaves the site and translates its source, and its destination at a NAT64.
    pub(crate) fn pass_out(
        &mut self,
        src: SocketAddr,
        dst: SocketAddr,
    ) -> Result<(SocketAddr, SocketAddr), Verdict> {
        if self
            .access
            .as_ref()
            .is_some_and(|list| !list.releases(src, dst))
        {
            return Err(Verdict::Drop);
        }
        if !self.expects(src.ip(), dst) {
            match self.outbound.judge(src, dst) {
                Verdict::Allow => (),
                refused => return Err(refused),
            }
        }
        let dst = match dst.ip() {
            IpAddr::V6(ip) if self.nat64 => match ip.segments().split_last_chunk() {
                Some((prefix, &[high, low])) if prefix == NAT64 => {
                    let bits = u32::from(high) << 16 | u32::from(low);
                    SocketAddr::new(Ipv4Addr::from_bits(bits).into(), dst.port())
                }
                _ => dst,
            },
            _ => dst,
        };
        Ok((self.translate_source(src, dst.is_ipv4()), dst))
    }

    /// Judges a connection that enters the site and translates both ends.
    pub(crate) fn pass_in(
        &mut self,
        src: SocketAddr,
        dst: SocketAddr,
    ) -> Result<(SocketAddr, SocketAddr), Verdict> {
        if self
            .access
            .as_ref()
            .is_some_and(|list| !list.admits(src, dst))
        {
            return Err(Verdict::Drop);
        }
        let seen = self.snat.map_or(src, |ip| SocketAddr::new(ip, src.port()));
        if let Some(inside) = self.take_expected(src.ip(), dst) {
            return Ok((seen, inside));
        }
        match self.inbound.judge(src, dst) {
            Verdict::Allow => (),
            refused => return Err(refused),
        }
        let Some(nat) = &self.nat else {
            return Ok((src, dst));
        };
        let inside = self.forwarded(dst).ok_or(nat.unmatched)?;
        Ok((seen, inside))
    }

    /// Where an outside address is forwarded to.
    pub(crate) fn forwarded(&self, dst: SocketAddr) -> Option<SocketAddr> {
        let leases = &mut self.table.leases.iter();
        if let Some(lease) = leases.find(|it| it.outside == dst && Instant::now() < it.until) {
            return Some(lease.inside);
        }
        let rule = self.forwards.iter().find(|f| within(f.ports, dst.port()))?;
        Some(SocketAddr::new(rule.to, dst.port()))
    }

    /// Forwards an outside port to `inside` for so long, if it does that for who asks.
    pub(crate) fn lease(&mut self, inside: SocketAddr, lifetime: Duration) -> Option<SocketAddr> {
        let outside = self.told_outside(inside.ip())?;
        let outside = self.free(SocketAddr::new(outside, inside.port()));
        self.table.leases.push(Lease {
            outside,
            inside,
            until: Instant::now() + lifetime,
        });
        Some(outside)
    }

    /// What it forwards on request now.
    pub(crate) fn leased(&self) -> impl Iterator<Item = SocketAddr> {
        let now = Instant::now();
        let running = self.table.leases.iter().filter(move |it| now < it.until);
        running.map(|it| it.outside)
    }

    /// Ends a forward.
    pub(crate) fn end_lease(&mut self, outside: SocketAddr) {
        self.table.leases.retain(|it| it.outside != outside);
        self.table.taken.retain(|it| *it != outside);
    }

    /// The outside address as it tells it to inside hosts.
    pub(crate) fn told_outside(&self, inside: IpAddr) -> Option<IpAddr> {
        let mut fitting = self.outside.iter().copied();
        let told = fitting.find(|ip| ip.is_ipv4() == inside.is_ipv4())?;
        self.upnp.then_some(told)
    }

    /// Lets a connection through that has been read of.
    pub(crate) fn expect(&mut self, expectation: Expectation) {
        self.table.expected.push(expectation);
    }

    /// An outside address for what stands at `inside` in the site: for helpers.
    pub(crate) fn expose(&mut self, outside: IpAddr, inside: SocketAddr) -> SocketAddr {
        if self.nat.is_none() {
            return inside;
        }
        self.free(SocketAddr::new(outside, inside.port()))
    }

    fn expects(&self, from: IpAddr, to: SocketAddr) -> bool {
        self.table
            .expected
            .iter()
            .any(|e| e.from == from && e.to == to)
    }

    fn take_expected(&mut self, from: IpAddr, to: SocketAddr) -> Option<SocketAddr> {
        let expected = &mut self.table.expected;
        let at = expected.iter().position(|e| e.from == from && e.to == to)?;
        Some(expected.swap_remove(at).inside)
    }

    fn translate_source(&mut self, src: SocketAddr, to_ipv4: bool) -> SocketAddr {
        let Some(nat) = &self.nat else { return src };
        let (mapping, addresses) = (nat.mapping, nat.addresses);
        if mapping == Mapping::EndpointIndependent
            && addresses == Addresses::Paired
            && let Some(known) = self.table.mapped.get(&src)
        {
            return *known;
        }
        let fitting: Vec<_> = self
            .outside
            .iter()
            .filter(|ip| ip.is_ipv4() == to_ipv4)
            .collect();
        let turn = match addresses {
            Addresses::Paired => 0,
            Addresses::Arbitrary => self.table.turn,
        };
        let Some(&&outside) = fitting.get(turn % fitting.len().max(1)) else {
            return src;
        };
        self.table.turn += 1;
        let mapped = self.free(SocketAddr::new(outside, src.port()));
        self.table.mapped.insert(src, mapped);
        mapped
    }

    /// The wanted outside address, or the next port that nobody has.
    fn free(&mut self, mut wanted: SocketAddr) -> SocketAddr {
        while self.table.taken.contains(&wanted) {
            wanted.set_port(wanted.port().checked_add(1).unwrap_or(1024));
        }
        self.table.taken.push(wanted);
        wanted
    }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse()
        .unwrap_or_else(|_| panic!("not an address: {text}"))
}

pub(crate) fn range(lo: u16, hi: u16) -> PortRange {
    PortRange::new(lo, hi).unwrap_or_else(|_| panic!("not a range: {lo}-{hi}"))
}

pub(crate) fn within(range: PortRange, port: u16) -> bool {
    range.contains(port)
}
