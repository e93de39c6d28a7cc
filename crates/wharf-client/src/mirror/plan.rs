//! From what two stores list of one directory to what has to be done there. Pure: nothing here touches a store.
//!
//! A mirror is planned directory by directory, so that a large tree never stands in memory as a whole. Whoever carries the
//! plan out does, for each directory: its actions in their order (copies among them may run beside each other), then
//! [`DirectoryPlan::enter`]. [`DirectoryPlan::remove`] is for the end, or for the beginning.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use wharf_proto::Pathname;
use wharf_storage::{Entry, Kind, Metadata};

use super::names;
use super::part::{is_part, part_name};
use super::rules::{Compare, Delete, Links, Only, Rules, Stores, Times, Verdict, Why};
use super::rules::{compare_times, judge};

/// Something to be done at the destination. Pathnames are absolute, with the top of both trees as their root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The directory is made.
    MakeDir {
        /// Which.
        path: Pathname,
        /// Its permission bits, where they are to be kept.
        mode: Option<u32>,
        /// What stands in its place and goes first.
        replaces: Option<Kind>,
    },
    /// The file is copied.
    Copy(Box<Copy>),
    /// The bytes are compared, and copied if they differ.
    Compare(Box<Copy>),
    /// A symbolic link is made.
    Link {
        /// Which.
        path: Pathname,
        /// What it holds.
        target: Vec<u8>,
        /// What stands in its place and goes first.
        replaces: Option<Kind>,
    },
    /// The permission bits are set.
    SetMode {
        /// Of which file or directory.
        path: Pathname,
        /// To these.
        mode: u32,
    },
    /// A remnant of an earlier run is removed.
    Discard {
        /// Which.
        path: Pathname,
    },
}

/// A file that is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Its name in both trees.
    pub path: Pathname,
    /// The temporary name that it is written under.
    pub part: Pathname,
    /// How many bytes an earlier run has left under that name.
    pub have: u64,
    /// Length in bytes.
    pub size: u64,
    /// Time of its last change.
    pub modified: SystemTime,
    /// Permission bits for the copy: the source's, or those of the file that it replaces.
    pub mode: Option<u32>,
    /// Why.
    pub why: Why,
    /// What stands in its place and goes first; a plain file or link is replaced by the renaming itself.
    pub replaces: Option<Kind>,
    /// Only the time differs, if the bytes agree.
    pub time_differs: bool,
    /// Only the times differ, and one of them is known roughly: a better one may say that nothing differs.
    pub uncertain: bool,
}

/// Something that only the destination has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Removal {
    /// Which.
    pub path: Pathname,
    /// An empty directory, when its turn has come; a file or link otherwise.
    pub is_dir: bool,
}

/// A directory that comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enter {
    /// Which.
    pub path: Pathname,
    /// Whether the source has it.
    pub at_source: bool,
    /// Whether the destination has it.
    pub at_destination: bool,
    /// Everything in it goes, whatever the filter says.
    pub unfiltered: bool,
}

impl Enter {
    /// The top of both trees.
    pub fn top(at_destination: bool) -> Self {
        Self {
            path: Pathname::root(),
            at_source: true,
            at_destination,
            unfiltered: false,
        }
    }
}

/// A name that is not mirrored, though it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The directory.
    pub directory: Pathname,
    /// The name as it came; not fit for a terminal.
    pub name: Vec<u8>,
    /// Why.
    pub why: &'static str,
}

/// What one directory comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryPlan {
    /// What is done now, in this order.
    pub actions: Vec<Action>,
    /// The directories in it.
    pub enter: Vec<Enter>,
    /// What only the destination has, if the rules delete at all.
    pub remove: Vec<Removal>,
    /// What the source has and is not taken.
    pub refused: Vec<Refused>,
    /// Files that are the same already.
    pub same: u64,
    /// Links, devices and the like that are left out.
    pub left_out: u64,
    /// Something that the destination alone has stays here, so that the directory stays.
    pub keeps: bool,
}

/// Plans one directory. `source` and `destination` are everything that is listed there, each name once; `None` where the
/// store has no such directory. With [`Links::Follow`] whoever lists has put in place of each link what it leads to.
pub fn plan_directory(
    here: &Enter,
    source: Option<&[Entry]>,
    destination: Option<&[Entry]>,
    rules: &Rules,
    stores: &Stores<'_>,
) -> DirectoryPlan {
    let mut planner = Planner {
        here,
        rules,
        stores,
        parts: BTreeMap::new(),
        plan: DirectoryPlan::default(),
    };
    let mut names: BTreeMap<&[u8], (Option<&Entry>, Option<&Entry>)> = BTreeMap::new();
    for entry in source.unwrap_or_default() {
        names.entry(&entry.name).or_default().0 = Some(entry);
    }
    for entry in destination.unwrap_or_default() {
        if is_part(&entry.name) && entry.metadata.kind == Kind::File {
            planner.parts.insert(&entry.name, entry.metadata.size);
        } else {
            names.entry(&entry.name).or_default().1 = Some(entry);
        }
    }
    let mut lower_case = BTreeSet::new();
    for (name, (source, destination)) in names {
        if let Some(source) = source {
            let why = if stores.case_blind && !lower_case.insert(folded(name)) {
                Some("the destination takes it for another name of this directory")
            } else {
                names::objection(name, stores.foreign_names, rules.any_names)
            };
            let path = match why {
                None => planner
                    .here
                    .path
                    .child(name)
                    .map_err(|_| "the pathname is too long"),
                Some(why) => Err(why),
            };
            match path {
                Ok(path) => planner.both(path, source, destination),
                Err(why) => planner.refuse(name, why),
            }
        } else if let Some(destination) = destination {
            planner.extraneous(destination);
        }
    }
    planner.finish()
}

