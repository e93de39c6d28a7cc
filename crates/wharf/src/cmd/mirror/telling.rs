//! What a mirror says: its plan on stdout, everything else on stderr, events for programs, a bar for people.

use std::future::Future;
use std::io::Write;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use wharf_client::mirror::{Action, Event as Seen, Observer, Outcome, Totals};
use wharf_proto::{Pathname, visible};
use wharf_storage::Error;

use crate::event::{self, Event};
use crate::exit::Exit;
use crate::output::{Output, human_bytes};
use crate::progress;

const TICK: Duration = Duration::from_millis(200);

/// Tells what is done, and collects what would be.
pub(crate) struct Teller {
    output: Output,
    /// The lines of the plan; a dry run only.
    plan: Mutex<Vec<(Pathname, String)>>,
    /// Nobody sees a bar: each file is told.
    each: bool,
}

impl Teller {
    pub(crate) fn new(output: &Output) -> Arc<Self> {
        Arc::new(Self {
            output: output.clone(),
            plan: Mutex::default(),
            each: !progress::wanted(output),
        })
    }

    /// Prints the plan, sorted by name.
    pub(crate) fn print_plan(&self) {
        let mut lines =
            std::mem::take(&mut *self.plan.lock().unwrap_or_else(PoisonError::into_inner));
        lines.sort();
        let mut stdout = std::io::stdout().lock();
        for (_, line) in lines {
            // Nobody who listens any more is no reason to stop.
            let _ = writeln!(stdout, "{line}");
        }
    }

    fn plan(&self, path: &Pathname, line: String) {
        let mut lines = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push((path.clone(), line));
    }

    fn step(&self, state: event::StepState, step: &Step<'_>) {
        self.output.event(&Event::MirrorStep {
            state,
            action: step.action,
            path: step.path.to_owned(),
            size: step.size,
            why: step.why,
        });
    }
}

/// What an action is, in words.
struct Step<'a> {
    action: event::StepAction,
    path: &'a str,
    size: Option<u64>,
    why: Option<&'static str>,
}

impl Observer for Teller {
    fn see(&self, event: &Seen<'_>) {
        use event::{StepAction, StepState};
        match event {
            Seen::Planned(action) => {
                let (path, line) = describe(action);
                self.plan(path, line);
                self.step(StepState::Planned, &step(action, &shown(path)));
            }
            Seen::PlannedRemoval(removal) => {
                let name = shown(&removal.path);
                let slash = if removal.is_dir { "/" } else { "" };
                self.plan(&removal.path, format!("delete  {name}{slash}"));
                self.step(StepState::Planned, &simple(StepAction::Delete, &name));
            }
            Seen::Copied {
                copy,
                bytes,
                resumed_at,
            } => {
                let path = shown(&copy.path);
                if self.each {
                    let from = match resumed_at {
                        0 => String::new(),
                        at => format!(", continued after {}", human_bytes(*at)),
                    };
                    self.output
                        .info(&format!("{path}: {}{from}", human_bytes(*bytes)));
                }
                let step = Step {
                    action: StepAction::Copy,
                    path: &path,
                    size: Some(copy.size),
                    why: Some(copy.why.word()),
                };
                self.step(StepState::Done, &step);
            }
            Seen::Done(action) => {
                let (path, line) = describe(action);
                if self.output.verbosity() > 0 {
                    self.output.info(&line);
                }
                self.step(StepState::Done, &step(action, &shown(path)));
            }
            Seen::Removed(removal) => {
                let name = shown(&removal.path);
                if self.each {
                    self.output.info(&format!("{name}: deleted"));
                }
                self.step(StepState::Done, &simple(StepAction::Delete, &name));
            }
            Seen::Refused(refused) => {
                let mut name = refused.directory.as_bytes().to_vec();
                if name.last() != Some(&b'/') {
                    name.push(b'/');
                }
                name.extend_from_slice(&refused.name);
                let name = visible(name.strip_prefix(b"/").unwrap_or(&name));
                self.output
                    .warning(&format!("{name} is not mirrored: {}", refused.why));
                let refused = Step {
                    why: Some(refused.why),
                    ..simple(StepAction::Copy, &name)
                };
                self.step(StepState::Refused, &refused);
            }
            Seen::Failed(failed) => {
                let path = shown(&failed.path);
                let why = reason(&failed.error);
                let message = format!("cannot {} {path}: {why}", failed.doing);
                let exit = exit_of(&failed.error);
                self.output
                    .failure(&crate::exit::Failure::new(exit, message));
            }
            Seen::Retried { path, error } => {
                let path = shown(path);
                self.output
                    .note(&format!("{path}: {}; trying again", reason(error)));
            }
            Seen::Changed { path } => {
                let path = shown(path);
                self.output.warning(&format!(
                    "{path} was changed while it was copied; copying it again"
                ));
            }
            Seen::Note(note) => self.output.warning(note),
            _ => {}
        }
    }
}

