//! The flags about TLS as the client library's settings: whom to believe, and who is told of a server that is believed for
//! the first time.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use wharf_client::known_servers::KnownServersFile;
use wharf_client::{CccChoice, Tls, TlsChoice};
use wharf_net::tls::trust::{Known, KnownServers, Trust};
use wharf_net::tls::{ClientCertificate, TlsVersions};

use crate::args::tls::{CccArg, TlsArg, TlsArgs, TlsMaxArg};
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Most bytes of a certificate or key file.
const FILE: u64 = 1024 * 1024;

/// What the flags say. `memory`: the file of servers that were seen before; `None`: nothing outlives this run.
pub(crate) fn tls(
    args: &TlsArgs,
    memory: Option<KnownServersFile>,
    output: &Output,
) -> Result<Tls, Failure> {
    let known = Told {
        file: memory,
        seen: Mutex::default(),
        output: output.clone(),
    };
    Ok(Tls {
        choice: match args.tls {
            TlsArg::Off => TlsChoice::Off,
            TlsArg::Prefer => TlsChoice::Prefer,
            TlsArg::Require => TlsChoice::Require,
        },
        implicit: false,
        ccc: match args.ccc {
            CccArg::Never => CccChoice::Never,
            CccArg::Auto => CccChoice::Auto,
            CccArg::Always => CccChoice::Always,
        },
        versions: match args.tls_max {
            Some(TlsMaxArg::V12) => TlsVersions::Only12,
            Some(TlsMaxArg::V13) | None => TlsVersions::All,
        },
        trust: Trust {
            system: true,
            authorities: args.ca.clone(),
            pins: args.pin.clone(),
            known: Some(Arc::new(known)),
            // Where TLS is only preferred: better than in clear.
            first_use: true,
        },
        certificate: match &args.cert {
            Some(chain) => Some(own(chain, args.key.as_deref().unwrap_or(chain))?),
            None => None,
        },
    })
}

pub(crate) fn own(chain: &Path, key: &Path) -> Result<Arc<ClientCertificate>, Failure> {
    let read = |path: &Path| {
        let unreadable = |why: String| {
            let what = format!("cannot read {}: {why}", path.display());
            Failure::new(Exit::LocalFile, what)
        };
        let read = std::fs::File::open(path).and_then(|file| {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::Read::take(file, FILE), &mut bytes)?;
            Ok(bytes)
        });
        read.map_err(|error| unreadable(error.to_string()))
    };
    let what = chain.display().to_string();
    let certificate = ClientCertificate::from_pem(&what, &read(chain)?, &read(key)?);
    let certificate = certificate.map_err(|error| Failure::usage(error.to_string()))?;
    Ok(Arc::new(certificate))
}

/// The servers that were seen before; a person is told of each new one whose certificate nobody vouches for.
#[derive(Debug)]
struct Told {
    file: Option<KnownServersFile>,
    /// In this run, where there is no file.
    seen: Mutex<Vec<(String, u16, Known)>>,
    output: Output,
}

impl KnownServers for Told {
    fn known(&self, host: &str, port: u16) -> Result<Option<Known>, String> {
        if let Some(file) = &self.file {
            return file.known(host, port);
        }
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found = seen.iter().find(|(at, on, _)| at == host && *on == port);
        Ok(found.map(|(_, _, known)| *known))
    }

    fn remember(&self, host: &str, port: u16, what: Known) {
        if let Known::Certificate(fingerprint) = what {
            let kept = if self.file.is_some() {
                "remembered: another one is refused from now on"
            } else {
                "for this run"
            };
            self.output.note(&format!(
                "nobody vouches for the certificate of {host}; it is believed because it is the first one seen ({kept}), SHA-256 {fingerprint}"
            ));
        }
        match &self.file {
            Some(file) => file.remember(host, port, what),
            None => {
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.retain(|(at, on, _)| at != host || *on != port);
                seen.push((host.to_owned(), port, what));
            }
        }
    }
}
