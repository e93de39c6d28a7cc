//! The configuration file: TOML in, [`Settings`] out, every mistake reported at once.
//!
//! [`TABLES`] is the truth, with one file a table of the configuration: it drives the reader, the suggestions
//! for mistyped keys and the commented example (`wharf help config`).

mod acme;
mod bans;
mod connections;
mod data;
mod limits;
mod log;
mod login;
mod server;
mod tls;
mod toml_value;
mod uploads;

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::Settings;
use super::problem::{Problem, line_of, nearest};
use toml_value::{Mistakes, Value, kind};

/// One key of the file.
pub(crate) struct Setting {
    /// With its table: `data.passive_ports`.
    pub(crate) key: &'static str,
    /// A value as it would be written; the default where there is one.
    pub(crate) example: &'static str,
    pub(crate) help: &'static str,
    set: fn(&mut Settings, &Value<'_>, &Path) -> Result<(), Mistakes>,
}

/// Every key, in the order of the example file. Keys of no table come first, for TOML has no way back out of one.
const TABLES: &[&[Setting]] = &[
    server::KEYS,
    uploads::KEYS,
    connections::KEYS,
    tls::KEYS,
    acme::KEYS,
    login::KEYS,
    data::KEYS,
    limits::KEYS,
    bans::KEYS,
    log::KEYS,
];

/// Every key, in the order of the example file.
pub(crate) fn keys() -> impl Iterator<Item = &'static Setting> {
    TABLES.iter().copied().flatten()
}

/// Reads a file's text into settings, or says everything that is wrong with it. Relative paths in
/// it start at `base`.
pub(crate) fn read(text: &str, base: &Path) -> Result<Settings, Vec<Problem>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<Problem> = errors
        .iter()
        .map(|error| Problem {
            line: error.span().map_or(0, |span| line_of(text, span.start)),
            key: String::new(),
            message: error.message().replace('\n', ", "),
        })
        .collect();
    let broken_lines: Vec<usize> = problems.iter().map(|problem| problem.line).collect();

    let mut settings = Settings::default();
    let mut found = Vec::new();
    walk(&mut settings, table.get_ref(), "", base, &mut found);
    for (span, key, message) in found {
        let line = line_of(text, span.start);
        // What the parser guessed in a broken line says nothing about the writer.
        if !broken_lines.contains(&line) {
            problems.push(Problem { line, key, message });
        }
    }
    if problems.is_empty() {
        problems.extend(
            settings
                .contradictions()
                .into_iter()
                .map(|(table, message)| Problem {
                    line: 0,
                    key: table.to_owned(),
                    message,
                }),
        );
    }
    problems.sort();
    problems.dedup();
    if problems.is_empty() {
        Ok(settings)
    } else {
        Err(problems)
    }
}

fn walk(
    settings: &mut Settings,
    table: &DeTable<'_>,
    prefix: &str,
    base: &Path,
    found: &mut Vec<(Range<usize>, String, String)>,
) {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        let below = format!("{key}.");
        let is_table = keys().any(|row| row.key.starts_with(&below));
        match (value.get_ref(), keys().find(|row| row.key == key)) {
            (DeValue::Table(inner), _) if is_table => walk(settings, inner, &below, base, found),
            (other, None) if is_table => found.push((
                value.span(),
                key.clone(),
                format!("expected a table [{key}], found {}", kind(other)),
            )),
            (_, Some(row)) => {
                if let Err(mistakes) = (row.set)(settings, value, base) {
                    found.extend(
                        mistakes
                            .into_iter()
                            .map(|(span, message)| (span, key.clone(), message)),
                    );
                }
            }
            (_, None) => {
                found.push((name.span(), key.clone(), unknown(&key, name.get_ref())));
            }
        }
    }
}

/// The message for an unknown key: a near one in the whole file counts, and so does the right name
/// in the wrong table.
fn unknown(key: &str, name: &str) -> String {
    let last = |full: &'static str| full.rsplit_once('.').map_or(full, |(_, last)| last);
    let tables = keys().filter_map(|row| Some(row.key.split_once('.')?.0));
    let guess = keys()
        .map(|row| row.key)
        .find(|full| last(full) == name.replace('-', "_"))
        .or_else(|| nearest(key, keys().map(|row| row.key)))
        .or_else(|| {
            let near = nearest(name, keys().map(|row| last(row.key)))?;
            keys().map(|row| row.key).find(|full| last(full) == near)
        })
        .or_else(|| nearest(key, tables));
    match guess {
        Some(guess) => format!("unknown key; did you mean `{guess}`?"),
        None => "unknown key".to_owned(),
    }
}

