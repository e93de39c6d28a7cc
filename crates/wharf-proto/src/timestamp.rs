//! `YYYYMMDDHHMMSS[.sss]`, always UTC (RFC 3659 §2.3). No clock here: the present is an argument.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point of time to the millisecond, UTC. Ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    secs: i64,
    millis: u16,
}

/// The bytes are no time-val of RFC 3659 §2.3, or no date of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampError;

/// The first and the last second that four digits of year can write.
const FIRST: i64 = -62_167_219_200;
const LAST: i64 = 253_402_300_799;
const DAY: i64 = 86_400;

impl Timestamp {
    /// The last second of the year 9999.
    pub const LAST: Self = Self {
        secs: LAST,
        millis: 0,
    };

    /// `secs` since 1970-01-01 00:00 UTC plus `millis` (what is above 999 is cut off). Times outside of the years 0 to
    /// 9999 become the nearest one inside, since the wire has four digits for the year.
    pub fn new(secs: i64, millis: u16) -> Self {
        Self {
            secs: secs.clamp(FIRST, LAST),
            millis: millis.min(999),
        }
    }

    /// A civil date and time of day, UTC. Second 60 is taken as the first of the next minute.
    ///
    /// # Errors
    /// [`TimestampError`] if the calendar does not know it.
    pub fn from_civil(
        year: u16,
        month: u8,
        day: u8,
        hour: u8,
        minute: u8,
        second: u8,
    ) -> Result<Self, TimestampError> {
        let sane = year <= 9999
            && (1..=12).contains(&month)
            && day >= 1
            && day <= days_in_month(year, month)
            && hour <= 23
            && minute <= 59
            && second <= 60;
        if !sane {
            return Err(TimestampError);
        }
        let time_of_day = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        Ok(Self::new(
            days_from_civil(i64::from(year), month, day) * DAY + time_of_day,
            0,
        ))
    }

    /// Reads `YYYYMMDDHHMMSS` and any fraction after a period; digits after the third of the fraction are cut off.
    /// The leap second 60 is tolerated.
    ///
    /// # Errors
    /// [`TimestampError`] on anything else, 29 February of a common year included.
    pub fn from_wire(bytes: &[u8]) -> Result<Self, TimestampError> {
        let (whole, fraction) = match bytes.split_at_checked(14).ok_or(TimestampError)? {
            (whole, []) => (whole, None),
            (whole, [b'.', fraction @ ..]) => (whole, Some(fraction)),
            _ => return Err(TimestampError),
        };
        let field = |from: usize, to: usize| {
            whole
                .get(from..to)
                .and_then(crate::text::decimal)
                .ok_or(TimestampError)
        };
        let small = |value: u64| u8::try_from(value).map_err(|_| TimestampError);
        let year = u16::try_from(field(0, 4)?).map_err(|_| TimestampError)?;
        let mut time = Self::from_civil(
            year,
            small(field(4, 6)?)?,
            small(field(6, 8)?)?,
            small(field(8, 10)?)?,
            small(field(10, 12)?)?,
            small(field(12, 14)?)?,
        )?;
        if let Some(fraction) = fraction {
            if fraction.is_empty() || !fraction.iter().all(u8::is_ascii_digit) {
                return Err(TimestampError);
            }
            let digits = fraction.iter().map(|byte| u16::from(byte - b'0'));
            time.millis = digits
                .chain([0, 0])
                .take(3)
                .fold(0, |sum, digit| sum * 10 + digit);
        }
        Ok(time)
    }

