//! `wharf forget`, and where the remembered things are kept.

use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, choose_base_strategy};
use wharf_client::known_servers::KnownServersFile;
use wharf_client::memory::Memory;

use crate::args::ForgetArgs;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::session;

/// The directory of the state file, for tests and scripts.
const VARIABLE: &str = "WHARF_STATE_DIR";

/// The memory of the client commands. `None` where there is no place for it: no home directory, as in some containers.
pub(crate) fn memory() -> Option<Memory> {
    Some(Memory::at(directory()?.join("ways")))
}

/// The servers that were seen over TLS before.
pub(crate) fn known_servers() -> Option<KnownServersFile> {
    Some(KnownServersFile::at(directory()?.join("known-servers")))
}

/// Where what is remembered is kept; `None` without a home directory.
pub(crate) fn directory() -> Option<PathBuf> {
    match std::env::var_os(VARIABLE) {
        Some(directory) if !directory.is_empty() => Some(PathBuf::from(directory)),
        _ => Some(choose_base_strategy().ok()?.state_dir()?.join("wharf")),
    }
}

pub(crate) fn run(args: &ForgetArgs, output: &Output) -> Result<(), Failure> {
    let hosts: Vec<String> = args
        .hosts
        .iter()
        .map(|word| host(word))
        .collect::<Result<_, _>>()?;
    let (Some(memory), Some(known)) = (memory(), known_servers()) else {
        return Err(Failure::new(
            Exit::LocalFile,
            "no home directory, so nothing is remembered",
        )
        .with_hint(format!("{VARIABLE} names a directory for it")));
    };
    let failed = |file: &Path, error| {
        let file = file.display();
        Failure::new(Exit::LocalFile, format!("cannot change {file}: {error}"))
    };
    let of_ways = |error| failed(memory.path(), error);
    let of_servers = |error| failed(known.path(), error);
    if args.all {
        let number = memory.forget_all().map_err(of_ways)?;
        let number = number + known.forget_all().map_err(of_servers)?;
        output.info(&told(number, "any server"));
    }
    for host in &hosts {
        let number = memory.forget(host).map_err(of_ways)?;
        let number = number + known.forget(host).map_err(of_servers)?;
        output.info(&told(number, &wharf_proto::visible(host.as_bytes())));
    }
    Ok(())
}

/// Host and port of an address; anything else is taken as it stands.
fn host(word: &str) -> Result<String, Failure> {
    if !word.contains("://") {
        let word = word.trim().trim_end_matches('/');
        if word.is_empty() {
            return Err(Failure::usage("which host?").with_hint("wharf forget HOST, or --all"));
        }
        return Ok(word.to_owned());
    }
    let target = session::target(word)?;
    let at = target.endpoint();
    Ok(if at.host.contains(':') {
        format!("[{}]:{}", at.host, at.port)
    } else {
        format!("{}:{}", at.host, at.port)
    })
}

fn told(number: usize, whom: &str) -> String {
    match number {
        0 => format!("nothing is remembered about {whom}"),
        1 => format!("forgotten: 1 record about {whom}"),
        _ => format!("forgotten: {number} records about {whom}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_may_be_written_in_any_way() {
        for (word, expected) in [
            ("files.example", Some("files.example")),
            ("files.example:2121", Some("files.example:2121")),
            ("files.example/", Some("files.example")),
            (
                "ftp://me:secret@files.example/dir/x",
                Some("files.example:21"),
            ),
            ("ftp://files.example:2121", Some("files.example:2121")),
            ("ftp://[2001:db8::1]/", Some("[2001:db8::1]:21")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("http://files.example/", None),
            ("", None),
        ] {
            assert_eq!(host(word).ok().as_deref(), expected, "{word}");
        }
    }
}
