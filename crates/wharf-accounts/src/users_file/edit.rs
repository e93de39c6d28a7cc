//! Changing a users file: comments and order stay, only what is asked for is different.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use wharf_proto::{Pathname, Secret};

use super::UsersError;
use super::parse::{self, Place, User, check_name};
use crate::{Besides, CertificateRule, PasswordHash};

/// A users file being edited, for `wharf user`. Everything here blocks.
#[derive(Debug, Default)]
pub struct UserList {
    text: String,
    users: Vec<(User, Place)>,
    /// What the file said when it was loaded.
    loaded: Option<String>,
}

impl UserList {
    /// A list without users, for a file that is not there yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a file; one that is not there is [`UsersError::is_missing`].
    pub fn load(path: &Path) -> Result<Self, UsersError> {
        let text = std::fs::read_to_string(path).map_err(|source| UsersError::Io {
            path: path.to_owned(),
            source,
        })?;
        let users = parse::users_with_places(&text).map_err(|problems| UsersError::Invalid {
            path: path.to_owned(),
            problems,
        })?;
        Ok(Self {
            loaded: Some(text.clone()),
            text,
            users,
        })
    }

    /// In the order of the file.
    pub fn users(&self) -> impl ExactSizeIterator<Item = &User> {
        self.users.iter().map(|(user, _)| user)
    }

    /// Adds a user; `None` as home is everything. Hashes the password, some 20 ms.
    pub fn add(
        &mut self,
        name: &str,
        password: &Secret,
        home: Option<&Pathname>,
        read_only: bool,
    ) -> Result<(), UsersError> {
        self.add_known_by(name, None, Some(password), home, read_only)
    }

    /// The same for a user who is known by certificates, with a password besides or without one.
    pub fn add_known_by(
        &mut self,
        name: &str,
        certificate: Option<&CertificateRule>,
        password: Option<&Secret>,
        home: Option<&Pathname>,
        read_only: bool,
    ) -> Result<(), UsersError> {
        check_name(name).map_err(UsersError::Name)?;
        if self.position(name).is_some() {
            return Err(UsersError::Exists(name.to_owned()));
        }
        let hash = password.map(PasswordHash::of).transpose();
        let hash = hash.map_err(UsersError::Hash)?;
        let mut text = self.text.clone();
        if !text.is_empty() {
            let end = if text.ends_with('\n') { "\n" } else { "\n\n" };
            text += end;
        }
        let home = match home {
            Some(home) => home.as_str().ok_or(UsersError::Home)?,
            None => "/",
        };
        // The password last: of a file that is cut off no user is left with more rights than were written.
        text += "[[user]]\n";
        let mut put = |key: &str, value: toml::Value| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{key} = {value}");
        };
        put("name", name.into());
        if home != "/" {
            put("home", home.into());
        }
        if read_only {
            put("read_only", true.into());
        }
        text += &certificate.map(lines).unwrap_or_default();
        if let Some(hash) = hash {
            let _ = writeln!(text, "password = {}", toml::Value::from(hash.expose()));
        }
        let count = self.users.len() + 1;
        self.replace(text, |users| {
            users.len() == count && users.last().is_some_and(|(user, _)| user.name == name)
        })
    }

    /// By which certificates a user is known from now on; `None`: by none.
    pub fn set_certificate(
        &mut self,
        name: &str,
        certificate: Option<&CertificateRule>,
    ) -> Result<(), UsersError> {
        let index = self.position(name);
        let index = index.ok_or_else(|| UsersError::Unknown(name.to_owned()))?;
        let (_, place) = self.users.get(index).ok_or(UsersError::Form)?;
        let mut text = self.text.clone();
        let mut old = place.certificate.clone();
        old.sort_by_key(|range| range.start);
        for range in old.into_iter().rev() {
            text.replace_range(whole_lines(&text, &range)?, "");
        }
        let below = self.below_header(index)?;
        text.insert_str(below, &certificate.map(lines).unwrap_or_default());
        self.replace(text, |users| {
            let mut users = users.iter().map(|(user, _)| user);
            users.any(|user| user.name == name && user.certificate.as_ref() == certificate)
        })
    }

    /// Gives a user another password, or one at all. Hashes it, some 20 ms.
    pub fn set_password(&mut self, name: &str, password: &Secret) -> Result<(), UsersError> {
        let index = self.position(name);
        let index = index.ok_or_else(|| UsersError::Unknown(name.to_owned()))?;
        let (_, place) = self.users.get(index).ok_or(UsersError::Form)?;
        let hash = PasswordHash::of(password).map_err(UsersError::Hash)?;
        let mut text = self.text.clone();
        let quoted = toml::Value::from(hash.expose()).to_string();
        match &place.password {
            Some(place) => text.replace_range(place.clone(), &quoted),
            None => text.insert_str(self.below_header(index)?, &format!("password = {quoted}\n")),
        }
        self.replace(text, |users| {
            users
                .iter()
                .any(|(user, _)| user.name == name && user.password.as_ref() == Some(&hash))
        })
    }

    /// Removes a user, with the comments inside the table; false if there is none of that name.
    pub fn remove(&mut self, name: &str) -> Result<bool, UsersError> {
        let Some(index) = self.position(name) else {
            return Ok(false);
        };
        let begin = self.header(index)?;
        let end = if index + 1 < self.users.len() {
            self.header(index + 1)?
        } else {
            self.text.len()
        };
        let mut text = self.text.clone();
        text.replace_range(begin..end, "");
        let count = self.users.len() - 1;
        self.replace(text, |users| {
            users.len() == count && users.iter().all(|(user, _)| user.name != name)
        })?;
        Ok(true)
    }

    /// Writes the file: whole or not at all, mode 0600. A file that is replaced keeps its owner, and its group may go on
    /// reading if it could. Refuses if the file is not as it was loaded.
    pub fn save(&mut self, path: &Path) -> Result<(), UsersError> {
        let failed = |source| UsersError::Io {
            path: path.to_owned(),
            source,
        };
        // A symbolic link stays one.
        let path = match path.canonicalize() {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(failed(error)),
        };
        let there = match std::fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        if there != self.loaded {
            return Err(UsersError::Changed(path));
        }
        write_whole(&path, &self.text).map_err(failed)?;
        self.loaded = Some(self.text.clone());
        Ok(())
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.users.iter().position(|(user, _)| user.name == name)
    }

    /// Where the line of a user's `[[user]]` begins.
    fn header(&self, index: usize) -> Result<usize, UsersError> {
        let (_, place) = self.users.get(index).ok_or(UsersError::Form)?;
        let before = self.text.get(..place.table).ok_or(UsersError::Form)?;
        let begin = before.rfind('\n').map_or(0, |at| at + 1);
        let line = self.text.get(begin..).unwrap_or_default();
        if line.trim_start().starts_with("[[") {
            Ok(begin)
        } else {
            Err(UsersError::Form)
        }
    }

    /// Where the line below a user's `[[user]]` begins.
    fn below_header(&self, index: usize) -> Result<usize, UsersError> {
        let header = self.header(index)?;
        let line = self.text.get(header..).and_then(|rest| rest.find('\n'));
        Ok(header + line.ok_or(UsersError::Form)? + 1)
    }

    /// Takes a changed text, provided that it says what it should. The check is what makes editing text safe.
    fn replace(
        &mut self,
        text: String,
        as_expected: impl FnOnce(&[(User, Place)]) -> bool,
    ) -> Result<(), UsersError> {
        let users = parse::users_with_places(&text).map_err(|_| UsersError::Form)?;
        if !as_expected(&users) {
            return Err(UsersError::Form);
        }
        self.text = text;
        self.users = users;
        Ok(())
    }
}

