//! What was sent and what arrived are two things: somebody on the way changes the address in PORT, EPRT or 227 (a helper, a
//! "tainting" router). A server shows what it read in its refusal; wharf's tells it in STAT, too. A helper of our own NAT
//! that makes PORT work is [`super::nat`]'s.

use std::net::{IpAddr, SocketAddr};

use wharf_client::examine::Probed;
use wharf_proto::data_connection::canonical;
use wharf_proto::data_connection::path::Path;

use super::{Case, Check, told};
use crate::finding::{Finding, Remedy, Severity, WhoActs};

pub(super) const PORT: Check = Check {
    words: &["port-rewritten"],
    judge: port,
};

pub(super) const REPLY: Check = Check {
    words: &["reply-rewritten"],
    judge: reply,
};

/// How servers repeat the address that they have received; lower case. Pure-FTPd `I won't open a connection to 192.0.2.1
/// (only to ...)`, wharf `data connections go only to ..., not to 192.0.2.1`.
const REPEATS: &[&str] = &["open a connection to ", ", not to "];

fn port(case: Case<'_>) -> Option<Finding> {
    let (probed, sent, arrived) = case.seen.active().find_map(|it| {
        let sent = canonical(it.target?.ip());
        let arrived = arrived(it)?;
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

/// The address that the server read in a PORT or EPRT that came to nothing.
fn arrived(probed: &Probed) -> Option<IpAddr> {
    if probed.result.is_ok() {
        return None;
    }
    if let Some(arrived) = probed.arrived {
        return Some(canonical(arrived.ip()));
    }
    let reply = probed.arranged.as_ref().filter(|it| it.code() >= 400)?;
    let text = String::from_utf8_lossy(reply.text().as_bytes()).to_lowercase();
    REPEATS.iter().find_map(|words| address_after(&text, words))
}

fn reply(case: Case<'_>) -> Option<Finding> {
    let seen = case.seen;
    let (read, sent): (SocketAddr, SocketAddr) = seen.on(Path::PASV).find_map(|it| {
        let (read, sent) = (it.replied?, it.arrived?);
        (read != sent).then_some((read, sent))
    })?;
    let fact = format!("the server sent a 227 with {sent}, {read} came here");
    if !seen.works(Path::PASV) {
        return Some(
            Finding::new(
                "reply-rewritten",
                case.grave(),
                WhoActs::ServerNat,
                "something on the way rewrites the server's 227, and the data connection does not come about",
            )
            .because(fact)
            .because_of(told(seen.on(Path::PASV)))
            .or(WhoActs::ClientNat)
            .cure(Remedy::say(
                WhoActs::ServerNat,
                "switch off the FTP helper (ALG) of the router, or use EPSV, which names no address",
            )),
        );
    }
    Some(
        Finding::new(
            "reply-rewritten",
            Severity::Note,
            WhoActs::Nobody,
            "a helper in front of the server rewrites its 227: passive works in plaintext, and fails with TLS",
        )
        .because(fact)
        .cure(Remedy::copy(
            WhoActs::ServerConfiguration,
            "to work with TLS, forward the passive ports and let the server tell its outside address itself",
            &format!("wharf serve --advertise {}", read.ip()),
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
