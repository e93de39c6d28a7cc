//! What the line editor is told about this language: which kind of word stands at the cursor, and what never gets into the
//! history. Pure.

use super::settings::SETTINGS;
use super::table::{self, Action, COMMANDS, Words};
use crate::editor::{Expected, Grammar, Wanted, without_url_password};

/// The language of lftp.
pub(super) struct Lftp;

/// The words of the command that the cursor stands in, the last one up to the cursor; where that one begins.
fn words_before(line: &str, cursor: usize) -> (Vec<Vec<u8>>, usize) {
    let bytes = &line.as_bytes()[..cursor];
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut start = cursor;
    let mut quote = None;
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        let begins = |word: &Option<Vec<u8>>, start: &mut usize| {
            if word.is_none() {
                *start = at;
            }
        };
        match (byte, quote) {
            (b'\\', _) if at + 1 < bytes.len() => {
                begins(&word, &mut start);
                at += 1;
                word.get_or_insert_default().push(bytes[at]);
            }
            (b'"' | b'\'', None) => {
                begins(&word, &mut start);
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (_, Some(open)) if open == byte => quote = None,
            (b' ' | b'\t', None) => words.extend(word.take()),
            (b';' | b'&' | b'|' | b'(' | b'\n', None) => {
                word = None;
                words.clear();
            }
            _ => {
                begins(&word, &mut start);
                word.get_or_insert_default().push(byte);
            }
        }
        at += 1;
    }
    if word.is_none() {
        start = cursor;
    }
    words.push(word.unwrap_or_default());
    (words, start)
}

impl Grammar for Lftp {
    fn expected(&self, line: &str, cursor: usize) -> Expected {
        let (mut words, start) = words_before(line, cursor);
        let word = words.pop().unwrap_or_default();
        let wanted = wanted(&words, &word);
        Expected {
            start,
            word,
            wanted,
        }
    }

    fn hint(&self, line: &str) -> Option<String> {
        let (words, _) = words_before(line, line.len());
        let [name, last] = words.as_slice() else {
            return None;
        };
        let row = table::find(name).ok()?;
        (last.is_empty() && !row.syntax.is_empty()).then(|| row.syntax.to_owned())
    }

    fn for_history(&self, line: &str) -> Option<String> {
        let line = line.trim();
        (!line.is_empty()).then(|| without_passwords(&without_url_password(line)))
    }
}

fn wanted(before: &[Vec<u8>], word: &[u8]) -> Vec<Wanted> {
    let Some((name, arguments)) = before.split_first() else {
        return vec![commands()];
    };
    let Ok(row) = table::find(name) else {
        return Vec::new();
    };
    if word.starts_with(b"-") {
        return vec![Wanted::Words(options_of(row.name, row.syntax))];
    }
    let last = arguments.last().map_or(&b""[..], Vec::as_slice);
    let local = |only_directories| vec![Wanted::Local { only_directories }];
    let remote = |only_directories| vec![Wanted::Remote { only_directories }];
    match (row.words, last) {
        // `put a -o` names a file there, `get a -o` one here.
        (Words::Remote, b"-o") => local(false),
        (Words::Remote, b"-O") if row.action != Action::Mmv => local(true),
        (Words::Local, b"-o") | (Words::Remote, _) => remote(false),
        (Words::Local, b"-O") | (Words::RemoteDirectories, _) => remote(true),
        (Words::Local, _) => local(false),
        (Words::LocalDirectories, _) => local(true),
        (Words::RemoteThenLocal, _) => {
            let names = arguments.iter().filter(|it| !it.starts_with(b"-")).count();
            let reverse = arguments.iter().any(|it| {
                it == b"--reverse"
                    || (it.starts_with(b"-") && !it.starts_with(b"--") && it.contains(&b'R'))
            });
            if (names == 0) == reverse {
                local(true)
            } else {
                remote(true)
            }
        }
        (Words::Commands, _) => match arguments {
            [] => vec![commands()],
            // The command behind `queue`, `repeat`, `glob` has words of its own.
            inner => wanted(inner, word),
        },
        (Words::Settings, _) if arguments.is_empty() => {
            let names = SETTINGS.iter().map(|row| row.name.to_owned());
            vec![Wanted::Words(names.collect())]
        }
        (Words::Settings | Words::Nothing, _) => Vec::new(),
    }
}

fn commands() -> Wanted {
    let names = COMMANDS
        .iter()
        .filter(|row| !matches!(row.action, Action::Refused(_)));
    Wanted::Words(names.map(|row| row.name.to_owned()).collect())
}

/// The options that the syntax of a command names.
fn options_of(name: &str, syntax: &str) -> Vec<String> {
    let mut options: Vec<String> = syntax
        .split(|letter: char| " []|=".contains(letter))
        .filter(|word| word.starts_with('-') && word.len() > 1)
        .map(str::to_owned)
        .collect();
    if name == "mirror" {
        let long = super::mirror::OPTIONS
            .iter()
            .filter(|it| !it.long.is_empty());
        options.extend(long.map(|it| format!("--{}", it.long)));
    }
    options.sort_unstable();
    options.dedup();
    options
}

