//! rm, mv, mkdir, chmod and their relatives.

use wharf_client::{Entry, EntryKind, ErrorKind};
use wharf_proto::{Pathname, Text, visible};

use super::Shell;
use super::options::{self, switch, valued};
use super::pattern::{self, Kinds, no_match, pathname};
use super::place::failed;
use super::syntax::Word;
use crate::exit::{Exit, Failure};

/// So deep may a tree be that is removed or changed.
pub(super) const DEEPEST_TREE: usize = 200;

impl Shell {
    /// `rm [-r] [-f] file...`: names, not patterns.
    pub(super) async fn rm(&mut self, words: &[Word]) -> Result<(), Failure> {
        let known = [switch('r', "recursive"), switch('f', "force")];
        let given = options::read("rm", &known, words)?;
        let names = given.rest.iter().map(|word| word.text.clone()).collect();
        self.remove("rm", names, given.has("recursive"), given.has("force"))
            .await
    }

    /// `mrm [-r] [-f] pattern...`
    pub(super) async fn mrm(&mut self, words: &[Word]) -> Result<(), Failure> {
        let known = [switch('r', "recursive"), switch('f', "force")];
        let given = options::read("mrm", &known, words)?;
        let recursive = given.has("recursive");
        let kinds = if recursive { Kinds::All } else { Kinds::Files };
        let mut names = Vec::new();
        for word in &given.rest {
            let found = pattern::remote(self.client().await?, word, kinds).await?;
            if found.is_empty() && !given.has("force") {
                return Err(no_match(word));
            }
            names.extend(found);
        }
        if names.is_empty() && given.has("force") {
            return Ok(());
        }
        self.remove("mrm", names, recursive, given.has("force"))
            .await
    }

    async fn remove(
        &mut self,
        command: &str,
        names: Vec<Vec<u8>>,
        recursive: bool,
        force: bool,
    ) -> Result<(), Failure> {
        if names.is_empty() {
            return Err(Failure::usage(format!("{command}: which file?")));
        }
        let mut results = Vec::new();
        for name in names {
            let path = pathname(&name)?;
            if recursive && path.components().all(|part| part == b"." || part == b"..") {
                let shown = path.display();
                let message = format!("{command}: {shown} would be everything");
                results.push(Err(
                    Failure::usage(message).with_hint("name what is to be removed")
                ));
                continue;
            }
            let done = match recursive {
                true => Box::pin(self.remove_tree(&path, DEEPEST_TREE)).await,
                false => self
                    .client()
                    .await?
                    .remove_file(&path)
                    .await
                    .map(drop)
                    .map_err(failed),
            };
            results.push(match done {
                // -f: what is not there need not be removed.
                Err(failure) if force && failure.exit == Exit::NotFound => Ok(()),
                Err(failure)
                    if force && failure.exit == Exit::Denied && self.is_missing(&path).await =>
                {
                    Ok(())
                }
                done => done,
            });
        }
        self.summed(results)
    }

    async fn is_missing(&mut self, path: &Pathname) -> bool {
        let Ok(client) = self.client().await else {
            return false;
        };
        let found = client.entry(path).await;
        matches!(found, Err(error) if error.kind() == ErrorKind::NotFound)
    }

    /// A file, or a directory with all that is in it. Links are removed, never followed.
    async fn remove_tree(&mut self, path: &Pathname, deep: usize) -> Result<(), Failure> {
        let client = self.client().await?;
        let refused = match client.remove_file(path).await {
            Ok(_) => return Ok(()),
            Err(error) if error.reply().is_some() => error,
            Err(error) => return Err(failed(error)),
        };
        let entry = client.entry(path).await.map_err(failed)?;
        if !entry.is_directory() {
            return Err(failed(refused));
        }
        self.remove_directory(path, deep).await
    }

