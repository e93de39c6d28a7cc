//! What the network process may ask the broker, and what it hears: one packet a message, every field of a fixed or a
//! bounded length, nothing left over. Pure: bytes to values and back.
//!
//! The broker believes nothing in a request: who sends it may have been taken over. What cannot be read is not answered,
//! its sender is ended.

use std::net::SocketAddr;

pub use wharf_worker::Malformed;
use wharf_worker::packet::{In, Out};

/// The longest packet in bytes: a chain of certificates, or what is signed.
pub const LONGEST: usize = 60 * 1024;

/// The most bytes that are signed at once. TLS 1.3 signs 98 to 130 bytes (RFC 8446 §4.4.3), TLS 1.2 the two randoms and the
/// key exchange's parameters (RFC 5246 §7.4.3), 64 + 4 + 133 with the largest curve.
pub const LONGEST_SIGNED: usize = 1024;

/// A file of the configuration, which is opened by what it is for: no path travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kept {
    /// The configuration itself.
    Configuration,
    /// The users and their password hashes.
    Users,
    /// The password of the one user.
    Password,
    /// Who signs the certificates of clients.
    ClientAuthorities,
    /// Which of those were revoked.
    ClientRevocations,
    /// The log of transfers, opened for appending.
    TransferLog,
    /// The transcript of dialogues, opened for appending.
    Trace,
}

impl Kept {
    const ALL: [Self; 7] = [
        Self::Configuration,
        Self::Users,
        Self::Password,
        Self::ClientAuthorities,
        Self::ClientRevocations,
        Self::TransferLog,
        Self::Trace,
    ];

    /// Whether it is written, at its end, and made when it is not there. All others are read.
    pub fn is_appended(self) -> bool {
        matches!(self, Self::TransferLog | Self::Trace)
    }
}

/// What the network process asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A socket bound to a configured address or passive port, not listening yet.
    Listen {
        /// Where; port 0 is for a control port that the system chooses.
        at: SocketAddr,
        /// For `::`: without IPv4.
        only_ipv6: bool,
    },
    /// A socket that connects to a port of a client that has a control connection with us.
    Connect {
        /// Our end; port 0 is any.
        from: SocketAddr,
        /// The client's.
        to: SocketAddr,
    },
    /// A file of the configuration.
    Open(Kept),
    /// A certificate chain by its number, from 0.
    Certificate(u16),
    /// A signature of a TLS handshake.
    Sign {
        /// Which certificate's key: its number.
        key: u16,
        /// The generation of certificates that the number belongs to.
        generation: u32,
        /// The signature scheme's number at IANA.
        scheme: u16,
        /// What is signed.
        message: Vec<u8>,
    },
    /// A connection over which users of this system log in.
    Logins,
    /// Nothing: it listens, or what SIGHUP brought is in force or refused.
    Ready,
}

/// What the broker says to a request. Descriptors travel beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With the descriptor that was asked for.
    Descriptor,
    /// A certificate.
    Certificate(Certificate),
    /// No certificate has that number: `generation` has fewer.
    NoCertificate {
        /// The generation that there is now.
        generation: u32,
    },
    /// The signature.
    Signature(Vec<u8>),
    /// Heard, and there is nothing to say to it.
    Noted,
    /// No. `errno` is 0 where it was not the system that refused.
    Refused {
        /// What the system said.
        errno: i32,
        /// The broker's reason, for the log.
        why: String,
    },
}

/// A certificate whose key the broker keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Changes whenever the certificates do.
    pub generation: u32,
    /// The signature schemes of the key, numbers at IANA, the preferred one first.
    pub schemes: Vec<u16>,
    /// The chain in DER, its own certificate first.
    pub chain: Vec<Vec<u8>>,
}

/// What the broker says on its own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// With two descriptors: for requests, and for signatures.
    Begin,
    /// SIGTERM or SIGINT came.
    Stop,
    /// SIGHUP came.
    Reload,
    /// The certificates have changed.
    Certificates,
}

impl Request {
    /// As a packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Out::default();
        match self {
            Self::Listen { at, only_ipv6 } => {
                out.byte(1).address(*at).byte(u8::from(*only_ipv6));
            }
            Self::Connect { from, to } => {
                out.byte(2).address(*from).address(*to);
            }
            Self::Open(kept) => {
                let number = Kept::ALL.iter().position(|it| it == kept);
                out.byte(3)
                    .byte(u8::try_from(number.unwrap_or_default()).unwrap_or_default());
            }
            Self::Certificate(number) => {
                out.byte(4).two(*number);
            }
            Self::Sign {
                key,
                generation,
                scheme,
                message,
            } => {
                out.byte(5).two(*key).four(*generation).two(*scheme);
                out.bytes(message);
            }
            Self::Logins => {
                out.byte(6);
            }
            Self::Ready => {
                out.byte(7);
            }
        }
        out.0
    }

    /// From a packet.
    ///
    /// # Errors
    /// Whatever [`encode`](Self::encode) would not have written.
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let mut rest = In(packet);
        let request = match rest.byte()? {
            1 => Self::Listen {
                at: rest.address()?,
                only_ipv6: rest.switch()?,
            },
            2 => Self::Connect {
                from: rest.address()?,
                to: rest.address()?,
            },
            3 => {
                let number = usize::from(rest.byte()?);
                let kept = Kept::ALL.get(number).copied();
                Self::Open(kept.ok_or(Malformed("no such file"))?)
            }
            4 => Self::Certificate(rest.two()?),
            5 => Self::Sign {
                key: rest.two()?,
                generation: rest.four()?,
                scheme: rest.two()?,
                message: rest.bytes(LONGEST_SIGNED)?.to_vec(),
            },
            6 => Self::Logins,
            7 => Self::Ready,
            _ => return Err(Malformed("no such request")),
        };
        rest.end()?;
        Ok(request)
    }
}

