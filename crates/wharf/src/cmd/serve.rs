//! `wharf serve`: open everything, say where it is, serve until a signal.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use wharf_accounts::Bans;
use wharf_broker::Progress;
use wharf_broker::message::Kept;
use wharf_net::tls::CertificateStore;
use wharf_net::{Net, Recorder};
use wharf_server::{Server, TlsPolicy};
use wharf_storage::Local;

use super::acme::{self, Renewal};
use super::certificate::{self, Certificates, InForce, Watch};
use super::foundation::{self, Owner};
use super::orders::{Got, Signals};
use super::privilege::Standing;
use super::{kept, notify};
use crate::args::ServeArgs;
use crate::args::value::{Auth, OnePort, wildcard};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::listing::percent;
use crate::logging::{self, LogFormat};
use crate::output::Output;
use crate::trace_file::TraceFile;

/// Time for transfers after SIGTERM when nothing was said.
pub(super) const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// What is opened before the process gives its rights away.
pub(crate) struct Opened {
    pub(crate) settings: Settings,
    pub(crate) bans: Option<Arc<Bans>>,
    listen: Vec<SocketAddr>,
    directory: Local,
    owner: Option<Owner>,
    recorder: Option<Arc<dyn Recorder>>,
    certificates: Option<Certificates>,
    /// What is said of the addresses and of this program.
    surroundings: Surroundings,
}

/// What can only be found out before the sandbox.
struct Surroundings {
    /// Where packets to the outside come from.
    own_address: IpAddr,
    directory: PathBuf,
    program: String,
}

/// Everything that takes rights, or a terminal.
pub(crate) fn open(args: &ServeArgs) -> Result<Opened, Failure> {
    let settings = foundation::settings(args)?;
    start_log(args, &settings)?;
    super::ban::settle(&settings.bans);
    let directory = foundation::directory(&settings)?;
    let owner = foundation::owner(&settings)?;
    let recorder = recorder(&settings)?;
    let bans = super::ban::bans(&settings.bans)?.map(Arc::new);
    let listen = foundation::listen(&settings)?;
    let certificates =
        certificate::certificates(&settings, &everywhere(&settings, &listen), &InForce::new())?;
    let path = std::fs::canonicalize(&settings.directory);
    Ok(Opened {
        directory,
        owner,
        recorder,
        bans,
        certificates,
        listen,
        surroundings: Surroundings {
            own_address: foundation::own_address(wildcard()),
            directory: path.unwrap_or_else(|_| settings.directory.clone()),
            program: own_name(),
        },
        settings,
    })
}

