//! Sessions as text: what is typed, what must be seen. A session is played in a pseudo-terminal, by the tests against
//! wharf's server and by the lab against others.
//!
//! One step a line:
//! * `$ ftp -p {host}`: starts the program, `ftp`, `pftp`, `gate-ftp` or `wharf`;
//! * `ftp> line`: waits for the prompt, then types the line; `question >> answer` does so for any other prompt;
//! * `^C`, `^\`, `^D`, `^I`: one key;
//! * `@end 0`: the program ends with this status;
//! * `@file NAME TEXT` makes a file (`*1000` for the text: so many bytes), `@is NAME TEXT` compares one, `@has NAME TEXT` looks
//!   into one, `@not NAME`: there is none; what the server serves is below `files/`, a second one's below `files2/`;
//! * `@env NAME=VALUE` for the runs that follow; `@only wharf`: says what this server says; `@servers 2`: there are two;
//! * `! text`: has not been seen since the last line that was typed;
//! * every other line must be seen, below what was seen before; `#` begins a comment.
//!
//! `{host}`, `{port}`, `{port2}`, `{user}` and `{password}` are filled in; `\n` is a line break.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Longest wait for anything; only a failing session waits so long.
const LIMIT: Duration = Duration::from_mins(1);

/// Where a session is played.
pub(crate) struct Stage<'s> {
    /// The program's directory and home; `files` in it is what the server serves.
    pub(crate) directory: &'s Path,
    /// The released program.
    pub(crate) wharf: &'s Path,
    pub(crate) host: String,
    pub(crate) port: String,
    pub(crate) port2: String,
    pub(crate) user: String,
    pub(crate) password: String,
}

/// What a file of a session says about itself.
pub(crate) struct Session<'t> {
    pub(crate) name: &'t str,
    pub(crate) text: &'t str,
}

impl Session<'_> {
    /// Words behind `@only`.
    pub(crate) fn only(&self) -> Option<&str> {
        self.directive("@only ")
    }

    /// Whether there are two servers.
    pub(crate) fn wants_two(&self) -> bool {
        self.directive("@servers ") == Some("2")
    }

    fn directive(&self, word: &str) -> Option<&str> {
        self.text.lines().find_map(|line| line.strip_prefix(word))
    }

    /// Plays it.
    ///
    /// # Errors
    /// The line that did not happen, and what was seen instead.
    pub(crate) fn play(&self, stage: &Stage<'_>) -> Result<(), String> {
        let mut running: Option<Running> = None;
        let mut environment: Vec<(String, String)> = Vec::new();
        for (number, line) in self.text.lines().enumerate() {
            let at = |why: String| format!("{}:{}: {line}\n{why}", self.name, number + 1);
            let text = stage.filled(line);
            let screen = || "nothing runs: $ starts something".to_owned();
            if text.trim().is_empty() || text.starts_with('#') {
                continue;
            }
            if let Some(words) = text.strip_prefix("$ ") {
                running = Some(Running::start(stage, words, &environment).map_err(at)?);
            } else if let Some(words) = text.strip_prefix('@') {
                let (word, rest) = words.split_once(' ').unwrap_or((words, ""));
                match word {
                    "only" | "servers" => {}
                    "env" => {
                        let (name, value) = rest.split_once('=').unwrap_or((rest, ""));
                        environment.push((name.to_owned(), value.to_owned()));
                    }
                    "end" => {
                        let mut ending = running.take().ok_or_else(screen).map_err(at)?;
                        ending.ends(rest).map_err(at)?;
                    }
                    _ => about_file(stage, word, rest).map_err(at)?,
                }
            } else {
                let running = running.as_mut().ok_or_else(screen).map_err(at)?;
                running.step(&text).map_err(at)?;
            }
        }
        match running {
            Some(_) => Err(format!("{}: has no @end", self.name)),
            None => Ok(()),
        }
    }
}

