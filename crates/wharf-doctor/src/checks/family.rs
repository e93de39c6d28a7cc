//! The server has addresses of both families, and only one of them leads to it.

use super::{Case, Check};
use crate::finding::{Finding, Severity, WhoActs};

pub(super) const CHECK: Check = Check {
    words: &["family-unreachable"],
    judge,
};

fn judge(case: Case<'_>) -> Option<Finding> {
    let (ipv6, why) = case.facts.absent.first()?;
    let (missing, there) = if *ipv6 {
        ("IPv6", "IPv4")
    } else {
        ("IPv4", "IPv6")
    };
    Some(
        Finding::new(
            "family-unreachable",
            Severity::Note,
            WhoActs::Nobody,
            format!(
                "the server has an {missing} address that gives no session from here; {there} does"
            ),
        )
        .because(why.clone()),
    )
}
