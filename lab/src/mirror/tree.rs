//! Trees on disk: planted with hostile names, read, compared.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Result;
use crate::payload::Random;
use crate::server::Kind;

/// A directory of the tree that a test removes.
pub(super) const GOES: &str = "dir 1";

/// What the temporary names of wharf end in.
const PART: &[u8] = b".wharf-part";

/// How every seventh directory's name begins.
const DIRECTORY: &[u8] = b"[d]*? ";

/// Names that have brought other clients down, or out of their directory.
const HOSTILE: &[&[u8]] = &[
    b" leading",
    b"trailing ",
    b"two  spaces",
    b"[a]*?",
    b"*",
    b"{a,b}",
    b"-rf",
    b"--help",
    b"~",
    b"~root",
    b"#hash",
    b"%41%2F",
    b"tab\there",
    b"back\\slash",
    b"quote\"quote",
    b"it's",
    b"semi;colon; type=dir; x",
    b"$HOME",
    b"`id`",
    b"|touch x",
    b"a & b > c",
    b"a -> b",
    b"...",
    b"..a",
    b"total 12",
    b"CON",
    b"a:b",
    b"dot.",
    "\u{e9}t\u{e9}".as_bytes(),
    "\u{65e5}\u{672c}".as_bytes(),
    "\u{202e}txt.exe".as_bytes(),
    b"esc\x1b[31mred",
    b"bell\x07",
    b"del\x7f",
    b"-rw-r--r-- 1 a b 5 Jan  1  2024 x",
    b"01-02-24  10:00AM  7 y",
    b"+i1,m2,r,s3,",
    b".hidden",
    b"latin-\xe9",
    b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
];

/// Names that a server cannot hold or tell, whoever asks, each with what happens.
const CANNOT: &[(Kind, &[u8], &str)] = &[
    (
        Kind::Vsftpd,
        b".hidden",
        "LIST leaves it out (force_dot_files=NO)",
    ),
    (Kind::Vsftpd, b"..a", "the same"),
    (Kind::Vsftpd, b"...", "the same"),
    (Kind::PureFtpd, b"back\\slash", "553 Prohibited file name"),
    (Kind::PureFtpd, b"tab\there", "control characters become _"),
    (Kind::PureFtpd, b"trailing ", "the last blank becomes _"),
    (Kind::PureFtpd, b"esc\x1b[31mred", "the same"),
    (Kind::PureFtpd, b"bell\x07", "the same"),
    (Kind::PureFtpd, b"del\x7f", "the same"),
    (
        Kind::ProFtpd,
        DIRECTORY,
        "550 Invalid directory name: no star in MKD",
    ),
    (
        Kind::Pyftpdlib,
        b"latin-\xe9",
        "names that are not UTF-8 are refused",
    ),
];

/// How large a tree is, and how often a run in it is killed.
pub(super) struct Size {
    pub(super) directories: usize,
    pub(super) files: usize,
    pub(super) kills: u32,
}

/// How much must agree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unlike {
    /// Names and content.
    Content,
    /// And the times of files.
    ToTheSecond,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Leaf {
    /// `None`: a directory.
    content: Option<(u64, u64)>,
    seconds: u64,
}

/// Pathnames below the top, with what stands there.
#[derive(Clone, Debug)]
pub(super) struct Tree(BTreeMap<PathBuf, Leaf>);

impl Tree {
    /// Plants a tree in an empty directory, and remembers it.
    pub(super) fn plant(top: &Path, kind: Kind, size: &Size) -> Result<Self> {
        let mut random = Random::new(7);
        let mut directories = vec![top.to_owned()];
        let stem = if can(kind, DIRECTORY) {
            DIRECTORY
        } else {
            b"[d]? "
        };
        for number in 0..size.directories {
            let parent = directories
                [usize::try_from(random.between(0, directories.len() as u64 - 1))?]
            .clone();
            let path = if number < 4 {
                top.join(format!("dir {number}"))
            } else if number % 7 == 0 {
                parent.join(named(stem, number))
            } else {
                parent.join(format!("d{number}"))
            };
            // Pathnames have a limit, too.
            let path = if path.as_os_str().len() > 600 {
                top.join(format!("d{number}"))
            } else {
                path
            };
            fs::create_dir_all(&path)?;
            directories.push(path);
        }
        fs::create_dir_all(top.join("empty"))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        for number in 0..size.files {
            let directory = &directories[number % directories.len()];
            let name = match HOSTILE.get(number) {
                Some(name) if can(kind, name) => OsStr::from_bytes(name).to_owned(),
                Some(_) => named(b"instead", number),
                None => named(HOSTILE_STEMS[number % HOSTILE_STEMS.len()], number),
            };
            let length = match number % 50 {
                0 => 0,
                7 => random.between(100_000, 400_000),
                _ => random.between(1, 4000),
            };
            let path = directory.join(name);
            write(&path, length, &mut random)?;
            // From an hour to twelve years old: LIST writes both forms of dates.
            let age = match number % 3 {
                0 => random.between(3600, 86_400),
                1 => random.between(86_400, 170 * 86_400),
                _ => random.between(190 * 86_400, 12 * 365 * 86_400),
            };
            set_time(&path, now - age)?;
        }
        Self::read(top)
    }

