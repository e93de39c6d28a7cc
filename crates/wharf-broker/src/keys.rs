//! Keys of TLS that never leave the broker: what is signed with them has the form of a handshake.

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::sign::CertifiedKey;

use crate::message::{Answer, Certificate};

/// Every scheme that a server's key may sign with, as `rustls` has them.
const SCHEMES: [SignatureScheme; 9] = [
    SignatureScheme::ED25519,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
];

/// What a server signs in TLS 1.3 begins so (RFC 8446 §4.4.3); 64 blanks come before it, the hash behind it.
const CONTEXT: &[u8] = b"TLS 1.3, server CertificateVerify\0";

/// Certificates with their keys, in the order in which a server offers them.
#[derive(Debug, Default)]
pub struct Keys {
    held: Vec<Arc<CertifiedKey>>,
    generation: u32,
    /// Those of before, for handshakes that have begun with them.
    former: Vec<Arc<CertifiedKey>>,
}

impl Keys {
    /// The first ones.
    pub fn new(held: Vec<Arc<CertifiedKey>>) -> Self {
        Self {
            held,
            generation: 1,
            former: Vec::new(),
        }
    }

    /// From now on these. `false` when they are what there was.
    pub fn replace(&mut self, held: Vec<Arc<CertifiedKey>>) -> bool {
        let chains =
            |keys: &[Arc<CertifiedKey>]| keys.iter().map(|it| it.cert.clone()).collect::<Vec<_>>();
        let changed = chains(&held) != chains(&self.held);
        if changed {
            self.former = std::mem::replace(&mut self.held, held);
            self.generation = self.generation.wrapping_add(1);
        }
        changed
    }

    pub(crate) fn certificate(&self, number: u16) -> Answer {
        let Some(key) = self.held.get(usize::from(number)) else {
            return Answer::NoCertificate {
                generation: self.generation,
            };
        };
        let schemes = SCHEMES
            .iter()
            .filter(|scheme| key.key.choose_scheme(&[**scheme]).is_some());
        Answer::Certificate(Certificate {
            generation: self.generation,
            schemes: schemes.map(|scheme| u16::from(*scheme)).collect(),
            chain: key.cert.iter().map(|it| it.to_vec()).collect(),
        })
    }

    pub(crate) fn sign(&self, number: u16, generation: u32, scheme: u16, message: &[u8]) -> Answer {
        let refused = |why: &str| Answer::Refused {
            errno: 0,
            why: why.to_owned(),
        };
        if !is_handshake(message) {
            return refused("what is to be signed is not the handshake of a TLS server");
        }
        let keys = match self.generation.wrapping_sub(generation) {
            0 => &self.held,
            1 => &self.former,
            _ => return refused("the certificates have changed twice"),
        };
        let Some(key) = keys.get(usize::from(number)) else {
            return refused("there is no such key");
        };
        let Some(signer) = key.key.choose_scheme(&[SignatureScheme::from(scheme)]) else {
            return refused("the key does not sign that way");
        };
        match signer.sign(message) {
            Ok(signature) => Answer::Signature(signature),
            Err(error) => refused(&error.to_string()),
        }
    }
}

/// A process that was taken over may have anything signed that looks like this, as long as it lives, and nothing else: no
/// certificate, no client's handshake, no letter.
fn is_handshake(message: &[u8]) -> bool {
    let in_1_3 = message
        .strip_prefix(&[b' '; 64])
        .and_then(|rest| rest.strip_prefix(CONTEXT))
        .is_some_and(|hash| matches!(hash.len(), 32 | 48));
    // Two randoms, then a named curve (3) with its number and point (RFC 8422 §5.4).
    let in_1_2 = message
        .split_at_checked(64)
        .is_some_and(|(_, params)| match params {
            [3, _, _, length, point @ ..] => point.len() == usize::from(*length),
            _ => false,
        });
    in_1_3 || in_1_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_handshakes_are_signed() {
        let in_1_3 = |hash: usize| [&[b' '; 64][..], CONTEXT, &vec![7; hash]].concat();
        let in_1_2 = [&[9; 64][..], &[3, 0, 29, 32], &[5; 32]].concat();
        let client = [
            &[b' '; 64][..],
            b"TLS 1.3, client CertificateVerify\0",
            &[7; 32],
        ]
        .concat();
        let table = [
            (in_1_3(32), true),
            (in_1_3(48), true),
            (in_1_3(33), false),
            (in_1_2.clone(), true),
            ([&in_1_2[..], &[0]].concat(), false),
            (client, false),
            (b"a letter".to_vec(), false),
            (Vec::new(), false),
        ];
        for (message, expected) in table {
            assert_eq!(is_handshake(&message), expected, "{message:?}");
        }
    }
}
