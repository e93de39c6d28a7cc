//! `wharf check`: opens everything a server would need and tells what does not work, all at once.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::timeout;
use wharf_accounts::SystemRules;
use wharf_net::{Net, TcpNet};
use wharf_proto::Pathname;
use wharf_proto::data_connection::advertise::is_public;
use wharf_storage::{ListOrder, Storage};

use super::in_force::{self, Finding};
use super::serve::start_log;
use super::{acme, certificate, foundation, pam, system_users};
use crate::args::CheckArgs;
use crate::args::serve_tls::{DataSession, Requirement, Truncation};
use crate::args::value::{AdvertiseHost, Auth, Jail, OnePort, wildcard};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::{logging, password};

/// Routers that answer do so within two seconds or so.
const ROUTER_PATIENCE: Duration = Duration::from_secs(5);

/// Findings so far.
struct Report<'a> {
    output: &'a Output,
    broken: usize,
}

impl Report<'_> {
    /// Something works: a line on stdout.
    fn good(&self, text: &str) {
        if !self.output.is_quiet() {
            // A closed stdout must not hide the findings on stderr.
            let _ = writeln!(std::io::stdout(), "ok: {text}");
        }
    }

    fn warn(&self, text: &str) {
        self.output.warning(text);
    }

    fn bad(&mut self, failure: &Failure) {
        self.broken += 1;
        self.output.failure(failure);
    }

    fn result(&mut self, good: &str, result: Result<(), Failure>) {
        match result {
            Ok(()) => self.good(good),
            Err(failure) => self.bad(&failure),
        }
    }
}

/// Checks; the exit status is 0 or 78.
pub(crate) async fn run(args: &CheckArgs, output: &Output) -> Result<(), Failure> {
    let settings = foundation::settings(&args.serve).map_err(|mut failure| {
        failure.exit = Exit::Config;
        failure
    })?;
    start_log(&args.serve, &settings)?;
    let mut report = Report { output, broken: 0 };
    if let Some(path) = &args.serve.config {
        report.good(&format!("configuration {}", path.display()));
    }
    if let Some(level) = &settings.log.level
        && let Err(message) = logging::parse_filter(level)
    {
        report.bad(&Failure::new(Exit::Config, message));
    }

    let storage = directory(&settings, &mut report).await;
    accounts(&settings, storage.as_ref(), &mut report);
    certificates(&settings, &mut report);
    client_certificates(&settings, &mut report);
    addresses(&settings, &mut report);
    protection(&settings, &report);
    passive_ports(&settings, &mut report);
    active_port(&settings, &report);
    advertised(&settings, &mut report).await;
    balancers(&settings, &report);
    bans(&settings, &mut report);
    for (name, path) in [
        ("transfer log", &settings.log.xferlog),
        ("trace", &settings.log.trace),
    ] {
        if let Some(path) = path {
            let good = format!("{name} {}", path.display());
            report.result(&good, appendable(path, name));
        }
    }

    for finding in in_force::findings(&settings) {
        match finding {
            Finding::Good(text) => report.good(&text),
            Finding::Warning(text) => report.warn(&text),
            Finding::Bad(failure) => report.bad(&failure),
        }
    }

    match report.broken {
        0 => Ok(()),
        _ => Err(Failure::told(Exit::Config)),
    }
}

/// Whom the certificates are for, until when, by which fingerprint.
fn certificates(settings: &Settings, report: &mut Report<'_>) {
    match certificate::looked_at(settings) {
        Ok(looked) => {
            for line in &looked.lines {
                report.good(&format!("certificate {line}"));
            }
            for warning in &looked.warnings {
                report.warn(warning);
            }
        }
        Err(failure) => report.bad(&failure),
    }
    match acme::settings(settings) {
        Ok(Some(acme)) => report.good(&format!(
            "certificate for {} from {}, which asks over HTTP at {}",
            acme.domains.join(", "),
            acme.directory,
            acme.http
        )),
        Ok(None) => {}
        Err(failure) => report.bad(&failure),
    }
}

/// Who signs the certificates by which clients are known, and whether they must show one.
fn client_certificates(settings: &Settings, report: &mut Report<'_>) {
    let tls = &settings.tls;
    let Some(believed) = tls.clients() else {
        return;
    };
    if let Err(error) = foundation::believers(&believed) {
        report.bad(&Failure::new(Exit::Config, format!("TLS: {error}")));
        return;
    }
    let shown = |path: &Option<PathBuf>| path.as_ref().map(|it| it.display().to_string());
    let who = shown(&tls.client_ca).unwrap_or_default();
    report.good(&if believed.required {
        format!("clients must show a certificate of {who}")
    } else {
        format!("clients may log in by certificates of {who}")
    });
    if let Some(lists) = shown(&tls.client_crl) {
        report.good(&format!("revoked certificates of clients {lists}"));
    }
    if settings.login.users.is_none() {
        report.warn("no users file says whose the certificates of clients are: they open no login by themselves");
    }
}

