//! Whether the end of an upload is the end of the file.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Moved;

/// What clients write at once at the least; a smaller upload came whole or not at all.
const ONE_BLOCK: u64 = 4096;

/// How long the end of an upload is doubted: an eighth of its time within these bounds.
const LEAST: Duration = Duration::from_millis(2);
const MOST: Duration = Duration::from_millis(25);

/// Waits for the moment in which a killed client shows that it was killed. `began`: when the first octet was awaited.
///
/// A client that was killed ends its data connection like one that has finished: stream mode has no other sign. But its
/// control connection ends with it, a moment later, since the kernel closes the younger one first. Whoever listens there
/// meanwhile drops this future, and the data connection with it. An upload in one block has no middle to be killed in.
pub async fn doubt(moved: Moved, began: Instant) {
    if moved.wire > ONE_BLOCK {
        sleep((began.elapsed() / 8).clamp(LEAST, MOST)).await;
    } else {
        tokio::task::yield_now().await;
    }
}
