//! Sentences with placeholders, found again in what was said: `cannot read {file}: {why}`.

/// A template: its texts, and between each two of them a placeholder.
struct Template {
    texts: Vec<String>,
    names: Vec<String>,
    translation: String,
}

/// The templates of a language.
pub(super) struct Templates {
    all: Vec<Template>,
}

/// A placeholder whose name begins so holds a sentence, which is told, too; others hold names, which stay what they are.
const SENTENCE: &str = "why";

/// Sentences in sentences are told this deep.
const DEPTH: u8 = 5;

impl Templates {
    /// Reads a table of sentence and translation.
    pub(super) fn read(toml: &str) -> Self {
        let table: toml::Table = toml.parse().unwrap_or_default();
        let mut all: Vec<Template> = table
            .iter()
            .filter_map(|(sentence, it)| Some(Template::new(sentence, it.as_str()?)))
            .collect();
        // What says most is what was meant.
        all.sort_by_key(|template| std::cmp::Reverse(template.weight()));
        Self { all }
    }

    pub(super) fn translate(&self, text: &str) -> String {
        self.told(text, DEPTH)
    }

    fn told(&self, text: &str, depth: u8) -> String {
        if depth == 0 {
            return text.to_owned();
        }
        for template in &self.all {
            if let Some(values) = template.values(text) {
                let told = values.iter().zip(&template.names).map(|(value, name)| {
                    if name.starts_with(SENTENCE) {
                        self.told(value, depth - 1)
                    } else {
                        (*value).to_owned()
                    }
                });
                return template.filled(&told.collect::<Vec<_>>());
            }
        }
        text.to_owned()
    }
}

impl Template {
    fn new(sentence: &str, translation: &str) -> Self {
        let (texts, names) = parts(sentence);
        Self {
            texts,
            names,
            translation: translation.to_owned(),
        }
    }

    /// How much of it is said in words.
    fn weight(&self) -> usize {
        self.texts.iter().map(String::len).sum()
    }

    /// What stands at the placeholders, if it is this sentence that was said.
    fn values<'a>(&self, text: &'a str) -> Option<Vec<&'a str>> {
        let (first, rest) = self.texts.split_first()?;
        let mut values = Vec::with_capacity(rest.len());
        found(rest, text.strip_prefix(first.as_str())?, &mut values).then_some(values)
    }

    fn filled(&self, values: &[String]) -> String {
        let (texts, names) = parts(&self.translation);
        let mut out = String::new();
        for (count, text) in texts.iter().enumerate() {
            out.push_str(text);
            let value = names
                .get(count)
                .and_then(|name| self.names.iter().position(|known| known == name))
                .and_then(|at| values.get(at));
            out.push_str(value.map_or("", String::as_str));
        }
        out
    }
}

/// Whether `text` is a value, then a text of `texts`, and so on to its end; the shortest values that do.
fn found<'a>(texts: &[String], text: &'a str, values: &mut Vec<&'a str>) -> bool {
    let Some((next, rest)) = texts.split_first() else {
        return text.is_empty();
    };
    if rest.is_empty() {
        // The last text ends the sentence.
        let Some(value) = text.strip_suffix(next.as_str()) else {
            return false;
        };
        values.push(value);
        return !value.is_empty();
    }
    for (at, _) in text.match_indices(next.as_str()) {
        if at == 0 {
            continue;
        }
        let before = values.len();
        values.push(&text[..at]);
        if found(rest, &text[at + next.len()..], values) {
            return true;
        }
        values.truncate(before);
    }
    false
}

/// `a {b} c` is the texts `a `, ` c` and the name `b`.
fn parts(sentence: &str) -> (Vec<String>, Vec<String>) {
    let mut texts = Vec::new();
    let mut names = Vec::new();
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else {
            break;
        };
        texts.push(before.to_owned());
        names.push(name.to_owned());
        rest = behind;
    }
    texts.push(rest.to_owned());
    (texts, names)
}

/// What is wrong with a table: placeholders that differ, sentences that would be found in everything.
#[cfg(test)]
pub(super) fn faults(toml: &str) -> Vec<String> {
    let table: toml::Table = toml.parse().expect("TOML");
    let read = Templates::read(toml);
    let mut faults = Vec::new();
    for (sentence, translation) in &table {
        let translation = translation.as_str().expect("a text");
        let (texts, mut names) = parts(sentence);
        let (_, mut theirs) = parts(translation);
        names.sort();
        theirs.sort();
        if names != theirs {
            faults.push(format!("{sentence}: {names:?}, but {theirs:?}"));
        }
        let letters: usize = texts
            .iter()
            .map(|text| text.chars().filter(char::is_ascii_alphabetic).count())
            .sum();
        if letters < 4 {
            faults.push(format!("{sentence}: would be found in everything"));
        }
        let side_by_side =
            texts.len() > 2 && texts[1..texts.len() - 1].iter().any(String::is_empty);
        if side_by_side {
            faults.push(format!("{sentence}: nothing between two placeholders"));
        }
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            faults.push(format!("{sentence}: a placeholder twice"));
        }
        // It is found in itself.
        if read.translate(sentence) == *sentence {
            faults.push(format!("{sentence}: not translated"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_that_says_most_is_meant_and_values_are_told_too() {
        let templates = Templates::read(
            "\"cannot read {file}: {why}\" = \"{why}<{file}\"\n\"gone for good\" = \"GONE\"\n\"cannot read {file}\" = \"?{file}\"\n\"took {n} s\" = \"{n} S\"\n",
        );
        for (text, expected) in [
            ("cannot read a: b", "b<a"),
            ("cannot read a: b: gone for good", "b: gone for good<a"),
            ("cannot read a: gone for good", "GONE<a"),
            ("cannot read a", "?a"),
            ("cannot read ", "cannot read "),
            ("took 3 s s", "3 s S"),
            ("something else", "something else"),
        ] {
            assert_eq!(templates.translate(text), expected, "{text}");
        }
    }
}
