//! Which TCP connections a capture holds: who opened them, whether they came about, how many bytes they carried, how
//! they ended. Their bytes are put in order elsewhere, and only for control connections.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::packet::{Packet, Segment};

/// A place in the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    /// Which packet.
    pub(super) index: usize,
    /// When; never before the packet in front of it.
    pub(super) at: Duration,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With a FIN.
    Orderly,
    /// With an RST of the side that had opened it.
    ResetByOpener,
    /// With an RST of the other side.
    ResetByListener,
}

/// A TCP connection, or the attempt of one.
#[derive(Debug)]
pub(super) struct Connection<'a> {
    /// Who sent the SYN; where the capture does not show it, who is likely to have.
    pub(super) opener: SocketAddr,
    /// Whom it went to.
    pub(super) listener: SocketAddr,
    /// Whether the capture shows a SYN.
    pub(super) seen_from_start: bool,
    /// The first packet.
    pub(super) first: Mark,
    /// The last SYN; later than `first` if it was repeated.
    pub(super) last_syn: Mark,
    /// The last packet.
    pub(super) last: Mark,
    /// From when on both sides had it.
    pub(super) established: Option<Mark>,
    /// The SYN was answered, and not with a SYN; in words, with `{to}` for the target.
    pub(super) refused: Option<(Mark, &'static str)>,
    /// Its first FIN or RST.
    pub(super) ended: Option<(Mark, End)>,
    /// What the opener sent.
    pub(super) from_opener: Flow<'a>,
    /// What the other side sent.
    pub(super) from_listener: Flow<'a>,
}

/// What is known of one direction without putting it in order.
#[derive(Debug, Default)]
pub(super) struct Flow<'a> {
    /// Sequence number of its first byte.
    begin: Option<u32>,
    /// The first bytes, as far as one segment holds them.
    pub(super) head: &'a [u8],
    /// How many bytes, captured or not.
    pub(super) bytes: u64,
}

impl<'a> Flow<'a> {
    fn syn(&mut self, sequence: u32) {
        self.begin.get_or_insert(sequence.wrapping_add(1));
    }

    fn segment(&mut self, segment: &Segment<'a>) {
        let length = segment.payload.len() as u64 + u64::from(segment.cut);
        if length == 0 {
            return;
        }
        let begin = *self.begin.get_or_insert(segment.sequence);
        if segment.sequence == begin && self.head.is_empty() {
            self.head = segment.payload;
        }
        // Where it ends, counted from the first byte; sequence numbers wrap after 4 GiB.
        let wrapped = u64::from(u32::MAX) + 1;
        let place = u64::from(segment.sequence.wrapping_sub(begin));
        let round = self.bytes / wrapped;
        let here = round * wrapped + place;
        let nearest = [here.checked_sub(wrapped), Some(here), Some(here + wrapped)];
        let nearest = nearest
            .into_iter()
            .flatten()
            .min_by_key(|candidate| candidate.abs_diff(self.bytes))
            .unwrap_or(here);
        // A jump by half of the numbers is no part of this stream.
        if nearest.abs_diff(self.bytes) < wrapped / 2 {
            self.bytes = self.bytes.max(nearest + length);
        }
    }
}

impl Connection<'_> {
    /// Both directions together.
    pub(super) fn bytes(&self) -> u64 {
        self.from_opener
            .bytes
            .saturating_add(self.from_listener.bytes)
    }
}

/// A packet of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    /// Which connection.
    pub(super) connection: usize,
    /// Sent by the opener.
    pub(super) by_opener: bool,
    /// Where it stands.
    pub(super) mark: Mark,
    /// The segment.
    pub(super) segment: Segment<'a>,
}

/// All connections of a capture.
#[derive(Debug, Default)]
pub(super) struct Connections<'a> {
    /// In the order of their first packets.
    pub(super) all: Vec<Connection<'a>>,
    /// Every packet of them, in the order of the capture.
    pub(super) parts: Vec<Part<'a>>,
    /// The latest connection between two ends.
    current: HashMap<(SocketAddr, SocketAddr), usize>,
}

