//! Keys of TLS that never leave the broker: what is signed with them has the form of a handshake.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// Certificates with their keys, in the order in which a server offers them. Every clone holds the same ones: whoever
/// renews certificates exchanges them while the broker signs.
#[derive(Clone, Debug, Default)]
pub struct Keys(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    current: Vec<Arc<CertifiedKey>>,
    generation: u32,
    /// Those of before, for handshakes that have begun with them.
    former: Vec<Arc<CertifiedKey>>,
}

impl Keys {
    /// The first ones.
    pub fn new(held: Vec<Arc<CertifiedKey>>) -> Self {
        Self(Arc::new(Mutex::new(Held {
            current: held,
            generation: 1,
            former: Vec::new(),
        })))
    }

    /// From now on these. `false` when they are what there was.
    pub fn replace(&self, held: Vec<Arc<CertifiedKey>>) -> bool {
        let chains =
            |keys: &[Arc<CertifiedKey>]| keys.iter().map(|it| it.cert.clone()).collect::<Vec<_>>();
        let mut keys = self.held();
        let changed = chains(&held) != chains(&keys.current);
        if changed {
            keys.former = std::mem::replace(&mut keys.current, held);
            keys.generation = keys.generation.wrapping_add(1);
        }
        changed
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn certificate(&self, number: u16) -> Answer {
        let keys = self.held();
        let generation = keys.generation;
        let Some(key) = keys.current.get(usize::from(number)) else {
            return Answer::NoCertificate { generation };
        };
        let schemes = SCHEMES
            .iter()
            .filter(|scheme| key.key.choose_scheme(&[**scheme]).is_some());
        Answer::Certificate(Certificate {
            generation,
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
        let keys = self.held();
        let of_then = match keys.generation.wrapping_sub(generation) {
            0 => &keys.current,
            1 => &keys.former,
            _ => return refused("the certificates have changed twice"),
        };
        let Some(key) = of_then.get(usize::from(number)) else {
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
            [3, group_high, group_low, length, point @ ..] => {
                let group = u16::from_be_bytes([*group_high, *group_low]);
                point.len() == usize::from(*length) && is_point(group, point)
            }
            _ => false,
        });
    in_1_3 || (in_1_2 && !is_whole_der(message))
}

/// The groups of `rustls` under TLS 1.2: X25519, P-256, P-384, whose points are told uncompressed.
fn is_point(group: u16, point: &[u8]) -> bool {
    match group {
        29 => point.len() == 32,
        23 => point.len() == 65 && point.first() == Some(&4),
        24 => point.len() == 97 && point.first() == Some(&4),
        _ => false,
    }
}

/// The randoms are free, and a short certificate's body has room for the rest in its issuer's name. But what is signed of
/// certificates, revocation lists, requests and letters (CMS) is one SEQUENCE or SET of elements from the first byte to
/// the last, which randoms are not once in a million handshakes. Lengths count as lax readers take them.
fn is_whole_der(message: &[u8]) -> bool {
    matches!(message.first(), Some(0x30 | 0x31))
        && match element(message) {
            Some(Element { inside, rest: [] }) => are_elements(inside),
            Some(_) => false,
            None => is_endless(message),
        }
}

fn are_elements(mut inside: &[u8]) -> bool {
    while !inside.is_empty() {
        match element(inside) {
            Some(it) => inside = it.rest,
            None => return is_endless(inside),
        }
    }
    true
}

struct Element<'a> {
    inside: &'a [u8],
    rest: &'a [u8],
}

/// One with a length, and what is behind it.
fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let [_, length, behind @ ..] = bytes else {
        return None;
    };
    let (told, behind) = match *length {
        0x80 => return None,
        short @ 0..0x80 => (usize::from(short), behind),
        long => {
            let (digits, behind) = behind.split_at_checked(usize::from(long & 0x7F))?;
            let number = digits.iter().fold(0_usize, |so_far, digit| {
                so_far
                    .saturating_mul(256)
                    .saturating_add(usize::from(*digit))
            });
            (number, behind)
        }
    };
    let (inside, rest) = behind.split_at_checked(told)?;
    Some(Element { inside, rest })
}

/// Without a length: ended by two zeros.
fn is_endless(bytes: &[u8]) -> bool {
    matches!(bytes, [_, 0x80, .., 0, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_handshakes_are_signed() {
        let in_1_3 = |hash: usize| [&[b' '; 64][..], CONTEXT, &vec![7; hash]].concat();
        let in_1_2 = [&[9; 64][..], &[3, 0, 29, 32], &[5; 32]].concat();
        let in_group = |group: u16, point: &[u8]| {
            let length = u8::try_from(point.len()).unwrap();
            let [high, low] = group.to_be_bytes();
            [&[9; 64][..], &[3, high, low, length], point].concat()
        };
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
            (in_group(23, &[4; 65]), true),
            (in_group(24, &[4; 97]), true),
            // A point of another length, compressed, of a group that nobody here has.
            (in_group(29, &[5; 33]), false),
            (in_group(23, &[3; 65]), false),
            (in_group(25, &[4; 133]), false),
            (in_group(0, &[5; 200]), false),
            ([&in_1_2[..], &[0]].concat(), false),
            (client, false),
            (b"a letter".to_vec(), false),
            (Vec::new(), false),
        ];
        for (message, expected) in table {
            assert_eq!(is_handshake(&message), expected, "{message:?}");
        }
    }

    /// A certificate's body that ends in a point of a curve: with its issuer's name over byte 64 it would pass for the
    /// parameters of TLS 1.2, and whoever trusts this certificate as a root would trust what is signed so.
    #[test]
    fn a_certificate_in_the_form_of_a_handshake_is_not_signed() {
        // 165 bytes in all, in the lengths that readers of DER and of BER take; an issuer behind each, over byte 64.
        let heads: [&[u8]; 7] = [
            &[0x30, 0x81, 162],
            &[0x31, 0x81, 162],
            &[0x30, 0x82, 0, 161],
            &[0x30, 0x83, 0, 0, 160],
            &[0x30, 0x84, 0, 0, 0, 159],
            &[0x30, 0x88, 0, 0, 0, 0, 0, 0, 0, 155],
            &[0x30, 0x80],
        ];
        for head in heads {
            let mut message = [&[9; 64][..], &[3, 0, 24, 97], &[4; 97]].concat();
            message[..head.len()].copy_from_slice(head);
            // An INTEGER, a SEQUENCE up to the last two bytes, NULL.
            let inside = head.len();
            message[inside..inside + 5].copy_from_slice(&[2, 1, 7, 0x30, 0x81]);
            message[inside + 5] = u8::try_from(165 - inside - 6 - 2).unwrap();
            message[163..].copy_from_slice(&[5, 0]);
            if head == [0x30, 0x80] {
                message[163..].copy_from_slice(&[0, 0]);
            }
            assert!(!is_handshake(&message), "{head:?}");
            // The like of it by chance, its elements not filling it, is a handshake.
            message[inside + 5] += 1;
            if head != [0x30, 0x80] {
                assert!(is_handshake(&message), "{head:?}");
            }
        }
    }
}
