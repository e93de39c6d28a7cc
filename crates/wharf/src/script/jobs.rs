//! Commands that run beside the others: `command &`, the queue, `jobs`, `wait`, `kill`.
//!
//! Each has a session of its own and runs on the same thread, so nothing here is locked.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::syntax::Word;

/// How a job ended, or that it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// With this status.
    Ended(u8),
}

struct Job {
    number: usize,
    /// As it was typed, passwords left out.
    text: String,
    state: State,
    task: Option<AbortHandle>,
}

/// All jobs of a program. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Jobs {
    books: Rc<RefCell<Books>>,
    ended: Rc<Notify>,
}

#[derive(Default)]
struct Books {
    last: usize,
    jobs: Vec<Job>,
    queue: VecDeque<Queued>,
    /// Whoever works on the queue.
    workers: usize,
    stopped: bool,
}

/// A command that waits for its turn.
#[derive(Clone, Debug)]
pub(super) struct Queued {
    pub(super) text: Vec<u8>,
    pub(super) shown: String,
}

impl Jobs {
    /// Numbers a new job.
    pub(super) fn begin(&self, text: String) -> usize {
        let mut books = self.books.borrow_mut();
        if !books.jobs.iter().any(|job| job.state == State::Running) {
            books.last = books.jobs.iter().map(|job| job.number).max().unwrap_or(0);
        }
        books.last += 1;
        let number = books.last;
        books.jobs.push(Job {
            number,
            text,
            state: State::Running,
            task: None,
        });
        number
    }

    /// How a job can be ended.
    pub(super) fn runs_as(&self, number: usize, task: AbortHandle) {
        let mut books = self.books.borrow_mut();
        if let Some(job) = books.jobs.iter_mut().find(|job| job.number == number) {
            job.task = Some(task);
        }
    }

    pub(super) fn end(&self, number: usize, status: u8) {
        let mut books = self.books.borrow_mut();
        if let Some(job) = books.jobs.iter_mut().find(|job| job.number == number) {
            job.state = State::Ended(status);
            job.task = None;
        }
        drop(books);
        self.ended.notify_waiters();
    }

    /// Number, text and state of each, in order.
    pub(super) fn list(&self) -> Vec<(usize, String, State)> {
        let books = self.books.borrow();
        let jobs = books.jobs.iter();
        jobs.map(|job| (job.number, job.text.clone(), job.state))
            .collect()
    }

    pub(super) fn state(&self, number: usize) -> Option<State> {
        let books = self.books.borrow();
        let job = books.jobs.iter().find(|job| job.number == number)?;
        Some(job.state)
    }

    /// The one that was begun last and runs.
    pub(super) fn latest(&self) -> Option<usize> {
        let books = self.books.borrow();
        let mut running = books.jobs.iter().filter(|job| job.state == State::Running);
        running.next_back().map(|job| job.number)
    }

    pub(super) fn running(&self) -> Vec<usize> {
        let books = self.books.borrow();
        let running = books.jobs.iter().filter(|job| job.state == State::Running);
        running.map(|job| job.number).collect()
    }

