//! Foreign bytes as text that may be shown: no secrets, no control characters, not longer than a picture can use.

use wharf_proto::command::Command;
use wharf_proto::visible;

/// Bytes of a line that are looked at; more is cut.
const LINE: usize = 600;

/// Secrets of one session that are remembered, and how long the shortest is.
const SECRETS: usize = 8;
const SHORTEST: usize = 4;

/// The SITE verbs whose arguments are known to be harmless; what others take may be a password.
const HARMLESS_SITE: &[&str] = &["WHOAMI", "HELP", "CHMOD", "UTIME", "IDLE", "UMASK"];

/// Any text.
pub(crate) fn text(bytes: &[u8]) -> String {
    let (head, cut) = head(bytes);
    let mut text = visible(head);
    if cut {
        text.push('…');
    }
    text
}

/// A command line.
pub(crate) fn command(line: &[u8]) -> String {
    let (head, cut) = head(line);
    let mut text = Command::redact_line(head);
    if word(line) == "SITE" {
        text = site(&text);
    }
    if cut {
        text.push('…');
    }
    text
}

/// The first line of a reply.
pub(crate) fn reply(line: &[u8]) -> String {
    let shown = text(line);
    let upper = shown.to_ascii_uppercase();
    // RFC 2228 §8: security data may stand in 234, 235, 334 and 335
    match upper.find("ADAT=").and_then(|at| shown.get(..at + 5)) {
        Some(before) => format!("{before}****"),
        None => shown,
    }
}

/// The verb, capitals; empty if there is none.
pub(crate) fn word(line: &[u8]) -> String {
    let shown = Command::redact_line(head(line).0);
    let word = shown.trim_start().split(' ').next().unwrap_or_default();
    word.chars()
        .take(12)
        .collect::<String>()
        .to_ascii_uppercase()
}

/// The verb as a fold tells it: of SITE, what it is about, too.
pub(crate) fn told_word(line: &[u8]) -> String {
    let verb = word(line);
    match command(line).split(' ').nth(1) {
        Some(about) if verb == "SITE" => {
            let about: String = about.chars().take(12).collect();
            format!("{verb} {}", about.to_ascii_uppercase())
        }
        _ => verb,
    }
}

/// The code of a reply line.
pub(crate) fn code(line: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(line.get(..3)?).ok()?;
    digits
        .parse()
        .ok()
        .filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn site(shown: &str) -> String {
    let mut words = shown.splitn(3, ' ');
    let (site, verb) = (words.next().unwrap_or_default(), words.next());
    match (verb, words.next()) {
        (Some(verb), Some(_)) if !HARMLESS_SITE.contains(&verb.to_ascii_uppercase().as_str()) => {
            format!("{site} {verb} ****")
        }
        _ => shown.to_owned(),
    }
}

fn head(line: &[u8]) -> (&[u8], bool) {
    line.get(..LINE).map_or((line, false), |head| (head, true))
}

/// Secrets that stood in clear in a trace of foreign make: a server that repeats them must not give them away.
#[derive(Debug, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    pub(crate) fn learn(&mut self, line: &[u8]) {
        if !matches!(word(line).as_str(), "PASS" | "ACCT") || self.0.len() >= SECRETS {
            return;
        }
        let plain = visible(head(line).0.trim_ascii_start());
        let Some((_, secret)) = plain.split_once(' ') else {
            return;
        };
        let hidden = secret.chars().all(|c| c == '*');
        if !hidden && secret.len() >= SHORTEST && !self.0.iter().any(|known| known == secret) {
            self.0.push(secret.to_owned());
        }
    }

    pub(crate) fn hide(&self, text: &str) -> String {
        self.0
            .iter()
            .fold(text.to_owned(), |text, secret| text.replace(secret, "****"))
    }
}
