//! Reading a users file: every mistake, each with its line.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use wharf_proto::Pathname;
use wharf_storage::QuotaLimits;

use super::Problem;
use crate::{Besides, Certificate, CertificateRule, PasswordHash};

/// One user of a users file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// As in USER.
    pub name: String,
    /// Of the password; without one only a certificate lets the user in.
    pub password: Option<PasswordHash>,
    /// By which certificates the user is known, if by any.
    pub certificate: Option<CertificateRule>,
    /// The directory that is the user's root.
    pub home: Pathname,
    /// Whether the user may only look and read.
    pub read_only: bool,
    /// Sessions at the same time.
    pub sessions: Option<usize>,
    /// Told after the login.
    pub welcome: Option<String>,
    /// Bytes and names that the user may keep.
    pub quota: QuotaLimits,
}

/// Where a user stands in the text.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Anywhere inside the user's table, at its beginning.
    pub(super) table: usize,
    /// The value of the password with its quotes.
    pub(super) password: Option<Range<usize>>,
    /// What is about certificates: from the key to the end of its value.
    pub(super) certificate: Vec<Range<usize>>,
}

impl User {
    /// Whether the certificate alone is enough.
    pub fn lets_in_by_certificate(&self, certificate: &Certificate) -> bool {
        let rule = self.certificate.as_ref();
        rule.is_some_and(|it| it.besides == Besides::Nothing && it.fits(certificate))
    }

    /// Whether the right password is enough, with what was shown besides.
    pub fn lets_in_by_password(&self, certificate: Option<&Certificate>) -> bool {
        self.password.is_some()
            && match &self.certificate {
                Some(rule) if rule.besides == Besides::Password => {
                    certificate.is_some_and(|it| rule.fits(it))
                }
                _ => true,
            }
    }
}

/// Why a name cannot be a user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing at all.
    Empty,
    /// More than [`MOST_NAME`] bytes.
    TooLong,
    /// A space at the beginning or end, which nobody sees.
    Space,
    /// A control character or a slash.
    Character,
}

/// The longest name in bytes.
pub const MOST_NAME: usize = 128;

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a user's name must not be empty"),
            Self::TooLong => write!(f, "a user's name has at most {MOST_NAME} bytes"),
            Self::Space => f.write_str("a user's name must not begin or end with a space"),
            Self::Character => {
                f.write_str("a user's name must not contain control characters or slashes")
            }
        }
    }
}

impl std::error::Error for NameError {}

/// Whether a name can be a user's.
pub fn check_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        Err(NameError::Empty)
    } else if name.len() > MOST_NAME {
        Err(NameError::TooLong)
    } else if name.trim() != name {
        Err(NameError::Space)
    } else if name.contains(|c: char| c.is_control() || c == '/') {
        Err(NameError::Character)
    } else {
        Ok(())
    }
}

/// The users of a text, or all that is wrong with it.
pub(super) fn users(text: &str) -> Result<Vec<User>, Vec<Problem>> {
    let users = users_with_places(text)?;
    Ok(users.into_iter().map(|(user, _)| user).collect())
}

pub(super) fn users_with_places(text: &str) -> Result<Vec<(User, Place)>, Vec<Problem>> {
    let mut reader = Reader {
        text,
        problems: Vec::new(),
    };
    let users = reader.file();
    if reader.problems.is_empty() {
        Ok(users)
    } else {
        reader.problems.sort_by_key(|problem| problem.line);
        Err(reader.problems)
    }
}

