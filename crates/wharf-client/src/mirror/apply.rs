//! Carries plans out between any two stores, with several jobs at a time.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::task::JoinSet;
use wharf_proto::Pathname;
use wharf_storage::{Result, Storage};

use super::account::{Event, Failed, Observer, Outcome, Totals};
use super::job::{Acted, Context, Finished, Visit};
use super::plan::{Action, DirectoryPlan, Enter, Removal};
use super::rules::{Delete, Rules};

/// So many actions may wait before no further directory is looked at.
const AHEAD: usize = 4096;

/// How a mirror is carried out.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// Files that are copied, and directories that are listed, at the same time.
    pub jobs: NonZeroUsize,
    /// Nothing is changed; the plan is told.
    pub dry_run: bool,
    /// When more would be deleted, nothing is.
    pub max_delete: Option<u64>,
    /// How often a file or a listing is tried while the connection breaks.
    pub attempts: u32,
    /// The pause after the first failure; it doubles.
    pub first_pause: Duration,
    /// The destination takes `A` and `a` for one name.
    pub case_blind: bool,
    /// The source may mean harm, and the destination is this machine.
    pub foreign_names: bool,
}

impl Default for How {
    fn default() -> Self {
        Self {
            jobs: NonZeroUsize::MIN,
            dry_run: false,
            max_delete: None,
            attempts: 5,
            first_pause: Duration::from_millis(500),
            case_blind: false,
            foreign_names: false,
        }
    }
}

/// A mirror: a source, a destination, and what is to be done.
pub struct Mirror {
    context: Arc<Context>,
}

/// What a walk leaves to be done.
#[derive(Default)]
struct Left {
    removals: Vec<Removal>,
    /// Directories in which something stays.
    kept: HashSet<Pathname>,
    modes: Vec<(Pathname, u32)>,
    /// A directory could not be listed.
    incomplete: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Only what is to be deleted is looked for, and nothing is told.
    Removals,
    Everything,
}

/// Which of the directories in a directory are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    All,
    /// Those that only one side has.
    Changed,
}

impl Mirror {
    /// A mirror of `source` to `destination`. The destination writes under the names that it is given (not under
    /// temporary ones of its own): [`Uploads::Direct`](wharf_storage::Uploads::Direct).
    pub fn new(
        source: Arc<dyn Storage>,
        destination: Arc<dyn Storage>,
        rules: Rules,
        how: How,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let context = Context {
            source,
            destination,
            rules,
            how,
            observer,
            totals: Arc::default(),
            times_refused: AtomicBool::new(false),
            times_tried: AtomicBool::new(false),
            modes_refused: AtomicBool::new(false),
        };
        Self {
            context: Arc::new(context),
        }
    }

    /// How far it is, to be looked at while it runs.
    pub fn totals(&self) -> Arc<Totals> {
        Arc::clone(&self.context.totals)
    }

    /// Makes the destination like the source. `destination_exists`: whether its top is there already, which matters to a dry
    /// run only; otherwise it must be. Dropping the future ends all transfers at once; the next run continues them.
    ///
    /// # Errors
    /// The top of the source cannot be listed. Everything else is told to the observer and counted.
    pub async fn run(&self, destination_exists: bool) -> std::result::Result<Outcome, Failed> {
        let mut outcome = Outcome::default();
        let top = Enter::top(destination_exists);
        self.run_from(top, Depth::All, &mut outcome).await?;
        Ok(outcome)
    }

