//! echo, set, alias, source, repeat, jobs, queue, help: everything that is not about files.

mod beside;

use std::sync::Arc;
use std::time::Duration;

use wharf_proto::{Text, visible};

use super::options::{self, Value, switch, valued};
use super::place::failed;
use super::run::single_quoted;
use super::settings::{SETTINGS, Told, duration};
use super::sink;
use super::syntax::Word;
use super::table::{self, Action, COMMANDS};
use super::{EditorWish, Leave, Shell};
use crate::exit::{Exit, Failure};
use crate::screen::Screen;

/// A script that a command writes is not read beyond this.
const LONGEST_SCRIPT: usize = 16 << 20;

/// Shows the dialogue from the next session on.
pub(super) fn show_dialogue(shell: &mut Shell) {
    let mut connector = (*shell.connector).clone();
    let output = shell.output.clone();
    connector.add_recorder(Arc::new(Screen { output }));
    shell.connector = std::rc::Rc::new(connector);
}

impl Shell {
    /// `echo [-n] text...`
    pub(super) async fn echo(&mut self, words: &[Word]) -> Result<(), Failure> {
        let bare = words.first().is_some_and(|word| word.text == b"-n");
        let words = if bare { &words[1..] } else { words };
        let texts: Vec<&[u8]> = words.iter().map(|word| word.text.as_slice()).collect();
        let text = texts.join(&b' ');
        match bare {
            true => self.sink.write(&text).await.map(drop),
            false => self.sink.line(&text).await.map(drop),
        }
    }

    /// `set [-a|-d] [name [value...]]`
    pub(super) async fn set(&mut self, words: &[Word]) -> Result<(), Failure> {
        let flags = words
            .iter()
            .take_while(|word| matches!(word.text.as_slice(), b"-a" | b"-d" | b"-ad" | b"-da"))
            .count();
        let all = words[..flags].iter().any(|word| word.text.contains(&b'a'));
        let defaults = words[..flags].iter().any(|word| word.text.contains(&b'd'));
        let Some((name, value)) = words[flags..].split_first() else {
            return self.show_settings(all, defaults).await;
        };
        let name = visible(&name.text);
        let values: Vec<String> = value
            .iter()
            .map(|word| String::from_utf8_lossy(&word.text).into_owned())
            .collect();
        let value = (!values.is_empty()).then(|| values.join(" "));
        match self.settings.set(&name, value.as_deref())? {
            Told::Done => {}
            Told::Note(note) => self.say(&format!("note: {note}")),
        }
        let (down, up) = self.settings.total_rates()?;
        self.limits.0.set(down);
        self.limits.1.set(up);
        let name = name.split('/').next().unwrap_or_default().to_owned();
        if connection_matter(&name) {
            // The next command logs in under the new rules.
            self.hang_up().await;
        }
        Ok(())
    }

    async fn show_settings(&mut self, all: bool, defaults: bool) -> Result<(), Failure> {
        let mut lines: Vec<String> = Vec::new();
        let show = |name: &str, value: &str| {
            let value = Word::name(value.as_bytes().to_vec()).quoted();
            format!("set {name} {}", String::from_utf8_lossy(&value))
        };
        if all || defaults {
            for row in SETTINGS {
                let value = match defaults {
                    true => row.default.to_owned(),
                    false => self.settings.text(row.name, ""),
                };
                lines.push(show(row.name, &value));
            }
        } else {
            lines.extend(
                self.settings
                    .changed()
                    .map(|(name, value)| show(&name, value)),
            );
        }
        for line in lines {
            if !self.sink.line(line.as_bytes()).await? {
                break;
            }
        }
        Ok(())
    }

    /// `alias [name [value]]`
    pub(super) async fn alias(&mut self, words: &[Word]) -> Result<(), Failure> {
        match words {
            [] => {
                for (name, value) in &self.aliases {
                    let line = format!("alias {} \"{}\"", visible(name), visible(value));
                    self.sink.line(line.as_bytes()).await?;
                }
            }
            [name] => {
                self.aliases.remove(&name.text);
            }
            [name, value @ ..] => {
                let texts: Vec<&[u8]> = value.iter().map(|word| word.text.as_slice()).collect();
                self.aliases.insert(name.text.clone(), texts.join(&b' '));
            }
        }
        Ok(())
    }

