//! The 227 names an address that is not the server's: a private one leaks through a NAT, or an old one is announced.

use wharf_proto::data_connection::advertise::is_private;
use wharf_proto::data_connection::canonical;
use wharf_proto::data_connection::path::Path;

use super::{Case, Check, told};
use crate::finding::{Finding, Remedy, Severity, WhoActs};

pub(super) const CHECK: Check = Check {
    words: &["address-private", "address-wrong", "address-other"],
    judge,
};

fn judge(case: Case<'_>) -> Option<Finding> {
    let seen = case.seen;
    let named = canonical(seen.other_address_told()?.ip());
    let leads = seen.works(Path::PASV_AS_REPLIED);
    let followed = told(seen.on(Path::PASV_AS_REPLIED));
    if leads {
        // Several addresses of one server, or data on another host: nothing wrong.
        return Some(
            Finding::new(
                "address-other",
                Severity::Note,
                WhoActs::Nobody,
                format!("the server names {named} in its 227, another address than it was reached at, and it leads to it"),
            )
            .because_of(followed),
        );
    }
    let server = seen.server();
    let (word, cause) = if named.is_unspecified() {
        (
            "address-wrong",
            "the server names 0.0.0.0 in its 227 (vsftpd with listen_ipv6 and pasv_address does): many clients cannot use it".to_owned(),
        )
    } else if is_private(named) && !is_private(server) {
        (
            "address-private",
            format!(
                "the server stands behind a NAT and names its private address {named} in its 227: clients that follow it fail"
            ),
        )
    } else {
        (
            "address-wrong",
            format!(
                "the server names {named} in its 227, and nothing answers there: clients that follow it fail"
            ),
        )
    };
    Some(
        Finding::new(word, Severity::Weak, WhoActs::ServerConfiguration, cause)
            .because(format!("control connection to {server}, 227 names {named}"))
            .because_of(followed)
            .cure(Remedy::copy(
                WhoActs::ServerConfiguration,
                format!("tell {} its public address", seen.software.program.name()),
                &seen.software.program.advertise(server),
            )),
    )
}