impl<'a> Connections<'a> {
    /// Takes the next packet.
    pub(super) fn take(&mut self, packet: &Packet<'a>, mark: Mark) {
        match packet {
            Packet::Tcp(segment) => self.segment(segment, mark),
            Packet::Unreachable { from, to, why } => {
                let found = self.current.get(&pair(*from, *to)).copied();
                if let Some(connection) = found.and_then(|index| self.all.get_mut(index))
                    && connection.opener == *from
                    && connection.established.is_none()
                    && connection.refused.is_none()
                {
                    connection.refused = Some((mark, why));
                    connection.last = mark;
                }
            }
        }
    }

    fn segment(&mut self, segment: &Segment<'a>, mark: Mark) {
        let key = pair(segment.from, segment.to);
        let known = self.current.get(&key).copied();
        let fresh_syn = segment.syn && segment.acknowledged.is_none();
        let index = match known {
            Some(index) if !(fresh_syn && self.is_another(index, segment)) => index,
            // An answer to something before the capture began tells nothing.
            None if segment.rst => return,
            _ => {
                let index = self.all.len();
                self.all.push(begun(segment, mark));
                self.current.insert(key, index);
                index
            }
        };
        let Some(connection) = self.all.get_mut(index) else {
            return;
        };
        let by_opener = connection.opener == segment.from;
        connection.note(segment, by_opener, mark);
        self.parts.push(Part {
            connection: index,
            by_opener,
            mark,
            segment: *segment,
        });
    }

    /// Whether a SYN begins another connection between the same ends.
    fn is_another(&self, index: usize, segment: &Segment<'_>) -> bool {
        let Some(known) = self.all.get(index) else {
            return true;
        };
        let flow = if known.opener == segment.from {
            &known.from_opener
        } else {
            return known.ended.is_some() || known.refused.is_some();
        };
        flow.begin != Some(segment.sequence.wrapping_add(1))
    }
}

/// The key of a connection, the same for both directions.
fn pair(one: SocketAddr, other: SocketAddr) -> (SocketAddr, SocketAddr) {
    if one <= other {
        (one, other)
    } else {
        (other, one)
    }
}

fn begun<'a>(segment: &Segment<'a>, mark: Mark) -> Connection<'a> {
    let forward = if segment.syn {
        segment.acknowledged.is_none()
    } else {
        // The beginning is not here: servers have the lower port.
        segment.from.port() > segment.to.port()
    };
    let (opener, listener) = if forward {
        (segment.from, segment.to)
    } else {
        (segment.to, segment.from)
    };
    Connection {
        opener,
        listener,
        seen_from_start: segment.syn,
        first: mark,
        last_syn: mark,
        last: mark,
        established: (!segment.syn).then_some(mark),
        refused: None,
        ended: None,
        from_opener: Flow::default(),
        from_listener: Flow::default(),
    }
}

impl<'a> Connection<'a> {
    fn note(&mut self, segment: &Segment<'a>, by_opener: bool, mark: Mark) {
        self.last = mark;
        let flow = if by_opener {
            &mut self.from_opener
        } else {
            &mut self.from_listener
        };
        if segment.syn {
            flow.syn(segment.sequence);
            if by_opener {
                self.last_syn = mark;
            }
        }
        // An RST may carry text; it is no part of the stream.
        if !segment.rst {
            flow.segment(segment);
        }
        let answers = !by_opener && segment.syn && segment.acknowledged.is_some();
        if self.established.is_none() && (answers || !(segment.syn || segment.rst)) {
            self.established = Some(mark);
        }
        if segment.rst {
            if self.established.is_none() {
                self.refused
                    .get_or_insert((mark, "{to} refused the connection"));
            } else if self.ended.is_none() {
                let end = if by_opener {
                    End::ResetByOpener
                } else {
                    End::ResetByListener
                };
                self.ended = Some((mark, end));
            }
        } else if segment.fin && self.ended.is_none() {
            self.ended = Some((mark, End::Orderly));
        }
    }
}