impl Stage<'_> {
    fn filled(&self, line: &str) -> String {
        line.replace("{host}", &self.host)
            .replace("{port}", &self.port)
            .replace("{port2}", &self.port2)
            .replace("{user}", &self.user)
            .replace("{password}", &self.password)
    }

    /// The program under a name of its own, as a package would install it.
    fn program(&self, name: &str) -> Result<PathBuf, String> {
        let bin = self.directory.join(".bin");
        std::fs::create_dir_all(&bin).map_err(|error| error.to_string())?;
        let link = bin.join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(self.wharf, &link).map_err(|error| error.to_string())?;
        }
        Ok(link)
    }
}

/// `@file`, `@is`, `@has`, `@not`.
fn about_file(stage: &Stage<'_>, word: &str, rest: &str) -> Result<(), String> {
    let (name, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let path = stage.directory.join(name);
    let text = text.replace("\\n", "\n").replace("\\r", "\r");
    let there = || std::fs::read(&path).map_err(|error| format!("{name}: {error}"));
    match word {
        "file" => {
            let bytes = match text.strip_prefix('*').and_then(|it| it.parse().ok()) {
                Some(length) => (0..=250).cycle().take(length).collect(),
                None => text.into_bytes(),
            };
            let parent = path.parent().unwrap_or(stage.directory);
            std::fs::create_dir_all(parent).map_err(|error| error.to_string())?;
            std::fs::write(&path, bytes).map_err(|error| error.to_string())?;
            // Servers become other users; a netrc must be nobody else's.
            let mode = if name.ends_with("netrc") {
                0o600
            } else {
                0o666
            };
            let allow = |path: &Path, mode| {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
            };
            allow(&path, mode).map_err(|error| error.to_string())?;
            if parent != stage.directory {
                allow(parent, 0o777).map_err(|error| error.to_string())?;
            }
            Ok(())
        }
        "is" => {
            let bytes = there()?;
            let wanted = match text.strip_prefix('*').and_then(|it| it.parse().ok()) {
                Some(length) => (0..=250).cycle().take(length).collect(),
                None => text.into_bytes(),
            };
            if bytes == wanted {
                return Ok(());
            }
            let seen = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
            Err(format!("{} bytes: {seen}", bytes.len()))
        }
        "has" => {
            let bytes = there()?;
            let seen = String::from_utf8_lossy(&bytes).into_owned();
            if seen.contains(&text) {
                Ok(())
            } else {
                Err(seen)
            }
        }
        "not" if path.exists() => Err(format!("{name} is there")),
        "not" => Ok(()),
        _ => Err(format!("@{word} is not known")),
    }
}

/// The program in its terminal. Killed when dropped.
struct Running {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    /// What a person sees, without the colours and movements.
    seen: String,
    escape: Escape,
    /// Up to here it has been looked at.
    at: usize,
    /// Here the last line was typed.
    typed: usize,
}

/// Where in an escape sequence the stream of bytes is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escape {
    No,
    Begun,
    Sequence,
}

