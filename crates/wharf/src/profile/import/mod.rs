//! Other programs' bookmarks, read from their files' text: pure, bounded, and never believed further than a bookmark goes.
//!
//! Passwords are told apart from the rest ([`Imported::password`]): they go to a keyring or nowhere.

mod filezilla;
mod lftp;
mod ncftp;
mod winscp;

use std::fmt::Write as _;
use std::path::PathBuf;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use wharf_client::{Netrc, Target};
use wharf_proto::{Secret, Text};

/// So many bookmarks are read from one file.
const MOST: usize = 10_000;

/// What stays as it is in a part of an address.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
const KEPT_IN_PATHS: &AsciiSet = &KEPT.remove(b'/');

/// One bookmark of another program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Imported {
    pub(crate) name: String,
    pub(crate) scheme: &'static str,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
    /// Relative to the login directory unless it begins with `/`.
    pub(crate) path: Vec<u8>,
    /// Keys of profiles and their texts.
    pub(crate) settings: Vec<(&'static str, String)>,
    pub(crate) comment: Option<String>,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) bookmarks: Vec<Imported>,
    /// What could not be taken over, and why.
    pub(crate) notes: Vec<String>,
}

/// A program whose bookmarks can be read.
pub(crate) struct Program {
    pub(crate) word: &'static str,
    /// Below the home directory; the first that is there is read.
    files: &'static [&'static str],
    pub(crate) read: fn(&str) -> Result<Read, String>,
}

pub(crate) const PROGRAMS: &[Program] = &[
    Program {
        word: "lftp",
        files: &[".local/share/lftp/bookmarks", ".lftp/bookmarks"],
        read: lftp::read,
    },
    Program {
        word: "ncftp",
        files: &[".ncftp/bookmarks"],
        read: ncftp::read,
    },
    Program {
        word: "filezilla",
        files: &[
            ".config/filezilla/sitemanager.xml",
            ".filezilla/sitemanager.xml",
        ],
        read: filezilla::read,
    },
    Program {
        word: "winscp",
        files: &[
            "WinSCP.ini",
            ".config/WinSCP.ini",
            ".wine/drive_c/users/Public/WinSCP.ini",
        ],
        read: winscp::read,
    },
    Program {
        word: "netrc",
        files: &[".netrc"],
        read: netrc,
    },
];

impl Program {
    /// Where its file usually is.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        let home = PathBuf::from(std::env::var_os("HOME").filter(|it| !it.is_empty())?);
        self.files
            .iter()
            .map(|file| home.join(file))
            .find(|file| file.exists())
    }
}

impl Imported {
    /// As an address, without the password.
    ///
    /// # Errors
    /// Something in it cannot stand in an address: in words.
    pub(crate) fn address(&self) -> Result<String, String> {
        let encode = |text: &[u8], kept| percent_encode(text, kept).to_string();
        let mut address = format!("{}://", self.scheme);
        if let Some(user) = self.user.as_deref().filter(|it| !it.is_empty()) {
            address += &encode(user.as_bytes(), KEPT);
            address.push('@');
        }
        if self.host.contains(':') {
            let _ = write!(address, "[{}]", self.host);
        } else {
            address += &self.host;
        }
        if let Some(port) = self.port.filter(|it| *it != 0) {
            let _ = write!(address, ":{port}");
        }
        address.push('/');
        address += &encode(&self.path, KEPT_IN_PATHS);
        if !address.ends_with('/') {
            address.push('/');
        }
        let target: Target = address
            .parse()
            .map_err(|error: wharf_client::TargetError| error.to_string())?;
        debug_assert!(target.password().is_none());
        Ok(address)
    }

    /// The password, if there is one that FTP can send, and whose it is.
    pub(crate) fn secret(&self) -> Option<(Text, Secret)> {
        let user = Text::new(self.user.as_deref()?).ok()?;
        let password = self.password.as_ref().filter(|it| !it.is_empty())?;
        Some((user, Secret::new(Text::new(password.clone()).ok()?)))
    }
}

impl Read {
    /// Takes one over, as long as there are not too many.
    fn take(&mut self, one: Imported) {
        match self.bookmarks.len() {
            MOST => self
                .notes
                .push(format!("more than {MOST} bookmarks: the rest is left out")),
            len if len > MOST => {}
            _ => self.bookmarks.push(one),
        }
    }

    fn skip(&mut self, name: &str, why: &str) {
        if self.notes.len() < MOST {
            self.notes.push(format!(
                "{} left out: {why}",
                wharf_proto::visible(name.as_bytes())
            ));
        }
    }
}

/// The name as it can stand in an address: what cannot becomes `-`.
pub(crate) fn name(name: &str) -> String {
    let odd = |c: char| c.is_control() || c.is_whitespace() || "/:@[]\\\"'#?%".contains(c);
    let name: String = name
        .trim()
        .chars()
        .map(|c| if odd(c) { '-' } else { c })
        .take(100)
        .collect();
    let name = name.trim_matches('-').to_owned();
    if name.is_empty() {
        "imported".to_owned()
    } else {
        name
    }
}

/// Passwords stay in the file, where they are found again.
fn netrc(text: &str) -> Result<Read, String> {
    let netrc = Netrc::parse(text).map_err(|error| error.to_string())?;
    let mut read = Read::default();
    for machine in netrc.machines() {
        let Some(host) = &machine.host else {
            continue;
        };
        let user = machine
            .login
            .as_ref()
            .and_then(|it| it.as_str().map(str::to_owned));
        read.take(Imported {
            name: host.clone(),
            scheme: "ftp",
            host: host.clone(),
            user,
            ..Imported::default()
        });
    }
    Ok(read)
}

#[cfg(test)]
mod tests;
