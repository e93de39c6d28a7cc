//! Names that nobody would choose: listed, fetched, stored and removed byte by byte on every server.
//!
//! A tree of forty of them, as files and some as directories with a file inside. What `ls -R --json` says is what the other
//! commands are given. Line breaks are not among them: no command of FTP can carry one.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use crate::process;
use crate::server::{FOREIGN, Kind, USER};
use crate::stage::Stage;
use crate::tally::Tally;
use crate::{Result, Settings, topology};

const NAMES: &[&[u8]] = &[
    b"plain",
    b"two words",
    b" leading blank",
    b"  leading blanks",
    b"trailing blank ",
    b"trailing blanks  ",
    b" ",
    b"\tleading tab",
    b"a\ttab",
    b"[brackets]",
    b"[a-z]",
    b"star*",
    b"*",
    b"question?",
    b"{a,b}",
    b"~",
    b"~root",
    b"-rf",
    b"-la plain",
    b"--",
    b"a -> b",
    b"->",
    b"back\\slash",
    b"quote\"d",
    b"apostrophe's",
    b"back`tick",
    b"$HOME",
    b"a;type=a",
    b"semi;colon",
    b"#hash",
    b"%2F",
    b"100%",
    b"a&b|c",
    b"...",
    b".hidden",
    b"Jan  2 10:11 looks like a date",
    b"type=dir; looks like facts",
    "\u{fc}ml\u{e4}ut \u{540d}\u{524d}".as_bytes(),
    b"caf\xe9 in Latin-1",
    b"\xc4\xe3\xba\xc3 in GBK",
    b"\x1b[31mred",
    b"bell\x07",
    b"bytes \xff\xfe",
];

/// Those that are directories, too, with this put behind them.
const AS_DIRECTORY: &[u8] = b".d";

const DIRECTORIES: &[&[u8]] = &[
    b" leading blank",
    b"[brackets]",
    b"star*",
    b"-rf",
    b"two words",
    b"a\ttab",
    b"caf\xe9",
    b"back\\slash",
];

/// How long one command may take.
const LIMIT: Duration = Duration::from_mins(1);

/// A server and the names that it cannot carry, whatever is asked.
const CANNOT: &[(Kind, &[&[u8]])] = &[
    // does not undo Telnet's doubling of 255 (RFC 959 §3.1.5.1)
    (Kind::Vsftpd, &[b"bytes \xff\xfe"]),
    // leaves names with control characters out of its listings, refuses backslashes, and does not undo the doubling either
    (
        Kind::PureFtpd,
        &[
            b"\tleading tab",
            b"a\ttab",
            b"\x1b[31mred",
            b"bell\x07",
            b"back\\slash",
            // stored with underscores for the blanks
            b" ",
            b"trailing blank ",
            b"trailing blanks  ",
            b"bytes \xff\xfe",
        ],
    ),
    // knows names in UTF-8 only, and lists others with other bytes in their place
    (
        Kind::Pyftpdlib,
        &[
            b"caf\xe9 in Latin-1",
            b"\xc4\xe3\xba\xc3 in GBK",
            b"bytes \xff\xfe",
            b"caf\xe9",
        ],
    ),
];

/// Runs the part.
#[allow(clippy::unnecessary_wraps)] // a part may fail; this one has nothing to fail by
pub(crate) fn run(settings: &Settings, tally: &Tally) -> Result<()> {
    println!("\nnames");
    for kind in [Kind::Wharf].into_iter().chain(FOREIGN) {
        if !settings.wants(kind.name()) {
            continue;
        }
        tally.check(
            &format!("{}: odd names, there and back", kind.name()),
            there_and_back(settings, kind),
        );
    }
    Ok(())
}

