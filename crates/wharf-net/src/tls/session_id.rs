//! Resumption by session ID, for clients that take no tickets under TLS 1.2: curl asks OpenSSL for none.
//!
//! One session is kept, the control connection's. Data connections may resume it and never add one: who is refused
//! leaves nothing behind to come back with.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use rustls::server::StoresServerSessions;

use super::ticket::TicketName;

/// The control connection's session under its ID, once the handshake is over. Empty under TLS 1.3, which has tickets
/// alone.
#[derive(Default)]
pub(super) struct Kept(Mutex<Option<Session>>);

struct Session {
    id: Vec<u8>,
    state: Vec<u8>,
}

impl Kept {
    /// What the ID names the session by, as a ticket's beginning does; the ID is random.
    pub(super) fn name(&self) -> Option<TicketName> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().and_then(|held| TicketName::of(&held.id))
    }

    fn state(&self, id: &[u8]) -> Option<Vec<u8>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let held = held.as_ref().filter(|held| held.id == id)?;
        Some(held.state.clone())
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

/// What the control connection's handshake writes to.
#[derive(Debug)]
pub(super) struct ForControl(pub(super) std::sync::Arc<Kept>);

impl StoresServerSessions for ForControl {
    fn put(&self, id: Vec<u8>, state: Vec<u8>) -> bool {
        let mut held = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Some(Session { id, state });
        true
    }

    fn get(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn take(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// What the data connections' handshakes read from.
#[derive(Debug)]
pub(super) struct ForData(pub(super) std::sync::Arc<Kept>);

impl StoresServerSessions for ForData {
    fn put(&self, _: Vec<u8>, _: Vec<u8>) -> bool {
        false
    }

    fn get(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.0.state(id)
    }

    /// Only TLS 1.3 takes sessions out, and there are tickets for that.
    fn take(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// A full handshake is given no ID.
    fn can_cache(&self) -> bool {
        false
    }
}
