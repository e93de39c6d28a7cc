//! Rights that are given away, what came of it, and what a reload can still have.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use rustix::fs::Access;
use wharf_broker::{InForce, Sandbox, SandboxError};

use super::rights::sandbox;
use super::{identity, strictness};
use crate::args::value::SandboxLevel;
use crate::cmd::{ban, serve};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// What came of giving rights away.
pub(crate) struct Standing {
    /// For the announcement.
    pub(crate) lines: Vec<String>,
    /// What is in force until the process ends; `None` without a sandbox.
    held: Option<Held>,
}

struct Held {
    sandbox: Sandbox,
    brokered: bool,
}

impl Standing {
    /// Whether a new configuration can be had in the sandbox that was made for the first one: nothing makes it wider.
    ///
    /// # Errors
    /// What cannot be had.
    pub(crate) fn allows(&self, settings: &Settings) -> Result<(), Failure> {
        let Some(Held {
            sandbox: held,
            brokered,
        }) = &self.held
        else {
            return Ok(());
        };
        let lacking = lacking(held, &sandbox(settings, *brokered));
        lacking.map_or(Ok(()), |what| {
            Err(Failure::new(
                Exit::NoPermission,
                format!(
                    "{what}: the sandbox was made for the configuration at the start, and nothing makes it wider but a restart"
                ),
            ))
        })
    }
}

/// What the second wants and the first does not have.
fn lacking(held: &Sandbox, wanted: &Sandbox) -> Option<String> {
    let covered = |path: &PathBuf, by: &[&[PathBuf]]| {
        by.iter()
            .any(|paths| paths.iter().any(|it| path.starts_with(it)))
    };
    let written = [&held.written[..]];
    let read = [&held.read[..], &held.written[..]];
    let missing = |wanted: &[PathBuf], by: &[&[PathBuf]], what: &str| {
        let path = wanted.iter().find(|path| !covered(path, by))?;
        Some(format!("{what} {}", path.display()))
    };
    let ports = |range: &RangeInclusive<u16>| {
        held.ports.as_ref().is_none_or(|all| {
            all.iter()
                .any(|it| it.start() <= range.start() && range.end() <= it.end())
        })
    };
    missing(&wanted.served, &[&held.served[..]], "other directory")
        .or_else(|| missing(&wanted.written, &written, "files in"))
        .or_else(|| missing(&wanted.read, &read, "files in"))
        .or_else(|| (held.read_only && !wanted.read_only).then(|| "writing".to_owned()))
        .or_else(|| (!held.asks && wanted.asks).then(|| "looking up addresses".to_owned()))
        .or_else(|| {
            (!held.connects && wanted.connects).then(|| "active data connections".to_owned())
        })
        .or_else(|| {
            // With a broker it is asked.
            let alone = wanted.connects || held.connects;
            let other = wanted.ports.iter().flatten().find(|range| !ports(range));
            other
                .filter(|_| alone)
                .map(|range| format!("port {}", range.start()))
        })
}

/// Gives the rights away and says in a few words what came of it.
pub(super) fn lock_in(
    opened: &serve::Opened,
    brokered: bool,
    output: &Output,
) -> Result<Standing, Failure> {
    let settings = &opened.settings;
    if settings.sandbox == SandboxLevel::Off {
        return Ok(Standing {
            lines: Vec::new(),
            held: None,
        });
    }
    let mut sandbox = sandbox(settings, brokered);
    sandbox.identity = identity(settings)?;
    let owner = sandbox.identity.as_ref().map(|it| (it.uid, it.gid));
    if let Err(error) = ban::prepare(&settings.bans, owner) {
        output.warning(&format!("bans do not outlive this server: {error}"));
    }
    let in_force = sandbox
        .enter(strictness(settings))
        .map_err(|error| sandbox_failure(&error))?;
    if let Some(missing) = in_force.missing() {
        output.warning(&format!(
            "the sandbox is not complete: {missing}; `wharf check` tells more, --sandbox strict insists"
        ));
    }
    if let Some(folder) = ban::folder(&settings.bans)
        && let Err(error) = rustix::fs::access(&folder, Access::WRITE_OK | Access::EXEC_OK)
    {
        output.warning(&format!(
            "bans do not outlive this server, for it cannot write in {} as the user that it runs as: {error}; chown that folder, or name another list with --ban-list",
            folder.display()
        ));
    }
    Ok(Standing {
        lines: standing(&sandbox, &in_force),
        held: Some(Held { sandbox, brokered }),
    })
}

pub(crate) fn sandbox_failure(error: &SandboxError) -> Failure {
    match error {
        SandboxError::Missing(what) => Failure::new(
            Exit::Unavailable,
            format!("--sandbox strict, and something is missing: {what}"),
        )
        .with_hint("--sandbox best-effort goes on without it"),
        SandboxError::Identity(_) => Failure::new(Exit::NoPermission, error.to_string()),
        _ => Failure::new(Exit::Unavailable, error.to_string()),
    }
}

/// Lines of the announcement.
fn standing(sandbox: &Sandbox, in_force: &InForce) -> Vec<String> {
    let mut lines = Vec::new();
    match &sandbox.identity {
        Some(identity) if identity.is_root() => lines.push(
            "runs as    root without capabilities, whose the directory is; better: chown it, or --run-as USER"
                .to_owned(),
        ),
        Some(identity) => lines.push(format!("runs as    {identity}")),
        None => {}
    }
    let extent = match in_force.missing() {
        None => "complete",
        Some(_) => "not complete",
    };
    lines.push(format!("sandbox    {extent}"));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change of the settings, and what the sandbox does not have for it.
    type Row = (fn(&mut Settings), Option<&'static str>);

    #[test]
    fn a_reload_gets_what_the_sandbox_has() {
        let begin = || {
            let mut settings = Settings {
                directory: PathBuf::from("/srv/ftp"),
                ..Settings::default()
            };
            settings.login.read_only = true;
            settings.bans.list = Some("/var/lib/bans/list".into());
            settings
        };
        let table: [Row; 8] = [
            (|_| (), None),
            (|it| it.directory = "/srv/ftp/pub".into(), None),
            (
                |it| it.directory = "/srv".into(),
                Some("other directory /srv"),
            ),
            (|it| it.login.read_only = false, Some("writing")),
            (|it| it.login.users = Some("/etc/wharf/users".into()), None),
            (
                |it| it.bans.list = Some("/var/lib/list".into()),
                Some("files in /var/lib"),
            ),
            (
                |it| it.tls.client_ca = Some("/etc/ca/ca.pem".into()),
                Some("files in /etc/ca"),
            ),
            (
                |it| it.listen = vec!["127.0.0.1:2121".parse().unwrap()],
                None,
            ),
        ];
        let held = sandbox(&begin(), true);
        for (change, expected) in table {
            let mut settings = begin();
            change(&mut settings);
            let lacking = lacking(&held, &sandbox(&settings, true));
            assert_eq!(lacking.as_deref(), expected);
        }
    }
}
