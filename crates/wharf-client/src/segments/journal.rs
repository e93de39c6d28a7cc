//! What a segmented download writes down about itself, as text: pure.
//!
//! One record a line, each behind its CRC-32; the first says which version of which file it is about. Records are only
//! appended, and only about bytes that are on the disk already, so a journal never promises more than the partial file
//! holds. Whatever cannot be read ends it: a line that was cut by a crash, and everything behind it, says nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use wharf_proto::Timestamp;

use super::ranges::{Range, Ranges};

/// The first word of a journal.
const MAGIC: &str = "wharf-segments";

/// The form of the records.
const VERSION: &str = "1";

/// Which version of which remote file the bytes are from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The address, without password.
    pub address: String,
    /// Length in bytes.
    pub size: u64,
    /// MDTM, where the server tells it.
    pub modified: Option<Timestamp>,
    /// The fact `unique` of MLST (RFC 3659 §7.5.2), where the server tells it.
    pub unique: Option<String>,
}

impl Identity {
    /// Why the other one is another version, for people; `None`: as far as both know, it is the same.
    pub fn differs(&self, now: &Self) -> Option<String> {
        if self.address != now.address {
            return Some(format!("what is there came from {}", self.address));
        }
        if self.size != now.size {
            return Some(format!(
                "it had {} bytes and has {} now",
                self.size, now.size
            ));
        }
        if let (Some(before), Some(after)) = (self.modified, now.modified)
            && before != after
        {
            return Some("it was modified meanwhile".to_owned());
        }
        match (&self.unique, &now.unique) {
            (Some(before), Some(after)) if before != after => {
                Some("another file has its name now".to_owned())
            }
            _ => None,
        }
    }
}

/// What an earlier run has left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Journal {
    pub(crate) identity: Identity,
    /// What is on the disk.
    pub(crate) got: Ranges,
    /// Seams that were not compared.
    pub(crate) open: BTreeSet<u64>,
}

