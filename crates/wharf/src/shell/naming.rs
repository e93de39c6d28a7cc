//! How names become other names on their way: `case`, `ntrans`, `nmap`. Pure; a name that comes out is judged before it is
//! used.

/// `ntrans`: letters that become others, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letters {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Letters {
    /// The first letter of `from` becomes the first of `to`, and so on; those without a partner go away.
    pub(crate) fn new(from: &[u8], to: &[u8]) -> Self {
        Self {
            from: from.to_vec(),
            to: to.to_vec(),
        }
    }

    pub(crate) fn apply(&self, name: &[u8]) -> Vec<u8> {
        let become_other = |byte: &u8| match self.from.iter().position(|it| it == byte) {
            None => Some(*byte),
            Some(at) => self.to.get(at).copied(),
        };
        name.iter().filter_map(become_other).collect()
    }

    pub(crate) fn words(&self) -> (&[u8], &[u8]) {
        (&self.from, &self.to)
    }
}

/// A name without small letters, in small letters (`case`).
pub(crate) fn small(name: &[u8]) -> Vec<u8> {
    if name.iter().any(u8::is_ascii_lowercase) {
        name.to_vec()
    } else {
        name.to_ascii_lowercase()
    }
}

/// `nmap`: a pattern that takes a name apart into `$1` to `$9`, and a template that makes another of the parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameMap {
    pattern: Vec<u8>,
    template: Vec<u8>,
}

/// Parts of a name; `$0` is all of it.
type Parts<'n> = [&'n [u8]; 10];

impl NameMap {
    pub(crate) fn new(pattern: &[u8], template: &[u8]) -> Self {
        Self {
            pattern: pattern.to_vec(),
            template: template.to_vec(),
        }
    }

    /// A name that does not fit the pattern to its end keeps the parts that did fit.
    pub(crate) fn apply(&self, name: &[u8]) -> Vec<u8> {
        filled(&self.template, &self.parts(name))
    }

    pub(crate) fn words(&self) -> (&[u8], &[u8]) {
        (&self.pattern, &self.template)
    }

    /// Whether the user's own template leads to an absolute path.
    pub(crate) fn is_absolute(&self) -> bool {
        self.template.starts_with(b"/")
    }

    fn parts<'n>(&self, name: &'n [u8]) -> Parts<'n> {
        let mut parts: Parts<'n> = [&[]; 10];
        parts[0] = name;
        let pattern = &self.pattern;
        let (mut p, mut n) = (0, 0);
        while let Some(&byte) = pattern.get(p) {
            match part_number(&pattern[p..]) {
                Some(number) => {
                    p += 2;
                    // Up to where the next letter of the pattern stands.
                    let end = match literal(&pattern[p..]) {
                        Some((stop, _)) => name[n..].iter().position(|it| *it == stop),
                        None if p < pattern.len() => Some(0), // two parts side by side
                        None => None,
                    };
                    let end = end.map_or(name.len(), |end| n + end);
                    parts[number] = &name[n..end];
                    n = end;
                }
                None => {
                    let (wanted, length) = literal(&pattern[p..]).unwrap_or((byte, 1));
                    if name.get(n) != Some(&wanted) {
                        return parts;
                    }
                    p += length;
                    n += 1;
                }
            }
        }
        parts
    }
}

/// `$1` to `$9` at the beginning.
fn part_number(pattern: &[u8]) -> Option<usize> {
    match pattern {
        [b'$', digit @ b'1'..=b'9', ..] => Some(usize::from(digit - b'0')),
        _ => None,
    }
}

/// The letter that stands at the beginning, and how many bytes it is written with; `None` for a part.
fn literal(pattern: &[u8]) -> Option<(u8, usize)> {
    match pattern {
        [b'\\', letter, ..] => Some((*letter, 2)),
        [letter, ..] if part_number(pattern).is_none() => Some((*letter, 1)),
        _ => None,
    }
}

