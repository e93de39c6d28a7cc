//! Plans are carried out here on trees that are maps, so that nothing but the plan is tested.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;
use crate::mirror::Filter;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    File { size: u64, time: u64, mode: u32 },
    Dir { mode: u32 },
    Link(Vec<u8>),
}

/// Pathnames to nodes; what is in a directory comes behind it.
type Tree = BTreeMap<Pathname, Node>;

fn entry(path: &Pathname, node: &Node) -> Entry {
    let (kind, size, time, mode, link_target) = match node {
        Node::File { size, time, mode } => (Kind::File, *size, *time, *mode, None),
        Node::Dir { mode } => (Kind::Directory, 0, 7, *mode, None),
        Node::Link(target) => (Kind::Symlink, 0, 7, 0o777, Some(target.clone())),
    };
    Entry {
        name: path.file_name().unwrap().to_vec(),
        metadata: Metadata {
            kind,
            size,
            modified: UNIX_EPOCH + Duration::from_secs(time),
            mode: Some(mode),
            uid: None,
            gid: None,
            links: 1,
            unique: None,
        },
        link_target,
    }
}

fn listed(tree: &Tree, dir: &Pathname) -> Vec<Entry> {
    let inside = tree
        .iter()
        .filter(|(path, _)| path.parent().as_ref() == Some(dir));
    inside.map(|(path, node)| entry(path, node)).collect()
}

fn drop_all(tree: &mut Tree, path: &Pathname) {
    let mut below = path.as_bytes().to_vec();
    below.push(b'/');
    tree.retain(|name, _| name != path && !name.as_bytes().starts_with(&below));
}

/// Carries everything out, and says how much there was.
fn mirror(source: &Tree, destination: &mut Tree, rules: &Rules) -> usize {
    let mut done = 0;
    let mut todo = vec![Enter::top(true)];
    let mut removals = Vec::new();
    while let Some(here) = todo.pop() {
        let from = here.at_source.then(|| listed(source, &here.path));
        let to = here.at_destination.then(|| listed(destination, &here.path));
        let plan = plan_directory(&here, from.as_deref(), to.as_deref(), rules, &Stores::EXACT);
        assert!(plan.refused.is_empty(), "{plan:?}");
        done += plan.actions.len() + plan.remove.len();
        removals.extend(plan.remove);
        todo.extend(plan.enter);
        for action in plan.actions {
            match action {
                Action::MakeDir { path, mode, .. } => {
                    drop_all(destination, &path);
                    destination.insert(
                        path,
                        Node::Dir {
                            mode: mode.unwrap_or(0o755),
                        },
                    );
                }
                Action::Copy(copy) | Action::Compare(copy) => {
                    drop_all(destination, &copy.path);
                    let time = copy.modified.duration_since(UNIX_EPOCH).unwrap().as_secs();
                    let mode = copy.mode.unwrap_or(0o644);
                    let Copy { size, path, .. } = *copy;
                    destination.insert(path, Node::File { size, time, mode });
                }
                Action::Link { path, target, .. } => {
                    drop_all(destination, &path);
                    destination.insert(path, Node::Link(target));
                }
                Action::SetMode { path, mode: to } => match destination.get_mut(&path) {
                    Some(Node::File { mode, .. } | Node::Dir { mode }) => *mode = to,
                    other => panic!("permissions of {other:?}"),
                },
                Action::Discard { path } => assert!(destination.remove(&path).is_some()),
            }
        }
    }
    removals.sort_by(|one, other| other.cmp(one));
    for removal in removals {
        let empty = listed(destination, &removal.path).is_empty();
        assert!(empty, "{removal:?} is not empty");
        assert!(destination.remove(&removal.path).is_some(), "{removal:?}");
    }
    done
}

fn node() -> impl Strategy<Value = Node> {
    prop_oneof![
        (0_u64..3, 1_u64..9, prop_oneof![Just(0o644), Just(0o600)]).prop_map(
            |(size, time, mode)| Node::File {
                size,
                time: time * 10,
                mode
            }
        ),
        prop_oneof![Just(0o755), Just(0o700)].prop_map(|mode| Node::Dir { mode }),
        Just(Node::Link(b"a".to_vec())),
    ]
}

