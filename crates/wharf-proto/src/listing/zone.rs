//! How far the times in a server's LIST are from UTC.
//!
//! LIST tells local time, MDTM tells UTC (RFC 3659 §3). One file of which both are known says how far they are apart; from
//! then on every listed time is known in UTC, and a mirror does not take an unchanged file for a changed one. A server in a
//! zone with summer time has two differences, an hour apart, and which one is used for a file depends on the file's own date
//! (`ls`) or on today's (some servers): so a second one is learned when a file contradicts the first, and each is used for
//! dates near those that it was learned from.

use super::{ListTime, Precision};
use crate::timestamp::Timestamp;

/// Offsets of real zones are multiples of a quarter of an hour.
const QUARTER: i64 = 900;

/// The furthest that a zone is from UTC, either way: 14 hours.
const FURTHEST: i64 = 14 * 3600;

/// What summer time is.
const HOUR: i64 = 3600;

/// Further apart in the year, two times may be on both sides of the change to summer time.
const SEASON: i64 = 60 * 86_400;

/// A mean year, in seconds.
const YEAR: i64 = 31_556_952;

/// What is known of one server's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Zone {
    learned: [Option<Learned>; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Learned {
    /// Seconds to add to UTC.
    east: i64,
    /// The listed time of the file that told it.
    at: i64,
}

impl Zone {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        learned: [None, None],
    };

    /// Whether anything was learned.
    pub fn is_known(&self) -> bool {
        self.learned.iter().any(Option::is_some)
    }

    /// Seconds that the zone is ahead of UTC, as the first file told it.
    pub fn east(&self) -> Option<i64> {
        self.learned.iter().flatten().next().map(|it| it.east)
    }

    /// Whether the exact time of this file would tell something new: nothing is known yet, or what is known was learned at
    /// another time of the year, when summer time may have been different.
    pub fn is_told_by(&self, listed: ListTime) -> bool {
        let known: Vec<i64> = self.learned.iter().flatten().map(|it| it.at).collect();
        let elsewhere = |at: &i64| season_apart(*at, listed.at.secs()) > SEASON;
        !listed.utc
            && listed.precision != Precision::Day
            && known.len() < self.learned.len()
            && known.iter().all(elsewhere)
    }

    /// Learns from one file: its time in a LIST, and its time from MDTM. `false` if they do not belong together (the file
    /// was changed in between, the clock of one of the two answers is off) or the listed time is too coarse: then nothing
    /// is learned. To the day nothing can be.
    pub fn learn(&mut self, listed: ListTime, exact: Timestamp) -> bool {
        if listed.utc || listed.precision == Precision::Day {
            return false;
        }
        let unit = listed.precision.seconds();
        let whole = exact.secs().div_euclid(unit) * unit;
        let east = listed.at.secs() - whole;
        if east % QUARTER != 0 || east.abs() > FURTHEST {
            return false;
        }
        let new = Learned {
            east,
            at: listed.at.secs(),
        };
        match &mut self.learned {
            [first @ None, _] => *first = Some(new),
            [Some(first), _] if first.east == east => {}
            [Some(first), second] => {
                // summer time is an hour, on Lord Howe half of one
                if (first.east - east).abs() > HOUR {
                    return false;
                }
                *second = Some(new);
            }
        }
        true
    }

    /// The listed time in UTC; `None` while nothing is known. To the day it stays as it was, for there is nothing to shift.
    pub fn to_utc(&self, listed: ListTime) -> Option<ListTime> {
        if listed.utc {
            return Some(listed);
        }
        let nearest = self
            .learned
            .iter()
            .flatten()
            .min_by_key(|it| season_apart(it.at, listed.at.secs()))?;
        Some(match listed.precision {
            Precision::Day => listed,
            Precision::Minute | Precision::Second => ListTime {
                at: Timestamp::new(listed.at.secs() - nearest.east, 0),
                utc: true,
                ..listed
            },
        })
    }

    /// Whether a listed time and an exact one may be of the same file, unchanged: equal within what was listed, in any of
    /// the offsets that are known, or an hour beside one (the other half of the year, of which nothing was learned). While
    /// nothing is known: equal in any zone of the world. For comparing sizes and times of files that are probably the same;
    /// two different files may agree by chance, as with any comparison of times.
    pub fn agrees(&self, listed: ListTime, exact: Timestamp) -> bool {
        let unit = listed.precision.seconds();
        let differs = |east: i64| {
            let earliest = listed.at.secs() - east;
            !(earliest..earliest + unit).contains(&exact.secs())
        };
        if listed.utc {
            return !differs(0);
        }
        if listed.precision == Precision::Day {
            // the day is the server's: any hour of it, in its zone
            let (early, late) = self.reach();
            let first = listed.at.secs() - late;
            let last = listed.at.secs() + unit - early;
            return (first..last).contains(&exact.secs());
        }
        if !self.is_known() {
            let whole = exact.secs().div_euclid(unit) * unit;
            let east = listed.at.secs() - whole;
            return east % QUARTER == 0 && east.abs() <= FURTHEST;
        }
        let both = self.learned.iter().all(Option::is_some);
        let beside: &[i64] = if both { &[0] } else { &[0, HOUR, -HOUR] };
        self.learned
            .iter()
            .flatten()
            .any(|it| beside.iter().any(|more| !differs(it.east + more)))
    }

    /// The least and the most that the zone may be ahead of UTC.
    fn reach(&self) -> (i64, i64) {
        let known: Vec<i64> = self.learned.iter().flatten().map(|it| it.east).collect();
        match (known.iter().min(), known.iter().max()) {
            (Some(least), Some(most)) => (least - HOUR, most + HOUR),
            _ => (-FURTHEST, FURTHEST),
        }
    }
}

