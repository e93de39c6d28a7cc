//! Flags of `wharf bookmark`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use crate::secret_program::Keyring;

pub(super) const BOOKMARK_LONG: &str = "\
Keep addresses under names.

A bookmark is written `bookmark:NAME` or `bookmark:NAME/path/below` wherever an address is. What it says besides (data mode, \
TLS, proxy and so on, see `wharf help profiles`) holds for its server. The file is \
$XDG_CONFIG_HOME/wharf/profiles.toml or ~/.config/wharf/profiles.toml and may be edited by hand. Passwords are never in it.";

/// `wharf bookmark`.
#[derive(Debug, Args)]
pub(crate) struct BookmarkArgs {
    #[command(subcommand)]
    pub(crate) command: BookmarkCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BookmarkCommand {
    /// Give an address a name
    Add {
        /// The name
        name: String,
        /// The address; a password in it goes to --keyring or nowhere
        #[arg(value_name = "URL", value_hint = ValueHint::Url)]
        url: String,
        /// What else holds for this server; may be repeated (`wharf help profiles`)
        #[arg(long, value_name = "KEY=VALUE", env = "WHARF_SET")]
        set: Vec<String>,
        #[command(flatten)]
        keep: KeepArgs,
    },
    /// List names and addresses
    List {
        /// One JSON object a line
        #[arg(long, env = "WHARF_JSON")]
        json: bool,
    },
    /// Show what the file says about one
    Show {
        /// The name
        name: String,
    },
    /// Remove bookmarks
    Remove {
        /// The names
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Take over another program's bookmarks
    Import {
        /// The program: lftp, ncftp, filezilla, winscp, netrc
        program: String,
        /// Its file [default: where that program keeps it]
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
        #[command(flatten)]
        keep: KeepArgs,
    },
    /// Print all bookmarks in the form of lftp's: a name and an address a line
    Export,
}

/// Where passwords go.
#[derive(Debug, Args)]
pub(crate) struct KeepArgs {
    /// Keyring that keeps the passwords: auto, secret-tool, pass; without it they are left out
    #[arg(long, value_name = "KEYRING", env = "WHARF_KEYRING")]
    pub(crate) keyring: Option<Keyring>,
}
