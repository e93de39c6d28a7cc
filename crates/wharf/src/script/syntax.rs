//! lftp's language, from text to commands. Pure.
//!
//! Commands are words; `;`, a newline, `&&`, `||`, `&` end them, `|` and `>` say where their output goes, `( )` makes one of
//! several, `!` gives the rest of the line to the system's shell, `#` begins a comment. Commands are read one at a time, for
//! an `alias` changes what follows it on the same line. As in lftp (parsecmd.cc), quotes do not protect wildcards, a
//! backslash does.

/// On what the command depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// It begins a chain.
    Always,
    /// `&&`
    And,
    /// `||`
    Or,
}

/// Where the output of a command goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Redirect {
    /// `> file`, `>> file`
    File { name: Vec<u8>, append: bool },
    /// `| command`
    Pipe(Vec<u8>),
}

/// A word as it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// What it stands for where it is a name.
    pub(super) text: Vec<u8>,
    /// The same with backslashes left before wildcards that are meant as letters.
    pub(super) pattern: Vec<u8>,
}

impl Word {
    /// A word that means itself.
    #[cfg(test)]
    pub(super) fn plain(text: &str) -> Self {
        Self {
            text: text.as_bytes().to_vec(),
            pattern: text.as_bytes().to_vec(),
        }
    }

    /// A name that must not be taken for a pattern.
    pub(super) fn name(text: Vec<u8>) -> Self {
        let mut pattern = Vec::with_capacity(text.len());
        for byte in &text {
            if WILDCARDS.contains(byte) {
                pattern.push(b'\\');
            }
            pattern.push(*byte);
        }
        Self { text, pattern }
    }

    /// The word as somebody would have to type it.
    pub(super) fn quoted(&self) -> Vec<u8> {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./:,=@%+~*?[]".contains(byte);
        if !self.text.is_empty() && self.text.iter().all(plain) {
            return self.text.clone();
        }
        let mut text = vec![b'"'];
        for byte in &self.text {
            if matches!(byte, b'"' | b'\\') {
                text.push(b'\\');
            }
            text.push(*byte);
        }
        text.push(b'"');
        text
    }
}

const WILDCARDS: &[u8] = b"*?[]{}\\";

/// What a command is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Only a separator or a comment.
    Nothing,
    Words(Vec<Word>),
    /// `!command`; empty for a shell.
    Local(Vec<u8>),
    /// What stands in parentheses.
    Group(Vec<u8>),
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) condition: Condition,
    pub(super) what: What,
    pub(super) output: Option<Redirect>,
    pub(super) background: bool,
    /// As it was typed, for the list of jobs.
    pub(super) text: Vec<u8>,
}

/// What comes next in a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Command(Box<Parsed>),
    /// All was read.
    End,
    /// A quotation mark, a parenthesis or a continued line is open: another line is needed, or something is missing.
    More(&'static str),
    /// Not a command; what follows it on the line is left out.
    Wrong(&'static str),
}

/// Text that is read command by command.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    text: Vec<u8>,
    at: usize,
    /// Aliases that are being expanded, each with how much text followed it: it is not expanded again before that.
    expanding: Vec<(Vec<u8>, usize)>,
}

impl Script {
    pub(super) fn of(text: &[u8]) -> Self {
        let mut script = Self::default();
        script.feed(text);
        script
    }

    /// Another line, or several.
    pub(super) fn feed(&mut self, text: &[u8]) {
        self.text.drain(..self.at);
        self.at = 0;
        self.text.extend_from_slice(text);
        self.text.push(b'\n');
    }

