//! Landlock: which files may be opened, which ports listened on, whom a signal reaches.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath,
    PathFd, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus,
    Scope,
};

use super::{InForce, Sandbox, SandboxError};

/// Files since Linux 5.13, renaming 5.19, truncation 6.2, ports 6.7, devices 6.10, signals and abstract sockets 6.12.
const KNOWN: ABI = ABI::V6;

const WHAT: &str =
    "landlock: files below what is served, ports as configured, no signals to others";

/// Rules, made while everything can still be opened.
pub(super) struct Prepared(Result<RulesetCreated, String>);

impl Prepared {
    /// # Errors
    /// [`SandboxError::Served`]; everything else is told by [`enforce`](Self::enforce).
    pub(super) fn new(sandbox: &Sandbox) -> Result<Self, SandboxError> {
        for path in &sandbox.served {
            if let Err(error) = PathFd::new(path) {
                return Err(SandboxError::Served {
                    path: path.clone(),
                    why: error.to_string(),
                });
            }
        }
        Ok(Self(rules(sandbox).map_err(|error| error.to_string())))
    }

    pub(super) fn enforce(self, in_force: &mut InForce) {
        let outcome = self.0.and_then(|rules| {
            let status = rules.restrict_self().map_err(|error| error.to_string())?;
            match status.ruleset {
                RulesetStatus::FullyEnforced => Ok(()),
                RulesetStatus::PartiallyEnforced => {
                    Err("only in part: this kernel is older than Linux 6.12".to_owned())
                }
                RulesetStatus::NotEnforced => {
                    Err("this kernel has no landlock, or it is not switched on (lsm=)".to_owned())
                }
            }
        });
        in_force.take(WHAT, outcome);
    }
}

fn rules(sandbox: &Sandbox) -> Result<RulesetCreated, RulesetError> {
    let mut connections = BitFlags::EMPTY;
    if sandbox.ports.is_some() {
        connections |= AccessNet::BindTcp;
    }
    if !sandbox.connects && !sandbox.asks {
        connections |= AccessNet::ConnectTcp;
    }
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?;
    if !connections.is_empty() {
        rules = rules.handle_access(connections)?;
    }
    let mut rules = rules.scope(Scope::from_all(KNOWN))?.create()?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let served = if sandbox.read_only { read } else { changes() };
    let paths = sandbox.served.iter().map(|path| (path, served));
    let paths = paths
        .chain(sandbox.read.iter().map(|path| (path, read)))
        .chain(sandbox.written.iter().map(|path| (path, changes())));
    for (path, access) in paths {
        let Ok(opened) = PathFd::new(path) else {
            continue;
        };
        let rule = PathBeneath::new(opened, fitting(path, access));
        rules = rules.add_rule(rule)?;
    }
    for range in sandbox.ports.iter().flatten() {
        for port in range.clone() {
            rules = rules.add_rule(NetPort::new(port, AccessNet::BindTcp))?;
        }
    }
    Ok(rules)
}

/// What a store does: everything but programs, devices, sockets, pipes and symbolic links.
fn changes() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer
}

/// What can be said of a file is less than what can be said of a directory.
fn fitting(path: &Path, access: BitFlags<AccessFs>) -> BitFlags<AccessFs> {
    if path.is_dir() {
        access
    } else {
        access & AccessFs::from_file(KNOWN)
    }
}
