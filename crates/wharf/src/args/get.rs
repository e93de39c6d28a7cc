//! Flags of `wharf get`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use super::ClientArgs;
use super::transfer::TransferArgs;

pub(super) const GET_LONG: &str = "Download files.\n\nA file is written as NAME.part and renamed when it is complete: \
        the byte count agrees with the size the server told and the server confirmed the transfer. \
        After an interruption the .part stays, and -c goes on from there; it reads the last bytes again and \
        refuses when they differ. A device or a pipe is written as it is.\n\n\
        What may pass (a stall of 30 seconds, a lost connection, a busy server) is tried again up to five times and \
        goes on where it stopped.\n\n\
        With -n several connections share a file. NAME.part.journal then says which parts are there; every place \
        where two connections met is compared before the file gets its name. Where the server allows fewer \
        connections, fewer are used.";

/// Flags of `wharf get`.
#[derive(Debug, Args)]
#[command(after_long_help = super::client_footer())]
pub(crate) struct GetArgs {
    /// Addresses: ftp://[user[:password]@]host[:port]/path
    #[arg(value_name = "URL", required = true, value_hint = ValueHint::Url)]
    pub(crate) urls: Vec<String>,

    /// Write to FILE; `-` is standard output
    #[arg(short, long, value_name = "FILE", env = "WHARF_OUTPUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,

    /// Write into DIR under the names on the server; made if it is missing
    #[arg(short = 'O', long, value_name = "DIR", env = "WHARF_OUTPUT_DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output_dir: Option<PathBuf>,

    /// Go on where a broken download stopped
    #[arg(short, long, env = "WHARF_CONTINUE")]
    pub(crate) r#continue: bool,

    /// Fetch each file over up to N connections at once; what an interruption leaves is gone on with by -c
    #[arg(short = 'n', long, value_name = "N", env = "WHARF_SEGMENTS", value_parser = segments)]
    pub(crate) segments: Option<NonZeroUsize>,

    /// Compare with the sums in FILE: the output of sha256sum, md5sum and their like, or SFV; a file that is not in it fails
    #[arg(long, value_name = "FILE", env = "WHARF_SUMS", value_hint = ValueHint::FilePath)]
    pub(crate) sums: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) transfer: TransferArgs,

    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// More than these cost a server more than they win.
const MOST_SEGMENTS: usize = 32;

fn segments(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().and_then(NonZeroUsize::new);
    number
        .filter(|it| it.get() <= MOST_SEGMENTS)
        .ok_or_else(|| format!("expected a number from 1 to {MOST_SEGMENTS}"))
}

impl GetArgs {
    /// Whether the files go to standard output.
    pub(crate) fn to_stdout(&self) -> bool {
        self.output.as_deref() == Some(Path::new("-"))
    }
}
