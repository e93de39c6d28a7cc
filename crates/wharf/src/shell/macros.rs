//! Macros: several lines under one name, with arguments. `macdef` and netrc define them, `$` executes them.

/// Most macros at once, as in every ftp.
const MOST: usize = 16;

/// Most bytes of all lines together.
const SIZE: usize = 4096;

/// The macros of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Macros(Vec<(Vec<u8>, Vec<Vec<u8>>)>);

impl Macros {
    /// Whether there is room for one more.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }

    /// Defines a macro. One of the same name is replaced.
    ///
    /// # Errors
    /// Why it cannot be: too many, or too long.
    pub(crate) fn define(&mut self, name: &[u8], lines: Vec<Vec<u8>>) -> Result<(), String> {
        let size = |lines: &[Vec<u8>]| lines.iter().map(|line| line.len() + 1).sum::<usize>();
        let others = self.0.iter().filter(|(known, _)| known != name);
        let used: usize = others.map(|(_, lines)| size(lines)).sum();
        if used + size(&lines) > SIZE {
            return Err(format!("macros may have {SIZE} bytes together"));
        }
        if let Some((_, known)) = self.0.iter_mut().find(|(known, _)| known == name) {
            *known = lines;
        } else if self.is_full() {
            return Err(format!("there can be {MOST} macros"));
        } else {
            self.0.push((name.to_vec(), lines));
        }
        Ok(())
    }

    /// The lines of a macro.
    pub(crate) fn lines(&self, name: &[u8]) -> Option<&[Vec<u8>]> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, lines)| lines.as_slice())
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|(name, _)| name.as_slice())
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The lines with arguments in them: `$1` to `$9`, `$i` for all of them in turn, and `\` before what is to be as it is.
/// With `$i` anywhere, all lines are repeated for each argument.
pub(crate) fn expanded(lines: &[Vec<u8>], arguments: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut turn = 0;
    loop {
        let mut loops = false;
        for line in lines {
            all.push(one(line, arguments, turn, &mut loops));
        }
        turn += 1;
        if !loops || turn >= arguments.len() {
            return all;
        }
    }
}

fn one(line: &[u8], arguments: &[Vec<u8>], turn: usize, loops: &mut bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    let mut at = line.iter().copied().peekable();
    while let Some(byte) = at.next() {
        match (byte, at.peek().copied()) {
            // `\$` is `$`; what the words of a line need their own `\` for keeps it.
            (b'\\', Some(b'$')) => out.extend(at.next()),
            (b'\\', Some(next)) => {
                out.extend([byte, next]);
                at.next();
            }
            (b'$', Some(b'i')) => {
                *loops = true;
                at.next();
                out.extend(arguments.get(turn).into_iter().flat_map(|it| escaped(it)));
            }
            (b'$', Some(digit)) if digit.is_ascii_digit() => {
                let mut number = 0_usize;
                while let Some(digit) = at.peek().filter(|it| it.is_ascii_digit()) {
                    number = number
                        .saturating_mul(10)
                        .saturating_add(usize::from(digit - b'0'));
                    at.next();
                }
                let argument = number.checked_sub(1).and_then(|it| arguments.get(it));
                out.extend(argument.into_iter().flat_map(|it| escaped(it)));
            }
            (other, _) => out.push(other),
        }
    }
    out
}

/// An argument stays one word, with whatever blanks it has.
fn escaped(argument: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(argument.len());
    for byte in argument {
        if matches!(byte, b' ' | b'\t' | b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(words: &[&str]) -> Vec<Vec<u8>> {
        words.iter().map(|it| it.as_bytes().to_vec()).collect()
    }

    #[test]
    fn arguments_are_put_in() {
        let cases: &[(&[&str], &[&str], &[&str])] = &[
            (&["get $1 $2"], &["a", "b"], &["get a b"]),
            (&["get $1 $2"], &["a"], &["get a "]),
            (&["get $1"], &["a b"], &["get a\\ b"]),
            (&["cd $1", "get $i"], &["x"], &["cd x", "get x"]),
            (
                &["put $i", "size $i"],
                &["a", "b"],
                &["put a", "size a", "put b", "size b"],
            ),
            (&["put $i"], &[], &["put "]),
            (&["cost \\$1 $"], &["a"], &["cost $1 $"]),
            (&["get a\\ b"], &[], &["get a\\ b"]),
            (&["$10"], &["a"], &[""]),
            (&["$x"], &["a"], &["$x"]),
            (&["$99999999999999999999999"], &["a"], &[""]),
            (&[], &["a"], &[]),
        ];
        for (lines, arguments, expected) in cases {
            let got = expanded(&bytes(lines), &bytes(arguments));
            assert_eq!(got, bytes(expected), "{lines:?}");
        }
    }

    #[test]
    fn there_are_sixteen_of_four_thousand_bytes() {
        let mut macros = Macros::default();
        for number in 0..MOST {
            let name = format!("m{number}");
            macros
                .define(name.as_bytes(), bytes(&["ls", "pwd"]))
                .unwrap();
        }
        assert!(macros.define(b"one more", bytes(&["ls"])).is_err());
        macros.define(b"m0", bytes(&["cd"])).unwrap();
        assert_eq!(macros.lines(b"m0"), Some(&bytes(&["cd"])[..]));
        assert_eq!(macros.lines(b"m99"), None);
        assert!(macros.define(b"m1", vec![vec![b'x'; SIZE]]).is_err());
        macros.clear();
        assert!(macros.define(b"m1", vec![vec![b'x'; SIZE - 1]]).is_ok());
    }
}