/// Serves until it is told to stop. `standing` says as whom and how locked in.
pub(crate) async fn run(
    args: &ServeArgs,
    opened: Opened,
    net: Arc<dyn Net>,
    mut signals: Signals,
    standing: &Standing,
    output: &Output,
) -> Result<(), Failure> {
    let Opened {
        settings,
        listen,
        directory,
        owner,
        recorder,
        bans,
        certificates,
        surroundings,
    } = opened;
    let storage = foundation::storage(&settings, &directory);
    let home = foundation::home(&settings, &*storage).await?;
    let accounts = foundation::accounts(&settings, &storage, &home, owner.as_ref())?;
    let tls = tls(&settings, certificates.as_ref())?;
    let mut config = foundation::server_config(&settings, listen.clone(), tls, recorder.clone());
    config.bans.clone_from(&bans);
    let server = Server::bind(config, net, accounts)
        .await
        .map_err(|error| bind_failure(&error))?;
    let handle = server.handle();
    let told = Told {
        addresses: server.local_addrs(),
        settings: &settings,
        owner: owner.as_ref(),
        certificates: certificates.as_ref(),
        surroundings: &surroundings,
        standing: &standing.lines,
    };
    // After the certificates were read: a new one is noticed by whoever watches them.
    let mut renewal = Renewal::default();
    if kept::broker().is_none() {
        renewal.apply(acme::settings(&settings)?).await?;
    }
    announce(&told, output)?;
    notify::tell(Progress::Ready);
    let mut store = certificates.as_ref().map(|it| Arc::clone(&it.store));
    let mut watch = certificates.map(|it| it.watch(drop));

    let mut stop_timeout = settings.limits.stop_timeout.unwrap_or(STOP_TIMEOUT);
    let mut serving = pin!(server.run());
    let mut stopping = false;
    loop {
        let got = tokio::select! {
            () = &mut serving => return Ok(()),
            got = signals.next() => got,
        };
        match got {
            Got::Stop if stopping => {
                tracing::warn!("second signal: stopping at once");
                handle.stop(Duration::ZERO);
            }
            Got::Stop => {
                stopping = true;
                notify::tell(Progress::Stopping);
                let sessions = handle.sessions();
                tracing::info!(sessions, deadline = ?stop_timeout, "stopping");
                handle.stop(stop_timeout);
            }
            Got::Certificates => take_certificates(store.as_deref()),
            Got::Reload => {
                notify::tell(Progress::Reloading);
                let old = Old {
                    directory: &directory,
                    served: &settings.directory,
                    standing,
                    listening: &listen,
                    owner: owner.as_ref(),
                    recorder: recorder.clone(),
                    bans: bans.as_ref(),
                    in_force: watch.as_ref().map(Watch::in_force).unwrap_or_default(),
                };
                let reloading = reload(args, old, &handle);
                // The server itself opens and closes the addresses, so it must go on meanwhile.
                let reloaded = tokio::select! {
                    () = &mut serving => return Ok(()),
                    reloaded = reloading => reloaded,
                };
                match reloaded {
                    Ok((new, certificates)) => {
                        stop_timeout = new.limits.stop_timeout.unwrap_or(STOP_TIMEOUT);
                        drop(watch.take());
                        store = certificates.as_ref().map(|it| Arc::clone(&it.store));
                        watch = certificates.map(|it| it.watch(drop));
                        if kept::broker().is_none() {
                            match acme::settings(&new) {
                                Ok(wanted) => renewal.apply_or_say(wanted).await,
                                Err(failure) => not_reloaded(&failure),
                            }
                        }
                    }
                    Err(failure) => not_reloaded(&failure),
                }
                notify::tell(Progress::Ready);
            }
        }
    }
}

/// The broker has others.
fn take_certificates(store: Option<&CertificateStore>) {
    let (Some(store), Some(broker)) = (store, kept::broker()) else {
        return;
    };
    match certificate::of_broker(broker) {
        Ok((held, _)) => store.replace(held),
        Err(failure) => tracing::error!(reason = %failure.message, "new certificates not taken"),
    }
}

/// For whoever reads the log.
pub(super) fn not_reloaded(failure: &Failure) {
    tracing::error!(
        reason = %failure.message,
        details = failure.details.join("; "),
        "not reloaded, the old configuration stays in force"
    );
}

/// The log of `serve` and `check`: --log-level, -v, WHARF_LOG, the file, in this order.
pub(crate) fn start_log(args: &ServeArgs, settings: &Settings) -> Result<(), Failure> {
    let filter = log_filter(args, settings);
    logging::init(settings.log.format.unwrap_or_default(), &filter)
        .map_err(|message| Failure::new(Exit::ServerUsage, message))
}

/// What is told.
pub(super) fn log_filter(args: &ServeArgs, settings: &Settings) -> String {
    let base = if args.quiet { "warn" } else { "info" };
    let variable = std::env::var("WHARF_LOG").ok().filter(|it| !it.is_empty());
    match (&args.log_level, variable, &settings.log.level) {
        (Some(level), _, _) => level.clone(),
        _ if args.verbose > 0 => logging::filter_for(base, args.verbose).to_owned(),
        (None, Some(variable), _) => variable,
        (None, None, Some(level)) => level.clone(),
        (None, None, None) => base.to_owned(),
    }
}

