//! Which processes `wharf serve` is, and what each of them may do.
//!
//! Started as root it is two: this one stays as the broker, and starts the same program again as the one that talks to
//! the network. So it is under `--sandbox strict`, whoever started it, since the key of TLS and connections to clients
//! are then nobody's but the broker's. Else it is one process, locked in as far as it can do without a broker.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::Access;
use wharf_broker::message::Kept;
use wharf_broker::{
    Broker, BrokeredNet, End, Grant, Identity, InForce, Link, Own, Reloaded, Sandbox, SandboxError,
    Strictness,
};
use wharf_net::{InheritedNet, Net};

use super::custody::Custody;
use super::inherited::Inherited;
use super::orders::Signals;
use super::{ban, foundation, kept, notify, serve, state_directory, storage_worker, system_users};
use crate::args::ServeArgs;
use crate::args::serve_tls::Requirement;
use crate::args::value::{AdvertiseHost, Auth, SandboxLevel};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::password;

/// Read by whoever tells the time in local terms.
const TIME_ZONES: [&str; 2] = ["/usr/share/zoneinfo", "/etc/localtime"];

/// Read by the resolver of the C library, and what it loads.
const RESOLVER: [&str; 10] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/ld.so.cache",
    "/run/systemd/resolve",
    "/usr/lib",
    "/lib",
    "/proc/net",
];

/// Read by whoever believes what the system believes: certificate authorities.
const AUTHORITIES: [&str; 4] = [
    "/etc/ssl",
    "/etc/pki",
    "/usr/lib/ssl",
    "/usr/share/ca-certificates",
];

/// Where other trees of authorities are named, as OpenSSL has it.
const AUTHORITIES_NAMED: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The argument that makes the second process.
const NETWORK_PROCESS: &str = "--network-process";

/// Serves, as one process or two.
pub(crate) fn run(args: &ServeArgs, output: &Output) -> Result<(), Failure> {
    if args.network_process {
        return network(args, output);
    }
    if args.storage_worker {
        return storage_worker::run(args);
    }
    let inherited = Inherited::take()?;
    let args = &inherited.instead(args);
    let settings = foundation::settings(args)?;
    system_users::possible(&settings)?;
    if is_brokered(&settings) {
        broker(args, &settings, inherited, output)
    } else {
        alone(args, inherited, output)
    }
}

/// Whether there are two processes.
pub(crate) fn is_brokered(settings: &Settings) -> bool {
    match settings.sandbox {
        SandboxLevel::Off => false,
        SandboxLevel::Strict => true,
        SandboxLevel::BestEffort => is_root(),
    }
}

pub(super) fn is_root() -> bool {
    own_uid() == 0
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

pub(crate) fn strictness(settings: &Settings) -> Strictness {
    match settings.sandbox {
        SandboxLevel::Strict => Strictness::Strict,
        SandboxLevel::BestEffort => Strictness::BestEffort,
        SandboxLevel::Off => Strictness::Off,
    }
}

/// As whom the network is talked to; `None` is whoever started the server.
pub(crate) fn identity(settings: &Settings) -> Result<Option<Identity>, Failure> {
    let no = |error: wharf_broker::sandbox::IdentityError, exit| {
        Failure::new(exit, error.to_string())
            .with_hint("--run-as USER names the user as whom the network is talked to")
    };
    match &settings.run_as {
        Some(name) if is_root() => Identity::named(name)
            .map(Some)
            .map_err(|error| no(error, Exit::NoUser)),
        Some(name) if Identity::named(name).is_ok_and(|it| it.uid == own_uid()) => Ok(None),
        Some(name) => Err(Failure::new(
            Exit::NoPermission,
            format!("only root can become the user {name}"),
        )
        .with_hint("start the server as root, or as that user without --run-as")),
        None if is_root() && settings.sandbox != SandboxLevel::Off => {
            Identity::owner_of(&settings.directory)
                .map(Some)
                .map_err(|error| no(error, Exit::Unavailable))
        }
        None => Ok(None),
    }
}

/// What the process that talks to the network keeps, with the user that it is.
pub(crate) fn sandbox(settings: &Settings, brokered: bool) -> Sandbox {
    let lookups = settings
        .data
        .advertise
        .iter()
        .any(|rule| !matches!(rule.host, AdvertiseHost::Address(_)));
    let authority = !brokered && !settings.acme.domains.is_empty();
    let asks = lookups || authority;
    let mut read: Vec<PathBuf> = TIME_ZONES.map(PathBuf::from).to_vec();
    if asks {
        read.extend(RESOLVER.map(PathBuf::from));
    }
    // No secrets, and read again by SIGHUP.
    let clients = settings.tls.client_ca.iter();
    let clients = clients.chain(&settings.tls.client_crl);
    read.extend(clients.map(|path| folder(path)));
    let mut written: Vec<PathBuf> = ban::folder(&settings.bans).into_iter().collect();
    if !brokered {
        // A file that an editor or a log rotation has replaced is another one: its folder counts.
        let login = &settings.login;
        let kept = [&login.users, &login.password_file, &settings.source];
        read.extend(kept.into_iter().flatten().map(|path| folder(path)));
        for pair in settings.tls.pairs() {
            read.extend([folder(&pair.chain), folder(&pair.key)]);
        }
        written.extend(settings.log.xferlog.as_deref().map(folder));
        if settings.tls.control != Requirement::Off {
            written.extend(state_directory::of_server());
        }
    }
    if authority {
        read.extend(AUTHORITIES.map(PathBuf::from));
        let named = AUTHORITIES_NAMED.into_iter().filter_map(std::env::var_os);
        read.extend(named.flat_map(|paths| std::env::split_paths(&paths).collect::<Vec<_>>()));
    }
    Sandbox {
        served: vec![settings.directory.clone()],
        read_only: settings.login.read_only,
        read,
        written,
        // Without a broker a port that SIGHUP brings could not be had any more.
        ports: (brokered || settings.sandbox == SandboxLevel::Strict).then(|| ports(settings)),
        listens: !brokered || asks,
        connects: settings.data.active && !brokered,
        asks,
        ends_with_parent: brokered,
        identity: None,
    }
}

fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
        Some(folder) => folder.to_owned(),
        None => file.to_owned(),
    }
}

