//! Users of this system: who they are, and whether a password is theirs.
//!
//! Pure. The files are an argument, for it takes rights to read them, and today's date is one, too. Whoever calls this
//! works for a process that talks to the network and does not believe it.

mod crypt;
mod passwd;
mod shadow;

use std::fmt;

use wharf_proto::Secret;

pub use passwd::SystemUser;
use shadow::Overdue;

/// What is read of the system for a login, each file whole.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SystemFiles {
    /// `/etc/passwd`.
    pub passwd: String,
    /// `/etc/shadow`.
    pub shadow: String,
    /// `/etc/shells`, where there is one.
    pub shells: Option<String>,
    /// `/etc/ftpusers`, where there is one: names of users who must not use FTP.
    pub denied: Option<String>,
}

impl fmt::Debug for SystemFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemFiles(****)")
    }
}

/// Which users of the system are users of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemRules {
    /// The lowest number of a user; below are those of the system itself. Root is never let in.
    pub least_uid: u32,
    /// The user's shell must be in `/etc/shells`.
    pub listed_shell: bool,
}

impl Default for SystemRules {
    fn default() -> Self {
        Self {
            least_uid: 1000,
            listed_shell: true,
        }
    }
}

/// Why a login was refused: for the log of the system's administrator, never for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such user, or its lines make no sense.
    Unknown,
    /// The number of the user is below the least.
    Number(u32),
    /// On the list of those who must not.
    Denied,
    /// Its shell is not one that people log in with.
    Shell(String),
    /// Locked, or without a password.
    Locked,
    /// The account has ended.
    Ended,
    /// The password has to be changed, for which FTP has no way.
    PasswordOverdue,
    /// Hashed in a way that is not known here.
    Scheme(String),
    /// Everything is fine but the password.
    Password,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("no such user in /etc/passwd and /etc/shadow"),
            Self::Number(uid) => write!(f, "uid {uid} is below the least that may log in"),
            Self::Denied => f.write_str("named in /etc/ftpusers"),
            Self::Shell(shell) => write!(f, "the shell {shell} is not in /etc/shells"),
            Self::Locked => f.write_str("the account is locked or has no password"),
            Self::Ended => f.write_str("the account has expired"),
            Self::PasswordOverdue => f.write_str("the password has to be changed first"),
            Self::Scheme(scheme) => write!(
                f,
                "the password's hash is {scheme}; $y$, $6$ and $5$ can be checked: set the password again"
            ),
            Self::Password => f.write_str("wrong password"),
        }
    }
}

/// Whether that is the user's password and the user may log in today, in days since 1970. Takes the time of one password
/// hash, whatever the outcome.
///
/// # Errors
/// Why not. Nothing but the password is told of somebody who did not bring it.
pub fn check(
    name: &str,
    password: &Secret,
    files: &SystemFiles,
    rules: SystemRules,
    today: i64,
) -> Result<SystemUser, Refusal> {
    let line = shadow::find(&files.shadow, name);
    let own = line.as_ref().map(|line| line.hash);
    // Of a locked account the hash stands behind a mark.
    let spent = own.map(|hash| hash.trim_start_matches(['!', '*']));
    let spent = spent.filter(|hash| crypt::is_supported(hash));
    // Somebody else's costs what this one would: the schemes of one system differ for a while after an upgrade only.
    let spent = spent.or_else(|| shadow::hashes(&files.shadow).find(|it| crypt::is_supported(it)));
    let matches = crypt::matches(spent.unwrap_or(crypt::NOBODY), password);
    let found = passwd::find(&files.passwd, name);
    let (Some(user), Some(line)) = (found, line) else {
        return Err(Refusal::Unknown);
    };
    let refusal = standing(&user, &line, files, rules, today);
    match refusal {
        Some(refusal) => Err(refusal),
        None if matches && own == spent => Ok(user),
        None => Err(Refusal::Password),
    }
}

/// Whether the server's rules let that user in, whatever the password and whoever checks it. `shells` and `denied` are
/// `/etc/shells` and `/etc/ftpusers`, where there are any.
///
/// # Errors
/// Why not.
pub fn admissible(
    user: &SystemUser,
    shells: Option<&str>,
    denied: Option<&str>,
    rules: SystemRules,
) -> Result<(), Refusal> {
    if user.uid == 0 || user.uid < rules.least_uid {
        return Err(Refusal::Number(user.uid));
    }
    if passwd::is_denied(denied.unwrap_or_default(), &user.name) {
        return Err(Refusal::Denied);
    }
    if rules.listed_shell && !passwd::is_listed(shells, &user.shell) {
        return Err(Refusal::Shell(user.shell.clone()));
    }
    Ok(())
}