fn recorder(settings: &Settings) -> Result<Option<Arc<dyn Recorder>>, Failure> {
    let Some(path) = &settings.log.trace else {
        return Ok(None);
    };
    let opened = match kept::broker() {
        Some(broker) => broker.open(Kept::Trace).map(TraceFile::of),
        None => TraceFile::append(path),
    };
    let file = opened.map_err(|error| {
        Failure::new(
            Exit::CannotCreate,
            format!("cannot write the trace {}: {error}", path.display()),
        )
    })?;
    Ok(Some(Arc::new(file)))
}

fn bind_failure(error: &wharf_server::Error) -> Failure {
    match error {
        wharf_server::Error::Listen { at, source } => foundation::listen_failure(*at, source),
        wharf_server::Error::Xferlog { .. } => Failure::new(Exit::CannotCreate, error.to_string()),
        _ => Failure::new(Exit::Unavailable, error.to_string()),
    }
}

/// What a reload keeps
struct Old<'a> {
    directory: &'a Local,
    /// Its path.
    served: &'a Path,
    standing: &'a Standing,
    listening: &'a [SocketAddr],
    owner: Option<&'a Owner>,
    recorder: Option<Arc<dyn Recorder>>,
    bans: Option<&'a Arc<Bans>>,
    in_force: InForce,
}

/// SIGHUP: flags and environment stay, file and users are read again. A made-up password stays.
async fn reload(
    args: &ServeArgs,
    old: Old<'_>,
    handle: &wharf_server::Handle,
) -> Result<(Settings, Option<Certificates>), Failure> {
    let Old {
        directory,
        served,
        standing,
        listening,
        owner,
        recorder,
        bans,
        in_force,
    } = old;
    let settings = foundation::settings(args)?;
    standing.allows(&settings)?;
    let other = if settings.directory == served {
        None
    } else {
        Some(foundation::directory(&settings)?)
    };
    let storage = foundation::storage(&settings, other.as_ref().unwrap_or(directory));
    let home = foundation::home(&settings, &*storage).await?;
    let nobody_else = settings.login.users.is_none()
        && !settings.login.anonymous
        && settings.login.auth == Auth::Own;
    let owner = match owner {
        // Asked for on a terminal or made up: cannot be asked for again.
        Some(owner) if settings.login.user.as_ref() == Some(&owner.name) => {
            let mut owner = owner.clone();
            if let Some(file) = &settings.login.password_file {
                owner.password = crate::password::from_file(file, Exit::Config)?;
            }
            Some(owner)
        }
        Some(owner) if settings.login.user.is_none() && owner.generated && nobody_else => {
            Some(owner.clone())
        }
        _ => foundation::owner(&settings)?,
    };
    let accounts = foundation::accounts(&settings, &storage, &home, owner.as_ref())?;
    let listen = if settings.listen.is_empty() {
        listening.to_vec()
    } else {
        settings.listen.clone()
    };
    let certificates =
        certificate::certificates(&settings, &everywhere(&settings, &listen), &in_force)?;
    let tls = tls(&settings, certificates.as_ref())?;
    let mut config = foundation::server_config(&settings, listen, tls, recorder);
    // What has been counted stays, unless it is another list.
    let same = |old: &&Arc<Bans>| {
        super::ban::wanted(&settings.bans)
            && old.file() == super::ban::file(&settings.bans).as_deref()
    };
    config.bans = match bans.filter(same) {
        Some(old) => {
            old.set_policy(super::ban::policy(&settings.bans));
            Some(Arc::clone(old))
        }
        None => super::ban::bans(&settings.bans)?.map(Arc::new),
    };
    handle
        .reload(config, Some(accounts))
        .await
        .map_err(|error| bind_failure(&error))?;
    Ok((settings, certificates))
}