async fn directory(settings: &Settings, report: &mut Report<'_>) -> Option<Arc<dyn Storage>> {
    let storage = match foundation::directory(settings) {
        Ok(directory) => foundation::storage(settings, &directory),
        Err(failure) => {
            report.bad(&failure);
            return None;
        }
    };
    let listed = storage.list(&Pathname::root(), ListOrder::Unsorted).await;
    report.result(
        &format!("directory {}", settings.directory.display()),
        listed.map(drop).map_err(|error| {
            Failure::new(
                Exit::Unavailable,
                format!("cannot list {}: {error}", settings.directory.display()),
            )
        }),
    );
    match foundation::home(settings, &*storage).await {
        Ok(home) if settings.login.home.is_some() => {
            report.good(&format!("home {}", home.display()));
        }
        Ok(_) => {}
        Err(failure) => report.bad(&failure),
    }
    Some(storage)
}

fn accounts(settings: &Settings, storage: Option<&Arc<dyn Storage>>, report: &mut Report<'_>) {
    let login = &settings.login;
    if let Some(file) = &login.password_file {
        let read = password::from_file(file, Exit::Config);
        report.result(&format!("password file {}", file.display()), read.map(drop));
    } else if let Some(user) = &login.user
        && !matches!(password::from_env(), Ok(Some(_)))
    {
        report.warn(&format!(
            "user {user} has no password file: `wharf serve` will ask on the terminal and fail without one"
        ));
    }
    if let (Some(path), Some(storage)) = (&login.users, storage) {
        let opened = foundation::users_file(path, storage);
        report.result(&format!("users file {}", path.display()), opened.map(drop));
    }
    if login.auth.is_of_system() {
        let sees = match login.jail {
            Jail::Home => "their home directories",
            Jail::Directory => "the directory",
        };
        let checked = match login.auth {
            Auth::Pam => format!(" whom PAM's service {} lets in,", pam::service(settings)),
            _ => String::new(),
        };
        let line = format!(
            "users of the system{checked} from uid {} on, each in a process that is that user, see {sees}",
            login.least_uid.unwrap_or(SystemRules::default().least_uid)
        );
        report.result(&line, system_users::possible(settings));
    }
}

fn addresses(settings: &Settings, report: &mut Report<'_>) {
    let implicit = &settings.tls.implicit_listen;
    if settings.listen.is_empty() && implicit.is_empty() {
        match foundation::listen(settings) {
            Ok(addresses) => {
                for address in addresses {
                    report.good(&format!("address {address} (chosen, nothing was said)"));
                }
            }
            Err(failure) => report.bad(&failure),
        }
        return;
    }
    for &address in settings.listen.iter().chain(implicit) {
        let bound = TcpListener::bind(address).map_err(|error| {
            Failure::new(
                foundation::listen_exit(&error),
                format!("cannot listen on {address}: {error}"),
            )
        });
        let kind = if implicit.contains(&address) {
            " (implicit TLS)"
        } else {
            ""
        };
        report.result(&format!("address {address}{kind}"), bound.map(drop));
    }
}

/// Who must have TLS, and what is let pass without
fn protection(settings: &Settings, report: &Report<'_>) {
    let tls = &settings.tls;
    match tls.control {
        Requirement::Off => {
            report.warn("TLS is off: passwords and files travel in clear");
            return;
        }
        Requirement::Allowed => {
            report.good("TLS for clients that want it; others send their password in clear");
        }
        Requirement::Required => report.good("TLS is required before a password is taken"),
    }
    match tls.data() {
        Requirement::Off => report.warn("TLS on data connections is off: files travel in clear"),
        Requirement::Allowed => {}
        Requirement::Required => report.good("TLS is required on data connections"),
    }
    match tls.data_session {
        DataSession::Require => {
            report.good("data connections in TLS must resume their control connection's session");
        }
        DataSession::Prefer | DataSession::Off => report.warn(
            "data connections in TLS need not resume their control connection's session: whoever has the client's address can take one",
        ),
    }
    if tls.truncation == Truncation::Lenient {
        report.warn("uploads that may have been cut are taken (tls.truncation = \"lenient\")");
    }
    if tls.ccc {
        report.good("clients may take the control connection out of TLS again (CCC)");
    }
    if !tls.exceptions.is_empty() {
        report.good(&format!(
            "{} exceptions from these rules",
            tls.exceptions.len()
        ));
    }
}