/// What keeps the user out, whatever the password.
fn standing(
    user: &SystemUser,
    line: &shadow::Line<'_>,
    files: &SystemFiles,
    rules: SystemRules,
    today: i64,
) -> Option<Refusal> {
    let (shells, denied) = (files.shells.as_deref(), files.denied.as_deref());
    if let Err(refusal) = admissible(user, shells, denied, rules) {
        return Some(refusal);
    }
    if line.hash.is_empty() || line.hash.starts_with(['!', '*']) {
        return Some(Refusal::Locked);
    }
    match line.overdue(today) {
        Some(Overdue::Account) => return Some(Refusal::Ended),
        Some(Overdue::Password) => return Some(Refusal::PasswordOverdue),
        None => {}
    }
    if !crypt::is_supported(line.hash) {
        return Some(Refusal::Scheme(crypt::named(line.hash).to_owned()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the password `right`, by libxcrypt.
    const HASH: &str = "$5$rounds=1000$saltsalt$yYZoCURThim4Yn132s/3Pu/.JQpY6iHeknDBMqNKKs2";

    const TODAY: i64 = 20_100;

    fn files() -> SystemFiles {
        let user = |name: &str, uid: u32, shell: &str| {
            format!("{name}:x:{uid}:{uid}::/home/{name}:{shell}\n")
        };
        let passwd = [
            user("root", 0, "/bin/bash"),
            user("anna", 1000, "/bin/bash"),
            user("news", 999, "/bin/bash"),
            user("denied", 1001, "/bin/bash"),
            user("ftponly", 1002, "/usr/sbin/nologin"),
            user("locked", 1003, "/bin/bash"),
            user("star", 1004, "/bin/bash"),
            user("open", 1005, "/bin/bash"),
            user("ended", 1006, "/bin/bash"),
            user("overdue", 1007, "/bin/bash"),
            user("bcrypt", 1008, "/bin/bash"),
            user("shadowless", 1009, "/bin/bash"),
            user("superuser", 0, "/bin/bash"),
        ];
        let line = |name: &str, hash: &str| format!("{name}:{hash}:20000:0:99999:7:::\n");
        let shadow = [
            line("root", HASH),
            line("anna", HASH),
            line("news", HASH),
            line("denied", HASH),
            line("ftponly", HASH),
            line("locked", &format!("!{HASH}")),
            line("star", "*"),
            line("open", ""),
            format!("ended:{HASH}:20000:0:99999:7::20050:\n"),
            format!("overdue:{HASH}:20000:0:50:7:::\n"),
            line(
                "bcrypt",
                "$2b$05$abcdefghijklmnopqrstuu8xaCxxL82bnl.UY74PMksDxIJShppPC",
            ),
            line("passwdless", HASH),
            line("superuser", HASH),
        ];
        SystemFiles {
            passwd: passwd.concat(),
            shadow: shadow.concat(),
            shells: Some("/bin/bash\n".to_owned()),
            denied: Some("denied\n".to_owned()),
        }
    }

    fn outcome(name: &str, password: &str, rules: SystemRules) -> Result<u32, Refusal> {
        let password = password.parse().unwrap();
        check(name, &password, &files(), rules, TODAY).map(|user| user.uid)
    }

    #[test]
    fn who_may_log_in() {
        let usual = SystemRules::default();
        let table = [
            ("anna", "right", Ok(1000)),
            ("anna", "wrong", Err(Refusal::Password)),
            ("anna", "", Err(Refusal::Password)),
            ("Anna", "right", Err(Refusal::Unknown)),
            ("nobody", "right", Err(Refusal::Unknown)),
            ("", "right", Err(Refusal::Unknown)),
            ("root", "right", Err(Refusal::Number(0))),
            ("superuser", "right", Err(Refusal::Number(0))),
            ("news", "right", Err(Refusal::Number(999))),
            ("denied", "right", Err(Refusal::Denied)),
            (
                "ftponly",
                "right",
                Err(Refusal::Shell("/usr/sbin/nologin".to_owned())),
            ),
            ("locked", "right", Err(Refusal::Locked)),
            ("star", "right", Err(Refusal::Locked)),
            ("open", "", Err(Refusal::Locked)),
            ("ended", "right", Err(Refusal::Ended)),
            ("overdue", "right", Err(Refusal::PasswordOverdue)),
            (
                "bcrypt",
                "right",
                Err(Refusal::Scheme("bcrypt ($2b$)".to_owned())),
            ),
            ("shadowless", "right", Err(Refusal::Unknown)),
            ("passwdless", "right", Err(Refusal::Unknown)),
        ];
        for (name, password, expected) in table {
            assert_eq!(
                outcome(name, password, usual),
                expected,
                "{name} {password}"
            );
        }
    }

    #[test]
    fn rules_can_be_wider_but_never_let_root_in() {
        let wide = SystemRules {
            least_uid: 0,
            listed_shell: false,
        };
        assert_eq!(outcome("ftponly", "right", wide), Ok(1002));
        assert_eq!(outcome("news", "right", wide), Ok(999));
        assert_eq!(outcome("root", "right", wide), Err(Refusal::Number(0)));
        assert_eq!(outcome("superuser", "right", wide), Err(Refusal::Number(0)));
    }

    /// The hash whose time is spent on somebody else's password opens nothing.
    #[test]
    fn the_password_of_another_is_nobodys() {
        let usual = SystemRules::default();
        for name in ["star", "open", "bcrypt", "locked", "nobody"] {
            assert!(outcome(name, "right", usual).is_err(), "{name}");
        }
        let nothing = SystemFiles::default();
        let refused = check("anna", &"right".parse().unwrap(), &nothing, usual, TODAY);
        assert_eq!(refused, Err(Refusal::Unknown));
    }
}
