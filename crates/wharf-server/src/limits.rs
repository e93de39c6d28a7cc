//! How many sessions there may be: in total, per client address, per user; and how many logins are checked at once.
//!
//! The only state that sessions share. It is a handful of counters behind plain locks that are
//! never held across an `await`; everything else belongs to one session.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wharf_net::seats::{Full, Seat, Seats};

/// Logins of one address that are checked at the same time; further ones wait for their turn, so that
/// one address that guesses passwords does not take the hash pool from all others
const LOGINS_AT_ONCE: usize = 4;

/// The counters of all sessions of one server
#[derive(Debug, Default)]
pub(crate) struct Limits {
    seats: Arc<Seats<Logins>>,
    users: Mutex<HashMap<String, usize>>,
}

/// The logins of one address
#[derive(Debug, Clone)]
pub(crate) struct Logins(Arc<Semaphore>);

impl Default for Logins {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LOGINS_AT_ONCE)))
    }
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
        &self,
        address: IpAddr,
        sessions: usize,
        per_address: usize,
    ) -> Result<Seat<Logins>, Full> {
        self.seats.admit(address, sessions, per_address)
    }

    /// Counts a session of `user` in; `None` when the user has `maximum` sessions already
    pub(crate) fn admit_user(self: &Arc<Self>, user: &str, maximum: usize) -> Option<UserSeat> {
        let mut users = self.users();
        if users.get(user).copied().unwrap_or(0) >= maximum {
            return None;
        }
        *users.entry(user.to_owned()).or_default() += 1;
        Some(UserSeat {
            limits: Arc::clone(self),
            user: user.to_owned(),
        })
    }

    /// Waits until a login from `address` may be checked; it may for as long as the permit lives
    pub(crate) async fn login_turn(&self, address: IpAddr) -> Option<OwnedSemaphorePermit> {
        let Logins(turns) = self.seats.kept(address)?;
        turns.acquire_owned().await.ok()
    }

    /// Sessions now
    pub(crate) fn sessions(&self) -> usize {
        self.seats.sessions()
    }

    fn users(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        // Counters are never left half-changed, so a poisoned lock is still good.
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UserSeat {
    fn drop(&mut self) {
        let mut users = self.limits.users();
        if let Some(count) = users.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                users.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