fn there_and_back(settings: &Settings, kind: Kind) -> Result<String> {
    let stage = Stage::in_topology(settings, "names", topology::PLAIN, kind)?;
    let tree = stage.root.join("tree");
    let local = stage.work.directory("local")?;
    let cannot = CANNOT.iter().find(|(it, _)| *it == kind);
    let cannot: &[&[u8]] = cannot.map_or(&[], |(_, names)| names);
    let names: Vec<&[u8]> = NAMES
        .iter()
        .copied()
        .filter(|it| !cannot.contains(it))
        .collect();
    let mut expected = BTreeSet::new();
    fs::create_dir_all(&tree)?;
    for name in &names {
        write(&tree, name, &content(name))?;
        write(&local, name, &content(name))?;
        expected.insert(name.to_vec());
    }
    let directories: Vec<_> = DIRECTORIES
        .iter()
        .filter(|it| !cannot.contains(it))
        .collect();
    for name in &directories {
        let name = [**name, AS_DIRECTORY].concat();
        let directory = tree.join(OsStr::from_bytes(&name));
        fs::create_dir(&directory)?;
        write(&directory, b" inside *", &content(b" inside *"))?;
        expected.insert([name.as_slice(), b"/ inside *"].concat());
    }
    open_to_all(&stage.root)?;
    let _server = stage.serve()?;
    let base = format!("ftp://{USER}@{}/", stage.network.host());
    // listed
    let listed = wharf(
        &stage,
        &["ls", "-aR", "--json", &format!("{base}tree/")],
        &[],
    )?;
    let mut urls = Vec::new();
    let mut seen = BTreeSet::new();
    for line in listed
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let entry: serde_json::Value = serde_json::from_slice(line)?;
        let url = entry["url"].as_str().unwrap_or_default().to_owned();
        if entry["kind"] == "file" {
            let path = url.strip_prefix(&format!("{base}tree/")).unwrap_or(&url);
            seen.insert(decoded(path));
            urls.push(url);
        }
    }
    differ("listed", &expected, &seen)?;
    // fetched, in one session
    let words: Vec<&str> = ["cat"]
        .into_iter()
        .chain(urls.iter().map(String::as_str))
        .collect();
    let fetched = wharf(&stage, &words, &[])?;
    let wanted: Vec<u8> = urls
        .iter()
        .flat_map(|url| {
            let path = decoded(url.strip_prefix(&base).unwrap_or(url));
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            content(name)
        })
        .collect();
    if fetched != wanted {
        return Err("what was fetched is not what is there".into());
    }
    // stored
    fs::create_dir_all(stage.root.join("back"))?;
    open_to_all(&stage.root.join("back"))?;
    let files: Vec<_> = names
        .iter()
        .map(|name| local.join(OsStr::from_bytes(name)))
        .collect();
    let mut command = stage.client(&stage.wharf);
    command
        .arg("put")
        .arg("-q")
        .arg("--password-file")
        .arg(&stage.secret);
    command.args(&files).arg(format!("{base}back/"));
    let outcome = process::run(command, &[], LIMIT)?;
    if !outcome.succeeded() {
        return Err(format!("put: {}", outcome.last_words()).into());
    }
    let mut stored = BTreeSet::new();
    for entry in fs::read_dir(stage.root.join("back"))? {
        let entry = entry?;
        let name = entry.file_name().as_bytes().to_vec();
        let found = fs::read(entry.path())?;
        if found != content(&name) {
            let (name, found) = (name.escape_ascii(), found.escape_ascii());
            return Err(format!("stored as {name}: {found}").into());
        }
        stored.insert(name);
    }
    let flat: BTreeSet<Vec<u8>> = names.iter().map(|name| name.to_vec()).collect();
    differ("stored", &flat, &stored)?;
    // removed
    let words: Vec<&str> = ["rm"]
        .into_iter()
        .chain(urls.iter().map(String::as_str))
        .collect();
    wharf(&stage, &words, &[])?;
    let left = fs::read_dir(&tree)?.count();
    if left != directories.len() {
        return Err(format!("{left} names left after rm").into());
    }
    Ok(format!("{} files", expected.len()))
}

fn content(name: &[u8]) -> Vec<u8> {
    format!("<{}>", name.escape_ascii()).into_bytes()
}

fn write(directory: &Path, name: &[u8], content: &[u8]) -> Result<()> {
    Ok(fs::write(directory.join(OsStr::from_bytes(name)), content)?)
}

/// Each foreign server becomes another user.
fn open_to_all(directory: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o777))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_to_all(&entry.path())?;
        } else {
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o666))?;
        }
    }
    Ok(())
}

fn wharf(stage: &Stage, words: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let mut command = stage.client(&stage.wharf);
    let (verb, rest) = words.split_first().ok_or("no command")?;
    command.args([verb, "-q", "--password-file"]);
    command.arg(&stage.secret).args(rest);
    let outcome = process::run(command, input, LIMIT)?;
    if outcome.succeeded() {
        Ok(outcome.stdout)
    } else {
        Err(format!("{verb}: {}", outcome.last_words()).into())
    }
}

fn differ(what: &str, expected: &BTreeSet<Vec<u8>>, seen: &BTreeSet<Vec<u8>>) -> Result<()> {
    let shown = |names: Vec<&Vec<u8>>| {
        let names: Vec<String> = names
            .iter()
            .map(|it| it.escape_ascii().to_string())
            .collect();
        names.join(", ")
    };
    if expected == seen {
        return Ok(());
    }
    let missing = shown(expected.difference(seen).collect());
    let strange = shown(seen.difference(expected).collect());
    Err(format!("{what}: missing [{missing}], strange [{strange}]").into())
}

/// The bytes behind `%NN`.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|it| std::str::from_utf8(it).ok());
        let escaped = digits.and_then(|it| u8::from_str_radix(it, 16).ok());
        match (byte, escaped) {
            (b'%', Some(value)) => {
                bytes.push(value);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(*byte);
                rest = behind;
            }
        }
    }
    bytes
}
