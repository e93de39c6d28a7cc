//! What one job of a mirror does: it looks at a directory, or carries one action out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use wharf_proto::Pathname;
use wharf_storage::{Entry, Error, ErrorKind, Kind, ListOrder, Result, Storage, collect};

use super::account::{Event, Failed, Observer, Totals};
use super::apply::How;
use super::copy::{self, may_pass, pause};
use super::plan::{Action, DirectoryPlan, Enter, Removal, plan_directory};
use super::rules::{Links, Rules, Stores, Verdict, Why, judge};

/// Links are followed so many levels deep, whatever they say: a circle that no store can tell ends here.
const DEEPEST: usize = 64;

/// What all jobs share.
pub(super) struct Context {
    pub(super) source: Arc<dyn Storage>,
    pub(super) destination: Arc<dyn Storage>,
    pub(super) rules: Rules,
    pub(super) how: How,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) totals: Arc<Totals>,
    pub(super) times_refused: AtomicBool,
    pub(super) times_tried: AtomicBool,
    pub(super) modes_refused: AtomicBool,
}

/// A directory to be looked at.
pub(super) struct Visit {
    pub(super) enter: Enter,
    pub(super) make: Option<Action>,
    /// What the directories on the way are to their store, to see circles of links.
    pub(super) above: Vec<String>,
    /// A side that does not have it is no failure: there is nothing to do.
    pub(super) may_be_gone: bool,
}

pub(super) enum Finished {
    Visited(Visit, std::result::Result<DirectoryPlan, Failed>),
    Acted(Action, std::result::Result<Acted, Failed>),
}

pub(super) enum Acted {
    Copied(copy::Copied),
    /// The bytes were the same; whether something else was changed.
    Same(bool),
    Done,
}

impl Context {
    /// Makes the directory where it is missing, lists both sides, and plans.
    pub(super) async fn visit(self: Arc<Self>, mut visit: Visit) -> Finished {
        let planned = self.plan(&mut visit).await;
        Finished::Visited(visit, planned)
    }

    async fn plan(&self, visit: &mut Visit) -> std::result::Result<DirectoryPlan, Failed> {
        let path = visit.enter.path.clone();
        let failed = |doing| {
            let path = path.clone();
            move |error| Failed { path, doing, error }
        };
        if let Some(make) = &visit.make {
            self.make_dir(make).await.map_err(failed("make"))?;
        }
        let Enter {
            at_source,
            at_destination,
            ..
        } = visit.enter;
        let follow = self.rules.links == Links::Follow;
        if follow && at_source {
            let circle = path.components().count() > DEEPEST
                || self.is_circle(&path, &mut visit.above).await;
            if circle {
                let error = Error::with_source(ErrorKind::NameNotAllowed, "links lead in a circle");
                return Err(failed("follow")(error));
            }
        }
        let side = async |store: &dyn Storage, has: bool| -> Result<Option<Vec<Entry>>> {
            if !has {
                return Ok(None);
            }
            self.listed(store, &path, follow).await.map(Some)
        };
        let here = side(&*self.source, at_source);
        let there = side(&*self.destination, at_destination);
        let (here, there) = tokio::join!(here, there);
        let missing = [&here, &there]
            .into_iter()
            .any(|side| matches!(side, Err(error) if error.kind() == ErrorKind::NotFound));
        if missing && visit.may_be_gone {
            return Ok(DirectoryPlan::default());
        }
        let here = here.map_err(failed("list"))?;
        let there = there.map_err(failed("list the destination's"))?;
        let mut plan = self.planned(visit, here.as_deref(), there.as_deref());
        if let Some(there) = &there
            && self.learns_about_times(&plan, there).await
        {
            plan = self.planned(visit, here.as_deref(), Some(there));
        }
        Ok(plan)
    }

    fn planned(
        &self,
        visit: &Visit,
        here: Option<&[Entry]>,
        there: Option<&[Entry]>,
    ) -> DirectoryPlan {
        let stores = Stores {
            source_precision: &|time| self.source.time_precision(time),
            destination_precision: &|time| self.destination.time_precision(time),
            keeps_times: self.keeps_times(),
            case_blind: self.how.case_blind,
            foreign_names: self.how.foreign_names,
        };
        plan_directory(&visit.enter, here, there, &self.rules, &stores)
    }

