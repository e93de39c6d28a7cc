//! What fits the word at the cursor. Pure, but for the reading of local directories.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rustyline::completion::Pair;
use wharf_proto::visible;

use super::RemoteName;

/// Not more names of one local directory are looked at.
const MOST_LOCAL: usize = 10_000;

/// The word at the cursor, and what may stand there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    /// Where the word begins in the line, with its quotes: a byte index.
    pub(crate) start: usize,
    /// The word up to the cursor, without quotes.
    pub(crate) word: Vec<u8>,
    /// Kinds of things that fit; none where nothing is known.
    pub(crate) wanted: Vec<Wanted>,
}

/// A kind of word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// One of these: commands, options, settings.
    Words(Vec<String>),
    /// A name on the server.
    Remote { only_directories: bool },
    /// A name on this machine.
    Local { only_directories: bool },
}

/// Something that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The whole word, unquoted.
    pub(super) word: Vec<u8>,
    /// Its last part, as it is listed.
    shown: Vec<u8>,
    /// The word is finished: a blank follows.
    finished: bool,
}

impl Candidate {
    /// As rustyline takes it. What is not UTF-8 cannot be typed on this editor's line, so it is left out.
    pub(super) fn pair(&self, open_quote: bool) -> Option<Pair> {
        let word = std::str::from_utf8(&self.word).ok()?;
        if word.chars().any(char::is_control) {
            return None;
        }
        let mut replacement = if open_quote {
            in_quotes(word)
        } else {
            escaped(word)
        };
        if self.finished {
            replacement.push_str(if open_quote { "\" " } else { " " });
        }
        let display = visible(&self.shown);
        Some(Pair {
            display,
            replacement,
        })
    }
}

/// What is special in the languages of both front ends gets a backslash.
fn escaped(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    for (at, letter) in word.chars().enumerate() {
        let special = " \t\"'\\|&;<>()*?[]{}$!#".contains(letter) || (at == 0 && letter == '~');
        // `~/` and options are meant as they are.
        let meant = at == 0 && letter == '~' && word.starts_with("~/");
        if special && !meant {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

fn in_quotes(word: &str) -> String {
    let mut text = String::from("\"");
    for letter in word.chars() {
        if matches!(letter, '"' | '\\') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

/// `a/b/c` is the directory `a/b` and the beginning `c` of a name in it; `/c` is in `/`.
pub(super) fn split(word: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match word.iter().rposition(|byte| *byte == b'/') {
        Some(0) => (Some(b"/"), &word[1..]),
        Some(at) => (Some(&word[..at]), &word[at + 1..]),
        None => (None, word),
    }
}

/// Those of `words` that begin with `word`.
pub(super) fn words(words: &[String], word: &[u8]) -> Vec<Candidate> {
    words
        .iter()
        .filter(|it| it.as_bytes().starts_with(word))
        .map(|it| Candidate {
            word: it.clone().into_bytes(),
            shown: it.clone().into_bytes(),
            finished: !it.ends_with('='),
        })
        .collect()
}

/// Those of `names`, in the directory that `word` names, that begin like its last part. Names with a leading dot only where
/// it was typed.
pub(super) fn names(names: &[RemoteName], word: &[u8], only_directories: bool) -> Vec<Candidate> {
    let (_, beginning) = split(word);
    let kept = &word[..word.len() - beginning.len()];
    names
        .iter()
        .filter(|it| it.name.starts_with(beginning))
        .filter(|it| !it.name.starts_with(b".") || beginning.starts_with(b"."))
        .filter(|it| it.directory || !only_directories)
        // A listing holds names. What holds a slash is none, and would lead elsewhere.
        .filter(|it| !it.name.contains(&b'/'))
        .map(|it| {
            let mut shown = it.name.clone();
            if it.directory {
                shown.push(b'/');
            }
            Candidate {
                word: [kept, &shown].concat(),
                shown,
                finished: !it.directory,
            }
        })
        .collect()
}

/// Names on this machine.
pub(super) fn local_names(directory: Option<&[u8]>) -> Vec<RemoteName> {
    let path = match directory {
        None => PathBuf::from("."),
        Some(word) => {
            let home = std::env::var_os("HOME").filter(|_| word == b"~" || word.starts_with(b"~/"));
            match home {
                Some(home) => {
                    let rest = word[1..].strip_prefix(b"/").unwrap_or_default();
                    PathBuf::from(home).join(std::ffi::OsStr::from_bytes(rest))
                }
                None => PathBuf::from(std::ffi::OsStr::from_bytes(word)),
            }
        }
    };
    let Ok(entries) = std::fs::read_dir(path) else {
        return Vec::new();
    };
    entries
        .flatten()
        .take(MOST_LOCAL)
        .map(|entry| RemoteName {
            directory: entry.path().is_dir(),
            name: entry.file_name().into_vec(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(name: &str, directory: bool) -> RemoteName {
        RemoteName {
            name: name.as_bytes().to_vec(),
            directory,
        }
    }

    #[test]
    fn what_fits_is_inserted_so_that_it_is_read_as_that_name() {
        let listed = [
            remote("a b.txt", false),
            remote("archive", true),
            remote(".hidden", false),
            remote("../../etc", true),
            remote("x\ny", false),
            remote("b'c", false),
        ];
        for (word, quote, only, expected) in [
            ("a", false, false, vec!["a\\ b.txt ", "archive/"]),
            ("a", true, false, vec!["\"a b.txt\" ", "\"archive/"]),
            ("", false, true, vec!["archive/"]),
            ("b", false, false, vec!["b\\'c "]),
            (".", false, false, vec![".hidden "]),
            ("x", false, false, vec![]),
            ("d e/b", false, false, vec!["d\\ e/b\\'c "]),
            ("/ar", false, false, vec!["/archive/"]),
        ] {
            let found = names(&listed, word.as_bytes(), only);
            let texts: Vec<String> = found
                .iter()
                .filter_map(|it| it.pair(quote))
                .map(|it| it.replacement)
                .collect();
            assert_eq!(texts, expected, "{word}");
        }
    }

    #[test]
    fn words_are_split_at_their_last_slash() {
        for (word, directory, name) in [
            ("a", None, "a"),
            ("a/b", Some("a"), "b"),
            ("/b", Some("/"), "b"),
            ("a/b/", Some("a/b"), ""),
            ("", None, ""),
        ] {
            let expected = (directory.map(str::as_bytes), name.as_bytes());
            assert_eq!(split(word.as_bytes()), expected, "{word}");
        }
    }

    #[test]
    fn a_word_that_is_whole_gets_a_blank() {
        let commands = ["get".to_owned(), "glob".to_owned(), "--user=".to_owned()];
        let texts = |word: &[u8]| -> Vec<String> {
            let found = words(&commands, word);
            let pairs = found.iter().filter_map(|it| it.pair(false));
            pairs.map(|it| it.replacement).collect()
        };
        assert_eq!(texts(b"g"), ["get ", "glob "]);
        assert_eq!(texts(b"--"), ["--user="]);
    }
}
