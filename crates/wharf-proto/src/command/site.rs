//! SITE: what servers have agreed on outside of the RFCs, with a table of its own.

use super::{CommandErrorKind, argument, path, split_at_space};
use crate::pathname::Pathname;
use crate::reply::Reply;
use crate::text::{Text, decimal};
use crate::timestamp::Timestamp;

/// The argument of SITE, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteCommand {
    /// What there is, or the syntax of one of them.
    Help(Option<Text>),
    /// Sets the permission bits, at most 0o7777.
    Chmod {
        /// The bits.
        mode: u32,
        /// Whose.
        path: Pathname,
    },
    /// Sets the times. Two forms are in use: `UTIME 202601011200[30] path` (Pure-FTPd) and
    /// `UTIME path atime mtime ctime UTC` (ProFTPD, lftp); of the latter only mtime is kept.
    Utime {
        /// When it was modified.
        modified: Timestamp,
        /// Whose.
        path: Pathname,
    },
    /// Idle time in seconds after which the session may be closed; tells the present one without an argument.
    Idle(Option<u32>),
    /// The bits that new files do not get; tells them without an argument.
    Umask(Option<u32>),
    /// The address and port from which the server sees the control connection come, and the login: what a client
    /// behind NAT cannot know by itself, and what its PORT is compared with.
    Whoami,
}

/// A row of [`SITE_VERBS`].
#[derive(Debug, PartialEq, Eq)]
pub struct SiteVerb {
    /// The word after SITE, capitals.
    pub word: &'static str,
    /// The form, shown by SITE HELP.
    pub syntax: &'static str,
    /// A command that follows the syntax, for tests and documents.
    pub example: &'static str,
    /// One line for people.
    pub help: &'static str,
}

/// What SITE knows.
pub static SITE_VERBS: &[SiteVerb] = &[
    SiteVerb {
        word: "HELP",
        syntax: "SITE HELP [<SP> <command>]",
        example: "HELP CHMOD",
        help: "this",
    },
    SiteVerb {
        word: "CHMOD",
        syntax: "SITE CHMOD <SP> <octal-mode> <SP> <pathname>",
        example: "CHMOD 644 notes.txt",
        help: "permissions of a file",
    },
    SiteVerb {
        word: "UTIME",
        syntax: "SITE UTIME <SP> <YYYYMMDDhhmm[ss]> <SP> <pathname> | <pathname> <SP> <atime> <SP> <mtime> <SP> <ctime> <SP> UTC",
        example: "UTIME 20260101120000 notes.txt",
        help: "when a file was modified",
    },
    SiteVerb {
        word: "IDLE",
        syntax: "SITE IDLE [<SP> <seconds>]",
        example: "IDLE 600",
        help: "how long the session may be idle",
    },
    SiteVerb {
        word: "UMASK",
        syntax: "SITE UMASK [<SP> <octal-mode>]",
        example: "UMASK 022",
        help: "permissions that new files do not get",
    },
    SiteVerb {
        word: "WHOAMI",
        syntax: "SITE WHOAMI",
        example: "WHOAMI",
        help: "your address as this server sees it, and your login",
    },
];

/// Why the argument of SITE is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteError {
    /// No such word: 504.
    Unknown,
    /// The rest does not fit the word: 501.
    Syntax(&'static SiteVerb),
}

impl SiteError {
    /// The answer to the command.
    pub fn reply(&self) -> Reply {
        match self {
            Self::Unknown => Reply::new(504, "Unknown SITE command, see SITE HELP."),
            Self::Syntax(verb) => Reply::new(501, format!("Syntax: {}", verb.syntax)),
        }
    }
}

impl SiteVerb {
    /// The row of a word, letters of either case being the same.
    pub fn find(word: &[u8]) -> Option<&'static Self> {
        SITE_VERBS
            .iter()
            .find(|verb| word.eq_ignore_ascii_case(verb.word.as_bytes()))
    }
}

impl SiteCommand {
    /// Reads the argument of [`Command::Site`](super::Command::Site).
    ///
    /// # Errors
    /// [`SiteError`] with the reply to give.
    pub fn parse(argument: &Text) -> Result<Self, SiteError> {
        let argument = argument.as_bytes().trim_ascii_start();
        let (word, rest) = split_at_space(argument);
        let verb = SiteVerb::find(word).ok_or(SiteError::Unknown)?;
        let rest = rest.unwrap_or_default();
        let read = match verb.word {
            "HELP" => super::optional_text(rest).map(Self::Help),
            "CHMOD" => read_chmod(rest),
            "UTIME" => read_utime(rest),
            "IDLE" => match rest.trim_ascii() {
                b"" => Ok(Self::Idle(None)),
                seconds => decimal(seconds)
                    .and_then(|seconds| u32::try_from(seconds).ok())
                    .map(|seconds| Self::Idle(Some(seconds)))
                    .ok_or(CommandErrorKind::Syntax),
            },
            "UMASK" => match rest.trim_ascii() {
                b"" => Ok(Self::Umask(None)),
                bits => octal(bits)
                    .filter(|bits| *bits <= 0o777)
                    .map(|bits| Self::Umask(Some(bits)))
                    .ok_or(CommandErrorKind::Syntax),
            },
            "WHOAMI" => match rest.trim_ascii() {
                b"" => Ok(Self::Whoami),
                _ => Err(CommandErrorKind::Syntax),
            },
            _ => return Err(SiteError::Unknown),
        };
        read.map_err(|_| SiteError::Syntax(verb))
    }
}