/// As a users file says it. Of a file that is cut off no user is left with more rights than were written.
fn lines(rule: &CertificateRule) -> String {
    let besides = match rule.besides {
        Besides::Nothing => "alone",
        Besides::Password => "and-password",
    };
    let array = |items: Vec<String>| toml::Value::from(items);
    let fingerprints = rule.fingerprints.iter();
    let fingerprints: Vec<_> = fingerprints.map(|it| format!("sha256:{it}")).collect();
    let mut text = format!("certificate = {}\n", toml::Value::from(besides));
    for (key, items) in [
        ("certificates", fingerprints),
        ("certificate_names", rule.names.clone()),
    ] {
        if !items.is_empty() {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{key} = {}", array(items));
        }
    }
    text
}

/// The lines on which a key and its value stand, which must stand alone there.
fn whole_lines(text: &str, range: &Range<usize>) -> Result<Range<usize>, UsersError> {
    let before = text.get(..range.start).ok_or(UsersError::Form)?;
    let begin = before.rfind('\n').map_or(0, |at| at + 1);
    let after = text.get(range.end..).ok_or(UsersError::Form)?;
    let (rest, end) = match after.find('\n') {
        Some(at) => (after.get(..at), range.end + at + 1),
        None => (Some(after), text.len()),
    };
    let rest = rest.unwrap_or_default().trim();
    let alone = before.get(begin..).is_some_and(|it| it.trim().is_empty())
        && (rest.is_empty() || rest.starts_with('#'));
    if alone {
        Ok(begin..end)
    } else {
        Err(UsersError::Form)
    }
}

/// Replaces a file: whole or not at all, mode 0600.
pub(crate) fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let (file, temporary) = create_beside(path)?;
    let written = fill(file, path, text).and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn create_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    loop {
        let random = getrandom::u64().map_err(io::Error::other)?;
        let temporary = path.with_file_name(format!(".{name}.{random:016x}"));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        match options.open(&temporary) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return Ok((other?, temporary)),
        }
    }
}

fn fill(mut file: File, replaces: &Path, text: &str) -> io::Result<()> {
    let mut mode = 0o600;
    if let Ok(old) = std::fs::metadata(replaces) {
        let new = file.metadata()?;
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            // Else the server, which may run as the old owner, could not read its users any more.
            fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        mode |= old.mode() & 0o040;
    }
    // Regardless of the umask.
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