/// Where control connections come, plain and in TLS.
fn everywhere(settings: &Settings, listen: &[SocketAddr]) -> Vec<SocketAddr> {
    let implicit = settings.tls.implicit_listen.iter();
    listen.iter().chain(implicit).copied().collect()
}

fn tls(
    settings: &Settings,
    certificates: Option<&Certificates>,
) -> Result<Option<TlsPolicy>, Failure> {
    certificates
        .map(|certificates| foundation::tls_policy(settings, certificates))
        .transpose()
}

/// What a person is told at the start.
struct Told<'a> {
    addresses: &'a [SocketAddr],
    settings: &'a Settings,
    owner: Option<&'a Owner>,
    certificates: Option<&'a Certificates>,
    surroundings: &'a Surroundings,
    standing: &'a [String],
}

/// One line an address on stdout, for scripts; on stderr what a person needs to go on.
fn announce(told: &Told<'_>, output: &Output) -> Result<(), Failure> {
    let (addresses, settings) = (told.addresses, told.settings);
    let json = settings.log.format == Some(LogFormat::Json);
    if json {
        // Who collects the log reads nothing else.
        let addresses = addresses.iter().map(ToString::to_string);
        let addresses = addresses.collect::<Vec<_>>().join(" ");
        tracing::info!(directory = %settings.directory.display(), addresses, "serving");
    }
    for line in announcement(told) {
        match line {
            Line::Needed(text) if json => {
                // Not through the log: its filter could swallow the only copy of a password.
                let words: Vec<&str> = text.split_whitespace().collect();
                let fields = serde_json::json!({ "message": words.join(" ") });
                let line = serde_json::json!({ "level": "INFO", "fields": fields });
                output.line(&line.to_string());
            }
            Line::Needed(text) => output.line(&text),
            Line::Hint(_) if json => {}
            Line::Hint(text) => output.info(&text),
        }
    }
    let mut stdout = std::io::stdout().lock();
    for address in addresses {
        writeln!(stdout, "listening on {address}").map_err(|error| {
            Failure::new(Exit::Software, format!("cannot write to stdout: {error}"))
        })?;
    }
    stdout
        .flush()
        .map_err(|error| Failure::new(Exit::Software, format!("cannot write to stdout: {error}")))
}

#[derive(Debug)]
enum Line {
    /// Also with `-q`: without it nobody could log in.
    Needed(String),
    Hint(String),
}

