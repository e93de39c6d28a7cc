//! What a server stands on, opened from [`Settings`]: the directory, the accounts, the server
//! library's configuration. Shared by `serve` and `check`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use wharf_accounts::{Anonymous, Authenticator, Chain, Single, UsersFile};
use wharf_broker::message::Kept;
use wharf_net::Recorder;
use wharf_net::tls::{ClientCertVerifier, ClientCertificates, ServerTls, TlsError, TlsVersions};
use wharf_proto::data_connection::advertise::Network;
use wharf_proto::{Pathname, Secret};
use wharf_server::TlsPolicy;
use wharf_server::{Address, Advertise, AdvertiseRule, Config, OnePort, PortPolicy, SharedAddress};
use wharf_storage::{Fsync, Kind, Local, LocalOptions, Permissions, Scoped, Storage, Uploads};

use super::certificate::Certificates;
use crate::args::ServeArgs;
use crate::args::value::{self, AdvertiseHost, wildcard};
use crate::config::{self, Settings};
use crate::exit::{Exit, Failure};
use crate::password;

/// Most bytes of a file about certificates of clients: lists of revoked ones can be long.
const CLIENTS_FILE: u64 = 16 * 1024 * 1024;

/// The FTP control port (RFC 959 §8), which needs a privilege on most systems.
const STANDARD_PORT: u16 = 21;
/// Taken where port 21 cannot be had.
const UNPRIVILEGED_PORT: u16 = 2121;
/// Where a server may listen that was told nothing.
pub(crate) const DEFAULT_PORTS: [u16; 2] = [STANDARD_PORT, UNPRIVILEGED_PORT];

/// The one user of a server without a users file.
#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) name: String,
    pub(crate) password: Secret,
    /// The password was made up just now and must be shown.
    pub(crate) generated: bool,
}

/// Defaults, configuration file, environment and flags, in this order.
pub(crate) fn settings(args: &ServeArgs) -> Result<Settings, Failure> {
    let mut settings = match &args.config {
        None => Settings::default(),
        Some(path) => read_file(path)?,
    };
    settings.source.clone_from(&args.config);
    settings.overlay(args);
    let contradictions = settings.contradictions().into_iter();
    let contradictions: Vec<String> = contradictions.map(|(_, message)| message).collect();
    match contradictions.as_slice() {
        [] => Ok(settings),
        [only] => Err(Failure::new(Exit::ServerUsage, only.clone())),
        several => Err(
            Failure::new(Exit::ServerUsage, "the settings contradict each other")
                .with_details(several.to_vec()),
        ),
    }
}

pub(super) fn read_file(path: &Path) -> Result<Settings, Failure> {
    let text = super::kept::text(Kept::Configuration, path).map_err(|error| {
        Failure::new(
            Exit::Config,
            format!("cannot read the configuration {}: {error}", path.display()),
        )
    })?;
    let base = path.parent().unwrap_or(Path::new(""));
    config::read(&text, base).map_err(|problems| {
        let count = match problems.len() {
            1 => "1 problem".to_owned(),
            several => format!("{several} problems"),
        };
        Failure::new(Exit::Config, format!("{} has {count}", path.display()))
            .with_details(problems.iter().map(ToString::to_string).collect())
            .with_hint("`wharf help config` prints every key with its meaning")
    })
}

/// Opens the directory that is served.
pub(crate) fn directory(settings: &Settings) -> Result<Local, Failure> {
    let directory = &settings.directory;
    Local::open(directory, local_options(settings)).map_err(|error| {
        Failure::new(
            Exit::Unavailable,
            format!(
                "cannot serve the directory {}: {error}",
                directory.display()
            ),
        )
    })
}

/// The directory as the settings want it served.
pub(crate) fn storage(settings: &Settings, directory: &Local) -> Arc<dyn Storage> {
    let local = Arc::new(directory.with_options(local_options(settings)));
    if settings.login.read_only {
        scoped(local, Permissions::READ_ONLY)
    } else {
        local
    }
}

pub(crate) fn local_options(settings: &Settings) -> LocalOptions {
    LocalOptions {
        resume: settings.resume_uploads,
        uploads: match settings.uploads {
            value::UploadPolicy::Atomic => Uploads::Atomic,
            value::UploadPolicy::Direct => Uploads::Direct,
        },
        fsync: match settings.fsync {
            value::Fsync::None => Fsync::None,
            value::Fsync::Data => Fsync::Data,
            value::Fsync::Full => Fsync::Full,
        },
    }
}

