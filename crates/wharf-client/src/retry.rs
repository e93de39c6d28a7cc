//! When a transfer that failed is tried again: pure, with everything about time as an argument.
//!
//! Only what may succeed without anything being changed is repeated ([`Error::is_transient`]), and of that not what a
//! repetition makes worse or no better: a full disk, a refused login, and what broke in the same place twice although
//! the server called it complete. Whoever gets further begins to count anew, so a long file over a bad line arrives.

use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// How often and how soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Repetitions without getting further; `None`: for ever. Default 5.
    pub most: Option<u32>,
    /// The wait before the first one; it doubles with each. Default 1 s.
    pub delay: Duration,
    /// The longest wait. Default 60 s.
    pub longest: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            most: Some(5),
            delay: Duration::from_secs(1),
            longest: Duration::from_mins(1),
        }
    }
}

impl RetryPolicy {
    /// Nothing is repeated.
    pub const NEVER: Self = Self {
        most: Some(0),
        delay: Duration::ZERO,
        longest: Duration::ZERO,
    };
}

/// What a failure allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Doing the same again leads nowhere.
    Never,
    /// Once more, unless it gets further: the server said that all was well, and may mean it.
    Once,
    /// As often as the policy says.
    Often,
}

impl Repeat {
    /// What this failure allows.
    pub fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::RemoteStorage
            | ErrorKind::Local
            | ErrorKind::Changed
            | ErrorKind::Login
            | ErrorKind::Mismatch
            // The search has tried everything, several times, and has cost seconds.
            | ErrorKind::DataConnection => Self::Never,
            ErrorKind::Truncated if error.reply().is_some_and(|it| it.code() / 100 == 2) => {
                Self::Once
            }
            _ if error.is_transient() => Self::Often,
            _ => Self::Never,
        }
    }
}

/// The attempts at one job.
#[derive(Clone, Debug)]
pub struct RetryPlan {
    policy: RetryPolicy,
    /// Failures since it got further for the last time.
    failures: u32,
    /// The furthest that it came.
    reached: u64,
}

impl RetryPlan {
    /// Before the first attempt.
    pub fn new(policy: RetryPolicy) -> Self {
        Self {
            policy,
            failures: 0,
            reached: 0,
        }
    }

    /// An attempt failed after so many bytes of the job were there; `left`: how much time there is for the whole job.
    /// `Some`: wait so long, and try again. `None`: that was it.
    pub fn after(
        &mut self,
        repeat: Repeat,
        reached: u64,
        left: Option<Duration>,
    ) -> Option<Duration> {
        if reached > self.reached {
            self.reached = reached;
            self.failures = 0;
        }
        let most = match repeat {
            Repeat::Never => return None,
            Repeat::Once => Some(self.policy.most.unwrap_or(1).min(1)),
            Repeat::Often => self.policy.most,
        };
        if most.is_some_and(|most| self.failures >= most) {
            return None;
        }
        let doubled = self.policy.delay.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let wait = doubled.min(self.policy.longest.max(self.policy.delay));
        left.is_none_or(|left| wait < left).then_some(wait)
    }

    /// The number of the next attempt, for people: 2 is the first repetition since it got further.
    pub fn attempt(&self) -> u32 {
        self.failures.saturating_add(1)
    }

    /// Repetitions without getting further that there may be.
    pub fn most(&self) -> Option<u32> {
        self.policy.most
    }
}

#[cfg(test)]
mod tests {
    use wharf_proto::Reply;

    use super::*;
    use crate::error::Access;

    fn seconds(waits: &[Option<Duration>]) -> Vec<Option<u64>> {
        waits.iter().map(|it| it.map(|it| it.as_secs())).collect()
    }

    #[test]
    fn waits_double_and_end() {
        let mut plan = RetryPlan::new(RetryPolicy::default());
        let waits: Vec<_> = (0..6).map(|_| plan.after(Repeat::Often, 0, None)).collect();
        assert_eq!(
            seconds(&waits),
            [Some(1), Some(2), Some(4), Some(8), Some(16), None]
        );
        let mut plan = RetryPlan::new(RetryPolicy {
            most: None,
            ..RetryPolicy::default()
        });
        let last = (0..100).map(|_| plan.after(Repeat::Often, 0, None)).last();
        assert_eq!(last, Some(Some(Duration::from_mins(1))));
    }

    #[test]
    fn whoever_gets_further_begins_to_count_anew() {
        let mut plan = RetryPlan::new(RetryPolicy::default());
        for reached in 1..100 {
            assert_eq!(
                plan.after(Repeat::Often, reached, None),
                Some(Duration::from_secs(1))
            );
        }
        // Less than before is not further.
        let waits: Vec<_> = (0..5)
            .map(|_| plan.after(Repeat::Often, 50, None))
            .collect();
        assert_eq!(seconds(&waits), [Some(2), Some(4), Some(8), Some(16), None]);
    }

    #[test]
    fn what_the_server_calls_complete_is_tried_once_more() {
        let mut plan = RetryPlan::new(RetryPolicy::default());
        assert!(plan.after(Repeat::Once, 1000, None).is_some());
        assert!(plan.after(Repeat::Once, 1000, None).is_none());
        let mut plan = RetryPlan::new(RetryPolicy::NEVER);
        assert!(plan.after(Repeat::Once, 1000, None).is_none());
    }

    #[test]
    fn no_wait_is_longer_than_the_time_that_is_left() {
        let mut plan = RetryPlan::new(RetryPolicy::default());
        assert!(
            plan.after(Repeat::Often, 0, Some(Duration::from_secs(5)))
                .is_some()
        );
        assert!(
            plan.after(Repeat::Often, 0, Some(Duration::from_secs(2)))
                .is_none()
        );
    }

    #[test]
    fn which_failures_are_repeated() {
        let told = |access, code, text: &str| Error::refused(access, "x", Reply::new(code, text));
        let of = |kind| Error::new(kind, "x");
        for (error, expected) in [
            (of(ErrorKind::Stalled), Repeat::Often),
            (of(ErrorKind::Closed), Repeat::Often),
            (of(ErrorKind::Connect), Repeat::Often),
            (of(ErrorKind::Truncated), Repeat::Often),
            (told(Access::Reads, 426, "aborted"), Repeat::Often),
            (told(Access::Reads, 421, "later"), Repeat::Often),
            (told(Access::Reads, 451, "try again"), Repeat::Often),
            (
                of(ErrorKind::Truncated).with_reply(Reply::new(226, "done")),
                Repeat::Once,
            ),
            (told(Access::Reads, 425, "cannot open"), Repeat::Never),
            (told(Access::Reads, 550, "no such file"), Repeat::Never),
            (told(Access::Writes, 452, "no space"), Repeat::Never),
            (told(Access::Writes, 552, "quota"), Repeat::Never),
            (told(Access::Login, 530, "no"), Repeat::Never),
            (of(ErrorKind::Local), Repeat::Never),
            (of(ErrorKind::Changed), Repeat::Never),
            (of(ErrorKind::Mismatch), Repeat::Never),
            (of(ErrorKind::Tls), Repeat::Never),
        ] {
            assert_eq!(Repeat::of(&error), expected, "{error}");
        }
    }
}
