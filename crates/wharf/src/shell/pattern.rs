//! Wildcards in `mget`, `mput` and `mdelete`: `*`, `?`, `[a-z]`, `[!a-z]`, `\x`. Over bytes, in time
//! proportional to pattern times name at worst.

/// Whether a word holds a wildcard at all.
pub(crate) fn is_pattern(word: &[u8]) -> bool {
    word.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// Whether `name` fits `pattern`. A leading dot must be written out.
pub(crate) fn fits(pattern: &[u8], name: &[u8]) -> bool {
    if name.starts_with(b".") && !pattern.starts_with(b".") {
        return false;
    }
    // The last star seen, and where in the name it is tried to end: going back there is enough.
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, n));
            p += 1;
            continue;
        }
        match one(pattern, p, name[n]) {
            Some(next) => {
                p = next;
                n += 1;
            }
            None => match star {
                Some((at, from)) => {
                    p = at + 1;
                    n = from + 1;
                    star = Some((at, n));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Where the pattern goes on if its element at `at` takes `byte`.
fn one(pattern: &[u8], at: usize, byte: u8) -> Option<usize> {
    match *pattern.get(at)? {
        b'?' => Some(at + 1),
        b'[' => match set(pattern, at, byte) {
            Some((true, next)) => Some(next),
            Some((false, _)) => None,
            // No closing bracket: the bracket itself is meant.
            None => (byte == b'[').then_some(at + 1),
        },
        b'\\' if pattern.get(at + 1) == Some(&byte) => Some(at + 2),
        b'\\' if at + 1 < pattern.len() => None,
        other => (other == byte).then_some(at + 1),
    }
}

/// A bracket expression: whether it takes `byte`, and where it ends.
fn set(pattern: &[u8], at: usize, byte: u8) -> Option<(bool, usize)> {
    let mut i = at + 1;
    let negated = matches!(pattern.get(i), Some(b'!' | b'^'));
    if negated {
        i += 1;
    }
    let first = i;
    let mut found = false;
    loop {
        let low = *pattern.get(i)?;
        if low == b']' && i > first {
            return Some((found != negated, i + 1));
        }
        if pattern.get(i + 1) == Some(&b'-') && pattern.get(i + 2).is_some_and(|it| *it != b']') {
            found |= (low..=pattern[i + 2]).contains(&byte);
            i += 3;
        } else {
            found |= low == byte;
            i += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*", "a", true),
            ("*", "", true),
            ("*", ".a", false),
            (".*", ".a", true),
            ("*.txt", "a.txt", true),
            ("*.txt", "a.txt.gz", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "ab", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[a-]", "-", true),
            ("[ab", "[ab", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a", "a", true),
            ("a", "b", false),
            ("", "", true),
            ("", "a", false),
        ] {
            let got = fits(pattern.as_bytes(), name.as_bytes());
            assert_eq!(got, expected, "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_forever() {
        let pattern = b"*a*a*a*a*a*a*a*a*a*a*a*b";
        assert!(!fits(pattern, &[b'a'; 4000]));
    }
}
