//! FTP over TLS, program against program, in a network that hinders nobody: many transfers on one control
//! connection, each of whose data connections has to resume the control connection's TLS session.

mod caller;
mod ground;
mod sessions;

use crate::tally::Tally;
use crate::{Result, Settings};

/// The sessions of all pairs.
#[allow(clippy::unnecessary_wraps)] // a part may fail; this one has nothing to fail by
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    sessions::witnesses(settings, tally);
    Ok(())
}
