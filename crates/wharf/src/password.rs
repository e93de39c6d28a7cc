//! Where passwords come from: a file, `WHARF_PASSWORD`, a terminal, standard input, or chance.
//! Never from an argument: every user of a machine can read those.

use std::io::{BufRead, IsTerminal, Read};
use std::path::Path;

use wharf_broker::message::Kept;
use wharf_proto::{Secret, Text};

use crate::catalogue::Cause;
use crate::exit::{Exit, Failure};
use crate::language::Language;

/// The longest password read from a file or a pipe.
const LIMIT: u64 = 4096;

/// The first line of a file.
pub(crate) fn from_file(path: &Path, exit: Exit) -> Result<Secret, Failure> {
    let file = crate::cmd::kept::open(Kept::Password, path).map_err(|error| {
        Failure::new(
            exit,
            format!("cannot read the password file {}: {error}", path.display()),
        )
    })?;
    first_line(file, &format!("the password file {}", path.display()), exit)
}

/// `WHARF_PASSWORD`, if it is set. An empty value counts: some accounts have an empty password.
pub(crate) fn from_env() -> Result<Option<Secret>, Failure> {
    use std::os::unix::ffi::OsStringExt;
    let Some(value) = std::env::var_os("WHARF_PASSWORD") else {
        return Ok(None);
    };
    secret(value.into_vec(), "WHARF_PASSWORD", Exit::Usage).map(Some)
}

/// The first line of standard input.
pub(crate) fn from_stdin(exit: Exit) -> Result<Secret, Failure> {
    first_line(std::io::stdin().lock(), "standard input", exit)
}

/// Whether somebody can be asked.
pub(crate) fn can_prompt() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks on the terminal, without echo.
pub(crate) fn prompt(question: &str, exit: Exit) -> Result<Secret, Failure> {
    let typed = rpassword::prompt_password(Language::current().told(question))
        .map_err(|error| Failure::new(exit, format!("cannot ask for a password: {error}")))?;
    secret(typed.into_bytes(), "the password", exit)
}

/// Asks twice, for a new password.
pub(crate) fn prompt_new(user: &str, exit: Exit) -> Result<Secret, Failure> {
    let first = prompt(&format!("New password for {user}: "), exit)?;
    if first.expose().is_empty() {
        return Err(Failure::new(exit, "the password is empty"));
    }
    let second = prompt("Again: ", exit)?;
    if first.expose() != second.expose() {
        return Err(Failure::new(exit, "the two passwords differ"));
    }
    Ok(first)
}

/// A random password that can be read out over the telephone: `kibo-ruta-lomi-57`, 48 bits and more.
/// It needs no encoding in an address.
pub(crate) fn generate() -> Result<String, Failure> {
    // Letters that are not mistaken for each other; 16 x 4 = 64 syllables, 6 bits each.
    const CONSONANTS: &[u8; 16] = b"bdfghjkmnprstvwz";
    const VOWELS: &[u8; 4] = b"aiou";
    let mut random = [0_u8; 10];
    getrandom::fill(&mut random).map_err(|error| {
        Failure::new(
            Exit::Software,
            format!("the system gives no random numbers: {error}"),
        )
    })?;
    let (syllables, digits) = random.split_at(8);
    let mut password = String::new();
    for (count, byte) in syllables.iter().enumerate() {
        if count > 0 && count % 2 == 0 {
            password.push('-');
        }
        password.push(char::from(CONSONANTS[usize::from(byte & 15)]));
        password.push(char::from(VOWELS[usize::from((byte >> 4) & 3)]));
    }
    password.push('-');
    for byte in digits {
        // Without 0 and 1, which look like letters.
        password.push(char::from(b'2' + byte % 8));
    }
    Ok(password)
}

fn first_line(source: impl Read, name: &str, exit: Exit) -> Result<Secret, Failure> {
    let mut line = Vec::new();
    std::io::BufReader::new(source.take(LIMIT))
        .read_until(b'\n', &mut line)
        .map_err(|error| {
            Failure::new(exit, format!("cannot read {name}: {error}"))
                .because(Cause::PasswordSource)
        })?;
    while matches!(line.last(), Some(b'\n' | b'\r')) {
        line.pop();
    }
    if line.is_empty() {
        return Err(
            Failure::new(exit, format!("{name} has no password in its first line"))
                .because(Cause::PasswordSource),
        );
    }
    secret(line, name, exit)
}

fn secret(bytes: Vec<u8>, name: &str, exit: Exit) -> Result<Secret, Failure> {
    Text::new(bytes).map(Secret::new).map_err(|_| {
        Failure::new(
            exit,
            format!("{name} holds a line break or NUL, which FTP cannot send"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_passwords_are_readable_and_differ() {
        let one = generate().unwrap();
        assert_eq!(one.len(), 4 * 4 + 4 + 2);
        assert!(
            one.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        );
        assert_ne!(one, generate().unwrap());
    }

    #[test]
    fn a_password_is_the_first_line() {
        for (text, expected) in [
            (&b"secret\nmore"[..], Some(&b"secret"[..])),
            (b"secret", Some(b"secret")),
            (b"with space \r\n", Some(b"with space ")),
            (b"\nsecret", None),
            (b"", None),
        ] {
            let read = first_line(text, "it", Exit::Usage).ok();
            assert_eq!(read.as_ref().map(Secret::expose), expected);
        }
    }
}
