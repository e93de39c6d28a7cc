//! Sets of byte ranges: which parts of a file are there.

use std::fmt;

/// The bytes from `start` on, before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Range {
    pub(crate) fn new(start: u64, end: u64) -> Self {
        Self { start, end }
    }

    pub(crate) fn length(self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}-{}", self.start, self.end)
    }
}

/// Ranges in order; none is empty, none touches another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<Range>);

impl Ranges {
    /// Adds one; ranges that overlap or touch become one.
    pub(crate) fn insert(&mut self, range: Range) {
        if range.length() == 0 {
            return;
        }
        let first = self.0.partition_point(|it| it.end < range.start);
        let last = self.0.partition_point(|it| it.start <= range.end);
        let mut merged = range;
        for it in self.0.get(first..last).unwrap_or_default() {
            merged.start = merged.start.min(it.start);
            merged.end = merged.end.max(it.end);
        }
        self.0.splice(first..last, [merged]);
    }

    /// Whether every byte of it is there.
    pub(crate) fn contains(&self, range: Range) -> bool {
        let at = self.0.partition_point(|it| it.end < range.end);
        range.length() == 0
            || self
                .0
                .get(at)
                .is_some_and(|it| it.start <= range.start && range.end <= it.end)
    }

    /// Bytes that are there.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|it| it.length()).sum()
    }

    /// Bytes that are there from the beginning on, without a hole.
    pub(crate) fn prefix(&self) -> u64 {
        match self.0.first() {
            Some(first) if first.start == 0 => first.end,
            _ => 0,
        }
    }

    /// Where the last one ends.
    pub(crate) fn end(&self) -> u64 {
        self.0.last().map_or(0, |it| it.end)
    }

    /// What is missing of a file of this size, in order.
    pub(crate) fn gaps(&self, size: u64) -> Vec<Range> {
        let mut gaps = Vec::new();
        let mut at = 0;
        for it in &self.0 {
            if at < it.start.min(size) {
                gaps.push(Range::new(at, it.start.min(size)));
            }
            at = it.end;
        }
        if at < size {
            gaps.push(Range::new(at, size));
        }
        gaps
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Range> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(ranges: &[(u64, u64)]) -> Ranges {
        let mut set = Ranges::default();
        for (start, end) in ranges {
            set.insert(Range::new(*start, *end));
        }
        set
    }

    #[test]
    fn what_touches_becomes_one() {
        let set = of(&[(0, 4), (8, 9), (4, 8), (20, 30), (25, 40), (5, 5)]);
        assert_eq!(set, of(&[(0, 9), (20, 40)]));
        assert_eq!(set.total(), 29);
        assert_eq!(set.prefix(), 9);
        assert_eq!(set.gaps(50), [Range::new(9, 20), Range::new(40, 50)]);
        assert!(set.contains(Range::new(21, 40)) && !set.contains(Range::new(8, 10)));
    }

    proptest! {
        /// A set of ranges is what a list of flags, one a byte, would be.
        #[test]
        fn it_is_a_set_of_bytes(ranges in prop::collection::vec((0_u64..64, 0_u64..64), 0..20)) {
            let mut set = Ranges::default();
            let mut bytes = [false; 64];
            for (a, b) in ranges {
                let (start, end) = (a.min(b), a.max(b));
                set.insert(Range::new(start, end));
                for at in start..end {
                    bytes[usize::try_from(at).unwrap()] = true;
                }
            }
            prop_assert_eq!(set.total(), bytes.iter().filter(|it| **it).count() as u64);
            for gap in set.gaps(64) {
                for at in gap.start..gap.end {
                    prop_assert!(!bytes[usize::try_from(at).unwrap()]);
                }
            }
            let missing: u64 = set.gaps(64).iter().map(|it| it.length()).sum();
            prop_assert_eq!(missing + set.total(), 64);
            for at in 0..64 {
                prop_assert_eq!(set.contains(Range::new(at, at + 1)), bytes[usize::try_from(at).unwrap()]);
            }
            let all: Vec<Range> = set.iter().collect();
            prop_assert!(all.windows(2).all(|two| two[0].end < two[1].start));
        }
    }
}
