//! When a certificate is renewed, and when it is tried again after a failure. No clock is read here.

use std::time::Duration;

/// The first wait after a failure. Authorities bound failures an hour (Let's Encrypt: five for a host), and this doubles.
const FIRST: Duration = Duration::from_mins(5);

/// The longest wait after a failure.
const LONGEST: Duration = Duration::from_hours(12);

/// The longest wait of all: a clock that was set, or a machine that slept, is noticed within it.
const LOOK: Duration = Duration::from_hours(6);

/// How long to wait before a certificate that is valid from `begins` to `ends` (seconds since 1970) is renewed: until two
/// thirds of its life are over. Zero: now. At most six hours; then ask again.
pub(crate) fn until_renewal(begins: i64, ends: i64, now: i64) -> Duration {
    let life = ends.saturating_sub(begins).max(0);
    let due = begins.saturating_add(life / 3 * 2);
    let left = u64::try_from(due.saturating_sub(now)).unwrap_or(0);
    Duration::from_secs(left).min(LOOK)
}

/// How long to wait after so many failures in a row.
pub(crate) fn after_failures(failures: u32) -> Duration {
    let doubled = failures.saturating_sub(1).min(16);
    FIRST.saturating_mul(1 << doubled).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_its_life_is_left_at_renewal() {
        const DAY: i64 = 86_400;
        for (life, age, expected) in [
            (90 * DAY, 0, LOOK),
            (90 * DAY, 59 * DAY, LOOK),
            (90 * DAY, 60 * DAY - 3600, Duration::from_hours(1)),
            (90 * DAY, 60 * DAY, Duration::ZERO),
            (90 * DAY, 100 * DAY, Duration::ZERO),
            (30, 0, Duration::from_secs(20)),
            (30, 20, Duration::ZERO),
            // The clock is behind: nothing is wrong with the certificate.
            (90 * DAY, -DAY, LOOK),
            (0, 0, Duration::ZERO),
            (-5, 0, Duration::ZERO),
        ] {
            let begins = 1_795_000_000;
            let wait = until_renewal(begins, begins + life, begins + age);
            assert_eq!(wait, expected, "{life} {age}");
        }
        assert_eq!(until_renewal(0, i64::MAX, i64::MIN), LOOK);
        assert_eq!(until_renewal(i64::MAX, i64::MIN, i64::MAX), Duration::ZERO);
    }

    #[test]
    fn waits_double_and_end_at_half_a_day() {
        let minutes = |failures| after_failures(failures).as_secs() / 60;
        let waits: Vec<u64> = (1..=9).map(minutes).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 720]);
        assert_eq!(minutes(u32::MAX), 720);
    }
}