/// `$0` to `$9`, `[this,or that]`, `\` before what is meant as it is.
fn filled(template: &[u8], parts: &Parts<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&byte) = template.get(at) {
        match (byte, template.get(at + 1)) {
            (b'\\', Some(letter)) => {
                out.push(*letter);
                at += 2;
            }
            (b'$', Some(digit)) if digit.is_ascii_digit() => {
                out.extend_from_slice(parts[usize::from(digit - b'0')]);
                at += 2;
            }
            (b'[', _) => match choice(&template[at + 1..]) {
                Some((first, second, length)) => {
                    let chosen = filled(first, parts);
                    out.extend(if chosen.is_empty() {
                        filled(second, parts)
                    } else {
                        chosen
                    });
                    at += 1 + length;
                }
                None => {
                    out.push(byte);
                    at += 1;
                }
            },
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// What stands behind a `[`: both alternatives, and how long it is with its `]`. They are not nested, so this is no deeper
/// than one level.
fn choice(text: &[u8]) -> Option<(&[u8], &[u8], usize)> {
    let mut comma = None;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' => at += 1,
            b',' if comma.is_none() => comma = Some(at),
            b'[' => return None,
            b']' => {
                let comma = comma?;
                return Some((&text[..comma], &text[comma + 1..at], at + 1));
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Whether a name that a map has made of a *server's* name may be used: no way out of the directory, whatever the parts
/// were. `absolute`: the user's template says so itself.
pub(crate) fn stays_inside(name: &[u8], absolute: bool) -> bool {
    let leaves = name.starts_with(b"/") && !absolute;
    let odd = |part: &[u8]| part == b".." || part.iter().any(u8::is_ascii_control);
    !name.is_empty() && !leaves && !name.split(|byte| *byte == b'/').any(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_become_others_or_go_away() {
        for (from, to, name, expected) in [
            ("ab", "xy", "abc", "xyc"),
            ("ab", "x", "abc", "xc"),
            ("", "x", "abc", "abc"),
            (" ", "_", "a b c", "a_b_c"),
            ("aa", "xy", "a", "x"),
        ] {
            let letters = Letters::new(from.as_bytes(), to.as_bytes());
            assert_eq!(
                letters.apply(name.as_bytes()),
                expected.as_bytes(),
                "{name}"
            );
        }
    }

    #[test]
    fn only_names_in_capitals_become_small() {
        assert_eq!(small(b"README.TXT;1"), b"readme.txt;1");
        assert_eq!(small(b"ReadMe"), b"ReadMe");
    }

    #[test]
    fn names_are_taken_apart_and_put_together() {
        for (pattern, template, name, expected) in [
            // The example of the manual page.
            (
                "$1.$2.$3",
                "[$1,$2].[$2,file]",
                "myfile.data",
                "myfile.data",
            ),
            ("$1.$2.$3", "[$1,$2].[$2,file]", "myfile", "myfile.file"),
            ("$1.$2.$3", "[$1,$2].[$2,file]", ".data", "data.data"),
            ("$1.$2", "$2.$1", "a.b", "b.a"),
            ("$1.$2", "$0.bak", "a.b", "a.b.bak"),
            ("$1", "$1.old", "name", "name.old"),
            ("$1 $2", "$1_$2", "a b", "a_b"),
            ("$1\\$$2", "$1-$2", "a$b", "a-b"),
            ("x$1", "$1", "abc", ""),
            ("$1.$2", "\\$1$1", "a.b", "$1a"),
            ("$1$2", "$1-$2", "ab", "-ab"),
            ("$1.c", "$1.o", "main.c", "main.o"),
            ("$1", "[a", "x", "[a"),
            ("$1", "[$1,y]z", "x", "xz"),
            ("$1.$2", "[$2,a\\,b]", "x", "a,b"),
            ("", "$0", "x", "x"),
        ] {
            let map = NameMap::new(pattern.as_bytes(), template.as_bytes());
            let got = map.apply(name.as_bytes());
            let got = String::from_utf8_lossy(&got);
            assert_eq!(got, expected, "{pattern} {template} {name}");
        }
    }

    #[test]
    fn no_map_leads_out_of_the_directory() {
        for (name, absolute, expected) in [
            ("a", false, true),
            ("dir/a", false, true),
            ("../a", false, false),
            ("a/../../b", false, false),
            ("/etc/passwd", false, false),
            ("/tmp/a", true, true),
            ("/tmp/../a", true, false),
            ("", false, false),
            ("a\nb", false, false),
            ("..a", false, true),
        ] {
            assert_eq!(stays_inside(name.as_bytes(), absolute), expected, "{name}");
        }
    }
}
