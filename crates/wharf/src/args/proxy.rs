//! Flags of `proxy`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use wharf_proto::data_connection::advertise::Network;
use wharf_proto::data_connection::passive::PortRange;
use wharf_proxy::{Rule, UpstreamMode};

use super::proxy_tls::ProxyTlsArgs;
use super::value::{self, Advertise, PortPolicy};
use crate::logging::LogFormat;

pub(super) const PROXY_LONG: &str = "\
Stand between FTP clients and a server, and translate data modes.

Clients use whatever works for them towards the proxy (PORT, EPRT, PASV, EPSV, IPv4 or IPv6), the proxy \
uses whatever works towards the server, and each side sees only the proxy: an active client reaches a \
passive-only server, an IPv6 client an IPv4 server, and a server behind a firewall needs one port. \
Everything that is not about data connections passes through as it is.

--upstream HOST:PORT leads to one server, looked up anew for every session. --upstream user@host leads \
to the server that the client names when it logs in as USER joe@ftp.example.org (or joe@host:port): \
without --allow to port 21 of public addresses only, never to this machine or a private network; with \
--allow to what a rule names and nowhere else.

TLS begins and ends at the proxy, on each side by itself: --tls-cert and --tls-key let clients use it \
(AUTH TLS, or --implicit-listen), --upstream-tls uses it towards the server, so that either side may be a \
program that knows no TLS. Passwords pass through and are neither logged nor traced.

Standard output gets one line `listening on ADDR:PORT` for each address once the proxy is ready. \
SIGTERM or SIGINT stops after running transfers (at most --stop-timeout), a second one at once.";

const PROXY_EXAMPLES: &str = "\
Examples:
  wharf proxy --listen :2121 --upstream ftp.example.org
  wharf proxy --listen :21 --upstream 10.0.0.5:21 --one-port on
  wharf proxy --listen 127.0.0.1:2121 --upstream '[2001:db8::5]:21' --upstream-mode passive
  wharf proxy --listen :21 --upstream 10.0.0.5 --tls-cert chain.pem --tls-key key.pem --tls required
  wharf proxy --listen 127.0.0.1:2121 --upstream ftp.example.org --upstream-tls require
  wharf proxy --listen :2121 --upstream user@host --allow '*.example.org' --allow 10.1.0.0/16

Exit status: 0 stopped by a signal, 64 wrong usage, 69 an address is not available, 70 failure while
running, 73 the trace cannot be written, 77 permission missing.";

/// Where `--upstream` leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UpstreamArg {
    Fixed(wharf_proxy::Place),
    UserAtHost,
    Transparent,
}

fn upstream(text: &str) -> Result<UpstreamArg, String> {
    match text.trim() {
        "user@host" => Ok(UpstreamArg::UserAtHost),
        "transparent" => Ok(UpstreamArg::Transparent),
        place => place.parse().map(UpstreamArg::Fixed).map_err(|why| {
            format!("{why}: expected HOST, HOST:PORT, [V6]:PORT, user@host or transparent")
        }),
    }
}

fn upstream_mode(text: &str) -> Result<UpstreamMode, String> {
    text.parse()
}

fn rule(text: &str) -> Result<Rule, String> {
    text.trim().parse()
}

/// Whether clients' data connections come to the control port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnOff {
    /// They do
    On,
    /// They come to --passive-ports
    Off,
}

/// Flags of `wharf proxy`.
#[derive(Debug, Clone, Args)]
#[command(after_help = PROXY_EXAMPLES)]
pub(crate) struct ProxyArgs {
    /// Address for control connections; may be repeated. Port 0 takes a free one
    ///
    /// ADDR:PORT, [V6]:PORT, :PORT for every address.
    #[arg(long, required_unless_present = "implicit_listen", value_name = "ADDR:PORT", env = "WHARF_LISTEN", value_parser = value::listen, value_delimiter = ',')]
    pub(crate) listen: Vec<SocketAddr>,

