//! What is refused by command: a data mode that the server does not offer, a listener that this machine does not grant, a
//! TLS session that is not resumed.

use wharf_client::examine::Probed;
use wharf_proto::data_connection::Opener;
use wharf_proto::data_connection::evidence::Evidence;

use super::{Case, Check, told};
use crate::facts::path_evidence;
use crate::finding::{Finding, Remedy, WhoActs};

pub(super) const PASSIVE: Check = Check {
    words: &["passive-not-offered"],
    judge: |case| not_offered(case, Opener::User),
};

pub(super) const ACTIVE: Check = Check {
    words: &["active-not-offered"],
    judge: |case| not_offered(case, Opener::Server),
};

pub(super) const NO_LISTENER: Check = Check {
    words: &["cannot-listen"],
    judge: cannot_listen,
};

pub(super) const SESSION_NOT_RESUMED: Check = Check {
    words: &["tls-session-not-resumed"],
    judge: not_resumed,
};

fn not_offered(case: Case<'_>, opener: Opener) -> Option<Finding> {
    let of_it: Vec<&Probed> = case
        .seen
        .passive()
        .chain(case.seen.active())
        .filter(|it| it.path.opener == opener)
        .collect();
    let by_command = |it: &&Probed| {
        matches!(
            path_evidence(it),
            Some(Evidence::CommandRefused { .. } | Evidence::FamilyRefused)
        )
    };
    if of_it.is_empty() || !of_it.iter().all(by_command) {
        return None;
    }
    // Said with its own words.
    let said = |check: &Check| (check.judge)(case).is_some();
    if said(&super::range::CHECK) || said(&super::nat::CHECK) {
        return None;
    }
    let (word, cause, severity) = match opener {
        Opener::User => (
            "passive-not-offered",
            "the server offers no passive data connections",
            case.grave(),
        ),
        Opener::Server => (
            "active-not-offered",
            "the server offers no active data connections",
            case.minor(),
        ),
    };
    Some(
        Finding::new(word, severity, WhoActs::ServerConfiguration, cause)
            .because_of(told(of_it))
            .cure(Remedy::say(
                WhoActs::ServerConfiguration,
                match opener {
                    Opener::User => "allow PASV and EPSV (vsftpd: pasv_enable=YES)",
                    Opener::Server => {
                        "where clients need it: allow PORT and EPRT (vsftpd: port_enable=YES)"
                    }
                },
            )),
    )
}

fn cannot_listen(case: Case<'_>) -> Option<Finding> {
    let (failed, why) = case
        .seen
        .probes
        .iter()
        .find_map(|it| match path_evidence(it) {
            Some(Evidence::CannotListen(why)) => Some((it, why)),
            _ => None,
        })?;
    Some(
        Finding::new(
            "cannot-listen",
            case.minor(),
            WhoActs::ClientConfiguration,
            format!("active data connections need a port to listen at here: {why}"),
        )
        .because_of(told([failed]))
        .cure(Remedy::say(
            WhoActs::ClientConfiguration,
            "choose another or a wider --port-range from 1024 on, or leave it out",
        )),
    )
}

/// vsftpd `522 SSL connection failed; session reuse required`, wharf `522 The data connection did not resume the TLS session`,
/// ProFTPD `425 Unable to build data connection: Operation not permitted`, which means it only where the session was not
/// resumed.
fn not_resumed(case: Case<'_>) -> Option<Finding> {
    let said = case.seen.probes.iter().find(|it| {
        it.listed.as_ref().is_some_and(|reply| {
            let text = String::from_utf8_lossy(reply.text().as_bytes()).to_lowercase();
            let says = text.contains("session reuse required") || text.contains("resum");
            says || it.resumed == Some(false) && matches!(reply.code(), 425 | 522)
        })
    })?;
    Some(
        Finding::new(
            "tls-session-not-resumed",
            case.grave(),
            WhoActs::ServerConfiguration,
            "the server wants the data connection's TLS session to be resumed from the control connection's",
        )
        .because_of(told([said]))
        .cure(Remedy::copy(
            WhoActs::ServerConfiguration,
            "or let the server do without (vsftpd, ProFTPD)",
            "require_ssl_reuse=NO\nTLSOptions NoSessionReuseRequired",
        )),
    )
}
