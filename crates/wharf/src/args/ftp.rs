//! Flags of the interactive client: those that `ftp` has had for forty years, with long names added.
//!
//! Every flag of tnftp, inetutils, netkit (ftp-ssl) and OpenBSD is here. Those that are about HTTP only are taken and do
//! nothing, under a heading that says so. `-V` is "quiet" as in the BSD ftp, not "version" as in
//! inetutils: use `--version`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser, ValueHint};
use wharf_proto::data_connection::passive::PortRange;

use super::client::{DataHostArg, ModeArg};
use super::secret::SecretArgs;
use super::tls::TlsArgs;
use super::via::ViaArgs;
use super::{ssl, value};
use crate::shell::quantity;

pub(super) const FTP_LONG: &str = "\
Interactive FTP client.

  ftp host [port]              connect and log in
  ftp host:path/               the same, then change to the directory
  ftp host:path                download and end, as with an address
  ftp ftp://host/file          download and end; an address ending in / opens a session there
  ftp -u ftp://host/dir/ file  upload and end

Commands are read from standard input, with a prompt on a terminal; `help` lists them. Type is binary \
unless `ascii` is given. Data connections find their own way (passive, then active) unless -p or -A \
is given; started as `pftp` the client is passive.";

const FTP_AFTER: &str = "\
Exit status: with addresses the position of the first one that failed, else 0; with commands from a \
pipe or file the status of the first command that failed (`wharf help exit-codes`), unless \
--classic-exit is given; with commands from a terminal 0. --strict makes it the kind of failure with addresses, too.";

/// Interactive FTP client
#[derive(Debug, Clone, Parser)]
#[command(
    name = "ftp",
    version,
    disable_version_flag = true,
    disable_help_flag = true,
    override_usage = "ftp [OPTIONS] [HOST [PORT]]\n       ftp [OPTIONS] URL...\n       ftp [OPTIONS] -u URL FILE...",
    long_about = FTP_LONG,
    after_help = FTP_AFTER,
    max_term_width = 100
)]
pub(crate) struct FtpArgs {
    /// Host and port to connect to, host:path, or addresses to download
    #[arg(value_name = "HOST|PORT|URL|FILE", value_hint = ValueHint::Hostname)]
    pub(crate) places: Vec<String>,

    /// Passive data connections only
    #[arg(short, long, env = "WHARF_PASSIVE")]
    pub(crate) passive: bool,

    /// Active data connections only
    #[arg(short = 'A', long, env = "WHARF_ACTIVE")]
    pub(crate) active: bool,

