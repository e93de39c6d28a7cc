//! Flags of the one-shot client commands.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use wharf_proto::data_connection::passive::PortRange;

use super::secret::SecretArgs;
use super::tls::TlsArgs;
use super::value;
use super::via::ViaArgs;
use crate::event::Place;
use crate::output::Output;

pub(super) const FORGET_LONG: &str = "Forget which ways to a data connection worked.\n\nEvery client command remembers, \
        for each server and for the network it was reached from, which way to a data connection works and which do not, \
        so that the next run loses no time. Ways that failed are forgotten after a day, ways that worked thirty days after \
        they were last used. After a change in a firewall or NAT nothing needs to be forgotten: a remembered way that fails \
        costs one attempt. The text file is $XDG_STATE_HOME/wharf/ways or ~/.local/state/wharf/ways; no user name and no \
        password is in it.";

/// How data connections are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeArg {
    /// Try EPSV, PASV, then active, and keep what works
    #[default]
    Auto,
    /// The client connects: EPSV, else PASV
    Passive,
    /// The server connects: EPRT, else PORT
    Active,
    /// Only EPSV (RFC 2428)
    Epsv,
    /// Only PASV (RFC 959)
    Pasv,
    /// Only EPRT (RFC 2428)
    Eprt,
    /// Only PORT (RFC 959)
    Port,
}

/// Which address a passive data connection goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DataHostArg {
    /// The server of the control connection, whatever its reply says
    #[default]
    Peer,
    /// The address in the server's reply
    Reply,
}

/// Flags every client command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClientArgs {
    /// Data mode; `wharf help modes` explains
    #[arg(
        long,
        value_enum,
        value_name = "MODE",
        env = "WHARF_MODE",
        default_value_t,
        hide_possible_values = true,
        help_heading = "Data connections"
    )]
    pub(crate) mode: ModeArg,

    /// Passive: short for --mode passive
    #[arg(short, long, env = "WHARF_PASSIVE", help_heading = "Data connections")]
    pub(crate) passive: bool,

    /// Active: short for --mode active
    #[arg(
        short = 'A',
        long,
        env = "WHARF_ACTIVE",
        help_heading = "Data connections"
    )]
    pub(crate) active: bool,

    /// Address told to the server in active mode: the outer one behind a NAT with forwarded ports
    #[arg(
        long,
        value_name = "ADDR",
        env = "WHARF_ACTIVE_ADDR",
        help_heading = "Data connections"
    )]
    pub(crate) active_addr: Option<IpAddr>,

    /// Local ports for active mode [default: any]
    #[arg(long, value_name = "LO-HI", env = "WHARF_PORT_RANGE", value_parser = value::ports, help_heading = "Data connections")]
    pub(crate) port_range: Option<PortRange>,

    /// Where passive data connections go: `peer` (the server we talk to) or `reply` (what it says)
    #[arg(
        long,
        value_enum,
        value_name = "HOST",
        env = "WHARF_DATA_HOST",
        default_value_t,
        help_heading = "Data connections"
    )]
    pub(crate) data_host: DataHostArg,

    /// Longest wait for a data connection on one path [default: from the round trip time, 1.3s to 3s]
    #[arg(long, value_name = "TIME", env = "WHARF_DATA_TIMEOUT", value_parser = value::positive_duration, help_heading = "Data connections")]
    pub(crate) data_timeout: Option<Duration>,

    /// Neither use nor keep what is remembered about the server; `wharf forget` removes it
    #[arg(long, env = "WHARF_NO_MEMORY", help_heading = "Data connections")]
    pub(crate) no_memory: bool,

    #[command(flatten)]
    pub(crate) tls: TlsArgs,

    /// What the server writes names in: auto (UTF-8, other bytes as \xNN), gbk, sjis, cp1251, latin1, koi8-r, big5 ...
    #[arg(long, value_name = "NAME", env = "WHARF_CHARSET", value_parser = value::charset, default_value = "auto", help_heading = "Connection")]
    pub(crate) charset: value::CharsetArg,

    /// User, when the address names none
    #[arg(short, long, value_name = "NAME", env = "WHARF_USER", value_parser = super::user_name, help_heading = "Login")]
    pub(crate) user: Option<String>,

    /// File whose first line is the password
    #[arg(long, value_name = "FILE", env = "WHARF_PASSWORD_FILE", value_hint = ValueHint::FilePath, help_heading = "Login")]
    pub(crate) password_file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) secret: SecretArgs,

    /// File of logins [default: $NETRC or ~/.netrc]
    #[arg(long, value_name = "FILE", env = "WHARF_NETRC", value_hint = ValueHint::FilePath, help_heading = "Login")]
    pub(crate) netrc: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) via: ViaArgs,

    /// Only IPv4
    #[arg(short = '4', long, env = "WHARF_IPV4", help_heading = "Connection")]
    pub(crate) ipv4: bool,

    /// Only IPv6
    #[arg(short = '6', long, env = "WHARF_IPV6", help_heading = "Connection")]
    pub(crate) ipv6: bool,

    /// Longest wait for the control connection [default: 15s]
    #[arg(long, value_name = "TIME", env = "WHARF_CONNECT_TIMEOUT", value_parser = value::positive_duration, help_heading = "Connection")]
    pub(crate) connect_timeout: Option<Duration>,

    /// Longest silence: a reply that does not come, a transfer without a byte [default: 60s, 30s]
    #[arg(long, value_name = "TIME", env = "WHARF_TIMEOUT", value_parser = value::positive_duration, help_heading = "Connection")]
    pub(crate) timeout: Option<Duration>,

    /// Write a transcript of the dialogue to FILE (`-` is stderr), passwords masked
    #[arg(long, value_name = "FILE", env = "WHARF_TRACE", value_hint = ValueHint::FilePath, help_heading = "Messages")]
    pub(crate) trace: Option<PathBuf>,

    /// Draw the session on stderr as it runs: ports, and who opens which connection; with -v every command
    #[arg(long, env = "WHARF_LADDER", help_heading = "Messages")]
    pub(crate) ladder: bool,

    /// For programs: one JSON object a line, see docs/events.md; entries where a command lists, events elsewhere
    #[arg(long, env = "WHARF_JSON", help_heading = "Messages")]
    pub(crate) json: bool,

    /// Only errors and warnings
    #[arg(short, long, env = "WHARF_QUIET", help_heading = "Messages")]
    pub(crate) quiet: bool,

    /// Show the dialogue on stderr; -vv also what the program thinks
    #[arg(short, long, action = clap::ArgAction::Count, env = "WHARF_VERBOSE", help_heading = "Messages")]
    pub(crate) verbose: u8,
}

