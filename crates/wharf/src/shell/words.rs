//! A typed line as words: blanks separate, `"` quotes, `\` takes the next byte as it is. Words are
//! bytes, like the names they stand for.

/// A line that cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenQuote;

/// Splits a line. What follows `!` at its beginning is left in one piece for the system's shell.
pub(crate) fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, OpenQuote> {
    let line = line.trim_ascii();
    if let Some(command) = line.strip_prefix(b"!") {
        let command = command.trim_ascii();
        let mut words = vec![b"!".to_vec()];
        if !command.is_empty() {
            words.push(command.to_vec());
        }
        return Ok(words);
    }
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut quoted = false;
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            b'\\' => {
                let next = bytes.next().unwrap_or(b'\\');
                word.get_or_insert_default().push(next);
            }
            b' ' | b'\t' if !quoted => words.extend(word.take()),
            // `get x |less -R` and `dir . |more`: the rest belongs to the pipe.
            b'|' if !quoted && word.is_none() => {
                let mut pipe = vec![b'|'];
                pipe.extend(bytes.by_ref());
                word = Some(pipe);
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    if quoted {
        return Err(OpenQuote);
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_into_words() {
        let cases: &[(&str, &[&str])] = &[
            ("get a b", &["get", "a", "b"]),
            ("  get\ta  ", &["get", "a"]),
            ("get \"a b\" c", &["get", "a b", "c"]),
            ("get a\\ b", &["get", "a b"]),
            ("get \"\"", &["get", ""]),
            ("get a\"b c\"d", &["get", "ab cd"]),
            ("get x |less -R \"x\"", &["get", "x", "|less -R \"x\""]),
            ("get a|b", &["get", "a|b"]),
            ("!ls -l \"x\"", &["!", "ls -l \"x\""]),
            ("!", &["!"]),
            ("", &[]),
        ];
        for (line, expected) in cases {
            let words = split(line.as_bytes()).unwrap();
            let words: Vec<String> = words
                .into_iter()
                .map(|word| String::from_utf8(word).unwrap())
                .collect();
            assert_eq!(&words, expected, "{line}");
        }
        assert_eq!(split(b"get \"a"), Err(OpenQuote));
    }
}
