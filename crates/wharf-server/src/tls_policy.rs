//! Who must have TLS, and what a data connection has to prove.

use std::net::IpAddr;

use wharf_net::tls::{DataSession, ServerTls};
use wharf_proto::data_connection::advertise::Network;
use wharf_proto::security::{Demands, Requirement};

/// TLS as a server offers it
#[derive(Debug, Clone)]
pub struct TlsPolicy {
    /// Certificates and versions
    pub tls: ServerTls,
    /// Whether control connections are in TLS: where it is required no password is taken in clear
    pub control: Requirement,
    /// Whether data connections are
    pub data: Requirement,
    /// Whether a data connection must resume the TLS session of its control connection
    pub data_session: DataSession,
    /// What is different for some networks and users; the last one that fits and says something wins
    pub exceptions: Vec<TlsException>,
    /// What becomes of an upload whose data connection ends without close_notify
    pub truncation: Truncation,
    /// Whether users are known by certificates (which `tls` judges): where they are required nobody logs in without one
    pub client_certificates: Requirement,
    /// Whether CCC is offered: helpers in NATs and firewalls can then read along again
    pub ccc: bool,
}

/// What is different for some
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsException {
    /// For whom
    pub who: Who,
    /// Of the control connection
    pub control: Option<Requirement>,
    /// Of data connections
    pub data: Option<Requirement>,
    /// Whether a data connection must resume
    pub data_session: Option<DataSession>,
    /// What becomes of an upload that may be cut
    pub truncation: Option<Truncation>,
}

/// Whom an exception is about
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Clients of this network
    Network(Network),
    /// The user of this name
    User(String),
}

/// What becomes of an upload whose data connection ends without close_notify: somebody on the way may have cut it, or
/// the client is one that never says it
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Truncation {
    /// 426: it is not complete
    #[default]
    Strict,
    /// 226, and whether it is complete is [unknown](crate::Outcome::Unknown)
    Lenient,
}

/// The policy for one session
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InForce {
    pub(crate) demands: Demands,
    pub(crate) data_session: DataSession,
    pub(crate) truncation: Truncation,
}

impl TlsPolicy {
    /// TLS for whoever wants it, and data connections that must resume
    pub fn new(tls: ServerTls) -> Self {
        Self {
            tls,
            control: Requirement::Allowed,
            data: Requirement::Allowed,
            data_session: DataSession::Require,
            exceptions: Vec::new(),
            truncation: Truncation::Strict,
            client_certificates: Requirement::Off,
            ccc: false,
        }
    }

    /// For a client at `client` who says to be `user`
    pub(crate) fn in_force(&self, client: IpAddr, user: Option<&[u8]>) -> InForce {
        let mut found = InForce {
            demands: Demands {
                control: self.control,
                data: self.data,
                ccc: self.ccc,
            },
            data_session: self.data_session,
            truncation: self.truncation,
        };
        let fits = |it: &&TlsException| match &it.who {
            Who::Network(network) => network.contains(client),
            Who::User(name) => user == Some(name.as_bytes()),
        };
        for exception in self.exceptions.iter().filter(fits) {
            let demands = &mut found.demands;
            demands.control = exception.control.unwrap_or(demands.control);
            demands.data = exception.data.unwrap_or(demands.data);
            found.data_session = exception.data_session.unwrap_or(found.data_session);
            found.truncation = exception.truncation.unwrap_or(found.truncation);
        }
        found
    }
}
