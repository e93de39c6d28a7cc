//! One direction of a TCP connection, put in order again: out of order, twice, or missing.
//!
//! Holds slices of the file, never copies; what waits for missing bytes is bounded.

use std::collections::BTreeMap;

/// Segments that wait for earlier bytes; with one more the missing bytes are given up.
const WAITING: usize = 256;

/// A sequence number farther away than this belongs to something else.
const FAR: u32 = 64 << 20;

/// Bytes in order, or the lack of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// The next bytes.
    Bytes(&'a [u8]),
    /// So many bytes are not in the capture.
    Gap(u64),
}

/// The bytes of one direction.
#[derive(Debug, Default)]
pub(super) struct Stream<'a> {
    /// Sequence number of the next byte, once known.
    next: Option<u32>,
    /// By distance from `base`: a place in the stream that never wraps.
    waiting: BTreeMap<u64, Waiting<'a>>,
    /// Place of the next byte.
    place: u64,
}

#[derive(Clone, Copy, Debug)]
struct Waiting<'a> {
    bytes: &'a [u8],
    cut: u32,
}

impl<'a> Stream<'a> {
    /// A SYN: the stream begins behind it.
    pub(super) fn begin(&mut self, sequence: u32) {
        if self.next.is_none() {
            self.next = Some(sequence.wrapping_add(1));
        }
    }

    /// A segment with payload; `cut` bytes behind it were not captured.
    pub(super) fn segment(
        &mut self,
        sequence: u32,
        bytes: &'a [u8],
        cut: u32,
        out: &mut Vec<Piece<'a>>,
    ) {
        if bytes.is_empty() && cut == 0 {
            return;
        }
        let next = *self.next.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(next);
        if ahead <= FAR {
            let place = self.place + u64::from(ahead);
            let longer = self
                .waiting
                .get(&place)
                .is_none_or(|held| held.bytes.len() < bytes.len());
            if longer {
                self.waiting.insert(place, Waiting { bytes, cut });
            }
        } else {
            // Begins before: a repetition, of which the end may be new.
            let known = next.wrapping_sub(sequence);
            if known > FAR {
                return;
            }
            let known = usize::try_from(known).unwrap_or(usize::MAX);
            match bytes.get(known..) {
                Some(new) if !new.is_empty() || cut > 0 => {
                    self.waiting.insert(self.place, Waiting { bytes: new, cut });
                }
                _ => return,
            }
        }
        self.deliver(out);
        if self.waiting.len() > WAITING {
            self.give_up(out);
        }
    }

    /// The other side says that it has everything before this sequence number: what is not here by now was never
    /// captured.
    pub(super) fn acknowledged(&mut self, sequence: u32, out: &mut Vec<Piece<'a>>) {
        let Some(next) = self.next else { return };
        let missing = sequence.wrapping_sub(next);
        // One more than the bytes is the FIN.
        if missing <= 1 || missing > FAR {
            return;
        }
        let upto = self.place + u64::from(missing);
        let first = self.waiting.keys().next().copied();
        self.skip(first.map_or(upto, |first| first.min(upto)), out);
        self.deliver(out);
    }

    /// Nothing more will come.
    pub(super) fn finish(&mut self, out: &mut Vec<Piece<'a>>) {
        while !self.waiting.is_empty() {
            self.give_up(out);
        }
    }

    fn give_up(&mut self, out: &mut Vec<Piece<'a>>) {
        if let Some(first) = self.waiting.keys().next().copied() {
            self.skip(first, out);
            self.deliver(out);
        }
    }

    fn skip(&mut self, upto: u64, out: &mut Vec<Piece<'a>>) {
        let missing = upto.saturating_sub(self.place);
        if missing > 0 {
            out.push(Piece::Gap(missing));
            self.advance(missing);
        }
    }

    fn advance(&mut self, by: u64) {
        self.place += by;
        let wrapped = u32::try_from(by & u64::from(u32::MAX)).unwrap_or(0);
        self.next = self.next.map(|next| next.wrapping_add(wrapped));
    }

    fn deliver(&mut self, out: &mut Vec<Piece<'a>>) {
        while let Some(entry) = self.waiting.first_entry() {
            if *entry.key() > self.place {
                break;
            }
            let (place, held) = entry.remove_entry();
            let known = usize::try_from(self.place - place).unwrap_or(usize::MAX);
            let end = place + held.bytes.len() as u64 + u64::from(held.cut);
            if let Some(new) = held.bytes.get(known..)
                && !new.is_empty()
            {
                out.push(Piece::Bytes(new));
                self.advance(new.len() as u64);
            }
            if held.cut > 0 {
                self.skip(end, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(segments: &[(u32, &'static [u8], u32)]) -> Vec<Piece<'static>> {
        let mut stream = Stream::default();
        stream.begin(u32::MAX - 3);
        let mut out = Vec::new();
        for (offset, bytes, cut) in segments {
            let sequence = (u32::MAX - 2).wrapping_add(*offset);
            stream.segment(sequence, bytes, *cut, &mut out);
        }
        stream.finish(&mut out);
        out
    }

    use Piece::{Bytes, Gap};

    #[test]
    fn in_order_across_the_wrap_of_sequence_numbers() {
        assert_eq!(
            stream(&[(0, b"abc", 0), (3, b"def", 0), (6, b"g", 0)]),
            [Bytes(b"abc"), Bytes(b"def"), Bytes(b"g")]
        );
    }

    #[test]
    fn out_of_order_twice_and_overlapping() {
        assert_eq!(
            stream(&[
                (3, b"def", 0),
                (0, b"abc", 0),
                (0, b"abc", 0),
                (4, b"efgh", 0)
            ]),
            [Bytes(b"abc"), Bytes(b"def"), Bytes(b"gh")]
        );
    }

    #[test]
    fn missing_and_cut() {
        assert_eq!(
            stream(&[(0, b"ab", 0), (5, b"fg", 0)]),
            [Bytes(b"ab"), Gap(3), Bytes(b"fg")]
        );
        assert_eq!(
            stream(&[(0, b"ab", 4), (6, b"gh", 0)]),
            [Bytes(b"ab"), Gap(4), Bytes(b"gh")]
        );
    }

    #[test]
    fn what_was_acknowledged_and_is_not_here_was_not_captured() {
        let mut stream = Stream::default();
        let mut out = Vec::new();
        stream.begin(99);
        stream.segment(103, b"de", 0, &mut out);
        stream.acknowledged(105, &mut out);
        stream.acknowledged(106, &mut out);
        assert_eq!(out, [Gap(3), Bytes(b"de")]);
    }

    #[test]
    fn a_flood_of_segments_that_wait_is_bounded() {
        let mut stream = Stream::default();
        let mut out = Vec::new();
        stream.begin(0);
        for n in 0..10_000 {
            stream.segment(10 + 2 * n, b"x", 0, &mut out);
            assert!(stream.waiting.len() <= WAITING);
        }
    }
}
