//! Flags about users of this system.

use clap::Args;

use super::value::{self, Auth, Jail, Shells};

/// Who of the users of this system may log in, and what they see.
#[derive(Debug, Clone, Args)]
pub(crate) struct SystemArgs {
    /// Whose passwords are good: only those that this server keeps itself, or those of the system's users, too [default: own]
    ///
    /// With `system` a user of this system logs in with the password of /etc/shadow, and a process of its own
    /// that is this user (number, groups, nothing else) touches the files. Takes root and a sandbox. With `pam`
    /// PAM says whether a password is right and whether the user may log in today, in a build that has it
    /// (cargo build --release --features pam).
    #[arg(
        long,
        value_name = "WHOSE",
        env = "WHARF_AUTH",
        value_enum,
        help_heading = "Login"
    )]
    pub(crate) auth: Option<Auth>,

    /// The service as which PAM is asked, with --auth pam: the file /etc/pam.d/NAME [default: wharf]
    #[arg(
        long,
        value_name = "NAME",
        env = "WHARF_PAM_SERVICE",
        value_parser = value::pam_service,
        help_heading = "Login"
    )]
    pub(crate) pam_service: Option<String>,

    /// What a user of the system sees as /: the home directory, or DIR [default: home]
    #[arg(
        long,
        value_name = "WHAT",
        env = "WHARF_JAIL",
        value_enum,
        help_heading = "Login"
    )]
    pub(crate) jail: Option<Jail>,

    /// The lowest uid of a user of the system that may log in; root never may [default: 1000]
    #[arg(
        long,
        value_name = "UID",
        env = "WHARF_LEAST_UID",
        help_heading = "Login"
    )]
    pub(crate) least_uid: Option<u32>,

    /// Whether the shell of a user of the system must be in /etc/shells [default: listed]
    #[arg(
        long,
        value_name = "WHICH",
        env = "WHARF_SHELLS",
        value_enum,
        help_heading = "Login"
    )]
    pub(crate) shells: Option<Shells>,
}
