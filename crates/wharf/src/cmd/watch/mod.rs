//! `wharf watch`: a mirror that follows what the system tells about the directory.

mod notices;

use std::sync::Arc;
use std::time::{Duration, Instant};

use wharf_client::mirror::{How, Mirror, Outcome, Rules};

use self::notices::{Changes, Notices};
use crate::args::watch::WatchArgs;
use crate::cmd::mirror::sides::{Make, Operand, Side, check_apart};
use crate::cmd::mirror::telling::{Teller, summary, watched};
use crate::cmd::mirror::{connector, is_case_blind, rules};
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::session::Connector;

/// Changes are carried over after so many times the settling time, even if they never stop.
const PATIENCE: u32 = 20;

/// The pause after something failed; it doubles.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

pub(crate) async fn run(args: WatchArgs, output: &Output) -> Result<(), Failure> {
    let mut interrupt = Interrupt::new()?;
    let source = Operand::Directory(args.directory.clone());
    let destination = Operand::read(&args.destination)?;
    check_apart(&source, &destination)?;
    let mut watch = Watch {
        rules: rules(&args.how)?,
        connector: connector(&args.client, &args.how, output)?,
        source,
        destination,
        output: output.clone(),
        open: None,
        args,
    };
    // Dropping the work is what aborts it; the next run continues what it was at.
    let result = tokio::select! {
        failed = watch.keep() => failed,
        _ = interrupt.wait() => Ok(()),
    };
    let _ = output.bars().clear();
    watch.close().await;
    result
}

struct Watch {
    args: WatchArgs,
    rules: Rules,
    connector: Connector,
    source: Operand,
    destination: Operand,
    output: Output,
    open: Option<(Side, Side)>,
}

impl Watch {
    /// Never ends by itself, unless there is nothing to be watched or the first login is refused.
    async fn keep(&mut self) -> Result<(), Failure> {
        let directory = &self.args.directory;
        let mut notices = Notices::of(directory).map_err(|error| self.unwatched(&error))?;
        let mut first = true;
        let mut pause = SHORTEST_PAUSE;
        let mut todo = Changes {
            lost: true,
            ..Changes::default()
        };
        loop {
            match self.mirror(&todo).await {
                Ok(outcome) if outcome.failed == 0 => {
                    if first {
                        let shown = self.source.shown();
                        self.output
                            .note(&format!("watching {shown}; Ctrl-C ends it"));
                        first = false;
                    }
                    pause = SHORTEST_PAUSE;
                    todo = self.settled(&mut notices).await?;
                }
                // What is wrong with the address or the login does not pass.
                Err(failure) if first && !may_pass(failure.exit) => return Err(failure),
                failed => {
                    if let Err(failure) = failed {
                        self.output.failure(&failure);
                        // The sessions may be dead; the next attempt logs in anew.
                        self.close().await;
                    }
                    let seconds = pause.as_secs();
                    self.output.note(&format!("trying again in {seconds} s"));
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    todo.lost = true;
                }
            }
        }
    }

    /// Waits for changes, and for a moment without any.
    async fn settled(&self, notices: &mut Notices) -> Result<Changes, Failure> {
        let failed = |error| self.unwatched(&error);
        let mut changes = notices.next().await.map_err(failed)?;
        let latest = tokio::time::Instant::now() + self.args.settle * PATIENCE;
        loop {
            tokio::select! {
                more = notices.next() => changes.add(more.map_err(failed)?),
                () = tokio::time::sleep(self.args.settle) => return Ok(changes),
                () = tokio::time::sleep_until(latest) => return Ok(changes),
            }
        }
    }

    async fn mirror(&mut self, changes: &Changes) -> Result<Outcome, Failure> {
        let began = Instant::now();
        let jobs = self.args.how.jobs;
        if self.open.is_none() {
            let from = self
                .source
                .open(Make::No, jobs, &self.connector, &self.output)
                .await?;
            let to = self
                .destination
                .open(Make::Yes, jobs, &self.connector, &self.output)
                .await?;
            self.open = Some((from, to));
        }
        let Some((from, to)) = &self.open else {
            return Err(Failure::new(Exit::Software, "the stores vanished"));
        };
        let how = How {
            jobs,
            max_delete: self.args.how.max_delete,
            attempts: self.args.how.attempts(),
            first_pause: self.args.how.retry_delay,
            case_blind: !self.destination.is_server() && is_case_blind(&*to.store).await,
            ..How::default()
        };
        let (a, b) = (Arc::clone(&from.store), Arc::clone(&to.store));
        let mirror = Mirror::new(a, b, self.rules.clone(), how, Teller::new(&self.output));
        let totals = mirror.totals();
        let outcome = if changes.lost {
            watched(&self.output, &totals, mirror.run(true)).await
        } else {
            let directories = changes.directories.iter().cloned();
            watched(&self.output, &totals, mirror.run_in(directories)).await
        };
        to.tell(&self.output);
        let outcome =
            outcome.map_err(|failed| crate::cmd::mirror::top_failed(&failed, &self.source))?;
        if changes.lost || outcome.differences() > 0 {
            self.output.info(&summary(&outcome, false, began));
            self.output.event(&crate::cmd::mirror::ended(&outcome));
        }
        Ok(outcome)
    }

    async fn close(&mut self) {
        if let Some((from, to)) = self.open.take() {
            from.close(&self.output).await;
            to.close(&self.output).await;
        }
    }

    fn unwatched(&self, error: &std::io::Error) -> Failure {
        let message = format!("cannot watch {}: {error}", self.source.shown());
        let failure = Failure::new(Exit::LocalFile, message);
        if error.raw_os_error() == Some(rustix::io::Errno::NOSPC.raw_os_error()) {
            failure.with_hint("the limit of watches is reached: sysctl fs.inotify.max_user_watches")
        } else {
            failure
        }
    }
}

/// Whether another attempt may go better.
fn may_pass(exit: Exit) -> bool {
    matches!(
        exit,
        Exit::Unreachable | Exit::Timeout | Exit::Busy | Exit::DataConnection
    )
}
