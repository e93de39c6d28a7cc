//! How many sessions there may be: in total, per client address, per user.
//!
//! The only state that sessions share. It is a handful of counters behind a plain lock that is
//! never held across an `await`; everything else belongs to one session.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Logins of one address that are checked at the same time; further ones wait for their turn, so that
/// one address that guesses passwords does not take the hash pool from all others
const LOGINS_AT_ONCE: usize = 4;

/// The counters of all sessions of one server
#[derive(Debug, Default)]
pub(crate) struct Limits {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    sessions: usize,
    addresses: HashMap<IpAddr, OfAddress>,
    users: HashMap<String, usize>,
}

/// What is counted for one address
#[derive(Debug)]
struct OfAddress {
    sessions: usize,
    logins: Arc<Semaphore>,
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
        let already = counts.addresses.get(&address);
        if already.map_or(0, |of| of.sessions) >= per_address {
            return Err(Full::Address);
        }
        counts.sessions += 1;
        let of = counts
            .addresses
            .entry(address)
            .or_insert_with(|| OfAddress {
                sessions: 0,
                logins: Arc::new(Semaphore::new(LOGINS_AT_ONCE)),
            });
        of.sessions += 1;
        Ok(Seat {
            limits: Arc::clone(self),
            address,
        })
    }

    /// Counts a session of `user` in; `None` when the user has `maximum` sessions already
    pub(crate) fn admit_user(self: &Arc<Self>, user: &str, maximum: usize) -> Option<UserSeat> {
        let mut counts = self.counts();
        if counts.users.get(user).copied().unwrap_or(0) >= maximum {
            return None;
        }
        *counts.users.entry(user.to_owned()).or_default() += 1;
        Some(UserSeat {
            limits: Arc::clone(self),
            user: user.to_owned(),
        })
    }

    /// Waits until a login from `address` may be checked; it may for as long as the permit lives
    pub(crate) async fn login_turn(&self, address: IpAddr) -> Option<OwnedSemaphorePermit> {
        let turns = {
            let counts = self.counts();
            let of = counts.addresses.get(&counted_address(address))?;
            Arc::clone(&of.logins)
        };
        turns.acquire_owned().await.ok()
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
        if let Some(of) = counts.addresses.get_mut(&self.address) {
            of.sessions -= 1;
            if of.sessions == 0 {
                counts.addresses.remove(&self.address);
            }
        }
    }
}

impl Drop for UserSeat {
    fn drop(&mut self) {
        let users = &mut self.limits.counts().users;
        if let Some(count) = users.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                users.remove(&self.user);
            }
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