    /// The same for these directories alone, one after the other: what is in them, and directories in them that one side does
    /// not have. For whoever knows where something has changed; one that a side does not have is passed over, since
    /// the directory that it is in has changed, too.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_in(
        &self,
        directories: impl IntoIterator<Item = Pathname>,
    ) -> std::result::Result<Outcome, Failed> {
        let mut outcome = Outcome::default();
        for path in directories {
            let enter = Enter {
                path,
                ..Enter::top(true)
            };
            self.run_from(enter, Depth::Changed, &mut outcome).await?;
        }
        Ok(outcome)
    }

    async fn run_from(
        &self,
        top: Enter,
        depth: Depth,
        outcome: &mut Outcome,
    ) -> std::result::Result<(), Failed> {
        let context = &self.context;
        if context.rules.delete == Delete::Before {
            let pass = (Pass::Removals, depth);
            let left = self
                .walk(pass, top.clone(), &mut Outcome::default())
                .await?;
            self.remove(left, outcome).await;
        }
        let left = self.walk((Pass::Everything, depth), top, outcome).await?;
        let modes = left.modes.clone();
        if context.rules.delete == Delete::After {
            self.remove(left, outcome).await;
        }
        // Last, and from below: a directory that must not be written to cannot be filled.
        for (path, mode) in modes.iter().rev() {
            context.set_mode(path, *mode).await;
        }
        Ok(())
    }

    async fn walk(
        &self,
        (pass, depth): (Pass, Depth),
        top: Enter,
        outcome: &mut Outcome,
    ) -> std::result::Result<Left, Failed> {
        let context = &self.context;
        let jobs = context.how.jobs.get();
        let mut left = Left::default();
        let mut visits = vec![Visit {
            enter: top,
            make: None,
            above: Vec::new(),
            may_be_gone: depth == Depth::Changed,
        }];
        context.totals.enter(1);
        let mut actions: VecDeque<Action> = VecDeque::new();
        let mut running: JoinSet<Finished> = JoinSet::new();
        let mut looking = 0;
        loop {
            while running.len() < jobs {
                let may_look = actions.is_empty() || (actions.len() < AHEAD && looking * 4 < jobs);
                let context = Arc::clone(context);
                if may_look && let Some(visit) = visits.pop() {
                    looking += 1;
                    running.spawn(async move { context.visit(visit).await });
                } else if let Some(action) = actions.pop_front() {
                    running.spawn(async move { context.act(action).await });
                } else {
                    break;
                }
            }
            let Some(finished) = running.join_next().await else {
                return Ok(left);
            };
            match finished {
                Ok(Finished::Visited(visit, plan)) => {
                    looking -= 1;
                    context.totals.entered();
                    if visit.make.is_some() && pass == Pass::Everything && plan.is_ok() {
                        outcome.made += 1;
                    }
                    match plan {
                        Ok(plan) => self.planned(
                            (pass, depth),
                            &visit,
                            plan,
                            outcome,
                            &mut left,
                            &mut visits,
                            &mut actions,
                        ),
                        Err(failed) if visit.enter.path.is_root() => return Err(failed),
                        Err(failed) => {
                            left.incomplete = true;
                            if pass == Pass::Everything {
                                self.failed(&failed, outcome);
                            }
                        }
                    }
                }
                Ok(Finished::Acted(action, acted)) => self.acted(&action, acted, outcome),
                Err(stopped) => match stopped.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => left.incomplete = true,
                },
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the state of a walk")]
    fn planned(
        &self,
        (pass, depth): (Pass, Depth),
        visit: &Visit,
        plan: DirectoryPlan,
        outcome: &mut Outcome,
        left: &mut Left,
        visits: &mut Vec<Visit>,
        actions: &mut VecDeque<Action>,
    ) {
        let context = &self.context;
        let deletes_now = match pass {
            Pass::Removals => true,
            Pass::Everything => context.rules.delete == Delete::After,
        };
        if deletes_now {
            left.removals.extend(plan.remove);
            if plan.keeps {
                let mut path = Some(visit.enter.path.clone());
                while let Some(kept) = path {
                    path = kept.parent();
                    if !left.kept.insert(kept) {
                        break;
                    }
                }
            }
        }
        let mut makes = BTreeMap::new();
        if pass == Pass::Everything {
            outcome.same += plan.same;
            outcome.left_out += plan.left_out;
            for refused in &plan.refused {
                outcome.refused += 1;
                context.observer.see(&Event::Refused(refused));
            }
            for action in plan.actions {
                match action {
                    Action::MakeDir { ref path, mode, .. } => {
                        left.modes.extend(mode.map(|mode| (path.clone(), mode)));
                        makes.insert(path.clone(), action);
                    }
                    Action::SetMode { ref path, mode }
                        if plan.enter.iter().any(|enter| enter.path == *path)
                            && !context.how.dry_run =>
                    {
                        left.modes.push((path.clone(), mode));
                        outcome.adjusted += 1;
                    }
                    Action::Copy(ref copy) => {
                        context.totals.found(copy);
                        actions.push_back(action);
                    }
                    other => actions.push_back(other),
                }
            }
        }
        // What goes as a whole was looked at in the first pass. What only the source has is looked at there, too: when a
        // part of the source cannot be listed, nothing is deleted.
        let enter = plan.enter.into_iter().rev();
        let enter = enter.filter(|enter| enter.at_source || deletes_now);
        let enter =
            enter.filter(|enter| depth == Depth::All || !(enter.at_source && enter.at_destination));
        let before = visits.len();
        for enter in enter {
            visits.push(Visit {
                make: makes.remove(&enter.path),
                above: visit.above.clone(),
                may_be_gone: false,
                enter,
            });
        }
        context.totals.enter(visits.len() - before);
    }

    fn acted(
        &self,
        action: &Action,
        acted: std::result::Result<Acted, Failed>,
        outcome: &mut Outcome,
    ) {
        if let Action::Copy(_) = action {
            self.context.totals.through();
        }
        let dry = self.context.how.dry_run;
        match acted {
            Err(failed) => return self.failed(&failed, outcome),
            Ok(Acted::Same(adjusted)) => {
                outcome.same += 1;
                outcome.adjusted += u64::from(adjusted);
                return;
            }
            Ok(Acted::Copied(copied)) => {
                outcome.copied += 1;
                outcome.bytes += copied.bytes;
                outcome.changed += copied.changed;
                if let (Action::Copy(copy) | Action::Compare(copy), false) = (action, dry) {
                    let copied = Event::Copied {
                        copy,
                        bytes: copied.bytes,
                        resumed_at: copied.resumed_at,
                    };
                    self.context.observer.see(&copied);
                }
                return;
            }
            Ok(Acted::Done) => {}
        }
        match action {
            Action::Link { .. } => outcome.links += 1,
            Action::SetMode { .. } => outcome.adjusted += 1,
            Action::Discard { .. } => outcome.discarded += 1,
            // Counted where they are done.
            Action::Copy(_) | Action::Compare(_) | Action::MakeDir { .. } => {}
        }
        if !dry {
            self.context.observer.see(&Event::Done(action));
        }
    }

    fn failed(&self, failed: &Failed, outcome: &mut Outcome) {
        outcome.failed += 1;
        self.context.observer.see(&Event::Failed(failed));
    }

    /// Deletes what was found extraneous, files first, then directories from below.
    async fn remove(&self, left: Left, outcome: &mut Outcome) {
        let context = &self.context;
        let mut removals = left.removals;
        removals.retain(|removal| !(removal.is_dir && left.kept.contains(&removal.path)));
        let count = removals.len() as u64;
        if count == 0 {
            return;
        }
        let spared = if left.incomplete {
            Some("nothing is deleted: a directory could not be listed, so nobody knows what is extraneous".to_owned())
        } else {
            let most = context.how.max_delete.filter(|most| count > *most);
            most.map(|most| {
                format!("nothing is deleted: {count} would be, which is more than {most}")
            })
        };
        if let Some(note) = spared {
            outcome.spared += count;
            context.observer.see(&Event::Note(&note));
            return;
        }
        removals.sort_by(|one, other| (one.is_dir, &other.path).cmp(&(other.is_dir, &one.path)));
        let (files, directories): (Vec<_>, Vec<_>) =
            removals.into_iter().partition(|it| !it.is_dir);
        let mut files = files.into_iter();
        let mut running: JoinSet<(Removal, Result<()>)> = JoinSet::new();
        loop {
            while running.len() < context.how.jobs.get()
                && let Some(file) = files.next()
            {
                let context = Arc::clone(context);
                running.spawn(async move {
                    let removed = context.remove_one(&file).await;
                    (file, removed)
                });
            }
            match running.join_next().await {
                None => break,
                Some(Ok((file, removed))) => self.removed(&file, removed, outcome),
                Some(Err(_)) => {}
            }
        }
        // In reverse order of names, what is in a directory comes before it.
        for directory in directories {
            let removed = context.remove_one(&directory).await;
            self.removed(&directory, removed, outcome);
        }
    }

    fn removed(&self, removal: &Removal, removed: Result<()>, outcome: &mut Outcome) {
        match removed {
            Ok(()) => outcome.removed += 1,
            Err(error) => {
                let failed = Failed {
                    path: removal.path.clone(),
                    doing: "delete",
                    error,
                };
                self.failed(&failed, outcome);
            }
        }
    }
}
