//! What a connection begins with, looked at without reading it: whether that is a TLS ClientHello, and which tickets it
//! shows.
//!
//! A port that several sessions share finds out by it whose a connection may be before the handshake begins. It is a
//! claim of whoever connects, no more; the handshake is the proof.

use super::TicketName;

/// A ClientHello that is longer than this is not looked at to its end. Post-quantum key shares make one 1.5 KiB; a ticket
/// with a chain of certificates in it may add some more.
pub const LONGEST: usize = 16 * 1024;

/// Tickets of one ClientHello that are told.
const TICKETS: usize = 8;

/// Type of a record that carries handshake messages (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;
/// Type of the message (RFC 8446 §4).
const CLIENT_HELLO: u8 = 1;
/// Extension of TLS 1.2 (RFC 5077 §3.2).
const SESSION_TICKET: u16 = 35;
/// Extension of TLS 1.3 (RFC 8446 §4.2.11); always the last one.
const PRE_SHARED_KEY: u16 = 41;

/// What the first bytes of a connection are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstBytes {
    /// No TLS.
    Clear,
    /// They may become a ClientHello.
    Part,
    /// A ClientHello, and whose tickets it shows, or session ID (RFC 5246 §7.4.1.2), at most 8; none as well when it is
    /// malformed or too long.
    Hello(Vec<TicketName>),
}

impl FirstBytes {
    /// Of everything that has come so far. Never fails; what it costs is linear in at most [`LONGEST`] bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let whole = bytes.len() >= LONGEST;
        let bytes = bytes.get(..LONGEST).unwrap_or(bytes);
        match (bytes.first(), bytes.get(1)) {
            (None, _) | (Some(&HANDSHAKE), None) => return Self::Part,
            (Some(&HANDSHAKE), Some(3)) => {}
            _ => return Self::Clear,
        }
        match message(bytes) {
            Message::Whole(hello) => Self::Hello(tickets(&hello).unwrap_or_default()),
            Message::Part if !whole => Self::Part,
            Message::Part | Message::Malformed => Self::Hello(Vec::new()),
            Message::Another => Self::Clear,
        }
    }
}

enum Message {
    /// The body of the ClientHello
    Whole(Vec<u8>),
    Part,
    Malformed,
    /// Another kind of handshake message: nobody begins with that
    Another,
}

