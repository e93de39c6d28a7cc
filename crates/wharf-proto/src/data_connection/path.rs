//! User side: one way to a data connection, and one attempt at it.
//!
//! A [`Path`] is *who opens, to which address, arranged by which command*. Which of them are tried, when and on which
//! control connection is decided in [`plan`](super::plan); what a failure rules out, in
//! `candidates.rs`.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::{Offer, Opener};

/// Where a user-opened connection goes, or which address a server-opened one was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Address {
    /// To the peer of the control connection, whatever the reply says.
    ControlPeer,
    /// To the address in the 227.
    AsReplied,
    /// To us, at our local address (or the one that the user configured). A helper on the way may rewrite it.
    Own,
    /// To us, at a port of the router in front of us that it forwards on request.
    Mapped,
    /// To us, at the address that the server sees, with our local port: for a router that forwards that port, or keeps
    /// port numbers.
    Outside,
}

/// One way to a data connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    /// Who sends the first SYN.
    pub opener: Opener,
    /// The command that arranges it.
    pub offer: Offer,
    /// The address it goes to.
    pub address: Address,
}

const fn user(offer: Offer, address: Address) -> Path {
    Path {
        opener: Opener::User,
        offer,
        address,
    }
}

const fn server(offer: Offer, address: Address) -> Path {
    Path {
        opener: Opener::Server,
        offer,
        address,
    }
}

impl Path {
    /// EPSV, to the control peer.
    pub const EPSV: Self = user(Offer::Epsv, Address::ControlPeer);
    /// PASV, to the control peer: the same way through the network as [`Self::EPSV`], by another command.
    pub const PASV: Self = user(Offer::Pasv, Address::ControlPeer);
    /// PASV, to the address in the 227.
    pub const PASV_AS_REPLIED: Self = user(Offer::Pasv, Address::AsReplied);
    /// PORT with our own address.
    pub const PORT: Self = server(Offer::Port, Address::Own);
    /// EPRT with our own address.
    pub const EPRT: Self = server(Offer::Eprt, Address::Own);
    /// LPRT with our own address.
    pub const LPRT: Self = server(Offer::Lprt, Address::Own);
    /// PORT with a port that the router forwards to us.
    pub const PORT_MAPPED: Self = server(Offer::Port, Address::Mapped);
    /// EPRT with a port that the router forwards to us.
    pub const EPRT_MAPPED: Self = server(Offer::Eprt, Address::Mapped);
    /// PORT with the address that the server sees and our local port.
    pub const PORT_OUTSIDE: Self = server(Offer::Port, Address::Outside);

    /// Every path with the word by which it is remembered.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("epsv", Self::EPSV),
        ("pasv", Self::PASV),
        ("pasv-replied", Self::PASV_AS_REPLIED),
        ("port", Self::PORT),
        ("eprt", Self::EPRT),
        ("lprt", Self::LPRT),
        ("port-mapped", Self::PORT_MAPPED),
        ("eprt-mapped", Self::EPRT_MAPPED),
        ("port-external", Self::PORT_OUTSIDE),
    ];

    /// The word by which the path is remembered; empty for a combination that is never tried.
    pub fn word(self) -> &'static str {
        Self::WORDS
            .iter()
            .find(|(_, path)| *path == self)
            .map_or("", |(word, _)| word)
    }

    /// The path of a [`word`](Self::word).
    pub fn from_word(word: &str) -> Option<Self> {
        Self::WORDS
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, path)| *path)
    }

    /// The same way through the network? Command and reply differ, packets do not.
    pub(super) fn same_way(self, other: Self) -> bool {
        self.opener == other.opener && self.address == other.address
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.offer)?;
        f.write_str(match self.address {
            Address::ControlPeer | Address::Own => "",
            Address::AsReplied => " (address in the reply)",
            Address::Mapped => " (mapped port)",
            Address::Outside => " (outside address)",
        })
    }
}

/// One thing to try now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The way.
    pub path: Path,
    /// How long the data connection may take to come about, from the moment connect or accept begins.
    pub patience: Duration,
    /// This path carried data before in this session, or has just done so on the scout. If not, a user-opened
    /// connection is best established *before* the transfer command is sent: a failure then leaves nothing to abort.
    pub proven: bool,
    /// Our address as the server sees it, where a NAT is known to be in between.
    pub outside: Option<IpAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_a_word_of_its_own() {
        for (at, (word, path)) in Path::WORDS.iter().enumerate() {
            assert_eq!(path.word(), *word);
            assert_eq!(Path::from_word(word), Some(*path));
            assert_eq!(path.offer.opener(), path.opener, "{word}");
            let others = Path::WORDS.iter().skip(at + 1);
            assert!(others.clone().all(|(other, _)| other != word));
            assert!(others.clone().all(|(_, other)| other != path));
        }
        assert_eq!(Path::from_word("ccc"), None);
        assert_eq!(user(Offer::Epsv, Address::AsReplied).word(), "");
    }
}
