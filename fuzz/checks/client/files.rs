//! What the generated server holds, and what it remembers of what it did: for the judgement.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Files with their lengths. Their bytes follow from name and place, so that a wrong offset is seen.
pub(crate) const FILES: &[(&str, usize)] = &[
    ("file", 1000),
    ("empty", 0),
    ("one", 1),
    ("big", 70_000),
    ("sub/file", 8192),
    ("sub/deep/file", 8193),
];

/// Names that a listing shows and that must never be followed out of a directory, or be run.
pub(crate) const HOSTILE: &[&[u8]] = &[
    b"../evil",
    b"..",
    b".",
    b"/tmp/evil",
    b"../../evil",
    b"sub/../../evil",
    b"|touch evil",
    b"a\rb",
    b"\x1b[2Jclear",
    b"C:evil",
    b"\\\\host\\evil",
    b"..\\evil",
    b"CON",
    b"FILE",
    b"file ",
    b"-rf",
    b"~root",
    b".part",
    b"file.part",
    b"\xff\xfe",
    b"",
];

/// Most bytes that any content has.
const LONGEST: u32 = 100_000;

/// What a file holds from `from` on, up to `to`.
pub(crate) fn content(name: &str, from: usize, to: usize) -> &'static [u8] {
    static NOISE: OnceLock<Vec<u8>> = OnceLock::new();
    let noise = NOISE.get_or_init(|| {
        let byte = |at: u32| (at.wrapping_mul(0x9e37_79b1) >> 24) as u8;
        (0..LONGEST + 64).map(byte).collect()
    });
    // Each name has its own, as far as their lengths differ.
    let shift = name.len() % 64;
    noise.get(shift + from..shift + to).unwrap_or_default()
}

pub(crate) fn length(name: &str) -> Option<usize> {
    let known = FILES.iter().find(|(known, _)| *known == name)?;
    Some(known.1)
}

/// One RETR or STOR as the server saw it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transfer {
    pub(crate) name: String,
    pub(crate) upload: bool,
    pub(crate) offset: usize,
    /// Bytes of the file that were sent, or received.
    pub(crate) moved: usize,
    /// Bytes sent that are not in the file.
    pub(crate) more: usize,
    /// Received bytes are not those of the file that was sent.
    pub(crate) wrong: bool,
    /// The data connection ended with a FIN; otherwise it was reset or is open.
    pub(crate) ended: bool,
    /// It was to be in TLS.
    pub(crate) protected: bool,
    /// It ended with a FIN inside TLS, without close_notify.
    pub(crate) cut: bool,
    /// What was said at the end, if the server said it as it should.
    pub(crate) reply: Option<u16>,
}

/// What the server remembers.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) transfers: Vec<Transfer>,
    /// Answers to SIZE and MLST that were not the truth.
    pub(crate) lies: usize,
    /// Those that were.
    pub(crate) sizes: Vec<String>,
    /// Replies were added or left out somewhere: from then on the client cannot know which of them is whose.
    pub(crate) out_of_step: bool,
    /// REST was refused in words, and heeded.
    pub(crate) marker_denied: bool,
    /// A password came, or a file was sent or received, in clear.
    pub(crate) bared: bool,
    /// Bytes that the server has sent in listings and replies.
    pub(crate) said: usize,
}

/// What there was of it at some time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) transfers: usize,
    pub(crate) lies: usize,
    pub(crate) sizes: usize,
}

impl Log {
    pub(crate) fn moment(&self) -> Moment {
        Moment {
            transfers: self.transfers.len(),
            lies: self.lies,
            sizes: self.sizes.len(),
        }
    }
}

#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Log>>);

impl Memory {
    pub(crate) fn look(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, transfer: Transfer) -> usize {
        let mut log = self.look();
        log.transfers.push(transfer);
        log.transfers.len() - 1
    }

    pub(crate) fn change(&self, at: usize, change: impl FnOnce(&mut Transfer)) {
        if let Some(transfer) = self.look().transfers.get_mut(at) {
            change(transfer);
        }
    }
}
