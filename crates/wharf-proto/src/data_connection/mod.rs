//! The data connection: who opens it, to which address, and whom we let take part in it.
//!
//! RFC 959 §3.2 gives the server-DTP the duty to open the data connection (active); PASV turns it round (passive).
//! Everything here is a value or a rule: sockets are opened elsewhere.
//!
//! * [`guard`]: may this address be paired with this control connection? (both sides)
//! * [`passive`]: the port range a passive opener listens in (server side, and the user side of active transfers)
//! * [`port_policy`]: what becomes of a private address in a PORT (server side)
//! * [`advertise`]: which address a 227 names to which client (server side)
//! * [`outside`]: which one when nobody has configured it (server side)
//! * [`passive_choice`]: data port or control port in automatic one-port passive (server side)
//! * [`sorting`]: whose is a connection that arrives at a port which several sessions share (server side)
//! * [`path`]: one way to a data connection (user side)
//! * [`policy`]: what the search may try (user side)
//! * [`evidence`]: what was seen when an attempt failed (user side)
//! * [`as_seen`]: our address as the server tells it, and the NAT between (user side)
//! * `candidates`: which ways are left, given what was seen (user side)
//! * [`plan`]: what is tried when, on which control connection (user side)
//! * [`diagnosis`]: what a failed search means, and who must act (user side)

pub mod advertise;
pub mod as_seen;
mod candidates;
pub mod diagnosis;
pub mod evidence;
pub mod guard;
pub mod outside;
pub mod passive;
pub mod passive_choice;
pub mod path;
pub mod plan;
pub mod policy;
pub mod port_policy;
pub mod sorting;

use std::fmt;
use std::net::IpAddr;

/// Who opens the data connection, as people name it. Not to be confused with [`crate::parameter::TransferMode`] (MODE
/// S/B/C).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataMode {
    /// The server opens the data connection to the user (PORT, EPRT; RFC 959 §3.2).
    Active,
    /// The user opens the data connection to the server (PASV, EPSV; RFC 959 §4.1.2).
    Passive,
}

/// The side that opens the data connection: sends the first SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opener {
    /// The user-DTP connects, the server-DTP listens.
    User,
    /// The server-DTP connects, the user-DTP listens.
    Server,
}

impl Opener {
    /// What people call a data connection opened by this side.
    pub fn data_mode(self) -> DataMode {
        match self {
            Self::User => DataMode::Passive,
            Self::Server => DataMode::Active,
        }
    }
}

impl fmt::Display for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Server => "server",
        })
    }
}

/// Which way the bytes of a transfer flow, seen from the listening side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flow {
    /// We send: the peer says nothing on the data connection before its end.
    Outgoing,
    /// The peer sends.
    Incoming,
}

/// The command that arranges a data connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Offer {
    /// PORT: the user names an IPv4 address and port (RFC 959 §4.1.2).
    Port,
    /// EPRT: the user names an address of either family (RFC 2428 §2).
    Eprt,
    /// PASV: the server names an IPv4 address and port (RFC 959 §4.1.2).
    Pasv,
    /// EPSV: the server names a port only (RFC 2428 §3).
    Epsv,
    /// LPRT: the user names an address of any family and length (RFC 1639).
    Lprt,
}

impl Offer {
    /// The side that will open the data connection after this command.
    pub fn opener(self) -> Opener {
        match self {
            Self::Pasv | Self::Epsv => Opener::User,
            Self::Port | Self::Eprt | Self::Lprt => Opener::Server,
        }
    }

    /// The verb on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Port => "PORT",
            Self::Eprt => "EPRT",
            Self::Pasv => "PASV",
            Self::Epsv => "EPSV",
            Self::Lprt => "LPRT",
        }
    }

    /// Can this command arrange a data connection over IPv6? PORT and PASV have room for four numbers only.
    pub fn speaks_ipv6(self) -> bool {
        matches!(self, Self::Eprt | Self::Epsv | Self::Lprt)
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The address as the peer knows it: `::ffff:a.b.c.d` (what a dual-stack listener reports for an IPv4 client, RFC 4291
/// §2.5.5.2) becomes `a.b.c.d`. All comparisons of addresses in this module are made on this form.
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offer_knows_its_opener() {
        let table = [
            (Offer::Port, Opener::Server, DataMode::Active, false),
            (Offer::Eprt, Opener::Server, DataMode::Active, true),
            (Offer::Pasv, Opener::User, DataMode::Passive, false),
            (Offer::Epsv, Opener::User, DataMode::Passive, true),
            (Offer::Lprt, Opener::Server, DataMode::Active, true),
        ];
        for (offer, opener, mode, ipv6) in table {
            assert_eq!(offer.opener(), opener, "{offer}");
            assert_eq!(offer.opener().data_mode(), mode, "{offer}");
            assert_eq!(offer.speaks_ipv6(), ipv6, "{offer}");
        }
    }

    #[test]
    fn a_mapped_address_is_its_ipv4_address() {
        assert_eq!(
            canonical("::ffff:192.0.2.1".parse().unwrap()),
            "192.0.2.1".parse::<IpAddr>().unwrap()
        );
        assert_eq!(
            canonical("::192.0.2.1".parse().unwrap()),
            "::192.0.2.1".parse::<IpAddr>().unwrap()
        );
    }
}
