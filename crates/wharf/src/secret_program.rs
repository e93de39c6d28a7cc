//! Passwords from other programs: a command, a program that asks a person, a keyring.
//!
//! Keyrings are asked through their own command-line programs: the library that would do it in this process brings a whole
//! message bus (108 crates) for what one line of output is. A password that is to be kept goes to them on standard input,
//! never as an argument.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;

use wharf_proto::{Secret, Text};

use crate::exit::{Exit, Failure};

/// The longest password that is read.
const LIMIT: u64 = 4096;

/// A program that keeps passwords.
struct Program {
    word: &'static str,
    /// Arguments; `%h` is the host, `%u` the user.
    lookup: &'static [&'static str],
    /// The same for keeping one, given on standard input; empty: it cannot be told without showing it.
    store: &'static [&'static str],
    /// The program that owns the passwords.
    about: &'static str,
}

/// In the order in which `auto` tries them.
const PROGRAMS: &[Program] = &[
    Program {
        word: "secret-tool",
        // The attributes by which GNOME's file manager keeps passwords of FTP servers
        lookup: &["lookup", "protocol", "ftp", "server", "%h", "user", "%u"],
        store: &[
            "store",
            "--label=FTP %u@%h",
            "protocol",
            "ftp",
            "server",
            "%h",
            "user",
            "%u",
        ],
        about: "GNOME Keyring, KWallet and others (libsecret)",
    },
    Program {
        word: "pass",
        lookup: &["show", "ftp/%h/%u"],
        store: &["insert", "--multiline", "--force", "ftp/%h/%u"],
        about: "pass, the standard Unix password manager",
    },
    Program {
        word: "security",
        lookup: &[
            "find-internet-password",
            "-r",
            "ftp ",
            "-s",
            "%h",
            "-a",
            "%u",
            "-w",
        ],
        store: &[],
        about: "the keychain of macOS",
    },
];

/// Which keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyring {
    /// The first that is there.
    Auto,
    /// This row of the table.
    One(usize),
}

impl FromStr for Keyring {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        if word == "auto" {
            return Ok(Self::Auto);
        }
        let at = PROGRAMS.iter().position(|it| it.word == word);
        at.map(Self::One).ok_or_else(|| {
            let known: Vec<&str> = PROGRAMS.iter().map(|it| it.word).collect();
            format!("auto, {}", known.join(", "))
        })
    }
}

/// What keyrings there are, for the help.
pub(crate) fn keyrings() -> impl Iterator<Item = (&'static str, &'static str)> {
    PROGRAMS.iter().map(|it| (it.word, it.about))
}

impl Keyring {
    fn programs(self) -> impl Iterator<Item = &'static Program> {
        PROGRAMS
            .iter()
            .enumerate()
            .filter(move |(at, _)| match self {
                Self::Auto => true,
                Self::One(one) => one == *at,
            })
            .map(|(_, program)| program)
    }

    /// The password that is kept there. `None`: there is none, or no such program.
    pub(crate) fn lookup(self, host: &str, user: &Text) -> Result<Option<Secret>, Failure> {
        let user = name(user)?;
        for program in self.programs() {
            let mut command = Command::new(program.word);
            command
                .args(filled(program.lookup, host, user))
                .stdin(Stdio::null())
                .stderr(Stdio::null());
            match first_line(&mut command, program.word) {
                Ok(Some(secret)) => return Ok(Some(secret)),
                Ok(None) => {}
                Err(_) if matches!(self, Self::Auto) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(None)
    }

    /// Keeps a password. The word of the program that has it.
    pub(crate) fn store(
        self,
        host: &str,
        user: &Text,
        secret: &Secret,
    ) -> Result<&'static str, Failure> {
        let user = name(user)?;
        for program in self.programs().filter(|it| !it.store.is_empty()) {
            let mut command = Command::new(program.word);
            command
                .args(filled(program.store, host, user))
                .stdin(Stdio::piped())
                .stdout(Stdio::null());
            let Ok(mut child) = command.spawn() else {
                continue;
            };
            let told = child
                .stdin
                .take()
                .is_some_and(|mut pipe| pipe.write_all(secret.expose()).is_ok());
            if child.wait().is_ok_and(|status| status.success()) && told {
                return Ok(program.word);
            }
        }
        Err(
            Failure::new(Exit::LocalFile, "no keyring keeps the password")
                .with_hint("secret-tool (libsecret-tools) or pass must be installed and set up"),
        )
    }
}

