//! `wharf ls`: directories, one format whatever the server.

use wharf_client::{Client, Entry, ErrorKind, Target};
use wharf_proto::Pathname;

use crate::args::ListArgs;
use crate::exit::Failure;
use crate::listing::{Lines, Reader, json, long_line};
use crate::output::Output;
use crate::session::{self, Connector, Sessions};

pub(crate) async fn run(args: ListArgs, output: &Output) -> Result<(), Failure> {
    let targets = session::targets(&args.urls)?;
    let mut connector = Connector::new(&args.client, output)?;
    connector.options_mut().list_hidden = args.all;
    let mut sessions = Sessions::new(connector);
    for target in &targets {
        let result = one(&mut sessions, target, &args).await;
        sessions.settle(result);
    }
    sessions.finish().await
}

async fn one(sessions: &mut Sessions, target: &Target, args: &ListArgs) -> Result<(), Failure> {
    let client = sessions.client(target).await?;
    let mut entries = entries(client, target).await?;
    if !args.all {
        entries.retain(|entry| !entry.name.starts_with(b"."));
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let reader = Reader::of_stdout();
    let mut lines = Lines::default();
    // As ls(1): several directories are told apart by a heading.
    if args.urls.len() > 1 && !args.client.json {
        lines.push(format!("{target}:").as_bytes());
    }
    for entry in &entries {
        let line = if args.client.json {
            json(entry).to_string().into_bytes()
        } else if args.long {
            long_line(entry, reader)
        } else {
            reader.text(&entry.name)
        };
        lines.push(&line);
    }
    lines.print()
}

/// What is in a directory, or the file itself when the address names one.
async fn entries(client: &mut Client, target: &Target) -> Result<Vec<Entry>, Failure> {
    let path: Option<&Pathname> = target.path();
    let listed = client.list(path).await;
    match (listed, path) {
        (Err(error), Some(path))
            if !target.is_directory()
                && matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::Refused | ErrorKind::Permission
                ) =>
        {
            // MLSD of a file is refused (RFC 3659 §7.2); whether there is one, MLST or SIZE tells.
            let found = client.entry(path).await;
            found
                .map(|entry| vec![entry])
                .map_err(|_| session::failure(&error))
        }
        (listed, _) => listed.map_err(|error| session::failure(&error)),
    }
}
