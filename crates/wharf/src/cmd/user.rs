//! `wharf user`: edits the file of users.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, choose_base_strategy};
use serde_json::json;
use wharf_accounts::{UserList, UsersError};
use wharf_proto::{Pathname, Secret};

use crate::args::UserCommand;
use crate::args::serve::{NewPasswordArg, UsersFileArg};
use crate::exit::{Exit, Failure};
use crate::listing::Lines;
use crate::output::Output;
use crate::password;

pub(crate) fn run(command: &UserCommand, output: &Output) -> Result<(), Failure> {
    match command {
        UserCommand::Add {
            file,
            password,
            name,
            home,
            read_only,
        } => add(file, password, name, home.as_deref(), *read_only, output),
        UserCommand::Passwd {
            file,
            password,
            name,
        } => passwd(file, password, name, output),
        UserCommand::List { file, json } => list(file, *json),
        UserCommand::Remove { file, name } => remove(file, name, output),
    }
}

fn add(
    file: &UsersFileArg,
    password: &NewPasswordArg,
    name: &str,
    home: Option<&str>,
    read_only: bool,
    output: &Output,
) -> Result<(), Failure> {
    let path = users_path(file)?;
    let mut users = match UserList::load(&path) {
        Err(error) if error.is_missing() => UserList::new(),
        loaded => loaded.map_err(|error| failure(&error))?,
    };
    if users.users().any(|user| user.name == name) {
        return Err(failure(&UsersError::Exists(name.to_owned()))
            .with_hint(format!("wharf user passwd {name}")));
    }
    let home = home
        .map(|home| {
            Pathname::new(home.as_bytes())
                .map(|home| Pathname::root().join(&home).normalize())
                .map_err(|error| Failure::new(Exit::ServerUsage, format!("home: {error}")))
        })
        .transpose()?;
    let secret = new_password(password, name)?;
    users
        .add(name, &secret, home.as_ref(), read_only)
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

fn list(file: &UsersFileArg, as_json: bool) -> Result<(), Failure> {
    let path = users_path(file)?;
    let users = load(&path)?;
    let mut lines = Lines::default();
    for user in users.users() {
        let home = user.home.display().to_string();
        let line = if as_json {
            json!({ "name": user.name, "home": home, "read_only": user.read_only }).to_string()
        } else {
            let rights = if user.read_only {
                "read-only"
            } else {
                "may write"
            };
            format!("{:<20} {rights:<10} {home}", user.name)
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
