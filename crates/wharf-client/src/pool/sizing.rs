//! How many sessions a server lets us have, and when the next one is asked for: rules without a clock and without a socket.
//!
//! The first session is asked for alone; from then on as many are asked for at once as there are (1, 2, 4...), so that a
//! server with a limit is not knocked at by everybody in the same moment. A refusal while others are open is the limit, and
//! nobody's failure. A refusal while none is open is waited out a few times, a wrong password never.

use std::time::Duration;

use tokio::time::Instant;

/// How often in a row a login is repeated while no session is open, before a taker is told.
const RETRIES: u32 = 5;

/// The pause before the first repetition; doubled for each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between two logins.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// So long a server may go on counting a session that has ended.
const LINGERS: Duration = Duration::from_secs(30);

/// How often "too many" is put down to such a session, or a connection that breaks to chance.
const STRIKES: u32 = 4;

/// One more session is asked for so long after a limit was met; doubled each time that it is met again.
const PROBE_AFTER: Duration = Duration::from_mins(5);

/// The longest such time.
const PROBE_SELDOM: Duration = Duration::from_hours(1);

/// What a login that failed says about the number of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The server says so: 421, or 530 with such words.
    TooMany,
    /// USER or PASS was refused in other words.
    Login,
    /// The connection did not come about, or broke, or nothing was said in time.
    Cut,
    /// Nothing that time or number would change: certificates, names, protocol.
    Fatal,
}

/// What the taker whose turn it is does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Logs in; it has been counted.
    Dial,
    /// Waits until something changes, or at most until then.
    Wait(Option<Instant>),
}

/// What a taker whose login failed does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Waits for its turn again.
    Again,
    /// Tells its caller.
    Fail,
}

/// The books of one pool.
#[derive(Clone, Debug)]
pub(super) struct Sizing {
    most: usize,
    limit: usize,
    open: usize,
    dialing: usize,
    /// A session was open once: the server and the password are good.
    proven: bool,
    /// Logins that failed in a row while no session was open.
    failures: u32,
    /// The same while some were open, without a limit having been concluded.
    strikes: u32,
    not_before: Option<Instant>,
    /// When a session was last lost.
    lost_at: Option<Instant>,
    probe_at: Option<Instant>,
    probe_after: Duration,
    /// The limit has been lowered and nobody was told: whether the server said so itself.
    untold: Option<bool>,
}

