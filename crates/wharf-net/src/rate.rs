//! How fast data connections may be: a token bucket that several of them share and that can be changed while they run.
//!
//! The arithmetic ([`Bucket`]) knows no clock; [`RateLimit`] is the handle that a caller keeps, [`Throttle`] the end that a
//! data connection has. Deliberately absent: timetables and priorities. Nothing is taken for time that has passed unused
//! beyond an eighth of a second, so a connection that stood still does not catch up.

use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// The least rate that makes sense, bytes a second: below it transfers look like stalled ones.
pub const LEAST_RATE: u64 = 1024;

/// The bucket holds this part of a second.
const BURST_PART: u64 = 8;

/// Larger pieces are not waited for.
const PIECE: u64 = 16 * 1024;

/// Whoever waits looks this often whether the rate was changed.
const LOOK: Duration = Duration::from_millis(200);

/// Bytes a second for all data connections that were given a clone of it. Cheap to clone; clones share.
#[derive(Clone, Debug, Default)]
pub struct RateLimit(Arc<Mutex<Bucket>>);

impl RateLimit {
    /// `rate`: bytes a second, at least [`LEAST_RATE`]; `None`: as fast as it goes.
    pub fn new(rate: Option<NonZeroU64>) -> Self {
        let limit = Self::default();
        limit.set(rate);
        limit
    }

    /// Changes it for running connections, too, within a fifth of a second.
    pub fn set(&self, rate: Option<NonZeroU64>) {
        self.bucket().change(rate, Instant::now());
    }

    /// Bytes a second; `None`: not limited.
    pub fn rate(&self) -> Option<NonZeroU64> {
        self.bucket().rate
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        // Nothing in here panics, and a number would not be damaged by it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's share.
#[derive(Debug)]
pub(crate) struct Throttle {
    limit: RateLimit,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Throttle {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self { limit, sleep: None }
    }

    /// So many bytes may move now, at least one.
    pub(crate) fn poll_allowed(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        loop {
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            let asked = self.limit.bucket().allowed(Instant::now());
            match asked {
                Ok(bytes) => return Poll::Ready(usize::try_from(bytes).unwrap_or(usize::MAX)),
                Err(wait) => self.sleep = Some(Box::pin(tokio::time::sleep(wait.min(LOOK)))),
            }
        }
    }

    /// So many have moved.
    pub(crate) fn moved(&self, bytes: usize) {
        self.limit.bucket().spend(bytes as u64);
    }
}

/// The arithmetic.
#[derive(Debug, Default)]
struct Bucket {
    rate: Option<NonZeroU64>,
    /// Bytes; below zero after connections have taken more together than there was.
    credit: i64,
    /// Until when credit was given. `None`: not used yet.
    at: Option<Instant>,
}

impl Bucket {
    fn change(&mut self, rate: Option<NonZeroU64>, now: Instant) {
        self.fill(now);
        self.rate = rate;
        // What was saved at a higher rate, and what was owed at it, is forgotten.
        self.credit = self.credit.clamp(0, self.burst());
    }

    /// Bytes that may move now, or how long to wait for the next piece.
    fn allowed(&mut self, now: Instant) -> Result<u64, Duration> {
        let Some(rate) = self.rate else {
            return Ok(u64::MAX);
        };
        self.fill(now);
        let piece = i64::try_from((rate.get() / BURST_PART / 2).clamp(1, PIECE)).unwrap_or(1);
        if self.credit >= piece {
            return Ok(self.credit.unsigned_abs());
        }
        let missing = u128::from((piece - self.credit).unsigned_abs());
        let nanos = missing * 1_000_000_000 / u128::from(rate.get()) + 1;
        Err(Duration::from_nanos(
            u64::try_from(nanos).unwrap_or(u64::MAX),
        ))
    }

    fn spend(&mut self, bytes: u64) {
        if self.rate.is_some() {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            self.credit = self.credit.saturating_sub(bytes);
        }
    }

    fn burst(&self) -> i64 {
        let rate = self.rate.map_or(0, NonZeroU64::get);
        i64::try_from((rate / BURST_PART).max(1)).unwrap_or(i64::MAX)
    }

    fn fill(&mut self, now: Instant) {
        let since = self.at.map(|at| now.saturating_duration_since(at));
        let (Some(rate), Some(since)) = (self.rate, since) else {
            self.at = Some(now);
            return;
        };
        let earned = since.as_nanos() * u128::from(rate.get()) / 1_000_000_000;
        let Ok(earned) = i64::try_from(earned) else {
            (self.credit, self.at) = (self.burst(), Some(now));
            return;
        };
        // Fractions of a byte wait for the next time, else many looks would earn nothing.
        if earned > 0 {
            self.credit = self.credit.saturating_add(earned).min(self.burst());
            self.at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(bytes: u64) -> Option<NonZeroU64> {
        NonZeroU64::new(bytes)
    }

    /// What a greedy connection moves within `time`, in virtual time.
    fn moved_in(bucket: &mut Bucket, began: Instant, time: Duration) -> u64 {
        let (mut now, mut moved) = (began, 0);
        while now.duration_since(began) < time {
            match bucket.allowed(now) {
                Ok(bytes) => {
                    bucket.spend(bytes);
                    moved += bytes;
                }
                Err(wait) => now += wait,
            }
        }
        moved
    }

    #[test]
    fn the_rate_is_kept_over_any_time() {
        for bytes in [1024, 10_000, 1 << 20, 3_000_000_000] {
            let mut bucket = Bucket::default();
            let began = Instant::now();
            bucket.change(rate(bytes), began);
            let moved = moved_in(&mut bucket, began, Duration::from_secs(10));
            let wanted = bytes * 10;
            assert!(
                moved.abs_diff(wanted) <= wanted / 50,
                "{bytes}: {moved} of {wanted}"
            );
        }
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let mut bucket = Bucket::default();
        let began = Instant::now();
        bucket.change(rate(8000), began);
        assert!(bucket.allowed(began).is_err());
        let late = began + Duration::from_hours(1);
        assert_eq!(bucket.allowed(late), Ok(1000), "an eighth of a second");
    }

    #[test]
    fn several_connections_share_one_rate() {
        let limit = RateLimit::new(rate(1 << 20));
        let other = limit.clone();
        let now = Instant::now() + Duration::from_secs(1);
        let all = limit.bucket().allowed(now);
        assert_eq!(all, Ok((1 << 20) / 8));
        other.bucket().spend((1 << 20) / 8);
        assert!(limit.bucket().allowed(now).is_err());
    }

    #[test]
    fn fractions_of_a_byte_are_not_lost_to_frequent_looks() {
        let mut bucket = Bucket::default();
        let began = Instant::now();
        bucket.change(rate(1024), began);
        let mut moved = 0;
        for tick in 0..100_000_u32 {
            let now = began + Duration::from_micros(100) * tick;
            if let Ok(bytes) = bucket.allowed(now) {
                bucket.spend(bytes);
                moved += bytes;
            }
        }
        assert!((9_700..=10_240).contains(&moved), "{moved}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_reaches_those_who_wait() {
        let limit = RateLimit::new(rate(LEAST_RATE));
        limit.bucket().spend(1 << 30);
        let mut throttle = Throttle::new(limit.clone());
        let began = Instant::now();
        let waits = std::future::poll_fn(|cx| throttle.poll_allowed(cx));
        let (bytes, ()) = tokio::join!(waits, async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            limit.set(None);
        });
        assert_eq!(bytes, usize::MAX);
        assert!(began.elapsed() <= Duration::from_secs(5) + LOOK);
    }
}