/// Where it listens by itself; what a privilege is needed for the broker does.
fn ports(settings: &Settings) -> Vec<RangeInclusive<u16>> {
    let data = &settings.data;
    let named = foundation::wanted_addresses(settings).into_iter();
    let mut ports: Vec<_> = named.map(|at| at.port()..=at.port()).collect();
    ports.extend(data.port.map(|range| range.lo()..=range.hi()));
    ports.push(data.passive_ports.lo()..=data.passive_ports.hi());
    ports
}

/// What the broker does for the network process.
fn grant(settings: &Settings) -> Grant {
    let data = &settings.data;
    let mut files = BTreeMap::new();
    let kept = [
        (Kept::Configuration, &settings.source),
        (Kept::Users, &settings.login.users),
        (Kept::Password, &settings.login.password_file),
        (Kept::ClientAuthorities, &settings.tls.client_ca),
        (Kept::ClientRevocations, &settings.tls.client_crl),
        (Kept::TransferLog, &settings.log.xferlog),
        (Kept::Trace, &settings.log.trace),
    ];
    for (kept, path) in kept {
        if let Some(path) = path {
            files.insert(kept, path.clone());
        }
    }
    Grant {
        listen: foundation::wanted_addresses(settings),
        data: data.port.into_iter().chain([data.passive_ports]).collect(),
        active: data.active.then_some(data.active_port),
        pools: data.address_pools.clone(),
        balancers: settings.proxy_protocol.clone(),
        files,
    }
}

fn stops_within(settings: &Settings) -> Duration {
    settings.limits.stop_timeout.unwrap_or(serve::STOP_TIMEOUT)
}

/// By its name, which is what process lists show; an upgrade may have removed it.
pub(super) fn this_program() -> Command {
    let program = std::env::current_exe().ok().filter(|path| path.is_file());
    let mut command = Command::new(program.unwrap_or_else(|| "/proc/self/exe".into()));
    let word = std::env::args_os().next();
    command.arg0(word.unwrap_or_else(|| OsString::from("wharf")));
    command
}

