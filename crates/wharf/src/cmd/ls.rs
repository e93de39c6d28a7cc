//! `wharf ls`: directories, one format whatever the server.

use wharf_client::{Entry, Target};

use crate::args::ListArgs;
use crate::exit::{Exit, Failure};
use crate::listing::{CSV_COLUMNS, Lines, Reader, Row, csv, json, long_line};
use crate::output::Output;
use crate::session::{self, Connector, Sessions};
use crate::walk::{DEEPEST, Directory, Walk};

pub(crate) async fn run(args: ListArgs, output: &Output) -> Result<(), Failure> {
    let targets = session::targets(&args.urls)?;
    let mut connector = Connector::new(&args.client, output)?;
    connector.options_mut().list_hidden = args.all;
    let mut sessions = Sessions::new(connector);
    if args.csv {
        let mut lines = Lines::default();
        lines.push(CSV_COLUMNS.as_bytes());
        lines.print()?;
    }
    for target in &targets {
        let result = one(&mut sessions, target, &args, output).await;
        sessions.settle(result);
    }
    sessions.finish().await
}

async fn one(
    sessions: &mut Sessions,
    target: &Target,
    args: &ListArgs,
    output: &Output,
) -> Result<(), Failure> {
    let mut walk = Walk::new(target, if args.recursive { DEEPEST } else { 1 });
    let mut first = true;
    let mut empty = true;
    let mut failed = None;
    loop {
        let client = sessions.client(target).await?;
        let next = walk.next(client, target, args.all).await?;
        if let Some((directory, mut entries)) = next {
            if args.long || args.csv || args.client.json {
                let learned = client.learn_zone(directory.path.as_ref(), &mut entries);
                learned.await.map_err(|error| session::failure(&error))?;
            }
            show(target, &directory, &entries, args, first)?;
            first = false;
            empty &= entries.is_empty();
        } else if args.fail_if_empty && empty && failed.is_none() {
            let message = format!("{target}: nothing to list");
            return Err(Failure::new(Exit::Nothing, message));
        } else {
            return failed.map_or(Ok(()), Err);
        }
        for failure in walk.failures() {
            output.failure(&failure);
            failed = Some(Failure::told(failure.exit));
        }
    }
}

fn show(
    target: &Target,
    directory: &Directory,
    entries: &[Entry],
    args: &ListArgs,
    first: bool,
) -> Result<(), Failure> {
    let reader = Reader::of_stdout();
    let mut lines = Lines::default();
    let for_people = !args.client.json && !args.csv;
    // As ls(1): several directories are told apart by a heading.
    if for_people && (args.urls.len() > 1 || args.recursive) {
        if !first {
            lines.push(b"");
        }
        let heading = match (args.urls.len() > 1, directory.relative.as_slice()) {
            (true, b"") => format!("{target}").into_bytes(),
            (false, b"") => b".".to_vec(),
            (true, path) => {
                let base = target.to_string();
                let base = base.trim_end_matches('/');
                [base.as_bytes(), b"/", &reader.text(path)].concat()
            }
            (false, path) => reader.text(path),
        };
        lines.push(&[heading.as_slice(), b":"].concat());
    }
    for entry in entries {
        let row = Row {
            target,
            directory,
            entry,
        };
        let line = if args.client.json {
            json(&row).to_string().into_bytes()
        } else if args.csv {
            csv(&row)
        } else if args.long {
            long_line(entry, reader)
        } else {
            reader.text(&entry.name)
        };
        lines.push(&line);
    }
    lines.print()
}
