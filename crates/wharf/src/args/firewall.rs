//! Flags of `wharf firewall`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum, ValueHint};
use wharf_firewall::{DIALECTS, Dialect, Side};
use wharf_proto::data_connection::advertise::Network;
use wharf_proto::data_connection::passive::PortRange;

use super::value::{self, OnePort};

pub(super) const FIREWALL_LONG: &str = "\
Print the firewall rules that FTP needs: no more than that, in many dialects.

What must pass follows from who stands where (--side) and what is offered: the server's own settings \
(--config, the file of `wharf serve`) or flags. Rules go to standard output and can be loaded as they \
are, notes go to standard error. With --explain every rule has a comment that says which step of \
which data mode needs it.

The rules stand beside those of others: what is not FTP's is not touched, and FTP's own ports are closed \
for whoever is not meant. With --complete they are all rules there are: everything else is dropped, \
SSH included.

--apply nftables loads the rules on this host, in a table of their own (`inet wharf`) that is replaced as \
one transaction; nobody else's rules are changed. It shows the rules and asks before. --check compares with \
what is loaded: whether what the deployment needs is let in, by whatever rules; what is wider than needed \
is a warning.

Sides: server (the host of the server), server-gateway (the router in front of it: with --inside a \
NAT), client (the host of a client), client-gateway (the router in front of clients). On the client's side \
passive data connections are assumed unless --modes or --helper say otherwise; they only need outgoing \
connections.";

const FIREWALL_EXAMPLES: &str = "\
Examples:
  wharf firewall --dialect nftables                        what `wharf serve` needs without any flag
  wharf firewall --dialect ufw --config /etc/wharf/wharf.toml
  wharf firewall --dialect nftables --one-port on --modes passive      port 21 and nothing else
  wharf firewall --dialect iptables --side server-gateway --server 203.0.113.1 --inside 10.0.0.2
  wharf firewall --dialect nftables --side client --server 203.0.113.5 --modes active \\
        --client-ports 45100-45109 --explain
  wharf firewall --dialect pf --side client-gateway --clients 192.168.1.0/24 --helper
  sudo wharf firewall --config wharf.toml --apply nftables
  sudo wharf firewall --config wharf.toml --check

Exit status: 0 done, or --check found what is needed; 1 --check found a difference, or the
question of --apply was answered with no; 2 wrong usage, or the dialect has no words for it;
69 nft is missing or refuses the rules; 77 permission missing (root); 78 the configuration is wrong.";

/// Flags of `wharf firewall`.
#[derive(Debug, Clone, Args)]
#[command(after_help = FIREWALL_EXAMPLES)]
pub(crate) struct FirewallArgs {
    /// In which language the rules are written
    #[arg(long, value_name = "DIALECT", env = "WHARF_DIALECT", value_parser = dialects(), required_unless_present_any = ["apply", "check"])]
    pub(crate) dialect: Option<&'static Dialect>,

    /// Whose firewall it is [default: server]
    #[arg(long, value_name = "SIDE", env = "WHARF_SIDE", value_parser = sides(), default_value = "server", hide_default_value = true)]
    pub(crate) side: Side,

    /// A comment for every rule: which step of which data mode needs it
    #[arg(long, env = "WHARF_EXPLAIN")]
    pub(crate) explain: bool,

    /// All rules there are: everything else is dropped (cuts off SSH)
    ///
    /// For a machine, or a gateway's forwarding, that does nothing but FTP.
    #[arg(long, env = "WHARF_COMPLETE")]
    pub(crate) complete: bool,

    /// Settings of the server: the file of `wharf serve --config`; flags override it
    #[arg(long, value_name = "FILE", env = "WHARF_CONFIG", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,

    /// Address and port of control connections; may be repeated [default: port 21, every address]
    #[arg(long, value_name = "ADDR:PORT", env = "WHARF_LISTEN", value_parser = value::listen, value_delimiter = ',', help_heading = "What is offered")]
    pub(crate) listen: Vec<SocketAddr>,

