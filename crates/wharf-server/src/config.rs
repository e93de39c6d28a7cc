//! What a server can be told. Typed and without a file format: the binary translates its TOML into this.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use wharf_accounts::Bans;
use wharf_net::Recorder;
use wharf_proto::data_connection::advertise::Network;
use wharf_proto::data_connection::passive::PortRange;
pub use wharf_proto::data_connection::port_policy::PortPolicy;
use wharf_proto::data_connection::sorting::SharedAddress;

use crate::log::Observer;
use crate::tls_policy::TlsPolicy;

/// Everything a server can be told; `Config { ..Config::default() }` is a working one
///
/// A session keeps the configuration it began with.
#[derive(Clone)]
pub struct Config {
    /// Where to listen for control connections. Port 0 lets the system choose. Default `0.0.0.0:2121`
    pub listen: Vec<SocketAddr>,
    /// Where control connections are in TLS from their first byte (implicit TLS; port 990). Needs `tls`. Default none
    pub implicit_listen: Vec<SocketAddr>,
    /// TLS (RFC 4217). Default none: AUTH is answered 502
    pub tls: Option<TlsPolicy>,
    /// Where to listen for data connections, never anywhere else: a firewall is told this range.
    /// Each running or awaited passive transfer takes one port; one that no command follows is given
    /// back after a minute. Default 50000-50999
    pub passive_ports: PortRange,
    /// Whether the control port takes data connections as well, so that a firewall needs to let in no
    /// other port. Default [`OnePort::Auto`]
    pub one_port: OnePort,
    /// Data ports that all sessions share, used instead of `passive_ports`: one port serves clients of as
    /// many addresses as there are, and one transfer of each at a time. Every port is listened on all the time,
    /// at every address of `listen`. Default none
    pub data_port: Option<PortRange>,
    /// Whether clients of one address may use the control port for data while they are logged in as different
    /// users. Default [`SharedAddress::OneUser`]
    pub shared_address: SharedAddress,
    /// Networks of carriers' NATs that give control and data connections of one client different
    /// addresses: all addresses of such a network count as one client where a data connection is
    /// paired with its session, so that whoever has one of them can take it. Default none
    pub address_pools: Vec<Network>,
    /// The address that PASV tells the client. Default: the one that the client reached
    pub advertise: Advertise,
    /// Whether HASH, XCRC and their like read files for their digests. Default yes
    pub digests: bool,
    /// Whether PORT and EPRT are served (active mode). Default yes
    pub active: bool,
    /// What becomes of a PORT, EPRT or LPRT that names a private address although the client comes from
    /// a public one: NAT. Default [`PortPolicy::Refuse`]
    pub port_policy: PortPolicy,
    /// The source port wanted for active data connections; any other one when it cannot be had.
    /// Default 20 (RFC 959 §8), which needs a privilege
    pub active_port: Option<u16>,
    /// How long a data connection may take to come about before the 425. Default 10 s
    pub patience: Duration,
    /// Sessions at the same time; a further one is told 421. Default 10 000
    pub max_sessions: usize,
    /// Sessions at the same time from one IPv4 address or one IPv6 /64. Default 100
    pub max_per_address: usize,
    /// Failed logins after which the control connection is closed; at least 1. Default 5
    pub login_attempts: u32,
    /// Time from the connection to the login, in which all of it must happen. Default 60 s
    pub no_login: Duration,
    /// Time without a command after which a session is told 421; transfers do not count.
    /// Default 10 min; RFC 1123 §4.1.3.2 wants at least 5
    pub idle: Duration,
    /// The most that SITE IDLE may ask for. Default 2 h
    pub max_idle: Duration,
    /// Time without a single octet moving after which a transfer, or a client that does not read
    /// its replies, is given up. Default 2 min
    pub stall: Duration,
    /// Silence on a control connection after which it is probed (TCP keepalive), so that no NAT forgets
    /// it; in a transfer of more than a second every 2 s. Zero is never. Default 30 s
    pub keepalive: Duration,
    /// Balancers: connections from these networks begin with a PROXY protocol header (v1 or v2) that is
    /// believed, all others do not. Default none
    pub proxy_protocol: Vec<Network>,
    /// The longest command line in octets; a longer one is answered 500. Default 8192
    pub line_limit: usize,
    /// Who is not let in, and who has failed how often; shared by all servers that are given the same. Default none:
    /// nobody is ever banned
    pub bans: Option<Arc<Bans>>,
    /// Text of the 220. Default `wharf FTP server ready`
    pub greeting: String,
    /// A transfer log in the classic format of wu-ftpd, appended to. Default none
    pub xferlog: Option<PathBuf>,
    /// Who opens the transfer log, at the start and at each reload, where this process has not the right to. Default:
    /// this process
    pub open_xferlog: Option<OpenFile>,
    /// Is told of every transfer. Default none
    pub observer: Option<Arc<dyn Observer>>,
    /// Is told of every line and data connection, passwords masked. Default none
    pub recorder: Option<Arc<dyn Recorder>>,
    /// What SITE DRILL runs: code of an attacker, so that the lab sees what it comes to. Default none
    #[cfg(feature = "drill")]
    pub drill: Option<fn(&str) -> String>,
}

