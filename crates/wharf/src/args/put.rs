//! Flags of `wharf put`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::ClientArgs;
use super::transfer::TransferArgs;

pub(super) const PUT_LONG: &str = "Upload files.\n\nAn address that ends in `/` is a directory and takes the files under \
        their own names; any other address names the file to be written and takes one FILE. `-` is \
        standard input, and a pipe may be named, too.";

fn suffix(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(['/', '\\']) || text.chars().any(char::is_control) {
        return Err("expected the end of a file name, e.g. .part".to_owned());
    }
    Ok(text.to_owned())
}

/// Flags of `wharf put`.
#[derive(Debug, Args)]
#[command(
    override_usage = "wharf put [OPTIONS] FILE... URL",
    after_long_help = super::client_footer()
)]
pub(crate) struct PutArgs {
    /// Files (`-` is standard input), then the address: ftp://[user[:password]@]host[:port]/dir/
    #[arg(value_name = "FILE|URL", required = true, num_args = 2.., value_hint = ValueHint::AnyPath)]
    pub(crate) files: Vec<PathBuf>,

    /// Go on where a broken upload stopped: the server's size says where
    #[arg(short, long, env = "WHARF_CONTINUE")]
    pub(crate) r#continue: bool,

    /// Send under another name, its own and SUFFIX (e.g. .part), and rename when it is whole: nobody sees half a file
    #[arg(long, value_name = "SUFFIX", env = "WHARF_TEMP_SUFFIX", value_parser = suffix)]
    pub(crate) temp_suffix: Option<String>,

    #[command(flatten)]
    pub(crate) transfer: TransferArgs,

    #[command(flatten)]
    pub(crate) client: ClientArgs,
}
