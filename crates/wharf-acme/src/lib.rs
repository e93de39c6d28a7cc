//! Certificates from an authority that signs by itself (ACME, RFC 8555), obtained, kept and renewed.
//!
//! [`Acme`] is a task of its own that shares nothing with the server but one file: it writes key and chain into
//! [`Settings::pair`], whole or not at all, and whoever keeps certificates notices. It may therefore run in a process of
//! its own. What goes wrong leaves the certificate in force that was there.
//!
//! In reading order: when (`schedule.rs`), what is answered over HTTP (`responder.rs`), the way to the authority
//! (`https.rs`), one certificate (`order.rs`). Deliberately absent: DNS challenges, revocation.

mod https;
mod order;
mod responder;
mod schedule;

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;
use wharf_net::tls::trust::Trust;
use wharf_net::tls::{Described, Fingerprint, PemPair, fingerprint_of, replace_private};

use responder::Answers;

/// The directory of Let's Encrypt.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// What to obtain, from whom, and where it is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The names (or addresses) that the certificate is for, at least one. Each of them leads to this host, as the
    /// authority sees it.
    pub domains: Vec<String>,
    /// Where the authority writes to when something is wrong.
    pub email: Option<String>,
    /// The authority's directory, `https://…`.
    pub directory: String,
    /// Where its question is answered. The authority asks at port 80, so this is that port or where it is led to.
    pub http: SocketAddr,
    /// Which authorities vouch for the directory itself.
    pub trust: Trust,
    /// A directory for account and certificate. It need not exist.
    pub state: PathBuf,
}

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcmeError {
    /// The authority could not be reached or says no.
    #[error("{0}")]
    Authority(#[from] instant_acme::Error),
    /// It asked at the host and was not satisfied.
    #[error("the authority does not sign: {0}")]
    Refused(String),
    /// It does not ask over HTTP.
    #[error("the authority does not offer HTTP-01")]
    NoHttp,
    /// No key or request could be made, such as for a name that no certificate could have.
    #[error("{0}")]
    Request(#[from] rcgen::Error),
    /// What is kept could not be read or written.
    #[error("{0}: {1}")]
    State(PathBuf, #[source] io::Error),
}

impl Settings {
    /// Where key and chain are, once they are there.
    pub fn pair(&self) -> PemPair {
        PemPair::together(self.own_directory().join("certificate.pem"))
    }

    fn account_file(&self) -> PathBuf {
        self.own_directory().join("account.json")
    }

    /// One for each authority: what a test directory has signed must not be taken for the real one's.
    fn own_directory(&self) -> PathBuf {
        let Fingerprint(digest) = fingerprint_of(self.directory.as_bytes());
        let mut name = String::new();
        for byte in digest.iter().take(8) {
            // Writing to a String cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        self.state.join("acme").join(name)
    }
}

/// Obtains and renews one certificate.
#[derive(Debug)]
pub struct Acme {
    settings: Settings,
    listener: TcpListener,
}

impl Acme {
    /// Listens where the authority will ask.
    ///
    /// # Errors
    /// When it cannot be listened there.
    pub async fn bind(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.http).await?;
        Ok(Self { settings, listener })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Sees to it that there is a certificate, for ever: obtains one when there is none or not for these names, renews it
    /// when two thirds of its life are over, waits longer after each failure.
    pub async fn run(self) {
        let answers = Answers::default();
        tokio::select! {
            () = responder::respond(&self.listener, &answers) => {}
            () = self.keep(&answers) => {}
        }
    }

    async fn keep(&self, answers: &Answers) {
        let mut failures = 0_u32;
        loop {
            let wait = self.due(SystemTime::now());
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
                continue;
            }
            let domains = self.settings.domains.join(", ");
            tracing::info!(%domains, directory = %self.settings.directory, "asking for a certificate");
            let obtained = self.renew(answers).await;
            answers.clear();
            match obtained {
                Ok(()) => {
                    failures = 0;
                    tracing::info!(%domains, "the authority has signed a new certificate");
                    // Whatever its dates are, not in a circle.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    let wait = schedule::after_failures(failures);
                    tracing::warn!(
                        %domains, %error, again = ?wait,
                        "no new certificate; the one in force stays"
                    );
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// How long until a certificate is to be obtained.
    fn due(&self, now: SystemTime) -> Duration {
        let now = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        match self.settings.pair().load() {
            Ok(kept) if is_for(&kept.described, &self.settings.domains) => {
                schedule::until_renewal(kept.described.begins, kept.described.ends, now)
            }
            _ => Duration::ZERO,
        }
    }

    async fn renew(&self, answers: &Answers) -> Result<(), AcmeError> {
        let text = order::obtain(&self.settings, answers).await?;
        let path = self.settings.pair().chain;
        replace_private(&path, text.as_bytes()).map_err(|error| AcmeError::State(path, error))
    }
}

/// Whether a certificate is for all these names.
fn is_for(described: &Described, domains: &[String]) -> bool {
    domains.iter().all(|domain| match domain.parse() {
        Ok(address) => described.addresses.contains(&address),
        Err(_) => described
            .dns_names
            .iter()
            .any(|it| it.eq_ignore_ascii_case(domain)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_net::tls::SelfSigned;

    fn settings(state: &std::path::Path, domains: &[&str]) -> Settings {
        Settings {
            domains: domains.iter().map(|it| (*it).to_owned()).collect(),
            email: None,
            directory: "https://127.0.0.1:1/dir".to_owned(),
            http: "127.0.0.1:0".parse().unwrap(),
            trust: Trust::default(),
            state: state.to_owned(),
        }
    }

    #[tokio::test]
    async fn what_is_there_is_taken_if_it_is_for_the_names_and_young() {
        let directory = tempfile::tempdir().unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_001);
        let names = ["a.example", "b.example", "192.0.2.1"].map(str::to_owned);
        let made = SelfSigned::for_ten_years(&names, now).unwrap();
        let first = settings(directory.path(), &["a.example"]);
        let acme = Acme::bind(first.clone()).await.unwrap();
        assert!(acme.due(now).is_zero(), "nothing there");
        replace_private(&first.pair().chain, made.together().as_bytes()).unwrap();
        for (domains, age, due) in [
            (&["a.example"][..], 0, false),
            (&["A.example", "b.example"], 0, false),
            (&["a.example", "192.0.2.1"], 0, false),
            (&["a.example", "c.example"], 0, true),
            (&["192.0.2.2"], 0, true),
            (&["a.example"], 3650 / 3 * 2 - 2, false),
            (&["a.example"], 3650 / 3 * 2 + 2, true),
        ] {
            let acme = Acme::bind(settings(directory.path(), domains))
                .await
                .unwrap();
            let now = now + Duration::from_secs(age * 86_400);
            assert_eq!(acme.due(now).is_zero(), due, "{domains:?} {age}");
        }
        let mut other = first.clone();
        other.directory.push('2');
        assert_ne!(other.pair(), first.pair());
    }

    #[tokio::test]
    async fn an_authority_that_is_not_there_leaves_everything_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let acme = Acme::bind(settings(directory.path(), &["a.example"]))
            .await
            .unwrap();
        let error = acme.renew(&Answers::default()).await.unwrap_err();
        assert!(
            error.to_string().starts_with("https://127.0.0.1:1/dir: "),
            "{error}"
        );
        assert!(!acme.settings.pair().chain.exists());
        let mut plain = settings(directory.path(), &["a.example"]);
        plain.directory = "http://127.0.0.1:1/dir".to_owned();
        let acme = Acme::bind(plain).await.unwrap();
        let error = acme.renew(&Answers::default()).await.unwrap_err();
        assert!(error.to_string().contains("https:// only"), "{error}");
    }
}
