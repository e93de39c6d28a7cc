//! Some ports of the range are closed, or all of them are taken.

use wharf_client::examine::Probed;
use wharf_proto::data_connection::evidence::Evidence;
use wharf_proto::data_connection::path::Path;

use super::{Case, Check, told};
use crate::facts::path_evidence;
use crate::finding::{Finding, Remedy, Severity, WhoActs};
use crate::remedy::Wording;

pub(super) const CHECK: Check = Check {
    words: &["range-exhausted", "range-closed", "range-partly-closed"],
    judge,
};

/// How servers say that no passive port is left; lower case. wharf `Every passive port of ... is in use`, vsftpd `500
/// OOPS: vsf_sysutil_bind`, Pure-FTPd `I can't allocate any port`, older wharf `No free passive port`.
const EXHAUSTED: &[&str] = &[
    "every passive port",
    "no free passive port",
    "vsf_sysutil_bind",
    "can't allocate",
    "no port available",
];

fn judge(case: Case<'_>) -> Option<Finding> {
    exhausted(case).or_else(|| partly(case))
}

fn exhausted(case: Case<'_>) -> Option<Finding> {
    let said = case.seen.passive().find(|it| {
        it.arranged.iter().chain(&it.listed).any(|reply| {
            let text = String::from_utf8_lossy(reply.text().as_bytes()).to_lowercase();
            reply.code() >= 400 && EXHAUSTED.iter().any(|words| text.contains(words))
        })
    })?;
    Some(
        Finding::new(
            "range-exhausted",
            case.grave(),
            WhoActs::ServerConfiguration,
            "every port of the server's passive range is in use",
        )
        .because_of(told([said]))
        .cure(Wording::tell_range(case.seen))
        .cure(case.wording.open_passive(case.seen)),
    )
}

fn partly(case: Case<'_>) -> Option<Finding> {
    let of_one_way = |path: Path| {
        let ports: Vec<&Probed> = case.seen.on(path).collect();
        let fails = |it: &&&Probed| {
            matches!(
                path_evidence(it),
                Some(Evidence::Silent | Evidence::Refused | Evidence::Unreachable)
            )
        };
        let failing = ports.iter().filter(fails).count();
        let working = ports.iter().filter(|it| it.result.is_ok()).count();
        (failing > 0 && working > 0).then_some(ports)
    };
    let ports = of_one_way(Path::EPSV).or_else(|| of_one_way(Path::PASV))?;
    let control = case.seen.peer.port();
    let at_control_port = |it: &Probed| it.replied.is_some_and(|at| at.port() == control);
    let apart = ports
        .iter()
        .all(|it| it.result.is_ok() == at_control_port(it));
    if apart {
        // wharf with one-port auto: told that the range stays closed, it names the control port.
        return Some(
            Finding::new(
                "range-closed",
                Severity::Weak,
                WhoActs::ServerFirewall,
                "the server's passive range is closed; it makes up for it with its control port, after a first attempt that fails",
            )
            .because_of(told(ports))
            .or(WhoActs::ServerNat)
            .cure(case.wording.open_passive(case.seen))
            .cure(Remedy::copy(
                WhoActs::ServerConfiguration,
                "or leave the range closed, and name the control port from the beginning",
                "wharf serve --one-port on",
            )),
        );
    }
    Some(
        Finding::new(
            "range-partly-closed",
            Severity::Weak,
            WhoActs::ServerFirewall,
            "the firewall opens only a part of the server's passive range: transfers fail at random",
        )
        .because_of(told(ports))
        .or(WhoActs::ServerNat)
        .cure(Remedy::say(
            WhoActs::ServerConfiguration,
            "the same range in the firewall and in the server's settings",
        ))
        .cure(case.wording.open_passive(case.seen))
        .cure(Wording::tell_range(case.seen)),
    )
}
