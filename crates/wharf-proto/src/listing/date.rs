//! Days and times of day, as listings write them.

use super::words::number;
use super::{ListTime, Precision};
use crate::timestamp::Timestamp;

/// Times may lie this far in the future: the server's clock or zone differs from ours.
const AHEAD: i64 = 86_400;

/// Dates further in the future than this are read in the wrong order: no clock is so wrong.
const WRONG_CLOCK: i64 = 400 * 86_400;

/// Two-digit years from here on are of the 20th century.
const CENTURY: u16 = 70;

/// Year, month, day.
pub(super) type Date = (u16, u8, u8);

/// Hour, minute, and the second if there is one.
pub(super) type TimeOfDay = (u8, u8, Option<u8>);

/// The time of a date, to the day, the minute or the second. 24:00 is the beginning of the next day.
pub(super) fn moment(date: Date, time: Option<TimeOfDay>) -> Option<ListTime> {
    let (year, month, day) = date;
    let (hour, minute, second) = time.unwrap_or((0, 0, None));
    let midnight = hour == 24;
    let hour = if midnight { 0 } else { hour };
    let at = Timestamp::from_civil(year, month, day, hour, minute, second.unwrap_or(0)).ok()?;
    let at = if midnight {
        Timestamp::new(at.secs().saturating_add(86_400), 0)
    } else {
        at
    };
    let precision = match time {
        None => Precision::Day,
        Some((_, _, None)) => Precision::Minute,
        Some(_) => Precision::Second,
    };
    Some(ListTime {
        at,
        precision,
        utc: false,
    })
}

/// The latest such date that is not later than a day after now. 29 February may lie up to eight years back (1896 to
/// 1904 had none between).
pub(super) fn without_year(
    month: u8,
    day: u8,
    time: TimeOfDay,
    now: Timestamp,
) -> Option<ListTime> {
    let latest = now.secs().saturating_add(AHEAD);
    let (this_year, ..) = Timestamp::new(latest, 0).civil();
    (0..=8)
        .filter_map(|back| moment((this_year.checked_sub(back)?, month, day), Some(time)))
        .find(|time| time.at.secs() <= latest)
}

/// One or two digits.
pub(super) fn small(word: &[u8]) -> Option<u8> {
    let value = number(word).filter(|_| word.len() <= 2)?;
    u8::try_from(value).ok()
}

/// A day of a month: 1 to 31.
pub(super) fn day(word: &[u8]) -> Option<u8> {
    small(word).filter(|day| (1..=31).contains(day))
}

/// A year of four digits.
pub(super) fn year(word: &[u8]) -> Option<u16> {
    let year = number(word).filter(|_| word.len() == 4)?;
    u16::try_from(year).ok()
}

/// A year of four digits, of two (1970 to 2069), or of three from servers that count from 1900 and have not noticed that
/// the century is over.
pub(super) fn short_year(word: &[u8]) -> Option<u16> {
    let value = u16::try_from(number(word)?).ok()?;
    match word.len() {
        2 if value >= CENTURY => Some(1900 + value),
        2 => Some(2000 + value),
        3 if value >= 100 => Some(1900 + value),
        4 => Some(value),
        _ => None,
    }
}

/// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.hh`; one digit for the hour tolerated. 24:00 is the end of the day.
pub(super) fn clock(word: &[u8]) -> Option<TimeOfDay> {
    let part = |digits: &[u8], limit: u8| small(digits).filter(|value| *value <= limit);
    let mut parts = word.split(|&b| b == b':');
    let hour = part(parts.next()?, 24)?;
    let minute = part(parts.next()?, 59)?;
    let second = match parts.next() {
        Some(digits) => {
            let mut halves = digits.splitn(2, |&b| b == b'.');
            let whole = part(halves.next()?, 60)?;
            if let Some(fraction) = halves.next() {
                number(fraction)?;
            }
            Some(whole)
        }
        None => None,
    };
    let sane = parts.next().is_none() && (hour < 24 || (minute == 0 && second.unwrap_or(0) == 0));
    sane.then_some((hour, minute, second))
}

/// `03:19PM`, `3:19 pm` without its blank, or `15:19`.
pub(super) fn clock_of_twelve(word: &[u8]) -> Option<TimeOfDay> {
    let lower = word.to_ascii_lowercase();
    let (digits, afternoon) = match (lower.strip_suffix(b"am"), lower.strip_suffix(b"pm")) {
        (Some(digits), _) => (digits, false),
        (_, Some(digits)) => (digits, true),
        _ => return clock(&lower),
    };
    let (hour, minute, second) = clock(digits)?;
    let hour = match (hour, afternoon) {
        (1..=12, false) => hour % 12,
        (1..=12, true) => hour % 12 + 12,
        _ => return None,
    };
    Some((hour, minute, second))
}

/// Orders in which three numbers may be a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orders(u8);

