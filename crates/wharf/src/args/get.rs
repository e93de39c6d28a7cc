//! Flags of `wharf get`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use super::ClientArgs;

pub(super) const GET_LONG: &str = "Download files.\n\nA file is written as NAME.part and renamed when it is complete: \
        the byte count agrees with the size the server told and the server confirmed the transfer. \
        After an interruption the .part stays, and -c goes on from there; it reads the last bytes again and \
        refuses when they differ. A device or a pipe is written as it is.";

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

    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

impl GetArgs {
    /// Whether the files go to standard output.
    pub(crate) fn to_stdout(&self) -> bool {
        self.output.as_deref() == Some(Path::new("-"))
    }
}
