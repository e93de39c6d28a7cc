//! Flags of what an installation takes from the program itself: completions and manual pages.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use clap_complete::Shell;

pub(super) const COMPLETIONS_LONG: &str = "\
Print completions of the command line for a shell, to be put where it looks for them.

bash: /etc/bash_completion.d/wharf or ~/.local/share/bash-completion/completions/wharf; zsh: a file _wharf in a directory of \
$fpath; fish: ~/.config/fish/completions/wharf.fish; elvish: eval it in rc.elv; powershell: add it to $PROFILE.";

pub(super) const MAN_LONG: &str = "\
Print a manual page (man roff): wharf(1), or that of a command, wharf-get(1). With --install all of them are written into a \
directory, ftp(1) of the interactive client as wharf-ftp(1).

The pages are made from what the program knows about itself, so they are always those of this version.";

/// Flags of `wharf completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// bash, elvish, fish, powershell or zsh
    #[arg(value_name = "SHELL", value_enum, hide_possible_values = true)]
    pub(crate) shell: Shell,
}

/// Flags of `wharf man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The command whose page it is, without `wharf`
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Option<String>,

    /// Write every page into DIR instead, e.g. /usr/local/share/man/man1
    #[arg(long, value_name = "DIR", env = "WHARF_INSTALL", value_hint = ValueHint::DirPath, conflicts_with = "command")]
    pub(crate) install: Option<PathBuf>,
}
