//! EPSV and PASV lead through the same network; where only one of them works, somebody on the way, or the server, knows
//! only that one.

use wharf_proto::data_connection::path::Path;

use super::{Case, Check, told};
use crate::facts::path_evidence;
use crate::finding::{Finding, Remedy, Severity, WhoActs};
use wharf_proto::data_connection::evidence::Evidence;

pub(super) const CHECK: Check = Check {
    words: &["epsv-unknown", "epsv-blocked", "pasv-blocked"],
    judge,
};

fn judge(case: Case<'_>) -> Option<Finding> {
    let seen = case.seen;
    let (epsv, pasv) = (seen.works(Path::EPSV), seen.works(Path::PASV));
    let failed = |path: Path| told(seen.on(path));
    let network = |path: Path| {
        seen.on(path).any(|it| {
            matches!(
                path_evidence(it),
                Some(Evidence::Silent | Evidence::Refused | Evidence::Unreachable)
            )
        })
    };
    let by_command = seen.on(Path::EPSV).any(|it| {
        matches!(
            path_evidence(it),
            Some(
                Evidence::CommandRefused { .. }
                    | Evidence::FamilyRefused
                    | Evidence::ReplyUnreadable
            )
        )
    });
    if pasv && !epsv && by_command {
        return Some(
            Finding::new(
                "epsv-unknown",
                Severity::Note,
                WhoActs::Nobody,
                "the server does not understand EPSV; PASV works, over IPv6 nothing passive will",
            )
            .because_of(failed(Path::EPSV)),
        );
    }
    if pasv && !epsv && network(Path::EPSV) {
        return Some(
            Finding::new(
                "epsv-blocked",
                Severity::Weak,
                WhoActs::ServerFirewall,
                "a helper on the way opens ports for PASV and does not know EPSV",
            )
            .or(WhoActs::ClientFirewall)
            .because_of(failed(Path::EPSV))
            .cure(case.wording.open_passive(seen))
            .cure(Remedy::say(
                WhoActs::ServerFirewall,
                "open the passive range instead of trusting a helper, which TLS blinds as well",
            )),
        );
    }
    (epsv && !pasv && network(Path::PASV)).then(|| {
        Finding::new(
            "pasv-blocked",
            Severity::Weak,
            WhoActs::ServerFirewall,
            "a helper on the way opens ports for EPSV and does not know PASV, or rewrites its answer",
        )
        .or(WhoActs::ServerNat)
        .because_of(failed(Path::PASV))
        .cure(case.wording.open_passive(seen))
    })
}