/// The first process: keeps the rights and answers the second.
fn broker(
    args: &ServeArgs,
    settings: &Settings,
    inherited: Inherited,
    output: &Output,
) -> Result<(), Failure> {
    serve::start_log(args, settings)?;
    // Before there is a second process to be told so.
    identity(settings)?;
    let mut command = this_program();
    let words = std::env::args_os().skip(1);
    let mut before = true;
    for word in words {
        let verb = before && word == "serve";
        command.arg(word);
        if verb {
            command.arg(NETWORK_PROCESS).args(inherited.words());
            before = false;
        }
    }
    let login = &settings.login;
    if let Some(user) = &login.user
        && login.password_file.is_none()
        && password::from_env()?.is_none()
        && password::can_prompt()
    {
        // The other process has no terminal to ask on.
        use std::os::unix::ffi::OsStrExt;
        let typed = password::prompt(&format!("Password for {user}: "), Exit::ServerUsage)?;
        command.env(
            "WHARF_PASSWORD",
            std::ffi::OsStr::from_bytes(typed.expose()),
        );
    }
    let fault = |error: std::io::Error| {
        Failure::new(
            Exit::Software,
            format!("cannot start the process that talks to the network: {error}"),
        )
        .with_hint("--sandbox off serves with one process")
    };
    let custody = Custody::take(settings)?;
    let mut broker = Broker::start(command, grant(settings), custody.keys()).map_err(fault)?;
    broker.stops_within(stops_within(settings));
    broker.inherits(inherited.sockets);
    notify::begin();
    broker.tells(notify::tell);
    let gate = settings.login.auth.is_of_system().then(|| {
        let (logins, gate) = system_users::logins(args, settings);
        broker.lets_in(logins);
        gate
    });
    let own = own(settings);
    give_up(&broker, &own, settings, output)?;
    let watchman = custody.watch(broker.teller())?;
    let ended = broker.run(|| {
        let reloaded = foundation::settings(args).and_then(|settings| {
            if let Some(what) = own.lacks(&self::own(&settings)) {
                return Err(Failure::new(
                    Exit::NoPermission,
                    format!("{what}: the broker has given that right away, and nothing brings it back but a restart"),
                ));
            }
            system_users::possible(&settings)?;
            watchman.reload(&settings)?;
            if let Some(gate) = &gate {
                gate.reload(&settings);
            }
            Ok(Reloaded {
                grant: grant(&settings),
                stops_within: stops_within(&settings),
            })
        });
        reloaded.inspect_err(serve::not_reloaded).ok()
    });
    let end = ended.map_err(|error| {
        Failure::new(Exit::Software, format!("the broker cannot go on: {error}"))
    })?;
    match (&end, end.code()) {
        (_, Some(0)) => Ok(()),
        // It has said why.
        (End::Ended(status), Some(code)) if status.code().is_some() => {
            Err(Failure::told(Exit::Software).with_code(code))
        }
        (End::Ended(status), code) => {
            output.warning(&format!(
                "the process that talks to the network has ended: {status}"
            ));
            Err(Failure::told(Exit::Software).with_code(code.unwrap_or(Exit::Software.code())))
        }
        (End::Stuck, _) => Err(Failure::new(
            Exit::Software,
            "the process that talks to the network did not stop in its time, and was killed",
        )),
        (End::Killed(why), _) => Err(Failure::new(
            Exit::Software,
            format!(
                "the process that talks to the network asked for what no honest one asks for ({why}), and was killed"
            ),
        )
        .with_hint("it may have been taken over; look at what clients sent before: --trace FILE")),
    }
}

/// What the broker keeps for itself.
pub(crate) fn own(settings: &Settings) -> Own {
    let grant = grant(settings);
    let is_low = |port: u16| (1..1024).contains(&port);
    let authority = !settings.acme.domains.is_empty();
    let mut read: Vec<PathBuf> = Vec::new();
    let mut written: Vec<PathBuf> = Vec::new();
    for (kept, path) in grant.files {
        if kept.is_appended() {
            written.push(path);
        } else {
            read.push(path);
        }
    }
    for pair in settings.tls.pairs() {
        read.extend([pair.chain, pair.key]);
    }
    if settings.tls.control != Requirement::Off {
        written.extend(state_directory::of_server());
    }
    Own {
        low_ports: authority
            || grant.active.is_some_and(is_low)
            || grant.listen.iter().any(|at| is_low(at.port()))
            || grant.data.iter().any(|range| is_low(range.lo())),
        connects: authority,
        users: settings.login.auth.is_of_system(),
        pam: settings.login.auth == Auth::Pam,
        read,
        written,
    }
}

/// The broker's share of the sandbox.
fn give_up(
    broker: &Broker,
    own: &Own,
    settings: &Settings,
    output: &Output,
) -> Result<(), Failure> {
    let Some(missing) = broker.gives_up(own).missing() else {
        return Ok(());
    };
    if strictness(settings) == Strictness::Strict {
        return Err(sandbox_failure(&SandboxError::Missing(missing)));
    }
    output.warning(&format!("the sandbox is not complete: {missing}"));
    Ok(())
}

/// The second process: talks to the network.
fn network(args: &ServeArgs, output: &Output) -> Result<(), Failure> {
    let (link, orders) = Link::from_stdin().map_err(|error| {
        Failure::new(
            Exit::ServerUsage,
            format!("{NETWORK_PROCESS} is not for people: {error}"),
        )
    })?;
    kept::ask(link.clone());
    let opened = serve::open(args)?;
    let standing = lock_in(&opened, true, output)?;
    in_runtime(async {
        let signals = Signals::new(Some(orders))?;
        let net: Arc<dyn Net> = Arc::new(BrokeredNet::new(link));
        serve::run(args, opened, net, signals, &standing, output).await
    })
}

/// The only process.
fn alone(args: &ServeArgs, inherited: Inherited, output: &Output) -> Result<(), Failure> {
    let opened = serve::open(args)?;
    notify::begin();
    let standing = lock_in(&opened, false, output)?;
    let net: Arc<dyn Net> = Arc::new(InheritedNet::new(inherited.sockets));
    in_runtime(async {
        let signals = Signals::new(None)?;
        serve::run(args, opened, net, signals, &standing, output).await
    })
}

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
fn lock_in(opened: &serve::Opened, brokered: bool, output: &Output) -> Result<Standing, Failure> {
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

fn in_runtime(serving: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Software, format!("cannot start: {error}")))?;
    let result = runtime.block_on(serving);
    // A thread that still waits for a disk must not hold the end up.
    runtime.shutdown_background();
    result
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
