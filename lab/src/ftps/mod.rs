//! FTP over TLS, program against program, in a network that hinders nobody: many transfers on one control
//! connection, each of whose data connections has to resume the control connection's TLS session.

mod blinded;
mod caller;
mod ground;
mod sessions;
mod shown;

use crate::tally::Tally;
use crate::{Result, Settings, auto, matrix, one_port};

pub(crate) use sessions::witnesses;

/// The sessions of all pairs, then the topologies.
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    sessions::run(settings, tally);
    blinded::run(settings, tally);
    shown::run(settings, tally);
    matrix::secured(settings, tally)?;
    one_port::secured(settings, tally);
    auto::secured(settings, tally);
    Ok(())
}