    /// Data modes that are to work; may be repeated [default: both on the server's side]
    #[arg(
        long,
        value_name = "MODE",
        env = "WHARF_MODES",
        value_enum,
        value_delimiter = ',',
        help_heading = "What is offered"
    )]
    pub(crate) modes: Vec<DataModeArg>,

    /// The server's ports for passive data connections
    ///
    /// The default is that of `wharf serve`, 50000-50999, on the server's side; on the client's side
    /// any port above 1023, because the server is not known.
    #[arg(long, value_name = "LO-HI", env = "WHARF_PASSIVE_PORTS", value_parser = value::ports, help_heading = "What is offered")]
    pub(crate) passive_ports: Option<PortRange>,

    /// Data ports that all sessions share, instead of --passive-ports
    #[arg(long, value_name = "PORT|LO-HI", env = "WHARF_DATA_PORT", value_parser = value::ports, help_heading = "What is offered")]
    pub(crate) data_port: Option<PortRange>,

    /// Passive data connections to the control port itself: on, off, or auto [default: auto]
    ///
    /// With `on` the control port is all that is opened. With `auto` the data ports are opened as well:
    /// the control port is for clients to which they do not work.
    #[arg(
        long,
        value_name = "WHEN",
        env = "WHARF_ONE_PORT",
        value_enum,
        help_heading = "What is offered"
    )]
    pub(crate) one_port: Option<OnePort>,

    /// Port that the server's active data connections come from, 0 for any [default: 20]
    ///
    /// ProFTPD since 1.3.7 uses any unless its RootRevoke is off.
    #[arg(
        long,
        value_name = "PORT",
        env = "WHARF_ACTIVE_PORT",
        help_heading = "What is offered"
    )]
    pub(crate) active_port: Option<u16>,

    /// Ports at which clients await active data connections [default: 1024-65535]
    #[arg(long, value_name = "LO-HI", env = "WHARF_CLIENT_PORTS", value_parser = value::ports, help_heading = "What is offered")]
    pub(crate) client_ports: Option<PortRange>,

    /// Let the FTP helper of the firewall open data connections: plaintext only
    ///
    /// The helper reads the control connection. It is assigned by name, since kernels no longer do that by
    /// themselves. With TLS it is blind.
    #[arg(long, env = "WHARF_HELPER", help_heading = "What is offered")]
    pub(crate) helper: bool,

    /// Address at which clients reach the server; may be repeated [default: any]
    #[arg(
        long,
        value_name = "ADDR",
        env = "WHARF_SERVER",
        value_delimiter = ',',
        help_heading = "Who stands where"
    )]
    pub(crate) server: Vec<IpAddr>,

    /// The server's own address behind the NAT of --side server-gateway; one of each family
    #[arg(
        long,
        value_name = "ADDR",
        env = "WHARF_INSIDE",
        value_delimiter = ',',
        help_heading = "Who stands where"
    )]
    pub(crate) inside: Vec<IpAddr>,

    /// Networks that clients come from; may be repeated [default: anywhere]
    #[arg(long, value_name = "NET", env = "WHARF_CLIENTS", value_parser = value::network, value_delimiter = ',', help_heading = "Who stands where")]
    pub(crate) clients: Vec<Network>,

    /// Networks beside the server that use its outside address, too; may be repeated
    #[arg(long, value_name = "NET", env = "WHARF_HAIRPIN", value_parser = value::network, value_delimiter = ',', help_heading = "Who stands where")]
    pub(crate) hairpin: Vec<Network>,

    /// Program, image or unit of the server, for dialects that name it [default: wharf]
    #[arg(
        long,
        value_name = "NAME",
        env = "WHARF_PROGRAM",
        help_heading = "Who stands where"
    )]
    pub(crate) program: Option<String>,

    /// Load the rules on this host, after a question: nftables
    #[arg(
        long,
        value_name = "DIALECT",
        env = "WHARF_APPLY",
        value_enum,
        help_heading = "This host"
    )]
    pub(crate) apply: Option<Applied>,

    /// With --apply: let nft check the rules, load nothing
    #[arg(long, env = "WHARF_DRY_RUN", help_heading = "This host")]
    pub(crate) dry_run: bool,

    /// With --apply: do not ask
    #[arg(short, long, env = "WHARF_YES", help_heading = "This host")]
    pub(crate) yes: bool,

    /// Compare with what is loaded on this host (nftables)
    #[arg(
        long,
        env = "WHARF_CHECK",
        conflicts_with = "apply",
        help_heading = "This host"
    )]
    pub(crate) check: bool,

    /// No notes
    #[arg(short, long, env = "WHARF_QUIET")]
    pub(crate) quiet: bool,
}

/// A data mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DataModeArg {
    /// The server connects to the client
    Active,
    /// The client connects to the server
    Passive,
}

/// What can be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Applied {
    /// nft, in the table `inet wharf`
    Nftables,
}

fn dialects() -> impl TypedValueParser<Value = &'static Dialect> {
    let values = DIALECTS
        .iter()
        .map(|it| PossibleValue::new(it.name).help(it.what));
    PossibleValuesParser::new(values).map(|name| {
        DIALECTS
            .iter()
            .find(|it| it.name == name)
            .unwrap_or(&DIALECTS[0])
    })
}

fn sides() -> impl TypedValueParser<Value = Side> {
    PossibleValuesParser::new(Side::ALL.map(Side::word))
        .map(|word| word.parse().unwrap_or(Side::Server))
}
