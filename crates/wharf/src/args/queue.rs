//! Flags of `wharf queue`.

use std::num::NonZeroUsize;

use clap::{Args, Subcommand};

pub(super) const QUEUE_LONG: &str = "Transfers that are to happen, kept until they have.\n\n\
        `wharf queue add get|put|mirror ...` writes a command down, `wharf queue run` carries out what is there, several \
        at once, each with -c, and again later when what failed may pass. The list survives a crash and a reboot: it is \
        $XDG_STATE_HOME/wharf/queue or ~/.local/state/wharf/queue, one JSON object a line. Passwords are not in it: an \
        address with one is refused; they come from ~/.netrc or --password-file when the command runs.";

/// Flags of `wharf queue`.
#[derive(Debug, Args)]
pub(crate) struct QueueArgs {
    #[command(subcommand)]
    pub(crate) command: QueueCommand,

    /// Only errors and warnings
    #[arg(short, long, env = "WHARF_QUIET", global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// Add a command: get, put or mirror, with its flags
    Add {
        /// The command as it would be typed behind `wharf`
        #[arg(
            value_name = "COMMAND",
            required = true,
            num_args = 1..,
            trailing_var_arg = true,
            allow_hyphen_values = true
        )]
        words: Vec<String>,
    },
    /// List what is there
    List {
        /// One JSON object a line
        #[arg(long, env = "WHARF_JSON")]
        json: bool,
    },
    /// Carry out what waits, until nothing does
    Run {
        /// So many at once
        #[arg(short, long, value_name = "N", env = "WHARF_JOBS", default_value = "1")]
        jobs: NonZeroUsize,

        /// Try each again so often when what failed may pass
        #[arg(
            long,
            value_name = "N",
            env = "WHARF_QUEUE_RETRY",
            default_value_t = 10
        )]
        queue_retry: u32,
    },
    /// Let some wait, or all; what runs stops and goes on later
    Pause {
        /// Numbers that `list` shows; none: all
        #[arg(value_name = "NUMBER")]
        numbers: Vec<u64>,
    },
    /// Let them run again, also those that have failed
    Resume {
        /// Numbers that `list` shows; none: all
        #[arg(value_name = "NUMBER")]
        numbers: Vec<u64>,
    },
    /// Remove some
    Remove {
        /// Numbers that `list` shows
        #[arg(value_name = "NUMBER", required_unless_present = "all")]
        numbers: Vec<u64>,

        /// All of them
        // Without a variable: WHARF_ALL, set for `ls`, must not empty the queue.
        #[arg(long, conflicts_with = "numbers")]
        all: bool,
    },
}
