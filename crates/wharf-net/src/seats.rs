//! How many control connections there may be at once, in total and per client address: counters behind a plain lock that
//! is never held across an `await`.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The counters of one server or proxy. Beside them something may be kept for each address (`K`) for as long as a session
/// of it lives.
#[derive(Debug, Default)]
pub struct Seats<K = ()> {
    taken: Mutex<Taken<K>>,
}

#[derive(Debug, Default)]
struct Taken<K> {
    sessions: usize,
    addresses: HashMap<IpAddr, OfAddress<K>>,
}

#[derive(Debug, Default)]
struct OfAddress<K> {
    sessions: usize,
    kept: K,
}

/// Why a session was not let in. Its text is that of the 421.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// As many sessions as there may be.
    All,
    /// This client address has as many as it may.
    Address,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "Too many sessions, try again later",
            Self::Address => "Too many sessions from your address",
        })
    }
}

/// One session's place in the counters; dropping it gives the place back.
#[derive(Debug)]
pub struct Seat<K = ()> {
    seats: Arc<Seats<K>>,
    address: IpAddr,
}

impl<K: Default + Clone> Seats<K> {
    /// Counts a new session of `address` in, unless one of the two maxima is reached.
    ///
    /// # Errors
    /// [`Full`]: which of them.
    pub fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        sessions: usize,
        per_address: usize,
    ) -> Result<Seat<K>, Full> {
        let address = counted(address);
        let mut taken = self.taken();
        if taken.sessions >= sessions {
            return Err(Full::All);
        }
        if taken.addresses.get(&address).map_or(0, |of| of.sessions) >= per_address {
            return Err(Full::Address);
        }
        taken.sessions += 1;
        taken.addresses.entry(address).or_default().sessions += 1;
        Ok(Seat {
            seats: Arc::clone(self),
            address,
        })
    }

    /// What is kept for an address that has a session.
    pub fn kept(&self, address: IpAddr) -> Option<K> {
        let taken = self.taken();
        let of = taken.addresses.get(&counted(address))?;
        Some(of.kept.clone())
    }
}

impl<K> Seats<K> {
    /// Sessions now.
    pub fn sessions(&self) -> usize {
        self.taken().sessions
    }

    fn taken(&self) -> MutexGuard<'_, Taken<K>> {
        // Counters are never left half-changed, so a poisoned lock is still good.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Drop for Seat<K> {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.sessions = taken.sessions.saturating_sub(1);
        if let Some(of) = taken.addresses.get_mut(&self.address) {
            of.sessions = of.sessions.saturating_sub(1);
            if of.sessions == 0 {
                taken.addresses.remove(&self.address);
            }
        }
    }
}

/// An IPv6 subscriber owns a /64 at least (RFC 6177 §2), so its addresses are counted as one.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_seat_is_given_back_when_the_session_ends() {
        let seats = Arc::new(Seats::<()>::default());
        let seat = seats.admit(ip("192.0.2.1"), 1, 1).unwrap();
        assert_eq!(seats.admit(ip("192.0.2.2"), 1, 1).err(), Some(Full::All));
        drop(seat);
        assert_eq!(seats.sessions(), 0);
        assert!(seats.admit(ip("192.0.2.2"), 1, 1).is_ok());
    }

    #[test]
    fn one_address_cannot_take_every_seat() {
        let seats = Arc::new(Seats::<()>::default());
        let _a = seats.admit(ip("192.0.2.1"), 9, 2).unwrap();
        let _b = seats.admit(ip("::ffff:192.0.2.1"), 9, 2).unwrap();
        assert_eq!(
            seats.admit(ip("192.0.2.1"), 9, 2).err(),
            Some(Full::Address)
        );
        assert!(seats.admit(ip("192.0.2.2"), 9, 2).is_ok());
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_count_together() {
        let seats = Arc::new(Seats::<()>::default());
        let _a = seats.admit(ip("2001:db8::1"), 9, 1).unwrap();
        assert_eq!(
            seats.admit(ip("2001:db8::2"), 9, 1).err(),
            Some(Full::Address)
        );
        assert!(seats.admit(ip("2001:db8:0:1::1"), 9, 1).is_ok());
    }

    #[test]
    fn what_is_kept_for_an_address_goes_with_its_last_session() {
        let seats = Arc::new(Seats::<Arc<()>>::default());
        let one = seats.admit(ip("192.0.2.1"), 9, 9).unwrap();
        let two = seats.admit(ip("192.0.2.1"), 9, 9).unwrap();
        let kept = seats.kept(ip("192.0.2.1")).unwrap();
        drop(one);
        assert!(Arc::ptr_eq(&kept, &seats.kept(ip("192.0.2.1")).unwrap()));
        drop(two);
        assert!(seats.kept(ip("192.0.2.1")).is_none());
    }
}
