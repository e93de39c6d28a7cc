//! RFC 959 §4.1.3, information: SYST STAT HELP NOOP; RFC 2389: FEAT OPTS; LANG of RFC 2640, and CLNT.

use std::fmt::Write as _;

use wharf_proto::facts::FactSet;
use wharf_proto::feature::Features;
use wharf_proto::{Protection, Reply, Text, VERBS, Verb};

use super::lines::OFFERED;
use crate::failure::{Failure, Outcome};
use crate::session::Session;

/// Verbs of the table that are answered 502, whatever their argument
pub(crate) const NOT_OFFERED: &[&str] = &["SMNT", "ADAT", "MIC", "CONF", "ENC", "HOST", "MFCT"];

impl Session {
    /// `UNIX` and the eight-bit byte: what clients look for before they trust LIST and TYPE I
    pub(super) fn syst(&mut self) -> Outcome {
        Ok(Reply::new(215, "UNIX Type: L8"))
    }

    /// The session; a transfer that runs is told by `dtp.rs`
    pub(super) fn stat(&mut self) -> Outcome {
        let user = match &self.login {
            Some(login) => format!(" Logged in as {}", login.granted.user),
            None => " Not logged in".to_owned(),
        };
        let data = format!(" Data connection: {}", self.data_connection_planned());
        let lines = [
            Some("wharf FTP server".to_owned()),
            Some(format!(" Session {}", self.number)),
            // How a client behind NAT learns its address; vsftpd's and ProFTPD's STAT tell it too.
            Some(format!(" Connected from {}", self.peer())),
            self.protection_told(),
            Some(user),
            Some(format!(" Working directory: {}", self.pi.cwd().display())),
            Some(format!(
                " TYPE {}, STRU {}, MODE {}",
                self.pi.representation(),
                self.pi.structure(),
                self.pi.transfer_mode()
            )),
            Some(data),
            Some(format!(
                " {} files, {} bytes transferred",
                self.totals.files, self.totals.octets
            )),
            Some(format!(
                " Closed after {} s without a command",
                self.idle.as_secs()
            )),
            Some("End of status".to_owned()),
        ];
        let lines = lines.iter().flatten();
        Ok(Reply::with_lines(211, lines.map(Text::lossy).collect()))
    }

    /// Nothing where there is no TLS
    fn protection_told(&self) -> Option<String> {
        let security = self.pi.security();
        if !security.is_offered() {
            return None;
        }
        let control = match self.control.handshake() {
            Some(handshake) => format!("{} {}", handshake.version, handshake.suite),
            None => "in clear".to_owned(),
        };
        let data = match security.protection() {
            Protection::Private => "in TLS (PROT P)",
            _ => "in clear (PROT C)",
        };
        Some(format!(
            " Control connection {control}, data connections {data}"
        ))
    }

    /// With the address as this end said or heard it: a client that said or heard another one knows that somebody between
    /// rewrites it
    fn data_connection_planned(&self) -> String {
        let Some(port) = &self.data_port else {
            return "none".to_owned();
        };
        match (port.listening_at(), &self.told, self.asked) {
            (Some(at), Some(told), _) if told.with_address => {
                format!("expected at {at}, named by the 227 as {}", told.at)
            }
            (Some(at), ..) => format!("expected at {at}"),
            (None, _, Some((word, named))) => {
                format!("will be opened to you, named by {word} as {named}")
            }
            (None, ..) => "will be opened to you".to_owned(),
        }
    }

    pub(super) fn help(&mut self, about: Option<&Text>) -> Outcome {
        let Some(about) = about else {
            return Ok(Reply::with_lines(214, overview(|verb| self.offers(verb))));
        };
        if about.is_word("SITE") {
            return Ok(super::site::help());
        }
        match Verb::find(about.as_bytes()) {
            Some(verb) if !self.offers(verb) => Ok(Reply::new(
                214,
                format!("{} is known and not offered here ({})", verb.word, verb.rfc),
            )),
            Some(verb) => Ok(Reply::new(
                214,
                format!("Syntax: {}: {} ({})", verb.syntax, verb.help, verb.rfc),
            )),
            None => Err(Failure::argument(format!("No such command: {about}"))),
        }
    }

    /// Whether it is carried out for this session at all
    fn offers(&self, verb: &Verb) -> bool {
        let security = self.pi.security();
        match verb.word {
            "AUTH" | "PBSZ" | "PROT" => security.is_offered(),
            "CCC" => security.offers_ccc(),
            "HASH" | "RANG" | "XCRC" | "XMD5" | "XSHA1" | "XSHA256" | "XSHA512" => {
                self.setup.config.digests
            }
            word => !NOT_OFFERED.contains(&word),
        }
    }

