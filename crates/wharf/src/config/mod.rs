//! What `wharf serve` is to do, gathered from three places: defaults, then the configuration file,
//! then environment and flags. The file's keys are rows of the tables below [`mod@file`].
//!
//! Nothing is opened here; `cmd::serve` and `cmd::check` do that.

mod acme;
#[cfg(test)]
mod damaged;
pub(crate) mod file;
mod problem;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use wharf_proto::data_connection::advertise::Network;
use wharf_proto::data_connection::passive::PortRange;

pub(crate) use acme::AcmeSettings;
pub(crate) use file::read;
pub(crate) use tls::TlsSettings;

use crate::args::ServeArgs;
use crate::args::value::{
    Advertise, Auth, Fsync, Jail, OnePort, PortPolicy, SandboxLevel, SharedAddress, Shells,
    UploadPolicy,
};
use crate::logging::LogFormat;

/// The most shared data ports: each is a listener for every address.
const SHARED_PORTS: u16 = 256;

/// Everything about a server that a person can decide. Paths are as they will be opened.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) directory: PathBuf,
    /// Empty: chosen at start (port 21 if it may be bound, else 2121).
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) greeting: Option<String>,
    pub(crate) tls: TlsSettings,
    pub(crate) acme: AcmeSettings,
    pub(crate) login: LoginSettings,
    pub(crate) data: DataSettings,
    pub(crate) limits: LimitSettings,
    pub(crate) bans: BanSettings,
    pub(crate) resume_uploads: bool,
    pub(crate) uploads: UploadPolicy,
    pub(crate) fsync: Fsync,
    /// Zero is no keepalive; `None` is the server library's default.
    pub(crate) keepalive: Option<Duration>,
    /// Balancers that send a PROXY protocol header.
    pub(crate) proxy_protocol: Vec<Network>,
    pub(crate) log: LogSettings,
    /// The file that they come from.
    pub(crate) source: Option<PathBuf>,
    /// As whom the network is talked to; `None`: the owner of the directory.
    pub(crate) run_as: Option<String>,
    pub(crate) sandbox: SandboxLevel,
}

/// Who may log in and what they may do.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoginSettings {
    pub(crate) user: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) users: Option<PathBuf>,
    pub(crate) anonymous: bool,
    /// Anonymous may write, too.
    pub(crate) writable: bool,
    /// Nobody may write.
    pub(crate) read_only: bool,
    /// Where the user and anonymous start, below the directory.
    pub(crate) home: Option<String>,
    /// Whether users of this system may log in.
    pub(crate) auth: Auth,
    /// As which service PAM is asked about them; `None` is the usual one.
    pub(crate) pam_service: Option<String>,
    /// What they see.
    pub(crate) jail: Jail,
    /// Which of them; `None` is the accounts library's default.
    pub(crate) least_uid: Option<u32>,
    pub(crate) shells: Shells,
}

/// Data connections.
#[derive(Clone, Debug)]
pub(crate) struct DataSettings {
    pub(crate) passive_ports: PortRange,
    pub(crate) one_port: OnePort,
    /// Shared data ports, instead of the passive ones.
    pub(crate) port: Option<PortRange>,
    pub(crate) shared_address: SharedAddress,
    pub(crate) address_pools: Vec<Network>,
    pub(crate) advertise: Vec<Advertise>,
    /// Files are read for HASH, XCRC and their like.
    pub(crate) digests: bool,
    pub(crate) active: bool,
    /// Source port of active data connections; 0: any.
    pub(crate) active_port: u16,
    pub(crate) port_policy: PortPolicy,
    pub(crate) timeout: Option<Duration>,
}

/// Limits; `None` is the server library's default, 0 sessions is no limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct LimitSettings {
    pub(crate) sessions: Option<u32>,
    pub(crate) sessions_per_address: Option<u32>,
    pub(crate) login_attempts: Option<u32>,
    pub(crate) login_timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) stall_timeout: Option<Duration>,
    /// How long transfers may go on after SIGTERM.
    pub(crate) stop_timeout: Option<Duration>,
}

