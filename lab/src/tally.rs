//! Counts what passed and what failed, and prints matrices.

use std::sync::{Mutex, PoisonError};

use crate::Result;
use crate::server::Kind;
use crate::topology::Topology;

/// The run's account; shared by the threads that fill it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    passed: usize,
    failures: Vec<String>,
}

impl Tally {
    /// Something that must hold holds.
    pub(crate) fn pass(&self) {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .passed += 1;
    }

    /// Something that must hold does not; said at the end.
    pub(crate) fn fail(&self, what: &str, why: &str) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.failures.push(format!("{what}: {why}"));
    }

    /// Counts a check, and prints it as a line of its own.
    pub(crate) fn check(&self, what: &str, result: Result<String>) {
        match result {
            Ok(note) => {
                println!(
                    "ok    {what}{}{note}",
                    if note.is_empty() { "" } else { ": " }
                );
                self.pass();
            }
            Err(failure) => {
                println!("FAIL  {what}");
                self.fail(what, &failure.to_string());
            }
        }
    }

    /// Prints the account; whether nothing failed.
    pub(crate) fn summary(&self) -> bool {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if !inner.failures.is_empty() {
            println!("\nfailures:");
            for failure in &inner.failures {
                println!("  {failure}");
            }
        }
        println!("\n{} passed, {} failed", inner.passed, inner.failures.len());
        inner.failures.is_empty()
    }
}

/// A table of rows with a name each and equally many cells.
#[derive(Debug)]
pub(crate) struct Matrix {
    columns: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
}

impl Matrix {
    /// A table with these column heads; the first is the head of the row names.
    pub(crate) fn new(columns: &[&str]) -> Self {
        Self {
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, name: &str, cells: Vec<String>) {
        self.rows.push((name.to_owned(), cells));
    }

    /// Prints it to standard output under a title.
    pub(crate) fn print(&self, title: &str) {
        let width = |column: usize| {
            let head = self
                .columns
                .get(column)
                .map_or(0, |head| head.chars().count());
            let cells = self
                .rows
                .iter()
                .map(|(name, cells)| match column.checked_sub(1) {
                    None => name.chars().count(),
                    Some(index) => cells.get(index).map_or(0, |cell| cell.chars().count()),
                });
            cells.max().unwrap_or(0).max(head)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let padded: Vec<String> = cells
                .zip(&widths)
                .enumerate()
                .map(|(column, (cell, width))| {
                    if column == 0 {
                        format!("{cell:<width$}")
                    } else {
                        format!("{cell:>width$}")
                    }
                })
                .collect();
            padded.join("  ").trim_end().to_owned()
        };
        println!("\n{title}");
        println!("{}", line(&mut self.columns.iter().map(String::as_str)));
        for (name, cells) in &self.rows {
            let mut all = std::iter::once(name.as_str()).chain(cells.iter().map(String::as_str));
            println!("{}", line(&mut all));
        }
    }
}

/// What a cell shows.
pub(crate) struct Judged {
    pub(crate) text: String,
    /// Why this is not what must be.
    pub(crate) fault: Option<String>,
}

/// The table of topologies × servers of a part, each cell judged by `meet`. Nearly all of a cell is waiting.
pub(crate) fn by_peers<const N: usize>(
    part: &str,
    rows: &[Topology],
    peers: &[Kind; N],
    tally: &Tally,
    meet: impl Fn(Topology, Kind) -> Result<Judged> + Sync,
) -> Matrix {
    let meetings: Vec<(Topology, Kind)> = rows
        .iter()
        .flat_map(|row| peers.map(|kind| (*row, kind)))
        .collect();
    let answers = concurrently(&meetings, 10, |(row, kind)| meet(*row, *kind));
    let mut heads = vec!["topology"];
    heads.extend(peers.map(Kind::name));
    let mut matrix = Matrix::new(&heads);
    let mut answers = meetings.iter().zip(answers);
    for row in rows {
        let mut shown = Vec::new();
        for ((_, kind), answer) in answers.by_ref().take(N) {
            let Judged { text, fault } = answer.unwrap_or_else(|failure| Judged {
                text: "?".to_owned(),
                fault: Some(failure.to_string()),
            });
            match fault {
                None => {
                    tally.pass();
                    shown.push(text);
                }
                Some(fault) => {
                    tally.fail(&format!("{part} / {} / {}", row.name, kind.name()), &fault);
                    shown.push(format!("{text} !!"));
                }
            }
        }
        matrix.push(row.name, shown);
    }
    matrix
}

/// Seconds as a cell shows them.
pub(crate) fn seconds(elapsed: std::time::Duration) -> String {
    format!("{:.1}s", elapsed.as_secs_f64())
}

/// Calls `work` for every item on `workers` threads and returns the answers in the items' order.
pub(crate) fn concurrently<T: Sync, R: Send>(
    items: &[T],
    workers: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let answers: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..workers.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    let answer = work(item);
                    answers
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((index, answer));
                }
            });
        }
    });
    let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
