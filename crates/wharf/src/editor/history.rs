//! The file of past lines: one a line, for its owner's eyes only, and never a password in it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// So many lines are kept.
pub(super) const MOST: usize = 2_000;

/// Not more is read of a file that somebody else has made big.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// The history file of this name, in the state directory. `None` where there is no place for one.
pub(super) fn file(name: &str) -> Option<PathBuf> {
    Some(crate::cmd::forget::directory()?.join(name))
}

/// The open file; a history that cannot be kept is no reason to complain at every line.
pub(super) struct Kept {
    path: Option<PathBuf>,
    lines: Vec<String>,
}

impl Kept {
    pub(super) fn open(path: Option<PathBuf>) -> Self {
        let mut kept = Self {
            lines: path.as_ref().map(read).unwrap_or_default(),
            path,
        };
        if kept.lines.len() > MOST {
            kept.lines.drain(..kept.lines.len() - MOST / 2);
            kept.rewrite();
        }
        kept
    }

    pub(super) fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    pub(super) fn append(&mut self, line: &str) {
        let Some(path) = &self.path else {
            return;
        };
        if let Some(directory) = path.parent() {
            // Whoever cannot make it cannot write into it either.
            let _ = std::fs::create_dir_all(directory);
        }
        let opened = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path);
        let written = opened.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "the history is not kept");
            self.path = None;
        }
    }

    pub(super) fn clear(&mut self) {
        self.lines.clear();
        if let Some(path) = &self.path {
            // Where there is none, there is nothing to forget.
            let _ = std::fs::remove_file(path);
        }
    }

    /// The shortened file takes the place of the long one in one step.
    fn rewrite(&self) {
        let Some(path) = &self.path else {
            return;
        };
        let mut name = path.clone().into_os_string();
        name.push(format!(".{}", std::process::id()));
        let short = PathBuf::from(name);
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&short)
            .and_then(|mut file| {
                let text = self.lines.join("\n") + "\n";
                file.write_all(text.as_bytes())
            })
            .and_then(|()| std::fs::rename(&short, path));
        if written.is_err() {
            let _ = std::fs::remove_file(&short);
        }
    }
}

fn read(path: &PathBuf) -> Vec<String> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut text));
    if read.is_err() {
        return Vec::new();
    }
    String::from_utf8_lossy(&text)
        .lines()
        .filter(|line| !line.is_empty() && !line.chars().any(char::is_control))
        .map(str::to_owned)
        .collect()
}

/// `ftp://user:secret@host/` without `:secret`, wherever it stands in a line.
pub(crate) fn without_url_password(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (before, behind) = rest.split_at(at + 3);
        text.push_str(before);
        let end = behind
            .find(|letter: char| letter == '/' || letter.is_whitespace() || letter == '"')
            .unwrap_or(behind.len());
        let (authority, after) = behind.split_at(end);
        // The last @: passwords may hold one that nobody has encoded.
        match authority.rsplit_once('@') {
            Some((login, host)) => {
                let user = login.split_once(':').map_or(login, |(user, _)| user);
                text.push_str(user);
                text.push('@');
                text.push_str(host);
            }
            None => text.push_str(authority),
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn passwords_in_addresses_are_left_out() {
        for (line, kept) in [
            ("open ftp://me:secret@h/x", "open ftp://me@h/x"),
            ("open ftp://me@h/x", "open ftp://me@h/x"),
            ("open ftp://h/x@y:z", "open ftp://h/x@y:z"),
            ("get ftp://a:b@c/d ftp://e:f@g", "get ftp://a@c/d ftp://e@g"),
            ("get \"ftp://a:b@c\" x", "get \"ftp://a@c\" x"),
            ("open ftp://a:p@ss@c/d", "open ftp://a@c/d"),
            ("ls", "ls"),
        ] {
            assert_eq!(without_url_password(line), kept);
        }
    }

    #[test]
    fn the_file_is_its_owners_alone_and_does_not_grow_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/history");
        let mut kept = Kept::open(Some(path.clone()));
        assert!(kept.lines().is_empty());
        for number in 0..=MOST {
            kept.append(&format!("get {number}"));
        }
        let access = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(access, 0o600);
        let lines = Kept::open(Some(path.clone())).lines();
        assert_eq!(lines.len(), MOST / 2);
        assert_eq!(lines.last().unwrap(), &format!("get {MOST}"));
        let access = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(access, 0o600);
        let mut kept = Kept::open(Some(path.clone()));
        kept.clear();
        assert!(!path.exists());
    }
}
