//! Flags that `wharf get` and `wharf put` share: how often something is tried, how long and how fast.

use std::num::NonZeroU64;
use std::time::Duration;

use clap::{Args, ValueEnum};
use wharf_client::Verify;

use super::value;

/// Attempts, time and rate.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TransferArgs {
    /// Try again so often after a failure that may pass, or `forever`; whoever gets further begins to count anew
    /// [default: 5, and a first connection that fails is not tried again]
    #[arg(long, value_name = "N", env = "WHARF_RETRY", value_parser = value::retries, help_heading = "Transfer")]
    pub(crate) retry: Option<Retries>,

    /// Wait so long before the second attempt; it doubles up to a minute [default: 1s]
    #[arg(long, value_name = "TIME", env = "WHARF_RETRY_DELAY", value_parser = value::duration, help_heading = "Transfer")]
    pub(crate) retry_delay: Option<Duration>,

    /// Give up when everything together has taken so long [default: never]
    #[arg(long, value_name = "TIME", env = "WHARF_MAX_TIME", value_parser = value::positive_duration, help_heading = "Transfer")]
    pub(crate) max_time: Option<Duration>,

    /// Compare with a digest that the server computes (HASH, XSHA256, XCRC...): where the copy was resumed or made over
    /// several connections (auto), always, or compare sizes only
    #[arg(
        long,
        value_enum,
        value_name = "HOW",
        env = "WHARF_VERIFY",
        default_value_t,
        help_heading = "Transfer"
    )]
    pub(crate) verify: VerifyArg,

    /// Bytes a second for all connections together: 100k, 2M; SIGUSR1 makes it a quarter faster, SIGUSR2 slower
    #[arg(long, value_name = "RATE", env = "WHARF_LIMIT_RATE", value_parser = value::rate, help_heading = "Transfer")]
    pub(crate) limit_rate: Option<NonZeroU64>,
}

/// How copies are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum VerifyArg {
    /// By a digest where there is doubt and the server tells one
    #[default]
    Auto,
    /// By a digest; a server that tells none is an error
    Always,
    /// By their sizes
    Size,
}

impl From<VerifyArg> for Verify {
    fn from(arg: VerifyArg) -> Self {
        match arg {
            VerifyArg::Auto => Self::Auto,
            VerifyArg::Always => Self::Always,
            VerifyArg::Size => Self::Size,
        }
    }
}

/// A number of repetitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retries {
    /// So many.
    Times(u32),
    /// Until it works.
    Forever,
}
