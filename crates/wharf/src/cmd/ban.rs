//! `wharf ban`: shows and changes the list of bans, and where that list is.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::json;
use wharf_accounts::{Ban, BanPolicy, Bans, BansError, Subject};
use wharf_proto::Timestamp;

use crate::args::ban::{BanCommand, BanFile, Whom};
use crate::config::BanSettings;
use crate::exit::{Exit, Failure};
use crate::listing::Lines;
use crate::output::Output;

/// The list where nothing else was said. `None` without a home directory, as in some containers.
fn default_file() -> Option<PathBuf> {
    Some(super::state_directory::of_server()?.join("bans"))
}

/// The bans of a server; none where nobody is ever banned and no list was named.
///
/// # Errors
/// The list is damaged or cannot be read: whoever is banned would get in.
pub(crate) fn bans(settings: &BanSettings) -> Result<Option<Bans>, Failure> {
    let policy = policy(settings);
    if policy.after == 0 && settings.list.is_none() {
        return Ok(None);
    }
    match settings.list.clone().or_else(default_file) {
        Some(file) => Bans::open(policy, &file)
            .map(Some)
            .map_err(|error| failure(&error)),
        None => Ok(Some(Bans::in_memory(policy))),
    }
}

/// The rules for bans that the settings make.
pub(crate) fn policy(settings: &BanSettings) -> BanPolicy {
    let mut policy = BanPolicy::default();
    if let Some(after) = settings.after {
        policy.after = after;
    }
    if let Some(after) = settings.users_after {
        policy.users_after = after;
    }
    if let Some(half_life) = settings.half_life {
        policy.half_life = half_life;
    }
    if let Some(first) = settings.first {
        policy.first = first;
    }
    if let Some(longest) = settings.longest {
        policy.longest = longest;
    }
    if let Some(trusted) = &settings.trusted {
        policy.trusted.clone_from(trusted);
    }
    policy
}

pub(crate) fn run(command: &BanCommand, output: &Output) -> Result<(), Failure> {
    let now = SystemTime::now();
    match command {
        BanCommand::List { file, json } => list(&open(file)?, *json, now),
        BanCommand::Add {
            file,
            whom,
            lasts,
            reason,
        } => add(&open(file)?, whom, *lasts, reason, now, output),
        BanCommand::Remove { file, whom } => remove(&open(file)?, whom, now, output),
    }
}

fn open(file: &BanFile) -> Result<Bans, Failure> {
    let path = file.ban_list.clone().or_else(default_file).ok_or_else(|| {
        Failure::new(
            Exit::ServerUsage,
            "no home directory, so there is no list of bans",
        )
        .with_hint("--ban-list FILE")
    })?;
    Bans::open(BanPolicy::default(), Path::new(&path)).map_err(|error| failure(&error))
}

fn list(bans: &Bans, as_json: bool, now: SystemTime) -> Result<(), Failure> {
    let mut lines = Lines::default();
    for ban in bans.in_force(now) {
        let line = if as_json {
            let (kind, whom) = match &ban.subject {
                Subject::Clients(network) => ("clients", network.to_string()),
                Subject::User(name) => ("user", name.clone()),
            };
            json!({
                kind: whom,
                "since": stamp(ban.since),
                "until": ban.until.map(stamp),
                "times": ban.times,
                "reason": ban.reason,
            })
            .to_string()
        } else {
            let until = ban.until.map_or_else(
                || "for ever".to_owned(),
                |until| format!("until {}", stamp(until)),
            );
            format!("{:<24} {until:<26} {}", ban.subject.to_string(), ban.reason)
        };
        lines.push(line.as_bytes());
    }
    lines.print()
}

fn add(
    bans: &Bans,
    whom: &Whom,
    lasts: Option<Duration>,
    reason: &str,
    now: SystemTime,
    output: &Output,
) -> Result<(), Failure> {
    let subjects = subjects(whom);
    for subject in &subjects {
        bans.add(Ban::by_hand(subject.clone(), now, lasts, reason), now);
    }
    save(bans, now)?;
    for subject in subjects {
        output.info(&format!("banned {subject}"));
    }
    Ok(())
}

/// An IPv6 address alone also lifts the ban of the /64 it is in, which is what servers ban.
fn remove(bans: &Bans, whom: &Whom, now: SystemTime, output: &Output) -> Result<(), Failure> {
    let mut missing = None;
    for subject in subjects(whom) {
        let mut wanted = vec![subject.clone()];
        if let Subject::Clients(network) = &subject
            && network.prefix() == 128
        {
            wanted.push(Subject::client(network.address()));
        }
        let lifted = bans.lift(&wanted, now);
        for ban in &lifted {
            output.info(&format!("{} is let in again", ban.subject));
        }
        if lifted.is_empty() {
            missing.get_or_insert(subject);
        }
    }
    save(bans, now)?;
    match missing {
        None => Ok(()),
        Some(subject) => Err(
            Failure::new(Exit::NoUser, format!("{subject} is not banned"))
                .with_hint("wharf ban list"),
        ),
    }
}

fn subjects(whom: &Whom) -> Vec<Subject> {
    let clients = whom.clients.iter().copied().map(Subject::network);
    let users = whom.users.iter().map(|name| Subject::user(name.as_bytes()));
    clients.chain(users).collect()
}

fn save(bans: &Bans, now: SystemTime) -> Result<(), Failure> {
    bans.exchange(now).map_err(|error| {
        let mut failure = failure(&error);
        if matches!(error, BansError::Io { .. }) {
            failure.exit = Exit::CannotCreate;
        }
        failure
    })
}

/// What is wrong with the list.
pub(crate) fn failure(error: &BansError) -> Failure {
    let failure = Failure::new(Exit::Config, error.to_string());
    match error {
        BansError::Invalid { path, .. } => failure.with_hint(format!(
            "put it right, or remove {} to lift every ban",
            path.display()
        )),
        _ => failure.with_hint("--ban-list FILE names another one"),
    }
}

/// UTC, so that lists of several machines can be compared.
fn stamp(time: SystemTime) -> String {
    let (year, month, day, hour, minute, second) = Timestamp::from(time).civil();
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
