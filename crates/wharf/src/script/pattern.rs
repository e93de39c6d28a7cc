//! Wildcards: which names they stand for, on the server and here. `{a,b}`, `*`, `?`, `[a-z]`, in every part of a path.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use wharf_client::Client;
use wharf_proto::{Pathname, visible};

pub(super) use crate::shell::pattern::fits;

use super::syntax::Word;
use crate::exit::{Exit, Failure};
use crate::session;

/// So many alternatives one word with braces may stand for.
const ALTERNATIVES: usize = 1_000;

/// Which kinds of things are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kinds {
    Files,
    Directories,
    All,
}

/// Whether a word stands for names that fit it.
pub(super) fn is_pattern(pattern: &[u8]) -> bool {
    let mut bytes = pattern.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'*' | b'?' | b'[' | b'{' => return true,
            _ => {}
        }
    }
    false
}

/// A pattern without its backslashes.
fn plain(pattern: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(pattern.len());
    let mut bytes = pattern.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => text.extend(bytes.next()),
            byte => text.push(*byte),
        }
    }
    text
}

/// `a{b,c}d` is `abd` and `acd`.
fn braces(pattern: &[u8]) -> Vec<Vec<u8>> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_vec()];
    while let Some(pattern) = open.pop() {
        match first_braces(&pattern) {
            Some((from, to, alternatives)) if done.len() + open.len() < ALTERNATIVES => {
                for alternative in alternatives.into_iter().rev() {
                    open.push([&pattern[..from], &alternative, &pattern[to..]].concat());
                }
            }
            _ => done.push(pattern),
        }
    }
    done
}

