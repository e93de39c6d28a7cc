//! Session tickets that name the control connection they belong to.
//!
//! A ticket is `name ‖ nonce ‖ sealed state`. The name is in clear, so that a ClientHello that is only looked at, on a
//! port that several sessions share, finds its session before the handshake. It proves nothing: the state can be opened
//! by its own session alone (every session has a key of its own), and the handshake proves that the client knows the
//! secret inside (RFC 8446 §4.2.11.2, RFC 5077 §3).
//!
//! Every full handshake gives tickets out as well, also one on a data connection: whoever made it could come back and
//! resume. Therefore a ticket says, inside, which connection it was given to, and it opens only if that was the control
//! connection or one that had resumed the session itself.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

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

/// Data connections that are remembered as proved. Clients keep the newest tickets, or the control connection's.
const PROVED: usize = 1024;

/// A connection in its session: 0 is the control connection.
type Number = u64;

/// Bytes of a `Number`.
const NUMBER_LEN: usize = 8;

/// Makes the tickets of one control connection. Its key dies with it.
pub(super) struct Tickets {
    pub(super) name: TicketName,
    key: RandomizedNonceKey,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    last: Number,
    /// Data connections that resumed the session, at most the newest ones
    proved: VecDeque<Number>,
}

impl Tickets {
    pub(super) fn new() -> Result<Self, TlsError> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| TlsError::Random)?;
        Ok(Self {
            name: TicketName::random()?,
            key: RandomizedNonceKey::new(&AES_256_GCM, &key).map_err(|_| TlsError::Random)?,
            known: Mutex::default(),
        })
    }

    /// For the control connection.
    pub(super) fn for_control(self: &Arc<Self>) -> Ticketer {
        Ticketer {
            tickets: Arc::clone(self),
            number: 0,
        }
    }

    /// For one data connection more, whose tickets are worth nothing until it is [proved](Ticketer::is_proved).
    pub(super) fn for_data(self: &Arc<Self>) -> Ticketer {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.last += 1;
        Ticketer {
            tickets: Arc::clone(self),
            number: known.last,
        }
    }

    fn opens_for(&self, number: Number) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        number == 0 || known.proved.contains(&number)
    }
}

/// The tickets of one connection.
#[derive(Clone)]
pub(super) struct Ticketer {
    tickets: Arc<Tickets>,
    number: Number,
}

impl Ticketer {
    /// It resumed the session: its tickets are as good as those of the control connection from now on.
    pub(super) fn is_proved(&self) {
        let known = &self.tickets.known;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        known.proved.push_back(self.number);
        if known.proved.len() > PROVED {
            known.proved.pop_front();
        }
    }
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticketer")
            .field("name", &self.tickets.name)
            .field("number", &self.number)
            .finish()
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    /// The most that RFC 8446 §4.6.1 allows: the key lives as long as the session, and a session that was idle for a day
    /// still has its next transfer.
    fn lifetime(&self) -> u32 {
        7 * 24 * 60 * 60
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let Tickets { name, key, .. } = &*self.tickets;
        let mut sealed = [&self.number.to_be_bytes()[..], plain].concat();
        let aad = Aad::from(name.0);
        let nonce = key.seal_in_place_append_tag(aad, &mut sealed).ok()?;
        let mut ticket = Vec::with_capacity(NAME_LEN + NONCE_LEN + sealed.len());
        ticket.extend_from_slice(&name.0);
        ticket.extend_from_slice(nonce.as_ref());
        ticket.extend_from_slice(&sealed);
        Some(ticket)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let Tickets { name, key, .. } = &*self.tickets;
        let (prefix, rest) = cipher.split_first_chunk::<NAME_LEN>()?;
        if *prefix != name.0 {
            return None;
        }
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let mut opened = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = key
            .open_in_place(nonce, Aad::from(name.0), &mut opened)
            .ok()?;
        let (number, state) = opened.split_first_chunk::<NUMBER_LEN>()?;
        let given_to = Number::from_be_bytes(*number);
        self.tickets.opens_for(given_to).then(|| state.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_opened_by_its_own_session_alone() {
        let [ours, theirs] = [Tickets::new().unwrap(), Tickets::new().unwrap()].map(Arc::new);
        let names = [ours.name, theirs.name];
        let [ours, theirs] = [ours.for_control(), theirs.for_control()];
        let ticket = ours.encrypt(b"state").unwrap();
        assert_eq!(TicketName::of(&ticket), Some(names[0]));
        assert_eq!(ours.decrypt(&ticket).as_deref(), Some(&b"state"[..]));
        assert_eq!(theirs.decrypt(&ticket), None);
        let renamed = [&names[1].0[..], &ticket[NAME_LEN..]].concat();
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

    #[test]
    fn a_ticket_is_worth_what_the_connection_has_shown_that_got_it() {
        let tickets = Arc::new(Tickets::new().unwrap());
        let [control, one, two] = [
            tickets.for_control(),
            tickets.for_data(),
            tickets.for_data(),
        ];
        let given = [&control, &one, &two].map(|to| to.encrypt(b"state").unwrap());
        one.is_proved();
        let opens = given.map(|ticket| two.decrypt(&ticket).is_some());
        assert_eq!(opens, [true, true, false]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let tickets = Arc::new(Tickets::new().unwrap());
        for _ in 0..3 * PROVED {
            tickets.for_data().is_proved();
        }
        assert_eq!(tickets.known.lock().unwrap().proved.len(), PROVED);
        let last = tickets.for_data();
        last.is_proved();
        assert!(last.decrypt(&last.encrypt(b"").unwrap()).is_some());
    }
}
