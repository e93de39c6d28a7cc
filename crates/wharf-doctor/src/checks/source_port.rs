//! Active works, and the server's end is not port 20: the article's rules for active mode, and many firewalls, would drop
//! it.

use wharf_proto::data_connection::Opener;

use super::{Case, Check};
use crate::finding::{Finding, Remedy, Severity, WhoActs};

pub(super) const CHECK: Check = Check {
    words: &["source-port-not-20"],
    judge,
};

fn judge(case: Case<'_>) -> Option<Finding> {
    let seen = case.seen;
    // One below the control port (RFC 959 §3.2): 20 for 21.
    let expected = seen.peer.port().checked_sub(1)?;
    let from = seen
        .active()
        .filter(|it| it.path.opener == Opener::Server && it.result.is_ok())
        .filter_map(|it| it.peer)
        .find(|peer| peer.port() != 20 && peer.port() != expected)?;
    let finding = Finding::new(
        "source-port-not-20",
        Severity::Note,
        WhoActs::Nobody,
        "the server's active data connections do not come from port 20: a firewall that admits only that one would drop them",
    )
    .because(format!("the data connection came from {from}"));
    Some(match seen.software.program.from_port_20() {
        Some(setting) => finding.cure(Remedy::copy(
            WhoActs::ServerConfiguration,
            "where such a firewall stands in front of clients",
            setting,
        )),
        None => finding,
    })
}