/// The first handshake message, which may be spread over several records
fn message(bytes: &[u8]) -> Message {
    let mut rest = Reader(bytes);
    let mut message = Vec::new();
    loop {
        if let [kind, ..] = *message.as_slice()
            && kind != CLIENT_HELLO
        {
            return Message::Another;
        }
        if let [_, high, middle, low, ..] = *message.as_slice() {
            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
            if length > LONGEST {
                return Message::Malformed;
            }
            if let Some(body) = message.get(4..4 + length) {
                return Message::Whole(body.to_vec());
            }
        }
        let Some(&[kind, major, _minor, high, low]) = rest.take(5).and_then(|it| it.first_chunk())
        else {
            return Message::Part;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if kind != HANDSHAKE || major != 3 || length == 0 {
            return Message::Malformed;
        }
        let part = rest.0.get(..length).unwrap_or(rest.0);
        message.extend_from_slice(part);
        rest.0 = rest.0.get(length..).unwrap_or_default();
    }
}

/// Whose tickets a ClientHello shows; `None` when it is malformed
fn tickets(hello: &[u8]) -> Option<Vec<TicketName>> {
    let mut hello = Reader(hello);
    hello.take(2 + 32)?; // version, random
    let id = hello.vector8()?;
    hello.vector16()?; // cipher suites
    hello.vector8()?; // compression
    let mut names = Vec::new();
    if hello.0.is_empty() {
        names.extend(TicketName::of(id));
        return Some(names);
    }
    let mut extensions = Reader(hello.vector16()?);
    while !extensions.0.is_empty() {
        let kind = extensions.number16()?;
        let content = extensions.vector16()?;
        match kind {
            SESSION_TICKET => names.extend(TicketName::of(content)),
            PRE_SHARED_KEY => {
                let mut identities = Reader(Reader(content).vector16()?);
                while !identities.0.is_empty() && names.len() < TICKETS {
                    names.extend(TicketName::of(identities.vector16()?));
                    identities.take(4)?; // age
                }
            }
            _ => {}
        }
    }
    // Last: a client of TLS 1.3 sends an ID of its own, which names nobody.
    names.extend(TicketName::of(id));
    names.truncate(TICKETS);
    Some(names)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number16(&mut self) -> Option<u16> {
        let taken = self.take(2)?.first_chunk()?;
        Some(u16::from_be_bytes(*taken))
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = *self.take(1)?.first()?;
        self.take(usize::from(length))
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.number16()?;
        self.take(usize::from(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with16(bytes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(bytes.len()).unwrap();
        [&length.to_be_bytes()[..], bytes].concat()
    }

    fn hello(id: &[u8], extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let extensions: Vec<u8> = extensions
            .iter()
            .flat_map(|(kind, content)| [kind.to_be_bytes().to_vec(), with16(content)].concat())
            .collect();
        let body = [
            &[3, 3][..],
            &[7; 32],
            &[u8::try_from(id.len()).unwrap()],
            id,
            &with16(&[0x13, 0x01]),
            &[1, 0],
            &with16(&extensions),
        ]
        .concat();
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[CLIENT_HELLO][..], &length[1..], &body].concat()
    }

    /// The same message in records of so many bytes
    fn records(message: &[u8], size: usize) -> Vec<u8> {
        let records = message
            .chunks(size)
            .map(|part| [&[HANDSHAKE, 3, 1][..], &with16(part)].concat());
        records.collect::<Vec<_>>().concat()
    }

    fn name(byte: u8) -> TicketName {
        TicketName::of(&[byte; 16]).unwrap()
    }

    fn identities(bytes: &[u8]) -> Vec<u8> {
        let each = bytes
            .iter()
            .flat_map(|byte| [with16(&[*byte; 60]), vec![0; 4]].concat());
        let list: Vec<u8> = each.collect();
        [with16(&list), with16(&[32; 33])].concat()
    }

    #[test]
    fn the_tickets_of_both_versions_are_found() {
        type Extensions<'a> = &'a [(u16, Vec<u8>)];
        let table: &[(Extensions<'_>, Vec<TicketName>)] = &[
            (&[], vec![]),
            (&[(0, vec![0; 9]), (SESSION_TICKET, vec![])], vec![]),
            (&[(SESSION_TICKET, vec![5; 16])], vec![name(5)]),
            (&[(SESSION_TICKET, vec![5; 15])], vec![]),
            (
                &[(PRE_SHARED_KEY, identities(&[1, 2]))],
                vec![name(1), name(2)],
            ),
            (
                // A key share for a post-quantum group in front of it
                &[(51, vec![9; 1220]), (PRE_SHARED_KEY, identities(&[4]))],
                vec![name(4)],
            ),
            (
                &[(PRE_SHARED_KEY, identities(&[1; 20]))],
                vec![name(1); TICKETS],
            ),
        ];
        for (extensions, want) in table {
            let message = hello(&[], extensions);
            for size in [1, 100, 16 * 1024] {
                let bytes = records(&message, size);
                assert_eq!(FirstBytes::of(&bytes), FirstBytes::Hello(want.clone()));
                // However it arrives, nothing is said before it is whole.
                for cut in 0..bytes.len() {
                    assert_eq!(FirstBytes::of(&bytes[..cut]), FirstBytes::Part, "{cut}");
                }
                let more = [&bytes[..], b"more"].concat();
                assert_eq!(FirstBytes::of(&more), FirstBytes::Hello(want.clone()));
            }
        }
    }

    #[test]
    fn a_session_id_names_its_session_as_well() {
        let ticket = [(SESSION_TICKET, vec![5; 16])];
        let told = |id: &[u8], extensions| FirstBytes::of(&records(&hello(id, extensions), 900));
        assert_eq!(told(&[3; 32], &[]), FirstBytes::Hello(vec![name(3)]));
        assert_eq!(told(&[3; 8], &[]), FirstBytes::Hello(vec![]));
        let both = FirstBytes::Hello(vec![name(5), name(3)]);
        assert_eq!(told(&[3; 32], &ticket), both);
    }

    #[test]
    fn what_is_none_is_told() {
        let clear: &[&[u8]] = &[
            b"USER ann\r\n",
            b"GET / HTTP/1.1",
            &[22, 0],
            &[0x80, 46, 1],
            &[21, 3],
        ];
        for bytes in clear {
            assert_eq!(FirstBytes::of(bytes), FirstBytes::Clear, "{bytes:?}");
        }
        // A ServerHello
        assert_eq!(
            FirstBytes::of(&[22, 3, 3, 0, 4, 2, 0, 0, 0]),
            FirstBytes::Clear
        );
        let nobody: &[&[u8]] = &[
            &[22, 3, 1, 0, 0],
            &[22, 3, 1, 0, 4, 1, 255, 0, 0],
            &[22, 3, 1, 0, 5, 1, 0, 0, 1, 3],
            &[22, 3, 1, 0, 1, 1, 23, 3, 3, 0, 1, 0],
        ];
        for bytes in nobody {
            assert_eq!(
                FirstBytes::of(bytes),
                FirstBytes::Hello(vec![]),
                "{bytes:?}"
            );
        }
        let mut endless = vec![22, 3, 1, 0x40, 0, 1, 0, 0x40, 0];
        endless.resize(9 + 100, 0);
        assert_eq!(FirstBytes::of(&endless), FirstBytes::Part);
        endless.resize(LONGEST + 1, 0);
        assert!(matches!(FirstBytes::of(&endless), FirstBytes::Hello(_)));
    }

    #[test]
    fn bent_bytes_are_answered() {
        let whole = records(&hello(&[], &[(PRE_SHARED_KEY, identities(&[1, 2, 3]))]), 50);
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bent = whole.clone();
                bent[at] ^= 1 << bit;
                let _ = FirstBytes::of(&bent);
            }
        }
    }
}