impl Answer {
    /// As a packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Out::default();
        match self {
            Self::Descriptor => {
                out.byte(1);
            }
            Self::Certificate(it) => {
                out.byte(2).four(it.generation);
                out.count(it.schemes.len());
                for scheme in &it.schemes {
                    out.two(*scheme);
                }
                out.count(it.chain.len());
                for certificate in &it.chain {
                    out.bytes(certificate);
                }
            }
            Self::NoCertificate { generation } => {
                out.byte(3).four(*generation);
            }
            Self::Signature(signature) => {
                out.byte(4).bytes(signature);
            }
            Self::Refused { errno, why } => {
                out.byte(5).four(errno.unsigned_abs());
                out.bytes(why.as_bytes());
            }
            Self::Noted => {
                out.byte(6);
            }
        }
        out.0
    }

    /// From a packet.
    ///
    /// # Errors
    /// Whatever [`encode`](Self::encode) would not have written.
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let mut rest = In(packet);
        let answer = match rest.byte()? {
            1 => Self::Descriptor,
            2 => {
                let generation = rest.four()?;
                let schemes = (0..rest.two()?)
                    .map(|_| rest.two())
                    .collect::<Result<_, _>>()?;
                let chain = (0..rest.two()?)
                    .map(|_| rest.bytes(LONGEST).map(<[u8]>::to_vec))
                    .collect::<Result<_, _>>()?;
                Self::Certificate(Certificate {
                    generation,
                    schemes,
                    chain,
                })
            }
            3 => Self::NoCertificate {
                generation: rest.four()?,
            },
            4 => Self::Signature(rest.bytes(LONGEST)?.to_vec()),
            5 => Self::Refused {
                errno: i32::try_from(rest.four()?).map_err(|_| Malformed("no such error"))?,
                why: rest.text(LONGEST)?,
            },
            6 => Self::Noted,
            _ => return Err(Malformed("no such answer")),
        };
        rest.end()?;
        Ok(answer)
    }
}

impl Order {
    const ALL: [Self; 4] = [Self::Begin, Self::Stop, Self::Reload, Self::Certificates];

    /// As a packet.
    pub fn encode(self) -> Vec<u8> {
        let number = Self::ALL.iter().position(|it| *it == self);
        vec![u8::try_from(number.unwrap_or_default()).unwrap_or_default()]
    }

    /// From a packet.
    ///
    /// # Errors
    /// Whatever [`encode`](Self::encode) would not have written.
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let mut rest = In(packet);
        let order = Self::ALL.get(usize::from(rest.byte()?)).copied();
        rest.end()?;
        order.ok_or(Malformed("no such order"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let requests = [
            Request::Listen {
                at: at("[::]:21"),
                only_ipv6: true,
            },
            Request::Connect {
                from: at("192.0.2.1:20"),
                to: at("[fe80::1%3]:5000"),
            },
            Request::Open(Kept::Users),
            Request::Certificate(1),
            Request::Sign {
                key: 0,
                generation: 7,
                scheme: 0x0403,
                message: vec![0x20; 130],
            },
            Request::Logins,
            Request::Ready,
        ];
        for request in requests {
            let packet = request.encode();
            assert_eq!(Request::decode(&packet), Ok(request.clone()));
            for end in 0..packet.len() {
                assert!(
                    Request::decode(&packet[..end]).is_err(),
                    "{request:?} {end}"
                );
            }
            let longer = [&packet[..], &[0]].concat();
            assert!(Request::decode(&longer).is_err(), "{request:?}");
        }
        let answers = [
            Answer::Noted,
            Answer::Descriptor,
            Answer::Certificate(Certificate {
                generation: 3,
                schemes: vec![0x0403],
                chain: vec![vec![1; 900], vec![2; 1200]],
            }),
            Answer::NoCertificate { generation: 3 },
            Answer::Signature(vec![9; 72]),
            Answer::Refused {
                errno: 98,
                why: "in use".to_owned(),
            },
        ];
        for answer in answers {
            let packet = answer.encode();
            assert_eq!(Answer::decode(&packet), Ok(answer.clone()));
            for end in 0..packet.len() {
                assert!(Answer::decode(&packet[..end]).is_err(), "{answer:?} {end}");
            }
        }
        for order in Order::ALL {
            assert_eq!(Order::decode(&order.encode()), Ok(order));
        }
    }

    #[test]
    fn what_nobody_would_write_is_refused() {
        let table: [(&[u8], &str); 7] = [
            (&[], "the packet is too short"),
            (&[0], "no such request"),
            (&[9], "no such request"),
            (&[3, 7], "no such file"),
            (&[1, 5, 0, 0], "no such address family"),
            (&[1, 4, 1, 2, 3, 4, 0, 21, 2], "neither yes nor no"),
            (&[5, 0, 0, 0, 0, 0, 0, 4, 3, 4, 1], "a field is too long"),
        ];
        for (packet, why) in table {
            assert_eq!(Request::decode(packet), Err(Malformed(why)), "{packet:?}");
        }
    }
}
