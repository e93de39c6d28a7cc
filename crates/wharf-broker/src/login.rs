//! What is asked and answered about users of this system, over a connection of its own, since checking a password takes
//! long and nothing else may wait for it. Pure: bytes to values and back.

use std::net::IpAddr;

use wharf_proto::{Pathname, Secret, Text};
use wharf_worker::Malformed;
use wharf_worker::packet::{In, Out};

/// The longest name of a user.
const LONGEST_NAME: usize = 256;

/// The longest password, which is more than crypt(3) looks at.
const LONGEST_PASSWORD: usize = 1024;

/// The longest reason; it is for the log.
const LONGEST_REASON: usize = 512;

/// Somebody wants to be a user of this system.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    /// By which the answer is known.
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) password: Secret,
    /// Where the control connection comes from.
    pub(crate) from: IpAddr,
}

/// The answer to the login of that number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) number: u32,
    pub(crate) outcome: Outcome,
}

/// What came of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Beside it is a connection to the user's files.
    Welcome {
        /// Where the user begins.
        home: Pathname,
    },
    /// No; why is told to nobody here.
    Refused,
    /// Too many want to log in at the moment.
    TooBusy,
    /// The user is who he says, but has no files here.
    Broken(String),
}

impl Login {
    /// As a packet; `None` if it is longer than a login can be.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let password = self.password.expose();
        if self.name.len() > LONGEST_NAME || password.len() > LONGEST_PASSWORD {
            return None;
        }
        let mut out = Out::default();
        out.four(self.number)
            .bytes(self.name.as_bytes())
            .bytes(password);
        match self.from {
            IpAddr::V4(v4) => out.bytes(&v4.octets()),
            IpAddr::V6(v6) => out.bytes(&v6.octets()),
        };
        Some(out.0)
    }

    /// From a packet. Errors: whatever [`encode`](Self::encode) would not have written.
    pub(crate) fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let mut rest = In(packet);
        let number = rest.four()?;
        let name = rest.text(LONGEST_NAME)?;
        let password = Text::new(rest.bytes(LONGEST_PASSWORD)?);
        let password = Secret::new(password.map_err(|_| Malformed("not a password"))?);
        let address = rest.bytes(16)?;
        let from = match <[u8; 4]>::try_from(address) {
            Ok(v4) => IpAddr::from(v4),
            Err(_) => {
                let v6 = <[u8; 16]>::try_from(address);
                IpAddr::from(v6.map_err(|_| Malformed("no such address family"))?)
            }
        };
        rest.end()?;
        Ok(Self {
            number,
            name,
            password,
            from,
        })
    }
}

impl Admission {
    /// As a packet.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Out::default();
        out.four(self.number);
        match &self.outcome {
            Outcome::Welcome { home } => out.byte(1).bytes(home.as_bytes()),
            Outcome::Refused => out.byte(2),
            Outcome::TooBusy => out.byte(3),
            Outcome::Broken(why) => {
                let end = why.floor_char_boundary(LONGEST_REASON);
                out.byte(4)
                    .bytes(why.get(..end).unwrap_or_default().as_bytes())
            }
        };
        out.0
    }

    /// From a packet. Errors: whatever [`encode`](Self::encode) would not have written.
    pub(crate) fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let mut rest = In(packet);
        let number = rest.four()?;
        let outcome = match rest.byte()? {
            1 => {
                let home = rest.bytes(Pathname::MAX_LENGTH)?;
                let home = Pathname::new(home).map_err(|_| Malformed("not a pathname"))?;
                Outcome::Welcome { home }
            }
            2 => Outcome::Refused,
            3 => Outcome::TooBusy,
            4 => Outcome::Broken(rest.text(LONGEST_REASON)?),
            _ => return Err(Malformed("no such outcome")),
        };
        rest.end()?;
        Ok(Self { number, outcome })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for from in ["192.0.2.1", "2001:db8::1"] {
            let login = Login {
                number: 7,
                name: "anna".to_owned(),
                password: "right".parse().unwrap(),
                from: from.parse().unwrap(),
            };
            let packet = login.encode().unwrap();
            let read = Login::decode(&packet).unwrap();
            assert_eq!(
                (read.number, &*read.name, read.from),
                (7, "anna", login.from)
            );
            assert_eq!(read.password.expose(), b"right");
            for end in 0..packet.len() {
                assert!(Login::decode(&packet[..end]).is_err(), "{end}");
            }
            assert!(Login::decode(&[&packet[..], &[0]].concat()).is_err());
        }
        for outcome in [
            Outcome::Welcome {
                home: "/home".parse().unwrap(),
            },
            Outcome::Refused,
            Outcome::TooBusy,
            Outcome::Broken("no home".to_owned()),
        ] {
            let admission = Admission { number: 8, outcome };
            let packet = admission.encode();
            assert_eq!(Admission::decode(&packet), Ok(admission));
            for end in 0..packet.len() {
                assert!(Admission::decode(&packet[..end]).is_err(), "{end}");
            }
            assert!(Admission::decode(&[&packet[..], &[0]].concat()).is_err());
        }
    }

    #[test]
    fn what_is_too_long_is_not_asked() {
        let login = |name: usize, password: usize| Login {
            number: 1,
            name: "n".repeat(name),
            password: Secret::new(Text::new(vec![b'p'; password]).unwrap()),
            from: [127, 0, 0, 1].into(),
        };
        assert!(login(LONGEST_NAME, LONGEST_PASSWORD).encode().is_some());
        assert!(login(LONGEST_NAME + 1, 1).encode().is_none());
        assert!(login(1, LONGEST_PASSWORD + 1).encode().is_none());
    }
}
