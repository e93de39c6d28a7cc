//! Session tickets that name the control connection they belong to.
//!
//! A ticket is `name ‖ nonce ‖ sealed state`. The name is in clear, so that a ClientHello that is only looked at, on a
//! port that several sessions share, finds its session before the handshake. It proves nothing: the state can be opened
//! by its own session alone (every session has a key of its own), and the handshake proves that the client knows the
//! secret inside (RFC 8446 §4.2.11.2, RFC 5077 §3).

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use rustls::server::ProducesTickets;

use super::TlsError;

/// Bytes of a `TicketName`.
const NAME_LEN: usize = 16;

/// What names a session in its tickets. Random; known to whoever sees a ClientHello on its way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TicketName([u8; NAME_LEN]);

impl TicketName {
    fn random() -> Result<Self, TlsError> {
        let mut name = [0; NAME_LEN];
        aws_lc_rs::rand::fill(&mut name).map_err(|_| TlsError::Random)?;
        Ok(Self(name))
    }

    /// The name that a ticket begins with; `None` for one that is too short to be ours.
    pub fn of(ticket: &[u8]) -> Option<Self> {
        ticket.first_chunk().copied().map(Self)
    }
}

impl fmt::Debug for TicketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketName({:032x})", u128::from_be_bytes(self.0))
    }
}

/// Makes the tickets of one control connection. Its key dies with it.
pub(super) struct Tickets {
    pub(super) name: TicketName,
    key: RandomizedNonceKey,
}

impl Tickets {
    pub(super) fn new() -> Result<Self, TlsError> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| TlsError::Random)?;
        Ok(Self {
            name: TicketName::random()?,
            key: RandomizedNonceKey::new(&AES_256_GCM, &key).map_err(|_| TlsError::Random)?,
        })
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tickets").field(&self.name).finish()
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    /// The most that RFC 8446 §4.6.1 allows: the key lives as long as the session, and a session that was idle for a day
    /// still has its next transfer.
    fn lifetime(&self) -> u32 {
        7 * 24 * 60 * 60
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = plain.to_vec();
        let aad = Aad::from(self.name.0);
        let nonce = self.key.seal_in_place_append_tag(aad, &mut sealed).ok()?;
        let mut ticket = Vec::with_capacity(NAME_LEN + NONCE_LEN + sealed.len());
        ticket.extend_from_slice(&self.name.0);
        ticket.extend_from_slice(nonce.as_ref());
        ticket.extend_from_slice(&sealed);
        Some(ticket)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = cipher.split_first_chunk::<NAME_LEN>()?;
        if *name != self.name.0 {
            return None;
        }
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let mut opened = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self
            .key
            .open_in_place(nonce, Aad::from(self.name.0), &mut opened)
            .ok()?
            .len();
        opened.truncate(length);
        Some(opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_opened_by_its_own_session_alone() {
        let (ours, theirs) = (Tickets::new().unwrap(), Tickets::new().unwrap());
        let ticket = ours.encrypt(b"state").unwrap();
        assert_eq!(TicketName::of(&ticket), Some(ours.name));
        assert_eq!(ours.decrypt(&ticket).as_deref(), Some(&b"state"[..]));
        assert_eq!(theirs.decrypt(&ticket), None);
        let renamed = [&theirs.name.0[..], &ticket[NAME_LEN..]].concat();
        assert_eq!(theirs.decrypt(&renamed), None);
        assert_eq!(ours.decrypt(&renamed), None);
        for cut in 0..ticket.len() {
            assert_eq!(ours.decrypt(&ticket[..cut]), None, "{cut}");
        }
        for at in 0..ticket.len() {
            let mut bent = ticket.clone();
            bent[at] ^= 1;
            assert_eq!(ours.decrypt(&bent), None, "{at}");
        }
    }
}
