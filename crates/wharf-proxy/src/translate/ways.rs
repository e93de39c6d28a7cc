//! Which ways to the server's data connection are tried, in which order, and what is learnt about them.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

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

/// What was learnt about the ways to one server's data connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learnt {
    /// The command is not known or not allowed there: not tried while there is another.
    refused: Vec<Offer>,
    /// The command was accepted and no data connection came about: tried last.
    failed: Vec<Offer>,
    worked: Option<Offer>,
}

/// The ways to the server's data connection of one session.
#[derive(Clone, Debug)]
pub struct ServerWays {
    mode: UpstreamMode,
    /// Whether the server's control connection is IPv4: PASV and PORT have no room for more.
    ipv4: bool,
    learnt: Learnt,
}

impl ServerWays {
    /// `ipv4`: the family of the control connection to the server. `learnt`: by earlier sessions.
    pub fn new(mode: UpstreamMode, ipv4: bool, learnt: Learnt) -> Self {
        Self { mode, ipv4, learnt }
    }

    /// For later sessions.
    pub fn learnt(&self) -> &Learnt {
        &self.learnt
    }

    /// What is tried for the next transfer of a client that arranged its side with `client`.
    pub(super) fn next(&self, client: Offer) -> Vec<Offer> {
        let Learnt {
            refused,
            failed,
            worked,
        } = &self.learnt;
        let possible = self
            .mode
            .order(client)
            .iter()
            .copied()
            .filter(|offer| self.ipv4 || offer.speaks_ipv6());
        let mut ways: Vec<Offer> = possible
            .clone()
            .filter(|offer| !refused.contains(offer))
            .collect();
        if ways.is_empty() {
            // Perhaps the server has changed its mind.
            ways = possible.collect();
        }
        ways.sort_by_key(|offer| {
            // Only what is no matter of choice changes the order.
            let first = self.mode == UpstreamMode::Auto && *worked == Some(*offer);
            (!first, failed.contains(offer))
        });
        ways
    }

    pub(super) fn refused(&mut self, offer: Offer) {
        if !self.learnt.refused.contains(&offer) {
            self.learnt.refused.push(offer);
        }
    }

    pub(super) fn failed(&mut self, offer: Offer) {
        if self.learnt.worked == Some(offer) {
            self.learnt.worked = None;
        }
        if !self.learnt.failed.contains(&offer) {
            self.learnt.failed.push(offer);
        }
    }

    pub(super) fn worked(&mut self, offer: Offer) {
        self.learnt.failed.retain(|failed| *failed != offer);
        self.learnt.refused.retain(|refused| *refused != offer);
        self.learnt.worked = Some(offer);
    }
}

/// What was learnt about servers, for sessions to come: clients like curl begin one for every file.
#[derive(Debug, Default)]
pub struct ServerMemory {
    servers: HashMap<IpAddr, (Duration, Learnt)>,
}

impl ServerMemory {
    /// Networks change; what was learnt is believed for so long.
    const AGE: Duration = Duration::from_hours(1);

    /// So many servers are remembered; beyond it the oldest is forgotten.
    const SERVERS: usize = 4096;

    /// What is known about this server. `now`: time since any fixed moment.
    pub fn recall(&self, server: IpAddr, now: Duration) -> Learnt {
        match self.servers.get(&server) {
            Some((since, learnt)) if now.saturating_sub(*since) < Self::AGE => learnt.clone(),
            _ => Learnt::default(),
        }
    }

    /// A session has learnt this. What is known already keeps its age.
    pub fn learn(&mut self, server: IpAddr, now: Duration, learnt: &Learnt) {
        if self.recall(server, now) == *learnt {
            return;
        }
        if self.servers.len() >= Self::SERVERS && !self.servers.contains_key(&server) {
            let oldest = self.servers.iter().min_by_key(|(_, (since, _))| *since);
            if let Some(oldest) = oldest.map(|(server, _)| *server) {
                self.servers.remove(&oldest);
            }
        }
        self.servers.insert(server, (now, learnt.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learnt_is_believed_for_an_hour_and_memory_is_bounded() {
        let mut ways = ServerWays::new(UpstreamMode::Auto, true, Learnt::default());
        ways.failed(Offer::Epsv);
        ways.refused(Offer::Eprt);
        ways.worked(Offer::Port);
        assert_eq!(
            ways.next(Offer::Epsv),
            [Offer::Port, Offer::Pasv, Offer::Epsv]
        );
        let at = |n: u32| IpAddr::from(n.to_be_bytes());
        let mut memory = ServerMemory::default();
        let hour = Duration::from_hours(1);
        memory.learn(at(1), Duration::ZERO, ways.learnt());
        memory.learn(at(1), hour / 2, ways.learnt());
        assert_eq!(&memory.recall(at(1), hour / 2), ways.learnt());
        assert_eq!(memory.recall(at(1), hour), Learnt::default());
        for n in 2..6000 {
            memory.learn(at(n), Duration::from_secs(n.into()), ways.learnt());
        }
        assert_eq!(memory.servers.len(), ServerMemory::SERVERS);
        assert_eq!(memory.recall(at(1), Duration::ZERO), Learnt::default());
        assert_eq!(&memory.recall(at(5999), hour), ways.learnt());
    }

    #[test]
    fn where_everything_was_refused_everything_is_tried() {
        let mut ways = ServerWays::new(UpstreamMode::Passive, true, Learnt::default());
        ways.refused(Offer::Epsv);
        assert_eq!(ways.next(Offer::Port), [Offer::Pasv]);
        ways.refused(Offer::Pasv);
        assert_eq!(ways.next(Offer::Port), [Offer::Epsv, Offer::Pasv]);
    }
}
