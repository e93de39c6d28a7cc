//! One entry of the queue, and the rules by which it changes. Time is an argument, in seconds since 1970.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::exit::Exit;

/// The wait after the first failure; it doubles up to [`LONGEST`].
const DELAY: u64 = 5;

/// Seconds.
const LONGEST: u64 = 600;

/// Where an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    /// To be carried out.
    Waiting,
    /// Being carried out, as long as somebody runs the queue; after a crash it waits.
    Running,
    /// Somebody has paused it.
    Paused,
    /// It failed in a way that does not pass, or too often.
    Failed,
}

impl Standing {
    /// Its word, as the file and `list` have it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Failed => "failed",
        }
    }
}

/// A command to be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item {
    /// What people call it by; never given twice as long as the file lives.
    pub(crate) number: u64,
    /// The command line behind `wharf`.
    pub(crate) words: Vec<String>,
    /// Where it is carried out: relative names in it mean something there.
    pub(crate) directory: PathBuf,
    pub(crate) standing: Standing,
    /// Failures that may have passed since.
    #[serde(default)]
    pub(crate) failures: u32,
    /// Not before this time.
    #[serde(default)]
    pub(crate) not_before: u64,
    /// How it last ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) exit: Option<u8>,
}

/// Failures that may pass without anything being changed.
const PASSING: &[Exit] = &[
    Exit::Unreachable,
    Exit::DataConnection,
    Exit::Timeout,
    Exit::Truncated,
    Exit::Busy,
];

impl Item {
    /// Whether it may begin now.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        self.standing == Standing::Waiting && self.not_before <= now
    }

    /// It ended with this status, `None`: by a signal. `false`: it is done and goes.
    pub(crate) fn ended(&mut self, status: Option<u8>, most: u32, now: u64) -> bool {
        self.exit = status;
        let Some(code) = status else {
            // Somebody stopped it, or the machine is going down: it is as it was.
            if self.standing == Standing::Running {
                self.standing = Standing::Waiting;
            }
            return true;
        };
        if code == Exit::Done.code() {
            return false;
        }
        if self.standing != Standing::Running {
            // Paused meanwhile.
            return true;
        }
        let passes = PASSING.iter().any(|exit| exit.code() == code);
        let interrupted = [Exit::Interrupted, Exit::Terminated].map(Exit::code);
        if interrupted.contains(&code) {
            self.standing = Standing::Waiting;
        } else if passes && self.failures < most {
            let delay = DELAY.saturating_mul(1 << self.failures.min(16));
            self.failures += 1;
            self.standing = Standing::Waiting;
            self.not_before = now.saturating_add(delay.min(LONGEST));
        } else {
            self.standing = Standing::Failed;
        }
        true
    }

    /// Somebody wants it to go on, at once.
    pub(crate) fn resume(&mut self) {
        if matches!(self.standing, Standing::Paused | Standing::Failed) {
            self.standing = Standing::Waiting;
        }
        (self.failures, self.not_before) = (0, 0);
    }

    /// The words that carry it out: what has begun is gone on with.
    pub(crate) fn words_to_run(&self) -> Vec<String> {
        let mut words = self.words.clone();
        let resumes = self
            .words
            .first()
            .is_some_and(|verb| verb == "get" || verb == "put");
        let streams = self.words.iter().any(|word| word == "-");
        let asked = self
            .words
            .iter()
            .any(|word| word == "-c" || word == "--continue");
        if resumes && !streams && !asked {
            words.insert(1, "--continue".to_owned());
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(words: &[&str]) -> Item {
        Item {
            number: 1,
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            directory: PathBuf::from("/"),
            standing: Standing::Running,
            failures: 0,
            not_before: 0,
            exit: None,
        }
    }

    #[test]
    fn what_may_pass_is_tried_later_and_the_rest_is_not() {
        let mut busy = item(&["get", "x"]);
        let mut waits = Vec::new();
        for _ in 0..3 {
            busy.standing = Standing::Running;
            assert!(busy.ended(Some(14), 3, 100));
            assert_eq!(busy.standing, Standing::Waiting);
            assert!(!busy.is_due(100));
            waits.push(busy.not_before - 100);
        }
        assert_eq!(waits, [5, 10, 20]);
        busy.standing = Standing::Running;
        assert!(busy.ended(Some(14), 3, 100));
        assert_eq!(busy.standing, Standing::Failed);
        busy.resume();
        assert!(busy.is_due(0));
        for (status, standing) in [
            (Some(5), Standing::Failed),
            (Some(13), Standing::Failed),
            (Some(143), Standing::Waiting),
            (None, Standing::Waiting),
        ] {
            let mut item = item(&["get", "x"]);
            assert!(item.ended(status, 3, 0));
            assert_eq!(item.standing, standing, "{status:?}");
        }
        assert!(!item(&["get", "x"]).ended(Some(0), 3, 0), "done, and gone");
    }

    #[test]
    fn what_was_paused_while_it_ran_stays_paused() {
        let mut item = item(&["get", "x"]);
        item.standing = Standing::Paused;
        assert!(item.ended(Some(143), 3, 0));
        assert_eq!(item.standing, Standing::Paused);
    }

    #[test]
    fn what_was_begun_is_gone_on_with() {
        assert_eq!(
            item(&["get", "x"]).words_to_run(),
            ["get", "--continue", "x"]
        );
        assert_eq!(item(&["get", "-c", "x"]).words_to_run(), ["get", "-c", "x"]);
        assert_eq!(
            item(&["mirror", "a", "b"]).words_to_run(),
            ["mirror", "a", "b"]
        );
    }
}
