//! `wharf user`: edits the file of users.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, choose_base_strategy};
use serde_json::json;
use wharf_accounts::{Besides, CertificateRule, UserList, UsersError};
use wharf_proto::{Pathname, Secret};

use super::user_certificate;
use crate::args::UserCommand;
use crate::args::serve::{NewPasswordArg, UsersFileArg};
use crate::args::user_certificate::UserCertificateArgs;
use crate::exit::{Exit, Failure};
use crate::listing::Lines;
use crate::output::Output;
use crate::password;

pub(crate) fn run(command: &UserCommand, output: &Output) -> Result<(), Failure> {
    match command {
        UserCommand::Add {
            file,
            password,
            certificate,
            name,
            home,
            read_only,
        } => {
            let known_by = user_certificate::rule(certificate)?;
            let asked = match &known_by {
                Some(rule) if rule.besides == Besides::Nothing => password.password_file.is_some(),
                _ => true,
            };
            let new = New {
                name,
                known_by,
                password: asked.then_some(password),
                home: home.as_deref(),
                read_only: *read_only,
            };
            add(file, &new, output)
        }
        UserCommand::Certify {
            file,
            certificate,
            name,
        } => certify(file, certificate, name, output),
        UserCommand::Passwd {
            file,
            password,
            name,
        } => passwd(file, password, name, output),
        UserCommand::List { file, json } => list(file, *json),
        UserCommand::Remove { file, name } => remove(file, name, output),
    }
}

/// A user to be added.
struct New<'a> {
    name: &'a str,
    known_by: Option<CertificateRule>,
    /// `None`: gets none.
    password: Option<&'a NewPasswordArg>,
    home: Option<&'a str>,
    read_only: bool,
}

fn add(file: &UsersFileArg, new: &New<'_>, output: &Output) -> Result<(), Failure> {
    let name = new.name;
    let path = users_path(file)?;
    let mut users = match UserList::load(&path) {
        Err(error) if error.is_missing() => UserList::new(),
        loaded => loaded.map_err(|error| failure(&error))?,
    };
    if users.users().any(|user| user.name == name) {
        return Err(failure(&UsersError::Exists(name.to_owned()))
            .with_hint(format!("wharf user passwd {name}")));
    }
    let home = new
        .home
        .map(|home| {
            Pathname::new(home.as_bytes())
                .map(|home| Pathname::root().join(&home).normalize())
                .map_err(|error| Failure::new(Exit::ServerUsage, format!("home: {error}")))
        })
        .transpose()?;
    let secret = new.password.map(|from| new_password(from, name));
    let (known_by, secret) = (new.known_by.as_ref(), secret.transpose()?);
    users
        .add_known_by(
            name,
            known_by,
            secret.as_ref(),
            home.as_ref(),
            new.read_only,
        )
        .map_err(|error| failure(&error))?;
    save(&mut users, &path)?;
    output.info(&format!("added {name} to {}", path.display()));
    Ok(())
}

fn passwd(
    file: &UsersFileArg,
    password: &NewPasswordArg,
    name: &str,
    output: &Output,
) -> Result<(), Failure> {
    let path = users_path(file)?;
    let mut users = load(&path)?;
    if !users.users().any(|user| user.name == name) {
        return Err(failure(&UsersError::Unknown(name.to_owned())));
    }
    let secret = new_password(password, name)?;
    users
        .set_password(name, &secret)
        .map_err(|error| failure(&error))?;
    save(&mut users, &path)?;
    output.info(&format!("{name} has a new password"));
    Ok(())
}

fn certify(
    file: &UsersFileArg,
    certificate: &UserCertificateArgs,
    name: &str,
    output: &Output,
) -> Result<(), Failure> {
    let rule = user_certificate::rule(certificate)?;
    let path = users_path(file)?;
    let mut users = load(&path)?;
    let Some(user) = users.users().find(|user| user.name == name) else {
        return Err(failure(&UsersError::Unknown(name.to_owned())));
    };
    let needs_password = rule
        .as_ref()
        .is_none_or(|it| it.besides == Besides::Password);
    if needs_password && user.password.is_none() {
        let message = format!("{name} has no password, so that nothing would let {name} in");
        return Err(
            Failure::new(Exit::ServerUsage, message).with_hint(format!("wharf user passwd {name}"))
        );
    }
    users
        .set_certificate(name, rule.as_ref())
        .map_err(|error| failure(&error))?;
    save(&mut users, &path)?;
    let user = users.users().find(|user| user.name == name);
    let known_by = user.and_then(user_certificate::words).unwrap_or("password");
    output.info(&format!("{name} logs in by {known_by}"));
    Ok(())
}

