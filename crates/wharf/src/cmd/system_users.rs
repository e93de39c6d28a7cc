//! Users of this system: who of them is let in, which is judged by the broker, and where they log in, which is the process
//! that talks to the network.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use wharf_accounts::{Authenticator, SystemFiles, SystemRules, SystemUser, system};
use wharf_broker::{
    Admitted, Doorman, Identity, Logins, Rejected, Strictness, SystemUsers, WorkerCommand,
    user_named,
};
use wharf_proto::{Pathname, Secret};
use wharf_storage::{LocalOptions, Permissions};
use wharf_worker::Post;

use super::{foundation, kept, pam, privilege, serve};
use crate::args::ServeArgs;
use crate::args::value::{Auth, Jail, Shells};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::logging::LogFormat;

const PASSWD: &str = "/etc/passwd";
const SHADOW: &str = "/etc/shadow";
const SHELLS: &str = "/etc/shells";
const DENIED: &str = "/etc/ftpusers";

/// Logins that PAM is asked about at once. After a wrong password it waits (2 s is usual), which takes a thread and no core.
const PAM_AT_ONCE: usize = 32;

/// Seconds of a day, as the dates of the shadow file count them.
const DAY: u64 = 24 * 60 * 60;

/// The hidden argument of the process that is a user of the system.
pub(super) const STORAGE_WORKER: &str = "--storage-worker";

/// Whether they can be let in at all.
///
/// # Errors
/// Not by whoever starts this, or not on this system.
pub(crate) fn possible(settings: &Settings) -> Result<(), Failure> {
    let auth = match settings.login.auth {
        Auth::Own => return Ok(()),
        Auth::System => "system",
        Auth::Pam => "pam",
    };
    if settings.login.auth == Auth::Pam {
        pam::possible(settings)?;
    }
    if !privilege::is_root() {
        return Err(Failure::new(
            Exit::NoPermission,
            format!("auth = \"{auth}\" takes root: passwords are in /etc/shadow, and users' files are touched as that user"),
        )
        .with_hint("start the server as root, or keep users of its own: `wharf user add`, --users FILE"));
    }
    if settings.login.auth == Auth::Pam {
        return Ok(());
    }
    read(SHADOW).map(drop).map_err(|error| {
        Failure::new(
            Exit::Unavailable,
            format!("auth = \"system\": cannot read {SHADOW}: {error}"),
        )
    })
}

/// What judges and starts them, for the broker. To be called while this process has one thread.
pub(super) fn logins(args: &ServeArgs, settings: &Settings) -> (Logins, Arc<Gate>) {
    let gate = Arc::new(Gate(Mutex::new(House::of(settings))));
    let doorman: Arc<dyn Doorman> = gate.clone();
    (Logins::new(doorman, worker(args, settings)), gate)
}

/// The same program, with nothing but how it logs; everything else comes over its standard input.
fn worker(args: &ServeArgs, settings: &Settings) -> WorkerCommand {
    let level = serve::log_filter(args, settings);
    let format = match settings.log.format.unwrap_or_default() {
        LogFormat::Human => "human",
        LogFormat::Json => "json",
    };
    Box::new(move || {
        let mut command = privilege::this_program();
        command
            .args(["serve", STORAGE_WORKER, "--log-format", format])
            .args(["--log-level", &level])
            .env_clear()
            .current_dir("/")
            .stdout(Stdio::null());
        command
    })
}

/// Judges logins by the files of the system as they are at that moment.
pub(super) struct Gate(Mutex<House>);

/// What a login gives.
#[derive(Clone)]
struct House {
    /// As which service PAM checks passwords; `None` where the shadow file does.
    service: Option<String>,
    rules: SystemRules,
    jail: Jail,
    directory: PathBuf,
    read_only: bool,
    options: LocalOptions,
    umask: u32,
    best_effort: bool,
}

impl House {
    fn of(settings: &Settings) -> Self {
        let directory = &settings.directory;
        let default = SystemRules::default();
        // There is no other way to look at it.
        let umask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        rustix::process::umask(umask);
        let by_pam = settings.login.auth == Auth::Pam;
        Self {
            service: by_pam.then(|| pam::service(settings).to_owned()),
            rules: SystemRules {
                least_uid: settings.login.least_uid.unwrap_or(default.least_uid),
                listed_shell: settings.login.shells == Shells::Listed,
            },
            jail: settings.login.jail,
            directory: std::fs::canonicalize(directory).unwrap_or_else(|_| directory.clone()),
            read_only: settings.login.read_only,
            options: foundation::local_options(settings),
            umask: umask.as_raw_mode(),
            best_effort: privilege::strictness(settings) != Strictness::Strict,
        }
    }

    /// The directory that the user sees as the root, and where in it the session begins.
    fn place(&self, user: &SystemUser) -> (PathBuf, Pathname) {
        let home = Path::new(&user.home);
        match self.jail {
            Jail::Home => (home.to_owned(), Pathname::root()),
            Jail::Directory => {
                let below = home.strip_prefix(&self.directory).ok();
                let below = below.and_then(|it| Pathname::new(it.as_os_str().as_bytes()).ok());
                let begin = below.map(|it| Pathname::root().join(&it).normalize());
                (self.directory.clone(), begin.unwrap_or_else(Pathname::root))
            }
        }
    }
}