    /// `source file`, `source -e command`
    pub(super) async fn source(&mut self, words: &[Word]) -> Result<(), Failure> {
        let given = options::read("source", &[valued('e', "")], words)?;
        let text = if let Some(command) = given.value("e") {
            let mut child = sink::shell(&command.text, &self.here);
            child.stderr(std::process::Stdio::inherit());
            let made = child
                .output()
                .await
                .map_err(|error| sink::cannot_run(&command.text, &error))?;
            if !made.status.success() {
                let message = format!("source: `{}`: {}", visible(&command.text), made.status);
                return Err(Failure::new(Exit::LocalFile, message));
            }
            made.stdout
        } else {
            let word = given
                .rest
                .first()
                .ok_or_else(|| Failure::usage("source: which file?"))?;
            let path = self.local(&word.text);
            std::fs::read(&path).map_err(|error| super::transfer::local_failure(&path, &error))?
        };
        if text.len() > LONGEST_SCRIPT {
            return Err(Failure::usage(
                "source: this is no script: it has more than 16 MiB",
            ));
        }
        self.inner(&text).await
    }

    /// A script within a script; its status is the command's.
    async fn inner(&mut self, text: &[u8]) -> Result<(), Failure> {
        self.status = 0;
        let missing = Box::pin(self.text(text)).await;
        if let Some(missing) = missing {
            return Err(Failure::usage(missing));
        }
        match self.status {
            0 => Ok(()),
            status => Err(Failure::told(Exit::Partial).with_code(status)),
        }
    }

    /// `command word...`: without aliases.
    pub(super) async fn command(&mut self, words: &[Word]) -> Result<(), Failure> {
        if words.is_empty() {
            return Err(Failure::usage("command: which command?"));
        }
        Box::pin(self.words(words)).await
    }

    /// `eval [-f format] words...`
    pub(super) async fn eval(&mut self, words: &[Word]) -> Result<(), Failure> {
        let (format, words) = match words {
            [flag, format, rest @ ..] if flag.text == b"-f" => (Some(format.text.clone()), rest),
            words => (None, words),
        };
        let text = match format {
            None => {
                let texts: Vec<&[u8]> = words.iter().map(|word| word.text.as_slice()).collect();
                texts.join(&b' ')
            }
            Some(format) => filled(&format, words),
        };
        self.inner(&text).await
    }

    /// `repeat [-c count] [--while-ok|--until-ok] [delay] command`
    pub(super) async fn repeat(&mut self, words: &[Word]) -> Result<(), Failure> {
        let known = [
            options::Known {
                letter: 'c',
                long: "count",
                value: Value::Needed,
            },
            valued('d', "delay"),
            switch(' ', "while-ok"),
            switch(' ', "until-ok"),
            switch(' ', "weak"),
        ];
        let mut own = 0;
        while let Some(word) = words.get(own).filter(|word| word.text.starts_with(b"-")) {
            own += if matches!(
                word.text.as_slice(),
                b"-c" | b"-d" | b"--count" | b"--delay"
            ) {
                2
            } else {
                1
            };
        }
        let own = own.min(words.len());
        let given = options::read("repeat", &known, &words[..own])?;
        let mut words = &words[own..];
        let mut delay = Duration::from_secs(1);
        if let Some(text) = given.text("delay") {
            delay = duration(&text)?.unwrap_or(delay);
        } else if let Some((first, rest)) = words.split_first()
            && !rest.is_empty()
            && let Ok(Some(time)) = duration(&String::from_utf8_lossy(&first.text))
        {
            (delay, words) = (time, rest);
        }
        let count = given.number("repeat", "count")?.unwrap_or(u64::MAX);
        if words.is_empty() {
            return Err(Failure::usage("repeat: which command?"));
        }
        let text = Self::command_text(words);
        let (while_ok, until_ok) = (given.has("while-ok"), given.has("until-ok"));
        let mut last = Ok(());
        for time in 0..count {
            if time > 0 {
                tokio::time::sleep(delay).await;
            }
            last = self.inner(&text).await;
            // What failed and will be tried again has not failed yet.
            if until_ok && last.is_err() {
                (self.pending, self.failed) = (None, None);
            }
            if (while_ok && last.is_err()) || (until_ok && last.is_ok()) || self.leave.is_some() {
                break;
            }
        }
        last
    }