/// Who is banned, when and for how long; `None` is the accounts library's default.
#[derive(Clone, Debug, Default)]
pub(crate) struct BanSettings {
    /// Zero: never.
    pub(crate) after: Option<u32>,
    pub(crate) users_after: Option<u32>,
    pub(crate) half_life: Option<Duration>,
    pub(crate) first: Option<Duration>,
    pub(crate) longest: Option<Duration>,
    pub(crate) trusted: Option<Vec<Network>>,
    pub(crate) list: Option<PathBuf>,
}

/// What is written down.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogSettings {
    pub(crate) format: Option<LogFormat>,
    pub(crate) level: Option<String>,
    pub(crate) xferlog: Option<PathBuf>,
    pub(crate) trace: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("."),
            listen: Vec::new(),
            greeting: None,
            tls: TlsSettings::default(),
            acme: AcmeSettings::default(),
            login: LoginSettings::default(),
            data: DataSettings {
                passive_ports: wharf_server::Config::default().passive_ports,
                one_port: OnePort::Auto,
                port: None,
                shared_address: SharedAddress::OneUser,
                address_pools: Vec::new(),
                advertise: Vec::new(),
                digests: true,
                active: true,
                active_port: 20,
                port_policy: PortPolicy::Refuse,
                timeout: None,
            },
            limits: LimitSettings::default(),
            bans: BanSettings::default(),
            resume_uploads: false,
            uploads: UploadPolicy::Atomic,
            fsync: Fsync::None,
            keepalive: None,
            proxy_protocol: Vec::new(),
            log: LogSettings::default(),
            source: None,
            run_as: None,
            sandbox: SandboxLevel::BestEffort,
        }
    }
}

impl Settings {
    /// Lays flags and environment over what the file said.
    pub(crate) fn overlay(&mut self, args: &ServeArgs) {
        fn over<T: Clone>(target: &mut T, flag: Option<&T>) {
            if let Some(value) = flag {
                *target = value.clone();
            }
        }
        fn over_some<T: Clone>(target: &mut Option<T>, flag: Option<&T>) {
            if flag.is_some() {
                *target = flag.cloned();
            }
        }
        over(&mut self.directory, args.directory.as_ref());
        if !args.listen.is_empty() {
            self.listen.clone_from(&args.listen);
        }
        over_some(&mut self.greeting, args.greeting.as_ref());
        self.tls.overlay(&args.tls);
        if !args.inherited.is_empty() || !args.inherited_implicit.is_empty() {
            self.listen.clone_from(&args.inherited);
            self.tls
                .implicit_listen
                .clone_from(&args.inherited_implicit);
        }
        self.acme.overlay(&args.acme);

        let login = &mut self.login;
        over_some(&mut login.user, args.user.as_ref());
        over_some(&mut login.password_file, args.password_file.as_ref());
        over_some(&mut login.users, args.users.as_ref());
        login.anonymous |= args.anonymous;
        login.read_only |= args.read_only;
        // A named user alone may write already, so the flag is granted.
        let granted = login.user.is_some() && !login.anonymous && !login.read_only;
        login.writable |= args.writable && !granted;
        over_some(&mut login.home, args.home.as_ref());
        over(&mut login.auth, args.system.auth.as_ref());
        over_some(&mut login.pam_service, args.system.pam_service.as_ref());
        over(&mut login.jail, args.system.jail.as_ref());
        over_some(&mut login.least_uid, args.system.least_uid.as_ref());
        over(&mut login.shells, args.system.shells.as_ref());

        let data = &mut self.data;
        over(&mut data.passive_ports, args.passive_ports.as_ref());
        over(&mut data.one_port, args.one_port.as_ref());
        over_some(&mut data.port, args.data_port.as_ref());
        over(&mut data.shared_address, args.shared_address.as_ref());
        if !args.address_pool.is_empty() {
            data.address_pools.clone_from(&args.address_pool);
        }
        if !args.advertise.is_empty() {
            data.advertise.clone_from(&args.advertise);
        }
        data.digests &= !args.no_digests;
        data.active &= !args.no_active;
        over(&mut data.active_port, args.active_port.as_ref());
        over(&mut data.port_policy, args.port_policy.as_ref());
        over_some(&mut data.timeout, args.data_timeout.as_ref());

        let limits = &mut self.limits;
        over_some(&mut limits.sessions, args.max_sessions.as_ref());
        over_some(
            &mut limits.sessions_per_address,
            args.max_per_address.as_ref(),
        );
        over_some(&mut limits.login_attempts, args.login_attempts.as_ref());
        over_some(&mut limits.login_timeout, args.login_timeout.as_ref());
        over_some(&mut limits.idle_timeout, args.idle_timeout.as_ref());
        over_some(&mut limits.stall_timeout, args.stall_timeout.as_ref());
        over_some(&mut limits.stop_timeout, args.stop_timeout.as_ref());

        let bans = &mut self.bans;
        over_some(&mut bans.after, args.bans.ban_after.as_ref());
        over_some(&mut bans.list, args.bans.ban_list.as_ref());
        if !args.bans.trusted.is_empty() {
            bans.trusted = Some(args.bans.trusted.clone());
        }

        self.resume_uploads |= args.resume_uploads;
        over(&mut self.uploads, args.uploads.as_ref());
        over(&mut self.fsync, args.fsync.as_ref());
        over_some(&mut self.keepalive, args.keepalive.as_ref());
        if !args.proxy_protocol.is_empty() {
            self.proxy_protocol.clone_from(&args.proxy_protocol);
        }

        over_some(&mut self.run_as, args.run_as.as_ref());
        over(&mut self.sandbox, args.sandbox.as_ref());

        let log = &mut self.log;
        over_some(&mut log.format, args.log_format.as_ref());
        over_some(&mut log.level, args.log_level.as_ref());
        over_some(&mut log.xferlog, args.xferlog.as_ref());
        over_some(&mut log.trace, args.trace.as_ref());
    }

