//! The options of a command: `-c`, `-O DIR`, `-n4`, `--exclude=x`, bundled as in getopt. Pure.

use wharf_proto::visible;

use super::syntax::Word;
use crate::exit::Failure;

/// One option that a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// The letter; a blank where there is only a long name.
    pub(super) letter: char,
    /// The long name; empty where there is none.
    pub(super) long: &'static str,
    pub(super) value: Value,
}

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    None,
    Needed,
    /// Only in the same word: `--parallel=4`, `-P4`.
    Attached,
}

/// A switch.
pub(super) const fn switch(letter: char, long: &'static str) -> Known {
    Known {
        letter,
        long,
        value: Value::None,
    }
}

/// An option with a value.
pub(super) const fn valued(letter: char, long: &'static str) -> Known {
    Known {
        letter,
        long,
        value: Value::Needed,
    }
}

/// An option that may have a value.
pub(super) const fn attached(letter: char, long: &'static str) -> Known {
    Known {
        letter,
        long,
        value: Value::Attached,
    }
}

/// Options and what is left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Given {
    /// In the order in which they were given: the name (long, else the letter) and the value.
    pub(super) options: Vec<(String, Option<Word>)>,
    pub(super) rest: Vec<Word>,
}

impl Given {
    pub(super) fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(given, _)| given == name)
    }

    /// The last value of an option.
    pub(super) fn value(&self, name: &str) -> Option<&Word> {
        let mut found = self.options.iter().rev().filter(|(given, _)| given == name);
        found.find_map(|(_, value)| value.as_ref())
    }

    /// The last value as text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let word = self.value(name)?;
        Some(String::from_utf8_lossy(&word.text).into_owned())
    }

    /// The last value as a number.
    pub(super) fn number(&self, command: &str, name: &str) -> Result<Option<u64>, Failure> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let number = text.parse().map_err(|_| {
            let shown = visible(text.as_bytes());
            Failure::usage(format!("{command}: `{shown}` is not a number"))
        })?;
        Ok(Some(number))
    }
}

/// Reads the words behind the name of a command. With `anywhere` options may stand between names, as in `get a -o b`; then
/// `middle` is called in place of keeping them.
pub(super) fn read(command: &str, known: &[Known], words: &[Word]) -> Result<Given, Failure> {
    let mut given = Given::default();
    let mut words = words.iter().cloned();
    while let Some(word) = words.next() {
        if word.text == b"--" {
            given.rest.extend(words.by_ref());
            break;
        }
        if let Some(long) = word.text.strip_prefix(b"--") {
            read_long(command, known, long, &mut words, &mut given)?;
        } else if word.text.len() > 1 && word.text.starts_with(b"-") {
            read_short(command, known, &word.text[1..], &mut words, &mut given)?;
        } else {
            given.rest.push(word);
        }
    }
    Ok(given)
}

fn read_long(
    command: &str,
    known: &[Known],
    long: &[u8],
    words: &mut impl Iterator<Item = Word>,
    given: &mut Given,
) -> Result<(), Failure> {
    let (name, value) = match long.iter().position(|it| *it == b'=') {
        Some(at) => (&long[..at], Some(long[at + 1..].to_vec())),
        None => (long, None),
    };
    let exact = known
        .iter()
        .find(|it| !it.long.is_empty() && it.long.as_bytes() == name);
    let mut beginning = known
        .iter()
        .filter(|it| !it.long.is_empty() && it.long.as_bytes().starts_with(name));
    let found = match (exact, beginning.next(), beginning.next()) {
        (Some(exact), ..) => exact,
        (None, Some(only), None) => only,
        _ => return Err(unknown(command, &[b"--", name].concat())),
    };
    let value = match (found.value, value) {
        (Value::None, Some(_)) => {
            let message = format!("{command}: --{} has no value", found.long);
            return Err(Failure::usage(message));
        }
        (Value::Needed, None) => Some(
            words
                .next()
                .ok_or_else(|| missing(command, &format!("--{}", found.long)))?,
        ),
        (_, value) => value.map(|text| Word {
            pattern: text.clone(),
            text,
        }),
    };
    given.options.push((found.long.to_owned(), value));
    Ok(())
}

fn read_short(
    command: &str,
    known: &[Known],
    letters: &[u8],
    words: &mut impl Iterator<Item = Word>,
    given: &mut Given,
) -> Result<(), Failure> {
    for (at, byte) in letters.iter().enumerate() {
        let letter = char::from(*byte);
        let found = known.iter().find(|it| it.letter == letter && letter != ' ');
        let found = found.ok_or_else(|| unknown(command, &[b'-', *byte]))?;
        let name = match found.long {
            "" => letter.to_string(),
            long => long.to_owned(),
        };
        let behind = &letters[at + 1..];
        let attached = (!behind.is_empty()).then(|| Word {
            text: behind.to_vec(),
            pattern: behind.to_vec(),
        });
        match found.value {
            Value::None => given.options.push((name, None)),
            Value::Attached => {
                given.options.push((name, attached));
                return Ok(());
            }
            Value::Needed => {
                let value = match attached {
                    Some(value) => value,
                    None => words
                        .next()
                        .ok_or_else(|| missing(command, &format!("-{letter}")))?,
                };
                given.options.push((name, Some(value)));
                return Ok(());
            }
        }
    }
    Ok(())
}

fn unknown(command: &str, option: &[u8]) -> Failure {
    Failure::usage(format!("{command}: there is no option {}", visible(option)))
        .with_hint(format!("help {command}"))
}

fn missing(command: &str, option: &str) -> Failure {
    Failure::usage(format!("{command}: {option} needs a value"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Known] = &[
        switch('c', "continue"),
        switch('v', "verbose"),
        valued('O', ""),
        valued('x', "exclude"),
        valued(' ', "exclude-glob"),
        attached('P', "parallel"),
    ];

    #[test]
    fn options_are_read_as_getopt_reads_them() {
        for (line, expected) in [
            ("-c a b", "continue | a b"),
            ("-cv a", "continue verbose | a"),
            ("a -c b", "continue | a b"),
            ("-O dir a", "O=dir | a"),
            ("-Odir a", "O=dir | a"),
            ("-vOdir a", "verbose O=dir | a"),
            ("--exclude=x a", "exclude=x | a"),
            (
                "--exclude x --exclude-glob y",
                "exclude=x exclude-glob=y | ",
            ),
            ("-P4 a", "parallel=4 | a"),
            ("-P 4", "parallel | 4"),
            ("--parallel=4", "parallel=4 | "),
            ("--par", "parallel | "),
            ("--cont -- -c", "continue | -c"),
            ("- a", " | - a"),
            ("-q", "x: there is no option -q"),
            ("--continue=1", "x: --continue has no value"),
            ("-O", "x: -O needs a value"),
            ("--ex", "x: there is no option --ex"),
        ] {
            let words: Vec<Word> = line.split(' ').map(Word::plain).collect();
            let shown = match read("x", KNOWN, &words) {
                Err(failure) => failure.message,
                Ok(given) => {
                    let text = |word: &Word| String::from_utf8_lossy(&word.text).into_owned();
                    let options: Vec<String> = given
                        .options
                        .iter()
                        .map(|(name, value)| match value {
                            Some(value) => format!("{name}={}", text(value)),
                            None => name.clone(),
                        })
                        .collect();
                    let rest: Vec<String> = given.rest.iter().map(text).collect();
                    format!("{} | {}", options.join(" "), rest.join(" "))
                }
            };
            assert_eq!(shown, expected, "{line}");
        }
    }
}
