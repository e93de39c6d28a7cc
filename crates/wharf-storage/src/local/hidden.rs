//! The names that belong to unfinished uploads. Clients can neither see nor use any of them.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::{Error, ErrorKind, Result};

/// Everything that begins like this is ours, in any case: some file systems do not tell cases apart.
const RESERVED: &[u8] = b".wharf-";
const PARTIAL: &[u8] = b".wharf-partial.";
const UPLOAD_END: &[u8] = b".part";

/// The longest name of the Linux file systems (`NAME_MAX`).
const NAME_MAX: usize = 255;

/// Whether that name is reserved for unfinished uploads.
pub(super) fn is_hidden(name: &[u8]) -> bool {
    name.get(..RESERVED.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(RESERVED))
}

/// Whether that name is one of [`fresh`]'s, which is worth nothing once its upload is over.
pub(super) fn is_fresh(name: &[u8]) -> bool {
    is_hidden(name) && !name.starts_with(PARTIAL) && name.ends_with(UPLOAD_END)
}

/// A name for one upload that nobody will guess.
pub(super) fn fresh() -> Result<Vec<u8>> {
    let random = random()?;
    Ok(format!(".wharf-{random:016x}.part").into_bytes())
}

/// Where the partial data of an upload to `name` is kept; `None` if the name would become too long.
pub(super) fn partial(name: &[u8]) -> Option<Vec<u8>> {
    (PARTIAL.len() + name.len() <= NAME_MAX).then(|| [PARTIAL, name].concat())
}

/// 64 random bits.
pub(super) fn random() -> Result<u64> {
    getrandom::u64().map_err(|error| Error::with_source(ErrorKind::Io, error))
}

/// Removes the remains of uploads under that hidden name, unless an upload is still writing there. A running upload
/// holds a lock on its file, so that what a killed server left can be told from what another one is doing.
///
/// Returns whether the name is gone.
pub(super) fn sweep(dir: impl AsFd, name: &[u8]) -> bool {
    let dir = dir.as_fd();
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Ok(file) => {
            rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
                && rustix::fs::unlinkat(dir, name, AtFlags::empty()).is_ok()
        }
        Err(errno) => errno == Errno::NOENT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_names() {
        for (name, hidden, of_one_upload) in [
            (&b".wharf-0123456789abcdef.part"[..], true, true),
            (b".WHARF-x.part", true, true),
            (b".wharf-partial.a", true, false),
            (b".wharf-partial.a.part", true, false),
            (b".wharf-", true, false),
            (b".wharf", false, false),
            (b"a.wharf-x.part", false, false),
            (b"", false, false),
        ] {
            assert_eq!(is_hidden(name), hidden, "{}", name.escape_ascii());
            assert_eq!(is_fresh(name), of_one_upload, "{}", name.escape_ascii());
        }
    }

    #[test]
    fn no_partial_data_for_the_longest_names() {
        assert_eq!(partial(&[b'a'; 240]).unwrap().len(), 255);
        assert_eq!(partial(&[b'a'; 241]), None);
    }
}
