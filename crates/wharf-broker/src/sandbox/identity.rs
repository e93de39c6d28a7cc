//! As whom the process goes on, and that there is no way back.

use std::collections::HashSet;
use std::ffi::CString;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use caps::CapSet;
use nix::unistd::{
    Gid, Uid, User, getgrouplist, getresgid, getresuid, setgroups, setresgid, setresuid,
};

use wharf_accounts::SystemUser;

use super::InForce;

/// A user with its groups, as numbers: nothing is looked up any more once the process has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What people call it.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The primary group's.
    pub gid: u32,
    /// All groups, the primary one included.
    pub groups: Vec<u32>,
}

/// There is no such user, or the process could not become it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct IdentityError(String);

/// The user of that name as this system's name service knows it: by `/etc/passwd`, or a directory. `None` where there is
/// none, or none that makes sense.
///
/// # Errors
/// The name service does not answer.
pub fn user_named(name: &str) -> Result<Option<SystemUser>, IdentityError> {
    let found = User::from_name(name)
        .map_err(|error| IdentityError(format!("cannot look up the user {name:?}: {error}")))?;
    Ok(found.and_then(|user| {
        let home = user.dir.to_str().filter(|home| home.starts_with('/'))?;
        let shell = user.shell.to_str()?;
        Some(SystemUser {
            home: home.to_owned(),
            // As the C library reads it.
            shell: if shell.is_empty() { "/bin/sh" } else { shell }.to_owned(),
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            name: user.name,
        })
    }))
}

impl Identity {
    /// A user of this system by name.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn named(name: &str) -> Result<Self, IdentityError> {
        let found = User::from_name(name)
            .map_err(|error| IdentityError(format!("cannot look up the user {name}: {error}")))?;
        let user = found
            .ok_or_else(|| IdentityError(format!("there is no user {name} on this system")))?;
        Ok(Self::of_user(user))
    }

    /// The owner of a directory. One that this system has no name for keeps the directory's group as its only one.
    ///
    /// # Errors
    /// The directory cannot be looked at.
    pub fn owner_of(directory: &Path) -> Result<Self, IdentityError> {
        let facts = std::fs::metadata(directory)
            .map_err(|error| IdentityError(format!("{}: {error}", directory.display())))?;
        if let Ok(Some(user)) = User::from_uid(Uid::from_raw(facts.uid())) {
            return Ok(Self::of_user(user));
        }
        Ok(Self {
            name: facts.uid().to_string(),
            uid: facts.uid(),
            gid: facts.gid(),
            groups: vec![facts.gid()],
        })
    }

    fn of_user(user: User) -> Self {
        let gid = user.gid.as_raw();
        let groups = CString::new(user.name.as_str())
            .ok()
            .and_then(|name| getgrouplist(&name, user.gid).ok())
            .map_or_else(
                || vec![gid],
                |groups| groups.into_iter().map(Gid::as_raw).collect(),
            );
        Self {
            name: user.name,
            uid: user.uid.as_raw(),
            gid,
            groups,
        }
    }

    /// Whether it is the one that no file refuses anything to.
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// Becomes it, in all threads and for good.
    ///
    /// # Errors
    /// The system refused, or it turned out that the way back is open.
    pub fn assume(&self) -> Result<(), IdentityError> {
        let failed = |what: &str, error: nix::Error| {
            IdentityError(format!("cannot become {self}: {what}: {error}"))
        };
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        let groups: Vec<Gid> = self.groups.iter().copied().map(Gid::from_raw).collect();
        setgroups(&groups).map_err(|error| failed("setgroups", error))?;
        setresgid(gid, gid, gid).map_err(|error| failed("setresgid", error))?;
        setresuid(uid, uid, uid).map_err(|error| failed("setresuid", error))?;
        let uids = getresuid().map_err(|error| failed("getresuid", error))?;
        let gids = getresgid().map_err(|error| failed("getresgid", error))?;
        let all = [uids.real, uids.effective, uids.saved];
        let all_groups = [gids.real, gids.effective, gids.saved];
        let is = all.iter().all(|it| *it == uid) && all_groups.iter().all(|it| *it == gid);
        let back = !self.is_root()
            && setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_ok();
        if !is || back {
            return Err(IdentityError(format!(
                "cannot become {self}: the system said yes and it is not so"
            )));
        }
        Ok(())
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name == self.uid.to_string() {
            write!(f, "uid {}", self.uid)
        } else {
            write!(f, "{} (uid {})", self.name, self.uid)
        }
    }
}

/// User, groups and capabilities.
pub(super) fn give_up(
    identity: Option<&Identity>,
    in_force: &mut InForce,
) -> Result<(), IdentityError> {
    let privileged = caps::read(None, CapSet::Effective).unwrap_or_default();
    // Before the user: it takes a capability to take them all.
    let bounding = if privileged.contains(&caps::Capability::CAP_SETPCAP) {
        caps::clear(None, CapSet::Bounding).map_err(|error| error.to_string())
    } else if privileged.is_empty() {
        // Without one, and without new privileges, there is nothing that the bounding set would let through.
        Ok(())
    } else {
        Err("no right to take capabilities from the bounding set".to_owned())
    };
    if let Some(identity) = identity {
        identity.assume()?;
        in_force.take(format!("runs as {identity}"), Ok(()));
    }
    let cleared = bounding.and_then(|()| no_capability());
    in_force.take("no capabilities", cleared);
    Ok(())
}

fn no_capability() -> Result<(), String> {
    // Fails where the kernel has no ambient set, and then there is nothing in it.
    let _ = caps::clear(None, CapSet::Ambient);
    let none = HashSet::new();
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        caps::set(None, set, &none).map_err(|error| error.to_string())?;
        let left = caps::read(None, set).map_err(|error| error.to_string())?;
        if !left.is_empty() {
            return Err(format!("{} left in {set:?}", left.len()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_by_name() {
        let root = user_named("root").unwrap().unwrap();
        assert_eq!((root.uid, root.gid, root.name.as_str()), (0, 0, "root"));
        assert!(root.home.starts_with('/') && root.shell.starts_with('/'));
        assert_eq!(user_named("wharf-nobody-at-all").unwrap(), None);
    }
}