    async fn remove_directory(&mut self, path: &Pathname, deep: usize) -> Result<(), Failure> {
        let Some(deeper) = deep.checked_sub(1) else {
            let shown = path.display().to_string();
            return Err(Failure::new(
                Exit::Protocol,
                format!("{shown}: directories within directories without end"),
            ));
        };
        let entries = self
            .client()
            .await?
            .list(Some(path))
            .await
            .map_err(failed)?;
        let mut last = Ok(());
        for entry in entries {
            let Ok(below) = path.child(&entry.name) else {
                let shown = visible(&entry.name);
                last = Err(Failure::new(
                    Exit::Protocol,
                    format!("{shown} is not a name"),
                ));
                continue;
            };
            let done = match entry.is_directory() {
                true => Box::pin(self.remove_directory(&below, deeper)).await,
                false => self
                    .client()
                    .await?
                    .remove_file(&below)
                    .await
                    .map(drop)
                    .map_err(failed),
            };
            if let Err(failure) = done {
                if failure.exit == Exit::Unreachable {
                    return Err(failure);
                }
                self.tell(&failure);
                last = Err(Failure::told(failure.exit));
            }
        }
        last?;
        self.client()
            .await?
            .remove_dir(path)
            .await
            .map(drop)
            .map_err(failed)
    }

    /// `rmdir [-f] directory...`
    pub(super) async fn rmdir(&mut self, words: &[Word]) -> Result<(), Failure> {
        let given = options::read("rmdir", &[switch('f', "force")], words)?;
        if given.rest.is_empty() {
            return Err(Failure::usage("rmdir: which directory?"));
        }
        let mut results = Vec::new();
        for word in &given.rest {
            let path = pathname(&word.text)?;
            let done = self
                .client()
                .await?
                .remove_dir(&path)
                .await
                .map(drop)
                .map_err(failed);
            results.push(match done {
                Err(failure) if given.has("force") && failure.exit == Exit::NotFound => Ok(()),
                done => done,
            });
        }
        self.summed(results)
    }

    /// `mkdir [-p] [-f] directory...`
    pub(super) async fn mkdir(&mut self, words: &[Word]) -> Result<(), Failure> {
        let given = options::read(
            "mkdir",
            &[switch('p', "parents"), switch('f', "quiet")],
            words,
        )?;
        if given.rest.is_empty() {
            return Err(Failure::usage("mkdir: which directory?"));
        }
        let mut results = Vec::new();
        for word in &given.rest {
            let path = pathname(&word.text)?;
            let done = match given.has("parents") {
                true => self.make_remote(&path).await,
                false => self
                    .client()
                    .await?
                    .make_dir(&path)
                    .await
                    .map(drop)
                    .map_err(failed),
            };
            results.push(match done {
                // -f: not told, as in lftp; the status is that of the failure.
                Err(failure) if given.has("quiet") => Err(Failure::told(failure.exit)),
                done => done,
            });
        }
        self.summed(results)
    }

    /// `mv file new-name`; a directory, or a name that ends in a slash, keeps the name.
    pub(super) async fn rename(&mut self, words: &[Word]) -> Result<(), Failure> {
        let given = options::read("mv", &[], words)?;
        let [from, to] = given.rest.as_slice() else {
            return Err(
                Failure::usage("mv: a file and its new name").with_hint("mmv moves several")
            );
        };
        let source = pathname(&from.text)?;
        let goal = pathname(&to.text)?;
        if to.text.ends_with(b"/") {
            return self.move_into(&source, &goal).await;
        }
        let client = self.client().await?;
        match client.rename(&source, &goal).await {
            Ok(_) => Ok(()),
            Err(error) if error.reply().is_none() => Err(failed(error)),
            Err(error) => {
                // Perhaps it is a directory.
                let into = client.entry(&goal).await;
                match into {
                    Ok(entry) if entry.is_directory() => self.move_into(&source, &goal).await,
                    _ => Err(failed(error)),
                }
            }
        }
    }

    async fn move_into(&mut self, source: &Pathname, directory: &Pathname) -> Result<(), Failure> {
        let name = source.file_name().unwrap_or_default();
        let goal = directory
            .child(name)
            .map_err(|error| Failure::usage(error.to_string()))?;
        self.client()
            .await?
            .rename(source, &goal)
            .await
            .map(drop)
            .map_err(failed)
    }

