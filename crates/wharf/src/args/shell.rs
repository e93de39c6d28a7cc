//! Flags of `wharf shell`: those of lftp, and those about connections that every client command has.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use wharf_proto::data_connection::passive::PortRange;

use super::client::{DataHostArg, ModeArg};
use super::tls::TlsArgs;
use super::value;
use super::via::ViaArgs;

pub(super) const SHELL_LONG: &str = "\
The everyday language of lftp, at a prompt or from a script.

  wharf shell ftp://me@host/dir         a prompt; `help` lists the commands
  wharf -c 'open host; get file'        do this and end
  wharf shell -e 'cd pub' host          do this, then read on from the prompt or standard input
  wharf shell -f FILE                   do what stands in FILE and end

Under the name `lftp` (a symbolic link is enough) the program takes the same flags. docs/shell.md has the commands \
and the settings.";

const SHELL_AFTER: &str = "\
Exit status: that of the last command that failed and that no `||` followed, jobs in the background \
included; with --classic-exit that of the last command (`wharf help exit-codes`).";

/// Flags of `wharf shell`.
#[derive(Debug, Args)]
#[command(after_help = SHELL_AFTER)]
pub(crate) struct ShellArgs {
    /// Host or address to open first
    #[arg(value_name = "HOST|URL", value_hint = ValueHint::Url)]
    pub(crate) place: Option<String>,

    /// Do these commands and end
    #[arg(short, long, value_name = "COMMANDS", env = "WHARF_COMMAND", conflicts_with_all = ["first", "file"])]
    pub(crate) command: Option<String>,

    /// Do these commands first, then read on
    #[arg(short = 'e', long, value_name = "COMMANDS", env = "WHARF_FIRST")]
    pub(crate) first: Option<String>,

    /// Do the commands in FILE and end; `-` is standard input
    #[arg(short, long, value_name = "FILE", env = "WHARF_FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,

    /// User, and a password that everybody on this machine can see; better in ~/.netrc
    #[arg(
        short = 'u',
        long = "login",
        value_name = "USER[,PASS]",
        env = "WHARF_LOGIN",
        hide_env_values = true
    )]
    pub(crate) login: Option<String>,

    /// Port of HOST
    #[arg(short, long, value_name = "PORT", env = "WHARF_PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,

    /// Show the dialogue with the server
    #[arg(short, long, value_name = "LEVEL", env = "WHARF_DEBUG", num_args = 0..=1, default_missing_value = "3", require_equals = true)]
    pub(crate) debug: Option<u8>,

    /// Do not begin with the commands in ~/.config/wharf/rc
    #[arg(long, env = "WHARF_NORC")]
    pub(crate) norc: bool,

    /// The status at the end is that of the last command, as in lftp
    #[arg(long, env = "WHARF_CLASSIC_EXIT")]
    pub(crate) classic_exit: bool,

    /// Passive data connections only
    #[arg(long, env = "WHARF_PASSIVE", help_heading = "Data connections")]
    pub(crate) passive: bool,

    /// Active data connections only
    #[arg(
        short = 'A',
        long,
        env = "WHARF_ACTIVE",
        help_heading = "Data connections"
    )]
    pub(crate) active: bool,

    /// Data mode: auto, passive, active, epsv, pasv, eprt, port
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

    /// Address told to the server in active mode
    #[arg(
        long,
        value_name = "ADDR",
        env = "WHARF_ACTIVE_ADDR",
        help_heading = "Data connections"
    )]
    pub(crate) active_addr: Option<IpAddr>,

    /// Local ports for active mode
    #[arg(long, value_name = "LO-HI", env = "WHARF_PORT_RANGE", value_parser = value::ports, help_heading = "Data connections")]
    pub(crate) port_range: Option<PortRange>,

    /// Where passive data connections go: peer or reply
    #[arg(
        long,
        value_enum,
        value_name = "HOST",
        env = "WHARF_DATA_HOST",
        default_value_t,
        help_heading = "Data connections"
    )]
    pub(crate) data_host: DataHostArg,

    /// Neither use nor keep what is remembered about servers
    #[arg(long, env = "WHARF_NO_MEMORY", help_heading = "Data connections")]
    pub(crate) no_memory: bool,

    #[command(flatten)]
    pub(crate) tls: TlsArgs,

    #[command(flatten)]
    pub(crate) via: ViaArgs,

    /// File whose first line is the password
    #[arg(long, value_name = "FILE", env = "WHARF_PASSWORD_FILE", value_hint = ValueHint::FilePath, help_heading = "Login")]
    pub(crate) password_file: Option<PathBuf>,

    /// File of logins [default: $NETRC or ~/.netrc]
    #[arg(long, value_name = "FILE", env = "WHARF_NETRC", value_hint = ValueHint::FilePath, help_heading = "Login")]
    pub(crate) netrc: Option<PathBuf>,

    /// Only IPv4
    #[arg(short = '4', long, env = "WHARF_IPV4", help_heading = "Connection")]
    pub(crate) ipv4: bool,

    /// Only IPv6
    #[arg(short = '6', long, env = "WHARF_IPV6", help_heading = "Connection")]
    pub(crate) ipv6: bool,

    /// Longest silence: a reply that does not come, a transfer without a byte [default: 60s, 30s]
    #[arg(long, value_name = "TIME", env = "WHARF_TIMEOUT", value_parser = value::positive_duration, help_heading = "Connection")]
    pub(crate) timeout: Option<Duration>,

    /// Write a transcript of the dialogue to FILE (`-` is stderr), passwords masked
    #[arg(long, value_name = "FILE", env = "WHARF_TRACE", value_hint = ValueHint::FilePath, help_heading = "Messages")]
    pub(crate) trace: Option<PathBuf>,

    /// Only errors and warnings
    #[arg(short, long, env = "WHARF_QUIET", help_heading = "Messages")]
    pub(crate) quiet: bool,

    /// Show the dialogue on stderr; -vv also what the program thinks
    #[arg(short, long, action = clap::ArgAction::Count, env = "WHARF_VERBOSE", help_heading = "Messages")]
    pub(crate) verbose: u8,
}