/// How far two times are apart in the year, whatever the years.
fn season_apart(one: i64, other: i64) -> i64 {
    let apart = (one - other).rem_euclid(YEAR);
    apart.min(YEAR - apart)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wire: &str) -> Timestamp {
        Timestamp::from_wire(wire.as_bytes()).unwrap()
    }

    fn minute(wire: &str) -> ListTime {
        ListTime {
            at: at(wire),
            precision: Precision::Minute,
            utc: false,
        }
    }

    #[test]
    fn one_file_tells_the_zone() {
        let table = [
            ("20260102101100", "20260102101159", Some(0)),
            ("20260102121100", "20260102101159", Some(2 * 3600)),
            ("20260102051100", "20260102101100", Some(-5 * 3600)),
            ("20260102154100", "20260102101133", Some(19_800)), // India
            ("20260102101200", "20260102101159", None),         // changed in between
            ("20260104101100", "20260102101100", None),         // two days are no zone
        ];
        for (listed, exact, east) in table {
            let mut zone = Zone::UNKNOWN;
            assert_eq!(zone.learn(minute(listed), at(exact)), east.is_some());
            assert_eq!(zone.east(), east, "{listed}");
        }
    }

    #[test]
    fn summer_time_is_learned_from_a_second_file() {
        let mut berlin = Zone::UNKNOWN;
        assert!(berlin.learn(minute("20260102111100"), at("20260102101130")));
        let summer = minute("20250702121100");
        assert!(berlin.is_told_by(summer) && !berlin.is_told_by(minute("20250202121100")));
        // not known yet which half of the year it is: an hour beside is the same, two hours are not
        assert!(berlin.agrees(summer, at("20250702101130")));
        assert!(!berlin.agrees(summer, at("20250702091130")));
        assert!(berlin.learn(summer, at("20250702101130")));
        let utc = |listed| berlin.to_utc(minute(listed)).unwrap().at.to_wire();
        assert_eq!(utc("20240710120000"), "20240710100000");
        assert_eq!(utc("20241220120000"), "20241220110000");
        assert!(!berlin.agrees(summer, at("20250702081130")));
        assert!(!berlin.learn(minute("20260301200000"), at("20260301100000")));
    }

    #[test]
    fn an_unchanged_tree_agrees_in_every_zone() {
        let exact = at("20260315123456");
        for quarters in -48..=56 {
            let east = quarters * QUARTER;
            let local = Timestamp::new((exact.secs() + east).div_euclid(60) * 60, 0);
            let listed = ListTime {
                at: local,
                precision: Precision::Minute,
                utc: false,
            };
            assert!(Zone::UNKNOWN.agrees(listed, exact));
            let mut zone = Zone::UNKNOWN;
            assert!(zone.learn(listed, exact));
            assert!(zone.agrees(listed, exact));
            let later = Timestamp::new(exact.secs() + 60, 0);
            assert!(!zone.agrees(listed, later));
            let day = ListTime {
                at: Timestamp::new(local.secs().div_euclid(86_400) * 86_400, 0),
                precision: Precision::Day,
                utc: false,
            };
            assert!(zone.agrees(day, exact) && Zone::UNKNOWN.agrees(day, exact));
            assert!(!zone.agrees(day, Timestamp::new(exact.secs() + 2 * 86_400, 0)));
        }
    }
}
