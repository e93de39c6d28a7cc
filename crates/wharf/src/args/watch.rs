//! Flags of `wharf watch`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::mirror::MirrorHow;
use super::{ClientArgs, value};

pub(super) const WATCH_LONG: &str = "Keep DST like a directory of this machine while that changes.\n\n\
        It is mirrored once as a whole (see `wharf mirror`), then the system tells which directories change, and these are mirrored \
        when nothing has happened in them for a moment. What is removed goes at DST only with --delete. When the system lost \
        track, or the server was away, all of it is compared again. Ctrl-C ends it, with status 0.";

/// Flags of `wharf watch`.
#[derive(Debug, Args)]
#[command(
    override_usage = "wharf watch [OPTIONS] DIR DST",
    after_long_help = super::client_footer()
)]
pub(crate) struct WatchArgs {
    /// The directory that is watched
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) directory: PathBuf,

    /// What is kept like it: ftp://[user[:password]@]host[:port]/dir/, or a directory
    #[arg(value_name = "DST", value_hint = ValueHint::Url)]
    pub(crate) destination: PathBuf,

    /// How long nothing must happen before a change is carried over
    #[arg(long, value_name = "TIME", env = "WHARF_SETTLE", value_parser = value::duration, default_value = "500ms")]
    pub(crate) settle: Duration,

    #[command(flatten)]
    pub(crate) how: MirrorHow,

    #[command(flatten)]
    pub(crate) client: ClientArgs,
}
