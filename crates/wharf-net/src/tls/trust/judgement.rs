//! The rules by which a server's certificate is believed. No clock, no file, no cryptography: what was found out comes in.

use super::{Distrust, Fingerprint, Known};
use crate::tls::described::Described;

/// What was found out about a certificate that a server showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a> {
    /// Its own words.
    pub(super) described: &'a Described,
    /// Whether a known authority signed it (at a time when the certificate itself was valid), else why not.
    pub(super) signed: Result<(), &'a Unsigned>,
    /// It is for the name that was asked for.
    pub(super) right_name: bool,
    /// The name that was asked for.
    pub(super) asked: &'a str,
    /// Seconds since 1970.
    pub(super) now: i64,
}

/// Why no known authority stands behind a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unsigned {
    /// None that we know has signed it.
    Unknown,
    /// It was not made for a TLS server, its chain has ended, and so on.
    Unfit(String),
}

/// What the user has said and what is remembered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trusted<'a> {
    /// The only certificates that are believed; empty: any that has a reason.
    pub(super) pins: &'a [Fingerprint],
    /// What is remembered of the server; `None` when nothing is to be remembered.
    pub(super) memory: Option<Result<Option<Known>, &'a str>>,
    /// A server of whom nothing is remembered may be anybody.
    pub(super) first_use: bool,
}

/// Believed, and what is to be remembered once the server has proved that it holds the key.
pub(super) fn judge(shown: Shown<'_>, trusted: Trusted<'_>) -> Result<Option<Known>, Distrust> {
    let fingerprint = shown.described.fingerprint;
    if !trusted.pins.is_empty() {
        // The user has compared it: neither name nor date say more.
        let known = trusted.pins.contains(&fingerprint).then_some(None);
        return known.ok_or(Distrust::NotPinned { shown: fingerprint });
    }
    let unsigned = match shown.signed {
        Ok(()) => {
            in_time(shown)?;
            if !shown.right_name {
                return Err(Distrust::WrongName {
                    asked: shown.asked.to_owned(),
                    is_for: shown.described.is_for(),
                });
            }
            // A memory that cannot be read is of no importance where an authority vouches.
            let new = matches!(trusted.memory, Some(Ok(known)) if known != Some(Known::Authority));
            return Ok(new.then_some(Known::Authority));
        }
        Err(unsigned) => unsigned,
    };
    match trusted.memory {
        Some(Err(why)) => Err(Distrust::Forgotten(why.to_owned())),
        // What nobody vouches for can name any host and any date: only that it stays the same counts.
        Some(Ok(Some(Known::Certificate(known)))) if known == fingerprint => Ok(None),
        Some(Ok(Some(was))) => Err(Distrust::Changed {
            was,
            shown: fingerprint,
        }),
        Some(Ok(None)) if trusted.first_use => Ok(Some(Known::Certificate(fingerprint))),
        Some(Ok(None)) | None => Err(match unsigned {
            Unsigned::Unknown => Distrust::UnknownAuthority {
                shown: fingerprint,
                self_signed: shown.described.self_signed,
                issuer: shown.described.issuer.clone(),
                says: shown.described.to_string(),
            },
            Unsigned::Unfit(why) => Distrust::Unfit(why.clone()),
        }),
    }
}

