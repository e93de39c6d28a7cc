//! `wharf mv`: RNFR and RNTO on one server.

use wharf_client::Target;
use wharf_proto::Pathname;

use crate::args::MoveArgs;
use crate::exit::Failure;
use crate::output::Output;
use crate::session::{self, Connector, Sessions};

pub(crate) async fn run(args: MoveArgs, output: &Output) -> Result<(), Failure> {
    let from = session::target(&args.from)?;
    let source = session::path_of(&from)?;
    let goal = goal(&from, &source, &args.to)?;
    let mut sessions = Sessions::new(Connector::new(&args.client, output)?);
    let client = sessions.client(&from).await?;
    client
        .rename(&source, &goal)
        .await
        .map_err(|error| session::failure(&error))?;
    sessions.close().await;
    Ok(())
}

/// The new name. One that ends in `/` is a directory that takes the old name.
fn goal(from: &Target, source: &Pathname, to: &str) -> Result<Pathname, Failure> {
    let (path, directory) = if session::is_address(to) {
        let target = session::target(to)?;
        if (target.scheme(), target.endpoint()) != (from.scheme(), from.endpoint())
            || (target.user().is_some() && target.user() != from.user())
        {
            return Err(
                Failure::usage("both addresses must be on one server and of one user")
                    .with_hint("wharf get, then wharf put"),
            );
        }
        (target.path().cloned(), target.is_directory())
    } else {
        let path = Pathname::new(to.as_bytes())
            .map_err(|error| Failure::usage(format!("the new name: {error}")))?;
        let path = match source.parent() {
            Some(parent) if !path.is_absolute() => parent.join(&path),
            _ => path,
        };
        (Some(path), to.ends_with('/'))
    };
    match (path, directory) {
        (Some(path), false) => Ok(path),
        (directory, _) => {
            let name = source.file_name().unwrap_or_default();
            let goal = match directory {
                Some(directory) => directory.child(name),
                None => Pathname::new(name),
            };
            goal.map_err(|error| Failure::usage(format!("the new name: {error}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_names_are_relative_to_the_old_ones_directory() {
        for (from, to, expected) in [
            ("ftp://h/a", "b", Some("b")),
            ("ftp://h/d/a", "b", Some("d/b")),
            ("ftp://h/d/a", "/b", Some("/b")),
            ("ftp://h/d/a", "e/", Some("d/e/a")),
            ("ftp://h/d/a", "ftp://h/b", Some("b")),
            ("ftp://h/d/a", "ftp://h/e/", Some("e/a")),
            ("ftp://h/d/a", "ftp://h/", Some("a")),
            ("ftp://h/%2Fd/a", "b", Some("/d/b")),
            ("ftp://h/a", "ftp://other/b", None),
            ("ftp://u@h/a", "ftp://v@h/b", None),
            ("ftp://h/a", "b\nc", None),
        ] {
            let target: Target = from.parse().unwrap();
            let source = target.path().unwrap().clone();
            let found = goal(&target, &source, to).ok();
            let found = found.map(|path| path.display().to_string());
            assert_eq!(found.as_deref(), expected, "{from} {to}");
        }
    }
}