    /// The server: HOST:PORT, or user@host (the client names it), or transparent (where it was going)
    #[arg(long, value_name = "HOST:PORT", env = "WHARF_UPSTREAM", value_parser = upstream)]
    pub(crate) upstream: UpstreamArg,

    /// With user@host: a server that may be reached; may be repeated
    ///
    /// A name (ftp.example.org), all names below one (*.example.org) or a network (10.1.0.0/16), each for
    /// port 21 or with :PORT. A name leads to public addresses only; a private one needs its network.
    #[arg(long, value_name = "NAME|NET", env = "WHARF_ALLOW", value_parser = rule, value_delimiter = ',')]
    pub(crate) allow: Vec<Rule>,

    /// How data connections to the server are made [default: auto]
    ///
    /// auto: passive first, then active, and what worked from then on. client: in the client's data mode.
    /// passive: EPSV, then PASV. active: EPRT, then PORT. epsv, pasv, eprt, port: only this command.
    #[arg(long, value_name = "MODE", env = "WHARF_UPSTREAM_MODE", value_parser = upstream_mode, help_heading = "Towards the server")]
    pub(crate) upstream_mode: Option<UpstreamMode>,

    /// Local address of connections to the server
    #[arg(
        long,
        value_name = "ADDR",
        env = "WHARF_UPSTREAM_SOURCE",
        help_heading = "Towards the server"
    )]
    pub(crate) upstream_source: Option<IpAddr>,

    /// Ports on which active data connections of the server are awaited [default: any]
    #[arg(long, value_name = "LO-HI", env = "WHARF_UPSTREAM_PORTS", value_parser = value::ports, help_heading = "Towards the server")]
    pub(crate) upstream_ports: Option<PortRange>,

    /// Address told to the server in PORT and EPRT: with NAT between it and the proxy
    #[arg(
        long,
        value_name = "ADDR",
        env = "WHARF_UPSTREAM_ADVERTISE",
        help_heading = "Towards the server"
    )]
    pub(crate) upstream_advertise: Option<IpAddr>,

    /// How long the server may take to be found, connected to and to greet [default: 15s]
    #[arg(long, value_name = "TIME", env = "WHARF_UPSTREAM_TIMEOUT", value_parser = value::positive_duration, help_heading = "Towards the server")]
    pub(crate) upstream_timeout: Option<Duration>,

    #[command(flatten)]
    pub(crate) tls: ProxyTlsArgs,

    /// Ports for passive data connections [default: 50000-50999]
    #[arg(long, value_name = "LO-HI", env = "WHARF_PASSIVE_PORTS", value_parser = value::ports, help_heading = "Towards the clients")]
    pub(crate) passive_ports: Option<PortRange>,

    /// Passive data connections to the control port itself [default: off]
    ///
    /// A firewall in front of the proxy has to let in the control port and nothing else, whatever the
    /// server behind it needs. The rules are those of `wharf serve --one-port on`.
    #[arg(
        long,
        value_name = "WHEN",
        env = "WHARF_ONE_PORT",
        value_enum,
        help_heading = "Towards the clients"
    )]
    pub(crate) one_port: Option<OnOff>,

    /// Address told to passive clients; may be repeated, NET=ADDR for clients of one network
    #[arg(long, value_name = "ADDR|NET=ADDR", env = "WHARF_ADVERTISE", value_parser = value::advertise, value_delimiter = ',', help_heading = "Towards the clients")]
    pub(crate) advertise: Vec<Advertise>,

    /// Local port of active data connections where it may be bound, 0 for any [default: 20]
    #[arg(
        long,
        value_name = "PORT",
        env = "WHARF_ACTIVE_PORT",
        help_heading = "Towards the clients"
    )]
    pub(crate) active_port: Option<u16>,

    /// What becomes of a PORT with a private address from a public client [default: refuse]
    #[arg(
        long,
        value_name = "POLICY",
        env = "WHARF_PORT_POLICY",
        value_enum,
        help_heading = "Towards the clients"
    )]
    pub(crate) port_policy: Option<PortPolicy>,

    /// Network of balancers that send a PROXY protocol header; may be repeated
    #[arg(long, value_name = "NET", env = "WHARF_PROXY_PROTOCOL", value_parser = value::network, value_delimiter = ',', help_heading = "Towards the clients")]
    pub(crate) proxy_protocol: Vec<Network>,

    /// How long to wait for a data connection, on either side [default: 10s]
    #[arg(long, value_name = "TIME", env = "WHARF_DATA_TIMEOUT", value_parser = value::positive_duration, help_heading = "Limits")]
    pub(crate) data_timeout: Option<Duration>,

    /// Sessions at once, 0 for no limit [default: 10000]
    #[arg(
        long,
        value_name = "N",
        env = "WHARF_MAX_SESSIONS",
        help_heading = "Limits"
    )]
    pub(crate) max_sessions: Option<u32>,

    /// Sessions at once from one address, 0 for no limit [default: 100]
    #[arg(
        long,
        value_name = "N",
        env = "WHARF_MAX_PER_ADDRESS",
        help_heading = "Limits"
    )]
    pub(crate) max_per_address: Option<u32>,

    /// Wrong passwords before the connection is closed [default: 5]
    #[arg(long, value_name = "N", env = "WHARF_LOGIN_ATTEMPTS", value_parser = clap::value_parser!(u32).range(1..=1000), help_heading = "Limits")]
    pub(crate) login_attempts: Option<u32>,

    /// Time to log in [default: 1min]
    #[arg(long, value_name = "TIME", env = "WHARF_LOGIN_TIMEOUT", value_parser = value::positive_duration, help_heading = "Limits")]
    pub(crate) login_timeout: Option<Duration>,

    /// Time without a command before the session is closed [default: 10min]
    #[arg(long, value_name = "TIME", env = "WHARF_IDLE_TIMEOUT", value_parser = value::positive_duration, help_heading = "Limits")]
    pub(crate) idle_timeout: Option<Duration>,

    /// Time without a byte before a transfer is given up [default: 2min]
    #[arg(long, value_name = "TIME", env = "WHARF_STALL_TIMEOUT", value_parser = value::positive_duration, help_heading = "Limits")]
    pub(crate) stall_timeout: Option<Duration>,

    /// Silence after which a control connection is probed on both sides, 0 for never [default: 30s]
    #[arg(long, value_name = "TIME", env = "WHARF_KEEPALIVE", value_parser = value::duration, help_heading = "Limits")]
    pub(crate) keepalive: Option<Duration>,

    /// Time transfers may take to finish after SIGTERM [default: 30s]
    #[arg(long, value_name = "TIME", env = "WHARF_STOP_TIMEOUT", value_parser = value::duration, help_heading = "Limits")]
    pub(crate) stop_timeout: Option<Duration>,

    /// How log lines are written [default: human]
    #[arg(
        long,
        value_name = "FORMAT",
        env = "WHARF_LOG_FORMAT",
        value_enum,
        help_heading = "Log"
    )]
    pub(crate) log_format: Option<LogFormat>,

    /// error, warn, info, debug, trace, off, or rules like info,wharf_proxy=debug [default: info]
    #[arg(
        long,
        value_name = "LEVEL",
        env = "WHARF_LOG_LEVEL",
        help_heading = "Log"
    )]
    pub(crate) log_level: Option<String>,

    /// Append a transcript of both sides of every session, passwords masked
    ///
    /// The client's side and the server's side are two sessions of the transcript; a note in the first
    /// names the second.
    #[arg(long, value_name = "FILE", env = "WHARF_TRACE", value_hint = ValueHint::FilePath, help_heading = "Log")]
    pub(crate) trace: Option<PathBuf>,

    /// Only warnings and errors
    #[arg(short, long, env = "WHARF_QUIET", help_heading = "Log")]
    pub(crate) quiet: bool,

    /// More log: -v debug, -vv trace
    #[arg(short, long, action = clap::ArgAction::Count, env = "WHARF_VERBOSE", help_heading = "Log")]
    pub(crate) verbose: u8,
}
