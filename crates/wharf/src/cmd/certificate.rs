//! The certificates of `wharf serve`: from files, from an authority (ACME), or one that the server makes for itself and
//! keeps.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::sign::CertifiedKey;
use tokio::time::Instant;
use wharf_broker::{Link, SignedElsewhere};
use wharf_net::tls::{
    CertificateStore, Described, Keeper, LOOK, LoadedPair, Noticed, PemPair, SelfSigned, TlsError,
    create_private, date, ending, replace_private,
};

use super::{acme, foundation, state_directory};
use crate::args::serve_tls::Requirement;
use crate::config::Settings;
use crate::exit::{Exit, Failure};

/// How often the end of certificates is looked at.
const DAILY: Duration = Duration::from_hours(24);

/// What a server shows its clients.
pub(crate) struct Certificates {
    pub(crate) store: Arc<CertificateStore>,
    kept: Kept,
}

/// Where the keys are.
enum Kept {
    /// In this process, from files.
    Here {
        keeper: Box<Keeper>,
        /// The file of the one that the server made for itself, if that is in force.
        own: Option<PathBuf>,
    },
    /// In the broker, which watches the files, too: what is said of them.
    Elsewhere(Vec<Described>),
}

/// Keeps certificates as their files say; ends when it is dropped.
pub(crate) struct Watch {
    task: tokio::task::JoinHandle<()>,
    in_force: Arc<Mutex<InForce>>,
}

/// What is in force, with the files it came from.
pub(crate) type InForce = Vec<(PemPair, LoadedPair)>;

