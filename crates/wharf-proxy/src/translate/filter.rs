//! What is not true through a proxy: protection of the connections, and third-party transfers.

use wharf_proto::{Reply, Text};

/// Commands of the security extensions (RFC 2228, RFC 4217) and of secure third-party transfers. None of them reaches the
/// server: each side of the proxy is protected by itself, see `protection`.
const NOT_OFFERED: &[(&str, u16)] = &[
    ("ADAT", 503),
    ("MIC", 503),
    ("CONF", 503),
    ("ENC", 503),
    ("SSCN", 502),
    ("CPSV", 502),
];

/// Those that are the client's side alone, see `protection`: what the server says of them is about itself.
const OWN: &[&str] = &["AUTH", "PBSZ", "PROT", "CCC"];

/// What we answer ourselves whether the server knows it or not.
const ADDED: &[&str] = &["EPRT", "EPSV"];

/// The refusal of a command that is not offered here.
pub(super) fn refusal(word: &[u8]) -> Option<Reply> {
    let (word, code) = NOT_OFFERED
        .iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()))?;
    Some(Reply::new(
        *code,
        format!("{word} is not offered by this proxy"),
    ))
}

/// FEAT as it is through the proxy. A refusal stays one.
pub(super) fn features(reply: Reply, added: &[&str]) -> Reply {
    let lines = reply.lines();
    let [first, middle @ .., last] = lines else {
        return reply; // no list: refused, or nothing but "211 End"
    };
    if reply.code() != 211 {
        return reply;
    }
    let mut kept: Vec<Text> = vec![first.clone()];
    kept.extend(
        middle
            .iter()
            .filter(|line| !is_about(line, hidden()))
            .cloned(),
    );
    for line in ADDED.iter().chain(added) {
        let word = line.split(' ').next().unwrap_or(line);
        if !kept.iter().any(|line| is_about(line, [word])) {
            kept.push(Text::lossy(format!(" {line}")));
        }
    }
    kept.push(last.clone());
    Reply::with_lines(211, kept)
}

/// The list of commands without those that are not offered: blanks in their place keep the columns.
pub(super) fn help(reply: Reply) -> Reply {
    if !reply.is_positive() {
        return reply;
    }
    let lines = reply.lines().iter().map(|line| {
        let mut bytes = line.as_bytes().to_vec();
        let mut start = 0;
        for word in line.as_bytes().split(|byte| !byte.is_ascii_alphabetic()) {
            let end = start + word.len();
            let hidden = hidden().any(|name| word == name.as_bytes());
            if hidden && let Some(place) = bytes.get_mut(start..end) {
                place.fill(b' ');
            }
            start = end + 1;
        }
        Text::lossy(bytes)
    });
    Reply::with_lines(reply.code(), lines.collect())
}

/// What is taken out of the server's lists.
fn hidden() -> impl Iterator<Item = &'static str> {
    let not_offered = NOT_OFFERED.iter().map(|(word, _)| *word);
    not_offered.chain(OWN.iter().copied())
}

fn is_about<'a>(line: &Text, words: impl IntoIterator<Item = &'a str>) -> bool {
    // Some servers put the code before every line.
    let line = line.as_bytes();
    let line = line.strip_prefix(b"211-").unwrap_or(line).trim_ascii();
    let word = line.split(|byte| *byte == b' ').next().unwrap_or_default();
    words
        .into_iter()
        .any(|name| word.eq_ignore_ascii_case(name.as_bytes()))
}
