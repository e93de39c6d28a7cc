//! The catalogue of errors: every failure has a code (`error[WF-0701]: …`), and `wharf explain` says what it means and what may
//! be done. [`cause`] is the list of codes, `messages/LANGUAGE/errors.toml` the texts.

mod cause;

use std::fmt::Write as _;

pub(crate) use cause::Cause;
use cause::NUMBERS;

use crate::exit::TABLE;
use crate::language::{Language, errors};

/// What is said about a code.
struct Text {
    title: String,
    means: String,
    step: String,
}

impl Text {
    /// Of a code in a language; every code has one (a test holds it), and without one nothing is said.
    fn of(code: &str, language: Language) -> Option<Self> {
        let row = errors(language).get(code)?.as_table()?;
        let field = |name: &str| row.get(name)?.as_str().map(str::to_owned);
        Some(Self {
            title: field("title")?,
            means: field("means")?,
            step: field("do")?,
        })
    }
}

/// `WF-0701` as people type it: in any case, and with or without the letters.
fn number_of(word: &str) -> Option<u16> {
    let word = word.to_ascii_uppercase();
    let digits = word.strip_prefix("WF-").or(word.strip_prefix("WF"));
    let number: u16 = digits.unwrap_or(&word).parse().ok()?;
    NUMBERS
        .iter()
        .any(|(known, _)| *known == number)
        .then_some(number)
}

/// Everything about one code; `None` when there is no such code.
pub(crate) fn explanation(word: &str, language: Language) -> Option<String> {
    let number = number_of(word)?;
    let code = cause::code(number);
    let text = Text::of(&code, language)?;
    let (_, example) = NUMBERS.iter().find(|(known, _)| *known == number)?;
    let labels = errors(language).get("labels")?.as_table()?;
    let label = |name| {
        labels
            .get(name)
            .and_then(toml::Value::as_str)
            .unwrap_or_default()
    };
    let exit = number / 100;
    let meaning = TABLE.iter().find(|(it, _)| u16::from(it.code()) == exit);
    let meaning = meaning
        .map(|(_, meaning)| language.told(meaning))
        .unwrap_or_default();
    Some(format!(
        "{code}: {title}\n\n{means}\n\n{step_label}\n  {step}\n\n{example_label}\n  {example}\n\n{exit_label} {exit}: {meaning}\n",
        title = text.title,
        means = text.means,
        step_label = label("do"),
        step = text.step,
        example_label = label("example"),
        exit_label = label("exit"),
    ))
}

/// Every code with its title, one a line.
pub(crate) fn list(language: Language) -> String {
    let mut out = String::new();
    for (number, _) in NUMBERS {
        let code = cause::code(*number);
        let title = Text::of(&code, language)
            .map(|text| text.title)
            .unwrap_or_default();
        let _ = writeln!(out, "{code}  {title}");
    }
    out
}

/// The whole catalogue as a page, for docs/errors.md.
pub(crate) fn page() -> String {
    let mut out = String::from(
        "# Errors\n\nWhat `error[WF-…]` means. Made from `wharf help errors` by `cargo xtask docs`; do not edit. The first two \
         digits are the exit status.\n",
    );
    for (number, example) in NUMBERS {
        let code = cause::code(*number);
        if let Some(text) = Text::of(&code, Language::English) {
            let _ = write!(
                out,
                "\n## {code}: {}\n\n{}\n\n*What to do:* {}\n\n*Example:* {example}\n",
                text.title, text.means, text.step
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_texts_in_every_language_and_no_text_is_without_code() {
        for language in Language::ALL {
            for (number, _) in NUMBERS {
                let code = cause::code(*number);
                assert!(Text::of(&code, *language).is_some(), "{language:?} {code}");
                assert!(
                    explanation(&code, *language).is_some(),
                    "{language:?} {code}"
                );
            }
            for key in errors(*language).keys().filter(|key| *key != "labels") {
                assert!(number_of(key).is_some(), "{language:?}: {key}");
            }
        }
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        for word in ["WF-0701", "wf-0701", "wf0701", "0701", "701"] {
            assert_eq!(number_of(word), Some(701), "{word}");
        }
        assert_eq!(number_of("WF-9999"), None);
        assert_eq!(number_of("x"), None);
    }
}
