//! Flags of `wharf doctor` for the server's own host and for a helper elsewhere.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, FromArgMatches, ValueHint};

use super::{ServeArgs, value};

/// Without an address.
#[derive(Debug, Args)]
pub(crate) struct HostArgs {
    /// Examine this host as a server: sockets, firewall rules, routes, told address
    // Says what is done, not how: no variable.
    #[arg(long, conflicts_with_all = ["url", "listen_for"], help_heading = "On the server")]
    pub(crate) server: bool,

    /// With --server: the configuration that `wharf serve` is started with
    #[arg(long, value_name = "FILE", env = "WHARF_CONFIG", value_hint = ValueHint::FilePath, help_heading = "On the server")]
    pub(crate) config: Option<PathBuf>,

    /// With --server: let the wharf that listens at HOST connect back to every advertised port (`wharf doctor
    /// --listen` there prints the token)
    #[arg(long, num_args = 2, value_names = ["HOST[:PORT]", "TOKEN"], requires = "server", help_heading = "On the server")]
    pub(crate) ask: Option<Vec<String>>,

    /// Wait for a server that asks, print the token that it needs, connect back to it, and end
    #[arg(long = "listen", id = "listen_for", value_name = "ADDR:PORT", num_args = 0..=1, default_missing_value = ":2120", value_parser = value::listen, conflicts_with = "url", help_heading = "Elsewhere, for a server")]
    pub(crate) listen: Option<SocketAddr>,

    /// With --listen: how long to wait
    #[arg(long, value_name = "TIME", env = "WHARF_WAIT", default_value = "10m", value_parser = value::positive_duration, help_heading = "Elsewhere, for a server")]
    pub(crate) wait: Duration,

    /// With --server: flags of `wharf serve` that are used besides its configuration
    #[arg(last = true, value_name = "SERVE FLAGS")]
    pub(crate) serve: Vec<OsString>,
}

impl HostArgs {
    /// The arguments of `wharf serve`, as its own command line and environment would give them.
    pub(crate) fn serve_args(&self) -> Result<ServeArgs, clap::Error> {
        let command = ServeArgs::augment_args(clap::Command::new("wharf doctor --server --"));
        let command = super::lenient_switches(command.no_binary_name(true));
        let mut words = self.serve.clone();
        if let Some(config) = &self.config {
            words.extend([OsString::from("--config"), config.clone().into_os_string()]);
        }
        let matches = command.try_get_matches_from(words)?;
        ServeArgs::from_arg_matches(&matches)
    }
}