fn scoped(storage: Arc<dyn Storage>, permissions: Permissions) -> Arc<dyn Storage> {
    Arc::new(Scoped::new(storage, &Pathname::root(), permissions))
}

/// The folder in which the user and anonymous start; it must exist.
pub(crate) async fn home(settings: &Settings, storage: &dyn Storage) -> Result<Pathname, Failure> {
    let Some(home) = &settings.login.home else {
        return Ok(Pathname::root());
    };
    let bad = |why: String| Failure::new(Exit::Config, format!("home `{home}`: {why}"));
    let path = Pathname::root()
        .join(&Pathname::new(home.as_bytes()).map_err(|error| bad(error.to_string()))?)
        .normalize();
    match storage.metadata(&path).await {
        Ok(metadata) if metadata.kind == Kind::Directory => Ok(path),
        Ok(_) => Err(bad("not a directory".to_owned())),
        Err(error) => Err(bad(error.to_string())),
    }
}

/// The one user: as asked for, or made up where nobody else could log in.
pub(crate) fn owner(settings: &Settings) -> Result<Option<Owner>, Failure> {
    let login = &settings.login;
    let Some(name) = &login.user else {
        if login.users.is_some() || login.anonymous || login.auth != value::Auth::Own {
            return Ok(None);
        }
        let text = password::generate()?;
        let password: Secret = text
            .parse()
            .map_err(|_| Failure::new(Exit::Software, "the made-up password is not sendable"))?;
        return Ok(Some(Owner {
            name: "wharf".to_owned(),
            password,
            generated: true,
        }));
    };
    let password = if let Some(file) = &login.password_file {
        password::from_file(file, Exit::Config)?
    } else if let Some(password) = password::from_env()? {
        password
    } else if password::can_prompt() {
        password::prompt(&format!("Password for {name}: "), Exit::ServerUsage)?
    } else {
        return Err(Failure::new(
            Exit::ServerUsage,
            format!("no password for user {name}, and no terminal to ask on"),
        )
        .with_hint("--password-file FILE, or WHARF_PASSWORD in the environment"));
    };
    Ok(Some(Owner {
        name: name.clone(),
        password,
        generated: false,
    }))
}

/// Everybody who may log in.
pub(crate) fn accounts(
    settings: &Settings,
    storage: &Arc<dyn Storage>,
    home: &Pathname,
    owner: Option<&Owner>,
) -> Result<Arc<dyn Authenticator>, Failure> {
    let login = &settings.login;
    let mut sources: Vec<Arc<dyn Authenticator>> = Vec::new();
    if let Some(owner) = owner {
        let single = Single::new(
            &owner.name,
            owner.password.clone(),
            Arc::clone(storage),
            home.clone(),
        );
        sources.push(Arc::new(single));
    }
    if login.anonymous {
        // The storage itself says no where everything is read-only.
        let permissions = if login.writable {
            Permissions::FULL
        } else {
            Permissions::READ_ONLY
        };
        let anonymous = Anonymous::with_permissions(Arc::clone(storage), home.clone(), permissions);
        sources.push(Arc::new(anonymous));
    }
    if let Some(path) = &login.users {
        let users = users_file(path, storage)?;
        let users = users.keeping_broken_uploads(settings.resume_uploads);
        sources.push(Arc::new(users));
    }
    sources.extend(super::system_users::source(settings)?);
    Ok(Arc::new(Chain::new(sources)))
}

/// Opens the file of users.
pub(crate) fn users_file(path: &Path, storage: &Arc<dyn Storage>) -> Result<UsersFile, Failure> {
    let users = path.to_owned();
    let open = move || super::kept::open(Kept::Users, &users);
    UsersFile::open_with(path, open, Arc::clone(storage)).map_err(|error| {
        let missing = error.is_missing();
        let failure = super::user::failure(&error);
        if missing {
            failure.with_hint(format!("wharf user add --file {} NAME", path.display()))
        } else {
            failure
        }
    })
}

