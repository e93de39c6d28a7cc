//! Commands as values: parsed once at the door, written by the user-PI, one row of [`VERBS`] each.

use std::fmt;
use std::net::SocketAddrV4;

use crate::digest::Digest;
use crate::host_port::{read_eprt, read_epsv, read_lprt, read_port};
use crate::parameter::{ParameterError, RepresentationType, Structure, TransferMode};
use crate::pathname::Pathname;
use crate::reply::Reply;
use crate::telnet::IAC;
use crate::text::{Secret, Text, decimal};
use crate::timestamp::Timestamp;

mod argument;
mod site;
mod table;
mod write;

pub use crate::host_port::{EprtArgument, EpsvArgument, LprtArgument};
pub use argument::ListArgument;
pub use site::{SITE_VERBS, SiteCommand, SiteError, SiteVerb};
pub use table::{ALWAYS_ALLOWED, DuringTransfer, VERBS, Verb};

/// A command with its argument. What cannot be written in one line cannot be built.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "VERBS says what each one is for")]
pub enum Command {
    // RFC 959 §4.1.1
    User(Text),
    Pass(Secret),
    Acct(Secret),
    Cwd(Pathname),
    Cdup,
    Smnt(Pathname),
    Rein,
    Quit,
    // RFC 959 §4.1.2
    Port(SocketAddrV4),
    Pasv,
    Type(RepresentationType),
    Stru(Structure),
    Mode(TransferMode),
    // RFC 959 §4.1.3
    Retr(Pathname),
    Stor(Pathname),
    Stou(Option<Pathname>),
    Appe(Pathname),
    Allo {
        bytes: u64,
        record: Option<u64>,
    },
    Rest(u64),
    Rnfr(Pathname),
    Rnto(Pathname),
    Abor,
    Dele(Pathname),
    Rmd(Pathname),
    Mkd(Pathname),
    Pwd,
    List(ListArgument),
    Nlst(ListArgument),
    Site(Text),
    Syst,
    Stat(Option<ListArgument>),
    Help(Option<Text>),
    Noop,
    // RFC 1639
    Lprt(LprtArgument),
    Lpsv,
    // RFC 2228
    Auth(Text),
    Adat(Text),
    Pbsz(Text),
    Prot(Text),
    Ccc,
    Mic(Text),
    Conf(Text),
    Enc(Text),
    // RFC 2389
    Feat,
    Opts {
        name: Text,
        value: Option<Text>,
    },
    // RFC 2428
    Eprt(EprtArgument),
    Epsv(EpsvArgument),
    // RFC 2640
    Lang(Option<Text>),
    // RFC 3659, and the older habit of setting the time with MDTM
    Mdtm(Pathname),
    MdtmSet {
        time: Timestamp,
        path: Pathname,
    },
    Size(Pathname),
    Mlst(Option<Pathname>),
    Mlsd(Option<Pathname>),
    // RFC 7151
    Host(Text),
    // draft-somers-ftp-mfxx
    Mfmt {
        time: Timestamp,
        path: Pathname,
    },
    Mfct {
        time: Timestamp,
        path: Pathname,
    },
    Mff {
        facts: Vec<(Text, Text)>,
        path: Pathname,
    },
    // draft-bryan-ftpext-hash, and what was there before
    Hash(Pathname),
    Rang {
        start: u64,
        end: u64,
    },
    Checksum {
        digest: Digest,
        path: Pathname,
        /// First byte, and the one behind the last.
        range: Option<(u64, Option<u64>)>,
    },
    // no RFC
    Clnt(Text),
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// The verb, if it is a known one.
    pub verb: Option<&'static Verb>,
    /// What is wrong.
    pub kind: CommandErrorKind,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CommandErrorKind {
    /// No such verb: 500.
    Unknown,
    /// A verb of the days before RFC 959: 502.
    NotImplemented,
    /// The argument is missing, malformed, or not allowed: 501.
    Syntax,
    /// The argument has the right form and an unknown value: 504.
    Parameter,
    /// The line speaks HTTP, SMTP, TLS or SSH. Nothing that follows may be executed; the server closes the connection after
    /// its 500.
    ForeignProtocol,
}

impl CommandError {
    /// The answer to the line.
    pub fn reply(&self) -> Reply {
        match (self.kind, self.verb) {
            (CommandErrorKind::Unknown, _) => Reply::new(500, "Unknown command."),
            (CommandErrorKind::NotImplemented, _) => Reply::new(502, "Command not implemented."),
            (CommandErrorKind::Syntax, Some(verb)) => {
                Reply::new(501, format!("Syntax: {}", verb.syntax))
            }
            (CommandErrorKind::Syntax, None) => Reply::new(501, "Syntax error."),
            (CommandErrorKind::Parameter, _) => {
                Reply::new(504, "Not implemented for that parameter.")
            }
            (CommandErrorKind::ForeignProtocol, _) => {
                Reply::new(500, "This is an FTP server, goodbye.")
            }
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            CommandErrorKind::Unknown => "unknown command",
            CommandErrorKind::NotImplemented => "retired command",
            CommandErrorKind::Syntax => "malformed argument",
            CommandErrorKind::Parameter => "unknown parameter",
            CommandErrorKind::ForeignProtocol => "not FTP",
        };
        match self.verb {
            Some(verb) => write!(f, "{what}: {}", verb.word),
            None => f.write_str(what),
        }
    }
}

impl std::error::Error for CommandError {}

impl Command {
    /// Reads a line without its end.
    ///
    /// Spaces before the verb are skipped, and so are the remains of a Telnet Synch that lost its urgent byte. The argument
    /// is what follows the first space; spaces at either end of a pathname belong to it.
    ///
    /// # Errors
    /// [`CommandError`] with the reply to give.
    pub fn parse(line: &[u8]) -> Result<Self, CommandError> {
        let line = skip_before_verb(line);
        let (word, argument) = split_at_space(line);
        let Some(verb) = Verb::find(word) else {
            return Err(CommandError {
                verb: None,
                kind: without_verb(line, word),
            });
        };
        let argument = argument.unwrap_or_default();
        Self::with_argument(verb.word, argument).map_err(|kind| CommandError {
            verb: Some(verb),
            kind,
        })
    }

