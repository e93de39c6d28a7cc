//! Flags about bans: those of `serve`, and `wharf ban`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};
use wharf_proto::data_connection::advertise::Network;

use super::value;

pub(super) const BAN_LONG: &str = "\
Show and change who is not let in.

The list is a file that every `wharf serve` with the same --ban-list shares: a running server sees a change \
within a second. Servers write into it whoever fails too often, with the time at which the ban ends; what is \
added here holds until --for is over, or until it is removed. Sessions that run already go on.

Exit status: 0 done, 64 wrong usage, 67 nothing to remove, 73 the list cannot be written, 78 the list is damaged.";

/// Flags of `serve` about bans.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct BanFlags {
    /// Failed logins from one address after which it is banned, 0 for never [default: 10]
    ///
    /// A failure counts half after ten minutes. The first ban lasts five minutes, each further one twice as
    /// long, up to a day. Users who have logged in from an address before are let in there all the same.
    #[arg(long, value_name = "N", env = "WHARF_BAN_AFTER", value_parser = clap::value_parser!(u32).range(0..=100_000), help_heading = "Limits")]
    pub(crate) ban_after: Option<u32>,

    /// File of bans, shared by servers and `wharf ban` [default: wharf/bans/list in the state directory]
    #[arg(long, value_name = "FILE", env = "WHARF_BAN_LIST", value_hint = ValueHint::FilePath, help_heading = "Limits")]
    pub(crate) ban_list: Option<PathBuf>,

    /// Network that is never banned, except by hand; may be repeated [default: this machine]
    #[arg(long, value_name = "NET", env = "WHARF_TRUSTED", value_parser = value::network, value_delimiter = ',', help_heading = "Limits")]
    pub(crate) trusted: Vec<Network>,
}

/// Flags of `wharf ban`.
#[derive(Debug, Args)]
pub(crate) struct BanArgs {
    #[command(subcommand)]
    pub(crate) command: BanCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BanCommand {
    /// List who is banned now
    List {
        #[command(flatten)]
        file: BanFile,
        /// One JSON object a line
        #[arg(long, env = "WHARF_JSON")]
        json: bool,
    },
    /// Ban addresses, networks or user names
    Add {
        #[command(flatten)]
        file: BanFile,
        #[command(flatten)]
        whom: Whom,
        /// How long; for ever if not said
        #[arg(long = "for", value_name = "TIME", env = "WHARF_FOR", value_parser = value::positive_duration)]
        lasts: Option<Duration>,
        /// Why, for whoever reads the list
        #[arg(
            long,
            value_name = "TEXT",
            env = "WHARF_REASON",
            default_value = "by hand"
        )]
        reason: String,
    },
    /// Let somebody in again
    #[command(alias = "rm")]
    Remove {
        #[command(flatten)]
        file: BanFile,
        #[command(flatten)]
        whom: Whom,
    },
}

/// Which file.
#[derive(Debug, Args)]
pub(crate) struct BanFile {
    /// The list [default: wharf/bans/list in the state directory]
    #[arg(long, value_name = "FILE", env = "WHARF_BAN_LIST", value_hint = ValueHint::FilePath)]
    pub(crate) ban_list: Option<PathBuf>,
}

/// Against whom.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Whom {
    /// Addresses or networks: 192.0.2.7, 2001:db8::/48
    #[arg(value_name = "ADDRESS|NET", value_parser = value::network)]
    pub(crate) clients: Vec<Network>,
    /// A user name instead; may be repeated
    #[arg(long = "user", value_name = "NAME", env = "WHARF_USER", value_parser = super::user_name)]
    pub(crate) users: Vec<String>,
}
