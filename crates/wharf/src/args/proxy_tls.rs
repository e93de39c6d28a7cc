//! Flags of `proxy` about TLS: each side has its own.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use wharf_net::tls::Fingerprint;

use super::value;

/// Whether clients may, or must, use TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClientTls {
    /// There is none
    Off,
    /// Clients may use it
    #[value(alias = "prefer")] // one variable for clients and servers
    Allowed,
    /// Nobody logs in, and nothing is transferred, without it
    #[value(alias = "require")]
    Required,
}

/// Which data connections of clients are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SessionArg {
    /// Those that resume the TLS session of their control connection
    Require,
    /// Those, from any address, and others from the client's own
    Prefer,
    /// Any from the client's own address
    Off,
}

/// How TLS with the server begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UpstreamTls {
    /// Never
    Off,
    /// With AUTH TLS where the server knows it, else the server is spoken to in clear
    Prefer,
    /// With AUTH TLS, or the client is turned away
    Require,
    /// With the first byte (ftps, port 990)
    Implicit,
}

/// The highest version of TLS towards the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TlsMax {
    #[value(name = "1.2")]
    /// For servers that lose data connections under 1.3
    V12,
    #[value(name = "1.3")]
    /// The usual
    V13,
}

/// TLS on both sides of `wharf proxy`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ProxyTlsArgs {
    /// Certificate chain for clients, in PEM; with its --tls-key. May be repeated: the name that a client asks for decides
    #[arg(long, value_name = "FILE", env = "WHARF_TLS_CERT", value_hint = ValueHint::FilePath, value_delimiter = ',', help_heading = "TLS towards the clients")]
    pub(crate) tls_cert: Vec<PathBuf>,

    /// Its key, in PEM
    #[arg(long, value_name = "FILE", env = "WHARF_TLS_KEY", value_hint = ValueHint::FilePath, value_delimiter = ',', help_heading = "TLS towards the clients")]
    pub(crate) tls_key: Vec<PathBuf>,

    /// Whether clients may use TLS [default: allowed with --tls-cert, else off]
    #[arg(
        long,
        value_name = "WHEN",
        env = "WHARF_TLS",
        value_enum,
        help_heading = "TLS towards the clients"
    )]
    pub(crate) tls: Option<ClientTls>,

    /// Whether a data connection has to resume the TLS session of its control connection [default: require]
    #[arg(
        long,
        value_name = "WHEN",
        env = "WHARF_TLS_DATA_SESSION",
        value_enum,
        help_heading = "TLS towards the clients"
    )]
    pub(crate) tls_data_session: Option<SessionArg>,

    /// Address where TLS begins before anything is said (ftps, port 990); may be repeated
    #[arg(long, value_name = "ADDR:PORT", env = "WHARF_IMPLICIT_LISTEN", value_parser = value::listen, value_delimiter = ',', help_heading = "TLS towards the clients")]
    pub(crate) implicit_listen: Vec<SocketAddr>,

    /// TLS with the server [default: off]
    #[arg(
        long,
        value_name = "WHEN",
        env = "WHARF_UPSTREAM_TLS",
        value_enum,
        help_heading = "TLS towards the server"
    )]
    pub(crate) upstream_tls: Option<UpstreamTls>,

    /// File with an authority (PEM) that is trusted besides the system's; may be repeated
    #[arg(long, value_name = "FILE", env = "WHARF_UPSTREAM_CA", value_hint = ValueHint::FilePath, value_delimiter = ',', help_heading = "TLS towards the server")]
    pub(crate) upstream_ca: Vec<PathBuf>,

    /// SHA-256 fingerprint of the server's certificate, which then is the only one that is trusted; may be repeated
    #[arg(
        long,
        value_name = "FINGERPRINT",
        env = "WHARF_UPSTREAM_PIN",
        value_delimiter = ',',
        help_heading = "TLS towards the server"
    )]
    pub(crate) upstream_pin: Vec<Fingerprint>,

    /// Highest version of TLS with the server [default: 1.3]
    #[arg(
        long,
        value_name = "VERSION",
        env = "WHARF_UPSTREAM_TLS_MAX",
        value_enum,
        help_heading = "TLS towards the server"
    )]
    pub(crate) upstream_tls_max: Option<TlsMax>,
}
