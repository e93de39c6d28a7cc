//! What a host is like. Plain values: tests write them down, [`gather`](super::gather) finds them out.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wharf_firewall::loaded::{Family, Ruleset};

/// Everything that is looked at. `None` is "could not be seen".
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Sockets that listen.
    pub listening: Vec<Listening>,
    /// Addresses of the interfaces, without loopback and link-local ones.
    pub addresses: Vec<IpAddr>,
    /// Routes to everywhere.
    pub default_routes: Vec<DefaultRoute>,
    /// Rules of nftables.
    pub rules: Rules,
    /// Tables of iptables-legacy that are loaded.
    pub legacy_tables: Vec<String>,
    /// Ports that the system gives to outgoing connections.
    pub local_ports: Option<(u16, u16)>,
    /// Those of them that it does not.
    pub reserved_ports: Vec<(u16, u16)>,
    /// Ports from this one on need no privilege.
    pub unprivileged_from: Option<u16>,
    /// The server, if it runs, else we, may use ports below.
    pub may_use_low_ports: Option<bool>,
    /// `nf_conntrack_ftp` is loaded.
    pub helper_loaded: bool,
    /// The switch that assigns helpers by port; gone since Linux 6.0.
    pub automatic_helper: Option<bool>,
    /// Interfaces with strict reverse path filtering.
    pub strict_reverse_path: Vec<String>,
    /// After this silence the host's own connection tracking forgets a connection.
    pub established_timeout: Option<Duration>,
    /// Descriptors that a process started here may have.
    pub descriptors: usize,
    /// What could not be looked at, and why.
    pub not_seen: Vec<String>,
}

/// A socket that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// Where; `::` usually takes IPv4, too.
    pub at: SocketAddr,
    /// Whose it is; `None` where we may not see that.
    pub owner: Option<Owner>,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its number.
    pub pid: u32,
    /// Its name, fit for a terminal.
    pub name: String,
}

/// A route to everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultRoute {
    /// Of this family.
    pub family: Family,
    /// By this interface.
    pub interface: String,
}

/// What is loaded, or why that is not known.
#[derive(Debug, Clone, Default)]
pub enum Rules {
    /// These rules.
    Read(Box<Ruleset>),
    /// `nft` is not installed.
    #[default]
    NoProgram,
    /// We may not ask; what nft said.
    Denied(String),
    /// nft or its answer makes no sense to us.
    Failed(String),
}

impl Listening {
    /// Whether connections to this port of this address come to it.
    pub fn takes(&self, port: u16, address: IpAddr) -> bool {
        let any = self.at.ip().is_unspecified();
        let family = self.at.is_ipv4() == address.is_ipv4() || self.at.is_ipv6();
        self.at.port() == port && (self.at.ip() == address || any && family)
    }
}

impl Seen {
    /// The interface by which strangers of this family come.
    pub fn interface(&self, family: Family) -> Option<&str> {
        let mut routes = self.default_routes.iter();
        let route = routes.find(|route| route.family == family)?;
        Some(&route.interface)
    }

    /// An address of this family, a public one if there is one.
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        let of_it = || {
            self.addresses
                .iter()
                .copied()
                .filter(|it| Family::of(*it) == family)
        };
        let public = of_it().find(|it| wharf_proto::data_connection::advertise::is_public(*it));
        public.or_else(|| of_it().next())
    }
}
