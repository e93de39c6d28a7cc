//! What a proxy can be told. Typed and without a file format: the binary translates its flags into this.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use wharf_net::Recorder;
use wharf_net::tls::trust::Trust;
use wharf_net::tls::{DataSession, ServerTls, TlsVersions};
use wharf_proto::data_connection::advertise::{Advertise, Network};
use wharf_proto::data_connection::passive::PortRange;
use wharf_proto::data_connection::port_policy::PortPolicy;
use wharf_proto::security::Requirement;

pub use crate::translate::ways::UpstreamMode;
use crate::upstream::Upstream;

/// Everything a proxy can be told; only the upstream has no default.
#[derive(Clone)]
pub struct Config {
    /// Where to listen for control connections. Port 0 lets the system choose. Default `0.0.0.0:2121`.
    pub listen: Vec<SocketAddr>,
    /// Which server sessions go to.
    pub upstream: Upstream,
    /// How data connections of the server's side are made. Default [`UpstreamMode::Auto`].
    pub upstream_mode: UpstreamMode,
    /// Our address towards the server. Default: what the routes say.
    pub upstream_source: Option<IpAddr>,
    /// Where to listen for active data connections of the server. Default: any port.
    pub upstream_ports: Option<PortRange>,
    /// The address told to the server in PORT and EPRT: there is NAT between it and us. Default: our end of the control
    /// connection.
    pub upstream_advertise: Option<IpAddr>,
    /// Where to listen for passive data connections of clients, never anywhere else. Default 50000-50999.
    pub passive_ports: PortRange,
    /// Whether clients' passive data connections come to the control port, and no other port is needed. Default no.
    pub one_port: bool,
    /// The address that a 227 tells the client. Default: the one that it reached.
    pub advertise: Advertise,
    /// The source port wanted for active data connections to clients; any other one when it cannot be had. Default 20.
    pub active_port: Option<u16>,
    /// What becomes of a PORT that names a private address although the client comes from a public one. Default
    /// [`PortPolicy::Refuse`].
    pub port_policy: PortPolicy,
    /// How long a data connection may take to come about. Default 10 s.
    pub patience: Duration,
    /// How long the server may take to be found, connected to and to greet. Default 15 s.
    pub connect_patience: Duration,
    /// Sessions at the same time; a further one is told 421. Default 10 000.
    pub max_sessions: usize,
    /// Sessions at the same time from one IPv4 address or one IPv6 /64. Default 100.
    pub max_per_address: usize,
    /// Wrong passwords after which the session ends; at least 1. Default 5.
    pub login_attempts: u32,
    /// Time from the connection to the login. Default 60 s.
    pub no_login: Duration,
    /// Time without a command after which a session is told 421; transfers do not count. Default 10 min.
    pub idle: Duration,
    /// Time without a single octet moving after which a transfer, or a peer that does not read its control connection,
    /// is given up. Default 2 min.
    pub stall: Duration,
    /// Silence on a control connection after which it is probed, on both sides. Zero is never. Default 30 s.
    pub keepalive: Duration,
    /// TLS on the client's side. Default none.
    pub tls: Option<ClientSide>,
    /// TLS on the server's side. Default none: what the client says is passed on in clear.
    pub upstream_tls: Option<ServerSide>,
    /// Balancers in front of us, whose PROXY protocol header is believed. Default none.
    pub proxy_protocol: Vec<Network>,
    /// The longest line of a client in octets. Default 8192.
    pub line_limit: usize,
    /// Text of the 220 where the server is not known yet (`user@host`).
    pub greeting: String,
    /// Is told of every line and data connection of both sides, passwords masked. Default none.
    pub recorder: Option<Arc<dyn Recorder>>,
}

impl Config {
    /// The defaults, for this upstream.
    pub fn new(upstream: Upstream) -> Self {
        Self {
            listen: vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 2121)],
            upstream,
            upstream_mode: UpstreamMode::default(),
            upstream_source: None,
            upstream_ports: None,
            upstream_advertise: None,
            passive_ports: USUAL_PORTS,
            one_port: false,
            advertise: Advertise::reached(),
            active_port: Some(20),
            port_policy: PortPolicy::default(),
            patience: Duration::from_secs(10),
            connect_patience: Duration::from_secs(15),
            max_sessions: 10_000,
            max_per_address: 100,
            login_attempts: 5,
            no_login: Duration::from_mins(1),
            idle: Duration::from_mins(10),
            stall: Duration::from_mins(2),
            keepalive: Duration::from_secs(30),
            tls: None,
            upstream_tls: None,
            proxy_protocol: Vec::new(),
            line_limit: 8192,
            greeting: "wharf FTP proxy ready, log in as USER name@host".to_owned(),
            recorder: None,
        }
    }
}

/// TLS on the client's side.
#[derive(Clone, Debug)]
pub struct ClientSide {
    /// With which certificates.
    pub tls: ServerTls,
    /// Whether a client may use it or must, for its control connection and for its data connections.
    pub wanted: Requirement,
    /// Whether a data connection has to resume the TLS session of its control connection.
    pub data_session: DataSession,
    /// Listeners of [`Config::listen`] where TLS begins before anything is said.
    pub implicit: Vec<SocketAddr>,
}

/// TLS on the server's side.
#[derive(Clone, Debug)]
pub struct ServerSide {
    /// Whom we believe.
    pub trust: Trust,
    /// Which versions are spoken; 1.2 alone for servers that give out too few tickets under 1.3.
    pub versions: TlsVersions,
    /// How it begins.
    pub begin: Begin,
}

/// How TLS with the server begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Begin {
    /// AUTH TLS where the server knows it, else in clear.
    Prefer,
    /// AUTH TLS, or there is no session.
    Require,
    /// With the first byte.
    Implicit,
}

/// The passive ports of every wharf.
const USUAL_PORTS: PortRange = match PortRange::new(50_000, 50_999) {
    Ok(range) => range,
    Err(_) => unreachable!(),
};

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("upstream", &self.upstream)
            .field("upstream_mode", &self.upstream_mode)
            .field("passive_ports", &self.passive_ports)
            .field("one_port", &self.one_port)
            .finish_non_exhaustive()
    }
}