fn name(user: &Text) -> Result<&str, Failure> {
    let name = user.as_str().filter(|it| !it.starts_with('-'));
    name.ok_or_else(|| Failure::usage("a keyring cannot be asked about this user's name"))
}

/// Each argument with host and user; both are one argument or a part of one, whatever is in them.
fn filled(words: &[&str], host: &str, user: &str) -> Vec<String> {
    let fill = |word: &&str| {
        let mut pieces = word.split('%');
        let mut text = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            match piece.split_at_checked(1) {
                Some(("h", rest)) => text.extend([host, rest]),
                Some(("u", rest)) => text.extend([user, rest]),
                _ => text.extend(["%", piece]),
            }
        }
        text
    };
    words.iter().map(fill).collect()
}

/// A command of the user's own, run by the shell with `WHARF_HOST` and `WHARF_LOGIN`: its first line is the password.
pub(crate) fn from_command(line: &str, host: &str, user: &Text) -> Result<Secret, Failure> {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", line])
        .env("WHARF_HOST", host)
        .stdin(Stdio::null());
    command.env("WHARF_LOGIN", user.display().to_string());
    // Its own secret is no secret of the command's.
    command.env_remove("WHARF_PASSWORD");
    let found = first_line(&mut command, "the password command")?;
    found.ok_or_else(|| {
        Failure::new(Exit::Login, "the password command failed, or said nothing")
            .with_hint("it must print the password in its first line and end with status 0")
    })
}

/// A program that asks a person, as for ssh: one argument, the question; its first line is the answer.
pub(crate) fn ask(program: &Path, question: &str) -> Result<Secret, Failure> {
    let mut command = Command::new(program);
    command
        .arg(OsStr::new(question))
        .stdin(Stdio::null())
        .env_remove("WHARF_PASSWORD");
    let shown = program.display().to_string();
    let answer = first_line(&mut command, &shown)?;
    answer.ok_or_else(|| Failure::new(Exit::Login, format!("{shown} gave no password")))
}

/// `None`: it failed, or said nothing.
fn first_line(command: &mut Command, name: &str) -> Result<Option<Secret>, Failure> {
    let failed =
        |error: &std::io::Error| Failure::new(Exit::Login, format!("cannot start {name}: {error}"));
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error))?;
    let mut said = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        // What comes after the limit meets a closed pipe.
        let _ = stdout.take(LIMIT).read_to_end(&mut said);
    }
    let status = child.wait().map_err(|error| failed(&error))?;
    let line = said.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if !status.success() || line.is_empty() {
        return Ok(None);
    }
    let text = Text::new(line).map_err(|_| {
        Failure::new(
            Exit::Login,
            format!("{name} gave a password that FTP cannot send"),
        )
    })?;
    Ok(Some(Secret::new(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_their_arguments() {
        assert_eq!(
            filled(&["a", "%h", "x/%h/%u", "%u%h%%"], "h; rm", "%h $x"),
            ["a", "h; rm", "x/h; rm/%h $x", "%h $xh; rm%%"]
        );
        for program in PROGRAMS {
            assert!(
                program.lookup.iter().any(|it| it.contains("%h")),
                "{}",
                program.word
            );
            assert!(
                program.lookup.iter().any(|it| it.contains("%u")),
                "{}",
                program.word
            );
            assert!(
                !program.store.iter().any(|it| it.contains("%p")),
                "never as an argument"
            );
        }
        assert!(Keyring::Auto.lookup("h", &Text::lossy("-x")).is_err());
    }

    #[test]
    fn a_command_says_the_password_in_its_first_line() {
        let user = Text::lossy("me");
        for (line, expected) in [
            ("echo secret; echo more", Some(&b"secret"[..])),
            ("printf 'a b\\r\\n'", Some(b"a b")),
            ("echo $WHARF_LOGIN@$WHARF_HOST", Some(b"me@host")),
            ("echo x; false", None),
            ("true", None),
            ("yes x | head -c 100000 | tr -d '\\n'", None),
        ] {
            let found = from_command(line, "host", &user).ok();
            let found = found.as_ref().map(Secret::expose);
            if line.starts_with("yes") {
                assert!(found.is_none_or(|it| it.len() <= 4096), "bounded");
                continue;
            }
            assert_eq!(found, expected, "{line}");
        }
    }
}