    /// Writes `YYYYMMDDHHMMSS`, and `.sss` if there are milliseconds.
    pub fn to_wire(self) -> String {
        let (year, month, day, hour, minute, second) = self.civil();
        let whole = format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}");
        match self.millis {
            0 => whole,
            millis => format!("{whole}.{millis:03}"),
        }
    }

    /// Seconds since 1970-01-01 00:00 UTC.
    pub const fn secs(self) -> i64 {
        self.secs
    }

    /// Milliseconds after [`secs`](Self::secs), 0 to 999.
    pub const fn millis(self) -> u16 {
        self.millis
    }

    /// The same time without its milliseconds: MDTM as most clients expect it.
    #[must_use]
    pub const fn whole_seconds(self) -> Self {
        Self {
            secs: self.secs,
            millis: 0,
        }
    }

    /// Year, month, day, hour, minute, second, UTC.
    pub fn civil(self) -> (u16, u8, u8, u8, u8, u8) {
        let (year, month, day) = civil_from_days(self.secs.div_euclid(DAY));
        let time_of_day = self.secs.rem_euclid(DAY);
        let small = |value: i64| u8::try_from(value).unwrap_or(0);
        (
            u16::try_from(year).unwrap_or(0),
            month,
            day,
            small(time_of_day / 3600),
            small(time_of_day / 60 % 60),
            small(time_of_day % 60),
        )
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let seconds = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
        let millis = |d: Duration| u16::try_from(d.subsec_millis()).unwrap_or(0);
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self::new(seconds(after), millis(after)),
            Err(error) => {
                let before = error.duration();
                match millis(before) {
                    0 => Self::new(-seconds(before), 0),
                    part => Self::new(-seconds(before) - 1, 1000 - part),
                }
            }
        }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        let whole = Duration::from_secs(time.secs.unsigned_abs());
        let base = if time.secs < 0 {
            UNIX_EPOCH.checked_sub(whole)
        } else {
            UNIX_EPOCH.checked_add(whole)
        };
        let part = Duration::from_millis(u64::from(time.millis));
        base.and_then(|base| base.checked_add(part))
            .unwrap_or(UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_wire())
    }
}

impl fmt::Display for TimestampError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a time of the form YYYYMMDDHHMMSS[.sss]")
    }
}

impl std::error::Error for TimestampError {}

/// Days of `month` (1 to 12) in the Gregorian calendar, extended backwards.
fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01. Counts years from March, so that the leap day is the last of its year.
fn days_from_civil(year: i64, month: u8, day: u8) -> i64 {
    let month = i64::from(month);
    let (year, months_since_march) = if month < 3 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let day_of_year = (153 * months_since_march + 2) / 5 + i64::from(day) - 1;
    year * 365 + leap_days + day_of_year - 719_468
}

/// The reverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_since_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_since_march + 2) / 5 + 1;
    let month = if months_since_march < 10 {
        months_since_march + 3
    } else {
        months_since_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month < 3);
    (
        year,
        u8::try_from(month).unwrap_or(1),
        u8::try_from(day).unwrap_or(1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times() {
        for (wire, secs, millis) in [
            ("19700101000000", 0, 0),
            ("20000229235959", 951_868_799, 0),
            ("19691231235959", -1, 0),
            ("20260101120000", 1_767_268_800, 0),
            ("20260101120000.5", 1_767_268_800, 500),
            ("20260101120000.1239", 1_767_268_800, 123),
            ("19980615100045.014", 897_904_845, 14),
            ("00000101000000", FIRST, 0),
            ("99991231235959", LAST, 0),
            ("20161231235960", 1_483_228_800, 0),
        ] {
            assert_eq!(
                Timestamp::from_wire(wire.as_bytes()),
                Ok(Timestamp::new(secs, millis)),
                "{wire}"
            );
        }
    }

    #[test]
    fn dates_that_do_not_exist() {
        for wire in [
            "",
            "2026",
            "20260229000000",
            "19000229000000",
            "20261301000000",
            "20260001000000",
            "20260100000000",
            "20260431000000",
            "20260101240000",
            "20260101006000",
            "20260101000061",
            "2026010100000",
            "20260101000000.",
            "20260101000000.x",
            "20260101000000,5",
            "+0260101000000",
            "202601010000000",
            " 20260101000000",
        ] {
            assert_eq!(
                Timestamp::from_wire(wire.as_bytes()),
                Err(TimestampError),
                "{wire}"
            );
        }
    }

    #[test]
    fn before_the_epoch() {
        let time = UNIX_EPOCH - Duration::from_millis(1);
        assert_eq!(Timestamp::from(time).to_wire(), "19691231235959.999");
        assert_eq!(SystemTime::from(Timestamp::from(time)), time);
    }

    proptest! {
        #[test]
        fn wire_round_trips(secs in FIRST..=LAST, millis in 0u16..1000) {
            let time = Timestamp::new(secs, millis);
            prop_assert_eq!(Timestamp::from_wire(time.to_wire().as_bytes()), Ok(time));
            prop_assert_eq!(Timestamp::from(SystemTime::from(time)), time);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Timestamp::from_wire(&bytes);
        }
    }
}
