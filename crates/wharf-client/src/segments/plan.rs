//! Who fetches which piece of a file: pure, so that every order of events can be tried.
//!
//! A piece is a run of bytes that one connection fetches; its end may come nearer while it runs, because another
//! connection that has nothing to do takes over the second half of what is left. Where two pieces meet is a *seam*.
//! A seam is open until somebody has read across it and found the bytes on both sides to be those on the disk: a
//! server that ignores REST, begins at another byte, or whose file has changed is found out there. A file is whole when
//! every byte is there and no seam is open.

use std::collections::{BTreeMap, BTreeSet};

use super::ranges::{Range, Ranges};

/// Name of a piece while it is fetched.
pub(crate) type PieceId = u64;

/// What a connection is to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Fetch from `start` on, after having compared the `before` bytes in front of it with the disk.
    Fetch {
        id: PieceId,
        start: u64,
        before: u64,
    },
    /// Nothing is missing but a look: read this range and compare it with the disk, for the seam in it.
    Look { seam: u64, range: Range },
    /// Others are at work, and what is left is not worth sharing.
    Wait,
    /// Everything is there, and compared.
    Done,
}

/// What may be done with bytes that a piece has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Where they belong.
    pub(crate) at: u64,
    /// So many of them; the rest is beyond the piece's end, to be compared.
    pub(crate) bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    start: u64,
    /// Up to here bytes were claimed.
    at: u64,
    end: u64,
}

/// The state of one download.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    size: u64,
    least: u64,
    overlap: u64,
    got: Ranges,
    open: BTreeSet<u64>,
    pieces: BTreeMap<PieceId, Piece>,
    looked_at: BTreeSet<u64>,
    next: PieceId,
}

impl Plan {
    /// `got` and `open`: what an earlier run has left. `least`: no piece is split into smaller ones. `overlap`: bytes
    /// that are compared at a seam, on each side.
    pub(crate) fn new(
        size: u64,
        got: Ranges,
        open: BTreeSet<u64>,
        least: u64,
        overlap: u64,
    ) -> Self {
        let mut plan = Self {
            size,
            least: least.max(1),
            overlap: overlap.max(1),
            got,
            open,
            pieces: BTreeMap::new(),
            looked_at: BTreeSet::new(),
            next: 0,
        };
        // A seam that is not between two parts that are there will be compared when its gap is filled.
        plan.open = std::mem::take(&mut plan.open)
            .into_iter()
            .filter(|seam| plan.is_inside(*seam))
            .collect();
        plan
    }

    fn is_inside(&self, seam: u64) -> bool {
        seam > 0
            && seam < self.size
            && self
                .got
                .contains(Range::new(seam - 1, seam.saturating_add(1)))
    }

    /// What is on the disk.
    pub(crate) fn got(&self) -> &Ranges {
        &self.got
    }

    /// Seams that nobody has compared yet.
    pub(crate) fn open(&self) -> &BTreeSet<u64> {
        &self.open
    }

    /// Whether the file is whole.
    pub(crate) fn is_done(&self) -> bool {
        self.got.contains(Range::new(0, self.size)) && self.open.is_empty()
    }

    /// Something to do for a connection that has nothing to do.
    pub(crate) fn take(&mut self) -> Task {
        if self.is_done() {
            return Task::Done;
        }
        if let Some(gap) = self.free_gap() {
            return self.begin(gap);
        }
        let longest = self
            .pieces
            .iter()
            .max_by_key(|(_, piece)| piece.end - piece.at)
            .map(|(id, piece)| (*id, *piece));
        if let Some((id, piece)) = longest
            && piece.end - piece.at >= self.least.saturating_mul(2)
        {
            let middle = piece.at + (piece.end - piece.at) / 2;
            if let Some(piece) = self.pieces.get_mut(&id) {
                piece.end = middle;
            }
            self.open.insert(middle);
            return self.begin(Range::new(middle, piece.end));
        }
        // Those with bytes on both sides and nobody who will come across them.
        let seam = self.open.iter().copied().find(|seam| {
            self.is_inside(*seam)
                && !self.looked_at.contains(seam)
                && self.pieces.values().all(|piece| piece.end != *seam)
        });
        match seam {
            Some(seam) => {
                self.looked_at.insert(seam);
                let mut range = Range::new(
                    seam.saturating_sub(self.overlap),
                    seam.saturating_add(self.overlap).min(self.size),
                );
                // Around it what is there, and only that.
                if let Some(there) = self.got.iter().find(|it| it.start < seam && seam < it.end) {
                    range.start = range.start.max(there.start);
                    range.end = range.end.min(there.end);
                }
                Task::Look { seam, range }
            }
            None => Task::Wait,
        }
    }

