//! What a person can decide about the server's TLS.

use std::net::SocketAddr;
use std::path::PathBuf;

use wharf_net::tls::{ClientCertificates, PemPair};

use crate::args::serve_tls::{DataSession, Exception, Requirement, TlsArgs, Truncation};

/// TLS of a server.
#[derive(Clone, Debug)]
pub(crate) struct TlsSettings {
    pub(crate) control: Requirement,
    /// `None`: as the control connection.
    pub(crate) data: Option<Requirement>,
    /// Each with the key of the same place.
    pub(crate) certificates: Vec<PathBuf>,
    pub(crate) keys: Vec<PathBuf>,
    /// Whether clients show certificates to log in; `None`: they may where there is an authority for them.
    pub(crate) client_certificates: Option<Requirement>,
    /// Who signs the certificates of clients.
    pub(crate) client_ca: Option<PathBuf>,
    /// Lists of those that were revoked.
    pub(crate) client_crl: Option<PathBuf>,
    pub(crate) data_session: DataSession,
    pub(crate) truncation: Truncation,
    pub(crate) ccc: bool,
    pub(crate) exceptions: Vec<Exception>,
    /// Addresses for implicit TLS.
    pub(crate) implicit_listen: Vec<SocketAddr>,
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self {
            control: Requirement::Allowed,
            data: None,
            certificates: Vec::new(),
            keys: Vec::new(),
            client_certificates: None,
            client_ca: None,
            client_crl: None,
            data_session: DataSession::Require,
            truncation: Truncation::Strict,
            ccc: false,
            exceptions: Vec::new(),
            implicit_listen: Vec::new(),
        }
    }
}

impl TlsSettings {
    /// Lays flags and environment over what the file said.
    pub(crate) fn overlay(&mut self, args: &TlsArgs) {
        if let Some(requirement) = args.tls {
            self.control = requirement;
            self.data = None;
        }
        self.data = args.tls_data.or(self.data);
        if !args.tls_cert.is_empty() || !args.tls_key.is_empty() {
            self.certificates.clone_from(&args.tls_cert);
            self.keys.clone_from(&args.tls_key);
        }
        self.client_certificates = args.tls_client_certificates.or(self.client_certificates);
        for (own, given) in [
            (&mut self.client_ca, &args.tls_client_ca),
            (&mut self.client_crl, &args.tls_client_crl),
        ] {
            if given.is_some() {
                own.clone_from(given);
            }
        }
        self.data_session = args.tls_data_session.unwrap_or(self.data_session);
        self.truncation = args.tls_truncation.unwrap_or(self.truncation);
        self.ccc |= args.tls_ccc;
        if !args.tls_exception.is_empty() {
            self.exceptions.clone_from(&args.tls_exception);
        }
        if !args.implicit_listen.is_empty() {
            self.implicit_listen.clone_from(&args.implicit_listen);
        }
    }

    /// The certificates that were named, with their keys.
    pub(crate) fn pairs(&self) -> Vec<PemPair> {
        let pairs = self.certificates.iter().zip(&self.keys);
        let pair = |(chain, key): (&PathBuf, &PathBuf)| PemPair {
            chain: chain.clone(),
            key: key.clone(),
        };
        pairs.map(pair).collect()
    }

    /// Whether clients show certificates to log in.
    pub(crate) fn client_certificates(&self) -> Requirement {
        match self.client_certificates {
            Some(requirement) => requirement,
            None if self.client_ca.is_none() => Requirement::Off,
            None => Requirement::Allowed,
        }
    }

    /// Which certificates of clients are believed; `None`: nobody is asked for one.
    pub(crate) fn clients(&self) -> Option<ClientCertificates> {
        let requirement = self.client_certificates();
        (requirement != Requirement::Off).then(|| ClientCertificates {
            authorities: self.client_ca.iter().cloned().collect(),
            required: requirement == Requirement::Required,
            revoked: self.client_crl.iter().cloned().collect(),
        })
    }

    /// Of data connections.
    pub(crate) fn data(&self) -> Requirement {
        self.data.unwrap_or(self.control)
    }

    /// What is wrong with the settings taken together; `listen` is where plain control connections come.
    pub(crate) fn contradictions(&self, listen: &[SocketAddr]) -> Vec<String> {
        let mut found = Vec::new();
        match (self.certificates.len(), self.keys.len()) {
            (1, 0) => found.push("a TLS certificate needs its key".to_owned()),
            (0, 1) => found.push("a TLS key needs its certificate".to_owned()),
            (certificates, keys) if certificates != keys => found.push(format!(
                "every TLS certificate needs its key: there are {certificates} certificates and {keys} keys"
            )),
            _ => {}
        }
        let clients = self.client_certificates();
        if clients != Requirement::Off && self.client_ca.is_none() {
            found.push(
                "certificates of clients need an authority that signs them: client_ca".to_owned(),
            );
        }
        if clients == Requirement::Required && self.control == Requirement::Allowed {
            found.push(
                "certificates of clients are required, and only TLS has them: control = \"required\" belongs to it"
                    .to_owned(),
            );
        }
        if clients == Requirement::Off && (self.client_ca.is_some() || self.client_crl.is_some()) {
            found.push(
                "an authority for certificates of clients is named, or what it has revoked, and nobody is asked for one"
                    .to_owned(),
            );
        }
        if self.control == Requirement::Off {
            if clients != Requirement::Off {
                found.push("certificates of clients are asked for, and TLS is off".to_owned());
            }
            if self.data() != Requirement::Off {
                found.push(
                    "TLS on data connections needs TLS on the control connection, which is off"
                        .to_owned(),
                );
            }
            if !self.implicit_listen.is_empty() {
                found.push("addresses for implicit TLS are named, and TLS is off".to_owned());
            }
            if !self.certificates.is_empty() {
                found.push("a TLS certificate is named, and TLS is off".to_owned());
            }
        }
        if let Some(at) = self
            .implicit_listen
            .iter()
            .find(|at| at.port() != 0 && listen.iter().any(|plain| plain.port() == at.port()))
        {
            found.push(format!(
                "port {} cannot be for implicit TLS and for explicit TLS at once",
                at.port()
            ));
        }
        found
    }
}
