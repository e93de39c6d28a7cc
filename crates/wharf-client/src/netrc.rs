//! Reading `~/.netrc`: who logs in where.
//!
//! The format is that of BSD ftp(1): words separated by white space, `machine NAME` or `default`, then `login`,
//! `password`, `account`, `macdef NAME` with lines up to an empty one. Macros are handed on; whether they are executed is
//! the caller's affair, and a file that others may write is refused for them. Words may be quoted (`"two words"`, with `\"` and `\\`), a line that begins with `#` is a comment.
//!
//! A file with a password in it that the group or others may read is refused, as BSD ftp does, unless the password belongs
//! to `anonymous`.

use std::path::{Path, PathBuf};
use std::{fs, io};

use wharf_proto::{Secret, Text};

/// A file bigger than this is not a netrc file.
const SIZE_LIMIT: u64 = 1 << 20;

/// The machines of one netrc file, in its order.
#[derive(Clone, Debug, Default)]
pub struct Netrc {
    machines: Vec<Machine>,
}

/// One `machine` or `default` entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Host name as written; `None` is `default`.
    pub host: Option<String>,
    /// `login`.
    pub login: Option<Text>,
    /// `password`.
    pub password: Option<Secret>,
    /// `account`, for servers that ask for ACCT.
    pub account: Option<Secret>,
    /// `macdef`: name and lines, in the order of the file. `init` is meant to run after the login.
    pub macros: Vec<(String, Vec<String>)>,
}

/// Why a netrc file was not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetrcError {
    /// The file exists but could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may read the passwords.
    #[error("{} holds a password and others may read it\nhint: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// Others may write commands into it.
    #[error("{} holds macros and others may write it\nhint: chmod 600 {}", path.display(), path.display())]
    Writable {
        /// The file.
        path: PathBuf,
    },
    /// The text does not follow the format.
    #[error("netrc line {line}: {what}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

impl Netrc {
    /// Where the file is looked for: `$NETRC`, else `.netrc` in the home directory.
    pub fn default_path() -> Option<PathBuf> {
        match std::env::var_os("NETRC") {
            Some(path) if !path.is_empty() => Some(PathBuf::from(path)),
            _ => {
                let home = std::env::var_os("HOME").filter(|it| !it.is_empty())?;
                Some(PathBuf::from(home).join(".netrc"))
            }
        }
    }

    /// Reads a file. One that does not exist is an empty one.
    pub fn read(path: &Path) -> Result<Self, NetrcError> {
        let unreadable = |source| NetrcError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(unreadable(error)),
        };
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.len() > SIZE_LIMIT {
            return Err(unreadable(io::Error::other("larger than 1 MiB")));
        }
        let mut text = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(&file, SIZE_LIMIT), &mut text)
            .map_err(unreadable)?;
        let netrc = Self::parse(&String::from_utf8_lossy(&text))?;
        let secret = |it: &Machine| {
            it.account.is_some()
                || it.password.is_some()
                    && it
                        .login
                        .as_ref()
                        .is_none_or(|it| it.as_bytes() != b"anonymous")
        };
        if exposed(&metadata) && netrc.machines.iter().any(secret) {
            return Err(NetrcError::Exposed {
                path: path.to_owned(),
            });
        }
        if writable(&metadata) && netrc.machines.iter().any(|it| !it.macros.is_empty()) {
            return Err(NetrcError::Writable {
                path: path.to_owned(),
            });
        }
        Ok(netrc)
    }

    /// Parses the text of a netrc file.
    pub fn parse(text: &str) -> Result<Self, NetrcError> {
        let mut words = Words {
            rest: text,
            line: 1,
            fresh_line: true,
        };
        let mut machines: Vec<Machine> = Vec::new();
        while let Some(word) = words.next()? {
            let line = words.line;
            let mut value = |what: &str| match words.next_value()? {
                Some(it) => Ok(it),
                None => Err(NetrcError::Syntax {
                    line,
                    what: format!("nothing follows {what}"),
                }),
            };
            let last = machines.last_mut();
            let outside = || NetrcError::Syntax {
                line,
                what: format!("{word} before any machine"),
            };
            match word.as_str() {
                "machine" => machines.push(Machine::empty(Some(value("machine")?))),
                "default" => machines.push(Machine::empty(None)),
                "login" => last.ok_or_else(outside)?.login = Some(field(&value("login")?, line)?),
                "password" => {
                    last.ok_or_else(outside)?.password =
                        Some(Secret::new(field(&value("password")?, line)?));
                }
                "account" => {
                    last.ok_or_else(outside)?.account =
                        Some(Secret::new(field(&value("account")?, line)?));
                }
                "macdef" => {
                    let machine = last.ok_or_else(outside)?;
                    let name = value("macdef")?;
                    let lines = words.macro_lines();
                    machine.macros.push((name, lines));
                }
                _ => {
                    // The word is not shown: it may be the second half of a password with a space in it.
                    return Err(NetrcError::Syntax {
                        line,
                        what: "unknown word".into(),
                    });
                }
            }
        }
        Ok(Self { machines })
    }

    /// All entries, in the file's order.
    pub fn machines(&self) -> &[Machine] {
        &self.machines
    }

    /// The entry for a host, and for one user of it when `user` is given; `default` last.
    pub fn find(&self, host: &str, user: Option<&Text>) -> Option<&Machine> {
        let fits =
            |it: &&Machine| user.is_none() || it.login.is_none() || it.login.as_ref() == user;
        let named = |it: &&Machine| {
            it.host
                .as_ref()
                .is_some_and(|it| it.eq_ignore_ascii_case(host))
        };
        let by_name = self.machines.iter().find(|it| named(it) && fits(it));
        by_name.or_else(|| {
            self.machines
                .iter()
                .find(|it| it.host.is_none() && fits(it))
        })
    }
}

