//! `wharf find`: names in a tree on the server that fit.

use std::time::{Duration, SystemTime};

use wharf_client::{Entry, EntryKind, Target};

use crate::args::FindArgs;
use crate::args::listing::KindArg;
use crate::exit::Failure;
use crate::listing::{Lines, Reader, Row, json, long_line};
use crate::output::Output;
use crate::session::{self, Connector, Sessions};
use crate::shell::pattern::fits;
use crate::walk::{DEEPEST, Walk};

pub(crate) async fn run(args: FindArgs, output: &Output) -> Result<(), Failure> {
    let targets = session::targets(&args.urls)?;
    let mut connector = Connector::new(&args.client, output)?;
    connector.options_mut().list_hidden = true;
    let mut sessions = Sessions::new(connector);
    let now = SystemTime::now();
    for target in &targets {
        let result = one(&mut sessions, target, &args, now, output).await;
        sessions.settle(result);
    }
    sessions.finish().await
}

async fn one(
    sessions: &mut Sessions,
    target: &Target,
    args: &FindArgs,
    now: SystemTime,
    output: &Output,
) -> Result<(), Failure> {
    let mut walk = Walk::new(target, args.max_depth.unwrap_or(DEEPEST));
    let timed = args.newer.is_some() || args.older.is_some() || args.long || args.client.json;
    let reader = Reader::of_stdout();
    let mut failed = None;
    loop {
        let client = sessions.client(target).await?;
        let Some((directory, mut entries)) = walk.next(client, target, true).await? else {
            return failed.map_or(Ok(()), Err);
        };
        if timed {
            let learned = client.learn_zone(directory.path.as_ref(), &mut entries);
            learned.await.map_err(|error| session::failure(&error))?;
        }
        let mut lines = Lines::default();
        for entry in entries.iter().filter(|entry| is_wanted(entry, args, now)) {
            let row = Row {
                target,
                directory: &directory,
                entry,
            };
            let path = directory.relative_to(&entry.name);
            let line = if args.client.json {
                json(&row).to_string().into_bytes()
            } else if args.urls_only {
                row.url().into_bytes()
            } else if args.long {
                let named = Entry {
                    name: path,
                    ..entry.clone()
                };
                long_line(&named, reader)
            } else {
                reader.text(&path)
            };
            lines.push(&line);
        }
        lines.print()?;
        for failure in walk.failures() {
            output.failure(&failure);
            failed = Some(Failure::told(failure.exit));
        }
    }
}

/// Whether an entry fits all conditions. What is not told fits none that asks for it.
fn is_wanted(entry: &Entry, args: &FindArgs, now: SystemTime) -> bool {
    let kind = match entry.kind {
        EntryKind::File => KindArg::File,
        EntryKind::Directory => KindArg::Directory,
        EntryKind::Symlink { .. } => KindArg::Symlink,
        EntryKind::Other => KindArg::Other,
    };
    // As with find(1) a star fits a dot, too: with a letter before both there is no leading dot.
    let name = [b"x", entry.name.as_slice()].concat();
    let named = |pattern: &String| fits(&[b"x", pattern.as_bytes()].concat(), &name);
    let size = match kind {
        KindArg::Directory => None,
        _ => entry.size.or(entry.about),
    };
    let age = entry.modified.map(|time| {
        let time = SystemTime::from(time.timestamp());
        now.duration_since(time).unwrap_or(Duration::ZERO)
    });
    (args.name.is_empty() || args.name.iter().any(named))
        && args.kind.is_none_or(|wanted| wanted == kind)
        && args
            .min_size
            .is_none_or(|least| size.is_some_and(|size| size >= least))
        && args
            .max_size
            .is_none_or(|most| size.is_some_and(|size| size <= most))
        && args
            .newer
            .is_none_or(|most| age.is_some_and(|age| age <= most))
        && args
            .older
            .is_none_or(|least| age.is_some_and(|age| age > least))
}
