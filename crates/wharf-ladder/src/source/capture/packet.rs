//! From a frame to what concerns a TCP connection: a segment, or an ICMP error about one.
//!
//! Link types: Ethernet (VLAN tags too), Linux cooked (SLL, SLL2), raw IP, loopback. Addresses of fragments other than
//! the first have no ports and are left out.

use std::net::{IpAddr, SocketAddr};

use etherparse::{EtherType, IpNumber, LaxNetSlice, LaxSlicedPacket, TcpSlice, TransportSlice};

use super::file::Frame;

/// What a frame says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packet<'a> {
    /// A segment.
    Tcp(Segment<'a>),
    /// A machine on the way, or the target, refuses a segment from here to there.
    Unreachable {
        /// Who had sent the segment.
        from: SocketAddr,
        /// Where it was to go.
        to: SocketAddr,
        /// What the ICMP code means, with `{to}` for the target.
        why: &'static str,
    },
}

/// A TCP segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) sequence: u32,
    /// What the sender has received, if it says so.
    pub(super) acknowledged: Option<u32>,
    pub(super) syn: bool,
    pub(super) fin: bool,
    pub(super) rst: bool,
    /// What the capture kept of the payload.
    pub(super) payload: &'a [u8],
    /// Bytes of payload behind it that the capture did not keep.
    pub(super) cut: u32,
}

/// LINKTYPE_ numbers, <https://www.tcpdump.org/linktypes.html>.
mod link {
    pub(super) const NULL: i32 = 0;
    pub(super) const ETHERNET: i32 = 1;
    pub(super) const DLT_RAW: i32 = 12;
    pub(super) const DLT_RAW_OPENBSD: i32 = 14;
    pub(super) const RAW: i32 = 101;
    pub(super) const LOOP: i32 = 108;
    pub(super) const LINUX_SLL: i32 = 113;
    pub(super) const IPV4: i32 = 228;
    pub(super) const IPV6: i32 = 229;
    pub(super) const LINUX_SLL2: i32 = 276;
}

/// Whether frames of this link type can be read.
pub(super) fn is_known(link: i32) -> bool {
    matches!(
        link,
        link::NULL
            | link::ETHERNET
            | link::DLT_RAW
            | link::DLT_RAW_OPENBSD
            | link::RAW
            | link::LOOP
            | link::LINUX_SLL
            | link::IPV4
            | link::IPV6
            | link::LINUX_SLL2
    )
}

/// Takes a frame apart; `None` for everything that is not about TCP.
pub(super) fn packet<'a>(frame: &Frame<'a>) -> Option<Packet<'a>> {
    let data = frame.data;
    let sliced = match frame.link {
        link::ETHERNET => LaxSlicedPacket::from_ethernet(data).ok()?,
        link::RAW | link::DLT_RAW | link::DLT_RAW_OPENBSD | link::IPV4 | link::IPV6 => {
            LaxSlicedPacket::from_ip(data).ok()?
        }
        // An address family of four bytes, whose numbers differ between systems; IP tells its version itself.
        link::NULL | link::LOOP => LaxSlicedPacket::from_ip(data.get(4..)?).ok()?,
        link::LINUX_SLL => ether_typed(data.get(14..16)?, data.get(16..)?)?,
        link::LINUX_SLL2 => ether_typed(data.get(0..2)?, data.get(20..)?)?,
        _ => return None,
    };
    let (from, to, missing) = addresses(&sliced)?;
    match sliced.transport? {
        TransportSlice::Tcp(tcp) => Some(Packet::Tcp(segment(&tcp, from, to, missing))),
        TransportSlice::Icmpv4(icmp) if icmp.type_u8() == 3 => {
            let why = match icmp.code_u8() {
                0 | 6 | 11 => "no route to the network of {to} (ICMP)",
                1 | 7 | 8 | 12 => "no route to {to} (ICMP)",
                2 | 3 => "{to} refused the connection (ICMP)",
                9 | 10 | 13 | 14 | 15 => "a firewall prohibits {to} (ICMP)",
                _ => return None,
            };
            refused(icmp.payload(), why)
        }
        TransportSlice::Icmpv6(icmp) if icmp.type_u8() == 1 => {
            let why = match icmp.code_u8() {
                0 => "no route to the network of {to} (ICMP)",
                1 | 5 | 6 => "a firewall prohibits {to} (ICMP)",
                4 => "{to} refused the connection (ICMP)",
                _ => "no route to {to} (ICMP)",
            };
            refused(icmp.payload(), why)
        }
        _ => None,
    }
}

fn ether_typed<'a>(kind: &[u8], data: &'a [u8]) -> Option<LaxSlicedPacket<'a>> {
    let kind = u16::from_be_bytes(kind.try_into().ok()?);
    Some(LaxSlicedPacket::from_ether_type(EtherType(kind), data))
}

/// Source, target, and how many bytes of the packet the capture did not keep.
fn addresses(sliced: &LaxSlicedPacket<'_>) -> Option<(IpAddr, IpAddr, usize)> {
    match sliced.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            let kept = header.slice().len() + ip.payload().payload.len();
            let missing = if ip.payload().incomplete {
                usize::from(header.total_len()).saturating_sub(kept)
            } else {
                0
            };
            Some((
                header.source_addr().into(),
                header.destination_addr().into(),
                missing,
            ))
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            let kept = ip.extensions().slice().len() + ip.payload().payload.len();
            let missing = if ip.payload().incomplete {
                usize::from(header.payload_length()).saturating_sub(kept)
            } else {
                0
            };
            Some((
                header.source_addr().into(),
                header.destination_addr().into(),
                missing,
            ))
        }
        LaxNetSlice::Arp(_) => None,
    }
}

fn segment<'a>(tcp: &TcpSlice<'a>, from: IpAddr, to: IpAddr, missing: usize) -> Segment<'a> {
    Segment {
        from: SocketAddr::new(from, tcp.source_port()),
        to: SocketAddr::new(to, tcp.destination_port()),
        sequence: tcp.sequence_number(),
        acknowledged: tcp.ack().then(|| tcp.acknowledgment_number()),
        syn: tcp.syn(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        payload: tcp.payload(),
        cut: u32::try_from(missing).unwrap_or(0),
    }
}

/// An ICMP error carries the beginning of what it is about: the IP header and at least eight bytes, the ports.
fn refused<'a>(about: &[u8], why: &'static str) -> Option<Packet<'a>> {
    let sliced = LaxSlicedPacket::from_ip(about).ok()?;
    let (from, to, _) = addresses(&sliced)?;
    let inner = sliced.ip_payload()?;
    if inner.ip_number != IpNumber::TCP {
        return None;
    }
    let port = |at: usize| {
        let bytes = inner.payload.get(at..at + 2)?;
        Some(u16::from_be_bytes(bytes.try_into().ok()?))
    };
    Some(Packet::Unreachable {
        from: SocketAddr::new(from, port(0)?),
        to: SocketAddr::new(to, port(2)?),
        why,
    })
}