/// The server library's configuration.
pub(crate) fn server_config(
    settings: &Settings,
    listen: Vec<SocketAddr>,
    tls: Option<TlsPolicy>,
    recorder: Option<Arc<dyn Recorder>>,
) -> Config {
    #[cfg(feature = "drill")]
    tracing::warn!("this build runs an attacker's code for every client that says SITE DRILL");
    let default = Config::default();
    let limits = &settings.limits;
    let unlimited = |count: u32| match count {
        0 => usize::MAX,
        count => usize::try_from(count).unwrap_or(usize::MAX),
    };
    Config {
        listen,
        implicit_listen: settings.tls.implicit_listen.clone(),
        tls,
        passive_ports: settings.data.passive_ports,
        one_port: match settings.data.one_port {
            value::OnePort::Off => OnePort::Off,
            value::OnePort::Auto => OnePort::Auto,
            value::OnePort::On => OnePort::On,
        },
        data_port: settings.data.port,
        shared_address: match settings.data.shared_address {
            value::SharedAddress::OneUser => SharedAddress::OneUser,
            value::SharedAddress::AnyUser => SharedAddress::AnyUser,
        },
        address_pools: settings.data.address_pools.clone(),
        advertise: advertise(settings),
        digests: settings.data.digests,
        active: settings.data.active,
        active_port: Some(settings.data.active_port).filter(|port| *port != 0),
        port_policy: match settings.data.port_policy {
            value::PortPolicy::Refuse => PortPolicy::Refuse,
            value::PortPolicy::Repair => PortPolicy::Repair,
        },
        keepalive: settings.keepalive.unwrap_or(default.keepalive),
        proxy_protocol: settings.proxy_protocol.clone(),
        patience: settings.data.timeout.unwrap_or(default.patience),
        max_sessions: limits.sessions.map_or(default.max_sessions, unlimited),
        max_per_address: limits
            .sessions_per_address
            .map_or(default.max_per_address, unlimited),
        login_attempts: limits.login_attempts.unwrap_or(default.login_attempts),
        no_login: limits.login_timeout.unwrap_or(default.no_login),
        idle: limits.idle_timeout.unwrap_or(default.idle),
        stall: limits.stall_timeout.unwrap_or(default.stall),
        greeting: settings
            .greeting
            .clone()
            .unwrap_or_else(|| default.greeting.clone()),
        xferlog: settings.log.xferlog.clone(),
        open_xferlog: Some(Arc::new(|path| super::kept::open(Kept::TransferLog, path))),
        recorder,
        #[cfg(feature = "drill")]
        drill: Some(crate::drill::attempt),
        ..default
    }
}

/// Who judges the certificates of clients; the files come from whoever may open them.
pub(crate) fn believers(
    believed: &ClientCertificates,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    believed.verifier_of(|path| {
        let kept = if believed.authorities.iter().any(|it| it == path) {
            Kept::ClientAuthorities
        } else {
            Kept::ClientRevocations
        };
        super::kept::bytes(kept, path, CLIENTS_FILE)
    })
}

/// TLS as the settings want it, with these certificates.
pub(crate) fn tls_policy(
    settings: &Settings,
    certificates: &Certificates,
) -> Result<TlsPolicy, Failure> {
    let wanted = &settings.tls;
    let unusable = |error: TlsError| Failure::new(Exit::Config, format!("TLS: {error}"));
    let clients = wanted.clients().map(|believed| believers(&believed));
    let clients = clients.transpose().map_err(unusable)?;
    let tls = ServerTls::new(certificates.store.clone(), clients, TlsVersions::All);
    let tls = tls.map_err(unusable)?;
    Ok(TlsPolicy {
        control: wanted.control.into(),
        data: wanted.data().into(),
        data_session: wanted.data_session.into(),
        exceptions: wanted.exceptions.iter().map(|it| it.0.clone()).collect(),
        truncation: wanted.truncation.into(),
        client_certificates: wanted.client_certificates().into(),
        ccc: wanted.ccc,
        ..TlsPolicy::new(tls)
    })
}

fn advertise(settings: &Settings) -> Advertise {
    let mut advertise = Advertise::default();
    for rule in &settings.data.advertise {
        let address = match &rule.host {
            AdvertiseHost::Address(ip) => Address::Fixed(*ip),
            AdvertiseHost::Name(name) => Address::Name(name.clone()),
            AdvertiseHost::Auto => Address::Auto,
        };
        let network = rule
            .clients
            .and_then(|net| Network::new(net.network(), net.prefix_len()).ok());
        match network {
            Some(clients) => advertise.rules.push(AdvertiseRule { clients, address }),
            None => advertise.default = address,
        }
    }
    advertise
}

