//! Single packets made by hand: a segment with any source and any flags, and nobody who waits for the answer.
//!
//! A filter that drops is told from one that admits by what arrives behind it ([`super::witness`]), so no
//! probe costs a socket or a second of patience, and all 65,535 ports can be asked.

use std::net::{IpAddr, SocketAddr};

use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto};

use crate::Result;
use crate::namespace::Namespace;

/// The DSCP of every probe: nothing else in the lab has it.
pub(super) const DSCP: u8 = 42;

/// The sequence number of every probe. A kernel that refuses answers with the probe's own DSCP, but not with
/// its number.
pub(super) const SEQUENCE: u32 = 0x7768_6172;

/// What a probe is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The first segment of a connection.
    Syn,
    /// A segment of a connection that does not exist.
    Ack,
    /// The answer to a segment that nobody sent.
    SynAck,
    /// A datagram.
    Udp,
}

impl Kind {
    /// Protocol number.
    pub(super) fn protocol(self) -> u8 {
        if self == Self::Udp { 17 } else { 6 }
    }
}

/// A probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    /// What it is.
    pub(super) kind: Kind,
    /// From where it says that it comes.
    pub(super) from: SocketAddr,
    /// To where it goes; of the same family.
    pub(super) to: SocketAddr,
}

impl Packet {
    /// The datagram with its IP header, checksums filled in where the kernel does not do it.
    fn bytes(&self) -> Vec<u8> {
        let mut inner = Vec::with_capacity(20);
        inner.extend(self.from.port().to_be_bytes());
        inner.extend(self.to.port().to_be_bytes());
        let flags: u8 = match self.kind {
            Kind::Syn => 0x02,
            Kind::Ack => 0x10,
            Kind::SynAck => 0x12,
            Kind::Udp => 0,
        };
        let place = if self.kind == Kind::Udp {
            inner.extend(8_u16.to_be_bytes());
            6
        } else {
            inner.extend(SEQUENCE.to_be_bytes());
            // Acknowledgement, header of five words, flags, window.
            inner.extend([0, 0, 0, 1, 5 << 4, flags, 0x04, 0x00]);
            16
        };
        inner.resize(if self.kind == Kind::Udp { 8 } else { 20 }, 0);
        let sum = checksum(self.from.ip(), self.to.ip(), self.kind.protocol(), &inner);
        inner[place..place + 2].copy_from_slice(&sum.to_be_bytes());
        let mut whole = header(self.from.ip(), self.to.ip(), self.kind.protocol(), &inner);
        whole.append(&mut inner);
        whole
    }
}

fn header(from: IpAddr, to: IpAddr, protocol: u8, inner: &[u8]) -> Vec<u8> {
    let length = u16::try_from(inner.len()).unwrap_or(u16::MAX);
    let mut header = Vec::with_capacity(60);
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            header.extend([0x45, DSCP << 2]);
            header.extend((length + 20).to_be_bytes());
            // No identification, not to be divided, 64 hops; the kernel fills in the checksum.
            header.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
            header.extend(from.octets());
            header.extend(to.octets());
        }
        (from, to) => {
            header.extend((6_u32 << 28 | u32::from(DSCP) << 22).to_be_bytes());
            header.extend(length.to_be_bytes());
            header.extend([protocol, 64]);
            header.extend(octets(from));
            header.extend(octets(to));
        }
    }
    header
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// The Internet checksum over the pseudo header and the segment (RFC 9293 §3.1, RFC 8200 §8.1).
fn checksum(from: IpAddr, to: IpAddr, protocol: u8, inner: &[u8]) -> u16 {
    let mut all = octets(from);
    all.extend(octets(to));
    all.extend([0, protocol]);
    all.extend(u16::try_from(inner.len()).unwrap_or(u16::MAX).to_be_bytes());
    all.extend(inner);
    let mut sum: u32 = all
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    match !u16::try_from(sum).unwrap_or(u16::MAX) {
        // UDP's way to say that there is none.
        0 => 0xffff,
        sum => sum,
    }
}

/// Sends all of them from inside the namespace, in their order.
pub(super) fn send(namespace: &Namespace, packets: &[Packet]) -> Result<()> {
    let sent = namespace.inside(|| {
        let open = |family| {
            rustix::net::socket(family, SocketType::RAW, Some(ipproto::RAW))
                .map_err(|error| format!("a raw socket: {error}"))
        };
        let (v4, v6) = (open(AddressFamily::INET)?, open(AddressFamily::INET6)?);
        for packet in packets {
            let (socket, to) = match packet.to.ip() {
                ip @ IpAddr::V4(_) => (&v4, SocketAddr::new(ip, 0)),
                ip @ IpAddr::V6(_) => (&v6, SocketAddr::new(ip, 0)),
            };
            // The namespace's own filter answers with an error; what it let through is seen by the witness.
            match rustix::net::sendto(socket, &packet.bytes(), SendFlags::empty(), &to) {
                Ok(_) | Err(rustix::io::Errno::PERM) => {}
                Err(error) => return Err(format!("{} to {}: {error}", packet.from, packet.to)),
            }
        }
        Ok(())
    })?;
    Ok(sent?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_sums_to_nothing() {
        let packet = Packet {
            kind: Kind::Syn,
            from: "198.51.100.130:33333".parse().unwrap(),
            to: "203.0.113.130:21".parse().unwrap(),
        };
        let bytes = packet.bytes();
        assert_eq!(bytes.len(), 40);
        assert_eq!(&bytes[..4], [0x45, 0xa8, 0, 40]);
        // With its own checksum in it, what is left is zero, which the function spells 0xffff.
        let rest = checksum(packet.from.ip(), packet.to.ip(), 6, &bytes[20..]);
        assert_eq!(rest, 0xffff);
    }

    #[test]
    fn a_datagram_of_ipv6_has_a_header_of_forty_octets() {
        let packet = Packet {
            kind: Kind::Udp,
            from: "[2001:db8:c::2]:33333".parse().unwrap(),
            to: "[2001:db8:5::2]:21".parse().unwrap(),
        };
        let bytes = packet.bytes();
        assert_eq!(bytes.len(), 48);
        assert_eq!(&bytes[..8], [0x6a, 0x80, 0, 0, 0, 8, 17, 64]);
        let rest = checksum(packet.from.ip(), packet.to.ip(), 17, &bytes[40..]);
        assert_eq!(rest, 0xffff);
    }
}
