//! Flags about passwords, the same for every client command. None of them takes a password: arguments can be read by every
//! user of a machine.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::secret_program::Keyring;

/// Flags about passwords.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SecretArgs {
    /// The first line of standard input is the password
    #[arg(long, env = "WHARF_PASSWORD_STDIN", conflicts_with_all = ["password_file", "password_command"], help_heading = "Login")]
    pub(crate) password_stdin: bool,

    /// Command (for sh) whose first line of output is the password
    #[arg(
        long,
        value_name = "COMMAND",
        env = "WHARF_PASSWORD_COMMAND",
        conflicts_with = "password_file",
        help_heading = "Login"
    )]
    pub(crate) password_command: Option<String>,

    /// Program that asks for the password: gets the question as its argument, prints the answer
    #[arg(long, value_name = "PROGRAM", env = "WHARF_ASKPASS", value_hint = ValueHint::CommandName, help_heading = "Login")]
    pub(crate) askpass: Option<PathBuf>,

    /// Keyring in which the password is looked up: auto, secret-tool, pass, security
    #[arg(
        long,
        value_name = "KEYRING",
        env = "WHARF_KEYRING",
        help_heading = "Login"
    )]
    pub(crate) keyring: Option<Keyring>,
}
