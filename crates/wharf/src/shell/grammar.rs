//! What the line editor must know about the commands: which kind of word stands at the cursor, and what no history keeps.

use super::table::{self, Action, COMMANDS, Row};
use super::words;
use crate::editor::{Expected, Grammar, Wanted};

/// The commands of `ftp`.
pub(super) struct FtpGrammar;

/// Kinds of arguments, by their place.
fn wanted(row: &Row, place: usize) -> Vec<Wanted> {
    let remote = |only_directories| vec![Wanted::Remote { only_directories }];
    let local = |only_directories| vec![Wanted::Local { only_directories }];
    let commands = || {
        let names = COMMANDS.iter().map(|row| row.name.to_owned());
        vec![Wanted::Words(names.collect())]
    };
    match (row.action, place) {
        (Action::Cd | Action::Rmdir, _) => remote(true),
        (
            Action::Delete
            | Action::Cat
            | Action::Mdelete
            | Action::Mget
            | Action::Mreget
            | Action::Page
            | Action::Modtime
            | Action::Size
            | Action::Mlst
            | Action::Mdir(_)
            | Action::Rename,
            _,
        )
        | (
            Action::Get
            | Action::Reget
            | Action::Newer
            | Action::Dir
            | Action::NameList
            | Action::RawFacts
            | Action::Paged(_)
            | Action::RemoteStatus,
            0,
        )
        | (Action::Put | Action::Append | Action::Reput, 1) => remote(false),
        (Action::Chmod, place) if place > 0 => remote(false),
        (Action::Put | Action::Append | Action::Reput | Action::Fget, 0)
        | (Action::Mput | Action::LocalPage, _)
        | (Action::Get | Action::Reget | Action::Newer | Action::Dir | Action::NameList, 1) => {
            local(false)
        }
        (Action::LocalCd, _) => local(true),
        (Action::Help | Action::Usage, _) | (Action::OtherServer, 0) => commands(),
        (Action::Toggle(_) | Action::Tick | Action::Epsv, 0) => {
            vec![Wanted::Words(vec!["off".to_owned(), "on".to_owned()])]
        }
        _ => Vec::new(),
    }
}

/// Where the last word of a line begins, and what it is without its quotes.
fn last_word(line: &str) -> (usize, Vec<u8>) {
    let mut start = line.len();
    let (mut quoted, mut escaped, mut inside) = (false, false, false);
    for (at, letter) in line.char_indices() {
        if !inside && !letter.is_whitespace() {
            inside = true;
            start = at;
        }
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ if letter.is_whitespace() && !quoted => {
                inside = false;
                start = line.len();
            }
            _ => {}
        }
    }
    let mut text = line.as_bytes()[start..].to_vec();
    if quoted {
        text.push(b'"');
    }
    let word = words::split(&text).unwrap_or_default();
    (start, word.into_iter().next().unwrap_or_default())
}

impl Grammar for FtpGrammar {
    fn expected(&self, line: &str, cursor: usize) -> Expected {
        let before = line.get(..cursor).unwrap_or(line);
        let (start, word) = last_word(before);
        let mut left = words::split(&before.as_bytes()[..start]).unwrap_or_default();
        let mut wanted_here = Vec::new();
        // `proxy get x` is about `get`.
        let proxied = left
            .first()
            .is_some_and(|it| it.eq_ignore_ascii_case(b"proxy"));
        if proxied && left.len() > 1 {
            left.remove(0);
        }
        match left.first() {
            None => {
                let names = COMMANDS.iter().map(|row| row.name.to_owned());
                wanted_here.push(Wanted::Words(names.collect()));
            }
            Some(command) => {
                if let Ok(row) = table::find(command) {
                    wanted_here = wanted(row, left.len() - 1);
                }
            }
        }
        Expected {
            start,
            word,
            wanted: wanted_here,
        }
    }

    fn hint(&self, line: &str) -> Option<String> {
        let typed = line.strip_suffix(' ')?;
        let row = table::find(typed.as_bytes()).ok()?;
        (row.name == typed && !row.syntax.is_empty()).then(|| row.syntax.to_owned())
    }

    fn for_history(&self, line: &str) -> Option<String> {
        let mut words = words::split(line.as_bytes()).ok()?;
        if words
            .first()
            .is_some_and(|it| it.eq_ignore_ascii_case(b"proxy"))
        {
            words.remove(0);
        }
        let command = words.first()?;
        let secret = |word: &Vec<u8>| {
            let word = word.to_ascii_uppercase();
            word.starts_with(b"PASS") || word.starts_with(b"ACCT")
        };
        match table::find(command).map(|row| row.action) {
            Ok(Action::User) if words.len() > 2 => None,
            Ok(Action::Account) if words.len() > 1 => None,
            Ok(Action::Quote) if words.get(1).is_some_and(secret) => None,
            Ok(Action::Set) if words.get(1).is_some_and(|it| it == b"anonpass") => None,
            Ok(Action::Open) => Some(crate::editor::without_url_password(line)),
            _ => Some(line.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_at_the_cursor_is_known() {
        for (line, start, word) in [
            ("", 0, ""),
            ("ge", 0, "ge"),
            ("get ", 4, ""),
            ("get a", 4, "a"),
            ("get \"a b", 4, "a b"),
            ("get a\\ b", 4, "a b"),
            ("put x y", 6, "y"),
        ] {
            assert_eq!(last_word(line), (start, word.as_bytes().to_vec()), "{line}");
        }
    }

    #[test]
    fn arguments_are_of_the_kind_that_the_command_takes() {
        let kind = |line: &str| match FtpGrammar.expected(line, line.len()).wanted.first() {
            None => "nothing",
            Some(Wanted::Words(_)) => "words",
            Some(Wanted::Remote { only_directories }) if *only_directories => "remote directory",
            Some(Wanted::Remote { .. }) => "remote",
            Some(Wanted::Local { only_directories }) if *only_directories => "local directory",
            Some(Wanted::Local { .. }) => "local",
        };
        for (line, expected) in [
            ("g", "words"),
            ("get ", "remote"),
            ("get a b", "local"),
            ("put ", "local"),
            ("put a ", "remote"),
            ("cd ", "remote directory"),
            ("lcd x", "local directory"),
            ("mget a b c", "remote"),
            ("proxy g", "words"),
            ("proxy get ", "remote"),
            ("help g", "words"),
            ("bell o", "words"),
            ("open ", "nothing"),
            ("nonsense ", "nothing"),
        ] {
            assert_eq!(kind(line), expected, "{line}");
        }
    }

    #[test]
    fn no_password_gets_into_the_history() {
        for (line, expected) in [
            ("get a", Some("get a")),
            ("user me", Some("user me")),
            ("user me secret", None),
            ("proxy user me secret", None),
            ("account secret", None),
            ("quote PASS secret", None),
            ("quote \"pass secret\"", None),
            ("quote NOOP", Some("quote NOOP")),
            ("set anonpass me@", None),
        ] {
            assert_eq!(FtpGrammar.for_history(line).as_deref(), expected, "{line}");
        }
    }
}
