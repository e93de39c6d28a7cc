//! Flags about TLS, the same for every client command.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use wharf_net::tls::Fingerprint;

/// Whether connections must be protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TlsArg {
    /// Never: everything in clear
    Off,
    /// If the server offers it
    // The other words are those of `serve --tls`, which reads the same variable.
    #[default]
    #[value(alias = "allowed")]
    Prefer,
    /// Or nothing at all
    #[value(alias = "required")]
    Require,
}

/// Whether the control connection leaves TLS again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum CccArg {
    /// It stays in TLS
    #[default]
    Never,
    /// When nothing else leads to a data connection
    Auto,
    /// After every login
    Always,
}

/// The highest version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TlsMaxArg {
    /// TLS 1.2
    #[value(name = "1.2")]
    V12,
    /// TLS 1.3
    #[value(name = "1.3")]
    V13,
}

/// Flags about TLS.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TlsArgs {
    /// TLS with ftp:// addresses: `require`, `prefer` (if the server offers it) or `off`; ftpes:// and ftps:// require it
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        env = "WHARF_TLS",
        default_value_t,
        hide_possible_values = true,
        help_heading = "TLS"
    )]
    pub(crate) tls: TlsArg,

    /// File of authorities (PEM) that are believed besides the system's; may be repeated
    #[arg(long, value_name = "FILE", env = "WHARF_CA", value_hint = ValueHint::FilePath, help_heading = "TLS")]
    pub(crate) ca: Vec<PathBuf>,

    /// Believe only the certificate with this SHA-256 fingerprint, whoever signed it; may be repeated
    #[arg(
        long,
        value_name = "SHA256",
        env = "WHARF_PIN",
        value_delimiter = ',',
        help_heading = "TLS"
    )]
    pub(crate) pin: Vec<Fingerprint>,

    /// Certificate (PEM) to show to a server that asks for one
    #[arg(long, value_name = "FILE", env = "WHARF_CERT", value_hint = ValueHint::FilePath, help_heading = "TLS")]
    pub(crate) cert: Option<PathBuf>,

    /// Its key (PEM), if it is not in the same file
    #[arg(long, value_name = "FILE", env = "WHARF_KEY", value_hint = ValueHint::FilePath, requires = "cert", help_heading = "TLS")]
    pub(crate) key: Option<PathBuf>,

    /// After the login take the control connection out of TLS (CCC), so that a firewall or NAT can read PORT and PASV:
    /// names and commands can be read on the way then, password and data cannot. `--ccc=auto`: only when nothing else
    /// leads to a data connection
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        env = "WHARF_CCC",
        num_args = 0..=1,
        require_equals = true,
        default_value = "never",
        default_missing_value = "always",
        hide_default_value = true,
        hide_possible_values = true,
        help_heading = "TLS"
    )]
    pub(crate) ccc: CccArg,

    /// Highest version: `1.2` or `1.3` [default: 1.3, and 1.2 with servers that need it]
    #[arg(
        long,
        value_enum,
        value_name = "VERSION",
        env = "WHARF_TLS_MAX",
        hide_possible_values = true,
        help_heading = "TLS"
    )]
    pub(crate) tls_max: Option<TlsMaxArg>,
}
