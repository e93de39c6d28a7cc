//! `wharf du`: how much is in a tree on the server.

use serde_json::json;
use wharf_client::{EntryKind, Target};
use wharf_proto::visible;

use crate::args::DuArgs;
use crate::exit::Failure;
use crate::listing::{Lines, Reader};
use crate::output::Output;
use crate::session::{self, Connector, Sessions};
use crate::walk::{DEEPEST, Walk};

/// What is in one directory and, once summed up, below it.
#[derive(Debug, Default)]
struct Sum {
    relative: Vec<u8>,
    depth: usize,
    bytes: u64,
    files: u64,
    directories: u64,
    /// Files of which the server told no size.
    unknown: u64,
}

pub(crate) async fn run(args: DuArgs, output: &Output) -> Result<(), Failure> {
    let targets = session::targets(&args.urls)?;
    let mut connector = Connector::new(&args.client, output)?;
    connector.options_mut().list_hidden = true;
    let mut sessions = Sessions::new(connector);
    for target in &targets {
        let result = one(&mut sessions, target, &args, output).await;
        sessions.settle(result);
    }
    sessions.finish().await
}

async fn one(
    sessions: &mut Sessions,
    target: &Target,
    args: &DuArgs,
    output: &Output,
) -> Result<(), Failure> {
    let mut walk = Walk::new(target, DEEPEST);
    let mut sums = Vec::new();
    let mut failed = None;
    loop {
        let client = sessions.client(target).await?;
        let Some((directory, entries)) = walk.next(client, target, true).await? else {
            break;
        };
        let mut sum = Sum {
            relative: directory.relative,
            depth: directory.depth,
            ..Sum::default()
        };
        for entry in &entries {
            match entry.kind {
                EntryKind::Directory => sum.directories += 1,
                EntryKind::File => {
                    sum.files += 1;
                    match entry.size.or(entry.about) {
                        Some(bytes) => sum.bytes = sum.bytes.saturating_add(bytes),
                        None => sum.unknown += 1,
                    }
                }
                EntryKind::Symlink { .. } | EntryKind::Other => {}
            }
        }
        sums.push(sum);
        for failure in walk.failures() {
            output.failure(&failure);
            failed = Some(Failure::told(failure.exit));
        }
    }
    add_up(&mut sums);
    let most = if args.summarize {
        0
    } else {
        args.max_depth.unwrap_or(DEEPEST)
    };
    show(target, &sums, args, most)?;
    failed.map_or(Ok(()), Err)
}

/// Adds each directory to the one that it is in. They stand as they were walked: parents before their children.
fn add_up(sums: &mut [Sum]) {
    for at in (1..sums.len()).rev() {
        let (before, rest) = sums.split_at_mut(at);
        let Some(child) = rest.first() else {
            continue;
        };
        let parent = before
            .iter_mut()
            .rev()
            .find(|it| it.depth + 1 == child.depth);
        if let Some(parent) = parent {
            parent.bytes = parent.bytes.saturating_add(child.bytes);
            parent.files += child.files;
            parent.directories += child.directories;
            parent.unknown += child.unknown;
        }
    }
}

fn show(target: &Target, sums: &[Sum], args: &DuArgs, most: usize) -> Result<(), Failure> {
    let reader = Reader::of_stdout();
    let mut lines = Lines::default();
    // Inner directories first, as du(1).
    for sum in sums.iter().rev().filter(|sum| sum.depth <= most) {
        if args.client.json {
            let line = json!({
                "address": target.to_string(),
                "path": visible(&sum.relative),
                "bytes": sum.bytes,
                "files": sum.files,
                "directories": sum.directories,
                "without_size": sum.unknown,
            });
            lines.push(line.to_string().as_bytes());
            continue;
        }
        let bytes = if args.human {
            crate::output::human_bytes(sum.bytes)
        } else {
            sum.bytes.to_string()
        };
        let path = match (sum.relative.as_slice(), args.urls.len()) {
            (b"", 1) => b".".to_vec(),
            (b"", _) => target.to_string().into_bytes(),
            (path, _) => reader.text(path),
        };
        lines.push(&[bytes.as_bytes(), b"\t", &path].concat());
    }
    lines.print()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_counts_above() {
        let sum = |depth, bytes| Sum {
            depth,
            bytes,
            files: 1,
            ..Sum::default()
        };
        // . (1), a (2), a/b (4), c (8)
        let mut sums = [sum(0, 1), sum(1, 2), sum(2, 4), sum(1, 8)];
        add_up(&mut sums);
        assert_eq!(
            sums.map(|it| (it.bytes, it.files)),
            [(15, 4), (6, 2), (4, 1), (8, 1)]
        );
    }
}