impl Running {
    fn start(stage: &Stage<'_>, words: &str, more: &[(String, String)]) -> Result<Self, String> {
        let io = |error: rustix::io::Errno| format!("no terminal: {error}");
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).map_err(io)?;
        grantpt(&keyboard).map_err(io)?;
        unlockpt(&keyboard).map_err(io)?;
        let name = ptsname(&keyboard, Vec::new()).map_err(io)?;
        let size = Winsize {
            ws_row: 50,
            ws_col: 160,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&keyboard, size).map_err(io)?;
        let path = name.to_string_lossy().into_owned();
        let terminal = || -> Result<Stdio, String> {
            let mut options = File::options();
            let opened = options.read(true).write(true).open(&path);
            opened.map(Stdio::from).map_err(|error| error.to_string())
        };
        let mut words = split(words);
        let program = stage.program(&words.remove(0))?;
        // Only a terminal that is *its* terminal brings it ^C.
        let mut command = Command::new("setsid");
        command
            .args(["--ctty", "--"])
            .arg(program)
            .args(words)
            .current_dir(stage.directory)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", stage.directory)
            .env("USER", "tester")
            .env("SHELL", "/bin/sh")
            .env("PAGER", "cat")
            .env("TERM", "dumb")
            .env("TZ", "UTC")
            .env("WHARF_STATE_DIR", stage.directory.join(".state"))
            .env("XDG_CONFIG_HOME", stage.directory.join(".config"))
            .env("WHARF_TLS", "off")
            .envs(more.iter().map(|(name, value)| (name, value)))
            .stdin(terminal()?)
            .stdout(terminal()?)
            .stderr(terminal()?);
        let child = command.spawn().map_err(|error| error.to_string())?;
        drop(command);
        let keyboard = File::from(keyboard);
        let from = keyboard.try_clone().map_err(|error| error.to_string())?;
        Ok(Self {
            child,
            keyboard,
            screen: followed(from),
            seen: String::new(),
            escape: Escape::No,
            at: 0,
            typed: 0,
        })
    }

    fn step(&mut self, text: &str) -> Result<(), String> {
        if let Some(key) = text.strip_prefix('^') {
            let letter = key.bytes().next().unwrap_or(b'C');
            return self.press(&[letter & 0x1f]);
        }
        if let Some(unwanted) = text.strip_prefix("! ") {
            return if self.seen[self.typed..].contains(unwanted) {
                Err(self.what_was_seen())
            } else {
                Ok(())
            };
        }
        if let Some((question, answer)) = text.split_once(" >>") {
            self.see(question)?;
            return self.type_line(answer.strip_prefix(' ').unwrap_or(answer));
        }
        if let Some(line) = text.strip_prefix("ftp>") {
            self.see("ftp> ")?;
            return self.type_line(line.strip_prefix(' ').unwrap_or(line));
        }
        self.see(text)
    }

    fn type_line(&mut self, line: &str) -> Result<(), String> {
        self.typed = self.at;
        self.press(format!("{line}\n").as_bytes())
    }

    fn press(&mut self, keys: &[u8]) -> Result<(), String> {
        let pressed = self.keyboard.write_all(keys);
        pressed.map_err(|error| format!("the terminal is gone: {error}"))
    }

    /// Waits until the text stands below what was seen before.
    fn see(&mut self, text: &str) -> Result<(), String> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(found) = self.seen[self.at..].find(text) {
                self.at += found + text.len();
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.show(&bytes),
                Err(_) => return Err(self.what_was_seen()),
            }
        }
    }

    fn show(&mut self, bytes: &[u8]) {
        // Letters beyond ASCII are shown as they come; a half one at the end of a piece is not looked for.
        for letter in String::from_utf8_lossy(bytes).chars() {
            self.escape = match (self.escape, letter) {
                (Escape::No, '\x1b') => Escape::Begun,
                (Escape::No, letter) => {
                    if !matches!(letter, '\r' | '\x07') {
                        self.seen.push(letter);
                    }
                    Escape::No
                }
                (Escape::Begun, '[') => Escape::Sequence,
                (Escape::Begun, _) | (Escape::Sequence, '\x40'..='\x7e') => Escape::No,
                (Escape::Sequence, _) => Escape::Sequence,
            };
        }
    }

    fn what_was_seen(&self) -> String {
        format!(
            "seen before:\n{}\nseen behind that:\n{}",
            &self.seen[..self.at],
            &self.seen[self.at..]
        )
    }

    /// Waits for the end.
    fn ends(&mut self, code: &str) -> Result<(), String> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.show(&bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("does not end\n{}", self.what_was_seen()));
                }
            }
        }
        let status = self.child.wait().map_err(|error| error.to_string())?;
        let ended = status
            .code()
            .map_or("a signal".to_owned(), |it| it.to_string());
        if ended == code {
            Ok(())
        } else {
            Err(format!("ended with {ended}\n{}", self.what_was_seen()))
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What comes to the screen, until the last program has closed it.
fn followed(mut from: File) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if sender.send(buffer[..count].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Words of a command line; `"` holds blanks together.
pub(crate) fn split(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().expect("one").push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
