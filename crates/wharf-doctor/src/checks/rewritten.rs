//! The server answers PORT or EPRT with an address that we have not sent: somebody on the way changes it, and not to one
//! that the server would take (a "tainting" router; a helper that works is [`super::nat`]'s).

use std::net::IpAddr;

use wharf_proto::data_connection::canonical;

use super::{Case, Check, told};
use crate::finding::{Finding, Remedy, Severity, WhoActs};

pub(super) const CHECK: Check = Check {
    words: &["port-rewritten"],
    judge,
};

/// How servers repeat the address that they have received; lower case. Pure-FTPd `I won't open a connection to 192.0.2.1
/// (only to ...)`, wharf `data connections go only to ..., not to 192.0.2.1`.
const REPEATS: &[&str] = &["open a connection to ", ", not to "];

fn judge(case: Case<'_>) -> Option<Finding> {
    let (probed, sent, arrived) = case.seen.active().find_map(|it| {
        let sent = canonical(it.target?.ip());
        let reply = it.arranged.as_ref().filter(|reply| reply.code() >= 400)?;
        let text = String::from_utf8_lossy(reply.text().as_bytes()).to_lowercase();
        let arrived = REPEATS
            .iter()
            .find_map(|words| address_after(&text, words))?;
        (arrived != sent).then_some((it, sent, arrived))
    })?;
    Some(
        Finding::new(
            "port-rewritten",
            Severity::Weak,
            WhoActs::ClientNat,
            format!("a router on the way changes the address in {} from {sent} to {arrived}", probed.path.offer),
        )
        .because_of(told([probed]))
        .or(WhoActs::ServerNat)
        .cure(Remedy::say(
            WhoActs::ClientNat,
            "switch off the FTP helper (ALG) of the router, or use passive, or TLS, which it cannot read",
        )),
    )
}

fn address_after(text: &str, words: &str) -> Option<IpAddr> {
    let (_, rest) = text.split_once(words)?;
    let end = rest
        .find(|c: char| !(c.is_ascii_hexdigit() || matches!(c, '.' | ':')))
        .unwrap_or(rest.len());
    let word = rest.get(..end)?.trim_end_matches(['.', ':']);
    word.parse().ok().map(canonical)
}
