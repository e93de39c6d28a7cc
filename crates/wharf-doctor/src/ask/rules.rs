//! Where the listening wharf connects to for somebody who has the token, and what it tells. Pure.
//!
//! It must not become a scanner of other people's ports. So it connects to the address from which it is asked; to another
//! address only if that is public, only to a few of its ports, and it says nothing of them but "matched" until one of
//! them has proved to be the asker's.

use std::net::{IpAddr, SocketAddr};

use wharf_proto::data_connection::advertise::is_public;

use super::line::Saw;

/// Knocks in one conversation.
pub const MOST_KNOCKS: usize = 160;
/// Addresses other than the one from which it is asked.
const MOST_OTHERS: usize = 2;
/// Ports of such an address that are tried before one has matched.
const MOST_UNPROVEN: usize = 4;
/// Awaited calls in one conversation.
const MOST_CALLS: usize = 8;

/// A conversation with somebody who has proved to have the token.
#[derive(Clone, Debug)]
pub struct Visit {
    peer: IpAddr,
    knocks: usize,
    calls: usize,
    others: Vec<Other>,
}

#[derive(Clone, Debug)]
struct Other {
    address: IpAddr,
    proven: bool,
    tried: usize,
}

/// Why nobody is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Too many knocks: the conversation ends.
    TooMany,
    /// Nothing proves that the address is the asker's.
    Unproven,
}

impl Visit {
    /// From here it is asked.
    pub fn new(peer: IpAddr) -> Self {
        Self {
            peer: peer.to_canonical(),
            knocks: 0,
            calls: 0,
            others: Vec::new(),
        }
    }

    /// Whether to connect there.
    ///
    /// # Errors
    /// The reason not to.
    pub fn knock(&mut self, to: SocketAddr) -> Result<(), Refusal> {
        self.knocks += 1;
        if self.knocks > MOST_KNOCKS {
            return Err(Refusal::TooMany);
        }
        let address = to.ip().to_canonical();
        if to.port() == 0 {
            return Err(Refusal::Unproven);
        }
        if address == self.peer {
            return Ok(());
        }
        if !is_public(address) || address.is_ipv4() != self.peer.is_ipv4() {
            return Err(Refusal::Unproven);
        }
        let known = self.others.iter().position(|it| it.address == address);
        let other = match known {
            Some(at) => self.others.get_mut(at),
            None if self.others.len() < MOST_OTHERS => {
                self.others.push(Other {
                    address,
                    proven: false,
                    tried: 0,
                });
                self.others.last_mut()
            }
            None => None,
        };
        match other {
            Some(other) if other.proven => Ok(()),
            Some(other) if other.tried < MOST_UNPROVEN => {
                other.tried += 1;
                Ok(())
            }
            _ => Err(Refusal::Unproven),
        }
    }

    /// What may be told of what was seen there.
    pub fn tell(&mut self, to: SocketAddr, saw: Saw) -> Saw {
        let address = to.ip().to_canonical();
        if address == self.peer {
            return saw;
        }
        let other = self.others.iter_mut().find(|it| it.address == address);
        match other {
            Some(other) if saw == Saw::Matched => {
                other.proven = true;
                saw
            }
            Some(other) if other.proven => saw,
            _ => Saw::Unproven,
        }
    }

    /// Whether one more call may be awaited.
    pub fn call(&mut self) -> bool {
        self.calls += 1;
        self.calls <= MOST_CALLS
    }

    /// How often it was knocked.
    pub fn knocks(&self) -> usize {
        self.knocks.min(MOST_KNOCKS)
    }
}

/// Ports of a range that are tried: all of a small one, of a larger one `most` spread evenly, both ends among them.
pub fn sample(lo: u16, hi: u16, most: u16) -> Vec<u16> {
    let (lo, hi) = (u32::from(lo.min(hi)), u32::from(lo.max(hi)));
    let most = u32::from(most.max(2));
    let steps = (hi - lo).min(most - 1);
    let mut ports: Vec<u16> = (0..=steps)
        .map(|step| lo + (hi - lo) * step / steps.max(1))
        .filter_map(|port| u16::try_from(port).ok())
        .collect();
    ports.dedup();
    ports
}
