//! Flags of `wharf doctor`.

use std::time::Duration;

use clap::{Args, ValueHint};

use super::{ClientArgs, value};

pub(super) const DOCTOR_LONG: &str = "Find out why data connections do not come about, and who must act.\n\nLogs in, then \
        tries every way to a data connection, each with a listing and never with a file: EPSV, PASV, PORT and EPRT with this \
        machine's address, with the one the server sees, with a port of the router; over IPv4 and IPv6 where both \
        reach the server. Says for each what happened, then the cause, the side that must act, and the rule or setting to \
        add. --mode is of no account here: all of them are tried. The verdict comes within 8 seconds.\n\nWith --server on the server's own host: examines that host instead, see `wharf help exit-codes`. With \
        --listen on another host and --server --ask on the server, real connections prove or refute that clients reach \
        every port that is advertised.\n\nExit status: 0 when \
        some way works, findings or not; 7 when none does; 3, 4, 8, 11 or 14 when not even a session comes about, and the \
        report says why. With --server: 0 when nothing has to be done, 1 when something has; \
        with --listen: 0 when a server asked, 8 when none came.";

/// What is examined, and how it is told.
#[derive(Debug, Args)]
#[command(after_long_help = super::client_footer())]
pub(crate) struct DoctorArgs {
    /// The server to examine: ftp://[user[:password]@]host[:port]
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) url: Option<String>,

    /// Language of the firewall rules that are printed; `wharf firewall --help` lists them
    #[arg(
        long,
        value_name = "DIALECT",
        env = "WHARF_DIALECT",
        default_value = "nftables"
    )]
    pub(crate) dialect: String,

    /// Afterwards leave a control connection silent for TIME and see whether a NAT forgets it
    #[arg(long, value_name = "TIME", env = "WHARF_IDLE", num_args = 0..=1, default_missing_value = "6m", value_parser = value::positive_duration)]
    pub(crate) idle: Option<Duration>,

    #[command(flatten)]
    pub(crate) host: super::doctor_host::HostArgs,

    #[command(flatten)]
    pub(crate) client: ClientArgs,
}