    /// `exit [code|bg|top|parent|kill]`
    pub(super) fn exit(&mut self, words: &[Word]) -> Result<(), Failure> {
        let mut leave = Leave {
            status: None,
            kill: false,
        };
        for word in words {
            match word.text.as_slice() {
                b"top" | b"parent" | b"bg" => {}
                b"kill" => leave.kill = true,
                number => {
                    let number = std::str::from_utf8(number)
                        .ok()
                        .and_then(|it| it.parse::<u8>().ok());
                    leave.status = Some(number.ok_or_else(|| {
                        Failure::usage(format!(
                            "exit: `{}` is not a status from 0 to 255",
                            visible(&word.text)
                        ))
                    })?);
                }
            }
        }
        // What failed before keeps its status.
        self.status = leave.status.unwrap_or(self.status_before);
        self.leave = Some(leave);
        Ok(())
    }

    /// `debug [level|off]`
    pub(super) fn debug(&mut self, words: &[Word]) -> Result<(), Failure> {
        let words: Vec<&[u8]> = words
            .iter()
            .map(|word| word.text.as_slice())
            .filter(|word| !word.starts_with(b"-"))
            .collect();
        match words.first() {
            Some(&(b"off" | b"0")) => Err(Failure::usage(
                "debug: the dialogue is shown until the session ends",
            )
            .with_hint("without `debug` it is not shown")),
            _ => {
                show_dialogue(self);
                Ok(())
            }
        }
    }

    /// `quote words...`
    pub(super) async fn quote(&mut self, words: &[Word]) -> Result<(), Failure> {
        self.raw(words, b"").await
    }

    /// `site words...`
    pub(super) async fn site(&mut self, words: &[Word]) -> Result<(), Failure> {
        self.raw(words, b"SITE ").await
    }

    async fn raw(&mut self, words: &[Word], before: &[u8]) -> Result<(), Failure> {
        let texts: Vec<&[u8]> = words.iter().map(|word| word.text.as_slice()).collect();
        if texts.is_empty() {
            return Err(Failure::usage("which line is to be sent?"));
        }
        let line = [before, &texts.join(&b' ')].concat();
        let shown = visible(&line);
        let line =
            Text::new(line).map_err(|_| Failure::usage("a command cannot hold line breaks"))?;
        let (client, sink) = self.both().await?;
        let reply = client.quote(line).await.map_err(failed)?;
        let reader = sink.reader();
        for line in reply.lines() {
            let text = reader.text(line.as_bytes());
            sink.line(&text).await?;
        }
        match reply.code() {
            400.. => {
                let verb = shown.split(' ').next().unwrap_or_default().to_owned();
                Err(Failure::new(
                    Exit::Denied,
                    format!("{verb}: the server says {}", reply.code()),
                ))
            }
            _ => Ok(()),
        }
    }

    /// `history [-c] [count]`
    pub(super) async fn history(&mut self, words: &[Word]) -> Result<(), Failure> {
        let given = options::read("history", &[switch('c', "clear"), switch('l', "")], words)?;
        if given.has("clear") {
            self.wishes.push(EditorWish::ClearHistory);
            return Ok(());
        }
        let most = given
            .rest
            .first()
            .map(number)
            .transpose()?
            .unwrap_or(usize::MAX);
        let from = self.past.len().saturating_sub(most);
        for (at, line) in self.past[from..].to_vec().iter().enumerate() {
            self.sink
                .line(format!("{:>5}  {line}", from + at + 1).as_bytes())
                .await?;
        }
        Ok(())
    }

    /// `cache [flush]`: names for completion are all that is kept.
    pub(super) fn cache(&mut self, words: &[Word]) -> Result<(), Failure> {
        match words.first().map(|word| word.text.as_slice()) {
            None | Some(b"flush" | b"delete") => self.wishes.push(EditorWish::ForgetNames),
            Some(b"on" | b"off" | b"size" | b"expire" | b"stat" | b"status") => {
                self.say("note: commands ask the server every time; only completion keeps names");
            }
            Some(other) => {
                return Err(
                    Failure::usage(format!("cache: `{}` is not known", visible(other)))
                        .with_hint("cache flush"),
                );
            }
        }
        Ok(())
    }