/// Opens a file at that path, in whatever way it has
pub type OpenFile = Arc<dyn Fn(&Path) -> io::Result<File> + Send + Sync>;

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 2121)],
            implicit_listen: Vec::new(),
            tls: None,
            passive_ports: PortRange::new(50_000, 50_999).expect("a range of ports"),
            one_port: OnePort::default(),
            data_port: None,
            shared_address: SharedAddress::default(),
            address_pools: Vec::new(),
            advertise: Advertise::default(),
            digests: true,
            active: true,
            port_policy: PortPolicy::default(),
            active_port: Some(20),
            patience: Duration::from_secs(10),
            max_sessions: 10_000,
            max_per_address: 100,
            login_attempts: 5,
            no_login: Duration::from_mins(1),
            idle: Duration::from_mins(10),
            max_idle: Duration::from_hours(2),
            stall: Duration::from_mins(2),
            keepalive: Duration::from_secs(30),
            proxy_protocol: Vec::new(),
            line_limit: 8192,
            bans: None,
            greeting: "wharf FTP server ready".to_owned(),
            xferlog: None,
            open_xferlog: None,
            observer: None,
            recorder: None,
            #[cfg(feature = "drill")]
            drill: None,
        }
    }
}

impl Config {
    /// The pool of addresses that a client is in
    pub(crate) fn pool_of(&self, client: IpAddr) -> Option<Network> {
        let mut pools = self.address_pools.iter();
        pools.find(|pool| pool.contains(client)).copied()
    }

    /// Every address that control connections come to
    pub(crate) fn doors(&self) -> Vec<SocketAddr> {
        [&self.listen[..], &self.implicit_listen[..]].concat()
    }

    /// Whether control connections that come in by this door are in TLS from their first byte
    pub(crate) fn is_implicit(&self, wanted: SocketAddr) -> bool {
        self.implicit_listen.contains(&wanted)
    }

    /// What a client counts as where connections are paired with sessions
    pub(crate) fn counted_as(&self, client: IpAddr) -> IpAddr {
        self.pool_of(client).map_or(client, Network::address)
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("implicit_listen", &self.implicit_listen)
            .field("tls", &self.tls)
            .field("passive_ports", &self.passive_ports)
            .field("one_port", &self.one_port)
            .field("data_port", &self.data_port)
            .field("advertise", &self.advertise)
            .field("active", &self.active)
            .field("active_port", &self.active_port)
            .field("patience", &self.patience)
            .field("max_sessions", &self.max_sessions)
            .field("max_per_address", &self.max_per_address)
            .finish_non_exhaustive()
    }
}

/// Whether PASV, EPSV and LPSV name the control port itself (one-port passive)
///
/// Which connections are control and which are data is sorted by the rules of
/// [`wharf_proto::data_connection::sorting`]; what cannot be told apart is refused with a 425.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnePort {
    /// Never
    Off,
    /// For clients that the other passive ports do not work for
    #[default]
    Auto,
    /// Always
    On,
}

/// Which address a client is told in a 227: the first rule for its network, else the default
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Advertise {
    /// Rules by the client's network, first match wins
    pub rules: Vec<AdvertiseRule>,
    /// For every other client
    pub default: Address,
}

/// Clients of one network are told one address
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdvertiseRule {
    /// The network that the control connection comes from
    pub clients: Network,
    /// What these clients are told
    pub address: Address,
}

/// An address to tell a client
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Address {
    /// The one that the client's control connection reached: right unless there is NAT between
    #[default]
    Reached,
    /// This one
    Fixed(IpAddr),
    /// What this name resolves to; looked up when needed, an answer is used for 30 s
    Name(String),
    /// What can be found out: the one reached where that is of use to the client, else a public address
    /// that another client has reached, else the outside address of the router
    Auto,
}

impl Advertise {
    /// Everybody is told this address
    pub fn everybody(address: Address) -> Self {
        Self {
            rules: Vec::new(),
            default: address,
        }
    }

    /// Whether somebody is told what must be found out
    pub(crate) fn is_found_out(&self) -> bool {
        let rules = self.rules.iter().map(|rule| &rule.address);
        rules.chain([&self.default]).any(|it| *it == Address::Auto)
    }

    /// What a client at `client` is told
    pub(crate) fn address_for(&self, client: IpAddr) -> &Address {
        self.rules
            .iter()
            .find(|rule| rule.clients.contains(client))
            .map_or(&self.default, |rule| &rule.address)
    }
}
