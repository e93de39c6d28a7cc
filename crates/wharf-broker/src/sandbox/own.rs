//! What the broker keeps for itself once the network process has been started: it never reads a byte of the network, and
//! whoever gets into it by another way shall find little there.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use caps::{CapSet, Capability};
use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::{InForce, denied, hide};

/// What the configuration takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Ports below 1024 are bound: for control or passive data connections, port 20, an authority's questions.
    pub low_ports: bool,
    /// It connects to others than clients, and asks name servers: for certificates of an authority.
    pub connects: bool,
    /// It starts processes of this system's users, and reads their passwords' hashes.
    pub users: bool,
    /// It asks PAM about them, whose modules run in it: they write records for the auditor and files of others
    /// (`pam_faillock`), and start programs.
    pub pam: bool,
    /// Files and directories that it reads.
    pub read: Vec<PathBuf>,
    /// Files that it appends to or makes, and directories that it makes files in.
    pub written: Vec<PathBuf>,
}

impl Own {
    /// Gives everything else away, for this thread and those that it starts. To be called when the network process has
    /// been started, and before there is another thread.
    pub fn keep(&self) -> InForce {
        let mut in_force = InForce::default();
        in_force.take("broker: its memory is nobody else's", hide(true));
        let kept = self.capabilities();
        in_force.take(told(&kept), reduce(&kept));
        in_force.take(
            "broker: no new privileges",
            rustix::thread::set_no_new_privs(true).map_err(|error| error.to_string()),
        );
        in_force.take(
            "broker: system calls: no exec, fork, ptrace, mount, bpf, modules, name spaces, io_uring as far as it can do without",
            alone().and_then(|()| denied::enforce(self)),
        );
        in_force
    }

    /// In words, for whoever asks what the broker may do.
    pub fn told(&self) -> String {
        let mut kept = vec![
            "files that the configuration names",
            "ending the other process",
        ];
        let further = [
            (self.low_ports, "ports below 1024"),
            (self.connects, "connections to an authority"),
            (self.users, "processes of this system's users"),
            (
                self.pam,
                "modules of PAM, and what they may need: any file, records for the auditor, other programs",
            ),
        ];
        kept.extend(
            further
                .into_iter()
                .filter(|(held, _)| *held)
                .map(|(_, what)| what),
        );
        kept.join(", ")
    }

    /// What of another configuration cannot be had any more; `None` when all can.
    pub fn lacks(&self, wanted: &Self) -> Option<&'static str> {
        let table = [
            (self.low_ports, wanted.low_ports, "ports below 1024"),
            (self.connects, wanted.connects, "an authority"),
            (self.users, wanted.users, "users of this system"),
            (self.pam, wanted.pam, "PAM"),
        ];
        let lacking = table
            .into_iter()
            .find(|(held, wanted, _)| *wanted && !*held);
        lacking.map(|(_, _, what)| what)
    }

    /// Of those that the process has.
    fn capabilities(&self) -> HashSet<Capability> {
        let had = caps::read(None, CapSet::Permitted).unwrap_or_default();
        if had.is_empty() {
            return had;
        }
        // The network process may have another user, and is ended by a signal.
        let mut kept = HashSet::from([Capability::CAP_KILL]);
        if self.low_ports {
            kept.insert(Capability::CAP_NET_BIND_SERVICE);
        }
        if self.users {
            kept.extend([
                Capability::CAP_SETUID,
                Capability::CAP_SETGID,
                Capability::CAP_DAC_READ_SEARCH,
                // A worker empties its bounding set.
                Capability::CAP_SETPCAP,
            ]);
        }
        if self.pam {
            kept.extend([
                // Without it every login of root's ends as an error of the system (pam_authenticate, where audit is built in).
                Capability::CAP_AUDIT_WRITE,
                // Counters of failures belong to their users.
                Capability::CAP_CHOWN,
                Capability::CAP_DAC_OVERRIDE,
                Capability::CAP_FOWNER,
            ]);
        }
        match tried(self) {
            Files::Own => {}
            Files::ReadOthers => {
                kept.insert(Capability::CAP_DAC_READ_SEARCH);
            }
            Files::WriteOthers => {
                kept.insert(Capability::CAP_DAC_OVERRIDE);
            }
        }
        kept.intersection(&had).copied().collect()
    }
}

/// Whose files the configuration names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Files {
    /// Those that its user may use anyway.
    Own,
    ReadOthers,
    WriteOthers,
}