fn read_chmod(rest: &[u8]) -> Result<SiteCommand, CommandErrorKind> {
    let (mode, name) = split_at_space(rest);
    let mode = octal(mode).ok_or(CommandErrorKind::Syntax)?;
    Ok(SiteCommand::Chmod {
        mode,
        path: path(name.unwrap_or_default())?,
    })
}

fn read_utime(rest: &[u8]) -> Result<SiteCommand, CommandErrorKind> {
    if let Some((modified, path)) = four_times(rest) {
        return Ok(SiteCommand::Utime { modified, path });
    }
    let (time, name) = split_at_space(rest);
    if time.len() == 12 {
        let modified = Timestamp::from_wire(&[time, b"00"].concat())?;
        return Ok(SiteCommand::Utime {
            modified,
            path: path(name.unwrap_or_default())?,
        });
    }
    let (modified, path) = argument::time_and_path(rest)?;
    Ok(SiteCommand::Utime { modified, path })
}

/// `path atime mtime ctime UTC`, read from the end since the path may hold spaces.
fn four_times(rest: &[u8]) -> Option<(Timestamp, Pathname)> {
    let mut words = rest.trim_ascii_end().rsplitn(5, |byte| *byte == b' ');
    if !words.next()?.eq_ignore_ascii_case(b"UTC") {
        return None;
    }
    let mut time = || {
        words
            .next()
            .and_then(|word| Timestamp::from_wire(word).ok())
    };
    let (_changed, modified, _accessed) = (time()?, time()?, time()?);
    Some((modified, Pathname::new(words.next()?).ok()?))
}

/// One to four octal digits.
fn octal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 4 {
        return None;
    }
    digits.iter().try_fold(0, |sum, digit| {
        matches!(digit, b'0'..=b'7').then(|| sum * 8 + u32::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SiteCommand, SiteError> {
        SiteCommand::parse(&text.parse().unwrap())
    }

    fn syntax(word: &str) -> Result<SiteCommand, SiteError> {
        Err(SiteError::Syntax(SiteVerb::find(word.as_bytes()).unwrap()))
    }

    #[test]
    fn every_row_reads_its_example() {
        for verb in SITE_VERBS {
            assert!(parse(verb.example).is_ok(), "{}", verb.word);
            assert!(verb.example.starts_with(verb.word) && verb.syntax.contains(verb.word));
        }
    }

    #[test]
    fn arguments_of_site() {
        let path = |name: &str| name.parse::<Pathname>().unwrap();
        let time = |wire: &str| Timestamp::from_wire(wire.as_bytes()).unwrap();
        for (text, read) in [
            (
                "chmod 0755 a b",
                Ok(SiteCommand::Chmod {
                    mode: 0o755,
                    path: path("a b"),
                }),
            ),
            (
                "CHMOD 7777 x",
                Ok(SiteCommand::Chmod {
                    mode: 0o7777,
                    path: path("x"),
                }),
            ),
            ("CHMOD 888 x", syntax("CHMOD")),
            ("CHMOD 17777 x", syntax("CHMOD")),
            ("CHMOD u+x x", syntax("CHMOD")),
            ("CHMOD 644", syntax("CHMOD")),
            (
                "UTIME 202601011200 a b",
                Ok(SiteCommand::Utime {
                    modified: time("20260101120000"),
                    path: path("a b"),
                }),
            ),
            (
                "UTIME 20260101120030 a",
                Ok(SiteCommand::Utime {
                    modified: time("20260101120030"),
                    path: path("a"),
                }),
            ),
            (
                "UTIME a b 20250101000000 20260101120030 20250101000000 UTC",
                Ok(SiteCommand::Utime {
                    modified: time("20260101120030"),
                    path: path("a b"),
                }),
            ),
            ("UTIME 20261301120030 a", syntax("UTIME")),
            ("UTIME a", syntax("UTIME")),
            ("IDLE", Ok(SiteCommand::Idle(None))),
            ("IDLE 900", Ok(SiteCommand::Idle(Some(900)))),
            ("IDLE -1", syntax("IDLE")),
            ("UMASK", Ok(SiteCommand::Umask(None))),
            ("UMASK 027", Ok(SiteCommand::Umask(Some(0o27)))),
            ("UMASK 1777", syntax("UMASK")),
            ("whoami ", Ok(SiteCommand::Whoami)),
            ("WHOAMI now", syntax("WHOAMI")),
            ("HELP", Ok(SiteCommand::Help(None))),
            ("EXEC rm -rf /", Err(SiteError::Unknown)),
        ] {
            assert_eq!(parse(text), read, "{text}");
        }
    }
}