/// The first pair of braces with a comma: where it begins and ends, and what stands in it.
fn first_braces(pattern: &[u8]) -> Option<(usize, usize, Vec<Vec<u8>>)> {
    let mut at = 0;
    while at < pattern.len() {
        match pattern[at] {
            b'\\' => at += 1,
            b'{' => {
                let mut alternatives = vec![Vec::new()];
                let mut level = 0;
                for (end, byte) in pattern.iter().enumerate().skip(at) {
                    match byte {
                        b'{' => level += 1,
                        b'}' => level -= 1,
                        b',' if level == 1 => {
                            alternatives.push(Vec::new());
                            continue;
                        }
                        _ => {}
                    }
                    if level == 0 {
                        if alternatives.len() > 1 {
                            return Some((at, end + 1, alternatives));
                        }
                        break;
                    }
                    if end > at
                        && let Some(last) = alternatives.last_mut()
                    {
                        last.push(*byte);
                    }
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The remote names that fit, sorted; the word itself where it is no pattern. None where nothing fits.
pub(super) async fn remote(
    client: &mut Client,
    word: &Word,
    kinds: Kinds,
) -> Result<Vec<Vec<u8>>, Failure> {
    if !is_pattern(&word.pattern) {
        return Ok(vec![word.text.clone()]);
    }
    let mut names = Vec::new();
    for pattern in braces(&word.pattern) {
        if !is_pattern(&pattern) {
            names.push(plain(&pattern));
            continue;
        }
        let absolute = pattern.starts_with(b"/");
        let parts: Vec<&[u8]> = pattern
            .split(|byte| *byte == b'/')
            .filter(|it| !it.is_empty())
            .collect();
        let mut found: Vec<Vec<u8>> = vec![if absolute { b"/".to_vec() } else { Vec::new() }];
        for (at, part) in parts.iter().enumerate() {
            let last = at + 1 == parts.len();
            let mut next = Vec::new();
            for directory in &found {
                if !is_pattern(part) {
                    next.push(joined(directory, &plain(part)));
                    continue;
                }
                next.extend(matching(client, directory, part, last, kinds).await?);
            }
            found = next;
        }
        names.extend(found);
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

async fn matching(
    client: &mut Client,
    directory: &[u8],
    part: &[u8],
    last: bool,
    kinds: Kinds,
) -> Result<Vec<Vec<u8>>, Failure> {
    let path = match directory {
        b"" => None,
        directory => Some(pathname(directory)?),
    };
    let listed = client
        .list(path.as_ref())
        .await
        .map_err(|error| session::failure(&error))?;
    let wanted = |entry: &wharf_client::Entry| match (last, kinds) {
        // What a link leads to nobody has said.
        (false, _) | (true, Kinds::Directories) => entry.kind != wharf_client::EntryKind::File,
        (true, Kinds::Files) => !entry.is_directory(),
        (true, Kinds::All) => true,
    };
    Ok(listed
        .iter()
        .filter(|entry| wanted(entry) && fits(part, &entry.name))
        // A listing holds names. A path in it would lead elsewhere.
        .filter(|entry| !entry.name.contains(&b'/') && Pathname::new(entry.name.clone()).is_ok())
        .map(|entry| joined(directory, &entry.name))
        .collect())
}

fn joined(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory {
        b"" => name.to_vec(),
        directory if directory.ends_with(b"/") => [directory, name].concat(),
        directory => [directory, b"/", name].concat(),
    }
}

/// The local names that fit, sorted; the word itself where it is no pattern. None where nothing fits.
pub(super) fn local(here: &Path, word: &Word, kinds: Kinds) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    for pattern in braces(&word.pattern) {
        if !is_pattern(&pattern) {
            names.push(plain(&pattern));
            continue;
        }
        let absolute = pattern.starts_with(b"/");
        let parts: Vec<&[u8]> = pattern
            .split(|byte| *byte == b'/')
            .filter(|it| !it.is_empty())
            .collect();
        let mut found: Vec<Vec<u8>> = vec![if absolute { b"/".to_vec() } else { Vec::new() }];
        for (at, part) in parts.iter().enumerate() {
            let last = at + 1 == parts.len();
            let mut next = Vec::new();
            for directory in &found {
                if !is_pattern(part) {
                    next.push(joined(directory, &plain(part)));
                    continue;
                }
                let path: PathBuf = here.join(super::local_path(directory));
                let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
                next.extend(
                    entries
                        .filter(|entry| {
                            let directory = entry.path().is_dir();
                            match (last, kinds) {
                                (false, _) | (true, Kinds::Directories) => directory,
                                (true, Kinds::Files) => !directory,
                                (true, Kinds::All) => true,
                            }
                        })
                        .map(|entry| entry.file_name().into_vec())
                        .filter(|name| fits(part, name))
                        .map(|name| joined(directory, &name)),
                );
            }
            found = next;
        }
        names.extend(found);
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// A typed word as a pathname on the server.
pub(super) fn pathname(word: &[u8]) -> Result<Pathname, Failure> {
    Pathname::new(word.to_vec())
        .map_err(|error| Failure::usage(format!("{}: {error}", visible(word))))
}

/// Nothing fits a pattern.
pub(super) fn no_match(word: &Word) -> Failure {
    let shown = visible(&word.text);
    Failure::new(Exit::NotFound, format!("{shown}: no files found"))
}

/// The last part of a local path.
pub(super) fn base_name(path: &Path) -> Result<Vec<u8>, Failure> {
    let name = path.file_name().map(|name| name.as_bytes().to_vec());
    name.ok_or_else(|| {
        let shown = visible(path.as_os_str().as_bytes());
        Failure::new(Exit::LocalFile, format!("{shown} is not a file"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_alternatives() {
        for (pattern, expected) in [
            ("a", vec!["a"]),
            ("a{b,c}d", vec!["abd", "acd"]),
            ("{a,b}{c,d}", vec!["ac", "ad", "bc", "bd"]),
            ("x{a,{b,c}}", vec!["xa", "xb", "xc"]),
            ("{a}", vec!["{a}"]),
            ("a\\{b,c}", vec!["a\\{b,c}"]),
            ("{a,b", vec!["{a,b"]),
        ] {
            let found: Vec<String> = braces(pattern.as_bytes())
                .into_iter()
                .map(|it| String::from_utf8(it).unwrap())
                .collect();
            assert_eq!(found, expected, "{pattern}");
        }
    }

    #[test]
    fn local_names_that_fit_are_found_in_every_part_of_a_path() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a/x.txt", "b/x.txt", "b/y.gz", "c.txt", ".hidden"] {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
        for (pattern, kinds, expected) in [
            ("*.txt", Kinds::Files, vec!["c.txt"]),
            ("*", Kinds::Files, vec!["c.txt"]),
            ("*", Kinds::All, vec!["a", "b", "c.txt"]),
            ("*/*.txt", Kinds::Files, vec!["a/x.txt", "b/x.txt"]),
            ("b/*.{txt,gz}", Kinds::Files, vec!["b/x.txt", "b/y.gz"]),
            ("z*", Kinds::Files, vec![]),
            ("z", Kinds::Files, vec!["z"]),
        ] {
            let found = local(directory.path(), &Word::plain(pattern), kinds);
            let found: Vec<String> = found
                .into_iter()
                .map(|it| String::from_utf8(it).unwrap())
                .collect();
            assert_eq!(found, expected, "{pattern}");
        }
    }
}
