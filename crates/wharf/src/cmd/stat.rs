//! `wharf stat`: everything the server tells about one name.

use wharf_client::{Entry, EntryKind, Target};
use wharf_proto::{Pathname, visible};

use crate::args::StatArgs;
use crate::exit::Failure;
use crate::listing::{Lines, details, json_of_entry};
use crate::output::Output;
use crate::session::{self, Connector, Sessions};

pub(crate) async fn run(args: StatArgs, output: &Output) -> Result<(), Failure> {
    let targets = session::targets(&args.urls)?;
    let mut sessions = Sessions::new(Connector::new(&args.client, output)?);
    for target in &targets {
        let result = one(&mut sessions, target, args.client.json).await;
        sessions.settle(result);
    }
    sessions.finish().await
}

async fn one(sessions: &mut Sessions, target: &Target, as_json: bool) -> Result<(), Failure> {
    let client = sessions.client(target).await?;
    let entry = match target.path() {
        Some(path) => client.entry(path).await,
        // The login directory: its name is what PWD says.
        None => match client.current_dir().await {
            Ok(path) => {
                let found = client.entry(&path).await;
                found.map(|entry| named(entry, &path))
            }
            Err(error) => Err(error),
        },
    };
    let entry = entry.map_err(|error| session::failure(&error))?;
    let mut lines = Lines::default();
    if as_json {
        lines.push(json_of_entry(&entry).to_string().as_bytes());
    } else {
        for (name, value) in details(&entry) {
            lines.push(format!("{name:<10}{value}").as_bytes());
        }
        if let EntryKind::Symlink {
            target: Some(target),
        } = &entry.kind
        {
            lines.push(format!("{:<10}{}", "target", visible(target)).as_bytes());
        }
    }
    lines.print()
}

fn named(entry: Entry, path: &Pathname) -> Entry {
    Entry {
        name: path.as_bytes().to_vec(),
        ..entry
    }
}
