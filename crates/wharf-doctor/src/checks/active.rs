//! The server's connections do not reach us, and no NAT explains it: our firewall, or the server's?

use wharf_client::examine::{Obstacle, Probed};
use wharf_net::Touch;
use wharf_proto::data_connection::Opener;
use wharf_proto::data_connection::as_seen::Nat;
use wharf_proto::data_connection::evidence::Evidence;
use wharf_proto::{Reply, ReplyClass};

use super::{Case, Check, told};
use crate::distance::{End, end};
use crate::facts::path_evidence;
use crate::finding::{Finding, Remedy, WhoActs};
use crate::software::Program;

pub(super) const CHECK: Check = Check {
    words: &["active-dropped", "active-refused", "active-from-elsewhere"],
    judge,
};

/// The server's own system did not let it out; lower case. ProFTPD `Operation not permitted`, wharf `No way leads from
/// this server`.
const FROM_WITHIN: &[&str] = &[
    "operation not permitted",
    "permission denied",
    "network is unreachable",
    "no route to host",
    "no way leads from",
];

fn judge(case: Case<'_>) -> Option<Finding> {
    let seen = case.seen;
    if matches!(seen.nat(), Nat::Behind { .. }) || seen.carries(Opener::Server) {
        return None;
    }
    let nobody = |it: &&Probed| path_evidence(it) == Some(Evidence::NobodyCame);
    let refused =
        |it: &&Probed| matches!(path_evidence(it), Some(Evidence::NoDataConnection { .. }));
    let failed: Vec<&Probed> = seen
        .active()
        .filter(|it| nobody(it) || refused(it))
        .collect();
    let first = failed.first()?;
    // It says that the listing was sent: its connection stood, and what came here came from a stranger's address.
    let sent = |it: &&Probed| nobody(it) && it.listed.as_ref().is_some_and(is_completion);
    if failed.iter().any(sent) {
        return Some(from_elsewhere(case, &failed));
    }
    let silent = nobody(first);
    let from_within = failed.iter().filter_map(|it| it.listed.as_ref()).any(|it| {
        let text = String::from_utf8_lossy(it.text().as_bytes()).to_lowercase();
        FROM_WITHIN.iter().any(|words| text.contains(words))
    });
    let (side, perhaps, why) = blamed(case, from_within);
    let (word, verb) = if silent {
        ("active-dropped", "drops")
    } else {
        ("active-refused", "rejects")
    };
    let cause = match (side, perhaps) {
        (WhoActs::ClientFirewall, None) => {
            format!(
                "this side's firewall {verb} the server's connections to us: active cannot work"
            )
        }
        (WhoActs::ServerFirewall, None) => format!(
            "a firewall on the server's side {verb} the server's own connections: active cannot work"
        ),
        _ => format!("a firewall {verb} the server's connections to us: active cannot work"),
    };
    let finding = Finding::new(word, case.minor(), side, cause)
        .because_of(told(failed.iter().copied()))
        .because_of(why);
    let finding = perhaps.into_iter().fold(finding, Finding::or);
    let (ours, theirs) = (
        side == WhoActs::ClientFirewall || perhaps == Some(WhoActs::ClientFirewall),
        side == WhoActs::ServerFirewall || perhaps == Some(WhoActs::ServerFirewall),
    );
    let finding = if ours {
        finding.cure(case.wording.let_in(seen))
    } else {
        finding
    };
    Some(if theirs {
        finding.cure(case.wording.let_server_out(seen))
    } else {
        finding
    })
}

fn is_completion(reply: &Reply) -> bool {
    reply.class() == ReplyClass::Completion
}

fn from_elsewhere(case: Case<'_>, failed: &[&Probed]) -> Finding {
    Finding::new(
        "active-from-elsewhere",
        case.minor(),
        WhoActs::ServerNat,
        "the server's active data connections come from another address than its control connection: taken for a stranger's, they are dropped",
    )
    .or(WhoActs::ServerConfiguration)
    .because("the server says that it has sent the listing, and nothing came from its address".to_owned())
    .because_of(told(failed.iter().copied()))
    .cure(case.wording.send_from_outside(case.seen))
    .cure(Remedy::say(
        WhoActs::ServerConfiguration,
        "a server with several addresses: let it open active data connections from the one that the client reached",
    ))
}

/// Who it is, who else it may be, and what shows it.
fn blamed(case: Case<'_>, from_within: bool) -> (WhoActs, Option<WhoActs>, Option<String>) {
    if from_within {
        let why = "the server says that its own system did not let it out".to_owned();
        return (WhoActs::ServerFirewall, None, Some(why));
    }
    let seen = case.seen;
    match &seen.punched {
        Some((_, probed)) if probed.result.is_ok() => (
            WhoActs::ClientFirewall,
            None,
            Some("after a packet of ours had gone towards the server's port 20 its connection came through: a firewall here that remembers connections".to_owned()),
        ),
        // The hole fits connections from port 20 alone, and ProFTPD's come from another. And the packet must have gone out.
        Some((Touch::Unreachable, probed))
            if !matches!(probed.result, Err(Obstacle::Control(_)))
                && seen.software.program != Program::ProFtpd =>
        (
            WhoActs::ServerFirewall,
            Some(WhoActs::ClientFirewall),
            Some("not even after a packet of ours had gone towards the server's port 20 did its connection come through".to_owned()),
        ),
        _ if end(seen).0 == End::ServerSide => (
            WhoActs::ServerFirewall,
            Some(WhoActs::ClientFirewall),
            Some("the firewall that closes the passive ports stands on the server's side".to_owned()),
        ),
        // Most machines of users stand behind a firewall that lets nothing in.
        _ => (
            WhoActs::ClientFirewall,
            Some(WhoActs::ServerFirewall),
            (seen.software.program == Program::ProFtpd).then(|| "a default ProFTPD does not connect from port 20 (RootRevoke): rules of the server's side that admit only that port drop it".to_owned()),
        ),
    }
}
