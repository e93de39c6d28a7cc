//! The server allows few control connections.

use super::{Case, Check};
use crate::finding::{Finding, Severity, WhoActs};

pub(super) const CHECK: Check = Check {
    words: &["few-sessions"],
    judge,
};

fn judge(case: Case<'_>) -> Option<Finding> {
    let said = case.seen.refused_session.as_ref()?;
    Some(
        Finding::new(
            "few-sessions",
            Severity::Note,
            WhoActs::Nobody,
            "the server allows this user or address few control connections at once: ways were tried one after the other",
        )
        .because(said.clone()),
    )
}