    pub(super) fn noop(&mut self) -> Outcome {
        Ok(Reply::new(200, "Still here"))
    }

    /// What there is beyond RFC 959 (RFC 2389 §3)
    pub(super) fn feat(&mut self) -> Outcome {
        let facts = FactSet::of(OFFERED).feature_line(*self.pi.facts());
        let security = self.pi.security();
        let (tls, ccc) = (security.is_offered(), security.offers_ccc());
        let digests = self.setup.config.digests;
        let hash = self.hash_feature();
        let features = [
            (tls, "AUTH TLS"),
            (ccc, "CCC"),
            (true, "CLNT"),
            (true, "EPRT"),
            (true, "EPSV"),
            (digests, &*hash),
            (true, "LANG EN*"),
            (true, "MDTM"),
            (true, "MFF modify;UNIX.mode;"),
            (true, "MFMT"),
            (true, &*facts),
            (tls, "PBSZ"),
            (tls, "PROT"),
            (true, "REST STREAM"),
            (true, "SIZE"),
            (true, "TVFS"),
            (true, "UTF8"),
            (digests, "XCRC"),
            (digests, "XMD5"),
            (digests, "XSHA1"),
            (digests, "XSHA256"),
            (digests, "XSHA512"),
        ]
        .into_iter()
        .filter_map(|(offered, line)| offered.then_some(line));
        let features = features.fold(Features::new(), Features::with);
        Ok(features.to_reply())
    }

    pub(super) fn opts(&mut self, name: &Text, value: Option<&Text>) -> Outcome {
        if name.is_word("MLST") || name.is_word("MLSD") {
            let wanted = value.map(Text::as_bytes).unwrap_or_default();
            let chosen = FactSet::read_options(wanted).and(FactSet::of(OFFERED));
            self.pi.set_facts(chosen);
            return Ok(Reply::new(200, chosen.options_text()));
        }
        if name.is_word("UTF8") || name.is_word("UTF-8") {
            return match value {
                None => Ok(Reply::new(
                    200,
                    "Names are bytes; UTF-8 is what they should be",
                )),
                Some(value) if value.is_word("ON") => {
                    self.pi.set_utf8(true);
                    Ok(Reply::new(200, "UTF8 is on"))
                }
                Some(value) if value.is_word("OFF") => {
                    self.pi.set_utf8(false);
                    Ok(Reply::new(
                        200,
                        "UTF8 is off; names stay the bytes that they are",
                    ))
                }
                Some(_) => Err(Failure::argument("OPTS UTF8 is ON or OFF")),
            };
        }
        if name.is_word("HASH") && self.setup.config.digests {
            return self.opts_hash(value);
        }
        match Verb::find(name.as_bytes()) {
            // RFC 2389 §4: 501 also for a command that has no options.
            Some(verb) => Err(Failure::argument(format!("{} has no options", verb.word))),
            None => Err(Failure::argument("No such command")),
        }
    }

    pub(super) fn clnt(&mut self, name: &Text) -> Outcome {
        tracing::debug!(program = %name, "client");
        Ok(Reply::new(200, "Noted"))
    }

    /// RFC 2640 §4.1: without an argument the default language; there is one
    pub(super) fn lang(&mut self, language: Option<&Text>) -> Outcome {
        let english = language.is_none_or(|tag| {
            let tag = tag.as_bytes().split(|byte| *byte == b'-').next();
            tag.is_some_and(|primary| primary.eq_ignore_ascii_case(b"en"))
        });
        if english {
            Ok(Reply::new(200, "Replies are in English"))
        } else {
            Err(Failure::parameter("The only language is EN"))
        }
    }
}

/// The verbs in columns; those that are not offered are marked as RFC 959 §4.1.3 HELP leaves to us
fn overview(offered: impl Fn(&Verb) -> bool) -> Vec<Text> {
    let mut lines = vec![Text::lossy("Commands (* known and not offered):")];
    for row in VERBS.chunks(8) {
        let mut line = String::new();
        for verb in row {
            let mark = if offered(verb) { "" } else { "*" };
            let _ = write!(line, " {:<6}", format!("{}{mark}", verb.word));
        }
        lines.push(Text::lossy(line.trim_end()));
    }
    lines.push(Text::lossy("HELP and a command's name tells more"));
    lines
}