/// Where to listen: as asked for, or port 21 if it may be bound, else 2121, on every address.
pub(crate) fn listen(settings: &Settings) -> Result<Vec<SocketAddr>, Failure> {
    // Who wants implicit TLS and says no more wants nothing else.
    if !settings.listen.is_empty() || !settings.tls.implicit_listen.is_empty() {
        return Ok(settings.listen.clone());
    }
    let ip = wildcard();
    let standard = SocketAddr::new(ip, STANDARD_PORT);
    if TcpListener::bind(standard).is_ok() {
        return Ok(vec![standard]);
    }
    let fallback = SocketAddr::new(ip, UNPRIVILEGED_PORT);
    match TcpListener::bind(fallback) {
        Ok(_) => Ok(vec![fallback]),
        Err(error) => Err(Failure::new(
            Exit::Unavailable,
            format!(
                "neither port {STANDARD_PORT} nor port {UNPRIVILEGED_PORT} can be listened on: {error}"
            ),
        )
        .with_hint("choose another one: --listen :PORT, or --listen :0 for any free port")),
    }
}

/// Where it will listen, as far as that is known before it does: plain and in TLS.
pub(crate) fn wanted_addresses(settings: &Settings) -> Vec<SocketAddr> {
    let wanted = [&settings.listen[..], &settings.tls.implicit_listen[..]].concat();
    if !wanted.is_empty() {
        return wanted;
    }
    let ip = wildcard();
    DEFAULT_PORTS.map(|port| SocketAddr::new(ip, port)).to_vec()
}

/// The status for an address that cannot be listened on.
pub(crate) fn listen_exit(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Exit::NoPermission,
        _ => Exit::Unavailable,
    }
}

/// What is said of an address that a server or a proxy cannot listen on.
pub(crate) fn listen_failure(at: SocketAddr, source: &io::Error) -> Failure {
    let failure = Failure::new(
        listen_exit(source),
        format!("cannot listen on {at}: {source}"),
    );
    if source.kind() == io::ErrorKind::PermissionDenied {
        failure.with_hint("ports below 1024 need a privilege; without one: --listen :2121")
    } else {
        failure
    }
}

/// The address under which this machine is probably reached: where a packet to the outside would
/// come from. Nothing is sent for this (connecting a UDP socket only asks the routing table).
pub(crate) fn own_address(listening: IpAddr) -> IpAddr {
    if !listening.is_unspecified() {
        return listening;
    }
    // Documentation addresses (RFC 5737, RFC 3849): routed like any outside address.
    let v4 = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 9));
    let v6 = SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9));
    for (local, outside) in [
        (IpAddr::from(Ipv4Addr::UNSPECIFIED), v4),
        (IpAddr::from(Ipv6Addr::UNSPECIFIED), v6),
    ] {
        let address = std::net::UdpSocket::bind((local, 0))
            .and_then(|socket| socket.connect(outside).map(|()| socket))
            .and_then(|socket| socket.local_addr());
        if let Ok(address) = address
            && !address.ip().is_unspecified()
        {
            return address.ip();
        }
    }
    Ipv4Addr::LOCALHOST.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the example file and the help call a default is what the server library does.
    #[test]
    fn documented_defaults_are_the_servers() {
        let switched_on: String = config::file::example()
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(key) if !key.starts_with(' ') => format!("{key}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let settings = config::read(&switched_on, Path::new("/")).unwrap();
        let made = server_config(&settings, Vec::new(), None, None);
        let default = Config::default();
        assert_eq!(made.passive_ports, default.passive_ports);
        assert_eq!(made.active, default.active);
        assert_eq!(made.active_port, default.active_port);
        assert_eq!(made.patience, default.patience);
        assert_eq!(made.max_sessions, default.max_sessions);
        assert_eq!(made.max_per_address, default.max_per_address);
        assert_eq!(made.login_attempts, default.login_attempts);
        assert_eq!(made.no_login, default.no_login);
        assert_eq!(made.idle, default.idle);
        assert_eq!(made.stall, default.stall);
        assert_eq!(made.greeting, default.greeting);
    }

    #[test]
    fn zero_sessions_is_no_limit() {
        let mut settings = Settings::default();
        settings.limits.sessions = Some(0);
        assert_eq!(
            server_config(&settings, Vec::new(), None, None).max_sessions,
            usize::MAX
        );
    }
}
