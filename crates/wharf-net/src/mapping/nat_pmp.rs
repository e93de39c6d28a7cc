//! NAT-PMP (RFC 6886 §3.2 and §3.3) as bytes: the outside address, and a TCP port.

use std::net::Ipv4Addr;

use super::wire::Fields;

const VERSION: u8 = 0;
const OPCODE_ADDRESS: u8 = 0;
const OPCODE_MAP_TCP: u8 = 2;
const RESPONSE: u8 = 128;

/// The question for the outside address.
pub(super) const ADDRESS_REQUEST: [u8; 2] = [VERSION, OPCODE_ADDRESS];

/// A router's answer: the result code where it is not success.
pub(super) type Answer<T> = Result<T, u16>;

/// What a datagram says about the outside address; `None`: nothing.
pub(super) fn address(datagram: &[u8]) -> Option<Answer<Ipv4Addr>> {
    let mut fields = answer_to(OPCODE_ADDRESS, datagram)?;
    match u16::from_be_bytes(fields.take()?) {
        0 => {
            let _epoch: [u8; 4] = fields.take()?;
            Some(Ok(Ipv4Addr::from(fields.take::<4>()?)))
        }
        refused => Some(Err(refused)),
    }
}

/// Asks for (or, with lifetime 0, gives back) an outside port for a TCP port.
#[derive(Clone, Copy, Debug)]
pub(super) struct MapRequest {
    pub(super) inside: u16,
    /// Seconds; 0 deletes.
    pub(super) lifetime: u32,
}

impl MapRequest {
    /// The datagram. No outside port is suggested but the inside one.
    pub(super) fn bytes(self) -> Vec<u8> {
        let suggested = match self.lifetime {
            0 => 0,
            _ => self.inside,
        };
        let mut out = vec![VERSION, OPCODE_MAP_TCP, 0, 0];
        out.extend(self.inside.to_be_bytes());
        out.extend(suggested.to_be_bytes());
        out.extend(self.lifetime.to_be_bytes());
        out
    }

    /// The outside port and the lifetime in seconds that a datagram grants; `None`: it is about something else.
    pub(super) fn answer(self, datagram: &[u8]) -> Option<Answer<(u16, u32)>> {
        let mut fields = answer_to(OPCODE_MAP_TCP, datagram)?;
        let result = u16::from_be_bytes(fields.take()?);
        if result != 0 {
            return Some(Err(result));
        }
        let _epoch: [u8; 4] = fields.take()?;
        let inside = u16::from_be_bytes(fields.take()?);
        let outside = u16::from_be_bytes(fields.take()?);
        let lifetime = u32::from_be_bytes(fields.take()?);
        (inside == self.inside).then_some(Ok((outside, lifetime)))
    }
}

/// What a result code means (RFC 6886 §3.5).
pub(super) fn meaning(result: u16) -> &'static str {
    match result {
        1 => "unsupported version",
        2 => "not authorized",
        3 => "network failure",
        4 => "no resources",
        5 => "unsupported operation",
        _ => "unknown result code",
    }
}

fn answer_to(opcode: u8, datagram: &[u8]) -> Option<Fields<'_>> {
    let mut fields = Fields(datagram);
    let head: [u8; 2] = fields.take()?;
    (head == [VERSION, RESPONSE | opcode]).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: MapRequest = MapRequest {
        inside: 5000,
        lifetime: 120,
    };

    #[test]
    fn requests_and_answers() {
        assert_eq!(
            REQUEST.bytes(),
            [0, 2, 0, 0, 0x13, 0x88, 0x13, 0x88, 0, 0, 0, 120]
        );
        let delete = MapRequest {
            lifetime: 0,
            ..REQUEST
        };
        assert_eq!(delete.bytes(), [0, 2, 0, 0, 0x13, 0x88, 0, 0, 0, 0, 0, 0]);
        let granted = [
            0, 130, 0, 0, 0, 0, 1, 0, 0x13, 0x88, 0xc3, 0x50, 0, 0, 0, 60,
        ];
        assert_eq!(REQUEST.answer(&granted), Some(Ok((50_000, 60))));
        let told = [0, 128, 0, 0, 0, 0, 1, 0, 198, 51, 100, 1];
        assert_eq!(address(&told), Some(Ok(Ipv4Addr::new(198, 51, 100, 1))));
        assert_eq!(address(&[0, 128, 0, 3, 0, 0, 1, 0]), Some(Err(3)));
        assert_eq!(REQUEST.answer(&[0, 130, 0, 2, 0, 0]), Some(Err(2)));
    }

    #[test]
    fn what_is_not_an_answer_is_none() {
        let granted = [
            0, 130, 0, 0, 0, 0, 1, 0, 0x13, 0x88, 0xc3, 0x50, 0, 0, 0, 60,
        ];
        for at in [0, 1, 8, 9] {
            let mut other = granted;
            other[at] ^= 0x55;
            assert_eq!(REQUEST.answer(&other), None, "byte {at} differs");
        }
        for length in 0..granted.len() {
            assert_eq!(REQUEST.answer(&granted[..length]), None, "{length} bytes");
            assert_eq!(address(&granted[..length]), None, "{length} bytes");
        }
    }
}