fn announcement(told: &Told<'_>) -> Vec<Line> {
    let &Told {
        addresses,
        settings,
        owner,
        certificates,
        surroundings,
        standing,
    } = told;
    let login = &settings.login;
    let mut lines = Vec::new();
    let directory = surroundings.directory.display();
    lines.push(Line::Hint(format!("serving    {directory}")));
    for line in standing {
        lines.push(Line::Hint(line.clone()));
    }
    let own_address = |ip: IpAddr| {
        if ip.is_unspecified() {
            surroundings.own_address
        } else {
            ip
        }
    };
    for address in addresses {
        let own = SocketAddr::new(own_address(address.ip()), address.port());
        lines.push(Line::Hint(format!("address    {own}")));
    }
    if let Some(certificates) = certificates {
        for line in certificates.lines() {
            lines.push(Line::Hint(format!("TLS        {line}")));
        }
    }
    let rights = if login.read_only {
        "read-only"
    } else {
        "may write"
    };
    match owner {
        Some(owner) if owner.generated => {
            let password = String::from_utf8_lossy(owner.password.expose()).into_owned();
            lines.push(Line::Needed(format!(
                "user       {} ({rights})",
                owner.name
            )));
            lines.push(Line::Needed(format!("password   {password}")));
        }
        Some(owner) => lines.push(Line::Hint(format!("user       {} ({rights})", owner.name))),
        None => {}
    }
    if let Some(users) = &login.users {
        lines.push(Line::Hint(format!("users      {}", users.display())));
    }
    if login.auth.is_of_system() {
        lines.push(Line::Hint(format!("system     its users ({rights})")));
    }
    if login.anonymous {
        let rights = if login.writable && !login.read_only {
            "may write"
        } else {
            "read-only"
        };
        lines.push(Line::Hint(format!("anonymous  {rights}")));
    }

    if let Some(first) = addresses.first() {
        let host = SocketAddr::new(own_address(first.ip()), first.port()).to_string();
        // The standard port goes without saying (RFC 1738 §3.2).
        let host = host.strip_suffix(":21").unwrap_or(&host);
        let base = match owner {
            Some(owner) if owner.generated => format!(
                "ftp://{}:{}@{host}/",
                percent(owner.name.as_bytes()),
                percent(owner.password.expose())
            ),
            Some(owner) => format!("ftp://{}@{host}/", percent(owner.name.as_bytes())),
            None if login.anonymous => format!("ftp://{host}/"),
            None => format!("ftp://USER@{host}/"),
        };
        let may_write = !login.read_only && (owner.is_some() || !login.anonymous || login.writable);
        lines.push(Line::Hint(String::new()));
        let wharf = &surroundings.program;
        // curl asks for a password only when the name is an option.
        let curl = match owner {
            Some(owner) if !owner.generated => {
                format!("curl --user {} ftp://{host}/", quoted(&owner.name))
            }
            _ => format!("curl {base}"),
        };
        let curl_with = |option: &str| curl.replacen("curl", &format!("curl {option}"), 1);
        lines.push(Line::Hint(format!("list       {curl}")));
        lines.push(Line::Hint(format!("           {wharf} ls -l {base}")));
        lines.push(Line::Hint(format!("fetch      {}NAME", curl_with("-O"))));
        lines.push(Line::Hint(format!("           {wharf} get {base}NAME")));
        if may_write {
            lines.push(Line::Hint(format!("send       {}", curl_with("-T FILE"))));
            lines.push(Line::Hint(format!("           {wharf} put FILE {base}")));
        }
        lines.push(Line::Hint(String::new()));
        lines.extend(firewall(first.port(), settings));
    }
    lines
}

/// How to call this program from here: `wharf` where the search path leads to it, else as it was
/// called.
fn own_name() -> String {
    let own = std::env::current_exe().and_then(|path| path.canonicalize());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join("wharf"))
        .find(|candidate| candidate.is_file())
        .and_then(|candidate| candidate.canonicalize().ok());
    let called = std::env::args().next().unwrap_or_default();
    if called.is_empty() || found.is_some() && found == own.ok() {
        return "wharf".to_owned();
    }
    quoted(&called)
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// What a firewall must let through, in words.
fn firewall(control: u16, settings: &Settings) -> Vec<Line> {
    let data = &settings.data;
    let passive = match data.port {
        Some(shared) => format!(" (control) and {shared} (passive data)"),
        None => format!(" (control) and {} (passive data)", data.passive_ports),
    };
    let let_in = match data.one_port {
        OnePort::On => " and no other port: passive data comes there, too".to_owned(),
        OnePort::Off => passive,
        OnePort::Auto => format!("{passive}; {control} alone does as well"),
    };
    let mut lines = vec![Line::Hint(format!(
        "firewall   let in TCP {control}{let_in}"
    ))];
    if data.active {
        let from = match data.active_port {
            0 => "any port".to_owned(),
            port => format!("port {port} where it may be bound"),
        };
        lines.push(Line::Hint(format!(
            "           active data goes out from {from} to the clients' ports; --no-active turns it off"
        )));
    }
    lines.push(Line::Hint(if data.advertise.is_empty() {
        "NAT        forward the same ports, and tell the outer address: --advertise ADDRESS (or auto)"
            .to_owned()
    } else {
        "NAT        forward the same ports to this machine".to_owned()
    }));
    lines
}