    /// Drops what was not read.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The next command. `alias` says what the first word of a command stands for.
    pub(super) fn next(&mut self, alias: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> Next {
        let begin = self.at;
        let next = self.read(alias);
        match next {
            Next::More(_) => self.at = begin,
            Next::Wrong(_) => {
                let rest = &self.text[self.at..];
                let end = rest.iter().position(|it| *it == b'\n');
                self.at = end.map_or(self.text.len(), |end| self.at + end + 1);
            }
            Next::Command(_) | Next::End => {}
        }
        next
    }

    fn read(&mut self, alias: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> Next {
        self.blanks();
        if self.at >= self.text.len() {
            return Next::End;
        }
        let condition = match self.operator() {
            Some(condition) => {
                self.at += 2;
                condition
            }
            None => Condition::Always,
        };
        self.blanks();
        if condition != Condition::Always {
            // A chain may go on in the next line.
            while self.peek() == Some(b'\n') {
                self.at += 1;
                self.blanks();
            }
            if self.at >= self.text.len() {
                return Next::More("a command is missing behind && or ||");
            }
        }
        let from = self.at;
        match self.peek() {
            Some(b'#') => {
                self.line();
                return command(condition, What::Nothing);
            }
            Some(b'!') => {
                self.at += 1;
                self.blanks();
                let line = self.line();
                return command(condition, What::Local(line));
            }
            _ => {}
        }
        let what = if self.peek() == Some(b'(') {
            self.at += 1;
            match self.group() {
                Some(text) => What::Group(text),
                None => return Next::More("a parenthesis is not closed"),
            }
        } else {
            let mut words: Vec<Word> = Vec::new();
            loop {
                self.blanks();
                if self.at_end_of_command() {
                    break;
                }
                let Some((word, quoted)) = self.word(b" \t>|;&") else {
                    return Next::More("a quotation mark is not closed");
                };
                if words.is_empty()
                    && !quoted
                    && let Some(meaning) = alias(&word.text)
                    && !self.is_expanding(&word.text)
                {
                    self.expand(word.text, &meaning);
                    // An alias may hold anything, also several commands.
                    let expanded = self.read(alias);
                    return match expanded {
                        Next::Command(mut parsed) if parsed.condition == Condition::Always => {
                            parsed.condition = condition;
                            Next::Command(parsed)
                        }
                        other => other,
                    };
                }
                words.push(word);
            }
            match words.is_empty() {
                true => What::Nothing,
                false => What::Words(words),
            }
        };
        self.blanks();
        let output = match self.redirect() {
            Ok(output) => output,
            Err(next) => return next,
        };
        if what == What::Nothing && (output.is_some() || condition != Condition::Always) {
            return Next::Wrong("a command is missing");
        }
        let text = self.text[from..self.at].trim_ascii().to_vec();
        let mut background = false;
        self.blanks();
        if self.operator().is_none() {
            match self.peek() {
                Some(b'&') => {
                    background = true;
                    self.at += 1;
                }
                Some(b';' | b'\n') => self.at += 1,
                None => {}
                Some(_) => return Next::Wrong("something stands behind the end of a command"),
            }
        }
        if what == What::Nothing && background {
            return Next::Wrong("a command is missing before &");
        }
        Next::Command(Box::new(Parsed {
            condition,
            what,
            output,
            background,
            text,
        }))
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn operator(&self) -> Option<Condition> {
        match self.text.get(self.at..self.at + 2)? {
            b"&&" => Some(Condition::And),
            b"||" => Some(Condition::Or),
            _ => None,
        }
    }

    fn at_end_of_command(&self) -> bool {
        self.peek().is_none_or(|byte| b"\n>|;&".contains(&byte))
    }

    fn blanks(&mut self) {
        loop {
            match self.text.get(self.at..) {
                Some([b' ' | b'\t' | b'\r', ..]) => self.at += 1,
                Some([b'\\', b'\n', rest @ ..]) if !rest.is_empty() => self.at += 2,
                _ => return,
            }
        }
    }

    /// The rest of the line, with its end.
    fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        while let Some(byte) = self.peek() {
            self.at += 1;
            match (byte, self.peek()) {
                (b'\n', _) => break,
                (b'\\', Some(b'\n')) => self.at += 1,
                _ => line.push(byte),
            }
        }
        line.truncate(line.trim_ascii_end().len());
        line
    }

    /// What stands before the parenthesis that closes; quotes and inner groups stay as they are.
    fn group(&mut self) -> Option<Vec<u8>> {
        let from = self.at;
        let mut level = 1;
        let mut quote = None;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match (byte, quote) {
                (b'\\', _) => self.at += 1,
                (b'"' | b'\'', None) => quote = Some(byte),
                (_, Some(open)) if open == byte => quote = None,
                (b'(', None) => level += 1,
                (b')', None) => {
                    level -= 1;
                    if level == 0 {
                        return Some(self.text[from..self.at - 1].to_vec());
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// A word up to one of `ends` or a newline, and whether any of it was quoted. `None`: a quotation mark is open.
    fn word(&mut self, ends: &[u8]) -> Option<(Word, bool)> {
        let mut word = Word::default();
        let mut quote = None;
        let mut quoted = false;
        while let Some(byte) = self.peek() {
            if byte == b'\\'
                && let Some(next) = self.text.get(self.at + 1).copied()
            {
                if next == b'\n' && quote.is_none() {
                    self.at += 2;
                    continue;
                }
                let wildcard = WILDCARDS.contains(&next);
                let special = match quote {
                    None => b" \t\"'\\>|;&()#!$~<,".contains(&next) || wildcard,
                    Some(open) => next == open || wildcard,
                };
                if special {
                    self.at += 2;
                    quoted = true;
                    word.text.push(next);
                    if wildcard {
                        word.pattern.push(b'\\');
                    }
                    word.pattern.push(next);
                    continue;
                }
            }
            match (byte, quote) {
                (b'"' | b'\'', None) => {
                    quote = Some(byte);
                    quoted = true;
                    self.at += 1;
                    continue;
                }
                (_, Some(open)) if open == byte => {
                    quote = None;
                    self.at += 1;
                    continue;
                }
                (b'\n', None) => break,
                (_, None) if ends.contains(&byte) => break,
                _ => {}
            }
            word.text.push(byte);
            word.pattern.push(byte);
            self.at += 1;
        }
        quote.is_none().then_some((word, quoted))
    }

    fn redirect(&mut self) -> Result<Option<Redirect>, Next> {
        if self.operator().is_some() {
            return Ok(None);
        }
        let open = || Next::More("a quotation mark is not closed");
        match self.peek() {
            Some(b'|') => {
                self.at += 1;
                self.blanks();
                // The command keeps its quotes: it is the system's shell that reads them.
                let from = self.at;
                self.word(b";&").ok_or_else(open)?;
                let filter = self.text[from..self.at].trim_ascii().to_vec();
                if filter.is_empty() {
                    return Err(Next::Wrong("a command is missing behind |"));
                }
                Ok(Some(Redirect::Pipe(filter)))
            }
            Some(b'>') => {
                self.at += 1;
                let append = self.peek() == Some(b'>');
                if append {
                    self.at += 1;
                }
                self.blanks();
                let (file, _) = self.word(b" \t;&|").ok_or_else(open)?;
                if file.text.is_empty() {
                    return Err(Next::Wrong("a file is missing behind >"));
                }
                Ok(Some(Redirect::File {
                    name: file.text,
                    append,
                }))
            }
            _ => Ok(None),
        }
    }

    fn is_expanding(&mut self, name: &[u8]) -> bool {
        let left = self.text.len() - self.at;
        self.expanding.retain(|(_, behind)| left >= *behind);
        self.expanding.iter().any(|(known, _)| known == name)
    }

    fn expand(&mut self, name: Vec<u8>, meaning: &[u8]) {
        let behind = self.text.len() - self.at;
        self.text.splice(..self.at, meaning.iter().copied());
        self.at = 0;
        self.expanding.push((name, behind));
    }
}

fn command(condition: Condition, what: What) -> Next {
    let text = match &what {
        What::Local(line) => [b"!", line.as_slice()].concat(),
        _ => Vec::new(),
    };
    Next::Command(Box::new(Parsed {
        condition,
        what,
        output: None,
        background: false,
        text,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A script in one line: commands between `;`, words between `|`.
    fn shown(text: &str, aliases: &[(&str, &str)]) -> String {
        let mut script = Script::of(text.as_bytes());
        let alias = |word: &[u8]| {
            let found = aliases.iter().find(|(name, _)| name.as_bytes() == word)?;
            Some(found.1.as_bytes().to_vec())
        };
        let mut all = Vec::new();
        loop {
            match script.next(&alias) {
                Next::End => break,
                Next::More(why) => {
                    all.push(format!("more: {why}"));
                    break;
                }
                Next::Wrong(why) => all.push(format!("wrong: {why}")),
                Next::Command(parsed) => all.extend(one(&parsed)),
            }
        }
        all.join("; ")
    }

    fn one(parsed: &Parsed) -> Option<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let what = match &parsed.what {
            What::Nothing => return None,
            What::Words(words) => {
                let words: Vec<String> = words.iter().map(|it| text(&it.text)).collect();
                words.join("|")
            }
            What::Local(line) => format!("!{}", text(line)),
            What::Group(inner) => format!("({})", text(inner)),
        };
        let before = match parsed.condition {
            Condition::Always => "",
            Condition::And => "&& ",
            Condition::Or => "|| ",
        };
        let output = match &parsed.output {
            None => String::new(),
            Some(Redirect::File { name, append: true }) => format!(" >> {}", text(name)),
            Some(Redirect::File { name, .. }) => format!(" > {}", text(name)),
            Some(Redirect::Pipe(filter)) => format!(" to {}", text(filter)),
        };
        let background = if parsed.background { " &" } else { "" };
        Some(format!("{before}{what}{output}{background}"))
    }

    #[test]
    fn text_becomes_commands() {
        for (text, expected) in [
            ("get a b", "get|a|b"),
            ("  get\ta  ", "get|a"),
            ("open h; cd d;get f", "open|h; cd|d; get|f"),
            ("a\nb\n\nc", "a; b; c"),
            ("a && b || c; d", "a; && b; || c; d"),
            ("a &&\n  b", "a; && b"),
            ("a&", "a &"),
            ("a & b &", "a &; b &"),
            ("get \"a b\" 'c d' e\\ f", "get|a b|c d|e f"),
            ("get a\"b c\"d", "get|ab cd"),
            ("echo \"it's\" 'say \"x\"'", "echo|it's|say \"x\""),
            ("echo \"a\\\"b\" 'c\\'d' \"e\\f\"", "echo|a\"b|c'd|e\\f"),
            ("get \"\"", "get|"),
            ("echo C:\\dir \\\\", "echo|C:\\dir|\\"),
            ("ls > a; ls >> \"b c\"", "ls > a; ls >> b c"),
            ("ls>a", "ls > a"),
            (
                "ls | grep -v 'x y' | wc -l; pwd",
                "ls to grep -v 'x y' | wc -l; pwd",
            ),
            ("ls | head && pwd", "ls to head; && pwd"),
            (
                "cat f | sed \"s/;/&/\" && pwd",
                "cat|f to sed \"s/;/&/\"; && pwd",
            ),
            ("!ls; echo x | y\npwd", "!ls; echo x | y; pwd"),
            ("!", "!"),
            ("# get a; b\nc # d", "c|#|d"),
            ("(cd a && get b) & pwd", "(cd a && get b) &; pwd"),
            ("(a; (b; c) && \")\") || d", "(a; (b; c) && \")\"); || d"),
            ("(ls) > x", "(ls) > x"),
            ("get a \\\n  b", "get|a|b"),
            ("a;;b", "a; b"),
            ("", ""),
            ("get a\r\npwd\r", "get|a\r; pwd\r"),
        ] {
            assert_eq!(shown(text, &[]), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_command_is_said() {
        for (text, expected) in [
            ("get \"a", "more: a quotation mark is not closed"),
            ("(cd a", "more: a parenthesis is not closed"),
            ("a &&", "a; more: a command is missing behind && or ||"),
            ("ls |", "wrong: a command is missing behind |"),
            ("ls > ; pwd\npwd", "wrong: a file is missing behind >; pwd"),
            ("> x", "wrong: a command is missing"),
            ("&", "wrong: a command is missing before &"),
            (
                "(a) b",
                "wrong: something stands behind the end of a command",
            ),
        ] {
            assert_eq!(shown(text, &[]), expected, "{text}");
        }
    }

    #[test]
    fn a_line_that_is_not_finished_goes_on_with_the_next() {
        let mut script = Script::of(b"get \"a");
        assert!(matches!(script.next(&|_| None), Next::More(_)));
        script.feed(b"b\"");
        let Next::Command(parsed) = script.next(&|_| None) else {
            panic!("no command");
        };
        assert_eq!(one(&parsed).unwrap(), "get|a\nb");
    }

    #[test]
    fn aliases_stand_for_text() {
        let aliases = [
            ("dir", "ls"),
            ("ls", "ls -l"),
            ("two", "cd a; get"),
            ("a", "b"),
            ("b", "a"),
        ];
        for (text, expected) in [
            ("dir x", "ls|-l|x"),
            ("ls && dir", "ls|-l; && ls|-l"),
            ("two f; pwd", "cd|a; get|f; pwd"),
            ("x && two f", "x; && cd|a; get|f"),
            ("a; a", "a; a"),
            ("\"dir\" x", "dir|x"),
            ("get dir", "get|dir"),
        ] {
            assert_eq!(shown(text, &aliases), expected, "{text}");
        }
    }

    #[test]
    fn a_backslash_protects_wildcards_and_quotes_do_not() {
        for (text, expected, name) in [
            ("x \"*.txt\"", "*.txt", "*.txt"),
            ("x a\\*", "a\\*", "a*"),
            ("x \"a\\[1]\"", "a\\[1]", "a[1]"),
            ("x a\\\\", "a\\\\", "a\\"),
        ] {
            let Next::Command(parsed) = Script::of(text.as_bytes()).next(&|_| None) else {
                panic!("{text}");
            };
            let What::Words(words) = parsed.what else {
                panic!("{text}");
            };
            assert_eq!(words[1].pattern, expected.as_bytes(), "{text}");
            assert_eq!(words[1].text, name.as_bytes(), "{text}");
        }
    }

    #[test]
    fn what_is_quoted_is_read_as_it_was() {
        for text in [
            "a",
            "a b",
            "x\"y",
            "tab\there",
            "",
            "a\\b",
            "*.c",
            "it's",
            "a;b",
        ] {
            let quoted = Word::plain(text).quoted();
            let line = [b"x ", quoted.as_slice()].concat();
            let Next::Command(parsed) = Script::of(&line).next(&|_| None) else {
                panic!("{text}");
            };
            let What::Words(words) = parsed.what else {
                panic!("{text}");
            };
            assert_eq!(words[1].text, text.as_bytes());
        }
    }
}