impl Machine {
    fn empty(host: Option<String>) -> Self {
        Self {
            host,
            login: None,
            password: None,
            account: None,
            macros: Vec::new(),
        }
    }
}

fn field(word: &str, line: usize) -> Result<Text, NetrcError> {
    Text::new(word).map_err(|_| NetrcError::Syntax {
        line,
        what: "line break or NUL in a value".into(),
    })
}

#[cfg(unix)]
fn exposed(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o077 != 0
}

#[cfg(unix)]
fn writable(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(metadata) & 0o022 != 0
}

#[cfg(not(unix))]
fn writable(_: &fs::Metadata) -> bool {
    false
}

#[cfg(not(unix))]
fn exposed(_: &fs::Metadata) -> bool {
    false
}

struct Words<'t> {
    rest: &'t str,
    line: usize,
    /// Nothing but white space since the line began: `#` opens a comment here.
    fresh_line: bool,
}

impl Words<'_> {
    /// The next keyword; comments are passed over.
    fn next(&mut self) -> Result<Option<String>, NetrcError> {
        self.skip_space();
        while self.fresh_line && self.rest.starts_with('#') {
            self.skip_line();
            self.skip_space();
        }
        self.word()
    }

    /// The next value: `#` is an ordinary character, passwords begin with it.
    fn next_value(&mut self) -> Result<Option<String>, NetrcError> {
        self.skip_space();
        self.word()
    }

    fn word(&mut self) -> Result<Option<String>, NetrcError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.fresh_line = false;
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let end = self
                .rest
                .find(char::is_whitespace)
                .unwrap_or(self.rest.len());
            let (word, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Ok(Some(word.to_owned()));
        };
        let mut word = String::new();
        let mut chars = quoted.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &quoted[at + 1..];
                    return Ok(Some(word));
                }
                '\\' => match chars.next() {
                    Some((_, c)) => word.push(c),
                    None => break,
                },
                '\n' => break,
                c => word.push(c),
            }
        }
        Err(NetrcError::Syntax {
            line: self.line,
            what: "a quote is not closed".into(),
        })
    }

    fn skip_space(&mut self) {
        let trimmed = self.rest.trim_start();
        let skipped = &self.rest[..self.rest.len() - trimmed.len()];
        let breaks = skipped.matches('\n').count();
        self.line += breaks;
        self.fresh_line |= breaks > 0;
        self.rest = trimmed;
    }

    fn skip_line(&mut self) {
        self.rest = self.rest.find('\n').map_or("", |at| &self.rest[at..]);
    }

    /// The lines of a macro: from the next line to the first empty one.
    fn macro_lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        self.skip_line();
        while let Some(rest) = self.rest.strip_prefix('\n') {
            self.line += 1;
            self.fresh_line = true;
            self.rest = rest;
            let end = rest.find('\n').unwrap_or(rest.len());
            let line = rest[..end].trim_end_matches('\r');
            if line.trim().is_empty() {
                break;
            }
            lines.push(line.to_owned());
            self.skip_line();
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(netrc: &str, host: &str, user: Option<&str>) -> String {
        let netrc = match Netrc::parse(netrc) {
            Ok(it) => it,
            Err(error) => return error.to_string(),
        };
        let user = user.map(|it| Text::new(it).unwrap());
        let Some(machine) = netrc.find(host, user.as_ref()) else {
            return "none".into();
        };
        let shown = |it: &Option<Text>| {
            it.as_ref().map_or("-".to_owned(), |it| {
                String::from_utf8_lossy(it.as_bytes()).into_owned()
            })
        };
        let secret = |it: &Option<Secret>| {
            it.as_ref().map_or("-".to_owned(), |it| {
                String::from_utf8_lossy(it.expose()).into_owned()
            })
        };
        format!(
            "{} {} {}",
            shown(&machine.login),
            secret(&machine.password),
            secret(&machine.account)
        )
    }

    #[test]
    fn machines_are_found_by_host_and_user() {
        let text = "# mine\nmachine a.org login me password \"s p\\\"x\" account acc\n\
                    macdef init\nmachine evil password no\n\nmachine a.org login you password #x\n\
                    default login anonymous password me@\n";
        assert_eq!(found(text, "a.org", None), "me s p\"x acc");
        assert_eq!(found(text, "A.ORG", Some("you")), "you #x -");
        assert_eq!(found(text, "b.org", None), "anonymous me@ -");
        assert_eq!(found(text, "evil", None), "anonymous me@ -");
        assert_eq!(found(text, "b.org", Some("other")), "none");
    }

    #[test]
    fn macros_belong_to_their_machine_and_end_at_an_empty_line() {
        let text = "machine h login u\nmacdef init\ncd pub\n  binary\r\n\nmacdef two\nls\n\n\
                    default login x macdef last\nbye";
        let netrc = Netrc::parse(text).unwrap();
        let of = |host| netrc.find(host, None).unwrap().macros.clone();
        let lines = |name: &str, lines: &[&str]| {
            let lines = lines.iter().map(|it| (*it).to_owned()).collect();
            (name.to_owned(), lines)
        };
        let both = [
            lines("init", &["cd pub", "  binary"]),
            lines("two", &["ls"]),
        ];
        assert_eq!(of("h"), both);
        assert_eq!(of("other"), [lines("last", &["bye"])]);
        assert_eq!(
            found("macdef x\nls\n", "h", None),
            "netrc line 1: macdef before any machine"
        );
    }

    #[test]
    fn mistakes_name_their_line_and_show_no_secret() {
        assert_eq!(
            found("login x", "h", None),
            "netrc line 1: login before any machine"
        );
        assert_eq!(
            found("machine h\nlogin", "h", None),
            "netrc line 2: nothing follows login"
        );
        assert_eq!(
            found("machine h\npassword se cret", "h", None),
            "netrc line 2: unknown word"
        );
        assert_eq!(
            found("machine h password \"x", "h", None),
            "netrc line 1: a quote is not closed"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_password_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("wharf-netrc-{}", std::process::id()));
        let check = |text: &str, mode: u32, refused: bool| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Netrc::read(&path).is_err(), refused, "{text} {mode:o}");
        };
        check("machine h login u password p", 0o600, false);
        check("machine h login u password p", 0o640, true);
        check("machine h login u password p", 0o604, true);
        check("machine h login u", 0o644, false);
        check("machine h login anonymous password a@b", 0o644, false);
        check("machine h login u\nmacdef init\nls\n\n", 0o644, false);
        check("machine h login u\nmacdef init\nls\n\n", 0o620, true);
        fs::remove_file(&path).unwrap();
        assert!(Netrc::read(&path).unwrap().find("h", None).is_none());
    }
}