    /// Waits for the end of a job and forgets it; its status, `None` when there is no such job.
    pub(super) async fn wait(&self, number: usize) -> Option<u8> {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            ended.as_mut().enable();
            match self.state(number)? {
                State::Ended(status) => {
                    self.forget(number);
                    return Some(status);
                }
                State::Running => ended.await,
            }
        }
    }

    fn forget(&self, number: usize) {
        self.books
            .borrow_mut()
            .jobs
            .retain(|job| job.number != number);
    }

    /// Forgets those that have ended, and says how: for whoever has waited for none of them.
    pub(super) fn collect(&self) -> Vec<u8> {
        let mut statuses = Vec::new();
        self.books.borrow_mut().jobs.retain(|job| match job.state {
            State::Running => true,
            State::Ended(status) => {
                statuses.push(status);
                false
            }
        });
        statuses
    }

    /// Ends a job; whether there was one.
    pub(super) fn kill(&self, number: usize) -> bool {
        let mut books = self.books.borrow_mut();
        let found = books.jobs.iter_mut().find(|job| job.number == number);
        let Some(job) = found.filter(|job| job.state == State::Running) else {
            return false;
        };
        if let Some(task) = job.task.take() {
            task.abort();
        }
        // Who has ended it knows.
        books.jobs.retain(|job| job.number != number);
        drop(books);
        self.ended.notify_waiters();
        true
    }

    /// Adds a command to the queue.
    pub(super) fn enqueue(&self, queued: Queued) {
        self.books.borrow_mut().queue.push_back(queued);
    }

    pub(super) fn queued(&self) -> Vec<String> {
        let books = self.books.borrow();
        books.queue.iter().map(|it| it.shown.clone()).collect()
    }

    /// Takes out the one at this place (from 1), the last where none is named.
    pub(super) fn dequeue(&self, place: Option<usize>) -> Option<Queued> {
        let mut books = self.books.borrow_mut();
        let at = match place {
            Some(place) => place.checked_sub(1)?,
            None => books.queue.len().checked_sub(1)?,
        };
        books.queue.remove(at)
    }

    /// Puts the one at a place in front of another, or at the end.
    pub(super) fn requeue(&self, from: usize, before: Option<usize>) -> bool {
        let Some(queued) = self.dequeue(Some(from)) else {
            return false;
        };
        let mut books = self.books.borrow_mut();
        let end = books.queue.len();
        let at = before.map_or(end, |before| before.saturating_sub(1).min(end));
        books.queue.insert(at, queued);
        true
    }

    /// The next for a worker; without one it is a worker no more.
    pub(super) fn next_queued(&self) -> Option<Queued> {
        let mut books = self.books.borrow_mut();
        let next = if books.stopped {
            None
        } else {
            books.queue.pop_front()
        };
        if next.is_none() {
            books.workers -= 1;
        }
        next
    }

    /// Whether another worker is wanted, where there may be so many; it is counted.
    pub(super) fn hire(&self, most: usize) -> bool {
        let mut books = self.books.borrow_mut();
        let wanted = !books.stopped && !books.queue.is_empty() && books.workers < most.max(1);
        books.workers += usize::from(wanted);
        wanted
    }

    pub(super) fn dismissed(&self) {
        let mut books = self.books.borrow_mut();
        books.workers = books.workers.saturating_sub(1);
    }

    pub(super) fn stop(&self, stopped: bool) {
        self.books.borrow_mut().stopped = stopped;
    }
}

/// A command as it may be shown: without passwords.
pub(super) fn shown(words: &[Word]) -> String {
    let mut hidden = words.to_vec();
    let open = words
        .first()
        .is_some_and(|word| word.text == b"open" || word.text == b"user");
    for at in 0..hidden.len() {
        let after_u = at > 0 && matches!(words[at - 1].text.as_slice(), b"-u" | b"--user");
        if open
            && after_u
            && let Some(comma) = hidden[at].text.iter().position(|byte| *byte == b',')
        {
            hidden[at].text.truncate(comma);
        }
        if at == 2 && words[0].text == b"user" {
            hidden[at].text = b"****".to_vec();
        }
    }
    let text: Vec<String> = hidden
        .iter()
        .map(|word| String::from_utf8_lossy(&word.quoted()).into_owned())
        .collect();
    let line = crate::editor::without_url_password(&text.join(" "));
    wharf_proto::visible(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_numbered_and_their_end_is_told_once() {
        let jobs = Jobs::default();
        assert_eq!(jobs.begin("a".to_owned()), 1);
        assert_eq!(jobs.begin("b".to_owned()), 2);
        jobs.end(1, 5);
        assert_eq!(jobs.state(1), Some(State::Ended(5)));
        assert_eq!(jobs.running(), [2]);
        assert_eq!(jobs.collect(), [5]);
        assert_eq!(jobs.state(1), None);
        assert_eq!(jobs.latest(), Some(2));
        assert!(jobs.kill(2));
        assert!(!jobs.kill(2));
    }

    #[test]
    fn the_queue_keeps_its_order() {
        let jobs = Jobs::default();
        let add = |text: &str| {
            jobs.enqueue(Queued {
                text: text.as_bytes().to_vec(),
                shown: text.to_owned(),
            });
        };
        for text in ["a", "b", "c"] {
            add(text);
        }
        assert!(jobs.requeue(3, Some(1)));
        assert_eq!(jobs.queued(), ["c", "a", "b"]);
        assert_eq!(jobs.dequeue(Some(2)).unwrap().shown, "a");
        assert_eq!(jobs.dequeue(None).unwrap().shown, "b");
        assert!(jobs.hire(1));
        assert!(!jobs.hire(1));
        jobs.stop(true);
        assert!(jobs.next_queued().is_none());
        jobs.stop(false);
        assert!(jobs.hire(1));
        assert_eq!(jobs.next_queued().unwrap().shown, "c");
        assert!(jobs.next_queued().is_none());
    }

    #[test]
    fn passwords_are_not_shown() {
        for (line, expected) in [
            ("open -u me,secret host", "open -u me host"),
            ("user me secret", "user me ****"),
            ("get ftp://me:secret@h/f", "get ftp://me@h/f"),
            ("get -u a,b", "get -u a,b"),
        ] {
            let words: Vec<Word> = line.split(' ').map(Word::plain).collect();
            assert_eq!(shown(&words), expected);
        }
    }
}