fn in_time(shown: Shown<'_>) -> Result<(), Distrust> {
    let Described { begins, ends, .. } = *shown.described;
    if shown.now < begins {
        return Err(Distrust::NotYetValid { begins });
    }
    if shown.now > ends {
        return Err(Distrust::Expired { ended: ends });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Fingerprint = Fingerprint([1; 32]);
    const OTHER: Fingerprint = Fingerprint([2; 32]);

    type Memory = Option<Result<Option<Known>, &'static str>>;

    const NO_MEMORY: Memory = None;
    const FIRST: Memory = Some(Ok(None));
    const SAME: Memory = Some(Ok(Some(Known::Certificate(OWN))));
    const ANOTHER: Memory = Some(Ok(Some(Known::Certificate(OTHER))));
    const VOUCHED: Memory = Some(Ok(Some(Known::Authority)));
    const BROKEN: Memory = Some(Err("broken"));

    /// The kind of the verdict, in a word.
    fn word(verdict: &Result<Option<Known>, Distrust>) -> &'static str {
        match verdict {
            Ok(None) => "believed",
            Ok(Some(Known::Certificate(_))) => "believed, remember it",
            Ok(Some(Known::Authority)) => "believed, remember that an authority vouched",
            Err(Distrust::Expired { .. }) => "expired",
            Err(Distrust::NotYetValid { .. }) => "not yet",
            Err(Distrust::WrongName { .. }) => "wrong name",
            Err(Distrust::UnknownAuthority { .. }) => "unknown",
            Err(Distrust::Changed { .. }) => "changed",
            Err(Distrust::NotPinned { .. }) => "not pinned",
            Err(Distrust::Unfit(_)) => "unfit",
            Err(Distrust::Forgotten(_)) => "forgotten",
        }
    }

    #[test]
    fn every_case_has_its_verdict() {
        let described = Described {
            fingerprint: OWN,
            common_name: None,
            dns_names: vec!["a.example".to_owned()],
            addresses: Vec::new(),
            emails: Vec::new(),
            issuer: "CN=Somebody".to_owned(),
            self_signed: false,
            begins: 100,
            ends: 200,
        };
        let unknown = Unsigned::Unknown;
        let unfit = Unsigned::Unfit("a client's".to_owned());
        let (signed, unknown, unfit) = (Ok(()), Err(&unknown), Err(&unfit));
        let pin = |it| vec![it];
        for (signed, right_name, now, pins, memory, expected) in [
            (signed, true, 150, vec![], NO_MEMORY, "believed"),
            (signed, true, 100, vec![], NO_MEMORY, "believed"),
            (signed, true, 200, vec![], NO_MEMORY, "believed"),
            (signed, true, 99, vec![], NO_MEMORY, "not yet"),
            (signed, true, 201, vec![], NO_MEMORY, "expired"),
            (signed, false, 150, vec![], NO_MEMORY, "wrong name"),
            // A name that is wrong is wrong, however often the server was seen.
            (signed, false, 150, vec![], VOUCHED, "wrong name"),
            (signed, false, 150, vec![], FIRST, "wrong name"),
            (signed, true, 201, vec![], FIRST, "expired"),
            (signed, true, 201, vec![], VOUCHED, "expired"),
            (
                signed,
                true,
                150,
                vec![],
                FIRST,
                "believed, remember that an authority vouched",
            ),
            (signed, true, 150, vec![], VOUCHED, "believed"),
            // From self-signed to a real one is the right direction.
            (
                signed,
                true,
                150,
                vec![],
                ANOTHER,
                "believed, remember that an authority vouched",
            ),
            (signed, true, 150, vec![], BROKEN, "believed"),
            (unknown, true, 150, vec![], NO_MEMORY, "unknown"),
            (unknown, false, 250, vec![], NO_MEMORY, "unknown"),
            (unfit, true, 150, vec![], NO_MEMORY, "unfit"),
            (unknown, false, 250, vec![], FIRST, "believed, remember it"),
            (unknown, false, 250, vec![], SAME, "believed"),
            (unknown, true, 150, vec![], ANOTHER, "changed"),
            // And this is the wrong direction.
            (unknown, true, 150, vec![], VOUCHED, "changed"),
            (unfit, true, 150, vec![], VOUCHED, "changed"),
            (unknown, true, 150, vec![], BROKEN, "forgotten"),
            (unknown, false, 250, pin(OWN), NO_MEMORY, "believed"),
            (unknown, false, 250, vec![OTHER, OWN], ANOTHER, "believed"),
            (unfit, false, 250, pin(OWN), BROKEN, "believed"),
            (unknown, true, 150, pin(OTHER), SAME, "not pinned"),
            (signed, true, 150, pin(OTHER), VOUCHED, "not pinned"),
        ] {
            let shown = Shown {
                described: &described,
                signed,
                right_name,
                asked: "b.example",
                now,
            };
            let pins = &pins;
            let trusted = Trusted {
                pins,
                memory,
                first_use: true,
            };
            let verdict = judge(shown, trusted);
            let case = format!("{signed:?} {right_name} {now} {pins:?} {memory:?}");
            assert_eq!(word(&verdict), expected, "{case}");
            // Without first use only the strangers are judged otherwise.
            let expected = match (expected, signed) {
                ("believed, remember it", Err(Unsigned::Unknown)) => "unknown",
                _ => expected,
            };
            let trusted = Trusted {
                first_use: false,
                ..trusted
            };
            assert_eq!(word(&judge(shown, trusted)), expected, "{case}");
        }
    }
}