/// A tree in which every parent is a directory; three names, so that trees have much in common.
fn tree() -> impl Strategy<Value = Tree> {
    let name = prop_oneof![
        Just("a".to_owned()),
        Just("b [*]?".to_owned()),
        Just(" c".to_owned()),
        Just("a.0123456789abcdef.wharf-part".to_owned()),
    ];
    let path = prop::collection::vec(name, 1..4);
    prop::collection::vec((path, node()), 0..14).prop_map(|nodes| {
        let mut tree = Tree::new();
        for (names, node) in nodes {
            let mut path = Pathname::root();
            let mut open = true;
            for name in &names[..names.len() - 1] {
                path = path.child(name.as_bytes()).unwrap();
                let parent = tree
                    .entry(path.clone())
                    .or_insert(Node::Dir { mode: 0o755 });
                if !matches!(parent, Node::Dir { .. }) {
                    open = false;
                    break;
                }
            }
            if open {
                path = path.child(names[names.len() - 1].as_bytes()).unwrap();
                tree.entry(path).or_insert(node);
            }
        }
        tree
    })
}

fn without_parts(tree: Tree) -> Tree {
    let mut tree = tree;
    let parts: Vec<_> = tree
        .keys()
        .filter(|path| is_part(path.file_name().unwrap()))
        .cloned()
        .collect();
    for part in parts {
        drop_all(&mut tree, &part);
    }
    tree
}

proptest! {
    #[test]
    fn a_plan_makes_the_trees_equal_and_the_next_one_is_empty(source in tree(), destination in tree()) {
        let rules = Rules {
            delete: Delete::After,
            links: Links::Keep,
            permissions: true,
            ..Rules::default()
        };
        let source = without_parts(source);
        let mut destination = destination;
        mirror(&source, &mut destination, &rules);
        prop_assert_eq!(&destination, &source);
        prop_assert_eq!(mirror(&source, &mut destination, &rules), 0);
    }

    #[test]
    fn without_delete_nothing_is_lost(source in tree(), destination in tree()) {
        // Files only in files' places, so that nothing is refused.
        let files = |tree: Tree| -> Tree {
            let tree = without_parts(tree).into_iter();
            tree.filter(|(path, node)| path.components().count() == 1 && matches!(node, Node::File { .. })).collect()
        };
        let (source, mut destination) = (files(source), files(destination));
        let before = destination.clone();
        mirror(&source, &mut destination, &Rules::default());
        for (path, node) in &before {
            prop_assert!(source.contains_key(path) || destination.get(path) == Some(node));
        }
        for path in source.keys() {
            prop_assert!(destination.contains_key(path));
        }
        prop_assert_eq!(mirror(&source, &mut destination, &Rules::default()), 0);
    }

    #[test]
    fn what_is_excluded_is_neither_brought_nor_deleted(source in tree(), destination in tree()) {
        let mut filter = Filter::new();
        filter.exclude("b*").unwrap();
        let rules = Rules { filter, delete: Delete::After, links: Links::Keep, ..Rules::default() };
        let (source, destination) = (without_parts(source), without_parts(destination));
        let mut now = destination.clone();
        let mut todo = vec![Enter::top(true)];
        // Conflicts of kind with something excluded in them are judged by whoever removes: not part of a plan.
        while let Some(here) = todo.pop() {
            let from = here.at_source.then(|| listed(&source, &here.path));
            let to = here.at_destination.then(|| listed(&now, &here.path));
            let plan = plan_directory(&here, from.as_deref(), to.as_deref(), &rules, &Stores::EXACT);
            let excluded = |path: &Pathname| path.components().any(|name| name.starts_with(b"b"));
            for action in &plan.actions {
                let path = match action {
                    Action::Copy(copy) | Action::Compare(copy) => &copy.path,
                    Action::MakeDir { path, .. } | Action::Link { path, .. }
                    | Action::SetMode { path, .. } | Action::Discard { path } => path,
                };
                prop_assert!(!excluded(path));
            }
            for removal in &plan.remove {
                prop_assert!(!excluded(&removal.path));
            }
            let stays = to.iter().flatten().any(|entry| entry.name.starts_with(b"b"));
            prop_assert!(plan.keeps || !stays);
            todo.extend(plan.enter);
            now.retain(|path, _| !plan.remove.iter().any(|gone| gone.path == *path && !gone.is_dir));
        }
    }
}