    /// A file would be copied because the destination's time is later: perhaps that store cannot keep times, so that it would
    /// be copied every time. It is asked to set the time that the file has. Whether something was learned.
    async fn learns_about_times(&self, plan: &DirectoryPlan, there: &[Entry]) -> bool {
        if self.how.dry_run || !self.rules.times || !self.keeps_times() {
            return false;
        }
        let older = plan.actions.iter().find_map(|action| match action {
            Action::Copy(copy) if copy.why == Why::Older => Some(&copy.path),
            _ => None,
        });
        let Some(path) = older else {
            return false;
        };
        if self.times_tried.swap(true, Ordering::Relaxed) {
            return false;
        }
        let entry = there
            .iter()
            .find(|entry| Some(entry.name.as_slice()) == path.file_name());
        let exact = match entry {
            Some(entry)
                if self.destination.time_precision(entry.metadata.modified)
                    <= Duration::from_secs(1) =>
            {
                entry.metadata.modified
            }
            _ => match self.destination.metadata(path).await {
                Ok(facts) => facts.modified,
                Err(_) => return false,
            },
        };
        self.set_time(path, exact).await;
        !self.keeps_times()
    }

    async fn listed(
        &self,
        store: &dyn Storage,
        path: &Pathname,
        follow: bool,
    ) -> Result<Vec<Entry>> {
        let mut attempt = 1;
        let mut entries = loop {
            let listed = async { collect(store.list(path, ListOrder::Unsorted).await?).await };
            match listed.await {
                Ok(entries) => break entries,
                Err(error) if may_pass(error.kind()) && attempt < self.how.attempts => {
                    self.observer.see(&Event::Retried {
                        path,
                        error: &error,
                    });
                    pause(self.how.first_pause, attempt).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        };
        if follow {
            for entry in &mut entries {
                if entry.metadata.kind == Kind::Symlink
                    && let Ok(link) = path.child(&entry.name)
                    && let Ok(goal) = store.metadata(&link).await
                {
                    entry.metadata = goal;
                }
            }
        }
        Ok(entries)
    }

    /// Whether this directory is one of those above it; it is noted.
    async fn is_circle(&self, path: &Pathname, above: &mut Vec<String>) -> bool {
        let Ok(facts) = self.source.metadata(path).await else {
            return false;
        };
        let Some(unique) = facts.unique else {
            return false;
        };
        if above.contains(&unique) {
            return true;
        }
        above.push(unique);
        false
    }

    async fn make_dir(&self, make: &Action) -> Result<()> {
        let Action::MakeDir { path, replaces, .. } = make else {
            return Ok(());
        };
        if self.how.dry_run {
            self.observer.see(&Event::Planned(make));
            return Ok(());
        }
        if let Some(kind) = replaces {
            self.make_room(path, *kind).await?;
        }
        let made = self.again(path, || self.destination.create_dir(path)).await;
        match made {
            // Made by an attempt whose answer was lost, or by somebody else.
            Err(error) if error.kind() == ErrorKind::Exists => {
                if !self.destination.metadata(path).await?.is_dir() {
                    return Err(error);
                }
            }
            made => made?,
        }
        self.observer.see(&Event::Done(make));
        Ok(())
    }

    pub(super) async fn act(self: Arc<Self>, action: Action) -> Finished {
        let acted = self.acted(&action).await;
        Finished::Acted(action, acted)
    }

    async fn acted(&self, action: &Action) -> std::result::Result<Acted, Failed> {
        let failed = |path: &Pathname, doing| {
            let path = path.clone();
            move |error| Failed { path, doing, error }
        };
        if let Action::Copy(copy) = action
            && copy.uncertain
            && self.is_same_by_exact_times(&copy.path).await
        {
            return Ok(Acted::Same(false));
        }
        if let Action::Compare(copy) = action {
            let path = &copy.path;
            let same = self.again(path, || copy::same_content(self, path));
            if same.await.map_err(failed(path, "compare"))? {
                if copy.time_differs && !self.how.dry_run {
                    self.set_time(path, copy.modified).await;
                }
                return Ok(Acted::Same(copy.time_differs));
            }
            self.totals.found(copy);
        }
        if self.how.dry_run {
            self.observer.see(&Event::Planned(action));
            return Ok(match action {
                Action::Copy(copy) | Action::Compare(copy) => Acted::Copied(copy::Copied {
                    bytes: copy.size,
                    resumed_at: 0,
                    changed: 0,
                }),
                _ => Acted::Done,
            });
        }
        match action {
            Action::Copy(wanted) => copy::copy(self, (**wanted).clone())
                .await
                .map(Acted::Copied),
            Action::Compare(wanted) => {
                let copied = copy::copy(self, (**wanted).clone()).await;
                self.totals.through();
                copied.map(Acted::Copied)
            }
            Action::Link {
                path,
                target,
                replaces,
            } => {
                if let Some(kind) = replaces {
                    self.make_room(path, *kind)
                        .await
                        .map_err(failed(path, "replace"))?;
                }
                let made = self.destination.create_link(path, target).await;
                made.map_err(failed(path, "link")).map(|()| Acted::Done)
            }
            Action::SetMode { path, mode } => {
                self.set_mode(path, *mode).await;
                Ok(Acted::Done)
            }
            Action::Discard { path } => {
                let removed = match self.destination.remove_file(path).await {
                    Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                    removed => removed,
                };
                removed
                    .map_err(failed(path, "remove the remnant"))
                    .map(|()| Acted::Done)
            }
            Action::MakeDir { path, .. } => self
                .make_dir(action)
                .await
                .map_err(failed(path, "make"))
                .map(|()| Acted::Done),
        }
    }

    /// Only the times differ, and a listing told one of them roughly, or in a zone that nobody knows: both are asked for.
    async fn is_same_by_exact_times(&self, path: &Pathname) -> bool {
        let (Ok(here), Ok(there)) =
            tokio::join!(self.source.metadata(path), self.destination.metadata(path))
        else {
            return false;
        };
        let stores = Stores {
            keeps_times: self.keeps_times(),
            ..Stores::EXACT
        };
        here.is_file()
            && there.is_file()
            && judge(&here, &there, &self.rules, &stores) == Verdict::Same
    }

    /// Does something that may fail because a connection broke.
    async fn again<T, F: Future<Output = Result<T>>>(
        &self,
        path: &Pathname,
        work: impl Fn() -> F,
    ) -> Result<T> {
        let mut attempt = 1;
        loop {
            match work().await {
                Err(error) if may_pass(error.kind()) && attempt < self.how.attempts => {
                    self.observer.see(&Event::Retried {
                        path,
                        error: &error,
                    });
                    pause(self.how.first_pause, attempt).await;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    pub(super) async fn remove_one(&self, removal: &Removal) -> Result<()> {
        if self.how.dry_run {
            self.observer.see(&Event::PlannedRemoval(removal));
            return Ok(());
        }
        let path = &removal.path;
        let removed = self
            .again(path, || async {
                if removal.is_dir {
                    self.destination.remove_dir(path).await
                } else {
                    self.destination.remove_file(path).await
                }
            })
            .await;
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => {
                self.observer.see(&Event::Removed(removal));
                Ok(())
            }
        }
    }

    /// Removes what stands where something else has to come; of a directory everything, unless the filter protects some of it.
    pub(super) async fn make_room(&self, path: &Pathname, kind: Kind) -> Result<()> {
        if kind != Kind::Directory {
            let is_dir = false;
            let path = path.clone();
            return self.remove_one(&Removal { path, is_dir }).await;
        }
        let mut ways = vec![(path.clone(), false)];
        while let Some((path, emptied)) = ways.pop() {
            if emptied {
                self.remove_one(&Removal { path, is_dir: true }).await?;
                continue;
            }
            let entries = self.listed(&*self.destination, &path, false).await?;
            ways.push((path.clone(), true));
            for entry in entries {
                let child = path
                    .child(&entry.name)
                    .map_err(|error| Error::with_source(ErrorKind::NameNotAllowed, error))?;
                let is_dir = entry.metadata.is_dir();
                if self.rules.filter.leaves_out(&child, is_dir) && !self.rules.delete_excluded {
                    let why = "something in the directory is excluded, so it stays";
                    return Err(Error::with_source(ErrorKind::NotEmpty, why));
                }
                if is_dir {
                    ways.push((child, false));
                } else {
                    self.remove_one(&Removal {
                        path: child,
                        is_dir,
                    })
                    .await?;
                }
            }
        }
        Ok(())
    }

    fn keeps_times(&self) -> bool {
        self.destination.keeps_times() && !self.times_refused.load(Ordering::Relaxed)
    }

    /// Sets a time where the store can; that it cannot is told once.
    pub(super) async fn set_time(&self, path: &Pathname, to: SystemTime) {
        if !self.keeps_times() {
            return;
        }
        let Err(error) = self.destination.set_modified(path, to).await else {
            return;
        };
        tracing::debug!(%error, ?path, "no time is kept");
        if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Denied)
            && !self.times_refused.swap(true, Ordering::Relaxed)
        {
            self.observer.see(&Event::Note(
                "the destination does not keep times: a file counts as unchanged while it is not older there",
            ));
        }
    }

    /// Sets permission bits where the store can; that it cannot is told once.
    pub(super) async fn set_mode(&self, path: &Pathname, mode: u32) {
        if self.how.dry_run || self.modes_refused.load(Ordering::Relaxed) {
            return;
        }
        let Err(error) = self.destination.set_mode(path, mode).await else {
            return;
        };
        tracing::debug!(%error, ?path, "no permissions are set");
        if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Denied)
            && !self.modes_refused.swap(true, Ordering::Relaxed)
            && self.rules.permissions
        {
            let note = "the destination does not let permissions be set";
            self.observer.see(&Event::Note(note));
        }
    }
}
