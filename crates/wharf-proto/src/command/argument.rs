//! Arguments that are more than one word or one pathname.

use super::{Command, CommandErrorKind, path, split_at_space, text};
use crate::digest::Digest;
use crate::pathname::Pathname;
use crate::text::{Text, decimal};
use crate::timestamp::Timestamp;

/// The argument of LIST, NLST and STAT: `[-flags] [pathname]`.
///
/// Flags are no part of RFC 959, but clients have sent `-la` to Unix servers since 4.2BSD. They are recognised as leading
/// words of a hyphen and letters; `--` ends them, the Unix way. Letters other than these two are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ListArgument {
    /// `a` or `A`: names that begin with a period too.
    pub all: bool,
    /// `R`: what is in the directories too.
    pub recursive: bool,
    /// The file or directory, or a pattern; the working directory if `None`.
    pub path: Option<Pathname>,
}

impl ListArgument {
    /// A path without flags.
    pub fn of(path: Option<Pathname>) -> Self {
        Self {
            path,
            ..Self::default()
        }
    }

    pub(super) fn read(argument: &[u8]) -> Result<Self, CommandErrorKind> {
        let mut read = Self::default();
        let mut rest = argument;
        loop {
            let (word, after) = split_at_space(rest);
            match word {
                b"--" => {
                    rest = after.unwrap_or_default();
                    break;
                }
                [b'-', letters @ ..] if !letters.is_empty() && is_flags(letters) => {
                    read.all |= letters.iter().any(|letter| matches!(letter, b'a' | b'A'));
                    read.recursive |= letters.contains(&b'R');
                    rest = after.unwrap_or_default();
                }
                _ => break,
            }
        }
        if !rest.is_empty() {
            read.path = Some(path(rest)?);
        }
        Ok(read)
    }

    /// `None` if there is nothing to say. A path that would be taken for a flag gets `./` in front.
    pub(super) fn write(&self) -> Option<Vec<u8>> {
        let mut out = match (self.all, self.recursive) {
            (false, false) => Vec::new(),
            (true, false) => b"-a".to_vec(),
            (false, true) => b"-R".to_vec(),
            (true, true) => b"-aR".to_vec(),
        };
        if let Some(path) = &self.path {
            if !out.is_empty() {
                out.push(b' ');
            }
            if path.as_bytes().starts_with(b"-") {
                out.extend_from_slice(b"./");
            }
            out.extend_from_slice(path.as_bytes());
        }
        (!out.is_empty()).then_some(out)
    }
}

/// `ls` flags are letters, and `1`.
fn is_flags(letters: &[u8]) -> bool {
    letters
        .iter()
        .all(|letter| letter.is_ascii_alphabetic() || *letter == b'1')
}

/// `1000` or `1000 R 80` (RFC 959 §4.1.3).
pub(super) fn read_allo(argument: &[u8]) -> Result<Command, CommandErrorKind> {
    let mut words = argument
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty());
    let number = |word: Option<&[u8]>| word.and_then(decimal).ok_or(CommandErrorKind::Syntax);
    let bytes = number(words.next())?;
    let record = match words.next() {
        None => None,
        Some(b"R" | b"r") => Some(number(words.next())?),
        Some(_) => return Err(CommandErrorKind::Syntax),
    };
    match words.next() {
        None => Ok(Command::Allo { bytes, record }),
        Some(_) => Err(CommandErrorKind::Syntax),
    }
}

/// `MLST type;size;`, `UTF8 ON` (RFC 2389 §4).
pub(super) fn read_opts(argument: &[u8]) -> Result<Command, CommandErrorKind> {
    let (name, value) = split_at_space(argument.trim_ascii());
    let value = value.unwrap_or_default().trim_ascii();
    Ok(Command::Opts {
        name: text(name)?,
        value: if value.is_empty() {
            None
        } else {
            Some(text(value)?)
        },
    })
}

