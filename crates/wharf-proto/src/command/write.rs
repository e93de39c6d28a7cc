//! Commands as bytes on the wire and as text for people.

use std::fmt;

use super::argument;
use super::{
    Command, EprtArgument, EpsvArgument, ListArgument, LprtArgument, Verb, skip_before_verb,
    split_at_space, table,
};
use crate::host_port::{write_eprt, write_lprt, write_port};
use crate::telnet;
use crate::text::{Text, visible};

impl Command {
    /// The row of its verb.
    pub fn verb(&self) -> &'static Verb {
        Verb::find(self.word().as_bytes()).unwrap_or(&table::UNLISTED)
    }

    /// The word of its verb.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::User(_) => "USER",
            Self::Pass(_) => "PASS",
            Self::Acct(_) => "ACCT",
            Self::Cwd(_) => "CWD",
            Self::Cdup => "CDUP",
            Self::Smnt(_) => "SMNT",
            Self::Rein => "REIN",
            Self::Quit => "QUIT",
            Self::Port(_) => "PORT",
            Self::Pasv => "PASV",
            Self::Type(_) => "TYPE",
            Self::Stru(_) => "STRU",
            Self::Mode(_) => "MODE",
            Self::Retr(_) => "RETR",
            Self::Stor(_) => "STOR",
            Self::Stou(_) => "STOU",
            Self::Appe(_) => "APPE",
            Self::Allo { .. } => "ALLO",
            Self::Rest(_) => "REST",
            Self::Rnfr(_) => "RNFR",
            Self::Rnto(_) => "RNTO",
            Self::Abor => "ABOR",
            Self::Dele(_) => "DELE",
            Self::Rmd(_) => "RMD",
            Self::Mkd(_) => "MKD",
            Self::Pwd => "PWD",
            Self::List(_) => "LIST",
            Self::Nlst(_) => "NLST",
            Self::Site(_) => "SITE",
            Self::Syst => "SYST",
            Self::Stat(_) => "STAT",
            Self::Help(_) => "HELP",
            Self::Noop => "NOOP",
            Self::Lprt(_) => "LPRT",
            Self::Lpsv => "LPSV",
            Self::Auth(_) => "AUTH",
            Self::Adat(_) => "ADAT",
            Self::Pbsz(_) => "PBSZ",
            Self::Prot(_) => "PROT",
            Self::Ccc => "CCC",
            Self::Mic(_) => "MIC",
            Self::Conf(_) => "CONF",
            Self::Enc(_) => "ENC",
            Self::Feat => "FEAT",
            Self::Opts { .. } => "OPTS",
            Self::Eprt(_) => "EPRT",
            Self::Epsv(_) => "EPSV",
            Self::Lang(_) => "LANG",
            Self::Mdtm(_) | Self::MdtmSet { .. } => "MDTM",
            Self::Size(_) => "SIZE",
            Self::Mlst(_) => "MLST",
            Self::Mlsd(_) => "MLSD",
            Self::Host(_) => "HOST",
            Self::Mfmt { .. } => "MFMT",
            Self::Mfct { .. } => "MFCT",
            Self::Mff { .. } => "MFF",
            Self::Hash(_) => "HASH",
            Self::Rang { .. } => "RANG",
            Self::Checksum { digest, .. } => digest.verb(),
            Self::Clnt(_) => "CLNT",
        }
    }

    /// The bytes on the wire: CRLF at the end, IAC doubled.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.word().as_bytes().to_vec();
        if let Some(argument) = self.argument() {
            out.push(b' ');
            telnet::escape_into(&argument, &mut out);
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    /// For people and logs: secrets hidden, control characters visible.
    pub fn redacted(&self) -> String {
        let word = self.word();
        match self.argument() {
            Some(_) if is_secret(word) => format!("{word} ****"),
            Some(argument) if word == "SITE" => format!("{word} {}", visible_site(&argument)),
            Some(argument) => format!("{word} {}", visible(&argument)),
            None => word.to_owned(),
        }
    }

    /// A line as it came, for people and logs, whether it is a command or not: what follows a verb that carries a secret
    /// is hidden, and so is what a line that is no command holds after its first word, since it may be a mistyped one.
    pub fn redact_line(line: &[u8]) -> String {
        let line = skip_before_verb(line);
        let (word, argument) = split_at_space(line);
        let shown = visible(word);
        match (argument, Verb::find(word)) {
            (_, None) => redact_unknown(line),
            (None, _) => shown,
            (Some(argument), Some(verb)) if verb.word == "SITE" => {
                format!("{shown} {}", visible_site(argument))
            }
            (Some(argument), Some(verb)) if !is_secret(verb.word) => {
                format!("{shown} {}", visible(argument))
            }
            (Some(_), _) => format!("{shown} ****"),
        }
    }

    /// What stands after the verb and its space.
    fn argument(&self) -> Option<Vec<u8>> {
        let bytes = |text: &Text| Some(text.as_bytes().to_vec());
        let written = |value: &dyn fmt::Display| Some(value.to_string().into_bytes());
        match self {
            Self::Cdup
            | Self::Rein
            | Self::Quit
            | Self::Pasv
            | Self::Abor
            | Self::Pwd
            | Self::Syst
            | Self::Noop
            | Self::Lpsv
            | Self::Ccc
            | Self::Feat => None,
            Self::Pass(secret) | Self::Acct(secret) => Some(secret.expose().to_vec()),
            Self::User(text)
            | Self::Site(text)
            | Self::Auth(text)
            | Self::Adat(text)
            | Self::Pbsz(text)
            | Self::Prot(text)
            | Self::Mic(text)
            | Self::Conf(text)
            | Self::Enc(text)
            | Self::Host(text)
            | Self::Clnt(text) => bytes(text),
            Self::Help(text) | Self::Lang(text) => text.as_ref().and_then(bytes),
            Self::Cwd(path)
            | Self::Smnt(path)
            | Self::Retr(path)
            | Self::Stor(path)
            | Self::Appe(path)
            | Self::Rnfr(path)
            | Self::Rnto(path)
            | Self::Dele(path)
            | Self::Rmd(path)
            | Self::Mkd(path)
            | Self::Mdtm(path)
            | Self::Hash(path)
            | Self::Size(path) => Some(path.as_bytes().to_vec()),
            Self::Stou(path) | Self::Mlst(path) | Self::Mlsd(path) => {
                path.as_ref().map(|path| path.as_bytes().to_vec())
            }
            Self::List(argument) | Self::Nlst(argument) => argument.write(),
            Self::Stat(argument) => argument.as_ref().and_then(ListArgument::write),
            Self::Port(address) => Some(write_port(*address).into_bytes()),
            Self::Type(value) => written(value),
            Self::Stru(value) => written(value),
            Self::Mode(value) => written(value),
            Self::Rest(offset) => written(offset),
            Self::Allo { bytes, record } => Some(match record {
                Some(record) => format!("{bytes} R {record}").into_bytes(),
                None => bytes.to_string().into_bytes(),
            }),
            Self::Lprt(LprtArgument::Address(address)) => Some(write_lprt(*address).into_bytes()),
            // Only a server reads these two; a user-PI has no reason to build them.
            Self::Lprt(LprtArgument::UnknownFamily(family)) => {
                Some(format!("{family},0,0").into_bytes())
            }
            Self::Eprt(EprtArgument::UnknownProtocol(protocol)) => {
                Some(format!("|{protocol}||1|").into_bytes())
            }
            Self::Eprt(EprtArgument::Address(address)) => Some(write_eprt(*address).into_bytes()),
            Self::Epsv(argument) => match argument {
                EpsvArgument::Unspecified => None,
                EpsvArgument::Ipv4 => Some(b"1".to_vec()),
                EpsvArgument::Ipv6 => Some(b"2".to_vec()),
                EpsvArgument::UnknownProtocol(protocol) => written(protocol),
                EpsvArgument::All => Some(b"ALL".to_vec()),
            },
            Self::Opts { name, value } => {
                let mut out = name.as_bytes().to_vec();
                if let Some(value) = value {
                    out.push(b' ');
                    out.extend_from_slice(value.as_bytes());
                }
                Some(out)
            }
            Self::MdtmSet { time, path }
            | Self::Mfmt { time, path }
            | Self::Mfct { time, path } => {
                Some([time.to_wire().as_bytes(), b" ", path.as_bytes()].concat())
            }
            Self::Rang { start, end } => Some(format!("{start} {end}").into_bytes()),
            Self::Checksum { path, range, .. } => Some(argument::write_checksum(path, *range)),
            Self::Mff { facts, path } => {
                let mut out = Vec::new();
                for (name, value) in facts {
                    out.extend_from_slice(
                        &[name.as_bytes(), b"=", value.as_bytes(), b";"].concat(),
                    );
                }
                out.push(b' ');
                out.extend_from_slice(path.as_bytes());
                Some(out)
            }
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

/// The argument of SITE: what other servers take there may be a password (PSWD, PASSWD, GPASS, CHPASS, ADDUSER).
fn visible_site(argument: &[u8]) -> String {
    let (verb, more) = split_at_space(argument);
    let upper = verb.to_ascii_uppercase();
    let sounds = |part: &[u8]| upper.windows(part.len()).any(|window| window == part);
    if more.is_some()
        && [&b"PASS"[..], b"PSW", b"PWD", b"ADDUSER"]
            .iter()
            .any(|part| sounds(part))
    {
        format!("{} ****", visible(verb))
    } else {
        visible(argument)
    }
}

/// A line whose first word is no verb: `PAS hunter2`, `PASS<TAB>hunter2`, `PASS:hunter2`, `passhunter2`.
fn redact_unknown(line: &[u8]) -> String {
    let end = line.iter().position(|byte| !byte.is_ascii_graphic());
    let word = line.get(..end.unwrap_or(line.len())).unwrap_or_default();
    let secret = ["PASS", "ACCT"].into_iter().find_map(|verb| {
        let start = word.get(..verb.len())?;
        start.eq_ignore_ascii_case(verb.as_bytes()).then_some(start)
    });
    let word = secret.unwrap_or(word);
    match line.len() - word.len() {
        0 => visible(word),
        _ => format!("{} ****", visible(word)),
    }
}

fn is_secret(word: &str) -> bool {
    matches!(word, "PASS" | "ACCT" | "ADAT" | "MIC" | "CONF" | "ENC")
}