    /// The longest part that is neither there nor anybody's.
    fn free_gap(&self) -> Option<Range> {
        let mut taken = self.got.clone();
        for piece in self.pieces.values() {
            // What it has claimed and not written yet is its own, too.
            taken.insert(Range::new(piece.start, piece.end));
        }
        let gaps = taken.gaps(self.size).into_iter();
        gaps.max_by_key(|gap| (gap.length(), std::cmp::Reverse(gap.start)))
    }

    fn begin(&mut self, range: Range) -> Task {
        let id = self.next;
        self.next += 1;
        let before = self
            .got
            .iter()
            .find(|it| it.end == range.start)
            .map_or(0, |it| it.length().min(self.overlap));
        if range.end < self.size {
            self.open.insert(range.end);
        }
        let piece = Piece {
            start: range.start,
            at: range.start,
            end: range.end,
        };
        self.pieces.insert(id, piece);
        Task::Fetch {
            id,
            start: range.start,
            before,
        }
    }

    /// The bytes in front of a piece's start were compared, and are those on the disk.
    pub(crate) fn agreed(&mut self, seam: u64) {
        self.open.remove(&seam);
        self.looked_at.remove(&seam);
    }

    /// Somebody has read across this seam, and compares as soon as the bytes behind it are there.
    pub(crate) fn witnessed(&mut self, seam: u64) {
        self.looked_at.insert(seam);
    }

    /// A look came to nothing; somebody else may try.
    pub(crate) fn not_looked(&mut self, seam: u64) {
        self.looked_at.remove(&seam);
    }

    /// A piece has received so many bytes: where they go. After this nobody else fetches them.
    pub(crate) fn claim(&mut self, id: PieceId, bytes: u64) -> Claim {
        let Some(piece) = self.pieces.get_mut(&id) else {
            return Claim { at: 0, bytes: 0 };
        };
        let at = piece.at;
        let bytes = bytes.min(piece.end - at);
        piece.at += bytes;
        Claim { at, bytes }
    }

    /// Where a piece ends, as things stand.
    pub(crate) fn end_of(&self, id: PieceId) -> u64 {
        self.pieces.get(&id).map_or(0, |piece| piece.end)
    }

    /// So many bytes behind a seam are worth being read for the comparison.
    pub(crate) fn behind(&self, seam: u64) -> u64 {
        self.overlap.min(self.size.saturating_sub(seam))
    }

    /// Claimed bytes are in the file.
    pub(crate) fn written(&mut self, range: Range) {
        self.got.insert(range);
    }

