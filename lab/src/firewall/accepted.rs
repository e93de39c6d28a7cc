//! The golden files of `wharf-firewall`, shown to the programs that they are for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::namespace::Namespace;
use crate::process::must;
use crate::tally::Tally;
use crate::{Result, setup};

/// A program that says whether it takes a text, without loading it.
struct Reader {
    /// The dialect whose files it reads.
    dialect: &'static str,
    /// The program.
    program: &'static str,
    /// What it is told before the file's name.
    arguments: &'static [&'static str],
}

const fn restore(program: &'static str) -> Reader {
    Reader {
        dialect: "iptables",
        program,
        arguments: &["--test", "--noflush"],
    }
}

const READERS: [Reader; 6] = [
    Reader {
        dialect: "nftables",
        program: "nft",
        arguments: &["-c", "-f"],
    },
    restore("iptables-nft-restore"),
    restore("ip6tables-nft-restore"),
    restore("iptables-legacy-restore"),
    restore("ip6tables-legacy-restore"),
    Reader {
        dialect: "haproxy",
        program: "haproxy",
        arguments: &["-c", "-f"],
    },
];

/// Every program reads every file that is for it.
pub(super) fn check(tally: &Tally) -> Result<()> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/wharf-firewall/tests/golden");
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        files.push(entry?.path());
    }
    files.sort();
    let namespace = Namespace::create("golden")?;
    for reader in READERS {
        let ending = format!(".{}.txt", reader.dialect);
        let what = format!("{} takes the golden files", reader.program);
        tally.check(&what, read_all(&reader, &namespace, &files, &ending));
    }
    Ok(())
}

fn read_all(
    reader: &Reader,
    namespace: &Namespace,
    files: &[PathBuf],
    ending: &str,
) -> Result<String> {
    let mut count = 0;
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if !name.ends_with(ending) || fs::read_to_string(file)?.starts_with("unsupported") {
            continue;
        }
        let mut command: Command = if reader.dialect == "haproxy" {
            namespace.command(setup::unpacked("haproxy"))
        } else {
            namespace.command(reader.program)
        };
        command.args(reader.arguments).arg(file);
        must(command, b"").map_err(|failure| format!("{name}: {failure}"))?;
        count += 1;
    }
    if count == 0 {
        return Err("there are none".into());
    }
    Ok(format!("{count} files"))
}
