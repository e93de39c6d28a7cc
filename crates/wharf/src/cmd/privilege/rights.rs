//! What each of the processes may do, by the configuration: the network process its sandbox, the broker what it grants and
//! what it keeps for itself.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use wharf_broker::message::Kept;
use wharf_broker::{Grant, Own, Sandbox};

use crate::args::serve_tls::Requirement;
use crate::args::value::{AdvertiseHost, Auth, SandboxLevel};
use crate::cmd::{ban, foundation, state_directory};
use crate::config::Settings;

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
pub(super) fn grant(settings: &Settings) -> Grant {
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