    /// `local command...`, lls, lfind, `shell`, `!`.
    pub(super) async fn local_command(
        &mut self,
        name: &str,
        words: &[Word],
    ) -> Result<(), Failure> {
        let quoted: Vec<Vec<u8>> = words.iter().map(|word| single_quoted(&word.text)).collect();
        let mut line = match name {
            "lls" => b"ls ".to_vec(),
            "lfind" => b"find ".to_vec(),
            _ => Vec::new(),
        };
        line.extend_from_slice(&quoted.join(&b' '));
        if name == "local" && words.is_empty() {
            return Err(Failure::usage("local: which command?"));
        }
        self.system(&line).await
    }

    /// `version`
    pub(super) async fn version(&mut self) -> Result<(), Failure> {
        let text = concat!("wharf ", env!("CARGO_PKG_VERSION"));
        self.sink.line(text.as_bytes()).await.map(drop)
    }

    /// `help [command]`
    pub(super) async fn help(&mut self, words: &[Word]) -> Result<(), Failure> {
        let Some(word) = words.first() else {
            for row in COMMANDS {
                if !matches!(row.action, Action::Refused(_)) {
                    let line = format!("{:<10} {}", row.name, row.help);
                    self.sink.line(line.as_bytes()).await?;
                }
            }
            return Ok(());
        };
        let row = table::find(&word.text).map_err(|_| {
            Failure::usage(format!("no such command: {}", visible(&word.text))).with_hint("help")
        })?;
        if let Action::Refused(why) = row.action {
            return self
                .sink
                .line(format!("{}: not offered: {why}", row.name).as_bytes())
                .await
                .map(drop);
        }
        let usage = format!("usage: {} {}\n{}", row.name, row.syntax, row.help);
        self.sink.line(usage.as_bytes()).await.map(drop)
    }
}

/// Settings that a session in use cannot take.
fn connection_matter(name: &str) -> bool {
    let name = SETTINGS
        .iter()
        .find(|row| row.name == name)
        .map_or(name, |row| row.name);
    let variable = name.split_once(':').map_or(name, |(_, variable)| variable);
    [
        "passive",
        "prefer-epsv",
        "ssl-",
        "port-",
        "ca-file",
        "verify-cert",
        "ignore-pasv",
        "timeout",
        "dns",
        "limit-rate",
        "list-options",
    ]
    .iter()
    .any(|it| variable.starts_with(it) || name.starts_with(it))
}

fn number(word: &Word) -> Result<usize, Failure> {
    let text = std::str::from_utf8(&word.text).ok();
    text.and_then(|it| it.trim_start_matches('%').parse().ok())
        .ok_or_else(|| Failure::usage(format!("`{}` is not a number", visible(&word.text))))
}

/// `$0`, `$1`…, `$@` and `$$` of `eval -f`.
fn filled(format: &[u8], words: &[Word]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut bytes = format.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek().copied()) {
            (b'$', Some(b'@')) => {
                bytes.next();
                let quoted: Vec<Vec<u8>> = words.iter().map(Word::quoted).collect();
                text.extend_from_slice(&quoted.join(&b' '));
            }
            (b'$', Some(b'$')) => {
                bytes.next();
                text.extend_from_slice(std::process::id().to_string().as_bytes());
            }
            (b'$', Some(digit @ b'0'..=b'9')) => {
                bytes.next();
                let at = usize::from(digit - b'0');
                text.extend(words.get(at).map(Word::quoted).unwrap_or_default());
            }
            (byte, _) => text.push(byte),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_filled_with_words() {
        let words = [Word::plain("a"), Word::plain("b c")];
        for (format, expected) in [
            ("get $0 -o $1", "get a -o \"b c\""),
            ("echo $@ $9.", "echo a \"b c\" ."),
            ("cost: 5$", "cost: 5$"),
        ] {
            assert_eq!(filled(format.as_bytes(), &words), expected.as_bytes());
        }
    }

    #[test]
    fn what_concerns_a_connection_ends_it() {
        for (name, expected) in [
            ("ftp:passive-mode", true),
            ("passive-mode", true),
            ("ssl:verify-certificate", true),
            ("ftp:ssl-force", true),
            ("net:limit-rate", true),
            ("xfer:clobber", false),
            ("cmd:trace", false),
        ] {
            assert_eq!(connection_matter(name), expected, "{name}");
        }
    }
}
