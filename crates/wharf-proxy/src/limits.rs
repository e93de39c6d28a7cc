//! How many sessions there may be, in total and per client address: counters behind a plain lock that is never held
//! across an `await`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The counters of one proxy.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    sessions: usize,
    addresses: HashMap<IpAddr, usize>,
}

/// One session's place; dropping it gives the place back.
#[derive(Debug)]
pub(crate) struct Seat {
    limits: Arc<Limits>,
    address: IpAddr,
}

impl Limits {
    /// Counts a session in, or says why not (the text of the 421).
    pub(crate) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        sessions: usize,
        per_address: usize,
    ) -> Result<Seat, &'static str> {
        let address = counted(address);
        let mut counts = self.counts();
        if counts.sessions >= sessions {
            return Err("Too many sessions, try again later");
        }
        let already = counts.addresses.get(&address).copied().unwrap_or(0);
        if already >= per_address {
            return Err("Too many sessions from your address");
        }
        counts.sessions += 1;
        counts.addresses.insert(address, already + 1);
        Ok(Seat {
            limits: Arc::clone(self),
            address,
        })
    }

    /// Sessions now.
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
            *of = of.saturating_sub(1);
            if *of == 0 {
                counts.addresses.remove(&self.address);
            }
        }
    }
}

/// One customer has a /64 of IPv6 to choose from.
fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_and_given_back() {
        let limits = Arc::new(Limits::default());
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let one = limits.admit(at("2001:db8::1"), 3, 2).unwrap();
        let _two = limits.admit(at("2001:db8::2"), 3, 2).unwrap();
        assert!(limits.admit(at("2001:db8::3"), 3, 2).is_err(), "one /64");
        let _three = limits.admit(at("192.0.2.1"), 3, 2).unwrap();
        assert!(limits.admit(at("192.0.2.2"), 3, 2).is_err());
        drop(one);
        assert_eq!(limits.sessions(), 2);
        assert!(limits.admit(at("2001:db8::3"), 3, 2).is_ok());
    }
}
