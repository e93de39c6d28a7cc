//! The Port Control Protocol's MAP request and its answer (RFC 6887 §7, §11), as bytes.
//!
//! The kept crate (`crab_nat`) brings a second version of `syn` and asks port 5351 alone, so that no test could stand in
//! for the router; one request and one answer are little enough to have here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::wire::Fields;

const VERSION: u8 = 2;
const OPCODE_MAP: u8 = 1;
const RESPONSE: u8 = 0x80;
const TCP: u8 = 6;

/// Made up by who asks; only who knows it can change or delete the mapping (RFC 6887 §11.2).
pub(super) type Nonce = [u8; 12];

/// Asks for (or, with lifetime 0, gives back) an outside TCP port for `inside`.
#[derive(Clone, Copy, Debug)]
pub(super) struct MapRequest {
    pub(super) nonce: Nonce,
    pub(super) inside: SocketAddr,
    /// Seconds; 0 deletes.
    pub(super) lifetime: u32,
}

impl MapRequest {
    /// The datagram. No outside port is suggested but the inside one: any will do.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION, OPCODE_MAP, 0, 0];
        out.extend(self.lifetime.to_be_bytes());
        out.extend(sixteen(self.inside.ip()));
        out.extend(self.nonce);
        out.extend([TCP, 0, 0, 0]);
        out.extend(self.inside.port().to_be_bytes());
        let suggested = match self.lifetime {
            0 => 0,
            _ => self.inside.port(),
        };
        out.extend(suggested.to_be_bytes());
        out.extend(sixteen(match self.inside {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        }));
        out
    }

    /// What a datagram from the router says about this request; `None`: nothing, it is about something else.
    pub(super) fn answer(&self, datagram: &[u8]) -> Option<Answer> {
        let mut fields = Fields(datagram);
        let [version, opcode, _reserved, result] = fields.take()?;
        if version == 0 {
            // A router that knows NAT-PMP alone says so: version 0, result "unsupported version" (RFC 6886 §3.5). An
            // answer to a question of ours in NAT-PMP has its opcode.
            let about_pcp = opcode == RESPONSE | OPCODE_MAP || opcode == OPCODE_MAP;
            return about_pcp.then_some(Answer::OtherVersion);
        }
        if version != VERSION || opcode != RESPONSE | OPCODE_MAP {
            return None;
        }
        let lifetime = u32::from_be_bytes(fields.take()?);
        if result == UNSUPPORTED_VERSION {
            return Some(Answer::OtherVersion);
        }
        let [_epoch, _reserved @ ..]: [u8; 16] = fields.take()?;
        let nonce: Nonce = fields.take()?;
        let [protocol, _, _, _] = fields.take()?;
        let inside = u16::from_be_bytes(fields.take()?);
        if nonce != self.nonce || protocol != TCP || inside != self.inside.port() {
            return None;
        }
        if result != 0 {
            return Some(Answer::Refused(result));
        }
        let port = u16::from_be_bytes(fields.take()?);
        let address = Ipv6Addr::from(fields.take::<16>()?).to_canonical();
        Some(Answer::Granted {
            outside: SocketAddr::new(address, port),
            lifetime,
        })
    }
}

/// What the router says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A port, or with lifetime 0 its end.
    Granted { outside: SocketAddr, lifetime: u32 },
    /// A result code other than success.
    Refused(u8),
    /// It does not speak this version; possibly NAT-PMP.
    OtherVersion,
}

const UNSUPPORTED_VERSION: u8 = 1;

/// What a result code means (RFC 6887 §7.4).
pub(super) fn meaning(result: u8) -> &'static str {
    match result {
        1 => "unsupported version",
        2 => "not authorized",
        3 => "malformed request",
        4 => "unsupported operation",
        5 => "unsupported option",
        6 => "malformed option",
        7 => "network failure",
        8 => "no resources",
        9 => "unsupported protocol",
        10 => "quota exceeded",
        11 => "cannot provide that address",
        12 => "another NAT stands between",
        13 => "excessive remote peers",
        _ => "unknown result code",
    }
}

fn sixteen(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> MapRequest {
        MapRequest {
            nonce: *b"twelve bytes",
            inside: "192.168.10.2:5000".parse().unwrap(),
            lifetime: 120,
        }
    }

    /// The success of [`request`] as a router would send it.
    fn granted() -> Vec<u8> {
        let mut out = vec![2, 0x81, 0, 0, 0, 0, 0, 60, 0, 0, 1, 0];
        out.extend([0; 12]);
        out.extend(b"twelve bytes");
        out.extend([6, 0, 0, 0, 0x13, 0x88, 0xc3, 0x50]);
        out.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 51, 100, 1]);
        out
    }

    #[test]
    fn the_request_has_sixty_bytes() {
        let bytes = request().bytes();
        assert_eq!(bytes.len(), 60);
        assert_eq!(bytes[..8], [2, 1, 0, 0, 0, 0, 0, 120]);
        assert_eq!(bytes[18..24], [0xff, 0xff, 192, 168, 10, 2]);
        assert_eq!(
            bytes[36..44],
            [6, 0, 0, 0, 0x13, 0x88, 0x13, 0x88],
            "TCP, 5000 inside, 5000 suggested"
        );
        let delete = MapRequest {
            lifetime: 0,
            ..request()
        };
        assert_eq!(delete.bytes()[42..44], [0, 0]);
    }

    #[test]
    fn an_answer_is_read() {
        assert_eq!(
            request().answer(&granted()),
            Some(Answer::Granted {
                outside: "198.51.100.1:50000".parse().unwrap(),
                lifetime: 60
            })
        );
        let mut refused = granted();
        refused[3] = 2;
        assert_eq!(request().answer(&refused), Some(Answer::Refused(2)));
        let nat_pmp_only = [0, 0x81, 0, 1, 0, 0, 0, 9];
        assert_eq!(request().answer(&nat_pmp_only), Some(Answer::OtherVersion));
    }

    #[test]
    fn what_is_not_an_answer_to_the_question_is_none() {
        for at in [0, 1, 24, 36, 40] {
            let mut other = granted();
            other[at] ^= 0x55;
            assert_eq!(request().answer(&other), None, "byte {at} differs");
        }
        for length in 0..granted().len() {
            let cut = &granted()[..length];
            assert!(
                !matches!(request().answer(cut), Some(Answer::Granted { .. })),
                "{length} bytes"
            );
        }
    }
}
