//! What a person can decide about the server's TLS.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::args::serve_tls::{DataSession, Exception, Requirement, TlsArgs, Truncation};

/// TLS of a server.
#[derive(Clone, Debug)]
pub(crate) struct TlsSettings {
    pub(crate) control: Requirement,
    /// `None`: as the control connection.
    pub(crate) data: Option<Requirement>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
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
            certificate: None,
            key: None,
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
        if args.tls_cert.is_some() || args.tls_key.is_some() {
            self.certificate.clone_from(&args.tls_cert);
            self.key.clone_from(&args.tls_key);
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

    /// Of data connections.
    pub(crate) fn data(&self) -> Requirement {
        self.data.unwrap_or(self.control)
    }

    /// What is wrong with the settings taken together; `listen` is where plain control connections come.
    pub(crate) fn contradictions(&self, listen: &[SocketAddr]) -> Vec<String> {
        let mut found = Vec::new();
        match (&self.certificate, &self.key) {
            (Some(_), None) => found.push("a TLS certificate needs its key".to_owned()),
            (None, Some(_)) => found.push("a TLS key needs its certificate".to_owned()),
            _ => {}
        }
        if self.control == Requirement::Off {
            if self.data() != Requirement::Off {
                found.push(
                    "TLS on data connections needs TLS on the control connection, which is off"
                        .to_owned(),
                );
            }
            if !self.implicit_listen.is_empty() {
                found.push("addresses for implicit TLS are named, and TLS is off".to_owned());
            }
            if self.certificate.is_some() {
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
