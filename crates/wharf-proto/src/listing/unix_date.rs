//! The dates in lines of the Unix dialect.
//!
//! `Jan  2 10:11` and `Jan  2  2024` in the C locale; other locales swap day and month, write months in their own words, or
//! only numbers. Each form here has a sample in `tests/listing/unix.txt`.

use super::date::{Orders, clock, day, moment, numeric, short_year, small, without_year, year};
use super::month::{Unit, counted, month};
use super::words::{Words, number};
use super::{ListTime, Seen};

/// A date and what it takes.
pub(super) struct Found {
    /// `None` where it is not known which day the numbers mean.
    pub(super) time: Option<ListTime>,
    /// How many words it has.
    pub(super) words: usize,
    /// The name is behind a column of unknown width, not behind one blank.
    pub(super) padded: bool,
}

impl Found {
    fn new(time: Option<ListTime>, words: usize) -> Self {
        Self {
            time,
            words,
            padded: false,
        }
    }
}

/// A date that begins with this word and that cannot be mistaken for numbers of other columns.
pub(super) fn unmistakable(words: &Words<'_>, at: usize, seen: &mut Seen) -> Option<Found> {
    whole(words, at)
        .or_else(|| numbers_of_a_day(words, at, seen))
        .or_else(|| counted_units(words, at, seen))
        .or_else(|| named_month(words, at, seen))
}

/// `2024-01-02 10:11[:12[.345]] [+0000]`: long-iso and full-iso of GNU ls, busybox; `2004.07.15` alone in a column.
fn whole(words: &Words<'_>, at: usize) -> Option<Found> {
    let word = words.get(at)?;
    let mut parts = word.split(|b| b"-/.".contains(b));
    let date = (
        year(parts.next()?)?,
        small(parts.next()?)?,
        day(parts.next()?)?,
    );
    if parts.next().is_some() {
        return None;
    }
    let time = words.get(at + 1).and_then(clock);
    let Some(time) = time else {
        let found = Found::new(Some(moment(date, None)?), 1);
        let dotted = word.contains(&b'.');
        return dotted.then_some(Found {
            padded: true,
            ..found
        });
    };
    let mut listed = moment(date, Some(time))?;
    let zone = words
        .get(at + 2)
        .and_then(zone)
        .filter(|_| time.2.is_some());
    if let Some(east) = zone {
        listed.at = crate::Timestamp::new(listed.at.secs() - east, 0);
        listed.utc = true;
    }
    Some(Found::new(Some(listed), if zone.is_some() { 3 } else { 2 }))
}

/// `+0130`: seconds east of Greenwich.
fn zone(word: &[u8]) -> Option<i64> {
    let (sign, digits) = word.split_first()?;
    let (hours, minutes) = digits.split_at_checked(2)?;
    let seconds = i64::from(small(hours)?) * 3600 + i64::from(small(minutes)?) * 60;
    match sign {
        b'+' if digits.len() == 4 => Some(seconds),
        b'-' if digits.len() == 4 => Some(-seconds),
        _ => None,
    }
}

/// `24-04-2003 17:12`, `01-jun-99`.
fn numbers_of_a_day(words: &Words<'_>, at: usize, seen: &mut Seen) -> Option<Found> {
    let word = words.get(at)?;
    let time = words.get(at + 1).and_then(clock);
    let parts: Vec<&[u8]> = word.split(|b| b"-/.".contains(b)).collect();
    let [first, second, third] = parts.as_slice() else {
        return None;
    };
    if let Some(month) = month(second) {
        let date = (short_year(third)?, month, day(first)?);
        let consumed = if time.is_some() { 2 } else { 1 };
        return Some(Found::new(Some(moment(date, time)?), consumed));
    }
    year(third)?;
    let time = time?;
    let date = numeric(word, Orders::YEAR_LAST, &mut seen.orders, seen.now)?;
    let listed = date.known().and_then(|date| moment(date, Some(time)));
    Some(Found::new(listed, 2))
}

