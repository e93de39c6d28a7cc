//! `wharf ban`: shows and changes the list of bans, and where that list is.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags};
use serde_json::json;
use wharf_accounts::{Ban, BanPolicy, Bans, BansError, Subject};
use wharf_proto::Timestamp;

use crate::args::ban::{BanCommand, BanFile, Whom};
use crate::config::BanSettings;
use crate::exit::{Exit, Failure};
use crate::listing::Lines;
use crate::output::Output;

/// The list's name in its folder.
const LIST: &str = "list";

/// The folder of the list where nothing else was said. `None` without a home directory, as in some containers.
///
/// A folder of its own: the process that talks to the network writes there and nowhere else among what a server keeps.
fn default_folder() -> Option<PathBuf> {
    Some(super::state_directory::of_server()?.join("bans"))
}

/// The list where nothing else was said.
fn default_file() -> Option<PathBuf> {
    let folder = default_folder()?;
    // Where it was before it had a folder, and nobody has had the right to move it yet.
    Some(if folder.is_file() {
        folder
    } else {
        folder.join(LIST)
    })
}

/// Whether anybody is ever banned.
pub(crate) fn wanted(settings: &BanSettings) -> bool {
    policy(settings).after != 0 || settings.list.is_some()
}

/// Where the list of a server is; `None` where bans are kept in memory only.
pub(crate) fn file(settings: &BanSettings) -> Option<PathBuf> {
    settings.list.clone().or_else(default_file)
}

/// The folder in which a server writes its list.
pub(crate) fn folder(settings: &BanSettings) -> Option<PathBuf> {
    let Some(file) = settings.list.as_ref().filter(|_| wanted(settings)) else {
        return default_folder().filter(|_| wanted(settings));
    };
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty());
    Some(folder.unwrap_or(Path::new(".")).to_owned())
}

/// Gives the list the place that it has today.
pub(crate) fn settle(settings: &BanSettings) {
    let (None, Some(folder)) = (&settings.list, default_folder()) else {
        return;
    };
    if let Err(error) = moved_into(&folder) {
        tracing::warn!(%error, folder = %folder.display(), "the list of bans stays where it was");
    }
}

/// Every step can be the last one, and the next start goes on from there.
fn moved_into(folder: &Path) -> io::Result<()> {
    let aside = folder.with_extension("former");
    if folder.is_file() {
        fs::rename(folder, &aside)?;
    }
    if !aside.is_file() {
        return Ok(());
    }
    let new = folder.join(LIST);
    private().create(folder)?;
    if new.exists() {
        return fs::remove_file(&aside);
    }
    fs::rename(&aside, new)
}

fn private() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
}

/// Makes the folder, and lets another user (with its group) write to the list: the one as whom the network is talked to.
/// Folders of somebody's own choice are left as they are.
///
/// # Errors
/// The folder cannot be made or given away.
pub(crate) fn prepare(settings: &BanSettings, owner: Option<(u32, u32)>) -> io::Result<()> {
    let Some(folder) = folder(settings) else {
        return Ok(());
    };
    let is_new = !folder.is_dir();
    if is_new {
        private().create(&folder)?;
    }
    let Some((user, group)) = owner.filter(|_| is_new || settings.list.is_none()) else {
        return Ok(());
    };
    let opened = rustix::fs::open(
        &folder,
        OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    std::os::unix::fs::fchown(&opened, Some(user), Some(group))?;
    give(&opened, user, group)?;
    if settings.list.is_none() && user != rustix::process::geteuid().as_raw() {
        reachable(&folder)?;
    }
    Ok(())
}

/// The list itself, if it is there and nothing else: what stands in a folder that another user may write to may be a
/// link to somebody's file.
fn give(folder: &OwnedFd, user: u32, group: u32) -> io::Result<()> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let list = match rustix::fs::openat(folder, LIST, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        other => fs::File::from(other?),
    };
    let facts = list.metadata()?;
    if facts.is_file() && facts.nlink() == 1 && facts.uid() != user {
        std::os::unix::fs::fchown(&list, Some(user), Some(group))?;
    }
    Ok(())
}

/// The way to the folder: others may pass through the state directory, and neither list nor read it.
fn reachable(folder: &Path) -> io::Result<()> {
    let Some(state) = folder.parent() else {
        return Ok(());
    };
    let mode = fs::metadata(state)?.permissions().mode();
    if mode & 0o001 == 0 {
        fs::set_permissions(state, fs::Permissions::from_mode(mode | 0o011))?;
    }
    Ok(())
}

/// The bans of a server; none where nobody is ever banned and no list was named.
///
/// # Errors
/// The list is damaged or cannot be read: whoever is banned would get in.
pub(crate) fn bans(settings: &BanSettings) -> Result<Option<Bans>, Failure> {
    if !wanted(settings) {
        return Ok(None);
    }
    let policy = policy(settings);
    match file(settings) {
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
    settle(&BanSettings {
        list: file.ban_list.clone(),
        ..BanSettings::default()
    });
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
    })?;
    // Made by root just now, and the server that has to read it is another user: the folder's owner.
    let folder = default_folder().filter(|it| bans.file().and_then(Path::parent) == Some(it));
    if let Some(folder) = folder
        && let Ok(opened) = fs::File::open(&folder)
        && let Ok(facts) = opened.metadata()
    {
        // Whoever cannot give it away owns the folder, too.
        let _ = give(&opened.into(), facts.uid(), facts.gid());
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_in_its_old_place_is_taken_over() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("bans");
        let list = folder.join(LIST);
        moved_into(&folder).unwrap();
        assert!(!folder.exists(), "nothing is made for nothing");
        fs::write(&folder, "old").unwrap();
        moved_into(&folder).unwrap();
        assert_eq!(fs::read_to_string(&list).unwrap(), "old");

        // Stopped in the middle, and begun again.
        fs::rename(&list, folder.with_extension("former")).unwrap();
        moved_into(&folder).unwrap();
        assert_eq!(fs::read_to_string(&list).unwrap(), "old");
        let names = fs::read_dir(place.path()).unwrap().count();
        assert_eq!(names, 1);
    }

    #[test]
    fn only_the_list_itself_is_given_away() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("bans");
        fs::create_dir(&folder).unwrap();
        let own = fs::metadata(&folder).unwrap();
        let opened = || OwnedFd::from(fs::File::open(&folder).unwrap());
        give(&opened(), own.uid(), own.gid()).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.join(LIST)).unwrap();
        assert!(give(&opened(), own.uid(), own.gid()).is_err());
    }
}