impl ClientArgs {
    /// Where the command's messages and events go; `data_on_stdout`: a listing or a file goes there.
    pub(crate) fn output(&self, data_on_stdout: bool) -> Output {
        let output = Output::new(self.quiet, self.verbose);
        match (self.json, data_on_stdout) {
            (false, _) => output,
            (true, false) => output.with_events(Place::Stdout),
            (true, true) => output.with_events(Place::Stderr),
        }
    }
}

/// Flags of `wharf cat`.
#[derive(Debug, Args)]
#[command(after_long_help = super::client_footer())]
pub(crate) struct CatArgs {
    /// Addresses: ftp://[user[:password]@]host[:port]/path
    #[arg(value_name = "URL", required = true, value_hint = ValueHint::Url)]
    pub(crate) urls: Vec<String>,

    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Flags of `wharf rm` and `wharf rmdir`.
#[derive(Debug, Args)]
#[command(after_long_help = super::client_footer())]
pub(crate) struct RemoveArgs {
    /// Addresses: ftp://[user[:password]@]host[:port]/path
    #[arg(value_name = "URL", required = true, value_hint = ValueHint::Url)]
    pub(crate) urls: Vec<String>,

    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Flags of `wharf mkdir`.
#[derive(Debug, Args)]
#[command(after_long_help = super::client_footer())]
pub(crate) struct MakeDirArgs {
    /// Addresses: ftp://[user[:password]@]host[:port]/dir
    #[arg(value_name = "URL", required = true, value_hint = ValueHint::Url)]
    pub(crate) urls: Vec<String>,

    /// Make missing parents, and do not mind if it is there
    #[arg(long, env = "WHARF_PARENTS")]
    pub(crate) parents: bool,

    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Flags of `wharf mv`.
#[derive(Debug, Args)]
#[command(after_long_help = super::client_footer())]
pub(crate) struct MoveArgs {
    /// What to rename: ftp://[user[:password]@]host[:port]/path
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) from: String,

    /// The new name: a pathname (relative to the directory of URL) or an address on the same server
    #[arg(value_name = "NEWPATH|URL")]
    pub(crate) to: String,

    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Flags of `wharf stat`.
#[derive(Debug, Args)]
#[command(after_long_help = super::client_footer())]
pub(crate) struct StatArgs {
    /// Addresses: ftp://[user[:password]@]host[:port]/path
    #[arg(value_name = "URL", required = true, value_hint = ValueHint::Url)]
    pub(crate) urls: Vec<String>,

    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Flags of `wharf forget`.
#[derive(Debug, Args)]
pub(crate) struct ForgetArgs {
    /// What to forget: HOST, HOST:PORT or an ftp:// address
    #[arg(value_name = "HOST|URL", required_unless_present = "all", value_hint = ValueHint::Hostname)]
    pub(crate) hosts: Vec<String>,

    /// Forget all servers
    // Without a variable: WHARF_ALL, set for `ls`, must not make this of `forget HOST`.
    #[arg(long, conflicts_with = "hosts")]
    pub(crate) all: bool,

    /// Only errors and warnings
    #[arg(short, long, env = "WHARF_QUIET")]
    pub(crate) quiet: bool,
}
