//! Where wharf keeps what outlives a run.

use std::env;
use std::path::PathBuf;
use std::sync::OnceLock;

use etcetera::{BaseStrategy, choose_base_strategy};

/// The directory for it, for tests and scripts.
pub(crate) const VARIABLE: &str = "WHARF_STATE_DIR";

/// What systemd makes for a service with `StateDirectory=` (systemd.exec(5)); the first of several.
const SYSTEMD: &str = "STATE_DIRECTORY";

/// For root: the place of services (file hierarchy standard 5.8).
const SERVICE: &str = "/var/lib/wharf";

/// As whom this process was when it was first asked for, which is before it gives rights away.
static BEGAN_AS_ROOT: OnceLock<bool> = OnceLock::new();

/// Of a server: its own certificate, its account with an authority, the list of bans. `None` where there is no place for
/// it: no home directory, as in some containers.
pub(crate) fn of_server() -> Option<PathBuf> {
    let named = |variable| env::var_os(variable).filter(|it| !it.is_empty());
    if let Some(directory) = named(VARIABLE) {
        return Some(directory.into());
    }
    if let Some(directories) = named(SYSTEMD) {
        return env::split_paths(&directories).next();
    }
    // Whoever began as root and runs as somebody else by now means the same place.
    if *BEGAN_AS_ROOT.get_or_init(|| rustix::process::geteuid().is_root()) {
        return Some(SERVICE.into());
    }
    Some(choose_base_strategy().ok()?.state_dir()?.join("wharf"))
}