    fn with_argument(word: &str, argument: &[u8]) -> Result<Self, CommandErrorKind> {
        if argument
            .iter()
            .any(|byte| matches!(byte, b'\r' | b'\n' | 0))
        {
            return Err(CommandErrorKind::Syntax);
        }
        Ok(match word {
            "USER" => Self::User(text(argument)?),
            "PASS" => Self::Pass(Secret::new(any_text(argument)?)),
            "ACCT" => Self::Acct(Secret::new(text(argument)?)),
            "CWD" => Self::Cwd(path(argument)?),
            "CDUP" => alone(argument, Self::Cdup)?,
            "SMNT" => Self::Smnt(path(argument)?),
            "REIN" => alone(argument, Self::Rein)?,
            "QUIT" => alone(argument, Self::Quit)?,
            "PORT" => Self::Port(read_port(argument)?),
            "PASV" => alone(argument, Self::Pasv)?,
            "TYPE" => Self::Type(RepresentationType::read(argument)?),
            "STRU" => Self::Stru(Structure::read(argument)?),
            "MODE" => Self::Mode(TransferMode::read(argument)?),
            "RETR" => Self::Retr(path(argument)?),
            "STOR" => Self::Stor(path(argument)?),
            "STOU" => Self::Stou(optional_path(argument)?),
            "APPE" => Self::Appe(path(argument)?),
            "ALLO" => argument::read_allo(argument)?,
            "REST" => Self::Rest(decimal(argument.trim_ascii()).ok_or(CommandErrorKind::Syntax)?),
            "RNFR" => Self::Rnfr(path(argument)?),
            "RNTO" => Self::Rnto(path(argument)?),
            "ABOR" => alone(argument, Self::Abor)?,
            "DELE" => Self::Dele(path(argument)?),
            "RMD" => Self::Rmd(path(argument)?),
            "MKD" => Self::Mkd(path(argument)?),
            "PWD" => alone(argument, Self::Pwd)?,
            "LIST" => Self::List(ListArgument::read(argument)?),
            "NLST" => Self::Nlst(ListArgument::read(argument)?),
            "SITE" => Self::Site(text(argument)?),
            "SYST" => alone(argument, Self::Syst)?,
            "STAT" if argument.is_empty() => Self::Stat(None),
            "STAT" => Self::Stat(Some(ListArgument::read(argument)?)),
            "HELP" => Self::Help(optional_text(argument)?),
            "NOOP" => alone(argument, Self::Noop)?,
            "LPRT" => Self::Lprt(read_lprt(argument)?),
            "LPSV" => alone(argument, Self::Lpsv)?,
            "AUTH" => Self::Auth(word_text(argument)?),
            "ADAT" => Self::Adat(word_text(argument)?),
            "PBSZ" => Self::Pbsz(word_text(argument)?),
            "PROT" => Self::Prot(word_text(argument)?),
            "CCC" => alone(argument, Self::Ccc)?,
            "MIC" => Self::Mic(word_text(argument)?),
            "CONF" => Self::Conf(word_text(argument)?),
            "ENC" => Self::Enc(word_text(argument)?),
            "FEAT" => alone(argument, Self::Feat)?,
            "OPTS" => argument::read_opts(argument)?,
            "EPRT" => Self::Eprt(read_eprt(argument)?),
            "EPSV" => Self::Epsv(read_epsv(argument)?),
            "LANG" => Self::Lang(optional_text(argument)?),
            "MDTM" => argument::read_mdtm(argument)?,
            "SIZE" => Self::Size(path(argument)?),
            "MLST" => Self::Mlst(optional_path(argument)?),
            "MLSD" => Self::Mlsd(optional_path(argument)?),
            "HOST" => Self::Host(word_text(argument)?),
            "MFMT" => {
                let (time, path) = argument::time_and_path(argument)?;
                Self::Mfmt { time, path }
            }
            "MFCT" => {
                let (time, path) = argument::time_and_path(argument)?;
                Self::Mfct { time, path }
            }
            "MFF" => argument::read_mff(argument)?,
            "HASH" => Self::Hash(path(argument)?),
            "RANG" => argument::read_rang(argument)?,
            "XCRC" => argument::read_checksum(Digest::Crc32, argument)?,
            "XMD5" => argument::read_checksum(Digest::Md5, argument)?,
            "XSHA1" => argument::read_checksum(Digest::Sha1, argument)?,
            "XSHA256" => argument::read_checksum(Digest::Sha256, argument)?,
            "XSHA512" => argument::read_checksum(Digest::Sha512, argument)?,
            "CLNT" => Self::Clnt(text(argument)?),
            // A row without an arm; the test `every_row_is_parsed` keeps this from being reached.
            _ => return Err(CommandErrorKind::NotImplemented),
        })
    }
}

impl From<ParameterError> for CommandErrorKind {
    fn from(error: ParameterError) -> Self {
        match error {
            ParameterError::Syntax => Self::Syntax,
            ParameterError::Unknown => Self::Parameter,
        }
    }
}

impl From<crate::host_port::HostPortError> for CommandErrorKind {
    fn from(_: crate::host_port::HostPortError) -> Self {
        Self::Syntax
    }
}

impl From<crate::pathname::PathnameError> for CommandErrorKind {
    fn from(_: crate::pathname::PathnameError) -> Self {
        Self::Syntax
    }
}

impl From<crate::text::TextError> for CommandErrorKind {
    fn from(_: crate::text::TextError) -> Self {
        Self::Syntax
    }
}

impl From<crate::timestamp::TimestampError> for CommandErrorKind {
    fn from(_: crate::timestamp::TimestampError) -> Self {
        Self::Syntax
    }
}

/// Spaces, and Telnet bytes that stay in front of ABOR when the urgent byte of a Synch travelled out of band.
fn skip_before_verb(line: &[u8]) -> &[u8] {
    let start = line
        .iter()
        .position(|byte| !matches!(byte, b' ' | b'\t' | 0xf0..=IAC));
    start
        .and_then(|start| line.get(start..))
        .unwrap_or_default()
}

fn split_at_space(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    match line.iter().position(|byte| *byte == b' ') {
        Some(at) => (line.get(..at).unwrap_or_default(), line.get(at + 1..)),
        None => (line, None),
    }
}

/// What a line is whose first word is no verb.
fn without_verb(line: &[u8], word: &[u8]) -> CommandErrorKind {
    let is = |name: &&str| word == name.as_bytes();
    if table::HTTP_METHODS.iter().any(is)
        // What SMTP begins with, in any case of letters; HELP is not among them.
        || [b"EHLO", b"HELO", b"LHLO"].iter().any(|it| word.eq_ignore_ascii_case(*it))
        // A TLS handshake record, versions 3.0 to 3.3.
        || line.starts_with(b"\x16\x03")
        || line.starts_with(b"SSH-")
    {
        return CommandErrorKind::ForeignProtocol;
    }
    if table::RETIRED
        .iter()
        .any(|name| word.eq_ignore_ascii_case(name.as_bytes()))
    {
        return CommandErrorKind::NotImplemented;
    }
    CommandErrorKind::Unknown
}

fn alone(argument: &[u8], command: Command) -> Result<Command, CommandErrorKind> {
    if argument.trim_ascii().is_empty() {
        Ok(command)
    } else {
        Err(CommandErrorKind::Syntax)
    }
}

fn path(argument: &[u8]) -> Result<Pathname, CommandErrorKind> {
    Ok(Pathname::new(argument)?)
}

fn optional_path(argument: &[u8]) -> Result<Option<Pathname>, CommandErrorKind> {
    if argument.is_empty() {
        Ok(None)
    } else {
        path(argument).map(Some)
    }
}

fn any_text(argument: &[u8]) -> Result<Text, CommandErrorKind> {
    Ok(Text::new(argument)?)
}

fn text(argument: &[u8]) -> Result<Text, CommandErrorKind> {
    if argument.is_empty() {
        Err(CommandErrorKind::Syntax)
    } else {
        any_text(argument)
    }
}

fn optional_text(argument: &[u8]) -> Result<Option<Text>, CommandErrorKind> {
    match argument.trim_ascii() {
        b"" => Ok(None),
        argument => any_text(argument).map(Some),
    }
}

/// A single word, spaces around it dropped.
fn word_text(argument: &[u8]) -> Result<Text, CommandErrorKind> {
    text(argument.trim_ascii())
}

#[cfg(test)]
mod tests;