impl Sizing {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            limit: most.max(1),
            open: 0,
            dialing: 0,
            proven: false,
            failures: 0,
            strikes: 0,
            not_before: None,
            lost_at: None,
            probe_at: None,
            probe_after: PROBE_AFTER,
            untold: None,
        }
    }

    /// How many sessions there may be, as far as is known.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// How many there are.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// What an earlier run was told. Returns whether it is less than was hoped for.
    pub(super) fn recalled(&mut self, limit: usize, now: Instant) -> bool {
        let limit = limit.max(self.open).max(1);
        let less = limit < self.limit;
        if less {
            self.limit = limit;
            self.probe_at = Some(now + self.probe_after);
        }
        less
    }

    /// Somebody wants a session and none is idle.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        let there = self.open + self.dialing;
        if there > 0 {
            let probe = self.dialing == 0 && self.probe_at.is_some_and(|at| at <= now);
            if there >= self.limit + usize::from(probe) {
                return Next::Wait(self.probe_at.filter(|at| *at > now));
            }
            if self.dialing >= self.open.max(1) {
                return Next::Wait(None);
            }
        }
        if let Some(at) = self.not_before.filter(|at| *at > now) {
            return Next::Wait(Some(at));
        }
        self.dialing += 1;
        Next::Dial
    }

    /// A login that nobody waits for any more.
    pub(super) fn given_up(&mut self) {
        self.dialing -= 1;
    }

    /// A login succeeded. Returns whether it was one more than the known limit.
    pub(super) fn opened(&mut self, now: Instant) -> bool {
        self.dialing -= 1;
        self.open += 1;
        self.proven = true;
        (self.failures, self.strikes, self.not_before) = (0, 0, None);
        let more = self.open > self.limit;
        if more {
            self.limit = self.open;
            self.probe_after = PROBE_AFTER;
            self.untold = None;
            // Where one more goes, perhaps two do.
            self.probe_at = (self.limit < self.most).then_some(now);
        }
        more
    }

    /// A session is gone: closed by this side or by the server.
    pub(super) fn lost(&mut self, now: Instant) {
        self.open -= 1;
        self.lost_at = Some(now);
    }

    /// A login failed.
    pub(super) fn failed(&mut self, trouble: Trouble, now: Instant) -> After {
        self.dialing -= 1;
        if trouble == Trouble::Fatal {
            return After::Fail;
        }
        if self.open + self.dialing == 0 {
            return self.failed_alone(trouble, now);
        }
        let lingers = self.lost_at.is_some_and(|at| now < at + LINGERS);
        let by_chance = match trouble {
            Trouble::TooMany => lingers,
            Trouble::Cut => true,
            Trouble::Login | Trouble::Fatal => false,
        };
        if by_chance && self.strikes < STRIKES {
            self.not_before = Some(now + pause(self.strikes));
            self.strikes += 1;
            return After::Again;
        }
        let there = self.open + self.dialing;
        if there < self.limit {
            self.limit = there;
            self.untold = Some(trouble == Trouble::TooMany && !lingers);
        }
        self.strikes = 0;
        self.probe_at = Some(now + self.probe_after);
        self.probe_after = (self.probe_after * 2).min(PROBE_SELDOM);
        After::Again
    }

    fn failed_alone(&mut self, trouble: Trouble, now: Instant) -> After {
        let may_pass = match trouble {
            Trouble::TooMany => true,
            // Before the first session a server that does not answer is a server that is not there.
            Trouble::Cut => self.proven,
            Trouble::Login | Trouble::Fatal => false,
        };
        if !may_pass || self.failures >= RETRIES {
            return After::Fail;
        }
        self.not_before = Some(now + pause(self.failures));
        self.failures += 1;
        After::Again
    }

    /// Once, when the limit was lowered and nobody is being asked: the limit, and whether the server said so itself.
    pub(super) fn news(&mut self) -> Option<(usize, bool)> {
        if self.dialing > 0 {
            return None;
        }
        self.untold.take().map(|said| (self.limit, said))
    }
}