impl Orders {
    const MONTH_FIRST: u8 = 1;
    const DAY_FIRST: u8 = 2;
    const YEAR_FIRST: u8 = 4;
    /// Month, day, year; day, month, year; year, month, day.
    pub(super) const ALL: Self = Self(Self::MONTH_FIRST | Self::DAY_FIRST | Self::YEAR_FIRST);
    /// Month, day, year; day, month, year.
    pub(super) const YEAR_LAST: Self = Self(Self::MONTH_FIRST | Self::DAY_FIRST);
    /// Month, day, year.
    pub(super) const MONTH_LEADS: Self = Self(Self::MONTH_FIRST);
    /// Day, month, year.
    pub(super) const DAY_LEADS: Self = Self(Self::DAY_FIRST);
    /// Year, month, day.
    pub(super) const YEAR_LEADS: Self = Self(Self::YEAR_FIRST);
}

/// What three numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numeric {
    /// This day.
    Known(Date),
    /// A day; which one depends on an order that is not known. The first is the American reading.
    Ambiguous(Date),
}

impl Numeric {
    /// The day where there is no doubt.
    pub(super) fn known(self) -> Option<Date> {
        match self {
            Self::Known(date) => Some(date),
            Self::Ambiguous(_) => None,
        }
    }

    /// The day, in doubt the American one.
    pub(super) fn american(self) -> Date {
        match self {
            Self::Known(date) | Self::Ambiguous(date) => date,
        }
    }
}

/// Three numbers between `-`, `/` or `.`. `orders` are those that fit all dates of this server so far; each date may leave
/// fewer, so that from a 23/02/00 on an 04/05/06 is known, too. An order that would lead to the future is none. `None` if
/// the word is no date in any of the `allowed` orders.
pub(super) fn numeric(
    word: &[u8],
    allowed: Orders,
    orders: &mut Orders,
    now: Timestamp,
) -> Option<Numeric> {
    let separator = *word.iter().find(|b| b"-/.".contains(b))?;
    let mut parts = word.split(|b| *b == separator);
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let date = |order: u8| -> Option<Date> {
        let (year, month, date) = match order {
            Orders::MONTH_FIRST => (third, first, second),
            Orders::DAY_FIRST => (third, second, first),
            _ => (first, second, third),
        };
        let month = small(month).filter(|month| (1..=12).contains(month))?;
        Some((short_year(year)?, month, day(date)?))
    };
    let all = [Orders::MONTH_FIRST, Orders::DAY_FIRST, Orders::YEAR_FIRST];
    let is_before = |(year, month, day): Date, ahead: i64| {
        // 31 February is somewhere in March, for this question
        let at = Timestamp::from_civil(year, month, day.min(28), 0, 0, 0);
        at.is_ok_and(|at| at.secs() <= now.secs().saturating_add(ahead))
    };
    let possible: Vec<(u8, Date)> = all
        .into_iter()
        .filter(|order| allowed.0 & order != 0)
        .filter_map(|order| Some((order, date(order)?)))
        .collect();
    let mut left = possible.clone();
    left.retain(|(order, date)| orders.0 & order != 0 && is_before(*date, WRONG_CLOCK));
    if left.is_empty() {
        left = possible;
    }
    // a year of four digits at the front says nothing about the order of other dates
    if first.len() < 4 && !left.is_empty() {
        *orders = Orders(left.iter().fold(0, |sum, (order, _)| sum | order));
    }
    // a clock that is wrong makes one date wrong, not all that follow: `orders` does not learn from this
    if left.iter().any(|(_, date)| is_before(*date, AHEAD)) {
        left.retain(|(_, date)| is_before(*date, AHEAD));
    }
    let (_, american) = *left.first()?;
    let sure = left.iter().all(|(_, date)| *date == american);
    Some(if sure {
        Numeric::Known(american)
    } else {
        Numeric::Ambiguous(american)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day() {
        let table: [(&str, Option<TimeOfDay>); 12] = [
            ("10:11", Some((10, 11, None))),
            ("9:05", Some((9, 5, None))),
            ("10:11:12", Some((10, 11, Some(12)))),
            ("10:11:12.34", Some((10, 11, Some(12)))),
            ("24:00", Some((24, 0, None))),
            ("24:01", None),
            ("25:00", None),
            ("10:60", None),
            ("10", None),
            ("10:11:12:13", None),
            ("010:11", None),
            ("10:", None),
        ];
        for (text, want) in table {
            assert_eq!(clock(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn three_numbers_are_a_date_only_where_there_is_one_way() {
        let now = Timestamp::from_wire(b"20260601120000").unwrap();
        let mut orders = Orders::ALL;
        let mut read = |word: &str| {
            let numeric = numeric(word.as_bytes(), Orders::ALL, &mut orders, now)?;
            Some(numeric.known())
        };
        assert_eq!(read("04/05/06"), Some(None));
        assert_eq!(read("23/02/00"), Some(Some((2000, 2, 23))));
        assert_eq!(read("04/05/06"), Some(Some((2006, 5, 4))));
        assert_eq!(read("13/13/13"), None);
        assert_eq!(read("01/02"), None);
        // another server's would be in the future
        let mut fresh = Orders::ALL;
        let future = numeric(b"11/12/30", Orders::ALL, &mut fresh, now);
        assert_eq!(future.and_then(Numeric::known), Some((2011, 12, 30)));
    }
}
