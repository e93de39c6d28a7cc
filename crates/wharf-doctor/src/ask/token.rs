//! The token, and proofs that somebody has it.

use std::fmt;
use std::str::FromStr;

use blake2::Blake2sMac256;
use blake2::digest::{KeyInit, Mac};

/// A secret of 128 random bits. Shown to people once; never sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 16]);

/// A value that is used once, so that no proof fits twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge([u8; 16]);

/// A keyed hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof([u8; 32]);

/// No 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token has 32 hexadecimal digits")]
pub struct NoToken;

/// The two challenges of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenges {
    /// Of the wharf that listens.
    pub listener: Challenge,
    /// Of the one that asks.
    pub asker: Challenge,
}

/// What is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// I am the one who asks.
    Asker,
    /// I am the one who listens.
    Listener,
    /// This port is the asker's.
    Knock(u16),
    /// This call is the asker's.
    Call(u32),
}

impl Token {
    /// From 16 bytes of the system's randomness.
    pub fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// The proof for this purpose in this conversation.
    pub fn prove(&self, purpose: Purpose, challenges: &Challenges) -> Proof {
        Proof(self.mac(purpose, challenges).finalize().into_bytes().into())
    }

    /// Whether a proof is right; takes as long for every wrong one.
    pub fn accepts(&self, proof: &Proof, purpose: Purpose, challenges: &Challenges) -> bool {
        self.mac(purpose, challenges).verify_slice(&proof.0).is_ok()
    }

    /// Every part has a fixed length, so no two purposes hash the same bytes.
    fn mac(&self, purpose: Purpose, challenges: &Challenges) -> Blake2sMac256 {
        let (word, number) = match purpose {
            Purpose::Asker => (b'a', 0),
            Purpose::Listener => (b'l', 0),
            Purpose::Knock(port) => (b'k', u32::from(port)),
            Purpose::Call(id) => (b'c', id),
        };
        let mut key = [0; 32];
        for (to, from) in key.iter_mut().zip(self.0) {
            *to = from;
        }
        let mut mac = Blake2sMac256::new(&key.into());
        mac.update(b"wharf doctor 1");
        mac.update(&[word]);
        mac.update(&number.to_be_bytes());
        mac.update(&challenges.listener.0);
        mac.update(&challenges.asker.0);
        mac
    }

    /// In clear, for the person who carries it to the other machine.
    pub fn reveal(&self) -> String {
        hex(&self.0)
    }
}

impl Challenge {
    /// From 16 bytes of the system's randomness.
    pub fn new(random: [u8; 16]) -> Self {
        Self(random)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(****)")
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl FromStr for Token {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        unhex(text.trim()).map(Self).ok_or(NoToken)
    }
}

impl FromStr for Challenge {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        unhex(text).map(Self).ok_or(NoToken)
    }
}

impl FromStr for Proof {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        unhex(text).map(Self).ok_or(NoToken)
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let value = |digit: &u8| char::from(*digit).to_digit(16);
        let [high, low] = pair else {
            return None;
        };
        *byte = u8::try_from(value(high)? * 16 + value(low)?).ok()?;
    }
    Some(bytes)
}
