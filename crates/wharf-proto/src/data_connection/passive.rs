//! The ports in which we listen for data connections.
//!
//! A firewall opens exactly this range for us, so it is never left; and a stranger should not be able to guess the next
//! port (RFC 2577 §8), so it is walked in a random order.

use std::fmt;
use std::str::FromStr;

/// An inclusive range of TCP ports, never empty, never with port 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PortRange {
    lo: u16,
    hi: u16,
}

impl PortRange {
    /// The ports from `lo` to `hi`, both included.
    pub const fn new(lo: u16, hi: u16) -> Result<Self, PortRangeError> {
        if lo == 0 {
            return Err(PortRangeError::Zero);
        }
        if lo > hi {
            return Err(PortRangeError::Backwards { lo, hi });
        }
        Ok(Self { lo, hi })
    }

    /// The lowest port.
    pub fn lo(self) -> u16 {
        self.lo
    }

    /// The highest port.
    pub fn hi(self) -> u16 {
        self.hi
    }

    /// How many ports; 1 to 65535. Each waiting or running transfer takes one.
    #[expect(clippy::len_without_is_empty, reason = "a range is never empty")]
    pub fn len(self) -> u16 {
        // lo >= 1, so the count fits
        (self.hi - self.lo).saturating_add(1)
    }

    /// Is the port in the range?
    pub fn contains(self, port: u16) -> bool {
        (self.lo..=self.hi).contains(&port)
    }

    /// Every port of the range exactly once, in an order that depends on the seed (a fresh random number for each
    /// listener): a random start and a random stride that has no divisor in common with the length.
    pub fn order(self, seed: u64) -> PortOrder {
        let len = u32::from(self.len());
        let mixed = mix(seed);
        let position = below(mixed, len);
        let mut stride = below(mix(mixed), len).max(1);
        while greatest_common_divisor(stride, len) != 1 {
            stride = if stride + 1 >= len { 1 } else { stride + 1 };
        }
        PortOrder {
            lo: self.lo,
            len,
            position,
            stride,
            left: len,
        }
    }
}

/// The iterator made by [`PortRange::order`].
#[derive(Debug, Clone)]
pub struct PortOrder {
    lo: u16,
    len: u32,
    position: u32,
    stride: u32,
    left: u32,
}

impl Iterator for PortOrder {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        self.left = self.left.checked_sub(1)?;
        let offset = u16::try_from(self.position).unwrap_or(0); // position < len <= 65535
        self.position = (self.position + self.stride) % self.len;
        Some(self.lo.saturating_add(offset))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

impl ExactSizeIterator for PortOrder {}

/// SplitMix64's finalizer: spreads seeds that differ in one bit over all bits.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number in `0..limit` from a mixed one.
fn below(mixed: u64, limit: u32) -> u32 {
    u32::try_from(mixed % u64::from(limit.max(1))).unwrap_or(0)
}

fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.lo, self.hi)
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    /// `LO-HI`, or one port alone; spaces around the numbers are allowed.
    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let (lo, hi) = text.split_once('-').unwrap_or((text, text));
        let port = |digits: &str| {
            let digits = digits.trim();
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(PortRangeError::NotNumbers);
            }
            digits.parse::<u16>().map_err(|_| PortRangeError::TooHigh)
        };
        Self::new(port(lo)?, port(hi)?)
    }
}

/// Why a port range cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortRangeError {
    /// Not of the form `LO-HI`.
    NotNumbers,
    /// A number above 65535.
    TooHigh,
    /// Port 0 means "any port" to the operating system, the opposite of a range.
    Zero,
    /// The first port is above the last.
    Backwards {
        /// The first port as written.
        lo: u16,
        /// The last port as written.
        hi: u16,
    },
}

impl fmt::Display for PortRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNumbers => f.write_str("a port range is written LO-HI, as in 50000-50099"),
            Self::TooHigh => f.write_str("ports end at 65535"),
            Self::Zero => f.write_str("port 0 cannot be part of a range"),
            Self::Backwards { lo, hi } => write!(f, "the range begins at {lo} above its end {hi}"),
        }
    }
}

impl std::error::Error for PortRangeError {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ranges_are_read_as_written() {
        let table = [
            ("50000-50099", Ok((50000, 50099))),
            ("50000 - 50099", Ok((50000, 50099))),
            ("2121", Ok((2121, 2121))),
            ("1-65535", Ok((1, 65535))),
            ("0-10", Err(PortRangeError::Zero)),
            ("10-9", Err(PortRangeError::Backwards { lo: 10, hi: 9 })),
            ("10-65536", Err(PortRangeError::TooHigh)),
            ("", Err(PortRangeError::NotNumbers)),
            ("-", Err(PortRangeError::NotNumbers)),
            ("10-", Err(PortRangeError::NotNumbers)),
            ("+10-20", Err(PortRangeError::NotNumbers)),
            ("10-20-30", Err(PortRangeError::NotNumbers)),
            ("10:20", Err(PortRangeError::NotNumbers)),
        ];
        for (text, want) in table {
            assert_eq!(
                text.parse::<PortRange>().map(|r| (r.lo(), r.hi())),
                want,
                "{text}"
            );
        }
        assert_eq!(
            PortRange::new(50000, 50099).unwrap().to_string(),
            "50000-50099"
        );
    }

    #[test]
    fn every_port_comes_once_and_none_from_outside() {
        for (lo, hi) in [
            (1, 1),
            (5, 6),
            (50000, 50002),
            (50000, 50009),
            (50000, 50099),
            (1024, 2047),
            (1, 65535),
            (65535, 65535),
        ] {
            let range = PortRange::new(lo, hi).unwrap();
            for seed in [0, 1, 2, 7, u64::MAX, 0xdead_beef] {
                let ports: Vec<u16> = range.order(seed).collect();
                assert_eq!(ports.len(), usize::from(range.len()));
                assert!(ports.iter().all(|&port| range.contains(port)));
                assert_eq!(
                    ports.iter().collect::<BTreeSet<_>>().len(),
                    ports.len(),
                    "{range} seed {seed}"
                );
            }
        }
    }

    #[test]
    fn neighbouring_seeds_start_far_apart() {
        let range = PortRange::new(50000, 50999).unwrap();
        let starts: BTreeSet<u16> = (0..100)
            .filter_map(|seed| range.order(seed).next())
            .collect();
        assert!(starts.len() > 85, "{}", starts.len());
    }
}