    /// Changes every third file, in the directory and in what is remembered.
    pub(super) fn change(&self, top: &Path) -> Result<Self> {
        let mut random = Random::new(11);
        for (path, leaf) in self.0.iter().step_by(3) {
            if leaf.content.is_some() {
                let length = random.between(1, 5000);
                write(&top.join(path), length, &mut random)?;
                set_time(&top.join(path), leaf.seconds + 100)?;
            }
        }
        Self::read(top)
    }

    /// What stands in a directory.
    pub(super) fn read(top: &Path) -> Result<Self> {
        let mut leaves = BTreeMap::new();
        let mut todo = vec![PathBuf::new()];
        while let Some(directory) = todo.pop() {
            for entry in fs::read_dir(top.join(&directory))? {
                let entry = entry?;
                let path = directory.join(entry.file_name());
                let Ok(facts) = entry.metadata() else {
                    continue; // on its way to another name
                };
                let seconds = facts.modified()?.duration_since(UNIX_EPOCH)?.as_secs();
                let content = if facts.is_dir() {
                    todo.push(path.clone());
                    None
                } else {
                    match digest(&entry.path()) {
                        Ok(digest) => Some((facts.len(), digest)),
                        Err(_) if !entry.path().exists() => continue,
                        Err(failure) => return Err(failure),
                    }
                };
                leaves.insert(path, Leaf { content, seconds });
            }
        }
        Ok(Self(leaves))
    }

    /// How many files.
    pub(super) fn files(&self) -> usize {
        self.0
            .values()
            .filter(|leaf| leaf.content.is_some())
            .count()
    }

    /// The directory holds exactly this tree, and nothing else.
    pub(super) fn must_be(&self, top: &Path, unlike: Unlike) -> Result<()> {
        let found = Self::read(top)?;
        for (path, leaf) in &self.0 {
            let Some(there) = found.0.get(path) else {
                return Err(format!("{} is missing", shown(path)).into());
            };
            if there.content != leaf.content {
                return Err(
                    format!("{} differs: {there:?} instead of {leaf:?}", shown(path)).into(),
                );
            }
            let apart = there.seconds.abs_diff(leaf.seconds);
            if unlike == Unlike::ToTheSecond && leaf.content.is_some() && apart > 1 {
                return Err(format!("{}: the time is {apart} s off", shown(path)).into());
            }
        }
        match found.0.keys().find(|path| !self.0.contains_key(*path)) {
            Some(path) => Err(format!("{} should not be there", shown(path)).into()),
            None => Ok(()),
        }
    }

    /// Every file under a final name is whole: that of the one tree or of the other.
    pub(super) fn must_be_of(&self, old: &Self, new: &Self) -> Result<()> {
        for (path, leaf) in &self.0 {
            let is_part = path.as_os_str().as_bytes().ends_with(PART);
            let known = [old, new].iter().any(|tree| {
                tree.0
                    .get(path)
                    .is_some_and(|want| want.content == leaf.content)
            });
            if !known && !is_part {
                return Err(format!(
                    "{} is neither the old file nor the new one: {leaf:?}",
                    shown(path)
                )
                .into());
            }
        }
        Ok(())
    }
}

const HOSTILE_STEMS: &[&[u8]] = &[b"f", b" f", b"f [*]", b"f'\"", "\u{fc}".as_bytes()];

fn named(stem: &[u8], number: usize) -> OsString {
    let mut name = stem.to_vec();
    name.extend_from_slice(number.to_string().as_bytes());
    OsString::from_vec(name)
}

fn can(kind: Kind, name: &[u8]) -> bool {
    !CANNOT
        .iter()
        .any(|(whose, which, _)| *whose == kind && *which == name)
}

fn write(path: &Path, length: u64, random: &mut Random) -> Result<()> {
    let bytes: Vec<u8> = (0..length.div_ceil(8))
        .flat_map(|_| random.next().to_ne_bytes())
        .collect();
    let bytes = bytes.get(..usize::try_from(length)?).unwrap_or(&bytes);
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn set_time(path: &Path, seconds: u64) -> Result<()> {
    let file = File::options().write(true).open(path)?;
    Ok(file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds))?)
}

/// A hostile name, fit for a terminal.
fn shown(path: &Path) -> String {
    path.display().to_string().escape_debug().to_string()
}

/// FNV-1a of the content: nobody here means harm.
fn digest(path: &Path) -> Result<u64> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    }))
}