fn passive_ports(settings: &Settings, report: &mut Report<'_>) {
    let data = &settings.data;
    match (data.one_port, data.port) {
        (OnePort::On, _) => {
            report.good("data connections come to the control port: no other has to be let in");
            return;
        }
        (OnePort::Auto, _) => {
            report.good("clients that do not come to a passive port are sent to the control port");
        }
        (OnePort::Off, _) => {}
    }
    // All shared ports are listened on, of a range one at a time.
    let range = data.port.unwrap_or(data.passive_ports);
    let ip = settings
        .listen
        .first()
        .map_or_else(wildcard, SocketAddr::ip);
    let total = u32::from(range.hi() - range.lo()) + 1;
    let mut taken = Vec::new();
    let mut refusal = None;
    for port in range.lo()..=range.hi() {
        if let Err(error) = TcpListener::bind((ip, port)) {
            taken.push(port);
            refusal.get_or_insert(error);
        }
    }
    match refusal {
        None => report.good(&format!("passive ports {range}, all free")),
        Some(error) if data.port.is_some() => report.bad(&Failure::new(
            Exit::Unavailable,
            format!("the shared data ports {range} cannot all be listened on: {error}"),
        )),
        Some(error) if taken.len() == total as usize => report.bad(&Failure::new(
            Exit::Unavailable,
            format!("none of the passive ports {range} can be listened on: {error}"),
        )),
        Some(error) => {
            let some: Vec<String> = taken.iter().take(5).map(ToString::to_string).collect();
            let more = if taken.len() > some.len() {
                ", ..."
            } else {
                ""
            };
            report.warn(&format!(
                "{} of {total} passive ports cannot be listened on now ({}{more}): {error}",
                taken.len(),
                some.join(", "),
            ));
        }
    }
}

/// Port 20 is a wish (RFC 959 §8): some old firewalls expect it, and without it things work.
fn active_port(settings: &Settings, report: &Report<'_>) {
    let port = settings.data.active_port;
    if !settings.data.active || port == 0 {
        return;
    }
    match TcpListener::bind((wildcard(), port)) {
        Ok(_) => report.good(&format!("active data connections come from port {port}")),
        Err(error) => report.warn(&format!(
            "active data connections will come from any port, not {port}: {error}"
        )),
    }
}

async fn advertised(settings: &Settings, report: &mut Report<'_>) {
    let hosts = || settings.data.advertise.iter().map(|rule| &rule.host);
    if hosts().any(|host| *host == AdvertiseHost::Auto) {
        found_out(report).await;
    }
    for host in hosts() {
        let AdvertiseHost::Name(name) = host else {
            continue;
        };
        let resolved = TcpNet.resolve(name, 0).await;
        report.result(
            &format!("advertised name {name}"),
            resolved.map(drop).map_err(|error| {
                Failure::new(
                    Exit::Unavailable,
                    format!("the advertised name {name} has no address: {error}"),
                )
            }),
        );
    }
}

/// What `--advertise auto` has to go by before the first client comes
async fn found_out(report: &Report<'_>) {
    let Some(own) = TcpNet.own_address() else {
        report.warn("advertise auto: this machine has no route to the internet over IPv4");
        return;
    };
    if is_public(own) {
        report.good(&format!(
            "advertise auto: this machine has the public address {own}"
        ));
        return;
    }
    let asked = match TcpNet.mapper() {
        Some(router) => timeout(ROUTER_PATIENCE, router.outside_address(own)).await,
        None => return,
    };
    match asked {
        Ok(Ok(outside)) if is_public(outside) => {
            report.good(&format!("advertise auto: the router's outside address is {outside}"));
        }
        Ok(Ok(outside)) => report.warn(&format!(
            "advertise auto: the router's outside address {outside} is private itself; say the one clients reach, --advertise ADDRESS"
        )),
        Ok(Err(_)) | Err(_) => report.warn(&format!(
            "advertise auto: no router tells its outside address (PCP, NAT-PMP, UPnP) to {own}; clients from outside are told {own} until one has reached a public address"
        )),
    }
}

/// Whose word on addresses is taken
fn balancers(settings: &Settings, report: &Report<'_>) {
    for network in &settings.proxy_protocol {
        if network.prefix() == 0 {
            report.warn(&format!(
                "proxy protocol {network}: everybody may claim any address"
            ));
        } else {
            report.good(&format!(
                "connections from {network} begin with a PROXY protocol header, others do not"
            ));
        }
    }
}

/// Who is not let in
fn bans(settings: &Settings, report: &mut Report<'_>) {
    match super::ban::bans(&settings.bans) {
        Err(failure) => report.bad(&failure),
        Ok(None) => report.warn("nobody is ever banned: passwords can be guessed for ever"),
        Ok(Some(bans)) => {
            let now = bans.in_force(SystemTime::now()).len();
            let list = bans.file().map_or_else(
                || "in memory only".to_owned(),
                |file| file.display().to_string(),
            );
            report.good(&format!("bans {list}, {now} in force"));
        }
    }
}

/// Opens for appending; a file that was not there is removed again.
fn appendable(path: &Path, name: &str) -> Result<(), Failure> {
    let existed = path.exists();
    let opened = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path);
    opened.map_err(|error| {
        Failure::new(
            Exit::CannotCreate,
            format!("cannot write the {name} {}: {error}", path.display()),
        )
    })?;
    if !existed {
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}