    /// What is wrong with the settings taken together, each with the table of the file that it is about.
    pub(crate) fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let login = &self.login;
        if login.writable && !login.anonymous {
            found.push((
                "login",
                "writable only concerns anonymous, and anonymous is not on (named users may write already)"
                    .to_owned(),
            ));
        }
        if login.writable && login.read_only {
            found.push((
                "login",
                "writable and read-only contradict each other".to_owned(),
            ));
        }
        if login.password_file.is_some() && login.user.is_none() {
            found.push((
                "login",
                "a password file needs the user it belongs to".to_owned(),
            ));
        }
        if login.auth.is_of_system() && self.sandbox == SandboxLevel::Off {
            found.push((
                "login",
                "users of the system, and no sandbox: say sandbox = \"best-effort\" (--sandbox best-effort), which puts what checks passwords and what talks to the network apart"
                    .to_owned(),
            ));
        }
        if let Some(ports) = self.data.port {
            if ports.len() > SHARED_PORTS {
                found.push(("data", format!(
                    "{} shared data ports are too many: all are listened on all the time, and {SHARED_PORTS} are enough (use passive ports for a range)",
                    ports.len()
                )));
            }
            if let Some(at) = self.listen.iter().find(|at| ports.contains(at.port())) {
                found.push(("data", format!(
                    "the control port {} is among the shared data ports {ports}: use one_port for data on the control port",
                    at.port()
                )));
            }
        }
        if self.run_as.is_some() && self.sandbox == SandboxLevel::Off {
            found.push((
                "run_as",
                "run as another user, and no sandbox: say sandbox = \"best-effort\" (--sandbox best-effort), which gives the rights away"
                    .to_owned(),
            ));
        }
        let tls = self.tls.contradictions(&self.listen);
        found.extend(tls.into_iter().map(|message| ("tls", message)));
        if let Some(home) = &login.home
            && home.contains(['\0', '\r', '\n'])
        {
            found.push((
                "login",
                "home must not contain control characters".to_owned(),
            ));
        }
        found
    }
}
