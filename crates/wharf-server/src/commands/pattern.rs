//! Wildcards in the last component of LIST, NLST and STAT: `*`, `?`, `[a-z]` and `{a,b}`.
//!
//! Matching is done by an automaton in time proportional to the name, whatever the pattern, and a
//! pattern is bounded in length; directories are never expanded, so `*/../*/..` asks for nothing.

use globset::{GlobBuilder, GlobMatcher};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Longer patterns are taken for plain names
const LONGEST: usize = 255;

/// A pattern for names in one directory
#[derive(Debug)]
pub(crate) struct Pattern {
    matcher: GlobMatcher,
    /// A leading dot must be asked for, as a shell has it
    hidden: bool,
}

impl Pattern {
    /// The pattern in a name; `None` when it holds no wildcard, or none that can be understood
    pub(crate) fn in_name(name: &[u8]) -> Option<Self> {
        let wild = name.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['));
        if !wild || name.len() > LONGEST {
            return None;
        }
        let glob = GlobBuilder::new(std::str::from_utf8(name).ok()?)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .ok()?;
        Some(Self {
            matcher: glob.compile_matcher(),
            hidden: name.first() == Some(&b'.'),
        })
    }

    /// Whether an entry of the directory is meant; `all` asks for hidden ones as well
    pub(crate) fn matches(&self, name: &[u8], all: bool) -> bool {
        let shown = name.first() != Some(&b'.') || self.hidden || all;
        shown && self.matcher.is_match(Path::new(OsStr::from_bytes(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_in_a_shell() {
        for (pattern, name, matches) in [
            ("*.txt", "a.txt", true),
            ("*.txt", "a.txt.gz", false),
            ("*", ".hidden", false),
            (".*", ".hidden", true),
            ("f?", "f1", true),
            ("f[0-4]", "f7", false),
            ("*.{c,h}", "x.h", true),
            ("\\*", "*", true),
            ("*", "\u{fc}", true),
        ] {
            let compiled = Pattern::in_name(pattern.as_bytes()).expect(pattern);
            assert_eq!(
                compiled.matches(name.as_bytes(), false),
                matches,
                "{pattern} {name}"
            );
        }
        assert!(Pattern::in_name(b"*").expect("*").matches(b"\xff", false));
    }

    #[test]
    fn a_name_without_wildcard_is_no_pattern() {
        for name in [&b"plain"[..], b"{a,b}", b"[", b"\xff*"] {
            assert!(Pattern::in_name(name).is_none(), "{name:?}");
        }
    }

    #[test]
    fn the_worst_pattern_takes_no_time() {
        let pattern = Pattern::in_name("*a".repeat(100).as_bytes()).expect("a pattern");
        let name = vec![b'a'; 250];
        for _ in 0..100 {
            assert!(pattern.matches(&name, false));
        }
    }
}
