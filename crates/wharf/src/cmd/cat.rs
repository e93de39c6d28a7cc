//! `wharf cat`: files from a server to standard output.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_client::Target;

use super::get::set_type;
use crate::args::CatArgs;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::session::{self, Connector, Sessions};

const BUFFER: usize = 256 * 1024;

/// How writing to stdout may end besides well.
enum End {
    /// The reader has seen enough (`wharf cat URL | head`): quiet success.
    Closed,
    Failed(Failure),
}

pub(crate) async fn run(args: CatArgs, output: &Output) -> Result<(), Failure> {
    let targets = session::file_targets(&args.urls)?;
    let sessions = Sessions::new(Connector::new(&args.client, output)?);
    to_stdout(&targets, sessions).await
}

/// Writes every file in turn; goes on after one that failed.
pub(super) async fn to_stdout(targets: &[Target], mut sessions: Sessions) -> Result<(), Failure> {
    for target in targets {
        let result = match one(&mut sessions, target).await {
            Ok(()) => Ok(()),
            Err(End::Closed) => return Ok(()),
            Err(End::Failed(failure)) => Err(failure),
        };
        sessions.settle(result);
    }
    sessions.finish().await
}

/// One file, for other commands that write to stdout.
pub(crate) async fn one_target(sessions: &mut Sessions, target: &Target) -> Result<(), Failure> {
    match one(sessions, target).await {
        Ok(()) | Err(End::Closed) => Ok(()),
        Err(End::Failed(failure)) => Err(failure),
    }
}

async fn one(sessions: &mut Sessions, target: &Target) -> Result<(), End> {
    let remote = session::path_of(target).map_err(End::Failed)?;
    let client = sessions.client(target).await.map_err(End::Failed)?;
    set_type(client, target).map_err(End::Failed)?;
    let mut download = client
        .retrieve(&remote, 0)
        .await
        .map_err(|error| End::Failed(session::failure(&error)))?;
    // tokio's stdout writes on another thread, so that SIGINT is heard while a pager does not read.
    let mut stdout = tokio::io::stdout();
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = match download.read(&mut buffer).await {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => {
                let error = download.explain(error).await;
                return Err(End::Failed(session::failure(&error)));
            }
        };
        stdout.write_all(&buffer[..count]).await.map_err(end)?;
    }
    stdout.flush().await.map_err(end)?;
    download
        .finish()
        .await
        .map_err(|error| End::Failed(session::failure(&error)))?;
    Ok(())
}

fn end(error: std::io::Error) -> End {
    if error.kind() == ErrorKind::BrokenPipe {
        return End::Closed;
    }
    End::Failed(Failure::new(
        Exit::LocalFile,
        format!("cannot write to stdout: {error}"),
    ))
}