    /// `mmv [-O directory] pattern... [directory]`
    pub(super) async fn mmv(&mut self, words: &[Word]) -> Result<(), Failure> {
        let given = options::read("mmv", &[valued('O', "into"), switch('e', "anew")], words)?;
        let mut patterns = given.rest.clone();
        let into = match given.value("into") {
            Some(word) => Some(word.clone()),
            None => patterns.pop(),
        };
        let (Some(into), false) = (into, patterns.is_empty()) else {
            return Err(Failure::usage(
                "mmv: files and the directory that they go to",
            ));
        };
        let directory = pathname(&into.text)?;
        let mut results = Vec::new();
        for word in &patterns {
            let names = pattern::remote(self.client().await?, word, Kinds::All).await?;
            if names.is_empty() {
                results.push(Err(no_match(word)));
            }
            for name in names {
                let source = pathname(&name)?;
                if given.has("anew")
                    && let Ok(goal) = directory.child(source.file_name().unwrap_or_default())
                {
                    // What is not there is not in the way.
                    let _ = self.client().await?.remove_file(&goal).await;
                }
                results.push(self.move_into(&source, &directory).await);
            }
        }
        self.summed(results)
    }

    /// `ln -s target link`
    pub(super) async fn link(&mut self, words: &[Word]) -> Result<(), Failure> {
        let given = options::read("ln", &[switch('s', "symbolic")], words)?;
        let [goal, link] = given.rest.as_slice() else {
            return Err(Failure::usage("ln: the target and the name of the link"));
        };
        if !given.has("symbolic") {
            return Err(Failure::usage(
                "ln: FTP knows symbolic links only, and only some servers do",
            )
            .with_hint("ln -s"));
        }
        let line = [b"SYMLINK ", goal.text.as_slice(), b" ", &link.text].concat();
        let line = Text::new(line).map_err(|_| Failure::usage("a name cannot hold line breaks"))?;
        self.client()
            .await?
            .site(line)
            .await
            .map(drop)
            .map_err(failed)
    }

    /// `chmod [-R] [-f] [-v] mode file...`
    pub(super) async fn chmod(&mut self, words: &[Word]) -> Result<(), Failure> {
        let known = [
            switch('R', "recursive"),
            switch('f', "quiet"),
            switch('v', "verbose"),
            switch('c', "changes"),
        ];
        // `-x`, `-w` is a change of permissions, not an option.
        let change = |word: &Word| {
            word.text.starts_with(b"-")
                && word.text.len() > 1
                && word.text[1..].iter().all(|it| b"rwxst".contains(it))
        };
        let at = words.iter().position(change).unwrap_or(words.len());
        let mut given = options::read("chmod", &known, &words[..at])?;
        given.rest.extend(words[at..].iter().cloned());
        let Some((mode, files)) = given
            .rest
            .split_first()
            .filter(|(_, files)| !files.is_empty())
        else {
            return Err(Failure::usage("chmod: the permissions and the files"));
        };
        let change = Change::read(&mode.text)?;
        let mut results = Vec::new();
        for word in files {
            for name in pattern::remote(self.client().await?, word, Kinds::All).await? {
                let path = pathname(&name)?;
                let done = self
                    .change_mode(&path, &change, given.has("recursive"), DEEPEST_TREE)
                    .await;
                let done = match done {
                    Err(failure) if given.has("quiet") => Err(Failure::told(failure.exit)),
                    done => done,
                };
                if done.is_ok() && (given.has("verbose") || given.has("changes")) {
                    let line = format!("mode of `{}' changed", path.display());
                    self.sink.line(line.as_bytes()).await?;
                }
                results.push(done);
            }
        }
        self.summed(results)
    }

    async fn change_mode(
        &mut self,
        path: &Pathname,
        change: &Change,
        recursive: bool,
        deep: usize,
    ) -> Result<(), Failure> {
        let entry = match (change, recursive) {
            (Change::To(_), false) => Entry::new(Vec::new(), EntryKind::File),
            _ => self.client().await?.entry(path).await.map_err(failed)?,
        };
        let mode = change.applied(&entry).ok_or_else(|| {
            let shown = path.display().to_string();
            Failure::new(Exit::Denied, format!("{shown}: the server does not tell its permissions, so they cannot be changed in part"))
                .with_hint("chmod 644 FILE sets all of them")
        })?;
        self.client()
            .await?
            .chmod(path, mode)
            .await
            .map_err(failed)?;
        if !recursive || !entry.is_directory() {
            return Ok(());
        }
        let Some(deeper) = deep.checked_sub(1) else {
            let shown = path.display().to_string();
            return Err(Failure::new(
                Exit::Protocol,
                format!("{shown}: directories within directories without end"),
            ));
        };
        let entries = self
            .client()
            .await?
            .list(Some(path))
            .await
            .map_err(failed)?;
        let mut results = Vec::new();
        for entry in entries {
            // A link's target is not in this tree.
            if matches!(entry.kind, EntryKind::Symlink { .. }) {
                continue;
            }
            let below = path
                .child(&entry.name)
                .map_err(|error| Failure::new(Exit::Protocol, error.to_string()))?;
            results.push(Box::pin(self.change_mode(&below, change, true, deeper)).await);
        }
        self.summed(results)
    }
}