struct Reader<'a> {
    text: &'a str,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn file(&mut self) -> Vec<(User, Place)> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            self.problem(error.span().map_or(0, |span| span.start), error.message());
        }
        if !errors.is_empty() {
            return Vec::new(); // what the recovery made up would only add noise
        }
        let mut users = Vec::new();
        let mut lines: HashMap<String, usize> = HashMap::new();
        for (key, value) in document.get_ref() {
            let tables = match (key.get_ref().as_ref(), value.get_ref()) {
                ("user", DeValue::Array(tables)) => tables,
                ("user", _) => {
                    self.problem(key.span().start, "users are written as [[user]]");
                    continue;
                }
                (other, _) => {
                    let message = format!("unknown key: {other}, expected [[user]]");
                    self.problem(key.span().start, &message);
                    continue;
                }
            };
            for table in tables {
                let Some((user, place)) = self.user(table) else {
                    continue;
                };
                let line = self.line(place.table);
                if let Some(first) = lines.insert(user.name.clone(), line) {
                    let message = format!("user {} is there already, in line {first}", user.name);
                    self.problem(place.table, &message);
                }
                users.push((user, place));
            }
        }
        users
    }

    /// One table; `None` if something is wrong with it.
    fn user(&mut self, value: &Spanned<DeValue<'_>>) -> Option<(User, Place)> {
        let start = value.span().start;
        let DeValue::Table(table) = value.get_ref() else {
            self.problem(start, "users are written as [[user]]");
            return None;
        };
        let problems_before = self.problems.len();
        let (mut name, mut password) = (None, None);
        let mut home = Pathname::root();
        let mut read_only = false;
        let (mut sessions, mut welcome) = (None, None);
        let mut quota = QuotaLimits::default();
        let mut rule = CertificateRule::default();
        let mut besides = None;
        let mut certificate_at = Vec::new();
        for (key, value) in table {
            let at = value.span();
            match key.get_ref().as_ref() {
                "name" => {
                    let text = self.string("name", value);
                    if let Some(Err(error)) = text.map(check_name) {
                        self.problem(at.start, &format!("name: {error}"));
                    }
                    name = text.or(Some("")).map(str::to_owned);
                }
                "password" => {
                    let parsed = self.string("password", value).map(PasswordHash::parse);
                    match parsed {
                        Some(Ok(hash)) => password = Some(Some((hash, at))),
                        Some(Err(error)) => {
                            let message =
                                format!("password: {error}, as written by `wharf user passwd`");
                            self.problem(at.start, &message);
                            password = Some(None);
                        }
                        None => password = Some(None),
                    }
                }
                "home" => match self.string("home", value).map(Pathname::try_from) {
                    Some(Ok(path)) => home = path.normalize(),
                    Some(Err(error)) => self.problem(at.start, &format!("home: {error}")),
                    None => {}
                },
                "read_only" => match value.get_ref().as_bool() {
                    Some(given) => read_only = given,
                    None => self.problem(at.start, "read_only: expected true or false"),
                },
                "sessions" => match count(value) {
                    Some(given) => sessions = Some(given),
                    None => self.problem(at.start, "sessions: expected a number of at least 1"),
                },
                key @ ("quota_bytes" | "quota_files") => match count(value) {
                    Some(given) if key == "quota_bytes" => quota.bytes = u64::try_from(given).ok(),
                    Some(given) => quota.names = u64::try_from(given).ok(),
                    None => {
                        let message = format!("{key}: expected a number of at least 1");
                        self.problem(at.start, &message);
                    }
                },
                "welcome" => {
                    if let Some(text) = self.string("welcome", value) {
                        welcome = Some(text.to_owned());
                    }
                }
                "certificates" => {
                    certificate_at.push(key.span().start..at.end);
                    for (text, at) in self.strings("certificates", value) {
                        match text.parse() {
                            Ok(fingerprint) => rule.fingerprints.push(fingerprint),
                            Err(error) => self.problem(at, &format!("certificates: {error}")),
                        }
                    }
                }
                "certificate_names" => {
                    certificate_at.push(key.span().start..at.end);
                    for (text, at) in self.strings("certificate_names", value) {
                        if text.is_empty() {
                            self.problem(at, "certificate_names: a name must not be empty");
                        }
                        rule.names.push(text);
                    }
                }
                "certificate" => {
                    certificate_at.push(key.span().start..at.end);
                    match self.string("certificate", value) {
                        Some("alone") => besides = Some((Besides::Nothing, at.start)),
                        Some("and-password") => besides = Some((Besides::Password, at.start)),
                        Some(_) => {
                            self.problem(at.start, "certificate: expected alone or and-password");
                        }
                        None => {}
                    }
                }
                other => {
                    let message = format!(
                        "unknown key: {other}, expected name, password, certificates, certificate_names, certificate, home, read_only, sessions, quota_bytes, quota_files or welcome"
                    );
                    self.problem(key.span().start, &message);
                }
            }
        }
        if name.is_none() {
            self.problem(start, "a user without name");
        }
        if let (Some((_, at)), true) = (besides, rule.is_empty()) {
            let message =
                "certificate: which one must be said with certificates or certificate_names";
            self.problem(at, message);
        }
        if let (Some((Besides::Password, at)), None) = (besides, &password) {
            self.problem(at, "certificate: and-password needs a password");
        }
        if password.is_none() && certificate_at.is_empty() {
            self.problem(start, "a user without password and without certificates");
        } else if password.is_none() && rule.is_empty() {
            self.problem(start, "a user whom no certificate and no password lets in");
        }
        let name = name?;
        let (password, password_at) = password.flatten().unzip();
        rule.besides = match besides {
            Some((besides, _)) => besides,
            // Nothing becomes easier because a certificate is named.
            None if password.is_some() => Besides::Password,
            None => Besides::Nothing,
        };
        let user = User {
            name,
            password,
            certificate: (!rule.is_empty()).then_some(rule),
            home,
            read_only,
            sessions,
            welcome,
            quota,
        };
        let place = Place {
            table: start,
            password: password_at,
            certificate: certificate_at,
        };
        (self.problems.len() == problems_before).then_some((user, place))
    }

    fn string<'v>(&mut self, key: &str, value: &'v Spanned<DeValue<'_>>) -> Option<&'v str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            let found = value.get_ref().type_str();
            let message = format!("{key}: expected a string, found {found}");
            self.problem(value.span().start, &message);
        }
        text
    }

    /// An array of strings, or one; each with its place.
    fn strings(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Vec<(String, usize)> {
        let items = match value.get_ref() {
            DeValue::Array(items) => items.iter().collect(),
            _ => vec![value],
        };
        let mut found = Vec::new();
        for item in items {
            let text = self.string(key, item).map(str::to_owned);
            found.extend(text.map(|text| (text, item.span().start)));
        }
        found
    }

    fn problem(&mut self, at: usize, message: &str) {
        let line = self.line(at);
        let message = message.to_owned();
        self.problems.push(Problem { line, message });
    }

    fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().iter().take(at);
        1 + before.filter(|&&byte| byte == b'\n').count()
    }
}

fn count(value: &Spanned<DeValue<'_>>) -> Option<usize> {
    let integer = value.get_ref().as_integer()?;
    let count = usize::from_str_radix(integer.as_str(), integer.radix()).ok()?;
    (count > 0).then_some(count)
}