impl Watch {
    /// What was in force when it was looked at last.
    pub(crate) fn in_force(&self) -> InForce {
        let in_force = self.in_force.lock();
        in_force.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// As the settings say; none where TLS is off. `listen` is for the names of one that has to be made. What of it is broken
/// and was in force `before` stays in force; the log is told.
pub(crate) fn certificates(
    settings: &Settings,
    listen: &[SocketAddr],
    before: &InForce,
) -> Result<Option<Certificates>, Failure> {
    if settings.tls.control == Requirement::Off {
        return Ok(None);
    }
    if let Some(broker) = super::kept::broker() {
        let (held, described) = of_broker(broker)?;
        return Ok(Some(Certificates {
            store: Arc::new(CertificateStore::new(held)),
            kept: Kept::Elsewhere(described),
        }));
    }
    let given = settings.tls.pairs();
    let later: Vec<PemPair> = acme::settings(settings)?
        .iter()
        .map(wharf_acme::Settings::pair)
        .collect();
    if !given.is_empty() {
        let keeper = reopened(given, later, before)?;
        return Ok(Some(Certificates::of(keeper, None)));
    }
    let now = SystemTime::now();
    if let Some(path) = own_file() {
        let own = vec![PemPair::together(&path)];
        match kept(&path, listen, now) {
            Err(_) if before.iter().any(|(pair, _)| own.contains(pair)) => {
                let keeper = reopened(own, later, before)?;
                return Ok(Some(Certificates::of(keeper, Some(path))));
            }
            Ok(()) => {
                let keeper = reopened(own, later, before)?;
                return Ok(Some(Certificates::of(keeper, Some(path))));
            }
            Err(error) => tracing::warn!(
                %error, path = %path.display(),
                "the certificate that the server made for itself cannot be kept: clients see another one after \
                 the next start; WHARF_STATE_DIR names a directory for it"
            ),
        }
    }
    let made = SelfSigned::for_ten_years(&names(listen), now).map_err(|error| unusable(&error))?;
    let made = PemPair::from_memory("self-signed", made.together().as_bytes())
        .map_err(|error| unusable(&error))?;
    let keeper = Keeper::open(Vec::new(), later).map_err(|error| unusable(&error))?;
    Ok(Some(Certificates::of(keeper.with(made), None)))
}

fn reopened(pairs: Vec<PemPair>, later: Vec<PemPair>, before: &InForce) -> Result<Keeper, Failure> {
    let reopened = Keeper::reopen(pairs, later, before);
    let (keeper, noticed) = reopened.map_err(|error| unusable(&error))?;
    log_noticed(noticed);
    Ok(keeper)
}

/// Those of the broker, which signs with their keys: this process has none.
///
/// # Errors
/// The broker is gone.
pub(super) fn of_broker(
    broker: &Link,
) -> Result<(Vec<Arc<CertifiedKey>>, Vec<Described>), Failure> {
    let certificates = broker.certificates().map_err(|error| {
        Failure::new(
            Exit::Software,
            format!("no certificate from the broker: {error}"),
        )
    })?;
    let described = certificates
        .iter()
        .filter_map(|(_, it)| Described::read(it.chain.first()?))
        .collect();
    let held = certificates
        .into_iter()
        .map(|(number, it)| SignedElsewhere::certified(broker, number, it));
    Ok((held.collect(), described))
}

/// What `wharf check` tells.
#[derive(Default)]
pub(crate) struct Looked {
    pub(crate) lines: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// What is in force, or would be; nothing is made.
pub(crate) fn looked_at(settings: &Settings) -> Result<Looked, Failure> {
    if settings.tls.control == Requirement::Off {
        return Ok(Looked::default());
    }
    let given = settings.tls.pairs();
    let makes_its_own = given.is_empty();
    let own = own_file().filter(|_| makes_its_own);
    let later = acme::settings(settings)?
        .iter()
        .map(wharf_acme::Settings::pair)
        .collect();
    let is_kept = own.as_ref().is_some_and(|path| path.exists());
    let pairs = match &own {
        Some(path) if is_kept => vec![PemPair::together(path)],
        _ => given,
    };
    let keeper = Keeper::open(pairs, later).map_err(|error| unusable(&error))?;
    let certificates = Certificates::of(keeper, own.clone());
    let mut lines = certificates.lines();
    let warnings = certificates.warnings(SystemTime::now());
    match own {
        Some(path) if !is_kept => lines.push(format!(
            "self-signed, will be made at the first start and kept in {}",
            path.display()
        )),
        None if makes_its_own => lines.push("self-signed, a new one at every start".to_owned()),
        _ => {}
    }
    Ok(Looked { lines, warnings })
}

impl Certificates {
    fn of(keeper: Keeper, own: Option<PathBuf>) -> Self {
        Self {
            store: keeper.store(),
            kept: Kept::Here {
                keeper: Box::new(keeper),
                own,
            },
        }
    }

    /// Those whose keys are here.
    pub(crate) fn held(&self) -> Vec<Arc<CertifiedKey>> {
        match &self.kept {
            Kept::Here { keeper, .. } => keeper.certified(),
            Kept::Elsewhere(_) => Vec::new(),
        }
    }

    /// One line a certificate, for people: whom it is for, until when, its fingerprint.
    pub(crate) fn lines(&self) -> Vec<String> {
        match &self.kept {
            Kept::Here { keeper, own } => {
                let told = |(pair, loaded): (Option<&PemPair>, &LoadedPair)| {
                    let own = pair.is_none() || pair.map(|it| &it.chain) == own.as_ref();
                    line(own, &loaded.described)
                };
                keeper.loaded().map(told).collect()
            }
            Kept::Elsewhere(described) => {
                let told = described.iter();
                told.map(|it| line(it.self_signed, it)).collect()
            }
        }
    }

    /// What is not wrong and should be known: certificates that end, keys that everybody can read.
    pub(crate) fn warnings(&self, now: SystemTime) -> Vec<String> {
        let Kept::Here { keeper, .. } = &self.kept else {
            // The broker tells them.
            return Vec::new();
        };
        let now = seconds(now);
        let mut warnings = Vec::new();
        for (pair, loaded) in keeper.loaded() {
            warnings.extend(ending(&loaded.described, now));
            if let (Some(pair), true) = (pair, loaded.exposed) {
                warnings.push(exposed(pair));
            }
        }
        warnings
    }

    /// From now on they are as their files say, and their end is told in time. `changed` hears of others in force.
    pub(crate) fn watch(
        self,
        changed: impl FnMut(Vec<Arc<CertifiedKey>>) + Send + 'static,
    ) -> Watch {
        let in_force = match &self.kept {
            Kept::Here { keeper, .. } => keeper.from_files(),
            Kept::Elsewhere(_) => InForce::new(),
        };
        let in_force = Arc::new(Mutex::new(in_force));
        let task = tokio::spawn(keep(self, Arc::clone(&in_force), changed));
        Watch { task, in_force }
    }
}

async fn keep(
    mut certificates: Certificates,
    in_force: Arc<Mutex<InForce>>,
    mut changed: impl FnMut(Vec<Arc<CertifiedKey>>) + Send,
) {
    let mut told = Instant::now();
    log_warnings(&certificates);
    loop {
        tokio::time::sleep(LOOK).await;
        let Kept::Here { keeper, .. } = &mut certificates.kept else {
            return;
        };
        let noticed = keeper.refresh(false);
        if noticed
            .iter()
            .any(|it| matches!(it, Noticed::Renewed { .. }))
        {
            *in_force.lock().unwrap_or_else(PoisonError::into_inner) = keeper.from_files();
            changed(keeper.certified());
        }
        log_noticed(noticed);
        if told.elapsed() >= DAILY {
            told = Instant::now();
            log_warnings(&certificates);
        }
    }
}

/// What the files had to say, for a server and for a proxy.
pub(super) fn log_noticed(noticed: Vec<Noticed>) {
    for noticed in noticed {
        match noticed {
            Noticed::Renewed {
                pair,
                described,
                exposed: is_exposed,
            } => {
                tracing::info!(files = %pair, certificate = %line(false, &described), "a new certificate is in force");
                if is_exposed {
                    tracing::warn!("{}", exposed(&pair));
                }
            }
            Noticed::Broken { pair, error } => tracing::error!(
                files = %pair, %error, "new certificate files are of no use; what was in force stays"
            ),
        }
    }
}

fn log_warnings(certificates: &Certificates) {
    for warning in certificates.warnings(SystemTime::now()) {
        tracing::warn!("{warning}");
    }
}

fn exposed(pair: &PemPair) -> String {
    let key = pair.key.display();
    format!("everybody on this machine can read the key {key}: chmod o= {key}")
}

fn line(self_signed: bool, described: &Described) -> String {
    let kind = if self_signed { "self-signed, " } else { "" };
    let (is_for, ends) = (described.is_for(), date(described.ends));
    let fingerprint = described.fingerprint;
    format!("{kind}for {is_for}, until {ends}, SHA-256 {fingerprint}")
}

fn own_file() -> Option<PathBuf> {
    Some(state_directory::of_server()?.join("self-signed.pem"))
}

/// Sees to it that there is a certificate in the file: clients that have seen it know the server by it, so it stays, also
/// when the names have changed, until it ends.
fn kept(path: &PathBuf, listen: &[SocketAddr], now: SystemTime) -> io::Result<()> {
    let make = || {
        let made = SelfSigned::for_ten_years(&names(listen), now).map_err(io::Error::other)?;
        Ok::<_, io::Error>(made.together())
    };
    if !path.exists() {
        return match create_private(path, make()?.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            created => created,
        };
    }
    // One that cannot be read is not replaced: perhaps it only is not ours.
    let loaded = PemPair::together(path).load().map_err(io::Error::other)?;
    if loaded.described.ends > seconds(now) {
        return Ok(());
    }
    replace_private(path, make()?.as_bytes())
}

/// What clients may call this server: its host name, localhost, the addresses it listens on.
fn names(listen: &[SocketAddr]) -> Vec<String> {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().to_ascii_lowercase();
    let mut addresses: BTreeSet<IpAddr> = listen.iter().map(SocketAddr::ip).collect();
    if addresses.iter().any(IpAddr::is_unspecified) {
        addresses.extend([
            foundation::own_address(Ipv4Addr::UNSPECIFIED.into()),
            Ipv4Addr::LOCALHOST.into(),
            Ipv6Addr::LOCALHOST.into(),
        ]);
        addresses.retain(|it| !it.is_unspecified());
    }
    self_signed_names(&host, addresses)
}

fn self_signed_names(host: &str, addresses: impl IntoIterator<Item = IpAddr>) -> Vec<String> {
    let label = |it: &str| {
        (1..=63).contains(&it.len())
            && it
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_')
    };
    let is_name = host.len() <= 253 && host.split('.').all(label);
    let mut names: Vec<String> = Vec::new();
    if is_name && host.parse::<IpAddr>().is_err() {
        names.push(host.to_owned());
    }
    for name in ["localhost".to_owned()].into_iter().chain(
        addresses
            .into_iter()
            .map(|it| it.to_canonical().to_string()),
    ) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn seconds(now: SystemTime) -> i64 {
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn unusable(error: &TlsError) -> Failure {
    Failure::new(Exit::Config, format!("TLS: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_self_signed_certificate_has_the_names_that_fit() {
        let v4: IpAddr = "192.0.2.1".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        for (host, expected) in [
            ("box", "box localhost 192.0.2.1"),
            ("box.example", "box.example localhost 192.0.2.1"),
            ("localhost", "localhost 192.0.2.1"),
            ("", "localhost 192.0.2.1"),
            ("a b", "localhost 192.0.2.1"),
            ("(none)", "localhost 192.0.2.1"),
            ("10.0.0.1", "localhost 192.0.2.1"),
        ] {
            let names = self_signed_names(host, [v4, mapped]);
            assert_eq!(names.join(" "), expected, "{host}");
            SelfSigned::new(&names).unwrap();
        }
    }

    #[test]
    fn it_is_made_once_and_again_when_it_has_ended() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/self-signed.pem");
        let now = SystemTime::now();
        let fingerprint = || {
            PemPair::together(&path)
                .load()
                .unwrap()
                .described
                .fingerprint
        };
        kept(&path, &[], now).unwrap();
        let first = fingerprint();
        kept(
            &path,
            &["192.0.2.1:21".parse().unwrap()],
            now + DAILY * 3640,
        )
        .unwrap();
        assert_eq!(fingerprint(), first);
        kept(&path, &[], now + DAILY * 3660).unwrap();
        assert_ne!(fingerprint(), first);
        std::fs::write(&path, "damaged").unwrap();
        assert!(kept(&path, &[], now).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "damaged");
    }
}