    /// Data mode: auto, passive, active, epsv, pasv, eprt, port
    #[arg(
        long,
        value_enum,
        value_name = "MODE",
        env = "WHARF_MODE",
        default_value_t,
        hide_possible_values = true
    )]
    pub(crate) mode: ModeArg,

    /// Address told to the server in active mode
    #[arg(long, value_name = "ADDR", env = "WHARF_ACTIVE_ADDR")]
    pub(crate) active_addr: Option<IpAddr>,

    /// Local ports for active mode
    #[arg(long, value_name = "LO-HI", env = "WHARF_PORT_RANGE", value_parser = value::ports)]
    pub(crate) port_range: Option<PortRange>,

    /// Where passive data connections go: peer or reply
    #[arg(
        long,
        value_enum,
        value_name = "HOST",
        env = "WHARF_DATA_HOST",
        default_value_t
    )]
    pub(crate) data_host: DataHostArg,

    /// Neither use nor keep what is remembered about the server
    #[arg(long, env = "WHARF_NO_MEMORY")]
    pub(crate) no_memory: bool,

    #[command(flatten)]
    pub(crate) tls: TlsArgs,

    #[command(flatten)]
    pub(crate) via: ViaArgs,

    /// Only IPv4
    #[arg(short = '4', long, env = "WHARF_IPV4")]
    pub(crate) ipv4: bool,

    /// Only IPv6
    #[arg(short = '6', long, env = "WHARF_IPV6")]
    pub(crate) ipv6: bool,

    /// Anonymous login
    #[arg(short, long, env = "WHARF_ANONYMOUS")]
    pub(crate) anonymous: bool,

    /// No automatic login: `user` does it
    #[arg(short, long, env = "WHARF_NO_LOGIN")]
    pub(crate) no_login: bool,

    /// Do not ask for each file in mget, mput and mdelete
    #[arg(short = 'i', long, env = "WHARF_NO_PROMPT")]
    pub(crate) no_prompt: bool,

    /// No wildcards in mget, mput and mdelete
    #[arg(short = 'g', long, env = "WHARF_NO_GLOB")]
    pub(crate) no_glob: bool,

    /// No line editing: neither history nor completion
    #[arg(short = 'e', long, env = "WHARF_NO_EDIT")]
    pub(crate) no_edit: bool,

    /// Show the server's replies, which is the default on a terminal
    #[arg(short, long, env = "WHARF_VERBOSE")]
    pub(crate) verbose: bool,

    /// Quiet: no replies, no progress
    #[arg(short = 'V', long, env = "WHARF_QUIET")]
    pub(crate) quiet: bool,

    /// Show the commands sent, too
    #[arg(short, long, env = "WHARF_DEBUG")]
    pub(crate) debug: bool,

    /// Show data connections, too
    #[arg(short = 't', long, env = "WHARF_PACKET_TRACE")]
    pub(crate) packet_trace: bool,

    /// Write a transcript of the dialogue to FILE, passwords masked
    #[arg(long, value_name = "FILE", env = "WHARF_TRACE", value_hint = ValueHint::FilePath)]
    pub(crate) trace: Option<PathBuf>,

    /// With addresses: write to FILE; `-` is standard output, `|command` a program
    #[arg(short, long, value_name = "FILE", env = "WHARF_OUTPUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,

    /// With addresses: go on where an earlier download stopped
    #[arg(short = 'R', short_alias = 'C', long, env = "WHARF_RESTART")]
    pub(crate) restart: bool,

    /// Try again every SECONDS until a connection comes about
    // Not `retry`: that is a number of attempts everywhere else, and its variable would be taken for seconds.
    #[arg(short = 'r', long, value_name = "SECONDS", env = "WHARF_RETRY_CONNECT")]
    pub(crate) retry_connect: Option<u64>,

    /// How fast transfers may be: get, put or all, bytes a second, and by how much SIGUSR1 and SIGUSR2 change it; may be
    /// repeated
    #[arg(short = 'T', long, value_name = "DIR,MAX[,STEP]", env = "WHARF_THROTTLE", value_delimiter = ' ', value_parser = quantity::Wanted::of_argument)]
    pub(crate) throttle: Vec<quantity::Wanted>,

    /// Size of socket buffers in bytes: 65536, 256k
    #[arg(short = 'x', short_alias = 'b', long, value_name = "SIZE", env = "WHARF_SOCKET_BUFFER", value_parser = quantity::bytes_of_argument)]
    pub(crate) socket_buffer: Option<u64>,

    /// Neither EPSV nor EPRT
    #[arg(short = 'E', long, env = "WHARF_NO_EPSV")]
    pub(crate) no_epsv: bool,

    /// Connect through the gate that FTPSERVER names, as gate-ftp does
    #[arg(long, env = "WHARF_GATE")]
    pub(crate) gate: bool,

    /// No progress bars
    #[arg(
        short = 'M',
        long,
        env = "WHARF_NO_PROGRESS",
        overrides_with = "progress"
    )]
    pub(crate) no_progress: bool,

    /// Progress bars, which is the default on a terminal
    #[arg(
        short = 'm',
        long,
        env = "WHARF_PROGRESS",
        overrides_with = "no_progress"
    )]
    pub(crate) progress: bool,

    /// Show the prompt although standard input is no terminal; TEXT replaces it
    #[arg(long, value_name = "TEXT", env = "WHARF_PROMPT", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(crate) prompt: Option<String>,

    /// Give up connecting after SECONDS
    #[arg(short = 'w', long, value_name = "SECONDS", env = "WHARF_CONNECT_TIMEOUT", value_parser = value::positive_duration)]
    pub(crate) connect_timeout: Option<Duration>,

    /// An option of ftp-ssl: nossl, secure, verify=0|1, cacert=FILE, cert=FILE, key=FILE; may be repeated
    #[arg(short = 'z', short_alias = 'S', long, value_name = "OPTION", env = "WHARF_SSL", value_delimiter = ',', value_parser = ssl::SslWord::read)]
    pub(crate) ssl: Vec<ssl::SslWord>,

    /// Only for scripts that say it: the cache of HTTP proxies is not asked, for FTP does not go through them
    #[arg(
        short = 'f',
        long,
        env = "WHARF_FORCE_RELOAD",
        help_heading = "Without effect"
    )]
    pub(crate) force_reload: bool,

    /// Only for scripts that say it: the control connection is kept awake anyway
    #[arg(
        short = 'k',
        long,
        value_name = "SECONDS",
        env = "WHARF_KEEP_ALIVE",
        help_heading = "Without effect"
    )]
    pub(crate) keep_alive: Option<u64>,

    /// Only for scripts that say it: a file of HTTP cookies
    #[arg(
        short = 'c',
        long,
        value_name = "FILE",
        env = "WHARF_COOKIES",
        help_heading = "Without effect"
    )]
    pub(crate) cookies: Option<PathBuf>,

    /// Only for scripts that say it: a title of progress bars
    #[arg(
        short = 'D',
        long,
        value_name = "TITLE",
        env = "WHARF_TITLE",
        help_heading = "Without effect"
    )]
    pub(crate) title: Option<String>,

    /// Only for scripts that say it: the name that HTTP servers are told
    #[arg(
        short = 'U',
        long,
        value_name = "NAME",
        env = "WHARF_USER_AGENT",
        help_heading = "Without effect"
    )]
    pub(crate) user_agent: Option<String>,

    /// Upload the files named as arguments to this address
    #[arg(short, long, value_name = "URL", env = "WHARF_UPLOAD", value_hint = ValueHint::Url)]
    pub(crate) upload: Option<String>,

    /// Port, when none is given
    #[arg(short = 'P', long, value_name = "PORT", env = "WHARF_PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,

    /// Give up when nothing moves for SECONDS
    #[arg(short = 'q', long, value_name = "SECONDS", env = "WHARF_STALL_TIMEOUT", value_parser = value::positive_duration)]
    pub(crate) stall_timeout: Option<Duration>,

    /// Local address of every connection
    #[arg(short = 's', long, value_name = "ADDR", env = "WHARF_LOCAL_ADDR")]
    pub(crate) local_addr: Option<IpAddr>,

    #[command(flatten)]
    pub(crate) secret: SecretArgs,

    /// File of logins [default: $NETRC or ~/.netrc]
    #[arg(short = 'N', long, value_name = "FILE", env = "WHARF_NETRC", value_hint = ValueHint::FilePath)]
    pub(crate) netrc: Option<PathBuf>,

    /// User, when the address names none
    #[arg(long, value_name = "NAME", env = "WHARF_USER", value_parser = super::user_name)]
    pub(crate) user: Option<String>,

    /// File whose first line is the password
    #[arg(long, value_name = "FILE", env = "WHARF_PASSWORD_FILE", value_hint = ValueHint::FilePath)]
    pub(crate) password_file: Option<PathBuf>,

    /// Always end with status 0, as other ftp programs do in scripts
    #[arg(long, env = "WHARF_CLASSIC_EXIT")]
    pub(crate) classic_exit: bool,

    /// End with the kind of failure as status, not with the position of the address that failed (`wharf help exit-codes`)
    #[arg(long, env = "WHARF_STRICT", conflicts_with = "classic_exit")]
    pub(crate) strict: bool,

    /// Print help
    #[arg(short = 'h', short_alias = '?', long, action = ArgAction::Help)]
    help: Option<bool>,

    /// Print version
    #[arg(long, action = ArgAction::Version)]
    version: Option<bool>,
}
