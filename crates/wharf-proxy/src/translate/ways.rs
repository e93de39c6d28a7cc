//! Which ways to the server's data connection are tried, in which order, and what a session learns about them.

use std::fmt;
use std::str::FromStr;

use wharf_proto::data_connection::Offer;

/// How the data connections of the server's side are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum UpstreamMode {
    /// Passive first, then active; what worked comes first the next time.
    #[default]
    Auto,
    /// In the data mode that the client uses, and with its command where the server knows it.
    Client,
    /// EPSV, then PASV.
    Passive,
    /// EPRT, then PORT.
    Active,
    /// EPSV only.
    Epsv,
    /// PASV only.
    Pasv,
    /// EPRT only.
    Eprt,
    /// PORT only.
    Port,
}

impl UpstreamMode {
    /// Every mode with its word.
    pub const ALL: [(&'static str, Self); 8] = [
        ("auto", Self::Auto),
        ("client", Self::Client),
        ("passive", Self::Passive),
        ("active", Self::Active),
        ("epsv", Self::Epsv),
        ("pasv", Self::Pasv),
        ("eprt", Self::Eprt),
        ("port", Self::Port),
    ];

    fn order(self, client: Offer) -> &'static [Offer] {
        use Offer::{Eprt, Epsv, Lprt, Pasv, Port};
        match (self, client) {
            (Self::Auto, _) => &[Epsv, Pasv, Eprt, Port],
            (Self::Passive, _) | (Self::Client, Epsv) => &[Epsv, Pasv],
            (Self::Client, Pasv) => &[Pasv, Epsv],
            (Self::Active, _) | (Self::Client, Eprt | Lprt) => &[Eprt, Port],
            (Self::Client, Port) => &[Port, Eprt],
            (Self::Epsv, _) => &[Epsv],
            (Self::Pasv, _) => &[Pasv],
            (Self::Eprt, _) => &[Eprt],
            (Self::Port, _) => &[Port],
        }
    }
}

impl fmt::Display for UpstreamMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(_, mode)| mode == self);
        f.write_str(named.map_or("auto", |(word, _)| word))
    }
}

impl FromStr for UpstreamMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.iter().find(|(word, _)| *word == text);
        named.map(|(_, mode)| *mode).ok_or_else(|| {
            let words: Vec<&str> = Self::ALL.iter().map(|(word, _)| *word).collect();
            format!("one of {}", words.join(", "))
        })
    }
}

/// The ways to the server's data connection of one session.
#[derive(Clone, Debug)]
pub struct ServerWays {
    mode: UpstreamMode,
    /// Whether the server's control connection is IPv4: PASV and PORT have no room for more.
    ipv4: bool,
    /// The command is not known or not allowed there: never tried again.
    refused: Vec<Offer>,
    /// The command was accepted and no data connection came about: tried last.
    failed: Vec<Offer>,
    worked: Option<Offer>,
}

impl ServerWays {
    /// `ipv4`: the family of the control connection to the server.
    pub fn new(mode: UpstreamMode, ipv4: bool) -> Self {
        Self {
            mode,
            ipv4,
            refused: Vec::new(),
            failed: Vec::new(),
            worked: None,
        }
    }

    /// What is tried for the next transfer of a client that arranged its side with `client`.
    pub(super) fn next(&self, client: Offer) -> Vec<Offer> {
        let mut ways: Vec<Offer> = self
            .mode
            .order(client)
            .iter()
            .copied()
            .filter(|offer| self.ipv4 || offer.speaks_ipv6())
            .filter(|offer| !self.refused.contains(offer))
            .collect();
        ways.sort_by_key(|offer| {
            // Only what is no matter of choice changes the order.
            let worked = self.mode == UpstreamMode::Auto && self.worked == Some(*offer);
            (!worked, self.failed.contains(offer))
        });
        ways
    }

    pub(super) fn refused(&mut self, offer: Offer) {
        self.refused.push(offer);
    }

    pub(super) fn failed(&mut self, offer: Offer) {
        if self.worked == Some(offer) {
            self.worked = None;
        }
        if !self.failed.contains(&offer) {
            self.failed.push(offer);
        }
    }

    pub(super) fn worked(&mut self, offer: Offer) {
        self.failed.retain(|failed| *failed != offer);
        self.worked = Some(offer);
    }
}