/// `4月 18日 2003年`, ` 1月  6 10:11`, `2005년  1월  6일`.
fn counted_units(words: &Words<'_>, at: usize, seen: &Seen) -> Option<Found> {
    let unit = |place: usize, wanted: Unit| {
        let (value, unit) = words.get(place).and_then(counted)?;
        (unit == wanted).then_some(value)
    };
    let small_unit = |place: usize, wanted: Unit| u8::try_from(unit(place, wanted)?).ok();
    if let Some(year) = unit(at, Unit::Year) {
        let date = (
            year,
            small_unit(at + 1, Unit::Month)?,
            small_unit(at + 2, Unit::Day)?,
        );
        return Some(Found::new(Some(moment(date, None)?), 3));
    }
    let month = small_unit(at, Unit::Month)?;
    let day_word = words.get(at + 1)?;
    let day = small_unit(at + 1, Unit::Day).or_else(|| day(day_word))?;
    let last = words.get(at + 2)?;
    let time = match (clock(last), unit(at + 2, Unit::Year).or_else(|| year(last))) {
        (Some(time), _) => without_year(month, day, time, seen.now)?,
        (None, Some(year)) => moment((year, month, day), None)?,
        (None, None) => return None,
    };
    Some(Found::new(Some(time), 3))
}

/// `Jan  2 10:11`, `2 Jan 2024`, `26. Juli, 20:10`, `Oct 08, 2002 09:47`, and BSD's `Jan 2 10:11:12 2024`.
fn named_month(words: &Words<'_>, at: usize, seen: &Seen) -> Option<Found> {
    let trimmed = |place: usize| -> Option<&[u8]> {
        let word = words.get(place)?;
        let word = word.strip_suffix(b",").unwrap_or(word);
        Some(word.strip_suffix(b".").unwrap_or(word))
    };
    let (first, second) = (trimmed(at)?, trimmed(at + 1)?);
    let (month, day) = match (month(first), month(second)) {
        (Some(month), _) => (month, day(second)?),
        (None, Some(month)) => (month, day(first)?),
        (None, None) => return None,
    };
    let third = words.get(at + 2)?;
    let fourth = words.get(at + 3);
    if let Some(time) = clock(third) {
        if let (Some(_), Some(year)) = (time.2, fourth.and_then(year)) {
            return Some(Found::new(Some(moment((year, month, day), Some(time))?), 4));
        }
        return Some(Found::new(
            Some(without_year(month, day, time, seen.now)?),
            3,
        ));
    }
    let date = (year(third)?, month, day);
    let comma = words.get(at + 1).is_some_and(|word| word.ends_with(b","));
    if let Some(time) = fourth.and_then(clock).filter(|_| comma) {
        return Some(Found::new(Some(moment(date, Some(time))?), 4));
    }
    Some(Found::new(Some(moment(date, None)?), 3))
}

/// Dates of bare numbers, `3 29 03:26`, `09-26 13:45` and `09-26 2000`, which might be other columns: month first, and
/// only where the day could not be the month.
pub(super) fn bare(words: &Words<'_>, at: usize, seen: &Seen) -> Option<Found> {
    let word = words.get(at)?;
    let (first, second, consumed) = match word.iter().position(|b| *b == b'-') {
        Some(dash) => {
            let (first, second) = word.split_at(dash);
            (first, second.strip_prefix(b"-")?, 1)
        }
        None => (word, words.get(at + 1)?, 2),
    };
    let (first, second) = (small(first)?, small(second)?);
    let last = words.get(at + consumed)?;
    let time = clock(last);
    if time.is_none() && (consumed == 2 || number(last).is_none()) {
        return None;
    }
    let date = match (first, second) {
        (1..=12, 1..=12) if first != second => None,
        (1..=12, 1..=31) => Some((first, second)),
        (13..=31, 1..=12) => Some((second, first)),
        _ => return None,
    };
    let listed = match (date, time) {
        (None, _) => None,
        (Some((month, day)), Some(time)) => Some(without_year(month, day, time, seen.now)?),
        (Some((month, day)), None) => Some(moment((year(last)?, month, day), None)?),
    };
    Some(Found::new(listed, consumed + 1))
}
