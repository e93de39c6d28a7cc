//! The data connection stood, and the server did not want it: it came from another address than the control connection,
//! or a balancer brought it to another server.

use wharf_client::examine::{Obstacle, Probed};
use wharf_proto::data_connection::Opener;
use wharf_proto::data_connection::evidence::Evidence;

use super::{Case, Check, told};
use crate::facts::path_evidence;
use crate::finding::{Finding, Remedy, WhoActs};

pub(super) const CHECK: Check = Check {
    words: &["passive-not-accepted"],
    judge,
};

/// vsftpd `425 Security: Bad IP connecting.`, wharf `... but a stranger's from ...`, SFTPGo, FileZilla Server.
const ABOUT_ADDRESSES: &[&str] = &[
    "bad ip",
    "stranger",
    "does not match",
    "ip address",
    "security",
];

fn judge(case: Case<'_>) -> Option<Finding> {
    let seen = case.seen;
    let stood = |it: &&Probed| it.path.opener == Opener::User && it.peer.is_some();
    let not_accepted = |it: &&Probed| {
        matches!(
            path_evidence(it),
            Some(Evidence::NoDataConnection { .. } | Evidence::Dropped | Evidence::Greeted)
        ) || matches!(it.result, Err(Obstacle::Control(_)))
    };
    let failed: Vec<&Probed> = seen
        .probes
        .iter()
        .filter(stood)
        .filter(not_accepted)
        .collect();
    if failed.is_empty() || seen.carries(Opener::User) {
        return None;
    }
    let says_so = failed.iter().filter_map(|it| it.listed.as_ref()).any(|it| {
        let text = String::from_utf8_lossy(it.text().as_bytes()).to_lowercase();
        ABOUT_ADDRESSES.iter().any(|words| text.contains(words))
    });
    let finding = Finding::new(
        "passive-not-accepted",
        case.grave(),
        WhoActs::ClientNat,
        "the server drops our data connection: it comes from another address than the control connection (a NAT with several addresses)",
    )
    .because_of(told(failed.iter().copied()));
    let finding = if says_so {
        finding
    } else {
        // A balancer that spreads connections over servers looks the same from here.
        finding.or(WhoActs::ServerNat)
    };
    let finding = finding.cure(Remedy::say(
        WhoActs::ClientNat,
        "give each inside host one outside address (paired address pooling, sticky NAT)",
    ));
    Some(match seen.software.program.promiscuous() {
        Some(setting) => finding.cure(Remedy::copy(
            WhoActs::ServerConfiguration,
            "or let the server take data from any address; whoever is quicker then gets it",
            setting,
        )),
        None => finding,
    })
}