impl Gate {
    /// From the next login on.
    pub(super) fn reload(&self, settings: &Settings) {
        let umask = self.house().umask;
        let new = House {
            umask,
            ..House::of(settings)
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = new;
    }

    fn house(&self) -> House {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Doorman for Gate {
    fn at_once(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        // A reload changes who checks passwords, and not how many do it.
        self.house()
            .service
            .map_or(cores, |_| PAM_AT_ONCE.max(cores))
    }

    fn admit(&self, name: &str, password: &Secret, from: IpAddr) -> Result<Admitted, Rejected> {
        let house = self.house();
        let user = match &house.service {
            None => by_files(name, password, house.rules)?,
            Some(service) => by_pam(service, name, password, from, house.rules)?,
        };
        let identity = Identity::named(&user.name).map_err(|error| broken("groups", &error))?;
        if (identity.uid, identity.gid) != (user.uid, user.gid) {
            return Err(Rejected::Broken(format!(
                "{PASSWD} says uid {} and the name service {}",
                user.uid, identity.uid
            )));
        }
        let (directory, home) = house.place(&user);
        Ok(Admitted {
            post: Post {
                name: user.name,
                uid: identity.uid,
                gid: identity.gid,
                groups: identity.groups,
                directory: directory.into_os_string().into_encoded_bytes(),
                read_only: house.read_only,
                options: house.options,
                umask: house.umask,
                best_effort: house.best_effort,
            },
            home,
        })
    }
}

/// By passwd(5) and shadow(5), as they are at that moment.
fn by_files(name: &str, password: &Secret, rules: SystemRules) -> Result<SystemUser, Rejected> {
    let files = SystemFiles {
        passwd: read(PASSWD).map_err(|error| broken(PASSWD, &error))?,
        shadow: read(SHADOW).map_err(|error| broken(SHADOW, &error))?,
        shells: read(SHELLS).ok(),
        denied: read(DENIED).ok(),
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let days = now.map_or(0, |since| since.as_secs() / DAY);
    let today = i64::try_from(days).unwrap_or(i64::MAX);
    system::check(name, password, &files, rules, today)
        .map_err(|refusal| Rejected::Refused(refusal.to_string()))
}

/// By PAM, of the users whom the name service knows and the rules let in.
fn by_pam(
    service: &str,
    name: &str,
    password: &Secret,
    from: IpAddr,
    rules: SystemRules,
) -> Result<SystemUser, Rejected> {
    if !pam::is_name(name) {
        return Err(Rejected::Refused("not a name".to_owned()));
    }
    let found = user_named(name).map_err(|error| broken("the name service", &error))?;
    let (shells, denied) = (read(SHELLS).ok(), read(DENIED).ok());
    let user = found
        .ok_or_else(|| "no such user".to_owned())
        .and_then(|user| {
            let may = system::admissible(&user, shells.as_deref(), denied.as_deref(), rules);
            may.map(|()| user).map_err(|refusal| refusal.to_string())
        });
    match user {
        Ok(user) => pam::ask(service, name, password.expose(), from).map(|()| user),
        Err(why) => {
            // Else the time would tell of those who may not log in here, root among them, whether the password is right.
            let _ = pam::ask(service, name, pam::NOBODYS, from);
            Err(Rejected::Refused(why))
        }
    }
}

fn broken(what: &str, error: &dyn std::fmt::Display) -> Rejected {
    Rejected::Broken(format!("{what}: {error}"))
}

/// Whole. A byte that is no text (a name of a person in an old encoding) makes no difference to the others.
fn read(path: &str) -> std::io::Result<String> {
    let bytes = std::fs::read(path)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Made once: the broker has one connection for them.
static ASKED: OnceLock<SystemUsers> = OnceLock::new();

/// Where users of the system log in, in the process that talks to the network; `None` when they do not.
///
/// # Errors
/// The broker does not let them in.
pub(super) fn source(settings: &Settings) -> Result<Option<Arc<dyn Authenticator>>, Failure> {
    if settings.login.auth == Auth::Own {
        return Ok(None);
    }
    let not = |why: String| {
        Failure::new(
            Exit::Unavailable,
            format!("users of the system are not let in: {why}"),
        )
        .with_hint("users of the system take a restart of the server")
    };
    let asked = match (ASKED.get(), kept::broker()) {
        (Some(asked), _) => asked,
        (None, None) => return Err(not("there is no broker".to_owned())),
        (None, Some(link)) => {
            let made = SystemUsers::new(link).map_err(|error| not(error.to_string()))?;
            ASKED.get_or_init(|| made)
        }
    };
    let permissions = if settings.login.read_only {
        Permissions::READ_ONLY
    } else {
        Permissions::FULL
    };
    Ok(Some(Arc::new(asked.with_permissions(permissions))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_session_begins() {
        for (jail, home, directory, begins) in [
            (Jail::Home, "/home/anna", "/home/anna", "/"),
            (Jail::Directory, "/home/anna", "/srv/ftp", "/"),
            (Jail::Directory, "/srv/ftp/anna", "/srv/ftp", "/anna"),
            (Jail::Directory, "/srv/ftp", "/srv/ftp", "/"),
            (Jail::Directory, "/srv/ftpanna", "/srv/ftp", "/"),
            (Jail::Directory, "/srv/ftp/../../etc", "/srv/ftp", "/etc"),
        ] {
            let house = House {
                jail,
                directory: "/srv/ftp".into(),
                ..House::of(&Settings::default())
            };
            let user = SystemUser {
                name: "anna".to_owned(),
                uid: 1001,
                gid: 1001,
                home: home.to_owned(),
                shell: "/bin/sh".to_owned(),
            };
            let (seen, begin) = house.place(&user);
            assert_eq!(
                (seen.to_str(), begin.as_bytes()),
                (Some(directory), begins.as_bytes()),
                "{jail:?} {home}"
            );
        }
    }
}
