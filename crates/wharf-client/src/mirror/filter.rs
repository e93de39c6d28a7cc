//! Which names a mirror looks at: patterns in the order in which they were given, the last that matches decides.
//!
//! Globs are lines of a gitignore file ([gitignore(5)]): `*.o` matches at any depth, `/build` only at the top, `docs/*.txt`
//! from the top, `tmp/` only directories, `**` across directories. A directory that is left out is not entered, so nothing
//! below it can be taken in again. Regular expressions are matched against the whole pathname below the top, a directory's
//! with a `/` at its end.
//!
//! When the very first pattern takes in, it is understood as "only these": files that no pattern matches are left out.
//!
//! [gitignore(5)]: https://git-scm.com/docs/gitignore

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use regex::bytes::{Regex, RegexBuilder};
use wharf_proto::{Pathname, visible};

/// The longest compiled regular expression, in bytes.
const REGEX_LIMIT: usize = 4 << 20;

/// Patterns, in order. The empty one leaves nothing out.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    rules: Vec<Rule>,
    only_taken: bool,
}

#[derive(Clone, Debug)]
enum Rule {
    Lines(Gitignore),
    Regex { regex: Regex, takes: bool },
}

/// Why a pattern is none; fit for a terminal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

impl Filter {
    /// A filter that leaves nothing out.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves out what matches the glob.
    pub fn exclude(&mut self, glob: &str) -> Result<(), PatternError> {
        self.lines(&format!("{}{glob}", escape(glob)))
    }

    /// Takes in what matches the glob.
    pub fn include(&mut self, glob: &str) -> Result<(), PatternError> {
        self.begins_by_taking();
        self.lines(&format!("!{glob}"))
    }

    /// Leaves out what the regular expression finds.
    pub fn exclude_regex(&mut self, regex: &str) -> Result<(), PatternError> {
        self.regex(regex, false)
    }

    /// Takes in what the regular expression finds.
    pub fn include_regex(&mut self, regex: &str) -> Result<(), PatternError> {
        self.begins_by_taking();
        self.regex(regex, true)
    }

    /// The text of a gitignore file: comments, `!` and all.
    pub fn lines(&mut self, text: &str) -> Result<(), PatternError> {
        let mut builder = GitignoreBuilder::new("");
        for line in text.lines() {
            builder
                .add_line(None, line)
                .map_err(|error| wrong("pattern", line, &error))?;
        }
        let lines = builder
            .build()
            .map_err(|error| wrong("pattern", text, &error))?;
        self.rules.push(Rule::Lines(lines));
        Ok(())
    }

    /// Whether nothing can be left out.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether this name is left out; `path` is absolute, with the top of the mirrored tree as its root.
    pub fn leaves_out(&self, path: &Pathname, is_dir: bool) -> bool {
        if self.rules.is_empty() {
            return false;
        }
        let below = path.as_bytes().strip_prefix(b"/").unwrap_or_default();
        for rule in self.rules.iter().rev() {
            if let Some(out) = rule.judge(below, is_dir) {
                return out;
            }
        }
        self.only_taken && !is_dir
    }

    fn begins_by_taking(&mut self) {
        self.only_taken |= self.rules.is_empty();
    }

    fn regex(&mut self, text: &str, takes: bool) -> Result<(), PatternError> {
        let regex = RegexBuilder::new(text)
            .size_limit(REGEX_LIMIT)
            .build()
            .map_err(|error| wrong("regular expression", text, &error))?;
        self.rules.push(Rule::Regex { regex, takes });
        Ok(())
    }
}

impl Rule {
    /// Whether it leaves the name out; `None` when it does not match.
    fn judge(&self, below: &[u8], is_dir: bool) -> Option<bool> {
        match self {
            Self::Lines(lines) => {
                match lines.matched(Path::new(OsStr::from_bytes(below)), is_dir) {
                    Match::None => None,
                    Match::Ignore(_) => Some(true),
                    Match::Whitelist(_) => Some(false),
                }
            }
            Self::Regex { regex, takes } => {
                let found = if is_dir {
                    regex.is_match(&[below, b"/"].concat())
                } else {
                    regex.is_match(below)
                };
                found.then_some(!takes)
            }
        }
    }
}

