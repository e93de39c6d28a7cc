//! How many connections there are descriptors for. A crowd that never logs in must neither be turned away early, since
//! each of it costs one descriptor only, nor take those that transfers need.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A control connection's own descriptor
const OF_A_CONNECTION: usize = 1;

/// What a login adds: a data connection and a file
const OF_A_LOGIN: usize = 2;

/// The descriptors that sessions may use
#[derive(Debug)]
pub(crate) struct Descriptors {
    all: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    descriptors: usize,
    /// Connections that have not logged in
    strangers: usize,
}

/// One session's share; dropping it gives it back
#[derive(Debug)]
pub(crate) struct Share {
    of: Arc<Descriptors>,
    logged_in: bool,
}

impl Descriptors {
    /// `all` is what is left when the server has its own
    pub(crate) fn new(all: usize) -> Self {
        Self {
            // One session is always possible, however it ends.
            all: all.max(OF_A_CONNECTION + OF_A_LOGIN),
            taken: Mutex::default(),
        }
    }

    /// Sessions that have room at the same time, all of them at work
    pub(crate) fn sessions(&self) -> usize {
        self.all / (OF_A_CONNECTION + OF_A_LOGIN)
    }

    /// Counts a connection in; `None` when there is none left, or strangers have three quarters of them: with the rest
    /// those who are let in can still log in
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Share> {
        let mut taken = self.taken();
        let strangers = (self.all - self.all / 4).saturating_sub(OF_A_LOGIN).max(1);
        let is_full = taken.descriptors + OF_A_CONNECTION > self.all;
        if is_full || taken.strangers >= strangers {
            return None;
        }
        taken.descriptors += OF_A_CONNECTION;
        taken.strangers += 1;
        Some(Share {
            of: Arc::clone(self),
            logged_in: false,
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Counters are never left half-changed, so a poisoned lock is still good.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Counts in what a login needs, once for all logins of the session; false when it is not there
    pub(crate) fn log_in(&mut self) -> bool {
        if !self.logged_in {
            let mut taken = self.of.taken();
            if taken.descriptors + OF_A_LOGIN > self.of.all {
                return false;
            }
            taken.descriptors += OF_A_LOGIN;
            taken.strangers = taken.strangers.saturating_sub(1);
            self.logged_in = true;
        }
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.of.taken();
        let mine = if self.logged_in {
            OF_A_CONNECTION + OF_A_LOGIN
        } else {
            taken.strangers = taken.strangers.saturating_sub(1);
            OF_A_CONNECTION
        };
        taken.descriptors = taken.descriptors.saturating_sub(mine);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_cost_one_each_and_leave_room_for_logins() {
        let all = Arc::new(Descriptors::new(40));
        let mut strangers: Vec<Share> = std::iter::from_fn(|| all.admit()).collect();
        assert_eq!(strangers.len(), 28);
        // Twelve descriptors are left, for six logins.
        let logged_in = strangers
            .iter_mut()
            .map(Share::log_in)
            .filter(|it| *it)
            .count();
        assert_eq!(logged_in, 6);
        assert!(all.admit().is_none(), "none is left");
        drop(strangers);
        assert_eq!(all.taken().descriptors, 0);
        assert_eq!(all.taken().strangers, 0);
    }

    #[test]
    fn a_second_login_of_a_session_costs_nothing() {
        let all = Arc::new(Descriptors::new(3));
        let mut share = all.admit().expect("room");
        assert!(share.log_in());
        assert!(share.log_in());
        assert!(all.admit().is_none());
        drop(share);
        assert!(all.admit().is_some());
    }

    #[test]
    fn one_session_is_always_possible() {
        let all = Arc::new(Descriptors::new(0));
        assert!(all.admit().expect("room").log_in());
        assert_eq!(Descriptors::new(usize::MAX).sessions(), usize::MAX / 3);
    }
}