impl Journal {
    /// Reads as much as can be believed; `None`: not a journal, or not one of ours.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut records = records(bytes);
        let mut words = records.next()?.split(' ');
        if words.next() != Some(MAGIC) || words.next() != Some(VERSION) {
            return None;
        }
        let mut journal = Self::default();
        let mut size = None;
        for word in words {
            let (name, value) = word.split_once('=')?;
            let value = percent_decode_str(value).decode_utf8().ok()?;
            match name {
                "address" => journal.identity.address = value.into_owned(),
                "size" => size = value.parse().ok(),
                "modified" => {
                    journal.identity.modified = Timestamp::from_wire(value.as_bytes()).ok();
                }
                "unique" => journal.identity.unique = Some(value.into_owned()),
                _ => {}
            }
        }
        journal.identity.size = size?;
        for record in records {
            if journal.apply(record).is_none() {
                break;
            }
        }
        Some(journal)
    }

    fn apply(&mut self, record: &str) -> Option<()> {
        let (verb, rest) = record.split_once(' ')?;
        let size = self.identity.size;
        match verb {
            "have" => {
                let (start, end) = rest.split_once('-')?;
                let range = Range::new(start.parse().ok()?, end.parse().ok()?);
                if range.start >= range.end || range.end > size {
                    return None;
                }
                self.got.insert(range);
            }
            "open" | "closed" => {
                let seam: u64 = rest.parse().ok()?;
                if seam == 0 || seam >= size {
                    return None;
                }
                if verb == "open" {
                    self.open.insert(seam);
                } else {
                    self.open.remove(&seam);
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// The whole of it, to begin a new file with.
    pub(crate) fn write(&self) -> String {
        let Identity {
            address,
            size,
            modified,
            unique,
        } = &self.identity;
        let encoded = |value: &str| utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
        let mut head = format!("{MAGIC} {VERSION} size={size} address={}", encoded(address));
        if let Some(modified) = modified {
            let _ = write!(head, " modified={}", modified.to_wire());
        }
        if let Some(unique) = unique {
            let _ = write!(head, " unique={}", encoded(unique));
        }
        let mut out = String::new();
        push(&mut out, &head);
        out.push_str(&Entries::between(&Self::default(), self).text());
        out
    }
}

/// Records to be appended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entries {
    opened: Vec<u64>,
    have: Vec<Range>,
    closed: Vec<u64>,
}

impl Entries {
    /// What has come since `before` was written down.
    pub(crate) fn between(before: &Journal, now: &Journal) -> Self {
        Self {
            opened: now.open.difference(&before.open).copied().collect(),
            have: now
                .got
                .iter()
                .filter(|range| !before.got.contains(*range))
                .collect(),
            closed: before.open.difference(&now.open).copied().collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.opened.is_empty() && self.have.is_empty() && self.closed.is_empty()
    }

    /// As lines. A seam is opened before anything that makes it one is there.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        for seam in &self.opened {
            push(&mut out, &format!("open {seam}"));
        }
        for range in &self.have {
            push(&mut out, &format!("have {range}"));
        }
        for seam in &self.closed {
            push(&mut out, &format!("closed {seam}"));
        }
        out
    }
}

fn push(out: &mut String, record: &str) {
    let _ = writeln!(out, "{:08x} {record}", crc32fast::hash(record.as_bytes()));
}

/// The records up to the first that is cut or damaged.
fn records(bytes: &[u8]) -> impl Iterator<Item = &str> {
    // What stands behind the last line end was cut.
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .and_then(|at| bytes.get(..at))
        .unwrap_or_default();
    whole.split(|byte| *byte == b'\n').map_while(|line| {
        let line = std::str::from_utf8(line).ok()?;
        let (sum, record) = line.split_once(' ')?;
        let sum = u32::from_str_radix(sum, 16).ok()?;
        (sum == crc32fast::hash(record.as_bytes())).then_some(record)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn identity() -> Identity {
        Identity {
            address: "ftp://me@host/a b%/\u{fc}".to_owned(),
            size: 1000,
            modified: Timestamp::from_wire(b"20260102030405").ok(),
            unique: Some("801g2;= x".to_owned()),
        }
    }

    fn journal(ranges: &[(u64, u64)], open: &[u64]) -> Journal {
        let mut got = Ranges::default();
        for (start, end) in ranges {
            got.insert(Range::new(*start, *end));
        }
        Journal {
            identity: identity(),
            got,
            open: open.iter().copied().collect(),
        }
    }

    #[test]
    fn it_reads_what_it_has_written() {
        let before = journal(&[(0, 10)], &[500, 700]);
        let now = journal(&[(0, 20), (500, 600)], &[500, 800]);
        let mut text = before.write();
        text.push_str(&Entries::between(&before, &now).text());
        assert_eq!(Journal::read(text.as_bytes()), Some(now.clone()));
        assert!(Entries::between(&now, &now).is_empty());
    }

    #[test]
    fn another_version_is_told() {
        let same = identity();
        assert_eq!(same.differs(&identity()), None);
        let unknown = Identity {
            modified: None,
            unique: None,
            ..identity()
        };
        assert_eq!(
            same.differs(&unknown),
            None,
            "what nobody tells cannot differ"
        );
        for other in [
            Identity {
                size: 999,
                ..identity()
            },
            Identity {
                address: "ftp://other/".to_owned(),
                ..identity()
            },
            Identity {
                modified: Timestamp::from_wire(b"20260102030406").ok(),
                ..identity()
            },
            Identity {
                unique: Some("802g2".to_owned()),
                ..identity()
            },
        ] {
            assert!(same.differs(&other).is_some(), "{other:?}");
        }
    }

    #[test]
    fn records_that_cannot_be_true_end_it() {
        for bad in [
            "have 10-5",
            "have 0-1001",
            "have 5-5",
            "open 0",
            "open 1000",
            "what 1-2",
            "have",
        ] {
            let mut text = journal(&[(0, 10)], &[]).write();
            push(&mut text, bad);
            push(&mut text, "have 0-1000");
            assert_eq!(
                Journal::read(text.as_bytes()),
                Some(journal(&[(0, 10)], &[])),
                "{bad}"
            );
        }
        for bad in [
            "",
            "x",
            "wharf-segments 2 size=1 address=",
            "wharf-segments 1 address=a",
        ] {
            let mut text = String::new();
            push(&mut text, bad);
            assert_eq!(Journal::read(text.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        /// However it is cut or damaged, it claims nothing that was not written.
        #[test]
        fn a_cut_or_damaged_journal_never_claims_more(
            steps in prop::collection::vec((0_u64..1000, 1_u64..100), 1..30),
            cut in 0_usize..4000,
            damage in prop::option::of((0_usize..4000, 1_u8..255)),
        ) {
            let mut now = journal(&[], &[]);
            let mut text = now.write();
            for (start, length) in steps {
                let before = now.clone();
                now.got.insert(Range::new(start, (start + length).min(1000)));
                text.push_str(&Entries::between(&before, &now).text());
            }
            let mut bytes = text.into_bytes();
            bytes.truncate(cut);
            if let Some((at, bits)) = damage && let Some(byte) = bytes.get_mut(at) {
                *byte ^= bits;
            }
            if let Some(read) = Journal::read(&bytes) {
                for range in read.got.iter() {
                    prop_assert!(now.got.contains(range), "{range}");
                }
            }
        }

        #[test]
        fn anything_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Journal::read(&bytes);
        }
    }
}