/// `open -u me,secret`, `user me secret`, `quote PASS secret` without what is secret. An option of the program may stand
/// between, or the whole may be an argument: only the words around matter.
pub(super) fn without_passwords(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut words: Vec<String> = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let blank = rest.len()
            - rest
                .trim_start_matches([' ', '\t', ';', '(', '&', '|'])
                .len();
        let (between, behind) = rest.split_at(blank);
        if between.contains([';', '(', '&', '|']) {
            words.clear();
        }
        text.push_str(between);
        let end = word_end(behind);
        let (word, after) = behind.split_at(end);
        let bare = word.trim_matches(['"', '\'']).to_ascii_lowercase();
        let second_last = words.len().checked_sub(2).map(|at| words[at].as_str());
        match (second_last, words.last().map(String::as_str)) {
            (_, Some("-u" | "--user")) => text.push_str(word.split(',').next().unwrap_or_default()),
            (_, Some("pass" | "acct")) => text.push_str("****"),
            (Some("user"), Some(_)) if words.len() == 2 => text.push_str("****"),
            _ if bare.starts_with("-u") && word.contains(',') => {
                text.push_str(word.split(',').next().unwrap_or_default());
            }
            _ => text.push_str(word),
        }
        if !bare.is_empty() {
            words.push(bare);
        }
        rest = after;
    }
    text
}

/// Where a word ends: at a blank or a separator outside of quotes.
fn word_end(text: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match (letter, quote) {
            _ if escaped => escaped = false,
            ('\\', _) => escaped = true,
            ('"' | '\'', None) => quote = Some(letter),
            (_, Some(open)) if open == letter => quote = None,
            (' ' | '\t' | ';' | '&' | '|' | '(', None) if at > 0 => return at,
            (' ' | '\t' | ';' | '&' | '|' | '(', None) => return 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stands_in_a_word_of_some_kind() {
        let remote = |only_directories| vec![Wanted::Remote { only_directories }];
        let local = |only_directories| vec![Wanted::Local { only_directories }];
        for (line, start, word, wanted) in [
            ("get fi", 4, "fi", remote(false)),
            ("get \"a b", 4, "a b", remote(false)),
            ("get a\\ b", 4, "a b", remote(false)),
            ("get ", 4, "", remote(false)),
            ("get a -o ", 9, "", local(false)),
            ("put x -o n", 9, "n", remote(false)),
            ("cd a; lcd b", 10, "b", local(true)),
            ("cd sub/d", 3, "sub/d", remote(true)),
            ("mirror ", 7, "", remote(true)),
            ("mirror a ", 9, "", local(true)),
            ("mirror -R ", 10, "", local(true)),
            ("mirror -R a ", 12, "", remote(true)),
            ("queue get f", 10, "f", remote(false)),
            ("repeat cd f", 10, "f", remote(true)),
            ("nonsense f", 9, "f", vec![]),
        ] {
            let expected = Expected {
                start,
                word: word.as_bytes().to_vec(),
                wanted,
            };
            assert_eq!(Lftp.expected(line, line.len()), expected, "{line}");
        }
        let first = Lftp.expected("mg", 2).wanted;
        assert!(matches!(&first[..], [Wanted::Words(words)] if words.contains(&"mget".to_owned())));
        let options = Lftp.expected("glob --e", 8).wanted;
        assert!(
            matches!(&options[..], [Wanted::Words(words)] if words.contains(&"--exist".to_owned()))
        );
    }

    #[test]
    fn passwords_do_not_get_into_the_history() {
        for (line, kept) in [
            ("open -u me,secret host", "open -u me host"),
            ("open -ume,secret host", "open -ume host"),
            ("open --user \"me,se cret\" h; ls", "open --user \"me h; ls"),
            ("user me secret", "user me ****"),
            ("user me", "user me"),
            ("quote PASS secret", "quote PASS ****"),
            ("ls; user me secret && get f", "ls; user me **** && get f"),
            ("open ftp://me:secret@h/", "open ftp://me@h/"),
            ("(open -u me,secret h && ls) &", "(open -u me h && ls) &"),
            ("get a,b", "get a,b"),
        ] {
            assert_eq!(Lftp.for_history(line).as_deref(), Some(kept), "{line}");
        }
        assert_eq!(Lftp.for_history("  "), None);
    }

    #[test]
    fn a_hint_says_what_may_follow() {
        assert_eq!(Lftp.hint("lcd ").as_deref(), Some("[local-directory]"));
        assert_eq!(Lftp.hint("lcd x"), None);
        assert_eq!(Lftp.hint("lc"), None);
    }
}