/// Below the top, fit for a terminal; `.` is the top.
fn shown(path: &Pathname) -> String {
    match path.as_bytes().strip_prefix(b"/") {
        Some(b"") | None => ".".to_owned(),
        Some(below) => visible(below),
    }
}

fn simple(action: event::StepAction, path: &str) -> Step<'_> {
    Step {
        action,
        path,
        size: None,
        why: None,
    }
}

fn step<'a>(action: &Action, path: &'a str) -> Step<'a> {
    use event::StepAction;
    match action {
        Action::Copy(copy) | Action::Compare(copy) => Step {
            action: StepAction::Copy,
            path,
            size: Some(copy.size),
            why: Some(copy.why.word()),
        },
        Action::MakeDir { .. } => simple(StepAction::MakeDir, path),
        Action::Link { .. } => simple(StepAction::Link, path),
        Action::SetMode { .. } => simple(StepAction::SetMode, path),
        Action::Discard { .. } => simple(StepAction::Discard, path),
    }
}

/// A line of the plan.
fn describe(action: &Action) -> (&Pathname, String) {
    match action {
        Action::Copy(copy) | Action::Compare(copy) => {
            let (why, size) = (copy.why.word(), copy.size);
            (
                &copy.path,
                format!("copy    {}  ({why}, {size} bytes)", shown(&copy.path)),
            )
        }
        Action::MakeDir { path, .. } => (path, format!("mkdir   {}/", shown(path))),
        Action::Link { path, target, .. } => (
            path,
            format!("link    {} -> {}", shown(path), visible(target)),
        ),
        Action::SetMode { path, mode } => (path, format!("chmod   {}  ({mode:03o})", shown(path))),
        Action::Discard { path } => (path, format!("discard {}", shown(path))),
    }
}

/// Why, with what the store knows beyond the kind.
pub(super) fn reason(error: &Error) -> String {
    let mut text = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        text = format!("{text} ({})", visible(source.to_string().as_bytes()));
    }
    text
}

/// The status for a store's refusal.
pub(super) fn exit_of(error: &Error) -> Exit {
    use wharf_storage::ErrorKind;
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        if let Some(client) = source.downcast_ref::<wharf_client::Error>() {
            return crate::session::failure(client).exit;
        }
        cause = source.source();
    }
    match error.kind() {
        ErrorKind::Busy => Exit::Busy,
        _ => Exit::LocalFile,
    }
}

/// The last line.
pub(crate) fn summary(outcome: &Outcome, dry: bool, began: Instant) -> String {
    let took = began.elapsed();
    let would = if dry { "would be " } else { "" };
    let mut parts = vec![format!(
        "{} {would}copied ({}), {} the same",
        files(outcome.copied),
        human_bytes(outcome.bytes),
        outcome.same
    )];
    for (count, what) in [
        (outcome.made, "directories made"),
        (outcome.links, "links made"),
        (outcome.adjusted, "adjusted"),
        (outcome.removed, "deleted"),
        (outcome.discarded, "remnants removed"),
        (outcome.spared, "not deleted"),
        (outcome.left_out, "left out"),
        (outcome.refused, "refused"),
        (outcome.failed, "failed"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    format!(
        "{} in {}.{} s",
        parts.join(", "),
        took.as_secs(),
        took.subsec_millis() / 100
    )
}

fn files(count: u64) -> String {
    match count {
        1 => "1 file".to_owned(),
        _ => format!("{count} files"),
    }
}

/// Does `work` and shows meanwhile how far it is: files, bytes, and how long it will take as far as is known.
pub(crate) async fn watched<F: Future>(output: &Output, totals: &Totals, work: F) -> F::Output {
    if !progress::wanted(output) {
        return work.await;
    }
    let bar = output.bars().add(ProgressBar::new(0));
    let style = ProgressStyle::with_template(
        "{prefix} {wide_bar} {bytes:>10}/{total_bytes} {bytes_per_sec:>12} {eta:>4}",
    );
    if let Ok(style) = style {
        bar.set_style(style);
    }
    let mut tick = tokio::time::interval(TICK);
    let mut work = pin!(work);
    let result = loop {
        tokio::select! {
            result = &mut work => break result,
            _ = tick.tick() => {
                // While directories are still read nobody knows the whole.
                let more = if totals.is_walking() { "+" } else { "" };
                bar.set_prefix(format!("{}/{}{more} files", totals.files_done(), totals.files()));
                bar.set_length(totals.bytes());
                bar.set_position(totals.bytes_done());
            }
        }
    };
    bar.finish_and_clear();
    output.bars().remove(&bar);
    result
}
