//! `wharf rm` and `wharf rmdir`.

use wharf_client::Target;

use crate::args::RemoveArgs;
use crate::exit::Failure;
use crate::output::Output;
use crate::session::{self, Connector, Sessions};

/// What is to be removed.
#[derive(Clone, Copy)]
enum What {
    File,
    Directory,
}

pub(crate) async fn files(args: RemoveArgs, output: &Output) -> Result<(), Failure> {
    remove(args, What::File, output).await
}

pub(crate) async fn directories(args: RemoveArgs, output: &Output) -> Result<(), Failure> {
    remove(args, What::Directory, output).await
}

async fn remove(args: RemoveArgs, what: What, output: &Output) -> Result<(), Failure> {
    let targets = match what {
        What::File => session::file_targets(&args.urls)?,
        What::Directory => session::targets(&args.urls)?,
    };
    let mut sessions = Sessions::new(Connector::new(&args.client, output)?);
    for target in &targets {
        let result = one(&mut sessions, target, what).await;
        sessions.settle(result);
    }
    sessions.finish().await
}

async fn one(sessions: &mut Sessions, target: &Target, what: What) -> Result<(), Failure> {
    let path = session::path_of(target)?;
    let client = sessions.client(target).await?;
    let removed = match what {
        What::File => client.remove_file(&path).await,
        What::Directory => client.remove_dir(&path).await,
    };
    removed.map(drop).map_err(|error| session::failure(&error))
}