fn file(name: &str, size: u64, time: u64) -> Entry {
    let path = Pathname::root().child(name.as_bytes()).unwrap();
    entry(
        &path,
        &Node::File {
            size,
            time,
            mode: 0o644,
        },
    )
}

fn planned(
    source: &[Entry],
    destination: &[Entry],
    rules: &Rules,
    stores: &Stores<'_>,
) -> DirectoryPlan {
    plan_directory(
        &Enter::top(true),
        Some(source),
        Some(destination),
        rules,
        stores,
    )
}

fn copied(plan: &DirectoryPlan) -> Vec<String> {
    let copies = plan.actions.iter().filter_map(|action| match action {
        Action::Copy(copy) => Some(copy.path.display().to_string()),
        _ => None,
    });
    copies.collect()
}

#[test]
fn names_of_servers_are_refused_and_told() {
    let hostile = ["ok", "tab\there", "back\\slash"].map(|name| file(name, 1, 1));
    let mut entries = hostile.to_vec();
    for name in [&b".."[..], b"a/b", b"line\nbreak"] {
        let mut entry = file("x", 1, 1);
        entry.name = name.to_vec();
        entries.push(entry);
    }
    let stores = Stores {
        foreign_names: true,
        ..Stores::EXACT
    };
    let plan = planned(&entries, &[], &Rules::default(), &stores);
    assert_eq!(copied(&plan), ["/ok"]);
    assert_eq!(plan.refused.len(), 5);
    let any = Rules {
        any_names: true,
        ..Rules::default()
    };
    assert_eq!(planned(&entries, &[], &any, &stores).refused.len(), 3);
}

#[test]
fn one_of_two_names_that_differ_in_case_is_refused() {
    let entries = ["Read.me", "READ.ME", "ä", "Ä"].map(|name| file(name, 1, 1));
    let stores = Stores {
        case_blind: true,
        ..Stores::EXACT
    };
    let plan = planned(&entries, &[], &Rules::default(), &stores);
    assert_eq!(copied(&plan), ["/READ.ME", "/Ä"]);
    assert_eq!(plan.refused.len(), 2);
}

#[test]
fn an_earlier_run_is_continued_only_with_the_same_version() {
    let source = [file("a", 9, 50)];
    let part = |size, time| {
        String::from_utf8(part_name(
            b"a",
            size,
            UNIX_EPOCH + Duration::from_secs(time),
        ))
        .unwrap()
    };
    for (left, have) in [(part(9, 50), 4), (part(9, 51), 0), (part(8, 50), 0)] {
        let plan = planned(
            &source,
            &[file(&left, 4, 60)],
            &Rules::default(),
            &Stores::EXACT,
        );
        let copy = plan.actions.iter().find_map(|action| match action {
            Action::Copy(copy) => Some(copy),
            _ => None,
        });
        assert_eq!(copy.map(|copy| copy.have), Some(have), "{left}");
        let discards = plan
            .actions
            .iter()
            .filter(|action| matches!(action, Action::Discard { .. }));
        assert_eq!(discards.count(), usize::from(have == 0));
    }
}

#[test]
fn depth_size_and_age_are_limits_for_both_sides() {
    let dir = |name: &str| {
        let path = Pathname::root().child(name.as_bytes()).unwrap();
        entry(&path, &Node::Dir { mode: 0o755 })
    };
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    let rules = Rules {
        min_size: Some(2),
        max_size: Some(4),
        newer_than: Some(at(10)),
        older_than: Some(at(20)),
        max_depth: Some(0),
        delete: Delete::After,
        ..Rules::default()
    };
    let source = [
        dir("d"),
        file("fits", 3, 15),
        file("long", 5, 15),
        file("new", 3, 21),
        file("old", 3, 9),
        file("short", 1, 15),
    ];
    let there = [dir("d"), file("long", 1, 1), file("gone", 3, 15)];
    let plan = planned(&source, &there, &rules, &Stores::EXACT);
    assert_eq!(copied(&plan), ["/fits"]);
    assert_eq!(plan.left_out, 5);
    let gone: Vec<_> = plan.remove.iter().map(|it| it.path.clone()).collect();
    assert_eq!(gone, [Pathname::new("/gone").unwrap()]);
}