    /// A piece ends, whole or not. What it has not written is free for others.
    pub(crate) fn release(&mut self, id: PieceId) {
        self.pieces.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fresh(size: u64) -> Plan {
        Plan::new(size, Ranges::default(), BTreeSet::new(), 4, 3)
    }

    fn fetched(task: &Task) -> (PieceId, u64) {
        match task {
            Task::Fetch { id, start, .. } => (*id, *start),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_longest_piece_is_shared() {
        let mut plan = fresh(64);
        let starts: Vec<u64> = (0..4).map(|_| fetched(&plan.take()).1).collect();
        assert_eq!(starts, [0, 32, 48, 16]);
        assert_eq!(plan.open(), &BTreeSet::from([16, 32, 48]));
        // What has been claimed is not given away.
        assert_eq!(plan.claim(0, 10), Claim { at: 0, bytes: 10 });
        assert_eq!(plan.claim(0, 10), Claim { at: 10, bytes: 6 });
        assert_eq!(plan.claim(0, 10), Claim { at: 16, bytes: 0 });
    }

    #[test]
    fn what_a_broken_piece_has_not_written_is_fetched_again_and_compared() {
        let mut plan = fresh(8);
        let (id, _) = fetched(&plan.take());
        plan.claim(id, 6);
        plan.written(Range::new(0, 5));
        plan.release(id);
        assert_eq!(
            plan.take(),
            Task::Fetch {
                id: 1,
                start: 5,
                before: 3
            }
        );
    }

    #[test]
    fn a_seam_that_nobody_compared_is_looked_at() {
        let mut got = Ranges::default();
        got.insert(Range::new(0, 20));
        let mut plan = Plan::new(20, got, BTreeSet::from([0, 7, 20, 99]), 4, 3);
        assert!(!plan.is_done());
        assert_eq!(
            plan.take(),
            Task::Look {
                seam: 7,
                range: Range::new(4, 10)
            }
        );
        assert_eq!(plan.take(), Task::Wait);
        plan.agreed(7);
        assert_eq!(plan.take(), Task::Done);
    }

    /// A server, connections that break when they like, a machine that dies when it likes: at the end every byte is there,
    /// and every place where two connections met was compared by one that read across it.
    #[derive(Clone, Debug)]
    enum Event {
        /// A connection asks for work.
        Take,
        /// A connection receives so many bytes, and they are written.
        Receive(usize, u64),
        /// A connection breaks.
        Break(usize),
        /// Everything is lost but the file and the journal.
        Die,
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            3 => Just(Event::Take),
            8 => (0_usize..6, 1_u64..20).prop_map(|(who, bytes)| Event::Receive(who, bytes)),
            1 => (0_usize..6).prop_map(Event::Break),
            1 => Just(Event::Die),
        ];
        prop::collection::vec(event, 0..200)
    }

    /// A connection in the model.
    struct Worker {
        id: PieceId,
        at: u64,
    }

    struct Model {
        plan: Plan,
        workers: Vec<Worker>,
        /// Which connection has brought each byte; 0: none.
        brought: Vec<u64>,
        /// Pairs of connections whose meeting was compared, by place.
        compared: BTreeSet<u64>,
        connections: u64,
        names: BTreeMap<PieceId, u64>,
    }

    impl Model {
        fn task(&mut self, task: Task) {
            match task {
                Task::Fetch { id, start, before } => {
                    assert!(before <= start);
                    if before > 0 {
                        self.compared.insert(start);
                        self.plan.agreed(start);
                    }
                    self.connections += 1;
                    self.names.insert(id, self.connections);
                    self.workers.push(Worker { id, at: start });
                }
                Task::Look { seam, range } => {
                    assert!(range.start < seam && seam < range.end);
                    for at in range.start..range.end {
                        assert_ne!(self.brought[usize::try_from(at).unwrap()], 0);
                    }
                    self.compared.insert(seam);
                    self.plan.agreed(seam);
                }
                Task::Wait | Task::Done => {}
            }
        }

        fn receive(&mut self, who: usize, bytes: u64) {
            let Some(worker) = self.workers.get_mut(who) else {
                return;
            };
            let claim = self.plan.claim(worker.id, bytes);
            assert_eq!(claim.at, worker.at);
            for at in claim.at..claim.at + claim.bytes {
                let byte = &mut self.brought[usize::try_from(at).unwrap()];
                assert_eq!(*byte, 0, "byte {at} was fetched twice");
                *byte = self.names[&worker.id];
            }
            worker.at += claim.bytes;
            self.plan.written(Range::new(claim.at, worker.at));
            if worker.at >= self.plan.end_of(worker.id) {
                let worker = self.workers.remove(who);
                let seam = self.plan.end_of(worker.id);
                // It reads on behind its end; compared where the bytes are there already.
                let behind = self.plan.behind(seam);
                if behind > 0 && self.plan.got().contains(Range::new(seam, seam + behind)) {
                    self.compared.insert(seam);
                    self.plan.agreed(seam);
                }
                self.plan.release(worker.id);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn every_byte_comes_once_and_every_seam_is_compared(size in 1_u64..200, events in events()) {
            let mut model = Model {
                plan: fresh(size),
                workers: Vec::new(),
                brought: vec![0; usize::try_from(size).unwrap()],
                compared: BTreeSet::new(),
                connections: 0,
                names: BTreeMap::new(),
            };
            for event in events {
                match event {
                    Event::Take if model.workers.len() < 6 => {
                        let task = model.plan.take();
                        model.task(task);
                    }
                    Event::Take => {}
                    Event::Receive(who, bytes) => model.receive(who, bytes),
                    Event::Break(who) => if who < model.workers.len() {
                        let worker = model.workers.remove(who);
                        model.plan.release(worker.id);
                    }
                    Event::Die => {
                        let (got, open) = (model.plan.got().clone(), model.plan.open().clone());
                        model.plan = Plan::new(size, got, open, 4, 3);
                        model.workers.clear();
                    }
                }
            }
            // From here on nothing goes wrong any more.
            for _ in 0..1000 {
                let task = model.plan.take();
                if task == Task::Done {
                    break;
                }
                model.task(task);
                for who in (0..model.workers.len()).rev() {
                    model.receive(who, 7);
                }
            }
            prop_assert!(model.plan.is_done());
            for at in 1..size {
                let (left, right) = (model.brought[usize::try_from(at - 1).unwrap()], model.brought[usize::try_from(at).unwrap()]);
                prop_assert!(left != 0 && right != 0);
                prop_assert!(left == right || model.compared.contains(&at), "seam {at}");
            }
        }
    }
}
