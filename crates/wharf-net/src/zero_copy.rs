//! A file to the data connection without copying it through this process (`sendfile(2)`).
//!
//! An optimisation, never required: where it is not possible the ordinary pump does the same. Deliberately absent:
//! `splice(2)` for uploads, which measured no gain over plain large buffers.

use std::fs::File;
use std::io;
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::Interest;
use tokio::time::timeout;

use crate::data::DataConnection;
use crate::pump::{Moved, Progress, PumpError};

/// At most so much in one call: a cold file blocks the worker thread while the disk reads.
const CALL: usize = 1024 * 1024;

/// Sends `file` from `offset` to its end, verbatim. `None`: not possible with this connection or this file system, and
/// nothing has been sent; use [`pump::send`](crate::pump::send).
///
/// `stall`: the longest time without a byte being moved. A file that becomes shorter meanwhile ends early; the caller
/// compares [`Moved`] with what it expected.
///
/// # Errors
/// [`PumpError`]. What `sendfile` says is put down to the connection unless it is plainly about the file (EIO).
pub async fn send_file(
    file: &File,
    offset: u64,
    data: &mut DataConnection,
    progress: &Progress,
    stall: Duration,
) -> Result<Option<Moved>, PumpError> {
    let Some(stream) = data.as_tcp() else {
        return Ok(None);
    };
    let mut at = offset;
    let mut moved = 0;
    loop {
        let call = stream.async_io(Interest::WRITABLE, || {
            rustix::fs::sendfile(stream, file, Some(&mut at), CALL).map_err(io::Error::from)
        });
        match timeout(stall, call).await {
            Err(_elapsed) => return Err(PumpError::Stalled(stall)),
            Ok(Ok(0)) => {
                return Ok(Some(Moved {
                    wire: moved,
                    file: moved,
                }));
            }
            Ok(Ok(n)) => {
                moved += n as u64;
                progress.add(n as u64);
                data.count(n);
            }
            Ok(Err(error)) if moved == 0 && is_not_possible(&error) => return Ok(None),
            Ok(Err(error)) if is_about_the_file(&error) => return Err(PumpError::File(error)),
            Ok(Err(error)) => return Err(PumpError::Connection(error)),
        }
        tokio::task::coop::consume_budget().await;
    }
}

/// File systems without `splice_read` (some of FUSE, /proc) answer EINVAL, seccomp profiles ENOSYS or EPERM.
fn is_not_possible(error: &io::Error) -> bool {
    let known = [
        Errno::INVAL,
        Errno::NOSYS,
        Errno::OPNOTSUPP,
        Errno::PERM,
        Errno::OVERFLOW,
        Errno::SPIPE,
    ];
    Errno::from_io_error(error).is_some_and(|errno| known.contains(&errno))
}

fn is_about_the_file(error: &io::Error) -> bool {
    Errno::from_io_error(error)
        .is_some_and(|errno| [Errno::IO, Errno::BADF, Errno::STALE].contains(&errno))
}