/// What chmod does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    To(u32),
    /// Who (bits of rwx for user, group, others), how (`+`, `-`, `=`), which.
    Parts(Vec<(u32, u8, Vec<u8>)>),
}

impl Change {
    /// `644`, `u+x,go-w`, `a=r`.
    fn read(word: &[u8]) -> Result<Self, Failure> {
        let wrong = || {
            let shown = visible(word);
            Failure::usage(format!("chmod: `{shown}` is no permission")).with_hint("644, u+x, go-w")
        };
        let text = std::str::from_utf8(word).map_err(|_| wrong())?;
        if text.starts_with(|letter: char| letter.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).map_err(|_| wrong())?;
            return if mode <= 0o7777 {
                Ok(Self::To(mode))
            } else {
                Err(wrong())
            };
        }
        let mut parts = Vec::new();
        for part in text.split(',') {
            let at = part.find(['+', '-', '=']).ok_or_else(wrong)?;
            let mut who = 0;
            for letter in part[..at].chars() {
                who |= match letter {
                    'u' => 0o700,
                    'g' => 0o070,
                    'o' => 0o007,
                    'a' => 0o777,
                    _ => return Err(wrong()),
                };
            }
            let which = &part.as_bytes()[at + 1..];
            if !which.iter().all(|letter| b"rwxX".contains(letter)) {
                return Err(wrong());
            }
            let who = if who == 0 { 0o777 } else { who };
            parts.push((who, part.as_bytes()[at], which.to_vec()));
        }
        Ok(Self::Parts(parts))
    }

    /// The permissions afterwards; `None` where those before are not known and matter.
    fn applied(&self, entry: &Entry) -> Option<u32> {
        let parts = match self {
            Self::To(mode) => return Some(*mode),
            Self::Parts(parts) => parts,
        };
        let mut mode = entry.mode?;
        for (who, how, which) in parts {
            let mut bits = 0;
            for letter in which {
                bits |= match letter {
                    b'r' => 0o444,
                    b'w' => 0o222,
                    b'x' => 0o111,
                    // Only where it has a meaning already.
                    _ if entry.is_directory() || mode & 0o111 != 0 => 0o111,
                    _ => 0,
                };
            }
            bits &= who;
            mode = match how {
                b'+' => mode | bits,
                b'-' => mode & !bits,
                _ => (mode & !who) | bits,
            };
        }
        Some(mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_changed_as_chmod_does() {
        for (word, before, directory, expected) in [
            ("644", None, false, Some(0o644)),
            ("u+x", Some(0o644), false, Some(0o744)),
            ("go-rw", Some(0o666), false, Some(0o600)),
            ("a=r", Some(0o755), false, Some(0o444)),
            ("+x", Some(0o644), false, Some(0o755)),
            ("u+rwX", Some(0o400), false, Some(0o600)),
            ("u+rwX", Some(0o400), true, Some(0o700)),
            ("u+x,g-w", Some(0o664), false, Some(0o744)),
            ("u+x", None, false, None),
        ] {
            let kind = if directory {
                EntryKind::Directory
            } else {
                EntryKind::File
            };
            let entry = Entry {
                mode: before,
                ..Entry::new(b"x".to_vec(), kind)
            };
            assert_eq!(
                Change::read(word.as_bytes()).unwrap().applied(&entry),
                expected,
                "{word}"
            );
        }
        for word in ["x", "u", "999", "77777", "u+q", ""] {
            assert!(Change::read(word.as_bytes()).is_err(), "{word}");
        }
    }
}