/// A pathname, or a time of fourteen digits and a pathname: some clients set the time of a file with MDTM. A file whose
/// name begins like that is reached with `./` in front.
pub(super) fn read_mdtm(argument: &[u8]) -> Result<Command, CommandErrorKind> {
    match time_and_path(argument) {
        Ok((time, path)) => Ok(Command::MdtmSet { time, path }),
        Err(_) => path(argument).map(Command::Mdtm),
    }
}

/// `20260101120000 name` (draft-somers-ftp-mfxx §3).
pub(super) fn time_and_path(argument: &[u8]) -> Result<(Timestamp, Pathname), CommandErrorKind> {
    let (time, name) = split_at_space(argument);
    Ok((Timestamp::from_wire(time)?, path(name.unwrap_or_default())?))
}

/// `modify=20260101120000;UNIX.mode=0644; name` (draft-somers-ftp-mfxx §5).
pub(super) fn read_mff(argument: &[u8]) -> Result<Command, CommandErrorKind> {
    let (facts, name) = split_at_space(argument);
    let facts = facts.strip_suffix(b";").ok_or(CommandErrorKind::Syntax)?;
    let facts = facts
        .split(|byte| *byte == b';')
        .map(|fact| {
            let at = fact
                .iter()
                .position(|byte| *byte == b'=')
                .ok_or(CommandErrorKind::Syntax)?;
            let (name, value) = fact.split_at_checked(at).ok_or(CommandErrorKind::Syntax)?;
            Ok((text(name)?, Text::new(value.get(1..).unwrap_or_default())?))
        })
        .collect::<Result<Vec<_>, CommandErrorKind>>()?;
    Ok(Command::Mff {
        facts,
        path: path(name.unwrap_or_default())?,
    })
}

/// `RANG first last` (draft-bryan-ftp-range).
pub(super) fn read_rang(argument: &[u8]) -> Result<Command, CommandErrorKind> {
    let (start, end) = split_at_space(argument.trim_ascii());
    let end = end.unwrap_or_default().trim_ascii();
    match (decimal(start), decimal(end)) {
        (Some(start), Some(end)) => Ok(Command::Rang { start, end }),
        _ => Err(CommandErrorKind::Syntax),
    }
}

/// `name`, or `"name" [start [end]]`: only behind a name in quotation marks, doubled inside, numbers cannot belong to it.
pub(super) fn read_checksum(digest: Digest, argument: &[u8]) -> Result<Command, CommandErrorKind> {
    let Some(rest) = argument.strip_prefix(b"\"") else {
        return Ok(Command::Checksum {
            digest,
            path: path(argument)?,
            range: None,
        });
    };
    let mut name = Vec::new();
    let mut bytes = rest.iter().copied().peekable();
    loop {
        match bytes.next() {
            None => return Err(CommandErrorKind::Syntax),
            Some(b'"') if bytes.peek() == Some(&b'"') => {
                bytes.next();
                name.push(b'"');
            }
            Some(b'"') => break,
            Some(byte) => name.push(byte),
        }
    }
    let numbers: Vec<u8> = bytes.collect();
    let mut numbers = numbers
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty())
        .map(|word| decimal(word).ok_or(CommandErrorKind::Syntax));
    let start = numbers.next().transpose()?;
    let end = numbers.next().transpose()?;
    if numbers.next().is_some() {
        return Err(CommandErrorKind::Syntax);
    }
    Ok(Command::Checksum {
        digest,
        path: path(&name)?,
        range: start.map(|start| (start, end)),
    })
}

/// The argument of [`read_checksum`].
pub(super) fn write_checksum(path: &Pathname, range: Option<(u64, Option<u64>)>) -> Vec<u8> {
    let bytes = path.as_bytes();
    if range.is_none() && !bytes.contains(&b' ') && !bytes.starts_with(b"\"") {
        return bytes.to_vec();
    }
    let mut out = path.quoted();
    if let Some((start, end)) = range {
        out.extend_from_slice(format!(" {start}").as_bytes());
        if let Some(end) = end {
            out.extend_from_slice(format!(" {end}").as_bytes());
        }
    }
    out
}
