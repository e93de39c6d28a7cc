//! How many sessions there may be: in total, per client address, per user.
//!
//! The only state that sessions share. It is a handful of counters behind a plain lock that is
//! never held across an `await`; everything else belongs to one session.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The counters of all sessions of one server
#[derive(Debug, Default)]
pub(crate) struct Limits {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    sessions: usize,
    addresses: HashMap<IpAddr, usize>,
    users: HashMap<String, usize>,
}

/// Why a session was not let in
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The server serves as many sessions as it may
    Server,
    /// This client address has as many sessions as it may
    Address,
}

/// One session's place in the counters; dropping it gives the place back
#[derive(Debug)]
pub(crate) struct Seat {
    limits: Arc<Limits>,
    address: IpAddr,
}

/// One session's place among the sessions of its user; dropping it gives the place back
#[derive(Debug)]
pub(crate) struct UserSeat {
    limits: Arc<Limits>,
    user: String,
}

impl Limits {
    /// Counts a new session of `address` in, unless a maximum is reached
    pub(crate) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        sessions: usize,
        per_address: usize,
    ) -> Result<Seat, Full> {
        let address = counted_address(address);
        let mut counts = self.counts();
        if counts.sessions >= sessions {
            return Err(Full::Server);
        }
        if counts.addresses.get(&address).copied().unwrap_or(0) >= per_address {
            return Err(Full::Address);
        }
        counts.sessions += 1;
        *counts.addresses.entry(address).or_default() += 1;
        Ok(Seat {
            limits: Arc::clone(self),
            address,
        })
    }

    /// Counts a session of `user` in; `None` when the user has `maximum` sessions already
    pub(crate) fn admit_user(self: &Arc<Self>, user: &str, maximum: usize) -> Option<UserSeat> {
        let mut counts = self.counts();
        let count = counts.users.entry(user.to_owned()).or_default();
        if *count >= maximum {
            return None;
        }
        *count += 1;
        Some(UserSeat {
            limits: Arc::clone(self),
            user: user.to_owned(),
        })
    }

    /// Sessions now
    pub(crate) fn sessions(&self) -> usize {
        self.counts().sessions
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Counters are never left half-changed, so a poisoned lock is still good.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.limits.counts();
        counts.sessions = counts.sessions.saturating_sub(1);
        release(&mut counts.addresses, &self.address);
    }
}

impl Drop for UserSeat {
    fn drop(&mut self) {
        release(&mut self.limits.counts().users, &self.user);
    }
}

fn release<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// An IPv6 subscriber owns a /64 at least (RFC 6177 §2), so its addresses are counted as one
fn counted_address(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_seat_is_given_back_when_the_session_ends() {
        let limits = Arc::new(Limits::default());
        let seat = limits.admit(ip("192.0.2.1"), 1, 1).expect("first");
        assert_eq!(
            limits.admit(ip("192.0.2.2"), 1, 1).err(),
            Some(Full::Server)
        );
        drop(seat);
        assert_eq!(limits.sessions(), 0);
        assert!(limits.admit(ip("192.0.2.2"), 1, 1).is_ok());
    }

    #[test]
    fn one_address_cannot_take_every_seat() {
        let limits = Arc::new(Limits::default());
        let _a = limits.admit(ip("192.0.2.1"), 9, 2).expect("first");
        let _b = limits.admit(ip("192.0.2.1"), 9, 2).expect("second");
        assert_eq!(
            limits.admit(ip("192.0.2.1"), 9, 2).err(),
            Some(Full::Address)
        );
        assert!(limits.admit(ip("192.0.2.2"), 9, 2).is_ok());
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_count_together() {
        let limits = Arc::new(Limits::default());
        let _a = limits.admit(ip("2001:db8::1"), 9, 1).expect("first");
        assert_eq!(
            limits.admit(ip("2001:db8::2"), 9, 1).err(),
            Some(Full::Address)
        );
        assert!(limits.admit(ip("2001:db8:0:1::1"), 9, 1).is_ok());
    }

    #[test]
    fn a_user_has_a_number_of_sessions() {
        let limits = Arc::new(Limits::default());
        let seat = limits.admit_user("ann", 1).expect("first");
        assert!(limits.admit_user("ann", 1).is_none());
        assert!(limits.admit_user("bob", 1).is_some());
        drop(seat);
        assert!(limits.admit_user("ann", 1).is_some());
    }
}
