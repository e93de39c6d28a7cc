//! A control connection that was left silent for a while.

use super::{Case, Check};
use crate::finding::{Finding, Remedy, Severity, WhoActs};

pub(super) const CHECK: Check = Check {
    words: &["idle-forgotten"],
    judge,
};

fn judge(case: Case<'_>) -> Option<Finding> {
    let (time, outcome) = case.seen.idle.as_ref()?;
    let why = outcome.as_ref().err()?;
    Some(
        Finding::new(
            "idle-forgotten",
            Severity::Weak,
            WhoActs::ClientNat,
            "a control connection that is silent for a while does not live on: long transfers end without their final reply",
        )
        .because(format!("after {} s of silence: {why}", time.as_secs()))
        .or(WhoActs::ServerNat)
        .or(WhoActs::ServerConfiguration)
        .cure(Remedy::say(
            WhoActs::ClientNat,
            "a longer time for established connections; wharf's client and server keep theirs alive by TCP keepalive",
        )),
    )
}
