//! What a person can decide about a certificate from an authority.

use std::net::{Ipv6Addr, SocketAddr};

use crate::args::serve_acme::AcmeArgs;

/// The port at which an authority asks (RFC 8555 §8.3).
const HTTP: u16 = 80;

/// A certificate from an authority; none without names.
#[derive(Clone, Debug)]
pub(crate) struct AcmeSettings {
    pub(crate) domains: Vec<String>,
    pub(crate) email: Option<String>,
    pub(crate) directory: String,
    pub(crate) http: SocketAddr,
}

impl Default for AcmeSettings {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            email: None,
            directory: wharf_acme::LETS_ENCRYPT.to_owned(),
            http: (Ipv6Addr::UNSPECIFIED, HTTP).into(),
        }
    }
}

impl AcmeSettings {
    /// Lays flags and environment over what the file said.
    pub(crate) fn overlay(&mut self, args: &AcmeArgs) {
        if !args.acme.is_empty() {
            self.domains.clone_from(&args.acme);
        }
        if args.acme_email.is_some() {
            self.email.clone_from(&args.acme_email);
        }
        if let Some(directory) = &args.acme_directory {
            self.directory.clone_from(directory);
        }
        self.http = args.acme_http.unwrap_or(self.http);
    }
}
