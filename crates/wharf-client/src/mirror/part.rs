//! The name that a file has until it is complete: `NAME.0123456789abcdef.wharf-part`, beside the final one.
//!
//! The sixteen digits stand for the name, length and time of the version that is copied, so that a later run continues
//! only what comes from the same version, and knows every other remnant as one. The name does not begin with a dot,
//! since several servers hide such names, also from who has to remove them.

use std::time::{SystemTime, UNIX_EPOCH};

const END: &[u8] = b".wharf-part";
const DIGITS: usize = 16;

/// The longest name of most file systems, in bytes.
const NAME_MAX: usize = 255;

/// The temporary name for that version of a file.
pub(super) fn part_name(name: &[u8], size: u64, modified: SystemTime) -> Vec<u8> {
    let seconds = match modified.duration_since(UNIX_EPOCH) {
        Ok(after) => i128::from(after.as_secs()),
        Err(before) => -i128::from(before.duration().as_secs()),
    };
    let tag = [name, &size.to_be_bytes(), &seconds.to_be_bytes()]
        .concat()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            // FNV-1a: the same in every version of every program
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    let room = NAME_MAX - END.len() - DIGITS - 1;
    let mut kept = name.get(..room).unwrap_or(name);
    if kept.len() < name.len() && std::str::from_utf8(name).is_ok() {
        // Not in the middle of a character: some servers and file systems want whole ones.
        while std::str::from_utf8(kept).is_err() {
            kept = kept.get(..kept.len() - 1).unwrap_or_default();
        }
    }
    let mut part = kept.to_vec();
    part.extend_from_slice(format!(".{tag:016x}").as_bytes());
    part.extend_from_slice(END);
    part
}

/// Whether a name is one of these, whoever made it.
pub(super) fn is_part(name: &[u8]) -> bool {
    let Some(rest) = name.strip_suffix(END) else {
        return false;
    };
    let Some((rest, digits)) = rest
        .len()
        .checked_sub(DIGITS)
        .and_then(|at| rest.split_at_checked(at))
    else {
        return false;
    };
    rest.ends_with(b".")
        && digits
            .iter()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_part_is_known_by_its_name() {
        let time = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let part = part_name(b"a.txt", 5, time);
        assert_eq!(
            part.escape_ascii().to_string(),
            "a.txt.aa6e3f7af7de91cc.wharf-part"
        );
        assert!(is_part(&part));
        for other in [
            part_name(b"b.txt", 5, time),
            part_name(b"a.txt", 6, time),
            part_name(b"a.txt", 5, time + Duration::from_secs(1)),
            part_name(b"a.txt", 5, UNIX_EPOCH - Duration::from_secs(9)),
        ] {
            assert!(is_part(&other));
            assert_ne!(other, part);
        }
        for not in [
            &b"a.wharf-part"[..],
            b".wharf-part",
            b"a.0123456789abcdeg.wharf-part",
            b"a0123456789abcdef.wharf-part",
            b"a.0123456789abcdef.part",
            b"",
        ] {
            assert!(!is_part(not), "{}", not.escape_ascii());
        }
    }

    #[test]
    fn the_longest_names_have_parts_too() {
        for name in [
            vec![b'x'; 255],
            "é".repeat(127).into_bytes(),
            vec![0xff; 255],
        ] {
            let part = part_name(&name, 1, UNIX_EPOCH);
            assert!(part.len() <= 255 && is_part(&part));
            assert_eq!(
                std::str::from_utf8(&name).is_ok(),
                std::str::from_utf8(&part).is_ok()
            );
        }
    }
}
