//! Attempts at a file: what failed and may pass is tried again, after a wait, and told.

use std::future::Future;
use std::time::Duration;

use wharf_client::{Error, Repeat, RetryPlan, RetryPolicy, Target};

use crate::args::transfer::{Retries, TransferArgs};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::session::{Sessions, failure};

/// What the command line says about attempts.
pub(crate) fn policy(args: &TransferArgs) -> RetryPolicy {
    let default = RetryPolicy::default();
    RetryPolicy {
        most: match args.retry {
            None => default.most,
            Some(Retries::Times(most)) => Some(most),
            Some(Retries::Forever) => None,
        },
        delay: args.retry_delay.unwrap_or(default.delay),
        ..default
    }
}

/// The attempts at one file.
#[derive(Debug)]
pub(crate) struct Attempts {
    plan: RetryPlan,
    /// Also when there never was a session: somebody has asked for it.
    patient: bool,
    output: Output,
}

impl Attempts {
    pub(crate) fn new(args: &TransferArgs, output: &Output) -> Self {
        Self {
            plan: RetryPlan::new(policy(args)),
            patient: args.retry.is_some(),
            output: output.clone(),
        }
    }

    /// One attempt, and that is all.
    pub(crate) fn single(output: &Output) -> Self {
        Self {
            plan: RetryPlan::new(RetryPolicy::NEVER),
            patient: false,
            output: output.clone(),
        }
    }

    /// After a failure, with so many bytes there: waits and says `true`, or says `false` at once.
    pub(crate) async fn again(&mut self, name: &str, error: &Error, reached: u64) -> bool {
        let Some(wait) = self.plan.after(Repeat::of(error), reached, None) else {
            return false;
        };
        self.tell(name, &failure(error), wait);
        tokio::time::sleep(wait).await;
        true
    }

    /// A session for this address, however long it takes.
    pub(crate) async fn connect(
        &mut self,
        sessions: &mut Sessions,
        target: &Target,
    ) -> Result<(), Failure> {
        loop {
            let Err(failed) = sessions.client(target).await else {
                return Ok(());
            };
            let may_pass = matches!(failed.exit, Exit::Unreachable | Exit::Timeout | Exit::Busy);
            if !may_pass || !(self.patient || sessions.was_open(target)) {
                return Err(failed);
            }
            let Some(wait) = self.plan.after(Repeat::Often, 0, None) else {
                return Err(failed);
            };
            self.tell(&target.to_string(), &failed, wait);
            tokio::time::sleep(wait).await;
            sessions.knock_again(target);
        }
    }

    fn tell(&self, name: &str, failed: &Failure, wait: Duration) {
        let of = match self.plan.most() {
            Some(most) => format!(" of {}", u64::from(most) + 1),
            None => String::new(),
        };
        self.output.note(&format!(
            "{name}: {}; trying again in {} s (attempt {}{of})",
            failed.message,
            wait.as_secs_f32(),
            self.plan.attempt(),
        ));
    }
}

/// Does `work`, within the time that the whole job may take.
pub(crate) async fn within(
    args: &TransferArgs,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let Some(most) = args.max_time else {
        return work.await;
    };
    match tokio::time::timeout(most, work).await {
        Ok(result) => result,
        Err(_) => Err(Failure::new(
            Exit::Timeout,
            format!("not done within {} s", most.as_secs_f32()),
        )
        .with_hint(
            "what has come is kept, -c goes on from there; --max-time says how long it may take",
        )),
    }
}