/// Tried without capabilities, by a thread that ends, instead of guessed from owners, bits and lists.
fn tried(own: &Own) -> Files {
    let own = own.clone();
    let thread = std::thread::spawn(move || {
        caps::clear(None, CapSet::Effective).ok()?;
        if own.written.iter().any(|path| is_refused(writes(path))) {
            return Some(Files::WriteOthers);
        }
        let refused = own.read.iter().any(|path| is_refused(reads(path)));
        Some(if refused {
            Files::ReadOthers
        } else {
            Files::Own
        })
    });
    // Not tried: as if it were needed.
    thread.join().ok().flatten().unwrap_or(Files::WriteOthers)
}

fn reads(path: &Path) -> io::Result<()> {
    // Nothing waits here, were it a pipe.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let opened = File::options().read(true).custom_flags(flags).open(path);
    opened.map(drop)
}

fn writes(path: &Path) -> io::Result<()> {
    let may = |path: &Path, access| accessat(CWD, path, access, AtFlags::EACCESS);
    let outcome = match may(path, Access::WRITE_OK) {
        Err(rustix::io::Errno::NOENT) => {
            let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            may(folder, Access::WRITE_OK | Access::EXEC_OK)
        }
        other => other,
    };
    Ok(outcome?)
}

fn is_refused(outcome: io::Result<()>) -> bool {
    outcome.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// Rights are a thread's.
fn alone() -> Result<(), String> {
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let threads = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    match threads.map(str::trim) {
        Some("1") => Ok(()),
        other => Err(format!("{} threads", other.unwrap_or("unknown"))),
    }
}

fn reduce(kept: &HashSet<Capability>) -> Result<(), String> {
    let said = |error: caps::errors::CapsError| error.to_string();
    let had = caps::read(None, CapSet::Permitted).map_err(said)?;
    if had.contains(&Capability::CAP_SETPCAP) {
        for other in caps::read(None, CapSet::Bounding).map_err(said)? {
            if !kept.contains(&other) {
                caps::drop(None, CapSet::Bounding, other).map_err(said)?;
            }
        }
    }
    // Fails where the kernel has no ambient set, and then there is nothing in it.
    let _ = caps::clear(None, CapSet::Ambient);
    caps::set(None, CapSet::Inheritable, &HashSet::new()).map_err(said)?;
    for set in [CapSet::Effective, CapSet::Permitted] {
        caps::set(None, set, kept).map_err(said)?;
        if caps::read(None, set).map_err(said)? != *kept {
            return Err(format!("{set:?} is not what was wanted"));
        }
    }
    Ok(())
}

fn told(kept: &HashSet<Capability>) -> String {
    if kept.is_empty() {
        return "broker: no capabilities".to_owned();
    }
    let mut names: Vec<String> = kept.iter().map(ToString::to_string).collect();
    names.sort();
    format!("broker: no capabilities but {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_had_again() {
        let none = Own::default();
        let authority = Own {
            connects: true,
            low_ports: true,
            ..Own::default()
        };
        assert_eq!(authority.lacks(&none), None);
        assert_eq!(authority.lacks(&authority), None);
        assert_eq!(none.lacks(&authority), Some("ports below 1024"));
        let users = Own {
            users: true,
            ..authority.clone()
        };
        assert_eq!(authority.lacks(&users), Some("users of this system"));
        assert_eq!(
            users.told(),
            "files that the configuration names, ending the other process, ports below 1024, connections to an authority, processes of this system's users"
        );
        let asks = Own {
            pam: true,
            ..users.clone()
        };
        assert_eq!(users.lacks(&asks), Some("PAM"));
        assert_eq!(asks.lacks(&users), None);
        assert!(asks.told().ends_with(", other programs"), "{}", asks.told());
    }

    #[test]
    fn files_of_ones_own_take_no_capability() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().join("here");
        std::fs::write(&here, "").unwrap();
        let own = Own {
            read: vec![here.clone(), folder.path().join("absent")],
            written: vec![here, folder.path().join("new"), folder.path().to_owned()],
            ..Own::default()
        };
        assert_eq!(tried(&own), Files::Own);
    }

    /// Of root's rights nothing is left that the configuration does not take; others have none, and lose none.
    #[test]
    fn what_is_kept_is_kept_alone() {
        let own = Own {
            low_ports: true,
            ..Own::default()
        };
        let (kept, left) = std::thread::spawn(move || {
            let kept = own.capabilities();
            reduce(&kept).unwrap();
            let left = caps::read(None, CapSet::Effective).unwrap();
            (kept, left)
        })
        .join()
        .unwrap();
        assert_eq!(kept, left);
        let few = [Capability::CAP_KILL, Capability::CAP_NET_BIND_SERVICE];
        assert!(left.iter().all(|it| few.contains(it)), "{left:?}");
    }
}