struct Planner<'a> {
    here: &'a Enter,
    rules: &'a Rules,
    stores: &'a Stores<'a>,
    /// Remnants of earlier runs at the destination, with their lengths.
    parts: BTreeMap<&'a [u8], u64>,
    plan: DirectoryPlan,
}

impl Planner<'_> {
    /// Something that the source has, and perhaps the destination, too.
    fn both(&mut self, path: Pathname, source: &Entry, destination: Option<&Entry>) {
        let facts = &source.metadata;
        if is_part(&source.name) {
            // Of a mirror that has its destination there.
            self.plan.left_out += 1;
            return;
        }
        if self.rules.filter.leaves_out(&path, facts.is_dir()) {
            match destination {
                Some(there) if self.rules.delete_excluded => self.remove(path, there, true),
                Some(_) => self.plan.keeps = true,
                None => {}
            }
            return;
        }
        match facts.kind {
            Kind::Directory => self.directory(path, facts, destination),
            Kind::File if !self.rules.wants(facts) => self.plan.left_out += 1,
            Kind::File => self.file(path, &source.name, facts, destination),
            Kind::Symlink if self.rules.links == Links::Keep => {
                self.link(path, source, destination);
            }
            Kind::Symlink if self.rules.links == Links::Follow => {
                self.refuse(&source.name, "the link leads nowhere, or out of the tree");
            }
            Kind::Symlink | Kind::Other => self.plan.left_out += 1,
        }
    }

    fn directory(&mut self, path: Pathname, facts: &Metadata, destination: Option<&Entry>) {
        let depth = path.components().count();
        if self.rules.max_depth.is_some_and(|max| depth > max) {
            self.plan.left_out += 1;
            return;
        }
        let there = destination.map(|there| &there.metadata);
        let mode = facts.mode.filter(|_| self.rules.permissions);
        let at_destination = there.is_some_and(Metadata::is_dir);
        if at_destination {
            if let (Some(mode), Some(now)) = (mode, there.and_then(|there| there.mode))
                && (mode ^ now) & 0o777 != 0
            {
                let (path, mode) = (path.clone(), mode & 0o777);
                self.plan.actions.push(Action::SetMode { path, mode });
            }
        } else {
            if self.rules.only == Only::Existing {
                return;
            }
            let replaces = there.map(|there| there.kind);
            if replaces.is_some() && self.rules.delete == Delete::Never {
                self.refuse_path(
                    &path,
                    "a file stands where the directory should; --delete replaces it",
                );
                return;
            }
            let mode = mode.map(|mode| mode & 0o777);
            self.plan.actions.push(Action::MakeDir {
                path: path.clone(),
                mode,
                replaces,
            });
        }
        self.plan.enter.push(Enter {
            path,
            at_source: true,
            at_destination,
            unfiltered: false,
        });
    }

    fn file(&mut self, path: Pathname, name: &[u8], facts: &Metadata, destination: Option<&Entry>) {
        let there = destination.map(|there| &there.metadata);
        let mut ask = false;
        let mut time_differs = false;
        let why = match there {
            None if self.rules.only == Only::Existing => return,
            None => Why::New,
            Some(there) if there.kind != Kind::File => {
                if self.rules.only == Only::Missing {
                    return;
                }
                if there.is_dir() && self.rules.delete == Delete::Never {
                    self.refuse_path(
                        &path,
                        "a directory stands where the file should; --delete replaces it",
                    );
                    return;
                }
                Why::Kind
            }
            Some(there) => match judge(facts, there, self.rules, self.stores) {
                Verdict::Same => {
                    self.plan.same += 1;
                    self.permissions(path, facts, there);
                    return;
                }
                Verdict::Differs(why) => why,
                Verdict::AskContent => {
                    ask = true;
                    let times = compare_times(facts, there, self.rules, self.stores);
                    time_differs = matches!(times, Times::SourceNewer | Times::SourceOlder);
                    Why::Content
                }
            },
        };
        let part = part_name(name, facts.size, facts.modified);
        let Ok(part_path) = self.here.path.child(&part) else {
            self.refuse(name, "the pathname is too long");
            return;
        };
        let have = self.parts.remove(part.as_slice()).unwrap_or(0);
        let mode = if self.rules.permissions {
            facts.mode
        } else {
            // The copy takes the place of another file, and nobody asked for other permissions.
            there
                .filter(|there| there.kind == Kind::File)
                .and_then(|there| there.mode)
        };
        let copy = Box::new(Copy {
            path,
            part: part_path,
            have,
            size: facts.size,
            modified: facts.modified,
            mode: mode.map(|mode| mode & 0o777),
            why,
            replaces: there
                .map(|there| there.kind)
                .filter(|kind| *kind != Kind::File),
            time_differs: time_differs && self.rules.times,
            uncertain: matches!(why, Why::Newer | Why::Older)
                && there.is_some_and(|there| self.is_rough(facts, there)),
        });
        debug_assert!(!ask || self.rules.compare == Compare::Content);
        self.plan.actions.push(if ask {
            Action::Compare(copy)
        } else {
            Action::Copy(copy)
        });
    }

    /// Whether one of the times is not known to the second.
    fn is_rough(&self, source: &Metadata, destination: &Metadata) -> bool {
        let exact = Duration::from_secs(1);
        (self.stores.source_precision)(source.modified) > exact
            || (self.stores.destination_precision)(destination.modified) > exact
    }

    /// The files are the same; their permissions may not be.
    fn permissions(&mut self, path: Pathname, source: &Metadata, destination: &Metadata) {
        if let (true, Some(mode), Some(now)) =
            (self.rules.permissions, source.mode, destination.mode)
            && (mode ^ now) & 0o777 != 0
        {
            let mode = mode & 0o777;
            self.plan.actions.push(Action::SetMode { path, mode });
        }
    }

    fn link(&mut self, path: Pathname, source: &Entry, destination: Option<&Entry>) {
        let Some(target) = &source.link_target else {
            self.refuse(
                &source.name,
                "the server does not tell where the link leads",
            );
            return;
        };
        if !names::stays_inside(&path, target) {
            self.refuse(&source.name, "the link leads out of the tree");
            return;
        }
        if let Some(there) = destination {
            if there.metadata.kind == Kind::Symlink && there.link_target.as_ref() == Some(target) {
                self.plan.same += 1;
                return;
            }
            if there.metadata.is_dir() && self.rules.delete == Delete::Never {
                self.refuse(
                    &source.name,
                    "a directory stands where the link should; --delete replaces it",
                );
                return;
            }
        }
        self.plan.actions.push(Action::Link {
            path,
            target: target.clone(),
            replaces: destination.map(|there| there.metadata.kind),
        });
    }

    /// Something that only the destination has.
    fn extraneous(&mut self, there: &Entry) {
        if self.rules.delete == Delete::Never {
            self.plan.keeps = true;
            return;
        }
        let Ok(path) = self.here.path.child(&there.name) else {
            self.refuse(
                &there.name,
                "it cannot be deleted: no command can hold its name",
            );
            return;
        };
        let is_dir = there.metadata.is_dir();
        let excluded = !self.here.unfiltered && self.rules.filter.leaves_out(&path, is_dir);
        if excluded && !self.rules.delete_excluded {
            self.plan.keeps = true;
            return;
        }
        self.remove(path, there, excluded || self.here.unfiltered);
    }

    fn remove(&mut self, path: Pathname, there: &Entry, unfiltered: bool) {
        if self.rules.delete == Delete::Never {
            self.plan.keeps = true;
            return;
        }
        let is_dir = there.metadata.is_dir();
        if is_dir {
            self.plan.enter.push(Enter {
                path: path.clone(),
                at_source: false,
                at_destination: true,
                unfiltered,
            });
        }
        self.plan.remove.push(Removal { path, is_dir });
    }

    fn refuse_path(&mut self, path: &Pathname, why: &'static str) {
        let name = path.file_name().unwrap_or_default().to_vec();
        self.refuse(&name, why);
    }

    fn refuse(&mut self, name: &[u8], why: &'static str) {
        self.plan.keeps = true;
        self.plan.refused.push(Refused {
            directory: self.here.path.clone(),
            name: name.to_vec(),
            why,
        });
    }

    /// What is left of earlier runs and is of no use goes first.
    fn finish(mut self) -> DirectoryPlan {
        let discarded = self.parts.keys();
        let discarded = discarded.filter_map(|part| self.here.path.child(part).ok());
        let mut actions: Vec<Action> = discarded.map(|path| Action::Discard { path }).collect();
        actions.append(&mut self.plan.actions);
        self.plan.actions = actions;
        self.plan
    }
}

/// A name as a file system without cases has it, near enough.
fn folded(name: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(name) {
        Ok(text) => text.to_lowercase().into_bytes(),
        Err(_) => name.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests;
