//! The files and directories of the memory store: names to nodes, without anything asynchronous.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::SystemTime;

use wharf_proto::Pathname;

use crate::{Entry, ErrorKind, Kind, Metadata, Result};

/// As on Linux.
const LINKS: usize = 40;

#[derive(Clone)]
pub(super) enum Content {
    File(Arc<Vec<u8>>),
    Directory,
    Link(Vec<u8>),
}

#[derive(Clone)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) modified: SystemTime,
    pub(super) mode: u32,
    id: u64,
}

/// All nodes, by their absolute normal pathname. Links are nodes; a key never leads through one.
pub(super) struct Tree {
    nodes: BTreeMap<Vec<u8>, Node>,
    last_id: u64,
    /// Bytes in files, in uploads on their way and in partial data.
    pub(super) used: u64,
    pub(super) partial: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Names for which an upload is on its way that would leave partial data, or that were made up for one.
    pub(super) uploading: BTreeSet<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LastLink {
    Follow,
    Keep,
}

impl Tree {
    pub(super) fn new(now: SystemTime) -> Self {
        let mut tree = Self {
            nodes: BTreeMap::new(),
            last_id: 0,
            used: 0,
            partial: BTreeMap::new(),
            uploading: BTreeSet::new(),
        };
        tree.put(b"/".to_vec(), Content::Directory, now);
        tree
    }

    /// The key for a pathname. All of it but the last component must exist.
    pub(super) fn key(&self, path: &Pathname, last: LastLink) -> Result<Vec<u8>> {
        let path = path.normalize();
        let mut way: VecDeque<Vec<u8>> = path.components().map(<[u8]>::to_vec).collect();
        let mut here = b"/".to_vec();
        let mut links = 0;
        while let Some(name) = way.pop_front() {
            match name.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    here = parent_key(&here).to_vec();
                    continue;
                }
                _ => {}
            }
            let next = child_key(&here, &name);
            match self.nodes.get(&next).map(|node| &node.content) {
                Some(Content::Link(goal)) if !way.is_empty() || last == LastLink::Follow => {
                    links += 1;
                    if links > LINKS {
                        return Err(ErrorKind::NameNotAllowed.into());
                    }
                    if goal.starts_with(b"/") {
                        here = b"/".to_vec();
                    }
                    for name in goal.split(|&byte| byte == b'/').rev() {
                        way.push_front(name.to_vec());
                    }
                }
                Some(Content::File(_)) if !way.is_empty() => {
                    return Err(ErrorKind::NotDirectory.into());
                }
                None if !way.is_empty() => return Err(ErrorKind::NotFound.into()),
                _ => here = next,
            }
        }
        Ok(here)
    }

    pub(super) fn node(&self, key: &[u8]) -> Option<&Node> {
        self.nodes.get(key)
    }

    pub(super) fn node_mut(&mut self, key: &[u8]) -> Option<&mut Node> {
        self.nodes.get_mut(key)
    }

    /// Puts a node there; what was there is gone. A file keeps the mode and identity of the one it replaces.
    pub(super) fn put(&mut self, key: Vec<u8>, content: Content, now: SystemTime) {
        self.last_id += 1;
        let (mode, id) = match (&content, self.nodes.get(&key)) {
            (Content::File(_), Some(old)) => (old.mode, self.last_id),
            (Content::File(_), None) => (0o644, self.last_id),
            (Content::Directory, _) => (0o755, self.last_id),
            (Content::Link(_), _) => (0o777, self.last_id),
        };
        self.used += size(&content);
        let node = Node {
            content,
            modified: now,
            mode,
            id,
        };
        let replaced = self.nodes.insert(key.clone(), node);
        self.used -= replaced.map_or(0, |old| size(&old.content));
        self.touch_parent(&key, now);
    }

    pub(super) fn remove(&mut self, key: &[u8], now: SystemTime) {
        if let Some(node) = self.nodes.remove(key) {
            self.used -= size(&node.content);
        }
        self.touch_parent(key, now);
    }

    /// Moves a node and everything below it.
    pub(super) fn rename(&mut self, from: &[u8], to: &[u8], now: SystemTime) {
        self.remove(to, now);
        let mut moved = Vec::new();
        self.nodes.retain(|key, node| {
            let below = key
                .strip_prefix(from)
                .filter(|rest| rest.is_empty() || rest.starts_with(b"/"));
            if let Some(rest) = below {
                moved.push(([to, rest].concat(), node.clone()));
            }
            below.is_none()
        });
        self.nodes.extend(moved);
        self.touch_parent(from, now);
        self.touch_parent(to, now);
    }

    fn touch_parent(&mut self, key: &[u8], now: SystemTime) {
        if let Some(parent) = self.nodes.get_mut(parent_key(key)) {
            parent.modified = now;
        }
    }

    /// The names directly below, sorted.
    pub(super) fn entries(&self, key: &[u8]) -> Vec<Entry> {
        let first = child_key(key, b"");
        self.nodes
            .range(first.clone()..)
            .map_while(|(key, node)| Some((key.strip_prefix(first.as_slice())?, node)))
            .filter(|(name, _)| !name.is_empty() && !name.contains(&b'/'))
            .map(|(name, node)| Entry {
                name: name.to_vec(),
                metadata: node.metadata(),
                link_target: match &node.content {
                    Content::Link(goal) => Some(goal.clone()),
                    _ => None,
                },
            })
            .collect()
    }

    pub(super) fn is_empty_dir(&self, key: &[u8]) -> bool {
        let first = child_key(key, b"");
        !self
            .nodes
            .range(first.clone()..)
            .find(|(found, _)| **found != first)
            .is_some_and(|(found, _)| found.starts_with(&first))
    }

    /// Whether a directory is there to put a name into.
    pub(super) fn check_parent(&self, key: &[u8]) -> Result<()> {
        match self.nodes.get(parent_key(key)).map(|node| &node.content) {
            Some(Content::Directory) => Ok(()),
            Some(_) => Err(ErrorKind::NotDirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }
}

impl Node {
    pub(super) fn metadata(&self) -> Metadata {
        Metadata {
            kind: match self.content {
                Content::File(_) => Kind::File,
                Content::Directory => Kind::Directory,
                Content::Link(_) => Kind::Symlink,
            },
            size: size(&self.content),
            modified: self.modified,
            mode: Some(self.mode),
            uid: None,
            gid: None,
            links: 1,
            unique: Some(format!("{:x}", self.id)),
        }
    }
}

fn size(content: &Content) -> u64 {
    match content {
        Content::File(data) => data.len() as u64,
        Content::Directory | Content::Link(_) => 0,
    }
}

pub(super) fn parent_key(key: &[u8]) -> &[u8] {
    match key.iter().rposition(|&byte| byte == b'/') {
        Some(0) | None => b"/",
        Some(at) => key.get(..at).unwrap_or(b"/"),
    }
}

pub(super) fn child_key(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir == b"/" {
        [b"/", name].concat()
    } else {
        [dir, b"/", name].concat()
    }
}