fn list(file: &UsersFileArg, as_json: bool) -> Result<(), Failure> {
    let path = users_path(file)?;
    let users = load(&path)?;
    let mut lines = Lines::default();
    for user in users.users() {
        let home = user.home.display().to_string();
        let line = if as_json {
            let rule = user.certificate.clone().unwrap_or_default();
            let fingerprints = rule.fingerprints.iter().map(ToString::to_string);
            json!({
                "name": user.name, "home": home, "read_only": user.read_only,
                "password": user.password.is_some(),
                "certificates": fingerprints.collect::<Vec<_>>(),
                "certificate_names": rule.names,
                "certificate_and_password": rule.besides == Besides::Password && !rule.is_empty(),
            })
            .to_string()
        } else {
            let rights = if user.read_only {
                "read-only"
            } else {
                "may write"
            };
            let known_by = user_certificate::words(user).map(|words| format!(" ({words})"));
            let known_by = known_by.unwrap_or_default();
            format!("{:<20} {rights:<10} {home}{known_by}", user.name)
        };
        lines.push(line.as_bytes());
    }
    lines.print()
}

fn remove(file: &UsersFileArg, name: &str, output: &Output) -> Result<(), Failure> {
    let path = users_path(file)?;
    let mut users = load(&path)?;
    let there = users.remove(name).map_err(|error| failure(&error))?;
    if !there {
        return Err(failure(&UsersError::Unknown(name.to_owned())));
    }
    save(&mut users, &path)?;
    output.info(&format!("removed {name} from {}", path.display()));
    Ok(())
}

/// `--file`, or `wharf/users.toml` in the XDG configuration directory.
fn users_path(file: &UsersFileArg) -> Result<PathBuf, Failure> {
    if let Some(path) = &file.file {
        return Ok(path.clone());
    }
    let base = choose_base_strategy().map_err(|error| {
        Failure::new(
            Exit::ServerUsage,
            format!("no configuration directory: {error}"),
        )
        .with_hint("--file USERS")
    })?;
    Ok(base.config_dir().join("wharf").join("users.toml"))
}

fn load(path: &Path) -> Result<UserList, Failure> {
    UserList::load(path).map_err(|error| {
        let missing = error.is_missing();
        let failure = failure(&error);
        if missing {
            failure.with_hint(format!("wharf user add --file {} NAME", path.display()))
        } else {
            failure
        }
    })
}

fn save(users: &mut UserList, path: &Path) -> Result<(), Failure> {
    if let Some(directory) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        std::fs::create_dir_all(directory).map_err(|error| {
            Failure::new(
                Exit::CannotCreate,
                format!("cannot make {}: {error}", directory.display()),
            )
        })?;
    }
    users.save(path).map_err(|error| {
        let mut failure = failure(&error);
        if matches!(error, UsersError::Io { .. }) {
            failure.exit = Exit::CannotCreate;
        }
        failure
    })
}

fn new_password(from: &NewPasswordArg, name: &str) -> Result<Secret, Failure> {
    let exit = Exit::ServerUsage;
    if let Some(file) = &from.password_file {
        return password::from_file(file, exit);
    }
    if let Some(password) = password::from_env()? {
        return Ok(password);
    }
    if std::io::stdin().is_terminal() {
        return password::prompt_new(name, exit);
    }
    password::from_stdin(exit)
}

/// An error of the users file: several mistakes become details.
pub(super) fn failure(error: &UsersError) -> Failure {
    match error {
        UsersError::Invalid { path, problems } => {
            let count = match problems.len() {
                1 => "1 problem".to_owned(),
                several => format!("{several} problems"),
            };
            let lines = problems
                .iter()
                .map(|problem| format!("line {}: {}", problem.line, problem.message));
            Failure::new(Exit::Config, format!("{} has {count}", path.display()))
                .with_details(lines.collect())
        }
        UsersError::Unknown(_) => Failure::new(Exit::NoUser, error.to_string()),
        UsersError::Name(_) | UsersError::Exists(_) | UsersError::Home => {
            Failure::new(Exit::ServerUsage, error.to_string())
        }
        UsersError::Hash(_) => Failure::new(Exit::Software, error.to_string()),
        _ => Failure::new(Exit::Config, error.to_string()),
    }
}