/// The example file: every key with its explanation, commented out.
pub(crate) fn example() -> String {
    let mut out = String::from(
        "# Configuration of `wharf serve --config FILE`. Check it with `wharf check --config FILE`.\n\
         # Every key is optional; flags and WHARF_* variables override it. Durations: 500ms, 30s, 5m, 1h.\n",
    );
    let mut table = "";
    for row in keys() {
        let (section, name) = row.key.split_once('.').unwrap_or(("", row.key));
        out.push('\n');
        if section != table {
            let _ = writeln!(out, "[{section}]");
            table = section;
        }
        for line in wrap(row.help, 96) {
            let _ = writeln!(out, "# {line}");
        }
        let _ = writeln!(out, "#{name} = {}", row.example);
    }
    out
}

/// Breaks a text at spaces so that no line is longer than `width` characters, where words allow.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expected: Expect) {
        let answer = match read(text, Path::new("/etc/wharf")) {
            Ok(_) => "fine\n".to_owned(),
            Err(problems) => problems.iter().fold(String::new(), |mut out, problem| {
                let _ = writeln!(out, "{problem}");
                out
            }),
        };
        expected.assert_eq(&answer);
    }

    #[test]
    fn an_empty_file_is_the_default() {
        check("", expect!["fine\n"]);
    }

    #[test]
    fn the_example_holds_with_every_key_switched_on() {
        let mut text = String::new();
        for line in example().lines() {
            let commented_key = line.strip_prefix('#').filter(|rest| !rest.starts_with(' '));
            let _ = writeln!(text, "{}", commented_key.unwrap_or(line));
        }
        let settings = read(&text, Path::new("/etc/wharf"));
        // `writable` is off in the example, everything else agrees.
        let settings = settings.expect("the example has no problems");
        assert_eq!(settings.login.users, Some("/etc/wharf/users.toml".into()));
        assert_eq!(settings.data.advertise.len(), 2);
    }

    #[test]
    fn every_mistake_is_reported_at_once_with_its_line() {
        check(
            r#"
directory = 7
lisen = "0.0.0.0:21"

[data]
passive_ports = "50199-50000"
advertise = ["203.0.113.7", "10.0.0.0/64=1.2.3.4", 5]
idle_timeout = "5m"

[limit]
sessions = -1

[limits]
sessions = -1
login_timeout = "soon"
"#,
            expect![[r"
                line 2: directory: expected a string, found an integer
                line 3: lisen: unknown key; did you mean `listen`?
                line 6: data.passive_ports: `50199-50000` is empty: the first port must not be above the last
                line 7: data.advertise: `10.0.0.0/64` is not a network: expected e.g. 192.168.0.0/16 in NET=ADDR
                line 7: data.advertise: expected a string, found an integer
                line 8: data.idle_timeout: unknown key; did you mean `limits.idle_timeout`?
                line 10: limit: unknown key; did you mean `limits`?
                line 14: limits.sessions: `-1` is out of range: expected 0 to 1000000
                line 15: limits.login_timeout: `soon` is not a duration: expected e.g. 30s, 5m, 1h, 500ms
            "]],
        );
    }

    #[test]
    fn syntax_and_meaning_are_reported_together() {
        check(
            "directory = \ngreeting = \"a\\nb\"\n[log]\nformat = \"xml\"\n",
            expect![[r"
                line 1: string values must be quoted, expected literal string
                line 2: greeting: must be one line
                line 4: log.format: `xml` is not a log format: expected human or json
            "]],
        );
    }

    #[test]
    fn settings_that_contradict_each_other_are_found() {
        check(
            "[login]\nwritable = true\nread_only = true\n",
            expect![[r"
                login: writable and read-only contradict each other
                login: writable only concerns anonymous, and anonymous is not on (named users may write already)
            "]],
        );
        check(
            "sandbox = \"off\"\n[login]\nauth = \"system\"\n",
            expect![[r#"
                login: users of the system, and no sandbox: say sandbox = "best-effort" (--sandbox best-effort), which puts what checks passwords and what talks to the network apart
            "#]],
        );
    }
}
