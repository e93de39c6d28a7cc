//! `wharf mkdir`.

use wharf_client::{Client, ErrorKind, Target};
use wharf_proto::Pathname;

use crate::args::MakeDirArgs;
use crate::exit::Failure;
use crate::output::Output;
use crate::session::{self, Connector, Sessions};

pub(crate) async fn run(args: MakeDirArgs, output: &Output) -> Result<(), Failure> {
    let targets = session::targets(&args.urls)?;
    let mut sessions = Sessions::new(Connector::new(&args.client, output)?);
    for target in &targets {
        let result = one(&mut sessions, target, args.parents).await;
        sessions.settle(result);
    }
    sessions.finish().await
}

async fn one(sessions: &mut Sessions, target: &Target, parents: bool) -> Result<(), Failure> {
    let path = session::path_of(target)?;
    let client = sessions.client(target).await?;
    if parents {
        return with_parents(client, &path).await;
    }
    client
        .make_dir(&path)
        .await
        .map(drop)
        .map_err(|error| session::failure(&error))
}

/// Makes what is missing, from the outside inwards. Servers tell "exists" and "not permitted" with
/// the same 550, so what counts is whether the directory is there in the end.
async fn with_parents(client: &mut Client, path: &Pathname) -> Result<(), Failure> {
    let mut last = None;
    for prefix in prefixes(path) {
        match client.make_dir(&prefix).await {
            Ok(_) => last = None,
            Err(error) if about_the_name(error.kind()) => last = Some(error),
            Err(error) => return Err(session::failure(&error)),
        }
    }
    let Some(error) = last else {
        return Ok(());
    };
    match client.entry(path).await {
        Ok(entry) if entry.is_directory() => Ok(()),
        _ => Err(session::failure(&error)),
    }
}

fn about_the_name(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Exists | ErrorKind::Permission | ErrorKind::Refused | ErrorKind::NotFound
    )
}

/// `a`, `a/b`, `a/b/c`.
fn prefixes(path: &Pathname) -> Vec<Pathname> {
    let bytes = path.as_bytes();
    let mut ends: Vec<usize> = (1..bytes.len())
        .filter(|at| bytes[*at] == b'/' && bytes[at - 1] != b'/')
        .collect();
    ends.push(bytes.len());
    ends.into_iter()
        .filter_map(|end| Pathname::new(&bytes[..end]).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_first() {
        for (path, expected) in [
            ("a", "a"),
            ("a/b/c", "a a/b a/b/c"),
            ("/a/b", "/a /a/b"),
            ("a//b", "a a//b"),
        ] {
            let found: Vec<String> = prefixes(&path.parse().unwrap())
                .iter()
                .map(|prefix| prefix.display().to_string())
                .collect();
            assert_eq!(found.join(" "), expected);
        }
    }
}