/// What stands before a glob so that a gitignore file reads it as one.
fn escape(glob: &str) -> &'static str {
    if glob.starts_with(['!', '#']) {
        "\\"
    } else {
        ""
    }
}

fn wrong(what: &str, text: &str, error: &dyn std::fmt::Display) -> PatternError {
    let text = visible(text.as_bytes());
    PatternError(format!("{text} is not a {what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Given = fn(&mut Filter, &str) -> Result<(), PatternError>;
    const X: Given = Filter::exclude;
    const I: Given = Filter::include;
    const XR: Given = Filter::exclude_regex;
    const IR: Given = Filter::include_regex;
    const FILE: Given = Filter::lines;

    #[test]
    fn what_is_left_out() {
        // patterns, names that stay, names that do not; a name that ends in / is a directory's
        type Row<'a> = (&'a [(Given, &'a str)], &'a [&'a str], &'a [&'a str]);
        let table: &[Row<'_>] = &[
            (&[], &["a", "d/"], &[]),
            (&[(X, "*.o")], &["a", "o/"], &["a.o", "d/e/b.o"]),
            (&[(X, "/build")], &["src/build"], &["build/", "build"]),
            (&[(X, "tmp/")], &["tmp"], &["tmp/", "a/tmp/"]),
            (&[(X, "a/**/z")], &["z"], &["a/z", "a/b/c/z"]),
            (
                &[(X, "*.o"), (I, "keep.o")],
                &["keep.o", "d/keep.o"],
                &["x.o"],
            ),
            (&[(I, "keep.o"), (X, "*.o")], &[], &["keep.o"]),
            (&[(I, "*.jpg")], &["a.jpg", "d/", "d/b.jpg"], &["a.txt"]),
            (&[(X, "!odd"), (X, "#odd")], &["odd"], &["!odd", "#odd"]),
            (&[(XR, r"\.(o|a)$")], &["b.ob"], &["x/b.o", "b.a"]),
            (&[(XR, "^d/$")], &["d"], &["d/"]),
            (&[(IR, "^a")], &["ab", "x/"], &["ba"]),
            (&[(X, "*"), (IR, "^a")], &["a"], &["b", "d/"]),
            (
                &[(FILE, "# comment\n*.log\n!last.log\n\n")],
                &["last.log"],
                &["a.log"],
            ),
            (&[(X, "é*")], &["e"], &["éa"]),
        ];
        for (patterns, stay, go) in table {
            let mut filter = Filter::new();
            for (given, pattern) in *patterns {
                given(&mut filter, pattern).unwrap();
            }
            for (names, out) in [(stay, false), (go, true)] {
                for name in *names {
                    let is_dir = name.ends_with('/');
                    let path: Pathname =
                        format!("/{}", name.trim_end_matches('/')).parse().unwrap();
                    assert_eq!(filter.leaves_out(&path, is_dir), out, "{name} {filter:?}");
                }
            }
        }
    }

    #[test]
    fn names_are_bytes() {
        let mut filter = Filter::new();
        filter.exclude("*.o").unwrap();
        filter.exclude_regex("^x").unwrap();
        let path = |bytes: &[u8]| Pathname::new(bytes.to_vec()).unwrap();
        assert!(filter.leaves_out(&path(b"/\xff.o"), false));
        assert!(filter.leaves_out(&path(b"/x\xff"), false));
        assert!(!filter.leaves_out(&path(b"/\xff"), false));
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        let mut filter = Filter::new();
        let wrong = filter.exclude_regex("(").unwrap_err().to_string();
        assert!(wrong.contains("not a regular expression"), "{wrong}");
        assert!(filter.exclude("a[").is_err() || filter.exclude("{a").is_err());
    }
}