/// 1, 2, 4... seconds.
fn pause(before: u32) -> Duration {
    (FIRST_PAUSE * 2u32.saturating_pow(before)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// Logs in until it has to wait; `allowed` sessions are let in.
    fn fill(sizing: &mut Sizing, allowed: usize, now: Instant) -> Vec<usize> {
        let mut rounds = Vec::new();
        loop {
            let mut round = 0;
            while sizing.next(now) == Next::Dial {
                round += 1;
            }
            if round == 0 {
                return rounds;
            }
            for _ in 0..round {
                if sizing.open < allowed {
                    sizing.opened(now);
                } else {
                    assert_eq!(sizing.failed(Trouble::TooMany, now), After::Again);
                }
            }
            rounds.push(round);
        }
    }

    #[test]
    fn logins_begin_slowly_and_end_at_the_servers_limit() {
        let now = Instant::now();
        for (most, allowed, rounds, limit) in [
            (8, 8, &[1, 1, 2, 4][..], 8),
            (8, 3, &[1, 1, 2], 3),
            (8, 1, &[1, 1], 1),
            (5, 9, &[1, 1, 2, 1], 5),
            (1, 9, &[1], 1),
        ] {
            let mut sizing = Sizing::new(most);
            assert_eq!(fill(&mut sizing, allowed, now), rounds, "{most} {allowed}");
            assert_eq!((sizing.open(), sizing.limit()), (limit, limit));
            let expected = (limit < most).then_some((limit, true));
            assert_eq!(sizing.news(), expected);
            assert_eq!(sizing.news(), None);
        }
    }

    #[test]
    fn one_more_is_asked_for_after_a_while_and_ever_more_seldom() {
        let mut now = Instant::now();
        let mut sizing = Sizing::new(8);
        fill(&mut sizing, 3, now);
        assert_eq!(sizing.news(), Some((3, true)));
        for wait in [300, 600, 1200, 2400, 3600, 3600] {
            now += seconds(wait - 1);
            let Next::Wait(Some(at)) = sizing.next(now) else {
                panic!("no time is named");
            };
            assert_eq!(at, now + seconds(1), "{wait}");
            now = at;
            assert_eq!(sizing.next(now), Next::Dial);
            assert_eq!(sizing.next(now), Next::Wait(None));
            sizing.failed(Trouble::TooMany, now);
            assert_eq!(sizing.news(), None, "nothing new");
        }
        now += seconds(3600);
        assert_eq!(sizing.next(now), Next::Dial);
        assert!(sizing.opened(now));
        assert_eq!(sizing.next(now), Next::Dial, "and the next at once");
        assert!(sizing.opened(now));
        assert_eq!(sizing.limit(), 5);
    }

    #[test]
    fn what_has_just_ended_may_still_be_counted_by_the_server() {
        let mut now = Instant::now();
        let mut sizing = Sizing::new(3);
        fill(&mut sizing, 3, now);
        sizing.lost(now);
        for pause in [1, 2, 4, 8] {
            assert_eq!(sizing.next(now), Next::Dial);
            assert_eq!(sizing.failed(Trouble::TooMany, now), After::Again);
            assert_eq!(sizing.next(now), Next::Wait(Some(now + seconds(pause))));
            now += seconds(pause);
        }
        assert_eq!((sizing.limit(), sizing.news()), (3, None));
        assert_eq!(sizing.next(now), Next::Dial);
        sizing.failed(Trouble::TooMany, now);
        // True enough, but not to be remembered.
        assert_eq!((sizing.limit(), sizing.news()), (2, Some((2, false))));
    }

    #[test]
    fn a_refusal_in_other_words_is_the_limit_when_the_password_was_good_before() {
        let now = Instant::now();
        let mut sizing = Sizing::new(4);
        assert_eq!(sizing.next(now), Next::Dial);
        assert_eq!(sizing.failed(Trouble::Login, now), After::Fail);
        assert_eq!(sizing.next(now), Next::Dial);
        sizing.opened(now);
        assert_eq!(sizing.next(now), Next::Dial);
        assert_eq!(sizing.failed(Trouble::Login, now), After::Again);
        assert_eq!(sizing.news(), Some((1, false)));
    }

    #[test]
    fn a_server_that_is_not_there_is_told_at_once_and_one_that_went_is_waited_for() {
        let mut now = Instant::now();
        let mut sizing = Sizing::new(4);
        sizing.next(now);
        assert_eq!(sizing.failed(Trouble::Cut, now), After::Fail);
        sizing.next(now);
        sizing.opened(now);
        sizing.lost(now);
        for pause in [1, 2, 4, 8, 16] {
            assert_eq!(sizing.next(now), Next::Dial);
            assert_eq!(sizing.failed(Trouble::Cut, now), After::Again);
            assert_eq!(sizing.next(now), Next::Wait(Some(now + seconds(pause))));
            now += seconds(pause);
        }
        for _ in 0..2 {
            // From here on every taker has one try, and none waits.
            assert_eq!(sizing.next(now), Next::Dial);
            assert_eq!(sizing.failed(Trouble::Cut, now), After::Fail);
        }
        assert_eq!(sizing.next(now), Next::Dial);
        sizing.opened(now);
        assert_eq!(sizing.open(), 1);
    }

    #[test]
    fn what_is_remembered_is_tried_first_and_not_believed_for_ever() {
        let now = Instant::now();
        let mut sizing = Sizing::new(8);
        sizing.next(now);
        sizing.opened(now);
        assert!(sizing.recalled(2, now));
        assert!(!sizing.recalled(2, now));
        assert_eq!(sizing.next(now), Next::Dial);
        sizing.opened(now);
        assert_eq!(sizing.next(now), Next::Wait(Some(now + PROBE_AFTER)));
        assert_eq!(sizing.next(now + PROBE_AFTER), Next::Dial);
        assert!(sizing.opened(now + PROBE_AFTER));
        assert!(!Sizing::new(2).recalled(9, now));
    }
}
